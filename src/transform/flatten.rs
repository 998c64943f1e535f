//! `Flatten`: nested records as one; those of tables are flat already.

use super::settings::Setting;
use super::shape::{Part, Shape};
use super::{Target, Transform, TransformDefinition, fields};
use crate::error::Result;

/// `org.apache.kafka.connect.transforms.Flatten`.
pub(super) static DEFINITION: TransformDefinition = TransformDefinition {
    class: "org.apache.kafka.connect.transforms.Flatten",
    targets: &[Target::Key, Target::Value],
    doc: "Nested records as one; those of tables are flat already, so it changes nothing.",
    settings: &[Setting::new("delimiter", "The separator between the names of nested fields.").or(".")],
    create: |target, _| Ok(Box::new(Flatten(target))),
};

struct Flatten(Target);

impl Transform for Flatten {
    fn apply(&self, shape: Shape) -> Result<Shape> {
        fields::changed(self.0, shape, |_, part| {
            if !matches!(part, Part::Absent) {
                fields::record("Flatten", &part)?;
            }
            Ok(part)
        })
    }
}
