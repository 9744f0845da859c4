//! `kms-server`.
fn main() {}
