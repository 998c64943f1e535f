//! `SetSchemaMetadata`: another name of the schema.

use super::settings::{REPLACE_NULL, Setting};
use super::shape::{Part, Shape};
use super::{Target, Transform, TransformDefinition, fields};
use crate::error::{Error, Result};

/// `org.apache.kafka.connect.transforms.SetSchemaMetadata`.
pub(super) static DEFINITION: TransformDefinition = TransformDefinition {
    class: "org.apache.kafka.connect.transforms.SetSchemaMetadata",
    targets: &[Target::Key, Target::Value],
    doc: "Another name of the schema of a record.",
    settings: &[
        Setting::new("schema.name", "The name. Required."),
        Setting::new("schema.version", "Refused: schemas of tables have no version."),
        REPLACE_NULL,
    ],
    create: |target, settings| {
        if settings.get("schema.version").is_some() {
            return Err(Error::config("schema.version: schemas with a version are not written yet")
                .advise("remove it: a registry counts versions by itself"));
        }
        Ok(Box::new(SetSchemaMetadata { target, name: settings.required("schema.name")?.to_owned() }))
    },
};

struct SetSchemaMetadata {
    target: Target,
    name: String,
}

impl Transform for SetSchemaMetadata {
    fn apply(&self, shape: Shape) -> Result<Shape> {
        fields::changed(self.target, shape, |_, part| match part {
            Part::Absent => Ok(part),
            Part::Record { doc, slots, .. } => Ok(Part::Record { name: Some(self.name.clone()), doc, slots }),
            Part::Bare(_) => Err(Error::config("the schema of a bare value cannot be named yet")
                .advise("remove the transform, or let the key be a record (key.format=record)")),
        })
    }
}
