//! The Avro converter: writes schemas and rows as Kafka Connect's AvroConverter does, so that subjects
//! and topics can change hands. Binding talks to the registry once per schema; encoding never does.

pub mod decode;
mod encoder;
#[cfg(test)]
mod properties;
pub mod registered;
pub mod schema;
mod settings;
pub(super) mod writer;

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use self::decode::{AvroDecoder, decode_with};
use self::encoder::AvroEncoder;
use self::registered::RegisteredFields;
use self::schema::{AvroSchema, SchemaStyle};
use self::writer::{Source, find_record};
use super::bound::BoundEncoders;
use super::options::{OF_ALL, Options};
use super::registry::{Registered, Registry, SchemaKind, keys};
use super::subjects::{Choice, Subjects, not_registered};
use super::{Converter, ConverterDefinition, ConverterSpec, Decoder, Encoder, SchemaPreview, Side};
use crate::error::{Error, Result};

/// `io.confluent.connect.avro.AvroConverter`.
pub(super) static DEFINITION: ConverterDefinition = ConverterDefinition {
    name: "avro",
    class: "io.confluent.connect.avro.AvroConverter",
    doc: "Avro with schemas of a schema registry.",
    settings: &[keys::REGISTRY, keys::DATA, keys::NAMES, settings::KEYS, OF_ALL],
    required: &[("schema.registry.url", "Avro needs a schema registry")],
    has_descriptions: |_| true,
    create: |spec| Ok(Arc::new(AvroConverter::new(spec)?)),
    decoder: |spec| {
        let decoder: Box<dyn Decoder> = Box::new(AvroDecoder::new(spec)?);
        Ok(decoder)
    },
};

/// Encodes with schemas of a registry, in the wire format with a prefix.
pub struct AvroConverter {
    registry: Registry,
    style: SchemaStyle,
    choice: Choice,
    /// `latest.compatibility.strict`, or `id.compatibility.strict`.
    strict: bool,
    subjects: Subjects,
    bound: BoundEncoders,
}

impl fmt::Debug for AvroConverter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AvroConverter")
            .field("registry", &self.registry)
            .field("choice", &self.choice)
            .finish_non_exhaustive()
    }
}

impl AvroConverter {
    fn new(spec: &ConverterSpec) -> Result<Self> {
        let options = Options(&spec.settings);
        let choice = Choice::parse(options)?;
        Ok(Self {
            registry: Registry::create(&spec.settings, SchemaKind::Avro)?,
            style: SchemaStyle {
                connect_meta: options.flag("connect.meta.data", true)?,
                scrub: options.flag("scrub.invalid.names", false)?,
            },
            choice,
            strict: choice.is_strict(options)?,
            subjects: Subjects::parse(options)?,
            bound: BoundEncoders::default(),
        })
    }

    /// The schema of a side, and its subject.
    fn described(&self, side: Side<'_>) -> Result<(AvroSchema, String)> {
        let avro = AvroSchema::write(side.schema, self.style).map_err(|error| error.with("topic", side.topic))?;
        let subject = self.subjects.name(side.topic, side.role, avro.full_name.as_deref())?;
        Ok((avro, subject))
    }

    async fn bind_anew(&self, side: Side<'_>) -> Result<AvroEncoder> {
        let (avro, subject) = self.described(side)?;
        let source = Source { schema: side.schema, avro: &avro, projection: side.projection };
        if self.choice == Choice::Register {
            let id = self.registry.register(&subject, &avro.text).await?;
            return source.bind(id);
        }
        self.bind_existing(&subject, source).await
    }

    /// Binds to a schema that the registry has, by any choice but `Register`.
    async fn bind_existing(&self, subject: &str, source: Source<'_>) -> Result<AvroEncoder> {
        let fetched: Option<Registered> = match self.choice {
            Choice::Register | Choice::Lookup => {
                let id = self.registry.lookup(subject, &source.avro.text).await?;
                return source.bind(id.ok_or_else(|| not_registered(subject))?);
            }
            Choice::Latest => self.registry.latest(subject).await?,
            Choice::Pinned(id) => Some(self.registry.pinned(subject, id).await?),
        };
        let fetched = fetched.ok_or_else(|| not_registered(subject))?;
        source
            .bind_to(fetched.id, &fetched.schema, self.strict)
            .map_err(|error| error.with("subject", subject).with("schema id", fetched.id))
    }
}

impl Converter for AvroConverter {
    fn bind<'a>(&'a self, side: Side<'a>) -> BoxFuture<'a, Result<Arc<dyn Encoder>>> {
        Box::pin(async move {
            if let Some(encoder) = self.bound.get(side) {
                return Ok(encoder);
            }
            let encoder: Arc<dyn Encoder> = Arc::new(self.bind_anew(side).await?);
            self.bound.keep(side, &encoder);
            Ok(encoder)
        })
    }

    fn preview(&self, side: Side<'_>) -> Result<SchemaPreview> {
        let (avro, subject) = self.described(side)?;
        Ok(SchemaPreview { subject: Some(subject), schema: Some(avro.text) })
    }

    fn check<'a>(&'a self, side: Side<'a>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let (avro, subject) = self.described(side)?;
            if self.choice == Choice::Register {
                return self.registry.check(&subject, &avro.text).await;
            }
            let source = Source { schema: side.schema, avro: &avro, projection: side.projection };
            self.bind_existing(&subject, source).await.map(|_| ())
        })
    }

    fn registered<'a>(&'a self, side: Side<'a>) -> BoxFuture<'a, Result<Option<RegisteredFields>>> {
        Box::pin(async move {
            let avro = AvroSchema::write(side.schema, self.style).map_err(|error| error.with("topic", side.topic))?;
            let subject = self.subjects.name(side.topic, side.role, avro.full_name.as_deref())?;
            let (place, text) = match self.choice {
                Choice::Pinned(id) => (
                    format!("schema id {id} of subject {subject}"),
                    Some(self.registry.pinned(&subject, id).await?.schema),
                ),
                Choice::Register | Choice::Lookup | Choice::Latest => match self.registry.newest(&subject).await? {
                    Some((version, text)) => (format!("subject {subject} version {version}"), Some(text)),
                    None => (format!("subject {subject}"), None),
                },
            };
            let fields = text.and_then(|text| fields_of(&text));
            Ok(Some(RegisteredFields { place, fields, style: self.style }))
        })
    }

    fn bind_sample(&self, side: Side<'_>) -> Result<Arc<dyn Encoder>> {
        let avro = AvroSchema::write(side.schema, self.style)?;
        Ok(Arc::new(Source { schema: side.schema, avro: &avro, projection: side.projection }.bind(0)?))
    }

    fn render_sample(&self, preview: &SchemaPreview, bytes: &[u8]) -> Result<String> {
        let schema = preview.schema.as_deref().ok_or_else(|| Error::internal("an Avro record has a schema"))?;
        decode_with(schema, bytes)
    }
}

/// Names and types of the fields of a record's schema; none of anything else.
fn fields_of(schema: &str) -> Option<Vec<(String, serde_json::Value)>> {
    let root = serde_json::from_str(schema).ok()?;
    let (_, fields) = find_record(&root).ok()?;
    let named = |field: &serde_json::Value| Some((field.get("name")?.as_str()?.to_owned(), field.get("type")?.clone()));
    Some(fields.iter().filter_map(named).collect())
}
