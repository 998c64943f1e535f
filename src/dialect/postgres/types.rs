//! Mapping of columns (`querying.md`, 10.1): the field of a column, the cursor it can serve as, and the form of its
//! values on the wire: the table of types, applied to a column and its settings.

use sqlx::postgres::{PgTypeInfo, PgTypeKind};

use super::super::decimal::{numeric_type, unconstrained_type};
use super::super::instant::timestamp_type;
use super::super::kind::DocumentedType;
use super::type_table::{Maps, Of, Serves, TYPES, TypeRow};
use super::wire::{CatalogKind, Wire};
use crate::config::spec::{DecimalHandling, TimeHandling, TypeSpec, ZeroDate};
use crate::model::{ColumnDefinition, CursorKind, FieldType, Projection};

impl Wire {
    /// The wire form of a result column.
    pub(super) fn of_result(info: &PgTypeInfo) -> Self {
        match info.oid().and_then(|oid| TYPES.iter().find(|row| row.of == Of::Oid(oid.0))) {
            Some(row) => row.wire,
            None if matches!(info.kind(), PgTypeKind::Enum(_)) => Wire::Text,
            None => Wire::Other,
        }
    }

    /// The wire form in which a column of this definition must arrive.
    pub(super) fn expected(column: &ColumnDefinition) -> Self {
        match column.projection {
            Projection::Text => return Wire::Text,
            Projection::Double => return Wire::Float8,
            Projection::Bytes => return Wire::Bytea,
            Projection::Numeric => return Wire::Numeric,
            Projection::CommitTime => return Wire::Int8,
            Projection::Column => {}
        }
        let name = without_modifier(&column.database_type);
        let built_in = TYPES.iter().find(|row| matches!(row.of, Of::Oid(_)) && row.name == name);
        built_in.map_or(Wire::Other, |row| row.wire)
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
    pub(super) kind: CatalogKind,
    /// `atttypmod`, -1 for none.
    pub(super) modifier: i32,
}

/// The result of mapping a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mapping {
    Field {
        field_type: FieldType,
        projection: Projection,
        /// True if the field is optional whatever the column is.
        optional: bool,
    },
    /// Kafka Connect's source has no mapping for the type.
    Unsupported,
}

impl Mapping {
    /// The column as it is.
    fn plain(field_type: FieldType) -> Self {
        Mapping::Field { field_type, projection: Projection::Column, optional: false }
    }

    /// The column as the database's text.
    pub(super) fn text() -> Self {
        Mapping::Field { field_type: FieldType::String, projection: Projection::Text, optional: false }
    }
}

/// Precision and scale of a numeric; none if it is unconstrained. The scale has 11 bits and a sign.
fn precision_and_scale(modifier: i32) -> Option<(i32, i32)> {
    let packed = modifier.checked_sub(4).filter(|packed| *packed >= 0)?;
    Some(((packed >> 16) & 0xffff, ((packed & 0x7ff) ^ 1_024) - 1_024))
}

impl CatalogType {
    /// The first row that fits.
    fn row(&self) -> Option<&'static TypeRow> {
        TYPES.iter().find(|row| match row.of {
            Of::Oid(oid) => oid == self.oid,
            Of::Extension(name) => self.kind == CatalogKind::Base && name == self.name,
            Of::Kind(kind) => kind == self.kind,
            Of::Rest => true,
        })
    }

    pub(super) fn mapping(&self, types: &TypeSpec) -> Mapping {
        self.row().map_or(Mapping::Unsupported, |row| mapping(&row.maps, self.modifier, types))
    }

    pub(super) fn cursor(&self) -> Option<CursorKind> {
        let digits = u8::try_from(self.modifier).ok().filter(|digits| *digits <= 6).unwrap_or(6);
        match self.row()?.serves {
            Serves::Integer => Some(CursorKind::Integer),
            Serves::Numeric => match precision_and_scale(self.modifier) {
                Some((precision, scale)) if scale <= 0 && precision - scale <= 18 => Some(CursorKind::Integer),
                _ => Some(CursorKind::Text),
            },
            Serves::Date => Some(CursorKind::Date),
            Serves::Timestamp => Some(CursorKind::Timestamp { zoned: false, digits }),
            Serves::Timestamptz => Some(CursorKind::Timestamp { zoned: true, digits }),
            Serves::Text => Some(CursorKind::Text),
            Serves::Nothing => None,
        }
    }
}

fn mapping(maps: &Maps, modifier: i32, types: &TypeSpec) -> Mapping {
    match maps {
        Maps::To(field_type) => Mapping::plain(field_type.clone()),
        Maps::Text => Mapping::text(),
        Maps::Numeric => Mapping::plain(match precision_and_scale(modifier) {
            None => unconstrained_type(types),
            // The reference misreads a negative scale as 2046; the values are integers.
            Some((precision, scale)) if scale < 0 => numeric_type(precision - scale, 0, types),
            Some((precision, scale)) => numeric_type(precision, scale, types),
        }),
        Maps::Money => match types.decimal {
            DecimalHandling::Text => {
                Mapping::Field { field_type: FieldType::String, projection: Projection::Numeric, optional: false }
            }
            DecimalHandling::AvroDecimal | DecimalHandling::Double => {
                Mapping::Field { field_type: FieldType::Float64, projection: Projection::Double, optional: false }
            }
        },
        Maps::Bit if modifier == 1 => Mapping::plain(FieldType::Boolean),
        // The reference fails on bit(n): the digits as text.
        Maps::Bit => Mapping::text(),
        Maps::Date => match types.zero_date {
            Some(ZeroDate::Text) => Mapping::text(),
            Some(ZeroDate::Null) => {
                Mapping::Field { field_type: FieldType::Date, projection: Projection::Column, optional: true }
            }
            _ => Mapping::plain(FieldType::Date),
        },
        Maps::Time if types.time == TimeHandling::Text => Mapping::text(),
        Maps::Time => Mapping::plain(FieldType::Time),
        Maps::Timestamp => Mapping::plain(timestamp_type(types.granularity)),
        Maps::Unsupported => Mapping::Unsupported,
    }
}

/// The rows of the reference page.
pub(super) fn documented(types: &TypeSpec) -> Vec<DocumentedType> {
    let mut documented = Vec::new();
    // Names of the parser, not of columns.
    for row in TYPES.iter().filter(|row| !["bpchar", "unknown"].contains(&row.name)) {
        let own = [(row.name, -1, row.note)];
        let examples = if row.examples().is_empty() { &own } else { row.examples() };
        for (name, modifier, note) in examples {
            let (field, optional) = match mapping(&row.maps, *modifier, types) {
                Mapping::Field { field_type, optional, .. } => (Some(field_type), optional),
                Mapping::Unsupported => (None, false),
            };
            documented.push(DocumentedType { name: (*name).to_owned(), field, optional, note });
        }
    }
    documented
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(oid: u32, modifier: i32) -> CatalogType {
        CatalogType { oid, name: String::new(), kind: CatalogKind::Base, modifier }
    }

    fn mapping(oid: u32, modifier: i32) -> Mapping {
        of(oid, modifier).mapping(&TypeSpec::default())
    }

    #[test]
    fn modifiers_of_numeric_are_read_with_their_sign() {
        assert_eq!(precision_and_scale(-1), None);
        assert_eq!(precision_and_scale((10 << 16) + 2 + 4), Some((10, 2)));
        assert_eq!(precision_and_scale((5 << 16) + (-2 & 0x7ff) + 4), Some((5, -2)));
        let scaled = FieldType::Decimal { precision: Some(7), scale: 0 };
        assert_eq!(mapping(1700, (5 << 16) + (-2 & 0x7ff) + 4), Mapping::plain(scaled));
    }

    #[test]
    fn types_the_reference_has_no_mapping_for_are_unsupported() {
        for oid in [1007, 1186, 869, 3904, 600, 3614, 1562] {
            assert_eq!(mapping(oid, -1), Mapping::Unsupported);
        }
        assert_eq!(mapping(1560, 1), Mapping::plain(FieldType::Boolean));
        assert_eq!(mapping(1560, 8), Mapping::text());
    }

    #[test]
    fn settings_change_what_a_type_becomes_and_not_how_it_serves_as_a_cursor() {
        let text = TypeSpec {
            decimal: DecimalHandling::Text,
            zero_date: Some(ZeroDate::Text),
            time: TimeHandling::Text,
            ..TypeSpec::default()
        };
        let money = Mapping::Field { field_type: FieldType::String, projection: Projection::Numeric, optional: false };
        for (oid, expected, cursor) in [
            (1700, Mapping::plain(FieldType::String), Some(CursorKind::Text)),
            (790, money, None),
            (1082, Mapping::text(), Some(CursorKind::Date)),
            (1083, Mapping::text(), Some(CursorKind::Text)),
            (1266, Mapping::text(), Some(CursorKind::Text)),
            (23, Mapping::plain(FieldType::Int32), Some(CursorKind::Integer)),
        ] {
            assert_eq!((of(oid, -1).mapping(&text), of(oid, -1).cursor()), (expected, cursor), "{oid}");
        }
        let null = TypeSpec { zero_date: Some(ZeroDate::Null), ..TypeSpec::default() };
        let optional = Mapping::Field { field_type: FieldType::Date, projection: Projection::Column, optional: true };
        assert_eq!(of(1082, -1).mapping(&null), optional);
    }

    #[test]
    fn types_without_a_fixed_oid_are_told_by_name_or_kind() {
        let of = |name: &str, kind| CatalogType { oid: 99_999, name: name.to_owned(), kind, modifier: -1 };
        assert_eq!(of("mood", CatalogKind::Enum).mapping(&TypeSpec::default()), Mapping::text());
        assert_eq!(of("mood", CatalogKind::Enum).cursor(), Some(CursorKind::Text));
        assert_eq!(of("citext", CatalogKind::Base).cursor(), Some(CursorKind::Text));
        assert_eq!(of("citext", CatalogKind::Composite).cursor(), None);
        assert_eq!(of("new", CatalogKind::Base).mapping(&TypeSpec::default()), Mapping::Unsupported);
    }

    #[test]
    fn a_formatted_type_names_its_form_on_the_wire() {
        assert_eq!(without_modifier("timestamp(3) without time zone"), "timestamp without time zone");
        assert_eq!(without_modifier("numeric(10,2)"), "numeric");
        assert_eq!(without_modifier("\"char\""), "\"char\"");
    }
}
