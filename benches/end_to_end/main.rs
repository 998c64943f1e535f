//! The whole way: rows of the W1 shape in a database, through the real binary, to a real broker, as Avro and
//! in transactions. Beside it, in the same run and on the same machine, two floors nobody can get under:
//! draining the same SELECT with sqlx and discarding it, and producing as many ready-made messages of the
//! same size in transactions of 200,000. What counts are the ratios; absolute figures are the machine's.
//! The clocks of the floors start when they are connected; so does the one of rowtide that is compared, at
//! its first poll. The time from process start to exit is printed beside it.
//!
//! `cargo bench --bench end_to_end` with the addresses of `scripts/services env`;
//! `ROWTIDE_BENCH_DATABASES` (default `postgres`; `postgres,mysql,mariadb,tidb,sqlite`), `ROWTIDE_BENCH_ROWS`
//! (default 2,000,000) and `ROWTIDE_BENCH_RUNS` (default 3) change what is measured.

#![allow(clippy::print_stdout, clippy::disallowed_methods)]

#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::util::Timeout;

use support::database::{Age, Database};
use support::{Outcome, Stack, median, number, rate, run_rowtide};

/// The size of transactions of the produce floor.
const FLOOR_TRANSACTION: usize = 200_000;

fn main() -> Outcome<()> {
    let rows = number("ROWTIDE_BENCH_ROWS", 2_000_000)?;
    let runs = number("ROWTIDE_BENCH_RUNS", 3)?;
    let databases = std::env::var("ROWTIDE_BENCH_DATABASES").unwrap_or_else(|_| "postgres".to_owned());
    let stack = Stack::get()?;
    for database in databases.split(',').map(str::trim) {
        measure(&stack, database, rows, runs)?;
    }
    Ok(())
}

fn measure(stack: &Stack, database: &str, rows: usize, runs: usize) -> Outcome<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let name = format!("bench_{:08x}", fastrand::u32(..));
    println!("{database}: preparing {rows} rows");
    let database = runtime.block_on(Database::prepare(database, &name, rows, Age::Years))?;
    let mut drain = Vec::new();
    let mut produce = Vec::new();
    let mut rowtide = Vec::new();
    let mut whole = Vec::new();
    let mut peak = 0;
    for run in 0..runs {
        drain.push(rate(rows, runtime.block_on(database.drain_floor(rows))?));
        produce.push(rate(rows, produce_floor(stack, &format!("{name}_floor_{run}"), rows)?));
        let measured = run_rowtide(stack, &database, &format!("{name}_{run}"), &[])?;
        rowtide.push(rate(rows, measured.reading));
        whole.push(rate(rows, measured.whole));
        peak = peak.max(measured.peak_kib);
        println!(
            "run {}: drain {:.2} M/s, produce {:.2} M/s, rowtide {:.2} M/s (start to exit {:.2} M/s), peak RSS {:.1} MiB",
            run + 1,
            drain[run] / 1e6,
            produce[run] / 1e6,
            rowtide[run] / 1e6,
            whole[run] / 1e6,
            measured.peak_kib as f64 / 1024.0
        );
    }
    println!("{}, medians", database.name);
    runtime.block_on(database.clean_up())?;
    let (drain, produce, rowtide, whole) = (median(drain), median(produce), median(rowtide), median(whole));
    println!("floor: sqlx drains the same SELECT        {drain:>12.0} rows/s");
    println!("floor: produce, transactions of {FLOOR_TRANSACTION}   {produce:>12.0} messages/s");
    println!("rowtide, first poll to last commit        {rowtide:>12.0} rows/s");
    println!("rowtide, process start to exit            {whole:>12.0} rows/s");
    println!("ratio to the slower floor                 {:>12.2}", rowtide / drain.min(produce));
    println!("peak RSS                                  {:>12.1} MiB", peak as f64 / 1024.0);
    println!();
    Ok(())
}

fn produce_floor(stack: &Stack, topic: &str, rows: usize) -> Outcome<Duration> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &stack.brokers)
        .set("transactional.id", topic)
        .set("linger.ms", "5")
        .set("queue.buffering.max.messages", "200000")
        .create()?;
    producer.init_transactions(Timeout::Never)?;
    // The size of a W1 record: prefix, id, timestamp, two short texts, a price; and its key.
    let (key, value) = ([7_u8; 9], [7_u8; 46]);
    let started = Instant::now();
    let mut left = rows;
    while left > 0 {
        let size = left.min(FLOOR_TRANSACTION);
        producer.begin_transaction()?;
        for _ in 0..size {
            let mut record = BaseRecord::to(topic).key(&key[..]).payload(&value[..]);
            while let Err((error, refused)) = producer.send(record) {
                let KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) = error else {
                    return Err(error.into());
                };
                producer.poll(Duration::from_millis(1));
                record = refused;
            }
        }
        while producer.in_flight_count() > 0 {
            producer.poll(Duration::from_millis(1));
        }
        producer.commit_transaction(Timeout::Never)?;
        left -= size;
    }
    Ok(started.elapsed())
}
