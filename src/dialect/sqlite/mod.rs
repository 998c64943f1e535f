//! SQLite. The file is only read; the driver keeps a thread for each connection.
//!
//! Beside the files of every dialect: `stored` knows values by their storage class, `changes` whether anything was
//! committed.

mod beside;
mod bind;
mod catalog;
mod changes;
mod classify;
mod clock;
mod connect;
mod cursor;
mod decode;
mod explain;
mod facts;
mod fetch;
mod identity;
mod incarnation;
mod keys;
mod session;
mod stored;
mod syntax;
mod text;
mod transactions;
mod types;

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::Connection;

use self::session::Session;
use super::connection::{ChangeTokens, SourceConnection};
use super::kind::{Dialect, DocumentedType};
use super::syntax::SqlSyntax;
use super::vigil::Vigil;
use crate::config::spec::{SourceSpec, TypeSpec};
use crate::error::Result;

/// SQLite.
pub struct Sqlite;

impl Dialect for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn syntax(&self) -> &'static dyn SqlSyntax {
        &syntax::Syntax
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

impl SourceConnection for Session {
    fn change_tokens(&mut self) -> Option<&mut dyn ChangeTokens> {
        Some(self)
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
