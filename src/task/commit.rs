//! The commit stage: sole owner of the sink and of progress (E1, P5). It opens a transaction at the first
//! batch, takes what follows while more is coming, sends the offsets last and commits. While a relation
//! catches up the transaction grows, because a commit costs the brokers the same for one row as for a
//! million; as soon as nothing more is ready it commits. No transaction stays open while idle (E8).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant as Clock;

use super::Parts;
use super::refused::Refusals;
use super::stall::{commit_stalls, watched};
use crate::error::{Error, ErrorKind, Result};
use crate::kafka::RecordSink;
use crate::kafka::topics::TopicTrouble;
use crate::model::{EncodedBatch, Joins, KafkaRecord, OffsetDelta, Offsets, Server, SourcePartition, TableMark};
use crate::retry::Backoff;
use crate::status::{Committed, Stall};

/// When a growing transaction is committed although more is coming. Consumers see nothing of it
/// before, and the brokers hold back other transactions' readers, so a second is the most.
const MAX_AGE: Duration = Duration::from_secs(1);
/// The same for a pass of a bulk load, whose consumers want to see all of it or nothing.
const MAX_PASS: Duration = Duration::from_secs(30);
/// Brokers that need longer are looked at, and their topics; so often.
const LOOK: Duration = Duration::from_secs(2);
const MAX_ROWS: usize = 1_000_000;
const MAX_BYTES: usize = 128 * 1024 * 1024;

pub(super) struct CommitStage<'a> {
    parts: &'a Parts,
    sink: Box<dyn RecordSink>,
    offsets: Offsets,
    backoff: &'a mut Backoff,
    refusals: &'a Refusals,
    /// The tables of the open transaction, with the topics of their records.
    carried: Vec<(String, String)>,
    /// When a pass of a bulk load is committed although its end has not come.
    longest_pass: Duration,
}

/// What the open transaction holds so far.
struct Open {
    since: Clock,
    rows: usize,
    bytes: usize,
    deltas: HashMap<SourcePartition, OffsetDelta>,
    server: Option<Arc<Server>>,
    tables: HashMap<SourcePartition, Arc<(SourcePartition, TableMark)>>,
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
    pub(super) fn new(
        parts: &'a Parts,
        sink: Box<dyn RecordSink>,
        offsets: Offsets,
        backoff: &'a mut Backoff,
        refusals: &'a Refusals,
    ) -> Self {
        // Half of what the brokers allow leaves time for the commit.
        let timeout = parts.spec.kafka.producer.get("transaction.timeout.ms").and_then(|value| value.parse().ok());
        let longest_pass = timeout.map_or(MAX_PASS, |millis| MAX_PASS.min(Duration::from_millis(millis) / 2));
        Self { parts, sink, offsets, backoff, refusals, carried: Vec::new(), longest_pass }
    }

    /// Commits what arrives until the channel is closed and empty.
    pub(super) async fn run(mut self, mut batches: mpsc::Receiver<EncodedBatch>) -> Result<()> {
        while let Some(first) = batches.recv().await {
            if first.is_empty() && first.delta.is_none() && first.memos.is_empty() && first.skipped.is_none() {
                // Only the end of a promise; an idle poll opens no transaction.
                continue;
            }
            self.carried.clear();
            let outcome = self.transaction(first, &mut batches).await;
            let first_pause = self.parts.spec.polling.table_interval;
            outcome.map_err(|error| self.refusals.judge(error, &self.carried, first_pause))?;
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
        let relation = Arc::clone(&first.relation);
        watched(self.sink.begin(), || stalls(self.parts, [&*relation], &Told::default())).await?;
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
            _ if self.refusals.one_at_a_time() => true,
            _ => open.rows >= MAX_ROWS || open.bytes >= MAX_BYTES || open.since.elapsed() >= self.longest(open),
        }
    }

    /// How old a transaction may get while more is coming.
    fn longest(&self, open: &Open) -> Duration {
        if open.joins == Joins::Should { self.longest_pass } else { MAX_AGE }
    }

    async fn absorb(&mut self, batch: EncodedBatch, open: &mut Open) -> Result<()> {
        open.add(&batch)?;
        let letters = batch.skipped.as_ref().and_then(|skipped| skipped.letters.as_ref());
        for topic in [Some(&batch.topic), letters.map(|letters| &letters.topic)].into_iter().flatten() {
            let pair = (batch.relation.to_string(), topic.to_string());
            if !topic.is_empty() && !self.carried.contains(&pair) {
                self.carried.push(pair);
            }
        }
        let send = self.sink.send(batch);
        taken_by_brokers(self.parts, &self.carried, send).await
    }

    async fn commit(&mut self, open: Open) -> Result<()> {
        // E3: the offsets ride in the same transaction, last.
        let (store, connector) = (&self.parts.store, &self.parts.spec.name);
        let staged = |delta| [Some(store.stage(connector, delta)), store.mirror(connector, delta)];
        let mut offsets: Vec<KafkaRecord> =
            open.server.iter().flat_map(|server| store.stage_server(connector, server)).collect();
        offsets.extend(open.tables.values().map(|table| store.stage_table(connector, &table.0, &table.1)));
        offsets.extend(open.deltas.values().flat_map(staged).flatten());
        let commit = self.sink.commit(offsets);
        taken_by_brokers(self.parts, &self.carried, commit).await?;
        self.refusals.taken(open.relations.keys());
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

/// What the brokers were found to say of a topic.
type Told = Mutex<Option<(String, String)>>;

/// Waits until the brokers have taken something; while that takes long it looks whether they can, at the topics of
/// `carried` and at the offsets topic.
///
/// # Errors
/// Those of `work`; `TransactionAborted` if a topic is gone, `Offsets` if that of the offsets is.
async fn taken_by_brokers<T>(
    parts: &Parts,
    carried: &[(String, String)],
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let told = Told::default();
    let tables = || carried.iter().map(|(table, _)| table.as_str());
    let work = watched(work, || stalls(parts, tables(), &told));
    tokio::select! {
        biased;
        outcome = work => outcome,
        error = topics_gone(parts, carried, &told) => Err(error),
    }
}

/// Looks at topics until one is gone; notes what else is wrong with them.
async fn topics_gone(parts: &Parts, carried: &[(String, String)], told: &Told) -> Error {
    let offsets: Arc<str> = parts.spec.offsets.topic.as_str().into();
    let mut topics: Vec<Arc<str>> = carried.iter().map(|(_, topic)| topic.as_str().into()).collect();
    topics.push(Arc::clone(&offsets));
    topics.sort();
    topics.dedup();
    let mut missing = None;
    loop {
        tokio::time::sleep(LOOK).await;
        let found = (parts.look_at_topics)(topics.clone()).await;
        let gone = match found {
            Ok(Some(TopicTrouble::Gone(topic))) => Some(topic),
            Ok(Some(TopicTrouble::Held(error))) => {
                let words = (error.report(), error.advice().to_owned());
                *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
                None
            }
            // Who does not answer is spoken of by the stall.
            Ok(None) | Err(_) => None,
        };
        // Twice: what one broker knows of a topic just made may be old.
        match (gone, &missing) {
            (Some(gone), Some(known)) if gone == *known && gone == offsets => return offsets_gone(&gone),
            (Some(gone), Some(known)) if gone == *known => {
                return Error::new(ErrorKind::TransactionAborted, "the topic does not exist any more")
                    .with("topic", gone)
                    .advise(
                        "it was deleted while rows were on their way; rowtide makes it again, or says why it cannot",
                    );
            }
            (gone, _) => missing = gone,
        }
    }
}

/// Progress is lost with its topic, which nobody may make again in silence.
pub(super) fn offsets_gone(topic: &str) -> Error {
    Error::new(ErrorKind::Offsets, "the offsets topic was deleted, and with it how far every table was read")
        .with("topic", topic)
        .advise(
            "what was committed before is in the tables' topics; the next start makes the topic anew and reads every table \
             from its beginning, unless `rowtide offsets set` says where to go on",
        )
}

fn stalls<'n>(parts: &Parts, relations: impl IntoIterator<Item = &'n str>, told: &Told) -> Vec<Stall> {
    let mut names: Vec<&str> = relations.into_iter().collect();
    names.dedup();
    let tables: Vec<_> = names.into_iter().map(|relation| parts.board.table(relation)).collect();
    let told = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
    commit_stalls(&tables, told)
}

impl Open {
    fn new() -> Self {
        Self {
            since: Clock::now(),
            rows: 0,
            bytes: 0,
            deltas: HashMap::new(),
            server: None,
            tables: HashMap::new(),
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
        if let Some(server) = &batch.memos.server {
            self.server = Some(Arc::clone(server));
        }
        if let Some(table) = &batch.memos.table {
            self.tables.insert(table.0.clone(), Arc::clone(table));
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
