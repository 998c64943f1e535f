//! Converters against Kafka Connect's own classes: the same records, byte for byte.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rowtide::convert::{CONVERTERS, ConverterSpec, Role, Side, converter_of};
use rowtide::error::ErrorKind;
use rowtide::model::{Field, FieldType, RecordSchema, Relation, Schema, TableDefinition, TableId, UniqueKeys, Value};

use crate::support::connect;

pub(super) const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";
const STRING: &str = "org.apache.kafka.connect.storage.StringConverter";

const PRIMITIVES: [&str; 7] = ["ByteArray", "Long", "Integer", "Short", "Double", "Float", "Boolean"];

pub(super) fn table() -> TableDefinition {
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

/// The output of one of our converters, as the Java program prints it.
pub(super) fn written(class: &str, settings: &str, schema: &Schema, row: &[Value<'_>]) -> String {
    let pairs = settings.split(',').filter_map(|setting| setting.split_once('='));
    let settings = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let spec = ConverterSpec { definition: converter_of(CONVERTERS, class).expect("a converter"), settings };
    let (table, projection) = (table(), (0..schema.fields().len()).collect::<Vec<_>>());
    let side = Side { topic: "t", role: Role::Value, schema, projection: &projection, table: &table };
    let encoder = match spec.create().expect("a converter").bind_sample(side) {
        Ok(encoder) => encoder,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
            return "refused".to_owned();
        }
    };
    if encoder.is_null(row) {
        return "null".to_owned();
    }
    let mut out = Vec::new();
    encoder.encode(row, &mut out).expect("bytes");
    out.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A line of the Java program's input.
fn line(class: &str, settings: &str, schema: &Schema, row: &[Value<'_>]) -> String {
    format!("{class}\t{settings}\t{}\n", line_of(schema, row))
}

/// A record with its schema as the Java programs take it.
pub(super) fn line_of(schema: &Schema, row: &[Value<'_>]) -> String {
    let record = written(JSON, "schemas.enable=true", schema, row);
    let bytes: Vec<u8> =
        (0..record.len()).step_by(2).map(|at| u8::from_str_radix(&record[at..at + 2], 16).unwrap()).collect();
    STANDARD.encode(bytes)
}

const TYPES: usize = 13;

pub(super) fn type_of(rng: &mut fastrand::Rng) -> FieldType {
    match rng.usize(..TYPES) {
        0 => FieldType::Boolean,
        1 => FieldType::Int8,
        2 => FieldType::Int16,
        3 => FieldType::Int32,
        4 => FieldType::Int64,
        5 => FieldType::Float32,
        6 => FieldType::Float64,
        7 => FieldType::String,
        8 => FieldType::Bytes,
        9 => FieldType::Date,
        10 => FieldType::Time,
        11 => FieldType::Timestamp,
        _ => FieldType::Decimal { precision: rng.bool().then_some(20), scale: rng.i32(-5..30) },
    }
}

pub(super) fn value_of(field_type: &FieldType, rng: &mut fastrand::Rng) -> Value<'static> {
    // Near nothing, near the ends, and anywhere.
    let mut integer = |low: i64, high: i64| {
        let drawn = match rng.u8(..4) {
            0 => rng.i64(-20..20),
            1 => low + rng.i64(..3).abs(),
            2 => high - rng.i64(..3).abs(),
            _ => rng.i64(low..=high),
        };
        Value::Integer(drawn.clamp(low, high))
    };
    match field_type {
        FieldType::Boolean => Value::Boolean(rng.bool()),
        FieldType::Int8 => integer(i8::MIN.into(), i8::MAX.into()),
        FieldType::Int16 => integer(i16::MIN.into(), i16::MAX.into()),
        FieldType::Int32 => integer(i32::MIN.into(), i32::MAX.into()),
        FieldType::Int64 => integer(i64::MIN, i64::MAX),
        // After the calendar's change, before years of five digits.
        FieldType::Date => integer(-100_000, 2_900_000),
        FieldType::Time => integer(0, 86_399_999),
        FieldType::Timestamp => integer(-8_640_000_000_000, 250_000_000_000_000),
        // How the record gets to the program leaves out what is not finite, and the sign of zero.
        FieldType::Float32 => Value::Float32(match rng.u8(..3) {
            0 => Some(f32::from_bits(rng.u32(..))).filter(|value| value.is_normal()).unwrap_or_default(),
            1 => rng.f32() * 1e9,
            _ => rng.i32(-1000..1000) as f32 / 8.0,
        }),
        FieldType::Float64 => Value::Float64(match rng.u8(..4) {
            0 => Some(f64::from_bits(rng.u64(..))).filter(|value| value.is_normal()).unwrap_or_default(),
            1 => rng.f64() * 1e9,
            2 => [0.0, 1e-3, 9.99e-4, 1e7, 9_999_999.0][rng.usize(..5)],
            _ => f64::from(rng.i32(-100_000..100_000)) / 100.0,
        }),
        FieldType::String => {
            let words =
                ["", "a", "\"", "\\", "/", "<&>", "\n\t\r", "\u{0}\u{1f}", "\u{7f}", "é", "\u{2028}", "한", "😀", "𝄞x"];
            Value::Text((0..rng.usize(..6)).map(|_| words[rng.usize(..words.len())]).collect::<String>().into())
        }
        FieldType::Bytes => Value::Bytes((0..rng.usize(..9)).map(|_| rng.u8(..)).collect::<Vec<_>>().into()),
        FieldType::Decimal { .. } => {
            let number = match rng.u8(..3) {
                0 => i128::from(rng.i8(..)),
                1 => i128::from(rng.i64(..)),
                _ => rng.i128(..) / 1000,
            };
            // As short as possible.
            let bytes = number.to_be_bytes();
            let sign = if number < 0 { 0xff } else { 0 };
            let spare = (0..15).take_while(|at| bytes[*at] == sign && (bytes[at + 1] ^ sign) < 0x80).count();
            Value::Decimal(bytes[spare..].to_vec().into())
        }
    }
}

/// A value and its field; some of the optional ones are null.
pub(super) fn column(at: usize, rng: &mut fastrand::Rng) -> (Field, Value<'static>) {
    let field_type = type_of(rng);
    let optional = rng.bool();
    let value = if optional && rng.u8(..4) == 0 { Value::Null } else { value_of(&field_type, rng) };
    let name = if rng.u8(..8) == 0 { format!("ö \"{at}\"") } else { format!("c{at}") };
    (Field { name, field_type, optional, doc: None }, value)
}

/// True if Java 17 prints a number otherwise than the shortest way, which its successors do (JDK-4511638).
fn is_long_in_old_java(value: &Value<'_>) -> bool {
    matches!(value, Value::Float32(_) | Value::Float64(_))
}

#[test]
fn converters_write_the_bytes_of_kafka_connect_s_own_classes() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut lines, mut ours) = (String::new(), Vec::new());
    let mut add = |class: &str, settings: &str, schema: &Schema, row: &[Value<'_>]| {
        lines.push_str(&line(class, settings, schema, row));
        let written = written(class, settings, schema, row);
        ours.push((
            written,
            class.to_owned(),
            settings.to_owned(),
            format!("{schema:?} {row:?}"),
            row.iter().any(is_long_in_old_java),
        ));
    };
    for number in 0..600 {
        let columns: Vec<_> = (0..rng.usize(1..9)).map(|at| column(at, &mut rng)).collect();
        let (fields, row): (Vec<Field>, Vec<Value<'_>>) = columns.into_iter().unzip();
        let name = (number % 3 > 0).then(|| format!("table_{number}"));
        let record = Schema::Record(RecordSchema { version: None, doc: None, name, fields: fields.clone() });
        for settings in ["schemas.enable=true", "schemas.enable=false", "schemas.enable=false,decimal.format=numeric"] {
            add(JSON, settings, &record, &row);
        }
        let bare = Schema::Field(fields[0].clone());
        add(JSON, "schemas.enable=false", &bare, &row[..1]);
        if !fields.iter().any(|field| field.field_type == FieldType::Bytes) {
            add(STRING, "", &record, &row);
            add(STRING, "", &bare, &row[..1]);
        }
        for name in PRIMITIVES {
            // A null has no type in Java; here the type of its column decides.
            if row[0] != Value::Null {
                add(&format!("org.apache.kafka.connect.converters.{name}Converter"), "", &bare, &row[..1]);
            }
        }
    }
    let theirs = connect::converters(&lines);
    let mut differ = Vec::new();
    for ((ours, class, settings, what, has_double), theirs) in ours.iter().zip(&theirs) {
        if ours != theirs && !(*has_double && same_but_doubles(ours, theirs)) {
            differ.push(format!("{class} {settings} {what}\n  ours   {}\n  theirs {}", shown(ours), shown(theirs)));
        }
    }
    assert!(
        differ.is_empty(),
        "{} of {} differ:\n{}",
        differ.len(),
        theirs.len(),
        differ[..differ.len().min(8)].join("\n")
    );
    assert!(theirs.len() > 4000 && ours.iter().filter(|(written, ..)| written == "refused").count() > 1000);
}

fn text(hex: &str) -> Option<String> {
    let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    String::from_utf8((0..hex.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>()?).ok()
}

fn shown(hex: &str) -> String {
    text(hex).unwrap_or_else(|| hex.to_owned())
}

/// True if two texts are the same where every number is the double it stands for.
fn same_but_doubles(one: &str, other: &str) -> bool {
    match (text(one), text(other)) {
        (Some(one), Some(other)) => with_short_numbers(&one) == with_short_numbers(&other),
        _ => false,
    }
}

/// A text with every number that has a point or an exponent in its shortest form, as a float: Java 17 prints some longer
/// than they need to be (JDK-4511638).
pub(super) fn with_short_numbers(text: &str) -> Vec<String> {
    let parts = text.split([',', ':', '}', '{', '=', '"']).map(|part| match part.parse::<f64>() {
        Ok(number) if part.contains(['.', 'E']) => format!("{:e}", number as f32),
        _ => part.to_owned(),
    });
    parts.collect()
}
