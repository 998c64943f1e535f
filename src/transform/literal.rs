//! A literal as Kafka Connect's `Values.parseString` reads it: the smallest type that holds it. Lists and maps are in
//! `structure`.

use std::str::FromStr;

use num_bigint::BigInt;

use super::java_dates::JavaDateFormat;
use crate::model::{FieldType, Value};

/// The characters that end a token where no backslash stands before them.
const DELIMITERS: &[char] = &[':', ',', '{', '}', '[', ']', '"'];
/// Beyond it a number is a text of many digits and nothing else.
const MOST_DIGITS: i64 = 1_000;

/// The type and the value of a literal that is no list and no map; null is of no type.
pub(super) fn parse(text: &str) -> (FieldType, Value<'static>) {
    let string = |text: &str| (FieldType::String, Value::Text(text.to_owned().into()));
    match trim(text) {
        "null" => return (FieldType::String, Value::Null),
        "true" => return (FieldType::Boolean, Value::Boolean(true)),
        "false" => return (FieldType::Boolean, Value::Boolean(false)),
        _ => {}
    }
    let (mut token, mut rest) = next_token(text);
    while trim(token).is_empty() && !rest.is_empty() {
        (token, rest) = next_token(rest);
    }
    if trim(token).is_empty() {
        return string(token);
    }
    let token = trim(token);
    if token.starts_with(|first: char| first.is_ascii_digit()) {
        // The colons of a time end tokens: it has five of them.
        let whole = four_more(rest).map(|length| format!("{token}{}", &rest[..length]));
        if let Some(time) = whole.as_deref().and_then(time).or_else(|| time(token)) {
            return time;
        }
    }
    if token.starts_with(|first: char| first.is_ascii_digit() || first == '+' || first == '-')
        && let Some(number) = number(token)
    {
        return number;
    }
    string(text)
}

/// Java's `String.trim`.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

/// The first token, and what follows: up to a delimiter, or a delimiter alone.
pub(super) fn next_token(text: &str) -> (&str, &str) {
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '\\' => is_escaped = !is_escaped,
            _ if DELIMITERS.contains(&c) && !is_escaped => return text.split_at(if at == 0 { 1 } else { at }),
            _ => is_escaped = false,
        }
    }
    (text, "")
}

/// The length of the next four tokens; none if there are fewer.
fn four_more(text: &str) -> Option<usize> {
    let mut rest = text;
    for _ in 0..4 {
        if rest.is_empty() {
            return None;
        }
        rest = next_token(rest).1;
    }
    Some(text.len() - rest.len())
}

pub(super) fn time(text: &str) -> Option<(FieldType, Value<'static>)> {
    let text = text.replace("\\:", ":");
    let (field_type, pattern) = match text.encode_utf16().count() {
        10 => (FieldType::Date, "yyyy-MM-dd"),
        13 => (FieldType::Time, "HH:mm:ss.SSS'Z'"),
        24 => (FieldType::Timestamp, "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'"),
        _ => return None,
    };
    let millis = JavaDateFormat::new(pattern, 0).ok()?.parse(&text)?;
    let value = if field_type == FieldType::Date { millis.div_euclid(86_400_000) } else { millis };
    Some((field_type, Value::Integer(value)))
}

/// A number as `BigDecimal` reads it.
pub(super) fn number(text: &str) -> Option<(FieldType, Value<'static>)> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], i64::from_str(&text[at + 1..]).ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(&digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let scale = fraction.len() as i64 - exponent;
    if scale.abs() > MOST_DIGITS || digits.len() as i64 > MOST_DIGITS {
        return None;
    }
    let unscaled = BigInt::from_str(digits.strip_prefix('+').unwrap_or(&digits)).ok()?;
    if let Some(exact) = integer(&unscaled, scale) {
        let field_type = match exact {
            _ if i8::try_from(exact).is_ok() => FieldType::Int8,
            _ if i16::try_from(exact).is_ok() => FieldType::Int16,
            _ if i32::try_from(exact).is_ok() => FieldType::Int32,
            _ => FieldType::Int64,
        };
        return Some((field_type, Value::Integer(exact)));
    }
    let number = format!("{unscaled}e{}", -scale);
    let (float, double): (f32, f64) = (number.parse().ok()?, number.parse().ok()?);
    Some(match scale {
        0 => decimal(&unscaled, scale),
        _ if float.is_finite() => (FieldType::Float32, Value::Float32(float)),
        _ if double.is_finite() => (FieldType::Float64, Value::Float64(double)),
        _ => decimal(&unscaled, scale),
    })
}

fn decimal(unscaled: &BigInt, scale: i64) -> (FieldType, Value<'static>) {
    let scale = i32::try_from(scale).unwrap_or_default();
    (FieldType::Decimal { precision: None, scale }, Value::Decimal(unscaled.to_signed_bytes_be().into()))
}

/// The number if it is an integer of 64 bits.
fn integer(unscaled: &BigInt, scale: i64) -> Option<i64> {
    let power = BigInt::from(10).pow(u32::try_from(scale.unsigned_abs()).ok()?);
    if scale <= 0 {
        return i64::try_from(unscaled * power).ok();
    }
    if unscaled % &power != BigInt::ZERO {
        return None;
    }
    i64::try_from(unscaled / power).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::values_text;

    /// The results of Kafka 4.3's `Values.parseString` and `SimpleHeaderConverter` for literals; floats as Java 19 and
    /// newer prints them.
    #[test]
    fn literals_are_of_the_type_and_the_text_that_kafka_connect_makes_of_them() {
        let decimal = |scale| FieldType::Decimal { precision: None, scale };
        for (literal, field_type, text) in [
            ("2019-08-23", FieldType::Date, "2019-08-23"),
            ("2019-08-23T10:11:12.345Z", FieldType::Timestamp, "2019-08-23T10:11:12.345Z"),
            ("10:11:12.345Z", FieldType::Time, "10:11:12.345Z"),
            ("1970-01-01", FieldType::Date, "00:00:00.000Z"),
            ("2019-99-99", FieldType::Date, "2027-06-07"),
            ("1.10", FieldType::Float32, "1.1"),
            ("1.5e3", FieldType::Int16, "1500"),
            ("1,2", FieldType::Int8, "1"),
            ("\"x\"", FieldType::String, "\"x\""),
            (" true ", FieldType::Boolean, "true"),
            ("+5", FieldType::Int8, "5"),
            ("1e400", decimal(-400), "1E+400"),
            ("123456789012345678901", decimal(0), "123456789012345678901"),
            ("1.23456789012", FieldType::Float32, "1.2345679"),
            ("99999999999.5", FieldType::Float32, "1.0E11"),
            (":x", FieldType::String, ":x"),
            ("  :x", FieldType::String, "  :x"),
            ("12:30", FieldType::Int8, "12"),
            ("5 apples", FieldType::String, "5 apples"),
            ("5.", FieldType::Int8, "5"),
            ("-", FieldType::String, "-"),
            ("3000000000", FieldType::Int64, "3000000000"),
            ("-0.0", FieldType::Int8, "0"),
            ("1e39", FieldType::Float64, "1.0E39"),
            ("12345678.5", FieldType::Float32, "1.2345678E7"),
        ] {
            let (found, value) = parse(literal);
            assert_eq!((&found, values_text(&found, &value).as_deref()), (&field_type, Some(text)), "{literal}");
        }
        assert_eq!(parse("null").1, Value::Null);
    }
}
