//! A value of a configuration with the place it stands in.

use std::collections::BTreeMap;
use std::fmt;

/// The place of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, `standard input`, an environment variable, or `--set`.
    pub origin: String,
    /// The line, where there is one.
    pub line: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.origin),
            None => f.write_str(&self.origin),
        }
    }
}

/// A value and where it stands.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// As it is written.
    pub raw: String,
    /// The text with placeholders resolved; the same as `raw` until they are.
    pub text: String,
    /// Its place.
    pub place: Place,
}

/// Never shows the value: it may be a secret.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({})", self.place)
    }
}

impl Entry {
    /// An entry without placeholders, or not yet resolved.
    pub fn new(text: impl Into<String>, place: Place) -> Self {
        let raw = text.into();
        Self { text: raw.clone(), raw, place }
    }

    /// True if the text came out of a placeholder: then it is a secret.
    pub fn is_resolved(&self) -> bool {
        self.raw != self.text
    }
}

/// Keys with their entries.
pub type Entries = BTreeMap<String, Entry>;
