//! Formats other than Avro, from the database to the bytes in the topic.

use crate::support::config::Connector;
use crate::support::db::Postgres;
use crate::support::kafka::{Raw, read_topic};
use crate::support::process::run;
use crate::support::{PATIENCE, Stack, eventually};

const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";
const LONG: &str = "org.apache.kafka.connect.converters.LongConverter";
const STRING: &str = "org.apache.kafka.connect.storage.StringConverter";

fn database() -> Postgres {
    let database = Postgres::new();
    database.run(
        "create table t (id bigint primary key, name text, price numeric(10,2), at timestamptz not null, raw bytea);
         insert into t values (1, 'é 😀', 1.50, '2024-02-29 12:00:00.123Z', '\\x00ff'),
                              (2, null, null, '2024-02-29 12:00:01Z', null)",
    );
    database
}

/// A connector without a schema registry.
fn connector(database: &Postgres, value: &str, key: &str) -> Connector {
    Connector::new(&database.jdbc_url())
        .set("mode", "incrementing")
        .set("incrementing.column.name", "id")
        .set("table.whitelist", "t")
        .set("key.mode", "primary_key")
        .set("key.format", "field")
        .set("key.converter", key)
        .set("value.converter", value)
        .alone()
}

/// The two records of table `t`.
fn raw(connector: &Connector) -> Vec<Raw> {
    let topic = connector.topic("t");
    eventually("two records", PATIENCE, || Some(read_topic(&topic)).filter(|raw| raw.len() == 2))
}

/// The same as text.
fn texts(connector: &Connector) -> Vec<(Option<String>, String)> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    raw(connector).into_iter().map(|raw| (raw.key.map(text), text(raw.value.expect("a value")))).collect()
}

#[test]
fn json_without_schemas_and_text_keys_need_no_registry() {
    let database = database();
    let connector = connector(&database, JSON, STRING)
        .set("value.converter.schemas.enable", "false")
        .set("value.converter.decimal.format", "NUMERIC");
    let file = connector.file().display().to_string();
    run(&["check", &file]).expect_code(0).expect_says(&[&format!("{JSON} has no registry")]);
    run(&["run", "--once", &file]).expect_code(0);
    let first = r#"{"id":1,"name":"é \uD83D\uDE00","price":1.50,"at":1709208000123,"raw":"AP8="}"#;
    let second = r#"{"id":2,"name":null,"price":null,"at":1709208001000,"raw":null}"#;
    let expected = [("1", first), ("2", second)].map(|(key, value)| (Some(key.to_owned()), value.to_owned()));
    assert_eq!(texts(&connector), expected);
    let explained = run(&["explain", "--sample", "1", &file]).expect_code(0);
    explained.expect_says(&["value schema  none", "key schema    none", &format!("1\t{first}")]);
}

#[test]
fn json_with_schemas_carries_the_schema_in_each_record() {
    let database = database();
    let connector = connector(&database, JSON, LONG);
    let file = connector.file().display().to_string();
    run(&["run", "--once", &file]).expect_code(0);
    let raw = raw(&connector);
    assert_eq!(raw[0].key.as_deref(), Some(&[0, 0, 0, 0, 0, 0, 0, 1][..]));
    let value: serde_json::Value = serde_json::from_slice(raw[0].value.as_deref().expect("a value")).expect("JSON");
    assert_eq!(value["schema"]["name"], "t");
    let price = &value["schema"]["fields"][2];
    assert_eq!(price["parameters"], serde_json::json!({"scale": "2", "connect.decimal.precision": "10"}));
    assert_eq!(value["payload"]["price"], "AJY=");
}

#[test]
fn a_converter_that_cannot_write_the_key_is_refused_by_check_and_stops_its_table() {
    let database = database();
    for (key, format, says) in [
        ("org.apache.kafka.connect.converters.IntegerConverter", "field", "column `id` is of type int64"),
        (LONG, "record", "set key.format=field"),
    ] {
        let connector = connector(&database, JSON, key).set("key.format", format);
        let file = connector.file().display().to_string();
        run(&["check", &file]).expect_code(2).expect_says(&[says]);
        run(&["run", "--once", &file]).expect_code(1).expect_says(&[says]);
    }
}

#[test]
fn consume_prints_what_the_converters_wrote() {
    let database = database();
    let connector = connector(&database, JSON, LONG).set("value.converter.schemas.enable", "false");
    let file = connector.file().display().to_string();
    run(&["run", "--once", &file]).expect_code(0);
    let topic = connector.topic("t");
    raw(&connector);
    let brokers = format!("bootstrap.servers={}", Stack::get().brokers);
    let (value, key) = (format!("value.converter={JSON}"), format!("key.converter={LONG}"));
    let settings = ["--set", &brokers, "--set", &value, "--set", &key];
    let words = ["consume", &topic, "--from-beginning", "--max", "2", "--with-key"];
    let consumed = run(&[&words[..], &settings].concat());
    consumed.expect_code(0).expect_says(&["1\t{\"id\":1,", "2\t{\"id\":2,"]);
}
