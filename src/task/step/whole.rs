//! A bulk load of a table that no key orders: one statement, whose stream stays open while its batches are handed on, so
//! memory stays bounded. The one place where a read may wait for Kafka.

use std::sync::Arc;

use tokio::time::Instant as Clock;

use super::Context;
use super::clock::{EncodeClock, ReadTimes};
use super::run::rule;
use crate::dialect::Row;
use crate::error::Result;
use crate::model::EncodedBatch;
use crate::reader::{LeftOut, Limits, read_page};
use crate::task::handoff::{Handoff, Step};
use crate::task::paging::MAX_PAGE_ROWS;
use crate::task::pass::Pass;
use crate::task::polled::{Bound, Polled};

impl Polled {
    /// Reads the table in one pass and hands it on. True, for nothing newer is left then.
    ///
    /// # Errors
    /// Those of the connection and of the encoder; `SchemaChanged` if the columns were others than described.
    pub(in crate::task) async fn load_whole(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        let bound = self.bound()?;
        cx.watch.release(cx.connection).await?;
        drop(cx.place().await?);
        if let Some(vigil) = cx.connection.vigil() {
            // The pass would begin anew.
            vigil.bound(None);
        }
        self.passes.begins();
        let (pass, has_misfits) = self.read_whole(cx, &bound).await?;
        if has_misfits {
            // Too late for the rows already sent; if the columns are others now, the whole table is read again.
            self.confirm(cx.parts, cx.connection, &bound).await?;
        }
        let end = pass.end().map(Handoff::from);
        cx.out.send(end.unwrap_or_else(|| Handoff::CaughtUp { table: Arc::clone(&self.name) })).await?;
        self.passes.ended();
        self.board.polled(false, true);
        Ok(true)
    }

    /// Hands on all rows but the last batch, which is still held. True if rows were left out whose values did not fit.
    async fn read_whole(&self, cx: &mut Context<'_>, bound: &Bound) -> Result<(Pass, bool)> {
        let (began, encoding) = (Clock::now(), EncodeClock::default());
        let encode = |row: &Row<'_>, batch: &mut EncodedBatch| {
            encoding.time(|| bound.encoder.encode(row.values, row.cursor, batch))
        };
        let rule = rule(&self.spec, &bound.binding.planner, None).whole();
        let limits = Limits { rows: MAX_PAGE_ROWS, bytes: self.paging.max_bytes() };
        let query = bound.binding.planner.page(None, None, 0);
        let headers = self.poll_headers(cx.parts, bound);
        let (mut pass, mut has_misfits, mut rows) = (Pass::default(), false, 0);
        let mut stream = cx.connection.fetch(&bound.binding.definition, &query).await?;
        loop {
            let place = cx.out.place().await?;
            let page = read_page(&mut *stream, &encode, rule, limits, self.empty_batch(bound, &headers), None).await?;
            has_misfits |= page.left_out.iter().any(LeftOut::is_misfit);
            rows += page.batch.len() as u64;
            let skipped = self.report_left_out(cx.parts, bound, page.left_out).await?;
            if let Some(ready) = pass.add(Step::torn(Arc::clone(&self.name), page.batch, skipped)) {
                place.send(ready.into());
                self.board.in_pass(rows, self.passes.have_ended);
            }
            if page.ended {
                let times = ReadTimes { took: began.elapsed(), encoding: encoding.total() };
                self.metrics.read(times.query(), times.encoding, rows);
                return Ok((pass, has_misfits));
            }
        }
    }
}
