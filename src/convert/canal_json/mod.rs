//! canal-json as TiCDC writes it (`other-formats.md`, 5): one change of a row in a message, every value a text. Flink's
//! `canal-json` reads it. Polling cannot tell an update from an insert, so there are `INSERT` and, for rows flagged as
//! deleted, `DELETE`.

mod column;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures_util::future::BoxFuture;

use self::column::{Binary, Column, push_quoted};
use super::envelope::{Envelope, EnvelopeEncoder};
use super::json::JsonEncoder;
use super::options::{OF_ALL, Options, setting};
use super::string::Utf8Decoder;
use super::text::push_integer;
use super::{Change, Converter, ConverterDefinition, ConverterSpec, Encoder, Operation, Role, SchemaPreview, Side};
use crate::error::{Error, Result};
use crate::model::{Relation, TableDefinition, Value};
use crate::setting::{Allowed, KeyDefinition, Kind};

static SETTINGS: &[KeyDefinition] = &[
    setting(
        "value.converter.content.compatible",
        Kind::Boolean,
        "Whether `mysqlType` has lengths and all words (`varchar(20)`), as with TiCDC's `content-compatible`.",
    )
    .or("false"),
    setting(
        "value.converter.binary.format",
        Kind::Text,
        "The form of bytes: `latin1`, as TiCDC and Canal write them, or `base64`, which Flink's BYTES reads.",
    )
    .or("latin1")
    .allow(Allowed::Words(&["latin1", "base64"])),
];

/// canal-json, which is no class of Kafka Connect's.
pub(super) static DEFINITION: ConverterDefinition = ConverterDefinition {
    name: "canal-json",
    class: "canal-json",
    doc: "Changes as TiCDC writes them; as key.converter the key's columns as JSON. No class of Kafka Connect's.",
    settings: &[SETTINGS, OF_ALL],
    required: &[],
    has_descriptions: |_| false,
    create: |spec| Ok(Arc::new(CanalJson::new(spec)?)),
    decoder: |_| Ok(Box::new(Utf8Decoder)),
};

struct CanalJson {
    /// `content.compatible`.
    has_full_types: bool,
    binary: Binary,
}

impl CanalJson {
    fn new(spec: &ConverterSpec) -> Result<Self> {
        let options = Options(&spec.settings);
        let binary = match options.get("binary.format") {
            None | Some("latin1") => Binary::Latin1,
            Some("base64") => Binary::Base64,
            Some(text) => return Err(Error::config(format!("binary.format: `{text}` is neither latin1 nor base64"))),
        };
        Ok(Self { has_full_types: options.flag("content.compatible", false)?, binary })
    }

    fn encoder(&self, side: Side<'_>) -> Result<Arc<dyn Encoder>> {
        if side.role == Role::Key {
            return Ok(Arc::new(JsonEncoder::new(side, (Vec::new(), ""), true)?));
        }
        if let Some(field) = side.bare() {
            return Err(Error::config("canal-json writes rows, and the value is a single column")
                .with("column", &field.name)
                .advise("remove the transform that takes one field out of the value"));
        }
        side.flat("canal-json")?;
        let fields = side.fields()?.into_iter();
        let columns: Vec<Column> =
            fields.map(|(field, index)| Column::new(side.table, field, index, self.binary)).collect();
        Ok(Arc::new(EnvelopeEncoder(CanalEnvelope {
            head: head(side).into(),
            types: mysql_types(&columns, self.has_full_types).into(),
            columns: columns.into(),
        })))
    }
}

impl Converter for CanalJson {
    fn bind<'a>(&'a self, side: Side<'a>) -> BoxFuture<'a, Result<Arc<dyn Encoder>>> {
        Box::pin(async move { self.encoder(side) })
    }

    fn preview(&self, _: Side<'_>) -> Result<SchemaPreview> {
        Ok(SchemaPreview { subject: None, schema: None })
    }

    fn check<'a>(&'a self, side: Side<'a>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.encoder(side).map(drop) })
    }

    fn bind_sample(&self, side: Side<'_>) -> Result<Arc<dyn Encoder>> {
        self.encoder(side)
    }

    fn render_sample(&self, _: &SchemaPreview, bytes: &[u8]) -> Result<String> {
        Utf8Decoder::text(bytes)
    }
}

/// Database and table as a change names them: the catalog, else the schema, and the table; a query has its topic.
pub(super) fn place<'a>(table: &'a TableDefinition, topic: &'a str) -> (&'a str, &'a str) {
    match &table.relation {
        Relation::Table(id) => (id.catalog.as_deref().or(id.schema.as_deref()).unwrap_or_default(), &id.name),
        Relation::Query(_) => ("", topic),
    }
}

/// Everything before the kind of the change.
fn head(side: Side<'_>) -> Vec<u8> {
    let (database, table) = place(side.table, side.topic);
    let mut head = br#"{"id":0,"database":"#.to_vec();
    push_quoted(&mut head, database);
    head.extend_from_slice(br#","table":"#);
    push_quoted(&mut head, table);
    head.extend_from_slice(br#","pkNames":"#);
    if side.table.primary_key.is_empty() {
        head.extend_from_slice(b"null");
    } else {
        head.push(b'[');
        for (at, name) in side.table.primary_key.iter().enumerate() {
            head.extend_from_slice(if at == 0 { b"" } else { b"," });
            push_quoted(&mut head, name);
        }
        head.push(b']');
    }
    head.extend_from_slice(br#","isDdl":false,"type":""#);
    head
}

/// Everything between the SQL types and the row.
fn mysql_types(columns: &[Column], is_full: bool) -> Vec<u8> {
    let mut types = br#","mysqlType":{"#.to_vec();
    for (at, column) in columns.iter().enumerate() {
        types.extend_from_slice(if at == 0 { b"" } else { b"," });
        types.extend_from_slice(&column.label);
        push_quoted(&mut types, if is_full { &column.full_type } else { &column.short_type });
    }
    types.extend_from_slice(br#"},"old":null,"data":[{"#);
    types
}

struct CanalEnvelope {
    head: Box<[u8]>,
    types: Box<[u8]>,
    columns: Box<[Column]>,
}

impl Envelope for CanalEnvelope {
    fn append(&self, change: Change, row: &[Value<'_>], out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(match change.operation {
            Operation::Read | Operation::Upsert => br#"INSERT","es":"#,
            Operation::Delete => br#"DELETE","es":"#,
        });
        push_integer(out, change.changed_at.unwrap_or(change.read_at));
        out.extend_from_slice(br#","ts":"#);
        push_integer(out, change.read_at);
        out.extend_from_slice(br#","sql":"","sqlType":"#);
        if self.columns.is_empty() {
            out.extend_from_slice(b"null");
        }
        for (at, column) in self.columns.iter().enumerate() {
            out.push(if at == 0 { b'{' } else { b',' });
            out.extend_from_slice(&column.label);
            push_integer(out, column.sql_type(row));
        }
        out.extend_from_slice(if self.columns.is_empty() { b"" } else { b"}" });
        out.extend_from_slice(&self.types);
        for (at, column) in self.columns.iter().enumerate() {
            out.extend_from_slice(if at == 0 { b"" } else { b"," });
            out.extend_from_slice(&column.label);
            column.append(row, out)?;
        }
        out.extend_from_slice(b"}]}");
        Ok(())
    }
}
