//! Deletes by flag: the rows that count as deleted, and what consumers get of them.

use serde_json::{Value as Json, json};

use crate::modes::sources;
use crate::support::config::Connector;
use crate::support::db::Postgres;
use crate::support::kafka::{Raw, read_topic};
use crate::support::process::run;

/// A connector for table `t` with plain keys and JSON values, in one partition.
fn connector(url: &str) -> Connector {
    Connector::new(url)
        .set("mode", "timestamp+incrementing")
        .set("timestamp.column.name", "ts")
        .set("incrementing.column.name", "id")
        .set("table.whitelist", "t")
        .set("key.mode", "primary_key")
        .set("key.format", "field")
        .set("key.converter", "org.apache.kafka.connect.storage.StringConverter")
        .set("value.converter", "org.apache.kafka.connect.json.JsonConverter")
        .set("value.converter.schemas.enable", "false")
        .set("topic.creation.default.partitions", "1")
        .set("topic.creation.default.replication.factor", "1")
        .set("delete.mode", "soft")
}

#[track_caller]
fn once(connector: &Connector) {
    run(&["run", "--once", connector.file().to_str().expect("a path")]).expect_code(0);
}

/// Key and state of each record of `t`, in order; no state of a tombstone.
fn states(connector: &Connector) -> Vec<(String, Option<String>)> {
    let state = |value: Vec<u8>| {
        let value: Json = serde_json::from_slice(&value).expect("JSON");
        value["state"].as_str().expect("a state").to_owned()
    };
    let key = |record: &Raw| String::from_utf8(record.key.clone().expect("a key")).expect("text");
    read_topic(&connector.topic("t")).into_iter().map(|record| (key(&record), record.value.map(state))).collect()
}

fn state(key: &str, state: &str) -> (String, Option<String>) {
    (key.to_owned(), Some(state.to_owned()))
}

fn tombstone(key: &str) -> (String, Option<String>) {
    (key.to_owned(), None)
}

#[test]
fn a_row_flagged_as_deleted_is_a_tombstone_of_its_key_and_a_record_again_when_the_flag_is_taken_back() {
    let schema = "create table t (id integer not null primary key, ts timestamp not null, state varchar(8) not null, \
         gone_at timestamp null)";
    for (url, run, _keep) in sources(schema) {
        run("insert into t values (1, '2024-03-01 10:00:00', 'new', null), (2, '2024-03-01 10:00:01', 'new', null)");
        run("insert into t values (3, '2024-03-01 10:00:02', 'gone', '2024-03-01 10:00:02')");
        let by_time = connector(&url).set("delete.column", "gone_at");
        let by_value = connector(&url).set("delete.column", "state=gone").set("delete.emit", "both");
        let both = [&by_time, &by_value];
        both.iter().for_each(|connector| once(connector));
        run("update t set ts = '2024-03-01 10:00:03', state = 'gone', gone_at = '2024-03-01 10:00:03' where id = 1");
        both.iter().for_each(|connector| once(connector));
        run("update t set ts = '2024-03-01 10:00:04', state = 'back', gone_at = null where id = 1");
        both.iter().for_each(|connector| once(connector));
        let expected = [state("1", "new"), state("2", "new"), tombstone("3"), tombstone("1"), state("1", "back")];
        assert_eq!(states(&by_time), expected, "{url}");
        let expected = [
            state("1", "new"),
            state("2", "new"),
            state("3", "gone"),
            tombstone("3"),
            state("1", "gone"),
            tombstone("1"),
            state("1", "back"),
        ];
        assert_eq!(states(&by_value), expected, "{url}");
    }
}

#[test]
fn a_boolean_flag_works_behind_transforms_and_records_carry_the_time_of_their_row() {
    let database = Postgres::new();
    database.run("create table t (id int primary key, ts timestamp not null, state text not null, gone boolean)");
    database
        .run("insert into t values (1, '2024-03-01 10:00:00.123', 'a', null), (2, '2024-03-01 10:00:01', 'b', true)");
    // The flag itself is not delivered; the key is made of the row's values.
    let connector = connector(&database.jdbc_url())
        .without("key.mode")
        .without("key.format")
        .set("delete.column", "gone")
        .set("delete.emit", "both")
        .set("record.timestamp", "column")
        .set("transforms", "key,id,flag")
        .set("transforms.key.type", "org.apache.kafka.connect.transforms.ValueToKey")
        .set("transforms.key.fields", "id")
        .set("transforms.id.type", "org.apache.kafka.connect.transforms.ExtractField$Key")
        .set("transforms.id.field", "id")
        .set("transforms.flag.type", "org.apache.kafka.connect.transforms.ReplaceField$Value")
        .set("transforms.flag.exclude", "gone");
    once(&connector);
    let records = read_topic(&connector.topic("t"));
    let times: Vec<i64> = records.iter().map(|record| record.at).collect();
    assert_eq!(times, [1_709_287_200_123, 1_709_287_201_000, 1_709_287_201_000]);
    assert_eq!(states(&connector), [state("1", "a"), state("2", "b"), tombstone("2")]);
    let value: Json = serde_json::from_slice(records[0].value.as_deref().expect("a value")).expect("JSON");
    assert_eq!(value, json!({"id": 1, "ts": 1_709_287_200_123_i64, "state": "a"}));
    let explained = run(&["explain", "--sample", "2", connector.file().to_str().expect("a path")]);
    explained.expect_code(0).expect_says(&["a row whose `gone` is true becomes that row and a tombstone"]);
}

#[test]
fn a_deleted_row_without_a_key_is_left_out_or_stops_its_table() {
    let database = Postgres::new();
    database.run("create table t (id int primary key, ts timestamp not null, state text not null, code text)");
    database
        .run("insert into t values (1, '2024-03-01 10:00:00', 'gone', null), (2, '2024-03-01 10:00:00', 'gone', 'x')");
    let connector = connector(&database.jdbc_url())
        .set("key.mode", "columns")
        .set("message.key.columns", "t:code")
        .set("delete.column", "state=gone");
    let strict = run(&["run", "--once", connector.file().to_str().expect("a path")]);
    strict.expect_code(1).expect_says(&["a deleted row has no key", "id=1"]);
    assert_eq!(states(&connector), []);
    let tolerant = connector.set("errors.tolerance", "all");
    once(&tolerant);
    assert_eq!(states(&tolerant), [tombstone("x")]);
}

#[test]
fn what_cannot_tell_deleted_rows_is_said_by_check() {
    let database = Postgres::new();
    database.run("create table t (id int primary key, ts timestamp not null, state text not null, gone int)");
    for (column, says) in [
        ("removed", "there is no column `removed`"),
        ("gone", "does not say by itself whether a row is deleted"),
        ("ts", "is never NULL, so every row would count as deleted"),
        ("gone=yes", "`yes` is no value of `gone`"),
    ] {
        let connector = connector(&database.jdbc_url()).set("delete.column", column);
        run(&["check", connector.file().to_str().expect("a path")]).expect_code(2).expect_says(&[says]);
    }
}
