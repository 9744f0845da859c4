//! The server as a library, so that tests can hold one.
