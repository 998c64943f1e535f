//! The command line (`cli.md`): one file per command. Data goes to stdout, everything else to stderr.

mod backfill;
mod check;
mod consume;
mod ddl;
mod docs;
mod embedded;
mod explain;
mod health;
mod lines;
mod offsets;
mod output;
mod progress;
mod quickstart;
mod run;
mod serving;
mod shell;
mod worker;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::error::Error;
use crate::telemetry::{self, LogFormat, LogOptions};

/// Polls relational tables into Kafka, exactly once.
#[derive(Debug, Parser)]
#[command(name = "rowtide", version, propagate_version = true, max_term_width = 110)]
#[command(after_help = "Example: rowtide quickstart\n         rowtide run connector.json --worker worker.properties")]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Format of log lines and errors on stderr.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, help_heading = "Logging")]
    log_format: Format,
    /// Log level: off, error, warn, info, debug, trace, or a filter such as rowtide=debug [default: info; quickstart:
    /// warn].
    #[arg(long, global = true, value_name = "LEVEL", hide_default_value = true, help_heading = "Logging")]
    log_level: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run connectors until SIGTERM or SIGINT.
    #[command(
        after_help = "Example: rowtide run connector.json --worker worker.properties\n         CONNECT_BOOTSTRAP_SERVERS=broker:9092 rowtide run connector.json --once"
    )]
    Run(run::RunArgs),
    /// Take connectors by REST, as Kafka Connect does, and keep them; until SIGTERM or SIGINT.
    #[command(
        after_help = "Example: rowtide worker --worker worker.properties\n         rowtide worker --worker worker.properties --config-dir /var/lib/rowtide"
    )]
    Worker(worker::WorkerArgs),
    /// Report everything wrong with a configuration, then try the database, the brokers and the registry. Writes nothing.
    #[command(after_help = "Example: rowtide check connector.json --offline")]
    Check(check::CheckArgs),
    /// Show what would be read and written: SQL, plan, index, key, topic, schemas, guard, stored offset. Writes nothing.
    #[command(after_help = "Example: rowtide explain connector.json --sample 3")]
    Explain(explain::ExplainArgs),
    /// Look at stored offsets, and change them.
    #[command(
        after_help = "Example: rowtide offsets list connector.json\n         rowtide offsets reset connector.json --table public.orders"
    )]
    Offsets(offsets::OffsetsArgs),
    /// Read a table again while it is polled: up to where polls are now, throttled, going on after a kill.
    #[command(
        after_help = "Example: rowtide backfill connector.json --table public.orders --where \"region = 'eu'\" --rate 5000\n         rowtide backfill connector.json --table public.orders --cancel"
    )]
    Backfill(backfill::BackfillArgs),
    /// Print a topic's records, decoded through the registry, one JSON object a line (read committed).
    #[command(after_help = "Example: rowtide consume db_test_table --from-beginning --worker worker.properties")]
    Consume(consume::ConsumeArgs),
    /// See it work with nothing installed: a SQLite table, in-process brokers and registry.
    #[command(
        after_help = "Example: rowtide quickstart --keep\n         rowtide quickstart --late-commits --url postgres://user@host:5432/database"
    )]
    Quickstart(quickstart::QuickstartArgs),
    /// Print a generated reference page, or the entry of one kind of error.
    #[command(after_help = "Example: rowtide docs config\n         rowtide docs errors unreachable")]
    Docs(docs::DocsArgs),
    /// Ask a running instance for its health; exit code 0 or 1. For health checks of containers.
    #[command(after_help = "Example: rowtide health\n         rowtide health --address 127.0.0.1:8084 --live")]
    Health(health::HealthArgs),
    /// Print the completions of a shell.
    #[command(after_help = "Example: rowtide completions bash > /etc/bash_completion.d/rowtide")]
    Completions(shell::CompletionsArgs),
    /// Print the manual page, or write one for each command.
    #[command(after_help = "Example: rowtide man --dir /usr/local/share/man/man1")]
    Man(shell::ManArgs),
}

/// The sources of a configuration.
#[derive(Debug, Clone, Args)]
struct ConfigArgs {
    /// Worker configuration (.properties, JSON or YAML); CONNECT_* variables go over it.
    #[arg(long, value_name = "FILE")]
    worker: Option<PathBuf>,
    /// A worker setting, over file and environment.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
    /// Unknown keys are errors.
    #[arg(long)]
    strict: bool,
    /// Longest wait for a database, broker or registry; `run` without --once waits for ever.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    timeout: Duration,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds < 1e6 => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("expected a number of seconds".to_owned()),
    }
}

/// The means of a command besides its arguments.
struct Context {
    /// Progress bars, drawn so that log lines do not tear them.
    bars: indicatif::MultiProgress,
    /// The levels of the log.
    logs: telemetry::LogControl,
}

/// Runs the command line and gives the exit code (`cli.md`, 3).
pub fn main() -> u8 {
    let cli = Cli::parse();
    let format = match cli.log_format {
        Format::Text => LogFormat::Text,
        Format::Json => LogFormat::Json,
    };
    output::speak_json(format == LogFormat::Json);
    // The quick start shows what happens on stdout; a log beside it would only be clutter.
    let quiet = if matches!(cli.command, Command::Quickstart(_)) { "warn" } else { "info" };
    let level = cli.log_level.unwrap_or_else(|| quiet.to_owned());
    let (bars, logs) = match telemetry::init(&LogOptions::detect(format, level)) {
        Ok(started) => started,
        Err(error) => return output::fail(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::fail(&Error::internal("cannot start the runtime").caused_by(error)),
    };
    let code = runtime.block_on(async {
        let code = dispatch(cli.command, Context { bars, logs }).await;
        // Statements that still run in a database are cancelled: nobody waits for their rows.
        crate::dialect::farewells().await;
        code
    });
    // Threads that still wait for a dead broker must not hold up the exit.
    runtime.shutdown_timeout(Duration::from_millis(500));
    code
}

async fn dispatch(command: Command, context: Context) -> u8 {
    match command {
        Command::Run(args) => run::run(args, context).await,
        Command::Worker(args) => worker::run(args, context).await,
        Command::Check(args) => check::run(args).await,
        Command::Explain(args) => explain::run(args).await,
        Command::Offsets(args) => offsets::run(args).await,
        Command::Backfill(args) => backfill::run(args).await,
        Command::Consume(args) => consume::run(args).await,
        Command::Quickstart(args) => quickstart::run(args, context).await,
        Command::Docs(args) => docs::run(&args),
        Command::Health(args) => health::run(&args).await,
        Command::Completions(args) => shell::completions(&args),
        Command::Man(args) => shell::man(&args),
    }
}
