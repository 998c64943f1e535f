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

#![allow(clippy::print_stdout)]

mod database;

use std::error::Error;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::util::Timeout;

use database::Database;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The size of transactions of the produce floor.
const FLOOR_TRANSACTION: usize = 200_000;

fn main() -> Outcome<()> {
    let rows = number("ROWTIDE_BENCH_ROWS", 2_000_000)?;
    let runs = number("ROWTIDE_BENCH_RUNS", 3)?;
    let databases = std::env::var("ROWTIDE_BENCH_DATABASES").unwrap_or_else(|_| "postgres".to_owned());
    let stack = Stack { brokers: address("ROWTIDE_TEST_BOOTSTRAP")?, registry: address("ROWTIDE_TEST_REGISTRY_URL")? };
    for database in databases.split(',').map(str::trim) {
        measure(&stack, database, rows, runs)?;
    }
    Ok(())
}

fn measure(stack: &Stack, database: &str, rows: usize, runs: usize) -> Outcome<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let name = format!("bench_{:08x}", fastrand::u32(..));
    println!("{database}: preparing {rows} rows");
    let database = runtime.block_on(Database::prepare(database, &name, rows))?;
    let mut drain = Vec::new();
    let mut produce = Vec::new();
    let mut rowtide = Vec::new();
    let mut whole = Vec::new();
    let mut peak = 0;
    for run in 0..runs {
        drain.push(rate(rows, runtime.block_on(database.drain_floor(rows))?));
        produce.push(rate(rows, produce_floor(stack, &format!("{name}_floor_{run}"), rows)?));
        let measured = run_rowtide(stack, &database, &format!("{name}_{run}"))?;
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

struct Stack {
    brokers: String,
    registry: String,
}

fn address(name: &str) -> Outcome<String> {
    Ok(std::env::var(name)
        .map_err(|_| format!("{name} is not set: scripts/services start; eval \"$(scripts/services env)\""))?)
}

fn number(name: &str, default: usize) -> Outcome<usize> {
    Ok(std::env::var(name).map_or(Ok(default), |text| text.parse())?)
}

fn rate(rows: usize, took: Duration) -> f64 {
    rows as f64 / took.as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
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

/// One `rowtide run --once`.
struct Measured {
    /// From the first poll to the last commit, by its own log.
    reading: Duration,
    /// From process start to exit.
    whole: Duration,
    /// Its peak resident memory.
    peak_kib: u64,
}

fn run_rowtide(stack: &Stack, database: &Database, name: &str) -> Outcome<Measured> {
    let document = serde_json::json!({"name": name, "config": {
        "connection.url": database.jdbc_url(),
        "connection.user": "connectuser", "connection.password": "connectuser",
        "mode": "timestamp+incrementing", "incrementing.column.name": "seq", "timestamp.column.name": "ts",
        "table.whitelist": "test_table", "topic.prefix": format!("{name}_"), "key.mode": "primary_key",
        "bootstrap.servers": stack.brokers, "offset.storage.topic": "rowtide-bench-offsets",
        "offset.storage.replication.factor": "1", "offset.storage.partitions": "5",
        "value.converter": "io.confluent.connect.avro.AvroConverter",
        "value.converter.schema.registry.url": stack.registry,
    }});
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("connector.json");
    std::fs::write(&file, document.to_string())?;
    let started = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_rowtide"))
        .args(["--log-format", "json", "run", "--once"])
        .arg(&file)
        .stdin(Stdio::null())
        .stderr(std::fs::File::create(folder.path().join("log"))?)
        .spawn()?;
    let status_file = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let text = std::fs::read_to_string(&status_file).unwrap_or_default();
        let high_water = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = high_water.and_then(|text| text.trim().trim_end_matches(" kB").trim().parse().ok());
        peak = peak.max(kib.unwrap_or(0));
        std::thread::park_timeout(Duration::from_millis(5));
    };
    let whole = started.elapsed();
    let log = std::fs::read_to_string(folder.path().join("log"))?;
    if !status.success() {
        return Err(format!("rowtide ended with {status}: {log}").into());
    }
    let (first, last) = (logged_at(&log, "reading from the beginning")?, logged_at(&log, "done")?);
    Ok(Measured { reading: (last - first).to_std()?, whole, peak_kib: peak })
}

/// The time of the first log line whose message holds a text.
fn logged_at(log: &str, text: &str) -> Outcome<chrono::DateTime<chrono::Utc>> {
    for line in log.lines() {
        let event: serde_json::Value = serde_json::from_str(line)?;
        if event["message"].as_str().is_some_and(|message| message.contains(text)) {
            return Ok(event["timestamp"].as_str().ok_or("a log line without a time")?.parse()?);
        }
    }
    Err(format!("the log does not say `{text}`: {log}").into())
}
