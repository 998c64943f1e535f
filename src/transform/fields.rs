//! Access to the fields of a key or value, for transforms.

use super::Target;
use super::shape::{Part, Shape, Slot};
use crate::error::{Error, Result};

/// The fields of a record.
///
/// # Errors
/// `Config` if it is none: the transform `what` fails on it in Kafka Connect, too.
pub(super) fn record<'p>(what: &str, part: &'p Part) -> Result<&'p [Slot]> {
    match part {
        Part::Record { slots, .. } => Ok(slots),
        Part::Hoisted { field, .. } => Err(nested(what, field)),
        Part::Bare(_) | Part::Absent => {
            Err(Error::config(format!("{what} works on records, and there is none at its place"))
                .advise("change the order of `transforms`, or key.format"))
        }
    }
}

/// The error of a transform `what` for a field that is a record, into which it does not look.
pub(super) fn nested(what: &str, field: &str) -> Error {
    Error::config(format!("{what} does not look into records in records: `{field}` is a record"))
        .advise("put it before HoistField in `transforms`, or Flatten between them")
}

/// Advice that lists fields.
pub(super) fn known(slots: &[Slot]) -> String {
    let names: Vec<&str> = slots.iter().map(|slot| slot.field.name.as_str()).collect();
    format!("its fields are {}", names.join(", "))
}

/// The shape with another key or value, made of what it has.
///
/// # Errors
/// Those of `change`.
pub(super) fn changed(target: Target, shape: Shape, change: impl FnOnce(&str, Part) -> Result<Part>) -> Result<Shape> {
    match target {
        Target::Key => Ok(Shape { key: change(&shape.topic, shape.key)?, ..shape }),
        Target::Value | Target::Record => Ok(Shape { value: change(&shape.topic, shape.value)?, ..shape }),
    }
}
