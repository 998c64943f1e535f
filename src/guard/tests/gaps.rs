//! The way `gaps` against the model: ids are handed out in order, rows do not tell their transaction, and when one began
//! is known only from when it was first seen.

use std::collections::BTreeMap;

use super::store::{Store, Write};
use super::{Step, World, schedule, shrunk};
use crate::guard::edge::Edge;
use crate::guard::gaps::{Past, State};

struct Poller {
    guarded: bool,
    page: usize,
    /// So many rows may have the same id; they come together.
    shared: u64,
    polls: usize,
    edge: Edge,
    past: Past,
    greatest: Option<u64>,
    cursor: Option<u64>,
    state: Option<State>,
    stored: Option<(u64, String)>,
    emitted: BTreeMap<(u64, u64), usize>,
}

impl Poller {
    fn poll(&mut self, store: &mut Store, mut between: impl FnMut(&mut Store)) -> usize {
        let low = self.edge.observe(&store.observe(store.steady));
        if let Some(greatest) = self.greatest {
            self.past.seen(low.clock, greatest);
        }
        between(store);
        let rows_of = |id: u64| (0..=id % self.shared).map(move |part| (id, part));
        let visible: Vec<_> = store.view().1.iter().flat_map(|version| rows_of(version.key as u64)).collect();
        self.greatest = visible.iter().map(|(id, _)| *id).max();
        let known = (!low.has_unknown).then_some(low.known);
        self.polls += 1;
        let leaves = self.polls.is_multiple_of(3);
        let mut poll = State::poll(self.state.as_ref(), &self.past, known, self.cursor, leaves);
        let late: Vec<_> = visible.iter().copied().filter(|(id, _)| self.guarded && poll.gaps.contains(*id)).collect();
        let mut forward: Vec<_> = visible.iter().copied().filter(|(id, _)| Some(*id) > self.cursor).collect();
        forward.sort_unstable();
        // Rows of one id are not parted.
        let last = forward.get(..self.page).and_then(|page| page.last()).map(|(id, _)| *id);
        forward.retain(|(id, _)| last.is_none_or(|last| *id <= last));
        assert!(late.iter().all(|(id, _)| poll.late(*id)));
        forward.iter().for_each(|(id, _)| poll.forward(*id));
        self.cursor = forward.last().map(|(id, _)| *id).or(self.cursor);
        late.iter().chain(&forward).for_each(|row| *self.emitted.entry(*row).or_default() += 1);
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
fn run(steps: &[Step], guarded: bool, (page, shared): (usize, u64)) -> (usize, usize) {
    let mut store = Store::new(100, false, World::instants());
    let (edge, past, emitted) = (Edge::default(), Past::default(), BTreeMap::new());
    let mut poller = Poller {
        guarded,
        page,
        shared,
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
    let (_, last) = store.view();
    let rows = last.iter().flat_map(|one| (0..=one.key as u64 % shared).map(|part| (one.key as u64, part)));
    let missing = rows.filter(|row| !poller.emitted.contains_key(row)).count();
    (missing, poller.emitted.values().filter(|count| **count > 1).count())
}

#[test]
fn every_committed_row_is_emitted_exactly_once_by_its_gap() {
    for seed in 0..10_000 {
        let (steps, setting) = schedule(seed);
        let pages = (setting.page, seed % 3 + 1);
        let is_wrong = |steps: &[Step]| run(steps, true, pages) != (0, 0);
        if is_wrong(&steps) {
            let core = shrunk(steps, is_wrong);
            panic!("seed {seed}: {:?} missing and twice after {core:#?}", run(&core, true, pages));
        }
    }
}

#[test]
fn the_same_schedules_lose_rows_without_it() {
    let lost: usize = (0..500).map(|seed| run(&schedule(seed).0, false, (3, 1)).0).sum();
    assert!(lost > 100, "only {lost} rows lost: the schedules prove nothing");
}
