//! The topics a connector has written to, for those who ask (Kafka Connect's topic tracking). They follow from what its tables
//! have committed; a reset forgets them until there is more. Not kept over the end of the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use crate::lock::locked;
use crate::status::TableStatus;

/// The topics of one connector.
#[derive(Debug, Default)]
pub(super) struct Topics(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    known: BTreeSet<String>,
    /// After a reset: how many rows each table had by then.
    forgotten: Option<BTreeMap<String, u64>>,
}

impl Topics {
    /// Those known so far.
    pub(super) fn known(&self) -> BTreeSet<String> {
        locked(&self.0).known.clone()
    }

    /// Those known so far and those of tables that have written; `by_table` says which topic is a table's.
    pub(super) fn look(&self, tables: &[TableStatus], by_table: &BTreeMap<String, String>) -> BTreeSet<String> {
        let mut state = locked(&self.0);
        for table in tables {
            let has_written = match &state.forgotten {
                // A position was committed with rows, in this life or before.
                None => table.rows > 0 || table.position.is_some(),
                Some(rows) => table.rows > rows.get(&table.table).copied().unwrap_or(0),
            };
            if let (true, Some(topic)) = (has_written, by_table.get(&table.table)) {
                state.known.insert(topic.clone());
            }
        }
        state.known.clone()
    }

    /// Forgets all of them.
    pub(super) fn reset(&self, tables: &[TableStatus]) {
        let mut state = locked(&self.0);
        state.known.clear();
        state.forgotten = Some(tables.iter().map(|table| (table.table.clone(), table.rows)).collect());
    }
}
