//! Who is calling: credentials offered become a principal.
