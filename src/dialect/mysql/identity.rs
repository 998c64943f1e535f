//! The identity of the server, by which a copy restored elsewhere is another one; and the origins of the transactions
//! it has executed, by which a promoted replica is known for the server it has replaced.

use futures_util::future::BoxFuture;
use sqlx::mysql::MySqlConnection;

use super::super::connection::ServerIdentity;
use super::super::replica::ReplicaLag;
use super::super::statement::Doing;
use super::super::vigil::Vigil;
use super::replica;
use super::server::Server;
use super::session::{Session, answered, text};
use crate::error::{ErrorKind, Result};
use crate::model::Lineage;

impl ServerIdentity for Session {
    fn server(&self) -> &str {
        &self.server
    }

    fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    fn lineage<'a>(&'a mut self) -> BoxFuture<'a, Result<Lineage>> {
        Box::pin(lineage(self))
    }

    fn is_replica(&self) -> bool {
        self.replica
    }

    fn replica_lag<'a>(&'a mut self) -> BoxFuture<'a, Result<ReplicaLag>> {
        Box::pin(replica::lag(self))
    }
}

/// `server_uuid` of MySQL, `server_uid` of MariaDB (from 10.10 on), the cluster id of TiDB; none where the
/// server has none or does not tell.
pub(super) async fn of(connection: &mut MySqlConnection, kind: Server, vigil: &Vigil) -> Result<Option<String>> {
    let (what, sql) = match kind {
        Server::MySql => ("mysql server", "select @@global.server_uuid"),
        Server::MariaDb => ("mariadb server", "select @@global.server_uid"),
        Server::TiDb => ("tidb cluster", "select variable_value from mysql.tidb where variable_name = 'cluster_id'"),
    };
    let found = answered(vigil, Doing::Connect, sqlx::raw_sql(sql).fetch_optional(connection)).await;
    match found {
        Ok(Some(row)) => Ok(text(&row, 0)?.filter(|id| !id.is_empty()).map(|id| format!("{what} {id}"))),
        Ok(None) => Ok(None),
        // A variable or table that an older server lacks, or a right that is missing.
        Err(error) if error.kind() != ErrorKind::Unreachable => Ok(None),
        Err(error) => Err(error),
    }
}

/// MySQL: the servers, or groups, whose transactions `gtid_executed` names. MariaDB: the last transaction of each server and
/// domain that its binary log or its replication knows. Empty where GTIDs are off. TiDB has one identity a cluster.
async fn lineage(session: &mut Session) -> Result<Lineage> {
    let sql = match session.kind {
        Server::MySql => "select @@global.gtid_executed, @@global.server_uuid",
        Server::MariaDb => {
            "select concat_ws(',', @@global.gtid_binlog_state, @@global.gtid_slave_pos), cast(@@global.server_id as char)"
        }
        Server::TiDb => return Ok(Lineage::default()),
    };
    let rows = match session.rows(sql, &[], Doing::Describe).await {
        // A proxy, or a server of another kind, that knows no such variable.
        Err(error) if error.kind() != ErrorKind::Unreachable => return Ok(Lineage::default()),
        rows => rows?,
    };
    let Some(row) = rows.first() else { return Ok(Lineage::default()) };
    let executed = text(row, 0)?.unwrap_or_default();
    let source = |set: &str| match session.kind {
        // `uuid:1-77:tag:1-5`.
        Server::MySql => set.split(':').next().unwrap_or_default().trim().to_ascii_lowercase(),
        _ => set.trim().to_owned(),
    };
    let mut sources: Vec<String> = executed.split(',').map(source).filter(|source| !source.is_empty()).collect();
    sources.sort();
    sources.dedup();
    Ok(Lineage { sources, own: text(row, 1)?.map(str::to_ascii_lowercase) })
}
