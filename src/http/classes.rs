//! The classes of Java that rowtide stands for, and how somebody names one.

use crate::transform::{Setting, TRANSFORMS, Target};

/// The classes that stand for rowtide, by which it is named in configurations.
pub(super) const CONNECTORS: &[&str] =
    &["io.aiven.connect.jdbc.JdbcSourceConnector", "io.confluent.connect.jdbc.JdbcSourceConnector"];

/// The classes of a transform: one for the key and one for the value, where it works on either.
pub(super) fn transform_classes() -> impl Iterator<Item = (String, &'static [Setting])> {
    TRANSFORMS.iter().flat_map(|transform| {
        transform.targets.iter().map(|target| {
            let part = match target {
                Target::Key => "$Key",
                Target::Value => "$Value",
                Target::Record => "",
            };
            (format!("{}{part}", transform.class), transform.settings)
        })
    })
}

/// True if a class is meant: by its full name, its simple name, or that without `Connector`.
pub(super) fn is_meant(class: &str, name: &str) -> bool {
    let simple = class.rsplit('.').next().unwrap_or(class);
    [class, simple, simple.strip_suffix("Connector").unwrap_or(simple)].contains(&name)
}
