//! Tables that begin anew under their name while they are polled, or while nobody polls them: said and stopped, or read
//! from their beginning. Tables that are only written anew go on without a row lost or repeated.

pub(crate) mod clusters;
mod others;
mod rewritten;

use serde_json::{Value as Json, json};

use crate::modes::sources;
use crate::support::config::Connector;
use crate::support::http::{table, wait_for_state};
use crate::support::kafka::{records, wait_for_records};
use crate::support::oracle::stored_offset;
use crate::support::process::{Finished, Running, run};

/// The error of a table that begins anew.
const SAYS: &str = "the table has begun anew";

fn once(connector: &Connector, more: &[&str]) -> Finished {
    let file = connector.file().display().to_string();
    run(&[&["run", "--once", &file][..], more].concat())
}

fn start(connector: &Connector) -> Running {
    Running::start(&connector.file(), &["--listen", "127.0.0.1:0"])
}

fn fields(connector: &Connector, table: &str, field: &str) -> Vec<Json> {
    records(&connector.topic(table)).iter().map(|record| record.field(field)).collect()
}

/// A column of ids that the database hands out.
fn auto(url: &str) -> &'static str {
    match url {
        url if url.contains("postgres") => "serial primary key",
        url if url.contains("sqlite") => "integer primary key autoincrement not null",
        _ => "integer primary key auto_increment",
    }
}

fn create(url: &str, name: &str) -> String {
    format!("create table {name} (id {}, v varchar(20))", auto(url))
}

/// Empties a table such that its ids begin again at 1.
fn truncate(url: &str) -> &'static str {
    match url {
        url if url.contains("postgres") => "truncate t restart identity",
        // Its way to empty a table tells nothing; see `others`.
        url if url.contains("sqlite") => {
            "drop table t; create table t (id integer primary key autoincrement not null, v varchar(20))"
        }
        _ => "truncate table t",
    }
}

/// Rows named after the life of their table.
fn insert(table: &str, word: &str, rows: usize) -> String {
    let rows: Vec<String> = (1..=rows).map(|row| format!("('{word} {row}')")).collect();
    format!("insert into {table} (v) values {}", rows.join(", "))
}

fn polled(url: &str, tables: &str) -> Connector {
    Connector::new(url).alone().set("mode", "incrementing").set("table.whitelist", tables)
}

/// The full name of a table as the status and the offsets have it.
fn full_name(connector: &Connector, name: &str) -> String {
    let url = &connector.keys["connection.url"];
    match url {
        url if url.contains("postgres") => format!("public.{name}"),
        url if url.contains("sqlite") => name.to_owned(),
        url => format!("{}.{name}", url.rsplit_once('/').expect("a database").1),
    }
}

fn ids(range: std::ops::RangeInclusive<i64>) -> Vec<Json> {
    range.map(Json::from).collect()
}

#[test]
fn a_table_that_begins_anew_with_more_rows_than_before_stops_and_the_others_go_on() {
    for (url, run_sql, _keep) in sources("create table unused (id integer primary key)") {
        for way in [Way::Truncate, Way::Replace] {
            run_sql(&create(&url, "t"));
            run_sql(&create(&url, "u"));
            run_sql(&insert("t", "old", 10));
            run_sql(&insert("u", "other", 1));
            let connector = polled(&url, "t,u");
            let mut running = start(&connector);
            let address = running.address();
            wait_for_records(&connector.topic("t"), 10);
            wait_for_records(&connector.topic("u"), 1);
            way.begin_anew(&url, &run_sql);
            run_sql(&insert("t", "new", 20));
            let name = full_name(&connector, "t");
            let status = wait_for_state(&address, &name, "failed");
            let text = |field: &str| status[field].as_str().expect("a text").to_owned();
            assert!(text("reason").contains(SAYS), "{url} {way:?}: {status}");
            assert!(text("advice").contains("table.recreated=follow"), "{url} {way:?}: {status}");
            run_sql(&insert("u", "other", 1));
            wait_for_records(&connector.topic("u"), 2);
            assert_eq!(table(&address, &name).expect("a status")["state"], "failed", "it stays so: {url} {way:?}");
            assert_eq!(running.terminate(), Some(0));
            let file = connector.file().display().to_string();
            run(&["offsets", "reset", &file, "--table", "t", "--yes"]).expect_code(0);
            let before = records(&connector.topic("t")).len();
            once(&connector, &[]).expect_code(0);
            assert_eq!(fields(&connector, "t", "id")[before..], ids(1..=20), "{url} {way:?}");
            run_sql("drop table t; drop table u");
        }
    }
}

/// The ways in which a table begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Truncate,
    Replace,
}

impl Way {
    fn begin_anew(self, url: &str, run_sql: &dyn Fn(&str)) {
        match self {
            Self::Truncate => run_sql(truncate(url)),
            Self::Replace => run_sql(&format!("drop table t; {}", create(url, "t"))),
        }
    }
}

#[test]
fn a_table_that_begins_anew_is_read_from_its_beginning_once_where_it_is_followed() {
    for (url, run_sql, _keep) in sources("create table unused (id integer primary key)") {
        for (way, rows) in [(Way::Truncate, 20), (Way::Truncate, 5), (Way::Replace, 20), (Way::Replace, 5)] {
            run_sql(&create(&url, "t"));
            run_sql(&insert("t", "old", 10));
            let connector = polled(&url, "t").set("table.recreated", "follow");
            let mut running = start(&connector);
            let address = running.address();
            wait_for_records(&connector.topic("t"), 10);
            way.begin_anew(&url, &run_sql);
            run_sql(&insert("t", "new", rows));
            wait_for_records(&connector.topic("t"), 10 + rows);
            run_sql(&insert("t", "later", 1));
            wait_for_records(&connector.topic("t"), 11 + rows);
            let last = rows as i64 + 1;
            let expected = [ids(1..=10), ids(1..=last)].concat();
            assert_eq!(fields(&connector, "t", "id"), expected, "{url} {way:?} {rows}");
            let status = table(&address, &full_name(&connector, "t")).expect("a status");
            assert_eq!(status["began_anew"]["times"], 1, "{url} {way:?} {rows}: {status}");
            assert!(running.log().contains(SAYS), "{url} {way:?} {rows}");
            assert_eq!(running.terminate(), Some(0));
            once(&connector, &[]).expect_code(0);
            assert_eq!(records(&connector.topic("t")).len(), 11 + rows, "{url} {way:?} {rows}");
            let offset = stored_offset(&connector, &full_name(&connector, "t")).expect("an offset");
            assert_eq!(offset["incrementing"], last, "{url} {way:?} {rows}");
            run_sql("drop table t");
        }
    }
}

#[test]
fn a_restart_notices_a_table_that_begins_anew_however_many_rows_it_has() {
    for (url, run_sql, _keep) in sources("create table unused (id integer primary key)") {
        for way in [Way::Truncate, Way::Replace] {
            run_sql(&create(&url, "t"));
            run_sql(&insert("t", "old", 10));
            let connector = polled(&url, "t");
            once(&connector, &[]).expect_code(0);
            way.begin_anew(&url, &run_sql);
            run_sql(&insert("t", "new", 20));
            once(&connector, &[]).expect_code(1).expect_says(&[SAYS, "table.recreated=follow", "--accept-server"]);
            assert_eq!(records(&connector.topic("t")).len(), 10, "{url} {way:?}");
            let following = connector.set("table.recreated", "follow");
            once(&following, &[]).expect_code(0);
            once(&following, &[]).expect_code(0);
            assert_eq!(fields(&following, "t", "id"), [ids(1..=10), ids(1..=20)].concat(), "{url} {way:?}");
            run_sql("drop table t");
        }
    }
}

#[test]
fn what_an_operator_accepts_is_gone_on_with_at_the_position_and_remembered() {
    for (url, run_sql, _keep) in sources("create table unused (id integer primary key)") {
        run_sql(&create(&url, "t"));
        run_sql(&insert("t", "old", 10));
        let connector = polled(&url, "t");
        once(&connector, &[]).expect_code(0);
        run_sql(truncate(&url));
        run_sql(&insert("t", "new", 12));
        once(&connector, &[]).expect_code(1).expect_says(&[SAYS]);
        once(&connector, &["--accept-server"]).expect_code(0).expect_says(&["accepted with --accept-server"]);
        once(&connector, &[]).expect_code(0);
        run_sql(&insert("t", "later", 1));
        once(&connector, &[]).expect_code(0);
        assert_eq!(fields(&connector, "t", "id"), ids(1..=13), "{url}");
        run_sql(truncate(&url));
        run_sql(&insert("t", "third", 20));
        once(&connector, &[]).expect_code(1).expect_says(&[SAYS]);
    }
}

#[test]
fn a_table_without_rows_whose_ids_begin_again_is_noticed_before_the_first() {
    for (url, run_sql, _keep) in sources("create table unused (id integer primary key)") {
        // The counters of TiDB are of each server.
        if url.contains("sqlite") {
            continue;
        }
        run_sql(&create(&url, "t"));
        run_sql(&insert("t", "old", 10));
        let connector = polled(&url, "t").set("table.recreated", "follow");
        let running = start(&connector);
        wait_for_records(&connector.topic("t"), 10);
        run_sql(truncate(&url));
        run_sql(&insert("t", "new", 1));
        wait_for_records(&connector.topic("t"), 11);
        run_sql(truncate(&url));
        run_sql(&insert("t", "third", 1));
        wait_for_records(&connector.topic("t"), 12);
        assert_eq!(fields(&connector, "t", "v")[10..], [json!("new 1"), json!("third 1")], "{url}");
        assert_eq!(running.terminate(), Some(0));
    }
}
