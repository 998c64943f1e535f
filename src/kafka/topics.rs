//! Health of topics as the brokers describe them: can records be written to one now, and does it hold any? Asks; writes
//! nothing and makes nothing.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::topic_partition_list::Offset;

use super::ask::{self, Asker, PartitionState};
use super::client::{ClientKind, PATIENCE};
use super::{topic_log, topic_settings};
use crate::config::spec::{KafkaSpec, is_one_to_brokers};
use crate::error::{Error, ErrorKind, Result};

/// The longest wait for brokers that do not answer, in a look at topics.
const GLANCE: Duration = Duration::from_secs(5);

/// The reason why a topic takes no records.
#[derive(Debug)]
pub enum TopicTrouble {
    /// The topic does not exist.
    Gone(Arc<str>),
    /// The topic exists and takes no records for now, or none of ours.
    Held(Error),
}

/// The reason why the brokers do not take records of these topics; none if they tell of none.
///
/// # Errors
/// Those of brokers that do not answer.
pub async fn trouble(kafka: &KafkaSpec, topics: Vec<Arc<str>>) -> Result<Option<TopicTrouble>> {
    let spec = kafka.clone();
    let asked = topics.clone();
    let described = ask::blocking(move |cancel| {
        let asker = Asker::new(ClientKind::Admin, &spec, "read_committed")?;
        asked.iter().map(|topic| asker.described(topic, GLANCE, cancel)).collect::<Result<Vec<_>>>()
    })
    .await;
    let described = match described {
        Ok(described) => described,
        Err(error) if error.kind() == ErrorKind::KafkaRefused => return Ok(Some(TopicTrouble::Held(error))),
        Err(error) => return Err(error),
    };
    for (topic, partitions) in topics.into_iter().zip(described) {
        let Some(partitions) = partitions else { return Ok(Some(TopicTrouble::Gone(topic))) };
        if let Err(error) = health(kafka, &topic, &partitions).await {
            return Ok(Some(TopicTrouble::Held(error)));
        }
    }
    Ok(None)
}

/// Health of a topic: each partition has a leader and enough replicas in sync.
///
/// # Errors
/// `Kafka`, which may pass, with the setting.
pub(super) async fn health(kafka: &KafkaSpec, topic: &str, partitions: &[PartitionState]) -> Result<()> {
    if let Some(headless) = partitions.iter().find(|partition| partition.leader < 0) {
        return Err(Error::new(ErrorKind::Kafka, "a partition has no leader: no broker that is up has its records")
            .with("topic", topic)
            .with("partition", headless.id)
            .advise("start the brokers that hold its replicas"));
    }
    let Some(fewest) = partitions.iter().min_by_key(|partition| partition.in_sync) else { return Ok(()) };
    if fewest.in_sync >= fewest.replicas {
        // The brokers demand at most as many as there are replicas.
        return Ok(());
    }
    let least = topic_settings::setting(kafka, topic, "min.insync.replicas").await.and_then(|value| value.parse().ok());
    in_sync(topic, fewest, least.unwrap_or(1))
}

fn in_sync(topic: &str, partition: &PartitionState, least: usize) -> Result<()> {
    if partition.in_sync >= least.min(partition.replicas) {
        return Ok(());
    }
    let message = format!(
        "the topic takes no records: {} of {} replicas are in sync, min.insync.replicas demands {least}",
        partition.in_sync, partition.replicas
    );
    Err(Error::new(ErrorKind::Kafka, message)
        .with("topic", topic)
        .with("partition", partition.id)
        .advise("start the brokers that are down, or lower min.insync.replicas of the topic"))
}

/// True if the topic holds records; none if that cannot be found out.
pub async fn holds_records(kafka: &KafkaSpec, topic: &str) -> Option<bool> {
    let (spec, topic) = (kafka.clone(), topic.to_owned());
    let looked = ask::blocking(move |cancel| {
        let asker = Asker::new(ClientKind::Consumer, &spec, "read_uncommitted")?;
        let Some(count) = asker.partitions(&topic, GLANCE, cancel)? else { return Ok(false) };
        let partitions: Vec<i32> = (0..count).collect();
        let ends = topic_log::offsets(&asker, &topic, &partitions, Offset::End, GLANCE, cancel)?;
        let starts = topic_log::offsets(&asker, &topic, &partitions, Offset::Beginning, GLANCE, cancel)?;
        Ok(partitions.iter().any(|partition| starts[partition] < ends[partition]))
    });
    looked.await.ok()
}

/// The topic of the brokers whose name differs from `topic` by `.` and `_` only, which keeps it from being made.
pub(super) async fn collision(kafka: &KafkaSpec, topic: &str) -> Option<String> {
    TopicList::new(kafka).ok()?.names().await.ok()?.into_iter().find(|name| collide(name, topic))
}

/// The list of the brokers' topics, by one client however often it is asked for.
pub struct TopicList(Arc<Asker>);

impl TopicList {
    /// Contacts nobody.
    ///
    /// # Errors
    /// `Config`.
    pub fn new(kafka: &KafkaSpec) -> Result<Self> {
        Asker::new(ClientKind::Admin, kafka, "read_committed").map(|asker| Self(Arc::new(asker)))
    }

    /// The names of the topics there are.
    ///
    /// # Errors
    /// Those of brokers that do not answer.
    pub async fn names(&self) -> Result<Vec<String>> {
        let asker = Arc::clone(&self.0);
        ask::blocking(move |cancel| {
            asker.ask("the topics cannot be listed", PATIENCE, cancel, |consumer, timeout| {
                use rdkafka::consumer::Consumer;
                let metadata = consumer.fetch_metadata(None, timeout)?;
                Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect::<Vec<_>>())
            })
        })
        .await
    }
}

/// True if the brokers take the two names for one.
pub fn collide(one: &str, other: &str) -> bool {
    one != other && is_one_to_brokers(one, other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_takes_records_while_enough_replicas_are_in_sync() {
        let partition = |in_sync, replicas| PartitionState { id: 3, leader: 1, replicas, in_sync };
        in_sync("t", &partition(2, 3), 2).unwrap();
        // The brokers demand no more than there are replicas.
        in_sync("t", &partition(1, 1), 2).unwrap();
        let error = in_sync("t", &partition(1, 3), 2).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Kafka);
        assert_eq!(
            error.to_string(),
            "the topic takes no records: 1 of 3 replicas are in sync, min.insync.replicas demands 2 (topic t, partition 3)"
        );
        assert!(collide("a.b", "a_b") && !collide("a.b", "a.b") && !collide("a.b", "ab"));
    }
}
