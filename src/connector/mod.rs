//! A connector: from its specification to running tasks. It reads the registries, builds the parts, spreads
//! the tables over tasks, watches the catalog for new ones, and supervises. The only place that spawns tasks.

pub mod assignment;
pub mod catalog;
pub mod distribution;
pub(crate) mod explain;
pub mod heirs;
mod home;
pub mod inspect;
pub mod offset_tools;
pub mod parts;
pub mod standalone;
mod topics;
pub mod worker;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::try_join_all;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::assignment::Assignment;
use self::catalog::Selected;
use crate::config::spec::{ConnectorSpec, Selection};
use crate::dialect::SourceConnection;
use crate::dialect::sessions::Sessions;
use crate::error::{Error, ErrorKind, Result};
use crate::kafka::admin;
use crate::kafka::lease::Lease;
use crate::model::Relation;
use crate::retry::{Backoff, RetryPolicy};
use crate::status::StatusBoard;
use crate::task;
use crate::task::control::Control;
use crate::task::memory::MemoryBudget;
use crate::task::samples::Samples;
use crate::telemetry::ConnectorMetrics;

/// The most connections by which the tables are checked at a start.
const CHECKING: usize = 4;
/// The number of tables from which another connection is worth to be opened.
const WORTH_A_CONNECTION: usize = 25;

/// The options of a run.
#[derive(Clone)]
pub struct RunOptions {
    /// True to read until each table has nothing newer than the start of the run, commit, and end.
    pub once: bool,
    /// The longest wait of `once` for a dependency that cannot be reached.
    pub timeout: Duration,
    /// True to go on although the server is another one than the one remembered, or an older copy.
    pub accept_server: bool,
    /// The board for the status.
    pub board: StatusBoard,
    /// The metrics.
    pub metrics: ConnectorMetrics,
    /// The memory of the process.
    pub memory: MemoryBudget,
    /// The sessions of the process.
    pub sessions: Sessions,
    /// The tables of each task, published for REST.
    pub assignment: Assignment,
    /// The wishes of an operator about its tables.
    pub control: Control,
    /// The address of the REST by which the connector can be asked, shown to other processes.
    pub rest: Option<Arc<str>>,
    /// The last records of its tables.
    pub samples: Samples,
}

/// A connector that could not start, or one that failed while it ran.
#[derive(Debug)]
pub enum Failure {
    /// A failure before the first row: the configuration or something it names is wrong.
    Start(Error),
    /// A failure later.
    Run(Error),
    /// A failure during a run with `once`, which does not wait for ever.
    Once(Error),
}

impl Failure {
    /// The error.
    pub fn error(&self) -> &Error {
        match self {
            Failure::Start(error) | Failure::Run(error) | Failure::Once(error) => error,
        }
    }

    /// The error itself.
    pub fn into_error(self) -> Error {
        match self {
            Failure::Start(error) | Failure::Run(error) | Failure::Once(error) => error,
        }
    }

    /// The exit code of `rowtide run` (`cli.md`, 3).
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Start(error) => error.kind().exit_code(),
            Failure::Once(error) if error.root_kind().exit_code() == 3 => 3,
            Failure::Run(error) | Failure::Once(error) => error.kind().run_exit_code(),
        }
    }
}

/// Runs a connector until `stop`, until everything is read (`once`), or until it has to give up.
///
/// On cancel: open transactions are committed. On error: they are aborted, the other tasks are stopped.
///
/// # Errors
/// See [`Failure`]; with `once` also a table that failed while others were read.
pub async fn run(spec: ConnectorSpec, options: RunOptions, stop: CancellationToken) -> Result<(), Failure> {
    let board = options.board.clone();
    let outcome = supervise(spec, options, stop).await;
    match &outcome {
        Ok(()) => board.stopped(),
        Err(failure) => board.failed(failure.error()),
    }
    outcome
}

async fn supervise(mut spec: ConnectorSpec, options: RunOptions, stop: CancellationToken) -> Result<(), Failure> {
    if options.once {
        // A cron job must not hang for ever.
        spec.polling.retry.patience = Some(options.timeout);
    }
    for note in &spec.notes {
        tracing::info!(connector = %spec.name, "{note}");
    }
    let spec = Arc::new(spec);
    let parts = parts::build(Arc::clone(&spec), &options).map_err(Failure::Start)?;
    let prepared = prepare(&parts, &options);
    let relations = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        prepared = prepared => prepared.map_err(Failure::Start)?,
    };
    for note in spec.source.types.unplaced(&relations) {
        tracing::warn!(connector = %spec.name, "{note}");
    }
    // Only for `rowtide offsets`, which asks who is alive; nothing depends on it.
    let lease =
        Lease::hold(&spec.kafka, &spec.name, &spec.offsets.topic, options.rest.as_deref()).map_err(Failure::Start)?;
    let groups = distribution::split(&relations, spec.tasks_max);
    parts.claim_memory(groups.len()).map_err(Failure::Start)?;
    tracing::info!(connector = %spec.name, tables = relations.len(), tasks = groups.len(), "starting");
    options.board.tasks(groups.len());
    for relation in &relations {
        // All at once: a task that fails early must see that the others have tables too.
        options.board.table(&relation.to_string());
    }
    let mut tasks = JoinSet::new();
    let mut senders = Vec::new();
    let fences = task::Fence::among(groups.len());
    for ((index, group), fence) in groups.into_iter().enumerate().zip(fences) {
        let (sender, receiver) = watch::channel(group);
        senders.push(sender);
        let parts = parts.for_task(index, fence).map_err(Failure::Start)?;
        let stop = stop.child_token();
        let span = tracing::info_span!("task", connector = %spec.name, task = index);
        tasks.spawn(tracing::Instrument::instrument(task::run(parts, receiver, stop), span));
    }
    options.assignment.set(senders.iter().map(watch::Sender::subscribe).collect());
    let watching = distribution::watch(&parts, senders);
    let outcome = tokio::select! {
        outcome = join(&mut tasks) => outcome,
        // With nothing to watch (a query) this never ends.
        () = watching => Ok(()),
        () = parts.store.follow(&spec.name) => Ok(()),
    };
    if outcome.is_err() {
        tasks.shutdown().await;
    }
    lease.release(Duration::from_secs(1)).await;
    match outcome {
        Err(error) if options.once => Err(Failure::Once(error)),
        Err(error) => Err(Failure::Run(error)),
        Ok(()) if options.once => first_failed_table(&options).map_or(Ok(()), |error| Err(Failure::Once(error))),
        Ok(()) => Ok(()),
    }
}

/// Waits for all tasks; the first error ends the wait.
async fn join(tasks: &mut JoinSet<Result<()>>) -> Result<()> {
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(outcome) => outcome?,
            Err(failure) => return Err(Error::internal("a task panicked").caused_by(failure)),
        }
    }
    Ok(())
}

fn first_failed_table(options: &RunOptions) -> Option<Error> {
    options.board.with(|status| {
        let failed = status.tables.iter().find(|table| table.state == crate::status::TableState::Failed)?;
        let reason = failed.reason.clone().unwrap_or_default();
        let error = Error::new(ErrorKind::GivenUp, format!("table {} has failed: {reason}", failed.table));
        Some(match &failed.advice {
            Some(advice) => error.advise(advice.clone()),
            None => error,
        })
    })
}

/// Preconditions of the first row: the tables, their cursors and keys, the offsets topic. A server that cannot be
/// reached is waited for; with `once` only for the timeout.
async fn prepare(parts: &parts::ConnectorParts, options: &RunOptions) -> Result<Vec<Relation>> {
    let policy = RetryPolicy::default();
    let mut backoff = Backoff::default();
    let started = tokio::time::Instant::now();
    loop {
        if options.once {
            // Clients of the brokers wait much longer than a cron job may.
            admin::probe_brokers(&parts.spec.kafka, options.timeout).await?;
        }
        let error = match prepare_once(parts).await {
            Ok(Selected { nothing: Some(error), .. }) if options.once => error,
            Ok(selected) => {
                say_selected(parts, options, &selected);
                return Ok(selected.relations);
            }
            Err(error) => error,
        };
        let passes = error.kind().exit_code() == 3 || matches!(error.kind(), ErrorKind::Query | ErrorKind::TimeLimit);
        if !passes || (options.once && started.elapsed() >= options.timeout) {
            return Err(error);
        }
        let pause = backoff.next(&policy).unwrap_or(policy.longest);
        tracing::warn!(error = %error.report(), pause_ms = pause.as_millis() as u64, "cannot start yet, trying again");
        options.board.restarting(&error);
        tokio::time::sleep(pause).await;
    }
}

/// A table that a pattern was meant for may appear later, so it is said and not an error.
fn say_selected(parts: &parts::ConnectorParts, options: &RunOptions, selected: &Selected) {
    for note in selected.idle_patterns.iter().chain(&selected.notes) {
        tracing::warn!(connector = %parts.spec.name, "{note}");
    }
    if let Some(error) = &selected.nothing {
        tracing::warn!(connector = %parts.spec.name, advice = error.advice(), "{}", error.report());
    }
    options.board.nothing_selected(selected.nothing.as_ref());
}

async fn prepare_once(parts: &parts::ConnectorParts) -> Result<Selected> {
    let spec = &parts.spec;
    let database = async {
        let mut connection = parts.options.sessions.open(parts.dialect, &spec.source).await?;
        let selected = catalog::selected(spec, parts.dialect, &mut *connection).await?;
        let topics = check_bindings(parts, &mut *connection, &selected.relations).await?;
        connection.finish().await;
        Ok((selected, topics))
    };
    // Reading a large offsets topic takes time, and the process that is to be taken over from still runs meanwhile.
    let read_ahead = async {
        parts.store.read_ahead(&spec.name).await;
        Ok(())
    };
    let ((selected, topics), (), ()) = tokio::try_join!(database, parts.prepare_topics(), read_ahead)?;
    standalone::look(spec, &*parts.store, &selected.relations).await?;
    if heirs::share_names(&selected.relations) {
        heirs::are_told_apart(spec, &selected.relations, &parts.store.load(&spec.name).await?.offsets)?;
    }
    parts.prepare_targets(topics);
    Ok(selected)
}

/// Refuses to start when a table that is named in the configuration cannot be polled, or none can. A table that only a
/// pattern selected fails alone, later, and the others go on. Gives the topics of those that can be polled.
async fn check_bindings(
    parts: &parts::ConnectorParts,
    connection: &mut dyn SourceConnection,
    relations: &[Relation],
) -> Result<Vec<Arc<str>>> {
    let named = match &parts.spec.selection {
        Selection::Tables(filter) => !filter.whitelist.is_empty(),
        Selection::Query { .. } => true,
    };
    // Statements about the catalog are short and many: a few connections share them, if that is worth to open them.
    let share = relations.len().div_ceil(CHECKING).max(WORTH_A_CONNECTION);
    let (own, others) = relations.split_at(relations.len().min(share));
    let elsewhere = others.chunks(share).map(|relations| async move {
        // The pool, or the server, may have no more to give: then the share is left to the one that is open.
        let Some(turn) = parts.options.sessions.turn(&parts.spec.source).now_or_never() else {
            return Ok::<_, Error>((relations, None));
        };
        let Ok(mut connection) = turn.open(parts.dialect, &parts.spec.source).await else {
            return Ok((relations, None));
        };
        let checked = check_some(parts, &mut *connection, relations).await?;
        connection.finish().await;
        Ok((relations, Some(checked)))
    });
    let (here, elsewhere) = tokio::try_join!(check_some(parts, &mut *connection, own), try_join_all(elsewhere))?;
    let (mut topics, mut failures) = here;
    for (relations, checked) in elsewhere {
        let (more, failed) = match checked {
            Some(checked) => checked,
            None => check_some(parts, &mut *connection, relations).await?,
        };
        topics.extend(more);
        failures.extend(failed);
    }
    let texts: Vec<String> = failures.iter().map(|error| format!("{} [{}]", error.report(), error.advice())).collect();
    match failures.into_iter().next() {
        Some(error) if named || texts.len() == relations.len() => {
            if let [_] = texts.as_slice() {
                return Err(error);
            }
            let text = format!("{} tables cannot be polled:\n  {}", texts.len(), texts.join("\n  "));
            Err(Error::new(error.kind(), text))
        }
        _ => Ok(topics),
    }
}

/// The topics of those tables that can be polled, and the errors of the others.
async fn check_some(
    parts: &parts::ConnectorParts,
    connection: &mut dyn SourceConnection,
    relations: &[Relation],
) -> Result<(Vec<Arc<str>>, Vec<Error>)> {
    let (mut topics, mut failures) = (Vec::new(), Vec::new());
    for relation in relations {
        match can_be_polled(parts, connection, relation).await {
            Ok(topic) => topics.push(topic),
            Err(error) if error.kind() == ErrorKind::Unreachable => return Err(error),
            Err(error) => failures.push(error),
        }
    }
    Ok((topics, failures))
}

/// Describes, resolves, and asks for the privilege to read; gives the topic. Other troubles of the moment (a lock) are
/// for the first poll, which tries again.
async fn can_be_polled(
    parts: &parts::ConnectorParts,
    connection: &mut dyn SourceConnection,
    relation: &Relation,
) -> Result<Arc<str>> {
    let (spec, values) = (&parts.spec, &*parts.value_converter);
    let binding = inspect::binding_for(spec, parts.dialect, connection, relation, values).await?;
    match inspect::plan(&parts.spec, connection, &binding, None).await {
        Err(error) if error.kind() == ErrorKind::Privilege => return Err(error.with("table", relation)),
        Ok((plan, _)) if plan.index_serves => parts.plans.served(relation),
        _ => {}
    }
    Ok(binding.topic)
}
