//! A worker: the connectors of a process, each with its own cancellation, status and metrics, which go when it goes.
//! They share the memory of the process, and the policy by which it opens sessions in databases. A worker is asked through [`Herder`], by whoever manages
//! connectors; how each of its connectors lives is in [`hosted`](self::hosted).

mod hosted;
mod hot;
mod keeping;
mod requests;
mod seen;
pub mod store;
mod tables;
mod topics;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::hosted::Hosted;
use self::store::ConfigStore;
use super::{Failure, RunOptions};
use crate::config::Surroundings;
use crate::config::spec::KafkaSpec;
use crate::dialect::sessions::Sessions;
use crate::error::Error;
use crate::herder::{HerderError, Outcome};
use crate::lock::locked;
use crate::status::{Boards, EventKind};
use crate::task::control::Control;
use crate::task::memory::MemoryBudget;
use crate::task::samples::Samples;
use crate::telemetry::Metrics;

/// The settings of a worker that are not those of a connector.
#[derive(Clone, Default)]
pub struct WorkerOptions {
    /// The worker's file, the environment and the other settings of every connector.
    pub surroundings: Surroundings,
    /// True if connectors read until each table has nothing newer than their start, commit, and end.
    pub once: bool,
    /// The longest wait of a request, and of a connector with `once`, for a dependency that cannot be reached.
    pub timeout: Duration,
    /// True if connectors go on although the server is another one than the one remembered, or an older copy.
    pub accept_server: bool,
    /// True if the last records of each table are kept for people who look at them.
    pub samples: bool,
    /// The brokers of the worker; none: those of its first connector.
    pub kafka: Option<KafkaSpec>,
    /// The condition under which the worker ends by itself.
    pub lasting: Lasting,
}

/// The condition under which a worker ends that nobody stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lasting {
    /// Until every connector has ended, if there is one.
    #[default]
    Connectors,
    /// The same, but one without connectors waits for some.
    Requests,
    /// For ever.
    Forever,
}

/// The end of a connector that nobody has asked for, or that came with the end of the worker.
#[derive(Debug)]
pub struct Ended {
    /// Its name.
    pub connector: String,
    /// The end of its run.
    pub end: End,
}

/// The end of a connector's run.
#[derive(Debug)]
pub enum End {
    /// A clean end: everything was read (`once`), or everything that was open was committed.
    Done,
    /// A failure: the connector has given up.
    Failed(Failure),
    /// A bug.
    Panicked(Error),
    /// A stop that was cut off: rows that could not be committed in time are read again at the next start.
    Abandoned,
}

/// The connectors of a process. Cheap to clone; when the last one is dropped, they are told to stop.
#[derive(Clone)]
pub struct Worker {
    shared: Arc<Shared>,
}

struct Shared {
    options: WorkerOptions,
    boards: Boards,
    metrics: Metrics,
    memory: MemoryBudget,
    sessions: Sessions,
    hosted: Mutex<BTreeMap<String, Arc<Hosted>>>,
    ended: mpsc::UnboundedSender<Ended>,
    ends: tokio::sync::Mutex<mpsc::UnboundedReceiver<Ended>>,
    /// The store of connectors; none before [`Worker::restore`], and in a process that keeps none.
    store: OnceLock<Arc<dyn ConfigStore>>,
    has_started: AtomicBool,
    /// The address of its REST, if it has one.
    rest: OnceLock<Arc<str>>,
    cluster_id: tokio::sync::OnceCell<String>,
    /// The channel that tells when a connector has come to an end, or is deleted.
    changed: watch::Sender<()>,
    /// The end of the worker.
    closing: CancellationToken,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

impl Worker {
    /// A worker without connectors.
    pub fn new(options: WorkerOptions) -> Self {
        let (ended, ends) = mpsc::unbounded_channel();
        let metrics = Metrics::new();
        let shared = Shared {
            options,
            boards: Boards::default(),
            sessions: Sessions::counted(metrics.sessions()),
            metrics,
            memory: MemoryBudget::default(),
            hosted: Mutex::default(),
            ended,
            ends: tokio::sync::Mutex::new(ends),
            store: OnceLock::new(),
            has_started: AtomicBool::new(false),
            rest: OnceLock::new(),
            cluster_id: tokio::sync::OnceCell::new(),
            changed: watch::Sender::new(()),
            closing: CancellationToken::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The status of every connector.
    pub fn boards(&self) -> &Boards {
        &self.shared.boards
    }

    /// The metrics of every connector.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// The next end of a connector; none when every connector there is has come to its end. Those that are paused or
    /// stopped have not.
    pub async fn ended(&self) -> Option<Ended> {
        let mut ends = self.shared.ends.lock().await;
        let mut changed = self.shared.changed.subscribe();
        loop {
            // Looked at before the channel: a connector that has ended has sent its end before.
            let is_over = self.shared.is_over();
            if let Ok(ended) = ends.try_recv() {
                return Some(ended);
            }
            if is_over {
                return None;
            }
            tokio::select! {
                ended = ends.recv() => return ended,
                _ = changed.changed() => {}
            }
        }
    }

    /// The address of its REST is this one. Connectors that start from now on show it to other processes.
    pub fn set_rest(&self, url: &str) {
        // Nobody sets another.
        let _ = self.shared.rest.set(url.into());
    }

    /// Requests are answered from now on: the connectors that are known from the start are there.
    pub fn set_started(&self) {
        self.shared.has_started.store(true, Ordering::Release);
    }

    /// Stops every connector: open transactions are committed, or abandoned if that takes too long. No connector can be
    /// started any more.
    pub async fn shutdown(&self) {
        self.shared.closing.cancel();
        let all: Vec<_> = self.shared.hosted().values().cloned().collect();
        join_all(all.iter().map(|hosted| hosted.shut_down())).await;
        self.shared.changed.send_replace(());
    }
}

impl Shared {
    fn hosted(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Hosted>>> {
        locked(&self.hosted)
    }

    fn find(&self, name: &str) -> Outcome<Arc<Hosted>> {
        self.hosted().get(name).cloned().ok_or_else(|| HerderError::NotFound(name.to_owned()))
    }

    /// One that is rowtide's.
    fn find_own(&self, name: &str) -> Outcome<Arc<Hosted>> {
        let hosted = self.find(name)?;
        if hosted.foreign.is_some() { Err(HerderError::Foreign(name.to_owned())) } else { Ok(hosted) }
    }

    fn run_options(&self, hosted: &Hosted) -> RunOptions {
        RunOptions {
            once: self.options.once,
            timeout: self.options.timeout,
            accept_server: self.options.accept_server,
            board: hosted.board.clone(),
            metrics: self.metrics.connector(&hosted.name),
            memory: self.memory.clone(),
            sessions: self.sessions.clone(),
            assignment: hosted.assignment.clone(),
            control: Control::default(),
            samples: Samples::new(self.options.samples),
            rest: self.rest.get().cloned(),
        }
    }

    fn rest(&self) -> Option<&str> {
        self.rest.get().map(|url| &**url)
    }

    /// Notes among the events what was asked for.
    fn note(&self, connector: &str, table: Option<&str>, text: impl Into<String>) {
        self.boards.events().add(connector, table, EventKind::Control, text);
    }

    /// True if no end of a connector will come any more.
    fn is_over(&self) -> bool {
        let all = self.hosted();
        let may_end = match self.options.lasting {
            Lasting::Connectors => true,
            Lasting::Requests => !all.is_empty(),
            Lasting::Forever => false,
        };
        (may_end || self.closing.is_cancelled()) && all.values().all(|hosted| hosted.has_ended())
    }
}
