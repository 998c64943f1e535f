//! Schemas in the registry and the records under them, type by type: the reference's schema text, exactly, and values
//! it would have left out or refused, delivered.

use serde_json::{Value as Json, json};

use crate::support::Stack;
use crate::support::config::Connector;
use crate::support::db::{Postgres, Sqlite, block};
use crate::support::kafka::{read_topic, records};
use crate::support::process::run;

#[track_caller]
fn once(connector: &Connector) {
    run(&["run", "--once", connector.file().to_str().expect("a path")]).expect_code(0);
}

/// The text of a subject's latest version, as registered.
fn latest(subject: &str) -> String {
    let url = format!("{}/subjects/{subject}/versions/latest", Stack::get().registry);
    let body: Json = block(async move { reqwest::get(url).await.expect("GET").json().await.expect("JSON") });
    body["schema"].as_str().unwrap_or_else(|| panic!("no schema: {body}")).to_owned()
}

fn versions(subject: &str) -> usize {
    let url = format!("{}/subjects/{subject}/versions", Stack::get().registry);
    let body: Json = block(async move { reqwest::get(url).await.expect("GET").json().await.expect("JSON") });
    body.as_array().map_or(0, Vec::len)
}

/// Schemas are compared as the registry compares them: attributes in any order.
#[track_caller]
fn assert_schema(subject: &str, expected: &str) {
    let (found, expected): (Json, Json) =
        (serde_json::from_str(&latest(subject)).expect("JSON"), serde_json::from_str(expected).expect("JSON"));
    assert_eq!(found, expected, "{subject}");
}

const TIMESTAMP: &str = r#"{"type":"long","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Timestamp","logicalType":"timestamp-millis"}"#;

#[test]
fn the_walkthroughs_table_registers_the_references_schema() {
    let database = Postgres::with_test_table();
    database.run("insert into test_table (item) values ('x')");
    let connector = Connector::of_test_table(&database.jdbc_url());
    once(&connector);
    let topic = connector.topic("test_table");
    let expected = format!(
        r#"{{"type":"record","name":"test_table","fields":[{{"name":"seq","type":"int"}},{{"name":"ts","type":{TIMESTAMP}}},{{"name":"item","type":["null","string"],"default":null}},{{"name":"price","type":["null","int"],"default":null}},{{"name":"category","type":["null","string"],"default":null}}],"connect.name":"test_table"}}"#
    );
    assert_schema(&format!("{topic}-value"), &expected);
    assert_schema(
        &format!("{topic}-key"),
        r#"{"type":"record","name":"ConnectDefault","namespace":"io.confluent.connect.avro","fields":[{"name":"seq","type":"int"}]}"#,
    );
    // A second run registers nothing new.
    once(&connector);
    assert_eq!(versions(&format!("{topic}-value")), 1);
}

#[test]
fn keys_are_records_or_bare_values_of_the_named_columns() {
    let database = Postgres::new();
    database.run("create table t (a int, b varchar(9), id serial, primary key (b, a)); insert into t values (7, 'x')");
    let base =
        || Connector::new(&database.jdbc_url()).set("mode", "incrementing").set("incrementing.column.name", "id");
    let key = |connector: &Connector| records(&connector.topic("t"))[0].key.clone();
    let primary = base().set("key.mode", "primary_key");
    once(&primary);
    assert_eq!(key(&primary).as_deref(), Some(r#"{"b":"x","a":7}"#), "in key order");
    let columns = base()
        .set("key.mode", "columns")
        .set("message.key.columns", "public.t:id,a;other:x")
        .set("key.schema.name", "shop.Key");
    once(&columns);
    assert_eq!(key(&columns).as_deref(), Some(r#"{"id":1,"a":7}"#));
    let subject = format!("{}-key", columns.topic("t"));
    assert!(latest(&subject).contains(r#""namespace":"shop""#), "{}", latest(&subject));
    let bare = base().set("key.mode", "columns").set("message.key.columns", "t:id").set("key.format", "field");
    once(&bare);
    assert_eq!(key(&bare).as_deref(), Some("1"));
    assert_eq!(latest(&format!("{}-key", bare.topic("t"))), r#""int""#);
    // As ValueToKey and ExtractField have it: a bare null is no key, and a record holds it.
    database.run("create table u (id serial primary key, code text); insert into u (code) values (null), ('a')");
    let of_code = |format: &str| {
        let keyed = base().set("table.whitelist", "u").set("key.mode", "columns").set("message.key.columns", "u:code");
        let keyed = keyed.set("key.format", format);
        once(&keyed);
        records(&keyed.topic("u")).into_iter().map(|record| record.key).collect::<Vec<_>>()
    };
    assert_eq!(of_code("field"), [None, Some("\"a\"".to_owned())]);
    assert_eq!(of_code("record"), [r#"{"code":null}"#, r#"{"code":{"string":"a"}}"#].map(|key| Some(key.to_owned())));
    // Prefix, schema id, zig-zag 1.
    assert_eq!(read_topic(&bare.topic("t"))[0].key.as_deref().map(|key| (key[0], key.len(), key[5])), Some((0, 6, 2)));
}

#[test]
fn a_transform_gives_the_schema_of_records_a_name_and_a_version() {
    let database = Postgres::new();
    database
        .run("create table t (id serial primary key, at timestamp not null); insert into t (at) values ('2024-02-29')");
    let metadata = "org.apache.kafka.connect.transforms.SetSchemaMetadata";
    let connector = Connector::new(&database.jdbc_url())
        .set("mode", "incrementing")
        .set("incrementing.column.name", "id")
        .set("key.mode", "primary_key")
        .set("transforms", "key,value")
        .set("transforms.key.type", &format!("{metadata}$Key"))
        .set("transforms.key.schema.version", "3")
        .set("transforms.value.type", &format!("{metadata}$Value"))
        .set("transforms.value.schema.name", "shop.Row")
        .set("transforms.value.schema.version", "7");
    once(&connector);
    let subject = |side: &str| format!("{}-{side}", connector.topic("t"));
    assert_schema(
        &subject("key"),
        r#"{"type":"record","name":"ConnectDefault","namespace":"io.confluent.connect.avro","fields":[{"name":"id","type":"int"}],"connect.version":3}"#,
    );
    let fields = format!(r#"[{{"name":"id","type":"int"}},{{"name":"at","type":{TIMESTAMP}}}]"#);
    assert_schema(
        &subject("value"),
        &format!(
            r#"{{"type":"record","name":"Row","namespace":"shop","fields":{fields},"connect.version":7,"connect.name":"shop.Row"}}"#
        ),
    );
    assert_eq!(records(&connector.topic("t"))[0].key.as_deref(), Some(r#"{"id":1}"#));
    let bare = connector.set("key.format", "field");
    run(&["check", bare.file().to_str().expect("a path")])
        .expect_code(2)
        .expect_says(&["the schema of a bare value gets neither name nor version"]);
}

#[test]
fn types_the_reference_leaves_out_come_as_text_unless_told_otherwise() {
    let database = Postgres::new();
    database.run(
        "create type mood as enum ('sad', 'happy');
         create table t (id serial primary key, tags text[], addr inet, span interval, range int4range, spot point,
                         mood mood, doc jsonb, bits bit(3), cash money, free numeric);
         insert into t (tags, addr, span, range, spot, mood, doc, bits, cash, free)
         values ('{a,b}', '10.0.0.1', '1 day 2 hours', '[1,5)', '(1,2)', 'happy', '{\"k\": 1}', B'101', '1234.56', 12.5)",
    );
    let base = || Connector::new(&database.jdbc_url()).set("mode", "incrementing");
    let text = base();
    once(&text);
    let record = &records(&text.topic("t"))[0];
    let expected = [
        ("tags", json!("{a,b}")),
        ("addr", json!("10.0.0.1/32")),
        ("span", json!("1 day 02:00:00")),
        ("range", json!("[1,5)")),
        ("spot", json!("(1,2)")),
        ("mood", json!("happy")),
        ("doc", json!("{\"k\": 1}")),
        ("bits", json!("101")),
        ("cash", json!(1234.56)),
    ];
    for (column, value) in expected {
        assert_eq!(record.field(column), value, "{column}");
    }
    let skip = base().set("type.unsupported", "skip");
    once(&skip);
    let record: Json = serde_json::from_str(&records(&skip.topic("t"))[0].value).expect("JSON");
    assert!(record.get("tags").is_none() && record.get("mood").is_some(), "{record}");
    let fail = base().set("type.unsupported", "fail").set("table.whitelist", "t");
    run(&["run", "--once", fail.file().to_str().unwrap()]).expect_code(2).expect_says(&["tags", "type.unsupported"]);
}

#[test]
fn sqlite_types_follow_the_declared_type_and_widen_when_a_value_needs_it() {
    let database = Sqlite::new();
    database.run(
        "create table t (id integer primary key autoincrement not null, n integer, big bigint, f double, s varchar(9), b blob, d date, ok boolean);
         insert into t (n, big, f, s, b, d, ok) values (1, 2, 1.5, 'x', x'00ff', '2024-02-29', 1)",
    );
    let connector = Connector::new(&database.jdbc_url()).set("mode", "incrementing").set("table.whitelist", "t");
    once(&connector);
    database.run("insert into t (n) values (5000000000)");
    once(&connector);
    let found = records(&connector.topic("t"));
    let first: Json = serde_json::from_str(&found[0].value).expect("JSON");
    assert_eq!(first["n"], json!({"int": 1}));
    assert_eq!(first["d"], json!({"int": 19_782}));
    assert_eq!(first["ok"], json!({"boolean": true}));
    assert_eq!(found[1].field("n"), json!(5_000_000_000_i64));
}

#[test]
fn a_schema_the_subject_refuses_stops_the_table_before_anything_is_sent() {
    let database = Postgres::new();
    database.run("create table t (id serial primary key, v text); insert into t (v) values ('a')");
    let connector = Connector::new(&database.jdbc_url()).set("mode", "incrementing").set("table.whitelist", "t");
    let subject = format!("{}-value", connector.topic("t"));
    let other = json!({"schema": r#"{"type":"record","name":"other","fields":[{"name":"must","type":"int"}]}"#});
    let url = format!("{}/subjects/{subject}/versions", Stack::get().registry);
    block(async move {
        reqwest::Client::new()
            .post(url)
            .json(&other)
            .send()
            .await
            .expect("POST")
            .error_for_status()
            .expect("registered")
    });
    run(&["run", "--once", connector.file().to_str().unwrap()]).expect_code(4).expect_says(&[&subject, "compatib"]);
    assert!(read_topic(&connector.topic("t")).is_empty());
}

#[test]
fn a_registered_schema_is_used_as_it_is_when_told_so() {
    let database = Postgres::new();
    database.run("create table t (id serial primary key, v int not null); insert into t (v) values (5)");
    let connector = Connector::new(&database.jdbc_url())
        .set("mode", "incrementing")
        .set("table.whitelist", "t")
        .set("value.converter.auto.register.schemas", "false")
        .set("value.converter.use.latest.version", "true");
    let subject = format!("{}-value", connector.topic("t"));
    let missing = run(&["run", "--once", connector.file().to_str().unwrap()]);
    assert_ne!(missing.code, Some(0), "{}", missing.stderr);
    assert!(missing.stderr.contains(&subject), "{}", missing.stderr);
    let wider = json!({"schema": r#"{"type":"record","name":"t","fields":[{"name":"v","type":"long"},{"name":"id","type":"int"}]}"#});
    let url = format!("{}/subjects/{subject}/versions", Stack::get().registry);
    block(async move {
        reqwest::Client::new()
            .post(url)
            .json(&wider)
            .send()
            .await
            .expect("POST")
            .error_for_status()
            .expect("registered")
    });
    once(&connector);
    assert_eq!(records(&connector.topic("t"))[0].value, r#"{"v":5,"id":1}"#);
    assert_eq!(versions(&subject), 1);
}

#[test]
fn two_connectors_of_one_database_do_not_meet() {
    let database = Postgres::with_test_table();
    database.run("insert into test_table (item) values ('x')");
    let (one, other) = (Connector::of_test_table(&database.jdbc_url()), Connector::of_test_table(&database.jdbc_url()));
    let (first, second) = (one.file(), other.file());
    run(&["run", "--once", first.to_str().unwrap(), second.to_str().unwrap()]).expect_code(0);
    assert_eq!((read_topic(&one.topic("test_table")).len(), read_topic(&other.topic("test_table")).len()), (1, 1));
    let twice = run(&["run", "--once", first.to_str().unwrap(), first.to_str().unwrap()]);
    twice.expect_code(2).expect_says(&["two connectors are named"]);
}
