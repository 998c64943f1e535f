//! A page's result: columns are checked and decoders bound at the first row, then every row is handed
//! to the sink from the driver's own buffer.

use futures_util::StreamExt;
use sqlx::mysql::MySqlRow;
use sqlx::{Column, Executor, Row as _};

use super::super::problem::{Problem, in_row, is_of_row, row_name};
use super::super::rows::{RowReader, Rows, recycle};
use super::super::{Doing, DriverRow, Flow, Row, RowSink, Undeliverable};
use super::classify::classify;
use super::decode::{CursorDecoder, Decoder, NO_ORDER, TOO_WIDE, shown};
use super::raw::raw;
use super::types::{ColumnType, Wire};
use super::{Notes, Session, bind, bytes, statement};
use crate::config::spec::ColumnTypes;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    ColumnDefinition, CursorValue, PlannedQuery, Projection, Relation, RowText, TableDefinition, Value,
};
use crate::zone::Zone;

/// Decodes the rows of one page.
pub(super) struct Reader<'a> {
    definition: &'a TableDefinition,
    query: &'a PlannedQuery,
    types: &'a ColumnTypes,
    /// The zone in which the session shows instants.
    session: Zone,
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
    session.begin(&definition.relation).await?;
    let call = sqlx::query_with(statement(&query.sql), bind::arguments(&query.binds)?).persistent(query.recurs);
    let Session { connection, types, zone, notes, vigil, .. } = session;
    let stream = connection.fetch(call).boxed();
    let reader = Reader {
        definition,
        query,
        types,
        session: if zone.is_utc { Zone::UTC } else { zone.zone },
        notes,
        layout: None,
        values: Vec::new(),
        cursor: Vec::new(),
    };
    Ok(Rows::new(stream, reader, vigil))
}

impl RowReader for Reader<'_> {
    type Row = MySqlRow;

    fn hand_out(&mut self, row: &MySqlRow, sink: &mut dyn RowSink) -> Result<Flow> {
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
        self.notes.learn(&error);
        error
    }

    fn located(&self, error: Error) -> Error {
        error.with("table", &self.definition.relation)
    }
}

/// What a column of this definition is by its own account.
fn described(column: &ColumnDefinition) -> ColumnType {
    match column.projection {
        Projection::Column => ColumnType::of_catalog(&column.database_type),
        Projection::Bytes => ColumnType::of_catalog("longblob"),
        Projection::Text | Projection::Double | Projection::Numeric => ColumnType::of_catalog("longtext"),
    }
}

impl Reader<'_> {
    /// Checks the result's columns against the definition and binds the decoders.
    fn bind(&mut self, row: &MySqlRow) -> Result<Layout> {
        let found = row.columns();
        let expected = &self.definition.columns;
        if found.len() != expected.len() + self.query.hidden {
            return Err(self.changed(format!("{} columns instead of {}", found.len(), expected.len())));
        }
        let is_query = matches!(self.definition.relation, Relation::Query(_));
        let mut columns = Vec::with_capacity(expected.len());
        for (column, found) in expected.iter().zip(found) {
            let name = &column.field.name;
            let (of_table, of_result) = (described(column), ColumnType::of_result(found.type_info()));
            let is_other = is_query && !of_result.reads_as(&of_table) && of_result.stands_for(&of_table);
            if found.name() != name || !(is_other || of_result.reads_as(&of_table)) {
                return Err(self
                    .changed(format!("a column is now {} {}", found.name(), of_result.name))
                    .with("column", name));
            }
            let types = self.types.of(&self.definition.relation, name);
            let decoder = Decoder::bind(&of_table, &column.field, &types, self.session).and_then(|decoder| {
                if is_other { decoder.of_integer(&of_result, &column.field) } else { Some(decoder) }
            });
            let decoder =
                decoder.ok_or_else(|| self.changed("a column has another type".to_owned()).with("column", name))?;
            columns.push(ColumnLayout { decoder, optional: column.field.optional, cursor: None });
        }
        let mut hidden = Vec::new();
        for (place, cursor) in self.query.cursor.iter().enumerate() {
            let of_result = || found.get(cursor.index).map(|found| ColumnType::of_result(found.type_info()));
            let of = match expected.get(cursor.index) {
                Some(column) => {
                    Some(described(column)).filter(|of| !is_query || of.wire() == Wire::Bytes).or_else(of_result)
                }
                None => of_result(),
            };
            let decoder = of.and_then(|of| CursorDecoder::bind(&of, cursor.kind));
            let decoder = decoder.ok_or_else(|| self.changed("a cursor column has another type".to_owned()))?;
            match columns.get_mut(cursor.index) {
                Some(own) if own.cursor.is_none() => own.cursor = Some((place, decoder)),
                _ => hidden.push((cursor.index, place, decoder)),
            }
        }
        Ok(Layout { columns, hidden, cursor: self.query.cursor.len() })
    }

    fn changed(&mut self, what: String) -> Error {
        self.notes.stale = true;
        Error::new(ErrorKind::SchemaChanged, format!("the result has other columns than described: {what}"))
    }

    /// The row by its primary key, else by what it is polled by.
    fn row_name(&self, row: &MySqlRow) -> Option<String> {
        let key = self.definition.primary_key.iter().filter_map(|name| self.definition.column_index(name));
        let mut indexes: Vec<usize> = key.collect();
        if indexes.is_empty() {
            indexes.extend(self.query.cursor.iter().map(|column| column.index));
        }
        row_name(indexes.into_iter().filter_map(|index| {
            let column = row.columns().get(index)?;
            let of = ColumnType::of_result(column.type_info());
            let value = bytes(row, index).ok().flatten().and_then(|bytes| shown(&of, bytes));
            Some((column.name(), value))
        }))
    }

    /// Offers a row that cannot be decoded, if its cursor can be read.
    #[cold]
    fn offer_undecoded(
        &mut self,
        failure: Failure,
        row: &MySqlRow,
        layout: &Layout,
        sink: &mut dyn RowSink,
    ) -> Result<Flow> {
        let error = self.undecoded(failure);
        let mut cursor = Vec::new();
        if !is_of_row(&error) || layout.decode_cursor(row, &mut cursor).is_err() {
            return Err(error);
        }
        let driver = Named { reader: self, row };
        sink.row(Err(Undeliverable { error: in_row(error, driver.name()), cursor: &cursor, driver: &driver }))
    }

    fn row_text(&self, row: &MySqlRow) -> RowText {
        let text = |index: usize| {
            let of = ColumnType::of_result(row.columns().get(index)?.type_info());
            Some(raw(&of, bytes(row, index).ok()??))
        };
        let columns = self.definition.columns.iter().enumerate();
        columns.map(|(index, column)| (column.field.name.clone(), text(index))).collect()
    }

    fn undecoded(&mut self, failure: Failure) -> Error {
        let name = |index: usize| self.definition.columns.get(index).map_or("", |column| column.field.name.as_str());
        let relation = &self.definition.relation;
        match failure {
            Failure::Driver(error) => classify(error, Doing::Page),
            Failure::Value(index, problem) => {
                if problem == TOO_WIDE {
                    let known = self.notes.exceeding.entry(relation.clone()).or_default();
                    known.insert(name(index).to_owned());
                }
                problem.error(ErrorKind::Value, relation, name(index))
            }
            Failure::Cursor(index, NO_ORDER) if index < self.definition.columns.len() => {
                let known = self.notes.broken_dates.entry(relation.clone()).or_default();
                known.insert(name(index).to_owned());
                NO_ORDER.error(ErrorKind::SchemaChanged, relation, name(index))
            }
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
    row: &'a MySqlRow,
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
        row: &'r MySqlRow,
        values: &mut Vec<Value<'r>>,
        cursor: &mut Vec<CursorValue<'r>>,
    ) -> std::result::Result<(), Failure> {
        cursor.resize(self.cursor, CursorValue::Null);
        for (index, column) in self.columns.iter().enumerate() {
            let Some(bytes) = bytes(row, index).map_err(Failure::Driver)? else {
                if !column.optional {
                    return Err(Failure::Null(index));
                }
                values.push(Value::Null);
                continue;
            };
            values.push(column.decoder.decode(bytes).map_err(|problem| Failure::Value(index, problem))?);
            if let Some((place, decoder)) = column.cursor {
                cursor[place] = decoder.decode(bytes).map_err(|problem| Failure::Cursor(index, problem))?;
            }
        }
        decode_cursor_at(self.hidden.iter().copied(), row, cursor)
    }

    /// The cursor alone.
    fn decode_cursor<'r>(
        &self,
        row: &'r MySqlRow,
        cursor: &mut Vec<CursorValue<'r>>,
    ) -> std::result::Result<(), Failure> {
        cursor.resize(self.cursor, CursorValue::Null);
        let own = self.columns.iter().enumerate();
        let own = own.filter_map(|(index, column)| column.cursor.map(|(place, decoder)| (index, place, decoder)));
        decode_cursor_at(own.chain(self.hidden.iter().copied()), row, cursor)
    }
}

#[inline]
fn decode_cursor_at<'r>(
    places: impl Iterator<Item = (usize, usize, CursorDecoder)>,
    row: &'r MySqlRow,
    cursor: &mut [CursorValue<'r>],
) -> std::result::Result<(), Failure> {
    for (index, place, decoder) in places {
        if let Some(bytes) = bytes(row, index).map_err(Failure::Driver)? {
            cursor[place] = decoder.decode(bytes).map_err(|problem| Failure::Cursor(index, problem))?;
        }
    }
    Ok(())
}
