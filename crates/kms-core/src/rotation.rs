//! Leaving a data key behind: every row that an older one seals is sealed anew by the current one,
//! while servers serve; then the older one is removed.
//!
//! One worker at a time does it, whichever server or command takes the turn first, and another goes on
//! when it falls silent. It goes through the same commits as everything else, a few objects at a time:
//! each names the versions that were read, so that nothing of what others do meanwhile is lost. What
//! is sealed already is not looked at again, so that it can be stopped at any moment. It must never
//! know who asked for it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kms_crypto::random;
use kms_store::{
    AuditWrite, Grant, KeyringWrite, SealedCount, SealedRows, SealedTable, Usage, Write,
};

use crate::Service;
use crate::api_token::TokenError;
use crate::error::{Error, Result};
use crate::grant;
use crate::object::Object;
use crate::unit::from_store;
use crate::vault::Keys;

/// How long a data key is kept after a newer one came into use: every server has looked at the keyring
/// by then, and has ended what it had begun.
pub(crate) const GRACE: Duration = Duration::from_secs(5);
/// What the worker's turn is noted under.
const TURN: &str = "keyring_worker";
/// How often the worker says that it is at it, and after how much silence another goes on.
const BEAT: Duration = Duration::from_secs(1);
const SILENCE: Duration = Duration::from_secs(6);
/// How many objects are listed at once.
const PAGE: usize = 16_384;
/// How many objects one commit takes, and how many bytes of them at most.
const OBJECTS: usize = 128;
const OBJECTS_BYTES: usize = 4 << 20;
/// How many such commits are under way at once.
const COMMITS: usize = 4;
/// How many other rows one commit takes.
const ROWS: usize = 256;
/// The most rows that are passed over because they cannot be opened.
const ALTERED_MAX: usize = 10_000;
/// How often the files are emptied of what was removed while readers are in the way.
const SCRUBS: usize = 100;
/// How often a commit is tried that others came before.
const TRIES: usize = 8;

/// What is left to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows that an older data key seals.
    pub left: u64,
    /// Those of them whose data key rests, or rested, in the clear.
    pub exposed: u64,
    /// Rows that were sealed anew since the work was taken up.
    pub done: u64,
}

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// There is one data key, and nothing to be done.
    Nothing,
    /// Somebody else is at it.
    Elsewhere(Progress),
    /// All is sealed by the current data key, and the older ones are gone.
    Done(Progress),
    /// Rows could not be opened, and keep their data key: so many, and the name of one.
    Altered(u64, String),
}

/// The work as a whole.
#[derive(Default)]
pub(crate) struct Rotation {
    /// What was seen of another worker, and since when it is so.
    seen: Mutex<Option<(String, Instant)>>,
    done: AtomicU64,
    left: AtomicI64,
    exposed: AtomicI64,
    counted: AtomicBool,
}

/// One worker's turn.
struct Worker<'a> {
    service: &'a Service,
    name: String,
    /// What was noted last, and when.
    note: String,
    noted: Instant,
    /// The older generations, and whether each rests in the clear.
    older: Vec<(u32, bool)>,
    altered: HashSet<String>,
}

impl Rotation {
    pub(crate) fn progress(&self) -> Progress {
        let whole = |number: &AtomicI64| number.load(Ordering::Relaxed).max(0).cast_unsigned();
        let done = self.done.load(Ordering::Relaxed);
        Progress { left: whole(&self.left), exposed: whole(&self.exposed), done }
    }

    fn count(&self, left: u64, exposed: u64) {
        self.left.store(left.cast_signed(), Ordering::Relaxed);
        self.exposed.store(exposed.cast_signed(), Ordering::Relaxed);
        self.counted.store(true, Ordering::Relaxed);
    }

    /// Whether what another worker noted has not changed for so long that it is gone.
    fn is_silent(&self, note: &str) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match &*seen {
            Some((known, since)) if known == note => since.elapsed() >= SILENCE,
            _ => {
                *seen = Some((note.to_owned(), Instant::now()));
                false
            }
        }
    }
}

/// What a worker notes: its name, a number that rises, and how far it is.
fn spell(name: &str, beat: u64, progress: Progress) -> String {
    let Progress { left, exposed, done } = progress;
    format!("{name} {beat} {left} {exposed} {done}")
}

/// How far the worker is that noted this.
fn read_note(note: &str) -> Progress {
    let mut numbers = note.split(' ').skip(2).map(|it| it.parse().unwrap_or_default());
    let mut next = || numbers.next().unwrap_or_default();
    Progress { left: next(), exposed: next(), done: next() }
}

impl Service {
    /// Whether older data keys are in use beside the current one.
    pub fn is_rotating(&self) -> bool {
        self.vault.older().next().is_some()
    }

    /// What is left to be sealed anew, as whoever is at it has noted; none where nobody has counted.
    pub fn rotation(&self) -> Option<Progress> {
        if !self.is_rotating() {
            return Some(Progress { left: 0, exposed: 0, ..self.rotation.progress() });
        }
        self.rotation.counted.load(Ordering::Relaxed).then(|| self.rotation.progress())
    }

    /// Learns how far another worker is.
    pub(crate) async fn watch_rotation(&self) -> std::result::Result<(), kms_store::Error> {
        let note = self.store.note(TURN).await?;
        if let Some(note) = note.filter(|note| !note.is_empty()) {
            let Progress { left, exposed, .. } = read_note(&note);
            self.rotation.count(left, exposed);
        }
        Ok(())
    }

    /// Seals anew what older data keys seal, unless somebody else is at it, and removes them. Goes on
    /// where it was left.
    pub async fn reseal(&self) -> Result<Turn> {
        let older: Vec<_> = self.vault.older().collect();
        if older.is_empty() {
            return Ok(Turn::Nothing);
        }
        let noted = self.store.note(TURN).await.map_err(from_store)?;
        if let Some(note) = &noted
            && !note.is_empty()
            && !self.rotation.is_silent(note)
        {
            let progress = read_note(note);
            self.rotation.count(progress.left, progress.exposed);
            return Ok(Turn::Elsewhere(progress));
        }
        let name = random::bytes::<8>().map(hex::encode).map_err(Error::internal)?;
        let mut worker = Worker {
            service: self,
            note: noted.clone().unwrap_or_default(),
            noted: Instant::now(),
            name,
            older,
            altered: HashSet::new(),
        };
        self.rotation.done.store(0, Ordering::Relaxed);
        if !worker.take(noted).await? {
            return Ok(Turn::Elsewhere(self.rotation.progress()));
        }
        tracing::info!(
            generation = self.vault.current()?.generation(),
            left = self.rotation.progress().left,
            "sealing anew what older data keys seal"
        );
        let outcome = worker.run().await;
        // The next one need not wait for silence.
        worker.leave().await;
        outcome
    }
}

impl Worker<'_> {
    /// Takes the turn; false if somebody was faster.
    async fn take(&mut self, expected: Option<String>) -> Result<bool> {
        self.count().await?;
        let value = spell(&self.name, 0, self.service.rotation.progress());
        let write = KeyringWrite::Note { key: TURN, value: value.clone(), expected };
        self.note = value;
        match self.service.store.change_keyring(vec![write], None).await {
            Ok(()) => Ok(true),
            Err(kms_store::Error::Conflict { .. } | kms_store::Error::Exists { .. }) => Ok(false),
            Err(error) => Err(from_store(error)),
        }
    }

    /// Says that it is at it, from time to time; an error if somebody has taken its turn.
    async fn beat(&mut self) -> Result<()> {
        if self.noted.elapsed() < BEAT { Ok(()) } else { self.say().await }
    }

    async fn say(&mut self) -> Result<()> {
        let beat = self.note.split(' ').nth(1).and_then(|it| it.parse::<u64>().ok());
        let progress = self.service.rotation.progress();
        let value = spell(&self.name, beat.unwrap_or_default().saturating_add(1), progress);
        self.put_note(value).await
    }

    async fn put_note(&mut self, value: String) -> Result<()> {
        let expected = Some(self.note.clone());
        let write = KeyringWrite::Note { key: TURN, value: value.clone(), expected };
        self.service.store.change_keyring(vec![write], None).await.map_err(from_store)?;
        (self.note, self.noted) = (value, Instant::now());
        Ok(())
    }

    async fn leave(&mut self) {
        if let Err(error) = self.put_note(String::new()).await {
            tracing::debug!(%error, "the turn of the keyring's worker was not given back");
        }
    }

    /// Counts what is left; what is sealed by a data key that there is not is not counted.
    async fn count(&self) -> Result<Vec<SealedCount>> {
        let counts = self.service.store.sealed_counts().await.map_err(from_store)?;
        let mut ours = Vec::new();
        let (mut left, mut exposed) = (0_u64, 0_u64);
        for count in counts {
            let known = self.older.iter().find(|(generation, _)| *generation == count.generation);
            let Some((_, is_clear)) = known else { continue };
            left = left.saturating_add(count.rows);
            if *is_clear {
                exposed = exposed.saturating_add(count.rows);
            }
            ours.push(count);
        }
        self.service.rotation.count(left, exposed);
        Ok(ours)
    }

    /// Notes that rows of a generation were sealed anew.
    fn made(&self, generation: u32, rows: usize) {
        let rotation = &self.service.rotation;
        rotation.done.fetch_add(rows as u64, Ordering::Relaxed);
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        rotation.left.fetch_sub(rows, Ordering::Relaxed);
        if self.older.contains(&(generation, true)) {
            rotation.exposed.fetch_sub(rows, Ordering::Relaxed);
        }
    }

    /// Goes through all tables, until nothing is left but what cannot be opened.
    async fn run(&mut self) -> Result<Turn> {
        loop {
            self.altered.clear();
            for (generation, _) in self.older.clone() {
                self.objects(generation).await?;
                for table in SealedTable::ALL {
                    self.table(table, generation).await?;
                }
            }
            let left = self.count().await?;
            let rows = left.iter().fold(0_u64, |sum, count| sum.saturating_add(count.rows));
            if rows == 0 {
                self.wait_for_others().await?;
                if self.count().await?.is_empty() && self.remove_older().await? {
                    return Ok(Turn::Done(self.service.rotation.progress()));
                }
                // Somebody wrote a row just now, or has taken the turn.
                self.say().await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            if rows <= self.altered.len() as u64 {
                let name = self.altered.iter().next().cloned().unwrap_or_default();
                tracing::error!(
                    rows,
                    name,
                    "rows in the database were altered, and cannot be \
                    sealed anew; their data key stays; see `kms-server verify`"
                );
                return Ok(Turn::Altered(rows, name));
            }
            // What others came before, or are just writing.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Until every server must have seen the current data key.
    async fn wait_for_others(&mut self) -> Result<()> {
        loop {
            let left = GRACE.saturating_sub(self.service.vault.current_for());
            if left.is_zero() {
                return Ok(());
            }
            tokio::time::sleep(left.min(BEAT)).await;
            self.beat().await?;
        }
    }

    fn alter(&mut self, name: String) -> Result<()> {
        self.altered.insert(name);
        if self.altered.len() > ALTERED_MAX {
            return Err(Error::internal("too many rows in the database were altered"));
        }
        Ok(())
    }

    /// Objects in the order of their places, several commits at a time. A page is sorted by shard: so
    /// a commit changes the sums of few, and two at once change those of different ones.
    async fn objects(&mut self, generation: u32) -> Result<()> {
        let mut after = 0;
        loop {
            let table = SealedTable::Objects;
            let rows = self.service.store.sealed_rows(table, generation, after, PAGE).await;
            let SealedRows::Objects(mut places) = rows.map_err(from_store)? else { return Ok(()) };
            let Some(last) = places.last() else { return Ok(()) };
            after = last.seq;
            places.sort_by_key(|place| place.shard);
            let ids: Vec<String> = places.into_iter().map(|place| place.id).collect();
            // Those at once lie far apart.
            let quarter = ids.len().div_ceil(COMMITS).max(1);
            let mut lanes: Vec<_> = ids.chunks(quarter).map(|lane| lane.chunks(OBJECTS)).collect();
            loop {
                let parts = lanes.iter_mut().map(Iterator::next).collect::<Vec<_>>();
                if parts.iter().all(Option::is_none) {
                    break;
                }
                self.commits(&parts, generation).await?;
                self.beat().await?;
            }
        }
    }

    /// Some commits at once.
    async fn commits(&mut self, parts: &[Option<&[String]>], generation: u32) -> Result<()> {
        let part = |at: usize| parts.get(at).copied().flatten().unwrap_or_default();
        let run = |at| self.service.reseal_objects(part(at), generation);
        let (a, b, c, d) = tokio::join!(run(0), run(1), run(2), run(3));
        for outcome in [a, b, c, d] {
            let (made, altered) = outcome?;
            self.made(generation, made);
            altered.into_iter().try_for_each(|id| self.alter(id))?;
        }
        Ok(())
    }

    /// The other tables, a page at a time until nothing comes any more.
    async fn table(&mut self, table: SealedTable, generation: u32) -> Result<()> {
        loop {
            let limit = ROWS.saturating_add(self.altered.len());
            let rows = self.service.store.sealed_rows(table, generation, 0, limit).await;
            let before = self.service.rotation.progress().done;
            match rows.map_err(from_store)? {
                SealedRows::Objects(_) => return Ok(()),
                SealedRows::Grants(rows) => self.grants(rows, generation).await?,
                SealedRows::Usage(rows) => self.usage(rows, generation).await?,
                SealedRows::ApiTokens => {
                    let (made, altered) = self.service.reseal_tokens(generation).await?;
                    self.made(generation, made);
                    return altered.into_iter().try_for_each(|name| self.alter(name));
                }
                rows => {
                    let writes = self.audit_rows(rows).await?;
                    self.audit(writes, generation).await?;
                }
            }
            self.beat().await?;
            if self.service.rotation.progress().done == before {
                return Ok(());
            }
        }
    }

    /// The rows of the audit log's tables as the current data key seals them.
    async fn audit_rows(&mut self, rows: SealedRows) -> Result<Vec<AuditWrite>> {
        let service = self.service;
        let keys = service.vault.sealing().await?;
        let mut writes = Vec::new();
        match rows {
            SealedRows::AuditEpochs(rows) => {
                for mut row in rows {
                    let Some(key) = service.vault.open_audit_key(&row) else {
                        self.alter(format!("audit_epochs/{}/{}", row.server, row.epoch))?;
                        continue;
                    };
                    let before = std::mem::take(&mut row.sealed);
                    row.sealed_by = keys.generation();
                    row.sealed = keys.seal_audit_key(&row, &*key)?;
                    writes.push(AuditWrite::ResealEpoch { row, before });
                }
            }
            SealedRows::AuditHeads(rows) => {
                for mut head in rows {
                    if !service.vault.is_genuine_head(&head) {
                        self.alter(format!("audit_heads/{}", head.server))?;
                        continue;
                    }
                    head.sealed_by = keys.generation();
                    let mac = keys.audit_head_mac(&head);
                    let before = std::mem::replace(&mut head.mac, mac);
                    writes.push(AuditWrite::ResealHead { head, before });
                }
            }
            SealedRows::AuditChanges(rows) => {
                for mut change in rows {
                    if !service.vault.is_genuine_change(&change) {
                        let (epoch, number) = (change.epoch, change.number);
                        self.alter(format!("audit_changes/{}/{epoch}/{number}", change.server))?;
                        continue;
                    }
                    change.sealed_by = keys.generation();
                    let mac = keys.audit_change_mac(&change);
                    let before = std::mem::replace(&mut change.mac, mac);
                    writes.push(AuditWrite::ResealChange { change, before });
                }
            }
            _ => {}
        }
        Ok(writes)
    }

    async fn audit(&self, writes: Vec<AuditWrite>, generation: u32) -> Result<()> {
        let count = writes.len();
        let writes = writes.into_iter().map(Write::Audit).collect();
        self.service.store.commit(Vec::new(), writes).await.map_err(from_store)?;
        self.made(generation, count);
        Ok(())
    }

    async fn usage(&mut self, rows: Vec<(String, Usage)>, generation: u32) -> Result<()> {
        let keys = self.service.vault.sealing().await?;
        let mut made: usize = 0;
        for (id, usage) in rows {
            let Ok(counters) = self.service.vault.open_usage(&id, &usage) else {
                self.alter(format!("usage/{id}"))?;
                continue;
            };
            let sealed = keys.seal_usage(&id, &counters)?;
            let (sealed_by, expected) = (keys.generation(), Some(usage.sealed));
            let write = Write::PutUsage { id, sealed, sealed_by, expected };
            match self.service.store.commit(Vec::new(), vec![write]).await {
                Ok(()) => made = made.saturating_add(1),
                // Somebody counted, and has sealed it anew with that.
                Err(kms_store::Error::Conflict { .. }) => {}
                Err(error) => return Err(from_store(error)),
            }
        }
        self.made(generation, made);
        Ok(())
    }

    /// Grants are proved anew while their objects stay as they are: a grant that is withdrawn raises
    /// its object's version, and does not come back by this.
    async fn grants(&mut self, rows: Vec<Grant>, generation: u32) -> Result<()> {
        let keys = self.service.vault.sealing().await?;
        let ids: HashSet<String> = rows.into_iter().map(|row| row.id).collect();
        for id in ids {
            let (made, altered) = self.service.reseal_grants(&id, generation, &keys).await?;
            self.made(generation, made);
            altered.into_iter().try_for_each(|name| self.alter(name))?;
            self.beat().await?;
        }
        Ok(())
    }

    /// Removes the older data keys, which seal nothing any more. False if one still does.
    async fn remove_older(&mut self) -> Result<bool> {
        let service = self.service;
        let mut writes = service.vault.without_older(&self.older)?;
        let value = spell(&self.name, u64::MAX, service.rotation.progress());
        let expected = Some(self.note.clone());
        writes.push(KeyringWrite::Note { key: TURN, value: value.clone(), expected });
        let generations: Vec<_> = self.older.iter().map(|(it, _)| it.to_string()).collect();
        let detail = generations.join(",");
        let act = crate::audit::Act {
            operation: "keyring rotated",
            detail: Some(&detail),
            ..crate::audit::Act::default()
        };
        let record =
            crate::audit::record_beside(&service.store, &service.vault, &*service.clock, act).await;
        let record = record.map_err(from_store)?;
        match service.store.change_keyring(writes, Some(record)).await {
            Ok(()) => self.note = value,
            Err(kms_store::Error::Conflict { .. }) => return Ok(false),
            Err(error) => return Err(from_store(error)),
        }
        service.vault.refresh().await.map_err(from_store)?;
        tracing::info!(
            generations = detail,
            "older data keys seal nothing any more, and are removed"
        );
        service.scrub().await?;
        Ok(true)
    }
}

impl Service {
    /// Leaves nothing of what was removed in the database's files.
    async fn scrub(&self) -> Result<()> {
        for _ in 0..SCRUBS {
            if self.store.scrub().await.map_err(from_store)? {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tracing::warn!("readers keep what was removed from the database in its log for now");
        Ok(())
    }

    /// Seals some objects anew, in as few commits as their size allows: how many were, and which could
    /// not be opened. What others change meanwhile they seal anew themselves.
    async fn reseal_objects(
        &self,
        ids: &[String],
        generation: u32,
    ) -> Result<(usize, Vec<String>)> {
        let (mut made, mut altered) = (0_usize, Vec::new());
        let mut waiting: Vec<&String> = ids.iter().rev().collect();
        let mut alone = false;
        while !waiting.is_empty() {
            let mut unit = self.unit();
            let (mut bytes, mut taken) = (0_usize, Vec::new());
            while (taken.is_empty() || !alone)
                && bytes < OBJECTS_BYTES
                && let Some(id) = waiting.pop()
            {
                let Some(cached) = self.store.object(id).await.map_err(from_store)? else {
                    continue;
                };
                if cached.row.sealed_by != generation {
                    continue;
                }
                let Ok(object) = Object::open_row(&self.vault, &cached) else {
                    altered.push(id.clone());
                    continue;
                };
                if alone && cached.row.material.is_some() && object.open(&self.vault).is_err() {
                    altered.push(id.clone());
                    continue;
                }
                bytes = bytes
                    .saturating_add(cached.row.record.len())
                    .saturating_add(cached.row.material.as_ref().map_or(0, Vec::len));
                unit.update(&object, object.record().clone());
                taken.push(id);
            }
            match unit.commit().await {
                Ok(()) => made = made.saturating_add(taken.len()),
                // One of them was changed, and so sealed anew already, or cannot be opened: each by itself.
                Err(_) if taken.len() > 1 => {
                    alone = true;
                    waiting.extend(taken);
                }
                Err(error) if error.retry => {}
                Err(error) => return Err(error),
            }
        }
        Ok((made, altered))
    }

    async fn reseal_grants(
        &self,
        id: &str,
        generation: u32,
        keys: &Keys,
    ) -> Result<(usize, Vec<String>)> {
        for _ in 0..TRIES {
            let Some(cached) = self.store.object(id).await.map_err(from_store)? else {
                return Ok((0, vec![format!("read_access/{id}")]));
            };
            let Ok(object) = Object::open_row(&self.vault, &cached) else {
                return Ok((0, vec![format!("read_access/{id}")]));
            };
            let (mut writes, mut altered) = (Vec::new(), Vec::new());
            for row in self.store.grants(id).await.map_err(from_store)? {
                if row.sealed_by != generation {
                    continue;
                }
                let epoch = grant::epoch(object.record(), &row.user);
                if self.vault.is_genuine(&row, epoch) {
                    writes.push(Write::PutGrant(keys.sign_grant(row, epoch)));
                } else {
                    altered.push(format!("read_access/{id}/{}", row.user));
                }
            }
            let made = writes.len();
            let reads = vec![(id.to_owned(), Some(cached.row.version))];
            match self.store.commit(reads, writes).await {
                Ok(()) => return Ok((made, altered)),
                Err(kms_store::Error::Conflict { .. }) => {}
                Err(error) => return Err(from_store(error)),
            }
        }
        // Somebody changes it all the time; the next round comes back to it.
        Ok((0, Vec::new()))
    }

    async fn reseal_tokens(&self, generation: u32) -> Result<(usize, Vec<String>)> {
        match self.api_tokens().reseal(generation).await {
            Ok(made) => Ok(made),
            Err(TokenError::Store(error)) => Err(from_store(error)),
            Err(error) => Err(Error::internal(error)),
        }
    }
}
