//! The way `snapshot` of TiDB: everything is read as of one time, and late rows are those that were not there at the last.

use std::collections::VecDeque;
use std::time::Duration;

use super::sweep::{Machine, Sweep, read_prints};
use super::watch::family;
use super::{At, Late, State, Watch, grain};
use crate::dialect::SourceConnection;
use crate::error::{Error, ErrorKind, Result};
use crate::guard::prints::Print;
use crate::guard::{Way, gaps, history};
use crate::model::{CursorValue, Micros, PastView, Position};

/// How far the clocks of the nodes of a cluster may differ from what passes here.
const CLOCKS_APART: Duration = Duration::from_millis(200);

impl Late {
    pub(super) async fn begin_history(
        &mut self,
        at: At<'_>,
        connection: &mut dyn SourceConnection,
        watch: &mut Watch,
    ) -> Result<Sweep> {
        let (past, observed) = watch.past(connection, at.once, std::mem::take(&mut self.is_anew)).await?;
        self.is_before_description = watch
            .past_since()
            .zip(self.judged_at)
            .is_some_and(|(since, judged)| since.saturating_duration_since(judged) < past.settled_after + CLOCKS_APART);
        let planner = &at.binding.planner;
        let state = self.state.as_ref().and_then(State::history);
        let time = at.time()?;
        let (low, upto) = match planner.time_kind() {
            Some(kind) => {
                let edge = at.clock.lowest_from(self.edge(&observed).min(past.as_of));
                let low = i128::from(edge.saturating_sub(at.behind(time, observed.clock)));
                // At the first look of a session not all that is open is known to be as old as it is.
                let low = state.filter(|_| observed.number <= 1).map_or(low, history::State::low);
                (low, time.map(|time| i128::from(time.saturating_add(grain(kind)))))
            }
            None => {
                let upto = self.reach(&at, connection, watch, &observed).await?;
                (self.low_id(&observed, upto), upto.map(i128::from))
            }
        };
        // A stored time that the database forgets would repeat what lies between.
        let quarter = past.as_of.saturating_sub(past.horizon) / 4;
        let must_store =
            self.stored.as_ref().and_then(State::history).is_some_and(|stored| {
                upto >= Some(stored.low()) && past.as_of.saturating_sub(stored.as_of()) > quarter
            });
        let poll = history::State::poll(state, low, past.horizon);
        let mut sweep =
            self.sweep(Machine::History { poll, as_of: past.as_of, must_store }, VecDeque::new(), observed, watch);
        // In the order of ids a row is what it was when it was new, where its cursor tells which it is.
        sweep.by_content &= planner.time_kind().is_some() || !sweep.is_unique;
        let Machine::History { poll, .. } = &mut sweep.machine else { return Ok(sweep) };
        if let Some(position) = at.position
            && upto >= Some(poll.from)
        {
            let from = match (planner.time_kind(), planner.id_kind()) {
                (None, Some(kind)) => gaps::value(u64::try_from(poll.from).unwrap_or(0), kind),
                _ => at.value(Micros::try_from(poll.from).unwrap_or(Micros::MIN))?,
            };
            let window = Window { from: &from, upto: position, by_content: sweep.by_content };
            if has_changed(&at, connection, watch, poll, past, &window).await? {
                sweep.queries.extend(planner.window(&from, position));
            }
        }
        if poll.repeats {
            let table = at.table;
            tracing::warn!(
                table,
                "the database has forgotten the time of the last poll; rows of the window are sent again"
            );
        }
        Ok(sweep)
    }

    /// What an error of the poll means. What is read may be older than the description: of a table that was made or
    /// altered a moment ago it has other columns, and soon has not, so it is tried again. Else it is the table that has
    /// changed since it was described.
    pub(in crate::task) fn judge_error(&self, error: Error) -> Error {
        if self.way() != Way::History || !is_another(&error) || !self.is_before_description {
            return error;
        }
        Error::new(ErrorKind::Query, "the table was another one a moment ago, and that is what is read first")
            .caused_by(error)
    }
}

/// The part of a table where late rows can be.
struct Window<'a> {
    from: &'a CursorValue<'static>,
    upto: &'a Position,
    by_content: bool,
}

/// Whether a window is another than it was at the last poll; if so, what it was is told to `poll`. The view as of now is
/// open before and after.
async fn has_changed(
    at: &At<'_>,
    connection: &mut dyn SourceConnection,
    watch: &mut Watch,
    poll: &mut history::Poll,
    now: PastView,
    window: &Window<'_>,
) -> Result<bool> {
    let Some(before) = poll.before else { return Ok(true) };
    let (planner, definition) = (&at.binding.planner, &at.binding.definition);
    let checksum = planner.window_checksum(window.from, window.upto, (definition, window.by_content));
    let sum_now = match &checksum {
        Some(checksum) => connection.probe(checksum).await?,
        None => None,
    };
    watch.release(connection).await?;
    let read = async {
        let past = family(connection.past_reads())?.begin_past(Some(before)).await?;
        if past.as_of < past.horizon {
            poll.is_forgotten();
            return Ok(true);
        }
        if let Some(checksum) = &checksum
            && connection.probe(checksum).await? == sum_now
        {
            return Ok(false);
        }
        if let Some(query) = planner.window(window.from, window.upto) {
            let mut take = |print: Print| poll.was_there(print);
            read_prints(connection, definition, &query, window.by_content, &mut take).await?;
        }
        Ok(true)
    };
    let read: Result<bool> = read.await;
    let has_changed = match read {
        Err(error) if is_another(&error) => {
            poll.is_forgotten();
            true
        }
        read => read?,
    };
    connection.end_view().await?;
    watch.reopen(connection, now).await?;
    Ok(has_changed)
}

/// The table was another one then, or none at all.
fn is_another(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::SourceSchema | ErrorKind::SchemaChanged)
}
