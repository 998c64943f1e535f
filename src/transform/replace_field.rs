//! `ReplaceField`: fields left out, kept, or renamed.

use super::settings::{REPLACE_NULL, Setting, Settings};
use super::shape::{Part, Shape, Slot};
use super::{Target, Transform, TransformDefinition, fields};
use crate::error::{Error, Result};
use crate::model::Field;

/// `org.apache.kafka.connect.transforms.ReplaceField`.
pub(super) static DEFINITION: TransformDefinition = TransformDefinition {
    class: "org.apache.kafka.connect.transforms.ReplaceField",
    targets: &[Target::Key, Target::Value],
    doc: "Fields left out, kept or renamed.",
    settings: &[
        Setting::new("exclude", "Fields to leave out; wins over `include`.").or(""),
        Setting::new("include", "Fields to keep; empty: all.").or(""),
        Setting::new("renames", "Other names, `from:to,...`.").or(""),
        Setting::new("blacklist", "The name of `exclude` before Kafka 4.").or(""),
        Setting::new("whitelist", "The name of `include` before Kafka 4.").or(""),
        REPLACE_NULL,
    ],
    create: |target, settings| {
        Ok(Box::new(ReplaceField {
            target,
            exclude: list(settings, "exclude", "blacklist"),
            include: list(settings, "include", "whitelist"),
            renames: settings.pairs("renames")?,
        }))
    },
};

/// A list by its name, or by its older one.
fn list(settings: Settings<'_>, name: &str, older: &str) -> Vec<String> {
    if settings.get(name).is_some() { settings.list(name) } else { settings.list(older) }
}

struct ReplaceField {
    target: Target,
    exclude: Vec<String>,
    include: Vec<String>,
    renames: Vec<(String, String)>,
}

impl ReplaceField {
    fn keeps(&self, name: &String) -> bool {
        !self.exclude.contains(name) && (self.include.is_empty() || self.include.contains(name))
    }

    fn renamed(&self, slot: Slot) -> Result<Slot> {
        if let Some((_, to)) = self.renames.iter().find(|(from, _)| *from == slot.field.name) {
            return Ok(Slot { field: Field { name: to.clone(), ..slot.field }, ..slot });
        }
        match self.renames.iter().find(|(_, to)| *to == slot.field.name) {
            // Kafka Connect looks for its value under the name that it would have been renamed from.
            Some((from, to)) => {
                Err(Error::config(format!("renames: there is a field `{to}` already, beside `{from}:{to}`"))
                    .advise("choose another name"))
            }
            None => Ok(slot),
        }
    }
}

impl Transform for ReplaceField {
    fn apply(&self, shape: Shape) -> Result<Shape> {
        fields::changed(self.target, shape, |_, part| {
            if matches!(part, Part::Absent) {
                return Ok(part);
            }
            fields::record("ReplaceField", &part)?;
            let Part::Record { name, version, doc, slots } = part else { return Ok(part) };
            let kept = slots.into_iter().filter(|slot| self.keeps(&slot.field.name));
            let slots: Vec<Slot> = kept.map(|slot| self.renamed(slot)).collect::<Result<_>>()?;
            for (at, slot) in slots.iter().enumerate() {
                if slots[..at].iter().any(|other| other.field.name == slot.field.name) {
                    return Err(Error::config(format!("renames: two fields would be called `{}`", slot.field.name)));
                }
            }
            Ok(Part::Record { name, version, doc, slots })
        })
    }
}
