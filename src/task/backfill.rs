//! Backfills: a table is read again, page by page, between its polls. At the beginning the position that polls have reached
//! is taken for its end: rows up to it are the backfill's, rows behind it the polls' own, and a row that changes meanwhile
//! in a way that polls see moves behind it.
//!
//! No record of a backfill is older than one of its key before it: pages are read in the turns of the same session and go
//! through the same channel as those of the polls, each as the table is at its time. So the last record of a key is
//! always its newest version.
//!
//! The progress is stored like that of a first load, together with the request, so that whoever reads the table next goes on
//! with it.

use std::sync::Arc;

use super::Parts;
use super::handoff::Handoff;
use super::head::ReadHead;
use super::polled::Polled;
use super::stall::Activity;
use super::step::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Backfill, Relation, SourceOffset};

/// The most rows of a page: rows of polls wait for it to end.
const PAGE: usize = 8_192;

impl Polled {
    /// The backfill of a relation, as far as it has come by a stored offset.
    ///
    /// # Errors
    /// `Offsets` if its request cannot be read, `Config` if its topic cannot be.
    pub(super) fn backfill(
        parts: &Parts,
        relation: &Relation,
        activity: Activity,
        offset: SourceOffset,
    ) -> Result<Self> {
        let request = Backfill::from_text(offset.backfill.as_deref().unwrap_or_default())?;
        let spec = parts.table_spec(relation).for_backfill(&request)?;
        let mut polled = Self::of(parts, spec, backfill_name(relation), activity);
        let upto = SourceOffset { load: None, ..offset.bare() };
        let partition = polled.spec.partition.backfill();
        polled.head = ReadHead { offset: Some(offset.bare()), load: Some(upto), ..ReadHead::new(partition) };
        polled.paging = polled.paging.at_most(PAGE);
        polled.board.backfills(relation.to_string(), request.clone());
        polled.backfill = Some(request);
        Ok(polled)
    }

    /// Finds the place of a backfill among the rows up to its end.
    ///
    /// # Errors
    /// `Offsets` if its end cannot be read; those of the connection.
    pub(super) async fn find_place(&mut self, cx: &mut Context<'_>) -> Result<()> {
        let (bound, Some(upto)) = (self.bound()?, self.head.load.clone()) else { return Ok(()) };
        let until = bound.binding.planner.position_of(&upto, &self.spec.types.all.zone)?.ok_or_else(|| {
            Error::new(ErrorKind::Offsets, "the end of the backfill cannot be read")
                .advise("`rowtide backfill --cancel` ends it, then ask for it again")
        })?;
        let planner = bound.binding.upto(&self.spec, cx.parts.dialect.syntax(), &until)?;
        let reached = self.head.offset.as_ref().and_then(|offset| offset.load.clone());
        self.head.position = reached.as_deref().and_then(|text| planner.key_position(text));
        if reached.is_some() && self.head.position.is_none() {
            tracing::warn!(table = %self.name, "the primary key is another one: the backfill begins again");
        }
        self.load = Some(Arc::new(planner));
        let rows = cx.connection.estimate_rows(&self.spec.relation).await?;
        self.show_loading(rows);
        Ok(())
    }

    /// Ends a backfill, whose rows are on their way.
    ///
    /// # Errors
    /// `Cancelled` when the commit stage has ended.
    pub(super) async fn end_backfill(&mut self, cx: &mut Context<'_>) -> Result<()> {
        tracing::info!(table = %self.name, "the backfill has read all its rows");
        let (table, partition) = (Arc::clone(&self.name), self.head.partition.clone());
        cx.out.send(Handoff::Backfilled { table, partition, why: "the backfill is complete" }).await
    }
}

/// The name of the backfill of a relation in status, metrics and logs.
pub(super) fn backfill_name(relation: &Relation) -> Arc<str> {
    format!("{relation} (backfill)").into()
}
