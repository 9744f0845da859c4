//! The root key: who may open it, and proof of where we run.
