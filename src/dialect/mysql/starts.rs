//! Start times of open transactions, followed from look to look. The server shows when a transaction began in the
//! engine; but its first statement has taken its time before, and may have waited for a lock of the table in between.
//! So a transaction that was not there at the last look counts from that look on, or from the statement its session was
//! running then without one. Lives as long as the session; pure.

use std::collections::{HashMap, HashSet};

use crate::model::{Micros, OpenTransaction};

/// The open transactions as known between two looks.
#[derive(Default)]
pub(super) struct Writers {
    pub(super) sight: Option<Sight>,
    /// True if this session could see them: an empty list would be believed.
    pub(super) promised: bool,
    pub(super) starts: Starts,
}

/// The view of the server that shows them.
#[derive(Debug, Clone)]
pub(super) enum Sight {
    /// performance_schema, live and in microseconds; and XA RECOVER, if it may be asked.
    Schema { prepared: bool },
    /// The list of InnoDB, in seconds, and that of the sessions.
    Engine,
    /// The list of a TiDB cluster.
    Cluster,
    /// Nothing, with the reason and the remedy.
    Nothing { why: &'static str, raise: String },
}

/// A session that writes, or may.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Seen {
    /// The session.
    pub(super) connection: u64,
    /// The transaction, as long as it is open; none for a statement that has not begun one yet.
    pub(super) transaction: Option<String>,
    /// The begin of the transaction, as the server has it.
    pub(super) began: Option<Micros>,
    /// The start of its session's statement, where that is seen.
    pub(super) statement: Option<Micros>,
    /// Its user and session.
    pub(super) holder: String,
}

/// The open transactions and statements of the last look.
#[derive(Debug, Default)]
pub(super) struct Starts {
    clock: Option<Micros>,
    /// Lower bounds of the times that a transaction may write.
    transactions: HashMap<String, Option<Micros>>,
    /// The start of each session's statement that ran without a transaction.
    statements: HashMap<u64, Option<Micros>>,
    /// The sessions that ran nothing.
    asleep: HashSet<u64>,
}

impl Starts {
    /// True if nothing was looked at before.
    pub(super) fn is_first(&self) -> bool {
        self.clock.is_none()
    }

    /// Takes in the open transactions by this clock, which was read before, and the sessions that run nothing, where
    /// that is seen.
    pub(super) fn take(&mut self, clock: Micros, seen: Vec<Seen>, asleep: HashSet<u64>) -> Vec<OpenTransaction> {
        // After the clock was set back, new transactions get earlier times.
        let newcomer = self.clock.map(|last| last.min(clock));
        let (mut transactions, mut statements) = (HashMap::new(), HashMap::new());
        let mut open = Vec::with_capacity(seen.len());
        for Seen { connection, transaction, began, statement, holder } in seen {
            let (name, bound) = match transaction {
                Some(name) => {
                    let bound = self.transactions.get(&name).copied().unwrap_or_else(|| {
                        let waited = self.statements.get(&connection).copied().unwrap_or(Some(Micros::MAX))?;
                        // Servers that count seconds have a statement begin up to one too early, and answer before they
                        // say that it is over.
                        let began_since = statement.filter(|_| !self.asleep.contains(&connection));
                        Some(newcomer.or(began)?.min(waited).min(began_since.unwrap_or(Micros::MAX)))
                    });
                    transactions.insert(name.clone(), bound);
                    (name, bound)
                }
                None => {
                    statements.insert(connection, statement);
                    (format!("{connection} at {}", statement.unwrap_or_default()), statement)
                }
            };
            open.push(OpenTransaction { name, holder: Some(holder), began: bound });
        }
        *self = Self { clock: Some(clock), transactions, statements, asleep };
        open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(connection: u64, transaction: Option<&str>, began: Micros) -> Seen {
        match transaction.map(str::to_owned) {
            None => Seen { connection, statement: Some(began), ..Seen::default() },
            transaction => Seen { connection, transaction, began: Some(began), ..Seen::default() },
        }
    }

    fn bounds(starts: &mut Starts, clock: Micros, seen: Vec<Seen>) -> Vec<Option<Micros>> {
        starts.take(clock, seen, HashSet::new()).into_iter().map(|open| open.began).collect()
    }

    #[test]
    fn a_newcomer_counts_from_the_last_look_on() {
        let mut starts = Starts::default();
        assert!(starts.is_first());
        assert_eq!(bounds(&mut starts, 100, vec![seen(1, Some("a"), 40)]), [Some(40)], "the server's word at first");
        // Its statement may have waited from 101 to 149.
        assert_eq!(
            bounds(&mut starts, 200, vec![seen(1, Some("a"), 40), seen(2, Some("b"), 150)]),
            [Some(40), Some(100)]
        );
        assert_eq!(bounds(&mut starts, 300, vec![seen(2, Some("b"), 150)]), [Some(100)], "it stays");
        assert_eq!(bounds(&mut starts, 250, vec![seen(2, Some("c"), 249)]), [Some(250)], "the clock was set back");
    }

    #[test]
    fn a_statement_of_a_session_that_was_asleep_began_after_that_look() {
        let running = |connection| Seen { statement: Some(500), ..seen(connection, Some("a"), 1_200) };
        for (asleep, bound) in [(HashSet::from([1]), 1_000), (HashSet::from([2]), 500)] {
            let mut starts = Starts::default();
            starts.take(1_000, Vec::new(), asleep);
            assert_eq!(bounds(&mut starts, 1_300, vec![running(1)]), [Some(bound)]);
        }
        let mut first = Starts::default();
        let open = first.take(1_000, vec![running(1)], HashSet::from([1]));
        assert_eq!(open[0].began, Some(500), "what was before the first look nobody has seen");
    }

    #[test]
    fn a_transaction_is_as_old_as_the_statement_that_waited_to_begin_it() {
        let mut starts = Starts::default();
        assert_eq!(bounds(&mut starts, 100, vec![seen(1, None, 30)]), [Some(30)]);
        assert_eq!(bounds(&mut starts, 200, vec![seen(1, None, 30), seen(2, None, 190)]), [Some(30), Some(190)]);
        let open = vec![seen(1, Some("a"), 290), seen(2, Some("b"), 291)];
        assert_eq!(bounds(&mut starts, 300, open), [Some(30), Some(190)]);
        assert_eq!(bounds(&mut starts, 400, vec![seen(1, Some("a2"), 390)]), [Some(300)], "the next one is another");
        // A retry is another transaction of the same statement.
        let again = Seen { statement: Some(310), ..seen(1, Some("a3"), 490) };
        assert_eq!(bounds(&mut starts, 500, vec![again]), [Some(310)]);
    }

    #[test]
    fn a_start_that_is_not_shown_is_not_known() {
        let mut starts = Starts::default();
        let untimed = |name: &str| Seen { began: None, ..seen(1, Some(name), 0) };
        assert_eq!(bounds(&mut starts, 100, vec![untimed("a")]), [None]);
        assert_eq!(bounds(&mut starts, 200, vec![untimed("a")]), [None]);
        assert_eq!(bounds(&mut starts, 300, vec![untimed("b")]), [Some(200)]);
    }
}
