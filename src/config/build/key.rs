//! The record key.

use super::selection::has_query;
use crate::config::judge::Judge;
use crate::config::spec::{KeyMode, KeySpec};

const COLUMNS: &str = "message.key.columns";

pub(super) fn build(judge: &mut Judge) -> KeySpec {
    let word = judge.text("key.mode").to_lowercase().replace('-', "_");
    let bare = judge.text("key.format").eq_ignore_ascii_case("field");
    let columns = columns(judge);
    if word != "columns" && judge.is_given(COLUMNS) {
        judge.problem(COLUMNS, format!("needs key.mode=columns, but key.mode is {word}"), &["key.mode"]);
    }
    if word == "columns" && !judge.is_given(COLUMNS) {
        judge.problem(COLUMNS, "is missing; key.mode=columns needs it", &["key.mode"]);
    }
    if word == "primary_key" && has_query(judge) {
        let message = "a query has no primary key; use key.mode=columns with message.key.columns=query:column";
        judge.problem("key.mode", message, &["query"]);
    }
    if bare && columns.iter().any(|(_, columns)| columns.len() > 1) {
        judge.problem(
            "key.format",
            "`field` needs a key of one column, and message.key.columns names more",
            &[COLUMNS],
        );
    }
    for key in ["key.format", "key.schema.name"] {
        if word == "none" && judge.is_given(key) {
            judge.warning(key, "has no effect while key.mode is none");
        }
    }
    if bare && word != "none" && judge.is_given("key.schema.name") {
        judge.warning("key.schema.name", "has no effect with key.format=field");
    }
    let mode = match word.as_str() {
        "primary_key" => KeyMode::PrimaryKey,
        "columns" => KeyMode::Columns(columns),
        _ => KeyMode::None,
    };
    let schema_name = judge.given("key.schema.name").filter(|name| !name.is_empty()).map(str::to_owned);
    KeySpec { mode, bare, schema_name }
}

/// `table:column,column;table:column`.
fn columns(judge: &mut Judge) -> Vec<(regex::Regex, Vec<String>)> {
    let text = judge.text(COLUMNS).to_owned();
    let mut columns = Vec::new();
    for element in text.split(';').map(str::trim).filter(|element| !element.is_empty()) {
        let (pattern, names) = element.rsplit_once(':').unwrap_or_default();
        let names: Vec<_> = names.split(',').map(|name| name.trim().to_owned()).collect();
        let mut unique = names.clone();
        unique.sort();
        unique.dedup();
        if pattern.trim().is_empty() || names.iter().any(String::is_empty) || unique.len() < names.len() {
            judge.problem(COLUMNS, "must be table:column,column;table:column, each column once", &[]);
            continue;
        }
        columns.extend(judge.pattern(COLUMNS, pattern.trim()).map(|pattern| (pattern, names)));
    }
    columns
}
