//! What must be refused, with the right reason, and without taking the rest of a batch along.

use kmip::enumerations::{Operation, ResultReason};
use kmip::message::{self, BareError, Cause};
use kmip::tag::Names;
use kmip::wire::Error;
use kmip::{Version, tag};
use ttlv::{Encoding, Item, Limits, Number, Unknown, Value};

fn xml(text: &str) -> Item<'_> {
    Encoding::Xml.decode(text.as_bytes(), &Names, &Limits::DEFAULT, Unknown::Refuse).unwrap()
}

fn json(text: &str) -> Item<'_> {
    Encoding::Json.decode(text.as_bytes(), &Names, &Limits::DEFAULT, Unknown::Skip).unwrap()
}

fn request(version: (i32, i32), count: usize, items: &str) -> String {
    let (major, minor) = version;
    format!(
        "<RequestMessage><RequestHeader><ProtocolVersion>\
         <ProtocolVersionMajor type=\"Integer\" value=\"{major}\"/>\
         <ProtocolVersionMinor type=\"Integer\" value=\"{minor}\"/></ProtocolVersion>\
         <BatchCount type=\"Integer\" value=\"{count}\"/></RequestHeader>{items}</RequestMessage>"
    )
}

fn batch_item(operation: &str, payload: &str) -> String {
    format!(
        "<BatchItem><Operation type=\"Enumeration\" value=\"{operation}\"/>\
         <RequestPayload>{payload}</RequestPayload></BatchItem>"
    )
}

const ID: &str = "<UniqueIdentifier type=\"TextString\" value=\"id\"/>";

fn payload_error(version: (i32, i32), operation: &str, payload: &str) -> Error {
    let text = request(version, 1, &batch_item(operation, payload));
    let message = message::read(xml(&text)).unwrap();
    message.items.into_iter().next().unwrap().payload.unwrap_err()
}

#[test]
fn a_wrong_payload_leaves_the_other_items_alone() {
    let items = [
        batch_item("Get", ID),
        batch_item("Get", &format!("{ID}{ID}")),
        batch_item("Archive", ID),
        batch_item("Destroy", ID),
    ];
    let text = request((1, 2), 4, &items.concat());
    let message = message::read(xml(&text)).unwrap();
    assert_eq!(message.header.version(), Version::V1_2);
    let payloads: Vec<_> = message.items.iter().map(|it| it.payload.is_ok()).collect();
    assert_eq!(payloads, [true, false, false, true]);
    assert_eq!(message.items[2].operation, Operation::Archive);
    let reasons: Vec<_> =
        message.items.iter().filter_map(|it| Some(it.payload.as_ref().err()?.reason())).collect();
    assert_eq!(reasons, [ResultReason::InvalidMessage, ResultReason::OperationNotSupported]);
}

#[test]
fn payloads_are_refused_for_what_is_wrong_with_them() {
    let twice = payload_error((2, 1), "Get", &format!("{ID}{ID}"));
    assert_eq!(twice, Error::Duplicate(tag::UniqueIdentifier));
    let foreign = payload_error((2, 1), "Get", "<Modulus type=\"BigInteger\" value=\"01\"/>");
    assert_eq!(foreign, Error::Unexpected(tag::Modulus));
    let missing = payload_error((2, 1), "Create", "<Attributes/>");
    assert_eq!(missing, Error::Missing(tag::ObjectType));
    assert_eq!(missing.reason(), ResultReason::MissingData);
    let typed = "<UniqueIdentifier type=\"Boolean\" value=\"true\"/>";
    let typed = payload_error((1, 4), "Get", typed);
    assert_eq!(typed.to_string(), "in UniqueIdentifier: expected an identifier");
    let teapot = "<ObjectType type=\"Enumeration\" value=\"Teapot\"/><Attributes/>";
    let teapot = payload_error((2, 1), "Create", teapot);
    assert_eq!(teapot.to_string(), "in ObjectType: \"Teapot\" is not a value of ObjectType");
    assert_eq!(teapot.reason(), ResultReason::InvalidField);
    let object = payload_error(
        (2, 1),
        "Register",
        "<ObjectType type=\"Enumeration\" value=\"SymmetricKey\"/><Attributes/>",
    );
    assert_eq!(object, Error::BadValue("the object itself is missing"));
    let unknown = "<TemplateAttribute><Attribute>\
         <AttributeName type=\"TextString\" value=\"Sensitive\"/>\
         <AttributeValue type=\"Boolean\" value=\"true\"/></Attribute></TemplateAttribute>";
    let kind = "<ObjectType type=\"Enumeration\" value=\"SymmetricKey\"/>";
    let unknown = payload_error((1, 2), "Create", &format!("{kind}{unknown}"));
    assert_eq!(*unknown.cause(), Error::UnknownAttribute("Sensitive".to_owned()));
}

#[test]
fn operations_and_fields_of_later_versions_are_refused() {
    let early = payload_error((1, 1), "Encrypt", ID);
    assert_eq!(early, Error::UnknownOperation(Operation::Encrypt));
    let later = payload_error((1, 4), "Revoke", "<Cascade type=\"Boolean\" value=\"true\"/>");
    assert_eq!(later, Error::Unexpected(tag::Cascade));
}

#[test]
fn versions_not_spoken_here_are_named() {
    for (major, minor) in [(3, 0), (1, 5), (0, 9), (9, 9), (-1, 0), (i32::MAX, i32::MAX)] {
        let text = request((major, minor), 1, &batch_item("Get", ID));
        let error = message::read(xml(&text)).unwrap_err();
        assert_eq!(error.cause, Cause::UnsupportedVersion { major, minor });
        assert_eq!(error.reason(), ResultReason::UnsupportedProtocolVersion);
        assert_eq!(error.version, None);
    }
}

#[test]
fn frames_that_are_wrong_say_in_which_version_to_answer() {
    let text = request((1, 3), 2, &batch_item("Get", ID));
    let error = message::read(xml(&text)).unwrap_err();
    assert_eq!(error.version, Some(Version::V1_3));
    assert_eq!(error.cause, Cause::BatchCount { announced: 2, found: 1 });
    let nameless = "<BatchItem><RequestPayload/></BatchItem>";
    let text = request((1, 3), 1, nameless);
    let error = message::read(xml(&text)).unwrap_err();
    let missing = Error::Missing(tag::Operation).at(tag::BatchItem);
    assert_eq!(error.cause, Cause::Malformed(missing));
    let text = request((2, 1), 0, "<Modulus type=\"BigInteger\" value=\"01\"/>");
    let error = message::read(xml(&text)).unwrap_err();
    assert_eq!(error.cause, Cause::Malformed(Error::Unexpected(tag::Modulus)));
    for text in ["<RequestMessage/>", "<RequestMessage><RequestHeader/></RequestMessage>"] {
        let error = message::read(xml(text)).unwrap_err();
        assert_eq!((error.version, error.reason()), (None, ResultReason::InvalidMessage));
    }
    let error = message::read(xml("<ResponseMessage/>")).unwrap_err();
    assert!(matches!(error.cause, Cause::NotAMessage { .. }));
}

#[test]
fn extensions_are_read_for_whether_they_must_be_understood() {
    for (critical, text) in [(true, "true"), (false, "false")] {
        let extension = format!(
            "<MessageExtension><VendorIdentification type=\"TextString\" value=\"ACME\"/>\
             <CriticalityIndicator type=\"Boolean\" value=\"{text}\"/><VendorExtension/>\
             </MessageExtension></BatchItem>"
        );
        let item = batch_item("Get", ID).replace("</BatchItem>", &extension);
        let text = request((1, 0), 1, &item);
        let message = message::read(xml(&text)).unwrap();
        assert_eq!(message.items[0].critical_extension, critical);
    }
}

#[test]
fn our_own_extension_gives_an_item_a_key() {
    let key = "<IdempotencyKey type=\"TextString\" value=\"k\"/>";
    let extension = |vendor: &str, content: &str| {
        format!(
            "<MessageExtension><VendorIdentification type=\"TextString\" value=\"{vendor}\"/>\
             <CriticalityIndicator type=\"Boolean\" value=\"true\"/>\
             <VendorExtension>{content}</VendorExtension></MessageExtension>"
        )
    };
    let read = |extensions: &str| {
        let item = batch_item("Destroy", ID);
        let item = item.replace("</BatchItem>", &format!("{extensions}</BatchItem>"));
        message::read(xml(&request((1, 0), 1, &item)))
    };
    let found = |extensions: &str| {
        let item = read(extensions).unwrap().items.remove(0);
        (item.idempotency_key, item.critical_extension)
    };
    let (ours, vendor) = (extension("open_kms", key), message::EXTENSION_VENDOR);
    assert_eq!(vendor, "open_kms");
    assert_eq!(found(&ours), (Some("k".to_owned()), false));
    assert_eq!(found(&extension("ACME", key)), (None, true));
    assert_eq!(found(&(ours.clone() + &extension("ACME", ""))), (Some("k".to_owned()), true));
    for wrong in [
        extension("open_kms", ""),
        extension("open_kms", ID),
        extension("open_kms", &format!("{key}{key}")),
        extension("open_kms", &key.replace("TextString", "Integer").replace("\"k\"", "\"1\"")),
        ours.clone() + &ours,
    ] {
        assert!(read(&wrong).is_err(), "{wrong}");
    }
    // It is written as it is read.
    let message = read(&ours).unwrap();
    let version = message.header.version();
    let written = message::write_request(&message, version).unwrap();
    assert_eq!(message::read(written).unwrap(), message);
}

#[test]
fn a_request_is_the_same_whatever_is_around_it() {
    use kmip::enumerations::BatchErrorContinuationOption as On;
    let identity = |version: (i32, i32), items: &str, on| {
        let message = message::read(xml(&request(version, 1, items))).unwrap();
        message::identity(message.header.version(), on, &message.items).unwrap()
    };
    let item = batch_item("Destroy", ID);
    let first = identity((1, 4), &item, None);
    let batch_id = "<UniqueBatchItemID type=\"ByteString\" value=\"01\"/><RequestPayload>";
    assert_eq!(first, identity((1, 4), &item.replace("<RequestPayload>", batch_id), None));
    for other in [
        identity((1, 3), &item, None),
        identity((1, 4), &item, Some(On::Undo)),
        identity((1, 4), &batch_item("Get", ID), None),
        identity((1, 4), &batch_item("Destroy", &ID.replace("\"id\"", "\"other\"")), None),
    ] {
        assert_ne!(first, other);
    }
}

#[test]
fn fields_are_read_in_any_order() {
    let text = request(
        (1, 0),
        1,
        "<BatchItem><RequestPayload/><UniqueBatchItemID type=\"ByteString\" value=\"01\"/>\
         <Operation type=\"Enumeration\" value=\"Get\"/></BatchItem>",
    );
    let message = message::read(xml(&text)).unwrap();
    assert_eq!(message.items[0].operation, Operation::Get);
    assert!(message.items[0].payload.is_ok());
}

#[test]
fn bare_operations_skip_what_is_unknown_and_refuse_what_is_missing() {
    let get = r#"{"tag":"Get","value":[
        {"tag":"UniqueIdentifier","type":"TextString","value":"id"},
        {"tag":"Frobnicator","type":"TextString","value":"x"}]}"#;
    assert!(message::read_bare(json(get)).is_ok());
    let create = r#"{"tag":"Create","value":[]}"#;
    let error = message::read_bare(json(create)).unwrap_err();
    assert_eq!(error, BareError::Payload(Error::Missing(tag::ObjectType)));
    let archive = r#"{"tag":"Archive","value":[]}"#;
    let error = message::read_bare(json(archive)).unwrap_err();
    assert_eq!(error, BareError::Unsupported(Operation::Archive));
    let certificate = r#"{"tag":"Certificate","value":[]}"#;
    let error = message::read_bare(json(certificate)).unwrap_err();
    assert_eq!(error, BareError::NotAnOperation(tag::Certificate));
}

#[test]
fn secrets_are_not_shown() {
    let get = r#"{"tag":"Encrypt","value":[
        {"tag":"Data","type":"ByteString","value":"DEADBEEF"}]}"#;
    let shown = format!("{:?}", message::read_bare(json(get)).unwrap());
    assert!(shown.contains("4 bytes") && !shown.contains("222"), "{shown}");
    let mut shown = format!("{:?}", crate::samples::objects());
    shown.retain(|it| it != ' ' && it != '\n');
    assert!(shown.contains("secretbytes") && !shown.contains("0,1,2"), "{shown}");
    let text = request((1, 2), 0, "").replace(
        "<BatchCount",
        "<Authentication><Credential>\
         <CredentialType type=\"Enumeration\" value=\"UsernameAndPassword\"/><CredentialValue>\
         <Username type=\"TextString\" value=\"Fred\"/>\
         <Password type=\"TextString\" value=\"password1\"/>\
         </CredentialValue></Credential></Authentication><BatchCount",
    );
    let message = message::read(xml(&text)).unwrap();
    let shown = format!("{message:?}");
    assert!(shown.contains("Fred") && !shown.contains("password1"), "{shown}");
}

#[test]
fn vendors_numbers_need_numbers() {
    let value = |number| Value::Enumeration(number);
    let structure = |number| {
        Item::structure(
            tag::NewAttribute,
            vec![Item::structure(
                tag::Attribute,
                vec![
                    Item::new(tag::VendorIdentification, Value::TextString("x".into())),
                    Item::new(tag::AttributeName, Value::TextString("n".into())),
                    Item::new(tag::AttributeValue, value(number)),
                ],
            )],
        )
    };
    let read = |number| {
        let item = Item::structure(tag::SetAttribute, vec![structure(number)]);
        message::read_bare(item)
    };
    assert!(read(Number::Code(7)).is_ok());
    assert!(read(Number::Name("Seven".into())).is_err());
}
