//! The rows of a window that have been emitted. A value: the states before and after a poll share the unchanged part,
//! so a poll costs only the rows it adds. For more rows than an offset holds a sketch is kept as they come.

use std::sync::Arc;

use super::fingerprint::{FingerprintBag, RowFingerprint};
use super::sketch::Sketch;

/// The most rows that an offset holds one by one: 64 KiB.
pub(super) const STORED: usize = 4_096;

/// Rows that were emitted.
#[derive(Debug, Clone, Default)]
pub(super) struct Remembered {
    /// In layers that shrink, so that there are few of them.
    layers: Vec<Arc<FingerprintBag>>,
    len: usize,
    /// The sketch of all, once they are more than an offset holds.
    sketch: Option<Arc<Sketch>>,
}

impl Remembered {
    /// Their number.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// All of them in one bag.
    pub(super) fn all(&self) -> FingerprintBag {
        let mut layers = self.layers.iter();
        let mut all = layers.next().map(|first| FingerprintBag::clone(first)).unwrap_or_default();
        layers.for_each(|layer| all.extend(FingerprintBag::clone(layer)));
        all
    }

    /// The same and more.
    pub(super) fn with(&self, more: FingerprintBag) -> Self {
        let mut next = self.clone();
        if more.is_empty() {
            return next;
        }
        next.len += more.len();
        if next.len > STORED {
            let mut sketch =
                self.sketch.as_ref().map_or_else(|| Sketch::of(&self.all()), |sketch| Sketch::clone(sketch));
            more.each().for_each(|(row, nth)| sketch.insert(row, self.count(row) + nth));
            next.sketch = Some(Arc::new(sketch));
        }
        let mut last = more;
        while let Some(layer) = next.layers.pop_if(|layer| layer.len() < 2 * last.len()) {
            last.extend(Arc::unwrap_or_clone(layer));
        }
        next.layers.push(Arc::new(last));
        next
    }

    fn count(&self, row: RowFingerprint) -> u32 {
        self.layers.iter().map(|layer| layer.count(row)).sum()
    }

    /// The sketch of all.
    pub(super) fn sketch(&self) -> Arc<Sketch> {
        self.sketch.clone().unwrap_or_else(|| Arc::new(Sketch::of(&self.all())))
    }
}

impl From<FingerprintBag> for Remembered {
    fn from(rows: FingerprintBag) -> Self {
        Self::default().with(rows)
    }
}

impl PartialEq for Remembered {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.all() == other.all()
    }
}

impl Eq for Remembered {}

#[cfg(test)]
mod tests {
    use super::*;

    fn bag(places: impl Iterator<Item = u64>) -> FingerprintBag {
        let mut bag = FingerprintBag::default();
        // Some rows have the same fingerprint.
        places.for_each(|place| bag.add(RowFingerprint { place: place / 3 * 2 + place % 2, content: 7 }));
        bag
    }

    #[test]
    fn the_sketch_of_rows_that_came_page_by_page_is_that_of_all_of_them() {
        let (mut rows, mut before) = (Remembered::default(), Vec::new());
        for page in 0..200 {
            before.push(rows.clone());
            rows = rows.with(bag(page * 97..(page + 1) * 97));
            assert!(rows.layers.len() <= 16, "{} layers", rows.layers.len());
        }
        let all = bag(0..200 * 97);
        assert_eq!(*rows.sketch(), Sketch::of(&all));
        assert!(rows.all() == all && rows.len() == 200 * 97);
        assert!(before[100].len() == 9_700 && *before[100].sketch() == Sketch::of(&bag(0..9_700)), "what was, stays");
    }
}
