//! Formats other than Avro, from the database to the bytes in the topic.

use crate::support::config::Connector;
use crate::support::db::Postgres;
use crate::support::kafka::{Raw, read_topic};
use crate::support::process::run;
use crate::support::{PATIENCE, Stack, eventually, web};

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

/// What `consume` prints of a topic, with the converter of the connector.
fn consumed(connector: &Connector) -> String {
    let topic = connector.topic("t");
    let mut words =
        vec!["consume".to_owned(), topic, "--from-beginning".into(), "--max".into(), "2".into(), "--with-key".into()];
    for (key, value) in &connector.keys {
        if key == "bootstrap.servers" || key.starts_with("key.converter") || key.starts_with("value.converter") {
            words.extend(["--set".to_owned(), format!("{key}={value}")]);
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    run(&words).expect_code(0).stdout
}

/// The newest schema of a subject: its type and its text.
fn registered(subject: &str) -> (String, String) {
    let answer = web::get(&format!("{}/subjects/{subject}/versions/latest", Stack::get().registry)).body;
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    // All that a schema imports is known to readers and registries, which is why Confluent's converter refers to none of it
    // (`skip.known.types`).
    assert!(answer["references"].as_array().is_none_or(Vec::is_empty), "{answer}");
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    (text("schemaType"), text("schema"))
}

/// A connector with schemas of the registry, of a table without decimals.
fn with_registry(database: &Postgres, class: &str, key: &str) -> Connector {
    database.run("alter table t drop column price, drop column raw");
    connector(database, class, key).set("value.converter.schema.registry.url", &Stack::get().registry)
}

#[test]
fn json_schema_is_registered_and_its_records_are_json_behind_the_id() {
    let database = database();
    let connector = with_registry(&database, "io.confluent.connect.json.JsonSchemaConverter", LONG);
    let file = connector.file().display().to_string();
    run(&["check", &file]).expect_code(0);
    run(&["run", "--once", &file]).expect_code(0);
    let (kind, schema) = registered(&format!("{}-value", connector.topic("t")));
    assert_eq!(kind, "JSON");
    assert!(schema.contains(r#""at":{"type":"integer","title":"org.apache.kafka.connect.data.Timestamp""#), "{schema}");
    let raw = raw(&connector);
    let value = raw[0].value.as_deref().expect("a value");
    let payload = r#"{"id":1,"name":"é \uD83D\uDE00","at":1709208000123}"#;
    assert_eq!((value[0], &value[5..]), (0, payload.as_bytes()));
    assert!(consumed(&connector).starts_with(&format!("1\t{payload}\n")));
    // What is registered is found again, and nothing new is registered.
    let found = connector.set("value.converter.auto.register.schemas", "false");
    run(&["check", &found.file().display().to_string()]).expect_code(0);
    let latest = found.set("value.converter.use.latest.version", "true");
    run(&["check", &latest.file().display().to_string()]).expect_code(0);
    database.run("alter table t add column more int");
    let says = "the registered schema is not that of the records";
    run(&["check", &latest.file().display().to_string()]).expect_code(4).expect_says(&[says]);
}

#[test]
fn protobuf_is_registered_and_consume_prints_its_json() {
    let database = database();
    let class = "io.confluent.connect.protobuf.ProtobufConverter";
    let connector = with_registry(&database, class, class)
        .set("key.converter.schema.registry.url", &Stack::get().registry)
        .set("key.format", "record")
        .set("value.converter.optional.for.nullables", "true");
    let file = connector.file().display().to_string();
    run(&["check", &file]).expect_code(0);
    run(&["run", "--once", &file]).expect_code(0);
    let (kind, schema) = registered(&format!("{}-value", connector.topic("t")));
    assert_eq!(kind, "PROTOBUF");
    assert!(schema.contains("optional string name = 2;"), "{schema}");
    let first = "{\"id\":\"1\"}\t{\"id\":\"1\",\"name\":\"é 😀\",\"at\":\"2024-02-29T12:00:00.123Z\"}\n";
    let second = "{\"id\":\"2\"}\t{\"id\":\"2\",\"at\":\"2024-02-29T12:00:01Z\"}\n";
    assert_eq!(consumed(&connector), format!("{first}{second}"));
    let latest = connector
        .set("value.converter.auto.register.schemas", "false")
        .set("value.converter.use.latest.version", "true");
    run(&["check", &latest.file().display().to_string()]).expect_code(0);
}

#[test]
fn canal_json_and_debezium_json_tell_deletes_by_flag() {
    for (format, inserted, deleted) in [
        ("canal-json", r#""type":"INSERT","es":1709208000123,"#, r#""type":"DELETE","es":1709208001000,"#),
        ("debezium-json", r#"{"before":null,"after":{"id":1,"#, r#"{"before":{"id":2,"#),
    ] {
        let database = database();
        database.run("alter table t add column gone boolean not null default false; update t set gone = id = 2");
        let connector = connector(&database, format, format)
            .set("mode", "timestamp+incrementing")
            .set("timestamp.column.name", "at")
            .set("key.format", "record")
            .set("delete.mode", "soft")
            .set("delete.column", "gone");
        let file = connector.file().display().to_string();
        run(&["check", &file]).expect_code(0);
        run(&["run", "--once", &file]).expect_code(0);
        let texts = texts(&connector);
        assert_eq!(texts[0].0.as_deref(), Some(r#"{"id":1}"#));
        assert!(texts[0].1.contains(inserted) && texts[1].1.contains(deleted), "{texts:?}");
        assert!(consumed(&connector).contains(&texts[1].1));
        let ddl = run(&["explain", "--ddl", "flink", &file]).expect_code(0).stdout;
        assert!(ddl.contains(&format!("'format' = '{format}'")) && ddl.contains("PRIMARY KEY (`id`)"), "{ddl}");
    }
}

#[test]
fn explain_prints_the_definition_for_each_reader_and_refuses_what_it_cannot_read() {
    let database = database();
    let connector = connector(&database, JSON, LONG).set("value.converter.schemas.enable", "false");
    let file = connector.file().display().to_string();
    for (reader, says) in [
        ("flink", "`at` BIGINT NOT NULL /* TO_TIMESTAMP_LTZ(..., 3) */"),
        ("ksql", "`price` VARCHAR /* base64; DECIMAL needs decimal.format=NUMERIC */"),
        ("postgres", "\"price\" numeric(10, 2)"),
        ("clickhouse", "kafka_format = 'JSONEachRow'"),
    ] {
        let printed = run(&["explain", "--ddl", reader, &file]).expect_code(0).stdout;
        assert!(printed.contains(says) && printed.contains("CREATE TABLE"), "{reader}: {printed}");
    }
    let with_schemas = connector.set("value.converter.schemas.enable", "true");
    let file = with_schemas.file().display().to_string();
    run(&["explain", "--ddl", "flink", &file]).expect_code(2).expect_says(&["Flink does not read json"]);
}
