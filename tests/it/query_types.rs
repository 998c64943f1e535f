//! Types of a query's result, against those that Kafka Connect registers with the newest drivers (measured: MySQL, MariaDB,
//! TiDB). `bulk` runs a query as it stands; the other modes read it through a derived table, which must not show.

use serde_json::Value as Json;

use crate::support::config::Connector;
use crate::support::db::MySqlFamily;
use crate::support::kafka::{records, wait_for_records};
use crate::support::process::{Running, once, run};
use crate::support::registry::{fields, versions};
use crate::support::{PATIENCE, eventually, unique};

const TABLE: &str = "create table t (id integer not null primary key, a int, s tinyint, sm smallint, m mediumint, b bigint,
      mu mediumint unsigned, u int unsigned, bu bigint unsigned, z int(5) unsigned zerofill, f float, d double, n decimal(10,2),
      c char(5), v varchar(9), vb varchar(9) character set utf8mb4 collate utf8mb4_bin, x text, e enum('p','q'), st set('p','q'),
      j json, bi binary(2), vi varbinary(2), bl blob, da date, ti time, dt datetime(3), ts timestamp(6) null, y year,
      at timestamp(6) not null default current_timestamp(6));
    insert into t (id, a, s, sm, m, b, mu, u, bu, z, f, d, n, c, v, vb, x, e, st, j, bi, vi, bl, da, ti, dt, ts, y, at) values
      (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1.5, 2.5, 3.25, 'c', 'v', 'vb', 'x', 'p', 'p,q', '{}', 'bi', 'vi', 'bl', '2024-02-29',
       '12:00:00', '2024-02-29 12:00:00.123', '2024-02-29 12:00:00', 2024, '2024-02-29 12:00:00.5');
    insert into t (id, a, s, sm, m, b, u, at) values (2, 0, 0, 0, 0, 0, 0, '2024-02-29 12:00:00');
    insert into t (id, at) values (3, '2024-02-29 12:00:00')";

/// An expression, and its type of each server.
type Case = (&'static str, [&'static str; 3]);

const OF_ROWS: &[Case] = &[
    ("1", ["long", "int", "long"]),
    ("true", ["long", "int", "long"]),
    ("-5", ["long", "int", "long"]),
    ("10000000000", ["long"; 3]),
    ("1.5", ["Decimal(2,1)", "Decimal(2,1)", "Decimal(4,1)"]),
    ("null", ["left out"; 3]),
    ("if(a > 1, 1, 0)", ["long", "int?", "long?"]),
    ("case when a > 1 then 1 else 0 end", ["long", "int?", "long?"]),
    ("isnull(a)", ["long", "int", "long"]),
    ("coalesce(s, 0)", ["long", "int", "long"]),
    ("s + 1", ["long?", "int?", "long?"]),
    ("cast(s as signed)", ["long?", "int?", "long?"]),
    ("a div 2", ["long?"; 3]),
    ("a % 2", ["long?"; 3]),
    ("u + 1", ["long?"; 3]),
    ("m + 1", ["long?"; 3]),
    ("a / 2", ["Decimal(14,4)?", "Decimal(14,4)?", "Decimal(15,4)?"]),
    ("concat(a, 'x')", ["string?"; 3]),
    ("cast(a as char)", ["string?"; 3]),
    ("year(ts)", ["Date?", "int?", "long?"]),
    ("unix_timestamp(at)", ["Decimal(17,6)", "Decimal(22,6)?", "Decimal(18,6)?"]),
    // Columns as they are.
    ("s", ["int8?"; 3]),
    ("sm", ["int16?"; 3]),
    ("m", ["int?"; 3]),
    ("a", ["int?"; 3]),
    ("b", ["long?"; 3]),
    ("mu", ["long?"; 3]),
    ("u", ["long?"; 3]),
    ("bu", ["long?"; 3]),
    ("z", ["long?"; 3]),
    ("f", ["float?"; 3]),
    ("d", ["double?"; 3]),
    ("n", ["Decimal(10,2)?"; 3]),
    ("c", ["string?"; 3]),
    ("v", ["string?"; 3]),
    ("vb", ["string?"; 3]),
    ("x", ["string?"; 3]),
    ("e", ["string?"; 3]),
    ("st", ["string?"; 3]),
    ("j", ["string?"; 3]),
    ("bi", ["bytes?"; 3]),
    ("vi", ["bytes?"; 3]),
    ("bl", ["bytes?"; 3]),
    ("da", ["Date?"; 3]),
    ("ti", ["Time?"; 3]),
    ("dt", ["Timestamp?"; 3]),
    ("ts", ["Timestamp?"; 3]),
    ("at", ["Timestamp"; 3]),
    ("y", ["Date?"; 3]),
];

/// The same of groups.
const OF_GROUPS: &[Case] = &[
    ("count(*)", ["long"; 3]),
    ("count(a)", ["long"; 3]),
    ("sum(a)", ["Decimal(32,0)?"; 3]),
    ("avg(a)", ["Decimal(14,4)?", "Decimal(14,4)?", "Decimal(15,4)?"]),
    ("group_concat(a)", ["string?"; 3]),
    ("max(a)", ["int?"; 3]),
];

/// Under DISTINCT, and in both parts of a UNION.
const LITERALS: &[Case] =
    &[("1", ["long", "int", "long"]), ("true", ["long", "int", "long"]), ("-5", ["long", "int", "long"])];

/// `1 as x0, true as x1`.
fn list(cases: &[Case]) -> String {
    let named: Vec<String> = cases.iter().enumerate().map(|(n, (sql, _))| format!("{sql} as x{n}")).collect();
    named.join(", ")
}

/// Loads a query whole, and polls it by its ids in pages of two.
fn connectors(url: &str, query: &str) -> [Connector; 2] {
    // Connect leaves out what it has no type for.
    let connector = || Connector::new(url).set("query", query).set("type.unsupported", "skip");
    let loading = connector().set("mode", "bulk").set("topic.prefix", &unique("loaded"));
    let polling = connector().set("mode", "incrementing").set("topic.prefix", &unique("polled"));
    [loading, polling.set("incrementing.column.name", "id").set("batch.max.rows", "2")]
}

#[test]
fn a_query_has_the_types_of_its_own_result_in_every_mode() {
    let queries = [
        (OF_ROWS, format!("select id, {} from t", list(OF_ROWS))),
        (OF_GROUPS, format!("select id, {} from t group by id", list(OF_GROUPS))),
        (LITERALS, format!("select distinct id, {} from t", list(LITERALS))),
        (
            LITERALS,
            format!(
                "select id, {} from t where id < 2 union all select id, 2, false, -6 from t where id > 1",
                list(LITERALS)
            ),
        ),
    ];
    for (place, kind) in ["mysql", "mariadb", "tidb"].into_iter().enumerate() {
        let database = MySqlFamily::new(kind);
        database.run(TABLE);
        let mut wrong = Vec::new();
        for (cases, query) in &queries {
            let expected: Vec<(String, &str, &str)> = cases
                .iter()
                .enumerate()
                .filter(|(_, (_, of))| of[place] != "left out")
                .map(|(n, (sql, of))| (format!("x{n}"), *sql, of[place]))
                .collect();
            let mut read = Vec::new();
            for connector in connectors(&database.jdbc_url(), query) {
                run(&["run", "--once", &connector.file().display().to_string()]).expect_code(0);
                let topic = &connector.keys["topic.prefix"];
                let found = fields(&format!("{topic}-value"));
                assert_eq!(found.len(), expected.len() + 1, "{kind}: {found:?}");
                for ((name, of), (expected_name, sql, expected)) in found[1..].iter().zip(&expected) {
                    if name != expected_name || of != expected {
                        wrong.push(format!("{kind} {}: {sql}: {of}, Connect has {expected}", connector.keys["mode"]));
                    }
                }
                let mut values: Vec<Vec<Json>> = wait_for_records(topic, 3)
                    .iter()
                    .map(|record| found.iter().map(|(name, _)| record.field(name)).collect())
                    .collect();
                // A load in the query's own words has its own order.
                values.sort_by_key(|row| row[0].as_i64());
                assert_eq!(values.len(), 3, "{kind}: {query}");
                read.push(values);
            }
            assert_eq!(read[0], read[1], "{kind}: {query}");
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[test]
fn a_user_variable_has_one_type_whatever_value_it_has_got() {
    // TiDB does not set variables where it reads as of a time.
    for kind in ["mysql", "mariadb"] {
        let database = MySqlFamily::new(kind);
        database.run("create table t (id integer not null primary key); insert into t values (1), (2), (3)");
        let query = "select t.id, @r := @r + 1 as r from t, (select @r := 0) as i";
        for connector in connectors(&database.jdbc_url(), query) {
            let topic = connector.keys["topic.prefix"].clone();
            let is_whole = connector.keys["mode"] == "bulk";
            let running = Running::start(&connector.file(), &[]);
            for pass in 1..=3_usize {
                if pass > 1 && !is_whole {
                    database.run(&format!("insert into t values ({})", pass + 2));
                }
                let count = if is_whole { 3 * pass } else { 2 + pass };
                eventually("a pass", PATIENCE, || (records(&topic).len() >= count).then_some(()));
            }
            assert_eq!(running.terminate(), Some(0));
            assert_eq!(versions(&format!("{topic}-value")), [1], "{kind} {}", connector.keys["mode"]);
            assert_eq!(fields(&format!("{topic}-value"))[1], ("r".to_owned(), "double?".to_owned()), "{kind}");
            assert_eq!(records(&topic)[1].field("r").as_f64(), Some(2.0), "{kind}");
            if !is_whole {
                database.run("delete from t where id > 3");
            }
        }
    }
}

#[test]
fn a_user_variable_that_nobody_has_set_is_null_in_every_mode() {
    for (kind, expected) in [("mysql", "bytes?"), ("mariadb", "bytes?"), ("tidb", "string?")] {
        let database = MySqlFamily::new(kind);
        database.run("create table t (id integer not null primary key); insert into t values (1), (2), (3)");
        for connector in connectors(&database.jdbc_url(), "select id, @never as n from t") {
            let topic = connector.keys["topic.prefix"].clone();
            once(&connector).expect_code(0);
            assert_eq!(fields(&format!("{topic}-value"))[1], ("n".to_owned(), expected.to_owned()), "{kind}");
            let read = records(&topic);
            assert_eq!(read.len(), 3, "{kind} {}", connector.keys["mode"]);
            assert!(read.iter().all(|record| record.field("n").is_null()), "{kind} {}", connector.keys["mode"]);
        }
    }
}

#[test]
fn a_column_whose_type_changes_with_a_user_variable_is_refused_by_name() {
    let changing = "select id, @k := id as n, @k as m from t";
    for (kind, mode, query, column) in [
        ("mysql", "bulk", "select id, @k := @k + 1 as m from t", "column m"),
        ("mysql", "incrementing", "select id, @k := @k + 1 as m from t", "column m"),
        ("mysql", "incrementing", changing, "column m"),
        ("mariadb", "incrementing", changing, "column m"),
    ] {
        let database = MySqlFamily::new(kind);
        database.run("create table t (id integer not null primary key); insert into t values (1), (2), (3)");
        let of_mode = connectors(&database.jdbc_url(), query).into_iter().find(|c| c.keys["mode"] == mode);
        let connector = of_mode.expect("the mode").alone();
        let refused = once(&connector).expect_code(1);
        refused.expect_says(&["changes with the value of a user variable (@k)", column, "cast(@k as signed)"]);
        let known = versions(&format!("{}-value", connector.keys["topic.prefix"]));
        assert!(known.len() <= 1, "{kind} {mode}: {known:?}");
        // With a type of its own it works.
        let settled = query.replace("@k + 1", "cast(@k as signed) + 1").replace("@k as m", "cast(@k as signed) as m");
        let connector = connectors(&database.jdbc_url(), &settled).into_iter().find(|c| c.keys["mode"] == mode);
        let connector = connector.expect("the mode").alone();
        once(&connector).expect_code(0);
        once(&connector).expect_code(0);
        assert_eq!(versions(&format!("{}-value", connector.keys["topic.prefix"])), [1], "{kind} {mode}");
    }
}
