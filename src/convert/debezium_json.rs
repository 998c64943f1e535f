//! Debezium's JSON envelope: a change of a row as `before`, `after`, `source` and `op`, with the values of `JsonConverter`.
//! Flink's `debezium-json` reads it. Polling knows no row as it was before, so a change is `c`, a row of a table that is
//! read as a whole `r`, and a row flagged as deleted `d`, with the row in `before`.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::envelope::{Envelope, EnvelopeEncoder};
use super::json::{DECIMALS, JsonConverter, JsonEncoder, has_numeric_decimals, schema_text};
use super::json_text::push_utf8;
use super::options::{OF_ALL, Options, setting};
use super::string::Utf8Decoder;
use super::text::push_integer;
use super::{Change, Converter, ConverterDefinition, ConverterSpec, Encoder, Operation, Role, SchemaPreview, Side};
use crate::error::{Error, Result};
use crate::model::{RecordSchema, Relation, Schema, Value};
use crate::setting::{KeyDefinition, Kind};

static SETTINGS: &[KeyDefinition] = &[setting(
    "value.converter.envelope.schemas.enable",
    Kind::Boolean,
    "Whether each record carries its schema; Flink then wants `debezium-json.schema-include`.",
)
.or("false")
.high()];

/// Debezium's JSON, which is no class of Kafka Connect's.
pub(super) static DEFINITION: ConverterDefinition = ConverterDefinition {
    name: "debezium-json",
    class: "debezium-json",
    doc: "Changes in Debezium's envelope; as key.converter the key as Debezium has it. No class of Kafka Connect's.",
    settings: &[SETTINGS, DECIMALS, OF_ALL],
    required: &[],
    has_descriptions: |spec| Options(&spec.settings).flag("envelope.schemas.enable", false).unwrap_or(false),
    create: |spec| Ok(Arc::new(DebeziumJson::new(spec)?)),
    decoder: |_| Ok(Box::new(Utf8Decoder)),
};

struct DebeziumJson {
    has_schemas: bool,
    has_numeric_decimals: bool,
}

impl DebeziumJson {
    fn new(spec: &ConverterSpec) -> Result<Self> {
        let options = Options(&spec.settings);
        let has_schemas = options.flag("envelope.schemas.enable", false)?;
        Ok(Self { has_schemas, has_numeric_decimals: has_numeric_decimals(options)? })
    }

    fn encoder(&self, side: Side<'_>) -> Result<Arc<dyn Encoder>> {
        if side.role == Role::Key {
            return JsonConverter::with(self.has_schemas, self.has_numeric_decimals).bind_sample(side);
        }
        side.flat("debezium-json")?;
        let Schema::Record(record) = side.schema else {
            return Err(Error::config("debezium-json writes rows, and the value is a single column")
                .with("table", &side.table.relation)
                .advise("remove the transform that takes one field out of the value"));
        };
        let mut head = Vec::new();
        if self.has_schemas {
            head.extend_from_slice(format!("{{\"schema\":{},\"payload\":", envelope(record, side.topic)).as_bytes());
        }
        Ok(Arc::new(EnvelopeEncoder(DebeziumEnvelope {
            head: head.into(),
            row: JsonEncoder::new(side, (Vec::new(), ""), self.has_numeric_decimals)?,
            source: source(side).into(),
            tail: if self.has_schemas { b"}" } else { b"" },
        })))
    }
}

impl Converter for DebeziumJson {
    fn bind<'a>(&'a self, side: Side<'a>) -> BoxFuture<'a, Result<Arc<dyn Encoder>>> {
        Box::pin(async move { self.encoder(side) })
    }

    fn preview(&self, side: Side<'_>) -> Result<SchemaPreview> {
        let schema = match (side.role, side.schema) {
            (Role::Value, Schema::Record(record)) => envelope(record, side.topic),
            (_, schema) => schema_text(schema),
        };
        Ok(SchemaPreview { subject: None, schema: self.has_schemas.then_some(schema) })
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

/// The members of `source` behind the time.
const SOURCE_SCHEMA: &str = concat!(
    r#"{"type":"struct","fields":[{"type":"string","optional":false,"field":"version"},"#,
    r#"{"type":"string","optional":false,"field":"connector"},{"type":"string","optional":false,"field":"name"},"#,
    r#"{"type":"string","optional":false,"field":"db"},{"type":"string","optional":true,"field":"schema"},"#,
    r#"{"type":"string","optional":true,"field":"table"},{"type":"int64","optional":false,"field":"ts_ms"},"#,
    r#"{"type":"string","optional":true,"field":"snapshot"}],"optional":false,"#,
    r#""name":"rowtide.Source","field":"source"}"#
);

/// The schema of the envelope, in Connect's JSON form.
fn envelope(record: &RecordSchema, topic: &str) -> String {
    let named = RecordSchema { name: Some(format!("{topic}.Value")), ..record.clone() };
    let row = schema_text(&Schema::Record(named));
    // A row may be missing on either side.
    let row = row.replacen(r#"],"optional":false,"name""#, r#"],"optional":true,"name""#, usize::MAX);
    let row = row.strip_suffix('}').unwrap_or(&row);
    let mut name = Vec::new();
    push_utf8(&mut name, &format!("{topic}.Envelope"));
    let name = String::from_utf8_lossy(&name).into_owned();
    format!(
        r#"{{"type":"struct","fields":[{row},"field":"before"}},{row},"field":"after"}},{SOURCE_SCHEMA},{{"type":"string","optional":false,"field":"op"}},{{"type":"int64","optional":true,"field":"ts_ms"}}],"optional":false,"name":{name},"version":1}}"#
    )
}

/// The members of `source` before the time.
fn source(side: Side<'_>) -> Vec<u8> {
    let (db, schema, table) = match &side.table.relation {
        Relation::Table(id) => (id.catalog.as_deref(), id.schema.as_deref(), Some(id.name.as_str())),
        Relation::Query(_) => (None, None, None),
    };
    let mut source = br#"{"version":""#.to_vec();
    source.extend_from_slice(env!("CARGO_PKG_VERSION").as_bytes());
    source.extend_from_slice(br#"","connector":"rowtide","name":"#);
    push_utf8(&mut source, side.topic);
    source.extend_from_slice(br#","db":"#);
    push_utf8(&mut source, db.unwrap_or_default());
    for (name, value) in [("schema", schema), ("table", table)] {
        source.extend_from_slice(format!(",\"{name}\":").as_bytes());
        match value {
            Some(value) => push_utf8(&mut source, value),
            None => source.extend_from_slice(b"null"),
        }
    }
    source.extend_from_slice(br#","ts_ms":"#);
    source
}

#[derive(Debug)]
struct DebeziumEnvelope {
    /// The schema, where there is one.
    head: Box<[u8]>,
    row: JsonEncoder,
    source: Box<[u8]>,
    tail: &'static [u8],
}

impl Envelope for DebeziumEnvelope {
    fn append(&self, change: Change, row: &[Value<'_>], out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&self.head);
        let op = match change.operation {
            Operation::Read => b"r",
            Operation::Upsert => b"c",
            Operation::Delete => b"d",
        };
        if change.operation == Operation::Delete {
            out.extend_from_slice(br#"{"before":"#);
            self.row.encode(row, out)?;
            out.extend_from_slice(br#","after":null,"source":"#);
        } else {
            out.extend_from_slice(br#"{"before":null,"after":"#);
            self.row.encode(row, out)?;
            out.extend_from_slice(br#","source":"#);
        }
        out.extend_from_slice(&self.source);
        push_integer(out, change.changed_at.unwrap_or(change.read_at));
        let is_snapshot: &[u8] = if change.operation == Operation::Read { b"true" } else { b"false" };
        out.extend_from_slice(br#","snapshot":""#);
        out.extend_from_slice(is_snapshot);
        out.extend_from_slice(br#""},"op":""#);
        out.extend_from_slice(op);
        out.extend_from_slice(br#"","ts_ms":"#);
        push_integer(out, change.read_at);
        out.push(b'}');
        out.extend_from_slice(self.tail);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::*;
    use super::*;
    use crate::model::{FieldType, TableId};

    fn encoded(settings: &[(&str, &str)], role: Role, operation: Operation) -> String {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let converter = ConverterSpec { definition: &DEFINITION, settings }.create().unwrap();
        let (mut table, schema) = (definition(), test_table());
        table.relation = Relation::Table(TableId {
            catalog: None,
            schema: Some("public".to_owned()),
            name: "test_table".to_owned(),
        });
        let encoder = converter.bind_sample(Side { role, ..side(&schema, &[0, 1, 2, 3, 4], &table) }).unwrap();
        let mut out = Vec::new();
        let change = Change { operation, changed_at: Some(5), read_at: 9 };
        encoder.encode_change(change, &test_table_row(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    const ROW: &str = r#"{"seq":1,"ts":1700000000123,"item":"apple","price":null,"category":"fruit"}"#;

    #[test]
    fn changes_have_debezium_s_members_and_a_deleted_row_stands_before() {
        let source = |snapshot: &str| {
            format!(
                r#"{{"version":"{}","connector":"rowtide","name":"t","db":"","schema":"public","table":"test_table","ts_ms":5,"snapshot":"{snapshot}"}}"#,
                env!("CARGO_PKG_VERSION")
            )
        };
        for (operation, rows, snapshot, op) in [
            (Operation::Upsert, format!(r#""before":null,"after":{ROW}"#), "false", "c"),
            (Operation::Read, format!(r#""before":null,"after":{ROW}"#), "true", "r"),
            (Operation::Delete, format!(r#""before":{ROW},"after":null"#), "false", "d"),
        ] {
            let expected = format!(r#"{{{rows},"source":{},"op":"{op}","ts_ms":9}}"#, source(snapshot));
            assert_eq!(encoded(&[], Role::Value, operation), expected);
        }
        assert_eq!(encoded(&[], Role::Key, Operation::Upsert), ROW);
    }

    #[test]
    fn with_schemas_the_payload_is_the_same_and_the_schema_names_every_member() {
        let settings = [("envelope.schemas.enable", "true")];
        let text = encoded(&settings, Role::Value, Operation::Upsert);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["payload"].to_string(), encoded(&[], Role::Value, Operation::Upsert));
        assert_eq!(json["schema"]["name"], "t.Envelope");
        let fields = json["schema"]["fields"].as_array().unwrap();
        let names: Vec<_> = fields.iter().map(|field| field["field"].as_str().unwrap()).collect();
        assert_eq!(names, ["before", "after", "source", "op", "ts_ms"]);
        assert!(fields[..2].iter().all(|row| row["optional"] == true && row["name"] == "t.Value"));
        assert_eq!(fields[0]["fields"][1]["name"], "org.apache.kafka.connect.data.Timestamp");
        let payload = json["payload"]["source"].as_object().unwrap().keys();
        assert!(
            fields[2]["fields"].as_array().unwrap().iter().map(|field| field["field"].as_str().unwrap()).eq(payload)
        );
        let key: serde_json::Value = serde_json::from_str(&encoded(&settings, Role::Key, Operation::Upsert)).unwrap();
        assert_eq!(key["payload"]["seq"], 1);
    }

    #[test]
    fn a_single_column_is_no_row() {
        let converter = ConverterSpec { definition: &DEFINITION, settings: Default::default() }.create().unwrap();
        let (table, schema) = (definition(), key(FieldType::Int32, false));
        assert!(converter.bind_sample(side(&schema, &[0], &table)).is_err());
    }
}
