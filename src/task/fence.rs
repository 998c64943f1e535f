//! The fence of a whole connector (E2): a process that reads its offsets is alone with them. A transactional id fences
//! one task, but tables move from task to task between two processes, and the number of tasks may change. So a process
//! first puts its name to the connector, under the id of its first task, then fences all other ids, its own and those
//! of more tasks there once were, and only then reads. A session that starts again looks for the name before it fences:
//! a process that was overtaken must not fence in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::watch;

use super::Parts;
use super::commit::offsets_gone;
use crate::error::{Error, ErrorKind, Result};
use crate::kafka::RecordSink;
use crate::offsets::{Loaded, Owner};

/// The time for which a session that starts again looks for another owner: the transaction it left open itself may be
/// in the way, until it fences. Then it looks again.
const GLANCE: Duration = Duration::from_secs(1);

/// The fence of a connector's tasks: their common knowledge of each other and of their predecessors.
#[derive(Clone)]
pub struct Fence {
    tasks: usize,
    /// The name of this process.
    run: Arc<str>,
    /// The owner of the connector, as far as this process knows: its own name once the first task has signed, before
    /// that the one found; none until then.
    owner: Arc<watch::Sender<Option<Option<Owner>>>>,
    /// Tasks that have not fenced yet.
    left: Arc<watch::Sender<usize>>,
    passed: Arc<AtomicBool>,
}

impl Fence {
    /// One for each task.
    pub fn among(tasks: usize) -> Vec<Self> {
        let fence = Self {
            tasks,
            run: Owner::new(tasks).run.into(),
            owner: Arc::new(watch::Sender::new(None)),
            left: Arc::new(watch::Sender::new(tasks)),
            passed: Arc::default(),
        };
        (0..tasks).map(|_| Self { passed: Arc::default(), ..fence.clone() }).collect()
    }

    /// Fences every older process, by `sink` of task `parts.task`, and reads the offsets.
    ///
    /// # Errors
    /// `Fenced` if the connector is another process's by now; those of the sink and the store.
    pub(super) async fn enter(&self, parts: &Parts, sink: &mut dyn RecordSink) -> Result<Loaded> {
        let starts_again = self.owner.borrow().is_some();
        if starts_again && let Ok(looked) = tokio::time::timeout(GLANCE, self.load(parts)).await {
            looked?;
        }
        if parts.task > 0 {
            // The senders live as long as `self`.
            let _ = self.owner.subscribe().wait_for(|owner| self.is_own(owner)).await;
        }
        sink.init().await?;
        if !self.is_own(&self.owner.borrow())
            && let Some(loaded) = self.claim(parts, sink).await?
        {
            self.pass().await;
            return Ok(loaded);
        }
        self.pass().await;
        self.load(parts).await
    }

    /// Signs the connector with the name of this process. Where no other id than that of `sink` is or was in use, the
    /// offsets that were read under it are given.
    async fn claim(&self, parts: &Parts, sink: &mut dyn RecordSink) -> Result<Option<Loaded>> {
        // Open transactions of predecessors would hold up the reading.
        try_join_all((1..self.tasks).map(|task| fence(parts, task))).await?;
        let loaded = self.load(parts).await?;
        if self.owner.borrow().is_none() {
            self.owner.send_replace(Some(loaded.owner.clone()));
        }
        let before = loaded.owner.as_ref().map_or(1, |owner| owner.tasks);
        let mut owner = Owner { run: self.run.to_string(), tasks: self.tasks.max(before) };
        self.sign(parts, sink, &owner).await?;
        let is_alone = owner.tasks == 1;
        if before > self.tasks {
            try_join_all((self.tasks..before).map(|task| fence(parts, task))).await?;
            // Only now may the next process forget them.
            owner.tasks = self.tasks;
            self.sign(parts, sink, &owner).await?;
        }
        self.owner.send_replace(Some(Some(owner)));
        Ok(is_alone.then_some(loaded))
    }

    async fn sign(&self, parts: &Parts, sink: &mut dyn RecordSink, owner: &Owner) -> Result<()> {
        sink.begin().await?;
        sink.commit(vec![parts.store.stage_owner(parts.spec.connector(), owner)]).await?;
        sink.spent().map_or(Ok(()), Err)
    }

    /// Notes that this task has fenced, and waits for the others.
    pub(super) async fn pass(&self) {
        if !self.passed.swap(true, Ordering::Relaxed) {
            self.left.send_modify(|left| *left = left.saturating_sub(1));
        }
        let _ = self.left.subscribe().wait_for(|left| *left == 0).await;
    }

    async fn load(&self, parts: &Parts) -> Result<Loaded> {
        let loaded = parts.store.load(parts.spec.connector()).await?;
        let is_known = self.owner.borrow().as_ref().is_none_or(|owner| *owner == loaded.owner);
        let was_own = self.is_own(&self.owner.borrow());
        if was_own && loaded.owner.is_none() && loaded.offsets.is_empty() {
            return Err(offsets_gone(parts.spec.offsets_topic()));
        }
        // A signature whose answer was lost is one, too.
        if !is_known && loaded.owner.as_ref().is_none_or(|owner| *owner.run != *self.run) {
            return Err(Error::new(ErrorKind::Fenced, "another process took over the connector"));
        }
        Ok(loaded)
    }

    /// True if the connector is this process's.
    fn is_own(&self, owner: &Option<Option<Owner>>) -> bool {
        owner.iter().flatten().any(|owner| *owner.run == *self.run)
    }
}

/// Fences a task of which this process has none, or not yet.
async fn fence(parts: &Parts, task: usize) -> Result<()> {
    (parts.sink)(task)?.init().await
}
