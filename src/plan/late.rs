//! Queries for rows that commit late: a page that tells the transaction of each row, the rows of a window, all or those
//! whose transaction is one of some, a checksum of a window, and the rows of some ids.

use super::{ALIAS, Planner, Statement};
use crate::model::{Bind, CursorColumn, CursorKind, CursorValue, PlannedQuery, Position, TableDefinition};

impl Planner {
    /// The same query (one of this planner) with the id of each row's transaction as the last value of the cursor; as it
    /// is where rows do not tell.
    pub fn with_row_ids(&self, mut query: PlannedQuery) -> PlannedQuery {
        if let (Some(base), Some(rest)) = (&self.base_with_id, query.sql.strip_prefix(&self.base)) {
            query.sql = format!("{base}{rest}");
            query.cursor.push(CursorColumn { index: self.width, kind: CursorKind::Integer });
            query.hidden += 1;
        }
        query
    }

    /// The rows at or above `low` and at or below `upto`. With `ids` they tell the ids of their transactions, and are
    /// those only whose ids lie in one of the ranges, which ascend, ends included; None where rows do not tell their
    /// transaction.
    pub fn late(
        &self,
        low: &CursorValue<'static>,
        upto: &Position,
        ids: Option<&[(u32, u32)]>,
    ) -> Option<PlannedQuery> {
        let row_id = self.syntax.row_id(ALIAS)?;
        let mut sql = self.between(low, upto)?;
        if let Some(ids) = ids {
            let (condition, value) = self.syntax.in_ranges(&row_id, sql.binds.len() + 1, ids)?;
            sql.binds.push(Bind { value, kind: CursorKind::Text });
            sql.condition(&condition);
        }
        sql.order();
        Some(self.with_row_ids(sql.finish(None)))
    }

    /// The rows at or above `low` and at or below `upto`; none for a relation that is read in no order.
    pub fn window(&self, low: &CursorValue<'static>, upto: &Position) -> Option<PlannedQuery> {
        let mut sql = self.between(low, upto)?;
        sql.order();
        Some(sql.finish(None))
    }

    /// The number of rows of [`Planner::window`] and a checksum of their cursors, and of their contents with
    /// `of_contents`, as one text; none where the dialect has no such function.
    pub fn window_checksum(
        &self,
        low: &CursorValue<'static>,
        upto: &Position,
        (definition, of_contents): (&TableDefinition, bool),
    ) -> Option<PlannedQuery> {
        let quoted = |name: &String| format!("{ALIAS}.{}", self.syntax.quote(name));
        let columns: Vec<String> = if of_contents {
            definition.columns.iter().map(|column| quoted(&column.field.name)).collect()
        } else {
            self.tuple.iter().flat_map(|column| &column.names).map(quoted).collect()
        };
        let checksum = self.syntax.checksum(&columns)?;
        let sql = self.between(low, upto)?;
        let sql = PlannedQuery {
            sql: sql.sql.replacen(&self.base, &format!("select {checksum} {}", self.from), 1),
            binds: sql.binds,
            cursor: vec![CursorColumn { index: 0, kind: CursorKind::Text }],
            hidden: 1,
            limit: Some(1),
            recurs: true,
        };
        Some(sql)
    }

    /// The rows whose id, a number and the first value of the cursor, lies in one of the ranges, ends included.
    pub fn with_ids(&self, ranges: &[(CursorValue<'static>, CursorValue<'static>)]) -> Option<PlannedQuery> {
        let id = &self.tuple.first()?.expression;
        let terms: Vec<String> = ranges
            .iter()
            .map(|(from, to)| match from {
                _ if from == to => format!("{id} = {}", literal(from)),
                // Not every database takes the least number there is as a number.
                CursorValue::Integer(i64::MIN) => format!("{id} <= {}", literal(to)),
                _ => format!("{id} between {} and {}", literal(from), literal(to)),
            })
            .collect();
        let mut sql = Statement::new(self);
        sql.condition(&format!("({})", terms.join(" or ")));
        sql.order();
        Some(PlannedQuery { recurs: false, ..sql.finish(None) })
    }

    fn between(&self, low: &CursorValue<'static>, upto: &Position) -> Option<Statement<'_>> {
        let first = self.tuple.first()?;
        let mut sql = Statement::new(self);
        let floor = self.floor.as_ref().filter(|floor| low < floor);
        sql.compare(first, ">=", floor.unwrap_or(low));
        sql.upto(&upto.0);
        sql.dates_only();
        Some(sql)
    }
}

/// A number in SQL: so many of them are not bound.
fn literal(id: &CursorValue<'_>) -> String {
    match id {
        CursorValue::Integer(id) => id.to_string(),
        CursorValue::Unsigned(id) => id.to_string(),
        _ => "null".to_owned(),
    }
}
