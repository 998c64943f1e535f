//! The commit stage: sole owner of the sink and of progress (E1, P5). It opens a transaction at the first
//! batch, takes what follows while more is coming, sends the offsets last and commits. While a relation
//! catches up the transaction grows, because a commit costs the brokers the same for one row as for a
//! million; as soon as nothing more is ready it commits. No transaction stays open while idle (E8).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant as Clock;

use super::Parts;
use crate::error::{Error, ErrorKind, Result};
use crate::kafka::RecordSink;
use crate::model::{EncodedBatch, KafkaRecord, OffsetDelta, Offsets, SourcePartition};
use crate::retry::Backoff;
use crate::status::Committed;

/// When a growing transaction is committed although more is coming. Consumers see nothing of it
/// before, and the brokers hold back other transactions' readers, so a second is the most.
const MAX_AGE: Duration = Duration::from_secs(1);
const MAX_ROWS: usize = 1_000_000;
const MAX_BYTES: usize = 128 * 1024 * 1024;

pub(super) struct CommitStage<'a> {
    parts: &'a Parts,
    sink: Box<dyn RecordSink>,
    offsets: Offsets,
    backoff: &'a mut Backoff,
}

/// What the open transaction holds so far.
struct Open {
    since: Clock,
    rows: usize,
    bytes: usize,
    deltas: HashMap<SourcePartition, OffsetDelta>,
    server: Option<Arc<str>>,
    relations: HashMap<String, Share>,
    /// The last batch of some relation was not its last.
    more_coming: bool,
    /// The last batch was a part of a step, whose delta is still to come.
    is_torn: bool,
}

#[derive(Default)]
struct Share {
    committed: Committed,
    exhausted: bool,
}

impl<'a> CommitStage<'a> {
    pub(super) fn new(parts: &'a Parts, sink: Box<dyn RecordSink>, offsets: Offsets, backoff: &'a mut Backoff) -> Self {
        Self { parts, sink, offsets, backoff }
    }

    /// Commits what arrives until the channel is closed and empty.
    pub(super) async fn run(mut self, mut batches: mpsc::Receiver<EncodedBatch>) -> Result<()> {
        while let Some(first) = batches.recv().await {
            if first.is_empty() && first.delta.is_none() && first.server.is_none() {
                // Only the end of a promise; an idle poll opens no transaction.
                continue;
            }
            self.transaction(first, &mut batches).await?;
            self.backoff.reset();
        }
        Ok(())
    }

    async fn transaction(&mut self, first: EncodedBatch, batches: &mut mpsc::Receiver<EncodedBatch>) -> Result<()> {
        self.sink.begin().await?;
        let mut open = Open::new();
        self.absorb(first, &mut open).await?;
        while !open.is_full() {
            let next = match batches.try_recv() {
                Ok(batch) => Some(batch),
                Err(mpsc::error::TryRecvError::Empty) if open.is_torn => batches.recv().await,
                Err(mpsc::error::TryRecvError::Empty) if open.more_coming => {
                    let left = MAX_AGE.saturating_sub(open.since.elapsed());
                    tokio::time::timeout(left, batches.recv()).await.ok().flatten()
                }
                Err(_) => None,
            };
            let Some(batch) = next else { break };
            self.absorb(batch, &mut open).await?;
        }
        if open.is_torn {
            // E3: rows without their delta would come again. The drop of the sink aborts.
            return Err(Error::new(ErrorKind::TransactionAborted, "polling ended in the middle of a step"));
        }
        self.commit(open).await
    }

    async fn absorb(&mut self, batch: EncodedBatch, open: &mut Open) -> Result<()> {
        open.add(&batch)?;
        self.sink.send(batch).await
    }

    async fn commit(&mut self, open: Open) -> Result<()> {
        // E3: the offsets ride in the same transaction, last.
        let (store, connector) = (&self.parts.store, &self.parts.spec.name);
        let staged = |delta| [Some(store.stage(connector, delta)), store.mirror(connector, delta)];
        let mut offsets: Vec<KafkaRecord> =
            open.server.iter().flat_map(|identity| store.stage_server(connector, identity)).collect();
        offsets.extend(open.deltas.values().flat_map(staged).flatten());
        self.sink.commit(offsets).await?;
        // E4: only a commit that said so moves the position.
        for delta in open.deltas.into_values() {
            self.offsets.try_apply(delta)?;
        }
        self.parts.metrics.committed(open.since.elapsed());
        for (relation, share) in open.relations {
            self.parts.metrics.table(&relation).committed(share.committed.rows, share.committed.bytes);
            let board = self.parts.board.table(&relation);
            board.committed(share.committed);
            if share.exhausted {
                board.caught_up();
            }
        }
        Ok(())
    }
}

impl Open {
    fn new() -> Self {
        Self {
            since: Clock::now(),
            rows: 0,
            bytes: 0,
            deltas: HashMap::new(),
            server: None,
            relations: HashMap::new(),
            more_coming: false,
            is_torn: false,
        }
    }

    fn is_full(&self) -> bool {
        if self.is_torn {
            return false;
        }
        self.rows >= MAX_ROWS || self.bytes >= MAX_BYTES || self.since.elapsed() >= MAX_AGE
    }

    fn add(&mut self, batch: &EncodedBatch) -> Result<()> {
        self.rows += batch.len();
        self.bytes += batch.bytes();
        let share = self.relations.entry(batch.relation.to_string()).or_default();
        share.committed.rows += batch.len() as u64;
        share.committed.bytes += batch.bytes() as u64;
        share.committed.newest = share.committed.newest.max(batch.newest);
        share.exhausted = batch.exhausted;
        if let Some(identity) = &batch.server {
            self.server = Some(Arc::clone(identity));
        }
        if let Some(delta) = &batch.delta {
            share.committed.position = Some(delta.to.to_string());
            chain(&mut self.deltas, delta.clone())?;
        }
        self.is_torn = batch.is_part;
        self.more_coming = self.relations.values().any(|share| !share.exhausted);
        Ok(())
    }
}

/// Joins a delta to those before it in the transaction. E5 holds inside a transaction too: each begins
/// where the one before ended.
fn chain(deltas: &mut HashMap<SourcePartition, OffsetDelta>, delta: OffsetDelta) -> Result<()> {
    match deltas.get_mut(&delta.partition) {
        None => {
            deltas.insert(delta.partition.clone(), delta);
        }
        Some(open) => {
            let mut within = Offsets::new(HashMap::from([(open.partition.clone(), open.to.clone())]));
            let to = delta.to.clone();
            within.try_apply(delta)?;
            open.to = to;
        }
    }
    Ok(())
}
