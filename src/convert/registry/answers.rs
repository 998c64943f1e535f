//! The answers of a registry, as far as they are read.

use serde::Deserialize;

use super::failure::Failure;
use super::{Registered, SchemaKind};
use crate::error::{Error, ErrorKind, Result};

/// The id of a registered schema.
#[derive(Deserialize)]
pub(super) struct IdAnswer {
    pub(super) id: u32,
}

/// A schema, of a version or an id.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SchemaAnswer {
    pub(super) id: Option<u32>,
    pub(super) version: Option<u32>,
    pub(super) schema: String,
    pub(super) schema_type: Option<String>,
    pub(super) references: Option<Vec<serde_json::Value>>,
    pub(super) rule_set: Option<serde_json::Value>,
}

impl SchemaAnswer {
    /// True if the schema is of this format.
    pub(super) fn is_of(&self, kind: SchemaKind) -> bool {
        self.schema_type.as_deref().unwrap_or("AVRO") == kind.as_str()
    }

    pub(super) fn registered(self, kind: SchemaKind, id: Option<u32>) -> Result<Registered> {
        if !self.is_of(kind) {
            return Err(kind.another());
        }
        if self.references.is_some_and(|references| !references.is_empty()) {
            return Err(Error::new(ErrorKind::RegistryRefused, "the registered schema refers to others")
                .advise("register it as one schema, or let rowtide register its own (auto.register.schemas=true)"));
        }
        let mut rules = self.rule_set.iter().flat_map(|set| set.as_object()).flat_map(|set| set.values());
        if rules.any(|rules| rules.as_array().is_some_and(|rules| !rules.is_empty())) {
            return Err(Error::new(
                ErrorKind::RegistryRefused,
                "the registered schema has rules, which rowtide cannot run",
            )
            .advise("remove the rule set from the subject"));
        }
        let id = id.or(self.id).ok_or_else(|| Failure::Malformed("no id".to_owned()).into_error(""))?;
        Ok(Registered { id, schema: self.schema.into() })
    }
}

/// Compatibility with a version.
#[derive(Deserialize)]
pub(super) struct Verdict {
    pub(super) is_compatible: bool,
    pub(super) messages: Option<Vec<String>>,
    /// Apicurio's word for them.
    pub(super) reason: Option<String>,
}

/// The rule of a subject.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Level {
    pub(super) compatibility_level: Option<String>,
    pub(super) compatibility: Option<String>,
}
