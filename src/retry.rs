//! Waiting for others: backoff, the policy as configured and the state that counts through it, and steps bounded in time.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Result};

/// The policy of retries: their number and their pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Consecutive failures after which to give up; none: never.
    pub attempts: Option<u32>,
    /// The longest time of failures before giving up; none: for ever.
    pub patience: Option<Duration>,
    /// The first pause.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: None, patience: None, first: Duration::from_millis(200), longest: Duration::from_secs(30) }
    }
}

/// Counts consecutive failures.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    failures: u32,
    /// The first failure since the last success.
    since: Option<Instant>,
}

impl Backoff {
    /// The number of failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Forgets the failures.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Counts a failure. The pause before the next try: doubled each time, between half and the whole
    /// at random so that many tables do not come back at once; none if the attempts or the time are used up.
    pub fn next(&mut self, policy: &RetryPolicy) -> Option<Duration> {
        self.failures += 1;
        if policy.attempts.is_some_and(|attempts| self.failures >= attempts) {
            return None;
        }
        let doubled = policy.first.saturating_mul(1 << (self.failures - 1).min(20));
        let pause = doubled.min(policy.longest).mul_f64(0.5 + fastrand::f64() / 2.0);
        let failing = self.since.get_or_insert_with(Instant::now).elapsed();
        match policy.patience {
            Some(patience) if failing >= patience => None,
            // The last try comes when the time is up, not later.
            Some(patience) => Some(pause.min(patience - failing)),
            None => Some(pause),
        }
    }
}

/// A step that needs somebody else, bounded in time.
///
/// # Errors
/// `Unreachable` when the time is up, naming what was waited for.
pub async fn within<T>(timeout: Duration, what: &str, step: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(timeout, step).await {
        Ok(outcome) => outcome,
        Err(_) => {
            Err(Error::new(ErrorKind::Unreachable, format!("{what} did not answer within {} s", timeout.as_secs_f64()))
                .advise("check that it is up and can be reached from here; --timeout waits longer"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_bounds_the_pauses_and_ends_the_tries() {
        let patience = Duration::from_secs(2);
        let policy = RetryPolicy { patience: Some(patience), ..RetryPolicy::default() };
        let mut backoff = Backoff::default();
        assert!((0..20).all(|_| backoff.next(&policy).is_some_and(|pause| pause <= patience)));
        backoff.since = Instant::now().checked_sub(patience);
        assert_eq!(backoff.next(&policy), None);
    }

    #[test]
    fn pauses_grow_to_the_longest_and_end_with_the_attempts() {
        let policy = RetryPolicy { attempts: Some(40), ..RetryPolicy::default() };
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = std::iter::from_fn(|| backoff.next(&policy)).collect();
        assert_eq!(pauses.len(), 39);
        assert!(pauses[0] <= policy.first && pauses[0] >= policy.first / 2);
        assert!(pauses[38] <= policy.longest && pauses[38] >= policy.longest / 2);
        backoff.reset();
        assert!(backoff.next(&policy).unwrap() <= policy.first);
    }
}
