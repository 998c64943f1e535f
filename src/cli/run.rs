//! `rowtide run`: connectors until a signal, or with `--once` until everything is read.

#![expect(clippy::disallowed_methods, reason = "it waits for signals, and ends with the process")]

use std::future::pending;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::embedded::Embedded;
use super::output::Given;
use super::serving::{self, Helpers};
use super::{ConfigArgs, Context, output};
use crate::connector::worker::{End, Ended, Lasting, Worker, WorkerOptions};
use crate::error::Error;
use crate::herder::{Herder, HerderError, Put, TargetState};
use crate::http::Server;
use crate::model::OddCursor;
use crate::status::Boards;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Connector configurations, as Kafka Connect takes them; `-` is standard input.
    #[arg(required = true, value_name = "CONNECTOR")]
    connectors: Vec<String>,
    /// Read until each table has nothing newer than the start of the run, commit, exit.
    #[arg(long)]
    once: bool,
    /// Go on with another database than the offsets belong to, or with an older copy of it, and remember that.
    #[arg(long)]
    accept_server: bool,
    /// Start brokers and a registry in this process instead of those that are configured, and print the records. Nothing
    /// of it outlasts the process.
    #[arg(long)]
    embedded: bool,
    /// Address of REST, health and metrics, or `off` [default: `listeners`, else 127.0.0.1:8083; with --once off].
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) async fn run(args: RunArgs, context: Context) -> u8 {
    if !args.embedded {
        return run_on(&args, context, None).await;
    }
    match Embedded::start().await {
        Ok(embedded) => run_on(&args, context, Some(&embedded)).await,
        Err(error) => output::fail(&error),
    }
}

async fn run_on(args: &RunArgs, context: Context, embedded: Option<&Embedded>) -> u8 {
    let services = embedded.map(Embedded::services);
    let Given { documents, specs, around: surroundings } =
        match output::settings(&args.connectors, &args.config, services.as_ref()) {
            Ok(given) => given,
            Err(code) => return code,
        };
    let rest = match serving::rest(&surroundings) {
        Ok(rest) => rest,
        Err(code) => return code,
    };
    let listen = args.listen.as_deref().or(args.once.then_some("off"));
    let is_asked = listen.is_none_or(|listen| !listen.eq_ignore_ascii_case("off"));
    let worker = Worker::new(WorkerOptions {
        surroundings,
        once: args.once,
        timeout: args.config.timeout,
        accept_server: args.accept_server,
        samples: rest.has_samples,
        kafka: None,
        lasting: if is_asked { Lasting::Requests } else { Lasting::Connectors },
    });
    // All connectors are accepted, or none is started.
    for settings in documents {
        if let Err(refused) = worker.put(settings, Put::Create(TargetState::Stopped)).await {
            return output::fail(&refused_at_start(refused));
        }
    }
    let stop = CancellationToken::new();
    if let Err(error) = stop_on_signal(&stop) {
        return output::fail(&error);
    }
    let server = match Server::bind(listen, &rest).await {
        Ok(server) => server,
        Err(error) => return output::fail(&error),
    };
    let export = match serving::export(&worker) {
        Ok(export) => export,
        Err(error) => return output::fail(&error),
    };
    serving::announce(&worker, server.as_ref(), &rest);
    let printer = match embedded.map(|embedded| embedded.printer(&specs, &stop)).transpose() {
        Ok(printer) => printer,
        Err(error) => return output::fail(&error),
    };
    for name in worker.connectors() {
        if let Err(refused) = worker.resume(&name).await {
            return output::fail(&refused.into_error());
        }
    }
    worker.set_started();
    let helpers = Helpers::start((server, export), &rest, &worker, false, context);
    let code = helpers.during(supervise(&worker, &stop)).await;
    match printer {
        Some(printer) => code.max(printer.finish().await),
        None => code,
    }
}

/// Two connectors of one name would share offsets and fence each other.
fn refused_at_start(refused: HerderError) -> Error {
    match refused {
        HerderError::Exists(name) => {
            Error::config(format!("two connectors are named `{name}`")).advise("give each its own name")
        }
        other => other.into_error(),
    }
}

/// Waits for every connector; after a stop only for so long. The worst exit code counts.
pub(super) async fn supervise(worker: &Worker, stop: &CancellationToken) -> u8 {
    let stopping = async {
        stop.cancelled().await;
        tracing::info!("stopping: committing open transactions");
        worker.shutdown().await;
        // Ends that have not been reported yet.
        pending::<()>().await;
    };
    tokio::pin!(stopping);
    let mut code = 0;
    loop {
        let ended = tokio::select! {
            ended = worker.ended() => ended,
            () = &mut stopping => None,
        };
        let Some(Ended { connector, end }) = ended else { return code };
        match end {
            End::Done => say_done(worker.boards(), &connector),
            End::Failed(failure) => {
                output::fail_of(Some(&connector), failure.error());
                code = code.max(failure.exit_code());
            }
            End::Panicked(error) => code = code.max(output::fail(&error)),
            End::Abandoned => {}
        }
    }
}

/// Reports the rows committed since the start, and those that were there and not read.
fn say_done(boards: &Boards, connector: &str) {
    let (mut rows, mut ahead, mut odd) = (0, 0, 0);
    boards.for_each(|status| {
        for table in status.tables.iter().filter(|_| status.name == connector) {
            rows += table.rows;
            for left in &table.not_polled {
                *(if left.reason == OddCursor::Ahead { &mut ahead } else { &mut odd }) += left.rows;
            }
        }
    });
    match (ahead, odd) {
        (0, 0) => tracing::info!(connector, rows, "done"),
        (_, 0) => tracing::warn!(
            connector,
            rows,
            rows_ahead = ahead,
            "done, but for rows with times ahead of the clock that bounds polls; `rowtide check` says which clock"
        ),
        _ => tracing::warn!(
            connector,
            rows,
            rows_ahead = ahead,
            rows_not_polled = odd,
            "done, but for rows that no poll reads because of their cursor values; `rowtide check` says which"
        ),
    }
}

/// The time within which signals are one: `timeout` sends its own to the process and once more to its group.
const ONE_WISH: Duration = Duration::from_millis(200);

/// The first SIGTERM or SIGINT stops; the second exits at once, still without loss: what is not committed
/// is aborted by the brokers.
pub(super) fn stop_on_signal(stop: &CancellationToken) -> Result<(), Error> {
    let listen = |kind| signal(kind).map_err(|error| Error::internal("cannot listen for signals").caused_by(error));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let stop = stop.clone();
    // Ends with the process; on cancel nothing is lost.
    tokio::spawn(async move {
        let mut next = async || tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => () };
        next().await;
        stop.cancel();
        let asked = Instant::now();
        while asked.elapsed() < ONE_WISH {
            next().await;
        }
        output::say("second interrupt: leaving at once");
        std::process::exit(130);
    });
    Ok(())
}
