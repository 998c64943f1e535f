//! Rows to Avro bytes. Everything that can be decided once per schema is: an encoder is a flat list of
//! operations, and a row is one pass over it that looks nothing up and allocates nothing.

use super::super::problem::{Problem, append_row, range_of};
use super::super::{Encoder, wire};
use crate::error::Result;
use crate::model::{FieldType, Value};

/// Room for a branch and a varint (11 bytes), of a size the compiler copies in one move.
const SCRATCH: usize = 16;

/// The Avro form of one value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Write {
    Boolean,
    /// int and long alike: a zig-zag varint is the same for both.
    Integer {
        min: i64,
        max: i64,
    },
    Float,
    Double,
    FloatAsDouble,
    Text,
    Bytes,
    Decimal,
    /// Bytes and decimals that are the whole key: no length in front (the reference does so too).
    Raw,
}

impl Write {
    /// The form of a field type in its own Avro type.
    pub(super) fn of(field_type: &FieldType) -> Self {
        match field_type {
            FieldType::Boolean => Write::Boolean,
            FieldType::Int8
            | FieldType::Int16
            | FieldType::Int32
            | FieldType::Int64
            | FieldType::Date
            | FieldType::Time
            | FieldType::Timestamp => {
                let (min, max) = range_of(field_type);
                Write::Integer { min, max }
            }
            FieldType::Float32 => Write::Float,
            FieldType::Float64 => Write::Double,
            FieldType::String => Write::Text,
            FieldType::Bytes => Write::Bytes,
            FieldType::Decimal { .. } => Write::Decimal,
        }
    }
}

/// The bytes that choose a union's branch; none where there is no such branch, or no union.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Branches {
    /// Written for a null, and all of it.
    pub(super) null: Option<u8>,
    /// Written in front of a value.
    pub(super) value: Option<u8>,
}

impl Branches {
    /// `["null",T]`.
    pub(super) const NULL_FIRST: Self = Self { null: Some(0), value: Some(2) };
}

/// One field of the writer schema.
#[derive(Debug, Clone)]
pub(super) struct Op {
    /// The place of the value in the row.
    pub(super) index: usize,
    pub(super) branches: Branches,
    pub(super) write: Write,
}

/// Encodes rows with one registered schema.
#[derive(Debug)]
pub(super) struct AvroEncoder {
    /// Magic byte and schema id, and the branch if the record itself is in a union.
    prefix: Box<[u8]>,
    ops: Box<[Op]>,
    /// The columns of `ops`, for messages.
    names: Box<[String]>,
    /// The value is one bare optional field.
    bare_optional: bool,
}

impl AvroEncoder {
    /// `branch` stands in front of the record if its schema is a union.
    pub(super) fn new(id: u32, branch: Option<u8>, ops: Vec<Op>, names: Vec<String>, bare_optional: bool) -> Self {
        let mut prefix = wire::prefix(id).to_vec();
        prefix.extend(branch);
        Self { prefix: prefix.into(), ops: ops.into(), names: names.into(), bare_optional }
    }

    fn encode_row(&self, row: &[Value<'_>], out: &mut Vec<u8>) -> Result<(), (usize, Problem)> {
        out.extend_from_slice(&self.prefix);
        for (at, op) in self.ops.iter().enumerate() {
            let Some(value) = row.get(op.index) else {
                return Err((at, Problem::Missing));
            };
            let mut scratch = [0; SCRATCH];
            let mut used = 0;
            if let Some(branch) = op.branches.value {
                scratch[0] = branch;
                used = 1;
            }
            match (op.write, value) {
                (_, Value::Null) => match op.branches.null {
                    Some(branch) => out.push(branch),
                    None => return Err((at, Problem::Null)),
                },
                (Write::Integer { min, max }, Value::Integer(integer)) => {
                    if *integer < min || *integer > max {
                        return Err((at, Problem::Range));
                    }
                    push_varint(out, scratch, used, *integer);
                }
                (Write::Text, Value::Text(text)) => push_block(out, scratch, used, text.as_bytes()),
                (Write::Decimal, Value::Decimal(bytes)) | (Write::Bytes, Value::Bytes(bytes)) => {
                    push_block(out, scratch, used, bytes);
                }
                (Write::Boolean, Value::Boolean(value)) => {
                    scratch[used] = u8::from(*value);
                    out.extend_from_slice(&scratch[..=used]);
                }
                (Write::Float, Value::Float32(value)) => push_fixed(out, scratch, used, value.to_le_bytes()),
                (Write::Double, Value::Float64(value)) => push_fixed(out, scratch, used, value.to_le_bytes()),
                (Write::FloatAsDouble, Value::Float32(value)) => {
                    push_fixed(out, scratch, used, f64::from(*value).to_le_bytes());
                }
                (Write::Raw, Value::Bytes(bytes) | Value::Decimal(bytes)) => out.extend_from_slice(bytes),
                _ => return Err((at, Problem::Type)),
            }
        }
        Ok(())
    }
}

impl Encoder for AvroEncoder {
    fn encode(&self, row: &[Value<'_>], out: &mut Vec<u8>) -> Result<()> {
        append_row(&self.names, out, |out| self.encode_row(row, out))
    }

    fn is_null(&self, row: &[Value<'_>]) -> bool {
        self.bare_optional && self.ops.first().and_then(|op| row.get(op.index)) == Some(&Value::Null)
    }
}

/// Appends `used` bytes of `scratch` and the zig-zag varint. The copy is of constant size and cut back
/// afterwards, which costs less than a copy of just the right one.
#[inline]
fn push_varint(out: &mut Vec<u8>, mut scratch: [u8; SCRATCH], mut used: usize, integer: i64) {
    let mut rest = ((integer << 1) ^ (integer >> 63)) as u64;
    while rest >= 0x80 {
        scratch[used] = rest as u8 | 0x80;
        used += 1;
        rest >>= 7;
    }
    scratch[used] = rest as u8;
    let end = out.len() + used + 1;
    out.extend_from_slice(&scratch);
    out.truncate(end);
}

#[inline]
fn push_block(out: &mut Vec<u8>, scratch: [u8; SCRATCH], used: usize, bytes: &[u8]) {
    push_varint(out, scratch, used, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

#[inline]
fn push_fixed<const N: usize>(out: &mut Vec<u8>, mut scratch: [u8; SCRATCH], used: usize, bytes: [u8; N]) {
    scratch[used..used + N].copy_from_slice(&bytes);
    let end = out.len() + used + N;
    out.extend_from_slice(&scratch);
    out.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::super::super::samples::*;
    use super::super::schema::{AvroSchema, SchemaStyle};
    use super::super::writer::Source;
    use super::*;
    use crate::error::ErrorKind;
    use crate::model::{RecordSchema, Schema};

    fn bind(schema: &Schema) -> AvroEncoder {
        let avro = AvroSchema::write(schema, SchemaStyle::default()).unwrap();
        let projection: Vec<usize> = (0..avro.field_names.len()).collect();
        Source { schema, avro: &avro, projection: &projection }.bind(7).unwrap()
    }

    fn encode(schema: &Schema, row: &[Value<'_>]) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        bind(schema).encode(row, &mut out).map(|()| out)
    }

    /// Encodes one bare value and gives what follows the prefix.
    fn payload(field_type: FieldType, optional: bool, value: Value<'_>) -> Vec<u8> {
        let bytes = encode(&key(field_type, optional), &[value]).unwrap();
        assert_eq!(bytes[..5], [0, 0, 0, 0, 7]);
        bytes[5..].to_vec()
    }

    #[test]
    fn the_worked_examples_come_out_byte_for_byte() {
        let row = encode(&test_table(), &test_table_row()).unwrap();
        assert_eq!(row, unhex("00 00000007 02 f6a1abfef962 02 0a 6170706c65 00 02 0a 6672756974"));
        let row = encode(&wide(), &wide_row()).unwrap();
        assert_eq!(row[5..], unhex(WIDE_PAYLOAD));
        let row = encode(&wide(), &empty_wide_row()).unwrap();
        assert_eq!(row[5..], unhex("0200000000000000000000000000000000000000020000"));
    }

    #[test]
    fn bare_keys_have_the_bytes_of_the_reference() {
        use FieldType::*;
        let decimal = Decimal { precision: None, scale: 2 };
        assert_eq!(payload(Int32, false, Value::Integer(1)), unhex("02"));
        assert_eq!(payload(Int64, false, Value::Integer(-1)), unhex("01"));
        assert_eq!(payload(String, false, Value::Text("ab".into())), unhex("046162"));
        assert_eq!(payload(Int32, true, Value::Integer(1)), unhex("0202"));
        assert_eq!(payload(String, true, Value::Text("ab".into())), unhex("02046162"));
        assert_eq!(payload(Bytes, false, Value::Bytes(vec![1, 2, 3].into())), unhex("010203"));
        assert_eq!(payload(Bytes, true, Value::Bytes(vec![1, 2, 3].into())), unhex("0206010203"));
        assert_eq!(payload(decimal.clone(), false, Value::Decimal(vec![0x7b].into())), unhex("7b"));
        assert_eq!(payload(decimal, true, Value::Decimal(vec![0x80].into())), unhex("020280"));
    }

    #[test]
    fn a_bare_null_is_a_null_record_part() {
        let optional = bind(&key(FieldType::Int32, true));
        assert!(optional.is_null(&[Value::Null]));
        assert!(!optional.is_null(&[Value::Integer(1)]));
        assert!(!bind(&key(FieldType::Int32, false)).is_null(&[Value::Null]));
    }

    #[test]
    fn the_extremes_of_integers_survive() {
        assert_eq!(payload(FieldType::Int64, false, Value::Integer(i64::MIN)), unhex("ffffffffffffffffff01"));
        assert_eq!(payload(FieldType::Int64, true, Value::Integer(i64::MAX)), unhex("02feffffffffffffffff01"));
        assert_eq!(payload(FieldType::Float64, true, Value::Float64(-2.5)), unhex("0200000000000004c0"));
    }

    #[test]
    fn a_value_that_does_not_fit_names_its_field_and_leaves_no_bytes() {
        use FieldType::*;
        let too_much = [
            (Int8, Value::Integer(128), ErrorKind::Value),
            (Int16, Value::Integer(-32_769), ErrorKind::Value),
            (Int32, Value::Integer(1 << 31), ErrorKind::Value),
            (Date, Value::Integer(1 << 31), ErrorKind::Value),
            (Time, Value::Integer(86_400_001), ErrorKind::Value),
            (Time, Value::Integer(-1), ErrorKind::Value),
            (String, Value::Integer(1), ErrorKind::Value),
            (String, Value::Null, ErrorKind::Value),
        ];
        for (field_type, value, kind) in too_much {
            let fields = vec![field("ok", Int32, false), field("bad", field_type, false)];
            let encoder =
                bind(&Schema::Record(RecordSchema { version: None, doc: None, name: Some("t".into()), fields }));
            let mut out = vec![9];
            let error = encoder.encode(&[Value::Integer(1), value], &mut out).unwrap_err();
            assert_eq!((error.kind(), error.context("field"), &out[..]), (kind, Some("bad"), &[9][..]));
        }
        assert_eq!(payload(Time, false, Value::Integer(86_400_000)).len(), 4);
        assert_eq!(encode(&key(Int32, false), &[]).unwrap_err().kind(), ErrorKind::Internal);
    }
}
