//! Continuity: is a table still the one its position belongs to? The identities of a task's tables are looked at every
//! two seconds, all by one statement. A change is a doubt, no more: also VACUUM FULL and ALTER TABLE rewrite a table.
//! Then remembered rows decide ([`verdict`]). A table that begins anew stops, or is read from its beginning
//! (`table.recreated`). The identity and the rows are stored with the table's offset, so that a restart asks the same
//! question.

mod landmarks;
mod rows;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant as Clock;

use self::landmarks::Landmarks;
use self::verdict::{Found, Verdict};
use super::Parts;
use super::binding::Binding;
use super::handoff::{Handoff, MarkedTable, Outbox};
use super::polled::{Bound, Polled};
use super::step::Context;
use crate::config::spec::Recreated;
use crate::dialect::{Counted, SourceConnection};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Incarnation, Landmark, Mode, Relation, Sample, SourcePartition, TableMark};
use crate::plan::Planner;
use crate::reader::Page;

/// The interval at which tables are looked at, and how much more time than a look takes passes between two.
const EVERY: Duration = Duration::from_secs(2);
const SHARE: u32 = 50;
/// The shortest interval at which new landmarks are stored with rows.
const STORED_EVERY: Duration = Duration::from_secs(30);

/// The time that a table may be away before it has failed: between DROP and CREATE.
const MISSED: Duration = Duration::from_secs(5);

/// The time of the next look at a task's tables.
pub(super) struct Looks(Clock);

impl Default for Looks {
    fn default() -> Self {
        Self(Clock::now())
    }
}

impl Looks {
    pub(super) fn is_due(&self) -> bool {
        self.0 <= Clock::now()
    }

    /// One has been made that began then.
    pub(super) fn made(&mut self, began: Clock) {
        self.0 = Clock::now() + EVERY.max(began.elapsed() * SHARE);
    }
}

/// The identity of one relation, as far as it is known.
#[derive(Default)]
pub(super) struct Continuity {
    /// The table that was read.
    known: Option<Incarnation>,
    /// The one that was there at the last look.
    found: Option<Incarnation>,
    has_looked: bool,
    landmarks: Landmarks,
    /// True if it was found without rows up to the position: rows that come there would be passed over.
    is_emptied: bool,
    /// The time its mark was handed on to be stored; `has_news`: there is something new since.
    stored: Option<Clock>,
    has_news: bool,
    /// True if the log has said that it cannot be told.
    has_said: bool,
}

impl Continuity {
    /// Takes the mark that is stored with the offset; nothing was known before.
    pub(super) fn load(&mut self, mark: Option<&TableMark>) {
        let Some(mark) = mark else { return };
        let found = self.found.take();
        *self = Self {
            known: Some(mark.incarnation.clone()),
            landmarks: Landmarks::from_stored(mark.landmarks.clone()),
            has_looked: self.has_looked,
            stored: Some(Clock::now()),
            ..Self::default()
        };
        self.found = found;
        self.compare();
    }

    /// The knowledge of a relation that is dropped and may come back.
    pub(super) fn to_mark(&self) -> Option<TableMark> {
        let incarnation = self.known.clone()?;
        Some(TableMark { incarnation, landmarks: self.landmarks.kept().to_vec() })
    }

    /// Notes that the table was described anew, and may be another one than at the last look.
    pub(super) fn described(&mut self) {
        self.has_looked = false;
    }

    pub(super) fn has_looked(&self) -> bool {
        self.has_looked
    }

    /// Takes a look.
    pub(super) fn looked(&mut self, found: Option<Incarnation>) {
        (self.has_looked, self.found) = (true, found);
        self.compare();
    }

    /// Takes the present identity for the known one where nothing is in doubt.
    fn compare(&mut self) {
        let Some(found) = &self.found else { return };
        match &self.known {
            Some(known) if found.differs_from(known) => {}
            Some(known) => {
                self.has_news |= found.made != known.made;
                self.known = Some(found.clone());
                self.landmarks.confirm();
                if self.is_emptied && !self.landmarks.kept().is_empty() {
                    // Reading goes on behind the position.
                    (self.is_emptied, self.has_news) = (false, true);
                }
            }
            None => {
                self.known = Some(found.clone());
                self.has_news = true;
                self.landmarks.confirm();
            }
        }
    }

    /// True if the table may be another one than that which was read.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.is_replaced() || self.is_emptied
    }

    /// True if nothing about the table waits for the next look.
    pub(super) fn is_settled(&self) -> bool {
        !self.is_in_doubt() && !self.landmarks.has_pending()
    }

    /// True if the table that is there is not the one that is known.
    fn is_replaced(&self) -> bool {
        matches!((&self.known, &self.found), (Some(known), Some(found)) if found.differs_from(known))
    }

    /// The table that is there is the one that is read from now on.
    fn adopt(&mut self) {
        self.known.clone_from(&self.found);
        (self.is_emptied, self.has_news, self.has_said) = (false, true, false);
    }

    /// Takes the table for one that begins anew, of which nothing has been read.
    fn begin_anew(&mut self) {
        self.landmarks = Landmarks::default();
        self.adopt();
    }

    /// Takes rows that were read; of which table is not sure yet.
    pub(super) fn add(&mut self, samples: Vec<Sample>, records: usize, (binding, planner): (&Binding, &Planner)) {
        if self.known.is_some() {
            self.landmarks.add(samples, records, (binding, planner));
        }
    }

    /// A first load is at its end: its rows are remembered by another order than that of polls.
    pub(super) fn loaded(&mut self) {
        (self.landmarks, self.has_news) = (Landmarks::default(), true);
    }

    /// True if something is to be stored with the next rows, if the table is looked at before.
    fn wants_storing(&self, is_last: bool) -> bool {
        let is_old = self.stored.is_none_or(|stored| stored.elapsed() >= STORED_EVERY);
        self.known.is_some() && (self.has_news || self.is_emptied || is_old || is_last)
    }

    /// The mark to be stored with rows, if there is one.
    pub(super) fn mark(&mut self, partition: &SourcePartition) -> Option<MarkedTable> {
        if !self.has_news || self.is_emptied || self.is_in_doubt() {
            return None;
        }
        (self.has_news, self.stored) = (false, Some(Clock::now()));
        self.to_mark().map(|mark| Arc::new((partition.clone(), mark)))
    }
}

impl Polled {
    /// The table as a dialect is asked for its identity; none of a query, or without a position.
    pub(super) fn counted(&self) -> Option<Counted> {
        let (Relation::Table(id), Some(bound)) = (&self.spec.relation, &self.bound) else { return None };
        let planner = &bound.binding.planner;
        let is_polled = !matches!(planner.mode(), Mode::Bulk);
        is_polled.then(|| (id.clone(), planner.counted(&bound.binding.definition).map(str::to_owned)))
    }

    /// Remembers some rows of a page, to know the table again by them.
    pub(in crate::task) async fn note_rows(
        &mut self,
        cx: &mut Context<'_>,
        bound: &Bound,
        page: &mut Page,
    ) -> Result<()> {
        let planner = self.load.clone();
        let planner = planner.as_deref().unwrap_or(&bound.binding.planner);
        self.continuity.add(std::mem::take(&mut page.samples), page.batch.len(), (&bound.binding, planner));
        if !self.looks_after(cx.parts, page.ended) {
            return Ok(());
        }
        // Inside a view tables are as they were.
        cx.watch.release(cx.connection).await?;
        self.look_after(cx.parts, cx.connection).await
    }

    /// True if it may be made again any moment: a table that was read is not there.
    pub(super) fn is_missed(&mut self, error: &Error, parts: &Parts) -> bool {
        let was_read = self.head.offset.is_some() || self.head.position.is_some();
        error.kind() == ErrorKind::SourceSchema
            && was_read
            && parts.server.has_vanished(&self.spec.partition)
            && self.schedule.missed.get_or_insert_with(Clock::now).elapsed() < MISSED
    }

    /// True if the identity is looked at once more after the rows of a page were read and before they are sent: where
    /// rows of a table that begins anew would come again, and where the identity of the table is to be stored with
    /// them.
    fn looks_after(&self, parts: &Parts, is_last: bool) -> bool {
        let follows = self.spec.recreated == Recreated::Follow;
        self.continuity.known.is_some() && (follows || self.continuity.wants_storing(is_last && parts.once))
    }

    /// Looks at the table after a page with rows, of which something is stored then.
    ///
    /// # Errors
    /// `Query` if the table is in doubt: whose rows they are is not known. Those of the connection.
    async fn look_after(&mut self, parts: &Parts, connection: &mut dyn SourceConnection) -> Result<()> {
        let Some(table) = self.counted() else { return Ok(()) };
        self.continuity.has_news |= self.continuity.stored.is_none_or(|stored| stored.elapsed() >= STORED_EVERY);
        self.continuity.has_news |= parts.once;
        let tables = [table];
        match connection.incarnations(&tables).await {
            Ok(found) => self.continuity.looked(found.into_iter().next().flatten()),
            Err(error) if error.kind() == ErrorKind::Unreachable => return Err(error),
            Err(error) => {
                tracing::debug!(table = %self.name, error = %error.report(), "the table could not be looked at")
            }
        }
        if self.continuity.is_replaced() {
            return Err(Error::new(ErrorKind::Query, "the table was rewritten while it was read"));
        }
        Ok(())
    }

    /// Decides about a table in doubt: it goes on, is read from its beginning, or stops.
    ///
    /// # Errors
    /// `Cursor` if it begins anew and is not followed; those of the connection.
    pub(super) async fn settle_doubt(&mut self, cx: &mut Context<'_>) -> Result<()> {
        let Some(found) = self.continuity.found.clone() else { return Ok(()) };
        if !self.continuity.is_in_doubt() {
            cx.parts.server.knows_table(&self.spec.partition, &found.storage);
            return Ok(());
        }
        if self.head.position.is_none() {
            self.continuity.begin_anew();
            return Ok(());
        }
        if self.continuity.is_emptied && !self.continuity.is_replaced() {
            return self.wait_for_rows(cx, &found).await;
        }
        let evidence = match self.evidence(cx.connection).await {
            Ok(evidence) => evidence,
            // With other columns it is described again.
            Err(error) if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::SchemaChanged) => {
                return Err(error);
            }
            Err(error) => {
                if !std::mem::replace(&mut self.continuity.has_said, true) {
                    tracing::warn!(
                        table = %self.name, error = %error.report(),
                        "the table was rewritten, and its rows could not be compared with those that were read; it is \
                         tried again"
                    );
                }
                return Ok(());
            }
        };
        let verdict = evidence.verdict();
        tracing::debug!(table = %self.name, ?verdict, ?evidence, "the identity of the table has changed");
        match verdict {
            Verdict::Same => {
                self.go_on(evidence.rows);
                Ok(())
            }
            Verdict::Emptied => {
                self.continuity.landmarks = Landmarks::default();
                self.continuity.adopt();
                self.continuity.is_emptied = true;
                Ok(())
            }
            Verdict::Unknown => {
                tracing::warn!(
                    table = %self.name,
                    "the table was rewritten, and no row is remembered to recognise it by; reading continues"
                );
                self.go_on(Vec::new());
                Ok(())
            }
            Verdict::Anew => self.meet_anew(cx, &found).await,
        }
    }

    /// Goes on with the table, which is the one that was read.
    fn go_on(&mut self, rows: Vec<Found>) {
        let kept = rows.into_iter().filter_map(|row| {
            let now = row.now?;
            Some(if now.is_unreadable { row.landmark } else { Landmark { columns: now.columns, ..row.landmark } })
        });
        self.continuity.landmarks.replace(kept.collect());
        self.continuity.landmarks.confirm();
        self.continuity.adopt();
    }

    /// A table without rows up to the position: it goes on behind it, or begins anew up to it.
    async fn wait_for_rows(&mut self, cx: &mut Context<'_>, found: &Incarnation) -> Result<()> {
        let (Some(bound), Some(position)) = (&self.bound, &self.head.position) else { return Ok(()) };
        if self.continuity.landmarks.has_pending() {
            return Ok(());
        }
        match cx.connection.probe(&self.planner(bound).upto_probe(position)).await {
            Ok(None) => Ok(()),
            Ok(Some(_)) => self.meet_anew(cx, found).await,
            Err(error) if error.kind() == ErrorKind::Unreachable => Err(error),
            // The page will fail with it, too.
            Err(_) => Ok(()),
        }
    }

    /// A table that begins anew.
    async fn meet_anew(&mut self, cx: &mut Context<'_>, found: &Incarnation) -> Result<()> {
        let bound = self.bound()?;
        let (planner, zone) = (self.planner(&bound), &self.spec.types.all.zone);
        let position = self.head.position.as_ref().and_then(|position| position.0.first());
        let shown = position.map_or(Ok("the beginning".to_owned()), |value| planner.shown(value, zone))?;
        if cx.parts.server.accepts_table(&self.spec.partition, &found.storage) {
            tracing::warn!(table = %self.name, position = shown, "{BEGINS_ANEW}; accepted with --accept-server");
            cx.parts.server.reappeared(&self.spec.partition);
            self.continuity.begin_anew();
            return self.store_mark(cx.out).await;
        }
        if self.spec.recreated == Recreated::Fail {
            let error = Error::new(ErrorKind::Cursor, BEGINS_ANEW).with("table", &self.name).with("position", shown);
            let error = match cx.connection.identity() {
                Some(identity) => error.with("server", identity),
                None => error,
            };
            return Err(error.advise(ADVICE));
        }
        tracing::warn!(
            table = %self.name, position = shown,
            "{BEGINS_ANEW}; it is read from its beginning (table.recreated=follow)"
        );
        cx.parts.server.reappeared(&self.spec.partition);
        self.board.began_anew();
        self.guard.begin_anew();
        self.continuity.begin_anew();
        self.head.begin_anew();
        self.facts.begin_anew();
        self.paging.restart();
        Ok(())
    }

    /// Stores the table's mark by itself.
    async fn store_mark(&mut self, out: &Outbox) -> Result<()> {
        let Some(mark) = self.continuity.mark(&self.head.partition) else { return Ok(()) };
        out.send(Handoff::Table { table: Arc::clone(&self.name), mark }).await?;
        // An empty poll ends the transaction.
        self.more_promised = true;
        Ok(())
    }
}

const BEGINS_ANEW: &str = "the table has begun anew: it was truncated, or dropped and created, since its rows up to \
                           the position were read";

const ADVICE: &str = "its rows up to the position would never be read: `rowtide offsets reset CONNECTOR --table TABLE` reads it \
     from the beginning, and table.recreated=follow does so by itself whenever it happens; `rowtide run CONNECTOR \
     --accept-server` goes on at the position";
