//! Settings of the converters that have a schema registry (`delivery-and-runtime.md`, 7; `avro-converter.md`, 1, 7, 8 and
//! 11), under `value.converter.`, each once: the converters share them by groups.

use super::super::options::setting;
use crate::setting::{KeyDefinition, Kind};

/// The reason of a setting without effect that is about types no table has.
pub(in crate::convert) const SAME_OUTPUT: &str = "it changes nothing in the records of this connector";
const UNREAD_CLAIM: &str = "tokens are judged by the registry, rowtide reads their end only";
const OWN_CACHE: &str = "rowtide keeps what it needs, and asks once per schema";

/// The way to the registry, and the choice of a schema of it.
pub(in crate::convert) static REGISTRY: &[KeyDefinition] = &[
    setting("value.converter.schema.registry.url", Kind::List, "The schema registry, or several of them. Required.")
        .high().differs("`mock://` is refused; credentials in it count without `basic.auth.credentials.source`"),
    setting("value.converter.basic.auth.credentials.source", Kind::Text, "`URL`, `USER_INFO` or `SASL_INHERIT`.").differs("`basic.auth.user.info` alone is enough"),
    setting("value.converter.basic.auth.user.info", Kind::Password, "`user:password` for `USER_INFO`."),
    setting("value.converter.sasl.jaas.config", Kind::Password, "User and password for `SASL_INHERIT`."),
    setting(
        "value.converter.bearer.auth.credentials.source",
        Kind::Text,
        "`STATIC_TOKEN`, or `OAUTHBEARER` for tokens of an endpoint by client credentials.",
    ).differs("`SASL_OAUTHBEARER_INHERIT`, `UAMI` and `CUSTOM` are refused; a token need not be a JSON web token if the endpoint says when it ends"),
    setting("value.converter.bearer.auth.token", Kind::Password, "The token for `STATIC_TOKEN`."),
    setting(
        "value.converter.bearer.auth.issuer.endpoint.url",
        Kind::Text,
        "The address that gives out tokens, for `OAUTHBEARER`.",
    ),
    setting("value.converter.bearer.auth.client.id", Kind::Text, "The name of this client at that address."),
    setting("value.converter.bearer.auth.client.secret", Kind::Password, "The secret of this client at that address."),
    setting("value.converter.bearer.auth.scope", Kind::Text, "The scope that is asked for."),
    setting("value.converter.bearer.auth.scope.claim.name", Kind::Text, "The claim of a token that holds its scopes.")
        .or("scope")
        .ignored(UNREAD_CLAIM),
    setting("value.converter.bearer.auth.sub.claim.name", Kind::Text, "The claim of a token that holds its subject.")
        .or("sub")
        .ignored(UNREAD_CLAIM),
    setting(
        "value.converter.bearer.auth.cache.expiry.buffer.seconds",
        Kind::Int,
        "The time before the end of a token at which another is asked for; four fifths of its life at the latest.",
    )
    .or("300").differs("it can be set; Confluent's client fails on the text of a configuration"),
    setting(
        "value.converter.bearer.auth.logical.cluster",
        Kind::Text,
        "The logical cluster of the registry, sent as header `target-sr-cluster`.",
    ),
    setting(
        "value.converter.bearer.auth.identity.pool.id",
        Kind::Text,
        "The identity pool, sent as header `Confluent-Identity-Pool-Id`.",
    ),
    setting("value.converter.bearer.auth.custom.provider.class", Kind::Class, "A Java class that gives out tokens.")
        .not_there("rowtide runs no Java classes; set OAUTHBEARER or STATIC_TOKEN as bearer.auth.credentials.source"),
    setting("value.converter.bearer.auth.*", Kind::Text, "Other settings of bearer authentication.")
        .ignored("no source of tokens that is supported reads them"),
    setting("value.converter.schema.registry.ssl.*", Kind::Text, "TLS towards the registry, by Kafka's names.").differs("hosts are verified unless `ssl.endpoint.identification.algorithm` is empty or `none`; Confluent's client verifies them only where it is `https`. PEM and PKCS #12; JKS is refused with the command that converts it"),
    setting("value.converter.ssl.*", Kind::Text, "TLS towards the token endpoint, by Kafka's names.").differs("PEM and PKCS #12; JKS is refused with the command that converts it"),
    setting("value.converter.proxy.host", Kind::Text, "An HTTP proxy towards the registry."),
    setting("value.converter.proxy.port", Kind::Int, "Its port."),
    setting("value.converter.http.connect.timeout.ms", Kind::Int, "The longest time for connecting.").or("60000"),
    setting("value.converter.http.read.timeout.ms", Kind::Int, "The longest time for an answer.").or("60000"),
    setting("value.converter.max.retries", Kind::Int, "How often a call is repeated that failed in a way that may pass.")
        .or("3"),
    setting("value.converter.retries.wait.ms", Kind::Long, "The pause before the first of these tries; it grows.").or("1000"),
    setting("value.converter.retries.max.wait.ms", Kind::Long, "The longest pause between them.").or("20000"),
    setting(
        "value.converter.request.header.*",
        Kind::Password,
        "`request.header.NAME` is a header of every request; `Authorization` wins over the credentials.",
    ),
    setting("value.converter.schema.registry.url.randomize", Kind::Boolean, "Whether the first registry is chosen by chance.")
        .or("false")
        .ignored("registries are tried in the order of the list"),
    setting("value.converter.use.apache.http.client", Kind::Boolean, "The HTTP client.").ignored("there is one client"),
    setting("value.converter.auto.register.schemas", Kind::Boolean, "Whether new schemas are registered.").or("true"),
    setting("value.converter.normalize.schemas", Kind::Boolean, "Whether the registry normalizes schemas.").or("false"),
    setting(
        "value.converter.use.latest.version",
        Kind::Boolean,
        "Use the newest registered schema; needs \
         `auto.register.schemas=false`.",
    )
    .or("false").differs("for JSON Schema and Protobuf the registered schema must say the same, in whatever order; `latest.compatibility.strict=false` takes any"),
    setting(
        "value.converter.latest.compatibility.strict",
        Kind::Boolean,
        "Whether that schema must be able to read the \
         records.",
    )
    .or("true"),
    setting("value.converter.use.schema.id", Kind::Int, "Use the schema with this id.").or("-1"),
    setting("value.converter.use.schema.guid", Kind::Text, "Use the schema with this GUID.").differs("refused where it would count; use `use.schema.id` or `use.latest.version`"),
    setting("value.converter.use.latest.with.metadata", Kind::Text, "Use the newest schema with this metadata.").differs("refused where it would count; use `use.latest.version`"),
    setting(
        "value.converter.id.compatibility.strict",
        Kind::Boolean,
        "Whether the schema of `use.schema.id` must be able \
         to read the records.",
    )
    .or("true"),
    setting("value.converter.value.subject.name.strategy", Kind::Class, "The naming of the subject of values."),
    setting("value.converter.key.subject.name.strategy", Kind::Class, "The naming of the subject of keys."),
    setting("value.converter.subject.name.strategy.*", Kind::Text, "Settings of the subject name strategy."),
    setting("value.converter.context.name.strategy", Kind::Class, "The naming of the context of subjects.").differs("another than the default is refused"),
    setting("value.converter.value.schema.id.serializer", Kind::Class, "The place of the schema id of values.").differs("`HeaderSchemaIdSerializer` is refused: the id stands in front of the record"),
    setting("value.converter.key.schema.id.serializer", Kind::Class, "The place of the schema id of keys.").differs("`HeaderSchemaIdSerializer` is refused: the id stands in front of the record"),
    setting("value.converter.propagate.schema.tags", Kind::Boolean, "Tags of the registry.")
        .or("false")
        .ignored(SAME_OUTPUT),
    setting("value.converter.max.schemas.per.subject", Kind::Int, "Size of the cache per subject.")
        .or("1000")
        .ignored(OWN_CACHE),
    setting("value.converter.latest.cache.size", Kind::Int, "Size of the cache of newest schemas.")
        .or("1000")
        .ignored(OWN_CACHE),
    setting("value.converter.latest.cache.ttl.sec", Kind::Int, "The time for which a newest schema is kept.")
        .or("-1")
        .ignored(OWN_CACHE),
    setting("value.converter.missing.*", Kind::Text, "The cache of lookups that failed.").ignored(OWN_CACHE),
    setting("value.converter.schema.backup.enabled", Kind::Boolean, "Whether records take their schema along.")
        .or("false")
        .refuse(&[("true", "records are written as they are; remove it")]),
    setting("value.converter.execution.environment", Kind::Text, "Data contract rules.")
        .ignored("a schema with rules is refused by the converter"),
    setting("value.converter.rule.*", Kind::Text, "Data contract rules.")
        .ignored("a schema with rules is refused by the converter"),
];

/// The way from Connect's schemas to those of the registry.
pub(in crate::convert) static DATA: &[KeyDefinition] = &[
    setting("value.converter.generalized.sum.type.support", Kind::Boolean, "Sum types.")
        .or("false")
        .ignored(SAME_OUTPUT),
    setting("value.converter.ignore.default.for.nullables", Kind::Boolean, "Null in place of a default.").or("false"),
    setting("value.converter.schemas.cache.config", Kind::Int, "Size of the cache of schemas.")
        .or("1000")
        .ignored(OWN_CACHE),
];

/// Names that the format does not allow.
pub(in crate::convert) static NAMES: &[KeyDefinition] = &[setting(
    "value.converter.scrub.invalid.names",
    Kind::Boolean,
    "Whether names that the format does not allow are rewritten.",
)
.or("false")];
