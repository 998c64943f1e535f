//! Keys that Kafka Connect itself reads from a connector's file (`delivery-and-runtime.md`, 2, 5, 6 and 8).

use super::{Allowed, KeyDefinition, Kind, key};
use crate::config::values::{is_connector_name, is_count, is_topic_text};

const OWN_RETRIES: &str = "rowtide retries by itself what may pass, and stops at what may not";

pub(super) static KEYS: &[KeyDefinition] = &[
    key("name", Kind::Text, "The connector's name: part of its offsets and of its transactional ids. Required.")
        .allow(Allowed::Test("at least one character, and no control characters", is_connector_name))
        .high(),
    key("connector.class", Kind::Class, "The class as Kafka Connect needs it; decides some defaults. May be left out.")
        .allow(Allowed::Words(&[
            "io.confluent.connect.jdbc.JdbcSourceConnector",
            "io.aiven.connect.jdbc.JdbcSourceConnector",
            "JdbcSourceConnector",
            "JdbcSource",
        ]))
        .high().differs("it may be left out"),
    key("tasks.max", Kind::Int, "The number of tasks that share the tables.").or("1").allow(Allowed::Range(1, 10_000)).high(),
    key("tasks.max.enforce", Kind::Boolean, "Whether a connector may make more tasks.")
        .or("true")
        .low()
        .ignored("tasks.max always holds"),
    key("connector.plugin.version", Kind::Text, "The plugin's version.").low().ignored("rowtide has one version"),
    key("config.action.reload", Kind::Text, "The action when a secret's lease ends.")
        .or("restart")
        .allow(Allowed::AnyCase(&["none", "restart"]))
        .low()
        .ignored("no provider of secrets here has leases"),
    key("transforms", Kind::List, "Names of transforms, in the order in which they are applied.").or(""),
    key(
        "transforms.*",
        Kind::Text,
        "`transforms.NAME.type` is the class of a transform, `.predicate` and `.negate` say when it is applied, the rest are its \
         settings: see [Transforms](#transforms-and-predicates).",
    ).differs("the classes that are there stand below"),
    key("predicates", Kind::List, "Names of predicates.").or("").low(),
    key("predicates.*", Kind::Text, "`predicates.NAME.type` is the class of a predicate, the rest are its settings.").low().differs("the classes that are there stand below"),
    key(
        "errors.tolerance",
        Kind::Text,
        "A row with a value that cannot be represented: `none` stops its table, `all` leaves the row out and counts it \
         (`rows_skipped` in the status, `rowtide_rows_skipped_total`). Unlike in Connect its offset is stored.",
    )
    .or("none")
    .allow(Allowed::AnyCase(&["none", "all"])).differs("with `none` the table stops and the others go on; with `all` the row is counted and its offset stored"),
    key("errors.retry.timeout", Kind::Long, "The longest time for retrying conversions.").or("0").ignored(OWN_RETRIES),
    key("errors.retry.delay.max.ms", Kind::Long, "The longest pause between them.").or("60000").ignored(OWN_RETRIES),
    key("errors.log.enable", Kind::Boolean, "Whether each row that is left out is logged; the first of a table always is.")
        .or("false").differs("the first row of a table that is left out is always logged"),
    key(
        "errors.log.include.messages",
        Kind::Boolean,
        "Whether that log shows the row's values, as the database gives them. Nothing else ever logs values.",
    )
    .or("false"),
    key(
        "errors.deadletterqueue.topic.name",
        Kind::Text,
        "A topic that is told, in JSON and in the same transaction, of each row left out; Connect has that for sinks only. \
         Made at start if it is missing.",
    )
    .or("")
    .allow(Allowed::Test("at most 249 letters, digits, dots, underscores and hyphens", is_topic_text)).differs("Kafka Connect has it for sinks only; here it is told of each row that is left out"),
    key(
        "errors.deadletterqueue.topic.replication.factor",
        Kind::Int,
        "The number of replicas of that topic when it is created; -1 is the broker's default.",
    )
    .or("3")
    .allow(Allowed::Test("-1, or at least 1", is_count)).differs("Kafka Connect has it for sinks only"),
    key(
        "errors.deadletterqueue.context.headers.enable",
        Kind::Boolean,
        "Whether its records have Connect's `__connect.errors.*` headers.",
    )
    .or("false").differs("Kafka Connect has it for sinks only"),
    key("exactly.once.support", Kind::Text, "Whether exactly-once delivery is a must; it always is given.")
        .or("requested")
        .allow(Allowed::AnyCase(&["requested", "required"])).differs("`required` and `requested` both get it: every record is written exactly once"),
    key("transaction.boundary", Kind::Text, "The boundary of transactions: rowtide ends one per batch.")
        .or("poll")
        .allow(Allowed::AnyCase(&["poll", "interval"]))
        .refuse(&[("connector", "this connector does not define transaction boundaries, in Kafka Connect neither")]).differs("`poll` and `interval` both end a transaction with its batch"),
    key("transaction.boundary.interval.ms", Kind::Long, "The duration of a transaction with `interval`.")
        .low()
        .ignored("a transaction ends with its batch"),
    key("offsets.storage.topic", Kind::Text, "The connector's own offsets topic; absent: the worker's.")
        .allow(Allowed::Test("the name of a topic", |text| {
            !text.is_empty() && crate::config::values::is_topic_text(text)
        }))
        .low(),
    key(
        "producer.override.*",
        Kind::Text,
        "Settings of the producer, by Kafka's names; they win over the worker's. All clients go to the brokers of \
         `bootstrap.servers`, with one `security.protocol`: another value is refused. `batch.size` is lowered by itself to the \
         `max.message.bytes` of the topic that takes the least, where rowtide may ask for it.",
    )
        .low().differs("settings of Java alone (serializers, interceptors, reporters) have no effect and are noted; `transactional.id`, `enable.idempotence=false` and `acks` other than all have none and are warned of; other brokers than `bootstrap.servers`, another `security.protocol` or partitioner, `retries=0` and more than 5 requests in flight are refused; JKS stores are refused with the command that converts them"),
    key("consumer.override.*", Kind::Text, "Settings of the consumer that reads the offsets.").low().differs("as `producer.override.*`"),
    key("admin.override.*", Kind::Text, "Settings of the client that makes topics.").low().differs("as `producer.override.*`"),
    key("tables", Kind::Text, "Made by Kafka Connect for its tasks.")
        .low()
        .ignored("it belongs to a task, not to a connector"),
    key("tables.fetched", Kind::Text, "Made by Kafka Connect for its tasks.")
        .low()
        .ignored("it belongs to a task, not to a connector"),
    key("task.class", Kind::Text, "Made by Kafka Connect for its tasks.")
        .low()
        .ignored("it belongs to a task, not to a connector"),
    key("engine.shutdown.timeout", Kind::Int, "The longest time for a task's query thread to stop.")
        .or("10")
        .low()
        .ignored("a statement is cancelled at once"),
];
