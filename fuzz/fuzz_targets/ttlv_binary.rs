//! The promise `ttlv_binary`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kms_fuzz::ttlv_binary(bytes));
