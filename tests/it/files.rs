//! Configuration files as people have them, run as they are.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value as Json, json};

use crate::support::config::Connector;
use crate::support::db::Postgres;
use crate::support::kafka::records;
use crate::support::process::{finish, rowtide, run};

fn ids(connector: &Connector) -> Vec<i64> {
    records(&connector.topic("t")).iter().map(|record| record.field("id").as_i64().expect("an id")).collect()
}

fn connector(database: &Postgres) -> Connector {
    Connector::new(&database.jdbc_url())
        .set("mode", "incrementing")
        .set("incrementing.column.name", "id")
        .set("table.whitelist", "t")
        .alone()
}

/// A resource of Kubernetes.
fn resource(connector: &Connector) -> String {
    let mut text = format!(
        "---\r\n# of Strimzi\r\napiVersion: kafka.strimzi.io/v1\r\nkind: KafkaConnector\r\nmetadata:\r\n  name: {}\r\n  labels:\r\n    \
         strimzi.io/cluster: connect\r\nspec:\r\n  class: {}\r\n  tasksMax: 1\r\n  config:\r\n",
        connector.name, connector.keys["connector.class"]
    );
    for (key, value) in connector.keys.iter().filter(|(key, _)| *key != "connector.class") {
        // Numbers and booleans as such, the rest quoted.
        let value =
            if value.parse::<i64>().is_ok() { value.clone() } else { format!("'{}'", value.replace('\'', "''")) };
        let _ = write!(text, "    {key}: {value}\r\n");
    }
    text
}

#[test]
fn connectors_of_one_file_run_whatever_its_shape() {
    let database = Postgres::new();
    database.run("create table t (id bigint primary key); insert into t values (1), (2)");
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    type Shape = fn(&[Connector]) -> String;
    let shapes: [(&str, Shape); 4] = [
        ("strimzi.yaml", |connectors| {
            let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\n".to_owned();
            connectors.iter().map(resource).chain([secret]).collect()
        }),
        ("plain.yml", |connectors| {
            connectors.iter().map(|of| format!("- name: {}\n  config: {}\n", of.name, json!(of.keys))).collect()
        }),
        ("list.json", |connectors| {
            let of = |connector: &Connector| json!({"name": connector.name, "config": connector.keys, "tasks": [], "type": "source"});
            format!("\u{feff}{}", Json::from_iter(connectors.iter().map(of)))
        }),
        ("expanded.json", |connectors| {
            let of = |connector: &Connector| {
                let info =
                    json!({"name": connector.name, "config": connector.keys, "tasks": [{"connector": "c", "task": 0}]});
                (connector.name.clone(), json!({"status": {"name": connector.name}, "info": info}))
            };
            Json::Object(connectors.iter().map(of).collect()).to_string()
        }),
    ];
    for (name, text) in shapes {
        let connectors = [connector(&database), connector(&database)];
        let file = path(name);
        std::fs::write(&file, text(&connectors)).expect("write");
        let file = file.display().to_string();
        run(&["check", &file]).expect_code(0).expect_says(&[&connectors[0].name, &connectors[1].name, "no problems"]);
        run(&["run", "--once", &file]).expect_code(0);
        for connector in &connectors {
            assert_eq!(ids(connector), [1, 2], "{name}");
        }
        run(&["offsets", "set", "--incrementing", "1", "--yes", &file])
            .expect_code(2)
            .expect_says(&["the file holds 2 connectors"]);
    }
}

#[test]
fn a_file_redirected_on_windows_and_values_of_providers_are_read() {
    let database = Postgres::new();
    database.run("create table t (id bigint primary key); insert into t values (7)");
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().display();
    std::fs::write(folder.path().join("secrets.properties"), "user=postgres\r\n").expect("write");
    std::fs::write(folder.path().join("mode"), "incrementing").expect("write");
    let connector = connector(&database)
        .set("connection.user", &format!("${{file:{dir}/secrets.properties:user}}"))
        .set("mode", &format!("${{dir:{dir}:mode}}"))
        .set("table.whitelist", "${env:ROWTIDE_TEST_TABLE}");
    let text = std::fs::read_to_string(connector.file()).expect("read").replace('\n', "\r\n");
    let units: Vec<u8> = [0xfeff_u16].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let file = folder.path().join("windows.json");
    std::fs::write(&file, units).expect("write");
    finish(rowtide().args(["run", "--once"]).arg(&file).env("ROWTIDE_TEST_TABLE", "t")).expect_code(0);
    assert_eq!(ids(&connector), [7]);
}

#[test]
fn keys_of_java_clients_are_noted_and_the_next_registry_is_asked_where_one_is_down() {
    let database = Postgres::new();
    database.run("create table t (id bigint primary key); insert into t values (3)");
    let connector = connector(&database);
    let registry = connector.keys["value.converter.schema.registry.url"].clone();
    let urls = format!("http://127.0.0.1:9,{registry}");
    let keys = [
        (
            "producer.override.interceptor.classes",
            "io.confluent.monitoring.clients.interceptor.MonitoringProducerInterceptor",
        ),
        ("producer.override.partitioner.class", "org.apache.kafka.clients.producer.internals.DefaultPartitioner"),
        ("producer.override.metric.reporters", "com.example.Reporter"),
        ("producer.override.receive.buffer.bytes", "65536"),
        (
            "consumer.override.partition.assignment.strategy",
            "org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
        ),
        ("consumer.override.max.poll.records", "100"),
        ("admin.override.default.api.timeout.ms", "60000"),
    ];
    let connector = keys.iter().fold(connector, |connector, (key, value)| connector.set(key, value));
    let connector =
        connector.set("value.converter.schema.registry.url", &urls).set("key.converter.schema.registry.url", &urls);
    let file = connector.file().display().to_string();
    run(&["check", &file]).expect_code(0).expect_says(&[
        "no problems",
        "interceptor.classes",
        "partition.assignment.strategy",
    ]);
    run(&["run", "--once", &file]).expect_code(0);
    assert_eq!(ids(&connector), [3]);
}

#[test]
fn a_comment_in_json_is_refused_with_its_line_and_column() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("c.json");
    std::fs::write(&file, "{\r\n  // where it is\r\n  \"name\": \"n\"\r\n}").expect("write");
    run(&["check", "--offline", &file.display().to_string()]).expect_code(2).expect_says(&[
        "JSON has no comments, and one begins here (`//`)",
        "line 2, column 3",
        "c.json:2",
    ]);
}
