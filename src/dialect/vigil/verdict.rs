//! The consequence of a server's word on a silent session, and the errors that come of it. Pure.

use std::time::Duration;

use super::side_door::Seen;
use crate::error::{Error, ErrorKind};

/// The multiple of the limit that a silence may last if nobody tells what the server does.
const UNTOLD: u32 = 10;

/// The consequence of a look.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Wait,
    Cut,
    Lost,
}

/// The silence of a statement: how long it lasts, and the bounds on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) silent: Duration,
    pub(super) limit: Duration,
    pub(super) bound: Option<Duration>,
    pub(super) has_rows: bool,
    /// True if the look before has found this too.
    pub(super) again: bool,
    /// True if every look until now has found this.
    pub(super) always: bool,
}

impl Case {
    pub(super) fn decide(self, seen: &Seen) -> Verdict {
        let is_over = |bound: Option<Duration>| bound.is_some_and(|bound| self.silent >= bound);
        match seen {
            // Its answer may be under way at the first look.
            Seen::Idle if !self.again => Verdict::Wait,
            Seen::Idle | Seen::Gone => Verdict::Lost,
            Seen::Unreached if is_over(Some(self.limit)) => Verdict::Lost,
            Seen::Untold(_) if is_over(self.bound.or_else(|| self.limit.checked_mul(UNTOLD))) => Verdict::Cut,
            Seen::AtWork if is_over(self.bound) => Verdict::Cut,
            // No work would be lost, and other tables may be read meanwhile.
            Seen::Locked(_) if self.always && !self.has_rows && is_over(self.bound.or(Some(self.limit))) => {
                Verdict::Cut
            }
            Seen::Locked(_) if is_over(self.bound) => Verdict::Cut,
            _ => Verdict::Wait,
        }
    }
}

pub(super) const WORK: &str = "look at its load and for a missing index (`rowtide explain`)";
pub(super) const LOCK: &str = "end the transaction that holds the lock, or wait for it; rowtide then continues by \
                               itself";
pub(super) const UNKNOWN: &str = "check that the database is up and can be reached; look at its load and at locks";
const TOO_SLOW: &str = "rowtide gives the table more time at its next try; raise statement.timeout.ms, or look for a \
                        missing index with `rowtide explain`";

pub(super) fn held_by(holder: Option<&str>) -> String {
    holder.map_or_else(String::new, |holder| format!(" held by {holder}"))
}

/// The server gave no answer in time.
pub(in crate::dialect) fn no_answer(limit: Duration) -> Error {
    Error::new(ErrorKind::Unreachable, format!("the database gave no answer for {} s", limit.as_secs()))
}

pub(super) fn lost(seen: &Seen, silent: Duration) -> Error {
    match seen {
        Seen::Gone => Error::new(ErrorKind::Unreachable, "the database knows nothing of the session any more"),
        Seen::Idle => Error::new(ErrorKind::Unreachable, "the answer of the database does not arrive"),
        _ => no_answer(silent),
    }
}

pub(super) fn cut(seen: &Seen, silent: Duration) -> Error {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn case(silent: u64, bound: Option<u64>, has_rows: bool) -> Case {
        let seconds = Duration::from_secs;
        let bound = bound.map(seconds);
        Case { silent: seconds(silent), limit: seconds(30), bound, has_rows, again: true, always: true }
    }

    #[test]
    fn a_statement_that_the_server_works_on_is_cut_only_at_its_bound() {
        assert_eq!(case(3_600, None, false).decide(&Seen::AtWork), Verdict::Wait);
        assert_eq!(case(29, Some(30), false).decide(&Seen::AtWork), Verdict::Wait);
        assert_eq!(case(30, Some(30), true).decide(&Seen::AtWork), Verdict::Cut);
    }

    #[test]
    fn a_lock_is_not_waited_for_without_end_unless_rows_would_come_again() {
        assert_eq!(case(30, None, false).decide(&Seen::Locked(None)), Verdict::Cut);
        assert_eq!(case(29, None, false).decide(&Seen::Locked(None)), Verdict::Wait);
        assert_eq!(case(3_600, None, true).decide(&Seen::Locked(None)), Verdict::Wait);
        assert_eq!(Case { always: false, ..case(3_600, None, false) }.decide(&Seen::Locked(None)), Verdict::Wait);
    }

    #[test]
    fn a_session_is_lost_when_nobody_can_be_asked_or_nothing_arrives() {
        assert_eq!(case(29, None, true).decide(&Seen::Unreached), Verdict::Wait);
        assert_eq!(case(30, None, true).decide(&Seen::Unreached), Verdict::Lost);
        assert_eq!(case(1, None, true).decide(&Seen::Gone), Verdict::Lost);
        assert_eq!(Case { again: false, ..case(1, None, true) }.decide(&Seen::Idle), Verdict::Wait);
        assert_eq!(case(299, None, true).decide(&Seen::Untold(String::new())), Verdict::Wait);
        assert_eq!(case(300, None, true).decide(&Seen::Untold(String::new())), Verdict::Cut);
    }
}
