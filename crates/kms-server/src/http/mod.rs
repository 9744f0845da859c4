//! The routes: one flat table, and the way from a request to its row.
//!
//! The two KMIP routes are answered before the router is asked, since nearly all requests are
//! theirs; limits, authentication and `wire` are the same. Knows no operation.

mod access;
mod health;
mod kmip;
mod objects;
mod reply;
mod room;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use ::kmip::enumerations::ResultReason;
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::routing::{MethodFilter, any, on};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{ALLOW, AUTHORIZATION, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use kms_auth::{Offered, Refusal};
use kms_core::{Error, IdempotencyKey, Principal};
use tower::ServiceExt;

use self::reply::{Payload, collect};
pub(crate) use self::room::Bodies;
use crate::app::App;
use crate::connection::{Phase, Watch};
use crate::limits::{NAME_BYTES, SMALL_BODY_BYTES};
use crate::observe::{Ident, REQUEST_ID};
use crate::wire::{self, Answer, Blame, Entrance};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    /// Anyone who reaches the server.
    Anyone,
    /// From loopback, or authenticated; in the `dev` build, anyone.
    Operator,
    /// Authenticated.
    User,
}

type Handling = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// What answers a route.
#[derive(Clone, Copy)]
enum Handler {
    /// `wire::answer`, which also makes out the caller.
    Kmip,
    /// A function.
    Call(fn(Call) -> Handling),
}

/// One route.
struct Route {
    method: Method,
    path: &'static str,
    caller: Caller,
    handler: Handler,
}

macro_rules! routes {
    (
        $(@kmip $kmip_path:literal $entrance:ident;)*
        $($method:ident $path:literal $caller:ident $handler:path;)*
    ) => {
        static ROUTES: &[Route] = &[
            $(Route {
                method: Method::POST,
                path: $kmip_path,
                caller: Caller::User,
                handler: Handler::Kmip,
            },)*
            $(Route {
                method: Method::$method,
                path: $path,
                caller: Caller::$caller,
                handler: Handler::Call(|call| Box::pin($handler(call))),
            },)*
        ];

        /// What the path of a KMIP route takes.
        fn entrance(path: &str) -> Option<Entrance> {
            match path {
                $($kmip_path => Some(Entrance::$entrance),)*
                _ => None,
            }
        }
    };
}

routes! {
    @kmip "/kmip/2_1" Operation;
    @kmip "/kmip" Message;
    GET "/objects/owned" User objects::owned;
    GET "/objects/shared" User objects::shared;
    GET "/accesses/{id}" User access::list;
    POST "/accesses/{id}" User access::add;
    DELETE "/accesses/{id}" User access::remove;
    POST "/access/grant" User access::grant;
    POST "/access/revoke" User access::revoke;
    GET "/access/list/{id}" User access::list_in_lower_case;
    GET "/access/owned" User objects::owned_with_attributes;
    GET "/access/obtained" User objects::obtained;
    GET "/me" User health::me;
    GET "/version" Anyone health::version;
    GET "/health" Anyone health::health;
    GET "/server-info" Operator health::server_info;
    GET "/metrics" Operator health::metrics;
}

/// One connection, as its requests see it.
struct LinkParts {
    app: Arc<App>,
    router: Router,
    peer: SocketAddr,
    watch: Arc<Watch>,
}

/// Answers the requests of one connection.
#[derive(Clone)]
pub(crate) struct Link(Arc<LinkParts>);

impl Link {
    pub(crate) fn new(app: Arc<App>, router: Router, peer: SocketAddr, watch: Arc<Watch>) -> Self {
        Self(Arc::new(LinkParts { app, router, peer, watch }))
    }

    /// Answers one request.
    pub(crate) async fn respond(self, request: Request<Incoming>) -> Response<Payload> {
        let parts = &*self.0;
        let ident = parts.app.ids.take(request.headers());
        let seen = Seen::begin(&request);
        parts.watch.enter(Phase::Body);
        let hot =
            if request.method() == Method::POST { entrance(request.uri().path()) } else { None };
        let (mut response, blame) = if let Some(entrance) = hot {
            let answer = {
                let from = From { peer: parts.peer, ident: &ident };
                kmip::post(&parts.app, &parts.watch, from, entrance, request).await
            };
            let blame = answer.blame;
            (reply::answer(answer, Payload::from), blame)
        } else {
            // The router's future is large, and rare beside the other.
            let response = Box::pin(self.clone().route(request, ident.clone())).await;
            let blame = Blame::of(response.status());
            (response, blame)
        };
        let status = response.status();
        parts.app.metrics.status(status.as_u16());
        if ident.is_given() || blame != Blame::Nobody || seen.is_some() {
            let id = ident.header();
            if blame == Blame::Server {
                tracing::warn!(request = ?id, status = status.as_u16(), "a request failed in here");
            }
            if let Some(seen) = seen {
                seen.end(&id, status);
            }
            response.headers_mut().insert(REQUEST_ID, id);
        }
        parts.watch.enter(Phase::Idle);
        response
    }

    async fn route(self, request: Request<Incoming>, ident: Ident) -> Response<Payload> {
        let router = self.0.router.clone();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self);
        request.extensions_mut().insert(ident);
        let response: Result<_, Infallible> = router.oneshot(request).await;
        match response {
            Ok(response) => response.map(Payload::Stream),
        }
    }
}

/// A request that the log will show; kept only where it does.
struct Seen {
    method: Method,
    path: String,
    started: Instant,
}

impl Seen {
    fn begin(request: &Request<Incoming>) -> Option<Self> {
        tracing::enabled!(tracing::Level::DEBUG).then(|| Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            started: Instant::now(),
        })
    }

    fn end(self, id: &HeaderValue, status: StatusCode) {
        tracing::debug!(
            request = ?id,
            method = %self.method,
            path = self.path,
            status = status.as_u16(),
            micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            "answered"
        );
    }
}

/// What a caller offers in the header of a request.
fn offered(headers: &HeaderMap, peer: SocketAddr) -> Offered<'_> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let authorization = values.next().map(HeaderValue::as_bytes);
    let authorization_repeated = values.next().is_some();
    Offered { authorization, authorization_repeated, peer: Some(peer), ..Offered::default() }
}

/// What the caller calls a request, so that sending it twice is doing it once.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The name that the header gives a request.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey<'_>>, Error> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        let text = "a request has one Idempotency-Key";
        return Err(Error::new(ResultReason::InvalidField, text));
    }
    // What is not ASCII is refused as what has other letters is.
    IdempotencyKey::new(value.to_str().unwrap_or_default()).map(Some)
}

/// Where a request comes from.
#[derive(Clone, Copy)]
pub(crate) struct From<'a> {
    pub(crate) peer: SocketAddr,
    pub(crate) ident: &'a Ident,
}

/// A request on its way to a handler: who calls, and what came along.
struct Call {
    app: Arc<App>,
    peer: SocketAddr,
    ident: Ident,
    /// Who is calling; where the route asks for nobody, whoever it is.
    principal: Option<Principal>,
    /// What stands in the path for `{id}`.
    id: Option<String>,
    headers: HeaderMap,
    body: Bytes,
}

/// The rows of the table, as axum takes them.
pub(crate) fn router() -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = match route.handler {
            // What the router sees of these is what is not a POST.
            Handler::Kmip => router.route(route.path, any(post_only)),
            Handler::Call(run) => {
                let caller = route.caller;
                // Every method of the table has a filter; one that had none would be missed by
                // the first test of its route.
                let filter =
                    MethodFilter::try_from(route.method.clone()).unwrap_or(MethodFilter::GET);
                router.route(route.path, on(filter, move |request| dispatch(caller, run, request)))
            }
        };
    }
    router.fallback(not_found)
}

async fn post_only() -> Response<Body> {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let answer = Answer::line(status, "Method not allowed", "this route takes POST");
    let mut response = reply::answer(answer, Body::from);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

async fn not_found() -> Response<Body> {
    let answer = Answer::line(StatusCode::NOT_FOUND, "Not found", "there is nothing at this path");
    reply::answer(answer, Body::from)
}

/// From a request to the handler of its route: the caller, the path, the body, in this order.
async fn dispatch(
    caller: Caller,
    run: fn(Call) -> Handling,
    request: Request<Body>,
) -> Response<Body> {
    match prepare(caller, request).await {
        Ok(call) => run(call).await,
        Err(answer) => reply::answer(answer, Body::from),
    }
}

async fn prepare(caller: Caller, request: Request<Body>) -> Result<Call, Answer> {
    let (mut parts, body) = request.into_parts();
    let (Some(Link(link)), Some(ident)) =
        (parts.extensions.remove::<Link>(), parts.extensions.remove::<Ident>())
    else {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        return Err(Answer::line(status, "General_Failure", "the request has no connection"));
    };
    let app = Arc::clone(&link.app);
    let identified = identify(&app, caller, &parts.headers, link.peer).await;
    if let Err(refusal) = &identified {
        wire::record_refused(&app, Some(link.peer), ident.id(), refusal).await;
    }
    let principal = identified.map_err(|refusal| Answer::unauthenticated(&refusal))?;
    let id = path_id(&mut parts).await?;
    let limit = SMALL_BODY_BYTES;
    let body = collect(body, limit).await.map_err(|problem| problem.small_answer(limit))?;
    link.watch.enter(Phase::Work);
    Ok(Call { app, peer: link.peer, ident, principal, id, headers: parts.headers, body })
}

async fn identify(
    app: &App,
    caller: Caller,
    headers: &HeaderMap,
    peer: SocketAddr,
) -> Result<Option<Principal>, Refusal> {
    match caller {
        Caller::Anyone => return Ok(None),
        Caller::Operator if app.is_operator(peer) => return Ok(None),
        // Where nobody is known by name, everybody's name opens nothing.
        Caller::Operator if app.authentication.everyone().is_some() => {
            return Err(Refusal::missing(
                "this is answered on the server's own machine only",
                "not from loopback",
            ));
        }
        Caller::Operator | Caller::User => {}
    }
    wire::authenticate(app, offered(headers, peer)).await.map(|it| Some(it.into_owned()))
}

async fn path_id(parts: &mut hyper::http::request::Parts) -> Result<Option<String>, Answer> {
    let unprocessable =
        |text| Answer::line(StatusCode::UNPROCESSABLE_ENTITY, "Invalid_Field", text);
    let Ok(captures) = RawPathParams::from_request_parts(parts, &()).await else {
        return Err(unprocessable("the path is not UTF-8"));
    };
    let id = captures.iter().next().map(|(_, value)| value.to_owned());
    if id.as_ref().is_some_and(|id| id.len() > NAME_BYTES) {
        return Err(unprocessable("the identifier in the path is too long"));
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_call_each_route_is_as_documented() {
        let lines: Vec<String> = ROUTES
            .iter()
            .map(|route| format!("{} {} {:?}", route.method, route.path, route.caller))
            .collect();
        assert_eq!(
            lines,
            [
                "POST /kmip/2_1 User",
                "POST /kmip User",
                "GET /objects/owned User",
                "GET /objects/shared User",
                "GET /accesses/{id} User",
                "POST /accesses/{id} User",
                "DELETE /accesses/{id} User",
                "POST /access/grant User",
                "POST /access/revoke User",
                "GET /access/list/{id} User",
                "GET /access/owned User",
                "GET /access/obtained User",
                "GET /me User",
                "GET /version Anyone",
                "GET /health Anyone",
                "GET /server-info Operator",
                "GET /metrics Operator",
            ]
        );
    }

    #[test]
    fn every_row_becomes_a_route() {
        // Panics on a row that contradicts another.
        drop(router());
        for route in ROUTES {
            assert_eq!(entrance(route.path).is_some(), matches!(route.handler, Handler::Kmip));
            if !matches!(route.handler, Handler::Kmip) {
                assert!(MethodFilter::try_from(route.method.clone()).is_ok());
            }
        }
    }
}
