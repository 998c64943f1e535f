//! A request to end a transaction that arrives late. Where its answer does not come, librdkafka sends it again under
//! the same epoch (it knows no KIP-890): the first one, held up on the way, ends whatever transaction is open by then.
//! A proxy that reads as much of the protocol as that takes holds one up, breaks its connection, and delivers it later.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::util::Timeout;
use rowtide::error::{Error, ErrorKind};
use rowtide::kafka::RecordSink;
use rowtide::kafka::producer::TransactionalProducer;
use rowtide::model::{EncodedBatch, KafkaRecord};

use super::proxy::{Proxies, Side, Trouble, broker_turn};
use crate::support::db::{Postgres, runtime};
use crate::support::kafka::{is_open, make_compacted_topic, read_topic, spec};
use crate::support::load::random;
use crate::support::process::Running;
use crate::support::{PATIENCE, address, eventually, unique};

const END_TXN: i16 = 26;
/// `INVALID_PRODUCER_EPOCH` and `PRODUCER_FENCED`.
const FENCED: [i16; 2] = [47, 90];

/// Stands between rowtide and the broker.
struct Between {
    listens: String,
    way: Arc<Way>,
    _turn: MutexGuard<'static, ()>,
}

struct Way {
    broker: String,
    /// The next request to end a transaction is held up.
    holds: AtomicBool,
    held: Mutex<Option<Vec<u8>>>,
    is_over: AtomicBool,
}

impl Between {
    fn new() -> Self {
        let turn = broker_turn();
        let listens = address("ROWTIDE_TEST_BOOTSTRAP_PROXIED");
        // The one before may be about to let go of it.
        let what = "the port that the broker advertises is free";
        let listener = eventually(what, PATIENCE, || TcpListener::bind(&listens).ok());
        let way = Arc::new(Way {
            broker: address("ROWTIDE_TEST_BOOTSTRAP_UPSTREAM"),
            holds: AtomicBool::new(false),
            held: Mutex::new(None),
            is_over: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&way);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.is_over.load(Ordering::SeqCst) {
                    return;
                }
                accepting.join(client);
            }
        });
        Self { listens, way, _turn: turn }
    }

    fn hold_the_next(&self) {
        self.way.holds.store(true, Ordering::SeqCst);
    }

    /// Delivers the request that was held up; gives the broker's answer to it.
    fn deliver(&self) -> i16 {
        let held = self.way.held.lock().unwrap_or_else(PoisonError::into_inner).take().expect("a request was held up");
        let mut broker = TcpStream::connect(&self.way.broker).expect("the broker");
        broker.write_all(&held).expect("send");
        let answer = frame(&mut broker).expect("an answer");
        // The length, the correlation id and the throttle time come first.
        i16::from_be_bytes([answer[12], answer[13]])
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        self.way.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.listens);
    }
}

impl Way {
    fn join(self: &Arc<Self>, client: TcpStream) {
        let Ok(broker) = TcpStream::connect(&self.broker) else { return };
        let (mut from, mut to) = (broker.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
        let way = Arc::clone(self);
        std::thread::spawn(move || {
            let (mut client, mut broker) = (client, broker);
            while let Some(request) = frame(&mut client).filter(|request| !way.takes(request)) {
                if broker.write_all(&request).is_err() {
                    break;
                }
            }
            for side in [client, broker] {
                let _ = side.shutdown(Shutdown::Both);
            }
        });
    }

    fn takes(&self, request: &[u8]) -> bool {
        let takes = request.get(4..6) == Some(&END_TXN.to_be_bytes()) && self.holds.swap(false, Ordering::SeqCst);
        if takes {
            *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(request.to_vec());
        }
        takes
    }
}

/// A request or an answer, with its length before it; none at the end.
fn frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut frame = vec![0; 4];
    stream.read_exact(&mut frame).ok()?;
    let length = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
    frame.resize(4 + length, 0);
    stream.read_exact(&mut frame[4..]).ok()?;
    Some(frame)
}

/// The records that consumers see which read committed.
fn seen(topic: &str) -> Vec<String> {
    read_topic(topic)
        .into_iter()
        .map(|record| String::from_utf8(record.value.expect("a value")).expect("text"))
        .collect()
}

#[test]
fn without_a_new_epoch_a_late_commit_ends_the_next_transaction_half_way() {
    let (between, topic) = (Between::new(), unique("late"));
    make_compacted_topic(&topic, 1);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &between.listens)
        .set("transactional.id", &topic)
        .create()
        .expect("a producer");
    let send = |value: &str| {
        producer.send(BaseRecord::to(&topic).key(value).payload(value)).expect("room");
        producer.flush(PATIENCE).expect("delivered");
    };
    producer.init_transactions(PATIENCE).expect("init");
    producer.begin_transaction().expect("begin");
    send("whole");
    between.hold_the_next();
    producer.commit_transaction(Timeout::Never).expect("the second request is answered");
    producer.begin_transaction().expect("begin");
    send("half");
    assert_eq!(between.deliver(), 0, "the brokers take the late request for one of the present transaction");
    eventually("half a transaction is committed", PATIENCE, || (seen(&topic) == ["whole", "half"]).then_some(()));
}

fn batch(topic: &str, value: &'static str) -> EncodedBatch {
    let mut batch = EncodedBatch::new(topic.into(), 1, 8);
    let append = |out: &mut Vec<u8>| -> Result<(), Error> {
        out.extend(value.bytes());
        Ok(())
    };
    batch.push(Some(append), Some(append)).expect("a record");
    batch
}

#[test]
fn after_a_commit_that_was_sent_twice_a_new_epoch_refuses_the_late_one() {
    let (between, topic) = (Between::new(), unique("late"));
    make_compacted_topic(&topic, 1);
    let kafka = spec(&between.listens);
    let last = |value: &str| vec![KafkaRecord { topic: topic.clone(), key: b"k".to_vec(), value: Some(value.into()) }];
    let mut producer = TransactionalProducer::new(&kafka, topic.as_str()).expect("a producer");
    runtime().block_on(async {
        producer.init().await.expect("init");
        producer.begin().await.expect("begin");
        producer.commit(last("first")).await.expect("commit");
        producer.begin().await.expect("nothing happened to the first");
        between.hold_the_next();
        producer.commit(last("whole")).await.expect("the second request is answered");
        assert_eq!(producer.begin().await.expect_err("spent").kind(), ErrorKind::EpochSpent);
    });
    assert_eq!(producer.spent().map(|error| error.kind()), Some(ErrorKind::EpochSpent));
    let mut next = TransactionalProducer::new(&kafka, topic.as_str()).expect("a producer");
    runtime().block_on(async {
        next.init().await.expect("init");
        next.begin().await.expect("begin");
        next.send(batch(&topic, "half")).await.expect("send");
    });
    eventually("the record reaches the topic", PATIENCE, || is_open(&topic).then_some(()));
    let code = between.deliver();
    assert!(FENCED.contains(&code), "the late request was answered with {code}");
    assert_eq!(seen(&topic), ["first", "whole"]);
    runtime().block_on(next.commit(last("rest"))).expect("commit");
    assert!(next.spent().is_none());
    eventually("all of it is committed", PATIENCE, || {
        (seen(&topic) == ["first", "whole", "half", "rest"]).then_some(())
    });
}

#[test]
fn a_commit_that_arrives_twice_ends_no_other_transaction_of_a_running_connector() {
    let between = Between::new();
    let (proxies, mut rig) =
        Proxies::with_rig::<Postgres>(false, |connector| connector.set("bootstrap.servers", &between.listens));
    let insert = |rows: usize| {
        rig.database.run(&format!("insert into a (item) select repeat('x', 200) from generate_series(1, {rows})"));
    };
    let topic = rig.connector.topic("a");
    let delivers = |rows: usize| {
        eventually(&format!("{rows} rows are delivered"), PATIENCE, || {
            (read_topic(&topic).len() >= rows).then_some(())
        });
    };
    insert(1);
    let mut running = Running::start(&rig.connector.file(), &[]);
    delivers(1);
    between.hold_the_next();
    insert(1);
    delivers(2);
    running.wait_for_log("no other one is begun under its epoch");
    // While rows come by drops a transaction is open.
    proxies.breaks(Side::Database, Trouble::Slow, &mut random());
    insert(2_000);
    eventually("a transaction is open", PATIENCE, || is_open(&topic).then_some(()));
    let code = between.deliver();
    assert!(FENCED.contains(&code), "the late request was answered with {code}");
    running.kill();
    proxies.heal(Side::Database);
    rig.catch_up();
    let findings = rig.look();
    assert!(findings.none(), "{findings}");
    assert_eq!(rig.records(), 2_002);
}
