//! Schemas as Kafka Connect's AvroConverter registers them, built as text: its attribute order decides
//! about schema ids on older registries, so nothing here goes through a library that sorts or drops.

use std::collections::HashSet;
use std::sync::LazyLock;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use regex::Regex;

use super::super::json_text::push_string;
use crate::error::{Error, Result};
use crate::model::{Field, FieldType, RecordSchema, Schema};

/// The record name of a nameless schema: queries, and keys made of columns.
const NAMELESS: (&str, &str) = ("io.confluent.connect.avro", "ConnectDefault");
/// The precision written where none is known.
const DEFAULT_PRECISION: i32 = 64;

/// Settings that change the text of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaStyle {
    /// `connect.meta.data`: the `connect.*` attributes are written.
    pub connect_meta: bool,
    /// `scrub.invalid.names`.
    pub scrub: bool,
}

impl Default for SchemaStyle {
    fn default() -> Self {
        Self { connect_meta: true, scrub: false }
    }
}

/// A schema's text and what its subject and its fields are called in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvroSchema {
    /// The text, byte for byte as registered.
    pub text: String,
    /// Full name of the record; none for a bare value.
    pub full_name: Option<String>,
    /// The fields' Avro names in order; a bare value has one, which is empty.
    pub field_names: Vec<String>,
}

impl AvroSchema {
    /// Writes the schema.
    ///
    /// # Errors
    /// `Config`, with the field or table, if Avro does not allow a name or the type cannot be written.
    pub fn write(schema: &Schema, style: SchemaStyle) -> Result<Self> {
        match schema {
            Schema::Record(record) => write_record(record, style, &mut Within::default()),
            Schema::Hoisted { .. } => write_hoisted(schema, style),
            Schema::Field(field) => {
                let mut text = String::new();
                push_field_type(&mut text, field, style)?;
                Ok(Self { text, full_name: None, field_names: vec![String::new()] })
            }
        }
    }
}

/// The records that a record stands in (`avro-converter.md`, 2).
#[derive(Debug, Default)]
struct Within {
    /// The namespace of the innermost.
    namespace: String,
    /// The number of those without a name.
    nameless: usize,
}

/// Records in records, each but the innermost without a name and with one field.
fn write_hoisted(schema: &Schema, style: SchemaStyle) -> Result<AvroSchema> {
    let ((around, inner), mut within) = (schema.hoists(), Within::default());
    let Schema::Record(record) = inner else { return Err(Error::internal("a bare value in a record in a record")) };
    let mut head = String::new();
    for field in &around {
        let (namespace, name) = record_name(None, style, &mut within)?;
        let field_name = field_name(field, style);
        if !is_valid_name(&field_name) {
            return Err(invalid_name("column", field));
        }
        push_head(&mut head, (&namespace, &name), &mut within);
        head.push_str(",\"fields\":[{\"name\":");
        push_string(&mut head, &field_name);
        head.push_str(",\"type\":");
    }
    let inner = write_record(record, style, &mut within)?;
    let text = format!("{head}{}{}", inner.text, "}]}".repeat(around.len()));
    let full_name = Some(format!("{}.{}", NAMELESS.0, NAMELESS.1));
    Ok(AvroSchema { text, full_name, ..inner })
}

/// Begins a record with its name.
fn push_head(text: &mut String, (namespace, name): (&str, &str), within: &mut Within) {
    text.push_str("{\"type\":\"record\",\"name\":");
    push_string(text, name);
    if *namespace != within.namespace {
        text.push_str(",\"namespace\":");
        push_string(text, namespace);
        within.namespace = namespace.to_owned();
    }
}

fn write_record(record: &RecordSchema, style: SchemaStyle, within: &mut Within) -> Result<AvroSchema> {
    let (namespace, name) = record_name(record.name.as_deref(), style, within)?;
    let mut text = String::with_capacity(64 + record.fields.len() * 64);
    push_head(&mut text, (&namespace, &name), within);
    push_doc(&mut text, record.doc.as_deref());
    text.push_str(",\"fields\":[");
    let mut field_names = Vec::with_capacity(record.fields.len());
    for (index, field) in record.fields.iter().enumerate() {
        let field_name = field_name(&field.name, style);
        if !is_valid_name(&field_name) {
            return Err(invalid_name("column", &field.name));
        }
        if index > 0 {
            text.push(',');
        }
        text.push_str("{\"name\":");
        push_string(&mut text, &field_name);
        text.push_str(",\"type\":");
        push_field_type(&mut text, field, style)?;
        push_doc(&mut text, field.doc.as_deref());
        if field.optional {
            text.push_str(",\"default\":null");
        }
        text.push('}');
        field_names.push(field_name);
    }
    refuse_duplicates(record, &field_names)?;
    text.push(']');
    if let (Some(version), true) = (record.version, style.connect_meta) {
        text.push_str(&format!(",\"connect.version\":{version}"));
    }
    if let (Some(original), true) = (&record.name, style.connect_meta) {
        text.push_str(",\"connect.name\":");
        push_string(&mut text, original);
    }
    text.push('}');
    let full_name = if namespace.is_empty() { name } else { format!("{namespace}.{name}") };
    Ok(AvroSchema { text, full_name: Some(full_name), field_names })
}

/// A description in its place, that of Java's Avro: behind the namespace of a record, the type of a field.
fn push_doc(text: &mut String, doc: Option<&str>) {
    if let Some(doc) = doc {
        text.push_str(",\"doc\":");
        push_string(text, doc);
    }
}

/// Namespace (may be empty) and name. Java's split drops empty segments at the end.
fn record_name(name: Option<&str>, style: SchemaStyle, within: &mut Within) -> Result<(String, String)> {
    let Some(original) = name else {
        within.nameless += 1;
        let number = if within.nameless > 1 { within.nameless.to_string() } else { String::new() };
        return Ok((NAMELESS.0.to_owned(), format!("{}{number}", NAMELESS.1)));
    };
    let scrubbed: String;
    let mut dotted = original.trim_end_matches('.');
    if style.scrub {
        scrubbed = dotted.split('.').map(scrub).collect::<Vec<_>>().join(".");
        dotted = &scrubbed;
    }
    let (namespace, name) = dotted.rsplit_once('.').unwrap_or(("", dotted));
    // Avro checks the name only; a namespace passes as it is.
    if !is_valid_name(name) {
        return Err(invalid_name("table", original));
    }
    Ok((namespace.to_owned(), name.to_owned()))
}

/// Java's letters and digits: of the basic plane, since it looks at UTF-16 units.
fn is_valid_name(name: &str) -> bool {
    // The pattern is constant and every unit test uses it; a broken one would refuse every name.
    static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[\p{L}_][\p{L}\p{Nd}_]*\z").ok());
    let matches = NAME.as_ref().is_some_and(|pattern| pattern.is_match(name));
    matches && name.chars().all(|character| u32::from(character) <= 0xffff)
}

fn invalid_name(place: &'static str, name: &str) -> Error {
    Error::config("avro does not allow this name")
        .with(place, format!("`{name}`"))
        .advise("set scrub.invalid.names=true in the converter's settings, or give it another name in a query")
}

fn refuse_duplicates(record: &RecordSchema, names: &[String]) -> Result<()> {
    let mut seen = HashSet::with_capacity(names.len());
    for (field, name) in record.fields.iter().zip(names) {
        if !seen.insert(name.as_str()) {
            return Err(Error::config(format!("two columns have the avro name `{name}`"))
                .with("column", &field.name)
                .advise("give one of them another name in a query"));
        }
    }
    Ok(())
}

/// The Avro name of a column's field.
pub(super) fn field_name(column: &str, style: SchemaStyle) -> String {
    if style.scrub { scrub(column) } else { column.to_owned() }
}

/// The text of a type, without null.
///
/// # Errors
/// `Config` if it cannot be written.
pub(super) fn type_text(field_type: &FieldType, style: SchemaStyle) -> Result<String> {
    let mut text = String::new();
    push_type(&mut text, field_type, style)?;
    Ok(text)
}

/// One segment of a name by the rules of `scrub.invalid.names`.
fn scrub(segment: &str) -> String {
    let starts_with_digit = segment.starts_with(|first: char| first.is_ascii_digit());
    if segment.chars().all(is_plain) && !starts_with_digit {
        return segment.to_owned();
    }
    let prefix = if starts_with_digit { "x" } else { "" };
    format!("{prefix}{}", url_encoded(segment))
}

fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// A name in letters, digits and underscores, as `scrub.invalid.names` has it: encoded like a part of a URL, and then an
/// underscore for everything else.
pub(in crate::convert) fn url_encoded(name: &str) -> String {
    // `java.net.URLEncoder` leaves these as they are; a space becomes `+`, all the same in the end.
    const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_').remove(b' ');
    let encoded = utf8_percent_encode(name, FORM).to_string();
    encoded.chars().map(|character| if is_plain(character) { character } else { '_' }).collect()
}

fn push_field_type(text: &mut String, field: &Field, style: SchemaStyle) -> Result<()> {
    if field.optional {
        text.push_str("[\"null\",");
    }
    push_type(text, &field.field_type, style).map_err(|error| error.with("column", &field.name))?;
    if field.optional {
        text.push(']');
    }
    Ok(())
}

fn push_type(text: &mut String, field_type: &FieldType, style: SchemaStyle) -> Result<()> {
    let plain = match field_type {
        FieldType::Boolean => "\"boolean\"",
        FieldType::Int8 if style.connect_meta => "{\"type\":\"int\",\"connect.type\":\"int8\"}",
        FieldType::Int16 if style.connect_meta => "{\"type\":\"int\",\"connect.type\":\"int16\"}",
        FieldType::Int8 | FieldType::Int16 | FieldType::Int32 => "\"int\"",
        FieldType::Int64 => "\"long\"",
        FieldType::Float32 => "\"float\"",
        FieldType::Float64 => "\"double\"",
        FieldType::String => "\"string\"",
        FieldType::Bytes => "\"bytes\"",
        FieldType::Date => return push_logical(text, "int", "Date", "date", style),
        FieldType::Time => return push_logical(text, "int", "Time", "time-millis", style),
        FieldType::Timestamp => return push_logical(text, "long", "Timestamp", "timestamp-millis", style),
        FieldType::Decimal { precision, scale } => return push_decimal(text, *precision, *scale, style),
    };
    text.push_str(plain);
    Ok(())
}

fn push_logical(text: &mut String, avro: &str, connect: &str, logical: &str, style: SchemaStyle) -> Result<()> {
    text.push_str(&format!("{{\"type\":\"{avro}\""));
    if style.connect_meta {
        let class = format!("org.apache.kafka.connect.data.{connect}");
        text.push_str(&format!(",\"connect.version\":1,\"connect.name\":\"{class}\""));
    }
    text.push_str(&format!(",\"logicalType\":\"{logical}\"}}"));
    Ok(())
}

fn push_decimal(text: &mut String, precision: Option<i32>, scale: i32, style: SchemaStyle) -> Result<()> {
    if precision == Some(0) && scale == 0 {
        return Err(Error::config("avro has no decimal of precision 0 and scale 0")
            .advise("cast the column to a numeric with a precision in a query"));
    }
    let written = precision.unwrap_or(DEFAULT_PRECISION);
    text.push_str(&format!("{{\"type\":\"bytes\",\"scale\":{scale},\"precision\":{written}"));
    if style.connect_meta {
        text.push_str(&format!(",\"connect.version\":1,\"connect.parameters\":{{\"scale\":\"{scale}\""));
        if let Some(precision) = precision {
            text.push_str(&format!(",\"connect.decimal.precision\":\"{precision}\""));
        }
        text.push_str("},\"connect.name\":\"org.apache.kafka.connect.data.Decimal\"");
    }
    text.push_str(",\"logicalType\":\"decimal\"}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::samples::{TEST_TABLE, TEST_TABLE_PLAIN, WIDE, field, key, test_table, wide};
    use super::*;

    fn text(schema: &Schema) -> String {
        AvroSchema::write(schema, SchemaStyle::default()).unwrap().text
    }

    fn named(name: &str, scrub: bool) -> Result<AvroSchema> {
        let record = RecordSchema { version: None, doc: None, name: Some(name.to_owned()), fields: vec![] };
        AvroSchema::write(&Schema::Record(record), SchemaStyle { connect_meta: true, scrub })
    }

    #[test]
    fn the_worked_examples_come_out_byte_for_byte() {
        assert_eq!(text(&test_table()), TEST_TABLE);
        assert_eq!(text(&wide()), WIDE);
        let plain = SchemaStyle { connect_meta: false, scrub: false };
        assert_eq!(AvroSchema::write(&test_table(), plain).unwrap().text, TEST_TABLE_PLAIN);
    }

    #[test]
    fn descriptions_are_the_doc_of_record_and_fields_of_keys_too_but_not_of_bare_values() {
        let documented =
            |name, optional| Field { doc: Some("its \"number\"".into()), ..field(name, FieldType::Int32, optional) };
        let record = RecordSchema {
            version: None,
            name: Some("shop.orders".into()),
            doc: Some("all orders\n".into()),
            fields: vec![documented("id", false), documented("n", true)],
        };
        let fields = r#""fields":[{"name":"id","type":"int","doc":"its \"number\""},{"name":"n","type":["null","int"],"doc":"its \"number\"","default":null}]"#;
        assert_eq!(
            text(&Schema::Record(record)),
            format!(
                r#"{{"type":"record","name":"orders","namespace":"shop","doc":"all orders\n",{fields},"connect.name":"shop.orders"}}"#
            )
        );
        assert_eq!(text(&Schema::Field(documented("id", false))), r#""int""#);
    }

    #[test]
    fn records_in_records_are_numbered_where_they_have_no_name_and_say_where_they_leave_the_namespace() {
        let hoisted = |field: &str, record| Schema::Hoisted { field: field.to_owned(), record: Box::new(record) };
        let of = |name: Option<&str>| {
            let fields = vec![field("id", FieldType::Int32, false)];
            let record = RecordSchema { version: None, doc: None, name: name.map(str::to_owned), fields };
            Schema::Record(record)
        };
        let outer = r#""namespace":"io.confluent.connect.avro","fields":[{"name":"row","type":"#;
        let fields = r#""fields":[{"name":"id","type":"int"}]"#;
        assert_eq!(
            text(&hoisted("row", of(Some("t")))),
            format!(
                r#"{{"type":"record","name":"ConnectDefault",{outer}{{"type":"record","name":"t","namespace":"",{fields},"connect.name":"t"}}}}]}}"#
            )
        );
        assert_eq!(
            text(&hoisted("row", hoisted("a", of(None)))),
            format!(
                r#"{{"type":"record","name":"ConnectDefault",{outer}{{"type":"record","name":"ConnectDefault2","fields":[{{"name":"a","type":{{"type":"record","name":"ConnectDefault3",{fields}}}}}]}}}}]}}"#
            )
        );
        let written = AvroSchema::write(&hoisted("row", of(Some("t"))), SchemaStyle::default()).unwrap();
        assert_eq!(written.full_name.as_deref(), Some("io.confluent.connect.avro.ConnectDefault"));
        apache_avro::Schema::parse_str(&written.text).unwrap();
    }

    #[test]
    fn without_connect_meta_only_the_avro_attributes_stay() {
        let plain = SchemaStyle { connect_meta: false, scrub: false };
        let of = |field_type| AvroSchema::write(&key(field_type, false), plain).unwrap().text;
        assert_eq!(
            of(FieldType::Decimal { precision: Some(10), scale: 2 }),
            r#"{"type":"bytes","scale":2,"precision":10,"logicalType":"decimal"}"#
        );
        assert_eq!(of(FieldType::Int8), r#""int""#);
        assert_eq!(of(FieldType::Date), r#"{"type":"int","logicalType":"date"}"#);
    }

    #[test]
    fn keys_are_bare_types_unions_or_nameless_records() {
        assert_eq!(text(&key(FieldType::Int32, false)), r#""int""#);
        assert_eq!(text(&key(FieldType::Int64, false)), r#""long""#);
        assert_eq!(text(&key(FieldType::String, false)), r#""string""#);
        assert_eq!(text(&key(FieldType::Int32, true)), r#"["null","int"]"#);
        assert_eq!(text(&key(FieldType::Bytes, true)), r#"["null","bytes"]"#);
        assert_eq!(
            text(&key(FieldType::Decimal { precision: None, scale: 2 }, true)),
            r#"["null",{"type":"bytes","scale":2,"precision":64,"connect.version":1,"connect.parameters":{"scale":"2"},"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}]"#
        );
        let nameless =
            RecordSchema { version: None, doc: None, name: None, fields: vec![field("seq", FieldType::Int32, false)] };
        let written = AvroSchema::write(&Schema::Record(nameless), SchemaStyle::default()).unwrap();
        assert_eq!(
            written.text,
            r#"{"type":"record","name":"ConnectDefault","namespace":"io.confluent.connect.avro","fields":[{"name":"seq","type":"int"}]}"#
        );
        assert_eq!(written.full_name.as_deref(), Some("io.confluent.connect.avro.ConnectDefault"));
        let k = RecordSchema {
            version: None,
            doc: None,
            name: Some("k".into()),
            fields: vec![field("id", FieldType::Int32, false), field("r", FieldType::String, false)],
        };
        assert_eq!(
            text(&Schema::Record(k)),
            r#"{"type":"record","name":"k","fields":[{"name":"id","type":"int"},{"name":"r","type":"string"}],"connect.name":"k"}"#
        );
    }

    #[test]
    fn names_split_at_the_last_dot_and_keep_their_original() {
        assert_eq!(
            named("a.b.c", false).unwrap().text,
            r#"{"type":"record","name":"c","namespace":"a.b","fields":[],"connect.name":"a.b.c"}"#
        );
        assert_eq!(named("a.b.", false).unwrap().full_name.as_deref(), Some("a.b"));
        assert_eq!(named("my-db.t", false).unwrap().full_name.as_deref(), Some("my-db.t"));
        assert_eq!(named("é", false).unwrap().full_name.as_deref(), Some("é"));
        for bad in ["", ".", "my-table", "a$b", "my table", "1x", "t\n", "𝒳"] {
            let error = named(bad, false).unwrap_err();
            assert_eq!(error.kind(), crate::error::ErrorKind::Config, "{bad}");
            assert!(error.advice().contains("scrub.invalid.names=true"));
        }
    }

    #[test]
    fn scrubbed_names_are_those_of_the_reference() {
        for (name, scrubbed) in [
            ("my-table", "my_table"),
            ("my table", "my_table"),
            ("a$b", "a_24b"),
            ("é1", "_C3_A91"),
            ("é", "_C3_A9"),
            ("1x", "x1x"),
            ("日本", "_E6_97_A5_E6_9C_AC"),
            ("x.y-z.1t", "x.y_z.x1t"),
        ] {
            let written = named(name, true).unwrap();
            assert_eq!(written.full_name.as_deref(), Some(scrubbed));
            assert!(written.text.ends_with(&format!(",\"connect.name\":\"{name}\"}}")));
        }
        assert_eq!(scrub("f.g"), "f_g");
    }

    #[test]
    fn columns_that_become_one_name_are_refused() {
        let fields = vec![field("a-b", FieldType::Int32, false), field("a_b", FieldType::Int32, false)];
        let schema = Schema::Record(RecordSchema { version: None, doc: None, name: Some("t".into()), fields });
        let error = AvroSchema::write(&schema, SchemaStyle { connect_meta: true, scrub: true }).unwrap_err();
        assert_eq!(error.to_string(), "two columns have the avro name `a_b` (column a_b)");
        let error = AvroSchema::write(&schema, SchemaStyle::default()).unwrap_err();
        assert_eq!(error.to_string(), "avro does not allow this name (column `a-b`)");
    }

    #[test]
    fn a_decimal_without_any_digit_is_refused() {
        let zero = key(FieldType::Decimal { precision: Some(0), scale: 0 }, true);
        let error = AvroSchema::write(&zero, SchemaStyle::default()).unwrap_err();
        assert_eq!(error.context("column"), Some("key"));
    }
}
