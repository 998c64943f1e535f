//! The commit stage: sole owner of the sink and of progress (E1, P5). It opens a transaction at the first batch, takes
//! further steps while more are coming, sends the offsets last and commits. While a relation catches up the transaction
//! grows, because a commit costs the brokers the same for one row as for a million; as soon as nothing more is ready it
//! commits. No transaction stays open while idle (E8).

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant as Clock;

use super::Parts;
use super::handoff::{Assigned, Handoff, Loaded, MarkedTable, Step, StepEnd};
use super::refused::Refusals;
use super::samples::Sample;
use super::stall::{commit_stalls, watched};
use crate::error::{Error, ErrorKind, Result};
use crate::kafka::RecordSink;
use crate::kafka::topics::TopicTrouble;
use crate::model::{EncodedBatch, KafkaRecord, OffsetDelta, Offsets, Server, SourcePartition};
use crate::retry::Backoff;
use crate::status::{Committed, Stall};
use crate::telemetry::TraceContext;

/// The age at which a growing transaction is committed although more is coming. Consumers see nothing of it before, and
/// the brokers hold back other transactions' readers, so a second is the most.
const MAX_AGE: Duration = Duration::from_secs(1);
/// The same for a pass of a bulk load, whose consumers want to see all of it or nothing.
const MAX_PASS: Duration = Duration::from_secs(30);
/// The interval at which brokers that need longer are looked at, and their topics.
const LOOK: Duration = Duration::from_secs(2);
/// The same while none answers: each look is a client that tries to connect for some seconds.
const LONGEST_LOOK: Duration = Duration::from_secs(30);
const MAX_ROWS: usize = 1_000_000;
const MAX_BYTES: usize = 128 * 1024 * 1024;

pub(super) struct CommitStage<'a> {
    parts: &'a Parts,
    sink: Box<dyn RecordSink>,
    offsets: Offsets,
    backoff: &'a mut Backoff,
    refusals: &'a Refusals,
    /// The tables with records in the open transaction, each with their topics.
    carried: Vec<(Arc<str>, Arc<str>)>,
    /// The age at which a pass of a bulk load is committed although its end has not come.
    longest_pass: Duration,
}

/// The contents of the open transaction.
struct Open {
    since: Clock,
    rows: usize,
    bytes: usize,
    deltas: HashMap<SourcePartition, OffsetDelta>,
    server: Option<Server>,
    marks: HashMap<SourcePartition, MarkedTable>,
    /// The partitions of first loads and backfills that are at their end.
    loads: Vec<SourcePartition>,
    /// The backfills that are at their end, and why.
    backfilled: Vec<(Arc<str>, &'static str)>,
    /// The offsets that operators give.
    assigned: Vec<Assigned>,
    /// The last records of each step, where they are kept.
    samples: Vec<(Arc<str>, Vec<Sample>)>,
    tables: HashMap<Arc<str>, Share>,
    /// The traces of the polls, and the rows of each.
    traces: Vec<(TraceContext, u64)>,
    /// The pairs of [`CommitStage::carried`].
    carries: HashSet<(Arc<str>, Arc<str>)>,
    /// The number of tables by their bond to their next step.
    ends: BTreeMap<StepEnd, usize>,
    /// The strongest of these.
    end: StepEnd,
}

#[derive(Default)]
struct Share {
    committed: Committed,
    end: StepEnd,
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
        let timeout = parts.spec.transaction_timeout();
        let longest_pass = timeout.map_or(MAX_PASS, |timeout| MAX_PASS.min(timeout / 2));
        Self { parts, sink, offsets, backoff, refusals, carried: Vec::new(), longest_pass }
    }

    /// Commits the messages until the channel is closed and empty.
    pub(super) async fn run(mut self, mut handoffs: mpsc::Receiver<Handoff>) -> Result<()> {
        while let Some(first) = handoffs.recv().await {
            if let Handoff::CaughtUp { .. } | Handoff::Rest { .. } = first {
                // An idle poll opens no transaction.
                continue;
            }
            self.carried.clear();
            let outcome = self.transaction(first, &mut handoffs).await;
            let first_pause = self.parts.spec.polling().table_interval;
            outcome.map_err(|error| self.refusals.classify(error, &self.carried, first_pause))?;
            self.backoff.reset();
            // Everything is committed and known to be: the next session begins where this one ends.
            if let Some(spent) = self.sink.spent() {
                return Err(spent);
            }
        }
        Ok(())
    }

    async fn transaction(&mut self, first: Handoff, handoffs: &mut mpsc::Receiver<Handoff>) -> Result<()> {
        let mut open = Open::new();
        let table = Arc::clone(first.table());
        watched(self.sink.begin(), || stalls(self.parts, [&table], &Told::default())).await?;
        self.absorb(first, &mut open).await?;
        while !self.is_full(&open) {
            let next = match handoffs.try_recv() {
                Ok(handoff) => Some(handoff),
                // Rows that must not be committed without the next step wait for it, or for the end of the stage.
                Err(mpsc::error::TryRecvError::Empty) if open.end == StepEnd::Torn => handoffs.recv().await,
                Err(mpsc::error::TryRecvError::Empty) if open.end > StepEnd::CaughtUp => {
                    let left = self.longest(&open).saturating_sub(open.since.elapsed());
                    tokio::time::timeout(left, handoffs.recv()).await.ok().flatten()
                }
                Err(_) => None,
            };
            let Some(handoff) = next else { break };
            self.absorb(handoff, &mut open).await?;
        }
        if open.end == StepEnd::Torn {
            // E3: rows without their delta would come again. The rest does not come any more.
            tracing::info!("polling ended in the middle of a step, none of its rows is committed");
            return self.sink.abort().await;
        }
        self.commit(open).await
    }

    fn is_full(&self, open: &Open) -> bool {
        match open.end {
            StepEnd::Torn => false,
            _ if !open.assigned.is_empty() => true,
            _ if self.refusals.one_at_a_time() => true,
            _ => open.rows >= MAX_ROWS || open.bytes >= MAX_BYTES || open.since.elapsed() >= self.longest(open),
        }
    }

    /// The greatest age of a transaction while more is coming.
    fn longest(&self, open: &Open) -> Duration {
        if open.end == StepEnd::InPass { self.longest_pass } else { MAX_AGE }
    }

    async fn absorb(&mut self, handoff: Handoff, open: &mut Open) -> Result<()> {
        open.bind(handoff.table(), handoff.end());
        match handoff {
            Handoff::Step(step) => self.send(*step, open).await?,
            Handoff::Offset { table, delta } => {
                open.tables.entry(table).or_default().committed.position = Some(delta.to.to_string());
                chain(&mut open.deltas, *delta)?;
            }
            Handoff::Server { server, .. } => open.server = Some(server),
            Handoff::Table { mark, .. } => open.mark(mark),
            Handoff::Assigned(assigned) => {
                let to = assigned.to().map_or_else(|| "the beginning".to_owned(), ToString::to_string);
                open.tables.entry(Arc::clone(&assigned.table)).or_default().committed.position = Some(to);
                open.assigned.push(*assigned);
            }
            Handoff::Loaded(loaded) => {
                let Loaded { table, load, delta, mark } = *loaded;
                open.loads.push(load);
                mark.into_iter().for_each(|mark| open.mark(mark));
                if let Some(delta) = delta {
                    open.tables.entry(table).or_default().committed.position = Some(delta.to.to_string());
                    chain(&mut open.deltas, delta)?;
                }
            }
            Handoff::Backfilled { table, partition, why } => {
                open.loads.push(partition);
                open.backfilled.push((table, why));
            }
            Handoff::CaughtUp { .. } | Handoff::Rest { .. } => {}
        }
        Ok(())
    }

    /// Sends the records of a step, and those of its rows that were left out.
    async fn send(&mut self, step: Step, open: &mut Open) -> Result<()> {
        let table = Arc::clone(&step.table);
        let (rows, letters) = open.add(step)?;
        let samples = self.parts.samples.of(&rows);
        if !samples.is_empty() {
            open.samples.push((Arc::clone(&table), samples));
        }
        for records in [Some(rows), letters].into_iter().flatten() {
            let pair = (Arc::clone(&table), Arc::clone(&records.topic));
            if open.carries.insert(pair.clone()) {
                self.carried.push(pair);
            }
            let send = self.sink.send(records);
            taken_by_brokers(self.parts, &self.carried, open, send).await?;
        }
        Ok(())
    }

    async fn commit(&mut self, open: Open) -> Result<()> {
        // E3: the offsets ride in the same transaction, last.
        let (store, connector) = (&self.parts.store, self.parts.spec.connector());
        let mut offsets: Vec<KafkaRecord> =
            open.server.iter().flat_map(|server| store.stage_server(connector, server)).collect();
        offsets.extend(open.marks.values().map(|mark| store.stage_table(connector, &mark.0, &mark.1)));
        offsets.extend(open.deltas.values().flat_map(|delta| store.stage(connector, delta)));
        // Behind the deltas, whose steps were read before.
        offsets.extend(open.loads.iter().flat_map(|load| store.assign(connector, load, None)));
        let assigned = open.assigned.iter().flat_map(|assigned| &assigned.offsets);
        offsets.extend(assigned.flat_map(|(partition, offset)| store.assign(connector, partition, offset.as_ref())));
        let (commit, began) = (self.sink.commit(offsets), Clock::now());
        let answer = taken_by_brokers(self.parts, &self.carried, &open, commit).await;
        open.trace_commit(began.elapsed(), answer.as_ref().err());
        answer?;
        self.parts.metrics.commit_answered(began.elapsed());
        self.refusals.taken(open.tables.keys());
        // E4: only a commit that said so moves the position.
        for delta in open.deltas.into_values() {
            self.offsets.try_apply(delta)?;
        }
        for load in open.loads {
            self.offsets.assign(load, None);
        }
        for (partition, offset) in open.assigned.iter().flat_map(|assigned| &assigned.offsets) {
            if !partition.is_own() {
                self.offsets.assign(partition.load(), None);
            }
            self.offsets.assign(partition.clone(), offset.as_ref());
        }
        self.parts.metrics.committed(open.since.elapsed());
        for (table, share) in open.tables {
            let metrics = self.parts.metrics.table(&table);
            metrics.committed(share.committed.rows, share.committed.bytes);
            metrics.skipped(share.committed.skipped);
            let board = self.parts.board.table(&table);
            board.committed(share.committed);
            if share.end == StepEnd::CaughtUp {
                board.caught_up();
            }
        }
        open.backfilled.iter().for_each(|(table, why)| self.parts.board.backfilled(table, why));
        for (table, samples) in open.samples {
            self.parts.samples.committed(&table, samples);
        }
        for assigned in open.assigned {
            if assigned.ends_backfill() {
                self.parts.board.backfilled(&assigned.table, "the backfill was cancelled");
            }
            let to = assigned.to().cloned();
            assigned.order.answer(Ok(to));
        }
        Ok(())
    }
}

/// The last trouble of a topic that the brokers told.
type Told = Mutex<Option<(String, String)>>;

/// Waits until the brokers have taken something of an open transaction; while that takes long it looks whether they can,
/// at the topics of `carried` and at the offsets topic.
///
/// # Errors
/// Those of `work`; `TransactionAborted` if a topic is gone, `Offsets` if that of the offsets is.
async fn taken_by_brokers<T>(
    parts: &Parts,
    carried: &[(Arc<str>, Arc<str>)],
    open: &Open,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let told = Told::default();
    let work = watched(work, || stalls(parts, open.tables.keys(), &told));
    tokio::select! {
        biased;
        outcome = work => outcome,
        error = topics_gone(parts, carried, &told) => Err(error),
    }
}

/// Looks at topics until one is gone; notes other troubles of them.
async fn topics_gone(parts: &Parts, carried: &[(Arc<str>, Arc<str>)], told: &Told) -> Error {
    let offsets: Arc<str> = parts.spec.offsets_topic().into();
    let (mut missing, mut pause) = (None, LOOK);
    loop {
        tokio::time::sleep(pause).await;
        let mut topics: Vec<Arc<str>> = carried.iter().map(|(_, topic)| Arc::clone(topic)).collect();
        topics.push(Arc::clone(&offsets));
        topics.sort();
        topics.dedup();
        let found = (parts.look_at_topics)(topics).await;
        pause = if found.is_err() { (pause * 2).min(LONGEST_LOOK) } else { LOOK };
        let gone = match found {
            Ok(Some(TopicTrouble::Gone(topic))) => Some(topic),
            Ok(Some(TopicTrouble::Held(error))) => {
                let words = (error.report(), error.advice().to_owned());
                *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
                None
            }
            // A silent side is reported by the stall.
            Ok(None) | Err(_) => None,
        };
        // Twice: one broker's knowledge of a topic just made may be old.
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

/// The error of a missing offsets topic: progress is lost with it, and nobody may silently create it again.
pub(super) fn offsets_gone(topic: &str) -> Error {
    Error::new(ErrorKind::Offsets, "the offsets topic was deleted, and with it how far every table was read")
        .with("topic", topic)
        .advise(
            "what was committed before is in the tables' topics; the next start makes the topic anew and reads every table \
             from its beginning, unless `rowtide offsets set` says where to go on",
        )
}

fn stalls<'n>(parts: &Parts, tables: impl IntoIterator<Item = &'n Arc<str>>, told: &Told) -> Vec<Stall> {
    let tables: Vec<_> = tables.into_iter().map(|table| parts.board.table(table)).collect();
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
            marks: HashMap::new(),
            loads: Vec::new(),
            backfilled: Vec::new(),
            assigned: Vec::new(),
            samples: Vec::new(),
            tables: HashMap::new(),
            traces: Vec::new(),
            carries: HashSet::new(),
            ends: BTreeMap::new(),
            end: StepEnd::CaughtUp,
        }
    }

    /// Tells the traces of the polls how their transaction ended.
    fn trace_commit(&self, took: Duration, error: Option<&Error>) {
        let kind = error.map(|error| error.kind().snake_case().to_owned());
        self.traces.iter().for_each(|(trace, rows)| trace.committed(took, *rows, kind.clone()));
    }

    /// Notes the bond of a table to its next step.
    fn bind(&mut self, table: &Arc<str>, end: StepEnd) {
        let share = self.tables.entry(Arc::clone(table));
        if let Entry::Occupied(known) = &share
            && let Some(tables) = self.ends.get_mut(&known.get().end)
        {
            *tables -= 1;
        }
        share.or_default().end = end;
        *self.ends.entry(end).or_default() += 1;
        let strongest = self.ends.iter().rev().find(|(_, tables)| **tables > 0);
        self.end = strongest.map(|(end, _)| *end).unwrap_or_default();
    }

    /// Takes note of a step; gives its records, and those of the dead letter topic.
    fn add(&mut self, step: Step) -> Result<(EncodedBatch, Option<EncodedBatch>)> {
        let Step { table, rows, skipped, delta, mark, newest, trace, end: _ } = step;
        self.traces.extend(trace.map(|trace| (trace, rows.len() as u64)));
        self.rows += rows.len();
        self.bytes += rows.bytes();
        let committed = &mut self.tables.entry(table).or_default().committed;
        committed.rows += rows.len() as u64;
        committed.bytes += rows.bytes() as u64;
        committed.newest = committed.newest.max(newest);
        let mut letters = None;
        if let Some(skipped) = skipped {
            committed.skipped += skipped.rows;
            committed.skip_reason = Some(skipped.reason);
            self.bytes += skipped.letters.as_ref().map_or(0, EncodedBatch::bytes);
            letters = skipped.letters;
        }
        if let Some(delta) = delta {
            committed.position = Some(delta.to.to_string());
            chain(&mut self.deltas, delta)?;
        }
        if let Some(mark) = mark {
            self.mark(mark);
        }
        Ok((rows, letters))
    }

    fn mark(&mut self, mark: MarkedTable) {
        self.marks.insert(mark.0.clone(), mark);
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
            let (to, guard) = (delta.to.clone(), delta.guard.clone());
            within.try_apply(delta)?;
            (open.to, open.guard) = (to, guard);
        }
    }
    Ok(())
}
