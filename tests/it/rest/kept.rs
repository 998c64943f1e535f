//! Connectors made by REST outlive the worker: what somebody was told last is what a killed worker's successor has, in the
//! topic and in the folder; a Kafka Connect cluster's connectors are taken over, and given back.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::support::connect::ConnectWorker;
use crate::support::db::{Postgres, Sqlite};
use crate::support::kafka::{read_topic, seed};
use crate::support::process::{finish, rowtide};
use crate::support::rest::{Client, Worker, settings, wait_for_raw};
use crate::support::{PATIENCE, eventually};

/// What a worker says of its connectors: settings and target state of each.
fn all(client: &Client) -> BTreeMap<String, (Json, String)> {
    let all = client.get("/connectors?expand=info&expand=status").expect(200).json();
    let one = |(name, about): (&String, &Json)| {
        let state = about["status"]["connector"]["state"].as_str().expect("a state");
        // Which of the two is only a matter of time.
        let state = if state == "UNASSIGNED" { "RUNNING" } else { state };
        (name.clone(), (about["info"]["config"].clone(), state.to_owned()))
    };
    all.as_object().expect("an object").iter().map(one).collect()
}

fn what_was_said_last_is_there_after_a_kill(more: &[&str]) {
    let (database, worker) = (Sqlite::with_test_table(), Worker::new());
    let settings = |prefix: &str| settings(&database.jdbc_url(), &format!("{}_{prefix}", worker.name));
    let steps: Vec<(&str, &str, Option<Json>, u16)> = vec![
        ("POST", "/connectors", Some(json!({"name": "a", "config": settings("a")})), 201),
        (
            "POST",
            "/connectors",
            Some(json!({"name": "b/ä 1", "config": settings("b"), "initial_state": "STOPPED"})),
            201,
        ),
        ("PUT", "/connectors/c/config", Some(settings("c")), 201),
        ("PUT", "/connectors/c/pause", None, 202),
        (
            "PATCH",
            "/connectors/c/config",
            Some(json!({"poll.interval.ms": "70", "incrementing.column.name": null})),
            200,
        ),
        ("PUT", "/connectors/b%2F%C3%A4%201/resume", None, 202),
        ("PUT", "/connectors/a/config", Some(settings("new")), 200),
        ("PUT", "/connectors/a/stop", None, 204),
        ("DELETE", "/connectors/b%2F%C3%A4%201", None, 204),
    ];
    let (mut running, mut client) = worker.start(more);
    for (method, path, body, status) in steps {
        let answer = client.call(method, path, body.map(|body| body.to_string()).as_deref());
        let _ = answer.expect(status);
        let before = all(&client);
        running.kill();
        (running, client) = worker.start(more);
        assert_eq!(all(&client), before, "after {method} {path}");
    }
    let names: Vec<String> = all(&client).into_keys().collect();
    assert_eq!(names, ["a", "c"]);
    assert_eq!(all(&client)["c"].0["poll.interval.ms"], "70");
    assert!(all(&client)["c"].0.get("incrementing.column.name").is_none());
}

#[test]
fn in_the_topic_what_was_said_last_is_there_after_a_kill() {
    what_was_said_last_is_there_after_a_kill(&[]);
}

#[test]
fn in_the_folder_what_was_said_last_is_there_after_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let connectors = folder.path().join("connectors").display().to_string();
    what_was_said_last_is_there_after_a_kill(&["--config-dir", &connectors]);
}

#[test]
fn a_clusters_connectors_are_taken_over_and_given_back_and_a_sink_is_left_alone() {
    let (database, worker) = (Postgres::with_test_table(), Worker::new());
    database.run("insert into test_table (item) values ('one'), ('two')");
    let prefix = format!("{}_", worker.name);
    let connect = ConnectWorker::start(&worker.file());
    let settings = settings(&database.jdbc_url(), &prefix);
    for (name, state) in [("runs", "RUNNING"), ("rests", "PAUSED"), ("stands", "STOPPED")] {
        let body = json!({"name": name, "config": settings, "initial_state": state});
        connect.client().send("POST", "/connectors", &body).expect(201);
    }
    connect.client().wait_for("/connectors/runs", "RUNNING", 1);
    // Two clusters at once would run the same connectors.
    let refused = finish(rowtide().args(["worker", "--listen", "127.0.0.1:0", "--worker"]).arg(worker.file()));
    refused.expect_code(4).expect_says(&["a Kafka Connect cluster of group.id", "stop its workers first"]);
    connect.stop();
    let configs = format!("{}-configs", worker.name);
    let sink = json!({"properties": {"connector.class": "com.example.ArchiveSinkConnector", "topics": "t", "name": "archive"}});
    seed(&configs, "connector-archive", Some(&sink.to_string()));
    seed(&configs, "connector-wrong", Some(r#"{"properties":{"connector.class":"JdbcSource","mode":"often"}}"#));
    let (running, client) = worker.start(&[]);
    assert_eq!(client.get("/connectors").json(), json!(["archive", "rests", "runs", "stands", "wrong"]));
    // The stand-in has stored the position behind the first row.
    client.wait_for("/connectors/runs", "RUNNING", 1);
    wait_for_raw(&format!("{prefix}test_table"), 2);
    client.wait_for("/connectors/rests", "PAUSED", 0);
    client.wait_for("/connectors/stands", "STOPPED", 0);
    let wrong = client.wait_for("/connectors/wrong", "FAILED", 0);
    assert!(wrong["connector"]["trace"].as_str().is_some_and(|trace| trace.contains("mode")), "{wrong}");
    let archive = client.get("/connectors/archive/status").expect(200).json();
    assert_eq!((&archive["type"], &archive["connector"]["state"]), (&json!("sink"), &json!("UNASSIGNED")));
    assert_eq!(client.get("/connectors/archive/config").json()["topics"], "t");
    for (method, path) in
        [("DELETE", ""), ("PUT", "/pause"), ("PUT", "/stop"), ("POST", "/restart"), ("GET", "/offsets")]
    {
        let refused = client.call(method, &format!("/connectors/archive{path}"), None).expect(403);
        assert!(refused.message().contains("is of a class that rowtide does not run"), "{refused:?}");
    }
    client.send("POST", "/connectors", &json!({"name": "archive", "config": settings})).expect(409);
    client.send("PUT", "/connectors/archive/config", &settings).expect(403);
    client.call("PUT", "/connectors/runs/stop", None).expect(204);
    client.call("DELETE", "/connectors/stands", None).expect(204);
    client.call("DELETE", "/connectors/wrong", None).expect(204);
    client.send("PATCH", "/connectors/rests/config", &json!({"poll.interval.ms": "70"})).expect(200);
    client
        .send("POST", "/connectors", &json!({"name": "new/ä", "config": settings, "initial_state": "STOPPED"}))
        .expect(201);
    assert_eq!(running.terminate(), Some(0));
    // Of the sink nothing was written.
    let of_sink = read_topic(&configs).into_iter().filter(|record| record.key.as_deref() == Some(b"connector-archive"));
    assert_eq!(of_sink.count(), 1);
    seed(&configs, "connector-archive", None);
    let connect = ConnectWorker::start(&worker.file());
    // It answers before it has read the topic.
    eventually("it has the connectors", PATIENCE, || {
        let mut names: Vec<String> = serde_json::from_str(&connect.client().get("/connectors").body).expect("names");
        names.sort();
        (names == ["new/ä", "rests", "runs"]).then_some(())
    });
    connect.client().wait_for("/connectors/runs", "STOPPED", 0);
    connect.client().wait_for("/connectors/rests", "PAUSED", 0);
    assert_eq!(connect.client().get("/connectors/rests/config").json()["poll.interval.ms"], "70");
}

#[test]
fn of_two_workers_of_one_topic_the_older_one_changes_nothing_any_more() {
    let (database, worker) = (Sqlite::with_test_table(), Worker::new());
    let body = |name: &str| json!({"name": name, "config": settings(&database.jdbc_url(), &format!("{}_", worker.name)), "initial_state": "STOPPED"});
    let (_older, first) = worker.start(&[]);
    first.send("POST", "/connectors", &body("a")).expect(201);
    let (_newer, second) = worker.start(&[]);
    let refused = first.send("POST", "/connectors", &body("b")).expect(409);
    assert!(refused.message().contains("another worker has taken over"), "{refused:?}");
    assert_eq!(first.get("/connectors").json(), json!(["a"]));
    second.send("POST", "/connectors", &body("c")).expect(201);
    assert_eq!(second.get("/connectors").json(), json!(["a", "c"]));
}
