//! The verdict on a table in doubt: is it the one that was read? Pure: the evidence goes in, a verdict comes out.
//!
//! A statement that writes a table anew moves its rows; one that replaces it leaves other rows or none. So rows that were remembered decide,
//! unless the database itself says that the table was truncated, or that its ids go on or begin anew. Rows that users
//! delete or change prove nothing against a table; it takes rows up to the position that would be passed over.

use crate::model::Landmark;

/// The evidence for a table and against it.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// True if nothing but a TRUNCATE that restarts the ids explains what the database shows.
    pub(super) is_truncated: bool,
    /// The database's word on its ids.
    pub(super) ids: Ids,
    /// The fate of the remembered rows.
    pub(super) rows: Vec<Found>,
    /// True if there are rows up to the position.
    pub(super) has_rows_before: bool,
    /// True if the position was configured, not read from a row.
    pub(super) is_configured: bool,
}

/// The database's word on the ids of a table that is polled by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Ids {
    /// The ids are counted on.
    GoOn,
    /// The ids are handed out again up to the position.
    Restarted,
    /// Nothing is known of the ids.
    #[default]
    Unknown,
}

/// A remembered row as it is now.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) landmark: Landmark,
    /// The row as it is now; none if it is gone.
    pub(super) now: Option<Now>,
}

/// A row that has the key of a remembered one.
#[derive(Debug, Clone, Default)]
pub(super) struct Now {
    /// Hashes of names and values of its columns.
    pub(super) columns: Vec<(u32, u32)>,
    /// True if it has a later time than the remembered one, as an update gives it.
    pub(super) is_later: bool,
    /// True if it is there, and cannot be read.
    pub(super) is_unreadable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The table is the one that was read.
    Same,
    /// The table is empty up to the position, so nothing is passed over; rows that come up to it will be.
    Emptied,
    /// The table begins anew.
    Anew,
    /// No row of it is known, so it cannot be told.
    Unknown,
}

/// The number of columns that tell rows apart which are not all the same by chance.
const TELLING: usize = 2;

impl Evidence {
    pub(super) fn verdict(&self) -> Verdict {
        if self.is_configured || (!self.is_truncated && (self.has_known_rows() || self.ids == Ids::GoOn)) {
            return Verdict::Same;
        }
        if self.ids == Ids::Restarted {
            return Verdict::Anew;
        }
        match (self.has_rows_before, self.rows.is_empty() && !self.is_truncated) {
            (false, _) => Verdict::Emptied,
            (true, true) => Verdict::Unknown,
            (true, false) => Verdict::Anew,
        }
    }

    /// True if the remembered rows are there. One row proves it if its values tell rows apart; of rows that look alike
    /// it takes half; and rows that were updated are known by their unchanged columns.
    fn has_known_rows(&self) -> bool {
        let present: Vec<(&Landmark, &Now)> =
            self.rows.iter().filter_map(|row| Some((&row.landmark, row.now.as_ref()?))).collect();
        let telling = self.telling();
        let same = present.iter().filter(|(landmark, now)| now.is_unreadable || is_same(landmark, now)).count();
        let moved = present.iter().filter(|(landmark, now)| now.is_later || is_same(landmark, now)).count();
        let is_left = |name: &&u32| {
            let left = present.iter().filter(|(landmark, now)| {
                value(&landmark.columns, **name).is_some_and(|was| value(&now.columns, **name) == Some(was))
            });
            left.count() * 2 >= present.len()
        };
        same > 0 && (!telling.is_empty() || same * 2 >= present.len())
            || !present.is_empty() && moved == present.len()
            || present.len() > 1 && telling.iter().filter(is_left).count() >= TELLING
    }

    /// The columns of which hardly two remembered rows had the same value.
    fn telling(&self) -> Vec<u32> {
        let Some(first) = self.rows.first() else { return Vec::new() };
        let is_telling = |name: &u32| {
            let mut values: Vec<u32> = self.rows.iter().filter_map(|row| value(&row.landmark.columns, *name)).collect();
            values.sort_unstable();
            values.dedup();
            // Of many rows two may be alike by chance.
            let least = if self.rows.len() > 3 { self.rows.len() - 1 } else { self.rows.len() };
            values.len() >= least && values.len() > 1
        };
        first.landmark.columns.iter().map(|(name, _)| *name).filter(is_telling).collect()
    }
}

fn value(columns: &[(u32, u32)], name: u32) -> Option<u32> {
    columns.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// True if all columns that are there have their old values.
fn is_same(landmark: &Landmark, now: &Now) -> bool {
    let mut both =
        landmark.columns.iter().filter_map(|(name, was)| Some((*was, value(&now.columns, *name)?))).peekable();
    (both.peek().is_some() || landmark.columns.is_empty()) && both.all(|(was, is)| was == is)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CursorValue, Position};

    /// Evidence of rows of id, name, city and state as they were and as they are; none: gone.
    fn rows(rows: &[(&[u32], Option<&[u32]>)]) -> Vec<Found> {
        let columns = |values: &[u32]| (0..).zip(values.iter().copied()).collect::<Vec<(u32, u32)>>();
        let found = |(id, (was, is)): (i64, &(&[u32], Option<&[u32]>))| Found {
            landmark: Landmark { at: Position(vec![CursorValue::Integer(id)]), read: 1, columns: columns(was) },
            now: is.map(|is| Now { columns: columns(is), ..Now::default() }),
        };
        (1..).zip(rows).map(found).collect()
    }

    fn of(rows: Vec<Found>, has_rows_before: bool) -> Evidence {
        Evidence { rows, has_rows_before, ..Evidence::default() }
    }

    #[test]
    fn rows_that_are_there_are_known_and_others_of_their_ids_are_not() {
        let same = rows(&[(&[1, 5], Some(&[9, 9])), (&[2, 6], None), (&[3, 7], Some(&[3, 7]))]);
        assert_eq!(of(same, true).verdict(), Verdict::Same, "one that tells is enough");
        let other = rows(&[(&[1, 5], Some(&[11, 15])), (&[2, 6], Some(&[12, 16])), (&[3, 7], None)]);
        assert_eq!(of(other.clone(), true).verdict(), Verdict::Anew);
        assert_eq!(of(other, false).verdict(), Verdict::Emptied);
        let gone = rows(&[(&[1], None), (&[2], None)]);
        assert_eq!(of(gone.clone(), true).verdict(), Verdict::Anew);
        assert_eq!(of(gone, false).verdict(), Verdict::Emptied, "nothing is passed over");
        assert_eq!(of(Vec::new(), true).verdict(), Verdict::Unknown);
    }

    #[test]
    fn rows_that_were_updated_are_known_by_what_is_left_of_them() {
        let updated =
            rows(&[(&[1, 5, 0], Some(&[1, 5, 9])), (&[2, 6, 0], Some(&[2, 6, 9])), (&[3, 7, 0], Some(&[3, 7, 8]))]);
        assert_eq!(of(updated, true).verdict(), Verdict::Same);
        // Only the ids are the same, as in a new table: the times are not.
        let named = rows(&[(&[1, 50], Some(&[1, 60])), (&[2, 51], Some(&[2, 61])), (&[3, 52], Some(&[3, 62]))]);
        assert_eq!(of(named, true).verdict(), Verdict::Anew);
        let states = rows(&[(&[1, 0], Some(&[8, 0])), (&[2, 0], Some(&[9, 0]))]);
        assert_eq!(of(states, true).verdict(), Verdict::Anew, "what all rows share tells nothing");
    }

    #[test]
    fn of_rows_that_look_alike_half_must_be_there() {
        let chance = rows(&[(&[1], Some(&[2])), (&[1], Some(&[1])), (&[1], Some(&[2])), (&[2], Some(&[3]))]);
        assert_eq!(of(chance, true).verdict(), Verdict::Anew);
        let alike = rows(&[(&[1], Some(&[1])), (&[1], Some(&[1])), (&[1], Some(&[2])), (&[2], None)]);
        assert_eq!(of(alike, true).verdict(), Verdict::Same);
        let mut renamed = rows(&[(&[1], Some(&[])), (&[2], Some(&[]))]);
        renamed.iter_mut().filter_map(|row| row.now.as_mut()).for_each(|now| now.columns.push((99, 1)));
        assert_eq!(of(renamed, true).verdict(), Verdict::Anew, "no column is left to compare");
        let ids_only = rows(&[(&[], Some(&[])), (&[], Some(&[]))]);
        assert_eq!(of(ids_only, true).verdict(), Verdict::Same);
    }

    #[test]
    fn the_word_of_the_database_comes_first() {
        let same = || rows(&[(&[1], Some(&[1])), (&[2], Some(&[2]))]);
        let truncated = Evidence { is_truncated: true, ..of(same(), true) };
        assert_eq!(truncated.verdict(), Verdict::Anew, "the same rows were loaded again");
        let gone = || rows(&[(&[1], None), (&[2], Some(&[9]))]);
        assert_eq!(Evidence { ids: Ids::GoOn, ..of(gone(), true) }.verdict(), Verdict::Same, "VACUUM FULL");
        assert_eq!(Evidence { ids: Ids::Restarted, ..of(gone(), false) }.verdict(), Verdict::Anew, "still empty");
        assert_eq!(Evidence { ids: Ids::Restarted, ..of(same(), true) }.verdict(), Verdict::Same, "a counter set back");
        assert_eq!(Evidence { is_configured: true, ..of(Vec::new(), true) }.verdict(), Verdict::Same);
        assert_eq!(Evidence { is_truncated: true, ..of(Vec::new(), true) }.verdict(), Verdict::Anew);
    }

    #[test]
    fn rows_whose_times_have_all_moved_on_are_known_and_one_that_cannot_be_read_is_there() {
        let mut later = rows(&[(&[1], Some(&[8])), (&[2], Some(&[9])), (&[3], None)]);
        later.iter_mut().filter_map(|row| row.now.as_mut()).for_each(|now| now.is_later = true);
        assert_eq!(of(later.clone(), true).verdict(), Verdict::Same);
        later.iter_mut().filter_map(|row| row.now.as_mut()).take(1).for_each(|now| now.is_later = false);
        assert_eq!(of(later, true).verdict(), Verdict::Anew);
        let mut unreadable = rows(&[(&[1], Some(&[])), (&[2], None)]);
        unreadable[0].now = Some(Now { is_unreadable: true, ..Now::default() });
        assert_eq!(of(unreadable, true).verdict(), Verdict::Same);
    }
}
