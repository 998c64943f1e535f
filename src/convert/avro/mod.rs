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

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;

use self::decode::{AvroDecoder, decode_with};
use self::encoder::AvroEncoder;
use self::registered::RegisteredFields;
use self::schema::{AvroSchema, SchemaStyle};
use self::writer::{Source, find_record};
use super::options::Options;
use super::registry::{Registered, Registry};
use super::{Converter, ConverterDefinition, ConverterSpec, Decoder, Encoder, Role, SchemaPreview, Side};
use crate::error::{Error, ErrorKind, Result};
use crate::lock::locked;
use crate::model::Schema;

/// `io.confluent.connect.avro.AvroConverter`.
pub(super) static DEFINITION: ConverterDefinition = ConverterDefinition {
    name: "avro",
    class: "io.confluent.connect.avro.AvroConverter",
    doc: "Avro with schemas of a schema registry.",
    settings: settings::KEYS,
    required: &[("schema.registry.url", "Avro needs a schema registry")],
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
    key_subject: SubjectStrategy,
    value_subject: SubjectStrategy,
    /// The schemas bound, by topic.
    bound: Mutex<HashMap<String, Vec<Bound>>>,
}

/// The schema that records are written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// Their own, registered (`auto.register.schemas`).
    Register,
    /// Their own, which must be registered already.
    Lookup,
    /// The subject's newest (`use.latest.version`).
    Latest,
    /// The schema of an id (`use.schema.id`).
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

    /// The schema of a side, and its subject.
    fn described(&self, side: Side<'_>) -> Result<(AvroSchema, String)> {
        let avro = AvroSchema::write(side.schema, self.style).map_err(|error| error.with("topic", side.topic))?;
        let subject = self.subject(side.topic, side.role, &avro)?;
        Ok((avro, subject))
    }

    async fn bind_anew(&self, side: Side<'_>) -> Result<AvroEncoder> {
        let (avro, subject) = self.described(side)?;
        let source = Source { schema: side.schema, avro: &avro, projection: side.projection };
        if self.choice == Choice::Register {
            let id = self.registry.register(&subject, &avro).await?;
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

    fn cached(&self, side: Side<'_>) -> Option<Arc<dyn Encoder>> {
        let bound = locked(&self.bound);
        let same = |entry: &&Bound| {
            entry.role == side.role && entry.projection == side.projection && entry.schema == *side.schema
        };
        bound.get(side.topic)?.iter().find(same).map(|entry| entry.encoder.clone())
    }
}

impl Converter for AvroConverter {
    fn bind<'a>(&'a self, side: Side<'a>) -> BoxFuture<'a, Result<Arc<dyn Encoder>>> {
        Box::pin(async move {
            if let Some(encoder) = self.cached(side) {
                return Ok(encoder);
            }
            let encoder: Arc<dyn Encoder> = Arc::new(self.bind_anew(side).await?);
            let entry = Bound {
                role: side.role,
                schema: side.schema.clone(),
                projection: side.projection.to_vec(),
                encoder: encoder.clone(),
            };
            let mut bound = locked(&self.bound);
            bound.entry(side.topic.to_owned()).or_default().push(entry);
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
                return self.registry.check(&subject, &avro).await;
            }
            let source = Source { schema: side.schema, avro: &avro, projection: side.projection };
            self.bind_existing(&subject, source).await.map(|_| ())
        })
    }

    fn registered<'a>(&'a self, side: Side<'a>) -> BoxFuture<'a, Result<Option<RegisteredFields>>> {
        Box::pin(async move {
            let avro = AvroSchema::write(side.schema, self.style).map_err(|error| error.with("topic", side.topic))?;
            let subject = self.subject(side.topic, side.role, &avro)?;
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
