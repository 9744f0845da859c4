//! A change of grants as the audit sees it. Must never know whether it is allowed.

use crate::access::Permission;
use crate::audit::Act;

/// Where the record of a change of grants is.
pub(crate) enum Recorded {
    /// In the change's own transaction.
    WithTheChange,
    /// Nowhere: nothing was changed.
    NotYet,
}

/// A change of grants, for its record.
pub(crate) struct Deed<'a> {
    operation: &'static str,
    objects: [String; 1],
    user: &'a str,
    detail: String,
}

impl<'a> Deed<'a> {
    pub(crate) fn new(
        operation: &'static str,
        id: &str,
        user: &'a str,
        permissions: &[Permission],
    ) -> Self {
        let names: Vec<_> = permissions.iter().map(|it| it.name()).collect();
        Self { operation, objects: [id.to_owned()], user, detail: names.join(", ") }
    }

    /// When what is granted ends: who reads the record has to know for how long it was.
    pub(crate) fn until(mut self, end: Option<String>) -> Self {
        if let Some(end) = end {
            self.detail = format!("{} until {end}", self.detail);
        }
        self
    }

    pub(crate) fn act(&self) -> Act<'_> {
        Act {
            operation: self.operation,
            objects: &self.objects,
            user: Some(self.user),
            detail: Some(&self.detail),
        }
    }
}
