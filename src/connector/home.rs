//! The schema in which a bare table name is looked for first.

use crate::config::spec::SourceUrl;
use crate::model::TableId;

/// The schema in which a bare name is looked for first: the database of a MySQL URL, the first schema of PostgreSQL's
/// `currentSchema`.
#[derive(Clone, Copy)]
pub(super) struct Home<'a> {
    pub(super) catalog: Option<&'a str>,
    pub(super) schema: Option<&'a str>,
}

impl<'a> Home<'a> {
    /// That of a URL.
    pub(super) fn of(url: &'a SourceUrl) -> Self {
        let schemas = url.parameters.get("currentSchema");
        let schema = schemas.and_then(|list| list.split(',').next()).map(|name| name.trim().trim_matches('"'));
        Self { catalog: url.database.as_deref(), schema }
    }

    /// True for a table in it.
    pub(super) fn has(self, table: &TableId) -> bool {
        match (&table.catalog, &table.schema) {
            (Some(catalog), _) => self.catalog == Some(catalog),
            (None, Some(schema)) => self.schema == Some(schema),
            (None, None) => false,
        }
    }
}
