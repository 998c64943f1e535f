//! Queries by which a table is known again: rows by their key, and any row up to a position.

use super::statement::Statement;
use super::{ALIAS, CursorRole, Planner};
use crate::model::{CursorColumn, CursorKind, CursorValue, Mode, PlannedQuery, Position, TableDefinition};

/// The number of rows of one key that are looked at, where it is not unique.
const MOST: usize = 16;

impl Planner {
    /// The column by whose ids the relation is polled, if the database hands them out.
    pub fn counted<'a>(&self, definition: &'a TableDefinition) -> Option<&'a str> {
        let id = self.tuple.first().filter(|column| column.role == CursorRole::Incrementing)?;
        let [name] = id.names.as_slice() else { return None };
        let column = &definition.columns[definition.column_index(name)?];
        column.auto_increment.then_some(column.field.name.as_str())
    }

    /// The columns of the cursor.
    pub fn cursor_columns(&self) -> impl Iterator<Item = &str> {
        self.tuple.iter().flat_map(|column| &column.names).map(String::as_str)
    }

    /// The rows that have the key of a row with this cursor. Without the timestamp, which an update moves, where the rest is
    /// a key.
    pub fn landmark(&self, at: &[CursorValue<'static>]) -> PlannedQuery {
        let mut sql = Statement::unfiltered(self, self.base.clone());
        let skipped = usize::from(self.has_key_behind_time());
        for (column, value) in self.tuple.iter().zip(at).skip(skipped) {
            sql.compare(column, "=", value);
        }
        sql.finish_some(MOST)
    }

    /// True if the columns after the timestamp in the cursor tell rows apart by themselves.
    pub fn has_key_behind_time(&self) -> bool {
        let is_broken = self.tuple.iter().any(|column| column.role == CursorRole::TieBreak);
        self.time_kind().is_some()
            && match self.mode {
                Mode::TimestampIncrementing { .. } => self.has_unique_ids || is_broken,
                _ => is_broken,
            }
    }

    /// The probe for any row at or below a position.
    pub fn upto_probe(&self, position: &Position) -> PlannedQuery {
        let mut sql = Statement::unfiltered(self, format!("select 1 from {} as {ALIAS}", self.source));
        sql.upto(&position.0);
        let cursor = vec![CursorColumn { index: 0, kind: CursorKind::Integer }];
        PlannedQuery { cursor, hidden: 1, recurs: false, ..sql.finish_some(1) }
    }
}
