//! Rows that commit late, on real servers: what comes is compared with the table, version by version, and what is
//! promised with what comes.

mod clocks;
mod levels;
mod limits;
mod load;
mod place;
mod postgres;
mod races;
mod resting;
mod waiting;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crate::support::PATIENCE;
use crate::support::config::Connector;
use crate::support::kafka::{decode, read_on, settled};

/// The rows that have come into a topic so far: looked at again, only what is new is read.
struct Arrived {
    topic: String,
    /// True if updates come too. Where they do not, a row is told by its id alone.
    with_versions: bool,
    next: HashMap<i32, i64>,
    counts: HashMap<(i64, i64), usize>,
    /// The versions of all records, as they came.
    versions: Vec<i64>,
}

impl Arrived {
    fn of(connector: &Connector, table: &str) -> Self {
        let with_versions = connector.keys["mode"].contains("timestamp");
        let topic = connector.topic(table);
        Self { topic, with_versions, next: HashMap::new(), counts: HashMap::new(), versions: Vec::new() }
    }

    fn look(&mut self) {
        let raw = read_on(&self.topic, &self.next);
        for record in &raw {
            self.next.insert(record.partition, record.offset + 1);
        }
        for record in decode(raw) {
            let number = |name| record.field(name).as_i64().expect("a number");
            self.versions.push(number("version"));
            let version = if self.with_versions { number("version") } else { 0 };
            *self.counts.entry((number("id"), version)).or_default() += 1;
        }
    }

    /// The versions of all records, as they came.
    fn versions(&mut self) -> &[i64] {
        self.look();
        &self.versions
    }

    /// True if a row has come, in any version.
    fn has_come(&mut self, id: i64) -> bool {
        self.look();
        self.counts.keys().any(|(one, _)| *one == id)
    }

    /// The rows, id and version, that have not come in their last version.
    fn missing(&mut self, rows: &BTreeMap<i64, i64>) -> Vec<(i64, i64)> {
        self.look();
        let version = |version: i64| if self.with_versions { version } else { 0 };
        let has_come = |id: i64, last: i64| self.counts.contains_key(&(id, version(last)));
        rows.iter().map(|(id, last)| (*id, *last)).filter(|(id, last)| !has_come(*id, *last)).collect()
    }

    /// The versions that have come more than once, once nothing is under way.
    fn repeated(&mut self) -> Vec<(i64, i64)> {
        settled(&self.topic);
        self.look();
        self.counts.iter().filter(|(_, count)| **count > 1).map(|(row, _)| *row).collect()
    }

    #[track_caller]
    fn wait_for(&mut self, rows: &BTreeMap<i64, i64>) {
        let deadline = Instant::now() + PATIENCE;
        while let missing @ [first, ..] = self.missing(rows).as_slice() {
            assert!(Instant::now() < deadline, "{}: {} rows are missing, such as {first:?}", self.topic, missing.len());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// The last version of every row comes, and no version twice.
    #[track_caller]
    fn assert_exact(&mut self, rows: &BTreeMap<i64, i64>) {
        self.wait_for(rows);
        let repeated = self.repeated();
        assert!(repeated.is_empty(), "{} versions came twice, such as {:?}", repeated.len(), repeated[0]);
    }
}
