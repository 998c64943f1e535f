//! Rows that commit late, on a real server: transactions that hold their time while others pass, savepoints, blocks with
//! exceptions, prepared transactions, rollbacks, updates. What is read is compared with the table, version by version.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::support::config::Connector;
use crate::support::db::{Postgres, Role, runtime};
use crate::support::kafka::records;
use crate::support::load::random;
use crate::support::process::{Running, run};
use crate::support::{PATIENCE, eventually};

const TABLE: &str = "
    create sequence ids cache 50;
    create table t (id bigint primary key default nextval('ids'), ts timestamptz not null default now(),
      version bigint not null);
    create index on t (ts, id)";

/// A connector whose role may select from the table, and nothing else.
fn connector(database: &Postgres, role: &Role, guard: &str) -> Connector {
    Connector::new(&database.jdbc_url())
        .set("connection.user", &role.0)
        .set("mode", "timestamp+incrementing")
        .set("timestamp.column.name", "ts")
        .set("incrementing.column.name", "id")
        .set("table.whitelist", "t")
        .set("poll.interval.ms", "20")
        .set("commit.guard", guard)
        .alone()
}

/// What one writer does until it is stopped.
async fn write(url: String, writer: i64, mut rng: Rng, stop: Arc<AtomicBool>) {
    let mut connection = PgConnection::connect(&url).await.expect("connect");
    let mut version = writer * 1_000_000;
    let mut transaction = 0;
    while !stop.load(Ordering::Relaxed) {
        transaction += 1;
        let mut statements = vec!["begin".to_owned()];
        let mut next = || {
            version += 1;
            version
        };
        for _ in 0..rng.u8(1..4) {
            let (one, other) = (next(), next());
            let insert = |version| format!("insert into t (version) values ({version})");
            statements.push(match rng.u8(..8) {
                0 => format!("savepoint s; {}; release s; {}", insert(one), insert(other)),
                1 => format!("savepoint s; {}; rollback to s; {}", insert(one), insert(other)),
                2 => format!("do $$ begin {}; exception when others then null; end $$", insert(one)),
                3 => format!(
                    "do $$ begin {}; perform 1 / 0; exception when others then {}; end $$",
                    insert(one),
                    insert(other)
                ),
                4 | 5 => format!(
                    "update t set version = {one}, ts = now() where id = (
                       select id from t where id >= {} order by id limit 1 for update skip locked)",
                    rng.u32(..2_000)
                ),
                _ => insert(one),
            });
            statements.push(format!("hold {}", if rng.u8(..10) == 0 { rng.u64(..2_500) } else { rng.u64(..60) }));
        }
        let name = format!("w{writer}t{transaction}");
        match rng.u8(..10) {
            0 => statements.push("rollback".to_owned()),
            // Some servers have room for few.
            1 if writer % 3 == 0 => {
                let end = if rng.u8(..4) == 0 { "rollback" } else { "commit" };
                statements.extend([format!("prepare transaction '{name}'"), format!("hold {}", rng.u64(..800))]);
                statements.push(format!("{end} prepared '{name}'"));
            }
            _ => statements.push("commit".to_owned()),
        }
        for statement in statements {
            match statement.strip_prefix("hold ") {
                // The pace of the load, not a wait for anything.
                Some(millis) => tokio::time::sleep(Duration::from_millis(millis.parse().expect("a number"))).await,
                None => {
                    connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await.expect("write");
                }
            }
        }
    }
}

/// Many writers for so long; `meanwhile` is called until they end.
fn load(database: &Postgres, writers: i64, time: Duration, mut rng: Rng, mut meanwhile: impl FnMut(&mut Rng)) {
    let stop = Arc::new(AtomicBool::new(false));
    let start = |writer| runtime().spawn(write(database.url(), writer, rng.fork(), Arc::clone(&stop)));
    let all: Vec<_> = (0..writers).map(start).collect();
    let end = Instant::now() + time;
    while Instant::now() < end {
        meanwhile(&mut rng);
    }
    stop.store(true, Ordering::Relaxed);
    for writer in all {
        runtime().block_on(writer).expect("a writer");
    }
}

/// Versions by id in the table.
fn table(database: &Postgres) -> BTreeMap<i64, i64> {
    let lines = database.texts("select id || ' ' || version from t");
    let numbers = |line: &String| {
        let (id, version) = line.split_once(' ').expect("two numbers");
        (id.parse().expect("an id"), version.parse().expect("a version"))
    };
    lines.iter().map(numbers).collect()
}

/// How often each version of each row is in the topic.
fn topic(connector: &Connector) -> HashMap<(i64, i64), usize> {
    let mut counts = HashMap::new();
    for record in records(&connector.topic("t")) {
        let number = |name| record.field(name).as_i64().expect("a number");
        *counts.entry((number("id"), number("version"))).or_default() += 1;
    }
    counts
}

/// How many rows of the table have not come in their last version.
fn missing(table: &BTreeMap<i64, i64>, topic: &HashMap<(i64, i64), usize>) -> usize {
    table.iter().filter(|(id, version)| !topic.contains_key(&(**id, **version))).count()
}

/// The last version of every row, and no version twice.
#[track_caller]
fn assert_exact(table: &BTreeMap<i64, i64>, connector: &Connector) {
    let counts = eventually("every row has come", PATIENCE, || {
        let topic = topic(connector);
        (missing(table, &topic) == 0).then_some(topic)
    });
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{} versions came twice, such as {:?}", twice.len(), twice[0]);
}

#[test]
fn rows_that_commit_late_come_exactly_once_and_are_lost_without_the_guard() {
    let mut rng = random();
    let role = Role::new();
    let database = Postgres::new();
    database.run(TABLE);
    database.run(&format!("grant select on t to {}", role.0));
    let (steady, killed, off) = (
        connector(&database, &role, "auto"),
        connector(&database, &role, "snapshot"),
        connector(&database, &role, "off"),
    );
    let running = [Running::start(&steady.file(), &[]), Running::start(&off.file(), &[])];
    let mut victim = Some(Running::start(&killed.file(), &[]));
    let mut kills = 0;
    load(&database, 30, Duration::from_secs(8), rng.fork(), |rng| {
        std::thread::sleep(Duration::from_millis(rng.u64(300..1_500)));
        victim.take().expect("one runs").kill();
        kills += 1;
        victim = Some(Running::start(&killed.file(), &[]));
    });
    let rows = table(&database);
    assert_exact(&rows, &steady);
    assert_exact(&rows, &killed);
    for connector in running {
        assert_eq!(connector.terminate(), Some(0));
    }
    drop(victim);
    run(&["run", "--once", off.file().to_str().expect("a path")]).expect_code(0);
    let lost = missing(&rows, &topic(&off));
    println!("{} rows, {kills} kills; without the guard {lost} rows are lost", rows.len());
    assert!(lost > 0, "nothing is lost without the guard: the load proves nothing");
}
