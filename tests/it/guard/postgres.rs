//! Cases peculiar to PostgreSQL: very many late rows, rewritten tables, poolers, a state that was moved.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::Arrived;
use super::load::{self, Load};
use super::place::{Kind, Mode, Place};
use crate::support::config::Connector;
use crate::support::http::{metric, table as table_status};
use crate::support::load::random;
use crate::support::oracle::stored_offset;
use crate::support::process::{Running, run};
use crate::support::{PATIENCE, address, eventually};

fn place() -> (Place, Connector) {
    let place = Place::new(Kind::Postgres);
    let connector = place.connector(Mode::TimestampIncrementing);
    (place, connector)
}

/// The guard's status of the table.
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
    let (place, connector) = place();
    place.run("alter table t add column note text");
    let mut running = Running::start(&connector.file(), &["--listen", "127.0.0.1:0"]);
    let mut late = place.session();
    let mut arrived = Arrived::of(&connector, "t");
    place.run("insert into t (version) values (0)");
    arrived.wait_for(&place.rows());
    // More than one batch holds: about 20 MiB.
    late.run("begin; insert into t (version, note) select g, repeat('x', 400) from generate_series(1, 50000) g");
    place.run("insert into t (version) values (-1)");
    arrived.wait_for(&place.rows());
    let status = guard_status(&mut running);
    assert_eq!((&status["level"], &status["way"]), (&json!("exact"), &json!("snapshot")));
    late.run("commit");
    arrived.assert_exact(&place.rows());
    let address = running.address();
    assert_eq!(metric(&address, "rowtide_guard_late_rows_total", &[]), 50_000.0);
    assert_eq!(metric(&address, "rowtide_guard_level", &["level=\"exact\""]), 1.0);
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn a_table_written_anew_repeats_nothing() {
    let (place, connector) = place();
    let running = Running::start(&connector.file(), &[]);
    let mut arrived = Arrived::of(&connector, "t");
    for round in 0..6 {
        place.run(&format!("insert into t (version) select {round} * 100 + g from generate_series(1, 20) g"));
        arrived.wait_for(&place.rows());
        let change = ["set unlogged", "set logged", "add column c float default random()", "drop column c"][round % 4];
        place.run(&format!("alter table t {change}"));
    }
    place.run("vacuum full t");
    place.run("insert into t (version) values (-1)");
    arrived.assert_exact(&place.rows());
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn a_pooler_between_changes_nothing() {
    let (place, connector) = place();
    let pooler = address("ROWTIDE_TEST_PGBOUNCER_URL");
    let (_, server) = pooler.rsplit_once('@').expect("a URL with a user");
    let server = server.split('/').next().expect("a host");
    let connector = connector
        .set("connection.url", &format!("jdbc:postgresql://{server}/{}", place.name()))
        .set("connection.user", "postgres")
        .set("commit.guard", "snapshot");
    let running = Running::start(&connector.file(), &[]);
    let load = Load { writers: 12, time: Duration::from_secs(3), longest: Duration::from_secs(3) };
    load::run(&place, load, random(), |_| std::thread::park_timeout(Duration::from_millis(100)));
    Arrived::of(&connector, "t").assert_exact(&place.rows());
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn a_state_that_does_not_belong_to_the_offset_is_not_gone_on_from() {
    let (place, connector) = place();
    let file = connector.file();
    let path = file.to_str().unwrap();
    place.run("insert into t (version) select g from generate_series(1, 5) g");
    run(&["run", "--once", path]).expect_code(0);
    let stored = stored_offset(&connector, "public.t").expect("an offset");
    assert!(stored["rowtide_guard"].as_str().expect("a state").starts_with("snapshot-1/"), "{stored}");
    // Moved back by hand: the rows after it come again, and nothing else happens.
    let first = place.rows().into_keys().next().expect("a row");
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
    assert_eq!(Arrived::of(&connector, "t").versions().len(), 10, "five rows, and again");
}
