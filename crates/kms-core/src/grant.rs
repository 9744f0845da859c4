//! Grants: an owner lets another user do single things with a single object.
//!
//! A grant carries a MAC over its columns and over an epoch in the object's record; a withdrawal
//! raises that epoch, so that a withdrawn grant that somebody writes back is refused. It must never
//! decide whether a grant suffices for an operation; `access` does.

use kmip::enumerations::ResultReason;
use kmip::stored::{GrantEpoch, StoredRecord};
use kms_store::{Grant, Search, Write};

use crate::Service;
use crate::access::Permission;
use crate::error::{Error, Result};
use crate::lifecycle;
use crate::object::Object;
use crate::principal::{Caller, EVERYBODY, USER_LENGTH_MAX};
use crate::unit::{Unit, from_store};
use crate::vault;

/// The most grants of one object. A withdrawal reads all of them, and `accesses` lists them.
const GRANTS_MAX: usize = 10_000;
/// How often a change of grants that met another is tried.
const TRIES: usize = 8;

/// What a user may do with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The user.
    pub user: String,
    /// What was granted.
    pub permissions: Vec<Permission>,
}

/// An object as the owner's list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// Its identifier.
    pub id: String,
    /// Its effective state, as the database spells it.
    pub state: &'static str,
}

/// An object that others own and that the caller was granted something on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obtained {
    /// Its identifier.
    pub id: String,
    /// Who owns it.
    pub owner: String,
    /// Its effective state, as the database spells it.
    pub state: &'static str,
    /// What was granted.
    pub permissions: Vec<Permission>,
}

/// Part of a long list, and where the next part begins.
#[derive(Clone, Debug)]
pub struct Page<T, C> {
    /// The items.
    pub items: Vec<T>,
    /// What to ask for next; `None` at the end.
    pub next: Option<C>,
}

/// Which way a user's permissions change.
#[derive(Clone, Copy)]
enum Change<'a> {
    Grant(&'a [Permission]),
    Withdraw(&'a [Permission]),
}

impl Change<'_> {
    fn apply(self, before: &[Permission]) -> Vec<Permission> {
        let is_kept = |it: &Permission| match self {
            Self::Grant(more) => before.contains(it) || more.contains(it),
            Self::Withdraw(less) => before.contains(it) && !less.contains(it),
        };
        Permission::ALL.into_iter().filter(is_kept).collect()
    }
}

/// The epoch of the bucket that `user` falls into.
pub(crate) fn epoch(record: &StoredRecord, user: &str) -> u32 {
    let bucket = i32::from(vault::bucket(user));
    let epochs = record.grant_epochs.iter();
    epochs.filter(|known| known.bucket == bucket).map(|known| known.epoch.cast_unsigned()).sum()
}

fn raise_epoch(record: &mut StoredRecord, user: &str) {
    let bucket = i32::from(vault::bucket(user));
    match record.grant_epochs.iter_mut().find(|known| known.bucket == bucket) {
        Some(known) => known.epoch = known.epoch.wrapping_add(1),
        None => record.grant_epochs.push(GrantEpoch { bucket, epoch: 1 }),
    }
}

/// The permissions of a JSON list; names that are not known grant nothing.
pub(crate) fn parse(list: &str) -> Vec<Permission> {
    let names: Vec<String> = serde_json::from_str(list).unwrap_or_default();
    names.iter().filter_map(|name| Permission::parse(name)).collect()
}

fn spell(permissions: &[Permission]) -> String {
    let names: Vec<_> = permissions.iter().map(|it| format!("\"{}\"", it.name())).collect();
    format!("[{}]", names.join(","))
}

impl Service {
    /// Lets `user` do `permissions` with the object `id`, beside what was granted before. Without
    /// an object, lets them create. Only the owner can; granting twice changes nothing.
    pub async fn grant<'a>(
        &self,
        caller: impl Into<Caller<'a>>,
        id: Option<&str>,
        user: &str,
        permissions: &[Permission],
    ) -> Result<()> {
        let caller = caller.into();
        check_user(caller, user)?;
        self.change(caller, id, user, Change::Grant(permissions)).await
    }

    /// Takes `permissions` back. What was not granted is no error.
    pub async fn withdraw<'a>(
        &self,
        caller: impl Into<Caller<'a>>,
        id: Option<&str>,
        user: &str,
        permissions: &[Permission],
    ) -> Result<()> {
        let caller = caller.into();
        check_user(caller, user)?;
        self.change(caller, id, user, Change::Withdraw(permissions)).await
    }

    async fn change(
        &self,
        caller: Caller<'_>,
        id: Option<&str>,
        user: &str,
        change: Change<'_>,
    ) -> Result<()> {
        // Who may create is a matter of policy: everybody, until a list of users exists.
        let Some(id) = id.filter(|id| *id != EVERYBODY) else { return Ok(()) };
        let mut result = Err(Error::conflict(id));
        for _ in 0..TRIES {
            result = self.change_once(caller, id, user, change).await;
            if !matches!(&result, Err(error) if error.retry) {
                break;
            }
        }
        result
    }

    async fn change_once(
        &self,
        caller: Caller<'_>,
        id: &str,
        user: &str,
        change: Change<'_>,
    ) -> Result<()> {
        let mut unit = self.unit();
        let object = own(&mut unit, caller, id).await?;
        let before = self.granted(&object, user).await?;
        let after = change.apply(&before);
        let withdraws = matches!(change, Change::Withdraw(_));
        // A withdrawal always raises the epoch: what was read may be on its way to change, or may
        // have been taken out of the database for a while to be written back.
        if after == before && !withdraws {
            return Ok(());
        }
        if !withdraws && before.is_empty() {
            self.check_room(id, user).await?;
        }
        let mut record = object.record().clone();
        if withdraws {
            raise_epoch(&mut record, user);
            for other in self.valid_grants(&object).await? {
                if other.user != user && vault::bucket(&other.user) == vault::bucket(user) {
                    unit.write(Write::PutGrant(self.sign(
                        &record,
                        id,
                        &other.user,
                        other.permissions,
                    )));
                }
            }
        }
        unit.write(match after.as_slice() {
            [] => Write::RemoveGrant { id: id.to_owned(), user: user.to_owned() },
            after => Write::PutGrant(self.sign(&record, id, user, spell(after))),
        });
        // The record's version rises with each change, so that two changes cannot cross.
        unit.update(&object, record);
        unit.commit().await
    }

    /// Refuses a grant to one more user than an object's may be.
    async fn check_room(&self, id: &str, user: &str) -> Result<()> {
        let count = self.store.grant_count(id, GRANTS_MAX).await.map_err(from_store)?;
        if count < GRANTS_MAX || self.store.grant(id, user).await.map_err(from_store)?.is_some() {
            return Ok(());
        }
        Err(Error::new(
            ResultReason::ServerLimitExceeded,
            format!(
                "the object is shared with {GRANTS_MAX} users, and that is the most; withdraw \
                     a grant, or grant it to everybody (*)"
            ),
        ))
    }

    fn sign(&self, record: &StoredRecord, id: &str, user: &str, permissions: String) -> Grant {
        let mut grant = Grant {
            id: id.to_owned(),
            user: user.to_owned(),
            permissions,
            expires: None,
            note: None,
            mac: Vec::new(),
        };
        grant.mac = self.vault.grant_mac(&grant, epoch(record, user));
        grant
    }

    async fn granted(&self, object: &Object, user: &str) -> Result<Vec<Permission>> {
        let row = self.store.grant(object.id(), user).await.map_err(from_store)?;
        let valid = row.filter(|row| self.vault.is_valid(row, epoch(object.record(), user)));
        Ok(valid.map(|row| parse(&row.permissions)).unwrap_or_default())
    }

    async fn valid_grants(&self, object: &Object) -> Result<Vec<Grant>> {
        let mut rows = self.store.grants(object.id()).await.map_err(from_store)?;
        rows.retain(|row| self.vault.is_valid(row, epoch(object.record(), &row.user)));
        Ok(rows)
    }

    /// Who may do what with `id`; its owner alone may ask.
    pub async fn accesses<'a>(
        &self,
        caller: impl Into<Caller<'a>>,
        id: &str,
    ) -> Result<Vec<Access>> {
        let object = own(&mut self.unit(), caller.into(), id).await?;
        let rows = self.valid_grants(&object).await?;
        let access = |row: Grant| Access { permissions: parse(&row.permissions), user: row.user };
        Ok(rows.into_iter().map(access).collect())
    }

    /// A page of the objects that the caller owns, oldest first.
    pub async fn owned<'a>(
        &self,
        caller: impl Into<Caller<'a>>,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Page<Owned, i64>> {
        let owner = Some(caller.into().principal.user().to_owned());
        let search = Search { owner, after, limit, ..Search::default() };
        let rows = self.store.search(search).await.map_err(from_store)?;
        let next = rows.last().filter(|_| rows.len() == limit).map(|row| row.seq);
        let now = self.clock.now();
        let mut items = Vec::with_capacity(rows.len());
        for row in &rows {
            // What was altered is reported by the vault, and not listed.
            if let Ok(record) = self.vault.open_record(&row.row) {
                let state = lifecycle::name(lifecycle::effective(&record, now));
                items.push(Owned { id: row.row.id.clone(), state });
            }
        }
        Ok(Page { items, next })
    }

    /// A page of the objects of others that the caller was granted something on.
    pub async fn obtained<'a>(
        &self,
        caller: impl Into<Caller<'a>>,
        after: Option<String>,
        limit: usize,
    ) -> Result<Page<Obtained, String>> {
        let user = caller.into().principal.user();
        let rows = self.store.granted_to(user, after, limit).await.map_err(from_store)?;
        let next = rows.last().filter(|_| rows.len() == limit).map(|row| row.id.clone());
        let now = self.clock.now();
        let mut unit = self.unit();
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(object) = unit.object(&row.id).await? else { continue };
            let record = object.record();
            if record.owner == user || !self.vault.is_valid(&row, epoch(record, &row.user)) {
                continue;
            }
            items.push(Obtained {
                owner: record.owner.clone(),
                state: lifecycle::name(lifecycle::effective(record, now)),
                permissions: parse(&row.permissions),
                id: row.id,
            });
        }
        Ok(Page { items, next })
    }
}

/// The object `id` if the caller owns it; otherwise it does not exist.
async fn own(unit: &mut Unit, caller: Caller<'_>, id: &str) -> Result<Object> {
    let object = unit.object(id).await?;
    let own = object.filter(|object| object.record().owner == caller.principal.user());
    own.ok_or_else(|| Error::not_found(id))
}

fn check_user(caller: Caller<'_>, user: &str) -> Result<()> {
    if user.is_empty() || user.len() > USER_LENGTH_MAX || user.chars().any(char::is_control) {
        let limit =
            format!("a user's name has 1 to {USER_LENGTH_MAX} bytes and no control characters");
        return Err(Error::invalid(limit));
    }
    if user == caller.principal.user() {
        return Err(Error::invalid("the owner of an object may do everything with it already"));
    }
    Ok(())
}
