//! The worked examples of the reference, as the tests of several files use them.

use super::{Role, Side};
use crate::model::{Field, FieldType, RecordSchema, Relation, Schema, TableDefinition, TableId, UniqueKeys, Value};

/// A table that nothing is known of.
pub(super) fn definition() -> TableDefinition {
    TableDefinition {
        relation: Relation::Table(TableId { catalog: None, schema: None, name: "t".to_owned() }),
        columns: Vec::new(),
        skipped: Vec::new(),
        by_driver: Vec::new(),
        primary_key: Vec::new(),
        indexes: Vec::new(),
        unique: UniqueKeys::default(),
        comment: None,
    }
}

/// The values of topic `t`.
pub(super) fn side<'a>(schema: &'a Schema, projection: &'a [usize], table: &'a TableDefinition) -> Side<'a> {
    Side { topic: "t", role: Role::Value, schema, projection, table }
}

pub(super) const TEST_TABLE: &str = r#"{"type":"record","name":"test_table","fields":[{"name":"seq","type":"int"},{"name":"ts","type":{"type":"long","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Timestamp","logicalType":"timestamp-millis"}},{"name":"item","type":["null","string"],"default":null},{"name":"price","type":["null","int"],"default":null},{"name":"category","type":["null","string"],"default":null}],"connect.name":"test_table"}"#;
pub(super) const TEST_TABLE_PLAIN: &str = r#"{"type":"record","name":"test_table","fields":[{"name":"seq","type":"int"},{"name":"ts","type":{"type":"long","logicalType":"timestamp-millis"}},{"name":"item","type":["null","string"],"default":null},{"name":"price","type":["null","int"],"default":null},{"name":"category","type":["null","string"],"default":null}]}"#;
pub(super) const WIDE: &str = r#"{"type":"record","name":"wide","fields":[{"name":"id","type":"long"},{"name":"c_bool","type":["null","boolean"],"default":null},{"name":"c_i8","type":{"type":"int","connect.type":"int8"}},{"name":"c_i16","type":["null",{"type":"int","connect.type":"int16"}],"default":null},{"name":"c_i32","type":"int"},{"name":"c_f32","type":["null","float"],"default":null},{"name":"c_f64","type":"double"},{"name":"c_str","type":"string"},{"name":"c_bytes","type":["null","bytes"],"default":null},{"name":"c_date","type":["null",{"type":"int","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Date","logicalType":"date"}],"default":null},{"name":"c_time","type":{"type":"int","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Time","logicalType":"time-millis"}},{"name":"c_ts","type":["null",{"type":"long","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Timestamp","logicalType":"timestamp-millis"}],"default":null},{"name":"c_num","type":["null",{"type":"bytes","scale":2,"precision":10,"connect.version":1,"connect.parameters":{"scale":"2","connect.decimal.precision":"10"},"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}],"default":null},{"name":"c_num_old","type":{"type":"bytes","scale":2,"precision":64,"connect.version":1,"connect.parameters":{"scale":"2"},"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}},{"name":"c_num_unb","type":["null",{"type":"bytes","scale":127,"precision":0,"connect.version":1,"connect.parameters":{"scale":"127","connect.decimal.precision":"0"},"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}],"default":null}],"connect.name":"wide"}"#;

pub(super) fn field(name: &str, field_type: FieldType, optional: bool) -> Field {
    Field { name: name.to_owned(), field_type, optional, doc: None }
}

pub(super) fn key(field_type: FieldType, optional: bool) -> Schema {
    Schema::Field(field("key", field_type, optional))
}

pub(super) fn test_table() -> Schema {
    use FieldType::*;
    Schema::Record(RecordSchema {
        version: None,
        doc: None,
        name: Some("test_table".to_owned()),
        fields: vec![
            field("seq", Int32, false),
            field("ts", Timestamp, false),
            field("item", String, true),
            field("price", Int32, true),
            field("category", String, true),
        ],
    })
}

pub(super) fn test_table_row() -> Vec<Value<'static>> {
    vec![
        Value::Integer(1),
        Value::Integer(1_700_000_000_123),
        Value::Text("apple".into()),
        Value::Null,
        Value::Text("fruit".into()),
    ]
}

pub(super) fn wide() -> Schema {
    use FieldType::*;
    Schema::Record(RecordSchema {
        version: None,
        doc: None,
        name: Some("wide".to_owned()),
        fields: vec![
            field("id", Int64, false),
            field("c_bool", Boolean, true),
            field("c_i8", Int8, false),
            field("c_i16", Int16, true),
            field("c_i32", Int32, false),
            field("c_f32", Float32, true),
            field("c_f64", Float64, false),
            field("c_str", String, false),
            field("c_bytes", Bytes, true),
            field("c_date", Date, true),
            field("c_time", Time, false),
            field("c_ts", Timestamp, true),
            field("c_num", Decimal { precision: Some(10), scale: 2 }, true),
            field("c_num_old", Decimal { precision: None, scale: 2 }, false),
            field("c_num_unb", Decimal { precision: Some(0), scale: 127 }, true),
        ],
    })
}

pub(super) fn wide_row() -> Vec<Value<'static>> {
    vec![
        Value::Integer(1),
        Value::Boolean(true),
        Value::Integer(-1),
        Value::Integer(300),
        Value::Integer(-2),
        Value::Float32(1.5),
        Value::Float64(-2.5),
        Value::Text("é".into()),
        Value::Bytes(vec![0x00, 0xff].into()),
        Value::Integer(19_000),
        Value::Integer(3_723_004),
        Value::Integer(1_700_000_000_123),
        Value::Decimal(vec![0x80].into()),
        Value::Decimal(vec![0x12, 0xd6, 0x87].into()),
        Value::Null,
    ]
}

pub(super) fn empty_wide_row() -> Vec<Value<'static>> {
    vec![
        Value::Integer(1),
        Value::Null,
        Value::Integer(0),
        Value::Null,
        Value::Integer(0),
        Value::Null,
        Value::Float64(0.0),
        Value::Text("".into()),
        Value::Null,
        Value::Null,
        Value::Integer(0),
        Value::Null,
        Value::Null,
        Value::Decimal(vec![0].into()),
        Value::Null,
    ]
}

/// The bytes of [`wide_row`] after the prefix.
pub(super) const WIDE_PAYLOAD: &str =
    "0202010102d80403020000c03f00000000000004c004c3a9020400ff02f0a802f8bbc60302f6a1abfef9620202800612d68700";

pub(super) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}
