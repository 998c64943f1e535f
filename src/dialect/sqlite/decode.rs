//! One decoder per column. Every value carries its storage class, which need not be that of its
//! column: a value that its field cannot hold exactly is an error, never coerced.

use std::borrow::Cow;

use super::super::calendar::{MICROS_PER_DAY, days_from_civil, hybrid_day};
use super::super::decimal::parse_at_scale;
use super::super::instant::TimestampEncoder;
use super::super::problem::Problem;
use super::stored::{NO_TEXT, Stored};
use super::text;
use crate::config::spec::TypeSpec;
use crate::model::{ColumnDefinition, FieldType, Projection, Value};

const OTHER_CLASS: Problem =
    Problem::new("the value has a storage class that its field cannot hold").unless("type.mismatch=text");
const NO_TIME: Problem = Problem::new("the text is not YYYY-MM-DD[ HH:MM[:SS[.f]]][Z]").unless("type.mismatch=text");
const NO_DATE: Problem = Problem::new("a DATE with a time of day does not fit a date").unless("type.mismatch=text");
const OUT_OF_RANGE: Problem = Problem::new("the time is out of range").unless("type.mismatch=text");
const NO_DECIMAL: Problem =
    Problem::new("the value is not a decimal within the column's scale").unless("decimal.handling=string");
const TOO_LONG: Problem = Problem::new("the integer has more digits than a double").unless("decimal.handling=string");

/// The problem that a wider field solves, which the next description makes.
pub(super) const TOO_WIDE: Problem =
    Problem::new("the integer is beyond the size of its field").unless("type.mismatch=text");
pub(super) const TOO_FINE: Problem =
    Problem::new("the number has more digits than a float").unless("type.mismatch=text");

/// The Julian day of 1970-01-01.
const EPOCH_JULIAN_DAY: f64 = 2_440_587.5;

/// The unit of an integer time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Units {
    /// Units of so many a second, since 1970.
    Epoch(u16),
    /// Julian days, all of which happen to be at noon.
    JulianDays,
}

/// The decoder of one column: from its values to record values.
#[derive(Debug, Clone, Copy)]
pub(super) enum Decoder {
    Boolean,
    Integer {
        low: i64,
        high: i64,
    },
    Float32,
    Float64,
    Text,
    /// A value of any class.
    Anything,
    Bytes,
    Decimal {
        scale: i32,
    },
    Date {
        units: Units,
        legacy_calendar: bool,
    },
    Timestamp {
        units: Units,
        encoder: TimestampEncoder,
    },
}

impl Decoder {
    /// `is_time`: the column is declared as a timestamp.
    pub(super) fn bind(column: &ColumnDefinition, is_time: bool, units: Units, types: &TypeSpec) -> Self {
        match &column.field.field_type {
            FieldType::String if column.projection == Projection::Text => Decoder::Anything,
            FieldType::Date => Decoder::Date { units, legacy_calendar: types.legacy_calendar },
            _ if is_time => Decoder::Timestamp { units, encoder: TimestampEncoder::new(types) },
            FieldType::Boolean => Decoder::Boolean,
            FieldType::Int8 => integer(i8::MIN.into(), i8::MAX.into()),
            FieldType::Int16 => integer(i16::MIN.into(), i16::MAX.into()),
            FieldType::Int32 => integer(i32::MIN.into(), i32::MAX.into()),
            FieldType::Int64 | FieldType::Time | FieldType::Timestamp => integer(i64::MIN, i64::MAX),
            FieldType::Float32 => Decoder::Float32,
            FieldType::Float64 => Decoder::Float64,
            FieldType::String => Decoder::Text,
            FieldType::Bytes => Decoder::Bytes,
            FieldType::Decimal { scale, .. } => Decoder::Decimal { scale: *scale },
        }
    }

    /// The record value of a value that is not null.
    pub(super) fn decode<'r>(&self, stored: Stored<'r>) -> Result<Value<'r>, Problem> {
        match (self, stored) {
            (_, Stored::Null) => Ok(Value::Null),
            (Decoder::Boolean, Stored::Integer(value @ (0 | 1))) => Ok(Value::Boolean(value == 1)),
            (Decoder::Integer { low, high }, stored) => {
                let value = whole(&stored).ok_or(OTHER_CLASS)?;
                let fits = (*low..=*high).contains(&value);
                if fits { Ok(Value::Integer(value)) } else { Err(TOO_WIDE) }
            }
            (Decoder::Float32, stored) => Ok(Value::Float32(single(double(&stored)?)?)),
            (Decoder::Float64, stored) => Ok(Value::Float64(double(&stored)?)),
            (Decoder::Text, Stored::Text(text)) => Ok(Value::Text(Cow::Borrowed(text))),
            (Decoder::Anything, stored) => Ok(Value::Text(text::of(&stored).ok_or(NO_TEXT)?)),
            (Decoder::Bytes, Stored::Blob(bytes)) => Ok(Value::Bytes(Cow::Borrowed(bytes))),
            (Decoder::Bytes, Stored::Text(text)) => Ok(Value::Bytes(Cow::Borrowed(text.as_bytes()))),
            (Decoder::Decimal { scale }, stored) => decimal(&stored, *scale),
            (Decoder::Date { units, legacy_calendar }, stored) => date(&stored, *units, *legacy_calendar),
            (Decoder::Timestamp { units, encoder }, stored) => timestamp(&stored, *units, encoder),
            _ => Err(OTHER_CLASS),
        }
    }
}

fn integer(low: i64, high: i64) -> Decoder {
    Decoder::Integer { low, high }
}

fn whole(stored: &Stored<'_>) -> Option<i64> {
    match stored {
        Stored::Integer(value) => Some(*value),
        // Below 2^63 a double without a fraction is an integer exactly.
        Stored::Real(value) if value.fract() == 0.0 && value.abs() < 9.2e18 => Some(*value as i64),
        _ => None,
    }
}

fn double(stored: &Stored<'_>) -> Result<f64, Problem> {
    match stored {
        Stored::Real(value) => Ok(*value),
        Stored::Integer(value) if (*value as f64) as i128 == i128::from(*value) => Ok(*value as f64),
        Stored::Integer(_) => Err(TOO_LONG),
        _ => Err(OTHER_CLASS),
    }
}

/// The float, if it has the number's digits.
fn single(value: f64) -> Result<f32, Problem> {
    let float = value as f32;
    let is_same = f64::from(float) == value || float.to_string().parse() == Ok(value);
    if is_same { Ok(float) } else { Err(TOO_FINE) }
}

fn decimal(stored: &Stored<'_>, scale: i32) -> Result<Value<'static>, Problem> {
    let text: Cow<'_, str> = match stored {
        Stored::Integer(value) => value.to_string().into(),
        Stored::Real(value) if value.is_finite() => value.to_string().into(),
        Stored::Text(text) => Cow::Borrowed(text),
        _ => return Err(OTHER_CLASS),
    };
    let (negative, magnitude) = parse_at_scale(&text, scale).ok_or(NO_DECIMAL)?;
    Ok(Value::Decimal(Cow::Owned(magnitude.to_bytes(negative))))
}

/// A wall clock or instant: microseconds, nanoseconds below them, and whether it is an instant.
struct Moment {
    micros: i64,
    nanos: u32,
    is_instant: bool,
}

fn moment(stored: &Stored<'_>, units: Units) -> Result<Moment, Problem> {
    match (stored, units) {
        (Stored::Integer(count), Units::Epoch(per_second)) => {
            let micros = count.checked_mul(1_000_000 / i64::from(per_second)).ok_or(OUT_OF_RANGE)?;
            Ok(Moment { micros, nanos: 0, is_instant: true })
        }
        (Stored::Integer(days), Units::JulianDays) => julian(*days as f64),
        (Stored::Real(days), _) => julian(*days),
        (Stored::Text(text), _) => parse_moment(text).ok_or(NO_TIME),
        _ => Err(OTHER_CLASS),
    }
}

fn julian(days: f64) -> Result<Moment, Problem> {
    // SQLite keeps Julian days to the millisecond.
    let millis = ((days - EPOCH_JULIAN_DAY) * 86_400_000.0).round();
    if millis.abs() > 9.0e15 || millis.is_nan() {
        return Err(OUT_OF_RANGE);
    }
    Ok(Moment { micros: millis as i64 * 1_000, nanos: 0, is_instant: false })
}

/// `YYYY-MM-DD[ T]HH:MM[:SS[.f]][Z|+hh:mm]`, or the date alone.
fn parse_moment(text: &str) -> Option<Moment> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = bytes.get(from..to)?;
        digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
    };
    let at = |index: usize, byte: u8| bytes.get(index) == Some(&byte);
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let days = days_from_civil(year, month, day);
    if !at(4, b'-')
        || !at(7, b'-')
        || !(1..=12).contains(&month)
        || super::super::calendar::civil_from_days(days).2 != day
    {
        return None;
    }
    let date = days * MICROS_PER_DAY;
    if bytes.len() == 10 {
        return Some(Moment { micros: date, nanos: 0, is_instant: false });
    }
    let (hour, minute) = (number(11, 13)?, number(14, 16)?);
    if !(at(10, b' ') || at(10, b'T')) || !at(13, b':') || hour > 23 || minute > 59 {
        return None;
    }
    let (mut second, mut nanos, mut rest) = (0, 0, 16);
    if at(16, b':') {
        second = number(17, 19).filter(|second| *second < 60)?;
        rest = 19;
    }
    if at(rest, b'.') {
        let digits = bytes[rest + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 || digits > 9 {
            return None;
        }
        nanos = number(rest + 1, rest + 1 + digits)? * 10_i64.pow(9 - digits as u32);
        rest += 1 + digits;
    }
    let offset = match bytes.get(rest..)? {
        [] => None,
        b"Z" => Some(0),
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let minutes = number(rest + 1, rest + 3)? * 60 + number(rest + 4, rest + 6)?;
            Some(if *sign == b'-' { -minutes } else { minutes })
        }
        _ => return None,
    };
    let seconds = (hour * 60 + minute - offset.unwrap_or(0)) * 60 + second;
    Some(Moment {
        micros: date + seconds * 1_000_000 + nanos / 1_000,
        nanos: (nanos % 1_000) as u32,
        is_instant: offset.is_some(),
    })
}

fn timestamp(stored: &Stored<'_>, units: Units, encoder: &TimestampEncoder) -> Result<Value<'static>, Problem> {
    let moment = moment(stored, units)?;
    match moment.is_instant {
        true => encoder.instant(moment.micros, moment.nanos),
        false => encoder.wall(moment.micros, moment.nanos),
    }
}

fn date(stored: &Stored<'_>, units: Units, legacy_calendar: bool) -> Result<Value<'static>, Problem> {
    let moment = moment(stored, units)?;
    if moment.micros.rem_euclid(MICROS_PER_DAY) != 0 || moment.nanos != 0 {
        return Err(NO_DATE);
    }
    let days = moment.micros.div_euclid(MICROS_PER_DAY);
    Ok(Value::Integer(if legacy_calendar { hybrid_day(days) } else { days }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Field;

    fn decode<'r>(field_type: FieldType, is_time: bool, stored: Stored<'r>) -> Result<Value<'r>, Problem> {
        let column = ColumnDefinition {
            collation: None,
            seen_in: None,
            field: Field { name: "c".to_owned(), field_type, optional: true, doc: None },
            database_type: String::new(),
            projection: Projection::Column,
            not_null: false,
            is_visible: true,
            has_broken_dates: false,
            may_be_null: true,
            auto_increment: false,
            cursor: None,
        };
        Decoder::bind(&column, is_time, Units::Epoch(1_000), &TypeSpec::default()).decode(stored)
    }

    #[test]
    fn a_value_of_another_class_is_taken_only_if_it_is_exact() {
        assert_eq!(decode(FieldType::Int32, false, Stored::Real(3.0)), Ok(Value::Integer(3)));
        assert!(decode(FieldType::Int32, false, Stored::Text("abc")).is_err());
        assert_eq!(decode(FieldType::Int32, false, Stored::Integer(1 << 31)), Err(TOO_WIDE));
        assert_eq!(decode(FieldType::Float64, false, Stored::Integer(7)), Ok(Value::Float64(7.0)));
        assert!(decode(FieldType::Float64, false, Stored::Integer(i64::MAX)).is_err());
        let decimal = || FieldType::Decimal { precision: Some(10), scale: 2 };
        assert_eq!(decode(decimal(), false, Stored::Real(12.34)), Ok(Value::Decimal(vec![0x04, 0xd2].into())));
        assert!(decode(decimal(), false, Stored::Real(12.345)).is_err());
        assert_eq!(decode(FieldType::String, false, Stored::Blob(b"a")), Err(OTHER_CLASS));
        assert_eq!(decode(FieldType::Int32, false, Stored::Text("1")), Err(OTHER_CLASS));
        assert_eq!(decode(decimal(), false, Stored::Text("abc")), Err(NO_DECIMAL));
    }

    #[test]
    fn a_float_is_taken_only_if_it_keeps_the_digits() {
        let float = |value| decode(FieldType::Float32, false, Stored::Real(value));
        assert_eq!(float(12.34), Ok(Value::Float32(12.34)));
        assert_eq!(float(-0.5), Ok(Value::Float32(-0.5)));
        assert_eq!(float(f64::INFINITY), Ok(Value::Float32(f32::INFINITY)));
        for value in [std::f64::consts::PI, 1e300, 123_456_789.0, 5e-324] {
            assert_eq!(float(value), Err(TOO_FINE), "{value}");
        }
    }

    #[test]
    fn times_are_read_from_every_class_sqlite_keeps_them_in() {
        let millis = 1_709_208_000_123;
        let time = |stored| decode(FieldType::Timestamp, true, stored);
        for text in ["2024-02-29 12:00:00.123", "2024-02-29T12:00:00.123Z", "2024-02-29 14:00:00.123+02:00"] {
            assert_eq!(time(Stored::Text(text)), Ok(Value::Integer(millis)), "{text}");
        }
        assert_eq!(time(Stored::Integer(millis)), Ok(Value::Integer(millis)));
        assert_eq!(time(Stored::Real(2_460_370.000001424)), Ok(Value::Integer(millis)));
        for text in ["2024-02-30 12:00:00", "yesterday", "2024-02-29 25:00:00", "2024-02-29 12:00:00x"] {
            assert!(time(Stored::Text(text)).is_err(), "{text}");
        }
        assert_eq!(decode(FieldType::Date, false, Stored::Text("1970-01-02")), Ok(Value::Integer(1)));
        assert!(decode(FieldType::Date, false, Stored::Text("1970-01-02 01:00:00")).is_err());
    }
}
