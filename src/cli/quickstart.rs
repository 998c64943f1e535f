//! `rowtide quickstart`: the whole way with nothing installed. A SQLite file, brokers and registry of this
//! process on real loopback ports, the same connector a user would run, and a consumer that prints what
//! arrives. Everything shown is read back from the topic. `late` is the other one, on a PostgreSQL server.

#![expect(clippy::disallowed_methods, reason = "the connector of the demonstration, waited for at its end")]

mod late;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{Context, output, run};
use crate::config;
use crate::config::spec::ConnectorSpec;
use crate::connector::assignment::Assignment;
use crate::connector::{self, RunOptions, offset_tools};
use crate::dialect::sessions::Sessions;
use crate::embedded::{Brokers, DemoDatabase, SchemaRegistry, demo};
use crate::error::{Error, ErrorKind, Result};
use crate::kafka::consumer::{Start, TopicConsumer};
use crate::status::{StatusBoard, allowance};
use crate::task::control::Control;
use crate::task::memory::MemoryBudget;
use crate::task::samples::Samples;
use crate::telemetry::Metrics;

#[derive(Debug, Args)]
pub(super) struct QuickstartArgs {
    /// Leave it running and print the addresses, so that other clients can look.
    #[arg(long)]
    keep: bool,
    /// Show on a PostgreSQL server what becomes of rows that commit late, with the guard off and on: in half a
    /// minute, in a table that is made for it and dropped.
    #[arg(long, conflicts_with = "keep")]
    late_commits: bool,
    #[command(flatten)]
    server: late::ServerArgs,
}

/// The longest wait for a record before the quick start says that something is wrong.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn run(args: QuickstartArgs, context: Context) -> u8 {
    let stop = CancellationToken::new();
    if let Err(error) = run::stop_on_signal(&stop) {
        return output::fail(&error);
    }
    if args.late_commits {
        return late::run(&args.server, &context.bars, &stop).await;
    }
    let outcome = tokio::select! {
        outcome = quickstart(args.keep, &stop) => outcome,
        () = stop.cancelled(), if !args.keep => Ok(()),
    };
    match outcome {
        Ok(()) => 0,
        Err(error) => output::fail(&error),
    }
}

/// Everything that must stay alive while the demo runs.
struct Demo {
    /// The database's folder; removed with the demo.
    _folder: tempfile::TempDir,
    database: DemoDatabase,
    brokers: Brokers,
    registry: SchemaRegistry,
    spec: ConnectorSpec,
}

async fn quickstart(keep: bool, stop: &CancellationToken) -> Result<()> {
    let mut demo = Demo::start().await?;
    say(&format!(
        "database   {}\nbrokers    {}\nregistry   {}\n",
        demo.database.url(),
        demo.brokers.bootstrap_servers(),
        demo.registry.url()
    ))?;
    let (connector, ended) = (CancellationToken::new(), CancellationToken::new());
    let running = tokio::spawn(run_connector(demo.spec.clone(), connector.clone(), ended.clone()));
    let played = tokio::select! {
        played = demo.play() => played,
        () = ended.cancelled() => Err(Error::internal("the connector has ended")),
    };
    if keep && played.is_ok() {
        demo.keep(stop).await?;
    }
    connector.cancel();
    let finished = running.await.map_err(|panic| Error::internal("the connector panicked").caused_by(panic))?;
    finished.and(played)?;
    if !keep {
        say(
            "\nNext:\n  rowtide quickstart --keep              leaves it running for other clients\n  rowtide explain connector.json         shows SQL, plan, key and schemas of your own connector\n  rowtide run connector.json --worker worker.properties\n",
        )?;
    }
    Ok(())
}

async fn run_connector(spec: ConnectorSpec, stop: CancellationToken, ended: CancellationToken) -> Result<()> {
    let options = RunOptions {
        once: false,
        timeout: PATIENCE,
        accept_server: false,
        board: StatusBoard::new(spec.name.clone(), allowance(spec.longest_interval())),
        metrics: Metrics::new().connector(&spec.name),
        memory: MemoryBudget::default(),
        sessions: Sessions::default(),
        assignment: Assignment::default(),
        control: Control::default(),
        rest: None,
        samples: Samples::default(),
    };
    let outcome = connector::run(spec, options, stop).await;
    ended.cancel();
    outcome.map_err(connector::Failure::into_error)
}

impl Demo {
    async fn start() -> Result<Self> {
        let folder =
            tempfile::tempdir().map_err(|error| Error::new(ErrorKind::Io, "cannot make a folder").caused_by(error))?;
        let database = DemoDatabase::create(&folder.path().join("demo.db")).await?;
        let brokers = Brokers::start(1)?;
        let registry = SchemaRegistry::start().await?;
        let file = folder.path().join("connector.json");
        let text = serde_json::to_string_pretty(&demo::connector_config(&database.url())).unwrap_or_default();
        std::fs::write(&file, &text).map_err(|error| {
            Error::new(ErrorKind::Io, "cannot write the connector file").with("file", file.display()).caused_by(error)
        })?;
        let spec = load(&file, &brokers, &registry)?;
        brokers.create_topic(demo::TOPIC, 1)?;
        brokers.create_topic(&spec.offsets.topic, 1)?;
        say(&format!("A connector as Kafka Connect takes it:\n{text}\n"))?;
        Ok(Self { _folder: folder, database, brokers, registry, spec })
    }

    /// Writes to the table step by step and prints each record when it arrives.
    async fn play(&mut self) -> Result<()> {
        let mut consumer = TopicConsumer::open(&self.spec.kafka, &[demo::TOPIC.to_owned()], Start::Beginning).await?;
        let decoder = self.spec.value_converter.decoder()?;
        let mut fastest = Duration::MAX;
        for (index, step) in demo::STEPS.iter().chain(demo::LATER).enumerate() {
            if index == demo::STEPS.len() {
                say("\nThose were the six records of the walkthrough; now three changes while it runs.\n")?;
            }
            say(&format!("\n{}\n", step.sentence))?;
            for statement in step.statements {
                say(&format!("  sql>    {statement}\n"))?;
            }
            self.database.write(step.statements).await?;
            let committed = Instant::now();
            for _ in 0..step.records {
                let record = tokio::time::timeout(PATIENCE, consumer.next())
                    .await
                    .map_err(|_| Error::new(ErrorKind::Kafka, "the record did not arrive").with("topic", demo::TOPIC))??
                    .record;
                let waited = committed.elapsed();
                let value = match &record.value {
                    Some(value) => decoder.decode(value).await?,
                    None => "null".to_owned(),
                };
                let key = match &record.key {
                    Some(key) => decoder.decode(key).await?,
                    None => "null".to_owned(),
                };
                say(&format!("  record> {key}\t{value}\n"))?;
                if index > 0 {
                    fastest = fastest.min(waited);
                }
            }
        }
        self.show_offset(fastest).await
    }

    async fn show_offset(&self, fastest: Duration) -> Result<()> {
        // The record may be read a moment before the transaction is answered; the offset was committed with it.
        let stored = offset_tools::load(&self.spec).await?;
        for (partition, stored) in &stored.offsets {
            let value = String::from_utf8_lossy(&crate::offsets::format::value(&stored.offset)).into_owned();
            say(&format!("\nStored offset of {partition}, written in the same transaction as the rows:\n  {value}\n"))?;
        }
        say(&format!(
            "From row commit to record: {} ms (poll.interval.ms is {}).\n",
            fastest.as_millis(),
            self.spec.polling.interval.as_millis()
        ))
    }

    async fn keep(&self, stop: &CancellationToken) -> Result<()> {
        let brokers = self.brokers.bootstrap_servers();
        let database = self.database.path().display();
        let registry = self.registry.url();
        say(&format!(
            "\nStill running; Ctrl-C ends it. From another terminal:\n  \
             sqlite3 {database} \"insert into test_table (item, price, category) values ('fig', 300, 'fruit')\"\n  \
             rowtide consume {topic} --from-beginning --with-key --set bootstrap.servers={brokers} --set value.converter.schema.registry.url={registry}\n  \
             curl {registry}/subjects/{topic}-value/versions/latest\n",
            topic = demo::TOPIC,
        ))?;
        stop.cancelled().await;
        Ok(())
    }
}

fn load(file: &Path, brokers: &Brokers, registry: &SchemaRegistry) -> Result<ConnectorSpec> {
    let set = worker_settings(brokers, registry);
    let loaded = config::load(&file.display().to_string(), None, &BTreeMap::new(), &set, false);
    Ok(loaded.map_err(|report| Error::internal(report.to_string()))?.spec)
}

/// The worker settings of a connector on the embedded services.
fn worker_settings(brokers: &Brokers, registry: &SchemaRegistry) -> Vec<(String, String)> {
    let set = [
        ("bootstrap.servers", brokers.bootstrap_servers().to_owned()),
        ("value.converter.schema.registry.url", registry.url()),
        // The embedded brokers have no admin interface.
        ("internal.topics.automatic.creation.enable", "false".to_owned()),
    ];
    set.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn say(text: &str) -> Result<()> {
    output::print(text)
}
