//! One connector of a worker. Its settings and its name last; each start of it is a life of its own, with a token that
//! ends it and a task that sees how it ends. Requests about it wait for each other at [`Hosted::life`].

#![expect(clippy::disallowed_methods, reason = "connectors are started here")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::topics::Topics;
use super::{End, Ended, Shared};
use crate::config::spec::ConnectorSpec;
use crate::config::{self, Document, Report, Surroundings};
use crate::connector::Failure;
use crate::connector::assignment::Assignment;
use crate::error::{Error, Result};
use crate::herder::{ConnectorKind, TargetState};
use crate::kafka::lease::Lease;
use crate::lock::locked;
use crate::status::{Boards, ConnectorState, StatusBoard, allowance};
use crate::task::control::Control;
use crate::task::samples::Samples;

/// The longest time of a stop before open transactions are abandoned; their rows are read again at the next start.
const STOP_PATIENCE: Duration = Duration::from_secs(8);

/// The settings of a connector: as they were given, and as they are understood. Those that were kept may be wrong by now.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) document: Document,
    pub(super) spec: Result<ConnectorSpec, Report>,
}

impl Settings {
    /// Reads settings, placeholders included.
    pub(super) fn read(document: Document, surroundings: Surroundings) -> Self {
        let spec = config::connector(document.clone(), surroundings).map(|loaded| loaded.spec);
        Self { document, spec }
    }

    /// The longest time a table may go without a poll.
    pub(super) fn allowance(&self) -> Duration {
        allowance(self.spec.as_ref().map_or(Duration::ZERO, |spec| spec.longest_interval()))
    }
}

pub(super) struct Hosted {
    pub(super) name: String,
    pub(super) board: StatusBoard,
    settings: Mutex<Settings>,
    /// The life of the connector; locked by the request that is carried out.
    pub(super) life: tokio::sync::Mutex<Life>,
    /// Its last life has ended by itself, or with the worker.
    has_ended: AtomicBool,
    /// Of a connector that is not rowtide's: what it seems to be.
    pub(super) foreign: Option<ConnectorKind>,
    pub(super) assignment: Assignment,
    pub(super) topics: Topics,
}

/// The life of a connector: its target state, and its tasks where it runs.
pub(super) struct Life {
    pub(super) target: TargetState,
    running: Option<Running>,
    /// The lease of a connector that is paused: its offsets must not be changed by another process.
    lease: Option<Lease>,
    /// True if the worker does not know it any more.
    pub(super) is_deleted: bool,
}

/// One run of a connector.
struct Running {
    /// The wishes about its tables, which end with it.
    control: Control,
    samples: Samples,
    stop: CancellationToken,
    abort: AbortHandle,
    /// The token that is cancelled when it has ended and that has been reported.
    over: CancellationToken,
}

impl Hosted {
    /// A connector that does not run yet.
    pub(super) fn new(name: String, settings: Settings, target: TargetState, boards: &Boards) -> Self {
        let board = boards.board(&name, settings.allowance());
        match target {
            TargetState::Running => {}
            TargetState::Paused => board.paused(),
            TargetState::Stopped => board.dismissed(),
        }
        Self {
            name,
            board,
            settings: Mutex::new(settings),
            life: tokio::sync::Mutex::new(Life { target, running: None, lease: None, is_deleted: false }),
            has_ended: AtomicBool::new(false),
            foreign: None,
            assignment: Assignment::default(),
            topics: Topics::default(),
        }
    }

    /// One that is not rowtide's, and is left alone.
    pub(super) fn foreign(name: String, settings: Settings, kind: ConnectorKind) -> Self {
        let hosted = Self::new(name, settings, TargetState::Running, &Boards::default());
        hosted.has_ended.store(true, Ordering::Release);
        Self { foreign: Some(kind), ..hosted }
    }

    pub(super) fn settings(&self) -> MutexGuard<'_, Settings> {
        locked(&self.settings)
    }

    /// The specification.
    ///
    /// # Errors
    /// `Config` if its settings are wrong.
    pub(super) fn spec(&self) -> Result<ConnectorSpec> {
        self.settings().spec.clone().map_err(Error::from)
    }

    /// Reads its settings again: what placeholders stand for may have changed.
    pub(super) fn reload(&self, surroundings: &Surroundings) {
        let document = self.settings().document.clone();
        let settings = Settings::read(document, surroundings.clone());
        *self.settings() = settings;
    }

    /// The topics it has written to.
    pub(super) fn written_topics(&self) -> BTreeSet<String> {
        let Ok(spec) = self.spec() else { return self.topics.known() };
        let by_table: BTreeMap<String, String> = self
            .assignment
            .tasks()
            .iter()
            .flatten()
            .filter_map(|relation| Some((relation.to_string(), spec.for_table(relation).topic().ok()?.to_string())))
            .collect();
        self.board.with(|status| self.topics.look(&status.tables, &by_table))
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.board.with(|status| status.state == ConnectorState::Failed)
    }

    /// Starts a life, unless the worker is ending. Its end is sent to the worker if nobody has asked for it.
    pub(super) fn start(self: &Arc<Self>, worker: &Shared, life: &mut Life) {
        if worker.closing.is_cancelled() {
            return;
        }
        let _ = self.written_topics();
        self.board.begin(self.settings().allowance());
        let spec = match self.spec() {
            Ok(spec) => spec,
            Err(error) => return self.cannot_start(worker, error),
        };
        self.has_ended.store(false, Ordering::Release);
        let (stop, over) = (worker.closing.child_token(), CancellationToken::new());
        let options = worker.run_options(self);
        let (control, samples) = (options.control.clone(), options.samples.clone());
        // On cancel it commits open transactions; aborted, it drops its tasks, and the brokers abort the transactions.
        let run = tokio::spawn(super::super::run(spec, options, stop.clone()));
        let abort = run.abort_handle();
        life.running = Some(Running { control, samples, stop: stop.clone(), abort, over: over.clone() });
        life.lease = None;
        let (hosted, ended, changed) = (Arc::clone(self), worker.ended.clone(), worker.changed.clone());
        let closing = worker.closing.clone();
        // Ends with the life it watches.
        tokio::spawn(async move {
            let end = match run.await {
                Ok(Ok(())) => End::Done,
                Ok(Err(failure)) => End::Failed(failure),
                Err(failure) if failure.is_cancelled() => End::Abandoned,
                Err(failure) => End::Panicked(Error::internal("a connector panicked").caused_by(failure)),
            };
            if let End::Panicked(error) = &end {
                hosted.board.failed(error);
            }
            let was_asked = stop.is_cancelled() && !closing.is_cancelled();
            if !was_asked || matches!(end, End::Failed(_) | End::Panicked(_)) {
                // Nobody listens any more when the worker is gone.
                let _ = ended.send(Ended { connector: hosted.name.clone(), end });
            }
            // Only now: the end has been sent before anybody can see this.
            hosted.has_ended.store(!was_asked, Ordering::Release);
            over.cancel();
            changed.send_replace(());
        });
    }

    /// Its settings are wrong.
    fn cannot_start(&self, worker: &Shared, error: Error) {
        self.board.failed(&error);
        // Nobody listens any more when the worker is gone.
        let _ = worker.ended.send(Ended { connector: self.name.clone(), end: End::Failed(Failure::Start(error)) });
        self.has_ended.store(true, Ordering::Release);
        worker.changed.send_replace(());
    }

    /// Ends the life, if there is one: open transactions are committed, or abandoned when that takes too long.
    pub(super) async fn end(&self, life: &mut Life) {
        let Some(running) = life.running.take() else { return };
        let _ = self.written_topics();
        running.stop.cancel();
        if tokio::time::timeout(STOP_PATIENCE, running.over.cancelled()).await.is_err() {
            tracing::warn!(
                connector = %self.name,
                "not everything could be committed in time; it is read again at the next start"
            );
            running.abort.abort();
            running.over.cancelled().await;
        }
    }

    /// Shows other processes that the connector belongs to this one although it does not run.
    pub(super) fn keep_lease(&self, life: &mut Life, rest: Option<&str>) {
        let Ok(spec) = self.spec() else { return };
        match Lease::hold(&spec.kafka, &spec.name, &spec.offsets.topic, rest) {
            Ok(lease) => life.lease = Some(lease),
            // Only `rowtide offsets` looks for it; nothing depends on it.
            Err(error) => tracing::warn!(connector = %self.name, error = %error.report(), "no lease is held"),
        }
    }

    /// Gives the lease up, so that other processes may have the connector.
    pub(super) async fn give_up_lease(&self, life: &mut Life) {
        if let Some(lease) = life.lease.take() {
            lease.release(Duration::from_secs(1)).await;
        }
    }

    /// Ends it with the worker.
    pub(super) async fn shut_down(&self) {
        let mut life = self.life.lock().await;
        self.end(&mut life).await;
        self.give_up_lease(&mut life).await;
        self.has_ended.store(true, Ordering::Release);
    }
}

impl Life {
    /// The wishes about the tables of the present run, and the token that is cancelled at its end; none if none is at
    /// work.
    pub(super) fn control(&self) -> Option<(Control, CancellationToken)> {
        let running = self.running.as_ref().filter(|_| self.is_running())?;
        Some((running.control.clone(), running.over.clone()))
    }

    /// The last records of its tables; none if it does not run.
    pub(super) fn samples(&self) -> Option<Samples> {
        Some(self.running.as_ref()?.samples.clone())
    }

    /// True if tasks of it may be at work.
    pub(super) fn is_running(&self) -> bool {
        self.running.as_ref().is_some_and(|running| !running.over.is_cancelled())
    }
}
