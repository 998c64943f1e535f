//! `columns.include` and `columns.exclude` of a table: the columns of which records are made. The others are not even read,
//! unless cursor or key are made of them. Pure; the table comes as the database described it.

use std::collections::HashSet;

use super::rules::{ColumnPattern, Overrides};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{SkippedColumn, TableDefinition};

/// The choice of columns of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnChoice {
    /// Empty: all.
    include: Vec<ColumnPattern>,
    exclude: Vec<ColumnPattern>,
    /// The names of columns that must be there, each with its key.
    named: Vec<(String, String)>,
}

impl ColumnChoice {
    pub(super) fn of(own: &Overrides<'_>) -> Self {
        let (include, exclude) = own.columns();
        let named = own.columns_by_name().into_iter().flat_map(|(key, columns)| {
            columns.iter().filter_map(move |column| Some((key.to_owned(), column.name()?.to_owned())))
        });
        Self { include: include.to_vec(), exclude: exclude.to_vec(), named: named.collect() }
    }

    /// Takes columns that are not wanted out of the records; those in `needed` are read all the same.
    ///
    /// # Errors
    /// `SourceSchema` if a column that is named is not there, or none is left.
    pub fn apply(&self, definition: &mut TableDefinition, needed: &[String]) -> Result<()> {
        if *self == Self::default() {
            return Ok(());
        }
        self.are_there(definition)?;
        let included = self.include.iter().flat_map(|pattern| places(pattern, definition)).collect::<HashSet<_>>();
        let excluded = self.exclude.iter().flat_map(|pattern| places(pattern, definition)).collect::<HashSet<_>>();
        for (index, column) in definition.columns.iter_mut().enumerate() {
            let is_wanted = (self.include.is_empty() || included.contains(&index)) && !excluded.contains(&index);
            column.is_visible &= is_wanted;
        }
        if !definition.columns.iter().any(|column| column.is_visible) {
            let what = "columns.include and columns.exclude leave no column to deliver";
            return Err(self.about(definition, what));
        }
        // Named one by one from here on: `select *` would read them.
        let is_needed = |name: &str| needed.iter().any(|needed| needed == name);
        let unread = definition.columns.iter().filter(|column| !column.is_visible && !is_needed(&column.field.name));
        let unread: Vec<SkippedColumn> = unread
            .map(|column| SkippedColumn {
                name: column.field.name.clone(),
                database_type: column.database_type.clone(),
            })
            .collect();
        definition.skipped.extend(unread);
        Ok(())
    }

    fn are_there(&self, definition: &TableDefinition) -> Result<()> {
        let is_there = |name: &str| {
            definition.column_index(name).is_some() || definition.skipped.iter().any(|column| column.name == name)
        };
        match self.named.iter().find(|(_, name)| !is_there(name)) {
            Some((key, name)) => Err(self.about(definition, &format!("{key}: there is no column `{name}`"))),
            None => Ok(()),
        }
    }

    fn about(&self, definition: &TableDefinition, what: &str) -> Error {
        let names: Vec<&str> = definition.columns.iter().map(|column| column.field.name.as_str()).collect();
        Error::new(ErrorKind::SourceSchema, what)
            .with("table", &definition.relation)
            .advise(format!("its columns are {}", names.join(", ")))
    }
}

/// The columns that a pattern names: a name as columns are named everywhere, else all that match.
fn places(pattern: &ColumnPattern, definition: &TableDefinition) -> Vec<usize> {
    match pattern.name() {
        Some(name) => definition.column_index(name).into_iter().collect(),
        None => {
            let columns = definition.columns.iter().enumerate();
            columns.filter(|(_, column)| pattern.matches(&column.field.name)).map(|(index, _)| index).collect()
        }
    }
}
