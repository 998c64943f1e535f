//! Topics: probes for them, and creating those that are missing as Kafka Connect would (`offsets-topic.md`, 7;
//! `delivery-and-runtime.md`, 5.1). Existing topics are never altered. A broker that cannot make topics is taken to
//! have the topic: producing will tell.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::ask::{self, Asker};
use super::client::{self, ClientKind, PATIENCE};
use super::topic_role::{COMPACT, TopicRole, Wanted};
use super::topic_settings::{admin_client, keyless, release, setting, target_settings};
use crate::config::spec::{ConfigTopicSpec, DeadLetterSpec, KafkaSpec, OffsetsSpec, TopicSpec};
use crate::error::{Error, ErrorKind, Result};

/// The longest wait for a new topic to be known to all brokers.
pub(super) const SPREAD: Duration = Duration::from_secs(10);
/// The longest wait for the other brokers of a cluster that is starting.
pub(super) const BROKERS_APPEAR: Duration = Duration::from_secs(5);

/// The brokers' answers to a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerProbe {
    /// The cluster's id.
    pub cluster_id: Option<String>,
    /// The number of brokers in the cluster.
    pub brokers: usize,
    /// Host and port that each advertises.
    pub addresses: Vec<(String, u16)>,
    /// The id of one.
    pub(super) id: i32,
}

/// The state of a topic, as far as the brokers tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicState {
    /// The topic does not exist.
    Missing,
    /// The topic exists.
    Present {
        /// Its partitions.
        partitions: i32,
    },
    /// The connector's user may not describe the topic.
    Hidden,
}

/// Probe of the brokers: reaches them and gives their addresses. Writes nothing.
///
/// # Errors
/// `Auth` if they refuse the credentials, `Unreachable` with the reason if none answers, `Config`.
pub async fn probe_brokers(spec: &KafkaSpec, timeout: Duration) -> Result<BrokerProbe> {
    let spec = spec.clone();
    ask::blocking(move |cancel| {
        let asker = Asker::new(ClientKind::Admin, &spec, "read_committed")?;
        let (found, cluster_id) = asker.cluster(timeout, cancel)?;
        let id = found.first().map_or(0, |(id, _)| *id);
        let addresses: Vec<_> = found.into_iter().map(|(_, address)| address).collect();
        Ok(BrokerProbe { cluster_id, brokers: addresses.len(), addresses, id })
    })
    .await
}

/// True if the topic exists. Asking does not create it.
///
/// # Errors
/// `Auth`, `Unreachable`, `Config`, `KafkaRefused` for an invalid name.
pub async fn probe_topic(spec: &KafkaSpec, topic: &str, timeout: Duration) -> Result<TopicState> {
    let (spec, topic) = (spec.clone(), topic.to_owned());
    ask::blocking(move |cancel| {
        let asker = Asker::new(ClientKind::Admin, &spec, "read_committed")?;
        match asker.partitions(&topic, timeout, cancel) {
            Ok(Some(partitions)) => Ok(TopicState::Present { partitions }),
            Ok(None) => Ok(TopicState::Missing),
            Err(error) if error.kind() == ErrorKind::KafkaRefused => Ok(TopicState::Hidden),
            Err(error) => Err(error),
        }
    })
    .await
}

/// Makes sure the offsets topic exists and is compacted.
///
/// # Errors
/// `Config`, naming the key, if it exists with another cleanup policy or cannot be made as asked.
pub async fn ensure_offsets_topic(kafka: &KafkaSpec, offsets: &OffsetsSpec) -> Result<()> {
    if !offsets.automatic_creation {
        return Ok(());
    }
    match ensure(kafka, &TopicRole::Offsets(offsets).wanted()).await? {
        Ensured::Created | Ensured::Unknown => Ok(()),
        Ensured::Existed => require_compact(kafka, &offsets.topic, ("offsets topic", "offset.storage.topic")).await,
    }
}

/// Makes sure the topic of connector configurations exists, is compacted, and has one partition.
///
/// # Errors
/// `Config`, naming the key, if it exists in another form or cannot be made as asked.
pub async fn ensure_config_topic(kafka: &KafkaSpec, configs: &ConfigTopicSpec) -> Result<()> {
    if configs.automatic_creation
        && matches!(ensure(kafka, &TopicRole::Configs(configs).wanted()).await?, Ensured::Existed)
    {
        require_compact(kafka, &configs.topic, ("topic of configurations", "config.storage.topic")).await?;
    }
    match probe_topic(kafka, &configs.topic, PATIENCE).await? {
        TopicState::Present { partitions } if partitions != 1 => {
            let what = format!("config.storage.topic: the topic has {partitions} partitions, it must have one");
            let advice =
                "the order of its records counts; name another topic, or make this one anew with one partition";
            Err(Error::config(what).with("topic", &configs.topic).advise(advice))
        }
        TopicState::Missing => {
            Err(Error::config("config.storage.topic: the topic does not exist, and may not be made")
                .with("topic", &configs.topic)
                .advise("make it, with one partition and cleanup.policy=compact"))
        }
        TopicState::Present { .. } | TopicState::Hidden => Ok(()),
    }
}

/// Makes sure a target topic exists.
///
/// # Errors
/// `Config`, naming the key, if it cannot be made as asked; `KafkaRefused` for an invalid name or a missing right.
pub async fn ensure_topic(kafka: &KafkaSpec, topics: &TopicSpec, topic: &str) -> Result<()> {
    if topics.by_brokers {
        return made_by_brokers(kafka, topic).await;
    }
    ensure(kafka, &TopicRole::Records(topics, topic).wanted()).await.map(|_| ())
}

/// Asks about a topic in the way that has brokers create it, where they are set up to.
async fn made_by_brokers(kafka: &KafkaSpec, topic: &str) -> Result<()> {
    let asker = Arc::new(Asker::that_creates(ClientKind::Admin, kafka)?);
    let started = tokio::time::Instant::now();
    loop {
        let (asker, name) = (Arc::clone(&asker), topic.to_owned());
        let found = ask::blocking(move |cancel| asker.partitions(&name, PATIENCE, cancel)).await;
        match found.map_err(|error| hidden(error, topic))? {
            Some(1..) => return Ok(()),
            // It takes a moment after the request.
            _ if started.elapsed() < BROKERS_APPEAR => tokio::time::sleep(Duration::from_millis(200)).await,
            _ => {
                let what = "the topic does not exist, and the brokers do not create it (topic.creation.enable=false)";
                return Err(Error::config(what).with("topic", topic).advise(
                    "create it, or set topic.creation.enable=true, or auto.create.topics.enable=true at the brokers",
                ));
            }
        }
    }
}

/// Makes sure the dead letter topic exists.
///
/// # Errors
/// As [`ensure_topic`].
pub async fn ensure_dead_letter_topic(kafka: &KafkaSpec, letters: &DeadLetterSpec) -> Result<()> {
    ensure(kafka, &TopicRole::Letters(letters).wanted()).await.map(|_| ())
}

/// Fitness of a topic for its role: it exists and fits, or can be created as asked; the text says which. `keyed`: its
/// records have keys. Writes nothing.
///
/// # Errors
/// Those that a run would meet, with the setting or the grant.
pub async fn inspect(kafka: &KafkaSpec, role: TopicRole<'_>, keyed: bool, timeout: Duration) -> Result<String> {
    let (topic, wanted) = (role.topic(), role.wanted());
    let (spec, name) = (kafka.clone(), topic.to_owned());
    let described = ask::blocking(move |cancel| {
        Asker::new(ClientKind::Admin, &spec, "read_committed")?.described(&name, timeout, cancel)
    });
    let Some(partitions) = described.await.map_err(|error| hidden(error, topic))? else {
        if matches!(role, TopicRole::Offsets(offsets) if !offsets.automatic_creation) {
            return Err(Error::config("the offsets topic does not exist, and may not be made")
                .with("topic", topic)
                .advise(
                    "make it, with cleanup.policy=compact, or set internal.topics.automatic.creation.enable=true",
                ));
        }
        if !keyed && wanted.settings.get("cleanup.policy").is_some_and(|policy| policy.contains(COMPACT)) {
            return Err(keyless(topic));
        }
        if matches!(role, TopicRole::Records(topics, _) if topics.by_brokers) {
            return Ok("not there yet; the brokers create it if auto.create.topics.enable is set there".to_owned());
        }
        return match create(kafka, &wanted, true).await {
            Ok(()) | Err(RDKafkaErrorCode::UnsupportedFeature | RDKafkaErrorCode::UnsupportedVersion) => {
                Ok("not there yet; the first run creates it".to_owned())
            }
            Err(code) => Err(refused(kafka, &wanted, code).await),
        };
    };
    super::topics::health(kafka, topic, &partitions).await?;
    match role {
        TopicRole::Offsets(offsets) if offsets.automatic_creation => {
            require_compact(kafka, topic, ("offsets topic", "offset.storage.topic")).await?
        }
        TopicRole::Records(..) if !keyed => {
            let settings = target_settings(kafka, &[topic]).await;
            settings.get(topic).map_or(Ok(()), |settings| settings.require_no_compaction(topic))?;
        }
        _ => {}
    }
    if matches!(role, TopicRole::Offsets(_)) {
        super::probe::may_read(kafka, topic, timeout).await?;
    }
    super::probe::may_write(kafka, topic, timeout).await?;
    Ok(format!("{} partition{}", partitions.len(), if partitions.len() == 1 { "" } else { "s" }))
}

enum Ensured {
    Created,
    Existed,
    Unknown,
}

async fn ensure(kafka: &KafkaSpec, wanted: &Wanted<'_>) -> Result<Ensured> {
    match probe_topic(kafka, wanted.topic, PATIENCE).await? {
        TopicState::Present { .. } => return Ok(Ensured::Existed),
        TopicState::Hidden => {
            let error = Error::new(ErrorKind::KafkaRefused, "the topic may not be described");
            return Err(hidden(error, wanted.topic));
        }
        TopicState::Missing => {}
    }
    let started = tokio::time::Instant::now();
    loop {
        match create(kafka, wanted, false).await {
            Ok(()) => break,
            Err(RDKafkaErrorCode::TopicAlreadyExists) => return Ok(Ensured::Existed),
            Err(RDKafkaErrorCode::UnsupportedFeature | RDKafkaErrorCode::UnsupportedVersion) => {
                tracing::info!(topic = wanted.topic, "the topic cannot be created by rowtide, it is taken to exist");
                return Ok(Ensured::Unknown);
            }
            Err(RDKafkaErrorCode::InvalidReplicationFactor) if started.elapsed() < BROKERS_APPEAR => {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Err(code) => return Err(refused(kafka, wanted, code).await),
        }
    }
    wanted.say_created();
    let started = tokio::time::Instant::now();
    while started.elapsed() < SPREAD {
        if let TopicState::Present { partitions: 1.. } = probe_topic(kafka, wanted.topic, PATIENCE).await? {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(Ensured::Created)
}

impl Wanted<'_> {
    pub(super) fn say_created(&self) {
        // -1: as many as the brokers make by default.
        let partitions = (self.partitions > 0).then_some(self.partitions);
        tracing::info!(topic = self.topic, partitions, "topic created");
    }

    fn to_new(&self) -> NewTopic<'_> {
        let new = NewTopic::new(self.topic, self.partitions, TopicReplication::Fixed(self.replication));
        self.settings.iter().fold(new, |new, (key, value)| new.set(key, value))
    }
}

/// Creates a topic; with `only_asked` the brokers only tell whether they would.
async fn create(kafka: &KafkaSpec, wanted: &Wanted<'_>, only_asked: bool) -> Result<(), RDKafkaErrorCode> {
    create_all(kafka, std::slice::from_ref(wanted), only_asked).await?.into_iter().collect()
}

/// Creates topics by one request; the outcome of each, in their order.
pub(super) async fn create_all(
    kafka: &KafkaSpec,
    wanted: &[Wanted<'_>],
    only_asked: bool,
) -> Result<Vec<Result<(), RDKafkaErrorCode>>, RDKafkaErrorCode> {
    let code = |error: KafkaError| match error {
        KafkaError::AdminOp(code) => code,
        other => other.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail),
    };
    let client = admin_client(kafka).map_err(|_| RDKafkaErrorCode::Fail)?;
    let topics: Vec<NewTopic<'_>> = wanted.iter().map(Wanted::to_new).collect();
    let created = client.create_topics(&topics, &options().validate_only(only_asked)).await;
    release(client);
    Ok(created.map_err(code)?.into_iter().map(|outcome| outcome.map(|_| ()).map_err(|(_, code)| code)).collect())
}

async fn refused(kafka: &KafkaSpec, wanted: &Wanted<'_>, code: RDKafkaErrorCode) -> Error {
    let error = match code {
        RDKafkaErrorCode::InvalidReplicationFactor => {
            let brokers = probe_brokers(kafka, PATIENCE).await.map_or(0, |probe| probe.brokers);
            let (key, factor) = (&wanted.replication_key, wanted.replication);
            Error::config(format!(
                "{key}: the replication factor {factor} needs more brokers than the {brokers} there are"
            ))
            .advise(format!("set {key} to {brokers} or less (-1: the brokers' default)"))
        }
        RDKafkaErrorCode::InvalidPartitions => {
            Error::config(format!("{}: not a number of partitions the brokers accept", wanted.partitions_key))
        }
        RDKafkaErrorCode::InvalidConfig => Error::config("the brokers refuse the topic's settings")
            .advise(format!("check {} and its siblings", wanted.partitions_key)),
        RDKafkaErrorCode::PolicyViolation => {
            Error::config("a policy of the brokers refuses a topic with these settings").advise(format!(
                "ask the operator of the brokers for the rules of create.topic.policy, and set {} and its siblings",
                wanted.partitions_key
            ))
        }
        RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed => {
            Error::new(ErrorKind::KafkaRefused, "the topic does not exist and may not be created")
                .advise(format!("create it, or {}", grant("Create, Write and Describe", wanted.topic)))
        }
        RDKafkaErrorCode::InvalidTopic => match super::topics::collision(kafka, wanted.topic).await {
            Some(other) => Error::config(format!(
                "the topic cannot be created beside `{other}`: the brokers do not tell `.` from `_` in names"
            ))
            .advise("choose another topic.prefix, or delete the other topic"),
            None => Error::config("the brokers do not allow the topic's name"),
        },
        code => Error::new(client::kind_of(code), "the topic cannot be created"),
    };
    error.with("topic", wanted.topic).caused_by(code)
}

/// The advice to grant operations on a topic.
pub(super) fn grant(operations: &str, topic: &str) -> String {
    let options: Vec<String> =
        operations.split(", ").flat_map(|word| word.split(" and ")).map(|word| format!("--operation {word}")).collect();
    format!(
        "allow the connector's user {operations} on it: kafka-acls --add --allow-principal User:NAME {} --topic {topic}",
        options.join(" ")
    )
}

/// The error for a topic that may not be described, and so cannot be written: every right implies Describe.
fn hidden(error: Error, topic: &str) -> Error {
    if error.kind() != ErrorKind::KafkaRefused {
        return error;
    }
    Error::new(ErrorKind::KafkaRefused, "the topic may not be described, so it cannot be written")
        .with("topic", topic)
        .advise(grant("Write and Describe", topic))
}

/// Refuses an offsets topic that loses records, as Kafka Connect does.
async fn require_compact(kafka: &KafkaSpec, topic: &str, (what, key): (&str, &str)) -> Result<()> {
    let policy = setting(kafka, topic, "cleanup.policy").await;
    match policy.as_deref() {
        None => {
            tracing::debug!(topic, "the topic's settings cannot be read, cleanup.policy is not checked");
            Ok(())
        }
        Some(COMPACT) => Ok(()),
        Some(other) => Err(Error::config(format!("the {what} has cleanup.policy={other}, it must be {COMPACT}"))
            .with("topic", topic)
            .advise(format!(
                "its records would be deleted; set cleanup.policy=compact on the topic, or name another in {key}"
            ))),
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}
