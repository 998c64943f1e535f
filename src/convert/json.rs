//! JSON as Kafka Connect's `JsonConverter` writes it, byte for byte (`other-formats.md`, 1): the row alone, or in an envelope
//! with its schema. Everything but the values is made once per schema.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::json_text::{push_base64, push_f32, push_f64, push_string, push_utf8};
use super::options::{OF_ALL, Options, setting};
use super::problem::{Problem, append_row, range_of};
use super::string::Utf8Decoder;
use super::text::{Utf8, push_decimal, push_integer};
use super::{Converter, ConverterDefinition, ConverterSpec, Encoder, SchemaPreview, Side};
use crate::error::{Error, Result};
use crate::model::{Field, FieldType, Schema, Value};
use crate::setting::{Allowed, KeyDefinition, Kind};

/// The form of exact numbers.
pub(super) static DECIMALS: &[KeyDefinition] =
    &[setting("value.converter.decimal.format", Kind::Text, "The form of exact numbers: bytes in base64, or digits.")
        .or("BASE64")
        .allow(Allowed::AnyCase(&["BASE64", "NUMERIC"]))];

static SETTINGS: &[KeyDefinition] = &[
    setting("value.converter.schemas.enable", Kind::Boolean, "Whether each record carries its schema.")
        .or("true")
        .high(),
    setting("value.converter.replace.null.with.default", Kind::Boolean, "Whether a null is written as the default.")
        .or("true")
        .ignored("fields of a table have no defaults"),
    setting("value.converter.schemas.cache.size", Kind::Int, "The size of the cache of schemas.")
        .or("1000")
        .ignored("rowtide keeps what it needs"),
    setting("value.converter.schema.content", Kind::Text, "The schema of records that come without one, for reading.")
        .ignored("a source writes records"),
];

/// `org.apache.kafka.connect.json.JsonConverter`.
pub(super) static DEFINITION: ConverterDefinition = ConverterDefinition {
    name: "json",
    class: "org.apache.kafka.connect.json.JsonConverter",
    doc: "JSON, alone or in an envelope with the schema.",
    settings: &[SETTINGS, DECIMALS, OF_ALL],
    required: &[],
    has_descriptions: has_schemas,
    create: |spec| Ok(Arc::new(JsonConverter::new(spec)?)),
    decoder: |_| Ok(Box::new(Utf8Decoder)),
};

/// True if each record carries its schema (`schemas.enable`).
pub(super) fn has_schemas(spec: &ConverterSpec) -> bool {
    Options(&spec.settings).flag("schemas.enable", true).unwrap_or(true)
}

/// Kafka Connect's JSON.
pub(super) struct JsonConverter {
    /// `schemas.enable`.
    has_schemas: bool,
    /// `decimal.format=NUMERIC`.
    has_numeric_decimals: bool,
}

impl JsonConverter {
    fn new(spec: &ConverterSpec) -> Result<Self> {
        let options = Options(&spec.settings);
        let has_schemas = options.flag("schemas.enable", true)?;
        Ok(Self { has_schemas, has_numeric_decimals: has_numeric_decimals(options)? })
    }

    /// A converter with these settings.
    pub(super) fn with(has_schemas: bool, has_numeric_decimals: bool) -> Self {
        Self { has_schemas, has_numeric_decimals }
    }

    fn encoder(&self, side: Side<'_>) -> Result<JsonEncoder> {
        let (mut head, mut tail) = (String::new(), "");
        if self.has_schemas {
            head = format!("{{\"schema\":{},\"payload\":", schema_text(side.schema));
            tail = "}";
        }
        JsonEncoder::new(side, (head.into_bytes(), tail), self.has_numeric_decimals)
    }
}

/// True if exact numbers are written as digits (`decimal.format`).
///
/// # Errors
/// `Config` for a word that is none.
pub(super) fn has_numeric_decimals(options: Options<'_>) -> Result<bool> {
    match options.get("decimal.format") {
        None => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("BASE64") => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("NUMERIC") => Ok(true),
        Some(text) => Err(Error::config(format!("decimal.format: `{text}` is neither BASE64 nor NUMERIC"))),
    }
}

impl Converter for JsonConverter {
    fn bind<'a>(&'a self, side: Side<'a>) -> BoxFuture<'a, Result<Arc<dyn Encoder>>> {
        Box::pin(async move { self.bind_sample(side) })
    }

    fn preview(&self, side: Side<'_>) -> Result<SchemaPreview> {
        Ok(SchemaPreview { subject: None, schema: self.has_schemas.then(|| schema_text(side.schema)) })
    }

    fn check<'a>(&'a self, side: Side<'a>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.encoder(side).map(drop) })
    }

    fn bind_sample(&self, side: Side<'_>) -> Result<Arc<dyn Encoder>> {
        Ok(Arc::new(self.encoder(side)?))
    }

    fn render_sample(&self, _: &SchemaPreview, bytes: &[u8]) -> Result<String> {
        Utf8Decoder::text(bytes)
    }
}

/// The form of one value.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Write {
    Boolean,
    Integer { min: i64, max: i64 },
    Float,
    Double,
    Text,
    Base64,
    Digits { scale: i32 },
}

impl Write {
    fn of(field_type: &FieldType, has_numeric_decimals: bool) -> Self {
        match field_type {
            FieldType::Boolean => Write::Boolean,
            FieldType::Float32 => Write::Float,
            FieldType::Float64 => Write::Double,
            FieldType::String => Write::Text,
            FieldType::Decimal { scale, .. } if has_numeric_decimals => Write::Digits { scale: *scale },
            FieldType::Bytes | FieldType::Decimal { .. } => Write::Base64,
            integer => {
                let (min, max) = range_of(integer);
                Write::Integer { min, max }
            }
        }
    }

    #[inline]
    fn append(self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
        match (self, value) {
            (Write::Integer { min, max }, Value::Integer(integer)) if (min..=max).contains(integer) => {
                push_integer(out, *integer);
            }
            (Write::Integer { .. }, Value::Integer(_)) => return Err(Problem::Range),
            (Write::Text, Value::Text(text)) => push_utf8(out, text),
            (Write::Boolean, Value::Boolean(true)) => out.extend_from_slice(b"true"),
            (Write::Boolean, Value::Boolean(false)) => out.extend_from_slice(b"false"),
            (Write::Float, Value::Float32(value)) => push_f32(&mut Utf8(out), *value),
            (Write::Double, Value::Float64(value)) => push_f64(&mut Utf8(out), *value),
            (Write::Digits { scale }, Value::Decimal(unscaled)) => push_decimal(out, unscaled, scale),
            (Write::Base64, Value::Bytes(bytes) | Value::Decimal(bytes)) => push_base64(out, bytes),
            _ => return Err(Problem::Type),
        }
        Ok(())
    }
}

/// The text in front of a value: the comma, the name and the colon; empty for a bare value.
#[derive(Debug)]
struct Label {
    /// The text, if it fits, and zeros behind it: a copy of constant size, which is cut back afterwards, costs less than one
    /// of just the right size.
    short: [u8; Label::SHORT],
    len: usize,
    /// The text that does not fit.
    long: Option<Box<[u8]>>,
}

impl Label {
    const SHORT: usize = 32;

    fn new(text: &str) -> Self {
        let (mut short, len) = ([0; Label::SHORT], text.len());
        let long = match short.get_mut(..len) {
            Some(room) => {
                room.copy_from_slice(text.as_bytes());
                None
            }
            None => Some(text.as_bytes().into()),
        };
        Self { short, len, long }
    }

    #[inline]
    fn append(&self, out: &mut Vec<u8>) {
        match &self.long {
            None => {
                let end = out.len() + self.len;
                out.extend_from_slice(&self.short);
                out.truncate(end);
            }
            Some(text) => out.extend_from_slice(text),
        }
    }
}

/// One field of the row.
#[derive(Debug)]
struct Op {
    label: Label,
    index: usize,
    is_optional: bool,
    write: Write,
}

/// An encoder of rows as JSON, with the same bytes before and behind each.
#[derive(Debug)]
pub(super) struct JsonEncoder {
    head: Box<[u8]>,
    ops: Box<[Op]>,
    tail: Box<[u8]>,
    names: Box<[String]>,
}

impl JsonEncoder {
    /// An encoder of one side that writes each row between `head` and `tail`.
    ///
    /// # Errors
    /// `Internal` if the projection does not cover the schema.
    pub(super) fn new(side: Side<'_>, (mut head, tail): (Vec<u8>, &str), has_numeric_decimals: bool) -> Result<Self> {
        let fields = side.fields()?;
        let is_bare = side.bare().is_some();
        let mut tail = tail.to_owned();
        for field in side.schema.hoists().0 {
            let mut around = "{".to_owned();
            push_string(&mut around, field);
            around.push(':');
            head.extend_from_slice(around.as_bytes());
            tail.insert(0, '}');
        }
        if !is_bare {
            head.push(b'{');
            tail.insert(0, '}');
        }
        let ops = fields.iter().enumerate().map(|(at, (field, index))| {
            let mut name = String::new();
            if !is_bare {
                name.push_str(if at == 0 { "" } else { "," });
                push_string(&mut name, &field.name);
                name.push(':');
            }
            Op {
                label: Label::new(&name),
                index: *index,
                is_optional: field.optional,
                write: Write::of(&field.field_type, has_numeric_decimals),
            }
        });
        Ok(Self {
            head: head.into(),
            ops: ops.collect(),
            tail: tail.into_bytes().into(),
            names: fields.iter().map(|(field, _)| field.name.clone()).collect(),
        })
    }

    fn encode_row(&self, row: &[Value<'_>], out: &mut Vec<u8>) -> Result<(), (usize, Problem)> {
        out.extend_from_slice(&self.head);
        for (at, op) in self.ops.iter().enumerate() {
            op.label.append(out);
            match row.get(op.index) {
                None => return Err((at, Problem::Missing)),
                Some(Value::Null) if op.is_optional => out.extend_from_slice(b"null"),
                Some(Value::Null) => return Err((at, Problem::Null)),
                Some(value) => op.write.append(value, out).map_err(|problem| (at, problem))?,
            }
        }
        out.extend_from_slice(&self.tail);
        Ok(())
    }
}

/// A bare null is written as JSON's `null`, as the reference does: Kafka's null stands for records without a schema only.
impl Encoder for JsonEncoder {
    fn encode(&self, row: &[Value<'_>], out: &mut Vec<u8>) -> Result<()> {
        append_row(&self.names, out, |out| self.encode_row(row, out))
    }
}

/// The schema as the envelope has it (`other-formats.md`, 1.1).
pub(super) fn schema_text(schema: &Schema) -> String {
    let mut text = String::new();
    match schema {
        Schema::Field(field) => push_field(&mut text, field, false),
        Schema::Hoisted { field, record } => {
            text.push_str("{\"type\":\"struct\",\"fields\":[");
            let inner = schema_text(record);
            text.push_str(inner.strip_suffix('}').unwrap_or(&inner));
            text.push_str(",\"field\":");
            push_string(&mut text, field);
            text.push_str("}],\"optional\":false}");
        }
        Schema::Record(record) => {
            text.push_str("{\"type\":\"struct\",\"fields\":[");
            for (at, field) in record.fields.iter().enumerate() {
                text.push_str(if at == 0 { "" } else { "," });
                push_field(&mut text, field, true);
            }
            text.push_str("],\"optional\":false");
            if let Some(name) = &record.name {
                text.push_str(",\"name\":");
                push_string(&mut text, name);
            }
            push_version(&mut text, record.version);
            push_doc(&mut text, record.doc.as_deref());
            text.push('}');
        }
    }
    text
}

fn push_version(text: &mut String, version: Option<i32>) {
    if let Some(version) = version {
        text.push_str(&format!(",\"version\":{version}"));
    }
}

fn push_doc(text: &mut String, doc: Option<&str>) {
    if let Some(doc) = doc {
        text.push_str(",\"doc\":");
        push_string(text, doc);
    }
}

fn push_field(text: &mut String, field: &Field, is_named: bool) {
    let (name, logical) = match &field.field_type {
        FieldType::Boolean => ("boolean", None),
        FieldType::Int8 => ("int8", None),
        FieldType::Int16 => ("int16", None),
        FieldType::Int32 => ("int32", None),
        FieldType::Int64 => ("int64", None),
        FieldType::Float32 => ("float", None),
        FieldType::Float64 => ("double", None),
        FieldType::String => ("string", None),
        FieldType::Bytes => ("bytes", None),
        FieldType::Date => ("int32", Some("Date")),
        FieldType::Time => ("int32", Some("Time")),
        FieldType::Timestamp => ("int64", Some("Timestamp")),
        FieldType::Decimal { .. } => ("bytes", Some("Decimal")),
    };
    text.push_str(&format!("{{\"type\":\"{name}\",\"optional\":{}", field.optional));
    if let Some(logical) = logical {
        text.push_str(&format!(",\"name\":\"org.apache.kafka.connect.data.{logical}\",\"version\":1"));
    }
    push_doc(text, field.doc.as_deref());
    if let FieldType::Decimal { precision, scale } = &field.field_type {
        let precision = precision.map(|precision| format!(",\"connect.decimal.precision\":\"{precision}\""));
        text.push_str(&format!(",\"parameters\":{{\"scale\":\"{scale}\"{}}}", precision.unwrap_or_default()));
    }
    if is_named {
        text.push_str(",\"field\":");
        push_string(text, &field.name);
    }
    text.push('}');
}

#[cfg(test)]
mod tests {
    use super::super::samples::*;
    use super::*;
    use crate::error::ErrorKind;
    use crate::model::RecordSchema;

    fn encode(settings: &[(&str, &str)], schema: &Schema, row: &[Value<'_>]) -> Result<String> {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let converter = JsonConverter::new(&ConverterSpec { definition: &DEFINITION, settings })?;
        let (table, projection) = (definition(), (0..schema.fields().len()).collect::<Vec<_>>());
        let mut out = vec![b'>'];
        let outcome = converter.encoder(side(schema, &projection, &table)).unwrap().encode(row, &mut out);
        assert_eq!(outcome.is_err(), out == b">", "an error leaves no bytes");
        outcome.map(|()| String::from_utf8(out[1..].to_vec()).unwrap())
    }

    #[test]
    fn names_of_every_length_stand_before_their_values() {
        let names: Vec<String> = (1..80).map(|length| "n".repeat(length)).collect();
        let fields: Vec<Field> = names.iter().map(|name| field(name, FieldType::Int32, false)).collect();
        let row = vec![Value::Integer(7); fields.len()];
        let record = Schema::Record(RecordSchema { version: None, doc: None, name: None, fields });
        let expected: Vec<String> = names.iter().map(|name| format!("\"{name}\":7")).collect();
        assert_eq!(encode(OFF, &record, &row).unwrap(), format!("{{{}}}", expected.join(",")));
    }

    const OFF: &[(&str, &str)] = &[("schemas.enable", "false")];

    fn bare(field_type: FieldType, value: Value<'_>) -> String {
        encode(OFF, &key(field_type, false), &[value]).unwrap()
    }

    #[test]
    fn descriptions_stand_where_connect_writes_the_doc_of_a_schema() {
        let decimal = FieldType::Decimal { precision: None, scale: 2 };
        let fields = vec![Field { doc: Some("net".into()), ..field("price", decimal, true) }];
        let text = schema_text(&Schema::Record(RecordSchema {
            version: None,
            name: Some("t".into()),
            doc: Some("sales".into()),
            fields,
        }));
        assert_eq!(
            text,
            r#"{"type":"struct","fields":[{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,"doc":"net","parameters":{"scale":"2"},"field":"price"}],"optional":false,"name":"t","doc":"sales"}"#
        );
    }

    #[test]
    fn the_worked_examples_come_out_byte_for_byte() {
        let payload = r#"{"seq":1,"ts":1700000000123,"item":"apple","price":null,"category":"fruit"}"#;
        assert_eq!(encode(OFF, &test_table(), &test_table_row()).unwrap(), payload);
        let schema = r#"{"type":"struct","fields":[{"type":"int32","optional":false,"field":"seq"},{"type":"int64","optional":false,"name":"org.apache.kafka.connect.data.Timestamp","version":1,"field":"ts"},{"type":"string","optional":true,"field":"item"},{"type":"int32","optional":true,"field":"price"},{"type":"string","optional":true,"field":"category"}],"optional":false,"name":"test_table"}"#;
        assert_eq!(
            encode(&[], &test_table(), &test_table_row()).unwrap(),
            format!(r#"{{"schema":{schema},"payload":{payload}}}"#)
        );
        let decimal = FieldType::Decimal { precision: Some(10), scale: 2 };
        let fields = vec![field("dec", decimal, true)];
        let text = schema_text(&Schema::Record(RecordSchema { version: None, doc: None, name: None, fields }));
        let expected = r#"{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2","connect.decimal.precision":"10"},"field":"dec"}"#;
        assert_eq!(text, format!(r#"{{"type":"struct","fields":[{expected}],"optional":false}}"#));
    }

    #[test]
    fn values_look_as_jackson_writes_them() {
        let decimal = FieldType::Decimal { precision: Some(10), scale: 2 };
        assert_eq!(bare(FieldType::Int64, Value::Integer(i64::MIN)), "-9223372036854775808");
        assert_eq!(bare(FieldType::Float64, Value::Float64(1e10)), "1.0E10");
        assert_eq!(bare(FieldType::Float32, Value::Float32(0.1)), "0.1");
        assert_eq!(bare(FieldType::Float64, Value::Float64(f64::NAN)), "\"NaN\"");
        assert_eq!(
            bare(FieldType::String, Value::Text("a\"\\\n\u{1f}/é\u{2028}😀".into())),
            "\"a\\\"\\\\\\n\\u001F/é\u{2028}\\uD83D\\uDE00\""
        );
        assert_eq!(bare(FieldType::Bytes, Value::Bytes(vec![0, 0xff].into())), "\"AP8=\"");
        assert_eq!(bare(FieldType::Bytes, Value::Bytes(vec![].into())), "\"\"");
        assert_eq!(bare(decimal.clone(), Value::Decimal(vec![0x80].into())), "\"gA==\"");
        assert_eq!(bare(FieldType::Boolean, Value::Boolean(true)), "true");
        let numeric = [("schemas.enable", "false"), ("decimal.format", "numeric")];
        assert_eq!(encode(&numeric, &key(decimal, false), &[Value::Decimal(vec![0x80].into())]).unwrap(), "-1.28");
    }

    #[test]
    fn a_bare_null_is_the_word_null() {
        let optional = key(FieldType::String, true);
        assert_eq!(encode(OFF, &optional, &[Value::Null]).unwrap(), "null");
        let schema = r#"{"schema":{"type":"string","optional":true},"payload":null}"#;
        assert_eq!(encode(&[], &optional, &[Value::Null]).unwrap(), schema);
    }

    #[test]
    fn a_value_that_does_not_fit_names_its_field() {
        for (field_type, value) in [
            (FieldType::Int8, Value::Integer(128)),
            (FieldType::Time, Value::Integer(-1)),
            (FieldType::String, Value::Integer(1)),
            (FieldType::String, Value::Null),
        ] {
            let error = encode(OFF, &key(field_type, false), &[value]).unwrap_err();
            assert_eq!((error.kind(), error.context("field")), (ErrorKind::Value, Some("key")));
        }
        let error = encode(&[("decimal.format", "text")], &test_table(), &[]).unwrap_err();
        assert!(error.to_string().contains("decimal.format"), "{error}");
    }
}
