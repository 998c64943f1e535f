//! The lag of a standby: how long ago the last transaction that it shows was committed, unless it shows all that it has
//! received from a primary that is there.

use super::super::replica::ReplicaLag;
use super::super::statement::Doing;
use super::session::{Session, answered, get};
use crate::error::{ErrorKind, Result};

/// Without a receiver of its primary's log nobody knows what is missing, so that the time counts; a standby that is fed by
/// archived files alone lags while its primary is idle. Its configured delay is no lag.
const LAG: &str = "
    select pg_is_in_recovery(),
      case when pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn() and exists (select from pg_stat_wal_receiver) then 0
        else extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) end::float8,
      (select setting::float8 / 1000 from pg_settings where name = 'recovery_min_apply_delay')";

pub(super) async fn lag(session: &mut Session) -> Result<ReplicaLag> {
    if !session.standby && !session.pooled {
        return Ok(ReplicaLag::NoReplica);
    }
    session.begin().await?;
    let call = sqlx::query(LAG).fetch_one(&mut session.connection);
    let row = match answered(&session.vigil, Doing::Page, call).await {
        // A server that is only like PostgreSQL, and keeps its replicas by other means.
        Err(error) if error.kind() != ErrorKind::Unreachable => return Ok(ReplicaLag::Untold(error.report())),
        row => row?,
    };
    if !get::<bool>(&row, 0)? {
        return Ok(ReplicaLag::NoReplica);
    }
    let delay = get::<Option<f64>>(&row, 2)?.unwrap_or_default();
    Ok(match get::<Option<f64>>(&row, 1)? {
        Some(seconds) => ReplicaLag::beyond(seconds, delay),
        None => ReplicaLag::Untold("the standby has replayed no transaction since its start".to_owned()),
    })
}
