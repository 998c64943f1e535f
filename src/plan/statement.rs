//! One statement of a planner as it is written: conditions, values and their placeholders, order and limit.

use std::fmt::Write as _;

use super::{Planner, TupleColumn};
use crate::model::{Bind, CursorColumn, CursorValue, PlannedQuery};

/// A statement being written; placeholders are numbered as they come.
pub(super) struct Statement<'a> {
    planner: &'a Planner,
    pub(super) sql: String,
    pub(super) binds: Vec<Bind>,
    has_where: bool,
}

impl<'a> Statement<'a> {
    /// The columns of a page, of the rows that are read.
    pub(super) fn new(planner: &'a Planner) -> Self {
        Self::of(planner, planner.base.clone())
    }

    /// Begins with a text up to the WHERE, of the rows that are read.
    pub(super) fn of(planner: &'a Planner, sql: String) -> Self {
        let mut statement = Self::unfiltered(planner, sql);
        if let Some(filter) = &planner.filter {
            statement.condition(filter);
        }
        statement
    }

    /// The same of all rows there are.
    pub(super) fn unfiltered(planner: &'a Planner, sql: String) -> Self {
        Self { planner, sql, binds: Vec::new(), has_where: false }
    }

    pub(super) fn condition(&mut self, text: &str) {
        self.sql.push_str(if self.has_where { " and " } else { " where " });
        self.has_where = true;
        self.sql.push_str(text);
    }

    fn bind(&mut self, column: &TupleColumn, value: &CursorValue<'static>) -> String {
        self.binds.push(Bind { value: value.clone(), kind: column.kind });
        self.planner.syntax.placeholder(self.binds.len(), column.kind, &column.database_type)
    }

    pub(super) fn compare(&mut self, column: &TupleColumn, operator: &str, value: &CursorValue<'static>) {
        let placeholder = self.bind(column, value);
        self.condition(&format!("{} {operator} {placeholder}", column.expression));
    }

    /// Rows strictly after the values, which may be fewer than the tuple has columns.
    pub(super) fn after(&mut self, values: &[CursorValue<'static>]) {
        self.beyond(&self.planner.tuple, values, ">", ">");
    }

    /// Rows at or below the values, which may be fewer than the tuple has columns.
    pub(super) fn upto(&mut self, values: &[CursorValue<'static>]) {
        self.beyond(&self.planner.tuple, values, "<", "<=");
    }

    /// Rows on one side of the values of these columns; `last` is how the last column is compared.
    pub(super) fn beyond(&mut self, tuple: &[TupleColumn], values: &[CursorValue<'static>], beyond: &str, last: &str) {
        let planner = self.planner;
        let pairs: Vec<_> = tuple.iter().zip(values).collect();
        match pairs.as_slice() {
            [] => {}
            [(column, value)] => self.compare(column, last, value),
            _ if planner.syntax.has_row_values() => self.row_values(&pairs, last),
            _ => self.expanded(&pairs, beyond, last),
        }
    }

    fn row_values(&mut self, pairs: &[(&TupleColumn, &CursorValue<'static>)], operator: &str) {
        let left: Vec<&str> = pairs.iter().map(|(column, _)| column.expression.as_str()).collect();
        let right: Vec<String> = pairs.iter().map(|(column, value)| self.bind(column, value)).collect();
        self.condition(&format!("({}) {operator} ({})", left.join(", "), right.join(", ")));
    }

    /// `a >= x and (a > x or (a = x and b > y))`, for databases whose optimizer does not see through row values.
    fn expanded(&mut self, pairs: &[(&TupleColumn, &CursorValue<'static>)], beyond: &str, last: &str) {
        let (first, first_value) = pairs[0];
        self.compare(first, &format!("{beyond}="), first_value);
        let mut branches = Vec::new();
        for (index, (column, value)) in pairs.iter().enumerate() {
            let mut terms = Vec::new();
            for (equal, equal_value) in &pairs[..index] {
                let placeholder = self.bind(equal, equal_value);
                terms.push(format!("{} = {placeholder}", equal.expression));
            }
            let placeholder = self.bind(column, value);
            let operator = if index + 1 == pairs.len() { last } else { beyond };
            terms.push(format!("{} {operator} {placeholder}", column.expression));
            branches.push(format!("({})", terms.join(" and ")));
        }
        self.condition(&format!("({})", branches.join(" or ")));
    }

    /// Rows at or above a time, and those whose value is no time of the kind.
    pub(super) fn at_or_above(&mut self, column: &TupleColumn, floor: &CursorValue<'static>) {
        let other = self.planner.syntax.is_of_other_class(column.kind, &column.expression);
        let placeholder = self.bind(column, floor);
        let condition = format!("{} >= {placeholder}", column.expression);
        self.condition(&match other {
            Some(other) => format!("({condition} or {other})"),
            None => condition,
        });
    }

    /// Rows whose time is a date that exists.
    pub(super) fn dates_only(&mut self) {
        if let Some(condition) = self.planner.tuple.first().and_then(|time| time.is_date.as_deref()) {
            self.condition(condition);
        }
    }

    pub(super) fn order(&mut self) {
        if self.planner.tuple.is_empty() {
            return;
        }
        // The direction is written out, so that no suffix can be read as one.
        let columns: Vec<String> =
            self.planner.tuple.iter().map(|column| format!("{} asc", column.expression)).collect();
        let _ = write!(self.sql, " order by {}", columns.join(", "));
    }

    pub(super) fn finish(mut self, limit: Option<usize>) -> PlannedQuery {
        if let Some(suffix) = self.planner.suffix.as_ref().filter(|_| !self.planner.has_suffix_inside) {
            let _ = write!(self.sql, " {suffix}");
        }
        self.planned(limit)
    }

    /// The statement without the suffix, which may leave rows out.
    pub(super) fn finish_whole(self) -> PlannedQuery {
        self.planned(None)
    }

    /// The statement without the suffix, for one use, of so many rows at most.
    pub(super) fn finish_some(self, limit: usize) -> PlannedQuery {
        PlannedQuery { recurs: false, ..self.planned(Some(limit)) }
    }

    fn planned(mut self, limit: Option<usize>) -> PlannedQuery {
        if let Some(limit) = limit {
            let _ = write!(self.sql, " limit {limit}");
        }
        let told = self.planner.tuple.iter().chain(&self.planner.time);
        let cursor = told.map(|column| CursorColumn { index: column.index, kind: column.kind }).collect();
        PlannedQuery { sql: self.sql, binds: self.binds, cursor, hidden: self.planner.hidden, limit, recurs: true }
    }
}

#[cfg(test)]
mod tests {
    use super::super::odd::OddRows;
    use super::super::tests::orders;
    use super::*;
    use crate::dialect::{Dialect, mysql::MySql, postgres::Postgres};
    use crate::model::{Mode, Position};
    use crate::plan::SqlStyle;
    use crate::zone::Zone;

    /// Of the table of orders, with a condition that would take more with it if it stood without parentheses.
    fn planner(dialect: &dyn Dialect, mode: &Mode) -> Planner {
        let style =
            SqlStyle { syntax: dialect.syntax(), quote: true, unqualified: false, suffix: None, zone: Zone::UTC };
        Planner::new(&orders(), mode, style).unwrap().only(Some("status = 'paid' or total > 9"))
    }

    #[test]
    fn a_condition_is_in_every_statement_that_reads_rows_and_in_none_that_knows_the_table_again() {
        let both = Mode::TimestampIncrementing { columns: vec!["changed".into()], column: "seq".into() };
        let timed = planner(&Postgres, &both);
        let by_id = planner(&Postgres, &Mode::Incrementing { column: "seq".into() });
        let upto = Position(vec![CursorValue::Timestamp(5), CursorValue::Integer(7)]);
        let (low, high) = (CursorValue::Timestamp(2), CursorValue::Timestamp(99));
        let ids = [(CursorValue::Integer(3), CursorValue::Integer(4))];
        for query in [
            timed.page(None, Some(&high), 10),
            timed.page(Some(&upto), Some(&high), 10),
            timed.with_row_ids(timed.page(Some(&upto), Some(&high), 10)),
            timed.tie(&upto.0),
            timed.late(&low, &upto, Some(&[(10, 19)])).unwrap(),
            timed.window(&low, &upto).unwrap(),
            planner(&MySql, &both).window_checksum(&low, &upto, (&orders(), false)).unwrap(),
            by_id.with_ids(&ids).unwrap(),
            by_id.page(None, None, 10),
            timed.newest_probe().unwrap(),
            timed.waiting_probe(&high).unwrap(),
            timed.odd_count(OddRows::Times(Some(&low), Some(&high))).unwrap(),
            timed.odd_row(OddRows::Times(Some(&low), Some(&high))).unwrap(),
        ] {
            let condition = " where (status = 'paid' or total > 9) and ";
            assert_eq!(query.sql.matches(condition).count(), 1, "{}", query.sql);
        }
        for query in [timed.landmark(&upto.0), timed.upto_probe(&upto), timed.extreme_probe().unwrap()] {
            assert!(!query.sql.contains("status"), "{}", query.sql);
        }
        let whole = planner(&Postgres, &Mode::Bulk).only(Some("a = 1 -- all")).page(None, None, 10);
        assert!(whole.sql.contains(" where (a = 1 -- all\n)"), "a comment ends with its line: {}", whole.sql);
    }
}
