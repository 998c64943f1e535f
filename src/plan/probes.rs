//! Questions for one value of a relation: the greatest or least time or id, and whether it has so many rows.

use std::fmt::Write as _;

use super::statement::Statement;
use super::{ALIAS, CursorRole, Planner, TupleColumn};
use crate::model::{CursorColumn, CursorKind, PlannedQuery};

impl Planner {
    /// The greatest timestamp of the relation, or id where the mode has no timestamp, of all its rows.
    pub fn extreme_probe(&self) -> Option<PlannedQuery> {
        let column = self.tuple.first().filter(|column| column.role != CursorRole::TieBreak)?;
        Some(self.extreme(column, Statement::unfiltered(self, String::new()), false, 0))
    }

    /// The least timestamp of the rows that are read.
    pub fn oldest_probe(&self) -> Option<PlannedQuery> {
        let column = self.tuple.first().filter(|column| column.role == CursorRole::Timestamp)?;
        Some(self.extreme(column, Statement::of(self, String::new()), true, 0))
    }

    /// The greatest timestamp of the rows that are read.
    pub fn newest_probe(&self) -> Option<PlannedQuery> {
        let column = self.tuple.first().filter(|column| column.role == CursorRole::Timestamp)?;
        Some(self.extreme(column, Statement::of(self, String::new()), false, 0))
    }

    /// The smallest (`lowest`) or greatest id but `skip`, where the mode has nothing but an id that is carried as
    /// text: whether such ids grow is seen only in their values.
    pub fn id_probe(&self, lowest: bool, skip: usize) -> Option<PlannedQuery> {
        let id = self.tuple.first().filter(|id| id.role == CursorRole::Incrementing && id.kind == CursorKind::Text)?;
        Some(self.extreme(id, Statement::of(self, String::new()), lowest, skip))
    }

    fn extreme(&self, column: &TupleColumn, rows: Statement<'_>, lowest: bool, skip: usize) -> PlannedQuery {
        let TupleColumn { expression, output, .. } = column;
        let direction = if lowest { "asc" } else { "desc" };
        let offset = if skip > 0 { format!(" offset {skip}") } else { String::new() };
        let mut sql = rows;
        sql.sql.insert_str(0, &format!("select {output} from {} as {ALIAS}", self.source));
        sql.condition(&format!("{expression} is not null"));
        if let Some(floor) = self.floor.as_ref().filter(|_| column.role == CursorRole::Timestamp) {
            sql.at_or_above(column, floor);
            sql.dates_only();
        }
        let _ = write!(sql.sql, " order by {expression} {direction} limit 1{offset}");
        let cursor = vec![CursorColumn { index: 0, kind: column.kind }];
        PlannedQuery { sql: sql.sql, binds: sql.binds, cursor, hidden: 1, limit: Some(1), recurs: true }
    }

    /// The question whether the table has so many rows, of which no more are counted.
    pub fn rows_probe(&self, rows: u64) -> PlannedQuery {
        let sql = format!("select 1 from {} as {ALIAS} limit 1 offset {}", self.source, rows.saturating_sub(1));
        let cursor = vec![CursorColumn { index: 0, kind: CursorKind::Integer }];
        PlannedQuery { sql, binds: Vec::new(), cursor, hidden: 1, limit: Some(1), recurs: false }
    }
}
