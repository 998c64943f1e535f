//! What of `memory.max.bytes` each task may use. The parts are fixed when the tasks are known, so nobody waits for
//! memory, and no table can take what another needs: a task holds at most four pages (one being read, one in the
//! channel, one being sent, one of a bulk load held back) and the producer's queue.

use crate::error::{Error, Result};

const MIB: usize = 1024 * 1024;
/// The program itself: code, connections, schemas, the clients' buffers.
const BASE: usize = 40 * MIB;
/// A page never holds more, however much there is: larger ones are not faster.
const LARGEST_PAGE: usize = 8 * MIB;
/// Likewise for the producer's queue.
const LARGEST_QUEUE: usize = 32 * MIB;
/// With less a task would do little but wait for the brokers.
const LEAST: usize = 2 * MIB;

/// The memory of one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// A page is cut when its records reach this size.
    pub page_bytes: usize,
    /// What may wait in the producer.
    pub queue_bytes: usize,
}

impl Share {
    /// Divides `max` bytes among so many tasks.
    ///
    /// # Errors
    /// `Config` if it is too little, with what is enough.
    pub fn among(tasks: usize, max: usize) -> Result<Self> {
        let tasks = tasks.max(1);
        let each = max.saturating_sub(BASE) / tasks;
        if each < LEAST {
            let enough = BASE + tasks * LEAST;
            return Err(Error::config(format!("memory.max.bytes={max} is too little for {tasks} tasks"))
                .advise(format!("give it at least {enough}, or lower tasks.max")));
        }
        let queue_bytes = (each / 2).min(LARGEST_QUEUE);
        // One of the five is for what a page is longer than its limit: its last row, and buffers that have grown.
        let page_bytes = ((each - queue_bytes) / 5).min(LARGEST_PAGE);
        Ok(Self { page_bytes, queue_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_queues_of_all_tasks_stay_within_the_limit() {
        for (tasks, max) in [(1, 64 * MIB), (1, 256 * MIB), (4, 256 * MIB), (50, 256 * MIB), (50, 4096 * MIB)] {
            let share = Share::among(tasks, max).unwrap();
            assert!(BASE + tasks * (5 * share.page_bytes + share.queue_bytes) <= max, "{tasks} {max} {share:?}");
        }
        assert_eq!(Share::among(1, 256 * MIB).unwrap(), Share { page_bytes: LARGEST_PAGE, queue_bytes: LARGEST_QUEUE });
        let error = Share::among(200, 256 * MIB).unwrap_err();
        assert_eq!(error.advice(), format!("give it at least {}, or lower tasks.max", 440 * MIB));
    }
}
