//! Tables as the database describes them, and records as Kafka Connect would describe them.

use std::fmt;
use std::sync::Arc;

use super::CursorKind;
use crate::zone::Zone;

/// A table's name as discovered. Empty parts are `None` (`connector-config.md`, 5.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId {
    /// The database, where the dialect reports it (MySQL family).
    pub catalog: Option<String>,
    /// The schema, where the dialect has one (PostgreSQL).
    pub schema: Option<String>,
    /// The bare table name, which also names the topic and the record schema.
    pub name: String,
}

impl TableId {
    /// The known parts, outermost first.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.catalog.as_deref().into_iter().chain(self.schema.as_deref()).chain([self.name.as_str()])
    }
}

/// The unquoted dotted name, which filters match and the source partition stores.
impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            f.write_str(part)?;
        }
        Ok(())
    }
}

/// A polled relation: a table, or the connector's one query.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Relation {
    /// A table or view.
    Table(TableId),
    /// The text of `query`, without a trailing semicolon.
    Query(String),
}

/// The name for logs, status and messages; a query's text is never shown.
impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Relation::Table(id) => id.fmt(f),
            Relation::Query(_) => f.write_str("query"),
        }
    }
}

/// The closed set of types a record field can have: Kafka Connect's, with its four logical types.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// Connect BOOLEAN.
    Boolean,
    /// Connect INT8.
    Int8,
    /// Connect INT16.
    Int16,
    /// Connect INT32.
    Int32,
    /// Connect INT64.
    Int64,
    /// Connect FLOAT32.
    Float32,
    /// Connect FLOAT64.
    Float64,
    /// Connect STRING.
    String,
    /// Connect BYTES.
    Bytes,
    /// Connect `Date`: days since the epoch.
    Date,
    /// Connect `Time`: milliseconds of the day.
    Time,
    /// Connect `Timestamp`: milliseconds since the epoch.
    Timestamp,
    /// Connect `Decimal`.
    Decimal {
        /// `connect.decimal.precision`, which connectors before 10.2 and Aiven's leave out.
        precision: Option<i32>,
        /// The scale of every value.
        scale: i32,
    },
}

/// Connect's name of the type, in small letters.
impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FieldType::Boolean => "boolean",
            FieldType::Int8 => "int8",
            FieldType::Int16 => "int16",
            FieldType::Int32 => "int32",
            FieldType::Int64 => "int64",
            FieldType::Float32 => "float32",
            FieldType::Float64 => "float64",
            FieldType::String => "string",
            FieldType::Bytes => "bytes",
            FieldType::Date => "Date",
            FieldType::Time => "Time",
            FieldType::Timestamp => "Timestamp",
            FieldType::Decimal { precision: None, scale } => return write!(f, "Decimal of scale {scale}"),
            FieldType::Decimal { precision: Some(precision), scale } => {
                return write!(f, "Decimal({precision},{scale})");
            }
        })
    }
}

/// A named, typed place in a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// The column label, as it is.
    pub name: String,
    /// Its type.
    pub field_type: FieldType,
    /// True if it may be null.
    pub optional: bool,
    /// Its description (`schema.doc`).
    pub doc: Option<Arc<str>>,
}

/// A record's schema, field for field in column order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecordSchema {
    /// The record's name (bare table name), or none (a query's records, and keys).
    pub name: Option<String>,
    /// Its version, which only transforms give.
    pub version: Option<i32>,
    /// Its description (`schema.doc`).
    pub doc: Option<Arc<str>>,
    /// The fields in order.
    pub fields: Vec<Field>,
}

/// The schema a converter is bound to: of a record, or for keys with `key.format=field` of one bare value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Schema {
    /// A record.
    Record(RecordSchema),
    /// A bare value; the field's name is for messages only.
    Field(Field),
    /// A record without a name whose only field is a record, too (`HoistField`).
    Hoisted {
        /// The field.
        field: String,
        /// The schema of what it holds.
        record: Box<Schema>,
    },
}

impl Schema {
    /// The fields of a record, or the bare one; of records in records, those of the innermost.
    pub fn fields(&self) -> &[Field] {
        match self {
            Schema::Record(record) => &record.fields,
            Schema::Field(field) => std::slice::from_ref(field),
            Schema::Hoisted { record, .. } => record.fields(),
        }
    }

    /// The fields of the records that it stands in, the outermost first, and the record that has none in it.
    pub fn hoists(&self) -> (Vec<&str>, &Schema) {
        let (mut around, mut inner) = (Vec::new(), self);
        while let Schema::Hoisted { field, record } = inner {
            around.push(field.as_str());
            inner = record;
        }
        (around, inner)
    }
}

/// The expression in the SELECT list by which a column arrives in the form its field type needs (`SqlSyntax::project`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Projection {
    /// The column as it is.
    #[default]
    Column,
    /// The text form: a type without a mapping of its own, or one that a setting asks for.
    Text,
    /// A double (PostgreSQL's `money`).
    Double,
    /// The bytes behind a type that the driver does not read (MySQL's `vector`).
    Bytes,
    /// An exact number (the same, delivered as text).
    Numeric,
    /// Of the id of a row's transaction: the time of its commit in milliseconds since the epoch (`record.timestamp=commit`).
    CommitTime,
}

/// A column that is delivered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ColumnDefinition {
    /// Name, record type and optionality of the column.
    pub field: Field,
    /// The database's own name of the type, for messages, casts and `explain`.
    pub database_type: String,
    /// The collation its texts compare by, as the database names it, unless that is the order of their bytes;
    /// none also for types without a collation.
    pub collation: Option<String>,
    /// The zone in which Kafka Connect reads a column of instants as wall clocks, where that is another one than
    /// `db.timezone` (MySQL's TIMESTAMP in the session's zone; `querying.md`, 8). Only stored offsets follow it.
    pub seen_in: Option<Zone>,
    /// Its expression in the SELECT list.
    pub projection: Projection,
    /// True if it is declared NOT NULL or a member of the primary key.
    pub not_null: bool,
    /// True if `select *` gives it. One that is declared INVISIBLE is no part of the records, but may be of key and
    /// cursor.
    pub is_visible: bool,
    /// True if it has given a date that is none, and not the zero date (`2024-00-15`): no place in an order.
    pub has_broken_dates: bool,
    /// True if NULL may be in it, whatever is declared: SQLite allows it in most primary keys.
    pub may_be_null: bool,
    /// True if it is filled by the database (serial, identity, AUTOINCREMENT).
    pub auto_increment: bool,
    /// The kind of cursor the column can serve as; none if its type has no usable order.
    pub cursor: Option<CursorKind>,
}

/// A form in which some JDBC drivers deliver a column.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DriverForm {
    /// Its type; none where they leave the column out.
    pub field_type: Option<FieldType>,
    /// The driver that delivers it, as the end of a sentence: `as MySQL Connector/J 8.0 delivers it`.
    pub because: String,
}

/// A column that JDBC drivers deliver in different forms (`driver.types`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DriverColumn {
    /// The column; its type is that of the first form that delivers it.
    pub column: ColumnDefinition,
    /// Its place among the delivered columns, real or, for a column left out, as it would be.
    pub place: usize,
    /// The forms; the first is taken where no registered schema has one of the others.
    pub forms: Vec<DriverForm>,
    /// True if a registered schema is asked; else a setting has decided.
    pub is_open: bool,
}

/// A column left out on request (`type.unsupported=skip`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SkippedColumn {
    /// Its name.
    pub name: String,
    /// The database's name of its type.
    pub database_type: String,
}

/// A relation as the database described it at one moment. Two definitions are equal if and only if every record of the
/// one can be encoded with the encoders of the other, under the same schemas.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableDefinition {
    /// The relation described.
    pub relation: Relation,
    /// The delivered columns in result order.
    pub columns: Vec<ColumnDefinition>,
    /// The columns left out.
    pub skipped: Vec<SkippedColumn>,
    /// The columns, delivered or left out, whose type depends on the JDBC driver. Each is in the first of its forms until a
    /// registered schema says otherwise ([`TableDefinition::take_forms`]).
    pub by_driver: Vec<DriverColumn>,
    /// Names of the primary key's columns in key order; empty if there is none or it is a query.
    pub primary_key: Vec<String>,
    /// The indexes that could serve an order, where the dialect must be told which one to use
    /// (`SqlSyntax::use_index`); empty elsewhere.
    pub indexes: Vec<Index>,
    /// The unique keys, by the catalog: columns that no two rows share.
    pub unique: UniqueKeys,
    /// The comment on the relation, where it is the description of the records (`schema.doc`).
    pub comment: Option<Arc<str>>,
}

/// The comments on a relation and its columns, as the database keeps them; none where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comments {
    /// The comment on the relation.
    pub relation: Option<Arc<str>>,
    /// The commented columns by name.
    pub columns: Vec<(String, Arc<str>)>,
}

/// The sets of columns that the database keeps unique over all rows of a relation: of keys that are valid, complete,
/// checked at once and over columns that are NOT NULL. Only such a set tells rows apart for certain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct UniqueKeys {
    /// The columns of each.
    pub keys: Vec<Vec<String>>,
    /// The reason why there are none, where it is the relation's nature: `it is a view`.
    pub none_because: Option<&'static str>,
}

impl UniqueKeys {
    /// No keys, for this reason.
    pub fn none_because(reason: &'static str) -> Self {
        Self { keys: Vec::new(), none_because: Some(reason) }
    }

    /// A key all of whose columns are among these.
    pub fn within(&self, columns: &[&str]) -> Option<&[String]> {
        let is_within = |key: &&Vec<String>| !key.is_empty() && key.iter().all(|name| columns.contains(&name.as_str()));
        self.keys.iter().find(is_within).map(Vec::as_slice)
    }
}

/// An index, ascending over whole columns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// The columns in order, those included that it ends with by the nature of the table (the primary key).
    pub columns: Vec<String>,
}

impl TableDefinition {
    /// The index of a column: exact name first, else the only one that matches without regard to case
    /// (`user-needs.md`, rank 42).
    pub fn column_index(&self, name: &str) -> Option<usize> {
        let exact = self.columns.iter().position(|column| column.field.name == name);
        exact.or_else(|| {
            let mut alike =
                self.columns.iter().enumerate().filter(|(_, column)| column.field.name.eq_ignore_ascii_case(name));
            match (alike.next(), alike.next()) {
                (Some((index, _)), None) => Some(index),
                _ => None,
            }
        })
    }

    /// Delivers each column of [`TableDefinition::by_driver`] in one of its forms.
    pub fn take_forms(&mut self, forms: &[usize]) {
        // The last first, so that those before it stay where they are.
        for (column, form) in forms.iter().enumerate().rev() {
            self.take_form(column, *form);
        }
    }

    fn take_form(&mut self, column: usize, form: usize) {
        let Some(DriverColumn { column, place, forms, .. }) = self.by_driver.get(column) else { return };
        let Some(form) = forms.get(form) else { return };
        let name = &column.field.name;
        let delivered = self.columns.get(*place).is_some_and(|at| at.field.name == *name);
        match (&form.field_type, delivered) {
            (Some(field_type), true) => self.columns[*place].field.field_type = field_type.clone(),
            (Some(field_type), false) => {
                self.skipped.retain(|skipped| skipped.name != *name);
                let mut column = column.clone();
                column.field.field_type = field_type.clone();
                self.columns.insert((*place).min(self.columns.len()), column);
            }
            (None, true) => {
                let column = self.columns.remove(*place);
                self.skipped.push(SkippedColumn { name: column.field.name, database_type: column.database_type });
            }
            (None, false) => {}
        }
    }

    /// The schema of the record values (`connector-config.md`, 8).
    pub fn value_schema(&self) -> RecordSchema {
        let name = match &self.relation {
            Relation::Table(id) => Some(id.name.clone()),
            Relation::Query(_) => None,
        };
        let visible = self.columns.iter().filter(|column| column.is_visible);
        let fields = visible.map(|column| column.field.clone()).collect();
        RecordSchema { name, version: None, doc: self.comment.clone(), fields }
    }

    /// Gives relation and columns their comments as the descriptions of record and fields.
    pub fn take_comments(&mut self, comments: Comments) {
        let Comments { relation, columns } = comments;
        self.comment = relation;
        let of_columns = self.columns.iter_mut().map(|column| &mut column.field);
        for field in of_columns.chain(self.by_driver.iter_mut().map(|column| &mut column.column.field)) {
            field.doc = columns.iter().find(|(name, _)| *name == field.name).map(|(_, comment)| Arc::clone(comment));
        }
    }

    /// The columns of a record: their indexes, in the order of [`TableDefinition::value_schema`].
    pub fn visible(&self) -> Vec<usize> {
        let columns = self.columns.iter().enumerate();
        columns.filter(|(_, column)| column.is_visible).map(|(index, _)| index).collect()
    }
}
