//! Reads topics as a consumer outside of rowtide would: an rdkafka client of its own, read committed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;
use rowtide::config::spec::KafkaSpec;
use rowtide::convert::{CONVERTERS, ConverterSpec};
use serde_json::Value as Json;

use super::db::block;
use super::{PATIENCE, Stack, eventually};

/// One record, as bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Raw {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, String)>,
    /// When it was made, in milliseconds since the epoch.
    pub at: i64,
}

/// One record, decoded through the registry.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The text the console consumer would print, or none.
    pub key: Option<String>,
    /// The same of the value.
    pub value: String,
}

impl Record {
    /// A field of the value, unions unwrapped.
    pub fn field(&self, name: &str) -> Json {
        let value: Json = serde_json::from_str(&self.value).expect("JSON");
        unwrap_union(value[name].clone())
    }
}

fn unwrap_union(value: Json) -> Json {
    match value {
        Json::Object(branches) if branches.len() == 1 => branches.into_iter().next().expect("one").1,
        other => other,
    }
}

/// The specification of rowtide's own clients.
pub fn spec(brokers: &str) -> KafkaSpec {
    KafkaSpec {
        bootstrap_servers: brokers.to_owned(),
        group_id: "rowtide-tests".to_owned(),
        common: BTreeMap::new(),
        producer: BTreeMap::new(),
        consumer: BTreeMap::new(),
        admin: BTreeMap::new(),
    }
}

/// All records of a topic under read_committed, partition by partition in order; none if it does not exist.
pub fn read_topic(topic: &str) -> Vec<Raw> {
    read_on(topic, &HashMap::new())
}

/// The end of a partition. A new one has no leader for a moment.
fn end(consumer: &BaseConsumer, topic: &str, partition: i32) -> i64 {
    eventually(&format!("{topic}-{partition} tells its end"), PATIENCE, || {
        match consumer.fetch_watermarks(topic, partition, PATIENCE) {
            Ok((_, end)) => Some(end),
            Err(error) => {
                let code = error.rdkafka_error_code();
                let passes = [RDKafkaErrorCode::NotLeaderForPartition, RDKafkaErrorCode::LeaderNotAvailable];
                assert!(code.is_some_and(|code| passes.contains(&code)), "the end of {topic}: {error}");
                None
            }
        }
    })
}

/// The same from an offset of each partition on; from the beginning of those that are not named.
pub fn read_on(topic: &str, from: &HashMap<i32, i64>) -> Vec<Raw> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", Stack::get().brokers)
        .set("group.id", "rowtide-tests")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        // The end of a partition is told by an empty fetch.
        .set("fetch.wait.max.ms", "10")
        .set("enable.auto.commit", "false")
        .set("allow.auto.create.topics", "false")
        .create()
        .expect("a consumer");
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).expect("metadata");
    let partitions: Vec<i32> = metadata.topics()[0].partitions().iter().map(|partition| partition.id()).collect();
    let mut assignment = TopicPartitionList::new();
    // Under load the end moves on while it is read; the end as it is now will do.
    let mut ends = HashMap::new();
    for partition in &partitions {
        ends.insert(*partition, end(&consumer, topic, *partition));
        let start = from.get(partition).map_or(Offset::Beginning, |next| Offset::Offset(*next));
        assignment.add_partition_offset(topic, *partition, start).expect("a partition");
    }
    if partitions.is_empty() {
        return Vec::new();
    }
    consumer.assign(&assignment).expect("assign");
    let mut open: HashSet<i32> = partitions.into_iter().collect();
    let mut records = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while !open.is_empty() {
        assert!(Instant::now() < deadline, "topic {topic} does not end");
        match consumer.poll(Duration::from_millis(200)) {
            None => {}
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            Some(Err(error)) => panic!("reading {topic}: {error}"),
            Some(Ok(message)) => {
                if message.offset() + 1 >= ends[&message.partition()] {
                    open.remove(&message.partition());
                }
                records.push(Raw {
                    partition: message.partition(),
                    offset: message.offset(),
                    key: message.key().map(<[u8]>::to_vec),
                    value: message.payload().map(<[u8]>::to_vec),
                    headers: headers(&message),
                    at: message.timestamp().to_millis().expect("a time"),
                });
            }
        }
    }
    records.sort_by_key(|record| (record.partition, record.offset));
    records
}

fn headers(message: &BorrowedMessage<'_>) -> Vec<(String, String)> {
    let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
    let all = message.headers().into_iter().flat_map(|headers| headers.iter());
    all.map(|header| (header.key.to_owned(), text(header.value))).collect()
}

/// Makes a topic as Kafka Connect makes the one of its offsets.
pub fn make_compacted_topic(topic: &str, partitions: i32) {
    make_topic(topic, partitions, "compact");
}

/// Makes a topic of this cleanup policy.
pub fn make_topic(topic: &str, partitions: i32, policy: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", Stack::get().brokers).create().expect("a client");
    let (topic, policy) = (topic.to_owned(), policy.to_owned());
    block(async move {
        let wanted = NewTopic::new(&topic, partitions, TopicReplication::Fixed(1)).set("cleanup.policy", &policy);
        admin.create_topics([&wanted], &AdminOptions::new()).await.expect("an answer")[0].as_ref().expect("a topic");
    });
}

/// Changes the cleanup policy of a topic that is there.
pub fn alter_policy(topic: &str, policy: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", Stack::get().brokers).create().expect("a client");
    let (topic, policy) = (topic.to_owned(), policy.to_owned());
    block(async move {
        let wanted = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("cleanup.policy", &policy);
        admin.alter_configs([&wanted], &AdminOptions::new()).await.expect("an answer")[0].as_ref().expect("altered");
    });
}

/// Deletes a topic, and waits until the brokers say it is gone.
pub fn delete_topic(topic: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", Stack::get().brokers).create().expect("a client");
    let name = topic.to_owned();
    block(async move {
        admin.delete_topics(&[&name], &AdminOptions::new()).await.expect("an answer")[0].as_ref().expect("a topic");
    });
    eventually(&format!("{topic} is gone"), PATIENCE, || (!topics().iter().any(|known| known == topic)).then_some(()));
}

/// Writes a record as Kafka Connect writes an offset: no transaction, and the partition Java gives the key.
pub fn seed(topic: &str, key: &str, value: Option<&str>) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", Stack::get().brokers)
        .set("partitioner", "murmur2_random")
        .set("acks", "all")
        .create()
        .expect("a producer");
    let record = BaseRecord::to(topic).key(key);
    let record = match value {
        Some(value) => record.payload(value),
        None => record,
    };
    producer.send(record).expect("a record");
    producer.flush(PATIENCE).expect("the record arrives");
}

/// Waits until a topic holds no transaction any more: a commit is answered before the brokers have told every
/// partition.
#[track_caller]
pub fn settled(topic: &str) {
    eventually(&format!("no transaction is open in {topic}"), PATIENCE, || (!is_open(topic)).then_some(()));
}

/// True if a topic holds records of a transaction that is neither committed nor aborted.
pub fn is_open(topic: &str) -> bool {
    let ends = |isolation: &str| -> Vec<i64> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", Stack::get().brokers)
            .set("isolation.level", isolation)
            .set("allow.auto.create.topics", "false")
            .create()
            .expect("a consumer");
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).expect("metadata");
        let end = |id| consumer.fetch_watermarks(topic, id, PATIENCE).expect("ends").1;
        metadata.topics()[0].partitions().iter().map(|partition| end(partition.id())).collect()
    };
    ends("read_committed") != ends("read_uncommitted")
}

/// The ends of a topic's partitions, transaction markers and aborted records counted: they move with
/// every transaction, also an empty one.
pub fn ends(topic: &str) -> Vec<i64> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", Stack::get().brokers).create().expect("a consumer");
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).expect("metadata");
    let partitions = metadata.topics()[0].partitions().iter();
    partitions.map(|partition| consumer.fetch_watermarks(topic, partition.id(), PATIENCE).expect("ends").1).collect()
}

/// The number of records ever written to each topic, all partitions together; 0 if it does not exist.
pub fn total_ends(topics: impl Iterator<Item = String>) -> Vec<i64> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", Stack::get().brokers).create().expect("a consumer");
    let metadata = consumer.fetch_metadata(None, PATIENCE).expect("metadata");
    let partitions: HashMap<_, _> = metadata.topics().iter().map(|topic| (topic.name(), topic.partitions())).collect();
    let end = |topic: &str, id| consumer.fetch_watermarks(topic, id, PATIENCE).expect("ends").1;
    let total = |topic: String| {
        partitions.get(topic.as_str()).map_or(0, |all| all.iter().map(|one| end(&topic, one.id())).sum())
    };
    topics.map(total).collect()
}

/// Decodes Avro records through the registry.
pub fn decode(raw: Vec<Raw>) -> Vec<Record> {
    let settings = [("schema.registry.url".to_owned(), Stack::get().registry)];
    let spec = ConverterSpec { definition: CONVERTERS[0], settings: settings.into_iter().collect() };
    block(async move {
        let decoder = spec.decoder().expect("a decoder");
        let mut records = Vec::new();
        for record in raw {
            let key = match record.key {
                Some(key) => Some(decoder.decode(&key).await.expect("a key")),
                None => None,
            };
            let value = decoder.decode(&record.value.expect("a value")).await.expect("a value");
            records.push(Record { key, value });
        }
        records
    })
}

/// All records of a topic, decoded.
pub fn records(topic: &str) -> Vec<Record> {
    decode(read_topic(topic))
}

/// Waits until a topic has at least so many committed records.
#[track_caller]
pub fn wait_for_records(topic: &str, count: usize) -> Vec<Record> {
    let raw = eventually(&format!("{count} records in {topic}"), PATIENCE, || {
        let records = read_topic(topic);
        (records.len() >= count).then_some(records)
    });
    assert_eq!(raw.len(), count, "more records than expected in {topic}");
    decode(raw)
}

/// The names of all topics.
pub fn topics() -> Vec<String> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", Stack::get().brokers).create().expect("a client");
    let metadata = consumer.fetch_metadata(None, PATIENCE).expect("metadata");
    metadata.topics().iter().map(|topic| topic.name().to_owned()).collect()
}

/// The partition Java's default partitioner gives a key (`offsets-topic.md`, 6).
pub fn partition_for(key: &[u8], partitions: i32) -> i32 {
    (murmur2(key) & 0x7fff_ffff) % partitions.max(1)
}

/// Kafka's variant of MurmurHash2.
fn murmur2(data: &[u8]) -> i32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ data.len() as u32;
    let mut blocks = data.chunks_exact(4);
    for block in &mut blocks {
        let mut k = u32::from_le_bytes([block[0], block[1], block[2], block[3]]).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let tail = blocks.remainder();
    if !tail.is_empty() {
        for (index, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    (hash ^ (hash >> 15)) as i32
}

#[test]
fn murmur2_agrees_with_java() {
    for (bytes, hash, of_25, of_50) in [
        (r#"["pg-src",{"protocol":"1","table":"public.orders"}]"#, -2_098_033_319, 4, 29),
        (r#"["pg-src",{"table":"orders"}]"#, -1_431_994_995, 3, 3),
        (r#"["pg-src",{"query":"query"}]"#, 252_615_671, 21, 21),
    ] {
        assert_eq!(murmur2(bytes.as_bytes()), hash);
        assert_eq!(partition_for(bytes.as_bytes(), 25), of_25);
        assert_eq!(partition_for(bytes.as_bytes(), 50), of_50);
    }
}
