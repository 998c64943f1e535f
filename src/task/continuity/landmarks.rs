//! A few of the rows read, by which a table is known again: spread over all of it, and the newest always among them.

use crate::model::{ColumnDefinition, CursorValue, Hash, Landmark, Position, Sample};
use crate::plan::Planner;
use crate::task::binding::Binding;

/// The number of landmarks that are kept.
const KEPT: usize = 6;

/// Rows that are remembered, the oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Landmarks {
    kept: Vec<Landmark>,
    /// Rows that were read since the last look at the table, which may be those of another one.
    pending: Vec<Landmark>,
    /// The number of rows that have been read.
    read: u64,
}

impl Landmarks {
    pub(super) fn from_stored(kept: Vec<Landmark>) -> Self {
        let read = kept.iter().map(|landmark| landmark.read).max().unwrap_or_default();
        Self { kept, pending: Vec::new(), read }
    }

    pub(super) fn kept(&self) -> &[Landmark] {
        &self.kept
    }

    /// Takes some rows of a batch of so many records.
    pub(super) fn add(&mut self, samples: Vec<Sample>, records: usize, (binding, planner): (&Binding, &Planner)) {
        let names = Names::of(binding, planner);
        let length = planner.tuple_len();
        for sample in samples {
            let mut cursor = sample.cursor;
            cursor.truncate(length);
            if cursor.len() == length && !cursor.contains(&CursorValue::Null) {
                let read = self.read + sample.records as u64;
                self.pending.push(Landmark { at: Position(cursor), read, columns: names.columns(&sample.values) });
            }
        }
        self.read += records as u64;
        // Only so many of them are ever kept.
        while self.pending.len() > 4 * KEPT {
            let place = superfluous(&self.pending);
            self.pending.remove(place);
        }
    }

    /// The table is the one that was read.
    pub(super) fn confirm(&mut self) {
        for landmark in std::mem::take(&mut self.pending) {
            self.kept.push(landmark);
            if self.kept.len() > KEPT {
                let place = superfluous(&self.kept);
                self.kept.remove(place);
            }
        }
    }

    /// True if rows were read that may or may not be committed yet.
    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Keeps the rows that are still there, as they are now.
    pub(super) fn replace(&mut self, kept: Vec<Landmark>) {
        self.kept = kept;
    }
}

/// The one between two others that are nearest to each other, by their age.
fn superfluous(kept: &[Landmark]) -> usize {
    let newest = kept.last().map_or(0, |landmark| landmark.read);
    let age = |place: usize| (newest.saturating_sub(kept[place].read) + 1) as f64;
    (1..kept.len() - 1)
        .min_by(|one, other| {
            let ratio = |place: usize| age(place - 1) / age(place + 1);
            ratio(*one).total_cmp(&ratio(*other))
        })
        .unwrap_or(0)
}

/// The names of the columns that are looked at, as hashes; none for those of the cursor, which are known anyway.
pub(super) struct Names(Vec<Option<u32>>);

impl Names {
    pub(super) fn of(binding: &Binding, planner: &Planner) -> Self {
        let definition = &binding.definition;
        let of_cursor: Vec<usize> = planner.cursor_columns().filter_map(|name| definition.column_index(name)).collect();
        let names = definition.columns.iter().take(Sample::COLUMNS).enumerate();
        let name = |(index, column): (usize, &ColumnDefinition)| {
            let hash = Hash::default().with(column.field.name.as_bytes()).half();
            Some(hash).filter(|_| !of_cursor.contains(&index))
        };
        Self(names.map(name).collect())
    }

    pub(super) fn columns(&self, values: &[u32]) -> Vec<(u32, u32)> {
        self.0.iter().zip(values).filter_map(|(name, value)| Some(((*name)?, *value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_kept_and_the_others_are_spread_by_their_age() {
        let mut landmarks = Landmarks::default();
        for read in 1..=10_000 {
            let at = Position(vec![CursorValue::Integer(read as i64)]);
            landmarks.pending.push(Landmark { at, read, columns: Vec::new() });
            landmarks.confirm();
        }
        let kept: Vec<u64> = landmarks.kept.iter().map(|landmark| landmark.read).collect();
        assert_eq!((kept.len(), kept[0], kept[5]), (KEPT, 1, 10_000), "{kept:?}");
        assert!(kept[4] > 9_900 && kept[2] < 9_900, "{kept:?}");
    }
}
