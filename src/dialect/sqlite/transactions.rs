//! Transactions of SQLite: a file does not show its writers, only its clock is there.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::Arguments;
use sqlx::sqlite::SqliteArguments;

use super::super::connection::Transactions;
use super::super::late_support::{Ability, LateSupport};
use super::super::statement::Doing;
use super::clock;
use super::session::Session;
use crate::error::{Error, Result};
use crate::model::{OpenTransactions, Relation};

impl Transactions for Session {
    fn open_transactions<'a>(&'a mut self) -> BoxFuture<'a, Result<OpenTransactions>> {
        Box::pin(async move { Ok(OpenTransactions { clock: clock::now(self).await?, ..OpenTransactions::default() }) })
    }
}

pub(super) async fn late_support(session: &mut Session, relation: &Relation) -> Result<LateSupport> {
    let is_table = match relation {
        Relation::Table(id) => is_table(session, &id.name).await?,
        Relation::Query(_) => false,
    };
    let writers = Ability::no("a file does not show who is writing it", "");
    // A time taken under the lock is committed before the next one; one taken before is late by the wait for the lock
    // at most.
    let longest = Duration::from_secs(60);
    Ok(LateSupport { writers, is_table, longest, ..LateSupport::default() })
}

/// True if it is a table, and no view.
async fn is_table(session: &mut Session, table: &str) -> Result<bool> {
    let mut binds = SqliteArguments::default();
    binds.add(table.to_owned()).map_err(|_| Error::internal("a table name cannot be bound"))?;
    let sql = "select 1 from sqlite_schema where type = 'table' and name = ?1 collate nocase
               union all select 1 from sqlite_temp_schema where type = 'table' and name = ?1 collate nocase";
    Ok(!session.rows(sql, binds, Doing::Describe).await?.is_empty())
}
