//! The world outside of a task, in memory: a source and brokers that do what a script says. The source's tables are ids
//! that only grow; the brokers are in [`brokers`].

mod brokers;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;

use self::brokers::Sink;
use super::database::Database;
use super::faults::{Effect, Planned, Step};
use crate::error::Result;
use crate::kafka::RecordSink;
use crate::model::{SourceOffset, SourcePartition, TableDefinition};
use crate::offsets::Owner;

/// The fault at a step of the sink; each is used up by the first step it fits, those of a transaction by the first that
/// is not the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SinkFault {
    RejectInit,
    RejectBegin,
    RejectSend,
    /// The transaction is aborted at its commit.
    RejectCommit,
    /// The commit is done and its answer lost.
    LoseAnswer,
    /// The commit never arrives, and that is not known either.
    LoseCommit,
    /// The commit takes a minute.
    Hold,
    /// The commit is done, and was sent twice: the other one may still arrive.
    SendTwice,
    /// Another process takes the id over.
    Fence,
    /// The connector is signed for and the answer lost.
    LoseSignature,
}

/// The fault at a step of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SourceFault {
    Connect,
    Describe,
    /// The connection breaks when the database is asked for its time.
    Clock,
    Statement,
    /// The connection breaks after so many rows of a page.
    BreakAfter(usize),
    /// The result has other columns than described.
    Changed,
}

#[derive(Default)]
struct World {
    /// The tables' ids, by bare name.
    tables: HashMap<String, Vec<i64>>,
    source_faults: VecDeque<SourceFault>,
    sink_faults: VecDeque<SinkFault>,
    /// The records a read_committed consumer sees: topic and id.
    committed: Vec<(String, i64)>,
    offsets: HashMap<SourcePartition, SourceOffset>,
    /// The newest owner of each task's transactional id.
    epochs: HashMap<usize, u64>,
    /// The number of committed ones, signatures left out.
    transactions: usize,
    open: usize,
    /// Sessions that are open, and the most that were at a time.
    sessions: (usize, usize),
    statements: usize,
    /// The database's time, microseconds.
    now: i64,
    /// The identity of the source's server, where it has one.
    identity: Option<String>,
    /// The one that is stored.
    remembered: Option<String>,
    /// The stored owner: the record's value.
    owner: Option<Owner>,
    /// The last id the source says it has handed out.
    last_id: Option<i64>,
    replica: bool,
    shape: Shape,
    plan: Vec<Planned>,
    calls: HashMap<Step, usize>,
    /// The longest duration of calls: up to so many milliseconds.
    pace: Option<(Rng, u64)>,
    /// The ids of rows that cannot be delivered.
    poison: Vec<i64>,
    /// True if such a row tells that the column is another one than described, and then it can be delivered.
    poison_teaches: bool,
    taught: bool,
    /// True if connections that are idle for half a minute are closed.
    closes_idle: bool,
    /// The database of the source, if it has transactions.
    database: Option<Database>,
}

/// The shape of tables: how their rows share the cursor, and what the catalog says of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shape {
    /// The number of rows with the same time; 0 is 1.
    pub(super) same_time: i64,
    /// The number of rows with the same id; 0 is 1.
    pub(super) same_id: i64,
    /// True if the tables have no primary key.
    pub(super) is_keyless: bool,
    /// True if the catalog does not say that no two rows share an id. If it does and they do, that was so when it was
    /// asked.
    pub(super) tells_nothing_of_ids: bool,
}

/// The world outside of the task.
#[derive(Clone, Default)]
pub(super) struct Outside(Arc<Mutex<World>>);

impl Outside {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn insert(&self, table: &str, ids: impl IntoIterator<Item = i64>) {
        self.world().tables.entry(table.to_owned()).or_default().extend(ids);
    }

    pub(super) fn source_faults(&self, faults: impl IntoIterator<Item = SourceFault>) {
        self.world().source_faults.extend(faults);
    }

    pub(super) fn sink_faults(&self, faults: impl IntoIterator<Item = SinkFault>) {
        self.world().sink_faults.extend(faults);
    }

    /// The number of faults that were not used up: a test that leaves some has proved nothing.
    pub(super) fn faults_left(&self) -> usize {
        let world = self.world();
        world.source_faults.len() + world.sink_faults.len()
    }

    /// A session is opened.
    pub(super) fn connected(&self) {
        let (open, most) = &mut self.world().sessions;
        *open += 1;
        *most = (*most).max(*open);
    }

    /// A session has ended.
    pub(super) fn disconnected(&self) {
        self.world().sessions.0 -= 1;
    }

    /// The most sessions that were open at a time.
    pub(super) fn most_sessions(&self) -> usize {
        self.world().sessions.1
    }

    /// The calls of a kind until now.
    pub(super) fn calls(&self, step: Step) -> usize {
        self.world().calls.get(&step).copied().unwrap_or_default()
    }

    pub(super) fn clear_faults(&self) {
        let mut world = self.world();
        world.source_faults.clear();
        world.sink_faults.clear();
    }

    /// The ids of a table, in order.
    pub(super) fn rows(&self, table: &str) -> Vec<i64> {
        let mut rows = self.world().tables.get(table).cloned().unwrap_or_default();
        rows.sort_unstable();
        rows
    }

    /// The committed ids of a topic, in order.
    pub(super) fn committed(&self, topic: &str) -> Vec<i64> {
        self.world().committed.iter().filter(|(found, _)| found == topic).map(|(_, id)| *id).collect()
    }

    /// The topic and id of every committed record, in order.
    pub(super) fn history(&self) -> Vec<(String, i64)> {
        self.world().committed.clone()
    }

    pub(super) fn transactions(&self) -> usize {
        self.world().transactions
    }

    /// The number of transactions begun and neither committed nor aborted.
    pub(super) fn open(&self) -> usize {
        self.world().open
    }

    /// The number of times the transactional id of the first task was taken over.
    pub(super) fn epoch(&self) -> u64 {
        self.world().epochs.get(&0).copied().unwrap_or_default()
    }

    pub(super) fn statements(&self) -> usize {
        self.world().statements
    }

    /// Takes the transactional id of a task over; gives the new epoch.
    pub(super) fn fence(&self, task: usize) -> u64 {
        let mut world = self.world();
        let epoch = world.epochs.entry(task).or_default();
        *epoch += 1;
        *epoch
    }

    /// Commits rows by another process.
    pub(super) fn deliver(&self, topic: &str, table: &str, ids: impl IntoIterator<Item = i64>) {
        let mut world = self.world();
        for id in ids {
            world.committed.push((topic.to_owned(), id));
            world.offsets.insert(
                SourcePartition::table(table),
                SourceOffset { incrementing: Some(id), ..SourceOffset::default() },
            );
        }
    }

    pub(super) fn offset(&self, table: &str) -> Option<i64> {
        self.world().offsets.get(&SourcePartition::table(table))?.incrementing
    }

    /// True if the progress of a backfill is stored.
    pub(super) fn has_backfill(&self, table: &str) -> bool {
        self.world().offsets.contains_key(&SourcePartition::table(table).backfill())
    }

    pub(super) fn sink(&self, task: usize) -> Box<dyn RecordSink> {
        Box::new(Sink::new(self.clone(), task))
    }

    pub(super) fn now(&self) -> i64 {
        let mut world = self.world();
        let now = world.now;
        world.database.as_mut().map_or(now, Database::upper)
    }

    /// Makes this database the source from now on.
    pub(super) fn be(&self, database: Database) {
        self.world().database = Some(database);
    }

    /// Asks the database, or changes something in it; none if the source has no transactions.
    pub(super) fn database<T>(&self, work: impl FnOnce(&mut Database) -> T) -> Option<T> {
        self.world().database.as_mut().map(work)
    }

    pub(super) fn set_now(&self, micros: i64) {
        self.world().now = micros;
    }

    /// Makes connections lead to this server from now on.
    pub(super) fn lead_to(&self, identity: &str) {
        self.world().identity = Some(identity.to_owned());
    }

    pub(super) fn identity(&self) -> Option<String> {
        self.world().identity.clone()
    }

    pub(super) fn remembered(&self) -> Option<String> {
        self.world().remembered.clone()
    }

    /// A table is as it was when it had only these ids.
    pub(super) fn restore(&self, table: &str, ids: impl IntoIterator<Item = i64>) {
        self.world().tables.insert(table.to_owned(), ids.into_iter().collect());
    }

    pub(super) fn hand_out(&self, last_id: Option<i64>) {
        self.world().last_id = last_id;
    }

    pub(super) fn last_id(&self) -> Option<i64> {
        self.world().last_id
    }

    pub(super) fn poison(&self, ids: impl IntoIterator<Item = i64>, teaches: bool) {
        let mut world = self.world();
        world.poison = ids.into_iter().collect();
        world.poison_teaches = teaches;
    }

    /// True if the row cannot be delivered, as its table was described.
    pub(super) fn is_poison(&self, id: i64, definition: &TableDefinition) -> bool {
        let mut world = self.world();
        let is_poison = world.poison.contains(&id) && !definition.columns[1].field.optional;
        world.taught |= is_poison && world.poison_teaches;
        is_poison
    }

    pub(super) fn close_idle(&self) {
        self.world().closes_idle = true;
    }

    pub(super) fn closes_idle(&self) -> bool {
        self.world().closes_idle
    }

    pub(super) fn is_taught(&self) -> bool {
        self.world().taught
    }

    pub(super) fn be_a_replica(&self) {
        self.world().replica = true;
    }

    pub(super) fn is_replica(&self) -> bool {
        self.world().replica
    }

    /// True if the offset of a table was accepted although it lies beyond the table.
    pub(super) fn accepted(&self, table: &str) -> bool {
        self.world().offsets.get(&SourcePartition::table(table)).is_some_and(|offset| offset.accepted)
    }

    pub(super) fn shape(&self, shape: Shape) {
        self.world().shape = shape;
    }

    /// The time of a row: that of the first of those that share it.
    pub(super) fn time_of(&self, key: i64) -> i64 {
        key - key.rem_euclid(self.world().shape.same_time.max(1))
    }

    /// The id of a row: the key of the first of those that share it.
    pub(super) fn id_of(&self, key: i64) -> i64 {
        key - key.rem_euclid(self.world().shape.same_id.max(1))
    }

    pub(super) fn primary_key(&self) -> Vec<String> {
        if self.world().database.is_some() {
            return vec!["id".into()];
        }
        if self.world().shape.is_keyless { vec![] } else { vec!["key".into()] }
    }

    /// The keys that the catalog says to be unique.
    pub(super) fn unique_keys(&self) -> Vec<Vec<String>> {
        let ids = (!self.world().shape.tells_nothing_of_ids).then(|| vec!["id".to_owned()]);
        ids.into_iter().chain(Some(self.primary_key()).filter(|key| !key.is_empty())).collect()
    }

    /// Plans the faults from now on, by the number of the call, and the duration of calls.
    pub(super) fn plan(&self, plan: &[Planned], pace: Option<(Rng, u64)>) {
        let mut world = self.world();
        (world.plan, world.pace) = (plan.to_vec(), pace);
        world.calls.clear();
    }

    /// A step is come to: it takes its time, and what was planned happens or, where it is for the step itself to
    /// do, is given.
    pub(super) async fn visit(&self, step: Step) -> Result<Option<Effect>> {
        let (effect, pause) = {
            let world = &mut *self.world();
            let call = world.calls.entry(step).or_default();
            *call += 1;
            let due = world.plan.iter().position(|planned| planned.step == step && planned.call == *call);
            let pause = world.pace.as_mut().map_or(0, |(rng, longest)| rng.u64(..=*longest));
            (due.map(|index| world.plan.swap_remove(index).effect), pause)
        };
        if pause > 0 {
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        match effect {
            Some(Effect::Fail) => Err(step.error()),
            Some(Effect::Hang) => std::future::pending().await,
            other => Ok(other),
        }
    }

    pub(super) fn has(&self, table: &str) -> bool {
        let world = self.world();
        world.tables.contains_key(table) || world.database.as_ref().is_some_and(|database| database.has(table))
    }

    /// True if the timestamp column holds instants.
    pub(super) fn is_zoned(&self) -> bool {
        self.world().database.as_ref().is_none_or(|database| !database.world().clock.is_wall())
    }

    pub(super) fn count_statement(&self) {
        self.world().statements += 1;
    }

    /// The next fault of the source, if this step is the one for it.
    pub(super) fn fails_here(&self, wanted: impl Fn(SourceFault) -> bool) -> Option<SourceFault> {
        let mut world = self.world();
        world.source_faults.front().copied().filter(|fault| wanted(*fault)).inspect(|_| {
            world.source_faults.pop_front();
        })
    }
}
