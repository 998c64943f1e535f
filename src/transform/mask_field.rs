//! `MaskField`: fields whose values nobody shall see.

use super::settings::{REPLACE_NULL, Setting};
use super::shape::{Expr, Part, Shape, Slot, text};
use super::{Target, Transform, TransformDefinition, fields};
use crate::error::{Error, Result};
use crate::model::{FieldType, Value};

/// `org.apache.kafka.connect.transforms.MaskField`.
pub(super) static DEFINITION: TransformDefinition = TransformDefinition {
    class: "org.apache.kafka.connect.transforms.MaskField",
    targets: &[Target::Key, Target::Value],
    doc: "Zero, the empty text or a replacement in place of each value that is not null.",
    settings: &[
        Setting::new("fields", "The fields; names that are not there are passed over. Required."),
        Setting::new("replacement", "A value of the fields' type instead of zero or the empty text."),
        REPLACE_NULL,
    ],
    create: |target, settings| {
        settings.required("fields")?;
        let replacement = settings.get("replacement").map(str::to_owned);
        Ok(Box::new(MaskField { target, fields: settings.list("fields"), replacement }))
    },
};

struct MaskField {
    target: Target,
    fields: Vec<String>,
    replacement: Option<String>,
}

impl MaskField {
    fn masked(&self, slot: Slot) -> Result<Slot> {
        if !self.fields.contains(&slot.field.name) {
            return Ok(slot);
        }
        let mask = match &self.replacement {
            None => zero(&slot.field.field_type),
            Some(replacement) => replaced(&slot.field.field_type, replacement).map_err(|what| {
                Error::config(format!(
                    "replacement: `{replacement}` is {what}, and field `{}` wants one",
                    slot.field.name
                ))
            })?,
        };
        let mask = mask.ok_or_else(|| {
            Error::config(format!("field `{}` has a type that cannot be masked", slot.field.name))
                .advise("leave it out with ReplaceField instead; Kafka Connect fails on it, too")
        })?;
        Ok(Slot { expr: Expr::Mask(mask, Box::new(slot.expr)), ..slot })
    }
}

fn zero(field_type: &FieldType) -> Option<Value<'static>> {
    match field_type {
        FieldType::Boolean => Some(Value::Boolean(false)),
        FieldType::Int8 | FieldType::Int16 | FieldType::Int32 | FieldType::Int64 => Some(Value::Integer(0)),
        FieldType::Float32 => Some(Value::Float32(0.0)),
        FieldType::Float64 => Some(Value::Float64(0.0)),
        FieldType::String => Some(text("")),
        FieldType::Decimal { scale: 0, .. } => Some(Value::Decimal(vec![0].into())),
        FieldType::Decimal { .. } | FieldType::Bytes | FieldType::Date | FieldType::Time | FieldType::Timestamp => None,
    }
}

/// The replacement as a value of the type; none if Kafka Connect cannot mask it so.
fn replaced(field_type: &FieldType, replacement: &str) -> Result<Option<Value<'static>>, &'static str> {
    let integer = |low: i64, high: i64| {
        let value: i64 = replacement.parse().map_err(|_| "no whole number")?;
        if (low..=high).contains(&value) { Ok(Some(Value::Integer(value))) } else { Err("no number of that size") }
    };
    match field_type {
        FieldType::Int8 => integer(i8::MIN.into(), i8::MAX.into()),
        FieldType::Int16 => integer(i16::MIN.into(), i16::MAX.into()),
        FieldType::Int32 => integer(i32::MIN.into(), i32::MAX.into()),
        FieldType::Int64 => integer(i64::MIN, i64::MAX),
        FieldType::Float32 => replacement.parse().map(|value| Some(Value::Float32(value))).map_err(|_| "no number"),
        FieldType::Float64 => replacement.parse().map(|value| Some(Value::Float64(value))).map_err(|_| "no number"),
        FieldType::String => Ok(Some(text(replacement.to_owned()))),
        _ => Ok(None),
    }
}

impl Transform for MaskField {
    fn apply(&self, shape: Shape) -> Result<Shape> {
        fields::changed(self.target, shape, |_, part| {
            fields::record("MaskField", &part)?;
            let Part::Record { name, version, doc, slots } = part else { return Ok(part) };
            let slots = slots.into_iter().map(|slot| self.masked(slot)).collect::<Result<_>>()?;
            Ok(Part::Record { name, version, doc, slots })
        })
    }
}
