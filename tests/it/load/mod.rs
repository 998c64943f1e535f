//! The load on the database: pauses of idle tables grow where that is wanted, and a table whose polls no index serves is
//! told, or not polled, also when its index goes while the connector runs.

mod many;
mod statements;

use std::time::{Duration, Instant};

use crate::support::any::Any;
use crate::support::config::Connector;
use crate::support::db::{Postgres, Sqlite};
use crate::support::http::table;
use crate::support::kafka::wait_for_records;
use crate::support::process::{Running, once};
use crate::support::{PATIENCE, eventually};

const LISTEN: &[&str] = &["--listen", "127.0.0.1:0"];

fn by_time(database: &Any) -> Connector {
    let connector = database.connector().set("mode", "timestamp+incrementing").set("timestamp.column.name", "ts");
    connector.set("incrementing.column.name", "id").set("table.whitelist", "t").set("plan.guard", "refuse").alone()
}

fn with_unserved_table(database: &Any) {
    let now = if matches!(database, Any::Sqlite(_)) { "datetime('now')" } else { "current_timestamp" };
    database.run("create table t (id int not null primary key, ts timestamp not null, v int not null)");
    database.run(&format!("insert into t values (1, {now}, 1)"));
}

/// The table is not polled; the index that the message gives lets it.
fn is_refused_until_it_has_the_index(database: Any) {
    with_unserved_table(&database);
    let connector = by_time(&database).set("table.poll.interval.ms", "500");
    let finished = once(&connector).expect_code(1);
    let said = finished.expect_says(&["no index serves the polls of the table", "plan.guard=warn"]);
    let ddl = said.stderr.lines().find_map(|line| Some(&line[line.find("create index")?..])).expect("the index");
    let ddl = &ddl[..=ddl.find(')').expect("its end")];
    database.run(ddl);
    once(&connector).expect_code(0);
    wait_for_records(&connector.topic("t"), 1);
}

#[test]
fn a_table_that_no_index_serves_is_not_polled_until_it_has_the_one_that_the_message_gives_on_every_database() {
    Any::all().into_iter().for_each(is_refused_until_it_has_the_index);
}

#[test]
fn an_index_that_is_dropped_while_the_connector_runs_is_missed_after_a_slow_poll_and_one_that_is_back_is_seen() {
    let any = Any::Postgres(Postgres::new());
    with_unserved_table(&any);
    any.run("create index t_ts on t (ts, id)");
    let connector = by_time(&any).set("plan.guard", "warn").set("poll.interval.ms", "100");
    let mut process = Running::start(&connector.file(), LISTEN);
    let address = process.address();
    let facts = || table(&address, "public.t").map(|table| table["cursor_facts"].to_string()).unwrap_or_default();
    wait_for_records(&connector.topic("t"), 1);
    assert!(!facts().contains("no index serves"), "{}", facts());
    let slow = "begin; lock table t in access exclusive mode; select pg_sleep(1.5); commit";
    any.run("drop index t_ts");
    eventually("the plan is told", PATIENCE, || {
        any.run(slow);
        facts().contains("no index serves the polls of the table").then_some(())
    });
    process.wait_for_log("no index serves the polls of the table");
    any.run("create index t_ts on t (ts, id)");
    eventually("the plan is served again", PATIENCE, || {
        any.run(slow);
        (!facts().contains("no index serves")).then_some(())
    });
    assert_eq!(process.terminate(), Some(0));
}

#[test]
fn the_polls_of_an_idle_table_become_fewer_up_to_the_longest_pause_and_rows_bring_them_back() {
    let any = Any::Postgres(Postgres::new());
    any.run("create table t (id int primary key)");
    let connector = any.by_id("t", 100).set("poll.interval.ms", "50").set("poll.interval.max.ms", "2000").alone();
    let mut process = Running::start(&connector.file(), LISTEN);
    let address = process.address();
    let last_poll = || table(&address, "public.t").map(|table| table["last_poll"].to_string());
    let mut longest = 0;
    eventually("a pause of two seconds", PATIENCE, || {
        let (poll, began) = (last_poll(), Instant::now());
        eventually("the next poll", PATIENCE, || (last_poll() != poll).then_some(()));
        longest = longest.max(began.elapsed().as_millis());
        (longest > 1500).then_some(())
    });
    any.run("insert into t values (1)");
    wait_for_records(&connector.topic("t"), 1);
    let (poll, began) = (last_poll(), Instant::now());
    eventually("the next poll", PATIENCE, || (last_poll() != poll).then_some(()));
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?} although there were rows", began.elapsed());
    assert_eq!(process.terminate(), Some(0));
}

#[test]
fn a_table_is_read_no_faster_than_load_rows_per_second() {
    let any = Any::Sqlite(Sqlite::new());
    any.run(
        "create table t (id integer primary key);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000) insert into t select i from n",
    );
    let connector = any.by_id("t", 1000).set("load.rows.per.second", "500").alone();
    let began = Instant::now();
    once(&connector).expect_code(0);
    assert!(began.elapsed() >= Duration::from_secs(3), "2000 rows, 500 a second, took {:?}", began.elapsed());
    wait_for_records(&connector.topic("t"), 2000);
}
