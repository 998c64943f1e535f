//! One decoder per column, bound once a page and run per value: binary wire form in, [`Value`] out. Nothing is
//! allocated for numbers, text and bytes.

use std::borrow::Cow;

use super::super::calendar::{MICROS_PER_DAY, days_from_civil, hybrid_day};
use super::super::decimal::parse_at_scale;
use super::super::instant::{TimestampEncoder, time_of_day};
use super::super::problem::Problem;
use super::binary::{MALFORMED, bits, fixed, integer, shown_number, time, unscaled, utf8, wall};
use super::types::ColumnType;
use super::wire::{Kind, Wire};
use crate::config::spec::{TypeSpec, ZeroDate};
use crate::model::{Field, FieldType, Value};
use crate::zone::{Overlap, Zone};

const NO_DATE: Problem =
    Problem::new("the value is a zero date or a date without month or day").unless("zero.date=null");
const NOT_CONVERTED: Problem = Problem::new(
    "the value is a zero date or a date without month or day; zeroDateTimeBehavior=CONVERT_TO_NULL makes null of those in \
     columns that may be NULL, and this one is NOT NULL",
)
.unless("zero.date=null");
const NO_TIME: Problem =
    Problem::new("the value is a time below zero or of 24 hours and more").unless("time.handling=string");
const TOO_LARGE: Problem = Problem::new("the value is beyond 2^63 - 1").unless("unsigned.bigint=decimal");
/// The reader describes such a column anew, with a type that holds more if there is one.
pub(super) const TOO_WIDE: Problem = Problem::new("the value is beyond the type that its column is delivered as");
const AMBIGUOUS: Problem =
    Problem::new("the wall clock comes twice when daylight saving time ends").unless("dst.overlap=later");

/// The decoder of one column: from its values to record values.
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
    /// BIGINT UNSIGNED into the type of `unsigned.bigint`.
    UnsignedLong,
    UnsignedDecimal,
    UnsignedText,
    /// BIT: big-endian bits, as a number.
    Bits {
        most: u64,
    },
    BitsDecimal,
    BitsText,
    /// An integer of which zero is false.
    Boolean {
        wire: Wire,
        signed: bool,
    },
    /// BIT of which none is false.
    BitBoolean,
    Float,
    Double,
    /// An integer where its column was described as a double.
    DoubleOfInteger {
        wire: Wire,
        signed: bool,
    },
    /// `float(M,D)`, as the server shows it.
    ShownFloat {
        digits: u8,
    },
    /// `double(M,D)`, as the server shows it.
    ShownDouble {
        digits: u8,
    },
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

/// The treatment of a date that is none.
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
            (Kind::TinyInt, FieldType::Boolean) => Decoder::Boolean { wire: Wire::Tiny, signed },
            (Kind::TinyInt, FieldType::Int8) if column.unsigned => {
                Decoder::Narrowed { wire: Wire::Tiny, signed, most: i64::from(i8::MAX) }
            }
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
            (Kind::Bit, FieldType::Boolean) => Decoder::BitBoolean,
            (Kind::Bit, FieldType::Int8) => Decoder::Bits { most: 127 },
            (Kind::Bit, _) => Decoder::Bits { most: u64::MAX },
            (Kind::Float, FieldType::Float32) => {
                column.shown_digits().map_or(Decoder::Float, |digits| Decoder::ShownFloat { digits })
            }
            (Kind::Double, FieldType::Float64) => {
                column.shown_digits().map_or(Decoder::Double, |digits| Decoder::ShownDouble { digits })
            }
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
            Decoder::Narrowed { most, .. } => Some(Decoder::Narrowed { wire, signed, most }),
            Decoder::Boolean { .. } => Some(Decoder::Boolean { wire, signed }),
            Decoder::Double | Decoder::ShownDouble { .. } => Some(Decoder::DoubleOfInteger { wire, signed }),
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
                Value::Integer(narrowed(integer(*wire, *signed, bytes)?, *most)?)
            }
            Decoder::Text => Value::Text(Cow::Borrowed(utf8(bytes)?)),
            Decoder::Bytes => Value::Bytes(Cow::Borrowed(bytes)),
            Decoder::Boolean { wire, signed } => Value::Boolean(integer(*wire, *signed, bytes)? != 0),
            Decoder::BitBoolean => Value::Boolean(bits(bytes)? != 0),
            Decoder::UnsignedLong => {
                let value = u64::from_le_bytes(fixed(bytes)?);
                Value::Integer(i64::try_from(value).map_err(|_| TOO_LARGE)?)
            }
            Decoder::UnsignedDecimal => unscaled(u64::from_le_bytes(fixed(bytes)?)),
            Decoder::UnsignedText => Value::Text(Cow::Owned(u64::from_le_bytes(fixed(bytes)?).to_string())),
            Decoder::Bits { most } => match bits(bytes)? {
                value if value > *most => return Err(TOO_WIDE),
                value => Value::Integer(i64::try_from(value).map_err(|_| TOO_LARGE)?),
            },
            Decoder::BitsDecimal => unscaled(bits(bytes)?),
            Decoder::BitsText => Value::Text(Cow::Owned(bits(bytes)?.to_string())),
            Decoder::Float => Value::Float32(f32::from_le_bytes(fixed(bytes)?)),
            Decoder::Double => Value::Float64(f64::from_le_bytes(fixed(bytes)?)),
            Decoder::DoubleOfInteger { wire, signed } => Value::Float64(integer(*wire, *signed, bytes)? as f64),
            Decoder::ShownFloat { digits } => {
                Value::Float32(shown_number(f64::from(f32::from_le_bytes(fixed(bytes)?)), *digits) as f32)
            }
            Decoder::ShownDouble { digits } => Value::Float64(shown_number(f64::from_le_bytes(fixed(bytes)?), *digits)),
            Decoder::Decimal { scale } => decimal(utf8(bytes)?, *scale)?,
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

fn narrowed(value: i64, most: i64) -> Result<i64, Problem> {
    if (-most - 1..=most).contains(&value) { Ok(value) } else { Err(TOO_WIDE) }
}

fn decimal(text: &str, scale: i32) -> Result<Value<'static>, Problem> {
    let (negative, magnitude) =
        parse_at_scale(text, scale).ok_or(Problem::new("the value has more digits than the column's scale"))?;
    Ok(Value::Decimal(Cow::Owned(magnitude.to_bytes(negative))))
}

fn no_instant(no_date: NoDate, encoder: &TimestampEncoder) -> Result<Value<'static>, Problem> {
    no_date.day()?.map_or(Ok(Value::Null), |day| encoder.instant(day * MICROS_PER_DAY, 0))
}

#[cfg(test)]
mod tests {
    use super::super::cursor::CursorDecoder;
    use super::*;
    use crate::model::CursorValue;

    fn decode<'r>(column: &str, field_type: FieldType, bytes: &'r [u8]) -> Result<Value<'r>, Problem> {
        let field = Field { name: "c".to_owned(), field_type, optional: false, doc: None };
        let decoder = Decoder::bind(&ColumnType::of_catalog(column), &field, &TypeSpec::default(), Zone::UTC).unwrap();
        decoder.decode(bytes)
    }

    #[test]
    fn values_are_read_from_their_binary_form() {
        assert_eq!(decode("int", FieldType::Int32, &(-5_i32).to_le_bytes()), Ok(Value::Integer(-5)));
        assert_eq!(decode("int unsigned", FieldType::Int64, &[0xff; 4]), Ok(Value::Integer(4_294_967_295)));
        assert_eq!(decode("tinyint unsigned", FieldType::Int16, &[0xff]), Ok(Value::Integer(255)));
        assert_eq!(decode("bit(12)", FieldType::Int16, &[0x0f, 0xff]), Ok(Value::Integer(4_095)));
        assert_eq!(decode("bit(12)", FieldType::Int8, &[0, 0x7f]), Ok(Value::Integer(127)));
        assert_eq!(decode("bit(12)", FieldType::Int8, &[0, 0x80]), Err(TOO_WIDE));
        assert_eq!(decode("tinyint(1) unsigned", FieldType::Int8, &[0x80]), Err(TOO_WIDE));
        assert_eq!(decode("tinyint(1)", FieldType::Boolean, &[5]), Ok(Value::Boolean(true)));
        assert_eq!(decode("bit(1)", FieldType::Boolean, &[0]), Ok(Value::Boolean(false)));
        assert_eq!(decode("year", FieldType::Date, &1970_u16.to_le_bytes()), Ok(Value::Integer(0)));
        assert_eq!(decode("bigint unsigned", FieldType::Int64, &[0xff; 8]), Err(TOO_LARGE));
        let decimal = FieldType::Decimal { precision: None, scale: 0 };
        let widest = Value::Decimal(Cow::Owned([&[0][..], &[0xff; 8]].concat()));
        assert_eq!(decode("bigint unsigned", decimal.clone(), &[0xff; 8]), Ok(widest));
        assert_eq!(decode("bigint unsigned", decimal, &5_u64.to_le_bytes()), Ok(Value::Decimal(vec![5].into())));
        assert_eq!(decode("json", FieldType::String, b"{}"), Ok(Value::Text("{}".into())));
    }

    #[test]
    fn numbers_with_so_many_digits_are_rounded_as_the_server_shows_them() {
        let double = |column: &str, value: f64| decode(column, FieldType::Float64, &value.to_le_bytes()).map(owned);
        assert_eq!(double("double(10,3)", -0.001_000_000_000_000_000_9), Ok(Value::Float64(-0.001)));
        assert_eq!(double("double(10,0)", 2.000_000_1), Ok(Value::Float64(2.0)));
        assert_eq!(double("double", 0.100_000_000_000_000_02), Ok(Value::Float64(0.100_000_000_000_000_02)));
        assert_eq!(double("double(255,30)", -f64::MAX), Ok(Value::Float64(-f64::MAX)));
        let float = |value: f32| decode("float(7,3)", FieldType::Float32, &value.to_le_bytes()).map(owned);
        assert_eq!(float(1.234_6), Ok(Value::Float32(1.235)));
        assert_eq!(float(f32::MAX), Ok(Value::Float32(f32::MAX)));
    }

    fn owned(value: Value<'_>) -> Value<'static> {
        match value {
            Value::Float32(value) => Value::Float32(value),
            Value::Float64(value) => Value::Float64(value),
            other => panic!("{other:?}"),
        }
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
        let field = |optional| Field { name: "c".to_owned(), field_type: FieldType::Date, optional, doc: None };
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
