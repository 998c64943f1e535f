//! JSON text as Java's Jackson writes it: what the reference puts into schemas and what the console
//! consumer prints. Appends to a `String`; knows nothing of Avro.

use std::fmt::Write;

/// Appends `text` in quotes: `"`, `\` and control characters escaped, `/` and everything beyond ASCII raw.
pub(super) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        push_character(out, character);
    }
    out.push('"');
}

/// Appends bytes as a string whose characters are the bytes (ISO-8859-1), Avro's JSON form of bytes.
pub(super) fn push_bytes(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for byte in bytes {
        push_character(out, char::from(*byte));
    }
    out.push('"');
}

fn push_character(out: &mut String, character: char) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{8}' => out.push_str("\\b"),
        '\t' => out.push_str("\\t"),
        '\n' => out.push_str("\\n"),
        '\u{c}' => out.push_str("\\f"),
        '\r' => out.push_str("\\r"),
        '\0'..='\u{1f}' => {
            let _ = write!(out, "\\u{:04X}", u32::from(character));
        }
        other => out.push(other),
    }
}

/// Appends a double as `Double.toString` gives it; what is not a number comes in quotes.
pub(super) fn push_f64(out: &mut String, value: f64) {
    if value.is_finite() {
        push_decimal(out, &format!("{value:e}"));
    } else {
        push_not_finite(out, value);
    }
}

/// Appends a float as `Float.toString` gives it.
pub(super) fn push_f32(out: &mut String, value: f32) {
    if value.is_finite() {
        push_decimal(out, &format!("{value:e}"));
    } else {
        push_not_finite(out, f64::from(value));
    }
}

fn push_not_finite(out: &mut String, value: f64) {
    out.push_str(match (value.is_nan(), value > 0.0) {
        (true, _) => "\"NaN\"",
        (false, true) => "\"Infinity\"",
        (false, false) => "\"-Infinity\"",
    });
}

/// `scientific` is Rust's shortest form, `-1.25e-7`; Java writes plain digits from 10^-3 up to 10^7.
fn push_decimal(out: &mut String, scientific: &str) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    out.push_str(sign);
    if !(-3..7).contains(&exponent) {
        let point = if mantissa.contains('.') { "" } else { ".0" };
        let _ = write!(out, "{mantissa}{point}E{exponent}");
        return;
    }
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if exponent < 0 {
        out.push_str("0.");
        (1..-exponent).for_each(|_| out.push('0'));
        out.push_str(&digits);
        return;
    }
    let whole = exponent as usize + 1;
    if digits.len() > whole {
        let _ = write!(out, "{}.{}", &digits[..whole], &digits[whole..]);
    } else {
        let _ = write!(out, "{digits:0<whole$}.0");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_look_as_java_prints_them() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-2.5, "-2.5"),
            (100.0, "100.0"),
            (1234567.0, "1234567.0"),
            (12345678.0, "1.2345678E7"),
            (1e10, "1.0E10"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (0.01234, "0.01234"),
            (1.7976931348623157e308, "1.7976931348623157E308"),
            (5e-324, "5.0E-324"),
            (f64::NAN, "\"NaN\""),
            (f64::NEG_INFINITY, "\"-Infinity\""),
        ];
        for (value, expected) in cases {
            let mut text = String::new();
            push_f64(&mut text, value);
            assert_eq!(text, expected);
        }
        let mut text = String::new();
        push_f32(&mut text, 0.1);
        assert_eq!(text, "0.1");
    }

    #[test]
    fn control_characters_are_escaped_and_the_rest_is_raw() {
        let mut text = String::new();
        push_string(&mut text, "a\"b\\c/d\u{1f}\u{7f}é\n");
        assert_eq!(text, "\"a\\\"b\\\\c/d\\u001F\u{7f}é\\n\"");
        text.clear();
        push_bytes(&mut text, &[0, 0x41, 0xff]);
        assert_eq!(text, "\"\\u0000Aÿ\"");
    }
}
