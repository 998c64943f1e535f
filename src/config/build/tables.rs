//! `table.PATTERN.SETTING`: settings of single tables.

use std::time::Duration;

use super::selection::has_query;
use super::source::windows;
use super::topics::template;
use crate::config::judge::Judge;
use crate::config::keys;
use crate::config::spec::rules::{KeyWord, TablePattern, TableRule, TableSetting};
use crate::config::spec::{ColumnPattern, ModeName, PartitionBy, TableRules};
use crate::config::values::list;
use crate::sql::{self, Grammar};

/// The mode of a word.
pub(super) fn mode_of(word: &str) -> Option<ModeName> {
    Some(match word {
        "bulk" => ModeName::Bulk,
        "incrementing" => ModeName::Incrementing,
        "timestamp" => ModeName::Timestamp,
        "timestamp+incrementing" => ModeName::TimestampIncrementing,
        _ => return None,
    })
}

pub(super) fn build(judge: &mut Judge, grammar: Option<Grammar>) -> TableRules {
    let keys: Vec<String> =
        judge.settings.connector.keys().filter(|key| keys::table_setting(key).is_some()).cloned().collect();
    if let (Some(first), true) = (keys.first(), has_query(judge)) {
        let message =
            "is a setting of a table, and a query has none; write it into the query, or give the key without the table";
        judge.problem(first, message, &["query"]);
        return TableRules::default();
    }
    let mut rules = Vec::new();
    for key in keys {
        let Some((pattern, name)) = keys::table_setting(&key).map(|(pattern, name)| (pattern.to_owned(), name)) else {
            continue;
        };
        let Some(text) = judge.given(&key).map(str::to_owned) else { continue };
        if let Some(setting) = setting(judge, &key, name, &text, grammar) {
            rules.push(TableRule { pattern: TablePattern(pattern), name, setting, key });
        }
    }
    contradictions(judge, &rules);
    TableRules::new(rules)
}

fn setting(judge: &mut Judge, key: &str, name: &str, text: &str, grammar: Option<Grammar>) -> Option<TableSetting> {
    let names = || list(text).into_iter().filter(|name| !name.is_empty()).map(str::to_owned);
    let columns = || names().map(ColumnPattern).collect();
    Some(match name {
        "mode" => TableSetting::Mode(mode_of(text)?),
        "incrementing.column.name" => TableSetting::Incrementing(Some(text.to_owned()).filter(|name| !name.is_empty())),
        "timestamp.column.name" => TableSetting::Timestamp(names().collect()),
        "key.mode" => TableSetting::KeyMode(match text.to_lowercase().replace('-', "_").as_str() {
            "primary_key" => KeyWord::PrimaryKey,
            "columns" => KeyWord::Columns,
            _ => KeyWord::None,
        }),
        "message.key.columns" => TableSetting::KeyColumns(names().collect()),
        "topic" => TableSetting::Topic(template(judge, key, text)?),
        "partition.by" => TableSetting::PartitionBy(PartitionBy::of(text)?),
        "poll.interval.ms" => TableSetting::Interval(Duration::from_millis(text.parse::<u64>().unwrap_or_default())),
        "poll.windows" => TableSetting::Windows(windows(judge, key, text)?),
        "where" => TableSetting::Where(condition(judge, key, grammar)?),
        "columns.include" => TableSetting::Include(columns()),
        "columns.exclude" => TableSetting::Exclude(columns()),
        _ => return None,
    })
}

/// A condition as the database takes it; inside none where it is empty.
fn condition(judge: &mut Judge, key: &str, grammar: Option<Grammar>) -> Option<Option<String>> {
    // As it is in the file, so that lines and columns are those of the file's value.
    let text = judge.settings.get(key)?.text.clone();
    let Some(grammar) = grammar.filter(|_| !text.trim().is_empty()) else { return Some(None) };
    match sql::condition(&text, grammar) {
        Ok(condition) => {
            let is_paged = judge.given("mode") != Some("bulk");
            if let Some(word) = sql::changes_with_time(&condition, grammar).filter(|_| is_paged) {
                let message = format!(
                    "depends on {word}, which changes: a row that comes to meet the condition when rows after it have been read \
                     is not read any more"
                );
                judge.warning(key, message);
            }
            Some(Some(condition))
        }
        Err(findings) => {
            findings.iter().for_each(|finding| judge.problem(key, finding.to_string(), &[]));
            None
        }
    }
}

/// Settings of one pattern, and of the connector, that contradict each other.
fn contradictions(judge: &mut Judge, rules: &[TableRule]) {
    let suffix = judge.text("query.suffix").trim_start().to_lowercase();
    let begins_with_where = suffix.strip_prefix("where").is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
    for rule in rules {
        let key_mode = |other: &&TableRule| other.pattern == rule.pattern && other.name == "key.mode";
        if matches!(rule.setting, TableSetting::KeyColumns(_))
            && let Some(mode) = rules.iter().find(key_mode)
            && mode.setting != TableSetting::KeyMode(KeyWord::Columns)
        {
            judge.problem(&rule.key, "needs key.mode=columns of the same tables, or none of them", &[&mode.key]);
        }
        if matches!(rule.setting, TableSetting::Where(Some(_))) && begins_with_where {
            let message = "and a query.suffix that begins with WHERE are two conditions; write one of them";
            judge.problem(&rule.key, message, &["query.suffix"]);
        }
    }
}
