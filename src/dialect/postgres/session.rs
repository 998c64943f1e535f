//! An open session: its parts, its state between calls, and its preparation before a call and after.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection, Row};

use super::super::late_support::Ability;
use super::super::statement::{Doing, statement};
use super::super::vigil::Vigil;
use super::super::vigil::farewell::Farewell;
use super::beside::{Backend, Beside};
use super::charset::Charset;
use super::classify::classify;
use crate::config::spec::ColumnTypes;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Relation;

/// The longest time for a goodbye.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// One open session.
pub(super) struct Session {
    pub(super) connection: PgConnection,
    pub(super) server: String,
    pub(super) identity: String,
    pub(super) standby: bool,
    pub(super) types: ColumnTypes,
    pub(super) hide_unprivileged: bool,
    pub(super) vigil: Vigil,
    pub(super) beside: Arc<Beside>,
    /// True if a pooler may stand between: no named statements, one transaction around each call.
    pub(super) pooled: bool,
    /// The statement that begins a transaction of one call.
    pub(super) begin: String,
    /// The settings at the beginning of a transaction; empty where the session is set already.
    pub(super) local: String,
    pub(super) notes: Notes,
    pub(super) _farewell: Farewell,
}

/// State of the session that outlives a call.
#[derive(Default)]
pub(super) struct Notes {
    /// True if prepared statements no longer fit the tables.
    pub(super) stale: bool,
    /// True if a transaction was left open by a result that was not read to its end.
    pub(super) open_transaction: bool,
    /// True if a transaction is open in which everything is one view.
    pub(super) in_view: bool,
    /// The visibility of transactions, once it was looked at.
    pub(super) rights: Option<Rights>,
    /// Characters of the database's encoding, for text that is read as it is stored.
    pub(super) charset: Arc<Charset>,
    /// Columns described NOT NULL that gave a null (outer joins), per relation.
    pub(super) nullable: HashMap<Relation, HashSet<String>>,
}

/// The rights of a role to look at transactions.
#[derive(Clone)]
pub(super) struct Rights {
    pub(super) views: Ability,
    pub(super) writers: Ability,
}

/// Waits for an answer of the server.
pub(super) async fn answered<T>(vigil: &Vigil, doing: Doing, call: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
    vigil.answer(call).await?.map_err(|error| classify(error, doing))
}

/// A value of the catalog.
pub(super) fn get<'r, T>(row: &'r PgRow, index: usize) -> Result<T>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(index).map_err(|_| Error::internal("the catalog answers in another form than expected"))
}

impl Session {
    /// Puts the connection in order before a call; a view is in order.
    pub(super) async fn begin(&mut self) -> Result<()> {
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

    /// Ends everything that earlier calls have left open.
    pub(super) async fn tidy(&mut self) -> Result<()> {
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
    pub(super) async fn end(&mut self) -> Result<()> {
        if self.notes.in_view {
            return Ok(());
        }
        if self.notes.open_transaction {
            self.run("commit").await?;
            self.notes.open_transaction = false;
        }
        Ok(())
    }

    pub(super) async fn run(&mut self, sql: &str) -> Result<()> {
        let call = sqlx::raw_sql(statement(sql)).execute(&mut self.connection);
        answered(&self.vigil, Doing::Page, call).await.map(|_| ())
    }

    /// Takes in an error's consequence for the next call.
    pub(super) fn noted(&mut self, error: Error) -> Error {
        if error.kind() == ErrorKind::SchemaChanged {
            self.notes.stale = true;
        }
        error
    }
}
