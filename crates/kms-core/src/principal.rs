//! Who is calling, as the core knows it: a name that authentication vouched for, and no more.

use std::sync::Arc;

/// A user that authentication vouched for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    user: Arc<str>,
}

/// The user while no authentication is configured.
pub const ADMIN: &str = "admin";

impl Principal {
    /// A principal called `user`.
    pub fn new(user: &str) -> Self {
        Self { user: user.into() }
    }

    /// The user's name.
    pub fn user(&self) -> &str {
        &self.user
    }
}
