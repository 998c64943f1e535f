//! The table that a position belongs to: its identity, and rows by which it is known again. A table of the same name
//! that was truncated, or dropped and created, is another one, in which the position means nothing.

use super::{CursorValue, Hash, Position, Value};

/// The identity of a table as it is at one moment. All of it is opaque text that is only compared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Incarnation {
    /// The storage of its rows: another one after TRUNCATE, after DROP and CREATE, and after every rewrite of the
    /// table.
    pub storage: String,
    /// The part that changes together with `storage` unless that was a TRUNCATE; none where nothing tells the two apart.
    pub made: Option<String>,
    /// The source of its ids: another one once they begin anew, or its settings have changed.
    pub counter: Option<String>,
    /// The last id handed out.
    pub last_id: Option<i64>,
}

impl Incarnation {
    /// True if something has changed since `before` that changes when a table begins anew, though not only then.
    pub fn differs_from(&self, before: &Self) -> bool {
        self.storage != before.storage || self.counter != before.counter || self.has_fewer_ids_than(before)
    }

    /// True if fewer ids have been handed out than before.
    pub fn has_fewer_ids_than(&self, before: &Self) -> bool {
        matches!((self.last_id, before.last_id), (Some(now), Some(before)) if now < before)
    }

    /// True if only a TRUNCATE that also restarts the ids explains what has changed since `before`.
    pub fn is_truncated_since(&self, before: &Self) -> bool {
        self.storage != before.storage
            && self.made.is_some()
            && self.made == before.made
            && (self.counter.is_none() || self.counter != before.counter)
    }

    /// True if its ids are certain to go on from where they were.
    pub fn counts_on_from(&self, before: &Self) -> bool {
        self.counter.is_some() && self.counter == before.counter && !self.has_fewer_ids_than(before)
    }
}

/// A row that was read, remembered to know its table again.
#[derive(Debug, Clone, PartialEq)]
pub struct Landmark {
    /// Its cursor.
    pub at: Position,
    /// The number of rows of the table that had been read with it.
    pub read: u64,
    /// Hashes of the names of its columns, those of the cursor left out, and of their values.
    pub columns: Vec<(u32, u32)>,
}

/// The mark of a table that is remembered beside its offset.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TableMark {
    /// The table that was read.
    pub incarnation: Incarnation,
    /// Rows of it.
    pub landmarks: Vec<Landmark>,
}

/// A row of a batch, noted while it goes by.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The number of records of its batch with it.
    pub records: usize,
    /// Its cursor.
    pub cursor: Vec<CursorValue<'static>>,
    /// Hashes of its values, in the order of the columns.
    pub values: Vec<u32>,
}

impl Sample {
    /// The number of columns of a row that are looked at.
    pub const COLUMNS: usize = 32;

    /// The sample of a row.
    pub fn of(records: usize, values: &[Value<'_>], cursor: &[CursorValue<'_>]) -> Self {
        Self {
            records,
            cursor: cursor.iter().map(|value| value.clone().into_owned()).collect(),
            values: values.iter().take(Self::COLUMNS).map(Hash::of_value).collect(),
        }
    }
}

/// The origins of the transactions that a server has executed, which prove that two servers belong to one replication cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lineage {
    /// The servers of the transactions, each as the database names it, sorted; or the last transaction of each.
    pub sources: Vec<String>,
    /// The server's own name there; not remembered.
    pub own: Option<String>,
}

/// A server that offsets belong to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Server {
    /// Its identity.
    pub identity: String,
    /// The lineage by which other servers of its replication cluster are recognised; empty unless
    /// `server.identity=cluster`.
    pub lineage: Lineage,
}

impl Server {
    /// One that is recognised by its identity alone.
    pub fn host(identity: impl Into<String>) -> Self {
        Self { identity: identity.into(), lineage: Lineage::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(storage: &str, made: Option<&str>, counter: Option<&str>, last_id: Option<i64>) -> Incarnation {
        Incarnation {
            storage: storage.into(),
            made: made.map(str::to_owned),
            counter: counter.map(str::to_owned),
            last_id,
        }
    }

    #[test]
    fn a_truncate_is_certain_only_where_something_else_would_have_changed_too() {
        // MySQL with the right to see table ids: an OPTIMIZE changes the time the table was made.
        let before = of("1068", Some("16:38:21"), None, Some(10));
        assert!(of("1069", Some("16:38:21"), None, Some(20)).is_truncated_since(&before));
        assert!(!of("1069", Some("16:38:25"), None, Some(20)).is_truncated_since(&before));
        // PostgreSQL: the sequence gets another file, which it does with its type as well.
        let before = of("9:1", Some("9 int4"), Some("8:1"), Some(10));
        assert!(of("9:2", Some("9 int4"), Some("8:2"), Some(20)).is_truncated_since(&before));
        assert!(!of("9:2", Some("9 int8"), Some("8:2"), Some(20)).is_truncated_since(&before));
        assert!(!of("9:2", Some("9 int4"), Some("8:1"), Some(20)).is_truncated_since(&before), "VACUUM FULL");
        assert!(of("9:2", Some("9 int4"), Some("8:1"), Some(20)).counts_on_from(&before));
        assert!(!of("1", None, None, None).is_truncated_since(&of("2", None, None, None)));
    }

    #[test]
    fn fewer_ids_than_before_are_a_difference_and_more_are_none() {
        let before = of("1", None, None, Some(10));
        assert!(of("1", None, None, Some(9)).differs_from(&before));
        assert!(!of("1", None, None, Some(11)).differs_from(&before));
        assert!(!of("1", None, None, None).differs_from(&before), "it may not be seen any more");
    }
}
