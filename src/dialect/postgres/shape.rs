//! The columns of a result, without a row of the relation.

use sqlx::postgres::PgRow;

use super::super::statement::{Doing, statement};
use super::session::{Session, answered};
use crate::error::Result;

/// A row of nulls, which shows the columns. To prepare the statement would do, but then the driver looks up types by
/// itself, and fails on those it does not know (multiranges, alone or in an array or a composite).
pub(super) async fn shape_of(session: &mut Session, list: &str, base: &str) -> Result<PgRow> {
    let shape = format!("select {list} from (select 1) as one left join {base} as t on false");
    let call = sqlx::raw_sql(statement(&shape)).fetch_one(&mut session.connection);
    answered(&session.vigil, Doing::Describe, call).await
}
