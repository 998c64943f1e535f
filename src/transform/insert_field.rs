//! `InsertField`: fields that are not in the table.

use super::settings::{REPLACE_NULL, Setting};
use super::shape::{Expr, Part, Shape, Slot, text};
use super::{Target, Transform, TransformDefinition, fields};
use crate::error::{Error, Result};
use crate::model::{Field, FieldType, Value};

/// `org.apache.kafka.connect.transforms.InsertField`.
pub(super) static DEFINITION: TransformDefinition = TransformDefinition {
    class: "org.apache.kafka.connect.transforms.InsertField",
    targets: &[Target::Key, Target::Value],
    doc: "Fields that the table does not have. A name may end in `!` (required) or `?` (optional, as without).",
    settings: &[
        Setting::new("topic.field", "The field of the topic's name."),
        Setting::new("partition.field", "The field of the partition; always null for a source."),
        Setting::new("offset.field", "Refused: sources have none."),
        Setting::new("timestamp.field", "The field of the record's timestamp; always null for a JDBC source."),
        Setting::new("static.field", "The field of a text."),
        Setting::new("static.value", "That text."),
        REPLACE_NULL,
    ],
    create: |target, settings| {
        if settings.get("offset.field").is_some() {
            return Err(Error::config("offset.field: a source's records have no offset").advise("remove it"));
        }
        let name = |key: &str| settings.get(key).map(Name::parse);
        let inserts = InsertField {
            target,
            topic: name("topic.field"),
            partition: name("partition.field"),
            timestamp: name("timestamp.field"),
            text: name("static.field").zip(settings.get("static.value").map(str::to_owned)),
        };
        if settings.get("static.field").is_some() && inserts.text.is_none() {
            return Err(Error::config("static.value: is missing"));
        }
        if inserts.topic.is_none()
            && inserts.partition.is_none()
            && inserts.timestamp.is_none()
            && inserts.text.is_none()
        {
            return Err(
                Error::config("it inserts no field").advise("set topic.field, or static.field and static.value")
            );
        }
        for (key, name) in [("partition.field", &inserts.partition), ("timestamp.field", &inserts.timestamp)] {
            if name.as_ref().is_some_and(|name| !name.optional) {
                return Err(Error::config(format!("{key}: it is always null, and `!` demands a value"))
                    .advise("remove the `!`"));
            }
        }
        Ok(Box::new(inserts))
    },
};

/// A field's name, and whether it may be null.
struct Name {
    name: String,
    optional: bool,
}

impl Name {
    fn parse(text: &str) -> Self {
        match (text.strip_suffix('!'), text.strip_suffix('?')) {
            (Some(name), _) => Self { name: name.to_owned(), optional: false },
            (None, Some(name)) => Self { name: name.to_owned(), optional: true },
            (None, None) => Self { name: text.to_owned(), optional: true },
        }
    }

    fn slot(&self, field_type: FieldType, value: Value<'static>) -> Slot {
        let field = Field { name: self.name.clone(), field_type, optional: self.optional, doc: None };
        Slot { field, expr: Expr::Constant(value) }
    }
}

struct InsertField {
    target: Target,
    topic: Option<Name>,
    partition: Option<Name>,
    timestamp: Option<Name>,
    text: Option<(Name, String)>,
}

impl Transform for InsertField {
    fn apply(&self, shape: Shape) -> Result<Shape> {
        fields::changed(self.target, shape, |topic, part| {
            if matches!(part, Part::Absent) {
                return Ok(part);
            }
            fields::record("InsertField", &part)?;
            let Part::Record { name, version, doc, mut slots } = part else { return Ok(part) };
            let of_topic = self.topic.as_ref().map(|name| name.slot(FieldType::String, text(topic.to_owned())));
            let of_partition = self.partition.as_ref().map(|name| name.slot(FieldType::Int32, Value::Null));
            let of_timestamp = self.timestamp.as_ref().map(|name| name.slot(FieldType::Timestamp, Value::Null));
            let of_text = self.text.as_ref().map(|(name, value)| name.slot(FieldType::String, text(value.clone())));
            for slot in [of_topic, of_partition, of_timestamp, of_text].into_iter().flatten() {
                if slots.iter().any(|other| other.field.name == slot.field.name) {
                    return Err(Error::config(format!("there is a field `{}` already", slot.field.name))
                        .advise("insert it under another name, or leave the other out with ReplaceField first"));
                }
                slots.push(slot);
            }
            Ok(Part::Record { name, version, doc, slots })
        })
    }
}
