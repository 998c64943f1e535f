//! The way `gaps` against the model: ids are handed out in order, rows do not tell their transaction, and when one began
//! is known only from when it was first seen.

use std::collections::BTreeMap;

use super::store::{Store, Write};
use super::{Step, schedule, shrunk};
use crate::guard::edge::Edge;
use crate::guard::gaps::{Past, State};

struct Poller {
    guarded: bool,
    page: usize,
    polls: usize,
    edge: Edge,
    past: Past,
    greatest: Option<u64>,
    cursor: Option<u64>,
    state: Option<State>,
    stored: Option<(u64, String)>,
    emitted: BTreeMap<u64, usize>,
}

impl Poller {
    fn poll(&mut self, store: &mut Store, mut between: impl FnMut(&mut Store)) -> usize {
        let low = self.edge.observe(&store.observe(store.steady));
        if let Some(greatest) = self.greatest {
            self.past.seen(low.clock, greatest);
        }
        between(store);
        let visible: Vec<u64> = store.view().1.iter().map(|version| version.key as u64).collect();
        self.greatest = visible.iter().max().copied();
        let known = (!low.has_unknown).then_some(low.known);
        self.polls += 1;
        let leaves = self.polls.is_multiple_of(3);
        let mut poll = State::poll(self.state.as_ref(), &self.past, known, self.cursor, leaves);
        let late: Vec<u64> = visible.iter().copied().filter(|id| self.guarded && poll.gaps.contains(*id)).collect();
        let mut forward: Vec<u64> = visible.iter().copied().filter(|id| Some(*id) > self.cursor).collect();
        forward.sort_unstable();
        forward.truncate(self.page);
        assert!(late.iter().all(|id| poll.late(*id)));
        forward.iter().for_each(|id| poll.forward(*id));
        self.cursor = forward.last().copied().or(self.cursor);
        late.iter().chain(&forward).for_each(|id| *self.emitted.entry(*id).or_default() += 1);
        let state = poll.finish().0;
        if let Some(cursor) = self.cursor.filter(|_| late.len() + forward.len() > 0) {
            self.stored = Some((cursor, state.to_text()));
        }
        self.state = Some(state);
        late.len() + forward.len()
    }

    fn restart(&mut self) {
        (self.edge, self.past, self.greatest) = (Edge::default(), Past::default(), None);
        self.cursor = self.stored.as_ref().map(|(cursor, _)| *cursor);
        self.state = self.stored.as_ref().map(|(_, text)| State::from_text(text).unwrap());
    }
}

/// How many rows are missing, and how many came twice.
fn run(steps: &[Step], guarded: bool, page: usize) -> (usize, usize) {
    let mut store = Store::new(100, false, 0);
    let (edge, past, emitted) = (Edge::default(), Past::default(), BTreeMap::new());
    let mut poller = Poller {
        guarded,
        page,
        polls: 0,
        edge,
        past,
        greatest: None,
        cursor: None,
        state: None,
        stored: None,
        emitted,
    };
    let mut steps = steps.iter();
    let write = |store: &mut Store, write: &Write| {
        if !matches!(write, Write::StepBack(_)) {
            store.apply(write);
        }
    };
    while let Some(step) = steps.next() {
        match step {
            Step::Write(change) => write(&mut store, change),
            Step::Restart => poller.restart(),
            Step::Poll(before, _) => {
                poller.poll(&mut store, |store| {
                    for step in steps.by_ref().take(usize::from(*before)) {
                        if let Step::Write(change) = step {
                            write(store, change);
                        }
                    }
                });
            }
        }
    }
    store.finish();
    let mut idle = 0;
    while idle < 4 {
        idle = if poller.poll(&mut store, |_| ()) == 0 { idle + 1 } else { 0 };
    }
    let missing = store.view().1.iter().filter(|one| !poller.emitted.contains_key(&(one.key as u64))).count();
    (missing, poller.emitted.values().filter(|count| **count > 1).count())
}

#[test]
fn every_committed_row_is_emitted_exactly_once_by_its_gap() {
    for seed in 0..10_000 {
        let (steps, setting) = schedule(seed);
        let is_wrong = |steps: &[Step]| run(steps, true, setting.page) != (0, 0);
        if is_wrong(&steps) {
            let core = shrunk(steps, is_wrong);
            panic!("seed {seed}: {:?} missing and twice after {core:#?}", run(&core, true, setting.page));
        }
    }
}

#[test]
fn the_same_schedules_lose_rows_without_it() {
    let lost: usize = (0..500).map(|seed| run(&schedule(seed).0, false, 3).0).sum();
    assert!(lost > 100, "only {lost} rows lost: the schedules prove nothing");
}
