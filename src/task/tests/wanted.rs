//! The rows that a statement of the scripted database asks for, read from its text and its bounds.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::source::Row;
use crate::model::{CursorValue, PlannedQuery};

/// The pages of first loads behind a key, of all schedules.
static KEY_PAGES: AtomicUsize = AtomicUsize::new(0);

pub(super) fn key_pages() -> usize {
    KEY_PAGES.load(Ordering::Relaxed)
}

/// The rows that a query asks for, by its bounds.
#[derive(Default)]
pub(super) struct Wanted {
    /// The value that reading begins from.
    from: Option<CursorValue<'static>>,
    after: Vec<CursorValue<'static>>,
    below: Option<CursorValue<'static>>,
    /// The one cursor of the rows.
    tie: Vec<CursorValue<'static>>,
    /// The values that rows are not after, by the places of their columns.
    upto: Vec<(usize, CursorValue<'static>)>,
    /// The ids, as the begin and end of each range.
    ids: Option<Vec<(i64, i64)>>,
    /// The transactions, as the begin of each range and the number after its end.
    xids: Option<Vec<i64>>,
    /// The places of the cursor's values.
    pub(super) cursor: Vec<usize>,
}

impl Wanted {
    pub(super) fn new(query: &PlannedQuery) -> Self {
        let mut binds: Vec<CursorValue<'static>> = query.binds.iter().map(|bind| bind.value.clone()).collect();
        let cursor: Vec<usize> = query.cursor.iter().map(|column| column.index).collect();
        if let [0 | 2, 1] | [2] = cursor[..] {
            // A page by the key, with the time behind it if there is one.
            let is_first = !query.sql.contains(" > $1");
            KEY_PAGES.fetch_add(usize::from(!is_first), Ordering::Relaxed);
            let upto = if is_first { std::mem::take(&mut binds) } else { binds.split_off(1) };
            // Behind them may be the first time that is one.
            let upto = columns_upto(&query.sql).into_iter().zip(upto).collect();
            return Self { after: binds, upto, cursor, ..Self::default() };
        }
        if query.sql.contains(" = $") {
            return Self { tie: binds, cursor, ..Self::default() };
        }
        let has_bound = query.sql.contains("<= $") || query.sql.contains("<= ($");
        if has_bound && !query.sql.contains(" >= $") {
            // A page by the cursor, up to a position.
            let is_first = !query.sql.contains(" > $") && !query.sql.contains(" > ($");
            let upto = if is_first { std::mem::take(&mut binds) } else { binds.split_off(cursor.len()) };
            let upto = cursor.iter().copied().zip(upto).collect();
            return Self { after: binds, upto, cursor, ..Self::default() };
        }
        if has_bound {
            let xids = query.sql.contains("width_bucket").then(|| bounds(binds.pop()));
            let from = Some(binds.remove(0));
            let upto = cursor.iter().copied().zip(binds).collect();
            return Self { from, upto, xids, cursor, ..Self::default() };
        }
        if let Some((_, terms)) = query.sql.split_once(" where (").filter(|_| binds.is_empty()) {
            let terms = terms.split(')').next().unwrap_or_default();
            return Self { ids: Some(terms.split(" or ").map(range).collect()), cursor, ..Self::default() };
        }
        let from = query.sql.contains(" >= $1").then(|| binds.remove(0));
        let below = query.sql.contains(" < $").then(|| binds.pop()).flatten();
        Self { from, after: binds, below, cursor, ..Self::default() }
    }

    /// Its place in the order.
    pub(super) fn place(&self, row: &Row) -> Vec<i64> {
        let place = |index: &usize| match row.value(*index) {
            CursorValue::Timestamp(number) | CursorValue::Integer(number) => number,
            _ => 0,
        };
        self.cursor.iter().map(place).collect()
    }

    pub(super) fn has(&self, row: &Row) -> bool {
        let values: Vec<_> = self.cursor.iter().map(|index| row.value(*index)).collect();
        let after = self.after.is_empty() || values[..self.after.len()] > self.after[..];
        let is_of_tie = self.tie.iter().zip(&values).all(|(tie, value)| tie == value);
        let is_from = self.from.as_ref().is_none_or(|from| values[0] >= *from);
        let (places, upto): (Vec<usize>, Vec<_>) = self.upto.iter().cloned().unzip();
        let is_upto = places.into_iter().map(|place| row.value(place)).collect::<Vec<_>>() <= upto;
        let is_of_ids = self.ids.as_ref().is_none_or(|ids| ids.iter().any(|(from, to)| (from..=to).contains(&&row.id)));
        let below = |bounds: &Vec<i64>| bounds.iter().filter(|bound| **bound <= row.xid).count();
        let is_of_xids = self.xids.as_ref().is_none_or(|bounds| below(bounds) % 2 == 1);
        after
            && is_from
            && is_of_tie
            && is_upto
            && is_of_ids
            && is_of_xids
            && self.below.as_ref().is_none_or(|below| values[0] < *below)
    }
}

/// The numbers of `{1,3}`.
fn bounds(bind: Option<CursorValue<'static>>) -> Vec<i64> {
    let Some(CursorValue::Text(text)) = bind else { panic!("no ranges") };
    text.trim_matches(['{', '}']).split(',').filter_map(|bound| bound.parse().ok()).collect()
}

/// The places of the columns in `(t."ts", t."id") <= ($1, $2)` or `t."id" <= $1`.
fn columns_upto(sql: &str) -> Vec<usize> {
    let (before, _) = sql.split_once(" <= ").expect("a bound");
    let begin = if before.ends_with(')') { '(' } else { ' ' };
    let (_, columns) = before.rsplit_once(begin).expect("its columns");
    let place = |column: &str| ["id", "ts", "key"].iter().position(|name| column.contains(&format!("\"{name}\"")));
    columns.split(',').map(|column| place(column).expect("a column")).collect()
}

/// The ids of `t."id" = 1`, `t."id" between 1 and 3` or `t."id" <= 3`.
fn range(term: &str) -> (i64, i64) {
    let number = |text: &str| text.trim().parse().unwrap_or_else(|_| panic!("{term} is no range of ids"));
    if let Some((_, range)) = term.split_once(" between ") {
        let (from, to) = range.split_once(" and ").expect("both ends");
        return (number(from), number(to));
    }
    match (term.split_once(" <= "), term.split_once(" = ")) {
        (Some((_, to)), _) => (i64::MIN, number(to)),
        (None, Some((_, id))) => (number(id), number(id)),
        (None, None) => panic!("{term} is no range of ids"),
    }
}
