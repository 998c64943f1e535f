//! The first load of a large table in the order of its primary key, where that is the cheaper walk (`load.order`). At its
//! beginning a position is fixed below which nothing can be committed any more ([`TableGuard::settled`]). Rows up to it can
//! only leave: an update moves them above. So they may be read in any order, each once, and without the late-commit guard;
//! polls begin at the position once they are read.
//!
//! The progress is stored beside the offsets, under a partition of its own; the table has no offset until the end, so Kafka
//! Connect, if somebody goes back to it meanwhile, reads the table from its beginning.
//!
//! [`TableGuard::settled`]: super::guard::TableGuard

use std::sync::Arc;

use super::binding::Binding;
use super::facts;
use super::guard::At;
use super::handoff::Loaded;
use super::head::{Beginning, ReadHead};
use super::polled::{Bound, Polled};
use super::step::Context;
use crate::config::spec::{LoadOrder, TableSpec};
use crate::dialect::{SourceConnection, SqlSyntax};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{OffsetDelta, Position, SourceOffset, SourcePartition, TableMark};
use crate::plan::Planner;

/// The rows from which on a table is large: a smaller one is sorted in no time.
const LARGE: u64 = 100_000;
/// The estimate below which it is small, however old the estimate.
const SMALL: u64 = 1_000;

/// The order of a table's first load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstLoad {
    /// The primary key's, for a reason.
    ByKey(&'static str),
    /// The cursor's, for a reason.
    ByCursor(&'static str),
}

/// The order for people.
impl std::fmt::Display for FirstLoad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ByKey(why) => write!(f, "in the order of the primary key: {why}"),
            Self::ByCursor(why) => write!(f, "in the order of the cursor: {why}"),
        }
    }
}

/// The order of a table's first load, by its configuration, its definition, the database's estimate of its rows, and the plan of
/// its polls.
///
/// # Errors
/// Those of the connection.
pub async fn first_load(
    spec: &TableSpec,
    syntax: &'static dyn SqlSyntax,
    connection: &mut dyn SourceConnection,
    (binding, rows): (&Binding, Option<u64>),
) -> Result<FirstLoad> {
    if let Some(order) = by_definition(spec, syntax, binding)? {
        return Ok(order);
    }
    let rows = known_rows(connection, &binding.planner, rows).await?;
    by_size(spec, syntax, connection, (binding, rows)).await
}

/// The order, where configuration and definition decide it.
fn by_definition(spec: &TableSpec, syntax: &'static dyn SqlSyntax, binding: &Binding) -> Result<Option<FirstLoad>> {
    let (planner, mode) = (&binding.planner, &spec.mode);
    let order = spec.polling.load_order;
    let because = |why| Ok(Some(FirstLoad::ByCursor(why)));
    if order == LoadOrder::Cursor {
        return because("load.order=cursor");
    }
    if planner.time_kind().is_none() {
        return because("it has no timestamp");
    }
    if mode.timestamp_initial.is_some() || mode.incrementing_initial.is_some() {
        return because("where it begins is configured");
    }
    if planner.begins_with_key(&binding.definition) {
        return because("it begins with the primary key");
    }
    if binding.by_key(spec, syntax, &Position(Vec::new()))?.is_none() {
        return because("no primary key orders the rows");
    }
    if order == LoadOrder::PrimaryKey {
        return Ok(Some(FirstLoad::ByKey("load.order=primary_key")));
    }
    Ok(None)
}

/// The database's estimate of a table's rows; where it has none, or one that may be old, [`LARGE`] if there are so many.
async fn known_rows(
    connection: &mut dyn SourceConnection,
    planner: &Planner,
    rows: Option<u64>,
) -> Result<Option<u64>> {
    match rows {
        Some(estimate) if !(SMALL..LARGE).contains(&estimate) => Ok(rows),
        _ => Ok(connection.probe(&planner.rows_probe(LARGE)).await?.map(|_| LARGE).or(rows)),
    }
}

/// The order, where the size of the table and the plan of its polls decide it.
async fn by_size(
    spec: &TableSpec,
    syntax: &'static dyn SqlSyntax,
    connection: &mut dyn SourceConnection,
    (binding, rows): (&Binding, Option<u64>),
) -> Result<FirstLoad> {
    if !is_large(rows) {
        return Ok(FirstLoad::ByCursor("the table is not known to be large"));
    }
    if syntax.primary_index().is_some() {
        return Ok(FirstLoad::ByKey("rows are stored by it"));
    }
    let page = facts::page_of_now(connection, &binding.planner, &spec.polling, None).await?;
    match connection.explain(&page).await?.index_serves {
        true => Ok(FirstLoad::ByCursor("an index has it")),
        false => Ok(FirstLoad::ByKey("no index has the order of the cursor")),
    }
}

/// True if a table is known to be large.
fn is_large(rows: Option<u64>) -> bool {
    rows.is_some_and(|rows| rows >= LARGE)
}

impl Polled {
    /// The planner of the pages that are read at present.
    pub(super) fn planner<'a>(&'a self, bound: &'a Bound) -> &'a Planner {
        self.load.as_deref().unwrap_or(&bound.binding.planner)
    }

    /// Begins the first load of a table of which nothing is stored, if it is to be in the order of the primary key.
    ///
    /// # Errors
    /// Those of the connection.
    pub(super) async fn begin_load(&mut self, cx: &mut Context<'_>) -> Result<()> {
        let Some(Beginning { rows }) = self.begins else { return Ok(()) };
        let (bound, syntax) = (self.bound()?, cx.parts.dialect.syntax());
        let order = match by_definition(&self.spec, syntax, &bound.binding)? {
            Some(order) => order,
            None => {
                let rows = known_rows(cx.connection, &bound.binding.planner, rows).await?;
                if is_large(rows) {
                    // A plan is not asked for inside a view.
                    cx.watch.release(cx.connection).await?;
                }
                by_size(&self.spec, syntax, cx.connection, (&bound.binding, rows)).await?
            }
        };
        if let FirstLoad::ByKey(why) = order
            && let Some(until) = self.begin_of_polls(cx, &bound).await?
        {
            let zone = &self.spec.types.all.zone;
            let load = bound.binding.planner.offset_of(&until, None, None, zone)?;
            tracing::info!(
                table = %self.name, polls_from = %load,
                "the first load is in the order of the primary key: {why}; what changes meanwhile is read behind it"
            );
            self.load = bound.binding.by_key(&self.spec, cx.parts.dialect.syntax(), &until)?.map(Arc::new);
            self.head = ReadHead { is_found: true, load: Some(load), ..ReadHead::new(self.spec.partition.load()) };
        }
        self.begins = None;
        Ok(())
    }

    /// The position that polls begin at, below which nothing can be committed any more; none if there is no row below it.
    async fn begin_of_polls(&mut self, cx: &mut Context<'_>, bound: &Bound) -> Result<Option<Position>> {
        let planner = &bound.binding.planner;
        let at = At {
            spec: &self.spec,
            table: &self.name,
            binding: &bound.binding,
            position: None,
            newest: self.facts.newest(),
            once: cx.parts.once,
            at_end: false,
            board: &self.board,
        };
        let settled = self.guard.settled(at, cx.connection, cx.watch).await?;
        let Some(oldest) = planner.oldest_probe() else { return Ok(None) };
        let is_below = cx.connection.probe(&oldest).await?.is_some_and(|oldest| oldest <= settled);
        if is_below { planner.initial_position(Some(settled), None) } else { Ok(None) }
    }

    /// Goes on with a first load.
    ///
    /// # Errors
    /// `Offsets` if what is stored cannot be read; those of the connection.
    pub(super) async fn resume_load(
        &mut self,
        cx: &mut Context<'_>,
        stored: SourceOffset,
        mark: Option<TableMark>,
    ) -> Result<()> {
        let (bound, zone) = (self.bound()?, &self.spec.types.all.zone);
        let text = stored.load.clone().unwrap_or_default();
        let polls_from = SourceOffset { load: None, ..stored.bare() };
        let until = bound.binding.planner.position_of(&polls_from, zone)?;
        let until = until.ok_or_else(|| {
            Error::new(ErrorKind::Offsets, "the progress of a first load cannot be read")
                .advise("`rowtide offsets reset` begins it anew; rows come again")
        })?;
        let again =
            "the primary key is another one than when the first load began: it begins again, and rows come again";
        self.continuity.load(mark.as_ref());
        let rows = cx.connection.estimate_rows(&self.spec.relation).await?;
        self.show_loading(rows);
        let Some(planner) = bound.binding.by_key(&self.spec, cx.parts.dialect.syntax(), &until)? else {
            tracing::warn!(table = %self.name, "{again}");
            (self.head, self.load) = (ReadHead::new(self.spec.partition.clone()), None);
            return Ok(());
        };
        let position = planner.key_position(&text);
        if position.is_none() {
            tracing::warn!(table = %self.name, "{again}");
        }
        let begins_anew = self.head.begins_anew;
        self.head.position = position.filter(|_| !begins_anew);
        self.head.partition = self.spec.partition.load();
        (self.head.offset, self.head.load) = (Some(stored.bare()), Some(polls_from));
        self.load = Some(Arc::new(planner));
        tracing::info!(table = %self.name, position = %stored, "going on with the first load");
        self.board.position(stored.to_string());
        Ok(())
    }

    /// Shows that it is loaded; of how many rows nobody knows where a condition is set.
    pub(super) fn show_loading(&self, rows: Option<u64>) {
        self.board.loading(rows.filter(|_| self.spec.filter.is_none()));
    }

    /// Ends a first load, whose rows are on their way: the table has an offset, and polls begin there.
    ///
    /// # Errors
    /// `Cancelled` when the commit stage has ended.
    pub(super) async fn end_load(&mut self, cx: &mut Context<'_>) -> Result<()> {
        let (Some(to), bound) = (self.head.load.take(), self.bound()?) else { return Ok(()) };
        let position = bound.binding.planner.position_of(&to, &self.spec.types.all.zone)?;
        self.continuity.loaded();
        let head = ReadHead {
            offset: Some(to.clone()),
            position,
            is_found: true,
            ..ReadHead::new(self.spec.partition.clone())
        };
        let mark = self.continuity.mark(&head.partition);
        let delta = OffsetDelta { partition: head.partition.clone(), from: None, to, guard: None };
        let load = self.head.partition.clone();
        tracing::info!(table = %self.name, position = %delta.to, "loaded, polls begin");
        cx.out.send(Loaded { table: Arc::clone(&self.name), load, delta: Some(delta), mark }).await?;
        // An empty poll ends the transaction.
        self.more_promised = true;
        (self.head, self.load) = (head, None);
        Ok(())
    }

    /// Forgets a first load that somebody else has overtaken: the table has an offset.
    ///
    /// # Errors
    /// `Cancelled` when the commit stage has ended.
    pub(super) async fn forget_load(&mut self, cx: &mut Context<'_>) -> Result<()> {
        let load: SourcePartition = self.spec.partition.load();
        if !cx.stored.offsets.contains_key(&load) {
            return Ok(());
        }
        let table = Arc::clone(&self.name);
        cx.out.send(Loaded { table, load, delta: None, mark: None }).await?;
        self.more_promised = true;
        Ok(())
    }
}
