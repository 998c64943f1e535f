//! A page's result: columns are checked and decoders bound at the first row, then every row is handed
//! to the sink from the driver's own buffer.

use futures_util::StreamExt;
use futures_util::stream;
use sqlx::postgres::PgRow;
use sqlx::{Column, Row as _};

use super::super::problem::{Problem, in_row, is_of_row, row_name};
use super::super::rows::{RowReader, Rows, recycle};
use super::super::{Doing, DriverRow, Flow, Row, RowSink, Undeliverable};
use super::classify::classify;
use super::cursor::CursorDecoder;
use super::decode::Decoder;
use super::shown::{raw, shown};
use super::types::Wire;
use super::{Notes, Session, answered, bind, statement};
use crate::config::spec::ColumnTypes;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CursorValue, PlannedQuery, RowText, TableDefinition, Value};

/// Decodes the rows of one page.
pub(super) struct Reader<'a> {
    definition: &'a TableDefinition,
    query: &'a PlannedQuery,
    types: &'a ColumnTypes,
    notes: &'a mut Notes,
    layout: Option<Layout>,
    values: Vec<Value<'static>>,
    cursor: Vec<CursorValue<'static>>,
}

/// Decoders, bound once.
struct Layout {
    columns: Vec<ColumnLayout>,
    /// Hidden columns: index in the result, place in the cursor tuple.
    hidden: Vec<(usize, usize, CursorDecoder)>,
    /// Length of the cursor tuple.
    cursor: usize,
}

struct ColumnLayout {
    decoder: Decoder,
    optional: bool,
    /// The column is also a cursor column, at this place of the tuple.
    cursor: Option<(usize, CursorDecoder)>,
}

/// Runs a page.
pub(super) async fn open<'a>(
    session: &'a mut Session,
    definition: &'a TableDefinition,
    query: &'a PlannedQuery,
) -> Result<Rows<'a, Reader<'a>>> {
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
    let reader = Reader { definition, query, types, notes, layout: None, values: Vec::new(), cursor: Vec::new() };
    Ok(Rows::new(stream, reader, vigil))
}

impl RowReader for Reader<'_> {
    type Row = PgRow;

    fn hand_out(&mut self, row: &PgRow, sink: &mut dyn RowSink) -> Result<Flow> {
        let layout = match self.layout.take() {
            Some(layout) => layout,
            None => self.bind(row).map_err(|error| error.with("table", &self.definition.relation))?,
        };
        let mut values: Vec<Value<'_>> = recycle(std::mem::take(&mut self.values));
        let mut cursor: Vec<CursorValue<'_>> = recycle(std::mem::take(&mut self.cursor));
        let outcome = match layout.decode(row, &mut values, &mut cursor) {
            Ok(()) => sink.row(Ok(Row { values: &values, cursor: &cursor, driver: &Named { reader: self, row } })),
            Err(failure) => self.offer_undecoded(failure, row, &layout, sink),
        };
        let outcome = outcome.map_err(|error| in_row(error, self.row_name(row)));
        self.values = recycle(values);
        self.cursor = recycle(cursor);
        self.layout = Some(layout);
        outcome
    }

    fn failed(&mut self, error: sqlx::Error) -> Error {
        let error = classify(error, Doing::Page).with("table", &self.definition.relation);
        self.notes.stale |= error.kind() == ErrorKind::SchemaChanged;
        error
    }

    fn located(&self, error: Error) -> Error {
        error.with("table", &self.definition.relation)
    }
}

impl Reader<'_> {
    /// Checks the result's columns against the definition and binds the decoders.
    fn bind(&mut self, row: &PgRow) -> Result<Layout> {
        let found = row.columns();
        let expected = &self.definition.columns;
        if found.len() != expected.len() + self.query.hidden {
            return Err(self.changed(format!("{} columns instead of {}", found.len(), expected.len())));
        }
        let mut columns = Vec::with_capacity(expected.len());
        for (column, found) in expected.iter().zip(found) {
            let wire = Wire::of_result(found.type_info());
            let name = &column.field.name;
            if found.name() != name || wire != Wire::expected(column) {
                return Err(self
                    .changed(format!("a column is now {} {}", found.name(), found.type_info()))
                    .with("column", name));
            }
            let decoder = Decoder::bind(wire, column, &self.types.of(&self.definition.relation, name));
            let decoder =
                decoder.ok_or_else(|| self.changed("a column has another type".to_owned()).with("column", name))?;
            columns.push(ColumnLayout { decoder, optional: column.field.optional, cursor: None });
        }
        let mut hidden = Vec::new();
        for (place, column) in self.query.cursor.iter().enumerate() {
            let wire = found.get(column.index).map_or(Wire::Other, |found| Wire::of_result(found.type_info()));
            let decoder = CursorDecoder::bind(wire, column.kind);
            let decoder = decoder.ok_or_else(|| self.changed("a cursor column has another type".to_owned()))?;
            match columns.get_mut(column.index) {
                Some(own) if own.cursor.is_none() => own.cursor = Some((place, decoder)),
                _ => hidden.push((column.index, place, decoder)),
            }
        }
        Ok(Layout { columns, hidden, cursor: self.query.cursor.len() })
    }

    fn changed(&mut self, what: String) -> Error {
        self.notes.stale = true;
        Error::new(ErrorKind::SchemaChanged, format!("the result has other columns than described: {what}"))
    }

    /// The row by its primary key, else by what it is polled by.
    fn row_name(&self, row: &PgRow) -> Option<String> {
        let key = self.definition.primary_key.iter().filter_map(|name| self.definition.column_index(name));
        let mut indexes: Vec<usize> = key.collect();
        if indexes.is_empty() {
            indexes.extend(self.query.cursor.iter().map(|column| column.index));
        }
        row_name(indexes.into_iter().filter_map(|index| {
            let column = row.columns().get(index)?;
            let bytes = row.try_get_raw(index).ok()?.as_bytes().ok();
            Some((column.name(), bytes.and_then(|bytes| shown(Wire::of_result(column.type_info()), bytes))))
        }))
    }

    /// Offers a row that cannot be decoded, if its cursor can be read.
    #[cold]
    fn offer_undecoded(
        &mut self,
        failure: Failure,
        row: &PgRow,
        layout: &Layout,
        sink: &mut dyn RowSink,
    ) -> Result<Flow> {
        let error = self.undecoded(failure).with("table", &self.definition.relation);
        let mut cursor = Vec::new();
        if !is_of_row(&error) || layout.decode_cursor(row, &mut cursor).is_err() {
            return Err(error);
        }
        let driver = Named { reader: self, row };
        sink.row(Err(Undeliverable { error: in_row(error, driver.name()), cursor: &cursor, driver: &driver }))
    }

    fn row_text(&self, row: &PgRow) -> RowText {
        let text = |index: usize| {
            let value = row.try_get_raw(index).ok()?;
            let bytes = value.as_bytes().ok()?;
            Some(raw(Wire::of_result(row.columns().get(index)?.type_info()), bytes))
        };
        let columns = self.definition.columns.iter().enumerate();
        columns.map(|(index, column)| (column.field.name.clone(), text(index))).collect()
    }

    fn undecoded(&mut self, failure: Failure) -> Error {
        let name = |index: usize| self.definition.columns.get(index).map_or("", |column| column.field.name.as_str());
        let relation = &self.definition.relation;
        match failure {
            Failure::Driver(error) => classify(error, Doing::Page),
            Failure::Value(index, problem) => problem.error(ErrorKind::Value, relation, name(index)),
            Failure::Cursor(index, problem) => problem.error(ErrorKind::Cursor, relation, name(index)),
            Failure::Null(index) => {
                let column = name(index).to_owned();
                let known = self.notes.nullable.entry(self.definition.relation.clone()).or_default();
                known.insert(column.clone());
                Error::new(ErrorKind::Value, "a null in a column that its table declares NOT NULL")
                    .with("column", column)
            }
        }
    }
}

/// A row of a reader, for messages.
struct Named<'a> {
    reader: &'a Reader<'a>,
    row: &'a PgRow,
}

impl DriverRow for Named<'_> {
    fn name(&self) -> Option<String> {
        self.reader.row_name(self.row)
    }

    fn text(&self) -> RowText {
        self.reader.row_text(self.row)
    }
}

enum Failure {
    Driver(sqlx::Error),
    Value(usize, Problem),
    Cursor(usize, Problem),
    Null(usize),
}

impl Layout {
    #[inline]
    fn decode<'r>(
        &self,
        row: &'r PgRow,
        values: &mut Vec<Value<'r>>,
        cursor: &mut Vec<CursorValue<'r>>,
    ) -> std::result::Result<(), Failure> {
        cursor.resize(self.cursor, CursorValue::Null);
        for (index, column) in self.columns.iter().enumerate() {
            let raw = row.try_get_raw(index).map_err(Failure::Driver)?;
            // The only error there is means null.
            let Ok(bytes) = raw.as_bytes() else {
                if !column.optional {
                    return Err(Failure::Null(index));
                }
                values.push(Value::Null);
                continue;
            };
            column.decoder.append(bytes, values).map_err(|problem| Failure::Value(index, problem))?;
            if let Some((place, decoder)) = column.cursor {
                cursor[place] = decoder.decode(bytes).map_err(|problem| Failure::Cursor(index, problem))?;
            }
        }
        decode_cursor_at(self.hidden.iter().copied(), row, cursor)
    }

    /// The cursor alone.
    fn decode_cursor<'r>(&self, row: &'r PgRow, cursor: &mut Vec<CursorValue<'r>>) -> std::result::Result<(), Failure> {
        cursor.resize(self.cursor, CursorValue::Null);
        let own = self.columns.iter().enumerate();
        let own = own.filter_map(|(index, column)| column.cursor.map(|(place, decoder)| (index, place, decoder)));
        decode_cursor_at(own.chain(self.hidden.iter().copied()), row, cursor)
    }
}

#[inline]
fn decode_cursor_at<'r>(
    places: impl Iterator<Item = (usize, usize, CursorDecoder)>,
    row: &'r PgRow,
    cursor: &mut [CursorValue<'r>],
) -> std::result::Result<(), Failure> {
    for (index, place, decoder) in places {
        let raw = row.try_get_raw(index).map_err(Failure::Driver)?;
        if let Ok(bytes) = raw.as_bytes() {
            cursor[place] = decoder.decode(bytes).map_err(|problem| Failure::Cursor(index, problem))?;
        }
    }
    Ok(())
}
