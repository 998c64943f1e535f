//! The means a database offers to find rows that commit late, for one relation.

use std::time::Duration;

/// The means to find late rows of a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateSupport {
    /// Snapshots: rows tell their transaction, and a view which ones it may not hold: [`super::SnapshotViews`].
    pub views: Ability,
    /// Reads as of a time: [`super::PastReads`].
    pub past: Ability,
    /// Visible start times of possible writers: [`super::Transactions`].
    pub writers: Ability,
    /// The longest time between a transaction's reading of the clock and its appearance in the list.
    pub head_start: Duration,
    /// The longest time a writer can take, by the nature of the database.
    pub longest: Duration,
    /// The number of ids a session or a node of the database takes at once, to use some of them later; 0 if it takes one
    /// at a time.
    pub ids_kept: u64,
    /// True if a row is stored as it was written: no view or query, whose columns may change from read to read.
    pub is_table: bool,
}

impl Default for LateSupport {
    fn default() -> Self {
        Self {
            views: Ability::default(),
            past: Ability::default(),
            writers: Ability::default(),
            head_start: Duration::from_secs(1),
            longest: Duration::MAX,
            ids_kept: 0,
            is_table: false,
        }
    }
}

/// The ability of a database to do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ability {
    /// The database can.
    Yes {
        /// The cases it does not cover; empty if none is known.
        but: String,
    },
    /// It is not.
    No {
        /// The reason, in words that follow a colon; empty if the database has nothing of the kind.
        why: String,
        /// The remedy; empty if there is none.
        raise: String,
    },
}

impl Ability {
    /// The ability, with nothing known against it.
    pub fn yes() -> Self {
        Self::Yes { but: String::new() }
    }

    /// It is not.
    pub fn no(why: impl Into<String>, raise: impl Into<String>) -> Self {
        Self::No { why: why.into(), raise: raise.into() }
    }
}

impl Default for Ability {
    fn default() -> Self {
        Self::no("", "")
    }
}
