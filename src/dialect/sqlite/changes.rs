//! Tokens of what is committed: SQLite counts the commits of other connections that it has seen (`PRAGMA data_version`),
//! in either form of journal. This one commits nothing. The count is that of the file that is open; one that was put in its
//! place is looked for by its identity.

use futures_util::future::BoxFuture;
use sqlx::Arguments;
use sqlx::sqlite::SqliteArguments;

use super::super::connection::ChangeTokens;
use super::super::statement::Doing;
use super::incarnation;
use super::session::{Session, column};
use crate::error::{Error, Result};
use crate::model::{ChangeToken, Relation};

/// The rows of a virtual table are where its module takes them from.
const IN_FILE: &str = "
    select type = 'table' and rootpage > 0 from sqlite_schema where type in ('table', 'view') and name = ?1 collate nocase
    union all select 0 from sqlite_temp_schema where type in ('table', 'view') and name = ?1 collate nocase";

impl ChangeTokens for Session {
    fn change_token<'a>(&'a mut self) -> BoxFuture<'a, Result<Option<ChangeToken>>> {
        Box::pin(async {
            let file = incarnation::file(&self.path).await;
            if file.is_none() || file != self.file {
                return Ok(None);
            }
            let rows = self.rows("pragma main.data_version", SqliteArguments::default(), Doing::Page).await?;
            let Some(row) = rows.first() else { return Err(Error::internal("the file has no version")) };
            Ok(Some(ChangeToken::new(column::<i64>(row, 0)?.to_string())))
        })
    }

    fn changes_by_commits<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let Relation::Table(table) = relation else { return Ok(false) };
            let mut binds = SqliteArguments::default();
            binds.add(table.name.clone()).map_err(|_| Error::internal("a table name cannot be bound"))?;
            let rows = self.rows(IN_FILE, binds, Doing::Describe).await?;
            let [only] = rows.as_slice() else { return Ok(false) };
            Ok(column::<i64>(only, 0)? != 0)
        })
    }
}
