//! One table as it is polled: its parts, and the change of each by the outcome of a poll. Knows nothing of the other
//! tables.

use std::sync::Arc;
use std::time::Duration;

use super::Parts;
use super::binding::Binding;
use super::continuity::Continuity;
use super::encoder::RecordEncoder;
use super::facts::Known;
use super::guard::TableGuard;
use super::handoff::{Handoff, Outbox, Place, Step, StepEnd};
use super::head::{Beginning, Parked, ReadHead};
use super::odd::Looks;
use super::paging::Paging;
use super::pass::{Pass, Passes};
use super::plan_check::PlanCheck;
use super::schedule::{Rhythm, Schedule};
use super::skipped::Skipping;
use super::stall::Activity;
use super::step::{Context, StepResult};
use super::tokens::Rest;
use crate::config::spec::TableSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Backfill, CursorValue, EncodedBatch, Header, Mode, Relation, TableDefinition};
use crate::plan::Planner;
use crate::status::TableBoard;
use crate::telemetry::TableMetrics;

/// The number of times in a row that a definition may change under a page before the table is given up.
const MAX_REDESCRIBES: u32 = 5;

/// One table and how far it has been read (not: committed).
pub(super) struct Polled {
    pub(super) spec: TableSpec,
    /// The table's name.
    pub(super) table: Arc<str>,
    /// The same; of a backfill that of its own.
    pub(super) name: Arc<str>,
    /// The request, of a backfill.
    pub(super) backfill: Option<Backfill>,
    pub(super) board: TableBoard,
    pub(super) metrics: TableMetrics,
    pub(super) schedule: Schedule,
    /// Its definition with all that follows from it; none until it is described.
    pub(super) bound: Option<Arc<Bound>>,
    pub(super) head: ReadHead,
    /// The planner of a first load in the order of the primary key, while there is one.
    pub(super) load: Option<Arc<Planner>>,
    /// There while nothing is stored of the table, and it is not decided in which order it is loaded.
    pub(super) begins: Option<Beginning>,
    /// The head it had when it was last polled by this task, until it is taken up again.
    pub(super) parked: Option<Parked>,
    /// The number of times that it was to be bound anew by the time it was made.
    pub(super) restarts: u64,
    pub(super) paging: Paging,
    pub(super) passes: Passes,
    /// The upper bound of `--once`, fixed at the first poll.
    pub(super) fixed_upper: Option<CursorValue<'static>>,
    /// True if the last message handed on promised more, so the commit stage keeps its transaction open for it.
    pub(super) more_promised: bool,
    pub(super) changes: Changes,
    pub(super) facts: Known,
    pub(super) plan_check: PlanCheck,
    pub(super) looks: Looks,
    pub(super) skipping: Skipping,
    pub(super) guard: TableGuard,
    pub(super) rest: Rest,
    /// The check that it is still the table that was read.
    pub(super) continuity: Continuity,
    /// The party that its poll waits for.
    pub(super) activity: Activity,
}

/// A described table: the parts that are resolved once per definition.
pub(super) struct Bound {
    pub(super) binding: Binding,
    pub(super) encoder: RecordEncoder,
}

/// The changes of a table's definition that its polls have met.
#[derive(Default)]
pub(super) struct Changes {
    /// The number of times in a row that it was described anew.
    redescribes: u32,
    /// The definition that a value did not fit; if describing again gives the same, the table fails with the error.
    misfit: Option<(TableDefinition, Error)>,
    /// The definition a statement last failed with as changed.
    disputed: Option<TableDefinition>,
}

/// The end of a poll.
#[derive(Debug)]
pub(super) struct PollEnd {
    /// True if nothing newer is left.
    pub(super) exhausted: bool,
    /// True if there was nothing at all, and nothing is held back.
    pub(super) found_nothing: bool,
    /// True if there were rows.
    pub(super) found_rows: bool,
    /// True if it was the last one of a backfill.
    pub(super) is_over: bool,
    /// The time below which everything was read; none where the cursor has no time.
    pub(super) upper: Option<CursorValue<'static>>,
}

impl Polled {
    pub(super) fn new(parts: &Parts, relation: &Relation, activity: Activity) -> Self {
        Self::of(parts, parts.table_spec(relation), relation.to_string().into(), activity)
    }

    /// The same under another name.
    pub(super) fn of(parts: &Parts, spec: TableSpec, name: Arc<str>, activity: Activity) -> Self {
        let table: Arc<str> = spec.relation.to_string().into();
        Self {
            board: parts.board.table(&name),
            metrics: parts.metrics.table(&name),
            schedule: Schedule::new(),
            backfill: None,
            bound: None,
            head: ReadHead::new(spec.partition.clone()),
            load: None,
            begins: None,
            parked: None,
            restarts: parts.control.restarts(&table),
            paging: Paging::new(&spec.polling, parts.memory.clone()),
            passes: Passes::default(),
            fixed_upper: None,
            more_promised: false,
            changes: Changes::default(),
            facts: Known::default(),
            plan_check: PlanCheck::default(),
            looks: Looks::default(),
            skipping: Skipping::default(),
            guard: TableGuard::default(),
            rest: Rest::default(),
            continuity: Continuity::default(),
            activity,
            table,
            name,
            spec,
        }
    }

    /// Its read head, for a time at which it is not polled.
    pub(super) fn park(&mut self) -> Parked {
        let present = || Parked { mark: self.continuity.to_mark(), head: self.head.clone() };
        // One that was not taken up yet is where the table is.
        self.parked.take().unwrap_or_else(present)
    }

    /// Its definition and the parts that follow from it.
    ///
    /// # Errors
    /// `Internal` before it is bound.
    pub(super) fn bound(&self) -> Result<Arc<Bound>> {
        self.bound.clone().ok_or_else(|| Error::internal("not bound"))
    }

    /// Reads one step and hands it on.
    ///
    /// # Errors
    /// `TransactionAborted` if part of the step is on its way already; those of [`Polled::step`] otherwise, and then nothing
    /// of the table has changed.
    pub(super) async fn poll(&mut self, cx: &mut Context<'_>) -> Result<PollEnd> {
        if self.bound()?.binding.planner.tuple_len() == 0 {
            let exhausted = self.load_whole(cx).await?;
            return Ok(PollEnd { exhausted, found_nothing: false, found_rows: true, is_over: false, upper: None });
        }
        let mut is_torn = false;
        match self.step(cx, &mut is_torn).await {
            Ok((mut result, place)) => {
                let found_nothing = result.step.is_none() && result.exhausted && !result.is_bounded;
                let found_rows = result.step.as_ref().is_some_and(|step| !step.rows.is_empty());
                let (upper, is_loaded) = (result.upper.take(), result.is_loaded);
                let exhausted = self.install(result, place, cx.out).await?;
                let is_over = is_loaded && self.backfill.is_some();
                if is_over {
                    self.end_backfill(cx).await?;
                } else if is_loaded {
                    self.end_load(cx).await?;
                }
                Ok(PollEnd { exhausted, found_nothing, found_rows, is_over, upper })
            }
            Err(error) if is_torn => {
                let message = "the rest of a step could not be read";
                Err(Error::new(ErrorKind::TransactionAborted, message).caused_by(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Hands the result of a step on, and then makes it the present state.
    async fn install(&mut self, result: StepResult, place: Place<'_>, out: &Outbox) -> Result<bool> {
        let StepResult { step, head, guard, exhausted, .. } = result;
        self.schedule.found(step.is_some());
        match step {
            Some(step) => {
                // A first load ends when its last rows are committed, so the commit stage says so.
                self.board.polled(true, false);
                self.hand_on(step, place, out).await?;
                self.more_promised = !exhausted && self.backfill.is_none();
            }
            None if exhausted && std::mem::take(&mut self.more_promised) => {
                // Nothing to commit, but for the end of a pass.
                let end = self.passes.open.take().and_then(Pass::end).map(Handoff::from);
                place.send(end.unwrap_or_else(|| Handoff::CaughtUp { table: Arc::clone(&self.name) }));
            }
            None => drop(place),
        }
        if let Some(head) = head {
            self.head = head;
        }
        if let Some(guard) = guard {
            self.guard.install(guard, &self.board);
        }
        if exhausted && self.is_bulk() {
            // The next poll begins the next pass.
            self.head.position = None;
        }
        Ok(exhausted)
    }

    /// Has what was read committed without waiting for more, if more was promised.
    ///
    /// # Errors
    /// `Cancelled` when the commit stage has ended.
    pub(super) async fn promise_no_more(&mut self, out: &Outbox) -> Result<()> {
        if std::mem::take(&mut self.more_promised) {
            out.send(Handoff::Rest { table: Arc::clone(&self.name) }).await?;
        }
        Ok(())
    }

    /// Hands a step on. One of a bulk load is marked, and held until it is known whether it is the last.
    async fn hand_on(&mut self, step: Step, place: Place<'_>, out: &Outbox) -> Result<()> {
        if !self.is_bulk() {
            place.send(step.into());
            return Ok(());
        }
        let (mut pass, is_last) = (self.passes.open.take().unwrap_or_default(), step.end == StepEnd::CaughtUp);
        let mut ready = pass.add(step);
        let last = if is_last {
            pass.end()
        } else {
            self.passes.open = Some(pass);
            None
        };
        if let (Some(ready), None, true) = (&mut ready, &last, is_last) {
            // Every row of the table was left out.
            ready.end = StepEnd::CaughtUp;
        }
        match ready {
            Some(ready) => place.send(ready.into()),
            None => drop(place),
        }
        match last {
            Some(last) => out.send(last).await,
            None => Ok(()),
        }
    }

    /// True if nothing of it has been tried yet.
    pub(super) fn is_new(&self) -> bool {
        let changes = &self.changes;
        self.bound.is_none() && changes.redescribes == 0 && changes.misfit.is_none() && self.schedule.is_new()
    }

    /// True if it is read as a whole each time.
    pub(super) fn is_bulk(&self) -> bool {
        self.bound.as_ref().is_some_and(|bound| matches!(bound.binding.planner.mode(), Mode::Bulk))
    }

    /// An empty batch for its records.
    pub(super) fn empty_batch(&self, bound: &Bound, headers: &Arc<[Header]>) -> EncodedBatch {
        let (rows, row_bytes) = self.paging.expected();
        EncodedBatch::new(Arc::clone(&bound.binding.topic), rows, row_bytes).with_headers(Arc::clone(headers))
    }

    /// A poll has succeeded. Tables of a task that were read to their end are due at the same beats if they have a guard, or
    /// come to rest: one observation of the database's transactions, and one token, serves them all.
    pub(super) fn succeeded(&mut self, exhausted: bool, rhythm: Rhythm, once: bool) {
        if self.schedule.recovered() {
            tracing::info!(table = %self.name, "polling works again");
        }
        (self.changes.redescribes, self.changes.disputed) = (0, None);
        let interval = self.schedule.pause(&self.spec.polling);
        match exhausted {
            true if self.guard.observes() || self.rest.is_watched() => self.schedule.due_at_beat(rhythm, interval),
            true => self.schedule.due_after(interval),
            false => self.schedule.due_after(self.paging.pace()),
        }
        self.schedule.done = once && exhausted;
    }

    /// The consequence of an error for the tries after it: a statement that needs more than its time gets twice as
    /// much, and fewer rows to read; a pass that begins anew each time is not begun without end.
    ///
    /// # Errors
    /// The table is to be given up.
    pub(super) fn broke_off(&mut self, error: Error) -> Result<Error> {
        let was_in_one = self.passes.broke_off();
        if error.kind() != ErrorKind::TimeLimit {
            return Ok(error);
        }
        if !was_in_one {
            self.paging.timed_out();
            return Ok(error);
        }
        let Some(message) = self.passes.timed_out() else { return Ok(error) };
        let limits = "raise the time limit of the server, role or proxy that ends the statement (statement_timeout, \
                      max_statement_time, max_execution_time), then restart the connector";
        Err(Error::new(ErrorKind::TimeLimit, message).with("table", &self.name).advise(limits).caused_by(error))
    }

    /// The error of a value that did not fit the definition which is the table's still: the value is at fault.
    pub(super) fn take_misfit(&mut self, definition: &TableDefinition) -> Option<Error> {
        let (misfit, error) = self.changes.misfit.take()?;
        (misfit == *definition).then_some(error)
    }

    /// Forgets the binding, so that the next poll describes again.
    ///
    /// # Errors
    /// The table is to be given up with it.
    pub(super) fn redescribe(&mut self, error: Error) -> Result<()> {
        let Some(bound) = self.bound.take() else { return Err(error) };
        let (changes, definition) = (&mut self.changes, &bound.binding.definition);
        self.head.is_found = false;
        changes.redescribes += 1;
        let is_of_columns = error.kind() == ErrorKind::SchemaChanged;
        let is_unchanged = is_of_columns && changes.disputed.as_ref() == Some(definition);
        changes.disputed = is_of_columns.then(|| definition.clone());
        // Twice may be a table that is swapped in between; with a suffix of the user the suffix is at fault sooner.
        let has_own_sql = bound.binding.planner.has_suffix() || bound.binding.planner.has_filter();
        if is_unchanged && (has_own_sql || changes.redescribes > MAX_REDESCRIBES) {
            return Err(error.of_unchanged(bound.binding.statement_advice()));
        }
        if changes.redescribes > MAX_REDESCRIBES {
            // An error of the server itself is not about columns that were seen to change.
            let is_server_s = std::error::Error::source(&error).is_some();
            return Err(if is_server_s {
                error.advise("the table can be described, but not read as it was described: see the server's message")
            } else {
                error.advise("the table's columns keep changing; restart the connector when they have settled")
            });
        }
        if error.kind() == ErrorKind::Value {
            changes.misfit = Some((definition.clone(), error));
        } else {
            tracing::info!(table = %self.name, "the columns have changed, describing the table again");
        }
        self.schedule.due_at_once();
        Ok(())
    }

    /// The table is given up, but looked at again now and then: the operator may have mended it.
    pub(super) fn fail(&mut self, error: Error, again_after: Duration, parts: &Parts) {
        if self.schedule.failed.is_none() {
            let others = parts.board.with(|status| status.tables.len() > 1);
            let what = if others { "the table has failed; the others go on" } else { "the table has failed" };
            tracing::error!(table = %self.name, error = %error.report(), advice = error.advice(), "{what}");
        }
        self.board.failed(&error);
        self.bound = None;
        self.head.is_found = false;
        self.changes.misfit = None;
        self.schedule.due_after(again_after);
        self.schedule.failed = Some(error);
        self.schedule.done = parts.once;
    }
}
