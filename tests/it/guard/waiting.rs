//! Transactions that are open although nobody works at them: prepared transactions whose session is gone, and, on MySQL
//! and MariaDB, statements that wait for a table before they have a transaction. And rows that wait because a delay is
//! configured.

use std::time::{Duration, Instant};

use super::Arrived;
use super::place::{Kind, Mode, Place};
use crate::support::process::Running;
use crate::support::{PATIENCE, eventually};

/// A row is written after `old` has taken its time, and after others have been read for so long that nobody would still
/// look for it but for the transaction that is open.
fn assert_still_looked_for(place: &Place, old: impl FnOnce(), end: impl FnOnce()) {
    let connector = place.connector(Mode::TimestampIncrementing);
    let running = Running::start(&connector.file(), &[]);
    let mut arrived = Arrived::of(&connector, "t");
    place.seed(1);
    arrived.wait_for(&place.rows());
    old();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(3) {
        place.run("insert into t (version) values (1)");
        arrived.wait_for(&place.rows());
    }
    let before = place.rows().len();
    end();
    let rows = eventually("the old row is there", PATIENCE, || Some(place.rows()).filter(|rows| rows.len() > before));
    arrived.assert_exact(&rows);
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn a_prepared_transaction_whose_session_is_gone_is_still_open() {
    for (kind, prepare, commit) in [
        (Kind::Postgres, "begin; insert into t (version) values (0); prepare transaction 'X'", "commit prepared 'X'"),
        (Kind::MySql, "xa start 'X'; insert into t (version) values (0); xa end 'X'; xa prepare 'X'", "xa commit 'X'"),
        (
            Kind::MariaDb,
            "xa start 'X'; insert into t (version) values (0); xa end 'X'; xa prepare 'X'",
            "xa commit 'X'",
        ),
    ] {
        println!("{kind:?}");
        let place = Place::new(kind);
        let named = |sql: &str| sql.replace('X', place.name());
        assert_still_looked_for(&place, || place.run(&named(prepare)), || place.run(&named(commit)));
    }
}

/// A statement that waits for the table `other`, as long as that is locked, and then runs on.
fn assert_as_old_as_its_start(kind: Kind, tables: &str, insert: &'static str) {
    println!("{kind:?}: {insert}");
    let place = Place::new(kind);
    place.run(tables);
    let mut locked = place.session();
    locked.run("lock tables other write");
    let (server, database) = (place.server(), place.name());
    let mut waiting = None;
    assert_still_looked_for(
        &place,
        || {
            let session = server.clone();
            waiting = Some(std::thread::spawn(move || session.run(insert)));
            let waits = format!(
                "select cast(id as char) from information_schema.processlist
                 where db = '{database}' and state = 'Waiting for table metadata lock'"
            );
            eventually("the statement waits", PATIENCE, || (!server.texts(&waits).is_empty()).then_some(()));
        },
        || locked.run("unlock tables"),
    );
    waiting.expect("it has begun").join().expect("the statement");
}

#[test]
fn a_statement_that_waits_for_another_table_is_as_old_as_its_start() {
    for kind in [Kind::MySql, Kind::MariaDb] {
        let tables = "create table other (n int); insert into other values (1)";
        assert_as_old_as_its_start(kind, tables, "insert into t (version) select n - 1 from other");
    }
}

/// Between its wait and the begin of its transaction it opens a table that takes some time.
#[test]
fn a_statement_that_waits_no_more_and_has_no_transaction_yet_is_as_old_as_its_start() {
    for kind in [Kind::MySql, Kind::MariaDb] {
        let tables = "create table other (n int); insert into other values (1);
                      create table parts (n int) partition by key (n) partitions 1024;
                      insert into parts values (1); flush tables parts";
        assert_as_old_as_its_start(kind, tables, "insert into t (version) select o.n - 1 from other as o, parts");
    }
}

#[test]
fn a_delay_holds_rows_back_and_those_that_commit_later_come_all_the_same() {
    const DELAY: Duration = Duration::from_secs(2);
    for kind in [Kind::Postgres, Kind::MySql, Kind::TiDb] {
        println!("{kind:?}");
        let place = Place::new(kind);
        let connector = place
            .connector(Mode::TimestampIncrementing)
            .set("timestamp.delay.interval.ms", DELAY.as_millis().to_string().as_str());
        let running = Running::start(&connector.file(), &[]);
        let mut arrived = Arrived::of(&connector, "t");
        let mut held = place.session();
        held.run("begin");
        held.run("insert into t (version) values (1)");
        let written = Instant::now();
        place.run("insert into t (version) values (2)");
        eventually("the row comes", PATIENCE, || arrived.versions().contains(&2).then_some(()));
        assert!(written.elapsed() >= DELAY, "it came after {:?}", written.elapsed());
        held.run("commit");
        arrived.assert_exact(&place.rows());
        assert_eq!(arrived.versions(), [2, 1]);
        assert_eq!(running.terminate(), Some(0));
    }
}
