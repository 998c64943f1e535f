//! The statement of a page, handed to the driver's thread, and its values: each carries its own storage class, because
//! in SQLite a column's type is only a hint.

use std::task::{Poll, ready};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use sqlx::sqlite::{SqliteColumn, SqliteRow};
use sqlx::{Column, Either, Executor, Row as _};

use super::super::connection::{PageSource, PlanReport};
use super::super::page::{CellError, Misfit, Page, PageDecoder, PageReader};
use super::super::problem::{Problem, hex};
use super::super::rows::Rows;
use super::super::statement::{Doing, statement};
use super::super::stream::RowStream;
use super::bind::arguments;
use super::classify::classify;
use super::cursor::cursor;
use super::decode::{Decoder, TOO_FINE, TOO_WIDE, Units};
use super::session::{Notes, Session};
use super::stored::{Stored, bytes, stored};
use super::types::Declared;
use super::{clock, explain, text};
use crate::config::spec::ColumnTypes;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    ColumnDefinition, CursorColumn, CursorKind, CursorValue, PlannedQuery, Projection, Relation, TableDefinition, Value,
};

impl PageSource for Session {
    fn upper_bound<'a>(&'a mut self, kind: CursorKind, delay: Duration) -> BoxFuture<'a, Result<CursorValue<'static>>> {
        Box::pin(clock::upper_bound(self, kind, delay))
    }

    fn fetch<'a>(
        &'a mut self,
        definition: &'a TableDefinition,
        query: &'a PlannedQuery,
    ) -> BoxFuture<'a, Result<Box<dyn RowStream + 'a>>> {
        Box::pin(async move {
            self.refresh().await?;
            let rows = open(self, Page { definition, query })?;
            Ok(Box::new(rows) as Box<dyn RowStream + 'a>)
        })
    }

    fn probe<'a>(&'a mut self, query: &'a PlannedQuery) -> BoxFuture<'a, Result<Option<CursorValue<'static>>>> {
        Box::pin(async move {
            let kind = query.cursor.first().map(|column| column.kind).unwrap_or(CursorKind::Integer);
            let rows = self.rows(&query.sql, arguments(&query.binds)?, Doing::Page).await?;
            let Some(row) = rows.first() else { return Ok(None) };
            let raw = row.try_get_raw(0).map_err(|error| classify(error, Doing::Page))?;
            let cursor = stored(raw).and_then(|stored| cursor(kind, stored));
            cursor.map(|value| Some(value.into_owned())).map_err(|problem| problem.nameless(ErrorKind::Value))
        })
    }

    fn explain<'a>(&'a mut self, query: &'a PlannedQuery) -> BoxFuture<'a, Result<PlanReport>> {
        Box::pin(explain::explain(self, query))
    }
}

/// The values of SQLite.
struct Values<'a> {
    types: &'a ColumnTypes,
    per_second: u16,
    notes: &'a mut Notes,
}

/// Runs a page.
fn open<'a>(session: &'a mut Session, page: Page<'a>) -> Result<Rows<'a, Values<'a>>> {
    let call = sqlx::query_with(statement(&page.query.sql), arguments(&page.query.binds)?).persistent(false);
    let Session { connection, types, vigil, per_second, notes, .. } = session;
    // The end of the result is a message of its own: without it, the driver's thread has died.
    let mut complete = false;
    let mut messages = connection.fetch_many(call);
    let rows = stream::poll_fn(move |context| {
        loop {
            match ready!(messages.poll_next_unpin(context)) {
                Some(Ok(Either::Right(row))) => return Poll::Ready(Some(Ok(row))),
                Some(Ok(Either::Left(_))) => complete = true,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None if complete => return Poll::Ready(None),
                None => {
                    complete = true;
                    return Poll::Ready(Some(Err(sqlx::Error::WorkerCrashed)));
                }
            }
        }
    });
    Ok(Rows::new(rows.boxed(), PageReader::new(page, Values { types, per_second: *per_second, notes }), vigil))
}

impl PageDecoder for Values<'_> {
    type Row = SqliteRow;
    type Cell<'r> = Stored<'r>;
    type Decoder = Decoder;
    type CursorDecoder = CursorKind;

    #[inline]
    fn cell(row: &SqliteRow, index: usize) -> Result<Option<Stored<'_>>, CellError> {
        let value = row.try_get_raw(index).map_err(CellError::Driver)?;
        let stored = stored(value).map_err(CellError::Value)?;
        Ok(Some(stored).filter(|stored| !matches!(stored, Stored::Null)))
    }

    fn decoder(&mut self, page: Page<'_>, column: &ColumnDefinition, _: &SqliteColumn) -> Option<Decoder> {
        let declared = Declared::parse(&column.database_type);
        let is_time = declared.is_time() && column.projection == Projection::Column;
        let units = match column.cursor {
            Some(CursorKind::JulianDay) => Units::JulianDays,
            _ => Units::Epoch(self.per_second),
        };
        let types = self.types.of(&page.definition.relation, &column.field.name);
        Some(Decoder::bind(column, is_time, units, &types))
    }

    fn cursor_decoder(&self, _: Page<'_>, column: &CursorColumn, _: &SqliteColumn) -> Option<CursorKind> {
        Some(column.kind)
    }

    #[inline]
    fn append<'r>(decoder: &Decoder, cell: Stored<'r>, values: &mut Vec<Value<'r>>) -> Result<(), Problem> {
        values.push(decoder.decode(cell)?);
        Ok(())
    }

    #[inline]
    fn cursor<'r>(kind: &CursorKind, cell: Self::Cell<'r>) -> Result<CursorValue<'r>, Problem> {
        cursor(*kind, cell)
    }

    fn type_name(found: &SqliteColumn) -> String {
        found.type_info().to_string()
    }

    fn shown(&self, row: &SqliteRow, index: usize) -> Option<String> {
        match Self::cell(row, index).ok()?? {
            Stored::Blob(_) => None,
            stored => text::of(&stored).map(|text| text.into_owned()),
        }
    }

    fn raw(&self, row: &SqliteRow, index: usize) -> Option<String> {
        match Self::cell(row, index) {
            Ok(None) => None,
            Ok(Some(Stored::Blob(bytes))) => Some(hex(bytes)),
            Ok(Some(stored)) => text::of(&stored).map(|text| text.into_owned()),
            // Text that is not UTF-8.
            Err(_) => bytes(row.try_get_raw(index).ok()?).map(hex),
        }
    }

    fn classify(&mut self, _: Page<'_>, error: sqlx::Error) -> Error {
        classify(error, Doing::Page)
    }

    fn learn(&mut self, relation: &Relation, column: &str, misfit: Misfit) -> ErrorKind {
        let columns = match misfit {
            Misfit::Value(TOO_WIDE | TOO_FINE) => &mut self.notes.wide,
            Misfit::Null => &mut self.notes.nullable,
            // Described again, the column may turn out to hold another storage class than it seemed to when empty.
            Misfit::Value(_) | Misfit::Cursor(_) => return ErrorKind::Value,
        };
        columns.entry(relation.clone()).or_default().insert(column.to_owned());
        ErrorKind::Value
    }
}
