//! The size of the pages of a table: they double while full ones follow each other, stay within the byte limit, and shrink
//! back at the end.

use std::time::Duration;

use super::memory::TaskMemory;
use crate::config::spec::PollSpec;
use crate::reader::{Limits, Page};

/// A page never has more rows, however far behind its table is.
pub(super) const MAX_PAGE_ROWS: usize = 65_536;

/// The size of a table's next page, and the time its statement may take.
#[derive(Debug, Clone)]
pub(super) struct Paging {
    /// `batch.max.rows`.
    base: usize,
    /// The most rows of a page.
    most: usize,
    /// `load.rows.per.second`; zero: no limit.
    rate: usize,
    rows: usize,
    /// The rows of the last page.
    last: usize,
    /// The size of a record, as far as it is known.
    row_bytes: usize,
    memory: TaskMemory,
    /// The number of times the time of its statements was doubled.
    doublings: u32,
    /// True if the last page ended before it was full.
    is_at_end: bool,
}

impl Paging {
    pub(super) fn new(polling: &PollSpec, memory: TaskMemory) -> Self {
        let (rows, rate) = (polling.batch_max_rows, polling.load_rate);
        // A page is read at once, so it is no more than a second's rows.
        let limit = if rate == 0 { usize::MAX } else { rate };
        let (base, most) = (rows.min(limit), MAX_PAGE_ROWS.max(rows).min(limit));
        Self { base, most, rate, rows: base, last: 0, row_bytes: 64, memory, doublings: 0, is_at_end: false }
    }

    /// The same with smaller pages.
    pub(super) fn at_most(self, rows: usize) -> Self {
        Self { base: self.base.min(rows), most: self.most.min(rows), rows: self.rows.min(rows), ..self }
    }

    /// The pause before the next page of a table that has more rows.
    pub(super) fn pace(&self) -> Duration {
        if self.rate == 0 { Duration::ZERO } else { Duration::from_secs_f64(self.last as f64 / self.rate as f64) }
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
        (self.is_at_end, self.last) = (page.ended, page.batch.len());
        if !page.batch.is_empty() {
            self.row_bytes = page.batch.bytes() / page.batch.len() + 8;
        }
        if page.ended {
            self.rows = self.base;
            return;
        }
        let fitting = (self.max_bytes() / self.row_bytes.max(1)).max(1);
        let doubled = (self.rows * 2).min(self.most);
        self.rows = if doubled <= fitting { doubled } else { largest_step(self.base, fitting.min(self.most)) };
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
