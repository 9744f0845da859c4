//! Tags and enumerations: every name both ways, in every spelling.

use std::collections::HashSet;

use kmip::enumerations as e;
use kmip::tag::{self, Names};
use ttlv::{Tag, TagNames};

#[test]
fn every_tag_has_one_name_and_is_found_by_it() {
    let mut names = HashSet::new();
    let ranges = [0x42_0001..=0x42_0176, 0x54_0001..=0x54_0109, 0x54_1001..=0x54_103B];
    for code in ranges.into_iter().flatten() {
        let Some(name) = Names.name(Tag(code)) else { continue };
        assert!(names.insert(name), "{name} twice");
        assert_eq!(Names.tag(name), Some(Tag(code)), "{name}");
    }
    // 372 of the standard (0x420137, 0x42013E and 0x42013F were given up), 12 of ours, 59 operations.
    assert!(names.len() > 420, "{}", names.len());
}

#[test]
fn tags_have_the_numbers_of_the_specification() {
    for (tag, code, name) in [
        (tag::ActivationDate, 0x42_0001, "ActivationDate"),
        (tag::IVCounterNonce, 0x42_003D, "IVCounterNonce"),
        (tag::UniqueIdentifier, 0x42_0094, "UniqueIdentifier"),
        (tag::TagValue, 0x42_0138, "Tag"),
        (tag::X_509CertificateIdentifier, 0x42_00B5, "X_509CertificateIdentifier"),
        (tag::AsynchronousCorrelationValues, 0x42_0176, "AsynchronousCorrelationValues"),
        (tag::Rekey, 0x54_1004, "ReKey"),
        (tag::EncryptResponse, 0x54_201F, "EncryptResponse"),
    ] {
        assert_eq!(tag, Tag(code));
        assert_eq!(Names.name(tag), Some(name));
        assert_eq!(Names.tag(name), Some(tag));
    }
    for missing in ["", "Q2", "activationdate", "ActivationDat", "ActivationDateX", "0x420001"] {
        assert_eq!(Names.tag(missing), None, "{missing}");
    }
    for missing in [0, 0x41_FFFF, 0x42_0000, 0x42_0137, 0x42_0177, 0x42_0FFF, 0x54_2FFF, u32::MAX] {
        assert_eq!(Names.name(Tag(missing)), None, "{missing:x}");
    }
    assert_eq!(Names.tag("AttributeReferences"), Some(tag::AttributeReference));
}

/// Every name of an enumeration is read as written, without underscores, in another case, and as
/// a number.
macro_rules! spellings {
    ($($type:ident)*) => {
        $({
            let values: Vec<_> = e::$type::ALL.to_vec();
            assert!(values.windows(2).all(|it| it[0] < it[1]), stringify!($type));
            for value in values {
                let name = value.name().unwrap();
                let code = value.0;
                for text in [
                    name.to_owned(),
                    name.replace('_', ""),
                    name.to_lowercase(),
                    name.to_uppercase(),
                    format!("0x{code:08X}"),
                    format!("0x{code:x}"),
                    code.to_string(),
                ] {
                    assert_eq!(e::$type::parse(&text), Some(value), "{} {text}", stringify!($type));
                }
            }
            assert_eq!(e::$type::parse("NoSuchName"), None);
            assert_eq!(e::$type::parse(""), None);
            assert_eq!(e::$type::parse("0x"), None);
            assert_eq!(e::$type(0x7FFF_FFF0).name(), None);
        })*
    };
}

#[test]
fn enumerations_are_read_in_every_spelling() {
    spellings! {
        AdjustmentType AlternativeNameType AsynchronousIndicator AttestationType
        BatchErrorContinuationOption BlockCipherMode CancellationResult CertificateRequestType
        CertificateType ClientRegistrationMethod CredentialType CryptographicAlgorithm
        DRBGAlgorithm DataCode DerivationMethod DestroyAction DigitalSignatureAlgorithm
        EncodingOption EndpointRole FIPS186Variation HashingAlgorithm InteropFunction ItemType
        KeyCompressionType KeyFormatType KeyRoleType KeyValueLocationType KeyWrapType LinkType
        MaskGenerator NISTKeyType NameType ObjectGroupMember ObjectType OpaqueDataType Operation
        PaddingMethod ProcessingStage ProfileName ProtectionLevel PutFunction QueryFunction
        RNGAlgorithm RNGMode RecommendedCurve ResultReason ResultStatus RevocationReasonCode
        RotateNameType SecretDataType ShreddingAlgorithm SplitKeyMethod State TicketType
        UniqueIdentifierCode UnwrapMode UsageLimitsUnit ValidationAuthorityType ValidationType
        ValidityIndicator WrappingMethod CryptographicUsageMask ProtectionStorageMask
        StorageStatusMask
    }
}

#[test]
fn names_of_other_versions_and_servers_are_read() {
    use e::{
        BlockCipherMode, CryptographicAlgorithm, DigitalSignatureAlgorithm, HashingAlgorithm,
        MaskGenerator, PaddingMethod, RecommendedCurve,
    };
    let signature = |text| DigitalSignatureAlgorithm::parse(text);
    assert_eq!(MaskGenerator::parse("MFG1"), Some(MaskGenerator::MGF1));
    assert_eq!(HashingAlgorithm::parse("SHA_3_256"), Some(HashingAlgorithm::SHA3_256));
    assert_eq!(HashingAlgorithm::parse("SHA3256"), Some(HashingAlgorithm::SHA3_256));
    assert_eq!(HashingAlgorithm::parse("SHA256"), Some(HashingAlgorithm::SHA_256));
    assert_eq!(
        signature("SHA_256WithRSAEncryptionPKCS_1V1_5"),
        Some(DigitalSignatureAlgorithm::SHA_256WithRSAEncryption)
    );
    assert_eq!(signature("RSASSA_PSSPKCS_1V2_1"), Some(DigitalSignatureAlgorithm::RSASSA_PSS));
    assert_eq!(PaddingMethod::parse("PKCS1v15"), Some(PaddingMethod::PKCS1V1_5));
    assert_eq!(RecommendedCurve::parse("P256"), Some(RecommendedCurve::P_256));
    assert_eq!(RecommendedCurve::parse("CURVEED25519").unwrap().0, 0x8000_0001);
    assert_eq!(BlockCipherMode::parse("GCMSIV").unwrap().0, 0x8000_0002);
    assert_eq!(CryptographicAlgorithm::parse("DES3").unwrap().0, 2);
    assert_eq!(e::Operation::parse("rekeykeypair"), Some(e::Operation::RekeyKeyPair));
}
