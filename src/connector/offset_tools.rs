//! Operations on stored offsets. A change goes down the same path as a running task's commit: fence, then one
//! transaction that holds nothing but the offset records and a name (E1).

use std::collections::BTreeMap;
use std::time::Duration;

use super::{catalog, inspect};
use crate::config::spec::ConnectorSpec;
use crate::dialect::dialect_of;
use crate::error::{Error, ErrorKind, Result};
use crate::herder::{OffsetChange, OffsetChanges};
use crate::kafka::RecordSink;
use crate::kafka::admin;
use crate::kafka::lease::{Holder, Lease};
use crate::kafka::producer::TransactionalProducer;
use crate::model::{Instant, Server, SourcePartition};
use crate::offsets::kafka::KafkaOffsetStore;
use crate::offsets::{OffsetStore, Owner, StoredOffset};

/// The stored state of a connector, for people.
#[derive(Debug, Default)]
pub struct Stored {
    /// Every offset, by partition, tables no longer selected included.
    pub offsets: BTreeMap<SourcePartition, StoredOffset>,
    /// The server they were read from.
    pub server: Option<Server>,
}

impl Stored {
    /// The changes after which the next start is like a first one: the server that answers then will be remembered.
    pub fn forgotten(&self) -> OffsetChanges {
        let server = self.server.as_ref().map(|_| SourcePartition::server());
        self.offsets.keys().cloned().chain(server).map(|partition| (partition, None)).collect()
    }
}

/// Loads everything stored of the connector.
///
/// # Errors
/// Those of the offset store.
pub async fn load(spec: &ConnectorSpec) -> Result<Stored> {
    let store = KafkaOffsetStore::new(spec.kafka.clone(), &spec.offsets);
    let loaded = store.load(&spec.name).await?;
    Ok(Stored { offsets: loaded.offsets.into_iter().collect(), server: loaded.server })
}

/// The processes that run the connector now, as far as the brokers know.
///
/// # Errors
/// `Kafka` if no broker answers.
pub async fn holders(spec: &ConnectorSpec, timeout: Duration) -> Result<Vec<Holder>> {
    Lease::holders(&spec.kafka, &spec.name, timeout).await
}

/// Writes offsets (none: a tombstone, also of [`SourcePartition::server`]) in one transaction, after fencing
/// whoever still writes.
///
/// # Errors
/// `Refused` while an instance is alive, unless `force`; those of the transaction.
pub async fn write(spec: &ConnectorSpec, changes: &[OffsetChange], force: bool, timeout: Duration) -> Result<()> {
    let alive = holders(spec, timeout).await?;
    if !alive.is_empty() && !force {
        return Err(is_running(spec, &alive, "stop it first; --force fences it, and it ends with exit code 4"));
    }
    // Brokers that create topics by themselves would create one that deletes offsets.
    admin::ensure_offsets_topic(&spec.kafka, &spec.offsets).await?;
    // Fence every task the connector may have before the position is moved under it.
    let mut first = sink(spec, 0).await?;
    for task in 1..spec.tasks_max {
        drop(sink(spec, task).await?);
    }
    let store = KafkaOffsetStore::new(spec.kafka.clone(), &spec.offsets);
    let before = store.load(&spec.name).await?.owner.map_or(1, |owner| owner.tasks);
    for task in spec.tasks_max..before {
        drop(sink(spec, task).await?);
    }
    // Signed with the name of this process: a task that is fenced and starts again sees that another process owns the
    // connector.
    let mut records = vec![store.stage_owner(&spec.name, &Owner::new(1))];
    records.extend(changes.iter().flat_map(|(partition, offset)| store.assign(&spec.name, partition, offset.as_ref())));
    first.begin().await?;
    first.commit(records).await
}

/// The refusal of what a connector that runs is in the way of.
pub fn is_running(spec: &ConnectorSpec, alive: &[Holder], advice: impl Into<String>) -> Error {
    let alive: Vec<String> = alive.iter().map(ToString::to_string).collect();
    let message = format!("connector {} is running: {}", spec.name, alive.join(", "));
    Error::new(ErrorKind::Refused, message).advise(advice)
}

async fn sink(spec: &ConnectorSpec, task: usize) -> Result<TransactionalProducer> {
    let mut sink = TransactionalProducer::new(&spec.kafka, spec.kafka.transactional_id(&spec.name, task))?;
    sink.init().await?;
    Ok(sink)
}

/// The time to store for a table that is to go on after an instant. Where Kafka Connect stores another one
/// ([`crate::model::ColumnDefinition::seen_in`]), the database is asked which.
///
/// # Errors
/// Those of the connection and of [`inspect::binding`].
pub async fn stored_time(spec: &ConnectorSpec, partition: &SourcePartition, instant: Instant) -> Result<Instant> {
    let dialect = dialect_of(&spec.source)?;
    if !dialect.stores_times_of_sessions() {
        return Ok(instant);
    }
    let mut connection = dialect.connect(&spec.source).await?;
    let relations = catalog::relations(spec, dialect, &mut *connection).await?;
    let Some(relation) = relations.iter().find(|relation| spec.source_partition(relation) == *partition) else {
        let error =
            Error::config(format!("the connector does not select {partition}, so the zone of its times is unknown"));
        return Err(error.advise("give the position of a table that the connector polls"));
    };
    let bound = inspect::binding(spec, dialect, &mut *connection, relation).await?;
    connection.close().await;
    Ok(bound.planner.to_connect_clock(instant, &spec.source.types.all.zone))
}
