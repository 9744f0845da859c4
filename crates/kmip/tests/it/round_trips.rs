//! Every operation, in every version, through every encoding, comes back as it was.

use kmip::enumerations::{Operation, ResultReason};
use kmip::message::{self, RequestMessage, ResponseHeader, ResponseItem, ResponseMessage};
use kmip::operation::{self, Request, Response};
use kmip::tag::Names;
use kmip::wire::{DateTime, Error};
use kmip::{Version, tag};
use ttlv::{Encoding, Item, Limits, Spelling, Unknown};

use crate::samples;

pub(crate) fn encode(encoding: Encoding, item: &Item<'_>, spelling: Spelling) -> Vec<u8> {
    let mut bytes = Vec::new();
    encoding.encode(item, &Names, spelling, &mut bytes).unwrap();
    bytes
}

pub(crate) fn decode(encoding: Encoding, bytes: &[u8]) -> Item<'_> {
    encoding.decode(bytes, &Names, &Limits::DEFAULT, Unknown::Refuse).unwrap()
}

fn since(operation: Operation) -> Version {
    operation::ALL.iter().find(|row| row.0 == operation).unwrap().1
}

#[test]
fn the_samples_have_every_operation() {
    for (operation, _) in operation::ALL {
        assert!(samples::requests().iter().any(|it| it.operation() == *operation), "{operation}");
        assert!(samples::responses().iter().any(|it| it.operation() == *operation), "{operation}");
    }
}

#[test]
fn requests_come_back_in_every_version_and_encoding() {
    for request in samples::requests() {
        for version in Version::ALL {
            let name = format!("{} {version}", request.operation());
            let message = RequestMessage::single(version, request.clone());
            let item = match message::write_request(&message, version) {
                Ok(item) => item,
                // Changing an attribute that the version lacks.
                Err(error) => {
                    assert_eq!(*error.cause(), Error::NotInVersion(version), "{name}");
                    assert_eq!(request.operation(), Operation::ModifyAttribute);
                    continue;
                }
            };
            let binary = encode(Encoding::Binary, &item, Spelling::Profile);
            let read = message::read(decode(Encoding::Binary, &binary)).unwrap();
            if version < since(request.operation()) {
                assert!(read.items[0].payload.is_err(), "{name}");
                continue;
            }
            assert!(read.items[0].payload.is_ok(), "{name}: {:?}", read.items[0].payload);
            if version == Version::NEWEST {
                let sent = newest(request.clone());
                assert_eq!(read.items[0].payload.as_ref().unwrap(), &sent, "{name}");
            }
            for encoding in Encoding::ALL {
                let item = message::write_request(&read, version).unwrap();
                let bytes = encode(encoding, &item, Spelling::Profile);
                let again = message::read(decode(encoding, &bytes)).unwrap();
                assert_eq!(again, read, "{name} {encoding:?}");
            }
        }
    }
}

/// What a sample is once the newest version, which lacks the attributes of 1.x, has carried it.
fn newest(request: Request) -> Request {
    use kmip::attribute::{AttributeKind, Attributes};
    fn clean(attributes: &mut Attributes) {
        for kind in AttributeKind::ALL {
            if kind.rule().until < Version::NEWEST {
                attributes.remove_kind(*kind);
            }
        }
    }
    let mut request = request;
    match &mut request {
        Request::Create(it) => clean(&mut it.attributes),
        Request::Register(it) => clean(&mut it.attributes),
        Request::Import(it) => clean(&mut it.attributes),
        Request::Locate(it) => clean(&mut it.attributes),
        Request::Rekey(it) => it.attributes.iter_mut().for_each(clean),
        Request::CreateKeyPair(it) => it.common_attributes.iter_mut().for_each(clean),
        Request::RekeyKeyPair(it) => {
            it.private_key_attributes.iter_mut().for_each(clean);
            it.public_key_attributes.iter_mut().for_each(clean);
        }
        _ => {}
    }
    request
}

#[test]
fn responses_come_back_in_every_version_and_encoding() {
    for response in samples::responses() {
        for version in Version::ALL.into_iter().filter(|it| *it >= since(response.operation())) {
            let name = format!("{} {version}", response.operation());
            let header = ResponseHeader::new(version, DateTime(1_600_000_000), 2);
            let failure = ResponseItem::failure(None, ResultReason::GeneralFailure, name.clone());
            let items = vec![ResponseItem::success(response.clone()), failure];
            let message = ResponseMessage { header, items };
            let item = message::write(&message, version).unwrap();
            let binary = encode(Encoding::Binary, &item, Spelling::Profile);
            let read = message::read_response(decode(Encoding::Binary, &binary)).unwrap();
            assert_eq!(read.items[1], message.items[1]);
            for encoding in Encoding::ALL {
                let item = message::write(&read, version).unwrap();
                let bytes = encode(encoding, &item, Spelling::Profile);
                let again = message::read_response(decode(encoding, &bytes)).unwrap();
                assert_eq!(again, read, "{name} {encoding:?}");
            }
        }
    }
}

#[test]
fn bare_operations_come_back_in_both_spellings() {
    for spelling in [Spelling::Profile, Spelling::Recorded] {
        for request in samples::requests() {
            let item = message::write_bare_request(&request).unwrap();
            let bytes = encode(Encoding::Json, &item, spelling);
            let read = message::read_bare(decode(Encoding::Json, &bytes)).unwrap();
            assert_eq!(read, newest(request), "{}", String::from_utf8_lossy(&bytes));
        }
        for response in samples::responses() {
            let item = message::write_bare(&response).unwrap();
            let bytes = encode(Encoding::Json, &item, spelling);
            let read = message::read_bare_response(decode(Encoding::Json, &bytes)).unwrap();
            let again = message::write_bare(&read).unwrap();
            assert_eq!(encode(Encoding::Json, &again, spelling), bytes);
            assert_eq!(read.operation(), response.operation());
        }
    }
}

#[test]
fn bare_items_are_named_like_their_operations() {
    let request = samples::requests().remove(0);
    assert_eq!(message::write_bare_request(&request).unwrap().tag, tag::Activate);
    assert_eq!(message::bare_operation(tag::Rekey), Some(Operation::Rekey));
    assert_eq!(message::bare_operation(tag::RekeyResponse), None);
    assert_eq!(message::bare_operation(tag::Certificate), None);
    let response =
        Response::Activate(operation::ActivateResponse { unique_identifier: "id".to_owned() });
    assert_eq!(message::write_bare(&response).unwrap().tag, tag::ActivateResponse);
}
