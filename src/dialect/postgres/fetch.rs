//! The statement of a page, sent to the server, and its values: bytes in the binary form of their type.

use futures_util::{StreamExt, stream};
use sqlx::postgres::{PgColumn, PgRow};
use sqlx::{Column, Row as _};

use super::super::Doing;
use super::super::page::{CellError, Misfit, Page, PageDecoder, PageReader};
use super::super::problem::Problem;
use super::super::rows::Rows;
use super::classify::classify;
use super::cursor::CursorDecoder;
use super::decode::Decoder;
use super::shown::{raw, shown};
use super::types::Wire;
use super::{Notes, Session, answered, bind, statement};
use crate::config::spec::ColumnTypes;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ColumnDefinition, CursorColumn, CursorValue, Relation, Value};

/// The values of PostgreSQL.
pub(super) struct Values<'a> {
    types: &'a ColumnTypes,
    notes: &'a mut Notes,
}

/// Runs a page.
pub(super) async fn open<'a>(session: &'a mut Session, page: Page<'a>) -> Result<Rows<'a, Values<'a>>> {
    let Page { definition, query } = page;
    session.begin().await?;
    let call = sqlx::query_with(statement(&query.sql), bind::arguments(&query.binds)?);
    let call = call.persistent(query.recurs && !session.pooled);
    // Behind a pooler a limited page is taken into memory, so that no transaction stays open while
    // its rows are handed out.
    let (call, buffered) = if session.pooled && query.limit.is_some() {
        let rows = answered(&session.vigil, Doing::Page, call.fetch_all(&mut session.connection)).await;
        let rows = rows.map_err(|error| session.noted(error.with("table", &definition.relation)))?;
        session.end().await?;
        (None, rows)
    } else {
        (Some(call), Vec::new())
    };
    let Session { connection, types, notes, vigil, .. } = session;
    let stream = match call {
        Some(call) => call.fetch(connection),
        None => stream::iter(buffered.into_iter().map(Ok)).boxed(),
    };
    Ok(Rows::new(stream, PageReader::new(page, Values { types, notes }), vigil))
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

    fn decoder(&self, page: Page<'_>, column: &ColumnDefinition, found: &PgColumn) -> Option<Decoder> {
        let wire = Wire::of_result(found.type_info());
        let types = self.types.of(&page.definition.relation, &column.field.name);
        if wire == Wire::expected(column) { Decoder::bind(wire, column, &types) } else { None }
    }

    fn cursor_decoder(&self, _: Page<'_>, column: &CursorColumn, found: &PgColumn) -> Option<CursorDecoder> {
        CursorDecoder::bind(Wire::of_result(found.type_info()), column.kind)
    }

    #[inline]
    fn append<'r>(decoder: &Decoder, cell: &'r [u8], values: &mut Vec<Value<'r>>) -> Result<(), Problem> {
        decoder.append(cell, values)
    }

    #[inline]
    fn cursor(decoder: CursorDecoder, cell: Self::Cell<'_>) -> Result<CursorValue<'_>, Problem> {
        decoder.decode(cell)
    }

    fn type_name(found: &PgColumn) -> String {
        found.type_info().to_string()
    }

    fn shown(row: &PgRow, index: usize) -> Option<String> {
        shown(wire(row, index)?, Self::cell(row, index).ok()??)
    }

    fn raw(row: &PgRow, index: usize) -> Option<String> {
        Some(raw(wire(row, index)?, Self::cell(row, index).ok()??))
    }

    fn classify(error: sqlx::Error) -> Error {
        classify(error, Doing::Page)
    }

    fn heed(&mut self, error: &Error) {
        self.notes.stale |= error.kind() == ErrorKind::SchemaChanged;
    }

    fn learn(&mut self, relation: &Relation, column: &str, misfit: Misfit) -> ErrorKind {
        match misfit {
            Misfit::Value(_) => ErrorKind::Value,
            Misfit::Cursor(_) => ErrorKind::Cursor,
            Misfit::Null => {
                self.notes.nullable.entry(relation.clone()).or_default().insert(column.to_owned());
                ErrorKind::Value
            }
        }
    }
}
