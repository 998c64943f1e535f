//! `check` and `explain`: what they find, what they show, and that they write nothing anywhere.

use serde_json::{Value as Json, json};

use super::{once, path, w1};
use crate::support::config::Connector;
use crate::support::db::{Postgres, Sqlite};
use crate::support::golden;
use crate::support::kafka::{records, topics};
use crate::support::process::{finish, rowtide, run};
use crate::support::web;
use crate::support::{Stack, unique};

fn subjects() -> Vec<String> {
    let listed: Vec<String> =
        serde_json::from_str(&web::get(&format!("{}/subjects", Stack::get().registry)).body).expect("a list");
    listed
}

#[test]
fn check_and_explain_write_nothing_anywhere() {
    let (_database, connector, _) = w1(3);
    let offsets_topic = unique("offsets");
    let connector = connector.set("offset.storage.topic", &offsets_topic);
    let file = path(connector.file());
    let checked =
        run(&["check", &file]).expect_code(0).expect_says(&["not there yet; the first run creates it", "no problems"]);
    assert_eq!(checked.stdout.matches("not there yet").count(), 2, "{}", checked.stdout);
    run(&["explain", &file, "--sample", "2"]).expect_code(0);
    run(&["explain", &file, "--json"]).expect_code(0);
    run(&["offsets", "list", &file]).expect_code(0).expect_says(&["no offsets stored"]);
    run(&["offsets", "get", &file]).expect_code(0);
    let there = topics();
    assert!(!there.contains(&offsets_topic) && !there.contains(&connector.topic("test_table")), "{there:?}");
    let prefix = connector.topic("test_table");
    assert!(subjects().iter().all(|subject| !subject.starts_with(&prefix)));
}

#[test]
fn check_offline_touches_no_network() {
    let nobody = "127.0.0.1:1";
    let connector = Connector::of_test_table(&format!("jdbc:postgresql://{nobody}/x"))
        .set("bootstrap.servers", nobody)
        .set("key.converter.schema.registry.url", &format!("http://{nobody}"))
        .set("value.converter.schema.registry.url", &format!("http://{nobody}"));
    let file = path(connector.file());
    run(&["check", "--offline", &file, "--timeout", "1"])
        .expect_code(0)
        .expect_says(&["no problems; looked at the files only"]);
    run(&["check", &file, "--timeout", "1"]).expect_code(3).expect_says(&["2 problems"]);
}

#[test]
fn check_reads_a_connector_from_standard_input() {
    let connector = Connector::of_test_table("jdbc:postgresql://localhost/x");
    let text = std::fs::File::open(connector.file()).expect("the file");
    finish(rowtide().args(["check", "-", "--offline"]).stdin(text)).expect_code(0).expect_says(&[&connector.name]);
}

#[test]
fn a_schema_the_subject_does_not_allow_is_exit_code_4_and_says_what_differs() {
    let (_database, connector, file) = w1(1);
    let subject = format!("{}-value", connector.topic("test_table"));
    let schema = json!({"type": "record", "name": "test_table", "fields": [{"name": "seq", "type": "int"}, {"name": "item", "type": "long"}]});
    let body = json!({"schema": schema.to_string()}).to_string();
    let posted = web::post(&format!("{}/subjects/{subject}/versions", Stack::get().registry), &body);
    assert_eq!(posted.status, 200, "{}", posted.body);
    let says = ["not compatible", &subject, "item", "relax the subject's compatibility"];
    run(&["check", &file]).expect_code(4).expect_says(&says).expect_says(&["1 problem"]);
    run(&["run", "--once", &file]).expect_code(4).expect_says(&says);
}

#[test]
fn check_warns_of_a_table_without_a_serving_index() {
    let database = Postgres::new();
    database.run("create table bare (id bigint not null, changed timestamp not null)");
    let connector = Connector::new(&database.jdbc_url())
        .set("mode", "timestamp+incrementing")
        .set("incrementing.column.name", "id")
        .set("timestamp.column.name", "changed")
        .set("table.whitelist", "bare");
    let file = path(connector.file());
    run(&["check", &file]).expect_code(0).expect_says(&["note     table public.bare: no index serves its polls"]);
    run(&["explain", &file]).expect_code(0).expect_says(&[
        "NOT served by an index",
        "create index \"bare_changed_id_idx\" on \"public\".\"bare\" (\"changed\", \"id\");",
    ]);
    let explained = explain_json(&file);
    assert_eq!(explained["index_serves"], json!(false));
    assert_eq!(
        explained["index_ddl"],
        json!("create index \"bare_changed_id_idx\" on \"public\".\"bare\" (\"changed\", \"id\")")
    );
    database.run(explained["index_ddl"].as_str().expect("DDL"));
    let explained = explain_json(&file);
    assert_eq!((&explained["index_serves"], &explained["index_ddl"]), (&json!(true), &Json::Null));
    run(&["explain", &file]).expect_code(0).expect_says(&["served by an index"]);
}

/// The one table of `explain --json`.
fn explain_json(file: &str) -> Json {
    let text = run(&["explain", file, "--json", "--sample", "100"]).expect_code(0).stdout;
    let mut documents: Json = serde_json::from_str(&text).expect("JSON");
    assert_eq!(documents[0]["tables"].as_array().map(Vec::len), Some(1), "{text}");
    documents[0]["tables"][0].take()
}

#[test]
fn explain_shows_everything_about_a_table() {
    let (_database, connector, file) = w1(2);
    let topic = connector.topic("test_table");
    run(&["explain", &file]).expect_code(0).expect_says(&[
        "mode          timestamp+incrementing",
        "order by t.\"ts\" asc, t.\"seq\" asc limit 1001",
        "bound ",
        "served by an index",
        &format!("topic         {topic}"),
        &format!("key subject   {topic}-key"),
        &format!("value subject {topic}-value"),
        "\"name\":\"test_table\"",
        "guard         exact (snapshot): ",
        "stored offset none; the first run reads from the beginning",
    ]);
    once(&file);
    let explained = explain_json(&file);
    let stored = &explained["stored_offset"];
    assert!(stored["position"].as_str().is_some_and(|position| position.ends_with("Z, 2")), "{stored}");
    assert_eq!(explained["bound"][1], json!("2"), "{explained}");
    run(&["explain", &file]).expect_code(0).expect_says(&["> ($1, $2)", "topic rowtide-test-offsets, partition"]);
}

#[test]
fn samples_are_the_records_a_run_sends() {
    let (_database, connector, file) = w1(5);
    let samples = explain_json(&file)["samples"].clone();
    once(&file);
    let sent: Vec<Json> = records(&connector.topic("test_table"))
        .into_iter()
        .map(|record| {
            let parsed = |text: &str| serde_json::from_str::<Json>(text).expect("JSON");
            json!({"key": record.key.as_deref().map(parsed), "value": parsed(&record.value)})
        })
        .collect();
    assert_eq!(samples, Json::from(sent));
}

#[test]
fn the_json_of_explain_keeps_its_form() {
    let database = Sqlite::with_test_table();
    let connector = Connector::of_test_table(&database.jdbc_url());
    let (file, prefix) = (path(connector.file()), connector.keys["topic.prefix"].clone());
    database.run("insert into test_table (ts, item, price) values ('2024-02-29 12:00:00.123', 'leap', null)");
    let mut explained = explain_json(&file);
    // The upper bound is the clock.
    explained["bound"] = json!(["NOW"]);
    let text = format!("{}\n", serde_json::to_string_pretty(&explained).expect("JSON"));
    golden::same_as_file("tests/it/golden/explain.json", &text.replace(&prefix, "PREFIX_"));
}

#[test]
fn a_masked_query_is_never_shown() {
    let (_database, connector, _) = w1(3);
    let connector = connector
        .without("table.whitelist")
        .without("key.mode")
        .without("topic.prefix")
        .set("topic.prefix", &unique("masked"))
        .set("query.masked", "select seq, ts, 'canary-query' as item from test_table");
    let file = path(connector.file());
    for line in [
        &["check"][..],
        &["explain", "--sample", "1"],
        &["explain", "--json"],
        &["run", "--once", "--log-level", "trace"],
        &["offsets", "list"],
        &["explain"],
    ] {
        let finished = finish(rowtide().args(line).arg(&file)).expect_code(0);
        // The sample holds the value, as the topic does; the text of the query is nowhere.
        assert!(
            !format!("{}{}", finished.stdout, finished.stderr).contains("'canary-query'"),
            "{line:?}: {finished:?}"
        );
    }
    run(&["explain", &file]).expect_says(&["[query.masked]"]);
}
