//! `rowtide offsets`: stored offsets, listed and changed. A change shows before and after and wants `--yes` where there is no
//! terminal. While the connector runs, its instance changes the offset of a table; other changes are refused.

mod files;
mod list;
pub(super) mod running;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Subcommand};

use self::running::TableMove;
use super::{ConfigArgs, output};
use crate::config::spec::ConnectorSpec;
use crate::connector::catalog;
use crate::connector::offset_tools::{self, Stored};
use crate::dialect::dialect_of;
use crate::error::{Error, ErrorKind, Result};
use crate::herder::OffsetChanges;
use crate::model::{Instant, OffsetMove, SourcePartition};
use crate::offsets::{format, moved};

#[derive(Debug, Args)]
pub(super) struct OffsetsArgs {
    #[command(subcommand)]
    command: OffsetsCommand,
}

#[derive(Debug, Subcommand)]
enum OffsetsCommand {
    /// Every stored offset, also those of tables no longer selected.
    #[command(after_help = "Example: rowtide offsets list connector.json --json")]
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
    #[command(after_help = "Example: rowtide offsets get connector.json --table public.orders --to orders.json")]
    Get {
        #[command(flatten)]
        target: Target,
        /// Write to this file instead of standard output.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Move the position of a table. What is not given keeps its value.
    #[command(
        after_help = "Example: rowtide offsets set connector.json --table orders --timestamp 2024-02-29T00:00:00Z --incrementing 0"
    )]
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
    #[command(after_help = "Example: rowtide offsets reset connector.json --table orders")]
    Reset {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        change: Change,
    },
    /// Save the offsets in the form of Connect's GET /connectors/NAME/offsets, or for a standalone worker.
    #[command(
        after_help = "Example: rowtide offsets export connector.json offsets.json\n         rowtide offsets export connector.json --to-file /var/lib/connect/connect.offsets",
        group = ArgGroup::new("to").required(true).args(["file", "to_file"])
    )]
    Export {
        /// Connector configuration.
        connector: String,
        /// The file; `-` is standard output.
        file: Option<PathBuf>,
        /// Into the file of a standalone worker that is stopped (its `offset.storage.file.filename`); what it holds
        /// of other connectors is kept.
        #[arg(long, value_name = "FILE")]
        to_file: Option<PathBuf>,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Write offsets from such a file.
    #[command(
        after_help = "Example: rowtide offsets import connector.json offsets.json --yes\n         rowtide offsets import connector.json --from-file /var/lib/connect/connect.offsets",
        group = ArgGroup::new("from").required(true).args(["file", "from_file"])
    )]
    Import {
        /// Connector configuration.
        connector: String,
        /// The file, in the form of Connect's GET /connectors/NAME/offsets; `-` is standard input.
        file: Option<PathBuf>,
        /// From the file of a standalone worker (its `offset.storage.file.filename`); only what is this connector's.
        #[arg(long, value_name = "FILE")]
        from_file: Option<PathBuf>,
        #[command(flatten)]
        change: Change,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

#[derive(Debug, Args)]
pub(super) struct Target {
    /// Connector configuration.
    pub(super) connector: String,
    /// The table, by its full name or without the schema; not needed if there is one.
    #[arg(long, value_name = "TABLE")]
    pub(super) table: Option<String>,
    #[command(flatten)]
    pub(super) config: ConfigArgs,
}

#[derive(Debug, Args)]
struct Change {
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Go on although an instance of the connector is alive; it is fenced.
    #[arg(long)]
    force: bool,
    /// The REST of an instance that is alive, which changes the offset of a table itself [default: the address it shows].
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

pub(super) async fn run(args: OffsetsArgs) -> u8 {
    let outcome = match args.command {
        OffsetsCommand::List { connectors, json, config } => list::list(&connectors, json, &config).await,
        OffsetsCommand::Get { target, to } => get(&target, to.as_deref()).await,
        OffsetsCommand::Set { target, change, timestamp, incrementing } => {
            set(&target, &change, timestamp, incrementing).await
        }
        OffsetsCommand::Reset { target, change } => reset(&target, &change).await,
        OffsetsCommand::Export { connector, file, to_file, config } => {
            let to = files::Place::of(file, to_file);
            files::export(&connector, &to, &config).await
        }
        OffsetsCommand::Import { connector, file, from_file, change, config } => {
            let from = files::Place::of(file, from_file);
            files::import(&connector, &from, &change, &config).await
        }
    };
    match outcome {
        Ok(()) => 0,
        Err(Stop::Said(code)) => code,
        Err(Stop::Error(error)) => output::fail(&error),
    }
}

/// The reason why a command ends early.
pub(super) enum Stop {
    /// A reason that was reported already, with the exit code.
    Said(u8),
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Error(error)
    }
}

/// The one connector of a file.
pub(super) fn one(connector: &str, config: &ConfigArgs) -> Result<ConnectorSpec, Stop> {
    let mut specs = output::load(&[connector.to_owned()], config).map_err(Stop::Said)?;
    if specs.len() > 1 {
        let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        let message = format!("the file holds {} connectors: {}", specs.len(), names.join(", "));
        return Err(Error::config(message).advise("give a file with the one that is meant").into());
    }
    specs.pop().ok_or(Stop::Said(2))
}

/// All that is stored of a connector.
///
/// # Errors
/// Those of the brokers and of the store.
pub(super) async fn load(spec: &ConnectorSpec, config: &ConfigArgs) -> Result<Stored> {
    output::reach(&spec.kafka, config.timeout).await?;
    output::within(config.timeout, "the offsets topic", offset_tools::load(spec)).await
}

async fn get(target: &Target, to: Option<&Path>) -> Result<(), Stop> {
    let spec = one(&target.connector, &target.config)?;
    let stored = load(&spec, &target.config).await?;
    let chosen: Vec<_> =
        stored.offsets.iter().filter(|(partition, _)| matches(partition, target.table.as_deref())).collect();
    if chosen.is_empty() && target.table.is_some() {
        return Err(nothing_stored(&stored, target.table.as_deref()).into());
    }
    let document = format::to_rest(chosen.iter().map(|(partition, stored)| (*partition, Some(&stored.offset))));
    Ok(files::write_document(to.unwrap_or(Path::new("-")), &document)?)
}

fn matches(partition: &SourcePartition, table: Option<&str>) -> bool {
    let Some(table) = table else { return true };
    let name = partition.to_string();
    name == table || name.rsplit_once('.').is_some_and(|(_, bare)| bare == table)
}

/// The partition a change is about, among those stored; none if there is none.
///
/// # Errors
/// `Config` if there are several.
pub(super) fn chosen(stored: &Stored, table: Option<&str>) -> Result<Option<SourcePartition>> {
    let mut found: Vec<SourcePartition> =
        stored.offsets.keys().filter(|of| !of.is_backfill() && matches(of, table)).cloned().collect();
    match found.len() {
        // A table that is being loaded has no offset yet.
        0 | 1 => Ok(found.pop().map(SourcePartition::loaded)),
        _ => {
            let names: Vec<String> = found.iter().map(ToString::to_string).collect();
            Err(Error::config(format!("this would change {} offsets: {}", found.len(), names.join(", ")))
                .advise("name one table with --table, by its full name"))
        }
    }
}

/// The error where nothing is stored of a connector or a table.
pub(super) fn nothing_stored(stored: &Stored, table: Option<&str>) -> Error {
    let whose = table.map_or_else(|| "this connector".to_owned(), |table| format!("`{table}`"));
    let names: Vec<String> = stored.offsets.keys().map(ToString::to_string).collect();
    let advice = if names.is_empty() {
        "no offset is stored at all".to_owned()
    } else {
        format!("offsets are stored for {}", names.join(", "))
    };
    Error::config(format!("no offset is stored for {whose}")).advise(advice)
}

/// The partition a table that was never polled will have. The database is asked for the table's full name.
async fn future(spec: &ConnectorSpec, table: Option<&str>, config: &ConfigArgs) -> Result<SourcePartition> {
    let dialect = dialect_of(&spec.source)?;
    let what = format!("database {}", spec.source.url);
    let look = async {
        let mut connection = dialect.connect(&spec.source).await?;
        let relations = catalog::relations(spec, dialect, &mut *connection).await?;
        connection.close().await;
        Ok(relations)
    };
    let relations = output::within(config.timeout, &what, look).await?;
    let mut found: Vec<_> = relations.iter().map(|relation| spec.source_partition(relation)).collect();
    let names: Vec<String> = found.iter().map(ToString::to_string).collect();
    found.retain(|partition| matches(partition, table));
    match (found.pop(), table) {
        (Some(partition), _) if found.is_empty() => Ok(partition),
        (None, Some(table)) => Err(Error::config(format!("the connector does not select a table `{table}`"))
            .advise(format!("it selects {}", names.join(", ")))),
        _ => Err(Error::config("the connector has several tables")
            .advise(format!("name one with --table: {}", names.join(", ")))),
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
    let partition = match chosen(&stored, target.table.as_deref())? {
        Some(partition) => partition,
        None => future(&spec, target.table.as_deref(), &target.config).await?,
    };
    let mode = spec.mode_of_partition(&partition);
    let before = stored.offsets.get(&partition).map(|stored| stored.offset.clone());
    moved::fits(mode, before.as_ref(), timestamp.is_some(), incrementing.is_some())?;
    let table = TableMove { partition: partition.clone(), change: OffsetMove::To { timestamp, incrementing } };
    let timestamp = match timestamp {
        Some(instant) => {
            let what = format!("database {}", spec.source.url);
            let asked = offset_tools::stored_time(&spec, &partition, instant);
            Some(output::within(target.config.timeout, &what, asked).await?)
        }
        None => None,
    };
    let after = moved::moved(mode, before.as_ref(), timestamp, incrementing)?;
    let planned = Planned { changes: vec![(partition, Some(after))], table: Some(table) };
    apply(&spec, &stored, planned, change, &target.config).await
}

async fn reset(target: &Target, change: &Change) -> Result<(), Stop> {
    let spec = one(&target.connector, &target.config)?;
    let stored = load(&spec, &target.config).await?;
    let changes: OffsetChanges = match &target.table {
        None => stored.forgotten(),
        Some(table) => match chosen(&stored, Some(table))? {
            Some(partition) => vec![(partition, None)],
            None => return Err(nothing_stored(&stored, Some(table)).into()),
        },
    };
    if changes.is_empty() {
        output::say("no offset is stored for this connector; nothing to reset");
        return Ok(());
    }
    let table = match changes.as_slice() {
        [(partition, None)] if *partition != SourcePartition::server() => Some(partition.clone()),
        _ => None,
    };
    let table = table.map(|partition| TableMove { partition, change: OffsetMove::Beginning });
    apply(&spec, &stored, Planned { changes, table }, change, &target.config).await
}

/// Changes, and the same as an instance that runs takes it, if it is one of a single table.
struct Planned {
    changes: OffsetChanges,
    table: Option<TableMove>,
}

impl From<OffsetChanges> for Planned {
    fn from(changes: OffsetChanges) -> Self {
        Self { changes, table: None }
    }
}

/// Shows before and after, asks, and writes; or lets an instance that is alive do so.
async fn apply(
    spec: &ConnectorSpec,
    stored: &Stored,
    planned: Planned,
    change: &Change,
    config: &ConfigArgs,
) -> Result<(), Stop> {
    let Planned { changes, table } = planned;
    let none = || "none".to_owned();
    for (partition, after) in &changes {
        let known = stored.offsets.get(partition).or_else(|| stored.offsets.get(&partition.load()));
        let before = match known {
            Some(stored) => stored.offset.to_string(),
            None if *partition == SourcePartition::server() => {
                stored.server.as_ref().map_or_else(none, |server| server.identity.clone())
            }
            None => none(),
        };
        let after = after.as_ref().map_or_else(none, ToString::to_string);
        output::say(&format!("{partition}\n  before  {before}\n  after   {after}"));
    }
    if !change.yes && !confirmed()? {
        output::say("nothing was changed");
        return Err(Stop::Said(ErrorKind::Refused.exit_code()));
    }
    let what = format!("brokers {}", spec.kafka.bootstrap_servers);
    if !change.force {
        let alive = offset_tools::holders(spec, config.timeout);
        let alive = output::within(config.timeout, &what, alive).await?;
        if !alive.is_empty() {
            let how = (table.as_ref(), change.url.as_deref());
            return Ok(running::apply(spec, &alive, how, config).await?);
        }
    }
    output::within(config.timeout, &what, offset_tools::write(spec, &changes, change.force, config.timeout)).await?;
    let offsets = changes.iter().filter(|(partition, _)| *partition != SourcePartition::server()).count();
    output::say(&format!("written: {} of connector {}", output::count(offsets, "offset"), spec.name));
    Ok(())
}

/// Asks on the terminal; where there is none, `--yes` is needed.
fn confirmed() -> Result<bool> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Error::new(ErrorKind::Refused, "not on a terminal, so the change cannot be confirmed")
            .advise("nothing was changed; say --yes to write it"));
    }
    let _ = write!(std::io::stderr(), "write this? [y/N] ");
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Error::new(ErrorKind::Io, "cannot read the answer").caused_by(error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn timestamp(text: &str) -> Result<Instant, String> {
    moved::timestamp(text).ok_or_else(|| format!("expected {}", moved::TIMESTAMP))
}
