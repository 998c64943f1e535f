//! Rows that cannot be delivered, on real databases, brokers and registry: a poisoned row in the middle and a row too
//! large, under each setting; the letters about them, in the transaction of their neighbours.

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use serde_json::{Value as Json, json};

use crate::support::config::Connector;
use crate::support::db::{Held, MySqlFamily, Postgres, Role, Sqlite, block};
use crate::support::http::{metric, table, wait_for_state};
use crate::support::kafka::{Raw, ends, read_topic, records, wait_for_records};
use crate::support::oracle::stored_offset;
use crate::support::process::{Finished, Running, run};
use crate::support::{PATIENCE, Stack, eventually};

fn once(connector: &Connector) -> Finished {
    run(&["run", "--once", connector.file().to_str().expect("a path")])
}

/// `t`, by its id, keyed.
fn connector(jdbc_url: &str) -> Connector {
    Connector::new(jdbc_url)
        .alone()
        .set("mode", "incrementing")
        .set("incrementing.column.name", "id")
        .set("table.whitelist", "t")
        .set("key.mode", "primary_key")
}

fn dead_letters(connector: &Connector) -> String {
    format!("{}_dead", connector.name)
}

fn with_dead_letters(connector: Connector) -> Connector {
    let topic = dead_letters(&connector);
    connector
        .set("errors.deadletterqueue.topic.name", &topic)
        .set("errors.deadletterqueue.topic.replication.factor", "1")
}

fn tolerant(connector: Connector) -> Connector {
    with_dead_letters(connector.set("errors.tolerance", "all"))
}

fn ids(connector: &Connector) -> Vec<i64> {
    records(&connector.topic("t")).iter().map(|record| record.field("id").as_i64().expect("an id")).collect()
}

fn letters(connector: &Connector) -> Vec<(Raw, Json)> {
    let raw = read_topic(&dead_letters(connector)).into_iter();
    raw.map(|letter| (letter.clone(), serde_json::from_slice(&letter.value.expect("a value")).expect("JSON"))).collect()
}

/// Under `none` the table stops and says which row; under `all` the others are delivered; with a dead letter topic
/// it is told once, and no run tells it again.
#[track_caller]
fn a_poisoned_row(jdbc_url: &str, mend: impl Fn(Connector) -> Connector, table: &str, problem: &str, row: &Json) {
    let base = || mend(connector(jdbc_url));
    let none = base();
    once(&none).expect_code(1).expect_says(&[problem, "row id=3"]);
    assert!(read_topic(&none.topic("t")).is_empty());

    let all = base().set("errors.tolerance", "all");
    once(&all).expect_code(0).expect_says(&["rows are left out", problem, "row id=3"]);
    once(&all).expect_code(0);
    assert_eq!(ids(&all), [1, 2, 4, 5]);

    let dlq = tolerant(base()).set("errors.deadletterqueue.context.headers.enable", "true");
    once(&dlq).expect_code(0);
    once(&dlq).expect_code(0);
    assert_eq!(ids(&dlq), [1, 2, 4, 5]);
    let letters = letters(&dlq);
    let [(raw, letter)] = letters.as_slice() else { panic!("one letter, not {letters:?}") };
    assert_eq!(raw.key.as_deref(), Some(&br#"{"id":"3"}"#[..]));
    assert_eq!(letter["row"], *row, "{letter}");
    assert_eq!((&letter["connector"], &letter["table"]), (&json!(dlq.name), &json!(table)));
    assert_eq!((&letter["topic"], &letter["kind"]), (&json!(dlq.topic("t")), &json!("value")));
    assert!(letter["message"].as_str().is_some_and(|text| text.contains(problem)), "{letter}");
    assert!(letter["advice"].is_string() && letter["time"].as_str().is_some_and(|time| time.ends_with('Z')));
    let header = |name: &str| raw.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(header("__connect.errors.stage"), Some("VALUE_CONVERTER"));
    assert_eq!(header("__connect.errors.connector.name"), Some(dlq.name.as_str()));
}

#[test]
fn a_poisoned_row_of_postgresql_is_refused_left_out_or_told_with_nothing_but_select() {
    let role = Role::new();
    let database = Postgres::new();
    database.run(&format!(
        "create table t (id serial primary key, n numeric(10,2), at timestamptz, doc jsonb, b bytea);
         insert into t (n) values (1), (2);
         insert into t (n, at, doc, b) values ('NaN', '2024-02-29 12:00+00', '{{\"k\": 1}}', '\\x00ff');
         insert into t (n) values (4), (5);
         grant select on t to {}",
        role.0
    ));
    let row = json!({"id": "3", "n": "NaN", "at": "2024-02-29T12:00:00.000000Z", "doc": "{\"k\": 1}", "b": "0x00ff"});
    let mend = |connector: Connector| connector.set("connection.user", &role.0);
    a_poisoned_row(&database.jdbc_url(), mend, "public.t", "column n", &row);
}

#[test]
fn a_poisoned_row_of_mysql_is_refused_left_out_or_told() {
    let database = MySqlFamily::new("mysql");
    database.run(
        "create table t (id int primary key auto_increment, d date not null, v varchar(9), b varbinary(9));
         set sql_mode = '';
         insert into t (d, v, b) values ('2024-01-01', 'a', null), ('2024-01-02', null, null),
           ('0000-00-00', 'poison', x'00ff'), ('2024-01-04', 'd', null), ('2024-01-05', 'e', null)",
    );
    let row = json!({"id": "3", "d": "0000-00-00", "v": "poison", "b": "0x00ff"});
    let table = format!("{}.t", database.name);
    a_poisoned_row(&database.jdbc_url(), |connector| connector, &table, "zero date", &row);
}

#[test]
fn a_poisoned_row_of_sqlite_is_refused_left_out_or_told() {
    let database = Sqlite::new();
    database.run(
        "create table t (id integer primary key autoincrement not null, n integer, v text);
         insert into t (n, v) values (1, 'a'), (2, null), ('poison', x'00ff'), (4, 'd'), (5, 'e')",
    );
    let row = json!({"id": "3", "n": "poison", "v": "0x00ff"});
    a_poisoned_row(&database.jdbc_url(), |connector| connector, "t", "storage class", &row);
}

#[test]
fn a_running_connector_counts_what_it_leaves_out_and_logs_what_it_is_asked_to() {
    let database = Postgres::new();
    database.run("create table t (id serial primary key, n numeric(10,2)); insert into t (n) values (1)");
    let connector = tolerant(connector(&database.jdbc_url()))
        .set("errors.log.enable", "true")
        .set("errors.log.include.messages", "true");
    let mut running = Running::start(&connector.file(), &["--listen", "127.0.0.1:0"]);
    let address = running.address();
    wait_for_records(&connector.topic("t"), 1);
    // All rows of a page are left out: its offset is committed all the same (E6).
    database.run("insert into t (n) values ('NaN'), ('NaN')");
    running.wait_for_log("id\":\"3");
    let status =
        eventually("counted", PATIENCE, || table(&address, "public.t").filter(|status| status["rows_skipped"] == 2));
    assert!(status["skip_reason"].as_str().is_some_and(|text| text.contains("row id=3")), "{status}");
    assert_eq!(metric(&address, "rowtide_rows_skipped_total", &["public.t"]), 2.0);
    assert_eq!(stored_offset(&connector, "public.t").expect("an offset")["incrementing"], 3);
    database.run("insert into t (n) values (4)");
    wait_for_records(&connector.topic("t"), 2);
    wait_for_state(&address, "public.t", "idle");
    let log = running.log();
    let said = format!(
        "Error encountered in task {}-0. Executing stage 'VALUE_CONVERTER' with class \
         'io.confluent.connect.avro.AvroConverter', where source record is = {{\"id\":\"2\",\"n\":\"NaN\"}}.",
        connector.name
    );
    assert!(log.contains(&said), "{log}");
    assert_eq!(log.matches("Error encountered in task").count(), 2);
    assert_eq!(running.terminate(), Some(0));
    assert_eq!((ids(&connector), letters(&connector).len()), (vec![1, 4], 2));
}

#[test]
fn a_row_that_only_a_new_description_delivers_is_not_left_out() {
    let database = Postgres::new();
    database.run(
        "create table a (id serial primary key); create table b (id int primary key, name text not null);
         insert into a default values; insert into a default values; insert into b values (1, 'x')",
    );
    let query = tolerant(Connector::new(&database.jdbc_url()))
        .alone()
        .set("mode", "incrementing")
        .set("incrementing.column.name", "id")
        .set("query", "select a.id, b.name from a left join b on b.id = a.id")
        .set("batch.max.rows", "1");
    once(&query).expect_code(0);
    let found = records(&query.keys["topic.prefix"]);
    assert_eq!(found.iter().map(|record| record.field("name")).collect::<Vec<_>>(), [json!("x"), Json::Null]);
    assert!(letters(&query).is_empty());

    let file = Sqlite::new();
    file.run("create table t (id integer primary key autoincrement not null, n integer); insert into t (n) values (1)");
    let widened = tolerant(connector(&file.jdbc_url()));
    once(&widened).expect_code(0);
    file.run("insert into t (n) values (5000000000), ('poison')");
    once(&widened).expect_code(0);
    assert_eq!((ids(&widened), letters(&widened).len()), (vec![1, 2], 1));
}

#[test]
fn a_row_whose_cursor_cannot_be_read_stops_its_table_whatever_is_tolerated() {
    let database = MySqlFamily::new("mysql");
    database.run(
        "create table t (id int primary key auto_increment, ts datetime null);
         set sql_mode = ''; insert into t (ts) values ('2024-01-01'), ('0000-00-00')",
    );
    let connector = tolerant(connector(&database.jdbc_url()))
        .set("mode", "timestamp")
        .set("timestamp.column.name", "ts")
        .set("validate.non.null", "false")
        .set("cursor.zero.date", "fail");
    once(&connector).expect_code(1).expect_says(&["zero date", "no time to poll by"]);
    assert!(letters(&connector).is_empty());
}

#[test]
fn a_bulk_read_without_a_key_goes_on_behind_a_poisoned_row() {
    let database = Postgres::new();
    database.run("create table t (id int, n numeric(10,2)); insert into t values (1, 1), (2, 'NaN'), (3, 3)");
    let bulk = tolerant(connector(&database.jdbc_url()))
        .without("incrementing.column.name")
        .set("mode", "bulk")
        .set("key.mode", "none");
    once(&bulk).expect_code(0);
    assert_eq!((ids(&bulk), letters(&bulk).len()), (vec![1, 3], 1));
    assert_eq!(letters(&bulk)[0].0.key, None);
    database.run("delete from t where id <> 2");
    let nothing_left = connector(&database.jdbc_url())
        .without("incrementing.column.name")
        .set("mode", "bulk")
        .set("key.mode", "none")
        .set("errors.tolerance", "all");
    once(&nothing_left).expect_code(0);
    assert!(read_topic(&nothing_left.topic("t")).is_empty());
}

#[test]
fn a_letter_is_in_the_transaction_of_the_rows_beside_it() {
    let database = Postgres::new();
    let noise: String = (0..4_000).map(|_| fastrand::alphanumeric()).collect();
    database.run(&format!(
        "create table t (id serial primary key, n numeric(10,2), v text);
         insert into t (n, v) values (1, 'a'), ('NaN', 'b'), (3, '{noise}')"
    ));
    // What is compressed can be judged by the brokers only, and they refuse the last row.
    let connector = tolerant(connector(&database.jdbc_url()))
        .set("producer.override.compression.type", "gzip")
        .set("producer.override.linger.ms", "0")
        .set("topic.creation.default.partitions", "1")
        .set("topic.creation.default.replication.factor", "1")
        .set("topic.creation.default.max.message.bytes", "1000");
    let (target, dead) = (connector.topic("t"), dead_letters(&connector));
    // The refusal may come before the letter has left the producer.
    eventually("a letter that was sent, and aborted with the rows", PATIENCE, || {
        once(&connector).expect_says(&["larger than allowed", &target]);
        assert!(read_topic(&target).is_empty() && read_topic(&dead).is_empty());
        (ends(&dead)[0] > 0).then_some(())
    });

    alter(&target, "max.message.bytes", "100000");
    once(&connector).expect_code(0);
    assert_eq!((ids(&connector), letters(&connector).len()), (vec![1, 3], 1));
}

fn alter(topic: &str, key: &str, value: &str) {
    let (topic, key, value) = (topic.to_owned(), key.to_owned(), value.to_owned());
    block(async move {
        let client: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", Stack::get().brokers).create().expect("a client");
        let change = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set(&key, &value);
        let answers = client.alter_configs([&change], &AdminOptions::new()).await.expect("an answer");
        answers.into_iter().for_each(|answer| assert!(answer.is_ok(), "{answer:?}"));
    });
}

/// A table with room for large values; the second row is far too large for the limits below.
fn large() -> Postgres {
    let database = Postgres::new();
    database.run(
        "create table t (id serial primary key, a text, b text, must text not null default '-');
         insert into t (a) values ('small');
         insert into t (a, b) values (repeat('a', 9000), repeat('b', 6000));
         insert into t (b) values ('small')",
    );
    database
}

#[test]
fn a_row_too_large_stops_its_table_and_says_which_it_is() {
    let database = large();
    let connector = connector(&database.jdbc_url()).set("producer.override.max.request.size", "10000");
    let topic = connector.topic("t");
    let advice = "max.request.size";
    once(&connector).expect_code(1).expect_says(&[
        "too large",
        "at most 10000",
        "public.t",
        "row id=2",
        &topic,
        advice,
    ]);
    assert!(read_topic(&topic).is_empty());
    once(&connector.set("producer.override.max.request.size", "20000")).expect_code(0);
    assert_eq!(read_topic(&topic).len(), 3);
}

#[test]
fn a_row_too_large_goes_to_the_dead_letter_topic_with_its_values_if_they_fit() {
    let database = large();
    database.run("insert into t (a) values (repeat('c', 6000))");
    // The topic's limit is smaller than the producer's, and counts.
    let connector = with_dead_letters(connector(&database.jdbc_url()))
        .set("row.too.large", "dlq")
        .set("producer.override.max.request.size", "10000")
        .set("topic.creation.default.partitions", "1")
        .set("topic.creation.default.replication.factor", "1")
        .set("topic.creation.default.max.message.bytes", "5000");
    once(&connector).expect_code(0);
    assert_eq!(ids(&connector), [1, 3]);
    let letters = letters(&connector);
    let [(_, without), (_, with)] = letters.as_slice() else { panic!("two letters, not {letters:?}") };
    assert_eq!((&without["kind"], &without["row"]), (&json!("record_too_large"), &Json::Null));
    assert!(without["note"].is_string() && without["message"].as_str().is_some_and(|text| text.contains("row id=2")));
    assert_eq!((&with["row"]["a"], &with["row"]["b"]), (&json!("c".repeat(6_000)), &Json::Null));
    assert!(with["message"].as_str().is_some_and(|text| text.contains("at most 5000")), "{with}");
    // A value that cannot be represented is still not tolerated.
    assert_eq!(letters[0].0.key.as_deref(), Some(&br#"{"id":"2"}"#[..]));
}

#[test]
fn a_row_too_large_goes_without_its_largest_columns_and_says_which() {
    let database = large();
    let connector = connector(&database.jdbc_url())
        .set("row.too.large", "omit-columns")
        .set("producer.override.max.request.size", "10000");
    once(&connector).expect_code(0);
    let topic = connector.topic("t");
    let found = records(&topic);
    assert_eq!((found[1].field("a"), found[1].field("b")), (Json::Null, json!("b".repeat(6_000))));
    let headers: Vec<_> = read_topic(&topic).into_iter().map(|record| record.headers).collect();
    assert_eq!(headers, [vec![], vec![("rowtide.omitted".to_owned(), "a".to_owned())], vec![]]);
    database.run("insert into t (a, must) values ('x', repeat('m', 20000))");
    once(&connector).expect_code(1).expect_says(&["too large", "row id=4"]);
    assert_eq!(read_topic(&topic).len(), 3);
}

#[test]
fn what_is_within_the_limit_is_refused_by_neither_the_producer_nor_the_brokers() {
    let database = Postgres::new();
    database.run(
        "create table t (id serial primary key, a text);
         insert into t (a) select repeat('x', length) from generate_series(4800, 5000) length",
    );
    let connector = with_dead_letters(connector(&database.jdbc_url()))
        .set("row.too.large", "dlq")
        .set("producer.override.batch.size", "1")
        .set("topic.creation.default.partitions", "1")
        .set("topic.creation.default.replication.factor", "1")
        .set("topic.creation.default.max.message.bytes", "5000");
    once(&connector).expect_code(0);
    let delivered = ids(&connector);
    assert_eq!(delivered, (1..=delivered.len() as i64).collect::<Vec<_>>());
    assert_eq!(delivered.len() + letters(&connector).len(), 201);
    // Key, value and what they cost; the count is of the most they may cost.
    assert!((80..=100).contains(&delivered.len()), "{}", delivered.len());
}

#[test]
fn small_rows_come_in_batches_that_the_topic_takes() {
    let database = Postgres::new();
    database.run(
        "create table t (id serial primary key, a text, n numeric(10,2) not null default 0);
         insert into t (a) select repeat('x', 100) from generate_series(1, 20000);
         insert into t (a, n) values ('left out', 'NaN');
         create table u (id serial primary key, a text);
         insert into u (a) select repeat('y', 100) from generate_series(1, 20000)",
    );
    let connector = tolerant(connector(&database.jdbc_url()))
        .without("table.whitelist")
        .set("topic.creation.groups", "less")
        .set("topic.creation.less.include", ".*_u")
        .set("topic.creation.less.partitions", "1")
        .set("topic.creation.less.replication.factor", "1")
        .set("topic.creation.less.max.message.bytes", "2000")
        .set("topic.creation.default.partitions", "1")
        .set("topic.creation.default.replication.factor", "1")
        .set("topic.creation.default.max.message.bytes", "20000");
    // Both topics are made before the first record, so the task starts again once, for the batches that both take.
    let said = once(&connector).expect_code(0).stderr;
    let limits = ["takes batches of at most 20000 bytes", "takes batches of at most 2000 bytes"];
    assert_eq!(limits.iter().filter(|limit| said.contains(**limit)).count(), 1, "{said}");
    let ids = |table: &str| -> Vec<i64> {
        records(&connector.topic(table)).iter().map(|record| record.field("id").as_i64().expect("an id")).collect()
    };
    let all: Vec<i64> = (1..=20_000).collect();
    assert_eq!(ids("t"), all);
    assert_eq!(ids("u"), all);
    assert_eq!(letters(&connector).len(), 1);
}

#[test]
fn batches_that_the_topic_does_not_take_are_said_where_it_may_not_be_asked() {
    let database = Postgres::new();
    database.run("create table t (id serial primary key, a text); insert into t (a) values ('first')");
    let connector = connector(&database.jdbc_url())
        .set("topic.creation.default.partitions", "1")
        .set("topic.creation.default.replication.factor", "1")
        .set("topic.creation.default.max.message.bytes", "20000");
    once(&connector).expect_code(0);
    database.run("insert into t (a) select repeat('x', 100) from generate_series(1, 20000)");
    let connector = connector.set("internal.topics.automatic.creation.enable", "false");
    once(&connector).expect_code(1).expect_says(&["larger than allowed", "producer.override.batch.size"]);
    let connector = connector.set("producer.override.batch.size", "20000");
    once(&connector).expect_code(0);
    assert_eq!(ids(&connector).len(), 20_001);
}

#[test]
fn a_dead_letter_topic_that_cannot_be_or_is_a_target_is_refused_at_start() {
    let database = large();
    let three = tolerant(connector(&database.jdbc_url())).without("errors.deadletterqueue.topic.replication.factor");
    let key = "errors.deadletterqueue.topic.replication.factor";
    once(&three).expect_code(2).expect_says(&[key, "needs more brokers"]);
    let own = connector(&database.jdbc_url());
    let target = own.topic("t");
    let own = tolerant(own).set("errors.deadletterqueue.topic.name", &target);
    once(&own).expect_code(2).expect_says(&["would go to the dead letter topic", &target]);
}

#[test]
fn a_poisoned_row_that_commits_late_is_left_out_once_and_the_late_rows_beside_it_come_once() {
    let database = Postgres::new();
    database.run(
        "create table t (id serial primary key, ts timestamptz not null default clock_timestamp(), n numeric(10,2))",
    );
    let connector = tolerant(connector(&database.jdbc_url()))
        .set("mode", "timestamp+incrementing")
        .set("timestamp.column.name", "ts");
    let mut late = Held::new(&database);
    late.run("begin; insert into t (n) values (1)");
    late.run("insert into t (n) values ('NaN')");
    database.run("insert into t (n) values ('NaN'), (4)");
    once(&connector).expect_code(0);
    assert_eq!((ids(&connector), letters(&connector).len()), (vec![4], 1));
    late.run("commit");
    drop(late);
    for _ in 0..2 {
        once(&connector).expect_code(0);
        assert_eq!(ids(&connector), [4, 1]);
        let told: Vec<Json> = letters(&connector).into_iter().map(|(_, letter)| letter["row"]["id"].clone()).collect();
        assert_eq!(told, ["3", "2"]);
    }
}
