//! The databases. One folder (or file) per dialect behind two traits, [`Dialect`] and [`SourceConnection`];
//! sqlx and SQL error codes are known here and nowhere else. A dialect reads: it never writes, never runs
//! DDL, and holds no transaction between two calls.
//!
//! To add one: a module beside these and a line in [`DIALECTS`].

mod calendar;
mod decimal;
mod instant;
pub mod mysql;
mod near;
mod page;
pub mod postgres;
mod problem;
mod redact;
mod rows;
pub mod sessions;
pub mod sqlite;
mod stranger;
mod stream;
pub mod syntax;
mod tunnel;
mod vigil;

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::config::spec::{CatalogFilter, SourceSpec, TypeSpec};
use crate::error::{Error, Result};
pub use crate::model::{CursorFact, FactWeight};
use crate::model::{
    CursorKind, CursorValue, FieldType, Incarnation, Lineage, Micros, OpenTransactions, PastView, PlannedQuery,
    Relation, TableDefinition, TableId, ViewAnswer, ViewQuestion,
};
use crate::zone::Zone;
pub use stream::{DriverRow, Flow, Row, RowSink, RowStream, StreamEnd, Undeliverable};
pub use syntax::SqlSyntax;
pub use vigil::{Silence, Vigil, farewells};

/// Every dialect rowtide knows.
pub static DIALECTS: &[&dyn Dialect] =
    &[&postgres::Postgres, &mysql::MySql, &mysql::MariaDb, &mysql::TiDb, &sqlite::Sqlite];

/// How many prepared statements a session keeps: one or two a table. Of more tables than that each poll prepares anew.
const STATEMENTS_KEPT: usize = 1_000;

/// A kind of database.
pub trait Dialect: Send + Sync {
    /// `postgresql`, `sqlite`: the JDBC subprotocol, and what status and messages say.
    fn name(&self) -> &'static str;

    /// How its SQL is written.
    fn syntax(&self) -> &'static dyn SqlSyntax;

    /// What `table.types` can name, in the words of its JDBC driver.
    fn table_types(&self) -> Vec<&'static str>;

    /// Every type of the database and what it becomes under these settings: the table that columns are mapped
    /// by, for the reference page. The same rows in the same order whatever the settings.
    fn documented_types(&self, types: &TypeSpec) -> Vec<DocumentedType>;

    /// Whether times of stored offsets depend on the zone of a session ([`crate::model::ColumnDefinition::seen_in`]).
    fn stores_times_of_sessions(&self) -> bool {
        false
    }

    /// Opens one connection, read-only where the database knows that.
    ///
    /// # Errors
    /// `Auth`, `Unreachable`, `Config` (a parameter that cannot be honoured).
    fn connect<'a>(&'a self, source: &'a SourceSpec) -> BoxFuture<'a, Result<Box<dyn SourceConnection>>>;
}

/// What a database type becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentedType {
    /// The type as the database names it.
    pub name: String,
    /// The field type; none where the reference has no mapping, and `type.unsupported` decides.
    pub field: Option<FieldType>,
    /// The field is optional even if the column is NOT NULL.
    pub optional: bool,
    /// Where rowtide differs from Kafka Connect's source, and why; empty where it does not.
    pub note: &'static str,
}

/// The dialect of a source.
///
/// # Errors
/// `Config`, with the dialects that exist.
pub fn dialect_of(source: &SourceSpec) -> Result<&'static dyn Dialect> {
    DIALECTS.iter().copied().find(|dialect| dialect.name() == source.url.dialect).ok_or_else(|| {
        let known: Vec<_> = DIALECTS.iter().map(|dialect| dialect.name()).collect();
        Error::config(format!("no dialect named {}; there are {}", source.url.dialect, known.join(", ")))
    })
}

/// One open connection. Every error leaves it already classified, without row values.
/// After an error of kind `Unreachable` the connection is not used again.
pub trait SourceConnection: Send {
    /// Product and version, for logs and `check`.
    fn server(&self) -> &str;

    /// The tables the filter lets the database list (catalog, schema and types only; name lists and
    /// patterns are applied by the caller), in the database's order (`connector-config.md`, 6.1).
    fn list_tables<'a>(&'a mut self, filter: &'a CatalogFilter) -> BoxFuture<'a, Result<Vec<TableId>>>;

    /// Describes a relation. `time_columns` are those that may serve as timestamp cursor: a dialect whose
    /// types do not tell (SQLite) looks at their values to find the kind.
    ///
    /// # Errors
    /// `SourceSchema` if the relation does not exist or a column's type has no mapping under
    /// `type.unsupported=fail`; `Privilege` if it cannot be read.
    fn describe<'a>(
        &'a mut self,
        relation: &'a Relation,
        time_columns: &'a [String],
    ) -> BoxFuture<'a, Result<TableDefinition>>;

    /// The database's clock minus `delay`, as a value to compare a column of this kind with, cut to the
    /// digits the column can hold: rows strictly below it are settled (`querying.md`, 3.7). For a column of wall
    /// clocks it is the highest one that has been shown until then, so that it does not fall when clocks are set back.
    fn upper_bound<'a>(&'a mut self, kind: CursorKind, delay: Duration) -> BoxFuture<'a, Result<CursorValue<'static>>>;

    /// The zone of the wall clocks that the server's own `now()` writes to columns without a zone, where that is not
    /// `db.timezone`.
    fn wall_zone(&self) -> Option<Zone> {
        None
    }

    /// Zones that the server names as its own: whose wall clocks its `now()` may write, besides [`Self::wall_zone`].
    fn server_zones<'a>(&'a mut self) -> BoxFuture<'a, Result<Vec<Zone>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Runs a page. The stream checks the result's own columns (name and type) against `definition`
    /// before the first row.
    ///
    /// # Errors
    /// `SchemaChanged` if the columns differ, else by the SQL error.
    fn fetch<'a>(
        &'a mut self,
        definition: &'a TableDefinition,
        query: &'a PlannedQuery,
    ) -> BoxFuture<'a, Result<Box<dyn RowStream + 'a>>>;

    /// Runs a statement that answers at most one row of one cursor value (existence and maximum checks).
    fn probe<'a>(&'a mut self, query: &'a PlannedQuery) -> BoxFuture<'a, Result<Option<CursorValue<'static>>>>;

    /// The database's plan for a page.
    fn explain<'a>(&'a mut self, query: &'a PlannedQuery) -> BoxFuture<'a, Result<PlanReport>>;

    /// How many rows the relation has by the database's statistics, without counting; none if unknown.
    fn estimate_rows<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<Option<u64>>> {
        let _ = relation;
        Box::pin(async { Ok(None) })
    }

    /// Which server this is, such that a copy restored elsewhere has another: `system 7301…, database shop`.
    /// None where the database has nothing of the kind.
    fn identity(&self) -> Option<&str> {
        None
    }

    /// The origins of the transactions that the server has executed, by which the servers of one replication cluster know each other. Empty
    /// where it does not tell, and where all of them have one [`SourceConnection::identity`].
    fn lineage<'a>(&'a mut self) -> BoxFuture<'a, Result<Lineage>> {
        Box::pin(async { Ok(Lineage::default()) })
    }

    /// The incarnation of each of these tables as it is now, in their order; none of one that is not there or has no identity, as a
    /// view. Beside a table stands the column whose ids the database hands out, if it is polled by one. Not inside a view
    /// of the database.
    ///
    /// # Errors
    /// `Unreachable` if the tables are somewhere else now than where the connection leads.
    fn incarnations<'a>(&'a mut self, tables: &'a [Counted]) -> BoxFuture<'a, Result<Vec<Option<Incarnation>>>> {
        Box::pin(async move { Ok(vec![None; tables.len()]) })
    }

    /// Whether it is a standby, which may lag behind what was read from another server.
    fn is_replica(&self) -> bool {
        false
    }

    /// What the database's own rules mean for these columns as cursor: how ids are handed out, whether an update
    /// moves a timestamp. Of a table only; a query has none.
    fn cursor_facts<'a>(
        &'a mut self,
        relation: &'a Relation,
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<CursorFact>>> {
        let _ = (relation, columns);
        Box::pin(async { Ok(Vec::new()) })
    }

    /// The last id the database has handed out for an auto-increment column, also if its row is gone; none if
    /// the database does not tell.
    fn last_id<'a>(&'a mut self, relation: &'a Relation, column: &'a str) -> BoxFuture<'a, Result<Option<i64>>> {
        let _ = (relation, column);
        Box::pin(async { Ok(None) })
    }

    /// By what late rows of a relation can be found. `id` is the column whose values are handed out in order, if the
    /// cursor has one.
    fn late_support<'a>(
        &'a mut self,
        relation: &'a Relation,
        id: Option<&'a str>,
    ) -> BoxFuture<'a, Result<LateSupport>> {
        let _ = (relation, id);
        Box::pin(async { Ok(LateSupport::default()) })
    }

    /// Which transactions are open now that write, or may; where they cannot be seen, the clock only. Right on any
    /// session of the server, so a pooler may stand between; not inside a view of the past. The list is of a time after the clock and before the answer.
    fn open_transactions<'a>(&'a mut self) -> BoxFuture<'a, Result<OpenTransactions>> {
        Box::pin(async { Err(Error::internal("this database does not show its transactions")) })
    }

    /// Begins a read-only transaction in which everything is one view of the database, until [`Self::end_view`].
    fn begin_view<'a>(&'a mut self, question: &'a ViewQuestion) -> BoxFuture<'a, Result<ViewAnswer>> {
        let _ = question;
        Box::pin(async { Err(Error::internal("rows of this database do not tell their transaction")) })
    }

    /// Where the rows of a relation are stored: other files mean that all of it was written anew, and that its rows tell
    /// the transaction that did so. Right inside a view.
    fn storage<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<String>> {
        let _ = relation;
        Box::pin(async { Err(Error::internal("rows of this database do not tell their transaction")) })
    }

    /// Begins a read-only transaction that reads the database as of a time, or as of the latest that is final, until [`Self::end_view`]. If
    /// the time is before the horizon, nothing has begun. What has been read as of a time is the same whenever it is read
    /// again; what nobody has read as of it may still grow by rows that are committed in this moment.
    fn begin_past<'a>(&'a mut self, as_of: Option<Micros>) -> BoxFuture<'a, Result<PastView>> {
        let _ = as_of;
        Box::pin(async { Err(Error::internal("this database cannot be read as of a time")) })
    }

    /// Ends the view, however its statements ended.
    fn end_view<'a>(&'a mut self) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    /// Whether the other end still answers: after an idle time, in which a server, a proxy or a firewall may have
    /// closed the connection without a word.
    fn is_alive<'a>(&'a mut self) -> BoxFuture<'a, bool> {
        Box::pin(async { true })
    }

    /// What watches over its statements while they are silent; none where nothing is waited for.
    fn vigil(&self) -> Option<&Vigil> {
        None
    }

    /// Cancels the statement that runs, if a call was left in the middle of one, and closes politely. Dropping is
    /// enough otherwise: what runs is cancelled in the background ([`farewells`]).
    fn close(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// A table, and the column whose ids the database hands out, if it is polled by one.
pub type Counted = (TableId, Option<String>);

/// By what late rows of a relation can be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateSupport {
    /// Its rows tell their transaction, and a view which ones it may not hold: [`SourceConnection::begin_view`].
    pub views: Ability,
    /// It can be read as of a time: [`SourceConnection::begin_past`].
    pub past: Ability,
    /// Since when those are at it who may write it can be seen: [`SourceConnection::open_transactions`].
    pub writers: Ability,
    /// How long before it can be seen a transaction may have taken the time it writes.
    pub head_start: Duration,
    /// How long a writer can be at it at most, by the nature of the database.
    pub longest: Duration,
    /// How many ids a session or a node of the database takes at once, to use some of them later; 0 if it takes one at
    /// a time.
    pub ids_kept: u64,
    /// A row is what was written: no view or query, whose columns may be others each time they are read.
    pub is_table: bool,
}

impl Default for LateSupport {
    fn default() -> Self {
        Self {
            views: Ability::default(),
            past: Ability::default(),
            writers: Ability::default(),
            head_start: Duration::from_secs(1),
            longest: Duration::MAX,
            ids_kept: 0,
            is_table: false,
        }
    }
}

/// Whether something is possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ability {
    /// It is.
    Yes {
        /// What is not covered by it; empty if nothing is known.
        but: String,
    },
    /// It is not.
    No {
        /// Why, in words that follow a colon; empty if the database has nothing of the kind.
        why: String,
        /// What would change that; empty if nothing does.
        raise: String,
    },
}

impl Ability {
    /// It is possible, without anything known against it.
    pub fn yes() -> Self {
        Self::Yes { but: String::new() }
    }

    /// It is not.
    pub fn no(why: impl Into<String>, raise: impl Into<String>) -> Self {
        Self::No { why: why.into(), raise: raise.into() }
    }
}

impl Default for Ability {
    fn default() -> Self {
        Self::no("", "")
    }
}

/// What `explain` shows of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanReport {
    /// The database's own text, one line an entry.
    pub lines: Vec<String>,
    /// Whether an index serves both the range and the order (no full scan, no sort).
    pub index_serves: bool,
}

/// What was being done when an error came: a missing column means another thing to a page than to a
/// description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Connect,
    Describe,
    Page,
}
