//! The method `snapshot` against the model.

use std::collections::BTreeMap;

use super::store::{Store, TICK, Version, Write};
use super::{Setting, Step, World, schedule, shrunk};
use crate::guard::snapshot::{CursorState, SLACK, SnapshotState, halves};
use crate::guard::watermark::{LowWatermark, WatermarkTracker};
use crate::model::{Micros, ViewAnswer};

// A transaction takes its time up to nine ticks before it can be seen.
const _: () = assert!(9 * TICK < SLACK);
const WINDOW: Micros = 3_600_000_000;

type Cursor = (Micros, usize);

/// A poller as `task` is one.
struct Poller {
    guarded: bool,
    page: usize,
    newest: Option<Micros>,
    edge: WatermarkTracker,
    last: (u64, Micros),
    cursor: Option<Cursor>,
    state: Option<SnapshotState>,
    /// The view of the last poll: it may serve the next one, too.
    view: Option<Shown>,
    polls: usize,
    stored: Option<(Cursor, String)>,
    emitted: BTreeMap<(usize, usize), usize>,
}

/// The versions that a view has shown, and the observation before it.
#[derive(Clone)]
struct Shown {
    low: LowWatermark,
    stepped_back: Option<Micros>,
    answer: ViewAnswer,
    visible: Vec<Version>,
    upper: Micros,
}

impl Poller {
    /// A new view. `between` lets the writers go on.
    fn look(&mut self, store: &mut Store, mut between: impl FnMut(&mut Store)) -> Shown {
        let low: LowWatermark = self.edge.observe(&store.observe(self.last.1));
        let stepped_back = self.edge.stepped_back_since(self.last.0);
        self.last = (low.number, store.steady);
        between(store);
        let question = SnapshotState::question(self.state.as_ref());
        let (view, visible) = store.view();
        let upper = store.world.highest_until(store.clock);
        between(store);
        let asked = (question.since.max(view.xmin)..view.xmax).filter(|id| *id as u32 >= 3).chain(
            question
                .hidden
                .clone()
                .from(view.xmin)
                .ranges()
                .iter()
                .flat_map(|(from, to)| *from..*to)
                .collect::<Vec<_>>(),
        );
        let in_progress = store.in_progress(asked).into_iter().collect();
        let is_settled = store.in_progress(view.running.iter().copied()).len() == view.running.len();
        let answer = ViewAnswer { view, in_progress, is_settled };
        Shown { low, stepped_back, answer, visible, upper }
    }

    /// One poll; gives how many rows it emitted.
    fn poll(&mut self, store: &mut Store, mut between: impl FnMut(&mut Store)) -> usize {
        self.polls += 1;
        let is_new = self.view.is_none() || self.polls.is_multiple_of(3);
        let shown = match self.view.take().filter(|_| !is_new) {
            Some(shown) => {
                between(store);
                shown
            }
            None => self.look(store, between),
        };
        self.view = Some(shown.clone());
        let Shown { low, stepped_back, answer, visible, upper } = shown;
        let before = self.cursor;
        let time = before.map(|cursor| cursor.0);
        let clock = store.world.clock;
        let now = clock.at(low.clock);
        let behind = if clock.is_wall() { now - time.max(self.newest).unwrap_or(now) } else { 0 };
        let cursor = CursorState { time, stepped_back, behind: behind.max(0), is_same_view: !is_new };
        let low = clock.of_low(&low, SLACK);
        let mut poll = SnapshotState::poll(self.state.as_ref(), &answer, &low, cursor, WINDOW);
        self.newest = visible.iter().map(|version| version.time).max();
        assert_eq!(poll.broken, None);

        let place = |version: &Version| (version.time, version.key);
        let mut forward: Vec<Version> = visible.clone();
        forward.retain(|version| Some(place(version)) > before && version.time < upper);
        forward.sort_by_key(place);
        forward.truncate(self.page);
        let mut rows = forward.len();
        self.cursor = forward.last().map(place).or(before);
        let mut emit = |version: &Version| *self.emitted.entry((version.key, version.number)).or_default() += 1;
        for version in &forward {
            assert_eq!(poll.whole_id(version.id as u32), version.id);
            poll.saw(version.id);
            emit(version);
        }
        if let Some(late) = poll.late.clone().filter(|_| self.guarded) {
            let halves = halves(&late.ids.expect("nothing wraps around"));
            let is_wanted = |id: u64| halves.iter().any(|(from, to)| (*from..=*to).contains(&(id as u32)));
            for version in visible.iter().filter(|one| one.time >= late.low && Some(place(one)) <= before) {
                if is_wanted(version.id) {
                    poll.saw(version.id);
                    if late.emit {
                        rows += 1;
                        emit(version);
                    }
                }
            }
        }
        let state = poll.finish();
        let is_outdated =
            self.stored.as_ref().is_some_and(|(_, text)| state.outdates(&SnapshotState::from_text(text).unwrap()));
        if let Some(cursor) = self.cursor.filter(|_| rows > 0 || is_outdated) {
            self.stored = Some((cursor, state.to_text()));
        }
        self.state = Some(state);
        rows
    }

    fn restart(&mut self) {
        self.edge = WatermarkTracker::default();
        self.last.0 = 0;
        self.view = None;
        let read_back = |text: &String| SnapshotState::from_text(text).expect("what was written");
        self.cursor = self.stored.as_ref().map(|(cursor, _)| *cursor);
        self.state = self.stored.as_ref().map(|(_, text)| read_back(text));
    }
}

/// Runs a schedule: how many committed versions that stayed are missing, and how many were emitted twice or never
/// committed.
fn run(steps: &[Step], guarded: bool, setting: Setting) -> (usize, usize) {
    let Setting { page, shows_starts, world } = setting;
    let can_step_back = !shows_starts && !world.clock.is_wall();
    let mut store = Store::new((7 << 32) - 12, shows_starts, world);
    let mut poller = Poller {
        guarded,
        page,
        newest: None,
        edge: WatermarkTracker::default(),
        last: (0, 0),
        cursor: None,
        state: None,
        view: None,
        polls: 0,
        stored: None,
        emitted: BTreeMap::new(),
    };
    let mut steps = steps.iter();
    while let Some(step) = steps.next() {
        match step {
            // A clock that steps back before anything is stored is noticed by nobody; and where starts may be seen,
            // a transaction can write times before its own.
            Step::Write(Write::StepBack(_)) if poller.stored.is_none() || poller.last.0 == 0 || !can_step_back => {}
            Step::Write(write) => store.apply(write),
            Step::Restart => {
                // Nor is one just before the process dies.
                if std::mem::take(&mut store.has_stepped_back) {
                    poller.view = None;
                    poller.poll(&mut store, |_| ());
                    while poller.poll(&mut store, |_| ()) > 0 {}
                }
                poller.restart();
            }
            Step::Poll(before, after) => {
                let mut counts = [*before, *after].into_iter();
                poller.poll(&mut store, |store| {
                    for step in steps.by_ref().take(usize::from(counts.next().unwrap_or(0))) {
                        match step {
                            Step::Write(Write::StepBack(_)) if !can_step_back => {}
                            Step::Write(write) => store.apply(write),
                            Step::Poll(..) | Step::Restart => {}
                        }
                    }
                });
            }
        }
    }
    store.finish();
    let mut idle = 0;
    while idle < 6 {
        idle = if poller.poll(&mut store, |_| ()) == 0 { idle + 1 } else { 0 };
    }
    let (_, last) = store.view();
    let missing = last.iter().filter(|one| !poller.emitted.contains_key(&(one.key, one.number))).count();
    let phantoms: Vec<_> = poller.emitted.keys().filter(|version| !store.was_committed(**version)).collect();
    assert!(phantoms.is_empty(), "never committed, and emitted: {phantoms:?}");
    let twice = poller.emitted.values().filter(|count| **count > 1).count();
    (missing, twice)
}

#[test]
fn every_committed_row_is_emitted_exactly_once_whatever_the_schedule() {
    for seed in 0..20_000 {
        let (steps, setting) = schedule(seed);
        let is_wrong = |steps: &[Step]| run(steps, true, setting) != (0, 0);
        if is_wrong(&steps) {
            let core = shrunk(steps, is_wrong);
            let (missing, twice) = run(&core, true, setting);
            panic!("seed {seed}, {setting:?}: {missing} missing, {twice} twice after {core:#?}");
        }
    }
}

#[test]
fn the_same_schedules_lose_rows_without_the_guard() {
    let lost = |seed| {
        let (steps, setting) = schedule(seed);
        run(&steps, false, setting).0
    };
    let lost: usize = (0..500).map(lost).sum();
    assert!(lost > 200, "only {lost} rows lost: the schedules prove nothing");
}

#[test]
fn a_failing_schedule_is_shrunk_to_its_core() {
    let loses =
        |steps: &[Step]| run(steps, false, Setting { page: 3, shows_starts: false, world: World::instants() }).0 > 0;
    let failing = (0..).map(|seed| schedule(seed).0).find(|steps| steps.len() > 80 && loses(steps)).unwrap();
    let core = shrunk(failing, loses);
    assert!(core.len() <= 12, "{} steps are left: {core:?}", core.len());
}
