//! Kafka, as only a real broker shows it: visibility, fencing, open transactions, leases.
//! `ROWTIDE_TEST_BOOTSTRAP` names the broker.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rowtide::config::spec::{KafkaSpec, OffsetsSpec, TopicGroup, TopicSpec};
use rowtide::error::ErrorKind;
use rowtide::kafka::admin::{self, TopicState};
use rowtide::kafka::consumer::{Start, TopicConsumer, read_to_end};
use rowtide::kafka::lease::Lease;
use rowtide::kafka::producer::TransactionalProducer;
use rowtide::kafka::topic_batches::{Prepared, TopicBatches};
use rowtide::kafka::{RecordSink, topic_log};
use rowtide::model::{EncodedBatch, KafkaRecord, OffsetDelta, SourceOffset, SourcePartition};
use rowtide::offsets::kafka::{KafkaOffsetStore, resolve};
use rowtide::offsets::{OffsetStore, format};

use crate::support::eventually;

const PATIENCE: Duration = Duration::from_secs(30);

fn spec() -> KafkaSpec {
    let bootstrap_servers = std::env::var("ROWTIDE_TEST_BOOTSTRAP")
        .expect("ROWTIDE_TEST_BOOTSTRAP must name a real Kafka broker, e.g. 127.0.0.1:9092");
    KafkaSpec {
        bootstrap_servers,
        group_id: "rowtide-it".to_owned(),
        common: BTreeMap::new(),
        producer: BTreeMap::new(),
        consumer: BTreeMap::new(),
        admin: BTreeMap::new(),
    }
}

/// A name no other test or run has.
fn unique(name: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("{name}-{}-{}", std::process::id(), now.as_nanos())
}

async fn topic(name: &str, partitions: i32) -> String {
    let name = unique(name);
    let group = TopicGroup {
        name: "default".to_owned(),
        include: Vec::new(),
        exclude: Vec::new(),
        partitions,
        replication: 1,
        settings: BTreeMap::new(),
    };
    admin::ensure_topic(&spec(), &TopicSpec { groups: vec![group], by_brokers: false }, &name).await.unwrap();
    name
}

/// Waits until the broker has a record, committed or not.
async fn has_arrived(topic: &str) {
    let topic = topic.to_owned();
    let wait = move || {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", spec().bootstrap_servers)
            .set("isolation.level", "read_uncommitted")
            .create()
            .unwrap();
        eventually("a record at the broker", PATIENCE, || {
            let (_, end) = consumer.fetch_watermarks(&topic, 0, PATIENCE).unwrap();
            (end > 0).then_some(())
        });
    };
    tokio::task::spawn_blocking(wait).await.unwrap();
}

fn offsets_spec(topic: String) -> OffsetsSpec {
    OffsetsSpec {
        topic,
        worker_topic: None,
        partitions: 25,
        replication: 1,
        automatic_creation: true,
        standalone_file: None,
        settings: BTreeMap::new(),
    }
}

fn batch(topic: &str, values: std::ops::Range<usize>) -> EncodedBatch {
    let mut batch = EncodedBatch::new(topic.into(), values.len(), 16);
    for value in values {
        let encode = |out: &mut Vec<u8>| {
            out.extend_from_slice(value.to_string().as_bytes());
            Ok::<(), ()>(())
        };
        batch.push(Some(encode), Some(encode)).unwrap();
    }
    batch
}

async fn started(id: &str) -> TransactionalProducer {
    let mut producer = TransactionalProducer::new(&spec(), id).unwrap();
    producer.init().await.unwrap();
    producer
}

fn record(topic: &str, value: &str) -> KafkaRecord {
    KafkaRecord { topic: topic.to_owned(), key: b"k".to_vec(), value: Some(value.as_bytes().to_vec()) }
}

async fn values(topic: &str) -> Vec<String> {
    let records = read_to_end(&spec(), topic).await.unwrap();
    let mut values: Vec<_> =
        records.into_iter().map(|record| String::from_utf8(record.value.unwrap()).unwrap()).collect();
    values.sort();
    values
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_is_visible_and_what_is_aborted_is_not() {
    let topic = topic("visible", 3).await;
    let mut producer = started(&unique("visible")).await;
    producer.begin().await.unwrap();
    producer.send(batch(&topic, 0..3)).await.unwrap();
    producer.commit(vec![record(&topic, "offset")]).await.unwrap();
    producer.begin().await.unwrap();
    producer.send(batch(&topic, 3..6)).await.unwrap();
    producer.abort().await.unwrap();
    producer.begin().await.unwrap();
    producer.send(batch(&topic, 6..8)).await.unwrap();
    producer.commit(Vec::new()).await.unwrap();
    assert_eq!(values(&topic).await, ["0", "1", "2", "6", "7", "offset"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_transaction_commits() {
    let mut producer = started(&unique("empty")).await;
    producer.begin().await.unwrap();
    producer.commit(Vec::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_of_two_producers_is_fenced() {
    let (topic, id) = (topic("fenced", 1).await, unique("fenced"));
    let mut older = started(&id).await;
    older.begin().await.unwrap();
    older.send(batch(&topic, 0..1)).await.unwrap();
    older.commit(Vec::new()).await.unwrap();
    older.begin().await.unwrap();
    older.send(batch(&topic, 1..2)).await.unwrap();
    let mut newer = started(&id).await;
    let error = older.commit(Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error:?}");
    newer.begin().await.unwrap();
    newer.send(batch(&topic, 2..3)).await.unwrap();
    newer.commit(Vec::new()).await.unwrap();
    assert_eq!(values(&topic).await, ["0", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_takes_too_long_is_aborted_and_not_fenced() {
    let topic = topic("slow", 1).await;
    let mut spec = spec();
    spec.producer.insert("transaction.timeout.ms".to_owned(), "2000".to_owned());
    let mut producer = TransactionalProducer::new(&spec, unique("slow")).unwrap();
    producer.init().await.unwrap();
    producer.begin().await.unwrap();
    producer.send(batch(&topic, 0..1)).await.unwrap();
    has_arrived(&topic).await;
    // Reading waits for open transactions, so this ends when the broker has aborted ours.
    assert!(values(&topic).await.is_empty());
    let error = producer.commit(Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TransactionAborted, "{error:?}");
    assert!(values(&topic).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_producer_aborts_its_open_transaction() {
    let topic = topic("dropped", 1).await;
    let mut producer = started(&unique("dropped")).await;
    producer.begin().await.unwrap();
    producer.send(batch(&topic, 0..1)).await.unwrap();
    has_arrived(&topic).await;
    drop(producer);
    let began = Instant::now();
    assert!(values(&topic).await.is_empty());
    assert!(began.elapsed() < Duration::from_secs(10), "the transaction was left open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_waits_for_the_open_transaction_of_another_producer() {
    let topic = topic("open", 1).await;
    let mut other = started(&unique("other")).await;
    let mut ours = started(&unique("ours")).await;
    other.begin().await.unwrap();
    other.send(batch(&topic, 0..1)).await.unwrap();
    has_arrived(&topic).await;
    // Committed, but above the other's open record.
    ours.begin().await.unwrap();
    ours.send(batch(&topic, 1..2)).await.unwrap();
    ours.commit(Vec::new()).await.unwrap();

    let error = topic_log::read(&spec(), &topic, Duration::from_millis(500)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Kafka, "{error:?}");
    assert_eq!(error.context("partition"), Some("0"));

    let (spec, name) = (spec(), topic.clone());
    let reading = tokio::spawn(async move { topic_log::read(&spec, &name, PATIENCE).await });
    // That a read does not end was seen above, by its error; this one ends with the transaction.
    assert!(!reading.is_finished(), "the read ended below an open transaction");
    other.abort().await.unwrap();
    let records = reading.await.unwrap().unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].value.as_deref(), Some(b"1".as_slice()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_empty_topic_has_no_records_and_is_not_made() {
    let missing = unique("missing");
    assert!(topic_log::read(&spec(), &missing, PATIENCE).await.unwrap().is_empty());
    assert_eq!(admin::probe_topic(&spec(), &missing, PATIENCE).await.unwrap(), TopicState::Missing);
    let empty = topic("empty", 25).await;
    assert!(topic_log::read(&spec(), &empty, PATIENCE).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_go_round_in_the_partition_java_would_choose() {
    let (offsets, connector) = (offsets_spec(unique("offsets")), unique("c"));
    admin::ensure_offsets_topic(&spec(), &offsets).await.unwrap();
    admin::ensure_offsets_topic(&spec(), &offsets).await.unwrap();
    let store = KafkaOffsetStore::new(spec(), &offsets);
    assert!(store.load(&connector).await.unwrap().offsets.is_empty());

    let offset = |id| SourceOffset { incrementing: Some(id), ..SourceOffset::default() };
    let tables: Vec<SourcePartition> = (0..10).map(|n| SourcePartition::table(&format!("public.t{n}"))).collect();
    let mut producer = started(&unique("offsets")).await;
    for id in 1..=3 {
        producer.begin().await.unwrap();
        let to = |table: &SourcePartition| (table.clone(), offset(id));
        let deltas =
            tables.iter().map(to).map(|(partition, to)| OffsetDelta { partition, from: None, to, guard: None });
        producer.commit(deltas.flat_map(|delta| store.stage(&connector, &delta)).collect()).await.unwrap();
    }
    producer.begin().await.unwrap();
    producer.commit(store.assign(&connector, &tables[9], None)).await.unwrap();

    let began = Instant::now();
    let loaded = store.load(&connector).await.unwrap().offsets;
    let took = began.elapsed();
    println!("load of {} offsets from 25 partitions: {took:?}", loaded.len());
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(loaded.len(), 9);
    for (partition, stored) in &loaded {
        assert_eq!(stored.offset, offset(3));
        assert_eq!(stored.partition, crate::support::kafka::partition_for(&format::key(&connector, partition), 25));
    }
    assert!(resolve(&loaded, "public.t1", "t1", None).is_some());
    assert!(resolve(&loaded, "public.t9", "t9", None).is_none());
    assert!(store.load("another").await.unwrap().offsets.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connectors_own_topic_falls_back_to_the_workers() {
    let (worker, own, connector) = (topic("worker", 2).await, topic("own", 2).await, unique("c"));
    let offset = |id| SourceOffset { incrementing: Some(id), ..SourceOffset::default() };
    let (a, b) = (SourcePartition::table("s.a"), SourcePartition::table("s.b"));
    let mut producer = started(&unique("fallback")).await;
    producer.begin().await.unwrap();
    let records = vec![
        format::record(&worker, &connector, &a, Some(&offset(1))),
        format::record(&worker, &connector, &b, Some(&offset(2))),
        format::record(&own, &connector, &a, Some(&offset(10))),
    ];
    producer.commit(records).await.unwrap();
    let spec_of = OffsetsSpec { worker_topic: Some(worker.clone()), ..offsets_spec(own.clone()) };
    let store = KafkaOffsetStore::new(spec(), &spec_of);
    let loaded = store.load(&connector).await.unwrap().offsets;
    assert_eq!((&loaded[&a].offset, &loaded[&a].topic), (&offset(10), &own));
    assert_eq!((&loaded[&b].offset, &loaded[&b].topic), (&offset(2), &worker));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offsets_topic_that_deletes_is_refused() {
    let offsets = offsets_spec(topic("deleting", 1).await);
    let error = admin::ensure_offsets_topic(&spec(), &offsets).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("cleanup.policy=delete"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offsets_topic_is_made_in_segments_that_compaction_can_take() {
    let asked = BTreeMap::from([("segment.bytes".to_owned(), "1048576".to_owned())]);
    for (settings, expected) in [(BTreeMap::new(), "52428800"), (asked, "1048576")] {
        let offsets = OffsetsSpec { settings, ..offsets_spec(unique("segments")) };
        admin::ensure_offsets_topic(&spec(), &offsets).await.unwrap();
        let asker: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &spec().bootstrap_servers).create().unwrap();
        let topic = ResourceSpecifier::Topic(&offsets.topic);
        let told = asker.describe_configs([&topic], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
        let setting = |name: &str| told.get(name).and_then(|entry| entry.value.clone());
        assert_eq!(setting("segment.bytes").as_deref(), Some(expected));
        assert_eq!(setting("cleanup.policy").as_deref(), Some("compact"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_replicas_name_the_key_to_set() {
    let offsets = OffsetsSpec { replication: 3, ..offsets_spec(unique("replicas")) };
    let error = admin::ensure_offsets_topic(&spec(), &offsets).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().starts_with("offset.storage.replication.factor"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_tell_the_cluster_and_its_silence() {
    let probe = admin::probe_brokers(&spec(), PATIENCE).await.unwrap();
    assert!(probe.cluster_id.is_some() && probe.brokers >= 1, "{probe:?}");
    let nobody = KafkaSpec { bootstrap_servers: "127.0.0.1:1".to_owned(), ..spec() };
    let error = admin::probe_brokers(&nobody, Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
    assert_eq!(error.context("brokers"), Some("127.0.0.1:1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_seen_while_it_is_held_and_gone_after() {
    let (topic, connector) = (topic("lease", 1).await, unique("c"));
    let holders = async || Lease::holders(&spec(), &connector, PATIENCE).await.unwrap();
    assert!(holders().await.is_empty());
    let lease = Lease::hold(&spec(), &connector, &topic, Some("http://w:8083")).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while holders().await.is_empty() {
        assert!(Instant::now() < deadline, "the lease is not seen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let seen = holders().await;
    assert!(seen.len() == 1 && seen[0].is_here(), "{seen:?}");
    assert!(seen[0].process.ends_with(&format!("-{}", std::process::id())), "{seen:?}");
    assert_eq!(seen[0].rest.as_deref(), Some("http://w:8083"));
    let began = Instant::now();
    lease.release(PATIENCE).await;
    println!("lease released in {:?}", began.elapsed());
    assert!(holders().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_from_the_end_gets_only_what_is_committed_later() {
    let topic = topic("stream", 2).await;
    let mut producer = started(&unique("stream")).await;
    producer.begin().await.unwrap();
    producer.send(batch(&topic, 0..4)).await.unwrap();
    producer.commit(Vec::new()).await.unwrap();
    let topics = [topic.clone()];
    let mut from_end = TopicConsumer::open(&spec(), &topics, Start::End).await.unwrap();
    let mut from_beginning = TopicConsumer::open(&spec(), &topics, Start::Beginning).await.unwrap();
    producer.begin().await.unwrap();
    producer.send(batch(&topic, 4..5)).await.unwrap();
    producer.commit(Vec::new()).await.unwrap();
    let next = tokio::time::timeout(PATIENCE, from_end.next()).await.unwrap().unwrap();
    assert_eq!((next.topic.as_str(), next.record.value.as_deref()), (topic.as_str(), Some(b"4".as_slice())));
    for _ in 0..5 {
        tokio::time::timeout(PATIENCE, from_beginning.next()).await.unwrap().unwrap();
    }
    let missing = TopicConsumer::open(&spec(), &[unique("nothing")], Start::End).await;
    assert_eq!(missing.err().unwrap().kind(), ErrorKind::KafkaRefused);
}

#[tokio::test]
async fn topics_of_many_tables_are_made_together_and_told_once() {
    let prefix = unique("many");
    let group = |name: &str, include: &str, policy: &str| TopicGroup {
        name: name.to_owned(),
        include: vec![regex::Regex::new(include).unwrap()],
        exclude: Vec::new(),
        partitions: 2,
        replication: 1,
        settings: BTreeMap::from([("cleanup.policy".to_owned(), policy.to_owned())]),
    };
    let groups = vec![group("kept", "kept$", "compact"), group("default", ".*", "delete")];
    let topics = TopicSpec { groups, by_brokers: false };
    let mut names: Vec<String> = (0..120).map(|number| format!("{prefix}-{number}")).collect();
    names.extend(["kept".to_owned(), "no topic".to_owned()].map(|name| format!("{prefix}-{name}")));
    admin::ensure_topic(&spec(), &topics, &names[0]).await.unwrap();
    let asked = names.iter().chain([&names[1]]).map(|name| name.as_str().into()).collect();
    let batches = TopicBatches::new(&spec(), &topics, asked, true);
    let mut missing = Vec::new();
    for name in &names {
        let Some(Prepared { settings, is_new }) = batches.take(name).await else {
            missing.push(name.as_str());
            continue;
        };
        assert_eq!(is_new, *name != names[0], "{name}");
        let state = admin::probe_topic(&spec(), name, PATIENCE).await.unwrap();
        assert_eq!(state, TopicState::Present { partitions: 2 }, "{name}");
        assert_eq!(settings.require_no_compaction(name).is_err(), name.ends_with("kept"), "{name}: {settings:?}");
        assert_eq!(settings.max_message_bytes, Some(1_048_588));
    }
    assert_eq!(missing, [format!("{prefix}-no topic")], "the brokers allow no such name, and the others are made");
    assert_eq!(batches.take(&names[1]).await, None, "it may have been deleted since");
}
