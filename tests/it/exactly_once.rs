//! Exactly once whatever happens: killed, fenced, cut off from the database, changed underneath. Each
//! test ends with the one oracle.

use std::time::Duration;

use fastrand::Rng;

use crate::support::config::Connector;
use crate::support::db::Postgres;
use crate::support::http::get;
use crate::support::kafka::{read_topic, records, wait_for_records};
use crate::support::load::{Writer, inserts, inserts_and_updates, random};
use crate::support::oracle::assert_exactly_once;
use crate::support::process::{Running, run};
use crate::support::{PATIENCE, Stack, eventually};

/// A table like that of W1, without its trigger.
const TABLE: &str = "(seq serial primary key, ts timestamp not null default now(), item varchar(256))";

#[track_caller]
fn once(connector: &Connector) {
    run(&["run", "--once", connector.file().to_str().expect("a path")]).expect_code(0);
}

/// Starts the connector and kills it, so many times: at a random moment of its start, or after it has
/// begun to read.
#[track_caller]
fn kill_at_random_moments(connector: &Connector, kills: usize, rng: &mut Rng) {
    let file = connector.file();
    for _ in 0..kills {
        let mut running = Running::start(&file, &[]);
        let mut longest = 600;
        if rng.bool() {
            running.wait_for_log(" table=public.");
            // A transaction that catches up lasts a second.
            longest = 1_500;
        }
        // The moment itself; nothing is waited for.
        std::thread::park_timeout(Duration::from_millis(rng.u64(50..=longest)));
        assert!(running.is_alive(), "rowtide ended by itself:\n{}", running.log());
        running.kill();
    }
}

/// Load, kills, the rest of the rows, the oracle.
#[track_caller]
fn survives_kills(
    database: &Postgres,
    connector: &Connector,
    kills: usize,
    writes: impl Fn(&mut Rng, usize) -> String + Send + 'static,
) {
    let mut rng = random();
    let writer = Writer::start(database, rng.fork(), writes);
    kill_at_random_moments(connector, kills, &mut rng);
    let mut between = read_topic(&connector.topic("test_table")).len();
    for _ in 0..30 {
        // On a loaded machine no start may have come as far as a commit yet.
        if between > 0 {
            break;
        }
        kill_at_random_moments(connector, 1, &mut rng);
        between = read_topic(&connector.topic("test_table")).len();
    }
    let written = writer.stop();
    once(connector);
    println!("{written} statements, {between} records delivered between the kills");
    assert!(between > 0, "no transaction was committed between the kills");
    assert_exactly_once(database, connector, "test_table", false);
}

#[test]
fn fifty_kills_under_load_lose_nothing_and_repeat_nothing() {
    let database = Postgres::with_test_table();
    let connector =
        Connector::of_test_table(&database.jdbc_url()).alone().set("batch.max.rows", "7").set("poll.interval.ms", "5");
    survives_kills(&database, &connector, 50, inserts_and_updates("test_table", ""));
}

/// `test_table` by its timestamp alone, in pages that end inside ties.
fn by_timestamp_alone(database: &Postgres) -> Connector {
    Connector::new(&database.jdbc_url())
        .alone()
        .set("mode", "timestamp")
        .set("timestamp.column.name", "ts")
        .set("table.whitelist", "test_table")
        .set("batch.max.rows", "5")
        .set("poll.interval.ms", "5")
}

#[test]
fn kills_inside_ties_of_one_timestamp_lose_nothing_and_repeat_nothing() {
    let database = Postgres::new();
    database.run(&format!("create table test_table {TABLE}"));
    let connector = by_timestamp_alone(&database);
    survives_kills(&database, &connector, 10, inserts_and_updates("test_table", ", ts = now()"));
}

#[test]
fn kills_between_whole_ties_of_a_table_without_a_key_lose_nothing_and_repeat_nothing() {
    let database = Postgres::new();
    database
        .run("create table test_table (seq serial not null, ts timestamp not null default now(), item varchar(256))");
    let connector = by_timestamp_alone(&database);
    survives_kills(&database, &connector, 10, inserts_and_updates("test_table", ", ts = now()"));
}

#[test]
fn kills_in_incrementing_mode_lose_nothing_and_repeat_nothing() {
    let database = Postgres::new();
    database.run(&format!("create table test_table {TABLE}"));
    let connector = Connector::new(&database.jdbc_url())
        .alone()
        .set("mode", "incrementing")
        .set("table.whitelist", "test_table")
        .set("batch.max.rows", "5")
        .set("poll.interval.ms", "5");
    survives_kills(&database, &connector, 10, inserts("test_table"));
}

#[test]
fn several_tables_on_two_tasks_survive_kills() {
    let database = Postgres::new();
    for table in ["a", "b", "c"] {
        database.run(&format!("create table {table} {TABLE}"));
    }
    let connector = Connector::of_test_table(&database.jdbc_url())
        .alone()
        .without("table.whitelist")
        .set("tasks.max", "2")
        .set("batch.max.rows", "7")
        .set("poll.interval.ms", "5");
    let mut rng = random();
    let writes = ["a", "b", "c"].map(|table| inserts_and_updates(table, ", ts = clock_timestamp()"));
    let writer = Writer::start(&database, rng.fork(), move |rng, n| writes[n % 3](rng, n));
    kill_at_random_moments(&connector, 8, &mut rng);
    writer.stop();
    once(&connector);
    for table in ["a", "b", "c"] {
        assert_exactly_once(&database, &connector, table, false);
    }
}

#[test]
fn the_older_of_two_processes_stops_and_says_why() {
    let database = Postgres::with_test_table();
    let connector =
        Connector::of_test_table(&database.jdbc_url()).alone().set("batch.max.rows", "7").set("poll.interval.ms", "5");
    let file = connector.file();
    let writer = Writer::start(&database, random(), inserts_and_updates("test_table", ""));
    let mut older = Running::start(&file, &[]);
    older.wait_for_log(" table=public.test_table");
    eventually("the older delivers", PATIENCE, || {
        (!read_topic(&connector.topic("test_table")).is_empty()).then_some(())
    });
    let mut younger = Running::start(&file, &[]);
    assert_eq!(older.ended(), Some(4), "{}", older.log());
    for text in
        ["another process took over the transactional id", "another process runs this connector; stop one of the two"]
    {
        assert!(older.log().contains(text), "`{text}` is not said:\n{}", older.log());
    }
    assert!(!older.log().contains("starting again"), "a fenced process must not come back:\n{}", older.log());
    writer.stop();
    let total = database.count("test_table");
    eventually("the younger delivers the rest", PATIENCE, || {
        let topic = read_topic(&connector.topic("test_table"));
        (topic.len() >= total).then_some(())
    });
    assert!(younger.is_alive());
    assert_eq!(younger.terminate(), Some(0));
    once(&connector);
    assert_exactly_once(&database, &connector, "test_table", false);
}

#[test]
fn takeovers_while_tables_move_between_tasks_repeat_nothing() {
    let database = Postgres::new();
    for table in ["a", "b", "c"] {
        database.run(&format!("create table {table} {TABLE}"));
    }
    let connector = Connector::of_test_table(&database.jdbc_url())
        .alone()
        .without("table.whitelist")
        .set("tasks.max", "2")
        .set("table.poll.interval.ms", "3600000")
        .set("poll.interval.ms", "1");
    let file = connector.file();
    let writes = ["a", "b", "c"].map(|table| inserts_and_updates(table, ", ts = clock_timestamp()"));
    let writer = Writer::start(&database, random(), move |rng, n| writes[n % 3](rng, n));
    let mut older = Running::start(&file, &[]);
    older.wait_for_log(" table=public.c");
    for number in 0..5 {
        // Listed first, so with each of them some of the others belong to another task.
        database.run(&format!("create table a{number} {TABLE}"));
        let mut younger = Running::start(&file, &[]);
        assert_eq!(older.ended(), Some(4), "{}", older.log());
        younger.wait_for_log(" table=public.c");
        older = younger;
    }
    writer.stop();
    assert_eq!(older.terminate(), Some(0));
    once(&connector);
    for table in ["a", "b", "c"] {
        assert_exactly_once(&database, &connector, table, false);
    }
}

#[test]
fn connections_cut_by_the_database_are_made_again() {
    let database = Postgres::with_test_table();
    let connector =
        Connector::of_test_table(&database.jdbc_url()).alone().set("batch.max.rows", "7").set("poll.interval.ms", "5");
    let file = connector.file();
    let mut running = Running::start(&file, &[]);
    running.wait_for_log(" table=public.test_table");
    let writer = Writer::start(&database, random(), inserts_and_updates("test_table", ""));
    for cut in 1..=10 {
        eventually("rowtide is connected", PATIENCE, || {
            let ended = database.texts(
                "select pg_terminate_backend(pid)::text from pg_stat_activity
                 where datname = current_database() and application_name = 'rowtide'",
            );
            ended.contains(&"true".to_owned()).then_some(())
        });
        eventually("rowtide goes on", PATIENCE, || {
            let log = running.log();
            let noticed = ["polling works again", "the connection was lost between two polls"];
            (noticed.iter().map(|words| log.matches(words).count()).sum::<usize>() >= cut).then_some(())
        });
    }
    writer.stop();
    assert!(!running.log().contains("starting again"), "losing the database costs no session:\n{}", running.log());
    assert_eq!(running.terminate(), Some(0));
    once(&connector);
    assert_exactly_once(&database, &connector, "test_table", false);
}

#[test]
fn a_change_of_the_table_while_running_shifts_no_column() {
    let database = Postgres::with_test_table();
    let connector =
        Connector::of_test_table(&database.jdbc_url()).alone().set("batch.max.rows", "7").set("poll.interval.ms", "5");
    let file = connector.file();
    let mut running = Running::start(&file, &[]);
    running.wait_for_log(" table=public.test_table");
    let writer = Writer::start(&database, random(), inserts("test_table"));
    let topic = connector.topic("test_table");
    let delivered = |item: &str| {
        database.run(&format!("insert into test_table (item, price) values ('{item}', 42)"));
        eventually(&format!("{item} arrives"), PATIENCE, || {
            records(&topic).into_iter().find(|record| record.field("item") == item)
        })
    };
    delivered("before");
    database.run("alter table test_table add column extra varchar(20) default 'extra'");
    let record = delivered("with a column more");
    assert_eq!((record.field("extra").as_str(), record.field("price").as_i64()), (Some("extra"), Some(42)));
    database.run("alter table test_table alter column price type bigint");
    let record = delivered("with a wider column");
    assert_eq!((record.field("extra").as_str(), record.field("price").as_i64()), (Some("extra"), Some(42)));
    let value: serde_json::Value = serde_json::from_str(&record.value).expect("JSON");
    assert_eq!(value["price"], serde_json::json!({"long": 42}));
    database.run("alter table test_table drop column category");
    assert_eq!(delivered("with a column less").field("price").as_i64(), Some(42));
    writer.stop();
    assert_eq!(running.terminate(), Some(0));
    once(&connector);
    assert_exactly_once(&database, &connector, "test_table", true);
    let registry = Stack::get().registry;
    let (address, path) = registry.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a URL");
    let (status, versions) = get(address, &format!("/{path}/subjects/{topic}-value/versions"));
    assert_eq!((status, versions.as_str()), (200, "[1,2,3,4]"));
    wait_for_records(&topic, database.count("test_table"));
}
