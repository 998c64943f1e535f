//! The method `window`, for databases whose rows do not tell their transaction but which show when the oldest open
//! writer began: the rows that were visible between the low watermark and the cursor are remembered, and what is not
//! among them is late. Neither loses nor repeats, never waits. More rows than an offset holds are stored as a sketch, from
//! which they are recovered with what is there then: [`WindowState::recovered`]. The methods `hold` and `rescan` keep the
//! same state: where rows cannot be told apart, none above the low watermark is read; where writers cannot be seen, it is
//! assumed.
//!
//! Between two polls this holds: every row at or below the cursor that is below the low watermark, or is remembered, has
//! been emitted; every other one at or below the cursor has not.

use std::sync::Arc;

use super::facts::{Facts, Missing, OnTimeout, Supported, joined};
use super::fingerprint::{FingerprintBag, RowFingerprint, SeenRow};
use super::holding::{MOST_REMEMBERED, blocker, refused};
use super::leave::Leave;
use super::level::Level;
use super::method::{
    Answer, At, Bound, Holding, LateQuery, Mark, Method, Needs, Notice, Outcome, Poll, Question, ReadPlan, Seen, State,
    ToText, Turn, another_answer, grain, is_at_or_above,
};
use super::remembered::{Remembered, STORED};
use super::sketch::Sketch;
use super::{CursorNeed, MethodDefinition, Words};
use crate::error::Result;
use crate::model::{CursorValue, Micros};

/// The method.
pub(super) static DEFINITION: MethodDefinition = MethodDefinition {
    name: "window",
    level: Level::Exact,
    words: Some(WORDS),
    needs: Needs::Transactions,
    cursor: CursorNeed::Time,
    tables_only: false,
    databases: &[],
    requirement,
    bound,
    resume,
};

/// The words of this and of the methods that keep the same state.
pub(super) const WORDS: Words = Words { instants: "window-1", walls: "window-2" };

/// The most rows of a window where writers cannot be seen.
const MOST_UNSEEN: usize = 20_000;

fn requirement(facts: &Facts) -> Result<Supported, Missing> {
    facts.rows_told_apart()?;
    let except = facts.writers.clone()?;
    let except = joined(&[&facts.of_times(), &facts.of_shared_cursors(), &except]);
    Ok(Supported { except, ..Supported::default() })
}

/// No more is remembered than an offset holds one by one, unless the configuration says so.
fn bound(holding: &Holding<'_>) -> Result<Bound> {
    if holding.remembered <= STORED {
        return Ok(Bound::default());
    }
    let on_timeout = holding.at.facts.settings.on_timeout;
    let blocker = blocker(holding);
    if on_timeout == OnTimeout::Fail {
        return Err(refused(&blocker));
    }
    if on_timeout == OnTimeout::Rescan && holding.remembered <= MOST_REMEMBERED {
        return Ok(Bound { level: Some(Level::Rescan), despite: Some(blocker), ..Bound::default() });
    }
    // No more rows can be remembered: nothing newer is read at all.
    let upper = holding.at.position.and_then(|position| position.0.first().cloned());
    Ok(Bound { upper, blocker: Some(blocker), level: Some(Level::Hold), despite: None })
}

/// The method's state from a checkpoint.
pub(super) fn resume(text: Option<&str>) -> Option<Box<dyn Method>> {
    let state = text.map_or(Some(None), |text| WindowState::from_text(text).map(Some))?;
    Some(Box::new(Window { state, leave: Leave::default(), width_cap: None }))
}

/// The state from poll to poll, stored with the offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WindowState {
    low: Micros,
    /// A fingerprint of the columns whose content the fingerprints are of.
    columns: u32,
    rows: Rows,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rows {
    Known(Remembered),
    /// A sketch of more rows than can be stored one by one.
    Sketch(Arc<Sketch>),
}

/// One poll of the state.
#[derive(Debug)]
pub(super) struct WindowStep {
    /// The low end of the window to read; it ends with the cursor.
    pub(super) from: Micros,
    /// True if the emitted rows of the window are not known any more: all of it comes again.
    pub(super) repeats: bool,
    /// True if the clock has stepped back below the remembered rows: rows written with such times may be missed.
    pub(super) is_blind: bool,
    /// True if rows of the window that are not remembered are late; else there is no memory yet, and they count as
    /// emitted.
    emits: bool,
    /// The rows that were remembered before.
    before: Remembered,
    /// Those of them that the window has not shown yet; not made before it is read.
    known: Option<FingerprintBag>,
    next: FingerprintBag,
    low: Micros,
    columns: u32,
    columns_before: u32,
}

impl WindowState {
    /// Begins a poll. Nothing open, and nothing that begins later, can write a time below `low`, observed before
    /// anything is read; `stepped_back` is the lowest time the clock has shown since the last poll, if it has stepped
    /// back; `columns` is a fingerprint of the columns.
    pub(super) fn poll(state: Option<&Self>, low: Micros, stepped_back: Option<Micros>, columns: u32) -> WindowStep {
        // No transaction that was open at the last poll or began since can write below the low watermark of that poll.
        let low = state.map_or(low, |state| low.max(state.low));
        let before = match state.map(|state| &state.rows) {
            Some(Rows::Known(rows)) => rows.clone(),
            Some(Rows::Sketch(_)) | None => Remembered::default(),
        };
        WindowStep {
            from: state.map_or(low, |state| state.low),
            repeats: state.is_some_and(WindowState::is_sketch),
            is_blind: state.is_some_and(|state| stepped_back.is_some_and(|lowest| lowest < state.low)),
            emits: state.is_some(),
            before,
            known: None,
            next: FingerprintBag::default(),
            low,
            columns,
            columns_before: state.map_or(columns, |state| state.columns),
        }
    }

    /// True if the rows have to be recovered, or are not known: [`WindowState::recovered`].
    pub(super) fn is_sketch(&self) -> bool {
        matches!(self.rows, Rows::Sketch(_))
    }

    /// The state before it was stored: `there` are the rows of the window, from the low watermark to the position it was
    /// stored with, as they are now. None if too many have come or gone since, or if they hold other columns.
    pub(super) fn recovered(&self, there: FingerprintBag, columns: u32) -> Option<Self> {
        let rows = match &self.rows {
            Rows::Known(rows) => rows.clone(),
            Rows::Sketch(_) if columns != self.columns => return None,
            Rows::Sketch(sketch) => Sketch::clone(sketch).among(there)?.into(),
        };
        Some(Self { low: self.low, columns, rows: Rows::Known(rows) })
    }

    /// The low watermark.
    pub(super) fn low(&self) -> Micros {
        self.low
    }

    /// The number of rows remembered.
    pub(super) fn count(&self) -> usize {
        match &self.rows {
            Rows::Known(rows) => rows.len(),
            Rows::Sketch(_) => 0,
        }
    }

    /// `low;columns;rows`, or `low;columns;;sketch` if they are too many.
    pub(super) fn to_text(&self) -> String {
        let (low, columns) = (self.low, self.columns);
        let sketch = match &self.rows {
            Rows::Known(rows) if rows.len() <= STORED => return format!("{low};{columns:x};{}", rows.all().to_text()),
            Rows::Known(rows) => &rows.sketch(),
            Rows::Sketch(sketch) => sketch,
        };
        format!("{low};{columns:x};;{}", sketch.to_text())
    }

    /// Reads [`WindowState::to_text`] back; none if it is not one.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split(';').collect();
        let (low, columns, rows) = match fields[..] {
            [low, columns, rows] => (low, columns, Rows::Known(FingerprintBag::from_text(rows)?.into())),
            [low, columns, "", sketch] => (low, columns, Rows::Sketch(Arc::new(Sketch::from_text(sketch)?))),
            _ => return None,
        };
        Some(Self { low: low.parse().ok()?, columns: u32::from_str_radix(columns, 16).ok()?, rows })
    }
}

impl WindowStep {
    /// The low watermark of the next poll: a row at or above it is to be told to [`WindowStep::forward`].
    pub(super) fn low(&self) -> Micros {
        self.low
    }

    /// A row after the cursor, at or above the low watermark, which is emitted.
    pub(super) fn forward(&mut self, row: RowFingerprint) {
        self.next.add(row);
    }

    /// A row of the window; `keeps` if it is at or above the low watermark. Whether it is late and to be emitted.
    pub(super) fn in_window(&mut self, row: RowFingerprint, keeps: bool) -> bool {
        if keeps {
            self.forward(row);
        }
        let has_other_columns = self.columns != self.columns_before;
        let row = if has_other_columns { row.by_place() } else { row };
        let known = self.known.get_or_insert_with(|| {
            let all = self.before.all();
            if has_other_columns { all.by_place() } else { all }
        });
        self.emits && !known.take(row)
    }

    /// The state once everything is read.
    pub(super) fn finish(self) -> WindowState {
        WindowState { low: self.low, columns: self.columns, rows: Rows::Known(self.next.into()) }
    }

    /// The state if the window is left for another poll; this one began with the low watermark of the last.
    pub(super) fn finish_without_window(self) -> WindowState {
        // The fingerprints are still those of the columns before.
        WindowState { low: self.low, columns: self.columns_before, rows: Rows::Known(self.before.with(self.next)) }
    }
}

/// The method's state.
#[derive(Debug, Clone)]
struct Window {
    state: Option<WindowState>,
    leave: Leave,
    /// The greatest width of the window where writers cannot be seen, if not as configured.
    width_cap: Option<Micros>,
}

impl ToText for WindowState {
    fn to_text(&self) -> String {
        self.to_text()
    }
}

impl Method for Window {
    fn begin(&self, at: &At<'_>, seen: &Seen) -> Result<Box<dyn Poll>> {
        let leaves = self.leave.leaves(at) && self.state.is_some();
        let (step, low) = self.step(at, seen, leaves)?;
        let now = at.facts.clock.at(seen.low.clock);
        Ok(Box::new(WindowPoll {
            method: self.clone(),
            seen: seen.clone(),
            step,
            low,
            leaves,
            now,
            by_content: at.facts.is_table,
            sees_writers: at.facts.sees_writers(),
        }))
    }

    fn state(&self) -> Option<State> {
        self.state.clone().map(|state| Arc::new(state) as State)
    }
}

impl Window {
    fn step(&self, at: &At<'_>, seen: &Seen, leaves: bool) -> Result<(WindowStep, CursorValue<'static>)> {
        let (state, clock) = (self.state.as_ref(), at.facts.clock);
        let watermark = at.facts.watermark(&seen.low, self.width_cap);
        let low = clock.lowest_from(watermark).saturating_sub(at.behind(at.time()?, seen.low.clock));
        let stepped_back = seen.stepped_back.map(|lowest| clock.lowest_from(lowest));
        // At the first look of a session the start of an open transaction may be earlier than seen.
        let stays = leaves || seen.low.number <= 1;
        let low = state.filter(|_| stays).map_or(low, WindowState::low);
        let step = WindowState::poll(state, low, stepped_back, at.columns);
        let low = at.value(step.low())?;
        Ok((step, low))
    }
}

/// One poll of the method.
struct WindowPoll {
    method: Window,
    seen: Seen,
    step: WindowStep,
    /// The cursor value from which rows are remembered.
    low: CursorValue<'static>,
    /// True if the window is left for another poll.
    leaves: bool,
    /// The database's clock, as the column holds it.
    now: Micros,
    by_content: bool,
    sees_writers: bool,
}

impl Poll for WindowPoll {
    fn next(&mut self, at: &At<'_>, answer: Option<Answer>) -> Result<Turn> {
        let state = self.method.state.as_ref();
        match (answer, state.filter(|state| state.is_sketch()), at.position) {
            (None, Some(state), Some(_)) => {
                return Ok(Turn::Ask(Question::Window { from: at.value(state.low())? }));
            }
            (None, ..) => {}
            (Some(Answer::Window(there)), ..) => {
                if let Some(state) = state.and_then(|state| state.recovered(there, at.columns)) {
                    self.method.state = Some(state);
                    (self.step, self.low) = self.method.step(at, &self.seen, self.leaves)?;
                }
            }
            (Some(_), ..) => return Err(another_answer()),
        }
        let mut queries = Vec::new();
        if let (Some(_), Some(time), false) = (at.position, at.time()?, self.leaves)
            && self.step.from <= time.saturating_add(grain(at.time_kind()?))
        {
            queries.push(LateQuery::Window { from: at.value(self.step.from)? });
        }
        let repeats = "too much has changed to tell which rows of the window were sent; they are sent again";
        let blind = "the database's clock was set back further than rows are remembered";
        let repeats = self.step.repeats.then_some(Notice::Warn(repeats));
        let blind = self.step.is_blind.then(|| Notice::Risk(blind.to_owned()));
        let remembered = self.method.state.as_ref().map_or(0, WindowState::count);
        Ok(Turn::Read(ReadPlan { queries, remembered, notices: repeats.into_iter().chain(blind).collect() }))
    }

    fn mark(&self, row: &SeenRow<'_>) -> Option<Mark> {
        let keeps = row.cursor.first().is_some_and(|time| is_at_or_above(time, &self.low));
        keeps.then(|| Mark { xid: None, row: Some(row.fingerprint(self.by_content)), number: 0 })
    }

    fn emitted(&mut self, mark: Mark) {
        mark.row.into_iter().for_each(|row| self.step.forward(row));
    }

    fn offer(&mut self, row: &SeenRow<'_>) -> bool {
        let keeps = row.cursor.first().is_some_and(|time| is_at_or_above(time, &self.low));
        self.step.in_window(row.fingerprint(self.by_content), keeps)
    }

    fn end(self: Box<Self>, took: Micros, steady: Micros) -> Outcome {
        let Self { mut method, step, leaves, now, sees_writers, .. } = *self;
        let state = if leaves { step.finish_without_window() } else { step.finish() };
        if !leaves {
            method.leave.looked(took, steady);
        }
        let mut notices = Vec::new();
        if state.count() > MOST_UNSEEN && !sees_writers && !leaves {
            // More than should be read again at each poll.
            let width = now.saturating_sub(state.low()).max(0) / 2;
            method.width_cap = Some(width);
            let seconds = width as f64 / 1e6;
            notices.push(Notice::Risk(format!(
                "more than {MOST_UNSEEN} rows would be read again at each poll, so only those of the last {seconds:.1} s are; \
                 transactions open for longer are not covered"
            )));
        }
        let low = Some(state.low());
        method.state = Some(state);
        Outcome { method: Box::new(method), low, hidden: 0, must_store: false, has_left: leaves, notices }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(place: u64) -> RowFingerprint {
        RowFingerprint { place, content: 7 }
    }

    #[test]
    fn a_state_goes_round_and_nothing_else_is_one() {
        let mut rows = FingerprintBag::default();
        rows.add(fingerprint(1));
        let sketch = Arc::new(Sketch::of(&rows));
        for rows in [Rows::Sketch(sketch), Rows::Known(rows.into()), Rows::Known(Remembered::default())] {
            let state = WindowState { low: -5, columns: u32::MAX, rows };
            assert_eq!(WindowState::from_text(&state.to_text()), Some(state));
        }
        for text in ["", "1", "1;1", "x;1;", "1;g;", "1;0;x", "1;0;;", "1;0;;;"] {
            assert_eq!(WindowState::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn too_many_rows_are_stored_as_a_sketch_and_known_again() {
        let mut poll = WindowState::poll(None, 0, None, 0);
        (0..=STORED as u64).for_each(|place| poll.forward(fingerprint(place)));
        let state = poll.finish();
        assert!(!WindowState::poll(Some(&state), 5, None, 0).repeats, "they are known as long as the process runs");
        let stored = WindowState::from_text(&state.to_text()).unwrap();
        assert!(stored.is_sketch());
        let mut there = FingerprintBag::default();
        (5..=STORED as u64 + 3).for_each(|place| there.add(fingerprint(place)));
        let mut poll = WindowState::poll(stored.recovered(there.clone(), 0).as_ref(), 5, None, 0);
        let late = |poll: &mut WindowStep, place| poll.in_window(fingerprint(place), true);
        assert!(!poll.repeats && !late(&mut poll, STORED as u64) && late(&mut poll, STORED as u64 + 1));

        assert_eq!(stored.recovered(FingerprintBag::default(), 0), None, "too many have gone");
        assert_eq!(stored.recovered(there, 1), None, "rows of other columns do not look the same");
        let mut poll = WindowState::poll(Some(&stored), 5, None, 0);
        assert!(poll.repeats && late(&mut poll, 1));
    }

    #[test]
    fn other_columns_are_no_other_rows() {
        let mut poll = WindowState::poll(None, 0, None, 1);
        poll.forward(fingerprint(1));
        let state = poll.finish();
        let changed = RowFingerprint { content: 8, ..fingerprint(1) };
        assert!(WindowState::poll(Some(&state), 0, None, 1).in_window(changed, true), "the row was written again");
        assert!(!WindowState::poll(Some(&state), 0, None, 2).in_window(changed, true));
        let left = WindowState::poll(Some(&state), 0, None, 2).finish_without_window();
        assert!(
            !WindowState::poll(Some(&left), 0, None, 2).in_window(changed, true),
            "also if the window was left once"
        );
    }

    #[test]
    fn a_clock_that_steps_back_below_what_is_remembered_is_told() {
        let state = WindowState::poll(None, 100, None, 0).finish();
        assert!(WindowState::poll(Some(&state), 120, Some(99), 0).is_blind);
        assert!(!WindowState::poll(Some(&state), 120, Some(100), 0).is_blind);
        assert!(!WindowState::poll(None, 120, Some(0), 0).is_blind);
    }
}
