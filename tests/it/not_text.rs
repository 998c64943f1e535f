//! Text that is not what the database says it is: the row and the column are named, the others go on without it where
//! that is wanted, and a table with such a name stops nobody who does not select it.

use serde_json::{Value as Json, json};

use crate::support::any::Any;
use crate::support::db::{MySqlFamily, Postgres, Sqlite};
use crate::support::kafka::records;
use crate::support::process::{once, run};
use crate::support::unique;

fn ids(topic: &str) -> Vec<i64> {
    records(topic).iter().map(|record| record.field("id").as_i64().expect("a number")).collect()
}

/// Databases with a table `t` whose second row is not text in UTF-8, and what makes it so.
fn with_other_text() -> Vec<Any> {
    let postgres = Postgres::of_any_bytes();
    postgres.run("create table t (id int primary key, v text not null)");
    postgres.run("insert into t values (1, 'a'), (2, E'caf\\xe9'), (3, 'c')");
    let tidb = MySqlFamily::new("tidb");
    tidb.run("create table t (id int primary key, v varchar(9) not null)");
    tidb.run("set tidb_skip_utf8_check = 1; insert into t values (1, 'a'), (2, x'636166e9'), (3, 'c')");
    let sqlite = Sqlite::new();
    sqlite.run("create table t (id int not null primary key, v text not null)");
    sqlite.run("insert into t values (1, 'a'), (2, cast(x'636166e9' as text)), (3, 'c')");
    vec![Any::Postgres(postgres), Any::MySql("tidb", tidb), Any::Sqlite(sqlite)]
}

#[test]
fn text_that_is_no_utf_8_is_named_by_row_and_column_and_can_be_left_out() {
    for database in with_other_text() {
        let connector = database.by_id("t", 10).alone();
        once(&connector).expect_code(1).expect_says(&["column v", "row id=2"]);
        assert_eq!(ids(&connector.topic("t")), [] as [i64; 0], "{}", database.name());
        let connector = connector.set("errors.tolerance", "all");
        once(&connector).expect_code(0).expect_says(&["row id=2"]);
        assert_eq!(ids(&connector.topic("t")), [1, 3], "{}", database.name());
        let bulk = database.connector().set("mode", "bulk").set("table.whitelist", "t").alone();
        once(&bulk).expect_code(1).expect_says(&["column v", "row id=2"]);
    }
}

/// Databases in other encodings with a table `t` whose second row has a character that is none in UTF-8, or none at
/// all, and the text of the third.
fn with_inconvertible_text() -> Vec<(&'static str, Any, &'static str)> {
    let fill = |database: &Postgres, second: &str, third: &str| {
        database.run("create table t (id int primary key, c char(3) not null, v text, ts timestamptz not null)");
        database.run(&format!(
            "insert into t select id, 'x', v, '2024-01-01 00:00:00Z'::timestamptz + id * interval '1 s'
             from (values (1, 'a'), (2, E'{second}'), (3, E'{third}'), (4, null)) as r (id, v)"
        ));
    };
    let western = Postgres::of_encoding("WIN1252");
    fill(&western, "x\\x81", "caf\\xe9\\\\ 5\\x80");
    let japanese = Postgres::of_encoding("EUC_JP");
    fill(&japanese, "\\xa4\\xa2\\xf4\\xfe", "\\xa4\\xa2\\x8e\\xb1b");
    // As after an upgrade that only says what the encoding is.
    let broken = Postgres::of_any_bytes();
    fill(&broken, "a\\xa4", "\\xa4\\xa2");
    let encoding = format!("pg_char_to_encoding('EUC_JP') where datname = '{}'", broken.name);
    broken.run(&format!("update pg_database set encoding = {encoding}"));
    vec![
        ("WIN1252", Any::Postgres(western), "café\\ 5€"),
        ("EUC_JP", Any::Postgres(japanese), "あｱb"),
        ("broken", Any::Postgres(broken), "あ"),
    ]
}

#[test]
fn text_that_the_server_cannot_convert_is_named_by_row_and_column_and_can_be_left_out() {
    for (encoding, database, third) in with_inconvertible_text() {
        let of_query = |mode: &str| {
            let query = database.connector().set("mode", mode).set("topic.prefix", &unique("query"));
            query.set("query", "select *, v as again from t -- all of it").alone()
        };
        let by_time = || {
            let by_id = database.by_id("t", 10).set("mode", "timestamp+incrementing");
            by_id.set("timestamp.column.name", "ts").alone()
        };
        let bulk = database.connector().set("mode", "bulk").set("table.whitelist", "t");
        let of_table = [database.by_id("t", 10).alone(), by_time(), bulk.alone()].map(|c| (c.topic("t"), c));
        let queries = [of_query("bulk"), of_query("incrementing").set("incrementing.column.name", "id")];
        for (topic, connector) in of_table.into_iter().chain(queries.map(|c| (c.keys["topic.prefix"].clone(), c))) {
            once(&connector).expect_code(1).expect_says(&["column v", "no equivalent in UTF-8"]);
            assert_eq!(ids(&topic), [] as [i64; 0], "{encoding} {topic}");
            let connector = connector.set("errors.tolerance", "all");
            once(&connector).expect_code(0).expect_says(&["column v"]);
            let read = records(&topic);
            let of = |name: &str| read.iter().map(|record| record.field(name)).collect::<Vec<_>>();
            assert_eq!(of("id"), [1, 3, 4].map(Json::from), "{encoding} {topic}");
            assert_eq!(of("v"), [json!("a"), json!(third), Json::Null], "{encoding} {topic}");
            assert_eq!(of("c"), ["x  "; 3].map(Json::from), "{encoding} {topic}");
        }
        once(&by_time()).expect_code(1).expect_says(&["row id=2"]);
    }
}

#[test]
fn a_key_that_the_server_cannot_convert_is_named_by_its_bytes() {
    let postgres = Postgres::of_encoding("WIN1252");
    postgres.run("create table t (id text primary key, v int)");
    postgres.run("insert into t values ('a', 1), (E'b\\xe9', 2), (E'c\\x81', 3), (E'd\\xe8', 4)");
    let database = Any::Postgres(postgres);
    let bulk = database.connector().set("mode", "bulk").set("table.whitelist", "t").set("batch.max.rows", "1").alone();
    once(&bulk).expect_code(1).expect_says(&["column id", "row id=0x6381"]);
    database.run("delete from t where v = 3; insert into t values ('z', 5)");
    once(&bulk).expect_code(0);
    let read = records(&bulk.topic("t"));
    let ids: Vec<Json> = read[read.len() - 4..].iter().map(|record| record.field("id")).collect();
    assert_eq!(ids, ["a", "bé", "dè", "z"].map(Json::from));
}

/// A table whose name has a character that is not text is named where it is selected, and stops nobody else.
fn a_name_stops_nobody_who_does_not_select_it(postgres: Postgres, character: u8) {
    postgres.run("create table t (id int primary key, v text not null); insert into t values (1, 'a')");
    let create = format!("format('create table %I (id int primary key)', 'caf' || chr({character}))");
    postgres.run(&format!("do $$ begin execute {create}; end $$"));
    let database = Any::Postgres(postgres);
    let connector = database.by_id("t", 10).alone();
    run(&["check", connector.file().to_str().expect("a path")]).expect_code(0);
    once(&connector).expect_code(0);
    assert_eq!(ids(&connector.topic("t")), [1]);
    let all = database.by_id("t", 10).without("table.whitelist").alone();
    once(&all).expect_code(1).expect_says(&["the name is not text in UTF-8", "rename the table"]);
    assert_eq!(ids(&all.topic("t")), [1], "the others go on");
}

#[test]
fn a_table_whose_name_the_server_cannot_convert_stops_nobody_who_does_not_select_it() {
    a_name_stops_nobody_who_does_not_select_it(Postgres::of_encoding("WIN1252"), 129);
}

#[test]
fn a_table_whose_name_is_no_utf_8_stops_nobody_who_does_not_select_it() {
    a_name_stops_nobody_who_does_not_select_it(Postgres::of_any_bytes(), 233);
}
