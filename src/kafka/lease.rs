//! A sign of life: while a connector runs, it is a member of a consumer group of its own, so that
//! `offsets set` can see it and refuse. Nothing is read and nothing depends on it: fencing protects the
//! data, and a lease that cannot be held is only logged.

use std::fmt;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use tokio::sync::oneshot;

use super::ask::{self, Asker};
use super::client::{self, ClientKind, Context};
use crate::config::spec::KafkaSpec;
use crate::error::{Error, Result};

/// The interval at which the group membership is served.
const TICK: Duration = Duration::from_millis(100);
/// The silence after which the brokers call a member dead.
const SESSION_MS: &str = "10000";

/// Membership of a running connector. Dropping it leaves the group soon; [`Lease::release`] waits.
pub struct Lease {
    stop: Option<mpsc::Sender<()>>,
    left: oneshot::Receiver<()>,
}

impl Lease {
    /// Joins the group, which makes the connector visible. `topic` is any topic that exists (the offsets topic); it is
    /// not read. `rest` is the address by which the process can be asked.
    ///
    /// # Errors
    /// `Config`; failures to reach the brokers are only logged.
    pub fn hold(spec: &KafkaSpec, connector: &str, topic: &str, rest: Option<&str>) -> Result<Self> {
        let mut config = client::config(ClientKind::Consumer, spec)?;
        config
            .set("group.id", group(spec, connector))
            .set("client.id", Holder::client_id(rest))
            .set("session.timeout.ms", SESSION_MS)
            .set("heartbeat.interval.ms", "3000");
        config.remove("group.protocol");
        let consumer: BaseConsumer<Member> = client::create(&config, Member(Context::default()))?;
        let subscribed = consumer.subscribe(&[topic]);
        subscribed.map_err(|error| client::classify("the connector's lease cannot be held", &error))?;
        let (stop, stopped) = mpsc::channel();
        let (leaving, left) = oneshot::channel();
        std::thread::Builder::new()
            .name("kafka-lease".to_owned())
            .spawn(move || {
                serve(&consumer, &stopped);
                drop(consumer);
                let _ = leaving.send(());
            })
            .map_err(|error| Error::internal("the lease's thread cannot be started").caused_by(error))?;
        Ok(Self { stop: Some(stop), left })
    }

    /// Leaves the group; returns when the brokers know, or after `patience`.
    pub async fn release(mut self, patience: Duration) {
        self.stop = None;
        let _ = tokio::time::timeout(patience, &mut self.left).await;
    }

    /// The processes that run the connector now.
    ///
    /// # Errors
    /// `Unreachable`, `Auth`, `KafkaRefused` if the group may not be described.
    pub async fn holders(spec: &KafkaSpec, connector: &str, timeout: Duration) -> Result<Vec<Holder>> {
        let (spec, group) = (spec.clone(), group(spec, connector));
        ask::blocking(move |cancel| {
            let asker = Asker::new(ClientKind::Admin, &spec, "read_committed")?;
            asker.ask("the connector's lease cannot be looked up", timeout, cancel, |consumer, timeout| {
                let found = consumer.fetch_group_list(Some(&group), timeout)?;
                let members = found.groups().iter().flat_map(|group| group.members());
                Ok(members.map(|member| Holder::of(member.client_id(), member.client_host())).collect())
            })
        })
        .await
    }
}

/// A process that runs a connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its machine and process, `host-pid`.
    pub process: String,
    /// Its address as the brokers see it.
    pub address: String,
    /// The address of its REST, if it has one.
    pub rest: Option<String>,
}

impl Holder {
    /// The client id of this process, which is all that others see of it.
    fn client_id(rest: Option<&str>) -> String {
        let process = format!("{}-{}", host(), std::process::id());
        rest.map_or_else(|| process.clone(), |rest| format!("{process}@{rest}"))
    }

    fn of(client_id: &str, address: &str) -> Self {
        let (process, rest) = match client_id.split_once('@') {
            Some((process, rest)) => (process, Some(rest.to_owned())),
            None => (client_id, None),
        };
        Self { process: process.to_owned(), address: address.to_owned(), rest }
    }

    /// True if it is a process of this machine, by its name.
    pub fn is_here(&self) -> bool {
        self.process.rsplit_once('-').is_some_and(|(machine, _)| machine == host())
    }
}

/// `host-pid (address)`.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.process, self.address)
    }
}

/// Begins with the worker's group, so an ACL with that prefix covers it.
fn group(spec: &KafkaSpec, connector: &str) -> String {
    format!("{}-{connector}-rowtide", spec.group_id)
}

fn serve(consumer: &BaseConsumer<Member>, stopped: &mpsc::Receiver<()>) {
    let mut reported = false;
    while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        let Some(Err(error)) = consumer.poll(Duration::ZERO) else { continue };
        if !reported {
            tracing::debug!(%error, "the connector's lease is not held for now");
            reported = true;
        }
    }
}

/// The name of this machine.
#[expect(clippy::disallowed_methods, reason = "the name of the machine, where the kernel does not say it")]
pub fn host() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = kernel.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_default();
    if name.trim().is_empty() { "unknown".to_owned() } else { name.trim().to_owned() }
}

/// A member that takes part in the group and in no partition.
struct Member(Context);

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

impl ConsumerContext for Member {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, _partitions: &mut TopicPartitionList) {
        let outcome = match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => consumer.assign(&TopicPartitionList::new()),
            _ => consumer.unassign(),
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "the lease's rebalance was not answered");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_known_by_its_client_id() {
        for rest in [None, Some("http://127.0.0.1:8083")] {
            let holder = Holder::of(&Holder::client_id(rest), "/10.0.0.1");
            assert!(holder.is_here(), "{holder:?}");
            assert_eq!(holder.rest.as_deref(), rest);
            assert_eq!(holder.to_string(), format!("{}-{} (/10.0.0.1)", host(), std::process::id()));
        }
        assert!(!Holder::of("elsewhere-1", "/10.0.0.1").is_here());
    }
}
