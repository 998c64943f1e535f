//! Rows that are held back, or not, beside an open transaction: what `window` and `hold` have in common.

use super::method::Holding;
use crate::error::{Error, ErrorKind};

/// More rows are never remembered: nothing newer is read, whatever `commit.guard.on.timeout` says.
pub(super) const MOST_REMEMBERED: usize = 1_000_000;

/// The oldest open transaction, in words.
pub(super) fn blocker(holding: &Holding<'_>) -> String {
    let low = &holding.seen.low;
    let waits = low.clock.saturating_sub(holding.at.facts.watermark(low, None));
    let holder = low.oldest.as_ref().and_then(|(_, holder)| holder.as_deref()).unwrap_or("a transaction");
    format!("{holder}, open for up to {} s", waits / 1_000_000)
}

/// `commit.guard.on.timeout=fail`.
pub(super) fn refused(blocker: &str) -> Error {
    let message = format!("newer rows wait for {blocker}, and commit.guard.on.timeout=fail");
    Error::new(ErrorKind::Refused, message)
        .advise("end that transaction, or set commit.guard.on.timeout to hold or rescan")
}
