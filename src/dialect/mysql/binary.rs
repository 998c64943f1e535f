//! The binary forms of values on the wire, read one by one.

use std::borrow::Cow;
use std::io::Write as _;

use super::super::calendar::{MICROS_PER_DAY, civil_from_days, days_from_civil};
use super::super::problem::Problem;
use super::wire::Wire;
use crate::model::Value;

pub(super) const MALFORMED: Problem = Problem::new("the value does not have the length of its type");
const NOT_UTF8: Problem = Problem::new("the text is not UTF-8");

#[inline]
pub(super) fn integer(wire: Wire, signed: bool, bytes: &[u8]) -> Result<i64, Problem> {
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
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|_| NOT_UTF8)
}

/// A number as the server shows it, with so many digits after the point, read again as Java's drivers do: what the binary
/// protocol gives of `-0.001` may be `-0.0010000000000000009`.
pub(super) fn shown_number(value: f64, digits: u8) -> f64 {
    // As many digits as a double can have before the point, a sign, the point, and 30 behind it.
    let mut text = [0_u8; 344];
    let mut rest = &mut text[..];
    let fits = write!(rest, "{value:.*}", usize::from(digits)).is_ok();
    let length = 344 - rest.len();
    let shown = std::str::from_utf8(&text[..length]).ok().and_then(|text| text.parse().ok());
    shown.filter(|_| fits).unwrap_or(value)
}

/// The number of up to eight bytes, most significant first.
pub(super) fn bits(bytes: &[u8]) -> Result<u64, Problem> {
    if bytes.len() > 8 {
        return Err(MALFORMED);
    }
    Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// A decimal of scale 0.
pub(super) fn unscaled(value: u64) -> Value<'static> {
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

/// Microseconds since the epoch of a wall clock read as UTC; none if it is no date.
#[inline]
pub(super) fn wall(bytes: &[u8]) -> Result<Option<i64>, Problem> {
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
pub(super) fn time(bytes: &[u8]) -> Result<Option<i64>, Problem> {
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
