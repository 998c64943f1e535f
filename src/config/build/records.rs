//! `delete.*`, `partition.by`, `record.timestamp`, `schema.doc` and `headers.include`.

use super::selection::has_query;
use crate::config::judge::Judge;
use crate::config::spec::{ConverterSpec, DeleteSpec, ModeName, PartitionBy, RecordTime, SourceHeader};
use crate::near::nearest;

const MODE: &str = "delete.mode";
const COLUMN: &str = "delete.column";
const EMIT: &str = "delete.emit";
const PARTITION_BY: &str = "partition.by";
const DOC: &str = "schema.doc";
const TIME: &str = "record.timestamp";
const HEADERS: &str = "headers.include";

/// Deletes by flag; `keyless`: no record has a key.
pub(super) fn deletes(judge: &mut Judge, keyless: bool) -> Option<DeleteSpec> {
    let is_soft = judge.text(MODE).eq_ignore_ascii_case("soft");
    if !is_soft {
        for key in [COLUMN, EMIT] {
            if judge.is_given(key) {
                judge.problem(key, format!("has no effect without {MODE}=soft"), &[MODE]);
            }
        }
        return None;
    }
    if keyless {
        let message =
            "needs record keys, for a tombstone is a key without a value; set key.mode, or transforms=ValueToKey";
        judge.problem(MODE, message, &["key.mode"]);
    }
    let text = judge.text(COLUMN).to_owned();
    let (column, value) = match text.split_once('=') {
        Some((column, value)) => (column.trim(), Some(value.trim().to_owned())),
        None => (text.trim(), None),
    };
    if column.is_empty() {
        judge.problem(COLUMN, format!("is missing; {MODE}=soft needs the column that flags deleted rows"), &[MODE]);
        return None;
    }
    let with_row = judge.text(EMIT).eq_ignore_ascii_case("both");
    Some(DeleteSpec { column: column.to_owned(), value, with_row })
}

/// The partition of records; `keyless`: no record has a key.
pub(super) fn partition_by(judge: &mut Judge, keyless: bool) -> PartitionBy {
    let by = PartitionBy::of(judge.text(PARTITION_BY)).unwrap_or(PartitionBy::Key);
    if keyless && by == PartitionBy::Key && judge.is_given(PARTITION_BY) {
        judge.warning(
            PARTITION_BY,
            "`key` has no effect: records have no key (key.mode), and are spread over all partitions",
        );
    }
    by
}

/// The timestamp of records.
pub(super) fn timestamp(judge: &mut Judge, mode: Option<ModeName>, dialect: Option<&str>) -> RecordTime {
    if judge.text(TIME).eq_ignore_ascii_case("commit") {
        if dialect.is_some_and(|dialect| dialect != "postgresql") {
            let message = "`commit`: only PostgreSQL tells when a row was committed; use `column`, or `now`";
            judge.problem(TIME, message, &["connection.url"]);
        }
        if has_query(judge) {
            let message = "`commit`: the rows of a query do not tell their transaction; poll the table itself";
            judge.problem(TIME, message, &["query"]);
        }
        return RecordTime::Commit;
    }
    if !judge.text(TIME).eq_ignore_ascii_case("column") {
        return RecordTime::Now;
    }
    if matches!(mode, Some(ModeName::Bulk | ModeName::Incrementing)) {
        judge.problem(TIME, "`column` needs a mode with a timestamp column", &["mode"]);
    }
    RecordTime::Column
}

/// Comments of the database as descriptions in schemas.
pub(super) fn comments(
    judge: &mut Judge,
    dialect: Option<&str>,
    converters: Option<&(ConverterSpec, ConverterSpec)>,
) -> bool {
    if !judge.text(DOC).eq_ignore_ascii_case("comments") {
        return false;
    }
    if dialect == Some("sqlite") {
        judge.problem(DOC, "`comments`: SQLite keeps no comments on tables and columns", &["connection.url"]);
    }
    if let Some((key, value)) = converters
        && !key.has_descriptions()
        && !value.has_descriptions()
    {
        let message = format!(
            "`comments` has no effect: {} and {} write no schema with descriptions",
            key.definition.name, value.definition.name
        );
        judge.warning(DOC, message);
    }
    true
}

/// The headers about the source.
pub(super) fn headers(judge: &mut Judge) -> Vec<SourceHeader> {
    let mut headers = Vec::new();
    for word in judge.elements(HEADERS) {
        match SourceHeader::ALL.iter().find(|(_, known, _)| *known == word.to_ascii_lowercase()) {
            Some((header, ..)) if !headers.contains(header) => headers.push(*header),
            Some(_) => {}
            None => {
                let known = || SourceHeader::ALL.iter().map(|(_, known, _)| *known);
                let message = format!("has an element that is none of {}", known().collect::<Vec<_>>().join(", "));
                let problem = judge.about(HEADERS, message).meant(nearest(&word, known()).map(str::to_owned));
                judge.report.problems.push(problem);
            }
        }
    }
    headers
}
