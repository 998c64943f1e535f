//! A column of a canal-json message: its types in the words of Java and MySQL, and the text of its values.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Datelike, NaiveDate};
use num_bigint::{BigInt, BigUint};

use super::super::problem::{Problem, range_of};
use super::super::text::{Utf8, push_date, push_integer};
use crate::error::Result;
use crate::model::{Field, FieldType, Relation, TableDefinition, Value};

/// The SQL types of Java (`java.sql.Types`).
const BIT: i64 = -7;
const TINYINT: i64 = -6;
const BIGINT: i64 = -5;
const CHAR: i64 = 1;
const DECIMAL: i64 = 3;
const INTEGER: i64 = 4;
const SMALLINT: i64 = 5;
const REAL: i64 = 7;
const DOUBLE: i64 = 8;
const VARCHAR: i64 = 12;
const DATE: i64 = 91;
const TIME: i64 = 92;
const TIMESTAMP: i64 = 93;
const BLOB: i64 = 2004;
const CLOB: i64 = 2005;

/// `binary.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    /// The bytes as characters.
    Latin1,
    Base64,
}

/// The form of a value.
#[derive(Debug, Clone, PartialEq)]
enum Form {
    /// By its field type.
    Plain,
    /// A flag of a database that has booleans: `true`, not `1`.
    Word,
    /// The place of a word among these, from 1.
    Enum(Vec<String>),
    /// The sum of the powers of two of the words.
    Set(Vec<String>),
    /// Bytes as a number.
    Bits,
    /// The year of a date.
    Year,
    /// A time with so many digits behind the second.
    Fraction(usize),
}

/// A column, bound to its place in the rows.
#[derive(Debug)]
pub(super) struct Column {
    name: String,
    /// The name in quotes, and a colon.
    pub(super) label: Box<[u8]>,
    /// `mysqlType` without lengths.
    pub(super) short_type: String,
    /// `mysqlType` as the catalog has it.
    pub(super) full_type: String,
    index: usize,
    is_optional: bool,
    field_type: FieldType,
    form: Form,
    sql_type: i64,
    /// The next type of an unsigned integer, and the greatest value of its own.
    promoted: Option<(i64, i64)>,
    binary: Binary,
}

impl Column {
    /// The column of a field, whose value is at `index` of the rows.
    pub(super) fn new(table: &TableDefinition, field: &Field, index: usize, binary: Binary) -> Self {
        // A transform's values stand behind the columns.
        let native = table.columns.get(index).map(|column| column.database_type.to_lowercase());
        let is_mysql = matches!(&table.relation, Relation::Table(id) if id.catalog.is_some() && id.schema.is_none());
        let is_same_type = table.columns.get(index).is_some_and(|column| column.field.field_type == field.field_type);
        let native = native.filter(|_| is_mysql && is_same_type);
        let (by_field, sql_type) = of_field(&field.field_type);
        let mut column = Self {
            name: field.name.clone(),
            label: Box::default(),
            short_type: by_field.to_owned(),
            full_type: by_field.to_owned(),
            index,
            is_optional: field.optional,
            field_type: field.field_type.clone(),
            form: if field.field_type == FieldType::Boolean { Form::Word } else { Form::Plain },
            sql_type,
            promoted: None,
            binary,
        };
        let mut label = Vec::new();
        push_quoted(&mut label, &field.name);
        label.push(b':');
        column.label = label.into();
        if let Some(native) = native {
            // The words of an enumeration keep their case.
            column.be_mysql(&native, &table.columns[index].database_type);
        }
        column
    }

    /// Takes the types of MySQL.
    fn be_mysql(&mut self, native: &str, full: &str) {
        let base = native.split(['(', ' ']).next().unwrap_or_default();
        let is_unsigned = native.split(' ').any(|word| word == "unsigned");
        self.full_type = full.to_owned();
        self.short_type = if is_unsigned { format!("{base} unsigned") } else { base.to_owned() };
        self.form = Form::Plain;
        let (sql_type, promoted) = match base {
            "tinyint" => (TINYINT, Some((SMALLINT, i8::MAX.into()))),
            "smallint" => (SMALLINT, Some((INTEGER, i16::MAX.into()))),
            "mediumint" => (INTEGER, None),
            "int" | "integer" => (INTEGER, Some((BIGINT, i32::MAX.into()))),
            "bigint" => (BIGINT, Some((DECIMAL, i64::MAX))),
            "float" => (REAL, None),
            "double" => (DOUBLE, None),
            "decimal" => (DECIMAL, None),
            "char" => (CHAR, None),
            "varchar" | "json" | "year" => (VARCHAR, None),
            "date" => (DATE, None),
            "time" => (TIME, None),
            "datetime" | "timestamp" => (TIMESTAMP, None),
            "enum" => (INTEGER, None),
            "set" | "bit" => (BIT, None),
            _ if base.ends_with("text") => (CLOB, None),
            _ if base.ends_with("blob") || base.ends_with("binary") => (BLOB, None),
            _ => (self.sql_type, None),
        };
        (self.sql_type, self.promoted) = (sql_type, promoted.filter(|_| is_unsigned));
        let digits = || native.split(['(', ')']).nth(1).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        match base {
            "enum" => self.form = Form::Enum(words(full)),
            "set" => self.form = Form::Set(words(full)),
            "bit" => self.form = Form::Bits,
            "year" => self.form = Form::Year,
            "time" | "datetime" | "timestamp" => self.form = Form::Fraction(digits()),
            _ => {}
        }
    }

    /// The SQL type of a row's value: that of an unsigned integer depends on it.
    pub(super) fn sql_type(&self, row: &[Value<'_>]) -> i64 {
        match (self.promoted, row.get(self.index)) {
            (Some((next, greatest)), Some(Value::Integer(integer))) if *integer > greatest => next,
            // Beyond 63 bits.
            (Some((next, _)), Some(Value::Decimal(bytes))) if BigInt::from_signed_bytes_be(bytes) > i64::MAX.into() => {
                next
            }
            _ => self.sql_type,
        }
    }

    /// Appends a row's value as a text in quotes, or null.
    pub(super) fn append(&self, row: &[Value<'_>], out: &mut Vec<u8>) -> Result<()> {
        let value = match row.get(self.index) {
            None => Err(Problem::Missing),
            Some(Value::Null) if self.is_optional => {
                out.extend_from_slice(b"null");
                return Ok(());
            }
            Some(Value::Null) => Err(Problem::Null),
            Some(value) => Ok(value),
        };
        let outcome = value.and_then(|value| match (&self.form, value) {
            (Form::Plain, Value::Text(text)) if self.field_type == FieldType::String => {
                push_quoted(out, text);
                Ok(())
            }
            (Form::Plain, Value::Bytes(bytes)) if self.field_type == FieldType::Bytes => {
                push_binary(out, bytes, self.binary);
                Ok(())
            }
            _ => {
                out.push(b'"');
                let pushed = self.push_value(value, out);
                out.push(b'"');
                pushed
            }
        });
        outcome.map_err(|problem| problem.error(Some(&self.name)))
    }

    fn push_value(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
        match (&self.form, value) {
            (Form::Word, Value::Boolean(flag)) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
            (_, Value::Boolean(flag)) => out.push(if *flag { b'1' } else { b'0' }),
            (Form::Enum(words), Value::Text(text)) => {
                // The empty text is MySQL's word for one that is none.
                push_integer(out, words.iter().position(|word| word == text).map_or(0, |at| at as i64 + 1));
            }
            (Form::Set(words), Value::Text(text)) => {
                let members = text.split(',').filter_map(|member| words.iter().position(|word| word == member));
                let sum = members.fold(0_u64, |sum, at| sum | 1_u64.checked_shl(at as u32).unwrap_or(0));
                let _ = write!(Utf8(out), "{sum}");
            }
            (Form::Bits, Value::Bytes(bytes)) => drop(write!(Utf8(out), "{}", BigUint::from_bytes_be(bytes))),
            (Form::Year, Value::Integer(days)) if self.field_type == FieldType::Date => {
                let date = i32::try_from(*days).ok().and_then(|days| days.checked_add(719_163));
                let date = date.and_then(NaiveDate::from_num_days_from_ce_opt).ok_or(Problem::Range)?;
                let _ = write!(Utf8(out), "{:04}", date.year());
            }
            (_, Value::Float32(value)) => push_float(out, f64::from(*value), &value.to_string()),
            (_, Value::Float64(value)) => push_float(out, *value, &value.to_string()),
            (_, Value::Decimal(unscaled)) => match self.field_type {
                FieldType::Decimal { scale, .. } => push_plain(out, unscaled, scale),
                _ => return Err(Problem::Type),
            },
            (_, Value::Integer(integer)) => self.push_integer(*integer, out)?,
            (_, Value::Text(_) | Value::Bytes(_) | Value::Null) => return Err(Problem::Type),
        }
        Ok(())
    }

    fn push_integer(&self, integer: i64, out: &mut Vec<u8>) -> Result<(), Problem> {
        let (min, max) = range_of(&self.field_type);
        if !(min..=max).contains(&integer) {
            return Err(Problem::Range);
        }
        let digits = match self.form {
            Form::Fraction(digits) => Some(digits),
            _ => None,
        };
        match self.field_type {
            FieldType::Date => push_date(out, integer).ok_or(Problem::Range)?,
            FieldType::Time => push_clock(out, integer, digits),
            FieldType::Timestamp => {
                let time = DateTime::from_timestamp_millis(integer).ok_or(Problem::Range)?;
                push_date(out, integer.div_euclid(86_400_000)).ok_or(Problem::Range)?;
                out.push(b' ');
                push_clock(
                    out,
                    i64::from(time.timestamp_subsec_millis()) + integer.div_euclid(1_000).rem_euclid(86_400) * 1_000,
                    digits,
                );
            }
            _ => push_integer(out, integer),
        }
        Ok(())
    }
}

/// MySQL's nearest name for a field type, and its SQL type.
fn of_field(field_type: &FieldType) -> (&'static str, i64) {
    match field_type {
        FieldType::Boolean | FieldType::Int8 => ("tinyint", TINYINT),
        FieldType::Int16 => ("smallint", SMALLINT),
        FieldType::Int32 => ("int", INTEGER),
        FieldType::Int64 => ("bigint", BIGINT),
        FieldType::Float32 => ("float", REAL),
        FieldType::Float64 => ("double", DOUBLE),
        FieldType::String => ("varchar", VARCHAR),
        FieldType::Bytes => ("blob", BLOB),
        FieldType::Date => ("date", DATE),
        FieldType::Time => ("time", TIME),
        FieldType::Timestamp => ("datetime", TIMESTAMP),
        FieldType::Decimal { .. } => ("decimal", DECIMAL),
    }
}

/// The words between the parentheses of an enumeration or a set; a quote in a word stands twice.
fn words(full: &str) -> Vec<String> {
    let (mut words, mut word, mut characters) = (Vec::new(), None::<String>, full.chars().peekable());
    while let Some(character) = characters.next() {
        match (&mut word, character) {
            (None, '\'') => word = Some(String::new()),
            (None, _) => {}
            (Some(text), '\'') if characters.peek() == Some(&'\'') => {
                characters.next();
                text.push('\'');
            }
            (Some(_), '\'') => words.extend(word.take()),
            (Some(text), other) => text.push(other),
        }
    }
    words
}

/// Appends milliseconds of a day, with so many digits behind the second; none: as many as there are, up to three.
fn push_clock(out: &mut Vec<u8>, millis: i64, digits: Option<usize>) {
    let (seconds, fraction) = (millis / 1_000, millis % 1_000);
    // Writing to a vector cannot fail.
    let _ = write!(Utf8(out), "{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let text = format!("{fraction:03}000");
    match digits {
        None if fraction == 0 => {}
        None => drop(write!(Utf8(out), ".{}", &text[..3])),
        Some(0) => {}
        Some(digits) => drop(write!(Utf8(out), ".{}", &text[..digits.min(6)])),
    }
}

/// Appends a number without an exponent.
fn push_float(out: &mut Vec<u8>, value: f64, text: &str) {
    let text = match (value.is_finite(), value > 0.0) {
        (true, _) => text,
        (false, _) if value.is_nan() => "NaN",
        (false, true) => "Infinity",
        (false, false) => "-Infinity",
    };
    out.extend_from_slice(text.as_bytes());
}

/// Appends an exact number in digits, without an exponent (`BigDecimal.toPlainString`).
fn push_plain(out: &mut Vec<u8>, unscaled: &[u8], scale: i32) {
    let text = BigInt::from_signed_bytes_be(unscaled).to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    out.extend_from_slice(sign.as_bytes());
    let behind = usize::try_from(scale).unwrap_or(0);
    let padded = format!("{digits:0>width$}", width = behind + 1);
    let (whole, fraction) = padded.split_at(padded.len() - behind);
    out.extend_from_slice(whole.as_bytes());
    if digits != "0" {
        out.extend(std::iter::repeat_n(b'0', usize::try_from(-i64::from(scale)).unwrap_or(0)));
    }
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    }
}

fn push_binary(out: &mut Vec<u8>, bytes: &[u8], binary: Binary) {
    match binary {
        Binary::Latin1 => push_quoted(out, &bytes.iter().copied().map(char::from).collect::<String>()),
        Binary::Base64 => {
            out.push(b'"');
            out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
            out.push(b'"');
        }
    }
}

/// Appends a text in quotes as TiCDC's writer does: with `<`, `>`, `&`, U+2028 and U+2029 escaped.
pub(super) fn push_quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for character in text.chars() {
        let mut sink = Utf8(out);
        // Writing to a vector cannot fail.
        let _ = match character {
            '"' => sink.write_str("\\\""),
            '\\' => sink.write_str("\\\\"),
            '\n' => sink.write_str("\\n"),
            '\r' => sink.write_str("\\r"),
            '\t' => sink.write_str("\\t"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                write!(sink, "\\u{:04x}", u32::from(character))
            }
            other => sink.write_char(other),
        };
    }
    out.push(b'"');
}
