//! `Filter`: records that a predicate is true of are dropped.

use super::shape::Shape;
use super::{Target, Transform, TransformDefinition};
use crate::error::{Error, Result};

/// `org.apache.kafka.connect.transforms.Filter`.
pub(super) static DEFINITION: TransformDefinition = TransformDefinition {
    class: "org.apache.kafka.connect.transforms.Filter",
    targets: &[Target::Record],
    doc: "Drops the records that its predicate is true of. What predicates ask is the same for all records of a table, so a \
          table that would lose every record is refused.",
    settings: &[],
    create: |_, _| Ok(Box::new(Filter)),
};

struct Filter;

impl Transform for Filter {
    fn apply(&self, shape: Shape) -> Result<Shape> {
        Err(Error::config(format!("every record for topic `{}` would be dropped", shape.topic))
            .advise("leave the table out instead: table.blacklist, table.exclude.list"))
    }
}
