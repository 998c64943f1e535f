//! `topic.prefix` and `topic.name.format`: how topics are named; `topic.creation.*`: how missing target topics are made
//! (`delivery-and-runtime.md`, 5.1).

use std::collections::{BTreeMap, BTreeSet};

use super::selection::has_query;
use crate::config::judge::Judge;
use crate::config::spec::topic::PLACEHOLDERS;
use crate::config::spec::{OffsetsSpec, SchemaNaming, Template, TopicGroup, TopicNaming, TopicSpec};
use crate::config::values::{is_count, is_schema_name_text, is_topic_text};

const PREFIX: &str = "topic.creation.";
const GROUPS: &str = "topic.creation.groups";
const DEFAULT: &str = "default";
const FORMAT: &str = "topic.name.format";

/// The naming of topics.
pub(super) fn naming(judge: &mut Judge, offsets: &OffsetsSpec) -> TopicNaming {
    let text = judge.given(FORMAT).unwrap_or_default().to_owned();
    let given = if text.is_empty() { None } else { template(judge, FORMAT, &text) };
    if let Some(given) = &given {
        if has_query(judge) && names_a_table(given) {
            judge.problem(FORMAT, format!("{OF_NO_TABLE}; only ${{topic.prefix}} can stand in it"), &["query"]);
        }
        if judge.is_given("topic.prefix") && !given.has("topic.prefix") {
            judge.notes.push(format!("topic.prefix: without effect, {FORMAT} has no ${{topic.prefix}}"));
        }
    }
    TopicNaming {
        template: given.map(|template| (template, FORMAT.to_owned())),
        prefix: judge.text("topic.prefix").to_owned(),
        of_offsets: [Some(&offsets.topic), offsets.worker_topic.as_ref()].into_iter().flatten().cloned().collect(),
    }
}

/// The naming of record schemas of values.
pub(super) fn schema_naming(judge: &mut Judge) -> SchemaNaming {
    const KEY: &str = "schema.name.format";
    let text = judge.given(KEY).unwrap_or_default().to_owned();
    let rule = ("letters, digits, dots and underscores are allowed", is_schema_name_text as fn(&str) -> bool);
    let template = match Template::parse(&text, PLACEHOLDERS, rule) {
        Ok(template) => Some(template).filter(|_| !text.is_empty()),
        Err(message) => {
            judge.problem(KEY, message, &[]);
            None
        }
    };
    if template.as_ref().is_some_and(|template| has_query(judge) && names_a_table(template)) {
        judge.problem(KEY, format!("{OF_NO_TABLE}; write the name itself"), &["query"]);
    }
    let namespace = judge.given("schema.namespace").filter(|namespace| !namespace.is_empty()).map(str::to_owned);
    SchemaNaming { template, namespace }
}

const OF_NO_TABLE: &str = "names a part of a table's name, and a query has none";

fn names_a_table(template: &Template) -> bool {
    ["catalog", "schema", "table"].iter().any(|part| template.has(part))
}

/// A template of topics; none if it is not one, which is said.
pub(super) fn template(judge: &mut Judge, key: &str, text: &str) -> Option<Template> {
    let rule = "letters, digits, dots, underscores and hyphens are allowed";
    Template::parse(text, PLACEHOLDERS, (rule, is_topic_text)).map_err(|message| judge.problem(key, message, &[])).ok()
}

pub(super) fn build(judge: &mut Judge) -> TopicSpec {
    let by_brokers = !judge.flag("topic.creation.enable");
    let is_used = judge.settings.connector.keys().any(|key| key.starts_with(PREFIX));
    if !is_used {
        return TopicSpec { by_brokers, ..TopicSpec::default() };
    }
    let mut names = judge.elements(GROUPS);
    let unique: BTreeSet<_> = names.iter().cloned().collect();
    if unique.len() < names.len() {
        judge.problem(GROUPS, "names a group twice", &[]);
    }
    names.retain(|name| name != DEFAULT);
    warn_of_undeclared(judge, &names);
    let fallback = (count(judge, DEFAULT, "partitions", None), count(judge, DEFAULT, "replication.factor", None));
    let mut groups: Vec<_> = names.iter().map(|name| group(judge, name, fallback)).collect();
    groups.push(group(judge, DEFAULT, fallback));
    if by_brokers {
        judge.notes.push("topic.creation.enable is false: the connector's topic.creation.* has no effect".to_owned());
        groups.clear();
    }
    TopicSpec { groups, by_brokers }
}

fn warn_of_undeclared(judge: &mut Judge, names: &[String]) {
    let keys: Vec<_> = judge.settings.connector.keys().filter(|key| key.starts_with(PREFIX)).cloned().collect();
    for key in keys.iter().filter(|key| *key != GROUPS) {
        let rest = &key[PREFIX.len()..];
        let is_declared =
            names.iter().map(String::as_str).chain([DEFAULT]).any(|name| {
                rest.strip_prefix(name).is_some_and(|setting| setting.len() > 1 && setting.starts_with('.'))
            });
        if !is_declared {
            judge.warning(key, format!("belongs to no group of {GROUPS}; it has no effect"));
        }
    }
}

fn count(judge: &mut Judge, group: &str, setting: &str, fallback: Option<i32>) -> i32 {
    let key = format!("{PREFIX}{group}.{setting}");
    match (judge.settings.connector.get(&key).map(|entry| entry.text.trim().to_owned()), fallback) {
        (Some(text), _) if is_count(&text) => text.parse().unwrap_or(-1),
        (Some(_), _) => {
            judge.problem(&key, "must be -1 (the broker's default) or at least 1", &[]);
            -1
        }
        (None, Some(fallback)) => fallback,
        (None, None) => {
            let cause =
                judge.settings.connector.keys().find(|key| key.starts_with(PREFIX)).cloned().unwrap_or_default();
            let message = "is missing; every topic.creation key needs it (-1 is the broker's default)";
            judge.problem(&key, message, &[&cause]);
            -1
        }
    }
}

fn group(judge: &mut Judge, name: &str, fallback: (i32, i32)) -> TopicGroup {
    let is_default = name == DEFAULT;
    let prefix = format!("{PREFIX}{name}.");
    let (partitions, replication) = if is_default {
        fallback
    } else {
        (count(judge, name, "partitions", Some(fallback.0)), count(judge, name, "replication.factor", Some(fallback.1)))
    };
    let (include, exclude) = if is_default {
        (Vec::new(), Vec::new())
    } else {
        (judge.patterns(&format!("{prefix}include")), judge.patterns(&format!("{prefix}exclude")))
    };
    if !is_default && !judge.is_given(&format!("{prefix}include")) {
        let message = "is missing; without a pattern the group takes no topic";
        judge.problem(&format!("{prefix}include"), message, &[GROUPS]);
    }
    let settings: BTreeMap<_, _> = judge
        .settings
        .connector
        .iter()
        .filter_map(|(key, entry)| Some((key.strip_prefix(&prefix)?.to_owned(), entry.text.trim().to_owned())))
        .filter(|(setting, _)| !["include", "exclude", "partitions", "replication.factor"].contains(&setting.as_str()))
        .collect();
    TopicGroup { name: name.to_owned(), include, exclude, partitions, replication, settings }
}
