//! The largest sizes of a record and of a batch of records: the producer's own limits, and the topic's where it may be
//! asked. Counts as librdkafka and the brokers do, at most: a record that fits here is refused by neither.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::client::{self, ClientKind};
use crate::config::spec::KafkaSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Header;

/// Size of a record beside its key, value and headers: librdkafka's `RD_KAFKAP_MESSAGE_V2_MAX_OVERHEAD` (36), and the
/// head of a batch of its own (61), which the brokers count.
pub const OVERHEAD: usize = 36 + 61;

/// Size of a header on the wire: the lengths of name and value are varints.
pub fn header_size(header: &Header) -> usize {
    header.name.len() + header.value.as_ref().map_or(0, Vec::len) + 10
}

/// The largest record, bytes of key, value and headers with [`OVERHEAD`], given that of its topic where it is known.
///
/// # Errors
/// `Config`, naming the key.
pub fn record_limit(kafka: &KafkaSpec, of_topic: Option<usize>) -> Result<usize> {
    let producer = Producer::of(kafka)?;
    // The brokers count compressed bytes, whose number is not known before.
    let of_topic = of_topic.filter(|_| !producer.compresses);
    Ok(of_topic.map_or(producer.limit, |limit| limit.min(producer.limit)))
}

/// The largest batch of the producers of one task. The brokers count a batch as a topic's largest message, however
/// small its records are, and a producer has one size for all topics: that of the topic that takes the least.
pub struct BatchLimit {
    least: AtomicUsize,
    /// The limit of the present producer.
    used: AtomicUsize,
}

impl BatchLimit {
    /// The limits as the producer is configured.
    ///
    /// # Errors
    /// `Config`, naming the key.
    pub fn of(kafka: &KafkaSpec) -> Result<Self> {
        let batch = Producer::of(kafka)?.batch;
        Ok(Self { least: AtomicUsize::new(batch), used: AtomicUsize::new(batch) })
    }

    /// The settings of the next producer.
    #[must_use]
    pub fn apply(&self, mut kafka: KafkaSpec) -> KafkaSpec {
        let least = self.least.load(Ordering::Relaxed);
        self.used.store(least, Ordering::Relaxed);
        kafka.producer.insert(BATCH_SIZE.to_owned(), least.to_string());
        kafka
    }

    /// Takes a topic's limit into account.
    ///
    /// # Errors
    /// `TransactionAborted` if the present producer makes larger batches: another one has to take its place.
    pub fn admit(&self, topic: &str, limit: usize) -> Result<()> {
        self.least.fetch_min(limit, Ordering::Relaxed);
        let used = self.used.load(Ordering::Relaxed);
        if limit >= used {
            return Ok(());
        }
        let message = format!("the topic takes batches of at most {limit} bytes, not of {used}");
        Err(Error::new(ErrorKind::TransactionAborted, message)
            .with("topic", topic)
            .advise("rowtide continues with smaller ones by itself"))
    }
}

const BATCH_SIZE: &str = "batch.size";
/// Its default in librdkafka.
const DEFAULT_BATCH_SIZE: usize = 1_000_000;

struct Producer {
    limit: usize,
    batch: usize,
    compresses: bool,
}

impl Producer {
    fn of(kafka: &KafkaSpec) -> Result<Self> {
        let config = client::config(ClientKind::Producer, kafka)?;
        let number = |key: &str| config.get(key).and_then(|value| value.parse::<usize>().ok());
        // A record larger than the queue would wait for ever.
        let queue = number("queue.buffering.max.kbytes").map_or(usize::MAX, |kilobytes| kilobytes.saturating_mul(1024));
        let limit = number("message.max.bytes").unwrap_or(usize::MAX).min(queue);
        let codec = config.get("compression.type").or_else(|| config.get("compression.codec"));
        let batch = number(BATCH_SIZE).unwrap_or(DEFAULT_BATCH_SIZE).min(limit);
        Ok(Self { limit, batch, compresses: codec.is_some_and(|codec| codec != "none") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_producer_s_limit_is_what_it_is_configured_to() {
        let of = |settings: &[(&str, &str)]| {
            let mut spec = client::tests::spec("localhost:9092");
            spec.producer = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            let producer = Producer::of(&spec).unwrap();
            (producer.limit, producer.batch, producer.compresses)
        };
        assert_eq!(of(&[]), (1_048_576, 1_000_000, false));
        assert_eq!(of(&[("max.request.size", "2000"), ("compression.type", "zstd")]), (2_000, 2_000, true));
        assert_eq!(of(&[("batch.size", "16384"), ("max.request.size", "20000")]), (20_000, 16_384, false));
        let small_queue = [("max.request.size", "90000000"), ("buffer.memory", "1048576")];
        assert_eq!(of(&small_queue), (1_048_576, 1_000_000, false));
    }

    #[test]
    fn batches_are_as_large_as_the_topic_allows_that_takes_the_least() {
        let spec = client::tests::spec("localhost:9092");
        let limit = BatchLimit::of(&spec).unwrap();
        let size = || limit.apply(spec.clone()).producer[BATCH_SIZE].clone();
        assert_eq!(size(), "1000000");
        limit.admit("a", 1_048_588).unwrap();
        let error = limit.admit("b", 20_000).unwrap_err();
        assert_eq!((error.kind(), error.context("topic")), (ErrorKind::TransactionAborted, Some("b")));
        assert!(limit.admit("b", 20_000).is_err(), "as long as the producer is the same");
        assert_eq!(size(), "20000");
        limit.admit("b", 20_000).unwrap();
        limit.admit("a", 1_048_588).unwrap();
    }
}
