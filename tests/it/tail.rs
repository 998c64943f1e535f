//! The tail of the offsets topic: however it came to know what it knows, it gives what reading all of the topic gives.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rowtide::error::ErrorKind;
use rowtide::kafka::tail::Tail;
use rowtide::kafka::topic_log::{self, LogRecord};

use crate::support::db::runtime;
use crate::support::kafka::{delete_topic, make_compacted_topic, settled, spec};
use crate::support::load::random;
use crate::support::{PATIENCE, Stack, eventually, unique};

/// `owner/…`.
fn owner_of(key: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(key).ok()?;
    text.split_once('/').map(|(owner, _)| owner.to_owned())
}

type Newest = BTreeMap<(i32, Vec<u8>), (i64, Option<Vec<u8>>)>;

fn newest(records: Vec<LogRecord>, owner: &str) -> Newest {
    let mut newest = Newest::new();
    for record in records {
        let Some(key) = record.key.filter(|key| owner_of(key).is_some_and(|of| of == owner)) else { continue };
        let at = (record.partition, key);
        if newest.get(&at).is_none_or(|(offset, _)| *offset < record.offset) {
            newest.insert(at, (record.offset, record.value));
        }
    }
    newest
}

struct Topic {
    name: String,
    producer: BaseProducer,
}

impl Topic {
    fn new(partitions: i32) -> Self {
        let name = unique("tail");
        make_compacted_topic(&name, partitions);
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", Stack::get().brokers)
            .set("transactional.id", &name)
            .create()
            .expect("a producer");
        producer.init_transactions(PATIENCE).expect("init");
        Self { name, producer }
    }

    fn tail(&self, owner: &str) -> Arc<Tail> {
        Tail::shared(&spec(&Stack::get().brokers), &self.name, owner_of, owner)
    }

    /// One record of a transaction that is open.
    fn send(&self, key: &str, value: Option<&[u8]>) {
        let record = BaseRecord::to(&self.name).key(key);
        let record = match value {
            Some(value) => record.payload(value),
            None => record,
        };
        self.producer.send(record).map_err(|(error, _)| error).expect("room");
    }

    fn write(&self, records: &[(String, Option<Vec<u8>>)], commits: bool) {
        self.producer.begin_transaction().expect("begin");
        for (key, value) in records {
            self.send(key, value.as_deref());
        }
        self.producer.flush(PATIENCE).expect("delivered");
        if commits {
            self.producer.commit_transaction(PATIENCE).expect("commit");
        } else {
            self.producer.abort_transaction(PATIENCE).expect("abort");
        }
        settled(&self.name);
    }

    #[track_caller]
    fn same(&self, tail: &Tail, owner: &str) -> usize {
        let known = runtime().block_on(tail.load(owner, PATIENCE)).expect("the tail");
        let kafka = spec(&Stack::get().brokers);
        let all = runtime().block_on(topic_log::read(&kafka, &self.name, PATIENCE)).expect("the topic");
        let all = newest(all, owner);
        let count = known.len();
        let known = newest(known, owner);
        assert_eq!(known.len(), count, "a key came twice");
        assert!(known == all, "the tail of {owner} differs from the topic");
        count
    }
}

fn records(rng: &mut Rng, count: usize) -> Vec<(String, Option<Vec<u8>>)> {
    let record = |_| {
        let key = format!("{}/{}", ["a", "b", "nobody"][rng.usize(..3)], rng.u8(..20));
        let size = [10, 100, 40_000][rng.usize(..3)];
        (key, rng.u8(..5).checked_sub(1).map(|_| vec![rng.u8(..); size]))
    };
    (0..count).map(record).collect()
}

#[test]
fn a_tail_gives_what_the_whole_topic_gives_whatever_it_read_when() {
    let mut rng = random();
    let topic = Topic::new(3);
    let tail = topic.tail("a");
    assert_eq!(topic.same(&tail, "a"), 0);
    for round in 0..12 {
        let count = rng.usize(1..30);
        topic.write(&records(&mut rng, count), rng.u8(..4) > 0);
        if rng.bool() {
            runtime().block_on(tail.catch_up()).expect("to read ahead");
        }
        if rng.bool() {
            topic.same(&tail, "a");
        }
        // One that comes later was passed over until then.
        if round > 5 {
            topic.same(&topic.tail("b"), "b");
        }
    }
    assert!(topic.same(&tail, "a") > 3);
    assert!(Arc::ptr_eq(&tail, &topic.tail("b")), "one for all of a process");
}

#[test]
fn values_that_are_too_many_and_too_large_to_be_kept_are_fetched() {
    let topic = Topic::new(2);
    let tail = topic.tail("a");
    let large = |count: u8, from: u8| -> Vec<_> {
        (from..from + count).map(|key| (format!("a/{key}"), Some(vec![key; 500_000]))).collect()
    };
    // 25 MB, some of them twice.
    for from in [0, 20] {
        for part in large(30, from).chunks(10) {
            topic.write(part, true);
        }
    }
    assert_eq!(topic.same(&tail, "a"), 50);
    topic.write(&large(3, 47), true);
    topic.write(&[("a/49".to_owned(), None)], true);
    assert_eq!(topic.same(&tail, "a"), 50);
}

#[test]
fn what_is_not_decided_when_the_tail_is_asked_is_waited_for() {
    let topic = Topic::new(1);
    let tail = topic.tail("a");
    topic.write(&[("a/1".to_owned(), Some(b"first".to_vec()))], true);
    assert_eq!(topic.same(&tail, "a"), 1);
    topic.producer.begin_transaction().expect("begin");
    topic.send("a/2", Some(b"open"));
    topic.producer.flush(PATIENCE).expect("delivered");
    // On a loaded machine no broker may have answered by then.
    let waited = eventually("the brokers answer in time", PATIENCE, || {
        let waited = runtime().block_on(tail.load("a", Duration::from_millis(300))).expect_err("it is held back");
        (waited.kind() != ErrorKind::Unreachable).then_some(waited)
    });
    assert_eq!(waited.kind(), ErrorKind::Kafka, "{waited}");
    runtime().block_on(tail.catch_up()).expect("what is decided can be read");
    std::thread::scope(|scope| {
        let loading = scope.spawn(|| runtime().block_on(tail.load("a", PATIENCE)).expect("the tail").len());
        topic.producer.commit_transaction(PATIENCE).expect("commit");
        assert_eq!(loading.join().expect("no panic"), 2);
    });
    // Who gives up waiting leaves nothing behind that others would stumble over.
    topic.producer.begin_transaction().expect("begin");
    topic.send("a/2", Some(b"aborted"));
    topic.producer.flush(PATIENCE).expect("delivered");
    let given_up = async { tokio::time::timeout(Duration::from_millis(100), tail.load("a", PATIENCE)).await };
    assert!(runtime().block_on(given_up).is_err());
    topic.producer.abort_transaction(PATIENCE).expect("abort");
    assert_eq!(topic.same(&tail, "a"), 2);
}

#[test]
fn a_topic_that_was_made_again_is_read_from_its_beginning() {
    let topic = Topic::new(1);
    let tail = topic.tail("a");
    let some =
        |keys: std::ops::Range<u8>| -> Vec<_> { keys.map(|key| (format!("a/{key}"), Some(vec![key]))).collect() };
    topic.write(&some(0..10), true);
    assert_eq!(topic.same(&tail, "a"), 10);
    delete_topic(&topic.name);
    assert_eq!(runtime().block_on(tail.load("a", PATIENCE)).expect("nothing").len(), 0);
    make_compacted_topic(&topic.name, 1);
    let again: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", Stack::get().brokers).create().expect("a producer");
    again.send(BaseRecord::to(&topic.name).key("a/99").payload("new")).map_err(|(error, _)| error).expect("room");
    again.flush(PATIENCE).expect("delivered");
    assert_eq!(topic.same(&tail, "a"), 1);
}
