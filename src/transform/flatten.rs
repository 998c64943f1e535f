//! `Flatten`: nested records as one; those of tables are flat, but for `HoistField`.

use super::settings::Setting;
use super::shape::{Part, Shape, Slot};
use super::{Target, Transform, TransformDefinition, fields};
use crate::error::Result;
use crate::model::Field;

/// `org.apache.kafka.connect.transforms.Flatten`.
pub(super) static DEFINITION: TransformDefinition = TransformDefinition {
    class: "org.apache.kafka.connect.transforms.Flatten",
    targets: &[Target::Key, Target::Value],
    doc: "Nested records as one; those of tables are flat already, so it changes them behind HoistField only.",
    settings: &[Setting::new("delimiter", "The separator between the names of nested fields.").or(".")],
    create: |target, settings| {
        Ok(Box::new(Flatten { target, delimiter: settings.get("delimiter").unwrap_or(".").to_owned() }))
    },
};

struct Flatten {
    target: Target,
    delimiter: String,
}

impl Transform for Flatten {
    fn apply(&self, shape: Shape) -> Result<Shape> {
        fields::changed(self.target, shape, |_, part| {
            if let Part::Hoisted { .. } = part {
                return Ok(self.flat(part));
            }
            if !matches!(part, Part::Absent) {
                fields::record("Flatten", &part)?;
            }
            Ok(part)
        })
    }
}

impl Flatten {
    /// The innermost fields, each by its whole path, in a record that is called like the outermost: not at all.
    fn flat(&self, mut part: Part) -> Part {
        let mut path = String::new();
        while let Part::Hoisted { field, part: inner } = part {
            path.push_str(&field);
            path.push_str(&self.delimiter);
            part = *inner;
        }
        let named = |slot: &Slot| {
            let field = Field { name: format!("{path}{}", slot.field.name), ..slot.field.clone() };
            Slot { field, ..slot.clone() }
        };
        Part::Record { name: None, version: None, doc: None, slots: part.slots().iter().map(named).collect() }
    }
}
