//! Records of topics as lines of text, each in the form that its converter prints.

use std::time::Duration;

use super::output;
use crate::config::spec::ConverterSpec;
use crate::convert::Decoder;
use crate::error::Result;
use crate::kafka::consumer::TopicRecord;

/// The parts of a line before the value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) topic: bool,
    pub(super) key: bool,
}

/// Records as lines: topic, key and value, with tabs between.
pub(super) struct Lines {
    keys: Box<dyn Decoder>,
    values: Box<dyn Decoder>,
    /// The registries, for messages about the time they take.
    key_registry: String,
    registry: String,
    timeout: Duration,
}

impl Lines {
    /// Contacts nobody.
    ///
    /// # Errors
    /// `Config`, with the setting of a converter that is wrong.
    pub(super) fn new(keys: &ConverterSpec, values: &ConverterSpec, timeout: Duration) -> Result<Self> {
        Ok(Self {
            keys: keys.decoder()?,
            values: values.decoder()?,
            key_registry: output::registry_of(keys),
            registry: output::registry_of(values),
            timeout,
        })
    }

    /// The line of a record, with its end.
    ///
    /// # Errors
    /// `Value` if the bytes are not of the format; those of the registry.
    pub(super) async fn line(&self, of: &TopicRecord, form: Form) -> Result<String> {
        let mut line = String::new();
        if form.topic {
            line.push_str(&of.topic);
            line.push('\t');
        }
        if form.key {
            line.push_str(&self.decoded(&*self.keys, &self.key_registry, of.record.key.as_deref()).await?);
            line.push('\t');
        }
        line.push_str(&self.decoded(&*self.values, &self.registry, of.record.value.as_deref()).await?);
        line.push('\n');
        Ok(line)
    }

    async fn decoded(&self, decoder: &dyn Decoder, registry: &str, bytes: Option<&[u8]>) -> Result<String> {
        match bytes {
            Some(bytes) => output::within(self.timeout, registry, decoder.decode(bytes)).await,
            None => Ok("null".to_owned()),
        }
    }
}
