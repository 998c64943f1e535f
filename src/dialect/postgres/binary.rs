//! The binary forms of values on the wire, read one by one, and the server's own units of time for bound values.

use super::super::calendar::MICROS_PER_DAY;
use super::super::problem::Problem;
use super::numeric::Numeric;

/// Microseconds and days from 1970-01-01 to 2000-01-01, PostgreSQL's epoch.
pub(super) const EPOCH_MICROS: i64 = 946_684_800_000_000;
pub(super) const EPOCH_DAYS: i64 = 10_957;

pub(super) const MALFORMED: Problem = Problem::new("the value does not have the length of its type");
const NOT_FINITE: Problem = Problem::new("NaN or infinity does not fit a decimal").unless("decimal.handling=string");
const BEYOND: Problem =
    Problem::new("the timestamp is in the year 294247 or beyond, where 64 bits of microseconds end");

#[inline]
pub(super) fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Problem> {
    bytes.try_into().map_err(|_| MALFORMED)
}

#[inline]
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|_| Problem::new("the text is not UTF-8"))
}

pub(super) fn finite(bytes: &[u8]) -> Result<Numeric<'_>, Problem> {
    let numeric = Numeric::read(bytes).ok_or(MALFORMED)?;
    if numeric.is_finite() { Ok(numeric) } else { Err(NOT_FINITE) }
}

/// Unix microseconds from PostgreSQL's. The infinities are the ends of the range, and nothing else becomes one: the
/// last thirty years that PostgreSQL knows do not fit.
#[inline]
pub(super) fn unix_micros(bytes: &[u8]) -> Result<i64, Problem> {
    match i64::from_be_bytes(fixed(bytes)?) {
        infinite @ (i64::MAX | i64::MIN) => Ok(infinite),
        // Two days before the end no zone leads beyond it.
        micros => micros.checked_add(EPOCH_MICROS).filter(|unix| *unix < i64::MAX - 2 * MICROS_PER_DAY).ok_or(BEYOND),
    }
}

/// PostgreSQL's microseconds from Unix ones.
pub(super) fn server_micros(micros: i64) -> i64 {
    match micros {
        i64::MAX | i64::MIN => micros,
        _ => micros.saturating_sub(EPOCH_MICROS).max(i64::MIN + 1),
    }
}

/// PostgreSQL's number of the day that an instant lies in.
pub(super) fn server_days(micros: i64) -> i32 {
    match micros {
        i64::MAX => i32::MAX,
        i64::MIN => i32::MIN,
        _ => i32::try_from(micros.div_euclid(MICROS_PER_DAY) - EPOCH_DAYS).unwrap_or(i32::MAX - 1),
    }
}
