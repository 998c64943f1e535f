//! A reader of Avro records that knows nothing of rowtide: flat records of primitives and their optional forms,
//! as the registry describes them. Takes the bytes of a topic, gives the fields with their types.

use std::collections::HashMap;

use serde_json::Value as Json;

use crate::support::Stack;
use crate::support::db::block;

/// A field as a consumer sees it in the schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    /// `boolean`, `int`, `long`, `float`, `double`, `string`, `bytes`.
    pub primitive: String,
    pub optional: bool,
    /// `date`, `time-millis`, `timestamp-millis`, `decimal`, `int8`, `int16`, or empty.
    pub meaning: String,
    pub scale: i32,
}

impl Field {
    fn parse(name: &str, schema: &Json) -> Self {
        let branches = schema.as_array().map_or(std::slice::from_ref(schema), Vec::as_slice);
        let inner = branches.iter().find(|branch| *branch != "null").expect("a type that is not null");
        let text = |key: &str| inner.get(key).and_then(Json::as_str).map(str::to_owned);
        Self {
            name: name.to_owned(),
            primitive: inner.as_str().map(str::to_owned).or_else(|| text("type")).expect("a primitive type"),
            optional: branches.len() > 1,
            meaning: text("logicalType").or_else(|| text("connect.type")).unwrap_or_default(),
            scale: inner.get("scale").and_then(Json::as_i64).map_or(0, |scale| scale as i32),
        }
    }

    /// `int`, `date`, `decimal(2)`.
    pub fn describe(&self) -> String {
        match self.meaning.as_str() {
            "" => self.primitive.clone(),
            "decimal" => format!("decimal({})", self.scale),
            meaning => meaning.to_owned(),
        }
    }
}

/// A value as it was sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Got {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f32),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// Schemas of the registry by id.
#[derive(Default)]
pub struct Reader {
    schemas: HashMap<u32, Json>,
}

impl Reader {
    /// The fields of a record with their values.
    pub fn record(&mut self, bytes: &[u8]) -> Vec<(Field, Got)> {
        assert_eq!(bytes[0], 0, "the magic byte");
        let id = u32::from_be_bytes(bytes[1..5].try_into().expect("an id"));
        let schema = self.schemas.entry(id).or_insert_with(|| fetch(id));
        let mut rest = &bytes[5..];
        let fields = schema["fields"].as_array().expect("a record").iter().map(|field| {
            let branches = field["type"].as_array();
            let field = Field::parse(field["name"].as_str().expect("a name"), &field["type"]);
            let is_null = branches.is_some_and(|branches| branches[long(&mut rest) as usize] == "null");
            let got = if is_null { Got::Null } else { primitive(&field.primitive, &mut rest) };
            (field, got)
        });
        let fields = fields.collect();
        assert!(rest.is_empty(), "{} bytes are left over", rest.len());
        fields
    }
}

fn fetch(id: u32) -> Json {
    let url = format!("{}/schemas/ids/{id}", Stack::get().registry);
    let body: Json = block(async move { reqwest::get(url).await.expect("GET").json().await.expect("JSON") });
    serde_json::from_str(body["schema"].as_str().expect("a schema")).expect("JSON")
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(count);
    *rest = left;
    taken
}

fn long(rest: &mut &[u8]) -> i64 {
    let mut zigzag = 0_u64;
    for shift in (0..).step_by(7) {
        let byte = take(rest, 1)[0];
        zigzag |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)
}

fn primitive(name: &str, rest: &mut &[u8]) -> Got {
    match name {
        "boolean" => Got::Boolean(take(rest, 1)[0] == 1),
        "int" => {
            let value = long(rest);
            assert!(i32::try_from(value).is_ok(), "an int of {value}");
            Got::Integer(value)
        }
        "long" => Got::Integer(long(rest)),
        "float" => Got::Float(f32::from_le_bytes(take(rest, 4).try_into().expect("four bytes"))),
        "double" => Got::Double(f64::from_le_bytes(take(rest, 8).try_into().expect("eight bytes"))),
        "string" => {
            let length = long(rest) as usize;
            Got::Text(String::from_utf8(take(rest, length).to_vec()).expect("UTF-8"))
        }
        "bytes" => {
            let length = long(rest) as usize;
            Got::Bytes(take(rest, length).to_vec())
        }
        other => panic!("a field of type {other}"),
    }
}
