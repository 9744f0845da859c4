//! Any bytes as a key or a certificate; what was read as a key is written in every form it has.
#![no_main]

use kms_crypto::format::{PrivateFormat, PrivateKey, PublicFormat, PublicKey};
use kms_crypto::format::{certificate::Certificate, pem};
use libfuzzer_sys::fuzz_target;

const PRIVATE: [PrivateFormat; 3] =
    [PrivateFormat::Pkcs1, PrivateFormat::Pkcs8, PrivateFormat::Sec1];
const PUBLIC: [PublicFormat; 2] = [PublicFormat::Pkcs1, PublicFormat::Spki];

fuzz_target!(|bytes: &[u8]| {
    for format in PRIVATE {
        if let Ok(key) = PrivateKey::parse(format, bytes) {
            public(&key.public());
            for other in PRIVATE {
                let Ok(written) = key.encode(other) else { continue };
                assert!(PrivateKey::parse(other, written.expose()).is_ok(), "{other:?}");
            }
        }
    }
    for format in PUBLIC {
        if let Ok(key) = PublicKey::parse(format, bytes) {
            public(&key);
        }
    }
    drop(Certificate::parse(bytes));
    if let Ok((kind, der)) = pem::decode(bytes) {
        assert!(pem::decode(pem::encode(kind, der.expose()).expose()).is_ok());
    }
});

fn public(key: &PublicKey) {
    for format in PUBLIC {
        let Ok(written) = key.encode(format) else { continue };
        assert!(PublicKey::parse(format, &written).ok().as_ref() == Some(key), "{format:?}");
    }
}
