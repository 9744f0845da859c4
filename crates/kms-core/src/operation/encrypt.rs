//! Encrypt: data under a key, whole or in parts (KMIP 2.1 section 6.1.17).

use std::sync::Arc;

use kmip::Version;
use kmip::attribute::CryptographicParameters;
use kmip::enumerations::{CryptographicUsageMask, ResultReason};
use kmip::operation::{EncryptRequest, EncryptResponse};
use kmip::stored::{self, StoredMaterial};
use kmip::wire::Bytes;
use kms_crypto::symmetric::Sealed;

use super::{Operation, Target};
use crate::access::{
    ACTIVE, Authorized, Grants, KEYS, Needs, PROCESS, Permission, Role, Row, Window, role,
};
use crate::context::Context;
use crate::deliver::{WrappingKey, unwrap};
use crate::error::{Error, Result};
use crate::mechanism::{self, Choice, Sides};
use crate::stream::{Part, Running};
use crate::custody::Vault;

pub(super) struct Encrypt;

/// The most bytes that are encrypted or decrypted by the thread that answers.
const QUICK_BYTES: usize = 4 << 20;

/// A key that is kept wrapped is used by whoever may unwrap it.
pub(super) const UNWRAPPING_KEY: Row =
    Row::new(Role::UnwrappingKey, Needs::Grant(Permission::Decrypt))
        .states(PROCESS)
        .usage(CryptographicUsageMask::UnwrapKey, Window::Process)
        .types(KEYS);

/// The key, and the one that unwraps it where it is kept wrapped.
pub(super) struct Keys<O> {
    pub(super) subject: Authorized<O, role::Subject>,
    unwrapping: Option<Authorized<O, role::UnwrappingKey>>,
}

impl Operation for Encrypt {
    type Request = EncryptRequest;
    type Response = EncryptResponse;
    const NEEDS: Needs = Needs::Grant(Permission::Encrypt);
    const ROLES: &'static [Row] = &[
        Row::new(Role::Subject, Self::NEEDS)
            .states(ACTIVE)
            .usage(CryptographicUsageMask::Encrypt, Window::Protect)
            .types(KEYS),
        UNWRAPPING_KEY,
    ];
    const WRITES: bool = false;

    async fn targets(context: &mut Context<'_>, request: &EncryptRequest) -> Result<Vec<Target>> {
        let id = context.resolve(request.unique_identifier.as_ref()).await?;
        Ok(vec![Target { unwrap: true, ..Target::new(Role::Subject, id) }])
    }

    async fn run(
        context: &mut Context<'_>,
        mut objects: Grants<Self>,
        request: EncryptRequest,
    ) -> Result<EncryptResponse> {
        let keys = Keys::take(&mut objects)?;
        let correlation = request.correlation_value.as_deref();
        match Part::of(correlation, request.init_indicator, request.final_indicator)? {
            Part::Whole => whole(context, keys, request).await,
            Part::First => first(context, &keys, &request).await,
            Part::Next { stream, last } => {
                next(context, &keys.subject, (stream, last), &request).await
            }
        }
    }
}

/// Clients send empty byte strings for what is not there.
pub(super) fn given(bytes: Option<&Bytes>) -> Option<&[u8]> {
    bytes.map(|bytes| &**bytes).filter(|bytes| !bytes.is_empty())
}

pub(super) fn missing_data() -> Error {
    Error::new(ResultReason::InvalidMessage, "the request has no Data")
}

/// KMIP 1.2 and 1.3 have no field for the authentication tag: there it ends the data.
pub(super) fn tag_ends_data(version: Version) -> bool {
    version < Version::V1_4
}

impl<O: Operation> Keys<O> {
    pub(super) fn take(objects: &mut Grants<O>) -> Result<Self> {
        let subject = objects.take::<role::Subject>()?;
        Ok(Self { subject, unwrapping: objects.maybe::<role::UnwrappingKey>() })
    }

    /// The mechanism that is meant.
    pub(super) fn choose<'a>(
        &'a self,
        parameters: Option<&'a CryptographicParameters>,
        iv: Option<&[u8]>,
    ) -> Result<Choice<'a>> {
        mechanism::choose(&self.subject.record().attributes, parameters, iv)
    }

    /// Whether doing it with so many bytes takes milliseconds, which a thread that answers others
    /// has not.
    pub(super) fn takes_long(&self, length: usize) -> bool {
        let unwrapping = self.unwrapping.as_ref();
        length > QUICK_BYTES
            || mechanism::takes_long(self.subject.record())
            || unwrapping.is_some_and(|key| mechanism::takes_long(key.record()))
    }

    /// Opens the key, and unwraps it where it is kept wrapped.
    pub(super) fn open(&self, vault: &Vault, version: Version) -> Result<StoredMaterial> {
        let material = self.subject.open(vault)?;
        let record = self.subject.record();
        if record.key_block.key_wrapping_data.is_none() {
            return Ok(material);
        }
        let absent = || Error::new(ResultReason::KeyValueNotPresent, KEPT_WRAPPED);
        let key = self.unwrapping.as_ref().ok_or_else(absent)?;
        let key = WrappingKey {
            id: key.id().to_owned(),
            algorithm: key.record().attributes.cryptographic_algorithm(),
            material: key.open(vault)?,
            object: key.object().clone(),
        };
        let object = stored::join(record.object_type, &record.key_block, material);
        let mut object = object.map_err(Error::internal)?;
        let block = object.key_block_mut().ok_or_else(absent)?;
        unwrap(version, block, &key)?;
        block.key_value.take().map(StoredMaterial::Key).ok_or_else(absent)
    }
}

const KEPT_WRAPPED: &str = "the key is kept wrapped, and its wrapping data names no key that \
                            unwraps it; import it unwrapped";

async fn whole(
    context: &Context<'_>,
    keys: Keys<Encrypt>,
    mut request: EncryptRequest,
) -> Result<EncryptResponse> {
    let Bytes(data) = request.data.take().ok_or_else(missing_data)?;
    let length = data.len();
    let own_iv = given(request.iv_counter_nonce.as_ref());
    let choice = keys.choose(request.cryptographic_parameters.as_deref(), own_iv)?;
    let made = made_iv(context, &keys.subject, &choice, own_iv).await?;
    let version = context.version;
    if !keys.takes_long(length) {
        let response = sealed(context.vault(), version, &keys, (&choice, &request), (data, made))?;
        context.service.count_use(keys.subject.object(), length, 1).await?;
        return Ok(response);
    }
    let vault = Arc::clone(&context.service.vault);
    let aside = move || {
        let own_iv = given(request.iv_counter_nonce.as_ref());
        let choice = keys.choose(request.cryptographic_parameters.as_deref(), own_iv)?;
        let response = sealed(&vault, version, &keys, (&choice, &request), (data, made))?;
        Ok((response, keys))
    };
    // Boxed, since it is rare: what every request carries along stays small.
    let (response, keys) = Box::pin(context.service.aside(aside)).await??;
    context.service.count_use(keys.subject.object(), length, 1).await?;
    Ok(response)
}

/// The data under the key, with the IV that was given or made.
fn sealed(
    vault: &Vault,
    version: Version,
    keys: &Keys<Encrypt>,
    (choice, request): (&Choice<'_>, &EncryptRequest),
    (data, made): (Vec<u8>, Option<Vec<u8>>),
) -> Result<EncryptResponse> {
    let own_iv = given(request.iv_counter_nonce.as_ref());
    let iv = own_iv.or(made.as_deref()).unwrap_or_default();
    let aad = given(request.authenticated_encryption_additional_data.as_ref());
    let sides = Sides { iv, aad: aad.unwrap_or_default() };
    let Sealed { mut data, tag } = choice.encrypt(&keys.open(vault, version)?, sides, data)?;
    let mut authenticated_encryption_tag = None;
    if choice.authenticates() {
        if tag_ends_data(version) {
            data.extend_from_slice(&tag);
        } else {
            authenticated_encryption_tag = Some(Bytes(tag.to_vec()));
        }
    }
    Ok(EncryptResponse {
        unique_identifier: keys.subject.id().to_owned(),
        data: Some(Bytes(data)),
        iv_counter_nonce: made.map(Bytes),
        correlation_value: None,
        authenticated_encryption_tag,
    })
}

/// A fresh IV where one is needed, counted where two that are equal would give texts away.
async fn made_iv(
    context: &Context<'_>,
    subject: &Authorized<Encrypt, role::Subject>,
    choice: &Choice<'_>,
    given: Option<&[u8]>,
) -> Result<Option<Vec<u8>>> {
    let made = choice.make_iv(given)?;
    if made.is_some() && choice.counts_nonces() {
        context.service.count_random_nonce(subject.object()).await?;
    }
    Ok(made)
}

async fn first(
    context: &Context<'_>,
    keys: &Keys<Encrypt>,
    request: &EncryptRequest,
) -> Result<EncryptResponse> {
    let subject = &keys.subject;
    let own_iv = given(request.iv_counter_nonce.as_ref());
    let choice = keys.choose(request.cryptographic_parameters.as_deref(), own_iv)?;
    let made = made_iv(context, subject, &choice, own_iv).await?;
    let iv = own_iv.or(made.as_deref()).unwrap_or_default();
    let aad = given(request.authenticated_encryption_additional_data.as_ref());
    let sides = Sides { iv, aad: aad.unwrap_or_default() };
    let limit = context.service.policy.held_back_max;
    let stream = choice.encryptor(&keys.open(context.vault(), context.version)?, sides, limit)?;
    let input = request.data.as_deref().unwrap_or_default();
    let mut output = Vec::with_capacity(input.len());
    let mut running = Running {
        user: context.principal.user().to_owned(),
        key: subject.id().to_owned(),
        encrypts: true,
        stream,
        tag: Vec::new(),
        tag_length: 0,
        held: 0,
        touched: context.now,
    };
    running.update(input, &mut output)?;
    context.service.count_use(subject.object(), input.len(), 1).await?;
    let correlation = context.service.streams.keep(running)?;
    Ok(EncryptResponse {
        unique_identifier: subject.id().to_owned(),
        data: Some(output).filter(|data| !data.is_empty()).map(Bytes),
        iv_counter_nonce: made.map(Bytes),
        correlation_value: Some(Bytes(correlation)),
        authenticated_encryption_tag: None,
    })
}

/// A part after the first. The key was authorised again: one revoked in between is refused by now.
async fn next(
    context: &Context<'_>,
    subject: &Authorized<Encrypt, role::Subject>,
    (value, last): (&[u8], bool),
    request: &EncryptRequest,
) -> Result<EncryptResponse> {
    if given(request.authenticated_encryption_additional_data.as_ref()).is_some() {
        return Err(late("additional data"));
    }
    let streams = &context.service.streams;
    let who = (context.principal.user(), subject.id());
    let mut running = streams.take(value, who, true, context.now)?;
    let input = request.data.as_deref().unwrap_or_default();
    let mut output = Vec::with_capacity(input.len());
    running.update(input, &mut output)?;
    context.service.count_use(subject.object(), input.len(), 0).await?;
    let mut response = EncryptResponse {
        unique_identifier: subject.id().to_owned(),
        data: None,
        iv_counter_nonce: None,
        correlation_value: None,
        authenticated_encryption_tag: None,
    };
    if last {
        let tag = running.stream.finish(&[], &mut output).map_err(mechanism::failure)?;
        if tag_ends_data(context.version) {
            output.extend_from_slice(&tag);
        } else if !tag.is_empty() {
            response.authenticated_encryption_tag = Some(Bytes(tag.to_vec()));
        }
    } else {
        running.touched = context.now;
        streams.keep_as(value.to_vec(), running)?;
        response.correlation_value = Some(Bytes(value.to_vec()));
    }
    response.data = Some(output).filter(|data| !data.is_empty()).map(Bytes);
    Ok(response)
}

/// What must come with the first part.
pub(super) fn late(what: &str) -> Error {
    Error::new(
        ResultReason::InvalidMessage,
        format!("{what} must come with the first part of a multi-part operation"),
    )
}
