//! Limits of the guard: somebody keeps a transaction open for too long, more rows would have to be remembered than an
//! offset holds, a right is taken away. The status says so at once, and the consequence is the configured one.

use serde_json::{Value as Json, json};

use super::Arrived;
use super::place::{Kind, Mode, Place};
use crate::support::config::Connector;
use crate::support::http::table as table_status;
use crate::support::process::{Running, run};
use crate::support::{PATIENCE, eventually};

/// The status of a table once it is as wanted.
fn status_where(running: &mut Running, name: &str, is: impl Fn(&Json) -> bool) -> Json {
    let address = running.address();
    eventually("the status is as wanted", PATIENCE, || table_status(&address, name).filter(|table| is(table)))
}

fn start(connector: &Connector) -> Running {
    Running::start(&connector.file(), &["--listen", "127.0.0.1:0"])
}

/// A view, whose rows of one timestamp nothing tells apart, so they wait; and what is done when they wait for too long.
#[test]
fn rows_wait_for_a_transaction_that_is_named_as_long_as_is_configured() {
    let place = Place::bare(Kind::Postgres);
    place.run("create view seen as select * from t");
    place.grant(&["select on seen"]);
    let of = |most: &str, then: &str| {
        place
            .connector(Mode::Timestamp)
            .set("table.whitelist", "seen")
            .set("table.types", "VIEW")
            .set("validate.non.null", "false")
            .set("commit.guard.max.wait.ms", most)
            .set("commit.guard.on.timeout", then)
    };
    let (waits, goes_on, fails) = (of("1000", "hold"), of("1000", "rescan"), of("1000", "fail"));
    place.run("insert into t (version) values (0)");
    let mut running = [&waits, &goes_on].map(start);
    let [mut of_waits, mut of_goes_on, mut of_fails] = [&waits, &goes_on, &fails].map(|of| Arrived::of(of, "seen"));
    for arrived in [&mut of_waits, &mut of_goes_on] {
        arrived.wait_for(&place.rows());
    }
    let mut held = place.session();
    held.run("begin; insert into t (version) values (1)");
    place.run("insert into t (version) values (2)");

    // Who waits says for whom; who reads on says that a restart may repeat; who fails says why.
    let [waiting, going_on] = &mut running;
    let name = place.full_name("seen");
    let status = status_where(waiting, &name, |table| table["state"] == "waiting");
    let reason = status["reason"].as_str().expect("a reason");
    assert!(reason.contains("newer rows wait for session "), "{reason}");
    assert_eq!((&status["guard"]["level"], &status["guard"]["way"]), (&json!("hold"), &json!("hold")));
    assert!(status["guard"]["blocker"].as_str().is_some_and(|blocker| blocker.starts_with("session ")), "{status}");
    eventually("the row after it comes", PATIENCE, || of_goes_on.versions().contains(&2).then_some(()));
    let status = status_where(going_on, &name, |table| table["guard"]["level"] == "rescan");
    assert_eq!(status["guard"]["blocker"], Json::Null, "nobody waits: {status}");
    run(&["run", fails.file().to_str().expect("a path")]).expect_code(4).expect_says(&["commit.guard.on.timeout=fail"]);
    assert!(!of_waits.versions().contains(&2) && !of_fails.versions().contains(&2), "they do not read on");

    held.run("commit");
    let rows = place.rows();
    of_waits.assert_exact(&rows);
    of_goes_on.assert_exact(&rows);
    status_where(going_on, &name, |table| table["guard"]["level"] == "hold");
    for running in running {
        assert_eq!(running.terminate(), Some(0));
    }
    run(&["run", "--once", fails.file().to_str().expect("a path")]).expect_code(0);
    of_fails.assert_exact(&rows);
}

/// More rows than an offset holds lie behind the beginning of a transaction.
#[test]
fn a_window_beyond_its_limits_is_known_again_after_a_kill_or_waits() {
    let place = Place::new(Kind::MySql);
    let of = |then: &str| place.connector(Mode::TimestampIncrementing).set("commit.guard.on.timeout", then);
    let (goes_on, waits) = (of("rescan"), of("hold"));
    place.seed(1);
    let mut running = [&goes_on, &waits].map(start);
    let [mut of_goes_on, mut of_waits] = [&goes_on, &waits].map(|of| Arrived::of(of, "t"));
    for arrived in [&mut of_goes_on, &mut of_waits] {
        arrived.wait_for(&place.rows());
    }
    let mut held = place.session();
    held.run("begin");
    held.run("insert into t (version) values (-1)");
    let many = "insert into t (version) with recursive n (i) as (select 1 union all select i + 1 from n where i < 900)
                select i from n";
    for _ in 0..6 {
        place.run(many);
    }
    let name = place.full_name("t");
    let [going_on, waiting] = &mut running;
    status_where(going_on, &name, |table| table["guard"]["level"] == "rescan");
    let status = status_where(waiting, &name, |table| table["guard"]["level"] == "hold");
    // Other tests prepare transactions, and one of those may be older.
    let named = |blocker: &str| ["connection ", "prepared transaction "].iter().any(|kind| blocker.starts_with(kind));
    assert!(status["guard"]["blocker"].as_str().is_some_and(named), "{status}");
    place.run("insert into t (version) values (-2)");
    let rows = place.rows();
    of_goes_on.wait_for(&rows);
    // The next process knows them again, and what has come late meanwhile.
    let [going_on, waiting] = running;
    going_on.kill();
    held.run("commit");
    let mut running = [start(&goes_on), waiting];
    let rows = place.rows();
    of_goes_on.assert_exact(&rows);
    of_waits.assert_exact(&rows);
    for running in &mut running {
        status_where(running, &name, |table| table["guard"]["level"] == "exact");
    }
    for running in running {
        assert_eq!(running.terminate(), Some(0));
    }
}

/// Nothing is seen any more of who is open.
#[test]
fn a_right_that_is_taken_away_loses_nothing_and_the_next_connection_says_what_is_left() {
    let place = Place::bare(Kind::MySql);
    place.grant(&["select on t", "process on *.*"]);
    // Others want to read the engine's list, too.
    let connector = place.connector(Mode::TimestampIncrementing).set("poll.interval.ms", "300");
    place.seed(1);
    let mut running = start(&connector);
    let mut arrived = Arrived::of(&connector, "t");
    arrived.wait_for(&place.rows());
    let name = place.full_name("t");
    status_where(&mut running, &name, |table| table["guard"]["level"] == "exact");
    let mut held = place.session();
    held.run("begin");
    held.run("insert into t (version) values (-1)");
    place.run(&format!("revoke process on *.* from {}", place.user()));
    place.run("insert into t (version) values (-2)");
    eventually("the row after it comes", PATIENCE, || arrived.versions().contains(&-2).then_some(()));
    // Whoever comes next is told that it may not see.
    let own = format!("select cast(id as char) from information_schema.processlist where user = '{}'", place.user());
    let id = eventually("one connection is left", PATIENCE, || {
        <[String; 1]>::try_from(place.server().texts(&own)).ok().map(|[id]| id)
    });
    place.run(&format!("kill {id}"));
    let status = status_where(&mut running, &name, |table| table["guard"]["level"] == "rescan");
    assert!(status["guard"]["raise"].as_str().is_some_and(|raise| raise.contains("process")), "{status}");
    held.run("commit");
    arrived.assert_exact(&place.rows());
    assert_eq!(running.terminate(), Some(0));
}
