//! Texts of values as Java prints them (`toString`): decimals, and the date types that a JDBC source hands over.

use std::fmt::{self, Write};

use chrono::{DateTime, Datelike, NaiveDate, Timelike};
use num_bigint::BigInt;

/// Bytes that can be written to as text.
pub(super) struct Utf8<'a>(pub(super) &'a mut Vec<u8>);

impl Write for Utf8<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Appends an integer.
#[inline]
pub(super) fn push_integer(out: &mut Vec<u8>, integer: i64) {
    const GROUP: u64 = 100_000_000;
    if integer < 0 {
        out.push(b'-');
    }
    let rest = integer.unsigned_abs();
    if rest < GROUP {
        push_first_digits(out, rest);
        return;
    }
    let (high, last) = (rest / GROUP, rest % GROUP);
    if high < GROUP {
        push_first_digits(out, high);
    } else {
        push_first_digits(out, high / GROUP);
        out.extend_from_slice(&(eight_digits(high % GROUP) | ZEROS).to_le_bytes());
    }
    out.extend_from_slice(&(eight_digits(last) | ZEROS).to_le_bytes());
}

/// The text `00000000`.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// Appends a number below 10^8 without leading zeros. The copy is of constant size and cut back afterwards, which costs less
/// than one of just the right size.
#[inline]
fn push_first_digits(out: &mut Vec<u8>, number: u64) {
    let digits = eight_digits(number);
    let leading = (digits.trailing_zeros() / 8).min(7);
    out.extend_from_slice(&((digits | ZEROS) >> (8 * leading)).to_le_bytes());
    out.truncate(out.len() - leading as usize);
}

/// The eight digits of a number below 10^8, the first in the lowest byte: halves, quarters and eighths of it are divided at
/// once, each in a lane of its own.
#[inline]
fn eight_digits(number: u64) -> u64 {
    let halves = (number / 10_000) | (number % 10_000) << 32;
    let hundreds = ((halves * 10_486) >> 20) & 0x7f_0000_007f;
    let quarters = ((halves - 100 * hundreds) << 16) + hundreds;
    let tens = ((quarters * 103) >> 10) & 0x000f_000f_000f_000f;
    ((quarters - 10 * tens) << 8) + tens
}

/// Appends an exact number as `BigDecimal.toString` gives it: with an exponent where the scale is negative, and below
/// 10^-6.
pub(super) fn push_decimal(out: &mut Vec<u8>, unscaled: &[u8], scale: i32) {
    let mut buffer = itoa::Buffer::new();
    let large;
    let text = match small(unscaled) {
        Some(integer) => buffer.format(integer),
        None => {
            large = BigInt::from_signed_bytes_be(unscaled).to_string();
            &large
        }
    };
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    out.extend_from_slice(sign.as_bytes());
    let count = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let (scale, digits) = (i64::from(scale), digits.as_bytes());
    let exponent = count - 1 - scale;
    if scale >= 0 && exponent >= -6 {
        push_plain(out, digits, usize::try_from(scale).unwrap_or_default());
        return;
    }
    let (first, rest) = digits.split_at(1);
    out.extend_from_slice(first);
    if !rest.is_empty() {
        out.push(b'.');
        out.extend_from_slice(rest);
    }
    if exponent != 0 {
        out.push(b'E');
        if exponent > 0 {
            out.push(b'+');
        }
        push_integer(out, exponent);
    }
}

/// Digits with so many of them behind the point.
fn push_plain(out: &mut Vec<u8>, digits: &[u8], scale: usize) {
    if digits.len() > scale {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.extend_from_slice(whole);
        if !fraction.is_empty() {
            out.push(b'.');
            out.extend_from_slice(fraction);
        }
        return;
    }
    out.extend_from_slice(b"0.");
    out.extend(std::iter::repeat_n(b'0', scale - digits.len()));
    out.extend_from_slice(digits);
}

/// Two's complement of at most 128 bits.
fn small(bytes: &[u8]) -> Option<i128> {
    if bytes.len() > 16 {
        return None;
    }
    let sign = if bytes.first().is_some_and(|byte| *byte >= 0x80) { -1 } else { 0 };
    Some(bytes.iter().fold(sign, |integer: i128, byte| (integer << 8) | i128::from(*byte)))
}

/// Appends days since 1970-01-01 as `java.sql.Date.toString` gives them; none beyond what a calendar here holds.
pub(super) fn push_date(out: &mut Vec<u8>, days: i64) -> Option<()> {
    const EPOCH_FROM_CE: i64 = 719_163;
    let date = NaiveDate::from_num_days_from_ce_opt(i32::try_from(days.checked_add(EPOCH_FROM_CE)?).ok()?)?;
    push_day(out, date);
    Some(())
}

fn push_day(out: &mut Vec<u8>, date: NaiveDate) {
    // Writing to a vector cannot fail.
    let _ = write!(Utf8(out), "{:04}-{:02}-{:02}", date.year(), date.month(), date.day());
}

/// Appends milliseconds of a day as `java.sql.Time.toString` gives them: to the second.
pub(super) fn push_time(out: &mut Vec<u8>, millis: i64) {
    let seconds = millis / 1000 % 86_400;
    let _ = write!(Utf8(out), "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

/// Appends milliseconds since the epoch as `java.sql.Timestamp.toString` gives them, in UTC: at least one digit behind the
/// second; none beyond what a calendar here holds.
pub(super) fn push_timestamp(out: &mut Vec<u8>, millis: i64) -> Option<()> {
    let time = DateTime::from_timestamp_millis(millis)?;
    push_day(out, time.date_naive());
    let millis = time.timestamp_subsec_millis();
    let _ = write!(Utf8(out), " {:02}:{:02}:{:02}.", time.hour(), time.minute(), time.second());
    let fraction = format!("{millis:03}");
    let digits = fraction.trim_end_matches('0');
    out.extend_from_slice(if digits.is_empty() { b"0" } else { digits.as_bytes() });
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers_have_their_digits_at_every_length() {
        let mut rng = fastrand::Rng::with_seed(7);
        let powers = (0..19).map(|power| 10_i64.pow(power));
        let edges = powers.flat_map(|power| [power - 1, power, power + 1, -power, 1 - power]);
        let others = (0..20_000).map(|_| rng.i64(..) >> rng.u8(0..63));
        for integer in edges.chain(others).chain([i64::MIN, i64::MAX]).collect::<Vec<_>>() {
            assert_eq!(text(|out| push_integer(out, integer)), integer.to_string());
        }
    }

    #[test]
    fn decimals_look_as_big_decimal_prints_them() {
        let cases: &[(&[u8], i32, &str)] = &[
            (&[0x80], 2, "-1.28"),
            (&[0], 2, "0.00"),
            (&[0], 0, "0"),
            (&[0], -3, "0E+3"),
            (&[0], 7, "0E-7"),
            (&[1], 6, "0.000001"),
            (&[1], 7, "1E-7"),
            (&[1], -3, "1E+3"),
            (&[12], -3, "1.2E+4"),
            (&[0x7b], 0, "123"),
            (&[0x7b], 10, "1.23E-8"),
            (&[0x30, 0x39], 3, "12.345"),
            (&[0xff], 0, "-1"),
            (&[0x7f; 16], 0, "169473963133173273960190490760135540607"),
            (&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 2, "-1701411834604692317316873037158841057.28"),
            (&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0, "340282366920938463463374607431768211456"),
        ];
        for (unscaled, scale, expected) in cases {
            assert_eq!(text(|out| push_decimal(out, unscaled, *scale)), *expected);
        }
    }

    #[test]
    fn dates_and_times_look_as_those_of_java_sql_do() {
        assert_eq!(text(|out| push_date(out, 19_675).unwrap()), "2023-11-14");
        assert_eq!(text(|out| push_date(out, -1).unwrap()), "1969-12-31");
        assert_eq!(text(|out| push_time(out, 3_723_004)), "01:02:03");
        assert_eq!(text(|out| push_timestamp(out, 1_700_000_000_120).unwrap()), "2023-11-14 22:13:20.12");
        assert_eq!(text(|out| push_timestamp(out, 0).unwrap()), "1970-01-01 00:00:00.0");
        assert_eq!(text(|out| push_timestamp(out, -1).unwrap()), "1969-12-31 23:59:59.999");
        assert_eq!(push_timestamp(&mut Vec::new(), i64::MAX), None);
        assert_eq!(push_date(&mut Vec::new(), i64::MAX), None);
    }
}
