//! The listeners of a process that runs connectors: bound before anything starts, served until it ends.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use super::{Context, output};
use crate::config::spec::RestSpec;
use crate::config::{self, Surroundings};
use crate::connector::worker::Worker;
use crate::error::{ErrorKind, Result};
use crate::http::{Cors, Credentials, Export, HttpState, Server, View};
use crate::kafka::lease;
use crate::telemetry::otlp::OtlpSpec;

/// The settings of REST; what is wrong with them is said.
pub(super) fn rest(surroundings: &Surroundings) -> Result<RestSpec, u8> {
    match config::rest(surroundings.clone()) {
        Ok(loaded) => Ok(loaded.spec),
        Err(report) => {
            output::say_report(&report);
            Err(ErrorKind::Config.exit_code())
        }
    }
}

/// The export to OpenTelemetry that the environment asks for; none if it asks for none.
///
/// # Errors
/// `Config`, with the variable that is wrong.
pub(super) fn export(worker: &Worker) -> Result<Option<Export>> {
    let spec = OtlpSpec::from_environment(&config::process_environment())?;
    let export = spec.map(|spec| Export::new(spec, worker.metrics().clone())).transpose()?;
    if export.is_some() {
        tracing::info!("metrics and traces are exported to OpenTelemetry");
    }
    Ok(export)
}

/// The tasks beside the connectors: the listeners, the export to OpenTelemetry, and the progress bars of a terminal.
pub(super) struct Helpers {
    closing: CancellationToken,
    tasks: JoinSet<()>,
}

impl Helpers {
    /// Starts them. `server` is none where nobody listens.
    pub(super) fn start(
        (server, export): (Option<Server>, Option<Export>),
        rest: &RestSpec,
        worker: &Worker,
        may_be_empty: bool,
        context: Context,
    ) -> Self {
        let closing = CancellationToken::new();
        let mut tasks = JoinSet::new();
        if let Some(server) = server {
            let view = view(&server, rest);
            say(&server, rest, &view);
            let state = HttpState {
                boards: worker.boards().clone(),
                metrics: worker.metrics().clone(),
                herder: Arc::new(worker.clone()),
                logs: context.logs,
                view,
                credentials: Credentials::of(rest),
                cors: Cors::of(&rest.cors),
                may_be_empty,
            };
            // On cancel open requests are finished.
            tasks.spawn(server.serve(state, closing.clone().cancelled_owned()));
        }
        if let Some(export) = export {
            // On cancel what waits is sent, if the collector takes it at once.
            tasks.spawn(export.run(worker.boards().clone(), closing.clone().cancelled_owned()));
        }
        // Only watches; on cancel the bars are cleared.
        tasks.spawn(Progress::new(context.bars).run(worker.boards().clone(), closing.clone().cancelled_owned()));
        Self { closing, tasks }
    }

    /// Ends them after the connectors.
    pub(super) async fn end(self) {
        self.closing.cancel();
        let _ = tokio::time::timeout(Duration::from_millis(500), self.tasks.join_all()).await;
    }

    /// Waits for something, and ends them.
    pub(super) async fn during<T>(self, work: impl Future<Output = T>) -> T {
        let outcome = work.await;
        self.end().await;
        outcome
    }
}

/// Tells the worker under which address it can be asked, for other processes to see.
pub(super) fn announce(worker: &Worker, server: Option<&Server>, rest: &RestSpec) {
    if let Some(server) = server {
        worker.set_rest(&view(server, rest).base);
    }
}

/// The address under which others reach the worker, and the form of its answers.
fn view(server: &Server, rest: &RestSpec) -> View {
    let address = server.address();
    let own = || match address.ip() {
        ip if ip.is_unspecified() => lease::host(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    let host = rest.advertised_host.clone().unwrap_or_else(own);
    let port = rest.advertised_port.unwrap_or(address.port());
    let scheme = if server.has_tls() { "https" } else { "http" };
    View {
        worker_id: format!("{host}:{port}"),
        base: format!("{scheme}://{host}:{port}"),
        hide_secrets: rest.hide_secrets.unwrap_or(!server.open_addresses().is_empty()),
        without_admin: rest.without_admin,
        has_samples: rest.has_samples,
    }
}

fn say(server: &Server, rest: &RestSpec, view: &View) {
    tracing::info!(address = %server.address(), "REST, health and metrics");
    let open = server.open_addresses();
    if !open.is_empty() && !rest.has_auth() {
        let addresses: Vec<String> = open.iter().map(ToString::to_string).collect();
        tracing::warn!(
            addresses = addresses.join(", "),
            "whoever can reach this listener can change connectors: set rest.auth.basic.USER or rest.auth.bearer.NAME, or \
             listen on 127.0.0.1"
        );
    }
    if !open.is_empty() && !view.hide_secrets {
        tracing::warn!("rest.hide.secrets=false: passwords of connectors are answered in clear");
    }
}
