//! Rows on their way from a driver to the encoder: an open result ([`RowStream`]) offers each row once to a [`RowSink`],
//! decoded or with the error that says why not. Values and cursors are borrowed from the driver's row: nothing is
//! allocated per row, and nothing awaits inside the row loop (P9).

use futures_util::future::BoxFuture;

use super::problem::in_row;
use crate::error::{Error, Result};
use crate::model::{CursorValue, RowText, Value};

/// The open result of a page.
pub trait RowStream: Send {
    /// Hands rows to the sink until it pauses, the result ends, or an error.
    fn next_rows<'s>(&'s mut self, sink: &'s mut dyn RowSink) -> BoxFuture<'s, Result<StreamEnd>>;
}

/// The receiver of rows. Each row is offered once, in the order of the result.
pub trait RowSink: Send {
    /// One row. A sink that cannot use it says so by an error, which ends the stream, or does without it.
    ///
    /// # Errors
    /// Those of the sink, and that of an [`Undeliverable`] row it does not go on without.
    fn row(&mut self, row: Result<Row<'_>, Undeliverable<'_>>) -> Result<Flow>;
}

/// A decoded row.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// The definition's columns, in order.
    pub values: &'a [Value<'a>],
    /// The query's cursor columns, in order.
    pub cursor: &'a [CursorValue<'a>],
    /// The same row as the driver holds it.
    pub driver: &'a dyn DriverRow,
}

impl<'a> Row<'a> {
    /// The row once its values could not be used; the error says which row it is.
    #[cold]
    pub fn undeliverable(self, error: Error) -> Undeliverable<'a> {
        Undeliverable { error: in_row(error, self.driver.name()), cursor: self.cursor, driver: self.driver }
    }
}

/// A row with a value that cannot be decoded or encoded, but with a cursor that can be read, so that reading may go on
/// behind it.
pub struct Undeliverable<'a> {
    /// The reason, with the row's key.
    pub error: Error,
    /// The query's cursor columns, in order.
    pub cursor: &'a [CursorValue<'a>],
    /// The row as the driver holds it.
    pub driver: &'a dyn DriverRow,
}

impl From<Undeliverable<'_>> for Error {
    fn from(row: Undeliverable<'_>) -> Self {
        row.error
    }
}

/// A driver's row in words, for messages and dead letters. Costs nothing until it is asked.
pub trait DriverRow {
    /// The columns of its key with their values, `id=17, part=x`; none if it has no key.
    fn name(&self) -> Option<String>;

    /// The text of each column of the definition, as the database gave it.
    fn text(&self) -> RowText;
}

/// The wish of a sink after a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// The sink wants more rows.
    Continue,
    /// No more for now; the stream stays open.
    Pause,
}

/// The reason a stream stopped handing out rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// The result has ended.
    Exhausted,
    /// The sink paused.
    Paused,
}
