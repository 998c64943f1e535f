//! What cannot be cut into pages: rows that share a cursor, rows that committed late, a bulk load of a table that no key
//! orders. One statement, whose stream stays open while its batches are handed on, so memory stays
//! bounded; this is the one place where a read may wait for Kafka.

use std::sync::atomic::Ordering;

use tokio::sync::mpsc;

use super::Parts;
use super::pass::Pass;
use super::relation::{MAX_PAGE_ROWS, Polled, rule};
use crate::dialect::{RowStream, SourceConnection};
use crate::error::{Error, Result};
use crate::model::{EncodedBatch, Joins, Value};
use crate::reader::{CutRule, LeftOut, Limits, Page, read_page};

/// The last part of a step that may be larger than a page.
pub(super) struct Rest<'o> {
    /// A place for it.
    pub(super) permit: mpsc::Permit<'o, EncodedBatch>,
    pub(super) page: Page,
    /// In the parts before it rows were left out whose values did not fit.
    pub(super) has_misfits: bool,
}

impl Polled {
    /// Reads the rows of one step (that share a cursor, or came late) behind those of
    /// `batch`. Their batches make one transaction, because there is no position between them: all but the last are
    /// handed on here, and the step is torn until that follows.
    ///
    /// # Errors
    /// Those of the stream and of the encoder.
    pub(super) async fn read_step<'o>(
        &self,
        parts: &Parts,
        out: &'o mpsc::Sender<EncodedBatch>,
        stream: &mut dyn RowStream,
        rule: CutRule<'static>,
        permit: mpsc::Permit<'o, EncodedBatch>,
        batch: EncodedBatch,
    ) -> Result<Rest<'o>> {
        let Some(bound) = &self.bound else { return Err(Error::internal("not bound")) };
        let encode = |values: &[Value<'_>], batch: &mut EncodedBatch| bound.encoder.encode(values, batch);
        let limits = Limits { rows: usize::MAX, bytes: self.page_bytes };
        let mut rest =
            Rest { permit, page: read_page(stream, &encode, rule, limits, batch, None).await?, has_misfits: false };
        while !rest.page.ended {
            let Page { mut batch, left_out, .. } = rest.page;
            rest.has_misfits |= left_out.iter().any(LeftOut::is_misfit);
            batch.skipped = self.told(parts, left_out).await?;
            batch.joins = Joins::Must;
            rest.permit.send(batch);
            self.is_torn.store(true, Ordering::Relaxed);
            rest.permit = self.place(out).await?;
            rest.page = read_page(stream, &encode, rule, limits, self.empty_batch(bound), None).await?;
        }
        Ok(rest)
    }

    /// A bulk load of a relation that no key orders.
    pub(super) async fn poll_unordered(
        &mut self,
        parts: &Parts,
        connection: &mut dyn SourceConnection,
        out: &mpsc::Sender<EncodedBatch>,
    ) -> Result<bool> {
        let Some(bound) = &self.bound else { return Err(Error::internal("not bound")) };
        let encode = |values: &[Value<'_>], batch: &mut EncodedBatch| bound.encoder.encode(values, batch);
        let rule = rule(parts, &bound.binding.planner, None).whole();
        let query = bound.binding.planner.page(None, None, 0);
        if let Some(vigil) = connection.vigil() {
            // It would begin anew.
            vigil.bound(None);
        }
        self.in_pass = true;
        let mut stream = connection.fetch(&bound.binding.definition, &query).await?;
        let limits = Limits { rows: MAX_PAGE_ROWS, bytes: self.page_bytes };
        let (mut pass, mut has_misfits, mut rows) = (Pass::default(), false, 0);
        loop {
            let permit = self.place(out).await?;
            let page = read_page(&mut *stream, &encode, rule, limits, self.empty_batch(bound), None).await?;
            has_misfits |= page.left_out.iter().any(LeftOut::is_misfit);
            let mut batch = page.batch;
            rows += batch.len() as u64;
            batch.skipped = self.told(parts, page.left_out).await?;
            if let Some(ready) = pass.add(batch) {
                permit.send(ready);
                self.board.in_pass(rows, self.passes_end);
            }
            if page.ended {
                break;
            }
        }
        drop(stream);
        if has_misfits {
            // Too late for what was sent; if the columns are others now, the whole table is read again.
            self.confirm(parts, connection).await?;
        }
        let end = || {
            let mut nothing = self.empty_batch(bound);
            nothing.exhausted = true;
            nothing
        };
        self.place(out).await?.send(pass.end().unwrap_or_else(end));
        (self.in_pass, self.passes_end, self.broken_passes) = (false, true, 0);
        self.board.polled(false, true);
        Ok(true)
    }
}
