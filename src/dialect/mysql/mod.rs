//! MySQL 8 and newer, MariaDB, and TiDB. One dialect with three names: which server answers is read from
//! its version, whatever the URL says. The files: `connect` opens a session, `settings` says what it is
//! set to, `catalog` lists and describes, `types` maps types, `forms` knows how drivers differ, `decode`, `binary` and `raw`
//! read values, `fetch` runs pages, `explain` judges plans, `facts` knows how ids are handed out, `identity` which server
//! it is, `incarnation` which table, `zone` which zone its session has;
//! `late` says how late rows of a relation can be found, `writers` and `starts` which transactions are open and
//! since when, `past` reads TiDB as of a time; `variables` refuses queries of two schemas; `beside` asks the server about the session and cancels its statements,
//! `bind` writes parameters, `classify` sorts errors.
//!
//! Tables are read in UTC, so that TIMESTAMP columns are instants also where the server's zone has an hour
//! twice. A custom query runs in the zone it would have with Kafka Connect, since it may say `now()`.

mod beside;
mod binary;
mod bind;
mod catalog;
mod classify;
mod connect;
mod decode;
mod explain;
mod facts;
mod fetch;
mod forms;
mod identity;
mod incarnation;
mod late;
mod past;
mod raw;
mod roles;
mod settings;
mod shape;
mod starts;
mod syntax;
mod types;
mod variables;
mod writers;
mod zone;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Column, Connection, Decode, Row};

use self::classify::{classify, is_forgotten};
use self::decode::CursorDecoder;
use self::types::ColumnType;
use self::variables::Variables;
use self::writers::Writers;
use self::zone::ZoneState;
use super::calendar::MICROS_PER_DAY;
use super::page::Page;
use super::vigil::{Farewell, Vigil};
use super::{
    Counted, CursorFact, Dialect, DocumentedType, Doing, LateSupport, PlanReport, RowStream, SourceConnection,
    SqlSyntax,
};
use crate::config::spec::{CatalogFilter, ColumnTypes, SourceSpec, TypeSpec};
use crate::error::{Error, ErrorKind, Result};
use crate::model::drivers::{DriverParameters, Maker};
use crate::model::{
    CursorKind, CursorValue, Incarnation, Lineage, Micros, OpenTransactions, PastView, PlannedQuery, Relation,
    TableDefinition, TableId, micros_of,
};
use crate::zone::Zone;

/// MySQL.
pub struct MySql;
/// MariaDB.
pub struct MariaDb;
/// TiDB.
pub struct TiDb;

/// The servers of the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    MySql,
    MariaDb,
    TiDb,
}

impl Server {
    fn product(self) -> &'static str {
        match self {
            Server::MySql => "MySQL",
            Server::MariaDb => "MariaDB",
            Server::TiDb => "TiDB",
        }
    }
}

macro_rules! dialect {
    ($type:ty, $name:literal, $server:expr) => {
        impl Dialect for $type {
            fn name(&self) -> &'static str {
                $name
            }

            fn syntax(&self) -> &'static dyn SqlSyntax {
                &syntax::Syntax
            }

            fn table_types(&self) -> Vec<&'static str> {
                catalog::TABLE_TYPES.iter().map(|(name, ..)| *name).collect()
            }

            fn documented_types(&self, types: &TypeSpec) -> Vec<DocumentedType> {
                types::documented($server, types)
            }

            fn stores_times_of_sessions(&self) -> bool {
                true
            }

            fn connect<'a>(&'a self, source: &'a SourceSpec) -> BoxFuture<'a, Result<Box<dyn SourceConnection>>> {
                Box::pin(async move {
                    let session = connect::open(source).await?;
                    Ok(Box::new(session) as Box<dyn SourceConnection>)
                })
            }
        }
    };
}

dialect!(MySql, "mysql", Server::MySql);
dialect!(MariaDb, "mariadb", Server::MariaDb);
dialect!(TiDb, "tidb", Server::TiDb);

/// What parameters of the URL, and the driver they are meant for, change about types.
#[derive(Debug, Clone)]
struct Quirks {
    /// The maker of the driver that the URL is for.
    maker: Maker,
    /// Parameters of the URL by which drivers differ.
    parameters: DriverParameters,
    /// Drivers see a digit more in an unsigned decimal of TiDB.
    unsigned_decimals_are_wider: bool,
    /// `yearIsDateType`, true by default.
    year_is_date: bool,
    /// `blobsAreStrings`.
    blobs_are_strings: bool,
    /// TiDB's vectors have a text form only.
    vectors_are_text: bool,
}

/// How long a goodbye may take.
const GRACE: Duration = Duration::from_secs(5);

/// One open session.
struct Session {
    connection: MySqlConnection,
    kind: Server,
    server: String,
    identity: Option<String>,
    /// The database of the URL.
    database: Option<String>,
    types: ColumnTypes,
    quirks: Quirks,
    /// Only the database of the URL is listed.
    current_database_only: bool,
    /// `@@auto_increment_increment`, which sessions have from the server.
    id_step: u64,
    /// The server only follows another one.
    replica: bool,
    vigil: Vigil,
    zone: ZoneState,
    writers: Writers,
    notes: Notes,
    _farewell: Farewell,
}

/// Stands among the names of columns with broken dates for one that is hidden in the result.
const OF_HIDDEN: &str = "";

/// What is remembered between calls.
#[derive(Default)]
struct Notes {
    /// Prepared statements no longer fit the tables.
    stale: bool,
    /// A transaction was left open by a call that did not come to its end.
    open_transaction: bool,
    /// A transaction is open that reads the database as of this time.
    past: Option<Micros>,
    /// Times before this one have turned out to be forgotten.
    forgotten: Micros,
    /// Columns described NOT NULL that gave a null (outer joins), per relation.
    nullable: HashMap<Relation, HashSet<String>>,
    /// Columns of dates that gave one which is none where it had to tell an order, per relation.
    broken_dates: HashMap<Relation, HashSet<String>>,
    /// Columns that gave a value beyond the narrowest type in which a driver delivers them, per relation.
    exceeding: HashMap<Relation, HashSet<String>>,
    /// What was said of queries with user variables.
    variables: HashMap<Relation, Variables>,
    /// The catalog's statistics are made anew when they are asked for.
    fresh_statistics: bool,
    /// InnoDB does not show the ids of its tables to the account.
    hides_engine: bool,
}

/// The one place where text becomes a statement: it is made of quoted names and placeholders, or the
/// user's own query.
fn statement(sql: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(sql.to_owned())
}

/// Waits for an answer of the server.
async fn answered<T>(vigil: &Vigil, doing: Doing, call: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
    vigil.answer(call).await?.map_err(|error| classify(error, doing))
}

/// A column's bytes; none for null. The driver calls zero dates null, this does not.
fn bytes(row: &MySqlRow, index: usize) -> sqlx::Result<Option<&[u8]>> {
    let raw = row.try_get_raw(index)?;
    // The only error there is means null.
    Ok(<&[u8] as Decode<sqlx::MySql>>::decode(raw).ok())
}

/// A column's text; none for null.
fn text(row: &MySqlRow, index: usize) -> Result<Option<&str>> {
    let unreadable = || Error::internal("the server answers in another form than expected");
    let Some(bytes) = bytes(row, index).map_err(|_| unreadable())? else { return Ok(None) };
    std::str::from_utf8(bytes).map(Some).map_err(|_| unreadable())
}

impl Session {
    /// Puts the connection in order before a call about a relation.
    async fn begin(&mut self, relation: &Relation) -> Result<()> {
        self.tidy().await?;
        if std::mem::take(&mut self.notes.stale) {
            answered(&self.vigil, Doing::Page, self.connection.clear_cached_statements()).await?;
        }
        self.set_zone(is_table(relation)).await
    }

    /// Leaves no transaction behind of a call that did not come to its end.
    async fn tidy(&mut self) -> Result<()> {
        if self.notes.open_transaction {
            self.run("rollback").await?;
            self.notes.open_transaction = false;
        }
        Ok(())
    }

    /// Sets the session's zone to UTC, or to its own.
    async fn set_zone(&mut self, utc: bool) -> Result<()> {
        if utc != self.zone.is_utc {
            let zone = if utc { "+00:00".to_owned() } else { self.zone.name.replace('\'', "''") };
            // As text: TiDB takes no prepared SET inside a view of the past.
            self.run(&format!("set time_zone = '{zone}'")).await?;
            self.zone.is_utc = utc;
        }
        Ok(())
    }

    async fn run(&mut self, sql: &str) -> Result<()> {
        let call = sqlx::raw_sql(statement(sql)).execute(&mut self.connection);
        answered(&self.vigil, Doing::Page, call).await.map(|_| ())
    }

    /// Runs statements in one round trip, the first of which begins a transaction and the last of which ends it;
    /// gives the rows of all, every value as text.
    async fn in_transaction(&mut self, sql: &str) -> Result<Vec<MySqlRow>> {
        self.tidy().await?;
        self.notes.open_transaction = true;
        let call = sqlx::raw_sql(statement(sql)).fetch_all(&mut self.connection);
        let rows = answered(&self.vigil, Doing::Page, call).await?;
        self.notes.open_transaction = false;
        Ok(rows)
    }

    /// The rows of a statement, every value as text.
    async fn texts(&mut self, sql: &str, doing: Doing) -> Result<Vec<MySqlRow>> {
        self.tidy().await?;
        let call = sqlx::raw_sql(statement(sql)).fetch_all(&mut self.connection);
        answered(&self.vigil, doing, call).await
    }

    async fn rows(&mut self, sql: &str, binds: &[&str], doing: Doing) -> Result<Vec<MySqlRow>> {
        self.tidy().await?;
        let call = bind::texts(sqlx::query(statement(sql)), binds).persistent(false);
        answered(&self.vigil, doing, call.fetch_all(&mut self.connection)).await
    }

    /// The clock: the instant, and the wall clock of the session's own zone.
    ///
    /// # Errors
    /// `Unreachable` if the server's zone is another one than when it was connected to: the session has to be made anew.
    async fn clock(&mut self) -> Result<(i64, i64)> {
        const CLOCK: &str = "select utc_timestamp(6), convert_tz(utc_timestamp(6), '+00:00', ?), @@global.time_zone";
        self.tidy().await?;
        let call = sqlx::query(CLOCK).bind(self.zone.name.clone()).fetch_one(&mut self.connection);
        let row = answered(&self.vigil, Doing::Page, call).await?;
        let micros = |index: usize| -> Result<Option<i64>> {
            let Some(bytes) = bytes(&row, index).map_err(|error| classify(error, Doing::Page))? else {
                return Ok(None);
            };
            match CursorDecoder::DateTime.decode(bytes) {
                Ok(CursorValue::Timestamp(micros)) => Ok(Some(micros)),
                _ => Err(Error::internal("the server's clock cannot be read")),
            }
        };
        if let Some(now) = text(&row, 2)?.filter(|now| *now != self.zone.global) {
            let message = format!("the server's time zone was changed from {} to {now}", self.zone.global);
            return Err(Error::new(ErrorKind::Unreachable, message).advise("rowtide connects again by itself"));
        }
        match (micros(0)?, micros(1)?) {
            (Some(instant), Some(wall)) => Ok((instant, wall)),
            _ => Err(Error::config(format!("the server cannot convert times to its own zone {}", self.zone.name))
                .advise("load its time zone tables (mysql_tzinfo_to_sql)")),
        }
    }

    /// Notes what an error means for the next call.
    fn noted(&mut self, error: Error) -> Error {
        self.notes.learn(&error);
        error
    }
}

impl Notes {
    /// Notes what an error means for the next call.
    fn learn(&mut self, error: &Error) {
        self.stale |= error.kind() == ErrorKind::SchemaChanged;
        if let Some(as_of) = self.past.filter(|_| is_forgotten(error)) {
            self.forgotten = as_of + 1;
        }
    }
}

fn is_table(relation: &Relation) -> bool {
    matches!(relation, Relation::Table(_))
}

/// The first column of a row as a cursor value.
fn cursor_of(row: &MySqlRow, kind: CursorKind) -> Result<Option<CursorValue<'static>>> {
    let Some(found) = bytes(row, 0).map_err(|error| classify(error, Doing::Page))? else {
        return Ok(Some(CursorValue::Null));
    };
    let column = row.columns().first().map(|column| ColumnType::of_result(column.type_info()));
    let decoder = column
        .and_then(|column| CursorDecoder::bind(&column, kind))
        .ok_or_else(|| Error::new(ErrorKind::SchemaChanged, "the cursor column has another type than described"))?;
    let cursor = decoder.decode(found).map_err(|problem| problem.nameless(ErrorKind::Cursor))?;
    Ok(Some(cursor.into_owned()))
}

impl SourceConnection for Session {
    fn server(&self) -> &str {
        &self.server
    }

    fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    fn lineage<'a>(&'a mut self) -> BoxFuture<'a, Result<Lineage>> {
        Box::pin(identity::lineage(self))
    }

    fn incarnations<'a>(&'a mut self, tables: &'a [Counted]) -> BoxFuture<'a, Result<Vec<Option<Incarnation>>>> {
        Box::pin(incarnation::of(self, tables))
    }

    fn is_replica(&self) -> bool {
        self.replica
    }

    fn wall_zone(&self) -> Option<Zone> {
        Some(self.zone.zone)
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
            self.notes.stale = true;
            self.begin(relation).await?;
            catalog::describe(self, relation, time_columns).await.map_err(|error| error.with("table", relation))
        })
    }

    fn upper_bound<'a>(&'a mut self, kind: CursorKind, delay: Duration) -> BoxFuture<'a, Result<CursorValue<'static>>> {
        Box::pin(async move {
            let (instant, wall) = self.clock().await?;
            let (zone, settled) = (&self.zone.zone, instant.saturating_sub(micros_of(delay)));
            // The server's word counts, where its zone is not known by a name.
            let is_known = zone.instant_to_wall(instant) == wall;
            let wall = if is_known { zone.highest_wall_until(settled) } else { wall - (instant - settled) };
            bound(kind, settled, wall)
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
            self.tidy().await?;
            let call = sqlx::query_with(statement(&query.sql), bind::arguments(&query.binds)?).persistent(query.recurs);
            let row = answered(&self.vigil, Doing::Page, call.fetch_optional(&mut self.connection)).await;
            match row.map_err(|error| self.noted(error))? {
                Some(row) => cursor_of(&row, kind).map_err(|error| self.noted(error)),
                None => Ok(None),
            }
        })
    }

    fn explain<'a>(&'a mut self, query: &'a PlannedQuery) -> BoxFuture<'a, Result<PlanReport>> {
        Box::pin(async move { explain::explain(self, query).await.map_err(|error| self.noted(error)) })
    }

    fn estimate_rows<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<Option<u64>>> {
        Box::pin(async move {
            match relation {
                Relation::Table(id) => catalog::estimate_rows(self, id).await,
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
                Relation::Table(id) => facts::cursor_facts(self, id, columns).await,
                Relation::Query(_) => Ok(Vec::new()),
            }
        })
    }

    fn last_id<'a>(&'a mut self, relation: &'a Relation, column: &'a str) -> BoxFuture<'a, Result<Option<i64>>> {
        Box::pin(async move {
            match relation {
                Relation::Table(id) => facts::last_id(self, id, column).await,
                Relation::Query(_) => Ok(None),
            }
        })
    }

    fn late_support<'a>(
        &'a mut self,
        relation: &'a Relation,
        id: Option<&'a str>,
    ) -> BoxFuture<'a, Result<LateSupport>> {
        Box::pin(late::support(self, relation, id))
    }

    fn open_transactions<'a>(&'a mut self) -> BoxFuture<'a, Result<OpenTransactions>> {
        Box::pin(writers::open_transactions(self))
    }

    fn begin_past<'a>(&'a mut self, as_of: Option<Micros>) -> BoxFuture<'a, Result<PastView>> {
        Box::pin(past::begin(self, as_of))
    }

    fn end_view<'a>(&'a mut self) -> BoxFuture<'a, Result<()>> {
        Box::pin(past::end(self))
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

/// The clock as the exclusive bound of a column of this kind. A column without a zone is bound by the wall
/// clock of the server, as with Kafka Connect: it is what `now()` has written into it.
fn bound(kind: CursorKind, instant: i64, wall: i64) -> Result<CursorValue<'static>> {
    let cut = |micros: i64, unit: i64| CursorValue::Timestamp(micros.div_euclid(unit) * unit);
    match kind {
        CursorKind::Timestamp { zoned, digits } => {
            Ok(cut(if zoned { instant } else { wall }, 10_i64.pow(6 - u32::from(digits.min(6)))))
        }
        CursorKind::Date => Ok(cut(wall, MICROS_PER_DAY)),
        _ => Err(Error::internal("a cursor that is not a time has no upper bound")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_cut_down_to_what_the_column_holds() {
        let (instant, wall) = (1_579_100_400_123_456, 1_579_082_400_123_456);
        let micros = |zoned, digits| bound(CursorKind::Timestamp { zoned, digits }, instant, wall).unwrap();
        assert_eq!(micros(true, 6), CursorValue::Timestamp(instant));
        assert_eq!(micros(false, 0), CursorValue::Timestamp(1_579_082_400_000_000));
        assert_eq!(bound(CursorKind::Date, instant, wall).unwrap(), CursorValue::Timestamp(1_579_046_400_000_000));
        assert_eq!(bound(CursorKind::Integer, 0, 0).unwrap_err().kind(), ErrorKind::Internal);
    }
}
