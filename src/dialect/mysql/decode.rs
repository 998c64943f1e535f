//! One decoder per column, bound once a page and run per value: binary wire form in, [`Value`] or
//! [`CursorValue`] out. Nothing is allocated for numbers, text and bytes.

use std::borrow::Cow;

use super::super::calendar::{MICROS_PER_DAY, civil_from_days, days_from_civil, hybrid_day};
use super::super::decimal::parse_at_scale;
use super::super::instant::{TimestampEncoder, time_of_day};
use super::super::problem::Problem;
use super::types::{ColumnType, Kind, Wire};
use crate::config::spec::{TypeSpec, ZeroDate};
use crate::model::{CursorKind, CursorValue, Field, FieldType, Instant, Value};
use crate::zone::{Overlap, Zone};

const MALFORMED: Problem = Problem::new("the value does not have the length of its type");
const NO_DATE: Problem =
    Problem::new("the value is a zero date or a date without month or day").unless("zero.date=null");
const NOT_CONVERTED: Problem = Problem::new(
    "the value is a zero date or a date without month or day; zeroDateTimeBehavior=CONVERT_TO_NULL makes null of those in \
     columns that may be NULL, and this one is NOT NULL",
)
.unless("zero.date=null");
/// Described again, the column is known for it, and its rows are read in another way.
pub(super) const NO_ORDER: Problem =
    Problem::new("a date that is none has no place in the order in which rows are read");
const NO_TIME: Problem =
    Problem::new("the value is a time below zero or of 24 hours and more").unless("time.handling=string");
const TOO_LARGE: Problem = Problem::new("the value is beyond 2^63 - 1").unless("unsigned.bigint=decimal");
const TOO_WIDE: Problem = Problem::new("the value is beyond the type that the query has for its column");
const AMBIGUOUS: Problem =
    Problem::new("the wall clock comes twice when daylight saving time ends").unless("dst.overlap=later");
const NOT_UTF8: Problem = Problem::new("the text is not UTF-8");

/// How one column's values become record values.
#[derive(Debug, Clone, Copy)]
pub(super) enum Decoder {
    Integer {
        wire: Wire,
        signed: bool,
    },
    /// An integer that comes wider than its field is.
    Narrowed {
        wire: Wire,
        signed: bool,
        most: i64,
    },
    /// BIGINT UNSIGNED into what `unsigned.bigint` says.
    UnsignedLong,
    UnsignedDecimal,
    UnsignedText,
    /// BIT: big-endian bits, as a number.
    Bits,
    BitsDecimal,
    BitsText,
    Boolean,
    Float,
    Double,
    Text,
    Bytes,
    Decimal {
        scale: i32,
    },
    DecimalDouble,
    Year {
        wire: Wire,
        no_date: NoDate,
    },
    YearNumber {
        wire: Wire,
    },
    Date {
        legacy_calendar: bool,
        no_date: NoDate,
    },
    DateTime {
        encoder: TimestampEncoder,
        no_date: NoDate,
    },
    /// A TIMESTAMP in a session in UTC.
    Instant {
        encoder: TimestampEncoder,
        no_date: NoDate,
    },
    /// A TIMESTAMP in a session in another zone.
    SessionWall {
        encoder: TimestampEncoder,
        session: Zone,
        overlap: Overlap,
        no_date: NoDate,
    },
    Time {
        zone: Zone,
    },
}

/// What becomes of a date that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoDate {
    Null,
    Epoch,
    /// Connector/J's ROUND: the first day of the first year.
    FirstDay,
    Fail,
    /// The same, although the URL asks for null.
    NotConverted,
}

impl NoDate {
    fn of(types: &TypeSpec, optional: bool) -> Self {
        match types.zero_date {
            Some(ZeroDate::Epoch) => NoDate::Epoch,
            Some(ZeroDate::Round) => NoDate::FirstDay,
            Some(ZeroDate::Fail) => NoDate::Fail,
            _ if optional => NoDate::Null,
            Some(ZeroDate::IfNullable) => NoDate::NotConverted,
            _ => NoDate::Fail,
        }
    }

    /// The day to put in its place; none for null.
    fn day(self) -> Result<Option<i64>, Problem> {
        match self {
            NoDate::Null => Ok(None),
            NoDate::Epoch => Ok(Some(0)),
            NoDate::FirstDay => Ok(Some(days_from_civil(1, 1, 1))),
            NoDate::Fail => Err(NO_DATE),
            NoDate::NotConverted => Err(NOT_CONVERTED),
        }
    }
}

impl Decoder {
    /// The decoder from a column to its field; none if the two do not go together. `session` is the
    /// zone in which the session shows instants.
    pub(super) fn bind(column: &ColumnType, field: &Field, types: &TypeSpec, session: Zone) -> Option<Self> {
        let no_date = NoDate::of(types, field.optional);
        let signed = !column.unsigned;
        let field_type = &field.field_type;
        Some(match (column.kind, field_type) {
            (Kind::TinyInt, FieldType::Boolean) => Decoder::Boolean,
            (Kind::BigInt, FieldType::Int64) if column.unsigned => Decoder::UnsignedLong,
            (Kind::BigInt, FieldType::Decimal { .. }) => Decoder::UnsignedDecimal,
            (Kind::BigInt, FieldType::String) => Decoder::UnsignedText,
            (
                Kind::TinyInt | Kind::SmallInt | Kind::MediumInt | Kind::Int | Kind::BigInt,
                FieldType::Int8 | FieldType::Int16 | FieldType::Int32 | FieldType::Int64,
            ) => Decoder::Integer { wire: column.wire(), signed },
            (Kind::Bit, FieldType::Bytes) => Decoder::Bytes,
            (Kind::Bit, FieldType::Decimal { .. }) => Decoder::BitsDecimal,
            (Kind::Bit, FieldType::String) => Decoder::BitsText,
            (Kind::Bit, _) => Decoder::Bits,
            (Kind::Float, FieldType::Float32) => Decoder::Float,
            (Kind::Double, FieldType::Float64) => Decoder::Double,
            (Kind::Decimal, FieldType::Decimal { scale, .. }) => Decoder::Decimal { scale: *scale },
            (Kind::Decimal, FieldType::Float64) => Decoder::DecimalDouble,
            (Kind::Year, FieldType::Date) => Decoder::Year { wire: Wire::Short, no_date },
            (Kind::Year, FieldType::Int32) => Decoder::YearNumber { wire: Wire::Short },
            (Kind::Date, FieldType::Date) => Decoder::Date { legacy_calendar: types.legacy_calendar, no_date },
            (Kind::Timestamp, _) if session.is_utc() => {
                Decoder::Instant { encoder: TimestampEncoder::new(types), no_date }
            }
            (Kind::Timestamp, _) => {
                Decoder::SessionWall { encoder: TimestampEncoder::new(types), session, overlap: types.overlap, no_date }
            }
            (Kind::DateTime, _) => Decoder::DateTime { encoder: TimestampEncoder::new(types), no_date },
            (Kind::Time, FieldType::Time) => Decoder::Time { zone: types.zone },
            (_, FieldType::String) if column.wire() == Wire::Bytes => Decoder::Text,
            (_, FieldType::Bytes) if column.wire() == Wire::Bytes => Decoder::Bytes,
            _ => return None,
        })
    }

    /// The same from an integer of another width; none if it cannot be.
    pub(super) fn of_integer(self, found: &ColumnType, field: &Field) -> Option<Self> {
        let (wire, signed) = (found.wire(), !found.unsigned);
        if found.kind == Kind::BigInt && found.unsigned {
            return None;
        }
        let most = match field.field_type {
            FieldType::Int8 => i64::from(i8::MAX),
            FieldType::Int16 => i64::from(i16::MAX),
            FieldType::Int32 => i64::from(i32::MAX),
            _ => i64::MAX,
        };
        match self {
            Decoder::Integer { .. } | Decoder::UnsignedLong => Some(Decoder::Narrowed { wire, signed, most }),
            Decoder::Year { no_date, .. } => Some(Decoder::Year { wire, no_date }),
            Decoder::YearNumber { .. } => Some(Decoder::YearNumber { wire }),
            _ => None,
        }
    }

    /// The record value of a value that is not null; none where a date that is none becomes null.
    #[inline]
    pub(super) fn decode<'r>(&self, bytes: &'r [u8]) -> Result<Value<'r>, Problem> {
        Ok(match self {
            Decoder::Integer { wire, signed } => Value::Integer(integer(*wire, *signed, bytes)?),
            Decoder::Narrowed { wire, signed, most } => {
                let value = integer(*wire, *signed, bytes)?;
                if !(-most - 1..=*most).contains(&value) {
                    return Err(TOO_WIDE);
                }
                Value::Integer(value)
            }
            Decoder::Text => Value::Text(Cow::Borrowed(utf8(bytes)?)),
            Decoder::Bytes => Value::Bytes(Cow::Borrowed(bytes)),
            Decoder::Boolean => Value::Boolean(integer(Wire::Tiny, true, bytes)? != 0),
            Decoder::UnsignedLong => {
                let value = u64::from_le_bytes(fixed(bytes)?);
                Value::Integer(i64::try_from(value).map_err(|_| TOO_LARGE)?)
            }
            Decoder::UnsignedDecimal => unscaled(u64::from_le_bytes(fixed(bytes)?)),
            Decoder::UnsignedText => Value::Text(Cow::Owned(u64::from_le_bytes(fixed(bytes)?).to_string())),
            Decoder::Bits => Value::Integer(i64::try_from(bits(bytes)?).map_err(|_| TOO_LARGE)?),
            Decoder::BitsDecimal => unscaled(bits(bytes)?),
            Decoder::BitsText => Value::Text(Cow::Owned(bits(bytes)?.to_string())),
            Decoder::Float => Value::Float32(f32::from_le_bytes(fixed(bytes)?)),
            Decoder::Double => Value::Float64(f64::from_le_bytes(fixed(bytes)?)),
            Decoder::Decimal { scale } => {
                let (negative, magnitude) = parse_at_scale(utf8(bytes)?, *scale)
                    .ok_or(Problem::new("the value has more digits than the column's scale"))?;
                Value::Decimal(Cow::Owned(magnitude.to_bytes(negative)))
            }
            Decoder::DecimalDouble => Value::Float64(utf8(bytes)?.parse().map_err(|_| MALFORMED)?),
            Decoder::Year { wire, no_date } => match integer(*wire, *wire != Wire::Short, bytes)? {
                0 => no_date.day()?.map_or(Value::Null, Value::Integer),
                year => Value::Integer(days_from_civil(year, 1, 1)),
            },
            Decoder::YearNumber { wire } => Value::Integer(integer(*wire, *wire != Wire::Short, bytes)?),
            Decoder::Date { legacy_calendar, no_date } => match wall(bytes)? {
                Some(micros) => {
                    let day = micros.div_euclid(MICROS_PER_DAY);
                    Value::Integer(if *legacy_calendar { hybrid_day(day) } else { day })
                }
                None => no_date.day()?.map_or(Value::Null, Value::Integer),
            },
            Decoder::DateTime { encoder, no_date } => match wall(bytes)? {
                Some(micros) => encoder.wall(micros, 0)?,
                None => no_instant(*no_date, encoder)?,
            },
            Decoder::Instant { encoder, no_date } => match wall(bytes)? {
                Some(micros) => encoder.instant(micros, 0)?,
                None => no_instant(*no_date, encoder)?,
            },
            Decoder::SessionWall { encoder, session, overlap, no_date } => match wall(bytes)? {
                Some(micros) => encoder.instant(session.wall_to_instant_by(micros, *overlap).ok_or(AMBIGUOUS)?, 0)?,
                None => no_instant(*no_date, encoder)?,
            },
            Decoder::Time { zone } => time_of_day(time(bytes)?.ok_or(NO_TIME)?, zone),
        })
    }
}

fn no_instant(no_date: NoDate, encoder: &TimestampEncoder) -> Result<Value<'static>, Problem> {
    no_date.day()?.map_or(Ok(Value::Null), |day| encoder.instant(day * MICROS_PER_DAY, 0))
}

/// A value of a key as messages show it; none for bytes.
pub(super) fn shown(column: &ColumnType, bytes: &[u8]) -> Option<String> {
    let signed = !column.unsigned && column.kind != Kind::Year;
    match column.wire() {
        Wire::Bytes if column.kind == Kind::Bytes => None,
        Wire::Bytes => utf8(bytes).ok().map(str::to_owned),
        Wire::LongLong if column.unsigned => fixed(bytes).ok().map(|bytes| u64::from_le_bytes(bytes).to_string()),
        wire @ (Wire::Tiny | Wire::Short | Wire::Long | Wire::LongLong) => {
            integer(wire, signed, bytes).ok().map(|value| value.to_string())
        }
        Wire::DateTime => wall(bytes).ok().flatten().map(|micros| Instant::from_micros(micros).to_rfc3339()),
        Wire::Float | Wire::Double | Wire::Time => None,
    }
}

/// How one result column is read as a cursor.
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
    /// None if the column cannot carry a cursor of that kind.
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

#[inline]
fn integer(wire: Wire, signed: bool, bytes: &[u8]) -> Result<i64, Problem> {
    Ok(match (wire, signed) {
        (Wire::Long, true) => i64::from(i32::from_le_bytes(fixed(bytes)?)),
        (Wire::LongLong, true) => i64::from_le_bytes(fixed(bytes)?),
        (Wire::Tiny, true) => i64::from(i8::from_le_bytes(fixed(bytes)?)),
        (Wire::Tiny, false) => i64::from(u8::from_le_bytes(fixed(bytes)?)),
        (Wire::Short, true) => i64::from(i16::from_le_bytes(fixed(bytes)?)),
        (Wire::Short, false) => i64::from(u16::from_le_bytes(fixed(bytes)?)),
        (Wire::Long, false) => i64::from(u32::from_le_bytes(fixed(bytes)?)),
        _ => return Err(MALFORMED),
    })
}

#[inline]
pub(super) fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Problem> {
    bytes.try_into().map_err(|_| MALFORMED)
}

#[inline]
fn utf8(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|_| NOT_UTF8)
}

/// Up to eight bytes, most significant first.
pub(super) fn bits(bytes: &[u8]) -> Result<u64, Problem> {
    if bytes.len() > 8 {
        return Err(MALFORMED);
    }
    Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// A decimal of scale 0.
fn unscaled(value: u64) -> Value<'static> {
    let bytes = [&[0][..], &value.to_be_bytes()].concat();
    let redundant = bytes.windows(2).take_while(|pair| pair[0] == 0 && pair[1] & 0x80 == 0).count();
    Value::Decimal(Cow::Owned(bytes[redundant..].to_vec()))
}

/// The parts of a date and time on the wire: length, year, month, day, hour, minute, second, microseconds.
pub(super) struct Parts {
    pub(super) date: (i64, i64, i64),
    /// Microseconds of the day.
    pub(super) time: i64,
}

impl Parts {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Problem> {
        let (length, body) = bytes.split_first().ok_or(MALFORMED)?;
        if usize::from(*length) != body.len() {
            return Err(MALFORMED);
        }
        let byte = |index: usize| body.get(index).map_or(0, |byte| i64::from(*byte));
        let year = byte(0) | byte(1) << 8;
        let micros = byte(7) | byte(8) << 8 | byte(9) << 16 | byte(10) << 24;
        let seconds = byte(4) * 3_600 + byte(5) * 60 + byte(6);
        Ok(Self { date: (year, byte(2), byte(3)), time: seconds * 1_000_000 + micros })
    }
}

/// Microseconds since the epoch of a wall clock read as UTC; none for what is no date.
#[inline]
fn wall(bytes: &[u8]) -> Result<Option<i64>, Problem> {
    let parts = Parts::read(bytes)?;
    let (year, month, day) = parts.date;
    if !(1..=12).contains(&month) || day == 0 {
        return Ok(None);
    }
    let days = days_from_civil(year, month, day);
    if day > 28 && civil_from_days(days) != (year, month, day) {
        return Ok(None);
    }
    Ok(Some(days * MICROS_PER_DAY + parts.time))
}

/// Microseconds of the day; none below zero or from 24 hours on.
fn time(bytes: &[u8]) -> Result<Option<i64>, Problem> {
    let (length, body) = bytes.split_first().ok_or(MALFORMED)?;
    if usize::from(*length) != body.len() {
        return Err(MALFORMED);
    }
    let byte = |index: usize| body.get(index).map_or(0, |byte| i64::from(*byte));
    let days = byte(1) | byte(2) << 8 | byte(3) << 16 | byte(4) << 24;
    if byte(0) != 0 || days != 0 {
        return Ok(None);
    }
    let micros = byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24;
    Ok(Some((byte(5) * 3_600 + byte(6) * 60 + byte(7)) * 1_000_000 + micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode<'r>(column: &str, field_type: FieldType, bytes: &'r [u8]) -> Result<Value<'r>, Problem> {
        let field = Field { name: "c".to_owned(), field_type, optional: false };
        let decoder = Decoder::bind(&ColumnType::of_catalog(column), &field, &TypeSpec::default(), Zone::UTC).unwrap();
        decoder.decode(bytes)
    }

    #[test]
    fn values_are_read_from_their_binary_form() {
        assert_eq!(decode("int", FieldType::Int32, &(-5_i32).to_le_bytes()), Ok(Value::Integer(-5)));
        assert_eq!(decode("int unsigned", FieldType::Int64, &[0xff; 4]), Ok(Value::Integer(4_294_967_295)));
        assert_eq!(decode("tinyint unsigned", FieldType::Int16, &[0xff]), Ok(Value::Integer(255)));
        assert_eq!(decode("bit(12)", FieldType::Int16, &[0x0f, 0xff]), Ok(Value::Integer(4_095)));
        assert_eq!(decode("year", FieldType::Date, &1970_u16.to_le_bytes()), Ok(Value::Integer(0)));
        assert_eq!(decode("bigint unsigned", FieldType::Int64, &[0xff; 8]), Err(TOO_LARGE));
        let decimal = FieldType::Decimal { precision: None, scale: 0 };
        let widest = Value::Decimal(Cow::Owned([&[0][..], &[0xff; 8]].concat()));
        assert_eq!(decode("bigint unsigned", decimal.clone(), &[0xff; 8]), Ok(widest));
        assert_eq!(decode("bigint unsigned", decimal, &5_u64.to_le_bytes()), Ok(Value::Decimal(vec![5].into())));
        assert_eq!(decode("json", FieldType::String, b"{}"), Ok(Value::Text("{}".into())));
    }

    #[test]
    fn dates_and_times_come_in_parts() {
        let date = [4, 0xe8, 0x07, 2, 29];
        assert_eq!(decode("date", FieldType::Date, &date), Ok(Value::Integer(19_782)));
        let noon = [11, 0xe8, 0x07, 2, 29, 12, 0, 0, 0x40, 0xe2, 0x01, 0];
        assert_eq!(decode("datetime(6)", FieldType::Timestamp, &noon), Ok(Value::Integer(1_709_208_000_123)));
        assert_eq!(decode("time", FieldType::Time, &[8, 0, 0, 0, 0, 0, 1, 2, 3]), Ok(Value::Integer(3_723_000)));
        assert_eq!(decode("time", FieldType::Time, &[0]), Ok(Value::Integer(0)));
        assert_eq!(decode("time", FieldType::Time, &[8, 1, 0, 0, 0, 0, 1, 2, 3]), Err(NO_TIME));
        assert_eq!(decode("time", FieldType::Time, &[8, 0, 1, 0, 0, 0, 1, 2, 3]), Err(NO_TIME));
        assert_eq!(decode("date", FieldType::Date, &[9, 1]), Err(MALFORMED));
    }

    #[test]
    fn dates_that_are_none_do_what_the_setting_says() {
        let zero = [0_u8];
        let partial = [4, 0xe8, 0x07, 1, 0];
        let beyond = [4, 0xe8, 0x07, 2, 31];
        let field = |optional| Field { name: "c".to_owned(), field_type: FieldType::Date, optional };
        let with = |zero_date, optional, bytes: &[u8]| {
            let types = TypeSpec { zero_date, ..TypeSpec::default() };
            let decoder = Decoder::bind(&ColumnType::of_catalog("date"), &field(optional), &types, Zone::UTC).unwrap();
            decoder.decode(bytes).map(|value| match value {
                Value::Integer(days) => Some(days),
                _ => None,
            })
        };
        for bytes in [&zero[..], &partial[..], &beyond[..]] {
            assert_eq!(with(None, true, bytes), Ok(None));
            assert_eq!(with(None, false, bytes), Err(NO_DATE));
            assert_eq!(with(Some(ZeroDate::Epoch), false, bytes), Ok(Some(0)));
            assert_eq!(with(Some(ZeroDate::Fail), true, bytes), Err(NO_DATE));
            assert_eq!(with(Some(ZeroDate::IfNullable), true, bytes), Ok(None));
            assert_eq!(with(Some(ZeroDate::IfNullable), false, bytes), Err(NOT_CONVERTED));
        }
        assert!(CursorDecoder::DateTime.decode(&zero).is_err());
    }

    #[test]
    fn ids_beyond_63_bits_stay_ids() {
        assert_eq!(CursorDecoder::Unsigned.decode(&[0xff; 8]), Ok(CursorValue::Unsigned(u64::MAX)));
        assert_eq!(CursorDecoder::Unsigned.decode(&7_u64.to_le_bytes()), Ok(CursorValue::Integer(7)));
    }
}
