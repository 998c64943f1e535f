//! The whole way: rows of the W1 shape in a database, through the real binary, to a real broker, as Avro and
//! in transactions. Beside it, in the same run and on the same machine, two floors nobody can get under:
//! draining the same SELECT with sqlx and discarding it, and producing as many ready-made messages of the
//! same size in transactions of 200,000. What counts are the ratios; absolute figures are the machine's.
//! The clocks of the floors start when they are connected; so does the one of rowtide that is compared, at
//! its first poll. The time from process start to exit is printed beside it.
//!
//! `cargo bench --bench end_to_end` with the addresses of `scripts/services env`;
//! `ROWTIDE_BENCH_DATABASES` (default `postgres`; `postgres,mysql,mariadb,tidb,sqlite`), `ROWTIDE_BENCH_ROWS`
//! (default 2,000,000), `ROWTIDE_BENCH_RUNS` (default 3) and `ROWTIDE_BENCH_LOAD_ORDERS` (default `auto`;
//! `cursor,primary_key` compares both in turn) change what is measured.

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

/// The runs of rowtide in one order of the load.
struct Order {
    name: String,
    reading: Vec<f64>,
    whole: Vec<f64>,
    peak_kib: u64,
}

fn measure(stack: &Stack, database: &str, rows: usize, runs: usize) -> Outcome<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let name = format!("bench_{:08x}", fastrand::u32(..));
    println!("{database}: preparing {rows} rows");
    let database = runtime.block_on(Database::prepare(database, &name, rows, Age::Years))?;
    let orders = std::env::var("ROWTIDE_BENCH_LOAD_ORDERS").unwrap_or_else(|_| "auto".to_owned());
    let order =
        |name: &str| Order { name: name.trim().to_owned(), reading: Vec::new(), whole: Vec::new(), peak_kib: 0 };
    let mut orders: Vec<Order> = orders.split(',').map(order).collect();
    let (mut drain, mut produce) = (Vec::new(), Vec::new());
    for run in 1..=runs {
        drain.push(rate(rows, runtime.block_on(database.drain_floor(rows))?));
        produce.push(rate(rows, produce_floor(stack, &format!("{name}_floor_{run}"), rows)?));
        for order in &mut orders {
            let topic = format!("{name}_{run}_{}", order.name);
            let measured = run_rowtide(stack, &database, &topic, &[("load.order", &order.name)])?;
            let (reading, whole) = (rate(rows, measured.reading), rate(rows, measured.whole));
            println!(
                "run {run}: drain {:.2} M/s, produce {:.2} M/s, rowtide, load.order={}, {:.2} M/s (start to exit {:.2} \
                 M/s), peak RSS {:.1} MiB",
                drain[run - 1] / 1e6,
                produce[run - 1] / 1e6,
                order.name,
                reading / 1e6,
                whole / 1e6,
                measured.peak_kib as f64 / 1024.0
            );
            order.reading.push(reading);
            order.whole.push(whole);
            order.peak_kib = order.peak_kib.max(measured.peak_kib);
        }
    }
    println!("{}, medians", database.name);
    runtime.block_on(database.clean_up())?;
    let (drain, produce) = (median(drain), median(produce));
    println!("floor: sqlx drains the same SELECT        {drain:>12.0} rows/s");
    println!("floor: produce, transactions of {FLOOR_TRANSACTION}   {produce:>12.0} messages/s");
    for Order { name, reading, whole, peak_kib } in orders {
        let (reading, whole) = (median(reading), median(whole));
        println!("load.order={name}");
        println!("rowtide, first poll to last commit        {reading:>12.0} rows/s");
        println!("rowtide, process start to exit            {whole:>12.0} rows/s");
        println!("ratio to the slower floor                 {:>12.2}", reading / drain.min(produce));
        println!("the same, start to exit                   {:>12.2}", whole / drain.min(produce));
        println!("peak RSS                                  {:>12.1} MiB", peak_kib as f64 / 1024.0);
    }
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
