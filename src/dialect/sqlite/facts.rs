//! Facts about cursor columns from SQLite's rules: without AUTOINCREMENT the ids of deleted last rows are handed out
//! again. Asks the schema only.

use sqlx::Arguments;
use sqlx::sqlite::SqliteArguments;

use super::super::statement::Doing;
use super::session::{Session, column};
use crate::error::{Error, Result};
use crate::model::{CursorFact, FactWeight};

/// The column that is the rowid, if the table has one and does not keep track of the ids handed out. The keyword
/// may stand in a comment too; then nothing is said.
const REUSED: &str = "
    select c.name from pragma_table_info(?1) c
    join sqlite_schema s on s.name = ?1 collate nocase and s.type = 'table'
    where c.pk = 1 and c.type = 'INTEGER' collate nocase and s.sql not like '%autoincrement%'
      and (select count(*) from pragma_table_info(?1) k where k.pk > 0) = 1
      and not coalesce((select wr from pragma_table_list(?1) limit 1), 0)";

pub(super) async fn cursor_facts(session: &mut Session, table: &str, columns: &[String]) -> Result<Vec<CursorFact>> {
    let mut binds = SqliteArguments::default();
    binds.add(table.to_owned()).map_err(|_| Error::internal("a table name cannot be bound"))?;
    let rows = session.rows(REUSED, binds, Doing::Describe).await?;
    let Some(row) = rows.first() else { return Ok(Vec::new()) };
    let reused: String = column(row, 0)?;
    if !columns.contains(&reused) {
        return Ok(Vec::new());
    }
    let text = "without AUTOINCREMENT the database hands out the ids of deleted last rows again, so a new row may get \
                an id that was read already";
    Ok(vec![CursorFact { column: reused, weight: FactWeight::Warning, text: text.to_owned() }])
}
