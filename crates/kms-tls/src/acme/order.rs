//! One attempt at a certificate, from the account to the files (RFC 8555 section 7), going on from
//! wherever an earlier one was broken off.

use std::borrow::Cow;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeStatus, ChallengeType,
    ExternalAccountKey, Identifier, Key, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use kms_crypto::Secret;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::challenge::Responder;
use super::problem::{self, Verdict};
use super::state::Keeper;
use super::transport::{Adapter, seconds_after};
use super::{ACCOUNT_KEY, CHAIN, CHAIN_NEXT, KEY, ORDER_KEY, Settings};
use crate::identity::{Identity, RenewalId};
use crate::place::{Place, PlaceError};
use crate::world::{Step, World};

/// How often the same is asked at once where the authority wants its newest number back. The library
/// asks three times each time.
const AGAIN_MAX: usize = 5;
/// How long an order may take to become ready, and then to become a certificate.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long one attempt may take in all.
const ATTEMPT: Duration = Duration::from_mins(5);
/// The first pause between two looks at an order.
const LOOK: Duration = Duration::from_millis(250);
/// How long to leave the authority alone where it does not say, in seconds.
const WAIT_S: i64 = 3_600;
/// How much of what an authority says is repeated, in characters.
const DETAIL_MAX: usize = 400;

/// Why there is no certificate.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// What, and what to do about it. It may be seen by whoever operates the server.
    pub(crate) what: String,
    /// What is done about it.
    pub(crate) verdict: Verdict,
    /// Until when the authority wants to be left alone, in seconds since 1970.
    pub(crate) wait: Option<i64>,
}

impl Trouble {
    pub(crate) fn retry(what: impl Into<String>) -> Self {
        Self { what: what.into(), verdict: Verdict::Retry, wait: None }
    }
}

impl From<PlaceError> for Trouble {
    fn from(error: PlaceError) -> Self {
        Self::retry(format!("it cannot be kept: {error}"))
    }
}

/// Asks again, a few times, where the authority wants its newest number back.
macro_rules! ask {
    ($call:expr) => {{
        let mut left = AGAIN_MAX;
        loop {
            match $call.await {
                Err(error) if left > 0 && is_bad_nonce(&error) => left -= 1,
                answer => break answer,
            }
        }
    }};
}

/// Everything that an attempt needs.
pub(crate) struct Attempt<'a> {
    settings: &'a Settings,
    world: &'a World,
    place: &'a Place,
    responder: &'a Responder,
    keeper: &'a mut Keeper,
    adapter: Adapter,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(
        settings: &'a Settings,
        world: &'a World,
        place: &'a Place,
        responder: &'a Responder,
        keeper: &'a mut Keeper,
    ) -> Self {
        let adapter = Adapter::new(std::sync::Arc::clone(&world.transport));
        Self { settings, world, place, responder, keeper, adapter }
    }

    /// Obtains a certificate in the place of `replaced`, if there is one, and keeps it.
    pub(crate) async fn run(&mut self, replaced: Option<&RenewalId>) -> Result<Identity, Trouble> {
        let slow = |_elapsed| {
            Trouble::retry(format!("the authority took longer than {} s", ATTEMPT.as_secs()))
        };
        tokio::time::timeout(ATTEMPT, self.run_patiently(replaced)).await.map_err(slow)?
    }

    async fn run_patiently(&mut self, replaced: Option<&RenewalId>) -> Result<Identity, Trouble> {
        let (mut again, mut accounts) = (AGAIN_MAX, 1);
        loop {
            match self.run_once(replaced).await {
                Err(trouble) if trouble.verdict == Verdict::Again && again > 0 => again -= 1,
                Err(trouble) if trouble.verdict == Verdict::Account && accounts > 0 => {
                    accounts -= 1;
                    self.keeper.state.account = None;
                    // The order went with the account.
                    self.keeper.forget_order().await?;
                }
                done => return done,
            }
        }
    }

    async fn run_once(&mut self, replaced: Option<&RenewalId>) -> Result<Identity, Trouble> {
        let account = self.account().await?;
        let (mut order, key) = self.order(&account, replaced).await?;
        self.authorise(&mut order).await?;
        let chain = self.sign(&mut order, &key).await?;
        let identity = self.check(&chain, &key).await?;
        self.install(&chain, &key).await?;
        Ok(identity)
    }

    /// The account: the one that is kept, or a new one.
    async fn account(&mut self) -> Result<Account, Trouble> {
        let directory = &self.settings.directory;
        let kept = self.place.read_key(ACCOUNT_KEY).await?;
        let builder = Account::builder_with_http(Box::new(self.adapter.clone()));
        if let (Some(key), Some(address)) = (&kept, &self.keeper.state.account) {
            let key = PrivatePkcs8KeyDer::from(key.expose());
            let account = builder.from_parts(address.clone(), key, directory.clone()).await;
            return account.map_err(|error| self.trouble(error));
        }
        let account = if self.settings.external.is_some() {
            self.external_account().await?
        } else {
            self.own_account(kept).await?
        };
        self.step(Step::AccountMade);
        self.keeper.state.account = Some(account.id().to_owned());
        self.keeper.save().await?;
        self.step(Step::AccountKept);
        Ok(account)
    }

    /// An account whose key is kept before the authority knows it: asked twice, it is the same one.
    async fn own_account(&mut self, kept: Option<Secret>) -> Result<Account, Trouble> {
        let key = if let Some(key) = kept {
            key
        } else {
            let (_, made) = Key::generate_pkcs8().map_err(|error| self.trouble(error))?;
            let copy = || Secret::new(made.secret_pkcs8_der().to_vec());
            self.place.write_key(ACCOUNT_KEY, copy()).await?;
            copy()
        };
        self.step(Step::AccountKeyKept);
        let made = ask!(async {
            let owned = PrivatePkcs8KeyDer::from(key.expose().to_vec());
            let pair = (Key::from_pkcs8_der(owned.clone_key())?, PrivateKeyDer::Pkcs8(owned));
            let builder = Account::builder_with_http(Box::new(self.adapter.clone()));
            builder.create_from_key(pair, self.settings.directory.clone()).await
        });
        let (account, _) = made.map_err(|error| self.trouble(error))?;
        if let Some(contact) = self.contact() {
            ask!(account.update_contacts(&[&contact])).map_err(|error| self.trouble(error))?;
        }
        Ok(account)
    }

    /// An account that belongs to one that its owner has with the authority already.
    async fn external_account(&mut self) -> Result<Account, Trouble> {
        let external = self.settings.external.as_ref();
        let external = external.map(|it| ExternalAccountKey::new(it.id.clone(), it.key.expose()));
        let contact = self.contact();
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let made = ask!(async {
            let wish = NewAccount {
                contact: &contact,
                terms_of_service_agreed: true,
                only_return_existing: false,
            };
            let builder = Account::builder_with_http(Box::new(self.adapter.clone()));
            builder.create(&wish, self.settings.directory.clone(), external.as_ref()).await
        });
        let (account, credentials) = made.map_err(|error| self.trouble(error))?;
        let key = Secret::new(credentials.private_key().secret_pkcs8_der().to_vec());
        self.place.write_key(ACCOUNT_KEY, key).await?;
        self.step(Step::AccountKeyKept);
        Ok(account)
    }

    fn contact(&self) -> Option<String> {
        self.settings.email.as_ref().map(|email| format!("mailto:{email}"))
    }

    /// The order in progress, or a new one; and the key of its certificate.
    async fn order(
        &mut self,
        account: &Account,
        replaced: Option<&RenewalId>,
    ) -> Result<(Order, KeyPair), Trouble> {
        if let Some(address) = self.keeper.state.order.clone() {
            if let Some(key) = self.kept_key().await {
                match ask!(account.order(address.clone())) {
                    Ok(order) => return Ok((order, key)),
                    // The authority has forgotten it, or the account, which the next order tells.
                    Err(error @ instant_acme::Error::Api(_)) => {
                        tracing::info!(%error, "the order in progress is gone; a new one is made");
                    }
                    Err(error) => return Err(self.trouble(error)),
                }
            }
            self.keeper.forget_order().await?;
        }
        let key = KeyPair::generate()
            .map_err(|error| Trouble::retry(format!("no key could be made: {error}")))?;
        let text = Secret::new(key.serialize_pem().into_bytes());
        self.place.write_key(ORDER_KEY, text).await?;
        self.step(Step::KeyKept);
        let order = self.new_order(account, replaced).await?;
        self.step(Step::OrderMade);
        self.keeper.state.order = Some(order.url().to_owned());
        self.keeper.save().await?;
        self.step(Step::OrderKept);
        Ok((order, key))
    }

    async fn kept_key(&self) -> Option<KeyPair> {
        let kept = match self.place.read_key(ORDER_KEY).await {
            Ok(kept) => kept?,
            Err(error) => {
                // Nothing was signed for it that anybody uses.
                tracing::warn!(%error, "the key of the order in progress is lost");
                return None;
            }
        };
        KeyPair::from_pem(std::str::from_utf8(kept.expose()).ok()?).ok()
    }

    async fn new_order(
        &self,
        account: &Account,
        replaced: Option<&RenewalId>,
    ) -> Result<Order, Trouble> {
        let names = [Identifier::Dns(self.settings.domain.clone())];
        if let Some(id) = replaced {
            match ask!(account.new_order(&NewOrder::new(&names).replaces(identifier(id)))) {
                Ok(order) => return Ok(order),
                // It was replaced before, or the authority does not do this.
                Err(error) if !is_final(&error) => {
                    tracing::debug!(%error, "ordered without saying what is replaced");
                }
                Err(error) => return Err(self.trouble(error)),
            }
        }
        ask!(account.new_order(&NewOrder::new(&names))).map_err(|error| self.trouble(error))
    }

    /// Shows that the name is ours, where that is still to be shown.
    async fn authorise(&mut self, order: &mut Order) -> Result<(), Trouble> {
        match order.state().status {
            OrderStatus::Pending => {}
            OrderStatus::Invalid => return Err(self.invalid(order).await),
            OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid => return Ok(()),
        }
        let mut published = Published { responder: self.responder, tokens: Vec::new() };
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(|error| self.trouble(error))?;
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let Some(mut challenge) = authorization.challenge(ChallengeType::Http01) else {
                let what = "the authority does not offer to look at port 80 (http-01)";
                let verdict = Verdict::Operator;
                return Err(Trouble { what: what.to_owned(), verdict, wait: None });
            };
            published.add(&challenge.token, challenge.key_authorization().as_str())?;
            self.step(Step::ChallengePublished);
            if challenge.status == ChallengeStatus::Pending {
                ask!(challenge.set_ready()).map_err(|error| self.trouble(error))?;
            }
            self.step(Step::ChallengeReady);
        }
        let ready = ask!(order.poll_ready(&policy()));
        drop(published);
        match ready {
            Ok(OrderStatus::Invalid) | Err(instant_acme::Error::Api(_))
                if order.state().status == OrderStatus::Invalid =>
            {
                Err(self.invalid(order).await)
            }
            Ok(_) => {
                self.step(Step::Validated);
                Ok(())
            }
            Err(error) => Err(self.trouble(error)),
        }
    }

    /// Why an order is void. The authority counts that.
    async fn invalid(&mut self, order: &mut Order) -> Trouble {
        let trouble = self.why_invalid(order).await;
        self.keeper.state.history.fail_validation(self.world.clock.now());
        match self.keeper.forget_order().await {
            Ok(()) => trouble,
            Err(error) => error.into(),
        }
    }

    async fn why_invalid(&self, order: &mut Order) -> Trouble {
        let error = order.state().error.clone();
        let mut authorizations = order.authorizations();
        while let Some(Ok(mut authorization)) = authorizations.next().await {
            // What is not seen here is in the order's own error.
            drop(ask!(authorization.refresh()).map(drop));
            let mut challenges = authorization.challenges.iter();
            if let Some(error) = challenges.find_map(|challenge| challenge.error.clone()) {
                return self.trouble(instant_acme::Error::Api(error));
            }
        }
        match error {
            Some(error) => self.trouble(instant_acme::Error::Api(error)),
            None => Trouble::retry("the authority calls the order invalid and does not say why"),
        }
    }

    /// Has the certificate signed, where that is not done yet, and fetches it.
    async fn sign(&mut self, order: &mut Order, key: &KeyPair) -> Result<String, Trouble> {
        if order.state().status == OrderStatus::Pending
            || order.state().status == OrderStatus::Ready
        {
            let request = request(&self.settings.domain, key)?;
            if let Err(error) = ask!(order.finalize_csr(&request)) {
                return Err(self.unsigned(error).await);
            }
        }
        self.step(Step::Finalised);
        match ask!(order.poll_certificate(&policy())) {
            Ok(chain) => Ok(chain),
            Err(error) => Err(self.unsigned(error).await),
        }
    }

    /// Why nothing is signed. An order that the authority does not sign is given up; one that it has
    /// not come to is not.
    async fn unsigned(&mut self, error: instant_acme::Error) -> Trouble {
        let given_up = match &error {
            instant_acme::Error::Api(problem) => {
                let row = problem::of_type(problem.r#type.as_deref());
                matches!(row.verdict, Verdict::Retry | Verdict::Operator)
                    && row.name != "serverInternal"
            }
            instant_acme::Error::Str(_) => true,
            _ => false,
        };
        let trouble = self.trouble(error);
        if given_up && let Err(error) = self.keeper.forget_order().await {
            return error.into();
        }
        trouble
    }

    /// The certificate, if it is what was ordered.
    async fn check(&mut self, chain: &str, key: &KeyPair) -> Result<Identity, Trouble> {
        let text = Secret::new(key.serialize_pem().into_bytes());
        let identity = Identity::from_pem(chain.as_bytes(), text.expose());
        let wrong = match &identity {
            Err(error) => error.to_string(),
            Ok(identity) if !identity.is_for(&self.settings.domain) => {
                format!("it is not for {}", self.settings.domain)
            }
            Ok(identity) if !identity.facts().is_valid(self.world.clock.now()) => {
                // The order is kept: the next attempt fetches the same certificate again, and does
                // not use up the authority's limits while a clock is wrong.
                return Err(Trouble::retry(
                    "the authority's certificate is not good now: check the clock",
                ));
            }
            Ok(_) => {
                self.step(Step::Fetched);
                return identity.map_err(|error| Trouble::retry(error.to_string()));
            }
        };
        self.keeper.forget_order().await?;
        Err(Trouble::retry(format!("the authority's certificate cannot be used: {wrong}")))
    }

    /// Keeps key and chain. Whenever this is broken off, the old pair or the new one is there:
    /// see `super::load`.
    async fn install(&mut self, chain: &str, key: &KeyPair) -> Result<(), Trouble> {
        self.place.write(CHAIN_NEXT, Secret::new(chain.as_bytes().to_vec())).await?;
        self.step(Step::ChainWritten);
        self.place.write_key(KEY, Secret::new(key.serialize_pem().into_bytes())).await?;
        self.step(Step::KeyWritten);
        self.place.rename(CHAIN_NEXT, CHAIN).await?;
        self.step(Step::Installed);
        self.keeper.state.history.succeed();
        self.keeper.state.issued = self.world.clock.now();
        self.keeper.forget_order().await?;
        self.step(Step::Forgotten);
        Ok(())
    }

    fn step(&self, step: Step) {
        (self.world.progress)(step);
    }

    /// What an error of the library means for us.
    fn trouble(&self, error: instant_acme::Error) -> Trouble {
        let now = self.world.clock.now();
        let told = self.adapter.take_retry_after();
        let told = told.and_then(|text| seconds_after(&text, now));
        let until = |seconds: i64| now.saturating_add(seconds);
        let (what, verdict) = match error {
            instant_acme::Error::Api(problem) => {
                let row = problem::of_type(problem.r#type.as_deref());
                let detail = printable(problem.detail.as_deref().unwrap_or("no reason given"));
                let kind = printable(problem.r#type.as_deref().unwrap_or("no type"));
                (format!("the authority says: {detail} ({kind}); {}", row.hint), row.verdict)
            }
            instant_acme::Error::Timeout(_) => {
                ("the authority has not come to the order yet".to_owned(), Verdict::Retry)
            }
            instant_acme::Error::Json(_) => {
                ("the authority's answer is not ACME".to_owned(), Verdict::Retry)
            }
            error => (format!("the authority cannot be asked: {error}"), Verdict::Retry),
        };
        let wait = match verdict {
            Verdict::Wait => Some(until(told.unwrap_or(WAIT_S))),
            _ => told.map(until),
        };
        Trouble { what, verdict, wait }
    }
}

/// The answers that are handed out now; taken away when this goes, however that happens.
struct Published<'a> {
    responder: &'a Responder,
    tokens: Vec<String>,
}

impl Published<'_> {
    fn add(&mut self, token: &str, answer: &str) -> Result<(), Trouble> {
        self.responder.publish(token, answer).map_err(|error| {
            Trouble::retry(format!("the answer to the challenge cannot be written: {error}"))
        })?;
        self.tokens.push(token.to_owned());
        Ok(())
    }
}

impl Drop for Published<'_> {
    fn drop(&mut self) {
        for token in &self.tokens {
            self.responder.withdraw(token);
        }
    }
}

/// What the library calls a certificate.
pub(super) fn identifier(id: &RenewalId) -> CertificateIdentifier<'static> {
    let text = |bytes: &[u8]| Cow::Owned(Base64UrlUnpadded::encode_string(bytes));
    CertificateIdentifier {
        authority_key_identifier: text(&id.authority),
        serial: text(&id.serial),
    }
}

fn policy() -> RetryPolicy {
    RetryPolicy::new().initial_delay(LOOK).timeout(PATIENCE)
}

/// What is to be signed, in DER.
fn request(domain: &str, key: &KeyPair) -> Result<Vec<u8>, Trouble> {
    let made = CertificateParams::new(vec![domain.to_owned()]).and_then(|mut wish| {
        wish.distinguished_name = DistinguishedName::new();
        wish.serialize_request(key)
    });
    match made {
        Ok(request) => Ok(request.der().to_vec()),
        Err(error) => Err(Trouble {
            what: format!("nothing can be ordered for this domain name: {error}"),
            verdict: Verdict::Operator,
            wait: None,
        }),
    }
}

fn is_bad_nonce(error: &instant_acme::Error) -> bool {
    let instant_acme::Error::Api(problem) = error else { return false };
    problem::of_type(problem.r#type.as_deref()).name == "badNonce"
}

/// Whether the same order would fail for the same reason if it did not say what it replaces.
fn is_final(error: &instant_acme::Error) -> bool {
    match error {
        instant_acme::Error::Api(problem) => !matches!(
            problem::of_type(problem.r#type.as_deref()).name,
            "alreadyReplaced" | "malformed" | "" | "unauthorized"
        ),
        instant_acme::Error::Unsupported(_) => false,
        // The library says so where the authority does not repeat what is replaced.
        instant_acme::Error::Other(error) => !error.to_string().contains("replaces"),
        _ => true,
    }
}

/// What somebody else says, short and on one line.
fn printable(text: &str) -> String {
    let shown = text.chars().take(DETAIL_MAX);
    shown.map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
