//! The columns that can order rows, by role. A tie-break needs any order, for it only tells rows of one timestamp
//! apart; an id must grow from row to row, which a type can rule out (and only the values can prove: `identity`). Takes
//! a described column, gives its kind or the reason against it.

use super::{CursorRole, TupleColumn};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ColumnDefinition, CursorKind, TableDefinition};

/// Types of exact numbers, without modifier and in lower case.
const NUMBERS: &[&str] = &["numeric", "decimal", "dec", "number"];

/// Types of text, bytes and the like whose values sort in one order, by their bytes.
const ORDERED: &[&str] = &[
    "binary",
    "bpchar",
    "bytea",
    "char",
    "character",
    "character varying",
    "clob",
    "longtext",
    "mediumtext",
    "name",
    "native character",
    "nchar",
    "nvarchar",
    "pg_lsn",
    "text",
    "tinytext",
    "uuid",
    "varbinary",
    "varchar",
    "varying character",
];

/// `VARCHAR(20)` -> `varchar`.
fn base(database_type: &str) -> String {
    let name = database_type.split('(').next().unwrap_or_default();
    name.trim().to_ascii_lowercase()
}

impl TupleColumn {
    /// True if its values are numbers, as Kafka Connect's offsets want them.
    pub(super) fn is_number(&self) -> bool {
        match self.kind {
            CursorKind::Text => NUMBERS.contains(&base(&self.database_type).as_str()),
            kind => matches!(kind, CursorKind::Integer | CursorKind::Unsigned),
        }
    }

    /// The text that sorts before every id worth the name.
    pub(super) fn least_text(&self) -> &'static str {
        match base(&self.database_type).as_str() {
            "uuid" => "00000000-0000-0000-0000-000000000000",
            "pg_lsn" => "0/0",
            _ => "",
        }
    }
}

/// The reason why a column of this type and of kind `Text` cannot be an id that grows.
fn against(database_type: &str) -> Option<&'static str> {
    let base = base(database_type);
    if NUMBERS.contains(&base.as_str()) || ORDERED.contains(&base.as_str()) {
        return None;
    }
    Some(match base.as_str() {
        "citext" => "two ids that differ in case count as one",
        "boolean" | "bool" | "bit" | "bit varying" | "\"char\"" => {
            "it has too few values to tell new rows from old ones"
        }
        "real" | "double precision" | "double" | "float" => "floats round, and NaN sorts after every number",
        _ if base.starts_with("interval") || base.starts_with("time") => "its order is not that in which rows come",
        _ => "its order is not known to be the one in which rows come",
    })
}

/// The kind of a cursor column, if it can serve in its role.
pub(super) fn usable_kind(
    definition: &TableDefinition,
    role: CursorRole,
    column: &ColumnDefinition,
) -> Result<CursorKind> {
    let refuse = |reason: &str, advice: &str| {
        Err(Error::new(
            ErrorKind::SourceSchema,
            format!("column `{}` of type {} {reason}", column.field.name, column.database_type),
        )
        .with("table", &definition.relation)
        .advise(advice.to_owned()))
    };
    const NO_ID: &str = "cannot serve as incrementing column";
    const WANTED: &str = "incrementing.column.name wants a column that only grows: integers, decimals, or text, uuid and \
         bytes that sort by time (UUIDv7, ULID)";
    match (role, column.cursor) {
        (CursorRole::Timestamp, Some(kind)) if kind.is_time() => Ok(kind),
        (CursorRole::Timestamp, _) => refuse(
            "cannot serve as timestamp column",
            "timestamp.column.name wants a date-time column; for a number use mode=incrementing",
        ),
        (CursorRole::Incrementing, Some(kind @ (CursorKind::Integer | CursorKind::Unsigned))) => Ok(kind),
        (CursorRole::Incrementing, Some(CursorKind::Text)) => match against(&column.database_type) {
            None => Ok(CursorKind::Text),
            Some(reason) => refuse(&format!("{NO_ID}: {reason}"), WANTED),
        },
        (CursorRole::Incrementing, Some(_)) => {
            refuse(&format!("{NO_ID}: it is a time"), "name it in timestamp.column.name, with mode=timestamp")
        }
        (CursorRole::Incrementing, None) => refuse(NO_ID, WANTED),
        (CursorRole::TieBreak, Some(kind)) => Ok(kind),
        (CursorRole::TieBreak, None) => refuse("has no order", "use a primary key of ordered types"),
    }
}
