//! The source's side of the script, and a converter that writes ids as text.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::schedule::{Effect, Step};
use super::scripted::{Outside, SourceFault};
use crate::config::spec::{CatalogFilter, SourceSpec, TypeSpec};
use crate::convert::{Converter, Encoder, SchemaPreview, Side};
use crate::dialect::{
    self, Catalog, Dialect, DocumentedType, DriverRow, Flow, PageSource, PlanReport, RowSink, RowStream,
    ServerIdentity, SourceConnection, SqlSyntax, StreamEnd, Undeliverable,
};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    ColumnDefinition, CursorKind, CursorValue, Field, FieldType, PlannedQuery, Projection, Relation, RowText,
    TableDefinition, TableId, UniqueKeys, Value,
};

/// Writes the key as text.
struct Plain;

/// A registry that knows every schema.
pub(super) struct Registry(pub(super) Outside);

impl Encoder for Plain {
    fn encode(&self, row: &[Value<'_>], out: &mut Vec<u8>) -> Result<()> {
        let Value::Integer(key) = row[2] else { return Err(Error::internal("not a key")) };
        out.extend(key.to_string().bytes());
        Ok(())
    }
}

impl Converter for Registry {
    fn bind<'a>(&'a self, _: Side<'a>) -> BoxFuture<'a, Result<Arc<dyn Encoder>>> {
        async {
            self.0.visit(Step::Bind).await?;
            Ok(Arc::new(Plain) as Arc<dyn Encoder>)
        }
        .boxed()
    }

    fn preview(&self, _: Side<'_>) -> Result<SchemaPreview> {
        Ok(SchemaPreview { subject: None, schema: None })
    }

    fn check<'a>(&'a self, _: Side<'a>) -> BoxFuture<'a, Result<()>> {
        async { Ok(()) }.boxed()
    }

    fn bind_sample(&self, _: Side<'_>) -> Result<Arc<dyn Encoder>> {
        Ok(Arc::new(Plain))
    }

    fn render_sample(&self, _: &SchemaPreview, bytes: &[u8]) -> Result<String> {
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}

impl Dialect for Outside {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn syntax(&self) -> &'static dyn SqlSyntax {
        crate::dialect::postgres::Postgres.syntax()
    }

    fn table_types(&self) -> Vec<&'static str> {
        vec!["TABLE"]
    }

    fn documented_types(&self, _: &TypeSpec) -> Vec<DocumentedType> {
        Vec::new()
    }

    fn connect<'a>(&'a self, _: &'a SourceSpec) -> BoxFuture<'a, Result<Box<dyn SourceConnection>>> {
        async {
            self.visit(Step::Connect).await?;
            match self.fails_here(|fault| fault == SourceFault::Connect) {
                Some(_) => Err(Error::new(ErrorKind::Unreachable, "scripted")),
                None => {
                    let connection = Connection(self.clone(), self.identity(), tokio::time::Instant::now());
                    Ok(Box::new(connection) as Box<dyn SourceConnection>)
                }
            }
        }
        .boxed()
    }
}

/// A connection stays with the server it was made to; it knows when it was last used.
struct Connection(Outside, Option<String>, tokio::time::Instant);

impl Connection {
    /// A server that closes idle connections has closed it.
    fn is_closed(&self) -> bool {
        self.0.closes_idle() && self.2.elapsed() > Duration::from_secs(30)
    }
}

impl Catalog for Connection {
    fn list_tables<'a>(&'a mut self, _: &'a CatalogFilter) -> BoxFuture<'a, Result<Vec<TableId>>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn describe<'a>(&'a mut self, relation: &'a Relation, _: &'a [String]) -> BoxFuture<'a, Result<TableDefinition>> {
        async move {
            self.0.visit(Step::Describe).await?;
            if self.0.fails_here(|fault| fault == SourceFault::Describe).is_some() {
                return Err(Error::new(ErrorKind::Query, "scripted"));
            }
            let Relation::Table(id) = relation else { return Err(Error::internal("tables only")) };
            if !self.0.has(&id.name) {
                return Err(Error::new(ErrorKind::SourceSchema, "no such table"));
            }
            let column = |name: &str, field_type, cursor| ColumnDefinition {
                field: Field { name: name.into(), field_type, optional: false },
                database_type: "any".into(),
                projection: Projection::Column,
                not_null: true,
                is_visible: true,
                has_broken_dates: false,
                may_be_null: false,
                collation: None,
                seen_in: None,
                auto_increment: name == "id",
                cursor: Some(cursor),
            };
            let mut columns = vec![
                column("id", FieldType::Int64, CursorKind::Integer),
                column("ts", FieldType::Timestamp, CursorKind::Timestamp { zoned: true, digits: 6 }),
                column("key", FieldType::Int64, CursorKind::Integer),
            ];
            columns[1].field.optional = self.0.is_taught();
            Ok(TableDefinition {
                relation: relation.clone(),
                columns,
                skipped: vec![],
                by_driver: vec![],
                primary_key: self.0.primary_key(),
                indexes: vec![],
                unique: UniqueKeys { keys: self.0.unique_keys(), none_because: None },
            })
        }
        .boxed()
    }

    fn last_id<'a>(&'a mut self, _: &'a Relation, _: &'a str) -> BoxFuture<'a, Result<Option<i64>>> {
        async { Ok(self.0.last_id()) }.boxed()
    }
}

impl PageSource for Connection {
    fn upper_bound<'a>(&'a mut self, _: CursorKind, _: Duration) -> BoxFuture<'a, Result<CursorValue<'static>>> {
        async {
            self.0.visit(Step::Clock).await?;
            match self.0.fails_here(|fault| fault == SourceFault::Clock) {
                Some(_) => Err(Error::new(ErrorKind::Unreachable, "scripted")),
                None => Ok(CursorValue::Timestamp(self.0.now())),
            }
        }
        .boxed()
    }

    fn fetch<'a>(
        &'a mut self,
        definition: &'a TableDefinition,
        query: &'a PlannedQuery,
    ) -> BoxFuture<'a, Result<Box<dyn RowStream + 'a>>> {
        async move {
            self.0.count_statement();
            if self.is_closed() {
                return Err(Error::new(ErrorKind::Unreachable, "scripted"));
            }
            self.2 = tokio::time::Instant::now();
            match self.0.fails_here(|fault| matches!(fault, SourceFault::Statement | SourceFault::Changed)) {
                Some(SourceFault::Changed) => return Err(Error::new(ErrorKind::SchemaChanged, "scripted")),
                Some(_) => return Err(Error::new(ErrorKind::Query, "scripted")),
                None => {}
            }
            let breaks = match self.0.fails_here(|fault| matches!(fault, SourceFault::BreakAfter(_))) {
                Some(SourceFault::BreakAfter(rows)) => Some(rows),
                _ => None,
            };
            let breaks = match self.0.visit(Step::Fetch).await? {
                Some(Effect::BreakAfter(rows)) => Some(rows),
                Some(Effect::Changed) => return Err(Error::new(ErrorKind::SchemaChanged, "scripted")),
                _ => breaks,
            };
            let Relation::Table(id) = &definition.relation else { return Err(Error::internal("tables only")) };
            let wanted = Wanted::new(query);
            let row = |key| Row { id: self.0.id_of(key), time: self.0.time_of(key), key };
            let mut rows: Vec<Row> = self.0.rows(&id.name).into_iter().map(row).collect();
            rows.retain(|row| wanted.has(row));
            rows.truncate(query.limit.unwrap_or(usize::MAX));
            let poison = rows.iter().map(|row| row.key).filter(|key| self.0.is_poison(*key, definition)).collect();
            Ok(Box::new(Rows { rows: rows.into(), poison, breaks, cursor: wanted.cursor }) as Box<dyn RowStream + 'a>)
        }
        .boxed()
    }

    fn probe<'a>(&'a mut self, query: &'a PlannedQuery) -> BoxFuture<'a, Result<Option<CursorValue<'static>>>> {
        async {
            self.0.visit(Step::Probe).await?;
            // Of ids only; a time is nowhere in the way.
            let greatest = query.sql.split('"').find(|name| self.0.has(name)).and_then(|name| self.0.rows(name).pop());
            let of_ids = query.cursor.first().is_some_and(|column| column.kind == CursorKind::Integer);
            Ok(greatest.filter(|_| of_ids && query.sql.contains(" desc ")).map(CursorValue::Integer))
        }
        .boxed()
    }

    fn explain<'a>(&'a mut self, _: &'a PlannedQuery) -> BoxFuture<'a, Result<PlanReport>> {
        async { Err(Error::internal("not asked for")) }.boxed()
    }
}

impl ServerIdentity for Connection {
    fn server(&self) -> &str {
        "scripted"
    }

    fn identity(&self) -> Option<&str> {
        self.1.as_deref()
    }

    fn is_replica(&self) -> bool {
        self.0.is_replica()
    }
}

impl SourceConnection for Connection {
    fn is_alive<'a>(&'a mut self) -> BoxFuture<'a, bool> {
        async { !self.is_closed() }.boxed()
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        async {}.boxed()
    }
}

/// A row; ids and times ascend with keys, and are shared by as many rows as the script says.
#[derive(Clone, Copy)]
struct Row {
    id: i64,
    time: i64,
    key: i64,
}

impl Row {
    /// A column by its place in the result.
    fn value(&self, index: usize) -> CursorValue<'static> {
        match index {
            0 => CursorValue::Integer(self.id),
            1 => CursorValue::Timestamp(self.time),
            _ => CursorValue::Integer(self.key),
        }
    }
}

/// Which rows a page asks for, by its bounds.
struct Wanted {
    /// Where reading begins.
    from: Option<CursorValue<'static>>,
    after: Vec<CursorValue<'static>>,
    below: Option<CursorValue<'static>>,
    /// Of one cursor only.
    tie: Vec<CursorValue<'static>>,
    /// Where the values of the cursor stand.
    cursor: Vec<usize>,
}

impl Wanted {
    fn new(query: &PlannedQuery) -> Self {
        let mut binds: Vec<CursorValue<'static>> = query.binds.iter().map(|bind| bind.value.clone()).collect();
        let cursor = query.cursor.iter().map(|column| column.index).collect();
        if query.sql.contains(" = $") {
            return Self { from: None, after: Vec::new(), below: None, tie: binds, cursor };
        }
        let from = query.sql.contains(" >= $1").then(|| binds.remove(0));
        let below = query.sql.contains(" < $").then(|| binds.pop()).flatten();
        Self { from, after: binds, below, tie: Vec::new(), cursor }
    }

    fn has(&self, row: &Row) -> bool {
        let values: Vec<_> = self.cursor.iter().map(|index| row.value(*index)).collect();
        let after = self.after.is_empty() || values[..self.after.len()] > self.after[..];
        let is_of_tie = self.tie.iter().zip(&values).all(|(tie, value)| tie == value);
        let is_from = self.from.as_ref().is_none_or(|from| values[0] >= *from);
        after && is_from && is_of_tie && self.below.as_ref().is_none_or(|below| values[0] < *below)
    }
}

struct Rows {
    rows: VecDeque<Row>,
    /// Their keys.
    poison: Vec<i64>,
    breaks: Option<usize>,
    cursor: Vec<usize>,
}

impl DriverRow for Row {
    fn name(&self) -> Option<String> {
        Some(self.key.to_string())
    }

    fn text(&self) -> RowText {
        vec![("id".to_owned(), Some(self.id.to_string())), ("ts".to_owned(), None)]
    }
}

impl RowStream for Rows {
    fn next_rows<'s>(&'s mut self, sink: &'s mut dyn RowSink) -> BoxFuture<'s, Result<StreamEnd>> {
        async move {
            loop {
                if let Some(left) = &mut self.breaks {
                    let Some(less) = left.checked_sub(1) else {
                        return Err(Error::new(ErrorKind::Unreachable, "scripted"));
                    };
                    *left = less;
                }
                let Some(row) = self.rows.pop_front() else { return Ok(StreamEnd::Exhausted) };
                let cursor: Vec<_> = self.cursor.iter().map(|index| row.value(*index)).collect();
                let flow = if self.poison.contains(&row.key) {
                    let error = Error::new(ErrorKind::Value, "poison").with("row", row.key);
                    sink.row(Err(Undeliverable { error, cursor: &cursor, driver: &row }))?
                } else {
                    let values = [row.id, row.time / 1000, row.key].map(Value::Integer);
                    sink.row(Ok(dialect::Row { values: &values, cursor: &cursor, driver: &row }))?
                };
                if flow == Flow::Pause {
                    return Ok(StreamEnd::Paused);
                }
            }
        }
        .boxed()
    }
}
