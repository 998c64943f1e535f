//! The brokers, the settings of the clients, and the offsets topic.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::judge::Judge;
use crate::config::keys::{self, Home, Status};
use crate::config::policy::Policy;
use crate::config::report::Problem;
use crate::config::spec::{KafkaSpec, OffsetsSpec};
use crate::config::values::is_count;

/// What exactly-once delivery fixes; another value does not count (`delivery-and-runtime.md`, 2.2).
const FIXED: &[(&str, &str, &[&str])] = &[
    ("producer", "transactional.id", &[]),
    ("producer", "enable.idempotence", &["true"]),
    ("producer", "acks", &["all", "-1"]),
    ("consumer", "isolation.level", &["read_committed"]),
    ("consumer", "enable.auto.commit", &["false"]),
];
/// Honoured keys of the worker that are not settings of all its clients.
const OWN: &[&str] = &[
    "bootstrap.servers",
    "group.id",
    "offset.storage.",
    "producer.",
    "consumer.",
    "admin.",
    "topic.creation.enable",
    "internal.topics.automatic.creation.enable",
    "connector.client.config.override.policy",
    "config.providers",
];

pub(super) fn build(judge: &mut Judge) -> KafkaSpec {
    if judge.settings.get("bootstrap.servers").is_none() {
        judge.problem("bootstrap.servers", "is missing; it names the brokers: host:port,host:port", &[]);
    }
    let mut common = BTreeMap::new();
    for (key, entry) in &judge.settings.worker {
        let is_client = keys::find(key)
            .is_some_and(|definition| definition.home == Home::Worker && definition.status == Status::Honoured)
            && !OWN.iter().any(|own| key.starts_with(own));
        if is_client {
            common.insert(key.clone(), entry.text.trim().to_owned());
        }
    }
    note_default(judge, "group.id");
    KafkaSpec {
        bootstrap_servers: judge.elements("bootstrap.servers").join(","),
        group_id: judge.text("group.id").to_owned(),
        common,
        producer: client(judge, "producer"),
        consumer: client(judge, "consumer"),
        admin: client(judge, "admin"),
    }
}

/// The worker's settings of a client, overlaid by the connector's.
fn client(judge: &mut Judge, name: &str) -> BTreeMap<String, String> {
    let policy = Policy::named(judge.text("connector.client.config.override.policy")).unwrap_or(Policy::All);
    let (of_worker, of_connector) = (format!("{name}."), format!("{name}.override."));
    let mut settings = BTreeMap::new();
    let mut refused = Vec::new();
    for (key, entry) in &judge.settings.worker {
        let is_client = keys::find(key).is_some_and(|definition| definition.name == format!("{name}.*"));
        if let (true, Some(setting)) = (is_client, key.strip_prefix(&of_worker)) {
            settings.insert(setting.to_owned(), (key.clone(), entry.text.trim().to_owned()));
        }
    }
    for (key, entry) in &judge.settings.connector {
        let Some(setting) = key.strip_prefix(&of_connector) else { continue };
        if policy.allows(setting) {
            settings.insert(setting.to_owned(), (key.clone(), entry.text.trim().to_owned()));
        } else {
            let message = "the worker's connector.client.config.override.policy does not allow it";
            let with = ["connector.client.config.override.policy"];
            refused.push(Problem::new(key, message).of(entry).with(&with));
        }
    }
    judge.report.problems.extend(refused);
    for (_, setting, values) in FIXED.iter().filter(|(client, ..)| *client == name) {
        if let Some((key, value)) = settings.remove(*setting)
            && !values.contains(&value.to_lowercase().as_str())
        {
            judge.warning(&key, "has no effect: exactly-once delivery fixes it");
        }
    }
    settings.into_iter().map(|(setting, (_, value))| (setting, value)).collect()
}

fn note_default(judge: &mut Judge, key: &str) {
    if judge.settings.get(key).is_none() {
        let note = format!("{key}: not set, `{}` is used (Kafka Connect demands it)", judge.text(key));
        judge.notes.push(note);
    }
}

/// The offsets topic: the connector's own, else the worker's.
pub(super) fn offsets(judge: &mut Judge) -> OffsetsSpec {
    let own = judge.given("offsets.storage.topic").map(str::to_owned);
    if own.is_none() {
        note_default(judge, "offset.storage.topic");
    }
    let count = |key: &str| i32::try_from(judge.number(key)).ok().filter(|count| is_count(&count.to_string()));
    let (partitions, replication) =
        (count("offset.storage.partitions").unwrap_or(25), count("offset.storage.replication.factor").unwrap_or(3));
    let settings = judge.settings.worker.iter().filter_map(|(key, entry)| {
        let definition = keys::find(key).filter(|definition| definition.name == "offset.storage.*")?;
        let setting = key.strip_prefix(definition.family()?)?;
        // It is always `compact`.
        (setting != "cleanup.policy").then(|| (setting.to_owned(), entry.text.trim().to_owned()))
    });
    let settings = settings.collect();
    let of_worker = judge.text("offset.storage.topic").to_owned();
    let worker_topic = own.is_some().then(|| of_worker.clone());
    let topic = own.unwrap_or(of_worker);
    let automatic_creation = judge.flag("internal.topics.automatic.creation.enable");
    let standalone_file =
        judge.given("offset.storage.file.filename").filter(|file| !file.is_empty()).map(PathBuf::from);
    if let Some(file) = &standalone_file {
        judge.notes.push(format!(
            "offset.storage.file.filename: offsets are kept in topic {topic}; {} is looked at for positions that were \
             not taken over",
            file.display()
        ));
    }
    OffsetsSpec { topic, worker_topic, partitions, replication, automatic_creation, standalone_file, settings }
}
