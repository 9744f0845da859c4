//! TLS to a database: who is believed, and who we prove to be.
//!
//! Roots are what the operator named, or the public ones, never both. A certificate that was named
//! itself is believed as it is, byte for byte: `EdgelessDB` shows one that says it is an
//! authority's. Host and certificate are always both verified. It must not know a database.

use std::io;
use std::sync::Arc;

use kms_crypto::format::certificate::Certificate;
use kms_crypto::format::pkcs12;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError,
    RootCertStore, SignatureScheme,
};

use super::connect::Refusal;
use crate::{Identity, Roots};

/// How a connection is protected.
#[derive(Clone)]
pub(super) struct Trust {
    pub(super) config: Arc<ClientConfig>,
}

impl Trust {
    /// Reads the certificates. The error says which is wrong, and why.
    pub(super) fn new(roots: &Roots, identity: Option<&Identity>) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = Verifier::new(roots, &provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = read_identity(identity)?;
                check_identity(&chain)?;
                builder.with_client_auth_cert(chain, key).map_err(|error| {
                    format!("the client certificate and its key do not fit together: {error}")
                })?
            }
        };
        Ok(Self { config: Arc::new(config) })
    }
}

/// The certificate chain and the key of a PKCS#12 or PEM file.
fn read_identity(
    identity: &Identity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    if identity.bytes().starts_with(b"\x30") {
        return read_pkcs12(identity);
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(identity.bytes()).collect();
    let chain = chain.map_err(|error| format!("the PEM file cannot be read: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(identity.bytes()).map_err(|_none| {
        "the PEM file has no private key that is not encrypted; it holds the certificate, then its \
         key"
        .to_owned()
    })?;
    if chain.is_empty() {
        return Err("the PEM file has no certificate".to_owned());
    }
    Ok((chain, key))
}

fn read_pkcs12(
    identity: &Identity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let bundle = pkcs12::open(identity.bytes(), identity.password())
        .map_err(|error| format!("{error} (KMS_USER_CERT_PASSWORD)"))?;
    let chain = bundle.chain.into_iter().map(CertificateDer::from).collect();
    let key = PrivatePkcs8KeyDer::from(bundle.key.into_bytes());
    Ok((chain, PrivateKeyDer::Pkcs8(key)))
}

/// What would be refused later, and with less to go by.
fn check_identity(chain: &[CertificateDer<'_>]) -> Result<(), String> {
    let own = chain.first().map(|own| Certificate::parse(own));
    let Some(Ok(Certificate { version, not_before, not_after, .. })) = own else {
        return Err("the client certificate cannot be read".to_owned());
    };
    if version < 3 {
        return Err("the client certificate is X.509 version 1, which TLS refuses; make it again \
                    with extensions: openssl x509 -req … -extfile client.cnf, with \
                    basicConstraints=critical,CA:FALSE and extendedKeyUsage=clientAuth"
            .to_owned());
    }
    let now = seconds(UnixTime::now());
    if now > not_after {
        return Err("the client certificate has expired; renew it".to_owned());
    }
    if now < not_before {
        return Err("the client certificate is not valid yet; check the clock".to_owned());
    }
    Ok(())
}

/// Seconds since 1970, as certificates count them.
fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// Believes what a root signed, and what was named itself.
#[derive(Debug)]
struct Verifier {
    web: Option<Arc<WebPkiServerVerifier>>,
    named: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(roots: &Roots, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let mut store = RootCertStore::empty();
        let mut named = Vec::new();
        match roots {
            Roots::Public => {
                let loaded = rustls_native_certs::load_native_certs();
                store.add_parsable_certificates(loaded.certs);
                if store.is_empty() {
                    return Err("this machine has no certificates of public authorities; name \
                                the database's with KMS_DATABASE_CA_PATH"
                        .to_owned());
                }
            }
            Roots::Only(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem) {
                    let certificate = certificate
                        .map_err(|error| format!("the PEM file cannot be read: {error}"))?;
                    // One that cannot be a root can still be the very one that is shown.
                    if let Err(error) = store.add(certificate.clone()) {
                        tracing::debug!(%error, "a named certificate is no root");
                    }
                    named.push(certificate);
                }
                if named.is_empty() {
                    return Err("the PEM file has no certificate".to_owned());
                }
            }
        }
        let web = if store.is_empty() {
            None
        } else {
            let builder =
                WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider));
            Some(builder.build().map_err(|error| error.to_string())?)
        };
        Ok(Self { web, named, provider: Arc::clone(provider) })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.named.iter().any(|named| named == end_entity) {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            let parsed =
                Certificate::parse(end_entity).map_err(|_unread| CertificateError::BadEncoding)?;
            return match seconds(now) {
                now if now > parsed.not_after => Err(CertificateError::Expired.into()),
                now if now < parsed.not_before => Err(CertificateError::NotValidYet.into()),
                _ => Ok(ServerCertVerified::assertion()),
            };
        }
        let web = self.web.as_ref().ok_or(CertificateError::UnknownIssuer)?;
        web.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Why TLS did not come about, where it was TLS.
pub(super) fn refusal(error: &io::Error, name: &str) -> Option<Refusal> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    let (why, mend) = match error {
        Error::InvalidCertificate(error) => of_its_certificate(error, name),
        Error::AlertReceived(alert) => of_our_certificate(*alert),
        Error::PeerIncompatible(_) => (
            "it speaks no TLS that is safe enough".to_owned(),
            "allow TLS 1.2 or 1.3 in the database",
        ),
        other => (format!("TLS with it failed: {other}"), "check the port in the URL"),
    };
    Some(Refusal::new(false, why, mend))
}

fn of_its_certificate(error: &CertificateError, name: &str) -> (String, &'static str) {
    match error {
        // One of the same name, with another key, is another authority.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            "its certificate is from an authority that is not trusted here".to_owned(),
            "name the authority's certificate with KMS_DATABASE_CA_PATH",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            format!("its certificate is not for the name {name}"),
            "write the certificate's name into the URL, or give the database a certificate for \
             this one",
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ("its certificate has expired".to_owned(), "renew the database's certificate")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("its certificate is not valid yet".to_owned(), "check the clocks")
        }
        other if other.to_string().contains("CaUsedAsEndEntity") => (
            "it shows the certificate of an authority as its own".to_owned(),
            "if it is an EdgelessDB, name exactly this certificate with KMS_DATABASE_CA_PATH",
        ),
        CertificateError::Other(OtherError(other)) => (
            format!("its certificate is refused: {other}"),
            "give the database another certificate (X.509 version 3)",
        ),
        other => (
            format!("its certificate is refused: {other}"),
            "give the database another certificate",
        ),
    }
}

fn of_our_certificate(alert: AlertDescription) -> (String, &'static str) {
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            ("it wants a client certificate".to_owned(), "name one with KMS_USER_CERT_PATH")
        }
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::DecryptError => (
            format!("it refuses our client certificate ({alert:?})"),
            "the certificate must be signed by the authority that the database was given",
        ),
        AlertDescription::CertificateExpired | AlertDescription::CertificateRevoked => (
            format!("it refuses our client certificate ({alert:?})"),
            "renew the client certificate",
        ),
        other => (
            format!("it ended TLS ({other:?})"),
            "check the client certificate (KMS_USER_CERT_PATH) and the database's log",
        ),
    }
}
