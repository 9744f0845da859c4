//! What messages look like on the wire, written out by hand from the specification.

use kmip::Version;
use kmip::attribute::{Attribute, Name};
use kmip::enumerations::{
    CryptographicAlgorithm, CryptographicUsageMask, ObjectType, Operation, ResultReason,
};
use kmip::message::{self, RequestMessage};
use kmip::operation::{CreateRequest, DiscoverVersionsRequest, Request};
use kmip::tag::Names;
use kmip::wire::{DateTime, Interval};
use ttlv::{Encoding, Limits, Spelling, Unknown};

use crate::round_trips::{decode, encode};

const CREATE_1_4: &str = r#"
<RequestMessage>
  <RequestHeader>
    <ProtocolVersion>
      <ProtocolVersionMajor type="Integer" value="1"/>
      <ProtocolVersionMinor type="Integer" value="4"/>
    </ProtocolVersion>
    <BatchCount type="Integer" value="1"/>
  </RequestHeader>
  <BatchItem>
    <Operation type="Enumeration" value="Create"/>
    <RequestPayload>
      <ObjectType type="Enumeration" value="SymmetricKey"/>
      <TemplateAttribute>
        <Attribute>
          <AttributeName type="TextString" value="Cryptographic Algorithm"/>
          <AttributeValue type="Enumeration" value="AES"/>
        </Attribute>
        <Attribute>
          <AttributeName type="TextString" value="Cryptographic Length"/>
          <AttributeValue type="Integer" value="256"/>
        </Attribute>
        <Attribute>
          <AttributeName type="TextString" value="Cryptographic Usage Mask"/>
          <AttributeValue type="Integer" value="Encrypt Decrypt"/>
        </Attribute>
        <Attribute>
          <AttributeName type="TextString" value="Name"/>
          <AttributeValue>
            <NameValue type="TextString" value="key"/>
            <NameType type="Enumeration" value="UninterpretedTextString"/>
          </AttributeValue>
        </Attribute>
        <Attribute>
          <AttributeName type="TextString" value="Activation Date"/>
          <AttributeValue type="DateTime" value="2020-01-01T00:00:00+00:00"/>
        </Attribute>
      </TemplateAttribute>
    </RequestPayload>
  </BatchItem>
</RequestMessage>"#;

const CREATE_BARE: &str = r#"{"tag":"Create","value":[
  {"tag":"ObjectType","type":"Enumeration","value":"SymmetricKey"},
  {"tag":"Attributes","value":[
    {"tag":"CryptographicAlgorithm","type":"Enumeration","value":"AES"},
    {"tag":"CryptographicLength","type":"Integer","value":256},
    {"tag":"CryptographicUsageMask","type":"Integer","value":12},
    {"tag":"Name","value":[
      {"tag":"NameValue","type":"TextString","value":"key"},
      {"tag":"NameType","type":"Enumeration","value":"UninterpretedTextString"}]},
    {"tag":"ActivationDate","type":"DateTime","value":"2020-01-01T00:00:00Z"}]}]}"#;

fn create() -> Request {
    let attributes = [
        Attribute::CryptographicAlgorithm(CryptographicAlgorithm::AES),
        Attribute::CryptographicLength(256),
        Attribute::CryptographicUsageMask(
            CryptographicUsageMask::Encrypt | CryptographicUsageMask::Decrypt,
        ),
        Attribute::Name(Name::from("key")),
        Attribute::ActivationDate(DateTime(1_577_836_800)),
    ];
    Request::Create(CreateRequest {
        object_type: ObjectType::SymmetricKey,
        attributes: attributes.into_iter().collect(),
        protection_storage_masks: None,
    })
}

#[test]
fn old_and_new_spelling_mean_the_same() {
    let old = message::read(decode(Encoding::Xml, CREATE_1_4.as_bytes())).unwrap();
    assert_eq!(old, RequestMessage::single(Version::V1_4, create()));
    let bare = decode(Encoding::Json, CREATE_BARE.as_bytes());
    assert_eq!(message::read_bare(bare).unwrap(), create());
}

#[test]
fn messages_are_written_as_the_specification_has_them() {
    let message = RequestMessage::single(Version::V1_4, create());
    let item = message::write_request(&message, Version::V1_4).unwrap();
    let written = encode(Encoding::Xml, &item, Spelling::Profile);
    let plain = |text: &str| {
        let item = decode(Encoding::Xml, text.as_bytes());
        format!("{item:?}").replace("Decrypt Encrypt", "Encrypt Decrypt")
    };
    assert_eq!(plain(&String::from_utf8(written).unwrap()), plain(CREATE_1_4));
}

/// `DiscoverVersions` in 2.1, byte by byte.
#[test]
fn binary_is_what_the_specification_says() {
    let mut expected = Vec::new();
    let mut put = |bytes: &[u8]| expected.extend_from_slice(bytes);
    put(&[0x42, 0, 0x78, 1, 0, 0, 0, 0x60]); // RequestMessage
    put(&[0x42, 0, 0x77, 1, 0, 0, 0, 0x38]); // RequestHeader
    put(&[0x42, 0, 0x69, 1, 0, 0, 0, 0x20]); // ProtocolVersion
    put(&[0x42, 0, 0x6A, 2, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 0]); // major
    put(&[0x42, 0, 0x6B, 2, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0]); // minor
    put(&[0x42, 0, 0x0D, 2, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0]); // BatchCount
    put(&[0x42, 0, 0x0F, 1, 0, 0, 0, 0x18]); // BatchItem
    put(&[0x42, 0, 0x5C, 5, 0, 0, 0, 4, 0, 0, 0, 0x1E, 0, 0, 0, 0]); // Operation
    put(&[0x42, 0, 0x79, 1, 0, 0, 0, 0]); // RequestPayload
    let request = Request::DiscoverVersions(DiscoverVersionsRequest::default());
    let message = RequestMessage::single(Version::V2_1, request);
    let item = message::write_request(&message, Version::V2_1).unwrap();
    assert_eq!(encode(Encoding::Binary, &item, Spelling::Profile), expected);
    assert_eq!(message::read(decode(Encoding::Binary, &expected)).unwrap(), message);
}

#[test]
fn masks_are_read_as_names_and_numbers() {
    for (spelling, mask) in [
        ("\"Encrypt|Decrypt\"", 12),
        ("\"Encrypt Decrypt\"", 12),
        ("\"0x0000000C\"", 12),
        ("12", 12),
        ("0", 0),
        ("2097152", 0x20_0000),
    ] {
        let text = CREATE_BARE.replace("\"value\":12}", &format!("\"value\":{spelling}}}"));
        let Request::Create(read) =
            message::read_bare(decode(Encoding::Json, text.as_bytes())).unwrap()
        else {
            panic!("another operation")
        };
        assert_eq!(
            read.attributes.cryptographic_usage_mask(),
            Some(CryptographicUsageMask(mask)),
            "{spelling}"
        );
    }
}

#[test]
fn a_rotation_policy_is_read_as_other_clients_send_it() {
    let text = r#"{"tag":"SetAttribute","value":[{"tag":"NewAttribute","value":[
        {"tag":"RotateInterval","type":"LongInteger","value":"0x0000000000000E10"}]}]}"#;
    let Request::SetAttribute(read) =
        message::read_bare(decode(Encoding::Json, text.as_bytes())).unwrap()
    else {
        panic!("another operation")
    };
    assert_eq!(read.new_attribute.attribute, Attribute::RotateInterval(Interval(3600)));
    let response = kmip::operation::GetAttributesResponse {
        unique_identifier: "id".to_owned(),
        attributes: std::iter::once(read.new_attribute.attribute).collect(),
    };
    let response = response.into();
    let item = message::write_bare(&response).unwrap();
    let written = String::from_utf8(encode(Encoding::Json, &item, Spelling::Recorded)).unwrap();
    assert!(written.contains("LongInteger") && !written.contains("Interval\",\"type\":\"Interval"));
}

#[test]
fn reasons_and_operations_have_the_names_of_the_profile() {
    assert_eq!(ResultReason::WrongKeyLifecycleState.name(), Some("WrongKeyLifecycleState"));
    assert_eq!(Operation::RekeyKeyPair.to_string(), "ReKeyKeyPair");
    assert_eq!(Operation(0x99).to_string(), "0x00000099");
    let item = Encoding::Json.decode(
        br#"{"tag":"Nonsense","value":[]}"#,
        &Names,
        &Limits::DEFAULT,
        Unknown::Skip,
    );
    assert!(item.is_err());
}
