//! API tokens for machines: made, listed, revoked, and looked up.
//!
//! A token's text is `kms_<id>_<secret>`; what is kept of it is a hash, in a row whose every column is
//! under a MAC, so that a row written by somebody else lets nobody in. Every change raises an epoch that
//! all MACs are bound to, so that a revoked row which is put back does not either. Must not know how a
//! token is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kms_crypto::hash::{self, Hash};
use kms_crypto::random;
use kms_crypto::secret::{self, Secret};
use kms_store::{ApiToken, Store, Write};

use crate::audit::{self, Act};
use crate::clock::Clock;
use crate::custody::Vault;
use crate::error::Error;
use crate::principal::{EVERYBODY, normal_user};
use crate::vault::Keys;

/// How the text of every token begins.
const PREFIX: &str = "kms_";
/// The scope of the users that tokens have by themselves.
const SCOPE: &str = "token:";
/// The length of the random part of an identifier, and of a secret.
const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;
/// The length of a token's text.
const TEXT_LENGTH: usize = PREFIX.len() + 2 * ID_BYTES + 1 + 2 * SECRET_BYTES;
/// The longest name of a token.
const NAME_LENGTH_MAX: usize = 64;
/// The most tokens of a database: they are listed as a whole.
const TOKENS_MAX: usize = 10_000;
/// How often a row is read again that is older than what was seen.
const REREADS: usize = 3;
/// How often a change is tried that another one overtakes.
const TRIES: usize = 32;

/// The API tokens of a database.
#[derive(Clone)]
pub struct ApiTokens {
    store: Store,
    vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
    /// The newest epoch that was seen.
    newest: Arc<AtomicU64>,
}

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// It lets its user in.
    Active,
    /// It did until its time.
    Expired,
    /// It was revoked.
    Revoked,
    /// Its row was not written by this server as it is, or was put back after it was revoked.
    Altered,
}

/// A token in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// The user that a caller with it is.
    pub user: String,
    /// What its text begins with after `kms_`: no secret.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// When it ends.
    pub expires: Option<i64>,
    /// What it is good for.
    pub state: TokenState,
}

/// A token that is good now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The user that a caller with it is.
    pub user: String,
    /// When it ends.
    pub expires: Option<i64>,
}

/// Why a token lets nobody in. Only one who has the whole token learns of the last three.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// The text is not a token's.
    #[error("not the form of an API token")]
    Form,
    /// There is no token of this identifier.
    #[error("an API token of an unknown identifier")]
    Unknown,
    /// The identifier is known, and the secret is another.
    #[error("an API token with a wrong secret")]
    Secret,
    /// Its row is not one that this server wrote.
    #[error("an API token whose row in the database was altered")]
    Altered,
    /// It was revoked.
    #[error("a revoked API token")]
    Revoked,
    /// Its time is over.
    #[error("an expired API token")]
    Expired,
    /// It could not be looked up.
    #[error("API tokens cannot be looked up: {0}")]
    Unavailable(kms_store::Error),
}

/// Why tokens cannot be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The name is none.
    #[error("a token's name has 1 to 64 letters, digits, dots, dashes and underscores")]
    Name,
    /// The user is none that a token can be.
    #[error("the user of a token: {0}")]
    User(&'static str),
    /// It would never have been good.
    #[error("the token would have ended before it was made")]
    Past,
    /// The name is in use.
    #[error("there is a token {0} already; revoke it first, or choose another name")]
    Taken(String),
    /// There is no such token.
    #[error("there is no token {0}; `token list` shows those there are")]
    Unknown(String),
    /// It was revoked before.
    #[error("the token {0} was revoked already")]
    Revoked(String),
    /// There are too many.
    #[error(
        "there are {TOKENS_MAX} tokens, and that is the most; revoke some and use their names again"
    )]
    Full,
    /// No random bytes.
    #[error("no token can be made: {0}")]
    Random(kms_crypto::Error),
    /// The keyring was changed in a way that is not accepted, or cannot be read.
    #[error("no token can be changed: {0}")]
    Sealed(Error),
    /// The database failed.
    #[error("{0}")]
    Store(#[from] kms_store::Error),
}

impl ApiTokens {
    /// The tokens in `store`, under the keys of `vault`.
    pub fn new(store: Store, vault: Arc<Vault>, clock: Arc<dyn Clock>) -> Self {
        Self { store, vault, clock, newest: Arc::default() }
    }

    /// Makes a token and returns its text, which is known to nobody else from then on. Its user is
    /// `token:NAME` unless another is given. The name of a revoked token can be used again.
    pub async fn create(
        &self,
        name: &str,
        user: Option<&str>,
        expires: Option<i64>,
    ) -> Result<Secret, TokenError> {
        check_name(name)?;
        let user = match user {
            Some(user) => normal_user(user).map_err(TokenError::User)?,
            None => format!("{SCOPE}{name}"),
        };
        if user == EVERYBODY {
            return Err(TokenError::User("a token is one user, not everybody (*)"));
        }
        let now = self.clock.now();
        if expires.is_some_and(|expires| expires <= now) {
            return Err(TokenError::Past);
        }
        let (id, text) = draw().map_err(TokenError::Random)?;
        let (name, hash) = (name.to_owned(), hash_of(text.expose()));
        // Signed when it is written.
        let (revoked, mac, sealed_by) = (None, Vec::new(), 0);
        let token =
            ApiToken { id, name, user, hash, created: now, expires, revoked, mac, sealed_by };
        self.change("token create", |rows| {
            let before = rows.iter().find(|row| row.name == token.name);
            if before.is_some_and(|row| row.revoked.is_none()) {
                return Err(TokenError::Taken(token.name.clone()));
            }
            if rows.len() >= TOKENS_MAX && before.is_none() {
                return Err(TokenError::Full);
            }
            Ok((before.map(|row| row.id.clone()), token.clone()))
        })
        .await?;
        Ok(text)
    }

    /// All tokens by name, revoked ones too.
    pub async fn list(&self) -> Result<Vec<Listed>, TokenError> {
        let (rows, epoch) = self.store.api_tokens().await?;
        let now = self.clock.now();
        let listed = |row: ApiToken| {
            let state = state(&row, self.is_genuine(&row, epoch), now);
            let ApiToken { id, name, user, created, expires, .. } = row;
            Listed { name, user, id, created, expires, state }
        };
        Ok(rows.into_iter().map(listed).collect())
    }

    /// Revokes a token for good. Its name stays in the list.
    pub async fn revoke(&self, name: &str) -> Result<(), TokenError> {
        let now = self.clock.now();
        self.change("token revoke", |rows| {
            let row = rows.iter().find(|row| row.name == name);
            match row {
                None => Err(TokenError::Unknown(name.to_owned())),
                Some(row) if row.revoked.is_some() => Err(TokenError::Revoked(name.to_owned())),
                Some(row) => Ok((None, ApiToken { revoked: Some(now), ..row.clone() })),
            }
        })
        .await
    }

    /// Changes one row, as `edit` decides: one that goes, and one that comes in or is replaced. The
    /// proofs of all others are made anew for the next epoch. The change has its record for the audit
    /// log with it.
    async fn change(
        &self,
        operation: &'static str,
        edit: impl Fn(&[ApiToken]) -> Result<(Option<String>, ApiToken), TokenError>,
    ) -> Result<(), TokenError> {
        let mut outcome = Ok(());
        for _ in 0..TRIES {
            let (mut rows, epoch) = self.store.api_tokens().await?;
            let (goes, comes) = edit(&rows)?;
            let act = Act {
                operation,
                user: Some(&comes.user),
                detail: Some(&comes.name),
                ..Act::default()
            };
            let record = audit::beside(&self.store, &self.vault, &*self.clock, act).await?;
            let stays = |row: &ApiToken| row.id != comes.id && Some(&row.id) != goes.as_ref();
            // A row that is not ours would become ours by a new proof.
            rows.retain(|row| stays(row) && self.is_genuine(row, epoch));
            rows.push(comes);
            let next = epoch.saturating_add(1);
            let keys = self.vault.sealing().await.map_err(TokenError::Sealed)?;
            for row in &mut rows {
                row.sealed_by = keys.generation();
                row.mac = keys.api_token_mac(row, next);
            }
            let remove = goes.into_iter().collect();
            let write = Write::ApiTokens { remove, put: rows, epoch: (epoch, next) };
            outcome = self.store.commit(Vec::new(), vec![write, record]).await;
            if !matches!(outcome, Err(kms_store::Error::Conflict { .. })) {
                break;
            }
        }
        outcome.map_err(TokenError::Store)
    }

    /// Proves anew the tokens that an older data key proves: how many were, and which were altered and
    /// stay as they are.
    pub(crate) async fn reseal(&self, generation: u32) -> Result<(usize, Vec<String>), TokenError> {
        for _ in 0..TRIES {
            let (rows, epoch) = self.store.api_tokens().await?;
            let is_older = |row: &ApiToken| row.sealed_by == generation;
            let (mut ours, altered): (Vec<_>, Vec<_>) =
                rows.into_iter().partition(|row| self.is_genuine(row, epoch));
            let altered = altered.iter().filter(|row| is_older(row));
            let altered = altered.map(|row| format!("api_tokens/{}", row.id)).collect();
            let count = ours.iter().filter(|row| is_older(row)).count();
            if count == 0 {
                return Ok((0, altered));
            }
            let keys = self.vault.sealing().await.map_err(TokenError::Sealed)?;
            let next = epoch.saturating_add(1);
            for row in &mut ours {
                row.sealed_by = keys.generation();
                row.mac = keys.api_token_mac(row, next);
            }
            let write = Write::ApiTokens { remove: Vec::new(), put: ours, epoch: (epoch, next) };
            match self.store.commit(Vec::new(), vec![write]).await {
                Ok(()) => return Ok((count, altered)),
                Err(kms_store::Error::Conflict { .. }) => {}
                Err(error) => return Err(TokenError::Store(error)),
            }
        }
        // The next round comes back to them.
        Ok((0, Vec::new()))
    }

    /// Whether there is any token, good or not.
    pub async fn exist(&self) -> Result<bool, kms_store::Error> {
        Ok(!self.store.api_tokens().await?.0.is_empty())
    }

    /// Whom a token lets in now. An unknown identifier and a wrong secret cost the same.
    pub async fn verify(&self, text: &[u8]) -> Result<Verified, Invalid> {
        let id = id_of(text).ok_or(Invalid::Form)?;
        let (found, is_newest) = self.look_up(id).await.map_err(Invalid::Unavailable)?;
        let is_known = found.is_some();
        let (row, epoch) = found.unwrap_or_else(|| (stranger(id), 0));
        if let Err(error) = self.vault.meet(row.sealed_by).await {
            tracing::warn!(%error, "the keyring cannot be read");
        }
        let secret = secret::equal(&hash_of(text), &row.hash);
        let genuine = self.is_genuine(&row, epoch) && is_newest;
        if !is_known {
            return Err(Invalid::Unknown);
        }
        if !secret {
            return Err(Invalid::Secret);
        }
        match state(&row, genuine, self.clock.now()) {
            TokenState::Active => Ok(Verified { user: row.user, expires: row.expires }),
            TokenState::Expired => Err(Invalid::Expired),
            TokenState::Revoked => Err(Invalid::Revoked),
            TokenState::Altered => {
                tracing::error!(token = %row.name, "an API token's row in the database was \
                    altered, or put back after it was revoked; it is refused");
                Err(Invalid::Altered)
            }
        }
    }

    /// A row with the epoch of all tokens, and whether no newer one was seen: whoever puts back all
    /// rows and the epoch as they were has tokens again that were revoked since.
    async fn look_up(&self, id: &str) -> Result<(Option<(ApiToken, u64)>, bool), kms_store::Error> {
        for _ in 0..REREADS {
            let found = self.store.api_token(id).await?;
            let Some((_, epoch)) = &found else { return Ok((found, true)) };
            // Another request may have seen a change that was made after this was read.
            if self.newest.fetch_max(*epoch, Ordering::AcqRel) <= *epoch {
                return Ok((found, true));
            }
        }
        Ok((self.store.api_token(id).await?, false))
    }

    /// Now, as tokens expire by it.
    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    fn is_genuine(&self, row: &ApiToken, epoch: u64) -> bool {
        self.vault.is_genuine_token(row, epoch)
    }
}

impl std::fmt::Debug for ApiTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiTokens").field("store", &self.store).finish_non_exhaustive()
    }
}

/// The write that adds tokens of another database to those there are: all proofs are made anew for the
/// next epoch, as with every change.
pub(crate) fn joined(
    (vault, keys): (&Vault, &Keys),
    (mut rows, epoch): (Vec<ApiToken>, u64),
    new: Vec<ApiToken>,
) -> Result<Write, TokenError> {
    // A row that is not ours would become ours by a new proof.
    rows.retain(|row| vault.is_genuine_token(row, epoch));
    rows.extend(new);
    if rows.len() > TOKENS_MAX {
        return Err(TokenError::Full);
    }
    let next = epoch.saturating_add(1);
    for row in &mut rows {
        row.sealed_by = keys.generation();
        row.mac = keys.api_token_mac(row, next);
    }
    Ok(Write::ApiTokens { remove: Vec::new(), put: rows, epoch: (epoch, next) })
}

/// What a row is good for, whose proof fits or does not.
fn state(row: &ApiToken, genuine: bool, now: i64) -> TokenState {
    if !genuine {
        TokenState::Altered
    } else if row.revoked.is_some() {
        TokenState::Revoked
    } else if row.expires.is_some_and(|expires| expires <= now) {
        TokenState::Expired
    } else {
        TokenState::Active
    }
}

fn check_name(name: &str) -> Result<(), TokenError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let fits = (1..=NAME_LENGTH_MAX).contains(&name.len()) && name.bytes().all(plain);
    if fits { Ok(()) } else { Err(TokenError::Name) }
}

/// A new identifier, and the text of the token with it.
fn draw() -> Result<(String, Secret), kms_crypto::Error> {
    let id = hex::encode(random::bytes::<ID_BYTES>()?);
    let secret = random::secret(SECRET_BYTES)?;
    // Reserved at once: growing would leave copies behind.
    let mut text = Vec::with_capacity(TEXT_LENGTH);
    text.extend_from_slice(format!("{PREFIX}{id}_").as_bytes());
    for byte in secret.expose() {
        text.extend([byte >> 4, byte & 0x0F].map(|digit| match digit {
            0..=9 => b'0' + digit,
            _ => b'a' + digit - 10,
        }));
    }
    Ok((id, Secret::new(text)))
}

/// The identifier in a token's text, if that has the form of one.
fn id_of(text: &[u8]) -> Option<&str> {
    let rest = text.strip_prefix(PREFIX.as_bytes())?;
    let (id, rest) = rest.split_at_checked(2 * ID_BYTES)?;
    let secret = rest.strip_prefix(b"_")?;
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let whole = secret.len() == 2 * SECRET_BYTES && id.iter().chain(secret).all(is_digit);
    whole.then(|| str::from_utf8(id).ok())?
}

fn hash_of(text: &[u8]) -> Vec<u8> {
    hash::digest(Hash::Sha256, text).as_ref().to_vec()
}

/// What is judged in place of a token that is not there.
fn stranger(id: &str) -> ApiToken {
    ApiToken {
        id: id.to_owned(),
        name: String::new(),
        user: String::new(),
        hash: vec![0; 32],
        created: 0,
        expires: None,
        revoked: None,
        mac: vec![0; 32],
        sealed_by: 0,
    }
}
