//! The cost of a connector that has caught up: tables into which a few rows are written all the time, polled by the
//! real binary, and an outage of the brokers with rows in flight, once silent and once refused. Beside it, in the same
//! run, a floor: one SELECT of each table at each poll, its rows produced and committed, by the same drivers and
//! nothing else. Figures are parts of one core.
//!
//! `cargo bench --bench live`; it starts services of its own, because it stops the brokers. `ROWTIDE_BENCH_TABLES`
//! (default 20), `ROWTIDE_BENCH_ROWS` a second (default 100), `ROWTIDE_BENCH_INTERVAL` between polls in milliseconds
//! (default 200) and `ROWTIDE_BENCH_SECONDS` (default 30) change what is measured.

#![allow(clippy::print_stdout, clippy::disallowed_methods)]

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::util::Timeout;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use tokio::runtime::Runtime;

use support::services::Services;
use support::{Outcome, Running, number};

/// Until tables and topics are known, or until what is in flight at the start of an outage is.
const SETTLE: Duration = Duration::from_secs(10);
/// The bench itself, as the process whose cost is the floor.
const FLOOR: &str = "ROWTIDE_BENCH_FLOOR";

struct Load {
    tables: usize,
    rows: usize,
    interval: Duration,
    measured: Duration,
}

fn main() -> Outcome<()> {
    let load = Load {
        tables: number("ROWTIDE_BENCH_TABLES", 20)?,
        rows: number("ROWTIDE_BENCH_ROWS", 100)?,
        interval: Duration::from_millis(number("ROWTIDE_BENCH_INTERVAL", 200)? as u64),
        measured: Duration::from_secs(number("ROWTIDE_BENCH_SECONDS", 30)? as u64),
    };
    let runtime = Runtime::new()?;
    if let Ok(addresses) = std::env::var(FLOOR) {
        let (url, brokers) = addresses.split_once(' ').ok_or("no addresses")?;
        return floor(&load, &tokio::runtime::Builder::new_current_thread().enable_all().build()?, url, brokers);
    }
    let services = Services::start(&["postgres", "kafka", "registry"])?;
    let url = services.export("ROWTIDE_TEST_POSTGRES_URL")?;
    let brokers = services.export("ROWTIDE_TEST_BOOTSTRAP")?;
    runtime.block_on(prepare(&url, load.tables))?;
    runtime.spawn(write(url.clone(), load.tables, load.rows));
    let mut lines = Vec::new();

    let floor = Running(Command::new(std::env::current_exe()?).env(FLOOR, format!("{url} {brokers}")).spawn()?);
    std::thread::sleep(SETTLE);
    lines.push(("floor, live", share(&floor, load.measured)?));
    drop(floor);

    let folder = tempfile::tempdir()?;
    let running = start(&services, &load, &folder, &url, &brokers)?;
    std::thread::sleep(SETTLE);
    lines.push(("rowtide, live", share(&running, load.measured)?));
    let idle_threads = threads(&running)?;
    services.tell("pause", &["kafka"])?;
    std::thread::sleep(SETTLE);
    lines.push(("rowtide, brokers silent", share(&running, load.measured)?));
    services.tell("resume", &["kafka"])?;
    std::thread::sleep(SETTLE);
    services.tell("stop", &["--hard", "kafka"])?;
    std::thread::sleep(SETTLE);
    lines.push(("rowtide, brokers gone", share(&running, load.measured)?));
    print(&load, &lines, &idle_threads);
    Ok(())
}

fn print(load: &Load, lines: &[(&str, f64)], threads: &BTreeMap<String, f64>) {
    println!(
        "{} tables, {} rows/s, a poll every {} ms; CPU in percent of a core over {} s",
        load.tables,
        load.rows,
        load.interval.as_millis(),
        load.measured.as_secs()
    );
    for (what, share) in lines {
        println!("{what:<28}{:>8.1}", share * 100.0);
    }
    let floor = lines.iter().find(|(what, _)| what.starts_with("floor")).map_or(f64::NAN, |(_, share)| *share);
    let live = lines.iter().find(|(what, _)| *what == "rowtide, live").map_or(f64::NAN, |(_, share)| *share);
    println!("{:<28}{:>8.1}", "live, ratio to the floor", live / floor);
    let total: f64 = threads.values().sum();
    println!("threads of rowtide until then, parts of its CPU:");
    for (name, cpu) in threads {
        println!("  {name:<26}{:>8.1}", cpu / total * 100.0);
    }
}

fn name(table: usize) -> String {
    format!("live_{table:04}")
}

async fn prepare(url: &str, tables: usize) -> Outcome<()> {
    let mut session = PgConnection::connect(url).await?;
    for table in (0..tables).map(name) {
        let create = format!(
            "create table {table} (seq bigint generated always as identity primary key,
               ts timestamptz not null default now(), item varchar(64));
             create index on {table} (ts, seq);
             insert into {table} (item) values ('first')"
        );
        session.execute(sqlx::raw_sql(AssertSqlSafe(create))).await?;
    }
    Ok(())
}

/// A row at a time into one table after the other.
async fn write(url: String, tables: usize, rows: usize) {
    let Ok(mut session) = PgConnection::connect(&url).await else { return };
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rows.max(1) as u32);
    for row in 0.. {
        ticks.tick().await;
        // Not always in the order in which they are polled.
        let insert = format!("insert into {} (item) values ('row {row}')", name(row * 7 % tables));
        if session.execute(AssertSqlSafe(insert)).await.is_err() {
            return;
        }
    }
}

fn start(services: &Services, load: &Load, folder: &tempfile::TempDir, url: &str, brokers: &str) -> Outcome<Running> {
    let address = url.split('@').nth(1).ok_or("a URL without a host")?;
    let document = serde_json::json!({"name": "live", "config": {
        "connection.url": format!("jdbc:postgresql://{address}"), "connection.user": "postgres",
        "mode": "timestamp+incrementing", "incrementing.column.name": "seq", "timestamp.column.name": "ts",
        "table.whitelist": (0..load.tables).map(name).collect::<Vec<_>>().join(","),
        "topic.prefix": "live_", "tasks.max": "1",
        "poll.interval.ms": load.interval.as_millis().to_string(),
        "bootstrap.servers": brokers, "offset.storage.topic": "live-offsets",
        "offset.storage.replication.factor": "1", "offset.storage.partitions": "5",
        "value.converter": "io.confluent.connect.avro.AvroConverter",
        "value.converter.schema.registry.url": services.export("ROWTIDE_TEST_REGISTRY_URL")?,
    }});
    let file = folder.path().join("connector.json");
    std::fs::write(&file, document.to_string())?;
    let child = Command::new(env!("CARGO_BIN_EXE_rowtide"))
        .args(["--log-level", "warn", "run", "--listen", "off"])
        .arg(&file)
        .stdin(Stdio::null())
        .stderr(std::fs::File::create(folder.path().join("log"))?)
        .spawn()?;
    Ok(Running(child))
}

/// The part of a core that a process uses for a while.
fn share(running: &Running, measured: Duration) -> Outcome<f64> {
    let stat = format!("/proc/{}/stat", running.0.id());
    let (before, started) = (cpu(&stat)?.1, Instant::now());
    std::thread::sleep(measured);
    Ok((cpu(&stat)?.1 - before) / started.elapsed().as_secs_f64())
}

/// The CPU seconds of the threads of a process, by their names.
fn threads(running: &Running) -> Outcome<BTreeMap<String, f64>> {
    let mut threads = BTreeMap::new();
    for thread in std::fs::read_dir(format!("/proc/{}/task", running.0.id()))? {
        let (name, used) = cpu(&format!("{}/stat", thread?.path().display()))?;
        *threads.entry(name).or_insert(0.0) += used;
    }
    Ok(threads)
}

/// Name and CPU seconds of a process or thread.
fn cpu(stat: &str) -> Outcome<(String, f64)> {
    /// `USER_HZ`, the same on all Linux systems.
    const TICKS_PER_SECOND: f64 = 100.0;
    let text = std::fs::read_to_string(stat)?;
    let (before, after) = text.rsplit_once(") ").ok_or("no name")?;
    let name = before.split_once('(').map_or(before, |(_, name)| name);
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).ok_or("no ticks");
    Ok((name.to_owned(), (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND))
}

/// The floor that nobody gets under: the statement of a page for each table, and a transaction for each table that has
/// rows.
fn floor(load: &Load, runtime: &Runtime, url: &str, brokers: &str) -> Outcome<()> {
    let mut session = runtime.block_on(PgConnection::connect(url))?;
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("transactional.id", "live-floor")
        .set("linger.ms", "1")
        .set("delivery.report.only.error", "true")
        .create()?;
    producer.init_transactions(Timeout::Never)?;
    let mut positions = vec![(DateTime::<Utc>::UNIX_EPOCH, -1_i64); load.tables];
    loop {
        let round = Instant::now();
        for (table, position) in positions.iter_mut().enumerate() {
            let table = name(table);
            let page = format!(
                "select seq, ts, item from {table} where (ts, seq) > ($1, $2) and ts < now() order by ts, seq limit 1000"
            );
            let page = sqlx::query(AssertSqlSafe(page)).bind(position.0).bind(position.1);
            let rows = runtime.block_on(page.fetch_all(&mut session))?;
            let Some(last) = rows.last() else { continue };
            *position = (last.try_get("ts")?, last.try_get("seq")?);
            producer.begin_transaction()?;
            let (topic, offset) = (format!("floor_{table}"), format!("{position:?}"));
            let values = rows.iter().map(|row| row.try_get::<String, _>("item"));
            for value in values {
                let value = value?;
                let record = BaseRecord::to(&topic).key(&table).payload(&value);
                producer.send(record).map_err(|(error, _)| error)?;
            }
            let record = BaseRecord::to("floor-offsets").key(&table).payload(&offset);
            producer.send(record).map_err(|(error, _)| error)?;
            while producer.in_flight_count() > 0 {
                producer.poll(Duration::ZERO);
                std::thread::sleep(Duration::from_micros(500));
            }
            producer.commit_transaction(Timeout::Never)?;
        }
        std::thread::sleep(load.interval.saturating_sub(round.elapsed()));
    }
}
