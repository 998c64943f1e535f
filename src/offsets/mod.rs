//! The store of progress: the offsets topic of Kafka Connect, byte for byte (`offsets-topic.md`).

pub mod format;
pub mod kafka;
pub mod moved;
mod owner;
pub mod server;
pub mod standalone;
pub mod table;

use std::collections::HashMap;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending, ready};

pub use self::owner::Owner;
use crate::error::Result;
use crate::model::{KafkaRecord, OffsetDelta, Server, SourceOffset, SourcePartition, TableMark};

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

/// The stored offsets of a connector.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loaded {
    /// Its offsets, tables no longer selected included; and the progress of first loads ([`SourcePartition::load`]).
    pub offsets: HashMap<SourcePartition, StoredOffset>,
    /// The marks of the tables they are of, under the partitions of the offsets ([`SourcePartition::table`]).
    pub tables: HashMap<SourcePartition, TableMark>,
    /// The server they were read from; none before the first run, and after Kafka Connect.
    pub server: Option<Server>,
    /// The process it belongs to; none before the first run, and after Kafka Connect.
    pub owner: Option<Owner>,
}

/// Loads and stages offsets. A transactional store has no way to write by itself: the records it stages are part of the
/// rows' transaction (E3).
pub trait OffsetStore: Send + Sync {
    /// Loads everything stored of a connector, read committed, to the end.
    ///
    /// # Errors
    /// `Offsets` if a record of this connector cannot be understood, `Kafka`, `KafkaRefused`.
    fn load<'a>(&'a self, connector: &'a str) -> BoxFuture<'a, Result<Loaded>>;

    /// Reads the stored offsets by now, so that less is left for [`OffsetStore::load`] once the connector is fenced
    /// (E2: what counts is read then).
    fn read_ahead<'a>(&'a self, _connector: &'a str) -> BoxFuture<'a, ()> {
        ready(()).boxed()
    }

    /// Follows the stored offsets, for the same reason. Never returns.
    fn follow<'a>(&'a self, _connector: &'a str) -> BoxFuture<'a, ()> {
        pending().boxed()
    }

    /// The records that make `delta.to` the stored offset. Where the connector has a topic of its own, one is for the
    /// worker's topic, so that going back to a worker without that setting keeps the progress.
    fn stage(&self, connector: &str, delta: &OffsetDelta) -> Vec<KafkaRecord>;

    /// The records that set an offset, or reset it, and that forget which table the offset before it belonged to, and a
    /// first load of it that is not at its end; a reset forgets its backfill too.
    fn assign(&self, connector: &str, partition: &SourcePartition, offset: Option<&SourceOffset>) -> Vec<KafkaRecord>;

    /// The records that remember the server.
    fn stage_server(&self, connector: &str, server: &Server) -> Vec<KafkaRecord>;

    /// The record that remembers the table of an offset's partition.
    fn stage_table(&self, connector: &str, partition: &SourcePartition, mark: &TableMark) -> KafkaRecord;

    /// The record that says which process the connector belongs to.
    fn stage_owner(&self, connector: &str, owner: &Owner) -> KafkaRecord;
}
