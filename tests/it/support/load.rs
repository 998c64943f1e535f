//! Load: one session that writes one statement after the other, each its own transaction. With several
//! writers at once a row could commit behind the position, which is another test's subject.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use fastrand::Rng;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::db::{Postgres, runtime};

/// Random numbers that can be had again: the seed is printed, and `ROWTIDE_TEST_SEED` sets it.
pub fn random() -> Rng {
    let given = std::env::var("ROWTIDE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("ROWTIDE_TEST_SEED={seed}");
    Rng::with_seed(seed)
}

/// Writes until it is stopped.
pub struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Writer {
    /// `statement` makes the n-th statement.
    pub fn start(
        database: &Postgres,
        mut rng: Rng,
        statement: impl Fn(&mut Rng, usize) -> String + Send + 'static,
    ) -> Self {
        let (url, stop) = (database.url(), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            runtime().block_on(async {
                let mut connection = PgConnection::connect(&url).await.expect("connect");
                let mut count = 0;
                while !stopped.load(Ordering::Relaxed) {
                    let sql = statement(&mut rng, count);
                    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.expect("write");
                    count += 1;
                    // The pace of the load, not a wait for anything.
                    tokio::time::sleep(Duration::from_millis(rng.u64(1..20))).await;
                }
                count
            })
        });
        Self { stop, thread }
    }

    /// Ends it; how many statements were written.
    pub fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the writer")
    }
}

/// Inserts, and now and then an update of recent rows. Every version has an `item` of its own; `touch` is
/// what an update sets besides, where no trigger does.
pub fn inserts_and_updates(
    table: &'static str,
    touch: &'static str,
) -> impl Fn(&mut Rng, usize) -> String + Send + 'static {
    move |rng, n| {
        if rng.u8(..4) > 0 {
            return format!(
                "insert into {table} (item) select 'insert {n}.' || g from generate_series(1, {}) g",
                rng.u8(1..40)
            );
        }
        let (modulus, rest) = (rng.u8(2..5), rng.u8(..2));
        format!(
            "update {table} set item = 'update {n}'{touch} where seq > (select max(seq) - 60 from {table}) and seq % {modulus} = {rest}"
        )
    }
}

/// Inserts only.
pub fn inserts(table: &'static str) -> impl Fn(&mut Rng, usize) -> String + Send + 'static {
    move |rng, n| {
        format!("insert into {table} (item) select 'insert {n}.' || g from generate_series(1, {}) g", rng.u8(1..40))
    }
}
