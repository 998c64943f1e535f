//! `rowtide offsets`: look at what is stored, and change it. A change shows before and after, wants `--yes`
//! where nobody can be asked, and refuses while the connector runs.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{ConfigArgs, output};
use crate::config::spec::{ConnectorSpec, Selection};
use crate::connector::offset_tools;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Instant, SourceOffset, SourcePartition};
use crate::offsets::{StoredOffset, format};

#[derive(Debug, Args)]
pub(super) struct OffsetsArgs {
    #[command(subcommand)]
    command: OffsetsCommand,
}

#[derive(Debug, Subcommand)]
enum OffsetsCommand {
    /// Every stored offset, also those of tables no longer selected.
    List {
        /// Connector configurations.
        #[arg(required = true, value_name = "CONNECTOR")]
        connectors: Vec<String>,
        /// One JSON document instead of a table.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// The offsets of one connector or table, as JSON.
    Get {
        #[command(flatten)]
        target: Target,
        /// Write to this file instead of standard output.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Move the position of a table. What is not given keeps its value.
    Set {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        change: Change,
        /// RFC 3339 (2024-02-29T12:00:00.123456Z) or milliseconds since the epoch; rows after it are read.
        #[arg(long, value_name = "T", value_parser = timestamp)]
        timestamp: Option<Instant>,
        /// The id after which rows are read.
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        incrementing: Option<i64>,
    },
    /// Forget the position: the next run begins like a first one.
    Reset {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        change: Change,
    },
    /// Save the offsets in the form of Connect's GET /connectors/NAME/offsets.
    Export {
        /// Connector configuration.
        connector: String,
        /// The file; `-` is standard output.
        file: PathBuf,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Write offsets from such a file.
    Import {
        /// Connector configuration.
        connector: String,
        /// The file; `-` is standard input.
        file: PathBuf,
        #[command(flatten)]
        change: Change,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

#[derive(Debug, Args)]
struct Target {
    /// Connector configuration.
    connector: String,
    /// The table, as `offsets list` shows it; not needed if there is one.
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, Args)]
struct Change {
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Go on although an instance of the connector is alive; it is fenced.
    #[arg(long)]
    force: bool,
}

type Stored = BTreeMap<SourcePartition, StoredOffset>;
type Changes = Vec<(SourcePartition, Option<SourceOffset>)>;

pub(super) async fn run(args: OffsetsArgs) -> u8 {
    let outcome = match args.command {
        OffsetsCommand::List { connectors, json, config } => list(&connectors, json, &config).await,
        OffsetsCommand::Get { target, to } => get(&target, to.as_deref()).await,
        OffsetsCommand::Set { target, change, timestamp, incrementing } => {
            set(&target, &change, timestamp, incrementing).await
        }
        OffsetsCommand::Reset { target, change } => reset(&target, &change).await,
        OffsetsCommand::Export { connector, file, config } => export(&connector, &file, &config).await,
        OffsetsCommand::Import { connector, file, change, config } => import(&connector, &file, &change, &config).await,
    };
    match outcome {
        Ok(()) => 0,
        Err(Stop::Said(code)) => code,
        Err(Stop::Error(error)) => output::fail(&error),
    }
}

/// Why a command ends early.
enum Stop {
    /// It was said already.
    Said(u8),
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Error(error)
    }
}

fn one(connector: &str, config: &ConfigArgs) -> Result<ConnectorSpec, Stop> {
    let mut specs = output::load(&[connector.to_owned()], config).map_err(Stop::Said)?;
    specs.pop().ok_or(Stop::Said(2))
}

async fn load(spec: &ConnectorSpec, config: &ConfigArgs) -> Result<Stored> {
    let what = format!("brokers {}", spec.kafka.bootstrap_servers);
    output::within(config.timeout, &what, offset_tools::load(spec)).await
}

async fn list(connectors: &[String], as_json: bool, config: &ConfigArgs) -> Result<(), Stop> {
    let specs = output::load(connectors, config).map_err(Stop::Said)?;
    let mut documents = Vec::new();
    for spec in &specs {
        let stored = load(spec, config).await?;
        if as_json {
            documents.extend(stored.iter().map(|(partition, stored)| entry(spec, partition, stored)));
            continue;
        }
        let mut text = format!("connector {} in topic {}\n", spec.name, spec.offsets.topic);
        if stored.is_empty() {
            text.push_str("  no offsets stored\n");
        }
        for (partition, stored) in &stored {
            let selected = if is_selected(spec, partition) { "" } else { "  (no longer selected)" };
            text.push_str(&format!(
                "  {partition}  {}{selected}\n    guard off, {} [{}] @ {}, written {}\n",
                stored.offset,
                stored.topic,
                stored.partition,
                stored.kafka_offset,
                age(stored.written_at),
            ));
        }
        output::print(&text)?;
    }
    if as_json {
        output::print(&format!("{}\n", serde_json::to_string_pretty(&documents).unwrap_or_default()))?;
    }
    Ok(())
}

fn entry(spec: &ConnectorSpec, partition: &SourcePartition, stored: &StoredOffset) -> serde_json::Value {
    let offset: serde_json::Value = serde_json::from_slice(&format::value(&stored.offset)).unwrap_or_default();
    json!({
        "connector": spec.name,
        "partition": partition.0,
        "offset": offset,
        "position": stored.offset.to_string(),
        "guard": "off",
        "selected": is_selected(spec, partition),
        "topic": stored.topic,
        "kafka_partition": stored.partition,
        "kafka_offset": stored.kafka_offset,
        "written_at_ms": stored.written_at,
        "age_seconds": stored.written_at.map(age_seconds),
    })
}

/// By the connector's own lists only: the database is not asked.
fn is_selected(spec: &ConnectorSpec, partition: &SourcePartition) -> bool {
    match (&spec.selection, partition.0.get("table")) {
        (Selection::Query { .. }, table) => table.is_none(),
        (Selection::Tables(_), None) => false,
        (Selection::Tables(filter), Some(table)) => {
            let (schema, name) = match table.rsplit_once('.') {
                Some((schema, name)) => (Some(schema.to_owned()), name.to_owned()),
                None => (None, table.clone()),
            };
            let id = crate::model::TableId { catalog: None, schema, name };
            filter.selects(&id, &id.to_string())
        }
    }
}

fn age_seconds(written_at: i64) -> i64 {
    (chrono::Utc::now().timestamp_millis() - written_at) / 1000
}

fn age(written_at: Option<i64>) -> String {
    match written_at.map(age_seconds) {
        None => "at an unknown time".to_owned(),
        Some(seconds) if seconds < 120 => format!("{seconds} s ago"),
        Some(seconds) if seconds < 7200 => format!("{} min ago", seconds / 60),
        Some(seconds) if seconds < 172_800 => format!("{} h ago", seconds / 3600),
        Some(seconds) => format!("{} days ago", seconds / 86_400),
    }
}

async fn get(target: &Target, to: Option<&Path>) -> Result<(), Stop> {
    let spec = one(&target.connector, &target.config)?;
    let stored = load(&spec, &target.config).await?;
    let chosen = stored.into_iter().filter(|(partition, _)| matches(partition, target.table.as_deref()));
    let chosen: Vec<_> = chosen.collect();
    let document = format::to_rest(chosen.iter().map(|(partition, stored)| (partition, Some(&stored.offset))));
    Ok(write_document(to.unwrap_or(Path::new("-")), &document)?)
}

fn matches(partition: &SourcePartition, table: Option<&str>) -> bool {
    let Some(table) = table else { return true };
    let name = partition.to_string();
    name == table || name.rsplit_once('.').is_some_and(|(_, bare)| bare == table)
}

/// The partitions a change is about: those stored, or for a table never polled the one it will have.
fn chosen(stored: &Stored, table: Option<&str>) -> Result<Vec<SourcePartition>> {
    let found: Vec<SourcePartition> = stored.keys().filter(|partition| matches(partition, table)).cloned().collect();
    match (found.len(), table) {
        (1, _) => Ok(found),
        (0, Some("query")) => Ok(vec![SourcePartition::query()]),
        (0, Some(table)) => Ok(vec![SourcePartition::table(table)]),
        (0, None) => Err(Error::config("no offset is stored for this connector").advise("name the table with --table")),
        (_, _) => {
            let names: Vec<String> = found.iter().map(ToString::to_string).collect();
            Err(Error::config(format!("this would change {} offsets: {}", found.len(), names.join(", ")))
                .advise("name one table with --table, by its full name"))
        }
    }
}

async fn set(
    target: &Target,
    change: &Change,
    timestamp: Option<Instant>,
    incrementing: Option<i64>,
) -> Result<(), Stop> {
    if timestamp.is_none() && incrementing.is_none() {
        return Err(Error::config("nothing to set").advise("give --timestamp, --incrementing, or both").into());
    }
    let spec = one(&target.connector, &target.config)?;
    let stored = load(&spec, &target.config).await?;
    let partitions = chosen(&stored, target.table.as_deref())?;
    let changes = partitions.into_iter().map(|partition| {
        let before = stored.get(&partition).map(|stored| stored.offset.clone()).unwrap_or_default();
        let after = SourceOffset {
            incrementing: incrementing.or(before.incrementing),
            timestamp: timestamp.or(before.timestamp),
            has_nanos: true,
            exact: None,
        };
        (partition, Some(after))
    });
    apply(&spec, &stored, changes.collect(), change, &target.config).await
}

async fn reset(target: &Target, change: &Change) -> Result<(), Stop> {
    let spec = one(&target.connector, &target.config)?;
    let stored = load(&spec, &target.config).await?;
    let changes: Changes = match &target.table {
        None => stored.keys().map(|partition| (partition.clone(), None)).collect(),
        Some(_) => chosen(&stored, target.table.as_deref())?.into_iter().map(|partition| (partition, None)).collect(),
    };
    if changes.is_empty() {
        output::say("no offset is stored for this connector; nothing to reset");
        return Ok(());
    }
    apply(&spec, &stored, changes, change, &target.config).await
}

async fn export(connector: &str, file: &Path, config: &ConfigArgs) -> Result<(), Stop> {
    let spec = one(connector, config)?;
    let stored = load(&spec, config).await?;
    let document = format::to_rest(stored.iter().map(|(partition, stored)| (partition, Some(&stored.offset))));
    Ok(write_document(file, &document)?)
}

async fn import(connector: &str, file: &Path, change: &Change, config: &ConfigArgs) -> Result<(), Stop> {
    let spec = one(connector, config)?;
    let text =
        if file == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(file) };
    let text = text.map_err(|error| {
        Error::new(ErrorKind::Io, "cannot read the offsets").with("file", file.display()).caused_by(error)
    })?;
    let changes = format::from_rest(&spec.name, &text).map_err(|error| error.with("file", file.display()))?;
    if changes.is_empty() {
        return Err(Error::config("the file holds no offsets").with("file", file.display()).into());
    }
    let stored = load(&spec, config).await?;
    apply(&spec, &stored, changes, change, config).await
}

fn write_document(file: &Path, document: &str) -> Result<()> {
    if file == Path::new("-") {
        return output::print(&format!("{document}\n"));
    }
    std::fs::write(file, format!("{document}\n")).map_err(|error| {
        Error::new(ErrorKind::Io, "cannot write the offsets").with("file", file.display()).caused_by(error)
    })
}

/// Shows before and after, asks, and writes.
async fn apply(
    spec: &ConnectorSpec,
    stored: &Stored,
    changes: Changes,
    change: &Change,
    config: &ConfigArgs,
) -> Result<(), Stop> {
    for (partition, after) in &changes {
        let show = |offset: Option<&SourceOffset>| offset.map_or_else(|| "none".to_owned(), ToString::to_string);
        let before = stored.get(partition).map(|stored| &stored.offset);
        output::say(&format!("{partition}\n  before  {}\n  after   {}", show(before), show(after.as_ref())));
    }
    if !change.yes && !confirmed()? {
        output::say("nothing was changed");
        return Err(Stop::Said(ErrorKind::Refused.exit_code()));
    }
    let what = format!("brokers {}", spec.kafka.bootstrap_servers);
    output::within(config.timeout, &what, offset_tools::write(spec, &changes, change.force, config.timeout)).await?;
    output::say(&format!("written: {} offsets of connector {}", changes.len(), spec.name));
    Ok(())
}

/// Asks on the terminal; where there is none, `--yes` is needed.
fn confirmed() -> Result<bool> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Error::new(ErrorKind::Refused, "not on a terminal, so nobody can be asked").advise("say --yes"));
    }
    let _ = write!(std::io::stderr(), "write this? [y/N] ");
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Error::new(ErrorKind::Io, "cannot read the answer").caused_by(error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn timestamp(text: &str) -> Result<Instant, String> {
    if let Ok(millis) = text.parse::<i64>() {
        return Ok(Instant::from_millis(millis));
    }
    let time = chrono::DateTime::parse_from_rfc3339(text)
        .map_err(|_| "expected RFC 3339, such as 2024-02-29T12:00:00Z, or milliseconds since the epoch".to_owned())?;
    Ok(Instant { seconds: time.timestamp(), nanos: time.timestamp_subsec_nanos() })
}
