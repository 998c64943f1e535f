//! Late commits: rows at or below the cursor that become visible after it has passed them. One pure state machine per
//! way to find them: observations of the database in, what to read and the next state out. No I/O, no clock, no
//! configuration; the dialects supply the observations, `task` runs the queries, the state rides in the offset.
//!
//! The words: a *late row* is at or below the cursor and was not visible when the cursor was read. The *window* is
//! the part of the table, from the *low edge* to the cursor, where late rows can appear.

use std::fmt;

pub mod clock;
pub mod edge;
pub mod gaps;
pub mod history;
pub mod prints;
pub mod sketch;
pub mod snapshot;
#[cfg(test)]
mod tests;
pub mod window;

/// What is promised about rows that commit late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Neither lost nor repeated.
    Exact,
    /// Neither lost nor repeated, but for rows of an id that was read before they came: those are lost, as in the reference.
    Partial,
    /// Neither lost nor repeated, but rows wait until the transactions that are open have ended.
    Hold,
    /// Not lost, within a fixed time; a restart may repeat some.
    Rescan,
    /// Not lost if they come within a fixed delay.
    Delay,
    /// Lost, as in the reference.
    Off,
}

/// How late rows are dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Every pass reads everything: there are none.
    Whole,
    /// They are found by their transactions: [`snapshot`].
    Snapshot,
    /// They are found by reading the past: [`history`].
    History,
    /// They are those that were not seen since the oldest open writer began: [`window`].
    Window,
    /// They are those whose ids were passed over: [`gaps`].
    Gaps,
    /// No row is read that an open transaction may still precede: [`window`].
    Hold,
    /// They are those that were not seen for a fixed time: [`window`].
    Rescan,
    /// No row is read before it has reached an age.
    Delay,
    /// Not at all.
    Off,
}

impl Way {
    /// What it promises.
    pub fn level(self) -> Level {
        match self {
            Way::Whole | Way::Snapshot | Way::History | Way::Window | Way::Gaps => Level::Exact,
            Way::Hold => Level::Hold,
            Way::Rescan => Level::Rescan,
            Way::Delay => Level::Delay,
            Way::Off => Level::Off,
        }
    }

    /// The word used in configuration, status and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Way::Whole => "whole",
            Way::Snapshot | Way::History => "snapshot",
            Way::Window => "window",
            Way::Gaps => "gaps",
            Way::Hold => "hold",
            Way::Rescan => "rescan",
            Way::Delay => "delay",
            Way::Off => "off",
        }
    }
}

impl Level {
    /// The word used in status, metrics and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Exact => "exact",
            Level::Partial => "partial",
            Level::Hold => "hold",
            Level::Rescan => "rescan",
            Level::Delay => "delay",
            Level::Off => "off",
        }
    }
}

/// What is promised for one relation, and why not more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How.
    pub way: Way,
    /// It is done by ids that rows may share.
    pub is_partial: bool,
    /// What is not covered.
    pub uncovered: String,
    /// What would raise the level; none where nothing is known to, or it is at its height.
    pub raise: Option<String>,
}

impl Verdict {
    /// What it promises.
    pub fn level(&self) -> Level {
        match self.way.level() {
            Level::Exact if self.is_partial => Level::Partial,
            level => level,
        }
    }
}

/// `exact (snapshot): ...; to raise it: ...`.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (level, way) = (self.level().as_str(), self.way.as_str());
        if level == way {
            write!(f, "{level}: ")?
        } else {
            write!(f, "{level} ({way}): ")?
        }
        f.write_str(&self.uncovered)?;
        self.raise.iter().try_for_each(|raise| write!(f, "; to raise it: {raise}"))
    }
}
