//! The log from one run of the server to the next: begun where the last one ended, with what that
//! one left behind; ended; and checked. Must never know what a record says.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use kms_audit::{
    BEGINNING, Body, Epoch, Expected, Files, Finding, Log, OWN, Position, START, STOP, Setup,
    Source, Sync, Verdict, What,
};
use kms_crypto::random;
use kms_store::{AuditChange, AuditEpoch, AuditHead, AuditWrite, Store, Write};
use tokio::runtime::Handle;

use super::table::Table;
use super::{
    Act, Audit, CHANGE, Journal, On, PAGE, Pending, Recorder, Refused, SUCCESS, Who, entry, lock,
    name, signed,
};
use crate::Service;
use crate::clock::Clock;
use crate::custody::Vault;
use crate::error::Error;

/// The length of a server's name in its log.
const SERVER_LENGTH: usize = 16;
/// What the chain in the database is called beside the one in files.
const TABLE: &str = "-table";
/// The least and the greatest place of a row.
const ALL: ((u64, u64), (u64, u64)) = ((0, 0), (u64::MAX, u64::MAX));
/// The same for rows that were made beside a server.
pub(super) const BESIDE: ((u64, u64), (u64, u64)) = ((0, 0), (0, u64::MAX));

/// Where the log of a server is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPlace {
    /// Files or the database.
    pub kept: AuditKept,
    /// What the server is called among those that share its database; none where it is the only one.
    /// At most one server that runs may have the name.
    pub server: Option<String>,
}

/// What a log is kept in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditKept {
    /// In files of this directory.
    Files(PathBuf),
    /// In the database.
    Database,
}

/// How decisions are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditOptions {
    /// Where.
    pub place: AuditPlace,
    /// Whether the record of a use is on the disk before it is answered. In the database it always
    /// is.
    pub each: bool,
    /// The size at which a file is ended.
    pub file_size: usize,
}

/// Why the log cannot be opened, or not be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The directory cannot hold it.
    #[error("{0}")]
    Refused(#[from] kms_audit::Refused),
    /// It cannot be read or written.
    #[error("the audit log cannot be read or written: {0}")]
    Log(#[from] io::Error),
    /// It cannot be written any more.
    #[error("{0}")]
    Closed(#[from] kms_audit::Failure),
    /// The database failed.
    #[error("{0}")]
    Store(#[from] kms_store::Error),
    /// Something else failed.
    #[error("the audit log cannot be begun: {0}")]
    Start(Error),
}

/// What a check of the log found.
#[derive(Debug)]
pub struct AuditReport {
    /// Where the log is.
    pub place: String,
    /// Whether it is as it was written.
    pub verdict: Verdict,
}

/// What the one server of a database is called; also, where there are several, what those who change
/// something beside them leave its record for.
fn server(store: &Store) -> String {
    store.database_id().chars().take(SERVER_LENGTH).collect()
}

impl AuditPlace {
    fn chain(&self, store: &Store) -> String {
        let server = self.server.clone().unwrap_or_else(|| server(store));
        match self.kept {
            AuditKept::Files(_) => server,
            AuditKept::Database => server + TABLE,
        }
    }

    /// The place in words.
    pub fn describe(&self) -> String {
        match &self.kept {
            AuditKept::Files(directory) => format!("files in {}", directory.display()),
            AuditKept::Database => "the database, table audit_log".to_owned(),
        }
    }
}

/// The two kinds of log, as they are read.
enum Place {
    Files(Files),
    Table(Table),
}

impl Place {
    fn of(place: &AuditPlace, store: &Store, epochs: &[AuditEpoch]) -> Self {
        let chain = place.chain(store);
        match &place.kept {
            AuditKept::Files(directory) => Self::Files(Files::new(directory, &chain)),
            AuditKept::Database => Self::Table(Table {
                store: store.clone(),
                chain,
                epochs: epochs.iter().map(|it| (it.epoch, it.first)).collect(),
                runtime: Handle::current(),
            }),
        }
    }

    fn source(&self) -> &dyn Source {
        match self {
            Self::Files(files) => files,
            Self::Table(table) => table,
        }
    }
}

/// Reads a log on a thread that may wait.
async fn reading<T: Send + 'static>(
    place: &Arc<Place>,
    read: impl FnOnce(&dyn Source) -> io::Result<T> + Send + 'static,
) -> Result<T, AuditError> {
    let place = Arc::clone(place);
    let read = tokio::task::spawn_blocking(move || read(place.source())).await;
    Ok(read.map_err(io::Error::other)??)
}

impl Service {
    /// From now on every decision is recorded. What the last run left behind is taken in first.
    pub async fn open_audit(&mut self, options: &AuditOptions) -> Result<(), AuditError> {
        let Self { store, vault, clock, .. } = self;
        let on = open(store.clone(), Arc::clone(vault), Arc::clone(clock), options).await?;
        on.recover(&options.place).await?;
        store.set_audit_recorder(Arc::new(Recorder(Arc::downgrade(&on.journal))));
        self.audit = Audit(Some(Box::new(on)));
        Ok(())
    }

    /// Ends the log in order: all of it is on the disk, and the database knows.
    pub async fn close_audit(&self) -> Result<(), AuditError> {
        let Some(on) = self.audit.0.as_deref() else { return Ok(()) };
        on.count_refused();
        on.clear_doubts().await.map_err(AuditError::Start)?;
        let mut body = Vec::new();
        Body::begin(&mut body, on.clock.now_ms()).text(OWN, STOP);
        let ticket = on.journal.log.append(&body);
        on.journal.log.flush(ticket).await?;
        on.note_durable().await.map_err(AuditError::Start)
    }
}

async fn open(
    store: Store,
    vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
    options: &AuditOptions,
) -> Result<On, AuditError> {
    let chain = options.place.chain(&store);
    let epochs = store.audit_epochs(&chain).await?;
    let head = head(&store, &vault, &chain).await?.map_or(0, |(_, head)| head.seq);
    let place = Arc::new(Place::of(&options.place, &store, &epochs));
    if let Place::Files(files) = &*place {
        files.admit()?;
    }
    let (end, parts) = reading(&place, |it| Ok((kms_audit::end(it)?, it.parts()?))).await?;
    let previous = end.unwrap_or(Position { seq: 0, mac: BEGINNING });
    if head > previous.seq {
        let lost = head - previous.seq;
        tracing::error!(lost, "the end of the audit log is missing; see `kms-server audit verify`");
    }
    let known = epochs.last().map_or(0, |it| it.epoch);
    let epoch = known.max(parts.last().map_or(0, |it| it.epoch)).saturating_add(1);
    let key = random::bytes().map_err(|cause| AuditError::Start(Error::internal(cause)))?;
    let first = previous.seq.saturating_add(1);
    let keys = vault.current().map_err(AuditError::Start)?;
    let (name, sealed) = (chain.clone(), Vec::new());
    let sealed_by = keys.generation();
    let mut row = AuditEpoch { server: name, epoch, first, head, sealed, sealed_by };
    row.sealed = keys.seal_audit_key(&row, &key).map_err(AuditError::Start)?;
    store.commit(Vec::new(), vec![Write::Audit(AuditWrite::Epoch(row))]).await?;
    let (sink, sync) = match &*place {
        Place::Files(files) => {
            (files.sink(epoch), if options.each { Sync::Each } else { Sync::Group })
        }
        Place::Table(table) => (table.sink(), Sync::Each),
    };
    let part_size = match options.place.kept {
        AuditKept::Files(_) => options.file_size,
        AuditKept::Database => usize::MAX,
    };
    let time = Arc::clone(&clock);
    let setup =
        Setup { key, epoch, previous, sync, part_size, clock: Arc::new(move || time.now_ms()) };
    let log = Log::start(sink, setup)?;
    let mut body = Vec::new();
    Body::begin(&mut body, clock.now_ms())
        .text(OWN, START)
        .number("epoch", epoch)
        .hex("previous", &previous.mac)
        .number("head", head);
    log.append(&body);
    Ok(On {
        server: server(&store),
        store,
        vault,
        clock,
        chain,
        number: AtomicU64::new(1),
        journal: Arc::new(Journal { log, pending: Mutex::new(Pending::default()) }),
        refused: Mutex::new(Refused::default()),
        head: AtomicU64::new(0),
    })
}

impl On {
    /// Takes in the changes that are not known to be in the log: each is there once afterwards.
    async fn recover(&self, place: &AuditPlace) -> Result<(), AuditError> {
        let epochs = self.store.audit_epochs(&self.chain).await?;
        let place = Arc::new(Place::of(place, &self.store, &epochs));
        loop {
            let rows = self.left_behind().await?;
            let Some(from) = rows.iter().map(|row| row.at).min() else { break };
            let wanted: HashSet<String> =
                rows.iter().map(|row| name(row.epoch, row.number)).collect();
            let there = reading(&place, move |it| find(it, from, &wanted)).await?;
            let count = rows.len();
            for row in rows {
                if there.contains(&name(row.epoch, row.number)) {
                    // In the log, and on the disk when what follows it is.
                    let seq = self.journal.log.last().seq();
                    lock(&self.journal.pending).appended.push((seq, row.epoch, row.number));
                } else {
                    self.take(row);
                }
            }
            tracing::info!(count, "took records of changes into the audit log after a crash");
            self.settle_start().await?;
        }
        self.settle_start().await
    }

    /// Rows of changes, some at a time: those of this log, and those that were made beside a server.
    async fn left_behind(&self) -> Result<Vec<AuditChange>, AuditError> {
        let rows = self.store.audit_changes(&self.chain, ALL, PAGE).await?;
        if !rows.is_empty() {
            return Ok(rows);
        }
        Ok(self.store.audit_changes(&self.server, BESIDE, PAGE).await?)
    }

    /// Waits until all that was appended is on the disk, and lets the database know.
    async fn settle_start(&self) -> Result<(), AuditError> {
        self.journal.log.flush(self.journal.log.last()).await?;
        self.note_durable().await.map_err(AuditError::Start)
    }
}

/// Which of the changes are in the log from a record on.
fn find(source: &dyn Source, from: u64, wanted: &HashSet<String>) -> io::Result<HashSet<String>> {
    let mut there = HashSet::new();
    kms_audit::since(source, from, &mut |line| {
        if let Some(name) = kms_audit::text(line, CHANGE).filter(|name| wanted.contains(*name)) {
            there.insert(name.to_owned());
        }
    })?;
    Ok(there)
}

/// Where the database says that the log is at least; none if it was never told, or was altered.
async fn head(
    store: &Store,
    vault: &Vault,
    chain: &str,
) -> Result<Option<(u64, Position)>, kms_store::Error> {
    let Some(head) = store.audit_head(chain).await? else { return Ok(None) };
    let AuditHead { epoch, seq, .. } = head;
    let mac = <[u8; 32]>::try_from(head.chain.as_slice()).ok();
    let mac = mac.filter(|_| vault.is_genuine_head(&head));
    if mac.is_none() {
        tracing::error!("how far the audit log is was altered in the database");
    }
    Ok(mac.map(|mac| (epoch, Position { seq, mac })))
}

/// Checks the log against what the database knows: all of it, or from a record on. The server may be
/// running.
pub async fn verify_audit(
    store: &Store,
    vault: &Vault,
    place: &AuditPlace,
    from: Option<u64>,
) -> Result<AuditReport, AuditError> {
    let verdict = match verified(store, vault, place, from).await? {
        // A server that was started just now had not begun when the database was read.
        Err(Finding { what: What::UnknownEpoch { .. }, .. }) => {
            verified(store, vault, place, from).await?
        }
        verdict => verdict,
    };
    Ok(AuditReport { place: place.describe(), verdict })
}

async fn verified(
    store: &Store,
    vault: &Vault,
    place: &AuditPlace,
    from: Option<u64>,
) -> Result<Verdict, AuditError> {
    let chain = place.chain(store);
    // Before the log is read, which only gets longer.
    let head = head(store, vault, &chain).await?;
    let rows = store.audit_epochs(&chain).await?;
    let epoch = |row: &AuditEpoch| Epoch {
        number: row.epoch,
        first: row.first,
        head: row.head,
        key: vault.open_audit_key(row),
    };
    let expected = Expected { epochs: rows.iter().map(epoch).collect(), head, from };
    let source = Arc::new(Place::of(place, store, &rows));
    reading(&source, move |it| kms_audit::verify(it, &expected)).await
}

/// The record of a change that is made beside the server, for the change's own transaction. The
/// server takes it into its log within a second, or when it starts.
pub(crate) async fn beside(
    store: &Store,
    vault: &Vault,
    clock: &dyn Clock,
    act: Act<'_>,
) -> Result<Write, kms_store::Error> {
    let change = record_beside(store, vault, clock, act).await?;
    Ok(Write::Audit(AuditWrite::Change(change)))
}

/// The same for a change of the keyring.
pub(crate) async fn record_beside(
    store: &Store,
    vault: &Vault,
    clock: &dyn Clock,
    act: Act<'_>,
) -> Result<AuditChange, kms_store::Error> {
    let server = server(store);
    // The log has this record already, and will have the change's after it.
    let at = store.audit_head(&server).await?.map_or(0, |head| head.seq);
    let random = random::bytes().map(u64::from_be_bytes);
    let number = random.map_err(|cause| kms_store::Error::Unavailable(cause.to_string()))? >> 1;
    let mut body = Vec::new();
    entry::write(&mut body, clock.now_ms(), Who::default(), &act, SUCCESS)
        .text(CHANGE, &name(0, number));
    let change = AuditChange { server, epoch: 0, number, at, body, mac: Vec::new(), sealed_by: 0 };
    Ok(signed(vault, change))
}
