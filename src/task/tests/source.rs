//! The source's side of the script, and a converter that writes ids as text.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::scripted::{Outside, SourceFault};
use crate::config::spec::{CatalogFilter, SourceSpec, TypeSpec};
use crate::convert::{Converter, Encoder, Role, SchemaPreview};
use crate::dialect::{
    Dialect, DocumentedType, Flow, PlanReport, RowSink, RowStream, SourceConnection, SqlSyntax, StreamEnd,
};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    ColumnDefinition, CursorKind, CursorValue, Field, FieldType, PlannedQuery, Projection, Relation, Schema,
    TableDefinition, TableId, Value,
};

/// Writes the id as text.
pub(super) struct Plain;

impl Encoder for Plain {
    fn encode(&self, row: &[Value<'_>], out: &mut Vec<u8>) -> Result<()> {
        let Value::Integer(id) = row[0] else { return Err(Error::internal("not an id")) };
        out.extend(id.to_string().bytes());
        Ok(())
    }
}

impl Converter for Plain {
    fn bind<'a>(
        &'a self,
        _: &'a str,
        _: Role,
        _: &'a Schema,
        _: &'a [usize],
    ) -> BoxFuture<'a, Result<Arc<dyn Encoder>>> {
        async { Ok(Arc::new(Plain) as Arc<dyn Encoder>) }.boxed()
    }

    fn preview(&self, _: &str, _: Role, _: &Schema) -> Result<SchemaPreview> {
        Ok(SchemaPreview { subject: None, schema: String::new() })
    }

    fn check<'a>(&'a self, _: &'a str, _: Role, _: &'a Schema) -> BoxFuture<'a, Result<()>> {
        async { Ok(()) }.boxed()
    }
}

impl Dialect for Outside {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn syntax(&self) -> &'static dyn SqlSyntax {
        crate::dialect::postgres::Postgres.syntax()
    }

    fn documented_types(&self, _: &TypeSpec) -> Vec<DocumentedType> {
        Vec::new()
    }

    fn connect<'a>(&'a self, _: &'a SourceSpec) -> BoxFuture<'a, Result<Box<dyn SourceConnection>>> {
        async {
            match self.fails_here(|fault| fault == SourceFault::Connect) {
                Some(_) => Err(Error::new(ErrorKind::Unreachable, "scripted")),
                None => Ok(Box::new(Connection(self.clone(), self.identity())) as Box<dyn SourceConnection>),
            }
        }
        .boxed()
    }
}

/// A connection stays with the server it was made to.
struct Connection(Outside, Option<String>);

impl SourceConnection for Connection {
    fn server(&self) -> &str {
        "scripted"
    }

    fn list_tables<'a>(&'a mut self, _: &'a CatalogFilter) -> BoxFuture<'a, Result<Vec<TableId>>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn describe<'a>(&'a mut self, relation: &'a Relation, _: &'a [String]) -> BoxFuture<'a, Result<TableDefinition>> {
        async move {
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
                collation: None,
                seen_in: None,
                auto_increment: name == "id",
                cursor: Some(cursor),
            };
            let mut columns = vec![
                column("id", FieldType::Int64, CursorKind::Integer),
                column("ts", FieldType::Timestamp, CursorKind::Timestamp { zoned: true, digits: 6 }),
            ];
            columns[1].field.optional = self.0.is_taught();
            Ok(TableDefinition {
                relation: relation.clone(),
                columns,
                skipped: vec![],
                primary_key: vec!["id".into()],
                indexes: vec![],
            })
        }
        .boxed()
    }

    fn upper_bound<'a>(&'a mut self, _: CursorKind, _: Duration) -> BoxFuture<'a, Result<CursorValue<'static>>> {
        async {
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
            match self.0.fails_here(|fault| matches!(fault, SourceFault::Statement | SourceFault::Changed)) {
                Some(SourceFault::Changed) => return Err(Error::new(ErrorKind::SchemaChanged, "scripted")),
                Some(_) => return Err(Error::new(ErrorKind::Query, "scripted")),
                None => {}
            }
            let breaks = match self.0.fails_here(|fault| matches!(fault, SourceFault::BreakAfter(_))) {
                Some(SourceFault::BreakAfter(rows)) => Some(rows),
                _ => None,
            };
            // With a timestamp, (timestamp, id) comes first and the upper bound last; a row's time is its id.
            let bind = |index: usize| match query.binds[index].value {
                CursorValue::Integer(id) | CursorValue::Timestamp(id) => id,
                _ => panic!("ids and times only"),
            };
            let timed = query.cursor.len() == 2;
            let (after, below) = match (timed, query.binds.len()) {
                (false, 0) => (i64::MIN, i64::MAX),
                (false, _) => (bind(0), i64::MAX),
                (true, 1) => (i64::MIN, bind(0)),
                (true, _) => (bind(0), bind(2)),
            };
            let Relation::Table(id) = &definition.relation else { return Err(Error::internal("tables only")) };
            let mut ids = self.0.rows(&id.name);
            ids.retain(|id| *id > after && *id < below);
            ids.truncate(query.limit.unwrap_or(usize::MAX));
            let poison = ids.iter().copied().filter(|id| self.0.is_poison(*id, definition)).collect();
            Ok(Box::new(Rows { ids: ids.into(), poison, breaks, timed }) as Box<dyn RowStream + 'a>)
        }
        .boxed()
    }

    fn probe<'a>(&'a mut self, query: &'a PlannedQuery) -> BoxFuture<'a, Result<Option<CursorValue<'static>>>> {
        async {
            // Of ids only; a time is nowhere in the way.
            let greatest = query.sql.split('"').find(|name| self.0.has(name)).and_then(|name| self.0.rows(name).pop());
            let of_ids = query.cursor.first().is_some_and(|column| column.kind == CursorKind::Integer);
            Ok(greatest.filter(|_| of_ids && query.sql.contains(" desc ")).map(CursorValue::Integer))
        }
        .boxed()
    }

    fn identity(&self) -> Option<&str> {
        self.1.as_deref()
    }

    fn is_replica(&self) -> bool {
        self.0.is_replica()
    }

    fn last_id<'a>(&'a mut self, _: &'a Relation, _: &'a str) -> BoxFuture<'a, Result<Option<i64>>> {
        async { Ok(self.0.last_id()) }.boxed()
    }

    fn explain<'a>(&'a mut self, _: &'a PlannedQuery) -> BoxFuture<'a, Result<PlanReport>> {
        async { Err(Error::internal("not asked for")) }.boxed()
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        async {}.boxed()
    }
}

struct Rows {
    ids: VecDeque<i64>,
    poison: Vec<i64>,
    breaks: Option<usize>,
    timed: bool,
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
                let Some(id) = self.ids.pop_front() else { return Ok(StreamEnd::Exhausted) };
                let cursor = [CursorValue::Timestamp(id), CursorValue::Integer(id)];
                let cursor = if self.timed { &cursor[..] } else { &cursor[1..] };
                let flow = if self.poison.contains(&id) {
                    let text = || vec![("id".to_owned(), Some(id.to_string())), ("ts".to_owned(), None)];
                    sink.left_out(Error::new(ErrorKind::Value, "poison").with("row", id), cursor, &text)?
                } else {
                    sink.row(&[Value::Integer(id), Value::Integer(id / 1000)], cursor)?
                };
                if flow == Flow::Pause {
                    return Ok(StreamEnd::Paused);
                }
            }
        }
        .boxed()
    }
}
