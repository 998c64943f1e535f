//! Brokers in this process: librdkafka's mock cluster, listening on loopback for any Kafka client.
//!
//! It knows producers, idempotence, transactions, consumers and groups. It does not know CreateTopics (topics
//! are made by [`Brokers::create_topic`], or by themselves at the first request for their metadata), compaction, or
//! read_committed: records of an aborted transaction stay visible. A partition keeps its newest 5 MB.

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;

use crate::error::{Error, ErrorKind, Result};

/// A running cluster. It ends when this is dropped: keep it for as long as a client may need it.
pub struct Brokers {
    /// librdkafka makes the cluster with this client and ends it with it. Borrowing it from the client for
    /// each call is what makes this type `Send` and `Sync`; a `MockCluster` of its own is neither.
    owner: ThreadedProducer<DefaultProducerContext>,
    bootstrap_servers: String,
}

impl Brokers {
    /// Starts `count` brokers.
    ///
    /// # Errors
    /// `Internal` if librdkafka cannot start them.
    pub fn start(count: u16) -> Result<Self> {
        let owner: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
            .set("test.mock.num.brokers", count.max(1).to_string())
            .set("client.id", "rowtide-embedded-brokers")
            // librdkafka warns on stderr that the setting above is for tests.
            .set("log_level", "3")
            .create()
            .map_err(|error| failed("cannot start the embedded brokers", error))?;
        let bootstrap_servers = cluster(&owner)?.bootstrap_servers();
        Ok(Self { owner, bootstrap_servers })
    }

    /// `127.0.0.1:port`, comma separated.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Makes a topic; one that exists is left as it is.
    ///
    /// # Errors
    /// `KafkaRefused` if the name or the number of partitions is not possible.
    pub fn create_topic(&self, topic: &str, partitions: u16) -> Result<()> {
        let refused = |reason: &str| Error::new(ErrorKind::KafkaRefused, reason).with("topic", topic);
        if topic.is_empty() || partitions == 0 {
            return Err(refused("a topic needs a name and at least one partition"));
        }
        match cluster(&self.owner)?.create_topic(topic, i32::from(partitions), 1) {
            Ok(()) | Err(KafkaError::MockCluster(RDKafkaErrorCode::TopicAlreadyExists)) => Ok(()),
            Err(error) => Err(refused("the embedded brokers cannot make the topic").caused_by(error)),
        }
    }
}

fn cluster(owner: &ThreadedProducer<DefaultProducerContext>) -> Result<MockCluster<'_, DefaultProducerContext>> {
    owner.client().mock_cluster().ok_or_else(|| Error::internal("the embedded brokers are gone"))
}

fn failed(message: &str, error: KafkaError) -> Error {
    Error::internal(message).caused_by(error)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rdkafka::Message as _;
    use rdkafka::consumer::{Consumer as _, StreamConsumer};
    use rdkafka::producer::{BaseProducer, BaseRecord};

    use super::*;

    #[tokio::test]
    async fn a_transaction_is_written_and_read_by_other_clients() {
        let brokers = Brokers::start(3).unwrap();
        brokers.create_topic("db_test_table", 2).unwrap();
        brokers.create_topic("db_test_table", 2).unwrap();
        let servers = brokers.bootstrap_servers().to_owned();
        assert_eq!(servers.split(',').count(), 3);
        assert!(servers.starts_with("127.0.0.1:"), "{servers}");

        let produce = servers.clone();
        tokio::task::spawn_blocking(move || {
            let producer: BaseProducer = ClientConfig::new()
                .set("bootstrap.servers", produce)
                .set("transactional.id", "rowtide-demo-0")
                .create()
                .unwrap();
            let limit = Duration::from_secs(10);
            producer.init_transactions(limit).unwrap();
            producer.begin_transaction().unwrap();
            producer.send(BaseRecord::to("db_test_table").key("1").payload("apple").partition(1)).unwrap();
            producer.commit_transaction(limit).unwrap();
        })
        .await
        .unwrap();

        let consumer: StreamConsumer = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .set("group.id", "test")
            .set("auto.offset.reset", "earliest")
            .create()
            .unwrap();
        let mut partitions = rdkafka::TopicPartitionList::new();
        partitions.add_partition_offset("db_test_table", 1, rdkafka::Offset::Beginning).unwrap();
        consumer.assign(&partitions).unwrap();
        let message = tokio::time::timeout(Duration::from_secs(10), consumer.recv()).await.unwrap().unwrap();
        assert_eq!((message.key(), message.payload()), (Some(&b"1"[..]), Some(&b"apple"[..])));
    }

    #[test]
    fn an_impossible_topic_is_refused_with_its_name() {
        let brokers = Brokers::start(1).unwrap();
        let error = brokers.create_topic("none", 0).unwrap_err();
        assert_eq!((error.kind(), error.context("topic")), (ErrorKind::KafkaRefused, Some("none")));
        fn shared<T: Send + Sync + 'static>(_: &T) {}
        shared(&brokers);
    }
}
