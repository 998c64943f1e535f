//! The calls of clients that people use (`rest-api.md`, 6), in their order: kcctl, user interfaces, scripts. And `rowtide run`,
//! which answers the same.

use serde_json::{Value as Json, json};

use crate::support::config::Connector;
use crate::support::db::{Postgres, Sqlite};
use crate::support::kafka::wait_for_records;
use crate::support::process::Running;
use crate::support::rest::{Client, Worker, settings, wait_for_raw};
use crate::support::{PATIENCE, eventually};

#[test]
fn kcctl_finds_its_way() {
    let (database, worker) = (Postgres::with_test_table(), Worker::new());
    database.run("insert into test_table (item) select 'row ' || n from generate_series(1, 4) n");
    let (_running, curl) = worker.start(&[]);
    let root = curl.get("/").expect(200).json();
    assert_eq!(root["version"], "3.9.0");
    assert!(root["kafka_cluster_id"].is_string(), "{root}");
    let plugins = curl.get("/connector-plugins?connectorsOnly=false").expect(200).json();
    let kinds: std::collections::BTreeSet<&str> =
        plugins.as_array().unwrap().iter().filter_map(|one| one["type"].as_str()).collect();
    assert_eq!(kinds.len(), 5, "{kinds:?}");
    for plugin in ["JdbcSource", "org.apache.kafka.connect.transforms.ValueToKey", "JsonConverter"] {
        curl.get(&format!("/connector-plugins/{plugin}/config")).expect(200);
    }
    let prefix = format!("{}_", worker.name);
    let given = settings(&database.jdbc_url(), &prefix);
    curl.send("PUT", "/connectors/k/config", &given).expect(201);
    curl.wait_for("/connectors/k", "RUNNING", 1);
    wait_for_raw(&format!("{prefix}test_table"), 4);
    assert_eq!(curl.get("/connectors/").json(), json!(["k"]));
    // Its patch is read, modify and write.
    let mut config = curl.get("/connectors/k/config").json();
    config["poll.interval.ms"] = json!("60");
    curl.send("PUT", "/connectors/k/config", &config).expect(200);
    let tasks = curl.get("/connectors/k/tasks-config").expect(200).json();
    eventually("the task is told", PATIENCE, || {
        let tasks = curl.get("/connectors/k/tasks-config").json();
        (tasks["k-0"]["tables"] == "\"public\".\"test_table\"").then_some(())
    });
    assert!(tasks.is_object());
    let offsets = curl.get("/connectors/k/offsets").expect(200).json();
    assert_eq!(offsets["offsets"][0]["partition"], json!({"protocol": "1", "table": "public.test_table"}));
    assert_eq!(offsets["offsets"][0]["offset"]["incrementing"], 4);
    let back = json!({"offsets": [{"partition": {"protocol": "1", "table": "public.test_table"}, "offset": {"incrementing": 2}}]});
    curl.send("PATCH", "/connectors/k/offsets", &back).expect(400);
    curl.call("PUT", "/connectors/k/stop", None).expect(204);
    curl.send("PATCH", "/connectors/k/offsets", &back).expect(200);
    curl.send(
        "PATCH",
        "/connectors/k/offsets",
        &json!({"offsets": [{"partition": {"table": "t"}, "offset": {"incrementing": "7"}}]}),
    )
    .expect(400);
    curl.call("PUT", "/connectors/k/resume", None).expect(202);
    wait_for_raw(&format!("{prefix}test_table"), 6);
    curl.call("POST", "/connectors/k/tasks/0/restart", None).expect(204);
    curl.wait_for("/connectors/k", "RUNNING", 1);
    curl.call("PUT", "/connectors/k/topics/reset", None).expect(202);
    assert_eq!(curl.get("/connectors/k/topics").json(), json!({"k": {"topics": []}}));
    curl.call("PUT", "/connectors/k/stop", None).expect(204);
    curl.call("DELETE", "/connectors/k/offsets", None).expect(200);
    assert_eq!(curl.get("/connectors/k/offsets").json(), json!({"offsets": []}));
    curl.call("DELETE", "/connectors/k", None).expect(204);
}

#[test]
fn a_level_of_logs_is_another_one_at_once() {
    let (database, worker) = (Postgres::with_test_table(), Worker::new());
    let (running, curl) = worker.start(&[]);
    curl.send("PUT", "/connectors/k/config", &settings(&database.jdbc_url(), &format!("{}_", worker.name))).expect(201);
    let changes = || running.log().matches("a connector is changed by a request").count();
    let before = changes();
    curl.send("PUT", "/admin/loggers/rowtide", &json!({"level": "WARN"})).expect(200);
    curl.call("PUT", "/connectors/k/pause", None).expect(202);
    assert_eq!(changes(), before, "it is not logged any more");
    let level = |scope: &str| {
        curl.send("PUT", &format!("/admin/loggers/org.apache.kafka.connect{scope}"), &json!({"level": "DEBUG"}))
    };
    assert_eq!(level("").expect(200).json(), json!(["org.apache.kafka.connect", "rowtide"]));
    level("?scope=cluster").expect(204);
    assert_eq!(curl.get("/admin/loggers/org.apache.kafka.connect").json()["level"], "DEBUG");
    curl.call("PUT", "/connectors/k/stop", None).expect(204);
    assert_eq!(changes(), before + 1, "it is logged again");
}

/// The error messages of a key in a validation.
fn errors<'a>(infos: &'a Json, key: &str) -> Vec<&'a str> {
    let all = infos["configs"].as_array().expect("a list");
    let found = all.iter().find(|info| info["value"]["name"] == key).unwrap_or_else(|| panic!("{key} is not told"));
    found["value"]["errors"].as_array().expect("a list").iter().filter_map(Json::as_str).collect()
}

#[test]
fn forms_of_user_interfaces_are_filled_and_checked() {
    let (database, worker) = (Postgres::with_test_table(), Worker::new());
    let (_running, curl) = worker.start(&[]);
    let validate = |plugin: &str, body: &Json| {
        curl.send("PUT", &format!("/connector-plugins/{plugin}/config/validate"), body).expect(200).json()
    };
    // AKHQ asks with nothing but the class.
    for plugin in curl.get("/connector-plugins").expect(200).json().as_array().expect("a list") {
        let class = plugin["class"].as_str().expect("a class");
        let infos = validate(class, &json!({"connector.class": class, "topics": "x"}));
        assert_eq!(infos["name"], *class);
        assert_eq!(errors(&infos, "name"), ["Missing required configuration \"name\" which has no default value."]);
        let groups: Vec<&str> = infos["groups"].as_array().expect("groups").iter().filter_map(Json::as_str).collect();
        assert_eq!(groups[..2], ["Common", "Transforms"]);
        let count: usize = infos["configs"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|info| info["value"]["errors"].as_array().map_or(0, Vec::len))
            .sum();
        assert_eq!(infos["error_count"], count);
    }
    let mut given = settings(&database.jdbc_url(), "p_");
    given["name"] = json!("form");
    given["transforms"] = json!("k");
    given["transforms.k.type"] = json!("org.apache.kafka.connect.transforms.ValueToKey");
    given["transforms.k.fields"] = json!("seq");
    let infos = validate("JdbcSource", &given);
    assert_eq!(infos["error_count"], 0, "{infos}");
    let of = |key: &str| {
        infos["configs"].as_array().unwrap().iter().find(|info| info["value"]["name"] == key).unwrap().clone()
    };
    assert_eq!(of("transforms.k.fields")["definition"]["group"], "Transforms: k");
    assert_eq!(of("connection.password")["value"]["value"], "[hidden]");
    assert_eq!(of("timestamp.column.name")["value"]["visible"], false);
    assert!(of("table.whitelist")["value"]["recommended_values"].as_array().unwrap().contains(&json!("test_table")));
    given["mode"] = json!("often");
    given["producer.override.acks"] = json!("1");
    let infos = validate("io.confluent.connect.jdbc.JdbcSourceConnector", &given);
    assert!(errors(&infos, "mode")[0].starts_with("Invalid value often for configuration mode"), "{infos}");
    given["mode"] = json!("incrementing");
    given["connection.url"] = json!("jdbc:postgresql://127.0.0.1:1/none");
    given.as_object_mut().unwrap().remove("producer.override.acks");
    let infos = validate("JdbcSource", &given);
    assert!(errors(&infos, "connection.url")[0].starts_with("Could not connect to database"), "{infos}");
}

#[test]
fn scripts_restart_what_has_failed_and_only_that() {
    let (database, worker) = (Sqlite::with_test_table(), Worker::new());
    let (_running, curl) = worker.start(&[]);
    let given = settings(&database.jdbc_url(), &format!("{}_", worker.name));
    let mut later = given.clone();
    later["table.whitelist"] = json!("later");
    curl.send("PUT", "/connectors/good/config", &given).expect(201);
    curl.send("PUT", "/connectors/bad/config", &later).expect(201);
    curl.wait_for("/connectors/good", "RUNNING", 1);
    let failed = curl.wait_for("/connectors/bad", "FAILED", 0);
    assert!(
        failed["connector"]["trace"].as_str().is_some_and(|trace| trace.contains("no such table: `later`")),
        "{failed}"
    );
    let restart = |name: &str, query: &str| curl.call("POST", &format!("/connectors/{name}/restart{query}"), None);
    let only_failed = "?includeTasks=true&onlyFailed=true";
    assert_eq!(restart("good", only_failed).expect(202).json()["connector"]["state"], "RUNNING");
    assert_eq!(restart("good", "?includeTasks=true").expect(202).json()["tasks"][0]["state"], "RESTARTING");
    curl.wait_for("/connectors/good", "RUNNING", 1);
    database.run("create table later (seq integer primary key, item text)");
    assert_eq!(restart("bad", only_failed).expect(202).json()["connector"]["state"], "RESTARTING");
    curl.wait_for("/connectors/bad", "RUNNING", 1);
    restart("bad", "").expect(204);
    curl.wait_for("/connectors/bad", "RUNNING", 1);
    assert_eq!(restart("none", "").expect(404).message(), "Unknown connector: none");
    let all = curl.get("/connectors?expand=status").expect(200).json();
    assert_eq!((&all["good"]["status"]["type"], all["good"].get("info")), (&json!("source"), None));
}

#[test]
fn a_run_answers_the_same_and_says_that_it_forgets() {
    let database = Postgres::with_test_table();
    database.run("insert into test_table (item) values ('one')");
    let connector = Connector::of_test_table(&database.jdbc_url()).alone();
    let mut running = Running::start(&connector.file(), &["--listen", "127.0.0.1:0"]);
    let curl = Client::new(&running.address());
    curl.wait_for(&format!("/connectors/{}", connector.name), "RUNNING", 1);
    wait_for_records(&connector.topic("test_table"), 1);
    let mut config = curl.get(&format!("/connectors/{}/config", connector.name)).expect(200).json();
    curl.call("DELETE", &format!("/connectors/{}", connector.name), None).expect(204);
    assert_eq!(curl.get("/connectors").json(), json!([]));
    config["name"] = json!("other");
    let other = curl.send("POST", "/connectors", &json!({"name": "other", "config": config})).expect(201);
    assert_eq!(other.json()["name"], "other");
    curl.wait_for("/connectors/other", "RUNNING", 1);
    running.wait_for_log("kept in memory only");
    assert_eq!(running.terminate(), Some(0));
}
