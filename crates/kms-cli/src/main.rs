//! `kms`.
fn main() {}
