//! Aiven's `ExtractTimestamp`: a field as the record's timestamp.

use std::sync::Arc;

use super::settings::Setting;
use super::shape::{Applied, Expr, Shape};
use super::{Target, Transform, TransformDefinition, fields};
use crate::error::{Error, Result};
use crate::model::{FieldType, Value};

/// The class.
pub(super) const CLASS: &str = "io.aiven.kafka.connect.transforms.ExtractTimestamp";

const DAY: i64 = 86_400_000;

pub(super) static DEFINITION: TransformDefinition = TransformDefinition {
    class: CLASS,
    targets: &[Target::Key, Target::Value],
    doc: "A field as the timestamp of the record. It must not be null.",
    settings: &[
        Setting::new("field.name", "The field: int64, or a date or time. Required."),
        Setting::new("timestamp.resolution", "The unit of an int64: `milliseconds` or `seconds`.").or("milliseconds"),
    ],
    create: |target, settings| {
        let field = settings.required("field.name")?.to_owned();
        let per_unit = match settings.get("timestamp.resolution").unwrap_or("milliseconds") {
            "milliseconds" => 1,
            "seconds" => 1_000,
            other => {
                return Err(Error::config(format!(
                    "timestamp.resolution: `{other}` is neither milliseconds nor seconds"
                )));
            }
        };
        Ok(Box::new(ExtractTimestamp { target, field, per_unit }))
    },
};

struct ExtractTimestamp {
    target: Target,
    field: String,
    per_unit: i64,
}

impl Transform for ExtractTimestamp {
    fn apply(&self, mut shape: Shape) -> Result<Shape> {
        let part = if self.target == Target::Key { &shape.key } else { &shape.value };
        let slots = fields::record("ExtractTimestamp", part)?;
        let slot = slots.iter().find(|slot| slot.field.name == self.field).ok_or_else(|| {
            Error::config(format!("field.name: there is no field `{}`", self.field)).advise(fields::known(slots))
        })?;
        let per_unit = match slot.field.field_type {
            FieldType::Int64 => self.per_unit,
            FieldType::Timestamp | FieldType::Time => 1,
            FieldType::Date => DAY,
            _ => {
                let message = format!("field.name: `{}` is neither an int64 nor a date or time", self.field);
                return Err(Error::config(message).advise("name the column that holds the time of the row"));
            }
        };
        let function = Arc::new(move |value: &Value<'_>| match value {
            Value::Integer(units) => Ok(Value::Integer(units.saturating_mul(per_unit))),
            _ => Err(Error::internal("a time is not an integer")),
        });
        let applied = Applied { function, class: CLASS };
        shape.timestamp = Some(Expr::Apply(applied, Box::new(slot.expr.clone())));
        Ok(shape)
    }
}
