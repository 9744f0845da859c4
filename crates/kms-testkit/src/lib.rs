//! A real server on a free port, and what tests share.
