//! Open transactions: those that write, or may. The view of the server that shows them is found once for a session, and
//! again when it no longer does: MySQL's performance_schema; the engine's own list, for MariaDB and where only PROCESS
//! is granted; TiDB's list of its cluster. A list is believed if it shows what must be in it: our own transaction, as
//! of now.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sqlx::mysql::MySqlRow;
use sqlx::{Column, Row};

use super::super::late_support::Ability;
use super::super::problem::hex;
use super::super::statement::{Doing, statement};
use super::server::Server;
use super::session::{Session, answered, bytes, text};
use super::starts::{Seen, Sight};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Micros, OpenTransaction, OpenTransactions};

/// Microseconds since the epoch, as of the statement's start.
const CLOCK: &str = "timestampdiff(microsecond, '1970-01-01', utc_timestamp(6))";

/// Sessions with a transaction that may write, and those that run a statement without one, which may still begin it: a
/// statement takes its time first, then waits for its tables and opens them. One that began in the second of the look
/// needs no row unless it waits: the guard looks one second further back than the last look. Also our own, as the proof
/// that transactions are followed, and those that are not followed. An `instances_lost` that is not zero means that some
/// sessions are not in the list.
const SCHEMA: &str = "
    from performance_schema.threads as t left join performance_schema.events_transactions_current as x
      on x.thread_id = t.thread_id and x.state = 'ACTIVE'
    where t.processlist_id = connection_id() or x.access_mode = 'READ WRITE'
      or (t.processlist_id is not null and t.instrumented = 'NO' and t.processlist_command <> 'Daemon')
      or (x.thread_id is null and (t.processlist_state like 'Waiting for % lock'
                                   or t.processlist_state = 'Waiting for table flush'))
      or (x.thread_id is null and t.type = 'FOREGROUND' and t.processlist_time >= 1
          and t.processlist_command not in ('Sleep', 'Daemon', 'Binlog Dump', 'Binlog Dump GTID')
          and coalesce(t.processlist_state, '') not in ('User sleep', 'User lock'))";

/// The list of the engine is made anew only if nobody has read it for 0.1 s.
const UNREAD: Duration = Duration::from_millis(120);
/// The number of times it is asked.
const TRIES: usize = 3;

/// A local time of the server's system in UTC; the earlier one, if its clock has shown it twice.
const STARTED: &str = "timestampdiff(microsecond, '1970-01-01', if(
    convert_tz(convert_tz(trx_started, 'SYSTEM', '+00:00') - interval 1 hour, '+00:00', 'SYSTEM') = trx_started,
    convert_tz(trx_started, 'SYSTEM', '+00:00') - interval 1 hour, convert_tz(trx_started, 'SYSTEM', '+00:00')))";

/// The ability to see open transactions.
pub(super) async fn ability(session: &mut Session) -> Result<Ability> {
    Ok(match sight(session).await? {
        Sight::Schema { prepared: false } => Ability::Yes {
            but: format!("prepared transactions, which {} would show", grant(session, "xa_recover_admin").await?),
        },
        Sight::Schema { .. } | Sight::Engine => Ability::yes(),
        Sight::Cluster => Ability::Yes { but: "clocks of the nodes that differ".to_owned() },
        Sight::Nothing { why, raise } => Ability::no(why, raise),
    })
}

pub(super) async fn open_transactions(session: &mut Session) -> Result<OpenTransactions> {
    if session.notes.past.is_some() {
        // Some lists of TiDB end the transaction without a word.
        return Err(Error::internal("the open transactions are asked for inside a view of the past"));
    }
    for _ in 0..2 {
        let sight = sight(session).await?;
        if let Some(open) = look(session, &sight).await? {
            return Ok(open);
        }
        // The view has been switched off, or the right to it revoked.
        session.writers.sight = None;
    }
    clock_only(session, true).await
}

/// The view of the server that shows them, found at the first time.
async fn sight(session: &mut Session) -> Result<Sight> {
    if let Some(sight) = &session.writers.sight {
        return Ok(sight.clone());
    }
    let sight = match session.kind {
        Server::TiDb => find_in_cluster(session).await?,
        Server::MySql | Server::MariaDb => find(session).await?,
    };
    session.writers.promised |= !matches!(sight, Sight::Nothing { .. });
    session.writers.sight = Some(sight.clone());
    Ok(sight)
}

async fn find(session: &mut Session) -> Result<Sight> {
    if session.replica {
        let why = "a replica does not show the transactions of its source";
        return Ok(Sight::Nothing { why, raise: "poll the source".to_owned() });
    }
    let rows = session.rows(&cluster(session.kind), &[], Doing::Describe).await?;
    if !rows.is_empty() {
        let why = "other servers of the group write as well, and it does not show their transactions";
        return Ok(Sight::Nothing { why, raise: String::new() });
    }
    let mut unproved = false;
    if session.kind == Server::MySql {
        let prepared = match session.in_transaction("start transaction read only; xa recover; commit").await {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::Unreachable => return Err(error),
            // The server has no particular error for a missing right to this.
            Err(_) => false,
        };
        let sight = Sight::Schema { prepared };
        match permitted(look_at_schema(session, prepared).await)? {
            Some(Some(_)) => return unless_applied(session, sight, APPLIER_THREADS).await,
            Some(None) => unproved = true,
            None => {}
        }
    }
    if permitted(look_at_engine(session).await)?.is_some() {
        return unless_applied(session, Sight::Engine, APPLIER_SESSIONS).await;
    }
    let process = grant(session, "process").await?;
    if session.kind == Server::MySql && !unproved {
        let account = account(session).await?;
        let raise = format!(
            "grant select on performance_schema.threads to {account} and grant select on \
             performance_schema.events_transactions_current to {account}, or {process}"
        );
        return Ok(Sight::Nothing { why: HIDDEN, raise });
    }
    let why = if unproved { "performance_schema does not follow all transactions" } else { HIDDEN };
    Ok(Sight::Nothing { why, raise: process })
}

const HIDDEN: &str = "the account may not see the transactions of others";

/// A row for each way in which other servers write the same tables at the same time.
fn cluster(kind: Server) -> String {
    let schema = if kind == Server::MariaDb { "information_schema" } else { "performance_schema" };
    format!(
        "select 1 from {schema}.global_variables
         where variable_name = 'group_replication_single_primary_mode' and variable_value = 'OFF'
         union all
         select 1 from {schema}.global_status where variable_name = 'wsrep_cluster_size' and variable_value + 0 > 1"
    )
}

/// The threads that apply another server's writes, with its times.
const APPLIER_THREADS: &str = "select 1 from performance_schema.threads
    where name regexp '^thread/sql/(replica|slave)_(sql|worker)$' limit 1";
const APPLIER_SESSIONS: &str = "select 1 from information_schema.processlist
    where user = 'system user' and command in ('Slave_SQL', 'Slave_worker', 'Connect', 'Query') limit 1";

async fn unless_applied(session: &mut Session, sight: Sight, appliers: &str) -> Result<Sight> {
    if session.rows(appliers, &[], Doing::Describe).await?.is_empty() {
        return Ok(sight);
    }
    let why = "it also applies the writes of another server, and does not show that server's transactions";
    Ok(Sight::Nothing { why, raise: "poll that server".to_owned() })
}

/// The list of a TiDB cluster. Its servers are shown only to accounts that may see their transactions, too.
async fn find_in_cluster(session: &mut Session) -> Result<Sight> {
    let sql = "select count(*) from information_schema.cluster_info where type = 'tidb'";
    match permitted(session.rows(sql, &[], Doing::Describe).await)? {
        Some(_) => Ok(Sight::Cluster),
        None => Ok(Sight::Nothing { why: HIDDEN, raise: grant(session, "process").await? }),
    }
}

/// The answer; none if the account or the server does not allow the question.
fn permitted<T>(answer: Result<T>) -> Result<Option<T>> {
    use ErrorKind::{Config, Privilege, SchemaChanged, SourceRefused, SourceSchema};
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if matches!(error.kind(), Privilege | Config | SchemaChanged | SourceRefused | SourceSchema) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The statement that gives the session's account a privilege of the server.
async fn grant(session: &mut Session, privilege: &str) -> Result<String> {
    Ok(format!("grant {privilege} on *.* to {}", account(session).await?))
}

async fn account(session: &mut Session) -> Result<String> {
    let rows = session.rows("select current_user()", &[], Doing::Describe).await?;
    let account = rows.first().map(|row| text(row, 0)).transpose()?.flatten().unwrap_or_default();
    let (user, host) = account.rsplit_once('@').unwrap_or((account, "%"));
    let quoted = |name: &str| format!("'{}'", name.replace('\'', "''"));
    Ok(format!("{}@{}", quoted(user), quoted(host)))
}

/// The open transactions; none if this view no longer shows them.
async fn look(session: &mut Session, sight: &Sight) -> Result<Option<OpenTransactions>> {
    let seen = match sight {
        Sight::Schema { prepared } => permitted(look_at_schema(session, *prepared).await)?.flatten(),
        Sight::Engine => permitted(look_at_engine(session).await)?,
        Sight::Cluster => permitted(look_at_cluster(session).await)?.flatten(),
        Sight::Nothing { .. } => return clock_only(session, session.writers.promised).await.map(Some),
    };
    let Some(mut look) = seen else { return Ok(None) };
    if look.is_stale {
        return clock_only(session, true).await.map(Some);
    }
    let starts = &mut session.writers.starts;
    if !starts.is_first() {
        // A prepared transaction began in a session, where an earlier look may have seen it.
        look.prepared.iter_mut().for_each(|prepared| prepared.began = None);
    }
    let sessions = starts.take(look.clock, look.seen, look.asleep);
    Ok(Some(OpenTransactions { clock: look.clock, sessions, prepared: look.prepared, is_stale: false }))
}

async fn clock_only(session: &mut Session, is_stale: bool) -> Result<OpenTransactions> {
    session.tidy().await?;
    let call = sqlx::raw_sql(statement(format!("select {CLOCK}"))).fetch_one(&mut session.connection);
    let row = answered(&session.vigil, Doing::Page, call).await?;
    Ok(OpenTransactions { clock: number(&row, 0)?, is_stale, ..OpenTransactions::default() })
}

/// The result of one look.
#[derive(Default)]
struct Look {
    clock: Micros,
    seen: Vec<Seen>,
    /// Sessions that run nothing, as far as they are listed.
    asleep: HashSet<u64>,
    prepared: Vec<OpenTransaction>,
    is_stale: bool,
}

/// The transactions in performance_schema; none if there is no proof that it shows all of them.
async fn look_at_schema(session: &mut Session, prepared: bool) -> Result<Option<Look>> {
    // A transaction that is prepared in between is seen twice rather than never.
    let recover = if prepared { "xa recover; " } else { "" };
    let sql = format!(
        "start transaction read only;
         select {CLOCK}, case when t.processlist_id = connection_id() then 'own' when x.thread_id is not null then 'open'
           when t.instrumented = 'NO' then 'blind' else 'runs' end,
           t.processlist_id, concat(t.thread_id, '.', x.event_id), x.timer_wait div 1000000, t.processlist_time,
           concat(t.processlist_user, '@', t.processlist_host), (select variable_value
             from performance_schema.global_status where variable_name = 'Performance_schema_thread_instances_lost')
         {SCHEMA}; {recover}commit"
    );
    let rows = session.in_transaction(&sql).await?;
    let mut look = Look::default();
    let mut is_proved = false;
    for row in &rows {
        if row.columns().first().is_some_and(|column| column.name() == "formatID") {
            look.prepared.push(recovered(row)?);
            continue;
        }
        look.clock = number(row, 0)?;
        let transaction = text(row, 3)?.map(str::to_owned);
        let (began, statement) = match text(row, 1)? {
            Some("own") => {
                is_proved = transaction.is_some() && text(row, 7)? == Some("0");
                continue;
            }
            Some("blind") => return Ok(None),
            Some("open") => (optional(row, 4)?.map(|age| look.clock - age), None),
            _ => (None, optional(row, 5)?.map(|seconds| before(look.clock, seconds))),
        };
        let connection = optional(row, 2)?.unwrap_or_default().unsigned_abs();
        let holder = holder(connection, text(row, 6)?);
        look.seen.push(Seen { connection, transaction, began, statement, holder });
    }
    Ok(is_proved.then_some(look))
}

/// The sessions are listed first: a statement that begins its transaction in between is seen twice. The list of the
/// engine shows the statements that its transactions run, so one made for this very statement shows its text. Those
/// that have not written yet have no number, or one from 2^47 on.
async fn look_at_engine(session: &mut Session) -> Result<Look> {
    let age = if session.kind == Server::MariaDb { "floor(time_ms * 1000)" } else { "time" };
    for attempt in 1..=TRIES {
        let nonce = format!("{:016x}", fastrand::u64(..));
        let sql = format!(
            "start transaction with consistent snapshot, read only;
             select {CLOCK}, 'session', id, if(command = 'Sleep', null, {age}), concat(user, '@', host)
             from information_schema.processlist
             where command <> 'Daemon' and command not like 'Binlog Dump%' and user <> 'unauthenticated user';
             select '', case
                 when trx_mysql_thread_id = connection_id() then if(instr(trx_query, '{nonce}') > 0, 'own', 'stale')
                 when trx_mysql_thread_id = 0 then 'prepared'
                 when trx_is_read_only = 1 or trx_autocommit_non_locking = 1 then 'reads'
                 when trx_id between 1 and (1 << 47) - 1 then 'writes' else 'idle' end,
               trx_mysql_thread_id, trx_id, {STARTED}, cast(trx_started as char)
             from information_schema.innodb_trx;
             commit"
        );
        let rows = session.in_transaction(&sql).await?;
        if let Some(look) = listed(session.kind, &rows)? {
            return Ok(look);
        }
        if attempt < TRIES {
            // Not in step with other waiters.
            tokio::time::sleep(UNREAD + Duration::from_millis(fastrand::u64(..200))).await;
        }
    }
    Ok(Look { is_stale: true, ..Look::default() })
}

/// The sessions and the transactions of a list; none if it is not as of now.
fn listed(kind: Server, rows: &[MySqlRow]) -> Result<Option<Look>> {
    let mut look = Look::default();
    // Each session's start of its statement, and its name.
    let mut sessions: HashMap<u64, (Option<Micros>, Option<&str>)> = HashMap::new();
    let mut is_fresh = false;
    for row in rows {
        let connection = optional(row, 2)?.unwrap_or_default().unsigned_abs();
        match text(row, 1)? {
            Some("session") => {
                look.clock = number(row, 0)?;
                let age = optional(row, 3)?;
                if age.is_none() {
                    look.asleep.insert(connection);
                }
                let since = age.map(|age| match kind {
                    Server::MariaDb => look.clock - age,
                    Server::MySql => before(look.clock, age),
                    Server::TiDb => look.clock - (age + 1) * 1_000_000,
                });
                sessions.insert(connection, (since, text(row, 4)?));
            }
            Some("own") => {
                is_fresh = true;
                sessions.remove(&connection);
            }
            Some("reads") => drop(sessions.get_mut(&connection).map(|(since, _)| *since = None)),
            Some("prepared") => {
                let id = text(row, 3)?.unwrap_or_default();
                let began = optional(row, 4)?;
                look.prepared.push(OpenTransaction { name: id.to_owned(), holder: Some(prepared(id)), began });
            }
            Some("writes") => {
                let (since, who) = sessions.remove(&connection).unwrap_or_default();
                // In a running transaction the engine's id may still change.
                let transaction = Some(format!("{connection}.{}", text(row, 5)?.unwrap_or_default()));
                let (began, holder) = (optional(row, 4)?, holder(connection, who));
                look.seen.push(Seen { connection, transaction, began, statement: since, holder });
            }
            // The session has not written; its running statement is counted separately.
            Some("idle") => {}
            _ => return Ok(None),
        }
    }
    for (connection, (since, who)) in sessions {
        if since.is_some() {
            let holder = holder(connection, who);
            look.seen.push(Seen { connection, statement: since, holder, ..Seen::default() });
        }
    }
    Ok(is_fresh.then_some(look))
}

/// A transaction of TiDB begins with a time of the cluster, which is its number; a statement that is tried again gets
/// another one.
async fn look_at_cluster(session: &mut Session) -> Result<Option<Look>> {
    session.tidy().await?;
    let sql = format!(
        "select {CLOCK}, 'session', id, if(command = 'Sleep', null, time), concat(user, '@', host)
         from information_schema.cluster_processlist;
         select '', 'writes', session_id, '', (id >> 18) * 1000, id
         from information_schema.cluster_tidb_trx where session_id is null or session_id <> connection_id();
         select '', 'own', connection_id()"
    );
    let call = sqlx::raw_sql(statement(&sql)).fetch_all(&mut session.connection);
    let rows = answered(&session.vigil, Doing::Page, call).await?;
    listed(session.kind, &rows)
}

fn holder(connection: u64, who: Option<&str>) -> String {
    match who {
        Some(who) => format!("connection {connection} ({who})"),
        None => format!("connection {connection}"),
    }
}

fn prepared(id: &str) -> String {
    format!("prepared transaction {id}")
}

/// A row of XA RECOVER: the form of the id, the lengths of its parts, and the id.
fn recovered(row: &MySqlRow) -> Result<OpenTransaction> {
    let id = hex(bytes(row, 3).map_err(|_| unreadable())?.unwrap_or_default());
    let name = format!("{id}.{}.{}", number(row, 1)?, number(row, 0)?);
    Ok(OpenTransaction { name, holder: Some(prepared(&id)), began: None })
}

/// The earliest start of a statement that began that many seconds before the present one, as MySQL counts.
fn before(clock: Micros, seconds: i64) -> Micros {
    (clock.div_euclid(1_000_000) - seconds) * 1_000_000
}

fn optional(row: &MySqlRow, index: usize) -> Result<Option<i64>> {
    text(row, index)?.map(|digits| digits.parse().map_err(|_| unreadable())).transpose()
}

fn number(row: &MySqlRow, index: usize) -> Result<i64> {
    optional(row, index)?.ok_or_else(unreadable)
}

fn unreadable() -> Error {
    Error::internal("the server's transactions are shown in another form than expected")
}
