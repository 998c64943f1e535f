//! The binary forms of values, and the families of types.

/// The binary form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// One byte.
    Tiny,
    /// Two bytes, also YEAR.
    Short,
    /// Four bytes.
    Long,
    /// Eight bytes.
    LongLong,
    Float,
    Double,
    /// Year, month, day and time of day, cut short after the last part that is not zero.
    DateTime,
    /// Sign, days and time of day.
    Time,
    /// Anything that comes with its length: text, bytes, decimals, bits.
    Bytes,
}

/// The families of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    TinyInt,
    SmallInt,
    MediumInt,
    Int,
    BigInt,
    Float,
    Double,
    Decimal,
    Bit,
    Year,
    Date,
    DateTime,
    Timestamp,
    Time,
    Text,
    Enum,
    Set,
    Json,
    Bytes,
    Geometry,
    Vector,
    Uuid,
    Inet,
    /// A type that is not known here.
    Other,
}
