//! Converters of one bare primitive: a number in its big-endian bytes, a boolean in one byte, or bytes as they are
//! (`other-formats.md`, 2). None converts widths, as in Kafka Connect.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::options::OF_ALL;
use super::problem::{Problem, range_of};
use super::{Converter, ConverterDefinition, Decoder, Encoder, SchemaPreview, Side};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{FieldType, Value};

macro_rules! definition {
    ($name:ident, $short:literal, $class:literal, $doc:literal, $field_type:expr, $form:expr) => {
        /// A converter of one bare primitive.
        pub(super) static $name: ConverterDefinition = ConverterDefinition {
            name: $short,
            class: concat!("org.apache.kafka.connect.converters.", $class),
            doc: $doc,
            settings: &[OF_ALL],
            required: &[],
            has_descriptions: |_| false,
            create: |spec| {
                Ok(Arc::new(BareConverter { class: spec.definition.class, field_type: $field_type, form: $form }))
            },
            decoder: |_| Ok(Box::new(BareDecoder($form))),
        };
    };
}

definition!(LONG, "long", "LongConverter", "A column of type int64 in 8 bytes.", FieldType::Int64, Bare::Integer(8));
definition!(
    INTEGER,
    "integer",
    "IntegerConverter",
    "A column of type int32 in 4 bytes.",
    FieldType::Int32,
    Bare::Integer(4)
);
definition!(SHORT, "short", "ShortConverter", "A column of type int16 in 2 bytes.", FieldType::Int16, Bare::Integer(2));
definition!(
    DOUBLE,
    "double",
    "DoubleConverter",
    "A column of type float64 in 8 bytes.",
    FieldType::Float64,
    Bare::Double
);
definition!(FLOAT, "float", "FloatConverter", "A column of type float32 in 4 bytes.", FieldType::Float32, Bare::Float);
definition!(
    BOOLEAN,
    "boolean",
    "BooleanConverter",
    "A column of type boolean in a byte.",
    FieldType::Boolean,
    Bare::Boolean
);
definition!(BYTES, "bytes", "ByteArrayConverter", "A column of bytes as it is.", FieldType::Bytes, Bare::Bytes);

/// The form of a bare primitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bare {
    /// The lowest bytes of an integer, so many of them.
    Integer(usize),
    Double,
    Float,
    Boolean,
    Bytes,
}

/// A converter of one type.
struct BareConverter {
    class: &'static str,
    field_type: FieldType,
    form: Bare,
}

impl BareConverter {
    fn encoder(&self, side: Side<'_>) -> Result<BareEncoder> {
        let role = side.role.as_str();
        let wants = format!("{} writes one bare value of type {}", self.class, self.field_type);
        let refused = |what: String, advice: String| {
            Err(Error::config(format!("{wants}, and {what}")).with("table", &side.table.relation).advise(advice))
        };
        match (side.bare(), side.projection) {
            (Some(field), [index]) if field.field_type == self.field_type => Ok(BareEncoder {
                name: field.name.clone(),
                index: *index,
                is_optional: field.optional,
                range: range_of(&field.field_type),
                form: self.form,
            }),
            (Some(field), _) => refused(
                format!("column `{}` is of type {}", field.name, field.field_type),
                format!("use another {role}.converter, such as org.apache.kafka.connect.storage.StringConverter"),
            ),
            (None, _) if role == "key" => refused(
                "the key is a record".to_owned(),
                "set key.format=field with a key of one column, or use another key.converter".to_owned(),
            ),
            (None, _) => refused("values are records".to_owned(), "use another value.converter".to_owned()),
        }
    }
}

impl Converter for BareConverter {
    fn bind<'a>(&'a self, side: Side<'a>) -> BoxFuture<'a, Result<Arc<dyn Encoder>>> {
        Box::pin(async move { self.bind_sample(side) })
    }

    fn preview(&self, _: Side<'_>) -> Result<SchemaPreview> {
        Ok(SchemaPreview { subject: None, schema: None })
    }

    fn check<'a>(&'a self, side: Side<'a>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.encoder(side).map(drop) })
    }

    fn bind_sample(&self, side: Side<'_>) -> Result<Arc<dyn Encoder>> {
        Ok(Arc::new(self.encoder(side)?))
    }

    fn render_sample(&self, _: &SchemaPreview, bytes: &[u8]) -> Result<String> {
        text(self.form, bytes)
    }
}

struct BareEncoder {
    name: String,
    index: usize,
    is_optional: bool,
    range: (i64, i64),
    form: Bare,
}

impl BareEncoder {
    fn append(&self, value: Option<&Value<'_>>, out: &mut Vec<u8>) -> Result<(), Problem> {
        match (self.form, value) {
            (_, None) => return Err(Problem::Missing),
            (_, Some(Value::Null)) => return Err(Problem::Null),
            (Bare::Integer(width), Some(Value::Integer(integer))) => {
                if !(self.range.0..=self.range.1).contains(integer) {
                    return Err(Problem::Range);
                }
                let bytes = integer.to_be_bytes();
                out.extend_from_slice(&bytes[bytes.len() - width..]);
            }
            (Bare::Double, Some(Value::Float64(value))) => out.extend(value.to_be_bytes()),
            (Bare::Float, Some(Value::Float32(value))) => out.extend(value.to_be_bytes()),
            (Bare::Boolean, Some(Value::Boolean(value))) => out.push(u8::from(*value)),
            (Bare::Bytes, Some(Value::Bytes(bytes))) => out.extend_from_slice(bytes),
            _ => return Err(Problem::Type),
        }
        Ok(())
    }
}

impl Encoder for BareEncoder {
    fn encode(&self, row: &[Value<'_>], out: &mut Vec<u8>) -> Result<()> {
        self.append(row.get(self.index), out).map_err(|problem| problem.error(Some(&self.name)))
    }

    fn is_null(&self, row: &[Value<'_>]) -> bool {
        self.is_optional && row.get(self.index) == Some(&Value::Null)
    }
}

/// Prints bare primitives: numbers as such, bytes in base64.
struct BareDecoder(Bare);

impl Decoder for BareDecoder {
    fn decode<'a>(&'a self, bytes: &'a [u8]) -> BoxFuture<'a, Result<String>> {
        async { text(self.0, bytes) }.boxed()
    }
}

fn text(form: Bare, bytes: &[u8]) -> Result<String> {
    let text = match form {
        Bare::Bytes => Some(STANDARD.encode(bytes)),
        Bare::Integer(width) if bytes.len() == width => {
            let sign = if bytes.first().is_some_and(|byte| *byte >= 0x80) { -1 } else { 0 };
            Some(bytes.iter().fold(sign, |integer: i64, byte| (integer << 8) | i64::from(*byte)).to_string())
        }
        Bare::Double => bytes.try_into().ok().map(|bytes| f64::from_be_bytes(bytes).to_string()),
        Bare::Float => bytes.try_into().ok().map(|bytes| f32::from_be_bytes(bytes).to_string()),
        Bare::Boolean if bytes.len() == 1 => Some((bytes[0] != 0).to_string()),
        Bare::Integer(_) | Bare::Boolean => None,
    };
    text.ok_or_else(|| {
        Error::new(
            ErrorKind::Value,
            format!("the record has {} bytes, which is no value of the converter", bytes.len()),
        )
        .advise("the topic holds another format; name its converter by key.converter or value.converter")
    })
}

#[cfg(test)]
mod tests {
    use super::super::ConverterSpec;
    use super::super::samples::*;
    use super::*;

    fn converter(definition: &'static ConverterDefinition) -> Arc<dyn Converter> {
        ConverterSpec { definition, settings: Default::default() }.create().unwrap()
    }

    #[test]
    fn primitives_have_the_bytes_of_kafka_s_serializers() {
        let table = definition();
        let cases: &[(&'static ConverterDefinition, FieldType, Value<'_>, &str, &str)] = &[
            (&LONG, FieldType::Int64, Value::Integer(5), "0000000000000005", "5"),
            (&LONG, FieldType::Int64, Value::Integer(i64::MIN), "8000000000000000", "-9223372036854775808"),
            (&INTEGER, FieldType::Int32, Value::Integer(-2), "fffffffe", "-2"),
            (&SHORT, FieldType::Int16, Value::Integer(300), "012c", "300"),
            (&DOUBLE, FieldType::Float64, Value::Float64(-2.5), "c004000000000000", "-2.5"),
            (&FLOAT, FieldType::Float32, Value::Float32(1.5), "3fc00000", "1.5"),
            (&BOOLEAN, FieldType::Boolean, Value::Boolean(true), "01", "true"),
            (&BYTES, FieldType::Bytes, Value::Bytes(vec![0, 255].into()), "00ff", "AP8="),
        ];
        for (converter_of, field_type, value, hex, text) in cases {
            let (schema, converter) = (key(field_type.clone(), false), converter(converter_of));
            let encoder = converter.bind_sample(side(&schema, &[0], &table)).unwrap();
            let mut out = Vec::new();
            encoder.encode(std::slice::from_ref(value), &mut out).unwrap();
            assert_eq!(out, unhex(hex), "{}", converter_of.name);
            let preview = SchemaPreview { subject: None, schema: None };
            assert_eq!(converter.render_sample(&preview, &out).unwrap(), *text);
        }
    }

    #[test]
    fn another_type_or_a_record_is_refused_with_what_is_wanted() {
        let table = definition();
        for schema in [key(FieldType::Int32, false), test_table()] {
            let projection: Vec<usize> = (0..schema.fields().len()).collect();
            let error = converter(&LONG).bind_sample(side(&schema, &projection, &table)).err().unwrap();
            assert!(error.to_string().contains("one bare value of type int64"), "{error}");
        }
        let optional = key(FieldType::Int64, true);
        let encoder = converter(&LONG).bind_sample(side(&optional, &[0], &table)).unwrap();
        assert!(encoder.is_null(&[Value::Null]) && !encoder.is_null(&[Value::Integer(0)]));
    }
}
