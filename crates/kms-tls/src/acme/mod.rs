//! A certificate from an authority that speaks ACME: obtained at the first start, kept, and renewed
//! while the old one is still good.
//!
//! In one directory are `tls.key` and `tls.crt` (the pair that is served), `tls.crt.next` (for a
//! moment), `account.key`, `order.key` (for an order in progress) and `acme.json`.

pub(crate) mod challenge;
mod order;
pub(crate) mod problem;
pub(crate) mod schedule;
mod state;
pub(crate) mod transport;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use instant_acme::Account;
use kms_crypto::Secret;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::sync::{Notify, watch};

use self::challenge::Responder;
use self::order::{Attempt, Trouble, identifier};
use self::problem::Verdict;
use self::schedule::{REFUSALS_MAX, Window, ask_again, next_issue, renew_at};
use self::state::Keeper;
use self::transport::Adapter;
use crate::identity::{Identity, RenewalId};
use crate::place::{Place, PlaceError};
use crate::resolver::Resolver;
use crate::source::{End, StartError};
use crate::status::{Failure, Origin, Phase, Status};
use crate::world::World;

const KEY: &str = "tls.key";
const CHAIN: &str = "tls.crt";
const CHAIN_NEXT: &str = "tls.crt.next";
const ACCOUNT_KEY: &str = "account.key";
const ORDER_KEY: &str = "order.key";

/// An account that the operator has with the authority already.
pub struct ExternalAccount {
    /// The name of its key.
    pub id: String,
    /// Its key: for HMAC-SHA-256.
    pub key: Secret,
}

impl fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalAccount").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Which certificate is wanted from whom.
#[derive(Debug)]
pub struct Settings {
    /// The URL of the authority's directory.
    pub directory: String,
    /// The name of the server's host: no wildcard.
    pub domain: String,
    /// Whom the authority may write to.
    pub email: Option<String>,
    /// The account that ours belongs to, where the authority wants one.
    pub external: Option<ExternalAccount>,
    /// The directory of keys and certificate. It has to be there, and ours alone.
    pub keys: PathBuf,
    /// So many days before its end a certificate is renewed, unless a third of its life is shorter.
    pub threshold_days: u32,
    /// Whether the first failure of a renewal is final, though the old certificate is still good.
    pub stop_on_renewal_error: bool,
}

/// What obtains and renews.
pub(crate) struct Acme {
    settings: watch::Receiver<Arc<Settings>>,
    world: World,
    place: Place,
    responder: Responder,
    resolver: Arc<Resolver>,
    status: watch::Sender<Status>,
    wake: Arc<Notify>,
    keeper: Keeper,
    identity: Option<Identity>,
    window: Option<Window>,
    /// When the authority is asked for its window again.
    ask_at: i64,
}

impl Acme {
    /// Serves what is kept, or obtains a certificate. What fails here keeps a server from starting.
    pub(crate) async fn start(
        settings: watch::Receiver<Arc<Settings>>,
        world: World,
        responder: Responder,
        wake: Arc<Notify>,
    ) -> Result<Self, StartError> {
        let wanted = Arc::clone(&settings.borrow());
        let place = Place::new(&wanted.keys, Arc::clone(&world.sealer));
        let now = world.clock.now();
        let identity = load(&place)
            .await
            .map_err(|error| StartError::Key { path: error.path, reason: error.reason })?;
        let keeper = Keeper::load(place.clone(), &wanted, now)
            .await
            .map_err(|error| StartError::Files(error.to_string()))?;
        let (status, _) = watch::channel(Status::new(Origin::Acme));
        let resolver = Arc::new(Resolver::default());
        let (window, ask_at) = (None, now);
        let mut acme = Self {
            settings,
            world,
            place,
            responder,
            resolver,
            status,
            wake,
            keeper,
            identity,
            window,
            ask_at,
        };
        if acme.is_usable(now) {
            acme.serve();
            acme.forget_done().await;
        } else {
            acme.obtain_first(now).await?;
        }
        Ok(acme)
    }

    pub(crate) fn resolver(&self) -> Arc<Resolver> {
        Arc::clone(&self.resolver)
    }

    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Renews until that has failed for good.
    pub(crate) async fn run(mut self) -> End {
        let clock = Arc::clone(&self.world.clock);
        let mut settings = self.settings.clone();
        loop {
            let now = clock.now();
            let Some(over) = self.identity.as_ref().map(|it| it.facts().not_after) else {
                return self.end(End::Expired { last: None });
            };
            if now > over {
                self.resolver.serve(None);
                let last = self.keeper.state.history.last.as_ref();
                return self.end(End::Expired { last: last.map(|failure| failure.what.clone()) });
            }
            let due = self.due();
            if now >= due {
                match self.renew().await {
                    Some(end) => return self.end(end),
                    None => continue,
                }
            }
            if now >= self.ask_at {
                self.ask_window(now).await;
                continue;
            }
            let next = due.min(self.ask_at).min(over.saturating_add(1));
            tokio::select! {
                () = clock.until(next) => {}
                () = self.wake.notified() => {}
                // Whoever could change them may be gone; then they stay.
                Ok(()) = settings.changed() => self.take_settings().await,
            }
        }
    }

    fn wanted(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.borrow())
    }

    fn is_usable(&self, now: i64) -> bool {
        let domain = &self.wanted().domain;
        self.identity.as_ref().is_some_and(|it| it.facts().is_valid(now) && it.is_for(domain))
    }

    async fn obtain_first(&mut self, now: i64) -> Result<(), StartError> {
        let history = &self.keeper.state.history;
        let until = history.next_start();
        if now < until {
            let last = history.last.as_ref().map(|failure| failure.what.clone());
            return Err(StartError::TooSoon { until, last: last.unwrap_or_default() });
        }
        // A directory that cannot be written is found before anything is asked.
        self.keeper.save().await.map_err(|error| StartError::Files(error.to_string()))?;
        match self.obtain().await {
            Ok(()) => Ok(()),
            Err(trouble) if trouble.verdict == Verdict::Operator => {
                Err(StartError::Refused(trouble.what))
            }
            Err(trouble) => Err(StartError::Failed(trouble.what)),
        }
    }

    /// Nothing of an order is wanted any more whose certificate is served already.
    async fn forget_done(&mut self) {
        let Some(issued) = self.identity.as_ref().map(|it| it.facts().not_before) else { return };
        if self.keeper.state.order.is_some() && self.due() > self.world.clock.now() {
            self.keeper.state.issued = issued;
            if let Err(error) = self.keeper.forget_order().await {
                tracing::warn!(%error, "an order that is done could not be forgotten");
            }
        }
    }

    /// Makes one attempt, and serves what comes of it, or notes why nothing does.
    async fn obtain(&mut self) -> Result<(), Trouble> {
        self.status.send_modify(|status| status.phase = Phase::Renewing);
        let wanted = self.wanted();
        let replaced = self.replaced();
        let attempt =
            Attempt::new(&wanted, &self.world, &self.place, &self.responder, &mut self.keeper)
                .run(replaced.as_ref())
                .await;
        match attempt {
            Ok(identity) => {
                self.identity = Some(identity);
                (self.window, self.ask_at) = (None, self.world.clock.now());
                self.serve();
                tracing::info!(domain = wanted.domain, "a certificate was obtained");
                Ok(())
            }
            Err(trouble) => {
                self.note(&trouble).await;
                Err(trouble)
            }
        }
    }

    /// What the next order replaces: the certificate that is served, if it is for the same name.
    fn replaced(&self) -> Option<RenewalId> {
        let domain = &self.wanted().domain;
        let own = self.identity.as_ref().filter(|it| it.is_for(domain))?;
        own.facts().renewal_id.clone()
    }

    async fn note(&mut self, trouble: &Trouble) {
        let now = self.world.clock.now();
        let failure = Failure { at: now, what: trouble.what.clone() };
        let refused = trouble.verdict == Verdict::Operator;
        let history = &mut self.keeper.state.history;
        history.fail(failure, refused, trouble.wait, (self.world.chance)());
        if let Err(error) = self.keeper.save().await {
            tracing::error!(%error, "a failure could not be noted: a restart forgets it");
        }
        let history = &self.keeper.state.history;
        self.status.send_modify(|status| {
            status.failures = history.failures;
            status.last_failure.clone_from(&history.last);
            status.phase = Phase::Waiting { until: history.next_attempt() };
        });
    }

    fn serve(&self) {
        let Some(identity) = &self.identity else { return };
        self.resolver.serve(Some(identity.key()));
        let renew_at = Some(self.planned());
        let history = &self.keeper.state.history;
        self.status.send_modify(|status| {
            status.certificate = Some(identity.facts().clone());
            status.renew_at = renew_at;
            status.phase = Phase::Idle;
            status.failures = history.failures;
            status.last_failure.clone_from(&history.last);
        });
    }

    /// When the certificate that is served is to be renewed.
    fn planned(&self) -> i64 {
        let wanted = self.wanted();
        match &self.identity {
            Some(identity) if identity.is_for(&wanted.domain) => {
                renew_at(identity.facts(), wanted.threshold_days, self.window)
            }
            // Long ago: another one is wanted.
            _ => 0,
        }
    }

    /// When the next attempt is to be made.
    fn due(&self) -> i64 {
        let state = &self.keeper.state;
        let facts = self.identity.as_ref().map(Identity::facts);
        let next = facts.map_or(0, |facts| next_issue(state.issued, facts));
        self.planned().max(next).max(state.history.next_attempt())
    }

    /// One attempt at a renewal; why it was the last one, if it was.
    async fn renew(&mut self) -> Option<End> {
        let Err(Trouble { what, .. }) = self.obtain().await else { return None };
        let now = self.world.clock.now();
        let days_left = self.status.borrow().days_left(now).unwrap_or_default();
        let facts = self.identity.as_ref().map(Identity::facts);
        let late = facts.is_some_and(|it| (it.not_after - now) < it.lifetime() / 6);
        if late {
            tracing::error!(
                days_left,
                "the certificate is nearly over and was not renewed: {what}"
            );
        } else {
            tracing::warn!(days_left, "the certificate was not renewed: {what}");
        }
        if self.wanted().stop_on_renewal_error {
            return Some(End::Stopped { last: what });
        }
        let refused = self.keeper.state.history.refusals >= REFUSALS_MAX;
        refused.then_some(End::Refused { last: what })
    }

    fn end(&self, end: End) -> End {
        self.status.send_modify(|status| status.phase = Phase::Ended);
        tracing::error!("{end}");
        end
    }

    async fn take_settings(&mut self) {
        let wanted = Arc::clone(&self.settings.borrow_and_update());
        if let Err(error) = self.keeper.fit(&wanted).await {
            tracing::warn!(%error, "the files of another authority could not be taken away");
        }
        (self.window, self.ask_at) = (None, self.world.clock.now());
        self.status.send_modify(|status| status.renew_at = Some(self.planned()));
    }

    /// Asks the authority when it wants the certificate renewed. It need not answer.
    async fn ask_window(&mut self, now: i64) {
        let asked = self.window_of_authority().await;
        self.ask_at = ask_again(now, asked.map(|(_, after)| after));
        if let Some((window, _)) = asked {
            self.window = Some(window);
        }
        self.status.send_modify(|status| status.renew_at = Some(self.planned()));
    }

    async fn window_of_authority(&self) -> Option<(Window, i64)> {
        let id = self.replaced()?;
        let key = self.place.read_key(ACCOUNT_KEY).await.ok()??;
        let address = self.keeper.state.account.clone()?;
        let adapter = Adapter::new(Arc::clone(&self.world.transport));
        let directory = self.wanted().directory.clone();
        let account = Account::builder_with_http(Box::new(adapter))
            .from_parts(address, PrivatePkcs8KeyDer::from(key.expose()), directory)
            .await;
        let answer = match account {
            Ok(account) => account.renewal_info(&identifier(&id)).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok((info, after)) => {
                let window = info.suggested_window;
                let (start, end) = (window.start.unix_timestamp(), window.end.unix_timestamp());
                Some((Window { start, end }, i64::try_from(after.as_secs()).unwrap_or(i64::MAX)))
            }
            Err(error) => {
                tracing::debug!(%error, "the authority does not say when to renew");
                None
            }
        }
    }
}

/// The pair that is kept, if there is one. What is there and cannot be read is an error, and is never
/// replaced: it may be all that is left of a key that somebody relies on.
async fn load(place: &Place) -> Result<Option<Identity>, PlaceError> {
    let Some(key) = place.read_key(KEY).await? else { return Ok(None) };
    let mut reason = "its certificate is missing".to_owned();
    for name in [CHAIN, CHAIN_NEXT] {
        let Some(chain) = place.read(name).await? else { continue };
        match Identity::from_pem(chain.expose(), key.expose()) {
            Ok(identity) => {
                if name == CHAIN_NEXT {
                    // Broken off between the last two steps.
                    place.rename(CHAIN_NEXT, CHAIN).await?;
                }
                return Ok(Some(identity));
            }
            Err(error) if name == CHAIN => reason = format!("with {CHAIN}: {error}"),
            Err(_) => {}
        }
    }
    Err(PlaceError::new(place.path(KEY), reason))
}
