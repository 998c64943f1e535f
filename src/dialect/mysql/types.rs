//! The types of the MySQL family: the type of a column (from the catalog or from a result), the field type it becomes
//! (`querying.md`, 10.2), how it can serve as a cursor, and which form its values have on the wire.

use sqlx::mysql::MySqlTypeInfo;

use super::super::decimal::numeric_type;
use super::super::instant::timestamp_type;
use super::super::kind::DocumentedType;
use super::server::{Quirks, Server};
use super::shape::Shape;
use super::wire::{Kind, Wire};
use crate::config::spec::{DecimalHandling, NumericMapping, TimeHandling, TypeSpec, UnsignedBigint, ZeroDate};
use crate::model::drivers::{DriverParameters, Maker};
use crate::model::{CursorKind, FieldType, Projection};

/// A row of the table of types.
struct TypeRow {
    /// As `information_schema.columns.data_type` has it; with parentheses or more words an example for the page.
    name: &'static str,
    kind: Kind,
    /// The servers whose page shows it.
    servers: &'static [Server],
    /// The difference from Kafka Connect's source.
    note: &'static str,
}

const fn row(name: &'static str, kind: Kind, servers: &'static [Server], note: &'static str) -> TypeRow {
    TypeRow { name, kind, servers, note }
}

const ALL: &[Server] = &[Server::MySql, Server::MariaDb, Server::TiDb];
const NOT_TIDB: &[Server] = &[Server::MySql, Server::MariaDb];
const MARIADB: &[Server] = &[Server::MariaDb];
const TIDB: &[Server] = &[Server::TiDb];
const VECTORS: &[Server] = &[Server::MySql, Server::TiDb];
/// Another name or form of a type that has a row of its own.
const NONE: &[Server] = &[];

const BY_DRIVER: &str = "by the JDBC driver, see `driver.types`";
const BITS: &str = "by the JDBC driver, see `driver.types`; those that have an int8 fail beyond 127, where here the next integer is taken";

/// Every type: columns are mapped by it, and the reference page shows it.
const TYPES: &[TypeRow] = &[
    row("tinyint", Kind::TinyInt, ALL, ""),
    row("tinyint(1)", Kind::TinyInt, ALL, BY_DRIVER),
    row("tinyint(1) unsigned", Kind::TinyInt, ALL, BY_DRIVER),
    row("tinyint unsigned", Kind::TinyInt, ALL, BY_DRIVER),
    row("smallint", Kind::SmallInt, ALL, ""),
    row("smallint unsigned", Kind::SmallInt, ALL, BY_DRIVER),
    row("mediumint", Kind::MediumInt, ALL, ""),
    row("mediumint unsigned", Kind::MediumInt, ALL, ""),
    row("int", Kind::Int, ALL, ""),
    row("int unsigned", Kind::Int, ALL, ""),
    row("bigint", Kind::BigInt, ALL, ""),
    row("bigint unsigned", Kind::BigInt, ALL, "Connect fails beyond 2^63 - 1"),
    row("float", Kind::Float, ALL, ""),
    row("float(7,3)", Kind::Float, ALL, "rounded as the server shows it, as in Connect"),
    row("double", Kind::Double, ALL, ""),
    row("double(10,3)", Kind::Double, ALL, "rounded as the server shows it, as in Connect"),
    row("decimal", Kind::Decimal, NONE, ""),
    row("decimal(10,2)", Kind::Decimal, ALL, "numeric.mapping has no effect, as in Connect"),
    row("decimal(10,2) unsigned", Kind::Decimal, TIDB, ""),
    row("decimal(65,30)", Kind::Decimal, ALL, ""),
    row("bit", Kind::Bit, NONE, ""),
    row("bit(1)", Kind::Bit, ALL, BY_DRIVER),
    row("bit(7)", Kind::Bit, ALL, BY_DRIVER),
    row("bit(8)", Kind::Bit, ALL, BITS),
    row("bit(16)", Kind::Bit, ALL, BITS),
    row("bit(64)", Kind::Bit, ALL, BITS),
    row("year", Kind::Year, ALL, "the first day of the year, as in Connect; a number with yearIsDateType=false"),
    row("date", Kind::Date, ALL, "Connect fails on zero and partial dates"),
    row("datetime", Kind::DateTime, ALL, "Connect fails on zero and partial dates"),
    row("datetime(6)", Kind::DateTime, ALL, ""),
    row(
        "timestamp",
        Kind::Timestamp,
        ALL,
        "the instant; Connect shifts it where the server's zone is not db.timezone, and in the hour that daylight saving time repeats",
    ),
    row("timestamp(6)", Kind::Timestamp, ALL, ""),
    row("time", Kind::Time, ALL, "Connect fails below zero and from 24 hours on, see time.handling"),
    row("char", Kind::Text, ALL, ""),
    row("varchar", Kind::Text, ALL, ""),
    row("tinytext", Kind::Text, ALL, ""),
    row("text", Kind::Text, ALL, ""),
    row("mediumtext", Kind::Text, ALL, ""),
    row("longtext", Kind::Text, ALL, ""),
    row("enum", Kind::Enum, ALL, ""),
    row("set", Kind::Set, ALL, ""),
    row("json", Kind::Json, ALL, ""),
    row("binary", Kind::Bytes, ALL, ""),
    row("binary(16)", Kind::Bytes, ALL, ""),
    row("varbinary", Kind::Bytes, ALL, ""),
    row("tinyblob", Kind::Bytes, ALL, ""),
    row("blob", Kind::Bytes, ALL, ""),
    row("mediumblob", Kind::Bytes, ALL, ""),
    row("longblob", Kind::Bytes, ALL, ""),
    row("geometry", Kind::Geometry, NOT_TIDB, "SRID and WKB, as in Connect"),
    row("point", Kind::Geometry, NOT_TIDB, ""),
    row("linestring", Kind::Geometry, NOT_TIDB, ""),
    row("polygon", Kind::Geometry, NOT_TIDB, ""),
    row("multipoint", Kind::Geometry, NOT_TIDB, ""),
    row("multilinestring", Kind::Geometry, NOT_TIDB, ""),
    row("multipolygon", Kind::Geometry, NOT_TIDB, ""),
    row("geometrycollection", Kind::Geometry, NOT_TIDB, ""),
    row("geomcollection", Kind::Geometry, NONE, ""),
    row("vector", Kind::Vector, VECTORS, ""),
    row("uuid", Kind::Uuid, MARIADB, "MariaDB's drivers from 3 on leave it out, see `driver.types`"),
    row("inet4", Kind::Inet, MARIADB, ""),
    row("inet6", Kind::Inet, MARIADB, ""),
];

/// The widest number with a floating point.
const LONGEST_NUMBER: u32 = 255;

/// The most digits after the point that the server keeps to.
const MOST_DIGITS: u8 = 30;

/// A column's type, as the catalog or a result describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ColumnType {
    pub(super) kind: Kind,
    /// The type in full: `bigint(20) unsigned`.
    pub(super) name: String,
    pub(super) unsigned: bool,
    /// Digits of a decimal or of a `double(M,D)`, bits of a bit, display width of a tinyint.
    pub(super) size: u32,
    /// Fraction digits of the same.
    pub(super) scale: u32,
    /// Fraction digits of a time.
    pub(super) digits: u8,
}

impl ColumnType {
    /// The type of `information_schema.columns.column_type`: `decimal(10,2) unsigned zerofill`.
    pub(super) fn of_catalog(column_type: &str) -> Self {
        let lower = column_type.to_ascii_lowercase();
        let word_end = lower.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(lower.len());
        let word = &lower[..word_end];
        let kind = TYPES.iter().find(|row| row.name == word).map_or(Kind::Other, |row| row.kind);
        let is_labels = matches!(kind, Kind::Enum | Kind::Set);
        let inside = match (lower[word_end..].strip_prefix('('), is_labels) {
            (Some(rest), false) => rest.split(')').next().unwrap_or_default(),
            _ => "",
        };
        let mut numbers = inside.split(',').map(|number| number.trim().parse().unwrap_or_default());
        let (first, second): (u32, u32) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        let is_time = matches!(kind, Kind::DateTime | Kind::Timestamp | Kind::Time);
        Self {
            kind,
            unsigned: !is_labels && lower.contains("unsigned"),
            size: if kind == Kind::Bit { first.max(1) } else { first },
            scale: second,
            digits: if is_time { first.min(6) as u8 } else { 0 },
            name: column_type.to_owned(),
        }
    }

    /// The type of a result column, which does not tell the digits of a number after the point.
    pub(super) fn of_result(info: &MySqlTypeInfo) -> Self {
        let shape = Shape::of(info);
        let kind = shape.kind();
        let is_time = matches!(kind, Kind::DateTime | Kind::Timestamp);
        let mut name = TYPES.iter().find(|row| row.kind == kind).map_or("unknown", |row| row.name).to_owned();
        if shape.unsigned() {
            name.push_str(" unsigned");
        }
        Self {
            kind,
            name,
            unsigned: shape.unsigned(),
            // Of a number with a floating point it says nothing.
            size: if matches!(kind, Kind::Float | Kind::Double) { 0 } else { shape.max_size },
            scale: 0,
            // `2024-02-29 12:00:00` has 19 characters.
            digits: if is_time { shape.max_size.saturating_sub(20).min(6) as u8 } else { 0 },
        }
    }

    /// The wire form of values of a column that is selected as it is.
    pub(super) fn wire(&self) -> Wire {
        match self.kind {
            Kind::TinyInt => Wire::Tiny,
            Kind::SmallInt | Kind::Year => Wire::Short,
            Kind::MediumInt | Kind::Int => Wire::Long,
            Kind::BigInt => Wire::LongLong,
            Kind::Float => Wire::Float,
            Kind::Double => Wire::Double,
            Kind::Date | Kind::DateTime | Kind::Timestamp => Wire::DateTime,
            Kind::Time => Wire::Time,
            _ => Wire::Bytes,
        }
    }

    /// True if a result column of this type is one that the catalog calls `other`. A result tells less: all that is
    /// text is one type to it, and so is all that is bytes.
    pub(super) fn reads_as(&self, other: &Self) -> bool {
        let class = |kind| match kind {
            Kind::Text | Kind::Enum | Kind::Set | Kind::Json | Kind::Uuid | Kind::Inet => Kind::Text,
            Kind::Geometry | Kind::Vector | Kind::Other => Kind::Bytes,
            Kind::MediumInt => Kind::Int,
            kind => kind,
        };
        class(self.kind) == class(other.kind) && (self.wire() == Wire::Bytes || self.unsigned == other.unsigned)
    }

    /// True if a result column of this type can be read for one of a query that is `other` by the query's own account.
    /// MySQL and its relatives make integers of other widths of some expressions in a derived table, and an integer of
    /// a user variable that was a double before it had a value.
    pub(super) fn stands_for(&self, other: &Self) -> bool {
        let is_integer = |of: &Self| matches!(of.wire(), Wire::Tiny | Wire::Short | Wire::Long | Wire::LongLong);
        is_integer(self) && self.kind != Kind::Year && (is_integer(other) || other.kind == Kind::Double)
    }

    /// True if a result column of text can be read for one of bytes: in a derived table MySQL makes a text of a user
    /// variable that nobody has set.
    pub(super) fn is_text_of_bytes(&self, other: &Self) -> bool {
        self.kind == Kind::Text && other.kind == Kind::Bytes
    }

    /// A date that may be no date: zero, or without month or day.
    pub(super) fn may_be_no_date(&self) -> bool {
        matches!(self.kind, Kind::Date | Kind::DateTime | Kind::Timestamp | Kind::Year)
    }

    /// Takes the digits after the point of a result column, which the driver does not tell.
    pub(super) fn take_scale(&mut self, scale: u32, server: Server) {
        let sign = if self.unsigned { " unsigned" } else { "" };
        match self.kind {
            Kind::Decimal => {
                // Its width counts the point and the sign, TiDB's also where there is none.
                let extra = u32::from(!self.unsigned || server == Server::TiDb) + u32::from(scale > 0);
                self.size = self.size.saturating_sub(extra).clamp(scale.max(1), 65);
                self.scale = scale;
                self.name = format!("decimal({},{scale}){sign}", self.size);
            }
            Kind::Float | Kind::Double if scale > 0 => {
                (self.size, self.scale) = (LONGEST_NUMBER, scale);
                let word = if self.kind == Kind::Float { "float" } else { "double" };
                self.name = format!("{word}({LONGEST_NUMBER},{scale}){sign}");
            }
            _ => {}
        }
    }

    /// The digits after the point that the server shows of a `double(M,D)` or `float(M,D)`.
    pub(super) fn shown_digits(&self) -> Option<u8> {
        let is_fixed = matches!(self.kind, Kind::Float | Kind::Double) && self.size > 0;
        u8::try_from(self.scale).ok().filter(|digits| is_fixed && *digits <= MOST_DIGITS)
    }

    /// The field type and how the column is selected; none where the reference has no mapping. Where drivers differ
    /// (`forms`) it holds every value.
    pub(super) fn mapping(&self, types: &TypeSpec, quirks: &Quirks) -> Option<(FieldType, Projection)> {
        let dates_as_text = types.zero_date == Some(ZeroDate::Text);
        let field_type = match self.kind {
            Kind::TinyInt => {
                if self.unsigned {
                    FieldType::Int16
                } else {
                    FieldType::Int8
                }
            }
            Kind::SmallInt => {
                if self.unsigned {
                    FieldType::Int32
                } else {
                    FieldType::Int16
                }
            }
            Kind::MediumInt | Kind::Int => {
                if self.unsigned {
                    FieldType::Int64
                } else {
                    FieldType::Int32
                }
            }
            Kind::BigInt if self.unsigned => unsigned_bigint(types),
            Kind::BigInt => FieldType::Int64,
            Kind::Float => FieldType::Float32,
            Kind::Double => FieldType::Float64,
            // All drivers take the place of the sign for one of a digit.
            Kind::Decimal if self.unsigned && quirks.unsigned_decimals_are_wider => {
                Self { size: self.size + 1, ..self.clone() }.decimal(types)
            }
            Kind::Decimal => self.decimal(types),
            Kind::Bit => self.bits(types),
            Kind::Date | Kind::DateTime | Kind::Timestamp if dates_as_text => {
                return Some((FieldType::String, Projection::Text));
            }
            Kind::Year if !quirks.year_is_date => FieldType::Int32,
            Kind::Year if dates_as_text => return Some((FieldType::String, Projection::Text)),
            Kind::Year | Kind::Date => FieldType::Date,
            Kind::DateTime | Kind::Timestamp => timestamp_type(types.granularity),
            Kind::Time if types.time == TimeHandling::Text => return Some((FieldType::String, Projection::Text)),
            Kind::Time => FieldType::Time,
            Kind::Text | Kind::Enum | Kind::Set | Kind::Json | Kind::Uuid | Kind::Inet => FieldType::String,
            Kind::Bytes if quirks.blobs_are_strings && self.name.ends_with("blob") => FieldType::String,
            Kind::Bytes | Kind::Geometry => FieldType::Bytes,
            Kind::Vector if quirks.vectors_are_text => return Some((FieldType::String, Projection::Text)),
            Kind::Vector => return Some((FieldType::Bytes, Projection::Bytes)),
            Kind::Other => return None,
        };
        Some((field_type, Projection::Column))
    }

    /// DECIMAL is always a Decimal, whatever `numeric.mapping` says: so it is with both drivers.
    fn decimal(&self, types: &TypeSpec) -> FieldType {
        let (precision, scale) = (self.size as i32, self.scale as i32);
        match types.decimal {
            DecimalHandling::AvroDecimal => {
                numeric_type(precision, scale, &TypeSpec { numeric: NumericMapping::None, ..types.clone() })
            }
            DecimalHandling::Text => FieldType::String,
            DecimalHandling::Double => FieldType::Float64,
        }
    }

    /// The smallest integer that holds so many bits.
    fn bits(&self, types: &TypeSpec) -> FieldType {
        match self.size {
            ..=7 => FieldType::Int8,
            8..=15 => FieldType::Int16,
            16..=31 => FieldType::Int32,
            32..=63 => FieldType::Int64,
            _ => unsigned_bigint(types),
        }
    }

    /// The number of a set's labels, which hold no comma.
    fn labels(&self) -> usize {
        self.name.matches(',').count() + 1
    }

    /// The kind of cursor the column can serve as. `instants`: the session reads TIMESTAMP columns in UTC.
    pub(super) fn cursor(&self, instants: bool) -> Option<CursorKind> {
        match self.kind {
            Kind::TinyInt | Kind::SmallInt | Kind::MediumInt | Kind::Int | Kind::Year => Some(CursorKind::Integer),
            Kind::BigInt if self.unsigned => Some(CursorKind::Unsigned),
            Kind::BigInt => Some(CursorKind::Integer),
            Kind::Decimal if self.scale == 0 && self.size <= 18 => Some(CursorKind::Integer),
            // Ordered as unsigned numbers of 64 bits, and compared as doubles (MySQL, TiDB) or as signed ones (MariaDB).
            Kind::Set if self.labels() > 53 => None,
            Kind::Date => Some(CursorKind::Date),
            Kind::DateTime => Some(CursorKind::Timestamp { zoned: false, digits: self.digits }),
            Kind::Timestamp => Some(CursorKind::Timestamp { zoned: instants, digits: self.digits }),
            Kind::Decimal
            | Kind::Bit
            | Kind::Time
            | Kind::Text
            | Kind::Enum
            | Kind::Set
            | Kind::Bytes
            | Kind::Uuid
            | Kind::Inet
            | Kind::Double => Some(CursorKind::Text),
            // FLOAT does not survive its own text, and the others have no order.
            Kind::Float | Kind::Json | Kind::Geometry | Kind::Vector | Kind::Other => None,
        }
    }
}

fn unsigned_bigint(types: &TypeSpec) -> FieldType {
    match types.unsigned_bigint {
        UnsignedBigint::LongOrFail => FieldType::Int64,
        UnsignedBigint::Decimal => FieldType::Decimal { precision: types.decimal_precision.then_some(20), scale: 0 },
        UnsignedBigint::Text => FieldType::String,
    }
}

/// The rows of the reference page.
pub(super) fn documented(server: Server, types: &TypeSpec) -> Vec<DocumentedType> {
    let quirks = Quirks {
        maker: if server == Server::MariaDb { Maker::MariaDb } else { Maker::MySql },
        parameters: DriverParameters::default(),
        unsigned_decimals_are_wider: server == Server::TiDb,
        year_is_date: true,
        blobs_are_strings: false,
        vectors_are_text: server == Server::TiDb,
    };
    let shown = TYPES.iter().filter(|row| row.servers.contains(&server));
    shown
        .map(|row| {
            let column = ColumnType::of_catalog(row.name);
            let field = match column.forms(types, &quirks, false).into_iter().next() {
                Some(form) => form.field_type,
                None => column.mapping(types, &quirks).map(|(field_type, _)| field_type),
            };
            DocumentedType {
                name: row.name.to_owned(),
                field,
                optional: types.zero_date == Some(ZeroDate::Null) && column.may_be_no_date(),
                note: row.note,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_s_spelling_is_understood() {
        let of = ColumnType::of_catalog;
        assert_eq!((of("bigint(20) unsigned").kind, of("bigint(20) unsigned").unsigned), (Kind::BigInt, true));
        assert_eq!((of("decimal(65,30)").size, of("decimal(65,30)").scale), (65, 30));
        assert_eq!((of("timestamp(6)").digits, of("datetime").digits), (6, 0));
        assert_eq!((of("bit(8)").size, of("bit(1)").size), (8, 1));
        let labels = of("enum('unsigned','a(3)')");
        assert_eq!((labels.kind, labels.unsigned, labels.size), (Kind::Enum, false, 0));
        assert_eq!(of("double").kind, Kind::Double);
        assert_eq!(of("geomcollection").kind, Kind::Geometry);
        assert!(of("int(10) unsigned zerofill").unsigned);
        let set = |labels: usize| of(&format!("set({})", vec!["'a'"; labels].join(","))).cursor(true);
        assert_eq!((set(53), set(54)), (Some(CursorKind::Text), None));
    }
}
