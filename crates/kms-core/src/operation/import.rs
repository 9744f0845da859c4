//! Import: an object with its attributes and its identifier (KMIP 2.1 section 6.1.27).

use kmip::attribute::{Attribute, AttributeKind};
use kmip::enumerations::{CryptographicUsageMask, KeyWrapType, ObjectType, ResultReason};
use kmip::object::Object as ManagedObject;
use kmip::operation::{ImportRequest, ImportResponse};

use super::get::opened;
use super::{Operation, Target};
use crate::access::{
    ANY_STATE, Grants, KEYS, Makes, Needs, PROCESS, Permission, Role, Row, Window, role,
};
use crate::attribute_rules::{Origin, admit, take_chosen_id};
use crate::context::{Context, check_chosen_id, new_id, refused_id};
use crate::deliver::{WrappingKey, unwrap};
use crate::error::{Error, Result};
use crate::material::new_object;
use crate::mechanism;
use crate::policy;
use crate::unit::from_store;

pub(super) struct Import;

impl Operation for Import {
    type Request = ImportRequest;
    type Response = ImportResponse;
    const NEEDS: Needs = Needs::Grant(Permission::Import);
    const ROLES: &'static [Row] = &[
        // The object that is replaced, where there is one.
        Row::new(Role::Subject, Self::NEEDS).states(ANY_STATE).optional(),
        Row::new(Role::UnwrappingKey, Needs::Grant(Permission::Decrypt))
            .states(PROCESS)
            .usage(CryptographicUsageMask::UnwrapKey, Window::Process)
            .types(KEYS),
    ];
    const MAKES: Makes = Makes::UnlessReplaced;

    async fn targets(context: &mut Context<'_>, request: &ImportRequest) -> Result<Vec<Target>> {
        let mut targets = Vec::new();
        if request.replace_existing == Some(true) {
            targets.push(Target::new(Role::Subject, request.unique_identifier.clone()));
        }
        let block = request.object.key_block();
        let wrapping = block.and_then(|block| block.key_wrapping_data.as_ref());
        let information = wrapping.and_then(|data| data.encryption_key_information.as_ref());
        if request.key_wrap_type == Some(KeyWrapType::NotWrapped)
            && let Some(information) = information
        {
            let id = context.resolve(Some(&information.unique_identifier)).await?;
            targets.push(Target::new(Role::UnwrappingKey, id));
        }
        if request.replace_existing == Some(true) {
            check_reusable(context, &request.unique_identifier).await?;
        } else {
            policy::may_create(context).await?;
        }
        Ok(targets)
    }

    async fn run(
        context: &mut Context<'_>,
        mut objects: Grants<Self>,
        request: ImportRequest,
    ) -> Result<ImportResponse> {
        let mut object = request.object;
        let object_type = object.object_type();
        if request.object_type.is_some_and(|said| said != object_type) {
            return Err(Error::new(
                ResultReason::InvalidField,
                format!("Object Type says {:?}; {object_type:?} follows", request.object_type),
            ));
        }
        let existing = objects.maybe::<role::Subject>();
        let key = opened(context, objects.maybe::<role::UnwrappingKey>())?;
        if request.key_wrap_type == Some(KeyWrapType::NotWrapped)
            && object.key_block().is_some_and(|block| block.key_wrapping_data.is_some())
        {
            let key = key.ok_or_else(|| {
                Error::new(
                    ResultReason::WrappingObjectNotFound,
                    "the Key Wrapping Data names no key to unwrap with",
                )
            })?;
            object = unwrapped(context, object, key).await?;
        }
        let mut attributes = admit(object_type, request.attributes, Origin::Imported)?;
        // The request's own field is the identifier, whatever the attributes say.
        take_chosen_id(&mut attributes);
        if let Some(usage) = usual_usage(object_type)
            && !attributes.has(AttributeKind::CryptographicUsageMask)
        {
            attributes.set(Attribute::CryptographicUsageMask(usage));
        }
        let mut new = new_object(context, object, attributes, None)?;
        let id = request.unique_identifier;
        let Some(existing) = existing else {
            let id = new_id(Some(id).filter(|id| !id.is_empty()))?;
            context.unit.insert(&id, new.record, new.material)?;
            return Ok(ImportResponse { unique_identifier: id });
        };
        // Its owner stays its owner, and what was granted stays granted.
        new.record.owner.clone_from(&existing.record().owner);
        new.record.grant_epochs.clone_from(&existing.record().grant_epochs);
        context.unit.replace(existing.object(), new.record, new.material);
        Ok(ImportResponse { unique_identifier: id })
    }
}

/// Refuses an identifier that cannot be had before the object is looked at, as one that another
/// owns is refused: the answer to a malformed object must not tell the two apart.
async fn check_reusable(context: &mut Context<'_>, id: &str) -> Result<()> {
    if !id.is_empty() && context.unit.object(id).await?.is_some() {
        return Ok(());
    }
    context.veil.draw();
    // What is not there is made.
    policy::may_create(context).await?;
    if id.is_empty() {
        return Ok(());
    }
    check_chosen_id(id)?;
    let removed = context.service.store.removed(id).await.map_err(from_store)?;
    if removed { Err(refused_id(id)) } else { Ok(()) }
}

/// The object taken out of its wrapping; beside the thread that answers, where that takes long.
async fn unwrapped(
    context: &Context<'_>,
    mut object: ManagedObject,
    key: WrappingKey,
) -> Result<ManagedObject> {
    let version = context.version;
    let slow = mechanism::takes_long(key.object.record());
    let work = move || {
        if let Some(block) = object.key_block_mut() {
            unwrap(version, block, &key)?;
        }
        Ok(object)
    };
    if slow { context.service.aside(work).await? } else { work() }
}

/// What an imported key may do where its attributes do not say: what its type is usually for. The
/// recorded clients import keys without a usage mask.
fn usual_usage(object_type: ObjectType) -> Option<CryptographicUsageMask> {
    use CryptographicUsageMask as Usage;
    let bits = match object_type {
        ObjectType::SymmetricKey => {
            [Usage::Encrypt, Usage::Decrypt, Usage::WrapKey, Usage::UnwrapKey]
        }
        ObjectType::PrivateKey => {
            [Usage::Sign, Usage::Decrypt, Usage::UnwrapKey, Usage::KeyAgreement]
        }
        ObjectType::PublicKey => {
            [Usage::Verify, Usage::Encrypt, Usage::WrapKey, Usage::KeyAgreement]
        }
        _ => return None,
    };
    Some(Usage(bits.iter().fold(0, |mask, bit| mask | bit.0)))
}
