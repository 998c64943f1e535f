//! Writers that make rows commit late, in all the ways their database knows: transactions that hold what they took while
//! others pass, idle before their first row, savepoints, exceptions, prepared transactions, rollbacks, statements that
//! wait for a lock, updates.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use fastrand::Rng;
use sqlx::mysql::MySqlDatabaseError;
use tokio::task::JoinHandle;

use super::place::{Kind, Place};
use crate::support::db::{Session, runtime};

/// The number of rows before the load. They are those at which updates wait for each other.
pub const SEEDS: i64 = 50;

/// The parts of a load.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub writers: i64,
    pub time: Duration,
    /// The longest time for which a transaction is held between two of its statements.
    pub longest: Duration,
}

/// Runs the load. `meanwhile` is called again and again until its time is over; then the writers end their last
/// transactions.
pub fn run(place: &Place, load: Load, mut rng: Rng, mut meanwhile: impl FnMut(&mut Rng)) {
    let mut writers = Writers::start(place, load, &mut rng);
    let end = Instant::now() + load.time;
    while Instant::now() < end {
        meanwhile(&mut rng);
    }
    writers.finish().expect("a writer");
}

/// Stopped with the test: what is left open or prepared would keep the database from being dropped.
struct Writers {
    stop: Arc<AtomicBool>,
    all: Vec<JoinHandle<()>>,
}

impl Writers {
    fn start(place: &Place, load: Load, rng: &mut Rng) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let ids = Arc::new(AtomicI64::new(SEEDS));
        // One after the other: a server lets only so many in at the same time.
        let connect = |_| runtime().block_on(place.server().connect()).expect("connect");
        let sessions: Vec<_> = (0..load.writers).map(connect).collect();
        let start = |(number, session)| {
            let writer = Writer {
                kind: place.kind,
                number,
                name: format!("{}w{number}", place.name()),
                longest: load.longest,
                rng: rng.fork(),
                ids: Arc::clone(&ids),
                version: number * 1_000_000,
                transactions: 0,
            };
            runtime().spawn(writer.write(session, Arc::clone(&stop)))
        };
        Self { all: (0..).zip(sessions).map(start).collect(), stop }
    }

    fn finish(&mut self) -> Result<(), tokio::task::JoinError> {
        self.stop.store(true, Ordering::Relaxed);
        let all = std::mem::take(&mut self.all);
        // All of them, also if one has failed.
        let ends: Vec<_> = all.into_iter().map(|writer| runtime().block_on(writer)).collect();
        ends.into_iter().collect()
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        let _ = self.finish();
    }
}

enum Step {
    Run(String),
    Hold(Duration),
}

struct Writer {
    kind: Kind,
    number: i64,
    /// Known to no other test on the server.
    name: String,
    longest: Duration,
    rng: Rng,
    /// The last id taken, where the database gives none.
    ids: Arc<AtomicI64>,
    version: i64,
    transactions: usize,
}

impl Writer {
    async fn write(mut self, mut session: Session, stop: Arc<AtomicBool>) {
        let setup = match self.kind {
            Kind::Postgres => "",
            // Without locks on gaps, which would let one writer stop all.
            Kind::MySql | Kind::MariaDb => {
                "set session transaction isolation level read committed; set session innodb_lock_wait_timeout = 5"
            }
            Kind::TiDb => "set session innodb_lock_wait_timeout = 5",
            Kind::Sqlite => "pragma busy_timeout = 60000",
        };
        session.run(setup).await.expect("set up");
        while !stop.load(Ordering::Relaxed) {
            for step in self.transaction() {
                match step {
                    // The pace of the load, not a wait for anything.
                    Step::Hold(time) => tokio::time::sleep(time).await,
                    Step::Run(sql) => {
                        if let Err(error) = session.run(&sql).await {
                            assert!(is_conflict(&error), "{sql}: {error}");
                            session.run("rollback").await.expect("roll back");
                            break;
                        }
                    }
                }
            }
        }
    }

    /// The next transaction.
    fn transaction(&mut self) -> Vec<Step> {
        self.transactions += 1;
        match self.kind {
            Kind::Postgres => self.on_postgres(),
            Kind::MySql | Kind::MariaDb | Kind::TiDb => self.on_mysql(),
            Kind::Sqlite => self.on_sqlite(),
        }
    }

    fn on_postgres(&mut self) -> Vec<Step> {
        let mut steps = vec![sql("begin")];
        // `now()` is of here, the transaction's id of its first write.
        self.sometimes_hold(&mut steps);
        for _ in 0..self.rng.u8(1..4) {
            let (one, other) = (self.insert(), self.insert());
            steps.push(sql(match self.rng.u8(..8) {
                0 => format!("savepoint s; {one}; release s; {other}"),
                1 => format!("savepoint s; {one}; rollback to s; {other}"),
                2 => format!("do $$ begin {one}; exception when others then null; end $$"),
                3 => format!("do $$ begin {one}; perform 1 / 0; exception when others then {other}; end $$"),
                4 | 5 => format!(
                    "update t set version = {}, ts = now() where id = (
                       select id from t where id >= {} order by id limit 1 for update skip locked)",
                    self.next_version(),
                    self.rng.u32(..2_000)
                ),
                _ => one,
            }));
            steps.push(self.hold());
        }
        let name = format!("{}t{}", self.name, self.transactions);
        match self.rng.u8(..10) {
            0 => steps.push(sql("rollback")),
            // Some servers have room for few.
            1 if self.number % 3 == 0 => {
                let end = self.end();
                steps.extend([sql(format!("prepare transaction '{name}'")), self.hold()]);
                steps.push(sql(format!("{end} prepared '{name}'")));
            }
            _ => steps.push(sql("commit")),
        }
        steps
    }

    fn on_mysql(&mut self) -> Vec<Step> {
        if self.kind != Kind::TiDb && self.rng.u8(..8) == 0 {
            return self.as_xa();
        }
        let is_optimistic = self.kind == Kind::TiDb && self.rng.u8(..6) == 0;
        let mut steps = vec![sql(if is_optimistic { "begin optimistic" } else { "begin" })];
        self.sometimes_hold(&mut steps);
        for _ in 0..self.rng.u8(1..4) {
            let (one, other) = (self.insert(), self.insert());
            steps.push(sql(match self.rng.u8(..8) {
                0 => format!("savepoint s; {one}; release savepoint s; {other}"),
                1 => format!("savepoint s; {one}; rollback to savepoint s; {other}"),
                // Many meet at few rows: one that waits writes the time at which it began to.
                2 | 3 => {
                    let among = if self.rng.bool() { SEEDS } else { 2_000 };
                    let from = self.rng.i64(1..=among);
                    let version = self.next_version();
                    format!("update t set version = {version} where id >= {from} order by id limit 1")
                }
                _ => one,
            }));
            steps.push(self.hold());
        }
        steps.push(sql(self.end()));
        steps
    }

    /// Prepared, held, and ended.
    fn as_xa(&mut self) -> Vec<Step> {
        let name = format!("{}t{}", self.name, self.transactions);
        let mut steps = vec![sql(format!("xa start '{name}'"))];
        for _ in 0..self.rng.u8(1..3) {
            steps.extend([sql(self.insert()), self.hold()]);
        }
        steps.push(sql(format!("xa end '{name}'; xa prepare '{name}'")));
        if self.kind == Kind::MySql && self.rng.bool() {
            // The session is free for something else.
            steps.push(sql(self.insert()));
        }
        steps.extend([self.hold(), sql(format!("xa {} '{name}'", self.end()))]);
        steps
    }

    /// On SQLite the values are known, and old, before the only lock there is has been had.
    fn on_sqlite(&mut self) -> Vec<Step> {
        let mut writes = Vec::new();
        for _ in 0..self.rng.u8(1..4) {
            writes.push(sql(if self.rng.u8(..4) == 0 {
                let (version, now) = (self.next_version(), now_of_sqlite());
                let from = self.rng.u32(..2_000);
                format!(
                    "update t set version = {version}, ts = {now} where id = (select min(id) from t where id >= {from})"
                )
            } else {
                self.insert()
            }));
        }
        let mut steps = vec![self.hold(), sql("begin immediate")];
        steps.extend(writes);
        steps.push(sql(self.end()));
        steps
    }

    fn insert(&mut self) -> String {
        let version = self.next_version();
        if self.kind != Kind::Sqlite {
            return format!("insert into t (version) values ({version})");
        }
        let id = self.ids.fetch_add(1, Ordering::Relaxed) + 1;
        format!("insert into t (id, ts, version) values ({id}, {}, {version})", now_of_sqlite())
    }

    fn next_version(&mut self) -> i64 {
        self.version += 1;
        self.version
    }

    fn end(&mut self) -> &'static str {
        if self.rng.u8(..8) == 0 { "rollback" } else { "commit" }
    }

    /// Mostly short, now and then long.
    fn hold(&mut self) -> Step {
        let millis = match self.rng.u8(..100) {
            0 => self.rng.u128(..self.longest.as_millis()) as u64,
            1..10 => self.rng.u64(..2_500),
            _ => self.rng.u64(..60),
        };
        Step::Hold(Duration::from_millis(millis))
    }

    fn sometimes_hold(&mut self, steps: &mut Vec<Step>) {
        if self.rng.u8(..3) == 0 {
            steps.push(self.hold());
        }
    }
}

fn sql(statement: impl Into<String>) -> Step {
    Step::Run(statement.into())
}

/// The clock of whoever writes, as the text that SQLite would make of it.
pub fn now_of_sqlite() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    format!("strftime('%Y-%m-%d %H:%M:%f', {}.{:03}, 'unixepoch')", now.as_secs(), now.subsec_millis())
}

/// True if a transaction has lost against another: a lock not had in time, a deadlock, a conflict at the commit.
fn is_conflict(error: &sqlx::Error) -> bool {
    let error = error.as_database_error().and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>());
    // TiDB's 8022 and 9004 are commits that have failed: rolled back, or in the way of others for too long. The storage
    // it brings along has no number for a lock.
    error.is_some_and(|error| {
        [1205, 1213, 8022, 9004, 9007].contains(&error.number()) || error.message() == "lock wait timeout"
    })
}
