//! The way `gaps`, for ids that are handed out in order: an id that was passed over without being seen is a gap, and a row
//! that appears in one is late. A gap is closed when its row has come, or when nothing that is open can fill it any more.
//! Exact where ids are handed out one at a time and the low edge is known; an update of a row that was seen is no late row.
//!
//! Between two polls this holds: every row at or below the cursor whose id lies in no gap has been emitted or will never
//! come; none whose id lies in a gap has been emitted.

use std::fmt::Write as _;

use crate::model::{CursorKind, CursorValue, Micros, RangeSet};

/// How many gaps are kept; beyond that the lowest are given up, and it is said. The load of a table whose rows were
/// deleted here and there passes many, until it is known that nothing is open that could fill them.
const MOST: usize = 100_000;
/// How many characters of them ride in an offset: nearly always all of them, for a gap is some four, and what is left out
/// may be lost.
const STORED: usize = 1 << 19;
/// How many polls are remembered to find the id that had been reached at a time.
const PAST: usize = 64;

/// What is kept from poll to poll, and stored with the offset. Ids are moved into the unsigned range, order kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// Ids below it cannot come any more.
    low: u64,
    gaps: RangeSet,
    /// There were more gaps than were stored.
    is_cut: bool,
}

/// Which ids had been handed out by when, in memory only: what begins later than a time gets ids beyond those seen before.
#[derive(Debug, Clone, Default)]
pub struct Past(Vec<(Micros, u64)>);

/// One poll.
#[derive(Debug)]
pub struct Poll {
    /// The gaps to look into, by their ids.
    pub gaps: RangeSet,
    next: State,
    last: Option<u64>,
}

/// An id in the unsigned range, order kept; none of a kind that has no next one.
pub fn number(id: &CursorValue<'_>, kind: CursorKind) -> Option<u64> {
    match (kind, id) {
        (CursorKind::Integer, CursorValue::Integer(id)) => Some((*id as u64) ^ (1 << 63)),
        (CursorKind::Unsigned, CursorValue::Integer(id)) => u64::try_from(*id).ok(),
        (CursorKind::Unsigned, CursorValue::Unsigned(id)) => Some(*id),
        _ => None,
    }
}

/// What [`number`] was made of.
pub fn value(number: u64, kind: CursorKind) -> CursorValue<'static> {
    match (kind, i64::try_from(number)) {
        (CursorKind::Unsigned, Ok(number)) => CursorValue::Integer(number),
        (CursorKind::Unsigned, Err(_)) => CursorValue::Unsigned(number),
        _ => CursorValue::Integer((number ^ (1 << 63)) as i64),
    }
}

impl Past {
    /// At `clock`, observed after it, the greatest id seen was this.
    pub fn seen(&mut self, clock: Micros, greatest: u64) {
        self.0.push((clock, greatest));
        if self.0.len() > PAST {
            // Every other one is enough for what is long ago.
            let mut index = 0;
            self.0.retain(|_| {
                index += 1;
                index % 2 == 0 || index > PAST / 2
            });
        }
    }

    /// Ids up to this one had been handed out before a time; what happened at the very same time is not known.
    pub fn before(&self, time: Micros) -> Option<u64> {
        self.0.iter().filter(|(clock, _)| *clock < time).map(|(_, greatest)| *greatest).max()
    }
}

impl State {
    /// Begins a poll. `low` is the time since when all that is open began, where it is known; `cursor` the last id emitted;
    /// `leaves` leaves the gaps for another poll.
    pub fn poll(state: Option<&Self>, past: &Past, low: Option<Micros>, cursor: Option<u64>, leaves: bool) -> Poll {
        let Self { low: before, gaps, .. } = state.cloned().unwrap_or_default();
        let reached = low.and_then(|low| past.before(low)).map_or(0, |greatest| greatest.saturating_add(1));
        let (low, looked) = if leaves { (before, RangeSet::default()) } else { (before.max(reached), gaps.clone()) };
        Poll { gaps: looked, next: State { low, gaps, is_cut: false }, last: cursor }
    }

    /// How many ids lie in gaps.
    pub fn count(&self) -> u64 {
        self.gaps.count()
    }

    /// Whether gaps are not known that there were when it was stored.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// `low;end;steps`: from the end of the highest gap downwards, how many ids are a gap, how many are none, and so on;
    /// then `;cut` if there are more.
    pub fn to_text(&self) -> String {
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

    /// Reads [`State::to_text`] back; none if it is not one.
    pub fn from_text(text: &str) -> Option<Self> {
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

impl Poll {
    /// A row after the cursor, in order. All below the very first one is a gap.
    pub fn forward(&mut self, id: u64) {
        self.next.gaps.add(self.last.map_or(0, |last| last.saturating_add(1)), id);
        self.last = Some(id);
    }

    /// A row at or below the cursor. Whether it lies in a gap, and so is late and to be emitted, with all rows of its id.
    pub fn late(&mut self, id: u64) -> bool {
        let is_late = self.gaps.contains(id);
        self.next.gaps.remove(id, id.saturating_add(1));
        is_late
    }

    /// The state once everything is read, and whether gaps were given up because there were too many.
    pub fn finish(self) -> (State, bool) {
        // What could fill a gap below the low edge had ended before the view, so its row would have been there.
        let (gaps, gave_up) = highest(self.next.gaps.from(self.next.low), MOST);
        (State { low: self.next.low, gaps, is_cut: false }, gave_up)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_their_order_and_come_back() {
        let of = |id| number(&CursorValue::Integer(id), CursorKind::Integer).unwrap();
        for id in [i64::MIN, -1, 0, 1, i64::MAX] {
            assert_eq!(value(of(id), CursorKind::Integer), CursorValue::Integer(id));
        }
        assert!(of(i64::MIN) == 0 && of(-1) < of(0));
        let of = |id| number(&id, CursorKind::Unsigned);
        assert_eq!(of(CursorValue::Integer(5)), Some(5));
        assert_eq!(of(CursorValue::Unsigned(u64::MAX)), Some(u64::MAX));
        assert_eq!(value(u64::MAX, CursorKind::Unsigned), CursorValue::Unsigned(u64::MAX));
        assert_eq!(value(5, CursorKind::Unsigned), CursorValue::Integer(5));
        assert_eq!(number(&CursorValue::Text("1".into()), CursorKind::Text), None);
    }

    #[test]
    fn a_state_goes_round_and_nothing_else_is_one() {
        let unsigned = |id| number(&CursorValue::Integer(id), CursorKind::Integer).unwrap();
        for ids in [vec![], vec![-3, 9], vec![i64::MIN, 1, 2, 3, 5, 6, 8]] {
            let gaps: RangeSet = ids.iter().map(|id| unsigned(*id)).collect();
            let state = State { low: unsigned(5), gaps, is_cut: false };
            assert_eq!(State::from_text(&state.to_text()), Some(state.clone()), "{}", state.to_text());
            assert_eq!(state.count(), ids.len() as u64);
        }
        let state = State { low: 1, gaps: [3, 5, 6, 9].into_iter().collect(), is_cut: false };
        assert_eq!(state.to_text(), "1;10;1,2,2,1,1");
        for text in ["", "1;2", "1;2;x", "1;2;3", "1;2;0", "1;9;1,", "1;9;1;4", "1;9;1;cut;"] {
            assert_eq!(State::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn the_lowest_of_too_many_gaps_are_given_up() {
        let mut poll = State::poll(None, &Past::default(), None, Some(0), false);
        (1..=MOST as u64 + 10).for_each(|n| poll.forward(n * 2));
        let (state, gave_up) = poll.finish();
        assert!(gave_up);
        assert_eq!((state.count(), state.gaps.first()), (MOST as u64, Some(21)));
        assert_eq!(State::from_text(&state.to_text()).as_ref(), Some(&state), "all are stored");
        let stored = State::from_text(&state.to_text_of(4_000)).unwrap();
        assert!(stored.is_cut() && (1_000..1_010).contains(&stored.count()), "{}", stored.count());
        assert_eq!(stored.gaps.ranges().last(), state.gaps.ranges().last());
    }

    #[test]
    fn all_rows_of_an_id_in_a_gap_are_late_and_none_is_once_it_is_closed() {
        let mut poll = State::poll(None, &Past::default(), None, Some(0), false);
        [1, 5, 5].into_iter().for_each(|id| poll.forward(id));
        let (state, _) = poll.finish();
        assert_eq!(state.count(), 3, "2, 3 and 4");
        let mut poll = State::poll(Some(&state), &Past::default(), None, Some(5), false);
        assert_eq!([3, 3, 5].map(|id| poll.late(id)), [true, true, false]);
        let (state, _) = poll.finish();
        assert!(!State::poll(Some(&state), &Past::default(), None, Some(5), false).late(3));
    }

    #[test]
    fn gaps_that_are_left_for_another_poll_stay_open() {
        let mut past = Past::default();
        past.seen(5, 10);
        let mut poll = State::poll(None, &past, None, Some(0), false);
        [2, 4].into_iter().for_each(|id| poll.forward(id));
        let (state, _) = poll.finish();
        let left = State::poll(Some(&state), &past, Some(9), Some(4), true);
        assert!(left.gaps.is_empty());
        let (state, _) = left.finish();
        assert_eq!(state.count(), 2);
        let looked = State::poll(Some(&state), &past, Some(9), Some(4), false);
        assert_eq!((looked.gaps.count(), looked.finish().0.count()), (2, 0));
    }
}
