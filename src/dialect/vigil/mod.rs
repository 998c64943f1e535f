//! The watch over the statement a session runs. A statement may work for hours before its first row, and a server keeps
//! rows back until a buffer is full, so silence alone tells nothing: while it lasts, the server is asked over another
//! connection whether the session is at work, waits for a lock, or is gone. Only then a statement is cancelled (at the
//! server) or its connection given up. Nothing is measured while no answer is waited for.

pub(super) mod farewell;
pub(super) mod side_door;
pub(super) mod verdict;

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use self::side_door::{Seen, SideDoor};
use self::verdict::{Case, LOCK, UNKNOWN, Verdict, WORK, cut, held_by, lost, no_answer};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Instant as Moment, Relation};

/// The longest time for a statement to end after it was cancelled.
const GRACE: Duration = Duration::from_secs(5);
/// The silence after which the server is asked for the first time: before the status says that a poll takes long.
const FIRST_LOOK: Duration = Duration::from_secs(4);
/// The longest pause between two questions.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest time for a question.
const LOOK: Duration = Duration::from_secs(5);
/// The longest time for a cancellation when the session is being left.
const FAREWELL: Duration = Duration::from_secs(2);
const FOR_EVER: Duration = Duration::from_secs(365 * 86_400);

/// The watch over one session. Cheap to clone.
#[derive(Clone)]
pub struct Vigil(Arc<Inner>);

struct Inner {
    door: Option<Arc<dyn SideDoor>>,
    /// The silence after which a server that cannot be asked is taken for lost.
    limit: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The longest time without a row of a statement that the server works on; none: as long as it takes.
    bound: Option<Duration>,
    running: Option<Running>,
}

/// A statement whose end has not been seen.
struct Running {
    since: Instant,
    /// Its last row, or when rows began to be waited for.
    heard: Instant,
    seen: Option<Seen>,
}

/// The report about a statement that is silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// The time since when it runs, the time without a row, and the server's word on it.
    pub reason: String,
    /// The advice.
    pub advice: &'static str,
    /// True if the server is at work on it.
    pub at_work: bool,
}

/// The reason why a statement is not waited for any longer.
enum End {
    /// The statement shall be cancelled.
    Cut(Error),
    /// The session cannot be used any more.
    Lost(Error),
}

impl fmt::Debug for Vigil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vigil").field("limit", &self.0.limit).finish_non_exhaustive()
    }
}

impl Vigil {
    /// The vigil of a session whose server cannot be asked (yet): after a silence of `limit` it is taken for lost.
    pub(super) fn blind(limit: Duration) -> Self {
        Self::new(limit, None)
    }

    /// The vigil of a session whose server can be asked.
    pub(super) fn beside(limit: Duration, door: Arc<dyn SideDoor>) -> Self {
        Self::new(limit, Some(door))
    }

    fn new(limit: Duration, door: Option<Arc<dyn SideDoor>>) -> Self {
        let limit = if limit.is_zero() { FOR_EVER } else { limit.min(FOR_EVER) };
        let state = State { bound: Some(limit), running: None };
        Self(Arc::new(Inner { door, limit, state: Mutex::new(state) }))
    }

    /// Sets the longest time that statements may from now on give no row while the server works on them; none: as long
    /// as it takes.
    pub fn bound(&self, bound: Option<Duration>) {
        self.state().bound = bound;
    }

    /// The same for reads of one relation: a table is read in parts, and each may take `time` until its next row; a
    /// query may work on for as long as it needs.
    pub fn bound_for(&self, relation: &Relation, time: Duration) {
        self.bound(matches!(relation, Relation::Table(_)).then_some(time));
    }

    /// The report about a statement that is silent now; none if none runs.
    pub fn silence(&self) -> Option<Silence> {
        let state = self.state();
        state.running.as_ref().map(Running::describe)
    }

    /// Waits for an answer of the server.
    ///
    /// # Errors
    /// None came, and the server says why, or says nothing either.
    pub(super) async fn answer<T>(&self, call: impl Future<Output = sqlx::Result<T>>) -> Result<sqlx::Result<T>> {
        self.begins();
        let mut call = pin!(call);
        let end = tokio::select! {
            biased;
            answer = &mut call => {
                // Where the connection broke the server may not know yet.
                if !matches!(answer, Err(sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_))) {
                    self.ends();
                }
                return Ok(answer);
            }
            end = self.watch(false) => end,
        };
        self.leave(end, call).await
    }

    /// A statement has begun.
    pub(super) fn begins(&self) {
        if let Some(door) = &self.0.door {
            door.begins();
        }
        let now = Instant::now();
        self.state().running = Some(Running { since: now, heard: now, seen: None });
    }

    /// Notes that rows have come, or are waited for from now on.
    pub(super) fn hears(&self) {
        if let Some(running) = &mut self.state().running {
            (running.heard, running.seen) = (Instant::now(), None);
        }
    }

    /// The statement has ended, the server says so.
    pub(super) fn ends(&self) {
        self.state().running = None;
    }

    /// Watches from now on, until the statement is not to be waited for any longer.
    async fn watch(&self, has_rows: bool) -> End {
        let Some(door) = &self.0.door else {
            sleep(self.0.limit.saturating_add(GRACE)).await;
            return End::Lost(no_answer(self.0.limit));
        };
        let began = Instant::now();
        let mut pause = FIRST_LOOK.min(self.0.limit / 2);
        let (mut last, mut always): (Option<Seen>, bool) = (None, true);
        loop {
            let (limit, bound) = (self.0.limit, self.state().bound);
            // The next look, or the end of what is allowed, whichever comes first.
            let silent = began.elapsed();
            let ends = [Some(limit), bound].into_iter().flatten().filter(|end| *end > silent).map(|end| end - silent);
            sleep(ends.fold(pause, Duration::min)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            let seen = match timeout(LOOK, door.look()).await {
                Ok(Ok(seen)) => seen,
                Ok(Err(error)) if error.kind() != ErrorKind::Unreachable => Seen::Untold(error.report()),
                Ok(Err(_)) | Err(_) => Seen::Unreached,
            };
            let again = last.as_ref().is_some_and(|last| same_kind(last, &seen));
            always &= again || last.is_none();
            let case = Case { silent: began.elapsed(), limit, bound, has_rows, again, always };
            self.notes(seen.clone());
            match case.decide(&seen) {
                Verdict::Wait if seen == Seen::Idle => pause = Duration::from_secs(1),
                Verdict::Wait => {}
                Verdict::Lost => return End::Lost(lost(&seen, case.silent)),
                Verdict::Cut => return End::Cut(cut(&seen, case.silent)),
            }
            last = Some(seen);
        }
    }

    fn notes(&self, seen: Seen) {
        if let Some(running) = &mut self.state().running {
            running.seen = Some(seen);
        }
    }

    /// Cancels a statement that shall not go on, and waits for its end, so that the session can be used again.
    async fn leave<T, E>(
        &self,
        end: End,
        call: impl Future<Output = std::result::Result<T, E>>,
    ) -> Result<std::result::Result<T, E>> {
        let error = match end {
            End::Lost(error) => return Err(error),
            End::Cut(error) => error,
        };
        if let Some(door) = &self.0.door
            && let Ok(Err(failure)) = timeout(GRACE, door.cancel()).await
        {
            tracing::debug!(error = %failure.report(), "a statement could not be cancelled");
        }
        match timeout(GRACE, call).await {
            Ok(answer) => {
                self.ends();
                // It may have been answered in this moment.
                if answer.is_ok() { Ok(answer) } else { Err(error) }
            }
            Err(_) => Err(Error::new(ErrorKind::Unreachable, "the database did not end a cancelled statement")
                .advise(error.advice().to_owned())
                .caused_by(error)),
        }
    }

    /// Waits for the next rows: `next` is pending until there are some.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub(super) async fn rows<T, E>(
        &self,
        has_rows: bool,
        next: impl Future<Output = std::result::Result<T, E>>,
    ) -> Result<std::result::Result<T, E>> {
        let mut next = pin!(next);
        let end = tokio::select! {
            biased;
            rows = &mut next => return Ok(rows),
            end = self.watch(has_rows) => end,
        };
        self.leave(end, next).await
    }

    /// Cancels the statement that runs, if one does: its session is being left.
    pub(super) async fn cancel(&self) {
        let Some(door) = self.0.door.as_deref().filter(|_| self.state().running.take().is_some()) else { return };
        match timeout(FAREWELL, door.cancel()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(error = %error.report(), "a statement that was left could not be cancelled")
            }
            Err(_) => tracing::debug!("a statement that was left could not be cancelled in time"),
        }
    }

    /// A statement was left that the server may still run.
    fn is_amid_statement(&self) -> bool {
        self.0.door.is_some() && self.state().running.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn same_kind(one: &Seen, other: &Seen) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

impl Running {
    #[expect(clippy::disallowed_methods, reason = "when a statement began, as a person reads it")]
    fn describe(&self) -> Silence {
        let ago = |instant: Instant| i64::try_from(instant.elapsed().as_millis()).unwrap_or(i64::MAX);
        let now = chrono::Utc::now().timestamp_millis();
        let since = Moment::from_millis(now.saturating_sub(ago(self.since))).to_rfc3339();
        let what = format!("a statement runs since {since}, {} s without a row", ago(self.heard) / 1000);
        let say = |reason: String, advice, at_work| Silence { reason, advice, at_work };
        match &self.seen {
            Some(Seen::AtWork) => say(format!("{what}: the database is at work on it"), WORK, true),
            Some(Seen::Locked(holder)) => {
                say(format!("{what}: it waits for a lock{}", held_by(holder.as_deref())), LOCK, false)
            }
            Some(Seen::Untold(why)) => {
                say(format!("{what}: the database does not say what it does ({why})"), UNKNOWN, false)
            }
            Some(Seen::Gone) => say("the database knows nothing of the session any more".to_owned(), UNKNOWN, false),
            Some(Seen::Idle | Seen::Unreached) | None => {
                say("the database does not answer a statement".to_owned(), UNKNOWN, false)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::BoxFuture;

    use super::*;

    /// A server that says one thing after the other, the last one for good, and counts cancellations.
    struct Scripted(Mutex<VecDeque<Seen>>, Arc<AtomicUsize>);

    impl SideDoor for Scripted {
        fn look(&self) -> BoxFuture<'_, Result<Seen>> {
            let mut script = self.0.lock().unwrap();
            let seen = if script.len() > 1 { script.pop_front().unwrap() } else { script[0].clone() };
            Box::pin(async { Ok(seen) })
        }

        fn cancel(&self) -> BoxFuture<'_, Result<()>> {
            self.1.fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Ok(()) })
        }
    }

    fn scripted(script: &[Seen]) -> (Vigil, Arc<AtomicUsize>) {
        let cancelled = Arc::new(AtomicUsize::new(0));
        let door = Scripted(Mutex::new(script.to_vec().into()), Arc::clone(&cancelled));
        (Vigil::beside(Duration::from_secs(30), Arc::new(door)), cancelled)
    }

    async fn after(seconds: u64) -> sqlx::Result<u8> {
        sleep(Duration::from_secs(seconds)).await;
        Ok(1)
    }

    #[tokio::test(start_paused = true)]
    async fn an_unbounded_statement_may_work_for_hours() {
        let (vigil, cancelled) = scripted(&[Seen::AtWork]);
        vigil.bound(None);
        assert_eq!(vigil.answer(after(7_200)).await.unwrap().unwrap(), 1);
        assert_eq!((cancelled.load(Ordering::SeqCst), vigil.silence()), (0, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_bounded_statement_is_cancelled_at_the_server_and_says_which_key_to_raise() {
        let (vigil, cancelled) = scripted(&[Seen::AtWork]);
        let ended = async { after(33).await.and(Err::<u8, _>(sqlx::Error::RowNotFound)) };
        let error = vigil.answer(ended).await.unwrap_err();
        assert_eq!((error.kind(), cancelled.load(Ordering::SeqCst)), (ErrorKind::TimeLimit, 1));
        assert!(error.advice().contains("statement.timeout.ms"), "{}", error.advice());
        assert_eq!(vigil.silence(), None, "the session can be used again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_is_named_with_its_holder() {
        let (vigil, _) = scripted(&[Seen::Locked(Some("session 7".to_owned()))]);
        vigil.bound(None);
        let ended = async { after(33).await.and(Err::<u8, _>(sqlx::Error::RowNotFound)) };
        let error = vigil.answer(ended).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Query);
        assert_eq!(error.report(), "the statement waited 30 s for a lock held by session 7");
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_peer_is_told_from_a_slow_statement() {
        for (script, seconds) in [(vec![Seen::Unreached], 30), (vec![Seen::AtWork, Seen::Gone], 12)] {
            let (vigil, cancelled) = scripted(&script);
            vigil.bound(None);
            let began = Instant::now();
            let error = vigil.answer(std::future::pending::<sqlx::Result<()>>()).await.unwrap_err();
            assert_eq!((error.kind(), began.elapsed().as_secs()), (ErrorKind::Unreachable, seconds), "{error:?}");
            assert_eq!(cancelled.load(Ordering::SeqCst), 0);
            vigil.cancel().await;
            assert_eq!(cancelled.load(Ordering::SeqCst), 1, "its statement may still run");
            vigil.cancel().await;
            assert_eq!(cancelled.load(Ordering::SeqCst), 1);
        }
    }
}
