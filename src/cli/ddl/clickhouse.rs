//! ClickHouse: a table with the Kafka engine; a materialized view takes the rows from it to a table that keeps them.

use super::{Topic, body, decimal, literal};
use crate::error::Result;
use crate::model::{Field, FieldType};

pub(super) fn statement(topic: &Topic<'_>) -> Result<String> {
    let format = match topic.format {
        "avro" => "AvroConfluent",
        "json" if !topic.flag("schemas.enable", true) => "JSONEachRow",
        "json" => return Err(topic.refuse("ClickHouse", "set value.converter.schemas.enable=false")),
        _ => return Err(topic.refuse("ClickHouse", "use Avro, or JSON without schemas")),
    };
    let is_json = format == "JSONEachRow";
    let lines: Vec<String> = topic
        .columns
        .iter()
        .map(|(field, _)| {
            let (of, hint) = column_type(topic, field, is_json);
            let of = if field.optional { format!("Nullable({of})") } else { of };
            format!("{} {of}{hint}", name(&field.name))
        })
        .collect();
    let mut settings = vec![
        format!("kafka_broker_list = {}", literal(topic.brokers)),
        format!("kafka_topic_list = {}", literal(topic.name)),
        format!("kafka_group_name = {}", literal(&format!("clickhouse-{}", topic.name))),
        format!("kafka_format = '{format}'"),
    ];
    if !is_json {
        settings.push(format!("format_avro_schema_registry_url = {}", literal(&topic.registry())));
    }
    let table = name(topic.name);
    Ok(format!("CREATE TABLE {table} (\n{}\n) ENGINE = Kafka SETTINGS\n{};\n", body(&lines), body(&settings)))
}

fn name(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

fn column_type(topic: &Topic<'_>, field: &Field, is_json: bool) -> (String, &'static str) {
    let plain = |name: &str| (name.to_owned(), "");
    match &field.field_type {
        FieldType::Boolean => plain("Bool"),
        FieldType::Int8 => plain("Int8"),
        FieldType::Int16 => plain("Int16"),
        FieldType::Int32 => plain("Int32"),
        FieldType::Int64 => plain("Int64"),
        FieldType::Float32 => plain("Float32"),
        FieldType::Float64 => plain("Float64"),
        FieldType::String => plain("String"),
        FieldType::Bytes if is_json => ("String".to_owned(), " /* base64Decode(...) */"),
        FieldType::Bytes => plain("String"),
        FieldType::Date if is_json => ("Int32".to_owned(), " /* days since 1970-01-01 */"),
        FieldType::Date => plain("Date32"),
        FieldType::Time => ("Int32".to_owned(), " /* milliseconds of the day */"),
        FieldType::Timestamp if is_json => ("Int64".to_owned(), " /* fromUnixTimestamp64Milli(...) */"),
        FieldType::Timestamp => plain("DateTime64(3)"),
        FieldType::Decimal { .. } if is_json && !topic.has_digits() => {
            ("String".to_owned(), " /* base64; Decimal needs decimal.format=NUMERIC */")
        }
        FieldType::Decimal { precision, scale } => match decimal(*precision, *scale, 76) {
            Some((precision, scale)) => plain(&format!("Decimal({precision}, {scale})")),
            None => ("String".to_owned(), " /* its scale is beyond ClickHouse's Decimal */"),
        },
    }
}
