//! The whole way: rows of the W1 shape in PostgreSQL, through the real binary, to a real broker, as Avro and
//! in transactions. Beside it, in the same run and on the same machine, two floors nobody can get under:
//! draining the same SELECT with sqlx and discarding it, and producing as many ready-made messages of the
//! same size in transactions of 200,000. What counts are the ratios; absolute figures are the machine's.
//! The clocks of the floors start when they are connected; so does the one of rowtide that is compared, at
//! its first poll. The time from process start to exit is printed beside it.
//!
//! `cargo bench --bench end_to_end` with the addresses of `scripts/services env`;
//! `ROWTIDE_BENCH_ROWS` (default 2,000,000) and `ROWTIDE_BENCH_RUNS` (default 3) change the size.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::util::Timeout;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The size of transactions of the produce floor.
const FLOOR_TRANSACTION: usize = 200_000;

fn main() -> Outcome<()> {
    let rows = number("ROWTIDE_BENCH_ROWS", 2_000_000)?;
    let runs = number("ROWTIDE_BENCH_RUNS", 3)?;
    let stack = Stack::from_environment()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let name = format!("bench_{:08x}", fastrand::u32(..));
    println!("preparing {rows} rows in database {name}");
    runtime.block_on(prepare(&stack, &name, rows))?;
    let mut drain = Vec::new();
    let mut produce = Vec::new();
    let mut rowtide = Vec::new();
    let mut whole = Vec::new();
    let mut peak = 0;
    for run in 0..runs {
        drain.push(rate(rows, runtime.block_on(drain_floor(&stack, &name, rows))?));
        produce.push(rate(rows, produce_floor(&stack, &format!("{name}_floor_{run}"), rows)?));
        let measured = run_rowtide(&stack, &name, run)?;
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
    runtime.block_on(clean_up(&stack, &name))?;
    let (drain, produce, rowtide, whole) = (median(drain), median(produce), median(rowtide), median(whole));
    println!();
    println!("floor: sqlx drains the same SELECT        {:>12.0} rows/s", drain);
    println!("floor: produce, transactions of {FLOOR_TRANSACTION}   {:>12.0} messages/s", produce);
    println!("rowtide, first poll to last commit        {:>12.0} rows/s", rowtide);
    println!("rowtide, process start to exit            {:>12.0} rows/s", whole);
    println!("ratio to the slower floor                 {:>12.2}", rowtide / drain.min(produce));
    println!("peak RSS                                  {:>12.1} MiB", peak as f64 / 1024.0);
    Ok(())
}

struct Stack {
    postgres: String,
    brokers: String,
    registry: String,
}

impl Stack {
    fn from_environment() -> Outcome<Self> {
        let address = |name: &str| {
            std::env::var(name)
                .map_err(|_| format!("{name} is not set: scripts/services start; eval \"$(scripts/services env)\""))
        };
        Ok(Self {
            postgres: address("ROWTIDE_TEST_POSTGRES_URL")?,
            brokers: address("ROWTIDE_TEST_BOOTSTRAP")?,
            registry: address("ROWTIDE_TEST_REGISTRY_URL")?,
        })
    }

    fn database(&self, name: &str) -> String {
        let server = self.postgres.rsplit_once('/').map_or(self.postgres.as_str(), |(server, _)| server);
        format!("{server}/{name}")
    }
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

async fn prepare(stack: &Stack, name: &str, rows: usize) -> Outcome<()> {
    let mut server = PgConnection::connect(&stack.postgres).await?;
    server.execute(AssertSqlSafe(format!("create database {name}"))).await?;
    let mut database = PgConnection::connect(&stack.database(name)).await?;
    database.execute(sqlx::raw_sql(include_str!("../migrations/postgres/0001_test_table.sql"))).await?;
    let fill = format!(
        "insert into test_table (ts, item, price, category)
         select timestamp '2020-01-01' + n * interval '1 millisecond', 'item ' || n % 1000, n % 5000, 'category ' || n % 10
         from generate_series(1, {rows}) as n"
    );
    database.execute(AssertSqlSafe(fill)).await?;
    database.execute("vacuum analyze test_table").await?;
    Ok(())
}

async fn clean_up(stack: &Stack, name: &str) -> Outcome<()> {
    let mut server = PgConnection::connect(&stack.postgres).await?;
    server.execute(AssertSqlSafe(format!("drop database {name} with (force)"))).await?;
    Ok(())
}

async fn drain_floor(stack: &Stack, name: &str, rows: usize) -> Outcome<Duration> {
    let mut database = PgConnection::connect(&stack.database(name)).await?;
    let started = Instant::now();
    let mut drained = 0;
    let mut stream = sqlx::query("select * from test_table order by ts, seq").fetch(&mut database);
    while stream.try_next().await?.is_some() {
        drained += 1;
    }
    assert_eq!(drained, rows);
    Ok(started.elapsed())
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

fn run_rowtide(stack: &Stack, database: &str, run: usize) -> Outcome<Measured> {
    let name = format!("{database}_{run}");
    let url = stack.database(database);
    let address = url.rsplit_once('@').map_or(url.as_str(), |(_, address)| address);
    let document = serde_json::json!({"name": name, "config": {
        "connection.url": format!("jdbc:postgresql://{address}"),
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
