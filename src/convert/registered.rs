//! Converters whose records carry the id of a schema of the registry and are the same bytes whichever schema that is: JSON
//! Schema and Protobuf. (Avro is encoded anew for a schema of the registry, and has a converter of its own.)

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::bound::BoundEncoders;
use super::options::Options;
use super::registry::{Registry, SchemaKind};
use super::subjects::{Choice, Subjects, not_registered};
use super::{Converter, ConverterSpec, Encoder, SchemaPreview, Side};
use crate::error::{Error, ErrorKind, Result};

/// A format of records with a schema id.
pub(super) trait Format: Send + Sync + 'static {
    /// Its kind in the registry.
    const KIND: SchemaKind;

    /// The schema of a side.
    ///
    /// # Errors
    /// `Config`, with table and column, if the format cannot express it.
    fn describe(&self, side: Side<'_>) -> Result<Described>;

    /// An encoder of records with a schema id.
    ///
    /// # Errors
    /// As [`Format::describe`].
    fn encoder(&self, side: Side<'_>, id: u32) -> Result<Arc<dyn Encoder>>;

    /// True if a schema of the registry says the same as one of ours, however it is written.
    fn is_same(&self, ours: &str, registered: &str) -> bool;

    /// A record as text, by its schema.
    ///
    /// # Errors
    /// `Value` if the bytes are not of the schema.
    fn text(&self, schema: &str, bytes: &[u8]) -> Result<String>;
}

/// The text of a schema.
pub(super) struct Described {
    /// The text, byte for byte as registered.
    pub(super) text: String,
    /// The name of the record in the schema; none if it has no name.
    pub(super) full_name: Option<String>,
}

/// A converter of a format.
pub(super) struct RegisteredConverter<F> {
    format: F,
    registry: Registry,
    subjects: Subjects,
    choice: Choice,
    strict: bool,
    bound: BoundEncoders,
}

impl<F: Format> RegisteredConverter<F> {
    /// Reads the settings that these formats share. Talks to nobody.
    ///
    /// # Errors
    /// `Config` with the option.
    pub(super) fn new(spec: &ConverterSpec, format: F) -> Result<Self> {
        let options = Options(&spec.settings);
        let choice = Choice::parse(options)?;
        Ok(Self {
            format,
            registry: Registry::create(&spec.settings, F::KIND)?,
            subjects: Subjects::parse(options)?,
            choice,
            strict: choice.is_strict(options)?,
            bound: BoundEncoders::default(),
        })
    }

    /// The schema of a side, and its subject.
    fn described(&self, side: Side<'_>) -> Result<(Described, String)> {
        let described = self.format.describe(side).map_err(|error| error.with("topic", side.topic))?;
        let subject = self.subjects.name(side.topic, side.role, described.full_name.as_deref())?;
        Ok((described, subject))
    }

    /// The id that the registry has for the schema, by any choice but `Register`.
    async fn existing(&self, subject: &str, described: &Described) -> Result<u32> {
        let fetched = match self.choice {
            Choice::Register | Choice::Lookup => {
                let id = self.registry.lookup(subject, &described.text).await?;
                return id.ok_or_else(|| not_registered(subject));
            }
            Choice::Latest => self.registry.latest(subject).await?,
            Choice::Pinned(id) => Some(self.registry.pinned(subject, id).await?),
        };
        let fetched = fetched.ok_or_else(|| not_registered(subject))?;
        if self.strict && !self.format.is_same(&described.text, &fetched.schema) {
            return Err(another_schema(self.choice).with("subject", subject).with("schema id", fetched.id));
        }
        Ok(fetched.id)
    }
}

/// The refusal of a registered schema that differs: the differences a reader bears are known to the registry's rules only.
fn another_schema(choice: Choice) -> Error {
    let setting = match choice {
        Choice::Pinned(_) => "id.compatibility.strict",
        _ => "latest.compatibility.strict",
    };
    let message = "the registered schema is not that of the records";
    Error::new(ErrorKind::IncompatibleSchema, message).advise(format!(
        "compare it with the schema that `rowtide explain` prints; register that one, or set {setting}=false if readers can \
         bear the difference"
    ))
}

impl<F: Format> Converter for RegisteredConverter<F> {
    fn bind<'a>(&'a self, side: Side<'a>) -> BoxFuture<'a, Result<Arc<dyn Encoder>>> {
        Box::pin(async move {
            if let Some(encoder) = self.bound.get(side) {
                return Ok(encoder);
            }
            let (described, subject) = self.described(side)?;
            let id = match self.choice {
                Choice::Register => self.registry.register(&subject, &described.text).await?,
                _ => self.existing(&subject, &described).await?,
            };
            let encoder = self.format.encoder(side, id)?;
            self.bound.keep(side, &encoder);
            Ok(encoder)
        })
    }

    fn preview(&self, side: Side<'_>) -> Result<SchemaPreview> {
        let (described, subject) = self.described(side)?;
        Ok(SchemaPreview { subject: Some(subject), schema: Some(described.text) })
    }

    fn check<'a>(&'a self, side: Side<'a>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let (described, subject) = self.described(side)?;
            if self.choice == Choice::Register {
                return self.registry.check(&subject, &described.text).await;
            }
            self.existing(&subject, &described).await.map(drop)
        })
    }

    fn bind_sample(&self, side: Side<'_>) -> Result<Arc<dyn Encoder>> {
        self.format.describe(side)?;
        self.format.encoder(side, 0)
    }

    fn render_sample(&self, preview: &SchemaPreview, bytes: &[u8]) -> Result<String> {
        let schema = preview.schema.as_deref().ok_or_else(|| Error::internal("the record has a schema"))?;
        self.format.text(schema, bytes)
    }
}
