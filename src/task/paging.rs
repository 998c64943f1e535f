//! The size of the pages of a table: they double while full ones follow each other, stay within the byte limit, and shrink
//! back at the end.

use std::time::Duration;

use super::memory::TaskMemory;
use crate::reader::{Limits, Page};

/// A page never has more rows, however far behind its table is.
pub(super) const MAX_PAGE_ROWS: usize = 65_536;

/// The size of a table's next page, and the time its statement may take.
#[derive(Debug, Clone)]
pub(super) struct Paging {
    /// `batch.max.rows`.
    base: usize,
    rows: usize,
    /// The size of a record, as far as it is known.
    row_bytes: usize,
    memory: TaskMemory,
    /// The number of times the time of its statements was doubled.
    doublings: u32,
    /// True if the last page ended before it was full.
    is_at_end: bool,
}

impl Paging {
    pub(super) fn new(base: usize, memory: TaskMemory) -> Self {
        Self { base, rows: base, row_bytes: 64, memory, doublings: 0, is_at_end: false }
    }

    /// The size at which a page is cut.
    pub(super) fn max_bytes(&self) -> usize {
        self.memory.page_bytes()
    }

    /// The limits of the next page.
    pub(super) fn limits(&self) -> Limits {
        Limits { rows: self.rows, bytes: self.max_bytes() }
    }

    /// The rows and the bytes per row that a batch is made for.
    pub(super) fn expected(&self) -> (usize, usize) {
        let rows = self.rows.min(MAX_PAGE_ROWS);
        (rows, self.row_bytes.min(self.max_bytes() / rows.max(1) + 1))
    }

    /// The longest time of a statement without a row, if that is `time` by the configuration.
    pub(super) fn patience(&self, time: Duration) -> Duration {
        time.saturating_mul(1 << self.doublings.min(16))
    }

    /// True if the last page ended before it was full.
    pub(super) fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// A page was read.
    pub(super) fn read(&mut self, page: &Page) {
        self.is_at_end = page.ended;
        if !page.batch.is_empty() {
            self.row_bytes = page.batch.bytes() / page.batch.len() + 8;
        }
        if page.ended {
            self.rows = self.base;
            return;
        }
        let fitting = (self.max_bytes() / self.row_bytes.max(1)).max(1);
        let doubled = (self.rows * 2).min(MAX_PAGE_ROWS.max(self.base));
        self.rows = if doubled <= fitting { doubled } else { largest_step(self.base, fitting) };
    }

    /// A statement took longer than it may: the next one gets twice as much time, and fewer rows to read.
    pub(super) fn timed_out(&mut self) {
        self.doublings += 1;
        self.restart();
    }

    /// Goes back to the size of a first page.
    pub(super) fn restart(&mut self) {
        self.rows = self.base;
    }
}

/// The largest `base` times a power of two that fits, so that few different statements are prepared.
fn largest_step(base: usize, fitting: usize) -> usize {
    let mut step = base.max(1);
    while step > fitting && step > 1 {
        step /= 2;
    }
    while step * 2 <= fitting && step * 2 <= MAX_PAGE_ROWS {
        step *= 2;
    }
    step
}
