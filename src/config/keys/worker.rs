//! The worker: brokers, clients, the offsets topic (`offsets-topic.md`, 7; `delivery-and-runtime.md`, 5 and
//! 9), and what only a cluster of Java workers needs.

use super::{Allowed, KeyDefinition, Kind, worker_key};
use crate::config::values::{is_bootstrap, is_topic_text};

const NO_CLUSTER: &str = "rowtide is one process, not a cluster of workers";
const OWN_METRICS: &str = "metrics are served at /metrics";
const NO_PLUGINS: &str = "there are no plugins to load";

const fn ignored(name: &'static str, doc: &'static str, reason: &'static str) -> KeyDefinition {
    worker_key(name, Kind::Text, doc).low().ignored(reason)
}

const fn client(name: &'static str, kind: Kind, doc: &'static str) -> KeyDefinition {
    worker_key(name, kind, doc).low()
}

pub(super) static KEYS: &[KeyDefinition] = &[
    worker_key("bootstrap.servers", Kind::List, "The brokers: `host:port,host:port`. Required.")
        .allow(Allowed::Test("host:port, and more of them separated by commas", is_bootstrap))
        .high(),
    worker_key("group.id", Kind::Text, "The first part of every transactional id, `GROUP-CONNECTOR-TASK`.")
        .or("rowtide")
        .allow(Allowed::Test("at least one character", |text| !text.is_empty()))
        .high().differs("it is part of the transactional ids and of the group by which `rowtide offsets` sees who runs, no group of workers; without it, `rowtide`"),
    worker_key("offset.storage.topic", Kind::Text, "The topic of the offsets; made if it is missing.")
        .or("rowtide-offsets")
        .allow(Allowed::Test("the name of a topic", |text| !text.is_empty() && is_topic_text(text)))
        .high().differs("without it, `rowtide-offsets`"),
    worker_key("offset.storage.partitions", Kind::Int, "Its partitions; -1 is the broker's default.")
        .or("25")
        .allow(Allowed::Test("-1, or at least 1", crate::config::values::is_count))
        .low(),
    worker_key("offset.storage.replication.factor", Kind::Int, "Its replicas; -1 is the broker's default.")
        .or("3")
        .allow(Allowed::Test("-1, or at least 1", crate::config::values::is_count))
        .low(),
    worker_key(
        "internal.topics.automatic.creation.enable",
        Kind::Boolean,
        "Whether the offsets topic is created if it is missing; false: it is taken to be there, compacted, and no topic is \
         asked for its settings.",
    )
    .or("true")
    .low(),
    worker_key(
        "offset.storage.*",
        Kind::Text,
        "Any other setting of that topic; `cleanup.policy` is always `compact`, `segment.bytes` is 50 MiB unless it is set.",
    )
    .low(),
    worker_key(
        "offset.storage.file.filename",
        Kind::Text,
        "The file of a standalone worker's offsets. It is only read: if it has positions of the connector and the offsets \
         topic has none, `run` refuses to begin anew, and says how to take them over (`offsets import --from-file`).",
    )
    .low().differs("the file is read, not written: offsets are kept in Kafka, `rowtide offsets import --from-file` takes them over"),
    client("security.protocol", Kind::Text, "`PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`, for all clients.")
        .or("PLAINTEXT")
        .allow(Allowed::AnyCase(&["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"])),
    client("sasl.jaas.config", Kind::Password, "User and password towards the brokers."),
    client("sasl.*", Kind::Text, "Other settings of SASL, for all clients.").differs("PLAIN, SCRAM and OAUTHBEARER by client credentials; Kerberos and classes of Java (AWS MSK IAM) are refused with what works instead"),
    client("ssl.*", Kind::Text, "Settings of TLS, for all clients.").differs("PEM and PKCS #12; JKS is refused with the command that converts it"),
    client("client.id", Kind::Text, "The clients' id."),
    client("client.dns.lookup", Kind::Text, "The resolution of host names to addresses."),
    client("request.timeout.ms", Kind::Int, "The longest time for a request."),
    client("default.api.timeout.ms", Kind::Int, "The longest time for a call of a client."),
    client("retry.backoff.ms", Kind::Long, "The pause between tries."),
    client("retry.backoff.max.ms", Kind::Long, "The longest pause between tries."),
    client("reconnect.backoff.ms", Kind::Long, "The pause before connecting again."),
    client("reconnect.backoff.max.ms", Kind::Long, "The longest pause before connecting again."),
    client("metadata.max.age.ms", Kind::Long, "The interval of refreshing metadata."),
    client("metadata.recovery.strategy", Kind::Text, "What is done when no broker that is known answers."),
    client("metadata.recovery.rebootstrap.trigger.ms", Kind::Long, "The time without metadata after which that is done."),
    client("connections.max.idle.ms", Kind::Long, "The idle time after which a connection is closed."),
    client("send.buffer.bytes", Kind::Int, "The sockets' send buffer."),
    client("receive.buffer.bytes", Kind::Int, "The sockets' receive buffer."),
    client("socket.connection.setup.timeout.ms", Kind::Long, "The longest time for connecting to a broker."),
    client("socket.connection.setup.timeout.max.ms", Kind::Long, "The longest it may take after failures."),
    client("producer.*", Kind::Text, "Settings of the producer, by Kafka's names.").differs("as `producer.override.*`"),
    client("consumer.*", Kind::Text, "Settings of the consumer that reads the offsets.").differs("as `producer.override.*`"),
    client("admin.*", Kind::Text, "Settings of the client that makes topics.").differs("as `producer.override.*`"),
    worker_key(
        "connector.client.config.override.policy",
        Kind::Class,
        "The `*.override.*` keys that connectors may have: `All`, `None`, `Principal`.",
    )
    .or("All")
    .allow(Allowed::Test("All, None or Principal", |text| super::super::policy::Policy::named(text).is_some()))
    .low().differs("other classes than Kafka's three are refused"),
    worker_key(
        "config.providers",
        Kind::List,
        "Names of providers of secrets; `env`, `file` and `dir` are always there.",
    )
    .or("")
    .low().differs("`env`, `file` and `dir` are there without being named"),
    worker_key(
        "config.providers.*",
        Kind::Text,
        "`.class` is one of Kafka's three; `.param.allowed.paths` and \
         `.param.allowlist.pattern` are honoured.",
    )
    .low().differs("other classes than Kafka's three are refused; a placeholder that nobody fills in is a problem, where Kafka Connect leaves its text"),
    worker_key("exactly.once.source.support", Kind::Text, "Whether source tasks are transactional.")
        .or("disabled")
        .allow(Allowed::AnyCase(&["disabled", "preparing", "enabled"]))
        .low()
        .ignored("every task is transactional"),
    worker_key("offset.flush.interval.ms", Kind::Long, "The interval of writing offsets.")
        .or("60000")
        .low()
        .ignored("offsets are committed with each batch"),
    worker_key("offset.flush.timeout.ms", Kind::Long, "The longest time for writing them.")
        .or("5000")
        .low()
        .ignored("offsets are committed with each batch"),
    worker_key("task.shutdown.graceful.timeout.ms", Kind::Long, "The longest time for tasks to stop.")
        .or("5000")
        .low()
        .ignored("a stop takes at most ten seconds"),
    ignored("status.storage.*", "The topic of the tasks' states.", NO_CLUSTER),
    ignored("session.timeout.ms", "Membership of the workers' group.", NO_CLUSTER),
    ignored("heartbeat.interval.ms", "Membership of the workers' group.", NO_CLUSTER),
    ignored("rebalance.timeout.ms", "Membership of the workers' group.", NO_CLUSTER),
    ignored("scheduled.rebalance.max.delay.ms", "Membership of the workers' group.", NO_CLUSTER),
    ignored("connect.protocol", "Membership of the workers' group.", NO_CLUSTER),
    ignored("worker.sync.timeout.ms", "Membership of the workers' group.", NO_CLUSTER),
    ignored("worker.unsync.backoff.ms", "Membership of the workers' group.", NO_CLUSTER),
    ignored("inter.worker.*", "The signature of requests between workers.", NO_CLUSTER),
    ignored("metric.reporters", "Classes that publish metrics.", OWN_METRICS),
    ignored("metrics.*", "The sampling of metrics.", OWN_METRICS),
    ignored("auto.include.jmx.reporter", "Whether JMX publishes metrics.", OWN_METRICS),
    ignored("confluent.*", "Settings of Confluent's worker.", "they belong to Confluent's worker"),
    ignored("plugin.path", "The folders of plugins.", NO_PLUGINS),
    ignored("plugin.discovery", "The discovery of plugins.", NO_PLUGINS),
    ignored("internal.key.converter", "How offsets become bytes.", "offsets are written as Kafka Connect writes them"),
    ignored("internal.key.converter.*", "Its settings.", "offsets are written as Kafka Connect writes them"),
    ignored(
        "internal.value.converter",
        "How offsets become bytes.",
        "offsets are written as Kafka Connect writes them",
    ),
    ignored("internal.value.converter.*", "Its settings.", "offsets are written as Kafka Connect writes them"),
    ignored(
        "topic.tracking.enable",
        "Whether a connector's topics are recorded.",
        "they follow from the configuration",
    ),
    ignored("topic.tracking.allow.reset", "Whether that record can be reset.", "they follow from the configuration"),
];
