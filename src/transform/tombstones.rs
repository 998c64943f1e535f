//! `Drop` and `TombstoneHandler`: the treatment of keys and of null values.

use super::settings::{Setting, Settings};
use super::shape::{Part, Shape};
use super::{Target, Transform, TransformDefinition};
use crate::error::{Error, Result};

/// `io.confluent.connect.transforms.Drop`.
pub(super) static DROP: TransformDefinition = TransformDefinition {
    class: "io.confluent.connect.transforms.Drop",
    targets: &[Target::Key, Target::Value],
    doc: "No key. Of the value it would leave a tombstone of each row, and is refused.",
    settings: &[Setting::new("schema.behavior", "The key's schema: only `nullify` is there.").or("nullify")],
    create: |target, settings| {
        if target == Target::Value {
            return Err(Error::config("every record would be a tombstone")
                .advise("for deletes by flag set delete.mode=soft; to leave fields out use ReplaceField"));
        }
        match settings.get("schema.behavior").unwrap_or("nullify") {
            "nullify" => Ok(Box::new(DropKey)),
            other => Err(Error::config(format!("schema.behavior: `{other}` is not there"))
                .advise("use nullify: a null key has no schema")),
        }
    },
};

struct DropKey;

impl Transform for DropKey {
    fn apply(&self, shape: Shape) -> Result<Shape> {
        Ok(Shape { key: Part::Absent, ..shape })
    }
}

/// `io.confluent.connect.transforms.TombstoneHandler`.
pub(super) static HANDLER: TransformDefinition = TransformDefinition {
    class: "io.confluent.connect.transforms.TombstoneHandler",
    targets: &[Target::Record],
    doc: HANDLER_DOC,
    settings: &[Setting::new("behavior", "`drop_silent`, `drop_warn`, `fail` or `ignore`.").or("drop_silent")],
    create: |_, settings| handler(settings, &["drop_silent", "drop_warn", "fail", "ignore"]),
};

/// Aiven's of the same name.
pub(super) static AIVEN_HANDLER: TransformDefinition = TransformDefinition {
    class: "io.aiven.kafka.connect.transforms.TombstoneHandler",
    targets: &[Target::Record],
    doc: HANDLER_DOC,
    settings: &[Setting::new("behavior", "`drop_silent`, `drop_warn` or `fail`. Required.")],
    create: |_, settings| {
        settings.required("behavior")?;
        handler(settings, &["drop_silent", "drop_warn", "fail"])
    },
};

const HANDLER_DOC: &str = "Without effect: the records of a source have values, and the tombstones of `delete.mode=soft` are \
                           made behind the transforms.";

fn handler(settings: Settings<'_>, known: &[&str]) -> Result<Box<dyn Transform>> {
    let behavior = settings.get("behavior").unwrap_or("drop_silent").to_ascii_lowercase();
    if !known.contains(&behavior.as_str()) {
        return Err(Error::config(format!("behavior: `{behavior}` is none of {}", known.join(", "))));
    }
    Ok(Box::new(Nothing))
}

struct Nothing;

impl Transform for Nothing {
    fn apply(&self, shape: Shape) -> Result<Shape> {
        Ok(shape)
    }
}
