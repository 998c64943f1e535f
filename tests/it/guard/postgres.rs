//! Rows that commit late, on a real server: transactions that hold their time while others pass, savepoints, blocks with
//! exceptions, prepared transactions, rollbacks, updates. What is read is compared with the table, version by version.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::{Value as Json, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::support::config::Connector;
use crate::support::db::{Held, Postgres, Role, runtime};
use crate::support::http::{metric, table as table_status};
use crate::support::kafka::records;
use crate::support::load::random;
use crate::support::oracle::stored_offset;
use crate::support::process::{Running, run};
use crate::support::{PATIENCE, address, eventually};

const TABLE: &str = "
    create sequence ids cache 50;
    create table t (id bigint primary key default nextval('ids'), ts timestamptz not null default now(),
      version bigint not null);
    create index on t (ts, id)";

/// The table, and a role that may select from it. The role is dropped after the database.
fn place() -> (Role, Postgres) {
    let role = Role::new();
    let database = Postgres::new();
    database.run(TABLE);
    database.run(&format!("grant select on t to {}", role.0));
    (role, database)
}

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
    let (role, database) = place();
    let (steady, killed, off) = (
        connector(&database, &role, "auto"),
        connector(&database, &role, "snapshot"),
        connector(&database, &role, "off"),
    );
    let running = [Running::start(&steady.file(), &[]), Running::start(&off.file(), &[])];
    let mut victim = Some(Running::start(&killed.file(), &[]));
    let mut kills = 0;
    // Longer, and with more of them, where somebody wants to be surer.
    let given = |name: &str, usual| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (writers, seconds) = (given("ROWTIDE_TEST_WRITERS", 30), given("ROWTIDE_TEST_SECONDS", 8));
    load(&database, writers as i64, Duration::from_secs(seconds), rng.fork(), |rng| {
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

/// What is promised for the table, as the status has it.
fn guard_status(running: &mut Running) -> Json {
    let address = running.address();
    eventually("the guard has seen a poll", PATIENCE, || {
        table_status(&address, "public.t")
            .map(|table| table["guard"].clone())
            .filter(|guard| !guard["window_seconds"].is_null())
    })
}

#[test]
fn a_transaction_of_very_many_late_rows_is_one_step() {
    let (role, database) = place();
    database.run("alter table t add column note text");
    let connector = connector(&database, &role, "auto");
    let mut running = Running::start(&connector.file(), &["--listen", "127.0.0.1:0"]);
    let mut late = Held::new(&database);
    database.run("insert into t (version) values (0)");
    eventually("the first row comes", PATIENCE, || (topic(&connector).len() == 1).then_some(()));
    // More than one batch holds: about 20 MiB.
    late.run("begin; insert into t (version, note) select g, repeat('x', 400) from generate_series(1, 50000) g");
    database.run("insert into t (version) values (-1)");
    eventually("the row after it comes", PATIENCE, || (topic(&connector).len() == 2).then_some(()));
    let status = guard_status(&mut running);
    assert_eq!((&status["level"], &status["way"]), (&json!("exact"), &json!("snapshot")));
    late.run("commit");
    assert_exact(&table(&database), &connector);
    let address = running.address();
    assert_eq!(metric(&address, "rowtide_guard_late_rows_total", &[]), 50_000.0);
    assert_eq!(metric(&address, "rowtide_guard_level", &["level=\"exact\""]), 1.0);
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn a_table_written_anew_repeats_nothing() {
    let (role, database) = place();
    let connector = connector(&database, &role, "auto");
    let running = Running::start(&connector.file(), &[]);
    for round in 0..6 {
        database.run(&format!("insert into t (version) select {round} * 100 + g from generate_series(1, 20) g"));
        let rows = table(&database);
        eventually("the rows come", PATIENCE, || (missing(&rows, &topic(&connector)) == 0).then_some(()));
        let change = ["set unlogged", "set logged", "add column c float default random()", "drop column c"][round % 4];
        database.run(&format!("alter table t {change}"));
    }
    database.run("vacuum full t");
    database.run("insert into t (version) values (-1)");
    assert_exact(&table(&database), &connector);
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn a_pooler_between_changes_nothing() {
    let (role, database) = place();
    let pooler = address("ROWTIDE_TEST_PGBOUNCER_URL");
    let (_, server) = pooler.rsplit_once('@').expect("a URL with a user");
    let server = server.split('/').next().expect("a host");
    let connector = connector(&database, &role, "snapshot")
        .set("connection.url", &format!("jdbc:postgresql://{server}/{}", database.name))
        .set("connection.user", "postgres");
    let running = Running::start(&connector.file(), &[]);
    load(&database, 12, Duration::from_secs(3), random(), |_| std::thread::sleep(Duration::from_millis(100)));
    assert_exact(&table(&database), &connector);
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn where_rows_do_not_tell_their_transaction_the_level_falls_and_says_so() {
    let role = Role::new();
    let database = Postgres::new();
    database.run(TABLE);
    database.run("create view v as select * from t");
    database.run(&format!("grant select on v to {}; grant select (id, ts, version) on t to {}", role.0, role.0));
    let of = |table: &str, guard| {
        connector(&database, &role, guard)
            .set("table.whitelist", table)
            .set("table.types", "TABLE,VIEW")
            .set("validate.non.null", "false")
    };
    for (table, why) in [("v", "it is no plain table"), ("t", "the role may not read xmin")] {
        let auto = of(table, "auto");
        let file = auto.file();
        run(&["explain", file.to_str().unwrap()]).expect_code(0).expect_says(&[
            "guard         off: ",
            why,
            "to raise it: ",
        ]);
        let wanted = of(table, "snapshot");
        let file = wanted.file();
        run(&["explain", file.to_str().unwrap()])
            .expect_code(2)
            .expect_says(&["commit.guard=snapshot is not possible here", why]);
    }
}

#[test]
fn a_state_that_does_not_belong_to_the_offset_is_not_gone_on_from() {
    let (role, database) = place();
    let connector = connector(&database, &role, "auto");
    let file = connector.file();
    let path = file.to_str().unwrap();
    database.run("insert into t (version) select g from generate_series(1, 5) g");
    run(&["run", "--once", path]).expect_code(0);
    let stored = stored_offset(&connector, "public.t").expect("an offset");
    assert!(stored["rowtide_guard"].as_str().expect("a state").starts_with("snapshot-1/"), "{stored}");
    // Moved back by hand: the rows after it come again, and nothing else happens.
    let first = table(&database).into_keys().next().expect("a row");
    run(&[
        "offsets",
        "set",
        path,
        "--incrementing",
        &first.to_string(),
        "--timestamp",
        &stored["timestamp"].to_string(),
        "--yes",
    ])
    .expect_code(0);
    run(&["run", "--once", path]).expect_code(0);
    // Milliseconds are all that was said, so the first row lies after them, too.
    assert_eq!(topic(&connector).values().sum::<usize>(), 10, "five rows, and again");
}
