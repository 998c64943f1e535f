//! The brokers, the settings of the clients, and the offsets topic.

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::config::document::Entry;
use crate::config::judge::Judge;
use crate::config::keys::{self, Home, Status, clients};
use crate::config::policy::Policy;
use crate::config::report::Problem;
use crate::config::spec::{KafkaSpec, OffsetsSpec};
use crate::config::values::is_count;

/// Settings that exactly-once delivery fixes; another value does not count (`delivery-and-runtime.md`, 2.2).
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
    "config.storage.",
    "listeners",
    "rest.",
    "ui.",
    "producer.",
    "consumer.",
    "admin.",
    "topic.creation.enable",
    "internal.topics.automatic.creation.enable",
    "connector.client.config.override.policy",
    "config.providers",
];

/// The three kinds of clients, by the word in their keys.
const KINDS: [&str; 3] = ["producer", "consumer", "admin"];
const SAME_CLUSTER: &str = "names other brokers than bootstrap.servers does, and records and offsets share a \
     transaction, so all clients go to one cluster: leave it out, and name the brokers of the records in bootstrap.servers";

/// Settings of a client, by Kafka's name: the key each stands under, and its value.
type Given = BTreeMap<String, (String, String)>;

pub(super) fn build(judge: &mut Judge) -> KafkaSpec {
    if judge.settings.get("bootstrap.servers").is_none() {
        judge.problem("bootstrap.servers", "is missing; it names the brokers: host:port,host:port", &[]);
    }
    let is_common = |key: &str| {
        keys::find(key)
            .is_some_and(|definition| definition.home == Home::Worker && definition.status == Status::Honoured)
            && !OWN.iter().any(|own| key.starts_with(own))
    };
    let of_all = judge.settings.worker.iter().filter(|(key, _)| is_common(key));
    let (common, twins) = by_name(of_all.map(|(key, entry)| (key.as_str(), key, entry)));
    judge.report.problems.extend(twins);
    note_default(judge, "group.id");
    let [producer, consumer, admin] = KINDS.map(|name| client(judge, name));
    for given in [&producer, &consumer, &admin] {
        check_cluster(judge, given);
    }
    check_protocol(judge, &common, [&producer, &consumer, &admin]);
    let values = |given: Given| given.into_iter().map(|(setting, (_, value))| (setting, value)).collect();
    KafkaSpec {
        bootstrap_servers: judge.elements("bootstrap.servers").join(","),
        group_id: judge.text("group.id").to_owned(),
        common: values(common),
        producer: values(producer),
        consumer: values(consumer),
        admin: values(admin),
    }
}

/// Entries by Kafka's name of each, and what stands under two names with two values.
fn by_name<'e>(entries: impl Iterator<Item = (&'e str, &'e String, &'e Entry)>) -> (Given, Vec<Problem>) {
    let (mut given, mut problems) = (Given::new(), Vec::new());
    for (setting, key, entry) in entries {
        let (name, value) = clients::by_kafkas_name(setting, entry.text.trim());
        match given.entry(name) {
            Slot::Vacant(free) => {
                free.insert((key.clone(), value));
            }
            Slot::Occupied(taken) if taken.get().1 != value => {
                let message = "is another name of the same setting, with another value";
                problems.push(Problem::new(key, message).of(entry).with(&[taken.get().0.as_str()]));
            }
            Slot::Occupied(_) => {}
        }
    }
    (given, problems)
}

/// The worker's settings of a client, overlaid by the connector's.
fn client(judge: &mut Judge, name: &str) -> Given {
    let policy = Policy::named(judge.text("connector.client.config.override.policy")).unwrap_or(Policy::All);
    let (of_worker, of_connector) = (format!("{name}."), format!("{name}.override."));
    let is_client = |key: &str| keys::find(key).is_some_and(|definition| definition.name == format!("{name}.*"));
    let worker = judge.settings.worker.iter().filter(|(key, _)| is_client(key));
    let worker = worker.filter_map(|(key, entry)| Some((key.strip_prefix(&of_worker)?, key, entry)));
    let (mut settings, mut problems) = by_name(worker);
    let connector = judge.settings.connector.iter();
    let connector = connector.filter_map(|(key, entry)| Some((key.strip_prefix(&of_connector)?, key, entry)));
    let is_allowed = |setting: &str| policy.allows(&clients::by_kafkas_name(setting, "").0);
    for (_, key, entry) in connector.clone().filter(|(setting, ..)| !is_allowed(setting)) {
        let message = "the worker's connector.client.config.override.policy does not allow it";
        problems.push(Problem::new(key, message).of(entry).with(&["connector.client.config.override.policy"]));
    }
    let (overrides, twins) = by_name(connector.filter(|(setting, ..)| is_allowed(setting)));
    settings.extend(overrides);
    problems.extend(twins);
    judge.report.problems.extend(problems);
    for (_, setting, values) in FIXED.iter().filter(|(client, ..)| *client == name) {
        if let Some((key, value)) = settings.remove(*setting)
            && !values.contains(&value.to_lowercase().as_str())
        {
            judge.warning(&key, "has no effect: exactly-once delivery fixes it");
        }
    }
    settings
}

/// A client with brokers of its own would write or read another cluster than the others.
fn check_cluster(judge: &mut Judge, given: &Given) {
    let brokers = |text: &str| -> BTreeSet<String> {
        let bare = |broker: &str| broker.split_once("://").map_or(broker, |(_, address)| address).trim().to_lowercase();
        text.split(',').map(bare).filter(|broker| !broker.is_empty()).collect()
    };
    let Some((key, own)) = given.get("bootstrap.servers") else { return };
    let own = brokers(own);
    if !own.is_empty() && own != brokers(judge.text("bootstrap.servers")) {
        let key = key.clone();
        judge.problem(&key, SAME_CLUSTER, &["bootstrap.servers"]);
    }
}

/// One address speaks one protocol, and has a certificate of one authority.
fn check_protocol(judge: &mut Judge, common: &Given, clients: [&Given; 3]) {
    const AUTHORITIES: &[&str] =
        &["ssl.truststore.location", "ssl.truststore.certificates", "ssl.ca.location", "ssl.ca.pem"];
    let named = KINDS.into_iter().zip(clients);
    let of = |given: &Given, setting: &str| given.get(setting).map(|(_, value)| value.to_uppercase());
    let protocol = |given: &Given| of(given, "security.protocol").or_else(|| of(common, "security.protocol"));
    let protocol = |given: &Given| protocol(given).unwrap_or_else(|| "PLAINTEXT".to_owned());
    for (name, given) in named.clone() {
        let Some((key, _)) = given.get("security.protocol") else { continue };
        let (own, key) = (protocol(given), key.clone());
        if let Some((other, theirs)) = named.clone().map(|(name, given)| (name, protocol(given))).find(|it| it.1 != own)
        {
            let message = format!(
                "is for the {name}, while the {other} goes to the same brokers with {theirs}: set security.protocol, and \
                 what belongs to it, for all clients (without a prefix)"
            );
            judge.problem(&key, message, &[]);
        }
    }
    let has_authority =
        |given: &Given| AUTHORITIES.iter().any(|setting| given.contains_key(*setting) || common.contains_key(*setting));
    let own = named.clone().find_map(|(name, given)| {
        AUTHORITIES.iter().find_map(|setting| given.get(*setting)).map(|(key, _)| (name, key.clone()))
    });
    if let Some((name, key)) = own
        && let Some((other, _)) = named.clone().find(|(_, given)| !has_authority(given))
    {
        let message = format!(
            "counts for the {name}; the {other} goes to the same brokers and trusts what the system does: without the \
             prefix, in the worker's settings, it is for all"
        );
        judge.warning(&key, message);
    }
}

pub(super) fn note_default(judge: &mut Judge, key: &str) {
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
