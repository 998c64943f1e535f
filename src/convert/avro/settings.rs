//! Settings of the Avro converter alone (`avro-converter.md`, 1 and 7).

use super::super::options::setting;
use super::super::registry::keys::SAME_OUTPUT;
use crate::setting::{KeyDefinition, Kind};

pub(super) static KEYS: &[KeyDefinition] = &[
    setting("value.converter.connect.meta.data", Kind::Boolean, "Whether schemas carry `connect.*` attributes.")
        .or("true"),
    setting("value.converter.enhanced.avro.schema.support", Kind::Boolean, "Enumerations and packages in schemas.")
        .or("false"),
    setting("value.converter.discard.type.doc.default", Kind::Boolean, "Older form of the documentation of types.")
        .or("false"),
    setting("value.converter.allow.optional.map.keys", Kind::Boolean, "Maps with optional keys.")
        .or("false")
        .ignored(SAME_OUTPUT),
    setting("value.converter.flatten.singleton.unions", Kind::Boolean, "Unions of one.")
        .or("true")
        .ignored(SAME_OUTPUT),
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
];
