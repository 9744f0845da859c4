//! Prints the access matrix, for the golden file.
#![expect(clippy::print_stdout, reason = "that is all it does")]

fn main() {
    print!("{}", kms_core::access_matrix());
}
