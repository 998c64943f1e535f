//! Rows of the window that have been emitted, in memory only: they tell emitted rows from late ones when the table was
//! rewritten, and with it the transaction ids of all rows.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::fingerprint::RowFingerprint;
use crate::model::Micros;

/// The most rows of the window that are remembered; beyond that a table that is rewritten repeats some.
const MOST: usize = 200_000;

/// A row that was emitted, and its time.
pub(super) type Emitted = (Micros, RowFingerprint);

/// The rows emitted lately. A value: the rows that a poll adds are shared by the states before and after it.
#[derive(Debug, Clone, Default)]
pub(super) struct Recent {
    /// Their storage, as far as it was looked.
    pub(super) storage: Option<String>,
    /// The rows that each poll has emitted, with their latest time.
    polls: VecDeque<(Micros, Arc<[Emitted]>)>,
    rows: usize,
}

impl Recent {
    /// The number of rows of each, if they are stored elsewhere now.
    pub(super) fn known_at(&self, storage: &str) -> Option<HashMap<Emitted, u32>> {
        let is_elsewhere = self.storage.as_ref().is_some_and(|before| *before != storage);
        is_elsewhere.then(|| {
            let mut known = HashMap::new();
            let all = self.polls.iter().flat_map(|(_, rows)| rows.iter());
            all.for_each(|row| *known.entry(*row).or_default() += 1);
            known
        })
    }

    /// The same with the rows of one more poll; rows before `from` are forgotten.
    pub(super) fn with(&self, storage: Option<String>, emitted: Vec<Emitted>, from: Micros) -> Self {
        let mut next = self.clone();
        next.storage = storage.or(next.storage);
        if let Some(latest) = emitted.iter().map(|(time, _)| *time).max() {
            next.rows += emitted.len();
            next.polls.push_back((latest, emitted.into()));
        }
        while let Some((latest, rows)) = next.polls.front()
            && (*latest < from || next.rows > MOST && next.polls.len() > 1)
        {
            next.rows -= rows.len();
            next.polls.pop_front();
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_known_while_their_time_may_come_again_and_only_where_they_are_stored_elsewhere() {
        let row = |place| (place as Micros, RowFingerprint { place, content: 0 });
        let first = Recent::default().with(Some("a".into()), vec![row(5), row(5)], 0);
        let second = first.with(None, vec![row(9)], 6);
        assert_eq!(first.known_at("a"), None);
        assert_eq!(first.known_at("b"), Some(HashMap::from([(row(5), 2)])));
        assert_eq!(second.known_at("b"), Some(HashMap::from([(row(9), 1)])), "5 is below the window");
    }
}
