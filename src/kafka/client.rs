//! The common part of all Kafka clients: their configuration (defaults of Kafka Connect, adapted to librdkafka,
//! overlaid by the user's settings), the context that takes librdkafka's logs and errors, and the first classification
//! of its error codes. Never logs a setting's value.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::ProducerContext;
use rdkafka::types::RDKafkaConfRes;

pub use super::settings::ClientKind;
use super::settings::{refuse, translate};
use super::statistics;
use crate::config::spec::KafkaSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::lock::locked;
use crate::telemetry::ProducerMetrics;

/// The silence after which a server is called unreachable.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// The advice for an advertised address that clients here cannot reach.
pub(super) const ADVERTISED: &str = "clients go on from bootstrap.servers to the addresses that the brokers advertise: set \
     advertised.listeners of the brokers to one that can be reached from here (for brokers in containers: a listener of \
     its own for clients outside), or make that address reachable";

/// Kafka Connect's `transaction.timeout.ms`.
const TRANSACTION_TIMEOUT_MS: u64 = 60_000;

const COMMON_DEFAULTS: &[(&str, &str)] = &[
    ("socket.keepalive.enable", "true"),
    ("reconnect.backoff.max.ms", "2000"),
    // A broker closing an idle connection is not news.
    ("log.connection.close", "false"),
    ("enable.metrics.push", "false"),
];

/// The producer's defaults, bounded so that the whole process stays below 100 MiB: librdkafka's own allow 1 GiB.
const PRODUCER_DEFAULTS: &[(&str, &str)] = &[
    ("partitioner", "murmur2_random"),
    // Records arrive in batches anyway; lingering delays every commit.
    ("linger.ms", "1"),
    ("batch.num.messages", "10000"),
    ("message.max.bytes", "1048576"),
    ("queue.buffering.max.messages", "100000"),
    ("queue.buffering.max.kbytes", "32768"),
    ("transaction.timeout.ms", "60000"),
];

const CONSUMER_DEFAULTS: &[(&str, &str)] = &[
    ("auto.offset.reset", "earliest"),
    ("queued.max.messages.kbytes", "16384"),
    // An empty fetch is answered after this long; the default of 500 delays every end of partition.
    ("fetch.wait.max.ms", "20"),
];

/// Notes for the operator about the Kafka settings: those that are accepted and ignored.
///
/// # Errors
/// `Config`, naming the key.
pub fn notes(spec: &KafkaSpec) -> Result<Vec<String>> {
    let (mut notes, mut javas) = (Vec::new(), BTreeSet::new());
    for kind in [ClientKind::Producer, ClientKind::Consumer, ClientKind::Admin] {
        let translated =
            translate(kind, &java_settings(kind, spec)).map_err(|error| error.with("client", kind.as_str()))?;
        javas.extend(translated.javas);
        for note in translated.notes {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        // Also finds the keys and values librdkafka does not know.
        let native = config(kind, spec)?;
        native.create_native_config().map_err(|error| creation(&error).with("client", kind.as_str()))?;
    }
    if !javas.is_empty() {
        let names: Vec<_> = javas.into_iter().collect();
        notes.push(format!("{}: accepted, without effect: Java's clients have a use for it", names.join(", ")));
    }
    Ok(notes)
}

fn java_settings(kind: ClientKind, spec: &KafkaSpec) -> BTreeMap<String, String> {
    let own = match kind {
        ClientKind::Producer => &spec.producer,
        ClientKind::Consumer => &spec.consumer,
        ClientKind::Admin => &spec.admin,
    };
    let mut settings = spec.common.clone();
    settings.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
    settings
}

/// The configuration of one client: defaults, then the user's settings, then the fixed ones.
pub(super) fn config(kind: ClientKind, spec: &KafkaSpec) -> Result<ClientConfig> {
    if spec.bootstrap_servers.trim().is_empty() {
        return Err(refuse("bootstrap.servers", "is missing"));
    }
    let own_defaults = match kind {
        ClientKind::Producer => PRODUCER_DEFAULTS,
        ClientKind::Consumer => CONSUMER_DEFAULTS,
        ClientKind::Admin => &[],
    };
    let settings =
        translate(kind, &java_settings(kind, spec)).map_err(|error| error.with("client", kind.as_str()))?.settings;
    let mut config = ClientConfig::new();
    config.set_log_level(if tracing::enabled!(target: "rdkafka", tracing::Level::DEBUG) {
        RDKafkaLogLevel::Debug
    } else {
        RDKafkaLogLevel::Notice
    });
    for (key, value) in COMMON_DEFAULTS.iter().chain(own_defaults) {
        config.set(*key, *value);
    }
    if !settings.keys().any(|key| key.starts_with("ssl.ca"))
        && settings.get("security.protocol").is_some_and(|protocol| protocol.ends_with("ssl"))
    {
        // The OpenSSL inside has no certificates of its own.
        config.set("ssl.ca.location", "probe");
    }
    config.extend(settings);
    config.set("bootstrap.servers", spec.bootstrap_servers.as_str());
    match kind {
        ClientKind::Producer => clamp_timeouts(&mut config),
        ClientKind::Consumer => {
            config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
            // Needed even for assigned partitions; nothing is committed under it.
            config.set("group.id", format!("{}-rowtide-reader", spec.group_id));
        }
        ClientKind::Admin => {}
    }
    // Neither a metadata request nor a write may create a topic: one that was deleted would silently become another.
    config.set("allow.auto.create.topics", "false");
    Ok(config)
}

/// The configuration of the transactional producer.
pub(super) fn producer_config(spec: &KafkaSpec, transactional_id: &str) -> Result<ClientConfig> {
    let mut config = config(ClientKind::Producer, spec)?;
    if config.get("client.id").is_none() {
        config.set("client.id", transactional_id);
    }
    // Idempotence and acks=all follow from it. Deliveries that succeed need no report: the commit is one.
    config.set("transactional.id", transactional_id).set("delivery.report.only.error", "true");
    // `Health::lost_a_connection` depends on it; closed idle connections are not reported all the same.
    config.set("log.connection.close", "true");
    if !matches!(config.log_level, RDKafkaLogLevel::Debug) {
        config.set_log_level(RDKafkaLogLevel::Info);
    }
    Ok(config)
}

/// Lowers a socket timeout above the transaction's, which librdkafka refuses.
fn clamp_timeouts(config: &mut ClientConfig) {
    let transaction = transaction_timeout(config).as_millis();
    let socket = config.get("socket.timeout.ms").and_then(|value| value.parse::<u128>().ok()).unwrap_or(60_000);
    config.set("socket.timeout.ms", socket.min(transaction).to_string());
}

/// `transaction.timeout.ms` of a producer.
pub(super) fn transaction_timeout(config: &ClientConfig) -> Duration {
    let millis = config.get("transaction.timeout.ms").and_then(|value| value.parse().ok());
    Duration::from_millis(millis.unwrap_or(TRANSACTION_TIMEOUT_MS))
}

/// Makes a client; contacts no broker yet.
pub(super) fn create<C: ClientContext, T: FromClientConfigAndContext<C>>(
    config: &ClientConfig,
    context: C,
) -> Result<T> {
    config.create_with_context(context).map_err(|error| creation(&error))
}

/// An error of making a client: the configuration's fault. librdkafka's text may repeat a value, which
/// may be a secret, so only what it says about keys of TLS and of combinations is kept.
fn creation(error: &KafkaError) -> Error {
    match error {
        KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, _, key, _) => {
            refuse(key, "not a setting of Kafka clients")
        }
        KafkaError::ClientConfig(_, _, key, _) => refuse(key, "the value is not allowed"),
        KafkaError::ClientCreation(text) => Error::config(format!("the Kafka client cannot be made: {text}")),
        other => Error::config("the Kafka client cannot be made").caused_by(other.clone()),
    }
}

/// The kind an error code has where no more is known than the code.
pub(super) fn kind_of(code: RDKafkaErrorCode) -> ErrorKind {
    use RDKafkaErrorCode::*;
    match code {
        Authentication | SaslAuthenticationFailed | UnsupportedSASLMechanism | IllegalSASLState => ErrorKind::Auth,
        BrokerTransportFailure | AllBrokersDown | Resolve | OperationTimedOut | TimedOutQueue | SSL => {
            ErrorKind::Unreachable
        }
        Fenced | ProducerFenced | InvalidProducerEpoch => ErrorKind::Fenced,
        TopicAuthorizationFailed
        | GroupAuthorizationFailed
        | ClusterAuthorizationFailed
        | TransactionalIdAuthorizationFailed
        | UnknownTopicOrPartition
        | UnknownTopic
        | UnknownPartition
        | InvalidTopic
        | MessageSizeTooLarge
        | MessageBatchTooLarge
        | InvalidConfig
        | PolicyViolation
        | UnsupportedVersion
        | UnsupportedFeature
        | InvalidRecord
        | InvalidTimestamp
        | UnsupportedCompressionType
        | InvalidTransactionTimeout
        | InvalidRequiredAcks
        | SecurityDisabled => ErrorKind::KafkaRefused,
        _ => ErrorKind::Kafka,
    }
}

/// Classifies an error of a client that has no transaction open.
pub(super) fn classify(what: impl Into<String>, error: &KafkaError) -> Error {
    // `AdminOp` is the one variant `rdkafka_error_code` forgets.
    let code = match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    };
    let kind = code.map_or(ErrorKind::Kafka, kind_of);
    Error::new(kind, what).caused_by(error.clone())
}

/// The time for which librdkafka does not repeat what it has reported of a broker.
const KEEPS_SILENT: Duration = Duration::from_secs(30);
/// librdkafka's words for the states of a connection that cannot have carried a request of ours.
const WITHOUT_REQUESTS: [&str; 5] =
    ["in state INIT", "in state DOWN", "in state TRY_CONNECT", "in state CONNECT", "in state SSL_HANDSHAKE"];

/// librdkafka's words for a token of OAUTHBEARER that the endpoint did not give, or gave in another form.
const NO_TOKEN: &str = "Failed to acquire SASL OAUTHBEARER token";
/// The ends of its log line where the endpoint has refused the client, by the status.
const TOKEN_REFUSED: [&str; 3] = ["(400)", "(401)", "(403)"];

/// librdkafka's side channel: everything it says outside of answers to calls.
#[derive(Debug, Default)]
pub struct Health {
    errors: AtomicU64,
    last: Mutex<Option<(RDKafkaErrorCode, String)>>,
    /// The last report that a request may not have been answered, by the time it was heard.
    lost: Mutex<Option<Instant>>,
    /// The token endpoint has refused the client.
    token_refused: AtomicBool,
    delivery: Mutex<Option<(String, RDKafkaErrorCode)>>,
}

impl Health {
    /// The number of errors that librdkafka reported since the client was made.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// The error of brokers that do not answer; `unreachable` unless they refused the credentials.
    pub(super) fn silence(&self, brokers: &str) -> Error {
        let last = locked(&self.last).clone();
        let (kind, what) = match &last {
            Some((code, reason)) if reason.starts_with(NO_TOKEN) => {
                let refused = kind_of(*code) == ErrorKind::Auth;
                let kind = if refused { ErrorKind::Auth } else { ErrorKind::Unreachable };
                return Error::new(kind, "there is no token to log in to the brokers with")
                    .with("brokers", brokers)
                    .caused_by(reason.clone())
                    .advise(
                        "check sasl.oauthbearer.token.endpoint.url, and client id, secret and scope; where a certificate is \
                         not trusted, ssl.truststore.location in sasl.jaas.config or https.ca.location",
                    );
            }
            Some((code, _)) if kind_of(*code) == ErrorKind::Auth => {
                (ErrorKind::Auth, "the brokers refused the credentials")
            }
            _ => (ErrorKind::Unreachable, "no broker answers"),
        };
        let error = Error::new(kind, what).with("brokers", brokers);
        match last {
            Some((RDKafkaErrorCode::SSL, reason)) => error
                .caused_by(reason)
                .advise("check security.protocol, ssl.truststore.location and the brokers' certificates"),
            // An advertised broker has its id in the name: `host:port/1`.
            Some((_, reason)) if kind == ErrorKind::Unreachable && is_advertised(&reason) => {
                let reason = reason.split(" (after ").next().unwrap_or(&reason).to_owned();
                error.caused_by(reason).advise(ADVERTISED)
            }
            // librdkafka's count of repetitions is no help.
            Some((_, reason)) => error.caused_by(reason.split(" (after ").next().unwrap_or(&reason).to_owned()),
            None => error,
        }
    }

    /// True if the credentials were refused: waiting does not help.
    pub(super) fn refused(&self) -> bool {
        let last = locked(&self.last);
        last.as_ref().is_some_and(|(code, _)| kind_of(*code) == ErrorKind::Auth)
    }

    /// True if the last report was a failed connection.
    pub(super) fn disconnected(&self) -> bool {
        let last = locked(&self.last);
        last.as_ref().is_some_and(|(code, _)| kind_of(*code) == ErrorKind::Unreachable)
    }

    /// True if, since a moment, a connection that carried requests may have ended or a request may have been given up.
    /// Reports of librdkafka are heard only when its events are served. It does not repeat a failure of the same broker
    /// for a while, so reports from shortly before count.
    pub(super) fn lost_a_connection(&self, since: Instant) -> bool {
        let lost = *locked(&self.lost);
        lost.is_some_and(|lost| lost + KEEPS_SILENT > since)
    }

    /// Notes a report of librdkafka about its connections; `facility` and the states are words of its own.
    fn hear(&self, facility: &str, message: &str) {
        let is_loss = match facility {
            "OIDC" => {
                let refused = TOKEN_REFUSED.iter().any(|status| message.ends_with(status));
                self.token_refused.store(refused, Ordering::Relaxed);
                false
            }
            "REQTMOUT" => true,
            "FAIL" => !WITHOUT_REQUESTS.iter().any(|state| message.contains(state)),
            _ => false,
        };
        if is_loss {
            *locked(&self.lost) = Some(Instant::now());
        }
    }

    /// The first delivery that failed since the last call: topic and reason.
    pub(super) fn take_delivery_failure(&self) -> Option<(String, RDKafkaErrorCode)> {
        locked(&self.delivery).take()
    }
}

/// True if a reason of librdkafka is about an address that a broker advertised, not one of `bootstrap.servers`.
fn is_advertised(reason: &str) -> bool {
    let name = reason.split(": ").find_map(|word| word.rsplit_once('/'));
    name.is_some_and(|(_, id)| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The context of every client.
#[derive(Clone, Default)]
pub struct Context {
    /// The health, shared with the owner of the client.
    pub health: Arc<Health>,
    /// The metrics of a producer whose figures are wanted.
    pub(super) metrics: Option<Arc<ProducerMetrics>>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.health.hear(facility, message);
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::warn!(target: "rdkafka", facility, "{message}");
            }
            RDKafkaLogLevel::Warning => tracing::info!(target: "rdkafka", facility, "{message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::debug!(target: "rdkafka", facility, "{message}")
            }
            RDKafkaLogLevel::Debug => tracing::trace!(target: "rdkafka", facility, "{message}"),
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        if let (Some(metrics), Some(figures)) = (&self.metrics, statistics::figures(statistics)) {
            metrics.observed(figures);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let mut code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        if reason.starts_with(NO_TOKEN) && !self.health.token_refused.load(Ordering::Relaxed) {
            // An endpoint that is down for now has refused nobody.
            code = RDKafkaErrorCode::BrokerTransportFailure;
        }
        if code == RDKafkaErrorCode::PartitionEOF {
            return;
        }
        self.health.errors.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(target: "rdkafka", %code, "{reason}");
        let mut last = locked(&self.health.last);
        // "All brokers are down" follows the reason and says less; and a refusal stays the reason.
        let known = last.as_ref().is_some_and(|(known, _)| kind_of(*known) == ErrorKind::Auth);
        if !known && (code != RDKafkaErrorCode::AllBrokersDown || last.is_none()) {
            *last = Some((code, reason.to_owned()));
        }
    }
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let Err((error, message)) = result else { return };
        let Some(code) = error.rdkafka_error_code() else { return };
        // Records purged by an abort have not failed.
        if matches!(code, RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight) {
            return;
        }
        let mut first = locked(&self.health.delivery);
        first.get_or_insert_with(|| (message.topic().to_owned(), code));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn spec(bootstrap_servers: &str) -> KafkaSpec {
        KafkaSpec {
            bootstrap_servers: bootstrap_servers.to_owned(),
            group_id: "rowtide".to_owned(),
            common: BTreeMap::new(),
            producer: BTreeMap::new(),
            consumer: BTreeMap::new(),
            admin: BTreeMap::new(),
        }
    }

    #[test]
    fn an_address_that_a_broker_advertised_is_told_from_one_of_the_bootstrap() {
        assert!(is_advertised("kafka:29092/1: Failed to resolve 'kafka:29092': Name or service not known"));
        assert!(is_advertised("sasl_ssl://kafka:29092/12: Connect to ipv4#10.0.0.1:29092 failed: Connection refused"));
        assert!(!is_advertised("127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused"));
    }

    #[test]
    fn a_token_endpoint_that_is_down_is_told_from_one_that_refuses_the_client() {
        for (status, kind) in
            [("(-1)", ErrorKind::Unreachable), ("(503)", ErrorKind::Unreachable), ("(401)", ErrorKind::Auth)]
        {
            let context = Context::default();
            context.log(
                RDKafkaLogLevel::Error,
                "OIDC",
                &format!("Failed to retrieve OIDC token from \"u\": no {status}"),
            );
            context.error(KafkaError::Global(RDKafkaErrorCode::Authentication), &format!("{NO_TOKEN}: no"));
            let error = context.health.silence("b:1");
            assert_eq!((error.kind(), context.health.refused()), (kind, kind == ErrorKind::Auth), "{status}");
            assert!(error.to_string().contains("no token") && error.advice().contains("client id"), "{error:?}");
        }
    }

    #[test]
    fn an_unknown_setting_is_named_and_its_value_is_not() {
        let mut spec = spec("localhost:1");
        spec.producer.insert("lingering.ms".to_owned(), "s3cret".to_owned());
        let error = notes(&spec).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error.to_string(), "lingering.ms: not a setting of Kafka clients (client producer)");
        spec.producer = BTreeMap::from([("linger.ms".to_owned(), "s3cret".to_owned())]);
        assert_eq!(notes(&spec).unwrap_err().report(), "linger.ms: the value is not allowed (client producer)");
    }

    #[test]
    fn users_settings_win_over_defaults_and_not_over_what_must_be() {
        let mut spec = spec("localhost:1");
        spec.common.insert("security.protocol".to_owned(), "SSL".to_owned());
        for (key, value) in [("linger.ms", "50"), ("transactional.id", "mine"), ("transaction.timeout.ms", "10000")] {
            spec.producer.insert(key.to_owned(), value.to_owned());
        }
        let config = producer_config(&spec, "rowtide-c-0").unwrap();
        for (key, value) in [
            ("linger.ms", "50"),
            ("transactional.id", "rowtide-c-0"),
            ("socket.timeout.ms", "10000"),
            ("partitioner", "murmur2_random"),
            ("ssl.ca.location", "probe"),
        ] {
            assert_eq!(config.get(key), Some(value), "{key}");
        }
        assert_eq!(notes(&spec).unwrap(), ["transactional.id is decided by rowtide and ignored"]);
    }
}
