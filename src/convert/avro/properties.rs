//! Laws that hold for every schema and row: what is encoded reads back with apache-avro under the very
//! schema that is registered, and no value makes the encoder panic.

use apache_avro::types::Value as Avro;
use proptest::prelude::*;

use super::super::{Encoder, samples};
use super::decode::decode_with;
use super::schema::{AvroSchema, SchemaStyle};
use super::writer::Source;
use crate::model::{FieldType, RecordSchema, Schema, Value};

fn field_type() -> impl Strategy<Value = FieldType> {
    prop_oneof![
        Just(FieldType::Boolean),
        Just(FieldType::Int8),
        Just(FieldType::Int16),
        Just(FieldType::Int32),
        Just(FieldType::Int64),
        Just(FieldType::Float32),
        Just(FieldType::Float64),
        Just(FieldType::String),
        Just(FieldType::Bytes),
        Just(FieldType::Date),
        Just(FieldType::Time),
        Just(FieldType::Timestamp),
        Just(FieldType::Decimal { precision: Some(38), scale: 4 }),
    ]
}

fn value_of(field_type: &FieldType) -> BoxedStrategy<Value<'static>> {
    let integers = |min: i64, max: i64| (min..=max).prop_map(Value::Integer).boxed();
    match field_type {
        FieldType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        FieldType::Int8 => integers(i8::MIN.into(), i8::MAX.into()),
        FieldType::Int16 => integers(i16::MIN.into(), i16::MAX.into()),
        FieldType::Int32 | FieldType::Date => integers(i32::MIN.into(), i32::MAX.into()),
        FieldType::Int64 | FieldType::Timestamp => any::<i64>().prop_map(Value::Integer).boxed(),
        FieldType::Time => integers(0, 86_400_000),
        FieldType::Float32 => any::<f32>().prop_map(Value::Float32).boxed(),
        FieldType::Float64 => any::<f64>().prop_map(Value::Float64).boxed(),
        FieldType::String => ".{0,80}".prop_map(|text| Value::Text(text.into())).boxed(),
        FieldType::Bytes => proptest::collection::vec(any::<u8>(), 0..80).prop_map(|b| Value::Bytes(b.into())).boxed(),
        FieldType::Decimal { .. } => {
            proptest::collection::vec(any::<u8>(), 1..16).prop_map(|b| Value::Decimal(b.into())).boxed()
        }
    }
}

/// A type, whether it is optional, and a value or null.
fn column() -> impl Strategy<Value = (FieldType, bool, Value<'static>)> {
    (field_type(), any::<bool>()).prop_flat_map(|(kind, optional)| {
        let value = value_of(&kind);
        let value = if optional { prop_oneof![Just(Value::Null), value].boxed() } else { value };
        (Just(kind), Just(optional), value)
    })
}

fn expected(kind: &FieldType, value: &Value<'_>) -> Avro {
    match (kind, value) {
        (_, Value::Null) => Avro::Null,
        (_, Value::Boolean(value)) => Avro::Boolean(*value),
        (FieldType::Int64, Value::Integer(value)) => Avro::Long(*value),
        (FieldType::Timestamp, Value::Integer(value)) => Avro::TimestampMillis(*value),
        (FieldType::Date, Value::Integer(value)) => Avro::Date(*value as i32),
        (FieldType::Time, Value::Integer(value)) => Avro::TimeMillis(*value as i32),
        (_, Value::Integer(value)) => Avro::Int(*value as i32),
        (_, Value::Float32(value)) => Avro::Float(*value),
        (_, Value::Float64(value)) => Avro::Double(*value),
        (_, Value::Text(text)) => Avro::String(text.to_string()),
        (_, Value::Bytes(bytes)) => Avro::Bytes(bytes.to_vec()),
        (_, Value::Decimal(bytes)) => Avro::Decimal(apache_avro::Decimal::from(bytes.as_ref())),
    }
}

fn record(columns: &[(FieldType, bool, Value<'static>)]) -> Schema {
    let fields = columns.iter().enumerate();
    let fields = fields.map(|(at, (kind, optional, _))| samples::field(&format!("c{at}"), kind.clone(), *optional));
    Schema::Record(RecordSchema { version: None, doc: None, name: Some("t".to_owned()), fields: fields.collect() })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_read_back_as_they_were(columns in proptest::collection::vec(column(), 0..12)) {
        let schema = record(&columns);
        let avro = AvroSchema::write(&schema, SchemaStyle::default()).unwrap();
        // The row is stored backwards, so that the projection matters.
        let projection: Vec<usize> = (0..columns.len()).rev().collect();
        let row: Vec<Value<'static>> = columns.iter().rev().map(|(.., value)| value.clone()).collect();
        let encoder = Source { schema: &schema, avro: &avro, projection: &projection }.bind(1).unwrap();
        let mut bytes = Vec::new();
        encoder.encode(&row, &mut bytes).unwrap();

        let parsed = apache_avro::Schema::parse_str(&avro.text).unwrap();
        let mut rest = &bytes[5..];
        let Avro::Record(read) = apache_avro::from_avro_datum(&parsed, &mut rest, None).unwrap() else {
            panic!("not a record")
        };
        prop_assert!(rest.is_empty());
        for ((kind, optional, value), (_, read)) in columns.iter().zip(read) {
            let read = match (optional, read) {
                (true, Avro::Union(_, read)) => *read,
                (_, read) => read,
            };
            // Not by equality, since a NaN is none.
            prop_assert_eq!(format!("{read:?}"), format!("{:?}", expected(kind, value)));
        }
        let text = decode_with(&avro.text, &bytes).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
        // A schema fetched from the registry binds to the same bytes.
        let fetched = Source { schema: &schema, avro: &avro, projection: &projection }.bind_to(1, &avro.text, true);
        let mut again = Vec::new();
        fetched.unwrap().encode(&row, &mut again).unwrap();
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn no_value_makes_the_encoder_panic(
        columns in proptest::collection::vec(column(), 0..6),
        others in proptest::collection::vec(column(), 0..6),
    ) {
        let schema = record(&columns);
        let avro = AvroSchema::write(&schema, SchemaStyle::default()).unwrap();
        let projection: Vec<usize> = (0..columns.len()).collect();
        let encoder = Source { schema: &schema, avro: &avro, projection: &projection }.bind(1).unwrap();
        let row: Vec<Value<'static>> = others.into_iter().map(|(.., value)| value).collect();
        let mut out = vec![1, 2, 3];
        if encoder.encode(&row, &mut out).is_err() {
            prop_assert_eq!(out, vec![1, 2, 3]);
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        for schema in [samples::TEST_TABLE, samples::WIDE] {
            let _ = decode_with(schema, &[&[0, 0, 0, 0, 1], &bytes[..]].concat());
        }
    }

    #[test]
    fn no_name_makes_the_schema_writer_panic(table in ".{0,20}", column in ".{0,20}", scrub in any::<bool>()) {
        let fields = vec![samples::field(&column, FieldType::Int32, true)];
        let schema = Schema::Record(RecordSchema { version: None, doc: None, name: Some(table), fields });
        if let Ok(avro) = AvroSchema::write(&schema, SchemaStyle { connect_meta: true, scrub }) {
            serde_json::from_str::<serde_json::Value>(&avro.text).unwrap();
        }
    }
}
