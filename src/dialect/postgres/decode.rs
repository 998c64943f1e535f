//! One decoder per column, bound once a page and run per value: binary wire form in, [`Value`] out. Nothing is
//! allocated for numbers, text and bytes.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::calendar::{MICROS_PER_DAY, hybrid_day};
use super::super::instant::{TimestampEncoder, time_of_day};
use super::super::problem::Problem;
use super::binary::{EPOCH_DAYS, MALFORMED, finite, fixed, unix_micros, utf8};
use super::charset::Charset;
use super::numeric::Numeric;
use super::wire::Wire;
use crate::config::spec::{TypeSpec, ZeroDate};
use crate::model::{ColumnDefinition, FieldType, Projection, Value};
use crate::zone::Zone;

const NO_INTEGER: Problem = Problem::new("the value is not an integer of its field's size");
const TOO_FINE: Problem =
    Problem::new("the value has more digits than the column's scale").unless("decimal.handling=string");
const TOO_MUCH: Problem = Problem::new("the amount has more digits than a double").unless("decimal.handling=string");
const INFINITE_DATE: Problem = Problem::new("an infinite date does not fit a date").unless("zero.date=string");
const LATE_DATE: Problem = Problem::new("the date is out of range");

/// The amount of money below which neighbouring doubles are less than a cent apart.
const EXACT_MONEY: f64 = (1_u64 << 46) as f64;

/// The treatment of a date that is infinite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Infinite {
    Null,
    Epoch,
    Fail,
}

impl Infinite {
    fn of(column: &ColumnDefinition, types: &TypeSpec) -> Self {
        match types.zero_date {
            Some(ZeroDate::Null) => Infinite::Null,
            Some(ZeroDate::Epoch) => Infinite::Epoch,
            None if column.field.optional => Infinite::Null,
            None | Some(ZeroDate::Fail | ZeroDate::Text | ZeroDate::Round | ZeroDate::IfNullable) => Infinite::Fail,
        }
    }
}

/// The decoder of one column: from its values to record values.
#[derive(Debug, Clone)]
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
    Date {
        legacy_calendar: bool,
        infinite: Infinite,
    },
    Time(Zone),
    Timetz,
    Timestamp(TimestampEncoder),
    Timestamptz(TimestampEncoder),
    Uuid,
    Jsonb,
    Decimal {
        scale: i32,
    },
    NumericInteger {
        limit: i64,
    },
    NumericDouble,
    NumericText,
    Money,
    /// A text in the database's own encoding.
    Stored(Arc<Charset>),
}

impl Decoder {
    /// The decoder from a wire form to a field type; none if the two do not go together.
    pub(super) fn bind(wire: Wire, column: &ColumnDefinition, types: &TypeSpec) -> Option<Self> {
        Some(match (wire, &column.field.field_type) {
            (Wire::Bool, FieldType::Boolean) => Decoder::Bool,
            (Wire::Bit, FieldType::Boolean) => Decoder::Bit,
            (Wire::Int2, FieldType::Int16) => Decoder::Int2,
            (Wire::Int4, FieldType::Int32) => Decoder::Int4,
            (Wire::Int8, FieldType::Int64) => Decoder::Int8,
            (Wire::Oid, FieldType::Int64) => Decoder::Oid,
            (Wire::Float4, FieldType::Float32) => Decoder::Float4,
            (Wire::Float8, FieldType::Float64) if column.projection == Projection::Double => Decoder::Money,
            (Wire::Float8, FieldType::Float64) => Decoder::Float8,
            (Wire::Text, FieldType::String) => Decoder::Text,
            (Wire::Char, FieldType::String) => Decoder::Char,
            (Wire::Uuid, FieldType::String) => Decoder::Uuid,
            (Wire::Jsonb, FieldType::String) => Decoder::Jsonb,
            (Wire::Bytea, FieldType::Bytes) => Decoder::Bytes,
            (Wire::Date, FieldType::Date) => {
                Decoder::Date { legacy_calendar: types.legacy_calendar, infinite: Infinite::of(column, types) }
            }
            (Wire::Time, FieldType::Time) => Decoder::Time(types.zone),
            (Wire::Timetz, FieldType::Time) => Decoder::Timetz,
            (Wire::Timestamp, _) => Decoder::Timestamp(TimestampEncoder::new(types)),
            (Wire::Timestamptz, _) => Decoder::Timestamptz(TimestampEncoder::new(types)),
            (Wire::Numeric, FieldType::Decimal { scale, .. }) => Decoder::Decimal { scale: *scale },
            (Wire::Numeric, FieldType::Float64) => Decoder::NumericDouble,
            (Wire::Numeric, FieldType::String) => Decoder::NumericText,
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
                    None => values.push(encoder.wall(micros, 0)?),
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
            Decoder::Timestamp(encoder) => encoder.wall(unix_micros(bytes)?, 0)?,
            Decoder::Timestamptz(encoder) => encoder.instant(unix_micros(bytes)?, 0)?,
            Decoder::Bool => Value::Boolean(bytes.first().ok_or(MALFORMED)? != &0),
            Decoder::Bit => Value::Boolean(bytes.get(4).ok_or(MALFORMED)? & 0x80 != 0),
            Decoder::Oid => Value::Integer(i64::from(u32::from_be_bytes(fixed(bytes)?))),
            Decoder::Float4 => Value::Float32(f32::from_be_bytes(fixed(bytes)?)),
            Decoder::Float8 => Value::Float64(f64::from_be_bytes(fixed(bytes)?)),
            Decoder::Bytes => Value::Bytes(Cow::Borrowed(bytes)),
            Decoder::Jsonb => Value::Text(Cow::Borrowed(utf8(bytes.get(1..).ok_or(MALFORMED)?)?)),
            Decoder::Char => Value::Text(Cow::Owned(char_text(*bytes.first().ok_or(MALFORMED)?))),
            Decoder::Uuid => Value::Text(Cow::Owned(uuid_text(u128::from_be_bytes(fixed(bytes)?)))),
            Decoder::Date { legacy_calendar, infinite } => {
                date(i32::from_be_bytes(fixed(bytes)?), *legacy_calendar, *infinite)?
            }
            Decoder::Time(zone) => time_of_day(i64::from_be_bytes(fixed(bytes)?), zone),
            Decoder::Timetz => timetz(bytes)?,
            Decoder::Decimal { scale } => {
                let numeric = finite(bytes)?;
                Value::Decimal(Cow::Owned(numeric.unscaled(*scale).ok_or(TOO_FINE)?))
            }
            Decoder::NumericInteger { limit } => {
                let integer = finite(bytes)?.integer().filter(|value| (-limit - 1..=*limit).contains(value));
                Value::Integer(integer.ok_or(NO_INTEGER)?)
            }
            Decoder::NumericDouble => {
                let numeric = Numeric::read(bytes).ok_or(MALFORMED)?;
                Value::Float64(numeric.double().ok_or(MALFORMED)?)
            }
            Decoder::NumericText => Value::Text(Cow::Owned(Numeric::read(bytes).ok_or(MALFORMED)?.text())),
            Decoder::Stored(charset) => Value::Text(charset.text(bytes)?),
            Decoder::Money => {
                let amount = f64::from_be_bytes(fixed(bytes)?);
                Value::Float64(Some(amount).filter(|amount| amount.abs() < EXACT_MONEY).ok_or(TOO_MUCH)?)
            }
        })
    }
}

fn date(days: i32, legacy_calendar: bool, infinite: Infinite) -> Result<Value<'static>, Problem> {
    if days == i32::MAX || days == i32::MIN {
        return match infinite {
            Infinite::Null => Ok(Value::Null),
            Infinite::Epoch => Ok(Value::Integer(0)),
            Infinite::Fail => Err(INFINITE_DATE),
        };
    }
    let days = i64::from(days) + EPOCH_DAYS;
    let days = if legacy_calendar { hybrid_day(days) } else { days };
    if i32::try_from(days).is_err() {
        return Err(LATE_DATE);
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
    use crate::model::Field;

    fn types() -> TypeSpec {
        TypeSpec::default()
    }

    fn column(field_type: FieldType, projection: Projection) -> ColumnDefinition {
        ColumnDefinition {
            collation: None,
            seen_in: None,
            field: Field { name: "c".to_owned(), field_type, optional: false, doc: None },
            database_type: String::new(),
            projection,
            not_null: true,
            is_visible: true,
            has_broken_dates: false,
            may_be_null: false,
            auto_increment: false,
            cursor: None,
        }
    }

    fn decode(wire: Wire, field_type: FieldType, bytes: &[u8]) -> Result<Value<'_>, Problem> {
        Decoder::bind(wire, &column(field_type, Projection::Column), &types()).unwrap().decode(bytes)
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
    fn an_infinite_date_is_what_the_setting_and_the_column_allow() {
        let of = |zero_date, optional| {
            let mut column = column(FieldType::Date, Projection::Column);
            column.field.optional = optional;
            let types = TypeSpec { zero_date, ..TypeSpec::default() };
            Decoder::bind(Wire::Date, &column, &types).unwrap().decode(&i32::MIN.to_be_bytes()).map(|value| match value
            {
                Value::Null => None,
                Value::Integer(days) => Some(days),
                other => panic!("{other:?}"),
            })
        };
        assert_eq!((of(None, true), of(None, false)), (Ok(None), Err(INFINITE_DATE)));
        assert_eq!((of(Some(ZeroDate::Null), true), of(Some(ZeroDate::Epoch), false)), (Ok(None), Ok(Some(0))));
        assert_eq!(of(Some(ZeroDate::Fail), true), Err(INFINITE_DATE));
    }

    #[test]
    fn money_is_a_double_while_it_keeps_its_cents() {
        let column = column(FieldType::Float64, Projection::Double);
        let money = |amount: f64| {
            let decoder = Decoder::bind(Wire::Float8, &column, &types()).unwrap();
            decoder.decode(&amount.to_be_bytes()).map(|_| ())
        };
        assert_eq!((money(-70_368_744_177_663.99), money(92_233_720_368_547_758.07)), (Ok(()), Err(TOO_MUCH)));
    }

    #[test]
    fn a_form_that_does_not_fit_the_field_is_not_bound() {
        let bound = |wire, field_type| Decoder::bind(wire, &column(field_type, Projection::Column), &types());
        assert!(bound(Wire::Int8, FieldType::Int32).is_none());
        assert!(bound(Wire::Other, FieldType::String).is_none());
    }
}
