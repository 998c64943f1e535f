//! How large a record may be: the producer's own limit, and the topic's where it may be asked. Counts as librdkafka
//! and the brokers do, at most: a record that fits here is refused by neither.

use super::admin;
use super::client::{self, ClientKind};
use crate::config::spec::KafkaSpec;
use crate::error::Result;

/// What a record costs beside its key, value and headers: librdkafka's `RD_KAFKAP_MESSAGE_V2_MAX_OVERHEAD` (36),
/// and the head of a batch of its own (61), which the brokers count.
pub const OVERHEAD: usize = 36 + 61;

/// What a header costs: the lengths of name and value are varints.
pub fn header_size(name: &str, value: &str) -> usize {
    name.len() + value.len() + 10
}

/// The largest record, bytes of key, value and headers with [`OVERHEAD`]: of a topic, if it may be asked for its own
/// limit, else of the producer.
///
/// # Errors
/// `Config`, naming the key.
pub async fn record_limit(kafka: &KafkaSpec, topic: Option<&str>) -> Result<usize> {
    let producer = Producer::of(kafka)?;
    // Of what is compressed the brokers count what arrives, which nobody knows before.
    let Some(topic) = topic.filter(|_| !producer.compresses) else { return Ok(producer.limit) };
    let of_topic = admin::setting(kafka, topic, "max.message.bytes").await;
    Ok(of_topic.and_then(|text| text.parse().ok()).map_or(producer.limit, |limit: usize| limit.min(producer.limit)))
}

struct Producer {
    limit: usize,
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
        Ok(Self { limit, compresses: codec.is_some_and(|codec| codec != "none") })
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
            (producer.limit, producer.compresses)
        };
        assert_eq!(of(&[]), (1_048_576, false));
        assert_eq!(of(&[("max.request.size", "2000"), ("compression.type", "zstd")]), (2_000, true));
        assert_eq!(of(&[("max.request.size", "90000000"), ("buffer.memory", "1048576")]), (1_048_576, false));
    }
}
