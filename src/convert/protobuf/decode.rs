//! Protobuf records back to text: the JSON form of Protobuf, as Confluent's console consumer prints it, by the schema of
//! the registry.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat};
use futures_util::future::BoxFuture;

use super::super::json_text::{push_f32, push_f64, push_string};
use super::super::registry::{Registry, SchemaKind};
use super::super::wire::split;
use super::super::{ConverterSpec, Decoder};
use super::proto_file::{Label, ProtoField, ProtoFile, ProtoType, is_scalar};
use crate::error::{Error, ErrorKind, Result};
use crate::lock::locked;

/// The depth to which messages may stand in each other, as in Java's library.
const DEEPEST: usize = 100;

/// Decodes records of any topic of a registry.
pub(super) struct ProtobufDecoder {
    registry: Registry,
    files: Mutex<HashMap<u32, Arc<ProtoFile>>>,
}

impl ProtobufDecoder {
    /// A decoder for the registry of a converter. Talks to nobody.
    ///
    /// # Errors
    /// `Config` with the option.
    pub(super) fn new(spec: &ConverterSpec) -> Result<Self> {
        Ok(Self { registry: Registry::create(&spec.settings, SchemaKind::Protobuf)?, files: Mutex::default() })
    }

    async fn read(&self, bytes: &[u8]) -> Result<String> {
        let (id, payload) = split(bytes, "protobuf")?;
        let cached = locked(&self.files).get(&id).cloned();
        let file = match cached {
            Some(file) => file,
            None => {
                let schema = self.registry.schema_by_id(id).await?;
                let file = Arc::new(ProtoFile::parse(&schema).map_err(|error| error.with("schema id", id))?);
                locked(&self.files).insert(id, file.clone());
                file
            }
        };
        text(&file, payload).map_err(|error| error.with("schema id", id))
    }
}

impl Decoder for ProtobufDecoder {
    fn decode<'a>(&'a self, bytes: &'a [u8]) -> BoxFuture<'a, Result<String>> {
        Box::pin(self.read(bytes))
    }
}

/// The JSON text of bytes in the wire format, by a schema at hand; the id in the bytes is not looked at.
///
/// # Errors
/// `Value` if the bytes are not in the wire format or not of the schema.
pub(crate) fn decode_with(schema: &str, bytes: &[u8]) -> Result<String> {
    let (_, payload) = split(bytes, "protobuf")?;
    text(&ProtoFile::parse(schema)?, payload)
}

/// The text of what follows the schema's id.
fn text(file: &ProtoFile, payload: &[u8]) -> Result<String> {
    let (indexes, payload) = message_indexes(payload)?;
    let name = file.message_at(&indexes).ok_or_else(not_of_the_schema)?;
    let mut text = String::with_capacity(payload.len() * 3);
    push_message(&mut text, file, name, payload, 0)?;
    Ok(text)
}

fn not_of_the_schema() -> Error {
    Error::new(ErrorKind::Value, "the record is not of its schema")
}

/// The place of the record's message in the schema, and the rest.
fn message_indexes(mut bytes: &[u8]) -> Result<(Vec<usize>, &[u8])> {
    let mut index = || -> Result<usize> {
        let number = varint(&mut bytes)?;
        let zigzag = (number >> 1) as i64 ^ -((number & 1) as i64);
        usize::try_from(zigzag).map_err(|_| not_of_the_schema())
    };
    let count = index()?;
    if count > DEEPEST {
        return Err(not_of_the_schema());
    }
    let indexes = (0..count).map(|_| index()).collect::<Result<Vec<_>>>()?;
    // The first message, in short.
    Ok((if indexes.is_empty() { vec![0] } else { indexes }, bytes))
}

fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or_else(not_of_the_schema)?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if *first < 0x80 {
            return Ok(number);
        }
    }
    Err(not_of_the_schema())
}

/// One occurrence of a field.
#[derive(Debug, Clone, Copy)]
enum Wire<'a> {
    Number(u64),
    Block(&'a [u8]),
}

/// The occurrences of the fields of a message.
fn fields(mut bytes: &[u8]) -> Result<BTreeMap<u32, Vec<Wire<'_>>>> {
    let mut fields: BTreeMap<u32, Vec<Wire<'_>>> = BTreeMap::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let number = u32::try_from(key >> 3).map_err(|_| not_of_the_schema())?;
        let value = match key & 7 {
            0 => Wire::Number(varint(&mut bytes)?),
            1 => Wire::Number(u64::from_le_bytes(fixed(&mut bytes)?)),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).map_err(|_| not_of_the_schema())?;
                let (block, rest) = bytes.split_at_checked(length).ok_or_else(not_of_the_schema)?;
                bytes = rest;
                Wire::Block(block)
            }
            5 => Wire::Number(u32::from_le_bytes(fixed(&mut bytes)?).into()),
            _ => return Err(not_of_the_schema()),
        };
        fields.entry(number).or_default().push(value);
    }
    Ok(fields)
}

fn fixed<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N]> {
    let (fixed, rest) = bytes.split_first_chunk().ok_or_else(not_of_the_schema)?;
    *bytes = rest;
    Ok(*fixed)
}

fn push_message(out: &mut String, file: &ProtoFile, name: &str, bytes: &[u8], depth: usize) -> Result<()> {
    if depth > DEEPEST {
        return Err(not_of_the_schema());
    }
    let Some(ProtoType::Message { fields: declared, .. }) = file.find(name) else {
        // A type of another file.
        push_base64(out, bytes);
        return Ok(());
    };
    let found = fields(bytes)?;
    match name {
        "google.protobuf.Timestamp" => return push_timestamp(out, &found),
        wrapper if wrapper.starts_with("google.protobuf.") && wrapper.ends_with("Value") => {
            let (value, field) = (found.get(&1).and_then(|found| found.last()), declared.get(&1));
            let field = field.ok_or_else(not_of_the_schema)?;
            return push_single(out, file, field, value.copied(), depth);
        }
        _ => {}
    }
    let mut separator = '{';
    for (number, field) in declared {
        let occurrences = found.get(number).map(Vec::as_slice).unwrap_or_default();
        let is_message = !is_scalar(&field.of) && !matches!(file.find(&field.of), Some(ProtoType::Enum(_)));
        let is_left_out = field.label == Label::Optional || field.label == Label::None && is_message;
        if occurrences.is_empty() && is_left_out {
            continue;
        }
        out.push(separator);
        separator = ',';
        push_string(out, &json_name(&field.name));
        out.push(':');
        push_field(out, file, field, occurrences, depth)?;
    }
    out.push_str(if separator == '{' { "{}" } else { "}" });
    Ok(())
}

/// `lowerCamelCase` of a field's name.
fn json_name(name: &str) -> String {
    let mut is_start = false;
    let mut camel = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            '_' => is_start = true,
            other => {
                camel.push(if is_start { other.to_ascii_uppercase() } else { other });
                is_start = false;
            }
        }
    }
    camel
}

fn push_field(
    out: &mut String,
    file: &ProtoFile,
    field: &ProtoField,
    occurrences: &[Wire<'_>],
    depth: usize,
) -> Result<()> {
    match field.label {
        Label::None | Label::Optional => push_single(out, file, field, occurrences.last().copied(), depth),
        Label::Repeated => {
            out.push('[');
            let mut is_first = true;
            for occurrence in occurrences {
                for value in unpacked(field, *occurrence)? {
                    out.push_str(if is_first { "" } else { "," });
                    is_first = false;
                    push_single(out, file, field, Some(value), depth)?;
                }
            }
            out.push(']');
            Ok(())
        }
        Label::Map => {
            out.push('{');
            for (at, occurrence) in occurrences.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                push_entry(out, file, field, *occurrence, depth)?;
            }
            out.push('}');
            Ok(())
        }
    }
}

/// The values of an occurrence of a repeated field; numbers may stand in one block.
fn unpacked<'a>(field: &ProtoField, occurrence: Wire<'a>) -> Result<Vec<Wire<'a>>> {
    let Wire::Block(mut block) = occurrence else { return Ok(vec![occurrence]) };
    if matches!(field.of.as_str(), "string" | "bytes") || !is_scalar(&field.of) {
        return Ok(vec![occurrence]);
    }
    let mut values = Vec::new();
    while !block.is_empty() {
        values.push(Wire::Number(match field.of.as_str() {
            "double" | "fixed64" | "sfixed64" => u64::from_le_bytes(fixed(&mut block)?),
            "float" | "fixed32" | "sfixed32" => u32::from_le_bytes(fixed(&mut block)?).into(),
            _ => varint(&mut block)?,
        }));
    }
    Ok(values)
}

fn push_entry(out: &mut String, file: &ProtoFile, field: &ProtoField, entry: Wire<'_>, depth: usize) -> Result<()> {
    let (Wire::Block(entry), Some(ProtoType::Message { fields: members, .. })) = (entry, file.find(&field.of)) else {
        return Err(not_of_the_schema());
    };
    let found = fields(entry)?;
    let last = |number: u32| found.get(&number).and_then(|found| found.last()).copied();
    let (key, value) = (members.get(&1).ok_or_else(not_of_the_schema)?, members.get(&2).ok_or_else(not_of_the_schema)?);
    let mut name = String::new();
    push_single(&mut name, file, key, last(1), depth)?;
    if name.starts_with('"') {
        out.push_str(&name);
    } else {
        push_string(out, &name);
    }
    out.push(':');
    push_single(out, file, value, last(2), depth)
}

/// A value, or the default of its type.
fn push_single(
    out: &mut String,
    file: &ProtoFile,
    field: &ProtoField,
    value: Option<Wire<'_>>,
    depth: usize,
) -> Result<()> {
    // Writing to a string cannot fail.
    let number = match value {
        None => Some(0),
        Some(Wire::Number(number)) => Some(number),
        Some(Wire::Block(_)) => None,
    };
    let block = match value {
        None => Some(&[][..]),
        Some(Wire::Block(block)) => Some(block),
        Some(Wire::Number(_)) => None,
    };
    let zigzag = |number: u64| (number >> 1) as i64 ^ -((number & 1) as i64);
    match (field.of.as_str(), number, block) {
        ("double", Some(number), _) => push_f64(out, f64::from_bits(number)),
        ("float", Some(number), _) => push_f32(out, f32::from_bits(number as u32)),
        ("int32" | "sfixed32", Some(number), _) => drop(write!(out, "{}", number as i32)),
        ("uint32" | "fixed32", Some(number), _) => drop(write!(out, "{}", number as u32)),
        ("sint32", Some(number), _) => drop(write!(out, "{}", zigzag(number) as i32)),
        ("int64" | "sfixed64", Some(number), _) => drop(write!(out, "\"{}\"", number as i64)),
        ("uint64" | "fixed64", Some(number), _) => drop(write!(out, "\"{number}\"")),
        ("sint64", Some(number), _) => drop(write!(out, "\"{}\"", zigzag(number))),
        ("bool", Some(number), _) => out.push_str(if number == 0 { "false" } else { "true" }),
        ("string", _, Some(block)) => {
            push_string(out, std::str::from_utf8(block).map_err(|_| not_of_the_schema())?);
        }
        ("bytes", _, Some(block)) => push_base64(out, block),
        (scalar, ..) if is_scalar(scalar) => return Err(not_of_the_schema()),
        (name, number, block) => match (file.find(name), number, block) {
            (Some(ProtoType::Enum(values)), Some(number), _) => match values.get(&(number as i32)) {
                Some(name) => push_string(out, name),
                None => drop(write!(out, "{}", number as i32)),
            },
            (_, _, Some(block)) => push_message(out, file, name, block, depth + 1)?,
            _ => return Err(not_of_the_schema()),
        },
    }
    Ok(())
}

fn push_base64(out: &mut String, bytes: &[u8]) {
    out.push('"');
    STANDARD.encode_string(bytes, out);
    out.push('"');
}

fn push_timestamp(out: &mut String, found: &BTreeMap<u32, Vec<Wire<'_>>>) -> Result<()> {
    let member = |number: u32| match found.get(&number).and_then(|found| found.last()) {
        None => Ok(0),
        Some(Wire::Number(number)) => Ok(*number as i64),
        Some(Wire::Block(_)) => Err(not_of_the_schema()),
    };
    let (seconds, nanos) = (member(1)?, u32::try_from(member(2)?).map_err(|_| not_of_the_schema())?);
    let time = DateTime::from_timestamp(seconds, nanos).ok_or_else(not_of_the_schema)?;
    let text = time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let _ = write!(out, "\"{text}\"");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::samples::unhex;
    use super::*;

    const SCHEMA: &str = r#"
        syntax = "proto3"; package a.b; import "x.proto"; option (o) = { k: "}" };
        message First { }
        message Outer {
            enum Color { RED = 0; DEEP_BLUE = 2; }
            message Inner { repeated sint32 numbers = 1; Outer outer = 2; }
            Inner inner = 1; map<string, Color> colors = 2; oneof one { string left = 3; int64 right = 4; }
            repeated string texts = 5 [json_name = "x"]; fixed32 plain = 6; x.y.Other other = 7; optional bool set = 8;
        }"#;

    fn decode(hex: &str) -> Result<String> {
        decode_with(SCHEMA, &[&[0, 0, 0, 0, 1][..], &unhex(hex)].concat())
    }

    #[test]
    fn what_others_write_is_read_too() {
        assert_eq!(decode("00").unwrap(), "{}");
        assert_eq!(decode("0202").unwrap(), r#"{"colors":{},"texts":[],"plain":0}"#);
        let all = decode("0202 0a05 0a03 01020a 1205 0a0178 1002 1a00 2a0161 2a0162 350700 0000 3a0108 4001").unwrap();
        let expected = r#"{"inner":{"numbers":[-1,1,5]},"colors":{"x":"DEEP_BLUE"},"left":"","texts":["a","b"],"plain":7,"other":"CA==","set":true}"#;
        assert_eq!(all, expected);
        // The second message, and the first in it.
        assert_eq!(decode("040200 0801").unwrap(), r#"{"numbers":[-1]}"#);
    }

    #[test]
    fn what_is_not_of_the_schema_is_refused() {
        for hex in ["", "0204", "0202 0a05", "0202 30", "0202 0b", "01", "0202 0801", "0202 ffffffffffffffffffff01"] {
            assert_eq!(decode(hex).unwrap_err().kind(), ErrorKind::Value, "{hex}");
        }
        let deep = (0..150).fold(Vec::new(), |inner: Vec<u8>, _| {
            let mut outer = vec![0x12];
            let mut length = inner.len();
            while length >= 0x80 {
                outer.push(length as u8 | 0x80);
                length >>= 7;
            }
            outer.push(length as u8);
            outer.extend(inner);
            outer
        });
        let schema = "message M { int32 a = 1; M m = 2; }";
        let error = decode_with(schema, &[&[0, 0, 0, 0, 1, 0][..], &deep].concat()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value);
    }
}
