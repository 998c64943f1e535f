//! `HoistField`: a record around a bare value.

use super::settings::Setting;
use super::shape::{Part, Shape, Slot};
use super::{Target, Transform, TransformDefinition, fields};
use crate::error::{Error, Result};
use crate::model::Field;

/// `org.apache.kafka.connect.transforms.HoistField`.
pub(super) static DEFINITION: TransformDefinition = TransformDefinition {
    class: "org.apache.kafka.connect.transforms.HoistField",
    targets: &[Target::Key, Target::Value],
    doc: "A record with one field around a bare value.",
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
            Part::Record { .. } => Err(Error::config("records in records are not written: those of tables are flat")
                .advise("extract a field first (ExtractField), or remove the transform")),
            Part::Absent => Err(Error::config("there is no key to put into a record")
                .advise("make a key first: key.mode, or ValueToKey")),
        })
    }
}
