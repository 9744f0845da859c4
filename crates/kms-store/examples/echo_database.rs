//! The echo that the benchmark compares a server on a database with: hyper, and the store's driver. It
//! reads a body, asks the database for one row by its key, or inserts the rows of a new key, and
//! answers as many bytes as the path says. It must not do any other work.
#![expect(clippy::print_stderr, reason = "a program for a person at a terminal")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sqlx::mysql::{MySqlPool, MySqlPoolOptions};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{Executor as _, Row as _};
use tokio::net::TcpListener;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What answers are cut from.
static ZEROES: [u8; 1 << 20] = [0; 1 << 20];
/// As many as the benchmark has connections.
const CONNECTIONS: u32 = 16;

enum Pool {
    Postgres(PgPool),
    MySql(MySqlPool),
}

/// The rows of one key, as the server has written them.
struct Sample {
    id: String,
    owner: Vec<u8>,
    state: Vec<u8>,
    object_type: i64,
    indexed: Vec<u8>,
    object: Vec<u8>,
    material: Vec<u8>,
    kinds: Vec<i64>,
    values: Vec<Vec<u8>>,
}

struct Echo {
    pool: Pool,
    sample: Sample,
    next: AtomicU64,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (url, address) = (arguments.next().ok_or("a URL")?, arguments.next().ok_or("an address")?);
    let address: SocketAddr = address.parse()?;
    let pool = Pool::open(&url).await?;
    let sample = pool.sample().await?;
    let echo = Arc::new(Echo { pool, sample, next: AtomicU64::new(0) });
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let echo = Arc::clone(&echo);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&echo), request));
            // A connection that breaks concerns nobody but its peer.
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn answer(
    echo: Arc<Echo>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Failure> {
    let path = request.uri().path().to_owned();
    let (what, size) = path.trim_start_matches('/').split_once('/').unwrap_or(("", "0"));
    let size: usize = size.parse()?;
    request.into_body().collect().await?;
    let done = match what {
        "read" => echo.read().await,
        "insert" => echo.insert().await,
        _ => Ok(()),
    };
    if let Err(failure) = &done {
        eprintln!("{failure}");
    }
    done?;
    Ok(Response::new(Full::new(Bytes::from_static(ZEROES.get(..size).unwrap_or_default()))))
}

impl Pool {
    async fn open(url: &str) -> Result<Self, Failure> {
        if url.starts_with("postgres") {
            let pool = PgPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
            let pool = pool.connect(url).await?;
            for statement in [
                "DROP TABLE IF EXISTS echo_objects, echo_index",
                "CREATE TABLE echo_objects (LIKE objects INCLUDING ALL)",
                "CREATE TABLE echo_index (LIKE object_index INCLUDING ALL)",
            ] {
                pool.execute(statement).await?;
            }
            return Ok(Self::Postgres(pool));
        }
        let pool = MySqlPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
        let pool = pool.connect(url).await?;
        for statement in [
            "DROP TABLE IF EXISTS echo_objects, echo_index",
            "CREATE TABLE echo_objects LIKE objects",
            "CREATE TABLE echo_index LIKE object_index",
        ] {
            pool.execute(statement).await?;
        }
        Ok(Self::MySql(pool))
    }

    /// The rows of the last key that the server made.
    async fn sample(&self) -> Result<Sample, Failure> {
        match self {
            Self::Postgres(pool) => {
                let row = sqlx::query(
                    "SELECT seq, id, convert_to(owner, 'UTF8'), convert_to(state, 'UTF8'), \
                     object_type, indexed, object, material FROM objects ORDER BY seq DESC LIMIT 1",
                );
                let row = row.fetch_one(pool).await?;
                let entries = sqlx::query("SELECT kind, value FROM object_index WHERE seq = $1");
                let entries = entries.bind(row.get::<i64, _>(0)).fetch_all(pool).await?;
                Ok(Sample {
                    id: row.get(1),
                    owner: row.get(2),
                    state: row.get(3),
                    object_type: row.get(4),
                    indexed: row.get(5),
                    object: row.get(6),
                    material: row.get(7),
                    kinds: entries.iter().map(|entry| entry.get(0)).collect(),
                    values: entries.iter().map(|entry| entry.get(1)).collect(),
                })
            }
            Self::MySql(pool) => {
                let row = sqlx::query(
                    "SELECT seq, id, owner, state, object_type, indexed, object, material \
                     FROM objects ORDER BY seq DESC LIMIT 1",
                );
                let row = row.fetch_one(pool).await?;
                let entries = sqlx::query("SELECT kind, `value` FROM object_index WHERE seq = ?");
                let entries = entries.bind(row.get::<i64, _>(0)).fetch_all(pool).await?;
                Ok(Sample {
                    id: String::from_utf8(row.get(1))?,
                    owner: row.get(2),
                    state: row.get(3),
                    object_type: row.get(4),
                    indexed: row.get(5),
                    object: row.get(6),
                    material: row.get(7),
                    kinds: entries.iter().map(|entry| entry.get(0)).collect(),
                    values: entries.iter().map(|entry| entry.get(1)).collect(),
                })
            }
        }
    }
}

impl Echo {
    /// One column of one row.
    async fn read(&self) -> Result<(), Failure> {
        let id = &self.sample.id;
        let version: i64 = match &self.pool {
            Pool::Postgres(pool) => {
                let query = sqlx::query_scalar("SELECT version FROM objects WHERE id = $1");
                query.bind(id).fetch_one(pool).await?
            }
            Pool::MySql(pool) => {
                let query = sqlx::query_scalar("SELECT version FROM objects WHERE id = ?");
                query.bind(id).fetch_one(pool).await?
            }
        };
        if version < 0 { Err("a removed object".into()) } else { Ok(()) }
    }

    async fn insert(&self) -> Result<(), Failure> {
        let id = format!("{:032}", self.next.fetch_add(1, Ordering::Relaxed));
        match &self.pool {
            Pool::Postgres(pool) => self.insert_at_once(pool, &id).await,
            Pool::MySql(pool) => self.insert_by_tables(pool, &id).await,
        }
    }

    /// One statement for both tables.
    async fn insert_at_once(&self, pool: &PgPool, id: &str) -> Result<(), Failure> {
        let sample = &self.sample;
        let query = sqlx::query(
            "WITH made AS (INSERT INTO echo_objects (id, version, owner, object_type, state, due, \
             material_generation, indexed, object, material) VALUES ($1, 1, \
             convert_from($2, 'UTF8'), $3, convert_from($4, 'UTF8'), NULL, 1, $5, $6, $7) \
             RETURNING seq) INSERT INTO echo_index (kind, value, seq) \
             SELECT e.kind, e.value, made.seq \
             FROM made, unnest($8::bigint[], $9::bytea[]) AS e(kind, value)",
        );
        query
            .bind(id)
            .bind(&sample.owner)
            .bind(sample.object_type)
            .bind(&sample.state)
            .bind(&sample.indexed)
            .bind(&sample.object)
            .bind(&sample.material)
            .bind(&sample.kinds)
            .bind(&sample.values)
            .execute(pool)
            .await?;
        Ok(())
    }

    /// One statement for each table, in a transaction.
    async fn insert_by_tables(&self, pool: &MySqlPool, id: &str) -> Result<(), Failure> {
        let sample = &self.sample;
        let mut transaction = pool.begin().await?;
        let query = sqlx::query(
            "INSERT INTO echo_objects (id, version, owner, object_type, state, due, \
             material_generation, indexed, object, material) \
             VALUES (?, 1, ?, ?, ?, NULL, 1, ?, ?, ?)",
        );
        let made = query
            .bind(id)
            .bind(&sample.owner)
            .bind(sample.object_type)
            .bind(&sample.state)
            .bind(&sample.indexed)
            .bind(&sample.object)
            .bind(&sample.material)
            .execute(&mut *transaction)
            .await?;
        let places = vec!["(?, ?, ?)"; sample.kinds.len()].join(", ");
        let text = format!("INSERT INTO echo_index (kind, `value`, seq) VALUES {places}");
        let mut query = sqlx::query(sqlx::AssertSqlSafe(text));
        for (kind, value) in sample.kinds.iter().zip(&sample.values) {
            query = query.bind(kind).bind(value).bind(made.last_insert_id());
        }
        query.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }
}
