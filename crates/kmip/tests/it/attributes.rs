//! The attribute table, and what attributes look like in each version.

use std::collections::HashSet;

use kmip::attribute::{
    Attribute, AttributeKind, AttributeName, Attributes, CryptographicParameters, Indexed, Name,
    VendorAttribute, Who,
};
use kmip::enumerations::{CryptographicAlgorithm, LinkType, ObjectType};
use kmip::wire::{Interval, Wire};
use kmip::{Version, tag};
use ttlv::{Item, Number, Value};

use crate::samples;

#[test]
fn every_row_is_consistent_and_found_by_tag_and_name() {
    let (mut tags, mut names) = (HashSet::new(), HashSet::new());
    for kind in AttributeKind::ALL {
        let rule = kind.rule();
        assert_eq!(rule.kind, *kind);
        assert!(tags.insert(rule.tag), "{kind:?}");
        assert!(names.insert(rule.name), "{kind:?}");
        assert!(rule.since <= rule.until, "{kind:?}");
        assert!(Version::ALL.contains(&rule.since) && Version::ALL.contains(&rule.until));
        assert_eq!(AttributeKind::from_tag(rule.tag), Some(*kind));
        assert_eq!(AttributeKind::from_name(rule.name), Some(*kind));
        // Who may change an attribute may also give it; who may take it away may change it.
        if rule.modify == Who::Client {
            assert_eq!((rule.add, rule.creation), (Who::Client, Who::Client), "{kind:?}");
        }
        if rule.delete == Who::Client {
            assert_eq!(rule.modify, Who::Client, "{kind:?}");
        }
    }
    assert_eq!(AttributeKind::from_tag(tag::KeyBlock), None);
    assert_eq!(AttributeKind::from_name("Activationdate"), None);
}

#[test]
fn rules_are_those_of_the_specification() {
    use AttributeKind as K;
    let rule = |kind: K| kind.rule();
    assert!(rule(K::Name).multiple && rule(K::Link).multiple && !rule(K::State).multiple);
    assert_eq!(rule(K::State).creation, Who::Server);
    assert_eq!(rule(K::CryptographicUsageMask).modify, Who::Server);
    assert_eq!(rule(K::ActivationDate).modify, Who::Client);
    assert_eq!(rule(K::ActivationDate).delete, Who::Server);
    assert_eq!(rule(K::ObjectGroup).delete, Who::Client);
    assert!(rule(K::CertificateLength).objects.contains(ObjectType::Certificate));
    assert!(!rule(K::CertificateLength).objects.contains(ObjectType::SymmetricKey));
    assert!(rule(K::Name).objects.contains(ObjectType::OpaqueObject));
    assert!(!rule(K::OperationPolicyName).exists_in(Version::V2_0));
    assert!(rule(K::Sensitive).exists_in(Version::V1_4));
    assert!(!rule(K::Sensitive).exists_in(Version::V1_3));
}

#[test]
fn getters_find_the_first() {
    let attributes = samples::attributes();
    assert_eq!(attributes.cryptographic_algorithm(), Some(CryptographicAlgorithm::AES));
    assert_eq!(attributes.cryptographic_length(), Some(256));
    assert_eq!(attributes.name().unwrap().value, "first name");
    assert_eq!(attributes.names().count(), 2);
    assert_eq!(attributes.lease_time(), Some(Interval(3600)));
    assert_eq!(attributes.linked(LinkType::PublicKeyLink), Some("other"));
    assert_eq!(attributes.linked(LinkType::ParentLink), None);
    assert_eq!(attributes.vendor("x", "ID").unwrap().as_text(), Some("mine"));
    assert_eq!(attributes.vendor("y", "ID"), None);
    assert_eq!(Attributes::new().state(), None);
}

#[test]
fn setting_replaces_adding_appends_removing_counts() {
    let mut attributes = samples::attributes();
    let before = attributes.0.len();
    attributes.set(Attribute::CryptographicLength(128));
    assert_eq!((attributes.0.len(), attributes.cryptographic_length()), (before, Some(128)));
    attributes.add(Attribute::Name(Name::from("third")));
    assert_eq!(attributes.all(AttributeKind::Name).count(), 3);
    attributes.set(Attribute::Name(Name::from("only")));
    assert_eq!(attributes.names().map(|it| it.value.as_str()).collect::<Vec<_>>(), ["only"]);
    attributes.add(Attribute::Vendor(VendorAttribute::text("x", "other", "")));
    let name = AttributeName::Vendor { vendor: "x".into(), name: "ID".into() };
    assert_eq!(attributes.remove(&name), 1);
    assert_eq!(attributes.remove(&name), 0);
    assert!(attributes.vendor("x", "other").is_some());
    assert_eq!(attributes.remove_kind(AttributeKind::State), 1);
    assert!(!attributes.has(AttributeKind::State));
}

#[test]
fn every_sample_exists_where_its_rule_says() {
    for attribute in &samples::attributes() {
        for version in Version::ALL {
            let one = Attributes(vec![attribute.clone()]);
            let value = one.to_value(version).unwrap();
            let Value::Structure(items) = &value else { panic!("{value:?}") };
            let exists = attribute.kind().is_none_or(|it| it.rule().exists_in(version));
            assert_eq!(items.len(), usize::from(exists), "{attribute:?} {version}");
            let back = Attributes::from_value(value, version).unwrap();
            assert_eq!(back.0.len(), usize::from(exists));
            if version == Version::NEWEST && exists {
                assert_eq!(back, one);
            }
        }
    }
}

#[test]
fn each_kind_has_a_sample_of_its_type() {
    let samples = samples::attributes();
    let missing: Vec<_> = AttributeKind::ALL
        .iter()
        .filter(|it| !samples.has(**it))
        // The twenty-four parts of names are alike.
        .filter(|it| !(0x42_0108..0x42_0120).contains(&it.rule().tag.0))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn text(text: &str) -> Value<'_> {
    Value::TextString(text.into())
}

#[test]
fn the_old_spelling_names_the_attribute_and_counts_from_the_second() {
    let attributes = Attributes(vec![
        Attribute::Name(Name::from("a")),
        Attribute::CryptographicLength(256),
        Attribute::Name(Name::from("b")),
    ]);
    let value = attributes.to_value(Version::V1_2).unwrap();
    let Value::Structure(items) = &value else { panic!("{value:?}") };
    assert!(items.iter().all(|it| it.tag == tag::Attribute));
    let field = |place: usize, tag| items[place].child(tag).map(|it| it.value.clone());
    assert_eq!(field(0, tag::AttributeName), Some(text("Name")));
    assert_eq!(field(0, tag::AttributeIndex), None);
    assert_eq!(field(1, tag::AttributeName), Some(text("Cryptographic Length")));
    assert_eq!(field(1, tag::AttributeValue), Some(Value::Integer(Number::Code(256))));
    assert_eq!(field(2, tag::AttributeIndex), Some(Value::Integer(Number::Code(1))));
    assert_eq!(Attributes::from_value(value, Version::V1_2).unwrap(), attributes);
}

#[test]
fn the_new_spelling_has_a_tag_for_each() {
    let attributes = Attributes(vec![Attribute::CryptographicLength(256)]);
    let expected = Item::new(tag::CryptographicLength, Value::Integer(Number::Code(256)));
    assert_eq!(attributes.to_value(Version::V2_0).unwrap(), Value::Structure(vec![expected]));
}

#[test]
fn vendor_attributes_are_prefixed_in_the_old_spelling_only() {
    let attribute = Attribute::Vendor(VendorAttribute::text("x", "ID", "mine"));
    let indexed = Indexed::from(attribute.clone());
    let old = indexed.to_value(Version::V1_0).unwrap();
    let Value::Structure(items) = &old else { panic!("{old:?}") };
    assert_eq!(items[0].value, text("x-ID"));
    assert_eq!(Indexed::from_value(old, Version::V1_0).unwrap(), indexed);
    let new = indexed.to_value(Version::V2_1).unwrap();
    let Value::Structure(items) = &new else { panic!("{new:?}") };
    assert_eq!(items[0].tag, tag::Attribute);
    assert_eq!(items[0].child(tag::VendorIdentification).unwrap().value, text("x"));
    assert_eq!(items[0].child(tag::AttributeName).unwrap().value, text("ID"));
    assert_eq!(Indexed::from_value(new, Version::V2_1).unwrap(), indexed);
    assert!(attribute.is(&attribute.name()));
}

#[test]
fn names_are_text_before_and_tags_after() {
    let name = AttributeName::from(AttributeKind::X_509CertificateSubject);
    assert_eq!(name.to_value(Version::V1_4).unwrap(), text("X.509 Certificate Subject"));
    let new = name.to_value(Version::V2_1).unwrap();
    let code = tag::X_509CertificateSubject.0;
    assert_eq!(new, Value::Enumeration(Number::Both(code, "X_509CertificateSubject".into())));
    let by = |number| AttributeName::from_value(Value::Enumeration(number), Version::V2_1).unwrap();
    assert_eq!(by(Number::Code(code)), name);
    assert_eq!(by(Number::Name("X_509CertificateSubject".into())), name);
    assert_eq!(by(Number::Name("Tag".into())), AttributeName::Unknown("Tag".into()));
    assert_eq!(by(Number::Name("Nonsense".into())), AttributeName::Unknown("Nonsense".into()));
}

#[test]
fn one_attribute_is_neither_none_nor_two() {
    let two = samples::attributes().to_value(Version::V2_1).unwrap().into_owned();
    assert!(Indexed::from_value(two, Version::V2_1).is_err());
    assert!(Indexed::from_value(Value::Structure(vec![]), Version::V2_1).is_err());
}

#[test]
fn fields_of_later_versions_are_left_out_and_refused() {
    let parameters = samples::parameters();
    let written = parameters.to_value(Version::V1_1).unwrap();
    let Value::Structure(items) = &written else { panic!("{written:?}") };
    assert_eq!(items.len(), 4, "{items:?}");
    let newer = parameters.to_value(Version::V1_4).unwrap();
    assert!(CryptographicParameters::from_value(newer.clone(), Version::V1_1).is_err());
    assert!(CryptographicParameters::from_value(newer, Version::V1_4).is_ok());
}
