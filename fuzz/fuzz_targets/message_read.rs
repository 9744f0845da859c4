//! Any bytes as a message of any version: the first byte chooses encoding and version.
#![no_main]

use kms_fuzz::{LIMITS, read};
use libfuzzer_sys::fuzz_target;
use ttlv::{Encoding, Item, Number, Value};

fuzz_target!(|input: (u8, &[u8])| {
    let (choice, bytes) = input;
    let choice = usize::from(choice);
    let encoding = Encoding::ALL[choice % Encoding::ALL.len()];
    let Some(mut item) = read(encoding, bytes, &LIMITS) else { return };
    if let Some(version) = kmip::Version::ALL.get(choice / Encoding::ALL.len()) {
        speak(&mut item, *version);
    }
    drop(kmip::message::read_bare(item.clone()));
    drop(kmip::message::read(item.clone()));
    drop(kmip::message::read_response(item));
});

/// Puts `version` in place of the header's, so that every version meets every message.
fn speak(message: &mut Item<'_>, version: kmip::Version) {
    let Value::Structure(parts) = &mut message.value else { return };
    let Some(Item { value: Value::Structure(header), .. }) = parts.first_mut() else { return };
    let Some(Item { value: Value::Structure(numbers), .. }) = header.first_mut() else { return };
    for (item, number) in numbers.iter_mut().zip([version.major, version.minor]) {
        item.value = Value::Integer(Number::Code(u32::from(number)));
    }
}
