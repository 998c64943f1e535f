//! A scripted source with transactions: the store of the guard's model behind a connection. It shows what databases show:
//! the transactions that are open, snapshots, reads as of a time. Its clock goes on with the paused one.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::dialect::{Ability, LateSupport};
use crate::guard::tests::World;
use crate::guard::tests::store::{Store, Version, Write};
use crate::model::{ChangeToken, Micros, OpenTransactions, PastView, RangeSet, ViewAnswer, ViewQuestion, micros_of};

/// The number of versions a row can have: a record is the number of its row times this, and that of its version.
pub(super) const VERSIONS: i64 = 1_000;

/// The means of the database to find late rows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Offers {
    pub(super) snapshots: bool,
    pub(super) past: bool,
    pub(super) writers: bool,
    pub(super) tells: Tells,
}

/// The events by which its tokens change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Tells {
    #[default]
    Nothing,
    /// The snapshot, as PostgreSQL does.
    Snapshots,
    /// The end of the snapshot alone: it stays the same when a transaction commits that was running.
    Ends,
}

pub(super) struct Database {
    pub(super) store: Store,
    offers: Offers,
    tables: Vec<String>,
    /// The paused clock, when the store was made and when it was last looked at.
    made: Instant,
    seen: Micros,
    /// The versions visible at the times that were read as of.
    past: BTreeMap<Micros, Vec<Version>>,
}

impl Database {
    pub(super) fn new(store: Store, offers: Offers, tables: &[&str]) -> Self {
        let tables = tables.iter().map(|table| (*table).to_owned()).collect();
        Self { store, offers, tables, made: Instant::now(), seen: 0, past: BTreeMap::new() }
    }

    /// The store, as late as it is.
    fn now(&mut self) -> &mut Store {
        let seen = micros_of(self.made.elapsed());
        self.store.pass(seen - std::mem::replace(&mut self.seen, seen));
        &mut self.store
    }

    pub(super) fn write(&mut self, write: &Write) {
        self.now().apply(write);
    }

    pub(super) fn world(&self) -> World {
        self.store.world
    }

    /// The bound of a poll.
    pub(super) fn upper(&mut self) -> Micros {
        let store = self.now();
        store.world.highest_until(store.clock)
    }

    pub(super) fn support(&self) -> LateSupport {
        let able = |is| if is { Ability::yes() } else { Ability::no("", "") };
        let Offers { snapshots, past, writers, .. } = self.offers;
        let (views, past, writers) = (able(snapshots), able(past), able(writers));
        LateSupport { views, past, writers, is_table: true, ..LateSupport::default() }
    }

    pub(super) fn open_transactions(&mut self) -> OpenTransactions {
        let sees = self.offers.writers || self.offers.snapshots;
        let open = self.now().observe(0).open;
        if sees { open } else { OpenTransactions { clock: open.clock, ..OpenTransactions::default() } }
    }

    /// True if it has tokens.
    pub(super) fn tells(&self) -> bool {
        self.offers.tells != Tells::Nothing
    }

    /// The token of what is committed.
    pub(super) fn token(&mut self) -> Option<ChangeToken> {
        let (view, _) = self.now().view();
        match self.offers.tells {
            Tells::Nothing => None,
            Tells::Snapshots => Some(ChangeToken::new(format!("{view:?}"))),
            Tells::Ends => Some(ChangeToken::new(view.xmax.to_string())),
        }
    }

    /// A snapshot, and what it shows.
    pub(super) fn snapshot(&mut self) -> (ViewAnswer, Vec<Version>) {
        let (view, visible) = self.now().view();
        (ViewAnswer { view, ..ViewAnswer::default() }, visible)
    }

    /// Answers the question that follows a snapshot.
    pub(super) fn answer(&mut self, answer: &mut ViewAnswer, question: &ViewQuestion) {
        let (store, view) = (self.now(), &answer.view);
        let new = question.since.max(view.xmin)..view.xmax;
        let hidden = question.hidden.clone().from(view.xmin);
        let hidden = hidden.ranges().iter().flat_map(|(from, to)| *from..*to);
        let asked = new.filter(|id| *id as u32 >= 3).chain(hidden);
        let in_progress: RangeSet = store.in_progress(asked).into_iter().collect();
        answer.is_settled = store.in_progress(view.running.iter().copied()).len() == view.running.len();
        answer.in_progress = in_progress;
    }

    /// The database as of a time, of now if none is given.
    pub(super) fn as_of(&mut self, time: Option<Micros>) -> (PastView, Vec<Version>) {
        let view = |as_of| PastView { as_of, horizon: Micros::MIN, settled_after: std::time::Duration::ZERO };
        if let Some(time) = time {
            return (view(time), self.past[&time].clone());
        }
        let (clock, visible) = (self.now().clock, self.store.view().1);
        // No two views at one time.
        let as_of = self.past.last_key_value().map_or(clock, |(last, _)| clock.max(last + 1));
        self.past.insert(as_of, visible.clone());
        (view(as_of), visible)
    }

    /// The versions that are committed.
    pub(super) fn committed(&mut self) -> Vec<Version> {
        self.now().view().1
    }

    /// True if a row is in a table.
    pub(super) fn is_in(&self, table: &str, version: &Version) -> bool {
        self.tables[version.key % self.tables.len()] == table
    }

    pub(super) fn has(&self, table: &str) -> bool {
        self.tables.iter().any(|known| known == table)
    }
}

/// The record of a version.
pub(super) fn record_of(version: &Version) -> i64 {
    version.key as i64 * VERSIONS + version.number as i64
}
