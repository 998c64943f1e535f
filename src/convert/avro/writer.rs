//! Binds a schema to the one its records are written with: its own, or one fetched from the registry.
//! A fetched schema is matched by field name once, here; the rows know nothing of it.

use serde_json::Value as Json;

use super::encoder::{AvroEncoder, Branches, Op, Write};
use super::schema::AvroSchema;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Field, FieldType, Schema};

/// The source of a binding: its schema, its Avro form, and the places of its fields in the rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) schema: &'a Schema,
    pub(super) avro: &'a AvroSchema,
    pub(super) projection: &'a [usize],
}

impl<'a> Source<'a> {
    /// The fields with their Avro names and their places in the row.
    fn fields(self) -> Result<Vec<(&'a Field, &'a str, usize)>> {
        let fields = self.schema.fields();
        if fields.len() != self.projection.len() || fields.len() != self.avro.field_names.len() {
            return Err(Error::internal("the projection does not cover the schema"));
        }
        let places = self.avro.field_names.iter().zip(self.projection);
        Ok(fields.iter().zip(places).map(|(field, (name, index))| (field, name.as_str(), *index)).collect())
    }

    fn is_bare_optional(self) -> bool {
        matches!(self.schema, Schema::Field(field) if field.optional)
    }

    /// An encoder that writes the schema as it is.
    ///
    /// # Errors
    /// `Internal` if the projection does not cover the schema.
    pub(super) fn bind(self, id: u32) -> Result<AvroEncoder> {
        let mut ops = Vec::new();
        let mut names = Vec::new();
        for (field, _, index) in self.fields()? {
            let branches = if field.optional { Branches::NULL_FIRST } else { Branches::default() };
            let write = match Write::of(&field.field_type) {
                Write::Bytes | Write::Decimal if self.is_raw() => Write::Raw,
                write => write,
            };
            ops.push(Op { index, branches, write });
            names.push(field.name.clone());
        }
        Ok(AvroEncoder::new(id, None, ops, names, self.is_bare_optional()))
    }

    fn is_raw(self) -> bool {
        matches!(self.schema, Schema::Field(field) if !field.optional)
    }

    /// An encoder that writes `fetched`, a schema of the registry. `strict`: it must be able to hold
    /// every value of ours (`latest.compatibility.strict`).
    ///
    /// # Errors
    /// `IncompatibleSchema` with the field; `RegistryRefused` if `fetched` is not a schema.
    pub(super) fn bind_to(self, id: u32, fetched: &str, strict: bool) -> Result<AvroEncoder> {
        let root: Json = serde_json::from_str(fetched).map_err(|error| {
            Error::new(ErrorKind::RegistryRefused, "the registered schema is not json").caused_by(error)
        })?;
        let fields = self.fields()?;
        match self.schema {
            Schema::Field(field) => {
                let (branches, write) = fit(field, &root, strict)?;
                let write = match write {
                    Write::Bytes | Write::Decimal if !root.is_array() => Write::Raw,
                    write => write,
                };
                let ops = vec![Op { index: self.projection[0], branches, write }];
                Ok(AvroEncoder::new(id, None, ops, vec![field.name.clone()], self.is_bare_optional()))
            }
            Schema::Hoisted { .. } => {
                Err(incompatible("records in records (HoistField) have no other schema than their own")
                    .advise("let the converter register it: auto.register.schemas=true"))
            }
            Schema::Record(_) => {
                let (branch, record) = find_record(&root)?;
                let mut ops = Vec::new();
                let mut names = Vec::new();
                for declared in record {
                    let name = declared.get("name").and_then(Json::as_str).unwrap_or_default();
                    let Some((field, _, index)) = fields.iter().find(|(_, avro_name, _)| *avro_name == name) else {
                        return Err(
                            incompatible("the registered schema has a field that the records lack").with("field", name)
                        );
                    };
                    let (branches, write) = fit(field, declared.get("type").unwrap_or(&Json::Null), strict)?;
                    ops.push(Op { index: *index, branches, write });
                    names.push(field.name.clone());
                }
                Ok(AvroEncoder::new(id, branch, ops, names, false))
            }
        }
    }
}

/// The fields of a record schema, and the branch it is in a union.
pub(super) fn find_record(root: &Json) -> Result<(Option<u8>, &Vec<Json>)> {
    let fields_of = |node: &'_ Json| node.get("type").and_then(Json::as_str) == Some("record");
    let (branch, record) = match root {
        Json::Array(branches) => match branches.iter().position(fields_of) {
            Some(position) => (Some(branch_byte(position)?), &branches[position]),
            None => return Err(incompatible("the registered schema is not a record")),
        },
        node if fields_of(node) => (None, node),
        _ => return Err(incompatible("the registered schema is not a record")),
    };
    let fields = record.get("fields").and_then(Json::as_array);
    fields.map(|fields| (branch, fields)).ok_or_else(|| incompatible("the registered record has no fields"))
}

/// The form of a field in a registered type.
fn fit(field: &Field, registered: &Json, strict: bool) -> Result<(Branches, Write)> {
    let wrong_type = || {
        incompatible(format!("the registered type {} cannot hold the column", short(registered)))
            .with("field", &field.name)
    };
    let Json::Array(union) = registered else {
        if field.optional && strict {
            return Err(incompatible("the registered field cannot be null, the column can")
                .with("field", &field.name)
                .advise("declare the column NOT NULL, or set latest.compatibility.strict=false"));
        }
        return Ok((Branches::default(), fit_type(&field.field_type, registered).ok_or_else(wrong_type)?));
    };
    let null = union.iter().position(|branch| branch.as_str() == Some("null"));
    if null.is_none() && field.optional && strict {
        return Err(incompatible("the registered field cannot be null, the column can").with("field", &field.name));
    }
    let found = union.iter().enumerate().find_map(|(at, branch)| Some((at, fit_type(&field.field_type, branch)?)));
    let (at, write) = found.ok_or_else(wrong_type)?;
    let branches = Branches { null: null.map(branch_byte).transpose()?, value: Some(branch_byte(at)?) };
    Ok((branches, write))
}

/// The types Avro's promotion rules allow, unless both sides give them another meaning.
fn fit_type(field_type: &FieldType, registered: &Json) -> Option<Write> {
    let name = registered.as_str().or_else(|| registered.get("type").and_then(Json::as_str))?;
    let own = match field_type {
        FieldType::Boolean => "boolean",
        FieldType::Int8 | FieldType::Int16 | FieldType::Int32 | FieldType::Date | FieldType::Time => "int",
        FieldType::Int64 | FieldType::Timestamp => "long",
        FieldType::Float32 => "float",
        FieldType::Float64 => "double",
        FieldType::String => "string",
        FieldType::Bytes | FieldType::Decimal { .. } => "bytes",
    };
    let logical = registered.get("logicalType").and_then(Json::as_str);
    let meaning = match field_type {
        FieldType::Date => Some("date"),
        FieldType::Time => Some("time-millis"),
        FieldType::Timestamp => Some("timestamp-millis"),
        FieldType::Decimal { .. } => Some("decimal"),
        _ => None,
    };
    if meaning.is_some() && logical.is_some() && meaning != logical {
        return None;
    }
    if let (FieldType::Decimal { scale, .. }, Some("decimal")) = (field_type, logical) {
        let registered_scale = registered.get("scale").and_then(Json::as_i64).unwrap_or(0);
        if registered_scale != i64::from(*scale) {
            return None;
        }
    }
    match (own, name) {
        _ if own == name => Some(Write::of(field_type)),
        ("int", "long") => Some(Write::of(field_type)),
        ("float", "double") => Some(Write::FloatAsDouble),
        _ => None,
    }
}

/// Zig-zag of a branch index; beyond 63 it would take two bytes.
fn branch_byte(position: usize) -> Result<u8> {
    match u8::try_from(position) {
        Ok(position) if position < 64 => Ok(position * 2),
        _ => Err(incompatible("the registered schema has a union of more than 64 types")),
    }
}

fn incompatible(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::IncompatibleSchema, message)
        .advise("register a schema that fits the table, or let rowtide register its own (auto.register.schemas=true)")
}

/// A type in a few words.
pub(super) fn short(node: &Json) -> String {
    match node {
        Json::String(name) => name.clone(),
        Json::Array(branches) => branches.iter().map(short).collect::<Vec<_>>().join(" or "),
        Json::Object(map) => {
            let text = |key: &str| map.get(key).and_then(Json::as_str);
            match (text("logicalType"), text("type"), text("name")) {
                (Some("decimal"), ..) => {
                    let number = |key: &str| map.get(key).and_then(Json::as_i64).unwrap_or(0);
                    format!("decimal({},{})", number("precision"), number("scale"))
                }
                (Some(logical), ..) => logical.to_owned(),
                (None, Some(kind), Some(name)) => format!("{kind} {name}"),
                (None, Some(kind), None) => kind.to_owned(),
                (None, None, _) => map.get("type").map_or_else(|| "nothing".to_owned(), short),
            }
        }
        _ => "nothing".to_owned(),
    }
}

/// The differences of two record schemas, field by field, in words; empty if either is no record.
pub(in crate::convert) fn differences(registered: &str, ours: &str) -> Vec<String> {
    let (Ok(registered), Ok(ours)) = (serde_json::from_str::<Json>(registered), serde_json::from_str::<Json>(ours))
    else {
        return Vec::new();
    };
    let (Ok((_, before)), Ok((_, after))) = (find_record(&registered), find_record(&ours)) else {
        let (before, after) = (short(&registered), short(&ours));
        return if before == after { Vec::new() } else { vec![format!("it is {after}, was {before}")] };
    };
    let name = |field: &Json| field.get("name").and_then(Json::as_str).unwrap_or_default().to_owned();
    let type_of = |field: &Json| field.get("type").map(short).unwrap_or_default();
    let mut found = Vec::new();
    if registered.get("name") != ours.get("name") {
        found.push(format!("the record is called {}, was {}", name(&ours), name(&registered)));
    }
    for field in after {
        match before.iter().find(|old| name(old) == name(field)) {
            None if field.get("default").is_none() => {
                found.push(format!("field `{}` is new and required", name(field)))
            }
            None => found.push(format!("field `{}` is new", name(field))),
            Some(old) if type_of(old) != type_of(field) => {
                found.push(format!("field `{}` is {}, was {}", name(field), type_of(field), type_of(old)));
            }
            Some(_) => {}
        }
    }
    let gone = before.iter().filter(|old| !after.iter().any(|field| name(field) == name(old)));
    found.extend(gone.map(|old| format!("field `{}` is gone", name(old))));
    found
}

#[cfg(test)]
mod tests {
    use super::super::super::Encoder;
    use super::super::super::samples::*;
    use super::super::schema::SchemaStyle;
    use super::*;
    use crate::model::{RecordSchema, Value};

    fn bind_to(schema: &Schema, fetched: &str, strict: bool) -> Result<AvroEncoder> {
        let avro = AvroSchema::write(schema, SchemaStyle::default()).unwrap();
        let projection: Vec<usize> = (0..avro.field_names.len()).collect();
        Source { schema, avro: &avro, projection: &projection }.bind_to(7, fetched, strict)
    }

    fn payload(encoder: &AvroEncoder, row: &[Value<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        encoder.encode(row, &mut out).unwrap();
        out[5..].to_vec()
    }

    fn record(fields: &str) -> String {
        format!(r#"{{"type":"record","name":"x","fields":[{fields}]}}"#)
    }

    fn two() -> Schema {
        let fields = vec![field("a", FieldType::Int32, false), field("b", FieldType::String, true)];
        Schema::Record(RecordSchema { version: None, doc: None, name: Some("x".into()), fields })
    }

    #[test]
    fn a_fetched_schema_is_written_by_field_name() {
        let row = [Value::Integer(1), Value::Text("ab".into())];
        let reordered = record(r#"{"name":"b","type":["null","string"]},{"name":"a","type":"long"}"#);
        assert_eq!(payload(&bind_to(&two(), &reordered, true).unwrap(), &row), unhex("0204616202"));
        let fewer_and_null_last = record(r#"{"name":"b","type":["string","null"]}"#);
        let encoder = bind_to(&two(), &fewer_and_null_last, true).unwrap();
        assert_eq!(payload(&encoder, &row), unhex("00046162"));
        assert_eq!(payload(&encoder, &[Value::Integer(1), Value::Null]), unhex("02"));
        let in_a_union = format!(r#"["null",{}]"#, record(r#"{"name":"a","type":["null","int"]}"#));
        assert_eq!(payload(&bind_to(&two(), &in_a_union, true).unwrap(), &row), unhex("020202"));
        assert_eq!(
            payload(&bind_to(&key(FieldType::Int32, false), r#"["null","int"]"#, true).unwrap(), &row),
            unhex("0202")
        );
        assert_eq!(payload(&bind_to(&wide(), WIDE, true).unwrap(), &wide_row()), unhex(WIDE_PAYLOAD));
    }

    #[test]
    fn what_a_fetched_schema_cannot_hold_is_an_error_with_the_field() {
        let cases = [
            (record(r#"{"name":"a","type":"int"},{"name":"c","type":["null","int"],"default":null}"#), "c"),
            (record(r#"{"name":"a","type":"string"}"#), "a"),
            (record(r#"{"name":"b","type":"string"}"#), "b"),
        ];
        for (fetched, name) in cases {
            let error = bind_to(&two(), &fetched, true).unwrap_err();
            assert_eq!((error.kind(), error.context("field")), (ErrorKind::IncompatibleSchema, Some(name)));
        }
        assert!(bind_to(&two(), &record(r#"{"name":"b","type":"string"}"#), false).is_ok());
        assert!(bind_to(&two(), "\"int\"", true).is_err());
        assert!(bind_to(&two(), "int", true).is_err());
    }

    #[test]
    fn a_fetched_type_of_another_meaning_is_refused() {
        let time = key(FieldType::Timestamp, false);
        assert!(bind_to(&time, r#"{"type":"long","logicalType":"timestamp-micros"}"#, true).is_err());
        assert!(bind_to(&time, r#""long""#, true).is_ok());
        let decimal = key(FieldType::Decimal { precision: None, scale: 2 }, false);
        let of_scale = |scale| format!(r#"{{"type":"bytes","logicalType":"decimal","precision":9,"scale":{scale}}}"#);
        assert!(bind_to(&decimal, &of_scale(3), true).is_err());
        let encoder = bind_to(&decimal, &of_scale(2), true).unwrap();
        assert_eq!(payload(&encoder, &[Value::Decimal(vec![0x7b].into())]), unhex("7b"));
    }

    #[test]
    fn differences_are_told_field_by_field() {
        let before = record(r#"{"name":"a","type":"int"},{"name":"b","type":"string"}"#);
        let after = r#"{"type":"record","name":"y","fields":[{"name":"a","type":["null","int"],"default":null},{"name":"n","type":"long"}]}"#;
        assert_eq!(
            differences(&before, after),
            [
                "the record is called y, was x",
                "field `a` is null or int, was int",
                "field `n` is new and required",
                "field `b` is gone"
            ]
        );
        assert_eq!(differences("\"int\"", "\"long\""), ["it is long, was int"]);
        assert!(differences(TEST_TABLE, TEST_TABLE).is_empty());
    }
}
