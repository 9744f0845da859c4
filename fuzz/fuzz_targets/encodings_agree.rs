//! A tree that came in binary is the same tree after JSON and after XML.
#![no_main]

use kms_fuzz::{LIMITS, read, write};
use libfuzzer_sys::fuzz_target;
use ttlv::{Encoding, Limits};

fuzz_target!(|bytes: &[u8]| {
    let Some(item) = read(Encoding::Binary, bytes, &LIMITS) else { return };
    let binary = write(Encoding::Binary, &item).expect("codes can be written");
    assert!(binary == bytes, "an item has one spelling in binary");
    let json = write(Encoding::Json, &item).expect("JSON holds every text");
    assert_eq!(read(Encoding::Json, &json, &Limits::DEFAULT).as_ref(), Some(&item));
    // XML cannot hold control characters.
    if let Some(xml) = write(Encoding::Xml, &item) {
        assert_eq!(read(Encoding::Xml, &xml, &Limits::DEFAULT).as_ref(), Some(&item));
    }
});
