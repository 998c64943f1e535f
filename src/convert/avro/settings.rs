//! Settings of the Avro converter (`delivery-and-runtime.md`, 7; `avro-converter.md`, 1, 7, 8 and 11), each once, under
//! `value.converter.`.

use crate::setting::{Home, KeyDefinition, Kind, key};

const SAME_OUTPUT: &str = "it changes nothing in the records of this connector";
const OWN_CACHE: &str = "rowtide keeps what it needs, and asks once per schema";

const fn setting(name: &'static str, kind: Kind, doc: &'static str) -> KeyDefinition {
    key(name, kind, doc).home(Home::Both).low()
}

pub(super) static KEYS: &[KeyDefinition] = &[
    setting("value.converter.schema.registry.url", Kind::List, "The schema registry, or several of them. Required.")
        .high(),
    setting("value.converter.basic.auth.credentials.source", Kind::Text, "`URL`, `USER_INFO` or `SASL_INHERIT`."),
    setting("value.converter.basic.auth.user.info", Kind::Password, "`user:password` for `USER_INFO`."),
    setting("value.converter.sasl.jaas.config", Kind::Password, "User and password for `SASL_INHERIT`."),
    setting("value.converter.bearer.auth.credentials.source", Kind::Text, "`STATIC_TOKEN` or `OAUTHBEARER`."),
    setting("value.converter.bearer.auth.token", Kind::Password, "The token for `STATIC_TOKEN`."),
    setting("value.converter.bearer.auth.*", Kind::Text, "Settings of bearer authentication."),
    setting("value.converter.bearer.auth.client.secret", Kind::Password, "The secret for `OAUTHBEARER`."),
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
    setting("value.converter.connect.meta.data", Kind::Boolean, "Whether schemas carry `connect.*` attributes.")
        .or("true"),
    setting("value.converter.enhanced.avro.schema.support", Kind::Boolean, "Enumerations and packages in schemas.")
        .or("false"),
    setting(
        "value.converter.scrub.invalid.names",
        Kind::Boolean,
        "Whether names that Avro does not allow are rewritten.",
    )
    .or("false"),
    setting("value.converter.discard.type.doc.default", Kind::Boolean, "Older form of the documentation of types.")
        .or("false"),
    setting("value.converter.generalized.sum.type.support", Kind::Boolean, "Sum types.")
        .or("false")
        .ignored(SAME_OUTPUT),
    setting("value.converter.allow.optional.map.keys", Kind::Boolean, "Maps with optional keys.")
        .or("false")
        .ignored(SAME_OUTPUT),
    setting("value.converter.flatten.singleton.unions", Kind::Boolean, "Unions of one.")
        .or("true")
        .ignored(SAME_OUTPUT),
    setting("value.converter.ignore.default.for.nullables", Kind::Boolean, "Null in place of a default.").or("false"),
    setting("value.converter.avro.use.logical.type.converters", Kind::Boolean, "For Java objects.")
        .or("false")
        .ignored(SAME_OUTPUT),
    setting("value.converter.avro.reflection.allow.null", Kind::Boolean, "For Java objects.")
        .or("false")
        .ignored(SAME_OUTPUT),
    setting("value.converter.avro.remove.java.properties", Kind::Boolean, "For Java objects.")
        .or("false")
        .ignored(SAME_OUTPUT),
    setting("value.converter.schema.reflection", Kind::Boolean, "For Java objects.").or("false").ignored(SAME_OUTPUT),
    setting("value.converter.propagate.schema.tags", Kind::Boolean, "Tags of the registry.")
        .or("false")
        .ignored(SAME_OUTPUT),
    setting("value.converter.schemas.cache.config", Kind::Int, "Size of the cache of schemas.")
        .or("1000")
        .ignored(OWN_CACHE),
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
