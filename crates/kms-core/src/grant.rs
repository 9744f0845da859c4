//! Grants: an owner lets another user do single things with a single object.
//!
//! A grant carries a MAC over its columns and over an epoch in the object's record; a withdrawal
//! raises that epoch, so that a withdrawn grant that somebody writes back is refused. It must never
//! decide whether a grant suffices for an operation; `access` does.

use std::hash::{BuildHasher, RandomState};

use kmip::attribute::Attributes;
use kmip::enumerations::{ObjectType, ResultReason, State};
use kmip::stored::{FORMAT, GrantEpoch, StoredHeader, StoredRecord};
use kms_store::{Grant, Search, Write};
use tokio::sync::{Mutex, MutexGuard};

use crate::Service;
use crate::access::Permission;
use crate::audit::{Act, Decision};
use crate::error::{Error, Result};
use crate::grant_record::{Deed, Recorded};
use crate::lifecycle;
use crate::object::Object;
use crate::principal::{ADMIN, Caller, EVERYBODY, SCOPES, normal_user};
use crate::unit::{Unit, from_store};
use crate::vault;

/// The most grants of one object. A withdrawal reads all of them, and `accesses` lists them.
const GRANTS_MAX: usize = 10_000;
/// How often a change of grants that met another is tried.
const TRIES: usize = 8;
/// The longest note, in bytes.
const NOTE_LENGTH_MAX: usize = kms_store::MAX_NAME;
/// The identifier of the register: an object of nobody's whose record has the epochs of the grants
/// of Create. No object that is made can have it.
pub(crate) const REGISTER: &str = EVERYBODY;

/// What a user may do with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The user.
    pub user: String,
    /// What was granted.
    pub permissions: Vec<Permission>,
    /// When it ends, in seconds since the Unix epoch.
    pub expires: Option<i64>,
    /// What was noted when it was granted.
    pub note: Option<String>,
}

/// What is granted, until when, and what is noted of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// What the user may do.
    pub permissions: &'a [Permission],
    /// From which second on they may not any more, in seconds since the Unix epoch.
    pub expires: Option<i64>,
    /// For people; the user can read it too.
    pub note: Option<&'a str>,
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
    /// What was granted, by name or to everybody.
    pub permissions: Vec<Permission>,
    /// When the first part of it ends, in seconds since the Unix epoch.
    pub expires: Option<i64>,
    /// What was noted when it was granted.
    pub note: Option<String>,
}

/// Part of a long list, and where the next part begins.
#[derive(Clone, Debug)]
pub struct Page<T, C> {
    /// The items.
    pub items: Vec<T>,
    /// What to ask for next; `None` at the end.
    pub next: Option<C>,
}

/// Whose turn it is to change the grants of an object: they all write its record. Another server
/// takes no turns, and is met at the commit.
pub(crate) struct Turns {
    places: [Mutex<()>; TURNS],
    hasher: RandomState,
}

/// As many objects' grants are changed at once.
const TURNS: usize = 64;

impl Default for Turns {
    fn default() -> Self {
        let places = std::array::from_fn(|_| Mutex::default());
        Self { places, hasher: RandomState::new() }
    }
}

impl Turns {
    async fn take(&self, id: &str) -> Option<MutexGuard<'_, ()>> {
        let place = usize::try_from(self.hasher.hash_one(id) % TURNS as u64).ok();
        let place = place.and_then(|place| self.places.get(place))?;
        Some(place.lock().await)
    }
}

/// Which way a user's permissions change.
#[derive(Clone, Copy)]
enum Change<'a> {
    Grant(&'a Terms<'a>),
    Withdraw(&'a [Permission]),
}

/// What a user has on an object, one row of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    permissions: Vec<Permission>,
    expires: Option<i64>,
    note: Option<String>,
}

impl Change<'_> {
    /// What it is, for its record.
    fn deed<'u>(self, id: &str, user: &'u str) -> Deed<'u> {
        match self {
            Self::Grant(terms) => {
                Deed::new("Grant", id, user, terms.permissions).until(terms.expires.map(moment))
            }
            Self::Withdraw(less) => Deed::new("Withdraw", id, user, less),
        }
    }

    /// What the user has afterwards; none where nothing is left.
    fn apply(self, user: &str, before: Option<&Held>) -> Result<Option<Held>> {
        match (self, before) {
            (Self::Grant(terms), before) => add(terms, user, before).map(Some),
            (Self::Withdraw(_), None) => Ok(None),
            (Self::Withdraw(less), Some(before)) => {
                let left: Vec<_> =
                    before.permissions.iter().copied().filter(|it| !less.contains(it)).collect();
                let is_left = !left.is_empty();
                Ok(is_left.then(|| Held { permissions: left, ..before.clone() }))
            }
        }
    }
}

/// All that a user has on an object ends at one time. Another time is taken only for all of it, so
/// that nothing lasts longer, or shorter, than somebody meant.
fn add(terms: &Terms<'_>, user: &str, before: Option<&Held>) -> Result<Held> {
    let Terms { permissions: more, expires, note } = *terms;
    let note = note.map(str::to_owned);
    let Some(before) = before else {
        return Ok(Held { permissions: sorted(more, &[]), expires, note });
    };
    if before.expires == expires {
        let note = note.or_else(|| before.note.clone());
        return Ok(Held { permissions: sorted(more, &before.permissions), expires, note });
    }
    if before.permissions.iter().all(|it| more.contains(it)) {
        return Ok(Held { permissions: sorted(more, &[]), expires, note });
    }
    let names: Vec<_> = before.permissions.iter().map(|it| it.name()).collect();
    Err(Error::invalid(format!(
        "what {user} has on this object ends {}, and all of it ends at one time: name that time, or \
         grant all of it anew ({} with what comes to it), or withdraw it first",
        before.expires.map_or_else(|| "never".to_owned(), moment),
        names.join(", ")
    )))
}

/// The permissions of both lists, each once, in the order of lists.
fn sorted(a: &[Permission], b: &[Permission]) -> Vec<Permission> {
    Permission::ALL.into_iter().filter(|it| a.contains(it) || b.contains(it)).collect()
}

/// A time as a person can read it.
fn moment(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| format!("{seconds} s after 1970"), |it| it.to_string())
}

/// Whether what `row` grants has ended.
pub(crate) fn is_over(row: &Grant, now: i64) -> bool {
    row.expires.is_some_and(|end| end <= now)
}

/// What `row` grants at `now`.
pub(crate) fn in_force(row: &Grant, now: i64) -> Vec<Permission> {
    if is_over(row, now) { Vec::new() } else { parse(&row.permissions) }
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
        self.grant_on(caller, id, user, Terms { permissions, ..Terms::default() }).await
    }

    /// The same until some time, or with a note.
    pub async fn grant_on<'a>(
        &self,
        caller: impl Into<Caller<'a>>,
        id: Option<&str>,
        user: &str,
        terms: Terms<'_>,
    ) -> Result<()> {
        self.change_recorded(caller.into(), id, user, Change::Grant(&terms)).await
    }

    fn check_terms(&self, terms: &Terms<'_>) -> Result<()> {
        if terms.expires.is_some_and(|end| end <= self.clock.now()) {
            return Err(Error::invalid(
                "the grant would end before it begins: name a time to come",
            ));
        }
        if terms.note.is_some_and(|note| !is_note(note)) {
            return Err(Error::invalid(format!(
                "a note has 1 to {NOTE_LENGTH_MAX} bytes and no control characters"
            )));
        }
        Ok(())
    }

    /// Takes `permissions` back. What was not granted is no error.
    pub async fn withdraw<'a>(
        &self,
        caller: impl Into<Caller<'a>>,
        id: Option<&str>,
        user: &str,
        permissions: &[Permission],
    ) -> Result<()> {
        self.change_recorded(caller.into(), id, user, Change::Withdraw(permissions)).await
    }

    /// Changes grants, and sees to it that there is a record of it: with the change, or by itself.
    async fn change_recorded(
        &self,
        caller: Caller<'_>,
        id: Option<&str>,
        user: &str,
        change: Change<'_>,
    ) -> Result<()> {
        self.audit.ready()?;
        let result = self.change(caller, id, user, change).await;
        let deed = change.deed(id.unwrap_or(REGISTER), user);
        match result {
            Ok(Recorded::WithTheChange) => Ok(()),
            Ok(Recorded::NotYet) => self.recorded(caller, deed.act(), Ok(())).await,
            Err(error) => self.recorded(caller, deed.act(), Err(error)).await,
        }
    }

    async fn change(
        &self,
        caller: Caller<'_>,
        id: Option<&str>,
        user: &str,
        change: Change<'_>,
    ) -> Result<Recorded> {
        if let Change::Grant(terms) = change {
            self.check_terms(terms)?;
        }
        let user = grantee(user).map_err(Error::invalid)?;
        let to_oneself = user == caller.principal.user();
        let Some(id) = id.filter(|id| *id != REGISTER) else {
            check_create(change)?;
            // Everybody may create, until a list of users exists.
            if self.policy.creators.is_none() {
                return Ok(Recorded::NotYet);
            }
            self.check_listed(caller)?;
            if to_oneself {
                return Err(Error::invalid("who lets others create may create already"));
            }
            return self.change_tried(caller, REGISTER, &user, change).await;
        };
        let mut veil = self.slots.veil();
        // Whoever is refused waits for nobody's turn, which would tell that there is one.
        let result = match own(&mut self.unit(), caller, id).await {
            // Told to the owner only: to others it would say that the object is theirs.
            Ok(_) if to_oneself => {
                Err(Error::invalid("the owner of an object may do everything with it already"))
            }
            Ok(_) => self.change_tried(caller, id, &user, change).await,
            Err(hidden) => Err(hidden),
        };
        if is_hidden(&result) {
            veil.draw();
        }
        veil.lift().await;
        result
    }

    async fn change_tried(
        &self,
        caller: Caller<'_>,
        id: &str,
        user: &str,
        change: Change<'_>,
    ) -> Result<Recorded> {
        // Many at once would meet each other more often than they are tried.
        let _turn = self.turns.take(id).await;
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
    ) -> Result<Recorded> {
        let mut unit = self.unit();
        let object = match id {
            REGISTER => register(&mut unit).await?,
            id => own(&mut unit, caller, id).await?,
        };
        let now = self.clock.now();
        let before = self.held(&object, user, now).await?;
        let after = change.apply(user, before.as_ref())?;
        let withdraws = matches!(change, Change::Withdraw(_));
        // A withdrawal always raises the epoch: what was read may be on its way to change, or may
        // have been taken out of the database for a while to be written back. What ended at
        // another time must not be written back either.
        let moves = matches!((&before, &after), (Some(a), Some(b)) if a.expires != b.expires);
        if after == before && !withdraws {
            return Ok(Recorded::NotYet);
        }
        if !withdraws && before.is_none() {
            self.make_room(&mut unit, &object, user, now).await?;
        }
        let mut record = object.record().clone();
        if withdraws || moves {
            raise_epoch(&mut record, user);
            self.renew_others(&mut unit, &object, &record, user).await?;
        }
        unit.write(match after {
            None => Write::RemoveGrant { id: id.to_owned(), user: user.to_owned() },
            Some(after) => Write::PutGrant(self.sign(&record, id, user, after)?),
        });
        // The record's version rises with each change, so that two changes cannot cross.
        unit.update(&object, record);
        let deed = change.deed(id, user);
        self.audit.change(Decision { caller, act: deed.act() }, &mut unit);
        unit.commit().await.map_err(|error| first_of_all(id, error))?;
        Ok(Recorded::WithTheChange)
    }

    /// Signs the grants of the others in `user`'s bucket under its new epoch.
    async fn renew_others(
        &self,
        unit: &mut Unit,
        object: &Object,
        record: &StoredRecord,
        user: &str,
    ) -> Result<()> {
        for row in self.valid_grants(object).await? {
            if row.user != user && vault::bucket(&row.user) == vault::bucket(user) {
                let keys = self.vault.current()?;
                let epoch = epoch(record, &row.user);
                unit.write(Write::PutGrant(keys.sign_grant(row, epoch)));
            }
        }
        Ok(())
    }

    /// Refuses a grant to one more user than an object's may be. Grants that have ended make way.
    async fn make_room(
        &self,
        unit: &mut Unit,
        object: &Object,
        user: &str,
        now: i64,
    ) -> Result<()> {
        let id = object.id();
        let count = self.store.grant_count(id, GRANTS_MAX).await.map_err(from_store)?;
        if count < GRANTS_MAX || self.store.grant(id, user).await.map_err(from_store)?.is_some() {
            return Ok(());
        }
        let rows = self.store.grants(id).await.map_err(from_store)?;
        let over: Vec<Grant> = rows.into_iter().filter(|row| is_over(row, now)).collect();
        if over.is_empty() {
            return Err(Error::new(
                ResultReason::ServerLimitExceeded,
                format!(
                    "the object is shared with {GRANTS_MAX} users, and that is the most; withdraw \
                     a grant, or grant it to everybody (*)"
                ),
            ));
        }
        for row in over {
            unit.write(Write::RemoveGrant { id: row.id, user: row.user });
        }
        Ok(())
    }

    fn sign(&self, record: &StoredRecord, id: &str, user: &str, held: Held) -> Result<Grant> {
        let keys = self.vault.current()?;
        let grant = Grant {
            id: id.to_owned(),
            user: user.to_owned(),
            permissions: spell(&held.permissions),
            expires: held.expires,
            note: held.note,
            mac: Vec::new(),
            sealed_by: 0,
        };
        Ok(keys.sign_grant(grant, epoch(record, user)))
    }

    /// What exactly `user` has on `object` at `now`.
    async fn held(&self, object: &Object, user: &str, now: i64) -> Result<Option<Held>> {
        let row = self.store.grant(object.id(), user).await.map_err(from_store)?;
        self.vault.meet_each(row.iter().map(|row| row.sealed_by)).await?;
        let valid = row.filter(|row| {
            !is_over(row, now) && self.vault.is_valid(row, epoch(object.record(), user))
        });
        Ok(valid.map(|row| {
            let permissions = parse(&row.permissions);
            Held { permissions, expires: row.expires, note: row.note }
        }))
    }

    async fn valid_grants(&self, object: &Object) -> Result<Vec<Grant>> {
        let mut rows = self.store.grants(object.id()).await.map_err(from_store)?;
        self.vault.meet_each(rows.iter().map(|row| row.sealed_by)).await?;
        rows.retain(|row| self.vault.is_valid(row, epoch(object.record(), &row.user)));
        Ok(rows)
    }

    /// Who may do what with `id`; its owner alone may ask. Of no object in particular, who may
    /// create beside those who are listed; only they may ask.
    pub async fn accesses<'a>(
        &self,
        caller: impl Into<Caller<'a>>,
        id: &str,
    ) -> Result<Vec<Access>> {
        let caller = caller.into();
        self.audit.ready()?;
        let listed = self.list_accesses(caller, id).await;
        let objects = [id.to_owned()];
        let act = Act { operation: "ListAccesses", objects: &objects, ..Act::default() };
        self.recorded(caller, act, listed).await
    }

    async fn list_accesses(&self, caller: Caller<'_>, id: &str) -> Result<Vec<Access>> {
        let mut unit = self.unit();
        let object = if id == REGISTER {
            // Grants from a time when there was a list mean nothing now, and are nobody's business.
            if self.policy.creators.is_none() {
                return Ok(Vec::new());
            }
            self.check_listed(caller)?;
            let Some(register) = unit.register().await? else { return Ok(Vec::new()) };
            register
        } else {
            let mut veil = self.slots.veil();
            let object = own(&mut unit, caller, id).await;
            if is_hidden(&object) {
                veil.draw();
            }
            veil.lift().await;
            object?
        };
        let now = self.clock.now();
        let rows = self.valid_grants(&object).await?;
        let live = rows.into_iter().filter(|row| !is_over(row, now));
        Ok(live
            .map(|row| Access {
                permissions: parse(&row.permissions),
                user: row.user,
                expires: row.expires,
                note: row.note,
            })
            .collect())
    }

    /// Refuses whoever may not let others create.
    fn check_listed(&self, caller: Caller<'_>) -> Result<()> {
        let listed = self.policy.creators.as_ref();
        if listed.is_none() || !self.policy.is_unlisted(caller.principal.user()) {
            return Ok(());
        }
        Err(Error::new(
            ResultReason::PermissionDenied,
            "only the privileged users of this server let others create",
        ))
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
        for row in rows.iter().filter(|row| row.row.id != REGISTER) {
            self.vault.meet(row.row.sealed_by).await?;
            // What was altered is reported by the vault, and not listed.
            if let Ok(record) = self.vault.open_record(&row.row) {
                let state = lifecycle::name(lifecycle::effective(&record, now));
                items.push(Owned { id: row.row.id.clone(), state });
            }
        }
        Ok(Page { items, next })
    }

    /// A page of the objects of others that the caller was granted something on, by name or as one
    /// of everybody.
    pub async fn obtained<'a>(
        &self,
        caller: impl Into<Caller<'a>>,
        after: Option<String>,
        limit: usize,
    ) -> Result<Page<Obtained, String>> {
        let user = caller.into().principal.user();
        let own = self.store.granted_to(user, after.clone(), limit);
        let own = own.await.map_err(from_store)?;
        let all = self.store.granted_to(EVERYBODY, after, limit).await.map_err(from_store)?;
        let (rows, next) = merged(own, all, limit);
        let now = self.clock.now();
        let mut items: Vec<Obtained> = Vec::with_capacity(rows.len());
        for (count, row) in rows.into_iter().enumerate() {
            // Others use the thread too.
            if count % ROWS_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
            if is_over(&row, now) {
                continue;
            }
            let Some(object) = self.unit().object(&row.id).await? else { continue };
            self.vault.meet(row.sealed_by).await?;
            let record = object.record();
            if record.owner == user || !self.vault.is_valid(&row, epoch(record, &row.user)) {
                continue;
            }
            let permissions = parse(&row.permissions);
            match items.last_mut().filter(|last| last.id == row.id) {
                Some(last) => {
                    last.permissions = sorted(&last.permissions, &permissions);
                    last.expires = [last.expires, row.expires].into_iter().flatten().min();
                    last.note = last.note.take().or(row.note);
                }
                None => items.push(Obtained {
                    owner: record.owner.clone(),
                    state: lifecycle::name(lifecycle::effective(record, now)),
                    permissions,
                    expires: row.expires,
                    note: row.note,
                    id: row.id,
                }),
            }
        }
        Ok(Page { items, next })
    }
}

/// How many rows of a list are looked at before others have their turn.
const ROWS_AT_ONCE: usize = 32;

/// The rows of two pages by object, as far as both reach, and where to go on. What was granted by
/// name comes first.
fn merged(own: Vec<Grant>, all: Vec<Grant>, limit: usize) -> (Vec<Grant>, Option<String>) {
    // A page that is full says nothing of what comes after its last row.
    let end = |rows: &[Grant]| rows.last().filter(|_| rows.len() >= limit).map(|it| it.id.clone());
    let next = [end(&own), end(&all)].into_iter().flatten().min();
    let mut rows = own;
    rows.extend(all);
    rows.retain(|row| next.as_ref().is_none_or(|next| row.id <= *next));
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    (rows, next)
}

/// The object `id` if the caller owns it; otherwise it does not exist.
async fn own(unit: &mut Unit, caller: Caller<'_>, id: &str) -> Result<Object> {
    let object = unit.object(id).await?;
    let own = object.filter(|object| object.record().owner == caller.principal.user());
    own.ok_or_else(|| Error::not_found(id))
}

/// The register, which the first grant of Create makes.
async fn register(unit: &mut Unit) -> Result<Object> {
    if let Some(register) = unit.register().await? {
        return Ok(register);
    }
    Ok(unit.insert_register(StoredRecord {
        format: FORMAT,
        object_type: ObjectType::OpaqueObject,
        state: State::PreActive,
        owner: String::new(),
        attributes: Attributes::new(),
        key_block: StoredHeader::default(),
        material_tag: None,
        material_generation: 0,
        grant_epochs: Vec::new(),
    }))
}

/// Two first grants of Create at one time both make the register; one of them tries again.
fn first_of_all(id: &str, error: Error) -> Error {
    let is_taken = id == REGISTER && error.reason == ResultReason::ObjectAlreadyExists;
    if is_taken { Error::conflict(id) } else { error }
}

/// Whether the answer must not tell whether there is such an object.
fn is_hidden<T>(result: &Result<T>) -> bool {
    matches!(result, Err(error) if error.reason == ResultReason::ObjectNotFound)
}

/// Of no object in particular, only Create is granted.
fn check_create(change: Change<'_>) -> Result<()> {
    let permissions = match change {
        Change::Grant(terms) => terms.permissions,
        Change::Withdraw(permissions) => permissions,
    };
    if permissions.iter().all(|it| *it == Permission::Create) {
        return Ok(());
    }
    Err(Error::invalid("name the object: without one, only Create is granted"))
}

fn is_note(note: &str) -> bool {
    !note.is_empty() && note.len() <= NOTE_LENGTH_MAX && !note.chars().any(char::is_control)
}

/// The user that `name` means, in the one form that users are compared in; or why nobody can ever be
/// called so.
pub fn grantee(name: &str) -> std::result::Result<String, &'static str> {
    let user = normal_user(name)?;
    if user == EVERYBODY || user == ADMIN {
        return Ok(user);
    }
    let (issuer, name_there) = match user.split_once('|') {
        // An issuer keeps its case, and what was changed to be one is none.
        Some((issuer, there)) if name.starts_with(issuer) && issuer.contains("://") => {
            (Some(issuer), there)
        }
        _ => (None, user.as_str()),
    };
    if let Some(scope) = SCOPES.iter().find(|scope| name_there.starts_with(*scope)) {
        if name_there.len() == scope.len() {
            return Err("behind the colon of a scope follows a name");
        }
        // What stands behind the colon keeps its case, and what stood there is not known any more.
        let is_kept = name.ends_with(name_there);
        return if is_kept { Ok(user) } else { Err("scopes are in lower case, as in cert:NAME") };
    }
    let is_address = matches!(name_there.split_once('@'), Some((local, domain))
        if !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    if name_there.contains("://") {
        return Err("an issuer is in lower case, and behind it follow | and a user's name");
    }
    if is_address && !name_there.contains('|') {
        return Ok(user);
    }
    if name_there.contains(['@', '|']) {
        return Err("an e-mail address has one @, with something on both sides, and no |");
    }
    // Names without an @ come from the operator's map, which knows nothing of other issuers.
    if issuer.is_some() || name_there == EVERYBODY {
        return Err("behind an issuer and | follows an e-mail address, or client:NAME");
    }
    Ok(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_nobody_can_have_are_refused() {
        for (name, user) in [
            ("Bob@Example.com", "bob@example.com"),
            ("*", "*"),
            ("Admin", "admin"),
            ("ops", "ops"),
            ("cert:Backup-01", "cert:Backup-01"),
            ("token:CI@night", "token:CI@night"),
            ("client:a|b", "client:a|b"),
            ("https://id.example/|Bob@x.org", "https://id.example/|bob@x.org"),
            ("https://id.example/|client:CI", "https://id.example/|client:CI"),
        ] {
            assert_eq!(grantee(name).as_deref(), Ok(user), "{name}");
        }
        for name in [
            "",
            "a b@example.com",
            "b\u{f6}b@example.com",
            "bob@x.org\n",
            "@x.org",
            "bob@",
            "@",
            "a@b@c",
            "bob|x",
            "a|b@x.org",
            "cert:",
            "token:",
            "Cert:Backup-01",
            "CLIENT:ci",
            "https://id.example/",
            "https://id.example/|",
            "https://id.example/|bob",
            "https://id.example/|*",
            "https://id.example/|admin",
            "https://id.example/|client:",
            "https://id.example/|a@b@c",
            "HTTPS://id.example/|bob@x.org",
        ] {
            assert!(grantee(name).is_err(), "{name:?}");
        }
        assert!(grantee(&"a".repeat(256)).is_err());
    }

    #[test]
    fn pages_of_two_lists_are_merged_as_far_as_both_reach() {
        let rows = |user: &str, ids: &[&str]| -> Vec<Grant> {
            let row = |id: &&str| Grant {
                id: (*id).to_owned(),
                user: user.to_owned(),
                permissions: String::new(),
                expires: None,
                note: None,
                mac: Vec::new(),
                sealed_by: 1,
            };
            ids.iter().map(row).collect()
        };
        for (own, all, found, next) in [
            (&["a", "c"][..], &["b", "c"][..], "a=own b=all c=own c=all", Some("c")),
            (&["a", "b"], &["x", "y"], "a=own b=own", Some("b")),
            (&["a", "x"], &["b"], "a=own b=all x=own", Some("x")),
            (&["x"], &["a", "b"], "a=all b=all", Some("b")),
            (&["b"], &["a"], "a=all b=own", None),
            (&[], &[], "", None),
        ] {
            let (rows, end) = merged(rows("own", own), rows("all", all), 2);
            let text: Vec<_> = rows.iter().map(|it| format!("{}={}", it.id, it.user)).collect();
            assert_eq!((text.join(" ").as_str(), end.as_deref()), (found, next), "{own:?} {all:?}");
        }
    }
}
