//! The faults, one function each: what it needs, what goes wrong, and who may notice.

use std::path::Path;
use std::time::{Duration, Instant};

use kms_testkit::database::{Builder, Cluster, Instance};
use kms_testkit::machine::Machine;
use kms_testkit::proxy::Proxy;
use kms_testkit::server::pause;

use super::load::Target;
use super::stage::{Backend, Reach, Stage, Trouble, Verdict};
use crate::Result;

/// What was seen: a name for what went wrong, and the verdict.
pub(super) type Seen = Vec<(&'static str, Verdict)>;

/// A fault: on this backend, so many times.
type Run = fn(&Path, Backend, u32) -> Result<Seen>;

/// A row of the table of faults.
pub(super) struct Scene {
    /// The word for it on the command line.
    pub(super) name: &'static str,
    /// The soak that it belongs to.
    pub(super) soak: &'static str,
    pub(super) on: &'static [Backend],
    pub(super) run: Run,
}

/// All faults.
pub(super) const SCENES: &[Scene] = &[
    Scene { name: "server", soak: "crash", on: &Backend::ALL, run: server_killed },
    Scene { name: "database", soak: "faults", on: &Backend::SERVERS, run: database_killed },
    Scene { name: "network", soak: "faults", on: &Backend::SERVERS, run: network },
    Scene { name: "pool", soak: "faults", on: &Backend::SERVERS, run: pool_exhausted },
    Scene { name: "limit", soak: "faults", on: &Backend::SERVERS, run: no_connection_left },
    Scene { name: "disk", soak: "faults", on: &Backend::ALL, run: disk_full },
    Scene { name: "clock", soak: "faults", on: &Backend::ALL, run: clock_set_back },
    Scene { name: "standby", soak: "faults", on: &[Backend::Postgres], run: standby_promoted },
    Scene { name: "galera", soak: "galera", on: &[Backend::MariaDb], run: node_killed },
];

fn wait(time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        pause();
    }
}

fn stage(program: &Path, backend: Backend, change: impl FnOnce(Builder) -> Builder) -> Stage {
    let instance = backend.kind().map(|kind| change(Instance::builder(kind)).start());
    let url = instance.as_ref().map(Instance::url);
    let mut stage = Stage::new(program.to_owned(), backend, url);
    stage.instance = instance;
    stage
}

/// Ends a run of several rounds: everything once more, by a server that has just started.
fn finish(mut stage: Stage, mut seen: Seen) -> Result<Seen> {
    if seen.len() == 1 {
        return Ok(seen);
    }
    seen.push(("all looked at again", stage.end()?));
    Ok(seen)
}

/// `kill -9` of the server, each time at another moment.
fn server_killed(program: &Path, backend: Backend, rounds: u32) -> Result<Seen> {
    let mut stage = stage(program, backend, |it| it);
    stage.servers = vec![stage.builder().start()];
    let mut seen = Seen::new();
    for round in 0..rounds {
        let load = Duration::from_millis(u64::from(150 + (round * 37) % 400));
        let verdict = stage.round(|stage, target| {
            wait(load);
            let from = Instant::now();
            stage.restart(target);
            Ok(Trouble { reach: Reach::Server, from, until: Instant::now() })
        })?;
        seen.push(("kill -9 of the server", verdict));
    }
    finish(stage, seen)
}

/// How long a database is down: longer than callers are let wait, and shorter.
const DOWN: [Duration; 4] = [
    Duration::from_millis(3500),
    Duration::from_millis(500),
    Duration::from_millis(1500),
    Duration::from_secs(6),
];

/// `kill -9` of the database, and its restart on the same port.
fn database_killed(program: &Path, backend: Backend, rounds: u32) -> Result<Seen> {
    let mut stage = stage(program, backend, |it| it);
    stage.servers = vec![stage.builder().start()];
    let mut seen = Seen::new();
    for round in 0..rounds {
        let verdict = stage.round(|stage, _| {
            let from = Instant::now();
            stage.database()?.kill();
            wait(DOWN.get(usize::try_from(round)? % DOWN.len()).copied().unwrap_or_default());
            stage.database()?.resume();
            Ok(Trouble { reach: Reach::All, from, until: Instant::now() })
        })?;
        seen.push(("kill -9 of the database", verdict));
    }
    finish(stage, seen)
}

/// What a network does to its users.
type Order = fn(&Proxy);

/// The network cut, swallowing, and slow.
fn network(program: &Path, backend: Backend, rounds: u32) -> Result<Seen> {
    const TROUBLES: [(&str, Order, Duration, Reach); 3] = [
        ("network cut", Proxy::unplug, Duration::from_millis(3500), Reach::All),
        ("network swallows", |it| it.hold(true), Duration::from_secs(4), Reach::All),
        (
            "network slow (40 ms more each way)",
            |it| it.delay(Duration::from_millis(40)),
            Duration::from_secs(2),
            Reach::Nobody,
        ),
    ];
    let mut stage = stage(program, backend, |it| it);
    let proxy = Proxy::to(stage.database()?.address());
    let direct = stage.url.take();
    stage.url = direct.map(|url| proxy.in_url(&url));
    stage.servers = vec![stage.builder().start()];
    let mut seen = Seen::new();
    for _ in 0..rounds {
        for (name, order, time, reach) in TROUBLES {
            let verdict = stage.round(|_, _| {
                let from = Instant::now();
                order(&proxy);
                wait(time);
                proxy.mend();
                proxy.hold(false);
                Ok(Trouble { reach, from, until: Instant::now() })
            })?;
            seen.push((name, verdict));
        }
    }
    finish(stage, seen)
}

/// All of the server's connections are stuck in statements that wait for somebody's lock, for longer
/// than callers wait for one of them.
fn pool_exhausted(program: &Path, backend: Backend, rounds: u32) -> Result<Seen> {
    let mut stage = stage(program, backend, |it| it);
    let few = stage.builder().environment("KMS_DATABASE_CONNECTIONS", "2");
    stage.servers = vec![few.start()];
    let lock = match backend {
        Backend::Postgres => {
            "BEGIN; LOCK TABLE objects IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(6); COMMIT"
        }
        _ => "LOCK TABLES objects WRITE; SELECT SLEEP(6); UNLOCK TABLES",
    };
    let mut seen = Seen::new();
    for _ in 0..rounds {
        let verdict = stage.round(|stage, _| {
            let from = Instant::now();
            stage.database()?.sql(lock);
            Ok(Trouble { reach: Reach::Some, from, until: Instant::now() })
        })?;
        seen.push(("pool exhausted", verdict));
    }
    finish(stage, seen)
}

/// The database ends all sessions of the server and lets it have one from now on.
fn no_connection_left(program: &Path, backend: Backend, rounds: u32) -> Result<Seen> {
    let mut stage = stage(program, backend, |it| it);
    stage.servers = vec![stage.builder().start()];
    let limit = |stage: &Stage, most: u32| -> Result<()> {
        let database = stage.database()?;
        match backend {
            Backend::Postgres => {
                let most = i64::from(most) - i64::from(most == 0);
                database.sql(&format!("ALTER ROLE kms CONNECTION LIMIT {most}"));
            }
            _ => {
                database.sql(&format!("ALTER USER kms@'%' WITH MAX_USER_CONNECTIONS {most}"));
            }
        }
        Ok(())
    };
    let mut seen = Seen::new();
    for _ in 0..rounds {
        let verdict = stage.round(|stage, _| {
            let from = Instant::now();
            limit(stage, 1)?;
            end_sessions(stage.database()?, backend);
            wait(Duration::from_secs(2));
            limit(stage, 0)?;
            Ok(Trouble { reach: Reach::Some, from, until: Instant::now() })
        })?;
        seen.push(("one connection left by the database", verdict));
    }
    finish(stage, seen)
}

fn end_sessions(database: &Instance, backend: Backend) {
    if backend == Backend::Postgres {
        database
            .sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'kms'");
    } else {
        // Gone already is as good.
        drop(database.try_sql(None, "KILL USER kms"));
    }
}

/// The disk of whoever keeps the objects has no room.
fn disk_full(program: &Path, backend: Backend, rounds: u32) -> Result<Seen> {
    let machine = Machine::new();
    let [preload, orders] = machine.environment();
    let mut stage = stage(program, backend, |builder| {
        let builder = builder.environment(preload.0, &preload.1).environment(orders.0, &orders.1);
        // Else it writes past the C library.
        if backend == Backend::MariaDb {
            builder.setting("innodb-use-native-aio", 0)
        } else {
            builder
        }
    });
    let mut builder = stage.builder();
    if backend == Backend::Sqlite {
        builder = builder.environment(preload.0, &*preload.1).environment(orders.0, &*orders.1);
    }
    stage.servers = vec![builder.start()];
    let mut seen = Seen::new();
    for _ in 0..rounds {
        let verdict = stage.round(|_, _| {
            let from = Instant::now();
            machine.fill_disk(true);
            wait(Duration::from_millis(1500));
            machine.fill_disk(false);
            Ok(Trouble { reach: Reach::Some, from, until: Instant::now() })
        })?;
        seen.push(("disk full", verdict));
    }
    finish(stage, seen)
}

/// The clock of the server's machine is set back by an hour, and forward again.
fn clock_set_back(program: &Path, backend: Backend, rounds: u32) -> Result<Seen> {
    let machine = Machine::new();
    let [preload, orders] = machine.environment();
    let mut stage = stage(program, backend, |it| it);
    let builder = stage.builder();
    let builder = builder.environment(preload.0, &*preload.1).environment(orders.0, &*orders.1);
    stage.servers = vec![builder.start()];
    let mut seen = Seen::new();
    for _ in 0..rounds {
        let verdict = stage.round(|_, _| {
            let from = Instant::now();
            machine.set_clock(-3600);
            wait(Duration::from_secs(1));
            machine.set_clock(0);
            Ok(Trouble { reach: Reach::Nobody, from, until: Instant::now() })
        })?;
        seen.push(("clock set back by an hour", verdict));
    }
    finish(stage, seen)
}

/// A primary that is killed, and its standby promoted, under two servers that know both.
fn standby_promoted(program: &Path, backend: Backend, rounds: u32) -> Result<Seen> {
    let mut seen = Seen::new();
    for _ in 0..rounds {
        let primary = Instance::start(kms_testkit::database::Kind::Postgres);
        let standby = primary.standby();
        let mut stage = Stage::new(program.to_owned(), backend, Some(url_of(&primary, &standby)));
        stage.instance = Some(standby);
        stage.servers = vec![stage.builder().start(), stage.builder().start()];
        let verdict = stage.round(|stage, _| Ok(take_over(&primary, stage.database()?)))?;
        seen.push(("standby promoted", verdict));
    }
    Ok(seen)
}

fn url_of(primary: &Instance, standby: &Instance) -> String {
    let both = format!("{},{}", primary.address(), standby.address());
    primary.url().replace(&primary.address().to_string(), &both)
}

fn take_over(primary: &Instance, standby: &Instance) -> Trouble {
    let from = Instant::now();
    primary.kill();
    wait(Duration::from_millis(700));
    standby.promote();
    Trouble { reach: Reach::All, from, until: Instant::now() }
}

/// The same with a standby that nobody waits for, and that has fallen behind: answers are lost, and
/// a judge who does not see it is no judge.
#[cfg(test)]
pub(super) fn trailing_standby_promoted(program: &Path) -> Result<(Verdict, String)> {
    let primary = Instance::start(kms_testkit::database::Kind::Postgres);
    let standby = primary.trailing_standby();
    let url = url_of(&primary, &standby);
    let mut stage = Stage::new(program.to_owned(), Backend::Postgres, Some(url));
    stage.servers = vec![stage.builder().start()];
    let verdict = stage.round(|_, _| {
        standby.sql_in("postgres", "ALTER SYSTEM SET primary_conninfo = ''");
        standby.sql_in("postgres", "SELECT pg_reload_conf()");
        wait(Duration::from_millis(500));
        Ok(take_over(&primary, &standby))
    })?;
    let log = stage.servers.first().map(kms_testkit::server::Server::log).unwrap_or_default();
    Ok((verdict, log))
}

/// A node of three is killed, and comes back, under three servers that each begin with another.
fn node_killed(program: &Path, backend: Backend, rounds: u32) -> Result<Seen> {
    let cluster = Cluster::start(3);
    let mut stage = Stage::new(program.to_owned(), backend, Some(cluster.url()));
    for first in 0..3 {
        let url = cluster.url_from(first);
        let builder = stage.builder_on(Some(&url));
        stage.servers.push(builder.start());
    }
    let mut seen = Seen::new();
    for round in 0..rounds {
        let victim = usize::try_from(round % 3)?;
        let killed = stage.round(|_, _| {
            let from = Instant::now();
            cluster.kill(victim);
            // The others settle that it is gone.
            cluster.node((victim + 1) % 3).sql("CREATE TABLE IF NOT EXISTS t (n INT PRIMARY KEY)");
            Ok(Trouble { reach: Reach::Some, from, until: Instant::now() })
        })?;
        seen.push(("kill -9 of one node of three", killed));
        let back = stage.round(|_: &mut Stage, _: &Target| {
            let from = Instant::now();
            cluster.resume(victim);
            Ok(Trouble { reach: Reach::Some, from, until: Instant::now() })
        })?;
        seen.push(("the node comes back", back));
    }
    finish(stage, seen)
}
