//! What cannot be read in pages, because nothing orders it: the rows of one timestamp in a table without a key, and
//! a bulk load of one. One statement, whose stream stays open while its batches are handed on, so memory stays
//! bounded; this is the one place where a read may wait for Kafka.

use tokio::sync::mpsc;

use super::Parts;
use super::pass::Pass;
use super::relation::{MAX_PAGE_ROWS, Polled, closed};
use super::stall::Waits;
use crate::dialect::SourceConnection;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CursorValue, EncodedBatch, Joins, Position, Value};
use crate::reader::{CutRule, LeftOut, Limits, read_page};

impl Polled {
    /// The rows of one timestamp, which nothing else tells apart. Their batches make one transaction, because there
    /// is no position between them. True is never the answer: later timestamps may follow.
    ///
    /// # Errors
    /// `TransactionAborted` if reading breaks off after a part was handed on, which can neither be taken back nor
    /// be committed.
    pub(super) async fn poll_tie(
        &mut self,
        parts: &Parts,
        connection: &mut dyn SourceConnection,
        out: &mpsc::Sender<EncodedBatch>,
        tie: &CursorValue<'static>,
    ) -> Result<bool> {
        let mut sent = false;
        let outcome = self.read_tie(parts, connection, out, tie, &mut sent).await;
        outcome.map(|()| false).map_err(|error| match error.kind() {
            ErrorKind::Cancelled => error,
            _ if sent => {
                let what = "reading the rows of one timestamp broke off, so none of them is committed";
                Error::new(ErrorKind::TransactionAborted, what).caused_by(error)
            }
            _ => error,
        })
    }

    async fn read_tie(
        &mut self,
        parts: &Parts,
        connection: &mut dyn SourceConnection,
        out: &mpsc::Sender<EncodedBatch>,
        tie: &CursorValue<'static>,
        sent: &mut bool,
    ) -> Result<()> {
        let Some(bound) = &self.bound else { return Err(Error::internal("not bound")) };
        let encode = |values: &[Value<'_>], batch: &mut EncodedBatch| bound.encoder.encode(values, batch);
        let query = bound.binding.planner.tie(tie);
        let rule = CutRule { anywhere: true, ..self.rule(parts) };
        let limits = Limits { rows: MAX_PAGE_ROWS, bytes: self.page_bytes };
        let mut stream = connection.fetch(&bound.binding.definition, &query).await?;
        let mut has_misfits = false;
        let (permit, mut last) = loop {
            self.step.waits_for(Waits::Kafka);
            let permit = out.reserve().await.map_err(|_| closed())?;
            self.step.waits_for(Waits::Database);
            let mut page = read_page(&mut *stream, &encode, rule, limits, self.empty_batch(bound), None).await?;
            has_misfits |= page.left_out.iter().any(LeftOut::is_misfit);
            page.batch.skipped = self.told(parts, std::mem::take(&mut page.left_out)).await?;
            if page.ended {
                break (permit, page);
            }
            page.batch.joins = Joins::Must;
            permit.send(page.batch);
            *sent = true;
        };
        drop(stream);
        if has_misfits {
            self.confirm(parts, connection).await?;
        }
        last.position = Some(Position(vec![tie.clone()]));
        last.settled = Some(tie.clone());
        self.board.polled(true, false);
        let batch = self.carry(parts, last, false)?;
        permit.send(batch);
        self.more_promised = true;
        Ok(())
    }

    /// A bulk load of a relation without a usable primary key.
    pub(super) async fn poll_unordered(
        &mut self,
        parts: &Parts,
        connection: &mut dyn SourceConnection,
        out: &mpsc::Sender<EncodedBatch>,
        rule: CutRule,
    ) -> Result<bool> {
        let Some(bound) = &self.bound else { return Err(Error::internal("not bound")) };
        let encode = |values: &[Value<'_>], batch: &mut EncodedBatch| bound.encoder.encode(values, batch);
        let query = bound.binding.planner.page(None, None, 0);
        let mut stream = connection.fetch(&bound.binding.definition, &query).await?;
        let limits = Limits { rows: MAX_PAGE_ROWS, bytes: self.page_bytes };
        let (mut pass, mut has_misfits) = (Pass::default(), false);
        loop {
            self.step.waits_for(Waits::Kafka);
            let permit = out.reserve().await.map_err(|_| closed())?;
            self.step.waits_for(Waits::Database);
            let page = read_page(&mut *stream, &encode, rule, limits, self.empty_batch(bound), None).await?;
            has_misfits |= page.left_out.iter().any(LeftOut::is_misfit);
            let mut batch = page.batch;
            batch.skipped = self.told(parts, page.left_out).await?;
            if let Some(ready) = pass.add(batch) {
                permit.send(ready);
                self.board.polled(true, false);
            }
            if page.ended {
                break;
            }
        }
        drop(stream);
        if has_misfits {
            // Too late for what was sent, but then the whole table is read again, with nothing left out.
            self.confirm(parts, connection).await?;
        }
        let end = || {
            let mut nothing = self.empty_batch(bound);
            nothing.exhausted = true;
            nothing
        };
        self.step.waits_for(Waits::Kafka);
        out.send(pass.end().unwrap_or_else(end)).await.map_err(|_| closed())?;
        self.board.polled(false, true);
        Ok(true)
    }
}
