//! `pg_stat_activity` about a session, and cancelling its statement, over another connection. Behind a pooler the
//! session is that of the present transaction.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow, PgSslMode};
use sqlx::{Connection, Row};

use super::super::statement::{Doing, statement};
use super::super::vigil::side_door::{Seen, SideDoor};
use super::super::way::Way;
use super::classify::classify;
use crate::error::{Error, Result};

/// Sessions that hold the lock, and those that they wait for in turn. `$1` is the pid, `$2` a time that tells it from a
/// later session of that pid.
const LOOK: &str = "
    select extract(epoch from pg_postmaster_start_time())::text, a.state, a.wait_event_type, a.wait_event,
      (select string_agg(h.words, ', ') from (
         select distinct case when p.pid = 0 then 'a prepared transaction' else 'session ' || p.pid end
           || coalesce(' (user ' || s.usename || coalesce(', ' || nullif(s.application_name, ''), '')
             || coalesce(', in a transaction since ' || to_char(s.xact_start at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), '') || ')', '')
           || coalesce(', which itself waits for session '
             || nullif(array_to_string(pg_blocking_pids(p.pid), ' and session '), ''), '') as words
         from unnest(pg_blocking_pids($1)) as p (pid) left join pg_catalog.pg_stat_activity s on s.pid = p.pid
         where a.wait_event_type = 'Lock') as h)
    from (select 1) as one left join pg_catalog.pg_stat_activity a on a.pid = $1 and";
const CANCEL: &str = "select pg_cancel_backend(a.pid) from pg_catalog.pg_stat_activity a where a.pid = $1 and";
/// The condition that it is the session of that time.
const OWN: &str = "a.backend_start < to_timestamp($2) + interval '1 s'";
/// The condition that it is in the transaction of that time.
const POOLED: &str = "abs(extract(epoch from a.xact_start)::float8 - $2) < 0.001";

/// A session and a time of its: of its start, or behind a pooler of its transaction's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backend {
    pub(super) pid: i32,
    pub(super) time: f64,
}

impl Backend {
    /// Reads `pg_backend_pid()` and the time.
    pub(super) fn parse(pid: &str, time: &str) -> Option<Self> {
        Some(Self { pid: pid.parse().ok()?, time: time.parse().ok()? })
    }

    /// Reads a row of both, as text.
    pub(super) fn of(row: &PgRow) -> Result<Self> {
        let text = |index| row.try_get::<String, _>(index).unwrap_or_default();
        Self::parse(&text(0), &text(1)).ok_or_else(|| Error::internal("the session's process cannot be read"))
    }
}

/// The other connection's address, and the session that is asked about.
pub(super) struct Beside {
    way: Way<PgSslMode>,
    options: PgConnectOptions,
    pooled: bool,
    /// The start of the server, which tells it from others behind the same address.
    instance: String,
    backend: Mutex<Option<Backend>>,
}

impl Beside {
    pub(super) fn new(
        (way, options): (Way<PgSslMode>, PgConnectOptions),
        pooled: bool,
        instance: String,
        backend: Option<Backend>,
    ) -> Self {
        Self { way, options, pooled, instance, backend: Mutex::new(backend) }
    }

    /// The pooler gives this session to the transaction.
    pub(super) fn is_served_by(&self, backend: Backend) {
        *self.backend.lock().unwrap_or_else(PoisonError::into_inner) = Some(backend);
    }

    fn backend(&self) -> Option<Backend> {
        *self.backend.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, sql: &str, backend: Backend) -> Result<(PgConnection, Option<PgRow>)> {
        let guard = if self.pooled { POOLED } else { OWN };
        let failed = |error| classify(error, Doing::Page);
        let mut connection =
            self.way.connect(self.options.clone()).await?.map_err(|error| classify(error, Doing::Connect))?;
        let call = sqlx::query(statement(format!("{sql} {guard}"))).bind(backend.pid).bind(backend.time);
        let row = call.persistent(false).fetch_optional(&mut connection).await.map_err(failed)?;
        Ok((connection, row))
    }

    fn read(&self, row: &PgRow) -> Result<Seen> {
        let text = |index: usize| {
            let unreadable = |_| Error::internal("the sessions are shown in another form than expected");
            row.try_get::<Option<String>, _>(index).map_err(unreadable)
        };
        let (instance, state, kind, event) = (text(0)?, text(1)?, text(2)?, text(3)?);
        let is_elsewhere = instance.as_deref() != Some(self.instance.as_str());
        Ok(match (state.as_deref(), kind.as_deref(), event.as_deref()) {
            (None, ..) if is_elsewhere || self.pooled => Seen::Untold("another server has answered".to_owned()),
            (None, ..) => Seen::Gone,
            (Some("active"), Some("Lock"), _) => Seen::Locked(text(4)?),
            (Some("active"), _, Some("ClientWrite")) => Seen::Idle,
            (Some("active" | "fastpath function call"), ..) => Seen::AtWork,
            (Some("disabled"), ..) => Seen::Untold("track_activities is off".to_owned()),
            (Some(_), ..) => Seen::Idle,
        })
    }
}

/// Closes the connection politely; a server that does not answer is not waited for.
async fn done(connection: PgConnection) {
    let _ = tokio::time::timeout(Duration::from_millis(500), connection.close()).await;
}

impl SideDoor for Beside {
    fn look(&self) -> BoxFuture<'_, Result<Seen>> {
        Box::pin(async {
            let Some(backend) = self.backend() else {
                return Ok(Seen::Untold("a pooler hides its session".to_owned()));
            };
            let (connection, row) = self.ask(LOOK, backend).await?;
            let seen = row.as_ref().map_or_else(|| Ok(Seen::Gone), |row| self.read(row));
            done(connection).await;
            seen
        })
    }

    fn cancel(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            let Some(backend) = self.backend() else { return Ok(()) };
            let (connection, _) = self.ask(CANCEL, backend).await?;
            done(connection).await;
            Ok(())
        })
    }
}
