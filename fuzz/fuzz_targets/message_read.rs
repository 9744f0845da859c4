//! The promise `message_read`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kms_fuzz::message_read(bytes));
