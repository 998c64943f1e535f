//! The partition of records (`partition.by`): by their key as Java's producer chooses it, by columns, by table.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::support::any::Any;
use crate::support::config::Connector;
use crate::support::db::Postgres;
use crate::support::kafka::{Raw, make_topic, partition_for, read_topic};
use crate::support::process::{checked, once, run};

const PARTITIONS: i32 = 7;

/// Reads tables as JSON with the text of `id` as their key, into a topic of seven partitions.
fn reading(database: &Any, tables: &[&str]) -> Connector {
    let connector = database
        .by_id("t", 7)
        .set("table.whitelist", &tables.join(","))
        .set("key.mode", "primary_key")
        .set("key.format", "field")
        .set("key.converter", "org.apache.kafka.connect.storage.StringConverter")
        .set("value.converter", "org.apache.kafka.connect.json.JsonConverter")
        .set("value.converter.schemas.enable", "false")
        .alone();
    tables.iter().for_each(|table| make_topic(&connector.topic(table), PARTITIONS, "delete"));
    connector
}

fn value(record: &Raw) -> Json {
    serde_json::from_slice(record.value.as_deref().expect("a value")).expect("JSON")
}

/// The columns of a row as `partition.by=columns:region,customer_id` hashes them.
fn hashed(value: &Json) -> String {
    let region = value["region"].as_str().unwrap_or_default();
    format!("{region},{}", value["customer_id"].as_i64().map(|id| id.to_string()).unwrap_or_default())
}

const TABLE: &str =
    "create table t (id bigint not null primary key, region varchar(10), customer_id integer, note varchar(20))";

fn rows() -> String {
    let row = |id: usize| {
        let region = ["'EU'", "'US'", "''", "null", "'Asië'"][id % 5];
        let customer = ["1", "22", "null"][id % 3];
        format!("({id}, {region}, {customer}, 'no {id}')")
    };
    format!("insert into t values {}", (1..=60).map(row).collect::<Vec<_>>().join(", "))
}

#[test]
fn records_of_the_same_columns_are_in_one_partition_that_any_murmur2_finds_nulls_included() {
    for database in Any::all() {
        database.run(TABLE);
        database.run(&rows());
        // Columns that are no part of the records choose, too.
        let connector = reading(&database, &["t"]).set("partition.by", "columns:region, customer_id");
        let unread = reading(&database, &["t"])
            .set("table.t.partition.by", "columns:note")
            .set("table.t.columns.exclude", "note");
        for connector in [&connector, &unread] {
            checked(connector).expect_code(0);
            once(connector).expect_code(0);
        }
        let records = read_topic(&connector.topic("t"));
        assert_eq!(records.len(), 60, "{}", database.name());
        for record in &records {
            let text = hashed(&value(record));
            assert_eq!(record.partition, partition_for(text.as_bytes(), PARTITIONS), "{} {text}", database.name());
        }
        assert!(records.iter().map(|record| record.partition).collect::<BTreeSet<_>>().len() > 3);
        for record in read_topic(&unread.topic("t")) {
            let value = value(&record);
            let text = format!("no {}", value["id"]);
            assert_eq!(value.get("note"), None);
            assert_eq!(record.partition, partition_for(text.as_bytes(), PARTITIONS), "{} {text}", database.name());
        }
    }
}

#[test]
fn a_key_has_the_partition_of_java_s_producer_and_a_table_has_one_for_all_its_records() {
    let database = Any::Postgres(Postgres::new());
    database.run(TABLE);
    database.run(&rows());
    database.run("create table u (like t including all); insert into u select * from t");
    let connector = reading(&database, &["t", "u"]).set("partition.by", "table").set("table.u.partition.by", "key");
    once(&connector).expect_code(0);
    let of_t = read_topic(&connector.topic("t"));
    let only = partition_for(b"public.t", PARTITIONS);
    assert_eq!(of_t.iter().map(|record| record.partition).collect::<Vec<_>>(), vec![only; 60]);
    let ids: Vec<i64> = of_t.iter().map(|record| value(record)["id"].as_i64().expect("an id")).collect();
    assert_eq!(ids, (1..=60).collect::<Vec<_>>(), "in their order");
    let of_u = read_topic(&connector.topic("u"));
    assert_eq!(of_u.len(), 60);
    for record in &of_u {
        let key = record.key.as_deref().expect("a key");
        assert_eq!(record.partition, partition_for(key, PARTITIONS), "{}", String::from_utf8_lossy(key));
    }
    let file = connector.file().display().to_string();
    let explained = run(&["explain", &file]).expect_code(0);
    explained
        .expect_says(&["partition     all records in one, by the name `public.t`", "partition     by the record key"]);
}

#[test]
fn a_tombstone_follows_its_row_into_the_partition_of_its_columns_and_explain_says_that_rows_may_move() {
    let database = Any::Postgres(Postgres::new());
    database.run("create table t (id bigint primary key, region text, customer_id int, gone boolean)");
    database.run("insert into t select n, 'EU', n % 4, n % 2 = 0 from generate_series(1, 20) n");
    let connector = reading(&database, &["t"])
        .set("partition.by", "columns:region,customer_id")
        .set("delete.mode", "soft")
        .set("delete.column", "gone")
        .set("delete.emit", "both");
    once(&connector).expect_code(0);
    let mut partitions: BTreeMap<Vec<u8>, BTreeSet<i32>> = BTreeMap::new();
    let records = read_topic(&connector.topic("t"));
    assert_eq!((records.len(), records.iter().filter(|record| record.value.is_none()).count()), (30, 10));
    for record in records {
        partitions.entry(record.key.expect("a key")).or_default().insert(record.partition);
    }
    assert_eq!(partitions.len(), 20);
    for (key, of_key) in partitions {
        let id: i64 = String::from_utf8(key).expect("text").parse().expect("a number");
        let expected = partition_for(format!("EU,{}", id % 4).as_bytes(), PARTITIONS);
        assert_eq!(of_key, BTreeSet::from([expected]), "{id}");
    }
    let file = connector.file().display().to_string();
    let says = ["by `region`, `customer_id`; a row whose values there change goes to another one"];
    run(&["explain", &file]).expect_code(0).expect_says(&says);
}

#[test]
fn a_column_that_is_not_there_is_named_at_start_and_by_check() {
    let database = Any::Postgres(Postgres::new());
    database.run(TABLE);
    let connector = reading(&database, &["t"]).set("partition.by", "columns:regoin");
    let says = ["partition.by: there is no column `regoin`", "its columns are id, region, customer_id, note"];
    checked(&connector).expect_code(2).expect_says(&says);
    once(&connector).expect_code(2).expect_says(&says);
}
