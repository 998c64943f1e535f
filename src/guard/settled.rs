//! The rows of a table at which nothing happens any more, as far as an observation of the database tells.

use super::method::At;
use super::snapshot::SLACK;
use super::watermark::LowWatermark;
use crate::error::Result;
use crate::model::{CursorValue, Micros};

/// The time of a column at or below which no row can be committed any more, as far as an observation tells: no transaction
/// that is open, and none that begins later, writes one, unless it has been open for longer than `reach` and that is not
/// seen. For a table that is read for the first time.
///
/// # Errors
/// Of a table without a timestamp.
pub fn settled(at: &At<'_>, low: &LowWatermark, reach: Micros) -> Result<CursorValue<'static>> {
    let known = low.known.min(low.clock.saturating_sub(reach));
    let lowest = at.facts.clock.lowest_from(known.saturating_sub(SLACK));
    at.value(lowest.saturating_sub(at.behind(None, low.clock)))
}
