//! Sets of ids that mostly lie side by side, as sorted ranges: hidden transactions and open gaps are kept in them.
//! Pure. Written as text relative to a base, so that large ids stay short.

use std::fmt::Write as _;

/// A set of ids as sorted half-open ranges that do not touch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RangeSet(Vec<(u64, u64)>);

impl RangeSet {
    /// The ids from `from` up to but not including `to`.
    pub fn span(from: u64, to: u64) -> Self {
        Self(if from < to { vec![(from, to)] } else { Vec::new() })
    }

    /// Adds the ids from `from` up to but not including `to`.
    pub fn add(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        // Ranges that touch the new one become one with it.
        let first = self.0.partition_point(|range| range.1 < from);
        let last = self.0.partition_point(|range| range.0 <= to);
        let merged = self.0[first..last].iter().fold((from, to), |all, range| (all.0.min(range.0), all.1.max(range.1)));
        self.0.splice(first..last, [merged]);
    }

    /// Adds one id.
    pub fn insert(&mut self, id: u64) {
        self.add(id, id.saturating_add(1));
    }

    /// Takes the ids from `from` up to but not including `to` out.
    pub fn remove(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        let first = self.0.partition_point(|range| range.1 <= from);
        let last = self.0.partition_point(|range| range.0 < to);
        let mut left = Vec::new();
        for range in &self.0[first..last] {
            left.extend((range.0 < from).then_some((range.0, from)));
            left.extend((range.1 > to).then_some((to, range.1)));
        }
        self.0.splice(first..last, left);
    }

    /// True if an id is in the set.
    pub fn contains(&self, id: u64) -> bool {
        let after = self.0.partition_point(|range| range.0 <= id);
        after.checked_sub(1).is_some_and(|index| id < self.0[index].1)
    }

    /// Adds all ids of another set.
    pub fn extend(&mut self, other: &Self) {
        other.0.iter().for_each(|range| self.add(range.0, range.1));
    }

    /// The ids of this set that are not in another.
    pub fn without(mut self, other: &Self) -> Self {
        other.0.iter().for_each(|range| self.remove(range.0, range.1));
        self
    }

    /// The ids of this set from `from` on.
    pub fn from(mut self, from: u64) -> Self {
        self.remove(0, from);
        self
    }

    /// True if the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of ids.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|range| range.1 - range.0).sum()
    }

    /// The least id.
    pub fn first(&self) -> Option<u64> {
        self.0.first().map(|range| range.0)
    }

    /// The ranges, the end not included, in order.
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// `0,3-5`, each as its distance from `base`, ends included; no id lies below it.
    pub fn to_text(&self, base: u64) -> String {
        let mut text = String::new();
        for (from, to) in &self.0 {
            let comma = if text.is_empty() { "" } else { "," };
            let (from, last) = (from.saturating_sub(base), to.saturating_sub(base + 1));
            // Writing to a String cannot fail.
            let _ = if from == last { write!(text, "{comma}{from}") } else { write!(text, "{comma}{from}-{last}") };
        }
        text
    }

    /// Reads [`RangeSet::to_text`] back; none if it is not one.
    pub fn from_text(text: &str, base: u64) -> Option<Self> {
        let mut set = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (from, last) = part.split_once('-').unwrap_or((part, part));
            let from = base.checked_add(from.parse().ok()?)?;
            let to = base.checked_add(last.parse().ok()?)?.checked_add(1)?;
            if from >= to {
                return None;
            }
            set.add(from, to);
        }
        Some(set)
    }
}

impl FromIterator<u64> for RangeSet {
    fn from_iter<I: IntoIterator<Item = u64>>(ids: I) -> Self {
        let mut set = Self::default();
        ids.into_iter().for_each(|id| set.insert(id));
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_range_set_is_a_set(steps in proptest::collection::vec((any::<bool>(), 0_u64..40, 0_u64..12), 0..30)) {
            let (mut ranges, mut ids) = (RangeSet::default(), BTreeSet::new());
            for (add, from, length) in steps {
                if add {
                    ranges.add(from, from + length);
                    ids.extend(from..from + length);
                } else {
                    ranges.remove(from, from + length);
                    ids.retain(|id| !(from..from + length).contains(id));
                }
            }
            prop_assert_eq!((0..60).filter(|id| ranges.contains(*id)).collect::<BTreeSet<_>>(), ids.clone());
            prop_assert_eq!(&ids.iter().copied().collect::<RangeSet>(), &ranges, "one form for one set");
            prop_assert_eq!(ranges.count(), ids.len() as u64);
            let base = ranges.first().unwrap_or(7);
            prop_assert_eq!(RangeSet::from_text(&ranges.to_text(base), base), Some(ranges));
        }
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for text in ["x", "1-", "-1", "5-3", "1.5", "18446744073709551615"] {
            assert_eq!(RangeSet::from_text(text, 1), None, "{text}");
        }
    }
}
