//! Reasons why a value cannot be written, which all formats share.

use crate::error::{Error, ErrorKind, Result};
use crate::model::FieldType;

/// Milliseconds of a day; Connect's `Time` may be equal to it.
const DAY_MILLIS: i64 = 86_400_000;

/// The reason why a value cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// The row is shorter than the schema.
    Missing,
    /// The value is of another type than its column.
    Type,
    /// The value is out of the range of its column's type.
    Range,
    /// A null where the schema has none.
    Null,
}

impl Problem {
    /// The error, with the name of the field.
    #[cold]
    pub(super) fn error(self, field: Option<&str>) -> Error {
        let (kind, message) = match self {
            Problem::Missing => (ErrorKind::Internal, "a row is shorter than its schema"),
            Problem::Type => (ErrorKind::Value, "a value is not of the type of its column"),
            Problem::Range => (ErrorKind::Value, "a value is out of the range of its column's type"),
            Problem::Null => (ErrorKind::Value, "null in a field that cannot be null"),
        };
        let error = Error::new(kind, message);
        match field {
            Some(name) => error.with("field", name),
            None => error,
        }
    }
}

/// Appends a row as a whole or not at all. The error names the field, by its index in `names`.
///
/// # Errors
/// That of the value that `encode` could not write.
pub(super) fn append_row(
    names: &[String],
    out: &mut Vec<u8>,
    encode: impl FnOnce(&mut Vec<u8>) -> Result<(), (usize, Problem)>,
) -> Result<()> {
    let start = out.len();
    encode(out).map_err(|(at, problem)| {
        out.truncate(start);
        problem.error(names.get(at).map(String::as_str))
    })
}

/// The least and the greatest integer of a type; all of 64 bits for types that hold none.
pub(super) fn range_of(field_type: &FieldType) -> (i64, i64) {
    match field_type {
        FieldType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        FieldType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        FieldType::Int32 | FieldType::Date => (i32::MIN.into(), i32::MAX.into()),
        FieldType::Time => (0, DAY_MILLIS),
        _ => (i64::MIN, i64::MAX),
    }
}
