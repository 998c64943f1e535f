//! Questions to the brokers: librdkafka's blocking calls beside the runtime, repeated until there is an
//! answer, cancelled when nobody waits for it. A question joins no group, reads no records, makes no topic but where it is
//! meant to.

#![expect(clippy::disallowed_methods, reason = "on a thread for questions that block")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::{MetadataBroker, MetadataPartition};

use super::client::{self, ClientKind, Context};
use crate::config::spec::KafkaSpec;
use crate::error::{Error, ErrorKind, Result};

/// The most events of librdkafka between two questions.
const EVENTS: usize = 16;

/// Tells work on a blocking thread that nobody waits for it any more.
#[derive(Clone, Default)]
pub(super) struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// # Errors
    /// `Cancelled`.
    pub(super) fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Cancelled, "a request to the brokers was cancelled"));
        }
        Ok(())
    }
}

/// Runs librdkafka's blocking calls beside the runtime. Dropping the future cancels the work at its
/// next look at `Cancel`, so a stopping process does not wait for a silent broker.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce(&Cancel) -> Result<T> + Send + 'static) -> Result<T> {
    struct Guard(Cancel);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.0.store(true, Ordering::Relaxed);
        }
    }
    let guard = Guard(Cancel::default());
    let cancel = guard.0.clone();
    let joined = tokio::task::spawn_blocking(move || work(&cancel)).await;
    joined.map_err(|error| Error::internal("a request to the brokers panicked").caused_by(error))?
}

/// Brokers by id, with host and port.
pub(super) type Brokers = Vec<(i32, (String, u16))>;

/// A partition as the brokers describe it.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartitionState {
    pub(super) id: i32,
    /// The broker that leads it; negative if there is none.
    pub(super) leader: i32,
    pub(super) replicas: usize,
    pub(super) in_sync: usize,
}

impl PartitionState {
    fn of(partition: &MetadataPartition) -> Self {
        let (replicas, in_sync) = (partition.replicas().len(), partition.isr().len());
        Self { id: partition.id(), leader: partition.leader(), replicas, in_sync }
    }
}

/// A client for questions only: it joins no group and reads nothing.
pub(super) struct Asker {
    consumer: BaseConsumer<Context>,
    brokers: String,
}

impl Asker {
    pub(super) fn new(kind: ClientKind, spec: &KafkaSpec, isolation: &str) -> Result<Self> {
        let mut config = client::config(kind, spec)?;
        config.set("isolation.level", isolation);
        Self::of(config, spec)
    }

    /// A client whose questions about a topic create it, where the brokers do that by themselves.
    pub(super) fn that_creates(kind: ClientKind, spec: &KafkaSpec) -> Result<Self> {
        let mut config = client::config(kind, spec)?;
        config.set("allow.auto.create.topics", "true");
        Self::of(config, spec)
    }

    fn of(mut config: ClientConfig, spec: &KafkaSpec) -> Result<Self> {
        config.remove("group.id");
        Ok(Self { consumer: client::create(&config, Context::default())?, brokers: spec.bootstrap_servers.clone() })
    }

    /// Asks until there is an answer, the credentials are refused, or `patience` ends.
    pub(super) fn ask<T>(
        &self,
        what: &str,
        patience: Duration,
        cancel: &Cancel,
        question: impl Fn(&BaseConsumer<Context>, Duration) -> KafkaResult<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let outcome = question(&self.consumer, left.clamp(Duration::from_millis(1), Duration::from_secs(1)));
            // Serves logs and errors, one a call.
            for _ in 0..EVENTS {
                let _ = self.consumer.poll(Duration::ZERO);
            }
            let health = &self.consumer.context().health;
            let error = match outcome {
                Ok(answer) => return Ok(answer),
                Err(error) => client::classify(what, &error),
            };
            if health.refused() {
                return Err(health.silence(&self.brokers));
            }
            match error.kind() {
                ErrorKind::Unreachable if left.is_zero() => return Err(health.silence(&self.brokers)),
                ErrorKind::Unreachable | ErrorKind::Kafka if !left.is_zero() => {
                    cancel.check()?;
                    // Not in `poll`, which spins for the last of its milliseconds.
                    std::thread::sleep(left.min(Duration::from_millis(50)));
                }
                _ => return Err(error),
            }
        }
    }

    /// The number of partitions of a topic; none if there is no such topic.
    pub(super) fn partitions(&self, topic: &str, patience: Duration, cancel: &Cancel) -> Result<Option<i32>> {
        Ok(self.described(topic, patience, cancel)?.map(|partitions| partitions.len() as i32))
    }

    /// The partitions of a topic; none if there is no such topic.
    pub(super) fn described(
        &self,
        topic: &str,
        patience: Duration,
        cancel: &Cancel,
    ) -> Result<Option<Vec<PartitionState>>> {
        let describe = |consumer: &BaseConsumer<Context>, timeout| {
            let metadata = consumer.fetch_metadata(Some(topic), timeout)?;
            let found = metadata.topics().iter().find(|found| found.name() == topic);
            match found.and_then(|found| found.error().map(RDKafkaErrorCode::from)) {
                Some(RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(None),
                Some(code) => Err(KafkaError::MetadataFetch(code)),
                None => Ok(found.map(|found| found.partitions().iter().map(PartitionState::of).collect())),
            }
        };
        let found = self.ask("the topic cannot be looked up", patience, cancel, describe);
        found.map_err(|error| error.with("topic", topic))
    }

    /// The brokers known, by id and advertised address, and the cluster's id.
    pub(super) fn cluster(&self, patience: Duration, cancel: &Cancel) -> Result<(Brokers, Option<String>)> {
        self.ask("the cluster cannot be looked up", patience, cancel, |consumer, timeout| {
            // Metadata of a topic that is not asked for by anybody: all topics would be a long list.
            let metadata = consumer.fetch_metadata(Some("__consumer_offsets"), timeout)?;
            let address = |broker: &MetadataBroker| {
                (broker.id(), (broker.host().to_owned(), u16::try_from(broker.port()).unwrap_or_default()))
            };
            Ok((metadata.brokers().iter().map(address).collect(), consumer.client().fetch_cluster_id(timeout)))
        })
    }
}
