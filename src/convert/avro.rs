//! The Avro converter: writes schemas and rows as Kafka Connect's AvroConverter does, so that subjects
//! and topics can change hands. Binding talks to the registry once per schema; encoding never does.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;

use super::avro_encoder::AvroEncoder;
use super::avro_schema::{AvroSchema, SchemaStyle};
use super::avro_writer::Source;
use super::decode::decode_with;
use super::registry::settings::Options;
use super::registry::{Registered, Registry};
use super::{Converter, Encoder, Role, SchemaPreview};
use crate::config::spec::ConverterSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Schema;

/// Encodes with schemas of a registry, in the wire format with a prefix.
pub struct AvroConverter {
    registry: Registry,
    style: SchemaStyle,
    choice: Choice,
    /// `latest.compatibility.strict`, or `id.compatibility.strict`.
    strict: bool,
    key_subject: SubjectStrategy,
    value_subject: SubjectStrategy,
    /// What was bound, by topic.
    bound: Mutex<HashMap<String, Vec<Bound>>>,
}

/// Which schema records are written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// Their own, registered (`auto.register.schemas`).
    Register,
    /// Their own, which must be registered already.
    Lookup,
    /// The subject's newest (`use.latest.version`).
    Latest,
    /// That of an id (`use.schema.id`).
    Pinned(u32),
}

/// `key.subject.name.strategy` and `value.subject.name.strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SubjectStrategy {
    Topic,
    Record,
    TopicAndRecord,
}

struct Bound {
    role: Role,
    schema: Schema,
    projection: Vec<usize>,
    encoder: Arc<dyn Encoder>,
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
    /// Makes the converter from its settings. Talks to nobody.
    ///
    /// # Errors
    /// `Config` with the option that is wrong or not supported.
    pub fn create(spec: &ConverterSpec) -> Result<Arc<dyn Converter>> {
        Ok(Arc::new(Self::new(spec)?))
    }

    fn new(spec: &ConverterSpec) -> Result<Self> {
        let options = Options(&spec.settings);
        let choice = choice(options)?;
        refuse_unsupported(options, choice)?;
        let strict = match choice {
            Choice::Pinned(_) => "id.compatibility.strict",
            _ => "latest.compatibility.strict",
        };
        Ok(Self {
            registry: Registry::create(&spec.settings)?,
            style: SchemaStyle {
                connect_meta: options.flag("connect.meta.data", true)?,
                scrub: options.flag("scrub.invalid.names", false)?,
            },
            choice,
            strict: options.flag(strict, true)?,
            key_subject: subject_strategy(options, "key.subject.name.strategy")?,
            value_subject: subject_strategy(options, "value.subject.name.strategy")?,
            bound: Mutex::default(),
        })
    }

    fn subject(&self, topic: &str, role: Role, avro: &AvroSchema) -> Result<String> {
        let strategy = match role {
            Role::Key => self.key_subject,
            Role::Value => self.value_subject,
        };
        let record = || {
            avro.full_name.as_deref().ok_or_else(|| {
                Error::config("a bare value has no record name to make a subject of")
                    .with("topic", topic)
                    .advise(format!("use TopicNameStrategy as {}.subject.name.strategy, or a record", role.as_str()))
            })
        };
        Ok(match strategy {
            SubjectStrategy::Topic => format!("{topic}-{}", role.as_str()),
            SubjectStrategy::Record => record()?.to_owned(),
            SubjectStrategy::TopicAndRecord => format!("{topic}-{}", record()?),
        })
    }

    async fn bind_anew(&self, topic: &str, role: Role, schema: &Schema, projection: &[usize]) -> Result<AvroEncoder> {
        let avro = AvroSchema::write(schema, self.style).map_err(|error| error.with("topic", topic))?;
        let source = Source { schema, avro: &avro, projection };
        let subject = self.subject(topic, role, &avro)?;
        if self.choice == Choice::Register {
            let id = self.registry.register(&subject, &avro).await?;
            return source.bind(id);
        }
        self.bind_existing(&subject, source).await
    }

    /// Binds to what the registry has, by any choice but `Register`.
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

    fn cached(&self, topic: &str, role: Role, schema: &Schema, projection: &[usize]) -> Option<Arc<dyn Encoder>> {
        let bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |entry: &&Bound| entry.role == role && entry.projection == projection && entry.schema == *schema;
        bound.get(topic)?.iter().find(same).map(|entry| entry.encoder.clone())
    }
}

impl Converter for AvroConverter {
    fn bind<'a>(
        &'a self,
        topic: &'a str,
        role: Role,
        schema: &'a Schema,
        projection: &'a [usize],
    ) -> BoxFuture<'a, Result<Arc<dyn Encoder>>> {
        Box::pin(async move {
            if let Some(encoder) = self.cached(topic, role, schema, projection) {
                return Ok(encoder);
            }
            let encoder: Arc<dyn Encoder> = Arc::new(self.bind_anew(topic, role, schema, projection).await?);
            let entry =
                Bound { role, schema: schema.clone(), projection: projection.to_vec(), encoder: encoder.clone() };
            let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
            bound.entry(topic.to_owned()).or_default().push(entry);
            Ok(encoder)
        })
    }

    fn preview(&self, topic: &str, role: Role, schema: &Schema) -> Result<SchemaPreview> {
        let avro = AvroSchema::write(schema, self.style).map_err(|error| error.with("topic", topic))?;
        Ok(SchemaPreview { subject: Some(self.subject(topic, role, &avro)?), schema: avro.text })
    }

    fn check<'a>(&'a self, topic: &'a str, role: Role, schema: &'a Schema) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let avro = AvroSchema::write(schema, self.style).map_err(|error| error.with("topic", topic))?;
            let subject = self.subject(topic, role, &avro)?;
            if self.choice == Choice::Register {
                return self.registry.check(&subject, &avro).await;
            }
            let projection: Vec<usize> = (0..avro.field_names.len()).collect();
            let source = Source { schema, avro: &avro, projection: &projection };
            self.bind_existing(&subject, source).await.map(|_| ())
        })
    }

    fn bind_sample(&self, schema: &Schema, projection: &[usize]) -> Result<Arc<dyn Encoder>> {
        let avro = AvroSchema::write(schema, self.style)?;
        Ok(Arc::new(Source { schema, avro: &avro, projection }.bind(0)?))
    }

    fn render_sample(&self, preview: &SchemaPreview, bytes: &[u8]) -> Result<String> {
        decode_with(&preview.schema, bytes)
    }
}

fn not_registered(subject: &str) -> Error {
    Error::new(ErrorKind::RegistryRefused, "the schema is not registered, and auto.register.schemas is false")
        .with("subject", subject)
        .advise("register the schema `rowtide explain` prints, or set auto.register.schemas=true")
}

/// The reference's order: registering wins over everything, an id over the latest version.
fn choice(options: Options<'_>) -> Result<Choice> {
    if options.flag("auto.register.schemas", true)? {
        return Ok(Choice::Register);
    }
    if let Some(text) = options.get("use.schema.id") {
        let id: i64 = text.parse().map_err(|_| Error::config(format!("use.schema.id: `{text}` is not a number")))?;
        if let Ok(id) = u32::try_from(id) {
            return Ok(Choice::Pinned(id));
        }
    }
    Ok(if options.flag("use.latest.version", false)? { Choice::Latest } else { Choice::Lookup })
}

fn subject_strategy(options: Options<'_>, key: &str) -> Result<SubjectStrategy> {
    let Some(class) = options.get(key) else { return Ok(SubjectStrategy::Topic) };
    match class.rsplit('.').next() {
        Some("TopicNameStrategy") => Ok(SubjectStrategy::Topic),
        Some("RecordNameStrategy") => Ok(SubjectStrategy::Record),
        Some("TopicRecordNameStrategy") => Ok(SubjectStrategy::TopicAndRecord),
        _ => Err(Error::config(format!("{key}: `{class}` is not supported"))
            .advise("use TopicNameStrategy, RecordNameStrategy or TopicRecordNameStrategy")),
    }
}

/// Options that would change subjects or bytes in a way rowtide does not know.
fn refuse_unsupported(options: Options<'_>, choice: Choice) -> Result<()> {
    let refuse = |key: &str, value: &str, advice: &str| {
        Err(Error::config(format!("{key}: `{value}` is not supported")).advise(advice))
    };
    for key in ["key.schema.id.serializer", "value.schema.id.serializer"] {
        match options.get(key) {
            Some(class) if !class.ends_with("PrefixSchemaIdSerializer") => {
                return refuse(key, class, "remove it: rowtide writes the schema id in front of the record");
            }
            _ => {}
        }
    }
    match options.get("context.name.strategy") {
        Some(class) if !class.ends_with("NullContextNameStrategy") => {
            return refuse("context.name.strategy", class, "remove it: subjects are those of the default context");
        }
        _ => {}
    }
    if options.flag("schema.backup.enabled", false)? {
        return refuse("schema.backup.enabled", "true", "remove it: records are written as they are");
    }
    if choice == Choice::Lookup {
        for key in ["use.schema.guid", "use.latest.with.metadata"] {
            if let Some(value) = options.get(key) {
                return refuse(key, value, "use use.latest.version=true or use.schema.id");
            }
        }
    }
    Ok(())
}
