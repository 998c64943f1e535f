//! Facts of a table that its guard depends on, and the sentences about it that several methods share.

use std::time::Duration;

use super::column_clock::ColumnClock;
use super::watermark::LowWatermark;
use crate::model::{CursorKind, Micros, micros_of};

/// A table, its database, and the configured settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its cursor.
    pub cursor: CursorFacts,
    /// The configured settings.
    pub settings: Settings,
    /// Snapshots: rows tell their transaction, and a view which ones it may not hold.
    pub snapshots: Capability,
    /// Reads as of a time.
    pub past: Capability,
    /// Start times of the open transactions that may write it.
    pub writers: Capability,
    /// The lag between the time a transaction writes and the moment it can be seen to be open, at most.
    pub visibility_lag: Duration,
    /// The width of the window where nothing better is known.
    pub window: Duration,
    /// The number of ids a session or node takes at once, to use some of them later; 0 if it takes one at a time.
    pub id_block: u64,
    /// True if a row is stored as it was written: no view or query, whose columns may change from read to read.
    pub is_table: bool,
    /// The clock of the timestamp column.
    pub clock: ColumnClock,
}

/// The cursor of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CursorFacts {
    /// True if there is no cursor: every pass reads everything.
    pub is_bulk: bool,
    /// The kind of its time, if it begins with one.
    pub time_kind: Option<CursorKind>,
    /// The kind of its ids, if it has one.
    pub id_kind: Option<CursorKind>,
    /// True if its times are instants, whoever writes them.
    pub is_zoned: bool,
    /// True if it tells rows of one timestamp apart.
    pub is_total: bool,
    /// True if no two rows share a cursor, by the catalog.
    pub is_unique: bool,
    /// True if no two rows share an id, by the catalog.
    pub has_unique_ids: bool,
}

/// The configured settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// True if `query.suffix` is given.
    pub has_suffix: bool,
    /// True if `timestamp.delay.interval.ms` is positive.
    pub has_delay: bool,
    /// True if it is negative: rows are read ahead of the clock.
    pub has_lead: bool,
    /// `commit.guard.max.wait.ms`.
    pub max_wait: Duration,
    /// `commit.guard.on.timeout`.
    pub on_timeout: OnTimeout,
}

/// `commit.guard.on.timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTimeout {
    /// Goes on waiting.
    Hold,
    /// Reads on, and remembers the rows as long as the process runs.
    Rescan,
    /// The table fails.
    Fail,
}

/// Something that the database may offer: the cases not covered by it, or the missing requirement.
pub type Capability = Result<String, Missing>;

/// The requirement that is missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Missing {
    /// The reason, in words that follow a colon; empty if there is nothing to say.
    pub reason: String,
    /// The remedy; empty if nothing does.
    pub remedy: String,
}

/// A method can be used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Supported {
    /// The cases not covered.
    pub except: String,
    /// The remedy where it finds rows by ids that rows may share.
    pub partial: Option<Missing>,
    /// The requirement with which it would cover more.
    pub unused: Option<Missing>,
}

impl Missing {
    pub(super) fn new(reason: &str, remedy: &str) -> Self {
        Self { reason: reason.to_owned(), remedy: remedy.to_owned() }
    }
}

impl Facts {
    /// True if the cursor begins with a time, else with an id.
    pub fn is_timed(&self) -> bool {
        self.cursor.time_kind.is_some()
    }

    /// True if the open transactions are seen; else they are taken to be open no longer than the window.
    pub fn sees_writers(&self) -> bool {
        self.writers.is_ok()
    }

    /// The time before which no open transaction began: as far as they are seen, or taken to be open for `width` at
    /// most. An instant.
    pub(super) fn watermark(&self, low: &LowWatermark, width: Option<Micros>) -> Micros {
        let window = micros_of(self.window);
        let assumed = low.clock.saturating_sub(width.map_or(window, |width| width.min(window)));
        if !self.sees_writers() {
            return assumed;
        }
        let seen = if low.has_unknown { low.known.min(assumed) } else { low.known };
        seen.saturating_sub(micros_of(self.visibility_lag))
    }

    /// The cases not covered wherever times are looked at.
    pub(super) fn of_times(&self) -> String {
        let zone = if self.cursor.is_zoned {
            ""
        } else {
            "; and, for the column has no time zone, sessions that write in other zones than the rest"
        };
        format!(
            "not covered: times that a client's own clock assigns, further back than the oldest open transaction{zone}"
        )
    }

    /// The cases not covered where rows may share a timestamp and all that tells them apart.
    pub(super) fn of_shared_cursors(&self) -> String {
        let is_covered = self.cursor.is_unique || self.is_table;
        let text = "not covered: of rows that share timestamp and id, those that come later than the others";
        if is_covered { String::new() } else { text.to_owned() }
    }

    /// The missing requirement where late rows are found by ids that rows may share.
    pub(super) fn shared_ids(&self) -> Option<Missing> {
        let is_shared = !self.is_timed() && !self.cursor.has_unique_ids;
        is_shared.then(|| {
            Missing::new(
                "not covered: rows that come later with an id that was read, for nothing in the catalog says that ids are \
                 unique",
                "a primary key or unique index of the ids alone, NOT NULL, or mode=timestamp+incrementing",
            )
        })
    }

    /// The cases not covered where writers cannot be seen.
    pub(super) fn of_unseen_writers(&self) -> String {
        format!("transactions open for longer than {} s (commit.guard.window.ms)", self.window.as_secs_f64())
    }

    /// The requirement that rows of one timestamp can be told apart: of a view or a query only the cursor tells them.
    pub(super) fn rows_told_apart(&self) -> Result<(), Missing> {
        if self.cursor.is_total || self.is_table {
            Ok(())
        } else {
            Err(Missing::new("nothing tells rows of one timestamp apart", "use mode=timestamp+incrementing"))
        }
    }
}

/// Sentences in one, the empty ones left out.
pub(super) fn joined(texts: &[&str]) -> String {
    let texts: Vec<&str> = texts.iter().copied().filter(|text| !text.is_empty()).collect();
    texts.join("; ")
}
