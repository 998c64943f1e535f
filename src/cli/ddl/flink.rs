//! Flink SQL: `upsert-kafka` where records have a key of columns, else `kafka`; canal-json and Debezium's JSON as changelogs.

use super::{Key, Topic, body, decimal, options, quoted};
use crate::error::Result;
use crate::model::{Field, FieldType};

/// The form that a format gives to dates, times and exact numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Avro's logical types.
    Avro,
    /// Kafka Connect's numbers in JSON.
    Json,
    /// Texts.
    Canal,
}

pub(super) fn statement(topic: &Topic<'_>) -> Result<String> {
    let style = match topic.format {
        "avro" => Style::Avro,
        "json" if !topic.flag("schemas.enable", true) => Style::Json,
        "debezium-json" => Style::Json,
        "canal-json" => Style::Canal,
        "json" => return Err(topic.refuse("Flink", "set value.converter.schemas.enable=false")),
        _ => return Err(topic.refuse("Flink", "use Avro, JSON without schemas, canal-json or debezium-json")),
    };
    let is_changelog = matches!(topic.format, "canal-json" | "debezium-json");
    let key_format = key_format(topic);
    let is_keyed = topic.has_key_in_value() && (is_changelog || key_format.is_some());
    let mut lines: Vec<String> = Vec::new();
    for (field, index) in &topic.columns {
        let (name, null) = (quoted(&field.name, '`'), if field.optional { "" } else { " NOT NULL" });
        let (of, hint) = column_type(topic, field, *index, style);
        lines.push(format!("{name} {of}{null}{hint}"));
    }
    if is_keyed {
        let names: Vec<String> = topic.key_names().iter().map(|name| quoted(name, '`')).collect();
        lines.push(format!("PRIMARY KEY ({}) NOT ENFORCED", names.join(", ")));
    }
    let mut with = vec![("connector", "kafka".to_owned()), ("topic", topic.name.to_owned())];
    with.push(("properties.bootstrap.servers", topic.brokers.to_owned()));
    // Records of transactions that were aborted are in the topic, too.
    with.push(("properties.isolation.level", "read_committed".to_owned()));
    let mut before = String::new();
    match (is_changelog, key_format.filter(|_| is_keyed)) {
        (true, _) => {
            with.push(("scan.startup.mode", "earliest-offset".to_owned()));
            with.push(("format", topic.format.to_owned()));
            if topic.flag("envelope.schemas.enable", false) {
                with.push(("debezium-json.schema-include", "true".to_owned()));
            }
            if is_keyed {
                before.push_str("SET 'table.exec.source.cdc-events-duplicate' = 'true';\n");
            }
        }
        (false, Some(key_format)) => {
            with[0].1 = "upsert-kafka".to_owned();
            push_format(&mut with, topic, "key", key_format);
            push_format(&mut with, topic, "value", if style == Style::Avro { "avro-confluent" } else { "json" });
        }
        (false, None) => {
            with.push(("scan.startup.mode", "earliest-offset".to_owned()));
            push_format(&mut with, topic, "value", if style == Style::Avro { "avro-confluent" } else { "json" });
            before.push_str(match topic.key {
                Key::None => "",
                _ => "-- The key is of a form that upsert-kafka does not read (a record of columns in Avro or JSON is): no upserts.\n",
            });
        }
    }
    let name = quoted(topic.name, '`');
    Ok(format!("{before}CREATE TABLE {name} (\n{}\n) WITH (\n{}\n);\n", body(&lines), options(&with)))
}

/// The format of the key, if Flink reads it.
fn key_format(topic: &Topic<'_>) -> Option<&'static str> {
    let has_schemas = topic.key_settings.get("schemas.enable").is_none_or(|text| !text.eq_ignore_ascii_case("false"));
    match (topic.key, topic.key_format) {
        (Key::Record(_), "avro") => Some("avro-confluent"),
        (Key::Record(_), "json") if !has_schemas => Some("json"),
        (Key::Bare(Field { field_type: FieldType::String, .. }), "string") => Some("raw"),
        (Key::Bare(_), "long" | "integer" | "short" | "double" | "float" | "boolean" | "bytes") => Some("raw"),
        _ => None,
    }
}

fn push_format(with: &mut Vec<(&'static str, String)>, topic: &Topic<'_>, side: &str, format: &str) {
    let (name, url) = match side {
        "key" => ("key.format", "key.avro-confluent.url"),
        _ => ("value.format", "value.avro-confluent.url"),
    };
    with.push((name, format.to_owned()));
    if format == "avro-confluent" {
        with.push((url, topic.registry()));
    }
}

/// The type of a column, and a remark where it is not what one expects.
fn column_type(topic: &Topic<'_>, field: &Field, index: usize, style: Style) -> (String, &'static str) {
    let plain = |name: &str| (name.to_owned(), "");
    let native = topic.native(index).unwrap_or_default().to_lowercase();
    if style == Style::Canal {
        match native.split(['(', ' ']).next() {
            Some("enum") => return ("INT".to_owned(), " /* the place of the word, from 1 */"),
            Some("set" | "bit") => return ("BIGINT".to_owned(), ""),
            Some("year") => return plain("INT"),
            _ => {}
        }
    }
    let is_word = topic.table.columns.get(index).is_some_and(|column| column.database_type.starts_with("bool"));
    match (&field.field_type, style) {
        (FieldType::Boolean, Style::Canal) if !is_word => ("TINYINT".to_owned(), " /* 0 or 1 */"),
        (FieldType::Boolean, _) => plain("BOOLEAN"),
        (FieldType::Int8, _) => plain("TINYINT"),
        (FieldType::Int16, _) => plain("SMALLINT"),
        (FieldType::Int32, _) => plain("INT"),
        (FieldType::Int64, _) => plain("BIGINT"),
        (FieldType::Float32, _) => plain("FLOAT"),
        (FieldType::Float64, _) => plain("DOUBLE"),
        (FieldType::String, _) => plain("STRING"),
        (FieldType::Bytes, Style::Canal) if topic.settings.get("binary.format").is_none_or(|form| form != "base64") => {
            ("STRING".to_owned(), " /* bytes as characters; BYTES needs binary.format=base64 */")
        }
        (FieldType::Bytes, _) => plain("BYTES"),
        (FieldType::Date, Style::Json) => ("INT".to_owned(), " /* days since 1970-01-01 */"),
        (FieldType::Date, _) => plain("DATE"),
        (FieldType::Time, Style::Json) => ("INT".to_owned(), " /* milliseconds of the day */"),
        (FieldType::Time, Style::Avro) => plain("TIME(3)"),
        (FieldType::Time, Style::Canal) => plain("TIME(0)"),
        (FieldType::Timestamp, Style::Json) => ("BIGINT".to_owned(), " /* TO_TIMESTAMP_LTZ(..., 3) */"),
        (FieldType::Timestamp, _) => plain("TIMESTAMP(3)"),
        (FieldType::Decimal { .. }, Style::Json) if !topic.has_digits() => {
            ("STRING".to_owned(), " /* base64; DECIMAL needs decimal.format=NUMERIC */")
        }
        (FieldType::Decimal { precision, scale }, _) => match decimal(*precision, *scale, 38) {
            Some((precision, scale)) => plain(&format!("DECIMAL({precision}, {scale})")),
            None if style == Style::Avro => ("BYTES".to_owned(), " /* its scale is beyond Flink's DECIMAL */"),
            None => ("STRING".to_owned(), " /* its scale is beyond Flink's DECIMAL */"),
        },
    }
}
