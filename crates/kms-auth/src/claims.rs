//! What a token says, and whether that is enough to be somebody.
//!
//! Reads the parts of a token and judges every member that matters; the signature is not judged
//! here. Knows no key and no authority's address.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::Value;

use crate::Refusal;
use crate::jwks::Algorithm;
use crate::members::{Members, shown};
use crate::name::Names;
use crate::rules::Rules;

/// The longest token, in bytes; the recorded ones have one or two thousand.
pub(crate) const TOKEN_BYTES_MAX: usize = 16 << 10;
/// How far clocks may differ, in seconds.
const LEEWAY_S: i64 = 60;
/// The last second of the year 9999: what is later is no time.
const TIME_MAX: f64 = 253_402_300_799.0;
/// Members of a header that would let the token say how it is checked.
const FORBIDDEN: [&str; 7] = ["crit", "b64", "jku", "jwk", "x5u", "x5c", "zip"];
/// What a token may be, in lower case; what has another type was made for something else.
const TYPES: [&str; 3] = ["jwt", "at+jwt", "application/at+jwt"];
/// What ID tokens have, and access tokens have not.
const ID_TOKEN: [&str; 3] = ["nonce", "at_hash", "c_hash"];
/// What Auth0 puts behind a program's identifier where that is the subject.
const OF_PROGRAM: &str = "@clients";

/// What the caller is told until the signature has been verified: one text for all causes.
const INVALID: &str = "the token is not valid here; log in again to get a new one";
/// The same where it is plain that no token of ours could look like this.
const FORM: &str = "this is no token that this server can check; \
                    ask the authority for a signed access token for this server's audience";

/// A refusal whose cause is for the log alone.
pub(crate) fn invalid(reason: impl Into<String>) -> Refusal {
    Refusal::invalid(INVALID, reason)
}

fn form(reason: impl Into<String>) -> Refusal {
    Refusal::invalid(FORM, reason)
}

/// A token taken apart. Nothing of it is true yet. It has no `Debug`: with its parts anybody is its
/// user.
pub(crate) struct Token<'a> {
    /// What is signed.
    pub(crate) signed: &'a str,
    /// The signature, in base64url.
    pub(crate) signature: &'a str,
    /// By which algorithm it says it is signed.
    pub(crate) algorithm: Algorithm,
    /// By which key it says it is signed.
    pub(crate) kid: String,
    /// What it says.
    pub(crate) claims: Claims,
}

impl<'a> Token<'a> {
    /// Takes a token apart.
    pub(crate) fn read(text: &'a [u8]) -> Result<Self, Refusal> {
        if text.len() > TOKEN_BYTES_MAX {
            let length = text.len();
            return Err(form(format!("the token has {length} bytes, more than {TOKEN_BYTES_MAX}")));
        }
        let Ok(text) = std::str::from_utf8(text) else {
            return Err(form("the token is not ASCII"));
        };
        let mut dots = text.match_indices('.').map(|(at, _)| at);
        let (Some(first), Some(second)) = (dots.next(), dots.next()) else {
            return Err(form(if text.is_empty() {
                "there is no token"
            } else {
                "the token is opaque or no JWT: where none is asked for, some authorities give \
                 tokens without an audience that only they can read"
            }));
        };
        match dots.count() {
            0 => {}
            2 => return Err(form("the token is encrypted (five parts); it has to be signed only")),
            more => return Err(form(format!("the token has {} parts, not three", more + 3))),
        }
        let parts = (text.get(..first), text.get(first + 1..second), text.get(second + 1..));
        let (Some(header), Some(claims), Some(signature)) = parts else {
            return Err(form("the token has not three parts"));
        };
        let signed = text.get(..second).unwrap_or_default();
        let header = decoded(header).map_err(|reason| form(format!("its header: {reason}")))?;
        let (algorithm, kid) = judge_header(&header)?;
        let claims = decoded(claims).map_err(|reason| invalid(format!("its claims: {reason}")))?;
        Ok(Self { signed, signature, algorithm, kid, claims: Claims(claims) })
    }
}

/// One part of a token.
fn decoded(part: &str) -> Result<Members, String> {
    let bytes = Base64UrlUnpadded::decode_vec(part).map_err(|error| error.to_string())?;
    Members::read(&bytes)
}

fn judge_header(header: &Members) -> Result<(Algorithm, String), Refusal> {
    if let Some(name) = FORBIDDEN.iter().find(|name| header.has(name)) {
        return Err(invalid(format!("its header has `{name}`")));
    }
    let text = |name| header.text(name).map_err(|reason| invalid(format!("its header: {reason}")));
    let name = text("alg")?.ok_or_else(|| invalid("its header has no `alg`"))?;
    let algorithm = Algorithm::named(name)
        .ok_or_else(|| invalid(format!("its algorithm {} is not accepted", shown(name))))?;
    if let Some(kind) = text("typ")? {
        // Media types are the same in any case.
        if !TYPES.contains(&kind.to_ascii_lowercase().as_str()) {
            return Err(invalid(format!("its type {} is not an access token's", shown(kind))));
        }
    }
    let kid = text("kid")?.ok_or_else(|| invalid("its header has no `kid`"))?;
    Ok((algorithm, kid.to_owned()))
}

/// What is expected of every token.
#[derive(Debug)]
pub(crate) struct Expected {
    /// The rules of the build.
    pub(crate) rules: &'static Rules,
    /// Whether a token for anybody is accepted.
    pub(crate) any_audience: bool,
    /// The audiences that are ours.
    pub(crate) audiences: Vec<String>,
    /// The claim that holds the e-mail address.
    pub(crate) user_claim: String,
    /// Whether a token without an e-mail address is one of the program that it was given to.
    pub(crate) clients: bool,
    /// How names become users.
    pub(crate) names: Names,
}

/// Who a token is for, and until when.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bearing {
    /// The user.
    pub(crate) user: String,
    /// The last second of the token, by its own word.
    pub(crate) expires: i64,
}

/// The claims of a token.
#[derive(Debug)]
pub(crate) struct Claims(Members);

impl Claims {
    /// Who made the token, by its own word.
    pub(crate) fn issuer(&self) -> Result<&str, Refusal> {
        match self.0.text("iss") {
            Ok(Some(issuer)) => Ok(issuer),
            Ok(None) => Err(invalid("it has no issuer (`iss`)")),
            Err(reason) => Err(invalid(reason)),
        }
    }

    /// Judges the claims of a token whose signature is good. The users of a further authority are
    /// scoped by its issuer, which is then given.
    pub(crate) fn judge(
        &self,
        expected: &Expected,
        scope: Option<&str>,
        now: i64,
    ) -> Result<Bearing, Refusal> {
        let expires = self.judge_times(expected, now)?;
        self.judge_purpose(expected)?;
        let user = self.user(expected, scope)?;
        Ok(Bearing { user, expires })
    }

    fn judge_times(&self, expected: &Expected, now: i64) -> Result<i64, Refusal> {
        let expires = self.time("exp")?.ok_or_else(|| invalid("it does not say when it ends"))?;
        if expected.rules.expiry_verified && is_over(expires, now) {
            return Err(expired(expires, now));
        }
        for name in ["nbf", "iat"] {
            if let Some(time) = self.time(name)?.filter(|time| *time > now + LEEWAY_S) {
                return Err(Refusal::invalid(
                    "the token is not valid yet; check that the clocks agree",
                    format!("its `{name}` {time} is in the future: it is {now}"),
                ));
            }
        }
        Ok(expires)
    }

    /// A time in whole seconds. A fraction is cut off, which is never later than meant.
    fn time(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        match value.as_f64() {
            Some(time) if (0.0..=TIME_MAX).contains(&time) => {
                #[expect(clippy::cast_possible_truncation, reason = "it is in the range above")]
                let seconds = time as i64;
                Ok(Some(seconds))
            }
            _ => Err(invalid(format!("its `{name}` is no time"))),
        }
    }

    /// Whether the token was made for us, and to give access.
    fn judge_purpose(&self, expected: &Expected) -> Result<(), Refusal> {
        match self.0.text("sub") {
            Ok(Some(subject)) if !subject.is_empty() => {}
            _ => return Err(invalid("it has no subject (`sub`)")),
        }
        if self.0.has("events") {
            return Err(invalid("it reports an event (`events`) and gives no access"));
        }
        let audiences = self.audiences()?;
        let ours = audiences.iter().any(|it| expected.audiences.iter().any(|own| own == it));
        if !ours && !expected.any_audience {
            return Err(Refusal::invalid(
                "the token was not made for this server; ask the authority for one with this \
                 server's audience",
                format!("its audience is {}", shown(&audiences.join(", "))),
            ));
        }
        if !ours && let Some(name) = ID_TOKEN.iter().find(|name| self.0.has(name)) {
            return Err(Refusal::invalid(
                "this looks like an ID token; send the access token",
                format!("it has `{name}`, and its audience is not ours"),
            ));
        }
        Ok(())
    }

    /// Whom the token is for: a text, or a list of texts.
    fn audiences(&self) -> Result<Vec<&str>, Refusal> {
        let texts = match self.0.get("aud") {
            None => Some(Vec::new()),
            Some(Value::String(audience)) => Some(vec![audience.as_str()]),
            Some(Value::Array(audiences)) => audiences.iter().map(Value::as_str).collect(),
            Some(_) => None,
        };
        texts.ok_or_else(|| invalid("its audience (`aud`) is neither a text nor a list of texts"))
    }

    fn user(&self, expected: &Expected, scope: Option<&str>) -> Result<String, Refusal> {
        let claim = &expected.user_claim;
        let refused = |reason: String| {
            Refusal::invalid(
                format!(
                    "the token names no user of this server: it needs a verified e-mail address \
                     in its claim {claim}"
                ),
                reason,
            )
        };
        for verified in ["email_verified", &format!("{claim}_verified")] {
            if self.0.get(verified).is_some_and(|value| *value != Value::Bool(true)) {
                return Err(refused(format!("its claim {verified} is not true")));
            }
        }
        let names = &expected.names;
        let user = match self.0.get(claim) {
            Some(Value::String(address)) => {
                let user = names.address(address);
                match scope {
                    None => user,
                    Some(issuer) => user.and_then(|user| names.of_issuer(issuer, &user)),
                }
            }
            Some(_) => return Err(refused(format!("its claim {claim} is not a text"))),
            None if expected.clients => names.client(scope, self.client().map_err(&refused)?),
            None => return Err(refused(format!("it has no claim {claim}"))),
        };
        user.map_err(|reason| refused(format!("its claim {claim}: {reason}")))
    }

    /// The program that the token was given to, for itself.
    ///
    /// A token that a program got for one of its users names the program as well: without an address
    /// it would make all those users one, and that one the program. Whose it is, the subject says.
    fn client(&self) -> Result<&str, String> {
        let client = match self.0.text("azp")? {
            Some(client) => client,
            None => self.0.text("client_id")?.ok_or("it has no e-mail, `azp` nor `client_id`")?,
        };
        let subject = self.0.text("sub")?.unwrap_or_default();
        match subject.strip_prefix(client) {
            Some("" | OF_PROGRAM) if !client.is_empty() => Ok(client),
            _ => Err("it is a user's (`sub` is not the program's) and has no e-mail".to_owned()),
        }
    }
}

/// Whether a token that ends at `expires` is over, with the leeway for clocks.
pub(crate) fn is_over(expires: i64, now: i64) -> bool {
    now >= expires + LEEWAY_S
}

/// The refusal of a token that is over.
pub(crate) fn expired(expires: i64, now: i64) -> Refusal {
    Refusal::invalid(
        "the token has expired; log in again",
        format!("it ended at {expires}, and it is {now}"),
    )
}
