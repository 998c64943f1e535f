//! Values that cannot be delivered: the fault, the setting that would deliver it, and the error that tells its place.
//! Of a row only the key is ever named, so that the row can be found.

use std::fmt::{Display, Write as _};

use crate::error::{Error, ErrorKind};
use crate::model::Relation;

/// The characters of a key's value that are shown, at most.
const SHOWN: usize = 64;

/// The reason why a value cannot be delivered. Never holds the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Problem {
    what: &'static str,
    remedy: Option<&'static str>,
}

impl Problem {
    /// A problem that no setting mends.
    pub(super) const fn new(what: &'static str) -> Self {
        Self { what, remedy: None }
    }

    /// Names the setting under which the value would be delivered, with its value: one that a column can have.
    pub(super) const fn unless(self, setting: &'static str) -> Self {
        Self { what: self.what, remedy: Some(setting) }
    }

    /// The error of a column's value.
    pub(super) fn error(self, kind: ErrorKind, relation: &Relation, column: &str) -> Error {
        let error = Error::new(kind, self.what).with("table", relation).with("column", column);
        match self.remedy {
            Some(setting) => error.advise(format!(
                "set column.{relation}.{column}.{setting}, or {setting} for every column, or correct the row"
            )),
            None => error,
        }
    }

    /// The error of a value of which only the statement knows the column.
    pub(super) fn nameless(self, kind: ErrorKind) -> Error {
        Error::new(kind, self.what)
    }
}

impl From<&'static str> for Problem {
    fn from(what: &'static str) -> Self {
        Self::new(what)
    }
}

/// The name of a row in messages: its key's columns and their values, `id=17, part=x`. Nothing if there is no key.
pub(super) fn row_name<'a>(key: impl IntoIterator<Item = (&'a str, Option<String>)>) -> Option<String> {
    let mut name = String::new();
    for (column, value) in key {
        let value = value.unwrap_or_else(|| "?".to_owned());
        let separator = if name.is_empty() { "" } else { ", " };
        let shown: String = value.chars().take(SHOWN).flat_map(char::escape_debug).collect();
        let cut = if value.chars().nth(SHOWN).is_some() { "…" } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(name, "{separator}{column}={shown}{cut}");
    }
    (!name.is_empty()).then_some(name)
}

/// Adds the row to an error about a value.
pub(super) fn in_row(error: Error, row: Option<impl Display>) -> Error {
    match row {
        Some(row) if error.kind() == ErrorKind::Cursor || is_of_row(&error) => error.with("row", row),
        _ => error,
    }
}

/// The row cannot be delivered, but may be left out.
pub(super) fn is_of_row(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Value | ErrorKind::RecordTooLarge)
}

/// Bytes as text where nothing better is known.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("0x"), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TableId;

    #[test]
    fn an_error_says_where_the_value_is_and_which_setting_delivers_it() {
        let relation = Relation::Table(TableId { catalog: None, schema: Some("s".into()), name: "t".into() });
        let problem = Problem::new("the value is too large").unless("decimal.handling=string");
        let error = problem.error(ErrorKind::Value, &relation, "c");
        let error = in_row(error, row_name([("id", Some("17".to_owned())), ("part", None)]));
        assert_eq!(error.to_string(), "the value is too large (table s.t, column c, row id=17, part=?)");
        let expected = "set column.s.t.c.decimal.handling=string, or decimal.handling=string for every column, or correct \
                        the row";
        assert_eq!(error.advice(), expected);
        let unreachable = in_row(Error::new(ErrorKind::Unreachable, "gone"), Some("id=17"));
        assert_eq!(unreachable.to_string(), "gone");
    }

    #[test]
    fn a_row_s_name_stays_short_and_on_one_line() {
        assert_eq!(row_name([]), None);
        let name = row_name([("k", Some(format!("a\n{}", "x".repeat(100))))]).unwrap();
        assert!(name.starts_with("k=a\\nx") && name.ends_with("x…") && name.len() < 80, "{name}");
    }
}
