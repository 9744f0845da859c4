//! The record of every decision: one line for each item of each request, allowed or refused.
//!
//! A *use* changes nothing: its record is appended to the log and handed to the operating system
//! before the answer leaves. The record of a *change* is a row of the change's own transaction; the
//! log gets it when that is on the disk, and the row goes when the log is. While the log cannot be
//! written nothing is decided. Must never know what an operation does.

mod entry;
mod open;
mod table;

use std::cell::RefCell;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use kmip::enumerations::ResultReason;
use kms_audit::{Log, Ticket};
use kms_store::{AuditChange, AuditHead, AuditRecorder, AuditWrite, Store, Write};

use crate::Service;
use crate::clock::Clock;
use crate::custody::Vault;
use crate::error::{Again, Error, Result};
use crate::principal::{Caller, RequestId};
use crate::unit::{Unit, from_store};

pub(crate) use entry::UNDONE;
pub use entry::{Act, REQUEST};
use entry::{SUCCESS, Who};
use open::BESIDE;
pub use open::{AuditError, AuditKept, AuditOptions, AuditPlace, AuditReport, verify_audit};
pub(crate) use open::{beside, record_beside};

/// The records of refused callers that are written in a second; those beyond are counted. Anybody
/// can cause them, and must not be able to fill the disk.
const REFUSED_MAX: u64 = 100;
/// How many rows are read at once.
const PAGE: usize = 500;
/// The member that names the row of a change.
const CHANGE: &str = "change";
/// The operation of the record of a refused caller, and its result.
const AUTHENTICATE: &str = "Authenticate";
const NOT_AUTHENTICATED: &str = "AuthenticationNotSuccessful";

thread_local! {
    /// Where bodies are written, so that none is allocated.
    static BODY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The audit log of a service; none where it is switched off.
#[derive(Default)]
pub(crate) struct Audit(Option<Box<On>>);

struct On {
    store: Store,
    vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
    /// The name by which changes that are made beside the server are kept for it.
    server: String,
    /// The name of its log, and of the rows of its changes.
    chain: String,
    /// The number of the next change.
    number: AtomicU64,
    journal: Arc<Journal>,
    refused: Mutex<Refused>,
    /// The last record that the database knows to be on the disk.
    head: AtomicU64,
}

/// The log, as the store's commits see it.
struct Journal {
    log: Log,
    pending: Mutex<Pending>,
}

/// Rows of changes that are on their way into the log.
#[derive(Default)]
struct Pending {
    /// Rows that were appended: the record's number in the log, the row's epoch and number.
    appended: Vec<(u64, u64, u64)>,
    /// Rows of which nobody knows whether they are there.
    doubtful: Vec<AuditChange>,
    /// Rows of others, that were appended and are still there.
    foreign: HashSet<u64>,
}

/// Callers that were refused within a second.
#[derive(Default)]
struct Refused {
    second: i64,
    written: u64,
    more: u64,
}

impl Journal {
    fn take(&self, change: &AuditChange) {
        let ticket = self.log.append(&change.body);
        lock(&self.pending).appended.push((ticket.seq(), change.epoch, change.number));
    }
}

/// What the store holds of the journal: nothing that would keep it, since a log may be kept in the
/// store. What is not heard of stays in the database, and is taken in at the next start.
struct Recorder(Weak<Journal>);

impl AuditRecorder for Recorder {
    fn committed(&self, change: AuditChange) {
        if let Some(journal) = self.0.upgrade() {
            journal.take(&change);
        }
    }

    fn doubtful(&self, change: AuditChange) {
        if let Some(journal) = self.0.upgrade() {
            lock(&journal.pending).doubtful.push(change);
        }
    }
}

/// How the record of a decision is made: who asked, and what for.
#[derive(Clone, Copy)]
pub(crate) struct Decision<'a> {
    pub(crate) caller: Caller<'a>,
    pub(crate) act: Act<'a>,
}

impl Audit {
    /// Refuses while nothing can be recorded.
    pub(crate) fn ready(&self) -> Result<()> {
        match &self.0 {
            None => Ok(()),
            Some(on) => on.journal.log.ready().map_err(|failure| closed(&failure)),
        }
    }

    /// Appends the record of a decision that changed nothing. It counts when it is settled.
    pub(crate) fn used(&self, decision: Decision<'_>, result: Option<&Error>) -> Option<Ticket> {
        let result = result.map_or(SUCCESS, reason);
        self.append(decision.caller.into(), &decision.act, result)
    }

    /// The same for what was taken back.
    pub(crate) fn undone(&self, decision: Decision<'_>) -> Option<Ticket> {
        self.append(decision.caller.into(), &decision.act, UNDONE)
    }

    fn append(&self, who: Who<'_>, act: &Act<'_>, result: &str) -> Option<Ticket> {
        let on = self.0.as_deref()?;
        let append = |out: &mut Vec<u8>| {
            entry::write(out, on.clock.now_ms(), who, act, result);
            on.journal.log.append(out)
        };
        BODY.try_with(|body| body.try_borrow_mut().ok().map(|mut body| append(&mut body)))
            .ok()
            .flatten()
            // The thread ends.
            .or_else(|| Some(append(&mut Vec::new())))
    }

    /// Adds the record of the change that `unit` makes to it.
    pub(crate) fn change(&self, decision: Decision<'_>, unit: &mut Unit) {
        let Some(on) = self.0.as_deref() else { return };
        let (epoch, at) = (on.journal.log.epoch(), on.journal.log.next());
        let number = on.number.fetch_add(1, Ordering::Relaxed);
        let mut body = Vec::with_capacity(384);
        entry::write(&mut body, on.clock.now_ms(), decision.caller.into(), &decision.act, SUCCESS)
            .text(CHANGE, &name(epoch, number));
        let (server, mac) = (on.chain.clone(), Vec::new());
        let change = AuditChange { server, epoch, number, at, body, mac, sealed_by: 0 };
        unit.write(Write::Audit(AuditWrite::Change(signed(&on.vault, change))));
    }

    /// Sees to it that a record is where it has to be before the answer leaves.
    pub(crate) async fn settle(&self, ticket: Option<Ticket>) -> Result<()> {
        let (Some(on), Some(ticket)) = (self.0.as_deref(), ticket) else { return Ok(()) };
        let log = &on.journal.log;
        if log.is_handed_over(ticket) {
            return Ok(());
        }
        // The other requests of this thread append theirs, and one write takes all of them.
        tokio::task::yield_now().await;
        log.hand_over(ticket).await.map_err(|failure| closed(&failure))
    }
}

/// The row's name in its record.
fn name(epoch: u64, number: u64) -> String {
    format!("{epoch}-{number}")
}

fn signed(vault: &Vault, mut change: AuditChange) -> AuditChange {
    // Without keys the commit is refused as a whole.
    if let Ok(keys) = vault.current() {
        change.sealed_by = keys.generation();
        change.mac = keys.audit_change_mac(&change);
    }
    change
}

fn reason(error: &Error) -> &'static str {
    error.reason.name().unwrap_or("GeneralFailure")
}

fn closed(failure: &kms_audit::Failure) -> Error {
    Error::passing(
        Again::Yes,
        ResultReason::GeneralFailure,
        "the audit log cannot be written, and nothing is done that cannot be recorded; tell the \
         operator",
    )
    .because(failure.clone())
}

/// Nothing that holds one of these locks can stop halfway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Service {
    /// Whether what is decided can be recorded; none where nothing is.
    pub fn audit_status(&self) -> Option<std::result::Result<(), String>> {
        let on = self.audit.0.as_deref()?;
        Some(on.journal.log.ready().map_err(|failure| failure.to_string()))
    }

    /// Records that somebody was not let in: `why` in a word or two, and nothing that was offered.
    /// They are refused whether it can be recorded or not.
    pub async fn record_refused(
        &self,
        peer: Option<SocketAddr>,
        request: RequestId<'_>,
        why: &str,
    ) {
        let Some(on) = self.audit.0.as_deref() else { return };
        if !on.may_record_refused() {
            return;
        }
        let who = Who { principal: None, peer, request };
        let act = Act { operation: AUTHENTICATE, detail: Some(why), ..Act::default() };
        let ticket = self.audit.append(who, &act, NOT_AUTHENTICATED);
        if let Err(error) = self.audit.settle(ticket).await {
            tracing::debug!(%error, "a refused caller was not recorded");
        }
    }

    /// Records what was decided without a change, and passes the result on. What cannot be recorded
    /// is refused.
    pub async fn recorded<'a, T>(
        &self,
        caller: impl Into<Caller<'a>>,
        act: Act<'_>,
        result: Result<T>,
    ) -> Result<T> {
        self.audit.ready()?;
        let decision = Decision { caller: caller.into(), act };
        let ticket = self.audit.used(decision, result.as_ref().err());
        self.audit.settle(ticket).await?;
        result
    }

    /// Records that a request was refused before anything was decided about an object.
    pub async fn record_unread(
        &self,
        caller: Caller<'_>,
        act: Act<'_>,
        reason: ResultReason,
    ) -> Result<()> {
        self.audit.ready()?;
        let error = Error::new(reason, String::new());
        let ticket = self.audit.used(Decision { caller, act }, Some(&error));
        self.audit.settle(ticket).await
    }

    /// What has to be done about once a second: rows of changes that are in the log on the disk go,
    /// the database learns how far the log is, and what was done beside the server is recorded.
    pub async fn keep_audit(&self) -> Result<()> {
        let Some(on) = self.audit.0.as_deref() else { return Ok(()) };
        on.count_refused();
        on.clear_doubts().await?;
        on.take_foreign().await?;
        on.note_durable().await
    }
}

impl On {
    /// Whether one more refused caller is recorded in this second; if not, it is counted.
    fn may_record_refused(&self) -> bool {
        let is_open = self.journal.log.ready().is_ok();
        let second = self.clock.now();
        let mut refused = lock(&self.refused);
        if refused.second != second {
            (refused.second, refused.written) = (second, 0);
        }
        let may = is_open && refused.written < REFUSED_MAX;
        if may {
            refused.written += 1;
        } else {
            refused.more += 1;
        }
        may
    }

    /// Records how many refused callers were not recorded one by one.
    fn count_refused(&self) {
        // What waits for the log is in memory: one line at its end instead of one a second.
        if self.journal.log.ready().is_err() {
            return;
        }
        let more = std::mem::take(&mut lock(&self.refused).more);
        if more == 0 {
            return;
        }
        let act = Act { operation: AUTHENTICATE, detail: Some("too many"), ..Act::default() };
        let mut body = Vec::new();
        entry::write(&mut body, self.clock.now_ms(), Who::default(), &act, NOT_AUTHENTICATED)
            .number("count", more);
        self.journal.log.append(&body);
    }

    /// Looks whether rows of commits with an unknown fate are there.
    async fn clear_doubts(&self) -> Result<()> {
        loop {
            let Some(change) = lock(&self.journal.pending).doubtful.pop() else { return Ok(()) };
            let place = (change.epoch, change.number);
            match self.store.audit_changes(&self.chain, (place, place), 1).await {
                Ok(rows) if rows.is_empty() => {}
                Ok(_) => self.journal.take(&change),
                Err(error) => {
                    lock(&self.journal.pending).doubtful.push(change);
                    return Err(from_store(error));
                }
            }
        }
    }

    /// Takes in what commands did beside the server.
    async fn take_foreign(&self) -> Result<()> {
        let rows = self.store.audit_changes(&self.server, BESIDE, PAGE).await;
        let rows = rows.map_err(from_store)?;
        for row in rows {
            self.vault.meet(row.sealed_by).await?;
            if lock(&self.journal.pending).foreign.insert(row.number) {
                self.take(row);
            }
        }
        Ok(())
    }

    /// Appends a row to the log if it is genuine; one that is not is recorded as such.
    fn take(&self, change: AuditChange) {
        let AuditChange { epoch, number, .. } = change;
        if self.vault.is_genuine_change(&change) {
            self.journal.take(&change);
            return;
        }
        tracing::error!(epoch, number, "the record of a change in the database was altered");
        let name = name(epoch, number);
        let act = Act { operation: "Recover", detail: Some(&name), ..Act::default() };
        let mut body = Vec::new();
        entry::write(&mut body, self.clock.now_ms(), Who::default(), &act, "Altered");
        self.journal.take(&AuditChange { body, ..change });
    }

    /// Removes the rows that are in the log on the disk, and notes how far that is.
    async fn note_durable(&self) -> Result<()> {
        let log = &self.journal.log;
        let durable = log.durable();
        let mut done = Vec::new();
        lock(&self.journal.pending).appended.retain(|row| {
            let waits = row.0 > durable.seq;
            if !waits {
                done.push(*row);
            }
            waits
        });
        let head = self.head.load(Ordering::Relaxed);
        if done.is_empty() && durable.seq == head {
            return Ok(());
        }
        let mut rows: Vec<_> = done.iter().map(|(_, epoch, number)| (*epoch, *number)).collect();
        let copied = |(epoch, from, to)| {
            let server = if epoch == 0 { &self.server } else { &self.chain };
            AuditWrite::Copied { server: server.clone(), epoch, from, to }
        };
        let mut writes: Vec<_> = runs(&mut rows).into_iter().map(copied).collect();
        let keys = match self.vault.sealing().await {
            Ok(keys) => keys,
            Err(error) => {
                lock(&self.journal.pending).appended.append(&mut done);
                return Err(error);
            }
        };
        let mut head = AuditHead {
            server: self.chain.clone(),
            epoch: log.epoch(),
            seq: durable.seq,
            chain: durable.mac.to_vec(),
            mac: Vec::new(),
            sealed_by: keys.generation(),
        };
        head.mac = keys.audit_head_mac(&head);
        writes.push(AuditWrite::Head(head));
        let writes = writes.into_iter().map(Write::Audit).collect();
        let committed = self.store.commit(Vec::new(), writes).await.map_err(from_store);
        let mut pending = lock(&self.journal.pending);
        if committed.is_ok() {
            self.head.store(durable.seq, Ordering::Relaxed);
            for (epoch, number) in rows {
                if epoch == 0 {
                    pending.foreign.remove(&number);
                }
            }
        } else {
            pending.appended.append(&mut done);
        }
        committed
    }
}

/// Numbers that follow each other, as an epoch with the first and the last of them.
fn runs(rows: &mut [(u64, u64)]) -> Vec<(u64, u64, u64)> {
    rows.sort_unstable();
    let mut runs: Vec<(u64, u64, u64)> = Vec::new();
    for (epoch, number) in rows {
        match runs.last_mut() {
            Some(run) if run.0 == *epoch && run.2.checked_add(1) == Some(*number) => {
                run.2 = *number;
            }
            _ => runs.push((*epoch, *number, *number)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn numbers_that_follow_each_other_are_one_run() {
        let mut rows = [(2, 5), (1, 1), (2, 4), (2, 7), (1, 2), (0, u64::MAX), (1, 3)];
        assert_eq!(runs(&mut rows), [(0, u64::MAX, u64::MAX), (1, 1, 3), (2, 4, 5), (2, 7, 7)]);
    }
}
