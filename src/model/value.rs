//! One value of a row, borrowed from the driver's buffer where it can be. A value is only the primitive;
//! what it means (milliseconds of a timestamp, days of a date, scale of a decimal) is its column's
//! [`FieldType`](super::FieldType), bound once and never asked per row.

use std::borrow::Cow;

/// A primitive value, already in the unit its [`FieldType`](super::FieldType) demands.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// SQL NULL.
    Null,
    /// `Boolean`.
    Boolean(bool),
    /// `Int8` to `Int64`, `Date` (days since 1970-01-01), `Time` (milliseconds of the day) and
    /// `Timestamp` (milliseconds since the epoch). In the range of its field type.
    Integer(i64),
    /// `Float32`.
    Float32(f32),
    /// `Float64`.
    Float64(f64),
    /// `String`.
    Text(Cow<'a, str>),
    /// `Bytes`.
    Bytes(Cow<'a, [u8]>),
    /// `Decimal`: the unscaled value at the field type's scale, big-endian two's complement, as short
    /// as possible (Java's `BigInteger.toByteArray`; `avro-converter.md`, 2.5).
    Decimal(Cow<'a, [u8]>),
}

impl Value<'_> {
    /// The same value, borrowed from this one.
    pub fn borrowed(&self) -> Value<'_> {
        match self {
            Value::Null => Value::Null,
            Value::Boolean(value) => Value::Boolean(*value),
            Value::Integer(value) => Value::Integer(*value),
            Value::Float32(value) => Value::Float32(*value),
            Value::Float64(value) => Value::Float64(*value),
            Value::Text(text) => Value::Text(Cow::Borrowed(text)),
            Value::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
            Value::Decimal(unscaled) => Value::Decimal(Cow::Borrowed(unscaled)),
        }
    }
}
