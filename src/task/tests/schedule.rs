//! Ten thousand schedules of a connector's life: rows that appear, faults at any call, processes that die, stop
//! or are taken over, and calls that take their time, so that the stages interleave in ever new ways. All of a
//! schedule follows from its seed. One that fails is made smaller before it is shown.

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::faults::Planned;
use super::runs::{end, first_failing, fresh_board, kill, read_to_the_end, start_tasks, still_alive};
use super::scripted::Shape;
use super::*;
use crate::model::Backfill;

/// The end of a life.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// It is killed at once, wherever it is.
    Killed,
    /// It stops as asked, if nothing hangs.
    Stopped,
    /// It does not end: the next one starts beside it.
    TakenOver,
}

#[derive(Debug, Clone)]
struct Life {
    millis: u64,
    tasks: usize,
    end: End,
    faults: Vec<Planned>,
    /// The longest duration of calls.
    pace: u64,
    /// The inserts: the time, the table, and the units of rows.
    inserts: Vec<(u64, usize, i64)>,
    /// The wishes of an operator: the time, and the table.
    orders: Vec<(u64, usize, Order)>,
    /// The backfills that one asks for: the time, and the table, of which each has one in all lives.
    backfills: Vec<(u64, usize)>,
}

/// A wish of an operator about a table, which changes nothing of what is delivered.
#[derive(Debug, Clone, Copy)]
enum Order {
    Pause,
    Resume,
    Restart,
}

#[derive(Debug, Clone)]
struct Schedule {
    seed: u64,
    /// The mode, of [`MODES`].
    mode: usize,
    shape: Shape,
    /// The number of rows that come at once: none comes later that shares its cursor with those, unless a key tells
    /// them apart.
    unit: i64,
    page: usize,
    tables: usize,
    lives: Vec<Life>,
    /// `connection.pool.size`.
    sessions: usize,
}

const TABLES: [&str; 3] = ["t", "u", "v"];
const MODES: [&str; 3] = ["incrementing", "timestamp+incrementing", "timestamp"];

impl Schedule {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let tables = rng.usize(1..=TABLES.len());
        let life = |rng: &mut Rng| {
            let millis = rng.u64(1..600);
            let mut inserts: Vec<_> =
                (0..rng.usize(0..6)).map(|_| (rng.u64(..millis), rng.usize(..tables), rng.i64(1..12))).collect();
            inserts.sort_unstable();
            let order = |rng: &mut Rng| [Order::Pause, Order::Resume, Order::Restart][rng.usize(..3)];
            let mut orders: Vec<_> =
                (0..rng.usize(0..5)).map(|_| (rng.u64(..millis), rng.usize(..tables), order(rng))).collect();
            orders.sort_unstable_by_key(|(at, ..)| *at);
            Life {
                millis,
                tasks: rng.usize(1..=3),
                end: [End::Killed, End::Stopped, End::TakenOver][rng.usize(..3)],
                faults: (0..rng.usize(0..5)).map(|_| Planned::random(rng)).collect(),
                pace: [0, 2, 30][rng.usize(..3)],
                inserts,
                orders,
                backfills: Vec::new(),
            }
        };
        let mode = rng.usize(..MODES.len());
        let shape = Shape {
            same_time: rng.i64(1..=6),
            same_id: if rng.bool() { 1 } else { rng.i64(2..=12) },
            is_keyless: rng.bool(),
            tells_nothing_of_ids: rng.bool(),
        };
        // The tuple goes on by the primary key, where there is one and nothing is said to be unique without it.
        let is_told_apart = !shape.is_keyless && (MODES[mode] == "timestamp" || shape.tells_nothing_of_ids);
        let unit = if is_told_apart && rng.bool() { 1 } else { shape.same_time * shape.same_id };
        let mut schedule = Self {
            seed,
            mode,
            shape,
            unit,
            page: rng.usize(1..=9),
            tables,
            lives: (0..rng.usize(1..=4)).map(|_| life(&mut rng)).collect(),
            sessions: [1, 2, 10][rng.usize(..3)],
        };
        for table in 0..tables {
            let life = rng.usize(..schedule.lives.len());
            let life = &mut schedule.lives[life];
            if rng.bool() {
                life.backfills.push((rng.u64(..life.millis), table));
                life.backfills.sort_unstable();
            }
        }
        schedule
    }

    /// Runs it in a clock and a thread of its own.
    fn run(&self) -> std::result::Result<(), String> {
        // Pauses before another try are random, too.
        fastrand::seed(self.seed);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(self.play())
    }

    async fn play(&self) -> std::result::Result<(), String> {
        let outside = Outside::default();
        outside.shape(self.shape);
        let base = parts_of(&outside, false, self.spec());
        for table in &TABLES[..self.tables] {
            outside.insert(table, []);
        }
        let mut next = self.unit;
        let (mut zombies, mut asked) = (Vec::new(), Vec::new());
        for (number, life) in self.lives.iter().enumerate() {
            outside.plan(&life.faults, Some((Rng::with_seed(self.seed + number as u64), life.pace)));
            let stop = CancellationToken::new();
            let controlled = Parts { control: Control::default(), ..base.clone() };
            let tasks = self.start(&controlled, number, life.tasks, &stop);
            let started = Instant::now();
            let inserts = async {
                for (at, table, ties) in &life.inserts {
                    tokio::time::sleep_until(started + Duration::from_millis(*at)).await;
                    let end = next + ties * self.unit;
                    outside.insert(TABLES[*table], next..end);
                    next = end;
                    outside.set_now(next);
                }
            };
            let control = &controlled.control;
            let (_, _, backfills) =
                tokio::join!(inserts, life.give_orders(control, started), life.ask_for_backfills(control, started));
            asked.extend(backfills);
            tokio::time::sleep_until(started + Duration::from_millis(life.millis)).await;
            let tasks = still_alive(tasks, !zombies.is_empty()).await.map_err(|why| format!("life {number}: {why}"))?;
            match life.end {
                End::TakenOver => zombies.extend(tasks),
                End::Killed => kill(tasks).await,
                End::Stopped => {
                    stop.cancel();
                    end(tasks).await;
                }
            }
        }
        outside.plan(&[], None);
        self.catch_up(&base).await?;
        kill(zombies).await;
        self.look(&outside)?;
        asked.into_iter().try_for_each(|(table, answer)| self.look_again(&outside, table, answer))?;
        let (delivered, offsets) = (outside.transactions(), outside.open());
        self.catch_up(&base).await?;
        if (outside.transactions(), outside.open(), offsets) != (delivered, 0, 0) {
            return Err("a run with nothing to read opened a transaction, or one was left open".to_owned());
        }
        Ok(())
    }

    fn spec(&self) -> ConnectorSpec {
        // Reading a configuration takes longer than many a schedule.
        static SPECS: LazyLock<[ConnectorSpec; 3]> = LazyLock::new(|| {
            MODES.map(|mode| {
                let time = (mode != "incrementing").then_some(("timestamp.column.name", "ts"));
                let changes: Vec<_> = [("mode", mode), ("poll.interval.ms", "100")].into_iter().chain(time).collect();
                spec(&changes)
            })
        });
        let mut spec = SPECS[self.mode].clone();
        spec.polling.batch_max_rows = self.page;
        spec.source.pool_size = self.sessions;
        spec
    }

    fn start(
        &self,
        base: &Parts,
        number: usize,
        tasks: usize,
        stop: &CancellationToken,
    ) -> Vec<JoinHandle<Result<()>>> {
        start_tasks(base, &TABLES[..self.tables], (number, tasks), fresh_board, stop)
    }

    async fn catch_up(&self, base: &Parts) -> std::result::Result<(), String> {
        read_to_the_end(base, &TABLES[..self.tables], self.lives.len(), fresh_board).await
    }

    /// The oracle.
    fn look(&self, outside: &Outside) -> std::result::Result<(), String> {
        for table in &TABLES[..self.tables] {
            let (rows, committed) = (outside.rows(table), outside.committed(&format!("p_{table}")));
            if rows != committed {
                return Err(format!("{table} has {rows:?}, its topic {committed:?}"));
            }
            let offset = outside.offset(table);
            let last = rows.last().map(|key| outside.id_of(*key));
            if MODES[self.mode].ends_with("incrementing") && offset != last {
                return Err(format!("{table} ends with {last:?}, its offset is {offset:?}"));
            }
        }
        Ok(())
    }

    /// The oracle of backfills: the rows of a table up to some position, each once; up to that which was answered.
    fn look_again(&self, outside: &Outside, table: usize, mut answer: Answer) -> std::result::Result<(), String> {
        let table = TABLES[table];
        let (rows, again) = (outside.rows(table), outside.committed(&format!("again_{table}")));
        if !rows.starts_with(&again) {
            return Err(format!("{table} has {rows:?}, its backfill {again:?}"));
        }
        if outside.has_backfill(table) {
            return Err(format!("the backfill of {table} has not ended"));
        }
        let Ok(Ok(Some(upto))) = answer.try_recv() else { return Ok(()) };
        BACKFILLS.fetch_add(1, Ordering::Relaxed);
        let id = upto.incrementing.unwrap_or(i64::MIN);
        match again.last() {
            Some(last) if outside.id_of(*last) >= id => Ok(()),
            last => Err(format!("{table} was to be read again up to {upto}, and was up to {last:?}")),
        }
    }

    /// The schedule without faults, rows and lives that the failure does not need.
    fn smaller(mut self) -> Self {
        loop {
            let candidates = self.with_one_less();
            match candidates.into_iter().find(|candidate| candidate.run().is_err()) {
                Some(found) => self = found,
                None => return self,
            }
        }
    }

    fn with_one_less(&self) -> Vec<Self> {
        let mut found = Vec::new();
        for life in 0..self.lives.len() {
            let mut without = |drop: &dyn Fn(&mut Self)| {
                let mut less = self.clone();
                drop(&mut less);
                found.push(less);
            };
            without(&|less| drop(less.lives.remove(life)));
            for fault in 0..self.lives[life].faults.len() {
                without(&|less| drop(less.lives[life].faults.drain(fault..=fault)));
            }
            for insert in 0..self.lives[life].inserts.len() {
                without(&|less| drop(less.lives[life].inserts.drain(insert..=insert)));
            }
            for backfill in 0..self.lives[life].backfills.len() {
                without(&|less| drop(less.lives[life].backfills.drain(backfill..=backfill)));
            }
            for order in 0..self.lives[life].orders.len() {
                without(&|less| drop(less.lives[life].orders.drain(order..=order)));
            }
        }
        found
    }
}

impl Life {
    async fn give_orders(&self, control: &Control, started: Instant) {
        for (at, table, order) in &self.orders {
            tokio::time::sleep_until(started + Duration::from_millis(*at)).await;
            match order {
                Order::Pause => control.pause(TABLES[*table], true),
                Order::Resume => control.pause(TABLES[*table], false),
                Order::Restart => control.restart(TABLES[*table]),
            }
        }
    }

    async fn ask_for_backfills(&self, control: &Control, started: Instant) -> Vec<(usize, Answer)> {
        let mut asked = Vec::new();
        for (at, table) in &self.backfills {
            tokio::time::sleep_until(started + Duration::from_millis(*at)).await;
            let request = Backfill { topic: Some(format!("again_{}", TABLES[*table])), ..Backfill::default() };
            asked.extend(control.backfill(TABLES[*table], Some(request)).map(|answer| (*table, answer)));
        }
        asked
    }
}

/// The answer to a backfill.
type Answer = tokio::sync::oneshot::Receiver<crate::task::control::Moved>;

/// The backfills that were answered and went to their end, of all schedules.
static BACKFILLS: AtomicUsize = AtomicUsize::new(0);

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ROWTIDE_TEST_SEED={}\n{self:#?}", self.seed)
    }
}

#[test]
fn ten_thousand_schedules_of_faults_restarts_and_takeovers_end_in_exactly_once() {
    let failed = first_failing(10_000, |seed| {
        let schedule = Schedule::new(seed);
        schedule.run().is_err().then_some(schedule)
    });
    if let Some(schedule) = failed {
        let smaller = schedule.smaller();
        panic!("{}\n{smaller}", smaller.run().err().unwrap_or_default());
    }
}

#[test]
fn the_schedules_have_backfills_that_go_to_their_end() {
    let before = BACKFILLS.load(Ordering::Relaxed);
    (0..200).for_each(|seed| assert_eq!(Schedule::new(seed).run(), Ok(()), "{seed}"));
    assert!(BACKFILLS.load(Ordering::Relaxed) > before + 20, "the schedules prove nothing");
}
