//! One relation as it is polled: how far it has been read, when it is due, and what a failure means for it.
//! Reads one page at a time; knows nothing of the other relations.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant as Clock;

use super::Parts;
use super::binding::{Binding, RecordEncoder, partition_of};
use super::facts::Known;
use super::late::{Late, Watch};
use super::sweep::Sweep;
use crate::dialect::SourceConnection;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    CursorValue, EncodedBatch, Micros, Mode, OffsetDelta, PlannedQuery, Position, Relation, SourceOffset,
    SourcePartition, TableDefinition, Value,
};
use crate::reader::{CutRule, Limits, Page, read_page};
use crate::retry::Backoff;
use crate::status::TableBoard;
use crate::telemetry::TableMetrics;

/// A page never has more rows, however far behind its relation is.
const MAX_PAGE_ROWS: usize = 65_536;
/// A page is cut when its records reach this size.
const MAX_PAGE_BYTES: usize = 8 * 1024 * 1024;
/// How often in a row a definition may change under a page before the relation is given up.
const MAX_REDESCRIBES: u32 = 5;

/// One relation and how far it has been read (not: committed).
pub(super) struct Polled {
    pub(super) relation: Relation,
    pub(super) name: Arc<str>,
    pub(super) partition: SourcePartition,
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
    pub(super) due: Clock,
    pub(super) checked: Option<Clock>,
    pub(super) backoff: Backoff,
    pub(super) redescribes: u32,
    /// The last batch handed on promised more, so the commit stage keeps its transaction open for it.
    pub(super) more_promised: bool,
    /// What a value did not fit; if describing again changes nothing, the relation fails with the error.
    pub(super) misfit: Option<(TableDefinition, Error)>,
    pub(super) facts: Known,
    pub(super) late: Late,
    /// The newest time the table had when it was looked for.
    pub(super) newest: Option<Micros>,
    pub(super) failed: Option<Error>,
    pub(super) done: bool,
}

pub(super) struct Bound {
    pub(super) binding: Binding,
    pub(super) encoder: RecordEncoder,
    /// Where to read on under this definition has been found.
    pub(super) start_known: bool,
}

impl Polled {
    pub(super) fn new(parts: &Parts, relation: Relation) -> Self {
        let name: Arc<str> = relation.to_string().into();
        let board = parts.board.table(&name);
        Self {
            partition: partition_of(&parts.spec, &relation),
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
            due: Clock::now(),
            checked: None,
            backoff: Backoff::default(),
            redescribes: 0,
            more_promised: false,
            misfit: None,
            facts: Known::default(),
            late: Late::default(),
            newest: None,
            failed: None,
            done: false,
        }
    }

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
            (self.rule(parts), |values: &[Value<'_>], batch: &mut EncodedBatch| bound.encoder.encode(values, batch));
        // A place first: the statement runs only when its rows have somewhere to go.
        let mut permit = out.reserve().await.map_err(|_| closed())?;
        let upper = match (planner.time_kind(), &self.fixed_upper) {
            (Some(kind), None) => Some(connection.upper_bound(kind, parts.spec.polling.delay).await?),
            (_, fixed) => fixed.clone(),
        };
        if parts.once {
            self.fixed_upper.clone_from(&upper);
        }
        if planner.tuple_len() == 0 {
            drop(permit);
            return self.poll_unordered(connection, out, rule).await;
        }
        let query = planner.page(self.position.as_ref(), upper.as_ref(), self.page_rows);
        let limits = Limits { rows: self.page_rows, bytes: MAX_PAGE_BYTES };
        let at = (self.position.as_ref(), self.newest);
        let mut sweep = self.late.begin((&parts.spec, &self.name), connection, watch, &bound.binding, at).await?;
        let batch = self.empty_batch(bound);
        let mut page = fetch_page(connection, bound, query, &encode, rule, limits, batch, sweep.as_mut()).await?;
        if let Some(tie) = page.unfinished_tie.take() {
            let query = planner.tie(&tie);
            let whole = Limits { rows: usize::MAX, bytes: usize::MAX };
            let batch = self.empty_batch(bound);
            page = fetch_page(connection, bound, query, &encode, rule, whole, batch, sweep.as_mut()).await?;
            page.ended = false;
        }
        let mut must_store = false;
        if let Some(mut sweep) = sweep {
            if let Some(query) = sweep.query.take() {
                let stream = connection.fetch(&bound.binding.definition, &query).await?;
                let mut stream = sweep.watch(stream, false);
                let (rule, limits) = (CutRule { anywhere: true, ..rule }, Limits { rows: usize::MAX, ..limits });
                loop {
                    let late = read_page(&mut *stream, &encode, rule, limits, page.batch, None).await?;
                    page.batch = late.batch;
                    if late.ended {
                        break;
                    }
                    // Many rows of one view: they go on while the commit stage keeps its transaction open.
                    page.batch.is_part = true;
                    permit.send(std::mem::replace(&mut page.batch, self.empty_batch(bound)));
                    self.late.is_torn = true;
                    permit = out.reserve().await.map_err(|_| closed())?;
                }
            }
            connection.end_view().await?;
            self.metrics.late(sweep.late_rows);
            let is_outdated = self.late.finish(&self.name, sweep, &self.board) && self.position.is_some();
            must_store = is_outdated || self.late.is_torn;
        }
        let exhausted = page.ended && (!planner.has_suffix() || page.batch.is_empty());
        self.metrics.polled(page.batch.len() as u64, started.elapsed());
        self.note_lag(parts, &page, upper.as_ref())?;
        self.grow(&page, parts.spec.polling.batch_max_rows);
        if page.batch.is_empty() && !must_store {
            self.board.polled(false, exhausted);
            if exhausted && std::mem::take(&mut self.more_promised) {
                // Nothing to commit, but the promise is off.
                let mut end = page.batch;
                end.exhausted = true;
                permit.send(end);
            }
            self.restart_bulk(exhausted);
            return Ok(exhausted);
        }
        // A first load ends when its last rows are committed, so the commit stage says so.
        self.board.polled(true, false);
        let batch = self.carry(parts, page, exhausted, connection.identity())?;
        permit.send(batch);
        self.late.is_torn = false;
        self.more_promised = !exhausted;
        self.restart_bulk(exhausted);
        Ok(exhausted)
    }

    /// A bulk relation without a usable primary key: one statement, whose stream stays open while its
    /// batches are handed on.
    async fn poll_unordered(
        &mut self,
        connection: &mut dyn SourceConnection,
        out: &mpsc::Sender<EncodedBatch>,
        rule: CutRule,
    ) -> Result<bool> {
        let Some(bound) = &self.bound else { return Err(Error::internal("not bound")) };
        let encode = |values: &[Value<'_>], batch: &mut EncodedBatch| bound.encoder.encode(values, batch);
        let query = bound.binding.planner.page(None, None, 0);
        let mut stream = connection.fetch(&bound.binding.definition, &query).await?;
        let limits = Limits { rows: MAX_PAGE_ROWS, bytes: MAX_PAGE_BYTES };
        loop {
            let permit = out.reserve().await.map_err(|_| closed())?;
            let page = read_page(&mut *stream, &encode, rule, limits, self.empty_batch(bound), None).await?;
            let mut batch = page.batch;
            batch.exhausted = page.ended;
            permit.send(batch);
            if page.ended {
                self.board.polled(false, true);
                return Ok(true);
            }
            self.board.polled(true, false);
        }
    }

    fn rule(&self, parts: &Parts) -> CutRule {
        let anywhere = self.bound.as_ref().is_some_and(|bound| bound.binding.planner.cuts_anywhere());
        CutRule { anywhere, null_fails: parts.spec.mode.null_fails }
    }

    fn empty_batch(&self, bound: &Bound) -> EncodedBatch {
        let rows = self.page_rows.min(MAX_PAGE_ROWS);
        let row_bytes = self.row_bytes.min(MAX_PAGE_BYTES / rows.max(1) + 1);
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
            let mut to = planner.offset_of(&position, page.settled.as_ref(), self.offset.as_ref(), zone)?;
            to.guard = self.late.stored_with(&position, identity);
            batch.delta =
                Some(OffsetDelta { partition: self.partition.clone(), from: self.offset.clone(), to: to.clone() });
            self.offset = Some(to);
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
        let fitting = (MAX_PAGE_BYTES / self.row_bytes.max(1)).max(1);
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
            self.metrics.lag((now.micros() - newest.micros()) as f64 / 1e6);
        }
        Ok(())
    }

    pub(super) fn succeeded(&mut self, exhausted: bool, interval: Duration, once: bool) {
        if self.failed.take().is_some() || self.backoff.failures() > 0 {
            tracing::info!(table = %self.name, "polling works again");
        }
        self.backoff.reset();
        self.redescribes = 0;
        self.due = if exhausted { Clock::now() + interval } else { Clock::now() };
        self.done = once && exhausted;
    }

    /// Forgets what was bound, so that the next poll describes again.
    pub(super) fn redescribe(&mut self, error: Error) -> Result<()> {
        let Some(bound) = self.bound.take() else { return Err(error) };
        self.redescribes += 1;
        if self.redescribes > MAX_REDESCRIBES {
            return Err(error.advise("the table's columns keep changing; restart the connector when they have settled"));
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
    pub(super) fn fail(&mut self, error: Error, again_after: Duration, once: bool) {
        if self.failed.is_none() {
            tracing::error!(table = %self.name, error = %error.report(), advice = error.advice(), "the table has failed; the others go on");
        }
        self.board.failed(&error);
        self.bound = None;
        self.misfit = None;
        self.due = Clock::now() + again_after;
        self.failed = Some(error);
        self.done = once;
    }
}

#[allow(clippy::too_many_arguments)]
async fn fetch_page(
    connection: &mut dyn SourceConnection,
    bound: &Bound,
    query: PlannedQuery,
    encode: crate::reader::EncodeRow<'_>,
    rule: CutRule,
    limits: Limits,
    batch: EncodedBatch,
    sweep: Option<&mut Sweep>,
) -> Result<Page> {
    let query = match &sweep {
        Some(sweep) => sweep.page(&bound.binding.planner, query),
        None => query,
    };
    let stream = connection.fetch(&bound.binding.definition, &query).await?;
    let mut stream = match sweep {
        Some(sweep) => sweep.watch(stream, true),
        None => stream,
    };
    read_page(&mut *stream, encode, rule, limits, batch, query.limit).await
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
