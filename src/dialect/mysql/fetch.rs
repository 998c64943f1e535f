//! The statement of a page, sent to the server, and its values: bytes in the binary form of their type.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use sqlx::mysql::{MySqlColumn, MySqlRow};
use sqlx::{Column, Executor, Row as _};

use super::super::connection::{PageSource, PlanReport};
use super::super::page::{CellError, Misfit, Page, PageDecoder, PageReader};
use super::super::problem::Problem;
use super::super::rows::Rows;
use super::super::statement::{Doing, statement};
use super::super::stream::RowStream;
use super::classify::classify;
use super::cursor::{CursorDecoder, NO_ORDER, cursor_of};
use super::decode::{Decoder, TOO_WIDE};
use super::session::{Notes, Session, answered, bytes};
use super::text::{raw, shown};
use super::types::ColumnType;
use super::wire::Wire;
use super::{bind, clock, explain};
use crate::config::spec::ColumnTypes;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    ColumnDefinition, CursorColumn, CursorKind, CursorValue, PlannedQuery, Projection, Relation, TableDefinition, Value,
};
use crate::zone::Zone;

impl PageSource for Session {
    fn upper_bound<'a>(&'a mut self, kind: CursorKind, delay: Duration) -> BoxFuture<'a, Result<CursorValue<'static>>> {
        Box::pin(clock::upper_bound(self, kind, delay))
    }

    fn wall_zone(&self) -> Option<Zone> {
        Some(self.zone.zone)
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
            self.tidy().await?;
            let call = sqlx::query_with(statement(&query.sql), bind::arguments(&query.binds)?).persistent(query.recurs);
            let row = answered(&self.vigil, Doing::Page, call.fetch_optional(&mut self.connection)).await;
            match row.map_err(|error| self.noted(error))? {
                Some(row) => cursor_of(&row, kind).map_err(|error| self.noted(error)),
                None => Ok(None),
            }
        })
    }

    fn explain<'a>(&'a mut self, query: &'a PlannedQuery) -> BoxFuture<'a, Result<PlanReport>> {
        Box::pin(async move { explain::explain(self, query).await.map_err(|error| self.noted(error)) })
    }
}

/// The values of the family.
struct Values<'a> {
    types: &'a ColumnTypes,
    /// The zone in which the session shows instants.
    session: Zone,
    notes: &'a mut Notes,
}

/// Runs a page.
async fn open<'a>(session: &'a mut Session, page: Page<'a>) -> Result<Rows<'a, Values<'a>>> {
    let Page { definition, query } = page;
    session.begin(&definition.relation).await?;
    let call = sqlx::query_with(statement(&query.sql), bind::arguments(&query.binds)?).persistent(query.recurs);
    let Session { connection, types, zone, notes, vigil, .. } = session;
    let stream = connection.fetch(call).boxed();
    let values = Values { types, session: if zone.is_utc { Zone::UTC } else { zone.zone }, notes };
    Ok(Rows::new(stream, PageReader::new(page, values), vigil))
}

/// The type of a column by its description.
fn described(column: &ColumnDefinition) -> ColumnType {
    match column.projection {
        Projection::Column | Projection::CommitTime => ColumnType::of_catalog(&column.database_type),
        Projection::Bytes => ColumnType::of_catalog("longblob"),
        Projection::Text | Projection::Double | Projection::Numeric => ColumnType::of_catalog("longtext"),
    }
}

/// True for a query, whose columns may have other types than described: an expression has the type of its present
/// values.
fn is_query(page: Page<'_>) -> bool {
    matches!(page.definition.relation, Relation::Query(_))
}

fn column_type(row: &MySqlRow, index: usize) -> Option<ColumnType> {
    row.columns().get(index).map(|column| ColumnType::of_result(column.type_info()))
}

impl PageDecoder for Values<'_> {
    type Row = MySqlRow;
    type Cell<'r> = &'r [u8];
    type Decoder = Decoder;
    type CursorDecoder = CursorDecoder;

    #[inline]
    fn cell(row: &MySqlRow, index: usize) -> Result<Option<&[u8]>, CellError> {
        bytes(row, index).map_err(CellError::Driver)
    }

    fn decoder(&mut self, page: Page<'_>, column: &ColumnDefinition, found: &MySqlColumn) -> Option<Decoder> {
        let (of_table, of_result) = (described(column), ColumnType::of_result(found.type_info()));
        let is_other = is_query(page) && !of_result.reads_as(&of_table) && of_result.stands_for(&of_table);
        let is_bytes = is_query(page) && of_result.is_text_of_bytes(&of_table);
        if !is_other && !is_bytes && !of_result.reads_as(&of_table) {
            if let Some(variables) = self.notes.variables.get_mut(&page.definition.relation) {
                variables.disputed = Some(column.field.name.clone());
            }
            return None;
        }
        let types = self.types.of(&page.definition.relation, &column.field.name);
        let decoder = Decoder::bind(&of_table, &column.field, &types, self.session)?;
        if is_other { decoder.of_integer(&of_result, &column.field) } else { Some(decoder) }
    }

    fn cursor_decoder(&self, page: Page<'_>, column: &CursorColumn, found: &MySqlColumn) -> Option<CursorDecoder> {
        let described = page.definition.columns.get(column.index).map(described);
        let described = described.filter(|of| !is_query(page) || of.wire() == Wire::Bytes);
        CursorDecoder::bind(&described.unwrap_or_else(|| ColumnType::of_result(found.type_info())), column.kind)
    }

    #[inline]
    fn append<'r>(decoder: &Decoder, cell: &'r [u8], values: &mut Vec<Value<'r>>) -> Result<(), Problem> {
        values.push(decoder.decode(cell)?);
        Ok(())
    }

    #[inline]
    fn cursor<'r>(decoder: &CursorDecoder, cell: Self::Cell<'r>) -> Result<CursorValue<'r>, Problem> {
        decoder.decode(cell)
    }

    fn type_name(found: &MySqlColumn) -> String {
        ColumnType::of_result(found.type_info()).name.to_string()
    }

    fn shown(&self, row: &MySqlRow, index: usize) -> Option<String> {
        shown(&column_type(row, index)?, bytes(row, index).ok()??)
    }

    fn raw(&self, row: &MySqlRow, index: usize) -> Option<String> {
        Some(raw(&column_type(row, index)?, bytes(row, index).ok()??))
    }

    fn classify(&mut self, _: Page<'_>, error: sqlx::Error) -> Error {
        classify(error, Doing::Page)
    }

    fn heed(&mut self, error: &Error) {
        self.notes.learn(error);
    }

    fn learn(&mut self, relation: &Relation, column: &str, misfit: Misfit) -> ErrorKind {
        let (columns, kind) = match misfit {
            Misfit::Value(TOO_WIDE) => (&mut self.notes.exceeding, ErrorKind::Value),
            Misfit::Null => (&mut self.notes.nullable, ErrorKind::Value),
            // Without a name it is of a hidden column, as several timestamp columns are.
            Misfit::Cursor(NO_ORDER) => (&mut self.notes.broken_dates, ErrorKind::SchemaChanged),
            Misfit::Value(_) => return ErrorKind::Value,
            Misfit::Cursor(_) => return ErrorKind::Cursor,
        };
        columns.entry(relation.clone()).or_default().insert(column.to_owned());
        kind
    }
}
