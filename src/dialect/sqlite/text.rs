//! A value of any storage class as text: the result of `cast(x as text)`, except that a number keeps all its digits
//! (the database cuts them to 15).

use std::borrow::Cow;

use super::stored::Stored;

/// The text of a value that is not null; none for bytes that are no text.
pub(super) fn of<'r>(stored: &Stored<'r>) -> Option<Cow<'r, str>> {
    match stored {
        Stored::Null => None,
        Stored::Integer(value) => Some(Cow::Owned(value.to_string())),
        Stored::Real(value) => Some(Cow::Owned(real(*value))),
        Stored::Text(text) => Some(Cow::Borrowed(text)),
        Stored::Blob(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
    }
}

/// 15 digits if they are enough, else as many as it takes, in the database's notation.
fn real(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "Inf" } else { "-Inf" }.to_owned();
    }
    let short = format!("{value:.14e}");
    let scientific = if short.parse() == Ok(value) { short } else { format!("{value:e}") };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = match digits.trim_end_matches('0') {
        "" => "0",
        trimmed => trimmed,
    };
    if !(-4..=14).contains(&exponent) {
        let (first, rest) = digits.split_at(1);
        let rest = if rest.is_empty() { "0" } else { rest };
        let of_exponent = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{first}.{rest}e{of_exponent}{:02}", exponent.abs());
    }
    let Ok(whole) = usize::try_from(exponent + 1) else {
        let zeros = usize::try_from(-1 - exponent).unwrap_or(0);
        return format!("{sign}0.{}{digits}", "0".repeat(zeros));
    };
    match whole {
        0 => format!("{sign}0.{digits}"),
        whole if digits.len() <= whole => format!("{sign}{digits}{}.0", "0".repeat(whole - digits.len())),
        whole => format!("{sign}{}.{}", &digits[..whole], &digits[whole..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_the_database_writes_them_and_keep_their_digits() {
        // Left: what SQLite 3.40 answers to `cast(x as text)`.
        for (text, value) in [
            ("1.0", 1.0),
            ("0.1", 0.1),
            ("12.34", 12.34),
            ("-2.5", -2.5),
            ("100.0", 100.0),
            ("100000000000000.0", 1e14),
            ("999999999999999.0", 999_999_999_999_999.0),
            ("1.0e+15", 1e15),
            ("1.23456789e+15", 1_234_567_890_000_000.0),
            ("1.5e+300", 1.5e300),
            ("0.0001", 1e-4),
            ("0.00012345", 0.000_123_45),
            ("1.0e-05", 1e-5),
            ("4.94065645841247e-324", 5e-324),
            ("0.0", 0.0),
            ("Inf", f64::INFINITY),
        ] {
            assert_eq!(real(value), text);
        }
        assert_eq!(real(0.1 + 0.2), "0.30000000000000004");
        assert_eq!(real(f64::MAX), "1.7976931348623157e+308");
        for value in [0.1 + 0.2, f64::MAX, f64::MIN_POSITIVE, -1.0 / 3.0, 4_503_599_627_370_497.5, 1e22] {
            assert_eq!(real(value).parse(), Ok(value));
        }
    }

    #[test]
    fn bytes_are_text_only_if_they_are() {
        assert_eq!(of(&Stored::Blob(b"ab")).as_deref(), Some("ab"));
        assert_eq!(of(&Stored::Blob(&[0xff])), None);
        assert_eq!(of(&Stored::Integer(i64::MIN)).as_deref(), Some("-9223372036854775808"));
    }
}
