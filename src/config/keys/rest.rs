//! The listeners of REST and their authentication (`rest-api.md`, 1), and the topic of connectors made by it.

use super::{Allowed, KeyDefinition, Kind, worker_key};
use crate::config::values::{is_count, is_listeners, is_topic_text};

const fn own(name: &'static str, kind: Kind, doc: &'static str) -> KeyDefinition {
    worker_key(name, kind, doc).low()
}

pub(super) static KEYS: &[KeyDefinition] = &[
    worker_key(
        "config.storage.topic",
        Kind::Text,
        "The topic in which `rowtide worker` keeps connectors made by REST, in Kafka Connect's own records; made if it is \
         missing. Not used with `--config-dir`, nor by `rowtide run`, which forgets such connectors when it ends.",
    )
    .or("rowtide-configs")
    .allow(Allowed::Test("the name of a topic", |text| !text.is_empty() && is_topic_text(text)))
    .high().differs("without it, `rowtide-configs`; `rowtide run` has no use for it"),
    own("config.storage.replication.factor", Kind::Int, "Its replicas; -1 is the broker's default.")
        .or("3")
        .allow(Allowed::Test("-1, or at least 1", is_count)),
    own(
        "config.storage.*",
        Kind::Text,
        "Any other setting of that topic; `cleanup.policy` is always `compact`, and it always has one partition.",
    ),
    worker_key(
        "listeners",
        Kind::List,
        "Where REST, health and metrics are served: `http://host:port` or `https://host:port`, and more of them separated by \
         commas. Without a host: on all addresses. Absent: `http://127.0.0.1:8083`. `--listen` wins.",
    )
    .allow(Allowed::Test("http://host:port or https://host:port, and more of them separated by commas", is_listeners)).differs("without it, `http://127.0.0.1:8083`; Kafka Connect listens on all addresses"),
    own(
        "listeners.https.*",
        Kind::Text,
        "The certificate of an `https` listener: `listeners.https.ssl.keystore.location`, `.ssl.keystore.password`, \
         `.ssl.key.password`, `.ssl.truststore.location`, `.ssl.client.auth` (`none`, `requested`, `required`). Without any of \
         them those of the brokers' clients count, `ssl.*`. See [TLS](tls.md).",
    ),
    own("rest.advertised.host.name", Kind::Text, "The host in `worker_id` and `Location`; absent: that of the listener."),
    own("rest.advertised.port", Kind::Int, "The port in them; absent: that of the listener.")
        .allow(Allowed::Range(0, 65_535)),
    own("rest.advertised.listener", Kind::Text, "Which listener others are sent to.")
        .allow(Allowed::AnyCase(&["http", "https"]))
        .ignored("the first of `listeners` is"),
    own(
        "rest.auth.basic.*",
        Kind::Password,
        "`rest.auth.basic.NAME` is the password of the user NAME. With one of them, or a token, nobody else is let in; \
         only `/health`, `/health/live` and `/health/ready` answer everybody, without names or reasons.",
    ).differs("only rowtide has it"),
    own("rest.auth.bearer.*", Kind::Password, "`rest.auth.bearer.NAME` is a token of NAME: `Authorization: Bearer TOKEN`.").differs("only rowtide has it"),
    own(
        "rest.hide.secrets",
        Kind::Boolean,
        "Whether answers show `[hidden]` where Kafka Connect shows passwords in clear. A configuration that comes back with \
         `[hidden]` keeps the password it had. Absent: where a listener is not loopback.",
    ).differs("only rowtide has it: where a listener is not loopback, passwords are `[hidden]`"),
    own(
        "ui.samples",
        Kind::Boolean,
        "Whether the last records of a table are kept in memory, with the values of their rows, and shown by the page and by \
         `/rowtide/v1/connectors/NAME/tables/TABLE/samples`: of each table ten, each of at most 8 KiB.",
    )
    .or("false").differs("only rowtide has it"),
    own(
        "rest.extension.classes",
        Kind::List,
        "Classes that extend REST. Of these `BasicAuthSecurityRestExtension` is known: it demands `rest.auth.basic.*`, which \
         stands for its JAAS file.",
    ).differs("only `BasicAuthSecurityRestExtension` means something; passwords are those of `rest.auth.basic.*`, not of a JAAS file"),
    own("rest.*", Kind::Text, "Other settings of REST.").ignored("Kafka Connect does not know it either"),
    own(
        "admin.listeners",
        Kind::List,
        "Where `/admin` is served, and nothing else, in the form of `listeners`. Absent: where REST is. Empty: nowhere.",
    )
    .allow(Allowed::Test("empty, or http://host:port or https://host:port, and more of them separated by commas", |text| {
        text.trim().is_empty() || is_listeners(text)
    })),
    own(
        "admin.listeners.https.*",
        Kind::Text,
        "The certificate of an `https` listener of `/admin`, as `listeners.https.*`, which count without any of these.",
    ),
    own(
        "access.control.allow.origin",
        Kind::List,
        "Origins whose pages may ask by scripts (CORS): `https://host:port`, `https://*.domain`, or `*` for all, whose stored \
         passwords browsers do not send then. Absent: none.",
    ),
    own(
        "access.control.allow.methods",
        Kind::List,
        "The methods they may use. Absent: `GET`, `POST` and `HEAD`, as with Kafka Connect.",
    )
    .allow(Allowed::Test("a list of methods", |text| text.split(',').all(|word| word.trim().chars().all(|c| c.is_ascii_alphabetic())))),
    own("access.control.*", Kind::Text, "Other settings of CORS.").ignored("Kafka Connect does not know it either"),
    own("response.http.headers.config", Kind::Text, "Headers of REST.").ignored("no other headers are sent"),
];
