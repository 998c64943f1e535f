//! The effects of `decimal.handling`, `zero.date` and their like on the records of a connector, for all columns and for
//! single ones, and what is said about values that only such a setting would deliver.

use rowtide::config::spec::TypeSpec;
use rowtide::dialect::DIALECTS;
use serde_json::{Value as Json, json};

use crate::support::config::Connector;
use crate::support::db::{Postgres, Sqlite};
use crate::support::kafka::records;
use crate::support::process::{Finished, run};

fn once(connector: &Connector) -> Finished {
    run(&["run", "--once", connector.file().to_str().expect("a path")])
}

fn bulk(jdbc_url: &str) -> Connector {
    Connector::new(jdbc_url).set("mode", "bulk").set("table.whitelist", "t")
}

/// One field of the records of `t`, in the order of their ids.
fn field(connector: &Connector, name: &str) -> Vec<Json> {
    records(&connector.topic("t")).iter().map(|record| record.field(name)).collect()
}

#[test]
fn every_built_in_type_of_the_server_stands_in_the_reference() {
    let listed = Postgres::new().texts(
        "select format_type(oid, null) from pg_type where typnamespace = 'pg_catalog'::regnamespace
           and typtype in ('b', 'r', 'm') and typcategory <> 'A' and typname <> 'unknown' order by oid",
    );
    let dialect = DIALECTS.iter().find(|dialect| dialect.name() == "postgresql").expect("a dialect");
    let documented: Vec<String> =
        dialect.documented_types(&TypeSpec::default()).into_iter().map(|documented| documented.name).collect();
    let is_there = |name: &str| documented.iter().any(|known| known == name || known.starts_with(&format!("{name}(")));
    let missing: Vec<_> = listed.iter().filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_setting_of_one_column_changes_that_column_only() {
    let database = Postgres::new();
    database.run(
        "create table t (id int primary key, a numeric, b numeric(10,2) not null, c numeric(10,2), m money,
           d date not null, e date not null, f date, g time(6), h timetz, i int[], j int[], k timestamp);
         insert into t values
           (1, 'NaN', 12.30, 12.5, 1234567.89, 'infinity', '-infinity', 'infinity', '12:00:00.123456', '01:00+02', '{1}',
            '{2}', '2024-10-27 02:30:00'),
           (2, 1e-20, -0.05, null, null, '2024-02-29', '2024-02-29', '2024-02-29', '24:00', null, null, null, null)",
    );
    let connector = bulk(&database.jdbc_url())
        .set("db.timezone", "Europe/Berlin")
        .set("decimal.handling", "string")
        .set("column.public.t.c.decimal.handling", "double")
        .set("column.t.d.zero.date", "null")
        .set("column.t.e.zero.date", "string")
        .set("column.t.g.time.handling", "string")
        .set("column.t.h.time.handling", "string")
        .set("column.t.i.type.unsupported", "skip")
        .set("column.t.k.dst.overlap", "earlier");
    once(&connector).expect_code(0);
    let field = |name| field(&connector, name);
    assert_eq!(field("a"), [json!("NaN"), json!("0.00000000000000000001")]);
    assert_eq!(field("b"), [json!("12.30"), json!("-0.05")]);
    assert_eq!(field("c"), [json!(12.5), Json::Null]);
    assert_eq!(field("m"), [json!("1234567.89"), Json::Null]);
    assert_eq!(field("d")[0], Json::Null);
    assert_ne!(field("d")[1], Json::Null);
    assert_eq!(field("e"), [json!("-infinity"), json!("2024-02-29")]);
    assert_eq!(field("f")[0], Json::Null);
    assert_eq!(field("g"), [json!("12:00:00.123456"), json!("24:00:00")]);
    assert_eq!(field("h"), [json!("01:00:00+02"), Json::Null]);
    assert_eq!((field("i")[0].clone(), field("j")[0].clone()), (Json::Null, json!("{2}")));
    assert_eq!(field("k")[0], json!(1_729_989_000_000_i64));
}

#[test]
fn a_date_delivered_as_text_is_a_cursor_still() {
    let database = Postgres::new();
    database.run("create table t (id int primary key, d date not null); insert into t values (1, '2024-02-29')");
    let connector = bulk(&database.jdbc_url())
        .set("mode", "timestamp")
        .set("timestamp.column.name", "d")
        .set("zero.date", "string");
    once(&connector).expect_code(0);
    database.run("insert into t values (2, '2024-03-01')");
    once(&connector).expect_code(0);
    assert_eq!(field(&connector, "d"), [json!("2024-02-29"), json!("2024-03-01")]);
}

#[test]
fn a_value_that_fits_no_field_is_named_with_its_row_and_the_setting_that_delivers_it() {
    for (column, value, setting) in [
        ("numeric(5,2)", "'NaN'", "decimal.handling=string"),
        ("numeric", "1e-200", "decimal.handling=string"),
        ("money", "92233720368547758.07", "decimal.handling=string"),
        ("date not null", "'infinity'", "zero.date=string"),
        ("timestamp", "'2024-10-27 02:30:00'", "dst.overlap=later"),
    ] {
        let database = Postgres::new();
        database.run(&format!(
            "create table t (id int, part text, note text, v {column}, primary key (id, part));
             insert into t values (17, 'x', 'confidential', {value})"
        ));
        let connector = bulk(&database.jdbc_url()).set("db.timezone", "Europe/Berlin").set("dst.overlap", "fail");
        let finished = once(&connector);
        let said = format!("{}{}", finished.stdout, finished.stderr);
        assert_ne!(finished.code, Some(0), "{column}");
        let advice = format!("set column.public.t.v.{setting}, or {setting} for every column");
        for part in ["table public.t", "column v", "row id=17, part=x", &advice] {
            assert!(said.contains(part), "{column}: no `{part}` in {said}");
        }
        assert!(!said.contains("confidential"), "{said}");
    }
}

#[test]
fn a_setting_that_names_nothing_is_not_taken_in_silence() {
    let database = Postgres::new();
    database.run("create table t (id int primary key, a numeric)");
    let check = |connector: Connector| run(&["check", connector.file().to_str().expect("a path")]);
    check(bulk(&database.jdbc_url()).set("column.public.t.b.decimal.handling", "string"))
        .expect_code(2)
        .expect_says(&["column.public.t.b.decimal.handling: there is no column `b`", "its columns are id, a"]);
    check(bulk(&database.jdbc_url()).set("column.tt.a.decimal.handling", "string"))
        .expect_code(0)
        .expect_says(&["column.tt.a.decimal.handling: no table that is polled is named so; it has no effect"]);
    let connector = bulk(&database.jdbc_url()).set("column.tt.a.decimal.handling", "string");
    once(&connector).expect_code(0).expect_says(&["column.tt.a.decimal.handling: no table"]);
}

#[test]
fn sqlite_values_of_any_class_are_delivered_whole_or_not_at_all() {
    let database = Sqlite::new();
    database.run(
        "create table t (id integer primary key not null, a integer, b real, c smallint, d decimal(10,2), e);
         insert into t values (1, 'abc', 0.5, 1, 12.34, 0.1 + 0.2), (2, 2, 1234.56789012345, 70000, '12.345', 3);",
    );
    let connector = bulk(&database.jdbc_url());
    once(&connector).expect_code(1).expect_says(&[
        "the value has a storage class that its field cannot hold",
        "row id=1",
        "set column.t.a.type.mismatch=text",
    ]);
    let connector =
        bulk(&database.jdbc_url()).set("column.t.a.type.mismatch", "text").set("column.t.d.decimal.handling", "string");
    once(&connector).expect_code(0);
    let field = |name| field(&connector, name);
    assert_eq!(field("a"), [json!("abc"), json!("2")]);
    assert_eq!(field("b"), [json!(0.5), json!(1234.56789012345)]);
    assert_eq!(field("c"), [json!(1), json!(70000)]);
    assert_eq!(field("d"), [json!("12.34"), json!("12.345")]);
    assert_eq!(field("e"), [json!("0.30000000000000004"), json!("3")]);
}
