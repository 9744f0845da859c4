//! Data that is too long to be copied about: the same answers as for short data.

use kmip::enumerations::{ResultReason, ResultStatus};
use kmip::message::{self, RequestHeader, RequestItem, RequestMessage, ResponseMessage};
use kmip::operation::{DecryptRequest, EncryptRequest, EncryptResponse, Request, Response};
use kmip::wire::Bytes;
use kmip::{Version, tag};
use kms_testkit::http::{Answer, Connection};
use serde_json::json;
use ttlv::{Encoding, Limits, Spelling, Unknown};

const BINARY: &str = "application/octet-stream";
const LONG: usize = 64 << 10;
const LENGTHS: [usize; 6] = [1, LONG - 1, LONG, LONG + 1, 300_003, 1 << 20];

/// A key to encrypt and decrypt with.
fn key(connection: &mut Connection) -> String {
    let attributes = json!([
        {"tag": "ActivationDate", "type": "DateTime", "value": "2024-01-01T00:00:00Z"},
        {"tag": "CryptographicAlgorithm", "type": "Enumeration", "value": "AES"},
        {"tag": "CryptographicLength", "type": "Integer", "value": 256},
        {"tag": "CryptographicUsageMask", "type": "Integer", "value": 12},
    ]);
    let answer = connection.operation(&json!({"tag": "Create", "value": [
        {"tag": "ObjectType", "type": "Enumeration", "value": "SymmetricKey"},
        {"tag": "Attributes", "value": attributes},
    ]}));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let fields = answer.json()["value"].as_array().unwrap().clone();
    let id = fields.iter().find(|it| it["tag"] == "UniqueIdentifier").unwrap();
    id["value"].as_str().unwrap().to_owned()
}

/// Data in which no two places look alike.
fn data(length: usize) -> Vec<u8> {
    let mut state = u32::try_from(length).unwrap();
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

fn encrypt(id: &str, data: Vec<u8>) -> Request {
    Request::Encrypt(EncryptRequest {
        unique_identifier: Some(id.to_owned().into()),
        cryptographic_parameters: None,
        data: Some(Bytes(data)),
        iv_counter_nonce: None,
        correlation_value: None,
        init_indicator: None,
        final_indicator: None,
        authenticated_encryption_additional_data: None,
    })
}

fn decrypt(id: &str, encrypted: EncryptResponse) -> Request {
    Request::Decrypt(DecryptRequest {
        unique_identifier: Some(id.to_owned().into()),
        cryptographic_parameters: None,
        data: encrypted.data,
        iv_counter_nonce: encrypted.iv_counter_nonce,
        correlation_value: None,
        init_indicator: None,
        final_indicator: None,
        authenticated_encryption_additional_data: None,
        authenticated_encryption_tag: encrypted.authenticated_encryption_tag,
    })
}

fn batch(requests: impl IntoIterator<Item = Request>, version: Version) -> RequestMessage {
    let items: Vec<_> = requests.into_iter().map(RequestItem::new).collect();
    let count = i32::try_from(items.len()).unwrap();
    RequestMessage { header: RequestHeader::new(version, count), items }
}

fn write(request: &RequestMessage, encoding: Encoding) -> Vec<u8> {
    let item = message::write_request(request, request.header.version()).unwrap();
    let mut bytes = Vec::new();
    encoding.encode(&item, &tag::Names, Spelling::Profile, &mut bytes).unwrap();
    bytes
}

fn read(answer: &Answer, encoding: Encoding) -> ResponseMessage {
    let names = &tag::Names;
    let item = encoding.decode(&answer.body, names, &Limits::DEFAULT, Unknown::Refuse).unwrap();
    message::read_response(item).unwrap()
}

fn ask(connection: &mut Connection, request: &RequestMessage) -> ResponseMessage {
    let answer = connection.post("/kmip", BINARY, &write(request, Encoding::Binary));
    assert_eq!(answer.status, 200);
    read(&answer, Encoding::Binary)
}

fn encrypted(response: ResponseMessage) -> Vec<EncryptResponse> {
    let answer = |item: message::ResponseItem| match item.response {
        Some(Response::Encrypt(answer)) => answer,
        _ => panic!("{:?} {:?}", item.reason, item.message),
    };
    response.items.into_iter().map(answer).collect()
}

fn decrypted(response: ResponseMessage) -> Vec<Vec<u8>> {
    let answer = |item: message::ResponseItem| match item.response {
        Some(Response::Decrypt(answer)) => answer.data.unwrap().0,
        _ => panic!("{:?} {:?}", item.reason, item.message),
    };
    response.items.into_iter().map(answer).collect()
}

#[test]
fn data_of_any_length_goes_there_and_back() {
    let server = super::server();
    let mut connection = server.connect();
    let id = key(&mut connection);
    for version in [Version::V1_2, Version::V1_4, Version::V2_1] {
        for length in LENGTHS {
            let there = batch([encrypt(&id, data(length))], version);
            let back = encrypted(ask(&mut connection, &there)).remove(0);
            assert_ne!(back.data.as_ref().unwrap().0, data(length));
            let back = ask(&mut connection, &batch([decrypt(&id, back)], version));
            assert_eq!(decrypted(back), [data(length)], "{version:?} {length}");
        }
    }
    // Another encoding reads what binary wrote.
    let there = batch([encrypt(&id, data(LONG))], Version::V2_1);
    let back = encrypted(ask(&mut connection, &there)).remove(0);
    let json = write(&batch([decrypt(&id, back)], Version::V2_1), Encoding::Json);
    let answer = connection.post("/kmip", "application/json", &json);
    assert_eq!(decrypted(read(&answer, Encoding::Json)), [data(LONG)]);
}

#[test]
fn batches_keep_long_and_short_data_apart() {
    let server = super::server();
    let mut connection = server.connect();
    let id = key(&mut connection);
    for lengths in [[LONG, 1 << 20], [1 << 20, 5], [5, LONG], [LONG - 1, LONG], [LONG, LONG]] {
        let mut requests = lengths.map(|length| encrypt(&id, data(length))).to_vec();
        // One that fails, in between.
        requests.insert(1, encrypt("nothing", data(LONG)));
        let mut response = ask(&mut connection, &batch(requests, Version::V2_1));
        // What follows a failure is not done unless the client says so.
        assert_eq!(response.items[1].status, ResultStatus::OperationFailed);
        response.items.truncate(1);
        assert_eq!(encrypted(response).len(), 1);
        let requests = lengths.map(|length| encrypt(&id, data(length)));
        let back = encrypted(ask(&mut connection, &batch(requests, Version::V2_1)));
        let requests = back.into_iter().map(|it| decrypt(&id, it));
        let back = decrypted(ask(&mut connection, &batch(requests, Version::V2_1)));
        assert_eq!(back, lengths.map(data));
    }
}

#[test]
fn the_longest_answer_allowed_is_counted_with_its_data() {
    let server = super::server();
    let mut connection = server.connect();
    let id = key(&mut connection);
    let mut request = batch([encrypt(&id, data(LONG))], Version::V2_1);
    let answer = connection.post("/kmip", BINARY, &write(&request, Encoding::Binary));
    let length = i32::try_from(answer.body.len()).unwrap();
    for (allowed, reason) in [(length, None), (length - 1, Some(ResultReason::ResponseTooLarge))] {
        request.header.maximum_response_size = Some(allowed);
        let response = ask(&mut connection, &request);
        assert_eq!(response.items[0].reason, reason, "{allowed}");
    }
}

#[test]
fn long_messages_come_in_any_pieces_and_are_refused_as_short_ones() {
    let server = super::server();
    let mut connection = server.connect();
    let id = key(&mut connection);
    let whole = write(&batch([encrypt(&id, data(LONG + 3))], Version::V2_1), Encoding::Binary);
    let begin = |connection: &mut Connection, length: usize| {
        connection.send(b"POST /kmip HTTP/1.1\r\nhost: test\r\n");
        connection.send(format!("content-type: {BINARY}\r\n").as_bytes());
        connection.send(format!("content-length: {length}\r\n\r\n").as_bytes());
    };
    for cuts in [vec![1], vec![150, 151], vec![300, LONG], vec![whole.len() - 1]] {
        begin(&mut connection, whole.len());
        let mut from = 0;
        for cut in cuts {
            connection.send(&whole[from..cut]);
            kms_testkit::server::pause();
            from = cut;
        }
        connection.send(&whole[from..]);
        let answer = read(&connection.answer().unwrap(), Encoding::Binary);
        assert_eq!(encrypted(answer)[0].data.as_ref().unwrap().len(), LONG + 3);
    }
    // The message ends with the padding of the data: five bytes that must be zero.
    let mut wrong = whole.clone();
    wrong[whole.len() - 2] = 1;
    for wrong in [wrong, whole[..whole.len() - 8].to_vec(), [whole.as_slice(), &[0; 8]].concat()] {
        let answer = connection.post("/kmip", BINARY, &wrong);
        let response = read(&answer, Encoding::Binary);
        assert_eq!(response.items[0].reason, Some(ResultReason::InvalidMessage));
    }
    super::assert_answers(&server);
}
