//! `rowtide consume`: a topic's records as JSON lines, in the form that its converter prints: for Avro that of the console consumer.

use std::time::Duration;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{ConfigArgs, output, run};
use crate::config::spec::{ConverterSpec, WorkerSpec};
use crate::convert::Decoder;
use crate::error::Result;
use crate::kafka::consumer::{Start, TopicConsumer, TopicRecord};

#[derive(Debug, Args)]
pub(super) struct ConsumeArgs {
    /// The topics.
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Begin with the oldest record instead of the next new one.
    #[arg(long)]
    from_beginning: bool,
    /// End after so many records.
    #[arg(long, value_name = "N")]
    max: Option<u64>,
    /// Print the topic and a tab before each record.
    #[arg(long)]
    with_topic: bool,
    /// Print key, tab, value.
    #[arg(long)]
    with_key: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) async fn run(args: ConsumeArgs) -> u8 {
    let stop = CancellationToken::new();
    if let Err(error) = run::stop_on_signal(&stop) {
        return output::fail(&error);
    }
    let worker = match output::load_worker(&args.config) {
        Ok(worker) => worker,
        Err(code) => return code,
    };
    let outcome = tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        outcome = consume(&args, &worker) => outcome,
    };
    match outcome {
        Ok(()) => 0,
        Err(error) => output::fail(&error),
    }
}

async fn consume(args: &ConsumeArgs, worker: &WorkerSpec) -> Result<()> {
    let start = if args.from_beginning { Start::Beginning } else { Start::End };
    let lines = Lines::new(&worker.key_converter, &worker.value_converter, args.config.timeout)?;
    let form = Form { topic: args.with_topic, key: args.with_key };
    output::reach(&worker.kafka, args.config.timeout).await?;
    let mut consumer = TopicConsumer::open(&worker.kafka, &args.topics, start).await?;
    let mut left = args.max.unwrap_or(u64::MAX);
    while left > 0 {
        let record = consumer.next().await?;
        output::print(&lines.line(&record, form).await?)?;
        left -= 1;
    }
    Ok(())
}

/// The parts of a line before the value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) topic: bool,
    pub(super) key: bool,
}

/// Records as lines: topic, key and value, with tabs between.
pub(super) struct Lines {
    keys: Box<dyn Decoder>,
    values: Box<dyn Decoder>,
    /// What is waited for in a message about the time it took.
    key_registry: String,
    registry: String,
    timeout: Duration,
}

impl Lines {
    /// Contacts nobody.
    ///
    /// # Errors
    /// `Config`, with the setting of a converter that is wrong.
    pub(super) fn new(keys: &ConverterSpec, values: &ConverterSpec, timeout: Duration) -> Result<Self> {
        Ok(Self {
            keys: keys.decoder()?,
            values: values.decoder()?,
            key_registry: output::registry_of(keys),
            registry: output::registry_of(values),
            timeout,
        })
    }

    /// The line of a record, with its end.
    ///
    /// # Errors
    /// `Value` if the bytes are not of the format; those of the registry.
    pub(super) async fn line(&self, of: &TopicRecord, form: Form) -> Result<String> {
        let mut line = String::new();
        if form.topic {
            line.push_str(&of.topic);
            line.push('\t');
        }
        if form.key {
            line.push_str(&self.decoded(&*self.keys, &self.key_registry, of.record.key.as_deref()).await?);
            line.push('\t');
        }
        line.push_str(&self.decoded(&*self.values, &self.registry, of.record.value.as_deref()).await?);
        line.push('\n');
        Ok(line)
    }

    async fn decoded(&self, decoder: &dyn Decoder, registry: &str, bytes: Option<&[u8]>) -> Result<String> {
        match bytes {
            Some(bytes) => output::within(self.timeout, registry, decoder.decode(bytes)).await,
            None => Ok("null".to_owned()),
        }
    }
}
