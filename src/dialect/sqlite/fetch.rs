//! A page's result: names are checked and decoders bound at the first row; every value is checked
//! against its field, because in SQLite a column's type is only a hint.

use std::task::{Poll, ready};

use futures_util::{StreamExt, stream};
use sqlx::sqlite::SqliteRow;
use sqlx::{Column, Either, Executor, Row as _};

use super::super::problem::{Problem, hex, in_row, is_of_row, row_name};
use super::super::rows::{RowReader, Rows, recycle};
use super::super::{Doing, DriverRow, Flow, Row, RowSink, Undeliverable};
use super::classify::classify;
use super::decode::{self, Decoder, Stored, TOO_FINE, TOO_WIDE, Units};
use super::text;
use super::types::Declared;
use super::{Notes, Session, arguments, statement};
use crate::config::spec::ColumnTypes;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CursorKind, CursorValue, PlannedQuery, Projection, RowText, TableDefinition, Value};

/// Decodes the rows of one page.
pub(super) struct Reader<'a> {
    definition: &'a TableDefinition,
    query: &'a PlannedQuery,
    types: &'a ColumnTypes,
    per_second: u16,
    notes: &'a mut Notes,
    /// Empty until the first row.
    decoders: Vec<Decoder>,
    values: Vec<Value<'static>>,
    cursor: Vec<CursorValue<'static>>,
}

/// Runs a page.
pub(super) fn open<'a>(
    session: &'a mut Session,
    definition: &'a TableDefinition,
    query: &'a PlannedQuery,
) -> Result<Rows<'a, Reader<'a>>> {
    let call = sqlx::query_with(statement(&query.sql), arguments(&query.binds)?).persistent(false);
    let Session { connection, types, vigil, per_second, notes, .. } = session;
    let reader = Reader {
        definition,
        query,
        types,
        per_second: *per_second,
        notes,
        decoders: Vec::new(),
        values: Vec::new(),
        cursor: Vec::new(),
    };
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
    Ok(Rows::new(rows.boxed(), reader, vigil))
}

impl RowReader for Reader<'_> {
    type Row = SqliteRow;

    fn hand_out(&mut self, row: &SqliteRow, sink: &mut dyn RowSink) -> Result<Flow> {
        if self.decoders.is_empty() {
            self.bind(row).map_err(|error| error.with("table", &self.definition.relation))?;
        }
        let mut values: Vec<Value<'_>> = recycle(std::mem::take(&mut self.values));
        let mut cursor: Vec<CursorValue<'_>> = recycle(std::mem::take(&mut self.cursor));
        let outcome = match self.decode(row, &mut values, &mut cursor) {
            Ok(()) => sink.row(Ok(Row { values: &values, cursor: &cursor, driver: &Named { reader: self, row } })),
            Err(failure) => self.offer_undecoded(failure, row, sink),
        };
        let outcome = outcome.map_err(|error| in_row(error, self.row_name(row)));
        self.values = recycle(values);
        self.cursor = recycle(cursor);
        outcome
    }

    fn failed(&mut self, error: sqlx::Error) -> Error {
        classify(error, Doing::Page).with("table", &self.definition.relation)
    }

    fn located(&self, error: Error) -> Error {
        error.with("table", &self.definition.relation)
    }
}

/// A row of a reader, for messages.
struct Named<'a> {
    reader: &'a Reader<'a>,
    row: &'a SqliteRow,
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

impl Reader<'_> {
    fn bind(&mut self, row: &SqliteRow) -> Result<()> {
        let found = row.columns();
        let expected = &self.definition.columns;
        let same_names = expected.iter().zip(found).all(|(column, found)| column.field.name == found.name());
        let fits = found.len() == expected.len() + self.query.hidden
            && self.query.cursor.iter().all(|column| column.index < found.len());
        if !same_names || !fits {
            return Err(Error::new(ErrorKind::SchemaChanged, "the result has other columns than described"));
        }
        for column in expected {
            let declared = Declared::parse(&column.database_type);
            let is_time = declared.is_time() && column.projection == Projection::Column;
            let units = match column.cursor {
                Some(CursorKind::JulianDay) => Units::JulianDays,
                _ => Units::Epoch(self.per_second),
            };
            let types = self.types.of(&self.definition.relation, &column.field.name);
            self.decoders.push(Decoder::bind(column, is_time, units, &types));
        }
        Ok(())
    }

    fn decode<'r>(
        &self,
        row: &'r SqliteRow,
        values: &mut Vec<Value<'r>>,
        cursor: &mut Vec<CursorValue<'r>>,
    ) -> std::result::Result<(), Failure> {
        for (index, (decoder, column)) in self.decoders.iter().zip(&self.definition.columns).enumerate() {
            let raw = row.try_get_raw(index).map_err(Failure::Driver)?;
            let stored = decode::stored(raw).map_err(|problem| Failure::Value(index, problem))?;
            if matches!(stored, Stored::Null) && !column.field.optional {
                return Err(Failure::Null(index));
            }
            values.push(decoder.decode(stored).map_err(|problem| Failure::Value(index, problem))?);
        }
        self.decode_cursor(row, cursor)
    }

    fn decode_cursor<'r>(
        &self,
        row: &'r SqliteRow,
        cursor: &mut Vec<CursorValue<'r>>,
    ) -> std::result::Result<(), Failure> {
        for column in &self.query.cursor {
            let raw = row.try_get_raw(column.index).map_err(Failure::Driver)?;
            let stored = decode::stored(raw).map_err(|problem| Failure::Cursor(column.index, problem))?;
            let value = decode::cursor(column.kind, stored);
            cursor.push(value.map_err(|problem| Failure::Cursor(column.index, problem))?);
        }
        Ok(())
    }

    /// Offers a row that cannot be decoded, if its cursor can be read.
    #[cold]
    fn offer_undecoded(&mut self, failure: Failure, row: &SqliteRow, sink: &mut dyn RowSink) -> Result<Flow> {
        let error = self.undecoded(failure).with("table", &self.definition.relation);
        let mut cursor = Vec::new();
        if !is_of_row(&error) || self.decode_cursor(row, &mut cursor).is_err() {
            return Err(error);
        }
        let driver = Named { reader: self, row };
        sink.row(Err(Undeliverable { error: in_row(error, driver.name()), cursor: &cursor, driver: &driver }))
    }

    fn row_text(&self, row: &SqliteRow) -> RowText {
        let text = |index: usize| match decode::stored(row.try_get_raw(index).ok()?) {
            Ok(Stored::Null) => None,
            Ok(Stored::Blob(bytes)) => Some(hex(bytes)),
            Ok(stored) => Some(text::of(&stored)?.into_owned()),
            // Text that is none.
            Err(_) => decode::bytes(row.try_get_raw(index).ok()?).map(hex),
        };
        let columns = self.definition.columns.iter().enumerate();
        columns.map(|(index, column)| (column.field.name.clone(), text(index))).collect()
    }

    /// The row by its primary key, else by what it is polled by.
    fn row_name(&self, row: &SqliteRow) -> Option<String> {
        let key = self.definition.primary_key.iter().filter_map(|name| self.definition.column_index(name));
        let mut indexes: Vec<usize> = key.collect();
        if indexes.is_empty() {
            indexes.extend(self.query.cursor.iter().map(|column| column.index));
        }
        row_name(indexes.into_iter().filter_map(|index| {
            let stored = decode::stored(row.try_get_raw(index).ok()?).ok()?;
            let shown = Some(stored).filter(|stored| !matches!(stored, Stored::Blob(_)));
            Some((row.columns().get(index)?.name(), shown.and_then(|stored| Some(text::of(&stored)?.into_owned()))))
        }))
    }

    fn undecoded(&mut self, failure: Failure) -> Error {
        let name = |index: usize| self.definition.columns.get(index).map_or("", |column| column.field.name.as_str());
        let relation = || self.definition.relation.clone();
        match failure {
            Failure::Driver(error) => classify(error, Doing::Page),
            Failure::Value(index, problem) => {
                let column = name(index).to_owned();
                let error = problem.error(ErrorKind::Value, &relation(), &column);
                if problem == TOO_WIDE || problem == TOO_FINE {
                    self.notes.wide.entry(relation()).or_default().insert(column);
                }
                error
            }
            // Described again, the column may turn out to hold another storage class than it seemed to when empty.
            Failure::Cursor(index, problem) => problem.error(ErrorKind::Value, &relation(), name(index)),
            Failure::Null(index) => {
                let column = name(index).to_owned();
                self.notes.nullable.entry(relation()).or_default().insert(column.clone());
                Error::new(ErrorKind::Value, "a null in a column that its table declares NOT NULL")
                    .with("column", column)
            }
        }
    }
}
