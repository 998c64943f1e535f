//! Rows that no poll reads because of their cursor values, on every database, of tables and queries: the others are
//! delivered, and of these it is said how many there are, why, and the key of one.

use serde_json::{Value as Json, json};

use crate::support::any::Any;
use crate::support::config::Connector;
use crate::support::db::{MySqlFamily, Postgres, Sqlite};
use crate::support::http::{metric, table, wait_for_state};
use crate::support::kafka::{records, wait_for_records};
use crate::support::process::{Running, checked, once};
use crate::support::{PATIENCE, eventually};

const LISTEN: &[&str] = &["--listen", "127.0.0.1:0"];

/// The words of `check`, the log and the status on each kind of row, with the key of one.
const NULL: &str = "1 row(s) whose cursor is NULL are not polled, as in Kafka Connect (cursor.null=fail would stop the \
                    table); one is id=4";
const EARLY: &str = "1 row(s) with times before 1970 are not polled, as in Kafka Connect (cursor.before.epoch=read would \
                     deliver them, fail would stop the table); one is id=5";
const LATE: &str = "ahead of the clock that bounds polls, to be read when their time has come; one is id=6";
const ZERO: &str = "1 row(s) with a zero date, or one that is none, as timestamp are not polled, as in Kafka Connect (cursor.zero.date=fail would \
                    stop the table); one is id=7";

/// Rows 1 to 3 of this week; 4 without a time, 5 of 1960, 6 of the year 2037, and 7, where there is one, with a zero date.
fn with_odd_rows(database: &Any, kind: &str) {
    let ago = |days: u32| match database {
        Any::Postgres(_) => format!("now() - interval '{days} days'"),
        Any::MySql(..) => format!("utc_timestamp() - interval {days} day"),
        Any::Sqlite(_) => format!("datetime('now', '-{days} days')"),
    };
    let zero = matches!(database, Any::MySql(..));
    database.run(&format!("create table t (id int not null primary key, ts {kind} null, v int not null)"));
    let mut rows = vec![
        format!("(1, {}, 1)", ago(3)),
        format!("(2, {}, 2)", ago(2)),
        format!("(3, {}, 3)", ago(1)),
        "(4, null, 4)".to_owned(),
        "(6, '2037-01-01 00:00:00', 6)".to_owned(),
    ];
    let is_timestamp = kind == "timestamp" && zero;
    rows.extend((!is_timestamp).then(|| "(5, '1960-01-01 00:00:00', 5)".to_owned()));
    rows.extend(zero.then(|| "(7, '0000-00-00 00:00:00', 7)".to_owned()));
    let mode = if zero { "set sql_mode = ''; set time_zone = '+00:00'; " } else { "" };
    database.run(&format!("{mode}insert into t values {}", rows.join(", ")));
}

/// Polls the table by its time.
fn by_time(database: &Any, mode: &str) -> Connector {
    let connector = database
        .connector()
        .set("mode", mode)
        .set("timestamp.column.name", "ts")
        .set("table.whitelist", "t")
        .set("validate.non.null", "false")
        .set("zero.date", "null")
        .alone();
    if mode == "timestamp" { connector } else { connector.set("incrementing.column.name", "id") }
}

/// The `v` of every record of a topic.
fn values(topic: &str) -> Vec<i64> {
    let mut values: Vec<i64> =
        records(topic).iter().map(|record| record.field("v").as_i64().expect("a number")).collect();
    values.sort_unstable();
    values
}

/// The reasons, rows and examples of a table's status.
fn not_polled(status: &Json) -> Vec<(String, u64, String)> {
    let rows = status["not_polled"].as_array().cloned().unwrap_or_default();
    let told = |rows: &Json| {
        let text = |field: &str| rows[field].as_str().unwrap_or_default().to_owned();
        (text("reason"), rows["rows"].as_u64().unwrap_or_default(), text("example"))
    };
    rows.iter().map(told).collect()
}

#[test]
fn rows_with_odd_times_are_told_and_the_others_delivered_on_every_database() {
    for database in Any::all() {
        let kind = if matches!(database, Any::MySql(..)) { "datetime" } else { "timestamp" };
        with_odd_rows(&database, kind);
        let is_family = matches!(database, Any::MySql(..));
        let says: Vec<&str> = [NULL, EARLY, LATE].into_iter().chain(is_family.then_some(ZERO)).collect();
        for mode in ["timestamp", "timestamp+incrementing"] {
            let connector = by_time(&database, mode);
            checked(&connector).expect_code(0).expect_says(&says);
            let told = once(&connector).expect_code(0).expect_says(&says);
            told.expect_says(&["rows_ahead=1", if is_family { "rows_not_polled=3" } else { "rows_not_polled=2" }]);
            once(&connector).expect_code(0);
            assert_eq!(values(&connector.topic("t")), [1, 2, 3], "{} {mode}", database.name());
            let query = by_time(&database, mode).without("table.whitelist").set("query", "select * from t");
            let query = query.set("topic.prefix", &format!("{}_q", connector.name));
            once(&query).expect_code(0).expect_says(&["rows whose cursor is NULL".replace("rows", "row(s)").as_str()]);
            assert_eq!(values(&query.keys["topic.prefix"]), [1, 2, 3], "{} {mode}, query", database.name());
        }
        let connector = by_time(&database, "timestamp");
        let mut running = Running::start(&connector.file(), LISTEN);
        let address = running.address();
        let name = database.full_name("t");
        let status = eventually("the status says so", PATIENCE, || {
            table(&address, &name).filter(|table| not_polled(table).len() == says.len())
        });
        let expected = [("null", 4), ("zero_date", 7), ("before_1970", 5), ("ahead", 6)];
        let expected: Vec<_> = (expected.into_iter())
            .filter(|(reason, _)| is_family || *reason != "zero_date")
            .map(|(reason, id)| (reason.to_owned(), 1, format!("id={id}")))
            .collect();
        assert_eq!(not_polled(&status), expected, "{}", database.name());
        for (reason, ..) in expected {
            let labels = [format!("table=\"{name}\""), format!("reason=\"{reason}\"")];
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            assert!((metric(&address, "rowtide_rows_not_polled", &labels) - 1.0).abs() < 0.1, "{reason}");
        }
        assert_eq!(running.log().matches(NULL).count(), 1, "said once");
        // A row that gets a time of now is read, and not told of any more.
        database.run("update t set ts = (select s from (select max(ts) as s from t where id < 4) x) where id = 4");
        wait_for_records(&connector.topic("t"), 4);
        eventually("the status follows", PATIENCE, || {
            table(&address, &name).filter(|table| not_polled(table).len() + 1 == says.len()).map(drop)
        });
        assert_eq!(running.terminate(), Some(0));
    }
}

#[test]
fn a_zero_date_of_a_timestamp_column_is_told_and_the_others_delivered() {
    for kind in ["mysql", "mariadb", "tidb"] {
        let database = Any::MySql(kind, MySqlFamily::new(kind));
        with_odd_rows(&database, "timestamp");
        for mode in ["timestamp", "timestamp+incrementing"] {
            for zone in ["UTC", "Asia/Tokyo", "America/New_York"] {
                let connector = by_time(&database, mode).set("db.timezone", zone);
                once(&connector).expect_code(0).expect_says(&[ZERO, NULL, LATE]);
                assert_eq!(values(&connector.topic("t")), [1, 2, 3], "{kind} {mode} {zone}");
            }
        }
    }
}

#[test]
fn dates_without_month_or_day_are_told_like_zero_dates_and_the_others_delivered() {
    for kind in ["mysql", "mariadb", "tidb"] {
        for column in ["datetime(6)", "date"] {
            let database = Any::MySql(kind, MySqlFamily::new(kind));
            database
                .run(&format!("create table t (id int primary key, ts {column} not null, v int not null, key (ts))"));
            database.run(
                "set sql_mode = 'ALLOW_INVALID_DATES';
                 insert into t values (1, '2024-01-01', 1), (7, '0000-00-00', 7), (8, '2024-00-15', 8), (2, '2024-02-28', 2),
                   (9, '2024-02-31', 9), (3, '2024-03-01', 3), (10, '2024-12-00', 10)",
            );
            for mode in ["timestamp", "timestamp+incrementing"] {
                let connector = by_time(&database, mode).set("batch.max.rows", "1");
                once(&connector).expect_code(0).expect_says(&["a zero date, or one that is none", "rows_not_polled=4"]);
                once(&connector).expect_code(0);
                assert_eq!(values(&connector.topic("t")), [1, 2, 3], "{kind} {column} {mode}");
                let fails = by_time(&database, mode).set("cursor.zero.date", "fail");
                once(&fails).expect_code(1).expect_says(&["cursor.zero.date=ignore"]);
            }
        }
    }
}

#[test]
fn dates_that_are_none_in_one_of_several_timestamp_columns_are_told_and_the_others_delivered() {
    for kind in ["mysql", "mariadb", "tidb"] {
        for column in ["datetime(6)", "date"] {
            let database = Any::MySql(kind, MySqlFamily::new(kind));
            database
                .run(&format!("create table t (id int primary key, a {column} null, b {column} null, v int not null)"));
            database.run(
                "set sql_mode = 'ALLOW_INVALID_DATES';
                 insert into t values (1, '2024-01-01', null, 1), (7, '0000-00-00', '2024-01-02', 7), (8, null, '2024-00-15', 8),
                   (2, null, '2024-02-28', 2), (9, '2024-02-31', '2024-02-29', 9), (3, '2024-03-01', '2024-00-00', 3),
                   (10, null, '0000-00-00', 10)",
            );
            for mode in ["timestamp", "timestamp+incrementing"] {
                let of_table = by_time(&database, mode).set("timestamp.column.name", "a,b").set("batch.max.rows", "1");
                let of_query = by_time(&database, mode).without("table.whitelist").set("query", "select * from t");
                let of_query = of_query.set("timestamp.column.name", "a,b").set("batch.max.rows", "1");
                let of_query = of_query.set("topic.prefix", &format!("{}_q", of_table.name));
                for (topic, connector) in
                    [(of_table.topic("t"), of_table), (of_query.keys["topic.prefix"].clone(), of_query)]
                {
                    let told = once(&connector).expect_code(0);
                    told.expect_says(&["a zero date, or one that is none", "rows_not_polled=4"]);
                    once(&connector).expect_code(0);
                    assert_eq!(values(&topic), [1, 2, 3], "{kind} {column} {mode} {topic}");
                }
                let fails = by_time(&database, mode).set("timestamp.column.name", "a,b");
                once(&fails.set("cursor.zero.date", "fail")).expect_code(1).expect_says(&["cursor.zero.date=ignore"]);
            }
        }
    }
}

#[test]
fn dates_that_are_none_in_a_primary_key_are_in_a_load() {
    for kind in ["mysql", "mariadb", "tidb"] {
        let database = MySqlFamily::new(kind);
        database.run("create table t (d date not null, v int not null, primary key (d, v))");
        database.run(
            "set sql_mode = 'ALLOW_INVALID_DATES';
             insert into t values ('2024-01-01', 1), ('0000-00-00', 2), ('2024-00-15', 3), ('2024-02-31', 4), ('2024-03-01', 5)",
        );
        let database = Any::MySql(kind, database);
        let connector = database.connector().set("mode", "bulk").set("table.whitelist", "t").set("batch.max.rows", "1");
        let connector = connector.set("zero.date", "null");
        once(&connector).expect_code(0).expect_says(&["the key holds invalid dates", "in one piece instead of pages"]);
        assert_eq!(values(&connector.topic("t")), [1, 2, 3, 4, 5], "{kind}");
    }
}

#[test]
fn a_setting_stops_the_table_for_a_row_that_is_not_polled_or_reads_it() {
    for database in Any::all() {
        let kind = if matches!(database, Any::MySql(..)) { "datetime" } else { "timestamp" };
        with_odd_rows(&database, kind);
        let cases = [
            ("cursor.null", "holds NULL", "id=4", "cursor.null=ignore"),
            ("cursor.before.epoch", "before 1970", "id=5", "cursor.before.epoch=read"),
            ("cursor.future", "far in the future", "id=6", "cursor.future=wait"),
            ("cursor.zero.date", "a zero date", "id=7", "cursor.zero.date=ignore"),
        ];
        for (key, reason, row, advice) in cases {
            if key == "cursor.zero.date" && !matches!(database, Any::MySql(..)) {
                continue;
            }
            let connector = by_time(&database, "timestamp").set(key, "fail");
            checked(&connector).expect_says(&["PROBLEM", reason, row, advice]);
            once(&connector).expect_code(1).expect_says(&[reason, row, advice]);
            assert_eq!(values(&connector.topic("t")), [] as [i64; 0], "{} {key}", database.name());
        }
        let connector = by_time(&database, "timestamp+incrementing").set("cursor.before.epoch", "read");
        once(&connector).expect_code(0);
        once(&connector).expect_code(0);
        assert_eq!(values(&connector.topic("t")), [1, 2, 3, 5], "{}", database.name());
    }
}

#[test]
fn ids_that_are_null_are_told_and_the_others_delivered() {
    for database in Any::all() {
        // SQLite allows NULL in a primary key of text.
        let (columns, null) = match &database {
            Any::Sqlite(_) => {
                ("id text primary key, v int not null", "warning  table t: 2 row(s) whose cursor is NULL")
            }
            _ => ("id int unique, v int not null", "2 row(s) whose cursor is NULL"),
        };
        database.run(&format!("create table t ({columns})"));
        database.run("insert into t values (1, 1), (2, 2), (null, 3), (null, 4)");
        let connector = database.by_id("t", 1).set("validate.non.null", "false");
        checked(&connector).expect_code(0).expect_says(&[null]);
        once(&connector).expect_code(0).expect_says(&["2 row(s) whose cursor is NULL", "rows_not_polled=2"]);
        assert_eq!(values(&connector.topic("t")), [1, 2], "{}", database.name());
        once(&connector.set("cursor.null", "fail")).expect_code(1).expect_says(&["holds NULL", "cursor.null=ignore"]);
    }
}

#[test]
fn an_id_of_a_time_far_ahead_stops_the_table_for_it_would_hide_the_ids_to_come() {
    for database in Any::all() {
        database.run("create table t (id varchar(36) not null primary key, v int not null)");
        database.run(
            "insert into t values ('017f22e2-79b0-7cc3-98c4-dc0c0c07398f', 1), ('7fffffff-ffff-7cc3-98c4-dc0c0c07398f', 2)",
        );
        let connector = database.by_id("t", 10).set("cursor.future", "wait");
        once(&connector).expect_code(1).expect_says(&["of a time more than a day ahead", "correct the row"]);
        assert_eq!(values(&connector.topic("t")), [] as [i64; 0], "{}", database.name());
        database.run("delete from t where v = 2");
        once(&connector).expect_code(0);
        assert_eq!(values(&connector.topic("t")), [1], "{}", database.name());
    }
}

#[test]
fn rows_of_a_text_key_of_sqlite_that_is_null_are_in_a_load() {
    let database = Any::Sqlite(Sqlite::new());
    database.run("create table t (id text primary key, v int not null)");
    database.run("insert into t values ('a', 1), (null, 2), (null, 3), ('b', 4)");
    let connector = database.connector().set("mode", "bulk").set("table.whitelist", "t").set("batch.max.rows", "1");
    once(&connector).expect_code(0);
    assert_eq!(values(&connector.topic("t")), [1, 2, 3, 4]);
}

#[test]
fn infinite_times_are_told_and_the_others_delivered() {
    let postgres = Postgres::new();
    postgres.run("create table t (id int primary key, ts timestamptz not null, v int not null)");
    postgres.run("insert into t values (1, now() - interval '1 day', 1), (5, '-infinity', 5), (6, 'infinity', 6)");
    let database = Any::Postgres(postgres);
    let connector = by_time(&database, "timestamp+incrementing");
    checked(&connector).expect_code(0).expect_says(&[EARLY, "with times without end ahead of the clock", "id=6"]);
    once(&connector).expect_code(0);
    assert_eq!(values(&connector.topic("t")), [1]);
}

#[test]
fn rows_that_cannot_be_counted_in_time_take_no_poll_with_them() {
    let postgres = Postgres::new();
    postgres.run("create table t (id int primary key, ts timestamptz, v int not null)");
    postgres.run("insert into t values (1, now() - interval '1 day', 1), (2, null, 2)");
    // What looks for NULL takes longer than is waited for; a page does not come to such rows.
    postgres.run(
        "create function slow() returns boolean language plpgsql as $$ begin perform pg_sleep(60); return true; end $$;
         create view w as select id, ts, v from t where ts is not null or slow()",
    );
    let database = Any::Postgres(postgres);
    let connector = by_time(&database, "timestamp").set("table.whitelist", "w").set("table.types", "VIEW");
    let connector = connector.set("statement.timeout.ms", "2000");
    let mut running = Running::start(&connector.file(), LISTEN);
    let address = running.address();
    wait_for_records(&connector.topic("w"), 1);
    running.wait_for_log("could not be counted");
    wait_for_state(&address, "public.w", "idle");
    assert_eq!(values(&connector.topic("w")), [1]);
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn the_status_lists_nothing_where_every_row_is_polled() {
    let postgres = Postgres::with_test_table();
    let connector = Connector::of_test_table(&postgres.jdbc_url()).alone();
    let mut running = Running::start(&connector.file(), LISTEN);
    let address = running.address();
    let status = eventually("a poll", PATIENCE, || {
        table(&address, "public.test_table").filter(|table| table["last_poll"].is_string())
    });
    assert_eq!(status["not_polled"], json!([]));
    assert_eq!(running.terminate(), Some(0));
}
