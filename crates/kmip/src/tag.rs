// A table.
//! Tags: every one of KMIP 1.0 to 2.1, and our own in the extension range.
//!
//! Must not know what any of them means.
#![expect(
    non_upper_case_globals,
    reason = "the names are the standard's, and the text encodings use them"
)]

use std::fmt;

use ttlv::{Tag, TagNames};

tags! {
    0x42_0001 ActivationDate,
    0x42_0002 ApplicationData,
    0x42_0003 ApplicationNamespace,
    0x42_0004 ApplicationSpecificInformation,
    0x42_0005 ArchiveDate,
    0x42_0006 AsynchronousCorrelationValue,
    0x42_0007 AsynchronousIndicator,
    0x42_0008 Attribute,
    0x42_0009 AttributeIndex,
    0x42_000A AttributeName,
    0x42_000B AttributeValue,
    0x42_000C Authentication,
    0x42_000D BatchCount,
    0x42_000E BatchErrorContinuationOption,
    0x42_000F BatchItem,
    0x42_0010 BatchOrderOption,
    0x42_0011 BlockCipherMode,
    0x42_0012 CancellationResult,
    0x42_0013 Certificate,
    0x42_0014 CertificateIdentifier,
    0x42_0015 CertificateIssuer,
    0x42_0016 CertificateIssuerAlternativeName,
    0x42_0017 CertificateIssuerDistinguishedName,
    0x42_0018 CertificateRequest,
    0x42_0019 CertificateRequestType,
    0x42_001A CertificateSubject,
    0x42_001B CertificateSubjectAlternativeName,
    0x42_001C CertificateSubjectDistinguishedName,
    0x42_001D CertificateType,
    0x42_001E CertificateValue,
    0x42_001F CommonTemplateAttribute,
    0x42_0020 CompromiseDate,
    0x42_0021 CompromiseOccurrenceDate,
    0x42_0022 ContactInformation,
    0x42_0023 Credential,
    0x42_0024 CredentialType,
    0x42_0025 CredentialValue,
    0x42_0026 CriticalityIndicator,
    0x42_0027 CRTCoefficient,
    0x42_0028 CryptographicAlgorithm,
    0x42_0029 CryptographicDomainParameters,
    0x42_002A CryptographicLength,
    0x42_002B CryptographicParameters,
    0x42_002C CryptographicUsageMask,
    0x42_002D CustomAttribute,
    0x42_002E D,
    0x42_002F DeactivationDate,
    0x42_0030 DerivationData,
    0x42_0031 DerivationMethod,
    0x42_0032 DerivationParameters,
    0x42_0033 DestroyDate,
    0x42_0034 Digest,
    0x42_0035 DigestValue,
    0x42_0036 EncryptionKeyInformation,
    0x42_0037 G,
    0x42_0038 HashingAlgorithm,
    0x42_0039 InitialDate,
    0x42_003A InitializationVector,
    0x42_003B Issuer,
    0x42_003C IterationCount,
    0x42_003D IVCounterNonce,
    0x42_003E J,
    0x42_003F Key,
    0x42_0040 KeyBlock,
    0x42_0041 KeyCompressionType,
    0x42_0042 KeyFormatType,
    0x42_0043 KeyMaterial,
    0x42_0044 KeyPartIdentifier,
    0x42_0045 KeyValue,
    0x42_0046 KeyWrappingData,
    0x42_0047 KeyWrappingSpecification,
    0x42_0048 LastChangeDate,
    0x42_0049 LeaseTime,
    0x42_004A Link,
    0x42_004B LinkType,
    0x42_004C LinkedObjectIdentifier,
    0x42_004D MACSignature,
    0x42_004E MACSignatureKeyInformation,
    0x42_004F MaximumItems,
    0x42_0050 MaximumResponseSize,
    0x42_0051 MessageExtension,
    0x42_0052 Modulus,
    0x42_0053 Name,
    0x42_0054 NameType,
    0x42_0055 NameValue,
    0x42_0056 ObjectGroup,
    0x42_0057 ObjectType,
    0x42_0058 Offset,
    0x42_0059 OpaqueDataType,
    0x42_005A OpaqueDataValue,
    0x42_005B OpaqueObject,
    0x42_005C Operation,
    0x42_005D OperationPolicyName,
    0x42_005E P,
    0x42_005F PaddingMethod,
    0x42_0060 PrimeExponentP,
    0x42_0061 PrimeExponentQ,
    0x42_0062 PrimeFieldSize,
    0x42_0063 PrivateExponent,
    0x42_0064 PrivateKey,
    0x42_0065 PrivateKeyTemplateAttribute,
    0x42_0066 PrivateKeyUniqueIdentifier,
    0x42_0067 ProcessStartDate,
    0x42_0068 ProtectStopDate,
    0x42_0069 ProtocolVersion,
    0x42_006A ProtocolVersionMajor,
    0x42_006B ProtocolVersionMinor,
    0x42_006C PublicExponent,
    0x42_006D PublicKey,
    0x42_006E PublicKeyTemplateAttribute,
    0x42_006F PublicKeyUniqueIdentifier,
    0x42_0070 PutFunction,
    0x42_0071 Q,
    0x42_0072 QString,
    0x42_0073 Qlength,
    0x42_0074 QueryFunction,
    0x42_0075 RecommendedCurve,
    0x42_0076 ReplacedUniqueIdentifier,
    0x42_0077 RequestHeader,
    0x42_0078 RequestMessage,
    0x42_0079 RequestPayload,
    0x42_007A ResponseHeader,
    0x42_007B ResponseMessage,
    0x42_007C ResponsePayload,
    0x42_007D ResultMessage,
    0x42_007E ResultReason,
    0x42_007F ResultStatus,
    0x42_0080 RevocationMessage,
    0x42_0081 RevocationReason,
    0x42_0082 RevocationReasonCode,
    0x42_0083 KeyRoleType,
    0x42_0084 Salt,
    0x42_0085 SecretData,
    0x42_0086 SecretDataType,
    0x42_0087 SerialNumber,
    0x42_0088 ServerInformation,
    0x42_0089 SplitKey,
    0x42_008A SplitKeyMethod,
    0x42_008B SplitKeyParts,
    0x42_008C SplitKeyThreshold,
    0x42_008D State,
    0x42_008E StorageStatusMask,
    0x42_008F SymmetricKey,
    0x42_0090 Template,
    0x42_0091 TemplateAttribute,
    0x42_0092 TimeStamp,
    0x42_0093 UniqueBatchItemID,
    0x42_0094 UniqueIdentifier,
    0x42_0095 UsageLimits,
    0x42_0096 UsageLimitsCount,
    0x42_0097 UsageLimitsTotal,
    0x42_0098 UsageLimitsUnit,
    0x42_0099 Username,
    0x42_009A ValidityDate,
    0x42_009B ValidityIndicator,
    0x42_009C VendorExtension,
    0x42_009D VendorIdentification,
    0x42_009E WrappingMethod,
    0x42_009F X,
    0x42_00A0 Y,
    0x42_00A1 Password,
    0x42_00A2 DeviceIdentifier,
    0x42_00A3 EncodingOption,
    0x42_00A4 ExtensionInformation,
    0x42_00A5 ExtensionName,
    0x42_00A6 ExtensionTag,
    0x42_00A7 ExtensionType,
    0x42_00A8 Fresh,
    0x42_00A9 MachineIdentifier,
    0x42_00AA MediaIdentifier,
    0x42_00AB NetworkIdentifier,
    0x42_00AC ObjectGroupMember,
    0x42_00AD CertificateLength,
    0x42_00AE DigitalSignatureAlgorithm,
    0x42_00AF CertificateSerialNumber,
    0x42_00B0 DeviceSerialNumber,
    0x42_00B1 IssuerAlternativeName,
    0x42_00B2 IssuerDistinguishedName,
    0x42_00B3 SubjectAlternativeName,
    0x42_00B4 SubjectDistinguishedName,
    0x42_00B5 X_509CertificateIdentifier,
    0x42_00B6 X_509CertificateIssuer,
    0x42_00B7 X_509CertificateSubject,
    0x42_00B8 KeyValueLocation,
    0x42_00B9 KeyValueLocationValue,
    0x42_00BA KeyValueLocationType,
    0x42_00BB KeyValuePresent,
    0x42_00BC OriginalCreationDate,
    0x42_00BD PGPKey,
    0x42_00BE PGPKeyVersion,
    0x42_00BF AlternativeName,
    0x42_00C0 AlternativeNameValue,
    0x42_00C1 AlternativeNameType,
    0x42_00C2 Data,
    0x42_00C3 SignatureData,
    0x42_00C4 DataLength,
    0x42_00C5 RandomIV,
    0x42_00C6 MACData,
    0x42_00C7 AttestationType,
    0x42_00C8 Nonce,
    0x42_00C9 NonceID,
    0x42_00CA NonceValue,
    0x42_00CB AttestationMeasurement,
    0x42_00CC AttestationAssertion,
    0x42_00CD IVLength,
    0x42_00CE TagLength,
    0x42_00CF FixedFieldLength,
    0x42_00D0 CounterLength,
    0x42_00D1 InitialCounterValue,
    0x42_00D2 InvocationFieldLength,
    0x42_00D3 AttestationCapableIndicator,
    0x42_00D4 OffsetItems,
    0x42_00D5 LocatedItems,
    0x42_00D6 CorrelationValue,
    0x42_00D7 InitIndicator,
    0x42_00D8 FinalIndicator,
    0x42_00D9 RNGParameters,
    0x42_00DA RNGAlgorithm,
    0x42_00DB DRBGAlgorithm,
    0x42_00DC FIPS186Variation,
    0x42_00DD PredictionResistance,
    0x42_00DE RandomNumberGenerator,
    0x42_00DF ValidationInformation,
    0x42_00E0 ValidationAuthorityType,
    0x42_00E1 ValidationAuthorityCountry,
    0x42_00E2 ValidationAuthorityURI,
    0x42_00E3 ValidationVersionMajor,
    0x42_00E4 ValidationVersionMinor,
    0x42_00E5 ValidationType,
    0x42_00E6 ValidationLevel,
    0x42_00E7 ValidationCertificateIdentifier,
    0x42_00E8 ValidationCertificateURI,
    0x42_00E9 ValidationVendorURI,
    0x42_00EA ValidationProfile,
    0x42_00EB ProfileInformation,
    0x42_00EC ProfileName,
    0x42_00ED ServerURI,
    0x42_00EE ServerPort,
    0x42_00EF StreamingCapability,
    0x42_00F0 AsynchronousCapability,
    0x42_00F1 AttestationCapability,
    0x42_00F2 UnwrapMode,
    0x42_00F3 DestroyAction,
    0x42_00F4 ShreddingAlgorithm,
    0x42_00F5 RNGMode,
    0x42_00F6 ClientRegistrationMethod,
    0x42_00F7 CapabilityInformation,
    0x42_00F8 KeyWrapType,
    0x42_00F9 BatchUndoCapability,
    0x42_00FA BatchContinueCapability,
    0x42_00FB PKCS_12FriendlyName,
    0x42_00FC Description,
    0x42_00FD Comment,
    0x42_00FE AuthenticatedEncryptionAdditionalData,
    0x42_00FF AuthenticatedEncryptionTag,
    0x42_0100 SaltLength,
    0x42_0101 MaskGenerator,
    0x42_0102 MaskGeneratorHashingAlgorithm,
    0x42_0103 PSource,
    0x42_0104 TrailerField,
    0x42_0105 ClientCorrelationValue,
    0x42_0106 ServerCorrelationValue,
    0x42_0107 DigestedData,
    0x42_0108 CertificateSubjectCN,
    0x42_0109 CertificateSubjectO,
    0x42_010A CertificateSubjectOU,
    0x42_010B CertificateSubjectEmail,
    0x42_010C CertificateSubjectC,
    0x42_010D CertificateSubjectST,
    0x42_010E CertificateSubjectL,
    0x42_010F CertificateSubjectUID,
    0x42_0110 CertificateSubjectSerialNumber,
    0x42_0111 CertificateSubjectTitle,
    0x42_0112 CertificateSubjectDC,
    0x42_0113 CertificateSubjectDNQualifier,
    0x42_0114 CertificateIssuerCN,
    0x42_0115 CertificateIssuerO,
    0x42_0116 CertificateIssuerOU,
    0x42_0117 CertificateIssuerEmail,
    0x42_0118 CertificateIssuerC,
    0x42_0119 CertificateIssuerST,
    0x42_011A CertificateIssuerL,
    0x42_011B CertificateIssuerUID,
    0x42_011C CertificateIssuerSerialNumber,
    0x42_011D CertificateIssuerTitle,
    0x42_011E CertificateIssuerDC,
    0x42_011F CertificateIssuerDNQualifier,
    0x42_0120 Sensitive,
    0x42_0121 AlwaysSensitive,
    0x42_0122 Extractable,
    0x42_0123 NeverExtractable,
    0x42_0124 ReplaceExisting,
    0x42_0125 Attributes,
    0x42_0126 CommonAttributes,
    0x42_0127 PrivateKeyAttributes,
    0x42_0128 PublicKeyAttributes,
    0x42_0129 ExtensionEnumeration,
    0x42_012A ExtensionAttribute,
    0x42_012B ExtensionParentStructureTag,
    0x42_012C ExtensionDescription,
    0x42_012D ServerName,
    0x42_012E ServerSerialNumber,
    0x42_012F ServerVersion,
    0x42_0130 ServerLoad,
    0x42_0131 ProductName,
    0x42_0132 BuildLevel,
    0x42_0133 BuildDate,
    0x42_0134 ClusterInfo,
    0x42_0135 AlternateFailoverEndpoints,
    0x42_0136 ShortUniqueIdentifier,
    0x42_0138 TagValue "Tag",
    0x42_0139 CertificateRequestUniqueIdentifier,
    0x42_013A NISTKeyType,
    0x42_013B AttributeReference,
    0x42_013C CurrentAttribute,
    0x42_013D NewAttribute,
    0x42_0140 CertificateRequestValue,
    0x42_0141 LogMessage,
    0x42_0142 ProfileVersion,
    0x42_0143 ProfileVersionMajor,
    0x42_0144 ProfileVersionMinor,
    0x42_0145 ProtectionLevel,
    0x42_0146 ProtectionPeriod,
    0x42_0147 QuantumSafe,
    0x42_0148 QuantumSafeCapability,
    0x42_0149 Ticket,
    0x42_014A TicketType,
    0x42_014B TicketValue,
    0x42_014C RequestCount,
    0x42_014D Rights,
    0x42_014E Objects,
    0x42_014F Operations,
    0x42_0150 Right,
    0x42_0151 EndpointRole,
    0x42_0152 DefaultsInformation,
    0x42_0153 ObjectDefaults,
    0x42_0154 Ephemeral,
    0x42_0155 ServerHashedPassword,
    0x42_0156 OneTimePassword,
    0x42_0157 HashedPassword,
    0x42_0158 AdjustmentType,
    0x42_0159 PKCS_11Interface,
    0x42_015A PKCS_11Function,
    0x42_015B PKCS_11InputParameters,
    0x42_015C PKCS_11OutputParameters,
    0x42_015D PKCS_11ReturnCode,
    0x42_015E ProtectionStorageMask,
    0x42_015F ProtectionStorageMasks,
    0x42_0160 InteropFunction,
    0x42_0161 InteropIdentifier,
    0x42_0162 AdjustmentValue,
    0x42_0163 CommonProtectionStorageMasks,
    0x42_0164 PrivateProtectionStorageMasks,
    0x42_0165 PublicProtectionStorageMasks,
    0x42_0166 ObjectGroups,
    0x42_0167 ObjectTypes,
    0x42_0168 Constraints,
    0x42_0169 Constraint,
    0x42_016A RotateInterval,
    0x42_016B RotateAutomatic,
    0x42_016C RotateOffset,
    0x42_016D RotateDate,
    0x42_016E RotateGeneration,
    0x42_016F RotateName,
    0x42_0170 RotateNameValue,
    0x42_0171 RotateNameType,
    0x42_0172 RotateLatest,
    0x42_0173 AsynchronousRequest,
    0x42_0174 SubmissionDate,
    0x42_0175 ProcessingStage,
    0x42_0176 AsynchronousCorrelationValues,
    // Fields of other servers' own, which their clients send.
    0x54_0001 Cascade,
    0x54_0002 Remove,
    0x54_0003 ExpectedObjectType,
    // In our own Message Extension.
    0x54_0004 IdempotencyKey,
    // The persisted form of objects.
    0x54_0101 StoredRecord,
    0x54_0102 StoredFormat,
    0x54_0103 StoredOwner,
    0x54_0104 StoredMaterialTag,
    0x54_0105 StoredMaterialGeneration,
    0x54_0106 StoredGrantEpoch,
    0x54_0107 StoredGrantBucket,
    0x54_0108 StoredGrantEpochNumber,
    0x54_0109 StoredMaterial,
    // Bare operations: the tag of the whole is the operation's name.
    0x54_1001 Create,
    0x54_1002 CreateKeyPair,
    0x54_1003 Register,
    0x54_1004 Rekey "ReKey",
    0x54_1005 DeriveKey,
    0x54_1006 Certify,
    0x54_1007 Recertify "ReCertify",
    0x54_1008 Locate,
    0x54_1009 Check,
    0x54_100A Get,
    0x54_100B GetAttributes,
    0x54_100C GetAttributeList,
    0x54_100D AddAttribute,
    0x54_100E ModifyAttribute,
    0x54_100F DeleteAttribute,
    0x54_1010 ObtainLease,
    0x54_1011 GetUsageAllocation,
    0x54_1012 Activate,
    0x54_1013 Revoke,
    0x54_1014 Destroy,
    0x54_1015 Archive,
    0x54_1016 Recover,
    0x54_1017 Validate,
    0x54_1018 Query,
    0x54_1019 Cancel,
    0x54_101A Poll,
    0x54_101B Notify,
    0x54_101C Put,
    0x54_101D RekeyKeyPair "ReKeyKeyPair",
    0x54_101E DiscoverVersions,
    0x54_101F Encrypt,
    0x54_1020 Decrypt,
    0x54_1021 Sign,
    0x54_1022 SignatureVerify,
    0x54_1023 MAC,
    0x54_1024 MACVerify,
    0x54_1025 RNGRetrieve,
    0x54_1026 RNGSeed,
    0x54_1027 Hash,
    0x54_1028 CreateSplitKey,
    0x54_1029 JoinSplitKey,
    0x54_102A Import,
    0x54_102B Export,
    0x54_102C Log,
    0x54_102D Login,
    0x54_102E Logout,
    0x54_102F DelegatedLogin,
    0x54_1030 AdjustAttribute,
    0x54_1031 SetAttribute,
    0x54_1032 SetEndpointRole,
    0x54_1033 PKCS_11,
    0x54_1034 Interop,
    0x54_1035 ReProvision,
    0x54_1036 SetDefaults,
    0x54_1037 SetConstraints,
    0x54_1038 GetConstraints,
    0x54_1039 QueryAsynchronousRequests,
    0x54_103A Process,
    0x54_103B Ping,
    0x54_2001 CreateResponse,
    0x54_2002 CreateKeyPairResponse,
    0x54_2003 RegisterResponse,
    0x54_2004 RekeyResponse "ReKeyResponse",
    0x54_2005 DeriveKeyResponse,
    0x54_2006 CertifyResponse,
    0x54_2007 RecertifyResponse "ReCertifyResponse",
    0x54_2008 LocateResponse,
    0x54_2009 CheckResponse,
    0x54_200A GetResponse,
    0x54_200B GetAttributesResponse,
    0x54_200C GetAttributeListResponse,
    0x54_200D AddAttributeResponse,
    0x54_200E ModifyAttributeResponse,
    0x54_200F DeleteAttributeResponse,
    0x54_2010 ObtainLeaseResponse,
    0x54_2011 GetUsageAllocationResponse,
    0x54_2012 ActivateResponse,
    0x54_2013 RevokeResponse,
    0x54_2014 DestroyResponse,
    0x54_2015 ArchiveResponse,
    0x54_2016 RecoverResponse,
    0x54_2017 ValidateResponse,
    0x54_2018 QueryResponse,
    0x54_2019 CancelResponse,
    0x54_201A PollResponse,
    0x54_201B NotifyResponse,
    0x54_201C PutResponse,
    0x54_201D RekeyKeyPairResponse "ReKeyKeyPairResponse",
    0x54_201E DiscoverVersionsResponse,
    0x54_201F EncryptResponse,
    0x54_2020 DecryptResponse,
    0x54_2021 SignResponse,
    0x54_2022 SignatureVerifyResponse,
    0x54_2023 MACResponse,
    0x54_2024 MACVerifyResponse,
    0x54_2025 RNGRetrieveResponse,
    0x54_2026 RNGSeedResponse,
    0x54_2027 HashResponse,
    0x54_2028 CreateSplitKeyResponse,
    0x54_2029 JoinSplitKeyResponse,
    0x54_202A ImportResponse,
    0x54_202B ExportResponse,
    0x54_202C LogResponse,
    0x54_202D LoginResponse,
    0x54_202E LogoutResponse,
    0x54_202F DelegatedLoginResponse,
    0x54_2030 AdjustAttributeResponse,
    0x54_2031 SetAttributeResponse,
    0x54_2032 SetEndpointRoleResponse,
    0x54_2033 PKCS_11Response,
    0x54_2034 InteropResponse,
    0x54_2035 ReProvisionResponse,
    0x54_2036 SetDefaultsResponse,
    0x54_2037 SetConstraintsResponse,
    0x54_2038 GetConstraintsResponse,
    0x54_2039 QueryAsynchronousRequestsResponse,
    0x54_203A ProcessResponse,
    0x54_203B PingResponse,
}

/// The tag of a bare request is this and the operation's code.
pub(crate) const BARE_REQUEST: u32 = 0x54_1000;
/// The tag of a bare response is this and the operation's code.
pub(crate) const BARE_RESPONSE: u32 = 0x54_2000;

/// Names that some clients use for tags that have another.
const ALIASES: &[(u32, &str)] = &[
    (AttributeReference.0, "AttributeReferences"),
    (X_509CertificateIdentifier.0, "X509CertificateIdentifier"),
    (X_509CertificateIssuer.0, "X509CertificateIssuer"),
    (X_509CertificateSubject.0, "X509CertificateSubject"),
    (PKCS_12FriendlyName.0, "PKCS12FriendlyName"),
    (CertificateSubjectCN.0, "CertificateSubjectCn"),
    (CertificateSubjectOU.0, "CertificateSubjectOu"),
    (CertificateSubjectST.0, "CertificateSubjectSt"),
    (CertificateSubjectUID.0, "CertificateSubjectUid"),
    (CertificateSubjectDC.0, "CertificateSubjectDc"),
    (CertificateSubjectDNQualifier.0, "CertificateSubjectDnQualifier"),
    (CertificateIssuerCN.0, "CertificateIssuerCn"),
    (CertificateIssuerOU.0, "CertificateIssuerOu"),
    (CertificateIssuerST.0, "CertificateIssuerSt"),
    (CertificateIssuerUID.0, "CertificateIssuerUid"),
    (CertificateIssuerDC.0, "CertificateIssuerDc"),
    (CertificateIssuerDNQualifier.0, "CertificateIssuerDnQualifier"),
];

/// The names of the tags of every version.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names;

impl TagNames for Names {
    #[inline]
    fn name(&self, tag: Tag) -> Option<&'static str> {
        let page: &[&'static str] = match tag.0 >> 12 {
            0x420 => &STANDARD,
            0x540 => &OWN,
            0x541 => &REQUESTS,
            0x542 => &RESPONSES,
            _ => return None,
        };
        let name = page.get(usize::try_from(tag.0 & 0xFFF).ok()?)?;
        (!name.is_empty()).then_some(*name)
    }

    #[inline]
    fn tag(&self, name: &str) -> Option<Tag> {
        let mut slot = hash(name.as_bytes()) % SLOTS;
        loop {
            let (code, found) = INDEX.get(slot)?;
            if found.is_empty() {
                return alias(name);
            }
            if *found == name {
                return Some(Tag(*code));
            }
            slot = (slot + 1) % SLOTS;
        }
    }
}

#[cold]
fn alias(name: &str) -> Option<Tag> {
    ALIASES.iter().find(|row| row.1 == name).map(|row| Tag(row.0))
}

/// A tag as errors show it: by name, or by number where it has none.
pub(crate) struct Shown(pub(crate) Tag);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Names.name(self.0) {
            Some(name) => f.write_str(name),
            None => write!(f, "tag {:?}", self.0),
        }
    }
}

/// The name of `tag`, or its number where it has none.
pub fn shown(tag: Tag) -> String {
    Shown(tag).to_string()
}

static STANDARD: [&str; 0x180] = page(0x42_0000);
static OWN: [&str; 0x110] = page(0x54_0000);
static REQUESTS: [&str; 0x40] = page(BARE_REQUEST);
static RESPONSES: [&str; 0x40] = page(BARE_RESPONSE);

/// The names of the tags from `from` on, by their distance.
#[expect(clippy::indexing_slicing, reason = "run by the compiler")]
const fn page<const N: usize>(from: u32) -> [&'static str; N] {
    let (mut names, mut row) = ([""; N], 0);
    while row < TABLE.len() {
        let (code, name) = TABLE[row];
        if code & 0xFF_F000 == from {
            names[(code - from) as usize] = name;
        }
        row += 1;
    }
    names
}

/// At least twice as many as there are tags, so that probes are short.
const SLOTS: usize = 1024;

/// Every row of the table at the slot its hash names, or the next free one.
static INDEX: [(u32, &str); SLOTS] = index();

#[expect(clippy::indexing_slicing, clippy::large_stack_arrays, reason = "run by the compiler")]
const fn index() -> [(u32, &'static str); SLOTS] {
    assert!(TABLE.len() * 2 <= SLOTS, "SLOTS is too small for the table of tags");
    let (mut slots, mut row) = ([(0, ""); SLOTS], 0);
    while row < TABLE.len() {
        let mut slot = hash(TABLE[row].1.as_bytes()) % SLOTS;
        while !slots[slot].1.is_empty() {
            slot = (slot + 1) % SLOTS;
        }
        slots[slot] = TABLE[row];
        row += 1;
    }
    slots
}

/// Mixes both ends of a name and its length: names differ there, and it costs two loads.
const fn hash(name: &[u8]) -> usize {
    let (head, tail) = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => (short(name), 0),
    };
    let mixed = head.wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ tail.wrapping_mul(0xC2B2_AE3D_27D4_EB4F).rotate_left(23)
        ^ name.len() as u64;
    (mixed.wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 40) as usize
}

/// Fewer than eight bytes as a number.
const fn short(name: &[u8]) -> u64 {
    let (mut all, mut rest) = (0, name);
    while let [first, others @ ..] = rest {
        all = all << 8 | *first as u64;
        rest = others;
    }
    all
}
