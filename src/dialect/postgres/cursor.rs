//! Cursor columns: binary wire form in, [`CursorValue`] out.

use std::borrow::Cow;
use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::{Row, ValueRef};

use super::super::calendar::MICROS_PER_DAY;
use super::super::problem::Problem;
use super::super::statement::Doing;
use super::binary::{EPOCH_DAYS, finite, fixed, unix_micros, utf8};
use super::charset::Charset;
use super::classify::classify;
use super::wire::Wire;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CursorKind, CursorValue};

const NO_ID: Problem = Problem::new("the id is beyond 64 bits");

/// The decoder of one result column read as a cursor.
#[derive(Debug, Clone)]
pub(super) enum CursorDecoder {
    Int2,
    Int4,
    Int8,
    Oid,
    Numeric,
    Timestamp,
    Date,
    Text,
    /// A text in the database's own encoding.
    Stored(Arc<Charset>),
}

impl CursorDecoder {
    /// The decoder for a kind of cursor; none if the wire form cannot carry it.
    pub(super) fn bind(wire: Wire, kind: CursorKind) -> Option<Self> {
        match (kind, wire) {
            (CursorKind::Integer, Wire::Int2) => Some(CursorDecoder::Int2),
            (CursorKind::Integer, Wire::Int4) => Some(CursorDecoder::Int4),
            (CursorKind::Integer, Wire::Int8) => Some(CursorDecoder::Int8),
            (CursorKind::Integer, Wire::Oid) => Some(CursorDecoder::Oid),
            (CursorKind::Integer, Wire::Numeric) => Some(CursorDecoder::Numeric),
            (CursorKind::Timestamp { zoned: false, .. }, Wire::Timestamp) => Some(CursorDecoder::Timestamp),
            (CursorKind::Timestamp { zoned: true, .. }, Wire::Timestamptz) => Some(CursorDecoder::Timestamp),
            (CursorKind::Date, Wire::Date) => Some(CursorDecoder::Date),
            (CursorKind::Text, Wire::Text) => Some(CursorDecoder::Text),
            _ => None,
        }
    }

    /// The cursor value of a value that is not null.
    #[inline]
    pub(super) fn decode<'r>(&self, bytes: &'r [u8]) -> Result<CursorValue<'r>, Problem> {
        Ok(match self {
            CursorDecoder::Int2 => CursorValue::Integer(i64::from(i16::from_be_bytes(fixed(bytes)?))),
            CursorDecoder::Int4 => CursorValue::Integer(i64::from(i32::from_be_bytes(fixed(bytes)?))),
            CursorDecoder::Int8 => CursorValue::Integer(i64::from_be_bytes(fixed(bytes)?)),
            CursorDecoder::Oid => CursorValue::Integer(i64::from(u32::from_be_bytes(fixed(bytes)?))),
            CursorDecoder::Numeric => CursorValue::Integer(finite(bytes)?.integer().ok_or(NO_ID)?),
            CursorDecoder::Timestamp => CursorValue::Timestamp(unix_micros(bytes)?),
            CursorDecoder::Date => CursorValue::Timestamp(match i32::from_be_bytes(fixed(bytes)?) {
                i32::MAX => i64::MAX,
                i32::MIN => i64::MIN,
                days => (i64::from(days) + EPOCH_DAYS) * MICROS_PER_DAY,
            }),
            CursorDecoder::Text => CursorValue::Text(Cow::Borrowed(utf8(bytes)?)),
            CursorDecoder::Stored(charset) => CursorValue::Text(charset.text(bytes)?),
        })
    }
}

/// The first column of a row as a cursor value.
pub(super) fn cursor_of(row: &PgRow, kind: CursorKind) -> Result<Option<CursorValue<'static>>> {
    let value = row.try_get_raw(0).map_err(|error| classify(error, Doing::Page))?;
    if value.is_null() {
        return Ok(Some(CursorValue::Null));
    }
    let wire = Wire::of_result(&value.type_info());
    let decoder = CursorDecoder::bind(wire, kind)
        .ok_or_else(|| Error::new(ErrorKind::SchemaChanged, "the cursor column has another type than described"))?;
    let bytes = value.as_bytes().map_err(|_| Error::internal("a value is null and is not"))?;
    let cursor = decoder.decode(bytes).map_err(|problem| problem.nameless(ErrorKind::Cursor))?;
    Ok(Some(cursor.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::binary::{EPOCH_MICROS, server_days, server_micros};
    use super::*;

    #[test]
    fn infinite_timestamps_survive_as_cursors() {
        for micros in [i64::MAX, i64::MIN, 0, -1, 646_452_000_123_456] {
            let value = CursorDecoder::Timestamp.decode(&server_micros(micros).to_be_bytes()).map(|v| v.into_owned());
            assert_eq!(value, Ok(CursorValue::Timestamp(micros)));
        }
        assert_eq!(server_days(i64::MAX), i32::MAX);
        assert_eq!(server_days(EPOCH_MICROS), 0);
        assert!(CursorDecoder::bind(Wire::Uuid, CursorKind::Text).is_none());
    }
}
