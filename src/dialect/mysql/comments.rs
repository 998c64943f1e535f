//! Comments on tables and columns, as `information_schema` has them. A result does not tell where its columns come from, so of
//! a query there are none.

use super::super::statement::Doing;
use super::session::{Session, text};
use crate::error::Result;
use crate::model::{Comments, Relation};

/// The comment on the table has no column's name. That of a view is the word VIEW.
const OF_TABLE: &str = "
    select null, table_comment from information_schema.tables
    where table_schema = coalesce(nullif(?, ''), database()) and table_name = ? and table_comment <> ''
      and table_type <> 'VIEW'
    union all
    select column_name, column_comment from information_schema.columns
    where table_schema = coalesce(nullif(?, ''), database()) and table_name = ? and column_comment <> ''";

/// The comments of a table.
pub(super) async fn of(session: &mut Session, relation: &Relation) -> Result<Comments> {
    let Relation::Table(id) = relation else { return Ok(Comments::default()) };
    session.begin(relation).await?;
    let catalog = id.catalog.as_deref().unwrap_or_default();
    let rows = session.rows(OF_TABLE, &[catalog, &id.name, catalog, &id.name], Doing::Describe).await?;
    let mut comments = Comments::default();
    for row in &rows {
        let Some(comment) = text(row, 1)? else { continue };
        match text(row, 0)? {
            Some(column) => comments.columns.push((column.to_owned(), comment.into())),
            None => comments.relation = Some(comment.into()),
        }
    }
    Ok(comments)
}
