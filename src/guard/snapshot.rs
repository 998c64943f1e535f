//! The way `snapshot`: late rows are found by their transactions. Each poll is one view of the database; a row below
//! the cursor is late if the transaction that wrote it was not visible in the view before. Exact, never waits.
//!
//! Between two polls this holds, and is what a restart goes on from: every row at or below the cursor that was visible
//! in the last view has been emitted, and none whose id is hidden, unsure, or not below the end of that view.
//!
//! Ids are those of transactions *and subtransactions*, of 64 bits. The list of running transactions that a view has
//! names no subtransaction, so every id that had been handed out is asked for by itself, after the view was taken.

use super::edge::Low;
use crate::model::{Micros, RangeSet, ViewAnswer, ViewQuestion};

/// A transaction takes its time a moment before it can be seen to be open.
pub const SLACK: Micros = 1_000_000;
/// Ids further apart than this cannot be told apart by the 32 bits a row has.
const REACH: u64 = 1 << 31;

/// What is kept from poll to poll, and stored with the offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    xmin: u64,
    xmax: u64,
    hidden: RangeSet,
    unsure: RangeSet,
    low: Micros,
}

/// Where the cursor of a table stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    /// Its time; none before the first row.
    pub time: Option<Micros>,
    /// The lowest time the clock may have shown since the last poll, where it has stepped back.
    pub stepped_back: Option<Micros>,
    /// How far the times of the table may lie behind the database's clock, because they were written in another zone
    /// and do not tell: no more than its newest one does.
    pub behind: Micros,
    /// The view is that of the last poll, which had more to read than a page.
    pub is_same_view: bool,
}

/// Rows at or below the cursor and at or above a time whose id is among these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateRows {
    /// They are late, and are to be emitted; else only their ids are wanted.
    pub emit: bool,
    /// The low end of the window, slack included.
    pub low: Micros,
    /// Ids that may have become visible since the last view; none stands for all, where ids cannot tell any more.
    pub ids: Option<RangeSet>,
}

/// What a poll has to read besides the rows after the cursor, and the state it leads to.
#[derive(Debug)]
pub struct Poll {
    /// The query for late rows; none where there can be none.
    pub late: Option<LateRows>,
    /// The last view lies in the future of this one, or too far in the past: where the state could not be used.
    pub broken: Option<Broken>,
    /// Ids of which it is not known whether the view shows them. A row that carries one says that it does.
    unsure: RangeSet,
    next: State,
}

/// Why a stored state cannot be gone on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The database has handed out fewer ids than the state knows: it was set back to an earlier time.
    Rewound,
    /// More than 2^31 ids have been handed out since; rows of the window may be repeated.
    WrappedAround,
}

impl State {
    /// What to ask once the next view is taken.
    pub fn question(state: Option<&Self>) -> ViewQuestion {
        state.map_or_else(ViewQuestion::default, |state| ViewQuestion {
            since: state.xmax,
            hidden: state.hidden.clone(),
        })
    }

    /// Begins a poll: `low` is the low edge as of an observation before the view was taken.
    pub fn poll(state: Option<&Self>, answer: &ViewAnswer, low: &Low, cursor: Cursor, window: Micros) -> Poll {
        let view = &answer.view;
        let rewound = state.is_some_and(|state| view.xmax < state.xmax);
        let old = state.filter(|_| !rewound);
        let wrapped = old.is_some_and(|old| view.xmax - old.hidden.first().unwrap_or(old.xmax) >= REACH);
        let running: RangeSet = view.running.iter().copied().collect();

        // What may have been hidden from the last view, and what is new in this one.
        let mut known = old.map_or_else(RangeSet::default, |old| old.hidden.clone());
        known.add(old.map_or(view.xmin, |old| old.xmax), view.xmax);

        let mut hidden = running.clone();
        hidden.extend(&answer.in_progress);

        // An id that has ended by now had ended before the view was taken, unless its parent has ended in between.
        let mut unsure =
            if answer.is_settled { RangeSet::default() } else { known.clone().from(view.xmin).without(&hidden) };
        if let Some(old) = old.filter(|_| cursor.is_same_view) {
            // It hides what it has hidden.
            unsure.extend(&old.unsure);
        }
        // The clock has stepped back while nobody looked: how far is not known.
        let unnoticed = old.filter(|old| low.clock < old.low).map(|_| low.clock.saturating_sub(window));
        let stepped_back = cursor.stepped_back.into_iter().chain(unnoticed).min().unwrap_or(Micros::MAX);
        let reach = |low: Micros| low.saturating_sub(SLACK).saturating_sub(cursor.behind);
        let at_first = low.known.min(low.clock.saturating_sub(window));
        let late = match old {
            Some(old) => {
                known.extend(&old.unsure);
                let ids = known.without(&hidden);
                let low = reach(old.low.min(stepped_back));
                let any = wrapped || !ids.is_empty();
                any.then_some(LateRows { emit: true, low, ids: (!wrapped).then_some(ids) })
            }
            // What is at or below a cursor that somebody else has moved counts as emitted if it is visible.
            None if unsure.is_empty() => None,
            None => Some(LateRows { emit: false, low: reach(at_first), ids: Some(unsure.clone()) }),
        };
        let late = late.filter(|late| cursor.time.is_some_and(|time| time >= late.low));
        let low = match old {
            // What the clock did before is not known.
            None => at_first,
            Some(_) if !low.has_unknown => low.known,
            // Whatever is open was so at the last view, or began after it.
            Some(old) => low.known.min(old.low).min(stepped_back),
        };
        let next = State {
            xmin: view.xmin,
            xmax: view.xmax,
            hidden: hidden.from(view.xmin),
            unsure: RangeSet::default(),
            low,
        };
        let broken = match (rewound, wrapped) {
            (true, _) => Some(Broken::Rewound),
            (false, true) => Some(Broken::WrappedAround),
            (false, false) => None,
        };
        Poll { late, broken, unsure, next }
    }

    /// The low edge.
    pub fn low(&self) -> Micros {
        self.low
    }

    /// How many ids may be hidden.
    pub fn hidden_count(&self) -> u64 {
        self.hidden.count() + self.unsure.count()
    }

    /// Whether this has to be stored although no row was emitted since `stored` was: a restart could not go on from
    /// that any more.
    pub fn outdates(&self, stored: &Self) -> bool {
        self.low < stored.low || self.xmax.saturating_sub(stored.xmin) >= REACH / 8
    }

    /// `xmin;xmax;low;hidden;unsure`, the ids relative to `xmin`.
    pub fn to_text(&self) -> String {
        let (hidden, unsure) = (self.hidden.to_text(self.xmin), self.unsure.to_text(self.xmin));
        format!("{};{};{};{hidden};{unsure}", self.xmin, self.xmax - self.xmin, self.low)
    }

    /// Reads [`State::to_text`] back; none if it is not one.
    pub fn from_text(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split(';').collect();
        let [xmin, width, low, hidden, unsure] = fields.as_slice() else { return None };
        let xmin: u64 = xmin.parse().ok()?;
        let xmax = xmin.checked_add(width.parse().ok()?)?;
        let set = |text: &str| {
            let set = RangeSet::from_text(text, xmin)?;
            set.clone().from(xmax).is_empty().then_some(set)
        };
        Some(Self { xmin, xmax, low: low.parse().ok()?, hidden: set(hidden)?, unsure: set(unsure)? })
    }
}

impl Poll {
    /// Whether the ids of the rows read matter: each is to be told to [`Poll::saw`].
    pub fn wants_ids(&self) -> bool {
        !self.unsure.is_empty()
    }

    /// The low end of the window of the next poll, unless the clock steps back.
    pub fn next_low(&self) -> Micros {
        self.next.low.saturating_sub(SLACK)
    }

    /// A row of this id was read in the view, late or not.
    pub fn saw(&mut self, id: u64) {
        if self.unsure.contains(id) {
            self.unsure.remove(id, id + 1);
        }
    }

    /// The id of 64 bits of a row that has the low half of it.
    pub fn whole_id(&self, half: u32) -> u64 {
        let epoch = self.next.xmax & !u64::from(u32::MAX);
        let id = epoch | u64::from(half);
        if id >= self.next.xmax { id.saturating_sub(1 << 32) } else { id }
    }

    /// The state once everything is read.
    pub fn finish(mut self) -> State {
        self.next.unsure = self.unsure;
        self.next
    }
}

/// The low halves of ids, as ranges with both ends included, ascending and apart; ids that no transaction has are left
/// out.
pub fn halves(ids: &RangeSet) -> Vec<(u32, u32)> {
    /// Below it are ids with a meaning of their own.
    const FIRST: u32 = 3;
    let mut halves = Vec::new();
    for (from, to) in ids.ranges() {
        let last = to - 1;
        let (low, high) = (*from as u32, last as u32);
        match (last - from >= u64::from(u32::MAX), low <= high) {
            (true, _) => halves.push((FIRST, u32::MAX)),
            (false, true) => halves.push((low, high)),
            (false, false) => halves.extend([(low, u32::MAX), (FIRST, high)]),
        }
    }
    halves.sort_unstable();
    let mut apart: Vec<(u32, u32)> = Vec::with_capacity(halves.len());
    for (from, to) in halves.into_iter().map(|(from, to)| (from.max(FIRST), to)).filter(|(from, to)| from <= to) {
        match apart.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => apart.push((from, to)),
        }
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::View;

    fn answer(xmin: u64, xmax: u64) -> ViewAnswer {
        ViewAnswer { view: View { xmin, xmax, running: Vec::new() }, is_settled: true, ..ViewAnswer::default() }
    }

    fn low(clock: Micros) -> Low {
        Low { number: 1, clock, known: clock, has_unknown: false, oldest: None }
    }

    fn state(text: &str) -> State {
        State::from_text(text).unwrap()
    }

    #[test]
    fn a_state_goes_round_and_nothing_else_is_one() {
        let text = "4294967290;20;1700000000000000;0,4-6;9";
        assert_eq!(state(text).to_text(), text);
        assert_eq!(state(text).hidden_count(), 5);
        for text in
            ["", "1;2;3;4", "1;2;3;;;", "x;2;3;;", "1;-2;3;;", "1;2;3;0-2;", "1;2;3;;2", "18446744073709551615;1;0;;"]
        {
            assert_eq!(State::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn nothing_is_looked_for_where_nothing_can_be_late() {
        let before = state("100;0;50000000;;");
        let late = |xmax, time| {
            let cursor = Cursor { time, ..Cursor::default() };
            State::poll(Some(&before), &answer(xmax, xmax), &low(60_000_000), cursor, 0).late
        };
        assert!(late(105, Some(50_000_000)).is_some());
        assert_eq!(late(105, Some(48_000_000)), None, "the cursor is far behind the low edge: a first load");
        assert_eq!(late(105, None), None);
        assert_eq!(late(100, Some(50_000_000)), None, "no id was handed out, and none is hidden");
    }

    #[test]
    fn a_database_set_back_in_time_and_ids_that_wrapped_around_are_noticed() {
        let before = state("5000;10;0;;");
        let cursor = Cursor { time: Some(0), ..Cursor::default() };
        let poll = |xmax| State::poll(Some(&before), &answer(xmax, xmax), &low(0), cursor, 0);
        assert_eq!(poll(5_009).broken, Some(Broken::Rewound));
        assert_eq!(poll(5_010).broken, None);
        let wrapped = poll(5_010 + REACH);
        assert_eq!(wrapped.broken, Some(Broken::WrappedAround));
        assert_eq!(wrapped.late.unwrap().ids, None, "all rows of the window");
    }

    #[test]
    fn ids_are_told_by_their_low_half() {
        let epoch = 7_u64 << 32;
        let poll = State::poll(None, &answer(epoch, epoch + 10), &low(0), Cursor::default(), 0);
        assert_eq!(poll.whole_id(9), epoch + 9);
        assert_eq!(poll.whole_id(10), epoch + 10 - (1 << 32));
        let ids = |from, to| halves(&RangeSet::span(from, to));
        assert_eq!(ids(epoch - 2, epoch + 5), [(3, 4), (u32::MAX - 1, u32::MAX)], "ascending");
        assert_eq!(ids(epoch, epoch + 3), [], "ids that no transaction has");
        assert_eq!(ids(5, 6), [(5, 5)]);
        assert_eq!(ids(0, 1 << 32), [(3, u32::MAX)]);
    }
}
