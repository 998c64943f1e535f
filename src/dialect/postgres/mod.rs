//! PostgreSQL, 12 and newer. The files: `connect` opens a session, `settings` says what it is set to, `catalog` lists and describes,
//! `type_table` and `types` map types, `decode`, `numeric` and `cursor` read values, `fetch` runs pages,
//! `stored` reads text that the server cannot convert,
//! `explain` judges plans, `facts` judges cursor columns, `bind` writes parameters, `shown` names rows,
//! `identity` says which server it is, `incarnation` which table, `view` what its transactions do,
//! `beside` asks the server about the session and cancels its statements, `classify` sorts errors. A session only reads, in UTC.

mod beside;
mod bind;
mod catalog;
mod classify;
mod connect;
mod cursor;
mod decode;
mod explain;
mod facts;
mod fetch;
mod identity;
mod incarnation;
mod keys;
mod numeric;
mod settings;
mod shown;
mod stored;
mod type_table;
mod types;
mod view;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection, Row, ValueRef};

use self::beside::{Backend, Beside};
use self::classify::classify;
use self::cursor::CursorDecoder;
use self::types::Wire;
use super::page::Page;
use super::syntax::{Mixed, double_quoted, single_quoted};
use super::vigil::{Farewell, Vigil};
use super::{
    Counted, CursorFact, Dialect, DocumentedType, Doing, LateSupport, PlanReport, RowStream, SourceConnection,
    SqlSyntax,
};
use crate::config::spec::{CatalogFilter, ColumnTypes, SourceSpec, TypeSpec};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    ColumnDefinition, ColumnOrder, CursorKind, CursorValue, Incarnation, OpenTransactions, PlannedQuery, Relation,
    TableDefinition, TableId, ViewAnswer, ViewQuestion, micros_of,
};
use crate::sql::Grammar;
use crate::zone::Zone;

/// PostgreSQL.
pub struct Postgres;

impl Dialect for Postgres {
    fn name(&self) -> &'static str {
        "postgresql"
    }

    fn syntax(&self) -> &'static dyn SqlSyntax {
        &Syntax
    }

    fn table_types(&self) -> Vec<&'static str> {
        catalog::TABLE_TYPES.iter().map(|(name, _)| *name).collect()
    }

    fn documented_types(&self, types: &TypeSpec) -> Vec<DocumentedType> {
        types::documented(types)
    }

    fn connect<'a>(&'a self, source: &'a SourceSpec) -> BoxFuture<'a, Result<Box<dyn SourceConnection>>> {
        Box::pin(async move {
            let session = connect::open(source).await?;
            Ok(Box::new(session) as Box<dyn SourceConnection>)
        })
    }
}

/// A session for who plays the application beside rowtide: on the server that rowtide would read, free to write.
/// rowtide's own sessions only read.
///
/// # Errors
/// As [`Dialect::connect`].
pub async fn application(source: &SourceSpec) -> Result<PgConnection> {
    let mut session = connect::open(source).await?;
    if !session.pooled {
        session.run("set default_transaction_read_only = off").await?;
    }
    Ok(session.connection)
}

struct Syntax;

impl SqlSyntax for Syntax {
    fn grammar(&self) -> Grammar {
        Grammar::Postgres
    }

    fn mixed(&self, zone: &Zone, _: &Zone) -> Mixed {
        // A wall clock that comes twice is the later instant, as Java reads it.
        Mixed::AsInstants(match zone {
            Zone::Named(zone) => format!("{{}} at time zone {}", single_quoted(zone.name())),
            Zone::Fixed(offset) => format!("{{}} at time zone interval '{offset}'"),
        })
    }

    fn quote(&self, identifier: &str) -> String {
        double_quoted(identifier)
    }

    fn placeholder(&self, n: usize, kind: CursorKind, database_type: &str) -> String {
        match kind {
            CursorKind::Text => format!("${n}::text::{database_type}"),
            CursorKind::Integer if database_type == "oid" => format!("${n}::int8::oid"),
            _ => format!("${n}"),
        }
    }

    fn as_text(&self, expression: &str, _database_type: &str) -> String {
        format!("{expression}::text")
    }

    fn in_byte_order(&self, expression: &str, _column: &ColumnDefinition) -> Option<String> {
        Some(format!("{expression} collate \"C\""))
    }

    fn order_of(&self, kind: CursorKind, column: &ColumnDefinition, _in_byte_order: bool) -> ColumnOrder {
        let name = column.database_type.split('(').next().unwrap_or_default();
        match (kind, name) {
            (CursorKind::Text, "numeric") => ColumnOrder::Numbers,
            (CursorKind::Text, "uuid") => ColumnOrder::Values,
            // The database may have another encoding than the texts that are read.
            (CursorKind::Text | CursorKind::TextTimestamp(_), _) => ColumnOrder::Unknown,
            _ => ColumnOrder::Values,
        }
    }

    fn has_row_values(&self) -> bool {
        true
    }

    fn row_id(&self, alias: &str) -> Option<String> {
        Some(format!("{alias}.xmin::text::bigint"))
    }
}

/// How long a goodbye may take.
const GRACE: Duration = Duration::from_secs(5);

/// One open session.
struct Session {
    connection: PgConnection,
    server: String,
    identity: String,
    standby: bool,
    types: ColumnTypes,
    hide_unprivileged: bool,
    vigil: Vigil,
    beside: Arc<Beside>,
    /// A pooler may stand between: no named statements, one transaction around each call.
    pooled: bool,
    /// How a transaction of one call begins.
    begin: String,
    /// What a transaction sets first; empty where the session is set already.
    local: String,
    notes: Notes,
    _farewell: Farewell,
}

/// What is remembered between calls.
#[derive(Default)]
struct Notes {
    /// Prepared statements no longer fit the tables.
    stale: bool,
    /// A transaction was left open by a result that was not read to its end.
    open_transaction: bool,
    /// A transaction is open in which everything is one view.
    in_view: bool,
    /// What may be seen of transactions, once it was looked at.
    rights: Option<view::Rights>,
    /// Characters of the database's encoding, for text that is read as it is stored.
    charset: Arc<stored::Charset>,
    /// Columns described NOT NULL that gave a null (outer joins), per relation.
    nullable: HashMap<Relation, HashSet<String>>,
}

/// A statement of quoted names and placeholders, or the user's own query. What is made of numbers and constant text alone
/// is made one beside it (`view`, `identity`).
fn statement(sql: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(sql.to_owned())
}

/// Waits for an answer of the server.
async fn answered<T>(vigil: &Vigil, doing: Doing, call: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
    vigil.answer(call).await?.map_err(|error| classify(error, doing))
}

impl Session {
    /// Puts the connection in order before a call; a view is in order.
    async fn begin(&mut self) -> Result<()> {
        if self.notes.in_view {
            return Ok(());
        }
        self.tidy().await?;
        if self.pooled {
            self.notes.open_transaction = true;
            let who = "select pg_backend_pid()::text, extract(epoch from now())::text";
            let sql = format!("{}{}{who}", self.begin, self.local);
            let call = sqlx::raw_sql(statement(&sql)).fetch_one(&mut self.connection);
            let row = answered(&self.vigil, Doing::Page, call).await?;
            self.beside.is_served_by(Backend::of(&row)?);
        }
        Ok(())
    }

    /// Leaves nothing behind of what was before.
    async fn tidy(&mut self) -> Result<()> {
        if self.notes.open_transaction {
            self.run("rollback").await?;
            self.notes.open_transaction = false;
        }
        if std::mem::take(&mut self.notes.stale) {
            answered(&self.vigil, Doing::Page, self.connection.clear_cached_statements()).await?;
        }
        Ok(())
    }

    /// Ends what `begin` began.
    async fn end(&mut self) -> Result<()> {
        if self.notes.in_view {
            return Ok(());
        }
        if self.notes.open_transaction {
            self.run("commit").await?;
            self.notes.open_transaction = false;
        }
        Ok(())
    }

    async fn run(&mut self, sql: &str) -> Result<()> {
        let call = sqlx::raw_sql(statement(sql)).execute(&mut self.connection);
        answered(&self.vigil, Doing::Page, call).await.map(|_| ())
    }

    async fn clock(&mut self) -> Result<i64> {
        self.begin().await?;
        let call = sqlx::query("select clock_timestamp()").persistent(!self.pooled).fetch_one(&mut self.connection);
        let row = answered(&self.vigil, Doing::Page, call).await?;
        self.end().await?;
        match cursor_of(&row, CursorKind::Timestamp { zoned: true, digits: 6 })? {
            Some(CursorValue::Timestamp(micros)) => Ok(micros),
            _ => Err(Error::internal("the server has no clock")),
        }
    }

    /// Notes what an error means for the next call.
    fn noted(&mut self, error: Error) -> Error {
        if error.kind() == ErrorKind::SchemaChanged {
            self.notes.stale = true;
        }
        error
    }
}

/// The first column of a row as a cursor value.
fn cursor_of(row: &PgRow, kind: CursorKind) -> Result<Option<CursorValue<'static>>> {
    let value = row.try_get_raw(0).map_err(|error| classify(error, Doing::Page))?;
    if value.is_null() {
        return Ok(Some(CursorValue::Null));
    }
    let wire = Wire::of_result(&value.type_info());
    let decoder = CursorDecoder::bind(wire, kind)
        .ok_or_else(|| Error::new(ErrorKind::SchemaChanged, "the cursor column has another type than described"))?;
    let bytes = value.as_bytes().map_err(|_| Error::internal("a value is null and is not"))?;
    let cursor = decoder.decode(bytes).map_err(|problem| problem.nameless(ErrorKind::Cursor))?;
    Ok(Some(cursor.into_owned()))
}

impl SourceConnection for Session {
    fn server(&self) -> &str {
        &self.server
    }

    fn identity(&self) -> Option<&str> {
        Some(&self.identity)
    }

    fn is_replica(&self) -> bool {
        self.standby
    }

    fn last_id<'a>(&'a mut self, relation: &'a Relation, column: &'a str) -> BoxFuture<'a, Result<Option<i64>>> {
        Box::pin(async move {
            let Relation::Table(id) = relation else { return Ok(None) };
            self.begin().await?;
            let last = identity::last_id(self, id, column).await?;
            // After an error the commit is a rollback.
            self.end().await?;
            Ok(last)
        })
    }

    fn incarnations<'a>(&'a mut self, tables: &'a [Counted]) -> BoxFuture<'a, Result<Vec<Option<Incarnation>>>> {
        Box::pin(incarnation::of(self, tables))
    }

    fn list_tables<'a>(&'a mut self, filter: &'a CatalogFilter) -> BoxFuture<'a, Result<Vec<TableId>>> {
        Box::pin(async move {
            self.begin().await?;
            let tables = catalog::list_tables(self, filter).await?;
            self.end().await?;
            Ok(tables)
        })
    }

    fn describe<'a>(
        &'a mut self,
        relation: &'a Relation,
        _time_columns: &'a [String],
    ) -> BoxFuture<'a, Result<TableDefinition>> {
        Box::pin(async move {
            self.notes.stale = true;
            self.begin().await?;
            let definition = catalog::describe(self, relation).await.map_err(|error| error.with("table", relation));
            // The description's own statement must not serve a later description; behind a pooler it
            // must be gone before another client has the server.
            self.notes.stale = true;
            if self.pooled && definition.is_ok() {
                self.notes.stale = false;
                answered(&self.vigil, Doing::Describe, self.connection.clear_cached_statements()).await?;
            }
            let definition = definition?;
            self.end().await?;
            Ok(definition)
        })
    }

    fn upper_bound<'a>(&'a mut self, kind: CursorKind, delay: Duration) -> BoxFuture<'a, Result<CursorValue<'static>>> {
        Box::pin(async move {
            let now = self.clock().await?;
            let delay = micros_of(delay);
            bound(kind, now.saturating_sub(delay), &self.types.all.zone)
        })
    }

    fn fetch<'a>(
        &'a mut self,
        definition: &'a TableDefinition,
        query: &'a PlannedQuery,
    ) -> BoxFuture<'a, Result<Box<dyn RowStream + 'a>>> {
        Box::pin(async move {
            let rows = fetch::open(self, Page { definition, query }).await?;
            Ok(Box::new(rows) as Box<dyn RowStream + 'a>)
        })
    }

    fn probe<'a>(&'a mut self, query: &'a PlannedQuery) -> BoxFuture<'a, Result<Option<CursorValue<'static>>>> {
        Box::pin(async move {
            let kind = query.cursor.first().map(|column| column.kind).unwrap_or(CursorKind::Integer);
            self.begin().await?;
            let arguments = bind::arguments(&query.binds)?;
            let call = sqlx::query_with(statement(&query.sql), arguments);
            let call = call.persistent(query.recurs && !self.pooled);
            let row = answered(&self.vigil, Doing::Page, call.fetch_optional(&mut self.connection)).await;
            let row = row.map_err(|error| self.noted(error))?;
            self.end().await?;
            match row {
                Some(row) => cursor_of(&row, kind).map_err(|error| self.noted(error)),
                None => Ok(None),
            }
        })
    }

    fn explain<'a>(&'a mut self, query: &'a PlannedQuery) -> BoxFuture<'a, Result<PlanReport>> {
        Box::pin(async move {
            let report = explain::explain(self, query).await;
            if report.is_err() && std::mem::take(&mut self.notes.open_transaction) {
                self.run("rollback").await?;
            }
            report.map_err(|error| self.noted(error))
        })
    }

    fn estimate_rows<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<Option<u64>>> {
        Box::pin(async move {
            let Relation::Table(id) = relation else { return Ok(None) };
            self.begin().await?;
            let estimate = catalog::estimate_rows(self, id).await;
            self.end().await?;
            estimate
        })
    }

    fn cursor_facts<'a>(
        &'a mut self,
        relation: &'a Relation,
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<CursorFact>>> {
        Box::pin(async move {
            let Relation::Table(id) = relation else { return Ok(Vec::new()) };
            self.begin().await?;
            let facts = facts::cursor_facts(self, id, columns).await?;
            self.end().await?;
            Ok(facts)
        })
    }

    fn late_support<'a>(
        &'a mut self,
        relation: &'a Relation,
        id: Option<&'a str>,
    ) -> BoxFuture<'a, Result<LateSupport>> {
        Box::pin(async move {
            self.begin().await?;
            let support = view::late_support(self, relation, id).await?;
            self.end().await?;
            Ok(support)
        })
    }

    fn open_transactions<'a>(&'a mut self) -> BoxFuture<'a, Result<OpenTransactions>> {
        Box::pin(async move {
            self.begin().await?;
            let open = view::open_transactions(self).await?;
            self.end().await?;
            Ok(open)
        })
    }

    fn begin_view<'a>(&'a mut self, question: &'a ViewQuestion) -> BoxFuture<'a, Result<ViewAnswer>> {
        Box::pin(view::begin(self, question))
    }

    fn server_zones<'a>(&'a mut self) -> BoxFuture<'a, Result<Vec<Zone>>> {
        Box::pin(async move {
            self.begin().await?;
            let zones = facts::server_zones(self).await?;
            self.end().await?;
            Ok(zones)
        })
    }

    fn storage<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<String>> {
        Box::pin(view::storage(self, relation))
    }

    fn end_view<'a>(&'a mut self) -> BoxFuture<'a, Result<()>> {
        Box::pin(view::end(self))
    }

    fn is_alive<'a>(&'a mut self) -> BoxFuture<'a, bool> {
        Box::pin(async move { matches!(tokio::time::timeout(GRACE, self.connection.ping()).await, Ok(Ok(()))) })
    }

    fn vigil(&self) -> Option<&Vigil> {
        Some(&self.vigil)
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            self.vigil.cancel().await;
            let _ = tokio::time::timeout(GRACE, self.connection.close()).await;
        })
    }
}

/// An instant in microseconds as the exclusive bound of a column of this kind.
fn bound(kind: CursorKind, instant: i64, zone: &Zone) -> Result<CursorValue<'static>> {
    let cut = |micros: i64, unit: i64| micros.div_euclid(unit) * unit;
    match kind {
        CursorKind::Timestamp { zoned, digits } => {
            let micros = if zoned { instant } else { zone.highest_wall_until(instant) };
            Ok(CursorValue::Timestamp(cut(micros, 10_i64.pow(6 - u32::from(digits.min(6))))))
        }
        CursorKind::Date => {
            let wall = zone.highest_wall_until(instant);
            Ok(CursorValue::Timestamp(cut(wall, super::calendar::MICROS_PER_DAY)))
        }
        _ => Err(Error::internal("a cursor that is not a time has no upper bound")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_compare_in_the_type_of_the_column() {
        assert_eq!(Syntax.placeholder(1, CursorKind::Integer, "integer"), "$1");
        assert_eq!(Syntax.placeholder(2, CursorKind::Timestamp { zoned: true, digits: 6 }, "x"), "$2");
        assert_eq!(Syntax.placeholder(3, CursorKind::Text, "numeric(10,2)"), "$3::text::numeric(10,2)");
        assert_eq!(Syntax.quote("a\"b.c"), "\"a\"\"b.c\"");
    }

    #[test]
    fn bounds_are_cut_down_to_what_the_column_holds() {
        let zone = "America/New_York".parse().unwrap();
        let now = 1_579_100_400_123_456;
        let micros = |zoned, digits| bound(CursorKind::Timestamp { zoned, digits }, now, &zone).unwrap();
        assert_eq!(micros(true, 6), CursorValue::Timestamp(1_579_100_400_123_456));
        assert_eq!(micros(true, 3), CursorValue::Timestamp(1_579_100_400_123_000));
        assert_eq!(micros(false, 0), CursorValue::Timestamp(1_579_082_400_000_000));
        assert_eq!(bound(CursorKind::Date, now, &zone).unwrap(), CursorValue::Timestamp(1_579_046_400_000_000));
        assert_eq!(bound(CursorKind::Integer, now, &zone).unwrap_err().kind(), ErrorKind::Internal);
    }
}
