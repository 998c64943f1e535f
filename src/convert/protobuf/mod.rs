//! Protobuf with schemas of the registry, as Confluent's `ProtobufConverter` writes it (`other-formats.md`, 4): magic byte,
//! schema id, which message of the schema, and the message.

pub(crate) mod decode;
mod encoder;
mod proto_file;
mod schema;

use std::sync::Arc;

use self::decode::{ProtobufDecoder, decode_with};
use self::encoder::{Presence, ProtobufEncoder};
use self::proto_file::ProtoFile;
use self::schema::Style;
use super::options::{OF_ALL, Options, setting};
use super::registered::{Described, Format, RegisteredConverter};
use super::registry::{SchemaKind, keys};
use super::{Converter, ConverterDefinition, ConverterSpec, Decoder, Encoder, Side, wire};
use crate::error::Result;
use crate::model::Field;
use crate::setting::{KeyDefinition, Kind};

static SETTINGS: &[KeyDefinition] = &[
    setting(
        "value.converter.optional.for.nullables",
        Kind::Boolean,
        "Whether fields that may be null are `optional`. Without it and the next key a null reads as zero or empty.",
    )
    .or("false")
    .high(),
    setting(
        "value.converter.wrapper.for.nullables",
        Kind::Boolean,
        "Whether they are messages of Google's wrappers (`google.protobuf.Int32Value`, ...).",
    )
    .or("false")
    .high(),
    setting(
        "value.converter.skip.known.types",
        Kind::Boolean,
        "Whether the types of Google and Confluent are not registered.",
    )
    .or("true")
    .refuse(&[("false", "readers and registries bring these types along")]),
    setting(
        "value.converter.reference.subject.name.strategy",
        Kind::Class,
        "How the subjects of other files are named.",
    )
    .ignored("a schema refers to known types only"),
    setting("value.converter.reference.lookup.only", Kind::Boolean, "Whether other files are only looked up.")
        .or("false")
        .ignored("a schema refers to known types only"),
    setting("value.converter.schema.format", Kind::Text, "Another form of the registered schema.")
        .not_there("schemas are registered as the reference's default has them"),
    setting("value.converter.enhanced.protobuf.schema.support", Kind::Boolean, "Packages in names, for reading.")
        .or("false")
        .ignored(keys::SAME_OUTPUT),
    setting("value.converter.optional.for.proto2", Kind::Boolean, "For reading.").or("true").ignored(keys::SAME_OUTPUT),
    setting("value.converter.wrapper.for.raw.primitives", Kind::Boolean, "For reading.")
        .or("true")
        .ignored(keys::SAME_OUTPUT),
    setting("value.converter.int.for.enums", Kind::Boolean, "For reading.").or("false").ignored(keys::SAME_OUTPUT),
    setting("value.converter.generate.struct.for.nulls", Kind::Boolean, "For reading.")
        .or("false")
        .ignored(keys::SAME_OUTPUT),
    setting("value.converter.generate.index.for.unions", Kind::Boolean, "For reading.")
        .or("true")
        .ignored(keys::SAME_OUTPUT),
    setting("value.converter.flatten.unions", Kind::Boolean, "For reading.").or("false").ignored(keys::SAME_OUTPUT),
];

/// Reads the text of a `.proto` file.
///
/// # Errors
/// `Value` if it is none.
pub(crate) fn check_text(text: &str) -> Result<()> {
    ProtoFile::parse(text).map(drop)
}

/// The reason why data of one `.proto` file (`writer`) cannot be read by another; none if it can.
///
/// # Errors
/// `Value` if one of them is none.
pub(crate) fn unreadable(writer: &str, reader: &str) -> Result<Option<String>> {
    Ok(ProtoFile::parse(reader)?.cannot_read(&ProtoFile::parse(writer)?))
}

/// `io.confluent.connect.protobuf.ProtobufConverter`.
pub(super) static DEFINITION: ConverterDefinition = ConverterDefinition {
    name: "protobuf",
    class: "io.confluent.connect.protobuf.ProtobufConverter",
    doc: "Protobuf with schemas of a schema registry.",
    settings: &[keys::REGISTRY, keys::DATA, keys::NAMES, SETTINGS, OF_ALL],
    required: &[("schema.registry.url", "Protobuf needs a schema registry")],
    has_descriptions: |_| false,
    create: |spec| {
        let format = Protobuf::new(spec)?;
        let converter: Arc<dyn Converter> = Arc::new(RegisteredConverter::new(spec, format)?);
        Ok(converter)
    },
    decoder: |spec| {
        let decoder: Box<dyn Decoder> = Box::new(ProtobufDecoder::new(spec)?);
        Ok(decoder)
    },
};

struct Protobuf {
    style: Style,
}

impl Protobuf {
    fn new(spec: &ConverterSpec) -> Result<Self> {
        let options = Options(&spec.settings);
        let style = Style {
            optional: options.flag("optional.for.nullables", false)?,
            wrapper: options.flag("wrapper.for.nullables", false)?,
            scrub: options.flag("scrub.invalid.names", false)?,
        };
        Ok(Self { style })
    }
}

impl Format for Protobuf {
    const KIND: SchemaKind = SchemaKind::Protobuf;

    fn describe(&self, side: Side<'_>) -> Result<Described> {
        side.flat("ProtobufConverter")?;
        schema::describe(side.schema, self.style).map_err(|error| error.with("table", &side.table.relation))
    }

    fn encoder(&self, side: Side<'_>, id: u32) -> Result<Arc<dyn Encoder>> {
        side.flat("ProtobufConverter")?;
        let is_bare = side.bare().is_some();
        let presence = |field: &Field| match (self.style, field.optional && !is_bare) {
            (Style { wrapper: true, .. }, true) => Presence::Wrapped,
            (Style { optional: true, .. }, true) => Presence::Explicit,
            _ => Presence::Implicit,
        };
        let mut prefix = wire::prefix(id).to_vec();
        prefix.extend(schema::message_index(side.schema)?);
        Ok(Arc::new(ProtobufEncoder::new(prefix, &side.fields()?, presence, is_bare)))
    }

    fn is_same(&self, ours: &str, registered: &str) -> bool {
        match (ProtoFile::parse(ours), ProtoFile::parse(registered)) {
            (Ok(ours), Ok(registered)) => ours.has_same_messages(&registered),
            _ => false,
        }
    }

    fn text(&self, schema: &str, bytes: &[u8]) -> Result<String> {
        decode_with(schema, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::*;
    use super::*;
    use crate::model::{FieldType, Schema, Value};

    fn converter(settings: &[(&str, &str)]) -> Arc<dyn Converter> {
        let url = ("schema.registry.url", "http://localhost");
        let settings = settings.iter().chain([&url]).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        ConverterSpec { definition: &DEFINITION, settings: settings.collect() }.create().unwrap()
    }

    /// A record as `explain --sample` shows it.
    fn shown(settings: &[(&str, &str)], schema: &Schema, row: &[Value<'_>]) -> String {
        let (table, projection) = (definition(), (0..schema.fields().len()).collect::<Vec<_>>());
        let side = side(schema, &projection, &table);
        let converter = converter(settings);
        let mut out = Vec::new();
        converter.bind_sample(side).unwrap().encode(row, &mut out).unwrap();
        converter.render_sample(&converter.preview(side).unwrap(), &out).unwrap()
    }

    #[test]
    fn a_row_reads_back_as_protobuf_s_json() {
        let row = r#"{"seq":1,"ts":"2023-11-14T22:13:20.123Z","item":"apple","price":0,"category":"fruit"}"#;
        assert_eq!(shown(&[], &test_table(), &test_table_row()), row);
        let without = row.replace(r#""price":0,"#, "");
        for setting in ["optional.for.nullables", "wrapper.for.nullables"] {
            assert_eq!(shown(&[(setting, "true")], &test_table(), &test_table_row()), without);
        }
        let shown_row = r#"{"id":"1","cBool":true,"cI8":-1,"cI16":300,"cI32":-2,"cF32":1.5,"cF64":-2.5,"cStr":"é","cBytes":"AP8=","cDate":{"year":2022,"month":1,"day":8},"cTime":{"hours":1,"minutes":2,"seconds":3,"nanos":4000000},"cTs":"2023-11-14T22:13:20.123Z","cNum":{"value":"gA==","precision":3,"scale":2},"cNumOld":{"value":"EtaH","precision":7,"scale":2}}"#;
        for settings in [&[][..], &[("optional.for.nullables", "true")], &[("wrapper.for.nullables", "true")]] {
            assert_eq!(shown(settings, &wide(), &wide_row()), shown_row);
        }
    }

    #[test]
    fn bare_keys_are_wrappers_and_a_bare_null_is_none() {
        assert_eq!(shown(&[], &key(FieldType::Int32, false), &[Value::Integer(-7)]), "-7");
        assert_eq!(shown(&[], &key(FieldType::String, true), &[Value::Text("é".into())]), "\"é\"");
        assert_eq!(shown(&[], &key(FieldType::Float64, false), &[Value::Float64(0.0)]), "0.0");
        let (table, schema) = (definition(), key(FieldType::Int64, true));
        let encoder = converter(&[]).bind_sample(side(&schema, &[0], &table)).unwrap();
        assert!(encoder.is_null(&[Value::Null]) && !encoder.is_null(&[Value::Integer(0)]));
        assert!(converter(&[]).bind_sample(side(&key(FieldType::Date, false), &[0], &table)).is_err());
    }

    #[test]
    fn a_registered_schema_is_the_same_whatever_its_spelling() {
        let format = Protobuf { style: Style::default() };
        let ours = schema::describe(&test_table(), Style::default()).unwrap().text;
        let spelled = "// a comment\nsyntax='proto3'; import \"google/protobuf/timestamp.proto\"; message test_table {
            string category = 5; int32 seq = 1 [deprecated = true]; .google.protobuf.Timestamp ts = 2; string item = 0x3;
            /* another */ int32 price = 4; reserved 9, 11 to 20; }";
        assert!(format.is_same(&ours, spelled));
        assert!(!format.is_same(&ours, &spelled.replace("int32 price", "int64 price")));
        assert!(!format.is_same(&ours, "message"));
    }
}
