//! What each encoding accepts, refuses and writes.

use std::borrow::Cow;

use ttlv::{Error, Item, ItemType, Limits, Number, Spelling, Tag, Unknown, Value};
use ttlv::{binary, diagnostic, json, xml};

use crate::{BATCH_ITEM, DATE, IDENTIFIER, MASK, MESSAGE, Names, OPERATION, text, unhex};

fn from_json(text: &str) -> Result<Item<'_>, Error> {
    json::decode(text.as_bytes(), &Names, &Limits::DEFAULT, Unknown::Refuse)
}

fn from_xml(text: &str) -> Result<Item<'_>, Error> {
    xml::decode(text.as_bytes(), &Names, &Limits::DEFAULT, Unknown::Refuse)
}

fn from_binary(text: &str) -> Result<Item<'static>, Error> {
    binary::decode(&unhex(text), &Limits::DEFAULT).map(Item::into_owned)
}

fn to_json(item: &Item<'_>, spelling: Spelling) -> String {
    let mut out = Vec::new();
    json::encode(item, &Names, spelling, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn json_value(item_type: &str, value: &str) -> Result<Value<'static>, Error> {
    let text = format!(r#"{{"tag":"Operation","type":"{item_type}","value":{value}}}"#);
    from_json(&text).map(|item| item.into_owned().value)
}

type Check<'a> = Box<dyn Fn(&Error) -> bool + 'a>;

#[test]
fn binary_lengths_and_padding_are_exact() {
    let bad = |item_type| move |error: &Error| matches!(error, Error::BadValue { item_type: it, .. } if *it == item_type);
    let cases: Vec<(&str, Check<'_>)> = vec![
        ("", Box::new(|it| *it == Error::Truncated)),
        ("42 00 94 07 00 00 00", Box::new(|it| *it == Error::Truncated)),
        ("42 00 94 07 FF FF FF FF 00", Box::new(|it| *it == Error::Truncated)),
        ("42 00 94 07 00 00 00 01 41", Box::new(|it| *it == Error::Truncated)),
        ("42 00 94 07 00 00 00 00 00", Box::new(|it| *it == Error::TrailingData)),
        ("42 00 94 00 00 00 00 00", Box::new(|it| matches!(it, Error::UnknownType(_)))),
        ("42 00 94 0F 00 00 00 00", Box::new(|it| matches!(it, Error::UnknownType(_)))),
        ("42 00 94 02 00 00 00 08 00000000 00000000", Box::new(bad(ItemType::Integer))),
        ("42 00 94 02 00 00 00 04 00000000 00000001", Box::new(bad(ItemType::Integer))),
        ("42 00 94 03 00 00 00 04 00000000 00000000", Box::new(bad(ItemType::LongInteger))),
        ("42 00 94 04 00 00 00 04 00000000 00000000", Box::new(bad(ItemType::BigInteger))),
        ("42 00 94 04 00 00 00 00", Box::new(bad(ItemType::BigInteger))),
        ("42 00 94 06 00 00 00 08 00000000 00000002", Box::new(bad(ItemType::Boolean))),
        ("42 00 94 07 00 00 00 01 FF 00000000000000", Box::new(bad(ItemType::TextString))),
        ("42 00 94 09 00 00 00 00", Box::new(bad(ItemType::DateTime))),
        // A structure whose last item reaches beyond it.
        ("42 00 78 01 00 00 00 08 42 00 94 08 00 00 00 08", Box::new(|it| *it == Error::Truncated)),
    ];
    for (bytes, check) in cases {
        let error = from_binary(bytes).unwrap_err();
        assert!(check(&error), "{bytes}: {error:?}");
    }
}

#[test]
fn a_socket_learns_how_much_to_read() {
    let length = |text: &str| binary::message_length(unhex(text).first_chunk().unwrap());
    assert_eq!(length("42 00 78 01 00 00 00 20"), Ok((MESSAGE, 40)));
    assert_eq!(length("42 00 78 01 FF FF FF F8"), Ok((MESSAGE, 0x1_0000_0000)));
    assert!(length("42 00 78 01 00 00 00 21").is_err());
    assert!(length("42 00 78 07 00 00 00 20").is_err());
    assert!(length("47 45 54 20 2F 20 48 54").is_err());
}

#[test]
fn big_integers_are_written_in_whole_words() {
    for (value, padded) in [
        (&[0x7F, 1][..], "0000000000007F01"),
        (&[0x80, 1][..], "FFFFFFFFFFFF8001"),
        (&[][..], "0000000000000000"),
    ] {
        let item = Item::new(IDENTIFIER, Value::BigInteger(Cow::Borrowed(value)));
        let mut out = Vec::new();
        binary::encode(&item, &mut out).unwrap();
        assert_eq!(out[8..], unhex(padded));
        assert!(to_json(&item, Spelling::Profile).contains(&format!("\"0x{padded}\"")));
    }
}

#[test]
fn names_need_codes_in_binary_only() {
    let name = Number::Name(Cow::Borrowed("Encrypt"));
    let item = Item::structure(MESSAGE, vec![Item::new(OPERATION, Value::Enumeration(name))]);
    let mut out = b"before".to_vec();
    let error = binary::encode(&item, &mut out).unwrap_err();
    assert_eq!(error, Error::UnresolvedName { tag: OPERATION, name: "Encrypt".into() });
    assert_eq!(out, b"before", "a failure leaves nothing behind");
    assert_eq!(
        to_json(&item, Spelling::Recorded),
        r#"{"tag":"RequestMessage","value":[{"tag":"Operation","type":"Enumeration","value":"Encrypt"}]}"#
    );
}

#[test]
fn json_members_come_in_any_order_and_once() {
    let item = text(IDENTIFIER, "a");
    for accepted in [
        r#"{"tag":"UniqueIdentifier","type":"TextString","value":"a"}"#,
        r#" { "value" : "a" , "type" : "TextString" , "tag" : "UniqueIdentifier" } "#,
        r#"{"type":"TextString","tag":"0x420094","name":"a comment","value":"\u0061"}"#,
        "\n{\"tag\":\r\n\t\"UniqueIdentifier\",\"t\\u0079pe\":\"TextString\",\"value\":\"a\"}\n",
    ] {
        assert_eq!(from_json(accepted).as_ref(), Ok(&item), "{accepted}");
    }
    for refused in [
        r#"{"tag":"UniqueIdentifier","tag":"UniqueIdentifier","type":"TextString","value":"a"}"#,
        r#"{"tag":"UniqueIdentifier","type":"TextString","type":"TextString","value":"a"}"#,
        r#"{"tag":"UniqueIdentifier","type":"TextString","value":"a","value":"a"}"#,
        r#"{"tag":"UniqueIdentifier","type":"TextString","value":"a","more":1}"#,
        r#"{"tag":"UniqueIdentifier","type":"TextString","value":"a",}"#,
        r#"{"tag":"UniqueIdentifier","type":"TextString","value":null}"#,
        r#"{"tag":"UniqueIdentifier","type":"TextString","value":{}}"#,
        r#"{"tag":"UniqueIdentifier","type":"TextString","value":[]}"#,
        r#"{"tag":"UniqueIdentifier","type":"TextString","value":1}"#,
        r#"{"tag":"UniqueIdentifier","type":"TextString","value":true}"#,
        r#"{"tag":"UniqueIdentifier","type":"TextString"}"#,
        r#"{"tag":"UniqueIdentifier","value":"a"}"#,
        r#"{"type":"TextString","value":"a"}"#,
        r#"{"tag":"0x42009","type":"TextString","value":"a"}"#,
        r#"{"tag":"0x0420094","type":"TextString","value":"a"}"#,
        r#"{"tag":"UniqueIdentifier","type":"Text","value":"a"}"#,
        r#"{"tag":"UniqueIdentifier","type":"TextString","value":"a"}{"#,
        r#"[{"tag":"UniqueIdentifier","type":"TextString","value":"a"}]"#,
        r#"{"tag":"BatchItem","value":[,]}"#,
        r#"{"tag":"BatchItem","value":[{"tag":"BatchItem","value":[]},]}"#,
        "{}",
        "",
    ] {
        assert!(from_json(refused).is_err(), "{refused}");
    }
}

#[test]
fn json_strings() {
    let read = |value: &str| json_value("TextString", value);
    for (spelled, meant) in [
        (r#""""#, ""),
        (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r#""\u00e4ä\uD83D\uDE00😀""#, "ää😀😀"),
        (r#""\u0000x""#, "\0x"),
        (r#""a long text with an escape far behind\n""#, "a long text with an escape far behind\n"),
    ] {
        assert_eq!(read(spelled), Ok(Value::TextString(Cow::Borrowed(meant))), "{spelled}");
    }
    for refused in [
        r#""\uD83D""#,
        r#""\uDE00""#,
        r#""\uD83D\u0061""#,
        r#""\u12""#,
        r#""\x""#,
        "\"\n\"",
        r#"""#,
    ] {
        assert!(read(refused).is_err(), "{refused}");
    }
    // Text without escapes costs no allocation.
    let message = r#"{"tag":"UniqueIdentifier","type":"TextString","value":"plain"}"#;
    let item = from_json(message).unwrap();
    assert!(matches!(item.value, Value::TextString(Cow::Borrowed("plain"))));
    // What is written can be read.
    let all: String = ('\0'..'\u{100}').collect();
    let item = text(IDENTIFIER, &all);
    assert_eq!(from_json(&to_json(&item, Spelling::Profile)).as_ref(), Ok(&item));
}

#[test]
fn json_scalars() {
    let code = |it| Value::Enumeration(Number::Code(it));
    let integer = |it| Value::Integer(Number::Code(it));
    let cases = [
        ("Integer", "12", Some(integer(12))),
        ("Integer", "-1", Some(integer(u32::MAX))),
        ("Integer", r#""0xffFFffFF""#, Some(integer(u32::MAX))),
        ("Integer", r#""0x0000000C""#, Some(integer(12))),
        ("Integer", "2147483648", None),
        ("Integer", r#""99999999999""#, None),
        ("Integer", r#""""#, None),
        ("Integer", "1.0", None),
        ("Integer", "1e3", None),
        ("Integer", "01", None),
        ("Integer", "-", None),
        ("Integer", "99999999999999999999", None),
        ("Integer", "true", None),
        ("Enumeration", "10", Some(code(10))),
        ("Enumeration", r#""0x0000000A""#, Some(code(10))),
        ("Enumeration", "4294967295", Some(code(u32::MAX))),
        ("Enumeration", "-1", None),
        ("Enumeration", r#""0x100000000""#, None),
        ("LongInteger", "5", Some(Value::LongInteger(5))),
        ("LongInteger", r#""0xfffffffffffffffe""#, Some(Value::LongInteger(-2))),
        ("LongInteger", r#""0x00000000000000000""#, None),
        ("BigInteger", r#""0xFF""#, Some(Value::BigInteger(Cow::Borrowed(&[0xFF; 8])))),
        ("BigInteger", "1", Some(Value::BigInteger(Cow::Borrowed(&[0, 0, 0, 0, 0, 0, 0, 1])))),
        ("BigInteger", r#""0x""#, None),
        ("Boolean", "false", Some(Value::Boolean(false))),
        ("Boolean", r#""0x0000000000000001""#, Some(Value::Boolean(true))),
        ("Boolean", r#""yes""#, None),
        ("Boolean", "1", None),
        ("Boolean", "truth", None),
        ("ByteString", r#""0aF0""#, Some(Value::ByteString(Cow::Borrowed(&[0x0A, 0xF0])))),
        ("ByteString", r#""""#, Some(Value::ByteString(Cow::Borrowed(&[])))),
        ("ByteString", r#""0x0a""#, None),
        ("ByteString", r#""0a0""#, None),
        ("DateTime", r#""2001-01-01T10:00:00.9+10:00""#, Some(Value::DateTime(978_307_200))),
        ("DateTime", r#""0x000000003a505520""#, Some(Value::DateTime(0x3a50_5520))),
        ("DateTime", r#""2001-01-01T10:00:00""#, None),
        ("DateTime", "978307200", None),
        ("Interval", "3600", Some(Value::Interval(3600))),
        ("Interval", r#""0x0000000a""#, Some(Value::Interval(10))),
        ("Interval", "-1", None),
        (
            "DateTimeExtended",
            r#""1970-01-01T00:00:01.000002Z""#,
            Some(Value::DateTimeExtended(1_000_002)),
        ),
        ("DateTimeExtended", r#""0xffffffffffffffff""#, Some(Value::DateTimeExtended(-1))),
        ("Structure", "[]", Some(Value::Structure(vec![]))),
        ("Structure", r#""""#, None),
        ("Identifier", r#""x""#, Some(Value::Identifier(Cow::Borrowed("x")))),
    ];
    for (item_type, spelled, meant) in cases {
        assert_eq!(json_value(item_type, spelled).ok(), meant, "{item_type} {spelled}");
    }
}

#[test]
fn masks_have_names_with_separators_of_their_own() {
    let item = Item::new(MASK, Value::Integer(Number::Both(12, Cow::Borrowed("Encrypt Decrypt"))));
    assert!(to_json(&item, Spelling::Profile).contains(r#""Encrypt|Decrypt""#));
    assert!(to_json(&item, Spelling::Recorded).contains(":12}"));
    let mut out = Vec::new();
    xml::encode(&item, &Names, &mut out).unwrap();
    assert_eq!(
        out.escape_ascii().to_string(),
        "<CryptographicUsageMask type=\\\"Integer\\\" value=\\\"Encrypt Decrypt\\\"/>\\n"
    );
    let names = |it| Ok(Value::Integer(Number::Name(Cow::Borrowed(it))));
    assert_eq!(json_value("Integer", r#""Encrypt|Decrypt""#), names("Encrypt Decrypt"));
    assert_eq!(json_value("Integer", r#""Encrypt Decrypt""#), names("Encrypt Decrypt"));
    assert_eq!(json_value("Integer", r#""Sign|0x00000004""#), names("Sign 0x00000004"));
    let read = from_xml(r#"<CryptographicUsageMask type="Integer" value="Sign   Verify"/>"#);
    assert_eq!(read.unwrap().value, names("Sign   Verify").unwrap());
    // No bit at all has no name.
    let none = Item::new(MASK, Value::Integer(Number::Both(0, Cow::Borrowed(""))));
    assert!(to_json(&none, Spelling::Profile).contains(":0}"));
}

#[test]
fn recorded_names_have_no_underscores_but_for_a_few() {
    for (profile, recorded) in [
        ("SHA_256", "SHA256"),
        ("PKCS_8", "PKCS8"),
        ("GCM", "GCM"),
        ("MLDSA_65", "MLDSA_65"),
        ("ANSIX9_31", "ANSI_X931"),
    ] {
        let number = Number::Both(1, Cow::Borrowed(profile));
        let item = Item::new(OPERATION, Value::Enumeration(number));
        assert!(to_json(&item, Spelling::Profile).contains(&format!("\"{profile}\"")));
        assert!(to_json(&item, Spelling::Recorded).contains(&format!("\"{recorded}\"")));
    }
}

#[test]
fn unknown_tags_are_refused_or_left_out() {
    let known = text(IDENTIFIER, "a");
    let json = r#"{"tag":"BatchItem","value":[
        {"value":[{"tag":"Nested","value":[]}],"tag":"Nobody"},
        {"tag":"UniqueIdentifier","type":"TextString","value":"a"},
        {"tag":"Nobody","type":"Integer","value":1}]}"#;
    let xml = r#"<BatchItem><Nobody><Nested/></Nobody>
        <UniqueIdentifier type="TextString" value="a"/><Nobody type="Integer" value="1"/></BatchItem>"#;
    let limits = &Limits::DEFAULT;
    let expected = Item::structure(BATCH_ITEM, vec![known]);
    assert_eq!(from_json(json), Err(Error::UnknownTag("Nested".into())));
    assert_eq!(from_xml(xml), Err(Error::UnknownTag("Nobody".into())));
    assert_eq!(
        json::decode(json.as_bytes(), &Names, limits, Unknown::Skip).as_ref(),
        Ok(&expected)
    );
    assert_eq!(xml::decode(xml.as_bytes(), &Names, limits, Unknown::Skip).as_ref(), Ok(&expected));
    // The message itself cannot be left out, and what is left out must still be well-formed.
    for (json, xml) in [
        (r#"{"tag":"Nobody","value":[]}"#, "<Nobody/>"),
        (
            r#"{"tag":"BatchItem","value":[{"tag":"Nobody","type":"Integer","value":"0x123456789"}]}"#,
            r#"<BatchItem><Nobody type="Integer" value="0x123456789"/></BatchItem>"#,
        ),
    ] {
        assert!(json::decode(json.as_bytes(), &Names, limits, Unknown::Skip).is_err());
        assert!(xml::decode(xml.as_bytes(), &Names, limits, Unknown::Skip).is_err());
    }
    // A number needs no name.
    let numbered = r#"{"tag":"0x540001","type":"Integer","value":1}"#;
    let item = from_json(numbered).unwrap();
    assert_eq!(item.tag, Tag(0x54_0001));
    assert_eq!(to_json(&item, Spelling::Profile), numbered);
    let numbered = r#"<TTLV tag="0x540001" name="Mine" type="Integer" value="1"/>"#;
    assert_eq!(from_xml(numbered).unwrap(), item);
}

#[test]
fn xml_is_read_strictly() {
    let item = text(IDENTIFIER, "a<b & \"c\" 'd' \t\n😀");
    let mut out = Vec::new();
    xml::encode(&item, &Names, &mut out).unwrap();
    assert_eq!(xml::decode(&out, &Names, &Limits::DEFAULT, Unknown::Refuse).as_ref(), Ok(&item));
    for accepted in [
        r#"<UniqueIdentifier type="TextString" value="a&lt;b"/>"#,
        r"<UniqueIdentifier value='a&#x3C;b' type='TextString'></UniqueIdentifier>",
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- x -->\n<UniqueIdentifier type=\"TextString\" value=\"a&#60;b\"> <!-- y --> </UniqueIdentifier>\n",
    ] {
        assert_eq!(from_xml(accepted).as_ref(), Ok(&text(IDENTIFIER, "a<b")), "{accepted}");
    }
    for refused in [
        "",
        "text",
        "<UniqueIdentifier",
        "<UniqueIdentifier>",
        "</UniqueIdentifier>",
        "<BatchItem><UniqueIdentifier></BatchItem></UniqueIdentifier>",
        "<BatchItem/><BatchItem/>",
        "<BatchItem>text</BatchItem>",
        "<BatchItem>&amp;</BatchItem>",
        "<BatchItem><![CDATA[ ]]></BatchItem>",
        "<BatchItem><?pi?></BatchItem>",
        "<!DOCTYPE BatchItem><BatchItem/>",
        "<!DOCTYPE x [<!ENTITY e \"x\">]><UniqueIdentifier type=\"TextString\" value=\"&e;\"/>",
        "<?xml version=\"1.0\" encoding=\"latin1\"?><BatchItem/>",
        r#"<UniqueIdentifier type="TextString" value="&e;"/>"#,
        r#"<UniqueIdentifier type="TextString" value="&#0;"/>"#,
        r#"<UniqueIdentifier type="TextString" value="&#1;"/>"#,
        r#"<UniqueIdentifier type="TextString" value="a" value="a"/>"#,
        r#"<UniqueIdentifier type="TextString" value="a" other="a"/>"#,
        r#"<UniqueIdentifier type="TextString"/>"#,
        r#"<UniqueIdentifier type="Text" value="a"/>"#,
        r#"<UniqueIdentifier tag="0x420094" type="TextString" value="a"/>"#,
        r#"<BatchItem value="a"/>"#,
        r#"<UniqueIdentifier type="TextString" value="a"><BatchItem/></UniqueIdentifier>"#,
        r#"<TTLV type="TextString" value="a"/>"#,
    ] {
        assert!(from_xml(refused).is_err(), "{refused}");
    }
    let item = text(IDENTIFIER, "\u{1}");
    assert!(xml::encode(&item, &Names, &mut Vec::new()).is_err());
}

#[test]
fn dates_beyond_four_digits_are_numbers() {
    let item = Item::new(DATE, Value::DateTime(i64::MAX));
    let json = to_json(&item, Spelling::Recorded);
    assert!(json.contains("\"0x7FFFFFFFFFFFFFFF\""));
    assert_eq!(from_json(&json).as_ref(), Ok(&item));
}

#[test]
fn limits_hold_in_each_encoding() {
    let nested = |levels: usize| {
        (1..levels)
            .fold(text(IDENTIFIER, "deep"), |inner, _| Item::structure(BATCH_ITEM, vec![inner]))
    };
    let flat = Item::structure(BATCH_ITEM, vec![text(IDENTIFIER, "a"); 9]);
    for encoding in ttlv::Encoding::ALL {
        let write = |item: &Item<'_>| {
            let mut out = Vec::new();
            encoding.encode(item, &Names, Spelling::Profile, &mut out).unwrap();
            out
        };
        let read = |bytes: &[u8], limits: &Limits| {
            encoding.decode(bytes, &Names, limits, Unknown::Skip).map(Item::into_owned)
        };
        assert_eq!(read(&write(&nested(32)), &Limits::DEFAULT), Ok(nested(32)));
        let error = read(&write(&nested(33)), &Limits::DEFAULT).unwrap_err();
        assert_eq!(error, Error::TooDeep { limit: 32 }, "{encoding:?}");
        let bytes = write(&flat);
        let limits = Limits { bytes: bytes.len(), depth: 2, items: 10 };
        assert_eq!(read(&bytes, &limits).as_ref(), Ok(&flat), "{encoding:?}");
        let error = read(&bytes, &Limits { items: 9, ..limits }).unwrap_err();
        assert_eq!(error, Error::TooManyItems { limit: 9 }, "{encoding:?}");
        let error = read(&bytes, &Limits { bytes: bytes.len() - 1, ..limits }).unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{encoding:?}");
    }
}

#[test]
fn a_log_shows_no_value() {
    let secret = b"SECRETSECRET";
    let item = Item::structure(
        BATCH_ITEM,
        vec![
            text(IDENTIFIER, "SECRET"),
            Item::new(Tag(0x54_0001), Value::ByteString(Cow::Borrowed(secret))),
            Item::new(OPERATION, Value::Enumeration(Number::Name(Cow::Borrowed("SECRET")))),
            Item::structure(BATCH_ITEM, vec![]),
        ],
    );
    assert_eq!(
        diagnostic::render(&item, &Names).to_string(),
        "BatchItem { UniqueIdentifier TextString[6], 0x540001 ByteString[12], \
         Operation Enumeration, BatchItem { } }"
    );
    let many = Item::structure(BATCH_ITEM, vec![text(IDENTIFIER, "SECRET"); 100_000]);
    assert!(diagnostic::render(&many, &Names).to_string().len() < 20_000);
}

#[test]
fn errors_repeat_no_value() {
    let key = "5345435245545345435245545345435245";
    for message in [
        format!(r#"{{"tag":"Operation","type":"ByteString","value":"{key}x"}}"#),
        format!(r#"{{"tag":"Operation","type":"LongInteger","value":"0x{key}"}}"#),
        format!(r#"{{"tag":"Operation","type":"DateTime","value":"{key}"}}"#),
    ] {
        let error = from_json(&message).unwrap_err();
        assert!(!format!("{error:?} {error}").contains("5345"), "{error:?}");
    }
    let error =
        from_json(&format!(r#"{{"tag":"{}","value":[]}}"#, "x\\n".repeat(1000))).unwrap_err();
    assert!(error.to_string().len() < 100 && !error.to_string().contains('\n'));
}
