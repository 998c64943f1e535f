//! The one place where text becomes a statement. It is made of quoted names and placeholders, or is the user's own query;
//! values are bound. No other file of the dialects names sqlx's `AssertSqlSafe`.

use sqlx::AssertSqlSafe;

/// The number of prepared statements that a session keeps: one or two a table. Of more tables than that each poll
/// prepares anew.
pub(super) const STATEMENTS_KEPT: usize = 1_000;

/// A statement whose text holds no value.
pub(super) fn statement(sql: impl Into<String>) -> AssertSqlSafe<String> {
    AssertSqlSafe(sql.into())
}

/// The purpose of a statement, for its errors: a missing column means another thing to a page than to a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Connect,
    Describe,
    Page,
}
