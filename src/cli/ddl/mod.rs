//! `rowtide explain --ddl`: the definition that a reader of a topic needs, with the types that the reader's own formats give
//! the columns. A file for each reader.

mod clickhouse;
mod flink;
mod ksql;
mod postgres;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use clap::ValueEnum;

use crate::config::spec::ConnectorSpec;
use crate::error::{Error, Result};
use crate::model::{Field, Schema, TableDefinition};
use crate::task::binding::Binding;

/// A reader of topics, or the database behind one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Target {
    /// A table of Flink SQL.
    Flink,
    /// A stream or table of ksqlDB.
    Ksql,
    /// A table of PostgreSQL, as a JDBC sink fills it.
    Postgres,
    /// A table of ClickHouse with its Kafka engine.
    Clickhouse,
}

/// A topic as a definition needs it.
struct Topic<'a> {
    name: &'a str,
    brokers: &'a str,
    table: &'a TableDefinition,
    /// The columns of the values, each with its index in the rows.
    columns: Vec<(&'a Field, usize)>,
    key: Key<'a>,
    format: &'static str,
    settings: &'a BTreeMap<String, String>,
    key_format: &'static str,
    key_settings: &'a BTreeMap<String, String>,
}

/// The key of the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key<'a> {
    None,
    /// A record of columns.
    Record(&'a [Field]),
    /// One column alone.
    Bare(&'a Field),
}

/// The definition of a table's topic for a reader.
///
/// # Errors
/// `Config` if the reader cannot read the format.
pub(super) fn statement(target: Target, spec: &ConnectorSpec, binding: &Binding) -> Result<String> {
    let value = binding.value_side();
    let key = match binding.key_side().map(|side| side.schema) {
        None => Key::None,
        Some(Schema::Record(record)) => Key::Record(&record.fields),
        Some(Schema::Field(field)) => Key::Bare(field),
        Some(Schema::Hoisted { .. }) => return Err(nested("keys", value.topic)),
    };
    if matches!(value.schema, Schema::Hoisted { .. }) {
        return Err(nested("values", value.topic));
    }
    let topic = Topic {
        name: value.topic,
        brokers: &spec.kafka.bootstrap_servers,
        table: value.table,
        columns: value.fields()?,
        key,
        format: spec.value_converter.definition.name,
        settings: &spec.value_converter.settings,
        key_format: spec.key_converter.definition.name,
        key_settings: &spec.key_converter.settings,
    };
    if value.bare().is_some() {
        return Err(Error::config("the values are single columns, which are no table").with("topic", topic.name));
    }
    match target {
        Target::Flink => flink::statement(&topic),
        Target::Ksql => ksql::statement(&topic),
        Target::Postgres => Ok(postgres::statement(&topic)),
        Target::Clickhouse => clickhouse::statement(&topic),
    }
    .map_err(|error| error.with("topic", topic.name))
}

fn nested(what: &str, topic: &str) -> Error {
    Error::config(format!("the {what} are records in records, for which no definition is made"))
        .with("topic", topic)
        .advise("leave HoistField out")
}

impl<'a> Topic<'a> {
    /// The names of the key's columns.
    fn key_names(&self) -> Vec<&'a str> {
        match self.key {
            Key::None => Vec::new(),
            Key::Record(fields) => fields.iter().map(|field| field.name.as_str()).collect(),
            Key::Bare(field) => vec![field.name.as_str()],
        }
    }

    /// True if all columns of the key are columns of the values.
    fn has_key_in_value(&self) -> bool {
        let is_column = |name: &&str| self.columns.iter().any(|(field, _)| field.name == *name);
        !self.key_names().is_empty() && self.key_names().iter().all(is_column)
    }

    fn is_of_key(&self, field: &Field) -> bool {
        self.key_names().contains(&field.name.as_str())
    }

    /// The first address of the registry, without credentials.
    fn registry(&self) -> String {
        let settings =
            if self.settings.contains_key("schema.registry.url") { self.settings } else { self.key_settings };
        let first = settings.get("schema.registry.url").and_then(|urls| urls.split(',').next()).unwrap_or_default();
        match (first.split_once("://"), first.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
            _ => first.to_owned(),
        }
    }

    /// True if exact numbers are digits in the format (`decimal.format`).
    fn has_digits(&self) -> bool {
        self.settings.get("decimal.format").is_some_and(|format| format.eq_ignore_ascii_case("numeric"))
    }

    /// True if a flag of the format is on.
    fn flag(&self, name: &str, default: bool) -> bool {
        self.settings.get(name).map_or(default, |text| text.eq_ignore_ascii_case("true"))
    }

    /// The database's type of a column; none of a transform's values.
    fn native(&self, index: usize) -> Option<&'a str> {
        self.table.columns.get(index).map(|column| column.database_type.as_str())
    }

    /// Refuses the format, with what works instead.
    fn refuse(&self, reader: &str, advice: &str) -> Error {
        Error::config(format!("{reader} does not read {}", self.format)).advise(advice.to_owned())
    }
}

/// A decimal type of at most `most` digits; none where the column's does not fit it.
fn decimal(precision: Option<i32>, scale: i32, most: i32) -> Option<(i32, i32)> {
    let precision = precision.filter(|precision| *precision > 0).unwrap_or(most).min(most);
    (0..=precision).contains(&scale).then_some((precision, scale))
}

/// A name between quotes, which stand twice in it.
fn quoted(name: &str, quote: char) -> String {
    format!("{quote}{}{quote}", name.replace(quote, &format!("{quote}{quote}")))
}

/// A text of SQL.
fn literal(text: &str) -> String {
    quoted(text, '\'')
}

/// The lines of a definition between its parentheses.
fn body(lines: &[String]) -> String {
    lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join(",\n")
}

/// `'name' = 'value'` on a line each.
fn options(options: &[(&str, String)]) -> String {
    let lines: Vec<String> =
        options.iter().map(|(name, value)| format!("{} = {}", literal(name), literal(value))).collect();
    body(&lines)
}
