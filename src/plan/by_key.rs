//! Pages of a first load in the order of the primary key: of the rows up to the position that polls begin at, whatever that
//! order is to the cursor's. Where rows are stored by that key, or no index has the order of the cursor, it is the cheaper
//! walk by far. A row at or below the position is read by one page at most: an update moves it above.

use super::statement::Statement;
use super::{Planner, SqlStyle, TupleColumn};
use crate::error::Result;
use crate::model::{CursorValue, Position, Relation, TableDefinition};

/// The rows that a first load reads.
#[derive(Debug, Clone)]
pub(super) struct LoadedRows {
    /// The columns of the cursor.
    tuple: Vec<TupleColumn>,
    /// The position in its order that no row lies behind.
    until: Position,
    /// No row has a time below it.
    floor: Option<CursorValue<'static>>,
}

impl Planner {
    /// The planner of the same rows up to `until`, in the order of the primary key; none where that does not order them:
    /// where there is none, of a query, and where a suffix of the user's stands behind each statement.
    ///
    /// # Errors
    /// As [`Planner::new`].
    pub fn by_key(&self, definition: &TableDefinition, style: SqlStyle<'_>, until: &Position) -> Result<Option<Self>> {
        if self.suffix.is_some() || !matches!(definition.relation, Relation::Table(_)) {
            return Ok(None);
        }
        let rows = LoadedRows { tuple: self.tuple.clone(), until: until.clone(), floor: self.floor.clone() };
        let planner = Self::of_rows(definition, &self.mode, style, Some(rows))?;
        Ok((!planner.tuple.is_empty()).then(|| Self { filter: self.filter.clone(), ..planner }))
    }

    /// The planner of the same rows up to `until`, in the order of the cursor as before.
    ///
    /// # Errors
    /// As [`Planner::new`].
    pub fn upto(&self, definition: &TableDefinition, style: SqlStyle<'_>, until: &Position) -> Result<Self> {
        let (filter, floor, ceiling) = (self.filter.clone(), self.floor.clone(), Some(until.clone()));
        Ok(Self { filter, floor, ceiling, ..Self::new(definition, &self.mode, style)? })
    }

    /// True if pages are in the order of the primary key.
    pub fn is_by_key(&self) -> bool {
        self.loaded.is_some()
    }

    /// The position of a first load, or of a backfill, from its text; none if it is not one of this order.
    pub fn key_position(&self, text: &str) -> Option<Position> {
        let position = Position::from_text(text).ok()?;
        (position.0.len() == self.tuple.len() && self.fits(&position)).then_some(position)
    }

    /// True if the order of the cursor begins with the primary key's: both walks are one.
    pub fn begins_with_key(&self, definition: &TableDefinition) -> bool {
        let key = &definition.primary_key;
        let names = self.tuple.iter().map(|column| column.names.as_slice());
        let same = |(names, key): (&[String], &String)| matches!(names, [only] if only.eq_ignore_ascii_case(key));
        !key.is_empty() && key.len() <= self.tuple.len() && names.zip(key).all(same)
    }
}

impl Statement<'_> {
    /// The conditions of the rows that a first load reads.
    pub(super) fn loaded(&mut self, rows: &LoadedRows) {
        let LoadedRows { tuple, until, floor } = rows;
        self.beyond(tuple, &until.0, "<", "<=");
        if let (Some(floor), Some(time)) = (floor, tuple.first()) {
            self.at_or_above(time, floor);
        }
        if let Some(is_date) = tuple.first().and_then(|time| time.is_date.as_deref()) {
            self.condition(is_date);
        }
        // A poll passes over a row without an id.
        for column in tuple.iter().skip(1).filter(|column| column.is_nullable) {
            self.condition(&format!("{} is not null", column.expression));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::orders;
    use super::*;
    use crate::dialect::{Dialect, mysql::MySql, postgres::Postgres, sqlite::Sqlite};
    use crate::model::Mode;
    use crate::zone::Zone;

    fn style(dialect: &dyn Dialect) -> SqlStyle<'static> {
        SqlStyle { syntax: dialect.syntax(), quote: true, unqualified: false, suffix: None, zone: Zone::UTC }
    }

    fn timed(dialect: &dyn Dialect) -> Planner {
        let mode = Mode::TimestampIncrementing { columns: vec!["changed".into()], column: "seq".into() };
        Planner::new(&orders(), &mode, style(dialect)).unwrap()
    }

    #[test]
    fn pages_of_a_load_follow_the_key_and_end_where_polls_begin() {
        let until = Position(vec![CursorValue::Timestamp(5), CursorValue::Integer(-1)]);
        for dialect in [&Postgres as &dyn Dialect, &MySql, &Sqlite] {
            let live = timed(dialect).only(Some("total > 9"));
            let load = live.by_key(&orders(), style(dialect), &until).unwrap().unwrap();
            let page = load.page(None, None, 10);
            let is_by_key = page.sql.contains("\"id\" asc") || page.sql.contains("`id` asc");
            assert!(is_by_key && page.sql.contains("(total > 9)"), "{}", page.sql);
            let next = load.page(load.key_position(r#"[{"s":"x"}]"#).as_ref(), None, 10);
            assert_eq!(next.binds.len(), page.binds.len() + 1, "{}", next.sql);
            // The time of each row is told behind its key.
            assert_eq!(next.cursor.len(), load.tuple_len() + 1);
            assert_eq!((load.time_kind(), load.is_by_key(), live.is_by_key()), (None, true, false));
            assert!(load.key_position(r#"[{"i":7}]"#).is_none() && load.key_position("[]").is_none());
        }
    }

    #[test]
    fn pages_of_the_cursor_end_at_a_position_too() {
        let until = Position(vec![CursorValue::Timestamp(5), CursorValue::Integer(7)]);
        for dialect in [&Postgres as &dyn Dialect, &MySql, &Sqlite] {
            let live = timed(dialect).only(Some("total > 9"));
            let bounded = live.upto(&orders(), style(dialect), &until).unwrap();
            let (first, page) = (live.page(None, None, 10), bounded.page(None, None, 10));
            assert!(page.binds.len() > first.binds.len() && page.sql.contains("(total > 9)"), "{}", page.sql);
            assert_eq!((bounded.is_by_key(), bounded.tuple_len()), (false, live.tuple_len()));
            let next = bounded.page(Some(&until), None, 10);
            assert!(next.sql.contains("<=") && next.sql.contains('>'), "{}", next.sql);
        }
    }
}
