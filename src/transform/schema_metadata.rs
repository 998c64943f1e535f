//! `SetSchemaMetadata`: another name, or a version, of the schema.

use super::settings::{REPLACE_NULL, Setting};
use super::shape::{Part, Shape};
use super::{Target, Transform, TransformDefinition, fields};
use crate::error::{Error, Result};

/// `org.apache.kafka.connect.transforms.SetSchemaMetadata`.
pub(super) static DEFINITION: TransformDefinition = TransformDefinition {
    class: "org.apache.kafka.connect.transforms.SetSchemaMetadata",
    targets: &[Target::Key, Target::Value],
    doc: "Another name of the schema of a record, or a version. One of the two is required.",
    settings: &[
        Setting::new("schema.name", "The name."),
        Setting::new("schema.version", "The version, a whole number. Avro and JSON write it, Protobuf does not."),
        REPLACE_NULL,
    ],
    create: |target, settings| {
        let version = settings.get("schema.version").map(|text| {
            text.parse().map_err(|_| {
                Error::config(format!("schema.version: `{text}` is no whole number of 32 bits"))
                    .advise("give a number, or remove it: a registry counts versions by itself")
            })
        });
        let (name, version) = (settings.get("schema.name").map(str::to_owned), version.transpose()?);
        if name.is_none() && version.is_none() {
            return Err(Error::config("schema.name, schema.version: one of the two is needed"));
        }
        Ok(Box::new(SetSchemaMetadata { target, name, version }))
    },
};

struct SetSchemaMetadata {
    target: Target,
    name: Option<String>,
    version: Option<i32>,
}

impl SetSchemaMetadata {
    /// # Errors
    /// `Config` if the name says that the values are no records.
    fn check_name(&self) -> Result<()> {
        const LOGICAL: [&str; 4] = ["Date", "Time", "Timestamp", "Decimal"];
        let name = self.name.as_deref().unwrap_or_default();
        if name.strip_prefix("org.apache.kafka.connect.data.").is_some_and(|name| LOGICAL.contains(&name)) {
            return Err(Error::config(format!("schema.name: a record cannot be named `{name}`")).advise(
                "converters take values of such schemas for dates, times or decimals, and fail on each record",
            ));
        }
        Ok(())
    }
}

impl Transform for SetSchemaMetadata {
    fn apply(&self, shape: Shape) -> Result<Shape> {
        fields::changed(self.target, shape, |_, part| {
            match part {
            Part::Absent => Ok(part),
            Part::Record { name, version, doc, slots } => {
                self.check_name()?;
                let (name, version) = (self.name.clone().or(name), self.version.or(version));
                Ok(Part::Record { name, version, doc, slots })
            }
            Part::Hoisted { field, .. } => Err(fields::nested("SetSchemaMetadata", &field)),
            Part::Bare(_) => Err(Error::config("the schema of a bare value gets neither name nor version")
                .advise("remove the transform, or let the key be a record (key.format=record): Kafka Connect fails on each record")),
        }
        })
    }
}
