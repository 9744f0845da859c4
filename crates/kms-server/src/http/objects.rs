//! The lists of objects: those of the caller's own and those that others share with the caller.
//!
//! A list may have a million entries: it is fetched and sent page by page, and what was sent is
//! not kept.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use hyper::Response;
use hyper::body::{Body as HttpBody, Frame};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use kms_core::{Act, Obtained, Owned, Page, Permission, Principal};
use serde::Serialize;
use serde_json::json;

use super::access::{caller, lower_case, moment};
use super::{Call, reply};
use crate::app::App;
use crate::limits::PAGE_OBJECTS;
use crate::wire::Answer;

/// What the lists are called in the audit log.
const OWNED: &str = "ListOwned";
const OBTAINED: &str = "ListObtained";

#[derive(Serialize)]
struct OwnedEntry<'a> {
    object_id: &'a str,
    state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<serde_json::Value>,
}

#[derive(Serialize)]
struct SharedEntry<'a> {
    object_id: &'a str,
    owner_id: &'a str,
    state: &'a str,
    operations: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

/// `GET /objects/owned`.
pub(super) async fn owned(call: Call) -> Response<Body> {
    list(call, OWNED, owned_page, |owned: &Owned, out| {
        let entry = OwnedEntry { object_id: &owned.id, state: owned.state, attributes: None };
        serde_json::to_writer(out, &entry)
    })
    .await
}

/// `GET /access/owned`: the same, with the attributes that the recorded clients look for.
pub(super) async fn owned_with_attributes(call: Call) -> Response<Body> {
    list(call, OWNED, owned_page, |owned: &Owned, out| {
        let attributes = json!({ "State": owned.state, "UniqueIdentifier": owned.id });
        let entry =
            OwnedEntry { object_id: &owned.id, state: owned.state, attributes: Some(attributes) };
        serde_json::to_writer(out, &entry)
    })
    .await
}

/// `GET /objects/shared`.
pub(super) async fn shared(call: Call) -> Response<Body> {
    list(call, OBTAINED, shared_page, |shared, out| write_shared(shared, Permission::name, out))
        .await
}

/// `GET /access/obtained`: the same with the operations in lower case.
pub(super) async fn obtained(call: Call) -> Response<Body> {
    list(call, OBTAINED, shared_page, |shared, out| write_shared(shared, lower_case, out)).await
}

fn write_shared(
    shared: &Obtained,
    spell: fn(Permission) -> &'static str,
    out: &mut Vec<u8>,
) -> serde_json::Result<()> {
    let mut operations: Vec<_> = shared.permissions.iter().map(|it| spell(*it)).collect();
    operations.sort_unstable();
    let entry = SharedEntry {
        object_id: &shared.id,
        owner_id: &shared.owner,
        state: shared.state,
        operations,
        expires: shared.expires.map(moment),
        note: shared.note.as_deref(),
    };
    serde_json::to_writer(out, &entry)
}

type Fetching<T, C> = Pin<Box<dyn Future<Output = Result<Page<T, C>, kms_core::Error>> + Send>>;

fn owned_page(app: Arc<App>, principal: Principal, after: Option<i64>) -> Fetching<Owned, i64> {
    Box::pin(async move { app.service.owned(&principal, after, PAGE_OBJECTS).await })
}

fn shared_page(
    app: Arc<App>,
    principal: Principal,
    after: Option<String>,
) -> Fetching<Obtained, String> {
    Box::pin(async move { app.service.obtained(&principal, after, PAGE_OBJECTS).await })
}

type Fetch<T, C> = fn(Arc<App>, Principal, Option<C>) -> Fetching<T, C>;
type Write<T> = fn(&T, &mut Vec<u8>) -> serde_json::Result<()>;

/// Answers with a list whose first page is there already, so that an error still has a status.
async fn list<T, C>(
    call: Call,
    operation: &'static str,
    fetch: Fetch<T, C>,
    write: Write<T>,
) -> Response<Body>
where
    T: Send + Unpin + 'static,
    C: Send + Unpin + 'static,
{
    let caller = match caller(&call) {
        Ok(caller) => caller,
        Err(answer) => return reply::answer(answer, Body::from),
    };
    let principal = caller.principal.clone();
    let first = fetch(Arc::clone(&call.app), principal.clone(), None).await;
    let act = Act { operation, ..Act::default() };
    let first = match call.app.service.recorded(caller, act, first).await {
        Ok(page) => page,
        Err(error) => return reply::answer(Answer::resource_error(&error), Body::from),
    };
    let pages =
        Pages { app: call.app, principal, fetch, write, stage: Stage::Ready(first), begun: false };
    let mut response = Response::new(Body::new(pages));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// A JSON list that is fetched as it is sent.
struct Pages<T, C> {
    app: Arc<App>,
    principal: Principal,
    fetch: Fetch<T, C>,
    write: Write<T>,
    stage: Stage<T, C>,
    begun: bool,
}

enum Stage<T, C> {
    Ready(Page<T, C>),
    Fetching(Fetching<T, C>),
    End,
}

/// The list ends before its end, and so does the connection: the caller must not take it for whole.
type Failure = Box<dyn std::error::Error + Send + Sync>;

impl<T, C> Pages<T, C> {
    fn render(&mut self, page: Page<T, C>) -> Result<Bytes, Failure> {
        let mut out = Vec::with_capacity(page.items.len() * 80 + 2);
        for item in &page.items {
            out.push(if self.begun { b',' } else { b'[' });
            self.begun = true;
            (self.write)(item, &mut out)?;
        }
        self.stage = if let Some(after) = page.next {
            let next = (self.fetch)(Arc::clone(&self.app), self.principal.clone(), Some(after));
            Stage::Fetching(next)
        } else {
            out.extend_from_slice(if self.begun { b"]" } else { b"[]" });
            Stage::End
        };
        Ok(out.into())
    }
}

impl<T, C> HttpBody for Pages<T, C>
where
    T: Send + Unpin + 'static,
    C: Send + Unpin + 'static,
{
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = self.get_mut();
        loop {
            let page = match std::mem::replace(&mut this.stage, Stage::End) {
                Stage::End => return Poll::Ready(None),
                Stage::Ready(page) => page,
                Stage::Fetching(mut fetching) => match fetching.as_mut().poll(cx) {
                    Poll::Pending => {
                        this.stage = Stage::Fetching(fetching);
                        return Poll::Pending;
                    }
                    Poll::Ready(Err(error)) => {
                        tracing::warn!(%error, "a list was broken off");
                        return Poll::Ready(Some(Err(error.into())));
                    }
                    Poll::Ready(Ok(page)) => page,
                },
            };
            let rendered = this.render(page)?;
            // A page of which nothing may be shown has no bytes, and is not the end.
            if !rendered.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(rendered))));
            }
        }
    }
}
