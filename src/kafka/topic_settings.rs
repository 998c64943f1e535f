//! Settings of topics and brokers, as far as they may be asked: none is required, and none is changed.

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, OwnedResourceSpecifier, ResourceSpecifier};

use super::client::{self, ClientKind, Context};
use super::topic_role::COMPACT;
use crate::config::spec::KafkaSpec;
use crate::error::{Error, ErrorKind, Result};

/// The longest wait for a topic's settings, which are not required.
const SETTINGS: Duration = Duration::from_secs(5);

/// The settings of a target topic that records are made by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetSettings {
    /// `cleanup.policy`; none where it may not be asked.
    pub cleanup_policy: Option<String>,
    /// `max.message.bytes`.
    pub max_message_bytes: Option<usize>,
}

impl TargetSettings {
    /// A compacted topic takes no record without a key.
    ///
    /// # Errors
    /// `KafkaRefused`, where the topic may be asked.
    pub fn require_no_compaction(&self, topic: &str) -> Result<()> {
        let is_compacted = self.cleanup_policy.as_ref().is_some_and(|policy| policy.contains(COMPACT));
        if is_compacted { Err(keyless(topic)) } else { Ok(()) }
    }
}

/// The settings of topics, by one request; of those that may be asked.
pub async fn target_settings(kafka: &KafkaSpec, topics: &[&str]) -> HashMap<String, TargetSettings> {
    let Ok(client) = admin_client(kafka) else { return HashMap::new() };
    let asked: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
    let described = client.describe_configs(&asked, &AdminOptions::new().request_timeout(Some(SETTINGS))).await;
    release(client);
    let described = described.unwrap_or_default().into_iter().flatten();
    let of = |resource: ConfigResource| {
        let value = |name: &str| resource.get(name).and_then(|entry| entry.value.clone());
        let settings = TargetSettings {
            cleanup_policy: value("cleanup.policy"),
            max_message_bytes: value("max.message.bytes").and_then(|bytes| bytes.parse().ok()),
        };
        match &resource.specifier {
            OwnedResourceSpecifier::Topic(topic) => Some((topic.clone(), settings)),
            _ => None,
        }
    };
    described.filter_map(of).collect()
}

/// The error of a compacted topic whose records would have no keys.
pub(super) fn keyless(topic: &str) -> Error {
    Error::new(ErrorKind::KafkaRefused, "the topic is compacted, and takes no records without keys")
        .with("topic", topic)
        .advise("set key.mode=primary_key, or cleanup.policy=delete on the topic")
}

/// A topic's setting; none where it may not be asked.
pub(super) async fn setting(kafka: &KafkaSpec, topic: &str, name: &str) -> Option<String> {
    described_setting(kafka, ResourceSpecifier::Topic(topic), name).await
}

/// A setting of the brokers; none where it may not be asked.
pub(super) async fn broker_setting(kafka: &KafkaSpec, broker: i32, name: &str) -> Option<String> {
    described_setting(kafka, ResourceSpecifier::Broker(broker), name).await
}

async fn described_setting(kafka: &KafkaSpec, of: ResourceSpecifier<'_>, name: &str) -> Option<String> {
    let client = admin_client(kafka).ok()?;
    let options = AdminOptions::new().request_timeout(Some(SETTINGS));
    let described = client.describe_configs([&of], &options).await;
    release(client);
    described.ok()?.into_iter().next()?.ok()?.get(name)?.value.clone()
}

/// A client for requests about topics.
pub(super) fn admin_client(kafka: &KafkaSpec) -> Result<AdminClient<Context>> {
    client::create(&client::config(ClientKind::Admin, kafka)?, Context::default())
}

/// The end of such a client: its drop waits for a thread.
pub(super) fn release(client: AdminClient<Context>) {
    drop(tokio::task::spawn_blocking(move || drop(client)));
}
