//! Ten thousand schedules of transactions against the guard: rows that commit late in every way, while processes die, stop
//! or are taken over, connections break and calls take their time, through the real poller, for every method. All of a
//! schedule follows from its seed; one that fails is made smaller before it is shown.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use fastrand::Rng;

use super::database::{Database, Offers, Tells, VERSIONS, record_of};
use super::faults::{Effect, Planned};
use super::runs::{end, first_failing, fresh_board, kill, read_to_the_end, start_tasks, still_alive};
use super::schedule::End;
use super::wanted::key_pages;
use super::*;
use crate::config::spec::LoadOrder;
use crate::guard::tests::store::{Store, TICK, Write};
use crate::guard::tests::{Step as ModelStep, World, step};

/// A method, and the database that lets it be chosen.
#[derive(Debug)]
struct Case {
    method: &'static str,
    mode: &'static str,
    /// `commit.guard`.
    guard: &'static str,
    offers: Offers,
}

const fn case(method: &'static str, mode: &'static str, guard: &'static str, offers: [bool; 3]) -> Case {
    let [snapshots, past, writers] = offers;
    Case { method, mode, guard, offers: Offers { snapshots, past, writers, tells: Tells::Nothing } }
}

const CASES: [Case; 8] = [
    case("snapshot", "timestamp+incrementing", "auto", [true, false, false]),
    case("snapshot", "timestamp", "auto", [true, false, false]),
    // As-of reads.
    case("snapshot", "timestamp+incrementing", "auto", [false, true, true]),
    case("snapshot", "incrementing", "auto", [false, true, true]),
    case("window", "timestamp+incrementing", "auto", [false, false, true]),
    case("gaps", "incrementing", "auto", [false, false, true]),
    case("hold", "timestamp+incrementing", "hold", [false, false, true]),
    case("rescan", "timestamp+incrementing", "auto", [false, false, false]),
];

/// `commit.guard.window.ms` where tables are loaded in the order of their keys.
const WINDOW: Duration = Duration::from_secs(60);

const TABLES: [&str; 2] = ["t", "u"];

#[derive(Debug, Clone)]
struct Life {
    tasks: usize,
    end: End,
    faults: Vec<Planned>,
    /// The longest duration of calls, in milliseconds.
    pace: u64,
    /// The writes, each after a pause in milliseconds.
    writes: Vec<(u64, Write)>,
}

#[derive(Debug, Clone)]
struct Schedule {
    seed: u64,
    case: usize,
    world: World,
    shows_starts: bool,
    /// True if the database tells whether anything was committed.
    has_tokens: bool,
    page: usize,
    tables: usize,
    lives: Vec<Life>,
    /// `connection.pool.size`.
    sessions: usize,
    /// The writes before the first life, where the first load is in the order of the primary key.
    history: Option<Vec<Write>>,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let tables = rng.usize(1..=TABLES.len());
        let life = |rng: &mut Rng| {
            let pace = [0, 2, 30][rng.usize(..3)];
            let writes = (0..rng.usize(1..40)).filter_map(|_| match step(rng) {
                // A clock that steps back is left to the model of `guard`.
                ModelStep::Write(Write::StepBack(_)) | ModelStep::Restart => None,
                ModelStep::Write(Write::Tick(ticks)) => {
                    Some((u64::from(ticks / 4) * TICK as u64 / 1_000, Write::Tick(0)))
                }
                ModelStep::Write(write) => Some((rng.u64(..=pace), write)),
                ModelStep::Poll(..) => Some((rng.u64(20..200), Write::Tick(0))),
            });
            Life {
                writes: writes.collect(),
                tasks: rng.usize(1..=2),
                end: [End::Killed, End::Stopped, End::TakenOver][rng.usize(..3)],
                faults: (0..rng.usize(0..4)).map(|_| Planned::random(rng)).collect(),
                pace,
            }
        };
        let mut schedule = Self {
            seed,
            case: (seed % CASES.len() as u64) as usize,
            world: World::any(&mut rng),
            shows_starts: rng.bool(),
            has_tokens: rng.bool(),
            page: rng.usize(1..=6),
            tables,
            lives: (0..rng.usize(1..=3)).map(|_| life(&mut rng)).collect(),
            sessions: [1, 2, 10][rng.usize(..3)],
            history: None,
        };
        if schedule.case().mode != "incrementing" && rng.bool() {
            let writes = (0..rng.usize(1..60)).filter_map(|_| match step(&mut rng) {
                ModelStep::Write(Write::StepBack(_)) | ModelStep::Restart | ModelStep::Poll(..) => None,
                ModelStep::Write(write) => Some(write),
            });
            schedule.history = Some(writes.collect());
        }
        if schedule.case().offers.past {
            // A table that was another one at the time of the last poll is read again, and the log says so.
            let is_repeated = |fault: &Planned| fault.effect == Effect::Changed;
            schedule.lives.iter_mut().for_each(|life| life.faults.retain(|fault| !is_repeated(fault)));
        }
        schedule
    }

    fn case(&self) -> &'static Case {
        &CASES[self.case]
    }

    /// Runs it in a clock and a thread of its own. How many rows were lost; else what is wrong.
    fn run(&self, is_guarded: bool) -> std::result::Result<usize, String> {
        fastrand::seed(self.seed);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(self.play(is_guarded))
    }

    async fn play(&self, is_guarded: bool) -> std::result::Result<usize, String> {
        let outside = Outside::default();
        let store = Store::new((7 << 32) - 12, self.shows_starts, self.world);
        let tells = if self.has_tokens { Tells::Snapshots } else { Tells::Nothing };
        outside.be(Database::new(store, Offers { tells, ..self.case().offers }, &TABLES[..self.tables]));
        if let Some(history) = &self.history {
            outside.database(|database| {
                history.iter().for_each(|write| database.write(write));
                database.store.finish();
            });
            // What is written from now on is younger than the window.
            tokio::time::sleep(2 * WINDOW).await;
        }
        let base = parts_of(&outside, false, self.spec(is_guarded));
        let mut zombies = Vec::new();
        for (number, life) in self.lives.iter().enumerate() {
            let pace = Some((Rng::with_seed(self.seed + number as u64), life.pace));
            outside.plan(if is_guarded { &life.faults } else { &[] }, pace);
            let stop = CancellationToken::new();
            let tasks = start_tasks(&base, &TABLES[..self.tables], (number, life.tasks), fresh_board, &stop);
            for (pause, write) in &life.writes {
                tokio::time::sleep(Duration::from_millis(*pause)).await;
                outside.database(|database| database.write(write));
            }
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
        // Slow calls, so that looks for late rows are left for another poll.
        outside.plan(&[], Some((Rng::with_seed(self.seed), self.lives.last().map_or(0, |life| life.pace))));
        outside.database(|database| {
            database.store.finish();
            if self.case().method == "hold" {
                // It waits until the hour is over that comes twice.
                let clock = self.world.clock;
                database.store.wait_for(|version, now| version.time < clock.lowest_from(now));
            }
        });
        // No transaction can have taken its time before this.
        tokio::time::sleep(Duration::from_secs(3)).await;
        for _ in 0..2 {
            read_to_the_end(&base, &TABLES[..self.tables], self.lives.len(), || base.board.clone()).await?;
        }
        if is_guarded {
            let method = base.board.with(|status| status.table(TABLES[0]).map(|table| table.guard.method));
            if method.is_some_and(|method| method != self.case().method) {
                return Err(format!("the method is {method:?}"));
            }
        }
        kill(zombies).await;
        self.look(&outside)
    }

    fn spec(&self, is_guarded: bool) -> ConnectorSpec {
        static SPECS: LazyLock<Vec<[ConnectorSpec; 2]>> = LazyLock::new(|| {
            let of = |case: &Case, guard| {
                let time = (case.mode != "incrementing").then_some(("timestamp.column.name", "ts"));
                let all = [("mode", case.mode), ("poll.interval.ms", "300"), ("commit.guard", guard)];
                spec(&all.into_iter().chain(time).collect::<Vec<_>>())
            };
            CASES.iter().map(|case| [of(case, "off"), of(case, case.guard)]).collect()
        });
        let mut spec = SPECS[self.case][usize::from(is_guarded)].clone();
        spec.polling.batch_max_rows = self.page;
        spec.source.pool_size = self.sessions;
        if self.history.is_some() {
            (spec.polling.load_order, spec.guard.window) = (LoadOrder::PrimaryKey, WINDOW);
        }
        spec
    }

    /// The oracle: nothing that was never committed, nothing twice; how much of what is there now is missing.
    fn look(&self, outside: &Outside) -> std::result::Result<usize, String> {
        // In the order of ids a row is what it was when it was new.
        let identity = |record: i64| if self.case().mode == "incrementing" { record / VERSIONS } else { record };
        let last = outside.database(Database::committed).unwrap_or_default();
        let mut missing = 0;
        for table in &TABLES[..self.tables] {
            let mut counts = BTreeMap::<i64, usize>::new();
            for record in outside.committed(&format!("p_{table}")) {
                let version = ((record / VERSIONS) as usize, (record % VERSIONS) as usize);
                if outside.database(|database| database.store.was_committed(version)) != Some(true) {
                    return Err(format!("{table}: {version:?} was delivered and never committed"));
                }
                *counts.entry(identity(record)).or_default() += 1;
            }
            if let Some((record, count)) = counts.iter().find(|(_, count)| **count > 1) {
                return Err(format!("{table}: {record} was delivered {count} times"));
            }
            let of_table =
                last.iter().filter(|one| outside.database(|database| database.is_in(table, one)) == Some(true));
            missing += of_table.filter(|one| !counts.contains_key(&identity(record_of(one)))).count();
        }
        Ok(missing)
    }

    fn is_wrong(&self) -> bool {
        self.run(true) != Ok(0)
    }

    /// The schedule without faults, writes and lives that the failure does not need.
    fn smaller(mut self) -> Self {
        loop {
            match self.with_less().into_iter().find(Self::is_wrong) {
                Some(found) => self = found,
                None => return self,
            }
        }
    }

    fn with_less(&self) -> Vec<Self> {
        let mut found = Vec::new();
        let mut without = |drop: &dyn Fn(&mut Self)| {
            let mut less = self.clone();
            drop(&mut less);
            found.push(less);
        };
        for write in 0..self.history.as_ref().map_or(0, Vec::len) {
            without(&|less| {
                if let Some(history) = &mut less.history {
                    history.remove(write);
                }
            });
        }
        for life in 0..self.lives.len() {
            without(&|less| drop(less.lives.remove(life)));
            for fault in 0..self.lives[life].faults.len() {
                without(&|less| drop(less.lives[life].faults.drain(fault..=fault)));
            }
            for write in 0..self.lives[life].writes.len() {
                without(&|less| drop(less.lives[life].writes.drain(write..=write)));
            }
        }
        found
    }
}

#[test]
fn ten_thousand_schedules_of_late_commits_end_in_exactly_once_by_every_method() {
    let failed = first_failing(10_000, |seed| {
        let schedule = Schedule::new(seed);
        schedule.is_wrong().then_some(schedule)
    });
    if let Some(schedule) = failed {
        let smaller = schedule.smaller();
        panic!("{:?}: ROWTIDE_TEST_SEED={}\n{smaller:#?}", smaller.run(true), smaller.seed);
    }
}

#[test]
fn first_loads_in_the_order_of_the_key_are_gone_on_with_by_the_next_life() {
    let resumed = |seed| {
        let schedule = Schedule::new(seed);
        schedule.history.is_some() && schedule.lives.len() > 1 && schedule.run(true) == Ok(0)
    };
    let before = key_pages();
    assert!((0..400).filter(|seed| resumed(*seed)).count() > 50);
    assert!(key_pages() > before + 10, "the schedules prove nothing");
}

#[test]
fn the_same_schedules_lose_rows_without_the_guard() {
    for case in 0..CASES.len() as u64 {
        let seeds = (0..240).map(|n| n * CASES.len() as u64 + case);
        let lost: usize = seeds.map(|seed| Schedule::new(seed).run(false).unwrap_or_default()).sum();
        assert!(lost > 5, "{:?}: only {lost} rows lost: the schedules prove nothing", CASES[case as usize]);
    }
}
