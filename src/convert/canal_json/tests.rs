//! canal-json, byte for byte, on columns as MySQL and PostgreSQL describe them.

use super::super::samples::{definition, field, side};
use super::*;
use crate::model::{ColumnDefinition, FieldType, Projection, RecordSchema, Schema, TableId};

/// A table of MySQL: name, type in the catalog, type of the field, value.
type Columns<'a> = [(&'a str, &'a str, FieldType, Value<'static>)];

fn column(name: &str, database_type: &str, field_type: FieldType) -> ColumnDefinition {
    ColumnDefinition {
        field: field(name, field_type, true),
        database_type: database_type.to_owned(),
        collation: None,
        seen_in: None,
        projection: Projection::Column,
        not_null: false,
        is_visible: true,
        has_broken_dates: false,
        may_be_null: true,
        auto_increment: false,
        cursor: None,
    }
}

fn message(id: TableId, settings: &[(&str, &str)], columns: &Columns<'_>, operation: Operation) -> String {
    let mut table = definition();
    table.relation = Relation::Table(id);
    table.columns = columns.iter().map(|(name, native, of, _)| column(name, native, of.clone())).collect();
    table.primary_key = columns.first().map(|(name, ..)| (*name).to_owned()).into_iter().collect();
    let fields = table.columns.iter().map(|column| column.field.clone()).collect();
    let schema = Schema::Record(RecordSchema { version: None, doc: None, name: None, fields });
    let row: Vec<Value<'_>> = columns.iter().map(|(.., value)| value.clone()).collect();
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let converter = ConverterSpec { definition: &DEFINITION, settings }.create().unwrap();
    let projection: Vec<usize> = (0..row.len()).collect();
    let encoder = converter.bind_sample(side(&schema, &projection, &table)).unwrap();
    let mut out = Vec::new();
    let change = Change { operation, changed_at: Some(1_700_000_000_123), read_at: 1_700_000_000_456 };
    encoder.encode_change(change, &row, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    serde_json::from_str::<serde_json::Value>(&text).unwrap();
    text
}

fn mysql() -> TableId {
    TableId { catalog: Some("test".to_owned()), schema: None, name: "person".to_owned() }
}

/// One column's SQL type, MySQL type and value.
fn one(database_type: &str, field_type: FieldType, value: Value<'static>) -> String {
    let text = message(
        mysql(),
        &[("content.compatible", "true")],
        &[("c", database_type, field_type, value)],
        Operation::Read,
    );
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    format!("{} {} {}", json["sqlType"]["c"], json["mysqlType"]["c"].as_str().unwrap(), json["data"][0]["c"])
}

#[test]
fn an_insert_is_the_worked_example_and_a_delete_carries_the_row() {
    let columns = [
        ("id", "int", FieldType::Int32, Value::Integer(1)),
        ("name", "varchar(20)", FieldType::String, Value::Text("Bob".into())),
    ];
    let expected = r#"{"id":0,"database":"test","table":"person","pkNames":["id"],"isDdl":false,"type":"INSERT","es":1700000000123,"ts":1700000000456,"sql":"","sqlType":{"id":4,"name":12},"mysqlType":{"id":"int","name":"varchar"},"old":null,"data":[{"id":"1","name":"Bob"}]}"#;
    assert_eq!(message(mysql(), &[], &columns, Operation::Upsert), expected);
    assert_eq!(message(mysql(), &[], &columns, Operation::Delete), expected.replace("INSERT", "DELETE"));
}

#[test]
fn every_type_of_mysql_has_its_sql_type_and_its_text() {
    use FieldType::*;
    let decimal = |scale| Decimal { precision: None, scale };
    for (native, of, value, expected) in [
        ("tinyint(4)", Int8, Value::Integer(-128), r#"-6 tinyint(4) "-128""#),
        ("tinyint(1)", Boolean, Value::Boolean(true), r#"-6 tinyint(1) "1""#),
        ("tinyint unsigned", Int16, Value::Integer(127), r#"-6 tinyint unsigned "127""#),
        ("tinyint unsigned", Int16, Value::Integer(128), r#"5 tinyint unsigned "128""#),
        ("smallint unsigned", Int32, Value::Integer(32_768), r#"4 smallint unsigned "32768""#),
        (
            "int(10) unsigned zerofill",
            Int64,
            Value::Integer(2_147_483_648),
            r#"-5 int(10) unsigned zerofill "2147483648""#,
        ),
        (
            "bigint unsigned",
            decimal(0),
            Value::Decimal(vec![0, 255, 255, 255, 255, 255, 255, 255, 255].into()),
            r#"3 bigint unsigned "18446744073709551615""#,
        ),
        ("bigint unsigned", decimal(0), Value::Decimal(vec![7].into()), r#"-5 bigint unsigned "7""#),
        ("float", Float32, Value::Float32(1e10), r#"7 float "10000000000""#),
        ("double", Float64, Value::Float64(1.5e-7), r#"8 double "0.00000015""#),
        ("double", Float64, Value::Float64(-0.0), r#"8 double "-0""#),
        ("decimal(10,2)", decimal(2), Value::Decimal(vec![0x80].into()), r#"3 decimal(10,2) "-1.28""#),
        ("decimal(10,7)", decimal(7), Value::Decimal(vec![1].into()), r#"3 decimal(10,7) "0.0000001""#),
        ("char(3)", String, Value::Text("a<b>&\u{2028}é".into()), "1 char(3) \"a<b>&\u{2028}é\""),
        ("json", String, Value::Text("{}".into()), r#"12 json "{}""#),
        ("longtext", String, Value::Text("".into()), r#"2005 longtext """#),
        ("varbinary(4)", Bytes, Value::Bytes(vec![0x41, 0xff].into()), r#"2004 varbinary(4) "Aÿ""#),
        ("date", Date, Value::Integer(-1), r#"91 date "1969-12-31""#),
        ("time(2)", Time, Value::Integer(3_723_450), r#"92 time(2) "01:02:03.45""#),
        ("datetime", Timestamp, Value::Integer(1_700_000_000_123), r#"93 datetime "2023-11-14 22:13:20""#),
        ("datetime(6)", Timestamp, Value::Integer(-1), r#"93 datetime(6) "1969-12-31 23:59:59.999000""#),
        ("timestamp(3)", Timestamp, Value::Integer(1_700_000_000_120), r#"93 timestamp(3) "2023-11-14 22:13:20.120""#),
        ("year", Date, Value::Integer(19_000), r#"12 year "2022""#),
        ("year", Int16, Value::Integer(2022), r#"12 year "2022""#),
        ("enum('a','It''s','C')", String, Value::Text("It's".into()), r#"4 enum('a','It''s','C') "2""#),
        ("set('a','b','C')", String, Value::Text("a,C".into()), r#"-7 set('a','b','C') "5""#),
        ("bit(16)", Bytes, Value::Bytes(vec![1, 0].into()), r#"-7 bit(16) "256""#),
        ("bit(1)", Boolean, Value::Boolean(false), r#"-7 bit(1) "0""#),
        ("int", Int32, Value::Null, "4 int null"),
    ] {
        assert_eq!(one(native, of, value), expected);
    }
}

#[test]
fn postgresql_has_words_for_flags_and_the_nearest_names_and_bytes_may_be_base64() {
    let id = TableId { catalog: None, schema: Some("public".to_owned()), name: "t".to_owned() };
    let columns = [
        ("b", "boolean", FieldType::Boolean, Value::Boolean(true)),
        ("t", "timestamp with time zone", FieldType::Timestamp, Value::Integer(1_700_000_000_123)),
        ("r", "bytea", FieldType::Bytes, Value::Bytes(vec![0, 255].into())),
        ("n", "numeric", FieldType::Decimal { precision: None, scale: -3 }, Value::Decimal(vec![12].into())),
        ("d", "double precision", FieldType::Float64, Value::Float64(f64::NEG_INFINITY)),
    ];
    let text = message(id, &[("binary.format", "base64")], &columns, Operation::Read);
    let expected = r#""mysqlType":{"b":"tinyint","t":"datetime","r":"blob","n":"decimal","d":"double"},"old":null,"data":[{"b":"true","t":"2023-11-14 22:13:20.123","r":"AP8=","n":"12000","d":"-Infinity"}]}"#;
    assert!(
        text.ends_with(expected) && text.starts_with(r#"{"id":0,"database":"public","table":"t","pkNames":["b"]"#),
        "{text}"
    );
}

#[test]
fn texts_are_escaped_as_ticdc_does_and_keys_are_plain_json() {
    let mut out = Vec::new();
    push_quoted(&mut out, "<&>\"\\\n\u{1}\u{2028}é😀");
    assert_eq!(String::from_utf8(out).unwrap(), "\"\\u003c\\u0026\\u003e\\\"\\\\\\n\\u0001\\u2028é😀\"");
    let converter = ConverterSpec { definition: &DEFINITION, settings: Default::default() }.create().unwrap();
    let (table, schema) = (
        definition(),
        Schema::Record(RecordSchema {
            version: None,
            doc: None,
            name: None,
            fields: vec![field("id", FieldType::Int64, false)],
        }),
    );
    let of_key = Side { role: Role::Key, ..side(&schema, &[0], &table) };
    let (encoder, mut out) = (converter.bind_sample(of_key).unwrap(), Vec::new());
    encoder.encode(&[Value::Integer(7)], &mut out).unwrap();
    assert_eq!((String::from_utf8(out).unwrap().as_str(), encoder.has_envelope()), (r#"{"id":7}"#, false));
}

#[test]
fn a_value_that_does_not_fit_leaves_no_bytes() {
    let (table, schema) = (
        definition(),
        Schema::Record(RecordSchema {
            version: None,
            doc: None,
            name: None,
            fields: vec![field("c", FieldType::Int8, false)],
        }),
    );
    let converter = ConverterSpec { definition: &DEFINITION, settings: Default::default() }.create().unwrap();
    let encoder = converter.bind_sample(side(&schema, &[0], &table)).unwrap();
    for value in [Value::Integer(128), Value::Null, Value::Text("x".into())] {
        let mut out = vec![1];
        let error = encoder.encode(&[value], &mut out).unwrap_err();
        assert_eq!((error.context("field"), out), (Some("c"), vec![1]));
    }
}
