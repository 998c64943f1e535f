//! The ways `window`, `hold` and `rescan`: what was seen between the low edge and the cursor is remembered.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant as Clock;

use super::sweep::{Machine, Sweep, read_prints};
use super::{At, Late, State, Watch, grain};
use crate::config::spec::OnTimeout;
use crate::dialect::SourceConnection;
use crate::error::{Error, ErrorKind, Result};
use crate::guard::prints::{Hash, Prints};
use crate::guard::{Level, Way, window};
use crate::model::{Micros, TableDefinition, micros_of};

/// A window that takes longer to read than this is not read at every poll, but for a tenth of the time at most.
const QUICK: Duration = Duration::from_millis(20);
/// Who waits no longer than this does not wait for anybody in particular.
const LONG_WAIT: Micros = 2_000_000;
/// More rows are never remembered: nothing newer is read, whatever `commit.guard.on.timeout` says.
const MOST_REMEMBERED: usize = 1_000_000;
/// Where writers cannot be seen, the window ends where it has so many rows.
const MOST_UNSEEN: usize = 20_000;

impl Late {
    pub(super) async fn begin_window(
        &mut self,
        at: At<'_>,
        connection: &mut dyn SourceConnection,
        watch: &mut Watch,
    ) -> Result<Sweep> {
        let observed = watch.low(connection, at.spec.polling.interval).await?;
        let columns = columns_tag(&at.binding.definition);
        self.recover(&at, connection, columns).await?;
        let state = self.state.as_ref().and_then(State::window);
        let time = at.time()?;
        let edge = self.edge(&observed);
        let low = at.clock.lowest_from(edge).saturating_sub(at.behind(time, observed.clock));
        let stepped_back = watch.stepped_back_since(self.observed).map(|lowest| at.clock.lowest_from(lowest));
        let leaves = self.leaves(&at) && state.is_some();
        // At the first look of a session not all that is open is known to be as old as it is.
        let stays = leaves || observed.number <= 1;
        let low = state.filter(|_| stays).map_or(low, window::State::low);
        let poll = window::State::poll(state, low, stepped_back, columns);
        let (repeats, is_blind, from) = (poll.repeats, poll.is_blind, poll.from);
        let mut queries = VecDeque::new();
        if let (Some(position), Some(time), false) = (at.position, time, leaves)
            && from <= time.saturating_add(grain(at.kind()?))
        {
            queries.extend(at.binding.planner.window(&at.value(from)?, position));
        }
        let remembered = state.map_or(0, window::State::count);
        let machine = Machine::Window { low: at.value(poll.low())?, poll, leaves };
        let mut sweep = self.sweep(machine, queries, observed, watch);
        if repeats {
            let table = at.table;
            tracing::warn!(
                table,
                "too much has changed to tell which rows of the window were sent; they are sent again"
            );
        }
        if is_blind {
            self.risk(at.table, "the database's clock was set back further than rows are remembered");
        }
        self.hold(&at, &mut sweep, edge, remembered)?;
        Ok(sweep)
    }

    /// Has the rows again that were remembered when the process stopped, where they were too many to be stored.
    async fn recover(&mut self, at: &At<'_>, connection: &mut dyn SourceConnection, columns: u32) -> Result<()> {
        let stored = self.state.as_ref().and_then(State::window).filter(|state| state.is_sketch());
        let (Some(stored), Some(position)) = (stored, at.position) else { return Ok(()) };
        let planner = &at.binding.planner;
        let Some(query) = planner.window(&at.value(stored.low())?, position) else { return Ok(()) };
        let by_content = self.judged.as_ref().is_some_and(|judged| judged.by_content);
        let mut there = Prints::default();
        let mut take = |print| there.add(print);
        read_prints(connection, &at.binding.definition, &query, by_content, &mut take).await?;
        if let Some(state) = stored.recovered(there, columns) {
            self.state = Some(State::Window(state));
        }
        Ok(())
    }

    /// Whether the window, or the gaps, are left for another poll: looking into them takes long, and was done a moment ago.
    pub(super) fn leaves(&self, at: &At<'_>) -> bool {
        !at.once && self.window_due.is_some_and(|due| Clock::now() < due)
    }

    /// Holds newer rows back where that is the way, or where no more can be remembered.
    fn hold(&mut self, at: &At<'_>, sweep: &mut Sweep, edge: Micros, remembered: usize) -> Result<()> {
        let waits = sweep.low.clock.saturating_sub(edge);
        let most = micros_of(at.spec.guard.max_wait);
        let (on_timeout, way) = (at.spec.guard.on_timeout, self.way());
        let is_overdue = match way {
            Way::Window => remembered > window::STORED,
            Way::Hold => waits > most,
            _ => false,
        };
        let holder = sweep.low.oldest.as_ref().and_then(|(_, holder)| holder.clone());
        let holder = holder.unwrap_or_else(|| "a transaction".to_owned());
        let blocker = format!("{holder}, open for up to {} s", waits / 1_000_000);
        if is_overdue && on_timeout == OnTimeout::Fail {
            let message = format!("newer rows wait for {blocker}, and commit.guard.on.timeout=fail");
            return Err(Error::new(ErrorKind::Refused, message)
                .advise("end that transaction, or set commit.guard.on.timeout to hold or rescan"));
        }
        let reads_on = is_overdue && on_timeout == OnTimeout::Rescan && remembered <= MOST_REMEMBERED;
        let holds = if way == Way::Hold { !reads_on } else { is_overdue && !reads_on };
        let level = match way {
            _ if reads_on => Level::Rescan,
            Way::Window if holds => Level::Hold,
            way => way.level(),
        };
        if reads_on && self.status.level != level.as_str() {
            let table = at.table;
            tracing::warn!(
                table,
                blocker,
                "reading on beside an open transaction; a restart may repeat what is read meanwhile"
            );
        }
        self.status.level = level.as_str();
        // A moment's wait is none.
        let is_long = way != Way::Hold || waits > LONG_WAIT && sweep.low.oldest.is_some();
        sweep.blocker = (holds && is_long).then_some(blocker);
        sweep.upper = match (holds, way, at.position) {
            (false, ..) => None,
            (true, Way::Hold, _) => Some(at.value(at.clock.lowest_from(edge))?),
            // What is remembered is full: nothing newer is read at all.
            (true, _, position) => position.and_then(|position| position.0.first().cloned()),
        };
        Ok(())
    }

    /// Late rows were looked for, unless that was left for another poll.
    pub(super) fn looked(&mut self, leaves: bool, took: Duration) {
        if !leaves {
            self.window_due = (took > QUICK).then(|| Clock::now() + took * 9);
        }
    }

    /// Where writers cannot be seen and the window has more rows than should be read again at each poll, it is made
    /// narrower; `width` is what it is.
    pub(super) fn narrow(&mut self, table: &str, rows: usize, width: Micros) {
        if rows <= MOST_UNSEEN || self.judged.as_ref().is_some_and(|judged| judged.sees_writers) {
            return;
        }
        let width = width / 2;
        self.narrowed = Some(width);
        let seconds = width as f64 / 1e6;
        self.risk(
            table,
            &format!(
                "more than {MOST_UNSEEN} rows would be read again at each poll, so only those of the last {seconds:.1} s \
                 are; transactions open for longer are not covered"
            ),
        );
    }
}

/// Stands for the columns that rows hold.
fn columns_tag(definition: &TableDefinition) -> u32 {
    let columns = definition.columns.iter();
    let hash = columns.fold(Hash::default(), |hash, column| {
        hash.with(column.field.name.as_bytes()).with(&[0]).with(column.database_type.as_bytes()).with(&[0])
    });
    hash.half()
}
