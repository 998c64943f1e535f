//! Intervals between looks into a window or the gaps, where looking took long and was done a moment ago.

use super::method::At;
use crate::model::Micros;

/// A window that takes longer to read than this is not read at every poll, but for a tenth of the time at most, and at the
/// end of a table that is read once.
const QUICK: Micros = 20_000;

/// The time of the next look for late rows, in memory only.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Leave {
    due: Option<Micros>,
}

impl Leave {
    /// True if looking for late rows is left for another poll.
    pub(super) fn leaves(&self, at: &At<'_>) -> bool {
        !at.must_look && self.due.is_some_and(|due| at.steady < due)
    }

    /// Notes the time that a look for late rows took.
    pub(super) fn looked(&mut self, took: Micros, steady: Micros) {
        self.due = (took > QUICK).then(|| steady.saturating_add(took.saturating_mul(9)));
    }
}
