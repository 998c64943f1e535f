//! Which server this is: the system identifier of the cluster, which a promoted standby keeps and a new
//! cluster does not, and the database in it; and how far its sequences have counted.

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Row};

use super::super::Doing;
use super::super::syntax::double_quoted;
use super::super::vigil::Vigil;
use super::{Session, answered};
use crate::error::{Error, ErrorKind, Result};
use crate::model::TableId;

/// `postgresql database shop (16384), system 7301…`; without the system where the server does not tell.
pub(super) async fn of(connection: &mut PgConnection, vigil: &Vigil) -> Result<String> {
    let database = "select datname::text, oid::text from pg_catalog.pg_database where datname = current_database()";
    let call = sqlx::raw_sql(AssertSqlSafe(database)).fetch_one(&mut *connection);
    let row = answered(vigil, Doing::Connect, call).await?;
    let database = format!("postgresql database {} ({})", text(&row, 0)?, text(&row, 1)?);
    let system = "select system_identifier::text from pg_catalog.pg_control_system()";
    let call = sqlx::raw_sql(AssertSqlSafe(system)).fetch_one(connection);
    match answered(vigil, Doing::Connect, call).await {
        Ok(row) => Ok(format!("{database}, system {}", text(&row, 0)?)),
        // What may pass must not make the server look like another one.
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

/// The last value of the sequence behind a serial or identity column; none if there is no such sequence, it
/// may not be looked at, or it has not begun.
pub(super) async fn last_id(session: &mut Session, id: &TableId, column: &str) -> Result<Option<i64>> {
    let table = id.parts().map(double_quoted).collect::<Vec<_>>().join(".");
    let sql = "select case when has_sequence_privilege(seq, 'usage, select') then pg_sequence_last_value(seq) end
               from (select pg_get_serial_sequence($1, $2)::regclass::oid as seq) s";
    let call = sqlx::query(sql).bind(table).bind(column).persistent(false).fetch_one(&mut session.connection);
    match answered(&session.vigil, Doing::Page, call).await {
        Ok(row) => row.try_get(0).map_err(|_| Error::internal("a sequence answers in another form than expected")),
        Err(error) if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Query | ErrorKind::TimeLimit) => {
            Err(error)
        }
        Err(_) => Ok(None),
    }
}
