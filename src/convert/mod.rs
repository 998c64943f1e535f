//! Converters: from a schema and values to the bytes of a record's key or value (Kafka Connect's `Converter`). A converter
//! is bound once per schema; encoding a row then looks nothing up and never awaits.
//!
//! To add one: a file here with its [`ConverterDefinition`], and a line in [`CONVERTERS`]. Configuration, `check`,
//! `explain`, `consume` and the reference page read that table.

pub mod avro;
mod bound;
mod canal_json;
mod debezium_json;
mod envelope;
mod java_map;
mod json;
mod json_schema;
pub(crate) mod json_text;
mod options;
mod primitive;
mod problem;
pub(crate) mod protobuf;
mod registered;
pub mod registry;
#[cfg(test)]
mod samples;
mod simple_header;
mod string;
mod subjects;
mod text;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;

pub use self::avro::registered::RegisteredFields;
use crate::error::{Error, Result};
use crate::model::{Field, Schema, TableDefinition, Value};
use crate::setting::KeyDefinition;

pub use self::simple_header::values_text;
pub use self::string::{java_text, push_java_text};

/// The key or the value of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The key.
    Key,
    /// The value.
    Value,
}

impl Role {
    /// `key` or `value`, as in subject names.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Key => "key",
            Role::Value => "value",
        }
    }
}

/// A converter and its settings (`key.converter`, `value.converter`).
#[derive(Clone)]
pub struct ConverterSpec {
    /// The converter.
    pub definition: &'static ConverterDefinition,
    /// Its settings, prefix stripped (`schema.registry.url`, `schemas.enable`, ...).
    pub settings: BTreeMap<String, String>,
}

impl ConverterSpec {
    /// True if its schemas hold descriptions.
    pub fn has_descriptions(&self) -> bool {
        (self.definition.has_descriptions)(self)
    }

    /// The converter, made from its settings. Talks to nobody.
    ///
    /// # Errors
    /// `Config`, with the setting that is wrong.
    pub fn create(&self) -> Result<Arc<dyn Converter>> {
        (self.definition.create)(self)
    }

    /// The decoder of the converter's bytes. Contacts nobody.
    ///
    /// # Errors
    /// `Config`, with the setting that is wrong.
    pub fn decoder(&self) -> Result<Box<dyn Decoder>> {
        (self.definition.decoder)(self)
    }
}

/// An entry of the table of converters.
#[derive(Debug)]
pub struct ConverterDefinition {
    /// The short name, for messages and documentation.
    pub name: &'static str,
    /// The Java class that it stands for.
    pub class: &'static str,
    /// The reference page's sentence about it.
    pub doc: &'static str,
    /// Its settings, under `value.converter.`; under `key.converter.` they are the same. Converters share them by groups.
    pub settings: &'static [&'static [KeyDefinition]],
    /// Settings that must be given, prefix stripped, each with the reason.
    pub required: &'static [(&'static str, &'static str)],
    /// True if with these settings its schemas hold descriptions (`schema.doc`).
    pub has_descriptions: fn(&ConverterSpec) -> bool,
    /// The constructor.
    pub create: fn(&ConverterSpec) -> Result<Arc<dyn Converter>>,
    /// The constructor of the decoder.
    pub decoder: fn(&ConverterSpec) -> Result<Box<dyn Decoder>>,
}

impl ConverterDefinition {
    /// True if a configured class means this converter: the full name, Kafka Connect's aliases for it (`JsonConverter`,
    /// `Json`), or the short name.
    pub fn is_meant_by(&self, class: &str) -> bool {
        let simple = self.class.rsplit('.').next().unwrap_or_default();
        [self.class, simple, simple.trim_end_matches("Converter"), self.name].contains(&class)
    }

    /// Its definition of a setting, by the name without prefix.
    pub fn setting(&self, name: &str) -> Option<&'static KeyDefinition> {
        let full = format!("value.converter.{name}");
        let settings = || self.settings.iter().copied().flatten();
        let named = settings().find(|definition| definition.name == full);
        named.or_else(|| {
            let is_of =
                |definition: &&KeyDefinition| definition.family().is_some_and(|family| full.starts_with(family));
            settings().filter(is_of).max_by_key(|definition| definition.name.len())
        })
    }
}

/// The converters there are, the default first.
pub static CONVERTERS: &[&ConverterDefinition] = &[
    &avro::DEFINITION,
    &json::DEFINITION,
    &string::DEFINITION,
    &json_schema::DEFINITION,
    &protobuf::DEFINITION,
    &canal_json::DEFINITION,
    &debezium_json::DEFINITION,
    &primitive::BYTES,
    &primitive::LONG,
    &primitive::INTEGER,
    &primitive::SHORT,
    &primitive::DOUBLE,
    &primitive::FLOAT,
    &primitive::BOOLEAN,
];

/// The groups of the converters' settings, each once, with the first converter that has it.
pub fn setting_groups() -> Vec<(&'static ConverterDefinition, &'static [KeyDefinition])> {
    let mut groups: Vec<(&'static ConverterDefinition, &'static [KeyDefinition])> = Vec::new();
    for converter in CONVERTERS.iter().copied() {
        for group in converter.settings.iter().copied() {
            let is_known = |(_, known): &(_, &[KeyDefinition])| known[0].name == group[0].name;
            if !groups.iter().any(is_known) {
                groups.push((converter, group));
            }
        }
    }
    groups
}

/// The converters that headers can have, the default first.
pub static HEADER_CONVERTERS: &[&ConverterDefinition] = &[
    &simple_header::DEFINITION,
    &json::DEFINITION,
    &string::DEFINITION,
    &primitive::BYTES,
    &primitive::LONG,
    &primitive::INTEGER,
    &primitive::SHORT,
    &primitive::DOUBLE,
    &primitive::FLOAT,
    &primitive::BOOLEAN,
];

/// The converter of a table that a configured class means.
pub fn converter_of(table: &[&'static ConverterDefinition], class: &str) -> Option<&'static ConverterDefinition> {
    table.iter().copied().find(|definition| definition.is_meant_by(class))
}

/// One side of a table's records, as far as it is known before the first row.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The topic of the records.
    pub topic: &'a str,
    /// Key or value.
    pub role: Role,
    /// The schema of this side.
    pub schema: &'a Schema,
    /// The index of each field of the schema in the rows that are encoded.
    pub projection: &'a [usize],
    /// The table or query: its name, its primary key, and the database's types of its columns.
    pub table: &'a TableDefinition,
}

impl<'a> Side<'a> {
    /// The fields, each with its index in the rows.
    ///
    /// # Errors
    /// `Internal` if the projection does not cover the schema.
    pub fn fields(self) -> Result<Vec<(&'a Field, usize)>> {
        let fields = self.schema.fields();
        if fields.len() != self.projection.len() {
            return Err(Error::internal("the projection does not cover the schema"));
        }
        Ok(fields.iter().zip(self.projection.iter().copied()).collect())
    }

    /// The only field of a bare key or value; none for a record.
    pub fn bare(self) -> Option<&'a Field> {
        if let Schema::Field(field) = self.schema { Some(field) } else { None }
    }

    /// Refuses records in records, for a format that does not write them.
    ///
    /// # Errors
    /// `Config`.
    fn flat(self, format: &str) -> Result<()> {
        if let Schema::Hoisted { .. } = self.schema {
            return Err(Error::config(format!("{format} does not write records in records (HoistField)"))
                .with("table", &self.table.relation)
                .advise("leave HoistField out, or use JsonConverter, AvroConverter or StringConverter"));
        }
        Ok(())
    }
}

/// Makes encoders.
pub trait Converter: Send + Sync {
    /// The encoder of one side of a table's records. Registers its schema, or finds it, where the format has a registry.
    ///
    /// # Errors
    /// `Registry` (may pass), `RegistryRefused`, `IncompatibleSchema`, `Auth`, `Config`.
    fn bind<'a>(&'a self, side: Side<'a>) -> BoxFuture<'a, Result<Arc<dyn Encoder>>>;

    /// The schema that [`Converter::bind`] would register. Talks to nobody.
    ///
    /// # Errors
    /// `Config` if the format cannot express the schema.
    fn preview(&self, side: Side<'_>) -> Result<SchemaPreview>;

    /// Asks the registry whether `bind` would succeed, without writing.
    ///
    /// # Errors
    /// As [`Converter::bind`].
    fn check<'a>(&'a self, side: Side<'a>) -> BoxFuture<'a, Result<()>>;

    /// The newest schema under the subject that [`Converter::bind`] would write to; none if the format has no registry.
    ///
    /// # Errors
    /// `Registry` (may pass), `Auth`, `RegistryRefused`.
    fn registered<'a>(&'a self, side: Side<'a>) -> BoxFuture<'a, Result<Option<RegisteredFields>>> {
        let _ = side;
        Box::pin(async { Ok(None) })
    }

    /// An encoder of the same bytes as [`Converter::bind`]'s but for a schema id of 0, for `explain --sample`. Talks to
    /// nobody.
    ///
    /// # Errors
    /// As [`Converter::preview`].
    fn bind_sample(&self, side: Side<'_>) -> Result<Arc<dyn Encoder>>;

    /// True if a header that is a list or a map is written as its text (`Values.convertToString`).
    fn has_texts_of_structures(&self) -> bool {
        false
    }

    /// The text form of bytes that an encoder of [`Converter::bind_sample`] wrote.
    ///
    /// # Errors
    /// `Value` if the bytes are not of the schema.
    fn render_sample(&self, preview: &SchemaPreview, bytes: &[u8]) -> Result<String>;
}

/// The change that a record tells, for formats that have an envelope around the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Its kind.
    pub operation: Operation,
    /// The timestamp of the row's cursor in milliseconds since the epoch; none in a mode without.
    pub changed_at: Option<i64>,
    /// The time the row was read, in milliseconds since the epoch.
    pub read_at: i64,
}

/// The kind of a change. Polling cannot tell an update from an insert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A row of a table that is read as a whole (`mode=bulk`).
    Read,
    /// A row that is new or has changed.
    Upsert,
    /// A row that is flagged as deleted (`delete.mode=soft`).
    Delete,
}

/// Encodes rows; bound to one schema.
pub trait Encoder: Send + Sync {
    /// Appends the bytes of one row to `out`.
    ///
    /// # Errors
    /// `Value`, with the field, if a value does not fit; `out` is then as before.
    fn encode(&self, row: &[Value<'_>], out: &mut Vec<u8>) -> Result<()>;

    /// Appends the bytes of a change. Formats without an envelope have the row alone.
    ///
    /// # Errors
    /// As [`Encoder::encode`].
    fn encode_change(&self, change: Change, row: &[Value<'_>], out: &mut Vec<u8>) -> Result<()> {
        let _ = change;
        self.encode(row, out)
    }

    /// True if the format has an envelope that tells the change (canal-json, Debezium): a deleted row has a value then.
    fn has_envelope(&self) -> bool {
        false
    }

    /// True if the row's side is Kafka's null (a null key) instead of bytes; [`Encoder::encode`] is not called then.
    fn is_null(&self, row: &[Value<'_>]) -> bool {
        let _ = row;
        false
    }
}

/// Makes text of records, for `rowtide consume`.
pub trait Decoder: Send + Sync {
    /// The text of a key or value on one line, JSON where the format has a structure.
    ///
    /// # Errors
    /// `Value` if the bytes are not of the format; those of the registry.
    fn decode<'a>(&'a self, bytes: &'a [u8]) -> BoxFuture<'a, Result<String>>;
}

/// A schema as a consumer or the registry would see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaPreview {
    /// The subject; none if the format has no registry.
    pub subject: Option<String>,
    /// The schema's text; none if the format has no schema.
    pub schema: Option<String>,
}
