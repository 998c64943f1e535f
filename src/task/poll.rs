//! The poll stage: takes the relation due longest ago, reads one bounded page of it, encodes it and hands
//! it on. A page is a short statement of its own: a place in the channel is reserved before it begins, so
//! no read waits for Kafka with a transaction open. A full page makes its relation due again at once, behind
//! the others that are due, so no relation starves another. A relation's failure is its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant as Clock;
use tokio_util::sync::CancellationToken;

use super::Parts;
use super::binding::{Binding, RecordEncoder, partition_of, stored_for};
use crate::config::spec::TimestampInitial;
use crate::dialect::SourceConnection;
use crate::error::{Directive, Error, ErrorKind, Result};
use crate::model::{
    CursorKind, CursorValue, EncodedBatch, Mode, OffsetDelta, PlannedQuery, Position, Relation, SourceOffset,
    SourcePartition, TableDefinition, Value,
};
use crate::offsets::StoredOffset;
use crate::plan::cursor::TimeLimits;
use crate::reader::{CutRule, Limits, Page, null_cursor, read_page};
use crate::retry::Backoff;
use crate::status::{ConnectorStatus, TableBoard};
use crate::telemetry::TableMetrics;

/// A page never has more rows, however far behind its relation is.
const MAX_PAGE_ROWS: usize = 65_536;
/// A page is cut when its records reach this size.
const MAX_PAGE_BYTES: usize = 8 * 1024 * 1024;
/// How often in a row a definition may change under a page before the relation is given up.
const MAX_REDESCRIBES: u32 = 5;

pub(super) struct PollStage<'a> {
    parts: &'a Parts,
    stored: HashMap<SourcePartition, StoredOffset>,
    connection: Option<Box<dyn SourceConnection>>,
    relations: Vec<Polled>,
    out: mpsc::Sender<EncodedBatch>,
}

/// One relation and how far it has been read (not: committed).
struct Polled {
    relation: Relation,
    name: Arc<str>,
    partition: SourcePartition,
    board: TableBoard,
    metrics: TableMetrics,
    bound: Option<Bound>,
    /// The offset the next delta starts from.
    offset: Option<SourceOffset>,
    /// Where to read on; none: from the beginning.
    position: Option<Position>,
    /// The bound of `--once`, fixed at the first poll.
    fixed_upper: Option<CursorValue<'static>>,
    page_rows: usize,
    row_bytes: usize,
    due: Clock,
    checked: Option<Clock>,
    backoff: Backoff,
    redescribes: u32,
    /// The last batch handed on promised more, so the commit stage keeps its transaction open for it.
    more_promised: bool,
    /// What a value did not fit; if describing again changes nothing, the relation fails with the error.
    misfit: Option<(TableDefinition, Error)>,
    failed: Option<Error>,
    done: bool,
}

struct Bound {
    binding: Binding,
    encoder: RecordEncoder,
    /// Where to read on under this definition has been found.
    start_known: bool,
}

impl<'a> PollStage<'a> {
    pub(super) fn new(parts: &'a Parts, out: mpsc::Sender<EncodedBatch>) -> Self {
        Self { parts, stored: HashMap::new(), connection: None, relations: Vec::new(), out }
    }

    /// Connects and binds the first relation ahead of time. What fails here fails again at the first
    /// poll, where it is dealt with.
    pub(super) async fn warm_up(&mut self, wanted: &[Relation]) {
        self.follow(wanted);
        if self.connect().await.is_ok()
            && let (Some(first), Some(connection)) = (self.relations.first_mut(), self.connection.as_deref_mut())
            && let Err(error) = first.bind(self.parts, connection).await
        {
            tracing::debug!(table = %first.name, error = %error.report(), "warming up failed");
        }
    }

    /// The offsets to continue from; nothing was polled before.
    pub(super) fn start_from(&mut self, stored: HashMap<SourcePartition, StoredOffset>) {
        self.stored = stored;
    }

    async fn connect(&mut self) -> Result<()> {
        if self.connection.is_none() {
            let connection = self.parts.dialect.connect(&self.parts.spec.source).await?;
            tracing::info!(server = connection.server(), url = %self.parts.spec.source.url, "connected");
            self.connection = Some(connection);
        }
        Ok(())
    }

    /// Polls until `stop`, or with `once` until every relation is read.
    ///
    /// # Errors
    /// Only those that end the session: every relation has failed, or a bug.
    pub(super) async fn run(
        mut self,
        mut selected: watch::Receiver<Vec<Relation>>,
        stop: &CancellationToken,
    ) -> Result<()> {
        loop {
            let wanted = selected.borrow_and_update().clone();
            self.follow(&wanted);
            self.give_up_if_nothing_is_left()?;
            if self.parts.once && self.relations.iter().all(|polled| polled.done) {
                break;
            }
            let next = self.next_due();
            let wake = next.map_or_else(|| Clock::now() + Duration::from_secs(3600), |index| self.relations[index].due);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Ok(()) = selected.changed() => continue,
                () = tokio::time::sleep_until(wake) => {}
            }
            let Some(index) = next else { continue };
            // A cancelled read leaves the connection in an unknown state; it is dropped with the stage.
            let outcome = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                outcome = self.poll(index) => outcome,
            };
            self.settle(index, outcome)?;
        }
        if let Some(connection) = self.connection.take() {
            let _ = tokio::time::timeout(Duration::from_secs(1), connection.close()).await;
        }
        Ok(())
    }

    /// Adds what is newly selected and drops what is not any more.
    fn follow(&mut self, wanted: &[Relation]) {
        let (kept, gone) =
            std::mem::take(&mut self.relations).into_iter().partition(|polled| wanted.contains(&polled.relation));
        self.relations = kept;
        let gone: Vec<Polled> = gone;
        for polled in gone {
            tracing::info!(table = %polled.name, "no longer selected");
            self.parts.board.remove_table(&polled.name);
            // One that comes back goes on where it was, not where it was when the session began.
            if let Some(offset) = polled.offset {
                let topic = self.parts.spec.offsets.topic.clone();
                let stored = StoredOffset { offset, topic, partition: -1, kafka_offset: -1, written_at: None };
                self.stored.insert(polled.partition, stored);
            }
        }
        for relation in wanted {
            if !self.relations.iter().any(|polled| polled.relation == *relation) {
                let polled = Polled::new(self.parts, relation.clone());
                self.relations.push(polled);
            }
        }
    }

    /// A connector of which nothing works has failed; one with a table that works, in this task or in
    /// another, goes on, and what has failed is looked at again now and then.
    fn give_up_if_nothing_is_left(&mut self) -> Result<()> {
        if self.relations.is_empty() || self.relations.iter().any(|polled| polled.failed.is_none()) {
            return Ok(());
        }
        if !self.parts.board.with(ConnectorStatus::nothing_works) {
            return Ok(());
        }
        match self.relations.iter_mut().find_map(|polled| polled.failed.take()) {
            Some(error) => Err(super::nothing_left(error)),
            None => Ok(()),
        }
    }

    fn next_due(&self) -> Option<usize> {
        let open = self.relations.iter().enumerate().filter(|(_, polled)| !polled.done);
        open.min_by_key(|(_, polled)| polled.due).map(|(index, _)| index)
    }

    /// One page of one relation. True if nothing newer is left.
    async fn poll(&mut self, index: usize) -> Result<bool> {
        self.connect().await?;
        let polled = &mut self.relations[index];
        let Some(connection) = self.connection.as_deref_mut() else {
            return Err(Error::internal("no connection"));
        };
        polled.bind(self.parts, connection).await?;
        polled.find_start(self.parts, connection, &self.stored, &self.out).await?;
        polled.check_cursor(self.parts, connection).await?;
        polled.poll(self.parts, connection, &self.out).await
    }

    /// What a poll's outcome means for its relation: when it is due again, or that it has failed.
    fn settle(&mut self, index: usize, outcome: Result<bool>) -> Result<()> {
        let spec = &self.parts.spec;
        let polled = &mut self.relations[index];
        let error = match outcome {
            Ok(exhausted) => {
                polled.succeeded(exhausted, spec.polling.interval, self.parts.once);
                return Ok(());
            }
            Err(error) => error.with("table", &polled.name),
        };
        self.parts.metrics.error(error.kind());
        polled.metrics.poll_failed();
        if error.kind() == ErrorKind::Unreachable {
            self.connection = None;
        }
        match error.kind().directive() {
            Directive::Rebuild => return Err(error),
            Directive::Retry => match polled.backoff.next(&spec.polling.retry) {
                Some(pause) => {
                    if polled.backoff.failures() == 1 {
                        tracing::warn!(table = %polled.name, error = %error.report(), "poll failed, trying again");
                    }
                    polled.due = Clock::now() + pause;
                    polled.board.backing_off(&error);
                }
                None => polled.fail(error, spec.polling.table_interval, self.parts.once),
            },
            Directive::Redescribe => match polled.redescribe(error) {
                Ok(()) => {}
                Err(error) => polled.fail(error, spec.polling.table_interval, self.parts.once),
            },
            Directive::Fail => polled.fail(error, spec.polling.table_interval, self.parts.once),
        }
        Ok(())
    }
}

impl Polled {
    fn new(parts: &Parts, relation: Relation) -> Self {
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
            failed: None,
            done: false,
        }
    }

    /// Describes the relation and registers its schemas, once per definition.
    async fn bind(&mut self, parts: &Parts, connection: &mut dyn SourceConnection) -> Result<()> {
        if self.bound.is_some() {
            return Ok(());
        }
        let times = parts.spec.mode.timestamp_columns(&self.name);
        let definition = connection.describe(&self.relation, times).await?;
        if let Some((misfit, error)) = self.misfit.take()
            && misfit == definition
        {
            // Describing again changed nothing, so the value is at fault, not the schema; with nothing bound
            // the relation fails with it.
            return Err(error);
        }
        let binding = Binding::new(&parts.spec, parts.dialect.syntax(), definition)?;
        (parts.ensure_topic)(Arc::clone(&binding.topic)).await?;
        let encoder = binding.encoder(&*parts.key_converter, &*parts.value_converter).await?;
        if !binding.definition.skipped.is_empty() {
            let skipped = binding.definition.skipped.iter();
            self.board
                .skipped_columns(skipped.map(|column| format!("{} ({})", column.name, column.database_type)).collect());
        }
        self.bound = Some(Bound { binding, encoder, start_known: false });
        Ok(())
    }

    /// Finds where to read on under a new definition; if that fails it is tried again at the next poll.
    async fn find_start(
        &mut self,
        parts: &Parts,
        connection: &mut dyn SourceConnection,
        stored: &HashMap<SourcePartition, StoredOffset>,
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
        stored: &HashMap<SourcePartition, StoredOffset>,
        out: &mpsc::Sender<EncodedBatch>,
    ) -> Result<()> {
        let planner = &binding.planner;
        let zone = &parts.spec.source.types.zone;
        if matches!(planner.mode(), Mode::Bulk) {
            // A load goes on if the new definition can still order the rows, else it starts over.
            self.position.take_if(|position| position.0.len() != planner.tuple_len());
            return Ok(());
        }
        if let Some(offset) = &self.offset {
            // The cursor's type may be another one now; the offset says the same in its terms.
            self.position = planner.position_of(offset, zone)?;
            return Ok(());
        }
        if let Some((found_as, found)) = stored_for(&parts.spec, &self.relation, stored) {
            self.position = planner.position_of(&found.offset, zone)?;
            // Progress is counted per partition name; a start under an older name begins a new count.
            self.offset = stored.get(&self.partition).map(|own| own.offset.clone());
            self.board.position(found.offset.to_string());
            tracing::info!(table = %self.name, position = %found.offset, partition = %found_as, topic = %found.topic, "continuing");
            return Ok(());
        }
        let time = match (planner.time_kind(), parts.spec.mode.timestamp_initial) {
            (Some(kind), Some(TimestampInitial::Millis(millis))) => {
                Some(kind.from_instant(crate::model::Instant::from_millis(millis), zone)?)
            }
            (Some(kind), Some(TimestampInitial::Now)) => Some(connection.upper_bound(kind, Duration::ZERO).await?),
            _ => None,
        };
        self.position = planner.initial_position(time, parts.spec.mode.incrementing_initial);
        match &self.position {
            None => {
                tracing::info!(table = %self.name, "no stored offset, reading from the beginning");
                self.board.loading(connection.estimate_rows(&self.relation).await?);
            }
            Some(position) => {
                // "Now" must not move at the next start, so it is stored before anything is read.
                let to = planner.offset_of(position, position.0.first(), None, zone)?;
                tracing::info!(table = %self.name, position = %to, "no stored offset, reading from the configured start");
                let mut batch = EncodedBatch::new(Arc::clone(&self.name), Arc::clone(&binding.topic), 0, 0);
                batch.delta = Some(OffsetDelta { partition: self.partition.clone(), from: None, to: to.clone() });
                send(out, batch).await?;
                self.offset = Some(to);
            }
        }
        Ok(())
    }

    /// Looks for rows that could never be polled: at the first poll, and whenever the catalog is listed.
    async fn check_cursor(&mut self, parts: &Parts, connection: &mut dyn SourceConnection) -> Result<()> {
        if self.checked.is_some_and(|checked| checked.elapsed() < parts.spec.polling.table_interval) {
            return Ok(());
        }
        let Some(bound) = &self.bound else { return Err(Error::internal("not bound")) };
        let (planner, mode, zone) = (&bound.binding.planner, &parts.spec.mode, &parts.spec.source.types.zone);
        if mode.null_fails
            && bound.binding.cursor_is_nullable()
            && let Some(probe) = planner.null_probe()
            && connection.probe(&probe).await?.is_some()
        {
            return Err(null_cursor());
        }
        if let Some(kind) = planner.time_kind() {
            let limits = TimeLimits { before_epoch_fails: mode.before_epoch_fails, future_fails: mode.future_fails };
            let lowest = if self.position.is_none() {
                extreme(connection, planner.extreme_probe(true), kind, zone).await?
            } else {
                None
            };
            let highest = extreme(connection, planner.extreme_probe(false), kind, zone).await?;
            let now = kind.to_instant(&connection.upper_bound(kind, Duration::ZERO).await?, zone)?;
            limits.check(lowest, highest, now)?;
        }
        self.checked = Some(Clock::now());
        Ok(())
    }

    async fn poll(
        &mut self,
        parts: &Parts,
        connection: &mut dyn SourceConnection,
        out: &mpsc::Sender<EncodedBatch>,
    ) -> Result<bool> {
        let started = Clock::now();
        let Some(bound) = &self.bound else { return Err(Error::internal("not bound")) };
        let planner = &bound.binding.planner;
        let (rule, encode) =
            (self.rule(parts), |values: &[Value<'_>], batch: &mut EncodedBatch| bound.encoder.encode(values, batch));
        // A place first: the statement runs only when its rows have somewhere to go.
        let permit = out.reserve().await.map_err(|_| closed())?;
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
        let mut page = fetch_page(connection, bound, &query, &encode, rule, limits, self.empty_batch(bound)).await?;
        if let Some(tie) = page.unfinished_tie.take() {
            let query = planner.tie(&tie);
            let whole = Limits { rows: usize::MAX, bytes: usize::MAX };
            page = fetch_page(connection, bound, &query, &encode, rule, whole, self.empty_batch(bound)).await?;
            page.ended = false;
        }
        let exhausted = page.ended && (!planner.has_suffix() || page.batch.is_empty());
        self.metrics.polled(page.batch.len() as u64, started.elapsed());
        self.note_lag(parts, &page, upper.as_ref())?;
        self.grow(&page, parts.spec.polling.batch_max_rows);
        if page.batch.is_empty() {
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
        let batch = self.carry(parts, page, exhausted)?;
        permit.send(batch);
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
    fn carry(&mut self, parts: &Parts, page: Page, exhausted: bool) -> Result<EncodedBatch> {
        let Some(bound) = &self.bound else { return Err(Error::internal("not bound")) };
        let (planner, zone) = (&bound.binding.planner, &parts.spec.source.types.zone);
        let mut batch = page.batch;
        batch.exhausted = exhausted;
        let Some(position) = page.position else {
            return Err(Error::internal("a page with rows has no position"));
        };
        if let (Some(kind), Some(newest)) = (planner.time_kind(), position.0.first()) {
            batch.newest = Some(kind.to_instant(newest, zone)?);
        }
        if !matches!(planner.mode(), Mode::Bulk) {
            let to = planner.offset_of(&position, page.settled.as_ref(), self.offset.as_ref(), zone)?;
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
        let zone = &parts.spec.source.types.zone;
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

    fn succeeded(&mut self, exhausted: bool, interval: Duration, once: bool) {
        if self.failed.take().is_some() || self.backoff.failures() > 0 {
            tracing::info!(table = %self.name, "polling works again");
        }
        self.backoff.reset();
        self.redescribes = 0;
        self.due = if exhausted { Clock::now() + interval } else { Clock::now() };
        self.done = once && exhausted;
    }

    /// Forgets what was bound, so that the next poll describes again.
    fn redescribe(&mut self, error: Error) -> Result<()> {
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
    fn fail(&mut self, error: Error, again_after: Duration, once: bool) {
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

async fn fetch_page(
    connection: &mut dyn SourceConnection,
    bound: &Bound,
    query: &PlannedQuery,
    encode: crate::reader::EncodeRow<'_>,
    rule: CutRule,
    limits: Limits,
    batch: EncodedBatch,
) -> Result<Page> {
    let mut stream = connection.fetch(&bound.binding.definition, query).await?;
    read_page(&mut *stream, encode, rule, limits, batch, query.limit).await
}

async fn extreme(
    connection: &mut dyn SourceConnection,
    probe: Option<PlannedQuery>,
    kind: CursorKind,
    zone: &crate::zone::Zone,
) -> Result<Option<crate::model::Instant>> {
    let Some(probe) = probe else { return Ok(None) };
    match connection.probe(&probe).await? {
        Some(value) if value != CursorValue::Null => kind.to_instant(&value, zone).map(Some),
        _ => Ok(None),
    }
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

async fn send(out: &mpsc::Sender<EncodedBatch>, batch: EncodedBatch) -> Result<()> {
    out.send(batch).await.map_err(|_| closed())
}

/// The commit stage ended; its own error is the one that counts.
fn closed() -> Error {
    Error::new(ErrorKind::Cancelled, "the commit stage has ended")
}
