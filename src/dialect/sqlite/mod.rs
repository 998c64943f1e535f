//! SQLite. The files: `connect` opens the file, `catalog` lists and describes, `types` maps declared
//! types, `decode` and `text` read values, `facts` judges cursor columns, `fetch` runs pages, `incarnation` says which
//! table it is, `classify` sorts errors. The file is only read; the driver keeps a thread for each connection.

mod catalog;
mod classify;
mod connect;
mod decode;
mod facts;
mod fetch;
mod incarnation;
mod text;
mod types;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Connection, Row};

use self::classify::classify;
use super::page::Page;
use super::syntax::double_quoted;
use super::vigil::{Farewell, Seen, SideDoor, Vigil};
use super::{
    Ability, Counted, CursorFact, Dialect, DocumentedType, Doing, LateSupport, PlanReport, RowStream, SourceConnection,
    SqlSyntax,
};
use crate::config::spec::{CatalogFilter, ColumnTypes, SourceSpec, TypeSpec};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Bind, ColumnDefinition, CursorKind, CursorValue, Incarnation, Instant, OpenTransactions, PlannedQuery, Relation,
    TableDefinition, TableId, micros_of,
};
use crate::sql::Grammar;
use crate::zone::Zone;

/// SQLite.
pub struct Sqlite;

impl Dialect for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn syntax(&self) -> &'static dyn SqlSyntax {
        &Syntax
    }

    fn table_types(&self) -> Vec<&'static str> {
        catalog::TYPES.to_vec()
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

struct Syntax;

impl SqlSyntax for Syntax {
    fn is_of_other_class(&self, kind: CursorKind, expression: &str) -> Option<String> {
        // Numbers come before text. What an empty table will hold is a guess.
        matches!(kind, CursorKind::TextTimestamp(_)).then(|| format!("typeof({expression}) in ('integer', 'real')"))
    }

    fn grammar(&self) -> Grammar {
        Grammar::Sqlite
    }

    fn quote(&self, identifier: &str) -> String {
        double_quoted(identifier)
    }

    fn placeholder(&self, n: usize, _kind: CursorKind, _database_type: &str) -> String {
        format!("?{n}")
    }

    /// A real with all its digits, of which a plain cast keeps 15; a blob stays one, which no text can hold.
    fn as_text(&self, expression: &str, _database_type: &str) -> String {
        let (plain, exact) = (format!("cast({expression} as text)"), format!("printf('%!.17g', {expression})"));
        format!(
            "case typeof({expression}) when 'blob' then {expression} when 'real' then \
             case when cast({plain} as real) = {expression} then {plain} else {exact} end else {plain} end"
        )
    }

    fn in_byte_order(&self, expression: &str, _column: &ColumnDefinition) -> Option<String> {
        Some(format!("{expression} collate binary"))
    }

    /// Never: every value carries its class, and the database's text cuts numbers to 15 digits.
    fn project(&self, _expression: &str, _column: &ColumnDefinition) -> Option<String> {
        None
    }

    fn has_row_values(&self) -> bool {
        true
    }
}

/// One open file.
struct Session {
    connection: SqliteConnection,
    path: PathBuf,
    /// The file that is open, by [`incarnation::file`].
    file: Option<String>,
    server: String,
    types: ColumnTypes,
    vigil: Vigil,
    /// `date_precision`: units a second of integer times.
    per_second: u16,
    notes: Notes,
    _farewell: Farewell,
}

/// The driver's thread, which looks at this between two steps of a statement.
#[derive(Default)]
struct Beside {
    cancelled: Arc<AtomicBool>,
}

impl SideDoor for Beside {
    /// While the thread lives it is at work: without it the result ends with an error.
    fn look(&self) -> BoxFuture<'_, Result<Seen>> {
        Box::pin(async { Ok(Seen::AtWork) })
    }

    fn cancel(&self) -> BoxFuture<'_, Result<()>> {
        self.cancelled.store(true, Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    }

    fn begins(&self) {
        self.cancelled.store(false, Ordering::Relaxed);
    }
}

/// What values have taught about columns, per relation.
#[derive(Default)]
struct Notes {
    /// Columns that held a value beyond the usual field of their type.
    wide: HashMap<Relation, HashSet<String>>,
    /// Columns described NOT NULL that gave a null (outer joins).
    nullable: HashMap<Relation, HashSet<String>>,
}

/// The one place where text becomes a statement: it is made of quoted names and placeholders, or the
/// user's own query.
fn statement(sql: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(sql.to_owned())
}

/// Waits for an answer.
async fn answered<T>(vigil: &Vigil, doing: Doing, call: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
    vigil.answer(call).await?.map_err(|error| classify(error, doing))
}

/// The arguments of a statement.
fn arguments(binds: &[Bind]) -> Result<SqliteArguments> {
    let mut arguments = SqliteArguments::default();
    for bind in binds {
        let added = match &bind.value {
            CursorValue::Integer(value) => arguments.add(*value),
            CursorValue::Real(value) => arguments.add(*value),
            CursorValue::Text(text) => arguments.add(text.to_string()),
            CursorValue::Unsigned(_) | CursorValue::Timestamp(_) | CursorValue::Null => {
                return Err(Error::internal("a cursor value cannot be bound to a column of its kind"));
            }
        };
        added.map_err(|_| Error::internal("a cursor value cannot be encoded"))?;
    }
    Ok(arguments)
}

impl Session {
    async fn rows(&mut self, sql: &str, binds: SqliteArguments, doing: Doing) -> Result<Vec<SqliteRow>> {
        let call = sqlx::query_with(statement(sql), binds).persistent(false);
        answered(&self.vigil, doing, call.fetch_all(&mut self.connection)).await
    }

    /// Makes the driver's thread look at the schema: SQLite finds out only while running a statement that
    /// the schema changed, and the driver does not survive columns that appear between preparing and running.
    async fn refresh(&mut self) -> Result<()> {
        self.rows("select count(*) from sqlite_schema where 0", SqliteArguments::default(), Doing::Page).await?;
        Ok(())
    }

    async fn clock(&mut self) -> Result<i64> {
        let sql = "select strftime('%Y-%m-%d %H:%M:%f', 'now')";
        let rows = self.rows(sql, SqliteArguments::default(), Doing::Page).await?;
        let text: String = match rows.first() {
            Some(row) => column(row, 0)?,
            None => return Err(Error::internal("the database has no clock")),
        };
        let now = chrono::NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f")
            .map_err(|error| Error::internal("the database's clock cannot be read").caused_by(error))?;
        Ok(now.and_utc().timestamp_micros())
    }
}

fn column<'r, T>(row: &'r SqliteRow, index: usize) -> Result<T>
where
    T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    row.try_get(index).map_err(|_| Error::internal("the catalog answers in another form than expected"))
}

impl SourceConnection for Session {
    fn server(&self) -> &str {
        &self.server
    }

    fn incarnations<'a>(&'a mut self, tables: &'a [Counted]) -> BoxFuture<'a, Result<Vec<Option<Incarnation>>>> {
        Box::pin(incarnation::of(self, tables))
    }

    fn list_tables<'a>(&'a mut self, filter: &'a CatalogFilter) -> BoxFuture<'a, Result<Vec<TableId>>> {
        Box::pin(catalog::list_tables(self, filter))
    }

    fn describe<'a>(
        &'a mut self,
        relation: &'a Relation,
        time_columns: &'a [String],
    ) -> BoxFuture<'a, Result<TableDefinition>> {
        Box::pin(async move {
            self.refresh().await?;
            let definition = catalog::describe(self, relation, time_columns).await;
            definition.map_err(|error| error.with("table", relation))
        })
    }

    fn upper_bound<'a>(&'a mut self, kind: CursorKind, delay: Duration) -> BoxFuture<'a, Result<CursorValue<'static>>> {
        Box::pin(async move {
            let now = self.clock().await?;
            let delay = micros_of(delay);
            let settled = now.saturating_sub(delay);
            let shown = if kind.is_wall() { self.types.all.zone.highest_wall_until(settled) } else { settled };
            kind.from_instant(Instant::from_micros(shown), &Zone::UTC)
        })
    }

    fn fetch<'a>(
        &'a mut self,
        definition: &'a TableDefinition,
        query: &'a PlannedQuery,
    ) -> BoxFuture<'a, Result<Box<dyn RowStream + 'a>>> {
        Box::pin(async move {
            self.refresh().await?;
            let rows = fetch::open(self, Page { definition, query })?;
            Ok(Box::new(rows) as Box<dyn RowStream + 'a>)
        })
    }

    fn probe<'a>(&'a mut self, query: &'a PlannedQuery) -> BoxFuture<'a, Result<Option<CursorValue<'static>>>> {
        Box::pin(async move {
            let kind = query.cursor.first().map(|column| column.kind).unwrap_or(CursorKind::Integer);
            let rows = self.rows(&query.sql, arguments(&query.binds)?, Doing::Page).await?;
            let Some(row) = rows.first() else { return Ok(None) };
            let raw = row.try_get_raw(0).map_err(|error| classify(error, Doing::Page))?;
            let cursor = decode::stored(raw).and_then(|stored| decode::cursor(kind, stored));
            cursor.map(|value| Some(value.into_owned())).map_err(|problem| problem.nameless(ErrorKind::Value))
        })
    }

    fn explain<'a>(&'a mut self, query: &'a PlannedQuery) -> BoxFuture<'a, Result<PlanReport>> {
        Box::pin(async move {
            let sql = format!("explain query plan {}", query.sql);
            let rows = self.rows(&sql, arguments(&query.binds)?, Doing::Page).await?;
            let lines = rows.iter().map(|row| column::<String>(row, 3)).collect::<Result<Vec<_>>>()?;
            let index_serves = serves(&lines, !query.binds.is_empty());
            Ok(PlanReport { lines, index_serves })
        })
    }

    fn estimate_rows<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<Option<u64>>> {
        Box::pin(async move {
            match relation {
                Relation::Table(id) => catalog::estimate_rows(self, &id.name).await,
                Relation::Query(_) => Ok(None),
            }
        })
    }

    fn last_id<'a>(&'a mut self, relation: &'a Relation, _column: &'a str) -> BoxFuture<'a, Result<Option<i64>>> {
        Box::pin(async move {
            match relation {
                Relation::Table(id) => catalog::last_id(self, &id.name).await,
                Relation::Query(_) => Ok(None),
            }
        })
    }

    fn cursor_facts<'a>(
        &'a mut self,
        relation: &'a Relation,
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<CursorFact>>> {
        Box::pin(async move {
            match relation {
                Relation::Table(id) => facts::cursor_facts(self, &id.name, columns).await,
                Relation::Query(_) => Ok(Vec::new()),
            }
        })
    }

    fn late_support<'a>(
        &'a mut self,
        relation: &'a Relation,
        _id: Option<&'a str>,
    ) -> BoxFuture<'a, Result<LateSupport>> {
        Box::pin(async move {
            let is_table = match relation {
                Relation::Table(id) => catalog::is_table(self, &id.name).await?,
                Relation::Query(_) => false,
            };
            let writers = Ability::no("a file does not show who is writing it", "");
            // Who has the lock takes its time and commits; a time that was taken before waits for the lock only.
            let longest = Duration::from_secs(60);
            Ok(LateSupport { writers, is_table, longest, ..LateSupport::default() })
        })
    }

    fn open_transactions<'a>(&'a mut self) -> BoxFuture<'a, Result<OpenTransactions>> {
        Box::pin(async move { Ok(OpenTransactions { clock: self.clock().await?, ..OpenTransactions::default() }) })
    }

    fn vigil(&self) -> Option<&Vigil> {
        Some(&self.vigil)
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            self.vigil.cancel().await;
            let _ = tokio::time::timeout(Duration::from_secs(5), self.connection.close()).await;
        })
    }
}

/// Whether a plan needs no full scan and no sort, and if something is bound, its range is one of an index.
fn serves(lines: &[String], has_range: bool) -> bool {
    let scans = |line: &str| line.starts_with("SCAN") && (has_range || !line.contains("USING"));
    let rowid_order = |line: &str| !has_range && line.starts_with("SCAN") && lines.len() == 1;
    !lines.iter().any(|line| line.contains("USE TEMP B-TREE"))
        && lines.iter().all(|line| !scans(line) || rowid_order(line))
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_a_search_without_a_sort_serves() {
        let serves = |lines: &[&str], has_range| {
            super::serves(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>(), has_range)
        };
        assert!(serves(&["SEARCH t USING INDEX i (ts>?)"], true));
        assert!(serves(&["SEARCH t USING INTEGER PRIMARY KEY (rowid>?)"], true));
        assert!(serves(&["SCAN t USING INDEX i"], false));
        assert!(!serves(&["SCAN t USING INDEX i"], true));
        assert!(!serves(&["SCAN t", "USE TEMP B-TREE FOR ORDER BY"], false));
    }
}
