//! Decrypt: the reverse of Encrypt (KMIP 2.1 section 6.1.11). In parts, what is authenticated is
//! given out only when its tag was verified.

use std::sync::Arc;

use kmip::Version;
use kmip::enumerations::{CryptographicUsageMask, ResultReason};
use kmip::operation::{DecryptRequest, DecryptResponse};
use kmip::wire::Bytes;

use super::encrypt::{Keys, UNWRAPPING_KEY, given, late, missing_data, tag_ends_data};
use super::{Operation, Target};
use crate::access::{
    Authorized, Grants, KEYS, Needs, PROCESS, Permission, Role, Row, Window, role,
};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::mechanism::{self, Sides};
use crate::stream::{Part, Running};
use crate::custody::Vault;

pub(super) struct Decrypt;

type Subject = Authorized<Decrypt, role::Subject>;

impl Operation for Decrypt {
    type Request = DecryptRequest;
    type Response = DecryptResponse;
    const NEEDS: Needs = Needs::Grant(Permission::Decrypt);
    const ROLES: &'static [Row] = &[
        Row::new(Role::Subject, Self::NEEDS)
            .states(PROCESS)
            .usage(CryptographicUsageMask::Decrypt, Window::Process)
            .types(KEYS),
        UNWRAPPING_KEY,
    ];
    const WRITES: bool = false;

    async fn targets(context: &mut Context<'_>, request: &DecryptRequest) -> Result<Vec<Target>> {
        let id = context.resolve(request.unique_identifier.as_ref()).await?;
        Ok(vec![Target { unwrap: true, ..Target::new(Role::Subject, id) }])
    }

    async fn run(
        context: &mut Context<'_>,
        mut objects: Grants<Self>,
        request: DecryptRequest,
    ) -> Result<DecryptResponse> {
        let keys = Keys::take(&mut objects)?;
        let correlation = request.correlation_value.as_deref();
        match Part::of(correlation, request.init_indicator, request.final_indicator)? {
            Part::Whole => whole(context, keys, request).await,
            Part::First => first(context, &keys, &request),
            Part::Next { stream, last } => next(context, &keys.subject, (stream, last), &request),
        }
    }
}

async fn whole(
    context: &Context<'_>,
    keys: Keys<Decrypt>,
    request: DecryptRequest,
) -> Result<DecryptResponse> {
    let version = context.version;
    let length = request.data.as_ref().map_or(0, |data| data.len());
    if !keys.takes_long(length) {
        return opened(context.vault(), version, &keys, request);
    }
    let vault = Arc::clone(&context.service.vault);
    // Boxed, since it is rare: what every request carries along stays small.
    Box::pin(context.service.aside(move || opened(&vault, version, &keys, request))).await?
}

/// What the data is in the clear.
fn opened(
    vault: &Vault,
    version: Version,
    keys: &Keys<Decrypt>,
    request: DecryptRequest,
) -> Result<DecryptResponse> {
    let Bytes(mut data) = request.data.ok_or_else(missing_data)?;
    let subject = &keys.subject;
    let own_iv = given(request.iv_counter_nonce.as_ref());
    let choice = keys.choose(request.cryptographic_parameters.as_deref(), own_iv)?;
    let iv = choice.needed_iv(own_iv)?;
    let aad = given(request.authenticated_encryption_additional_data.as_ref());
    let sides = Sides { iv, aad: aad.unwrap_or_default() };
    let end;
    let tag = if tag_ends_data(version) {
        let length = choice.tag_length()?;
        let start = data.len().checked_sub(length).ok_or_else(|| {
            Error::invalid(format!("the data is shorter than the tag of {length} bytes at its end"))
        })?;
        end = data.split_off(start);
        end.as_slice()
    } else {
        given(request.authenticated_encryption_tag.as_ref()).unwrap_or_default()
    };
    let data = choice.decrypt(&keys.open(vault, version)?, sides, data, tag)?;
    Ok(response(subject, Some(data), None))
}

fn response(
    subject: &Subject,
    data: Option<Vec<u8>>,
    correlation: Option<Vec<u8>>,
) -> DecryptResponse {
    DecryptResponse {
        unique_identifier: subject.id().to_owned(),
        data: data.map(Bytes),
        correlation_value: correlation.map(Bytes),
    }
}

fn first(
    context: &Context<'_>,
    keys: &Keys<Decrypt>,
    request: &DecryptRequest,
) -> Result<DecryptResponse> {
    let subject = &keys.subject;
    let own_iv = given(request.iv_counter_nonce.as_ref());
    let choice = keys.choose(request.cryptographic_parameters.as_deref(), own_iv)?;
    if choice.authenticates() && tag_ends_data(context.version) {
        return Err(Error::new(
            ResultReason::FeatureNotSupported,
            "before KMIP 1.4 the tag is part of the data, so that authenticated data is not \
             decrypted in parts; send it whole, or use KMIP 1.4 or newer",
        ));
    }
    let aad = given(request.authenticated_encryption_additional_data.as_ref());
    let sides = Sides { iv: choice.needed_iv(own_iv)?, aad: aad.unwrap_or_default() };
    let tag = given(request.authenticated_encryption_tag.as_ref()).unwrap_or_default();
    if !tag.is_empty() {
        mechanism::check_tag(tag, choice.tag_length()?)?;
    }
    let limit = context.service.policy.held_back_max;
    let stream = choice.decryptor(&keys.open(context.vault(), context.version)?, sides, limit)?;
    let input = request.data.as_deref().unwrap_or_default();
    let mut output = Vec::new();
    let mut running = Running {
        user: context.principal.user().to_owned(),
        key: subject.id().to_owned(),
        encrypts: false,
        stream,
        tag: tag.to_vec(),
        tag_length: choice.tag_length()?,
        held: 0,
        touched: context.now,
    };
    running.update(input, &mut output)?;
    let correlation = context.service.streams.keep(running)?;
    let data = Some(output).filter(|data| !data.is_empty());
    Ok(response(subject, data, Some(correlation)))
}

/// A part after the first. The key was authorised again: one revoked in between is refused by now.
fn next(
    context: &Context<'_>,
    subject: &Subject,
    (value, last): (&[u8], bool),
    request: &DecryptRequest,
) -> Result<DecryptResponse> {
    if given(request.authenticated_encryption_additional_data.as_ref()).is_some() {
        return Err(late("additional data"));
    }
    let streams = &context.service.streams;
    let who = (context.principal.user(), subject.id());
    let mut running = streams.take(value, who, false, context.now)?;
    if let Some(tag) = given(request.authenticated_encryption_tag.as_ref()) {
        running.tag = tag.to_vec();
    }
    let input = request.data.as_deref().unwrap_or_default();
    let mut output = Vec::new();
    running.update(input, &mut output)?;
    if last {
        mechanism::check_tag(&running.tag, running.tag_length)?;
        running.stream.finish(&running.tag, &mut output).map_err(mechanism::failure)?;
        return Ok(response(subject, Some(output), None));
    }
    running.touched = context.now;
    streams.keep_as(value.to_vec(), running)?;
    let data = Some(output).filter(|data| !data.is_empty());
    Ok(response(subject, data, Some(value.to_vec())))
}
