//! Columns of wall clocks at the edges of daylight saving time, on servers whose clock is set so that the edge comes while
//! rows are written.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::Arrived;
use super::place::{Kind, Mode, Place};
use crate::support::clocked::Clocked;
use crate::support::config::Connector;
use crate::support::db::{MySqlFamily, Postgres, Server, Source, block};
use crate::support::kafka::records;
use crate::support::process::{Running, run};
use crate::support::{PATIENCE, eventually, http, unique};

/// An edge of the year: where, when the server starts, so that rows come for most of a minute before, and until when they
/// are written.
struct Edge {
    zone: &'static str,
    start: &'static str,
    end: &'static str,
    comes_twice: bool,
}

/// 03:00 CEST is 02:00 CET at 01:00 UTC.
const AUTUMN: Edge =
    Edge { zone: "Europe/Berlin", start: "2024-10-27T00:59:00Z", end: "2024-10-27T01:00:15Z", comes_twice: true };
/// 02:00 CET is 03:00 CEST.
const SPRING: Edge =
    Edge { zone: "Europe/Berlin", start: "2024-03-31T00:59:15Z", end: "2024-03-31T01:00:10Z", comes_twice: false };
/// 02:00 at +11:00 is 01:30 at +10:30, at 15:00 UTC.
const HALF_AN_HOUR: Edge =
    Edge { zone: "Australia/Lord_Howe", start: "2024-04-06T14:59:15Z", end: "2024-04-06T15:00:15Z", comes_twice: true };

const MODES: [&str; 2] = ["timestamp+incrementing", "timestamp"];

fn connector(server: &Clocked, database: &str, edge: &Edge, mode: &str) -> Connector {
    let connector = Connector::new(&server.jdbc_url(database))
        .set("mode", mode)
        .set("timestamp.column.name", "ts")
        .set("table.whitelist", "t")
        .set("db.timezone", edge.zone)
        .set("key.mode", "primary_key")
        .set("poll.interval.ms", "20")
        .alone();
    if mode == "timestamp" { connector } else { connector.set("incrementing.column.name", "id") }
}

/// One row each 20 ms or so, each a transaction, of a session in the zone of the edge; the ids of all.
fn write(server: &Clocked, database: &str, edge: &Edge, mut meanwhile: impl FnMut()) -> BTreeMap<i64, i64> {
    let (of_writer, end) = (server.server(database), Instant::now() + server.until(edge.end));
    let variable = if matches!(of_writer, Server::Postgres(_)) { "timezone" } else { "time_zone" };
    let zone = format!("set {variable} = '{}'", edge.zone);
    let writer = std::thread::spawn(move || {
        block(async move {
            let mut session = of_writer.connect().await.expect("connect");
            session.run(&zone).await.expect("a zone");
            let mut rows = BTreeMap::new();
            for id in 1.. {
                session.run(&format!("insert into t (id, version) values ({id}, 0)")).await.expect("insert");
                rows.insert(id, 0);
                if Instant::now() > end {
                    break;
                }
                // The pace of the load, not a wait for anything.
                tokio::time::sleep(Duration::from_millis(18)).await;
            }
            rows
        })
    });
    while !writer.is_finished() {
        meanwhile();
    }
    writer.join().expect("the writer")
}

/// One connector of each mode reads on, one is killed again and again, and one has no guard.
fn the_edge_is_read_once(server: &Clocked, database: &str, edge: &Edge) {
    let of = |mode| connector(server, database, edge, mode);
    let (steady, killed) = (MODES.map(of), MODES.map(of));
    let unguarded = MODES.map(|mode| of(mode).set("commit.guard", "off"));
    let start = |connector: &Connector| Running::start(&connector.file(), &[]);
    let _running = (steady.each_ref().map(start), unguarded.each_ref().map(start));
    let mut rng = fastrand::Rng::new();
    let rows = write(server, database, edge, || {
        let lives = killed.each_ref().map(start);
        std::thread::park_timeout(Duration::from_millis(rng.u64(1_500..4_000)));
        lives.into_iter().for_each(Running::kill);
    });
    let _last = killed.each_ref().map(start);
    for connector in steady.iter().chain(&killed) {
        Arrived::of(connector, "t").assert_exact(&rows);
    }
    for connector in &unguarded {
        if !edge.comes_twice {
            continue;
        }
        let missing = Arrived::of(connector, "t").missing(&rows).len();
        assert!(missing > 100, "only {missing} rows are lost without the guard: nothing came twice");
    }
}

fn on_postgresql(edge: &Edge) {
    let server = Clocked::start("postgres", edge.start);
    let database = unique("rt");
    server.server("postgres").run(&format!("create database {database}"));
    server.server(&database).run(
        "create table t (id bigint primary key, ts timestamp not null default localtimestamp, version bigint not null);
         create index on t (ts, id)",
    );
    the_edge_is_read_once(&server, &database, edge);
}

fn on_mariadb(edge: &Edge) {
    let server = Clocked::start("mariadb", edge.start);
    server.server("mysql").run(&format!("set global time_zone = '{}'; create database rt", edge.zone));
    server.server("rt").run(
        "create table t (id bigint primary key, ts datetime(6) not null default current_timestamp(6),
           version bigint not null, key (ts, id))",
    );
    the_edge_is_read_once(&server, "rt", edge);
}

#[test]
fn the_hour_that_comes_twice_is_read_once_on_postgresql() {
    on_postgresql(&AUTUMN);
}

#[test]
fn the_hour_that_comes_twice_is_read_once_on_mariadb() {
    on_mariadb(&AUTUMN);
}

#[test]
fn the_half_hour_that_comes_twice_is_read_once_on_postgresql() {
    on_postgresql(&HALF_AN_HOUR);
}

#[test]
fn the_hour_that_does_not_come_is_passed_over_once_on_postgresql() {
    on_postgresql(&SPRING);
}

#[test]
fn the_hour_that_does_not_come_is_passed_over_once_on_mariadb() {
    on_mariadb(&SPRING);
}

/// Rows are held back as long as an older transaction is open, and no longer, whatever the zone of the wall clocks.
fn assert_held(kind: Kind, zone: &str, keys: &[(&str, &str)]) {
    println!("{kind:?}, {zone}, {keys:?}");
    let place = Place::new(kind);
    let session = || {
        let mut session = place.session();
        session.run(&format!("set time_zone = '{zone}'"));
        session
    };
    // The driver of MySQL decodes the values of its URLs, that of MariaDB does not.
    let written = if kind == Kind::MariaDb { zone.to_owned() } else { zone.replace('+', "%2B") };
    let url = format!("{}?sessionVariables=time_zone='{written}'", place.jdbc_url());
    let mut connector = place.connector(Mode::Timestamp).set("connection.url", &url).set("connection.user", "root");
    for (key, value) in keys {
        connector = connector.set(key, value);
    }
    let (topic, name) = match connector.keys.contains_key("query") {
        true => ("", "query".to_owned()),
        false => ("t", place.full_name("t")),
    };
    if topic.is_empty() {
        connector = connector.without("table.whitelist");
    }
    let mut running = Running::start(&connector.file(), &["--listen", "127.0.0.1:0"]);
    let address = running.address();
    let mut arrived = Arrived::of(&connector, topic);
    let mut other = session();
    other.run("insert into t (version) values (0)");
    arrived.wait_for(&place.rows());
    let mut open = session();
    open.run("begin");
    open.run("insert into t (version) values (1)");
    other.run("insert into t (version) values (2)");
    let waits = || http::table(&address, &name)?["reason"].as_str()?.starts_with("newer rows wait for").then_some(());
    eventually("newer rows wait", PATIENCE, waits);
    assert!(http::metric(&address, "rowtide_polls_total", &[r#"result="waiting""#]) >= 1.0);
    assert_eq!(arrived.versions(), [0]);
    open.run("commit");
    arrived.assert_exact(&place.rows());
    assert_eq!(arrived.versions(), [0, 1, 2]);
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn hold_knows_the_zone_of_the_wall_clocks() {
    let hold = [("commit.guard", "hold")];
    let query = [("query", "select id, ts, version from t")];
    for zone in ["+02:00", "-05:00"] {
        for kind in [Kind::MySql, Kind::MariaDb, Kind::TiDb] {
            assert_held(kind, zone, &hold);
        }
        assert_held(Kind::MySql, zone, &query);
        assert_held(Kind::MariaDb, zone, &query);
    }
}

/// A row of a session that begins now, in the server's zone, comes.
fn assert_comes(server: &Server, id: i64, arrived: &mut Arrived) {
    server.run(&format!("set time_zone = @@global.time_zone; insert into t (id, version) values ({id}, 0)"));
    eventually("the row comes", PATIENCE, || arrived.has_come(id).then_some(()));
}

#[test]
fn another_zone_of_the_server_is_noticed_while_it_runs() {
    let server = Clocked::start("mariadb", &chrono::Utc::now().to_rfc3339());
    server.server("mysql").run("create database rt");
    let rt = server.server("rt");
    rt.run(
        "create table t (id bigint primary key, ts datetime(6) not null default current_timestamp(6),
           version bigint not null, key (ts, id))",
    );
    let connector = connector(&server, "rt", &AUTUMN, "timestamp+incrementing");
    let mut running = Running::start(&connector.file(), &[]);
    let mut arrived = Arrived::of(&connector, "t");
    assert_comes(&rt, 1, &mut arrived);
    rt.run("set global time_zone = '+05:00'");
    assert_comes(&rt, 2, &mut arrived);
    running.wait_for_log("the server's time zone was changed from +00:00 to +05:00");
    rt.run("set global time_zone = '-03:00'");
    // What is written before the first poll of the new zone lies below the position, and nobody can tell it from what was
    // read.
    running.wait_for_log_in_order(&["one with earlier wall clocks", "polling works again"]);
    assert_comes(&rt, 3, &mut arrived);
    assert_comes(&rt, 4, &mut arrived);
    assert_eq!(arrived.repeated(), []);
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn rows_ahead_of_the_clock_that_bounds_polls_are_told_with_the_zone_that_explains_them() {
    let database = Postgres::new();
    database.run(&format!("alter database {} set timezone = 'Asia/Tokyo'", database.name));
    database.run(
        "create table t (id bigint primary key, ts timestamp not null default localtimestamp, version bigint not null)",
    );
    database.run("set timezone = 'Asia/Tokyo'; insert into t (id, version) select n, 0 from generate_series(1, 3) n");
    let connector = Connector::new(&database.jdbc_url())
        .set("mode", "timestamp+incrementing")
        .set("timestamp.column.name", "ts")
        .set("incrementing.column.name", "id")
        .set("table.whitelist", "t")
        .alone();
    let file = connector.file().display().to_string();
    let says = ["3 row(s) with times up to 9 h 0 min ahead of the clock", "set db.timezone=Asia/Tokyo"];
    run(&["check", &file]).expect_code(0).expect_says(&says);
    run(&["explain", &file]).expect_code(0).expect_says(&says);
    let once = run(&["run", "--once", &file]).expect_code(0).expect_says(&says);
    once.expect_says(&["rows_ahead=3", "done, but for rows with times ahead of the clock"]);
    let mut running = Running::start(&connector.file(), &["--listen", "127.0.0.1:0"]);
    let address = running.address();
    let name = database.full_name("t");
    eventually("the status says so", PATIENCE, || {
        let is_told = |table: &Json| table["not_polled"][0]["reason"] == "ahead" && table["not_polled"][0]["rows"] == 3;
        http::table(&address, &name).filter(is_told).map(drop)
    });
    assert_eq!(running.terminate(), Some(0));
    let connector = connector.set("db.timezone", "Asia/Tokyo");
    let file = connector.file().display().to_string();
    run(&["run", "--once", &file]).expect_code(0);
    assert_eq!(records(&connector.topic("t")).len(), 3);
}

#[test]
fn wall_clocks_of_another_zone_than_the_session_s_are_told_on_mysql() {
    for kind in ["mysql", "mariadb", "tidb"] {
        let database = MySqlFamily::new(kind);
        database.run("create table t (id bigint primary key, ts datetime(6) not null, version bigint not null)");
        database.run("set time_zone = '+05:00'; insert into t values (1, now(6), 0)");
        let connector = Connector::new(&database.jdbc_url())
            .set("mode", "timestamp")
            .set("timestamp.column.name", "ts")
            .set("table.whitelist", "t")
            .set("db.timezone", "+05:00")
            .alone();
        let says =
            ["1 row(s) with times up to 5 h 0 min ahead of the clock", "set time_zone='+05:00' by sessionVariables"];
        let file = connector.file().display().to_string();
        run(&["run", "--once", &file]).expect_code(0).expect_says(&says);
        let zone = if kind == "mariadb" { "+05:00" } else { "%2B05:00" };
        let url = format!("{}?sessionVariables=time_zone='{zone}'", database.jdbc_url());
        let connector = connector.set("connection.url", &url);
        let file = connector.file().display().to_string();
        let checked = run(&["check", &file]).expect_code(0);
        assert!(!checked.stdout.contains("ahead of the clock"), "{}", checked.stdout);
    }
}
