//! Which server answers, such that a copy restored elsewhere is another one.

use sqlx::mysql::MySqlConnection;

use super::super::Doing;
use super::super::vigil::Vigil;
use super::{Server, answered, text};
use crate::error::{ErrorKind, Result};

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
