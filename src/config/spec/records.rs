//! The records of a table beside key and value: deletes by flag, partitions, timestamps, and headers about their source.

/// Deletes by flag (`delete.mode=soft`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteSpec {
    /// The column of `delete.column`.
    pub column: String,
    /// The value that deleted rows have there; none: true, or any time.
    pub value: Option<String>,
    /// `delete.emit=both`: the last state of the row, then its tombstone.
    pub with_row: bool,
}

/// `partition.by`: the choice of a record's partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionBy {
    /// The record key, as Java's producer does it.
    Key,
    /// These columns of the row.
    Columns(Vec<String>),
    /// The table: all its records are in one.
    Table,
}

impl PartitionBy {
    /// The choice of a text: `key`, `table`, or `columns:` and columns, each once.
    pub fn of(text: &str) -> Option<Self> {
        let (word, columns) = match text.split_once(':') {
            Some((word, columns)) => (word.trim(), Some(columns)),
            None => (text.trim(), None),
        };
        let is = |name: &str| word.eq_ignore_ascii_case(name);
        match columns {
            None if is("key") => Some(Self::Key),
            None if is("table") => Some(Self::Table),
            Some(columns) if is("columns") => {
                let names: Vec<String> = columns.split(',').map(|name| name.trim().to_owned()).collect();
                let is_set = names.iter().enumerate().all(|(at, name)| !name.is_empty() && !names[..at].contains(name));
                is_set.then_some(Self::Columns(names))
            }
            _ => None,
        }
    }
}

/// `record.timestamp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordTime {
    /// The producer's clock when the record is sent.
    Now,
    /// The row's timestamp column.
    Column,
    /// The commit of the transaction that wrote the row.
    Commit,
}

/// A header about the source of a record (`headers.include`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceHeader {
    /// The database, or catalog.
    Database,
    /// The schema, where the database has any.
    Schema,
    /// The table; none of a query.
    Table,
    /// The mode.
    Mode,
    /// The level of the late-commit guard.
    Guard,
    /// The poll that has read the row: the same in all its records, and greater in later polls of the table.
    Poll,
    /// The identity of the server.
    Server,
}

impl SourceHeader {
    /// All of them, each with its word in `headers.include` and its header's name.
    pub const ALL: &[(Self, &'static str, &'static str)] = &[
        (Self::Database, "database", "rowtide.database"),
        (Self::Schema, "schema", "rowtide.schema"),
        (Self::Table, "table", "rowtide.table"),
        (Self::Mode, "mode", "rowtide.mode"),
        (Self::Guard, "guard", "rowtide.guard"),
        (Self::Poll, "poll", "rowtide.poll"),
        (Self::Server, "server", "rowtide.server"),
    ];
}
