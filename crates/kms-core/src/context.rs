//! What one operation runs in: who asks, what time it is, the protocol's version, and the unit that
//! its reads and writes go through. It must never hold an open key.

use kmip::Version;
use kmip::enumerations::{Operation as Code, ResultReason, UniqueIdentifierCode};
use kmip::identifier::UniqueIdentifier;

use crate::Service;
use crate::custody::Vault;
use crate::error::{Brief, Error, Result};
use crate::locate;
use crate::principal::Principal;
use crate::unit::Unit;
use crate::veil::Veil;

/// The longest identifier that is accepted, in bytes.
pub const IDENTIFIER_LENGTH_MAX: usize = kms_store::MAX_NAME;

/// The identifiers that the operations of a batch have made so far (KMIP 2.1 section 4.62).
#[derive(Debug, Default)]
pub(crate) struct Placeholders {
    /// The ID Placeholder.
    pub(crate) last: Option<String>,
    produced: Vec<(UniqueIdentifierCode, String)>,
}

impl Placeholders {
    /// Remembers what an operation made, under the code that later requests call it by.
    pub(crate) fn produce(&mut self, code: UniqueIdentifierCode, id: &str) {
        self.produced.retain(|(known, _)| *known != code);
        self.produced.push((code, id.to_owned()));
    }

    /// Forgets the ID Placeholder and what `code` called.
    pub(crate) fn forget(&mut self, code: UniqueIdentifierCode) {
        self.last = None;
        self.produced.retain(|(known, _)| *known != code);
    }

    fn get(&self, code: UniqueIdentifierCode) -> Option<&str> {
        if code == UniqueIdentifierCode::IDPlaceholder {
            return self.last.as_deref();
        }
        self.produced.iter().find(|(known, _)| *known == code).map(|(_, id)| id.as_str())
    }
}

/// What one operation runs in.
pub(crate) struct Context<'a> {
    pub(crate) service: &'a Service,
    pub(crate) principal: &'a Principal,
    /// Now, in seconds since the Unix epoch: the same for the whole operation.
    pub(crate) now: i64,
    pub(crate) version: Version,
    pub(crate) unit: &'a mut Unit,
    pub(crate) placeholders: &'a mut Placeholders,
    /// Drawn where the answer must not tell whether an object exists.
    pub(crate) veil: Veil<'a>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        service: &'a Service,
        principal: &'a Principal,
        version: Version,
        unit: &'a mut Unit,
        placeholders: &'a mut Placeholders,
    ) -> Self {
        let (now, veil) = (service.clock.now(), service.slots.veil());
        Self { service, principal, now, version, unit, placeholders, veil }
    }

    pub(crate) fn vault(&self) -> &'a Vault {
        &self.service.vault
    }

    /// The identifier that a request means: its own, one by its place in the batch, one by tags,
    /// or the ID Placeholder where it names none.
    pub(crate) async fn resolve(&mut self, id: Option<&UniqueIdentifier>) -> Result<String> {
        match id {
            Some(UniqueIdentifier::Id(id)) if id.starts_with('[') => {
                locate::by_tags(self, id).await
            }
            Some(UniqueIdentifier::Id(id)) => valid_length(id).map(str::to_owned),
            Some(UniqueIdentifier::Code(code)) => self.placeholder(*code),
            Some(UniqueIdentifier::Index(_)) => Err(Error::new(
                ResultReason::FeatureNotSupported,
                "an object cannot be named by its place among those that were located",
            )),
            None => self.placeholder(UniqueIdentifierCode::IDPlaceholder),
        }
    }

    fn placeholder(&self, code: UniqueIdentifierCode) -> Result<String> {
        let id = self.placeholders.get(code).map(str::to_owned);
        id.ok_or_else(|| {
            Error::new(
                ResultReason::InvalidMessage,
                "the request names no Unique Identifier and nothing before it in the batch set one",
            )
        })
    }
}

fn valid_length(id: &str) -> Result<&str> {
    if id.is_empty() || id.len() > IDENTIFIER_LENGTH_MAX {
        return Err(Error::not_found(id));
    }
    Ok(id)
}

/// Refuses an identifier that a caller chose where it could be read as something else.
pub(crate) fn check_chosen_id(id: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'/' | b'*');
    let well_formed = !id.is_empty()
        && id.len() <= IDENTIFIER_LENGTH_MAX
        && !id.starts_with(['[', '_', '.'])
        && id.bytes().all(plain);
    if well_formed { Ok(()) } else { Err(refused_id(id)) }
}

/// The identifier of a new object: the one its maker chose, or a random one (UUID v4).
pub(crate) fn new_id(chosen: Option<String>) -> Result<String> {
    match chosen {
        Some(id) => check_chosen_id(&id).map(|()| id),
        None => Ok(uuid::Uuid::new_v4().to_string()),
    }
}

/// The one answer for an identifier that cannot be had: taken, reserved or malformed.
pub(crate) fn refused_id(id: &str) -> Error {
    Error::new(
        ResultReason::ObjectAlreadyExists,
        format!(
            "the Unique Identifier {:?} cannot be used: choose another, of at most \
             {IDENTIFIER_LENGTH_MAX} letters, digits and marks",
            Brief(id)
        ),
    )
}

/// The operation's name for messages.
pub fn operation_name(code: Code) -> &'static str {
    code.name().unwrap_or("an operation of a number that no version defines")
}
