//! The definitions of configuration keys as Kafka Connect's REST tells them, from the one table of keys: what forms are made of.

use serde_json::{Value, json};

use super::classes::CONNECTORS;
use super::sentences::REQUIRED;
use crate::config::keys::{Allowed, Home, KeyDefinition, Kind, SECTIONS};
use crate::convert::{CONVERTERS, ConverterDefinition};
use crate::transform::Setting;

/// Keys of the table that are not a connector's to set.
const OF_TASKS: &[&str] = &["tables", "tables.fetched", "task.class"];

/// The definition of a key.
#[derive(Debug, Clone)]
pub(super) struct Definition {
    pub(super) name: String,
    kind: &'static str,
    pub(super) default: Option<String>,
    importance: &'static str,
    documentation: String,
    pub(super) group: String,
    order: usize,
    width: &'static str,
    pub(super) recommended: Vec<String>,
    /// Of all connectors, not of this class.
    pub(super) is_of_framework: bool,
}

impl Definition {
    pub(super) fn json(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.kind,
            "required": REQUIRED.contains(&self.name.as_str()),
            "default_value": self.default,
            "importance": self.importance,
            "documentation": self.documentation,
            "group": self.group,
            "width": self.width,
            "display_name": display_name(&self.name),
            "dependents": dependents(&self.name),
            "order": self.order,
        })
    }

    pub(super) fn is_secret(&self) -> bool {
        self.kind == Kind::Password.as_str()
    }
}

/// Every key of a connector that has a name of its own: those of all connectors, then those of the JDBC source.
pub(super) fn all() -> Vec<Definition> {
    let mut all: Vec<Definition> = Vec::new();
    for section in SECTIONS {
        let of_connector = section
            .keys
            .iter()
            .filter(|key| key.home != Home::Worker && key.family().is_none() && !OF_TASKS.contains(&key.name));
        for key in of_connector {
            let (group, is_of_framework) = group(section.title, key.name);
            all.push(of_key(key, group, is_of_framework));
        }
    }
    let place = |group: &str| GROUPS.iter().position(|known| *known == group).unwrap_or(GROUPS.len());
    all.sort_by_key(|definition| place(&definition.group));
    let mut last = (String::new(), 0);
    for definition in &mut all {
        let order = if last.0 == definition.group { last.1 + 1 } else { 1 };
        definition.order = order;
        last = (definition.group.clone(), order);
    }
    all
}

/// Kafka Connect's groups and those of the connector, in the order of forms.
const GROUPS: &[&str] = &[
    "Common",
    "Transforms",
    "Predicates",
    "Error Handling",
    "Topic Creation",
    "Exactly Once Support",
    "offsets.topic",
    "Database",
    "Mode",
    "Connector",
    "Types",
    "Record Keys and Cursors",
];

fn group(section: &str, key: &str) -> (&'static str, bool) {
    match section {
        "Kafka Connect's connector keys" | "Converters" => (of_framework(key), true),
        "Connection" | "Tables" => ("Database", false),
        "Mode and query" => ("Mode", false),
        "Types" => ("Types", false),
        "Polling and topics" if key.starts_with("topic.creation.") => ("Topic Creation", true),
        "Polling and topics" => ("Connector", false),
        _ => ("Record Keys and Cursors", false),
    }
}

fn of_framework(key: &str) -> &'static str {
    match key {
        "transforms" => "Transforms",
        "predicates" => "Predicates",
        "exactly.once.support" | "transaction.boundary" | "transaction.boundary.interval.ms" => "Exactly Once Support",
        "offsets.storage.topic" => "offsets.topic",
        key if key.starts_with("errors.") => "Error Handling",
        _ => "Common",
    }
}

fn of_key(key: &KeyDefinition, group: &str, is_of_framework: bool) -> Definition {
    let recommended = match (key.name, key.allowed) {
        ("connector.class", _) => CONNECTORS.iter().map(|class| (*class).to_owned()).collect(),
        ("key.converter" | "value.converter", _) => CONVERTERS.iter().map(|known| known.class.to_owned()).collect(),
        (_, Allowed::Words(words) | Allowed::AnyCase(words) | Allowed::LowerOrUpper(words)) => {
            words.iter().filter(|word| !word.is_empty()).map(|word| (*word).to_owned()).collect()
        }
        _ => Vec::new(),
    };
    Definition {
        name: key.name.to_owned(),
        kind: key.kind.as_str(),
        default: key.default.map(str::to_owned),
        importance: key.importance.as_str(),
        documentation: key.doc.to_owned(),
        group: group.to_owned(),
        order: 1,
        width: width(key.kind),
        recommended,
        is_of_framework,
    }
}

/// The settings of a transform or a predicate, under a prefix.
pub(super) fn of_settings(prefix: &str, group: &str, settings: &[Setting]) -> Vec<Definition> {
    let one =
        |(index, setting): (usize, &Setting)| text(format!("{prefix}{}", setting.name), setting, group, index + 1);
    settings.iter().enumerate().map(one).collect()
}

/// A key that is text, and belongs to an alias.
pub(super) fn text(name: String, setting: &Setting, group: &str, order: usize) -> Definition {
    Definition {
        name,
        kind: Kind::Text.as_str(),
        default: setting.default.map(str::to_owned),
        importance: "MEDIUM",
        documentation: setting.doc.to_owned(),
        group: group.to_owned(),
        order,
        width: width(Kind::Text),
        recommended: Vec::new(),
        is_of_framework: true,
    }
}

/// The settings of a converter, without the role it has.
pub(super) fn of_converter(converter: &ConverterDefinition) -> Vec<Definition> {
    let one = |(index, key): (usize, &KeyDefinition)| {
        let mut definition = of_key(key, "", true);
        definition.name = key.name.trim_start_matches("value.converter.").to_owned();
        definition.order = index + 1;
        definition
    };
    converter.settings.iter().copied().flatten().filter(|key| key.family().is_none()).enumerate().map(one).collect()
}

fn width(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean | Kind::Int | Kind::Long | Kind::Password => "SHORT",
        Kind::Text | Kind::Class => "MEDIUM",
        Kind::List => "LONG",
    }
}

/// `poll.interval.ms` is `Poll Interval Ms`.
fn display_name(key: &str) -> String {
    let words = key.split(['.', '_', '-']).filter(|word| !word.is_empty()).map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
    });
    words.collect::<Vec<_>>().join(" ")
}

fn dependents(key: &str) -> &'static [&'static str] {
    match key {
        "connection.url" => &["table.whitelist", "table.blacklist"],
        "mode" => &["incrementing.column.name", "timestamp.column.name", "validate.non.null"],
        _ => &[],
    }
}

/// True if a form shows a key: cursors belong to some modes only.
pub(super) fn is_visible(key: &str, mode: &str) -> bool {
    match key {
        "incrementing.column.name" => mode.contains("incrementing"),
        "timestamp.column.name" => mode.contains("timestamp"),
        "validate.non.null" => mode.contains("incrementing") || mode.contains("timestamp"),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_key_of_a_connector_is_told_once_in_a_group_and_a_place_of_its_own() {
        let all = all();
        let names: BTreeSet<&str> = all.iter().map(|definition| definition.name.as_str()).collect();
        assert_eq!(names.len(), all.len());
        let places: BTreeSet<_> = all.iter().map(|definition| (definition.group.as_str(), definition.order)).collect();
        assert_eq!(places.len(), all.len());
        assert!(all.iter().all(|definition| GROUPS.contains(&definition.group.as_str())));
        for key in ["name", "connection.url", "mode", "topic.prefix", "transforms", "value.converter", "commit.guard"] {
            assert!(names.contains(key), "{key}");
        }
        assert!(!names.contains("bootstrap.servers") && !names.contains("tables") && !names.contains("transforms.*"));
        assert_eq!(display_name("poll.interval.ms"), "Poll Interval Ms");
    }
}
