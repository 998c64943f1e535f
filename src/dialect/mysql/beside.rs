//! The server's list of processes about a session, and cancelling its statement, over another connection.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::Connection;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow, MySqlSslMode};

use super::super::statement::{Doing, statement};
use super::super::vigil::side_door::{Seen, SideDoor};
use super::super::way::Way;
use super::classify::classify;
use super::server::Server;
use super::session::text;
use crate::error::Result;

/// The name that tells a server from others behind the same address.
pub(super) const INSTANCE: &str = "select cast(concat(@@hostname, ':', @@port) as char)";

/// Locks of other sessions on the object that a session waits for: the session, the lock, and whether it is granted.
const HOLDERS: &str = "
    select cast(t.processlist_id as char), cast(t.processlist_user as char), cast(g.lock_type as char), cast(g.lock_status as char)
    from performance_schema.metadata_locks w
    join performance_schema.threads o on o.thread_id = w.owner_thread_id
    join performance_schema.metadata_locks g on g.object_type = w.object_type and g.object_schema <=> w.object_schema
      and g.object_name <=> w.object_name and g.owner_thread_id <> w.owner_thread_id
    join performance_schema.threads t on t.thread_id = g.owner_thread_id
    where w.lock_status = 'PENDING' and o.processlist_id =";
/// The same of MariaDB's plugin, which does not tell the waiter: strong locks on tables that its statement may name.
const PLUGIN: &str = "
    select distinct cast(m.thread_id as char), cast(p.user as char), substr(m.lock_mode, 5), 'GRANTED'
    from information_schema.metadata_lock_info m
    left join information_schema.processlist p on p.id = m.thread_id
    join information_schema.processlist w on w.info like concat('%', m.table_name, '%')
    where m.lock_mode in ('MDL_EXCLUSIVE', 'MDL_SHARED_NO_READ_WRITE') and m.thread_id <> w.id and w.id =";

/// The other connection's address, and the session that is asked about.
pub(super) struct Beside {
    pub(super) way: Way<MySqlSslMode>,
    pub(super) options: MySqlConnectOptions,
    pub(super) kind: Server,
    /// The session's number.
    pub(super) id: u64,
    pub(super) instance: String,
}

/// Another session's lock.
struct Lock {
    session: String,
    user: String,
    is_strong: bool,
    is_granted: bool,
}

impl Beside {
    async fn open(&self) -> Result<MySqlConnection> {
        self.way.connect(self.options.clone()).await?.map_err(|error| classify(error, Doing::Connect))
    }

    async fn see(&self, connection: &mut MySqlConnection) -> Result<Seen> {
        let sql = match self.kind {
            Server::TiDb => format!(
                "select cast(id as char), user, host, db, command, time, state from information_schema.cluster_processlist where id = {}",
                self.id
            ),
            Server::MySql | Server::MariaDb => "show processlist".to_owned(),
        };
        let id = self.id.to_string();
        let rows = rows(connection, &sql).await?;
        let own = rows.iter().find(|row| text(row, 0).is_ok_and(|found| found == Some(id.as_str())));
        let Some(own) = own else {
            let instance = rows_text(connection, INSTANCE).await?;
            let is_elsewhere = self.kind == Server::TiDb || instance.as_deref() != Some(self.instance.as_str());
            return Ok(if is_elsewhere { Seen::Untold("another server has answered".to_owned()) } else { Seen::Gone });
        };
        let (command, state) = (text(own, 4)?.unwrap_or_default(), text(own, 6)?.unwrap_or_default());
        Ok(match command {
            "Sleep" => Seen::Idle,
            _ if waits_for_a_lock(state) => Seen::Locked(self.holders(connection).await),
            _ => Seen::AtWork,
        })
    }

    /// The holders of the locks that the session waits for, if they are shown to this user.
    async fn holders(&self, connection: &mut MySqlConnection) -> Option<String> {
        let mut found = rows(connection, &format!("{HOLDERS} {}", self.id)).await.unwrap_or_default();
        if found.is_empty() && self.kind == Server::MariaDb {
            found = rows(connection, &format!("{PLUGIN} {}", self.id)).await.unwrap_or_default();
        }
        let locks: Vec<Lock> = found.iter().filter_map(Lock::of).collect();
        words(&locks)
    }
}

/// True if a thread waits for a lock. The names of its states are not translated.
fn waits_for_a_lock(state: &str) -> bool {
    state.starts_with("Waiting for") && (state.contains("lock") || state.contains("flush"))
}

impl Lock {
    fn of(row: &MySqlRow) -> Option<Self> {
        let kind = text(row, 2).ok()??;
        Some(Self {
            session: text(row, 0).ok()??.to_owned(),
            user: text(row, 1).ok()?.unwrap_or("unknown").to_owned(),
            is_strong: matches!(kind, "EXCLUSIVE" | "SHARED_NO_READ_WRITE"),
            is_granted: matches!(text(row, 3), Ok(Some("GRANTED"))),
        })
    }
}

/// The locks that keep readers out, held or requested before theirs, and the sessions that those wait for.
fn words(locks: &[Lock]) -> Option<String> {
    let mut holders = Vec::new();
    for lock in locks.iter().filter(|lock| lock.is_strong) {
        let mut holder = format!("session {} (user {})", lock.session, lock.user);
        if !lock.is_granted {
            let others = locks.iter().filter(|other| other.is_granted && other.session != lock.session);
            let others: Vec<_> = others.map(|other| format!("session {}", other.session)).collect();
            if !others.is_empty() {
                holder = format!("{holder}, which itself waits for {}", others.join(" and "));
            }
        }
        if !holders.contains(&holder) {
            holders.push(holder);
        }
    }
    (!holders.is_empty()).then(|| holders.join(", "))
}

async fn rows(connection: &mut MySqlConnection, sql: &str) -> Result<Vec<MySqlRow>> {
    let call = sqlx::raw_sql(statement(sql)).fetch_all(connection);
    call.await.map_err(|error| classify(error, Doing::Page))
}

async fn rows_text(connection: &mut MySqlConnection, sql: &str) -> Result<Option<String>> {
    let rows = rows(connection, sql).await?;
    Ok(rows.first().map(|row| text(row, 0)).transpose()?.flatten().map(str::to_owned))
}

/// Closes the connection politely; a server that does not answer is not waited for.
async fn done(connection: MySqlConnection) {
    let _ = tokio::time::timeout(Duration::from_millis(500), connection.close()).await;
}

impl SideDoor for Beside {
    fn look(&self) -> BoxFuture<'_, Result<Seen>> {
        Box::pin(async {
            let mut connection = self.open().await?;
            let seen = self.see(&mut connection).await;
            done(connection).await;
            seen
        })
    }

    fn cancel(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            let mut connection = self.open().await?;
            let word = if self.kind == Server::TiDb { "kill tidb query" } else { "kill query" };
            let killed = rows(&mut connection, &format!("{word} {}", self.id)).await;
            done(connection).await;
            killed.map(drop)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(session: &str, is_strong: bool, is_granted: bool) -> Lock {
        Lock { session: session.to_owned(), user: "app".to_owned(), is_strong, is_granted }
    }

    #[test]
    fn who_holds_a_lock_is_told_from_who_waits_for_it_too() {
        assert_eq!(words(&[lock("7", true, true)]).as_deref(), Some("session 7 (user app)"));
        let queued = [lock("9", false, true), lock("8", true, false)];
        assert_eq!(words(&queued).as_deref(), Some("session 8 (user app), which itself waits for session 9"));
        assert_eq!(words(&[lock("9", false, true)]), None);
    }

    #[test]
    fn thread_states_tell_a_lock_from_work() {
        for state in ["Waiting for table metadata lock", "Waiting for table level lock", "Waiting for table flush"] {
            assert!(waits_for_a_lock(state), "{state}");
        }
        for state in ["executing", "Sending data", "Waiting for next activation", ""] {
            assert!(!waits_for_a_lock(state), "{state}");
        }
    }
}
