//! How commands speak: errors and problems on stderr, data on stdout, and the exit code that goes with them.

use std::io::{self, Write};
use std::time::Duration;

use super::ConfigArgs;
use crate::config::{self, Report, Sources};
use crate::config::spec::ConnectorSpec;
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
    let sources = sources(args)?;
    let mut specs = Vec::new();
    let mut broken = false;
    for file in connectors {
        match config::load(file, &sources) {
            Ok(loaded) => {
                loaded.warnings.iter().for_each(|warning| say(&format!("warning: {file}: {warning}")));
                specs.push(loaded.spec);
            }
            Err(report) => {
                broken = true;
                say_report(&report);
            }
        }
    }
    if broken { Err(ErrorKind::Config.exit_code()) } else { Ok(specs) }
}

/// The worker's configuration: file, then environment, then `--set`.
pub(super) fn sources(args: &ConfigArgs) -> Result<Sources, u8> {
    Sources::collect(args.worker.as_deref(), std::env::vars(), &args.set, args.strict).map_err(|report| {
        say_report(&report);
        ErrorKind::Config.exit_code()
    })
}

pub(super) fn say_report(report: &Report) {
    say(report.to_string().trim_end());
}

/// Bounds a step of a command that needs somebody else.
///
/// # Errors
/// `Unreachable` when the time is up, naming what was waited for.
pub(super) async fn within<T>(timeout: Duration, what: &str, step: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(timeout, step).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::new(ErrorKind::Unreachable, format!("{what} did not answer within {} s", timeout.as_secs_f64()))
            .advise("check that it is up and can be reached from here; --timeout waits longer")),
    }
}
