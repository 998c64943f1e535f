//! The binary forms of values, and the kinds of types in the catalog.

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

/// The kind of a type, `pg_type.typtype`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CatalogKind {
    Base,
    Enum,
    Array,
    Composite,
    Range,
    Multirange,
    Domain,
}

impl CatalogKind {
    /// The kind of a `typtype`, `a` being an array.
    pub(super) fn of(typtype: &str) -> Self {
        match typtype {
            "e" => CatalogKind::Enum,
            "a" => CatalogKind::Array,
            "c" => CatalogKind::Composite,
            "r" => CatalogKind::Range,
            "m" => CatalogKind::Multirange,
            "d" => CatalogKind::Domain,
            _ => CatalogKind::Base,
        }
    }
}
