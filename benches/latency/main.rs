//! The time from the commit of a row to its arrival at a reader of committed records, at a small rate: alone, and beside a
//! backfill of a large table. The floor is the wait for the next poll, which nobody gets under: half the interval, and at
//! the 99th percentile 0.99 of it.
//!
//! `cargo bench --bench latency`; on the services of `scripts/services`. `ROWTIDE_BENCH_RATE` rows a second (default 100),
//! `ROWTIDE_BENCH_INTERVAL` between polls in milliseconds (default 100), `ROWTIDE_BENCH_SECONDS` (default 30) and
//! `ROWTIDE_BENCH_ROWS` of the large table (default 2000000) change what is measured.

#![allow(clippy::print_stdout, clippy::disallowed_methods)]

#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use sqlx::{Connection, Executor, PgConnection};
use tokio::runtime::Runtime;

use support::{Outcome, Running, Stack, address, number};

/// The rows of the large table that the backfill reads, by its rate; none: it is not asked for.
const RUNS: [(&str, Option<&str>); 3] =
    [("alone", None), ("beside a backfill of 20,000 rows/s", Some("20000")), ("beside one without a limit", Some(""))];

/// Until the tables are known and loaded.
const SETTLE: Duration = Duration::from_secs(5);

struct Load {
    rate: usize,
    interval: usize,
    measured: Duration,
    rows: usize,
}

fn main() -> Outcome<()> {
    let load = Load {
        rate: number("ROWTIDE_BENCH_RATE", 100)?,
        interval: number("ROWTIDE_BENCH_INTERVAL", 100)?,
        measured: Duration::from_secs(number("ROWTIDE_BENCH_SECONDS", 30)? as u64),
        rows: number("ROWTIDE_BENCH_ROWS", 2_000_000)?,
    };
    let (stack, url) = (Stack::get()?, address("ROWTIDE_TEST_POSTGRES_URL")?);
    let (runtime, name) = (Runtime::new()?, format!("latency_{}", std::process::id()));
    runtime.block_on(prepare(&url, &name, load.rows))?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("connector.json");
    std::fs::write(&file, document(&stack, &url, &name, load.interval)?)?;
    let mut command = rowtide(&file, &["run", "--listen", "127.0.0.1:0"]);
    let running = Running(command.stderr(std::fs::File::create(folder.path().join("log"))?).spawn()?);
    let large_table = format!("{name}_large");
    let large = reader(&stack, &large_table)?;
    take(&large, load.rows, Duration::from_secs(600))?;
    std::thread::sleep(SETTLE);
    runtime.spawn(write(url.clone(), name.clone(), load.rate));
    let small = reader(&stack, &format!("{name}_small"))?;
    let millis = load.interval as f64;
    println!("{} rows/s, a poll every {millis} ms; milliseconds over {} s", load.rate, load.measured.as_secs());
    println!("{:<36}{:>8}{:>8}{:>8}{:>8}", "", "rows", "p50", "p99", "worst");
    println!("{:<36}{:>8}{:>8.1}{:>8.1}{millis:>8.1}", "floor: the wait for a poll", "", millis * 0.5, millis * 0.99);
    for (what, backfill) in RUNS {
        if let Some(rate) = backfill {
            let mut arguments = vec!["backfill", "--table", &large_table];
            arguments.extend(["--rate", rate].iter().filter(|_| !rate.is_empty()));
            asked(&file, &arguments)?;
        }
        let took = latencies(&small, load.measured)?;
        let at = |share: f64| took.get(((took.len() - 1) as f64 * share) as usize).copied().unwrap_or(f64::NAN);
        println!("{what:<36}{:>8}{:>8.1}{:>8.1}{:>8.1}", took.len(), at(0.5), at(0.99), at(1.0));
        if backfill.is_some() {
            // It may have ended.
            let _ = asked(&file, &["backfill", "--table", &large_table, "--cancel"]);
        }
    }
    drop(running);
    Ok(())
}

async fn prepare(url: &str, name: &str, rows: usize) -> Outcome<()> {
    let mut session = PgConnection::connect(url).await?;
    let sql = format!(
        "create table {name}_small (seq bigint generated always as identity primary key, ts timestamptz not null default now(),
           sent bigint not null);
         create index on {name}_small (ts, seq);
         insert into {name}_small (sent) values (0);
         create table {name}_large (seq bigint primary key, ts timestamptz not null, sent bigint not null);
         insert into {name}_large select n, timestamptz '2024-01-01' + n * interval '1 ms', 0 from generate_series(1, {rows}) n;
         create index on {name}_large (ts, seq);
         analyze {name}_large"
    );
    session.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await?;
    Ok(())
}

fn document(stack: &Stack, url: &str, name: &str, interval: usize) -> Outcome<String> {
    let address = url.split('@').nth(1).ok_or("a URL without a host")?;
    let document = serde_json::json!({"name": name, "config": {
        "connection.url": format!("jdbc:postgresql://{address}"), "connection.user": "postgres",
        "mode": "timestamp+incrementing", "incrementing.column.name": "seq", "timestamp.column.name": "ts",
        "table.whitelist": format!("{name}_small,{name}_large"), "topic.prefix": "", "tasks.max": "1",
        "poll.interval.ms": interval.to_string(),
        "bootstrap.servers": stack.brokers, "offset.storage.topic": "latency-offsets",
        "offset.storage.replication.factor": "1", "offset.storage.partitions": "5",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false",
    }});
    Ok(document.to_string())
}

fn rowtide(file: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rowtide"));
    let (verb, more) = arguments.split_first().unwrap_or((&"run", &[]));
    command.args(["--log-level", "warn", verb]).arg(file).args(more).stdin(Stdio::null());
    command
}

fn asked(file: &Path, arguments: &[&str]) -> Outcome<()> {
    let output = rowtide(file, arguments).output()?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into()) }
}

/// A row at a time, with the clock of this machine.
async fn write(url: String, name: String, rate: usize) {
    let Ok(mut session) = PgConnection::connect(&url).await else { return };
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate.max(1)).unwrap_or(1));
    let insert = format!("insert into {name}_small (sent) values ($1)");
    loop {
        ticks.tick().await;
        let row = sqlx::query(sqlx::AssertSqlSafe(insert.clone())).bind(micros());
        if row.execute(&mut session).await.is_err() {
            return;
        }
    }
}

fn micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn reader(stack: &Stack, topic: &str) -> Outcome<BaseConsumer> {
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &stack.brokers)
        .set("group.id", topic)
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "earliest")
        .set("topic.metadata.refresh.interval.ms", "500")
        .set("fetch.wait.max.ms", "100")
        .set("fetch.error.backoff.ms", "5")
        .create()?;
    reader.subscribe(&[topic])?;
    Ok(reader)
}

/// Reads so many records.
fn take(reader: &BaseConsumer, records: usize, patience: Duration) -> Outcome<()> {
    let (started, mut left) = (Instant::now(), records);
    while left > 0 {
        if started.elapsed() > patience {
            return Err(format!("{left} records are missing").into());
        }
        left -= usize::from(matches!(reader.poll(Duration::from_millis(100)), Some(Ok(_))));
    }
    Ok(())
}

/// The milliseconds that the rows of a while took, in order.
fn latencies(reader: &BaseConsumer, measured: Duration) -> Outcome<Vec<f64>> {
    let (started, begin, mut took) = (Instant::now(), micros(), Vec::new());
    while started.elapsed() < measured {
        let Some(Ok(record)) = reader.poll(Duration::from_millis(10)) else { continue };
        let value: serde_json::Value = serde_json::from_slice(record.payload().ok_or("no value")?)?;
        let sent = value["sent"].as_i64().ok_or("no time")?;
        if sent >= begin {
            took.push((micros() - sent) as f64 / 1000.0);
        }
    }
    took.sort_by(f64::total_cmp);
    if took.is_empty() { Err("no row arrived".into()) } else { Ok(took) }
}
