//! The one table of PostgreSQL's types: the mark of each, the form of its values on the wire, the field type it
//! becomes, how it serves as a cursor, and where that differs from Kafka Connect. Columns are mapped by it and the
//! reference page is written from it; a new type is a row here, and a decoder if its wire form is new.

use super::wire::{CatalogKind, Wire};
use crate::model::FieldType;

use Maps::{Bit, Date, Money, Numeric, Text, Time, Timestamp, To, Unsupported};
use Of::{Extension, Kind, Oid, Rest};

/// One type, or one kind of types.
#[derive(Debug)]
pub(super) struct TypeRow {
    pub(super) of: Of,
    /// As `format_type` has it without a modifier.
    pub(super) name: &'static str,
    pub(super) wire: Wire,
    pub(super) maps: Maps,
    pub(super) serves: Serves,
    /// The difference from Kafka Connect's source.
    pub(super) note: &'static str,
}

/// The types of a row; the first row that fits counts.
#[derive(Debug, PartialEq)]
pub(super) enum Of {
    /// A built-in type.
    Oid(u32),
    /// A type of an extension, whose oid differs from database to database: `pg_type.typname`.
    Extension(&'static str),
    /// Every type of a kind.
    Kind(CatalogKind),
    /// Every other type.
    Rest,
}

/// The field type of a row; settings and modifiers decide about some.
#[derive(Debug, PartialEq)]
pub(super) enum Maps {
    To(FieldType),
    /// Text as the server writes it: the driver does not know the type, and would look it up between the preparation of
    /// an unnamed statement and its use, which ends the statement.
    Text,
    /// A number by precision and scale.
    Numeric,
    Money,
    /// `bit(1)` is a boolean, longer ones their digits.
    Bit,
    Date,
    Time,
    Timestamp,
    /// The reference has no mapping.
    Unsupported,
}

/// The kind of cursor of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Serves {
    Integer,
    /// An integer where it has no digits after the point, else text.
    Numeric,
    Date,
    Timestamp,
    Timestamptz,
    Text,
    Nothing,
}

/// Modifiers of a type that make a difference, for the reference page: name, modifier, note.
pub(super) type Example = (&'static str, i32, &'static str);

const LEFT_OUT: &str = "Connect leaves the column out";
const BEFORE_1970: &str = "under `micros_*` and `nanos_*` numbers Connect is a second off before 1970";
const NEGATIVE_SCALE: &str = "Connect takes the scale -2 for 2046; here the values are whole numbers";
const INFINITY: &str = "Connect fails on `infinity`, which here is null where the column may be null";
const TIME_OF_DAY: &str = "Connect fails where `db.timezone` leads out of the day; here the time stays within it";
const TIME_IN_UTC: &str = "Connect fails where UTC has another day; here the time stays within the day";
const AS_BASE: &str = "every domain is as its base type";
const BITS: &str = "Connect reads the digits as a decimal number into an int8 and fails beyond 127";
const NUMERIC: &str = "`NaN` stops the table as in Connect, until `decimal.handling` is `string`";
const UNCONSTRAINED: &str = "under every `numeric.mapping` but `none` Connect cuts the values to an int8";

const fn row(of: Of, name: &'static str, wire: Wire, maps: Maps, serves: Serves, note: &'static str) -> TypeRow {
    TypeRow { of, name, wire, maps, serves, note }
}

/// Every type of PostgreSQL 15, some of extensions, and the kinds users make.
pub(super) static TYPES: &[TypeRow] = &[
    row(Oid(16), "boolean", Wire::Bool, To(FieldType::Boolean), Serves::Text, ""),
    row(Oid(21), "smallint", Wire::Int2, To(FieldType::Int16), Serves::Integer, ""),
    row(Oid(23), "integer", Wire::Int4, To(FieldType::Int32), Serves::Integer, ""),
    row(Oid(20), "bigint", Wire::Int8, To(FieldType::Int64), Serves::Integer, ""),
    row(Oid(26), "oid", Wire::Oid, To(FieldType::Int64), Serves::Integer, ""),
    row(Oid(700), "real", Wire::Float4, To(FieldType::Float32), Serves::Text, ""),
    row(Oid(701), "double precision", Wire::Float8, To(FieldType::Float64), Serves::Text, ""),
    row(Oid(1700), "numeric", Wire::Numeric, Numeric, Serves::Numeric, NUMERIC),
    row(Oid(790), "money", Wire::Other, Money, Serves::Nothing, "Connect fails on 1,000.00 and more"),
    row(Oid(25), "text", Wire::Text, To(FieldType::String), Serves::Text, ""),
    row(Oid(1043), "character varying", Wire::Text, To(FieldType::String), Serves::Text, ""),
    row(Oid(1042), "character", Wire::Text, To(FieldType::String), Serves::Text, ""),
    row(Oid(1042), "bpchar", Wire::Text, To(FieldType::String), Serves::Text, ""),
    row(Oid(19), "name", Wire::Text, To(FieldType::String), Serves::Text, ""),
    row(Oid(18), "\"char\"", Wire::Char, To(FieldType::String), Serves::Text, ""),
    row(Oid(705), "unknown", Wire::Text, To(FieldType::String), Serves::Nothing, ""),
    row(Oid(17), "bytea", Wire::Bytea, To(FieldType::Bytes), Serves::Text, ""),
    row(Oid(1560), "bit", Wire::Bit, Bit, Serves::Text, ""),
    row(Oid(1562), "bit varying", Wire::Other, Unsupported, Serves::Text, LEFT_OUT),
    row(Oid(1082), "date", Wire::Date, Date, Serves::Date, INFINITY),
    row(Oid(1083), "time without time zone", Wire::Time, Time, Serves::Text, TIME_OF_DAY),
    row(Oid(1266), "time with time zone", Wire::Timetz, Time, Serves::Text, TIME_IN_UTC),
    row(Oid(1114), "timestamp without time zone", Wire::Timestamp, Timestamp, Serves::Timestamp, BEFORE_1970),
    row(Oid(1184), "timestamp with time zone", Wire::Timestamptz, Timestamp, Serves::Timestamptz, BEFORE_1970),
    row(Oid(1186), "interval", Wire::Other, Unsupported, Serves::Text, LEFT_OUT),
    row(Oid(2950), "uuid", Wire::Uuid, To(FieldType::String), Serves::Text, ""),
    row(Oid(114), "json", Wire::Text, To(FieldType::String), Serves::Nothing, ""),
    row(Oid(3802), "jsonb", Wire::Jsonb, To(FieldType::String), Serves::Text, ""),
    row(Oid(4072), "jsonpath", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(142), "xml", Wire::Text, Text, Serves::Nothing, ""),
    row(Kind(CatalogKind::Enum), "an enum", Wire::Text, Text, Serves::Text, ""),
    row(Kind(CatalogKind::Domain), "a domain over integer", Wire::Int4, To(FieldType::Int32), Serves::Integer, AS_BASE),
    row(Kind(CatalogKind::Array), "an array", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Kind(CatalogKind::Composite), "a composite type", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(869), "inet", Wire::Other, Unsupported, Serves::Text, LEFT_OUT),
    row(Oid(650), "cidr", Wire::Other, Unsupported, Serves::Text, LEFT_OUT),
    row(Oid(829), "macaddr", Wire::Other, Unsupported, Serves::Text, LEFT_OUT),
    row(Oid(774), "macaddr8", Wire::Other, Unsupported, Serves::Text, LEFT_OUT),
    row(Oid(600), "point", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(628), "line", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(601), "lseg", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(603), "box", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(602), "path", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(604), "polygon", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(718), "circle", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(3904), "int4range", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(3926), "int8range", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(3906), "numrange", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(3908), "tsrange", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(3910), "tstzrange", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(3912), "daterange", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Kind(CatalogKind::Range), "a range type", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(4451), "int4multirange", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(4536), "int8multirange", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(4532), "nummultirange", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(4533), "tsmultirange", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(4534), "tstzmultirange", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(4535), "datemultirange", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Kind(CatalogKind::Multirange), "a multirange type", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(3614), "tsvector", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(3615), "tsquery", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(3642), "gtsvector", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Extension("citext"), "citext", Wire::Other, Unsupported, Serves::Text, LEFT_OUT),
    row(Extension("hstore"), "hstore", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Extension("ltree"), "ltree", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Extension("lquery"), "lquery", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Extension("ltxtquery"), "ltxtquery", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Extension("cube"), "cube", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Extension("isbn"), "isbn", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Extension("geometry"), "geometry", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Extension("geography"), "geography", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Extension("vector"), "vector", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(3220), "pg_lsn", Wire::Other, Unsupported, Serves::Text, LEFT_OUT),
    row(Oid(28), "xid", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(5069), "xid8", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(29), "cid", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(27), "tid", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(5038), "pg_snapshot", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(2970), "txid_snapshot", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(2205), "regclass", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(4191), "regcollation", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(3734), "regconfig", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(3769), "regdictionary", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(4089), "regnamespace", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(2203), "regoper", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(2204), "regoperator", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(24), "regproc", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(2202), "regprocedure", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(4096), "regrole", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(2206), "regtype", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(1790), "refcursor", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(1033), "aclitem", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(22), "int2vector", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(30), "oidvector", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(194), "pg_node_tree", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(3361), "pg_ndistinct", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(3402), "pg_dependencies", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(5017), "pg_mcv_list", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(4600), "pg_brin_bloom_summary", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Oid(4601), "pg_brin_minmax_multi_summary", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
    row(Rest, "any other type", Wire::Other, Unsupported, Serves::Nothing, LEFT_OUT),
];

const fn numeric(precision: i32, scale: i32) -> i32 {
    (precision << 16) + (scale & 0x7ff) + 4
}

/// The results of precision and scale of a numeric.
const NUMERICS: &[Example] = &[
    ("numeric", -1, UNCONSTRAINED),
    ("numeric(2,0)", numeric(2, 0), NUMERIC),
    ("numeric(4,0)", numeric(4, 0), NUMERIC),
    ("numeric(9,0)", numeric(9, 0), NUMERIC),
    ("numeric(18,0)", numeric(18, 0), NUMERIC),
    ("numeric(38,0)", numeric(38, 0), NUMERIC),
    ("numeric(10,2)", numeric(10, 2), NUMERIC),
    ("numeric(38,10)", numeric(38, 10), NUMERIC),
    ("numeric(5,-2)", numeric(5, -2), NEGATIVE_SCALE),
];

impl TypeRow {
    /// The rows of the reference page, if a modifier makes a difference.
    pub(super) fn examples(&self) -> &'static [Example] {
        match self.maps {
            Numeric => NUMERICS,
            Bit => &[("bit(1)", 1, ""), ("bit(8)", 8, BITS)],
            _ => &[],
        }
    }
}
