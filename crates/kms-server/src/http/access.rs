//! The access routes: granting, withdrawing and listing what others may do.
//!
//! Who may is decided in the core; here a request is only read. An object that is unknown and one
//! that is not the caller's get the same answer.

use axum::body::Body;
use hyper::header::CONTENT_TYPE;
use hyper::{Response, StatusCode};
use jiff::Timestamp;
use kmip::enumerations::ResultReason;
use kms_core::{Act, Caller, Permission, Principal, Terms};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use super::{Call, reply};
use crate::limits::NAME_BYTES;
use crate::wire::Answer;

/// What `POST` and `DELETE /accesses/{id}` take.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    unique_identifier: Option<String>,
    user_id: String,
    operation_type: String,
    expires: Option<Moment>,
    note: Option<String>,
}

/// What `/access/grant` and `/access/revoke` take.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Several {
    unique_identifier: Option<String>,
    user_id: String,
    operation_types: Vec<String>,
    expires: Option<Moment>,
    note: Option<String>,
}

/// A moment, in RFC 3339 or in seconds since 1970.
#[derive(Deserialize)]
#[serde(untagged)]
enum Moment {
    Seconds(i64),
    Text(String),
    Neither(IgnoredAny),
}

impl Moment {
    /// In seconds since 1970: no later than it says.
    fn seconds(&self) -> Result<i64, Answer> {
        let timestamp = match self {
            Self::Seconds(seconds) => Timestamp::from_second(*seconds).ok(),
            Self::Text(text) => text.parse().ok(),
            Self::Neither(_) => None,
        };
        timestamp.map(Timestamp::as_second).ok_or_else(|| {
            unprocessable("expires is a moment as in 2030-01-31T00:00:00Z, or seconds since 1970")
        })
    }
}

/// A moment as lists show it.
pub(super) fn moment(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |it| it.to_string())
}

/// What is asked about a user's permissions.
struct Asked {
    id: Option<String>,
    user: String,
    permissions: Vec<Permission>,
    expires: Option<i64>,
    note: Option<String>,
}

#[derive(Serialize)]
struct Success {
    success: String,
}

#[derive(Serialize)]
struct Listed<'a> {
    user_id: &'a str,
    operations: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

/// Which way a change goes.
#[derive(Clone, Copy)]
enum Change {
    Grant,
    Withdraw,
}

impl Change {
    /// What it is called in the audit log.
    fn name(self) -> &'static str {
        match self {
            Self::Grant => "Grant",
            Self::Withdraw => "Withdraw",
        }
    }
}

/// `GET /accesses/{id}`.
pub(super) async fn list(call: Call) -> Response<Body> {
    respond(listed(&call, Permission::name).await)
}

/// `GET /access/list/{id}`: the same with the names in lower case.
pub(super) async fn list_in_lower_case(call: Call) -> Response<Body> {
    respond(listed(&call, lower_case).await)
}

/// `POST /accesses/{id}`.
pub(super) async fn add(call: Call) -> Response<Body> {
    respond(changed(&call, Change::Grant, one).await)
}

/// `DELETE /accesses/{id}`.
pub(super) async fn remove(call: Call) -> Response<Body> {
    respond(changed(&call, Change::Withdraw, one).await)
}

/// `POST /access/grant`.
pub(super) async fn grant(call: Call) -> Response<Body> {
    respond(changed(&call, Change::Grant, several).await)
}

/// `POST /access/revoke`.
pub(super) async fn revoke(call: Call) -> Response<Body> {
    respond(changed(&call, Change::Withdraw, several).await)
}

/// A permission as the newer routes spell it.
pub(super) fn lower_case(permission: Permission) -> &'static str {
    match permission {
        Permission::Create => "create",
        Permission::Get => "get",
        Permission::Encrypt => "encrypt",
        Permission::Decrypt => "decrypt",
        Permission::Import => "import",
        Permission::Revoke => "revoke",
        Permission::Locate => "locate",
        Permission::Rekey => "rekey",
        Permission::Destroy => "destroy",
    }
}

/// The caller; the route's row asks for one.
pub(super) fn principal(call: &Call) -> Result<&Principal, Answer> {
    call.principal.as_ref().ok_or_else(|| {
        Answer::line(StatusCode::UNAUTHORIZED, "Authentication_Not_Successful", "who is calling?")
    })
}

/// The caller, with where the request comes from.
pub(super) fn caller(call: &Call) -> Result<Caller<'_>, Answer> {
    let principal = principal(call)?;
    Ok(Caller { principal, peer: Some(call.peer), request: call.ident.id() })
}

async fn listed(call: &Call, spell: fn(Permission) -> &'static str) -> Result<Answer, Answer> {
    let id = call.id.as_deref().unwrap_or_default();
    let accesses = call.app.service.accesses(caller(call)?, id).await;
    let accesses = accesses.map_err(|error| Answer::resource_error(&error))?;
    let list: Vec<Listed<'_>> = accesses
        .iter()
        .map(|access| {
            let mut operations: Vec<_> = access.permissions.iter().map(|it| spell(*it)).collect();
            operations.sort_unstable();
            let expires = access.expires.map(moment);
            Listed { user_id: &access.user, operations, expires, note: access.note.as_deref() }
        })
        .collect();
    json(&list)
}

/// Reads what is asked and does it. What cannot be read is recorded here, all else where it is decided.
async fn changed(
    call: &Call,
    change: Change,
    read: fn(&Call, Change) -> Result<Asked, Answer>,
) -> Result<Answer, Answer> {
    let caller = caller(call)?;
    let asked = match read(call, change) {
        Ok(asked) => asked,
        Err(answer) => {
            let objects: Vec<_> = call.id.clone().into_iter().collect();
            let act = Act { operation: change.name(), objects: &objects, ..Act::default() };
            let reason = ResultReason::InvalidField;
            let recorded = call.app.service.record_unread(caller, act, reason).await;
            return Err(recorded.err().map_or(answer, |error| Answer::resource_error(&error)));
        }
    };
    let Asked { id, user, permissions, expires, note } = asked;
    let (service, id) = (&call.app.service, id.as_deref());
    let (result, done) = match change {
        Change::Grant => {
            let terms = Terms { permissions: &permissions, expires, note: note.as_deref() };
            (service.grant_on(caller, id, &user, terms).await, "added")
        }
        Change::Withdraw => (service.withdraw(caller, id, &user, &permissions).await, "deleted"),
    };
    result.map_err(|error| Answer::resource_error(&error))?;
    json(&Success { success: format!("Access for {user} successfully {done}") })
}

/// What `POST` and `DELETE /accesses/{id}` ask.
fn one(call: &Call, change: Change) -> Result<Asked, Answer> {
    let One { unique_identifier, user_id, operation_type, expires, note } = body(call)?;
    let id = call.id.clone().unwrap_or_default();
    if unique_identifier.is_some_and(|inner| inner != id) {
        return Err(unprocessable("unique_identifier is not the identifier in the path"));
    }
    asked(change, Some(id), user_id, &[operation_type], (expires, note))
}

/// What `/access/grant` and `/access/revoke` ask.
fn several(call: &Call, change: Change) -> Result<Asked, Answer> {
    let Several { unique_identifier, user_id, operation_types, expires, note } = body(call)?;
    asked(change, unique_identifier, user_id, &operation_types, (expires, note))
}

fn asked(
    change: Change,
    id: Option<String>,
    user: String,
    operations: &[String],
    (expires, note): (Option<Moment>, Option<String>),
) -> Result<Asked, Answer> {
    let permissions = permissions(operations)?;
    if id.as_ref().is_some_and(|id| id.len() > NAME_BYTES) {
        return Err(unprocessable("unique_identifier is too long"));
    }
    // What is withdrawn is withdrawn now, whenever it would have ended.
    if matches!(change, Change::Withdraw) && (expires.is_some() || note.is_some()) {
        return Err(unprocessable("what is withdrawn has no end and no note"));
    }
    let expires = expires.as_ref().map(Moment::seconds).transpose()?;
    Ok(Asked { id, user, permissions, expires, note })
}

fn permissions(names: &[String]) -> Result<Vec<Permission>, Answer> {
    if names.is_empty() || names.len() > Permission::ALL.len() * 2 {
        return Err(unprocessable("name at least one operation, and each once"));
    }
    let parse = |name: &String| {
        Permission::parse(name).ok_or_else(|| {
            let shown: String = name.chars().take(40).collect();
            let known = Permission::ALL.map(Permission::name).join(", ");
            unprocessable(&format!("{shown:?} is not an operation that can be granted: {known}"))
        })
    };
    names.iter().map(parse).collect()
}

fn body<T: DeserializeOwned>(call: &Call) -> Result<T, Answer> {
    let kind = call.headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if !essence.eq_ignore_ascii_case(b"application/json") {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Answer::line(status, "Unsupported content type", "send application/json"));
    }
    serde_json::from_slice(&call.body).map_err(|error| {
        Answer::line(StatusCode::UNPROCESSABLE_ENTITY, "Invalid Request", &error.to_string())
    })
}

fn unprocessable(text: &str) -> Answer {
    Answer::line(StatusCode::UNPROCESSABLE_ENTITY, "Invalid_Field", text)
}

fn json(value: &impl Serialize) -> Result<Answer, Answer> {
    match serde_json::to_vec(value) {
        Ok(body) => Ok(Answer::json(body)),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Err(Answer::line(status, "General_Failure", "the answer could not be written"))
        }
    }
}

fn respond(result: Result<Answer, Answer>) -> Response<Body> {
    reply::answer(result.unwrap_or_else(|answer| answer), Body::from)
}
