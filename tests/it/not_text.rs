//! Text that is not what the database says it is: the row and the column are named, the others go on without it where
//! that is wanted, and a table with such a name stops nobody who does not select it.

use crate::support::any::Any;
use crate::support::config::Connector;
use crate::support::db::{MySqlFamily, Postgres, Sqlite};
use crate::support::kafka::records;
use crate::support::process::{Finished, run};

#[track_caller]
fn once(connector: &Connector) -> Finished {
    run(&["run", "--once", connector.file().to_str().expect("a path")])
}

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

#[test]
fn a_table_whose_name_is_no_utf_8_stops_nobody_who_does_not_select_it() {
    let postgres = Postgres::of_any_bytes();
    postgres.run("create table t (id int primary key, v text not null); insert into t values (1, 'a')");
    postgres.run("do $$ begin execute format('create table %I (id int primary key)', 'caf' || chr(233)); end $$");
    let database = Any::Postgres(postgres);
    let connector = database.by_id("t", 10).alone();
    run(&["check", connector.file().to_str().expect("a path")]).expect_code(0);
    once(&connector).expect_code(0);
    assert_eq!(ids(&connector.topic("t")), [1]);
    let all = database.by_id("t", 10).without("table.whitelist").alone();
    once(&all).expect_code(1).expect_says(&["the name is not text in UTF-8", "rename the table"]);
    assert_eq!(ids(&all.topic("t")), [1], "the others go on");
}
