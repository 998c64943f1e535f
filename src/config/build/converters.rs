//! The choice of a converter and its settings: the connector's as a whole, else the worker's as a whole
//! (`delivery-and-runtime.md`, 7). Where nobody names a class it is Avro, and then the settings beside it may come from
//! both, the connector's winning.

use std::collections::BTreeMap;

use crate::config::document::{Entries, Entry};
use crate::config::judge::Judge;
use crate::config::report::Problem;
use crate::config::spec::ConverterSpec;
use crate::convert::{CONVERTERS, ConverterDefinition, HEADER_CONVERTERS, converter_of};
use crate::near::nearest;

/// One role's configuration before it is judged.
struct Found {
    class: Option<Entry>,
    settings: BTreeMap<String, String>,
    /// The worker has settings that do not count.
    shadows: bool,
}

/// The key's and the value's converter. Without a record key, the key's need not be usable.
pub(super) fn build(judge: &mut Judge, keyless: bool) -> Option<(ConverterSpec, ConverterSpec)> {
    let value_found = find(judge, "value.converter");
    let key_found = find(judge, "key.converter");
    let names_class = [&value_found, &key_found].into_iter().flatten().any(|found| found.class.is_some());
    if !names_class {
        judge
            .notes
            .push("key.converter, value.converter: not set, Avro is used (Kafka Connect demands them)".to_owned());
    }
    let nothing = Found { class: None, settings: BTreeMap::new(), shadows: false };
    let value = match usable(&value_found.unwrap_or(nothing), "value.converter", CONVERTERS) {
        Ok(spec) => Some(spec),
        Err(problem) => {
            judge.report.problems.push(*problem);
            None
        }
    };
    let key = match key_found.as_ref().map(|found| usable(found, "key.converter", CONVERTERS)) {
        None => value.clone(),
        Some(Ok(spec)) => Some(spec),
        Some(Err(problem)) if keyless => {
            judge.notes.push(format!("{}: not used, the records have no key", problem.key));
            value.clone()
        }
        Some(Err(problem)) => {
            judge.report.problems.push(*problem);
            None
        }
    };
    Some((key?, value?))
}

/// The converter of headers.
pub(super) fn headers(judge: &mut Judge) -> Option<ConverterSpec> {
    let found = find(judge, "header.converter");
    let found = found.unwrap_or(Found { class: None, settings: BTreeMap::new(), shadows: false });
    match usable(&found, "header.converter", HEADER_CONVERTERS) {
        Ok(spec) => Some(spec),
        Err(problem) => {
            judge.report.problems.push(*problem);
            None
        }
    }
}

fn find(judge: &mut Judge, role: &str) -> Option<Found> {
    let (of_connector, of_worker) = (level(&judge.settings.connector, role), level(&judge.settings.worker, role));
    match (of_connector, of_worker) {
        ((Some(class), settings), (_, shadowed)) => {
            Some(Found { class: Some(class), settings, shadows: !shadowed.is_empty() })
        }
        ((None, unused), (Some(class), settings)) => {
            for name in unused.keys() {
                let key = format!("{role}.{name}");
                judge.warning(&key, format!("has no effect unless the connector's file sets {role} too"));
            }
            Some(Found { class: Some(class), settings, shadows: false })
        }
        ((None, over), (None, mut settings)) => {
            settings.extend(over);
            (!settings.is_empty()).then_some(Found { class: None, settings, shadows: false })
        }
    }
}

/// Class and settings (prefix stripped) of one level.
fn level(entries: &Entries, role: &str) -> (Option<Entry>, BTreeMap<String, String>) {
    let class = entries.get(role).filter(|entry| !entry.text.trim().is_empty()).cloned();
    let prefix = format!("{role}.");
    let settings = entries
        .iter()
        .filter_map(|(key, entry)| Some((key.strip_prefix(&prefix)?.to_owned(), entry.text.trim().to_owned())));
    (class, settings.collect())
}

fn usable(found: &Found, role: &str, table: &[&'static ConverterDefinition]) -> Result<ConverterSpec, Box<Problem>> {
    let definition = match &found.class {
        None => table.first().copied(),
        Some(class) => converter_of(table, class.text.trim()),
    };
    let Some(definition) = definition else {
        let known: Vec<&str> = table.iter().map(|converter| converter.class).collect();
        let message = format!("this converter is not there; there are {}", known.join(", "));
        let problem = Problem::new(role, message);
        return Err(Box::new(match &found.class {
            Some(class) => problem.of(class).meant(nearest_class(class.text.trim(), table)),
            None => problem,
        }));
    };
    let is_missing = |name: &str| found.settings.get(name).is_none_or(String::is_empty);
    if let Some((name, reason)) = definition.required.iter().find(|(name, _)| is_missing(name)) {
        let hint = match (found.shadows, &found.class) {
            (true, _) => format!("; the worker's settings do not count, because the connector's file sets {role}"),
            (false, Some(class)) => format!("; it must stand beside {role} at {}", class.place),
            (false, None) => String::new(),
        };
        return Err(Box::new(Problem::new(&format!("{role}.{name}"), format!("is missing; {reason}{hint}"))));
    }
    Ok(ConverterSpec { definition, settings: found.settings.clone() })
}

/// The known class most like an unknown one.
fn nearest_class(class: &str, table: &[&'static ConverterDefinition]) -> Option<String> {
    nearest(class, table.iter().map(|converter| converter.class)).map(str::to_owned)
}
