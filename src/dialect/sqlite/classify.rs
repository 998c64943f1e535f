//! SQLite's result codes as [`ErrorKind`]s. Its messages hold names, not values.

use std::fmt;

use super::super::statement::Doing;
use crate::error::{Error, ErrorKind};

/// The cause that is kept.
#[derive(Debug)]
struct SqliteFailure {
    code: i32,
    message: String,
}

impl fmt::Display for SqliteFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLite code {})", self.message, self.code)
    }
}

impl std::error::Error for SqliteFailure {}

/// Classifies an error of the driver.
pub(super) fn classify(error: sqlx::Error, doing: Doing) -> Error {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().and_then(|code| code.parse().ok()).unwrap_or(1);
            failure(code, error.message(), doing)
        }
        sqlx::Error::Io(error) => Error::new(ErrorKind::Io, "the database file cannot be opened").caused_by(error),
        sqlx::Error::WorkerCrashed => Error::new(ErrorKind::Unreachable, "the database's thread ended"),
        sqlx::Error::Configuration(error) => Error::config("the connection settings are not usable").caused_by(error),
        // The rest are this module's mistakes; their text may hold values.
        _ => Error::internal("the driver refused a statement"),
    }
}

fn failure(code: i32, message: &str, doing: Doing) -> Error {
    let (kind, what) = kind(code & 0xff, message, doing);
    let error = Error::new(kind, what).caused_by(SqliteFailure { code, message: message.to_owned() });
    match code & 0xff {
        1 if is_without_module(message) => error.advise(
            "the table is a virtual one of a module that is not in rowtide; copy it into a plain table, or leave it out \
             by table.blacklist or table.exclude.list",
        ),
        8 | 14 => error.advise(
            "the file must exist and be readable; in WAL mode its -wal and -shm files must be readable too, \
             or the folder writable",
        ),
        5 | 6 => error.advise(
            "another connection has locked the database file for longer than busy_timeout; let it end its transaction, \
             or let it use WAL mode, where writers do not lock readers out; rowtide tries again by itself",
        ),
        _ => error,
    }
}

fn is_without_module(message: &str) -> bool {
    message.starts_with("no such module")
}

fn kind(code: i32, message: &str, doing: Doing) -> (ErrorKind, &'static str) {
    let missing = message.starts_with("no such table") || message.starts_with("no such column");
    match code {
        1 if missing && doing == Doing::Page => {
            (ErrorKind::SchemaChanged, "the relation changed since it was described")
        }
        1 if missing || is_without_module(message) => {
            (ErrorKind::SourceSchema, "the relation cannot be read as configured")
        }
        1 => (ErrorKind::Config, "the statement is not valid"),
        17 => (ErrorKind::SchemaChanged, "the relation changed since it was described"),
        3 | 23 => (ErrorKind::Privilege, "the privilege is missing"),
        8 | 14 | 26 => (ErrorKind::Config, "the database file cannot be opened"),
        11 => (ErrorKind::Io, "the database file is damaged"),
        5 | 6 => (ErrorKind::Query, "the statement waited for a lock on the database file"),
        9 => (ErrorKind::TimeLimit, "the statement was cancelled"),
        20 => (ErrorKind::Value, "a value has the wrong type"),
        // Aborted, busy, locked, out of memory, interrupted, a disk that fails or is full, a race for locks: it may pass.
        4..=7 | 10 | 13 | 15 => (ErrorKind::Query, "the statement failed"),
        _ => (ErrorKind::SourceRefused, "the database refuses the statement"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_that_can_happen_to_a_reader_has_its_kind() {
        for (code, message, doing, expected) in [
            (5, "database is locked", Doing::Page, ErrorKind::Query),
            (6, "database table is locked", Doing::Page, ErrorKind::Query),
            (7, "out of memory", Doing::Page, ErrorKind::Query),
            (10, "disk I/O error", Doing::Page, ErrorKind::Query),
            (18, "string or blob too big", Doing::Page, ErrorKind::SourceRefused),
            (21, "bad parameter or other API misuse", Doing::Page, ErrorKind::SourceRefused),
            (1, "no such table: t", Doing::Describe, ErrorKind::SourceSchema),
            (1, "no such column: t.a", Doing::Page, ErrorKind::SchemaChanged),
            (1, "no such module: fts9", Doing::Describe, ErrorKind::SourceSchema),
            (1, "near \"selec\": syntax error", Doing::Describe, ErrorKind::Config),
            (14, "unable to open database file", Doing::Connect, ErrorKind::Config),
            (26, "file is not a database", Doing::Connect, ErrorKind::Config),
            (11, "database disk image is malformed", Doing::Page, ErrorKind::Io),
        ] {
            assert_eq!(failure(code, message, doing).kind(), expected, "{message}");
        }
    }
}
