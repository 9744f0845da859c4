//! The specification's own examples of the binary encoding, and the same items in text.

use std::borrow::Cow;

use ttlv::{Encoding, Item, Limits, Number, Spelling, Tag, Unknown, Value, binary};

use crate::{Names, unhex};

struct Vector {
    binary: &'static str,
    value: Value<'static>,
    json: &'static str,
    xml: &'static str,
}

fn vectors() -> Vec<Vector> {
    let vector = |binary, value, json, xml| Vector { binary, value, json, xml };
    vec![
        vector(
            "42 00 20 | 02 | 00 00 00 04 | 00 00 00 08 00 00 00 00",
            Value::Integer(Number::Code(8)),
            r#""type":"Integer","value":8"#,
            r#" type="Integer" value="8"/>"#,
        ),
        vector(
            "42 00 20 | 03 | 00 00 00 08 | 01 B6 9B 4B A5 74 92 00",
            Value::LongInteger(123_456_789_000_000_000),
            r#""type":"LongInteger","value":"0x01B69B4BA5749200""#,
            r#" type="LongInteger" value="123456789000000000"/>"#,
        ),
        vector(
            "42 00 20 | 04 | 00 00 00 10 | 00 00 00 00 03 FD 35 EB 6B C2 DF 46 18 08 00 00",
            Value::BigInteger(
                1_234_567_890_000_000_000_000_000_000_u128.to_be_bytes().to_vec().into(),
            ),
            r#""type":"BigInteger","value":"0x0000000003FD35EB6BC2DF4618080000""#,
            r#" type="BigInteger" value="0000000003FD35EB6BC2DF4618080000"/>"#,
        ),
        vector(
            "42 00 20 | 05 | 00 00 00 04 | 00 00 00 FF 00 00 00 00",
            Value::Enumeration(Number::Code(255)),
            r#""type":"Enumeration","value":"0x000000FF""#,
            r#" type="Enumeration" value="0x000000FF"/>"#,
        ),
        vector(
            "42 00 20 | 06 | 00 00 00 08 | 00 00 00 00 00 00 00 01",
            Value::Boolean(true),
            r#""type":"Boolean","value":true"#,
            r#" type="Boolean" value="true"/>"#,
        ),
        vector(
            "42 00 20 | 07 | 00 00 00 0B | 48 65 6C 6C 6F 20 57 6F 72 6C 64 00 00 00 00 00",
            Value::TextString(Cow::Borrowed("Hello World")),
            r#""type":"TextString","value":"Hello World""#,
            r#" type="TextString" value="Hello World"/>"#,
        ),
        vector(
            "42 00 20 | 08 | 00 00 00 03 | 01 02 03 00 00 00 00 00",
            Value::ByteString(Cow::Borrowed(&[1, 2, 3])),
            r#""type":"ByteString","value":"010203""#,
            r#" type="ByteString" value="010203"/>"#,
        ),
        vector(
            "42 00 20 | 09 | 00 00 00 08 | 00 00 00 00 47 DA 67 F8",
            Value::DateTime(0x47DA_67F8),
            r#""type":"DateTime","value":"2008-03-14T11:56:40Z""#,
            r#" type="DateTime" value="2008-03-14T11:56:40Z"/>"#,
        ),
        vector(
            "42 00 20 | 0A | 00 00 00 04 | 00 0D 2F 00 00 00 00 00",
            Value::Interval(864_000),
            r#""type":"Interval","value":864000"#,
            r#" type="Interval" value="864000"/>"#,
        ),
    ]
}

fn check(item: &Item<'_>, encoding: Encoding, written: &[u8]) {
    let mut out = Vec::new();
    encoding.encode(item, &Names, Spelling::Profile, &mut out).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&out).trim_end(),
        String::from_utf8_lossy(written),
        "{encoding:?} of {item:?}"
    );
    let read = encoding.decode(written, &Names, &Limits::DEFAULT, Unknown::Refuse).unwrap();
    assert_eq!(&read, item, "{encoding:?}");
}

#[test]
fn examples_of_the_specification() {
    for Vector { binary, value, json, xml } in vectors() {
        // The examples use a tag whose name we pretend not to know.
        let item = Item::new(Tag(0x42_0020), value);
        check(&item, Encoding::Binary, &unhex(binary));
        let json = format!(r#"{{"tag":"0x420020",{json}}}"#);
        check(&item, Encoding::Json, json.as_bytes());
        check(&item, Encoding::Xml, format!(r#"<TTLV tag="0x420020"{xml}"#).as_bytes());
    }
}

#[test]
fn the_specifications_structure() {
    let bytes = unhex(
        "42 00 20 | 01 | 00 00 00 20 | 42 00 04 | 05 | 00 00 00 04 | 00 00 00 FE 00 00 00 00 \
         | 42 00 05 | 02 | 00 00 00 04 | 00 00 00 FF 00 00 00 00",
    );
    let item = Item::structure(
        Tag(0x42_0020),
        vec![
            Item::new(Tag(0x42_0004), Value::Enumeration(Number::Code(254))),
            Item::new(Tag(0x42_0005), Value::Integer(Number::Code(255))),
        ],
    );
    check(&item, Encoding::Binary, &bytes);
    check(
        &item,
        Encoding::Json,
        br#"{"tag":"0x420020","value":[{"tag":"0x420004","type":"Enumeration","value":"0x000000FE"},{"tag":"0x420005","type":"Integer","value":255}]}"#,
    );
    check(
        &item,
        Encoding::Xml,
        b"<TTLV tag=\"0x420020\">\n  <TTLV tag=\"0x420004\" type=\"Enumeration\" value=\"0x000000FE\"/>\n  <TTLV tag=\"0x420005\" type=\"Integer\" value=\"255\"/>\n</TTLV>",
    );
    let header = bytes.first_chunk().unwrap();
    assert_eq!(binary::message_length(header).unwrap(), (Tag(0x42_0020), bytes.len()));
}
