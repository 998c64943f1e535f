//! How the polling of a relation begins: describe and bind it, find where to read on, and look for rows
//! that could never be polled.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant as Clock;

use super::binding::{Binding, describe, stored_for, topic_of};
use super::driver_types::DriverChoice;
use super::late::Watch;
use super::older::Age;
use super::relation::{Bound, Polled, closed};
use super::stall::Waits;
use super::{Parts, facts, late};
use crate::config::spec::{Recreated, TimestampInitial, TooLarge};
use crate::dialect::SourceConnection;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{EncodedBatch, Instant, Mode, OffsetDelta, SourceOffset, TableDefinition};
use crate::offsets::Loaded;

impl Polled {
    /// Describes the relation and registers its schemas, once per definition; `life` is the number of the connection.
    pub(super) async fn bind(&mut self, parts: &Parts, connection: &mut dyn SourceConnection, life: u64) -> Result<()> {
        if self.bound.is_some() {
            return Ok(());
        }
        self.step.waits_for(Waits::Database);
        let described = describe(&parts.spec, connection, &self.relation).await;
        if described.as_ref().is_err_and(|error| error.kind() == ErrorKind::SourceSchema) {
            parts.server.vanished(&self.partition);
        }
        let (definition, by_driver) = self.settle(parts, described?).await?;
        if let Some((misfit, error)) = self.misfit.take()
            && misfit == definition
        {
            // Describing again changed nothing, so the value is at fault, not the schema; with nothing bound
            // the relation fails with it.
            return Err(error);
        }
        let binding = Binding::new(&parts.spec, parts.dialect.syntax(), definition)?;
        let preview = parts.value_converter.preview(binding.value_side())?;
        let change = parts.columns.judge(&binding.definition, parts.spec.schema_change, preview.subject.as_deref())?;
        if let Some(change) = &change {
            let subject = preview.subject.as_deref();
            tracing::info!(table = %self.name, subject, change, "the columns have changed");
        }
        let rules = facts::of_rules(connection, &binding).await?;
        let judged = late::judge(&parts.spec, connection, &binding).await?;
        self.step.waits_for(Waits::Topic);
        let limit = (parts.ensure_topic)(Arc::clone(&binding.topic)).await?;
        self.step.waits_for(Waits::Registry);
        // The registry is asked, and says no, before the first record of the new schema is made.
        let encoder =
            binding.encoder(&*parts.key_converter, &*parts.value_converter).await.map_err(|error| match change {
                Some(change) if error.kind() == ErrorKind::IncompatibleSchema => error.with("change", change),
                _ => error,
            })?;
        let omits = parts.spec.errors.too_large == TooLarge::OmitColumns;
        let encoder = encoder.within(limit, if omits { binding.omittable() } else { Vec::new() });
        parts.columns.accept(&binding.definition);
        self.step.waits_for(Waits::Database);
        if !binding.definition.skipped.is_empty() {
            let skipped = binding.definition.skipped.iter();
            self.board
                .skipped_columns(skipped.map(|column| format!("{} ({})", column.name, column.database_type)).collect());
        }
        self.facts.found_rules(rules);
        self.facts.show(&self.name, &self.board);
        for DriverChoice { column, text } in by_driver {
            tracing::info!(table = %self.name, column, "{text}");
        }
        self.late.judged(&self.name, judged, life, &self.board);
        self.checked = None;
        self.looks.again();
        self.continuity.described();
        self.bound = Some(Bound { binding, encoder, start_known: false });
        Ok(())
    }

    /// Settles in which form columns are delivered that JDBC drivers deliver differently.
    async fn settle(
        &mut self,
        parts: &Parts,
        definition: TableDefinition,
    ) -> Result<(TableDefinition, Vec<DriverChoice>)> {
        let topic = topic_of(&parts.spec, &self.relation)?;
        self.step.waits_for(Waits::Registry);
        let settled = parts.driver_choices.settle(definition, &topic, &*parts.value_converter).await;
        self.step.waits_for(Waits::Database);
        settled
    }

    /// Whether it is followed if it begins anew, which may be the case.
    fn follows(&self, parts: &Parts) -> bool {
        parts.spec.identity.recreated == Recreated::Follow && self.continuity.is_in_doubt()
    }

    /// Finds where to read on under a new definition; if that fails it is tried again at the next poll.
    pub(super) async fn find_start(
        &mut self,
        parts: &Parts,
        connection: &mut dyn SourceConnection,
        stored: &Loaded,
        out: &mpsc::Sender<EncodedBatch>,
    ) -> Result<()> {
        let Some(mut bound) = self.bound.take() else { return Err(Error::internal("not bound")) };
        let mut outcome = Ok(());
        if !bound.start_known {
            outcome = self.start_of(parts, connection, &bound.binding, stored, out).await;
            bound.start_known = outcome.is_ok();
        }
        self.bound = Some(bound);
        outcome
    }

    /// Where reading begins or goes on: what this session has read already, else the stored offset (also
    /// one written under an older name), else the configured start, else the very beginning.
    async fn start_of(
        &mut self,
        parts: &Parts,
        connection: &mut dyn SourceConnection,
        binding: &Binding,
        stored: &Loaded,
        out: &mpsc::Sender<EncodedBatch>,
    ) -> Result<()> {
        let planner = &binding.planner;
        let zone = &parts.spec.source.types.all.zone;
        if matches!(planner.mode(), Mode::Bulk) {
            // A load goes on if the new definition can still order the rows, else it starts over.
            self.position.take_if(|position| position.0.len() != planner.tuple_len());
            return Ok(());
        }
        if let Some(offset) = &self.offset {
            // The cursor's type may be another one now; the offset says the same in its terms.
            let position = if self.begins_anew { None } else { planner.position_of(offset, zone)? };
            if parts.server.has_vanished(&self.partition) && !self.follows(parts) {
                self.age_of(parts, connection, binding, offset, position.as_ref()).await?;
            }
            self.position = position;
            return Ok(());
        }
        if let Some((found_as, found)) = stored_for(&parts.spec, &self.relation, &stored.offsets) {
            let position = planner.position_of(&found.offset, zone)?;
            // Progress is counted per partition name; a start under protocol 0 begins a new count. One under the name
            // with the database goes on under it, so that the release that wrote it finds it when it comes back.
            if found_as.0.contains_key("protocol") {
                self.stored_as.clone_from(found_as);
            }
            self.continuity.load(stored.tables.get(&self.stored_as));
            let age = if self.follows(parts) {
                Age::Fine
            } else {
                self.age_of(parts, connection, binding, &found.offset, position.as_ref()).await?
            };
            let guard = found.offset.guard.as_deref();
            self.late.resume(&self.name, guard, position.as_ref(), connection.identity())?;
            self.position = position;
            self.offset = stored.offsets.get(&self.stored_as).map(|own| own.offset.clone());
            self.board.position(found.offset.to_string());
            tracing::info!(table = %self.name, position = %found.offset, partition = %found_as, topic = %found.topic, "continuing");
            if age == Age::Accepted {
                let to = SourceOffset { accepted: true, ..found.offset.clone() };
                self.store(binding, to, out).await?;
            }
            return Ok(());
        }
        let time = match (planner.time_kind(), parts.spec.mode.timestamp_initial) {
            (Some(kind), Some(TimestampInitial::Millis(millis))) => {
                Some(kind.from_instant(Instant::from_millis(millis), zone)?)
            }
            (Some(kind), Some(TimestampInitial::Now)) => Some(connection.upper_bound(kind, Duration::ZERO).await?),
            _ => None,
        };
        self.position = planner.initial_position(time, parts.spec.mode.incrementing_initial)?;
        match &self.position {
            None => {
                tracing::info!(table = %self.name, "no stored offset, reading from the beginning");
                if stored.offsets.is_empty() && (parts.holds_records)(Arc::clone(&binding.topic)).await == Some(true) {
                    tracing::warn!(
                        table = %self.name, topic = %binding.topic, offsets = parts.spec.offsets.topic,
                        advice = "if the connector has run before: was the offsets topic deleted, or is the name, group.id or \
                                  offset.storage.topic another? `rowtide offsets set` says where to go on",
                        "no offset at all is stored for this connector, while the topic holds records: rows come again"
                    );
                }
                self.board.loading(connection.estimate_rows(&self.relation).await?);
            }
            Some(position) => {
                // "Now" must not move at the next start, so it is stored before anything is read.
                let to = planner.offset_of(position, None, None, zone)?;
                tracing::info!(table = %self.name, position = %to, "no stored offset, reading from the configured start");
                self.store(binding, to, out).await?;
            }
        }
        Ok(())
    }

    /// Stores an offset although there are no rows to go with it.
    async fn store(&mut self, binding: &Binding, to: SourceOffset, out: &mpsc::Sender<EncodedBatch>) -> Result<()> {
        let mut batch = EncodedBatch::new(Arc::clone(&self.name), Arc::clone(&binding.topic), 0, 0);
        let (partition, from) = (self.stored_as.clone(), self.offset.clone());
        batch.delta = Some(OffsetDelta { partition, from, to: to.clone() });
        self.step.waits_for(Waits::Kafka);
        out.send(batch).await.map_err(|_| closed())?;
        self.step.waits_for(Waits::Database);
        // An empty poll ends the transaction.
        self.more_promised = true;
        self.offset = Some(to);
        Ok(())
    }

    /// Looks for rows that could never be polled: at the first poll, and whenever the catalog is listed.
    pub(super) async fn check_cursor(
        &mut self,
        parts: &Parts,
        connection: &mut dyn SourceConnection,
        watch: &mut Watch,
    ) -> Result<()> {
        if self.checked.is_some_and(|checked| checked.elapsed() < parts.spec.polling.table_interval) {
            return Ok(());
        }
        let Some(bound) = &self.bound else { return Err(Error::internal("not bound")) };
        let of_ids = facts::of_ids(connection, &bound.binding).await?;
        let times = facts::of_times(&parts.spec, connection, &bound.binding).await?;
        if let Some(kind) = bound.binding.planner.time_kind() {
            self.newest = times.highest.as_ref().map(|highest| kind.column_time(highest)).transpose()?;
        }
        self.facts.found_in_ids(of_ids);
        self.facts.found_in_times(times.fact.clone());
        self.facts.show(&self.name, &self.board);
        if self.looks_for_odd_rows() {
            // What fails in a view would spoil it.
            watch.release(connection).await?;
            self.look_for_odd_rows(parts, connection, &times).await?;
        }
        self.checked = Some(Clock::now());
        Ok(())
    }
}
