//! `rowtide offsets list`: the stored offsets of connectors, as a table or as JSON. Asks the brokers only.

use serde_json::json;

use super::{Stop, load};
use crate::cli::{ConfigArgs, output};
use crate::config::spec::{ConnectorSpec, Selection};
use crate::guard::method_names;
use crate::model::{SourcePartition, TableId};
use crate::offsets::{StoredOffset, format};
use crate::status::now_millis;

pub(super) async fn list(connectors: &[String], as_json: bool, config: &ConfigArgs) -> Result<(), Stop> {
    let specs = output::load(connectors, config).map_err(Stop::Said)?;
    let mut documents = Vec::new();
    for spec in &specs {
        let stored = load(spec, config).await?;
        if as_json {
            let server = stored.server.as_ref().map(|server| server.identity.as_str());
            documents.extend(stored.offsets.iter().map(|(partition, stored)| entry(spec, partition, stored, server)));
            continue;
        }
        let mut text = format!("connector {} in topic {}\n", spec.name, spec.offsets.topic);
        if let Some(server) = &stored.server {
            text.push_str(&format!("  server: {}\n", server.identity));
        }
        if stored.offsets.is_empty() {
            text.push_str("  no offsets stored\n");
        }
        for (partition, stored) in &stored.offsets {
            let selected = if is_selected(spec, partition) { "" } else { "  (no longer selected)" };
            text.push_str(&format!(
                "  {partition}  {}{selected}\n    guard {}, {} [{}] @ {}, written {}\n",
                stored.offset,
                guard(stored),
                stored.topic,
                stored.partition,
                stored.kafka_offset,
                age(stored.written_at),
            ));
        }
        output::print(&text)?;
    }
    if as_json {
        output::print(&format!("{}\n", serde_json::to_string_pretty(&documents).unwrap_or_default()))?;
    }
    Ok(())
}

/// The method whose checkpoint is stored, by its name in `commit.guard`; all that it may be, where several store the same.
fn guard(stored: &StoredOffset) -> String {
    let Some(checkpoint) = &stored.offset.guard else { return "off".to_owned() };
    match method_names(checkpoint).join("/") {
        names if names.is_empty() => "unknown".to_owned(),
        names => names,
    }
}

fn entry(
    spec: &ConnectorSpec,
    partition: &SourcePartition,
    stored: &StoredOffset,
    server: Option<&str>,
) -> serde_json::Value {
    let offset: serde_json::Value = serde_json::from_slice(&format::value(&stored.offset)).unwrap_or_default();
    json!({
        "connector": spec.name,
        "partition": partition.0,
        "offset": offset,
        "position": stored.offset.to_string(),
        "guard": guard(stored),
        "server": server,
        "selected": is_selected(spec, partition),
        "topic": stored.topic,
        "kafka_partition": stored.partition,
        "kafka_offset": stored.kafka_offset,
        "written_at_ms": stored.written_at,
        "age_seconds": stored.written_at.map(age_seconds),
    })
}

/// True if the connector's own lists select the table: the database is not asked.
fn is_selected(spec: &ConnectorSpec, partition: &SourcePartition) -> bool {
    match (&spec.selection, partition.0.get("table")) {
        (Selection::Query { .. }, table) => table.is_none(),
        (Selection::Tables(_), None) => false,
        (Selection::Tables(filter), Some(table)) => {
            // Some releases of Kafka Connect's connector name the database too.
            let database = spec.source.url.database.as_deref().map(|database| format!("{database}."));
            let without = database.and_then(|database| table.strip_prefix(&database)).filter(|rest| rest.contains('.'));
            let table = without.unwrap_or(table);
            let (schema, name) = match table.rsplit_once('.') {
                Some((schema, name)) => (Some(schema.to_owned()), name.to_owned()),
                None => (None, table.to_owned()),
            };
            let id = TableId { catalog: None, schema, name };
            filter.selects(&id, &id.to_string())
        }
    }
}

fn age_seconds(written_at: i64) -> i64 {
    (now_millis() - written_at) / 1000
}

fn age(written_at: Option<i64>) -> String {
    match written_at.map(age_seconds) {
        None => "at an unknown time".to_owned(),
        Some(seconds) if seconds < 120 => format!("{seconds} s ago"),
        Some(seconds) if seconds < 7200 => format!("{} min ago", seconds / 60),
        Some(seconds) if seconds < 172_800 => format!("{} h ago", seconds / 3600),
        Some(seconds) => format!("{} days ago", seconds / 86_400),
    }
}
