//! Subjects of a schema registry, common to the converters that have one: their names, and the schema of a subject that
//! records are written with.

use super::Role;
use super::options::Options;
use crate::error::{Error, ErrorKind, Result};

/// The schema that records are written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// Their own, registered (`auto.register.schemas`).
    Register,
    /// Their own, which must be registered already.
    Lookup,
    /// The subject's newest (`use.latest.version`).
    Latest,
    /// That of an id (`use.schema.id`).
    Pinned(u32),
}

impl Choice {
    /// The reference's order: registering wins over everything, an id over the latest version.
    ///
    /// # Errors
    /// `Config` with the option, also for those that rowtide does not know.
    pub(super) fn parse(options: Options<'_>) -> Result<Self> {
        let choice = Self::of(options)?;
        refuse_unsupported(options, choice)?;
        Ok(choice)
    }

    fn of(options: Options<'_>) -> Result<Self> {
        if options.flag("auto.register.schemas", true)? {
            return Ok(Choice::Register);
        }
        if let Some(text) = options.get("use.schema.id") {
            let id: i64 =
                text.parse().map_err(|_| Error::config(format!("use.schema.id: `{text}` is not a number")))?;
            if let Ok(id) = u32::try_from(id) {
                return Ok(Choice::Pinned(id));
            }
        }
        Ok(if options.flag("use.latest.version", false)? { Choice::Latest } else { Choice::Lookup })
    }

    /// True if the schema of the registry must be able to hold every value of ours: `latest.compatibility.strict`, or
    /// `id.compatibility.strict`.
    ///
    /// # Errors
    /// `Config` with the option.
    pub(super) fn is_strict(self, options: Options<'_>) -> Result<bool> {
        let name = match self {
            Choice::Pinned(_) => "id.compatibility.strict",
            _ => "latest.compatibility.strict",
        };
        options.flag(name, true)
    }
}

/// `key.subject.name.strategy` and `value.subject.name.strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SubjectStrategy {
    Topic,
    Record,
    TopicAndRecord,
}

/// The naming of the subjects of keys and values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subjects {
    key: SubjectStrategy,
    value: SubjectStrategy,
}

impl Subjects {
    /// # Errors
    /// `Config` with the option.
    pub(super) fn parse(options: Options<'_>) -> Result<Self> {
        Ok(Self {
            key: strategy(options, "key.subject.name.strategy")?,
            value: strategy(options, "value.subject.name.strategy")?,
        })
    }

    /// The subject of one side of a topic; `full_name` is what the schema calls the record.
    ///
    /// # Errors
    /// `Config` if the strategy wants that name and there is none.
    pub(super) fn name(self, topic: &str, role: Role, full_name: Option<&str>) -> Result<String> {
        let strategy = match role {
            Role::Key => self.key,
            Role::Value => self.value,
        };
        let record = || {
            full_name.ok_or_else(|| {
                Error::config("the schema has no record name to make a subject of")
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
}

/// The error for a schema that is not there and may not be registered.
pub(super) fn not_registered(subject: &str) -> Error {
    Error::new(ErrorKind::RegistryRefused, "the schema is not registered, and auto.register.schemas is false")
        .with("subject", subject)
        .advise("register the schema `rowtide explain` prints, or set auto.register.schemas=true")
}

fn strategy(options: Options<'_>, key: &str) -> Result<SubjectStrategy> {
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
