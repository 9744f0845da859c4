//! That the test kit does what tests rely on.

mod databases;
