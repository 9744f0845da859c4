//! Encrypt (2.1 specification, section 6.1.19).
//!
//! Must not know any algorithm.

use kmip_derive::Wire;

use crate::attribute::CryptographicParameters;
use crate::identifier::UniqueIdentifier;
use crate::wire::Bytes;

/// Asks for data to be encrypted.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct EncryptRequest {
    /// The key; the batch's placeholder where absent.
    pub unique_identifier: Option<UniqueIdentifier>,
    /// How; the key's own parameters where absent.
    pub cryptographic_parameters: Option<Box<CryptographicParameters>>,
    /// The plaintext.
    pub data: Option<Bytes>,
    /// The initialization vector, counter or nonce.
    #[kmip(tag = IVCounterNonce)]
    pub iv_counter_nonce: Option<Bytes>,
    /// The multi-part operation this continues.
    #[kmip(since = "1.3")]
    pub correlation_value: Option<Bytes>,
    /// Whether this is the first part.
    #[kmip(since = "1.3")]
    pub init_indicator: Option<bool>,
    /// Whether this is the last part.
    #[kmip(since = "1.3")]
    pub final_indicator: Option<bool>,
    /// Data to authenticate and not encrypt.
    #[kmip(since = "1.4")]
    pub authenticated_encryption_additional_data: Option<Bytes>,
}

/// The data, encrypted.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct EncryptResponse {
    /// The key used.
    pub unique_identifier: String,
    /// The ciphertext.
    pub data: Option<Bytes>,
    /// The initialization vector the server chose.
    #[kmip(tag = IVCounterNonce)]
    pub iv_counter_nonce: Option<Bytes>,
    /// The multi-part operation to continue.
    #[kmip(since = "1.3")]
    pub correlation_value: Option<Bytes>,
    /// The authentication tag.
    #[kmip(since = "1.4")]
    pub authenticated_encryption_tag: Option<Bytes>,
}
