//! Rows that no poll reads because of their cursor values: NULL, a date that is none, a time before reading begins or
//! above the clock. The statements that count them and name one, and the time below which no page reads.

use std::fmt::Write as _;

use super::statement::Statement;
use super::{ALIAS, CursorRole, Planner, TupleColumn};
use crate::dialect::syntax::LeastTime;
use crate::model::{CursorColumn, CursorKind, CursorValue, PlannedQuery};
use crate::zone::Zone;

/// The most rows that are counted.
pub const MOST_COUNTED: u64 = 10_000;

/// The rows to look for.
#[derive(Debug, Clone, Copy)]
pub enum OddRows<'a> {
    /// A column of the cursor is NULL.
    Null,
    /// The time is no date: below the first, or nowhere.
    NoDates(&'a CursorValue<'static>),
    /// The time lies at or above the first and below the second.
    Times(Option<&'a CursorValue<'static>>, Option<&'a CursorValue<'static>>),
}

impl Planner {
    /// The same, reading nothing below a time.
    #[must_use]
    pub fn above(self, floor: Option<CursorValue<'static>>) -> Self {
        Self { floor, ..self }
    }

    /// The first time that is one, where the database keeps dates that are none; `zone` is `db.timezone`.
    pub fn least_time(&self, zone: &Zone) -> Option<CursorValue<'static>> {
        let (kind, time) = (self.time_kind()?, self.tuple.first()?);
        Some(CursorValue::Timestamp(match self.syntax.least_time(&time.database_type)? {
            LeastTime::Instant(instant) if kind.is_wall() => time.seen_in.unwrap_or(*zone).instant_to_wall(instant),
            LeastTime::Instant(micros) | LeastTime::Wall(micros) => micros,
        }))
    }

    /// The number of such rows, up to one more than [`MOST_COUNTED`]; none where there can be none.
    pub fn odd_count(&self, rows: OddRows<'_>) -> Option<PlannedQuery> {
        let begin = format!("select count(*) from (select 1 as n from {} as {ALIAS}", self.source);
        let mut counting = self.odd(begin, rows)?;
        let _ = write!(counting.sql, " limit {}) as counted", MOST_COUNTED + 1);
        let cursor = vec![CursorColumn { index: 0, kind: CursorKind::Integer }];
        Some(PlannedQuery { sql: counting.sql, binds: counting.binds, cursor, hidden: 1, limit: Some(1), recurs: true })
    }

    /// One such row, with the id, if the mode has one, as its only cursor.
    pub fn odd_row(&self, rows: OddRows<'_>) -> Option<PlannedQuery> {
        let mut one = self.odd(self.base.clone(), rows)?;
        one.sql.push_str(" limit 1");
        let id = self.id().filter(|_| !matches!(rows, OddRows::Null));
        let cursor = id.map(|id| CursorColumn { index: id.index, kind: id.kind }).into_iter().collect();
        Some(PlannedQuery {
            sql: one.sql,
            binds: one.binds,
            cursor,
            hidden: self.hidden,
            limit: Some(1),
            recurs: false,
        })
    }

    /// One for every row that waits for its time: at or above the bound of a page. None where pages have no bound.
    pub fn waiting_probe(&self, bound: &CursorValue<'static>) -> Option<PlannedQuery> {
        let time = self.tuple.first().filter(|column| column.role == CursorRole::Timestamp)?;
        let mut sql = Statement::of(self, format!("select 1 from {} as {ALIAS}", self.source));
        sql.at_or_above(time, bound);
        let cursor = vec![CursorColumn { index: 0, kind: CursorKind::Integer }];
        Some(PlannedQuery { cursor, hidden: 1, ..sql.finish_some(1) })
    }

    fn odd(&self, begin: String, rows: OddRows<'_>) -> Option<Statement<'_>> {
        let mut sql = Statement::of(self, begin);
        match rows {
            OddRows::Null => {
                let is_of_mode = |column: &&TupleColumn| column.role != CursorRole::TieBreak && column.is_nullable;
                let nulls: Vec<String> = (self.tuple.iter().filter(is_of_mode))
                    .map(|column| format!("{} is null", column.expression))
                    .collect();
                if nulls.is_empty() {
                    return None;
                }
                sql.condition(&format!("({})", nulls.join(" or ")));
            }
            OddRows::NoDates(least) => {
                let time = self.tuple.first().filter(|column| column.role == CursorRole::Timestamp)?;
                match &time.is_date {
                    Some(is_date) => {
                        let expression = &time.expression;
                        sql.condition(&format!("{expression} is not null and coalesce({is_date}, 0) = 0"));
                    }
                    None => sql.compare(time, "<", least),
                }
            }
            OddRows::Times(from, below) => {
                let time = self.tuple.first().filter(|column| column.role == CursorRole::Timestamp)?;
                sql.dates_only();
                if let Some(other) = self.syntax.is_of_other_class(time.kind, &time.expression) {
                    sql.condition(&format!("not {other}"));
                }
                if let Some(from) = from {
                    sql.compare(time, ">=", from);
                }
                if let Some(below) = below {
                    sql.compare(time, "<", below);
                }
            }
        }
        Some(sql)
    }
}
