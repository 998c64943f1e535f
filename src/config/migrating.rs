//! The keys of Kafka Connect and of its JDBC sources, as they count in rowtide: the end of `docs/migrating.md`, derived from
//! the tables of keys, converters and transforms.

use super::keys::{Home, KeyDefinition, SECTIONS, Status};
use crate::convert::{CONVERTERS, ConverterDefinition, setting_groups};
use crate::transform::{ABSENT, PREDICATES, TRANSFORMS};

/// The heading under which it stands.
const HEADING: &str = "## Every key";

const INTRODUCTION: &str = "
<!-- from here on made by `rowtide docs migrating`; do not edit -->

The keys of Confluent's and of Aiven's JDBC source, of Kafka Connect for sources and its worker, and of the converters. *Same*: it does what it
does there. *No effect*: it is accepted, and there is nothing for it to do. *Refused*: the start says so, and what to write instead.
Keys that nobody knows are passed over with a note and the key that may be meant; `--strict` refuses them. What each key does, and the
keys that only rowtide has, is in [configuration.md](configuration.md).
";

/// The text `rowtide docs migrating` prints.
pub fn migrating_markdown() -> String {
    let mut page = format!("{HEADING}\n{INTRODUCTION}");
    for section in SECTIONS {
        table(&mut page, section.title, section.keys.iter());
    }
    for (title, keys) in of_converters() {
        table(&mut page, &title, keys.into_iter());
    }
    classes(&mut page);
    page
}

/// The settings of Kafka Connect's converters, by the converters that share them.
fn of_converters() -> Vec<(String, Vec<&'static KeyDefinition>)> {
    let mut shared: Vec<(String, Vec<&KeyDefinition>)> = Vec::new();
    for (_, group) in setting_groups() {
        let has = |converter: &&&ConverterDefinition| {
            is_of_java(converter) && converter.settings.iter().any(|known| known[0].name == group[0].name)
        };
        let short = |converter: &&ConverterDefinition| converter.class.rsplit('.').next().unwrap_or(converter.class);
        let title = CONVERTERS.iter().filter(has).map(short).collect::<Vec<_>>().join(", ");
        match shared.iter_mut().find(|(known, _)| *known == title) {
            _ if title.is_empty() => {}
            Some((_, keys)) => keys.extend(group),
            None => shared.push((title, group.iter().collect())),
        }
    }
    shared
}

/// True unless the converter is one that only rowtide has.
fn is_of_java(converter: &ConverterDefinition) -> bool {
    converter.class.contains('.')
}

fn table<'k>(page: &mut String, title: &str, keys: impl Iterator<Item = &'k KeyDefinition>) {
    let known: Vec<&KeyDefinition> = keys.filter(|definition| definition.home != Home::Rowtide).collect();
    if known.is_empty() {
        return;
    }
    page.push_str(&format!("\n### {title}\n\n| key | in rowtide |\n|---|---|\n"));
    for definition in known {
        page.push_str(&format!("| `{}` | {} |\n", definition.name, treatment(definition).replace('|', "\\|")));
    }
}

/// The treatment of a key in words.
fn treatment(definition: &KeyDefinition) -> String {
    let of_values = definition.refused.iter().map(|(value, reason)| format!("`{value}` is refused: {reason}"));
    let differences: Vec<String> = definition.differs.map(str::to_owned).into_iter().chain(of_values).collect();
    match definition.status {
        Status::Honoured if differences.is_empty() => "same".to_owned(),
        Status::Honoured => format!("different: {}", differences.join("; ")),
        Status::Ignored(reason) => format!("no effect: {reason}"),
        Status::Refused(reason) => format!("refused: {reason}"),
    }
}

/// The classes of converters, transforms and predicates that are there, and those that are not.
fn classes(page: &mut String) {
    let list = |classes: Vec<&str>| classes.iter().map(|class| format!("`{class}`")).collect::<Vec<_>>().join(", ");
    let of_java = CONVERTERS.iter().filter(|converter| is_of_java(converter)).map(|converter| converter.class);
    page.push_str("\n### Classes\n\n| kind | same |\n|---|---|\n");
    page.push_str(&format!("| converters | {} |\n", list(of_java.collect())));
    page.push_str(&format!("| transforms | {} |\n", list(TRANSFORMS.iter().map(|of| of.class).collect())));
    page.push_str(&format!("| predicates | {} |\n", list(PREDICATES.iter().map(|of| of.class).collect())));
    page.push_str("\nOther classes are refused, since rowtide runs no Java: the message lists those there are. Of the well-known:\n");
    page.push_str("\n| refused | reason, and what works instead |\n|---|---|\n");
    for (class, instead) in ABSENT {
        page.push_str(&format!("| `{class}` | {instead} |\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys;

    #[test]
    fn every_key_of_kafka_connect_has_one_row_that_says_what_becomes_of_it() {
        let page = migrating_markdown();
        let groups = setting_groups();
        let own = groups.iter().filter(|(first, _)| !is_of_java(first)).flat_map(|(_, group)| group.iter());
        let own: Vec<&str> = own.map(|known| known.name).collect();
        for definition in keys::all() {
            let rows = page.matches(&format!("\n| `{}` | ", definition.name)).count();
            let is_of_connect = definition.home != Home::Rowtide && !own.contains(&definition.name);
            assert_eq!(rows, usize::from(is_of_connect), "{}", definition.name);
            let says = treatment(definition);
            assert!(!says.is_empty() && !says.ends_with('.'), "{}: {says}", definition.name);
        }
    }

    #[test]
    fn a_key_that_only_rowtide_has_differs_from_nothing() {
        for definition in keys::all().filter(|definition| definition.home == Home::Rowtide) {
            assert_eq!(definition.differs, None, "{}", definition.name);
        }
    }
}
