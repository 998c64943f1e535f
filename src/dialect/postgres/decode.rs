//! One decoder per column, bound once a page and run per value: binary wire form in, [`Value`] or
//! [`CursorValue`] out. Nothing is allocated for numbers, text and bytes.

use std::borrow::Cow;

use super::super::calendar::{MICROS_PER_DAY, hybrid_day};
use super::super::instant::{TimestampEncoder, time_of_day};
use super::numeric::Numeric;
use super::types::Wire;
use crate::config::spec::TypeSpec;
use crate::model::{CursorKind, CursorValue, FieldType, Value};
use crate::zone::Zone;

/// Microseconds and days from 1970-01-01 to 2000-01-01, PostgreSQL's epoch.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const EPOCH_DAYS: i64 = 10_957;

/// Why a value could not be decoded. Never holds the value.
pub(super) type Problem = &'static str;

const MALFORMED: Problem = "the value does not have the length of its type";

const BEYOND: Problem = "the timestamp is in the year 294247 or beyond, where 64 bits of microseconds end";

/// How one column's values become record values.
#[derive(Debug, Clone, Copy)]
pub(super) enum Decoder {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Text,
    Char,
    Bytes,
    Bit,
    Date { legacy_calendar: bool },
    Time(Zone),
    Timetz,
    Timestamp(TimestampEncoder),
    Timestamptz(TimestampEncoder),
    Uuid,
    Jsonb,
    Decimal { scale: i32 },
    NumericInteger { limit: i64 },
    NumericDouble,
}

impl Decoder {
    /// The decoder from a wire form to a field type; none if the two do not go together.
    pub(super) fn bind(wire: Wire, field_type: &FieldType, types: &TypeSpec) -> Option<Self> {
        Some(match (wire, field_type) {
            (Wire::Bool, FieldType::Boolean) => Decoder::Bool,
            (Wire::Bit, FieldType::Boolean) => Decoder::Bit,
            (Wire::Int2, FieldType::Int16) => Decoder::Int2,
            (Wire::Int4, FieldType::Int32) => Decoder::Int4,
            (Wire::Int8, FieldType::Int64) => Decoder::Int8,
            (Wire::Oid, FieldType::Int64) => Decoder::Oid,
            (Wire::Float4, FieldType::Float32) => Decoder::Float4,
            (Wire::Float8, FieldType::Float64) => Decoder::Float8,
            (Wire::Text, FieldType::String) => Decoder::Text,
            (Wire::Char, FieldType::String) => Decoder::Char,
            (Wire::Uuid, FieldType::String) => Decoder::Uuid,
            (Wire::Jsonb, FieldType::String) => Decoder::Jsonb,
            (Wire::Bytea, FieldType::Bytes) => Decoder::Bytes,
            (Wire::Date, FieldType::Date) => Decoder::Date { legacy_calendar: types.legacy_calendar },
            (Wire::Time, FieldType::Time) => Decoder::Time(types.zone),
            (Wire::Timetz, FieldType::Time) => Decoder::Timetz,
            (Wire::Timestamp, _) => Decoder::Timestamp(TimestampEncoder::new(types)),
            (Wire::Timestamptz, _) => Decoder::Timestamptz(TimestampEncoder::new(types)),
            (Wire::Numeric, FieldType::Decimal { scale, .. }) => Decoder::Decimal { scale: *scale },
            (Wire::Numeric, FieldType::Float64) => Decoder::NumericDouble,
            (Wire::Numeric, FieldType::Int8) => Decoder::NumericInteger { limit: i64::from(i8::MAX) },
            (Wire::Numeric, FieldType::Int16) => Decoder::NumericInteger { limit: i64::from(i16::MAX) },
            (Wire::Numeric, FieldType::Int32) => Decoder::NumericInteger { limit: i64::from(i32::MAX) },
            (Wire::Numeric, FieldType::Int64) => Decoder::NumericInteger { limit: i64::MAX },
            _ => return None,
        })
    }

    /// Appends the record value of a value that is not null. The frequent types are built in place: a value
    /// that is returned first is stored in small parts and copied in large ones, which stalls.
    #[inline]
    pub(super) fn append<'r>(&self, bytes: &'r [u8], values: &mut Vec<Value<'r>>) -> Result<(), Problem> {
        match self {
            Decoder::Int4 => values.push(Value::Integer(i64::from(i32::from_be_bytes(fixed(bytes)?)))),
            Decoder::Int8 => values.push(Value::Integer(i64::from_be_bytes(fixed(bytes)?))),
            Decoder::Text => {
                let text = utf8(bytes)?;
                values.push(Value::Text(Cow::Borrowed(text)));
            }
            Decoder::Timestamp(encoder) => {
                let micros = unix_micros(bytes)?;
                match encoder.wall_millis(micros) {
                    Some(millis) => values.push(Value::Integer(millis)),
                    None => values.push(encoder.wall(micros, 0)),
                }
            }
            _ => values.push(self.decode(bytes)?),
        }
        Ok(())
    }

    /// The record value of a value that is not null.
    pub(super) fn decode<'r>(&self, bytes: &'r [u8]) -> Result<Value<'r>, Problem> {
        Ok(match self {
            Decoder::Int4 => Value::Integer(i64::from(i32::from_be_bytes(fixed(bytes)?))),
            Decoder::Int8 => Value::Integer(i64::from_be_bytes(fixed(bytes)?)),
            Decoder::Int2 => Value::Integer(i64::from(i16::from_be_bytes(fixed(bytes)?))),
            Decoder::Text => Value::Text(Cow::Borrowed(utf8(bytes)?)),
            Decoder::Timestamp(encoder) => encoder.wall(unix_micros(bytes)?, 0),
            Decoder::Timestamptz(encoder) => encoder.instant(unix_micros(bytes)?, 0),
            Decoder::Bool => Value::Boolean(bytes.first().ok_or(MALFORMED)? != &0),
            Decoder::Bit => Value::Boolean(bytes.get(4).ok_or(MALFORMED)? & 0x80 != 0),
            Decoder::Oid => Value::Integer(i64::from(u32::from_be_bytes(fixed(bytes)?))),
            Decoder::Float4 => Value::Float32(f32::from_be_bytes(fixed(bytes)?)),
            Decoder::Float8 => Value::Float64(f64::from_be_bytes(fixed(bytes)?)),
            Decoder::Bytes => Value::Bytes(Cow::Borrowed(bytes)),
            Decoder::Jsonb => Value::Text(Cow::Borrowed(utf8(bytes.get(1..).ok_or(MALFORMED)?)?)),
            Decoder::Char => Value::Text(Cow::Owned(char_text(*bytes.first().ok_or(MALFORMED)?))),
            Decoder::Uuid => Value::Text(Cow::Owned(uuid_text(u128::from_be_bytes(fixed(bytes)?)))),
            Decoder::Date { legacy_calendar } => date(i32::from_be_bytes(fixed(bytes)?), *legacy_calendar)?,
            Decoder::Time(zone) => time_of_day(i64::from_be_bytes(fixed(bytes)?), zone),
            Decoder::Timetz => timetz(bytes)?,
            Decoder::Decimal { scale } => {
                let numeric = finite(bytes)?;
                let unscaled = numeric.unscaled(*scale).ok_or("the value has more digits than the column's scale")?;
                Value::Decimal(Cow::Owned(unscaled))
            }
            Decoder::NumericInteger { limit } => {
                let integer = finite(bytes)?.integer().filter(|value| (-limit - 1..=*limit).contains(value));
                Value::Integer(integer.ok_or("the value is not an integer of its field's size")?)
            }
            Decoder::NumericDouble => {
                let numeric = Numeric::read(bytes).ok_or(MALFORMED)?;
                Value::Float64(numeric.double().ok_or(MALFORMED)?)
            }
        })
    }
}

/// How one result column is read as a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CursorDecoder {
    Int2,
    Int4,
    Int8,
    Oid,
    Numeric,
    Timestamp,
    Date,
    Text,
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
    pub(super) fn decode<'r>(self, bytes: &'r [u8]) -> Result<CursorValue<'r>, Problem> {
        Ok(match self {
            CursorDecoder::Int2 => CursorValue::Integer(i64::from(i16::from_be_bytes(fixed(bytes)?))),
            CursorDecoder::Int4 => CursorValue::Integer(i64::from(i32::from_be_bytes(fixed(bytes)?))),
            CursorDecoder::Int8 => CursorValue::Integer(i64::from_be_bytes(fixed(bytes)?)),
            CursorDecoder::Oid => CursorValue::Integer(i64::from(u32::from_be_bytes(fixed(bytes)?))),
            CursorDecoder::Numeric => CursorValue::Integer(finite(bytes)?.integer().ok_or("the id is beyond 64 bits")?),
            CursorDecoder::Timestamp => CursorValue::Timestamp(unix_micros(bytes)?),
            CursorDecoder::Date => CursorValue::Timestamp(match i32::from_be_bytes(fixed(bytes)?) {
                i32::MAX => i64::MAX,
                i32::MIN => i64::MIN,
                days => (i64::from(days) + EPOCH_DAYS) * MICROS_PER_DAY,
            }),
            CursorDecoder::Text => CursorValue::Text(Cow::Borrowed(utf8(bytes)?)),
        })
    }
}

/// From PostgreSQL's microseconds. The infinities are the ends of the range, and nothing else becomes one: the last
/// thirty years that PostgreSQL knows do not fit.
#[inline]
fn unix_micros(bytes: &[u8]) -> Result<i64, Problem> {
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

#[inline]
fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Problem> {
    bytes.try_into().map_err(|_| MALFORMED)
}

#[inline]
fn utf8(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|_| "the text is not UTF-8")
}

fn finite(bytes: &[u8]) -> Result<Numeric<'_>, Problem> {
    let numeric = Numeric::read(bytes).ok_or(MALFORMED)?;
    if numeric.is_finite() { Ok(numeric) } else { Err("NaN or infinity does not fit an integer or decimal") }
}

fn date(days: i32, legacy_calendar: bool) -> Result<Value<'static>, Problem> {
    if days == i32::MAX || days == i32::MIN {
        return Err("an infinite date does not fit a date");
    }
    let days = i64::from(days) + EPOCH_DAYS;
    let days = if legacy_calendar { hybrid_day(days) } else { days };
    if i32::try_from(days).is_err() {
        return Err("the date is out of range");
    }
    Ok(Value::Integer(days))
}

/// UTC milliseconds, wrapped into the day where the offset leads out of it.
fn timetz(bytes: &[u8]) -> Result<Value<'static>, Problem> {
    let (time, west) = bytes.split_at_checked(8).ok_or(MALFORMED)?;
    let west_seconds = i64::from(i32::from_be_bytes(fixed(west)?));
    let utc = i64::from_be_bytes(fixed(time)?) + west_seconds * 1_000_000;
    let utc = if (0..=MICROS_PER_DAY).contains(&utc) { utc } else { utc.rem_euclid(MICROS_PER_DAY) };
    Ok(Value::Integer(utc.div_euclid(1_000)))
}

/// As the server's text form: nothing for zero, octal above ASCII.
fn char_text(byte: u8) -> String {
    match byte {
        0 => String::new(),
        1..=127 => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    }
}

fn uuid_text(uuid: u128) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(36);
    for nibble in (0..32).rev() {
        text.push(char::from(DIGITS[((uuid >> (4 * nibble)) & 15) as usize]));
        if matches!(nibble, 24 | 20 | 16 | 12) {
            text.push('-');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types() -> TypeSpec {
        TypeSpec::default()
    }

    fn decode(wire: Wire, field_type: FieldType, bytes: &[u8]) -> Result<Value<'_>, Problem> {
        Decoder::bind(wire, &field_type, &types()).unwrap().decode(bytes)
    }

    #[test]
    fn values_are_read_from_their_binary_form() {
        assert_eq!(decode(Wire::Int4, FieldType::Int32, &(-5_i32).to_be_bytes()), Ok(Value::Integer(-5)));
        assert_eq!(decode(Wire::Oid, FieldType::Int64, &u32::MAX.to_be_bytes()), Ok(Value::Integer(4_294_967_295)));
        assert_eq!(decode(Wire::Bit, FieldType::Boolean, &[0, 0, 0, 1, 0x80]), Ok(Value::Boolean(true)));
        assert_eq!(decode(Wire::Jsonb, FieldType::String, b"\x01{}"), Ok(Value::Text("{}".into())));
        assert_eq!(decode(Wire::Char, FieldType::String, &[0]), Ok(Value::Text("".into())));
        assert_eq!(decode(Wire::Date, FieldType::Date, &0_i32.to_be_bytes()), Ok(Value::Integer(10_957)));
        assert!(decode(Wire::Date, FieldType::Date, &i32::MAX.to_be_bytes()).is_err());
        assert!(decode(Wire::Int4, FieldType::Int32, &[1]).is_err());
        assert!(decode(Wire::Text, FieldType::String, &[0xff]).is_err());
        let uuid = 0xa0ee_bc99_9c0b_4ef8_bb6d_6bb9_bd38_0a11_u128.to_be_bytes();
        let text = Value::Text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11".into());
        assert_eq!(decode(Wire::Uuid, FieldType::String, &uuid), Ok(text));
    }

    #[test]
    fn timetz_is_utc_within_the_day() {
        let wire = |micros: i64, west: i32| [&micros.to_be_bytes()[..], &west.to_be_bytes()].concat();
        // 01:00+02 is 23:00 UTC of the day before.
        assert_eq!(
            decode(Wire::Timetz, FieldType::Time, &wire(3_600_000_000, -7_200)),
            Ok(Value::Integer(23 * 3_600_000))
        );
        assert_eq!(decode(Wire::Timetz, FieldType::Time, &wire(MICROS_PER_DAY, 0)), Ok(Value::Integer(86_400_000)));
    }

    #[test]
    fn infinite_timestamps_survive_as_cursors() {
        for micros in [i64::MAX, i64::MIN, 0, -1, 646_452_000_123_456] {
            let value = CursorDecoder::Timestamp.decode(&server_micros(micros).to_be_bytes()).map(|v| v.into_owned());
            assert_eq!(value, Ok(CursorValue::Timestamp(micros)));
        }
        assert_eq!(server_days(i64::MAX), i32::MAX);
        assert_eq!(server_days(EPOCH_MICROS), 0);
    }

    #[test]
    fn a_form_that_does_not_fit_the_field_is_not_bound() {
        assert!(Decoder::bind(Wire::Int8, &FieldType::Int32, &types()).is_none());
        assert!(Decoder::bind(Wire::Other, &FieldType::String, &types()).is_none());
        assert!(CursorDecoder::bind(Wire::Uuid, CursorKind::Text).is_none());
    }
}
