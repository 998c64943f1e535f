//! The explanation of a table: its reads and writes, and their starting point, for `rowtide explain` and REST. Writes
//! nothing.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::inspect::{self, CursorKnown};
use crate::config::spec::{ConnectorSpec, KeyColumns, Selection};
use crate::convert::SchemaPreview;
use crate::dialect::{Dialect, PlanReport, Row, SourceConnection};
use crate::error::{Error, Result};
use crate::guard::Choice;
use crate::model::{CursorValue, EncodedBatch, PlannedQuery, Relation, SourcePartition};
use crate::offsets::StoredOffset;
use crate::reader::{CutRule, Limits, Tolerance, read_page};
use crate::task::binding::{Binding, Converters, stored_for};
use crate::task::driver_types::DriverChoice;
use crate::task::facts;
use crate::task::guard::choose_method;
use crate::task::load::first_load;

/// The facts shown of one table.
pub(crate) struct Explanation {
    pub(crate) table: String,
    /// The settings it has by a pattern.
    pub(crate) settings: Vec<String>,
    pub(crate) mode: &'static str,
    pub(crate) sql: String,
    pub(crate) binds: Vec<String>,
    pub(crate) plan: PlanReport,
    pub(crate) index_ddl: Option<String>,
    /// The end of a page, in words.
    pub(crate) ends: String,
    /// The order in which it is read for the first time, in the modes with a timestamp.
    pub(crate) first_load: Option<String>,
    pub(crate) unique_by: Option<Vec<String>>,
    pub(crate) topic: String,
    /// The choice of partitions, in words.
    pub(crate) partition: Option<String>,
    pub(crate) key: Option<SchemaPreview>,
    /// The configuration gives it a key.
    pub(crate) wants_key: bool,
    pub(crate) value: SchemaPreview,
    pub(crate) cursor: CursorKnown,
    pub(crate) guard: Choice,
    pub(crate) offset: Option<StoredOffset>,
    pub(crate) skipped: Vec<String>,
    /// The changes that each transform makes, in words.
    pub(crate) transforms: Vec<String>,
    /// The rows that count as deleted, and their records, in words.
    pub(crate) deletes: Option<String>,
    pub(crate) by_driver: Vec<DriverChoice>,
    pub(crate) samples: Vec<Sample>,
}

/// A record as the console consumer would print it.
pub(crate) struct Sample {
    pub(crate) key: Option<String>,
    /// None of a deleted row's tombstone.
    pub(crate) value: Option<String>,
}

/// Explains a table; with so many samples.
///
/// # Errors
/// The reason why the table cannot be polled; those of the connection.
pub(crate) async fn table(
    spec: &ConnectorSpec,
    dialect: &'static dyn Dialect,
    connection: &mut dyn SourceConnection,
    relation: &Relation,
    stored: &BTreeMap<SourcePartition, StoredOffset>,
    sample: usize,
) -> Result<Explanation> {
    let table = spec.for_table(relation);
    let binding = inspect::binding(spec, dialect, connection, relation).await?;
    let cursor = inspect::cursor(spec, connection, &binding).await?;
    let zone = &spec.source.types.all.zone;
    let by_partition = stored.iter().map(|(partition, stored)| (partition.clone(), stored.clone())).collect();
    let offset = stored_for(&table, &by_partition).map(|(_, stored)| stored.clone());
    let position = match &offset {
        Some(stored) => binding.planner.position_of(&stored.offset, zone)?,
        None => None,
    };
    let (plan, query) = inspect::plan(spec, connection, &binding, position.as_ref()).await?;
    let first_load = match binding.planner.time_kind() {
        Some(_) => {
            let rows = connection.estimate_rows(relation).await?;
            Some(first_load(&table, dialect.syntax(), connection, (&binding, rows)).await?.to_string())
        }
        None => None,
    };
    let (keys, values) = (spec.key_converter.create()?, spec.value_converter.create()?);
    let key = binding.key_side().map(|side| keys.preview(side)).transpose()?;
    let value = values.preview(binding.value_side())?;
    let samples = match sample {
        0 => Vec::new(),
        count => samples(spec, connection, &binding, (key.as_ref(), &value), count).await?,
    };
    Ok(Explanation {
        table: relation.to_string(),
        settings: table.applied.iter().map(ToString::to_string).collect(),
        mode: binding.planner.mode().as_str(),
        binds: query.binds.iter().map(|bind| literal(&bind.value)).collect(),
        sql: shown_sql(spec, &query),
        plan,
        index_ddl: binding.planner.index_ddl(),
        ends: binding.planner.ends(),
        first_load,
        unique_by: binding.planner.unique_by().map(<[String]>::to_vec),
        topic: binding.topic.to_string(),
        partition: binding.partition(),
        key,
        value,
        cursor,
        guard: choose_method(&table, connection, &binding).await?.choice,
        offset,
        transforms: binding.notes.clone(),
        skipped: binding.definition.skipped.iter().map(|c| format!("{} ({})", c.name, c.database_type)).collect(),
        deletes: binding.deletes(),
        by_driver: binding.by_driver,
        samples,
        wants_key: table.key.columns != KeyColumns::None,
    })
}

/// `query.masked` is not shown.
fn shown_sql(spec: &ConnectorSpec, query: &PlannedQuery) -> String {
    match &spec.selection {
        Selection::Query { sql, masked: true } => query.sql.replace(sql.as_str(), "[query.masked]"),
        _ => query.sql.clone(),
    }
}

fn literal(value: &CursorValue<'_>) -> String {
    match value {
        CursorValue::Integer(id) => id.to_string(),
        CursorValue::Unsigned(id) => id.to_string(),
        CursorValue::Timestamp(micros) => {
            crate::model::Instant::from_micros(*micros).to_rfc3339().trim_end_matches('Z').to_owned()
        }
        CursorValue::Real(days) => days.to_string(),
        CursorValue::Text(text) => format!("'{text}'"),
        CursorValue::Null => "null".to_owned(),
    }
}

/// The first rows of the table as records, decoded again from the very bytes that would be sent.
async fn samples(
    spec: &ConnectorSpec,
    connection: &mut dyn SourceConnection,
    binding: &Binding,
    (key_schema, value_schema): (Option<&SchemaPreview>, &SchemaPreview),
    count: usize,
) -> Result<Vec<Sample>> {
    let (keys, values) = (spec.key_converter.create()?, spec.value_converter.create()?);
    let headers = spec.header_converter.create()?;
    let encoder = binding.sample_encoder(Converters { keys: &*keys, values: &*values, headers: &*headers })?;
    let encode = |row: &Row<'_>, batch: &mut EncodedBatch| encoder.encode(row.values, row.cursor, batch);
    let upper = facts::upper(connection, &binding.planner, &spec.polling).await?;
    let query = binding.planner.page(None, upper.as_ref(), count);
    let batch = EncodedBatch::new(binding.topic.clone(), count, 64);
    let rule = CutRule { page: None, null_fails: false, tolerance: Tolerance::default() };
    let limits = Limits { rows: count, bytes: usize::MAX };
    let mut stream = connection.fetch(&binding.definition, &query).await?;
    let page = read_page(&mut *stream, &encode, rule, limits, batch, None).await?;
    page.batch
        .records()
        .map(|record| {
            let key = match (record.key, key_schema) {
                (Some(bytes), Some(schema)) => Some(keys.render_sample(schema, bytes)?),
                _ => None,
            };
            let value = record.value.map(|value| values.render_sample(value_schema, value)).transpose()?;
            Ok(Sample { key, value })
        })
        .collect()
}

/// Rendered JSON, as JSON.
fn parsed(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|_| Json::from(text))
}

/// A table that cannot be explained, with the reason.
pub(crate) fn failure(relation: &Relation, error: &Error) -> Json {
    json!({"table": relation.to_string(), "error": error.report(), "advice": error.advice()})
}

impl Explanation {
    /// One JSON object.
    pub(crate) fn json(&self) -> Json {
        let preview = |preview: &SchemaPreview| json!({"subject": preview.subject, "schema": preview.schema.as_deref().map(parsed)});
        json!({
            "table": self.table,
            "settings": self.settings,
            "mode": self.mode,
            "sql": self.sql,
            "bound": self.binds,
            "plan": self.plan.lines,
            "index_serves": self.plan.index_serves,
            "index_ddl": self.index_ddl.as_ref().filter(|_| !self.plan.index_serves),
            "pages_end": self.ends,
            "first_load": self.first_load,
            "unique_by": self.unique_by,
            "topic": self.topic,
            "partition": self.partition,
            "key": self.key.as_ref().map(preview),
            "value": preview(&self.value),
            "transforms": self.transforms,
            "deletes": self.deletes,
            "left_out": self.skipped,
            "driver_types": self.by_driver.iter().map(|choice| (choice.column.clone(), json!(choice.text))).collect::<Map<_, _>>(),
            "cursor_facts": self.cursor.facts,
            "not_polled": self.cursor.not_polled,
            "guard": self.guard.to_string(),
            "stored_offset": self.offset.as_ref().map(|stored| json!({
                "position": stored.offset.to_string(),
                "topic": stored.topic,
                "partition": stored.partition,
                "offset": stored.kafka_offset,
            })),
            "samples": self.samples.iter().map(|sample| {
                json!({"key": sample.key.as_deref().map(parsed), "value": sample.value.as_deref().map(parsed)})
            }).collect::<Vec<_>>(),
        })
    }
}
