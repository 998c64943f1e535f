//! `rowtide run --embedded`: a connector file as somebody has it, and no services.

use crate::support::config::Connector;
use crate::support::db::{Postgres, Sqlite};
use crate::support::process::{Running, run, signal};
use crate::support::{PATIENCE, eventually};

/// The keys of somebody whose brokers and registry are far away and secured.
fn of_a_secured_cluster(connector: Connector) -> Connector {
    connector
        .set("bootstrap.servers", "broker.invalid:9093")
        .set("producer.override.sasl.jaas.config", "${file:/run/secrets/none:jaas}")
        .set("value.converter.schema.registry.url", "https://registry.invalid")
        .set("value.converter.basic.auth.user.info", "user:canary-secret")
        .set("key.converter.schema.registry.url", "https://registry.invalid")
        .set("topic.creation.default.replication.factor", "3")
        .set("topic.creation.default.partitions", "6")
}

#[test]
fn records_of_somebody_s_database_are_printed_without_any_services() {
    let database = Postgres::with_test_table();
    database.run(
        "insert into test_table (item, price, category) select 'item ' || n, n, 'c' from generate_series(1, 300) n;
         create table notes (seq bigint primary key, ts timestamptz not null default now(), body text);
         insert into notes values (7, now(), 'hello')",
    );
    let connector = of_a_secured_cluster(Connector::of_test_table(&database.jdbc_url())).without("table.whitelist");
    let finished = run(&["run", &connector.file().display().to_string(), "--embedded", "--once"]).expect_code(0);
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert_eq!(lines.len(), 301, "{}", finished.stderr);
    let notes = format!("{}\t{{\"seq\":7}}\t", connector.topic("notes"));
    let note = lines.iter().find_map(|line| line.strip_prefix(&notes)).expect("the note");
    assert!(note.contains(r#""body":{"string":"hello"}"#), "{note}");
    for n in 1..=300 {
        let item = format!(r#""item":{{"string":"item {n}"}}"#);
        assert_eq!(lines.iter().filter(|line| line.contains(&item)).count(), 1, "{item}");
    }
    for text in ["of this process: in memory", "gone at its end"] {
        assert!(finished.stderr.contains(text), "{}", finished.stderr);
    }
    assert!(!finished.stderr.contains("canary-secret"), "{}", finished.stderr);
}

#[test]
fn rows_are_printed_as_they_come_until_the_connector_is_stopped() {
    let database = Sqlite::with_test_table();
    let insert = |item: &str| {
        database.run(&format!("insert into test_table (item, price, category) values ('{item}', 1, 'c')"));
    };
    insert("first");
    let connector = Connector::of_test_table(&database.jdbc_url())
        .set("value.converter", "JsonConverter")
        .set("value.converter.schemas.enable", "false")
        .without("value.converter.schema.registry.url");
    let mut running = Running::start(&connector.file(), &["--embedded"]);
    let prints = |item: &str| {
        let text = format!("\"item\":\"{item}\"");
        eventually(&format!("{item} is printed"), PATIENCE, || running.printed().contains(&text).then_some(()));
    };
    prints("first");
    insert("second");
    prints("second");
    signal(running.pid(), "INT");
    assert_eq!(running.ended(), Some(0), "{}", running.log());
}

/// A converter that asks the registry of the process, as key or value.
fn registered(connector: Connector, side: &str, converter: &str) -> Connector {
    connector
        .set(&format!("{side}.converter"), converter)
        .set(&format!("{side}.converter.schema.registry.url"), "https://registry.invalid")
}

#[test]
fn json_schema_and_protobuf_are_registered_printed_and_follow_a_new_column() {
    let formats = [
        ("io.confluent.connect.json.JsonSchemaConverter", "io.confluent.connect.protobuf.ProtobufConverter"),
        ("io.confluent.connect.protobuf.ProtobufConverter", "io.confluent.connect.json.JsonSchemaConverter"),
    ];
    for (keys, values) in formats {
        let database = Sqlite::with_test_table();
        database.run("insert into test_table (item, price, category) values ('first', 1, 'c')");
        let connector = registered(Connector::of_test_table(&database.jdbc_url()), "key", keys);
        // Without this, Confluent's registry and that of the process refuse a property more.
        let connector =
            registered(connector, "value", values).set("value.converter.object.additional.properties", "false");
        let mut running = Running::start(&connector.file(), &["--embedded"]);
        let prints = |text: &str| {
            eventually(&format!("{text} is printed by {values}"), PATIENCE, || {
                running.printed().contains(text).then_some(())
            });
        };
        prints(r#""item":"first""#);
        database.run(
            "alter table test_table add column size integer;
             insert into test_table (item, price, category, size) values ('second', 1, 'c', 42)",
        );
        prints(r#""size":42"#);
        signal(running.pid(), "INT");
        assert_eq!(running.ended(), Some(0), "{}", running.log());
    }
}

#[test]
fn several_connectors_are_refused() {
    let database = Sqlite::with_test_table();
    let (one, other) = (Connector::of_test_table(&database.jdbc_url()), Connector::of_test_table(&database.jdbc_url()));
    let files = [one.file().display().to_string(), other.file().display().to_string()];
    let finished = run(&["run", &files[0], &files[1], "--embedded", "--once"]);
    finished.expect_code(2).expect_says(&["--embedded takes one connector, not 2"]);
}
