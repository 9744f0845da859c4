//! The numbered steps that make the schema.
