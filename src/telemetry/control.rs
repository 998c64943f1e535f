//! Levels of the log that are changed while the process runs, by the names of loggers as Kafka Connect has them
//! (`/admin/loggers`): `root`, `rowtide` and its modules (`rowtide.kafka`), and the drivers. The packages of Kafka Connect and
//! of its JDBC connectors stand for `rowtide`, so that a runbook's call has the effect that is meant.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use tracing_subscriber::EnvFilter;

use crate::error::{Error, Result};
use crate::lock::locked;

/// The name of the logger above all others.
pub const ROOT: &str = "root";
/// Packages of Java that mean this program.
const JAVA: &[&str] = &["org.apache.kafka.connect", "io.confluent.connect.jdbc", "io.aiven.connect.jdbc"];
/// The levels, by Java's words, and what they are here.
const LEVELS: &[(&str, &str)] = &[
    ("OFF", "off"),
    ("FATAL", "error"),
    ("ERROR", "error"),
    ("WARN", "warn"),
    ("INFO", "info"),
    ("DEBUG", "debug"),
    ("TRACE", "trace"),
    ("ALL", "trace"),
];

/// The level of a logger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggerLevel {
    /// Java's word.
    pub level: &'static str,
    /// The time of the change, in milliseconds since the epoch; none: it is as at the start.
    pub last_modified: Option<i64>,
}

type Apply = dyn Fn(EnvFilter) -> bool + Send + Sync;

/// The levels of the process's log. Cheap to clone.
#[derive(Clone)]
pub struct LogControl {
    levels: Arc<Mutex<BTreeMap<String, LoggerLevel>>>,
    apply: Arc<Apply>,
}

impl fmt::Debug for LogControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogControl").finish_non_exhaustive()
    }
}

impl LogControl {
    /// Levels that begin with the directives the log was started with; `apply` puts a filter in its place.
    pub(super) fn new(directives: &str, apply: Box<Apply>) -> Self {
        let word = |level: &str| LEVELS.iter().find(|(_, own)| own.eq_ignore_ascii_case(level)).map(|(word, _)| *word);
        let mut levels = BTreeMap::new();
        for directive in directives.split(',') {
            let (name, level) = directive.split_once('=').unwrap_or((ROOT, directive));
            // Directives about spans and fields are no loggers; they stay in force until a level is changed.
            if let Some(level) = word(level.trim()).filter(|_| is_name(name.trim())) {
                let name = name.trim().replace("::", ".");
                levels.insert(name, LoggerLevel { level, last_modified: None });
            }
        }
        Self { levels: Arc::new(Mutex::new(levels)), apply: Arc::from(apply) }
    }

    /// Levels that change no log, for tests.
    pub fn detached() -> Self {
        Self::new("info,sqlx=warn", Box::new(|_| true))
    }

    /// Loggers with a level of their own.
    pub fn all(&self) -> BTreeMap<String, LoggerLevel> {
        locked(&self.levels).clone()
    }

    /// The level that counts for a logger; none if there is no such logger.
    pub fn level(&self, name: &str) -> Option<LoggerLevel> {
        let levels = locked(&self.levels);
        let above = || levels.iter().filter(|(known, _)| is_below(name, known)).max_by_key(|(known, _)| known.len());
        if let Some(level) = levels.get(name).or_else(|| above().map(|(_, level)| level)) {
            return Some(level.clone());
        }
        let is_ours = name == ROOT || name == "rowtide" || is_below(name, "rowtide");
        is_ours.then(|| LoggerLevel { last_modified: None, ..levels.get(ROOT).cloned().unwrap_or(ERROR) })
    }

    /// Changes the level of a logger and of those below it that have a level of their own; the names of those that had another.
    ///
    /// # Errors
    /// `Config` if the name cannot be one.
    pub fn set(&self, name: &str, level: &'static str, now: i64) -> Result<Vec<String>> {
        if !is_name(name) {
            return Err(Error::config("the name of a logger has letters, digits and dots"));
        }
        let mut levels = locked(&self.levels);
        let wanted = own_name(name);
        let is_meant = |known: &str| known == wanted || is_below(known, wanted) || name == ROOT;
        let mut changed: Vec<String> = levels.keys().filter(|known| is_meant(own_name(known))).cloned().collect();
        if !levels.contains_key(name) {
            changed.push(name.to_owned());
            changed.sort();
        }
        changed.retain(|known| levels.get(known).is_none_or(|before| before.level != level));
        for name in &changed {
            levels.insert(name.clone(), LoggerLevel { level, last_modified: Some(now) });
        }
        let filter = EnvFilter::builder()
            .parse(directives(&levels))
            .map_err(|error| Error::config("the name cannot be that of a logger").caused_by(error))?;
        if !(self.apply)(filter) {
            return Err(Error::internal("the log is gone"));
        }
        Ok(changed)
    }
}

const ERROR: LoggerLevel = LoggerLevel { level: "ERROR", last_modified: None };

/// Java's word for a level in any case; none if there is no such level.
pub fn level_named(text: &str) -> Option<&'static str> {
    LEVELS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(word, _)| *word)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.:$-".contains(c))
}

/// True if a logger lies below another one, by their dotted names.
fn is_below(name: &str, above: &str) -> bool {
    name.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'))
}

/// The name here of a logger: one of Kafka Connect's is `rowtide`.
fn own_name(name: &str) -> &str {
    let is_java = JAVA.iter().any(|package| name == *package || is_below(name, package));
    if is_java { "rowtide" } else { name }
}

/// The filter of these levels, in tracing's words.
fn directives(levels: &BTreeMap<String, LoggerLevel>) -> String {
    let own = |word: &str| LEVELS.iter().find(|(known, _)| *known == word).map_or("info", |(_, own)| *own);
    let directive = |(name, level): (&String, &LoggerLevel)| {
        let own = own(level.level);
        match own_name(name) {
            ROOT => own.to_owned(),
            name => format!("{}={own}", name.replace('.', "::").replace(['$', ':'], ":").replace("::::", "::")),
        }
    };
    levels.iter().map(directive).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_counts_for_what_lies_below_and_is_put_in_force() {
        let applied = Arc::new(Mutex::new(String::new()));
        let seen = Arc::clone(&applied);
        let apply = move |filter: EnvFilter| {
            *locked(&seen) = filter.to_string();
            true
        };
        let control = LogControl::new("info,rdkafka=off,sqlx=warn,rowtide::kafka=debug", Box::new(apply));
        let level = |name: &str| control.level(name).map(|found| found.level);
        assert_eq!(
            (level(ROOT), level("rowtide.task"), level("rowtide.kafka.admin")),
            (Some("INFO"), Some("INFO"), Some("DEBUG"))
        );
        assert_eq!((level("sqlx"), level("no.such")), (Some("WARN"), None));
        let javas = "org.apache.kafka.connect";
        assert_eq!(control.set(javas, "TRACE", 7).unwrap(), [javas, "rowtide.kafka"]);
        assert!(locked(&applied).contains("rowtide=trace"), "{}", locked(&applied));
        // All that mean the same have the level that was given last.
        assert_eq!(control.set("rowtide", "WARN", 8).unwrap(), [javas, "rowtide", "rowtide.kafka"]);
        assert!(
            locked(&applied).contains("rowtide=warn") && !locked(&applied).contains("trace"),
            "{}",
            locked(&applied)
        );
        assert_eq!(control.set(javas, "DEBUG", 8).unwrap(), [javas, "rowtide", "rowtide.kafka"]);
        assert!(locked(&applied).contains("rowtide=debug") && !locked(&applied).contains("rowtide=warn"));
        assert_eq!(control.set("rowtide", "WARN", 8).unwrap().len(), 3);
        assert_eq!(control.level("rowtide.kafka").unwrap(), LoggerLevel { level: "WARN", last_modified: Some(8) });
        assert_eq!(control.set("rowtide", "WARN", 9).unwrap(), <[String; 0]>::default());
        assert_eq!(control.set(ROOT, "ERROR", 9).unwrap().len(), 6);
        for wrong in ["a b", "a=b", "", "a,b", "x[y]"] {
            assert!(control.set(wrong, "INFO", 1).is_err(), "{wrong}");
        }
        assert_eq!((level_named("debug"), level_named("loud")), (Some("DEBUG"), None));
    }
}
