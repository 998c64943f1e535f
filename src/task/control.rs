//! The control of a running connector by an operator, table by table: which tables rest, which are bound anew, the settings
//! they have by now, and changes of their offsets. The tasks of one run share it; it outlives their sessions and is
//! forgotten with the run. Whoever asks is not waited for, but for a change of an offset, which is answered once it is
//! committed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::sync::{oneshot, watch};

use crate::config::spec::{TableSpec, TaskSpec};
use crate::error::Result;
use crate::lock::locked;
use crate::model::{Backfill, OffsetMove, Relation, SourceOffset};

/// The answer to a change of an offset: the offset that is committed; none is the beginning.
pub type Moved = Result<Option<SourceOffset>>;

/// The control of one run of a connector. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Control(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    wishes: watch::Sender<Arc<Wishes>>,
    moves: Mutex<Moves>,
}

/// The wanted state of the tables.
#[derive(Debug, Clone, Default)]
pub(super) struct Wishes {
    paused: BTreeSet<String>,
    /// The number of times that a table was to be bound anew.
    restarts: BTreeMap<String, u64>,
    /// The configuration that the tables are to have, where it is another one than at the start.
    pub(super) spec: Option<TaskSpec>,
}

/// A change of a table's progress.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// Another offset.
    Offset(OffsetMove),
    /// A backfill begins; none: the one there is ends.
    Backfill(Option<Backfill>),
}

/// The changes of offsets, by table.
#[derive(Debug, Default)]
struct Moves {
    /// Those that no task has taken yet.
    waiting: BTreeMap<String, OffsetOrder>,
    /// The tables with a change that is not committed yet.
    claimed: BTreeSet<String>,
}

/// A change of a table's offset, and the one who waits for it.
#[derive(Debug)]
pub(super) struct OffsetOrder {
    pub(super) change: Change,
    answer: oneshot::Sender<Moved>,
    claim: Claim,
}

/// The claim to the offset of a table, until it is dropped.
struct Claim {
    control: Control,
    table: String,
}

/// Without the control, in which it may stand.
impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Claim").field(&self.table).finish()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        locked(&self.control.0.moves).claimed.remove(&self.table);
    }
}

impl OffsetOrder {
    pub(super) fn table(&self) -> &str {
        &self.claim.table
    }

    /// Answers it. Another change of the table's offset may come from now on.
    pub(super) fn answer(self, moved: Moved) {
        drop(self.claim);
        // Who has asked may be gone.
        let _ = self.answer.send(moved);
    }
}

impl Wishes {
    pub(super) fn is_paused(&self, table: &str) -> bool {
        self.paused.contains(table)
    }

    pub(super) fn restarts(&self, table: &str) -> u64 {
        self.restarts.get(table).copied().unwrap_or_default()
    }
}

impl Control {
    /// A table rests from its present step on, or goes on.
    pub fn pause(&self, table: &str, paused: bool) {
        self.wish(|wishes| {
            if paused {
                wishes.paused.insert(table.to_owned());
            } else {
                wishes.paused.remove(table);
            }
        });
    }

    /// Makes a table be bound anew and tried at once, failed or not. One that rests goes on to rest.
    pub fn restart(&self, table: &str) {
        self.wish(|wishes| *wishes.restarts.entry(table.to_owned()).or_default() += 1);
    }

    /// Gives the tables the settings they have by another configuration of the connector. Those that are touched by the
    /// difference are bound anew.
    pub fn configure(&self, spec: TaskSpec) {
        self.wish(|wishes| wishes.spec = Some(spec));
    }

    /// The configuration of its tables, if it is another one than at the start.
    pub fn configured(&self) -> Option<TaskSpec> {
        self.0.wishes.borrow().spec.clone()
    }

    /// Asks for a change of a table's offset; none if one is under way. The channel is closed without an answer if the
    /// session of the task ends meanwhile: whether it was committed is not known then.
    pub fn move_offset(&self, table: &str, change: OffsetMove) -> Option<oneshot::Receiver<Moved>> {
        self.change(table, Change::Offset(change))
    }

    /// Asks for a backfill of a table, or for the end of the one there is, as [`Control::move_offset`] does for an offset.
    /// Answered is the progress that is stored.
    pub fn backfill(&self, table: &str, request: Option<Backfill>) -> Option<oneshot::Receiver<Moved>> {
        self.change(table, Change::Backfill(request))
    }

    fn change(&self, table: &str, change: Change) -> Option<oneshot::Receiver<Moved>> {
        let (answer, answered) = oneshot::channel();
        {
            let mut moves = locked(&self.0.moves);
            if !moves.claimed.insert(table.to_owned()) {
                return None;
            }
            let claim = Claim { control: self.clone(), table: table.to_owned() };
            moves.waiting.insert(table.to_owned(), OffsetOrder { change, answer, claim });
        }
        self.wish(|_| {});
        Some(answered)
    }

    /// Takes a change back; false if a task has it already.
    pub fn withdraw(&self, table: &str) -> bool {
        let order = locked(&self.0.moves).waiting.remove(table);
        order.is_some()
    }

    /// The specification of a table as it is wanted; none: as at the start.
    pub(super) fn table_spec(&self, relation: &Relation) -> Option<TableSpec> {
        self.0.wishes.borrow().spec.as_ref().map(|spec| spec.for_table(relation))
    }

    pub(super) fn restarts(&self, table: &str) -> u64 {
        self.0.wishes.borrow().restarts(table)
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<Wishes>> {
        self.0.wishes.subscribe()
    }

    /// Takes the changes of offsets of some tables. One that nobody waits for any more is dropped.
    pub(super) fn take_moves(&self, is_own: impl Fn(&str) -> bool) -> Vec<OffsetOrder> {
        let taken: Vec<OffsetOrder> = {
            let mut moves = locked(&self.0.moves);
            let names: Vec<String> = moves.waiting.keys().filter(|table| is_own(table)).cloned().collect();
            names.iter().filter_map(|table| moves.waiting.remove(table)).collect()
        };
        // Dropped outside of the lock, which the claim takes.
        taken.into_iter().filter(|order| !order.answer.is_closed()).collect()
    }

    fn wish(&self, change: impl FnOnce(&mut Wishes)) {
        self.0.wishes.send_modify(|wishes| change(Arc::make_mut(wishes)));
    }
}
