//! A task: some relations of a connector, one connection, one transactional producer. Two stages, joined in
//! one tokio task so that dropping it cancels both: [`poll`] reads pages and encodes them, [`commit`]
//! owns the sink and the committed offsets. Between them a channel of depth one, so the next read overlaps
//! the present commit and memory stays bounded. Nothing flows back.
//!
//! Recovery is the start path (P6): after any doubt both stages are dropped, and a new session fences, reads
//! the offsets, and goes on from them.

mod backfill;
pub mod binding;
pub mod columns;
mod commit;
mod continuity;
pub mod control;
mod deletes;
pub mod driver_types;
pub mod encoder;
pub mod facts;
mod fence;
pub mod guard;
mod handoff;
mod head;
mod headers;
pub mod load;
pub mod memory;
pub mod odd;
mod older;
mod paging;
mod partition;
mod pass;
pub mod plan_check;
mod poll;
mod polled;
mod refused;
mod rest;
pub mod samples;
mod schedule;
pub mod server;
mod skipped;
mod source_headers;
mod stall;
mod start;
mod step;
#[cfg(test)]
mod tests;
mod together;
mod tokens;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::config::spec::{TableSpec, TaskSpec};
use crate::convert::Converter;
use crate::dialect::Dialect;
use crate::dialect::sessions::Sessions;
use crate::error::{Directive, Error, ErrorKind, Result};
use crate::kafka::RecordSink;
use crate::kafka::topics::TopicTrouble;
use crate::model::{Offsets, Relation, SourceOffset, SourcePartition};
use crate::offsets::{Loaded, OffsetStore};
use crate::retry::{Backoff, RetryPolicy};
use crate::status::StatusBoard;
use crate::telemetry::ConnectorMetrics;

use self::columns::KnownColumns;
use self::control::Control;
use self::driver_types::DriverChoices;
pub use self::fence::Fence;
use self::memory::TaskMemory;
use self::plan_check::KnownPlans;
use self::refused::Refusals;
use self::samples::Samples;
use self::server::ServerGuard;

/// Makes the sink of a new session of the task of that number.
pub type SinkFactory = Arc<dyn Fn(usize) -> Result<Box<dyn RecordSink>> + Send + Sync>;

/// Makes sure a topic exists before the first record is sent to it, and says how large a record of it may be
/// ([`record_limit`](crate::kafka::limits::record_limit)). The second argument tells whether its records have keys.
pub type EnsureTopic = Arc<dyn Fn(Arc<str>, bool) -> BoxFuture<'static, Result<usize>> + Send + Sync>;

/// A question to the brokers: does a topic hold records? None if that cannot be found out.
pub type HoldsRecords = Arc<dyn Fn(Arc<str>) -> BoxFuture<'static, Option<bool>> + Send + Sync>;

/// A question to the brokers: the reason why they answer and take no records of these topics, if there is one.
pub type LookAtTopics = Arc<dyn Fn(Vec<Arc<str>>) -> BoxFuture<'static, Result<Option<TopicTrouble>>> + Send + Sync>;

/// The parts of a task.
#[derive(Clone)]
pub struct Parts {
    /// The configuration.
    pub spec: TaskSpec,
    /// Its dialect.
    pub dialect: &'static dyn Dialect,
    /// Opens sessions in its database.
    pub sessions: Sessions,
    /// Converts keys.
    pub key_converter: Arc<dyn Converter>,
    /// Converts values.
    pub value_converter: Arc<dyn Converter>,
    /// Converts headers.
    pub header_converter: Arc<dyn Converter>,
    /// The store of offsets.
    pub store: Arc<dyn OffsetStore>,
    /// Makes the sink.
    pub sink: SinkFactory,
    /// Makes topics.
    pub ensure_topic: EnsureTopic,
    /// Looks at topics while the brokers do not take what they are sent.
    pub look_at_topics: LookAtTopics,
    /// The question whether a topic holds records.
    pub holds_records: HoldsRecords,
    /// The board for the status.
    pub board: StatusBoard,
    /// The metrics.
    pub metrics: ConnectorMetrics,
    /// Stop when every relation has nothing newer than the start of the run.
    pub once: bool,
    /// The task's number.
    pub task: usize,
    /// Opens when every task of the connector has fenced.
    pub fence: Fence,
    /// The server that the connector reads.
    pub server: ServerGuard,
    /// The columns its tables have had in this run.
    pub columns: KnownColumns,
    /// The forms in which they deliver columns that JDBC drivers deliver differently.
    pub driver_choices: DriverChoices,
    /// The tables whose plan was good at the start.
    pub plans: KnownPlans,
    /// The memory it may use.
    pub memory: TaskMemory,
    /// The wishes of an operator about its tables.
    pub control: Control,
    /// The last records of its tables.
    pub samples: Samples,
}

impl Parts {
    /// The configuration of a table as it is wanted by now.
    fn table_spec(&self, relation: &Relation) -> TableSpec {
        self.control.table_spec(relation).unwrap_or_else(|| self.spec.for_table(relation))
    }

    /// The converters of records.
    fn converters(&self) -> binding::Converters<'_> {
        binding::Converters {
            keys: &*self.key_converter,
            values: &*self.value_converter,
            headers: &*self.header_converter,
        }
    }
}

/// The pause between a session that failed and the next one.
const SESSION_RETRY: RetryPolicy =
    RetryPolicy { attempts: None, patience: None, first: Duration::from_millis(100), longest: Duration::from_secs(15) };

/// Runs a task until `stop`, until everything is read (`once`), or until it has to give up.
/// `relations` is the task's share of the tables and may change while it runs.
///
/// On cancel: the open transaction is committed and the function returns. On error: it is aborted.
///
/// # Errors
/// What only an operator can mend: fenced, refused, every relation failed.
pub async fn run(parts: Parts, relations: watch::Receiver<Vec<Relation>>, stop: CancellationToken) -> Result<()> {
    let (mut backoff, refusals) = (Backoff::default(), Refusals::default());
    // With `once` the retries end.
    let policy = RetryPolicy { patience: parts.spec.polling().retry.patience, ..SESSION_RETRY };
    loop {
        let error = match session(&parts, relations.clone(), &stop, (&mut backoff, &refusals)).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if error.kind().directive() == Directive::Fail {
            return Err(error);
        }
        if stop.is_cancelled() {
            // Dropping the sink aborts the open transaction; the next start reads its rows again.
            tracing::warn!(error = %error.report(), "stopped with an error; uncommitted rows are read again at the next start");
            return Ok(());
        }
        let Some(pause) = backoff.next(&policy) else { return Err(error) };
        tracing::warn!(error = %error.report(), pause_ms = pause.as_millis() as u64, "starting again from the committed offsets");
        parts.metrics.error(error.kind());
        match error.kind() {
            ErrorKind::OutcomeUnknown => parts.metrics.outcome_unknown(),
            ErrorKind::TransactionAborted => parts.metrics.aborted(),
            _ => {}
        }
        parts.board.restarting(&error);
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// One life of both stages, from fencing to the first error.
async fn session(
    parts: &Parts,
    relations: watch::Receiver<Vec<Relation>>,
    stop: &CancellationToken,
    (backoff, refusals): (&mut Backoff, &Refusals),
) -> Result<()> {
    let (sender, receiver) = mpsc::channel(1);
    let mut poll = poll::PollStage::new(parts, sender, refusals);
    let started = CancellationToken::new();
    let start = async {
        let _started = started.clone().drop_guard();
        let mut sink = (parts.sink)(parts.task)?;
        // E2: fence first, then read the offsets; an older owner can no longer move them.
        let stored = parts.fence.enter(parts, &mut *sink).await?;
        Ok::<_, Error>((sink, stored))
    };
    // Fencing takes time; the database and the registry can be asked meanwhile.
    let wanted = relations.borrow().clone();
    let warm_up = async {
        poll.warm_up(&wanted).await;
        // Fencing may take for ever, if brokers do not answer.
        tokio::select! {
            () = started.cancelled() => {}
            () = poll.lend() => {}
        }
    };
    let both = async { tokio::join!(start, warm_up) };
    let (sink, stored) = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        (started, ()) = both => started?,
    };
    parts.board.running();
    let offsets = Offsets::new(committed(&stored));
    poll.start_from(stored);
    let commit = commit::CommitStage::new(parts, sink, offsets, backoff, refusals);
    // When one stage fails the other is dropped with it; when polling ends by itself the commit stage
    // finishes what is in the channel.
    tokio::try_join!(commit.run(receiver), poll.run(relations, stop))?;
    Ok(())
}

fn committed(stored: &Loaded) -> HashMap<SourcePartition, SourceOffset> {
    stored.offsets.iter().map(|(partition, stored)| (partition.clone(), stored.offset.clone())).collect()
}

/// Every relation has failed.
fn nothing_left(first: Error) -> Error {
    if first.kind().directive() == Directive::Fail {
        return first;
    }
    let advice = first.advice().to_owned();
    Error::new(ErrorKind::GivenUp, "every table has failed").advise(advice).caused_by(first)
}
