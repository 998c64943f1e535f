//! The chain of transforms of a connector, and its effect on a table's records.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::predicate::{Predicate, PredicateSpec};
use super::settings::Settings;
use super::shape::{CLASS, Computation, Expr, Part, Route, Shape};
use super::{Target, Transform, TransformDefinition, value_to_key};
use crate::error::{Error, Result};
use crate::model::{Field, Schema, Value};

/// A configured transform.
#[derive(Debug, Clone)]
pub struct StepSpec {
    /// Its name in the configuration.
    pub alias: String,
    /// The transform.
    pub definition: &'static TransformDefinition,
    /// The part of a record it works on.
    pub target: Target,
    /// Its settings.
    pub settings: BTreeMap<String, String>,
    /// The predicate, and whether it is negated.
    pub predicate: Option<(PredicateSpec, bool)>,
}

/// The transforms of a connector in order (`transforms`), ready to be applied.
#[derive(Clone, Default)]
pub struct ChainSpec {
    steps: Arc<[Step]>,
}

struct Step {
    alias: String,
    class: String,
    transform: Box<dyn Transform>,
    predicate: Option<(Box<dyn Predicate>, bool)>,
}

impl fmt::Debug for ChainSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.steps.iter().map(|step| &step.alias)).finish()
    }
}

impl Step {
    fn new(spec: &StepSpec) -> Result<Self> {
        let at = |error: Error, prefix: &str, alias: &str| error.with("key", format!("{prefix}.{alias}"));
        let transform = (spec.definition.create)(spec.target, Settings(&spec.settings))
            .map_err(|error| at(error, "transforms", &spec.alias))?;
        let predicate = match &spec.predicate {
            Some((predicate, negate)) => {
                let made = (predicate.definition.create)(Settings(&predicate.settings))
                    .map_err(|error| at(error, "predicates", &predicate.alias))?;
                Some((made, *negate))
            }
            None => None,
        };
        let nested = match spec.target {
            Target::Key => "$Key",
            Target::Value => "$Value",
            Target::Record => "",
        };
        Ok(Self {
            alias: spec.alias.clone(),
            class: format!("{}{nested}", spec.definition.class),
            transform,
            predicate,
        })
    }

    fn is_applied(&self, route: &Route) -> bool {
        self.predicate.as_ref().is_none_or(|(predicate, negate)| predicate.test(route) != *negate)
    }
}

impl ChainSpec {
    /// Makes the transforms.
    ///
    /// # Errors
    /// `Config` with the key of the transform or predicate, and the setting that is wrong.
    pub fn new(steps: &[StepSpec]) -> Result<Self> {
        Ok(Self { steps: steps.iter().map(Step::new).collect::<Result<Vec<_>>>()?.into() })
    }

    /// True if it makes keys of values.
    pub fn makes_keys(&self) -> bool {
        self.steps.iter().any(|step| step.class == value_to_key::DEFINITION.class)
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The topic behind the chain.
    pub fn route(&self, topic: String) -> String {
        let start = Route { topic, headers: Vec::new() };
        let step = |route: Route, step: &Step| {
            if step.is_applied(&route) { step.transform.route(route) } else { route }
        };
        self.steps.iter().fold(start, step).topic
    }

    /// The chain applied to records whose key and value are columns of rows with so many.
    ///
    /// # Errors
    /// `Config`, naming the transform, where it would fail on every record.
    pub fn bind(
        &self,
        topic: String,
        key: Option<(&Schema, &[usize])>,
        value: (&Schema, &[usize]),
        columns: usize,
    ) -> Result<BoundChain> {
        let key = key.map_or(Part::Absent, |(schema, projection)| Part::of(schema, projection));
        let value = Part::of(value.0, value.1);
        let mut shape = Shape { topic, key, value, headers: Vec::new(), timestamp: None };
        let mut notes = Vec::new();
        for step in self.steps.iter() {
            if step.predicate.as_ref().is_some_and(|(predicate, _)| predicate.is_of_row(&shape)) {
                let message = format!("{}: its predicate asks whether the value of a row is null", step.alias);
                return Err(Error::config(message).advise("leave such rows out by a query, or remove the predicate"));
            }
            if !step.is_applied(&shape.route()) {
                notes.push(format!("{}: not applied, its predicate says no", step.alias));
                continue;
            }
            let before = (shape.route(), shape.key.schema(), shape.value.schema(), shape.timestamp.is_some());
            shape = step
                .transform
                .apply(shape)
                .map_err(|error| error.with(CLASS, format!("{} ({})", step.alias, step.class)))?;
            let changed = [
                ("topic", before.0.topic != shape.topic),
                ("list of headers", before.0.headers != shape.route().headers),
                ("timestamp", before.3 != shape.timestamp.is_some()),
                ("key", before.1 != shape.key.schema()),
                ("value", before.2 != shape.value.schema()),
            ];
            let changed: Vec<&str> =
                changed.into_iter().filter(|(_, is_changed)| *is_changed).map(|(name, _)| name).collect();
            notes.push(match changed.as_slice() {
                [] => format!("{}: no other schema", step.alias),
                changed => format!("{}: another {}", step.alias, changed.join(" and ")),
            });
        }
        BoundChain::new(shape, columns, notes)
    }
}

/// The chain applied to a table's records.
#[derive(Debug, Clone)]
pub struct BoundChain {
    /// The topic.
    pub topic: String,
    /// The key's schema, and where its fields are in the row; none if there is no key.
    pub key: Option<(Schema, Vec<usize>)>,
    /// The value's.
    pub value: (Schema, Vec<usize>),
    /// The headers, in order.
    pub headers: Vec<BoundHeader>,
    /// The index in the row of the record's timestamp, in milliseconds since the epoch; none if records have none.
    pub timestamp: Option<usize>,
    /// The values to be computed for each row; they stand behind the row's columns.
    pub computations: Vec<Computation>,
    /// The changes that each transform makes, for `explain`.
    pub notes: Vec<String>,
}

/// A header of a table's records.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundHeader {
    /// Its name and its type.
    pub field: Field,
    /// Its value.
    pub value: HeaderValue,
}

/// The value of a header.
#[derive(Debug, Clone, PartialEq)]
pub enum HeaderValue {
    /// The same on each record.
    Constant(Value<'static>),
    /// A list or a map, the same on each record, by its text.
    Structure(Arc<str>),
    /// The value of the row at this index.
    Place(usize),
}

impl BoundChain {
    fn new(shape: Shape, columns: usize, notes: Vec<String>) -> Result<Self> {
        let mut computations = Vec::new();
        let mut place = |name: &str, expr: &Expr| match expr {
            Expr::Column(index) => *index,
            expr => {
                computations.push(Computation { name: name.to_owned(), expr: expr.clone() });
                columns + computations.len() - 1
            }
        };
        let headers = shape.headers.iter().map(|slot| {
            let value = match &slot.expr {
                Expr::Constant(value) => HeaderValue::Constant(value.clone()),
                Expr::Structure(text) => HeaderValue::Structure(Arc::clone(text)),
                expr => HeaderValue::Place(place(&slot.field.name, expr)),
            };
            BoundHeader { field: slot.field.clone(), value }
        });
        let headers = headers.collect();
        let timestamp = shape.timestamp.as_ref().map(|expr| place("timestamp", expr));
        let mut placed = |part: &Part| -> Option<(Schema, Vec<usize>)> {
            let places = part.slots().iter().map(|slot| place(&slot.field.name, &slot.expr)).collect();
            part.schema().map(|schema| (schema, places))
        };
        let key = placed(&shape.key);
        let value = placed(&shape.value).ok_or_else(|| Error::internal("a record has a value"))?;
        Ok(Self { topic: shape.topic, key, value, headers, timestamp, computations, notes })
    }
}
