//! The promise `encodings_agree`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kms_fuzz::encodings_agree(bytes));
