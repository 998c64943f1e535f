//! One step of a table: planned, run, and returned as a value. The caller hands it on and then installs its results
//! ([`Polled::poll`]), so a failure before that leaves the table as it was.
//!
//! A step is a page, the rest of the rows that share its only cursor, and the rows that committed late. What may be larger
//! than a page is handed on in parts, of which the last one has the offset. A table that no key orders has no steps: it is
//! read in one pass ([`whole`]).

mod clock;
mod run;
mod whole;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant as Clock;

use self::clock::ReadTimes;
use self::run::StepRun;
use super::Parts;
use super::facts::bound_of_polls;
use super::guard::{At, GuardOutcome, GuardPoll, Observer};
use super::handoff::{Outbox, Place, Skipped, Step, StepEnd};
use super::head::ReadHead;
use super::polled::{Bound, Polled};
use crate::dialect::SourceConnection;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CursorValue, Mode, OffsetDelta, PlannedQuery, Position, SourceOffset, micros_of};
use crate::offsets::Loaded;
use crate::plan::Planner;
use crate::reader::{LeftOut, Limits, Page};

/// The surroundings of a poll.
pub(super) struct Context<'p> {
    pub(super) parts: &'p Parts,
    /// The offsets that were stored when the session began.
    pub(super) stored: &'p Loaded,
    pub(super) connection: &'p mut dyn SourceConnection,
    pub(super) watch: &'p mut Observer,
    pub(super) out: &'p Outbox,
}

/// The statement a step begins with, and how much of its result is read.
struct StepPlan {
    query: PlannedQuery,
    limits: Limits,
    /// The late-commit guard's part.
    guard: Option<GuardPoll>,
}

/// The rows of a step that have not been handed on.
struct StepRows {
    page: Page,
    /// True if rows whose values did not fit were left out in the parts before.
    has_misfits: bool,
    guard: Option<GuardPoll>,
    /// The time that late rows were looked for.
    late_took: Duration,
    /// The times of the statements.
    times: ReadTimes,
}

/// The result of a step.
pub(super) struct StepResult {
    /// The step to be handed on; none if nothing was found.
    pub(super) step: Option<Step>,
    /// The read head behind it.
    pub(super) head: Option<ReadHead>,
    /// The result of the guard's part.
    pub(super) guard: Option<GuardOutcome>,
    /// True if nothing newer is left.
    pub(super) exhausted: bool,
    /// True if it is the last one of a first load.
    pub(super) is_loaded: bool,
    /// True if newer rows wait for an older transaction to end.
    pub(super) is_held_back: bool,
    /// The bound of the page; none where the cursor has no time.
    pub(super) upper: Option<CursorValue<'static>>,
    /// True if open transactions bounded it further.
    pub(super) is_bounded: bool,
}

impl<'p> Context<'p> {
    /// A place for the rows that are going to be read: a statement runs only when its rows have somewhere to go. Nobody
    /// holds a view of the database and waits.
    ///
    /// # Errors
    /// Those of the connection; `Cancelled` when the commit stage has ended.
    async fn place(&mut self) -> Result<Place<'p>> {
        let out: &'p Outbox = self.out;
        if let Some(place) = out.try_place() {
            return Ok(place);
        }
        self.watch.release(self.connection).await?;
        out.place().await
    }
}

impl StepPlan {
    /// A page behind a position, up to a bound.
    fn page(
        planner: &Planner,
        after: Option<&Position>,
        upper: Option<CursorValue<'static>>,
        limits: Limits,
        guard: Option<GuardPoll>,
    ) -> Self {
        let bound = match &guard {
            Some(guard) => guard.bound(upper),
            None => upper,
        };
        // The first row beyond the page tells whether it shares the cursor of the last one within.
        let query = planner.page(after, bound.as_ref(), limits.rows + 1);
        let query = match &guard {
            Some(guard) => guard.page(planner, query),
            None => query,
        };
        Self { query, limits, guard }
    }
}

impl Polled {
    /// Plans a step and runs it. `is_torn` tells that part of it is on its way already.
    ///
    /// # Errors
    /// Those of the connection, of the encoder and of the guard.
    pub(super) async fn step<'p>(
        &mut self,
        cx: &mut Context<'p>,
        is_torn: &mut bool,
    ) -> Result<(StepResult, Place<'p>)> {
        let (started, bound) = (Clock::now(), self.bound()?);
        let mut trace = cx.parts.metrics.begin_trace(&self.name);
        if self.load.is_some() || !self.guard.shares_view() {
            cx.watch.release(cx.connection).await?;
        }
        let place = cx.place().await?;
        let upper = self.upper(cx, &bound).await?;
        let guard = self.begin_guard(cx, &bound).await?;
        let (planner, position) = (self.planner(&bound), self.head.position.as_ref());
        let plan = StepPlan::page(planner, position, upper.clone(), self.paging.limits(), guard);
        let mut run = StepRun::new(self, cx.parts, &bound, cx.out, place, is_torn);
        let rows = run.read(cx.connection, plan).await?;
        let place = run.place()?;
        let (records, times) = (rows.page.batch.len() as u64, rows.times);
        self.metrics.read(times.query(), times.encoding, records);
        if let Some(trace) = &mut trace {
            trace.read(times.took, times.encoding, records);
        }
        let mut result = self.conclude(cx, &bound, rows, upper.as_ref(), *is_torn).await?;
        match result.is_held_back {
            true => self.metrics.waiting(started.elapsed()),
            false => self.metrics.polled(records, started.elapsed()),
        }
        if let Some(trace) = trace {
            if let Some(step) = &mut result.step {
                step.trace = Some(trace.context());
            }
            trace.end();
        }
        Ok((result, place))
    }

    /// The upper bound of the read; with `--once` that of the first poll.
    async fn upper(&mut self, cx: &mut Context<'_>, bound: &Bound) -> Result<Option<CursorValue<'static>>> {
        if self.load.is_some() {
            // Its rows have a bound of their own.
            return Ok(None);
        }
        let upper = match (self.planner(bound).time_kind(), &self.fixed_upper) {
            (Some(kind), None) => Some(bound_of_polls(cx.connection, kind, &self.spec.polling).await?),
            (_, fixed) => fixed.clone(),
        };
        if cx.parts.once {
            self.fixed_upper.clone_from(&upper);
        }
        Ok(upper)
    }

    async fn begin_guard(&mut self, cx: &mut Context<'_>, bound: &Bound) -> Result<Option<GuardPoll>> {
        if self.load.is_some() {
            // Nothing is committed any more among its rows.
            return Ok(None);
        }
        let at = At {
            spec: &self.spec,
            table: &self.name,
            binding: &bound.binding,
            position: self.head.position.as_ref(),
            newest: self.facts.newest(),
            once: cx.parts.once,
            at_end: self.paging.is_at_end(),
            board: &self.board,
        };
        self.guard.begin(at, cx.connection, cx.watch).await
    }

    /// The result of the rows that were read.
    async fn conclude(
        &mut self,
        cx: &mut Context<'_>,
        bound: &Bound,
        rows: StepRows,
        upper: Option<&CursorValue<'static>>,
        is_torn: bool,
    ) -> Result<StepResult> {
        let StepRows { mut page, has_misfits, guard, late_took, times: _ } = rows;
        let (mut must_store, mut blocker, mut outcome, mut is_bounded) = (is_torn, None, None, false);
        if let Some(guard) = guard {
            self.metrics.late(guard.late_rows(), guard.reread_rows());
            blocker = guard.blocker().map(str::to_owned);
            is_bounded = guard.is_bounded();
            let led_to = self.guard.finish(&self.name, guard, late_took)?;
            must_store |= led_to.must_store() && self.head.position.is_some();
            outcome = Some(led_to);
        }
        if !page.batch.is_empty() {
            self.note_rows(cx, bound, &mut page).await?;
        }
        let left_out = std::mem::take(&mut page.left_out);
        let skipped = self.leave_out(cx, bound, left_out, has_misfits).await?;
        let found = !page.batch.is_empty() || skipped.is_some() || must_store;
        // With `--once` the end is not reached before late rows were looked for there.
        let has_left = cx.parts.once && outcome.as_ref().is_some_and(GuardOutcome::has_left);
        let ended = page.ended && !has_left && (!bound.binding.planner.has_suffix() || !found);
        // Polls go on behind a first load.
        let (exhausted, is_loaded) = (ended && self.load.is_none(), ended && self.load.is_some());
        self.note_lag(bound, &page, upper)?;
        self.paging.read(&page);
        let (step, head, is_held_back) = if found {
            let (step, head) = self.carry(bound, page, skipped, exhausted, outcome.as_mut())?;
            (Some(step), Some(head), false)
        } else {
            let blocker = blocker.filter(|_| exhausted);
            let is_held_back = blocker.is_some();
            match blocker {
                Some(blocker) => self.board.waiting(format!("newer rows wait for {blocker}")),
                None => self.board.polled(false, exhausted),
            }
            (None, None, is_held_back)
        };
        let (guard, upper) = (outcome, upper.cloned());
        Ok(StepResult { step, head, guard, exhausted, is_loaded, is_held_back, upper, is_bounded })
    }

    /// Takes in the rows left out of a step: makes sure that their values are at fault and not a schema that has
    /// changed.
    async fn leave_out(
        &mut self,
        cx: &mut Context<'_>,
        bound: &Bound,
        left_out: Vec<LeftOut>,
        has_misfits: bool,
    ) -> Result<Option<Skipped>> {
        if has_misfits || !left_out.is_empty() {
            // A view of the past does not show the present columns.
            cx.watch.release(cx.connection).await?;
        }
        if has_misfits || left_out.iter().any(LeftOut::is_misfit) {
            self.confirm(cx.parts, cx.connection, bound).await?;
        }
        self.report_left_out(cx.parts, bound, left_out).await
    }

    /// The step of a page, with its delta, and the read head behind it.
    fn carry(
        &mut self,
        bound: &Bound,
        page: Page,
        skipped: Option<Skipped>,
        exhausted: bool,
        guard: Option<&mut GuardOutcome>,
    ) -> Result<(Step, ReadHead)> {
        let (planner, zone) = (self.planner(bound), &self.spec.types.all.zone);
        let end = match exhausted {
            true => StepEnd::CaughtUp,
            // Rows of polls are not to wait for it.
            false if self.backfill.is_some() => StepEnd::Rest,
            false => StepEnd::More,
        };
        let mut step = Step { end, ..Step::torn(Arc::clone(&self.name), page.batch, skipped) };
        // Late rows do not move it.
        let Some(position) = page.position.or_else(|| self.head.position.clone()) else {
            return Err(Error::internal("a page with rows has no position"));
        };
        if let (Some(kind), Some(newest)) = (planner.time_kind(), position.0.first()) {
            step.newest = Some(kind.to_instant(newest, zone)?);
        }
        let (partition, from) = (self.head.partition.clone(), self.head.offset.clone());
        let load = self.head.load.clone();
        let mut head = ReadHead { is_found: true, load, ..ReadHead::new(partition) };
        if !matches!(planner.mode(), Mode::Bulk) {
            let to = match &self.head.load {
                Some(polls_from) => SourceOffset { load: Some(position.to_text()), ..polls_from.clone() },
                None => planner.offset_of(&position, page.settled.as_deref(), self.head.offset_of_table(), zone)?,
            };
            let guard = guard.and_then(|guard| guard.checkpoint(&position));
            head.guard.clone_from(&guard);
            step.mark = self.continuity.mark(&head.partition);
            head.offset = Some(to.clone());
            step.delta = Some(OffsetDelta { partition: head.partition.clone(), from, to, guard });
        }
        head.position = Some(position);
        Ok((step, head))
    }

    /// Publishes the lag of the rows read behind the clock.
    fn note_lag(&self, bound: &Bound, page: &Page, upper: Option<&CursorValue<'static>>) -> Result<()> {
        let zone = &self.spec.types.all.zone;
        if let (Some(kind), Some(upper)) = (self.planner(bound).time_kind(), upper) {
            let now = kind.to_instant(upper, zone)?;
            let newest = match page.position.as_ref().and_then(|position| position.0.first()) {
                Some(newest) => kind.to_instant(newest, zone)?,
                None => now,
            };
            let lag = (now.micros() - newest.micros() - micros_of(self.spec.polling.lead)).max(0) as f64 / 1e6;
            self.metrics.lag(lag);
            self.board.lag(lag);
        }
        Ok(())
    }
}

/// The error of a statement whose rows are not told apart by the columns that should.
fn no_longer_unique() -> Error {
    Error::new(ErrorKind::SchemaChanged, "rows share a primary key, which is unique no more")
}
