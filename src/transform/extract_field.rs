//! `ExtractField`: one field in place of the record.

use super::settings::{REPLACE_NULL, Setting};
use super::shape::{Part, Shape};
use super::{Target, Transform, TransformDefinition, fields};
use crate::error::{Error, Result};

/// `org.apache.kafka.connect.transforms.ExtractField`.
pub(super) static DEFINITION: TransformDefinition = TransformDefinition {
    class: "org.apache.kafka.connect.transforms.ExtractField",
    targets: &[Target::Key, Target::Value],
    doc: "One field in place of the record.",
    settings: &[
        Setting::new("field", "The field. Required."),
        Setting::new("field.syntax.version", "`V2` takes paths; tables have no nested fields.").or("V1"),
        REPLACE_NULL,
    ],
    create: |target, settings| {
        let field = settings.required("field")?.to_owned();
        let field = match settings.get("field.syntax.version").unwrap_or("V1").to_ascii_uppercase().as_str() {
            "V1" => field,
            "V2" => whole_path(&field)?,
            other => return Err(Error::config(format!("field.syntax.version: `{other}` is neither V1 nor V2"))),
        };
        Ok(Box::new(ExtractField { target, field }))
    },
};

/// The one field that a path of version 2 leads to: a name, or one in backticks.
fn whole_path(path: &str) -> Result<String> {
    let name = path.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
    match name {
        Some(name) => Ok(name.replace("\\`", "`")),
        None if path.contains('.') => Err(Error::config(format!("field: `{path}` is a path into a nested field"))
            .advise("tables have no nested fields; a name with dots stands in backticks")),
        None => Ok(path.to_owned()),
    }
}

struct ExtractField {
    target: Target,
    field: String,
}

impl Transform for ExtractField {
    fn apply(&self, shape: Shape) -> Result<Shape> {
        fields::changed(self.target, shape, |_, part| {
            if matches!((&part, self.target), (Part::Absent, Target::Key)) {
                return Ok(part);
            }
            if let Part::Hoisted { field, part } = part {
                let unknown = || Error::config(format!("field: there is no field `{}`", self.field));
                return if field == self.field {
                    Ok(*part)
                } else {
                    Err(unknown().advise(format!("its fields are {field}")))
                };
            }
            let slots = fields::record("ExtractField", &part)?;
            let slot = slots.iter().find(|slot| slot.field.name == self.field).cloned().ok_or_else(|| {
                Error::config(format!("field: there is no field `{}`", self.field)).advise(fields::known(slots))
            })?;
            Ok(Part::Bare(slot))
        })
    }
}
