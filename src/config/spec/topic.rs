//! The topic of a table's records: from the template and the table's name, through the transforms, to a name that brokers
//! take. Pure.

use std::sync::Arc;

use super::{TableSpec, Template};
use crate::error::{Error, Result};
use crate::model::Relation;

/// The longest name of a topic.
const LONGEST: usize = 249;

/// The placeholders in a template of topics, which stand for parts of a table's name.
pub(in crate::config) const PLACEHOLDERS: &[&str] = &["topic.prefix", "catalog", "schema", "table"];

/// The naming of a table's topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicNaming {
    /// The template, and the key it stands under; none: `topic.prefix` and the bare name of the table, or, of a query, alone.
    pub template: Option<(Template, String)>,
    /// `topic.prefix`.
    pub prefix: String,
    /// The topics that records must not be written to: those of the offsets.
    pub of_offsets: Vec<String>,
}

impl TopicNaming {
    /// The key that names the topic of this one table alone, or of all that a pattern matches.
    fn of_pattern(&self) -> Option<&str> {
        self.template.as_ref().map(|(_, key)| key.as_str()).filter(|key| *key != "topic.name.format")
    }

    /// The key to look at where a topic is not the one that was meant.
    fn key(&self) -> &str {
        self.template.as_ref().map_or("topic.prefix", |(_, key)| key)
    }
}

/// True if Kafka takes a name for a topic.
pub(super) fn is_topic_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= LONGEST && name != "." && name != ".." && name.chars().all(is_topic_char)
}

fn is_topic_char(character: char) -> bool {
    character.is_ascii_alphanumeric() || "._-".contains(character)
}

/// The name with `_` for each character that no topic can have.
fn sanitised(name: &str) -> String {
    name.chars().map(|character| if is_topic_char(character) { character } else { '_' }).collect()
}

impl TableSpec {
    /// The topic of the records, behind the transforms (`connector-config.md`, 8).
    ///
    /// # Errors
    /// `Config` for a query without `topic.prefix`, and for a name that no topic of records can have.
    pub fn topic(&self) -> Result<Arc<str>> {
        self.valid_topic(self.transforms.route(self.plain_topic()?))
    }

    /// The topic before any transform. A table whose name has characters that no topic can have goes through the
    /// transforms under its own name, as in Kafka Connect, if they make a name of it that brokers take; else under one with
    /// `_` for each such character.
    ///
    /// # Errors
    /// `Config` for a query without `topic.prefix`, and for a template that the table has no name for.
    pub fn plain_topic(&self) -> Result<String> {
        let named = self.named_topic()?;
        let is_taken = is_topic_name(&self.transforms.route(named.clone()));
        Ok(if is_taken { named } else { sanitised(&named) })
    }

    /// The name that the configuration makes of the table's, whatever characters it has.
    ///
    /// # Errors
    /// As [`TableSpec::plain_topic`].
    pub fn named_topic(&self) -> Result<String> {
        let prefix = &self.naming.prefix;
        let Some((template, key)) = &self.naming.template else {
            return match &self.relation {
                Relation::Table(id) => Ok(format!("{prefix}{}", id.name)),
                Relation::Query(_) if prefix.is_empty() => {
                    Err(Error::config("topic.prefix is the whole topic name with `query`, and is empty"))
                }
                Relation::Query(_) => Ok(prefix.clone()),
            };
        };
        template.fill(|name| self.part(name)).map_err(|name| {
            Error::config(format!("{key}: the table has no {name}, so `${{{name}}}` stands for nothing"))
                .with("table", &self.relation)
                .advise(format!("leave `${{{name}}}` out of {key}"))
        })
    }

    /// The part of the table's name that a placeholder stands for. A database of MySQL and its relatives is catalog and
    /// schema in one, as it is to their SQL.
    pub(super) fn part(&self, name: &str) -> Option<&str> {
        let Relation::Table(id) = &self.relation else {
            return (name == "topic.prefix").then_some(self.naming.prefix.as_str());
        };
        match name {
            "topic.prefix" => Some(&self.naming.prefix),
            "table" => Some(&id.name),
            "schema" => id.schema.as_deref().or(id.catalog.as_deref()),
            "catalog" => id.catalog.as_deref().or_else(|| id.schema.as_ref().and(self.database.as_deref())),
            _ => None,
        }
    }

    /// The key that gives this and another table one topic on purpose, as it names one for both.
    pub fn shares_topic_with(&self, other: &Self) -> Option<&str> {
        self.naming.of_pattern().filter(|key| other.naming.of_pattern() == Some(key))
    }

    /// A name that a topic of records can have.
    ///
    /// # Errors
    /// `Config` if it cannot.
    pub fn valid_topic(&self, name: String) -> Result<Arc<str>> {
        self.not_reserved(&name)?;
        if !is_topic_name(&name) {
            return Err(Error::config(format!("`{name}` is not a valid topic name"))
                .with("table", &self.relation)
                .advise("Kafka allows letters, digits, `.`, `_` and `-`, at most 249 of them"));
        }
        Ok(name.into())
    }

    /// True if records may go to a topic of this name (E7).
    ///
    /// # Errors
    /// `Config` if it is the offsets topic or the dead letter topic, or one that brokers do not tell from these.
    pub fn not_reserved(&self, name: &str) -> Result<()> {
        let letters = self.errors.dead_letters.iter().map(|letters| &letters.topic);
        let reserved = self.naming.of_offsets.iter().map(|topic| ("offsets topic", "offset.storage.topic", topic));
        let letters = letters.map(|topic| ("dead letter topic", "errors.deadletterqueue.topic.name", topic));
        for (what, its_key, topic) in reserved.chain(letters) {
            if is_one_to_brokers(topic, name) {
                let key = self.naming.key();
                let other =
                    if self.transforms.is_empty() { key.to_owned() } else { format!("{key}, or another transform,") };
                let relation = &self.relation;
                let message = if topic == name {
                    format!("the records of {relation} would go to the {what} `{name}`")
                } else {
                    format!(
                        "the records of {relation} would go to `{name}`, which brokers do not tell from the {what} `{topic}`: \
                         `.` and `_` are one to them"
                    )
                };
                return Err(Error::config(message).advise(format!("choose another {other} or {its_key}")));
            }
        }
        Ok(())
    }
}

/// True if two names are those of one topic, or of two whose metrics brokers name alike, so that they do not make both.
pub fn is_one_to_brokers(one: &str, other: &str) -> bool {
    one == other || one.len() == other.len() && one.replace('.', "_") == other.replace('.', "_")
}
