//! The promise `ttlv_xml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kms_fuzz::ttlv_xml(bytes));
