//! Translation of the Java clients' settings, the ones that users have, to librdkafka's. Takes name-value pairs, gives
//! name-value pairs and notes on dropped ones; refuses those that cannot be honoured. Reads the stores that settings
//! point to (`stores`) and does nothing else. Values never appear in messages: some are secrets.

mod sasl;

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

use super::stores::{self, STORES};
use crate::config::keys::clients;
use crate::error::{Error, Result};

/// The kind of client a setting is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientKind {
    /// The transactional producer.
    Producer,
    /// Any consumer.
    Consumer,
    /// Topic administration and probes.
    Admin,
}

impl ClientKind {
    /// The word in configuration keys: `producer.override.acks`.
    pub fn as_str(self) -> &'static str {
        match self {
            ClientKind::Producer => "producer",
            ClientKind::Consumer => "consumer",
            ClientKind::Admin => "admin",
        }
    }
}

/// Settings in librdkafka's names, and the notes about them.
#[derive(Default)]
pub(super) struct Translated {
    pub(super) settings: BTreeMap<String, String>,
    pub(super) notes: Vec<String>,
    /// Settings with a meaning to Java's clients only.
    pub(super) javas: BTreeSet<String>,
}

/// The beginnings of settings that librdkafka may have too, and that have no effect here: what they belong to is refused,
/// not chosen, or decided by librdkafka, or there is no group.
const NO_EFFECT: &[&str] = &["partition.assignment.strategy", "sasl.kerberos.", "sasl.login.", "sasl.oauthbearer."];

/// Settings rowtide decides itself; a user's value is dropped with a note.
const OURS: &[&str] = &[
    "allow.auto.create.topics",
    "auto.commit.interval.ms",
    "delivery.report.only.error",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "group.instance.id",
    "isolation.level",
    "log.queue",
    "transactional.id",
];

/// Translates the settings of one client.
///
/// # Errors
/// `Config`, naming the key.
pub(super) fn translate(kind: ClientKind, java: &BTreeMap<String, String>) -> Result<Translated> {
    let mut out = Translated::default();
    for (key, value) in java {
        translate_one(kind, key, value.trim(), java, &mut out)?;
    }
    sasl::add(java, &mut out)?;
    stores::add(java, &mut out.settings)?;
    Ok(out)
}

/// An error about one setting; the value is not repeated.
pub(super) fn refuse(key: &str, what: &str) -> Error {
    Error::config(format!("{key}: {what}"))
}

fn translate_one(
    kind: ClientKind,
    key: &str,
    value: &str,
    java: &BTreeMap<String, String>,
    out: &mut Translated,
) -> Result<()> {
    check(kind, key, value)?;
    let mut set = |name: &str, value: String| {
        out.settings.insert(name.to_owned(), value);
    };
    match key {
        _ if STORES.contains(&key) || sasl::takes(key, java) => {}
        _ if has_no_effect(key) => {
            out.javas.insert(key.to_owned());
        }
        _ if OURS.contains(&key) => {
            if !(key == "enable.idempotence" && value.eq_ignore_ascii_case("true")) {
                out.notes.push(format!("{key} is decided by rowtide and ignored"));
            }
        }
        // The configuration has checked it.
        "bootstrap.servers" | "metadata.broker.list" => {}
        "delivery.timeout.ms" | "message.timeout.ms" => {
            out.notes.push(format!("{key} is ignored: within a transaction it is transaction.timeout.ms"));
        }
        "ssl.endpoint.identification.algorithm" => {
            set(key, if value.is_empty() { "none".to_owned() } else { value.to_ascii_lowercase() });
        }
        "ssl.cipher.suites" if value.contains("TLS_") => {
            out.notes.push(format!("{key} holds Java's names and is ignored; OpenSSL's names are accepted"));
        }
        "security.protocol" => set(key, value.to_ascii_lowercase()),
        "buffer.memory" => set("queue.buffering.max.kbytes", (number(key, value)? / 1024).max(1).to_string()),
        "max.request.size" => set("message.max.bytes", number(key, value)?.to_string()),
        "receive.buffer.bytes" => set("socket.receive.buffer.bytes", number(key, value)?.max(0).to_string()),
        "send.buffer.bytes" => set("socket.send.buffer.bytes", number(key, value)?.max(0).to_string()),
        "request.timeout.ms" => {
            if kind == ClientKind::Producer {
                set("request.timeout.ms", value.to_owned());
            }
            set("socket.timeout.ms", value.to_owned());
        }
        "fetch.max.wait.ms" => set("fetch.wait.max.ms", value.to_owned()),
        "auto.offset.reset" if value == "none" => set(key, "error".to_owned()),
        "compression.gzip.level" | "compression.lz4.level" | "compression.zstd.level" => {
            if java.get("compression.type").is_some_and(|codec| key.split('.').nth(1) == Some(codec.trim())) {
                set("compression.level", value.to_owned());
            }
        }
        // They are those of transactions, or have been refused.
        "acks" | "request.required.acks" if kind == ClientKind::Producer => {}
        _ if is_native(key, value) => set(key, value.to_owned()),
        _ if clients::is_kafkas(key) => {
            out.javas.insert(key.to_owned());
        }
        _ => return Err(unknown(key)),
    }
    Ok(())
}

fn has_no_effect(key: &str) -> bool {
    let belongs = |beginning: &&str| key.starts_with(*beginning);
    key.starts_with("config.providers") || clients::is_kafkas(key) && NO_EFFECT.iter().any(belongs)
}

/// Refuses what a setting may not be: values that break the promises, and what no librdkafka can do.
fn check(kind: ClientKind, key: &str, value: &str) -> Result<()> {
    let is_producer = kind == ClientKind::Producer;
    match key {
        _ if key.starts_with("test.mock.") => Err(refuse(key, "records would go to mock brokers")),
        "ssl.engine.factory.class" if !value.is_empty() => Err(refuse(key, "Java classes cannot be loaded")),
        "partitioner" if !matches!(value, "murmur2_random" | "murmur2") => {
            Err(refuse(key, "records and offsets stand in the partitions that Kafka Connect would choose")
                .advise("remove the setting; murmur2_random is Java's"))
        }
        "acks" | "request.required.acks" if is_producer && !matches!(value, "all" | "-1") => {
            Err(refuse(key, "transactions need acks=all; remove the setting"))
        }
        "retries" | "message.send.max.retries" if is_producer && number(key, value)? == 0 => {
            Err(refuse(key, "transactions need retries; remove the setting"))
        }
        "max.in.flight.requests.per.connection" | "max.in.flight" if is_producer && number(key, value)? > 5 => {
            Err(refuse(key, "transactions allow at most 5"))
        }
        _ => Ok(()),
    }
}

/// True if librdkafka has the setting, valid value or not. Its C names are for programs.
fn is_native(key: &str, value: &str) -> bool {
    let set = ClientConfig::new().set(key, value).create_native_config();
    !key.contains('_') && !matches!(set, Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)))
}

/// An error about a setting that neither Java nor librdkafka has.
fn unknown(key: &str) -> Error {
    let error = refuse(key, "not a setting of Kafka clients");
    match clients::nearest_setting(key) {
        Some(near) => error.advise(format!("did you mean `{near}`?")),
        None => error.advise("remove it, or look up the name in the reference of Kafka's clients"),
    }
}

fn number(key: &str, value: &str) -> Result<i64> {
    value.parse().map_err(|_| refuse(key, "not a whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn java(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn producer(pairs: &[(&str, &str)]) -> Result<Translated> {
        translate(ClientKind::Producer, &java(pairs))
    }

    #[test]
    fn java_names_become_librdkafkas() {
        let translated = producer(&[
            ("buffer.memory", "33554432"),
            ("max.request.size", "2097152"),
            ("compression.type", "zstd"),
            ("compression.zstd.level", "3"),
            ("compression.gzip.level", "9"),
            ("ssl.endpoint.identification.algorithm", ""),
            ("security.protocol", "SSL"),
            ("send.buffer.bytes", "-1"),
            ("request.timeout.ms", "20000"),
            ("delivery.timeout.ms", "2147483647"),
            ("max.block.ms", "9223372036854775807"),
            ("key.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer"),
            ("enable.idempotence", "false"),
            ("acks", "-1"),
        ])
        .map_err(|error| error.report())
        .unwrap_or_default();
        let expected = java(&[
            ("queue.buffering.max.kbytes", "32768"),
            ("message.max.bytes", "2097152"),
            ("compression.type", "zstd"),
            ("compression.level", "3"),
            ("ssl.endpoint.identification.algorithm", "none"),
            ("security.protocol", "ssl"),
            ("socket.send.buffer.bytes", "0"),
            ("request.timeout.ms", "20000"),
            ("socket.timeout.ms", "20000"),
        ]);
        assert_eq!(translated.settings, expected);
        assert_eq!(translated.notes.len(), 2, "{:?}", translated.notes);
        assert_eq!(translated.javas.into_iter().collect::<Vec<_>>(), ["key.serializer", "max.block.ms"]);
    }

    #[test]
    fn what_a_transaction_cannot_honour_is_refused_by_name() {
        for (key, value) in [("acks", "1"), ("retries", "0"), ("max.in.flight.requests.per.connection", "6")] {
            let error = producer(&[(key, value)]).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.starts_with(&format!("{key}: transactions")), "{error}");
        }
    }

    #[test]
    fn what_only_javas_clients_know_is_noted_and_what_nobody_knows_is_refused() {
        for kind in [ClientKind::Producer, ClientKind::Consumer, ClientKind::Admin] {
            for name in clients::CLIENTS.iter().chain(clients::WORKER) {
                let outcome = translate(kind, &java(&[(name, "")])).map(|translated| translated.settings);
                // An empty value is invalid for some settings; none is reported as an unknown name.
                let error = outcome.err().map(|error| error.report()).unwrap_or_default();
                assert!(!error.contains("not a setting"), "{error}");
            }
        }
        let known = producer(&[
            ("confluent.monitoring.interceptor.bootstrap.servers", "b:9092"),
            ("sasl.kerberos.kinit.cmd", "/usr/bin/kinit"),
            ("sasl.oauthbearer.jwks.endpoint.refresh.ms", "3600000"),
            ("ssl.client.auth", "none"),
        ])
        .unwrap();
        assert_eq!((known.javas.len(), known.settings.len()), (4, 0), "{:?}", known.javas);
        for (key, meant) in [
            ("sasl.oauthbearer.jwks.endpoint.refrsh.ms", "did you mean `sasl.oauthbearer.jwks.endpoint.refresh.ms`?"),
            ("ssl.truststore.locaton", "did you mean `ssl.truststore.location`?"),
            ("lingre.ms", "did you mean `linger.ms`?"),
            ("error_cb", "reference"),
        ] {
            let error = producer(&[(key, "1")]).err().expect(key);
            assert_eq!(error.to_string(), format!("{key}: not a setting of Kafka clients"));
            assert!(error.advice().contains(meant), "{}", error.advice());
        }
    }

    #[test]
    fn nothing_turns_records_elsewhere() {
        for (key, value) in [("test.mock.num.brokers", "1"), ("partitioner", "random")] {
            assert_eq!(producer(&[(key, value)]).err().map(|error| error.kind()), Some(ErrorKind::Config), "{key}");
        }
        assert_eq!(producer(&[("metadata.broker.list", "other:1")]).unwrap().settings, BTreeMap::new());
    }
}
