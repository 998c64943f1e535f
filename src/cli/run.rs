//! `rowtide run`: connectors until a signal, or with `--once` until everything is read.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use super::{ConfigArgs, Context, output};
use crate::config::spec::ConnectorSpec;
use crate::connector::{self, Failure, RunOptions};
use crate::error::Error;
use crate::http::{self, HttpState, Server};
use crate::model::OddCursor;
use crate::status::{Boards, StatusBoard, allowance};
use crate::telemetry::Metrics;

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
    /// Address of health and metrics, or `off` [default: 127.0.0.1:8083, with --once off].
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// How long a stop may take before what is open is abandoned; it is read again at the next start.
const STOP_PATIENCE: Duration = Duration::from_secs(8);

pub(super) async fn run(args: RunArgs, context: Context) -> u8 {
    let specs = match output::load(&args.connectors, &args.config) {
        Ok(specs) => specs,
        Err(code) => return code,
    };
    if let Some(error) = duplicate_names(&specs) {
        return output::fail(&error);
    }
    let stop = CancellationToken::new();
    if let Err(error) = stop_on_signal(&stop) {
        return output::fail(&error);
    }
    let (boards, metrics) = (Boards::default(), Metrics::new());
    let listen = args.listen.as_deref().unwrap_or(if args.once { "off" } else { http::DEFAULT_LISTEN });
    let server = match Server::bind(listen).await {
        Ok(server) => server,
        Err(error) => return output::fail(&error),
    };
    let services = CancellationToken::new();
    let mut helpers = JoinSet::new();
    if let Some(server) = server {
        tracing::info!(address = %server.address(), "health and metrics");
        let state = HttpState { boards: boards.clone(), metrics: metrics.clone() };
        let closing = services.clone().cancelled_owned();
        // On error it is said and the connectors go on; on cancel open requests are finished.
        helpers.spawn(async move {
            if let Err(error) = server.serve(state, closing).await {
                tracing::error!(error = %error.report(), "health and metrics are gone");
            }
        });
    }
    // Only watches; on cancel the bars are cleared.
    helpers.spawn(Progress::new(context.bars).run(boards.clone(), services.clone().cancelled_owned()));
    let mut running = JoinSet::new();
    for spec in specs {
        let board = StatusBoard::new(spec.name.clone(), allowance(spec.polling.interval));
        boards.add(board.clone());
        let options = RunOptions {
            once: args.once,
            timeout: args.config.timeout,
            accept_server: args.accept_server,
            board,
            metrics: metrics.connector(&spec.name),
        };
        let (name, stop) = (spec.name.clone(), stop.clone());
        running.spawn(async move { (name, connector::run(spec, options, stop).await) });
    }
    let code = supervise(&mut running, &boards, &stop).await;
    services.cancel();
    let _ = tokio::time::timeout(Duration::from_millis(500), helpers.join_all()).await;
    code
}

/// Waits for every connector; after a stop only for so long. The worst exit code counts.
async fn supervise(
    running: &mut JoinSet<(String, Result<(), Failure>)>,
    boards: &Boards,
    stop: &CancellationToken,
) -> u8 {
    let deadline = async {
        stop.cancelled().await;
        tracing::info!("stopping: committing what is open");
        tokio::time::sleep(STOP_PATIENCE).await;
    };
    tokio::pin!(deadline);
    let mut code = 0;
    loop {
        tokio::select! {
            ended = running.join_next() => match ended {
                None => return code,
                Some(Ok((name, Ok(())))) => say_done(boards, &name),
                Some(Ok((name, Err(failure)))) => {
                    output::fail_of(Some(&name), failure.error());
                    code = code.max(failure.exit_code());
                }
                Some(Err(panic)) => code = code.max(output::fail(&Error::internal("a connector panicked").caused_by(panic))),
            },
            () = &mut deadline => {
                tracing::warn!("not everything could be committed in time; it is read again at the next start");
                running.shutdown().await;
                return code;
            }
        }
    }
}

/// How many rows were committed since the start, and how many were there that were not read.
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
        next().await;
        output::say("second interrupt: leaving at once");
        std::process::exit(130);
    });
    Ok(())
}

/// Two connectors of one name would share offsets and fence each other.
fn duplicate_names(specs: &[ConnectorSpec]) -> Option<Error> {
    let mut names: Vec<Arc<str>> = specs.iter().map(|spec| spec.name.as_str().into()).collect();
    names.sort();
    let pair = names.windows(2).find(|pair| pair[0] == pair[1])?;
    Some(Error::config(format!("two connectors are named `{}`", pair[0])).advise("give each its own name"))
}
