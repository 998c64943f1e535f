//! The method `snapshot` of databases that can be read as of a time in the past: late rows are those of the window as of now
//! that were not in it as of the last poll. Both are exact views, so nothing is guessed and nothing remembered but the
//! time.

use std::sync::Arc;

use super::facts::{Facts, Missing, Supported, joined};
use super::fingerprint::{FingerprintBag, RowFingerprint, SeenRow};
use super::id_history::{IdHistory, number, value};
use super::level::Level;
use super::method::{
    Answer, At, Before, LateQuery, Mark, Method, Needs, Notice, Outcome, Poll, Question, ReadPlan, Seen, SeenView,
    State, ToText, Turn, another_answer, grain, unbounded,
};
use super::watermark::LowWatermark;
use super::{CursorNeed, MethodDefinition, Words};
use crate::error::{Error, Result};
use crate::model::{CursorValue, Micros, PastView};

/// The method.
pub(super) static DEFINITION: MethodDefinition = MethodDefinition {
    name: "snapshot",
    level: Level::Exact,
    words: Some(Words { instants: "history-1", walls: "history-2" }),
    needs: Needs::AsOf,
    cursor: CursorNeed::Any,
    tables_only: false,
    databases: &["tidb"],
    requirement,
    bound: unbounded,
    resume,
};

/// The number of ids looked back at the very first poll.
const FIRST_IDS: u64 = 30_000;

/// The state from poll to poll, stored with the offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AsOfState {
    as_of: Micros,
    /// The low end of the window: a time, or an id.
    low: i128,
}

/// One poll.
#[derive(Debug)]
pub(super) struct AsOfStep {
    /// The window as of this time is to be read first, where the database still knows it.
    pub(super) before: Option<Micros>,
    /// The low end of the window; it ends with the cursor.
    pub(super) from: i128,
    /// True if the time before is forgotten: rows of the window may be repeated.
    pub(super) repeats: bool,
    is_first: bool,
    known: FingerprintBag,
    low: i128,
}

impl AsOfState {
    /// Begins a poll. No row can come any more below `low`; `horizon` is the earliest time the database still knows.
    pub(super) fn poll(state: Option<Self>, low: i128, horizon: Micros) -> AsOfStep {
        let before = state.map(|state| state.as_of).filter(|before| *before >= horizon);
        // No transaction that was open at the last poll or began since can write below the low watermark of that poll.
        let low = state.map_or(low, |state| low.max(state.low));
        AsOfStep {
            before,
            from: state.map_or(low, |state| state.low),
            repeats: state.is_some() && before.is_none(),
            is_first: state.is_none(),
            known: FingerprintBag::default(),
            low,
        }
    }

    /// The time everything was read as of.
    pub(super) fn as_of(self) -> Micros {
        self.as_of
    }

    /// The low end of the window.
    pub(super) fn low(self) -> i128 {
        self.low
    }

    /// `as of;low`.
    pub(super) fn to_text(self) -> String {
        format!("{};{}", self.as_of, self.low)
    }

    /// Reads [`AsOfState::to_text`] back; none if it is not one.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let (as_of, low) = text.split_once(';')?;
        Some(Self { as_of: as_of.parse().ok()?, low: low.parse().ok()? })
    }
}

impl AsOfStep {
    /// The rows of the window as of the time before.
    pub(super) fn were_there(&mut self, rows: FingerprintBag) {
        self.known = rows;
    }

    /// The database has forgotten the time before after all.
    pub(super) fn is_forgotten(&mut self) {
        self.repeats |= self.before.take().is_some();
        self.known = FingerprintBag::default();
    }

    /// True if a row of the window as of now is late and to be emitted.
    pub(super) fn is_late(&mut self, row: RowFingerprint) -> bool {
        !self.is_first && !self.known.take(row)
    }

    /// The state once everything is read as of a time.
    pub(super) fn finish(self, as_of: Micros) -> AsOfState {
        AsOfState { as_of, low: self.low }
    }
}

fn requirement(facts: &Facts) -> Result<Supported, Missing> {
    let of_past = facts.past.clone()?;
    let partial = facts.shared_ids();
    let unused = facts.writers.clone().err();
    if !facts.is_timed() {
        let shared = partial.as_ref().map_or("", |shared| &shared.reason);
        let block = facts.id_block;
        let text = format!("not covered: ids that a client assigns itself, or a node uses when it is {block} behind");
        return Ok(Supported { except: joined(&[shared, &text, &of_past]), partial, unused });
    }
    let unseen = facts.writers.clone().unwrap_or_else(|_| facts.of_unseen_writers());
    let except = joined(&[&facts.of_times(), &facts.of_shared_cursors(), &unseen, &of_past]);
    Ok(Supported { except, partial, unused })
}

fn resume(text: Option<&str>) -> Option<Box<dyn Method>> {
    let state = text.map_or(Some(None), |text| AsOfState::from_text(text).map(Some))?;
    Some(Box::new(AsOf { state, stored: state, ids: IdHistory::default() }))
}

/// The method's state.
#[derive(Debug, Clone)]
struct AsOf {
    state: Option<AsOfState>,
    /// The state in the last offset handed on.
    stored: Option<AsOfState>,
    ids: IdHistory,
}

impl ToText for AsOfState {
    fn to_text(&self) -> String {
        AsOfState::to_text(*self)
    }
}

impl Method for AsOf {
    fn begin(&self, at: &At<'_>, seen: &Seen) -> Result<Box<dyn Poll>> {
        let SeenView::AsOf(past) = seen.view else { return Err(Error::internal("it needs a view of the past")) };
        let id = at.position.and_then(|position| position.0.first());
        let cursor = at.facts.cursor.id_kind.filter(|_| !at.facts.is_timed()).and_then(|kind| number(id?, kind));
        let mut method = self.clone();
        let counts = !at.facts.is_timed();
        if counts && !seen.is_first_here && !seen.is_same {
            method.ids = method.ids.at(seen.low.clock, cursor);
        }
        let asks = counts && seen.is_first_here;
        let mut poll = AsOfPoll {
            method,
            past,
            low: seen.low.clone(),
            cursor,
            upto: None,
            asks,
            is_timed: at.facts.is_timed(),
            // An update moves no row in the order of ids, so where the cursor is unique the content does not count.
            by_content: at.facts.is_table && (at.facts.is_timed() || !at.facts.cursor.is_unique),
            step: AsOfState::poll(None, 0, 0),
        };
        poll.start(at)?;
        Ok(Box::new(poll))
    }

    fn state(&self) -> Option<State> {
        self.state.map(|state| Arc::new(state) as State)
    }

    fn stored(&mut self) {
        self.stored = self.state;
    }
}

/// One poll of the method.
struct AsOfPoll {
    method: AsOf,
    past: PastView,
    low: LowWatermark,
    cursor: Option<u64>,
    /// The end of the window: a time, or an id.
    upto: Option<i128>,
    /// True if the greatest id is not known and has to be asked for.
    asks: bool,
    is_timed: bool,
    by_content: bool,
    step: AsOfStep,
}

impl AsOfPoll {
    fn start(&mut self, at: &At<'_>) -> Result<()> {
        let state = self.method.state;
        let low = match at.facts.cursor.time_kind {
            Some(kind) => {
                let time = at.time()?;
                let watermark = at.facts.watermark(&self.low, None).min(self.past.as_of);
                let low = at.facts.clock.lowest_from(watermark).saturating_sub(at.behind(time, self.low.clock));
                self.upto = time.map(|time| i128::from(time.saturating_add(grain(kind))));
                // At the first look of a session the start of an open transaction may be earlier than seen.
                state.filter(|_| self.low.number <= 1).map_or(i128::from(low), AsOfState::low)
            }
            None => {
                self.upto = self.cursor.map(i128::from);
                self.low_id(at)
            }
        };
        self.step = AsOfState::poll(state, low, self.past.horizon);
        Ok(())
    }

    /// The id below which no row can come any more. At the very first poll it is assumed.
    fn low_id(&self, at: &At<'_>) -> i128 {
        let (ids, block) = (&self.method.ids, at.facts.id_block);
        let (back, reached) = match (&self.method.state, ids.before(at.facts.watermark(&self.low, None))) {
            (_, Some(reached)) => (block, Some(reached)),
            (Some(_), None) => return i128::MIN,
            (None, None) => (block.max(FIRST_IDS), ids.greatest.max(self.cursor)),
        };
        reached.map_or(0, |reached| i128::from(reached) - i128::from(back))
    }

    /// The lowest cursor value of the window, if it has any rows.
    fn from(&self, at: &At<'_>) -> Result<Option<CursorValue<'static>>> {
        if at.position.is_none() || self.upto < Some(self.step.from) {
            return Ok(None);
        }
        Ok(Some(match (at.facts.cursor.time_kind, at.facts.cursor.id_kind) {
            (None, Some(kind)) => value(u64::try_from(self.step.from).unwrap_or(0), kind),
            _ => at.value(Micros::try_from(self.step.from).unwrap_or(Micros::MIN))?,
        }))
    }

    fn plan(&self, from: Option<CursorValue<'static>>) -> Turn {
        let queries = from.into_iter().map(|from| LateQuery::Window { from }).collect();
        let forgotten = "the database has forgotten the time of the last poll; rows of the window are sent again";
        let notices = self.step.repeats.then_some(Notice::Warn(forgotten)).into_iter().collect();
        Turn::Read(ReadPlan { queries, remembered: 0, notices })
    }
}

impl Poll for AsOfPoll {
    fn next(&mut self, at: &At<'_>, answer: Option<Answer>) -> Result<Turn> {
        match answer {
            None if self.asks => return Ok(Turn::Ask(Question::GreatestId)),
            None => {}
            Some(Answer::GreatestId(greatest)) => {
                let kind = at.id_kind()?;
                self.method.ids = IdHistory::new(greatest.and_then(|id| number(&id, kind)));
                self.start(at)?;
            }
            Some(Answer::Before(before)) => {
                let from = match before {
                    Before::Same => None,
                    Before::Rows(rows) => {
                        self.step.were_there(rows);
                        self.from(at)?
                    }
                    Before::Forgotten => {
                        self.step.is_forgotten();
                        self.from(at)?
                    }
                };
                return Ok(self.plan(from));
            }
            Some(_) => return Err(another_answer()),
        }
        match (self.from(at)?, self.step.before) {
            (Some(from), Some(as_of)) => {
                Ok(Turn::Ask(Question::WindowBefore { from, as_of, by_content: self.by_content }))
            }
            (from, _) => Ok(self.plan(from)),
        }
    }

    fn mark(&self, _: &SeenRow<'_>) -> Option<Mark> {
        None
    }

    fn emitted(&mut self, _: Mark) {}

    fn offer(&mut self, row: &SeenRow<'_>) -> bool {
        self.step.is_late(row.fingerprint(self.by_content))
    }

    fn end(self: Box<Self>, _: Micros, _: Micros) -> Outcome {
        let Self { method, past, upto, step, is_timed, .. } = *self;
        // A stored time that the database forgets would repeat what lies between.
        let quarter = past.as_of.saturating_sub(past.horizon) / 4;
        let is_old =
            |stored: &AsOfState| upto >= Some(stored.low()) && past.as_of.saturating_sub(stored.as_of()) > quarter;
        let must_store = method.stored.as_ref().is_some_and(is_old);
        let state = step.finish(past.as_of);
        let low = Micros::try_from(state.low()).ok().filter(|_| is_timed);
        let method = Box::new(AsOf { state: Some(state), ..method });
        Outcome { method, low, hidden: 0, must_store, has_left: false, notices: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_the_database_has_forgotten_repeats_rows_and_says_so() {
        let (state, row) = (AsOfState::from_text("500;400").unwrap(), RowFingerprint { place: 1, content: 0 });
        assert_eq!(state.to_text(), "500;400");
        let known = AsOfState::poll(Some(state), 800, 500);
        assert_eq!((known.before, known.repeats, known.from), (Some(500), false, 400));
        let mut forgotten = AsOfState::poll(Some(state), 800, 501);
        assert_eq!((forgotten.before, forgotten.repeats), (None, true));
        assert!(forgotten.is_late(row));
        let mut refused = AsOfState::poll(Some(state), 800, 500);
        refused.were_there([row].into_iter().collect());
        refused.is_forgotten();
        assert!(refused.repeats && refused.is_late(row));
        assert!(!AsOfState::poll(None, 800, 0).is_late(row), "what is there at first counts as emitted");
        for text in ["", "1", "1;", "1;2;3"] {
            assert_eq!(AsOfState::from_text(text), None, "{text}");
        }
    }
}
