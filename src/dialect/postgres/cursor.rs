//! Cursor columns: binary wire form in, [`CursorValue`] out, and the server's own units for what is bound.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::calendar::MICROS_PER_DAY;
use super::super::problem::Problem;
use super::decode::{EPOCH_DAYS, EPOCH_MICROS, finite, fixed, utf8};
use super::stored::Charset;
use super::types::Wire;
use crate::model::{CursorKind, CursorValue};

const NO_ID: Problem = Problem::new("the id is beyond 64 bits");
const BEYOND: Problem =
    Problem::new("the timestamp is in the year 294247 or beyond, where 64 bits of microseconds end");

/// How one result column is read as a cursor.
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
    /// In the database's own encoding.
    Stored(Arc<Charset>),
}

impl CursorDecoder {
    /// None if the wire form cannot carry a cursor of that kind.
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

/// From PostgreSQL's microseconds. The infinities are the ends of the range, and nothing else becomes one: the last
/// thirty years that PostgreSQL knows do not fit.
#[inline]
pub(super) fn unix_micros(bytes: &[u8]) -> Result<i64, Problem> {
    match i64::from_be_bytes(fixed(bytes)?) {
        infinite @ (i64::MAX | i64::MIN) => Ok(infinite),
        // Two days before the end no zone leads beyond it.
        micros => micros.checked_add(EPOCH_MICROS).filter(|unix| *unix < i64::MAX - 2 * MICROS_PER_DAY).ok_or(BEYOND),
    }
}

/// To PostgreSQL's microseconds.
pub(super) fn server_micros(micros: i64) -> i64 {
    match micros {
        i64::MAX | i64::MIN => micros,
        _ => micros.saturating_sub(EPOCH_MICROS).max(i64::MIN + 1),
    }
}

/// To PostgreSQL's days, of the day an instant lies in.
pub(super) fn server_days(micros: i64) -> i32 {
    match micros {
        i64::MAX => i32::MAX,
        i64::MIN => i32::MIN,
        _ => i32::try_from(micros.div_euclid(MICROS_PER_DAY) - EPOCH_DAYS).unwrap_or(i32::MAX - 1),
    }
}

#[cfg(test)]
mod tests {
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
