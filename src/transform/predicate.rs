//! Predicates, which decide whether a transform is applied. All that they ask is known before the first row.

use std::collections::BTreeMap;

use super::java_regex::JavaRegex;
use super::settings::{Setting, Settings};
use super::shape::{Part, Route, Shape};
use crate::error::Result;

/// Decides whether a transform is applied.
pub trait Predicate: Send + Sync {
    /// The answer for records of this topic, with these headers.
    fn test(&self, route: &Route) -> bool;

    /// True if the answer differs from row to row for records of this shape, which is refused.
    fn is_of_row(&self, shape: &Shape) -> bool {
        let _ = shape;
        false
    }
}

/// An entry of the table of predicates.
#[derive(Debug)]
pub struct PredicateDefinition {
    /// The Java class.
    pub class: &'static str,
    /// The reference page's sentence about it.
    pub doc: &'static str,
    /// Its settings, under `predicates.ALIAS.`.
    pub settings: &'static [Setting],
    /// The constructor.
    pub create: fn(Settings<'_>) -> Result<Box<dyn Predicate>>,
}

impl PredicateDefinition {
    /// True if a configured class means this one: the full name, or Kafka Connect's alias.
    pub fn is_meant_by(&self, class: &str) -> bool {
        class == self.class || self.class.rsplit('.').next() == Some(class)
    }
}

/// The predicates there are.
pub static PREDICATES: &[PredicateDefinition] = &[
    PredicateDefinition {
        class: "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
        doc: "Whether the topic, as it is at that place of the chain, matches a pattern as a whole.",
        settings: &[Setting::new("pattern", "The regular expression, as Java has them. Required.")],
        create: |settings| {
            let pattern = JavaRegex::new("pattern", settings.required("pattern")?)?;
            Ok(Box::new(TopicNameMatches(pattern)))
        },
    },
    PredicateDefinition {
        class: "org.apache.kafka.connect.transforms.predicates.HasHeaderKey",
        doc: "Whether a record has a header, which a transform before it has made.",
        settings: &[Setting::new("name", "The header's name. Required.")],
        create: |settings| {
            settings.required("name").map(|name| -> Box<dyn Predicate> { Box::new(HasHeaderKey(name.to_owned())) })
        },
    },
    PredicateDefinition {
        class: "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone",
        doc: "Whether a record's value is null. Those of a source never are; tombstones of `delete.mode=soft` are made behind the chain.",
        settings: &[],
        create: |_| Ok(Box::new(RecordIsTombstone)),
    },
];

/// A configured predicate.
#[derive(Debug, Clone)]
pub struct PredicateSpec {
    /// Its name in the configuration.
    pub alias: String,
    /// The predicate.
    pub definition: &'static PredicateDefinition,
    /// Its settings.
    pub settings: BTreeMap<String, String>,
}

struct TopicNameMatches(JavaRegex);

impl Predicate for TopicNameMatches {
    fn test(&self, route: &Route) -> bool {
        self.0.matches(&route.topic)
    }
}

struct HasHeaderKey(String);

impl Predicate for HasHeaderKey {
    fn test(&self, route: &Route) -> bool {
        route.headers.contains(&self.0)
    }
}

struct RecordIsTombstone;

impl Predicate for RecordIsTombstone {
    fn test(&self, _: &Route) -> bool {
        false
    }

    fn is_of_row(&self, shape: &Shape) -> bool {
        matches!(&shape.value, Part::Bare(slot) if slot.field.optional)
    }
}
