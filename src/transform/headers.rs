//! `InsertHeader`, `HeaderFrom` and `DropHeaders`: headers of records.

use super::settings::{REPLACE_NULL, Setting};
use super::shape::{Expr, Part, Route, Shape, Slot};
use super::{Target, Transform, TransformDefinition, fields, literal, structure};
use crate::error::{Error, Result};
use crate::model::{Field, FieldType};

/// `org.apache.kafka.connect.transforms.InsertHeader`.
pub(super) static INSERT: TransformDefinition = TransformDefinition {
    class: "org.apache.kafka.connect.transforms.InsertHeader",
    targets: &[Target::Record],
    doc: "A header with the same value on each record.",
    settings: &[
        Setting::new("header", "The header's name. Required."),
        Setting::new(
            "value.literal",
            "Its value, read as Kafka Connect reads literals: `1.10` is a number, and becomes `1.1`; `[1, 2]` is a list. Required.",
        ),
    ],
    create: |_, settings| {
        let name = settings.required("header")?.to_owned();
        let literal = settings.untrimmed("value.literal")?;
        let (field_type, expr) = match structure::text_of(literal) {
            Some(text) => (FieldType::String, Expr::Structure(text.into())),
            None => {
                let (field_type, value) = literal::parse(literal);
                (field_type, Expr::Constant(value))
            }
        };
        Ok(Box::new(InsertHeader { name, field_type, expr }))
    },
};

/// `org.apache.kafka.connect.transforms.HeaderFrom`.
pub(super) static FROM: TransformDefinition = TransformDefinition {
    class: "org.apache.kafka.connect.transforms.HeaderFrom",
    targets: &[Target::Key, Target::Value],
    doc: "Headers made of fields.",
    settings: &[
        Setting::new("fields", "The fields. Required."),
        Setting::new("headers", "The headers' names, one for each field. Required."),
        Setting::new("operation", "`copy`, or `move`: the fields are left out then. Required."),
        REPLACE_NULL,
    ],
    create: |target, settings| {
        let (names, headers) = (settings.list("fields"), settings.list("headers"));
        if names.is_empty() || names.len() != headers.len() {
            return Err(Error::config(format!(
                "fields, headers: they must be of the same number, and are {} and {}",
                names.len(),
                headers.len()
            )));
        }
        let moves = match settings.required("operation")?.to_ascii_lowercase().as_str() {
            "copy" => false,
            "move" => true,
            other => return Err(Error::config(format!("operation: `{other}` is neither copy nor move"))),
        };
        Ok(Box::new(HeaderFrom { target, pairs: names.into_iter().zip(headers).collect(), moves }))
    },
};

/// `org.apache.kafka.connect.transforms.DropHeaders`.
pub(super) static DROP: TransformDefinition = TransformDefinition {
    class: "org.apache.kafka.connect.transforms.DropHeaders",
    targets: &[Target::Record],
    doc: "Leaves headers out that other transforms have made.",
    settings: &[Setting::new("headers", "Their names. Required.")],
    create: |_, settings| {
        settings.required("headers")?;
        Ok(Box::new(DropHeaders(settings.list("headers"))))
    },
};

struct InsertHeader {
    name: String,
    field_type: FieldType,
    expr: Expr,
}

impl Transform for InsertHeader {
    fn apply(&self, mut shape: Shape) -> Result<Shape> {
        let (name, field_type) = (self.name.clone(), self.field_type.clone());
        let field = Field { name, field_type, optional: true, doc: None };
        shape.headers.push(Slot { field, expr: self.expr.clone() });
        Ok(shape)
    }

    fn route(&self, mut route: Route) -> Route {
        route.headers.push(self.name.clone());
        route
    }
}

struct HeaderFrom {
    target: Target,
    /// Fields and headers.
    pairs: Vec<(String, String)>,
    moves: bool,
}

impl Transform for HeaderFrom {
    fn apply(&self, mut shape: Shape) -> Result<Shape> {
        let part = if self.target == Target::Key { &mut shape.key } else { &mut shape.value };
        let slots = fields::record("HeaderFrom", part)?;
        let mut made = Vec::new();
        for (name, header) in &self.pairs {
            let slot = slots.iter().find(|slot| slot.field.name == *name).ok_or_else(|| {
                Error::config(format!("fields: there is no field `{name}`")).advise(fields::known(slots))
            })?;
            let field = Field { name: header.clone(), ..slot.field.clone() };
            made.push(Slot { field, expr: slot.expr.clone() });
        }
        if self.moves
            && let Part::Record { slots, .. } = part
        {
            slots.retain(|slot| self.pairs.iter().all(|(name, _)| *name != slot.field.name));
        }
        shape.headers.extend(made);
        Ok(shape)
    }

    fn route(&self, mut route: Route) -> Route {
        route.headers.extend(self.pairs.iter().map(|(_, header)| header.clone()));
        route
    }
}

struct DropHeaders(Vec<String>);

impl Transform for DropHeaders {
    fn apply(&self, mut shape: Shape) -> Result<Shape> {
        shape.headers.retain(|slot| !self.0.contains(&slot.field.name));
        Ok(shape)
    }

    fn route(&self, mut route: Route) -> Route {
        route.headers.retain(|name| !self.0.contains(name));
        route
    }
}
