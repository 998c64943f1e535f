//! SQLite's types: a declared type is any text, and rules tell which field type a column becomes
//! (`querying.md`, 10.3, the common case of each type, so that a schema does not depend on the first row), and how
//! it serves as a cursor. Columns are mapped by these rules and the reference page is written from them.

use super::super::decimal::numeric_type;
use super::super::instant::timestamp_type;
use super::super::kind::DocumentedType;
use crate::config::spec::{DecimalHandling, Mismatch, TypeSpec};
use crate::model::{CursorKind, FieldType, Projection};

/// The declared types of a rule, in upper case; the first rule that fits counts.
#[derive(Debug)]
enum Names {
    Are(&'static [&'static str]),
    Contain(&'static [&'static str]),
    Rest,
}

/// The field type of a rule; settings, precision and values decide about some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Maps {
    Boolean,
    /// An integer of so many bits, or of 64 once a value needs them.
    Integer(u8),
    /// A float, or a double once a value needs its digits.
    Real,
    Double,
    Numeric,
    Date,
    Timestamp,
    Bytes,
    Text,
    /// A value of any class, as text.
    Anything,
}

#[derive(Debug)]
struct Rule {
    names: Names,
    maps: Maps,
    /// Rows of the reference page.
    examples: &'static [&'static str],
    /// The difference from Kafka Connect's source.
    note: &'static str,
}

const fn rule(names: Names, maps: Maps, examples: &'static [&'static str], note: &'static str) -> Rule {
    Rule { names, maps, examples, note }
}

const WIDENS: &str = "a long from the first larger value on, which Connect cuts to 32 bits or less";
const REFINES: &str = "a double from the first value on of which a float would lose digits; Connect loses them";
const FIRST_ROW: &str = "in Connect it depends on the first row";
const DECIMALS: &str = "in Connect it depends on the first row, and decimals cannot be read";
const DATES: &str = "Connect reads text only with a time of three fraction digits, and fails unless it is midnight";
const DATETIMES: &str = "a Date in Connect, which fails on every time of day";
const BLOBS: &str = "Connect fails on every row";

static RULES: &[Rule] = &[
    rule(Names::Are(&["BOOLEAN"]), Maps::Boolean, &["BOOLEAN"], ""),
    rule(Names::Are(&["BOOL"]), Maps::Integer(64), &["BOOL"], ""),
    rule(Names::Are(&["TINYINT"]), Maps::Integer(16), &["TINYINT"], WIDENS),
    rule(Names::Are(&["SMALLINT", "INT2"]), Maps::Integer(32), &["SMALLINT", "INT2"], WIDENS),
    rule(Names::Are(&["INTEGER"]), Maps::Integer(32), &["INTEGER"], WIDENS),
    rule(Names::Are(&["REAL"]), Maps::Real, &["REAL"], REFINES),
    rule(
        Names::Are(&["DOUBLE", "DOUBLE PRECISION", "FLOAT"]),
        Maps::Double,
        &["DOUBLE", "DOUBLE PRECISION", "FLOAT"],
        "",
    ),
    rule(
        Names::Are(&["NUMERIC", "DECIMAL"]),
        Maps::Numeric,
        &["NUMERIC", "NUMERIC(10,0)", "DECIMAL(10,2)", "DECIMAL(38,10)"],
        DECIMALS,
    ),
    rule(Names::Are(&["DATE"]), Maps::Date, &["DATE"], DATES),
    rule(Names::Are(&["DATETIME"]), Maps::Timestamp, &["DATETIME"], DATETIMES),
    rule(Names::Are(&["TIMESTAMP"]), Maps::Timestamp, &["TIMESTAMP"], ""),
    rule(Names::Are(&["BINARY"]), Maps::Bytes, &["BINARY(16)"], ""),
    rule(Names::Contain(&["BLOB", "BINARY"]), Maps::Bytes, &["BLOB", "VARBINARY(16)"], BLOBS),
    rule(Names::Contain(&["INT"]), Maps::Integer(64), &["INT", "MEDIUMINT", "INT8", "BIGINT", "UNSIGNED BIG INT"], ""),
    rule(
        Names::Contain(&["CHAR", "CLOB", "TEXT"]),
        Maps::Text,
        &["CHARACTER(20)", "VARCHAR(255)", "NVARCHAR(100)", "TEXT", "CLOB"],
        "",
    ),
    rule(Names::Rest, Maps::Anything, &["TIME", "JSON", "UUID", ""], FIRST_ROW),
];

/// A declared type: the text before a parenthesis in upper case, and the numbers within.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Declared {
    name: String,
    numbers: Vec<i32>,
    maps: Maps,
}

impl Declared {
    pub(super) fn parse(text: &str) -> Self {
        let upper = text.trim().to_ascii_uppercase();
        let (name, rest) = upper.split_once('(').unwrap_or((&upper, ""));
        let numbers = rest.split([',', ')']).filter_map(|number| number.trim().parse().ok()).collect();
        let name = name.trim().to_owned();
        let fits = |rule: &&Rule| match rule.names {
            Names::Are(names) => names.contains(&name.as_str()),
            Names::Contain(parts) => parts.iter().any(|part| name.contains(part)),
            Names::Rest => true,
        };
        let maps = RULES.iter().find(fits).map_or(Maps::Anything, |rule| rule.maps);
        Self { name, numbers, maps }
    }

    /// A type of date and time.
    pub(super) fn is_time(&self) -> bool {
        matches!(self.maps, Maps::Date | Maps::Timestamp)
    }

    /// The affinity rule of SQLite for integers.
    pub(super) fn is_integer(&self) -> bool {
        self.name.contains("INT")
    }

    pub(super) fn is_text(&self) -> bool {
        ["CHAR", "CLOB", "TEXT"].iter().any(|part| self.name.contains(part))
    }

    /// Field type and projection. `wide`: a value needed more than the type's usual field.
    pub(super) fn field(&self, types: &TypeSpec, wide: bool) -> (FieldType, Projection) {
        let text = (FieldType::String, Projection::Text);
        if types.mismatch == Mismatch::Text {
            return text;
        }
        let plain = |field_type| (field_type, Projection::Column);
        match self.maps {
            Maps::Boolean => plain(FieldType::Boolean),
            Maps::Integer(16) if !wide => plain(FieldType::Int16),
            Maps::Integer(32) if !wide => plain(FieldType::Int32),
            Maps::Integer(_) => plain(FieldType::Int64),
            Maps::Real if !wide => plain(FieldType::Float32),
            Maps::Real | Maps::Double => plain(FieldType::Float64),
            Maps::Numeric => match self.numeric(types) {
                FieldType::String => text,
                number => plain(number),
            },
            Maps::Date => plain(FieldType::Date),
            Maps::Timestamp => plain(timestamp_type(types.granularity)),
            Maps::Bytes => plain(FieldType::Bytes),
            Maps::Text => plain(FieldType::String),
            Maps::Anything => text,
        }
    }

    fn numeric(&self, types: &TypeSpec) -> FieldType {
        match (self.numbers.as_slice(), types.decimal) {
            ([precision, scale, ..], _) if *scale >= 0 => numeric_type(*precision, *scale, types),
            ([precision], _) => numeric_type(*precision, 0, types),
            (_, DecimalHandling::Text) => FieldType::String,
            _ => FieldType::Float64,
        }
    }

    /// The kind of cursor of a column that is not one of time. None where a value's text would lose digits (floats), or
    /// values of several classes mix.
    pub(super) fn cursor(&self) -> Option<CursorKind> {
        match self.maps {
            Maps::Integer(_) => Some(CursorKind::Integer),
            Maps::Numeric => match self.numbers.as_slice() {
                [_] | [_, 0, ..] => Some(CursorKind::Integer),
                _ => None,
            },
            Maps::Text => Some(CursorKind::Text),
            _ => None,
        }
    }
}

/// The rows of the reference page.
pub(super) fn documented(types: &TypeSpec) -> Vec<DocumentedType> {
    let mut documented = Vec::new();
    for rule in RULES {
        for declared in rule.examples {
            let name = if declared.is_empty() { "no type, or an expression" } else { *declared };
            let field = Some(Declared::parse(declared).field(types, false).0);
            documented.push(DocumentedType { name: name.to_owned(), field, optional: false, note: rule.note });
        }
    }
    documented
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(declared: &str) -> FieldType {
        let types = TypeSpec::default();
        Declared::parse(declared).field(&types, false).0
    }

    #[test]
    fn declared_types_answer_as_the_reference_does_in_the_common_case() {
        for (declared, expected) in [
            ("INTEGER", FieldType::Int32),
            ("int", FieldType::Int64),
            ("UNSIGNED BIG INT", FieldType::Int64),
            ("tinyint(1)", FieldType::Int16),
            ("varchar(20)", FieldType::String),
            ("REAL", FieldType::Float32),
            ("DOUBLE PRECISION", FieldType::Float64),
            ("DECIMAL(10, 2)", FieldType::Decimal { precision: Some(10), scale: 2 }),
            ("NUMERIC", FieldType::Float64),
            ("BLOB", FieldType::Bytes),
            ("DATETIME", FieldType::Timestamp),
            ("DATE", FieldType::Date),
            ("", FieldType::String),
        ] {
            assert_eq!(field(declared), expected, "{declared}");
        }
    }

    #[test]
    fn settings_and_values_change_the_field_and_not_the_cursor() {
        let declared = |text| Declared::parse(text);
        let types = |decimal, mismatch| TypeSpec { decimal, mismatch, ..TypeSpec::default() };
        let wide = |text| declared(text).field(&TypeSpec::default(), true).0;
        assert_eq!(
            (wide("TINYINT"), wide("REAL"), wide("TEXT")),
            (FieldType::Int64, FieldType::Float64, FieldType::String)
        );
        let text = types(DecimalHandling::Text, Mismatch::Fail);
        for numeric in ["NUMERIC", "DECIMAL(10,2)"] {
            assert_eq!(declared(numeric).field(&text, false), (FieldType::String, Projection::Text));
        }
        assert_eq!(declared("DOUBLE").field(&text, false).0, FieldType::Float64);
        let any = types(DecimalHandling::AvroDecimal, Mismatch::Text);
        assert_eq!(declared("INTEGER").field(&any, false), (FieldType::String, Projection::Text));
        assert_eq!(declared("INTEGER").cursor(), Some(CursorKind::Integer));
        assert_eq!(declared("NUMERIC(10)").cursor(), Some(CursorKind::Integer));
        assert_eq!(declared("NUMERIC(10,2)").cursor(), None);
    }
}
