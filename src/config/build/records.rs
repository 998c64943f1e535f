//! `delete.*`, `record.timestamp` and `headers.include`.

use crate::config::judge::Judge;
use crate::config::spec::{DeleteSpec, ModeName, RecordTime, SourceHeader};
use crate::near::nearest;

const MODE: &str = "delete.mode";
const COLUMN: &str = "delete.column";
const EMIT: &str = "delete.emit";
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

/// The timestamp of records.
pub(super) fn timestamp(judge: &mut Judge, mode: Option<ModeName>) -> RecordTime {
    if !judge.text(TIME).eq_ignore_ascii_case("column") {
        return RecordTime::Now;
    }
    if matches!(mode, Some(ModeName::Bulk | ModeName::Incrementing)) {
        judge.problem(TIME, "`column` needs a mode with a timestamp column", &["mode"]);
    }
    RecordTime::Column
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
