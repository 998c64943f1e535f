//! Text as Kafka Connect's `StringConverter` writes it: `toString` of the value (`other-formats.md`, 2). It is meant for
//! keys and values of one column (`key.format=field`); a record becomes `Struct{a=1,b=x}`, its nulls left out.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::json_text::{push_double, push_float};
use super::options::{OF_ALL, setting};
use super::problem::{Problem, range_of};
use super::text::{Utf8, push_date, push_decimal, push_integer, push_time, push_timestamp};
use super::{Converter, ConverterDefinition, Decoder, Encoder, SchemaPreview, Side};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{FieldType, Value};
use crate::setting::{Allowed, Kind};

/// `org.apache.kafka.connect.storage.StringConverter`.
pub(super) static DEFINITION: ConverterDefinition = ConverterDefinition {
    name: "string",
    class: "org.apache.kafka.connect.storage.StringConverter",
    doc: "The text of a value, as Java prints it; times are in UTC.",
    settings: &[
        &[setting("value.converter.converter.encoding", Kind::Text, "The encoding of the text.")
            .or("UTF-8")
            .allow(Allowed::AnyCase(&["UTF-8", "UTF8"]))
            .differs("other encodings than UTF-8 are refused")],
        OF_ALL,
    ],
    required: &[],
    has_descriptions: |_| false,
    create: |_| Ok(Arc::new(StringConverter)),
    decoder: |_| Ok(Box::new(Utf8Decoder)),
};

/// Kafka Connect's text.
struct StringConverter;

impl StringConverter {
    fn encoder(side: Side<'_>) -> Result<StringEncoder> {
        let is_bare = side.bare().is_some();
        let mut ops = Vec::new();
        for (field, index) in side.fields()? {
            if field.field_type == FieldType::Bytes {
                let message = "StringConverter prints the address of bytes in memory instead of the bytes";
                return Err(Error::config(message)
                    .with("table", &side.table.relation)
                    .with("column", &field.name)
                    .advise(format!("use another {}.converter", side.role.as_str())));
            }
            let label = if is_bare { String::new() } else { format!("{}=", field.name) };
            ops.push(Op {
                label,
                name: field.name.clone(),
                index,
                is_optional: field.optional,
                field_type: field.field_type.clone(),
            });
        }
        let around = side.schema.hoists().0;
        let head = around.iter().map(|field| format!("Struct{{{field}=")).collect::<String>();
        let (head, tail) =
            (head + if is_bare { "" } else { "Struct{" }, "}".repeat(around.len() + usize::from(!is_bare)));
        Ok(StringEncoder { head, tail, ops })
    }
}

impl Converter for StringConverter {
    fn bind<'a>(&'a self, side: Side<'a>) -> BoxFuture<'a, Result<Arc<dyn Encoder>>> {
        Box::pin(async move { self.bind_sample(side) })
    }

    fn preview(&self, _: Side<'_>) -> Result<SchemaPreview> {
        Ok(SchemaPreview { subject: None, schema: None })
    }

    fn check<'a>(&'a self, side: Side<'a>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { Self::encoder(side).map(drop) })
    }

    fn bind_sample(&self, side: Side<'_>) -> Result<Arc<dyn Encoder>> {
        Ok(Arc::new(Self::encoder(side)?))
    }

    fn render_sample(&self, _: &SchemaPreview, bytes: &[u8]) -> Result<String> {
        Utf8Decoder::text(bytes)
    }
}

/// One field of the row.
struct Op {
    /// The name and `=`; empty for a bare value.
    label: String,
    name: String,
    index: usize,
    is_optional: bool,
    field_type: FieldType,
}

struct StringEncoder {
    /// The texts around the fields of a record.
    head: String,
    tail: String,
    ops: Vec<Op>,
}

impl StringEncoder {
    fn encode_row<'s>(&'s self, row: &[Value<'_>], out: &mut Vec<u8>) -> Result<(), (&'s str, Problem)> {
        out.extend_from_slice(self.head.as_bytes());
        let mut is_first = true;
        for op in &self.ops {
            match row.get(op.index) {
                None => return Err((&op.name, Problem::Missing)),
                Some(Value::Null) if op.is_optional => continue,
                Some(Value::Null) => return Err((&op.name, Problem::Null)),
                Some(value) => {
                    if !std::mem::take(&mut is_first) {
                        out.push(b',');
                    }
                    out.extend_from_slice(op.label.as_bytes());
                    append(&op.field_type, value, out).map_err(|problem| (op.name.as_str(), problem))?;
                }
            }
        }
        out.extend_from_slice(self.tail.as_bytes());
        Ok(())
    }
}

/// The text of a value as Java's `toString` gives it; none for bytes, for what is not of its type, and for times that no
/// calendar here holds.
pub fn java_text(field_type: &FieldType, value: &Value<'_>) -> Option<String> {
    let mut out = Vec::new();
    append(field_type, value, &mut out).ok()?;
    String::from_utf8(out).ok()
}

/// Appends what [`java_text`] gives; none, with perhaps a part of it appended, where that gives none.
pub fn push_java_text(field_type: &FieldType, value: &Value<'_>, out: &mut Vec<u8>) -> Option<()> {
    append(field_type, value, out).ok()
}

fn append(field_type: &FieldType, value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    match (field_type, value) {
        (FieldType::String, Value::Text(text)) => out.extend_from_slice(text.as_bytes()),
        (FieldType::Boolean, Value::Boolean(true)) => out.extend_from_slice(b"true"),
        (FieldType::Boolean, Value::Boolean(false)) => out.extend_from_slice(b"false"),
        (FieldType::Float32, Value::Float32(value)) => push_float(&mut Utf8(out), *value),
        (FieldType::Float64, Value::Float64(value)) => push_double(&mut Utf8(out), *value),
        (FieldType::Decimal { scale, .. }, Value::Decimal(unscaled)) => push_decimal(out, unscaled, *scale),
        (
            FieldType::Boolean
            | FieldType::String
            | FieldType::Bytes
            | FieldType::Float32
            | FieldType::Float64
            | FieldType::Decimal { .. },
            _,
        ) => return Err(Problem::Type),
        (integer, Value::Integer(value)) => {
            let (min, max) = range_of(integer);
            if !(min..=max).contains(value) {
                return Err(Problem::Range);
            }
            match integer {
                FieldType::Date => push_date(out, *value).ok_or(Problem::Range)?,
                FieldType::Timestamp => push_timestamp(out, *value).ok_or(Problem::Range)?,
                FieldType::Time => push_time(out, *value),
                _ => push_integer(out, *value),
            }
        }
        _ => return Err(Problem::Type),
    }
    Ok(())
}

impl Encoder for StringEncoder {
    fn encode(&self, row: &[Value<'_>], out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        self.encode_row(row, out).map_err(|(name, problem)| {
            out.truncate(start);
            problem.error(Some(name))
        })
    }

    fn is_null(&self, row: &[Value<'_>]) -> bool {
        let only = self.ops.first().filter(|op| self.tail.is_empty() && op.is_optional);
        only.is_some_and(|op| row.get(op.index) == Some(&Value::Null))
    }
}

/// The decoder of formats that are text already.
pub(super) struct Utf8Decoder;

impl Utf8Decoder {
    /// The bytes as text.
    ///
    /// # Errors
    /// `Value` if they are not UTF-8.
    pub(super) fn text(bytes: &[u8]) -> Result<String> {
        let text = std::str::from_utf8(bytes).map_err(|_| {
            Error::new(ErrorKind::Value, "the record is not text in UTF-8")
                .advise("the topic holds another format; name its converter by key.converter or value.converter")
        })?;
        Ok(text.to_owned())
    }
}

impl Decoder for Utf8Decoder {
    fn decode<'a>(&'a self, bytes: &'a [u8]) -> BoxFuture<'a, Result<String>> {
        async { Self::text(bytes) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::*;
    use super::*;
    use crate::model::Schema;

    fn encode(schema: &Schema, row: &[Value<'_>]) -> String {
        let (table, projection) = (definition(), (0..schema.fields().len()).collect::<Vec<_>>());
        let mut out = Vec::new();
        StringConverter::encoder(side(schema, &projection, &table)).unwrap().encode(row, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_bare_value_is_its_text() {
        for (field_type, value, expected) in [
            (FieldType::Int32, Value::Integer(5), "5"),
            (FieldType::String, Value::Text("é\n".into()), "é\n"),
            (FieldType::Float64, Value::Float64(1e10), "1.0E10"),
            (FieldType::Float64, Value::Float64(f64::NEG_INFINITY), "-Infinity"),
            (FieldType::Boolean, Value::Boolean(false), "false"),
            (FieldType::Decimal { precision: None, scale: 2 }, Value::Decimal(vec![0x78].into()), "1.20"),
            (FieldType::Timestamp, Value::Integer(1_700_000_000_123), "2023-11-14 22:13:20.123"),
            (FieldType::Date, Value::Integer(19_675), "2023-11-14"),
            (FieldType::Time, Value::Integer(3_723_004), "01:02:03"),
        ] {
            assert_eq!(encode(&key(field_type, false), &[value]), expected);
        }
    }

    #[test]
    fn a_record_is_a_struct_without_its_nulls() {
        let expected = "Struct{seq=1,ts=2023-11-14 22:13:20.123,item=apple,category=fruit}";
        assert_eq!(encode(&test_table(), &test_table_row()), expected);
        let hoisted = Schema::Hoisted { field: "row".to_owned(), record: Box::new(test_table()) };
        assert_eq!(encode(&hoisted, &test_table_row()), format!("Struct{{row={expected}}}"));
    }

    #[test]
    fn bytes_are_refused_and_a_bare_null_is_none() {
        let table = definition();
        let error = StringConverter::encoder(side(&key(FieldType::Bytes, false), &[0], &table)).err().unwrap();
        assert_eq!((error.kind(), error.context("column")), (ErrorKind::Config, Some("key")));
        let optional = key(FieldType::Int32, true);
        let encoder = StringConverter::encoder(side(&optional, &[0], &table)).unwrap();
        assert!(encoder.is_null(&[Value::Null]) && !encoder.is_null(&[Value::Integer(1)]));
    }
}
