// A table.
//! Enumerations and masks: every one of KMIP 1.0 to 2.1 (2.1 specification, section 11), and
//! the extensions of other servers that their clients use.
//!
//! Must not know where any of them occurs.
#![expect(
    non_upper_case_globals,
    reason = "the names are the standard's, and the text encodings use them"
)]

enumeration! {
    /// Adjustment Type.
    AdjustmentType {
        0x01 Increment,
        0x02 Decrement,
        0x03 Negate,
    }
}
enumeration! {
    /// Alternative Name Type.
    AlternativeNameType {
        0x01 UninterpretedTextString,
        0x02 URI,
        0x03 ObjectSerialNumber,
        0x04 EmailAddress,
        0x05 DNSName,
        0x06 X_500DistinguishedName,
        0x07 IPAddress,
    }
}
enumeration! {
    /// Asynchronous Indicator.
    AsynchronousIndicator {
        0x01 Mandatory,
        0x02 Optional,
        0x03 Prohibited,
    }
}
enumeration! {
    /// Attestation Type.
    AttestationType {
        0x01 TPMQuote,
        0x02 TCGIntegrityReport,
        0x03 SAMLAssertion,
    }
}
enumeration! {
    /// Batch Error Continuation Option.
    BatchErrorContinuationOption {
        0x01 Continue,
        0x02 Stop,
        0x03 Undo,
    }
}
enumeration! {
    /// Block Cipher Mode.
    BlockCipherMode {
        0x01 CBC,
        0x02 ECB,
        0x03 PCBC,
        0x04 CFB,
        0x05 OFB,
        0x06 CTR,
        0x07 CMAC,
        0x08 CCM,
        0x09 GCM,
        0x0A CBC_MAC,
        0x0B XTS,
        0x0C AESKeyWrapPadding,
        0x0D NISTKeyWrap,
        0x0E X9_102AESKW,
        0x0F X9_102TDKW,
        0x10 X9_102AKW1,
        0x11 X9_102AKW2,
        0x12 AEAD,
        0x8000_0002 GCMSIV / "AESGCMSIV",
    }
}
enumeration! {
    /// Cancellation Result.
    CancellationResult {
        0x01 Canceled,
        0x02 UnableToCancel,
        0x03 Completed,
        0x04 Failed,
        0x05 Unavailable,
    }
}
enumeration! {
    /// Certificate Request Type.
    CertificateRequestType {
        0x01 CRMF,
        0x02 PKCS_10,
        0x03 PEM,
        0x04 PGP,
    }
}
enumeration! {
    /// Certificate Type.
    CertificateType {
        0x01 X_509,
        0x02 PGP,
    }
}
enumeration! {
    /// Client Registration Method.
    ClientRegistrationMethod {
        0x01 Unspecified,
        0x02 ServerPreGenerated,
        0x03 ServerOnDemand,
        0x04 ClientGenerated,
        0x05 ClientRegistered,
    }
}
enumeration! {
    /// Credential Type.
    CredentialType {
        0x01 UsernameAndPassword,
        0x02 Device,
        0x03 Attestation,
        0x04 OneTimePassword,
        0x05 HashedPassword,
        0x06 Ticket,
    }
}
enumeration! {
    /// Cryptographic Algorithm.
    CryptographicAlgorithm {
        0x01 DES,
        0x02 DES3,
        0x03 AES,
        0x04 RSA,
        0x05 DSA,
        0x06 ECDSA,
        0x07 HMAC_SHA1,
        0x08 HMAC_SHA224,
        0x09 HMAC_SHA256,
        0x0A HMAC_SHA384,
        0x0B HMAC_SHA512,
        0x0C HMAC_MD5,
        0x0D DH,
        0x0E ECDH,
        0x0F ECMQV,
        0x10 Blowfish,
        0x11 Camellia,
        0x12 CAST5,
        0x13 IDEA,
        0x14 MARS,
        0x15 RC2,
        0x16 RC4,
        0x17 RC5,
        0x18 SKIPJACK,
        0x19 Twofish,
        0x1A EC,
        0x1B OneTimePad,
        0x1C ChaCha20,
        0x1D Poly1305,
        0x1E ChaCha20Poly1305,
        0x1F SHA3_224,
        0x20 SHA3_256,
        0x21 SHA3_384,
        0x22 SHA3_512,
        0x23 HMAC_SHA3_224,
        0x24 HMAC_SHA3_256,
        0x25 HMAC_SHA3_384,
        0x26 HMAC_SHA3_512,
        0x27 SHAKE_128,
        0x28 SHAKE_256,
        0x29 ARIA,
        0x2A SEED,
        0x2B SM2,
        0x2C SM3,
        0x2D SM4,
        0x2E GOSTR34_10_2012,
        0x2F GOSTR34_11_2012,
        0x30 GOSTR34_13_2015,
        0x31 GOST28147_89,
        0x32 XMSS,
        0x33 SPHINCS_256,
        0x34 McEliece,
        0x35 McEliece_6960119,
        0x36 McEliece_8192128,
        0x37 Ed25519,
        0x38 Ed448,
    }
}
enumeration! {
    /// DRBG Algorithm.
    DRBGAlgorithm {
        0x01 Unspecified,
        0x02 Dual_EC,
        0x03 Hash,
        0x04 HMAC,
        0x05 CTR,
    }
}
enumeration! {
    /// Data.
    DataCode {
        0x01 Decrypt,
        0x02 Encrypt,
        0x03 Hash,
        0x04 MACMACData,
        0x05 RNGRetrieve,
        0x06 SignSignatureData,
        0x07 SignatureVerify,
    }
}
enumeration! {
    /// Derivation Method.
    DerivationMethod {
        0x01 PBKDF2,
        0x02 HASH,
        0x03 HMAC,
        0x04 ENCRYPT,
        0x05 NIST800_108_C,
        0x06 NIST800_108_F,
        0x07 NIST800_108_DPI,
        0x08 AsymmetricKey,
        0x09 AWSSignatureVersion4,
        0x0A HKDF,
    }
}
enumeration! {
    /// Destroy Action.
    DestroyAction {
        0x01 Unspecified,
        0x02 KeyMaterialDeleted,
        0x03 KeyMaterialShredded,
        0x04 MetaDataDeleted,
        0x05 MetaDataShredded,
        0x06 Deleted,
        0x07 Shredded,
    }
}
enumeration! {
    /// Digital Signature Algorithm.
    DigitalSignatureAlgorithm {
        0x01 MD2WithRSAEncryption / "MD2WithRSAEncryptionPKCS_1V1_5",
        0x02 MD5WithRSAEncryption / "MD5WithRSAEncryptionPKCS_1V1_5",
        0x03 SHA_1WithRSAEncryption / "SHA_1WithRSAEncryptionPKCS_1V1_5",
        0x04 SHA_224WithRSAEncryption / "SHA_224WithRSAEncryptionPKCS_1V1_5",
        0x05 SHA_256WithRSAEncryption / "SHA_256WithRSAEncryptionPKCS_1V1_5",
        0x06 SHA_384WithRSAEncryption / "SHA_384WithRSAEncryptionPKCS_1V1_5",
        0x07 SHA_512WithRSAEncryption / "SHA_512WithRSAEncryptionPKCS_1V1_5",
        0x08 RSASSA_PSS / "RSASSA_PSSPKCS_1V2_1",
        0x09 DSAWithSHA_1,
        0x0A DSAWithSHA224,
        0x0B DSAWithSHA256,
        0x0C ECDSAWithSHA_1,
        0x0D ECDSAWithSHA224,
        0x0E ECDSAWithSHA256,
        0x0F ECDSAWithSHA384,
        0x10 ECDSAWithSHA512,
        0x11 SHA3_256WithRSAEncryption,
        0x12 SHA3_384WithRSAEncryption,
        0x13 SHA3_512WithRSAEncryption,
    }
}
enumeration! {
    /// Encoding Option.
    EncodingOption {
        0x01 NoEncoding,
        0x02 TTLVEncoding,
    }
}
enumeration! {
    /// Endpoint Role.
    EndpointRole {
        0x01 Client,
        0x02 Server,
    }
}
enumeration! {
    /// FIPS186 Variation.
    FIPS186Variation {
        0x01 Unspecified,
        0x02 GPXOriginal,
        0x03 GPXChangeNotice,
        0x04 XOriginal,
        0x05 XChangeNotice,
        0x06 KOriginal,
        0x07 KChangeNotice,
    }
}
enumeration! {
    /// Hashing Algorithm.
    HashingAlgorithm {
        0x01 MD2,
        0x02 MD4,
        0x03 MD5,
        0x04 SHA_1,
        0x05 SHA_224,
        0x06 SHA_256,
        0x07 SHA_384,
        0x08 SHA_512,
        0x09 RIPEMD_160,
        0x0A Tiger,
        0x0B Whirlpool,
        0x0C SHA_512_224,
        0x0D SHA_512_256,
        0x0E SHA3_224,
        0x0F SHA3_256,
        0x10 SHA3_384,
        0x11 SHA3_512,
    }
}
enumeration! {
    /// Interop Function.
    InteropFunction {
        0x01 Begin,
        0x02 End,
        0x03 Reset,
    }
}
enumeration! {
    /// Item Type.
    ItemType {
        0x01 Structure,
        0x02 Integer,
        0x03 LongInteger,
        0x04 BigInteger,
        0x05 Enumeration,
        0x06 Boolean,
        0x07 TextString,
        0x08 ByteString,
        0x09 DateTime,
        0x0A Interval,
        0x0B DateTimeExtended,
    }
}
enumeration! {
    /// Key Compression Type.
    KeyCompressionType {
        0x01 ECPublicKeyTypeUncompressed,
        0x02 ECPublicKeyTypeX9_62CompressedPrime,
        0x03 ECPublicKeyTypeX9_62CompressedChar2,
        0x04 ECPublicKeyTypeX9_62Hybrid,
    }
}
enumeration! {
    /// Key Format Type.
    KeyFormatType {
        0x01 Raw,
        0x02 Opaque,
        0x03 PKCS_1,
        0x04 PKCS_8,
        0x05 X_509,
        0x06 ECPrivateKey,
        0x07 TransparentSymmetricKey,
        0x08 TransparentDSAPrivateKey,
        0x09 TransparentDSAPublicKey,
        0x0A TransparentRSAPrivateKey,
        0x0B TransparentRSAPublicKey,
        0x0C TransparentDHPrivateKey,
        0x0D TransparentDHPublicKey,
        0x0E TransparentECDSAPrivateKey,
        0x0F TransparentECDSAPublicKey,
        0x10 TransparentECDHPrivateKey,
        0x11 TransparentECDHPublicKey,
        0x12 TransparentECMQVPrivateKey,
        0x13 TransparentECMQVPublicKey,
        0x14 TransparentECPrivateKey,
        0x15 TransparentECPublicKey,
        0x16 PKCS_12,
        0x17 PKCS_10,
        0x8000_0001 PKCS_7,
    }
}
enumeration! {
    /// Key Role Type.
    KeyRoleType {
        0x01 BDK,
        0x02 CVK,
        0x03 DEK,
        0x04 MKAC,
        0x05 MKSMC,
        0x06 MKSMI,
        0x07 MKDAC,
        0x08 MKDN,
        0x09 MKCP,
        0x0A MKOTH,
        0x0B KEK,
        0x0C MAC16609,
        0x0D MAC97971,
        0x0E MAC97972,
        0x0F MAC97973,
        0x10 MAC97974,
        0x11 MAC97975,
        0x12 ZPK,
        0x13 PVKIBM,
        0x14 PVKPVV,
        0x15 PVKOTH,
        0x16 DUKPT,
        0x17 IV,
        0x18 TRKBK,
    }
}
enumeration! {
    /// Key Value Location Type.
    KeyValueLocationType {
        0x01 UninterpretedTextString,
        0x02 URI,
    }
}
enumeration! {
    /// Key Wrap Type.
    KeyWrapType {
        0x01 NotWrapped,
        0x02 AsRegistered,
    }
}
enumeration! {
    /// Link Type.
    LinkType {
        0x101 CertificateLink,
        0x102 PublicKeyLink,
        0x103 PrivateKeyLink,
        0x104 DerivationBaseObjectLink,
        0x105 DerivedKeyLink,
        0x106 ReplacementObjectLink,
        0x107 ReplacedObjectLink,
        0x108 ParentLink,
        0x109 ChildLink,
        0x10A PreviousLink,
        0x10B NextLink,
        0x10C PKCS_12CertificateLink,
        0x10D PKCS_12PasswordLink,
        0x10E WrappingKeyLink,
    }
}
enumeration! {
    /// Mask Generator.
    MaskGenerator {
        0x01 MGF1 / "MFG1",
    }
}
enumeration! {
    /// NIST Key Type.
    NISTKeyType {
        0x01 PrivateSignatureKey,
        0x02 PublicSignatureVerificationKey,
        0x03 SymmetricAuthenticationKey,
        0x04 PrivateAuthenticationKey,
        0x05 PublicAuthenticationKey,
        0x06 SymmetricDataEncryptionKey,
        0x07 SymmetricKeyWrappingKey,
        0x08 SymmetricRandomNumberGenerationKey,
        0x09 SymmetricMasterKey,
        0x0A PrivateKeyTransportKey,
        0x0B PublicKeyTransportKey,
        0x0C SymmetricKeyAgreementKey,
        0x0D PrivateStaticKeyAgreementKey,
        0x0E PublicStaticKeyAgreementKey,
        0x0F PrivateEphemeralKeyAgreementKey,
        0x10 PublicEphemeralKeyAgreementKey,
        0x11 SymmetricAuthorizationKey,
        0x12 PrivateAuthorizationKey,
        0x13 PublicAuthorizationKey,
    }
}
enumeration! {
    /// Name Type.
    NameType {
        0x01 UninterpretedTextString,
        0x02 URI,
    }
}
enumeration! {
    /// Object Group Member.
    ObjectGroupMember {
        0x01 GroupMemberFresh,
        0x02 GroupMemberDefault,
    }
}
enumeration! {
    /// Object Type.
    ObjectType {
        0x01 Certificate,
        0x02 SymmetricKey,
        0x03 PublicKey,
        0x04 PrivateKey,
        0x05 SplitKey,
        0x06 Template,
        0x07 SecretData,
        0x08 OpaqueObject,
        0x09 PGPKey,
        0x0A CertificateRequest,
    }
}
enumeration! {
    /// Opaque Data Type: the specification names none.
    OpaqueDataType {
        0x8000_0001 Unknown,
        0x8000_0002 Vendor,
    }
}
enumeration! {
    /// Operation.
    Operation {
        0x01 Create,
        0x02 CreateKeyPair,
        0x03 Register,
        0x04 Rekey "ReKey",
        0x05 DeriveKey,
        0x06 Certify,
        0x07 Recertify "ReCertify",
        0x08 Locate,
        0x09 Check,
        0x0A Get,
        0x0B GetAttributes,
        0x0C GetAttributeList,
        0x0D AddAttribute,
        0x0E ModifyAttribute,
        0x0F DeleteAttribute,
        0x10 ObtainLease,
        0x11 GetUsageAllocation,
        0x12 Activate,
        0x13 Revoke,
        0x14 Destroy,
        0x15 Archive,
        0x16 Recover,
        0x17 Validate,
        0x18 Query,
        0x19 Cancel,
        0x1A Poll,
        0x1B Notify,
        0x1C Put,
        0x1D RekeyKeyPair "ReKeyKeyPair",
        0x1E DiscoverVersions,
        0x1F Encrypt,
        0x20 Decrypt,
        0x21 Sign,
        0x22 SignatureVerify,
        0x23 MAC,
        0x24 MACVerify,
        0x25 RNGRetrieve,
        0x26 RNGSeed,
        0x27 Hash,
        0x28 CreateSplitKey,
        0x29 JoinSplitKey,
        0x2A Import,
        0x2B Export,
        0x2C Log,
        0x2D Login,
        0x2E Logout,
        0x2F DelegatedLogin,
        0x30 AdjustAttribute,
        0x31 SetAttribute,
        0x32 SetEndpointRole,
        0x33 PKCS_11,
        0x34 Interop,
        0x35 ReProvision,
        0x36 SetDefaults,
        0x37 SetConstraints,
        0x38 GetConstraints,
        0x39 QueryAsynchronousRequests,
        0x3A Process,
        0x3B Ping,
    }
}
enumeration! {
    /// Padding Method.
    PaddingMethod {
        0x01 None,
        0x02 OAEP,
        0x03 PKCS5,
        0x04 SSL3,
        0x05 Zeros,
        0x06 ANSIX9_23,
        0x07 ISO10126,
        0x08 PKCS1V1_5,
        0x09 X9_31,
        0x0A PSS,
    }
}
enumeration! {
    /// Processing Stage.
    ProcessingStage {
        0x01 Submitted,
        0x02 InProcess,
        0x03 Completed,
    }
}
enumeration! {
    /// Profile Name.
    ProfileName {
        0x01 BaselineServerBasicKMIPV1_2,
        0x02 BaselineServerTLSV1_2KMIPV1_2,
        0x03 BaselineClientBasicKMIPV1_2,
        0x04 BaselineClientTLSV1_2KMIPV1_2,
        0x05 CompleteServerBasicKMIPV1_2,
        0x06 CompleteServerTLSV1_2KMIPV1_2,
        0x07 TapeLibraryClientKMIPV1_0,
        0x08 TapeLibraryClientKMIPV1_1,
        0x09 TapeLibraryClientKMIPV1_2,
        0x0A TapeLibraryServerKMIPV1_0,
        0x0B TapeLibraryServerKMIPV1_1,
        0x0C TapeLibraryServerKMIPV1_2,
        0x0D SymmetricKeyLifecycleClientKMIPV1_0,
        0x0E SymmetricKeyLifecycleClientKMIPV1_1,
        0x0F SymmetricKeyLifecycleClientKMIPV1_2,
        0x10 SymmetricKeyLifecycleServerKMIPV1_0,
        0x11 SymmetricKeyLifecycleServerKMIPV1_1,
        0x12 SymmetricKeyLifecycleServerKMIPV1_2,
        0x13 AsymmetricKeyLifecycleClientKMIPV1_0,
        0x14 AsymmetricKeyLifecycleClientKMIPV1_1,
        0x15 AsymmetricKeyLifecycleClientKMIPV1_2,
        0x16 AsymmetricKeyLifecycleServerKMIPV1_0,
        0x17 AsymmetricKeyLifecycleServerKMIPV1_1,
        0x18 AsymmetricKeyLifecycleServerKMIPV1_2,
        0x19 BasicCryptographicClientKMIPV1_2,
        0x1A BasicCryptographicServerKMIPV1_2,
        0x1B AdvancedCryptographicClientKMIPV1_2,
        0x1C AdvancedCryptographicServerKMIPV1_2,
        0x1D RNGCryptographicClientKMIPV1_2,
        0x1E RNGCryptographicServerKMIPV1_2,
        0x1F BasicSymmetricKeyFoundryClientKMIPV1_0,
        0x20 IntermediateSymmetricKeyFoundryClientKMIPV1_0,
        0x21 AdvancedSymmetricKeyFoundryClientKMIPV1_0,
        0x22 BasicSymmetricKeyFoundryClientKMIPV1_1,
        0x23 IntermediateSymmetricKeyFoundryClientKMIPV1_1,
        0x24 AdvancedSymmetricKeyFoundryClientKMIPV1_1,
        0x25 BasicSymmetricKeyFoundryClientKMIPV1_2,
        0x26 IntermediateSymmetricKeyFoundryClientKMIPV1_2,
        0x27 AdvancedSymmetricKeyFoundryClientKMIPV1_2,
        0x28 SymmetricKeyFoundryServerKMIPV1_0,
        0x29 SymmetricKeyFoundryServerKMIPV1_1,
        0x2A SymmetricKeyFoundryServerKMIPV1_2,
        0x2B OpaqueManagedObjectStoreClientKMIPV1_0,
        0x2C OpaqueManagedObjectStoreClientKMIPV1_1,
        0x2D OpaqueManagedObjectStoreClientKMIPV1_2,
        0x2E OpaqueManagedObjectStoreServerKMIPV1_0,
        0x2F OpaqueManagedObjectStoreServerKMIPV1_1,
        0x30 OpaqueManagedObjectStoreServerKMIPV1_2,
        0x31 SuiteBMinLOS_128ClientKMIPV1_0,
        0x32 SuiteBMinLOS_128ClientKMIPV1_1,
        0x33 SuiteBMinLOS_128ClientKMIPV1_2,
        0x34 SuiteBMinLOS_128ServerKMIPV1_0,
        0x35 SuiteBMinLOS_128ServerKMIPV1_1,
        0x36 SuiteBMinLOS_128ServerKMIPV1_2,
        0x37 SuiteBMinLOS_192ClientKMIPV1_0,
        0x38 SuiteBMinLOS_192ClientKMIPV1_1,
        0x39 SuiteBMinLOS_192ClientKMIPV1_2,
        0x3A SuiteBMinLOS_192ServerKMIPV1_0,
        0x3B SuiteBMinLOS_192ServerKMIPV1_1,
        0x3C SuiteBMinLOS_192ServerKMIPV1_2,
        0x3D StorageArrayWithSelfEncryptingDriveClientKMIPV1_0,
        0x3E StorageArrayWithSelfEncryptingDriveClientKMIPV1_1,
        0x3F StorageArrayWithSelfEncryptingDriveClientKMIPV1_2,
        0x40 StorageArrayWithSelfEncryptingDriveServerKMIPV1_0,
        0x41 StorageArrayWithSelfEncryptingDriveServerKMIPV1_1,
        0x42 StorageArrayWithSelfEncryptingDriveServerKMIPV1_2,
        0x43 HTTPSClientKMIPV1_0,
        0x44 HTTPSClientKMIPV1_1,
        0x45 HTTPSClientKMIPV1_2,
        0x46 HTTPSServerKMIPV1_0,
        0x47 HTTPSServerKMIPV1_1,
        0x48 HTTPSServerKMIPV1_2,
        0x49 JSONClientKMIPV1_0,
        0x4A JSONClientKMIPV1_1,
        0x4B JSONClientKMIPV1_2,
        0x4C JSONServerKMIPV1_0,
        0x4D JSONServerKMIPV1_1,
        0x4E JSONServerKMIPV1_2,
        0x4F XMLClientKMIPV1_0,
        0x50 XMLClientKMIPV1_1,
        0x51 XMLClientKMIPV1_2,
        0x52 XMLServerKMIPV1_0,
        0x53 XMLServerKMIPV1_1,
        0x54 XMLServerKMIPV1_2,
        0x55 BaselineServerBasicKMIPV1_3,
        0x56 BaselineServerTLSV1_2KMIPV1_3,
        0x57 BaselineClientBasicKMIPV1_3,
        0x58 BaselineClientTLSV1_2KMIPV1_3,
        0x59 CompleteServerBasicKMIPV1_3,
        0x5A CompleteServerTLSV1_2KMIPV1_3,
        0x5B TapeLibraryClientKMIPV1_3,
        0x5C TapeLibraryServerKMIPV1_3,
        0x5D SymmetricKeyLifecycleClientKMIPV1_3,
        0x5E SymmetricKeyLifecycleServerKMIPV1_3,
        0x5F AsymmetricKeyLifecycleClientKMIPV1_3,
        0x60 AsymmetricKeyLifecycleServerKMIPV1_3,
        0x61 BasicCryptographicClientKMIPV1_3,
        0x62 BasicCryptographicServerKMIPV1_3,
        0x63 AdvancedCryptographicClientKMIPV1_3,
        0x64 AdvancedCryptographicServerKMIPV1_3,
        0x65 RNGCryptographicClientKMIPV1_3,
        0x66 RNGCryptographicServerKMIPV1_3,
        0x67 BasicSymmetricKeyFoundryClientKMIPV1_3,
        0x68 IntermediateSymmetricKeyFoundryClientKMIPV1_3,
        0x69 AdvancedSymmetricKeyFoundryClientKMIPV1_3,
        0x6A SymmetricKeyFoundryServerKMIPV1_3,
        0x6B OpaqueManagedObjectStoreClientKMIPV1_3,
        0x6C OpaqueManagedObjectStoreServerKMIPV1_3,
        0x6D SuiteBMinLOS_128ClientKMIPV1_3,
        0x6E SuiteBMinLOS_128ServerKMIPV1_3,
        0x6F SuiteBMinLOS_192ClientKMIPV1_3,
        0x70 SuiteBMinLOS_192ServerKMIPV1_3,
        0x71 StorageArrayWithSelfEncryptingDriveClientKMIPV1_3,
        0x72 StorageArrayWithSelfEncryptingDriveServerKMIPV1_3,
        0x73 HTTPSClientKMIPV1_3,
        0x74 HTTPSServerKMIPV1_3,
        0x75 JSONClientKMIPV1_3,
        0x76 JSONServerKMIPV1_3,
        0x77 XMLClientKMIPV1_3,
        0x78 XMLServerKMIPV1_3,
        0x79 BaselineServerBasicKMIPV1_4,
        0x7A BaselineServerTLSV1_2KMIPV1_4,
        0x7B BaselineClientBasicKMIPV1_4,
        0x7C BaselineClientTLSV1_2KMIPV1_4,
        0x7D CompleteServerBasicKMIPV1_4,
        0x7E CompleteServerTLSV1_2KMIPV1_4,
        0x7F TapeLibraryClientKMIPV1_4,
        0x80 TapeLibraryServerKMIPV1_4,
        0x81 SymmetricKeyLifecycleClientKMIPV1_4,
        0x82 SymmetricKeyLifecycleServerKMIPV1_4,
        0x83 AsymmetricKeyLifecycleClientKMIPV1_4,
        0x84 AsymmetricKeyLifecycleServerKMIPV1_4,
        0x85 BasicCryptographicClientKMIPV1_4,
        0x86 BasicCryptographicServerKMIPV1_4,
        0x87 AdvancedCryptographicClientKMIPV1_4,
        0x88 AdvancedCryptographicServerKMIPV1_4,
        0x89 RNGCryptographicClientKMIPV1_4,
        0x8A RNGCryptographicServerKMIPV1_4,
        0x8B BasicSymmetricKeyFoundryClientKMIPV1_4,
        0x8C IntermediateSymmetricKeyFoundryClientKMIPV1_4,
        0x8D AdvancedSymmetricKeyFoundryClientKMIPV1_4,
        0x8E SymmetricKeyFoundryServerKMIPV1_4,
        0x8F OpaqueManagedObjectStoreClientKMIPV1_4,
        0x90 OpaqueManagedObjectStoreServerKMIPV1_4,
        0x91 SuiteBMinLOS_128ClientKMIPV1_4,
        0x92 SuiteBMinLOS_128ServerKMIPV1_4,
        0x93 SuiteBMinLOS_192ClientKMIPV1_4,
        0x94 SuiteBMinLOS_192ServerKMIPV1_4,
        0x95 StorageArrayWithSelfEncryptingDriveClientKMIPV1_4,
        0x96 StorageArrayWithSelfEncryptingDriveServerKMIPV1_4,
        0x97 HTTPSClientKMIPV1_4,
        0x98 HTTPSServerKMIPV1_4,
        0x99 JSONClientKMIPV1_4,
        0x9A JSONServerKMIPV1_4,
        0x9B XMLClientKMIPV1_4,
        0x9C XMLServerKMIPV1_4,
        0x104 CompleteServerBasic,
        0x105 CompleteServerTLSV1_2,
        0x106 TapeLibraryClient,
        0x107 TapeLibraryServer,
        0x108 SymmetricKeyLifecycleClient,
        0x109 SymmetricKeyLifecycleServer,
        0x10A AsymmetricKeyLifecycleClient,
        0x10B AsymmetricKeyLifecycleServer,
        0x10C BasicCryptographicClient,
        0x10D BasicCryptographicServer,
        0x10E AdvancedCryptographicClient,
        0x10F AdvancedCryptographicServer,
        0x110 RNGCryptographicClient,
        0x111 RNGCryptographicServer,
        0x112 BasicSymmetricKeyFoundryClient,
        0x113 IntermediateSymmetricKeyFoundryClient,
        0x114 AdvancedSymmetricKeyFoundryClient,
        0x115 SymmetricKeyFoundryServer,
        0x116 OpaqueManagedObjectStoreClient,
        0x117 OpaqueManagedObjectStoreServer,
        0x11C StorageArrayWithSelfEncryptingDriveClient,
        0x11D StorageArrayWithSelfEncryptingDriveServer,
        0x11E HTTPSClient,
        0x11F HTTPSServer,
        0x120 JSONClient,
        0x121 JSONServer,
        0x122 XMLClient,
        0x123 XMLServer,
        0x124 AESXTSClient,
        0x125 AESXTSServer,
        0x126 QuantumSafeClient,
        0x127 QuantumSafeServer,
        0x128 PKCS_11Client,
        0x129 PKCS_11Server,
        0x12A BaselineClient,
        0x12B BaselineServer,
        0x12C CompleteServer,
    }
}
enumeration! {
    /// Protection Level.
    ProtectionLevel {
        0x01 High,
        0x02 Low,
    }
}
enumeration! {
    /// Put Function.
    PutFunction {
        0x01 New,
        0x02 Replace,
    }
}
enumeration! {
    /// Query Function.
    QueryFunction {
        0x01 QueryOperations,
        0x02 QueryObjects,
        0x03 QueryServerInformation,
        0x04 QueryApplicationNamespaces,
        0x05 QueryExtensionList,
        0x06 QueryExtensionMap,
        0x07 QueryAttestationTypes,
        0x08 QueryRNGs,
        0x09 QueryValidations,
        0x0A QueryProfiles,
        0x0B QueryCapabilities,
        0x0C QueryClientRegistrationMethods,
        0x0D QueryDefaultsInformation,
        0x0E QueryStorageProtectionMasks,
    }
}
enumeration! {
    /// RNG Algorithm.
    RNGAlgorithm {
        0x01 Unspecified,
        0x02 FIPS186_2,
        0x03 DRBG,
        0x04 NRBG,
        0x05 ANSIX9_31,
        0x06 ANSIX9_62,
    }
}
enumeration! {
    /// RNG Mode.
    RNGMode {
        0x01 Unspecified,
        0x02 SharedInstantiation,
        0x03 NonSharedInstantiation,
    }
}
enumeration! {
    /// Recommended Curve.
    RecommendedCurve {
        0x01 P_192,
        0x02 K_163,
        0x03 B_163,
        0x04 P_224,
        0x05 K_233,
        0x06 B_233,
        0x07 P_256,
        0x08 K_283,
        0x09 B_283,
        0x0A P_384,
        0x0B K_409,
        0x0C B_409,
        0x0D P_521,
        0x0E K_571,
        0x0F B_571,
        0x10 SECP112R1,
        0x11 SECP112R2,
        0x12 SECP128R1,
        0x13 SECP128R2,
        0x14 SECP160K1,
        0x15 SECP160R1,
        0x16 SECP160R2,
        0x17 SECP192K1,
        0x18 SECP224K1,
        0x19 SECP256K1,
        0x1A SECT113R1,
        0x1B SECT113R2,
        0x1C SECT131R1,
        0x1D SECT131R2,
        0x1E SECT163R1,
        0x1F SECT193R1,
        0x20 SECT193R2,
        0x21 SECT239K1,
        0x22 ANSIX9P192V2,
        0x23 ANSIX9P192V3,
        0x24 ANSIX9P239V1,
        0x25 ANSIX9P239V2,
        0x26 ANSIX9P239V3,
        0x27 ANSIX9C2PNB163V1,
        0x28 ANSIX9C2PNB163V2,
        0x29 ANSIX9C2PNB163V3,
        0x2A ANSIX9C2PNB176V1,
        0x2B ANSIX9C2TNB191V1,
        0x2C ANSIX9C2TNB191V2,
        0x2D ANSIX9C2TNB191V3,
        0x2E ANSIX9C2PNB208W1,
        0x2F ANSIX9C2TNB239V1,
        0x30 ANSIX9C2TNB239V2,
        0x31 ANSIX9C2TNB239V3,
        0x32 ANSIX9C2PNB272W1,
        0x33 ANSIX9C2PNB304W1,
        0x34 ANSIX9C2TNB359V1,
        0x35 ANSIX9C2PNB368W1,
        0x36 ANSIX9C2TNB431R1,
        0x37 BRAINPOOLP160R1,
        0x38 BRAINPOOLP160T1,
        0x39 BRAINPOOLP192R1,
        0x3A BRAINPOOLP192T1,
        0x3B BRAINPOOLP224R1,
        0x3C BRAINPOOLP224T1,
        0x3D BRAINPOOLP256R1,
        0x3E BRAINPOOLP256T1,
        0x3F BRAINPOOLP320R1,
        0x40 BRAINPOOLP320T1,
        0x41 BRAINPOOLP384R1,
        0x42 BRAINPOOLP384T1,
        0x43 BRAINPOOLP512R1,
        0x44 BRAINPOOLP512T1,
        0x45 CURVE25519,
        0x46 CURVE448,
        0x8000_0001 CURVEED25519,
        0x8000_0002 CURVEED448,
    }
}
enumeration! {
    /// Result Reason.
    ResultReason {
        0x01 ItemNotFound,
        0x02 ResponseTooLarge,
        0x03 AuthenticationNotSuccessful,
        0x04 InvalidMessage,
        0x05 OperationNotSupported,
        0x06 MissingData,
        0x07 InvalidField,
        0x08 FeatureNotSupported,
        0x09 OperationCanceledByRequester,
        0x0A CryptographicFailure,
        0x0B IllegalOperation,
        0x0C PermissionDenied,
        0x0D ObjectArchived,
        0x0E IndexOutOfBounds,
        0x0F ApplicationNamespaceNotSupported,
        0x10 KeyFormatTypeNotSupported,
        0x11 KeyCompressionTypeNotSupported,
        0x12 EncodingOptionError,
        0x13 KeyValueNotPresent,
        0x14 AttestationRequired,
        0x15 AttestationFailed,
        0x16 Sensitive,
        0x17 NotExtractable,
        0x18 ObjectAlreadyExists,
        0x19 InvalidTicket,
        0x1A UsageLimitExceeded,
        0x1B NumericRange,
        0x1C InvalidDataType,
        0x1D ReadOnlyAttribute,
        0x1E MultiValuedAttribute,
        0x1F UnsupportedAttribute,
        0x20 AttributeInstanceNotFound,
        0x21 AttributeNotFound,
        0x22 AttributeReadOnly,
        0x23 AttributeSingleValued,
        0x24 BadCryptographicParameters,
        0x25 BadPassword,
        0x26 CodecError,
        0x28 IllegalObjectType,
        0x29 IncompatibleCryptographicUsageMask,
        0x2A InternalServerError,
        0x2B InvalidAsynchronousCorrelationValue,
        0x2C InvalidAttribute,
        0x2D InvalidAttributeValue,
        0x2E InvalidCorrelationValue,
        0x2F InvalidCSR,
        0x30 InvalidObjectType,
        0x32 KeyWrapTypeNotSupported,
        0x34 MissingInitializationVector,
        0x35 NonUniqueNameAttribute,
        0x36 ObjectDestroyed,
        0x37 ObjectNotFound,
        0x39 NotAuthorised,
        0x3A ServerLimitExceeded,
        0x3B UnknownEnumeration,
        0x3C UnknownMessageExtension,
        0x3D UnknownTag,
        0x3E UnsupportedCryptographicParameters,
        0x3F UnsupportedProtocolVersion,
        0x40 WrappingObjectArchived,
        0x41 WrappingObjectDestroyed,
        0x42 WrappingObjectNotFound,
        0x43 WrongKeyLifecycleState,
        0x44 ProtectionStorageUnavailable,
        0x45 PKCS_11CodecError,
        0x46 PKCS_11InvalidFunction,
        0x47 PKCS_11InvalidInterface,
        0x48 PrivateProtectionStorageUnavailable,
        0x49 PublicProtectionStorageUnavailable,
        0x4A UnknownObjectGroup,
        0x4B ConstraintViolation,
        0x4C DuplicateProcessRequest,
        0x100 GeneralFailure,
    }
}
enumeration! {
    /// Result Status.
    ResultStatus {
        0x00 Success,
        0x01 OperationFailed,
        0x02 OperationPending,
        0x03 OperationUndone,
    }
}
enumeration! {
    /// Revocation Reason Code.
    RevocationReasonCode {
        0x01 Unspecified,
        0x02 KeyCompromise,
        0x03 CACompromise,
        0x04 AffiliationChanged,
        0x05 Superseded,
        0x06 CessationOfOperation,
        0x07 PrivilegeWithdrawn,
    }
}
enumeration! {
    /// Rotate Name Type.
    RotateNameType {
        0x01 UninterpretedTextString,
        0x02 URI,
    }
}
enumeration! {
    /// Secret Data Type.
    SecretDataType {
        0x01 Password,
        0x02 Seed,
    }
}
enumeration! {
    /// Shredding Algorithm.
    ShreddingAlgorithm {
        0x01 Unspecified,
        0x02 Cryptographic,
        0x03 Unsupported,
    }
}
enumeration! {
    /// Split Key Method.
    SplitKeyMethod {
        0x01 XOR,
        0x02 PolynomialSharingGF216,
        0x03 PolynomialSharingPrimeField,
        0x04 PolynomialSharingGF28,
    }
}
enumeration! {
    /// State.
    State {
        0x01 PreActive,
        0x02 Active,
        0x03 Deactivated,
        0x04 Compromised,
        0x05 Destroyed,
        0x06 DestroyedCompromised,
    }
}
enumeration! {
    /// Ticket Type.
    TicketType {
        0x01 Login,
    }
}
enumeration! {
    /// Unique Identifier.
    UniqueIdentifierCode {
        0x01 IDPlaceholder,
        0x02 Certify,
        0x03 Create,
        0x04 CreateKeyPair,
        0x05 CreateKeyPairPrivateKey,
        0x06 CreateKeyPairPublicKey,
        0x07 CreateSplitKey,
        0x08 DeriveKey,
        0x09 Import,
        0x0A JoinSplitKey,
        0x0B Locate,
        0x0C Register,
        0x0D ReKey,
        0x0E ReCertify,
        0x0F ReKeyKeyPair,
        0x10 ReKeyKeyPairPrivateKey,
        0x11 ReKeyKeyPairPublicKey,
    }
}
enumeration! {
    /// Unwrap Mode.
    UnwrapMode {
        0x01 Unspecified,
        0x02 Processed,
        0x03 NotProcessed,
    }
}
enumeration! {
    /// Usage Limits Unit.
    UsageLimitsUnit {
        0x01 Byte,
        0x02 Object,
    }
}
enumeration! {
    /// Validation Authority Type.
    ValidationAuthorityType {
        0x01 Unspecified,
        0x02 NISTCMVP,
        0x03 CommonCriteria,
    }
}
enumeration! {
    /// Validation Type.
    ValidationType {
        0x01 Unspecified,
        0x02 Hardware,
        0x03 Software,
        0x04 Firmware,
        0x05 Hybrid,
    }
}
enumeration! {
    /// Validity Indicator.
    ValidityIndicator {
        0x01 Valid,
        0x02 Invalid,
        0x03 Unknown,
    }
}
enumeration! {
    /// Wrapping Method.
    WrappingMethod {
        0x01 Encrypt,
        0x02 MACSign,
        0x03 EncryptThenMACSign,
        0x04 MACSignThenEncrypt,
        0x05 TR_31,
    }
}
mask! {
    /// Cryptographic Usage Mask.
    CryptographicUsageMask {
        0x01 Sign,
        0x02 Verify,
        0x04 Encrypt,
        0x08 Decrypt,
        0x10 WrapKey,
        0x20 UnwrapKey,
        0x40 Export,
        0x80 MACGenerate,
        0x100 MACVerify,
        0x200 DeriveKey,
        0x400 ContentCommitmentNonRepudiation,
        0x800 KeyAgreement,
        0x1000 CertificateSign,
        0x2000 CRLSign,
        0x4000 GenerateCryptogram,
        0x8000 ValidateCryptogram,
        0x10000 TranslateEncrypt,
        0x20000 TranslateDecrypt,
        0x40000 TranslateWrap,
        0x80000 TranslateUnwrap,
        0x0010_0000 Authenticate,
        0x0020_0000 Unrestricted,
        0x0040_0000 FPEEncrypt,
        0x0080_0000 FPEDecrypt,
    }
}
mask! {
    /// Protection Storage Mask.
    ProtectionStorageMask {
        0x01 Software,
        0x02 Hardware,
        0x04 OnProcessor,
        0x08 OnSystem,
        0x10 OffSystem,
        0x20 Hypervisor,
        0x40 OperatingSystem,
        0x80 Container,
        0x100 OnPremises,
        0x200 OffPremises,
        0x400 SelfManaged,
        0x800 Outsourced,
        0x1000 Validated,
        0x2000 SameJurisdiction,
    }
}
mask! {
    /// Storage Status Mask.
    StorageStatusMask {
        0x01 OnLineStorage,
        0x02 ArchivalStorage,
        0x04 DestroyedStorage,
    }
}

/// The names of the enumeration or mask that a field of this tag has, for values whose type only
/// a vendor knows.
pub(crate) fn of_tag(tag: ttlv::Tag) -> Option<&'static crate::wire::Table> {
    Some(match tag {
        crate::tag::AdjustmentType => AdjustmentType::TABLE,
        crate::tag::AlternativeNameType => AlternativeNameType::TABLE,
        crate::tag::AsynchronousIndicator => AsynchronousIndicator::TABLE,
        crate::tag::AttestationType => AttestationType::TABLE,
        crate::tag::BatchErrorContinuationOption => BatchErrorContinuationOption::TABLE,
        crate::tag::BlockCipherMode => BlockCipherMode::TABLE,
        crate::tag::CancellationResult => CancellationResult::TABLE,
        crate::tag::CertificateRequestType => CertificateRequestType::TABLE,
        crate::tag::CertificateType => CertificateType::TABLE,
        crate::tag::ClientRegistrationMethod => ClientRegistrationMethod::TABLE,
        crate::tag::CredentialType => CredentialType::TABLE,
        crate::tag::CryptographicAlgorithm => CryptographicAlgorithm::TABLE,
        crate::tag::DRBGAlgorithm => DRBGAlgorithm::TABLE,
        crate::tag::DerivationMethod => DerivationMethod::TABLE,
        crate::tag::DestroyAction => DestroyAction::TABLE,
        crate::tag::DigitalSignatureAlgorithm => DigitalSignatureAlgorithm::TABLE,
        crate::tag::EncodingOption => EncodingOption::TABLE,
        crate::tag::EndpointRole => EndpointRole::TABLE,
        crate::tag::FIPS186Variation => FIPS186Variation::TABLE,
        crate::tag::HashingAlgorithm => HashingAlgorithm::TABLE,
        crate::tag::InteropFunction => InteropFunction::TABLE,
        crate::tag::KeyCompressionType => KeyCompressionType::TABLE,
        crate::tag::KeyFormatType => KeyFormatType::TABLE,
        crate::tag::KeyRoleType => KeyRoleType::TABLE,
        crate::tag::KeyValueLocationType => KeyValueLocationType::TABLE,
        crate::tag::KeyWrapType => KeyWrapType::TABLE,
        crate::tag::LinkType => LinkType::TABLE,
        crate::tag::MaskGenerator => MaskGenerator::TABLE,
        crate::tag::NISTKeyType => NISTKeyType::TABLE,
        crate::tag::NameType => NameType::TABLE,
        crate::tag::ObjectGroupMember => ObjectGroupMember::TABLE,
        crate::tag::ObjectType => ObjectType::TABLE,
        crate::tag::OpaqueDataType => OpaqueDataType::TABLE,
        crate::tag::Operation => Operation::TABLE,
        crate::tag::PaddingMethod => PaddingMethod::TABLE,
        crate::tag::ProcessingStage => ProcessingStage::TABLE,
        crate::tag::ProfileName => ProfileName::TABLE,
        crate::tag::ProtectionLevel => ProtectionLevel::TABLE,
        crate::tag::PutFunction => PutFunction::TABLE,
        crate::tag::QueryFunction => QueryFunction::TABLE,
        crate::tag::RNGAlgorithm => RNGAlgorithm::TABLE,
        crate::tag::RNGMode => RNGMode::TABLE,
        crate::tag::RecommendedCurve => RecommendedCurve::TABLE,
        crate::tag::ResultReason => ResultReason::TABLE,
        crate::tag::ResultStatus => ResultStatus::TABLE,
        crate::tag::RevocationReasonCode => RevocationReasonCode::TABLE,
        crate::tag::RotateNameType => RotateNameType::TABLE,
        crate::tag::SecretDataType => SecretDataType::TABLE,
        crate::tag::ShreddingAlgorithm => ShreddingAlgorithm::TABLE,
        crate::tag::SplitKeyMethod => SplitKeyMethod::TABLE,
        crate::tag::State => State::TABLE,
        crate::tag::TicketType => TicketType::TABLE,
        crate::tag::UnwrapMode => UnwrapMode::TABLE,
        crate::tag::UsageLimitsUnit => UsageLimitsUnit::TABLE,
        crate::tag::ValidationAuthorityType => ValidationAuthorityType::TABLE,
        crate::tag::ValidationType => ValidationType::TABLE,
        crate::tag::ValidityIndicator => ValidityIndicator::TABLE,
        crate::tag::WrappingMethod => WrappingMethod::TABLE,
        crate::tag::CryptographicUsageMask => CryptographicUsageMask::TABLE,
        crate::tag::ProtectionStorageMask => ProtectionStorageMask::TABLE,
        crate::tag::StorageStatusMask => StorageStatusMask::TABLE,
        _ => return None,
    })
}
