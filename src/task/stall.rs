//! Stalls in the status: the cause that keeps a stage when it takes long, a page's statement that does not return,
//! brokers that do not take the rows. Nothing is cancelled here; the time limits of the silent side do that. The state
//! of a statement is known to the session's [`Vigil`].

use std::pin::pin;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::dialect::Vigil;
use crate::status::{Cause, Stage, Stall, TableBoard};

/// The wait from which a stall is told. Statuses shall show within 30 s that nothing moves.
const SLOW: Duration = Duration::from_secs(10);

/// The party a stage waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    Connection,
    Database,
    Registry,
    Topic,
    Kafka,
    Session,
}

impl Waits {
    const ALL: [Waits; 6] =
        [Waits::Connection, Waits::Database, Waits::Registry, Waits::Topic, Waits::Kafka, Waits::Session];

    /// The cause of the stall, and the advice.
    fn cause(self) -> Cause {
        let (reason, advice) = match self {
            Waits::Session => (
                "the sessions of this process in the database are all at work for other tables",
                "raise connection.pool.size if the database can bear more, or poll less often",
            ),
            Waits::Connection => {
                ("the database does not accept the connection", "check host, port, firewall and connect.timeout.ms")
            }
            Waits::Database => (
                "the database does not answer a statement",
                "look at its load, at locks and for a missing index (`rowtide explain`)",
            ),
            Waits::Registry => ("the schema registry does not answer", "check that the schema registry is up"),
            Waits::Topic => ("Kafka does not answer about the topic", "check that the brokers are up"),
            Waits::Kafka => (
                "Kafka has not confirmed the rows read before",
                "check that the brokers are up, reachable at their advertised addresses, and can write",
            ),
        };
        Cause::new(reason, advice)
    }
}

/// The present wait of one table's poll. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Activity(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    whom: AtomicU8,
    /// The watch over the statements of the present connection.
    vigil: Mutex<Option<Vigil>>,
    /// The number of times the log was told of this wait.
    told: AtomicU32,
}

impl Activity {
    pub(super) fn waits_for(&self, whom: Waits) {
        self.0.whom.store(whom as u8, Ordering::Relaxed);
        self.0.told.store(0, Ordering::Relaxed);
    }

    /// Watches a new connection from now on.
    pub(super) fn asks(&self, vigil: Option<&Vigil>) {
        *self.0.vigil.lock().unwrap_or_else(PoisonError::into_inner) = vigil.cloned();
    }

    fn cause(&self) -> Cause {
        let whom = Waits::ALL.get(usize::from(self.0.whom.load(Ordering::Relaxed))).copied();
        let whom = whom.unwrap_or(Waits::Database);
        let vigil = self.0.vigil.lock().unwrap_or_else(PoisonError::into_inner);
        match vigil.as_ref().filter(|_| whom == Waits::Database).and_then(Vigil::silence) {
            Some(silence) => {
                Cause { reason: silence.reason, advice: silence.advice.to_owned(), at_work: silence.at_work }
            }
            None => whom.cause(),
        }
    }

    /// True if the log is to be told now: again after twice the time each time.
    fn is_news(&self) -> bool {
        (self.0.told.fetch_add(1, Ordering::Relaxed) + 1).is_power_of_two()
    }
}

/// Runs `work`; while it takes long, `say` is asked again and again for the stalls to show. They end with it.
pub(super) async fn watched<T>(work: impl Future<Output = T>, mut say: impl FnMut() -> Vec<Stall>) -> T {
    let mut work = pin!(work);
    // The old stall ends only after the new one is shown, so that the status does not flicker.
    let mut shown = Vec::new();
    loop {
        tokio::select! {
            biased;
            outcome = &mut work => {
                shown.clear();
                return outcome;
            }
            () = tokio::time::sleep(SLOW) => {
                shown = say();
            }
        }
    }
}

/// The poll of one table takes long, and the other tables of its task wait for their turn.
pub(super) fn poll_stalls(activity: &Activity, polled: &TableBoard, name: &str, others: &[TableBoard]) -> Vec<Stall> {
    let cause = activity.cause();
    if activity.is_news() {
        tracing::warn!(table = name, reason = cause.reason, advice = cause.advice, "the poll takes long");
    }
    let behind = Cause { reason: format!("waits for its turn behind {name}: {}", cause.reason), ..cause.clone() };
    let mut stalls = Vec::with_capacity(others.len());
    for other in others {
        if other.name() == name {
            stalls.push(polled.stalled(Stage::Poll, &cause));
        } else {
            stalls.push(other.stalled(Stage::Poll, &behind));
        }
    }
    stalls
}

/// A transaction takes long; `told`: the reason that was found, and the advice.
pub(super) fn commit_stalls(tables: &[TableBoard], told: Option<(String, String)>) -> Vec<Stall> {
    let cause = told.map_or_else(|| Waits::Kafka.cause(), |(reason, advice)| Cause::new(reason, advice));
    tracing::warn!(reason = cause.reason, advice = cause.advice, "the transaction takes long");
    tables.iter().map(|table| table.stalled(Stage::Commit, &cause)).collect()
}
