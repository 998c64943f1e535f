//! Kafka: clients, their configuration, and the transaction. rdkafka is known here and nowhere else.

pub mod admin;
mod ask;
pub mod client;
pub mod cluster;
pub mod consumer;
pub mod lease;
pub mod limits;
mod partitions;
pub mod probe;
pub mod producer;
mod settings;
mod statistics;
mod stores;
pub mod tail;
pub mod topic_batches;
pub mod topic_log;
pub mod topic_role;
pub mod topic_settings;
pub mod topics;
mod transactions;
mod verdict;
mod wait;

use futures_util::future::BoxFuture;

use crate::error::{Error, Result};
use crate::model::{EncodedBatch, KafkaRecord};

/// The destination of batches. Two implementations: [`producer::TransactionalProducer`] and the scripted sink of the
/// tests. `task::commit` calls it, `task::fence` before offsets are read, and an operator's change of offsets (E1). The
/// order of calls is `init` (`begin` `send`... `commit` | `abort`)...
pub trait RecordSink: Send {
    /// Fences every older owner of the transactional id and waits until its open transaction has ended.
    /// Offsets may be read only afterwards (E2).
    fn init(&mut self) -> BoxFuture<'_, Result<()>>;

    /// Opens a transaction.
    fn begin(&mut self) -> BoxFuture<'_, Result<()>>;

    /// Hands the batch's records to the producer inside the open transaction. Returns when all are
    /// accepted, which bounds memory; not when they are acknowledged.
    fn send(&mut self, batch: EncodedBatch) -> BoxFuture<'_, Result<()>>;

    /// Sends the offset records last, then commits.
    ///
    /// # Errors
    /// `OutcomeUnknown` if the answer was lost, `TransactionAborted`, `Fenced`. After any error the sink
    /// is dropped and a new one made.
    fn commit(&mut self, offsets: Vec<KafkaRecord>) -> BoxFuture<'_, Result<()>>;

    /// Aborts the open transaction.
    fn abort(&mut self) -> BoxFuture<'_, Result<()>>;

    /// The reason why no other transaction can be begun, although the last one ended well; the error of `begin`.
    fn spent(&self) -> Option<Error> {
        None
    }
}
