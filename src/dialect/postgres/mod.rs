//! PostgreSQL, 12 and newer. A session only reads, in UTC.
//!
//! Beside the files of every dialect: `binary`, `numeric` and `wire` know the forms of values, `type_table` the types,
//! `changes` whether anything was committed,
//! `settings` the settings of a session, `stored` and `charset` text that the server cannot convert.

mod beside;
mod binary;
mod bind;
mod catalog;
mod changes;
mod charset;
mod classify;
mod clock;
mod comments;
mod commit_time;
mod connect;
mod cursor;
mod decode;
mod explain;
mod facts;
mod fetch;
mod grants;
mod identity;
mod incarnation;
mod keys;
mod numeric;
mod replica;
mod session;
mod settings;
mod shape;
mod stored;
mod syntax;
mod text;
mod transactions;
mod type_table;
mod types;
mod wire;

use futures_util::future::BoxFuture;
use sqlx::Connection;
use sqlx::postgres::PgConnection;

use self::session::{GRACE, Session};
use super::connection::{ChangeTokens, SnapshotViews, SourceConnection};
use super::kind::{Dialect, DocumentedType};
use super::syntax::SqlSyntax;
use super::vigil::Vigil;
use crate::config::spec::{SourceSpec, TypeSpec};
use crate::error::Result;

/// PostgreSQL.
pub struct Postgres;

impl Dialect for Postgres {
    fn name(&self) -> &'static str {
        "postgresql"
    }

    fn syntax(&self) -> &'static dyn SqlSyntax {
        &syntax::Syntax
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

impl SourceConnection for Session {
    fn snapshot_views(&mut self) -> Option<&mut dyn SnapshotViews> {
        Some(self)
    }

    fn change_tokens(&mut self) -> Option<&mut dyn ChangeTokens> {
        if self.standby || self.pooled { None } else { Some(self) }
    }

    fn end_view<'a>(&'a mut self) -> BoxFuture<'a, Result<()>> {
        Box::pin(transactions::end(self))
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

/// A session for the application beside rowtide: on the server that rowtide would read, free to write. rowtide's own
/// sessions only read.
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
