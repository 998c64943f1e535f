//! How commands speak: errors and problems on stderr, data on stdout, and the exit code that goes with them.

use std::io::{self, Write};
use std::time::Duration;

use super::ConfigArgs;
use crate::config::spec::{ConnectorSpec, WorkerSpec};
use crate::config::{self, Report};
use crate::error::{Error, ErrorKind, Result};

/// Says what went wrong and what to do; the exit code.
pub(super) fn fail(error: &Error) -> u8 {
    say(&format!("error: {}", error.report()));
    say(&format!("  what to do: {}", error.advice()));
    error.kind().exit_code()
}

/// Writes a line to stderr.
pub(super) fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Writes text to stdout. A reader that went away (`| head`) is not an error.
///
/// # Errors
/// `Io` for anything else.
pub(super) fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::new(ErrorKind::Io, "cannot write to standard output").caused_by(error))
        }
        _ => Ok(()),
    }
}

/// Loads the connectors of a command line; all problems of all files are reported before it gives up.
pub(super) fn load(connectors: &[String], args: &ConfigArgs) -> Result<Vec<ConnectorSpec>, u8> {
    let environment = config::process_environment();
    let mut specs = Vec::new();
    for file in connectors {
        match config::load(file, args.worker.as_deref(), &environment, &args.set, args.strict) {
            Ok(loaded) => {
                say_warnings(&loaded.report);
                specs.push(loaded.spec);
            }
            Err(report) => say_report(&report),
        }
    }
    if specs.len() == connectors.len() { Ok(specs) } else { Err(ErrorKind::Config.exit_code()) }
}

/// The worker's configuration alone: file, then environment, then `--set`.
pub(super) fn load_worker(args: &ConfigArgs) -> Result<WorkerSpec, u8> {
    match config::load_worker(args.worker.as_deref(), &config::process_environment(), &args.set, args.strict) {
        Ok(loaded) => {
            say_warnings(&loaded.report);
            Ok(loaded.spec)
        }
        Err(report) => {
            say_report(&report);
            Err(ErrorKind::Config.exit_code())
        }
    }
}

fn say_warnings(report: &Report) {
    if !report.warnings.is_empty() {
        say_report(report);
    }
}

fn say_report(report: &Report) {
    say(report.to_string().trim_end());
}

/// Bounds a step of a command that needs somebody else.
///
/// # Errors
/// `Unreachable` when the time is up, naming what was waited for.
pub(super) async fn within<T>(timeout: Duration, what: &str, step: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(timeout, step).await {
        Ok(outcome) => outcome,
        Err(_) => {
            Err(Error::new(ErrorKind::Unreachable, format!("{what} did not answer within {} s", timeout.as_secs_f64()))
                .advise("check that it is up and can be reached from here; --timeout waits longer"))
        }
    }
}
