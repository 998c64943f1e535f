//! MySQL 8 and newer, MariaDB, and TiDB. One dialect with three names: which server answers is read from
//! its version, whatever the URL says.
//!
//! Beside the files of every dialect: `binary`, `shape` and `wire` know the forms of values, `forms` how drivers differ,
//! `roles` and `settings` accounts and sessions, `server` the three kinds, `zone` the zone of a session; `writers` and
//! `starts` list open transactions, `past` reads TiDB as of a time, `variables` refuses queries of two schemas.
//!
//! Tables are read in UTC, so that TIMESTAMP columns are instants also where the server's zone has an hour
//! twice. A custom query runs in the zone it would have with Kafka Connect, since it may say `now()`.

mod beside;
mod binary;
mod bind;
mod catalog;
mod classify;
mod clock;
mod comments;
mod connect;
mod cursor;
mod decode;
mod explain;
mod facts;
mod fetch;
mod forms;
mod grants;
mod identity;
mod incarnation;
mod keys;
mod past;
mod replica;
mod roles;
mod server;
mod session;
mod settings;
mod shape;
mod starts;
mod syntax;
mod text;
mod transactions;
mod types;
mod variables;
mod wire;
mod writers;
mod zone;

use futures_util::future::BoxFuture;
use sqlx::Connection;

use self::server::Server;
use self::session::{GRACE, Session};
use super::connection::{PastReads, SourceConnection};
use super::kind::{Dialect, DocumentedType};
use super::syntax::SqlSyntax;
use super::vigil::Vigil;
use crate::config::spec::{SourceSpec, TypeSpec};
use crate::error::Result;

/// MySQL.
pub struct MySql;
/// MariaDB.
pub struct MariaDb;
/// TiDB.
pub struct TiDb;

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

impl SourceConnection for Session {
    fn past_reads(&mut self) -> Option<&mut dyn PastReads> {
        if self.kind == Server::TiDb { Some(self) } else { None }
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
