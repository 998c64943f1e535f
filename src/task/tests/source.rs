//! The source's side of the script, and a converter that writes ids as text.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::database::record_of;
use super::faults::{Effect, Step};
use super::scripted::{Outside, SourceFault};
use super::wanted::Wanted;
use crate::config::spec::{CatalogFilter, SourceSpec, TypeSpec};
use crate::convert::{Converter, Encoder, SchemaPreview, Side};
use crate::dialect::{
    self, Catalog, ChangeTokens, Dialect, DocumentedType, DriverRow, Flow, LateSupport, PageSource, PastReads,
    PlanReport, RowSink, RowStream, ServerIdentity, SnapshotViews, SourceConnection, SqlSyntax, StreamEnd,
    Transactions, Undeliverable,
};
use crate::error::{Error, ErrorKind, Result};
use crate::guard::tests::store::Version;
use crate::model::{
    ChangeToken, ColumnDefinition, CursorKind, CursorValue, Field, FieldType, Micros, OpenTransactions, PastView,
    PlannedQuery, Projection, Relation, RowText, TableDefinition, TableId, UniqueKeys, Value, ViewAnswer, ViewQuestion,
    micros_of,
};
use crate::zone::Zone;

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
                    let (outside, identity) = (self.clone(), self.identity());
                    self.connected();
                    let connection = Connection(outside, identity, tokio::time::Instant::now(), None);
                    Ok(Box::new(connection) as Box<dyn SourceConnection>)
                }
            }
        }
        .boxed()
    }
}

/// A connection stays with the server it was made to; it knows when it was last used, and what the view shows that is open.
struct Connection(Outside, Option<String>, tokio::time::Instant, Option<Vec<Version>>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.disconnected();
    }
}

impl Connection {
    /// A server that closes idle connections has closed it.
    fn is_closed(&self) -> bool {
        self.0.closes_idle() && self.2.elapsed() > Duration::from_secs(30)
    }

    /// The rows of a table, as the view that is open shows them, else as they are now.
    fn rows(&self, table: &str) -> Vec<Row> {
        let of_version = |version: &Version| Row {
            id: version.key as i64,
            time: version.time,
            key: record_of(version),
            xid: i64::from(version.id as u32),
        };
        let shown = self.0.database(|database| {
            let rows = self.3.clone().unwrap_or_else(|| database.committed());
            rows.iter().filter(|version| database.is_in(table, version)).map(of_version).collect()
        });
        let row = |key| Row { id: self.0.id_of(key), time: self.0.time_of(key), key, xid: 0 };
        shown.unwrap_or_else(|| self.0.rows(table).into_iter().map(row).collect())
    }
}

impl Catalog for Connection {
    fn late_support<'a>(&'a mut self, _: &'a Relation, _: Option<&'a str>) -> BoxFuture<'a, Result<LateSupport>> {
        async { Ok(self.0.database(|database| database.support()).unwrap_or_default()) }.boxed()
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
                field: Field { name: name.into(), field_type, optional: false, doc: None },
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
                column("ts", FieldType::Timestamp, CursorKind::Timestamp { zoned: self.0.is_zoned(), digits: 6 }),
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
                comment: None,
            })
        }
        .boxed()
    }

    fn last_id<'a>(&'a mut self, _: &'a Relation, _: &'a str) -> BoxFuture<'a, Result<Option<i64>>> {
        async { Ok(self.0.last_id()) }.boxed()
    }
}

impl PageSource for Connection {
    fn wall_zone(&self) -> Option<Zone> {
        self.0.database(|database| database.world().zone)
    }

    fn upper_bound<'a>(&'a mut self, _: CursorKind, before: Duration) -> BoxFuture<'a, Result<CursorValue<'static>>> {
        async move {
            self.0.visit(Step::Clock).await?;
            match self.0.fails_here(|fault| fault == SourceFault::Clock) {
                Some(_) => Err(Error::new(ErrorKind::Unreachable, "scripted")),
                None => Ok(CursorValue::Timestamp(self.0.now() - micros_of(before))),
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
            let mut rows = self.rows(&id.name);
            rows.retain(|row| wanted.has(row));
            if self.0.database(|_| ()).is_some() {
                rows.sort_by_cached_key(|row| wanted.place(row));
            }
            rows.truncate(query.limit.unwrap_or(usize::MAX));
            let poison = rows.iter().map(|row| row.key).filter(|key| self.0.is_poison(*key, definition)).collect();
            Ok(Box::new(Rows { rows: rows.into(), poison, breaks, cursor: wanted.cursor }) as Box<dyn RowStream + 'a>)
        }
        .boxed()
    }

    fn probe<'a>(&'a mut self, query: &'a PlannedQuery) -> BoxFuture<'a, Result<Option<CursorValue<'static>>>> {
        async {
            self.0.visit(Step::Probe).await?;
            let table = query.sql.split('"').find(|name| self.0.has(name));
            if query.sql.starts_with("select 1 ") && query.sql.contains(" >= $1 limit 1") {
                let is_waiting = |row: &Row| query.binds.first().is_some_and(|bound| row.value(1) >= bound.value);
                let waiting = table.is_some_and(|name| self.rows(name).iter().any(is_waiting));
                return Ok(waiting.then_some(CursorValue::Integer(1)));
            }
            if query.sql.contains(r#""ts" asc limit 1"#) {
                let oldest = table.and_then(|name| self.rows(name).iter().map(|row| row.time).min());
                return Ok(oldest.map(CursorValue::Timestamp));
            }
            // Of ids; a time is nowhere else in the way.
            let ids = |name: &str| match self.0.database(|_| ()) {
                Some(()) => self.rows(name).iter().map(|row| row.id).max(),
                None => self.0.rows(name).pop(),
            };
            let greatest = table.and_then(ids);
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

impl Transactions for Connection {
    fn open_transactions<'a>(&'a mut self) -> BoxFuture<'a, Result<OpenTransactions>> {
        async {
            self.0.visit(Step::Observe).await?;
            let open = self.0.database(|database| database.open_transactions()).ok_or_else(no_transactions)?;
            // The answer takes its time, too.
            self.0.visit(Step::Observe).await?;
            Ok(open)
        }
        .boxed()
    }
}

impl SnapshotViews for Connection {
    fn begin_view<'a>(&'a mut self, question: &'a ViewQuestion) -> BoxFuture<'a, Result<ViewAnswer>> {
        async {
            self.0.visit(Step::View).await?;
            let (mut answer, shown) = self.0.database(|database| database.snapshot()).ok_or_else(no_transactions)?;
            self.3 = Some(shown);
            self.0.visit(Step::View).await?;
            self.0.database(|database| database.answer(&mut answer, question));
            Ok(answer)
        }
        .boxed()
    }

    fn storage<'a>(&'a mut self, _: &'a Relation) -> BoxFuture<'a, Result<String>> {
        async { Ok("here".to_owned()) }.boxed()
    }
}

impl PastReads for Connection {
    fn begin_past<'a>(&'a mut self, as_of: Option<Micros>) -> BoxFuture<'a, Result<PastView>> {
        async move {
            self.0.visit(Step::View).await?;
            let (view, shown) = self.0.database(|database| database.as_of(as_of)).ok_or_else(no_transactions)?;
            self.3 = Some(shown);
            Ok(view)
        }
        .boxed()
    }
}

impl ChangeTokens for Connection {
    fn change_token<'a>(&'a mut self) -> BoxFuture<'a, Result<Option<ChangeToken>>> {
        async {
            self.0.visit(Step::Token).await?;
            let token = self.0.database(|database| database.token()).flatten();
            // The answer takes its time, too.
            self.0.visit(Step::Token).await?;
            Ok(token)
        }
        .boxed()
    }

    fn changes_by_commits<'a>(&'a mut self, _: &'a Relation) -> BoxFuture<'a, Result<bool>> {
        async { Ok(self.0.database(|database| database.tells()) == Some(true)) }.boxed()
    }
}

impl SourceConnection for Connection {
    fn change_tokens(&mut self) -> Option<&mut dyn ChangeTokens> {
        Some(self)
    }

    fn snapshot_views(&mut self) -> Option<&mut dyn SnapshotViews> {
        Some(self)
    }

    fn past_reads(&mut self) -> Option<&mut dyn PastReads> {
        Some(self)
    }

    fn end_view<'a>(&'a mut self) -> BoxFuture<'a, Result<()>> {
        self.3 = None;
        async { Ok(()) }.boxed()
    }

    fn is_alive<'a>(&'a mut self) -> BoxFuture<'a, bool> {
        async { !self.is_closed() }.boxed()
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        async {}.boxed()
    }
}

fn no_transactions() -> Error {
    Error::internal("this source has no transactions")
}

/// A row; ids and times ascend with keys, and are shared by as many rows as the script says.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) id: i64,
    time: i64,
    key: i64,
    /// The id of its transaction.
    pub(super) xid: i64,
}

impl Row {
    /// A column by its place in the result.
    pub(super) fn value(&self, index: usize) -> CursorValue<'static> {
        match index {
            0 => CursorValue::Integer(self.id),
            1 => CursorValue::Timestamp(self.time),
            2 => CursorValue::Integer(self.key),
            _ => CursorValue::Integer(self.xid),
        }
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
