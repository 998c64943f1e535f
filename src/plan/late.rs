//! Queries for rows that commit late: a page that tells the transaction of each row, and the rows of a window whose
//! transaction is one of some.

use super::{ALIAS, Planner, Statement};
use crate::model::{Bind, CursorColumn, CursorKind, CursorValue, PlannedQuery, Position};

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

    /// The rows at or above `low` and at or below `upto`, with the ids of their transactions; those only whose ids lie
    /// in one of the ranges, ends included, if there are any given. None where rows do not tell their transaction.
    pub fn late(
        &self,
        low: &CursorValue<'static>,
        upto: &Position,
        ids: Option<&[(u32, u32)]>,
    ) -> Option<PlannedQuery> {
        let row_id = self.syntax.row_id(ALIAS)?;
        let first = self.tuple.first()?;
        let mut sql = Statement::new(self);
        sql.compare(first, ">=", low);
        let pairs: Vec<_> = self.tuple.iter().zip(&upto.0).collect();
        let left: Vec<&str> = pairs.iter().map(|(column, _)| column.expression.as_str()).collect();
        let right: Vec<String> = pairs.iter().map(|(column, value)| sql.bind(column, value)).collect();
        sql.condition(&format!("({}) <= ({})", left.join(", "), right.join(", ")));
        if let Some(ids) = ids {
            let list = |end: fn(&(u32, u32)) -> u32| {
                let ends: Vec<String> = ids.iter().map(|range| end(range).to_string()).collect();
                CursorValue::Text(format!("{{{}}}", ends.join(",")).into())
            };
            let condition = self.syntax.in_ranges(&row_id, sql.binds.len() + 1);
            for value in [list(|range| range.0), list(|range| range.1)] {
                sql.binds.push(Bind { value, kind: CursorKind::Text });
            }
            sql.condition(&condition);
        }
        sql.order();
        Some(self.with_row_ids(sql.finish(None)))
    }
}
