//! An open connection to a database, by families of calls: [`Catalog`] describes tables, [`PageSource`] reads their rows,
//! [`ServerIdentity`] says which server answers, [`Transactions`] lists open transactions, or gives the clock at least.
//! Families that not every database has are handed out by [`SourceConnection`], none where there is nothing of the kind:
//! [`SnapshotViews`], [`PastReads`], [`ChangeTokens`].
//!
//! A dialect implements each family for its session in the file of that family's name. Every error leaves a connection
//! already classified, without row values; after one of kind `Unreachable` the connection is not used again.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::late_support::LateSupport;
use super::replica::ReplicaLag;
use super::stream::RowStream;
use super::vigil::Vigil;
use crate::config::spec::CatalogFilter;
use crate::error::{Error, Result};
use crate::model::{
    ChangeToken, ColumnDefinition, Comments, CursorFact, CursorKind, CursorValue, Incarnation, Lineage, Micros,
    OpenTransactions, PastView, PlannedQuery, Relation, TableDefinition, TableId, ViewAnswer, ViewQuestion,
};
use crate::zone::Zone;

/// One open connection.
pub trait SourceConnection: Catalog + PageSource + ServerIdentity + Transactions {
    /// Snapshots whose rows tell the transaction that wrote them (PostgreSQL).
    fn snapshot_views(&mut self) -> Option<&mut dyn SnapshotViews> {
        None
    }

    /// Reads as of a time (TiDB).
    fn past_reads(&mut self) -> Option<&mut dyn PastReads> {
        None
    }

    /// Tokens of what is committed (PostgreSQL, SQLite).
    fn change_tokens(&mut self) -> Option<&mut dyn ChangeTokens> {
        None
    }

    /// Ends the view or the read of the past that is open, however its statements ended; does nothing if there is none.
    fn end_view<'a>(&'a mut self) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    /// Probe of the connection after an idle time, in which a server, a proxy or a firewall may have closed it without
    /// a word; true if the other end still answers.
    fn is_alive<'a>(&'a mut self) -> BoxFuture<'a, bool> {
        Box::pin(async { true })
    }

    /// The watch over silent statements; none where nothing is waited for.
    fn vigil(&self) -> Option<&Vigil> {
        None
    }

    /// Cancels the statement that runs, if a call was left in the middle of one, and closes politely. Dropping is
    /// enough otherwise: a running statement is cancelled in the background ([`super::farewells`]).
    fn close(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// Tables and columns, as the database's catalog has them.
pub trait Catalog: Send {
    /// The tables the filter lets the database list (catalog, schema and types only; name lists and
    /// patterns are applied by the caller), in the database's order (`connector-config.md`, 6.1).
    fn list_tables<'a>(&'a mut self, filter: &'a CatalogFilter) -> BoxFuture<'a, Result<Vec<TableId>>>;

    /// The columns and keys of a relation. `time_columns` are those that may serve as timestamp cursor: a dialect whose
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

    /// The comments on a relation and its columns. Of a query those of columns that are a table's, where the database
    /// tells them. One statement; inside a description of the relation, whose rights it needs.
    fn comments<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<Comments>> {
        let _ = relation;
        Box::pin(async { Ok(Comments::default()) })
    }

    /// The column that gives each row's time of commit (`record.timestamp=commit`).
    ///
    /// # Errors
    /// `Config` with the reason if the database does not tell it.
    fn commit_time<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<ColumnDefinition>> {
        let _ = relation;
        Box::pin(async { Err(no_commit_time("the database does not tell when a row was committed", NO_COMMIT_TIME)) })
    }

    /// The number of rows by the database's statistics, without counting; none if unknown.
    fn estimate_rows<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<Option<u64>>> {
        let _ = relation;
        Box::pin(async { Ok(None) })
    }

    /// The consequences of the database's own rules for these columns as cursor: how ids are handed out, whether an
    /// update moves a timestamp. Of a table only; a query has none.
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

    /// The incarnation of each of these tables as it is now, in their order; none of one that is not there or has no
    /// identity, as a view. Beside a table stands the column whose ids the database hands out, if it is polled by one. Not
    /// inside a view of the database.
    ///
    /// # Errors
    /// `Unreachable` if the tables are somewhere else now than where the connection leads.
    fn incarnations<'a>(&'a mut self, tables: &'a [Counted]) -> BoxFuture<'a, Result<Vec<Option<Incarnation>>>> {
        Box::pin(async move { Ok(vec![None; tables.len()]) })
    }

    /// The means to find late rows of a relation. `id` is the column whose values are handed out in order, if the
    /// cursor has one.
    fn late_support<'a>(
        &'a mut self,
        relation: &'a Relation,
        id: Option<&'a str>,
    ) -> BoxFuture<'a, Result<LateSupport>> {
        let _ = (relation, id);
        Box::pin(async { Ok(LateSupport::default()) })
    }
}

const NO_COMMIT_TIME: &str = "use record.timestamp=column, or now";

/// The error of rows whose time of commit is not told.
pub(super) fn no_commit_time(why: &str, advice: &str) -> Error {
    Error::config(format!("record.timestamp=commit: {why}")).advise(advice)
}

/// A table, and the column whose ids the database hands out, if it is polled by one.
pub type Counted = (TableId, Option<String>);

/// Pages of rows, and the clock that bounds them.
pub trait PageSource: Send {
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
}

/// The database's plan for a page, for `explain`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanReport {
    /// The database's own text, one line an entry.
    pub lines: Vec<String>,
    /// True if an index serves both the range and the order (no full scan, no sort).
    pub index_serves: bool,
}

/// The server at the other end.
pub trait ServerIdentity: Send {
    /// Product and version, for logs and `check`.
    fn server(&self) -> &str;

    /// The server's identity, such that a copy restored elsewhere has another: `system 7301…, database shop`.
    /// None where the database has nothing of the kind.
    fn identity(&self) -> Option<&str> {
        None
    }

    /// The origins of the transactions that the server has executed, by which the servers of one replication cluster know
    /// each other. Empty where it does not tell, and where all of them have one [`ServerIdentity::identity`].
    fn lineage<'a>(&'a mut self) -> BoxFuture<'a, Result<Lineage>> {
        Box::pin(async { Ok(Lineage::default()) })
    }

    /// True for a standby, which may lag behind another server that was read before.
    fn is_replica(&self) -> bool {
        false
    }

    /// The lag behind the server that it follows, now.
    ///
    /// # Errors
    /// Those of the connection; a server that does not tell is no error.
    fn replica_lag<'a>(&'a mut self) -> BoxFuture<'a, Result<ReplicaLag>> {
        Box::pin(async { Ok(ReplicaLag::NoReplica) })
    }
}

/// The transactions of the server.
pub trait Transactions: Send {
    /// The transactions that are open now and write, or may; where they cannot be seen, the clock only. Right on any
    /// session of the server, so a pooler may stand between; not inside a view of the past. The list is made after the
    /// clock is read.
    fn open_transactions<'a>(&'a mut self) -> BoxFuture<'a, Result<OpenTransactions>>;
}

/// Snapshots of a database whose rows tell the transaction that wrote them.
pub trait SnapshotViews: Send {
    /// Begins a read-only transaction in which everything is one view of the database, until
    /// [`SourceConnection::end_view`].
    fn begin_view<'a>(&'a mut self, question: &'a ViewQuestion) -> BoxFuture<'a, Result<ViewAnswer>>;

    /// The files of a relation's rows: other files mean that all of it was written anew, and that its rows tell
    /// the transaction that did so. Right inside a view.
    fn storage<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<String>>;
}

/// Reads of a database as of a time.
pub trait PastReads: Send {
    /// Begins a read-only transaction that reads the database as of a time, or as of the latest that is final, until
    /// [`SourceConnection::end_view`]. If the time is before the horizon, nothing has begun. Rows that were read as of
    /// a time are the same whenever they are read again; a range that nobody has read as of it may still grow by rows
    /// that are committed in this moment.
    fn begin_past<'a>(&'a mut self, as_of: Option<Micros>) -> BoxFuture<'a, Result<PastView>>;
}

/// Tokens of what is committed: one cheap statement tells for many tables that nothing has changed. A database that would
/// only most likely tell has none.
pub trait ChangeTokens: Send {
    /// The token of what a statement shows that begins now; none where the server cannot tell at the moment. Not inside a
    /// view of the database, where time stands still.
    fn change_token<'a>(&'a mut self) -> BoxFuture<'a, Result<Option<ChangeToken>>>;

    /// True if the rows of a relation, as this session sees them, change by commits only that the token tells of: no view or
    /// query, nothing of another server, no policy that may look at the clock. As long as the token is the same, so is the
    /// answer.
    fn changes_by_commits<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<bool>>;
}
