//! A request and a response of every operation, with every field filled.

use kmip::Version;
use kmip::attribute::{
    AlternativeName, ApplicationSpecificInformation, Attribute, AttributeKind, AttributeName,
    Attributes, CertificateIdentifier, CertificateIssuer, CertificateSubject,
    CryptographicDomainParameters, CryptographicParameters, Digest, KeyValueLocation, Link, Name,
    RandomNumberGenerator, RevocationReason, RotateName, ShortUniqueIdentifier, UsageLimits,
    VendorAttribute, X509CertificateIdentifier, X509CertificateIssuer, X509CertificateSubject,
};
use kmip::enumerations as e;
use kmip::identifier::UniqueIdentifier;
use kmip::message::ProtocolVersion;
use kmip::object::{
    Certificate, EncryptionKeyInformation, KeyBlock, KeyMaterial, KeyValue, KeyWrappingData,
    KeyWrappingSpecification, MacSignatureKeyInformation, Object, OpaqueObject, PrivateKey,
    PublicKey, SecretData, SymmetricKey, TransparentEcPrivateKey, TransparentEcPublicKey,
    TransparentFieldPrivateKey, TransparentFieldPublicKey, TransparentRsaPrivateKey,
    TransparentRsaPublicKey, TransparentSymmetricKey,
};
use kmip::operation as o;
use kmip::operation::{Request, Response};
use kmip::wire::{BigInteger, Bytes, DateTime, Interval, SecretBytes};

pub(crate) fn bytes(length: u8) -> Bytes {
    Bytes((0..length).collect())
}

fn secret(length: u8) -> SecretBytes {
    SecretBytes::from((0..length).collect::<Vec<_>>())
}

fn id() -> UniqueIdentifier {
    "f4152f17-9312-431a-b3fb-4fe86a86a7a1".into()
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn big(length: u8) -> BigInteger {
    BigInteger::from_unsigned(&(0x80..0x80 + length).collect::<Vec<_>>())
}

pub(crate) fn parameters() -> CryptographicParameters {
    CryptographicParameters {
        block_cipher_mode: Some(e::BlockCipherMode::GCM),
        padding_method: Some(e::PaddingMethod::OAEP),
        hashing_algorithm: Some(e::HashingAlgorithm::SHA_256),
        key_role_type: Some(e::KeyRoleType::DEK),
        digital_signature_algorithm: Some(e::DigitalSignatureAlgorithm::RSASSA_PSS),
        cryptographic_algorithm: Some(e::CryptographicAlgorithm::AES),
        random_iv: Some(true),
        iv_length: Some(12),
        tag_length: Some(16),
        fixed_field_length: Some(32),
        invocation_field_length: Some(64),
        counter_length: Some(32),
        initial_counter_value: Some(1),
        salt_length: Some(20),
        mask_generator: Some(e::MaskGenerator::MGF1),
        mask_generator_hashing_algorithm: Some(e::HashingAlgorithm::SHA_1),
        p_source: Some(bytes(3)),
        trailer_field: Some(1),
    }
}

fn certificate_attributes() -> Vec<Attribute> {
    let of = |kind: &str| text(&format!("{kind} é"));
    vec![
        Attribute::CertificateIdentifier(CertificateIdentifier {
            issuer: of("issuer"),
            serial_number: Some(of("serial")),
        }),
        Attribute::CertificateIssuer(CertificateIssuer {
            certificate_issuer_distinguished_name: of("CN=issuer"),
            certificate_issuer_alternative_name: vec![of("a"), of("b")],
        }),
        Attribute::CertificateLength(800),
        Attribute::CertificateSubject(CertificateSubject {
            certificate_subject_distinguished_name: text(""),
            certificate_subject_alternative_name: vec![of("a")],
        }),
        Attribute::CertificateSubjectCN(of("subject")),
        Attribute::CertificateSubjectO(of("organisation")),
        Attribute::CertificateIssuerDNQualifier(of("qualifier")),
        Attribute::CertificateType(e::CertificateType::X_509),
        Attribute::DigitalSignatureAlgorithm(
            e::DigitalSignatureAlgorithm::SHA_256WithRSAEncryption,
        ),
        Attribute::X_509CertificateIdentifier(X509CertificateIdentifier {
            issuer_distinguished_name: bytes(9),
            certificate_serial_number: bytes(4),
        }),
        Attribute::X_509CertificateIssuer(X509CertificateIssuer {
            issuer_distinguished_name: bytes(9),
            issuer_alternative_name: vec![bytes(1), bytes(2)],
        }),
        Attribute::X_509CertificateSubject(X509CertificateSubject {
            subject_distinguished_name: bytes(0),
            subject_alternative_name: vec![bytes(1)],
        }),
    ]
}

fn dates() -> Vec<Attribute> {
    let date = |seconds: i64| DateTime(1_600_000_000 + seconds);
    vec![
        Attribute::ActivationDate(date(0)),
        Attribute::ArchiveDate(date(1)),
        Attribute::CompromiseDate(date(2)),
        Attribute::CompromiseOccurrenceDate(date(3)),
        Attribute::DeactivationDate(date(4)),
        Attribute::DestroyDate(date(5)),
        Attribute::InitialDate(date(6)),
        Attribute::LastChangeDate(date(7)),
        Attribute::OriginalCreationDate(DateTime(-1)),
        Attribute::ProcessStartDate(date(8)),
        Attribute::ProtectStopDate(date(9)),
        Attribute::RotateDate(date(10)),
    ]
}

fn texts() -> Vec<Attribute> {
    vec![
        Attribute::AlternativeName(AlternativeName {
            value: text("alternative"),
            kind: e::AlternativeNameType::URI,
        }),
        Attribute::ApplicationSpecificInformation(ApplicationSpecificInformation {
            application_namespace: text("ssl"),
            application_data: Some(text("www.example.com")),
        }),
        Attribute::Comment(text("comment")),
        Attribute::ContactInformation(text("Joe")),
        Attribute::Description(text("description")),
        Attribute::KeyValueLocation(KeyValueLocation {
            key_value_location_value: text("safe"),
            key_value_location_type: e::KeyValueLocationType::UninterpretedTextString,
        }),
        Attribute::Link(Link {
            link_type: e::LinkType::PublicKeyLink,
            linked_object_identifier: "other".into(),
        }),
        Attribute::Name(Name::from("first name")),
        Attribute::Name(Name { value: text("second"), kind: e::NameType::URI }),
        Attribute::ObjectGroup(text("group")),
        Attribute::OperationPolicyName(text("default")),
        Attribute::PKCS_12FriendlyName(text("friendly")),
        Attribute::RotateName(RotateName {
            value: text("ring"),
            kind: e::RotateNameType::UninterpretedTextString,
        }),
        Attribute::ShortUniqueIdentifier(ShortUniqueIdentifier(bytes(4))),
        Attribute::UniqueIdentifier(text("id")),
        Attribute::Vendor(VendorAttribute::text("x", "ID", "mine")),
    ]
}

/// One of each attribute, and two names.
pub(crate) fn attributes() -> Attributes {
    let mut all = vec![
        Attribute::AlwaysSensitive(true),
        Attribute::CryptographicAlgorithm(e::CryptographicAlgorithm::AES),
        Attribute::CryptographicDomainParameters(CryptographicDomainParameters {
            qlength: Some(256),
            recommended_curve: Some(e::RecommendedCurve::P_256),
        }),
        Attribute::CryptographicLength(256),
        Attribute::CryptographicParameters(parameters()),
        Attribute::CryptographicUsageMask(
            e::CryptographicUsageMask::Encrypt | e::CryptographicUsageMask::Decrypt,
        ),
        Attribute::Digest(Digest {
            hashing_algorithm: e::HashingAlgorithm::SHA_256,
            digest_value: Some(bytes(32)),
            key_format_type: Some(e::KeyFormatType::Raw),
        }),
        Attribute::Extractable(false),
        Attribute::Fresh(true),
        Attribute::KeyFormatType(e::KeyFormatType::Raw),
        Attribute::KeyValuePresent(true),
        Attribute::LeaseTime(Interval(3600)),
        Attribute::NeverExtractable(true),
        Attribute::NISTKeyType(e::NISTKeyType::SymmetricDataEncryptionKey),
        Attribute::ObjectType(e::ObjectType::SymmetricKey),
        Attribute::OpaqueDataType(e::OpaqueDataType(0x8012_3456)),
        Attribute::ProtectionLevel(e::ProtectionLevel::High),
        Attribute::ProtectionPeriod(Interval(1)),
        Attribute::ProtectionStorageMask(e::ProtectionStorageMask::Software),
        Attribute::QuantumSafe(true),
        Attribute::RandomNumberGenerator(random()),
        Attribute::RevocationReason(RevocationReason {
            revocation_reason_code: e::RevocationReasonCode::KeyCompromise,
            revocation_message: Some(text("lost")),
        }),
        Attribute::RotateAutomatic(true),
        Attribute::RotateGeneration(2),
        Attribute::RotateInterval(Interval(86_400)),
        Attribute::RotateLatest(true),
        Attribute::RotateOffset(Interval(60)),
        Attribute::Sensitive(true),
        Attribute::State(e::State::Active),
        Attribute::UsageLimits(UsageLimits {
            usage_limits_total: 1 << 40,
            usage_limits_count: Some(7),
            usage_limits_unit: e::UsageLimitsUnit::Byte,
        }),
    ];
    all.extend(certificate_attributes());
    all.extend(dates());
    all.extend(texts());
    Attributes(all)
}

fn random() -> RandomNumberGenerator {
    RandomNumberGenerator {
        rng_algorithm: e::RNGAlgorithm::DRBG,
        cryptographic_algorithm: Some(e::CryptographicAlgorithm::AES),
        cryptographic_length: Some(256),
        hashing_algorithm: Some(e::HashingAlgorithm::SHA_512),
        drbg_algorithm: Some(e::DRBGAlgorithm::CTR),
        recommended_curve: Some(e::RecommendedCurve::P_521),
        fips186_variation: Some(e::FIPS186Variation::Unspecified),
        prediction_resistance: Some(true),
    }
}

pub(crate) fn block(format: e::KeyFormatType, value: KeyValue) -> KeyBlock {
    KeyBlock {
        key_format_type: format,
        key_compression_type: None,
        key_value: Some(value),
        cryptographic_algorithm: Some(e::CryptographicAlgorithm::AES),
        cryptographic_length: Some(256),
        key_wrapping_data: None,
    }
}

fn wrapped() -> KeyBlock {
    KeyBlock {
        key_compression_type: Some(e::KeyCompressionType::ECPublicKeyTypeUncompressed),
        key_wrapping_data: Some(Box::new(KeyWrappingData {
            wrapping_method: e::WrappingMethod::EncryptThenMACSign,
            encryption_key_information: Some(EncryptionKeyInformation {
                unique_identifier: "kek".into(),
                cryptographic_parameters: Some(parameters()),
            }),
            mac_signature_key_information: Some(MacSignatureKeyInformation {
                unique_identifier: "mac".into(),
                cryptographic_parameters: None,
            }),
            mac_signature: Some(bytes(20)),
            iv_counter_nonce: Some(bytes(12)),
            encoding_option: Some(e::EncodingOption::NoEncoding),
        })),
        ..block(e::KeyFormatType::Raw, KeyValue::Wrapped(bytes(40)))
    }
}

fn rsa() -> TransparentRsaPrivateKey {
    TransparentRsaPrivateKey {
        modulus: big(64),
        private_exponent: Some(big(63)),
        public_exponent: Some(BigInteger::from_unsigned(&[1, 0, 1])),
        p: Some(big(32)),
        q: Some(big(31)),
        prime_exponent_p: Some(big(30)),
        prime_exponent_q: Some(big(29)),
        crt_coefficient: Some(big(28)),
    }
}

/// Every form of key.
fn blocks() -> Vec<KeyBlock> {
    use e::KeyFormatType as F;
    let curve = e::RecommendedCurve::P_256;
    let transparent = [
        (F::TransparentSymmetricKey, {
            KeyMaterial::TransparentSymmetricKey(TransparentSymmetricKey { key: secret(32) })
        }),
        (F::TransparentRSAPrivateKey, KeyMaterial::TransparentRsaPrivateKey(Box::new(rsa()))),
        (F::TransparentRSAPublicKey, {
            let public_exponent = BigInteger::from_unsigned(&[1, 0, 1]);
            KeyMaterial::TransparentRsaPublicKey(TransparentRsaPublicKey {
                modulus: big(64),
                public_exponent,
            })
        }),
        (F::TransparentECPrivateKey, {
            KeyMaterial::TransparentEcPrivateKey(TransparentEcPrivateKey {
                recommended_curve: curve,
                d: big(32),
            })
        }),
        (F::TransparentECDSAPublicKey, {
            KeyMaterial::TransparentEcPublicKey(TransparentEcPublicKey {
                recommended_curve: curve,
                q_string: bytes(65),
            })
        }),
        (F::TransparentDSAPrivateKey, {
            KeyMaterial::TransparentFieldPrivateKey(Box::new(TransparentFieldPrivateKey {
                p: big(64),
                q: Some(big(20)),
                g: big(63),
                j: None,
                x: big(20),
            }))
        }),
        (F::TransparentDHPublicKey, {
            KeyMaterial::TransparentFieldPublicKey(Box::new(TransparentFieldPublicKey {
                p: big(64),
                q: None,
                g: big(1),
                j: Some(big(2)),
                y: big(60),
            }))
        }),
    ];
    let plain = transparent.into_iter().map(|(format, it)| block(format, KeyValue::plain(it)));
    let with_attributes = KeyValue::Structure {
        material: KeyMaterial::Bytes(secret(16)),
        attributes: Some(Attributes(vec![Attribute::CryptographicLength(128)])),
    };
    let mut blocks: Vec<_> = plain.collect();
    blocks.push(block(F::Raw, with_attributes));
    blocks.push(wrapped());
    blocks.push(KeyBlock { key_value: None, ..wrapped() });
    blocks
}

/// An object of every kind, with every form of key.
pub(crate) fn objects() -> Vec<Object> {
    let mut objects: Vec<_> =
        blocks().into_iter().map(|it| Object::PrivateKey(PrivateKey { key_block: it })).collect();
    let raw = || block(e::KeyFormatType::Raw, KeyValue::plain(KeyMaterial::Bytes(secret(32))));
    objects.push(Object::SymmetricKey(SymmetricKey { key_block: raw() }));
    objects.push(Object::PublicKey(PublicKey { key_block: raw() }));
    objects.push(Object::SecretData(SecretData {
        secret_data_type: e::SecretDataType::Password,
        key_block: raw(),
    }));
    objects.push(Object::OpaqueObject(OpaqueObject {
        opaque_data_type: e::OpaqueDataType(0x8000_0001),
        opaque_data_value: secret(5),
    }));
    objects.push(Object::Certificate(Certificate {
        certificate_type: e::CertificateType::X_509,
        certificate_value: bytes(100),
    }));
    objects
}

fn specification() -> KeyWrappingSpecification {
    KeyWrappingSpecification {
        wrapping_method: e::WrappingMethod::Encrypt,
        encryption_key_information: Some(EncryptionKeyInformation {
            unique_identifier: "kek".into(),
            cryptographic_parameters: Some(parameters()),
        }),
        mac_signature_key_information: None,
        attribute_names: vec![text("Cryptographic Usage Mask")],
        encoding_option: Some(e::EncodingOption::TTLVEncoding),
    }
}

fn masks() -> o::ProtectionStorageMasks {
    o::ProtectionStorageMasks {
        masks: vec![
            e::ProtectionStorageMask::Hardware | e::ProtectionStorageMask::OnPremises,
            e::ProtectionStorageMask::Software,
        ],
    }
}

fn names() -> Vec<AttributeName> {
    vec![
        AttributeKind::State.into(),
        AttributeKind::X_509CertificateSubject.into(),
        AttributeName::Vendor { vendor: text("x"), name: text("ID") },
    ]
}

/// Requests about one object.
fn small_requests() -> Vec<Request> {
    vec![
        o::ActivateRequest { unique_identifier: Some(id()) }.into(),
        o::ActivateRequest::default().into(),
        o::GetAttributesRequest { unique_identifier: Some(id()), names: names() }.into(),
        o::GetAttributeListRequest { unique_identifier: Some(id()) }.into(),
        o::AddAttributeRequest {
            unique_identifier: Some(id()),
            attribute: Attribute::ObjectGroup(text("g")).into(),
        }
        .into(),
        o::SetAttributeRequest {
            unique_identifier: Some(id()),
            new_attribute: Attribute::Vendor(VendorAttribute::text("cosmian", "tag", "[]")).into(),
        }
        .into(),
        o::ModifyAttributeRequest {
            unique_identifier: Some(id()),
            current_attribute: None,
            new_attribute: Attribute::Sensitive(true).into(),
        }
        .into(),
        o::DeleteAttributeRequest {
            unique_identifier: Some(id()),
            current_attribute: None,
            name: Some(AttributeKind::Name.into()),
            attribute_index: None,
        }
        .into(),
    ]
}

/// Requests that end or use an object, or ask about the server.
fn other_requests() -> Vec<Request> {
    vec![
        o::RevokeRequest {
            unique_identifier: Some(id()),
            revocation_reason: RevocationReason {
                revocation_reason_code: e::RevocationReasonCode::KeyCompromise,
                revocation_message: None,
            },
            compromise_occurrence_date: Some(DateTime(6)),
            cascade: Some(true),
        }
        .into(),
        o::DestroyRequest {
            unique_identifier: Some(id()),
            remove: Some(true),
            cascade: Some(false),
            expected_object_type: Some(e::ObjectType::SymmetricKey),
        }
        .into(),
        o::EncryptRequest {
            unique_identifier: Some(id()),
            cryptographic_parameters: Some(Box::new(parameters())),
            data: Some(bytes(64)),
            iv_counter_nonce: Some(bytes(12)),
            correlation_value: Some(bytes(8)),
            init_indicator: Some(true),
            final_indicator: Some(false),
            authenticated_encryption_additional_data: Some(bytes(1)),
        }
        .into(),
        o::DecryptRequest {
            unique_identifier: Some(id()),
            cryptographic_parameters: None,
            data: Some(bytes(64)),
            iv_counter_nonce: Some(bytes(12)),
            correlation_value: Some(bytes(8)),
            init_indicator: Some(true),
            final_indicator: Some(false),
            authenticated_encryption_additional_data: Some(bytes(1)),
            authenticated_encryption_tag: Some(bytes(16)),
        }
        .into(),
        o::QueryRequest {
            query_functions: e::QueryFunction::ALL.to_vec(),
            object_groups: Some(o::ObjectGroups { object_groups: vec![text("g")] }),
        }
        .into(),
        o::DiscoverVersionsRequest {
            protocol_versions: vec![ProtocolVersion { major: 3, minor: 0 }, Version::V1_4.into()],
        }
        .into(),
    ]
}

/// Requests that make or find objects.
fn large_requests() -> Vec<Request> {
    vec![
        o::CreateRequest {
            object_type: e::ObjectType::SymmetricKey,
            attributes: attributes(),
            protection_storage_masks: Some(masks()),
        }
        .into(),
        o::CreateKeyPairRequest {
            common_attributes: Some(attributes()),
            private_key_attributes: Some(Attributes::new()),
            public_key_attributes: None,
            common_protection_storage_masks: Some(masks()),
            private_protection_storage_masks: Some(masks()),
            public_protection_storage_masks: Some(masks()),
        }
        .into(),
        o::ExportRequest {
            unique_identifier: Some(id()),
            key_format_type: Some(e::KeyFormatType::PKCS_8),
            key_wrap_type: Some(e::KeyWrapType::NotWrapped),
            key_compression_type: Some(e::KeyCompressionType::ECPublicKeyTypeUncompressed),
            key_wrapping_specification: Some(Box::new(specification())),
        }
        .into(),
        o::GetRequest {
            unique_identifier: Some(id()),
            key_format_type: Some(e::KeyFormatType::PKCS_8),
            key_wrap_type: Some(e::KeyWrapType::AsRegistered),
            key_compression_type: None,
            key_wrapping_specification: Some(Box::new(specification())),
        }
        .into(),
        o::LocateRequest {
            maximum_items: Some(10),
            offset_items: Some(5),
            storage_status_mask: Some(e::StorageStatusMask::OnLineStorage),
            object_group_member: Some(e::ObjectGroupMember::GroupMemberFresh),
            attributes: attributes(),
        }
        .into(),
        o::RekeyRequest {
            unique_identifier: Some(id()),
            offset: Some(Interval(5)),
            attributes: Some(attributes()),
            protection_storage_masks: Some(masks()),
        }
        .into(),
        o::RekeyKeyPairRequest {
            private_key_unique_identifier: Some(id()),
            offset: Some(Interval(5)),
            common_attributes: None,
            private_key_attributes: Some(attributes()),
            public_key_attributes: Some(attributes()),
            common_protection_storage_masks: None,
            private_protection_storage_masks: None,
            public_protection_storage_masks: Some(masks()),
        }
        .into(),
    ]
}

pub(crate) fn requests() -> Vec<Request> {
    let mut requests = small_requests();
    requests.extend(other_requests());
    requests.extend(large_requests());
    for object in objects() {
        let request = o::RegisterRequest {
            object_type: object.object_type(),
            attributes: attributes(),
            object: object.clone(),
            protection_storage_masks: Some(masks()),
        };
        requests.push(request.into());
        let request = o::ImportRequest {
            unique_identifier: text("chosen"),
            object_type: Some(object.object_type()),
            replace_existing: Some(true),
            key_wrap_type: Some(e::KeyWrapType::AsRegistered),
            attributes: attributes(),
            object,
        };
        requests.push(request.into());
    }
    requests
}

/// Responses that name an object.
fn small_responses() -> Vec<Response> {
    let id = || text("id");
    vec![
        o::ActivateResponse { unique_identifier: id() }.into(),
        o::AddAttributeResponse {
            unique_identifier: id(),
            attribute: Some(Attribute::ObjectGroup(text("g")).into()),
        }
        .into(),
        o::CreateResponse {
            object_type: e::ObjectType::SymmetricKey,
            unique_identifier: id(),
            attributes: Some(attributes()),
        }
        .into(),
        o::CreateKeyPairResponse {
            private_key_unique_identifier: id(),
            public_key_unique_identifier: id(),
            private_key_attributes: None,
            public_key_attributes: Some(attributes()),
        }
        .into(),
        o::DecryptResponse {
            unique_identifier: id(),
            data: Some(bytes(64)),
            correlation_value: Some(bytes(8)),
        }
        .into(),
        o::DeleteAttributeResponse {
            unique_identifier: id(),
            attribute: Some(Attribute::Name(Name::from("n")).into()),
        }
        .into(),
        o::DestroyResponse { unique_identifier: id() }.into(),
        o::EncryptResponse {
            unique_identifier: id(),
            data: Some(bytes(64)),
            iv_counter_nonce: Some(bytes(12)),
            correlation_value: None,
            authenticated_encryption_tag: Some(bytes(16)),
        }
        .into(),
        o::ImportResponse { unique_identifier: id() }.into(),
        o::ModifyAttributeResponse { unique_identifier: id(), attribute: None }.into(),
        o::RegisterResponse { unique_identifier: id(), attributes: None }.into(),
        o::RekeyResponse { unique_identifier: id(), attributes: None }.into(),
        o::RekeyKeyPairResponse {
            private_key_unique_identifier: id(),
            public_key_unique_identifier: id(),
            private_key_attributes: None,
            public_key_attributes: None,
        }
        .into(),
        o::RevokeResponse { unique_identifier: id() }.into(),
        o::SetAttributeResponse { unique_identifier: id() }.into(),
        o::LocateResponse { located_items: Some(3), unique_identifiers: vec![id(), id()] }.into(),
        o::GetAttributesResponse { unique_identifier: id(), attributes: attributes() }.into(),
        o::GetAttributeListResponse { unique_identifier: id(), names: names() }.into(),
    ]
}

fn query() -> o::QueryResponse {
    o::QueryResponse {
        operations: e::Operation::ALL.to_vec(),
        object_types: e::ObjectType::ALL.to_vec(),
        vendor_identification: Some(text("vendor")),
        server_information: Some(Box::new(o::ServerInformation {
            server_name: Some(text("server")),
            alternate_failover_endpoints: vec![text("a"), text("b")],
            ..o::ServerInformation::default()
        })),
        application_namespaces: vec![text("ssl")],
        extension_information: vec![o::ExtensionInformation {
            extension_name: text("Cascade"),
            extension_tag: Some(0x54_0001),
            extension_type: Some(o::ExtensionType(e::ItemType::Boolean)),
            extension_enumeration: Some(1),
            extension_attribute: Some(false),
            extension_parent_structure_tag: Some(0x42_0079),
            extension_description: Some(text("words")),
        }],
        attestation_types: e::AttestationType::ALL.to_vec(),
        rng_parameters: vec![random()],
        profile_information: vec![o::ProfileInformation {
            profile_name: e::ProfileName::BaselineServer,
            profile_version: Some(o::ProfileVersion {
                profile_version_major: 2,
                profile_version_minor: 1,
            }),
            server_uri: Some(text("https://example.com")),
            server_port: Some(5696),
        }],
        validation_information: vec![o::ValidationInformation {
            validation_authority_type: e::ValidationAuthorityType::NISTCMVP,
            validation_authority_country: Some(text("US")),
            validation_authority_uri: Some(text("https://example.com")),
            validation_version_major: 3,
            validation_version_minor: Some(0),
            validation_type: e::ValidationType::Software,
            validation_level: 1,
            validation_certificate_identifier: Some(text("1")),
            validation_certificate_uri: None,
            validation_vendor_uri: None,
            validation_profiles: vec![text("p")],
        }],
        capability_information: vec![o::CapabilityInformation {
            streaming_capability: Some(true),
            asynchronous_capability: Some(false),
            attestation_capability: Some(false),
            batch_undo_capability: Some(true),
            batch_continue_capability: Some(true),
            unwrap_mode: Some(e::UnwrapMode::Processed),
            destroy_action: Some(e::DestroyAction::KeyMaterialDeleted),
            shredding_algorithm: Some(e::ShreddingAlgorithm::Cryptographic),
            rng_mode: Some(e::RNGMode::SharedInstantiation),
            quantum_safe_capability: Some(false),
        }],
        client_registration_methods: e::ClientRegistrationMethod::ALL.to_vec(),
        defaults_information: Some(o::DefaultsInformation {
            object_defaults: vec![o::ObjectDefaults {
                object_type: Some(e::ObjectType::SymmetricKey),
                object_types: None,
                attributes: attributes(),
                object_groups: Some(o::ObjectGroups::default()),
            }],
        }),
        protection_storage_masks: Some(masks()),
    }
}

pub(crate) fn responses() -> Vec<Response> {
    let mut responses = small_responses();
    responses.push(query().into());
    responses.push(
        o::DiscoverVersionsResponse {
            protocol_versions: Version::ALL.into_iter().rev().map(Into::into).collect(),
        }
        .into(),
    );
    for object in objects() {
        let (object_type, unique_identifier) = (object.object_type(), text("id"));
        let response = o::GetResponse { object_type, unique_identifier, object: object.clone() };
        responses.push(response.into());
        let unique_identifier = text("id");
        let attributes = attributes();
        let response = o::ExportResponse { object_type, unique_identifier, attributes, object };
        responses.push(response.into());
    }
    responses
}
