//! W1 and W4 of the walkthroughs: the connector JSON unchanged, from SQL to the lines a console consumer prints, and to the
//! objects that an HTTP sink posts. W2 and W3 end in their readers (`readers`).

use serde_json::json;

use crate::support::config::Connector;
use crate::support::db::Postgres;
use crate::support::kafka::{read_topic, wait_for_records};
use crate::support::oracle::{assert_exactly_once, stored_offset};
use crate::support::process::{Running, finish, rowtide, run};
use crate::support::{Stack, unique};

/// W1: the file, the topic, and the settings of the worker.
fn w1(database: &Postgres) -> (tempfile::TempDir, String, String, Vec<String>) {
    let (folder, file, prefix, worker) = own(include_str!("../../configs/w1.json"), database);
    (folder, file, format!("{prefix}test_table"), worker)
}

/// A file as it stands, but for the address of the database and names of its own; its prefix of topics, and the settings
/// of the worker.
fn own(text: &str, database: &Postgres) -> (tempfile::TempDir, String, String, Vec<String>) {
    let stack = Stack::get();
    let mut document: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let (name, prefix) = (unique("load-test-table"), format!("{}_", unique("db")));
    document["name"] = json!(name);
    document["config"]["connection.url"] = json!(database.jdbc_url());
    document["config"]["topic.prefix"] = json!(prefix);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("connector.json");
    std::fs::write(&file, document.to_string()).expect("write");
    let worker = [
        format!("bootstrap.servers={}", stack.brokers),
        format!("value.converter.schema.registry.url={}", stack.registry),
        "offset.storage.replication.factor=1".to_owned(),
        "offset.storage.partitions=5".to_owned(),
        "offset.storage.topic=rowtide-test-offsets".to_owned(),
    ];
    let arguments = worker.iter().flat_map(|setting| ["--set".to_owned(), setting.clone()]).collect();
    (folder, file.display().to_string(), prefix, arguments)
}

#[test]
fn the_walkthrough_prints_its_six_records() {
    let database = Postgres::with_test_table();
    let (_folder, file, topic, worker) = w1(&database);
    let arguments: Vec<&str> = worker.iter().map(String::as_str).collect();
    let running = Running::start(file.as_ref(), &arguments);
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
    consume.args(["consume", &topic, "--from-beginning", "--max", "6"]).args(&arguments);
    let printed = finish(&mut consume).expect_code(0).stdout;
    let without_times: Vec<String> = printed
        .lines()
        .map(|line| {
            let (before, after) = line.split_once("\"ts\":").expect("a ts");
            let (digits, after) = after.split_once(',').expect("more fields");
            assert!(digits.len() == 13 && digits.bytes().all(|b| b.is_ascii_digit()), "{line}");
            format!("{before}\"ts\":T,{after}")
        })
        .collect();
    assert_eq!(
        without_times,
        [
            r#"{"seq":1,"ts":T,"item":{"string":"apple"},"price":{"int":400},"category":{"string":"fruit"}}"#,
            r#"{"seq":2,"ts":T,"item":{"string":"banana"},"price":{"int":160},"category":{"string":"fruit"}}"#,
            r#"{"seq":2,"ts":T,"item":{"string":"orange"},"price":{"int":100},"category":{"string":"fruit"}}"#,
            r#"{"seq":3,"ts":T,"item":{"string":"banana"},"price":{"int":200},"category":{"string":"fruit"}}"#,
            r#"{"seq":4,"ts":T,"item":{"string":"pork"},"price":{"int":400},"category":{"string":"meet"}}"#,
            r#"{"seq":5,"ts":T,"item":{"string":"beef"},"price":{"int":800},"category":{"string":"meet"}}"#,
        ]
    );
    assert!(read_topic(&topic).iter().all(|record| record.key.is_none()), "the reference writes no keys");
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn the_rows_that_an_http_sink_posts_are_flat_json_of_numbers_texts_and_booleans() {
    let database = Postgres::with_test_table();
    database.run(
        "create table orders (id bigint primary key, item text, price numeric(10,2), paid boolean not null,
             weight double precision, placed_at timestamp not null, updated_at timestamp not null);
         grant select on orders to connectuser;
         insert into orders values (1, 'apple', 1.50, true, 0.25, '2024-02-29 12:00:00.999', '2024-02-29 12:00:00.123'),
             (2, null, null, false, null, '2024-02-29 12:00:01', '2024-02-29 12:00:02')",
    );
    let (_folder, file, prefix, worker) = own(include_str!("../../configs/w4.json"), &database);
    let mut once = rowtide();
    finish(once.args(["run", "--once", &file]).args(&worker)).expect_code(0);
    let posted: Vec<String> = read_topic(&format!("{prefix}orders"))
        .into_iter()
        .map(|record| String::from_utf8(record.value.expect("a value")).expect("UTF-8"))
        .collect();
    assert_eq!(
        posted,
        [
            r#"{"id":1,"item":"apple","price":1.50,"paid":true,"weight":0.25,"placed_at":1709208000,"updated_at":"2024-02-29T12:00:00.123Z"}"#,
            r#"{"id":2,"item":null,"price":null,"paid":false,"weight":null,"placed_at":1709208001,"updated_at":"2024-02-29T12:00:02.000Z"}"#,
        ]
    );
    let batch: serde_json::Value = serde_json::from_str(&format!("[{}]", posted.join(","))).expect("JSON");
    assert_eq!(batch.as_array().map(Vec::len), Some(2), "as one body of several");
}

#[test]
fn a_restart_repeats_nothing_and_continues_at_the_stored_offset() {
    let database = Postgres::with_test_table();
    let connector = Connector::of_test_table(&database.jdbc_url());
    let file = connector.file();
    let once = || run(&["run", "--once", file.to_str().unwrap()]).expect_code(0);
    database.run(
        "insert into test_table (item, price, category) select 'item ' || n, n, 'c' from generate_series(1, 2500) n",
    );
    once();
    assert_exactly_once(&database, &connector, "test_table", true);
    let before = stored_offset(&connector, "public.test_table");
    once();
    assert_eq!(stored_offset(&connector, "public.test_table"), before, "an idle run writes nothing");
    database.run("update test_table set price = price + 1 where seq % 100 = 0");
    database.run("insert into test_table (item) values ('last')");
    once();
    assert_exactly_once(&database, &connector, "test_table", false);
    wait_for_records(&connector.topic("test_table"), 2500 + 25 + 1);
}

#[test]
fn the_offset_record_is_that_of_the_reference_byte_for_byte() {
    let database = Postgres::with_test_table();
    let connector = Connector::of_test_table(&database.jdbc_url()).set("commit.guard", "off");
    database.run("insert into test_table (ts, item) values ('2024-02-29 12:00:00.123456', 'leap')");
    run(&["run", "--once", connector.file().to_str().unwrap()]).expect_code(0);
    let key = format!(r#"["{}",{{"protocol":"1","table":"public.test_table"}}]"#, connector.name);
    let all = read_topic(&connector.keys["offset.storage.topic"]);
    let record = all.iter().rfind(|record| record.key.as_deref() == Some(key.as_bytes())).expect("the offset");
    let value = String::from_utf8(record.value.clone().expect("a value")).expect("UTF-8");
    assert_eq!(value, r#"{"timestamp_nanos":123456000,"incrementing":1,"timestamp":1709208000123}"#);
    assert_eq!(record.partition, crate::support::kafka::partition_for(key.as_bytes(), 5));
}
