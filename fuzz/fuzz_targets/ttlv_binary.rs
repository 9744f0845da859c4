//! Any bytes through the binary codec.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ttlv::Encoding;

fuzz_target!(|bytes: &[u8]| kms_fuzz::codec_is_stable(Encoding::Binary, bytes));
