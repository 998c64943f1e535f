//! Loading of a specification from files. The only place that reads the files; everything after the reading is pure and
//! starts at [`connector`] and [`worker`].

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use super::build;
use super::document::Document;
use super::judge::Judge;
use super::layers::Layers;
use super::report::{Problem, Report};
use super::spec::{ConnectorSpec, HostSpec, RestSpec, WorkerSpec};

/// The sources of settings beside the connector's file.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// `--worker FILE`, taken apart.
    pub worker: Option<Document>,
    /// The environment, for `CONNECT_*` and `${env:…}`; see [`process_environment`].
    pub environment: BTreeMap<String, String>,
    /// `--set key=value`, in order.
    pub sets: Vec<(String, String)>,
    /// True if unknown keys are problems.
    pub strict: bool,
}

/// A specification, and what is odd about its files.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// The specification.
    pub spec: T,
    /// Warnings only.
    pub report: Report,
}

/// The variables of this process that are text.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn process_environment() -> BTreeMap<String, String> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// Reads a file of one connector, or of a worker; `-` is standard input.
///
/// # Errors
/// A report if it cannot be read, not be taken apart, or holds several.
pub fn read(file: &str) -> Result<Document, Report> {
    let (origin, text) = text_of(file)?;
    Document::parse(origin, &text)
}

/// Reads a file of connectors, one or more; `-` is standard input.
///
/// # Errors
/// A report if it cannot be read, or not be taken apart.
pub fn read_all(file: &str) -> Result<Vec<Document>, Report> {
    let (origin, text) = text_of(file)?;
    let is_empty = |document: &Document| document.entries.is_empty() && document.problems.is_empty();
    match Document::parse_all(origin, &text)? {
        documents if documents.iter().all(is_empty) => {
            Err(Report::of_one(origin, Problem::new("", "the file holds no settings")))
        }
        documents => Ok(documents),
    }
}

/// The name a file goes by in messages, and its text.
fn text_of(file: &str) -> Result<(&str, String), Report> {
    let origin = if file == "-" { "standard input" } else { file };
    let mut bytes = Vec::new();
    let outcome = if file == "-" {
        std::io::stdin().lock().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(file).map(|read| bytes = read)
    };
    let failed = |message: String| Report::of_one(origin, Problem::new("", message));
    outcome.map_err(|error| failed(format!("the file cannot be read: {error}")))?;
    let text = decoded(bytes).ok_or_else(|| failed("the file is not UTF-8 text".to_owned()))?;
    Ok((origin, text))
}

/// Text in UTF-8, or in UTF-16 as its byte order mark says, which is how some shells of Windows redirect.
fn decoded(bytes: Vec<u8>) -> Option<String> {
    let of_two: fn([u8; 2]) -> u16 = match bytes.get(..2) {
        Some([0xff, 0xfe]) => u16::from_le_bytes,
        Some([0xfe, 0xff]) => u16::from_be_bytes,
        _ => return String::from_utf8(bytes).ok(),
    };
    let (units, []) = bytes[2..].as_chunks::<2>() else { return None };
    String::from_utf16(&units.iter().map(|unit| of_two(*unit)).collect::<Vec<_>>()).ok()
}

/// Reads a file of connectors (`-` is standard input) and the worker's.
///
/// # Errors
/// All that keeps them from being read, in one report.
pub fn read_both(
    connector_file: &str,
    worker_file: Option<&Path>,
) -> Result<(Vec<Document>, Option<Document>), Report> {
    let worker = worker_file.map(|file| read(&file.to_string_lossy())).transpose();
    match (worker, read_all(connector_file)) {
        (Ok(worker), Ok(documents)) => Ok((documents, worker)),
        (Err(mut report), Err(other)) => {
            report.problems.extend(other.problems);
            Err(Report { origin: other.origin, ..report })
        }
        (Err(report), Ok(_)) | (Ok(_), Err(report)) => Err(report),
    }
}

/// The whole way: reads both files, of one connector, and builds.
///
/// # Errors
/// All problems of all files in one report.
pub fn load(
    connector_file: &str,
    worker_file: Option<&Path>,
    environment: &BTreeMap<String, String>,
    sets: &[(String, String)],
    strict: bool,
) -> Result<Loaded<ConnectorSpec>, Report> {
    let worker = worker_file.map(|file| read(&file.to_string_lossy())).transpose()?;
    let document = read(connector_file)?;
    connector(document, Surroundings { worker, environment: environment.clone(), sets: sets.to_vec(), strict })
}

/// The connector of a document.
///
/// # Errors
/// All problems in one report.
pub fn connector(document: Document, surroundings: Surroundings) -> Result<Loaded<ConnectorSpec>, Report> {
    let layers = layers(Some(document), surroundings);
    finish(Judge::new(&layers), build::connector)
}

/// The worker alone, for commands without a connector.
///
/// # Errors
/// All problems in one report.
pub fn load_worker(
    worker_file: Option<&Path>,
    environment: &BTreeMap<String, String>,
    sets: &[(String, String)],
    strict: bool,
) -> Result<Loaded<WorkerSpec>, Report> {
    let worker_document = worker_file.map(|file| read(&file.to_string_lossy())).transpose()?;
    let surroundings =
        Surroundings { worker: worker_document, environment: environment.clone(), sets: sets.to_vec(), strict };
    worker(surroundings)
}

/// The worker of what is already taken apart.
///
/// # Errors
/// All problems in one report.
pub fn worker(surroundings: Surroundings) -> Result<Loaded<WorkerSpec>, Report> {
    let layers = layers(None, surroundings);
    finish(Judge::new(&layers), build::worker)
}

/// A process that takes connectors by REST.
///
/// # Errors
/// All problems in one report.
pub fn host(surroundings: Surroundings) -> Result<Loaded<HostSpec>, Report> {
    let layers = layers(None, surroundings);
    finish(Judge::new(&layers), build::host)
}

/// The listeners of a process; what else its settings say is judged with each connector.
///
/// # Errors
/// All problems in one report.
pub fn rest(surroundings: Surroundings) -> Result<Loaded<RestSpec>, Report> {
    let layers = layers(None, surroundings);
    finish(Judge::new(&layers), build::rest)
}

fn layers(connector: Option<Document>, surroundings: Surroundings) -> Layers {
    let Surroundings { worker, environment, sets, strict } = surroundings;
    Layers { connector, worker, environment, sets, strict }
}

fn finish<T>(mut judge: Judge, build: fn(&mut Judge) -> Option<T>) -> Result<Loaded<T>, Report> {
    let spec = build(&mut judge);
    let mut report = judge.report;
    report.tidy();
    match spec {
        Some(spec) if report.is_good() => Ok(Loaded { spec, report }),
        _ => {
            if report.is_good() {
                // Every builder that gives nothing has said why; this is the belt to those braces.
                report.problems.push(Problem::new("", "the configuration is incomplete"));
            }
            Err(report)
        }
    }
}
