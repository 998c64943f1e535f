//! JSON Schemas as Confluent's converter registers them: the text that the library everit-json-schema prints, in whose
//! order members stand as Java's `HashMap` gives them (`tests/it/types/json_schema.rs` compares).

use super::super::java_map::order;
use super::super::json_text::push_string;
use crate::model::{Field, FieldType, Schema};

/// The schema's text. A record that is not open allows no properties beyond its own.
pub(super) fn text(schema: &Schema, is_open: bool) -> String {
    let mut text = String::new();
    match schema {
        Schema::Field(field) => push_field(&mut text, field, None),
        // Refused before.
        Schema::Hoisted { .. } => {}
        Schema::Record(record) => {
            text.push_str("{\"type\":\"object\"");
            if !is_open {
                text.push_str(",\"additionalProperties\":false");
            }
            if let Some(name) = &record.name {
                text.push_str(",\"title\":");
                push_string(&mut text, name);
            }
            if let Some(doc) = &record.doc {
                text.push_str(",\"description\":");
                push_string(&mut text, doc);
            }
            if let Some(version) = record.version {
                text.push_str(&format!(",\"connect.version\":{version}"));
            }
            // A record without columns has no member for them either.
            if !record.fields.is_empty() {
                text.push_str(",\"properties\":{");
                let names: Vec<&str> = record.fields.iter().map(|field| field.name.as_str()).collect();
                for (written, at) in order(&names).into_iter().enumerate() {
                    text.push_str(if written == 0 { "" } else { "," });
                    push_string(&mut text, names[at]);
                    text.push(':');
                    push_field(&mut text, &record.fields[at], Some(at));
                }
                text.push('}');
            }
            text.push('}');
        }
    }
    text
}

fn push_field(text: &mut String, field: &Field, index: Option<usize>) {
    let form = Form::of(&field.field_type);
    let doc = field.doc.as_deref();
    if !field.optional {
        form.push(text, doc, index);
        return;
    }
    text.push('{');
    if let Some(index) = index {
        text.push_str(&format!("\"connect.index\":{index},"));
    }
    text.push_str("\"oneOf\":[");
    // Older releases of the library sort the two by their hash codes, that of a text by an address in memory.
    text.push_str("{\"type\":\"null\"},");
    form.push(text, doc, None);
    text.push_str("]}");
}

/// The form of a type in JSON Schema.
struct Form {
    /// `type`.
    of: &'static str,
    /// The end of the logical type's name, which is the title.
    logical: Option<&'static str>,
    /// `connect.type`.
    connect: Option<&'static str>,
    /// `connect.parameters`, in the order in which they are written.
    parameters: Vec<(&'static str, String)>,
}

impl Form {
    fn of(field_type: &FieldType) -> Self {
        let form = |of, logical, connect| Form { of, logical, connect, parameters: Vec::new() };
        match field_type {
            FieldType::Boolean => form("boolean", None, None),
            FieldType::Int8 => form("integer", None, Some("int8")),
            FieldType::Int16 => form("integer", None, Some("int16")),
            FieldType::Int32 => form("integer", None, Some("int32")),
            FieldType::Int64 => form("integer", None, Some("int64")),
            FieldType::Float32 => form("number", None, Some("float32")),
            FieldType::Float64 => form("number", None, Some("float64")),
            FieldType::String => form("string", None, None),
            FieldType::Bytes => form("string", None, Some("bytes")),
            FieldType::Date => form("integer", Some("Date"), Some("int32")),
            FieldType::Time => form("integer", Some("Time"), Some("int32")),
            FieldType::Timestamp => form("integer", Some("Timestamp"), Some("int64")),
            FieldType::Decimal { precision, scale } => {
                let scale = ("scale", scale.to_string());
                let precision = precision.map(|precision| ("connect.decimal.precision", precision.to_string()));
                let parameters = [scale].into_iter().chain(precision).collect();
                // A number even where decimal.format makes it a text: so the reference has it.
                Form { parameters, ..form("number", Some("Decimal"), Some("bytes")) }
            }
        }
    }

    fn title(&self) -> Option<String> {
        self.logical.map(|logical| format!("org.apache.kafka.connect.data.{logical}"))
    }

    fn push(&self, text: &mut String, doc: Option<&str>, index: Option<usize>) {
        let mut members = vec![format!("\"type\":\"{}\"", self.of)];
        members.extend(self.title().map(|title| format!("\"title\":\"{title}\"")));
        members.extend(doc.map(|doc| {
            let mut description = "\"description\":".to_owned();
            push_string(&mut description, doc);
            description
        }));
        let index = index.map(|index| format!("\"connect.index\":{index}"));
        match self.of {
            // The library's own order.
            "boolean" => members.splice(0..0, index).for_each(drop),
            _ => members.extend(index),
        }
        members.extend(self.logical.map(|_| "\"connect.version\":1".to_owned()));
        members.extend(self.connect.map(|connect| format!("\"connect.type\":\"{connect}\"")));
        if !self.parameters.is_empty() {
            let parameters: Vec<String> =
                self.parameters.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
            members.push(format!("\"connect.parameters\":{{{}}}", parameters.join(",")));
        }
        text.push_str(&format!("{{{}}}", members.join(",")));
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::samples::*;
    use super::*;
    use crate::model::RecordSchema;

    #[test]
    fn the_schema_of_a_table_is_the_text_that_the_reference_s_library_prints() {
        let ts = r#""ts":{"type":"integer","title":"org.apache.kafka.connect.data.Timestamp","connect.index":1,"connect.version":1,"connect.type":"int64"}"#;
        let expected = r#"{"type":"object","title":"test_table","properties":{"item":{"connect.index":2,"oneOf":[{"type":"null"},{"type":"string"}]},"price":{"connect.index":3,"oneOf":[{"type":"null"},{"type":"integer","connect.type":"int32"}]},"#;
        let text = text(&test_table(), true);
        assert!(text.contains(ts), "{text}");
        assert_eq!(text[..expected.len()], *expected);
    }

    #[test]
    fn descriptions_stand_behind_the_title_of_record_and_fields() {
        let documented =
            |name, optional| Field { doc: Some("its day".into()), ..field(name, FieldType::Date, optional) };
        let fields = vec![documented("d", false), documented("e", true)];
        let record =
            Schema::Record(RecordSchema { version: None, name: Some("t".into()), doc: Some("days".into()), fields });
        let day = |index| {
            format!(
                r#"{{"type":"integer","title":"org.apache.kafka.connect.data.Date","description":"its day",{index}"connect.version":1,"connect.type":"int32"}}"#
            )
        };
        let (d, e) = (day(r#""connect.index":0,"#), day(""));
        assert_eq!(
            text(&record, true),
            format!(
                r#"{{"type":"object","title":"t","description":"days","properties":{{"d":{d},"e":{{"connect.index":1,"oneOf":[{{"type":"null"}},{e}]}}}}}}"#
            )
        );
    }

    #[test]
    fn decimals_are_numbers_with_their_parameters_and_null_stands_first() {
        let decimal = |precision| FieldType::Decimal { precision, scale: 2 };
        let fields = vec![field("d", decimal(Some(10)), true), field("f", FieldType::Float32, true)];
        let record = Schema::Record(RecordSchema { version: None, doc: None, name: None, fields });
        let d = r#"{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.version":1,"connect.type":"bytes","connect.parameters":{"scale":"2","connect.decimal.precision":"10"}}"#;
        let f = r#"{"type":"number","connect.type":"float32"}"#;
        assert_eq!(
            text(&record, false),
            format!(
                r#"{{"type":"object","additionalProperties":false,"properties":{{"d":{{"connect.index":0,"oneOf":[{{"type":"null"}},{d}]}},"f":{{"connect.index":1,"oneOf":[{{"type":"null"}},{f}]}}}}}}"#
            )
        );
        let bare = text(&key(decimal(None), false), true);
        assert_eq!(bare, d.replace(r#","connect.decimal.precision":"10""#, ""));
        assert_eq!(text(&key(FieldType::Boolean, true), true), r#"{"oneOf":[{"type":"null"},{"type":"boolean"}]}"#);
    }
}
