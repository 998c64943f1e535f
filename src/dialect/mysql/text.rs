//! Values as text: of a key, as messages name a row by it; and of a row that cannot be delivered, as the server would
//! write it where the binary form is read here, also a date that is none, else the bytes. Never fails.

use super::super::problem::hex;
use super::binary::{Parts, bits, fixed, integer, utf8, wall};
use super::types::ColumnType;
use super::wire::{Kind, Wire};
use crate::model::Instant;

/// A value of a key as messages show it; none for bytes.
pub(super) fn shown(column: &ColumnType, bytes: &[u8]) -> Option<String> {
    let signed = !column.unsigned && column.kind != Kind::Year;
    match column.wire() {
        Wire::Bytes if column.kind == Kind::Bytes => None,
        Wire::Bytes => utf8(bytes).ok().map(str::to_owned),
        Wire::LongLong if column.unsigned => fixed(bytes).ok().map(|bytes| u64::from_le_bytes(bytes).to_string()),
        wire @ (Wire::Tiny | Wire::Short | Wire::Long | Wire::LongLong) => {
            integer(wire, signed, bytes).ok().map(|value| value.to_string())
        }
        Wire::DateTime => wall(bytes).ok().flatten().map(|micros| Instant::from_micros(micros).to_rfc3339()),
        Wire::Float | Wire::Double | Wire::Time => None,
    }
}

/// The text of a value that is not null.
pub(super) fn raw(column: &ColumnType, bytes: &[u8]) -> String {
    let text = match (column.kind, column.wire()) {
        (Kind::Bit, _) => bits(bytes).ok().map(|number| number.to_string()),
        (Kind::Geometry | Kind::Vector, _) => None,
        (kind, Wire::DateTime) => date(kind, bytes),
        (_, Wire::Time) => time(bytes),
        (_, Wire::Float) => fixed(bytes).ok().map(|bytes| f32::from_le_bytes(bytes).to_string()),
        (_, Wire::Double) => fixed(bytes).ok().map(|bytes| f64::from_le_bytes(bytes).to_string()),
        _ => shown(column, bytes),
    };
    text.unwrap_or_else(|| hex(bytes))
}

fn date(kind: Kind, bytes: &[u8]) -> Option<String> {
    let parts = Parts::read(bytes).ok()?;
    let (year, month, day) = parts.date;
    let date = format!("{year:04}-{month:02}-{day:02}");
    Some(if kind == Kind::Date { date } else { format!("{date} {}", clock(parts.time)) })
}

/// Length, sign, days (four bytes), hours, minutes, seconds, microseconds (four bytes, or none).
fn time(bytes: &[u8]) -> Option<String> {
    let (length, body) = bytes.split_first()?;
    let byte = |index: usize| body.get(index).map_or(0, |byte| i64::from(*byte));
    let number = |at: usize| byte(at) | byte(at + 1) << 8 | byte(at + 2) << 16 | byte(at + 3) << 24;
    let seconds = (number(1) * 24 + byte(5)) * 3_600 + byte(6) * 60 + byte(7);
    let sign = if byte(0) == 0 { "" } else { "-" };
    (usize::from(*length) == body.len()).then(|| format!("{sign}{}", clock(seconds * 1_000_000 + number(8))))
}

fn clock(micros: i64) -> String {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if fraction == 0 { clock } else { format!("{clock}.{fraction:06}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_has_a_text() {
        for (column, bytes, text) in [
            ("date", &[0][..], "0000-00-00"),
            ("date", &[4, 0xe8, 0x07, 2, 31], "2024-02-31"),
            ("datetime(6)", &[0], "0000-00-00 00:00:00"),
            ("datetime(6)", &[11, 0xe8, 0x07, 2, 29, 12, 0, 0, 0x40, 0xe2, 0x01, 0], "2024-02-29 12:00:00.123456"),
            ("time", &[8, 1, 1, 0, 0, 0, 1, 2, 3], "-25:02:03"),
            ("time", &[0], "00:00:00"),
            ("bigint unsigned", &[0xff; 8], "18446744073709551615"),
            ("bit(9)", &[1, 1], "257"),
            ("double", &[0, 0, 0, 0, 0, 0, 0xf8, 0x3f], "1.5"),
            ("decimal(9,2)", b"12.50", "12.50"),
            ("varchar(9)", &[0xff], "0xff"),
            ("blob", b"ab", "0x6162"),
            ("int", &[1], "0x01"),
        ] {
            assert_eq!(raw(&ColumnType::of_catalog(column), bytes), text, "{column}");
        }
    }
}
