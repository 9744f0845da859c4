//! The promise `ttlv_json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kms_fuzz::ttlv_json(bytes));
