//! Where progress is kept: the offsets topic of Kafka Connect, byte for byte (`offsets-topic.md`).

pub mod format;
pub mod kafka;

use std::collections::HashMap;

use futures_util::future::BoxFuture;

use crate::error::Result;
use crate::model::{KafkaRecord, OffsetDelta, SourceOffset, SourcePartition};

/// An offset as stored, with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredOffset {
    /// The offset.
    pub offset: SourceOffset,
    /// The topic it was read from.
    pub topic: String,
    /// Its partition there.
    pub partition: i32,
    /// Its Kafka offset.
    pub kafka_offset: i64,
    /// Its create time, milliseconds since the epoch.
    pub written_at: Option<i64>,
}

/// Loads and stages offsets. A transactional store has no way to write by itself: what it stages rides
/// in the transaction of the rows (E3).
pub trait OffsetStore: Send + Sync {
    /// Every stored offset of a connector, tables no longer selected included. Read committed, to the end.
    ///
    /// # Errors
    /// `Offsets` if a record of this connector cannot be understood, `Kafka`, `KafkaRefused`.
    fn load<'a>(&'a self, connector: &'a str) -> BoxFuture<'a, Result<HashMap<SourcePartition, StoredOffset>>>;

    /// The record that makes `delta.to` the stored offset.
    fn stage(&self, connector: &str, delta: &OffsetDelta) -> KafkaRecord;

    /// The same for the worker's topic where the connector has one of its own, so that going back to a
    /// worker without that setting keeps the progress; rides in the same transaction.
    fn mirror(&self, _connector: &str, _delta: &OffsetDelta) -> Option<KafkaRecord> {
        None
    }
}
