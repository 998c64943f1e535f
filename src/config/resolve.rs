//! The specification of one table: its selection, and the mode and columns it is polled by. Pure; the table comes as
//! the database described it.

use super::spec::rules::Overrides;
use super::spec::{ModeName, ModeSpec, TableFilter, TableMode};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Mode, Relation, TableDefinition, TableId};

impl TableFilter {
    /// True if the connector's lists let this table through (`connector-config.md`, 5.3 and 5.4). `quoted` is the
    /// dotted name with each part quoted.
    pub fn selects(&self, table: &TableId, quoted: &str) -> bool {
        let dotted = table.to_string();
        let named =
            |list: &[String]| list.iter().any(|entry| *entry == dotted || entry == quoted || *entry == table.name);
        if !self.whitelist.is_empty() {
            return named(&self.whitelist);
        }
        let included = self.include.is_empty() || self.include.iter().any(|pattern| pattern.is_match(&dotted));
        included && !named(&self.blacklist) && !self.exclude.iter().any(|pattern| pattern.is_match(&dotted))
    }
}

impl ModeSpec {
    /// The mode of one table or query, before it is described: what a pattern says of the table, else the first mapping
    /// that matches its dotted name.
    pub(super) fn for_table(&self, relation: &Relation, own: &Overrides<'_>) -> TableMode {
        let dotted = relation.to_string();
        let incrementing = self.incrementing_mapping.iter().find(|(pattern, _)| pattern.is_match(&dotted));
        let timestamp = self.timestamp_mapping.iter().find(|(pattern, _)| pattern.is_match(&dotted));
        let mode = own.mode().unwrap_or(self.mode);
        let is_timed = matches!(mode, ModeName::Timestamp | ModeName::TimestampIncrementing);
        let timestamp = timestamp.map_or(&self.timestamp, |(_, columns)| columns);
        let timestamp = own.timestamp().unwrap_or(timestamp);
        let of_all = || incrementing.map(|(_, column)| column).or(self.incrementing.as_ref()).cloned();
        TableMode {
            mode,
            incrementing: own.incrementing().cloned().unwrap_or_else(of_all),
            timestamp: if is_timed { timestamp.to_vec() } else { Vec::new() },
            timestamp_initial: self.timestamp_initial,
            incrementing_initial: self.incrementing_initial,
            validate_non_null: self.validate_non_null,
            odd: self.odd,
        }
    }
}

impl TableMode {
    /// The mode of the described table, its column names as the table spells them.
    ///
    /// # Errors
    /// `SourceSchema` with the table and column if one is missing, or no auto-increment column is found.
    pub fn resolve(&self, definition: &TableDefinition) -> Result<Mode> {
        let columns = self
            .timestamp
            .iter()
            .map(|name| self.existing(definition, name, "timestamp.column.name"))
            .collect::<Result<Vec<_>>>()?;
        if columns.is_empty() && matches!(self.mode, ModeName::Timestamp | ModeName::TimestampIncrementing) {
            let message = format!("mode {} needs timestamp.column.name", self.mode.as_str());
            return Err(Error::config(message).with("table", &definition.relation));
        }
        Ok(match self.mode {
            ModeName::Bulk => Mode::Bulk,
            ModeName::Incrementing => Mode::Incrementing { column: self.incrementing_column(definition)? },
            ModeName::Timestamp => Mode::Timestamp { columns },
            ModeName::TimestampIncrementing => {
                Mode::TimestampIncrementing { columns, column: self.incrementing_column(definition)? }
            }
        })
    }

    fn incrementing_column(&self, definition: &TableDefinition) -> Result<String> {
        if let Some(name) = &self.incrementing {
            return self.existing(definition, name, "incrementing.column.name");
        }
        let automatic = definition.columns.iter().find(|column| column.auto_increment);
        automatic.map(|column| column.field.name.clone()).ok_or_else(|| {
            Error::new(ErrorKind::SourceSchema, "the table has no auto-increment column")
                .with("table", &definition.relation)
                .advise("name the column in incrementing.column.name")
        })
    }

    fn existing(&self, definition: &TableDefinition, name: &str, key: &str) -> Result<String> {
        if let Some(index) = definition.column_index(name) {
            return Ok(definition.columns[index].field.name.clone());
        }
        let names: Vec<&str> = definition.columns.iter().map(|column| column.field.name.as_str()).collect();
        Err(Error::new(ErrorKind::SourceSchema, format!("{key}: there is no column `{name}`"))
            .with("table", &definition.relation)
            .advise(format!("its columns are {}", names.join(", "))))
    }
}

impl ModeName {
    /// The word used in configurations.
    pub fn as_str(self) -> &'static str {
        match self {
            ModeName::Bulk => "bulk",
            ModeName::Incrementing => "incrementing",
            ModeName::Timestamp => "timestamp",
            ModeName::TimestampIncrementing => "timestamp+incrementing",
        }
    }
}
