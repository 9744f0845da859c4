//! What holds for every tree, and for every input.

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::prelude::*;
use ttlv::{Encoding, Item, Limits, Number, Spelling, Tag, Unknown, Value, around, binary};

use crate::{Names, TAGS};

fn tag() -> impl Strategy<Value = Tag> {
    prop_oneof![
        (0..TAGS.len()).prop_map(|index| Tag(TAGS[index].0)),
        (0..0x100_0000_u32).prop_map(Tag),
    ]
}

/// Text that every encoding can hold.
fn words() -> impl Strategy<Value = Cow<'static, str>> {
    "[ -~äß€😀\t\n\r]{0,40}".prop_map(Cow::Owned)
}

fn scalar() -> impl Strategy<Value = Value<'static>> {
    prop_oneof![
        any::<u32>().prop_map(|it| Value::Integer(Number::Code(it))),
        any::<i64>().prop_map(Value::LongInteger),
        vec(any::<[u8; 8]>(), 1..5)
            .prop_map(|it| Value::BigInteger(Cow::Owned(it.as_flattened().to_vec()))),
        any::<u32>().prop_map(|it| Value::Enumeration(Number::Code(it))),
        any::<bool>().prop_map(Value::Boolean),
        words().prop_map(Value::TextString),
        vec(any::<u8>(), 0..80).prop_map(|it| Value::ByteString(Cow::Owned(it))),
        any::<i64>().prop_map(Value::DateTime),
        (-100_000_000_000_i64..300_000_000_000).prop_map(Value::DateTime),
        any::<u32>().prop_map(Value::Interval),
        any::<i64>().prop_map(Value::DateTimeExtended),
        (-4_000_000_000_000_000_i64..4_000_000_000_000_000).prop_map(Value::DateTimeExtended),
        words().prop_map(Value::Identifier),
        words().prop_map(Value::Reference),
        words().prop_map(Value::NameReference),
    ]
}

fn tree() -> impl Strategy<Value = Item<'static>> {
    let leaf = (tag(), scalar()).prop_map(|(tag, value)| Item::new(tag, value));
    leaf.prop_recursive(6, 48, 6, |inner| {
        (tag(), vec(inner, 0..6)).prop_map(|(tag, items)| Item::structure(tag, items))
    })
}

fn write(encoding: Encoding, item: &Item<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    encoding.encode(item, &Names, Spelling::Profile, &mut out).unwrap();
    out
}

fn read(encoding: Encoding, bytes: &[u8]) -> Result<Item<'static>, ttlv::Error> {
    encoding.decode(bytes, &Names, &Limits::DEFAULT, Unknown::Skip).map(Item::into_owned)
}

/// What was read can be written and read again, to the same bytes.
fn stable(encoding: Encoding, bytes: &[u8]) {
    let Ok(item) = read(encoding, bytes) else { return };
    let mut once = Vec::new();
    encoding.encode(&item, &Names, Spelling::Profile, &mut once).unwrap();
    assert_eq!(write(encoding, &read(encoding, &once).unwrap()), once, "{encoding:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_encoding_gives_the_tree_back(item in tree()) {
        for encoding in Encoding::ALL {
            prop_assert_eq!(read(encoding, &write(encoding, &item)), Ok(item.clone()));
        }
    }

    #[test]
    fn what_is_written_around_byte_strings_is_the_whole_with_them(
        item in tree(),
        least in 0_usize..60,
        before in vec(any::<u8>(), 0..9),
    ) {
        // The byte strings of one tag, in their order.
        fn strings<'a>(item: &'a Item<'_>, tag: Tag, into: &mut Vec<&'a [u8]>) {
            match &item.value {
                Value::Structure(items) => items.iter().for_each(|it| strings(it, tag, into)),
                Value::ByteString(value) if item.tag == tag => into.push(value),
                _ => {}
            }
        }
        for (code, _) in TAGS {
            let (mut contents, mut frame) = (Vec::new(), before.clone());
            strings(&item, Tag(*code), &mut contents);
            contents.retain(|it| it.len() >= least);
            let gaps = around::encode(&item, Tag(*code), least, &mut frame).unwrap();
            prop_assert_eq!(gaps.len(), contents.len());
            let (mut whole, mut from) = (Vec::new(), 0);
            for (gap, contents) in gaps.iter().zip(contents) {
                prop_assert_eq!(gap.length, contents.len());
                whole.extend_from_slice(&frame[from..gap.at]);
                whole.extend_from_slice(contents);
                from = gap.at;
            }
            whole.extend_from_slice(&frame[from..]);
            prop_assert_eq!(&whole[before.len()..], write(Encoding::Binary, &item));
        }
    }

    #[test]
    fn what_is_read_around_a_byte_string_is_what_is_read_whole(
        item in tree(),
        least in 0_usize..60,
        known in any::<prop::sample::Index>(),
        wrong in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut bytes = write(Encoding::Binary, &item);
        if let Some((place, byte)) = wrong {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let start = &bytes[..=known.index(bytes.len())];
        if let Some(long) = around::find(start, bytes.len(), least) {
            prop_assert!(long.at <= start.len() && long.length >= least);
            let (contents, rest) = bytes[long.at..].split_at(long.length);
            let mut frame = [&bytes[..long.at], rest].concat();
            for limits in [
                Limits::DEFAULT,
                Limits { bytes: bytes.len(), depth: 3, items: 9 },
                Limits { bytes: bytes.len() - 1, ..Limits::DEFAULT },
            ] {
                let mut frame = frame.clone();
                let read = long.decode(&mut frame, contents.to_vec(), &limits).ok();
                prop_assert_eq!(read, binary::decode(&bytes, &limits).ok());
            }
            prop_assert!(long.decode(&mut frame, [contents, &[0]].concat(), &Limits::DEFAULT).is_err());
        } else if wrong.is_none() && start.len() == bytes.len() {
            fn longest(item: &Item<'_>) -> Option<usize> {
                match &item.value {
                    Value::Structure(items) => items.iter().filter_map(longest).max(),
                    Value::ByteString(value) => Some(value.len()),
                    _ => None,
                }
            }
            let inside = matches!(item.value, Value::Structure(_));
            prop_assert!(!inside || longest(&item).is_none_or(|it| it < least));
        }
    }

    #[test]
    fn json_and_binary_hold_any_text(it in any::<String>()) {
        let item = Item::new(Tag(0x42_0094), Value::TextString(Cow::Owned(it)));
        for encoding in [Encoding::Binary, Encoding::Json] {
            prop_assert_eq!(read(encoding, &write(encoding, &item)), Ok(item.clone()));
        }
    }

    #[test]
    fn a_named_number_has_its_name_in_text_and_its_code_in_binary(
        code in any::<u32>(),
        name in "[A-Z][A-Za-z0-9_]{0,20}",
    ) {
        let both = Number::Both(code, Cow::Owned(name.clone()));
        let item = Item::new(Tag(0x42_005C), Value::Enumeration(both));
        let named = Value::Enumeration(Number::Name(Cow::Owned(name)));
        for (encoding, value) in [
            (Encoding::Binary, Value::Enumeration(Number::Code(code))),
            (Encoding::Json, named.clone()),
            (Encoding::Xml, named),
        ] {
            prop_assert_eq!(read(encoding, &write(encoding, &item)).unwrap().value, value);
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in vec(any::<u8>(), 0..400)) {
        for encoding in Encoding::ALL {
            stable(encoding, &bytes);
        }
    }

    #[test]
    fn anything_that_looks_like_json_is_answered(
        text in r#"(\{|\}|\[|\]|,|:|"tag"|"type"|"value"|"Integer"|"BatchItem"|"[a-z|0x ]{0,9}"|-?[0-9]{1,12}|true|\\u[0-9]{4}| ){0,60}"#,
    ) {
        stable(Encoding::Json, text.as_bytes());
    }

    #[test]
    fn a_prefix_is_never_a_message(item in tree(), cut in any::<prop::sample::Index>()) {
        for encoding in Encoding::ALL {
            let whole = write(encoding, &item);
            // The encoders' own last line feed may be missing.
            let length = whole.trim_ascii_end().len().max(if encoding == Encoding::Binary {
                whole.len()
            } else {
                0
            });
            let cut = &whole[..cut.index(length)];
            prop_assert!(read(encoding, cut).is_err());
        }
    }
}
