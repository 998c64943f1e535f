//! The server's identity: the system identifier of the cluster, which a promoted standby keeps and a new
//! cluster does not, and the database in it.

use futures_util::future::BoxFuture;
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::super::connection::ServerIdentity;
use super::super::replica::ReplicaLag;
use super::super::statement::Doing;
use super::super::vigil::Vigil;
use super::replica;
use super::session::{Session, answered};
use crate::error::{Error, ErrorKind, Result};

impl ServerIdentity for Session {
    fn server(&self) -> &str {
        &self.server
    }

    fn identity(&self) -> Option<&str> {
        Some(&self.identity)
    }

    fn is_replica(&self) -> bool {
        self.standby
    }

    fn replica_lag<'a>(&'a mut self) -> BoxFuture<'a, Result<ReplicaLag>> {
        Box::pin(replica::lag(self))
    }
}

/// `postgresql database shop (16384), system 7301…`; without the system where the server does not tell.
pub(super) async fn of(connection: &mut PgConnection, vigil: &Vigil) -> Result<String> {
    let database = "select datname::text, oid::text from pg_catalog.pg_database where datname = current_database()";
    let call = sqlx::raw_sql(database).fetch_one(&mut *connection);
    let row = answered(vigil, Doing::Connect, call).await?;
    let database = format!("postgresql database {} ({})", text(&row, 0)?, text(&row, 1)?);
    let system = "select system_identifier::text from pg_catalog.pg_control_system()";
    let call = sqlx::raw_sql(system).fetch_one(connection);
    match answered(vigil, Doing::Connect, call).await {
        Ok(row) => Ok(format!("{database}, system {}", text(&row, 0)?)),
        // A transient error must not make the server look like another one.
        Err(error) if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Query | ErrorKind::TimeLimit) => {
            Err(error)
        }
        Err(error) => {
            tracing::debug!(error = %error.report(), "the server does not tell its system identifier");
            Ok(database)
        }
    }
}

fn text(row: &PgRow, index: usize) -> Result<String> {
    row.try_get(index).map_err(|_| Error::internal("the server's identity cannot be read"))
}
