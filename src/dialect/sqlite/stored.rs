//! A value as SQLite keeps it: by its storage class, whatever its column is declared as.

use sqlx::sqlite::SqliteValueRef;
use sqlx::{Decode, Sqlite, TypeInfo, ValueRef};

use super::super::problem::Problem;

const UNREADABLE: Problem = Problem::new("the value cannot be read");
pub(super) const NO_TEXT: Problem = Problem::new("the bytes are not text in UTF-8");

/// A value by its storage class.
#[derive(Clone, Copy)]
pub(super) enum Stored<'r> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'r str),
    Blob(&'r [u8]),
}

/// Reads a value out of the driver.
pub(super) fn stored(value: SqliteValueRef<'_>) -> Result<Stored<'_>, Problem> {
    if value.is_null() {
        return Ok(Stored::Null);
    }
    let info = value.type_info();
    Ok(match info.name() {
        "INTEGER" => Stored::Integer(<i64 as Decode<Sqlite>>::decode(value).map_err(|_| UNREADABLE)?),
        "REAL" => Stored::Real(<f64 as Decode<Sqlite>>::decode(value).map_err(|_| UNREADABLE)?),
        "TEXT" => Stored::Text(<&str as Decode<Sqlite>>::decode(value).map_err(|_| NO_TEXT)?),
        _ => Stored::Blob(<&[u8] as Decode<Sqlite>>::decode(value).map_err(|_| UNREADABLE)?),
    })
}

/// The bytes of a value, whatever they are.
pub(super) fn bytes(value: SqliteValueRef<'_>) -> Option<&[u8]> {
    <&[u8] as Decode<Sqlite>>::decode(value).ok()
}
