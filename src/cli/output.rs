//! Output of commands: errors and problems on stderr, data on stdout, and the exit code that goes with them.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::ConfigArgs;
use crate::config::spec::{ConnectorSpec, ConverterSpec, KafkaSpec, WorkerSpec};
use crate::config::{self, Document, Problem, Report, Services, Surroundings};
use crate::error::{Error, ErrorKind, Result};
use crate::kafka::admin;
pub(super) use crate::retry::within;

/// True if stderr holds JSON objects only.
static JSON: OnceLock<bool> = OnceLock::new();

/// `--log-format json`: the messages of commands on stderr are objects of the same form as log lines.
pub(super) fn speak_json(yes: bool) {
    let _ = JSON.set(yes);
}

/// Reports an error and its advice; gives the exit code.
pub(super) fn fail(error: &Error) -> u8 {
    fail_of(None, error)
}

/// The same, of a connector.
pub(super) fn fail_of(connector: Option<&str>, error: &Error) -> u8 {
    if error.kind() == ErrorKind::Cancelled {
        return error.kind().exit_code();
    }
    if JSON.get() == Some(&true) {
        let mut fields =
            json!({"message": error.report(), "advice": error.advice(), "kind": error.root_kind().snake_case()});
        if let Some(connector) = connector {
            fields["connector"] = Json::from(connector);
        }
        say_object("ERROR", fields);
    } else {
        let whose = connector.map(|connector| format!("connector {connector}: ")).unwrap_or_default();
        let more = error.root_kind().reference();
        say(&format!("error: {whose}{}\n  what to do: {}\n  more: {more}", error.report(), error.advice()));
    }
    error.kind().exit_code()
}

/// Writes a line to stderr.
pub(super) fn say(line: &str) {
    if JSON.get() == Some(&true) {
        say_object("INFO", json!({"message": line}));
    } else {
        let _ = writeln!(io::stderr().lock(), "{line}");
    }
}

#[expect(clippy::disallowed_methods, reason = "the time of a line on stderr")]
fn say_object(level: &str, fields: Json) {
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let mut object = json!({"timestamp": now, "level": level});
    if let (Some(object), Json::Object(fields)) = (object.as_object_mut(), fields) {
        object.extend(fields);
    }
    let _ = writeln!(io::stderr().lock(), "{object}");
}

/// Writes text to stdout.
///
/// # Errors
/// `Cancelled` if the reader went away (`| head`), which ends a command quietly; `Io` for anything else.
pub(super) fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| {
        let kind = if error.kind() == io::ErrorKind::BrokenPipe { ErrorKind::Cancelled } else { ErrorKind::Io };
        Error::new(kind, "cannot write to standard output").caused_by(error)
    })
}

/// Loads the connectors of a command line; all problems of all files are reported before it gives up.
pub(super) fn load(connectors: &[String], args: &ConfigArgs) -> Result<Vec<ConnectorSpec>, u8> {
    let mut specs = Vec::new();
    for_each(connectors, args, None, |_, spec, _| specs.push(spec))?;
    Ok(specs)
}

/// The connectors of a command line, found good, and the settings around them.
#[derive(Default)]
pub(super) struct Given {
    pub(super) documents: Vec<Document>,
    pub(super) specs: Vec<ConnectorSpec>,
    pub(super) around: Surroundings,
}

/// The settings of the connectors of a command line, with the notes about each of them; on these services, if some are
/// given.
pub(super) fn settings(connectors: &[String], args: &ConfigArgs, services: Option<&Services>) -> Result<Given, u8> {
    let mut given = Given::default();
    for_each(connectors, args, services, |document, spec, around| {
        given.documents.push(document);
        given.specs.push(spec);
        given.around = around;
    })?;
    Ok(given)
}

fn for_each(
    connectors: &[String],
    args: &ConfigArgs,
    services: Option<&Services>,
    mut take: impl FnMut(Document, ConnectorSpec, Surroundings),
) -> Result<(), u8> {
    let environment = config::process_environment();
    let mut is_good = true;
    for file in connectors {
        let (documents, worker) = match config::read_both(file, args.worker.as_deref()) {
            Ok(read) => read,
            Err(report) => {
                say_report(&report);
                is_good = false;
                continue;
            }
        };
        for mut document in documents {
            let (worker, environment, sets) = (worker.clone(), environment.clone(), args.set.clone());
            let mut around = Surroundings { worker, environment, sets, strict: args.strict };
            if let Some(services) = services {
                services.replace(&mut document, &mut around);
            }
            match config::connector(document.clone(), around.clone()) {
                Ok(loaded) => {
                    say_warnings(&loaded.report);
                    take(document, loaded.spec, around);
                }
                Err(report) => {
                    say_report(&report);
                    is_good = false;
                }
            }
        }
    }
    if is_good { Ok(()) } else { Err(ErrorKind::Config.exit_code()) }
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

pub(super) fn say_warnings(report: &Report) {
    if !report.warnings.is_empty() {
        say_report(report);
    }
}

pub(super) fn say_report(report: &Report) {
    if JSON.get() != Some(&true) {
        return say(report.to_string().trim_end());
    }
    let problems = report.problems.iter().map(|problem| ("ERROR", problem));
    for (level, problem) in problems.chain(report.warnings.iter().map(|problem| ("WARN", problem))) {
        say_object(level, problem_object(&report.origin, problem));
    }
}

fn problem_object(origin: &str, problem: &Problem) -> Json {
    json!({
        "message": problem.message,
        "key": problem.key,
        "with": problem.also,
        "found": problem.found,
        "did_you_mean": problem.nearest,
        "file": if problem.origin.is_empty() { origin } else { &problem.origin },
        "line": problem.line,
        "see": problem.documented_at(),
    })
}

/// `1 topic`, `2 topics`.
pub(super) fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// Reaches the brokers before a command asks them anything, so that it ends in time with the reason.
///
/// # Errors
/// Those of [`admin::probe_brokers`].
pub(super) async fn reach(kafka: &KafkaSpec, timeout: Duration) -> Result<admin::BrokerProbe> {
    let what = format!("brokers {}", kafka.bootstrap_servers);
    // The probe ends by itself and knows why; the second is for its client to be closed.
    within(timeout + Duration::from_secs(1), &what, admin::probe_brokers(kafka, timeout)).await
}

/// The registry of a converter, fit to be shown.
pub(super) fn registry_of(converter: &ConverterSpec) -> String {
    match converter.settings.get("schema.registry.url") {
        Some(url) => format!("schema registry {}", config::masked("schema.registry.url", url)),
        None => converter.definition.class.to_owned(),
    }
}
