//! The newest schema of a subject, looked at for the types of its fields.

use serde_json::Value as Json;

use super::schema::{SchemaStyle, field_name, type_text};
use super::writer::short;
use crate::model::FieldType;

/// The latest schema of a subject.
#[derive(Debug, Clone)]
pub struct RegisteredFields {
    /// The subject, and which schema of it: `subject orders-value version 3`.
    pub place: String,
    /// Names and types of the fields; none if it has no schema yet.
    pub fields: Option<Vec<(String, Json)>>,
    pub(super) style: SchemaStyle,
}

impl RegisteredFields {
    /// The type of a column's field as it is written in the schema; none if there is no such field.
    fn field(&self, column: &str) -> Option<&Json> {
        let name = field_name(column, self.style);
        self.fields.as_ref()?.iter().find(|(known, _)| *known == name).map(|(_, written)| written)
    }

    /// The type of a column's field in a few words.
    pub fn shown(&self, column: &str) -> Option<String> {
        self.field(column).map(|written| short(not_null(written)))
    }

    /// The form of a column, among these, that the schema has: the same type, else one that is written the same; none
    /// where it has none of them, or no schema is there. A form without a type is that of a schema without the field.
    pub fn form_of(&self, column: &str, forms: &[Option<&FieldType>]) -> Option<usize> {
        self.fields.as_ref()?;
        let Some(written) = self.field(column).map(not_null) else {
            return forms.iter().position(Option::is_none);
        };
        let same = |as_text: fn(&Json) -> Option<Json>| {
            let of = |form: &FieldType| serde_json::from_str(&type_text(form, self.style).ok()?).ok();
            forms.iter().position(|form| {
                form.and_then(of).is_some_and(|own: Json| as_text(&own).is_some() && as_text(&own) == as_text(written))
            })
        };
        same(|written| Some(written.clone())).or_else(|| same(plain))
    }
}

/// The type of the values of a field that may be null.
fn not_null(written: &Json) -> &Json {
    let branches = written.as_array().map(Vec::as_slice).unwrap_or_default();
    branches.iter().find(|branch| branch.as_str() != Some("null")).unwrap_or(written)
}

/// The form in which values of an Avro type are written.
fn plain(written: &Json) -> Option<Json> {
    written.get("logicalType").or(written.get("type")).or(Some(written)).filter(|word| word.is_string()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registered(fields: &[(&str, &str)], connect_meta: bool) -> RegisteredFields {
        let field = |(name, of): &(&str, &str)| ((*name).to_owned(), serde_json::from_str(of).unwrap());
        RegisteredFields {
            place: "subject s version 1".to_owned(),
            fields: Some(fields.iter().map(field).collect()),
            style: SchemaStyle { connect_meta, scrub: true },
        }
    }

    #[test]
    fn a_form_is_found_by_its_type_and_else_by_how_it_is_written() {
        let (boolean, int8, int16, int32) = (FieldType::Boolean, FieldType::Int8, FieldType::Int16, FieldType::Int32);
        let forms = [Some(&int16), Some(&int8), Some(&int32), Some(&boolean), None];
        let of = |written: &str, meta| registered(&[("a_b", written)], meta).form_of("a-b", &forms);
        assert_eq!(of(r#"{"type":"int","connect.type":"int8"}"#, true), Some(1));
        assert_eq!(of(r#"["null",{"connect.type":"int8","type":"int"}]"#, true), Some(1));
        assert_eq!(of(r#""int""#, true), Some(2));
        assert_eq!(of(r#"["boolean","null"]"#, true), Some(3));
        // Without `connect.type` one width is as good as another, and the first is the usual one.
        assert_eq!(of(r#""int""#, false), Some(0));
        assert_eq!(of(r#"{"type":"int","x":1}"#, true), Some(0));
        assert_eq!(of(r#""string""#, true), None);
        assert_eq!(registered(&[("c", "\"int\"")], true).form_of("a-b", &forms), Some(4));
        assert_eq!(registered(&[("c", "\"int\"")], true).form_of("a-b", &forms[..4]), None);
        let none = RegisteredFields { fields: None, ..registered(&[], true) };
        assert_eq!(none.form_of("a-b", &forms), None);
        let bytes = FieldType::Bytes;
        let decimal = r#"{"type":"bytes","logicalType":"decimal","precision":3,"scale":1}"#;
        assert_eq!(registered(&[("b", decimal)], true).form_of("b", &[Some(&bytes)]), None, "another meaning");
    }
}
