//! An open session: its parts, its state between calls, and its preparation before a call.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::time::Duration;

use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{Connection, Decode, Row};

use super::super::statement::{Doing, statement};
use super::super::vigil::Vigil;
use super::super::vigil::farewell::Farewell;
use super::bind;
use super::classify::{classify, is_forgotten};
use super::server::{Quirks, Server};
use super::starts::Writers;
use super::variables::Variables;
use crate::config::spec::ColumnTypes;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Micros, Relation};
use crate::zone::Zone;

/// The longest time for a goodbye.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// One open session.
pub(super) struct Session {
    pub(super) connection: MySqlConnection,
    pub(super) kind: Server,
    pub(super) server: String,
    pub(super) identity: Option<String>,
    /// The database of the URL.
    pub(super) database: Option<String>,
    pub(super) types: ColumnTypes,
    pub(super) quirks: Quirks,
    /// True if only the database of the URL is listed.
    pub(super) current_database_only: bool,
    /// `@@auto_increment_increment`, which sessions have from the server.
    pub(super) id_step: u64,
    /// True if the server only follows another one.
    pub(super) replica: bool,
    pub(super) vigil: Vigil,
    pub(super) zone: ZoneState,
    pub(super) writers: Writers,
    pub(super) notes: Notes,
    pub(super) _farewell: Farewell,
}

/// The name, among those of columns with broken dates, of one that is hidden in the result.
pub(super) const OF_HIDDEN: &str = "";

/// State of the session that outlives a call.
#[derive(Default)]
pub(super) struct Notes {
    /// True if prepared statements no longer fit the tables.
    pub(super) stale: bool,
    /// True if a transaction was left open by a call that did not come to its end.
    pub(super) open_transaction: bool,
    /// A transaction is open that reads the database as of this time.
    pub(super) past: Option<Micros>,
    /// Times before this one have turned out to be forgotten.
    pub(super) forgotten: Micros,
    /// Columns described NOT NULL that gave a null (outer joins), per relation.
    pub(super) nullable: HashMap<Relation, HashSet<String>>,
    /// Columns of dates that gave one which is none where it had to tell an order, per relation.
    pub(super) broken_dates: HashMap<Relation, HashSet<String>>,
    /// Columns that gave a value beyond the narrowest type in which a driver delivers them, per relation.
    pub(super) exceeding: HashMap<Relation, HashSet<String>>,
    /// The column types of queries with user variables.
    pub(super) variables: HashMap<Relation, Variables>,
    /// True if the catalog's statistics are made anew when they are asked for.
    pub(super) fresh_statistics: bool,
    /// True if InnoDB does not show the ids of its tables to the account.
    pub(super) hides_engine: bool,
}

/// The session's zone.
pub(super) struct ZoneState {
    /// Its name before rowtide changed it.
    pub(super) name: String,
    /// The same as a zone; for `SYSTEM` one that the server's clock agrees with.
    pub(super) zone: Zone,
    /// True if it is `+00:00` now.
    pub(super) is_utc: bool,
    /// The name of the server's own when it was connected to; sessions begin in it.
    pub(super) global: String,
}

/// Waits for an answer of the server.
pub(super) async fn answered<T>(vigil: &Vigil, doing: Doing, call: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
    vigil.answer(call).await?.map_err(|error| classify(error, doing))
}

/// A column's bytes; none for null. The driver calls zero dates null, this does not.
pub(super) fn bytes(row: &MySqlRow, index: usize) -> sqlx::Result<Option<&[u8]>> {
    let raw = row.try_get_raw(index)?;
    // The only error there is means null.
    Ok(<&[u8] as Decode<sqlx::MySql>>::decode(raw).ok())
}

/// A column's text; none for null.
pub(super) fn text(row: &MySqlRow, index: usize) -> Result<Option<&str>> {
    let unreadable = || Error::internal("the server answers in another form than expected");
    let Some(bytes) = bytes(row, index).map_err(|_| unreadable())? else { return Ok(None) };
    std::str::from_utf8(bytes).map(Some).map_err(|_| unreadable())
}

/// The one value of a statement, as text.
pub(super) async fn one(connection: &mut MySqlConnection, sql: &'static str, vigil: &Vigil) -> Result<Option<String>> {
    let row = answered(vigil, Doing::Connect, sqlx::raw_sql(sql).fetch_one(connection)).await?;
    Ok(text(&row, 0)?.map(str::to_owned))
}

impl Session {
    /// Puts the connection in order before a call about a relation.
    pub(super) async fn begin(&mut self, relation: &Relation) -> Result<()> {
        self.tidy().await?;
        if std::mem::take(&mut self.notes.stale) {
            answered(&self.vigil, Doing::Page, self.connection.clear_cached_statements()).await?;
        }
        self.set_zone(is_table(relation)).await
    }

    /// Leaves no transaction behind of a call that did not come to its end.
    pub(super) async fn tidy(&mut self) -> Result<()> {
        if self.notes.open_transaction {
            self.run("rollback").await?;
            self.notes.open_transaction = false;
        }
        Ok(())
    }

    /// Sets the session's zone to UTC, or to its own.
    pub(super) async fn set_zone(&mut self, utc: bool) -> Result<()> {
        if utc != self.zone.is_utc {
            let zone = if utc { "+00:00".to_owned() } else { self.zone.name.replace('\'', "''") };
            // As text: TiDB takes no prepared SET inside a view of the past.
            self.run(&format!("set time_zone = '{zone}'")).await?;
            self.zone.is_utc = utc;
        }
        Ok(())
    }

    pub(super) async fn run(&mut self, sql: &str) -> Result<()> {
        let call = sqlx::raw_sql(statement(sql)).execute(&mut self.connection);
        answered(&self.vigil, Doing::Page, call).await.map(|_| ())
    }

    /// Runs statements in one round trip, the first of which begins a transaction and the last of which ends it;
    /// gives the rows of all, every value as text.
    pub(super) async fn in_transaction(&mut self, sql: &str) -> Result<Vec<MySqlRow>> {
        self.tidy().await?;
        self.notes.open_transaction = true;
        let call = sqlx::raw_sql(statement(sql)).fetch_all(&mut self.connection);
        let rows = answered(&self.vigil, Doing::Page, call).await?;
        self.notes.open_transaction = false;
        Ok(rows)
    }

    /// The rows of a statement, every value as text.
    pub(super) async fn texts(&mut self, sql: &str, doing: Doing) -> Result<Vec<MySqlRow>> {
        self.tidy().await?;
        let call = sqlx::raw_sql(statement(sql)).fetch_all(&mut self.connection);
        answered(&self.vigil, doing, call).await
    }

    pub(super) async fn rows(&mut self, sql: &str, binds: &[&str], doing: Doing) -> Result<Vec<MySqlRow>> {
        self.tidy().await?;
        let call = bind::texts(sqlx::query(statement(sql)), binds).persistent(false);
        answered(&self.vigil, doing, call.fetch_all(&mut self.connection)).await
    }

    /// Notes what an error means for the next call.
    pub(super) fn noted(&mut self, error: Error) -> Error {
        self.notes.learn(&error);
        error
    }
}

impl Notes {
    /// Notes what an error means for the next call.
    pub(super) fn learn(&mut self, error: &Error) {
        self.stale |= error.kind() == ErrorKind::SchemaChanged;
        if let Some(as_of) = self.past.filter(|_| is_forgotten(error)) {
            self.forgotten = as_of + 1;
        }
    }
}

pub(super) fn is_table(relation: &Relation) -> bool {
    matches!(relation, Relation::Table(_))
}
