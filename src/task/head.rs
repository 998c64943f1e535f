//! The read head of a table: how far it has been read, which is not how far it has been committed.

use std::sync::Arc;

use crate::model::{GuardCheckpoint, Position, SourceOffset, SourcePartition, TableMark};

/// The read head of a table: how far it has been read.
#[derive(Debug, Clone)]
pub(super) struct ReadHead {
    /// The source partition its offsets are stored under: its own, or the one they were found under.
    pub(super) partition: SourcePartition,
    /// The offset the next delta starts from; none: nothing is stored.
    pub(super) offset: Option<SourceOffset>,
    /// The position behind which is read; none: from the beginning.
    pub(super) position: Option<Position>,
    /// True if the table is read from its beginning although there is an offset, for it is another one now. Kafka
    /// Connect's fields of that offset say nothing of it.
    pub(super) begins_anew: bool,
    /// True if the position belongs to the columns that are bound.
    pub(super) is_found: bool,
    /// The checkpoint of the late-commit guard that was handed on with the offset; none: that which is stored in it.
    pub(super) guard: Option<Arc<dyn GuardCheckpoint>>,
    /// The offset that the table has once it is loaded, during a first load in the order of the primary key: partition,
    /// offset and position are those of the load then.
    pub(super) load: Option<SourceOffset>,
}

impl ReadHead {
    /// A head at the beginning of a table, before anything is known of its offset.
    pub(super) fn new(partition: SourcePartition) -> Self {
        Self { partition, offset: None, position: None, begins_anew: false, is_found: false, guard: None, load: None }
    }

    /// The offset whose fields mean the table that is read.
    pub(super) fn offset_of_table(&self) -> Option<&SourceOffset> {
        self.offset.as_ref().filter(|_| !self.begins_anew)
    }

    /// Goes back to the beginning: the table is another one.
    pub(super) fn begin_anew(&mut self) {
        (self.position, self.begins_anew) = (None, true);
    }
}

/// The read head of a table that is not polled at the moment, or bound anew, and the continuity of the table.
#[derive(Debug, Clone)]
pub(super) struct Parked {
    pub(super) head: ReadHead,
    pub(super) mark: Option<TableMark>,
}

/// A table of which nothing is stored, before it is decided in which order it is loaded.
pub(super) struct Beginning {
    /// Its rows, by the database's estimate.
    pub(super) rows: Option<u64>,
}
