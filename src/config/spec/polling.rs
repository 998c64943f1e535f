//! The times, amounts and order of reads.

use std::time::Duration;

use super::PollWindows;
use crate::retry::RetryPolicy;

/// The times and amounts of reads.
#[derive(Debug, Clone)]
pub struct PollSpec {
    /// `poll.interval.ms`: the pause of a relation that has nothing newer.
    pub interval: Duration,
    /// `poll.interval.max.ms`: the longest that pause becomes while nothing is found; less than `interval`: that.
    pub longest_interval: Duration,
    /// `table.poll.interval.ms`: how often the catalog is listed.
    pub table_interval: Duration,
    /// `batch.max.rows`: rows of the first page; pages grow while full ones follow each other.
    pub batch_max_rows: usize,
    /// `timestamp.delay.interval.ms`.
    pub delay: Duration,
    /// The distance beyond the clock up to which rows are read: the same, if it is negative.
    pub lead: Duration,
    /// `query.suffix`.
    pub suffix: Option<String>,
    /// `load.order`.
    pub load_order: LoadOrder,
    /// `load.rows.per.second`: the most rows a second that are read of a relation that has more than a page; zero: no limit.
    pub load_rate: usize,
    /// `plan.guard`.
    pub plan_guard: PlanGuard,
    /// `poll.windows`: the times at which relations are polled.
    pub windows: PollWindows,
    /// `replica.lag.max.ms`: the lag of a replica from which it is not read; zero: whatever its lag.
    pub replica_lag_max: Duration,
    /// Backoff of a failing relation; `query.retry.attempts` is its limit.
    pub retry: RetryPolicy,
}

/// `load.order`: the order of the first load of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadOrder {
    /// The primary key's where that is the cheaper walk.
    Auto,
    /// The cursor's.
    Cursor,
    /// The primary key's where there is one.
    PrimaryKey,
}

/// `plan.guard`: the treatment of tables whose polls no index serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanGuard {
    /// Polls them without a look at the plan.
    Off,
    /// Polls them and says so.
    Warn,
    /// Fails them.
    Refuse,
}
