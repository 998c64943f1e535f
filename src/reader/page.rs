//! The rules a result is read by, and the page that comes of it.

use crate::dialect::Row;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CursorValue, EncodedBatch, Position, RowText, Sample, TupleOrder};

/// Encodes one row to the end of a buffer; what the convert module's encoders are, without naming them.
pub type EncodeRow<'a> = &'a (dyn Fn(&Row<'_>, &mut EncodedBatch) -> Result<()> + Sync);

/// The limits of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows.
    pub rows: usize,
    /// Bytes of keys and values.
    pub bytes: usize,
}

/// The rules by which a result is cut into pages.
#[derive(Debug, Clone, Copy)]
pub struct CutRule<'a> {
    /// It is a page, behind which reading goes on from a position; else its batches are parts of one whole, which may end
    /// after any row.
    pub page: Option<Ordered<'a>>,
    /// True if a row without a cursor value stops the relation; else it is passed over.
    pub null_fails: bool,
    /// The rows that are left out instead of stopping the relation.
    pub tolerance: Tolerance,
}

/// The order a page is in.
#[derive(Debug, Clone, Copy)]
pub struct Ordered<'a> {
    /// The order of its cursor's values.
    pub order: &'a TupleOrder,
    /// All its rows come after this position.
    pub after: Option<&'a Position>,
    /// The number of values of the cursor that make [`Page::settled`].
    pub told_len: usize,
    /// True if the result may end by itself between rows that share a cursor.
    pub is_cut_blindly: bool,
}

impl CutRule<'_> {
    /// The same for a result whose batches are parts of one whole.
    pub fn whole(self) -> CutRule<'static> {
        CutRule { page: None, null_fails: self.null_fails, tolerance: self.tolerance }
    }
}

/// The rows that are left out of a page instead of stopping it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tolerance {
    /// True for those with a value that cannot be represented.
    pub values: bool,
    /// True for those whose record is too large.
    pub too_large: bool,
    /// True if the text of such a row is wanted.
    pub texts: bool,
}

/// A row that was left out.
#[derive(Debug)]
pub struct LeftOut {
    /// The reason.
    pub error: Error,
    /// The row, if its text is wanted.
    pub row: Option<RowText>,
}

impl LeftOut {
    /// A value does not fit the schema that was described.
    pub fn is_misfit(&self) -> bool {
        self.error.kind() == ErrorKind::Value
    }
}

/// A page that was read.
#[derive(Debug)]
pub struct Page {
    /// The rows, encoded; possibly none.
    pub batch: EncodedBatch,
    /// The rows that were left out, which the position is behind of, too.
    pub left_out: Vec<LeftOut>,
    /// The last row's position; none if there was no row or the relation has no cursor.
    pub position: Option<Position>,
    /// The first cursor values of the last rows all of whose like are in the batch or before it.
    pub settled: Option<Vec<CursorValue<'static>>>,
    /// True if the result has ended.
    pub ended: bool,
    /// Rows of this one cursor fill the whole page, and there may be more of them: read them as a tie.
    pub unfinished_tie: Option<Position>,
    /// Some of the rows: the first ones, and fewer and fewer behind them.
    pub samples: Vec<Sample>,
}
