//! The guard of one relation against late commits: passes the connection's observations to the method, answers its
//! questions by the database, and has late rows read with the page they come with, so that both share a batch, a
//! transaction and an offset. Knows no method: those are in `crate::guard`.

mod choice;
mod lookups;
mod observer;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant as Clock;

use super::binding::Binding;
use crate::config::spec::TableSpec;
use crate::dialect::SourceConnection;
use crate::error::{Error, ErrorKind, Result};
use crate::guard::column_clock::ColumnClock;
use crate::guard::{
    self, Checkpoint, Facts, Holding, Method, MethodDefinition, Needs, Notice, Outcome, Resumed, Seen, SeenView,
};
use crate::model::{CursorValue, GuardCheckpoint, Hash, Micros, Position, TableDefinition, micros_of};
use crate::status::{GuardStatus, Risk, TableBoard, now_millis};

pub use self::choice::{Chosen, choose_method};
use self::lookups::Lookups;
pub(super) use self::observer::Observer;
pub(super) use self::stream::{GuardPoll, Phase};

/// The difference between the clocks of a cluster's nodes and this process's clock, at most.
const CLOCKS_APART: Duration = Duration::from_millis(200);

/// The reasons why a state is of no use.
const ANOTHER_METHOD: &str = "late rows were found by another method until now";

/// The same, where wall clocks have been set back for good.
const ANOTHER_ZONE: &str = "the server's time zone was changed to one with earlier wall clocks";

/// The same, of an offset.
const MOVED: &str = "the stored offset was moved, or belongs to another server";

/// The guard of one relation.
pub(super) struct TableGuard {
    chosen: Option<Chosen>,
    /// The connection it was chosen on: on another one more, or less, may be seen.
    chosen_on: u64,
    chosen_at: Option<Clock>,
    /// True if the view of the present poll is older than the description of the table.
    is_before_description: bool,
    /// The method's state; none before its first poll.
    method: Option<Box<dyn Method>>,
    /// True if the table has just begun anew: it is not read as of a time before.
    is_anew: bool,
    /// The connection and the number of the last observation used.
    observed: (u64, u64),
    /// The database's clock then.
    clock_at: Micros,
    /// The beginning of the steady clock that the methods see.
    born: Clock,
    status: GuardStatus,
}

/// The state of a relation, as the guard needs it.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) spec: &'a TableSpec,
    pub(super) table: &'a str,
    pub(super) binding: &'a Binding,
    pub(super) position: Option<&'a Position>,
    /// The newest time the table is known to have, as the column holds it.
    pub(super) newest: Option<Micros>,
    pub(super) once: bool,
    /// True if the last page ended before it was full.
    pub(super) at_end: bool,
    pub(super) board: &'a TableBoard,
}

/// The outcome of a poll. It is true once its rows are on their way: [`TableGuard::install`].
pub(super) struct GuardOutcome {
    outcome: Outcome,
    observed: (u64, u64),
    clock_at: Micros,
    status: GuardStatus,
    definition: &'static MethodDefinition,
    clock: ColumnClock,
    /// The server it was read from.
    identity: Option<String>,
}

impl Default for TableGuard {
    fn default() -> Self {
        Self {
            chosen: None,
            chosen_on: 0,
            chosen_at: None,
            is_before_description: false,
            method: None,
            is_anew: false,
            observed: (0, 0),
            clock_at: 0,
            born: Clock::now(),
            status: GuardStatus::default(),
        }
    }
}

impl TableGuard {
    /// The level of the promise; empty before a method was chosen.
    pub(super) fn level(&self) -> &str {
        self.status.level
    }

    /// Takes a choice, made on a connection, and says so once.
    pub(super) fn chosen(&mut self, table: &str, chosen: Chosen, epoch: u64, board: &TableBoard) {
        self.chosen_on = epoch;
        self.chosen_at = Some(Clock::now());
        let Chosen { choice, facts } = &chosen;
        let (method, level) = (choice.method.name, choice.level.as_str());
        if self.chosen.as_ref().is_none_or(|before| before.choice != *choice) {
            tracing::info!(table, method, level, "late commits: {choice}");
        }
        (self.status.method, self.status.level) = (method, level);
        self.status.uncovered.clone_from(&choice.uncovered);
        self.status.remedy.clone_from(&choice.remedy);
        let word = |chosen: &Chosen| chosen.choice.method.word(chosen.facts.clock);
        let why = match &self.chosen {
            Some(before) if word(before) != word(&chosen) => Some(ANOTHER_METHOD),
            Some(before) if facts.clock.is_behind(&before.facts.clock, self.clock_at) => Some(ANOTHER_ZONE),
            _ => None,
        };
        if let Some(why) = why
            && self.method.take().is_some()
        {
            self.discard_state(table, why);
        }
        self.chosen = Some(chosen);
        board.guard(self.status.clone());
    }

    /// Forgets everything seen of a table that begins anew.
    pub(in crate::task) fn begin_anew(&mut self) {
        *self = Self {
            chosen: self.chosen.take(),
            chosen_on: self.chosen_on,
            chosen_at: self.chosen_at,
            is_before_description: self.is_before_description,
            clock_at: self.clock_at,
            status: std::mem::take(&mut self.status),
            is_anew: true,
            ..Self::default()
        };
    }

    fn needs(&self) -> Needs {
        self.chosen.as_ref().map_or(Needs::Nothing, |chosen| chosen.choice.method.needs)
    }

    /// True if the database's transactions are looked at, which serves all relations that are polled in one go.
    pub(super) fn observes(&self) -> bool {
        self.needs() != Needs::Nothing
    }

    /// True if this relation is read in a view of the database that others share.
    pub(super) fn shares_view(&self) -> bool {
        matches!(self.needs(), Needs::Snapshot | Needs::AsOf)
    }

    /// Resumes from the checkpoint that is stored with a position. One of another position, server or method is not
    /// used: somebody has moved the offset, or changed rights or settings.
    ///
    /// # Errors
    /// `Offsets` if it cannot be read.
    pub(super) fn resume(
        &mut self,
        table: &str,
        stored: Option<&str>,
        at: Option<&Position>,
        identity: Option<&str>,
    ) -> Result<()> {
        self.method = None;
        let Some(Chosen { choice, facts }) = &self.chosen else { return Ok(()) };
        let (Some(text), Some(at), Some(_)) = (stored, at, choice.method.words) else { return Ok(()) };
        match guard::resume(choice.method, facts.clock, text, at, identity) {
            Resumed::From(method) => {
                if let Some(risk) = method.risk() {
                    self.risk(table, risk);
                }
                self.method = Some(method);
            }
            Resumed::OfAnotherMethod => self.discard_state(table, ANOTHER_METHOD),
            Resumed::Moved => self.discard_state(table, MOVED),
            Resumed::Unreadable => {
                let message = "the stored state of the late-commit guard cannot be read";
                return Err(Error::new(ErrorKind::Offsets, message).advise(
                    "use the rowtide that wrote it, or a newer one; or store the offset without the field rowtide_guard",
                ));
            }
        }
        Ok(())
    }

    /// A state of the guard is of no use any more.
    fn discard_state(&mut self, table: &str, why: &str) {
        self.risk(table, &format!("{why}; rows that committed late before then were not looked for"));
    }

    /// Notes that loss cannot be excluded from here on.
    fn risk(&mut self, table: &str, reason: &str) {
        note_risk(&mut self.status, table, reason);
    }

    /// Begins the guard's part of a poll, and with it a view of the database where it needs one; none where there is no
    /// guard.
    ///
    /// # Errors
    /// Those of the connection; `Refused` where a table is to fail that waits too long.
    pub(super) async fn begin(
        &mut self,
        at: At<'_>,
        connection: &mut dyn SourceConnection,
        observer: &mut Observer,
    ) -> Result<Option<GuardPoll>> {
        if self.chosen_on != observer.epoch() {
            let chosen = choose_method(at.spec, connection, at.binding).await?;
            self.chosen(at.table, chosen, observer.epoch(), at.board);
        }
        if !self.observes() {
            return Ok(None);
        }
        let seen = self.observe(at, connection, observer).await?;
        let Some(Chosen { choice, facts }) = &self.chosen else { return Err(Error::internal("no method was chosen")) };
        let here = self.state_of(at, facts);
        let mut poll = match &self.method {
            Some(method) => method.begin(&here, &seen)?,
            None => first(choice.method)?.begin(&here, &seen)?,
        };
        let lookups = Lookups { at, view: &seen.view, facts };
        let plan = lookups.plan(&here, &mut *poll, connection, observer).await?;
        let bound = (choice.method.bound)(&Holding { at: &here, seen: &seen, remembered: plan.remembered })?;
        let level = bound.level.unwrap_or(choice.level);
        if let Some(blocker) = bound.despite
            && self.status.level != level.as_str()
        {
            let table = at.table;
            tracing::warn!(
                table,
                blocker,
                "reading on beside an open transaction; a restart may repeat the rows read meanwhile"
            );
        }
        let observed = (observer.epoch(), seen.low.number);
        let mut poll = GuardPoll::new(poll, level, seen.low, observed);
        poll.identity = connection.identity().map(str::to_owned);
        poll.plan(plan.queries, at)?;
        (poll.upper, poll.blocker) = (bound.upper, bound.blocker);
        plan.notices.into_iter().for_each(|notice| say(&mut self.status, at.table, notice));
        Ok(Some(poll))
    }

    /// The time of the cursor at or below which no row can be committed any more: a first load may read those rows in any
    /// order.
    ///
    /// # Errors
    /// Those of the connection.
    pub(in crate::task) async fn settled(
        &self,
        at: At<'_>,
        connection: &mut dyn SourceConnection,
        observer: &mut Observer,
    ) -> Result<CursorValue<'static>> {
        let Some(Chosen { facts, .. }) = &self.chosen else { return Err(Error::internal("no method was chosen")) };
        let reach = at.spec.guard.window.max(at.spec.polling.delay);
        if !self.observes() {
            let kind = at.binding.planner.time_kind();
            let kind = kind.ok_or_else(|| Error::internal("rows settle by their time"))?;
            return connection.upper_bound(kind, reach).await;
        }
        let low = observer.low(connection, Duration::ZERO).await?;
        guard::settled(&self.state_of(at, facts), &low, micros_of(reach))
    }

    /// The state of a table, as a method sees it.
    fn state_of<'s>(&self, at: At<'s>, facts: &'s Facts) -> guard::At<'s> {
        guard::At {
            facts,
            position: at.position,
            newest: at.newest,
            columns: columns_tag(&at.binding.definition),
            steady: micros_of(self.born.elapsed()),
            must_look: at.once && at.at_end,
        }
    }

    /// Makes the observation that the method needs, and begins its view.
    async fn observe(
        &mut self,
        at: At<'_>,
        connection: &mut dyn SourceConnection,
        observer: &mut Observer,
    ) -> Result<Seen> {
        let (view, low) = match self.needs() {
            Needs::Nothing | Needs::Transactions => {
                (SeenView::None, observer.low(connection, at.spec.polling.interval).await?)
            }
            Needs::Snapshot => {
                // The observation is made before the view: a transaction that begins later takes a later time.
                let (answer, low) = observer.view(connection).await?;
                (SeenView::Snapshot(answer), low)
            }
            Needs::AsOf => {
                let (past, low) = observer.past(connection, at.once, std::mem::take(&mut self.is_anew)).await?;
                let since = observer.past_since().zip(self.chosen_at);
                self.is_before_description = since.is_some_and(|(since, chosen)| {
                    since.saturating_duration_since(chosen) < past.settled_after + CLOCKS_APART
                });
                (SeenView::AsOf(past), low)
            }
        };
        Ok(Seen {
            view,
            stepped_back: observer.stepped_back_since(self.observed),
            is_same: self.observed == (observer.epoch(), low.number),
            is_first_here: self.observed.0 != observer.epoch(),
            low,
        })
    }

    /// The outcome of a poll, once everything is read; `took` is how long late rows were looked for.
    pub(super) fn finish(&self, table: &str, poll: GuardPoll, took: Duration) -> Result<GuardOutcome> {
        let Some(Chosen { choice, facts }) = &self.chosen else { return Err(Error::internal("no method was chosen")) };
        let GuardPoll { poll, low, observed, identity, late_rows, reread_rows, blocker, level, .. } = poll;
        let mut outcome = poll.end(micros_of(took), micros_of(self.born.elapsed()));
        let mut status = self.status.clone();
        for notice in outcome.notices.drain(..) {
            say(&mut status, table, notice);
        }
        let now = facts.clock.at(low.clock);
        let width = outcome.low.map(|from| now.saturating_sub(from).max(0) as f64 / 1e6);
        status.level = level.as_str();
        status.window_seconds = width;
        status.hidden_ids = outcome.hidden;
        status.late_rows += late_rows;
        status.reread_rows += reread_rows;
        status.blocker = blocker;
        // The age of a transaction that was open before the first observation is known only up to the window.
        let seconds = |since: Micros| low.clock.saturating_sub(since).max(0) as f64 / 1e6;
        let oldest = low.oldest.as_ref();
        status.oldest_transaction_seconds =
            oldest.map(|(since, _)| width.map_or(seconds(*since), |width| seconds(*since).min(width)));
        status.oldest_transaction = oldest.and_then(|(_, holder)| holder.clone());
        let (definition, clock) = (choice.method, facts.clock);
        Ok(GuardOutcome { outcome, observed, clock_at: low.clock, status, definition, clock, identity })
    }

    /// Installs the outcome of a poll, once its rows are on their way.
    pub(super) fn install(&mut self, outcome: GuardOutcome, board: &TableBoard) {
        let GuardOutcome { outcome, observed, clock_at, status, .. } = outcome;
        self.method = Some(outcome.method);
        (self.observed, self.clock_at, self.status) = (observed, clock_at, status);
        board.guard(self.status.clone());
    }

    /// The meaning of an error of the poll. The view that is read may be older than the description: of a table that
    /// was made or altered a moment ago it has other columns, and soon has not, so it is tried again. Else it is the
    /// table that has changed since it was described.
    pub(in crate::task) fn classify(&self, error: Error) -> Error {
        if self.needs() != Needs::AsOf || !lookups::is_another(&error) || !self.is_before_description {
            return error;
        }
        Error::new(ErrorKind::Query, "the table was another one a moment ago, at the time that is read first")
            .caused_by(error)
    }
}

impl GuardOutcome {
    /// True if it has to be stored although no row was emitted.
    pub(super) fn must_store(&self) -> bool {
        self.outcome.must_store
    }

    /// True if late rows were left for another poll to look for.
    pub(super) fn has_left(&self) -> bool {
        self.outcome.has_left
    }

    /// The checkpoint to be stored with a position.
    pub(super) fn checkpoint(&mut self, at: &Position) -> Option<Arc<dyn GuardCheckpoint>> {
        self.outcome.method.stored();
        let (method, identity) = (&*self.outcome.method, self.identity.as_deref());
        let checkpoint = Checkpoint::of(self.definition, self.clock, method, at, identity)?;
        Some(Arc::new(checkpoint))
    }
}

/// A method before its first poll of a table.
fn first(definition: &MethodDefinition) -> Result<Box<dyn Method>> {
    (definition.resume)(None).ok_or_else(|| Error::internal("this method does not look for late rows"))
}

fn say(status: &mut GuardStatus, table: &str, notice: Notice) {
    match notice {
        Notice::Risk(reason) => note_risk(status, table, &reason),
        Notice::Warn(text) => tracing::warn!(table, "{text}"),
        Notice::Info(text) => tracing::info!(table, "{text}"),
    }
}

fn note_risk(status: &mut GuardStatus, table: &str, reason: &str) {
    if status.at_risk.as_ref().is_none_or(|risk| risk.reason != reason) {
        tracing::warn!(table, reason, "rows that commit late may be missed");
        status.at_risk = Some(Risk { reason: reason.to_owned(), since: now_millis() });
    }
}

/// A fingerprint of the columns that rows hold.
fn columns_tag(definition: &TableDefinition) -> u32 {
    let columns = definition.columns.iter();
    let hash = columns.fold(Hash::default(), |hash, column| {
        hash.with(column.field.name.as_bytes()).with(&[0]).with(column.database_type.as_bytes()).with(&[0])
    });
    hash.half()
}

#[cfg(test)]
mod tests;
