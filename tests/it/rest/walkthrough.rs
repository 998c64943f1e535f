//! W1 of the walkthroughs by curl alone: a worker without a connector file, and what a console consumer prints.

use serde_json::{Value as Json, json};

use crate::support::Stack;
use crate::support::db::Postgres;
use crate::support::kafka::wait_for_records;
use crate::support::process::{finish, rowtide};
use crate::support::rest::Worker;
use crate::support::unique;

#[test]
fn a_connector_is_made_watched_and_deleted_by_curl_alone() {
    let (database, worker) = (Postgres::with_test_table(), Worker::new());
    let registry = format!("value.converter.schema.registry.url={}", Stack::get().registry);
    let avro = "value.converter=io.confluent.connect.avro.AvroConverter";
    let set = ["--set", avro, "--set", &registry];
    let (running, curl) = worker.start(&set);
    let mut document: Json = serde_json::from_str(include_str!("../../../configs/w1.json")).expect("configs/w1.json");
    let prefix = format!("{}_", unique("db"));
    document["config"]["connection.url"] = json!(database.jdbc_url());
    document["config"]["topic.prefix"] = json!(prefix);
    document["config"]["poll.interval.ms"] = json!("50");
    assert_eq!(
        curl.call("DELETE", "/connectors/load-test-table", None).expect(404).message(),
        "Connector load-test-table not found"
    );
    let made = curl.send("POST", "/connectors", &document).expect(201);
    assert!(made.header("location").is_some_and(|at| at.ends_with("/connectors/load-test-table")), "{made:?}");
    assert_eq!(made.json()["config"]["connection.url"], document["config"]["connection.url"]);
    assert_eq!(curl.get("/connectors").expect(200).json(), json!(["load-test-table"]));
    let status = curl.wait_for("/connectors/load-test-table", "RUNNING", 1);
    assert_eq!((&status["type"], &status["name"]), (&json!("source"), &json!("load-test-table")));
    let topic = format!("{prefix}test_table");
    database.run("insert into test_table (item, price, category) values ('apple', 400, 'fruit')");
    database.run("insert into test_table (item, price, category) values ('banana', 160, 'fruit')");
    wait_for_records(&topic, 2);
    database.run("update test_table set item = 'orange', price = 100 where seq = 2");
    wait_for_records(&topic, 3);
    database.run("insert into test_table (item, price, category) values ('banana', 200, 'fruit')");
    database.run("insert into test_table (item, price, category) values ('pork', 400, 'meet')");
    database.run("insert into test_table (item, price, category) values ('beef', 800, 'meet')");
    wait_for_records(&topic, 6);
    let mut consume = rowtide();
    consume.args(["consume", &topic, "--from-beginning", "--max", "6", "--worker"]).arg(worker.file()).args(set);
    let printed = finish(&mut consume).expect_code(0).stdout;
    let items: Vec<String> = printed
        .lines()
        .map(|line| {
            let record: Json = serde_json::from_str(line).expect("JSON");
            format!("{} {} {}", record["seq"], record["item"]["string"], record["price"]["int"])
        })
        .collect();
    let expected = [
        r#"1 "apple" 400"#,
        r#"2 "banana" 160"#,
        r#"2 "orange" 100"#,
        r#"3 "banana" 200"#,
        r#"4 "pork" 400"#,
        r#"5 "beef" 800"#,
    ];
    assert_eq!(items, expected);
    assert_eq!(curl.get("/connectors/load-test-table/topics").json(), json!({"load-test-table": {"topics": [topic]}}));
    // A second, later one goes on where the first one was: offsets outlive a connector.
    curl.call("DELETE", "/connectors/load-test-table", None).expect(204);
    curl.get("/connectors/load-test-table/status").expect(404);
    database.run("insert into test_table (item, price, category) values ('plum', 90, 'fruit')");
    curl.send("POST", "/connectors", &document).expect(201);
    wait_for_records(&topic, 7);
    assert_eq!(running.terminate(), Some(0));
}
