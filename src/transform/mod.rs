//! Transforms: Kafka Connect's single message transforms and predicates (`delivery-and-runtime.md`, 8). A chain is
//! bound once per schema: its effect on topic, key and value is a function of their schemas alone, so it is worked out
//! before the first row ([`Shape`]). What is left for a row are the few values that are computed; moved, renamed and
//! dropped fields cost nothing.
//!
//! To add one: a file here with its [`TransformDefinition`], and a line in [`TRANSFORMS`].

mod cast;
mod chain;
mod concat_fields;
mod extract_field;
mod extract_timestamp;
mod fields;
mod filter;
mod flatten;
mod headers;
mod hoist_field;
mod insert_field;
mod java_dates;
mod java_regex;
mod literal;
mod mask_field;
mod predicate;
mod replace_field;
mod route;
mod schema_metadata;
mod settings;
mod shape;
mod structure;
mod timestamp_converter;
mod tombstones;
mod value_to_key;

use crate::error::Result;

pub use self::chain::{BoundChain, BoundHeader, ChainSpec, HeaderValue, StepSpec};
pub use self::predicate::{PREDICATES, PredicateDefinition, PredicateSpec};
pub use self::settings::{Setting, Settings};
pub use self::shape::{Applied, CLASS, Computation, Expr, Part, Route, Shape, Slot};

/// A part of a record that a transform works on: its class ends in `$Key` or `$Value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The key.
    Key,
    /// The value.
    Value,
    /// The record as a whole.
    Record,
}

/// A change of records.
pub trait Transform: Send + Sync {
    /// The shape of the records behind the transform.
    ///
    /// # Errors
    /// `Config`, where the transform would fail on every record: a field that is not there, a type it cannot work on.
    fn apply(&self, shape: Shape) -> Result<Shape>;

    /// The topic and the headers' names behind the transform, which depend on no schema.
    fn route(&self, route: Route) -> Route {
        route
    }
}

/// An entry of the table of transforms.
#[derive(Debug)]
pub struct TransformDefinition {
    /// The Java class, without `$Key` or `$Value`.
    pub class: &'static str,
    /// The parts of a record it works on; two classes where it is key or value.
    pub targets: &'static [Target],
    /// The reference page's sentence about it.
    pub doc: &'static str,
    /// Its settings, under `transforms.ALIAS.`.
    pub settings: &'static [Setting],
    /// The constructor.
    pub create: fn(Target, Settings<'_>) -> Result<Box<dyn Transform>>,
}

/// The transforms there are.
pub static TRANSFORMS: &[&TransformDefinition] = &[
    &cast::DEFINITION,
    &concat_fields::DEFINITION,
    &extract_field::DEFINITION,
    &extract_timestamp::DEFINITION,
    &filter::DEFINITION,
    &flatten::DEFINITION,
    &headers::DROP,
    &headers::FROM,
    &headers::INSERT,
    &hoist_field::DEFINITION,
    &insert_field::DEFINITION,
    &mask_field::DEFINITION,
    &replace_field::DEFINITION,
    &route::DEFINITION,
    &schema_metadata::DEFINITION,
    &timestamp_converter::DEFINITION,
    &tombstones::AIVEN_HANDLER,
    &tombstones::DROP,
    &tombstones::HANDLER,
    &value_to_key::DEFINITION,
];

/// The class of the transform that makes a field the record's timestamp.
pub const EXTRACT_TIMESTAMP: &str = extract_timestamp::CLASS;

/// Transforms that people use and that are not there, each with its replacement.
pub static ABSENT: &[(&str, &str)] = &[
    (
        "org.apache.kafka.connect.transforms.TimestampRouter",
        "records of a JDBC source have no timestamp, so it fails on each; for a topic by table use RegexRouter",
    ),
    (
        "io.debezium.transforms.ByLogicalTableRouter",
        "it changes Debezium's envelopes alone, so here it had no effect; use org.apache.kafka.connect.transforms.RegexRouter",
    ),
    (
        "io.confluent.connect.transforms.MessageTimestampRouter",
        "the topic of a table does not depend on its rows; use org.apache.kafka.connect.transforms.RegexRouter",
    ),
    (
        "io.confluent.connect.transforms.ExtractTopic",
        "the topic of a table does not depend on its rows; use org.apache.kafka.connect.transforms.RegexRouter, or a query \
         per topic",
    ),
];

/// The transform that a configured class means, and what it works on: the full name, or the alias that Kafka Connect has
/// for classes that are not nested (`RegexRouter`).
pub fn transform_of(class: &str) -> Option<(&'static TransformDefinition, Target)> {
    let (outer, nested) = class.split_once('$').map_or((class, None), |(outer, nested)| (outer, Some(nested)));
    TRANSFORMS.iter().find_map(|definition| {
        let simple = definition.class.rsplit('.').next().unwrap_or_default();
        let target = match nested {
            Some("Key") => Target::Key,
            Some("Value") => Target::Value,
            None => Target::Record,
            Some(_) => return None,
        };
        let is_named = outer == definition.class || (target == Target::Record && outer == simple);
        (is_named && definition.targets.contains(&target)).then_some((*definition, target))
    })
}
