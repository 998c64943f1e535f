//! The model's database: versions of rows, transactions with subtransactions, snapshots as PostgreSQL takes them.

use std::collections::{BTreeMap, BTreeSet};

use super::World;
use crate::guard::watermark::Observation;
use crate::model::{Micros, OpenTransaction, OpenTransactions, View};

/// A tenth of a second.
pub(crate) const TICK: Micros = 100_000;

/// A step of a writer; numbers choose among what is there, so that any part of a schedule is a schedule.
#[derive(Debug, Clone)]
pub(crate) enum Write {
    /// A transaction begins; it took its time so many ticks ago.
    Begin(u8),
    Insert(u8),
    /// An update by a transaction of a row; true if the time is that of the statement.
    Update(u8, u8, bool),
    Savepoint(u8),
    Release(u8),
    RollbackTo(u8),
    Commit(u8),
    Abort(u8),
    Prepare(u8),
    Tick(u8),
    /// The clock steps back.
    StepBack(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Prepared,
    Ended,
}

struct Transaction {
    began: Micros,
    phase: Phase,
    /// Ids by level; a level's ids are rolled back with it. The first of each is its own.
    levels: Vec<Vec<u64>>,
}

/// A version of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    pub time: Micros,
    pub key: usize,
    pub number: usize,
    pub id: u64,
}

pub(crate) struct Store {
    pub clock: Micros,
    /// A clock that only goes forward.
    pub steady: Micros,
    pub has_stepped_back: bool,
    next_id: u64,
    transactions: Vec<Transaction>,
    /// Versions of each row, in the order they were written.
    rows: Vec<Vec<Version>>,
    dead: BTreeSet<u64>,
    committed: BTreeSet<u64>,
    owner: BTreeMap<u64, usize>,
    /// True if others may see when a transaction began.
    pub shows_starts: bool,
    pub world: World,
}

impl Store {
    pub(crate) fn new(first_id: u64, shows_starts: bool, world: World) -> Self {
        Self {
            clock: world.start,
            steady: 0,
            has_stepped_back: false,
            next_id: first_id,
            transactions: Vec::new(),
            rows: Vec::new(),
            dead: BTreeSet::new(),
            committed: BTreeSet::new(),
            owner: BTreeMap::new(),
            shows_starts,
            world,
        }
    }

    pub(crate) fn apply(&mut self, write: &Write) {
        match *write {
            Write::Begin(ago) => {
                let began = self.clock - i64::from(ago % 9) * TICK;
                self.transactions.push(Transaction { began, phase: Phase::Open, levels: vec![Vec::new()] });
            }
            Write::Insert(which) => {
                let Some(index) = self.choose(which, Phase::Open) else { return };
                let (id, key) = (self.id_of(index), self.rows.len());
                let time = self.world.clock.at(self.transactions[index].began);
                self.rows.push(vec![Version { time, key, number: 0, id }]);
            }
            Write::Update(which, row, of_statement) => {
                let Some(index) = self.choose(which, Phase::Open) else { return };
                let key = usize::from(row) % self.rows.len().max(1);
                let alive = |version: &&Version| !self.dead.contains(&version.id);
                let Some(last) = self.rows.get(key).and_then(|row| row.iter().rev().find(alive)) else { return };
                let is_locked = !self.committed.contains(&last.id) && self.owner[&last.id] != index;
                if is_locked {
                    return;
                }
                let time = if of_statement { self.clock } else { self.transactions[index].began };
                let (id, number) = (self.id_of(index), self.rows[key].len());
                let time = self.world.clock.at(time);
                self.rows[key].push(Version { time, key, number, id });
            }
            Write::Savepoint(which) => {
                if let Some(index) = self.choose(which, Phase::Open) {
                    self.transactions[index].levels.push(Vec::new());
                }
            }
            Write::Release(which) => {
                let Some(index) = self.choose(which, Phase::Open) else { return };
                let levels = &mut self.transactions[index].levels;
                if levels.len() > 1 {
                    let released = levels.pop().unwrap();
                    levels.last_mut().unwrap().extend(released);
                }
            }
            Write::RollbackTo(which) => {
                let Some(index) = self.choose(which, Phase::Open) else { return };
                let levels = &mut self.transactions[index].levels;
                if levels.len() > 1 {
                    self.dead.extend(levels.pop().unwrap());
                }
            }
            Write::Commit(which) => self.end(which, true),
            Write::Abort(which) => self.end(which, false),
            Write::Prepare(which) => {
                if let Some(index) = self.choose(which, Phase::Open) {
                    self.transactions[index].phase = Phase::Prepared;
                }
            }
            Write::Tick(ticks) => {
                self.clock += i64::from(ticks) * TICK;
                self.steady += i64::from(ticks) * TICK;
            }
            Write::StepBack(ticks) => {
                self.clock -= i64::from(ticks) * TICK;
                self.has_stepped_back = true;
            }
        }
    }

    /// The clock goes on.
    pub(crate) fn pass(&mut self, time: Micros) {
        self.clock += time;
        self.steady += time;
    }

    fn choose(&self, which: u8, phase: Phase) -> Option<usize> {
        let open: Vec<usize> = (0..self.transactions.len()).filter(|i| self.transactions[*i].phase == phase).collect();
        (!open.is_empty()).then(|| open[usize::from(which) % open.len()])
    }

    /// The id of the innermost level; levels around it get theirs first.
    fn id_of(&mut self, index: usize) -> u64 {
        for level in &mut self.transactions[index].levels {
            if level.is_empty() {
                level.push(self.next_id);
                self.owner.insert(self.next_id, index);
                self.next_id += 1;
                if self.next_id as u32 == 0 {
                    self.next_id += 3;
                }
            }
        }
        self.transactions[index].levels.last().unwrap()[0]
    }

    fn end(&mut self, which: u8, commits: bool) {
        let phase = if which.is_multiple_of(2) { Phase::Open } else { Phase::Prepared };
        let Some(index) = self.choose(which / 2, phase) else { return };
        self.transactions[index].phase = Phase::Ended;
        let ids = self.transactions[index].levels.concat();
        if commits { self.committed.extend(ids) } else { self.dead.extend(ids) }
    }

    /// Ends whatever is open, most of it well, and waits until all of it lies in the past.
    pub(crate) fn finish(&mut self) {
        for which in 0..self.transactions.len() * 2 {
            self.end((which % 4) as u8, !which.is_multiple_of(3));
        }
        for phase in [0, 1].repeat(self.transactions.len()) {
            self.end(phase, true);
        }
        let world = self.world;
        self.wait_for(|version, clock| version.time < world.highest_until(clock));
    }

    /// Lets the clock go on until something is true of every version.
    pub(crate) fn wait_for(&mut self, holds: impl Fn(&Version, Micros) -> bool) {
        while !self.rows.iter().flatten().all(|version| holds(version, self.clock)) {
            self.apply(&Write::Tick(u8::MAX));
        }
    }

    fn is_running(&self, id: u64) -> bool {
        let in_phase = self.owner.get(&id).is_some_and(|index| self.transactions[*index].phase != Phase::Ended);
        in_phase && !self.dead.contains(&id)
    }

    pub(crate) fn observe(&self, since: Micros) -> Observation {
        let open = |prefix: char, wanted: Phase| {
            let all = self.transactions.iter().enumerate().filter(move |(_, one)| one.phase == wanted);
            let shown = |(index, one): (usize, &Transaction)| OpenTransaction {
                name: format!("{prefix}{index}"),
                holder: None,
                began: (self.shows_starts && wanted == Phase::Open).then_some(one.began),
            };
            all.map(shown).collect::<Vec<_>>()
        };
        let passed = self.steady - since;
        let (sessions, prepared) = (open('s', Phase::Open), open('p', Phase::Prepared));
        Observation {
            open: OpenTransactions { clock: self.clock, sessions, prepared, is_stale: false },
            passed: (passed, passed),
        }
    }

    /// A view, and what it shows: the visible version of each row.
    pub(crate) fn view(&self) -> (View, Vec<Version>) {
        let top = |one: &Transaction| one.levels[0].first().copied().filter(|_| one.phase != Phase::Ended);
        let running: Vec<u64> = self.transactions.iter().filter_map(top).collect();
        let xmin = running.iter().min().copied().unwrap_or(self.next_id);
        let visible = |row: &Vec<Version>| row.iter().rev().find(|one| self.committed.contains(&one.id)).copied();
        (View { xmin, xmax: self.next_id, running }, self.rows.iter().filter_map(visible).collect())
    }

    pub(crate) fn in_progress(&self, ids: impl Iterator<Item = u64>) -> Vec<u64> {
        ids.filter(|id| self.is_running(*id)).collect()
    }

    /// True if a version of a row, by key and number, was ever committed.
    pub(crate) fn was_committed(&self, (key, number): (usize, usize)) -> bool {
        let version = self.rows.get(key).and_then(|row| row.get(number));
        version.is_some_and(|version| self.committed.contains(&version.id))
    }
}
