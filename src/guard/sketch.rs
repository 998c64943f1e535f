//! Set reconciliation: a sketch (invertible Bloom lookup table) of fixed size that stands for more rows than an offset
//! holds. It tells how two sets differ, whatever their size, as long as they do not differ by more than it has room
//! for: the rows that were remembered are recovered from it and from those that are there now, less those that have
//! come or gone meanwhile. The sketch of a set that grows is the sum of those of its parts (Eppstein, Goodrich, Uyeda,
//! Varghese: What's the Difference? Efficient Set Reconciliation without Prior Context, 2011, section 3).

use std::collections::HashSet;

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;

use super::fingerprint::{FingerprintBag, RowFingerprint};

/// Every row is in one cell of each part.
const PARTS: usize = 3;
/// The cells of a part, so that all take 64 KiB as text.
const CELLS: usize = 1_170;
/// The bytes of a cell.
const CELL_BYTES: usize = 14;

/// A sketch of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sketch {
    cells: Vec<Cell>,
}

/// The sum of the rows that are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Cell {
    /// The count of rows, which wraps around; that of a difference is small.
    count: u16,
    keys: u64,
    checks: u32,
}

/// The finalizer of SplitMix64.
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// The number of a row in the sketch; `nth` of those that nothing tells apart.
fn key(fingerprint: RowFingerprint, nth: u32) -> u64 {
    mixed(mixed(fingerprint.place).wrapping_add((u64::from(fingerprint.content) << 32) | u64::from(nth)))
}

impl Cell {
    fn add(&mut self, key: u64, count: u16) {
        self.count = self.count.wrapping_add(count);
        self.keys ^= key;
        self.checks ^= Self::check(key);
    }

    fn check(key: u64) -> u32 {
        mixed(!key) as u32
    }

    /// The only row that is left in it.
    fn only(&self) -> Option<u64> {
        let is_one = self.count == 1 || self.count == u16::MAX;
        (is_one && self.checks == Self::check(self.keys)).then_some(self.keys)
    }
}

impl Sketch {
    /// The sketch of these rows.
    pub fn of(rows: &FingerprintBag) -> Self {
        let mut sketch = Self { cells: vec![Cell::default(); PARTS * CELLS] };
        rows.each().for_each(|(fingerprint, nth)| sketch.insert(fingerprint, nth));
        sketch
    }

    /// One row more; `nth` counts, from 0, those of its fingerprint.
    pub fn insert(&mut self, row: RowFingerprint, nth: u32) {
        self.add(key(row, nth), 1);
    }

    /// The rows of `there` that are in the sketch; none if too many have come or gone.
    pub fn among(mut self, there: FingerprintBag) -> Option<FingerprintBag> {
        // The difference: rows that have come, with a negative count, and rows that have gone.
        there.each().for_each(|(fingerprint, nth)| self.add(key(fingerprint, nth), u16::MAX));
        let mut come = HashSet::new();
        let mut next: Vec<usize> = (0..self.cells.len()).collect();
        while let Some(at) = next.pop() {
            let Some(key) = self.cells[at].only() else { continue };
            let count = self.cells[at].count;
            if count == u16::MAX && !come.insert(key) {
                return None;
            }
            self.add(key, count.wrapping_neg());
            next.extend(self.places(key));
        }
        if self.cells.iter().any(|cell| *cell != Cell::default()) {
            return None;
        }
        let mut rows = there.clone();
        for (fingerprint, nth) in there.each() {
            if come.remove(&key(fingerprint, nth)) {
                rows.take(fingerprint);
            }
        }
        come.is_empty().then_some(rows)
    }

    fn places(&self, key: u64) -> [usize; PARTS] {
        let cells = self.cells.len() / PARTS;
        std::array::from_fn(|part| part * cells + (mixed(key.wrapping_add(part as u64)) % cells as u64) as usize)
    }

    fn add(&mut self, key: u64, count: u16) {
        self.places(key).into_iter().for_each(|at| self.cells[at].add(key, count));
    }

    /// Base64, 64 KiB.
    pub fn to_text(&self) -> String {
        let mut bytes = Vec::with_capacity(self.cells.len() * CELL_BYTES);
        for cell in &self.cells {
            bytes.extend(cell.count.to_be_bytes());
            bytes.extend(cell.keys.to_be_bytes());
            bytes.extend(cell.checks.to_be_bytes());
        }
        BASE64_STANDARD_NO_PAD.encode(bytes)
    }

    /// Reads [`Sketch::to_text`] back; none if it is not one.
    pub fn from_text(text: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD_NO_PAD.decode(text).ok()?;
        let (cells, rest) = bytes.as_chunks::<CELL_BYTES>();
        let cell = |bytes: &[u8; CELL_BYTES]| {
            let (count, bytes) = bytes.split_first_chunk()?;
            let (keys, checks) = bytes.split_first_chunk()?;
            let (count, keys) = (u16::from_be_bytes(*count), u64::from_be_bytes(*keys));
            Some(Cell { count, keys, checks: u32::from_be_bytes(*checks.first_chunk()?) })
        };
        let cells = cells.iter().map(cell).collect::<Option<Vec<_>>>()?;
        (rest.is_empty() && cells.len() == PARTS * CELLS).then_some(Self { cells })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of rows by which two sets may differ, nearly always: 0.818 of the cells for three parts, less some.
    const DIFFERENCE: usize = 2_500;

    fn rows(places: impl Iterator<Item = u64>) -> FingerprintBag {
        let mut rows = FingerprintBag::default();
        places.for_each(|place| rows.add(RowFingerprint { place, content: 7 }));
        rows
    }

    #[test]
    fn rows_are_had_again_from_those_that_are_there_now() {
        for seed in 0..40 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (all, gone) = (random.u64(0..60_000), random.u64(0..DIFFERENCE as u64 / 2));
            let come = DIFFERENCE as u64 - gone;
            let gone = gone.min(all);
            let sketch = Sketch::of(&rows(0..all));
            let sketch = Sketch::from_text(&sketch.to_text()).expect("a sketch");
            let there = rows(gone..all + come);
            assert!(sketch.among(there) == Some(rows(gone..all)), "seed {seed}");
        }
    }

    #[test]
    fn what_was_stored_of_the_same_rows_is_the_same_to_the_byte() {
        let text = Sketch::of(&rows(0..5_000)).to_text();
        assert_eq!(crate::model::Hash::default().with(text.as_bytes()).whole(), 0xcd553eeac7ded9e5);
    }

    #[test]
    fn rows_that_nothing_tells_apart_are_counted() {
        let fingerprint = RowFingerprint { place: 1, content: 2 };
        let twice = (0..2).fold(FingerprintBag::default(), |mut rows, _| {
            rows.add(fingerprint);
            rows
        });
        let mut more = twice.clone();
        (0..3).for_each(|_| more.add(fingerprint));
        let less = Sketch::of(&more).among(twice.clone());
        assert_eq!(Sketch::of(&twice).among(more), Some(twice.clone()));
        assert_eq!(less, Some(twice), "three have gone");
    }

    #[test]
    fn too_many_that_have_come_or_gone_are_not_guessed() {
        for (remembered, there) in [(0..10, 10..4_000), (0..4_000, 0..0), (0..90_000, 5_000..90_000)] {
            assert_eq!(Sketch::of(&rows(remembered)).among(rows(there)), None);
        }
    }

    #[test]
    fn what_is_no_sketch_is_not_read() {
        let text = Sketch::of(&FingerprintBag::default()).to_text();
        assert!(text.len() <= 1 << 16, "{}", text.len());
        for text in ["", "AAAA", "x;", &text[..text.len() - 56]] {
            assert_eq!(Sketch::from_text(text), None);
        }
    }
}
