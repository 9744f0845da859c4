//! `MySQL`'s first packets: from its greeting until it has let the driver in, or not.
//!
//! An account with `caching_sha2_password` has to show its password once after the database has
//! started. The driver does that under TLS of its own alone, which it never has here: whoever passes
//! its packets on does it for it. This knows no address and no certificate.

use std::io;

use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

/// The longest packet before anybody is known.
const PACKET_MAX: usize = 1 << 16;
/// The flag of a side that can TLS, in the low half of the capabilities.
pub(super) const CLIENT_SSL: u8 = 0x08;
/// What a password is mixed with on its way.
const NONCE_LENGTH: usize = 20;
/// The database wants to see the password itself.
const SHOW_IT: &[u8] = &[0x01, 0x04];
/// The password was known already; the database goes on by itself.
const KNOWN: &[u8] = &[0x01, 0x03];
/// What asks for the database's public key.
const PUBLIC_KEY: &[u8] = &[0x02];

/// A packet: its header and what it carries.
pub(super) struct Packet {
    pub(super) number: u8,
    pub(super) payload: Zeroizing<Vec<u8>>,
}

impl Packet {
    /// The one that answers this one.
    fn answer(&self, payload: Zeroizing<Vec<u8>>) -> Self {
        Self { number: self.number.wrapping_add(1), payload }
    }

    pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut header = [0; 4];
        from.read_exact(&mut header).await?;
        let [a, b, c, number] = header;
        let length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
        if length > PACKET_MAX {
            return Err(nonsense("not a MySQL server"));
        }
        let mut payload = Zeroizing::new(vec![0; length]);
        from.read_exact(&mut payload).await?;
        Ok(Self { number, payload })
    }

    pub(super) async fn write(&self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let [a, b, c, ..] = self.payload.len().to_le_bytes();
        let mut bytes = Zeroizing::new(Vec::with_capacity(4 + self.payload.len()));
        bytes.extend_from_slice(&[a, b, c, self.number]);
        bytes.extend_from_slice(&self.payload);
        to.write_all(&bytes).await?;
        to.flush().await
    }
}

fn nonsense(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// What follows the version and its text in a greeting: the number of the session, eight bytes of
/// the nonce and a zero, the capabilities' low half, five bytes more, their high half, the length of
/// the nonce, ten zeros, the rest of the nonce.
fn after_version(greeting: &[u8]) -> Option<&[u8]> {
    let end = greeting.iter().skip(1).position(|byte| *byte == 0)?;
    greeting.get(1 + end + 1..)
}

/// Whether a greeting offers TLS.
pub(super) fn offers_tls(greeting: &[u8]) -> bool {
    let flags = after_version(greeting).and_then(|rest| rest.get(4 + 8 + 1 + 1));
    flags.is_some_and(|flags| flags & CLIENT_SSL != 0)
}

/// The nonce of a greeting.
fn nonce_of(greeting: &[u8]) -> Option<Vec<u8>> {
    let rest = after_version(greeting)?;
    let first = rest.get(4..12)?;
    let second = rest.get(31..31 + NONCE_LENGTH - 8)?;
    Some([first, second].concat())
}

/// The nonce of a request to authenticate by another method: a mark, a name, the nonce.
fn nonce_of_switch(request: &[u8]) -> Option<Vec<u8>> {
    let end = request.iter().position(|byte| *byte == 0)?;
    Some(request.get(end + 1..end + 1 + NONCE_LENGTH)?.to_vec())
}

/// What is between us and the database, besides the two of us.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    /// Nobody: TLS, or a socket of this machine. A password is shown as it is.
    Private,
    /// Perhaps others: a password is encrypted to the database.
    Open,
}

/// Passes packets on until the database has let the driver in, or not.
pub(super) async fn authenticate(
    driver: &mut (impl AsyncRead + AsyncWrite + Unpin),
    database: &mut (impl AsyncRead + AsyncWrite + Unpin),
    greeting: &[u8],
    channel: Channel,
    password: &str,
) -> io::Result<()> {
    let mut nonce = nonce_of(greeting);
    loop {
        let said = Packet::read(database).await?;
        if said.payload.as_slice() == SHOW_IT {
            show(database, &said, channel, nonce.as_deref(), password).await?;
            continue;
        }
        said.write(driver).await?;
        match said.payload.as_slice() {
            // In, or not.
            [0x00 | 0xFF, ..] => return Ok(()),
            KNOWN => {}
            request => {
                if let [0xFE, ..] = request {
                    nonce = nonce_of_switch(request);
                }
                Packet::read(driver).await?.write(database).await?;
            }
        }
    }
}

/// Answers the database that wants to see the password.
async fn show(
    database: &mut (impl AsyncRead + AsyncWrite + Unpin),
    said: &Packet,
    channel: Channel,
    nonce: Option<&[u8]>,
    password: &str,
) -> io::Result<()> {
    let mut shown = Zeroizing::new(Vec::with_capacity(password.len() + 1));
    shown.extend_from_slice(password.as_bytes());
    shown.push(0);
    if channel == Channel::Private {
        return said.answer(shown).write(database).await;
    }
    said.answer(PUBLIC_KEY.to_vec().into()).write(database).await?;
    let key = Packet::read(database).await?;
    let nonce = nonce.ok_or_else(|| nonsense("no nonce came with the greeting"))?;
    for (byte, mix) in shown.iter_mut().zip(nonce.iter().cycle()) {
        *byte ^= mix;
    }
    let encrypted = key.payload.split_first().and_then(|(_mark, pem)| encrypt(pem, &shown));
    let encrypted = encrypted.ok_or_else(|| nonsense("the database has no usable RSA key"))?;
    key.answer(encrypted.into()).write(database).await
}

/// For the holder of this public key alone.
fn encrypt(pem: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?;
    let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&der).ok()?).ok()?;
    let mut encrypted = vec![0; key.ciphertext_size()];
    let length = key.encrypt(&OAEP_SHA1_MGF1SHA1, secret, &mut encrypted, None).ok()?.len();
    encrypted.truncate(length);
    Some(encrypted)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rsa::{OaepPrivateDecryptingKey, PrivateDecryptingKey};
    use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
    use tokio::io::DuplexStream;

    use super::*;

    /// As `MySQL` greets, with this low half of its capabilities.
    fn greeting(low: [u8; 2]) -> Vec<u8> {
        let mut bytes = b"\x0A9.7.4\0".to_vec();
        bytes.extend([1, 0, 0, 0]);
        bytes.extend(b"abcdefgh\0");
        bytes.extend(low);
        bytes.extend([0xFF, 2, 0, 0xFF, 0xDF, 21]);
        bytes.extend([0; 10]);
        bytes.extend(b"ijklmnopqrst\0caching_sha2_password\0");
        bytes
    }

    #[test]
    fn a_greeting_tells_whether_there_is_tls_and_the_nonce() {
        assert!(offers_tls(&greeting([0xFF, 0xF7 | 0x08])));
        assert!(!offers_tls(&greeting([0xFF, 0xF7])));
        assert!(!offers_tls(b"\x0A5"));
        assert_eq!(nonce_of(&greeting([0, 0])).unwrap(), b"abcdefghijklmnopqrst");
        assert_eq!(nonce_of(b"\x0A5\0abcdefghijklmno"), None);
        assert_eq!(nonce_of_switch(b"\xFEname\0ABCDEFGHIJKLMNOPQRST\0").unwrap()[0], b'A');
        assert_eq!(nonce_of_switch(b"\xFEname\0ABC\0"), None);
    }

    async fn says(database: &mut DuplexStream, number: u8, payload: &[u8]) {
        let packet = Packet { number, payload: payload.to_vec().into() };
        packet.write(database).await.unwrap();
    }

    async fn hears(database: &mut DuplexStream) -> (u8, Vec<u8>) {
        let packet = Packet::read(database).await.unwrap();
        (packet.number, packet.payload.to_vec())
    }

    /// What the driver hears last of a database that does as it is told here.
    async fn meets(
        channel: Channel,
        database: impl AsyncFnOnce(&mut DuplexStream),
    ) -> (u8, Vec<u8>) {
        let (mut driver, mut to_driver) = tokio::io::duplex(1 << 16);
        let (mut played, mut to_database) = tokio::io::duplex(1 << 16);
        let greeting = greeting([0, 0]);
        let relay = authenticate(&mut to_driver, &mut to_database, &greeting, channel, "a secret");
        let (relayed, ()) = tokio::join!(relay, database(&mut played));
        relayed.unwrap();
        hears(&mut driver).await
    }

    #[tokio::test]
    async fn a_password_is_shown_as_it_is_where_nobody_listens() {
        let last = meets(Channel::Private, async |database: &mut DuplexStream| {
            says(database, 4, SHOW_IT).await;
            assert_eq!(hears(database).await, (5, b"a secret\0".to_vec()));
            says(database, 6, &[0, 0, 0, 2, 0]).await;
        });
        assert_eq!(last.await, (6, vec![0, 0, 0, 2, 0]));
    }

    #[tokio::test]
    async fn a_password_is_for_the_database_alone_where_others_may_listen() {
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let key = PrivateDecryptingKey::from_pkcs8(pair.serialized_der()).unwrap();
        let public = format!("\x01{}", pair.public_key_pem());
        let key = OaepPrivateDecryptingKey::new(key).unwrap();
        let last = meets(Channel::Open, async |database: &mut DuplexStream| {
            says(database, 4, SHOW_IT).await;
            assert_eq!(hears(database).await, (5, PUBLIC_KEY.to_vec()));
            says(database, 6, public.as_bytes()).await;
            let (number, shown) = hears(database).await;
            assert_eq!(number, 7);
            let mut opened = vec![0; 256];
            let opened = key.decrypt(&OAEP_SHA1_MGF1SHA1, &shown, &mut opened, None).unwrap();
            let nonce = b"abcdefghijklmnopqrst".iter().cycle();
            let opened: Vec<u8> = opened.iter().zip(nonce).map(|(a, b)| a ^ b).collect();
            assert_eq!(opened, b"a secret\0");
            says(database, 8, &[0xFF, 0x15, 0x04]).await;
        });
        assert_eq!(last.await, (8, vec![0xFF, 0x15, 0x04]));
    }
}
