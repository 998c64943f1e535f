//! Watches over the statement a session runs. A statement may work for hours before its first row, and a server keeps
//! rows back until a buffer is full, so silence alone tells nothing: while it lasts, the server is asked over another
//! connection whether the session is at work, waits for a lock, or is gone. Only then a statement is cancelled (at the
//! server) or its connection given up. Nothing is measured while no answer is waited for.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep, timeout};

use crate::error::{Error, ErrorKind, Result};
use crate::model::{Instant as Moment, Relation};

/// How long a statement may take to end after it was cancelled.
const GRACE: Duration = Duration::from_secs(5);
/// When the server is asked for the first time: before the status says that a poll takes long.
const FIRST_LOOK: Duration = Duration::from_secs(4);
/// The longest pause between two questions.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long a question may take.
const LOOK: Duration = Duration::from_secs(5);
/// How long a cancellation may take when the session is being left.
const FAREWELL: Duration = Duration::from_secs(2);
/// How often the limit a silence may last if nobody tells what the server does.
const UNTOLD: u32 = 10;
const FOR_EVER: Duration = Duration::from_secs(365 * 86_400);

/// What a server says of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// Its statement runs.
    AtWork,
    /// Its statement waits for a lock; whose, in words that follow "held by", if that is shown.
    Locked(Option<String>),
    /// It has no statement any more, or nobody takes its answer.
    Idle,
    /// There is no such session.
    Gone,
    /// It does not tell, and why.
    Untold(String),
    /// It cannot be reached over another connection either.
    Unreached,
}

/// The way to a session's server beside the session itself.
pub(super) trait SideDoor: Send + Sync {
    /// What the server says of the session.
    fn look(&self) -> BoxFuture<'_, Result<Seen>>;

    /// Cancels the session's statement, if one runs.
    fn cancel(&self) -> BoxFuture<'_, Result<()>>;

    /// A statement begins: an earlier cancellation is not meant for it.
    fn begins(&self) {}
}

/// Watches over one session. Cheap to clone.
#[derive(Clone)]
pub struct Vigil(Arc<Inner>);

struct Inner {
    door: Option<Arc<dyn SideDoor>>,
    /// After this long the silence of a server that cannot be asked means that it is lost.
    limit: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How long a statement that the server works on may give no row; none: as long as it takes.
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

/// What is to be said of a statement that is silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Since when it runs, how long it has given no row, and what the server says of it.
    pub reason: String,
    /// What to do.
    pub advice: &'static str,
    /// The server is at work on it.
    pub at_work: bool,
}

/// Why a statement is not waited for any longer.
enum End {
    /// It shall be cancelled.
    Cut(Error),
    /// The session cannot be used any more.
    Lost(Error),
}

/// What a look means.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Wait,
    Cut,
    Lost,
}

/// How long a statement has been silent, and what may become of it.
#[derive(Debug, Clone, Copy)]
struct Case {
    silent: Duration,
    limit: Duration,
    bound: Option<Duration>,
    has_rows: bool,
    /// The look before has found this too.
    again: bool,
    /// Every look until now has found this.
    always: bool,
}

impl Case {
    fn judge(self, seen: &Seen) -> Verdict {
        let is_over = |bound: Option<Duration>| bound.is_some_and(|bound| self.silent >= bound);
        match seen {
            // Its answer may be under way at the first look.
            Seen::Idle if !self.again => Verdict::Wait,
            Seen::Idle | Seen::Gone => Verdict::Lost,
            Seen::Unreached if is_over(Some(self.limit)) => Verdict::Lost,
            Seen::Untold(_) if is_over(self.bound.or_else(|| self.limit.checked_mul(UNTOLD))) => Verdict::Cut,
            Seen::AtWork if is_over(self.bound) => Verdict::Cut,
            // Nothing was done yet that would have to be done again, and other tables may be read meanwhile.
            Seen::Locked(_) if self.always && !self.has_rows && is_over(self.bound.or(Some(self.limit))) => {
                Verdict::Cut
            }
            Seen::Locked(_) if is_over(self.bound) => Verdict::Cut,
            _ => Verdict::Wait,
        }
    }
}

impl fmt::Debug for Vigil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vigil").field("limit", &self.0.limit).finish_non_exhaustive()
    }
}

impl Vigil {
    /// For a session whose server cannot be asked (yet): a silence of `limit` means that it is lost.
    pub(super) fn blind(limit: Duration) -> Self {
        Self::new(limit, None)
    }

    /// For a session whose server can be asked.
    pub(super) fn beside(limit: Duration, door: Arc<dyn SideDoor>) -> Self {
        Self::new(limit, Some(door))
    }

    fn new(limit: Duration, door: Option<Arc<dyn SideDoor>>) -> Self {
        let limit = if limit.is_zero() { FOR_EVER } else { limit.min(FOR_EVER) };
        let state = State { bound: Some(limit), running: None };
        Self(Arc::new(Inner { door, limit, state: Mutex::new(state) }))
    }

    /// How long statements may from now on give no row while the server works on them; none: as long as it takes.
    pub fn bound(&self, bound: Option<Duration>) {
        self.state().bound = bound;
    }

    /// The same for what is read of one relation: a table is read in parts, and each may take `time` until its next row;
    /// a query may work on for as long as it needs.
    pub fn bound_for(&self, relation: &Relation, time: Duration) {
        self.bound(matches!(relation, Relation::Table(_)).then_some(time));
    }

    /// What is to be said of a statement that is silent now; none if none runs.
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

    /// Rows have come, or are waited for from now on.
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
            match case.judge(&seen) {
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

    /// Cancels what shall not go on, and waits for its end, so that the session can be used again.
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

const WORK: &str = "look at its load and for a missing index (`rowtide explain`)";
const LOCK: &str = "end the transaction that holds the lock, or wait for it; rowtide goes on by itself";
const UNKNOWN: &str = "check that the database is up and can be reached; look at its load and at locks";
const TOO_SLOW: &str = "rowtide gives the table more time at its next try; raise statement.timeout.ms, or look for a \
                        missing index with `rowtide explain`";

fn held_by(holder: Option<&str>) -> String {
    holder.map_or_else(String::new, |holder| format!(" held by {holder}"))
}

/// The server gave no answer in time.
pub(super) fn no_answer(limit: Duration) -> Error {
    Error::new(ErrorKind::Unreachable, format!("the database gave no answer for {} s", limit.as_secs()))
}

fn lost(seen: &Seen, silent: Duration) -> Error {
    match seen {
        Seen::Gone => Error::new(ErrorKind::Unreachable, "the database knows nothing of the session any more"),
        Seen::Idle => Error::new(ErrorKind::Unreachable, "the answer of the database does not arrive"),
        _ => no_answer(silent),
    }
}

fn cut(seen: &Seen, silent: Duration) -> Error {
    let seconds = (silent.as_millis() + 500) / 1000;
    match seen {
        Seen::Locked(holder) => {
            let holder = held_by(holder.as_deref());
            Error::new(ErrorKind::Query, format!("the statement waited {seconds} s for a lock{holder}")).advise(LOCK)
        }
        _ => Error::new(ErrorKind::TimeLimit, format!("the statement gave no row for {seconds} s and was cancelled"))
            .advise(TOO_SLOW),
    }
}

/// Cancels, when the session is dropped, the statement that it is dropped in the middle of.
pub(super) struct Farewell(pub(super) Vigil);

static FAREWELLS: AtomicUsize = AtomicUsize::new(0);

impl Drop for Farewell {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.0.0.door.is_none() || self.0.state().running.is_none() {
            return;
        }
        FAREWELLS.fetch_add(1, Ordering::SeqCst);
        let vigil = self.0.clone();
        // Ends by itself within seconds. On cancel the server goes on with what nobody waits for.
        runtime.spawn(async move {
            let _counted = Counted;
            vigil.cancel().await;
        });
    }
}

struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        FAREWELLS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits until the statements of dropped sessions are cancelled, for the end of the process.
pub async fn farewells() {
    let began = Instant::now();
    while FAREWELLS.load(Ordering::SeqCst) > 0 && began.elapsed() < FAREWELL {
        sleep(Duration::from_millis(10)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    fn case(silent: u64, bound: Option<u64>, has_rows: bool) -> Case {
        let seconds = Duration::from_secs;
        let bound = bound.map(seconds);
        Case { silent: seconds(silent), limit: seconds(30), bound, has_rows, again: true, always: true }
    }

    #[test]
    fn a_statement_that_the_server_works_on_is_cut_only_at_its_bound() {
        assert_eq!(case(3_600, None, false).judge(&Seen::AtWork), Verdict::Wait);
        assert_eq!(case(29, Some(30), false).judge(&Seen::AtWork), Verdict::Wait);
        assert_eq!(case(30, Some(30), true).judge(&Seen::AtWork), Verdict::Cut);
    }

    #[test]
    fn a_lock_is_not_waited_for_without_end_unless_rows_would_come_again() {
        assert_eq!(case(30, None, false).judge(&Seen::Locked(None)), Verdict::Cut);
        assert_eq!(case(29, None, false).judge(&Seen::Locked(None)), Verdict::Wait);
        assert_eq!(case(3_600, None, true).judge(&Seen::Locked(None)), Verdict::Wait);
        assert_eq!(Case { always: false, ..case(3_600, None, false) }.judge(&Seen::Locked(None)), Verdict::Wait);
    }

    #[test]
    fn a_session_is_lost_when_nobody_can_be_asked_or_nothing_arrives() {
        assert_eq!(case(29, None, true).judge(&Seen::Unreached), Verdict::Wait);
        assert_eq!(case(30, None, true).judge(&Seen::Unreached), Verdict::Lost);
        assert_eq!(case(1, None, true).judge(&Seen::Gone), Verdict::Lost);
        assert_eq!(Case { again: false, ..case(1, None, true) }.judge(&Seen::Idle), Verdict::Wait);
        assert_eq!(case(299, None, true).judge(&Seen::Untold(String::new())), Verdict::Wait);
        assert_eq!(case(300, None, true).judge(&Seen::Untold(String::new())), Verdict::Cut);
    }

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
