//! `rowtide worker`: connectors that come by REST, and are kept over the end of the process.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::run::{stop_on_signal, supervise};
use super::serving::{self, Helpers};
use super::{ConfigArgs, Context, output};
use crate::config::spec::HostSpec;
use crate::config::{self, Surroundings};
use crate::connector::worker::store::{ConfigStore, FolderStore, TopicStore};
use crate::connector::worker::{Lasting, Worker, WorkerOptions};
use crate::error::{Directive, ErrorKind, Result};
use crate::http::Server;
use crate::retry::{Backoff, RetryPolicy};

#[derive(Debug, Args)]
pub(super) struct WorkerArgs {
    /// Keep connectors as files of this folder, instead of in config.storage.topic.
    #[arg(long, value_name = "DIR")]
    config_dir: Option<PathBuf>,
    /// Go on with another database than the offsets belong to, or with an older copy of it, and remember that.
    #[arg(long)]
    accept_server: bool,
    /// Address of REST, health and metrics [default: `listeners`, else 127.0.0.1:8083].
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) async fn run(args: WorkerArgs, context: Context) -> u8 {
    let (host, surroundings) = match host(&args.config) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let server = match Server::bind(args.listen.as_deref(), &host.rest).await {
        Ok(server) => server,
        Err(error) => return output::fail(&error),
    };
    let store: Arc<dyn ConfigStore> = match &args.config_dir {
        Some(folder) => match FolderStore::open(folder) {
            Ok(store) => Arc::new(store),
            Err(error) => return output::fail(&error),
        },
        None => Arc::new(TopicStore::new(host.kafka.clone(), host.configs, args.config.timeout)),
    };
    let stop = CancellationToken::new();
    if let Err(error) = stop_on_signal(&stop) {
        return output::fail(&error);
    }
    let worker = Worker::new(WorkerOptions {
        surroundings,
        once: false,
        timeout: args.config.timeout,
        accept_server: args.accept_server,
        samples: host.rest.has_samples,
        kafka: Some(host.kafka),
        lasting: Lasting::Forever,
    });
    let export = match serving::export(&worker) {
        Ok(export) => export,
        Err(error) => return output::fail(&error),
    };
    serving::announce(&worker, server.as_ref(), &host.rest);
    let helpers = Helpers::start((server, export), &host.rest, &worker, true, context);
    let work = async {
        if let Err(error) = restore(&worker, store, &stop).await {
            worker.shutdown().await;
            return output::fail(&error);
        }
        // What has failed shows in its status; the worker has done what it was asked.
        supervise(&worker, &stop).await;
        0
    };
    helpers.during(work).await
}

/// The worker's settings, and what goes with those of every connector.
fn host(args: &ConfigArgs) -> Result<(HostSpec, Surroundings), u8> {
    let read = || {
        let worker = args.worker.as_deref().map(|file| config::read(&file.to_string_lossy())).transpose()?;
        let (environment, sets) = (config::process_environment(), args.set.clone());
        let surroundings = Surroundings { worker, environment, sets, strict: args.strict };
        Ok((config::host(surroundings.clone())?, surroundings))
    };
    match read() {
        Ok((loaded, surroundings)) => {
            output::say_warnings(&loaded.report);
            for note in &loaded.spec.notes {
                tracing::info!("{note}");
            }
            Ok((loaded.spec, surroundings))
        }
        Err(report) => {
            output::say_report(&report);
            Err(ErrorKind::Config.exit_code())
        }
    }
}

/// Takes the connectors that are kept. Brokers that do not answer are waited for.
async fn restore(worker: &Worker, store: Arc<dyn ConfigStore>, stop: &CancellationToken) -> Result<()> {
    let (policy, mut backoff) = (RetryPolicy::default(), Backoff::default());
    loop {
        let restored = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            restored = worker.restore(Arc::clone(&store)) => restored,
        };
        let error = match restored {
            Ok(()) => return Ok(()),
            Err(error) if error.kind().directive() == Directive::Fail => return Err(error),
            Err(error) => error,
        };
        let Some(pause) = backoff.next(&policy) else { return Err(error) };
        tracing::warn!(error = %error.report(), "the connectors that are kept cannot be read yet");
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}
