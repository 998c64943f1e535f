//! The readers that people have: what they make of the topics.

mod flink;
mod sink;

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::support::config::Connector;
use crate::support::connect::streams_tables;
use crate::support::db::Postgres;
use crate::support::process::run;

/// The rows of the walkthrough's table by their keys, as the connector's records have them.
fn rows(database: &Postgres) -> BTreeMap<String, Json> {
    let rows = database.texts(
        "select json_build_object('seq', seq::text, 'row', json_build_object('item', item, 'price', price, 'category', category))::text
         from test_table where category <> 'gone'",
    );
    let row = |text: String| {
        let mut row: Json = serde_json::from_str(&text).expect("JSON");
        (row["seq"].as_str().expect("a key").to_owned(), row["row"].take())
    };
    rows.into_iter().map(row).collect()
}

#[test]
fn a_ktable_and_a_global_ktable_hold_the_rows_of_the_table_and_join_with_a_stream() {
    let database = Postgres::with_test_table();
    let connector = Connector::of_test_table(&database.jdbc_url())
        .alone()
        .set("key.mode", "primary_key")
        .set("key.format", "field")
        .set("key.converter", "org.apache.kafka.connect.storage.StringConverter")
        .set("value.converter", "org.apache.kafka.connect.json.JsonConverter")
        .set("value.converter.schemas.enable", "false")
        .set("transforms", "plain")
        .set("transforms.plain.type", "org.apache.kafka.connect.transforms.ReplaceField$Value")
        .set("transforms.plain.exclude", "seq,ts")
        .set("topic.creation.default.partitions", "4")
        .set("topic.creation.default.replication.factor", "1")
        .set("delete.mode", "soft")
        .set("delete.column", "category=gone");
    let file = connector.file().display().to_string();
    database.run(
        "insert into test_table (item, price, category) select 'item ' || n, n, 'fruit' from generate_series(1, 40) n",
    );
    run(&["run", "--once", &file]).expect_code(0);
    database.run("update test_table set price = 1000 + seq where seq % 3 = 0");
    database.run("update test_table set category = 'gone' where seq in (7, 12)");
    run(&["run", "--once", &file]).expect_code(0);
    let expected = rows(&database);
    assert_eq!(expected.len(), 38);
    let keys: Vec<String> = (1..=40).map(|key| key.to_string()).collect();
    let read = streams_tables(&connector.topic("test_table"), expected.len(), &keys);
    let of = |table: &str, what: &str| -> BTreeMap<String, Json> {
        let lines = read.iter().filter_map(|line| {
            let [of, kind, key, value] = line.split('\t').collect::<Vec<_>>().try_into().expect("four parts");
            let value = serde_json::from_str(value).expect("JSON");
            (of == table && kind == what).then(|| (key.to_owned(), value))
        });
        lines.collect()
    };
    // A click on a row that is gone finds none.
    let joined: BTreeMap<String, Json> =
        keys.iter().map(|key| (key.clone(), expected.get(key).cloned().unwrap_or(Json::Null))).collect();
    for table in ["table", "global"] {
        assert_eq!(of(table, "row"), expected, "{table}");
        assert_eq!(of(table, "join"), joined, "{table}");
    }
}
