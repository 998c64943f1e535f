//! Load: one session that writes one statement after the other, each its own transaction. With several
//! writers at once a row could commit behind the position, which is another test's subject.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::db::{Source, runtime};
use fastrand::Rng;

/// Random numbers that can be had again: the seed is printed, and `ROWTIDE_TEST_SEED` sets it.
pub fn random() -> Rng {
    let given = std::env::var("ROWTIDE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("ROWTIDE_TEST_SEED={seed}");
    Rng::with_seed(seed)
}

/// Writes until it is stopped. A server that goes away is waited for: whether its last statement took effect,
/// the table says.
pub struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Writer {
    /// `statement` makes the n-th statement.
    pub fn start(
        database: &impl Source,
        rng: Rng,
        statement: impl Fn(&mut Rng, usize) -> String + Send + 'static,
    ) -> Self {
        Self::paced(database, rng, |_| 1..20, statement)
    }

    /// The same, so many milliseconds after the n-th statement.
    pub fn paced(
        database: &impl Source,
        mut rng: Rng,
        pace: impl Fn(usize) -> Range<u64> + Send + 'static,
        statement: impl Fn(&mut Rng, usize) -> String + Send + 'static,
    ) -> Self {
        let (server, stop) = (database.server(), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            runtime().block_on(async {
                let mut session = server.connect().await.expect("connect");
                let mut count = 0;
                let mut failing = None;
                while !stopped.load(Ordering::Relaxed) {
                    let sql = statement(&mut rng, count);
                    count += 1;
                    match session.run(&sql).await {
                        Ok(()) => failing = None,
                        Err(error) => {
                            let since = *failing.get_or_insert_with(Instant::now);
                            assert!(since.elapsed() < PATIENCE, "the writer cannot write: {error}");
                            if let Ok(again) = server.connect().await {
                                session = again;
                            }
                        }
                    }
                    // The pace of the load, not a wait for anything.
                    tokio::time::sleep(Duration::from_millis(rng.u64(pace(count)))).await;
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
            let rows = rng.u8(1..40);
            return insert(table, n, rows);
        }
        let (modulus, rest) = (rng.u8(2..5), rng.u8(..2));
        // MySQL reads a table it updates only behind another select.
        format!(
            "update {table} set item = 'update {n}'{touch}
             where seq > (select seq from (select max(seq) - 60 as seq from {table}) as recent) and seq % {modulus} = {rest}"
        )
    }
}

/// Inserts only.
pub fn inserts(table: &'static str) -> impl Fn(&mut Rng, usize) -> String + Send + 'static {
    move |rng, n| {
        let rows = rng.u8(1..40);
        insert(table, n, rows)
    }
}

fn insert(table: &str, n: usize, rows: u8) -> String {
    let values: Vec<_> = (1..=rows).map(|row| format!("('insert {n}.{row}')")).collect();
    format!("insert into {table} (item) values {}", values.join(", "))
}
