//! The memory of the process, `memory.max.bytes`, and each task's part of it. Nobody waits for memory and no table can
//! take what another needs: a task holds at most four pages (one being read, one in the channel, one being sent, one of
//! a bulk load held back) and the producer's queue. All tasks of all connectors of a process divide one budget, the
//! largest that one of them gives; those of one connector never use more than its own. Pages follow at once when tasks
//! come and go. A queue is as long as it was when its producer was made: a later one gets a part of the rest.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::error::{Error, Result};
use crate::lock::locked;

const MIB: usize = 1024 * 1024;
/// The program itself: code, connections, schemas, the clients' buffers.
const BASE: usize = 40 * MIB;
/// A page never holds more, however much there is: larger ones are not faster.
const LARGEST_PAGE: usize = 8 * MIB;
/// The largest queue of a producer, likewise.
pub const LARGEST_QUEUE: usize = 32 * MIB;
/// The least memory of a task: with less it would do little but wait for the brokers.
const LEAST: usize = 2 * MIB;
/// Pages of a task. The fifth is for the excess of a page over its limit: its last row, and buffers that have grown.
const PAGES: usize = 5;
/// The page of a task that has [`LEAST`].
const SMALLEST_PAGE: usize = LEAST / 2 / PAGES;

/// The memory of a process, divided among the tasks of its connectors. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct MemoryBudget {
    claims: Arc<Mutex<Claims>>,
}

#[derive(Debug, Default)]
struct Claims {
    next: u64,
    by_number: BTreeMap<u64, Claim>,
}

/// The part of one connector.
#[derive(Debug)]
struct Claim {
    /// Its `memory.max.bytes`.
    max: usize,
    tasks: usize,
    /// The queues of the producers it has, by task.
    queues: BTreeMap<usize, usize>,
}

impl MemoryBudget {
    /// Claims a part for a connector of so many tasks, until the part is dropped.
    ///
    /// # Errors
    /// `Config` if there is too little, with what is enough.
    pub fn claim(&self, tasks: usize, max: usize) -> Result<ConnectorMemory> {
        let mut claims = self.lock();
        let claim = Claim { max, tasks: tasks.max(1), queues: BTreeMap::new() };
        claims.admit(None, &claim)?;
        let number = claims.next;
        claims.next += 1;
        claims.by_number.insert(number, claim);
        Ok(ConnectorMemory { budget: self.clone(), number })
    }

    fn lock(&self) -> MutexGuard<'_, Claims> {
        locked(&self.claims)
    }
}

impl Claims {
    /// Admits a claim, that of a number before or a new one, if every task is left with enough.
    fn admit(&self, number: Option<u64>, claim: &Claim) -> Result<()> {
        let (max, tasks) = (claim.max, claim.tasks);
        let enough = BASE + tasks * LEAST;
        if max < enough {
            return Err(Error::config(format!("memory.max.bytes={max} is too little for {tasks} tasks"))
                .advise(format!("give it at least {enough}, or lower tasks.max")));
        }
        let others = self.by_number.iter().filter(|(other, _)| number != Some(**other)).map(|(_, other)| other);
        let (mut tasks, mut largest, mut connectors) = (tasks, max, 1);
        for other in others {
            tasks += other.tasks;
            largest = largest.max(other.max);
            connectors += 1;
        }
        let enough = BASE + tasks * LEAST;
        if largest >= enough {
            return Ok(());
        }
        let what = format!("memory.max.bytes={largest} is too little for the {tasks} tasks of {connectors} connectors");
        Err(Error::config(what).advise(format!(
            "the connectors of a process share the largest memory.max.bytes of them: give one at least {enough}, or lower \
             tasks.max"
        )))
    }

    fn largest(&self) -> usize {
        self.by_number.values().map(|claim| claim.max).max().unwrap_or_default()
    }

    /// The pages of a claim, in bytes of all [`PAGES`] of a task: the rest beside the present queues, divided so that
    /// each queue that is still to come is as large as the pages, up to its most.
    fn pages(&self, number: u64) -> usize {
        let Some(claim) = self.by_number.get(&number) else { return SMALLEST_PAGE * PAGES };
        let of_process = divided(self.largest(), self.by_number.values());
        let own = divided(claim.max, std::iter::once(claim));
        of_process.min(own).clamp(SMALLEST_PAGE * PAGES, LARGEST_PAGE * PAGES)
    }
}

/// The bytes of one task's pages, of so much memory.
fn divided<'c>(max: usize, claims: impl Iterator<Item = &'c Claim>) -> usize {
    let (mut tasks, mut to_come, mut taken) = (0, 0, BASE);
    for claim in claims {
        tasks += claim.tasks;
        to_come += claim.tasks.saturating_sub(claim.queues.len());
        taken += claim.queues.values().sum::<usize>();
    }
    let left = max.saturating_sub(taken);
    let with_largest_queues = left.saturating_sub(to_come * LARGEST_QUEUE) / tasks.max(1);
    if with_largest_queues >= LARGEST_QUEUE { with_largest_queues } else { left / (tasks + to_come).max(1) }
}

/// The memory of a connector's tasks; given back when dropped.
#[derive(Debug)]
pub struct ConnectorMemory {
    budget: MemoryBudget,
    number: u64,
}

impl Drop for ConnectorMemory {
    fn drop(&mut self) {
        self.budget.lock().by_number.remove(&self.number);
    }
}

impl ConnectorMemory {
    /// Claims it for another number of tasks, none of which has begun.
    ///
    /// # Errors
    /// `Config` if there is too little, with what is enough.
    pub fn set_tasks(&self, tasks: usize) -> Result<()> {
        let mut claims = self.budget.lock();
        let Some(max) = claims.by_number.get(&self.number).map(|claim| claim.max) else { return Ok(()) };
        let claim = Claim { max, tasks: tasks.max(1), queues: BTreeMap::new() };
        claims.admit(Some(self.number), &claim)?;
        claims.by_number.insert(self.number, claim);
        Ok(())
    }

    /// The memory of one of the tasks.
    pub fn of_task(self: &Arc<Self>, task: usize) -> TaskMemory {
        TaskMemory { connector: Arc::clone(self), task }
    }
}

/// The memory of one task. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TaskMemory {
    connector: Arc<ConnectorMemory>,
    task: usize,
}

impl TaskMemory {
    /// The size at which a page is cut.
    pub fn page_bytes(&self) -> usize {
        self.connector.budget.lock().pages(self.connector.number) / PAGES
    }

    /// The bytes that may wait in the producer that is made now, in the place of the one the task had.
    pub fn queue_bytes(&self) -> usize {
        let mut claims = self.connector.budget.lock();
        if let Some(claim) = claims.by_number.get_mut(&self.connector.number) {
            claim.queues.remove(&self.task);
        }
        let queue = claims.pages(self.connector.number).min(LARGEST_QUEUE);
        if let Some(claim) = claims.by_number.get_mut(&self.connector.number) {
            claim.queues.insert(self.task, queue);
        }
        queue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connectors of so many tasks and so much memory, and the pages and queues of their tasks in this order.
    fn shared(budget: &MemoryBudget, connectors: &[(usize, usize)]) -> Vec<(TaskMemory, usize)> {
        let mut tasks = Vec::new();
        for (count, max) in connectors {
            let memory = Arc::new(budget.claim(*count, *max).unwrap());
            tasks.extend((0..*count).map(|task| memory.of_task(task)));
        }
        tasks.into_iter().map(|task| (task.clone(), task.queue_bytes())).collect()
    }

    fn used(tasks: &[(TaskMemory, usize)]) -> usize {
        BASE + tasks.iter().map(|(task, queue)| PAGES * task.page_bytes() + queue).sum::<usize>()
    }

    #[test]
    fn pages_and_queues_of_all_tasks_of_all_connectors_stay_within_the_limit() {
        for connectors in [
            &[(1, 64 * MIB)][..],
            &[(1, 256 * MIB)],
            &[(4, 256 * MIB)],
            &[(50, 256 * MIB)],
            &[(50, 4096 * MIB)],
            &[(1, 256 * MIB), (1, 256 * MIB), (1, 256 * MIB)],
            &[(20, 256 * MIB), (3, 64 * MIB), (7, 128 * MIB)],
        ] {
            let budget = MemoryBudget::default();
            let tasks = shared(&budget, connectors);
            let largest = connectors.iter().map(|(_, max)| *max).max().unwrap();
            assert!(used(&tasks) <= largest, "{connectors:?} use {}", used(&tasks));
        }
    }

    #[test]
    fn a_connector_with_less_memory_than_the_others_stays_within_its_own() {
        let budget = MemoryBudget::default();
        let large = shared(&budget, &[(1, 256 * MIB)]);
        let small = shared(&budget, &[(2, 64 * MIB)]);
        assert!(used(&small) <= 64 * MIB && used(&large) + used(&small) - BASE <= 256 * MIB);
    }

    #[test]
    fn one_task_alone_has_the_largest_page_and_queue() {
        let budget = MemoryBudget::default();
        let tasks = shared(&budget, &[(1, 256 * MIB)]);
        assert_eq!((tasks[0].0.page_bytes(), tasks[0].1), (LARGEST_PAGE, LARGEST_QUEUE));
    }

    #[test]
    fn who_comes_later_gets_of_what_is_left_and_who_goes_leaves_it_to_the_others() {
        let budget = MemoryBudget::default();
        let first = shared(&budget, &[(6, 256 * MIB)]);
        let alone = first[0].0.page_bytes();
        let second = shared(&budget, &[(6, 256 * MIB)]);
        assert!(first[0].0.page_bytes() < alone && second[0].1 < first[0].1);
        assert!(used(&first) + used(&second) - BASE <= 256 * MIB);
        // The first connector gives memory back with its next producers; until then the second has less.
        let again: Vec<_> = first.iter().map(|(task, _)| (task.clone(), task.queue_bytes())).collect();
        assert!(again[0].1 < first[0].1);
        assert!(used(&again) + used(&second) - BASE <= 256 * MIB);
        drop(second);
        assert!(again[0].0.page_bytes() > alone);
    }

    #[test]
    fn too_little_memory_is_refused_with_what_is_enough() {
        let budget = MemoryBudget::default();
        let error = budget.claim(200, 256 * MIB).unwrap_err();
        assert_eq!(error.advice(), format!("give it at least {}, or lower tasks.max", 440 * MIB));
        let _first = budget.claim(100, 256 * MIB).unwrap();
        let error = budget.claim(100, 256 * MIB).unwrap_err();
        assert!(error.report().contains("too little for the 200 tasks of 2 connectors"), "{error}");
        assert!(error.advice().contains(&format!("at least {}", 440 * MIB)), "{}", error.advice());
        budget.claim(100, 440 * MIB).unwrap();
        // A connector's own old claim does not count against it.
        let exact = MemoryBudget::default().claim(1, 44 * MIB).unwrap();
        exact.set_tasks(2).unwrap();
        assert!(exact.set_tasks(3).is_err());
    }
}
