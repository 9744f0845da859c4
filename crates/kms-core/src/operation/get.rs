//! Get: the object itself (KMIP 2.1 section 6.1.20).

use kmip::enumerations::{CryptographicUsageMask, KeyWrapType};
use kmip::object::KeyWrappingSpecification;
use kmip::operation::{GetRequest, GetResponse};

use super::{Operation, Target};
use crate::access::{
    ACTIVE, Authorized, Grants, KEYS, Needs, PROCESS, Permission, Role, Row, Window, role,
};
use crate::attribute_rules::served;
use crate::context::Context;
use crate::deliver::{Wanted, WrappingKey, deliver};
use crate::error::Result;

pub(super) struct Get;

/// Taking a key out: the right to the key; where it is wrapped, the right to encrypt under the
/// wrapping key, and where it is unwrapped, to decrypt: nobody uses another's key as an oracle.
pub(super) const TAKE_OUT: &[Row] = &[
    Row::new(Role::Subject, Needs::Grant(Permission::Get)),
    Row::new(Role::WrappingKey, Needs::Grant(Permission::Encrypt))
        .states(ACTIVE)
        .usage(CryptographicUsageMask::WrapKey, Window::Protect)
        .types(KEYS),
    Row::new(Role::UnwrappingKey, Needs::Grant(Permission::Decrypt))
        .states(PROCESS)
        .usage(CryptographicUsageMask::UnwrapKey, Window::Process)
        .types(KEYS),
];

impl Operation for Get {
    type Request = GetRequest;
    type Response = GetResponse;
    const NEEDS: Needs = Needs::Grant(Permission::Get);
    const ROLES: &'static [Row] = TAKE_OUT;
    // It notes that the key was taken out.
    const CHANGES: bool = false;

    async fn targets(context: &mut Context<'_>, request: &GetRequest) -> Result<Vec<Target>> {
        let id = context.resolve(request.unique_identifier.as_ref()).await?;
        let wrapping = request.key_wrapping_specification.as_deref();
        targets(context, id, request.key_wrap_type, wrapping).await
    }

    async fn run(
        context: &mut Context<'_>,
        mut objects: Grants<Self>,
        request: GetRequest,
    ) -> Result<GetResponse> {
        let subject = objects.take::<role::Subject>()?;
        let wanted = Wanted {
            format: request.key_format_type,
            wrap_type: request.key_wrap_type,
            compression: request.key_compression_type,
            wrapping: request.key_wrapping_specification.as_deref(),
            wrapping_key: opened(context, objects.maybe::<role::WrappingKey>())?,
            unwrapping_key: opened(context, objects.maybe::<role::UnwrappingKey>())?,
        };
        let material = subject.open(context.vault())?;
        let (id, record) = (subject.id(), subject.record());
        let object = deliver(context, id, record, material, &wanted)?;
        context.service.count_wrapping(wanted.wrapping_key.as_ref(), &object).await?;
        if let Some(served) = served(record) {
            context.unit.update(subject.object(), served);
        }
        Ok(GetResponse {
            object_type: record.object_type,
            unique_identifier: id.to_owned(),
            object,
        })
    }
}

/// The key that is asked for, and the one that is to wrap it.
pub(super) async fn targets(
    context: &mut Context<'_>,
    id: String,
    wrap_type: Option<KeyWrapType>,
    wrapping: Option<&KeyWrappingSpecification>,
) -> Result<Vec<Target>> {
    let unwrap = wrap_type == Some(KeyWrapType::NotWrapped);
    let mut targets = vec![Target { unwrap, ..Target::new(Role::Subject, id) }];
    let information = wrapping.and_then(|it| it.encryption_key_information.as_ref());
    if let Some(information) = information {
        let id = context.resolve(Some(&information.unique_identifier)).await?;
        targets.push(Target::new(Role::WrappingKey, id));
    }
    Ok(targets)
}

/// The wrapping key, opened.
pub(super) fn opened<O, R>(
    context: &Context<'_>,
    key: Option<Authorized<O, R>>,
) -> Result<Option<WrappingKey>> {
    let Some(key) = key else { return Ok(None) };
    Ok(Some(WrappingKey {
        id: key.id().to_owned(),
        algorithm: key.record().attributes.cryptographic_algorithm(),
        material: key.open(context.vault())?,
        object: key.object().clone(),
    }))
}
