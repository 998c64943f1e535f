//! The formats of schemas: Avro, JSON Schema and Protobuf. What a text must be, when two texts are one schema, and whether
//! data of one schema can be read by another, by the rules of Confluent's registry. Pure.

use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;
use serde_json::Value;

use super::json_schema;
use crate::convert::protobuf;

/// A format, `schemaType` in requests and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Avro,
    Json,
    Protobuf,
}

impl Format {
    /// All of them, with their words.
    pub(super) const ALL: [(&'static str, Self); 3] =
        [("JSON", Self::Json), ("PROTOBUF", Self::Protobuf), ("AVRO", Self::Avro)];

    /// The format of a word; Avro where there is none.
    pub(super) fn of(word: Option<&str>) -> Option<Self> {
        let Some(word) = word else { return Some(Self::Avro) };
        Self::ALL.iter().find(|(known, _)| *known == word).map(|(_, format)| *format)
    }

    pub(super) fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, format)| *format == self).map_or("AVRO", |(word, _)| word)
    }
}

/// A schema that has been read.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) format: Format,
    pub(super) text: String,
    /// Two schemas of one format are the same if this is.
    canonical: Value,
    /// For Avro: without logical types, which compatibility is not about and apache-avro's check trips over.
    avro: Option<Schema>,
}

impl Parsed {
    /// Reads a schema.
    ///
    /// # Errors
    /// The reason why it is none.
    pub(super) fn of(format: Format, text: &str) -> Result<Self, String> {
        let (canonical, avro) = match format {
            Format::Avro => {
                // A bare type name without quotes is a schema too.
                let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.trim().to_owned()));
                Schema::parse(&value).map_err(|error| error.to_string())?;
                let physical = Schema::parse(&without_logical_types(&value)).map_err(|error| error.to_string())?;
                (canonical(value), Some(physical))
            }
            Format::Json => {
                let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
                if !value.is_object() && !value.is_boolean() {
                    return Err("a JSON Schema is an object, true or false".to_owned());
                }
                (value, None)
            }
            Format::Protobuf => {
                protobuf::check_text(text).map_err(|error| error.to_string())?;
                // Blanks and line breaks between words mean nothing.
                (Value::String(text.split_whitespace().collect::<Vec<_>>().join(" ")), None)
            }
        };
        Ok(Self { format, text: text.to_owned(), canonical, avro })
    }

    /// True if both are one schema.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.format == other.format && self.canonical == other.canonical
    }

    /// The reason why data of this schema cannot be read by another; none if it can.
    pub(super) fn unreadable_by(&self, reader: &Self) -> Option<String> {
        if self.format != reader.format {
            return Some(format!(
                "one is of type {}, the other of type {}",
                self.format.as_str(),
                reader.format.as_str()
            ));
        }
        match (&self.avro, &reader.avro) {
            (Some(writer), Some(reader)) => {
                SchemaCompatibility::can_read(writer, reader).err().map(|error| error.to_string())
            }
            _ if self.format == Format::Json => json_schema::unreadable(&self.canonical, &reader.canonical, "#"),
            _ => protobuf::unreadable(&self.text, &reader.text).unwrap_or_else(|error| Some(error.to_string())),
        }
    }
}

/// `{"type":"string"}` is `"string"`; the order of attributes does not count, serde_json compares maps as sets.
fn canonical(value: Value) -> Value {
    match value {
        Value::Object(object) if object.len() == 1 && object.get("type").is_some_and(Value::is_string) => {
            object.into_iter().next().map_or(Value::Null, |(_, name)| name)
        }
        Value::Object(object) => {
            let keep = |name: &str| name == "default" || name.starts_with("connect.");
            let members = object.into_iter().map(|(name, member)| {
                let member = if keep(&name) { member } else { canonical(member) };
                (name, member)
            });
            Value::Object(members.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(canonical).collect()),
        other => other,
    }
}

fn without_logical_types(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let kept = object.iter().filter(|(name, _)| *name != "logicalType");
            let members = kept.map(|(name, member)| {
                let member = if name == "default" { member.clone() } else { without_logical_types(member) };
                (name.clone(), member)
            });
            Value::Object(members.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_logical_types).collect()),
        other => other.clone(),
    }
}
