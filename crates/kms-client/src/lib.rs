//! Send a typed request, get a typed response.
