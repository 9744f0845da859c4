//! What the codecs cost.

fn main() {}
