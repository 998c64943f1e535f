//! The specification, built from judged settings: one file per part, each with the checks of keys against each other
//! that concern its part (`connector-config.md`, 3, read as the superset of section 14: what some version of the
//! connectors accepts is accepted, only contradictions are refused).

mod converters;
mod errors;
mod guard;
mod kafka;
mod key;
mod mode;
mod records;
mod rest;
mod selection;
mod source;
mod tables;
mod topics;
mod transforms;
mod types;

use super::judge::Judge;
use super::spec::{
    ConnectorSpec, ConverterSpec, DeleteSpec, HostSpec, IdentitySpec, KeyMode, KeySpec, ModeName, PartitionBy,
    RecordTime, Recreated, RestSpec, SchemaChange, ServerIdentity, SourceHeader, TableRules, WorkerSpec,
};
use crate::sql::Grammar;
use crate::transform::ChainSpec;

/// Aiven's class; some defaults follow from it.
const AIVEN: &str = "io.aiven.connect.jdbc.JdbcSourceConnector";

/// The connector, if nothing is wrong with it.
pub(super) fn connector(judge: &mut Judge) -> Option<ConnectorSpec> {
    if !judge.settings.connector.contains_key("name") {
        judge.problem("name", "is missing; the connector's offsets and transactions carry it", &[]);
    }
    let source = source::build(judge);
    let grammar = source.as_ref().and_then(|source| Grammar::of(&source.url.dialect));
    let tables = tables::build(judge, grammar);
    let selection = selection::build(judge, grammar);
    let mode = mode::build(judge);
    let dialect = source.as_ref().map(|source| source.url.dialect.as_str());
    // Where tables have modes of their own, each is judged when it is bound.
    let is_common = |mode: &ModeName| tables.modes().all(|other| other == *mode);
    let common_mode = mode.as_ref().map(|mode| mode.mode).filter(is_common);
    let records = record_parts(judge, &tables, dialect, common_mode);
    let kafka = kafka::build(judge);
    let offsets = kafka::offsets(judge);
    let topics = topics::build(judge);
    let naming = topics::naming(judge, &offsets);
    let schema_naming = topics::schema_naming(judge);
    let errors = errors::build(judge, &offsets);
    let polling = source::polling(judge, grammar);
    let guard = guard::build(judge, dialect, common_mode);
    if !judge.report.is_good() {
        return None;
    }
    let (key_converter, value_converter) = records.converters?;
    Some(ConnectorSpec {
        name: judge.text("name").to_owned(),
        origin: judge.report.origin.clone(),
        source: source.map(|source| source.with_tables(&tables))?,
        identity: identity(judge),
        selection,
        mode: mode?,
        polling,
        guard,
        naming,
        schema_naming,
        tables,
        key: records.key,
        deletes: records.deletes,
        partition_by: records.partition_by,
        record_time: records.time,
        source_headers: records.source_headers,
        header_converter: records.header_converter?,
        has_comments: records.has_comments,
        schema_change: schema_change(judge),
        memory_max: usize::try_from(judge.number("memory.max.bytes")).unwrap_or(usize::MAX),
        tasks_max: usize::try_from(judge.number("tasks.max")).unwrap_or(1),
        key_converter,
        value_converter,
        kafka,
        offsets,
        topics,
        transforms: records.transforms,
        errors,
        notes: judge.notes.clone(),
    })
}

/// The parts of the specification that make a record of a row.
struct RecordParts {
    key: KeySpec,
    transforms: ChainSpec,
    deletes: Option<DeleteSpec>,
    partition_by: PartitionBy,
    time: RecordTime,
    converters: Option<(ConverterSpec, ConverterSpec)>,
    has_comments: bool,
    source_headers: Vec<SourceHeader>,
    header_converter: Option<ConverterSpec>,
}

fn record_parts(
    judge: &mut Judge,
    tables: &TableRules,
    dialect: Option<&str>,
    common_mode: Option<ModeName>,
) -> RecordParts {
    let key = key::build(judge);
    let transforms = transforms::build(judge);
    let keyless = matches!(key.mode, KeyMode::None) && !transforms.makes_keys() && !tables.make_keys();
    let deletes = records::deletes(judge, keyless);
    let partition_by = records::partition_by(judge, keyless);
    let time = records::timestamp(judge, common_mode, dialect);
    let converters = converters::build(judge, keyless);
    let has_comments = records::comments(judge, dialect, converters.as_ref());
    let source_headers = records::headers(judge);
    let header_converter = converters::headers(judge);
    RecordParts {
        key,
        transforms,
        deletes,
        partition_by,
        time,
        converters,
        has_comments,
        source_headers,
        header_converter,
    }
}

fn schema_change(judge: &Judge) -> SchemaChange {
    match judge.text("schema.change").to_ascii_lowercase().as_str() {
        "pause-table" => SchemaChange::PauseTable,
        "fail" => SchemaChange::Fail,
        _ => SchemaChange::Evolve,
    }
}

fn identity(judge: &Judge) -> IdentitySpec {
    IdentitySpec {
        server: match judge.text("server.identity").to_ascii_lowercase().as_str() {
            "cluster" => ServerIdentity::Cluster,
            "off" => ServerIdentity::Off,
            _ => ServerIdentity::Host,
        },
        recreated: match judge.text("table.recreated").to_ascii_lowercase().as_str() {
            "follow" => Recreated::Follow,
            _ => Recreated::Fail,
        },
    }
}

/// The worker alone, if nothing is wrong with it.
pub(super) fn worker(judge: &mut Judge) -> Option<WorkerSpec> {
    let converters = converters::build(judge, false);
    let kafka = kafka::build(judge);
    let offsets = kafka::offsets(judge);
    let (key_converter, value_converter) = converters?;
    let notes = judge.notes.clone();
    judge.report.is_good().then_some(WorkerSpec { kafka, offsets, key_converter, value_converter, notes })
}

/// A process that takes connectors by REST, if nothing is wrong with its settings.
pub(super) fn host(judge: &mut Judge) -> Option<HostSpec> {
    let kafka = kafka::build(judge);
    let configs = rest::configs(judge);
    let rest = rest::build(judge);
    let notes = judge.notes.clone();
    judge.report.is_good().then_some(HostSpec { kafka, configs, rest, notes })
}

/// The listeners of a process alone.
pub(super) fn rest(judge: &mut Judge) -> Option<RestSpec> {
    let rest = rest::build(judge);
    judge.report.is_good().then_some(rest)
}
