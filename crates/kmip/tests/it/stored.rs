//! The persisted form: what was kept comes back, and nothing else is taken for it.

use kmip::Version;
use kmip::attribute::AttributeKind;
use kmip::enumerations::{KeyFormatType, ObjectType, State};
use kmip::object::{KeyMaterial, KeyValue};
use kmip::stored::{self, FORMAT, GrantEpoch, StoredMaterial, StoredRecord};
use kmip::wire::SecretBytes;

use crate::samples;

fn record(header: stored::StoredHeader, object_type: ObjectType) -> StoredRecord {
    let mut attributes = samples::attributes();
    for kind in AttributeKind::ALL {
        if kind.rule().until < Version::NEWEST {
            attributes.remove_kind(*kind);
        }
    }
    StoredRecord {
        format: FORMAT,
        object_type,
        state: State::Active,
        owner: "someone@example.com".to_owned(),
        attributes,
        key_block: header,
        material_tag: Some(samples::bytes(16)),
        material_generation: 3,
        grant_epochs: vec![
            GrantEpoch { bucket: 0, epoch: 1 },
            GrantEpoch { bucket: 63, epoch: i32::MAX },
        ],
    }
}

#[test]
fn objects_come_back_from_their_parts() {
    for object in samples::objects() {
        let (header, material) = stored::split(object.clone());
        let record = record(header, object.object_type());
        let read = StoredRecord::from_bytes(&record.to_bytes().unwrap()).unwrap();
        assert_eq!(read, record);
        let material = StoredMaterial::from_bytes(&material.to_bytes().unwrap()).unwrap();
        let joined = stored::join(read.object_type, &read.key_block, material).unwrap();
        assert_eq!(joined, object);
    }
}

#[test]
fn the_record_has_no_key_byte() {
    for object in samples::objects() {
        let (header, _) = stored::split(object.clone());
        let mut record = record(header, object.object_type());
        record.attributes = kmip::attribute::Attributes::new();
        record.material_tag = None;
        record.key_block.key_wrapping_data = None;
        let bytes = record.to_bytes().unwrap();
        let pattern = [0_u8, 1, 2, 3, 4, 5];
        assert!(!bytes.windows(6).any(|it| it == pattern));
        let pattern = [0x80_u8, 0x81, 0x82];
        assert!(!bytes.windows(3).any(|it| it == pattern));
    }
}

#[test]
fn bytes_that_are_no_record_are_refused() {
    let object = samples::objects().remove(0);
    let (header, material) = stored::split(object.clone());
    let record = record(header, object.object_type());
    let (bytes, key) = (record.to_bytes().unwrap(), material.to_bytes().unwrap());
    for end in 0..bytes.len() {
        assert!(StoredRecord::from_bytes(&bytes[..end]).is_err(), "{end}");
    }
    for end in 0..key.len() {
        assert!(StoredMaterial::from_bytes(&key[..end]).is_err(), "{end}");
    }
    assert!(StoredRecord::from_bytes(&key).is_err());
    assert!(StoredMaterial::from_bytes(&bytes).is_err());
    let newer = StoredRecord { format: FORMAT + 1, ..record };
    assert!(StoredRecord::from_bytes(&newer.to_bytes().unwrap()).is_err());
}

#[test]
fn parts_of_different_objects_do_not_join() {
    let objects = samples::objects();
    let certificate = objects.last().unwrap().clone();
    let (key_header, key) = stored::split(objects[0].clone());
    let (certificate_header, bytes) = stored::split(certificate);
    assert!(stored::join(ObjectType::Certificate, &key_header, bytes).is_err());
    assert!(stored::join(ObjectType::PrivateKey, &certificate_header, key).is_err());
}

#[test]
fn key_values_come_back_from_what_a_wrapping_key_wraps() {
    let material = KeyMaterial::Bytes(SecretBytes::from(vec![7; 16]));
    let value = KeyValue::plain(material);
    for version in Version::ALL {
        let bytes = value.to_ttlv(version).unwrap();
        assert_eq!(bytes.len(), 8 + 8 + 16);
        assert_eq!(bytes[..4], [0x42, 0x00, 0x45, 0x01]);
        assert_eq!(KeyValue::from_ttlv(&bytes, KeyFormatType::Raw, version).unwrap(), value);
        assert!(KeyValue::from_ttlv(&bytes[..16], KeyFormatType::Raw, version).is_err());
    }
    let wrapped = KeyValue::Wrapped(samples::bytes(24));
    assert!(wrapped.to_ttlv(Version::V2_1).is_err());
}
