//! Columns that `select *` does not give, in the key and as cursor, and keys of odd values, on MySQL and MariaDB.

use serde_json::{Value as Json, json};

use crate::support::config::Connector;
use crate::support::db::MySqlFamily;
use crate::support::kafka::{Record, records};
use crate::support::process::{Finished, run};

#[track_caller]
fn once(connector: &Connector) -> Finished {
    run(&["run", "--once", connector.file().to_str().expect("a path")])
}

fn connector(database: &MySqlFamily, mode: &str) -> Connector {
    Connector::new(&database.jdbc_url())
        .set("mode", mode)
        .set("table.whitelist", "t")
        .set("batch.max.rows", "2")
        .alone()
}

/// The `v` of every record of a topic, as they came; none has the column.
#[track_caller]
fn values(topic: &str, column: &str) -> Vec<i64> {
    let value = |record: &Record| {
        assert!(!record.value.contains(&format!("\"{column}\"")), "{}", record.value);
        record.field("v").as_i64().expect("a number")
    };
    records(topic).iter().map(value).collect()
}

/// The key of a record.
#[track_caller]
fn key(connector: &Connector, index: usize) -> Json {
    let records = records(&connector.topic("t"));
    serde_json::from_str(records[index].key.as_deref().expect("a key")).expect("JSON")
}

#[test]
fn the_invisible_primary_key_that_mysql_makes_is_key_and_cursor_and_no_part_of_the_value() {
    let database = MySqlFamily::new("mysql");
    database.run(
        "set sql_generate_invisible_primary_key = on;
         create table t (v int not null, ts timestamp(6) not null default current_timestamp(6))",
    );
    database.run("insert into t (v) values (10), (20), (30), (40), (50)");
    let expected = [10, 20, 30, 40, 50];
    for mode in ["bulk", "incrementing", "timestamp", "timestamp+incrementing"] {
        let connector = connector(&database, mode).set("key.mode", "primary_key");
        let connector =
            if mode.starts_with("timestamp") { connector.set("timestamp.column.name", "ts") } else { connector };
        once(&connector).expect_code(0);
        assert_eq!(values(&connector.topic("t"), "my_row_id"), expected, "{mode}");
        assert_eq!(key(&connector, 1), json!({"my_row_id": 2}), "{mode}");
        if mode != "bulk" {
            once(&connector).expect_code(0);
            assert_eq!(values(&connector.topic("t"), "my_row_id"), expected, "{mode}, again");
        }
    }
    let connector = connector(&database, "incrementing").set("incrementing.column.name", "my_row_id");
    once(&connector).expect_code(0);
    assert_eq!(values(&connector.topic("t"), "my_row_id"), expected);
}

#[test]
fn an_invisible_column_is_a_cursor_and_in_the_key_where_it_is_named() {
    for kind in ["mysql", "mariadb"] {
        let database = MySqlFamily::new(kind);
        database.run(
            "create table t (id int not null default 0 unique invisible, v int not null,
               ts datetime(6) not null default '2024-01-01' invisible, part int not null default 0 invisible,
               unused geometry invisible)",
        );
        database.run(
            "insert into t (id, v, ts, part) values (3, 10, '2024-01-01', 7), (2, 20, '2024-01-02', 7), (1, 30, '2024-01-03', 7)",
        );
        let by_time = connector(&database, "timestamp").set("timestamp.column.name", "ts");
        let by_id = connector(&database, "incrementing").set("incrementing.column.name", "id");
        let both = connector(&database, "timestamp+incrementing")
            .set("timestamp.column.name", "ts")
            .set("incrementing.column.name", "id")
            .set("key.mode", "columns")
            .set("message.key.columns", "t:id,part");
        for (connector, expected) in [(&by_time, [10, 20, 30]), (&by_id, [30, 20, 10]), (&both, [10, 20, 30])] {
            for _ in 0..2 {
                once(connector).expect_code(0);
                assert_eq!(values(&connector.topic("t"), "id"), expected, "{kind}");
            }
        }
        assert_eq!(key(&both, 0), json!({"id": 3, "part": 7}), "{kind}");
    }
}

#[test]
fn the_year_0000_in_a_primary_key_parts_rows_like_any_other() {
    for kind in ["mysql", "mariadb", "tidb"] {
        let database = MySqlFamily::new(kind);
        database.run("create table t (y year not null, v int not null, ts datetime(6) not null, primary key (y, v))");
        database.run("set sql_mode = ''; insert into t values (0, 1, '2024-01-01'), (0, 2, '2024-01-01')");
        database.run("insert into t values (2000, 3, '2024-01-01'), (1901, 4, '2024-01-01'), (2155, 5, '2024-01-01')");
        for mode in ["bulk", "timestamp"] {
            for settings in ["", "?yearIsDateType=false"] {
                let connector = connector(&database, mode).set("batch.max.rows", "1").set("zero.date", "null");
                let url = format!("{}{settings}", database.jdbc_url());
                let connector = connector.set("connection.url", &url).set("timestamp.column.name", "ts");
                once(&connector).expect_code(0);
                let mut found = values(&connector.topic("t"), "none");
                found.sort_unstable();
                assert_eq!(found, [1, 2, 3, 4, 5], "{kind} {mode} {settings}");
            }
        }
    }
}
