//! Probes for everything the brokers would refuse a running connector, without running it: requests that are invalid on
//! purpose, so that the brokers' refusal shows whether the right is there, before anything changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::topic_partition_list::Offset;
use tokio::net::TcpStream;

use super::admin::{self, BrokerProbe, TopicState};
use super::ask;
use super::client::{self, ADVERTISED, ClientKind, kind_of};
use super::topics::{self, TopicTrouble};
use super::{topic_log, topic_settings};
use crate::config::spec::KafkaSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::lock::locked;

/// The longest wait for a broker to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Milliseconds of a transaction that no broker allows. librdkafka adds to it.
const TOO_LONG: i32 = i32::MAX - 1_000_000;
const SLICE: Duration = Duration::from_millis(200);
/// The topic in which the brokers keep transactions.
const TRANSACTIONS: &str = "__transaction_state";
const FACTOR: &str = "transaction.state.log.replication.factor";

/// Probe of the address that each broker advertises, which every client goes on to.
///
/// # Errors
/// `Unreachable`, naming the addresses.
pub async fn advertised(brokers: &BrokerProbe, timeout: Duration) -> Result<()> {
    let found = unreached(brokers, timeout).await;
    if found.is_empty() { Ok(()) } else { Err(unreachable(&found)) }
}

/// The addresses that do not accept a connection, each with the reason.
async fn unreached(brokers: &BrokerProbe, timeout: Duration) -> Vec<String> {
    let reach = async |(host, port): &(String, u16)| {
        let connected = tokio::time::timeout(CONNECT.min(timeout), TcpStream::connect((host.as_str(), *port))).await;
        let why = match connected {
            Ok(Ok(_)) => return None,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        Some(format!("{host}:{port} ({why})"))
    };
    join_all(brokers.addresses.iter().map(reach)).await.into_iter().flatten().collect()
}

fn unreachable(addresses: &[String]) -> Error {
    let message = format!("brokers cannot be reached at the address they advertise: {}", addresses.join(", "));
    Error::new(ErrorKind::Unreachable, message).advise(ADVERTISED)
}

/// Probe of the right to a transactional id, and of the brokers' ability to keep transactions. It asks for a
/// transaction that takes longer than any broker allows, which is refused, last of all, before anything changes: nobody
/// is fenced.
///
/// # Errors
/// `KafkaRefused` with the grant, `Config` with the brokers' setting, `Unreachable`.
pub async fn transactional_id(kafka: &KafkaSpec, id: &str, brokers: &BrokerProbe, timeout: Duration) -> Result<()> {
    let longest = topic_settings::broker_setting(kafka, brokers.id, "transaction.max.timeout.ms").await;
    if longest.is_some_and(|longest| longest.parse::<i32>().is_ok_and(|longest| longest >= TOO_LONG)) {
        // The brokers would allow it, and fence the running process.
        return Ok(());
    }
    let mut spec = kafka.clone();
    spec.producer.insert("transaction.timeout.ms".to_owned(), TOO_LONG.to_string());
    let config = client::producer_config(&spec, id)?;
    let asked = ask::blocking(move |cancel| {
        let producer: BaseProducer<Reports> = client::create(&config, Reports::default())?;
        let deadline = Instant::now() + timeout;
        while Instant::now() < deadline {
            let outcome = producer.init_transactions(SLICE);
            producer.poll(Duration::ZERO);
            let Err(error) = outcome else { return Ok(true) };
            match error {
                KafkaError::Transaction(native) if native.is_retriable() => cancel.check()?,
                KafkaError::Transaction(native) if native.code() == RDKafkaErrorCode::InvalidTransactionTimeout => {
                    return Ok(true);
                }
                other => return Err(client::classify("the transactional id is refused", &other).advise(GRANT_ID)),
            }
        }
        Ok(false)
    });
    let is_answered = asked.await.map_err(|error| error.with("transactional.id", id))?;
    if is_answered { Ok(()) } else { Err(no_coordinator(kafka, brokers).await.with("transactional.id", id)) }
}

/// The grant of transactional ids.
const GRANT_ID: &str = "allow the connector's user Write and Describe on the transactional ids GROUP-CONNECTOR-TASK, best by \
     prefix: kafka-acls --add --allow-principal User:NAME --operation Write --operation Describe --transactional-id PREFIX \
     --resource-pattern-type prefixed";

/// The error that nobody keeps the transactions of an id.
async fn no_coordinator(kafka: &KafkaSpec, brokers: &BrokerProbe) -> Error {
    if let Err(error) = transaction_log(kafka, brokers).await {
        return error;
    }
    if let Ok(Some(TopicTrouble::Held(error))) = topics::trouble(kafka, vec![TRANSACTIONS.into()]).await {
        return error;
    }
    Error::new(ErrorKind::Kafka, "no broker coordinates the transactions").advise(format!(
        "check {FACTOR} and transaction.state.log.min.isr of the brokers against the number of brokers ({}), and the topic \
         {TRANSACTIONS}",
        brokers.brokers
    ))
}

/// Probe of the brokers' transaction topic: it exists or can be made.
///
/// # Errors
/// `Config` with the brokers' setting.
pub async fn transaction_log(kafka: &KafkaSpec, brokers: &BrokerProbe) -> Result<()> {
    if !matches!(admin::probe_topic(kafka, TRANSACTIONS, CONNECT).await, Ok(TopicState::Missing)) {
        return Ok(());
    }
    let factor =
        topic_settings::broker_setting(kafka, brokers.id, FACTOR).await.and_then(|factor| factor.parse::<usize>().ok());
    match factor {
        Some(factor) if factor > brokers.brokers => Err(Error::config(format!(
            "the brokers cannot make the topic of their transactions, {TRANSACTIONS}: {FACTOR} is {factor}, there are {} \
             brokers",
            brokers.brokers
        ))
        .advise(format!(
            "start more brokers, or set {FACTOR} and transaction.state.log.min.isr of the brokers to {} or less",
            brokers.brokers
        ))),
        _ => Ok(()),
    }
}

/// The preconditions of every start: one broker can be reached at its advertised address, and the brokers can keep
/// transactions. Other brokers of a cluster that is starting are waited for.
///
/// # Errors
/// `Unreachable`; those of [`transaction_log`].
pub async fn can_start(kafka: &KafkaSpec) -> Result<()> {
    let started = tokio::time::Instant::now();
    loop {
        let brokers = admin::probe_brokers(kafka, client::PATIENCE).await?;
        let unreached = unreached(&brokers, CONNECT).await;
        if !unreached.is_empty() && unreached.len() == brokers.addresses.len() {
            return Err(unreachable(&unreached));
        }
        match transaction_log(kafka, &brokers).await {
            Err(_) if started.elapsed() < admin::BROKERS_APPEAR => tokio::time::sleep(SLICE * 2).await,
            outcome => return outcome,
        }
    }
}

/// Probe of the right to write to a topic. It asks with `acks=2`, which the protocol does not have: the error tells
/// whether the right is there, and no record is looked at.
///
/// # Errors
/// `KafkaRefused` with the grant; others of the brokers.
pub async fn may_write(kafka: &KafkaSpec, topic: &str, timeout: Duration) -> Result<()> {
    let mut config = client::config(ClientKind::Producer, kafka)?;
    config.set("acks", "2").set("retries", "0").set("message.timeout.ms", timeout.as_millis().max(1_000).to_string());
    let wanted = topic.to_owned();
    let asked = ask::blocking(move |cancel| {
        let reports = Reports::default();
        let producer: BaseProducer<Reports> = client::create(&config, reports.clone())?;
        let record = BaseRecord::<[u8], [u8]>::to(&wanted).partition(0);
        producer.send(record).map_err(|(error, _)| client::classify("the topic cannot be written", &error))?;
        let deadline = Instant::now() + timeout;
        loop {
            producer.poll(SLICE);
            if let Some(code) = reports.of(&wanted) {
                return Ok(Some(code));
            }
            if Instant::now() > deadline {
                return Ok(None);
            }
            cancel.check()?;
        }
    });
    let error = match asked.await? {
        Some(RDKafkaErrorCode::InvalidRequiredAcks) => return Ok(()),
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
            Error::new(ErrorKind::KafkaRefused, "writing to the topic is not allowed")
                .advise(admin::grant("Write and Describe", topic))
        }
        Some(code) => Error::new(kind_of(code), "the topic cannot be written").caused_by(code),
        None => Error::new(ErrorKind::Unreachable, "the leader of the topic does not answer").advise(ADVERTISED),
    };
    Err(error.with("topic", topic))
}

/// Probe of the right to read a topic.
///
/// # Errors
/// `KafkaRefused` with the grant; others of the brokers.
pub(super) async fn may_read(kafka: &KafkaSpec, topic: &str, timeout: Duration) -> Result<()> {
    let (spec, wanted) = (kafka.clone(), topic.to_owned());
    let read = ask::blocking(move |cancel| {
        let asker = ask::Asker::new(ClientKind::Consumer, &spec, "read_committed")?;
        let ends = topic_log::offsets(&asker, &wanted, &[0], Offset::End, timeout, cancel)?;
        let consumer = topic_log::assigned(&spec, &[(wanted.as_str(), ends.into_iter().collect())], true)?;
        let deadline = Instant::now() + timeout;
        while Instant::now() < deadline {
            match consumer.poll(SLICE) {
                None => cancel.check()?,
                Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => return Ok(()),
                Some(Err(error)) => topic_log::ignore_transient(&error)?,
            }
        }
        Err(Error::new(ErrorKind::Unreachable, "the leader of the topic does not answer").advise(ADVERTISED))
    });
    read.await.map_err(|error| {
        let error = match error.kind() {
            ErrorKind::KafkaRefused => Error::new(ErrorKind::KafkaRefused, "the topic may not be read")
                .advise(admin::grant("Read, Write and Describe", topic)),
            _ => error,
        };
        error.with("topic", topic)
    })
}

/// Delivery reports of the one record of each topic.
#[derive(Clone, Default)]
struct Reports {
    codes: Arc<Mutex<HashMap<String, RDKafkaErrorCode>>>,
}

impl Reports {
    fn of(&self, topic: &str) -> Option<RDKafkaErrorCode> {
        locked(&self.codes).get(topic).copied()
    }
}

impl ClientContext for Reports {
    /// The refusal that is asked for is fatal to librdkafka, and no error here.
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "rdkafka", facility, "{message}");
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "rdkafka", %error, "{reason}");
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let Err((error, message)) = result else { return };
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        locked(&self.codes).insert(message.topic().to_owned(), code);
    }
}
