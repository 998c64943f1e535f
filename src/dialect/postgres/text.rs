//! Values as text: those of keys as messages show them, so that a row can be found, and any value of a row that
//! cannot be delivered.

use super::super::calendar::MICROS_PER_DAY;
use super::super::instant::TimestampEncoder;
use super::super::problem::hex;
use super::binary::{EPOCH_DAYS, fixed};
use super::decode::Decoder;
use super::wire::Wire;
use crate::config::spec::{Granularity, TypeSpec};
use crate::model::Value;

/// The text of a value; none for one whose form is not read.
pub(super) fn shown(wire: Wire, bytes: &[u8]) -> Option<String> {
    let plain = TypeSpec { granularity: Granularity::MicrosIso, legacy_calendar: false, ..TypeSpec::default() };
    let decoder = match wire {
        Wire::Bool => Decoder::Bool,
        Wire::Int2 => Decoder::Int2,
        Wire::Int4 => Decoder::Int4,
        Wire::Int8 => Decoder::Int8,
        Wire::Oid => Decoder::Oid,
        Wire::Float4 => Decoder::Float4,
        Wire::Float8 => Decoder::Float8,
        Wire::Numeric => Decoder::NumericText,
        Wire::Text => Decoder::Text,
        Wire::Char => Decoder::Char,
        Wire::Uuid => Decoder::Uuid,
        Wire::Timestamp => Decoder::Timestamp(TimestampEncoder::new(&plain)),
        Wire::Timestamptz => Decoder::Timestamptz(TimestampEncoder::new(&plain)),
        Wire::Date => {
            let days = i64::from(i32::from_be_bytes(fixed(bytes).ok()?)) + EPOCH_DAYS;
            let midnight = TimestampEncoder::new(&plain).instant(days * MICROS_PER_DAY, 0).ok()?;
            let Value::Text(text) = midnight else { return None };
            return text.split_once('T').map(|(date, _)| date.to_owned());
        }
        Wire::Bytea | Wire::Bit | Wire::Time | Wire::Timetz | Wire::Jsonb | Wire::Other => return None,
    };
    match decoder.decode(bytes).ok()? {
        Value::Boolean(value) => Some(value.to_string()),
        Value::Integer(value) => Some(value.to_string()),
        Value::Float32(value) => Some(value.to_string()),
        Value::Float64(value) => Some(value.to_string()),
        Value::Text(text) => Some(text.into_owned()),
        Value::Null | Value::Bytes(_) | Value::Decimal(_) => None,
    }
}

/// Any value, not interpreted: the server's text where its form is read here, else its bytes.
pub(super) fn raw(wire: Wire, bytes: &[u8]) -> String {
    let text = match (wire, bytes) {
        (Wire::Date, [0x7f, 0xff, 0xff, 0xff]) => Some("infinity".to_owned()),
        (Wire::Date, [0x80, 0, 0, 0]) => Some("-infinity".to_owned()),
        (Wire::Timestamp | Wire::Timestamptz, [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]) => {
            Some("infinity".to_owned())
        }
        (Wire::Timestamp | Wire::Timestamptz, [0x80, 0, 0, 0, 0, 0, 0, 0]) => Some("-infinity".to_owned()),
        (Wire::Timestamptz, _) => shown(wire, bytes).map(|text| text + "Z"),
        (Wire::Time, _) => fixed(bytes).ok().map(|bytes| clock(i64::from_be_bytes(bytes))),
        (Wire::Jsonb, [_, text @ ..]) => std::str::from_utf8(text).ok().map(str::to_owned),
        _ => shown(wire, bytes),
    };
    text.unwrap_or_else(|| hex(bytes))
}

/// A time of day in microseconds.
fn clock(micros: i64) -> String {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    format!("{:02}:{:02}:{:02}.{fraction:06}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_shown_as_the_server_writes_them() {
        let numeric = [0, 1, 0, 0, 0, 0, 0, 2, 0, 12].map(|byte: u8| byte);
        for (wire, bytes, text) in [
            (Wire::Int8, (-7_i64).to_be_bytes().to_vec(), "-7"),
            (Wire::Numeric, numeric.to_vec(), "12.00"),
            (Wire::Date, 0_i32.to_be_bytes().to_vec(), "2000-01-01"),
            (Wire::Timestamp, 0_i64.to_be_bytes().to_vec(), "2000-01-01T00:00:00.000000"),
            (Wire::Text, b"a".to_vec(), "a"),
        ] {
            assert_eq!(shown(wire, &bytes).as_deref(), Some(text));
        }
        assert_eq!(shown(Wire::Bytea, b"secret"), None);
    }

    #[test]
    fn any_value_has_a_text() {
        for (wire, bytes, text) in [
            (Wire::Date, i32::MAX.to_be_bytes().to_vec(), "infinity"),
            (Wire::Timestamptz, i64::MIN.to_be_bytes().to_vec(), "-infinity"),
            (Wire::Time, 3_723_000_004_i64.to_be_bytes().to_vec(), "01:02:03.000004"),
            (Wire::Numeric, [0, 0, 0, 0, 0xc0, 0, 0, 0].to_vec(), "NaN"),
            (Wire::Jsonb, b"\x01{}".to_vec(), "{}"),
            (Wire::Bytea, vec![0, 0xff], "0x00ff"),
            (Wire::Text, vec![0xff], "0xff"),
            (Wire::Int4, vec![1], "0x01"),
        ] {
            assert_eq!(raw(wire, &bytes), text);
        }
    }
}
