//! Every mode on tables and queries: which rows come, in which order, and that the reference's losses by
//! design (ties, cuts, waits) do not happen.

use std::rc::Rc;

use serde_json::{Value as Json, json};

use crate::support::config::Connector;
use crate::support::db::{MySqlFamily, Postgres, Sqlite};
use crate::support::kafka::{read_topic, records, wait_for_records};
use crate::support::oracle::{assert_exactly_once, stored_offset};
use crate::support::process::{Running, run};

/// Runs a connector until it has read everything.
#[track_caller]
fn once(connector: &Connector) {
    run(&["run", "--once", connector.file().to_str().expect("a path")]).expect_code(0);
}

/// One field of every record of a table's topic, in order.
fn fields(connector: &Connector, table: &str, field: &str) -> Vec<Json> {
    records(&connector.topic(table)).iter().map(|record| record.field(field)).collect()
}

#[test]
fn incrementing_mode_reads_new_ids_in_order_and_finds_the_column_itself() {
    for (url, run, _keep) in sources("create table t (id integer primary key, v text not null)") {
        let auto = if url.contains("postgres") {
            "serial primary key"
        } else if url.contains("sqlite") {
            "integer primary key autoincrement not null"
        } else {
            "integer primary key auto_increment"
        };
        run(&format!("create table s (id {auto}, v text)"));
        run("insert into t values (-5, 'a'), (7, 'c'), (3, 'b')");
        run("insert into s (v) values ('x'), ('y')");
        let connector = Connector::new(&url).set("mode", "incrementing").set("table.whitelist", "s");
        once(&connector);
        assert_eq!(fields(&connector, "s", "v"), [json!("x"), json!("y")], "{url}");
        let named = Connector::new(&url)
            .set("mode", "incrementing")
            .set("incrementing.column.name", "ID")
            .set("validate.non.null", "false")
            .set("table.whitelist", "t");
        once(&named);
        run("insert into t values (9, 'd')");
        once(&named);
        assert_eq!(fields(&named, "t", "id"), [json!(-5), json!(3), json!(7), json!(9)], "{url}");
    }
}

/// A database of each kind with the same tables: URL, a function that runs SQL, and what keeps it alive.
#[allow(clippy::type_complexity)]
pub(super) fn sources(schema: &str) -> Vec<(String, Box<dyn Fn(&str)>, Box<dyn std::any::Any>)> {
    let (postgres, sqlite) = (Rc::new(Postgres::new()), Rc::new(Sqlite::new()));
    postgres.run(schema);
    sqlite.run(schema);
    let (on_postgres, on_sqlite) = (Rc::clone(&postgres), Rc::clone(&sqlite));
    let mut sources: Vec<(String, Box<dyn Fn(&str)>, Box<dyn std::any::Any>)> = vec![
        (postgres.jdbc_url(), Box::new(move |sql: &str| on_postgres.run(sql)), Box::new(postgres)),
        (sqlite.jdbc_url(), Box::new(move |sql: &str| on_sqlite.run(sql)), Box::new(sqlite)),
    ];
    for kind in ["mysql", "mariadb", "tidb"] {
        let database = Rc::new(MySqlFamily::new(kind));
        database.run(schema);
        let on_database = Rc::clone(&database);
        sources.push((database.jdbc_url(), Box::new(move |sql: &str| on_database.run(sql)), Box::new(database)));
    }
    sources
}

#[test]
fn timestamp_mode_keeps_rows_of_one_timestamp_apart_across_pages_and_restarts() {
    for (url, run, _keep) in sources("create table t (id integer not null primary key, ts timestamp not null)") {
        let connector = Connector::new(&url)
            .set("mode", "timestamp")
            .set("timestamp.column.name", "ts")
            .set("table.whitelist", "t")
            .set("batch.max.rows", "3");
        for id in 1..=10 {
            run(&format!("insert into t values ({id}, '2024-01-01 10:00:00.000')"));
        }
        once(&connector);
        // A row of the very same timestamp that becomes visible later: the reference loses it.
        run("insert into t values (11, '2024-01-01 10:00:00.000')");
        once(&connector);
        let ids: Vec<Json> = (1..=11).map(Json::from).collect();
        assert_eq!(fields(&connector, "t", "id"), ids, "{url}");
    }
}

#[test]
fn timestamp_mode_without_a_key_reads_whole_ties_and_repeats_none() {
    for (url, run, _keep) in sources("create table t (id integer not null, ts timestamp not null)") {
        let connector = Connector::new(&url)
            .set("mode", "timestamp")
            .set("timestamp.column.name", "ts")
            .set("table.whitelist", "t")
            .set("batch.max.rows", "4");
        for (id, second) in [(1, 0), (2, 0), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1), (8, 1), (9, 2)] {
            run(&format!("insert into t values ({id}, '2024-01-01 10:00:0{second}.000')"));
        }
        once(&connector);
        once(&connector);
        let mut ids: Vec<i64> = fields(&connector, "t", "id").iter().filter_map(Json::as_i64).collect();
        ids.sort_unstable();
        assert_eq!(ids, (1..=9).collect::<Vec<_>>(), "{url}");
    }
}

#[test]
fn several_timestamp_columns_are_coalesced_in_order() {
    let schema = "create table t (id integer not null primary key, created timestamp not null, changed timestamp)";
    for (url, run, _keep) in sources(schema) {
        run("insert into t values (1, '2024-01-01 10:00:00.000', '2024-01-05 10:00:00.000')");
        run("insert into t values (2, '2024-01-03 10:00:00.000', null)");
        let connector = Connector::new(&url)
            .set("mode", "timestamp+incrementing")
            .set("timestamp.column.name", "changed,created")
            .set("incrementing.column.name", "id")
            .set("table.whitelist", "t");
        once(&connector);
        assert_eq!(fields(&connector, "t", "id"), [json!(2), json!(1)], "{url}");
    }
}

#[test]
fn bulk_mode_sends_everything_at_every_pass() {
    for (url, run, _keep) in sources("create table t (id integer not null primary key); create table n (v integer)") {
        run("insert into t values (1), (2), (3)");
        run("insert into n values (7), (7)");
        let connector =
            Connector::new(&url).set("mode", "bulk").set("table.whitelist", "t,n").set("batch.max.rows", "2");
        once(&connector);
        once(&connector);
        assert_eq!(fields(&connector, "t", "id"), [1, 2, 3, 1, 2, 3].map(Json::from), "{url}");
        assert_eq!(fields(&connector, "n", "v"), [7, 7, 7, 7].map(Json::from), "{url}");
        let offsets = read_topic(&connector.keys["offset.storage.topic"]);
        let keys = offsets.iter().filter_map(|record| record.key.as_deref().map(String::from_utf8_lossy));
        let own = keys.filter(|key| key.contains(&connector.name) && !key.contains(r#""rowtide":"owner""#));
        assert_eq!(own.count(), 0, "bulk has no offset");
    }
}

#[test]
fn a_query_is_polled_like_a_table_whatever_its_shape() {
    let schema = "create table a (id integer not null primary key, ts timestamp not null, b integer);
                  create table b (id integer not null primary key, name varchar(20))";
    let queries = [
        "select a.id, a.ts, b.name from a left join b on b.id = a.b where a.id < 100",
        "with x as (select * from a) select x.id, x.ts from x -- a comment at the end",
        "select id, ts from a union all select id, ts from a where false;",
    ];
    for (url, run, _keep) in sources(schema) {
        run("insert into b values (1, 'one')");
        run("insert into a values (1, '2024-01-01 10:00:00.000', 1), (2, '2024-01-01 10:00:00.000', null)");
        for query in queries {
            let connector = Connector::new(&url)
                .set("mode", "timestamp+incrementing")
                .set("timestamp.column.name", "ts")
                .set("incrementing.column.name", "id")
                .set("batch.max.rows", "1")
                .set("query", query);
            let connector = connector.set("topic.prefix", &crate::support::unique("query"));
            once(&connector);
            once(&connector);
            let topic = &connector.keys["topic.prefix"];
            let ids: Vec<Json> = records(topic).iter().map(|record| record.field("id")).collect();
            assert_eq!(ids, [json!(1), json!(2)], "{url}: {query}");
            let key = format!(r#"["{}",{{"query":"query"}}]"#, connector.name);
            let offsets = read_topic(&connector.keys["offset.storage.topic"]);
            assert!(offsets.iter().any(|record| record.key.as_deref() == Some(key.as_bytes())), "{key}");
        }
    }
}

#[test]
fn a_query_in_bulk_mode_and_one_with_a_suffix_work() {
    for (url, run, _keep) in sources("create table t (id integer not null primary key, v varchar(9))") {
        run("insert into t values (1, 'a'), (2, 'b'), (3, 'a'), (4, 'a'), (5, 'a')");
        let prefix = crate::support::unique("bulkquery");
        let bulk = Connector::new(&url)
            .set("mode", "bulk")
            .set("query", "select * from t where v = 'a'")
            .set("topic.prefix", &prefix);
        once(&bulk);
        assert_eq!(records(&prefix).len(), 4, "{url}");
        let suffixed = Connector::new(&url)
            .set("mode", "incrementing")
            .set("incrementing.column.name", "id")
            .set("table.whitelist", "t")
            .set("query.suffix", "limit 2");
        once(&suffixed);
        assert_eq!(fields(&suffixed, "t", "id"), [1, 2, 3, 4, 5].map(Json::from), "{url}");
    }
}

#[test]
fn configured_starts_are_exclusive_and_now_does_not_move() {
    let database = Postgres::with_test_table();
    database.run(
        "insert into test_table (ts, item) values ('2024-01-01 00:00:00', 'before'), ('2024-01-03 00:00:00', 'after')",
    );
    let from = Connector::of_test_table(&database.jdbc_url()).set("timestamp.initial", "1704153600000");
    once(&from);
    assert_eq!(fields(&from, "test_table", "item"), [json!("after")]);
    let now = Connector::of_test_table(&database.jdbc_url()).set("timestamp.initial", "-1");
    once(&now);
    assert!(stored_offset(&now, "public.test_table").is_some(), "the start is stored before anything is read");
    database.run("insert into test_table (item) values ('between two starts')");
    once(&now);
    assert_eq!(fields(&now, "test_table", "item"), [json!("between two starts")]);
    let id = Connector::new(&database.jdbc_url())
        .set("mode", "incrementing")
        .set("incrementing.column.name", "seq")
        .set("incrementing.initial", "1")
        .set("table.whitelist", "test_table");
    once(&id);
    assert_eq!(fields(&id, "test_table", "seq"), [json!(2), json!(3)]);
}

#[test]
fn the_delay_holds_rows_back_by_the_database_clock() {
    let database = Postgres::with_test_table();
    database.run("insert into test_table (ts, item) values (now() - interval '1 hour', 'old'), (now(), 'young')");
    let connector = Connector::of_test_table(&database.jdbc_url()).set("timestamp.delay.interval.ms", "600000");
    once(&connector);
    assert_eq!(fields(&connector, "test_table", "item"), [json!("old")]);
}

#[test]
fn rows_one_microsecond_apart_are_told_apart_and_not_repeated_while_idle() {
    let database = Postgres::with_test_table();
    database.run(
        "insert into test_table (ts, item)
         select timestamp '2024-01-01' + n * interval '1 microsecond', n::text from generate_series(1, 50) n",
    );
    let connector =
        Connector::of_test_table(&database.jdbc_url()).set("batch.max.rows", "7").set("poll.interval.ms", "1");
    let file = connector.file();
    let running = Running::start(&file, &[]);
    wait_for_records(&connector.topic("test_table"), 50);
    database.run("insert into test_table (item) values ('sign')");
    wait_for_records(&connector.topic("test_table"), 51);
    assert_eq!(running.terminate(), Some(0));
    assert_exactly_once(&database, &connector, "test_table", true);
}

#[test]
fn a_full_page_is_followed_at_once_whatever_the_poll_interval() {
    let database = Postgres::with_test_table();
    database.run("insert into test_table (item) select n::text from generate_series(1, 500) n");
    let connector =
        Connector::of_test_table(&database.jdbc_url()).set("batch.max.rows", "10").set("poll.interval.ms", "3600000");
    let file = connector.file();
    let running = Running::start(&file, &[]);
    wait_for_records(&connector.topic("test_table"), 500);
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn a_new_table_appears_without_a_restart_and_a_dropped_one_harms_nobody() {
    let database = Postgres::new();
    database.run("create table first (id serial primary key, v text); insert into first (v) values ('a')");
    let connector =
        Connector::new(&database.jdbc_url()).set("mode", "incrementing").set("table.poll.interval.ms", "200");
    let file = connector.file();
    let running = Running::start(&file, &[]);
    wait_for_records(&connector.topic("first"), 1);
    database.run("create table second (id serial primary key, v text); insert into second (v) values ('b')");
    wait_for_records(&connector.topic("second"), 1);
    database.run("drop table second; insert into first (v) values ('c')");
    wait_for_records(&connector.topic("first"), 2);
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn the_table_lists_and_patterns_select_what_they_say() {
    let database = Postgres::new();
    database.run(
        "create schema other;
         create table orders (id serial primary key); create table users (id serial primary key);
         create table other.audit (id serial primary key); create view v as select * from orders;
         insert into orders default values; insert into users default values; insert into other.audit default values",
    );
    let base =
        || Connector::new(&database.jdbc_url()).set("mode", "incrementing").set("incrementing.column.name", "id");
    let topics = |connector: &Connector| -> Vec<&'static str> {
        once(connector);
        ["orders", "users", "audit", "v"]
            .into_iter()
            .filter(|table| !read_topic(&connector.topic(table)).is_empty())
            .collect()
    };
    assert_eq!(topics(&base()), ["orders", "users", "audit"]);
    assert_eq!(topics(&base().set("table.whitelist", "public.orders,users")), ["orders", "users"]);
    assert_eq!(topics(&base().set("table.blacklist", "orders")), ["users", "audit"]);
    assert_eq!(topics(&base().set("schema.pattern", "oth%")), ["audit"]);
    let elsewhere = base().set("catalog.pattern", "another_database");
    run(&["run", "--once", &elsewhere.file().display().to_string()])
        .expect_code(2)
        .expect_says(&["no table is selected"]);
    assert_eq!(topics(&base().set("catalog.pattern", &database.name)), ["orders", "users", "audit"]);
    let patterns = || {
        base()
            .without("incrementing.column.name")
            .set("incrementing.column.mapping", ".*:id")
            .set("table.include.list", "public\\..*")
    };
    assert_eq!(topics(&patterns()), ["orders", "users"]);
    assert_eq!(topics(&patterns().set("table.exclude.list", ".*users")), ["orders"]);
    let views = base().set("table.types", "VIEW").set("validate.non.null", "false");
    assert_eq!(topics(&views), ["v"]);
}

#[test]
fn unquoted_identifiers_and_several_tasks_work() {
    let database = Postgres::new();
    database.run(
        "create table a (id serial primary key); create table b (id serial primary key); create table c (id serial primary key);
         insert into a default values; insert into b default values; insert into c default values",
    );
    let connector = Connector::new(&database.jdbc_url())
        .set("mode", "incrementing")
        .set("quote.sql.identifiers", "never")
        .set("tasks.max", "2");
    once(&connector);
    for table in ["a", "b", "c"] {
        assert_eq!(read_topic(&connector.topic(table)).len(), 1, "{table}");
    }
}

#[test]
fn zone_less_timestamps_are_read_in_the_configured_zone() {
    let database = Postgres::with_test_table();
    database.run("insert into test_table (ts, item) values ('2020-01-15 10:00:00.123456', 'x')");
    let connector = Connector::of_test_table(&database.jdbc_url()).set("db.timezone", "America/New_York");
    once(&connector);
    assert_eq!(fields(&connector, "test_table", "ts"), [json!(1_579_100_400_123_i64)]);
    let offset = stored_offset(&connector, "public.test_table").expect("an offset");
    assert_eq!(
        (offset["timestamp"].as_i64(), offset["timestamp_nanos"].as_i64()),
        (Some(1_579_100_400_123), Some(123_456_000))
    );
}

#[test]
fn every_timestamp_granularity_gives_its_form() {
    let database = Postgres::with_test_table();
    database.run("insert into test_table (ts) values ('2024-02-29 12:00:00.123456')");
    let expected = [
        ("connect_logical", json!(1_709_208_000_123_i64)),
        ("micros_long", json!(1_709_208_000_123_456_i64)),
        ("micros_string", json!("1709208000123456")),
        ("micros_iso_datetime_string", json!("2024-02-29T12:00:00.123456")),
        ("nanos_long", json!(1_709_208_000_123_456_000_i64)),
        ("nanos_string", json!("1709208000123456000")),
        ("nanos_iso_datetime_string", json!("2024-02-29T12:00:00.123456000")),
    ];
    for (granularity, value) in expected {
        let connector = Connector::of_test_table(&database.jdbc_url()).set("timestamp.granularity", granularity);
        once(&connector);
        once(&connector);
        assert_eq!(fields(&connector, "test_table", "ts"), [value], "{granularity}");
    }
}

#[test]
fn every_numeric_mapping_gives_its_type() {
    let database = Postgres::new();
    database.run(
        "create table t (id serial primary key, a numeric(2,0), b numeric(9,0), c numeric(10,2), d numeric(30,4));
         insert into t (a, b, c, d) values (12, 123456789, 12345678.91, 1234567890.1234)",
    );
    let branch = |mapping: &str, column: &str| {
        let connector =
            Connector::new(&database.jdbc_url()).set("mode", "incrementing").set("numeric.mapping", mapping);
        once(&connector);
        let record: Json = serde_json::from_str(&records(&connector.topic("t"))[0].value).expect("JSON");
        record[column].clone()
    };
    for mapping in ["none", "precision_only", "best_fit", "best_fit_eager_double"] {
        let whole = branch(mapping, "a");
        let is_integer = whole == json!({"int": 12});
        assert_eq!(is_integer, mapping != "none", "{mapping}: {whole}");
        let fraction = branch(mapping, "c");
        assert_eq!(
            fraction == json!({"double": 12345678.91}),
            mapping.starts_with("best_fit"),
            "{mapping}: {fraction}"
        );
        let wide = branch(mapping, "d");
        assert_eq!(wide == json!({"double": 1234567890.1234}), mapping == "best_fit_eager_double", "{mapping}: {wide}");
    }
}

#[test]
fn sqlite_times_are_cursors_in_whatever_form_they_are_stored() {
    let forms = [
        ("text", "'2024-01-01 10:00:00.000'", "'2024-01-01 10:00:01.000'"),
        ("seconds without a fraction", "'2024-01-01 10:00:00'", "'2024-01-01 10:00:01'"),
        ("ISO with T and Z", "'2024-01-01T10:00:00.123456Z'", "'2024-01-01T10:00:01.123456Z'"),
        ("milliseconds", "1704103200000", "1704103201000"),
        ("Julian days", "2460310.9166667", "2460310.9166782"),
    ];
    for (form, first, second) in forms {
        let database = Sqlite::new();
        database.run("create table t (id integer not null primary key, ts timestamp not null)");
        let connector = Connector::new(&database.jdbc_url())
            .set("mode", "timestamp+incrementing")
            .set("timestamp.column.name", "ts")
            .set("incrementing.column.name", "id")
            .set("table.whitelist", "t")
            .set("batch.max.rows", "1");
        let file = connector.file();
        // Nothing tells the form while the table is empty.
        let mut running = Running::start(&file, &[]);
        running.wait_for_log("reading from the beginning");
        database.run(&format!("insert into t values (1, {first})"));
        wait_for_records(&connector.topic("t"), 1);
        assert_eq!(running.terminate(), Some(0), "{form}");
        database.run(&format!("insert into t values (2, {first}), (3, {second})"));
        once(&connector);
        once(&connector);
        assert_eq!(fields(&connector, "t", "id"), [1, 2, 3].map(Json::from), "{form}");
    }
}
