//! SQL that users write (`query`, `query.suffix`, `table.PATTERN.where`), understood by its tokens: literals, comments and
//! quoted names are opaque. Pure: text and the database's grammar in, cleaned text or findings with their places out. It
//! reads no more than rowtide must know; whether a statement is right is said by the database.
//!
//! The lexer is our own. The tokenizer of `sqlparser` 0.64 was tried: on PostgreSQL it takes `-/* ? */` for an
//! operator, it joins no-break spaces to words, passes over `/*M! */` and `/*T! */`, gives no offsets to cut at, and brings
//! a parser of 80,000 lines that cannot be left out.

mod condition;
mod lexer;
mod query;
mod suffix;
#[cfg(test)]
mod tests;
mod tokens;

pub use condition::{changes_with_time, condition};
pub use query::{query, runs_as_it_stands, user_variables, without_modifiers};
pub use suffix::{cuts, suffix};

/// The grammar of a family of databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grammar {
    /// PostgreSQL.
    Postgres,
    /// MySQL.
    MySql,
    /// MariaDB.
    MariaDb,
    /// TiDB.
    TiDb,
    /// SQLite.
    Sqlite,
}

impl Grammar {
    /// The grammar of a dialect, by its name.
    pub fn of(dialect: &str) -> Option<Self> {
        Some(match dialect {
            "postgresql" => Self::Postgres,
            "mysql" => Self::MySql,
            "mariadb" => Self::MariaDb,
            "tidb" => Self::TiDb,
            "sqlite" => Self::Sqlite,
            _ => return None,
        })
    }

    /// MySQL and its relatives.
    fn is_mysql_family(self) -> bool {
        matches!(self, Self::MySql | Self::MariaDb | Self::TiDb)
    }
}

/// The context in which a statement is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The statement is read as a whole, each time.
    Whole,
    /// The statement is read from a position on, in the order of a cursor.
    Paged,
}

/// A fault of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The fault, in words that follow the key; without the place.
    what: String,
    /// The remedy.
    remedy: &'static str,
    /// The place: line and column, from 1; none if it is about the whole.
    place: Option<(usize, usize)>,
}

impl Finding {
    fn new(text: &str, at: usize, what: impl Into<String>, remedy: &'static str) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        let place = (before.matches('\n').count() + 1, line.chars().count() + 1);
        Self { what: what.into(), remedy, place: Some(place) }
    }

    fn of_all(what: impl Into<String>, remedy: &'static str) -> Self {
        Self { what: what.into(), remedy, place: None }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)?;
        if let Some((line, column)) = self.place {
            write!(f, " (line {line}, column {column})")?;
        }
        write!(f, "; {}", self.remedy)
    }
}
