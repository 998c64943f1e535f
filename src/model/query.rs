//! A planned page: SQL with its binds, and the place of the cursor in its result. Made by `plan`, run by a dialect.

use super::cursor::{CursorKind, CursorValue};

/// One value bound to a placeholder, in order of the placeholders.
#[derive(Debug, Clone, PartialEq)]
pub struct Bind {
    /// The value.
    pub value: CursorValue<'static>,
    /// The kind of the column it is compared with.
    pub kind: CursorKind,
}

/// A cursor column in the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CursorColumn {
    /// Its index in the result: one of the relation's own columns, or one of the hidden ones after them.
    pub index: usize,
    /// The kind of cursor it is read as.
    pub kind: CursorKind,
}

/// One statement to read a page (or, without a limit, everything).
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedQuery {
    /// The statement.
    pub sql: String,
    /// The values to bind.
    pub binds: Vec<Bind>,
    /// The cursor tuple, in order; empty for a relation read in no order.
    pub cursor: Vec<CursorColumn>,
    /// The number of columns at the end of the result that are not the relation's own.
    pub hidden: usize,
    /// The row limit in the statement; none if it has none.
    pub limit: Option<usize>,
    /// True if the same text comes again and again, so that it is worth being kept prepared.
    pub recurs: bool,
}
