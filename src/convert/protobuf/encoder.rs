//! Rows to Protobuf bytes, by hand: an encoder is a flat list of operations, made once per schema, and a row is one pass
//! over it. A zero or an empty text is left out where the field has no presence of its own, as Protobuf wants it.

use chrono::{Datelike, NaiveDate};
use num_bigint::BigInt;

use super::super::Encoder;
use super::super::problem::{Problem, append_row, range_of};
use crate::error::Result;
use crate::model::{Field, FieldType, Value};

/// Milliseconds from 0001-01-01 to 9999-12-31, the range of Protobuf's timestamps.
const FIRST_MILLIS: i64 = -62_135_596_800_000;
const LAST_MILLIS: i64 = 253_402_300_799_999;
const DAY_MILLIS: i64 = 86_400_000;
/// Days from 0000-12-31 to 1970-01-01.
const EPOCH_FROM_CE: i64 = 719_163;

/// The wire types.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH: u32 = 2;
const FIXED32: u32 = 5;

/// The form of one value.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Write {
    Boolean,
    Integer { min: i64, max: i64 },
    Float,
    Double,
    Text,
    Bytes,
    Date,
    Time,
    Timestamp,
    Decimal { scale: i32 },
}

impl Write {
    fn of(field_type: &FieldType) -> Self {
        match field_type {
            FieldType::Boolean => Write::Boolean,
            FieldType::Float32 => Write::Float,
            FieldType::Float64 => Write::Double,
            FieldType::String => Write::Text,
            FieldType::Bytes => Write::Bytes,
            FieldType::Date => Write::Date,
            FieldType::Time => Write::Time,
            FieldType::Timestamp => Write::Timestamp,
            FieldType::Decimal { scale, .. } => Write::Decimal { scale: *scale },
            FieldType::Int8 | FieldType::Int16 | FieldType::Int32 | FieldType::Int64 => {
                let (min, max) = range_of(field_type);
                Write::Integer { min, max }
            }
        }
    }

    fn wire_type(self) -> u32 {
        match self {
            Write::Boolean | Write::Integer { .. } => VARINT,
            Write::Float => FIXED32,
            Write::Double => FIXED64,
            Write::Text | Write::Bytes | Write::Date | Write::Time | Write::Timestamp | Write::Decimal { .. } => LENGTH,
        }
    }

    fn is_message(self) -> bool {
        matches!(self, Write::Date | Write::Time | Write::Timestamp | Write::Decimal { .. })
    }
}

/// The way in which a field shows that it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// By not being zero or empty.
    Implicit,
    /// By being written.
    Explicit,
    /// By a message around the value.
    Wrapped,
}

/// One field of the message.
#[derive(Debug)]
struct Op {
    index: usize,
    is_optional: bool,
    presence: Presence,
    write: Write,
    /// Number and wire type.
    key: Box<[u8]>,
    /// The same of the value in its wrapper.
    inner: u8,
}

/// Encodes rows of one message.
#[derive(Debug)]
pub(super) struct ProtobufEncoder {
    /// Magic byte, schema id and message index.
    prefix: Box<[u8]>,
    ops: Box<[Op]>,
    /// The columns of `ops`, for messages.
    names: Box<[String]>,
    is_bare: bool,
}

impl ProtobufEncoder {
    /// An encoder of fields in the order of their numbers, each with its place in the rows.
    pub(super) fn new(
        prefix: Vec<u8>,
        fields: &[(&Field, usize)],
        presence: impl Fn(&Field) -> Presence,
        is_bare: bool,
    ) -> Self {
        let op = |(at, (field, index)): (usize, &(&Field, usize))| {
            let (write, presence) = (Write::of(&field.field_type), presence(field));
            let wire_type = if presence == Presence::Wrapped { LENGTH } else { write.wire_type() };
            let mut key = Vec::new();
            push_varint(&mut key, (at as u64 + 1) << 3 | u64::from(wire_type));
            let inner = (1 << 3 | write.wire_type()) as u8;
            Op { index: *index, is_optional: field.optional, presence, write, key: key.into(), inner }
        };
        Self {
            prefix: prefix.into(),
            ops: fields.iter().enumerate().map(op).collect(),
            names: fields.iter().map(|(field, _)| field.name.clone()).collect(),
            is_bare,
        }
    }

    fn encode_row(&self, row: &[Value<'_>], out: &mut Vec<u8>) -> Result<(), (usize, Problem)> {
        out.extend_from_slice(&self.prefix);
        for (at, op) in self.ops.iter().enumerate() {
            match row.get(op.index) {
                None => return Err((at, Problem::Missing)),
                Some(Value::Null) if op.is_optional => {}
                Some(Value::Null) => return Err((at, Problem::Null)),
                Some(value) => op.append(value, out).map_err(|problem| (at, problem))?,
            }
        }
        Ok(())
    }
}

impl Encoder for ProtobufEncoder {
    fn encode(&self, row: &[Value<'_>], out: &mut Vec<u8>) -> Result<()> {
        append_row(&self.names, out, |out| self.encode_row(row, out))
    }

    fn is_null(&self, row: &[Value<'_>]) -> bool {
        let only = self.ops.first().filter(|op| self.is_bare && op.is_optional);
        only.is_some_and(|op| row.get(op.index) == Some(&Value::Null))
    }
}

impl Op {
    fn append(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
        if self.write.is_message() {
            out.extend_from_slice(&self.key);
            return nested(out, |out| message(self.write, value, out));
        }
        match self.presence {
            Presence::Implicit => scalar(self.write, value, &self.key, true, out),
            Presence::Explicit => scalar(self.write, value, &self.key, false, out),
            Presence::Wrapped => {
                out.extend_from_slice(&self.key);
                nested(out, |out| scalar(self.write, value, &[self.inner], true, out))
            }
        }
    }
}

/// Appends key and value of a scalar; nothing where it has no presence and is zero or empty. A negative zero is not zero.
fn scalar(write: Write, value: &Value<'_>, key: &[u8], is_implicit: bool, out: &mut Vec<u8>) -> Result<(), Problem> {
    match (write, value) {
        (Write::Integer { min, max }, Value::Integer(integer)) => {
            if !(min..=max).contains(integer) {
                return Err(Problem::Range);
            }
            push_nonzero(out, key, *integer as u64, is_implicit);
        }
        (Write::Boolean, Value::Boolean(value)) => push_nonzero(out, key, u64::from(*value), is_implicit),
        (Write::Float, Value::Float32(value)) if !(is_implicit && value.to_bits() == 0) => {
            out.extend_from_slice(key);
            out.extend(value.to_le_bytes());
        }
        (Write::Double, Value::Float64(value)) if !(is_implicit && value.to_bits() == 0) => {
            out.extend_from_slice(key);
            out.extend(value.to_le_bytes());
        }
        (Write::Text, Value::Text(text)) => push_block(out, key, text.as_bytes(), is_implicit),
        (Write::Bytes, Value::Bytes(bytes)) => push_block(out, key, bytes, is_implicit),
        (Write::Float, Value::Float32(_)) | (Write::Double, Value::Float64(_)) => {}
        _ => return Err(Problem::Type),
    }
    Ok(())
}

/// Appends the fields of a message.
fn message(write: Write, value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    match (write, value) {
        (Write::Date, Value::Integer(days)) => {
            let days = days.checked_add(EPOCH_FROM_CE).and_then(|days| i32::try_from(days).ok());
            let date = days.and_then(NaiveDate::from_num_days_from_ce_opt).ok_or(Problem::Range)?;
            // The type has no years before the first.
            let year = u64::try_from(date.year()).ok().filter(|year| *year > 0).ok_or(Problem::Range)?;
            push_members(out, &[year, date.month().into(), date.day().into()]);
        }
        (Write::Time, Value::Integer(millis)) => {
            if !(0..=DAY_MILLIS).contains(millis) {
                return Err(Problem::Range);
            }
            let millis = (millis % DAY_MILLIS) as u64;
            let (seconds, nanos) = (millis / 1_000, millis % 1_000 * 1_000_000);
            push_members(out, &[seconds / 3_600, seconds / 60 % 60, seconds % 60, nanos]);
        }
        (Write::Timestamp, Value::Integer(millis)) => {
            if !(FIRST_MILLIS..=LAST_MILLIS).contains(millis) {
                return Err(Problem::Range);
            }
            push_members(out, &[millis.div_euclid(1_000) as u64, millis.rem_euclid(1_000) as u64 * 1_000_000]);
        }
        (Write::Decimal { scale }, Value::Decimal(unscaled)) => {
            push_block(out, &[1 << 3 | LENGTH as u8], unscaled, true);
            push_nonzero(out, &[2 << 3], digits(unscaled), true);
            push_nonzero(out, &[3 << 3], i64::from(scale) as u64, true);
        }
        _ => return Err(Problem::Type),
    }
    Ok(())
}

/// Appends integers as the fields 1, 2, ... of a message.
fn push_members(out: &mut Vec<u8>, members: &[u64]) {
    for (at, member) in members.iter().enumerate() {
        push_nonzero(out, &[(at as u8 + 1) << 3], *member, true);
    }
}

/// `BigDecimal.precision`: how many digits a number has; one, if it is zero.
fn digits(unscaled: &[u8]) -> u64 {
    if unscaled.len() <= 8 {
        let sign = if unscaled.first().is_some_and(|byte| *byte >= 0x80) { -1 } else { 0 };
        let number = unscaled.iter().fold(sign, |number: i64, byte| (number << 8) | i64::from(*byte));
        return number.unsigned_abs().checked_ilog10().map_or(1, |power| u64::from(power) + 1);
    }
    BigInt::from_signed_bytes_be(unscaled).magnitude().to_string().len() as u64
}

fn push_nonzero(out: &mut Vec<u8>, key: &[u8], number: u64, is_implicit: bool) {
    if number != 0 || !is_implicit {
        out.extend_from_slice(key);
        push_varint(out, number);
    }
}

fn push_block(out: &mut Vec<u8>, key: &[u8], bytes: &[u8], is_implicit: bool) {
    if !bytes.is_empty() || !is_implicit {
        out.extend_from_slice(key);
        push_varint(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }
}

/// Appends the length of what `write` appends, and that.
fn nested(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<(), Problem>) -> Result<(), Problem> {
    let at = out.len();
    out.push(0);
    write(out)?;
    let length = out.len() - at - 1;
    match u8::try_from(length) {
        Ok(short @ ..0x80) => out[at] = short,
        _ => {
            let mut varint = Vec::new();
            push_varint(&mut varint, length as u64);
            out.splice(at..=at, varint);
        }
    }
    Ok(())
}

#[inline]
fn push_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::super::super::samples::unhex;
    use super::*;
    use crate::error::ErrorKind;

    fn encode(field_type: FieldType, presence: Presence, value: Value<'_>) -> Result<Vec<u8>> {
        let field = Field { name: "c".to_owned(), field_type, optional: false, doc: None };
        let encoder = ProtobufEncoder::new(vec![9], &[(&field, 0)], |_| presence, false);
        let mut out = Vec::new();
        let outcome = encoder.encode(&[value], &mut out);
        assert!(outcome.is_ok() || out.is_empty(), "an error leaves no bytes");
        outcome.map(|()| out[1..].to_vec())
    }

    fn hex(field_type: FieldType, presence: Presence, value: Value<'_>) -> std::string::String {
        encode(field_type, presence, value).unwrap().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    use FieldType::*;
    use Presence::{Explicit, Implicit, Wrapped};

    #[test]
    fn scalars_leave_out_what_is_zero_unless_they_have_presence() {
        for (presence, zero, one) in [(Implicit, "", "0801"), (Explicit, "0800", "0801"), (Wrapped, "0a00", "0a020801")]
        {
            assert_eq!(hex(Int32, presence, Value::Integer(0)), zero);
            assert_eq!(hex(Int64, presence, Value::Integer(1)), one);
            assert_eq!(hex(Boolean, presence, Value::Boolean(false)), zero);
            assert_eq!(hex(Boolean, presence, Value::Boolean(true)), one);
        }
        assert_eq!(hex(Int8, Implicit, Value::Integer(-1)), "08ffffffffffffffffff01");
        assert_eq!(hex(String, Implicit, Value::Text("".into())), "");
        assert_eq!(hex(String, Explicit, Value::Text("".into())), "0a00");
        assert_eq!(hex(String, Wrapped, Value::Text("é".into())), "0a040a02c3a9");
        assert_eq!(hex(Bytes, Implicit, Value::Bytes(vec![0].into())), "0a0100");
        assert_eq!(hex(Float64, Implicit, Value::Float64(0.0)), "");
        assert_eq!(hex(Float64, Implicit, Value::Float64(-0.0)), "090000000000000080");
        assert_eq!(hex(Float32, Wrapped, Value::Float32(-2.5)), "0a050d000020c0");
        let long = "x".repeat(300);
        let bytes = encode(String, Wrapped, Value::Text(long.as_str().into())).unwrap();
        assert_eq!((bytes.len(), &bytes[..6]), (306, &unhex("0aaf020aac02")[..]));
    }

    #[test]
    fn dates_times_and_decimals_are_messages_whatever_their_presence() {
        let decimal = |scale| Decimal { precision: None, scale };
        assert_eq!(hex(Date, Implicit, Value::Integer(19_675)), "0a0708e70f100b180e");
        assert_eq!(hex(Date, Explicit, Value::Integer(-1)), "0a0708b10f100c181f");
        assert_eq!(hex(Time, Implicit, Value::Integer(3_723_004)), "0a0b080110021803208092f401");
        assert_eq!(hex(Time, Implicit, Value::Integer(0)), "0a00");
        assert_eq!(hex(Time, Implicit, Value::Integer(86_400_000)), "0a00");
        assert_eq!(hex(Timestamp, Implicit, Value::Integer(1_000)), "0a020801");
        assert_eq!(hex(Timestamp, Implicit, Value::Integer(-1)), "0a1108ffffffffffffffffff0110c08faedc03");
        assert_eq!(hex(decimal(2), Implicit, Value::Decimal(vec![0x80].into())), "0a070a018010031802");
        assert_eq!(hex(decimal(0), Implicit, Value::Decimal(vec![0].into())), "0a050a01001001");
        assert_eq!(hex(decimal(-3), Implicit, Value::Decimal(vec![1].into())), "0a100a0101100118fdffffffffffffffff01");
        assert_eq!([digits(&[0x7f; 8]), digits(&[0x80, 0, 0, 0, 0, 0, 0, 0]), digits(&[0x7f; 9])], [19, 19, 22]);
    }

    #[test]
    fn a_value_that_does_not_fit_names_its_field() {
        for (field_type, value) in [
            (Int8, Value::Integer(128)),
            (Date, Value::Integer(-719_163)),
            (Date, Value::Integer(i64::MAX)),
            (Time, Value::Integer(-1)),
            (Timestamp, Value::Integer(LAST_MILLIS + 1)),
            (Timestamp, Value::Integer(FIRST_MILLIS - 1)),
            (String, Value::Integer(1)),
            (Decimal { precision: None, scale: 0 }, Value::Integer(1)),
            (Int32, Value::Null),
        ] {
            let error = encode(field_type, Implicit, value).unwrap_err();
            assert_eq!((error.kind(), error.context("field")), (ErrorKind::Value, Some("c")));
        }
        assert!(encode(Date, Implicit, Value::Integer(-719_162)).is_ok());
    }
}
