//! `rowtide explain`: the reads and writes of each table, and their starting points. Writes nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value as Json, json};

use super::{ConfigArgs, check, ddl, output};
use crate::config::spec::{ConnectorSpec, KeyColumns, Selection};
use crate::connector::inspect::CursorKnown;
use crate::connector::{catalog, inspect, offset_tools};
use crate::convert::SchemaPreview;
use crate::dialect::{Dialect, PlanReport, Row, SourceConnection, dialect_of};
use crate::error::Result;
use crate::guard::Choice;
use crate::model::{CursorValue, EncodedBatch, PlannedQuery, Relation, SourcePartition};
use crate::offsets::StoredOffset;
use crate::reader::{CutRule, Limits, Tolerance, read_page};
use crate::task::binding::{Binding, Converters, stored_for};
use crate::task::driver_types::DriverChoice;
use crate::task::guard::choose_method;

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Connector configurations; `-` is standard input.
    #[arg(required = true, value_name = "CONNECTOR")]
    connectors: Vec<String>,
    /// Read so many rows and show their records, encoded and decoded again.
    #[arg(long, value_name = "N", default_value_t = 0)]
    sample: usize,
    /// Print the table that a reader of the topics needs, and nothing else.
    #[arg(long, value_name = "READER", conflicts_with_all = ["sample", "json"])]
    ddl: Option<ddl::Target>,
    /// One JSON document instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// The facts shown of one table.
struct Explanation {
    table: String,
    /// The settings it has by a pattern.
    settings: Vec<String>,
    mode: &'static str,
    sql: String,
    binds: Vec<String>,
    plan: PlanReport,
    index_ddl: Option<String>,
    /// The end of a page, in words.
    ends: String,
    unique_by: Option<Vec<String>>,
    topic: String,
    /// The choice of partitions, in words.
    partition: Option<String>,
    key: Option<SchemaPreview>,
    /// The configuration gives it a key.
    wants_key: bool,
    value: SchemaPreview,
    cursor: CursorKnown,
    guard: Choice,
    offset: Option<StoredOffset>,
    skipped: Vec<String>,
    /// The changes that each transform makes, in words.
    transforms: Vec<String>,
    /// The rows that count as deleted, and their records, in words.
    deletes: Option<String>,
    by_driver: Vec<DriverChoice>,
    samples: Vec<Sample>,
}

/// A record as the console consumer would print it.
struct Sample {
    key: Option<String>,
    /// None of a deleted row's tombstone.
    value: Option<String>,
}

pub(super) async fn run(args: ExplainArgs) -> u8 {
    let specs = match output::load(&args.connectors, &args.config) {
        Ok(specs) => specs,
        Err(code) => return code,
    };
    let mut documents = Vec::new();
    let mut code = 0;
    for spec in &specs {
        if let Some(target) = args.ddl {
            let printed = print_definitions(spec, target, &args.config).await;
            code = code.max(printed.unwrap_or_else(|error| output::fail(&error)));
            continue;
        }
        match explain_connector(spec, &args).await {
            Ok((document, failed)) => {
                documents.push(document);
                code = code.max(failed);
            }
            Err(error) => code = code.max(output::fail(&error)),
        }
    }
    if args.json {
        let text = serde_json::to_string_pretty(&documents).unwrap_or_default();
        if let Err(error) = output::print(&format!("{text}\n")) {
            return output::fail(&error);
        }
    }
    code
}

/// Prints what a reader needs of each table; an exit code. Asks the database only.
async fn print_definitions(spec: &ConnectorSpec, target: ddl::Target, config: &ConfigArgs) -> Result<u8> {
    let dialect = dialect_of(&spec.source)?;
    let what = format!("database {}", spec.source.url);
    let mut connection = output::within(config.timeout, &what, dialect.connect(&spec.source)).await?;
    let relations = output::within(config.timeout, &what, catalog::relations(spec, dialect, &mut *connection)).await?;
    let mut code = 0;
    for (at, relation) in relations.iter().enumerate() {
        let bound = inspect::binding(spec, dialect, &mut *connection, relation);
        let bound = output::within(config.timeout, &what, bound).await;
        match bound.and_then(|binding| ddl::statement(target, spec, &binding)) {
            Ok(text) => output::print(&format!("{}{text}", if at == 0 { "" } else { "\n" }))?,
            Err(error) => code = code.max(output::fail(&error)),
        }
    }
    connection.close().await;
    Ok(code)
}

async fn explain_connector(spec: &ConnectorSpec, args: &ExplainArgs) -> Result<(Json, u8)> {
    let timeout = args.config.timeout;
    let dialect = dialect_of(&spec.source)?;
    let what = format!("database {}", spec.source.url);
    let mut connection = output::within(timeout, &what, dialect.connect(&spec.source)).await?;
    let selected = output::within(timeout, &what, catalog::selected(spec, dialect, &mut *connection)).await?;
    let catalog::Selected { relations, nothing, notes, .. } = selected;
    if let Some(nothing) = nothing {
        return Err(nothing);
    }
    output::reach(&spec.kafka, timeout).await?;
    let stored = output::within(timeout, "the offsets topic", offset_tools::load(spec)).await?;
    if !args.json {
        output::print(&format!("connector {} on {} ({})\n", spec.name, spec.source.url, connection.server()))?;
        let found = inspect::server_of(spec.identity.server, &mut *connection);
        let found = output::within(timeout, &what, found).await?;
        let server = inspect::server(spec, found.as_ref(), stored.server.as_ref());
        output::print(&format!("server {}\n", server.unwrap_or_else(|error| error.report())))?;
        for note in &notes {
            output::print(&format!("note {note}\n"))?;
        }
    }
    let mut tables = Vec::new();
    let mut code = 0;
    for relation in relations {
        let explained = explain_table(spec, dialect, &mut *connection, &relation, &stored.offsets, args.sample);
        match output::within(timeout, &what, explained).await {
            Ok(explanation) if args.json => tables.push(explanation.json()),
            Ok(explanation) => output::print(&explanation.text())?,
            Err(error) => {
                code = code.max(error.kind().exit_code());
                if args.json {
                    tables.push(
                        json!({"table": relation.to_string(), "error": error.report(), "advice": error.advice()}),
                    );
                } else {
                    let (report, advice, more) = (error.report(), error.advice(), error.root_kind().reference());
                    output::print(&format!(
                        "\n{relation}\n  cannot be polled: {report}\n  what to do: {advice}\n  more: {more}\n"
                    ))?;
                }
            }
        }
    }
    let remembered = stored.server.map(|server| server.identity);
    let server = json!({"identity": connection.identity(), "remembered": remembered});
    connection.close().await;
    let source = spec.source.url.to_string();
    Ok((json!({"connector": spec.name, "source": source, "server": server, "notes": notes, "tables": tables}), code))
}

async fn explain_table(
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
    let upper = inspect::upper(spec, connection, binding).await?;
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

impl Explanation {
    fn text(&self) -> String {
        let mut text = format!("\n{}\n", self.table);
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "  {name:<14}{}", value.replace('\n', "\n                "));
        };
        if !self.settings.is_empty() {
            line("settings", &self.settings.join("\n"));
        }
        line("mode", self.mode);
        line("sql", &self.sql);
        if !self.binds.is_empty() {
            line("bound", &self.binds.join(", "));
        }
        line("plan", &self.plan.lines.join("\n"));
        line("index", &self.index_verdict());
        line("pages end", &self.ends);
        line("topic", &self.topic);
        line("partition", self.partition.as_deref().unwrap_or("any, as the records have no key"));
        if !self.transforms.is_empty() {
            line("transforms", &self.transforms.join("\n"));
        }
        if let Some(deletes) = &self.deletes {
            line("deletes", deletes);
        }
        match &self.key {
            Some(key) => {
                line("key subject", key.subject.as_deref().unwrap_or("none"));
                line("key schema", key.schema.as_deref().unwrap_or("none"));
            }
            None if !self.wants_key => line("key", check::UNKEYED),
            None => line("key", "none"),
        }
        line("value subject", self.value.subject.as_deref().unwrap_or("none"));
        line("value schema", self.value.schema.as_deref().unwrap_or("none"));
        if !self.skipped.is_empty() {
            line("left out", &self.skipped.join(", "));
        }
        for DriverChoice { column, text } in &self.by_driver {
            line("type", &format!("{column}: {text}"));
        }
        for fact in &self.cursor.facts {
            line("cursor", &fact.to_string());
        }
        for rows in &self.cursor.not_polled {
            line("not polled", &rows.text);
        }
        if let Some(error) = &self.cursor.blind {
            line("not polled", &format!("could not be counted: {}", error.report()));
        }
        line("guard", &self.guard.to_string());
        line("stored offset", &self.shown_offset());
        for sample in &self.samples {
            match &sample.key {
                Some(key) => line("sample", &format!("{key}\t{}", sample.value.as_deref().unwrap_or("null"))),
                None => line("sample", sample.value.as_deref().unwrap_or("null")),
            }
        }
        text
    }

    fn shown_offset(&self) -> String {
        match &self.offset {
            Some(stored) => format!(
                "{} (topic {}, partition {}, offset {})",
                stored.offset, stored.topic, stored.partition, stored.kafka_offset
            ),
            None => "none; the first run reads from the beginning, or from the configured start".to_owned(),
        }
    }

    fn index_verdict(&self) -> String {
        match (&self.index_ddl, self.plan.index_serves) {
            // The verdict is about the table once it has grown; the plan shown is today's.
            (_, true) if self.plan.lines.iter().any(|line| line.contains("Seq Scan")) => {
                "served by an index, although the database prefers a scan while the table is small".to_owned()
            }
            (_, true) => "served by an index".to_owned(),
            (Some(ddl), false) => {
                format!("NOT served by an index: every poll scans or sorts; this would serve it:\n{ddl};")
            }
            (None, false) => "no index serves it; every poll reads the whole result".to_owned(),
        }
    }

    fn json(&self) -> Json {
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
            "unique_by": self.unique_by,
            "topic": self.topic,
            "partition": self.partition,
            "key": self.key.as_ref().map(preview),
            "value": preview(&self.value),
            "transforms": self.transforms,
            "deletes": self.deletes,
            "left_out": self.skipped,
            "driver_types": self.by_driver.iter().map(|choice| (choice.column.clone(), json!(choice.text))).collect::<serde_json::Map<_, _>>(),
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
