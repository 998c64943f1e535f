//! `mode`, the columns it needs, and where it begins.

use regex::Regex;

use super::selection::has_query;
use super::tables::mode_of;
use crate::config::judge::Judge;
use crate::config::keys;
use crate::config::spec::{BeforeEpoch, ModeName, ModeSpec, OddCursorSpec, TimestampInitial};
use crate::config::values::list;

pub(super) fn build(judge: &mut Judge) -> Option<ModeSpec> {
    let incrementing_mapping = incrementing_mapping(judge);
    let timestamp_mapping = timestamp_mapping(judge);
    let timestamp_initial = timestamp_initial(judge);
    let mode = match judge.given("mode") {
        Some(word) => mode_of(word),
        None => {
            if judge.settings.get("mode").is_none() {
                let words = "bulk, incrementing, timestamp, timestamp+incrementing";
                judge.problem("mode", format!("is missing; it must be one of {words}"), &[]);
            }
            None
        }
    };
    if list(judge.text("timestamp.column.name")).contains(&"") {
        judge.problem("timestamp.column.name", "has an empty element", &[]);
    }
    if let Some(mode) = mode {
        check_columns(judge, mode);
    }
    let is_query = has_query(judge);
    let says = |key: &str, word: &str| judge.text(key).eq_ignore_ascii_case(word);
    Some(ModeSpec {
        mode: mode?,
        incrementing: judge.given("incrementing.column.name").filter(|name| !name.is_empty()).map(str::to_owned),
        timestamp: judge.elements("timestamp.column.name"),
        incrementing_mapping: if is_query { Vec::new() } else { incrementing_mapping },
        timestamp_mapping: if is_query { Vec::new() } else { timestamp_mapping },
        timestamp_initial,
        incrementing_initial: judge.given("incrementing.initial").and_then(|text| text.parse().ok()),
        validate_non_null: judge.flag("validate.non.null"),
        odd: OddCursorSpec {
            null_fails: says("cursor.null", "fail"),
            zero_date_fails: says("cursor.zero.date", "fail"),
            before_epoch: match () {
                () if says("cursor.before.epoch", "fail") => BeforeEpoch::Fail,
                () if says("cursor.before.epoch", "read") => BeforeEpoch::Read,
                () => BeforeEpoch::Ignore,
            },
            future_fails: says("cursor.future", "fail"),
        },
    })
}

/// The checks of a mode against the columns that are named.
fn check_columns(judge: &mut Judge, mode: ModeName) {
    let has_timestamp = matches!(mode, ModeName::Timestamp | ModeName::TimestampIncrementing);
    let has_incrementing = matches!(mode, ModeName::Incrementing | ModeName::TimestampIncrementing);
    let word = mode.as_str();
    let is_query = has_query(judge);
    let has_own = |key: &String| keys::table_setting(key).is_some_and(|(_, name)| name == "timestamp.column.name");
    // Where tables have some of their own, one without is found when it is bound.
    if has_timestamp && !judge.is_given("timestamp.column.name") && !judge.settings.connector.keys().any(has_own) {
        let is_mapped = !is_query && judge.is_given("timestamp.columns.mapping");
        let uses_patterns = judge.is_given("table.include.list") || judge.is_given("incrementing.column.mapping");
        let key = if uses_patterns && !is_query { "timestamp.columns.mapping" } else { "timestamp.column.name" };
        if !is_mapped {
            judge.problem(key, format!("is missing; mode {word} needs the columns that hold the time"), &["mode"]);
        }
    }
    if has_incrementing && is_query && !judge.is_given("incrementing.column.name") {
        let message = format!("is missing; a query has no auto-increment column that mode {word} could find by itself");
        judge.problem("incrementing.column.name", message, &["mode"]);
    }
    let unused = [
        ("timestamp.columns.mapping", has_timestamp, "timestamp or timestamp+incrementing"),
        ("incrementing.column.mapping", has_incrementing, "incrementing or timestamp+incrementing"),
    ];
    for (key, is_used, modes) in unused {
        if !is_used && !is_query && judge.is_given(key) {
            judge.problem(key, format!("contradicts mode {word}; remove it, or set mode to {modes}"), &["mode"]);
        }
    }
}

fn timestamp_initial(judge: &mut Judge) -> Option<TimestampInitial> {
    let number = |key: &str| judge.given(key).and_then(|text| text.parse::<i64>().ok());
    let confluent = number("timestamp.initial").map(|millis| match millis {
        -1 => TimestampInitial::Now,
        millis => TimestampInitial::Millis(millis),
    });
    let aiven = number("timestamp.initial.ms").map(TimestampInitial::Millis);
    if let (Some(one), Some(other)) = (confluent, aiven)
        && one != other
    {
        judge.problem("timestamp.initial.ms", "contradicts timestamp.initial", &["timestamp.initial"]);
    }
    confluent.or(aiven)
}

/// `regex:column`.
fn incrementing_mapping(judge: &mut Judge) -> Vec<(Regex, String)> {
    let key = "incrementing.column.mapping";
    let mut mapping = Vec::new();
    for element in judge.elements(key) {
        match element.rsplit_once(':').map(|(pattern, column)| (pattern.trim(), column.trim())) {
            Some((pattern, column)) if !pattern.is_empty() && !column.is_empty() && !column.starts_with('[') => {
                mapping.extend(judge.pattern(key, pattern).map(|pattern| (pattern, column.to_owned())));
            }
            _ => judge.problem(key, "must be a list of regex:column", &[]),
        }
    }
    mapping
}

/// `regex:[column|column]`.
fn timestamp_mapping(judge: &mut Judge) -> Vec<(Regex, Vec<String>)> {
    let key = "timestamp.columns.mapping";
    let mut mapping = Vec::new();
    for element in judge.elements(key) {
        let parts = element
            .rsplit_once(":[")
            .and_then(|(pattern, columns)| Some((pattern.trim(), columns.trim().strip_suffix(']')?)));
        let (pattern, columns) = parts.unwrap_or_default();
        let columns: Vec<_> = columns.split('|').map(|column| column.trim().to_owned()).collect();
        if pattern.is_empty() || columns.iter().any(String::is_empty) {
            judge.problem(key, "must be a list of regex:[column|column]", &[]);
            continue;
        }
        mapping.extend(judge.pattern(key, pattern).map(|pattern| (pattern, columns)));
    }
    mapping
}
