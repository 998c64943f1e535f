//! Late commits: rows that become visible below the cursor after it has passed them, and the methods that find them.
//! Pure: observations of the database come in, queries and the next state go out. No I/O, no clock, no configuration,
//! no SQL; `task::guard` observes, asks and reads, and the checkpoint rides in the offset.
//!
//! Glossary:
//! - *cursor*: the position of the last row that was emitted in order: a time and an id, or one of them.
//! - *late row*: a row at or below the cursor that was not visible when the cursor passed it.
//! - *low watermark*: a time (or id) below which nothing can be committed any more: no open transaction began before it.
//! - *window*: the rows from the low watermark to the cursor, the only part of a table where late rows can appear.
//! - *snapshot*: one view of the database, with the transactions that it does not show; rows tell their transaction (xid).
//! - *as-of read*: a read of the database as it was at a time in the past.
//! - *row fingerprint*: a hash of a row's place in the order of the cursor, and of its content.
//! - *set reconciliation*: what differs between two sets of rows, from a sketch (an invertible Bloom lookup table) of one.
//! - *gap*: an id between two that were read, whose row has not been seen.
//! - *method*: a way to find late rows; a line of [`METHODS`]. *Level*: what it promises. *Choice*: that of one table.
//! - *poll*: one read of a table: the page (rows after the cursor), then the late queries. *Bound*: where the page ends.
//! - *checkpoint*: the state of a method at a position, stored with the offset; a restart resumes from it.
//!
//! To add a method: a file here with its [`MethodDefinition`], and its line in [`METHODS`].

mod as_of;
mod checkpoint;
mod choice;
pub mod column_clock;
mod delay;
mod facts;
pub mod fingerprint;
mod gaps;
mod hold;
mod holding;
mod id_history;
mod leave;
mod level;
mod method;
mod off;
mod recent;
mod remembered;
mod rescan;
mod settled;
pub mod sketch;
mod snapshot;
pub mod watermark;
mod whole;
mod window;

use std::fmt;

pub use self::checkpoint::{Checkpoint, Resumed, method_names, resume};
pub use self::choice::{Choice, Configured, Refusal, Wanted, choose, refusals};
pub use self::facts::{Capability, CursorFacts, Facts, Missing, OnTimeout, Settings, Supported};
pub use self::level::Level;
pub use self::method::{
    Answer, At, Before, Bound, Holding, LateQuery, Mark, Method, Needs, Notice, Outcome, Poll, Question, ReadPlan,
    Seen, SeenView, State, ToText, Turn, is_at_or_above,
};
pub use self::settled::settled;

/// The methods, best first: the choice is the first whose requirement holds.
pub static METHODS: &[&MethodDefinition] = &[
    &whole::DEFINITION,
    &snapshot::DEFINITION,
    &as_of::DEFINITION,
    &window::DEFINITION,
    &gaps::DEFINITION,
    &hold::DEFINITION,
    &rescan::DEFINITION,
    &delay::DEFINITION,
    &off::DEFINITION,
];

/// The definition of a method: its name, its level, its requirement, and its first state.
pub struct MethodDefinition {
    /// Its name in `commit.guard`, status, `explain` and `offsets list`. Two that do the same on different databases
    /// share it.
    pub name: &'static str,
    /// The level it promises where nothing is shared.
    pub level: Level,
    /// The word its checkpoints begin with; none if it stores nothing.
    pub words: Option<Words>,
    /// The view of the database that it needs at each poll.
    pub needs: Needs,
    /// The cursors it works for.
    pub cursor: CursorNeed,
    /// True if it works for tables only, not for queries.
    pub tables_only: bool,
    /// The databases that may offer it; all where none are named.
    pub databases: &'static [&'static str],
    /// Its requirement against the facts of a table.
    pub requirement: fn(&Facts) -> Result<Supported, Missing>,
    /// The bound of a page beside open transactions.
    pub bound: fn(&Holding<'_>) -> crate::error::Result<Bound>,
    /// Its state from the text of a checkpoint, or before the first poll of a table; none if the text is not one.
    pub resume: fn(Option<&str>) -> Option<Box<dyn Method>>,
}

/// The words of a method's checkpoints; another version is another word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// The word where its times are instants. The first version held instants for wall clocks, too.
    pub instants: &'static str,
    /// The word where its times are wall clocks.
    pub walls: &'static str,
}

/// The cursors a method works for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CursorNeed {
    /// None: every pass reads everything.
    Bulk,
    /// Those that begin with a time.
    Time,
    /// Those of ids alone.
    Ids,
    /// All.
    Any,
}

impl MethodDefinition {
    /// True if late rows are looked for.
    pub fn finds_rows(&self) -> bool {
        self.needs != Needs::Nothing
    }
}

impl CursorNeed {
    /// True if a cursor that begins with a time, or one of ids, is such a one.
    pub fn is_met(self, is_timed: bool) -> bool {
        match self {
            CursorNeed::Bulk => false,
            CursorNeed::Time => is_timed,
            CursorNeed::Ids => !is_timed,
            CursorNeed::Any => true,
        }
    }
}

impl PartialEq for MethodDefinition {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for MethodDefinition {}

impl fmt::Debug for MethodDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.words.map_or("", |words| words.instants))
    }
}

/// The methods that store nothing have no state.
fn no_state(_: Option<&str>) -> Option<Box<dyn Method>> {
    None
}

#[cfg(test)]
pub(crate) mod tests;
