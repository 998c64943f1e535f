//! How a dialect writes SQL: the little that differs, pure, so that plans can be tested without a database.

use crate::model::{ColumnDefinition, CursorKind};

/// The differences between SQL dialects that planning needs.
pub trait SqlSyntax: Send + Sync {
    /// An identifier in quotes, embedded quotes doubled.
    fn quote(&self, identifier: &str) -> String;

    /// The placeholder of the n-th bind (from 1), cast so that it compares in the column's own type.
    /// `database_type` is the column's type as [`ColumnDefinition::database_type`] has it.
    fn placeholder(&self, n: usize, kind: CursorKind, database_type: &str) -> String;

    /// An expression's text form, for a hidden cursor column of kind `Text`.
    fn as_text(&self, expression: &str) -> String;

    /// What the SELECT list must hold in place of a column (already quoted and qualified) that the driver
    /// cannot fetch as it is; none for the plain column.
    fn project(&self, expression: &str, column: &ColumnDefinition) -> Option<String>;

    /// Whether `(a, b) > (x, y)` is understood and served by an index.
    fn has_row_values(&self) -> bool;
}

/// `"name"`, as PostgreSQL and SQLite quote.
pub(crate) fn double_quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
