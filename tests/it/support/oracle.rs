//! The one oracle for delivery: the topic under read_committed against the table.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::{Duration, Instant};

use super::config::Connector;
use super::db::Source;
use super::kafka::{decode, read_on, settled};

/// Checks that a topic of the W1 table holds the table exactly once: no version of a row twice, versions of a
/// row in order, the last version of each row equal to the table, and the stored offset that of the last row.
/// Versions overwritten between two polls are never seen, as polling goes; with `every_row` the table
/// was only inserted into, so there must be exactly one record per row.
#[track_caller]
pub fn assert_exactly_once(database: &impl Source, connector: &Connector, table: &str, every_row: bool) {
    let mut delivered = Delivered::default();
    let findings = delivered.compare(database, connector, table);
    assert!(findings.none(), "{table}: {findings}");
    if every_row {
        assert_eq!(delivered.records, delivered.latest.len(), "records and rows differ in {}", connector.topic(table));
    }
}

/// The longest time of an offset's commit; others write to a shared offsets topic all the time.
const SETTLING: Duration = Duration::from_secs(5);

/// The faults of a topic.
#[derive(Debug, Default)]
pub struct Findings {
    /// Rows that are missing, or have a version in the topic that is not their last.
    pub lost: Vec<String>,
    /// Versions that came twice.
    pub repeated: Vec<String>,
    /// Versions out of order, rows that never were, an offset that is not that of the last row.
    pub wrong: Vec<String>,
}

impl Findings {
    pub fn none(&self) -> bool {
        self.lost.is_empty() && self.repeated.is_empty() && self.wrong.is_empty()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, found) in [("lost", &self.lost), ("repeated", &self.repeated), ("wrong", &self.wrong)] {
            if !found.is_empty() {
                write!(f, "{} {what}: {}; ", found.len(), found[..found.len().min(5)].join(", "))?;
            }
        }
        Ok(())
    }
}

/// The records a topic has delivered so far: looked at again, only what is new is read.
#[derive(Default)]
pub struct Delivered {
    next: HashMap<i32, i64>,
    versions: HashSet<(i64, i64, String)>,
    /// The last version of each row: milliseconds and text.
    latest: HashMap<i64, (i64, String)>,
    records: usize,
    stored: Stored,
}

impl Delivered {
    /// The number of records.
    pub fn records(&self) -> usize {
        self.records
    }

    /// The topic as it is now against the table as it is now; nothing may be under way.
    pub fn compare(&mut self, database: &impl Source, connector: &Connector, table: &str) -> Findings {
        let mut findings = Findings::default();
        settled(&connector.topic(table));
        self.read(&connector.topic(table), &mut findings);
        let order = if connector.keys["mode"] == "incrementing" { "seq" } else { "ts, seq" };
        let rows = database.rows(table, order);
        for (seq, micros, item) in &rows {
            match self.latest.get(seq) {
                None => findings.lost.push(format!("row {seq}")),
                Some((millis, found)) if *millis == micros.div_euclid(1000) && found == item => {}
                Some((millis, found)) => {
                    findings
                        .lost
                        .push(format!("row {seq} at {micros} us ({item}), the last is at {millis} ms ({found})"));
                }
            }
        }
        if self.latest.len() > rows.len() {
            let known: HashSet<i64> = rows.iter().map(|(seq, ..)| *seq).collect();
            let strangers = self.latest.keys().filter(|seq| !known.contains(seq));
            findings.wrong.extend(strangers.map(|seq| format!("row {seq} is not in the table")));
        }
        if let Some((seq, micros, _)) = rows.last() {
            let deadline = Instant::now() + SETTLING;
            let is_right = |stored: &serde_json::Value| is_of_row(stored, &connector.keys["mode"], *seq, *micros);
            let stored = loop {
                let stored = self.stored.read(connector, &database.full_name(table)).unwrap_or_default();
                if is_right(&stored) || Instant::now() > deadline {
                    break stored;
                }
            };
            if !is_right(&stored) {
                findings.wrong.push(format!("offset {stored} is not that of row {seq} at {micros} us"));
            }
        }
        findings
    }

    fn read(&mut self, topic: &str, findings: &mut Findings) {
        let raw = read_on(topic, &self.next);
        for record in &raw {
            self.next.insert(record.partition, record.offset + 1);
        }
        self.records += raw.len();
        for record in decode(raw) {
            let seq = record.field("seq").as_i64().expect("seq");
            let millis = record.field("ts").as_i64().expect("ts");
            let item = record.field("item").as_str().unwrap_or_default().to_owned();
            if !self.versions.insert((seq, millis, item.clone())) {
                findings.repeated.push(format!("row {seq} at {millis} ms ({item})"));
            }
            if let Some((before, _)) = self.latest.get(&seq)
                && *before > millis
            {
                findings.wrong.push(format!("row {seq} went back from {before} to {millis} ms"));
            }
            self.latest.insert(seq, (millis, item));
        }
    }
}

/// True if a stored offset is that of the row, in the terms of the mode.
fn is_of_row(offset: &serde_json::Value, mode: &str, seq: i64, micros: i64) -> bool {
    // In `timestamp` mode Connect's fields stay behind a tie that may go on; the exact position does not.
    if let ("timestamp", Some(exact)) = (mode, offset["rowtide_position"].as_str()) {
        let exact: serde_json::Value = serde_json::from_str(exact).expect("a position");
        return exact == serde_json::json!([{"us": micros}, {"i": seq}]);
    }
    let id = !mode.contains("incrementing") || offset["incrementing"].as_i64() == Some(seq);
    let time = !mode.contains("timestamp")
        || (offset["timestamp"].as_i64() == Some(micros.div_euclid(1000))
            && offset["timestamp_nanos"].as_i64() == Some(micros.rem_euclid(1_000_000) * 1000));
    id && time
}

/// The last committed offset record of a table, as JSON.
pub fn stored_offset(connector: &Connector, table: &str) -> Option<serde_json::Value> {
    Stored::default().read(connector, table)
}

/// The offsets of a table in the offsets topic so far: looked at again, only what is new is read.
#[derive(Default)]
struct Stored {
    next: HashMap<i32, i64>,
    last: Option<serde_json::Value>,
}

impl Stored {
    fn read(&mut self, connector: &Connector, table: &str) -> Option<serde_json::Value> {
        let key = format!(r#"["{}",{{"protocol":"1","table":"{table}"}}]"#, connector.name);
        for record in read_on(&connector.keys["offset.storage.topic"], &self.next) {
            self.next.insert(record.partition, record.offset + 1);
            if record.key.as_deref() == Some(key.as_bytes()) {
                self.last = record.value.map(|value| serde_json::from_slice(&value).expect("JSON"));
            }
        }
        self.last.clone()
    }
}
