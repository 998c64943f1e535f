//! The run of a step: its statements, one after the other, and the parts of it that are handed on before its end.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant as Clock;

use super::clock::{EncodeClock, ReadTimes};
use super::{StepPlan, StepRows, no_longer_unique};
use crate::config::spec::TableSpec;
use crate::dialect::{Row, RowStream, SourceConnection};
use crate::error::{Error, Result};
use crate::model::{EncodedBatch, Header, Mode, PlannedQuery, Position};
use crate::plan::Planner;
use crate::reader::{CutRule, LeftOut, Limits, Ordered, Page, read_page};
use crate::task::Parts;
use crate::task::guard::{GuardPoll, Phase};
use crate::task::handoff::{Outbox, Place, Step};
use crate::task::polled::{Bound, Polled};
use crate::task::skipped::tolerance;

/// A step that is being read.
pub(super) struct StepRun<'r, 'o> {
    table: &'r Polled,
    parts: &'r Parts,
    bound: &'r Bound,
    out: &'o Outbox,
    /// The place for the next part.
    place: Option<Place<'o>>,
    /// True if part of the step has been handed on, and the rest not yet.
    is_torn: &'r mut bool,
    has_misfits: bool,
    /// The headers of every record.
    headers: Arc<[Header]>,
    encoding: Arc<EncodeClock>,
}

impl<'r, 'o> StepRun<'r, 'o> {
    pub(super) fn new(
        table: &'r Polled,
        parts: &'r Parts,
        bound: &'r Bound,
        out: &'o Outbox,
        place: Place<'o>,
        is_torn: &'r mut bool,
    ) -> Self {
        let headers = table.poll_headers(parts, bound);
        let encoding = Arc::default();
        Self { table, parts, bound, out, place: Some(place), is_torn, has_misfits: false, headers, encoding }
    }

    fn empty_batch(&self) -> EncodedBatch {
        self.table.empty_batch(self.bound, &self.headers)
    }

    /// Runs the statements of a step.
    ///
    /// # Errors
    /// Those of the connection and of the encoder.
    pub(super) async fn read(&mut self, connection: &mut dyn SourceConnection, plan: StepPlan) -> Result<StepRows> {
        let StepPlan { query, limits, mut guard } = plan;
        let began_all = Clock::now();
        let mut page = self.page(connection, &query, limits, guard.as_mut()).await?;
        if let Some(guard) = &mut guard {
            guard.page_read(page.ended);
        }
        if let Some(tie) = page.unfinished_tie.take() {
            page = self.tie(connection, tie, guard.as_mut()).await?;
        }
        let mut late_took = Duration::ZERO;
        if let Some(guard) = &mut guard {
            let began = Clock::now();
            while let Some(query) = guard.next_query() {
                page = self.late(connection, &query, guard, page).await?;
            }
            late_took = began.elapsed();
        }
        let times = ReadTimes { took: began_all.elapsed(), encoding: self.encoding.total() };
        Ok(StepRows { page, has_misfits: self.has_misfits, guard, late_took, times })
    }

    /// The place for the last part.
    ///
    /// # Errors
    /// None that can be expected: each part that was handed on was followed by a place for the next.
    pub(super) fn place(self) -> Result<Place<'o>> {
        self.place.ok_or_else(|| Error::internal("a step has no place"))
    }

    /// Reads rows after the position.
    async fn page(
        &self,
        connection: &mut dyn SourceConnection,
        query: &PlannedQuery,
        limits: Limits,
        guard: Option<&mut GuardPoll>,
    ) -> Result<Page> {
        let (bound, batch, planner) = (self.bound, self.empty_batch(), self.table.planner(self.bound));
        // The time of a row stands behind its key.
        let behind = if planner.is_by_key() { planner.tuple_len() } else { 0 };
        let encoding = Arc::clone(&self.encoding);
        let encode = |row: &Row<'_>, batch: &mut EncodedBatch| {
            let cursor = row.cursor.get(behind..).unwrap_or_default();
            encoding.time(|| bound.encoder.encode(row.values, cursor, batch))
        };
        let rule = rule(&self.table.spec, planner, self.table.head.position.as_ref());
        let mut stream = open(connection, bound, query, guard, Phase::Page).await?;
        read_page(&mut *stream, &encode, rule, limits, batch, query.limit).await
    }

    /// All rows of one cursor that fill a page.
    async fn tie(
        &mut self,
        connection: &mut dyn SourceConnection,
        tie: Position,
        guard: Option<&mut GuardPoll>,
    ) -> Result<Page> {
        let planner = self.table.planner(self.bound);
        if matches!(planner.mode(), Mode::Bulk) || planner.is_by_key() {
            return Err(no_longer_unique());
        }
        let query = planner.tie(&tie.0);
        let query = match &guard {
            Some(guard) => guard.page(planner, query),
            None => query,
        };
        let mut stream = open(connection, self.bound, &query, guard, Phase::Tie).await?;
        let page = self.rest(&mut *stream, self.empty_batch()).await?;
        Ok(Page { position: Some(tie), settled: None, ended: false, ..page })
    }

    /// Reads rows at or before the position, behind those of a page.
    async fn late(
        &mut self,
        connection: &mut dyn SourceConnection,
        query: &PlannedQuery,
        guard: &mut GuardPoll,
        mut page: Page,
    ) -> Result<Page> {
        let mut stream = open(connection, self.bound, query, Some(guard), Phase::Late).await?;
        let rest = self.rest(&mut *stream, page.batch).await?;
        page.left_out.extend(rest.left_out);
        Ok(Page { batch: rest.batch, ..page })
    }

    /// All rows of a result behind those of `batch`. They make one transaction, because there is no position between
    /// them: rows beyond a batch are handed on here, and the step is torn until the rest follows.
    async fn rest(&mut self, stream: &mut dyn RowStream, batch: EncodedBatch) -> Result<Page> {
        let bound = self.bound;
        let encoding = Arc::clone(&self.encoding);
        let encode = |row: &Row<'_>, batch: &mut EncodedBatch| {
            encoding.time(|| bound.encoder.encode(row.values, row.cursor, batch))
        };
        let rule = rule(&self.table.spec, &bound.binding.planner, None).whole();
        let limits = Limits { rows: usize::MAX, bytes: self.table.paging.max_bytes() };
        let mut page = read_page(stream, &encode, rule, limits, batch, None).await?;
        while !page.ended {
            self.hand_on(page).await?;
            page = read_page(stream, &encode, rule, limits, self.empty_batch(), None).await?;
        }
        Ok(page)
    }

    /// Hands on part of the step.
    async fn hand_on(&mut self, page: Page) -> Result<()> {
        let Page { batch, left_out, .. } = page;
        self.has_misfits |= left_out.iter().any(LeftOut::is_misfit);
        let skipped = self.table.report_left_out(self.parts, self.bound, left_out).await?;
        if let Some(place) = self.place.take() {
            place.send(Step::torn(Arc::clone(&self.table.name), batch, skipped).into());
            *self.is_torn = true;
        }
        self.place = Some(self.out.place().await?);
        Ok(())
    }
}

/// The rules for the result of a planner's statement behind a position.
pub(super) fn rule<'a>(spec: &TableSpec, planner: &'a Planner, after: Option<&'a Position>) -> CutRule<'a> {
    let ordered = Ordered {
        order: planner.order(),
        after,
        told_len: planner.told_len(),
        is_cut_blindly: planner.suffix_cuts_ties(),
    };
    let page = (planner.tuple_len() > 0).then_some(ordered);
    CutRule { page, null_fails: spec.mode.odd.null_fails, tolerance: tolerance(&spec.errors) }
}

/// Opens the result of a statement, whose rows the guard looks at if there is one.
async fn open<'c>(
    connection: &'c mut dyn SourceConnection,
    bound: &'c Bound,
    query: &'c PlannedQuery,
    guard: Option<&'c mut GuardPoll>,
    phase: Phase,
) -> Result<Box<dyn RowStream + 'c>> {
    let stream = connection.fetch(&bound.binding.definition, query).await?;
    Ok(match guard {
        Some(guard) => guard.guarded(stream, bound.binding.planner.order(), phase),
        None => stream,
    })
}
