//! Checks that the ids of a table grow, as far as their values tell: a UUID carries its version, and the random ones
//! sort anywhere. Takes the smallest and the greatest id as text, never shows them.

use crate::error::{Error, ErrorKind};

/// The text form of a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UuidForm {
    /// The form with hyphens: hardly anything else looks like it.
    Canonical,
    /// Sixteen bytes as hexadecimal digits: other ids look like it by chance.
    Bytes,
}

/// The version of a text that looks like a UUID (RFC 9562), and how it is written.
pub fn uuid_version(text: &str) -> Option<(u8, UuidForm)> {
    let bare = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
    let bare = bare.strip_prefix("\\x").or_else(|| bare.strip_prefix("0x")).unwrap_or(bare);
    let (form, digits) = match bare.len() {
        36 if [8, 13, 18, 23].iter().all(|at| bare.as_bytes()[*at] == b'-') => {
            (UuidForm::Canonical, bare.replace('-', ""))
        }
        32 => (UuidForm::Bytes, bare.to_owned()),
        _ => return None,
    };
    if digits.len() != 32 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let version = u8::from_str_radix(&digits[12..13], 16).ok()?;
    let has_variant = matches!(digits.as_bytes()[16].to_ascii_lowercase(), b'8' | b'9' | b'a' | b'b');
    (has_variant && (1..=8).contains(&version)).then_some((version, form))
}

/// The reason why ids of this UUID version do not grow; none for those that sort by time.
pub fn against_version(version: u8) -> Option<&'static str> {
    match version {
        4 => Some("they are random"),
        3 | 5 => Some("they are hashes"),
        1 | 2 => Some("they do not begin with the high digits of their time"),
        6 | 7 => None,
        _ => Some("nothing is known of their order"),
    }
}

/// The error of an id that is NaN or infinite: no row would ever come after it.
pub fn not_a_number(column: &str) -> Error {
    Error::new(
        ErrorKind::Cursor,
        format!("column `{column}` holds NaN or infinity, which sorts after every id to come"),
    )
    .advise("correct the row")
}

/// True if the text of a number sorts after every number.
pub fn is_beyond_numbers(text: &str) -> bool {
    ["NaN", "Infinity"].contains(&text)
}

const DAY: i64 = 86_400_000;
/// The earliest time that an id can tell: neither kind is older.
const BEGIN: i64 = 1_262_304_000_000;

/// The time that an id tells in its first 48 bits, in milliseconds since 1970, and whether it is certain that it does: a
/// UUID of version 7, or a ULID.
fn told_time(text: &str) -> Option<(i64, bool)> {
    if let Some((7, form)) = uuid_version(text) {
        let digits: String = text.trim_start_matches("\\x").trim_start_matches("0x").replace(['-', '{'], "");
        return Some((i64::from_str_radix(digits.get(..12)?, 16).ok()?, form == UuidForm::Canonical));
    }
    const DIGITS: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let digit = |character: char| DIGITS.find(character.to_ascii_uppercase());
    let is_ulid =
        text.len() == 26 && text.starts_with(|c| ('0'..='7').contains(&c)) && text.chars().all(|c| digit(c).is_some());
    let millis = text.chars().take(10).filter_map(digit).fold(0, |millis, digit| millis * 32 + digit as i64);
    is_ulid.then_some((millis, false))
}

/// True if the greatest id tells a time more than a day ahead: every id to come would sort before it. Where it may be
/// no time, the smallest has to be one of today or before.
pub fn is_far_ahead(lowest: &str, highest: &str, now: i64) -> bool {
    let is_time = |millis: i64| (BEGIN..=now + DAY).contains(&millis);
    match (told_time(lowest), told_time(highest)) {
        (lowest, Some((highest, is_certain))) => {
            highest > now + DAY && (is_certain || lowest.is_some_and(|(lowest, _)| is_time(lowest)))
        }
        _ => false,
    }
}

/// The error of an id that is far ahead: the rows after it would not be read.
pub fn far_ahead(column: &str) -> Error {
    let message =
        format!("column `{column}` holds an id of a time more than a day ahead, which sorts after the ids to come");
    Error::new(ErrorKind::Cursor, message).advise("correct the row, and the clock of the host that made its id")
}

/// The order of a column of ids, by its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// Ids with nothing against them.
    Unremarkable,
    /// UUIDs of this version, which sort by time.
    TimeOrdered(u8),
    /// UUIDs of this version, which do not; by the form, more of them have to confirm it.
    Unordered(u8, UuidForm),
}

/// The verdict on a column of ids that are no numbers, by its smallest and its greatest value. The greatest decides:
/// where random UUIDs were replaced by time-ordered ones, new rows still come last as long as a time-ordered one is the
/// greatest.
pub fn order_of(lowest: &str, highest: &str) -> Ids {
    match (uuid_version(lowest), uuid_version(highest)) {
        (Some(_), Some((version, form))) => match against_version(version) {
            Some(_) => Ids::Unordered(version, form),
            None if form == UuidForm::Canonical => Ids::TimeOrdered(version),
            None => Ids::Unremarkable,
        },
        _ => Ids::Unremarkable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "c232ab00-9414-11ec-b3c8-9f6bdeced846";
    const V4: &str = "919108f7-52d1-4320-9bac-f847db4148a8";
    const V6: &str = "1ec9414c-232a-6b00-b3c8-9f6bdeced846";
    const V7: &str = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";

    #[test]
    fn versions_are_read_from_every_form_of_a_uuid() {
        for (text, version) in [(V1, 1), (V4, 4), (V6, 6), (V7, 7)] {
            assert_eq!(uuid_version(text), Some((version, UuidForm::Canonical)));
            assert_eq!(uuid_version(&text.to_uppercase()), Some((version, UuidForm::Canonical)));
            assert_eq!(uuid_version(&format!("{{{text}}}")), Some((version, UuidForm::Canonical)));
            let bytes = text.replace('-', "");
            assert_eq!(uuid_version(&bytes), Some((version, UuidForm::Bytes)));
            assert_eq!(uuid_version(&format!("\\x{bytes}")), Some((version, UuidForm::Bytes)));
        }
    }

    #[test]
    fn other_ids_are_no_uuids() {
        let nil = "00000000-0000-0000-0000-000000000000";
        let others = ["", "42", "ORD-2024-0001", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "1srOrx2ZWZBpBUvZwXKQmoEYga2", nil];
        for text in others.iter().chain(&["ääääääääääääääääää", "919108f7-52d1-4320-cbac-f847db4148a8"])
        {
            assert_eq!(uuid_version(text), None, "{text}");
        }
    }

    #[test]
    fn an_id_that_tells_a_time_far_ahead_hides_the_ids_to_come() {
        // 2026-07-01.
        let now = 1_782_864_000_000;
        let (ulid, far) = ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "3FZZZZZZZZTSV4RRFFQ69G5FAV");
        let uuid = "7fffffff-ffff-7cc3-98c4-dc0c0c07398f";
        assert!(!is_far_ahead(V7, V7, now) && !is_far_ahead(V4, V4, now) && !is_far_ahead(ulid, ulid, now));
        assert!(is_far_ahead(V7, uuid, now) && is_far_ahead(uuid, uuid, now) && is_far_ahead(ulid, far, now));
        assert!(is_far_ahead(&V7.replace('-', ""), &uuid.replace('-', ""), now));
        assert!(!is_far_ahead(far, far, now), "it may be anything");
        let dated = ["20240229120000000000000001", "20260229120000000000000001"];
        assert!(!is_far_ahead(dated[0], dated[1], now), "a date is no ULID");
    }

    #[test]
    fn random_uuids_are_no_ids_that_grow_and_time_ordered_ones_are() {
        assert_eq!(order_of(V4, V4), Ids::Unordered(4, UuidForm::Canonical));
        assert_eq!(order_of(V1, V1), Ids::Unordered(1, UuidForm::Canonical));
        assert_eq!(order_of(V7, V7), Ids::TimeOrdered(7));
        assert_eq!(order_of(V4, V7), Ids::TimeOrdered(7), "the greatest decides");
        assert_eq!(order_of(V7, V4), Ids::Unordered(4, UuidForm::Canonical));
        assert_eq!(order_of("ORD-1", V4), Ids::Unremarkable);
    }
}
