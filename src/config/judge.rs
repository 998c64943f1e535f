//! Validation of every value against the table of keys; hands typed values to the builders. A value that was found
//! wrong is reported once, here; whoever asks for it afterwards gets the default and goes on, so that all problems of a
//! configuration come out together.

use std::collections::BTreeMap;

use regex::Regex;

use super::document::{Entries, Entry};
use super::keys::{self, Home, KeyDefinition, Status};
use super::layers::{Layers, Settings};
use super::report::{Problem, Report};
use super::values::{boolean, list, problem_of, words};
use crate::convert::{CONVERTERS, ConverterDefinition, HEADER_CONVERTERS, converter_of};

/// Settings and what was found out about them.
pub(super) struct Judge {
    pub(super) settings: Settings,
    pub(super) report: Report,
    pub(super) notes: Vec<String>,
}

impl Judge {
    /// Puts the layers together and judges each value by itself.
    pub(super) fn new(layers: &Layers) -> Self {
        let document = layers.connector.as_ref().or(layers.worker.as_ref());
        let origin = document.map_or_else(|| "environment".to_owned(), |document| document.origin.clone());
        let mut report = Report { origin, ..Report::default() };
        let settings = Settings::from_layers(layers, &mut report.problems, &mut report.warnings);
        let mut judge = Self { settings, report, notes: Vec::new() };
        let worker_only = layers.connector.is_none();
        let levels = [(&judge.settings.connector, false), (&judge.settings.worker, true)];
        for (entries, is_worker) in levels {
            for (key, entry) in entries {
                judge_entry(entries, (key, entry), is_worker, layers.strict, &mut judge.report);
            }
        }
        judge.note_ignored(worker_only);
        judge
    }

    /// One note per reason, not one per key.
    fn note_ignored(&mut self, worker_only: bool) {
        let mut reasons: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for entries in [&self.settings.connector, &self.settings.worker] {
            for key in entries.keys().filter(|_| !worker_only) {
                let foreign = foreign_setting(entries, key);
                let reason = foreign.or_else(|| match keys::find(key)?.status {
                    Status::Ignored(reason) => Some(reason.to_owned()),
                    Status::Honoured | Status::Refused(_) => None,
                });
                if let Some(reason) = reason {
                    reasons.entry(reason).or_default().push(key);
                }
            }
        }
        for (reason, keys) in reasons {
            self.notes.push(format!("{}: accepted, without effect: {reason}", keys.join(", ")));
        }
    }

    /// True if a key has a value that is not empty.
    pub(super) fn is_given(&self, key: &str) -> bool {
        self.settings.get(key).is_some_and(|entry| !entry.text.trim().is_empty())
    }

    /// The given value, trimmed, if it is a valid one.
    pub(super) fn given(&self, key: &str) -> Option<&str> {
        let text = self.settings.get(key)?.text.trim();
        keys::find(key).is_none_or(|definition| problem_of(definition, text).is_none()).then_some(text)
    }

    /// The value, else the default.
    pub(super) fn text(&self, key: &str) -> &str {
        let default = || keys::find(key).and_then(|definition| definition.default);
        self.given(key).or_else(default).unwrap_or_default()
    }

    /// The value of a number, else its default.
    pub(super) fn number(&self, key: &str) -> i64 {
        self.text(key).parse().unwrap_or_default()
    }

    /// The value of a switch, else its default.
    pub(super) fn flag(&self, key: &str) -> bool {
        boolean(self.text(key)).unwrap_or_default()
    }

    /// The elements of a list that are not empty.
    pub(super) fn elements(&self, key: &str) -> Vec<String> {
        list(self.text(key)).into_iter().filter(|element| !element.is_empty()).map(str::to_owned).collect()
    }

    /// Reports a problem with a key, its value and its place.
    pub(super) fn problem(&mut self, key: &str, message: impl Into<String>, with: &[&str]) {
        let problem = self.about(key, message).with(with);
        self.report.problems.push(problem);
    }

    /// Reports something odd.
    pub(super) fn warning(&mut self, key: &str, message: impl Into<String>) {
        let warning = self.about(key, message);
        self.report.warnings.push(warning);
    }

    /// A problem with the value and place of a key, if it has them.
    pub(super) fn about(&self, key: &str, message: impl Into<String>) -> Problem {
        let problem = Problem::new(key, message);
        match self.settings.get(key) {
            Some(entry) => problem.of(entry),
            None => problem,
        }
    }

    /// A regular expression that matches whole texts, as Connect's lists do.
    pub(super) fn pattern(&mut self, key: &str, pattern: &str) -> Option<Regex> {
        match Regex::new(&format!("^(?:{pattern})$")) {
            Ok(regex) => Some(regex),
            Err(error) => {
                // Only the last line tells what is wrong; those above repeat the pattern.
                let text = error.to_string();
                let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                let hint = "; elements are separated by commas, so that none can be part of a pattern";
                self.problem(key, format!("has an element that is not a regular expression: {reason}{hint}"), &[]);
                None
            }
        }
    }

    /// A list of such expressions.
    pub(super) fn patterns(&mut self, key: &str) -> Vec<Regex> {
        let elements = self.elements(key);
        elements.iter().filter_map(|element| self.pattern(key, element)).collect()
    }
}

/// The converter that is configured beside a setting of converters, if it is known.
fn converter_beside(entries: &Entries, role: &str) -> Option<&'static ConverterDefinition> {
    let class = entries.get(role).map(|entry| entry.text.trim()).filter(|class| !class.is_empty());
    let table = if role == "header.converter" { HEADER_CONVERTERS } else { CONVERTERS };
    match class {
        Some(class) => converter_of(table, class),
        None => table.first().copied(),
    }
}

/// The reason why a setting of another converter than the configured one has no effect; Kafka Connect passes over such,
/// too.
fn foreign_setting(entries: &Entries, key: &str) -> Option<String> {
    let (role, setting) = keys::converter_setting(key)?;
    let converter = converter_beside(entries, role)?;
    let other = CONVERTERS.iter().find(|other| keys::setting_of(other, setting).is_some())?;
    let is_own = keys::setting_of(converter, setting).is_some();
    (!is_own).then(|| format!("a setting of {}, which {} does not know", other.class, converter.class))
}

/// The definition that counts for a key, by the converter that is configured beside it.
fn definition_of(entries: &Entries, key: &str) -> Option<&'static KeyDefinition> {
    let own = keys::converter_setting(key)
        .and_then(|(role, setting)| keys::setting_of(converter_beside(entries, role)?, setting));
    own.or_else(|| keys::find(key))
}

fn judge_entry(entries: &Entries, (key, entry): (&str, &Entry), is_worker: bool, strict: bool, report: &mut Report) {
    let Some(definition) = definition_of(entries, key) else {
        if let Some(meant) = keys::misnamed_table_setting(key) {
            let known = keys::settings_of_tables().join(", ");
            let problem = Problem::new(key, format!("must end in a setting that a table can have: {known}"));
            report.problems.push(problem.at(&entry.place).meant(meant));
            return;
        }
        let problem = Problem::new(key, "unknown key; it has no effect").at(&entry.place).meant(keys::nearest(key));
        // A variable may be meant for somebody else.
        let is_file = !entry.place.origin.starts_with("environment variable");
        if strict && is_file { &mut report.problems } else { &mut report.warnings }.push(problem);
        return;
    };
    let is_stray = is_worker && definition.is_of_connector() || !is_worker && definition.home == Home::Worker;
    if is_stray {
        return;
    }
    if definition.name == "column.*" {
        let known = keys::settings_of_columns().join(", ");
        let problem = Problem::new(key, format!("must end in a setting that a column can have: {known}"));
        report.problems.push(problem.at(&entry.place).meant(keys::nearest(key)));
        return;
    }
    if foreign_setting(entries, key).is_some() {
        return;
    }
    if let Some(message) = problem_of(definition, &entry.text) {
        let candidates = words(definition.allowed).iter().copied().filter(|word| !word.is_empty());
        let nearest = if entry.is_resolved() { None } else { crate::near::nearest(entry.raw.trim(), candidates) };
        report.problems.push(Problem::new(key, message).of(entry).meant(nearest.map(str::to_owned)));
    }
}
