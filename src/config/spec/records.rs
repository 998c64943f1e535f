//! The records of a table beside key and value: deletes by flag and timestamps.

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

/// `record.timestamp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordTime {
    /// The producer's clock when the record is sent.
    Now,
    /// The row's timestamp column.
    Column,
}
