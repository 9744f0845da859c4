//! What the server says about itself and its caller.
//!
//! Holds nothing secret: some of it is for anyone.

use std::time::{Duration, Instant};

use axum::body::Body;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::json;

use super::{Call, reply};
use crate::observe::metrics;
use crate::wire::Answer;

/// How long the database may take to answer, and still be called healthy.
const PATIENCE: Duration = Duration::from_secs(2);

/// `GET /version`: a JSON string.
pub(super) async fn version(call: Call) -> Response<Body> {
    respond(&json!(version_text(&call)))
}

/// The version in one line; where tokens are believed although they have expired, it says so.
fn version_text(call: &Call) -> String {
    let authorities = &call.app.authorities;
    let late = authorities.issuers().next().is_some() && !authorities.expiry_verified;
    let text = call.app.facts.short();
    if late { format!("{text}; expired tokens are accepted") } else { text }
}

/// `GET /health`: one word for anyone, and the details for operators.
pub(super) async fn health(call: Call) -> Response<Body> {
    let started = Instant::now();
    let reachable = answers(&call).await;
    let audit = call.app.service.audit_status();
    let trouble = call.app.service.keyring_trouble();
    let is_up = reachable && !matches!(audit, Some(Err(_))) && trouble.is_none();
    let body = if call.app.is_operator(call.peer) {
        let latency = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let audit = match audit {
            None => json!({ "status": "OFF" }),
            Some(Ok(())) => json!({ "status": word(true) }),
            Some(Err(why)) => json!({ "status": word(false), "reason": why }),
        };
        json!({
            "status": word(is_up),
            "latency_ms": latency,
            "dependencies": {
                "database": { "name": call.app.store.product(), "status": word(reachable) },
                "audit": audit,
                "keyring": keyring(&call, trouble),
            },
        })
    } else {
        json!({ "status": word(is_up) })
    };
    let mut response = respond(&body);
    if !is_up {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

/// What protects the keys, and how many rows a data key seals that rests, or rested, in the clear.
fn keyring(call: &Call, trouble: Option<String>) -> serde_json::Value {
    let service = &call.app.service;
    let (keys, generation) = service.generations();
    let rotation = service.rotation();
    let exposed = match rotation {
        _ if service.is_clear() => json!("all"),
        Some(progress) => json!(progress.exposed),
        None => json!(null),
    };
    let mut shown = json!({
        "status": word(trouble.is_none()),
        "slot": if service.is_clear() { "clear" } else { "file" },
        "generation": generation,
        "data_keys": keys,
        "rows_left": rotation.map(|it| it.left),
        "exposed_rows": exposed,
    });
    if let (Some(why), Some(fields)) = (trouble, shown.as_object_mut()) {
        fields.insert("reason".to_owned(), why.into());
    }
    shown
}

/// Whether the database answers. What is known to be down is not waited for.
async fn answers(call: &Call) -> bool {
    if call.app.store.trouble().is_some() {
        return false;
    }
    let asked = tokio::time::timeout(PATIENCE, call.app.store.keyring());
    matches!(asked.await, Ok(Ok(_)))
}

fn word(is_up: bool) -> &'static str {
    if is_up { "UP" } else { "DOWN" }
}

/// `GET /server-info`.
pub(super) async fn server_info(call: Call) -> Response<Body> {
    let facts = call.app.facts;
    let authorities = &call.app.authorities;
    let issuers: Vec<_> = authorities.issuers().collect();
    let tokens = (!issuers.is_empty()).then(|| {
        json!({
            "authorities": issuers,
            "audiences": authorities.audiences,
            "expiry_verified": authorities.expiry_verified,
        })
    });
    respond(&json!({
        "version": version_text(&call),
        "fips_mode": false,
        "hsm_instances": [],
        "default_username": call.app.authentication.everyone().map(kms_core::Principal::user),
        "authentication": call.app.authentication.schemes().collect::<Vec<_>>(),
        "tokens": tokens,
        "build": facts.build.name(),
        "transport": facts.transport,
        "database": call.app.store.product(),
    }))
}

/// `GET /me`: who the server takes the caller for.
pub(super) async fn me(call: Call) -> Response<Body> {
    respond(&json!({ "user_id": call.principal.as_ref().map(kms_core::Principal::user) }))
}

/// `GET /metrics`.
pub(super) async fn metrics(call: Call) -> Response<Body> {
    match metrics::page(&call.app) {
        Ok(page) => {
            let mut response = Response::new(Body::from(page));
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            response
        }
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written");
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            let text = "the metrics could not be written; see the log";
            reply::answer(Answer::line(status, "General_Failure", text), Body::from)
        }
    }
}

fn respond(value: &serde_json::Value) -> Response<Body> {
    reply::answer(Answer::json(value.to_string()), Body::from)
}
