//! The client against servers that behave well, badly and not at all.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kmip::Version;
use kmip::enumerations::{Operation, ResultReason};
use kmip::message::{self, ResponseHeader, ResponseItem, ResponseMessage};
use kmip::operation::{
    ActivateRequest, ActivateResponse, DiscoverVersionsRequest, DiscoverVersionsResponse, Request,
    Response,
};
use kmip::wire::DateTime;
use kms_client::{Batch, Change, Client, Error, OnError, Profile, Token};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use ttlv::{Limits, binary};

/// One request as the server saw it.
struct Seen {
    head: String,
    body: Vec<u8>,
}

/// Reads a request; `None` where the client has gone.
async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let split = loop {
        if let Some(at) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let body = bytes.split_off(split);
    let head = String::from_utf8(bytes).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(0, |it| it.trim().parse::<usize>().unwrap());
    let mut seen = Seen { head, body };
    while seen.body.len() < length {
        assert_ne!(stream.read_buf(&mut seen.body).await.unwrap(), 0);
    }
    Some(seen)
}

fn http(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A server that answers each request by `answer`; how many connections it has had.
async fn serve(
    answer: impl Fn(Seen) -> Vec<u8> + Send + Sync + 'static,
) -> (Client, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (answer, count) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
    let connections = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            connections.fetch_add(1, Ordering::SeqCst);
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                while let Some(seen) = read(&mut stream).await {
                    stream.write_all(&answer(seen)).await.unwrap();
                }
            });
        }
    });
    let mut profile = Profile::new(url);
    profile.request_timeout = Duration::from_millis(500);
    profile.response_limit = 10_000;
    (Client::new(profile).unwrap(), count)
}

/// A KMIP server: `each` answers one item.
fn kmip(each: impl Fn(Request) -> ResponseItem) -> impl Fn(Seen) -> Vec<u8> {
    move |seen| {
        assert!(seen.head.starts_with("post /kmip http/1.1"), "{}", seen.head);
        assert!(seen.head.contains("content-type: application/octet-stream"), "{}", seen.head);
        let item = binary::decode(&seen.body, &Limits::DEFAULT).unwrap();
        let request = message::read(item).unwrap();
        let items: Vec<ResponseItem> = request
            .items
            .into_iter()
            .map(|item| ResponseItem { id: item.id, ..each(item.payload.unwrap()) })
            .collect();
        respond(items)
    }
}

fn respond(items: Vec<ResponseItem>) -> Vec<u8> {
    respond_with("200 OK", "", items)
}

fn respond_with(status: &str, headers: &str, items: Vec<ResponseItem>) -> Vec<u8> {
    let count = i32::try_from(items.len()).unwrap();
    let header = ResponseHeader::new(Version::V2_1, DateTime(0), count);
    let message = ResponseMessage { header, items };
    let item = message::write(&message, Version::V2_1).unwrap();
    let mut out = Vec::new();
    binary::encode(&item, &mut out).unwrap();
    http(status, &format!("content-type: application/octet-stream\r\n{headers}"), &out)
}

fn versions(_: Request) -> ResponseItem {
    ResponseItem::success(Response::DiscoverVersions(DiscoverVersionsResponse {
        protocol_versions: vec![Version::V2_1.into()],
    }))
}

fn activate(id: &str) -> Request {
    Request::Activate(ActivateRequest { unique_identifier: Some(id.into()) })
}

/// Activates all but `bad`.
fn activating(request: Request) -> ResponseItem {
    let Request::Activate(request) = request else { panic!("only Activate is asked") };
    let id = request.unique_identifier.unwrap().to_string();
    if id == "bad" {
        let reason = ResultReason::WrongKeyLifecycleState;
        return ResponseItem::failure(Some(Operation::Activate), reason, "it is not".to_owned());
    }
    ResponseItem::success(Response::Activate(ActivateResponse { unique_identifier: id }))
}

#[tokio::test]
async fn a_request_has_its_response() {
    let (client, connections) = serve(kmip(versions)).await;
    for _ in 0..3 {
        let answer = client.call(DiscoverVersionsRequest::default()).await.unwrap();
        assert_eq!(answer.protocol_versions, [Version::V2_1.into()]);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1, "the connection is used again");
}

#[tokio::test]
async fn a_refusal_has_reason_and_message() {
    let (client, _) = serve(kmip(activating)).await;
    let request = ActivateRequest { unique_identifier: Some("bad".into()) };
    let error = client.call(request).await.unwrap_err();
    assert_eq!(error.reason(), Some(ResultReason::WrongKeyLifecycleState));
    assert_eq!(error.to_string(), "it is not (WrongKeyLifecycleState)");
}

#[tokio::test]
async fn a_batch_has_an_answer_to_each() {
    let (client, _) = serve(kmip(activating)).await;
    let requests = ["a", "bad", "b"].map(activate).to_vec();
    let answers = client.batch(Batch::new(requests).on_error(OnError::Continue)).await.unwrap();
    let shown: Vec<_> = answers.iter().map(|it| it.as_ref().map_err(|it| it.reason)).collect();
    let done = |id: &str| Response::Activate(ActivateResponse { unique_identifier: id.to_owned() });
    let expected = [Ok(&done("a")), Err(ResultReason::WrongKeyLifecycleState), Ok(&done("b"))];
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn answers_to_something_else_are_refused() {
    let (client, _) = serve(|_| {
        let mut items = vec![activating(activate("a")), activating(activate("b"))];
        items[0].id = Some(vec![9].into());
        respond(items)
    })
    .await;
    let requests = ["a", "b"].map(activate).to_vec();
    let error = client.batch(Batch::new(requests)).await.unwrap_err();
    assert!(matches!(error, Error::NotKmip { .. }), "{error}");
    let error = client.call(DiscoverVersionsRequest::default()).await.unwrap_err();
    assert!(matches!(error, Error::NotKmip { .. }), "{error}");
    let (client, _) = serve(kmip(activating_any)).await;
    let error = client.call(DiscoverVersionsRequest::default()).await.unwrap_err();
    assert!(matches!(error, Error::NotKmip { .. }), "{error}");
}

fn activating_any(_: Request) -> ResponseItem {
    activating(activate("a"))
}

#[tokio::test]
async fn a_message_that_is_refused_as_a_whole_is_a_refusal() {
    let refused =
        || ResponseItem::failure(None, ResultReason::InvalidMessage, "not understood".to_owned());
    let (client, _) = serve(move |_| respond(vec![refused()])).await;
    let requests = ["a", "b"].map(activate).to_vec();
    let error = client.batch(Batch::new(requests)).await.unwrap_err();
    assert_eq!(error.reason(), Some(ResultReason::InvalidMessage));
}

#[tokio::test]
async fn what_is_no_kmip_is_said_to_be_none() {
    let (client, _) = serve(|_| http("200 OK", "", b"<html>")).await;
    let error = client.call(DiscoverVersionsRequest::default()).await.unwrap_err();
    assert!(matches!(error, Error::NotKmip { .. }), "{error}");
    assert!(error.hint().unwrap().contains("KMIP"));
    assert!(matches!(client.version().await, Err(Error::NotKmip { .. })));
}

#[tokio::test]
async fn a_closed_connection_is_replaced() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        // Each connection answers once, and is closed.
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().await.unwrap();
            read(&mut stream).await.unwrap();
            stream.write_all(&http("200 OK", "", b"\"1.0\"")).await.unwrap();
        }
    });
    let client = Client::new(Profile::new(url)).unwrap();
    for _ in 0..3 {
        assert_eq!(client.version().await.unwrap(), "1.0");
    }
    server.await.unwrap();
}

#[tokio::test]
async fn a_redirection_is_not_followed() {
    let (client, connections) =
        serve(|_| http("307 Temporary Redirect", "location: http://127.0.0.1:1/\r\n", b"")).await;
    let error = client.version().await.unwrap_err();
    let Error::Redirected { status: 307, location } = &error else { panic!("{error}") };
    assert_eq!(location, "http://127.0.0.1:1/");
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn statuses_are_told_apart() {
    let (client, _) = serve(|seen| {
        let path = seen.head.split(' ').nth(1).unwrap().to_owned();
        match path.as_str() {
            "/version" => http("401 Unauthorized", "", b"who are you\r\n"),
            "/me" => http("404 Not Found", "", b""),
            _ => http("503 Service Unavailable", "", b"not\nnow"),
        }
    })
    .await;
    assert!(
        matches!(client.version().await, Err(Error::Unauthenticated { message, token_sent: false }) if message == "who are you")
    );
    assert!(matches!(client.me().await, Err(Error::Http { status: 404, .. })));
    let error = client.health().await.unwrap_err();
    assert_eq!(error.to_string(), "the server answered 503: not now");
}

/// Who sent a message gets one, whatever the status.
#[tokio::test]
async fn a_message_of_failure_is_put_into_words() {
    let (client, _) = serve(|seen| {
        let refused = |text: &str| {
            let reason = ResultReason::AuthenticationNotSuccessful;
            vec![ResponseItem::failure(None, reason, format!("sesame: {text}\n"))]
        };
        match seen.head.split(' ').nth(1) {
            Some("/kmip") if seen.head.contains("authorization") => {
                respond_with("401 Unauthorized", "", refused("log in again"))
            }
            Some("/kmip") => respond_with(
                "503 Service Unavailable",
                "retry-after: 7\r\n",
                refused("nobody can tell now"),
            ),
            _ => http(
                "500 Internal Server Error",
                "content-type: application/octet-stream\r\n",
                b"B\0{\x01",
            ),
        }
    })
    .await;
    let error = client.call(DiscoverVersionsRequest::default()).await.unwrap_err();
    let Error::Later { message, seconds: 7, .. } = &error else { panic!("{error:?}") };
    assert_eq!(message, "sesame: nobody can tell now");
    let error = client.health().await.unwrap_err().to_string();
    assert_eq!(error, "the server answered 500: (a message that says no more)");
    let client = client.with_token(Token::new("sesame").unwrap()).unwrap();
    let error = client.call(DiscoverVersionsRequest::default()).await.unwrap_err();
    let Error::Unauthenticated { message, token_sent: true } = &error else { panic!("{error:?}") };
    assert_eq!(message, "(its words are left out: they repeat the token)");
}

#[tokio::test]
async fn a_token_is_in_each_request_and_in_no_word() {
    let (client, connections) = serve(|seen| {
        // The heads are in lower case here.
        assert!(seen.head.contains("authorization: bearer sesame\r\n"), "{}", seen.head);
        match seen.head.split(' ').nth(1) {
            Some("/version") => http("200 OK", "", b"\"1\""),
            Some("/me") => http("401 Unauthorized", "", b"the token sesame is no good"),
            Some("/kmip") => http("200 OK", "", b"sesame"),
            _ => http("302 Found", "location: http://127.0.0.1:1/?token=sesame\r\n", b""),
        }
    })
    .await;
    let client = client.with_token(Token::new("sesame").unwrap()).unwrap();
    assert_eq!(client.version().await.unwrap(), "1");
    let mut errors = vec![client.me().await.unwrap_err()];
    assert!(matches!(errors[0], Error::Unauthenticated { token_sent: true, .. }));
    errors.push(client.server_info().await.unwrap_err());
    assert!(matches!(errors[1], Error::Redirected { .. }), "{}", errors[1]);
    errors.push(client.call(DiscoverVersionsRequest::default()).await.unwrap_err());
    for error in errors {
        let said = format!("{error} {error:?} {:?}", error.hint());
        assert!(!said.contains("sesame"), "{said}");
    }
    assert!(!format!("{client:?}").contains("sesame"));
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[test]
fn a_token_does_not_travel_in_the_clear_unless_allowed() {
    let mut profile = Profile::new("http://KMS.example/");
    let token = || Token::new("sesame").unwrap();
    let client = Client::new(profile.clone()).unwrap();
    assert_eq!(client.origin(), "http://kms.example:80");
    let error = client.with_token(token()).unwrap_err();
    assert!(matches!(&error, Error::TokenInClear { .. }), "{error}");
    profile.token_in_clear = true;
    Client::new(profile).unwrap().with_token(token()).unwrap();
    Client::new(Profile::new("http://localhost")).unwrap().with_token(token()).unwrap();
}

#[tokio::test]
async fn a_server_may_ask_for_patience() {
    let (client, _) = serve(|seen| match seen.head.split(' ').nth(1) {
        Some("/me") => http("503 Service Unavailable", "retry-after: 7\r\n", b"soon"),
        _ => http("503 Service Unavailable", "retry-after: Fri, 31 Dec 1999\r\n", b"soon"),
    })
    .await;
    let error = client.me().await.unwrap_err();
    assert!(matches!(error, Error::Later { status: 503, seconds: 7, .. }), "{error}");
    let error = client.version().await.unwrap_err();
    assert!(matches!(error, Error::Http { status: 503, .. }), "{error}");
}

#[tokio::test]
async fn answers_are_bounded() {
    let (client, _) = serve(|_| http("200 OK", "", &[b'x'; 10_001])).await;
    assert!(matches!(client.version().await, Err(Error::TooLarge { limit: 10_000 })));
}

#[tokio::test]
async fn silence_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut profile = Profile::new(format!("http://{}", listener.local_addr().unwrap()));
    profile.request_timeout = Duration::from_millis(100);
    let error = Client::new(profile).unwrap().version().await.unwrap_err();
    assert!(matches!(error, Error::Timeout { what: "answer", .. }), "{error}");
}

#[tokio::test]
async fn a_cut_answer_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n\"1").await.unwrap();
    });
    let error = Client::new(Profile::new(url)).unwrap().version().await.unwrap_err();
    assert!(matches!(error, Error::Broken { .. }), "{error}");
}

#[tokio::test]
async fn nobody_there_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = Client::new(Profile::new(url)).unwrap().version().await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error}");
}

#[tokio::test]
async fn access_is_asked_as_the_interface_has_it() {
    let (client, _) = serve(|seen| {
        let line = seen.head.lines().next().unwrap().to_owned();
        let body = String::from_utf8(seen.body).unwrap();
        let answer = match line.as_str() {
            "post /access/grant http/1.1" => {
                let expected = if body.contains("carol") {
                    r#"{"unique_identifier":"k","user_id":"carol","operation_types":["get"],"expires":"2030-01-01T00:00:00Z","note":"audit"}"#
                } else {
                    r#"{"unique_identifier":"k","user_id":"bob","operation_types":["get"]}"#
                };
                assert_eq!(body, expected);
                r#"{"success":"granted"}"#
            }
            "post /access/revoke http/1.1" => {
                assert_eq!(body, r#"{"user_id":"bob","operation_types":["create"]}"#);
                r#"{"success":"withdrawn"}"#
            }
            "get /access/list/a%2fb http/1.1" => r#"[{"user_id":"bob","operations":["get"]}]"#,
            "get /objects/owned http/1.1" => r#"[{"object_id":"k","state":"Active","more":1}]"#,
            "get /objects/shared http/1.1" => "[]",
            "get /health http/1.1" => r#"{"status":"UP","latency_ms":0}"#,
            other => panic!("{other}"),
        };
        http("200 OK", "content-type: application/json\r\n", answer.as_bytes())
    })
    .await;
    let get = ["get".to_owned()];
    let mut change = Change::new(Some("k"), "bob", &get);
    assert_eq!(client.grant(&change).await.unwrap(), "granted");
    change.user = "carol";
    change.expires = Some("2030-01-01T00:00:00Z");
    change.note = Some("audit");
    assert_eq!(client.grant(&change).await.unwrap(), "granted");
    let create = ["create".to_owned()];
    (change.object, change.user, change.operations) = (None, "bob", &create);
    assert_eq!(client.withdraw(&change).await.unwrap(), "withdrawn");
    assert_eq!(client.accesses("a/b").await.unwrap()[0].user_id, "bob");
    assert_eq!(client.owned().await.unwrap()[0].object_id, "k");
    assert!(client.shared().await.unwrap().is_empty());
    let health = client.health().await.unwrap();
    assert_eq!((health.status.as_str(), health.more.len()), ("UP", 1));
}

#[tokio::test]
async fn many_tasks_share_one_client() {
    let (client, connections) = serve(kmip(versions)).await;
    let client = Arc::new(client);
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let client = Arc::clone(&client);
            tokio::spawn(async move {
                for _ in 0..10 {
                    client.call(DiscoverVersionsRequest::default()).await.expect("an answer");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(connections.load(Ordering::SeqCst) <= 32 + 16);
}
