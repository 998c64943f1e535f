//! `HoistField`: a record around a bare value, or around a record.

use super::settings::Setting;
use super::shape::{Part, Shape, Slot};
use super::{Target, Transform, TransformDefinition, fields};
use crate::error::{Error, Result};
use crate::model::Field;

/// `org.apache.kafka.connect.transforms.HoistField`.
pub(super) static DEFINITION: TransformDefinition = TransformDefinition {
    class: "org.apache.kafka.connect.transforms.HoistField",
    targets: &[Target::Key, Target::Value],
    doc: "A record with one field around a value or record; behind it only Flatten, ExtractField and HoistField look into that.",
    settings: &[Setting::new("field", "The field. Required.")],
    create: |target, settings| Ok(Box::new(HoistField { target, field: settings.required("field")?.to_owned() })),
};

struct HoistField {
    target: Target,
    field: String,
}

impl Transform for HoistField {
    fn apply(&self, shape: Shape) -> Result<Shape> {
        fields::changed(self.target, shape, |_, part| match part {
            Part::Bare(slot) => {
                let field = Field { name: self.field.clone(), ..slot.field };
                Ok(Part::Record { name: None, version: None, doc: None, slots: vec![Slot { field, ..slot }] })
            }
            part @ (Part::Record { .. } | Part::Hoisted { .. }) => {
                Ok(Part::Hoisted { field: self.field.clone(), part: Box::new(part) })
            }
            Part::Absent => Err(Error::config("there is no key to put into a record")
                .advise("make a key first: key.mode, or ValueToKey")),
        })
    }
}
