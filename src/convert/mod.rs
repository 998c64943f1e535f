//! Converters: from a schema and values to the bytes of a key or value, and the registry that knows the
//! schemas. A converter is bound once per schema; encoding a row then looks nothing up and never awaits.
//!
//! To add one: a file here and a line in [`CONVERTERS`].

pub mod avro;
mod avro_encoder;
pub mod avro_schema;
mod avro_writer;
pub mod decode;
mod json_text;
#[cfg(test)]
mod properties;
pub mod registry;
#[cfg(test)]
mod samples;

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::config::spec::ConverterSpec;
use crate::error::{Error, Result};
use crate::model::{Schema, Value};

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

/// Makes encoders.
pub trait Converter: Send + Sync {
    /// Registers `schema` for the topic (or finds it, by the settings) and returns what encodes with it.
    /// `projection[i]` is the index, in the rows that will be encoded, of the schema's i-th field.
    ///
    /// # Errors
    /// `Registry` (may pass), `RegistryRefused`, `IncompatibleSchema`, `Auth`, `Config`.
    fn bind<'a>(
        &'a self,
        topic: &'a str,
        role: Role,
        schema: &'a Schema,
        projection: &'a [usize],
    ) -> BoxFuture<'a, Result<Arc<dyn Encoder>>>;

    /// What [`Converter::bind`] would register, without talking to anybody.
    ///
    /// # Errors
    /// `Config` if the schema cannot be expressed (a name Avro does not allow).
    fn preview(&self, topic: &str, role: Role, schema: &Schema) -> Result<SchemaPreview>;

    /// Asks the registry whether `bind` would succeed, without writing.
    ///
    /// # Errors
    /// As [`Converter::bind`].
    fn check<'a>(&'a self, topic: &'a str, role: Role, schema: &'a Schema) -> BoxFuture<'a, Result<()>>;

    /// An encoder of the same bytes as [`Converter::bind`]'s but for a schema id of 0, without talking to
    /// anybody: for `explain --sample`.
    ///
    /// # Errors
    /// As [`Converter::preview`].
    fn bind_sample(&self, schema: &Schema, projection: &[usize]) -> Result<Arc<dyn Encoder>> {
        let _ = (schema, projection);
        Err(Error::internal("this converter makes no samples"))
    }

    /// The text form of what an encoder of [`Converter::bind_sample`] wrote.
    ///
    /// # Errors
    /// `Value` if the bytes are not of the schema.
    fn render_sample(&self, preview: &SchemaPreview, bytes: &[u8]) -> Result<String> {
        let _ = (preview, bytes);
        Err(Error::internal("this converter makes no samples"))
    }
}

/// Encodes rows; bound to one schema.
pub trait Encoder: Send + Sync {
    /// Appends the bytes of one row to `out`.
    ///
    /// # Errors
    /// `Value`, with the field, if a value does not fit.
    fn encode(&self, row: &[Value<'_>], out: &mut Vec<u8>) -> Result<()>;

    /// Whether what would be encoded is null as a whole: one bare field that is null. It then travels as
    /// Kafka's null (a null key), not as bytes, and [`Encoder::encode`] is not called.
    fn is_null(&self, row: &[Value<'_>]) -> bool {
        let _ = row;
        false
    }
}

/// A schema as the registry would see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaPreview {
    /// The subject, or none if the format has no registry.
    pub subject: Option<String>,
    /// The schema's text.
    pub schema: String,
}

/// Makes a converter from its settings. Does not talk to anybody.
pub type ConverterFactory = fn(&ConverterSpec) -> Result<Arc<dyn Converter>>;

/// Every converter rowtide knows: the short name, the Java classes that mean it, and the factory.
pub static CONVERTERS: &[(&str, &[&str], ConverterFactory)] =
    &[("avro", &["io.confluent.connect.avro.AvroConverter"], avro::AvroConverter::create)];
