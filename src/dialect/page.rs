//! The decoding of a page, whatever the database. At the first row the result's columns are checked against the
//! definition and decoders are bound; then every row is decoded from the driver's own buffer and offered to the sink. A
//! dialect brings a [`PageDecoder`], which knows its values. Row buffers keep their allocation from row to row.

use sqlx::{Column, Row as _};

use super::problem::{Problem, in_row, is_of_row, row_name};
use super::stream::{DriverRow, Flow, Row, RowSink, Undeliverable};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    ColumnDefinition, CursorColumn, CursorValue, PlannedQuery, Relation, RowText, TableDefinition, Value,
};

/// A column of a driver's result.
pub(super) type FoundColumn<R> = <<R as sqlx::Row>::Database as sqlx::Database>::Column;

/// The values of one dialect: how they are found in a row, bound to columns and decoded.
pub(super) trait PageDecoder: Send {
    /// The driver's row.
    type Row: sqlx::Row + Send;
    /// A value that is not null, in the driver's buffer.
    type Cell<'r>: Copy;
    /// The decoder of a column, bound once.
    type Decoder: Send;
    /// The decoder of a cursor column, bound once.
    type CursorDecoder: Send;

    /// The value at this place of a row; none for null.
    fn cell(row: &Self::Row, index: usize) -> Result<Option<Self::Cell<'_>>, CellError>;

    /// The decoder of a column; none if the result's column is another one than described.
    fn decoder(
        &mut self,
        page: Page<'_>,
        column: &ColumnDefinition,
        found: &FoundColumn<Self::Row>,
    ) -> Option<Self::Decoder>;

    /// The decoder of a cursor column; none if it cannot be of that kind.
    fn cursor_decoder(
        &self,
        page: Page<'_>,
        column: &CursorColumn,
        found: &FoundColumn<Self::Row>,
    ) -> Option<Self::CursorDecoder>;

    /// Appends the record value of a cell.
    fn append<'r>(decoder: &Self::Decoder, cell: Self::Cell<'r>, values: &mut Vec<Value<'r>>) -> Result<(), Problem>;

    /// The cursor value of a cell.
    fn cursor<'r>(decoder: &Self::CursorDecoder, cell: Self::Cell<'r>) -> Result<CursorValue<'r>, Problem>;

    /// The type of a result's column, for messages.
    fn type_name(found: &FoundColumn<Self::Row>) -> String;

    /// A value as messages name a row by it; none for null and for one that is not to be shown.
    fn shown(&self, row: &Self::Row, index: usize) -> Option<String>;

    /// A value as the database gave it; none for null.
    fn raw(&self, row: &Self::Row, index: usize) -> Option<String>;

    /// Classifies an error of the driver.
    fn classify(&mut self, page: Page<'_>, error: sqlx::Error) -> Error;

    /// Takes in an error's consequence for the session's next call.
    fn heed(&mut self, error: &Error) {
        let _ = error;
    }

    /// Takes in a fact about a column that a value has shown, for the next description; gives the kind of its error.
    fn learn(&mut self, relation: &Relation, column: &str, misfit: Misfit) -> ErrorKind;
}

/// The table and the query of a page.
#[derive(Clone, Copy)]
pub(super) struct Page<'a> {
    pub(super) definition: &'a TableDefinition,
    pub(super) query: &'a PlannedQuery,
}

/// A value that the driver does not hand out.
pub(super) enum CellError {
    Driver(sqlx::Error),
    Value(Problem),
}

/// The way in which a value does not fit its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit {
    /// Its field cannot hold it.
    Value(Problem),
    /// A value that is no cursor.
    Cursor(Problem),
    /// A null in a column that is described NOT NULL.
    Null,
}

/// The rows of one page.
pub(super) struct PageReader<'a, D: PageDecoder> {
    page: Page<'a>,
    decoder: D,
    /// The layout; none until the first row.
    layout: Option<Layout<D>>,
    values: Vec<Value<'static>>,
    cursor: Vec<CursorValue<'static>>,
}

impl<'a, D: PageDecoder> PageReader<'a, D> {
    pub(super) fn new(page: Page<'a>, decoder: D) -> Self {
        Self { page, decoder, layout: None, values: Vec::new(), cursor: Vec::new() }
    }

    /// Decodes one row and offers it to the sink.
    pub(super) fn hand_out(&mut self, row: &D::Row, sink: &mut dyn RowSink) -> Result<Flow> {
        let layout = match self.layout.take() {
            Some(layout) => layout,
            None => self.bind(row).map_err(|error| self.located(error))?,
        };
        let mut values: Vec<Value<'_>> = recycle(std::mem::take(&mut self.values));
        let mut cursor: Vec<CursorValue<'_>> = recycle(std::mem::take(&mut self.cursor));
        let outcome = match layout.decode(row, &mut values, &mut cursor) {
            Ok(()) => sink.row(Ok(Row { values: &values, cursor: &cursor, driver: &self.driver(row) })),
            Err(failure) => self.offer_undecoded(failure, row, &layout, sink),
        };
        let outcome = outcome.map_err(|error| in_row(error, self.driver(row).name()));
        self.values = recycle(values);
        self.cursor = recycle(cursor);
        self.layout = Some(layout);
        outcome
    }

    /// An error of the driver instead of a row.
    pub(super) fn failed(&mut self, error: sqlx::Error) -> Error {
        let error = self.decoder.classify(self.page, error);
        self.decoder.heed(&error);
        self.located(error)
    }

    fn driver<'r>(&'r self, row: &'r D::Row) -> PageRow<'r, D> {
        PageRow { page: self.page, row, decoder: &self.decoder }
    }

    /// The error with its relation.
    pub(super) fn located(&self, error: Error) -> Error {
        error.with("table", &self.page.definition.relation)
    }

    /// Checks the result's columns against the definition and binds the decoders.
    fn bind(&mut self, row: &D::Row) -> Result<Layout<D>> {
        let Page { definition, query } = self.page;
        let (found, expected) = (row.columns(), &definition.columns);
        if found.len() != expected.len() + query.hidden {
            return Err(self.changed(format!("{} columns instead of {}", found.len(), expected.len())));
        }
        let mut columns = Vec::with_capacity(expected.len());
        for (column, found) in expected.iter().zip(found) {
            let is_named = found.name() == column.field.name;
            let decoder = if is_named { self.decoder.decoder(self.page, column, found) } else { None };
            let Some(decoder) = decoder else {
                let what = format!("a column is now {} {}", found.name(), D::type_name(found));
                return Err(self.changed(what).with("column", &column.field.name));
            };
            columns.push(ColumnLayout { decoder, optional: column.field.optional, cursor: None });
        }
        let mut hidden = Vec::new();
        for (place, column) in query.cursor.iter().enumerate() {
            let found = found.get(column.index);
            let decoder = found.and_then(|found| self.decoder.cursor_decoder(self.page, column, found));
            let decoder = decoder.ok_or_else(|| self.changed("a cursor column has another type".to_owned()))?;
            match columns.get_mut(column.index) {
                Some(own) if own.cursor.is_none() => own.cursor = Some((place, decoder)),
                _ => hidden.push((column.index, place, decoder)),
            }
        }
        Ok(Layout { columns, hidden, cursor: query.cursor.len() })
    }

    fn changed(&mut self, what: String) -> Error {
        let error =
            Error::new(ErrorKind::SchemaChanged, format!("the result has other columns than described: {what}"));
        self.decoder.heed(&error);
        error
    }

    /// Offers a row that cannot be decoded, if its cursor can be read.
    #[cold]
    fn offer_undecoded(
        &mut self,
        failure: Failure,
        row: &D::Row,
        layout: &Layout<D>,
        sink: &mut dyn RowSink,
    ) -> Result<Flow> {
        let error = self.undecoded(failure);
        let mut cursor = Vec::new();
        if !is_of_row(&error) || layout.decode_cursor(row, &mut cursor).is_err() {
            return Err(error);
        }
        let driver = self.driver(row);
        sink.row(Err(Undeliverable { error: in_row(error, driver.name()), cursor: &cursor, driver: &driver }))
    }

    fn undecoded(&mut self, failure: Failure) -> Error {
        let Page { definition, .. } = self.page;
        let (index, misfit) = match failure {
            Failure::Driver(error) => return self.failed(error),
            Failure::Misfit(index, misfit) => (index, misfit),
        };
        let column = definition.columns.get(index).map_or("", |column| column.field.name.as_str());
        let kind = self.decoder.learn(&definition.relation, column, misfit);
        match misfit {
            Misfit::Value(problem) | Misfit::Cursor(problem) => problem.error(kind, &definition.relation, column),
            Misfit::Null => {
                let error = Error::new(kind, "a null in a column that its table declares NOT NULL");
                self.located(error.with("column", column))
            }
        }
    }
}

/// A row of a page, for messages.
struct PageRow<'a, D: PageDecoder> {
    page: Page<'a>,
    row: &'a D::Row,
    decoder: &'a D,
}

impl<D: PageDecoder> DriverRow for PageRow<'_, D> {
    /// The name of the row, by the primary key, else by the cursor.
    fn name(&self) -> Option<String> {
        let Page { definition, query } = self.page;
        let key = definition.primary_key.iter().filter_map(|name| definition.column_index(name));
        let mut indexes: Vec<usize> = key.collect();
        if indexes.is_empty() {
            indexes.extend(query.cursor.iter().map(|column| column.index));
        }
        row_name(indexes.into_iter().filter_map(|index| {
            let column = self.row.columns().get(index)?;
            Some((column.name(), self.decoder.shown(self.row, index)))
        }))
    }

    fn text(&self) -> RowText {
        let columns = self.page.definition.columns.iter().enumerate();
        columns.map(|(index, column)| (column.field.name.clone(), self.decoder.raw(self.row, index))).collect()
    }
}

/// The reason a row cannot be decoded: an error of the driver, or a value, by its place in the result.
enum Failure {
    Driver(sqlx::Error),
    Misfit(usize, Misfit),
}

impl Failure {
    fn of(error: CellError, index: usize, misfit: fn(Problem) -> Misfit) -> Self {
        match error {
            CellError::Driver(error) => Failure::Driver(error),
            CellError::Value(problem) => Failure::Misfit(index, misfit(problem)),
        }
    }
}

/// Decoders, bound once.
struct Layout<D: PageDecoder> {
    columns: Vec<ColumnLayout<D>>,
    /// Cursor columns that are hidden, or one column more than once: index in the result, place in the cursor tuple.
    hidden: Vec<(usize, usize, D::CursorDecoder)>,
    /// Length of the cursor tuple.
    cursor: usize,
}

struct ColumnLayout<D: PageDecoder> {
    decoder: D::Decoder,
    optional: bool,
    /// The column is also a cursor column, at this place of the tuple.
    cursor: Option<(usize, D::CursorDecoder)>,
}

impl<D: PageDecoder> Layout<D> {
    #[inline]
    fn decode<'r>(
        &self,
        row: &'r D::Row,
        values: &mut Vec<Value<'r>>,
        cursor: &mut Vec<CursorValue<'r>>,
    ) -> Result<(), Failure> {
        cursor.resize(self.cursor, CursorValue::Null);
        for (index, column) in self.columns.iter().enumerate() {
            let cell = D::cell(row, index).map_err(|error| Failure::of(error, index, Misfit::Value))?;
            let Some(cell) = cell else {
                if !column.optional {
                    return Err(Failure::Misfit(index, Misfit::Null));
                }
                values.push(Value::Null);
                continue;
            };
            D::append(&column.decoder, cell, values)
                .map_err(|problem| Failure::Misfit(index, Misfit::Value(problem)))?;
            if let Some((place, decoder)) = &column.cursor {
                cursor[*place] =
                    D::cursor(decoder, cell).map_err(|problem| Failure::Misfit(index, Misfit::Cursor(problem)))?;
            }
        }
        decode_cursor_at::<D>(self.hidden(), row, cursor)
    }

    fn hidden(&self) -> impl Iterator<Item = (usize, usize, &D::CursorDecoder)> {
        self.hidden.iter().map(|(index, place, decoder)| (*index, *place, decoder))
    }

    /// The cursor alone.
    fn decode_cursor<'r>(&self, row: &'r D::Row, cursor: &mut Vec<CursorValue<'r>>) -> Result<(), Failure> {
        cursor.resize(self.cursor, CursorValue::Null);
        let own = self.columns.iter().enumerate();
        let own =
            own.filter_map(|(index, column)| column.cursor.as_ref().map(|(place, decoder)| (index, *place, decoder)));
        decode_cursor_at::<D>(own.chain(self.hidden()), row, cursor)
    }
}

#[inline]
fn decode_cursor_at<'r, 'd, D: PageDecoder + 'd>(
    places: impl Iterator<Item = (usize, usize, &'d D::CursorDecoder)>,
    row: &'r D::Row,
    cursor: &mut [CursorValue<'r>],
) -> Result<(), Failure> {
    for (index, place, decoder) in places {
        let cell = D::cell(row, index).map_err(|error| Failure::of(error, index, Misfit::Cursor))?;
        if let Some(cell) = cell {
            cursor[place] =
                D::cursor(decoder, cell).map_err(|problem| Failure::Misfit(index, Misfit::Cursor(problem)))?;
        }
    }
    Ok(())
}

/// An empty vector with the allocation of `used`. The element types differ in lifetime only, so the
/// standard library collects in place.
fn recycle<A, B>(mut used: Vec<A>) -> Vec<B> {
    used.clear();
    used.into_iter().filter_map(|_| None).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_buffer_keeps_its_allocation() {
        let first: Vec<Value<'static>> = Vec::with_capacity(32);
        let place = first.as_ptr() as usize;
        let text = String::from("borrowed");
        let mut second: Vec<Value<'_>> = recycle(first);
        second.push(Value::Text(text.as_str().into()));
        assert_eq!((second.capacity(), second.as_ptr() as usize), (32, place));
    }
}
