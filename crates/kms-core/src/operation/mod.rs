//! The operations: one file each, listed once in `handlers!`.
//!
//! Every request takes the same way: policy, access, handler. A handler sees objects only as
//! `Authorized`, and neither encodings nor HTTP.

use kmip::enumerations::UniqueIdentifierCode as Produced;
use kmip::identifier::UniqueIdentifier;
use kmip::object::{KeyMaterial, KeyValue, Object};
use kmip::operation::{Request, Response};

use crate::access::{self, Grants, Makes, Needs, OperationRow, Role, Row};
use crate::context::Context;
use crate::error::Result;
use crate::policy;
use crate::stream::Part;

/// The largest object that is copied on its way in.
const LARGE_BYTES: usize = 65_536;

/// An object that a request names, and its part in the operation.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Its part.
    pub(crate) role: Role,
    /// Which object.
    pub(crate) id: String,
    /// Whether the other half of its pair is reached too.
    pub(crate) cascade: bool,
    /// Whether the key that wrapped it at rest is needed too.
    pub(crate) unwrap: bool,
}

impl Target {
    /// An object alone.
    pub(crate) fn new(role: Role, id: String) -> Self {
        Self { role, id, cascade: false, unwrap: false }
    }
}

/// The one object that a request names.
async fn subject(context: &mut Context<'_>, id: Option<&UniqueIdentifier>) -> Result<Vec<Target>> {
    let id = context.resolve(id).await?;
    Ok(vec![Target::new(Role::Subject, id)])
}

/// What an operation means. Its constants are its row in the tables.
pub(crate) trait Operation: Sized {
    /// What is asked.
    type Request: Clone + Send + Sync;
    /// What is answered.
    type Response: Send;
    /// Who may; where an object is its subject, the same as in that role.
    const NEEDS: Needs;
    /// What each role asks of caller and object.
    const ROLES: &'static [Row];
    /// Whether it makes objects, which policy may keep to some users. One that makes them
    /// sometimes asks policy itself.
    const MAKES: Makes = Makes::Nothing;
    /// Whether it writes, so that it is tried again when another request came between.
    const WRITES: bool = true;

    /// The objects that the request names, in their roles.
    fn targets(
        context: &mut Context<'_>,
        request: &Self::Request,
    ) -> impl Future<Output = Result<Vec<Target>>> + Send;

    /// Does it.
    fn run(
        context: &mut Context<'_>,
        objects: Grants<Self>,
        request: Self::Request,
    ) -> impl Future<Output = Result<Self::Response>> + Send;
}

/// The way of every request: policy, access, handler. An answer that must not tell whether an object
/// exists leaves behind a veil.
async fn run<O: Operation>(context: &mut Context<'_>, request: O::Request) -> Result<O::Response> {
    let result = admitted::<O>(context, request).await;
    context.veil.lift().await;
    result
}

async fn admitted<O: Operation>(
    context: &mut Context<'_>,
    request: O::Request,
) -> Result<O::Response> {
    if O::MAKES == Makes::Objects {
        policy::may_create(context).await?;
    }
    let objects = access::authorize::<O>(context, &request).await?;
    O::run(context, objects, request).await
}

macro_rules! handlers {
    ($($name:ident => $module:ident,)*) => {
        $(mod $module;)*

        /// Runs one request.
        pub(crate) async fn dispatch(
            context: &mut Context<'_>,
            request: Request,
        ) -> Result<Response> {
            match request {
                $(Request::$name(request) =>
                    run::<$module::$name>(context, request).await.map(Response::$name),)*
            }
        }

        /// Whether the request writes, and so may meet another that does.
        pub(crate) fn writes(request: &Request) -> bool {
            match request {
                $(Request::$name(_) => <$module::$name as Operation>::WRITES,)*
            }
        }

        /// Every operation with its rows: for the reference page and the access matrix.
        pub const ACCESS: &[OperationRow] = &[$(OperationRow {
            name: stringify!($name),
            needs: <$module::$name as Operation>::NEEDS,
            makes: <$module::$name as Operation>::MAKES,
            roles: <$module::$name as Operation>::ROLES,
        },)*];
    };
}

handlers! {
    Create => create,
    CreateKeyPair => create_key_pair,
    Register => register,
    Import => import,
    Export => export,
    Get => get,
    GetAttributes => get_attributes,
    GetAttributeList => get_attribute_list,
    AddAttribute => add_attribute,
    SetAttribute => set_attribute,
    ModifyAttribute => modify_attribute,
    DeleteAttribute => delete_attribute,
    Locate => locate,
    Activate => activate,
    Revoke => revoke,
    Destroy => destroy,
    Encrypt => encrypt,
    Decrypt => decrypt,
    Rekey => rekey,
    RekeyKeyPair => rekey_key_pair,
    Query => query,
    DiscoverVersions => discover_versions,
}

/// Whether the request is one part of a multi-part operation.
pub(crate) fn in_parts(request: &Request) -> bool {
    let (correlation, init, last) = match request {
        Request::Encrypt(it) => (&it.correlation_value, it.init_indicator, it.final_indicator),
        Request::Decrypt(it) => (&it.correlation_value, it.init_indicator, it.final_indicator),
        _ => return false,
    };
    !matches!(Part::of(correlation.as_deref(), init, last), Ok(Part::Whole))
}

/// Whether a request that met another's change is not begun again here, but by its caller: who asks
/// for a new key in the place of one would be told that it has been replaced, though that came about
/// in the same moment.
pub(crate) fn is_tried_once(request: &Request) -> bool {
    // What is large is not copied to be tried again: it hardly ever meets another request.
    is_large(request) || matches!(request, Request::Rekey(_) | Request::RekeyKeyPair(_))
}

/// Whether the request brings an object that is large.
pub(crate) fn is_large(request: &Request) -> bool {
    let object = match request {
        Request::Register(it) => &it.object,
        Request::Import(it) => &it.object,
        _ => return false,
    };
    let length = match object {
        Object::OpaqueObject(it) => it.opaque_data_value.len(),
        Object::Certificate(it) => it.certificate_value.len(),
        object => match object.key_block().and_then(|block| block.key_value.as_ref()) {
            Some(KeyValue::Wrapped(bytes)) => bytes.len(),
            Some(KeyValue::Structure { material: KeyMaterial::Bytes(bytes), .. }) => bytes.len(),
            _ => 0,
        },
    };
    length > LARGE_BYTES
}

/// What a response sets the ID Placeholder to, and the codes that later requests call it by.
pub(crate) fn produced(response: &Response) -> Vec<(Produced, &str)> {
    match response {
        Response::Create(it) => vec![(Produced::Create, it.unique_identifier.as_str())],
        Response::Register(it) => vec![(Produced::Register, it.unique_identifier.as_str())],
        Response::Import(it) => vec![(Produced::Import, it.unique_identifier.as_str())],
        Response::Rekey(it) => vec![(Produced::ReKey, it.unique_identifier.as_str())],
        Response::CreateKeyPair(it) => vec![
            (Produced::CreateKeyPairPrivateKey, it.private_key_unique_identifier.as_str()),
            (Produced::CreateKeyPairPublicKey, it.public_key_unique_identifier.as_str()),
        ],
        Response::RekeyKeyPair(it) => vec![
            (Produced::ReKeyKeyPairPrivateKey, it.private_key_unique_identifier.as_str()),
            (Produced::ReKeyKeyPairPublicKey, it.public_key_unique_identifier.as_str()),
        ],
        Response::Locate(it) => match it.unique_identifiers.as_slice() {
            [one] => vec![(Produced::Locate, one.as_str())],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use kmip::attribute::Attributes;
    use kmip::enumerations::{ObjectType, OpaqueDataType};
    use kmip::object::OpaqueObject;
    use kmip::operation::RegisterRequest;

    use super::*;

    #[test]
    fn who_may_is_said_once() {
        for row in ACCESS {
            let subjects = row.roles.iter().filter(|it| it.role == Role::Subject);
            for subject in subjects {
                assert_eq!(subject.needs, row.needs, "{}", row.name);
            }
            // An operation that is anyone's touches no object.
            assert!(row.needs != Needs::Anyone || row.roles.is_empty(), "{}", row.name);
            assert!(row.roles.iter().all(|it| it.needs != Needs::Anyone), "{}", row.name);
        }
    }

    #[test]
    fn only_large_objects_are_not_copied_to_be_tried_again() {
        for (length, large) in [(LARGE_BYTES, false), (LARGE_BYTES + 1, true)] {
            let object = Object::OpaqueObject(OpaqueObject {
                opaque_data_type: OpaqueDataType(0x8000_0001),
                opaque_data_value: vec![7; length].into(),
            });
            let register = Request::Register(RegisterRequest {
                object_type: ObjectType::OpaqueObject,
                attributes: Attributes::new(),
                object,
                protection_storage_masks: None,
            });
            assert_eq!(is_large(&register), large);
        }
    }
}
