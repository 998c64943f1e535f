//! Topics that the brokers refuse: the table of such a topic sits out, and the session of its task starts again for the
//! others. Where the brokers do not say which topic of a transaction they refuse, the next session commits one table at
//! a time, so that it shows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant as Clock;

use crate::error::{Error, ErrorKind};

/// Each time it is asked for again, the others' session ends with it.
const SHORTEST: Duration = Duration::from_secs(5);
/// The longest a table sits out before the brokers are asked again.
const LONGEST: Duration = Duration::from_secs(600);
/// The time for which tables are committed one at a time to find whose topic is refused.
const ALONE: Duration = Duration::from_secs(60);

/// The refusals of one task, which outlive its sessions.
#[derive(Default)]
pub(super) struct Refusals(Mutex<State>);

#[derive(Default)]
struct State {
    tables: HashMap<String, Refusal>,
    alone_until: Option<Clock>,
}

struct Refusal {
    message: String,
    advice: String,
    until: Clock,
    pause: Duration,
}

impl Refusals {
    /// The error of a session that a transaction's error ends. `carried`: the tables of the transaction with the topics
    /// that records of theirs go to. A table that sits out is asked again after `first` at the soonest.
    pub(super) fn classify(&self, error: Error, carried: &[(Arc<str>, Arc<str>)], first: Duration) -> Error {
        if error.kind() != ErrorKind::KafkaRefused {
            return error;
        }
        let mut whose: Vec<&str> = match error.context("topic") {
            Some(topic) => carried.iter().filter(|(_, of)| **of == *topic).map(|(table, _)| &**table).collect(),
            None => carried.iter().map(|(table, _)| &**table).collect(),
        };
        whose.sort_unstable();
        whose.dedup();
        let is_named = error.context("topic").is_some();
        if whose.is_empty() {
            // The offsets topic: nothing of the connector can go on.
            return error;
        }
        if !is_named && whose.len() > 1 {
            self.lock().alone_until = Some(Clock::now() + ALONE);
            let message = "the brokers refused a transaction and do not say for which topic; tables are committed one at a \
                           time to find it";
            return Error::new(ErrorKind::TransactionAborted, message).caused_by(error);
        }
        let only = carried.iter().find(|(table, _)| Some(&&**table) == whose.first());
        let error = match only {
            Some((_, topic)) if !is_named => error.with("topic", topic),
            _ => error,
        };
        for table in &whose {
            self.sit_out(table, &error, first.max(SHORTEST));
        }
        let message = format!("a topic is refused; its table sits out: {}", whose.join(", "));
        Error::new(ErrorKind::TransactionAborted, message).advise(error.advice().to_owned()).caused_by(error)
    }

    fn sit_out(&self, table: &str, error: &Error, first: Duration) {
        let mut state = self.lock();
        let before = state.tables.get(table).map(|refusal| refusal.pause);
        let pause = before.map_or(first, |before| (before * 2).min(LONGEST.max(first)));
        let (message, advice) = (error.report(), error.advice().to_owned());
        state.tables.insert(table.to_owned(), Refusal { message, advice, until: Clock::now() + pause, pause });
    }

    /// The reason why a table sits out, and the time left.
    pub(super) fn of(&self, table: &str) -> Option<(Error, Duration)> {
        let state = self.lock();
        let refusal = state.tables.get(table)?;
        let left = refusal.until.checked_duration_since(Clock::now()).filter(|left| !left.is_zero())?;
        Some((Error::new(ErrorKind::KafkaRefused, &*refusal.message).advise(&*refusal.advice), left))
    }

    /// Lets a table try again at once.
    pub(super) fn forget(&self, table: &str) {
        self.lock().tables.remove(table);
    }

    /// Notes that the brokers have taken a table's records.
    pub(super) fn taken<'t>(&self, tables: impl Iterator<Item = &'t Arc<str>>) {
        let mut state = self.lock();
        if !state.tables.is_empty() {
            tables.for_each(|table| drop(state.tables.remove(&**table)));
        }
    }

    /// True if a transaction is to hold the records of one table.
    pub(super) fn one_at_a_time(&self) -> bool {
        self.lock().alone_until.is_some_and(|until| Clock::now() < until)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(pairs: &[(&str, &str)]) -> Vec<(Arc<str>, Arc<str>)> {
        pairs.iter().map(|(table, topic)| (Arc::from(*table), Arc::from(*topic))).collect()
    }

    fn refused() -> Error {
        Error::new(ErrorKind::KafkaRefused, "no").advise("allow it")
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_of_a_refused_topic_sits_out_longer_each_time() {
        let (refusals, minute) = (Refusals::default(), Duration::from_secs(60));
        let both = carried(&[("a", "p_a"), ("b", "p_b")]);
        let ends = refusals.classify(refused().with("topic", "p_b"), &both, minute);
        assert_eq!(ends.kind(), ErrorKind::TransactionAborted);
        assert!(ends.report().contains("sits out: b") && ends.advice() == "allow it", "{ends:?}");
        assert!(refusals.of("a").is_none());
        let (error, left) = refusals.of("b").unwrap();
        assert_eq!((error.kind(), error.advice(), left), (ErrorKind::KafkaRefused, "allow it", minute));
        tokio::time::advance(minute).await;
        assert!(refusals.of("b").is_none(), "it is asked again");
        refusals.classify(refused().with("topic", "p_b"), &both, minute);
        assert_eq!(refusals.of("b").unwrap().1, 2 * minute);
        for _ in 0..10 {
            refusals.classify(refused().with("topic", "p_b"), &both, minute);
        }
        assert_eq!(refusals.of("b").unwrap().1, LONGEST);
        refusals.taken(["b".into()].iter());
        refusals.classify(refused().with("topic", "p_b"), &both, minute);
        assert_eq!(refusals.of("b").unwrap().1, minute);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_without_a_topic_is_found_by_one_table_at_a_time() {
        let (refusals, minute) = (Refusals::default(), Duration::from_secs(60));
        let ends = refusals.classify(refused(), &carried(&[("a", "p_a"), ("b", "p_b")]), minute);
        assert_eq!((ends.kind(), refusals.one_at_a_time()), (ErrorKind::TransactionAborted, true));
        assert!(refusals.of("a").is_none() && refusals.of("b").is_none());
        refusals.classify(refused(), &carried(&[("b", "p_b"), ("b", "letters")]), minute);
        assert!(refusals.of("a").is_none() && refusals.of("b").is_some());
        tokio::time::advance(ALONE).await;
        assert!(!refusals.one_at_a_time());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_about_a_table_ends_the_connector_as_before() {
        let (refusals, both) = (Refusals::default(), carried(&[("a", "p_a"), ("b", "p_b")]));
        let offsets = refusals.classify(refused().with("topic", "offsets"), &both, LONGEST);
        assert_eq!(offsets.kind(), ErrorKind::KafkaRefused);
        let fenced = refusals.classify(Error::new(ErrorKind::Fenced, "x").with("topic", "p_a"), &both, LONGEST);
        assert_eq!((fenced.kind(), refusals.of("a").is_none()), (ErrorKind::Fenced, true));
    }
}
