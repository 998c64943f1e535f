//! Builder of the parts of tasks, from a specification and the registries.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock};

use tokio::task::JoinSet;

use super::RunOptions;
use crate::config::spec::{ConnectorSpec, DeadLetterSpec, KafkaSpec, TaskSpec};
use crate::convert::Converter;
use crate::dialect::{Dialect, dialect_of};
use crate::error::Result;
use crate::kafka::RecordSink;
use crate::kafka::limits::BatchLimit;
use crate::kafka::producer::TransactionalProducer;
use crate::kafka::topic_batches::TopicBatches;
use crate::kafka::topic_settings::target_settings;
use crate::kafka::{admin, client, limits, probe, topics};
use crate::lock::locked;
use crate::offsets::OffsetStore;
use crate::offsets::kafka::KafkaOffsetStore;
use crate::task;
use crate::task::memory::{ConnectorMemory, LARGEST_QUEUE};

/// The default of `max.request.size`.
const MAX_REQUEST_SIZE: usize = 1_048_576;

/// The parts all tasks of a connector share.
pub struct ConnectorParts {
    /// The configuration.
    pub spec: Arc<ConnectorSpec>,
    /// Its dialect.
    pub dialect: &'static dyn Dialect,
    /// Converts keys.
    pub key_converter: Arc<dyn Converter>,
    /// Converts values.
    pub value_converter: Arc<dyn Converter>,
    /// Converts headers.
    pub header_converter: Arc<dyn Converter>,
    /// The store of offsets.
    pub store: Arc<dyn OffsetStore>,
    /// The server that the connector reads.
    pub server: task::server::ServerGuard,
    /// The columns its tables have had in this run.
    columns: task::columns::KnownColumns,
    /// The forms they have had that depend on the JDBC driver.
    driver_choices: task::driver_types::DriverChoices,
    /// The tables whose plan was good at the start.
    pub(super) plans: task::plan_check::KnownPlans,
    /// The memory of its tasks; that of one until it is known how many there are.
    memory: Arc<ConnectorMemory>,
    /// The topics of its tables, to be made together once they are known.
    topics: Arc<OnceLock<TopicBatches>>,
    /// The work on them, which ends with the connector.
    preparing: Mutex<JoinSet<()>>,
    /// Those of them that were made, and were empty then.
    new_topics: Arc<Mutex<HashSet<Arc<str>>>>,
    /// The options of its run.
    pub(super) options: RunOptions,
}

/// Builds the parts. Talks to nobody yet.
///
/// # Errors
/// `Config`, where a registry does not know a name or a client refuses a setting.
pub fn build(spec: Arc<ConnectorSpec>, options: &RunOptions) -> Result<ConnectorParts> {
    for note in client::notes(&spec.kafka)? {
        tracing::info!(connector = %spec.name, "{note}");
    }
    Ok(ConnectorParts {
        dialect: dialect_of(&spec.source)?,
        key_converter: spec.key_converter.create()?,
        value_converter: spec.value_converter.create()?,
        header_converter: spec.header_converter.create()?,
        store: Arc::new(KafkaOffsetStore::new(spec.kafka.clone(), &spec.offsets)),
        server: task::server::ServerGuard::new(options.accept_server, spec.identity.server),
        columns: task::columns::KnownColumns::default(),
        driver_choices: task::driver_types::DriverChoices::default(),
        plans: task::plan_check::KnownPlans::default(),
        memory: Arc::new(options.memory.claim(1, spec.memory_max)?),
        topics: Arc::default(),
        preparing: Mutex::default(),
        new_topics: Arc::default(),
        options: options.clone(),
        spec,
    })
}

impl ConnectorParts {
    /// Claims the memory of so many tasks.
    ///
    /// # Errors
    /// `Config` if the process has too little.
    pub fn claim_memory(&self, tasks: usize) -> Result<()> {
        self.memory.set_tasks(tasks)
    }

    /// Tells the topics that tables will ask for, in their order.
    pub(super) fn prepare_targets(&self, topics: Vec<Arc<str>>) {
        let spec = &self.spec;
        let describes = spec.offsets.automatic_creation;
        let batches = TopicBatches::new(&spec.kafka, &spec.topics, topics, describes);
        locked(&self.preparing).spawn(batches.prepare_ahead());
        // A later start has its own parts.
        let _ = self.topics.set(batches);
    }

    /// The parts of one task.
    ///
    /// # Errors
    /// `Config`, naming the producer's key.
    pub fn for_task(&self, index: usize, fence: task::Fence) -> Result<task::Parts> {
        let spec = Arc::clone(&self.spec);
        let metrics = self.options.metrics.clone();
        let (for_sink, for_look, for_records) = (Arc::clone(&spec), Arc::clone(&spec), Arc::clone(&spec));
        let new_topics = Arc::clone(&self.new_topics);
        let (kafka, memory) = (with_queue(spec.kafka.clone(), LARGEST_QUEUE), self.memory.of_task(index));
        let for_queue = memory.clone();
        let batches = Arc::new(BatchLimit::of(&kafka)?);
        let for_topic = Arc::clone(&batches);
        Ok(task::Parts {
            dialect: self.dialect,
            sessions: self.options.sessions.clone(),
            key_converter: Arc::clone(&self.key_converter),
            value_converter: Arc::clone(&self.value_converter),
            header_converter: Arc::clone(&self.header_converter),
            store: Arc::clone(&self.store),
            sink: Arc::new(move |task| {
                let id = kafka.transactional_id(&for_sink.name, task);
                // Those of other tasks are only fenced.
                let kafka = match task == index {
                    true => batches.apply(with_queue(kafka.clone(), for_queue.queue_bytes())),
                    false => kafka.clone(),
                };
                let sink: Box<dyn RecordSink> =
                    Box::new(TransactionalProducer::measured(&kafka, id, Some(metrics.producer(index)))?);
                Ok(sink)
            }),
            ensure_topic: self.ensure_topic(for_topic),
            look_at_topics: Arc::new(move |topics| {
                let spec = Arc::clone(&for_look);
                Box::pin(async move { topics::trouble(&spec.kafka, topics).await })
            }),
            holds_records: Arc::new(move |topic| {
                let (spec, is_new) = (Arc::clone(&for_records), locked(&new_topics).contains(&topic));
                Box::pin(async move {
                    // What it holds by now this run has written.
                    if is_new { Some(false) } else { topics::holds_records(&spec.kafka, &topic).await }
                })
            }),
            board: self.options.board.clone(),
            metrics: self.options.metrics.clone(),
            once: self.options.once,
            task: index,
            fence,
            server: self.server.clone(),
            columns: self.columns.clone(),
            driver_choices: self.driver_choices.clone(),
            plans: self.plans.clone(),
            memory,
            control: self.options.control.clone(),
            samples: self.options.samples.clone(),
            spec: TaskSpec::new(Arc::clone(&self.spec)),
        })
    }

    /// Makes topics for a task whose producers make batches within these limits.
    fn ensure_topic(&self, limit: Arc<BatchLimit>) -> task::EnsureTopic {
        let (spec, together, new) = (Arc::clone(&self.spec), Arc::clone(&self.topics), Arc::clone(&self.new_topics));
        Arc::new(move |topic, has_key| {
            let (spec, limit) = (Arc::clone(&spec), Arc::clone(&limit));
            let (together, new) = (Arc::clone(&together), Arc::clone(&new));
            Box::pin(async move {
                let is_letters = |letters: &&DeadLetterSpec| *letters.topic == *topic;
                let letters = spec.errors.dead_letters.as_ref().filter(is_letters);
                let prepared = match together.get() {
                    Some(batches) => batches.take(&topic).await,
                    None => None,
                };
                if prepared.as_ref().is_some_and(|prepared| prepared.is_new) {
                    locked(&new).insert(Arc::clone(&topic));
                }
                let mut settings = prepared.map(|prepared| prepared.settings);
                if settings.is_none() {
                    match letters {
                        Some(letters) => admin::ensure_dead_letter_topic(&spec.kafka, letters).await?,
                        None => admin::ensure_topic(&spec.kafka, &spec.topics, &topic).await?,
                    }
                    if spec.offsets.automatic_creation {
                        settings = target_settings(&spec.kafka, &[&topic]).await.remove(&*topic);
                    }
                }
                let settings = settings.unwrap_or_default();
                if letters.is_none() && !has_key {
                    settings.require_no_compaction(&topic)?;
                }
                let of_topic = settings.max_message_bytes;
                if let Some(of_topic) = of_topic {
                    limit.admit(&topic, of_topic)?;
                }
                limits::record_limit(&spec.kafka, of_topic)
            })
        })
    }

    /// Creates the offsets topic and the dead letter topic if they are missing, and refuses an offsets topic that
    /// would lose offsets.
    ///
    /// # Errors
    /// `Config`, `Kafka`, `KafkaRefused`.
    pub async fn prepare_topics(&self) -> Result<()> {
        let kafka = &self.spec.kafka;
        let topics = async {
            admin::ensure_offsets_topic(kafka, &self.spec.offsets).await?;
            match &self.spec.errors.dead_letters {
                Some(letters) => admin::ensure_dead_letter_topic(kafka, letters).await,
                None => Ok(()),
            }
        };
        tokio::try_join!(topics, probe::can_start(kafka)).map(|_| ())
    }
}

/// The producer's queue is bounded by the task's share, and by the operator's setting; a record must fit in.
fn with_queue(mut kafka: KafkaSpec, queue_bytes: usize) -> KafkaSpec {
    let number = |key: &str| kafka.producer.get(key).and_then(|value| value.parse::<usize>().ok());
    let largest = number("max.request.size").unwrap_or(MAX_REQUEST_SIZE);
    let queue = number("buffer.memory").unwrap_or(usize::MAX).min(queue_bytes).max(largest);
    kafka.producer.insert("buffer.memory".to_owned(), queue.to_string());
    kafka
}
