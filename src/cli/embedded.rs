//! `rowtide run --embedded`: brokers and registry of this process, and every record of the connectors printed, so that
//! somebody's own database can be tried with a connector file and nothing else.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::lines::{Form, Lines};
use super::output;
use crate::config::Services;
use crate::config::spec::{ConnectorSpec, KafkaSpec};
use crate::embedded::{Brokers, SchemaRegistry};
use crate::error::{Error, Result};
use crate::kafka::consumer::{self, Start, TopicConsumer, TopicRecord};
use crate::kafka::topics::TopicList;

/// The interval of looks for new topics.
const LOOK: Duration = Duration::from_millis(200);

/// The longest silence of the brokers at the end, before the rest is given up.
const SILENCE: Duration = Duration::from_secs(5);

/// The number of records read ahead.
const AHEAD: usize = 1_000;

/// Brokers and registry of this process; they end with it.
pub(super) struct Embedded {
    brokers: Brokers,
    registry: SchemaRegistry,
}

impl Embedded {
    /// Starts them on free loopback ports, and says where.
    ///
    /// # Errors
    /// `Io` if no port can be had.
    pub(super) async fn start() -> Result<Self> {
        let (brokers, registry) = (Brokers::start(1)?, SchemaRegistry::start().await?);
        output::say(&format!(
            "brokers {} and registry {} of this process: in memory, the newest 5 MB of each partition, gone at its end. \
             A line is topic, key and value",
            brokers.bootstrap_servers(),
            registry.url()
        ));
        Ok(Self { brokers, registry })
    }

    /// Their addresses.
    pub(super) fn services(&self) -> Services {
        let bootstrap_servers = self.brokers.bootstrap_servers().to_owned();
        Services { bootstrap_servers, registry_url: self.registry.url() }
    }

    /// Makes the offsets topics of a connector, and starts printing what it writes. `stop` is cancelled when nobody reads
    /// the output any more.
    ///
    /// # Errors
    /// `Config` for several connectors, whose records could not be told apart; `KafkaRefused` for an impossible name.
    pub(super) fn printer(&self, specs: &[ConnectorSpec], stop: &CancellationToken) -> Result<Printer> {
        let [spec] = specs else {
            return Err(Error::config(format!("--embedded takes one connector, not {}", specs.len()))
                .advise("run one after the other, or start a quick start with --keep and give its addresses"));
        };
        let offsets = [Some(&spec.offsets.topic), spec.offsets.worker_topic.as_ref()];
        let mut hidden: HashSet<String> = HashSet::new();
        for topic in offsets.into_iter().flatten() {
            self.brokers.create_topic(topic, 1)?;
            hidden.insert(topic.clone());
        }
        // Its values are not those of a table.
        hidden.extend(spec.errors.dead_letters.as_ref().map(|letters| letters.topic.clone()));
        let lines = Lines::new(&spec.key_converter, &spec.value_converter, SILENCE)?;
        let (kafka, finishing, mut tasks) = (spec.kafka.clone(), CancellationToken::new(), JoinSet::new());
        let (sender, records) = mpsc::channel(AHEAD);
        let reading = Reading {
            topics: TopicList::new(&kafka)?,
            kafka,
            hidden,
            shown: Vec::new(),
            readers: JoinSet::new(),
            sender,
            records,
            next: HashMap::new(),
            missed: 0,
        };
        let (finish, stop) = (finishing.clone(), stop.clone());
        tasks.spawn(async move {
            let outcome = reading.print(&lines, &finish).await;
            stop.cancel();
            outcome
        });
        Ok(Printer { tasks, finishing })
    }
}

/// The task that prints.
pub(super) struct Printer {
    tasks: JoinSet<Result<()>>,
    finishing: CancellationToken,
}

impl Printer {
    /// Prints what has been written until now, and ends; gives the exit code.
    pub(super) async fn finish(mut self) -> u8 {
        self.finishing.cancel();
        match self.tasks.join_next().await {
            Some(Ok(Err(error))) => output::fail(&error),
            Some(Err(panic)) => output::fail(&Error::internal("the printing panicked").caused_by(panic)),
            Some(Ok(Ok(()))) | None => 0,
        }
    }
}

/// The topics that are read, a reader for those that came together.
struct Reading {
    kafka: KafkaSpec,
    topics: TopicList,
    /// Topics that are not printed.
    hidden: HashSet<String>,
    /// Topics that are read.
    shown: Vec<String>,
    readers: JoinSet<()>,
    sender: mpsc::Sender<Result<TopicRecord>>,
    records: mpsc::Receiver<Result<TopicRecord>>,
    /// The next offset of each partition.
    next: HashMap<(String, i32), i64>,
    /// The number of records that the brokers had dropped before they were read.
    missed: i64,
}

impl Reading {
    async fn print(mut self, lines: &Lines, finishing: &CancellationToken) -> Result<()> {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = finishing.cancelled() => break,
                record = self.records.recv() => {
                    if let Some(record) = record {
                        self.show(lines, &record?).await?;
                    }
                }
                _ = looks.tick() => self.follow().await?,
            }
        }
        self.rest(lines).await?;
        if self.missed > 0 {
            output::say(&format!(
                "{} not shown: the brokers of this process keep the newest 5 MB of a partition only",
                output::count(usize::try_from(self.missed).unwrap_or(usize::MAX), "record")
            ));
        }
        Ok(())
    }

    async fn show(&mut self, lines: &Lines, record: &TopicRecord) -> Result<()> {
        let next = self.next.entry((record.topic.clone(), record.record.partition)).or_default();
        self.missed += record.record.offset - *next;
        *next = record.record.offset + 1;
        output::print(&lines.line(record, Form { topic: true, key: true }).await?)
    }

    /// Reads topics that are new, from their beginning.
    async fn follow(&mut self) -> Result<()> {
        let names = self.topics.names().await?;
        let is_new =
            |name: &String| !name.starts_with("__") && !self.hidden.contains(name) && !self.shown.contains(name);
        let new: Vec<String> = names.into_iter().filter(is_new).collect();
        if new.is_empty() {
            return Ok(());
        }
        let mut consumer = TopicConsumer::open(&self.kafka, &new, Start::Beginning).await?;
        let sender = self.sender.clone();
        self.readers.spawn(async move {
            loop {
                let record = consumer.next().await;
                let has_ended = record.is_err();
                if sender.send(record).await.is_err() || has_ended {
                    return;
                }
            }
        });
        self.shown.extend(new);
        Ok(())
    }

    /// Prints what is there now.
    async fn rest(&mut self, lines: &Lines) -> Result<()> {
        self.follow().await?;
        let ends = consumer::ends(&self.kafka, &self.shown).await?;
        let is_behind = |next: &HashMap<(String, i32), i64>| {
            ends.iter().any(|(at, end)| *end > next.get(at).copied().unwrap_or_default())
        };
        while is_behind(&self.next) {
            match timeout(SILENCE, self.records.recv()).await {
                Ok(Some(record)) => self.show(lines, &record?).await?,
                Ok(None) => break,
                Err(_) => return Err(Error::internal("the brokers of this process do not answer any more")),
            }
        }
        Ok(())
    }
}
