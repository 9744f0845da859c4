//! A small issuer of tokens: discovery and a key set over plain HTTP on a free loopback port, and
//! the keys that sign.
//!
//! It answers well or badly as it is told, counts what is asked of it, and signs whatever it is
//! given, so that tests can forge. Knows nothing of who checks its tokens.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use aws_lc_rs::{hmac, rsa};
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};

/// The audience of the tokens that [`Issuer::token`] makes.
pub const AUDIENCE: &str = "https://kms.test/";
/// How long a token is good for.
const LIFETIME_S: u64 = 3600;
/// More than anybody should read of an answer.
const HUGE_BYTES: usize = 3 << 20;
/// How long a held answer waits for its release before the test is given up.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a key signs by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA with SHA-256, PKCS #1.
    Rs256,
    /// RSA with SHA-256, PSS.
    Ps256,
    /// P-256 with SHA-256.
    Es256,
    /// P-384 with SHA-384.
    Es384,
}

impl Algorithm {
    /// Its name in a header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
        }
    }
}

enum Pair {
    Rsa(RsaKeyPair),
    Curve(EcdsaKeyPair),
}

/// A key that signs tokens.
#[derive(Clone)]
pub struct Key {
    kid: String,
    algorithm: Algorithm,
    pair: Arc<Pair>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl Key {
    /// A new key.
    pub fn new(kid: &str, algorithm: Algorithm) -> Self {
        let curve = |algorithm| EcdsaKeyPair::generate(algorithm).map(Pair::Curve);
        let pair = match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => {
                rsa::KeyPair::generate(KeySize::Rsa2048).map(Pair::Rsa)
            }
            Algorithm::Es256 => curve(&ECDSA_P256_SHA256_FIXED_SIGNING),
            Algorithm::Es384 => curve(&ECDSA_P384_SHA384_FIXED_SIGNING),
        };
        let pair = pair.unwrap_or_else(|error| panic!("no key: {error}"));
        Self { kid: kid.to_owned(), algorithm, pair: Arc::new(pair) }
    }

    /// The same key under another name, or for another algorithm of its kind.
    #[must_use]
    pub fn known_as(&self, kid: &str, algorithm: Algorithm) -> Self {
        Self { kid: kid.to_owned(), algorithm, pair: Arc::clone(&self.pair) }
    }

    /// Its name.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Its public half as an entry of a key set.
    pub fn jwk(&self) -> Value {
        let mut jwk = json!({ "kid": self.kid, "alg": self.algorithm.name(), "use": "sig" });
        let material = match &*self.pair {
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                let (n, e) = (public.modulus(), public.exponent());
                json!({
                    "kty": "RSA",
                    "n": base64url(n.big_endian_without_leading_zero()),
                    "e": base64url(e.big_endian_without_leading_zero()),
                })
            }
            Pair::Curve(pair) => {
                // One byte that says "uncompressed", then both coordinates.
                let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) })
            }
        };
        merge(&mut jwk, material);
        jwk
    }

    /// Its public half in PEM: what a forger has, and tries as a secret.
    pub fn public_pem(&self) -> String {
        let der = match &*self.pair {
            Pair::Rsa(pair) => {
                AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(pair.public_key())
            }
            Pair::Curve(pair) => {
                AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(pair.public_key())
            }
        };
        let der = der.unwrap_or_else(|error| panic!("no public key: {error}"));
        let text = Base64::encode_string(der.as_ref());
        let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// The header of a token by this key.
    pub fn header(&self) -> Value {
        json!({ "alg": self.algorithm.name(), "typ": "at+jwt", "kid": self.kid })
    }

    /// A token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        self.forge(&self.header().to_string(), &claims.to_string())
    }

    /// A token with this text for a header and this for its claims, whatever they say.
    pub fn forge(&self, header: &str, claims: &str) -> String {
        let signed = signed_part(header, claims);
        assemble(&signed, &self.sign(signed.as_bytes()))
    }

    /// The signature of `message`.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let failed = |error| -> ! { panic!("no signature: {error}") };
        match &*self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let signed = if self.algorithm == Algorithm::Ps256 {
                    pair.sign(&RSA_PSS_SHA256, &random, message, &mut signature)
                } else {
                    pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                };
                signed.unwrap_or_else(|error| failed(error));
                signature
            }
            Pair::Curve(pair) => match pair.sign(&random, message) {
                Ok(signature) => signature.as_ref().to_vec(),
                Err(error) => failed(error),
            },
        }
    }
}

/// A token "signed" with a secret (HS256).
pub fn forge_with_secret(secret: &[u8], header: &str, claims: &str) -> String {
    let signed = signed_part(header, claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    assemble(&signed, hmac::sign(&key, signed.as_bytes()).as_ref())
}

/// What of a token is signed.
pub fn signed_part(header: &str, claims: &str) -> String {
    format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()))
}

/// A token from its signed part and a signature, right or wrong.
pub fn assemble(signed: &str, signature: &[u8]) -> String {
    format!("{signed}.{}", base64url(signature))
}

/// Base64 as tokens have it.
pub fn base64url(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// Puts the members of `more` into `into`, in place of those of the same name; `null` takes away.
pub fn merge(into: &mut Value, more: Value) {
    let (Some(members), Value::Object(more)) = (into.as_object_mut(), more) else {
        panic!("both are objects")
    };
    for (name, value) in more {
        if value.is_null() {
            members.remove(&name);
        } else {
            members.insert(name, value);
        }
    }
}

/// The seconds since 1970.
pub fn now_s() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the server under test has the real clock too")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
}

/// How a document is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// As it should be.
    Well,
    /// Not before this is changed; then as it says by then.
    Held,
    /// With this status and nothing of use.
    Status(u16),
    /// With more than anybody should read.
    Huge,
    /// With a redirect to there.
    Redirect(String),
    /// With this text, as if it were the document.
    Text(String),
    /// Not at all: the connection is closed.
    HangUp,
}

/// The documents that an issuer serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// `/.well-known/openid-configuration`.
    Discovery,
    /// The key set: `/jwks`, and `/.well-known/jwks.json` for those who guess.
    Keys,
}

struct State {
    url: String,
    keys: Vec<Key>,
    /// Entries of the key set beside `keys`, as they are.
    entries: Vec<Value>,
    replies: [Reply; 2],
    asked: [usize; 2],
    open: bool,
}

impl State {
    fn document(&self, document: Document) -> String {
        let document = match document {
            Document::Discovery => {
                json!({ "issuer": self.url, "jwks_uri": format!("{}jwks", self.url) })
            }
            Document::Keys => {
                let keys: Vec<Value> =
                    self.keys.iter().map(Key::jwk).chain(self.entries.iter().cloned()).collect();
                json!({ "keys": keys })
            }
        };
        document.to_string()
    }
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `is_so`, for at most a minute.
    fn wait(&self, is_so: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waited = self.changed.wait_timeout_while(self.lock(), PATIENCE, |it| !is_so(it));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// An issuer that runs. It ends when this is dropped.
pub struct Issuer {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Default for Issuer {
    fn default() -> Self {
        Self::start()
    }
}

impl Issuer {
    /// Starts one on a free port, with one RS256 key called `first`.
    pub fn start() -> Self {
        Self::with_keys(vec![Key::new("first", Algorithm::Rs256)])
    }

    /// The same with other keys.
    pub fn with_keys(keys: Vec<Key>) -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), keys)
    }

    /// The same at an address, such as that of an issuer that is gone.
    pub fn at(address: SocketAddr, keys: Vec<Key>) -> Self {
        let listener = TcpListener::bind(address).unwrap_or_else(|error| panic!("{error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("{error}"));
        let state = State {
            url: format!("http://{address}/"),
            keys,
            entries: Vec::new(),
            replies: [Reply::Well, Reply::Well],
            asked: [0, 0],
            open: true,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let accepting = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || accept(&listener, &accepting));
        Self { shared, address, accepting: Some(accepting) }
    }

    /// Its issuer identifier, which is also the value of `KMS_DELEGATED_AUTHORITY_DOMAIN`.
    pub fn url(&self) -> String {
        self.shared.lock().url.clone()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The key that signs: the first of the set.
    pub fn key(&self) -> Key {
        self.shared.lock().keys.first().cloned().unwrap_or_else(|| panic!("the issuer has no key"))
    }

    /// All its keys.
    pub fn keys(&self) -> Vec<Key> {
        self.shared.lock().keys.clone()
    }

    /// From now on these are its keys, the first of which signs.
    pub fn set_keys(&self, keys: Vec<Key>) {
        self.shared.lock().keys = keys;
    }

    /// From now on its key set has these entries too.
    pub fn set_entries(&self, entries: Vec<Value>) {
        self.shared.lock().entries = entries;
    }

    /// From now on `document` is answered like this.
    pub fn answer(&self, document: Document, reply: Reply) {
        if let Some(place) = self.shared.lock().replies.get_mut(document as usize) {
            *place = reply;
        }
        self.shared.changed.notify_all();
    }

    /// How often `document` was asked for.
    pub fn asked(&self, document: Document) -> usize {
        asked(&self.shared.lock(), document)
    }

    /// Waits until `document` was asked for `times` times, for at most a minute.
    pub fn wait_until_asked(&self, document: Document, times: usize) {
        let state = self.shared.wait(|state| asked(state, document) >= times);
        let asked = asked(&state, document);
        assert!(asked >= times, "{document:?} was asked for {asked} times, not {times}");
    }

    /// The claims of a good token for `email`.
    pub fn claims(&self, email: &str) -> Value {
        let now = now_s();
        json!({
            "iss": self.url(),
            "sub": format!("test|{email}"),
            "aud": AUDIENCE,
            "azp": "test-client",
            "iat": now,
            "exp": now + LIFETIME_S,
            "email": email,
            "email_verified": true,
        })
    }

    /// A good token for `email`.
    pub fn token(&self, email: &str) -> String {
        self.key().token(&self.claims(email))
    }

    /// A token that is good but for these claims; `null` takes one away.
    pub fn token_with(&self, email: &str, changes: Value) -> String {
        let mut claims = self.claims(email);
        merge(&mut claims, changes);
        self.key().token(&claims)
    }

    /// The value of the `Authorization` header for a good token for `email`.
    pub fn bearer(&self, email: &str) -> String {
        format!("Bearer {}", self.token(email))
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.shared.lock().open = false;
        self.shared.changed.notify_all();
        // Wakes the thread that accepts, which then ends and lets the port go.
        drop(TcpStream::connect(self.address));
        drop(self.accepting.take().map(JoinHandle::join));
    }
}

fn asked(state: &State, document: Document) -> usize {
    state.asked.get(document as usize).copied().unwrap_or_default()
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if !shared.lock().open {
            return;
        }
        let Ok(stream) = stream else { return };
        let shared = Arc::clone(shared);
        // One that goes away in the middle is the test's intention.
        std::thread::spawn(move || drop(serve(stream, &shared)));
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let document = match first.split(' ').nth(1) {
        Some("/.well-known/openid-configuration") => Some(Document::Discovery),
        Some("/jwks" | "/.well-known/jwks.json") => Some(Document::Keys),
        _ => None,
    };
    let mut stream = reader.into_inner();
    let Some(document) = document else {
        return write(&mut stream, 404, "", b"there is nothing here");
    };
    if let Some(asked) = shared.lock().asked.get_mut(document as usize) {
        *asked += 1;
    }
    shared.changed.notify_all();
    let reply = |state: &State| state.replies.get(document as usize).cloned();
    let state = shared.wait(|state| !state.open || reply(state) != Some(Reply::Held));
    let text = state.document(document);
    let reply = reply(&state).unwrap_or(Reply::HangUp);
    drop(state);
    match reply {
        Reply::Well => write(&mut stream, 200, "", text.as_bytes()),
        Reply::Text(text) => write(&mut stream, 200, "", text.as_bytes()),
        Reply::Status(status) => write(&mut stream, status, "retry-after: 60\r\n", b"{}"),
        Reply::Huge => {
            // The document is in it: only its size is wrong.
            let mut body = text.into_bytes();
            body.resize(HUGE_BYTES, b' ');
            write(&mut stream, 200, "", &body)
        }
        Reply::Redirect(to) => write(&mut stream, 302, &format!("location: {to}\r\n"), b""),
        Reply::Held | Reply::HangUp => Ok(()),
    }
}

fn write(stream: &mut TcpStream, status: u16, more: &str, body: &[u8]) -> std::io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} \r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n{more}\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}
