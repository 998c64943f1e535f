//! JSON text as Java's Jackson writes it: in schemas, in what the console consumer prints, and in records.

use std::fmt::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::text::Utf8;

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

fn push_character(out: &mut impl Write, character: char) {
    // Writing to memory cannot fail.
    let _ = match character {
        '"' => out.write_str("\\\""),
        '\\' => out.write_str("\\\\"),
        '\u{8}' => out.write_str("\\b"),
        '\t' => out.write_str("\\t"),
        '\n' => out.write_str("\\n"),
        '\u{c}' => out.write_str("\\f"),
        '\r' => out.write_str("\\r"),
        '\0'..='\u{1f}' => write!(out, "\\u{:04X}", u32::from(character)),
        other => out.write_char(other),
    };
}

/// Appends `text` in quotes as Jackson writes it to bytes: as [`push_string`], but characters beyond the basic plane are
/// escaped as two surrogates. Records have it, and offsets.
pub(crate) fn push_escaped(out: &mut String, text: &str) {
    out.push('"');
    escape(out, text);
    out.push('"');
}

/// The same, to bytes.
#[inline]
pub(super) fn push_utf8(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    if is_raw(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
    } else {
        escape(&mut Utf8(out), text);
    }
    out.push(b'"');
}

/// True if nothing of a text is to be escaped. Eight bytes are looked at at once: a bit of each tells.
#[inline]
fn is_raw(text: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    let is_marked = |bytes: [u8; 8]| {
        let word = u64::from_le_bytes(bytes);
        let below = |word: u64, limit: u64| word.wrapping_sub(limit * ONES) & !word;
        let is = |byte: u8| below(word ^ (u64::from(byte) * ONES), 1);
        let beyond_basic_plane = word & (word << 1) & (word << 2) & (word << 3);
        (below(word, 0x20) | is(b'"') | is(b'\\') | beyond_basic_plane) & HIGH != 0
    };
    let (words, rest) = text.as_chunks::<8>();
    if words.iter().any(|word| is_marked(*word)) {
        return false;
    }
    match (rest.is_empty(), text.last_chunk::<8>()) {
        (true, _) => true,
        (false, Some(last)) => !is_marked(*last),
        (false, None) => rest.iter().all(|byte| is_raw_byte(*byte)),
    }
}

#[inline]
fn is_raw_byte(byte: u8) -> bool {
    matches!(byte, b' '..=b'!' | b'#'..=b'[' | b']'..0xf0)
}

fn escape(out: &mut impl Write, text: &str) {
    let mut written = 0;
    for (at, byte) in text.bytes().enumerate() {
        if is_raw_byte(byte) {
            continue;
        }
        // Writing to memory cannot fail.
        let _ = out.write_str(&text[written..at]);
        let Some(character) = text[at..].chars().next() else { break };
        if byte >= 0xf0 {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04X}");
            }
        } else {
            push_character(out, character);
        }
        written = at + character.len_utf8();
    }
    let _ = out.write_str(&text[written..]);
}

/// Appends bytes in base64, in quotes.
pub(super) fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    /// Beyond it the library is faster, which has more to prepare.
    const SHORT: usize = 24;
    out.push(b'"');
    if bytes.len() <= SHORT {
        push_short_base64(out, bytes);
    } else {
        let start = out.len();
        out.resize(start + bytes.len().div_ceil(3) * 4, 0);
        let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or_default();
        out.truncate(start + written);
    }
    out.push(b'"');
}

#[inline]
fn push_short_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let four = |[a, b, c]: [u8; 3]| {
        [a >> 2, (a << 4 | b >> 4) & 63, (b << 2 | c >> 6) & 63, c & 63].map(|six| ALPHABET[usize::from(six)])
    };
    let (groups, rest) = bytes.as_chunks::<3>();
    groups.iter().for_each(|group| out.extend_from_slice(&four(*group)));
    match *rest {
        [a] => {
            let [first, second, ..] = four([a, 0, 0]);
            out.extend_from_slice(&[first, second, b'=', b'=']);
        }
        [a, b] => {
            let [first, second, third, _] = four([a, b, 0]);
            out.extend_from_slice(&[first, second, third, b'=']);
        }
        _ => {}
    }
}

/// Appends a double as `Double.toString` gives it; what is not a number comes in quotes.
pub(super) fn push_f64(out: &mut impl Write, value: f64) {
    push_quoted(out, value.is_finite(), |out| push_double(out, value));
}

/// Appends a float as `Float.toString` gives it; what is not a number comes in quotes.
pub(super) fn push_f32(out: &mut impl Write, value: f32) {
    push_quoted(out, value.is_finite(), |out| push_float(out, value));
}

fn push_quoted<W: Write>(out: &mut W, is_finite: bool, push: impl FnOnce(&mut W)) {
    let quote = if is_finite { "" } else { "\"" };
    let _ = out.write_str(quote);
    push(out);
    let _ = out.write_str(quote);
}

/// Appends a double as `Double.toString` gives it.
pub(super) fn push_double(out: &mut impl Write, value: f64) {
    match not_finite(value) {
        Some(word) => drop(out.write_str(word)),
        None => push_decimal(out, Digits::default().of(format_args!("{value:e}"))),
    }
}

/// Appends a float as `Float.toString` gives it.
pub(super) fn push_float(out: &mut impl Write, value: f32) {
    match not_finite(f64::from(value)) {
        Some(word) => drop(out.write_str(word)),
        None => push_decimal(out, Digits::default().of(format_args!("{value:e}"))),
    }
}

fn not_finite(value: f64) -> Option<&'static str> {
    match (value.is_finite(), value.is_nan(), value > 0.0) {
        (true, _, _) => None,
        (false, true, _) => Some("NaN"),
        (false, false, true) => Some("Infinity"),
        (false, false, false) => Some("-Infinity"),
    }
}

/// Room for the shortest form of a double.
#[derive(Default)]
struct Digits {
    bytes: [u8; 32],
    len: usize,
}

impl Digits {
    fn of(&mut self, text: fmt::Arguments<'_>) -> &str {
        let _ = self.write_fmt(text);
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl Write for Digits {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

/// `scientific` is Rust's shortest form, `-1.25e-7`; Java writes plain digits from 10^-3 up to 10^7.
fn push_decimal(out: &mut impl Write, scientific: &str) {
    // Writing to memory cannot fail.
    let _ = try_push_decimal(out, scientific);
}

fn try_push_decimal(out: &mut impl Write, scientific: &str) -> fmt::Result {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    out.write_str(sign)?;
    if !(-3..7).contains(&exponent) {
        let point = if mantissa.contains('.') { "" } else { ".0" };
        return write!(out, "{mantissa}{point}E{exponent}");
    }
    let (first, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if exponent < 0 {
        out.write_str("0.")?;
        (1..-exponent).try_for_each(|_| out.write_char('0'))?;
        return write!(out, "{first}{rest}");
    }
    let whole = exponent as usize;
    if rest.len() > whole {
        write!(out, "{first}{}.{}", &rest[..whole], &rest[whole..])
    } else {
        write!(out, "{first}{rest:0<whole$}.0")
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
    fn bytes_of_every_length_are_those_of_the_standard_alphabet() {
        for length in 0..100_u8 {
            let bytes: Vec<u8> = (0..length).map(|at| at.wrapping_mul(97) ^ length).collect();
            let mut out = Vec::new();
            push_base64(&mut out, &bytes);
            assert_eq!(out, format!("\"{}\"", STANDARD.encode(&bytes)).into_bytes());
        }
    }

    #[test]
    fn texts_are_escaped_alike_wherever_the_character_stands() {
        for odd in
            ["\"", "\\", "\u{0}", "\u{1f}", "\n", "😀", " ", "!", "#", "\u{7f}", "é", "\u{fffd}", "\u{2028}", "[", "]"]
        {
            for length in 0..20 {
                for at in 0..=length {
                    let text = format!("{}{odd}{}", "a".repeat(at), "b".repeat(length - at));
                    let (mut bytes, mut escaped) = (Vec::new(), String::new());
                    push_utf8(&mut bytes, &text);
                    push_escaped(&mut escaped, &text);
                    assert_eq!(String::from_utf8(bytes).unwrap(), escaped);
                    let read: String = serde_json::from_str(&escaped).unwrap();
                    assert_eq!(read, text);
                }
            }
        }
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
