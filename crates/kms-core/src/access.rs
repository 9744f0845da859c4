//! Who may do what: one row per role of an operation, and one function that decides.
//!
//! A handler receives an [`Authorized`] for each object its request names, and nothing else leads
//! to a key: only this module makes one. An object that the caller may not see gets the answer for
//! one that does not exist, and that answer is made here alone. This module must never know what
//! an operation does with an object.

use std::marker::PhantomData;

use kmip::enumerations::{CryptographicUsageMask, ObjectType, ResultReason, State};
use kmip::stored::StoredRecord;
use kmip::wire::DateTime;

use crate::context::{Context, refused_id};
use crate::custody::Vault;
use crate::error::{Error, Result};
use crate::lifecycle;
use crate::object::{Material, Object};
use crate::operation::Operation;
use crate::policy;

/// What an owner can let others do with an object. The names are those of the database and of the
/// access routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Make objects: granted on no object in particular.
    Create,
    /// Take the key out, wrapped or not.
    Get,
    /// Encrypt, and wrap keys.
    Encrypt,
    /// Decrypt, and unwrap keys.
    Decrypt,
    /// Import over the object.
    Import,
    /// Revoke.
    Revoke,
    /// Find the object and read its attributes.
    Locate,
    /// Replace the key by a new one.
    Rekey,
    /// Destroy.
    Destroy,
}

impl Permission {
    /// Every permission, in the order in which lists show them.
    pub const ALL: [Self; 9] = [
        Self::Create,
        Self::Get,
        Self::Encrypt,
        Self::Decrypt,
        Self::Import,
        Self::Revoke,
        Self::Locate,
        Self::Rekey,
        Self::Destroy,
    ];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Get => "Get",
            Self::Encrypt => "Encrypt",
            Self::Decrypt => "Decrypt",
            Self::Import => "Import",
            Self::Revoke => "Revoke",
            Self::Locate => "Locate",
            Self::Rekey => "Rekey",
            Self::Destroy => "Destroy",
        }
    }

    /// The permission of this name, in capitals or not.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name().eq_ignore_ascii_case(name))
    }
}

/// The part an object plays in an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The object that the operation is about.
    Subject,
    /// The key that wraps what goes out.
    WrappingKey,
    /// The key that unwraps what comes in.
    UnwrappingKey,
    /// What a key is derived from.
    Base,
    /// A share of a split key.
    Share,
    /// The key that signs a certificate.
    Issuer,
    /// The other half of a key pair.
    PairHalf,
}

/// Who may: one of four answers, for each operation, and for each role an object plays in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// The owner, or a user to whom this was granted.
    Grant(Permission),
    /// The owner, or a user to whom anything was granted.
    AnyGrant,
    /// The owner alone.
    Owner,
    /// Anyone who knows the server: the operation is about no object. An object is never anyone's.
    Anyone,
}

impl Needs {
    /// Whether who was granted this by an object's owner may use it.
    fn met_by(self, granted: &[Permission]) -> bool {
        match self {
            Self::Grant(permission) => granted.contains(&permission),
            Self::AnyGrant => !granted.is_empty(),
            Self::Owner | Self::Anyone => false,
        }
    }
}

/// Whether an operation makes objects, which policy may keep to some users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Makes {
    /// It makes none.
    Nothing,
    /// It makes some.
    Objects,
    /// It makes one where it replaces none.
    UnlessReplaced,
}

/// What an operation asks: a row of the table of all operations.
#[derive(Clone, Copy, Debug)]
pub struct OperationRow {
    /// Its name.
    pub name: &'static str,
    /// Who may; where an object is its subject, the same as in that role.
    pub needs: Needs,
    /// Whether it makes objects.
    pub makes: Makes,
    /// What each role asks of caller and object.
    pub roles: &'static [Row],
}

/// Which of an object's dates bear on a role, besides its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// None.
    Any,
    /// Protection is applied: not after Protect Stop Date.
    Protect,
    /// Protected data is processed: not before Process Start Date.
    Process,
}

/// A row of the access table: what one role of one operation asks of caller and object.
#[derive(Debug)]
pub struct Row {
    /// The role.
    pub role: Role,
    /// Who may.
    pub needs: Needs,
    /// In which states; the effective state counts.
    pub states: &'static [State],
    /// Bits of the Cryptographic Usage Mask, of which all must be set.
    pub usage: u32,
    /// Which dates bear on it.
    pub window: Window,
    /// Which types of object.
    pub types: &'static [ObjectType],
    /// Whether an object that is missing, hidden, of another type or in another state is passed
    /// over instead of refused: for the halves that a cascade follows.
    pub optional: bool,
}

impl Row {
    /// A row for any object whose material is still there, without a usage.
    pub const fn new(role: Role, needs: Needs) -> Self {
        Self {
            role,
            needs,
            states: ALIVE,
            usage: 0,
            window: Window::Any,
            types: ANY_TYPE,
            optional: false,
        }
    }

    /// The same in other states.
    #[must_use]
    pub const fn states(mut self, states: &'static [State]) -> Self {
        self.states = states;
        self
    }

    /// The same with a usage and its dates.
    #[must_use]
    pub const fn usage(mut self, usage: CryptographicUsageMask, window: Window) -> Self {
        self.usage = usage.0;
        self.window = window;
        self
    }

    /// The same for other types of object.
    #[must_use]
    pub const fn types(mut self, types: &'static [ObjectType]) -> Self {
        self.types = types;
        self
    }

    /// The same, passed over where it cannot be had.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
}

/// Every type of object that is kept.
pub(crate) const ANY_TYPE: &[ObjectType] = &[
    ObjectType::Certificate,
    ObjectType::SymmetricKey,
    ObjectType::PublicKey,
    ObjectType::PrivateKey,
    ObjectType::SecretData,
    ObjectType::OpaqueObject,
];
/// The types that have a key to compute with.
pub(crate) const KEYS: &[ObjectType] =
    &[ObjectType::SymmetricKey, ObjectType::PublicKey, ObjectType::PrivateKey];
/// Every state.
pub(crate) const ANY_STATE: &[State] = &[
    State::PreActive,
    State::Active,
    State::Deactivated,
    State::Compromised,
    State::Destroyed,
    State::DestroyedCompromised,
];
/// The states in which the material is still there.
pub(crate) const ALIVE: &[State] =
    &[State::PreActive, State::Active, State::Deactivated, State::Compromised];
/// Protection may be applied.
pub(crate) const ACTIVE: &[State] = &[State::Active];
/// What was protected may still be processed.
pub(crate) const PROCESS: &[State] = &[State::Active, State::Deactivated, State::Compromised];

/// How a caller stands to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// Its owner.
    Owner,
    /// Anybody else, with what was granted to them, by name or as one of everybody, and has not
    /// ended: nothing, to a stranger.
    Other(&'a [Permission]),
}

/// Why a row says no. The order is the order of the checks: rights first, so that a stranger
/// learns nothing of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The caller may not see it.
    Hidden,
    /// The operation is not for this type.
    Type,
    /// The key material is gone.
    Destroyed,
    /// Not in this state.
    State,
    /// Its usage mask lacks a bit.
    Usage,
    /// A date forbids it.
    Date,
}

/// Decides. Nothing else in the program does.
pub fn decide(
    row: &Row,
    standing: Standing<'_>,
    object_type: ObjectType,
    state: State,
    usage: u32,
) -> std::result::Result<(), Refusal> {
    let may = match standing {
        Standing::Owner => true,
        Standing::Other(granted) => row.needs.met_by(granted),
    };
    if !may {
        return Err(Refusal::Hidden);
    }
    if !row.types.contains(&object_type) {
        return Err(Refusal::Type);
    }
    if !row.states.contains(&state) {
        let gone = lifecycle::is_destroyed(state);
        return Err(if gone { Refusal::Destroyed } else { Refusal::State });
    }
    if usage & row.usage != row.usage {
        return Err(Refusal::Usage);
    }
    Ok(())
}

/// The markers that name a role as a type.
pub(crate) mod role {
    use super::Role;

    /// A role as a type, so that a handler cannot take one object for another.
    pub(crate) trait Marker {
        const ROLE: Role;
    }

    macro_rules! markers {
        ($($name:ident,)*) => {
            $(
                #[doc = concat!("[`Role::", stringify!($name), "`].")]
                pub(crate) struct $name;
                impl Marker for $name {
                    const ROLE: Role = Role::$name;
                }
            )*
        };
    }
    markers! { Subject, WrappingKey, UnwrappingKey, PairHalf, }
}

/// An object that operation `O` may use in role `R`. Only [`authorize`] makes one.
pub(crate) struct Authorized<O, R> {
    object: Object,
    marker: PhantomData<fn() -> (O, R)>,
}

impl<O, R> Authorized<O, R> {
    pub(crate) fn id(&self) -> &str {
        self.object.id()
    }

    pub(crate) fn record(&self) -> &StoredRecord {
        self.object.record()
    }

    /// The object, for the unit's writes.
    pub(crate) fn object(&self) -> &Object {
        &self.object
    }

    /// Opens the key material. It is wiped when the value is dropped: at the end of the operation.
    pub(crate) fn open(&self, vault: &Vault) -> Result<Material> {
        self.object.open(vault)
    }
}

/// The objects of one request, each in its role.
pub(crate) struct Grants<O> {
    objects: Vec<(Role, Object)>,
    marker: PhantomData<fn() -> O>,
}

impl<O: Operation> Grants<O> {
    /// The object in role `R`, where the request names one.
    pub(crate) fn maybe<R: role::Marker>(&mut self) -> Option<Authorized<O, R>> {
        let at = self.objects.iter().position(|(role, _)| *role == R::ROLE)?;
        let (_, object) = self.objects.remove(at);
        Some(Authorized { object, marker: PhantomData })
    }

    /// The object in role `R`.
    pub(crate) fn take<R: role::Marker>(&mut self) -> Result<Authorized<O, R>> {
        self.maybe::<R>().ok_or_else(|| {
            Error::new(
                ResultReason::InvalidMessage,
                "the request names no object (Unique Identifier)",
            )
        })
    }
}

/// Authorises each object that `request` names, in its role.
pub(crate) async fn authorize<O: Operation>(
    context: &mut Context<'_>,
    request: &O::Request,
) -> Result<Grants<O>> {
    let mut objects = Vec::new();
    for target in O::targets(context, request).await? {
        let row = O::ROLES.iter().find(|row| row.role == target.role);
        let row = row.ok_or_else(|| Error::internal("an operation names a role without a row"))?;
        context.unit.name(&target.id);
        if let Some(object) = admit(context, row, &target.id).await? {
            if target.cascade {
                follow::<O>(context, &object, &mut objects).await?;
            }
            if target.unwrap {
                unwrapping::<O>(context, &object, &mut objects).await?;
            }
            objects.push((target.role, object));
        }
    }
    Ok(Grants { objects, marker: PhantomData })
}

/// The other halves that a cascade reaches from `object`, by its links.
async fn follow<O: Operation>(
    context: &mut Context<'_>,
    object: &Object,
    objects: &mut Vec<(Role, Object)>,
) -> Result<()> {
    let Some(row) = O::ROLES.iter().find(|row| row.role == Role::PairHalf) else { return Ok(()) };
    for half in object.pair_halves() {
        if let Some(half) = admit(context, row, &half).await? {
            context.unit.name(half.id());
            objects.push((Role::PairHalf, half));
        }
    }
    Ok(())
}

/// The key that wrapped what `object` is kept as, where it is kept wrapped.
async fn unwrapping<O: Operation>(
    context: &mut Context<'_>,
    object: &Object,
    objects: &mut Vec<(Role, Object)>,
) -> Result<()> {
    let row = O::ROLES.iter().find(|row| row.role == Role::UnwrappingKey);
    if let (Some(row), Some(id)) = (row, object.wrapped_by())
        && let Some(key) = admit(context, row, &id).await?
    {
        context.unit.name(key.id());
        objects.push((Role::UnwrappingKey, key));
    }
    Ok(())
}

/// The object `id` if the caller may use it in `row`'s role.
pub(crate) async fn admit(
    context: &mut Context<'_>,
    row: &Row,
    id: &str,
) -> Result<Option<Object>> {
    let user = context.principal.user();
    let Some(object) = context.unit.object_for(id, user).await? else {
        context.veil.draw();
        return if row.optional { Ok(None) } else { Err(Error::not_found(id)) };
    };
    let granted = granted(context, row, &object).await?;
    let record = object.record();
    let state = lifecycle::effective(record, context.now);
    let usage = allowed_usage(record);
    let standing = granted.as_deref().map_or(Standing::Owner, Standing::Other);
    let refusal = match decide(row, standing, record.object_type, state, usage) {
        Ok(()) if dates_allow(row, record, context.now) => return Ok(Some(object)),
        Ok(()) => Refusal::Date,
        Err(refusal) => refusal,
    };
    if refusal == Refusal::Hidden {
        context.veil.draw();
    }
    match refusal {
        Refusal::Type | Refusal::State | Refusal::Destroyed if row.optional => Ok(None),
        // A link may name anything: what the caller may not see is passed over like what is not
        // there, or links would tell the two apart.
        Refusal::Hidden if row.optional && row.role == Role::PairHalf => Ok(None),
        // Who may not make objects is told so, whether there is one to be replaced or not.
        Refusal::Hidden if row.optional => {
            policy::may_create(context).await?;
            Err(refused_id(id))
        }
        refusal => Err(explain(row, refusal, id, record.object_type, state)),
    }
}

/// The bits of the usage mask; Unrestricted stands for all of them.
fn allowed_usage(record: &StoredRecord) -> u32 {
    match record.attributes.cryptographic_usage_mask() {
        Some(mask) if mask.contains(CryptographicUsageMask::Unrestricted) => u32::MAX,
        Some(mask) => mask.0,
        None => 0,
    }
}

/// What was granted to the caller on `object`, as far as it bears on `row`; `None` to its owner.
async fn granted(
    context: &mut Context<'_>,
    row: &Row,
    object: &Object,
) -> Result<Option<Vec<Permission>>> {
    let user = context.principal.user();
    if object.record().owner == user {
        return Ok(None);
    }
    match row.needs {
        Needs::Grant(_) | Needs::AnyGrant => {
            context.unit.permissions(object, user, context.now).await.map(Some)
        }
        Needs::Owner | Needs::Anyone => Ok(Some(Vec::new())),
    }
}

fn dates_allow(row: &Row, record: &StoredRecord, now: i64) -> bool {
    let attributes = &record.attributes;
    let after = |date: Option<DateTime>| date.is_none_or(|date| date.0 <= now);
    match row.window {
        Window::Any => true,
        Window::Protect => attributes.protect_stop_date().is_none_or(|date| now < date.0),
        Window::Process => after(attributes.process_start_date()),
    }
}

fn explain(row: &Row, refusal: Refusal, id: &str, object_type: ObjectType, state: State) -> Error {
    let state = lifecycle::name(state);
    match refusal {
        Refusal::Hidden => Error::not_found(id),
        Refusal::Type => Error::new(
            ResultReason::InvalidObjectType,
            format!("this operation is not for a {object_type:?}"),
        ),
        Refusal::Destroyed => Error::new(
            ResultReason::ObjectDestroyed,
            format!("the object is {state}: its key material is gone"),
        ),
        Refusal::State => {
            let needed: Vec<_> = row.states.iter().map(|it| lifecycle::name(*it)).collect();
            let needed = needed.join(" or ");
            Error::new(
                ResultReason::WrongKeyLifecycleState,
                format!("the object is {state}; this operation needs it to be {needed}"),
            )
        }
        Refusal::Usage => Error::new(
            ResultReason::IncompatibleCryptographicUsageMask,
            format!(
                "the object's Cryptographic Usage Mask does not allow this: it lacks {:?}",
                CryptographicUsageMask(row.usage)
            ),
        ),
        Refusal::Date => Error::new(
            ResultReason::WrongKeyLifecycleState,
            "the object's Process Start Date or Protect Stop Date does not allow this now",
        ),
    }
}

/// Whether the caller finds `object` under `row`: for what a search comes upon.
pub(crate) async fn finds(context: &mut Context<'_>, row: &Row, object: &Object) -> Result<bool> {
    let granted = granted(context, row, object).await?;
    let standing = granted.as_deref().map_or(Standing::Owner, Standing::Other);
    let record = object.record();
    let state = lifecycle::effective(record, context.now);
    Ok(decide(row, standing, record.object_type, state, u32::MAX).is_ok())
}

/// What an object that is named by its tags must be seen by.
const SEEN: Row = Row::new(Role::Subject, Needs::AnyGrant).states(ANY_STATE);

/// Whether the caller owns `object` or was granted anything on it: for naming it by its tags. What
/// they may do with it is decided when they do it.
pub(crate) async fn sees(context: &mut Context<'_>, object: &Object) -> Result<bool> {
    finds(context, &SEEN, object).await
}
