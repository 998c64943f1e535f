//! The start of polling a relation: describe and bind it, find the position to read from, and look for rows that could
//! never be polled.

use std::sync::Arc;
use std::time::Duration;

use super::binding::{Binding, describe, stored_for};
use super::driver_types::DriverChoice;
use super::encoder::RecordEncoder;
use super::guard::{Chosen, choose_method};
use super::handoff::{Handoff, Outbox};
use super::head::{Beginning, Parked, ReadHead};
use super::older::Age;
use super::polled::{Bound, Polled};
use super::stall::Waits;
use super::step::Context;
use super::{Parts, facts, plan_check};
use crate::config::spec::{PlanGuard, Recreated, TimestampInitial, TooLarge};
use crate::error::{ErrorKind, Result};
use crate::model::{
    CursorFact, Instant, Mode, OffsetDelta, Relation, SourceOffset, SourcePartition, TableDefinition, TableMark,
};
use crate::offsets::Loaded;

/// A table as it is now, and all that follows from that but its encoder.
pub(super) struct Described {
    binding: Binding,
    by_driver: Vec<DriverChoice>,
    /// The change of its columns, in words.
    change: Option<String>,
    rules: Vec<CursorFact>,
    chosen: Chosen,
    /// The number of the connection that it was described on.
    epoch: u64,
}

impl Polled {
    /// Describes the table and registers its schemas, once per definition.
    ///
    /// # Errors
    /// Those of the connection, the configuration, the topic and the registry.
    pub(super) async fn bind(&mut self, cx: &mut Context<'_>) -> Result<()> {
        if self.bound.is_some() {
            return Ok(());
        }
        let described = self.describe(cx).await?;
        let encoder = self.encoder(cx.parts, &described).await?;
        self.take(cx.parts, described, encoder);
        Ok(())
    }

    /// The part of binding that needs the connection.
    ///
    /// # Errors
    /// Those of the connection and the configuration.
    pub(super) async fn describe(&mut self, cx: &mut Context<'_>) -> Result<Described> {
        let (definition, by_driver) = self.described(cx).await?;
        if let Some(error) = self.take_misfit(&definition) {
            // Describing again changed nothing, so the value is at fault, not the schema; with nothing bound
            // the table fails with it.
            return Err(error);
        }
        let parts = cx.parts;
        let binding = Binding::new(&self.spec, parts.dialect.syntax(), definition)?;
        let preview = parts.value_converter.preview(binding.value_side())?;
        let change = parts.columns.check(&binding.definition, self.spec.schema_change, preview.subject.as_deref())?;
        if let Some(change) = &change {
            let subject = preview.subject.as_deref();
            tracing::info!(table = %self.name, subject, change, "the columns have changed");
        }
        let rules = facts::of_rules(cx.connection, &binding).await?;
        let chosen = choose_method(&self.spec, cx.connection, &binding).await?;
        Ok(Described { binding, by_driver, change, rules, chosen, epoch: cx.watch.epoch() })
    }

    /// Takes a description and the encoder that was made for it.
    pub(super) fn take(&mut self, parts: &Parts, described: Described, encoder: RecordEncoder) {
        let Described { binding, by_driver, rules, chosen, epoch, .. } = described;
        parts.columns.accept(&binding.definition);
        let skipped = &binding.definition.skipped;
        if !skipped.is_empty() {
            let shown = skipped.iter().map(|column| format!("{} ({})", column.name, column.database_type));
            self.board.skipped_columns(shown.collect());
        }
        if self.backfill.is_none() {
            self.facts.found_rules(rules);
            self.facts.show(&self.name, &self.board);
        }
        for DriverChoice { column, text } in by_driver {
            tracing::info!(table = %self.name, column, "{text}");
        }
        if self.backfill.is_none() {
            self.guard.chosen(&self.name, chosen, epoch, &self.board);
        }
        self.facts.check_again();
        self.plan_check.again();
        self.looks.again();
        self.continuity.described();
        self.bound = Some(Arc::new(Bound { binding, encoder }));
        self.head.is_found = false;
    }

    /// The table as it is now, its columns in the forms in which they are delivered.
    async fn described(&mut self, cx: &mut Context<'_>) -> Result<(TableDefinition, Vec<DriverChoice>)> {
        self.activity.waits_for(Waits::Database);
        let described = describe(&self.spec, cx.connection).await;
        if described.as_ref().is_err_and(|error| error.kind() == ErrorKind::SourceSchema) {
            cx.parts.server.vanished(&self.spec.partition);
        }
        let (definition, topic, name) = (described?, self.spec.topic()?, self.spec.value_schema_name()?);
        self.activity.waits_for(Waits::Registry);
        let settled = cx.parts.driver_choices.settle(definition, (&topic, name), &*cx.parts.value_converter).await;
        self.activity.waits_for(Waits::Database);
        settled
    }

    /// Makes the topic and registers the schemas: the registry is asked, and says no, before the first record of a new
    /// schema is made. Needs no connection.
    ///
    /// # Errors
    /// Those of the topic and the registry.
    pub(super) async fn encoder(&self, parts: &Parts, described: &Described) -> Result<RecordEncoder> {
        let Described { binding, change, .. } = described;
        self.activity.waits_for(Waits::Topic);
        let limit = (parts.ensure_topic)(Arc::clone(&binding.topic), binding.key.is_some()).await?;
        self.activity.waits_for(Waits::Registry);
        let encoder = binding.encoder(parts.converters()).await.map_err(|error| match change {
            Some(change) if error.kind() == ErrorKind::IncompatibleSchema => error.with("change", change),
            _ => error,
        })?;
        self.activity.waits_for(Waits::Database);
        let omits = self.spec.errors.too_large == TooLarge::OmitColumns;
        Ok(encoder.within(limit, if omits { binding.omittable() } else { Vec::new() }))
    }

    /// True if it is followed in case it begins anew, which it may.
    fn follows(&self) -> bool {
        self.spec.recreated == Recreated::Follow && self.continuity.is_in_doubt()
    }

    /// Finds the position to read from under a new definition; if that fails it is tried again at the next poll. What
    /// this session has read counts first, then the stored offset (also one written under an older name), then the
    /// configured start, then the very beginning.
    ///
    /// # Errors
    /// `Offsets` and `Cursor` if the offset cannot be gone on from; those of the connection.
    pub(super) async fn find_start(&mut self, cx: &mut Context<'_>) -> Result<()> {
        if self.head.is_found {
            return Ok(());
        }
        let bound = self.bound()?;
        let binding = &bound.binding;
        if matches!(binding.planner.mode(), Mode::Bulk) {
            // A load goes on if the new definition can still order the rows, else it starts over.
            self.head.position.take_if(|position| position.0.len() != binding.planner.tuple_len());
        } else if let Some((stored, mark)) = self.load_under_way(cx.stored) {
            self.resume_load(cx, stored, mark).await?;
        } else if self.head.offset.is_some() {
            self.start_where_it_was(cx, binding).await?;
        } else if let Some(found) = self.found(cx.stored) {
            self.start_at_offset(cx, binding, found).await?;
        } else {
            self.start_without_offset(cx, binding).await?;
        }
        self.head.is_found = true;
        // Also one without an offset: from here on the head itself says where the table is.
        self.parked = None;
        Ok(())
    }

    /// The offset it goes on from: where this task left it when it was no longer selected, else the stored one.
    fn found(&self, stored: &Loaded) -> Option<Found> {
        if let Some(Parked { head, mark }) = self.parked.as_ref().filter(|parked| parked.head.load.is_none())
            && let Some(offset) = head.offset.clone()
        {
            let (head, mark) = (head.clone(), mark.clone());
            return Some(Found { found_as: head.partition.clone(), offset, topic: None, head, mark });
        }
        let (found_as, found) = stored_for(&self.spec, &stored.offsets)?;
        // Progress is counted per partition name; a start under protocol 0 begins a new count. One under the name with the
        // database goes on under it, so that the release that wrote it finds it when it comes back.
        let partition = if found_as.0.contains_key("protocol") { found_as } else { &self.spec.partition };
        let mut head = ReadHead::new(partition.clone());
        head.offset = stored.offsets.get(partition).map(|own| own.offset.clone());
        Some(Found {
            found_as: found_as.clone(),
            offset: found.offset.clone(),
            topic: Some(found.topic.clone()),
            mark: stored.tables.get(partition).cloned(),
            head,
        })
    }

    /// The progress of a first load that is not at its end: as this task left it, else the stored one; with the mark of the
    /// table. One that is stored beside an offset was overtaken by somebody else.
    fn load_under_way(&self, stored: &Loaded) -> Option<(SourceOffset, Option<TableMark>)> {
        if self.head.load.is_some() {
            return Some((self.head.offset.clone()?, self.continuity.to_mark()));
        }
        if let Some(Parked { head, mark }) = &self.parked {
            return head.load.as_ref().and_then(|_| Some((head.offset.clone()?, mark.clone())));
        }
        if self.head.offset.is_some() || self.found(stored).is_some() {
            return None;
        }
        let load = stored.offsets.get(&self.spec.partition.load())?;
        Some((load.offset.clone(), stored.tables.get(&self.spec.partition).cloned()))
    }

    /// The partition and the offset it goes on from: where it has been read to, or will be found.
    pub(super) fn stands_at(&self, stored: &Loaded) -> (SourcePartition, Option<SourceOffset>) {
        if self.head.load.is_some() {
            return (self.spec.partition.clone(), None);
        }
        if let Some(offset) = &self.head.offset {
            return (self.head.partition.clone(), Some(offset.clone()));
        }
        match self.found(stored) {
            Some(found) => (found.head.partition, Some(found.offset)),
            None => (self.spec.partition.clone(), None),
        }
    }

    /// Starts at the present position under a new definition.
    async fn start_where_it_was(&mut self, cx: &mut Context<'_>, binding: &Binding) -> Result<()> {
        let Some(offset) = &self.head.offset else { return Ok(()) };
        // The cursor's type may be another one now; the offset says the same in its terms.
        let zone = &self.spec.types.all.zone;
        let position = if self.head.begins_anew { None } else { binding.planner.position_of(offset, zone)? };
        if cx.parts.server.has_vanished(&self.spec.partition) && !self.follows() {
            self.age_of(cx.parts, cx.connection, binding, offset, position.as_ref()).await?;
        }
        self.head.position = position;
        Ok(())
    }

    async fn start_at_offset(&mut self, cx: &mut Context<'_>, binding: &Binding, found: Found) -> Result<()> {
        let Found { found_as, offset, topic, head, mark } = found;
        let position = match head.begins_anew {
            true => None,
            false => binding.planner.position_of(&offset, &self.spec.types.all.zone)?,
        };
        (self.head.partition, self.head.begins_anew) = (head.partition, head.begins_anew);
        self.continuity.load(mark.as_ref());
        if self.head.begins_anew {
            self.head.offset = head.offset;
            tracing::info!(table = %self.name, "the table has begun anew, reading from its beginning");
            return Ok(());
        }
        let age = if self.follows() {
            Age::Fine
        } else {
            self.age_of(cx.parts, cx.connection, binding, &offset, position.as_ref()).await?
        };
        let handed_on = head.guard.as_ref().map(|checkpoint| checkpoint.to_text());
        let checkpoint = handed_on.as_deref().or(offset.guard.as_deref());
        self.guard.resume(&self.name, checkpoint, position.as_ref(), cx.connection.identity())?;
        self.head.guard = head.guard;
        (self.head.position, self.head.offset) = (position, head.offset);
        self.board.position(offset.to_string());
        tracing::info!(table = %self.name, position = %offset, partition = %found_as, topic, "continuing");
        self.forget_load(cx).await?;
        if age == Age::Accepted {
            self.store(SourceOffset { accepted: true, ..offset }, cx.out).await?;
        }
        Ok(())
    }

    async fn start_without_offset(&mut self, cx: &mut Context<'_>, binding: &Binding) -> Result<()> {
        let (planner, zone, mode) = (&binding.planner, &self.spec.types.all.zone, &self.spec.mode);
        let time = match (planner.time_kind(), mode.timestamp_initial) {
            (Some(kind), Some(TimestampInitial::Millis(millis))) => {
                Some(kind.from_instant(Instant::from_millis(millis), zone)?)
            }
            (Some(kind), Some(TimestampInitial::Now)) => Some(cx.connection.upper_bound(kind, Duration::ZERO).await?),
            _ => None,
        };
        self.head.position = planner.initial_position(time, mode.incrementing_initial)?;
        if let Some(position) = &self.head.position {
            // "Now" must not move at the next start, so it is stored before anything is read.
            let to = planner.offset_of(position, None, None, zone)?;
            tracing::info!(table = %self.name, position = %to, "no stored offset, reading from the configured start");
            return self.store(to, cx.out).await;
        }
        tracing::info!(table = %self.name, "no stored offset, reading from the beginning");
        let holds_records = &cx.parts.holds_records;
        if cx.stored.offsets.is_empty() && holds_records(Arc::clone(&binding.topic)).await == Some(true) {
            tracing::warn!(
                table = %self.name, topic = %binding.topic, offsets = cx.parts.spec.offsets_topic(),
                advice = "if the connector has run before: was the offsets topic deleted, or is the name, group.id or \
                          offset.storage.topic another? `rowtide offsets set` says where to go on",
                "no offset at all is stored for this connector, while the topic holds records: rows come again"
            );
        }
        let rows = cx.connection.estimate_rows(&self.spec.relation).await?;
        self.show_loading(rows);
        self.begins = Some(Beginning { rows });
        Ok(())
    }

    /// Stores an offset although there are no rows to go with it.
    async fn store(&mut self, to: SourceOffset, out: &Outbox) -> Result<()> {
        let (partition, from) = (self.head.partition.clone(), self.head.offset.clone());
        let delta = OffsetDelta { partition, from, to: to.clone(), guard: None };
        out.send(Handoff::Offset { table: Arc::clone(&self.name), delta: delta.into() }).await?;
        // An empty poll ends the transaction.
        self.more_promised = true;
        self.head.offset = Some(to);
        Ok(())
    }

    /// Looks for rows that could never be polled: at the first poll, and whenever the catalog is listed.
    ///
    /// # Errors
    /// `SourceSchema` and `Cursor` if the table cannot be polled by its cursor; those of the connection.
    pub(super) async fn check_cursor(&mut self, cx: &mut Context<'_>) -> Result<()> {
        if !self.facts.is_due(self.spec.polling.table_interval) {
            return Ok(());
        }
        let bound = self.bound()?;
        let of_ids = facts::of_ids(cx.connection, &bound.binding).await?;
        let times = facts::of_times(&self.spec, cx.connection, &bound.binding).await?;
        if let Some(kind) = bound.binding.planner.time_kind() {
            self.facts.found_newest(times.highest.as_ref().map(|highest| kind.column_time(highest)).transpose()?);
        }
        self.facts.found_in_ids(of_ids);
        self.facts.found_in_times(times.fact.clone());
        self.facts.show(&self.name, &self.board);
        if self.looks_for_odd_rows() {
            // A statement that fails inside a view would end it.
            cx.watch.release(cx.connection).await?;
            self.look_for_odd_rows(cx.connection, &bound, &times).await?;
        }
        self.facts.checked();
        Ok(())
    }

    /// Asks for the plan of the next page, if it is time. The statements of a custom query are the user's, and are not
    /// judged.
    ///
    /// # Errors
    /// As [`plan_check::look`].
    pub(super) async fn check_plan(&mut self, cx: &mut Context<'_>) -> Result<()> {
        let (wanted, bound) = (self.spec.polling.plan_guard, self.bound()?);
        let planner = &bound.binding.planner;
        let is_judged = matches!(self.spec.relation, Relation::Table(_)) && !matches!(planner.mode(), Mode::Bulk);
        if wanted == PlanGuard::Off || !is_judged || self.load.is_some() || !self.plan_check.is_due() {
            return Ok(());
        }
        if cx.parts.plans.take(&self.spec.relation) {
            self.plan_check.made();
            return Ok(());
        }
        // It is asked with settings of its own.
        cx.watch.release(cx.connection).await?;
        let position = self.head.position.as_ref();
        let page = facts::page_of_now(cx.connection, planner, &self.spec.polling, position).await?;
        let fact = plan_check::look(wanted, cx.connection, planner, &page).await?;
        self.facts.found_in_plan(fact);
        self.facts.show(&self.name, &self.board);
        self.plan_check.made();
        Ok(())
    }
}

/// An offset that a table goes on from.
struct Found {
    /// The source partition it was found under.
    found_as: SourcePartition,
    offset: SourceOffset,
    /// The topic it was found in; none if this session has read it.
    topic: Option<String>,
    /// The partition that offsets are stored under from here on, and the offset that is stored there.
    head: ReadHead,
    mark: Option<TableMark>,
}
