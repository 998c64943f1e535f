//! The numbers of partitions of topics whose records choose their partition by other bytes than their key (`partition.by`).
//! Asked of the brokers, and remembered for as long as the Java client remembers them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::client::Client;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::client::Context;

/// The age at which a number is asked for again: Java's `metadata.max.age.ms`.
const MAX_AGE: Duration = Duration::from_secs(300);

/// The numbers of partitions that are known.
#[derive(Default)]
pub(super) struct Partitions(HashMap<Arc<str>, (i32, Instant)>);

impl Partitions {
    /// The number of partitions of a topic.
    ///
    /// # Errors
    /// Those of the brokers, and of their silence for this time.
    pub(super) fn of(
        &mut self,
        client: &Client<Context>,
        topic: &Arc<str>,
        patience: Duration,
    ) -> Result<i32, KafkaError> {
        match self.0.get(topic) {
            Some((count, asked)) if asked.elapsed() < MAX_AGE => return Ok(*count),
            _ => {}
        }
        let metadata = client.fetch_metadata(Some(topic), patience)?;
        let found = metadata.topics().iter().find(|found| found.name() == &**topic);
        let unknown = RDKafkaErrorCode::UnknownTopicOrPartition;
        let found = found.ok_or(KafkaError::MetadataFetch(unknown))?;
        if let Some(error) = found.error() {
            return Err(KafkaError::MetadataFetch(error.into()));
        }
        let count = i32::try_from(found.partitions().len()).unwrap_or(i32::MAX);
        if count == 0 {
            return Err(KafkaError::MetadataFetch(unknown));
        }
        self.0.insert(Arc::clone(topic), (count, Instant::now()));
        Ok(count)
    }
}
