//! The name of the record schema of a table's values: the bare name of the table, as in Kafka Connect, unless the configuration
//! says otherwise. Pure.

use super::{TableSpec, Template};
use crate::error::{Error, Result};
use crate::model::Relation;

/// The naming of record schemas of values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaNaming {
    /// `schema.name.format`.
    pub template: Option<Template>,
    /// `schema.namespace`.
    pub namespace: Option<String>,
}

impl TableSpec {
    /// The name of the values' record schema; none for a query that is given none.
    ///
    /// # Errors
    /// `Config` for a template that the table has no name for.
    pub fn value_schema_name(&self) -> Result<Option<String>> {
        let SchemaNaming { template, namespace } = &self.schema_naming;
        let name = match (template, &self.relation) {
            (Some(template), _) => Some(template.fill(|name| self.part(name)).map_err(|name| {
                Error::config(format!(
                    "schema.name.format: the table has no {name}, so `${{{name}}}` stands for nothing"
                ))
                .with("table", &self.relation)
                .advise(format!("leave `${{{name}}}` out of schema.name.format"))
            })?),
            (None, Relation::Table(id)) => Some(id.name.clone()),
            (None, Relation::Query(_)) => None,
        };
        Ok(match (name, namespace) {
            (Some(name), Some(namespace)) => Some(format!("{namespace}.{name}")),
            (name, _) => name,
        })
    }
}
