//! The way `snapshot` of PostgreSQL: late rows are read in the same view as the page, by the transactions that wrote them.

use std::collections::VecDeque;

use super::sweep::{Machine, Sweep};
use super::{At, Late, State, Watch};
use crate::dialect::SourceConnection;
use crate::error::{Error, Result};
use crate::guard::snapshot::{self, Cursor, halves};
use crate::model::{CursorValue, Micros};

/// How much further back than the window of the next poll is expected to reach rows are remembered that were emitted.
const MARGIN: Micros = 60_000_000;

impl Late {
    pub(super) async fn begin_snapshot(
        &mut self,
        at: At<'_>,
        connection: &mut dyn SourceConnection,
        watch: &mut Watch,
    ) -> Result<Sweep> {
        // The observation is made before the view: what begins later takes a later time.
        let (answer, low) = watch.view(connection).await?;
        let state = self.state.as_ref().and_then(State::snapshot);
        let time = at.time()?;
        let behind = at.behind(time, low.clock);
        let is_same_view = self.observed == (watch.life(), low.number);
        let stepped_back = watch.stepped_back_since(self.observed).map(|lowest| at.clock.lowest_from(lowest));
        let cursor = Cursor { time, stepped_back, behind, is_same_view };
        let seen = at.clock.of_low(&low, snapshot::SLACK);
        let window = seen.clock.saturating_sub(at.clock.lowest_from(low.clock.saturating_sub(self.window())));
        let poll = snapshot::State::poll(state, &answer, &seen, cursor, window);
        let (mut queries, mut storage, mut known) = (VecDeque::new(), None, None);
        if let (Some(late), Some(position)) = (&poll.late, at.position) {
            let low = at.value(late.low)?;
            let ids = late.ids.as_ref().map(halves);
            let query = at.binding.planner.late(&low, position, ids.as_deref());
            queries.push_back(query.ok_or_else(|| Error::internal("rows do not tell their transaction"))?);
        }
        if !queries.is_empty() || self.recent.storage.is_none() {
            // Rows that were written anew tell nothing any more; those that have been emitted are known by their cursor.
            let (now, rows) = self.recent.look(connection, &at.binding.definition.relation).await?;
            if rows.is_some() {
                let table = at.table;
                tracing::info!(
                    table,
                    "the table was written anew; rows already sent are told by their cursor this time"
                );
            }
            (storage, known) = (Some(now), rows);
        }
        let from = match at.value(poll.next_low().saturating_sub(behind).saturating_sub(MARGIN))? {
            CursorValue::Timestamp(from) => from,
            _ => Micros::MIN,
        };
        let emits = poll.late.as_ref().is_some_and(|late| late.emit);
        let machine = Machine::Snapshot { poll, emits, known, seen: Vec::new(), from, storage };
        Ok(self.sweep(machine, queries, low, watch))
    }
}
