//! The report on a configuration: all problems at once, each with the key, the value found, the values allowed, its
//! place and its documentation. Secrets are masked before they get here.

use std::fmt;

use super::entry::{Entry, Place};
use super::hidden::masked;
use super::keys;
use crate::error::Error;

/// One thing that is wrong, or odd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key; empty if it is about a whole file.
    pub key: String,
    /// Other keys that take part in it.
    pub also: Vec<String>,
    /// The value found, fit to be shown.
    pub found: Option<String>,
    /// The fault, or the values allowed.
    pub message: String,
    /// The file or other place it stands in; empty: that of the report.
    pub origin: String,
    /// The line.
    pub line: Option<usize>,
    /// The known key or value that was probably meant.
    pub nearest: Option<String>,
}

impl Problem {
    /// A problem with a key.
    pub fn new(key: &str, message: impl Into<String>) -> Self {
        Self {
            key: key.to_owned(),
            also: Vec::new(),
            found: None,
            message: message.into(),
            origin: String::new(),
            line: None,
            nearest: None,
        }
    }

    /// Adds what was found; the caller has made sure that it is no secret.
    #[must_use]
    pub fn found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }

    /// Adds place and value of an entry, masked if its key is a secret's.
    #[must_use]
    pub(crate) fn of(self, entry: &Entry) -> Self {
        let shown = if entry.is_resolved() { entry.raw.clone() } else { masked(&self.key, &entry.raw) };
        let mut cut: String = shown.chars().take(100).flat_map(char::escape_debug).collect();
        if shown.chars().nth(100).is_some() {
            cut.push('…');
        }
        self.at(&entry.place).found(cut)
    }

    /// Adds the place.
    #[must_use]
    pub fn at(mut self, place: &Place) -> Self {
        self.origin.clone_from(&place.origin);
        self.line = place.line;
        self
    }

    /// Adds keys that take part.
    #[must_use]
    pub fn with(mut self, keys: &[&str]) -> Self {
        self.also.extend(keys.iter().filter(|key| **key != self.key).map(|key| (*key).to_owned()));
        self
    }

    /// Adds what was probably meant.
    #[must_use]
    pub fn meant(mut self, nearest: Option<String>) -> Self {
        self.nearest = nearest;
        self
    }

    /// The documentation of the key: an anchor of the reference page.
    pub fn documented_at(&self) -> Option<String> {
        keys::find(&self.key).map(|definition| format!("docs/configuration.md#{}", definition.name))
    }
}

/// `key: message` and, in lines below, what goes with it.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.key.is_empty(), self.also.is_empty()) {
            (true, _) => f.write_str(&self.message)?,
            (false, true) => write!(f, "{}: {}", self.key, self.message)?,
            (false, false) => write!(f, "{} (with {}): {}", self.key, self.also.join(", "), self.message)?,
        }
        if let Some(found) = &self.found {
            write!(f, "\n    found: {found}")?;
        }
        if let Some(nearest) = &self.nearest {
            write!(f, "\n    did you mean: {nearest}")?;
        }
        match (self.origin.as_str(), self.line) {
            ("", _) => {}
            (origin, Some(line)) => write!(f, "\n    at: {origin}:{line}")?,
            (origin, None) => write!(f, "\n    at: {origin}")?,
        }
        match self.documented_at() {
            Some(place) => write!(f, "\n    see: {place}"),
            None => Ok(()),
        }
    }
}

/// All problems of a configuration, and what is only odd.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The connector's (or worker's) file.
    pub origin: String,
    /// Problems that must be corrected.
    pub problems: Vec<Problem>,
    /// Oddities that do no harm.
    pub warnings: Vec<Problem>,
}

impl Report {
    pub(crate) fn of_one(origin: &str, problem: Problem) -> Self {
        Self { origin: origin.to_owned(), problems: vec![problem], warnings: Vec::new() }
    }

    /// True if nothing must be corrected.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    /// Sorts by place, so that a file is corrected from top to bottom, and drops repetitions.
    pub(crate) fn tidy(&mut self) {
        for list in [&mut self.problems, &mut self.warnings] {
            list.sort_by(|one, other| (&one.origin, one.line, &one.key).cmp(&(&other.origin, other.line, &other.key)));
            list.dedup();
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
        let problems = count(self.problems.len(), "problem");
        let warnings = count(self.warnings.len(), "warning");
        match (self.problems.is_empty(), self.warnings.is_empty()) {
            (_, true) => write!(f, "{}: {problems}", self.origin)?,
            (true, false) => write!(f, "{}: {warnings}", self.origin)?,
            (false, false) => write!(f, "{}: {problems}, {warnings}", self.origin)?,
        }
        let labelled =
            self.problems.iter().map(|it| ("problem", it)).chain(self.warnings.iter().map(|it| ("warning", it)));
        for (label, problem) in labelled {
            write!(f, "\n  {label}: {}", problem.to_string().replace('\n', "\n  "))?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}

/// The whole report is the message.
impl From<Report> for Error {
    fn from(report: Report) -> Self {
        Error::config(report.to_string()).advise("correct the keys named above; `rowtide docs config` describes each")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_from_top_to_bottom() {
        let place = |line| Place { origin: "c.json".to_owned(), line: Some(line) };
        let mut report = Report::of_one(
            "c.json",
            Problem::new("mode", "must be one of bulk, incrementing").found("increment").at(&place(9)),
        );
        report.problems.push(
            Problem::new("query", "a query and a table filter exclude each other")
                .with(&["query", "table.whitelist"])
                .at(&place(3)),
        );
        report.warnings.push(Problem::new("modus", "unknown key").meant(Some("mode".to_owned())).at(&place(4)));
        report.tidy();
        let expected = "c.json: 2 problems, 1 warning
  problem: query (with table.whitelist): a query and a table filter exclude each other
      at: c.json:3
      see: docs/configuration.md#query
  problem: mode: must be one of bulk, incrementing
      found: increment
      at: c.json:9
      see: docs/configuration.md#mode
  warning: modus: unknown key
      did you mean: mode
      at: c.json:4";
        assert_eq!(report.to_string(), expected);
    }

    #[test]
    fn secrets_and_what_came_out_of_placeholders_are_not_shown() {
        let place = Place { origin: "c".to_owned(), line: None };
        let password = Problem::new("connection.password", "m").of(&Entry::new("hush", place.clone()));
        assert_eq!(password.found.as_deref(), Some("[hidden]"));
        let resolved = Entry { raw: "${env:MODE}".to_owned(), text: "hush".to_owned(), place };
        assert_eq!(Problem::new("mode", "m").of(&resolved).found.as_deref(), Some("${env:MODE}"));
    }
}
