//! Headers as Kafka Connect's `SimpleHeaderConverter` writes them: the text of the value (`other-formats.md`, 2).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use futures_util::future::BoxFuture;

use super::options::OF_ALL;
use super::problem::Problem;
use super::string::{Utf8Decoder, java_text};
use super::{Converter, ConverterDefinition, Encoder, SchemaPreview, Side};
use crate::error::{Error, Result};
use crate::model::{FieldType, Value};

const DAY: i64 = 86_400_000;

/// `org.apache.kafka.connect.storage.SimpleHeaderConverter`.
pub(super) static DEFINITION: ConverterDefinition = ConverterDefinition {
    name: "simple-header",
    class: "org.apache.kafka.connect.storage.SimpleHeaderConverter",
    doc: "The text of a header's value; times by their value, in UTC.",
    settings: &[OF_ALL],
    required: &[],
    has_descriptions: |_| false,
    create: |_| Ok(Arc::new(SimpleHeaderConverter)),
    decoder: |_| Ok(Box::new(Utf8Decoder)),
};

struct SimpleHeaderConverter;

impl Converter for SimpleHeaderConverter {
    fn bind<'a>(&'a self, side: Side<'a>) -> BoxFuture<'a, Result<Arc<dyn Encoder>>> {
        Box::pin(async move { self.bind_sample(side) })
    }

    fn preview(&self, _: Side<'_>) -> Result<SchemaPreview> {
        Ok(SchemaPreview { subject: None, schema: None })
    }

    fn check<'a>(&'a self, side: Side<'a>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.bind_sample(side).map(drop) })
    }

    fn bind_sample(&self, side: Side<'_>) -> Result<Arc<dyn Encoder>> {
        let field = side.bare().ok_or_else(|| Error::internal("a header is no record"))?;
        let [index] = side.projection else { return Err(Error::internal("a header is one value")) };
        Ok(Arc::new(TextEncoder { name: field.name.clone(), field_type: field.field_type.clone(), index: *index }))
    }

    fn has_texts_of_structures(&self) -> bool {
        true
    }

    fn render_sample(&self, _: &SchemaPreview, bytes: &[u8]) -> Result<String> {
        Utf8Decoder::text(bytes)
    }
}

struct TextEncoder {
    name: String,
    field_type: FieldType,
    index: usize,
}

impl Encoder for TextEncoder {
    fn encode(&self, row: &[Value<'_>], out: &mut Vec<u8>) -> Result<()> {
        let value = row.get(self.index).ok_or_else(|| Problem::Missing.error(Some(&self.name)))?;
        let text = values_text(&self.field_type, value).ok_or_else(|| Problem::Type.error(Some(&self.name)))?;
        out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn is_null(&self, row: &[Value<'_>]) -> bool {
        row.get(self.index) == Some(&Value::Null)
    }
}

/// The text of a value as Kafka Connect's `Values.convertToString` gives it, which `Cast` uses, too: bytes in base64, times by
/// their value (`Values.dateFormatFor`) in UTC. None for what is not of its type, and for times that no calendar here holds.
pub fn values_text(field_type: &FieldType, value: &Value<'_>) -> Option<String> {
    match (field_type, value) {
        (FieldType::Bytes, Value::Bytes(bytes)) => Some(STANDARD.encode(bytes)),
        (FieldType::Date, Value::Integer(days)) => date_text(days.checked_mul(DAY)?),
        (FieldType::Time | FieldType::Timestamp, Value::Integer(millis)) => date_text(*millis),
        _ => java_text(field_type, value),
    }
}

fn date_text(millis: i64) -> Option<String> {
    let format = match millis {
        _ if millis < DAY => "%H:%M:%S%.3fZ",
        _ if millis % DAY == 0 => "%Y-%m-%d",
        _ => "%Y-%m-%dT%H:%M:%S%.3fZ",
    };
    Some(DateTime::from_timestamp_millis(millis)?.format(format).to_string())
}
