//! The one oracle for delivery: the topic under read_committed against the table.

use std::collections::{HashMap, HashSet};

use super::config::Connector;
use super::db::Postgres;
use super::kafka::{read_topic, records};

/// Checks that a topic of the W1 table holds the table exactly once: no version of a row twice, versions of a
/// row in order, the last version of each row equal to the table, and the stored offset that of the last row.
/// Versions overwritten between two polls are never seen, as polling goes; with `every_row` the table
/// was only inserted into, so there must be exactly one record per row.
#[track_caller]
pub fn assert_exactly_once(database: &Postgres, connector: &Connector, table: &str, every_row: bool) {
    let topic = connector.topic(table);
    let order = if connector.keys["mode"] == "incrementing" { "seq" } else { "ts, seq" };
    let rows: Vec<(i64, i64, String)> = database
        .texts(&format!(
            "select seq || '|' || (extract(epoch from ts) * 1000000)::bigint || '|' || coalesce(item, '') from {table} order by {order}"
        ))
        .iter()
        .map(|line| {
            let parts: Vec<&str> = line.splitn(3, '|').collect();
            (parts[0].parse().expect("seq"), parts[1].parse().expect("ts"), parts[2].to_owned())
        })
        .collect();
    let mut versions = HashSet::new();
    let mut latest: HashMap<i64, (i64, String)> = HashMap::new();
    let found = records(&topic);
    for record in &found {
        let seq = record.field("seq").as_i64().expect("seq");
        let millis = record.field("ts").as_i64().expect("ts");
        let item = record.field("item").as_str().unwrap_or_default().to_owned();
        assert!(versions.insert((seq, millis, item.clone())), "row {seq} at {millis} ({item}) came twice in {topic}");
        if let Some((before, _)) = latest.get(&seq) {
            assert!(*before <= millis, "row {seq} went back from {before} to {millis} in {topic}");
        }
        latest.insert(seq, (millis, item));
    }
    for (seq, micros, item) in &rows {
        let last = latest.remove(seq).unwrap_or_else(|| panic!("row {seq} is missing in {topic}"));
        assert_eq!(last, (micros.div_euclid(1000), item.clone()), "row {seq} is stale in {topic}");
    }
    assert!(latest.is_empty(), "rows that are not in the table: {:?}", latest.keys());
    if every_row {
        assert_eq!(found.len(), rows.len(), "records and rows differ in {topic}");
    }
    if let Some((seq, micros, _)) = rows.last() {
        assert_offset(connector, table, *seq, *micros);
    }
}

/// The stored offset is that of the row, in the terms of the mode.
#[track_caller]
fn assert_offset(connector: &Connector, table: &str, seq: i64, micros: i64) {
    let offset = stored_offset(connector, &format!("public.{table}")).expect("a stored offset");
    let mode = connector.keys["mode"].as_str();
    // In `timestamp` mode Connect's fields stay behind a tie that may go on; the exact position does not.
    if let ("timestamp", Some(exact)) = (mode, offset["rowtide_position"].as_str()) {
        let exact: serde_json::Value = serde_json::from_str(exact).expect("a position");
        assert_eq!(exact, serde_json::json!([{"us": micros}, {"i": seq}]), "offset {offset}");
        return;
    }
    if mode.contains("incrementing") {
        assert_eq!(offset["incrementing"].as_i64(), Some(seq), "offset {offset}");
    }
    if mode.contains("timestamp") {
        assert_eq!(offset["timestamp"].as_i64(), Some(micros.div_euclid(1000)), "offset {offset}");
        assert_eq!(offset["timestamp_nanos"].as_i64(), Some(micros.rem_euclid(1_000_000) * 1000), "offset {offset}");
    }
}

/// The last committed offset record of a table, as JSON.
pub fn stored_offset(connector: &Connector, table: &str) -> Option<serde_json::Value> {
    let key = format!(r#"["{}",{{"protocol":"1","table":"{table}"}}]"#, connector.name);
    let last = read_topic(&connector.keys["offset.storage.topic"])
        .into_iter()
        .rfind(|record| record.key.as_deref() == Some(key.as_bytes()));
    last.and_then(|record| record.value).map(|value| serde_json::from_slice(&value).expect("JSON"))
}
