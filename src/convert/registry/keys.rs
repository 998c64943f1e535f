//! Settings of the converters that have a schema registry (`delivery-and-runtime.md`, 7; `avro-converter.md`, 1, 7, 8 and
//! 11), under `value.converter.`, each once: the converters share them by groups.

use super::super::options::setting;
use crate::setting::{KeyDefinition, Kind};

/// The reason of a setting without effect that is about types no table has.
pub(in crate::convert) const SAME_OUTPUT: &str = "it changes nothing in the records of this connector";
const OWN_CACHE: &str = "rowtide keeps what it needs, and asks once per schema";

/// The way to the registry, and the choice of a schema of it.
pub(in crate::convert) static REGISTRY: &[KeyDefinition] = &[
    setting("value.converter.schema.registry.url", Kind::List, "The schema registry, or several of them. Required.")
        .high(),
    setting("value.converter.basic.auth.credentials.source", Kind::Text, "`URL`, `USER_INFO` or `SASL_INHERIT`."),
    setting("value.converter.basic.auth.user.info", Kind::Password, "`user:password` for `USER_INFO`."),
    setting("value.converter.sasl.jaas.config", Kind::Password, "User and password for `SASL_INHERIT`."),
    setting("value.converter.bearer.auth.credentials.source", Kind::Text, "`STATIC_TOKEN`."),
    setting("value.converter.bearer.auth.token", Kind::Password, "The token for `STATIC_TOKEN`."),
    setting("value.converter.bearer.auth.*", Kind::Text, "Settings of bearer authentication."),
    setting(
        "value.converter.bearer.auth.client.secret",
        Kind::Password,
        "The secret for `OAUTHBEARER`, which is refused.",
    ),
    setting("value.converter.schema.registry.ssl.*", Kind::Text, "TLS towards the registry, by Kafka's names."),
    setting("value.converter.ssl.*", Kind::Text, "TLS towards the token endpoint, by Kafka's names."),
    setting("value.converter.proxy.host", Kind::Text, "An HTTP proxy towards the registry."),
    setting("value.converter.proxy.port", Kind::Int, "Its port."),
    setting("value.converter.http.connect.timeout.ms", Kind::Int, "The longest time for connecting.").or("60000"),
    setting("value.converter.http.read.timeout.ms", Kind::Int, "The longest time for an answer.").or("60000"),
    setting("value.converter.use.apache.http.client", Kind::Boolean, "The HTTP client.").ignored("there is one client"),
    setting("value.converter.auto.register.schemas", Kind::Boolean, "Whether new schemas are registered.").or("true"),
    setting("value.converter.normalize.schemas", Kind::Boolean, "Whether the registry normalizes schemas.").or("false"),
    setting(
        "value.converter.use.latest.version",
        Kind::Boolean,
        "Use the newest registered schema; needs \
         `auto.register.schemas=false`.",
    )
    .or("false"),
    setting(
        "value.converter.latest.compatibility.strict",
        Kind::Boolean,
        "Whether that schema must be able to read the \
         records.",
    )
    .or("true"),
    setting("value.converter.use.schema.id", Kind::Int, "Use the schema with this id.").or("-1"),
    setting("value.converter.use.schema.guid", Kind::Text, "Use the schema with this GUID."),
    setting("value.converter.use.latest.with.metadata", Kind::Text, "Use the newest schema with this metadata."),
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
    setting("value.converter.context.name.strategy", Kind::Class, "The naming of the context of subjects."),
    setting("value.converter.value.schema.id.serializer", Kind::Class, "The place of the schema id of values."),
    setting("value.converter.key.schema.id.serializer", Kind::Class, "The place of the schema id of keys."),
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
    setting("value.converter.rule.*", Kind::Text, "Data contract rules.")
        .ignored("a schema with rules is refused by the converter"),
    setting("value.converter.plugin.version", Kind::Text, "The version of the converter's plugin.")
        .ignored("rowtide has one version"),
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
