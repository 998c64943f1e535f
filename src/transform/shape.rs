//! The shape of a table's records at a place in the chain: topic, and key and value as fields, each with where its
//! values come from.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::error::Result;
use crate::model::{Field, RecordSchema, Schema, Value};

/// The context of an error in which a transform's class stands.
pub const CLASS: &str = "transform";

/// Makes a value of another; null stays null and does not get here.
pub(super) type Function = Arc<dyn Fn(&Value<'_>) -> Result<Value<'static>> + Send + Sync>;

/// The origin of a field's values.
#[derive(Clone)]
pub enum Expr {
    /// The column of the row at this index.
    Column(usize),
    /// The same value in each record.
    Constant(Value<'static>),
    /// A list or a map, the same in each record, by its text. Headers alone have it.
    Structure(Arc<str>),
    /// A function of another one, by a transform of this class.
    Apply(Applied, Box<Expr>),
    /// The same value in place of each other one that is not null.
    Mask(Value<'static>, Box<Expr>),
    /// A function of several, nulls included, by a transform of this class.
    Combine {
        /// The function.
        function: Combination,
        /// The transform's class.
        class: &'static str,
        /// Its arguments.
        arguments: Vec<Expr>,
    },
}

/// Makes a value of several others, of which each may be null.
pub(super) type Combination = Arc<dyn Fn(&[Value<'_>]) -> Result<Value<'static>> + Send + Sync>;

/// A function, and the class of the transform that applies it.
#[derive(Clone)]
pub struct Applied {
    pub(super) function: Function,
    pub(super) class: &'static str,
}

impl Expr {
    /// The value of a row.
    ///
    /// # Errors
    /// `Value` if a function cannot take its argument.
    pub fn eval<'v>(&'v self, row: &'v [Value<'v>]) -> Result<Value<'v>> {
        Ok(match self {
            Expr::Column(index) => row.get(*index).map_or(Value::Null, Value::borrowed),
            Expr::Constant(value) => value.borrowed(),
            Expr::Structure(structure) => Value::Text(Cow::Borrowed(structure)),
            Expr::Apply(applied, argument) => match argument.eval(row)? {
                Value::Null => Value::Null,
                value => (applied.function)(&value).map_err(|error| error.with(CLASS, applied.class))?,
            },
            Expr::Mask(mask, argument) => match argument.eval(row)? {
                Value::Null => Value::Null,
                _ => mask.borrowed(),
            },
            Expr::Combine { function, class, arguments } => {
                let values = arguments.iter().map(|argument| argument.eval(row)).collect::<Result<Vec<_>>>()?;
                function(&values).map_err(|error| error.with(CLASS, *class))?
            }
        })
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Column(index) => write!(f, "Column({index})"),
            Expr::Constant(_) | Expr::Structure(_) => f.write_str("Constant"),
            Expr::Apply(_, argument) => write!(f, "Apply({argument:?})"),
            Expr::Mask(_, argument) => write!(f, "Mask({argument:?})"),
            Expr::Combine { arguments, .. } => write!(f, "Combine({arguments:?})"),
        }
    }
}

/// A field and its values.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Name, type and optionality.
    pub field: Field,
    /// Its values.
    pub expr: Expr,
}

/// A key or a value.
#[derive(Debug, Clone)]
pub enum Part {
    /// No value: null, without a schema.
    Absent,
    /// One bare field.
    Bare(Slot),
    /// A record.
    Record {
        /// The schema's name.
        name: Option<String>,
        /// Its version.
        version: Option<i32>,
        /// Its description.
        doc: Option<Arc<str>>,
        /// The fields in order.
        slots: Vec<Slot>,
    },
    /// A record whose only field is a record, too.
    Hoisted {
        /// The field.
        field: String,
        /// Its record.
        part: Box<Part>,
    },
}

impl Part {
    /// The part of a schema, whose fields are columns of the row.
    pub fn of(schema: &Schema, projection: &[usize]) -> Self {
        let slot = |(field, index): (&Field, &usize)| Slot { field: field.clone(), expr: Expr::Column(*index) };
        let mut slots: Vec<Slot> = schema.fields().iter().zip(projection).map(slot).collect();
        match schema {
            Schema::Record(record) => {
                let (name, version, doc) = (record.name.clone(), record.version, record.doc.clone());
                Part::Record { name, version, doc, slots }
            }
            Schema::Field(_) => slots.pop().map_or(Part::Absent, Part::Bare),
            Schema::Hoisted { field, record } => {
                Part::Hoisted { field: field.clone(), part: Box::new(Part::of(record, projection)) }
            }
        }
    }

    /// Its schema; none if there is none.
    pub fn schema(&self) -> Option<Schema> {
        match self {
            Part::Absent => None,
            Part::Bare(slot) => Some(Schema::Field(slot.field.clone())),
            Part::Record { name, version, doc, slots } => Some(Schema::Record(RecordSchema {
                name: name.clone(),
                version: *version,
                doc: doc.clone(),
                fields: slots.iter().map(|slot| slot.field.clone()).collect(),
            })),
            Part::Hoisted { field, part } => {
                Some(Schema::Hoisted { field: field.clone(), record: Box::new(part.schema()?) })
            }
        }
    }

    /// Its fields; of records in records, those of the innermost.
    pub fn slots(&self) -> &[Slot] {
        match self {
            Part::Absent => &[],
            Part::Bare(slot) => std::slice::from_ref(slot),
            Part::Record { slots, .. } => slots,
            Part::Hoisted { part, .. } => part.slots(),
        }
    }
}

/// The shape of records at a place in the chain.
#[derive(Debug, Clone)]
pub struct Shape {
    /// The topic.
    pub topic: String,
    /// The key.
    pub key: Part,
    /// The value.
    pub value: Part,
    /// The headers in order, each a field of its name.
    pub headers: Vec<Slot>,
    /// The timestamp in milliseconds since the epoch; none: records have none.
    pub timestamp: Option<Expr>,
}

/// The part of a record's shape that does not depend on a schema: its topic, and the names of its headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The topic.
    pub topic: String,
    /// The headers' names, in order.
    pub headers: Vec<String>,
}

impl Shape {
    /// Its topic and headers.
    pub fn route(&self) -> Route {
        let headers = self.headers.iter().map(|slot| slot.field.name.clone()).collect();
        Route { topic: self.topic.clone(), headers }
    }
}

/// A value that is computed for each row, and stands behind the row's columns.
#[derive(Debug, Clone)]
pub struct Computation {
    /// Its field's name, for messages.
    pub name: String,
    /// Its expression.
    pub expr: Expr,
}

/// A text as a value of its own.
pub(super) fn text(text: impl Into<Cow<'static, str>>) -> Value<'static> {
    Value::Text(text.into())
}
