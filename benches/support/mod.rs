//! Common parts of the benches: the services, runs of the real binary, and figures.

// Each of them uses a part.
#![allow(dead_code)]

pub(crate) mod database;
pub(crate) mod services;

use std::error::Error;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use database::Database;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// The addresses of Kafka and the registry.
pub(crate) struct Stack {
    pub(crate) brokers: String,
    pub(crate) registry: String,
}

impl Stack {
    pub(crate) fn get() -> Outcome<Self> {
        Ok(Self { brokers: address("ROWTIDE_TEST_BOOTSTRAP")?, registry: address("ROWTIDE_TEST_REGISTRY_URL")? })
    }
}

pub(crate) fn address(name: &str) -> Outcome<String> {
    Ok(std::env::var(name)
        .map_err(|_| format!("{name} is not set: scripts/services start; eval \"$(scripts/services env)\""))?)
}

pub(crate) fn number(name: &str, default: usize) -> Outcome<usize> {
    Ok(std::env::var(name).map_or(Ok(default), |text| text.parse())?)
}

pub(crate) fn rate(rows: usize, took: Duration) -> f64 {
    rows as f64 / took.as_secs_f64()
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A process that ends with its handle.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One `rowtide run --once`.
pub(crate) struct Measured {
    /// From the first poll to the last commit, by its own log.
    pub(crate) reading: Duration,
    /// From process start to exit.
    pub(crate) whole: Duration,
    /// Its peak resident memory.
    pub(crate) peak_kib: u64,
}

/// `more` are further keys of the connector's configuration.
pub(crate) fn run_rowtide(stack: &Stack, database: &Database, name: &str, more: &[(&str, &str)]) -> Outcome<Measured> {
    let mut document = serde_json::json!({"name": name, "config": {
        "connection.url": database.jdbc_url(),
        "connection.user": "connectuser", "connection.password": "connectuser",
        "mode": "timestamp+incrementing", "incrementing.column.name": "seq", "timestamp.column.name": "ts",
        "table.whitelist": "test_table", "topic.prefix": format!("{name}_"), "key.mode": "primary_key",
        "bootstrap.servers": stack.brokers, "offset.storage.topic": "rowtide-bench-offsets",
        "offset.storage.replication.factor": "1", "offset.storage.partitions": "5",
        "value.converter": "io.confluent.connect.avro.AvroConverter",
        "value.converter.schema.registry.url": stack.registry,
    }});
    for (key, value) in more {
        document["config"][key] = (*value).into();
    }
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
