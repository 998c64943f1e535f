//! The binding of a relation, resolved once per definition and then only used (P9): mode, plan, topic, key and value
//! schemas, and the two encoders. Everything but the encoders is pure, so `check` and `explain` show exactly what a
//! running task would do.

use std::collections::HashMap;
use std::sync::Arc;

use super::deletes::DeleteRule;
use super::driver_types::DriverChoice;
use super::encoder::{RecordEncoder, RowClock, Timestamp};
use super::headers::HeaderEncoder;
use super::partition::PartitionRule;
use crate::config::spec::{KeyColumns, PartitionBy, RecordTime, TableSpec};
use crate::convert::{Converter, Encoder, Operation, Role, Side};
use crate::dialect::{SourceConnection, SqlSyntax};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    ColumnDefinition, Field, Mode, Position, Projection, RecordSchema, Relation, Schema, SourcePartition,
    TableDefinition,
};
use crate::offsets::kafka::resolve;
use crate::plan::{Planner, SqlStyle};
use crate::transform::{BoundChain, BoundHeader, Computation};
use crate::zone::Zone;

use super::odd;

/// A relation, resolved.
#[derive(Debug)]
pub struct Binding {
    /// The definition it was made for.
    pub definition: TableDefinition,
    /// Plans its pages.
    pub planner: Planner,
    /// The topic of its records.
    pub topic: Arc<str>,
    /// Its key: schema, and the columns of the row that make it.
    pub key: Option<(Schema, Vec<usize>)>,
    /// The schema of its values, and where its fields are in the row.
    pub value: (Schema, Vec<usize>),
    /// The values that transforms compute for each row; they stand behind its columns.
    computations: Arc<[Computation]>,
    /// The changes that each transform makes, in words.
    pub notes: Vec<String>,
    /// The rule by which its rows count as deleted (`delete.mode=soft`).
    deletes: Option<DeleteRule>,
    partition: PartitionRule,
    timestamp: Timestamp,
    /// The headers of its records.
    pub headers: Vec<BoundHeader>,
    /// The zone of its times without one.
    zone: Zone,
    /// Its columns whose types depend on the JDBC driver, where that has been looked into.
    pub by_driver: Vec<DriverChoice>,
}

/// The converters of records.
#[derive(Clone, Copy)]
pub struct Converters<'a> {
    /// `key.converter`.
    pub keys: &'a dyn Converter,
    /// `value.converter`.
    pub values: &'a dyn Converter,
    /// `header.converter`.
    pub headers: &'a dyn Converter,
}

impl Binding {
    /// Resolves a described relation against the configuration.
    ///
    /// # Errors
    /// `SourceSchema` and `Config`, naming table, column and key.
    pub fn new(spec: &TableSpec, syntax: &'static dyn SqlSyntax, definition: TableDefinition) -> Result<Self> {
        check_settings(spec, &definition)?;
        let mode = spec.mode.resolve(&definition)?;
        if spec.mode.validate_non_null {
            check_non_null(&definition, &mode)?;
        }
        let planner = Planner::new(&definition, &mode, style_of(spec, syntax))?;
        let floor = odd::floor(spec, &planner)?;
        let planner = planner.above(floor).only(spec.filter.as_deref());
        if let (Some((column, database_type)), Some(_)) = (planner.text_id(), spec.mode.incrementing_initial) {
            let message = format!(
                "incrementing.initial is a number, and the incrementing column `{column}` is of type {database_type}"
            );
            return Err(Error::config(message)
                .with("table", &definition.relation)
                .advise("remove incrementing.initial: the table is read from the beginning"));
        }
        let all = definition.visible();
        let value = RecordSchema { name: spec.value_schema_name()?, ..definition.value_schema() };
        let (key, value) = (key_of(spec, &definition)?, Schema::Record(value));
        let of_key = key.as_ref().map(|(schema, projection)| (schema, projection.as_slice()));
        let bound = spec.transforms.bind(spec.plain_topic()?, of_key, (&value, &all), definition.columns.len());
        let bound = bound.map_err(|error| error.with("table", &definition.relation))?;
        let topic = spec.valid_topic(bound.topic)?;
        let BoundChain { key, value, headers, timestamp, computations, notes, .. } = bound;
        let deletes = delete_rule(spec, &definition, key.is_some())?;
        let partition = PartitionRule::new(spec, &definition)?;
        let timestamp = timestamp_of(timestamp, spec.record_time, &planner, &definition);
        let zone = spec.types.all.zone;
        let (computations, by_driver) = (computations.into(), Vec::new());
        Ok(Self {
            definition,
            planner,
            topic,
            key,
            value,
            computations,
            notes,
            deletes,
            partition,
            timestamp,
            headers,
            zone,
            by_driver,
        })
    }

    /// The planner of a first load in the order of the primary key, up to a position ([`Planner::by_key`]).
    ///
    /// # Errors
    /// As [`Planner::new`].
    pub fn by_key(
        &self,
        spec: &TableSpec,
        syntax: &'static dyn SqlSyntax,
        until: &Position,
    ) -> Result<Option<Planner>> {
        self.planner.by_key(&self.definition, style_of(spec, syntax), until)
    }

    /// The planner of a backfill up to a position: in the order of the primary key where there is one.
    ///
    /// # Errors
    /// As [`Planner::new`].
    pub fn upto(&self, spec: &TableSpec, syntax: &'static dyn SqlSyntax, until: &Position) -> Result<Planner> {
        match self.by_key(spec, syntax, until)? {
            Some(planner) => Ok(planner),
            None => self.planner.upto(&self.definition, style_of(spec, syntax), until),
        }
    }

    /// The key's side of the records; none if they have no key.
    pub fn key_side(&self) -> Option<Side<'_>> {
        let (schema, projection) = self.key.as_ref()?;
        let (topic, table) = (&*self.topic, &self.definition);
        Some(Side { topic, role: Role::Key, schema, projection, table })
    }

    /// The value's side of the records.
    pub fn value_side(&self) -> Side<'_> {
        let (topic, table, (schema, projection)) = (&*self.topic, &self.definition, &self.value);
        Side { topic, role: Role::Value, schema, projection, table }
    }

    /// Registers the schemas and binds the encoders.
    ///
    /// # Errors
    /// Those of [`Converter::bind`].
    pub async fn encoder(&self, converters: Converters<'_>) -> Result<RecordEncoder> {
        let Converters { keys, values, .. } = converters;
        let key = match self.key_side() {
            Some(side) => Some(keys.bind(side).await?),
            None => None,
        };
        let value = values.bind(self.value_side()).await?;
        self.with_encoders(key, value, converters.headers)
    }

    /// Encoders for looking only: nothing is registered, and the records carry no real schema id.
    ///
    /// # Errors
    /// Those of [`Converter::bind_sample`].
    pub fn sample_encoder(&self, converters: Converters<'_>) -> Result<RecordEncoder> {
        let Converters { keys, values, .. } = converters;
        let key = self.key_side().map(|side| keys.bind_sample(side)).transpose()?;
        let value = values.bind_sample(self.value_side())?;
        self.with_encoders(key, value, converters.headers)
    }

    fn with_encoders(
        &self,
        key: Option<Arc<dyn Encoder>>,
        value: Arc<dyn Encoder>,
        headers: &dyn Converter,
    ) -> Result<RecordEncoder> {
        let is_whole = matches!(self.planner.mode(), Mode::Bulk);
        Ok(RecordEncoder {
            computations: Arc::clone(&self.computations),
            key,
            value,
            deletes: self.deletes.clone(),
            partition: self.partition.clone(),
            clock: RowClock { kind: self.planner.time_kind(), zone: self.zone },
            timestamp: self.timestamp,
            operation: if is_whole { Operation::Read } else { Operation::Upsert },
            headers: HeaderEncoder::new(&self.headers, headers, (&self.topic, &self.definition))?,
            limit: usize::MAX,
            omittable: Vec::new(),
        })
    }

    /// The names of the headers that transforms make, in order.
    ///
    /// # Errors
    /// `Config` if the converter cannot write one of them.
    pub fn header_names(&self, headers: &dyn Converter) -> Result<Vec<&str>> {
        HeaderEncoder::new(&self.headers, headers, (&self.topic, &self.definition))?;
        Ok(self.headers.iter().map(|header| header.field.name.as_str()).collect())
    }

    /// The rows that count as deleted, and their records, in words; none without `delete.mode=soft`.
    pub fn deletes(&self) -> Option<String> {
        self.deletes.as_ref().map(|rule| rule.describe(&self.definition))
    }

    /// The choice of partitions in words; none where records have no key and nothing else chooses.
    pub fn partition(&self) -> Option<String> {
        self.partition.describe(&self.definition, self.key.as_ref().map(|(_, projection)| projection.as_slice()))
    }

    /// The columns a record can do without: those that may be null and are not of the key.
    pub fn omittable(&self) -> Vec<(usize, String)> {
        let of_key = |index: &usize| self.key.as_ref().is_some_and(|(_, projection)| projection.contains(index));
        let columns = self.definition.columns.iter().enumerate();
        let is_flag = |index: &usize| self.deletes.as_ref().is_some_and(|rule| rule.column == *index);
        let is_needed = |index: &usize| of_key(index) || is_flag(index) || self.partition.needs(*index);
        let omittable =
            columns.filter(|(index, column)| column.field.optional && column.is_visible && !is_needed(index));
        omittable.map(|(index, column)| (index, column.field.name.clone())).collect()
    }

    /// The advice for a statement that fails though the columns are as they were described.
    pub fn statement_advice(&self) -> &'static str {
        if self.planner.has_filter() {
            return "correct the `where` of the table, if the server's message is about it: it is part of the statement that \
                    `rowtide explain` shows";
        }
        match (self.planner.has_suffix(), &self.definition.relation) {
            (true, _) => "correct query.suffix: it is appended to the statement that `rowtide explain` shows",
            (false, Relation::Query(_)) => {
                "run the statement that `rowtide explain` shows by hand, and correct the query"
            }
            (false, Relation::Table(_)) => "run the statement that `rowtide explain` shows by hand as the same user",
        }
    }

    /// True if a row of this relation can lack a cursor value.
    pub fn cursor_is_nullable(&self) -> bool {
        let nullable = |name: &String| {
            self.definition.column_index(name).is_none_or(|index| self.definition.columns[index].may_be_null)
        };
        match self.planner.mode() {
            Mode::Bulk => false,
            Mode::Incrementing { column } => nullable(column),
            Mode::Timestamp { columns } => columns.iter().all(nullable),
            Mode::TimestampIncrementing { columns, column } => columns.iter().all(nullable) || nullable(column),
        }
    }
}

/// The style of the statements of a table.
fn style_of<'s>(spec: &'s TableSpec, syntax: &'static dyn SqlSyntax) -> SqlStyle<'s> {
    SqlStyle {
        syntax,
        quote: spec.quote_identifiers,
        unqualified: spec.unqualified,
        suffix: spec.polling.suffix.as_deref(),
        zone: spec.types.all.zone,
    }
}

/// Describes a relation, as far as its records, its key and its cursor need it: what `select *` does not give, or the
/// configuration leaves out, is not there unless key or cursor are made of it.
///
/// # Errors
/// Those of [`SourceConnection::describe`]; `Config` and `SourceSchema` where settings of the table do not fit it.
pub async fn describe(spec: &TableSpec, connection: &mut dyn SourceConnection) -> Result<TableDefinition> {
    spec.is_decided()?;
    let mut definition = connection.describe(&spec.relation, &spec.mode.timestamp).await?;
    let named = |error: Error| error.with("table", &spec.relation);
    if spec.has_comments {
        definition.take_comments(connection.comments(&spec.relation).await.map_err(named)?);
    }
    let needed = needed(spec, &definition);
    spec.columns.apply(&mut definition, &needed)?;
    if definition.columns.iter().any(|column| !column.is_visible) {
        keep(&mut definition, &needed);
    }
    if spec.record_time == RecordTime::Commit {
        definition.columns.push(connection.commit_time(&spec.relation).await.map_err(named)?);
    }
    Ok(definition)
}

/// Takes those columns out of a definition that are neither visible nor needed.
fn keep(definition: &mut TableDefinition, needed: &[String]) {
    let keeps = |column: &ColumnDefinition| column.is_visible || needed.contains(&column.field.name);
    let kept: Vec<bool> = definition.columns.iter().map(keeps).collect();
    let (mut keeps, mut left_out) = (kept.iter(), Vec::new());
    definition.columns.retain(|column| {
        let keeps = keeps.next() == Some(&true);
        if !keeps {
            left_out.push(column.field.name.clone());
        }
        keeps
    });
    definition.by_driver.retain(|column| !left_out.contains(&column.column.field.name));
    for column in &mut definition.by_driver {
        column.place = kept.iter().take(column.place).filter(|is_kept| **is_kept).count();
    }
}

/// The timestamp of records; `made` is the place of one that a transform has made.
fn timestamp_of(made: Option<usize>, time: RecordTime, planner: &Planner, definition: &TableDefinition) -> Timestamp {
    match (made, time) {
        (Some(place), _) => Timestamp::At(place),
        (None, RecordTime::Column) if planner.time_kind().is_some() => Timestamp::OfRow,
        (None, RecordTime::Commit) => {
            let place = definition.columns.iter().position(|column| column.projection == Projection::CommitTime);
            place.map_or(Timestamp::OfProducer, Timestamp::OfCommit)
        }
        (None, RecordTime::Column | RecordTime::Now) => Timestamp::OfProducer,
    }
}

/// The rule by which rows are deleted, if there is one.
fn delete_rule(spec: &TableSpec, definition: &TableDefinition, has_key: bool) -> Result<Option<DeleteRule>> {
    if spec.deletes.is_some() && !has_key {
        return Err(Error::config("delete.mode=soft needs record keys, and these records have none")
            .with("table", &definition.relation)
            .advise("set key.mode: a tombstone is a key without a value"));
    }
    spec.deletes.as_ref().map(|deletes| DeleteRule::new(deletes, definition)).transpose()
}

/// The columns that key, cursor, deletes and partitions are made of, as the table spells them.
fn needed(spec: &TableSpec, definition: &TableDefinition) -> Vec<String> {
    let mut needed = definition.primary_key.clone();
    needed.extend(key_columns(spec, definition).unwrap_or_default().iter().cloned());
    needed.extend(spec.deletes.iter().map(|deletes| deletes.column.clone()));
    if let PartitionBy::Columns(columns) = &spec.partition_by {
        needed.extend(columns.iter().cloned());
    }
    match spec.mode.resolve(definition) {
        Ok(Mode::Incrementing { column }) => needed.push(column),
        Ok(Mode::Timestamp { columns }) => needed.extend(columns),
        Ok(Mode::TimestampIncrementing { columns, column }) => needed.extend(columns.into_iter().chain([column])),
        // What is wrong with the mode is said when the relation is bound.
        Ok(Mode::Bulk) | Err(_) => {}
    }
    let places = needed.iter().filter_map(|name| definition.column_index(name));
    places.map(|index| definition.columns[index].field.name.clone()).collect()
}

/// The stored offset a table continues from, also one written under an older name.
pub fn stored_for<'a, T>(
    spec: &TableSpec,
    loaded: &'a HashMap<SourcePartition, T>,
) -> Option<(&'a SourcePartition, &'a T)> {
    match &spec.relation {
        Relation::Query(_) => loaded.get_key_value(&SourcePartition::query()),
        Relation::Table(id) if spec.unqualified => resolve(loaded, &id.name, &id.name, None),
        Relation::Table(id) => resolve(loaded, &id.to_string(), &id.name, spec.database.as_deref()),
    }
}

/// The columns the key is made of; none where records have no key, empty where the table has none of the kind.
fn key_columns<'a>(spec: &'a TableSpec, definition: &'a TableDefinition) -> Option<&'a [String]> {
    match &spec.key.columns {
        KeyColumns::None => None,
        KeyColumns::PrimaryKey => Some(&definition.primary_key),
        KeyColumns::Named(columns) => Some(columns),
    }
}

fn key_of(spec: &TableSpec, definition: &TableDefinition) -> Result<Option<(Schema, Vec<usize>)>> {
    let relation = &definition.relation;
    let Some(names) = key_columns(spec, definition) else { return Ok(None) };
    if names.is_empty() {
        let (what, advice) = match &spec.key.columns {
            KeyColumns::PrimaryKey => (
                if definition.skipped.is_empty() {
                    "key.mode=primary_key, but the relation has no primary key"
                } else {
                    "key.mode=primary_key, but the relation has no primary key, or not all of its columns are read"
                },
                "use key.mode=columns with message.key.columns, or key.mode=none",
            ),
            _ => (
                "message.key.columns has no entry for this table",
                "add one: the first whose pattern matches the dotted or the bare name counts",
            ),
        };
        return Err(Error::new(ErrorKind::SourceSchema, what).with("table", relation).advise(advice));
    }
    let mut projection = Vec::new();
    for name in names {
        let index = definition.column_index(name).ok_or_else(|| {
            let columns: Vec<&str> = definition.columns.iter().map(|column| column.field.name.as_str()).collect();
            Error::new(ErrorKind::SourceSchema, format!("message.key.columns: there is no column `{name}`"))
                .with("table", relation)
                .advise(format!("its columns are {}", columns.join(", ")))
        })?;
        projection.push(index);
    }
    let mut fields: Vec<Field> = projection.iter().map(|index| definition.columns[*index].field.clone()).collect();
    let schema = match (spec.key.bare, fields.len()) {
        (true, 1) => Schema::Field(fields.remove(0)),
        (true, count) => {
            return Err(Error::config(format!("key.format=field wants one key column, the key has {count}"))
                .with("table", relation)
                .advise("use key.format=record"));
        }
        (false, _) => {
            Schema::Record(RecordSchema { version: None, doc: None, name: spec.key.schema_name.clone(), fields })
        }
    };
    Ok(Some((schema, projection)))
}

/// A setting of a column that is not there would have no effect, in silence.
fn check_settings(spec: &TableSpec, definition: &TableDefinition) -> Result<()> {
    let all = || {
        let delivered = definition.columns.iter().map(|column| column.field.name.as_str());
        delivered.chain(definition.skipped.iter().map(|column| column.name.as_str()))
    };
    let lost = spec.types.without_column(&definition.relation, |name| all().any(|known| known == name));
    let Some((setting, column)) = lost else { return Ok(()) };
    let names: Vec<&str> = all().collect();
    Err(Error::new(ErrorKind::SourceSchema, format!("{}: there is no column `{column}`", setting.key))
        .with("table", &definition.relation)
        .advise(format!("its columns are {}", names.join(", "))))
}

/// `validate.non.null` (`querying.md`, 3.10): tables only, by the catalog.
fn check_non_null(definition: &TableDefinition, mode: &Mode) -> Result<()> {
    if matches!(definition.relation, Relation::Query(_)) {
        return Ok(());
    }
    let column = |name: &String| -> Option<&ColumnDefinition> {
        definition.column_index(name).map(|index| &definition.columns[index])
    };
    let refuse = |what: String| {
        Err(Error::new(ErrorKind::SourceSchema, what).with("table", &definition.relation).advise(
            "declare it NOT NULL, or set validate.non.null=false; rows without a cursor value can never be polled",
        ))
    };
    let (times, id) = match mode {
        Mode::Bulk => return Ok(()),
        Mode::Incrementing { column } => (&[][..], Some(column)),
        Mode::Timestamp { columns } => (columns.as_slice(), None),
        Mode::TimestampIncrementing { columns, column } => (columns.as_slice(), Some(column)),
    };
    if let Some(id) = id.filter(|id| column(id).is_some_and(|column| !column.not_null)) {
        return refuse(format!("incrementing column `{id}` may be NULL"));
    }
    if !times.is_empty() && !times.iter().any(|name| column(name).is_some_and(|column| column.not_null)) {
        return refuse(format!("every timestamp column may be NULL: {}", times.join(", ")));
    }
    Ok(())
}
