//! `RegexRouter`: another topic by a pattern.

use super::java_regex::{JavaRegex, Replacement};
use super::settings::Setting;
use super::shape::{Route, Shape};
use super::{Target, Transform, TransformDefinition};
use crate::error::Result;

/// `org.apache.kafka.connect.transforms.RegexRouter`.
pub(super) static DEFINITION: TransformDefinition = TransformDefinition {
    class: "org.apache.kafka.connect.transforms.RegexRouter",
    targets: &[Target::Record],
    doc: "Another topic, where the whole name of it matches a pattern.",
    settings: &[
        Setting::new("regex", "The pattern, as Java has them. Required."),
        Setting::new("replacement", "The topic instead, with `$1` and `${name}` for groups. Required."),
    ],
    create: |_, settings| {
        let regex = JavaRegex::new("regex", settings.required("regex")?)?;
        let replacement = regex.replacement(settings.required("replacement")?)?;
        Ok(Box::new(RegexRouter { regex, replacement }))
    },
};

struct RegexRouter {
    regex: JavaRegex,
    replacement: Replacement,
}

impl Transform for RegexRouter {
    fn apply(&self, shape: Shape) -> Result<Shape> {
        Ok(Shape { topic: self.route(shape.route()).topic, ..shape })
    }

    fn route(&self, route: Route) -> Route {
        let topic = self.regex.replace(&route.topic, &self.replacement).unwrap_or(route.topic);
        Route { topic, ..route }
    }
}
