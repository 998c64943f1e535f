//! The backfills of a task's tables: begun and ended by an operator, taken up where an earlier session left them, and read in
//! turns of their own. One waits while its table is not read.

use std::sync::Arc;

use super::orders::stored_now;
use super::{MISSED_PAUSE, Outcome, PollStage};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Backfill, SourceOffset, SourcePartition};
use crate::offsets::moved::backfilled;
use crate::task::backfill::backfill_name;
use crate::task::control::OffsetOrder;
use crate::task::handoff::{Assigned, Handoff};
use crate::task::polled::Polled;

impl PollStage<'_> {
    /// Takes up the stored backfills of the tables there are.
    pub(super) fn resume_backfills(&mut self) {
        let stored = self.stored.offsets.iter().filter(|(partition, _)| partition.is_backfill());
        let stored: Vec<(SourcePartition, SourceOffset)> =
            stored.map(|(partition, stored)| (partition.clone(), stored.offset.clone())).collect();
        for (partition, offset) in stored {
            let is_known = self.relations.iter().any(|polled| polled.head.partition == partition);
            let of_table =
                |polled: &&Polled| polled.backfill.is_none() && polled.spec.partition.backfill() == partition;
            let Some(table) = self.relations.iter().find(of_table).filter(|_| !is_known) else { continue };
            let (relation, name) = (table.spec.relation.clone(), Arc::clone(&table.name));
            let progress = offset.to_string();
            match Polled::backfill(self.parts, &relation, self.activity.clone(), offset) {
                Ok(mut polled) => {
                    tracing::info!(table = %polled.name, progress = %progress, "the backfill is read");
                    if let Some((error, left)) = self.refusals.of(&polled.name) {
                        polled.fail(error, left, self.parts);
                    }
                    self.relations.push(polled);
                    self.has_orders = true;
                }
                Err(error) => {
                    tracing::error!(table = %name, error = %error.report(), advice = error.advice(), "no backfill");
                }
            }
        }
    }

    /// Keeps the progress of a backfill whose table is not selected any more, in case it comes back.
    pub(super) fn park_backfill(&mut self, polled: Polled) {
        if let Some(offset) = polled.head.offset {
            self.keep(polled.head.partition, offset);
        }
    }

    fn keep(&mut self, partition: SourcePartition, offset: SourceOffset) {
        let stored = stored_now(self.parts.spec.offsets_topic(), offset);
        self.stored.offsets.insert(partition, stored);
    }

    /// Puts a backfill in the place of itself, to be bound anew.
    pub(super) fn put_backfill(&mut self, index: usize) {
        let old = &self.relations[index];
        let (Some(offset), relation) = (old.head.offset.clone(), &old.spec.relation) else { return };
        match Polled::backfill(self.parts, relation, self.activity.clone(), offset) {
            Ok(mut polled) => {
                polled.more_promised = old.more_promised;
                polled.board.goes_on();
                self.relations[index] = polled;
            }
            // Its request was read before.
            Err(error) => tracing::error!(table = %old.name, error = %error.report(), "the backfill cannot be bound"),
        }
    }

    /// The place of the backfill of a table, if there is one.
    fn backfill_of(&self, index: usize) -> Option<usize> {
        let relation = &self.relations[index].spec.relation;
        self.relations.iter().position(|polled| polled.backfill.is_some() && polled.spec.relation == *relation)
    }

    /// Begins or ends the backfill of a table, as an operator wants. It is answered by the commit stage.
    ///
    /// # Errors
    /// `Cancelled` when the commit stage has ended.
    pub(super) async fn order_backfill(
        &mut self,
        index: usize,
        request: Option<Backfill>,
        order: OffsetOrder,
    ) -> Result<()> {
        let partition = self.relations[index].spec.partition.backfill();
        let is_under_way = self.backfill_of(index).is_some() || self.stored.offsets.contains_key(&partition);
        let wanted = match (request, is_under_way) {
            (Some(request), false) => self.beginning(index, &request).map(Some),
            (None, true) => Ok(None),
            (Some(_), true) => Err(Error::new(ErrorKind::Refused, "a backfill of the table is under way")
                .advise("wait for its end, or end it with `rowtide backfill CONNECTOR --table TABLE --cancel`")),
            (None, false) => Err(Error::config("no backfill of the table is under way")
                .advise("/status lists those there are beside their tables")),
        };
        let name = backfill_name(&self.relations[index].spec.relation);
        let offset = match wanted {
            Ok(offset) => offset,
            Err(error) => {
                order.answer(Err(error.with("table", &self.relations[index].name)));
                return Ok(());
            }
        };
        self.out.send(Assigned { table: name, offsets: vec![(partition.clone(), offset.clone())], order }).await?;
        match offset {
            Some(offset) => {
                self.keep(partition, offset);
                self.resume_backfills();
            }
            None => {
                tracing::info!(table = %self.relations[index].name, "the backfill ends by request");
                self.stored.offsets.remove(&partition);
            }
        }
        Ok(())
    }

    /// The progress of a backfill that begins now: nothing, of the rows up to where the table has been read.
    fn beginning(&self, index: usize, request: &Backfill) -> Result<SourceOffset> {
        let table = &self.relations[index];
        let (_, offset) = table.stands_at(&self.stored);
        backfilled(table.spec.mode.mode, offset.as_ref(), request)
    }

    /// Makes a backfill wait while its table is not read. True if it does.
    ///
    /// # Errors
    /// `Cancelled` when the commit stage has ended.
    pub(super) async fn waits_for_table(&mut self, index: usize) -> Result<bool> {
        let backfill = &self.relations[index];
        if backfill.backfill.is_none() {
            return Ok(false);
        }
        let is_table = |polled: &&Polled| polled.backfill.is_none() && polled.spec.relation == backfill.spec.relation;
        let table = self.relations.iter().find(is_table);
        let is_read = |table: &Polled| table.head.is_found && !table.continuity.is_in_doubt();
        let has_failed = table.is_none_or(|table| table.schedule.failed.is_some());
        if !has_failed && table.is_some_and(is_read) {
            return Ok(false);
        }
        let backfill = &mut self.relations[index];
        backfill.schedule.due_after(MISSED_PAUSE);
        if has_failed {
            backfill.board.waiting("its table is not polled".to_owned());
            backfill.schedule.done = self.parts.once;
        }
        backfill.promise_no_more(&self.out).await?;
        Ok(true)
    }

    /// One step of a backfill.
    ///
    /// # Errors
    /// As those of a poll.
    pub(super) async fn backfill_step(&mut self, index: usize) -> Result<Outcome> {
        let (polled, mut cx) = self.at(index)?;
        if !polled.head.is_found {
            polled.find_place(&mut cx).await?;
            polled.head.is_found = true;
        }
        match polled.poll(&mut cx).await {
            Ok(end) => {
                if end.is_over {
                    // It is forgotten before the next turn.
                    self.stored.offsets.remove(&self.relations[index].head.partition);
                    self.has_orders = true;
                }
                Ok(Outcome::Polled { exhausted: end.is_over })
            }
            Err(error) if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::TransactionAborted) => Err(error),
            Err(error) => {
                cx.watch.abandon(cx.connection).await?;
                Err(error)
            }
        }
    }

    /// Ends the backfill of a table that is read from its beginning: its rows are the polls' own now.
    ///
    /// # Errors
    /// `Cancelled` when the commit stage has ended.
    pub(super) async fn drop_backfill(&mut self, index: usize) -> Result<()> {
        let partition = self.relations[index].spec.partition.backfill();
        if self.stored.offsets.remove(&partition).is_none() {
            return Ok(());
        }
        let Some(backfill) = self.backfill_of(index) else { return Ok(()) };
        let backfill = &self.relations[backfill];
        tracing::warn!(table = %backfill.name, "the table is read from its beginning: the backfill ends");
        let (table, why) = (Arc::clone(&backfill.name), "the table is read from its beginning: the backfill has ended");
        self.out.send(Handoff::Backfilled { table, partition, why }).await?;
        self.has_orders = true;
        Ok(())
    }

    /// Forgets the backfills that have ended.
    pub(super) fn forget_backfills(&mut self) {
        let stored = &self.stored.offsets;
        self.relations.retain(|polled| polled.backfill.is_none() || stored.contains_key(&polled.head.partition));
    }
}
