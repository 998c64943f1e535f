//! `rowtide consume`: a topic's records as JSON lines, in the form that its converter prints: for Avro that of the console consumer.

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::lines::{Form, Lines};
use super::{ConfigArgs, output, run};
use crate::config::spec::WorkerSpec;
use crate::error::Result;
use crate::kafka::consumer::{Start, TopicConsumer};

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
