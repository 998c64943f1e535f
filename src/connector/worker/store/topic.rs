//! Connectors in `config.storage.topic`, which a Kafka Connect cluster can have written and can go on with. A change is a
//! transaction under the id that the leader of such a cluster uses, so that of two workers that think the topic theirs the
//! older one is refused. The topic is read once; afterwards nobody else may write to it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use super::{Change, ConfigStore, Kept, record};
use crate::config::spec::{ConfigTopicSpec, KafkaSpec};
use crate::error::{Directive, Error, ErrorKind, Result};
use crate::kafka::RecordSink;
use crate::kafka::producer::TransactionalProducer;
use crate::kafka::{admin, cluster, topic_log};
use crate::model::KafkaRecord;
use crate::retry::within;

/// The pause between two tries to write.
const PAUSE: Duration = Duration::from_millis(200);

/// The store in a topic.
pub struct TopicStore {
    kafka: KafkaSpec,
    spec: ConfigTopicSpec,
    /// The longest time of a change.
    timeout: Duration,
    /// None after an error: what is open must be decided first.
    producer: Mutex<Option<TransactionalProducer>>,
    is_fenced: AtomicBool,
}

impl TopicStore {
    /// A store that has not talked to anybody yet.
    pub fn new(kafka: KafkaSpec, spec: ConfigTopicSpec, timeout: Duration) -> Self {
        Self { kafka, spec, timeout, producer: Mutex::default(), is_fenced: AtomicBool::new(false) }
    }

    async fn open(&self) -> Result<Vec<Kept>> {
        self.refuse_beside_connect().await?;
        admin::ensure_config_topic(&self.kafka, &self.spec).await?;
        let producer = producer(&self.kafka).await?;
        *self.producer.lock().await = Some(producer);
        // E2: after the fencing, so that nothing is missed that an older worker has written.
        let records = topic_log::read(&self.kafka, &self.spec.topic, self.timeout).await?;
        Ok(record::read(&records))
    }

    /// A Kafka Connect cluster that is at work would run the same connectors.
    async fn refuse_beside_connect(&self) -> Result<()> {
        let members = cluster::connect_workers(&self.kafka, self.timeout).await?;
        if members.is_empty() {
            return Ok(());
        }
        let who = members.join(", ");
        let what = format!("a Kafka Connect cluster of group.id {} is at work: {who}", self.kafka.group_id);
        Err(Error::new(ErrorKind::Refused, what).with("topic", &self.spec.topic).advise(
            "stop its workers first: both would run the connectors of config.storage.topic; or give this worker a group.id \
             and a config.storage.topic of its own",
        ))
    }
}

impl TopicStore {
    async fn write_until_kept(&self, records: Vec<KafkaRecord>) -> Result<()> {
        let mut slot = self.producer.lock().await;
        loop {
            if self.is_fenced.load(Ordering::Relaxed) {
                return Err(self.taken_over());
            }
            // One after an error ends what the last one has left open (E4); to write the same again does no harm.
            let error = match self.try_write(&mut slot, records.clone()).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            *slot = None;
            match error.kind() {
                ErrorKind::Fenced => self.is_fenced.store(true, Ordering::Relaxed),
                kind if kind.directive() == Directive::Fail => return Err(error),
                _ => {
                    tracing::warn!(topic = %self.spec.topic, error = %error.report(), "a change is not kept yet");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn try_write(&self, slot: &mut Option<TransactionalProducer>, records: Vec<KafkaRecord>) -> Result<()> {
        let producer = match slot.take() {
            Some(producer) => producer,
            None => producer(&self.kafka).await?,
        };
        let producer = slot.insert(producer);
        producer.begin().await?;
        producer.commit(records).await
    }

    fn taken_over(&self) -> Error {
        let what = "another worker has taken over the topic of configurations: nothing is changed here any more";
        let advice =
            "stop one of the two workers of this group.id, then start the other again: it reads what the topic holds";
        Error::new(ErrorKind::Fenced, what).with("topic", &self.spec.topic).advise(advice)
    }
}

/// The id of a Kafka Connect cluster's leader.
async fn producer(kafka: &KafkaSpec) -> Result<TransactionalProducer> {
    let mut producer = TransactionalProducer::new(kafka, format!("connect-cluster-{}", kafka.group_id))?;
    producer.init().await?;
    Ok(producer)
}

impl ConfigStore for TopicStore {
    fn load(&self) -> BoxFuture<'_, Result<Vec<Kept>>> {
        self.open().boxed()
    }

    fn write(&self, change: Change) -> BoxFuture<'_, Result<()>> {
        let records = record::write(&self.spec.topic, &change);
        async move { within(self.timeout, &self.place(), self.write_until_kept(records)).await }.boxed()
    }

    fn place(&self) -> String {
        format!("topic {}", self.spec.topic)
    }
}
