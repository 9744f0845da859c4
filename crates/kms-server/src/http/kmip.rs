//! `POST /kmip` and `POST /kmip/2_1`: which encoding, whose, how long a body, and then
//! `wire::answer`.
//!
//! Knows nothing of what is in the body.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::{Request, StatusCode};
use ttlv::Encoding;

use super::reply::{Problem, collect, collect_binary};
use super::{From, offered};
use crate::app::App;
use crate::connection::{Phase, Watch};
use crate::limits::SMALL_BODY_BYTES;
use crate::wire::{self, Answer, Arrival, Entrance, Question};

/// Answers a request on one of the KMIP routes.
pub(super) async fn post(
    app: &Arc<App>,
    watch: &Watch,
    from: From<'_>,
    entrance: Entrance,
    request: Request<Incoming>,
) -> Answer {
    let (parts, body) = request.into_parts();
    let Some(encoding) = encoding(&parts.headers, entrance) else {
        let text = match entrance {
            Entrance::Operation => "send JSON as application/json; binary and XML go to /kmip",
            Entrance::Message => {
                "send application/json, application/octet-stream (binary) or text/xml"
            }
        };
        return Answer::line(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported content type", text);
    };
    let offered = offered(&parts.headers, from.peer);
    let decided = wire::authenticate(app, offered).await;
    // Of a stranger's request only so much is read that the answer can be of the same kind.
    let limit = if decided.is_ok() { app.limits.body } else { SMALL_BODY_BYTES };
    // Kept until the request is answered.
    let mut room = None;
    let body = app.bodies.admit(body, limit, &mut room);
    let collected = match encoding {
        Encoding::Binary => collect_binary(body, limit).await,
        Encoding::Json | Encoding::Xml => collect(body, limit).await.map(Question::Whole),
    };
    let question = match (collected, &decided) {
        (Ok(question), _) => question,
        (Err(_), Err(refusal)) => {
            let (peer, request) = (Some(from.peer), from.ident.id());
            wire::record_refused(app, peer, request, refusal).await;
            return wire::unread(app, entrance, encoding, refusal);
        }
        (Err(Problem::TooLarge), Ok(_)) => return wire::too_large(app, entrance, encoding),
        (Err(Problem::CutOff), Ok(_)) => return wire::cut_off(app, entrance, encoding),
    };
    watch.enter(Phase::Work);
    let key = super::idempotency_key(&parts.headers);
    let request = from.ident.id();
    let arrival = Arrival { entrance, encoding, offered, decided, request, key };
    wire::answer(app, arrival, question).await
}

/// What the content type says; its parameters, such as a character set, say nothing more.
fn encoding(headers: &HeaderMap, entrance: Entrance) -> Option<Encoding> {
    let value = headers.get(CONTENT_TYPE)?.as_bytes();
    // As nearly everybody spells it.
    let essence = match value {
        b"application/json" => return Some(Encoding::Json),
        b"application/octet-stream" if entrance == Entrance::Message => {
            return Some(Encoding::Binary);
        }
        value => value.split(|byte| *byte == b';').next()?.trim_ascii(),
    };
    let is = |name: &str| essence.eq_ignore_ascii_case(name.as_bytes());
    if is("application/json") {
        Some(Encoding::Json)
    } else if entrance == Entrance::Operation {
        None
    } else if is("application/octet-stream") {
        Some(Encoding::Binary)
    } else if is("text/xml") || is("application/xml") {
        Some(Encoding::Xml)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn the_content_type_names_the_encoding() {
        let of = |value: &'static str, entrance| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
            encoding(&headers, entrance)
        };
        let (operation, message) = (Entrance::Operation, Entrance::Message);
        assert_eq!(of("application/json; charset=utf-8", operation), Some(Encoding::Json));
        assert_eq!(of("Application/JSON", message), Some(Encoding::Json));
        assert_eq!(of("application/octet-stream", message), Some(Encoding::Binary));
        assert_eq!(of("text/xml;charset=utf-8", message), Some(Encoding::Xml));
        assert_eq!(of("application/octet-stream", operation), None);
        assert_eq!(of("text/xml", operation), None);
        assert_eq!(of("text/plain", message), None);
        assert_eq!(encoding(&HeaderMap::new(), message), None);
    }
}
