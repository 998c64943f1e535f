//! Protobuf schemas as Confluent's converter registers them (`other-formats.md`, 4): a proto3 file with one message, in the
//! spelling of its printer. Bare values are messages of Google's wrappers.

use std::collections::HashSet;

use super::super::avro::schema::url_encoded;
use super::super::registered::Described;
use crate::error::{Error, Result};
use crate::model::{Field, FieldType, RecordSchema, Schema};

/// The message of a nameless record: a query's, and keys made of columns.
const NAMELESS: &str = "ConnectDefault1";

/// Google's wrappers in the order of their file, by which a record says which of them it is.
const WRAPPERS: [(&str, &str); 9] = [
    ("DoubleValue", "double"),
    ("FloatValue", "float"),
    ("Int64Value", "int64"),
    ("UInt64Value", "uint64"),
    ("Int32Value", "int32"),
    ("UInt32Value", "uint32"),
    ("BoolValue", "bool"),
    ("StringValue", "string"),
    ("BytesValue", "bytes"),
];

/// The settings that change a schema and its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Style {
    /// `optional.for.nullables`: fields that may be null are `optional`.
    pub(super) optional: bool,
    /// `wrapper.for.nullables`: they are messages of Google's wrappers.
    pub(super) wrapper: bool,
    /// `scrub.invalid.names`.
    pub(super) scrub: bool,
}

/// The proto file of a schema.
///
/// # Errors
/// `Config`, with table or column, for what Protobuf cannot name or what the reference cannot write.
pub(super) fn describe(schema: &Schema, style: Style) -> Result<Described> {
    match schema {
        Schema::Record(record) => write_record(record, style),
        Schema::Hoisted { .. } => Err(Error::internal("records in records are refused before")),
        Schema::Field(field) => {
            let (at, name) = wrapper_of(&field.field_type).ok_or_else(|| no_wrapper(field))?;
            debug_assert_eq!(WRAPPERS[at].0, name);
            Ok(Described { text: wrappers(), full_name: Some(format!("google.protobuf.{name}")) })
        }
    }
}

/// The place of the record's message in its file, as it is written behind the schema's id.
///
/// # Errors
/// As [`describe`].
pub(super) fn message_index(schema: &Schema) -> Result<Vec<u8>> {
    match schema {
        Schema::Record(_) | Schema::Hoisted { .. } => Ok(vec![0]),
        Schema::Field(field) => match wrapper_of(&field.field_type).ok_or_else(|| no_wrapper(field))? {
            (0, _) => Ok(vec![0]),
            // One index, both in zig-zag.
            (at, _) => Ok(vec![2, at as u8 * 2]),
        },
    }
}

fn no_wrapper(field: &Field) -> Error {
    Error::config(format!("ProtobufConverter has no bare value of type {}", field.field_type))
        .with("column", &field.name)
        .advise("set key.format=record, or use another converter")
}

/// The wrapper of a type and its place in [`WRAPPERS`]; none for dates, times and decimals, which are messages already.
fn wrapper_of(field_type: &FieldType) -> Option<(usize, &'static str)> {
    let scalar = match shape(field_type) {
        Shape::Scalar { name, .. } => name,
        Shape::Message { .. } => return None,
    };
    let at = WRAPPERS.iter().position(|(_, of)| *of == scalar)?;
    Some((at, WRAPPERS[at].0))
}

/// `google/protobuf/wrappers.proto`.
pub(super) fn wrappers() -> String {
    let mut text = "syntax = \"proto3\";\npackage google.protobuf;\n\n\
                    option java_package = \"com.google.protobuf\";\noption java_outer_classname = \"WrappersProto\";\n\
                    option java_multiple_files = true;\n\
                    option go_package = \"google.golang.org/protobuf/types/known/wrapperspb\";\n\
                    option cc_enable_arenas = true;\noption objc_class_prefix = \"GPB\";\n\
                    option csharp_namespace = \"Google.Protobuf.WellKnownTypes\";\n\n"
        .to_owned();
    for (name, of) in WRAPPERS {
        text.push_str(&format!("message {name} {{\n  {of} value = 1;\n}}\n"));
    }
    text
}

/// The form of a type.
enum Shape {
    Scalar {
        name: &'static str,
        /// `connect.type`, where the type alone does not tell.
        connect: Option<&'static str>,
    },
    Message {
        name: &'static str,
        file: &'static str,
    },
}

fn shape(field_type: &FieldType) -> Shape {
    let scalar = |name, connect| Shape::Scalar { name, connect };
    match field_type {
        FieldType::Boolean => scalar("bool", None),
        FieldType::Int8 => scalar("int32", Some("int8")),
        FieldType::Int16 => scalar("int32", Some("int16")),
        FieldType::Int32 => scalar("int32", None),
        FieldType::Int64 => scalar("int64", None),
        FieldType::Float32 => scalar("float", None),
        FieldType::Float64 => scalar("double", None),
        FieldType::String => scalar("string", None),
        FieldType::Bytes => scalar("bytes", None),
        FieldType::Date => Shape::Message { name: "google.type.Date", file: "google/type/date.proto" },
        FieldType::Time => Shape::Message { name: "google.type.TimeOfDay", file: "google/type/timeofday.proto" },
        FieldType::Timestamp => {
            Shape::Message { name: "google.protobuf.Timestamp", file: "google/protobuf/timestamp.proto" }
        }
        FieldType::Decimal { .. } => {
            Shape::Message { name: "confluent.type.Decimal", file: "confluent/type/decimal.proto" }
        }
    }
}

fn write_record(record: &RecordSchema, style: Style) -> Result<Described> {
    let (package, name) = record_name(record.name.as_deref(), style)?;
    let mut imports: Vec<&'static str> = Vec::new();
    let mut fields = String::new();
    for (at, field) in record.fields.iter().enumerate() {
        let import = push_field(&mut fields, field, at + 1, style)?;
        imports.extend(import.filter(|file| !imports.contains(file)));
    }
    refuse_clashes(record, style)?;
    refuse_hidden(package, &name, &imports)?;
    let mut text = "syntax = \"proto3\";\n".to_owned();
    if let Some(package) = package {
        text.push_str(&format!("package {package};\n"));
    }
    if !imports.is_empty() {
        text.push('\n');
        imports.iter().for_each(|file| text.push_str(&format!("import \"{file}\";\n")));
    }
    let line_end = if fields.is_empty() { "" } else { "\n" };
    text.push_str(&format!("\nmessage {name} {{{line_end}{fields}}}\n"));
    let full_name = package.map_or_else(|| name.clone(), |package| format!("{package}.{name}"));
    Ok(Described { text, full_name: Some(full_name) })
}

/// Package and name of a record's message.
fn record_name(name: Option<&str>, style: Style) -> Result<(Option<&str>, String)> {
    let Some(original) = name.filter(|name| !name.is_empty()) else { return Ok((None, NAMELESS.to_owned())) };
    let (package, name) = match original.rsplit_once('.') {
        Some((package, name)) => (Some(package), name),
        None => (None, original),
    };
    let name = field_name(name, style);
    // The package is not scrubbed by the reference either.
    let is_valid = is_valid_name(&name) && package.is_none_or(|package| package.split('.').all(is_valid_name));
    if is_valid { Ok((package, name)) } else { Err(invalid_name("table", original)) }
}

fn invalid_name(place: &'static str, name: &str) -> Error {
    Error::config("protobuf does not allow this name")
        .with(place, format!("`{name}`"))
        .advise("set scrub.invalid.names=true in the converter's settings, or give it another name in a query")
}

fn is_valid_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

/// The name of a column's field, or of a table's message.
pub(super) fn field_name(name: &str, style: Style) -> String {
    let is_plain = is_valid_name(name) && !name.starts_with('_');
    if !style.scrub || is_plain || name.is_empty() {
        return name.to_owned();
    }
    let prefix = if name.starts_with(|first: char| first.is_ascii_digit() || first == '_') { "x" } else { "" };
    format!("{prefix}{}", url_encoded(name))
}

/// A type that its file is imported for would be looked for in the message or in the package.
fn refuse_hidden(package: Option<&str>, name: &str, imports: &[&str]) -> Result<()> {
    let inner = package.into_iter().flat_map(|package| package.split('.').skip(1)).chain([name]);
    for part in inner {
        if imports.iter().any(|file| file.split('/').next() == Some(part)) {
            return Err(Error::config(format!("a record named `{part}` hides the protobuf types of `{part}`"))
                .with("table", name)
                .advise("give the record another name, by the transform SetSchemaMetadata"));
        }
    }
    Ok(())
}

fn refuse_clashes(record: &RecordSchema, style: Style) -> Result<()> {
    let mut seen = HashSet::new();
    let clash = |field: &Field, name: &str| {
        Err(Error::config(format!("two columns have the protobuf name `{name}`"))
            .with("column", &field.name)
            .advise("give one of them another name in a query"))
    };
    for field in &record.fields {
        let name = field_name(&field.name, style);
        // `optional` makes a name of its own.
        let hidden = (style.optional && field.optional).then(|| format!("_{name}"));
        for name in [Some(name), hidden].into_iter().flatten() {
            if !seen.insert(name.clone()) {
                return clash(field, &name);
            }
        }
    }
    Ok(())
}

/// Appends the line of a field; the file it wants to be imported.
fn push_field(text: &mut String, field: &Field, number: usize, style: Style) -> Result<Option<&'static str>> {
    let name = field_name(&field.name, style);
    if !is_valid_name(&name) {
        return Err(invalid_name("column", &field.name));
    }
    let mut parameters: Vec<(&str, String)> = Vec::new();
    let (mut type_name, mut import) = match shape(&field.field_type) {
        Shape::Message { name, file } => (name.to_owned(), Some(file)),
        Shape::Scalar { name, connect } => {
            parameters.extend(connect.map(|connect| ("connect.type", connect.to_owned())));
            (name.to_owned(), None)
        }
    };
    if let (true, true, Some((_, wrapper))) = (style.wrapper, field.optional, wrapper_of(&field.field_type)) {
        (type_name, import) = (format!("google.protobuf.{wrapper}"), Some("google/protobuf/wrappers.proto"));
    }
    if let FieldType::Decimal { precision, scale } = &field.field_type {
        parameters.extend(precision.map(|precision| ("precision", precision.to_string())));
        parameters.push(("scale", scale.to_string()));
    }
    let label = if style.optional && field.optional { "optional " } else { "" };
    text.push_str(&format!("  {label}{type_name} {name} = {number}"));
    push_parameters(text, &parameters);
    text.push_str(";\n");
    Ok(import)
}

/// Appends the option that says what the type does not.
fn push_parameters(text: &mut String, parameters: &[(&str, String)]) {
    if parameters.is_empty() {
        return;
    }
    text.push_str(" [(confluent.field_meta) = {\n    params: [\n");
    for (at, (name, value)) in parameters.iter().enumerate() {
        // For compatibility with older releases these two have the value first.
        let (first, second) = match *name {
            "precision" | "scale" => (format!("value: \"{value}\""), format!("key: \"{name}\"")),
            _ => (format!("key: \"{name}\""), format!("value: \"{value}\"")),
        };
        let comma = if at + 1 < parameters.len() { "," } else { "" };
        text.push_str(&format!("      {{\n        {first},\n        {second}\n      }}{comma}\n"));
    }
    text.push_str("    ]\n  }]");
}

#[cfg(test)]
mod tests {
    use super::super::super::samples::*;
    use super::*;

    fn text(schema: &Schema, style: Style) -> String {
        describe(schema, style).unwrap().text
    }

    #[test]
    fn the_schema_of_a_table_is_spelled_as_the_reference_s_printer_does() {
        let expected = "syntax = \"proto3\";\n\nimport \"google/protobuf/timestamp.proto\";\n\nmessage test_table {\n  \
                        int32 seq = 1;\n  google.protobuf.Timestamp ts = 2;\n  string item = 3;\n  int32 price = 4;\n  \
                        string category = 5;\n}\n";
        let described = describe(&test_table(), Style::default()).unwrap();
        assert_eq!((described.text.as_str(), described.full_name.as_deref()), (expected, Some("test_table")));
        let wide = text(&wide(), Style::default());
        let imports = "import \"google/type/date.proto\";\nimport \"google/type/timeofday.proto\";\nimport \
                       \"google/protobuf/timestamp.proto\";\nimport \"confluent/type/decimal.proto\";\n\nmessage";
        assert!(wide.contains(imports), "{wide}");
        let int8 = "  int32 c_i8 = 3 [(confluent.field_meta) = {\n    params: [\n      {\n        key: \
                    \"connect.type\",\n        value: \"int8\"\n      }\n    ]\n  }];\n";
        assert!(wide.contains(int8), "{wide}");
        let decimal = "  confluent.type.Decimal c_num = 13 [(confluent.field_meta) = {\n    params: [\n      {\n        \
                       value: \"10\",\n        key: \"precision\"\n      },\n      {\n        value: \"2\",\n        key: \
                       \"scale\"\n      }\n    ]\n  }];\n";
        assert!(wide.contains(decimal), "{wide}");
    }

    #[test]
    fn what_may_be_null_is_optional_or_wrapped_where_asked() {
        let optional = text(&test_table(), Style { optional: true, ..Style::default() });
        assert!(optional.contains("\n  optional string item = 3;\n") && optional.contains("\n  int32 seq = 1;\n"));
        let wrapped = text(&test_table(), Style { wrapper: true, ..Style::default() });
        assert!(wrapped.contains("\n  google.protobuf.Int32Value price = 4;\n"), "{wrapped}");
        assert!(wrapped.contains("timestamp.proto\";\nimport \"google/protobuf/wrappers.proto\";\n"), "{wrapped}");
        let both = text(&wide(), Style { optional: true, wrapper: true, scrub: false });
        assert!(both.contains("\n  optional google.protobuf.Int32Value c_i16 = 4 [(confluent"), "{both}");
        assert!(both.contains("\n  optional google.type.Date c_date = 10;\n"), "{both}");
    }

    fn named(table: Option<&str>, columns: &[&str]) -> Schema {
        let fields = columns.iter().map(|name| field(name, FieldType::Timestamp, true)).collect();
        Schema::Record(RecordSchema { version: None, doc: None, name: table.map(str::to_owned), fields })
    }

    #[test]
    fn names_are_scrubbed_where_asked_and_refused_else() {
        let scrub = Style { scrub: true, ..Style::default() };
        let names = |table: Option<&str>, columns: &[&str]| describe(&named(table, columns), scrub).unwrap();
        assert_eq!(names(Some("a.b-c"), &["x"]).full_name.as_deref(), Some("a.b_c"));
        assert!(names(Some("a.b"), &["x"]).text.starts_with("syntax = \"proto3\";\npackage a;\n\nimport"));
        assert_eq!(names(None, &["x"]).full_name.as_deref(), Some("ConnectDefault1"));
        let text = names(Some("t"), &["1a", "_b", "c d", "é", "_"]).text;
        for (at, name) in ["x1a", "x_b", "c_d", "_C3_A9", "x_"].iter().enumerate() {
            assert!(text.contains(&format!("Timestamp {name} = {};", at + 1)), "{text}");
        }
        for (table, columns, place, style) in [
            (Some("t"), &["a-b"][..], Some("`a-b`"), Style::default()),
            (Some("é"), &["a"], None, Style::default()),
            (Some("a-b.c"), &["a"], None, scrub),
            (Some("t"), &["a b", "a_b"], Some("a_b"), scrub),
            (Some("t"), &["a", "_a"], Some("_a"), Style { optional: true, ..Style::default() }),
            (Some("google"), &["a"], None, Style::default()),
            (Some("x.google.t"), &["a"], None, Style::default()),
        ] {
            let error = describe(&named(table, columns), style).err().unwrap();
            assert_eq!((error.kind(), error.context("column")), (crate::error::ErrorKind::Config, place), "{table:?}");
        }
        assert!(describe(&named(Some("google.t"), &["google"]), Style::default()).is_ok());
    }

    #[test]
    fn bare_values_are_wrappers_and_say_which() {
        let index = |field_type| message_index(&key(field_type, false)).unwrap();
        assert_eq!((index(FieldType::Float64), index(FieldType::Int8)), (vec![0], vec![2, 8]));
        assert_eq!((index(FieldType::String), index(FieldType::Bytes)), (vec![2, 14], vec![2, 16]));
        let described = describe(&key(FieldType::Int64, true), Style::default()).unwrap();
        assert_eq!(described.full_name.as_deref(), Some("google.protobuf.Int64Value"));
        assert!(described.text.contains("\nmessage Int64Value {\n  int64 value = 1;\n}\nmessage UInt64Value {"));
        let date = describe(&key(FieldType::Date, false), Style::default()).err().unwrap();
        assert!(date.to_string().contains("no bare value of type Date"), "{date}");
    }
}
