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
use super::stall::{commit_stalls, watched};
use crate::error::Result;
use crate::kafka::RecordSink;
use crate::model::{EncodedBatch, Joins, KafkaRecord, OffsetDelta, Offsets, SourcePartition};
use crate::retry::Backoff;
use crate::status::{Committed, Stall};

/// When a growing transaction is committed although more is coming. Consumers see nothing of it
/// before, and the brokers hold back other transactions' readers, so a second is the most.
const MAX_AGE: Duration = Duration::from_secs(1);
/// The same for a pass of a bulk load, whose consumers want to see all of it or nothing.
const MAX_PASS: Duration = Duration::from_secs(30);
const MAX_ROWS: usize = 1_000_000;
const MAX_BYTES: usize = 128 * 1024 * 1024;

pub(super) struct CommitStage<'a> {
    parts: &'a Parts,
    sink: Box<dyn RecordSink>,
    offsets: Offsets,
    backoff: &'a mut Backoff,
    /// When a pass of a bulk load is committed although its end has not come.
    longest_pass: Duration,
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
    /// The strongest bond of any relation to its next batch.
    joins: Joins,
}

#[derive(Default)]
struct Share {
    committed: Committed,
    exhausted: bool,
    joins: Joins,
}

impl<'a> CommitStage<'a> {
    pub(super) fn new(parts: &'a Parts, sink: Box<dyn RecordSink>, offsets: Offsets, backoff: &'a mut Backoff) -> Self {
        // Half of what the brokers allow leaves time for the commit.
        let timeout = parts.spec.kafka.producer.get("transaction.timeout.ms").and_then(|value| value.parse().ok());
        let longest_pass = timeout.map_or(MAX_PASS, |millis| MAX_PASS.min(Duration::from_millis(millis) / 2));
        Self { parts, sink, offsets, backoff, longest_pass }
    }

    /// Commits what arrives until the channel is closed and empty.
    pub(super) async fn run(mut self, mut batches: mpsc::Receiver<EncodedBatch>) -> Result<()> {
        while let Some(first) = batches.recv().await {
            if first.is_empty() && first.delta.is_none() && first.server.is_none() && first.skipped.is_none() {
                // Only the end of a promise; an idle poll opens no transaction.
                continue;
            }
            self.transaction(first, &mut batches).await?;
            self.backoff.reset();
            // Everything is committed and known to be: the next session begins where this one ends.
            if let Some(spent) = self.sink.spent() {
                return Err(spent);
            }
        }
        Ok(())
    }

    async fn transaction(&mut self, first: EncodedBatch, batches: &mut mpsc::Receiver<EncodedBatch>) -> Result<()> {
        let mut open = Open::new();
        watched(self.sink.begin(), || stalls(self.parts, [&*first.relation])).await?;
        self.absorb(first, &mut open).await?;
        while !self.is_full(&open) {
            let next = match batches.try_recv() {
                Ok(batch) => Some(batch),
                // What must not be committed without the next batch waits for it, or for the end of the stage.
                Err(mpsc::error::TryRecvError::Empty) if open.joins == Joins::Must => batches.recv().await,
                Err(mpsc::error::TryRecvError::Empty) if open.more_coming => {
                    let left = self.longest(&open).saturating_sub(open.since.elapsed());
                    tokio::time::timeout(left, batches.recv()).await.ok().flatten()
                }
                Err(_) => None,
            };
            let Some(batch) = next else { break };
            self.absorb(batch, &mut open).await?;
        }
        if open.joins == Joins::Must {
            // E3: rows without their delta would come again. The rest does not come any more.
            tracing::info!("polling ended in the middle of a step, none of its rows is committed");
            return self.sink.abort().await;
        }
        self.commit(open).await
    }

    fn is_full(&self, open: &Open) -> bool {
        match open.joins {
            Joins::Must => false,
            _ => open.rows >= MAX_ROWS || open.bytes >= MAX_BYTES || open.since.elapsed() >= self.longest(open),
        }
    }

    /// How old a transaction may get while more is coming.
    fn longest(&self, open: &Open) -> Duration {
        if open.joins == Joins::Should { self.longest_pass } else { MAX_AGE }
    }

    async fn absorb(&mut self, batch: EncodedBatch, open: &mut Open) -> Result<()> {
        open.add(&batch)?;
        watched(self.sink.send(batch), || stalls(self.parts, open.relations.keys().map(String::as_str))).await
    }

    async fn commit(&mut self, open: Open) -> Result<()> {
        // E3: the offsets ride in the same transaction, last.
        let (store, connector) = (&self.parts.store, &self.parts.spec.name);
        let staged = |delta| [Some(store.stage(connector, delta)), store.mirror(connector, delta)];
        let mut offsets: Vec<KafkaRecord> =
            open.server.iter().flat_map(|identity| store.stage_server(connector, identity)).collect();
        offsets.extend(open.deltas.values().flat_map(staged).flatten());
        let relations = open.relations.keys().map(String::as_str);
        watched(self.sink.commit(offsets), || stalls(self.parts, relations.clone())).await?;
        // E4: only a commit that said so moves the position.
        for delta in open.deltas.into_values() {
            self.offsets.try_apply(delta)?;
        }
        self.parts.metrics.committed(open.since.elapsed());
        for (relation, share) in open.relations {
            let metrics = self.parts.metrics.table(&relation);
            metrics.committed(share.committed.rows, share.committed.bytes);
            metrics.skipped(share.committed.skipped);
            let board = self.parts.board.table(&relation);
            board.committed(share.committed);
            if share.exhausted {
                board.caught_up();
            }
        }
        Ok(())
    }
}

fn stalls<'n>(parts: &Parts, relations: impl IntoIterator<Item = &'n str>) -> Vec<Stall> {
    let tables: Vec<_> = relations.into_iter().map(|relation| parts.board.table(relation)).collect();
    commit_stalls(&tables)
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
            joins: Joins::Free,
        }
    }

    fn add(&mut self, batch: &EncodedBatch) -> Result<()> {
        self.rows += batch.len();
        self.bytes += batch.bytes();
        let share = self.relations.entry(batch.relation.to_string()).or_default();
        share.committed.rows += batch.len() as u64;
        share.committed.bytes += batch.bytes() as u64;
        share.committed.newest = share.committed.newest.max(batch.newest);
        share.exhausted = batch.exhausted;
        share.joins = batch.joins;
        if let Some(skipped) = &batch.skipped {
            share.committed.skipped += skipped.rows;
            share.committed.skip_reason = Some(skipped.reason.clone());
            self.bytes += skipped.letters.as_ref().map_or(0, EncodedBatch::bytes);
        }
        if let Some(identity) = &batch.server {
            self.server = Some(Arc::clone(identity));
        }
        if let Some(delta) = &batch.delta {
            share.committed.position = Some(delta.to.to_string());
            chain(&mut self.deltas, delta.clone())?;
        }
        self.more_coming = self.relations.values().any(|share| !share.exhausted);
        self.joins = self.relations.values().map(|share| share.joins).max().unwrap_or_default();
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
