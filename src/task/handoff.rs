//! The messages of the poll stage to the commit stage. Each has its meaning in its kind; parts of one transaction is
//! committed together or not at all (E3).

use std::sync::Arc;

use tokio::sync::mpsc;

use super::control::OffsetOrder;
use super::stall::{Activity, Waits};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{EncodedBatch, Instant, OffsetDelta, Server, SourceOffset, SourcePartition, TableMark};
use crate::telemetry::TraceContext;

/// The identity of a table, with the source partition it is stored under.
pub(super) type MarkedTable = Arc<(SourcePartition, TableMark)>;

/// A message to the commit stage.
#[derive(Debug)]
pub(super) enum Handoff {
    /// Rows of a table.
    Step(Box<Step>),
    /// An offset without rows: a configured start, a position that was accepted.
    Offset { table: Arc<str>, delta: Box<OffsetDelta> },
    /// The identity of the server that offsets belong to; `table` is the one that was about to be polled.
    Server { table: Arc<str>, server: Server },
    /// The identity of a table.
    Table { table: Arc<str>, mark: MarkedTable },
    /// The end of a first load.
    Loaded(Box<Loaded>),
    /// The end of a backfill: the progress in this partition is forgotten.
    Backfilled { table: Arc<str>, partition: SourcePartition, why: &'static str },
    /// Offsets that an operator gives: their transaction waits for nothing else.
    Assigned(Box<Assigned>),
    /// The table rests, although the last step promised more: its transaction need not stay open.
    Rest { table: Arc<str> },
    /// The end of the rows, although the last step promised more: its transaction need not stay open.
    CaughtUp { table: Arc<str> },
}

/// The end of a table's first load: its progress is forgotten, and the table has an offset.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) table: Arc<str>,
    /// The partition of the load's progress.
    pub(super) load: SourcePartition,
    /// The way to the table's offset; none: it has one, from somebody else.
    pub(super) delta: Option<OffsetDelta>,
    /// The identity of the table, without rows of the load to know it by.
    pub(super) mark: Option<MarkedTable>,
}

/// The offsets of a table as an operator wants them, behind all that was handed on of it.
#[derive(Debug)]
pub(super) struct Assigned {
    pub(super) table: Arc<str>,
    /// The offset by its partition; none: nothing is stored any more.
    pub(super) offsets: Vec<(SourcePartition, Option<SourceOffset>)>,
    /// The order, to be answered once they are committed.
    pub(super) order: OffsetOrder,
}

impl Assigned {
    /// The offset that the table goes on from.
    pub(super) fn to(&self) -> Option<&SourceOffset> {
        self.offsets.iter().find_map(|(_, offset)| offset.as_ref())
    }

    /// True if a backfill ends with it.
    pub(super) fn ends_backfill(&self) -> bool {
        self.to().is_none() && self.offsets.iter().any(|(partition, _)| partition.is_backfill())
    }
}

impl From<Assigned> for Handoff {
    fn from(assigned: Assigned) -> Self {
        Self::Assigned(Box::new(assigned))
    }
}

/// Rows of a table, and the offset behind them.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) table: Arc<str>,
    /// The records; possibly none, where all rows were left out or only the offset has changed.
    pub(super) rows: EncodedBatch,
    /// The rows that were read and are not among the records.
    pub(super) skipped: Option<Skipped>,
    /// The way of the offset; none in `bulk` mode, which has no offset, and before the last batch of a step.
    pub(super) delta: Option<OffsetDelta>,
    /// The identity of the table, where that is to be stored.
    pub(super) mark: Option<MarkedTable>,
    /// The newest cursor time of the rows, for lag.
    pub(super) newest: Option<Instant>,
    pub(super) end: StepEnd,
    /// The trace of its poll, where polls are traced.
    pub(super) trace: Option<TraceContext>,
}

/// Rows that cannot be delivered and were left out (`errors.tolerance`, `row.too.large`).
#[derive(Debug)]
pub(super) struct Skipped {
    /// Their number.
    pub(super) rows: u64,
    /// The error of the last one.
    pub(super) reason: String,
    /// Their records for the dead letter topic, if there is one.
    pub(super) letters: Option<EncodedBatch>,
}

/// The bond between a step and the next one of its table, from the weakest to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum StepEnd {
    /// Nothing is known of what follows, and nothing waits for it: the table rests, or goes on elsewhere.
    Rest,
    /// No row follows for now.
    #[default]
    CaughtUp,
    /// More rows follow, and a transaction may end between the two.
    More,
    /// More rows of the same pass of a bulk load follow: committed together as far as the limits of a transaction
    /// allow.
    InPass,
    /// The rest of the same step follows: not committed without it, however large the transaction gets, because there is no
    /// position between the two.
    Torn,
}

impl Handoff {
    /// The table it is about.
    pub(super) fn table(&self) -> &Arc<str> {
        match self {
            Self::Step(step) => &step.table,
            Self::Assigned(assigned) => &assigned.table,
            Self::Loaded(loaded) => &loaded.table,
            Self::Offset { table, .. }
            | Self::Server { table, .. }
            | Self::Table { table, .. }
            | Self::Backfilled { table, .. }
            | Self::Rest { table }
            | Self::CaughtUp { table } => table,
        }
    }

    /// The bond to the next message about its table.
    pub(super) fn end(&self) -> StepEnd {
        match self {
            Self::Step(step) => step.end,
            // An offset or an identity is stored before rows are read.
            Self::Offset { .. } | Self::Server { .. } | Self::Table { .. } | Self::Loaded(_) => StepEnd::More,
            Self::CaughtUp { .. } | Self::Backfilled { .. } => StepEnd::CaughtUp,
            Self::Assigned(_) | Self::Rest { .. } => StepEnd::Rest,
        }
    }
}

impl From<Loaded> for Handoff {
    fn from(loaded: Loaded) -> Self {
        Self::Loaded(Box::new(loaded))
    }
}

impl From<Step> for Handoff {
    fn from(step: Step) -> Self {
        Self::Step(Box::new(step))
    }
}

impl Step {
    /// A batch of rows behind which the rest of its step follows.
    pub(super) fn torn(table: Arc<str>, rows: EncodedBatch, skipped: Option<Skipped>) -> Self {
        Self { table, rows, skipped, delta: None, mark: None, newest: None, end: StepEnd::Torn, trace: None }
    }
}

/// The way to the commit stage, one message long: the next read overlaps the present commit, and memory stays bounded.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    sender: mpsc::Sender<Handoff>,
    activity: Activity,
}

/// A place for one message.
pub(super) type Place<'o> = mpsc::Permit<'o, Handoff>;

impl Outbox {
    pub(super) fn new(sender: mpsc::Sender<Handoff>, activity: Activity) -> Self {
        Self { sender, activity }
    }

    /// A place if there is one at once.
    pub(super) fn try_place(&self) -> Option<Place<'_>> {
        self.sender.try_reserve().ok()
    }

    /// A place, waited for as long as Kafka takes.
    ///
    /// # Errors
    /// `Cancelled` when the commit stage has ended; its own error is the one that counts.
    pub(super) async fn place(&self) -> Result<Place<'_>> {
        self.activity.waits_for(Waits::Kafka);
        let place = self.sender.reserve().await.map_err(|_| closed())?;
        self.activity.waits_for(Waits::Database);
        Ok(place)
    }

    /// Hands a message on as soon as there is a place.
    ///
    /// # Errors
    /// Those of [`place`](Self::place).
    pub(super) async fn send(&self, message: impl Into<Handoff>) -> Result<()> {
        self.place().await?.send(message.into());
        Ok(())
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Cancelled, "the commit stage has ended")
}
