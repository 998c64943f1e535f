//! The ways `window` and `history` against the model: rows do not tell their transaction, but the database shows when the
//! oldest open writer began; for `history` it also shows what was visible at the last poll.

use std::collections::BTreeMap;

use super::store::{Store, TICK, Version, Write};
use super::{Setting, Step, schedule, shrunk};
use crate::guard::prints::{Print, Prints};
use crate::guard::{history, window};
use crate::model::Micros;

/// What these ways have for slack.
const SLACK: Micros = 2 * TICK;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Window,
    Hold,
    History,
    Off,
}

#[derive(Debug, Clone)]
enum State {
    Window(window::State),
    History(history::State),
}

type Cursor = (Micros, usize);

struct Poller {
    way: Way,
    page: usize,
    /// How many rows are stored one by one.
    most: usize,
    polls: usize,
    cursor: Option<Cursor>,
    state: Option<State>,
    stored: Option<(Cursor, Option<String>)>,
    /// What was visible at each poll: the database knows it, not the poller.
    past: BTreeMap<Micros, Vec<Version>>,
    emitted: BTreeMap<(usize, usize), usize>,
}

fn print(version: &Version) -> Print {
    Print { place: version.key as u64, content: version.number as u32 }
}

fn place(version: &Version) -> Cursor {
    (version.time, version.key)
}

impl Poller {
    /// One poll. What is written between the observation and the page, and between page and window, is for `between`.
    fn poll(&mut self, store: &mut Store, mut between: impl FnMut(&mut Store, bool)) -> usize {
        self.polls += 1;
        let (clock, oldest) = (store.clock, store.oldest());
        between(store, false);
        // No two views at one time.
        store.apply(&Write::Tick(1));
        let (now, mut visible) = (store.clock, store.view().1);
        self.past.insert(now, visible.clone());
        let before = self.cursor;
        let world = store.world;
        let low = world.clock.lowest_from(oldest.map_or(clock, |oldest| oldest.min(clock)) - SLACK);
        let mut forward = visible.clone();
        let upper = if self.way == Way::Hold { low } else { world.highest_until(now) };
        forward.retain(|version| Some(place(version)) > before && version.time < upper);
        forward.sort_by_key(place);
        forward.truncate(self.page);
        let in_window = |rows: &[Version], from: Micros| {
            rows.iter().filter(|one| one.time >= from && Some(place(one)) <= before).copied().collect::<Vec<_>>()
        };
        let mut emitted = forward.clone();
        self.state = match (self.way, self.state.take()) {
            (Way::Off, _) => None,
            (Way::Window | Way::Hold, state) => {
                let state = state.map(|state| match state {
                    State::Window(state) => state,
                    State::History(_) => panic!("another way"),
                });
                // Page and window need not be one view; and a window may be left for another poll.
                between(store, true);
                visible = store.view().1;
                let leaves = state.is_some() && self.polls.is_multiple_of(3);
                let state = match state {
                    Some(state) if state.is_sketch() => {
                        let mut there = Prints::default();
                        in_window(&visible, state.low()).iter().for_each(|version| there.add(print(version)));
                        between(store, true);
                        visible = store.view().1;
                        Some(state.recovered(there, 0).expect("few have come or gone"))
                    }
                    state => state,
                };
                let low = state.as_ref().filter(|_| leaves).map_or(low, window::State::low);
                let mut poll = window::State::poll(state.as_ref(), low, None, 0);
                let low = poll.low();
                forward.iter().filter(|one| one.time >= low).for_each(|one| poll.forward(print(one)));
                if leaves {
                    Some(State::Window(poll.finish_without_window()))
                } else {
                    for version in in_window(&visible, poll.from) {
                        if poll.in_window(print(&version), version.time >= low) {
                            emitted.push(version);
                        }
                    }
                    Some(State::Window(poll.finish()))
                }
            }
            (Way::History, state) => {
                let state = state.map(|state| match state {
                    State::History(state) => state,
                    State::Window(_) => panic!("another way"),
                });
                let low = world.clock.lowest_from(oldest.unwrap_or(now).min(clock) - SLACK);
                let mut poll = history::State::poll(state, i128::from(low), 0);
                let known =
                    poll.before.map(|before| in_window(&self.past[&before], poll.from as Micros)).unwrap_or_default();
                known.iter().for_each(|version| poll.was_there(print(version)));
                emitted.extend(in_window(&visible, poll.from as Micros).iter().filter(|one| poll.is_late(print(one))));
                Some(State::History(poll.finish(now)))
            }
        };
        self.cursor = forward.last().map(place).or(before);
        emitted.iter().for_each(|one| *self.emitted.entry((one.key, one.number)).or_default() += 1);
        if let Some(cursor) = self.cursor.filter(|_| !emitted.is_empty()) {
            let text = self.state.as_ref().map(|state| match state {
                State::Window(state) => state.to_text_of(self.most),
                State::History(state) => state.to_text(),
            });
            self.stored = Some((cursor, text));
        }
        emitted.len()
    }

    fn restart(&mut self) {
        self.cursor = self.stored.as_ref().map(|(cursor, _)| *cursor);
        let text = self.stored.as_ref().and_then(|(_, text)| text.as_ref());
        self.state = text.map(|text| match self.way {
            Way::History => State::History(history::State::from_text(text).unwrap()),
            _ => State::Window(window::State::from_text(text).unwrap()),
        });
    }
}

/// These ways are not for clocks that step back, and what they have for slack is two ticks.
fn apply(store: &mut Store, write: &Write) {
    match write {
        Write::StepBack(_) => {}
        Write::Begin(ago) => store.apply(&Write::Begin(ago % 2)),
        write => store.apply(write),
    }
}

/// How many committed versions are missing, and how many came twice.
fn run(steps: &[Step], way: Way, setting: Setting, most: usize) -> (usize, usize) {
    let Setting { page, world, .. } = setting;
    let mut store = Store::new(100, true, world);
    let (past, emitted) = (BTreeMap::new(), BTreeMap::new());
    let mut poller = Poller { way, page, most, polls: 0, cursor: None, state: None, stored: None, past, emitted };
    let mut steps = steps.iter();
    while let Some(step) = steps.next() {
        match step {
            Step::Write(write) => apply(&mut store, write),
            Step::Restart => poller.restart(),
            Step::Poll(before, after) => {
                poller.poll(&mut store, |store, is_later| {
                    for step in steps.by_ref().take(usize::from(if is_later { *after } else { *before })) {
                        if let Step::Write(write) = step {
                            apply(store, write);
                        }
                    }
                });
            }
        }
    }
    store.finish();
    if way == Way::Hold {
        store.wait_for(|version, clock| version.time < world.clock.lowest_from(clock));
    }
    let mut idle = 0;
    while idle < 4 {
        idle = if poller.poll(&mut store, |_, _| ()) == 0 { idle + 1 } else { 0 };
    }
    let (_, last) = store.view();
    let missing = last.iter().filter(|one| !poller.emitted.contains_key(&(one.key, one.number))).count();
    (missing, poller.emitted.values().filter(|count| **count > 1).count())
}

#[test]
fn every_committed_row_is_emitted_exactly_once_by_window_hold_and_history() {
    let ways = [Way::Window, Way::Hold, Way::History];
    for (way, seed) in ways.into_iter().flat_map(|way| (0..10_000).map(move |seed| (way, seed))) {
        let (steps, setting) = schedule(seed);
        // A sketch is large: not every schedule stores nothing else.
        let most = if seed % 16 == 0 { 0 } else { window::STORED };
        let is_wrong = |steps: &[Step]| run(steps, way, setting, most) != (0, 0);
        if is_wrong(&steps) {
            let core = shrunk(steps, is_wrong);
            let (missing, twice) = run(&core, way, setting, most);
            panic!("{way:?}, seed {seed}, {setting:?}: {missing} missing, {twice} twice after {core:#?}");
        }
    }
}

#[test]
fn the_same_schedules_lose_rows_without_it() {
    let lost = |seed| {
        let (steps, setting) = schedule(seed);
        run(&steps, Way::Off, setting, window::STORED).0
    };
    let lost: usize = (0..500).map(lost).sum();
    assert!(lost > 200, "only {lost} rows lost: the schedules prove nothing");
}
