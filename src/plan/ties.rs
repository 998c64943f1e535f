//! Rows that share a cursor: the key of the catalog that keeps them apart, the columns added to the tuple for it, and
//! the common read where there is none. A page is cut between two tuples only, whatever the catalog says, for a key may
//! be dropped while a table is polled; the catalog decides the order of rows and the promise.

use super::{CursorRole, Planner, Statement, TupleColumn};
use crate::model::{CursorValue, Mode, PlannedQuery, TableDefinition, TupleOrder};
use crate::sql;

/// The columns of the primary key that keep rows of one tuple apart; none where a key within the tuple does so already,
/// where the database does not keep the primary key unique over all rows, or cannot order it.
///
/// An id that is not unique goes on by the primary key inside of an id, too: rows that are added to the last id later
/// are found, and many rows of one id need not be one transaction. Kafka Connect's fields of the offset stay behind at
/// the last id that was read whole, as its timestamp does in `timestamp` mode.
pub(super) fn breaks(definition: &TableDefinition, tuple: &[(CursorRole, Vec<String>)]) -> Vec<String> {
    let resolved = |name: &String| definition.column_index(name).map(|index| &*definition.columns[index].field.name);
    let single = |(_, names): &(CursorRole, Vec<String>)| match names.as_slice() {
        [only] => resolved(only).map(str::to_owned),
        _ => None,
    };
    let has: Vec<String> = tuple.iter().filter_map(single).collect();
    let has: Vec<&str> = has.iter().map(String::as_str).collect();
    let is_timestamp = matches!(tuple, [(CursorRole::Timestamp, _)]);
    // In `timestamp` mode offsets have always gone on by the primary key.
    if !is_timestamp && definition.unique.within(&has).is_some() {
        return Vec::new();
    }
    let key: Vec<&str> = definition.primary_key.iter().map(String::as_str).collect();
    let is_ordered =
        |name: &&str| definition.columns.iter().any(|column| column.field.name == **name && column.cursor.is_some());
    if definition.unique.within(&key).is_none() || !key.iter().all(is_ordered) {
        return Vec::new();
    }
    key.into_iter().filter(|name| !has.contains(name)).map(str::to_owned).collect()
}

/// The key of the catalog whose columns are all in the tuple, each by itself.
pub(super) fn key_within<'a>(
    definition: &TableDefinition,
    tuple: impl IntoIterator<Item = &'a TupleColumn>,
) -> Option<Vec<String>> {
    let single = |column: &TupleColumn| match column.names.as_slice() {
        [only] => definition.column_index(only).map(|index| definition.columns[index].field.name.as_str()),
        _ => None,
    };
    let columns: Vec<&str> = tuple.into_iter().filter_map(single).collect();
    definition.unique.within(&columns).map(<[String]>::to_vec)
}

impl Planner {
    /// The key by which no two rows share a cursor, if the catalog has one.
    pub fn unique_by(&self) -> Option<&[String]> {
        self.unique_by.as_deref()
    }

    /// True if no two rows share an id, by the catalog.
    pub fn has_unique_ids(&self) -> bool {
        self.has_unique_ids
    }

    /// The reason why the catalog has no key for the relation, where that is in its nature.
    pub fn none_because(&self) -> Option<&'static str> {
        self.none_because
    }

    /// The order of the cursor tuple's values.
    pub fn order(&self) -> &TupleOrder {
        &self.order
    }

    /// The number of the tuple's columns that Kafka Connect's own fields of an offset tell.
    pub fn told_len(&self) -> usize {
        match self.mode {
            _ if self.is_by_key() => 0,
            Mode::Bulk => 0,
            Mode::Incrementing { .. } | Mode::Timestamp { .. } => 1,
            Mode::TimestampIncrementing { .. } => 2,
        }
    }

    /// True if `query.suffix` may end a result between rows of one tuple.
    pub fn suffix_cuts_ties(&self) -> bool {
        self.unique_by.is_none() && !self.tuple.is_empty() && self.suffix_cuts()
    }

    fn suffix_cuts(&self) -> bool {
        self.suffix.as_ref().is_some_and(|suffix| sql::cuts(suffix, self.syntax.grammar()))
    }

    /// All rows of one tuple.
    pub fn tie(&self, values: &[CursorValue<'static>]) -> PlannedQuery {
        let mut sql = Statement::new(self);
        for (column, value) in self.tuple.iter().zip(values) {
            sql.compare(column, "=", value);
        }
        if self.suffix_cuts() { sql.finish_whole() } else { sql.finish(None) }
    }

    /// The end of a page, in words.
    pub fn ends(&self) -> String {
        let columns: Vec<String> = self.tuple.iter().map(|column| column.names.join(", ")).collect();
        let tuple = columns.join(", ");
        match (&self.unique_by, self.none_because) {
            _ if self.tuple.is_empty() && self.suffix.is_some() => {
                "one statement reads all, in no order: query.suffix may begin with WHERE".to_owned()
            }
            (_, Some(why)) if self.tuple.is_empty() => format!("one statement reads all, in no order: {why}"),
            _ if self.tuple.is_empty() => {
                "one statement reads all, in no order: there is no primary key that orders the rows".to_owned()
            }
            (Some(key), _) => format!("after any row: ({}) is unique", key.join(", ")),
            (None, why) => {
                let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                format!(
                    "between two values of ({tuple}), whose rows are read together: nothing in the catalog says that \
                     it is unique{why}"
                )
            }
        }
    }
}
