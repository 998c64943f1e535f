//! Reads a topic to its end, as the offsets topic must be read (`offsets-topic.md`, 8): everything that
//! was committed before the call is returned, also what lies above the open transaction of somebody else.
//! Takes a topic, gives its records in offset order per partition. Joins no group and commits nothing.

#![expect(clippy::disallowed_methods, reason = "on a thread for questions that block")]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::ask::{self, Asker, Cancel};
use super::client::{self, ClientKind, Context, PATIENCE};
use crate::config::spec::KafkaSpec;
use crate::error::{Error, ErrorKind, Result};

/// Pause between two looks at an open transaction.
const LOOK: Duration = Duration::from_millis(20);

/// One record of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Key bytes.
    pub key: Option<Vec<u8>>,
    /// Value bytes; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// The topic partition.
    pub partition: i32,
    /// The offset there.
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub timestamp: Option<i64>,
}

impl LogRecord {
    pub(super) fn from_message(message: &BorrowedMessage<'_>) -> Self {
        Self {
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis(),
        }
    }
}

/// Every committed record of `topic`; none if the topic is empty or missing. `patience` is how long the
/// open transaction of another producer may hold the end back, and how long the brokers may be silent.
///
/// # Errors
/// `Kafka`, naming the partition, if an open transaction outlasts `patience`; `Unreachable`, `Auth`,
/// `KafkaRefused`.
pub async fn read(spec: &KafkaSpec, topic: &str, patience: Duration) -> Result<Vec<LogRecord>> {
    let (spec, topic) = (spec.clone(), topic.to_owned());
    ask::blocking(move |cancel| {
        read_blocking(&spec, &topic, patience, cancel).map_err(|error| error.with("topic", topic))
    })
    .await
}

fn read_blocking(spec: &KafkaSpec, topic: &str, patience: Duration, cancel: &Cancel) -> Result<Vec<LogRecord>> {
    let Some(bounds) = Bounds::ask(spec, topic, patience, cancel)? else { return Ok(Vec::new()) };
    let is_filled = |(partition, start): &(&i32, &i64)| **start < bounds.ends[*partition];
    let filled: HashMap<i32, i64> = bounds.starts.iter().filter(is_filled).map(|(at, start)| (*at, *start)).collect();
    if filled.is_empty() {
        return Ok(Vec::new());
    }
    let partitions: Vec<i32> = filled.keys().copied().collect();
    bounds.decided(&partitions, patience, cancel)?;
    // (c) From the beginning to the end of each partition.
    let consumer = assigned(spec, &[(topic, filled.into_iter().collect())], true)?;
    let mut records = Vec::new();
    drain(&consumer, partitions, patience, cancel, |message| records.push(LogRecord::from_message(message)))?;
    Ok(records)
}

/// The beginning and end of a topic's partitions.
pub(super) struct Bounds<'a> {
    spec: &'a KafkaSpec,
    topic: &'a str,
    pub(super) starts: HashMap<i32, i64>,
    /// The ends, open transactions included.
    pub(super) ends: HashMap<i32, i64>,
}

impl<'a> Bounds<'a> {
    /// The bounds as they are now (a); none if there is no such topic.
    pub(super) fn ask(
        spec: &'a KafkaSpec,
        topic: &'a str,
        patience: Duration,
        cancel: &Cancel,
    ) -> Result<Option<Self>> {
        let uncommitted = Asker::new(ClientKind::Consumer, spec, "read_uncommitted")?;
        let silence = patience.min(PATIENCE);
        let Some(count) = uncommitted.partitions(topic, silence, cancel)? else { return Ok(None) };
        let partitions: Vec<i32> = (0..count).collect();
        let ends = offsets(&uncommitted, topic, &partitions, Offset::End, silence, cancel)?;
        let starts = offsets(&uncommitted, topic, &partitions, Offset::Beginning, silence, cancel)?;
        Ok(Some(Self { spec, topic, starts, ends }))
    }

    /// Waits until everything below the ends of these partitions is decided (b), and gives the ends of the decided
    /// part.
    pub(super) fn decided(&self, partitions: &[i32], patience: Duration, cancel: &Cancel) -> Result<HashMap<i32, i64>> {
        if partitions.is_empty() {
            return Ok(HashMap::new());
        }
        let committed = Asker::new(ClientKind::Consumer, self.spec, "read_committed")?;
        let deadline = Instant::now() + patience;
        loop {
            let stable = offsets(&committed, self.topic, partitions, Offset::End, patience.min(PATIENCE), cancel)?;
            let is_held = |partition: &&i32| stable[*partition] < self.ends[*partition];
            let Some(held) = partitions.iter().find(is_held) else { return Ok(stable) };
            if Instant::now() > deadline {
                let what = "an open transaction of another producer holds a partition back";
                return Err(Error::new(ErrorKind::Kafka, what)
                    .with("partition", held)
                    .advise("rowtide keeps trying; it ends by itself after that producer's transaction.timeout.ms"));
            }
            cancel.check()?;
            std::thread::sleep(LOOK);
        }
    }
}

/// A read_committed consumer at the given offsets.
pub(super) fn assigned(
    spec: &KafkaSpec,
    topics: &[(&str, Vec<(i32, i64)>)],
    partition_eof: bool,
) -> Result<BaseConsumer<Context>> {
    let mut config = client::config(ClientKind::Consumer, spec)?;
    config.set("isolation.level", "read_committed").set("enable.partition.eof", partition_eof.to_string());
    let consumer: BaseConsumer<Context> = client::create(&config, Context::default())?;
    let mut list = TopicPartitionList::new();
    for (topic, partitions) in topics {
        for (partition, offset) in partitions {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset)).map_err(not_assigned)?;
        }
    }
    consumer.assign(&list).map_err(not_assigned)?;
    Ok(consumer)
}

fn not_assigned(error: KafkaError) -> Error {
    Error::internal("partitions cannot be assigned").caused_by(error)
}

/// Hands on the records up to the end of each partition.
pub(super) fn drain(
    consumer: &BaseConsumer<Context>,
    mut unfinished: Vec<i32>,
    patience: Duration,
    cancel: &Cancel,
    mut take: impl FnMut(&BorrowedMessage<'_>),
) -> Result<()> {
    let mut progress = Instant::now();
    while let Some(waiting) = unfinished.first() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                take(&message);
                progress = Instant::now();
            }
            // The end a read_committed consumer sees is the one step (b) waited for.
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                unfinished.retain(|unfinished| *unfinished != partition);
                progress = Instant::now();
            }
            Some(Err(error)) => ignore_transient(&error)?,
            None if progress.elapsed() > patience => {
                return Err(
                    Error::new(ErrorKind::Unreachable, "the brokers stopped answering").with("partition", waiting)
                );
            }
            None => {}
        }
        cancel.check()?;
    }
    Ok(())
}

/// The records at some places, in the order of these; none if one of them is not there any more.
pub(super) fn pick(
    spec: &KafkaSpec,
    topic: &str,
    places: &[(i32, i64)],
    patience: Duration,
    cancel: &Cancel,
) -> Result<Option<Vec<LogRecord>>> {
    let mut records = Vec::with_capacity(places.len());
    let Some(first) = places.first() else { return Ok(Some(records)) };
    let consumer = assigned(spec, &[(topic, vec![*first])], true)?;
    for (partition, offset) in places {
        let mut at = TopicPartitionList::new();
        let added = at.add_partition_offset(topic, *partition, Offset::Offset(*offset));
        added.and_then(|()| consumer.assign(&at)).map_err(not_assigned)?;
        let started = Instant::now();
        let found = loop {
            match consumer.poll(Duration::from_millis(100)) {
                // Records read ahead for the position before.
                Some(Ok(message)) if message.partition() != *partition || message.offset() < *offset => {}
                Some(Ok(message)) => break (message.offset() == *offset).then(|| LogRecord::from_message(&message)),
                Some(Err(KafkaError::PartitionEOF(_))) => break None,
                Some(Err(error)) => ignore_transient(&error)?,
                None if started.elapsed() > patience => {
                    return Err(Error::new(ErrorKind::Unreachable, "the brokers stopped answering"));
                }
                None => {}
            }
            cancel.check()?;
        };
        let Some(found) = found else { return Ok(None) };
        records.push(found);
    }
    Ok(Some(records))
}

/// Passes over an error of the consumer that does not end the reading. It has no use for its group, so it may be
/// denied.
pub(super) fn ignore_transient(error: &KafkaError) -> Result<()> {
    let classified = client::classify("the topic cannot be read", error);
    let group = error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupAuthorizationFailed);
    match classified.kind() {
        ErrorKind::Unreachable | ErrorKind::Kafka => Ok(()),
        _ if group => Ok(()),
        _ => Err(classified),
    }
}

/// The offset of one end of each partition, in one request per broker. Under read_committed the end is
/// the last stable offset.
pub(super) fn offsets(
    asker: &Asker,
    topic: &str,
    partitions: &[i32],
    end: Offset,
    patience: Duration,
    cancel: &Cancel,
) -> Result<HashMap<i32, i64>> {
    asker.ask("the partitions' ends cannot be looked up", patience, cancel, |consumer, timeout| {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition_offset(topic, *partition, end)?;
        }
        let found = consumer.offsets_for_times(list, timeout)?;
        let element = |element: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
            element.error()?;
            match element.offset() {
                Offset::Offset(offset) => Ok((element.partition(), offset)),
                _ => Err(KafkaError::OffsetFetch(RDKafkaErrorCode::OffsetNotAvailable)),
            }
        };
        found.elements().into_iter().map(element).collect::<KafkaResult<_>>()
    })
}
