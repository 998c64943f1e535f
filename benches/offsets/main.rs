//! The cost of old offsets at a start: an offsets topic with so many MiB that compaction has not seen (its segments are
//! of 1 GiB, as the brokers make them), read to its end as a session does that has fenced. Once in a process that reads
//! it for the first time, and once more after a few commits, as when one task starts again. Beside them the takeover: a
//! row is written every 20 ms, a second process of the real binary takes over from the first, and the longest gap
//! between two records of the topic is the time in which nothing was delivered. The floor is the gap without old
//! offsets.
//!
//! `cargo bench --bench offsets` with the addresses of `scripts/services env`; `ROWTIDE_BENCH_MIB` (default
//! `0,200,1024`) and `ROWTIDE_BENCH_RUNS` (default 3) change what is measured.

#![allow(clippy::print_stdout, clippy::disallowed_methods)]

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rowtide::config::spec::{KafkaSpec, OffsetsSpec};
use rowtide::kafka::consumer::read_to_end;
use rowtide::offsets::OffsetStore;
use rowtide::offsets::kafka::KafkaOffsetStore;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::runtime::Runtime;

use support::{Outcome, Running, Stack, address, median, number};

/// As many tables as the old offsets are of.
const TABLES: usize = 100;
/// About the size of a record with a position and a small guard state.
const VALUE: usize = 400;
const COMMITS: usize = 100;
/// Ten GiB are read to the end in a few minutes.
const PATIENCE: Duration = Duration::from_secs(900);

fn main() -> Outcome<()> {
    let runs = number("ROWTIDE_BENCH_RUNS", 3)?;
    let sizes = std::env::var("ROWTIDE_BENCH_MIB").unwrap_or_else(|_| "0,200,1024".to_owned());
    let stack = Stack::get()?;
    let runtime = Runtime::new()?;
    let mut lines = Vec::new();
    for size in sizes.split(',') {
        let mib: usize = size.trim().parse()?;
        let (mut first, mut again, mut gap) = (Vec::new(), Vec::new(), Vec::new());
        for run in 0..runs {
            let bench = Bench { stack: &stack, name: format!("bench_{:08x}", fastrand::u32(..)) };
            runtime.block_on(bench.fill(mib))?;
            let (cold, warm) = runtime.block_on(bench.load())?;
            let taken_over = runtime.block_on(bench.take_over())?;
            println!(
                "{mib} MiB, run {}: first {:.2} s, again {:.2} s, gap {:.2} s",
                run + 1,
                cold.as_secs_f64(),
                warm.as_secs_f64(),
                taken_over.as_secs_f64()
            );
            runtime.block_on(bench.clean_up())?;
            first.push(cold.as_secs_f64());
            again.push(warm.as_secs_f64());
            gap.push(taken_over.as_secs_f64());
        }
        lines.push((mib, median(first), median(again), median(gap)));
    }
    println!("medians of {runs}, seconds");
    println!("{:>16}{:>16}{:>16}{:>16}", "old offsets MiB", "first start", "a task again", "takeover gap");
    for (mib, first, again, gap) in lines {
        println!("{mib:>16}{first:>16.2}{again:>16.2}{gap:>16.2}");
    }
    Ok(())
}

struct Bench<'a> {
    stack: &'a Stack,
    name: String,
}

impl Bench<'_> {
    fn topic(&self) -> String {
        format!("{}_offsets", self.name)
    }

    fn admin(&self) -> Outcome<AdminClient<DefaultClientContext>> {
        Ok(ClientConfig::new().set("bootstrap.servers", &self.stack.brokers).create()?)
    }

    /// The topic, as the brokers make it where nobody says how large its segments are, and the old offsets.
    async fn fill(&self, mib: usize) -> Outcome<()> {
        let topic = self.topic();
        let wanted = NewTopic::new(&topic, 1, TopicReplication::Fixed(1))
            .set("cleanup.policy", "compact")
            .set("segment.bytes", "1073741824")
            // A second segment must not make the first one go.
            .set("min.compaction.lag.ms", "86400000");
        for made in self.admin()?.create_topics([&wanted], &AdminOptions::new()).await? {
            made.map_err(|(topic, code)| format!("{topic}: {code}"))?;
        }
        self.produce((mib << 20) / (VALUE + 80))
    }

    fn produce(&self, records: usize) -> Outcome<()> {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.stack.brokers)
            .set("linger.ms", "5")
            .set("delivery.report.only.error", "true")
            .create()?;
        let topic = self.topic();
        for number in 0..records {
            let key = format!(r#"["{}",{{"protocol":"1","table":"public.old_{}"}}]"#, self.name, number % TABLES);
            let value = format!(r#"{{"incrementing":{number},"of_others":"{:1$}"}}"#, "", VALUE - 40);
            let mut record = BaseRecord::to(&topic).key(&key).payload(&value);
            while let Err((error, refused)) = producer.send(record) {
                let KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) = error else {
                    return Err(error.into());
                };
                std::thread::sleep(Duration::from_millis(1));
                record = refused;
            }
        }
        producer.flush(PATIENCE)?;
        Ok(())
    }

    fn kafka(&self) -> KafkaSpec {
        KafkaSpec {
            bootstrap_servers: self.stack.brokers.clone(),
            group_id: "bench".to_owned(),
            common: BTreeMap::new(),
            producer: BTreeMap::new(),
            consumer: BTreeMap::new(),
            admin: BTreeMap::new(),
        }
    }

    /// Of a first reading, and of another one after some commits.
    async fn load(&self) -> Outcome<(Duration, Duration)> {
        let offsets = OffsetsSpec {
            topic: self.topic(),
            worker_topic: None,
            partitions: 1,
            replication: 1,
            automatic_creation: true,
            standalone_file: None,
            settings: BTreeMap::new(),
        };
        let store = KafkaOffsetStore::new(self.kafka(), &offsets);
        let mut took = [Duration::ZERO; 2];
        for took in &mut took {
            let started = Instant::now();
            store.load(&self.name).await.map_err(|error| error.report())?;
            *took = started.elapsed();
            self.produce(COMMITS)?;
        }
        Ok((took[0], took[1]))
    }

    async fn take_over(&self) -> Outcome<Duration> {
        let url = address("ROWTIDE_TEST_POSTGRES_URL")?;
        let mut session = PgConnection::connect(&url).await?;
        let table = &self.name;
        let create = format!("create table {table} (seq bigint generated always as identity primary key)");
        session.execute(AssertSqlSafe(create)).await?;
        let folder = tempfile::tempdir()?;
        let mut older = self.run(&folder, &url, "older")?;
        let writing = tokio::spawn(write(session, format!("insert into {table} default values")));
        let topic = format!("{table}_{table}");
        self.delivers(&topic, 10).await?;
        let mut younger = self.run(&folder, &url, "younger")?;
        let deadline = Instant::now() + PATIENCE;
        while older.0.try_wait()?.is_none() {
            if Instant::now() > deadline || younger.0.try_wait()?.is_some() {
                return Err("the younger process did not take over".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let at_end = read_to_end(&self.kafka(), &topic).await.map_err(|error| error.report())?.len();
        self.delivers(&topic, at_end + 100).await?;
        writing.abort();
        let records = read_to_end(&self.kafka(), &topic).await.map_err(|error| error.report())?;
        let times: Vec<i64> = records.iter().filter_map(|record| record.timestamp).collect();
        let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max().ok_or("no records")?;
        Ok(Duration::from_millis(longest.max(0) as u64))
    }

    async fn delivers(&self, topic: &str, least: usize) -> Outcome<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if read_to_end(&self.kafka(), topic).await.map_err(|error| error.report())?.len() >= least {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(format!("no {least} records of {topic}").into())
    }

    fn run(&self, folder: &tempfile::TempDir, url: &str, who: &str) -> Outcome<Running> {
        let host = url.split('@').nth(1).ok_or("a URL without a host")?;
        let document = serde_json::json!({"name": self.name, "config": {
            "connection.url": format!("jdbc:postgresql://{host}"), "connection.user": "postgres",
            "mode": "incrementing", "incrementing.column.name": "seq", "table.whitelist": self.name,
            "topic.prefix": format!("{}_", self.name), "poll.interval.ms": "20",
            "bootstrap.servers": self.stack.brokers, "offset.storage.topic": self.topic(),
            "value.converter": "io.confluent.connect.avro.AvroConverter",
            "value.converter.schema.registry.url": self.stack.registry,
        }});
        let file = folder.path().join("connector.json");
        std::fs::write(&file, document.to_string())?;
        let child = Command::new(env!("CARGO_BIN_EXE_rowtide"))
            .args(["run", "--listen", "off"])
            .arg(&file)
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join(who))?)
            .spawn()?;
        Ok(Running(child))
    }

    async fn clean_up(&self) -> Outcome<()> {
        let mut session = PgConnection::connect(&address("ROWTIDE_TEST_POSTGRES_URL")?).await?;
        session.execute(AssertSqlSafe(format!("drop table {}", self.name))).await?;
        let topics = [self.topic(), format!("{0}_{0}", self.name)];
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        self.admin()?.delete_topics(&topics, &AdminOptions::new()).await?;
        Ok(())
    }
}

async fn write(mut session: PgConnection, insert: String) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    loop {
        ticks.tick().await;
        if session.execute(AssertSqlSafe(insert.clone())).await.is_err() {
            return;
        }
    }
}
