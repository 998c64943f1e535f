//! The selection: tables by their filters, or the one query; and the settings that exclude each other.

use super::source::reading;
use crate::config::judge::Judge;
use crate::config::spec::{CatalogFilter, Selection, TableFilter};
use crate::sql::{self, Grammar};

const FILTERS: [&str; 4] = ["table.whitelist", "table.blacklist", "table.include.list", "table.exclude.list"];
/// The first family of keys, of every version.
const LISTS: [&str; 4] = ["table.whitelist", "table.blacklist", "incrementing.column.name", "timestamp.column.name"];
/// The second, of patterns and mappings.
const PATTERNS: [&str; 4] =
    ["table.include.list", "table.exclude.list", "incrementing.column.mapping", "timestamp.columns.mapping"];

/// True if the connector polls a query.
pub(super) fn has_query(judge: &Judge) -> bool {
    judge.is_given("query") || judge.is_given("query.masked")
}

pub(super) fn build(judge: &mut Judge, grammar: Option<Grammar>) -> Selection {
    if has_query(judge) { query(judge, grammar) } else { tables(judge) }
}

fn given(judge: &Judge, keys: &[&'static str]) -> Vec<&'static str> {
    keys.iter().copied().filter(|key| judge.is_given(key)).collect()
}

fn query(judge: &mut Judge, grammar: Option<Grammar>) -> Selection {
    let masked = judge.is_given("query.masked");
    let key = if masked { "query.masked" } else { "query" };
    if masked && judge.is_given("query") {
        judge.problem("query", "excludes query.masked; give one of the two", &["query.masked"]);
    }
    let filters = given(judge, &FILTERS);
    if !filters.is_empty() {
        let message = "a query and a table filter exclude each other; filter in the query, or list tables without it";
        judge.problem(key, message, &filters);
    }
    let has_prefix = judge.given("topic.prefix").is_some_and(|prefix| !prefix.is_empty());
    if !has_prefix && !judge.is_given("topic.name.format") {
        judge.problem("topic.prefix", "is missing; it is the whole name of a query's topic", &[key]);
    }
    if judge.given("catalog.pattern").or(judge.given("schema.pattern")).is_some() {
        let key = if judge.is_given("schema.pattern") { "schema.pattern" } else { "catalog.pattern" };
        judge.warning(key, "has no effect with a query");
    }
    for mapping in given(judge, &["incrementing.column.mapping", "timestamp.columns.mapping"]) {
        judge.warning(mapping, "has no effect with a query; name its columns without a mapping");
    }
    // As it is in the file, so that lines and columns are those of the file's value.
    let text = judge.settings.get(key).map(|entry| entry.text.clone()).unwrap_or_default();
    let taken = match grammar {
        Some(grammar) => sql::query(&text, grammar, reading(judge), !masked),
        None => Ok(text),
    };
    let sql = taken.unwrap_or_else(|findings| {
        findings.iter().for_each(|finding| judge.problem(key, finding.to_string(), &[]));
        String::new()
    });
    Selection::Query { sql, masked }
}

fn tables(judge: &mut Judge) -> Selection {
    let (lists, patterns) = (given(judge, &LISTS), given(judge, &PATTERNS));
    if let (Some(key), false) = (patterns.first(), lists.is_empty()) {
        let both: Vec<_> = patterns.iter().chain(&lists).copied().collect();
        let message = format!(
            "the keys {} and {} are two families that cannot be mixed; keep to one",
            patterns.join(", "),
            lists.join(", ")
        );
        judge.problem(key, message, &both);
    }
    if judge.is_given("table.whitelist") && judge.is_given("table.blacklist") {
        judge.warning("table.blacklist", "has no effect beside table.whitelist");
    }
    if judge.is_given("table.exclude.list") && !judge.is_given("table.include.list") {
        judge.warning("table.exclude.list", "stands without table.include.list, which Kafka Connect refuses");
    }
    let types = judge.elements("table.types").iter().map(|kind| kind.to_uppercase()).collect::<Vec<_>>();
    if types.is_empty() {
        judge.problem("table.types", "must name at least one kind, such as TABLE or VIEW", &[]);
    }
    Selection::Tables(TableFilter {
        catalog: CatalogFilter {
            catalog: judge.given("catalog.pattern").map(str::to_owned),
            schema: judge.given("schema.pattern").map(str::to_owned),
            types,
        },
        whitelist: judge.elements("table.whitelist"),
        blacklist: judge.elements("table.blacklist"),
        include: judge.patterns("table.include.list"),
        exclude: judge.patterns("table.exclude.list"),
        unqualified: !judge.flag("table.names.qualify"),
    })
}
