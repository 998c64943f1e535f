//! Reads topics as a stream for people and tests: read_committed, all partitions, no group, no commits.
//! A thread of its own polls; the channel between is bounded, so a slow reader slows it down.

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::consumer::BaseConsumer;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::Offset;
use tokio::sync::mpsc;

use super::ask::{self, Asker};
use super::client::{ClientKind, Context, PATIENCE};
use super::topic_log::{self, LogRecord};
use crate::config::spec::KafkaSpec;
use crate::error::{Error, ErrorKind, Result};

/// The number of records read ahead.
const AHEAD: usize = 1_000;

/// The interval of the check that somebody still reads. `poll` returns when a record has come, and else spins for the
/// last of its milliseconds, so it is given many.
const LOOK: Duration = Duration::from_secs(1);

/// The position to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The oldest record of each partition.
    Beginning,
    /// Records that are committed after the call.
    End,
}

/// A record with its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRecord {
    /// The topic.
    pub topic: String,
    /// The record.
    pub record: LogRecord,
}

/// A stream of records; dropping it ends its thread.
pub struct TopicConsumer {
    records: mpsc::Receiver<Result<TopicRecord>>,
}

impl TopicConsumer {
    /// Starts reading. When this returns, the positions are fixed: records that are committed later will arrive.
    ///
    /// # Errors
    /// `KafkaRefused` if a topic is missing or may not be read, `Unreachable`, `Auth`, `Config`.
    pub async fn open(spec: &KafkaSpec, topics: &[String], start: Start) -> Result<Self> {
        let (spec, topics) = (spec.clone(), topics.to_vec());
        let consumer = ask::blocking(move |cancel| {
            let asker = Asker::new(ClientKind::Consumer, &spec, "read_committed")?;
            let end = match start {
                Start::Beginning => Offset::Beginning,
                Start::End => Offset::End,
            };
            let mut assignment = Vec::with_capacity(topics.len());
            for topic in &topics {
                let Some(count) = asker.partitions(topic, PATIENCE, cancel)? else {
                    return Err(Error::new(ErrorKind::KafkaRefused, "there is no such topic")
                        .with("topic", topic)
                        .advise("check the name: it is topic.prefix and the bare table name; the first run of a connector creates it"));
                };
                let partitions: Vec<i32> = (0..count).collect();
                let offsets = topic_log::offsets(&asker, topic, &partitions, end, PATIENCE, cancel)?;
                assignment.push((topic.as_str(), offsets.into_iter().collect()));
            }
            topic_log::assigned(&spec, &assignment, false)
        })
        .await?;
        let (sender, records) = mpsc::channel(AHEAD);
        std::thread::Builder::new()
            .name("kafka-consumer".to_owned())
            .spawn(move || pump(&consumer, &sender))
            .map_err(|error| Error::internal("the consumer's thread cannot be started").caused_by(error))?;
        Ok(Self { records })
    }

    /// The next record, however long it takes. Cancel safe.
    ///
    /// # Errors
    /// `KafkaRefused`, `Auth`; the stream has ended then.
    pub async fn next(&mut self) -> Result<TopicRecord> {
        let ended = || Err(Error::new(ErrorKind::Kafka, "the consumer has ended"));
        self.records.recv().await.unwrap_or_else(ended)
    }
}

/// The end of each partition of these topics, open transactions included.
///
/// # Errors
/// Those of brokers that do not answer.
pub async fn ends(spec: &KafkaSpec, topics: &[String]) -> Result<HashMap<(String, i32), i64>> {
    let (spec, topics) = (spec.clone(), topics.to_vec());
    ask::blocking(move |cancel| {
        let mut ends = HashMap::new();
        for topic in topics {
            if let Some(bounds) = topic_log::Bounds::ask(&spec, &topic, PATIENCE, cancel)? {
                ends.extend(bounds.ends.into_iter().map(|(partition, end)| ((topic.clone(), partition), end)));
            }
        }
        Ok(ends)
    })
    .await
}

fn pump(consumer: &BaseConsumer<Context>, sender: &mpsc::Sender<Result<TopicRecord>>) {
    while !sender.is_closed() {
        let outcome = match consumer.poll(LOOK) {
            None => continue,
            Some(Ok(message)) => {
                Ok(TopicRecord { topic: message.topic().to_owned(), record: LogRecord::from_message(&message) })
            }
            Some(Err(error)) => match topic_log::ignore_transient(&error) {
                Ok(()) => continue,
                Err(error) => Err(error),
            },
        };
        let failed = outcome.is_err();
        if sender.blocking_send(outcome).is_err() || failed {
            return;
        }
    }
}

/// Every committed record of a topic, once: the truth of tests and oracles.
///
/// # Errors
/// As [`topic_log::read`].
pub async fn read_to_end(spec: &KafkaSpec, topic: &str) -> Result<Vec<LogRecord>> {
    topic_log::read(spec, topic, PATIENCE).await
}
