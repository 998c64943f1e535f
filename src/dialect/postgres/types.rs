//! PostgreSQL's types: which field type a column becomes (`querying.md`, 10.1), how it can serve as a
//! cursor, and which form its values have on the wire.

use sqlx::postgres::{PgTypeInfo, PgTypeKind};

use super::super::decimal::{numeric_type, unconstrained_type};
use super::super::instant::timestamp_type;
use crate::config::spec::TypeSpec;
use crate::model::{ColumnDefinition, CursorKind, FieldType, Projection};

/// The binary form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    /// UTF-8: text, varchar, char(n), name, json, xml, enum labels.
    Text,
    Char,
    Bytea,
    Bit,
    Date,
    Time,
    Timetz,
    Timestamp,
    Timestamptz,
    Uuid,
    Jsonb,
    /// A form that is never decoded.
    Other,
}

/// The built-in types with a form that is decoded: oid, name as `format_type` has it without modifier.
const BUILT_IN: &[(u32, &str, Wire)] = &[
    (16, "boolean", Wire::Bool),
    (17, "bytea", Wire::Bytea),
    (18, "\"char\"", Wire::Char),
    (19, "name", Wire::Text),
    (20, "bigint", Wire::Int8),
    (21, "smallint", Wire::Int2),
    (23, "integer", Wire::Int4),
    (25, "text", Wire::Text),
    (26, "oid", Wire::Oid),
    (114, "json", Wire::Text),
    (142, "xml", Wire::Text),
    (700, "real", Wire::Float4),
    (701, "double precision", Wire::Float8),
    (705, "unknown", Wire::Text),
    (1042, "character", Wire::Text),
    (1042, "bpchar", Wire::Text),
    (1043, "character varying", Wire::Text),
    (1082, "date", Wire::Date),
    (1083, "time without time zone", Wire::Time),
    (1114, "timestamp without time zone", Wire::Timestamp),
    (1184, "timestamp with time zone", Wire::Timestamptz),
    (1266, "time with time zone", Wire::Timetz),
    (1560, "bit", Wire::Bit),
    (1700, "numeric", Wire::Numeric),
    (2950, "uuid", Wire::Uuid),
    (3802, "jsonb", Wire::Jsonb),
];

impl Wire {
    fn of_oid(oid: u32) -> Option<Self> {
        BUILT_IN.iter().find(|(known, ..)| *known == oid).map(|(.., wire)| *wire)
    }

    /// Of a result column.
    pub(super) fn of_result(info: &PgTypeInfo) -> Self {
        match info.oid().and_then(|oid| Self::of_oid(oid.0)) {
            Some(wire) => wire,
            None if matches!(info.kind(), PgTypeKind::Enum(_)) => Wire::Text,
            None => Wire::Other,
        }
    }

    /// What a column of this definition must arrive as.
    pub(super) fn expected(column: &ColumnDefinition) -> Self {
        match column.projection {
            Projection::Text => return Wire::Text,
            Projection::Double => return Wire::Float8,
            Projection::Bytes => return Wire::Bytea,
            Projection::Column => {}
        }
        let name = without_modifier(&column.database_type);
        // A plain column of another type than these is an enum.
        BUILT_IN.iter().find(|(_, known, _)| *known == name).map_or(Wire::Text, |(.., wire)| *wire)
    }
}

/// `timestamp(3) with time zone` -> `timestamp with time zone`.
fn without_modifier(name: &str) -> String {
    match (name.find('('), name.find(')')) {
        (Some(open), Some(close)) if open < close => format!("{}{}", &name[..open], &name[close + 1..]),
        _ => name.to_owned(),
    }
}

/// A type as the catalog has it, domains resolved to their base.
#[derive(Debug, Clone)]
pub(super) struct CatalogType {
    pub(super) oid: u32,
    /// `pg_type.typname`.
    pub(super) name: String,
    /// `pg_type.typtype = 'e'`.
    pub(super) is_enum: bool,
    /// `atttypmod`, -1 for none.
    pub(super) modifier: i32,
}

/// What becomes of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mapping {
    Field(FieldType, Projection),
    /// Kafka Connect's source has no mapping for the type.
    Unsupported,
}

/// Precision and scale of a numeric; none if it is unconstrained. The scale has 11 bits and a sign.
fn precision_and_scale(modifier: i32) -> Option<(i32, i32)> {
    let packed = modifier.checked_sub(4).filter(|packed| *packed >= 0)?;
    Some(((packed >> 16) & 0xffff, ((packed & 0x7ff) ^ 1_024) - 1_024))
}

impl CatalogType {
    pub(super) fn mapping(&self, types: &TypeSpec) -> Mapping {
        let plain = |field_type| Mapping::Field(field_type, Projection::Column);
        if self.is_enum {
            return plain(FieldType::String);
        }
        match self.oid {
            16 => plain(FieldType::Boolean),
            17 => plain(FieldType::Bytes),
            21 => plain(FieldType::Int16),
            23 => plain(FieldType::Int32),
            20 | 26 => plain(FieldType::Int64),
            700 => plain(FieldType::Float32),
            701 => plain(FieldType::Float64),
            790 => Mapping::Field(FieldType::Float64, Projection::Double),
            18 | 19 | 25 | 114 | 142 | 705 | 1042 | 1043 | 2950 | 3802 => plain(FieldType::String),
            1082 => plain(FieldType::Date),
            1083 | 1266 => plain(FieldType::Time),
            1114 | 1184 => plain(timestamp_type(types.granularity)),
            1560 if self.modifier == 1 => plain(FieldType::Boolean),
            // The reference fails on bit(n): the digits as text.
            1560 => Mapping::Field(FieldType::String, Projection::Text),
            1700 => plain(self.numeric(types)),
            _ => Mapping::Unsupported,
        }
    }

    fn numeric(&self, types: &TypeSpec) -> FieldType {
        match precision_and_scale(self.modifier) {
            None => unconstrained_type(types),
            // The reference misreads a negative scale as 2046; the values are integers.
            Some((precision, scale)) if scale < 0 => numeric_type(precision - scale, 0, types),
            Some((precision, scale)) => numeric_type(precision, scale, types),
        }
    }

    pub(super) fn cursor(&self) -> Option<CursorKind> {
        if self.is_enum {
            return Some(CursorKind::Text);
        }
        let digits = u8::try_from(self.modifier).ok().filter(|digits| *digits <= 6).unwrap_or(6);
        match self.oid {
            20 | 21 | 23 | 26 => Some(CursorKind::Integer),
            1700 => match precision_and_scale(self.modifier) {
                Some((precision, scale)) if scale <= 0 && precision - scale <= 18 => Some(CursorKind::Integer),
                _ => Some(CursorKind::Text),
            },
            1082 => Some(CursorKind::Date),
            1114 => Some(CursorKind::Timestamp { zoned: false, digits }),
            1184 => Some(CursorKind::Timestamp { zoned: true, digits }),
            // bool, bytea, "char", name, text, floats, macaddr, inet, cidr, char, varchar, time, interval,
            // timetz, bit, varbit, uuid, pg_lsn, jsonb
            16 | 17 | 18 | 19 | 25 | 700 | 701 | 829 | 774 | 869 | 650 | 1042 | 1043 | 1083 | 1186 | 1266 | 1560
            | 1562 | 2950 | 3220 | 3802 => Some(CursorKind::Text),
            _ => (self.name == "citext").then_some(CursorKind::Text),
        }
    }
}

/// Types whose mapping hangs on a modifier, or that have none: name, oid, modifier.
const EXAMPLES: &[(&str, u32, i32)] = &[
    ("numeric(5,0)", 1700, (5 << 16) + 4),
    ("numeric(10,2)", 1700, ((10 << 16) + 2) + 4),
    ("numeric(38,10)", 1700, ((38 << 16) + 10) + 4),
    ("bit(8)", 1560, 8),
    ("money", 790, -1),
    ("bit varying", 1562, -1),
    ("interval", 1186, -1),
    ("inet", 869, -1),
    ("cidr", 650, -1),
    ("macaddr", 829, -1),
    ("point", 600, -1),
    ("int4range", 3904, -1),
    ("tsvector", 3614, -1),
    ("pg_lsn", 3220, -1),
    ("integer[]", 1007, -1),
    ("text[]", 1009, -1),
];

/// The rows of the reference page.
pub(super) fn documented(types: &TypeSpec) -> Vec<(String, Option<FieldType>)> {
    let mut rows = Vec::new();
    let mut row = |name: &str, oid, modifier, is_enum| {
        let mapping = CatalogType { oid, name: name.to_owned(), is_enum, modifier }.mapping(types);
        let field_type = match mapping {
            Mapping::Field(field_type, _) => Some(field_type),
            Mapping::Unsupported => None,
        };
        rows.push((name.to_owned(), field_type));
    };
    for (oid, name, _) in BUILT_IN.iter().filter(|(_, name, _)| !["bpchar", "unknown"].contains(name)) {
        let modifier = if *name == "bit" { 1 } else { -1 };
        row(name, *oid, modifier, false);
    }
    row("an enum", 0, -1, true);
    for (name, oid, modifier) in EXAMPLES {
        row(name, *oid, *modifier, false);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(oid: u32, modifier: i32) -> Mapping {
        let types = TypeSpec::default();
        CatalogType { oid, name: String::new(), is_enum: false, modifier }.mapping(&types)
    }

    #[test]
    fn modifiers_of_numeric_are_read_with_their_sign() {
        assert_eq!(precision_and_scale(-1), None);
        assert_eq!(precision_and_scale((10 << 16) + 2 + 4), Some((10, 2)));
        assert_eq!(precision_and_scale((5 << 16) + (-2 & 0x7ff) + 4), Some((5, -2)));
        let scaled = FieldType::Decimal { precision: Some(7), scale: 0 };
        assert_eq!(mapping(1700, (5 << 16) + (-2 & 0x7ff) + 4), Mapping::Field(scaled, Projection::Column));
    }

    #[test]
    fn types_the_reference_has_no_mapping_for_are_unsupported() {
        for oid in [1007, 1186, 869, 3904, 600, 3614, 1562] {
            assert_eq!(mapping(oid, -1), Mapping::Unsupported);
        }
        assert_eq!(mapping(1560, 1), Mapping::Field(FieldType::Boolean, Projection::Column));
        assert_eq!(mapping(1560, 8), Mapping::Field(FieldType::String, Projection::Text));
    }

    #[test]
    fn a_formatted_type_names_its_form_on_the_wire() {
        assert_eq!(without_modifier("timestamp(3) without time zone"), "timestamp without time zone");
        assert_eq!(without_modifier("numeric(10,2)"), "numeric");
        assert_eq!(without_modifier("\"char\""), "\"char\"");
    }
}
