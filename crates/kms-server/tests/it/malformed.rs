//! Two thousand requests that are almost right: each gets an answer in bounded time, and the next
//! request works.

use std::time::{Duration, Instant};

use kms_testkit::http::Connection;
use kms_testkit::server::Server;

/// Requests of each encoding.
const EACH: usize = 500;
/// The longest that any of them may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A small generator: the same requests in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % bound.max(1)
    }
}

/// One to four changes: bits, bytes, lengths, cuts, repeats.
fn mutate(random: &mut Random, valid: &[u8]) -> Vec<u8> {
    const INTERESTING: [u8; 10] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'{', b'[', b'<', b'0'];
    let mut bytes = valid.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(8) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = INTERESTING[random.below(INTERESTING.len())],
            2 => bytes.truncate(at.max(1)),
            3 => bytes.insert(at, INTERESTING[random.below(INTERESTING.len())]),
            4 => drop(bytes.remove(at)),
            5 => {
                let until = (at + random.below(32)).min(bytes.len());
                let piece = bytes[at..until].to_vec();
                bytes.splice(at..at, piece);
            }
            6 => {
                // A length, or part of one, becomes huge.
                let until = (at + 4).min(bytes.len());
                bytes[at..until].fill(0xff);
            }
            _ => {
                let until = (at + random.below(64)).min(bytes.len());
                bytes.drain(at..until);
            }
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
    bytes
}

fn run(server: &Server, path: &str, content_type: &str, valid: &[Vec<u8>]) {
    let mut connection = server.connect();
    for bytes in valid {
        let answer = connection.post(path, content_type, bytes);
        assert!(answer.status == 200, "not valid to begin with: {}", answer.text());
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for number in 0..EACH {
        let original = &valid[number % valid.len()];
        let bytes = mutate(&mut random, original);
        let begun = Instant::now();
        let answer = connection.post(path, content_type, &bytes);
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        assert!(begun.elapsed() < PATIENCE, "{number}: {shown}");
        assert!([200, 404, 422].contains(&answer.status), "{number}: {shown}: {answer:?}");
        if path == "/kmip" {
            assert_eq!(answer.status, 200, "{number}: {shown}: {answer:?}");
            assert_eq!(
                answer.header("content-type").unwrap().split(';').next(),
                content_type.split(';').next()
            );
        }
        if number % 50 == 0 {
            assert_eq!(connection.post(path, content_type, original).status, 200, "{number}");
        }
    }
    super::assert_answers(server);
}

fn json_operations() -> Vec<Vec<u8>> {
    let create = r#"{"tag":"Create","value":[{"tag":"ObjectType","type":"Enumeration","value":"SymmetricKey"},{"tag":"Attributes","value":[{"tag":"CryptographicAlgorithm","type":"Enumeration","value":"AES"},{"tag":"CryptographicLength","type":"Integer","value":256},{"tag":"CryptographicUsageMask","type":"Integer","value":12},{"tag":"Attribute","value":[{"tag":"VendorIdentification","type":"TextString","value":"cosmian"},{"tag":"AttributeName","type":"TextString","value":"tag"},{"tag":"AttributeValue","type":"TextString","value":"[\"a\"]"}]}]}]}"#;
    let locate = r#"{"tag":"Locate","value":[{"tag":"MaximumItems","type":"Integer","value":3},{"tag":"Attributes","value":[{"tag":"ObjectType","type":"Enumeration","value":"SymmetricKey"},{"tag":"InitialDate","type":"DateTime","value":"2020-01-01T00:00:00Z"}]}]}"#;
    let query = r#"{"tag":"Query","value":[{"tag":"QueryFunction","type":"Enumeration","value":"QueryOperations"}]}"#;
    [create, locate, query].map(|text| text.as_bytes().to_vec()).into()
}

fn json_message() -> Vec<u8> {
    br#"{"tag":"RequestMessage","value":[{"tag":"RequestHeader","value":[{"tag":"ProtocolVersion","value":[{"tag":"ProtocolVersionMajor","type":"Integer","value":2},{"tag":"ProtocolVersionMinor","type":"Integer","value":1}]},{"tag":"BatchErrorContinuationOption","type":"Enumeration","value":"Continue"},{"tag":"BatchCount","type":"Integer","value":2}]},{"tag":"BatchItem","value":[{"tag":"Operation","type":"Enumeration","value":"Create"},{"tag":"UniqueBatchItemID","type":"ByteString","value":"01"},{"tag":"RequestPayload","value":[{"tag":"ObjectType","type":"Enumeration","value":"SymmetricKey"},{"tag":"Attributes","value":[{"tag":"CryptographicAlgorithm","type":"Enumeration","value":"AES"},{"tag":"CryptographicLength","type":"Integer","value":128},{"tag":"CryptographicUsageMask","type":"Integer","value":"Encrypt|Decrypt"}]}]}]},{"tag":"BatchItem","value":[{"tag":"Operation","type":"Enumeration","value":"Encrypt"},{"tag":"UniqueBatchItemID","type":"ByteString","value":"02"},{"tag":"RequestPayload","value":[{"tag":"Data","type":"ByteString","value":"00112233"}]}]}]}"#.to_vec()
}

/// The same message in binary and in XML, made by the codecs.
fn message_as(encoding: ttlv::Encoding) -> Vec<u8> {
    let message = json_message();
    let item = ttlv::json::decode(
        &message,
        &kmip::tag::Names,
        &ttlv::Limits::DEFAULT,
        ttlv::Unknown::Refuse,
    );
    let message = kmip::message::read(item.unwrap()).unwrap();
    let item = kmip::message::write_request(&message, kmip::Version::V2_1).unwrap();
    let mut bytes = Vec::new();
    encoding.encode(&item, &kmip::tag::Names, ttlv::Spelling::Profile, &mut bytes).unwrap();
    bytes
}

#[test]
fn bare_operations() {
    run(&super::server(), "/kmip/2_1", "application/json", &json_operations());
}

#[test]
fn messages_in_json() {
    run(&super::server(), "/kmip", "application/json", &[json_message()]);
}

#[test]
fn messages_in_binary() {
    let valid = message_as(ttlv::Encoding::Binary);
    run(&super::server(), "/kmip", "application/octet-stream", &[valid]);
}

#[test]
fn messages_in_xml() {
    run(&super::server(), "/kmip", "text/xml", &[message_as(ttlv::Encoding::Xml)]);
}

#[test]
fn depth_has_a_bottom() {
    let server = super::server();
    let mut connection = server.connect();
    let deep =
        format!("{}{}", r#"{"tag":"Attributes","value":["#.repeat(10_000), "]}".repeat(10_000));
    assert_eq!(connection.post("/kmip/2_1", "application/json", deep.as_bytes()).status, 422);
    let mut binary = Vec::new();
    for _ in 0..10_000 {
        let inner = u32::try_from(binary.len()).unwrap();
        let mut outer = vec![0x42, 0, 0x78, 1];
        outer.extend(inner.to_be_bytes());
        // From the inside out, without copying each time.
        outer.reverse();
        binary.extend(outer);
    }
    binary.reverse();
    let answer = connection.post("/kmip", "application/octet-stream", &binary);
    assert_eq!((answer.status, &answer.body[..3]), (200, &[0x42, 0, 0x7b][..]));
    super::assert_answers(&server);
}

#[test]
fn bytes_that_are_no_http() {
    let server = super::server();
    for bytes in [
        &b"\0\0\0\0"[..],
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
        b"GET /version\r\n\r\n",
        b"GET /version HTTP/9.9\r\n\r\n",
        b"POST /kmip HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /kmip HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"POST /kmip HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET http:// HTTP/1.1\r\n\r\n",
    ] {
        let mut connection = server.connect();
        connection.send(bytes);
        connection.finish();
        let status = connection.answer().map(|answer| answer.status);
        assert!(status.is_none_or(|status| (400..500).contains(&status)), "{status:?}");
    }
    super::assert_answers(&server);
}

#[test]
fn a_body_that_is_cut_off() {
    let server = super::server();
    for (path, content_type) in
        [("/kmip/2_1", "application/json"), ("/kmip", "application/octet-stream")]
    {
        let mut connection = Connection::open(server.address());
        connection.send(
            format!(
                "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {content_type}\r\n\
                 content-length: 500\r\n\r\n{{\"tag\":"
            )
            .as_bytes(),
        );
        connection.finish();
        let status = connection.answer().map(|answer| answer.status);
        assert!(status.is_none_or(|status| status == 400), "{status:?}");
    }
    super::assert_answers(&server);
}
