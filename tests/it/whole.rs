//! Rows that belong together come in one transaction, read in pages of bounded memory: the rows of one timestamp that
//! nothing else tells apart, and a pass of a bulk load.

use crate::support::config::Connector;
use crate::support::db::Postgres;
use crate::support::kafka::{ends, read_topic, wait_for_records};
use crate::support::process::{Running, run};

/// The least memory one task can do with; its pages hold 200 KiB.
const LITTLE: &str = "44040192";
const ROWS: usize = 20_000;

/// Some megabytes of rows of one and the same time.
fn rows(key: &str) -> Postgres {
    let database = Postgres::new();
    database.run(&format!(
        "create table t (id int {key}, ts timestamp not null, item text);
         insert into t select n, '2024-01-01', repeat('x', 200) from generate_series(1, {ROWS}) as n"
    ));
    database
}

/// Records and transactions of the topic: each transaction ends with a marker in each partition it has touched.
fn found(topic: &str) -> (usize, usize) {
    let records = read_topic(topic);
    let distinct: std::collections::HashSet<_> = records.iter().map(|record| record.value.clone()).collect();
    assert_eq!(distinct.len(), records.len(), "a row came twice");
    let end: i64 = ends(topic).iter().sum();
    (records.len(), end as usize - records.len())
}

#[test]
fn a_tie_much_larger_than_the_memory_is_delivered_once_and_as_one_transaction() {
    let database = rows("");
    let connector = Connector::new(&database.jdbc_url())
        .set("mode", "timestamp")
        .set("timestamp.column.name", "ts")
        .set("table.whitelist", "t")
        .set("memory.max.bytes", LITTLE);
    for _ in 0..2 {
        run(&["run", "--once", connector.file().to_str().unwrap()]).expect_code(0);
        assert_eq!(found(&connector.topic("t")), (ROWS, 1));
    }
}

#[test]
fn a_pass_of_a_bulk_load_is_one_transaction_with_and_without_a_key() {
    for key in ["primary key", ""] {
        let database = rows(key);
        let connector = Connector::new(&database.jdbc_url())
            .set("mode", "bulk")
            .set("table.whitelist", "t")
            .set("memory.max.bytes", LITTLE);
        run(&["run", "--once", connector.file().to_str().unwrap()]).expect_code(0);
        assert_eq!(found(&connector.topic("t")), (ROWS, 1), "{key}");
    }
}

#[test]
fn too_little_memory_for_the_tasks_is_refused_with_what_is_enough() {
    let database = Postgres::new();
    database.run("create table a (id serial primary key); create table b (id serial primary key)");
    let connector = Connector::new(&database.jdbc_url())
        .set("mode", "incrementing")
        .set("incrementing.column.name", "id")
        .set("tasks.max", "2");
    let connector = connector.set("memory.max.bytes", LITTLE);
    run(&["run", "--once", connector.file().to_str().unwrap()])
        .expect_code(2)
        .expect_says(&["memory.max.bytes", "46137344"]);
    let enough = connector.set("memory.max.bytes", "46137344");
    let running = Running::start(&enough.file(), &[]);
    database.run("insert into a default values; insert into b default values");
    for table in ["a", "b"] {
        wait_for_records(&enough.topic(table), 1);
    }
    assert_eq!(running.terminate(), Some(0));
}
