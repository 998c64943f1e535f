//! Transactions as the server shows them: which are open, and, inside one view of the database, which ids that view may
//! not show. The functions and lists it reads are open to every role; of other roles' sessions they show no more than
//! that a transaction is open. Server 13 and newer, not on a standby.

use std::fmt::Write as _;

use futures_util::future::BoxFuture;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::super::connection::{SnapshotViews, Transactions};
use super::super::late_support::{Ability, LateSupport};
use super::super::statement::{Doing, statement};
use super::facts;
use super::session::{Rights, Session, answered};
use crate::error::{Error, Result};
use crate::model::{OpenTransaction, OpenTransactions, RangeSet, Relation, TableId, View, ViewAnswer, ViewQuestion};

/// The number of ids that one statement asks for.
const CHUNK: u64 = 200_000;

/// `now()` is taken before anything is looked for, and sessions are listed before prepared transactions: a transaction
/// that is prepared in between is seen twice rather than never. A virtual id names one transaction of a session.
const OPEN: &str = "
    select (extract(epoch from now()) * 1000000)::bigint::text, o.kind, o.name, o.holder,
      (extract(epoch from o.began) * 1000000)::bigint::text
    from (select 1) as one left join (
      select 's' as kind, l.virtualxid as name, 'session ' || l.pid as holder, a.xact_start as began
      from pg_catalog.pg_locks l left join pg_catalog.pg_stat_activity a on a.pid = l.pid
      where l.locktype = 'virtualxid' and l.mode = 'ExclusiveLock' and l.granted and l.pid <> pg_backend_pid()
        and (a.datname is null or a.datname = current_database())
      union all
      select 'p', transaction::text || ' ' || gid, 'prepared transaction ' || gid, null
      from pg_catalog.pg_prepared_xacts where database = current_database()
    ) as o on true";

/// The query of the clock alone, where no session is seen. A standby has the transactions of its own sessions only, and
/// those write nothing.
const CLOCK: &str = "select (extract(epoch from now()) * 1000000)::bigint::text, null, null, null, null";

/// Rights that every role has unless somebody has taken them away: to call the functions of views, and to read the
/// lists of open transactions.
const RIGHTS: &str = "
    select case when current_setting('server_version_num')::int >= 130000
        then has_function_privilege('pg_catalog.pg_current_snapshot()', 'execute')
          and has_function_privilege('pg_catalog.pg_xact_status(xid8)', 'execute') end,
      has_table_privilege('pg_catalog.pg_locks', 'select') and has_table_privilege('pg_catalog.pg_stat_activity', 'select')
        and has_table_privilege('pg_catalog.pg_prepared_xacts', 'select')";

/// The relation with all that is read through it: partitions, and the tables under a view.
const SUPPORT: &str = "
    with recursive k (oid, root) as (
      select c.oid, true from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relname = $2
      union
      select x.oid, false from k join lateral (
        select i.inhrelid from pg_catalog.pg_inherits i where i.inhparent = k.oid
        union all
        select d.refobjid from pg_catalog.pg_rewrite r join pg_catalog.pg_depend d on d.objid = r.oid
        where r.ev_class = k.oid and d.classid = 'pg_catalog.pg_rewrite'::regclass
          and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid <> k.oid
      ) as x (oid) on true
    )
    select bool_and(c.relkind in ('r', 'p')),
      bool_and(coalesce(m.amname = 'heap', true)),
      bool_and(case when k.root and c.relkind in ('r', 'p') then has_column_privilege(c.oid, 'xmin', 'select') else true end),
      bool_or(c.relkind = 'f'), bool_or(c.relkind = 'm'), bool_and(c.relkind <> 'v'),
      bool_or(c.relrowsecurity)
    from k join pg_catalog.pg_class c on c.oid = k.oid left join pg_catalog.pg_am m on m.oid = c.relam
    where c.relkind in ('r', 'p', 'f', 'm', 'v')";

const STORAGE: &str = "
    with recursive k (oid) as (
      select c.oid from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relname = $2
      union all
      select i.inhrelid from pg_catalog.pg_inherits i join k on i.inhparent = k.oid
    )
    select coalesce(string_agg(c.oid || ':' || c.relfilenode, ',' order by c.oid), '')
    from k join pg_catalog.pg_class c on c.oid = k.oid";

impl Transactions for Session {
    fn open_transactions<'a>(&'a mut self) -> BoxFuture<'a, Result<OpenTransactions>> {
        Box::pin(async move {
            self.begin().await?;
            let open = open_transactions(self).await?;
            self.end().await?;
            Ok(open)
        })
    }
}

impl SnapshotViews for Session {
    fn begin_view<'a>(&'a mut self, question: &'a ViewQuestion) -> BoxFuture<'a, Result<ViewAnswer>> {
        Box::pin(begin(self, question))
    }

    fn storage<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<String>> {
        Box::pin(storage(self, relation))
    }
}

/// The rights of the session's role, looked at once in its life.
pub(super) async fn rights(session: &mut Session) -> Result<Rights> {
    if let Some(rights) = &session.notes.rights {
        return Ok(rights.clone());
    }
    let writers = Ability::no(
        "the role may not read pg_locks, pg_stat_activity and pg_prepared_xacts",
        "grant select on pg_catalog.pg_locks, pg_catalog.pg_stat_activity, pg_catalog.pg_prepared_xacts",
    );
    let rights = if session.standby {
        let standby = Ability::no("a standby does not show the transactions of its primary", "poll the primary");
        Rights { views: standby.clone(), writers: standby }
    } else {
        let call = sqlx::query(RIGHTS).persistent(false).fetch_one(&mut session.connection);
        let row = answered(&session.vigil, Doing::Describe, call).await?;
        let is = |index| row.try_get::<Option<bool>, _>(index).map_err(unexpected);
        match (is(0)?, is(1)?) {
            (_, Some(false)) => Rights { views: writers.clone(), writers },
            (Some(true), _) => Rights { views: Ability::yes(), writers: Ability::yes() },
            (Some(false), _) => Rights {
                views: Ability::no(
                    "the role may not call pg_current_snapshot() and pg_xact_status()",
                    "grant execute on function pg_catalog.pg_current_snapshot(), pg_catalog.pg_xact_status(xid8)",
                ),
                writers: Ability::yes(),
            },
            (None, _) => Rights {
                views: Ability::no("this server does not tell how a transaction ended", "use PostgreSQL 13 or newer"),
                writers: Ability::yes(),
            },
        }
    };
    session.notes.rights = Some(rights.clone());
    Ok(rights)
}

pub(super) async fn late_support(session: &mut Session, relation: &Relation, id: Option<&str>) -> Result<LateSupport> {
    let rights = rights(session).await?;
    let Relation::Table(table) = relation else {
        let (views, writers) = if rights.writers == Ability::yes() {
            let but = "rows that the query reads from other servers or materialized views".to_owned();
            let views = Ability::no("the rows of a query do not tell their transaction", "poll the table itself");
            (views, Ability::Yes { but })
        } else {
            (rights.writers.clone(), rights.writers)
        };
        return Ok(LateSupport { views, writers, ..LateSupport::default() });
    };
    let support = support(session, table).await?;
    let is_elsewhere = support.is_foreign || support.is_materialized;
    let writers = if session.standby || !is_elsewhere {
        rights.writers
    } else if support.is_foreign {
        Ability::no("its rows are those of another server", "poll that server")
    } else {
        Ability::no("its rows appear when a materialized view is refreshed", "poll the table itself")
    };
    let views = if session.standby || is_elsewhere {
        writers.clone()
    } else if let Err((why, raise)) = support.tells_transactions() {
        Ability::no(why, raise)
    } else {
        rights.views
    };
    let ids_kept = match id {
        Some(id) => facts::ids_kept(session, table, id).await?,
        None => 0,
    };
    Ok(LateSupport { views, writers, ids_kept, is_table: support.has_no_view, ..LateSupport::default() })
}

/// The means of a relation, with all that is read through it, to tell the transactions of its rows.
pub(super) struct Support {
    is_plain: bool,
    is_heap: bool,
    may_read_xmin: bool,
    is_foreign: bool,
    is_materialized: bool,
    has_no_view: bool,
    has_row_security: bool,
}

impl Support {
    /// Says that its rows tell the transaction that wrote them; else why not, and what would help.
    pub(super) fn tells_transactions(&self) -> Result<(), (&'static str, &'static str)> {
        if !self.is_plain || !self.is_heap {
            Err(("its rows do not tell their transaction: it is no plain table", "poll the table itself"))
        } else if !self.may_read_xmin {
            Err(("the role may not read xmin", "grant select (xmin) on the table"))
        } else {
            Ok(())
        }
    }

    /// True if its rows change by commits of this server only: they are in its own heap, and no policy decides who sees
    /// which.
    pub(super) fn changes_by_commits(&self) -> bool {
        self.is_plain && self.is_heap && !self.has_row_security
    }
}

pub(super) async fn support(session: &mut Session, table: &TableId) -> Result<Support> {
    let schema = table.schema.as_deref().unwrap_or("public");
    let call = sqlx::query(SUPPORT).bind(schema).bind(&table.name).persistent(!session.pooled);
    let row = answered(&session.vigil, Doing::Describe, call.fetch_one(&mut session.connection)).await?;
    let is = |index| row.try_get::<Option<bool>, _>(index).map(|is| is.unwrap_or(false)).map_err(unexpected);
    Ok(Support {
        is_plain: is(0)?,
        is_heap: is(1)?,
        may_read_xmin: is(2)?,
        is_foreign: is(3)?,
        is_materialized: is(4)?,
        has_no_view: is(5)?,
        has_row_security: is(6)?,
    })
}

async fn open_transactions(session: &mut Session) -> Result<OpenTransactions> {
    let may_see = session.notes.rights.as_ref().is_none_or(|rights| rights.writers == Ability::yes());
    let sql = if session.standby || !may_see { CLOCK } else { OPEN };
    let call = sqlx::query(sql).persistent(!session.pooled).fetch_all(&mut session.connection);
    let rows = answered(&session.vigil, Doing::Page, call).await?;
    let text = |row: &PgRow, index: usize| row.try_get::<Option<String>, _>(index).map_err(unexpected);
    let number = |row: &PgRow, index: usize| -> Result<Option<i64>> {
        text(row, index)?.map(|digits| digits.parse().map_err(|_| unreadable())).transpose()
    };
    let mut open = OpenTransactions::default();
    for row in &rows {
        open.clock = number(row, 0)?.ok_or_else(unreadable)?;
        let Some(name) = text(row, 2)? else { continue };
        let one = OpenTransaction { name, holder: text(row, 3)?, began: number(row, 4)? };
        if text(row, 1)?.as_deref() == Some("p") { open.prepared.push(one) } else { open.sessions.push(one) }
    }
    Ok(open)
}

/// Begins the transaction, takes the view and asks, all in one round trip; the view is taken when the question is
/// already on the server, and its ids are looked at afterwards.
async fn begin(session: &mut Session, question: &ViewQuestion) -> Result<ViewAnswer> {
    if std::mem::take(&mut session.notes.in_view) {
        session.notes.open_transaction = true;
    }
    session.tidy().await?;
    session.notes.in_view = true;
    let mut sql = format!("begin isolation level repeatable read, read only; {}", session.local);
    let since = question.since;
    let from = format!("greatest({since}, pg_snapshot_xmin(v.n)::text::bigint)");
    let to = format!("least(pg_snapshot_xmax(v.n)::text::bigint, {from} + {CHUNK}) - 1");
    push_question(&mut sql, &[(from, to)], question.hidden.ranges());
    let call = sqlx::raw_sql(statement(sql)).fetch_one(&mut session.connection);
    let row = answered(&session.vigil, Doing::Page, call).await?;
    let mut answer = read_answer(&row)?;
    // More ids than one statement should ask for; the transactions have to be looked at last.
    let View { xmin, xmax, .. } = answer.view;
    let mut next = since.max(xmin) + CHUNK;
    while next < xmax {
        let end = xmax.min(next + CHUNK);
        let mut sql = String::new();
        push_question(&mut sql, &[(next.to_string(), (end - 1).to_string())], &[]);
        let call = sqlx::query(statement(sql)).persistent(false).fetch_one(&mut session.connection);
        let row = answered(&session.vigil, Doing::Page, call).await?;
        let more = read_answer(&row)?;
        answer.in_progress.extend(&more.in_progress);
        answer.is_settled &= more.is_settled;
        next = end;
    }
    Ok(answer)
}

/// The query for a snapshot, the ids in progress among those asked for, and whether all that was running still is. Ids
/// of hidden transactions that have ended before the view are asked for in vain, which harms nothing.
fn push_question(sql: &mut String, spans: &[(String, String)], hidden: &[(u64, u64)]) {
    let mut asked: Vec<String> = spans.iter().map(|(from, to)| format!("generate_series({from}, {to})")).collect();
    asked.extend(hidden.iter().map(|(from, to)| format!("generate_series({from}, {})", to - 1)));
    let asked: Vec<String> = asked.iter().map(|series| format!("select {series} as i")).collect();
    // Writing to a String cannot fail.
    let _ = write!(
        sql,
        "select v.n::text, (
           select coalesce(string_agg(low || '-' || high, ','), '') from (
             select min(i) as low, max(i) as high from (
               select i, i - row_number() over (order by i) as island from (
                 select distinct i from ({}) as a where pg_xact_status(i::text::xid8) = 'in progress') as p) as q
             group by island) as r),
         (select coalesce(bool_and(pg_xact_status(x) = 'in progress'), true) from pg_snapshot_xip(v.n) as x)::text
         from (select pg_current_snapshot() as n) as v",
        asked.join(" union all ")
    );
}

/// The files of a table and of its partitions, as the transaction sees them.
async fn storage(session: &mut Session, relation: &Relation) -> Result<String> {
    let Relation::Table(id) = relation else { return Ok(String::new()) };
    let call = sqlx::query(STORAGE).bind(id.schema.as_deref().unwrap_or("public")).bind(&id.name);
    let call = call.persistent(!session.pooled).fetch_one(&mut session.connection);
    let row = answered(&session.vigil, Doing::Page, call).await?;
    row.try_get(0).map_err(unexpected)
}

fn read_answer(row: &PgRow) -> Result<ViewAnswer> {
    let text = |index: usize| row.try_get_unchecked::<String, _>(index).map_err(unexpected);
    let (view, in_progress, settled) = (text(0)?, text(1)?, text(2)?);
    Ok(ViewAnswer {
        view: parse_view(&view).ok_or_else(unreadable)?,
        in_progress: RangeSet::from_text(&in_progress, 0).ok_or_else(unreadable)?,
        is_settled: settled == "true",
    })
}

/// `xmin:xmax:running,running`.
fn parse_view(text: &str) -> Option<View> {
    let mut parts = text.splitn(3, ':');
    let (xmin, xmax) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let running = parts.next()?.split(',').filter(|id| !id.is_empty());
    Some(View { xmin, xmax, running: running.map(|id| id.parse().ok()).collect::<Option<_>>()? })
}

pub(super) async fn end(session: &mut Session) -> Result<()> {
    if std::mem::take(&mut session.notes.in_view) {
        // After an error the commit is a rollback.
        session.run("commit").await?;
    }
    Ok(())
}

fn unexpected(_: sqlx::Error) -> Error {
    unreadable()
}

fn unreadable() -> Error {
    Error::internal("the server's transactions are shown in another form than expected")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_read_as_the_server_writes_them() {
        let view = View { xmin: 10, xmax: 20, running: vec![10, 14] };
        assert_eq!(parse_view("10:20:10,14"), Some(view));
        assert_eq!(parse_view("10:10:"), Some(View { xmin: 10, xmax: 10, running: vec![] }));
        assert_eq!(parse_view("10:20"), None);
    }
}
