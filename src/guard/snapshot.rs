//! The method `snapshot`: late rows are found by the transactions that wrote them. Each poll is one view of the database; a row below
//! the cursor is late if the transaction that wrote it was not visible in the view before. Exact, never waits.
//!
//! The invariant between two polls, from which a restart resumes: every row at or below the cursor that was visible in
//! the last view has been emitted, and none whose id is hidden, unsure, or not below the end of that view.
//!
//! Ids are those of transactions *and subtransactions*, of 64 bits. The list of running transactions that a view has
//! names no subtransaction, so every id that had been handed out is asked for by itself, after the view was taken.

use std::collections::HashMap;
use std::sync::Arc;

use super::facts::{Facts, Missing, Supported, joined};
use super::fingerprint::SeenRow;
use super::level::Level;
use super::method::{
    Answer, At, LateQuery, Mark, Method, Needs, Notice, Outcome, Poll, Question, ReadPlan, Seen, SeenView, State,
    ToText, Turn, another_answer, unbounded,
};
use super::recent::{Emitted, Recent};
use super::watermark::LowWatermark;
use super::{CursorNeed, MethodDefinition, Words};
use crate::error::{Error, Result};
use crate::model::{CursorValue, Micros, RangeSet, ViewAnswer};

/// The method.
pub(super) static DEFINITION: MethodDefinition = MethodDefinition {
    name: "snapshot",
    level: Level::Exact,
    words: Some(Words { instants: "snapshot-1", walls: "snapshot-2" }),
    needs: Needs::Snapshot,
    cursor: CursorNeed::Time,
    tables_only: true,
    databases: &["postgresql"],
    requirement,
    bound: unbounded,
    resume,
};

/// The distance by which rows that were emitted are remembered below the window expected for the next poll.
const MARGIN: Micros = 60_000_000;

/// A transaction takes its time a moment before it can be seen to be open.
pub(super) const SLACK: Micros = 1_000_000;
/// Ids further apart than this cannot be told apart by the 32 bits a row has.
const REACH: u64 = 1 << 31;

/// The state from poll to poll, stored with the offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SnapshotState {
    xmin: u64,
    xmax: u64,
    hidden: RangeSet,
    unsure: RangeSet,
    low: Micros,
}

/// The cursor of a table, and the clocks around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct CursorState {
    /// Its time; none before the first row.
    pub(super) time: Option<Micros>,
    /// The lowest time the clock may have shown since the last poll, where it has stepped back.
    pub(super) stepped_back: Option<Micros>,
    /// The lag of the table's times behind the database's clock, at most, because they were written in another zone
    /// that they do not tell: no more than its newest one lags.
    pub(super) behind: Micros,
    /// True if the view is that of the last poll, which had more to read than a page.
    pub(super) is_same_view: bool,
}

/// Rows at or below the cursor and at or above a time whose id is among these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LateRange {
    /// True if they are late, and are to be emitted; else only their ids are wanted.
    pub(super) emit: bool,
    /// The low end of the window, slack included.
    pub(super) low: Micros,
    /// Ids that may have become visible since the last view; none stands for all, where ids cannot tell any more.
    pub(super) ids: Option<RangeSet>,
}

/// The query of a poll for late rows, and the state it leads to.
#[derive(Debug)]
pub(super) struct SnapshotStep {
    /// The query for late rows; none where there can be none.
    pub(super) late: Option<LateRange>,
    /// The last view lies in the future of this one, or too far in the past: where the state could not be used.
    pub(super) broken: Option<Broken>,
    /// Ids that the view may or may not show. A row that carries one says that it does.
    unsure: RangeSet,
    next: SnapshotState,
}

/// The reason why a stored state cannot be resumed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// The database has handed out fewer ids than the state knows: it was set back to an earlier time.
    Rewound,
    /// More than 2^31 ids have been handed out since; rows of the window may be repeated.
    WrappedAround,
}

impl SnapshotState {
    /// The question to be asked once the next view is taken; a connection asks for all its tables.
    #[cfg(test)]
    pub(super) fn question(state: Option<&Self>) -> crate::model::ViewQuestion {
        state.map_or_else(Default::default, |state| crate::model::ViewQuestion {
            since: state.xmax,
            hidden: state.hidden.clone(),
        })
    }

    /// Begins a poll: `low` is the low watermark as of an observation before the view was taken.
    pub(super) fn poll(
        state: Option<&Self>,
        answer: &ViewAnswer,
        low: &LowWatermark,
        cursor: CursorState,
        window: Micros,
    ) -> SnapshotStep {
        let view = &answer.view;
        let rewound = state.is_some_and(|state| view.xmax < state.xmax);
        let old = state.filter(|_| !rewound);
        let wrapped = old.is_some_and(|old| view.xmax - old.hidden.first().unwrap_or(old.xmax) >= REACH);
        // The ids that may have been hidden from the last view, and those that are new in this one.
        let mut known = old.map_or_else(RangeSet::default, |old| old.hidden.clone());
        known.add(old.map_or(view.xmin, |old| old.xmax), view.xmax);

        let mut hidden: RangeSet = view.running.iter().copied().collect();
        hidden.extend(&answer.in_progress);

        // An id that has ended by now had ended before the view was taken, unless its parent has ended in between.
        let mut unsure =
            if answer.is_settled { RangeSet::default() } else { known.clone().from(view.xmin).without(&hidden) };
        if let Some(old) = old.filter(|_| cursor.is_same_view) {
            // The same view hides the same ids.
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
                any.then_some(LateRange { emit: true, low, ids: (!wrapped).then_some(ids) })
            }
            // A visible row at or below a cursor that an operator has moved counts as emitted.
            None if unsure.is_empty() => None,
            None => Some(LateRange { emit: false, low: reach(at_first), ids: Some(unsure.clone()) }),
        };
        let late = late.filter(|late| cursor.time.is_some_and(|time| time >= late.low));
        let low = match old {
            // The clock's steps before are not known.
            None => at_first,
            Some(_) if !low.has_unknown => low.known,
            // Every open transaction was open at the last view, or began after it.
            Some(old) => low.known.min(old.low).min(stepped_back),
        };
        let next = SnapshotState {
            xmin: view.xmin,
            xmax: view.xmax,
            hidden: hidden.from(view.xmin),
            unsure: RangeSet::default(),
            low,
        };
        let broken = if rewound { Some(Broken::Rewound) } else { wrapped.then_some(Broken::WrappedAround) };
        SnapshotStep { late, broken, unsure, next }
    }

    /// The low watermark.
    pub(super) fn low(&self) -> Micros {
        self.low
    }

    /// The number of ids that may be hidden.
    pub(super) fn hidden_count(&self) -> u64 {
        self.hidden.count() + self.unsure.count()
    }

    /// True if this has to be stored although no row was emitted since `stored` was: a restart could not resume from
    /// that any more.
    pub(super) fn outdates(&self, stored: &Self) -> bool {
        self.low < stored.low || self.xmax.saturating_sub(stored.xmin) >= REACH / 8
    }

    /// `xmin;xmax;low;hidden;unsure`, the ids relative to `xmin`.
    pub(super) fn to_text(&self) -> String {
        let (hidden, unsure) = (self.hidden.to_text(self.xmin), self.unsure.to_text(self.xmin));
        format!("{};{};{};{hidden};{unsure}", self.xmin, self.xmax - self.xmin, self.low)
    }

    /// Reads [`SnapshotState::to_text`] back; none if it is not one.
    pub(super) fn from_text(text: &str) -> Option<Self> {
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

impl SnapshotStep {
    /// True if the ids of the rows read matter: each is to be told to [`SnapshotStep::saw`].
    pub(super) fn wants_ids(&self) -> bool {
        !self.unsure.is_empty()
    }

    /// The low end of the window of the next poll, unless the clock steps back.
    pub(super) fn next_low(&self) -> Micros {
        self.next.low.saturating_sub(SLACK)
    }

    /// A row of this id was read in the view, late or not.
    pub(super) fn saw(&mut self, id: u64) {
        if self.unsure.contains(id) {
            self.unsure.remove(id, id + 1);
        }
    }

    /// The id of 64 bits of a row that has the low half of it.
    pub(super) fn whole_id(&self, half: u32) -> u64 {
        let epoch = self.next.xmax & !u64::from(u32::MAX);
        let id = epoch | u64::from(half);
        if id >= self.next.xmax { id.saturating_sub(1 << 32) } else { id }
    }

    /// The state once everything is read.
    pub(super) fn finish(mut self) -> SnapshotState {
        self.next.unsure = self.unsure;
        self.next
    }
}

/// The low halves of ids, as ranges with both ends included, ascending and apart; ids that no transaction has are left
/// out.
pub(super) fn halves(ids: &RangeSet) -> Vec<(u32, u32)> {
    /// The first ordinary id: those below have a meaning of their own.
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

fn requirement(facts: &Facts) -> Result<Supported, Missing> {
    let except = facts.snapshots.clone()?;
    Ok(Supported { except: joined(&[&facts.of_times(), &except]), ..Supported::default() })
}

fn resume(text: Option<&str>) -> Option<Box<dyn Method>> {
    let state = text.map_or(Some(None), |text| SnapshotState::from_text(text).map(Some))?;
    Some(Box::new(Snapshot { stored: state.clone(), state, recent: Recent::default() }))
}

/// The method's state.
#[derive(Debug, Clone)]
struct Snapshot {
    state: Option<SnapshotState>,
    /// The state in the last offset handed on.
    stored: Option<SnapshotState>,
    recent: Recent,
}

impl ToText for SnapshotState {
    fn to_text(&self) -> String {
        self.to_text()
    }
}

impl Method for Snapshot {
    fn begin(&self, at: &At<'_>, seen: &Seen) -> Result<Box<dyn Poll>> {
        let SeenView::Snapshot(answer) = &seen.view else { return Err(Error::internal("it needs a snapshot")) };
        let clock = at.facts.clock;
        let time = at.time()?;
        let behind = at.behind(time, seen.low.clock);
        let stepped_back = seen.stepped_back.map(|lowest| clock.lowest_from(lowest));
        let cursor = CursorState { time, stepped_back, behind, is_same_view: seen.is_same };
        let low = clock.of_low(&seen.low, SLACK);
        let reach = seen.low.clock.saturating_sub(crate::model::micros_of(at.facts.window));
        let window = low.clock.saturating_sub(clock.lowest_from(reach));
        let step = SnapshotState::poll(self.state.as_ref(), answer, &low, cursor, window);
        let from = match at.value(step.next_low().saturating_sub(behind).saturating_sub(MARGIN))? {
            CursorValue::Timestamp(from) => from,
            _ => Micros::MIN,
        };
        let is_unique = at.facts.cursor.is_unique;
        let by_content = at.facts.is_table && !is_unique;
        let emits = step.late.as_ref().is_some_and(|late| late.emit);
        let (method, emitted) = (self.clone(), Vec::new());
        Ok(Box::new(SnapshotPoll { method, step, emits, by_content, from, emitted, storage: None, known: None }))
    }

    fn state(&self) -> Option<State> {
        self.state.clone().map(|state| Arc::new(state) as State)
    }

    fn stored(&mut self) {
        self.stored.clone_from(&self.state);
    }
}

/// One poll of the method.
struct SnapshotPoll {
    method: Snapshot,
    step: SnapshotStep,
    emits: bool,
    by_content: bool,
    /// The rows emitted now, from a time on.
    emitted: Vec<Emitted>,
    from: Micros,
    /// The storage of the rows, if it was looked.
    storage: Option<String>,
    /// The rows that have been emitted, where ids do not tell them this time, and how many there were of each.
    known: Option<HashMap<Emitted, u32>>,
}

impl SnapshotPoll {
    /// The row as it is remembered, if it is young enough.
    fn remembered(&self, row: &SeenRow<'_>) -> Option<Emitted> {
        let Some(CursorValue::Timestamp(time)) = row.cursor.first() else { return None };
        (*time >= self.from).then(|| (*time, row.fingerprint(self.by_content)))
    }

    fn saw(&mut self, xid: Option<u32>) {
        if let Some(half) = xid {
            self.step.saw(self.step.whole_id(half));
        }
    }

    fn plan(&self, at: &At<'_>, notices: Vec<Notice>) -> Result<Turn> {
        let mut queries = Vec::new();
        if let (Some(late), Some(_)) = (&self.step.late, at.position) {
            queries.push(LateQuery::ByTransaction { from: at.value(late.low)?, xids: late.ids.as_ref().map(halves) });
        }
        Ok(Turn::Read(ReadPlan { queries, remembered: 0, notices }))
    }
}

impl Poll for SnapshotPoll {
    fn next(&mut self, at: &At<'_>, answer: Option<Answer>) -> Result<Turn> {
        let looks = self.step.late.is_some() && at.position.is_some() || self.method.recent.storage.is_none();
        match answer {
            None if looks => Ok(Turn::Ask(Question::Storage)),
            None => self.plan(at, Vec::new()),
            Some(Answer::Storage(storage)) => {
                // The ids of rewritten rows tell nothing any more; emitted rows are known by their cursor.
                self.known = self.method.recent.known_at(&storage);
                let anew = "the table was rewritten; rows already sent are recognised by their cursor this time";
                self.storage = Some(storage);
                self.plan(at, self.known.iter().map(|_| Notice::Info(anew)).collect())
            }
            Some(_) => Err(another_answer()),
        }
    }

    fn wants_xids(&self) -> bool {
        self.step.wants_ids()
    }

    fn mark(&self, row: &SeenRow<'_>) -> Option<Mark> {
        let (time, fingerprint) = self.remembered(row).unzip();
        Some(Mark { xid: row.xid, row: fingerprint, number: time.map_or(0, i128::from) })
    }

    fn emitted(&mut self, mark: Mark) {
        self.saw(mark.xid);
        self.emitted.extend(mark.row.map(|row| (mark.number as Micros, row)));
    }

    fn offer(&mut self, row: &SeenRow<'_>) -> bool {
        self.saw(row.xid);
        let remembered = self.remembered(row);
        self.emitted.extend(remembered);
        let left = remembered.and_then(|row| self.known.as_mut()?.get_mut(&row)).filter(|left| **left > 0);
        let is_known = left.map(|left| *left -= 1).is_some();
        self.emits && !is_known
    }

    fn end(self: Box<Self>, _: Micros, _: Micros) -> Outcome {
        let Self { method: Snapshot { stored, recent, .. }, step, emitted, from, storage, .. } = *self;
        let notices = step.broken.iter().map(|broken| match broken {
            Broken::Rewound => Notice::Risk("the database was set back to an earlier time".to_owned()),
            Broken::WrappedAround => Notice::Warn(
                "too many transactions since the last poll to tell rows by them; rows of the window were repeated",
            ),
        });
        let notices = notices.collect();
        let state = step.finish();
        let must_store = stored.as_ref().is_some_and(|stored| state.outdates(stored));
        let (low, hidden) = (Some(state.low()), state.hidden_count());
        let recent = recent.with(storage, emitted, from);
        let method = Box::new(Snapshot { state: Some(state), stored, recent });
        Outcome { method, low, hidden, must_store, has_left: false, notices }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::View;

    fn answer(xmin: u64, xmax: u64) -> ViewAnswer {
        ViewAnswer { view: View { xmin, xmax, running: Vec::new() }, is_settled: true, ..ViewAnswer::default() }
    }

    fn low(clock: Micros) -> LowWatermark {
        LowWatermark { number: 1, clock, known: clock, has_unknown: false, oldest: None }
    }

    fn state(text: &str) -> SnapshotState {
        SnapshotState::from_text(text).unwrap()
    }

    #[test]
    fn a_state_goes_round_and_nothing_else_is_one() {
        let text = "4294967290;20;1700000000000000;0,4-6;9";
        assert_eq!(state(text).to_text(), text);
        assert_eq!(state(text).hidden_count(), 5);
        for text in
            ["", "1;2;3;4", "1;2;3;;;", "x;2;3;;", "1;-2;3;;", "1;2;3;0-2;", "1;2;3;;2", "18446744073709551615;1;0;;"]
        {
            assert_eq!(SnapshotState::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn nothing_is_looked_for_where_nothing_can_be_late() {
        let before = state("100;0;50000000;;");
        let late = |xmax, time| {
            let cursor = CursorState { time, ..CursorState::default() };
            SnapshotState::poll(Some(&before), &answer(xmax, xmax), &low(60_000_000), cursor, 0).late
        };
        assert!(late(105, Some(50_000_000)).is_some());
        assert_eq!(late(105, Some(48_000_000)), None, "the cursor is far behind the low watermark: a first load");
        assert_eq!(late(105, None), None);
        assert_eq!(late(100, Some(50_000_000)), None, "no id was handed out, and none is hidden");
    }

    #[test]
    fn a_database_set_back_in_time_and_ids_that_wrapped_around_are_noticed() {
        let before = state("5000;10;0;;");
        let cursor = CursorState { time: Some(0), ..CursorState::default() };
        let poll = |xmax| SnapshotState::poll(Some(&before), &answer(xmax, xmax), &low(0), cursor, 0);
        assert_eq!(poll(5_009).broken, Some(Broken::Rewound));
        assert_eq!(poll(5_010).broken, None);
        let wrapped = poll(5_010 + REACH);
        assert_eq!(wrapped.broken, Some(Broken::WrappedAround));
        assert_eq!(wrapped.late.unwrap().ids, None, "all rows of the window");
    }

    #[test]
    fn ids_are_told_by_their_low_half() {
        let epoch = 7_u64 << 32;
        let poll = SnapshotState::poll(None, &answer(epoch, epoch + 10), &low(0), CursorState::default(), 0);
        assert_eq!(poll.whole_id(9), epoch + 9);
        assert_eq!(poll.whole_id(10), epoch + 10 - (1 << 32));
        let ids = |from, to| halves(&RangeSet::span(from, to));
        assert_eq!(ids(epoch - 2, epoch + 5), [(3, 4), (u32::MAX - 1, u32::MAX)], "ascending");
        assert_eq!(ids(epoch, epoch + 3), [], "ids that no transaction has");
        assert_eq!(ids(5, 6), [(5, 5)]);
        assert_eq!(ids(0, 1 << 32), [(3, u32::MAX)]);
    }
}
