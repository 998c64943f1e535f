//! The ways `window` and `history` against the model: rows do not tell their transaction, but the database shows when the
//! oldest open writer began; for `history` it also shows what was visible at the last poll.

use std::collections::BTreeMap;

use super::store::{Store, Version, Write};
use super::{Step, schedule, shrunk};
use crate::guard::{history, window};
use crate::model::Micros;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Window,
    History,
    Off,
}

type Cursor = (Micros, usize);

struct Poller {
    way: Way,
    page: usize,
    cursor: Option<Cursor>,
    state: Option<String>,
    stored: Option<(Cursor, Option<String>)>,
    /// What was visible at each poll: the database knows it, not the poller.
    past: BTreeMap<Micros, Vec<Version>>,
    emitted: BTreeMap<(usize, usize), usize>,
}

fn fingerprint(version: &Version) -> u64 {
    (version.key as u64) << 32 | version.number as u64
}

impl Poller {
    fn poll(&mut self, store: &mut Store, mut between: impl FnMut(&mut Store)) -> usize {
        let (clock, oldest) = (store.clock, store.oldest());
        between(store);
        // No two views at one time.
        store.apply(&Write::Tick(1));
        let (now, visible) = (store.clock, store.view().1);
        self.past.insert(now, visible.clone());
        let place = |version: &Version| (version.time, version.key);
        let before = self.cursor;
        let mut forward = visible.clone();
        forward.retain(|version| Some(place(version)) > before && version.time < now);
        forward.sort_by_key(place);
        forward.truncate(self.page);
        let in_window = |rows: &[Version], from: Micros| {
            rows.iter().filter(|one| one.time >= from && Some(place(one)) <= before).copied().collect::<Vec<_>>()
        };
        let mut emitted = forward.clone();
        self.state = match self.way {
            Way::Off => None,
            Way::Window => {
                let state = self.state.as_deref().map(|text| window::State::from_text(text).unwrap());
                let mut poll = window::State::poll(state.as_ref(), clock, oldest);
                for version in in_window(&visible, poll.from) {
                    if poll.in_window(version.time, fingerprint(&version)) {
                        emitted.push(version);
                    }
                }
                forward.iter().for_each(|version| poll.forward(version.time, fingerprint(version)));
                Some(poll.finish().to_text())
            }
            Way::History => {
                let state = self.state.as_deref().map(|text| history::State::from_text(text).unwrap());
                let mut poll = history::State::poll(state, now, oldest.unwrap_or(now).min(clock), 0);
                for version in
                    poll.before.iter().flat_map(|before| in_window(&self.past[before], poll.from)).collect::<Vec<_>>()
                {
                    poll.was_there(fingerprint(&version));
                }
                emitted.extend(in_window(&visible, poll.from).iter().filter(|one| poll.is_late(fingerprint(one))));
                Some(poll.finish().to_text())
            }
        };
        self.cursor = forward.last().map(place).or(before);
        emitted.iter().for_each(|one| *self.emitted.entry((one.key, one.number)).or_default() += 1);
        if let Some(cursor) = self.cursor.filter(|_| !emitted.is_empty()) {
            self.stored = Some((cursor, self.state.clone()));
        }
        emitted.len()
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
fn run(steps: &[Step], way: Way, page: usize) -> (usize, usize) {
    let mut store = Store::new(100, true, 0);
    let (past, emitted) = (BTreeMap::new(), BTreeMap::new());
    let mut poller = Poller { way, page, cursor: None, state: None, stored: None, past, emitted };
    let mut steps = steps.iter();
    while let Some(step) = steps.next() {
        match step {
            Step::Write(write) => apply(&mut store, write),
            Step::Restart => {
                poller.cursor = poller.stored.as_ref().map(|(cursor, _)| *cursor);
                poller.state = poller.stored.as_ref().and_then(|(_, state)| state.clone());
            }
            Step::Poll(before, _) => {
                poller.poll(&mut store, |store| {
                    for step in steps.by_ref().take(usize::from(*before)) {
                        if let Step::Write(write) = step {
                            apply(store, write);
                        }
                    }
                });
            }
        }
    }
    store.finish();
    let mut idle = 0;
    while idle < 3 {
        idle = if poller.poll(&mut store, |_| ()) == 0 { idle + 1 } else { 0 };
    }
    let (_, last) = store.view();
    let missing = last.iter().filter(|one| !poller.emitted.contains_key(&(one.key, one.number))).count();
    (missing, poller.emitted.values().filter(|count| **count > 1).count())
}

#[test]
fn every_committed_row_is_emitted_exactly_once_by_window_and_by_history() {
    for (way, seed) in [Way::Window, Way::History].into_iter().flat_map(|way| (0..10_000).map(move |seed| (way, seed)))
    {
        let (steps, setting) = schedule(seed);
        let is_wrong = |steps: &[Step]| run(steps, way, setting.page) != (0, 0);
        if is_wrong(&steps) {
            let core = shrunk(steps, is_wrong);
            let (missing, twice) = run(&core, way, setting.page);
            panic!("{way:?}, seed {seed}: {missing} missing, {twice} twice after {core:#?}");
        }
    }
}

#[test]
fn the_same_schedules_lose_rows_without_it() {
    let lost: usize = (0..500).map(|seed| run(&schedule(seed).0, Way::Off, 3).0).sum();
    assert!(lost > 200, "only {lost} rows lost: the schedules prove nothing");
}
