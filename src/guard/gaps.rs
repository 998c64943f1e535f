//! The method `gaps`, for ids that are handed out in order: an id that was passed over without being seen is a gap, and a row
//! that appears in one is late. A gap is closed when its row has come, or when nothing that is open can fill it any more.
//! Exact where ids are handed out one at a time and the low watermark is known; an update of a row that was seen is no late row.
//!
//! Between two polls this holds: every row at or below the cursor whose id lies in no gap has been emitted or will never
//! come; none whose id lies in a gap has been emitted.

use std::fmt::Write as _;
use std::sync::Arc;

use super::facts::{Facts, Missing, Supported, joined};
use super::fingerprint::SeenRow;
use super::id_history::{IdHistory, number, value};
use super::leave::Leave;
use super::level::Level;
use super::method::{
    Answer, At, LateQuery, Mark, Method, Needs, Notice, Outcome, Poll, Question, ReadPlan, Seen, State, ToText, Turn,
    another_answer, unbounded,
};
use super::{CursorNeed, MethodDefinition, Words};
use crate::error::Result;
use crate::model::{CursorKind, Micros, RangeSet, micros_of};

/// The method.
pub(super) static DEFINITION: MethodDefinition = MethodDefinition {
    name: "gaps",
    level: Level::Exact,
    words: Some(Words { instants: "gaps-2", walls: "gaps-2" }),
    needs: Needs::Transactions,
    cursor: CursorNeed::Ids,
    tables_only: false,
    databases: &[],
    requirement,
    bound: unbounded,
    resume,
};

/// The most gaps that are kept; beyond that the lowest are given up, and it is said. The load of a table whose rows
/// were deleted here and there passes many, until it is known that nothing is open that could fill them.
const MOST: usize = 100_000;
/// The most characters of them in an offset: nearly always all of them, for a gap is some four. Gaps left out may be
/// lost.
const STORED: usize = 1 << 19;
/// The number of gaps that one statement looks into.
const GAPS_AT_ONCE: usize = 500;

/// The state from poll to poll, stored with the offset. Ids are moved into the unsigned range, order kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct GapsState {
    /// The id below which none can come any more.
    low: u64,
    gaps: RangeSet,
    /// True if there were more gaps than were stored.
    is_cut: bool,
}

/// One poll.
#[derive(Debug)]
pub(super) struct GapsStep {
    /// The gaps to look into, by their ids.
    pub(super) gaps: RangeSet,
    next: GapsState,
    last: Option<u64>,
}

impl GapsState {
    /// Begins a poll. `low` is the time since when all that is open began, where it is known; `cursor` the last id emitted;
    /// `leaves` leaves the gaps for another poll.
    pub(super) fn poll(
        state: Option<&Self>,
        ids: &IdHistory,
        low: Option<Micros>,
        cursor: Option<u64>,
        leaves: bool,
    ) -> GapsStep {
        let Self { low: before, gaps, .. } = state.cloned().unwrap_or_default();
        let reached = low.and_then(|low| ids.before(low)).map_or(0, |greatest| greatest.saturating_add(1));
        let (low, looked) = if leaves { (before, RangeSet::default()) } else { (before.max(reached), gaps.clone()) };
        GapsStep { gaps: looked, next: GapsState { low, gaps, is_cut: false }, last: cursor }
    }

    /// The number of ids in gaps.
    pub(super) fn count(&self) -> u64 {
        self.gaps.count()
    }

    /// True if it was stored with fewer gaps than there were.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// `low;end;steps`: from the end of the highest gap downwards, the lengths of gaps and of the ranges between them
    /// in turn; then `;cut` if there are more.
    pub(super) fn to_text(&self) -> String {
        self.to_text_of(STORED)
    }

    fn to_text_of(&self, most: usize) -> String {
        let end = self.gaps.ranges().last().map_or(self.low, |(_, end)| *end);
        let mut text = format!("{};{end};", self.low);
        let most = text.len() + most;
        let mut at = end;
        for (from, to) in self.gaps.ranges().iter().rev() {
            if text.len() > most {
                text.push_str(";cut");
                break;
            }
            // Writing to a String cannot fail.
            let _ = match at - to {
                0 => write!(text, "{}", to - from),
                between => write!(text, ",{between},{}", to - from),
            };
            at = *from;
        }
        text
    }

    /// Reads [`GapsState::to_text`] back; none if it is not one.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let mut fields = text.split(';');
        let (low, end, steps) = (fields.next()?, fields.next()?, fields.next()?);
        let (mut downwards, mut at, mut is_gap) = (Vec::new(), end.parse::<u64>().ok()?, true);
        for step in steps.split(',').filter(|_| !steps.is_empty()) {
            let from = at.checked_sub(step.parse().ok().filter(|step| *step > 0)?)?;
            if is_gap {
                downwards.push((from, at));
            }
            (at, is_gap) = (from, !is_gap);
        }
        let mut gaps = RangeSet::default();
        downwards.iter().rev().for_each(|(from, to)| gaps.add(*from, *to));
        let is_cut = match fields.next() {
            Some("cut") => true,
            Some(_) => return None,
            None => false,
        };
        fields.next().is_none().then_some(Self { low: low.parse().ok()?, gaps, is_cut })
    }
}

impl GapsStep {
    /// A row after the cursor, in order. All below the very first one is a gap.
    pub(super) fn forward(&mut self, id: u64) {
        self.next.gaps.add(self.last.map_or(0, |last| last.saturating_add(1)), id);
        self.last = Some(id);
    }

    /// A row at or below the cursor. Whether it lies in a gap, and so is late and to be emitted, with all rows of its id.
    pub(super) fn late(&mut self, id: u64) -> bool {
        let is_late = self.gaps.contains(id);
        self.next.gaps.remove(id, id.saturating_add(1));
        is_late
    }

    /// The state once everything is read, and whether gaps were given up because there were too many.
    pub(super) fn finish(self) -> (GapsState, bool) {
        // A transaction that could fill a gap below the low watermark had ended before the view, so its row would have
        // been there.
        let (gaps, gave_up) = highest(self.next.gaps.from(self.next.low), MOST);
        (GapsState { low: self.next.low, gaps, is_cut: false }, gave_up)
    }
}

/// The highest ranges, no more than so many, and whether there were more.
fn highest(ranges: RangeSet, most: usize) -> (RangeSet, bool) {
    match ranges.ranges().len().checked_sub(most + 1) {
        Some(last) => {
            let (_, end) = ranges.ranges()[last];
            (ranges.from(end), true)
        }
        None => (ranges, false),
    }
}

fn requirement(facts: &Facts) -> Result<Supported, Missing> {
    if !matches!(facts.cursor.id_kind, Some(CursorKind::Integer | CursorKind::Unsigned)) {
        return Err(Missing::new("only numbers have gaps between them", "use mode=timestamp+incrementing"));
    }
    let window = facts.window.as_secs_f64();
    let text = "not covered: ids that a client assigns itself, below those read";
    let more = match (facts.id_block, &facts.writers) {
        (0, Ok(except)) => except.clone(),
        (0, Err(_)) => facts.of_unseen_writers(),
        (block, _) => format!(
            "rows that come more than {window} s (commit.guard.window.ms) after greater ids, for ids are taken {block} at once"
        ),
    };
    let partial = facts.shared_ids();
    let shared = partial.as_ref().map_or("", |shared| &shared.reason);
    let unused = facts.writers.clone().err().filter(|_| facts.id_block == 0);
    Ok(Supported { except: joined(&[shared, text, &more]), partial, unused })
}

fn resume(text: Option<&str>) -> Option<Box<dyn Method>> {
    let state = text.map_or(Some(None), |text| GapsState::from_text(text).map(Some))?.map(Arc::new);
    Some(Box::new(Gaps { state, ids: IdHistory::default(), leave: Leave::default() }))
}

/// The method's state.
#[derive(Debug, Clone)]
struct Gaps {
    state: Option<Arc<GapsState>>,
    ids: IdHistory,
    leave: Leave,
}

impl ToText for GapsState {
    fn to_text(&self) -> String {
        self.to_text()
    }
}

impl Method for Gaps {
    fn begin(&self, at: &At<'_>, seen: &Seen) -> Result<Box<dyn Poll>> {
        let kind = at.id_kind()?;
        let cursor = at.position.and_then(|position| position.0.first()).and_then(|id| number(id, kind));
        let low = &seen.low;
        let sees_writers = at.facts.sees_writers() && at.facts.id_block == 0 && !low.has_unknown;
        let closed = match sees_writers {
            true => low.known.saturating_sub(micros_of(at.facts.visibility_lag)),
            false => low.clock.saturating_sub(micros_of(at.facts.window)),
        };
        let leaves = self.leave.leaves(at) && self.state.is_some();
        let mut method = self.clone();
        if !seen.is_first_here && !seen.is_same {
            method.ids = method.ids.at(low.clock, cursor);
        }
        let step = GapsState::poll(method.state.as_deref(), &method.ids, Some(closed), cursor, leaves);
        let asks = seen.is_first_here;
        Ok(Box::new(GapsPoll { method, step, kind, closed, cursor, leaves, asks }))
    }

    fn state(&self) -> Option<State> {
        self.state.clone().map(|state| state as State)
    }

    fn risk(&self) -> Option<&'static str> {
        let is_cut = self.state.as_ref().is_some_and(|state| state.is_cut());
        is_cut
            .then_some("there were more gaps between ids than an offset holds; the lowest are not looked into any more")
    }
}

/// One poll of the method.
struct GapsPoll {
    method: Gaps,
    step: GapsStep,
    kind: CursorKind,
    /// The time since when all that is open began.
    closed: Micros,
    cursor: Option<u64>,
    /// True if the gaps are left for another poll.
    leaves: bool,
    /// True if the greatest id is not known and has to be asked for.
    asks: bool,
}

impl Poll for GapsPoll {
    fn next(&mut self, _: &At<'_>, answer: Option<Answer>) -> Result<Turn> {
        match answer {
            None if self.asks => return Ok(Turn::Ask(Question::GreatestId)),
            None => {}
            Some(Answer::GreatestId(greatest)) => {
                // Transactions that begin from now on get greater ids.
                self.method.ids = IdHistory::new(greatest.and_then(|id| number(&id, self.kind)));
                let (state, ids) = (self.method.state.as_deref(), &self.method.ids);
                self.step = GapsState::poll(state, ids, Some(self.closed), self.cursor, self.leaves);
            }
            Some(_) => return Err(another_answer()),
        }
        let ranges = self.step.gaps.ranges().iter();
        let ranges: Vec<_> = ranges.map(|(from, to)| (value(*from, self.kind), value(to - 1, self.kind))).collect();
        let queries = ranges.chunks(GAPS_AT_ONCE).map(|chunk| LateQuery::Ids(chunk.to_vec())).collect();
        Ok(Turn::Read(ReadPlan { queries, ..ReadPlan::default() }))
    }

    fn mark(&self, row: &SeenRow<'_>) -> Option<Mark> {
        let id = row.cursor.first().and_then(|id| number(id, self.kind))?;
        Some(Mark { xid: None, row: None, number: i128::from(id) })
    }

    fn emitted(&mut self, mark: Mark) {
        self.step.forward(mark.number as u64);
    }

    fn offer(&mut self, row: &SeenRow<'_>) -> bool {
        let id = row.cursor.first().and_then(|id| number(id, self.kind));
        id.is_some_and(|id| self.step.late(id))
    }

    fn end(self: Box<Self>, took: Micros, steady: Micros) -> Outcome {
        let Self { mut method, step, leaves, .. } = *self;
        if !leaves {
            method.leave.looked(took, steady);
        }
        let (state, gave_up) = step.finish();
        let gave_up = gave_up.then(|| {
            Notice::Risk("there were too many gaps between ids to look into; the lowest were given up".to_owned())
        });
        let hidden = state.count();
        method.state = Some(Arc::new(state));
        let notices = gave_up.into_iter().collect();
        Outcome { method: Box::new(method), low: None, hidden, must_store: false, has_left: leaves, notices }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CursorValue;

    #[test]
    fn a_state_goes_round_and_nothing_else_is_one() {
        let unsigned = |id| number(&CursorValue::Integer(id), CursorKind::Integer).unwrap();
        for ids in [vec![], vec![-3, 9], vec![i64::MIN, 1, 2, 3, 5, 6, 8]] {
            let gaps: RangeSet = ids.iter().map(|id| unsigned(*id)).collect();
            let state = GapsState { low: unsigned(5), gaps, is_cut: false };
            assert_eq!(GapsState::from_text(&state.to_text()), Some(state.clone()), "{}", state.to_text());
            assert_eq!(state.count(), ids.len() as u64);
        }
        let state = GapsState { low: 1, gaps: [3, 5, 6, 9].into_iter().collect(), is_cut: false };
        assert_eq!(state.to_text(), "1;10;1,2,2,1,1");
        for text in ["", "1;2", "1;2;x", "1;2;3", "1;2;0", "1;9;1,", "1;9;1;4", "1;9;1;cut;"] {
            assert_eq!(GapsState::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn the_lowest_of_too_many_gaps_are_given_up() {
        let mut poll = GapsState::poll(None, &IdHistory::default(), None, Some(0), false);
        (1..=MOST as u64 + 10).for_each(|n| poll.forward(n * 2));
        let (state, gave_up) = poll.finish();
        assert!(gave_up);
        assert_eq!((state.count(), state.gaps.first()), (MOST as u64, Some(21)));
        assert_eq!(GapsState::from_text(&state.to_text()).as_ref(), Some(&state), "all are stored");
        let stored = GapsState::from_text(&state.to_text_of(4_000)).unwrap();
        assert!(stored.is_cut() && (1_000..1_010).contains(&stored.count()), "{}", stored.count());
        assert_eq!(stored.gaps.ranges().last(), state.gaps.ranges().last());
    }

    #[test]
    fn all_rows_of_an_id_in_a_gap_are_late_and_none_is_once_it_is_closed() {
        let mut poll = GapsState::poll(None, &IdHistory::default(), None, Some(0), false);
        [1, 5, 5].into_iter().for_each(|id| poll.forward(id));
        let (state, _) = poll.finish();
        assert_eq!(state.count(), 3, "2, 3 and 4");
        let mut poll = GapsState::poll(Some(&state), &IdHistory::default(), None, Some(5), false);
        assert_eq!([3, 3, 5].map(|id| poll.late(id)), [true, true, false]);
        let (state, _) = poll.finish();
        assert!(!GapsState::poll(Some(&state), &IdHistory::default(), None, Some(5), false).late(3));
    }

    #[test]
    fn gaps_that_are_left_for_another_poll_stay_open() {
        let past = IdHistory::default().at(5, Some(10));
        let mut poll = GapsState::poll(None, &past, None, Some(0), false);
        [2, 4].into_iter().for_each(|id| poll.forward(id));
        let (state, _) = poll.finish();
        let left = GapsState::poll(Some(&state), &past, Some(9), Some(4), true);
        assert!(left.gaps.is_empty());
        let (state, _) = left.finish();
        assert_eq!(state.count(), 2);
        let looked = GapsState::poll(Some(&state), &past, Some(9), Some(4), false);
        assert_eq!((looked.gaps.count(), looked.finish().0.count()), (2, 0));
    }
}
