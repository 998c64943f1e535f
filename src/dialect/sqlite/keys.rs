//! The keys of a table that the database keeps unique over all its rows.

use std::collections::HashMap;

use sqlx::Arguments;
use sqlx::sqlite::SqliteArguments;

use super::super::statement::Doing;
use super::session::{Session, column};
use super::types::Declared;
use crate::error::{Error, Result};
use crate::model::UniqueKeys;

/// A column as its table declares it.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) declared: String,
    pub(super) not_null: bool,
    /// True if no row can hold NULL: declared so, the rowid, or in the key of a table WITHOUT ROWID.
    pub(super) never_null: bool,
    /// Place in the primary key from 1, 0 for none.
    pub(super) key: i64,
    /// True if it is the rowid.
    pub(super) is_rowid: bool,
    /// True if the table declares a collation for one of its columns.
    pub(super) collated: bool,
}

/// The keys that the database keeps unique over all rows of a table. NULL is allowed in a primary key that is neither the
/// rowid nor that of a table WITHOUT ROWID; a key counts where no collation but that of bytes is declared, or what it is
/// over holds no text.
pub(super) async fn unique(
    session: &mut Session,
    table: &str,
    columns: &HashMap<String, Origin>,
) -> Result<UniqueKeys> {
    let rowid = columns.iter().find(|(_, column)| column.is_rowid).map(|(name, _)| vec![name.clone()]);
    let sql = "select l.name, i.name, coalesce(i.coll, '') from pragma_index_list(?1) l, pragma_index_xinfo(l.name) i
               where l.\"unique\" and not l.partial and i.key order by l.seq, i.seqno";
    let mut binds = SqliteArguments::default();
    binds.add(table.to_owned()).map_err(|_| Error::internal("a table name cannot be bound"))?;
    let rows = session.rows(sql, binds, Doing::Describe).await?;
    let mut parts: Vec<(String, Option<String>)> = Vec::with_capacity(rows.len());
    for row in &rows {
        let name: Option<String> = column(row, 1)?;
        let by_bytes = column::<String>(row, 2)?.eq_ignore_ascii_case("binary");
        let counts = |name: &String| {
            columns.get(name).is_some_and(|column| {
                let is_text = Declared::parse(&column.declared).is_text();
                column.never_null && by_bytes && !(column.collated && is_text)
            })
        };
        parts.push((column(row, 0)?, name.filter(counts)));
    }
    let keys = parts.chunk_by(|(one, _), (other, _)| one == other);
    let keys = keys.filter_map(|key| key.iter().map(|(_, name)| name.clone()).collect::<Option<Vec<String>>>());
    Ok(UniqueKeys { keys: rowid.into_iter().chain(keys).collect(), none_because: None })
}
