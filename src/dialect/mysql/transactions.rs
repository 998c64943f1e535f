//! The server's transactions: the means to find late rows of a relation, the list of open transactions, and reads of the
//! past. `writers` and `starts` make the list, `past` the reads.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::super::connection::{PastReads, Transactions};
use super::super::late_support::{Ability, LateSupport};
use super::super::statement::Doing;
use super::server::Server;
use super::session::{Session, text};
use super::syntax::back_quoted;
use super::{past, writers};
use crate::error::Result;
use crate::model::{Micros, OpenTransactions, PastView, Relation, TableId};

/// The ids that a node of TiDB takes at once; up to 2,000,000, if it uses them up in less than ten seconds.
const BLOCK: u64 = 30_000;

impl Transactions for Session {
    fn open_transactions<'a>(&'a mut self) -> BoxFuture<'a, Result<OpenTransactions>> {
        Box::pin(writers::open_transactions(self))
    }
}

impl PastReads for Session {
    fn begin_past<'a>(&'a mut self, as_of: Option<Micros>) -> BoxFuture<'a, Result<PastView>> {
        Box::pin(past::begin(self, as_of))
    }
}

pub(super) async fn late_support(session: &mut Session, relation: &Relation, id: Option<&str>) -> Result<LateSupport> {
    let mut support = LateSupport { writers: writers::ability(session).await?, ..LateSupport::default() };
    let table = match relation {
        Relation::Table(table) => table,
        Relation::Query(_) => {
            add(&mut support.writers, OTHER_ENGINES);
            if session.kind == Server::TiDb {
                support.past = Ability::yes();
            }
            return Ok(support);
        }
    };
    let sql = "select table_type, engine from information_schema.tables
               where table_schema = coalesce(nullif(?, ''), database()) and table_name = ?";
    let names = [table.catalog.as_deref().unwrap_or_default(), &table.name];
    let rows = session.rows(sql, &names, Doing::Describe).await?;
    let Some(row) = rows.first() else { return Ok(support) };
    support.is_table = text(row, 0)?.is_some_and(|kind| kind.eq_ignore_ascii_case("BASE TABLE"));
    if session.kind == Server::TiDb {
        support.past = Ability::yes();
        // The source of a view's ids is not known.
        if id.is_some() && support.is_table {
            support.ids_kept = ids_of_tidb(session, table).await?;
        }
        if support.ids_kept > 1 {
            // A block is used up whenever the node comes to it.
            add(&mut support.past, "ids of a node that has used none for long, or takes more than usual at once");
        }
        return Ok(support);
    }
    // A transaction that began since the last look counts from that look.
    support.head_start = Duration::from_millis(200);
    match text(row, 1)? {
        Some(engine) if engine.eq_ignore_ascii_case("InnoDB") => {}
        Some(engine) => {
            let why = format!("its engine {engine} does not show its transactions");
            support.writers = Ability::no(why, "use InnoDB");
        }
        None => add(&mut support.writers, OTHER_ENGINES),
    }
    // Several servers hand out the ids between two of one server, side by side.
    if id.is_some() && session.id_step > 1 {
        support.ids_kept = session.id_step;
    }
    Ok(support)
}

const OTHER_ENGINES: &str = "rows of tables whose engine is not InnoDB";

fn add(ability: &mut Ability, more: &str) {
    if let Ability::Yes { but } = ability {
        *but = if but.is_empty() { more.to_owned() } else { format!("{but}; {more}") };
    }
}

/// Each node takes a block of ids, of the table's AUTO_ID_CACHE if it has one; with AUTO_ID_CACHE 1 all nodes take one
/// id after the other from the same place.
async fn ids_of_tidb(session: &mut Session, table: &TableId) -> Result<u64> {
    let name = table.parts().map(back_quoted).collect::<Vec<_>>().join(".");
    let rows = session.rows(&format!("show create table {name}"), &[], Doing::Describe).await?;
    let block = match rows.first() {
        Some(row) => block(text(row, 1)?.unwrap_or_default()),
        None => None,
    };
    if block == Some(1) {
        return Ok(1);
    }
    let sql = "select count(*) from information_schema.tidb_servers_info";
    let rows = session.rows(sql, &[], Doing::Describe).await?;
    let nodes = rows.first().map(|row| text(row, 0)).transpose()?.flatten();
    let nodes = nodes.and_then(|nodes| nodes.parse().ok()).unwrap_or(1);
    Ok(block.unwrap_or(BLOCK).saturating_mul(nodes))
}

/// The AUTO_ID_CACHE of a table's definition.
fn block(definition: &str) -> Option<u64> {
    let (_, rest) = definition.rsplit_once("AUTO_ID_CACHE=")?;
    let digits = rest.split(|character: char| !character.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_of_ids_is_in_the_definition() {
        assert_eq!(block(") ENGINE=InnoDB COLLATE=utf8mb4_bin /*T![auto_id_cache] AUTO_ID_CACHE=1 */"), Some(1));
        assert_eq!(block(") ENGINE=InnoDB AUTO_ID_CACHE=100"), Some(100));
        assert_eq!(block(") ENGINE=InnoDB AUTO_INCREMENT=30001"), None);
    }
}
