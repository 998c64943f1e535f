//! The places a configuration comes from, put over each other: the worker's file, then `CONNECT_*` of the
//! environment, then `--set`; and the connector's file, in which worker keys may stand too. Finds keys
//! that stand in two places with two values, or in the wrong one. Judges no value.

use std::collections::BTreeMap;

use super::document::{Document, Entries, Entry, Place};
use super::keys::{self, Home};
use super::providers::Providers;
use super::report::Problem;

/// The parts of a configuration, as text.
#[derive(Debug, Clone, Default)]
pub(super) struct Layers {
    /// The connector's file; none for commands that need a worker only.
    pub(super) connector: Option<Document>,
    /// The worker's file.
    pub(super) worker: Option<Document>,
    /// The environment, for `CONNECT_*` and `${env:…}`.
    pub environment: BTreeMap<String, String>,
    /// `--set key=value`, in order.
    pub sets: Vec<(String, String)>,
    /// Unknown keys of files are problems.
    pub strict: bool,
}

/// The two levels that are left, placeholders resolved.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) connector: Entries,
    pub(crate) worker: Entries,
}

/// The key of an environment variable in the convention of the Connect images: without `CONNECT_`, in
/// lower case, `___` is a hyphen, `__` an underscore, `_` a dot. None if it is not a setting.
pub(crate) fn key_of_variable(variable: &str) -> Option<String> {
    /// Variables that the images read themselves.
    const OF_THE_IMAGE: &[&str] = &["LOG4J", "CUB_", "OPTS", "JMX", "TOOLS"];
    let name = variable.strip_prefix("CONNECT_").filter(|name| !name.is_empty())?;
    if OF_THE_IMAGE.iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    let lower = name.to_lowercase();
    Some(lower.replace("___", "-").replace("__", "\u{0}").replace('_', ".").replace('\u{0}', "_"))
}

impl Settings {
    /// Puts the layers over each other and resolves the placeholders.
    pub(crate) fn from_layers(layers: &Layers, problems: &mut Vec<Problem>, warnings: &mut Vec<Problem>) -> Self {
        let mut settings = Self::default();
        let files = [&layers.worker, &layers.connector];
        for document in files.into_iter().flatten() {
            problems.extend(document.problems.iter().cloned());
            warnings.extend(document.warnings.iter().cloned());
        }
        settings.worker = layers.worker.as_ref().map(|document| document.entries.clone()).unwrap_or_default();
        for (variable, value) in &layers.environment {
            if let Some(key) = key_of_variable(variable) {
                let place = Place { origin: format!("environment variable {variable}"), line: None };
                settings.worker.insert(key, Entry::new(value.clone(), place));
            }
        }
        settings.take_connector(layers, problems);
        for (key, value) in &layers.sets {
            settings.set(key, value);
        }
        if layers.connector.is_some() {
            settings.warn_of_strays(warnings);
        }
        let providers = Providers::new(&layers.environment, &settings.worker, problems);
        providers.resolve(&mut settings.worker, problems, warnings);
        providers.resolve(&mut settings.connector, problems, warnings);
        settings
    }

    /// Worker keys of the connector's file move to the worker, unless it says something else there.
    fn take_connector(&mut self, layers: &Layers, problems: &mut Vec<Problem>) {
        let entries = layers.connector.as_ref().map(|document| document.entries.clone()).unwrap_or_default();
        for (key, entry) in entries {
            if !keys::find(&key).is_some_and(|definition| definition.home == Home::Worker) {
                self.connector.insert(key, entry);
                continue;
            }
            let is_set = layers.sets.iter().any(|(set, _)| *set == key);
            match self.worker.get(&key) {
                Some(other) if other.raw.trim() != entry.raw.trim() && !is_set => {
                    let message = format!("stands in two places with two values; the other is at {}", other.place);
                    problems.push(Problem::new(&key, message).of(&entry));
                }
                Some(_) => {}
                None => {
                    self.worker.insert(key, entry);
                }
            }
        }
    }

    /// `--set` wins over every other place. A connector's key goes to the connector; a converter's goes
    /// where that converter is configured.
    fn set(&mut self, key: &str, value: &str) {
        let entry = Entry::new(value, Place { origin: "--set".to_owned(), line: None });
        let role: Vec<_> = key.splitn(3, '.').take(2).collect();
        let is_of_connector = match role[..] {
            [of, "converter"] => {
                let role = format!("{of}.converter");
                self.connector.contains_key(key) || self.connector.contains_key(&role)
            }
            _ => keys::find(key).is_some_and(keys::KeyDefinition::is_of_connector),
        };
        let level = if is_of_connector { &mut self.connector } else { &mut self.worker };
        level.insert(key.to_owned(), entry);
    }

    fn warn_of_strays(&self, warnings: &mut Vec<Problem>) {
        for (key, entry) in &self.worker {
            if keys::find(key).is_some_and(keys::KeyDefinition::is_of_connector) {
                let message = "belongs in the connector's file; it has no effect here";
                warnings.push(Problem::new(key, message).at(&entry.place));
            }
        }
    }

    /// The entry of a key at the level it belongs to.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        match keys::find(key).map(|definition| definition.home) {
            Some(Home::Worker) => self.worker.get(key),
            Some(Home::Both) => self.connector.get(key).or_else(|| self.worker.get(key)),
            Some(Home::Connector | Home::Rowtide) | None => self.connector.get(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(connector: &str, worker: &str, environment: &[(&str, &str)], sets: &[(&str, &str)]) -> Layers {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Layers {
            connector: Some(Document::parse("c", connector).unwrap()),
            worker: Some(Document::parse("w", worker).unwrap()),
            environment: environment.iter().map(owned).collect(),
            sets: sets.iter().map(owned).collect(),
            strict: false,
        }
    }

    #[test]
    fn variables_follow_the_convention_of_the_images() {
        for (variable, key) in [
            ("CONNECT_BOOTSTRAP_SERVERS", Some("bootstrap.servers")),
            ("CONNECT_VALUE_CONVERTER_SCHEMA_REGISTRY_URL", Some("value.converter.schema.registry.url")),
            ("CONNECT_A__B___C_D", Some("a_b-c.d")),
            ("CONNECT_LOG4J_ROOT_LOGLEVEL", None),
            ("CONNECT_", None),
            ("PATH", None),
        ] {
            assert_eq!(key_of_variable(variable).as_deref(), key, "{variable}");
        }
    }

    #[test]
    fn later_layers_win_and_two_values_in_two_files_are_a_problem() {
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        let layers = layers(
            "mode=bulk\nvalue.converter=A\ngroup.id=c\nsecurity.protocol=SSL\nclient.id=x",
            "bootstrap.servers=w:1\ngroup.id=w\nsecurity.protocol=SSL\nclient.id=y\nmode=timestamp",
            &[("CONNECT_BOOTSTRAP_SERVERS", "e:1"), ("CONNECT_GROUP_ID", "e")],
            &[("client.id", "z"), ("poll.interval.ms", "7"), ("value.converter.a", "v"), ("key.converter", "K")],
        );
        let settings = Settings::from_layers(&layers, &mut problems, &mut warnings);
        let text = |key: &str| settings.get(key).map(|entry| entry.text.as_str());
        assert_eq!(text("bootstrap.servers"), Some("e:1"));
        assert_eq!((text("client.id"), text("poll.interval.ms"), text("mode")), (Some("z"), Some("7"), Some("bulk")));
        assert!(settings.connector.contains_key("value.converter.a") && settings.worker.contains_key("key.converter"));
        assert_eq!(problems.len(), 1);
        assert!(problems[0].to_string().contains("group.id") && problems[0].to_string().contains("CONNECT_GROUP_ID"));
        assert_eq!(warnings.iter().map(|warning| warning.key.as_str()).collect::<Vec<_>>(), ["mode"]);
    }
}
