//! Cursor columns: binary wire form in, [`CursorValue`] out.

use std::borrow::Cow;

use sqlx::mysql::MySqlRow;
use sqlx::{Column, Row};

use super::super::problem::Problem;
use super::super::statement::Doing;
use super::binary::{fixed, integer, utf8, wall};
use super::classify::classify;
use super::session::bytes;
use super::types::ColumnType;
use super::wire::{Kind, Wire};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CursorKind, CursorValue};

/// Described again, the column is known for it, and its rows are read in another way.
pub(super) const NO_ORDER: Problem = Problem::new("an invalid date has no place in the order in which rows are read");

/// The decoder of one result column read as a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CursorDecoder {
    Integer {
        wire: Wire,
        signed: bool,
    },
    Unsigned,
    /// A DECIMAL without fraction.
    Decimal,
    DateTime,
    Text,
}

impl CursorDecoder {
    /// The decoder for a kind of cursor; none if the column cannot carry it.
    pub(super) fn bind(column: &ColumnType, kind: CursorKind) -> Option<Self> {
        match (kind, column.wire()) {
            (CursorKind::Unsigned, Wire::LongLong) => Some(CursorDecoder::Unsigned),
            (CursorKind::Integer, wire @ (Wire::Tiny | Wire::Short | Wire::Long | Wire::LongLong)) => {
                let signed = !column.unsigned && column.kind != Kind::Year;
                Some(CursorDecoder::Integer { wire, signed })
            }
            (CursorKind::Integer, Wire::Bytes) if column.kind == Kind::Decimal => Some(CursorDecoder::Decimal),
            (CursorKind::Timestamp { .. } | CursorKind::Date, Wire::DateTime) => Some(CursorDecoder::DateTime),
            (CursorKind::Text, Wire::Bytes) => Some(CursorDecoder::Text),
            _ => None,
        }
    }

    /// The cursor value of a value that is not null.
    #[inline]
    pub(super) fn decode<'r>(self, bytes: &'r [u8]) -> Result<CursorValue<'r>, Problem> {
        Ok(match self {
            CursorDecoder::Integer { wire, signed } => CursorValue::Integer(integer(wire, signed, bytes)?),
            CursorDecoder::Unsigned => CursorValue::unsigned(u64::from_le_bytes(fixed(bytes)?)),
            CursorDecoder::Decimal => {
                let text = utf8(bytes)?;
                CursorValue::Integer(text.parse().map_err(|_| Problem::new("the id is beyond 64 bits"))?)
            }
            CursorDecoder::DateTime => CursorValue::Timestamp(wall(bytes)?.ok_or(NO_ORDER)?),
            CursorDecoder::Text => CursorValue::Text(Cow::Borrowed(utf8(bytes)?)),
        })
    }
}

/// The first column of a row as a cursor value.
pub(super) fn cursor_of(row: &MySqlRow, kind: CursorKind) -> Result<Option<CursorValue<'static>>> {
    let Some(found) = bytes(row, 0).map_err(|error| classify(error, Doing::Page))? else {
        return Ok(Some(CursorValue::Null));
    };
    let column = row.columns().first().map(|column| ColumnType::of_result(column.type_info()));
    let decoder = column
        .and_then(|column| CursorDecoder::bind(&column, kind))
        .ok_or_else(|| Error::new(ErrorKind::SchemaChanged, "the cursor column has another type than described"))?;
    let cursor = decoder.decode(found).map_err(|problem| problem.nameless(ErrorKind::Cursor))?;
    Ok(Some(cursor.into_owned()))
}
