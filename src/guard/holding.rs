//! Holding rows back beside an open transaction: the common part of `window` and `hold`.

use super::method::Holding;
use crate::error::{Error, ErrorKind};

/// The most rows that are ever remembered: beyond it nothing newer is read, whatever `commit.guard.on.timeout` says.
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
