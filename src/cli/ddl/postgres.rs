//! PostgreSQL: the table that a JDBC sink fills, whatever the format: sinks see Connect's types.

use super::{Topic, body, decimal, quoted};
use crate::model::{Field, FieldType};

pub(super) fn statement(topic: &Topic<'_>) -> String {
    let mut lines: Vec<String> = topic
        .columns
        .iter()
        .map(|(field, _)| {
            let null = if field.optional && !topic.is_of_key(field) { "" } else { " NOT NULL" };
            format!("{} {}{null}", quoted(&field.name, '"'), column_type(field))
        })
        .collect();
    if topic.has_key_in_value() {
        let names: Vec<String> = topic.key_names().iter().map(|name| quoted(name, '"')).collect();
        lines.push(format!("PRIMARY KEY ({})", names.join(", ")));
    }
    format!("CREATE TABLE {} (\n{}\n);\n", quoted(topic.name, '"'), body(&lines))
}

fn column_type(field: &Field) -> String {
    match &field.field_type {
        FieldType::Boolean => "boolean".to_owned(),
        FieldType::Int8 | FieldType::Int16 => "smallint".to_owned(),
        FieldType::Int32 => "integer".to_owned(),
        FieldType::Int64 => "bigint".to_owned(),
        FieldType::Float32 => "real".to_owned(),
        FieldType::Float64 => "double precision".to_owned(),
        FieldType::String => "text".to_owned(),
        FieldType::Bytes => "bytea".to_owned(),
        FieldType::Date => "date".to_owned(),
        FieldType::Time => "time(3)".to_owned(),
        FieldType::Timestamp => "timestamp(3)".to_owned(),
        // Without digits PostgreSQL keeps every number.
        FieldType::Decimal { precision: None | Some(..=0), .. } => "numeric".to_owned(),
        FieldType::Decimal { precision, scale } => match decimal(*precision, *scale, 1_000) {
            Some((precision, scale)) => format!("numeric({precision}, {scale})"),
            None => "numeric".to_owned(),
        },
    }
}
