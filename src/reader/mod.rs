//! Drives one row stream into one batch: encodes each row as it comes, watches the cursor, and ends the
//! batch where it can be resumed (P10): between two rows that cannot be told to share a cursor. A row that cannot be
//! encoded may be left out, if it is told so; the page goes on behind it. Knows when to stop by rows and bytes; never
//! talks to Kafka.

mod page;
mod pager;
#[cfg(test)]
mod tests;

use crate::dialect::{RowStream, StreamEnd};
use crate::error::Result;
use crate::model::EncodedBatch;
pub use page::{CutRule, EncodeRow, LeftOut, Limits, Ordered, Page, Tolerance};
use pager::Pager;
pub(crate) use pager::remember;

/// Reads from the stream until the limits, its end, or an error. A page goes on to the first row beyond the limits: if
/// that one shares the cursor of the row before it, the rows of that cursor are dropped.
///
/// # Errors
/// Those of the stream and the encoder; `Cursor` for a row without a cursor value, or one that is not where it belongs.
pub async fn read_page(
    stream: &mut dyn RowStream,
    encode: EncodeRow<'_>,
    rule: CutRule<'_>,
    limits: Limits,
    batch: EncodedBatch,
    statement_limit: Option<usize>,
) -> Result<Page> {
    let mut pager = Pager::new(encode, rule, limits, batch);
    let end = stream.next_rows(&mut pager).await?;
    let is_cut_blindly = rule.page.is_some_and(|page| page.is_cut_blindly) && pager.seen > 0;
    let cut = end == StreamEnd::Paused || is_cut_blindly || statement_limit.is_some_and(|limit| pager.seen >= limit);
    Ok(pager.finish(cut))
}
