//! JSON Schema and Protobuf against the libraries under Confluent's converters: the same records, byte for byte. (The
//! converters themselves are on no registry that the tests reach.)

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rowtide::convert::{CONVERTERS, ConverterSpec, Role, Side, converter_of};
use rowtide::model::{Field, FieldType, RecordSchema, Schema, Value};

use super::converters::{JSON, column, line_of, table};
use crate::support::connect;

/// A record and what is made of it.
struct Case {
    schema: Schema,
    row: Vec<Value<'static>>,
    /// Its schema in the registry.
    text: String,
    /// Its bytes behind the schema's id.
    bytes: Vec<u8>,
    /// As `explain --sample` shows it.
    shown: String,
}

fn case(class: &str, settings: &[(&str, &str)], schema: Schema, row: Vec<Value<'static>>) -> Case {
    let url = ("schema.registry.url", "http://localhost");
    let settings = settings.iter().chain([&url]).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let spec = ConverterSpec {
        definition: converter_of(CONVERTERS, class).expect("a converter"),
        settings: settings.collect(),
    };
    let (table, projection) = (table(), (0..schema.fields().len()).collect::<Vec<_>>());
    let side = Side { topic: "t", role: Role::Value, schema: &schema, projection: &projection, table: &table };
    let converter = spec.create().expect("a converter");
    let preview = converter.preview(side).expect("a schema");
    let mut out = Vec::new();
    converter.bind_sample(side).expect("an encoder").encode(&row, &mut out).expect("bytes");
    let shown = converter.render_sample(&preview, &out).expect("text");
    Case { text: preview.schema.expect("a schema"), bytes: out.split_off(5), shown, schema, row }
}

/// Records of all types, with nulls and extremes.
fn records(count: usize) -> Vec<(Schema, Vec<Value<'static>>)> {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let record = |number: usize| {
        let columns: Vec<_> = (0..rng.usize(1..40)).map(|at| column(at, &mut rng)).collect();
        let (fields, row): (Vec<Field>, Vec<Value<'_>>) = columns.into_iter().unzip();
        let name = (!number.is_multiple_of(3)).then(|| format!("table_{number}"));
        (Schema::Record(RecordSchema { version: (number % 5 == 1).then_some(7), doc: None, name, fields }), row)
    };
    (0..count).map(record).collect()
}

/// The library sorts the branches of a text that may be null by an address in memory.
fn with_null_first(schema: &str) -> String {
    [r#"{"type":"string"}"#, r#"{"type":"string","connect.type":"bytes"}"#]
        .iter()
        .fold(schema.to_owned(), |text, of| {
            text.replace(&format!(r#"[{of},{{"type":"null"}}]"#), &format!(r#"[{{"type":"null"}},{of}]"#))
        })
}

#[test]
fn json_schemas_are_the_texts_that_confluent_s_library_prints() {
    let (mut lines, mut cases) = (String::new(), Vec::new());
    for (number, (schema, row)) in records(150).into_iter().enumerate() {
        let is_open = if number % 2 == 0 { "true" } else { "false" };
        let mut schemas = vec![schema];
        if let (Schema::Record(record), true) = (&schemas[0], number % 4 == 0) {
            schemas.push(Schema::Field(record.fields[0].clone()));
        }
        for schema in schemas {
            let row = row[..schema.fields().len()].to_vec();
            lines.push_str(&format!("{is_open}\t{}\n", line_of(&schema, &row)));
            cases.push(case("json-schema", &[("object.additional.properties", is_open)], schema, row));
        }
    }
    let theirs = connect::registry_formats("json-schema", &lines);
    for (case, theirs) in cases.iter().zip(&theirs) {
        assert_eq!(with_null_first(&case.text), with_null_first(theirs), "{:?}", case.schema);
        assert_eq!(case.shown.as_bytes(), case.bytes, "the text of the record is the record");
    }
    assert!(theirs.len() > 150);
}

/// A name that Protobuf allows and the same value; zeros and empty texts often.
fn for_protobuf((schema, row): (Schema, Vec<Value<'static>>), number: usize) -> (Schema, Vec<Value<'static>>) {
    let Schema::Record(mut record) = schema else { unreachable!("records are records") };
    for (at, field) in record.fields.iter_mut().enumerate() {
        field.name = format!("c_{at}x");
    }
    let zero = |value: Value<'static>| match value {
        Value::Integer(_) => Value::Integer(0),
        Value::Boolean(_) => Value::Boolean(false),
        Value::Float32(_) => Value::Float32(0.0),
        Value::Float64(_) => Value::Float64(0.0),
        Value::Text(_) => Value::Text("".into()),
        Value::Bytes(_) => Value::Bytes(Vec::new().into()),
        Value::Decimal(_) => Value::Decimal(vec![0].into()),
        Value::Null => Value::Null,
    };
    let within = |(field, value): (&Field, Value<'static>)| match (&field.field_type, value) {
        // What Protobuf's types hold: years from 1 to 9999.
        (FieldType::Date, Value::Integer(days)) => Value::Integer(days.clamp(-700_000, 2_900_000)),
        (FieldType::Timestamp, Value::Integer(millis)) => {
            Value::Integer(millis.clamp(-62_135_596_800_000, 253_402_300_799_999))
        }
        (_, value) => value,
    };
    let row = record.fields.iter().zip(row).map(within);
    let row = row.map(|value| if number.is_multiple_of(3) { zero(value) } else { value }).collect();
    (Schema::Record(record), row)
}

#[test]
fn protobuf_records_have_the_bytes_of_google_s_library_and_read_as_its_json() {
    let styles: [&[(&str, &str)]; 4] = [
        &[],
        &[("optional.for.nullables", "true")],
        &[("wrapper.for.nullables", "true")],
        &[("optional.for.nullables", "true"), ("wrapper.for.nullables", "true")],
    ];
    let (mut lines, mut cases) = (String::new(), Vec::new());
    for (number, record) in records(300).into_iter().enumerate() {
        let (schema, row) = for_protobuf(record, number);
        let line = line_of(&schema, &row);
        let case = case("protobuf", styles[number % 4], schema, row);
        lines.push_str(&format!("{}\t{line}\n", STANDARD.encode(&case.text)));
        cases.push(case);
    }
    let theirs = connect::registry_formats("protobuf", &lines);
    for (case, theirs) in cases.iter().zip(&theirs) {
        let (hex, json) = theirs.split_once('\t').expect("bytes and JSON");
        let ours: String = case.bytes[1..].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((case.bytes[0], ours.as_str()), (0, hex), "{}\n{:?}", case.text, case.row);
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(without_floats(read(&case.shown)), without_floats(read(json)), "{:?}", case.row);
    }
}

/// Numbers as floats: Java 17 prints some longer than they need to be (JDK-4511638).
fn without_floats(json: serde_json::Value) -> serde_json::Value {
    match json {
        serde_json::Value::Object(members) => {
            members.into_iter().map(|(name, member)| (name, without_floats(member))).collect()
        }
        serde_json::Value::Number(number) => {
            serde_json::Value::String(format!("{:e}", number.as_f64().unwrap_or_default() as f32))
        }
        other => other,
    }
}

#[test]
fn json_of_the_registry_is_that_of_json_converter() {
    for (schema, row) in records(100) {
        let ours = case("json-schema", &[("decimal.format", "numeric")], schema.clone(), row.clone());
        let plain = super::converters::written(JSON, "schemas.enable=false,decimal.format=numeric", &schema, &row);
        assert_eq!(ours.bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), plain);
    }
}
