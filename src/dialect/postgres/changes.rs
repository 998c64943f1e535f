//! Tokens of what is committed: the snapshot that a statement takes.
//!
//! A snapshot shows what was committed by the transactions below its `xmax` that are not in its list. One that commits
//! was either at or above the `xmax` of the snapshot before, or in its list, and is neither in the next one: the two
//! differ. So do those before and after a prepared transaction is committed, which is in the list until then. A
//! subtransaction is shown as its top-level transaction is, which is listed. Transactions without an id have written
//! nothing. Ids have 64 bits and do not come again. Commits in other databases of the server change the token, too.
//!
//! A standby lists no transactions of its primary: its snapshots may be equal with a commit in between, so it has no
//! token. Nor has a session behind a pooler: the token may be one server's, and the next statement be sent to another.

use futures_util::future::BoxFuture;

use super::super::connection::ChangeTokens;
use super::super::late_support::Ability;
use super::super::statement::Doing;
use super::session::{Session, answered, get};
use super::transactions::{rights, support};
use crate::error::Result;
use crate::model::{ChangeToken, Relation};

/// A pooler that is not seen may lead the statement to a standby, or to another server.
const TOKEN: &str = "
    select case when pg_is_in_recovery() then null
      else pg_current_snapshot()::text || ' ' || extract(epoch from pg_postmaster_start_time()) end";

impl ChangeTokens for Session {
    fn change_token<'a>(&'a mut self) -> BoxFuture<'a, Result<Option<ChangeToken>>> {
        Box::pin(async {
            self.begin().await?;
            // Those before 13 have no such function, and some roles may not call it.
            if rights(self).await?.views != Ability::yes() {
                return Ok(None);
            }
            let call = sqlx::query(TOKEN).fetch_one(&mut self.connection);
            let row = answered(&self.vigil, Doing::Page, call).await?;
            Ok(get::<Option<String>>(&row, 0)?.map(ChangeToken::new))
        })
    }

    fn changes_by_commits<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let Relation::Table(table) = relation else { return Ok(false) };
            self.begin().await?;
            Ok(support(self, table).await?.changes_by_commits())
        })
    }
}
