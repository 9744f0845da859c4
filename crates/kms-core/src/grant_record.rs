//! A change of grants as the audit sees it, and one that comes again. Must never know whether it is
//! allowed.

use crate::Service;
use crate::access::Permission;
use crate::again::{Identity, Named, digest};
use crate::audit::{Act, Decision};
use crate::error::Result;
use crate::grant::{Asks, Change, REGISTER, sorted, spell};
use crate::principal::Caller;

/// Where the record of a change of grants is.
pub(crate) enum Recorded {
    /// In the change's own transaction.
    WithTheChange,
    /// Nowhere: nothing was changed.
    NotYet,
    /// Nowhere: the same request had done it before.
    Before,
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

impl Change<'_> {
    /// What tells the request from others.
    fn identity(self, id: Option<&str>, user: &str) -> Identity {
        let (what, permissions, terms) = match self {
            Self::Grant(terms) => (&b"grant"[..], terms.permissions, Some(terms)),
            Self::Withdraw(permissions) => (&b"withdraw"[..], permissions, None),
        };
        let permissions = spell(&sorted(permissions, &[]));
        let expires = terms.and_then(|terms| terms.expires).map(i64::to_be_bytes);
        let note = terms.and_then(|terms| terms.note);
        digest(&[
            what,
            id.unwrap_or(REGISTER).as_bytes(),
            user.as_bytes(),
            permissions.as_bytes(),
            expires.as_ref().map_or(&[], |it| it.as_slice()),
            // An empty note is refused.
            note.unwrap_or_default().as_bytes(),
        ])
    }
}

impl Service {
    /// Changes grants, and sees to it that there is a record of it: with the change, or by itself.
    pub(crate) async fn change_recorded(
        &self,
        caller: Caller<'_>,
        id: Option<&str>,
        user: &str,
        change: Change<'_>,
    ) -> Result<()> {
        self.audit.ready()?;
        let deed = change.deed(id.unwrap_or(REGISTER), user);
        let result = match caller.key {
            None => self.change(Asks { caller, named: None }, id, user, change).await,
            Some(key) => {
                let named = Named::new(caller.principal.user(), key, change.identity(id, user));
                Box::pin(self.change_named((caller, named), id, user, change)).await
            }
        };
        match result {
            Ok(Recorded::WithTheChange) => Ok(()),
            Ok(Recorded::Before) => {
                let ticket = self.audit.repeated(Decision { caller, act: deed.act() });
                self.audit.settle(ticket).await
            }
            Ok(Recorded::NotYet) => self.recorded(caller, deed.act(), Ok(())).await,
            Err(error) => self.recorded(caller, deed.act(), Err(error)).await,
        }
    }

    /// The same of a request that has a name: what was done before is not done again.
    async fn change_named(
        &self,
        (caller, mut named): (Caller<'_>, Named),
        id: Option<&str>,
        user: &str,
        change: Change<'_>,
    ) -> Result<Recorded> {
        self.look_for(&mut named).await?;
        if named.is_answered() {
            return Ok(Recorded::Before);
        }
        let asks = Asks { caller, named: Some(&named) };
        let mut result = self.change(asks, id, user, change).await;
        if let Ok(Recorded::NotYet) = result {
            // It changed nothing, and would perhaps change something later.
            let mut unit = self.unit();
            named.keep(&self.vault, (&mut unit, self.clock.now()), 0, &[]).await?;
            let deed = change.deed(id.unwrap_or(REGISTER), user);
            self.audit.change(Decision { caller, act: deed.act() }, &mut unit);
            result = unit.commit().await.map(|()| Recorded::WithTheChange);
        }
        if result.is_err() && self.is_found_again(&mut named).await {
            return Ok(Recorded::Before);
        }
        result
    }
}
