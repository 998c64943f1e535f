//! The wishes of an operator about single tables, carried out between two polls: a table rests or goes on, is bound anew,
//! gets other settings, or another offset. The other tables keep their schedules and what they have read.

use std::sync::Arc;

use super::PollStage;
use super::held::ReplicaWatch;
use crate::config::spec::ModeName;
use crate::error::{Error, Result};
use crate::model::{OffsetMove, SourceOffset, SourcePartition};
use crate::offsets::{StoredOffset, moved::moved};
use crate::task::binding::stored_for;
use crate::task::control::{Change, OffsetOrder, Wishes};
use crate::task::handoff::Assigned;
use crate::task::head::Parked;
use crate::task::polled::Polled;

impl PollStage<'_> {
    /// Carries out what is wanted of the tables by now.
    ///
    /// # Errors
    /// `Cancelled` when the commit stage has ended.
    pub(super) async fn obey(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.has_orders) && !self.wishes.has_changed().unwrap_or(false) {
            return Ok(());
        }
        let wishes = Arc::clone(&self.wishes.borrow_and_update());
        self.configure(&wishes).await;
        for index in 0..self.relations.len() {
            if self.relations[index].restarts != wishes.restarts(&self.relations[index].table) {
                self.restart(index);
            }
            self.rest_or_go_on(index, &wishes).await?;
        }
        let relations = &self.relations;
        let orders = self.parts.control.take_moves(|table| relations.iter().any(|polled| *polled.name == *table));
        for order in orders {
            self.change(order).await?;
        }
        self.forget_backfills();
        // A table that was bound anew for its offset may be one that rests.
        for index in 0..self.relations.len() {
            self.rest_or_go_on(index, &wishes).await?;
        }
        self.line_up();
        Ok(())
    }

    /// Gives the tables the settings that they are to have. One with another interval only is not touched otherwise. The
    /// session is another one then, for it knows the columns that are not to be read.
    async fn configure(&mut self, wishes: &Wishes) {
        let Some(newer) = wishes.spec.clone().filter(|newer| !newer.is(&self.configured)) else { return };
        let mut are_bound_anew = false;
        for index in 0..self.relations.len() {
            let relation = self.relations[index].spec.relation.clone();
            if self.configured.differs_for(&newer, &relation) {
                tracing::info!(table = %self.relations[index].name, "other settings, binding the table anew");
                self.bind_anew(index);
                are_bound_anew = true;
                continue;
            }
            let polling = newer.for_table(&relation).polling;
            let (interval, polled) = (polling.interval, &mut self.relations[index]);
            polled.spec.polling.longest_interval = polling.longest_interval;
            if std::mem::replace(&mut polled.spec.polling.windows, polling.windows.clone()) != polling.windows {
                tracing::info!(table = %polled.name, "another poll.windows");
                polled.schedule.due_at_once();
            }
            if std::mem::replace(&mut polled.spec.polling.interval, interval) != interval {
                tracing::info!(table = %polled.name, interval_ms = interval.as_millis() as u64, "another poll interval");
                polled.schedule.due_within(interval);
            }
        }
        if self.configured.polling().replica_lag_max != newer.polling().replica_lag_max {
            self.replica = ReplicaWatch::default();
            self.relations.iter_mut().for_each(|polled| polled.schedule.due_within(polled.spec.polling.interval));
        }
        self.configured = newer;
        if let Some(connection) = self.connection.take_if(|_| are_bound_anew) {
            connection.close().await;
        }
    }

    /// A table is to be tried anew, whatever it has met.
    fn restart(&mut self, index: usize) {
        let polled = &self.relations[index];
        tracing::info!(table = %polled.name, "the table is restarted by request");
        self.refusals.forget(&polled.name);
        self.parts.columns.forget(&polled.spec.relation);
        self.bind_anew(index);
    }

    /// Puts a table in the place of itself, of which nothing is known but how far it has been read.
    fn bind_anew(&mut self, index: usize) {
        let polled = &mut self.relations[index];
        if polled.backfill.is_some() {
            self.put_backfill(index);
            return;
        }
        let parked = polled.park();
        let (server, partition) = (&self.parts.server, &polled.spec.partition);
        if parked.head.offset.is_some() && !server.has_vanished(partition) {
            // It was read in this run: rows that were deleted since do not make it an older copy.
            server.compared(partition);
        }
        self.put(index, Some(parked));
    }

    fn put(&mut self, index: usize, parked: Option<Parked>) {
        let old = &self.relations[index];
        let mut polled = Polled::new(self.parts, &old.spec.relation, self.activity.clone());
        // The transaction may be open for more of its rows.
        (polled.parked, polled.more_promised) = (parked, old.more_promised);
        polled.board.goes_on();
        self.relations[index] = polled;
    }

    async fn rest_or_go_on(&mut self, index: usize, wishes: &Wishes) -> Result<()> {
        let polled = &mut self.relations[index];
        let is_wanted = wishes.is_paused(&polled.table);
        if std::mem::replace(&mut polled.schedule.paused, is_wanted) == is_wanted {
            return Ok(());
        }
        if !is_wanted {
            tracing::info!(table = %polled.name, "the table goes on by request");
            polled.schedule.due_at_once();
            polled.board.goes_on();
            return Ok(());
        }
        tracing::info!(table = %polled.name, "the table rests by request");
        polled.board.paused();
        polled.promise_no_more(&self.out).await
    }

    /// Another progress of a table. It is answered by the commit stage.
    async fn change(&mut self, order: OffsetOrder) -> Result<()> {
        let Some(index) = self.relations.iter().position(|polled| *polled.name == *order.table()) else {
            return Ok(());
        };
        match order.change.clone() {
            Change::Offset(change) => self.move_offset(index, change, order).await,
            Change::Backfill(request) => self.order_backfill(index, request, order).await,
        }
    }

    /// Another offset for a table: behind the steps that were handed on, the table goes on from there.
    async fn move_offset(&mut self, index: usize, change: OffsetMove, order: OffsetOrder) -> Result<()> {
        let polled = &self.relations[index];
        let (partition, before) = polled.stands_at(&self.stored);
        let offsets = match offsets_of(polled, (partition, before.as_ref()), &change) {
            // Those that were stored under older names count no more, either.
            Ok((partition, None)) => self.partitions(index, partition).into_iter().map(|of| (of, None)).collect(),
            Ok(moved) => vec![moved],
            Err(error) => {
                order.answer(Err(error.with("table", &polled.name)));
                return Ok(());
            }
        };
        let (name, to) = (Arc::clone(&polled.name), offsets.iter().find_map(|(_, offset)| offset.clone()));
        let position = to.as_ref().map_or_else(|| "the beginning".to_owned(), ToString::to_string);
        tracing::info!(table = %name, position, "the offset is changed by request");
        let place = self.out.place().await?;
        for (partition, offset) in &offsets {
            self.stored.tables.remove(partition);
            self.stored.offsets.remove(&partition.load());
            match offset {
                Some(offset) => {
                    let stored = stored_now(self.parts.spec.offsets_topic(), offset.clone());
                    self.stored.offsets.insert(partition.clone(), stored)
                }
                None => self.stored.offsets.remove(partition),
            };
        }
        place.send(Assigned { table: name, offsets, order }.into());
        if change == OffsetMove::Beginning {
            self.drop_backfill(index).await?;
        }
        // An operator knows where the table stands.
        self.parts.server.compared(&self.relations[index].spec.partition);
        self.put(index, None);
        Ok(())
    }

    /// The source partitions whose offsets a table would go on from, one after another.
    fn partitions(&self, index: usize, own: SourcePartition) -> Vec<SourcePartition> {
        let (mut left, spec) = (self.stored.offsets.clone(), &self.relations[index].spec);
        let mut found = vec![own];
        left.remove(&found[0]);
        while let Some(next) = stored_for(spec, &left).map(|(partition, _)| partition.clone()) {
            left.remove(&next);
            found.push(next);
        }
        found
    }
}

/// An offset as if it had been read from the topic; nobody asks for its place there.
pub(super) fn stored_now(topic: &str, offset: SourceOffset) -> StoredOffset {
    StoredOffset { offset, topic: topic.to_owned(), partition: -1, kafka_offset: -1, written_at: None }
}

/// The offset that a table is moved to.
fn offsets_of(
    polled: &Polled,
    (partition, before): (SourcePartition, Option<&SourceOffset>),
    change: &OffsetMove,
) -> Result<(SourcePartition, Option<SourceOffset>)> {
    let mode = polled.spec.mode.mode;
    if mode == ModeName::Bulk {
        return Err(Error::config("mode=bulk has no offsets").advise("each pass reads everything"));
    }
    match change {
        OffsetMove::Beginning => Ok((partition, None)),
        OffsetMove::To { timestamp, incrementing } => {
            Ok((partition, Some(moved(mode, before, *timestamp, *incrementing)?)))
        }
    }
}
