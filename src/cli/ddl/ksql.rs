//! ksqlDB: a table where records have a key, else a stream.

use super::{Key, Topic, body, decimal, literal, quoted};
use crate::error::{Error, Result};
use crate::model::{Field, FieldType};

pub(super) fn statement(topic: &Topic<'_>) -> Result<String> {
    let format = match topic.format {
        "avro" => "AVRO",
        "json-schema" => "JSON_SR",
        "protobuf" => "PROTOBUF",
        "json" if !topic.flag("schemas.enable", true) => "JSON",
        "json" => return Err(topic.refuse("ksqlDB", "set value.converter.schemas.enable=false")),
        _ => return Err(topic.refuse("ksqlDB", "use Avro, Protobuf, JSON Schema or JSON without schemas")),
    };
    let key_format = key_format(topic)?;
    let mut lines: Vec<String> = Vec::new();
    match topic.key {
        Key::None => {}
        // A record of one column is no column of its own for ksqlDB.
        Key::Record([only]) => {
            lines.push(format!("`key` STRUCT<{} {}> PRIMARY KEY", quoted(&only.name, '`'), column_type(topic, only)))
        }
        Key::Record(fields) => lines.extend(fields.iter().map(|field| key_column(topic, field))),
        Key::Bare(field) => lines.push(key_column(topic, field)),
    }
    let is_struct = matches!(topic.key, Key::Record([_]));
    let others = topic.columns.iter().filter(|(field, _)| is_struct || !topic.is_of_key(field));
    lines.extend(others.map(|(field, _)| format!("{} {}", quoted(&field.name, '`'), column_type(topic, field))));
    let kind = if topic.key == Key::None { "STREAM" } else { "TABLE" };
    let mut with = vec![format!("KAFKA_TOPIC = {}", literal(topic.name))];
    with.extend(key_format.map(|format| format!("KEY_FORMAT = '{format}'")));
    with.push(format!("VALUE_FORMAT = '{format}'"));
    let name = quoted(topic.name, '`');
    Ok(format!("CREATE {kind} {name} (\n{}\n) WITH (\n{}\n);\n", body(&lines), body(&with)))
}

fn key_column(topic: &Topic<'_>, field: &Field) -> String {
    format!("{} {} PRIMARY KEY", quoted(&field.name, '`'), column_type(topic, field))
}

fn key_format(topic: &Topic<'_>) -> Result<Option<&'static str>> {
    let has_schemas = topic.key_settings.get("schemas.enable").is_none_or(|text| !text.eq_ignore_ascii_case("false"));
    Ok(Some(match (topic.key, topic.key_format) {
        (Key::None, _) => return Ok(None),
        (_, "avro") => "AVRO",
        (_, "json-schema") => "JSON_SR",
        (_, "protobuf") => "PROTOBUF",
        (_, "json") if !has_schemas => "JSON",
        (Key::Bare(_), "string" | "long" | "integer" | "double" | "bytes") => "KAFKA",
        _ => {
            return Err(Error::config(format!("ksqlDB does not read keys of {}", topic.key_format))
                .advise("use Avro, or JSON without schemas, as key.converter"));
        }
    }))
}

fn column_type(topic: &Topic<'_>, field: &Field) -> String {
    let is_json = topic.format == "json" || topic.format == "json-schema";
    match &field.field_type {
        FieldType::Boolean => "BOOLEAN".to_owned(),
        FieldType::Int8 | FieldType::Int16 | FieldType::Int32 => "INT".to_owned(),
        FieldType::Int64 => "BIGINT".to_owned(),
        FieldType::Float32 | FieldType::Float64 => "DOUBLE".to_owned(),
        FieldType::String => "VARCHAR".to_owned(),
        FieldType::Bytes => "BYTES".to_owned(),
        FieldType::Date => "DATE".to_owned(),
        FieldType::Time => "TIME".to_owned(),
        FieldType::Timestamp => "TIMESTAMP".to_owned(),
        FieldType::Decimal { .. } if is_json && !topic.has_digits() => {
            "VARCHAR /* base64; DECIMAL needs decimal.format=NUMERIC */".to_owned()
        }
        FieldType::Decimal { precision, scale } => match decimal(*precision, *scale, 64) {
            Some((precision, scale)) => format!("DECIMAL({precision}, {scale})"),
            None => "BYTES /* its scale is beyond ksqlDB's DECIMAL */".to_owned(),
        },
    }
}
