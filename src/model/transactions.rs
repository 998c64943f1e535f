//! Transactions as a database shows them: observed by a dialect, judged by `guard`.

use std::sync::Arc;
use std::time::Duration;

use super::ranges::RangeSet;

/// Microseconds since the epoch, by the database's clock.
pub type Micros = i64;

/// The microseconds of a span; the greatest number if they are more.
pub fn micros_of(span: Duration) -> Micros {
    Micros::try_from(span.as_micros()).unwrap_or(Micros::MAX)
}

/// A token of what a database shows: two that one connection was given are equal only if nothing that it shows has been
/// changed by a commit in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeToken(Arc<str>);

impl ChangeToken {
    /// The token of a text by which the database tells its states apart.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }
}

/// A transaction that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTransaction {
    /// Its name, which is unique until the server restarts.
    pub name: String,
    /// The session or user that runs it, to be shown.
    pub holder: Option<String>,
    /// Its begin, where that may be seen: it has taken no time before, but for the slack of the server.
    pub began: Option<Micros>,
}

/// The open transactions of a database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenTransactions {
    /// The database's clock, before the others were looked for.
    pub clock: Micros,
    /// The transactions of sessions.
    pub sessions: Vec<OpenTransaction>,
    /// The prepared transactions, which belonged to a session before.
    pub prepared: Vec<OpenTransaction>,
    /// True if the database has answered from a list it would not make anew: nothing is known of now.
    pub is_stale: bool,
}

/// A view of the database as of a time in the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastView {
    /// The time of the view: a row that is committed after the read has a later one.
    pub as_of: Micros,
    /// The earliest time that can still be read; if `as_of` is before it, that time is forgotten.
    pub horizon: Micros,
    /// The age from which a time is final.
    pub settled_after: Duration,
}

/// The transactions visible in a view (snapshot) of the database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// Every id below this has ended, and its rows are visible if it was committed.
    pub xmin: u64,
    /// No row of this id or one above is visible.
    pub xmax: u64,
    /// The transactions between the two that were running; no subtransaction is named.
    pub running: Vec<u64>,
}

/// The question to the database once it has taken a view: the ids from `since` (but not below the view's `xmin`) up to
/// its `xmax`, and those of `hidden` not below its `xmin`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ViewQuestion {
    /// The end of the last view; 0 if there was none.
    pub since: u64,
    /// The ids that the last view may not have shown.
    pub hidden: RangeSet,
}

/// The view, and the answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ViewAnswer {
    /// The view.
    pub view: View,
    /// Those of the ids asked for that were in progress after the view was taken.
    pub in_progress: RangeSet,
    /// True if everything that the view has running was still in progress then.
    pub is_settled: bool,
}
