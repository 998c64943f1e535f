//! Values of keys as messages show them, so that a row can be found.

use super::super::calendar::MICROS_PER_DAY;
use super::super::instant::TimestampEncoder;
use super::decode::{Decoder, EPOCH_DAYS, fixed};
use super::types::Wire;
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
}
