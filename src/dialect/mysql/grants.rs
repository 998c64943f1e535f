//! Tables of which the account may read some columns only (`GRANT SELECT (column)`). The catalog shows those columns and no
//! word of the others, so such a table is read only if the configuration chooses among its columns.

use super::super::statement::Doing;
use super::roles;
use super::session::Session;
use super::syntax::{back_quoted, sql_name};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Relation, SkippedColumn, TableId};

const NOT_SHOWN: &str = "not granted to the account, and not shown by the catalog";

/// The columns of a table that the account may not read: those that are excluded by name, and a word for others there may be.
/// Empty if it may read the table.
///
/// # Errors
/// `Privilege`, with the columns that may be read, if more are wanted.
pub(super) async fn hidden(
    session: &mut Session,
    (id, relation): (&TableId, &Relation),
    shown: &[&str],
) -> Result<Vec<SkippedColumn>> {
    let Err(error) = readable(session, id, "t.*").await else { return Ok(Vec::new()) };
    if error.kind() != ErrorKind::Privilege {
        return Err(error);
    }
    if let Some(advice) = roles::inactive(&mut session.connection, &session.vigil).await {
        return Err(error.advise(advice));
    }
    let Some(excluded) = session.types.exclusions(relation) else { return Err(advised(error, id, shown)) };
    let wanted: Vec<&str> = shown.iter().copied().filter(|name| !session.types.leaves_out(relation, name)).collect();
    let list: Vec<String> = wanted.iter().map(|name| format!("t.{}", back_quoted(name))).collect();
    if list.is_empty() || readable(session, id, &list.join(", ")).await.is_err() {
        return Err(advised(error, id, shown));
    }
    let is_shown = |name: &String| shown.iter().any(|shown| shown.eq_ignore_ascii_case(name));
    let named = excluded.into_iter().filter(|name| !is_shown(name));
    let names = named.chain(["any other column".to_owned()]);
    Ok(names.map(|name| SkippedColumn { name, database_type: NOT_SHOWN.to_owned() }).collect())
}

/// A look at columns of a table, of which not a row is read.
async fn readable(session: &mut Session, id: &TableId, list: &str) -> Result<()> {
    // In a FROM of its own: there are types that the driver cannot take in a result.
    let sql = format!("select 1 from (select {list} from {} as t limit 0) as readable", sql_name(id));
    session.rows(&sql, &[], Doing::Describe).await.map(drop)
}

fn advised(error: Error, id: &TableId, shown: &[&str]) -> Error {
    let granted = shown.iter().map(|name| back_quoted(name)).collect::<Vec<_>>().join(", ");
    error.advise(format!(
        "the account may read only the columns {granted}: grant select on the table, choose them with \
         table.{id}.columns.include={}, or poll query=select {granted} from {}",
        shown.join(","),
        sql_name(id)
    ))
}
