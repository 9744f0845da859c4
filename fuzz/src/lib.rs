//! What the fuzz targets share: each promise once.

use ttlv::{Encoding, Item, Limits, Spelling, Unknown};

/// Small, so that the fuzzer meets the limits.
pub const LIMITS: Limits = Limits { bytes: 1 << 16, depth: 32, items: 1 << 10 };

/// `item` in `encoding`, or nothing where the encoding cannot hold it.
pub fn write(encoding: Encoding, item: &Item<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    encoding.encode(item, &kmip::tag::Names, Spelling::Profile, &mut out).ok()?;
    Some(out)
}

/// The tree in `bytes`, whatever its tags are.
pub fn read<'a>(encoding: Encoding, bytes: &'a [u8], limits: &Limits) -> Option<Item<'a>> {
    encoding.decode(bytes, &kmip::tag::Names, limits, Unknown::Skip).ok()
}

/// Whatever is read keeps the limits, can be written, and is then read and written unchanged.
pub fn codec_is_stable(encoding: Encoding, bytes: &[u8]) {
    let Some(item) = read(encoding, bytes, &LIMITS) else { return };
    let (items, depth) = measure(&item);
    assert!(items <= LIMITS.items && depth <= LIMITS.depth, "beyond the limits");
    let once = write(encoding, &item).expect("what was read can be written");
    let again = read(encoding, &once, &Limits::DEFAULT).expect("what was written can be read");
    let twice = write(encoding, &again).expect("and written again");
    assert!(once == twice, "the second writing differs from the first");
}

fn measure(item: &Item<'_>) -> (usize, usize) {
    item.children()
        .iter()
        .map(measure)
        .fold((1, 1), |(items, depth), (more, deeper)| (items + more, depth.max(deeper + 1)))
}
