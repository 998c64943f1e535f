//! The statement of a page, sent to the server, and its values: bytes in the binary form of their type.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use sqlx::postgres::{PgColumn, PgRow};
use sqlx::{Column, Row as _};

use super::super::connection::{PageSource, PlanReport};
use super::super::page::{CellError, Misfit, Page, PageDecoder, PageReader};
use super::super::problem::{Problem, hex};
use super::super::rows::Rows;
use super::super::statement::{Doing, statement};
use super::super::stream::RowStream;
use super::charset::{Charset, UNSEEN};
use super::classify::{classify, is_inconvertible};
use super::cursor::{CursorDecoder, cursor_of};
use super::decode::Decoder;
use super::session::{Notes, Session, answered};
use super::stored::{self, Stored};
use super::text::{raw, shown};
use super::wire::Wire;
use super::{bind, clock, explain, facts};
use crate::config::spec::ColumnTypes;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    ColumnDefinition, CursorColumn, CursorKind, CursorValue, PlannedQuery, Relation, TableDefinition, Value,
};
use crate::zone::Zone;

impl PageSource for Session {
    fn upper_bound<'a>(&'a mut self, kind: CursorKind, delay: Duration) -> BoxFuture<'a, Result<CursorValue<'static>>> {
        Box::pin(clock::upper_bound(self, kind, delay))
    }

    fn server_zones<'a>(&'a mut self) -> BoxFuture<'a, Result<Vec<Zone>>> {
        Box::pin(async move {
            self.begin().await?;
            let zones = facts::server_zones(self).await?;
            self.end().await?;
            Ok(zones)
        })
    }

    fn fetch<'a>(
        &'a mut self,
        definition: &'a TableDefinition,
        query: &'a PlannedQuery,
    ) -> BoxFuture<'a, Result<Box<dyn RowStream + 'a>>> {
        Box::pin(async move {
            let rows = open(self, Page { definition, query }).await?;
            Ok(Box::new(rows) as Box<dyn RowStream + 'a>)
        })
    }

    fn probe<'a>(&'a mut self, query: &'a PlannedQuery) -> BoxFuture<'a, Result<Option<CursorValue<'static>>>> {
        Box::pin(async move {
            let kind = query.cursor.first().map(|column| column.kind).unwrap_or(CursorKind::Integer);
            self.begin().await?;
            let arguments = bind::arguments(&query.binds)?;
            let call = sqlx::query_with(statement(&query.sql), arguments);
            let call = call.persistent(query.recurs && !self.pooled);
            let row = answered(&self.vigil, Doing::Page, call.fetch_optional(&mut self.connection)).await;
            let row = row.map_err(|error| self.noted(error))?;
            self.end().await?;
            match row {
                Some(row) => cursor_of(&row, kind).map_err(|error| self.noted(error)),
                None => Ok(None),
            }
        })
    }

    fn explain<'a>(&'a mut self, query: &'a PlannedQuery) -> BoxFuture<'a, Result<PlanReport>> {
        Box::pin(async move {
            let report = explain::explain(self, query).await;
            if report.is_err() && std::mem::take(&mut self.notes.open_transaction) {
                self.run("rollback").await?;
            }
            report.map_err(|error| self.noted(error))
        })
    }
}

/// The values of PostgreSQL.
struct Values<'a> {
    types: &'a ColumnTypes,
    identity: &'a str,
    notes: &'a mut Notes,
    /// The text comes as it is stored.
    stored: Option<Stored>,
}

/// Runs a page.
async fn open<'a>(session: &'a mut Session, page: Page<'a>) -> Result<Rows<'a, Values<'a>>> {
    let Page { definition, query } = page;
    session.begin().await?;
    let stored = stored::prepare(session, page).await?;
    let sql = stored.as_ref().map_or(&query.sql, |stored| &stored.sql);
    let call = sqlx::query_with(statement(sql), bind::arguments(&query.binds)?);
    let call = call.persistent(query.recurs && !session.pooled);
    // Behind a pooler a limited page is taken into memory, so that no transaction stays open while
    // its rows are handed out.
    let (call, buffered) = if session.pooled && query.limit.is_some() {
        let rows = answered(&session.vigil, Doing::Page, call.fetch_all(&mut session.connection)).await;
        let rows = rows.map_err(|error| {
            let error = inconvertible(error, &session.identity, &definition.relation);
            session.noted(error.with("table", &definition.relation))
        })?;
        session.end().await?;
        (None, rows)
    } else {
        (Some(call), Vec::new())
    };
    let Session { connection, types, notes, vigil, identity, .. } = session;
    let stream = match call {
        Some(call) => call.fetch(connection),
        None => stream::iter(buffered.into_iter().map(Ok)).boxed(),
    };
    Ok(Rows::new(stream, PageReader::new(page, Values { types, identity, notes, stored }), vigil))
}

/// A relation with text that the server cannot convert is read again, as it is stored, and says then which row it is.
fn inconvertible(error: Error, identity: &str, relation: &Relation) -> Error {
    if !is_inconvertible(&error) || !stored::remember(identity, relation) {
        return error;
    }
    tracing::info!(
        table = %relation,
        "the server cannot convert a text to UTF-8; from now on text of the table is read as it is stored and converted here"
    );
    Error::new(ErrorKind::SchemaChanged, "the server cannot convert a text to UTF-8, and does not say which")
        .caused_by(error)
}

impl Values<'_> {
    /// The characters of a column of the result, if its text comes as it is stored.
    fn charset(&self, index: usize) -> Option<&Arc<Charset>> {
        self.stored.as_ref().filter(|stored| stored.texts.get(index) == Some(&true)).map(|stored| &stored.charset)
    }
}

fn wire(row: &PgRow, index: usize) -> Option<Wire> {
    row.columns().get(index).map(|column| Wire::of_result(column.type_info()))
}

impl PageDecoder for Values<'_> {
    type Row = PgRow;
    type Cell<'r> = &'r [u8];
    type Decoder = Decoder;
    type CursorDecoder = CursorDecoder;

    #[inline]
    fn cell(row: &PgRow, index: usize) -> Result<Option<&[u8]>, CellError> {
        // The only error there is of the bytes means null.
        row.try_get_raw(index).map(|value| value.as_bytes().ok()).map_err(CellError::Driver)
    }

    fn decoder(&mut self, page: Page<'_>, column: &ColumnDefinition, found: &PgColumn) -> Option<Decoder> {
        let wire = Wire::of_result(found.type_info());
        let index = page.definition.column_index(&column.field.name);
        if let Some(charset) = index.and_then(|index| self.charset(index)) {
            return (wire == Wire::Bytea).then(|| Decoder::Stored(charset.clone()));
        }
        let types = self.types.of(&page.definition.relation, &column.field.name);
        if wire == Wire::expected(column) { Decoder::bind(wire, column, &types) } else { None }
    }

    fn cursor_decoder(&self, _: Page<'_>, column: &CursorColumn, found: &PgColumn) -> Option<CursorDecoder> {
        if let Some(charset) = self.charset(column.index) {
            return Some(CursorDecoder::Stored(charset.clone()));
        }
        CursorDecoder::bind(Wire::of_result(found.type_info()), column.kind)
    }

    #[inline]
    fn append<'r>(decoder: &Decoder, cell: &'r [u8], values: &mut Vec<Value<'r>>) -> Result<(), Problem> {
        decoder.append(cell, values)
    }

    #[inline]
    fn cursor<'r>(decoder: &CursorDecoder, cell: Self::Cell<'r>) -> Result<CursorValue<'r>, Problem> {
        decoder.decode(cell)
    }

    fn type_name(found: &PgColumn) -> String {
        found.type_info().to_string()
    }

    fn shown(&self, row: &PgRow, index: usize) -> Option<String> {
        let cell = Self::cell(row, index).ok()??;
        match self.charset(index) {
            Some(charset) => Some(charset.text(cell).map_or_else(|_| hex(cell), Cow::into_owned)),
            None => shown(wire(row, index)?, cell),
        }
    }

    fn raw(&self, row: &PgRow, index: usize) -> Option<String> {
        let cell = Self::cell(row, index).ok()??;
        match self.charset(index).map(|charset| charset.text(cell)) {
            Some(Ok(text)) => Some(text.into_owned()),
            _ => Some(raw(wire(row, index)?, cell)),
        }
    }

    fn classify(&mut self, page: Page<'_>, error: sqlx::Error) -> Error {
        inconvertible(classify(error, Doing::Page), self.identity, &page.definition.relation)
    }

    fn heed(&mut self, error: &Error) {
        self.notes.stale |= error.kind() == ErrorKind::SchemaChanged;
    }

    fn learn(&mut self, relation: &Relation, column: &str, misfit: Misfit) -> ErrorKind {
        match misfit {
            // It came after the look at the page.
            Misfit::Value(UNSEEN) | Misfit::Cursor(UNSEEN) => ErrorKind::SchemaChanged,
            Misfit::Value(_) => ErrorKind::Value,
            Misfit::Cursor(_) => ErrorKind::Cursor,
            Misfit::Null => {
                self.notes.nullable.entry(relation.clone()).or_default().insert(column.to_owned());
                ErrorKind::Value
            }
        }
    }
}
