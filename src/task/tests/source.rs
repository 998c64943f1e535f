//! The source's side of the script, and a converter that writes ids as text.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::schedule::{Effect, Step};
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
struct Plain;

/// A registry that knows every schema.
pub(super) struct Registry(pub(super) Outside);

impl Encoder for Plain {
    fn encode(&self, row: &[Value<'_>], out: &mut Vec<u8>) -> Result<()> {
        let Value::Integer(id) = row[0] else { return Err(Error::internal("not an id")) };
        out.extend(id.to_string().bytes());
        Ok(())
    }
}

impl Converter for Registry {
    fn bind<'a>(
        &'a self,
        _: &'a str,
        _: Role,
        _: &'a Schema,
        _: &'a [usize],
    ) -> BoxFuture<'a, Result<Arc<dyn Encoder>>> {
        async {
            self.0.visit(Step::Bind).await?;
            Ok(Arc::new(Plain) as Arc<dyn Encoder>)
        }
        .boxed()
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
            self.visit(Step::Connect).await?;
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
                primary_key: if self.0.is_keyless() { vec![] } else { vec!["id".into()] },
                indexes: vec![],
            })
        }
        .boxed()
    }

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
            let mut ids = self.0.rows(&id.name);
            let wanted = Wanted::new(query);
            ids.retain(|id| wanted.has(self.0.time_of(*id), *id));
            ids.truncate(query.limit.unwrap_or(usize::MAX));
            let poison = ids.iter().copied().filter(|id| self.0.is_poison(*id, definition)).collect();
            let rows = ids.into_iter().map(|id| (self.0.time_of(id), id)).collect();
            Ok(Box::new(Rows { rows, poison, breaks, cursor: wanted.cursor }) as Box<dyn RowStream + 'a>)
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

/// Which rows a page asks for, by its bounds.
struct Wanted {
    /// Time, then id.
    after: (i64, i64),
    below: i64,
    /// Of one time only.
    tie: Option<i64>,
    /// Where the cursor begins and ends in (time, id).
    cursor: std::ops::Range<usize>,
}

impl Wanted {
    fn new(query: &PlannedQuery) -> Self {
        let binds: Vec<i64> = query
            .binds
            .iter()
            .map(|bind| match bind.value {
                CursorValue::Integer(number) | CursorValue::Timestamp(number) => number,
                _ => panic!("ids and times only"),
            })
            .collect();
        let start = usize::from(query.cursor[0].kind == CursorKind::Integer);
        let cursor = start..start + query.cursor.len();
        let all = Self { after: (i64::MIN, i64::MIN), below: i64::MAX, tie: None, cursor };
        let timed = start == 0;
        match binds[..] {
            [] => all,
            [id] if !timed => Self { after: (i64::MIN, id), ..all },
            [time] if query.sql.contains(" = ") => Self { tie: Some(time), ..all },
            [below] => Self { below, ..all },
            [time, below] => Self { after: (time, i64::MAX), below, ..all },
            [time, id, below] => Self { after: (time, id), below, ..all },
            _ => panic!("more bounds than a page has"),
        }
    }

    fn has(&self, time: i64, id: i64) -> bool {
        let after = if self.cursor.start == 0 { (time, id) > self.after } else { id > self.after.1 };
        after && time < self.below && self.tie.is_none_or(|tie| tie == time)
    }
}

struct Rows {
    /// Time and id.
    rows: VecDeque<(i64, i64)>,
    poison: Vec<i64>,
    breaks: Option<usize>,
    cursor: std::ops::Range<usize>,
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
                let Some((time, id)) = self.rows.pop_front() else { return Ok(StreamEnd::Exhausted) };
                let cursor = [CursorValue::Timestamp(time), CursorValue::Integer(id)];
                let cursor = &cursor[self.cursor.clone()];
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
