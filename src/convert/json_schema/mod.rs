//! JSON with a schema of the registry, as Confluent's `JsonSchemaConverter` writes it (`other-formats.md`, 3): the row is
//! that of `JsonConverter` without schemas, behind magic byte and schema id.

mod schema;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value as Json;

use super::json::{DECIMALS, JsonEncoder, has_numeric_decimals};
use super::options::{OF_ALL, Options, setting};
use super::registered::{Described, Format, RegisteredConverter};
use super::registry::{SchemaKind, keys};
use super::string::Utf8Decoder;
use super::{Converter, ConverterDefinition, ConverterSpec, Decoder, Encoder, Side, wire};
use crate::error::Result;
use crate::model::Schema;
use crate::setting::{KeyDefinition, Kind};

const OF_OBJECTS: &str = "it is about schemas made of Java objects";

static SETTINGS: &[KeyDefinition] = &[
    setting(
        "value.converter.object.additional.properties",
        Kind::Boolean,
        "Whether the schema allows properties that it does not name.",
    )
    .or("true"),
    setting("value.converter.use.optional.for.nonrequired", Kind::Boolean, "For reading.")
        .or("false")
        .ignored(keys::SAME_OUTPUT),
    setting("value.converter.ignore.modern.dialects", Kind::Boolean, "For reading.")
        .or("false")
        .ignored(keys::SAME_OUTPUT),
    setting("value.converter.json.fail.invalid.schema", Kind::Boolean, "Whether each record is checked by its schema.")
        .or("false")
        .refuse(&[("true", "rowtide makes schema and record of the same columns and checks none against the other")]),
    setting("value.converter.json.indent.output", Kind::Boolean, "Whether records are indented.")
        .or("false")
        .refuse(&[("true", "records are written on one line")]),
    setting("value.converter.json.fail.unknown.properties", Kind::Boolean, "For Java objects.")
        .or("true")
        .ignored(OF_OBJECTS),
    setting("value.converter.json.write.dates.iso8601", Kind::Boolean, "For Java objects.")
        .or("false")
        .ignored(OF_OBJECTS),
    setting("value.converter.json.schema.spec.version", Kind::Text, "For Java objects.")
        .or("draft_7")
        .ignored(OF_OBJECTS),
    setting("value.converter.json.oneof.for.nullables", Kind::Boolean, "For Java objects.")
        .or("true")
        .ignored(OF_OBJECTS),
    setting("value.converter.json.default.property.inclusion", Kind::Text, "For Java objects.").ignored(OF_OBJECTS),
];

/// `io.confluent.connect.json.JsonSchemaConverter`.
pub(super) static DEFINITION: ConverterDefinition = ConverterDefinition {
    name: "json-schema",
    class: "io.confluent.connect.json.JsonSchemaConverter",
    doc: "JSON with JSON Schemas of a schema registry.",
    settings: &[keys::REGISTRY, keys::DATA, DECIMALS, SETTINGS, OF_ALL],
    required: &[("schema.registry.url", "JSON Schema needs a schema registry")],
    has_descriptions: |_| true,
    create: |spec| {
        let format = JsonSchema::new(spec)?;
        let converter: Arc<dyn Converter> = Arc::new(RegisteredConverter::new(spec, format)?);
        Ok(converter)
    },
    decoder: |_| Ok(Box::new(JsonSchemaDecoder)),
};

struct JsonSchema {
    has_numeric_decimals: bool,
    /// `object.additional.properties`.
    is_open: bool,
}

impl JsonSchema {
    fn new(spec: &ConverterSpec) -> Result<Self> {
        let options = Options(&spec.settings);
        Ok(Self {
            has_numeric_decimals: has_numeric_decimals(options)?,
            is_open: options.flag("object.additional.properties", true)?,
        })
    }
}

impl Format for JsonSchema {
    const KIND: SchemaKind = SchemaKind::Json;

    fn describe(&self, side: Side<'_>) -> Result<Described> {
        side.flat("JsonSchemaConverter")?;
        let full_name = match side.schema {
            Schema::Record(record) => record.name.clone(),
            Schema::Field(_) | Schema::Hoisted { .. } => None,
        };
        Ok(Described { text: schema::text(side.schema, self.is_open), full_name })
    }

    fn encoder(&self, side: Side<'_>, id: u32) -> Result<Arc<dyn Encoder>> {
        side.flat("JsonSchemaConverter")?;
        Ok(Arc::new(JsonEncoder::new(side, (wire::prefix(id).to_vec(), ""), self.has_numeric_decimals)?))
    }

    fn is_same(&self, ours: &str, registered: &str) -> bool {
        let read = |text: &str| serde_json::from_str(text).map(unordered).ok();
        read(ours).is_some() && read(ours) == read(registered)
    }

    fn text(&self, _: &str, bytes: &[u8]) -> Result<String> {
        read(bytes)
    }
}

/// The schema without the order of its alternatives, which says nothing.
fn unordered(schema: Json) -> Json {
    match schema {
        Json::Object(members) => {
            let member = |(name, member): (String, Json)| {
                let mut member = unordered(member);
                if let (Json::Array(branches), "oneOf") = (&mut member, name.as_str()) {
                    branches.sort_by_key(Json::to_string);
                }
                (name, member)
            };
            let mut members: Vec<_> = members.into_iter().map(member).collect();
            members.sort_by(|one, other| one.0.cmp(&other.0));
            Json::Object(members.into_iter().collect())
        }
        Json::Array(items) => Json::Array(items.into_iter().map(unordered).collect()),
        other => other,
    }
}

fn read(bytes: &[u8]) -> Result<String> {
    Utf8Decoder::text(wire::split(bytes, "JSON")?.1)
}

/// Prints records, which need no schema to be read.
struct JsonSchemaDecoder;

impl Decoder for JsonSchemaDecoder {
    fn decode<'a>(&'a self, bytes: &'a [u8]) -> BoxFuture<'a, Result<String>> {
        Box::pin(async { read(bytes) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::*;
    use super::super::{CONVERTERS, Role, converter_of};
    use super::*;
    use crate::model::{FieldType, Value};

    fn converter(settings: &[(&str, &str)]) -> Arc<dyn Converter> {
        let url = ("schema.registry.url", "http://localhost");
        let settings = settings.iter().chain([&url]).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        ConverterSpec { definition: &DEFINITION, settings: settings.collect() }.create().unwrap()
    }

    fn sample(settings: &[(&str, &str)], schema: &Schema, row: &[Value<'_>]) -> Vec<u8> {
        let (table, projection) = (definition(), (0..schema.fields().len()).collect::<Vec<_>>());
        let mut out = Vec::new();
        let encoder = converter(settings).bind_sample(side(schema, &projection, &table)).unwrap();
        assert!(!encoder.is_null(row));
        encoder.encode(row, &mut out).unwrap();
        out
    }

    #[test]
    fn a_row_is_json_behind_the_schema_id_and_a_bare_null_is_the_word() {
        let bytes = sample(&[], &test_table(), &test_table_row());
        let payload = r#"{"seq":1,"ts":1700000000123,"item":"apple","price":null,"category":"fruit"}"#;
        assert_eq!(bytes, [&[0, 0, 0, 0, 0], payload.as_bytes()].concat());
        assert_eq!(read(&bytes).unwrap(), payload);
        assert_eq!(read(payload.as_bytes()).unwrap_err().kind(), crate::error::ErrorKind::Value);
        assert_eq!(sample(&[], &key(FieldType::String, true), &[Value::Null])[5..], *b"null");
        let decimal = key(FieldType::Decimal { precision: Some(10), scale: 2 }, false);
        let row = [Value::Decimal(vec![0x80].into())];
        assert_eq!(sample(&[], &decimal, &row)[5..], *b"\"gA==\"");
        assert_eq!(sample(&[("decimal.format", "numeric")], &decimal, &row)[5..], *b"-1.28");
    }

    #[test]
    fn the_preview_names_subject_and_schema_and_the_class_has_its_short_names() {
        let (table, projection, schema) = (definition(), [0, 1, 2, 3, 4], test_table());
        let of_key = Side { role: Role::Key, ..side(&schema, &projection, &table) };
        let preview = converter(&[]).preview(of_key).unwrap();
        assert_eq!(preview.subject.as_deref(), Some("t-key"));
        assert_eq!(preview.schema.unwrap(), schema::text(&schema, true));
        for name in ["json-schema", "JsonSchemaConverter", "JsonSchema"] {
            assert_eq!(converter_of(CONVERTERS, name).map(|found| found.name), Some("json-schema"));
        }
    }

    #[test]
    fn a_registered_schema_is_the_same_whatever_its_order() {
        let format = JsonSchema { has_numeric_decimals: false, is_open: true };
        let ours = schema::text(&test_table(), true);
        let other = r#"{"oneOf":[{"type":"string"},{"type":"null"}],"connect.index":2}"#;
        let spelled = ours.replace(r#"{"connect.index":2,"oneOf":[{"type":"null"},{"type":"string"}]}"#, other);
        assert!(ours != spelled && format.is_same(&ours, &spelled));
        assert!(!format.is_same(&ours, &ours.replace("test_table", "other")) && !format.is_same(&ours, "no json"));
    }
}
