//! Tables that are not polled although they are due: outside of `poll.windows`, or because the replica that is read lags
//! (`replica.lag.max.ms`). What was read before is committed, and the table waits with its reason in the status.

use std::time::Duration;

use tokio::time::Instant as Clock;

use super::PollStage;
use crate::dialect::{ReplicaLag, SourceConnection};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Instant;
use crate::retry::{Backoff, RetryPolicy};
use crate::status::{HeldBack, HeldBy, now_millis};
use crate::telemetry::ConnectorMetrics;

/// The longest time after which a table outside of its windows is looked at: the clock may be set meanwhile.
const LOOK: Duration = Duration::from_secs(60);
/// The interval at which the lag of a replica is asked for that is near enough.
const ASKED: Duration = Duration::from_secs(1);
/// The pauses while it lags.
const PAUSES: RetryPolicy =
    RetryPolicy { attempts: None, patience: None, first: Duration::from_secs(1), longest: Duration::from_secs(30) };

const OF_WINDOWS: &str = "nothing needs to be done; poll.windows says when tables are polled";
const OF_REPLICA: &str =
    "look at the replication of the server that is read, or raise replica.lag.max.ms; zero reads it whatever its lag";

/// The lag of the replica that a task reads.
#[derive(Default)]
pub(super) struct ReplicaWatch {
    /// The time at which it is asked for again.
    next: Option<Clock>,
    /// True if it was too large when it was last asked for.
    is_behind: bool,
    /// The finding in words, once it was so twice: a primary that wakes up makes its replicas look old for a moment.
    reason: Option<String>,
    backoff: Backoff,
    has_said_untold: bool,
}

impl ReplicaWatch {
    async fn look(
        &mut self,
        connection: &mut dyn SourceConnection,
        limit: Duration,
        metrics: &ConnectorMetrics,
    ) -> Result<()> {
        let lag = connection.replica_lag().await?;
        metrics.replica_lag(match &lag {
            ReplicaLag::Behind(lag) => Some(lag.as_secs_f64()),
            _ => None,
        });
        let found = match lag {
            ReplicaLag::Behind(lag) if lag > limit => Some(format!("is {:.1} s behind its primary", lag.as_secs_f64())),
            ReplicaLag::Stopped(why) => Some(format!("does not follow its primary ({why})")),
            ReplicaLag::Untold(why) => {
                if !std::mem::replace(&mut self.has_said_untold, true) {
                    tracing::warn!(why, "the lag of the replica is not told, and tables are polled whatever it is");
                }
                None
            }
            ReplicaLag::NoReplica | ReplicaLag::Behind(_) => None,
        };
        let Some(found) = found else {
            if self.reason.is_some() {
                tracing::info!("the replica has caught up, polling goes on");
            }
            *self = Self { next: Some(Clock::now() + ASKED), has_said_untold: self.has_said_untold, ..Self::default() };
            return Ok(());
        };
        if std::mem::replace(&mut self.is_behind, true) {
            let limit = limit.as_secs_f64();
            if self.reason.is_none() {
                tracing::warn!(
                    limit_seconds = limit,
                    advice = OF_REPLICA,
                    "the replica {found}: tables are not polled"
                );
            }
            self.reason = Some(format!("the replica {found}, {limit} s are allowed (replica.lag.max.ms)"));
        }
        self.next = Some(Clock::now() + self.backoff.next(&PAUSES).unwrap_or(PAUSES.longest));
        Ok(())
    }
}

impl PollStage<'_> {
    /// Connects for a table that may be polled now; false if it is held back.
    pub(super) async fn may_poll(&mut self, index: usize) -> Result<bool> {
        if self.is_outside_windows(index).await? {
            return Ok(false);
        }
        self.connect().await?;
        Ok(!self.is_behind_primary(index).await?)
    }

    /// Holds a table back that is outside of its windows. True if it is. Without a table that may be polled the session is
    /// closed: the server may be about to be shut down.
    async fn is_outside_windows(&mut self, index: usize) -> Result<bool> {
        let now = now_millis();
        let Some(until) = self.closed_until(index, now) else { return Ok(false) };
        let pause = Duration::from_millis(u64::try_from(until.saturating_sub(now)).unwrap_or_default());
        let reason = format!("outside of poll.windows until {}", Instant::from_millis(until).to_rfc3339());
        let held = HeldBack { by: HeldBy::Windows, until };
        self.hold_back(index, pause.min(LOOK), held, (reason, OF_WINDOWS)).await?;
        if self.connection.is_some() && (0..self.relations.len()).all(|index| self.closed_until(index, now).is_some()) {
            tracing::info!("every table is outside of poll.windows, the connection is closed");
            if let Some(connection) = self.connection.take() {
                connection.close().await;
            }
        }
        Ok(true)
    }

    /// The end of the time at which a table is not to be polled, if that is now. `--once` is a time of its own.
    pub(super) fn closed_until(&self, index: usize, now: i64) -> Option<i64> {
        self.relations[index].spec.polling.windows.closed_until(now).filter(|_| !self.parts.once)
    }

    /// Holds a table back while the replica lags. True if it does.
    ///
    /// # Errors
    /// Those of the connection; with `--once` `Unreachable`, which is tried again as long as such a run may last.
    async fn is_behind_primary(&mut self, index: usize) -> Result<bool> {
        let limit = self.configured.polling().replica_lag_max;
        let Some(connection) = self.connection.as_deref_mut().filter(|_| !limit.is_zero()) else { return Ok(false) };
        if self.replica.next.is_none_or(|next| next <= Clock::now()) {
            self.replica.look(connection, limit, &self.parts.metrics).await?;
        }
        let Some(next) = self.replica.next.filter(|_| self.replica.is_behind) else { return Ok(false) };
        let pause = next.saturating_duration_since(Clock::now());
        let Some(reason) = self.replica.reason.clone() else {
            self.relations[index].schedule.due_after(pause);
            return Ok(true);
        };
        if self.parts.once {
            return Err(Error::new(ErrorKind::Unreachable, reason).advise(OF_REPLICA));
        }
        let until = now_millis().saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
        self.hold_back(index, pause, HeldBack { by: HeldBy::ReplicaLag, until }, (reason, OF_REPLICA)).await?;
        Ok(true)
    }

    async fn hold_back(
        &mut self,
        index: usize,
        pause: Duration,
        held: HeldBack,
        (reason, advice): (String, &str),
    ) -> Result<()> {
        let polled = &mut self.relations[index];
        polled.schedule.due_after(pause);
        if polled.schedule.failed.is_none() {
            polled.board.held_back(held, reason, advice);
        }
        polled.promise_no_more(&self.out).await
    }
}
