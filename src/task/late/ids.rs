//! The way `gaps`: ids that were passed over are looked into; and how far ids have been handed out.

use super::sweep::{Machine, Sweep};
use super::{At, Late, State, Watch};
use crate::dialect::SourceConnection;
use crate::error::{Error, Result};
use crate::guard::edge::Low;
use crate::guard::gaps;
use crate::model::{CursorValue, micros_of};

/// How many ids are looked back at the very first poll.
const FIRST_IDS: u64 = 30_000;
/// How many gaps one statement looks into.
const GAPS_AT_ONCE: usize = 500;

impl Late {
    pub(super) async fn begin_gaps(
        &mut self,
        at: At<'_>,
        connection: &mut dyn SourceConnection,
        watch: &mut Watch,
    ) -> Result<Sweep> {
        let low = watch.low(connection, at.spec.polling.interval).await?;
        let planner = &at.binding.planner;
        let kind = planner.id_kind().ok_or_else(|| Error::internal("gaps are those of ids"))?;
        let cursor = self.reach(&at, connection, watch, &low).await?;
        let judged = self.judged.as_ref().filter(|judged| judged.sees_writers && judged.ids_kept == 0);
        let closed = match judged {
            Some(judged) if !low.has_unknown => low.known.saturating_sub(micros_of(judged.head_start)),
            _ => low.clock.saturating_sub(self.window()),
        };
        let state = self.state.as_ref().and_then(State::gaps);
        let leaves = self.leaves(&at) && state.is_some();
        let poll = gaps::State::poll(state, &self.past, Some(closed), cursor, leaves);
        let ranges = poll.gaps.ranges().iter();
        let ranges: Vec<_> = ranges.map(|(from, to)| (gaps::value(*from, kind), gaps::value(to - 1, kind))).collect();
        let queries = ranges.chunks(GAPS_AT_ONCE).filter_map(|chunk| planner.with_ids(chunk)).collect();
        Ok(self.sweep(Machine::Gaps { poll, kind, leaves }, queries, low, watch))
    }

    /// The number of the id the position is at. Notes how far ids had been handed out when the database was observed.
    pub(super) async fn reach(
        &mut self,
        at: &At<'_>,
        connection: &mut dyn SourceConnection,
        watch: &Watch,
        low: &Low,
    ) -> Result<Option<u64>> {
        let planner = &at.binding.planner;
        let kind = planner.id_kind().ok_or_else(|| Error::internal("ids are what is looked for"))?;
        let number = |id: Option<&CursorValue<'_>>| id.and_then(|id| gaps::number(id, kind));
        let cursor = number(at.position.and_then(|position| position.0.first()));
        if self.observed.0 != watch.life() {
            // What begins from now on gets greater ones.
            self.past = gaps::Past::default();
            self.greatest = match planner.extreme_probe() {
                Some(probe) => number(connection.probe(&probe).await?.as_ref()),
                None => None,
            };
        } else if self.observed.1 != low.number
            && let Some(reached) = self.greatest.max(cursor)
        {
            self.past.seen(low.clock, reached);
        }
        Ok(cursor)
    }

    /// Below this no id can come any more. At the very first poll it is assumed.
    pub(super) fn low_id(&self, low: &Low, cursor: Option<u64>) -> i128 {
        let kept = self.judged.as_ref().map_or(0, |judged| judged.ids_kept);
        let (back, reached) = match (&self.state, self.past.before(self.edge(low))) {
            (_, Some(reached)) => (kept, Some(reached)),
            (Some(_), None) => return i128::MIN,
            (None, None) => (kept.max(FIRST_IDS), self.greatest.max(cursor)),
        };
        reached.map_or(0, |reached| i128::from(reached) - i128::from(back))
    }
}
