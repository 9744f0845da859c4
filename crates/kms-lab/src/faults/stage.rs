//! What a fault befalls: servers on a database, callers that write, and somebody who watches.
//! A round is one fault, with what was seen of it judged. It must not know the faults.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use kms_testkit::database::Instance;
use kms_testkit::server::{self, Server, pause};

use super::load::{self, Journal, Look, Outcome, Target};
use super::look::{self, Findings};
use crate::Result;

/// Callers that write at the same time.
const WRITERS: usize = 8;
/// How many changes are answered before anything goes wrong.
const BEFORE: usize = 24;
/// How soon all is well again when what was wrong is over.
const RECOVERY: Duration = Duration::from_secs(2);
/// How much longer callers go on, to be seen.
const AFTER: Duration = Duration::from_millis(700);
/// How long `/health` may take to say that the database is gone: a connection in use has to be given
/// up first where nothing tells that it is dead.
const TOLD: Duration = Duration::from_secs(3);

/// Where objects are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Backend {
    Sqlite,
    Postgres,
    MariaDb,
}

impl Backend {
    pub(super) const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::MariaDb];
    pub(super) const SERVERS: [Self; 2] = [Self::Postgres, Self::MariaDb];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::MariaDb => "MariaDB",
        }
    }

    /// The variable that names the database.
    pub(super) fn variable(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("KMS_POSTGRES_URL"),
            Self::MariaDb => Some("KMS_MYSQL_URL"),
        }
    }

    pub(super) fn kind(self) -> Option<kms_testkit::database::Kind> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(kms_testkit::database::Kind::Postgres),
            Self::MariaDb => Some(kms_testkit::database::Kind::MariaDb),
        }
    }
}

/// What callers may notice of a fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reach {
    /// Nothing: all is answered, and `/health` says so.
    Nobody,
    /// Some are told to try again; `/health` may say either.
    Some,
    /// Nothing can be done meanwhile, and `/health` says so.
    All,
    /// The server itself is gone.
    Server,
}

/// When something was wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble {
    pub(super) reach: Reach,
    pub(super) from: Instant,
    pub(super) until: Instant,
}

/// What was seen of one fault.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) done: usize,
    pub(super) denied: usize,
    pub(super) doubt: usize,
    pub(super) findings: Findings,
    /// What else should not be.
    pub(super) faults: Vec<String>,
    /// How soon `/health` said what was wrong.
    pub(super) told: Option<Duration>,
    /// How soon a change succeeded when nothing was wrong any more.
    pub(super) recovered: Option<Duration>,
}

impl Verdict {
    /// Whether all is as it should be.
    pub(super) fn is_good(&self) -> bool {
        let Findings { lost, half } = &self.findings;
        lost.is_empty() && half.is_empty() && self.faults.is_empty()
    }
}

/// Servers, and what they stand on.
pub(super) struct Stage {
    pub(super) program: PathBuf,
    pub(super) backend: Backend,
    pub(super) url: Option<String>,
    /// A database that can be asked whether anything is there by half.
    pub(super) instance: Option<Instance>,
    pub(super) servers: Vec<Server>,
    next_number: u64,
    everything: Journal,
}

impl Stage {
    /// One without servers yet.
    pub(super) fn new(program: PathBuf, backend: Backend, url: Option<String>) -> Self {
        Self {
            program,
            backend,
            url,
            instance: None,
            servers: Vec::new(),
            next_number: 0,
            everything: Journal::default(),
        }
    }

    /// A server on the database of this stage, not started yet.
    pub(super) fn builder(&self) -> server::Builder {
        self.builder_on(self.url.as_deref())
    }

    /// The same on another database.
    pub(super) fn builder_on(&self, url: Option<&str>) -> server::Builder {
        let builder = Server::builder().binary(&self.program);
        match (self.backend.variable(), url) {
            (Some(variable), Some(url)) => builder.environment(variable, url),
            _ => builder,
        }
    }

    /// The database server that goes wrong.
    pub(super) fn database(&self) -> Result<&Instance> {
        self.instance.as_ref().ok_or_else(|| "there is no database server".into())
    }

    fn addresses(&self) -> Vec<std::net::SocketAddr> {
        self.servers.iter().map(Server::address).collect()
    }

    /// Kills all servers, and starts them again where they were.
    pub(super) fn restart(&mut self, target: &Target) {
        for server in &mut self.servers {
            server.kill();
        }
        self.servers = std::mem::take(&mut self.servers).into_iter().map(Server::restart).collect();
        target.moves(self.addresses());
    }

    /// Lets callers write, lets `fault` happen, and judges.
    pub(super) fn round(
        &mut self,
        fault: impl FnOnce(&mut Self, &Target) -> Result<Trouble>,
    ) -> Result<Verdict> {
        let target = Target::new(self.addresses(), self.next_number);
        let mut trouble = None;
        let mut looks = Vec::new();
        std::thread::scope(|scope| -> Result<()> {
            let _ends = Ends(&target);
            for writer in 0..WRITERS {
                let target = &target;
                scope.spawn(move || load::write(target, writer));
            }
            let watcher = scope.spawn(|| load::watch(&target));
            wait_for_answers(&target);
            let outcome = fault(self, &target);
            if let Ok(trouble) = &outcome {
                let until = trouble.until + RECOVERY + AFTER;
                while Instant::now() < until {
                    pause();
                }
            }
            target.ends();
            looks = watcher.join().map_err(|_panicked| "who watches panicked")?;
            trouble = Some(outcome?);
            Ok(())
        })?;
        let journal = target.journal();
        let last = journal.things.keys().next_back().copied();
        self.next_number = last.map_or(self.next_number, |last| last + 1);
        let trouble = trouble.ok_or("nothing went wrong")?;
        let mut verdict = judge(trouble, &journal, &looks);
        self.look(&journal, &mut verdict)?;
        self.everything.extend(journal);
        Ok(verdict)
    }

    /// Looks at all that was answered in all rounds once more, by a server that has just started.
    pub(super) fn end(&mut self) -> Result<Verdict> {
        self.servers = std::mem::take(&mut self.servers).into_iter().map(Server::restart).collect();
        let journal = std::mem::take(&mut self.everything);
        let mut verdict = Verdict::default();
        self.look(&journal, &mut verdict)?;
        Ok(verdict)
    }

    fn look(&self, journal: &Journal, verdict: &mut Verdict) -> Result<()> {
        let server = self.servers.last().ok_or("there is no server")?;
        verdict.findings = look::things(server, journal);
        let mut directories: Vec<PathBuf> =
            self.servers.iter().map(|server| server.directory().to_owned()).collect();
        directories.sort();
        directories.dedup();
        verdict.faults.extend(look::unrecorded(&directories, journal)?);
        for server in &self.servers {
            let command = self.builder().directory_of(server);
            for words in CHECKS {
                let command = words.iter().fold(command.clone(), |it, word| it.argument(*word));
                let command = command.argument("--root-dir").argument(server.directory());
                let ended = command.run();
                if !ended.status.success() {
                    let (code, said) = (ended.status, ended.stdout + &ended.stderr);
                    verdict.faults.push(format!("{} ended with {code}: {said}", words.join(" ")));
                }
            }
        }
        Ok(())
    }
}

/// Lets nobody wait for callers that nobody ends, should the fault be one of ours.
struct Ends<'a>(&'a Target);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.ends();
    }
}

/// What the server's program itself finds out.
const CHECKS: &[&[&str]] = &[&["audit", "verify"]];

fn wait_for_answers(target: &Target) {
    const PATIENCE: Duration = Duration::from_secs(30);
    let until = Instant::now() + PATIENCE;
    while target.done() < BEFORE && Instant::now() < until {
        pause();
    }
}

fn judge(trouble: Trouble, journal: &Journal, looks: &[Look]) -> Verdict {
    let Trouble { reach, from, until } = trouble;
    let mut verdict = Verdict {
        done: journal.count(&Outcome::Done),
        denied: journal.count(&Outcome::Denied),
        doubt: journal.count(&Outcome::Doubt),
        ..Verdict::default()
    };
    let requests = &journal.requests;
    let done = requests.iter().filter(|it| it.outcome == Outcome::Done);
    let first = done.map(|it| it.ended).filter(|ended| *ended >= until).min();
    verdict.recovered = first.map(|first| first - until);
    if first.is_none_or(|first| first > until + RECOVERY) {
        verdict.faults.push(format!("no change succeeded within {RECOVERY:?} of the end"));
    }
    for request in requests {
        match &request.outcome {
            Outcome::Strange(said) => {
                verdict.faults.push(format!("a failure that says neither retry nor not: {said}"));
            }
            Outcome::Done => {}
            failed => {
                let late = request.begun > until + RECOVERY;
                if late || request.ended < from || reach == Reach::Nobody {
                    verdict.faults.push(format!("{failed:?} though nothing was wrong"));
                }
            }
        }
    }
    if reach != Reach::Server {
        judge_health(trouble, looks, &mut verdict);
    }
    // One of each is enough to read.
    verdict.faults.sort();
    verdict.faults.dedup();
    verdict
}

fn judge_health(trouble: Trouble, looks: &[Look], verdict: &mut Verdict) {
    let Trouble { reach, from, until } = trouble;
    let down = looks.iter().find(|look| !look.is_up && look.at >= from && look.at <= until);
    verdict.told = down.map(|look| look.at - from);
    if looks.is_empty() {
        verdict.faults.push("/health was never answered".to_owned());
    }
    for look in looks {
        let (says, wrong) = match (look.is_up, reach) {
            (true, Reach::All) => ("UP", look.at > from + TOLD && look.at < until),
            (false, Reach::Nobody) => ("DOWN", true),
            (false, _) => ("DOWN", look.at < from || look.at > until + RECOVERY),
            _ => continue,
        };
        if wrong {
            verdict.faults.push(format!("/health says {says}, and that is not so"));
        }
    }
}
