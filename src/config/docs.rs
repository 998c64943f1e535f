//! The reference of all keys, as Markdown; derived from the table and from nothing else.

use std::fmt::Write;

use super::keys::{Home, KeyDefinition, SECTIONS, Status};
use super::values::allowed_text;
use crate::config::keys::Allowed;
use crate::convert::{CONVERTERS, ConverterDefinition, setting_groups};
use crate::transform::{ABSENT, PREDICATES, Setting, TRANSFORMS, Target};

const INTRODUCTION: &str = "# Configuration

<!-- made by `rowtide docs config`; do not edit -->

Keys are those of Kafka Connect and of its JDBC source connectors, under the same names and with the same
meaning. Files are JSON, YAML or Java `.properties`: a flat map, `{\"name\": ..., \"config\": {...}}`, an answer of Connect's REST
interface, a list of these, or `KafkaConnector` resources of Kubernetes. A worker's settings come from `--worker FILE`, then from `CONNECT_*` of the environment, then from `--set key=value`,
and may stand in the connector's file too. Values may contain `${env:NAME}`, `${file:/path:key}` and
`${dir:/path:name}`.
";

/// The page `rowtide docs config` prints.
pub fn docs_markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    for section in SECTIONS {
        table(&mut page, section.title, "", section.keys, true);
    }
    for converter in CONVERTERS {
        converter_section(&mut page, converter);
    }
    transforms(&mut page);
    page
}

/// A converter with its settings; those that stand above already are named only.
fn converter_section(page: &mut String, converter: &'static ConverterDefinition) {
    let groups = setting_groups();
    let is_first = |group: &&&'static [KeyDefinition]| {
        groups.iter().any(|(first, known)| known[0].name == group[0].name && first.name == converter.name)
    };
    type Groups = Vec<&'static &'static [KeyDefinition]>;
    let (own, above): (Groups, Groups) = converter.settings.iter().partition(is_first);
    let title = format!("Converter {}", converter.name);
    let mut introduction = format!("`{}`: {}\n\n", converter.class, converter.doc);
    let names: Vec<String> = above.into_iter().flat_map(|group| group.iter()).map(link).collect();
    if !names.is_empty() {
        introduction.push_str(&format!("As above: {}.\n\n", names.join(", ")));
    }
    let own: Vec<KeyDefinition> = own.into_iter().flat_map(|group| group.iter().copied()).collect();
    if own.is_empty() && !names.is_empty() {
        introduction.push_str("It has no others.\n");
    }
    table(page, &title, &introduction, &own, names.is_empty());
}

fn link(definition: &KeyDefinition) -> String {
    let name = definition.name;
    format!("[`{}`](#{name})", name.trim_start_matches("value.converter."))
}

/// The transforms and predicates, each with its settings.
fn transforms(page: &mut String) {
    page.push_str("\n## Transforms and predicates\n\n");
    page.push_str("| class | what it does | settings |\n|---|---|---|\n");
    for definition in TRANSFORMS {
        let nested = if definition.targets == [Target::Record] { "" } else { "`$Key`, `$Value`" };
        page.push_str(&transform(definition.class, nested, definition.doc, definition.settings));
    }
    for definition in PREDICATES {
        page.push_str(&transform(definition.class, "", definition.doc, definition.settings));
    }
    page.push_str("\nThese are refused, each with what works instead:\n\n| class | instead |\n|---|---|\n");
    for (class, instead) in ABSENT {
        page.push_str(&format!("| `{class}` | {instead} |\n"));
    }
}

fn transform(class: &str, nested: &str, doc: &str, settings: &[Setting]) -> String {
    let settings: Vec<String> = settings
        .iter()
        .map(|setting| {
            let default = match setting.default {
                None | Some("") => String::new(),
                Some(default) => format!(" (`{default}`)"),
            };
            format!("`{}`{default}: {}", setting.name, setting.doc)
        })
        .collect();
    format!("| `{class}` {nested} | {doc} | {} |\n", settings.join("<br>").replace('|', "\\|"))
}

/// A heading with a table of keys, or with the word that there are none.
fn table(page: &mut String, title: &str, introduction: &str, keys: &[KeyDefinition], says_none: bool) {
    // Writing to a string cannot fail.
    let _ = write!(page, "\n## {title}\n\n{introduction}");
    if keys.is_empty() {
        page.push_str(if says_none { "It has no settings.\n" } else { "" });
        return;
    }
    page.push_str("| key | type | default | allowed | where | meaning |\n|---|---|---|---|---|---|\n");
    for definition in keys {
        page.push_str(&row(definition));
    }
}

fn row(definition: &KeyDefinition) -> String {
    let default = match definition.default {
        Some("") => "empty".to_owned(),
        Some(text) => format!("`{text}`"),
        None => String::new(),
    };
    let allowed = match definition.allowed {
        Allowed::Any => String::new(),
        other => allowed_text(other),
    };
    let home = match definition.home {
        Home::Connector => "connector",
        Home::Rowtide => "connector, rowtide only",
        Home::Worker => "worker",
        Home::Both => "connector or worker",
    };
    let mut meaning = definition.doc.to_owned();
    match definition.status {
        Status::Honoured => {}
        Status::Ignored(reason) => meaning = format!("{meaning} Accepted, without effect: {reason}."),
        Status::Refused(reason) => meaning = format!("{meaning} Refused unless empty: {reason}."),
    }
    for (value, reason) in definition.refused {
        meaning = format!("{meaning} `{value}` is refused: {reason}.");
    }
    let name = definition.name;
    let cells = [default, allowed, home.to_owned(), meaning].map(|cell| cell.replace('|', "\\|"));
    format!("| <a id=\"{name}\"></a>`{name}` | {} | {} |\n", definition.kind.as_str(), cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys;

    #[test]
    fn every_key_has_one_row_with_an_anchor() {
        let page = docs_markdown();
        for definition in keys::all() {
            assert_eq!(page.matches(&format!("<a id=\"{}\">", definition.name)).count(), 1, "{}", definition.name);
        }
        let keys = page.split("\n## Transforms").next().unwrap();
        let rows: Vec<_> = keys.lines().filter(|line| line.starts_with("| ")).collect();
        assert!(rows.iter().all(|row| row.replace("\\|", "").matches('|').count() == 7), "a cell breaks its row");
    }
}
