//! `ValueToKey`: a key made of fields of the value.

use super::settings::{REPLACE_NULL, Setting};
use super::shape::{Part, Shape};
use super::{Target, Transform, TransformDefinition, fields};
use crate::error::{Error, Result};

/// `org.apache.kafka.connect.transforms.ValueToKey`.
pub(super) static DEFINITION: TransformDefinition = TransformDefinition {
    class: "org.apache.kafka.connect.transforms.ValueToKey",
    targets: &[Target::Record],
    doc: "A key that is a record of these fields of the value, in this order.",
    settings: &[Setting::new("fields", "The fields. Required."), REPLACE_NULL],
    create: |_, settings| {
        settings.required("fields")?;
        Ok(Box::new(ValueToKey(settings.list("fields"))))
    },
};

struct ValueToKey(Vec<String>);

impl Transform for ValueToKey {
    fn apply(&self, shape: Shape) -> Result<Shape> {
        let of_value = fields::record("ValueToKey", &shape.value)?;
        let slot = |name: &String| {
            of_value.iter().find(|slot| slot.field.name == *name).cloned().ok_or_else(|| {
                Error::config(format!("fields: the value has no field `{name}`")).advise(fields::known(of_value))
            })
        };
        let slots = self.0.iter().map(slot).collect::<Result<_>>()?;
        Ok(Shape { key: Part::Record { name: None, version: None, doc: None, slots }, ..shape })
    }
}
