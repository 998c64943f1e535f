//! SQLite's declared types: which field type a column becomes (`querying.md`, 10.3, the common case of
//! each type, so that a schema does not depend on the first row), and what SQL must fetch.

use super::super::decimal::numeric_type;
use super::super::instant::timestamp_type;
use crate::config::spec::TypeSpec;
use crate::model::{CursorKind, FieldType, Projection};

/// A declared type: upper case, what stands before a parenthesis, and the numbers within.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Declared {
    pub(super) name: String,
    numbers: Vec<i32>,
}

impl Declared {
    pub(super) fn parse(text: &str) -> Self {
        let upper = text.trim().to_ascii_uppercase();
        let (name, rest) = upper.split_once('(').unwrap_or((&upper, ""));
        let numbers = rest.split([',', ')']).filter_map(|number| number.trim().parse().ok()).collect();
        Self { name: name.trim().to_owned(), numbers }
    }

    /// A type of date and time.
    pub(super) fn is_time(&self) -> bool {
        matches!(self.name.as_str(), "DATE" | "DATETIME" | "TIMESTAMP")
    }

    /// The affinity rule of SQLite for integers.
    pub(super) fn is_integer(&self) -> bool {
        self.name.contains("INT")
    }

    pub(super) fn is_text(&self) -> bool {
        ["CHAR", "CLOB", "TEXT"].iter().any(|part| self.name.contains(part))
    }

    /// Field type and projection. `wide`: INTEGER has held a value of more than 32 bits.
    pub(super) fn field(&self, types: &TypeSpec, wide: bool) -> (FieldType, Projection) {
        let plain = |field_type| (field_type, Projection::Column);
        match self.name.as_str() {
            "BOOLEAN" => plain(FieldType::Boolean),
            "TINYINT" => plain(FieldType::Int16),
            "SMALLINT" | "INT2" => plain(FieldType::Int32),
            "INTEGER" if !wide => plain(FieldType::Int32),
            "BOOL" => plain(FieldType::Int64),
            "REAL" => plain(FieldType::Float32),
            "DOUBLE" | "DOUBLE PRECISION" | "FLOAT" => plain(FieldType::Float64),
            "NUMERIC" | "DECIMAL" => plain(self.numeric(types)),
            "DATE" => plain(FieldType::Date),
            "DATETIME" | "TIMESTAMP" => plain(timestamp_type(types.granularity)),
            name if name.contains("BLOB") || name.contains("BINARY") => plain(FieldType::Bytes),
            _ if self.is_integer() => plain(FieldType::Int64),
            _ if self.is_text() => plain(FieldType::String),
            // TIME, JSON, UUID and whatever else, or nothing: a value of any class, as SQLite writes it.
            _ => (FieldType::String, Projection::Text),
        }
    }

    fn numeric(&self, types: &TypeSpec) -> FieldType {
        match self.numbers.as_slice() {
            [precision, scale, ..] if *scale >= 0 => numeric_type(*precision, *scale, types),
            [precision] => numeric_type(*precision, 0, types),
            _ => FieldType::Float64,
        }
    }

    /// How a column that is not one of time serves as a cursor. None where a value's text would lose
    /// digits (floats), or values of several classes mix.
    pub(super) fn cursor(&self, field_type: &FieldType) -> Option<CursorKind> {
        match field_type {
            FieldType::Int8 | FieldType::Int16 | FieldType::Int32 | FieldType::Int64 if !self.is_time() => {
                Some(CursorKind::Integer)
            }
            FieldType::Decimal { scale: 0, .. } => Some(CursorKind::Integer),
            FieldType::String if self.is_text() => Some(CursorKind::Text),
            _ => None,
        }
    }
}

/// Declared types in use, of each rule at least one.
const EXAMPLES: &[&str] = &[
    "BOOLEAN",
    "BOOL",
    "TINYINT",
    "SMALLINT",
    "INT2",
    "MEDIUMINT",
    "INT",
    "INTEGER",
    "INT8",
    "BIGINT",
    "UNSIGNED BIG INT",
    "REAL",
    "FLOAT",
    "DOUBLE",
    "DOUBLE PRECISION",
    "NUMERIC",
    "NUMERIC(10,0)",
    "DECIMAL(10,2)",
    "DATE",
    "DATETIME",
    "TIMESTAMP",
    "TIME",
    "CHARACTER(20)",
    "VARCHAR(255)",
    "NVARCHAR(100)",
    "TEXT",
    "CLOB",
    "JSON",
    "UUID",
    "BLOB",
    "VARBINARY(16)",
    "",
];

/// The rows of the reference page.
pub(super) fn documented(types: &TypeSpec) -> Vec<(String, Option<FieldType>)> {
    let row = |declared: &&str| {
        let name = if declared.is_empty() { "no type, or an expression" } else { *declared };
        (name.to_owned(), Some(Declared::parse(declared).field(types, false).0))
    };
    let mut rows: Vec<_> = EXAMPLES.iter().map(row).collect();
    rows.push(("INTEGER PRIMARY KEY beyond 32 bits".to_owned(), Some(Declared::parse("INTEGER").field(types, true).0)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(declared: &str) -> FieldType {
        let types = TypeSpec::default();
        Declared::parse(declared).field(&types, false).0
    }

    #[test]
    fn declared_types_answer_as_the_reference_does_in_the_common_case() {
        for (declared, expected) in [
            ("INTEGER", FieldType::Int32),
            ("int", FieldType::Int64),
            ("UNSIGNED BIG INT", FieldType::Int64),
            ("tinyint(1)", FieldType::Int16),
            ("varchar(20)", FieldType::String),
            ("REAL", FieldType::Float32),
            ("DOUBLE PRECISION", FieldType::Float64),
            ("DECIMAL(10, 2)", FieldType::Decimal { precision: Some(10), scale: 2 }),
            ("NUMERIC", FieldType::Float64),
            ("BLOB", FieldType::Bytes),
            ("DATETIME", FieldType::Timestamp),
            ("DATE", FieldType::Date),
            ("", FieldType::String),
        ] {
            assert_eq!(field(declared), expected, "{declared}");
        }
    }
}
