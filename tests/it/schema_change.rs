//! Columns that change while the connector runs: it goes on, waits, or ends, as `schema.change` says; it says what
//! has changed; and no row ever comes with shifted columns or twice.

use serde_json::json;

use crate::support::config::Connector;
use crate::support::db::{MySqlFamily, Postgres, Sqlite};
use crate::support::http::{table, wait_for_state};
use crate::support::kafka::{Record, records, wait_for_records};
use crate::support::process::Running;
use crate::support::{PATIENCE, eventually};

const LISTEN: &[&str] = &["--listen", "127.0.0.1:0"];

/// One change, and a row behind it: what its record must say.
type Change = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const CHANGES: &[Change] = &[
    (
        "alter table t add column extra varchar(20)",
        "(a, b, extra) values ('a2', 2, 'x2')",
        &[("a", "\"a2\""), ("extra", "\"x2\"")],
    ),
    (
        "alter table t rename column a to c",
        "(c, b, extra) values ('c3', 3, 'x3')",
        &[("c", "\"c3\""), ("b", "3"), ("extra", "\"x3\"")],
    ),
    ("alter table t drop column b", "(c, extra) values ('c4', 'x4')", &[("c", "\"c4\""), ("extra", "\"x4\"")]),
];

fn connector(jdbc_url: &str) -> Connector {
    Connector::new(jdbc_url)
        .set("mode", "incrementing")
        .set("incrementing.column.name", "id")
        .set("poll.interval.ms", "100")
        .set("table.whitelist", "t")
}

fn goes_on_with_its_new_columns(jdbc_url: &str, run: impl Fn(&str)) {
    let connector = connector(jdbc_url);
    run("insert into t (a, b) values ('a1', 1)");
    let mut running = Running::start(&connector.file(), LISTEN);
    let topic = connector.topic("t");
    wait_for_records(&topic, 1);
    for (number, (change, insert, _)) in (2..).zip(CHANGES) {
        run(change);
        run(&format!("insert into t {insert}"));
        wait_for_records(&topic, number);
    }
    assert!(running.is_alive());
    assert_eq!(running.terminate(), Some(0));
    let found: Vec<Record> = records(&topic);
    assert_eq!(found.len(), 1 + CHANGES.len(), "each row once");
    for (record, (change, _, expected)) in found[1..].iter().zip(CHANGES) {
        for (column, value) in *expected {
            assert_eq!(record.field(column).to_string(), *value, "after `{change}`: {}", record.value);
        }
    }
}

#[test]
fn a_postgresql_table_goes_on_with_columns_added_renamed_and_dropped() {
    let database = Postgres::new();
    database.run("create table t (id serial primary key, a varchar(20), b int)");
    goes_on_with_its_new_columns(&database.jdbc_url(), |sql| database.run(sql));
}

#[test]
fn tables_of_the_mysql_family_go_on_with_columns_added_renamed_and_dropped() {
    for kind in ["mysql", "mariadb", "tidb"] {
        let database = MySqlFamily::new(kind);
        database.run("create table t (id int auto_increment primary key, a varchar(20), b int)");
        goes_on_with_its_new_columns(&database.jdbc_url(), |sql| database.run(sql));
    }
}

#[test]
fn a_sqlite_table_goes_on_with_columns_added_renamed_and_dropped() {
    let database = Sqlite::new();
    database.run("create table t (id integer primary key autoincrement, a varchar(20), b int)");
    goes_on_with_its_new_columns(&database.jdbc_url(), |sql| database.run(sql));
}

/// Tables `t` and `other`, both delivered once.
fn two_tables(policy: &str) -> (Postgres, Connector, Running) {
    let database = Postgres::new();
    for name in ["t", "other"] {
        database.run(&format!("create table {name} (id serial primary key, a varchar(20), b int)"));
        database.run(&format!("insert into {name} (a, b) values ('a1', 1)"));
    }
    let connector = connector(&database.jdbc_url()).set("table.whitelist", "t,other").set("schema.change", policy);
    let running = Running::start(&connector.file(), LISTEN);
    for name in ["t", "other"] {
        wait_for_records(&connector.topic(name), 1);
    }
    (database, connector, running)
}

#[test]
fn a_table_told_to_pause_waits_for_a_restart_while_the_others_go_on() {
    let (database, connector, mut running) = two_tables("pause-table");
    let address = running.address();
    database.run("alter table t drop column b, add column c date; insert into t (a, c) values ('a2', '2020-02-02')");
    let status = wait_for_state(&address, "public.t", "failed");
    let reason = status["reason"].as_str().unwrap_or_default();
    for text in ["`b` (integer) is gone", "`c` (date) is new", &format!("subject {}-value", connector.topic("t"))] {
        assert!(reason.contains(text), "{text}: {status}");
    }
    assert!(status["advice"].as_str().unwrap_or_default().contains("restart the connector"), "{status}");
    database.run("insert into other (a, b) values ('a2', 2)");
    wait_for_records(&connector.topic("other"), 2);
    assert_eq!(records(&connector.topic("t")).len(), 1, "nothing of the new columns yet");
    assert_eq!(running.terminate(), Some(0));
    let running = Running::start(&connector.file(), LISTEN);
    let found = wait_for_records(&connector.topic("t"), 2);
    assert_eq!((found[1].field("a"), found[1].field("c")), (json!("a2"), json!(18294)));
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn a_connector_told_to_fail_ends_and_says_what_has_changed() {
    let (database, connector, mut running) = two_tables("fail");
    database.run("alter table t alter column b type bigint; insert into t (a, b) values ('a2', 5000000000)");
    assert_eq!(running.ended(), Some(1));
    let log = running.log();
    assert!(log.contains("`b` is bigint now, it was integer") && log.contains("public.t"), "{log}");
    assert_eq!(records(&connector.topic("t")).len(), 1);
}

#[test]
fn a_change_the_subject_does_not_allow_stops_the_table_before_a_record_of_it_is_made() {
    let (database, connector, mut running) = two_tables("evolve");
    let address = running.address();
    database.run("alter table t alter column b type varchar(20); insert into t (a, b) values ('a2', 'two')");
    let status = wait_for_state(&address, "public.t", "failed");
    let reason = status["reason"].as_str().unwrap_or_default();
    let subject = format!("{}-value", connector.topic("t"));
    for text in ["not compatible", "`b` is character varying(20) now, it was integer", &subject] {
        assert!(reason.contains(text), "{text}: {status}");
    }
    database.run("insert into other (a, b) values ('a2', 2)");
    wait_for_records(&connector.topic("other"), 2);
    assert_eq!(records(&connector.topic("t")).len(), 1);
    // The column is mended, and the table goes on by itself.
    database.run("alter table t alter column b type int using 2");
    wait_for_records(&connector.topic("t"), 2);
    eventually("idle again", PATIENCE, || (table(&address, "public.t")?["state"] == "idle").then_some(()));
    assert_eq!(running.terminate(), Some(0));
}
