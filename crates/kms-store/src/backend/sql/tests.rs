//! How the databases run our statements: by indexes, whatever they believe of the tables.

use std::sync::Arc;

use kmip::enumerations::{ObjectType, State};
use kms_testkit::database::{Database, Kind, database};

use super::Server;
use super::driver::Value;
use super::lists::{PARTS, statement};
use super::query::Query;
use super::search::{Lead, step};
use crate::backend::dialect::{Dialect, Sql};
use crate::backend::statement::Statement;
use crate::cache::Cache;
use crate::commit::Commit;
use crate::record::{Condition, IndexEntry, Row, Search, Write};
use crate::{Address, Product, Remote};

const NAME: u32 = 0x42_0053;
const DATE: u32 = 0x42_0005;

async fn server(kind: Kind) -> (Server, Database) {
    let database = database(kind);
    let product = if kind == Kind::Postgres { Product::Postgres } else { Product::MySql };
    let address = Address::parse(product, &database.url()).unwrap();
    let cache = Arc::new(Cache::shared(1 << 20, std::time::Duration::ZERO));
    let server = Server::open(&address, &Remote::default(), false, cache).await.unwrap();
    (server, database)
}

/// Objects of a few owners, types and states, with names and dates of their own.
async fn fill(server: &Server, count: u32) {
    let put = |number: u32| {
        let row = Row {
            id: format!("object {number}"),
            owner: format!("owner {}", number % 3),
            object_type: ObjectType(1 + number % 2),
            state: State(1 + number % 3),
            version: 1,
            due: number.is_multiple_of(5).then(|| number.into()),
            record: vec![1; 300],
            material_generation: 1,
            material: Some(vec![2; 60]),
            shard: 0,
            sealed_by: 1,
        };
        let entry = |kind, value: u32| IndexEntry { kind, value: value.to_be_bytes().to_vec() };
        let index = vec![entry(NAME, number), entry(DATE, number / 10)];
        Write::Put { row, index, expected: None }
    };
    let grant = |number: u32| {
        Write::PutGrant(crate::Grant {
            id: format!("object {number}"),
            user: format!("user {}", number % 7),
            permissions: "[]".into(),
            expires: None,
            note: None,
            mac: vec![3; 32],
            sealed_by: 1,
        })
    };
    for first in (0..count).step_by(500) {
        let writes = (first..first + 500).map(put).chain((first..first + 500).map(grant));
        let commit = Commit::new(Vec::new(), writes.collect(), Arc::clone(&server.cache)).unwrap();
        server.commit(commit).await.unwrap();
    }
}

/// The plan of a statement as it would be run with any values.
async fn plan(server: &Server, sql: &Sql, values: &[Value<'_>]) -> Vec<String> {
    let mut lent = server.pool.reader().await.unwrap();
    let connection = lent.get().unwrap();
    if server.dialect == Dialect::MySql {
        let explain =
            Sql { text: format!("EXPLAIN {}", sql.text).into(), order: sql.order.clone() };
        let rows = connection.rows(&explain, values).await.unwrap();
        lent.back();
        let step = |row: &super::driver::Row| {
            let text = |column| row.maybe_text(column).unwrap_or_default().unwrap_or("-");
            format!("{} {} {}", text(2), text(3), text(5))
        };
        return rows.iter().map(step).collect();
    }
    let places = (1..100).take_while(|place| sql.text.contains(&format!("${place}"))).count();
    let nulls = vec!["NULL"; places].join(", ");
    let execute = if places > 0 { format!("(  {nulls})") } else { String::new() };
    connection.script(&format!("PREPARE planned AS {}", sql.text)).await.unwrap();
    let explain = Sql { text: format!("EXPLAIN EXECUTE planned{execute}").into(), order: None };
    let rows = connection.rows(&explain, &[]).await.unwrap();
    connection.script("DEALLOCATE planned").await.unwrap();
    lent.back();
    rows.iter().map(|row| row.text(0).unwrap().to_owned()).collect()
}

/// Whether every row of a table is found by an index and a condition on it.
fn is_by_index(dialect: Dialect, plan: &[String]) -> bool {
    if dialect == Dialect::MySql {
        // What is derived was limited before, and is read as a whole.
        let is_derived = |table: &str| table.starts_with('<') || table == "-" || table == "o1";
        return plan.iter().all(|step| {
            let words: Vec<_> = step.split(' ').collect();
            is_derived(words[0]) || !matches!(words[1], "ALL" | "index")
        });
    }
    let mut lines = plan.iter().peekable();
    while let Some(line) = lines.next() {
        if line.contains("Seq Scan") {
            return false;
        }
        let next = lines.peek().map_or("", |line| line.trim());
        if line.contains("Index") && line.contains(" on ") && !next.starts_with("Index Cond:") {
            return false;
        }
    }
    true
}

async fn check(server: &Server, what: &str, sql: &Sql, values: &[Value<'_>]) {
    let plan = plan(server, sql, values).await;
    assert!(is_by_index(server.dialect, &plan), "{what}: {}\n{}", sql.text, plan.join("\n"));
}

fn searches() -> Vec<Search> {
    let name = Condition::equal(NAME, 17_u32.to_be_bytes().to_vec());
    let range = Condition { kind: DATE, low: vec![0, 0, 0, 1], high: vec![0, 0, 0, 3] };
    let all = Search { limit: 10, ..Search::default() };
    vec![
        Search { index: vec![name.clone()], visible_to: Some("u".into()), ..all.clone() },
        Search { index: vec![name.clone(), name, range.clone()], ..all.clone() },
        Search { index: vec![range], ..all.clone() },
        Search { states: Some((vec![State::Active, State::PreActive], 5)), ..all.clone() },
        Search { object_type: Some(ObjectType::SymmetricKey), ..all.clone() },
        Search { owner: Some("owner 1".into()), ..all.clone() },
        Search { visible_to: Some("user 1".into()), ..all.clone() },
        Search {
            visible_to: Some("user 1".into()),
            object_type: Some(ObjectType::SymmetricKey),
            states: Some((vec![State::Active], 5)),
            ..all.clone()
        },
        all,
    ]
}

async fn finds_by_indexes(kind: Kind, count: u32, analyze: bool) {
    let (server, database) = server(kind).await;
    fill(&server, count).await;
    if analyze {
        match kind {
            Kind::Postgres => database.sql("ANALYZE"),
            _ => database.sql("ANALYZE TABLE objects, object_index, read_access"),
        };
    }
    for search in &searches() {
        let (leads, _) = Lead::all(search);
        for lead in leads {
            let query = step(search, lead, 0, 10);
            let what = format!("{lead:?}");
            check(&server, &what, &query.spell(server.dialect), &query.values).await;
            let mut query = Query::default();
            query.add("SELECT ", &[]);
            lead.count(&mut query, &mut Vec::new(), 0);
            if !query.values.is_empty() {
                check(&server, &what, &query.spell(server.dialect), &query.values).await;
            }
        }
        server.search(search).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_finds_by_indexes() {
    finds_by_indexes(Kind::Postgres, 5000, true).await;
    finds_by_indexes(Kind::Postgres, 500, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_finds_by_indexes() {
    finds_by_indexes(Kind::MariaDb, 5000, true).await;
    finds_by_indexes(Kind::MariaDb, 500, false).await;
}

/// Values that fit the places of a statement: an index of names is of no use to a number.
fn values(template: &str) -> [Value<'static>; 12] {
    let mut values = [Value::Int(1); 12];
    let mut pieces = template.split('?');
    let mut before = pieces.next().unwrap();
    let mut was_name = false;
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
        let (place, _) = piece.split_at_checked(digits).unwrap();
        let place: usize = place.parse().unwrap();
        let names =
            ["id", "server", "\"key\"", "state", "owner", "sealed", "slot", "\"value\"", "name"];
        let is_name = |name: &&str| {
            [" = ", " > ", " >= ", " <= ", " <> ", " IN ("]
                .iter()
                .any(|sign| before.strip_suffix(sign).is_some_and(|rest| rest.ends_with(name)))
        };
        let goes_on = before.trim_start_matches(|it: char| it.is_ascii_digit()) == ", ";
        was_name = names.iter().any(is_name) || (goes_on && was_name);
        if was_name {
            values[place - 1] = Value::Bytes(b"name");
        }
        before = piece;
    }
    values
}

/// Reads that name what they want, and what a commit is made of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_and_commits_are_by_indexes() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        let (server, _database) = server(kind).await;
        fill(&server, 500).await;
        for name in Statement::ALL {
            let small = matches!(name, Statement::Keyring | Statement::ApiTokens);
            // Rows by their data key: few tables are large, and all of each is wanted.
            let all = matches!(
                name,
                Statement::CountSealed
                    | Statement::SealedObjects
                    | Statement::SealedGrants
                    | Statement::SealedUsage
                    | Statement::SealedEpochs
                    | Statement::SealedHeads
                    | Statement::SealedChanges
                    | Statement::RemoveKeyring
            );
            // What is begun here is ended elsewhere.
            let is_begun =
                matches!(name, Statement::GrantsAmong | Statement::GrantsOn | Statement::Versions);
            if small || all || is_begun {
                continue;
            }
            let sql = name.of(server.dialect);
            let is_insert = sql.text.starts_with("INSERT");
            if !is_insert {
                check(&server, &format!("{name:?}"), sql, &values(name.template())).await;
            }
        }
    }
    let (server, _database) = server(Kind::Postgres).await;
    fill(&server, 500).await;
    let every = (1..1 << PARTS.len()).filter(|shape: &u16| shape.count_ones() <= 2);
    for shape in every {
        // Entries of new objects come with new objects.
        if shape & 0b11 != 0b10 {
            let sql = server.dialect.spell(&statement(shape));
            check(&server, &format!("{shape:b}"), &sql, &[]).await;
        }
    }
}
