//! Aiven's `ConcatFields`: one text of several fields.

use std::sync::Arc;

use super::settings::Setting;
use super::shape::{Expr, Part, Shape, Slot, text};
use super::{Target, Transform, TransformDefinition, fields};
use crate::convert::java_text;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Field, FieldType, Value};

/// `io.aiven.kafka.connect.transforms.ConcatFields`.
pub(super) static DEFINITION: TransformDefinition = TransformDefinition {
    class: "io.aiven.kafka.connect.transforms.ConcatFields",
    targets: &[Target::Key, Target::Value],
    doc: "A field more, the texts of others joined. The record's schema has no name behind it, as with Aiven's.",
    settings: &[
        Setting::new("field.names", "The fields to join; one that is not there counts as null. Required."),
        Setting::new("output.field.name", "The field of the joined text. Required."),
        Setting::new("delimiter", "The text between them.").or(""),
        Setting::new("field.replace.missing", "The text of a null.").or(""),
    ],
    create: |target, settings| {
        let names = settings.list("field.names");
        if names.is_empty() {
            return Err(Error::config("field.names: is missing"));
        }
        Ok(Box::new(ConcatFields {
            target,
            names,
            output: settings.required("output.field.name")?.to_owned(),
            delimiter: settings.get("delimiter").unwrap_or_default().to_owned(),
            missing: settings.get("field.replace.missing").unwrap_or_default().to_owned(),
        }))
    },
};

struct ConcatFields {
    target: Target,
    names: Vec<String>,
    output: String,
    delimiter: String,
    missing: String,
}

impl Transform for ConcatFields {
    fn apply(&self, shape: Shape) -> Result<Shape> {
        fields::changed(self.target, shape, |_, part| {
            fields::record("ConcatFields", &part)?;
            let Part::Record { mut slots, .. } = part else { return Ok(part) };
            if slots.iter().any(|slot| slot.field.name == self.output) {
                return Err(Error::config(format!("output.field.name: there is a field `{}` already", self.output)));
            }
            let field = Field { name: self.output.clone(), field_type: FieldType::String, optional: true, doc: None };
            let expr = self.joined(&slots)?;
            slots.push(Slot { field, expr });
            Ok(Part::Record { name: None, version: None, doc: None, slots })
        })
    }
}

impl ConcatFields {
    fn joined(&self, slots: &[Slot]) -> Result<Expr> {
        let (mut types, mut arguments) = (Vec::new(), Vec::new());
        for name in &self.names {
            let slot = slots.iter().find(|slot| slot.field.name == *name);
            if slot.is_some_and(|slot| slot.field.field_type == FieldType::Bytes) {
                let message = format!("field.names: `{name}` is of bytes, of which Java prints the address in memory");
                return Err(Error::config(message).advise("leave it out, or cast it to a text first"));
            }
            types.push(slot.map_or(FieldType::String, |slot| slot.field.field_type.clone()));
            arguments.push(slot.map_or(Expr::Constant(Value::Null), |slot| slot.expr.clone()));
        }
        let (delimiter, missing) = (self.delimiter.clone(), self.missing.clone());
        let function = Arc::new(move |values: &[Value<'_>]| {
            let mut joined = String::new();
            for (index, (field_type, value)) in types.iter().zip(values).enumerate() {
                if index > 0 {
                    joined.push_str(&delimiter);
                }
                match value {
                    Value::Null => joined.push_str(&missing),
                    value => joined.push_str(
                        &java_text(field_type, value)
                            .ok_or_else(|| Error::new(ErrorKind::Value, "a value has no text"))?,
                    ),
                }
            }
            Ok(text(joined))
        });
        Ok(Expr::Combine { function, class: DEFINITION.class, arguments })
    }
}
