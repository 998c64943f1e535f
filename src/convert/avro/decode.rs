//! Records back to text: bytes in the registry's wire format to the JSON that Avro's console consumer
//! prints. apache-avro reads the data; the schema it gets is reduced to shape, with names of its own,
//! because it refuses names and decimals that Connect registers every day.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use apache_avro::types::Value as Avro;
use futures_util::future::BoxFuture;
use serde_json::{Value as Json, json};

use super::super::json_text::{push_bytes, push_f32, push_f64, push_string};
use super::super::registry::{Registry, SchemaKind};
use super::super::wire::split;
use super::super::{ConverterSpec, Decoder};
use crate::error::{Error, ErrorKind, Result};
use crate::lock::locked;

/// The longest record that is read of a schema that contains itself, and the stack that a level of it may take.
const LONGEST_RECURSIVE: usize = 1_024;
const STACK_OF_LEVEL: usize = 262_144;

/// Decodes records of any topic of a registry.
pub struct AvroDecoder {
    registry: Registry,
    readers: Mutex<HashMap<u32, Arc<Reader>>>,
}

impl fmt::Debug for AvroDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AvroDecoder").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl AvroDecoder {
    /// A decoder for the registry of a converter. Talks to nobody.
    ///
    /// # Errors
    /// `Config` with the option.
    pub fn new(spec: &ConverterSpec) -> Result<Self> {
        Ok(Self { registry: Registry::create(&spec.settings, SchemaKind::Avro)?, readers: Mutex::default() })
    }

    async fn read(&self, bytes: &[u8]) -> Result<String> {
        let (id, payload) = split(bytes, "avro")?;
        let cached = locked(&self.readers).get(&id).cloned();
        let reader = match cached {
            Some(reader) => reader,
            None => {
                let schema = self.registry.schema_by_id(id).await?;
                let reader = Arc::new(Reader::new(&schema).map_err(|error| error.with("schema id", id))?);
                locked(&self.readers).insert(id, reader.clone());
                reader
            }
        };
        reader.read(payload).map_err(|error| error.with("schema id", id))
    }
}

/// The JSON text of a key or value in the wire format.
impl Decoder for AvroDecoder {
    fn decode<'a>(&'a self, bytes: &'a [u8]) -> BoxFuture<'a, Result<String>> {
        Box::pin(self.read(bytes))
    }
}

/// The JSON text of bytes in the wire format, by a schema at hand; the id in the bytes is not looked at.
///
/// # Errors
/// `Value` if the bytes are not in the wire format or not of the schema.
pub fn decode_with(schema: &str, bytes: &[u8]) -> Result<String> {
    let (_, payload) = split(bytes, "avro")?;
    Reader::new(schema)?.read(payload)
}

/// A type of the schema, with what printing needs. Types refer to each other by index.
#[derive(Debug, Clone)]
enum Node {
    Null,
    /// Any other primitive, or fixed: the value tells.
    Leaf,
    Record(Vec<(String, usize)>),
    Array(usize),
    Map(usize),
    /// The branches with the names that show them.
    Union(Vec<(String, usize)>),
    Enum(Vec<String>),
}

/// One schema, ready to read with.
#[derive(Debug)]
struct Reader {
    nodes: Vec<Node>,
    root: usize,
    /// The root is bytes: its payload has no length in front.
    raw: bool,
    /// A record may contain one of its own kind.
    is_recursive: bool,
    schema: apache_avro::Schema,
}

impl Reader {
    fn new(text: &str) -> Result<Self> {
        let json: Json = serde_json::from_str(text).map_err(not_a_schema)?;
        let mut shape = Shape::default();
        let (root, reduced) = shape.add(&json, "")?;
        let schema = apache_avro::Schema::parse(&reduced).map_err(not_a_schema)?;
        let (raw, is_recursive) = (schema == apache_avro::Schema::Bytes, shape.is_recursive);
        Ok(Self { nodes: shape.nodes, root, raw, is_recursive, schema })
    }

    fn read(&self, payload: &[u8]) -> Result<String> {
        if !self.is_recursive {
            return self.read_here(payload);
        }
        // Reading goes as deep as the record, which takes a byte at least for each level.
        if payload.len() > LONGEST_RECURSIVE {
            let message = format!("a record that may contain others of its kind has {} bytes", payload.len());
            return Err(Error::new(ErrorKind::Value, message)
                .advise(format!("rowtide prints such records up to {LONGEST_RECURSIVE} bytes; use another tool")));
        }
        std::thread::scope(|scope| {
            let deep = std::thread::Builder::new().stack_size((payload.len() + 4) * STACK_OF_LEVEL);
            let reading = deep.spawn_scoped(scope, || self.read_here(payload));
            let failed = |_| Error::internal("no thread to read a record in");
            reading.map_err(|_| Error::internal("no thread to read a record in"))?.join().map_err(failed)?
        })
    }

    fn read_here(&self, payload: &[u8]) -> Result<String> {
        let mut text = String::with_capacity(payload.len() * 3);
        if self.raw {
            push_bytes(&mut text, payload);
            return Ok(text);
        }
        let mut rest = payload;
        let value = apache_avro::from_avro_datum(&self.schema, &mut rest, None)
            .map_err(|error| not_of_the_schema().caused_by(error))?;
        match (&self.nodes[self.root], &value) {
            // The consumer forgets a union around everything.
            (Node::Union(branches), Avro::Union(at, value)) => {
                let (_, node) = branches.get(*at as usize).ok_or_else(not_of_the_schema)?;
                self.print(&mut text, *node, value)?;
            }
            _ => self.print(&mut text, self.root, &value)?,
        }
        Ok(text)
    }

    fn print(&self, out: &mut String, node: usize, value: &Avro) -> Result<()> {
        match (&self.nodes[node], value) {
            // apache-avro reads a text cut off as null, which is none here.
            (Node::Null, Avro::Null) => out.push_str("null"),
            (_, Avro::Boolean(value)) => out.push_str(if *value { "true" } else { "false" }),
            (_, Avro::Int(value)) => out.push_str(&value.to_string()),
            (_, Avro::Long(value)) => out.push_str(&value.to_string()),
            (_, Avro::Float(value)) => push_f32(out, *value),
            (_, Avro::Double(value)) => push_f64(out, *value),
            (_, Avro::String(value)) => push_string(out, value),
            (_, Avro::Bytes(value) | Avro::Fixed(_, value)) => push_bytes(out, value),
            (Node::Enum(symbols), Avro::Enum(at, _)) => {
                push_string(out, symbols.get(*at as usize).ok_or_else(not_of_the_schema)?);
            }
            (Node::Union(branches), Avro::Union(at, value)) => {
                let (name, node) = branches.get(*at as usize).ok_or_else(not_of_the_schema)?;
                if **value == Avro::Null {
                    out.push_str("null");
                    return Ok(());
                }
                out.push('{');
                push_string(out, name);
                out.push(':');
                self.print(out, *node, value)?;
                out.push('}');
            }
            (Node::Array(item), Avro::Array(values)) => {
                out.push('[');
                for (at, value) in values.iter().enumerate() {
                    push_comma(out, at);
                    self.print(out, *item, value)?;
                }
                out.push(']');
            }
            (Node::Map(item), Avro::Map(values)) => {
                let mut entries: Vec<_> = values.iter().collect();
                entries.sort_by_key(|(key, _)| *key);
                self.print_members(out, entries.into_iter().map(|(key, value)| (key.as_str(), *item, value)))?;
            }
            (Node::Record(fields), Avro::Record(values)) if fields.len() == values.len() => {
                let members = fields.iter().zip(values);
                self.print_members(out, members.map(|((name, node), (_, value))| (name.as_str(), *node, value)))?;
            }
            _ => return Err(not_of_the_schema()),
        }
        Ok(())
    }

    fn print_members<'v>(
        &self,
        out: &mut String,
        members: impl Iterator<Item = (&'v str, usize, &'v Avro)>,
    ) -> Result<()> {
        out.push('{');
        for (at, (name, node, value)) in members.enumerate() {
            push_comma(out, at);
            push_string(out, name);
            out.push(':');
            self.print(out, node, value)?;
        }
        out.push('}');
        Ok(())
    }
}

fn push_comma(out: &mut String, at: usize) {
    if at > 0 {
        out.push(',');
    }
}

/// Walks a schema once: collects its nodes and reduces it for apache-avro.
#[derive(Debug, Default)]
struct Shape {
    nodes: Vec<Node>,
    /// Full names of records, enums and fixed, with their nodes; their reduced name is `t<node>`.
    named: HashMap<String, usize>,
    /// The records whose fields are being walked, each with how many unions, arrays and maps it is in.
    open: Vec<(usize, usize)>,
    /// The unions, arrays and maps that are being walked.
    choices: usize,
    is_recursive: bool,
}

impl Shape {
    fn push(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// The node of a type and its reduced form.
    fn add(&mut self, schema: &Json, namespace: &str) -> Result<(usize, Json)> {
        match schema {
            Json::String(name) if name == "null" => Ok((self.push(Node::Null), json!(name))),
            Json::String(name) if is_primitive(name) => Ok((self.push(Node::Leaf), json!(name))),
            Json::String(name) => {
                let known = self.named.get(&full_name(name, namespace)).or_else(|| self.named.get(name));
                let node = *known.ok_or_else(|| unknown_type(name))?;
                if let Some((_, choices)) = self.open.iter().find(|(open, _)| *open == node) {
                    if *choices == self.choices {
                        return Err(unknown_type(&format!("record {name}, which contains itself always")));
                    }
                    self.is_recursive = true;
                }
                Ok((node, json!(reduced_name(node))))
            }
            Json::Array(branches) => {
                let mut names = Vec::with_capacity(branches.len());
                let mut reduced = Vec::with_capacity(branches.len());
                self.choices += 1;
                for branch in branches {
                    let (node, form) = self.add(branch, namespace)?;
                    names.push((self.branch_name(branch, namespace), node));
                    reduced.push(form);
                }
                self.choices -= 1;
                Ok((self.push(Node::Union(names)), Json::Array(reduced)))
            }
            Json::Object(_) => self.add_object(schema, namespace),
            _ => Err(unknown_type("a number or null")),
        }
    }

    fn add_object(&mut self, schema: &Json, namespace: &str) -> Result<(usize, Json)> {
        let inner = schema.get("type").unwrap_or(&Json::Null);
        let Some(kind) = inner.as_str() else {
            return self.add(inner, namespace);
        };
        let part = |name: &str| schema.get(name).ok_or_else(|| unknown_type(kind));
        match kind {
            "array" => {
                let (item, form) = self.add_inside(part("items")?, namespace)?;
                Ok((self.push(Node::Array(item)), json!({ "type": "array", "items": form })))
            }
            "map" => {
                let (item, form) = self.add_inside(part("values")?, namespace)?;
                Ok((self.push(Node::Map(item)), json!({ "type": "map", "values": form })))
            }
            "record" | "error" => self.add_record(schema, namespace),
            "enum" => {
                let symbols: Vec<String> = part("symbols")?
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Json::as_str)
                    .map(Into::into)
                    .collect();
                let reduced: Vec<String> = (0..symbols.len()).map(|at| format!("s{at}")).collect();
                let node = self.push(Node::Enum(symbols));
                self.name(schema, namespace, node);
                Ok((node, json!({ "type": "enum", "name": reduced_name(node), "symbols": reduced })))
            }
            "fixed" => {
                let node = self.push(Node::Leaf);
                self.name(schema, namespace, node);
                Ok((node, json!({ "type": "fixed", "name": reduced_name(node), "size": part("size")? })))
            }
            _ => self.add(inner, namespace),
        }
    }

    /// The type of the elements of an array or a map, of which there may be none.
    fn add_inside(&mut self, schema: &Json, namespace: &str) -> Result<(usize, Json)> {
        self.choices += 1;
        let added = self.add(schema, namespace);
        self.choices -= 1;
        added
    }

    fn add_record(&mut self, schema: &Json, namespace: &str) -> Result<(usize, Json)> {
        let node = self.push(Node::Record(Vec::new()));
        let full_name = self.name(schema, namespace, node);
        let inner_namespace = full_name.rsplit_once('.').map_or("", |(namespace, _)| namespace);
        let mut fields = Vec::new();
        let mut reduced = Vec::new();
        self.open.push((node, self.choices));
        for field in schema.get("fields").and_then(Json::as_array).into_iter().flatten() {
            let name = field.get("name").and_then(Json::as_str).unwrap_or_default();
            let (item, form) = self.add(field.get("type").unwrap_or(&Json::Null), inner_namespace)?;
            reduced.push(json!({ "name": format!("f{}", fields.len()), "type": form }));
            fields.push((name.to_owned(), item));
        }
        self.open.pop();
        self.nodes[node] = Node::Record(fields);
        Ok((node, json!({ "type": "record", "name": reduced_name(node), "fields": reduced })))
    }

    /// Notes the full name of a named type.
    fn name(&mut self, schema: &Json, namespace: &str, node: usize) -> String {
        let full = declared_name(schema, namespace);
        self.named.insert(full.clone(), node);
        full
    }

    /// The name of a branch in a union: a primitive's type, a named type's full name.
    fn branch_name(&self, branch: &Json, namespace: &str) -> String {
        let kind = branch.as_str().or_else(|| branch.get("type").and_then(Json::as_str)).unwrap_or_default();
        match (kind, branch) {
            ("record" | "error" | "enum" | "fixed", _) => declared_name(branch, namespace),
            (name, _) if is_primitive(name) || matches!(name, "array" | "map") => name.to_owned(),
            (name, _) => match full_name(name, namespace) {
                full if self.named.contains_key(&full) => full,
                _ => name.to_owned(),
            },
        }
    }
}

fn declared_name(schema: &Json, namespace: &str) -> String {
    let text = |key: &str| schema.get(key).and_then(Json::as_str);
    full_name(text("name").unwrap_or_default(), text("namespace").unwrap_or(namespace))
}

fn full_name(name: &str, namespace: &str) -> String {
    if namespace.is_empty() || name.contains('.') { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn reduced_name(node: usize) -> String {
    format!("t{node}")
}

fn is_primitive(name: &str) -> bool {
    matches!(name, "null" | "boolean" | "int" | "long" | "float" | "double" | "string" | "bytes")
}

fn unknown_type(name: &str) -> Error {
    Error::new(ErrorKind::Value, format!("the schema has a type that cannot be read: {name}"))
}

fn not_a_schema(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Value, "the schema cannot be read").caused_by(error)
}

fn not_of_the_schema() -> Error {
    Error::new(ErrorKind::Value, "the record's bytes are not of its schema")
}

#[cfg(test)]
mod tests {
    use super::super::super::samples::*;
    use super::*;

    fn decode(schema: &str, payload: &str) -> Result<String> {
        decode_with(schema, &[&[0, 0, 0, 0, 7], &unhex(payload)[..]].concat())
    }

    #[test]
    fn records_print_as_the_console_consumer_prints_them() {
        assert_eq!(
            decode(TEST_TABLE, "02f6a1abfef962020a6170706c6500020a6672756974").unwrap(),
            r#"{"seq":1,"ts":1700000000123,"item":{"string":"apple"},"price":null,"category":{"string":"fruit"}}"#
        );
        assert_eq!(
            decode(WIDE, WIDE_PAYLOAD).unwrap(),
            concat!(
                r#"{"id":1,"c_bool":{"boolean":true},"c_i8":-1,"c_i16":{"int":300},"c_i32":-2,"c_f32":{"float":1.5},"#,
                r#""c_f64":-2.5,"c_str":"é","c_bytes":{"bytes":"\u0000ÿ"},"c_date":{"int":19000},"c_time":3723004,"#,
                "\"c_ts\":{\"long\":1700000000123},\"c_num\":{\"bytes\":\"\u{80}\"},\"c_num_old\":\"\\u0012Ö\u{87}\",\"c_num_unb\":null}"
            )
        );
    }

    #[test]
    fn a_schema_that_contains_itself_is_read_as_deep_as_its_records_are() {
        let of = |field: &str| format!(r#"{{"type":"record","name":"r","fields":[{{"name":"next","type":{field}}}]}}"#);
        assert!(decode(&of(r#""r""#), "00").unwrap_err().to_string().contains("contains itself always"));
        assert_eq!(decode(&of(r#"["null","r"]"#), "020200").unwrap(), r#"{"next":{"r":{"next":{"r":{"next":null}}}}}"#);
        assert_eq!(decode(&of(r#"{"type":"array","items":"r"}"#), "020000").unwrap(), r#"{"next":[{"next":[]}]}"#);
        let deep = format!("{}00", "02".repeat(LONGEST_RECURSIVE - 1));
        assert!(decode(&of(r#"["null","r"]"#), &deep).unwrap().contains("null}}}"), "to the bottom");
        assert!(decode(&of(r#"["null","r"]"#), &format!("02{deep}")).unwrap_err().to_string().contains("of its kind"));
    }

    #[test]
    fn a_union_around_everything_is_forgotten_and_bare_bytes_are_raw() {
        assert_eq!(decode(r#"["null","int"]"#, "0202").unwrap(), "1");
        assert_eq!(decode(r#""string""#, "046162").unwrap(), r#""ab""#);
        assert_eq!(decode(r#""bytes""#, "41ff").unwrap(), "\"Aÿ\"");
        assert_eq!(
            decode(r#"{"type":"bytes","scale":0,"precision":0,"logicalType":"decimal"}"#, "41").unwrap(),
            "\"A\""
        );
    }

    #[test]
    fn names_that_only_java_accepts_can_be_read() {
        let schema = r#"{"type":"record","name":"é","namespace":"my-db","fields":[
            {"name":"größe","type":["null",{"type":"record","name":"Inner","fields":[{"name":"x","type":"int"}]}]},
            {"name":"again","type":["null","Inner"]},
            {"name":"more","type":["null","my-db.é"]},
            {"name":"kind","type":{"type":"enum","name":"K","symbols":["A","B"]}},
            {"name":"list","type":{"type":"array","items":["null","string"]}},
            {"name":"map","type":{"type":"map","values":"int"}},
            {"name":"id","type":{"type":"fixed","name":"F","size":2}},
            {"name":"f","type":"double","default":"wrong"}]}"#;
        assert_eq!(
            decode(schema, "0202 0204 00 02 0402026100 00 02026b0200 4142 000000000000f07f").unwrap(),
            r#"{"größe":{"my-db.Inner":{"x":1}},"again":{"my-db.Inner":{"x":2}},"more":null,"kind":"B","list":[{"string":"a"},null],"map":{"k":1},"id":"AB","f":"Infinity"}"#
        );
    }

    #[test]
    fn what_is_no_avro_is_said_to_be_none() {
        for bytes in [&b"{\"a\":1}"[..], b"", &[0, 0, 0]] {
            assert!(decode_with(TEST_TABLE, bytes).unwrap_err().to_string().contains("no magic byte"));
        }
        for (schema, payload) in [(TEST_TABLE, "02f6"), (r#"["null","int"]"#, "0802"), (r#""string""#, "08")] {
            assert_eq!(decode(schema, payload).unwrap_err().kind(), ErrorKind::Value);
        }
        for schema in ["", "{", "1", r#""Unknown""#, r#"{"type":"array"}"#] {
            assert!(decode(schema, "00").is_err());
        }
    }
}
