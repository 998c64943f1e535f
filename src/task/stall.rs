//! Says in the status what keeps a stage when it takes long: a page's statement that does not return, brokers
//! that do not take the rows. Nothing is cancelled here; the time limits of whoever does not answer do that.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::status::{Stage, Stall, TableBoard};

/// What takes longer is said. Statuses shall show within 30 s that nothing moves.
const SLOW: Duration = Duration::from_secs(10);

/// Whom a stage waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    Connection,
    Database,
    Registry,
    Topic,
    Kafka,
}

impl Waits {
    const ALL: [Waits; 5] = [Waits::Connection, Waits::Database, Waits::Registry, Waits::Topic, Waits::Kafka];

    /// What is wrong, and what to do.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Waits::Connection => {
                ("the database does not accept the connection", "check host, port, firewall and connect.timeout.ms")
            }
            Waits::Database => (
                "the database does not answer a statement",
                "look at its load, at locks and for a missing index (`rowtide explain`); statement.timeout.ms ends the wait",
            ),
            Waits::Registry => ("the schema registry does not answer", "check that the schema registry is up"),
            Waits::Topic => ("Kafka does not answer about the topic", "check that the brokers are up"),
            Waits::Kafka => (
                "Kafka has not confirmed the rows read before",
                "check that the brokers are up, reachable at their advertised addresses, and can write",
            ),
        }
    }
}

/// Whom one table's poll waits for at the moment. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Step(Arc<AtomicU8>);

impl Step {
    pub(super) fn waits_for(&self, whom: Waits) {
        self.0.store(whom as u8, Ordering::Relaxed);
    }

    fn get(&self) -> Waits {
        Waits::ALL.get(usize::from(self.0.load(Ordering::Relaxed))).copied().unwrap_or(Waits::Database)
    }
}

/// Runs `work`; while it takes long, `say` is asked again and again what to show. What is shown ends with it.
pub(super) async fn watched<T>(work: impl Future<Output = T>, mut say: impl FnMut() -> Vec<Stall>) -> T {
    let mut work = pin!(work);
    // What was shown before ends only after the new is shown, so that the status does not flicker.
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
pub(super) fn poll_stalls(step: &Step, polled: &TableBoard, name: &str, others: &[TableBoard]) -> Vec<Stall> {
    let whom = step.get();
    let (reason, advice) = whom.words();
    tracing::warn!(table = name, reason, advice, "the poll takes long");
    let mut stalls = Vec::with_capacity(others.len());
    for other in others {
        if other.name() == name {
            stalls.push(polled.stalled(Stage::Poll, reason, advice));
        } else {
            stalls.push(other.stalled(Stage::Poll, format!("waits for its turn behind {name}: {reason}"), advice));
        }
    }
    stalls
}

/// A transaction takes long; `told`: what was found to be the reason, and what to do.
pub(super) fn commit_stalls(tables: &[TableBoard], told: Option<(String, String)>) -> Vec<Stall> {
    let (reason, advice) = Waits::Kafka.words();
    let (reason, advice) = told.unwrap_or_else(|| (reason.to_owned(), advice.to_owned()));
    tracing::warn!(reason, advice, "the transaction takes long");
    tables.iter().map(|table| table.stalled(Stage::Commit, reason.as_str(), &advice)).collect()
}
