//! One relation as it is polled: how far it has been read, when it is due, and what a failure means for it.
//! Reads one page at a time; knows nothing of the other relations.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant as Clock;

use super::Parts;
use super::binding::{Binding, RecordEncoder, partition_of};
use super::continuity::Continuity;
use super::facts::{Known, bound_of_polls};
use super::late::{At, Late, Phase, Sweep, Watch};
use super::odd::Looks;
use super::pass::Pass;
use super::skipped::{Skipping, tolerance};
use super::stall::{Step, Waits};
use crate::dialect::{RowStream, SourceConnection};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    CursorValue, EncodedBatch, Joins, Micros, Mode, OffsetDelta, PlannedQuery, Position, Relation, SourceOffset,
    SourcePartition, TableDefinition, Value, micros_of,
};
use crate::plan::Planner;
use crate::reader::{CutRule, Limits, Ordered, Page, read_page};
use crate::retry::Backoff;
use crate::status::TableBoard;
use crate::telemetry::TableMetrics;

/// A page never has more rows, however far behind its relation is.
pub(super) const MAX_PAGE_ROWS: usize = 65_536;
/// How often a pass that begins anew each time may run into a time limit that rowtide does not set.
const MAX_BROKEN_PASSES: u32 = 3;
/// How often in a row a definition may change under a page before the relation is given up.
const MAX_REDESCRIBES: u32 = 5;

/// One relation and how far it has been read (not: committed).
pub(super) struct Polled {
    pub(super) relation: Relation,
    pub(super) name: Arc<str>,
    pub(super) partition: SourcePartition,
    /// The partition its offsets go to: the same, or the one they were found under.
    pub(super) stored_as: SourcePartition,
    pub(super) board: TableBoard,
    pub(super) metrics: TableMetrics,
    pub(super) bound: Option<Bound>,
    /// The offset the next delta starts from.
    pub(super) offset: Option<SourceOffset>,
    /// Where to read on; none: from the beginning.
    pub(super) position: Option<Position>,
    /// The bound of `--once`, fixed at the first poll.
    pub(super) fixed_upper: Option<CursorValue<'static>>,
    pub(super) page_rows: usize,
    pub(super) row_bytes: usize,
    /// A page is cut when its records reach this size.
    pub(super) page_bytes: usize,
    pub(super) due: Clock,
    /// The number of its last turn: of those that are due at the same time the one goes first that has waited longest.
    pub(super) turn: u64,
    pub(super) checked: Option<Clock>,
    pub(super) backoff: Backoff,
    pub(super) redescribes: u32,
    /// The last batch handed on promised more, so the commit stage keeps its transaction open for it.
    pub(super) more_promised: bool,
    /// The pass of a bulk load that is under way.
    pass: Option<Pass>,
    /// How often the time of its statements was doubled.
    doublings: u32,
    /// A pass that cannot be gone on with is under way.
    pub(super) in_pass: bool,
    /// Such passes have come to their end until now, none has broken off since.
    pub(super) passes_end: bool,
    /// How often in a row such a pass ran into a time limit.
    pub(super) broken_passes: u32,
    /// What a value did not fit; if describing again changes nothing, the relation fails with the error.
    pub(super) misfit: Option<(TableDefinition, Error)>,
    /// The columns a statement last failed with as changed.
    disputed: Option<TableDefinition>,
    pub(super) facts: Known,
    pub(super) looks: Looks,
    pub(super) skipping: Skipping,
    pub(super) late: Late,
    /// Whether it is still the table that was read.
    pub(super) continuity: Continuity,
    /// It is read from its beginning, and nothing has been handed on yet: Kafka Connect's fields of the offset before mean
    /// another table.
    pub(super) begins_anew: bool,
    /// The time since which the table, which was there, is missing.
    pub(super) missed: Option<Clock>,
    /// The newest time the table had when it was looked for.
    pub(super) newest: Option<Micros>,
    /// Part of a step has been handed on, the rest not yet: an error now is one of the whole transaction.
    pub(super) is_torn: AtomicBool,
    pub(super) failed: Option<Error>,
    pub(super) done: bool,
    /// Whom its poll waits for.
    pub(super) step: Step,
}

pub(super) struct Bound {
    pub(super) binding: Binding,
    pub(super) encoder: RecordEncoder,
    /// Where to read on under this definition has been found.
    pub(super) start_known: bool,
}

impl Polled {
    pub(super) fn new(parts: &Parts, relation: Relation, step: Step) -> Self {
        let name: Arc<str> = relation.to_string().into();
        let board = parts.board.table(&name);
        let partition = partition_of(&parts.spec, &relation);
        Self {
            stored_as: partition.clone(),
            partition,
            board,
            metrics: parts.metrics.table(&name),
            name,
            relation,
            bound: None,
            offset: None,
            position: None,
            fixed_upper: None,
            page_rows: parts.spec.polling.batch_max_rows,
            row_bytes: 64,
            page_bytes: parts.memory.page_bytes,
            due: Clock::now(),
            turn: 0,
            checked: None,
            backoff: Backoff::default(),
            redescribes: 0,
            more_promised: false,
            pass: None,
            doublings: 0,
            in_pass: false,
            passes_end: false,
            broken_passes: 0,
            misfit: None,
            disputed: None,
            facts: Known::default(),
            looks: Looks::default(),
            skipping: Skipping::default(),
            late: Late::default(),
            continuity: Continuity::default(),
            begins_anew: false,
            missed: None,
            newest: None,
            is_torn: AtomicBool::new(false),
            failed: None,
            done: false,
            step,
        }
    }

    /// Reads one page, and what committed late. True if nothing newer is left.
    ///
    /// # Errors
    /// While `is_torn` they are those of the whole transaction.
    pub(super) async fn poll(
        &mut self,
        parts: &Parts,
        connection: &mut dyn SourceConnection,
        watch: &mut Watch,
        out: &mpsc::Sender<EncodedBatch>,
    ) -> Result<bool> {
        let started = Clock::now();
        let Some(bound) = &self.bound else { return Err(Error::internal("not bound")) };
        let planner = &bound.binding.planner;
        let (rule, encode) =
            (rule(parts, planner, self.position.as_ref()), |values: &[Value<'_>], batch: &mut EncodedBatch| {
                bound.encoder.encode(values, batch)
            });
        if !self.late.shares_view() {
            watch.release(connection).await?;
        }
        // A place first: the statement runs only when its rows have somewhere to go. Nobody holds a view and waits.
        let mut permit = match out.try_reserve() {
            Ok(permit) => permit,
            Err(_) => {
                watch.release(connection).await?;
                self.place(out).await?
            }
        };
        let upper = match (planner.time_kind(), &self.fixed_upper) {
            (Some(kind), None) => Some(bound_of_polls(connection, kind, &parts.spec.polling).await?),
            (_, fixed) => fixed.clone(),
        };
        if parts.once {
            self.fixed_upper.clone_from(&upper);
        }
        if planner.tuple_len() == 0 {
            drop(permit);
            return self.poll_unordered(parts, connection, out).await;
        }
        let at = At {
            spec: &parts.spec,
            table: &self.name,
            binding: &bound.binding,
            position: self.position.as_ref(),
            newest: self.newest,
            once: parts.once,
            board: &self.board,
            clock: self.late.clock(),
        };
        let mut sweep = self.late.begin(at, connection, watch).await?;
        let bound_of_page = sweep.as_ref().map_or_else(|| upper.clone(), |sweep| sweep.bound(upper.clone()));
        // The first row beyond the page tells whether it shares the cursor of the last one within.
        let query = planner.page(self.position.as_ref(), bound_of_page.as_ref(), self.page_rows + 1);
        let limits = Limits { rows: self.page_rows, bytes: self.page_bytes };
        let batch = self.empty_batch(bound);
        let query = with_ids(sweep.as_ref(), planner, query);
        let mut stream = open_page(connection, bound, &query, sweep.as_mut(), Phase::Page).await?;
        let mut page = read_page(&mut *stream, &encode, rule, limits, batch, query.limit).await?;
        drop(stream);
        let mut has_misfits = false;
        sweep.iter_mut().for_each(|sweep| sweep.page_read(page.ended));
        if let Some(tie) = page.unfinished_tie.take() {
            if matches!(planner.mode(), Mode::Bulk) {
                return Err(Error::new(ErrorKind::SchemaChanged, "rows share a primary key, which is unique no more"));
            }
            let query = with_ids(sweep.as_ref(), planner, planner.tie(&tie.0));
            let mut stream = open_page(connection, bound, &query, sweep.as_mut(), Phase::Tie).await?;
            let rest = self.read_step(parts, out, &mut *stream, rule.whole(), permit, self.empty_batch(bound)).await?;
            drop(stream);
            has_misfits = rest.has_misfits;
            permit = rest.permit;
            page = rest.page;
            (page.position, page.settled, page.ended) = (Some(tie), None, false);
        }
        let mut must_store = self.is_torn.load(Ordering::Relaxed);
        let mut blocker = None;
        if let Some(mut sweep) = sweep {
            let began = Clock::now();
            while let Some(query) = sweep.next_query() {
                let stream = connection.fetch(&bound.binding.definition, &query).await?;
                let mut stream = sweep.watch(stream, planner.order(), Phase::Late);
                let rest = self.read_step(parts, out, &mut *stream, rule.whole(), permit, page.batch).await?;
                drop(stream);
                has_misfits |= rest.has_misfits;
                permit = rest.permit;
                page.batch = rest.page.batch;
                page.left_out.extend(rest.page.left_out);
            }
            self.metrics.late(sweep.late_rows(), sweep.reread_rows());
            blocker = sweep.blocker().map(str::to_owned);
            let place = (&*self.name, planner.time_kind().is_some());
            let is_outdated = self.late.finish(place, sweep, began.elapsed(), &self.board) && self.position.is_some();
            must_store = is_outdated || self.is_torn.load(Ordering::Relaxed);
        }
        if !page.batch.is_empty() {
            self.note_rows(parts, connection, watch, &mut page).await?;
        }
        let Some(bound) = &self.bound else { return Err(Error::internal("not bound")) };
        let planner = &bound.binding.planner;
        if has_misfits || !page.left_out.is_empty() {
            // What the columns are now is not to be seen in a view of before.
            watch.release(connection).await?;
        }
        if has_misfits {
            self.confirm(parts, connection).await?;
        }
        page.batch.skipped = self.skipped(parts, connection, std::mem::take(&mut page.left_out)).await?;
        let found = !page.batch.is_empty() || page.batch.skipped.is_some() || must_store;
        let exhausted = page.ended && (!planner.has_suffix() || !found);
        self.metrics.polled(page.batch.len() as u64, started.elapsed());
        self.note_lag(parts, &page, upper.as_ref())?;
        self.grow(&page, parts.spec.polling.batch_max_rows);
        if !found {
            match blocker.filter(|_| exhausted) {
                Some(blocker) => self.board.waiting(format!("newer rows wait for {blocker}")),
                None => self.board.polled(false, exhausted),
            }
            if exhausted && std::mem::take(&mut self.more_promised) {
                // Nothing to commit, but for the end of a pass, and the promise is off.
                let mut end = self.pass.take().and_then(Pass::end).unwrap_or(page.batch);
                end.exhausted = true;
                permit.send(end);
            }
            self.restart_bulk(exhausted);
            return Ok(exhausted);
        }
        // A first load ends when its last rows are committed, so the commit stage says so.
        self.board.polled(true, false);
        let batch = self.carry(parts, page, exhausted, connection.identity())?;
        let (ready, last) = self.in_pass(batch);
        match ready {
            Some(ready) => permit.send(ready),
            None => drop(permit),
        }
        self.is_torn.store(false, Ordering::Relaxed);
        if let Some(last) = last {
            self.place(out).await?.send(last);
        }
        self.more_promised = !exhausted;
        self.restart_bulk(exhausted);
        Ok(exhausted)
    }

    /// A place in the channel, waited for as long as Kafka takes.
    pub(super) async fn place<'o>(
        &self,
        out: &'o mpsc::Sender<EncodedBatch>,
    ) -> Result<mpsc::Permit<'o, EncodedBatch>> {
        self.step.waits_for(Waits::Kafka);
        let permit = out.reserve().await.map_err(|_| closed())?;
        self.step.waits_for(Waits::Database);
        Ok(permit)
    }

    /// A batch of a bulk load is marked, and held until it is known whether it is the last; others go as they are.
    fn in_pass(&mut self, batch: EncodedBatch) -> (Option<EncodedBatch>, Option<EncodedBatch>) {
        if !self.bound.as_ref().is_some_and(|bound| matches!(bound.binding.planner.mode(), Mode::Bulk)) {
            return (Some(batch), None);
        }
        let (mut pass, exhausted) = (self.pass.take().unwrap_or_default(), batch.exhausted);
        let mut ready = pass.add(batch);
        if !exhausted {
            self.pass = Some(pass);
            return (ready, None);
        }
        let last = pass.end();
        if let (Some(ready), None) = (&mut ready, &last) {
            // Every row of the table was left out.
            (ready.exhausted, ready.joins) = (true, Joins::Free);
        }
        (ready, last)
    }

    pub(super) fn empty_batch(&self, bound: &Bound) -> EncodedBatch {
        let rows = self.page_rows.min(MAX_PAGE_ROWS);
        let row_bytes = self.row_bytes.min(self.page_bytes / rows.max(1) + 1);
        EncodedBatch::new(Arc::clone(&self.name), Arc::clone(&bound.binding.topic), rows, row_bytes)
    }

    /// Gives a page its delta and moves the reading position behind it.
    fn carry(&mut self, parts: &Parts, page: Page, exhausted: bool, identity: Option<&str>) -> Result<EncodedBatch> {
        let Some(bound) = &self.bound else { return Err(Error::internal("not bound")) };
        let (planner, zone) = (&bound.binding.planner, &parts.spec.source.types.all.zone);
        let mut batch = page.batch;
        batch.exhausted = exhausted;
        // Late rows do not move it.
        let Some(position) = page.position.or_else(|| self.position.clone()) else {
            return Err(Error::internal("a page with rows has no position"));
        };
        if let (Some(kind), Some(newest)) = (planner.time_kind(), position.0.first()) {
            batch.newest = Some(kind.to_instant(newest, zone)?);
        }
        if !matches!(planner.mode(), Mode::Bulk) {
            let before = self.offset.as_ref().filter(|_| !self.begins_anew);
            let mut to = planner.offset_of(&position, page.settled.as_deref(), before, zone)?;
            to.guard = self.late.stored_with(&position, identity);
            batch.delta =
                Some(OffsetDelta { partition: self.stored_as.clone(), from: self.offset.clone(), to: to.clone() });
            self.offset = Some(to);
            self.begins_anew = false;
            batch.memos.table = self.continuity.memo(&self.stored_as);
        }
        self.position = Some(position);
        Ok(batch)
    }

    /// A bulk load that has reached the end starts over at its next poll.
    fn restart_bulk(&mut self, exhausted: bool) {
        let is_bulk = self.bound.as_ref().is_some_and(|bound| matches!(bound.binding.planner.mode(), Mode::Bulk));
        if is_bulk && exhausted {
            self.position = None;
        }
    }

    /// Pages double while full ones follow each other, stay within the byte limit, and shrink back at the end.
    fn grow(&mut self, page: &Page, base: usize) {
        if !page.batch.is_empty() {
            self.row_bytes = page.batch.bytes() / page.batch.len() + 8;
        }
        if page.ended {
            self.page_rows = base;
            return;
        }
        let fitting = (self.page_bytes / self.row_bytes.max(1)).max(1);
        let doubled = (self.page_rows * 2).min(MAX_PAGE_ROWS.max(base));
        self.page_rows = if doubled <= fitting { doubled } else { largest_step(base, fitting) };
    }

    fn note_lag(&self, parts: &Parts, page: &Page, upper: Option<&CursorValue<'static>>) -> Result<()> {
        let Some(bound) = &self.bound else { return Ok(()) };
        let zone = &parts.spec.source.types.all.zone;
        if let (Some(kind), Some(upper)) = (bound.binding.planner.time_kind(), upper) {
            let now = kind.to_instant(upper, zone)?;
            let newest = match page.position.as_ref().and_then(|position| position.0.first()) {
                Some(newest) => kind.to_instant(newest, zone)?,
                None => now,
            };
            let lag = (now.micros() - newest.micros() - micros_of(parts.spec.polling.lead)).max(0) as f64 / 1e6;
            self.metrics.lag(lag);
            self.board.lag(lag);
        }
        Ok(())
    }

    /// A poll has succeeded. Relations of a task that were read to their end are due at the same beats of `rhythm` if
    /// they have a guard: one look at the database's transactions serves them all.
    pub(super) fn succeeded(&mut self, exhausted: bool, (rhythm, interval): (Clock, Duration), once: bool) {
        if self.failed.take().is_some() || self.backoff.failures() > 0 {
            tracing::info!(table = %self.name, "polling works again");
        }
        self.backoff.reset();
        (self.redescribes, self.disputed, self.missed) = (0, None, None);
        let now = Clock::now();
        self.due = match exhausted {
            true if self.late.observes() => beat_near(rhythm, interval, now + interval),
            true => now + interval,
            false => now,
        };
        self.done = once && exhausted;
    }

    /// How long its statements may give no row, if that is `time` by the configuration.
    pub(super) fn patience(&self, time: Duration) -> Duration {
        time.saturating_mul(1 << self.doublings.min(16))
    }

    /// What an error means for the tries after it: a statement that needs more than its time gets twice as much, and
    /// fewer rows to read; a pass that begins anew each time is not begun without end.
    ///
    /// # Errors
    /// The table is to be given up.
    pub(super) fn broke_off(&mut self, error: Error, base: usize) -> Result<Error> {
        let in_pass = std::mem::take(&mut self.in_pass);
        self.passes_end &= !in_pass;
        if error.kind() != ErrorKind::TimeLimit {
            return Ok(error);
        }
        if !in_pass {
            (self.doublings, self.page_rows) = (self.doublings + 1, base);
            return Ok(error);
        }
        self.broken_passes += 1;
        if self.broken_passes < MAX_BROKEN_PASSES {
            return Ok(error);
        }
        let limits = "raise the time limit of the server, role or proxy that ends the statement (statement_timeout, \
                      max_statement_time, max_execution_time), then restart the connector";
        let message = format!("a pass was ended by a time limit {MAX_BROKEN_PASSES} times, and each begins anew");
        Err(Error::new(ErrorKind::TimeLimit, message).with("table", &self.name).advise(limits).caused_by(error))
    }

    /// Forgets what was bound, so that the next poll describes again.
    pub(super) fn redescribe(&mut self, error: Error) -> Result<()> {
        let Some(bound) = self.bound.take() else { return Err(error) };
        self.redescribes += 1;
        let is_of_columns = error.kind() == ErrorKind::SchemaChanged;
        let definition = &bound.binding.definition;
        let is_unchanged = is_of_columns && self.disputed.as_ref() == Some(definition);
        self.disputed = is_of_columns.then(|| definition.clone());
        // Twice may be a table that is swapped in between; what a user appends is at fault sooner.
        if is_unchanged && (bound.binding.planner.has_suffix() || self.redescribes > MAX_REDESCRIBES) {
            return Err(error.of_unchanged(bound.binding.statement_advice()));
        }
        if self.redescribes > MAX_REDESCRIBES {
            // What the server itself says of it is not about columns that were seen to change.
            let is_server_s = std::error::Error::source(&error).is_some();
            return Err(if is_server_s {
                error.advise("the table can be described, but not read as it was described: see what the server says")
            } else {
                error.advise("the table's columns keep changing; restart the connector when they have settled")
            });
        }
        if error.kind() == ErrorKind::Value {
            self.misfit = Some((bound.binding.definition, error));
        } else {
            tracing::info!(table = %self.name, "the columns have changed, describing the table again");
        }
        self.due = Clock::now();
        Ok(())
    }

    /// The relation is given up, but looked at again now and then: the operator may have mended it.
    pub(super) fn fail(&mut self, error: Error, again_after: Duration, parts: &Parts) {
        if self.failed.is_none() {
            let others = parts.board.with(|status| status.tables.len() > 1);
            let what = if others { "the table has failed; the others go on" } else { "the table has failed" };
            tracing::error!(table = %self.name, error = %error.report(), advice = error.advice(), "{what}");
        }
        self.board.failed(&error);
        self.bound = None;
        self.misfit = None;
        self.due = Clock::now() + again_after;
        self.failed = Some(error);
        self.done = parts.once;
    }
}

/// How a page of a planner behind a position is read.
pub(super) fn rule<'a>(parts: &Parts, planner: &'a Planner, after: Option<&'a Position>) -> CutRule<'a> {
    let ordered = Ordered {
        order: planner.order(),
        after,
        told_len: planner.told_len(),
        is_cut_blindly: planner.suffix_cuts_ties(),
    };
    let page = (planner.tuple_len() > 0).then_some(ordered);
    CutRule { page, null_fails: parts.spec.mode.odd.null_fails, tolerance: tolerance(&parts.spec.errors) }
}

/// The beat that is nearest to a time.
fn beat_near(rhythm: Clock, interval: Duration, time: Clock) -> Clock {
    let beats = (time - rhythm).as_secs_f64() / interval.as_secs_f64();
    if beats.is_finite() { rhythm + interval.mul_f64(beats.round()) } else { time }
}

/// The query as the guard wants it.
fn with_ids(sweep: Option<&Sweep>, planner: &Planner, query: PlannedQuery) -> PlannedQuery {
    match sweep {
        Some(sweep) => sweep.page(planner, query),
        None => query,
    }
}

/// Opens the result of a page, whose rows the guard looks at if there is one.
async fn open_page<'c>(
    connection: &'c mut dyn SourceConnection,
    bound: &'c Bound,
    query: &'c PlannedQuery,
    sweep: Option<&'c mut Sweep>,
    phase: Phase,
) -> Result<Box<dyn RowStream + 'c>> {
    let stream = connection.fetch(&bound.binding.definition, query).await?;
    Ok(match sweep {
        Some(sweep) => sweep.watch(stream, bound.binding.planner.order(), phase),
        None => stream,
    })
}

/// The largest `base` times a power of two that fits, so that few different statements are prepared.
fn largest_step(base: usize, fitting: usize) -> usize {
    let mut step = base.max(1);
    while step > fitting && step > 1 {
        step /= 2;
    }
    while step * 2 <= fitting && step * 2 <= MAX_PAGE_ROWS {
        step *= 2;
    }
    step
}

/// The commit stage ended; its own error is the one that counts.
pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Cancelled, "the commit stage has ended")
}
