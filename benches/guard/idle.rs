//! The cost of many idle tables for the server, with the guard off and on: a PostgreSQL server of the bench's own
//! writes down every statement it gets, and the real binary polls tables in which nothing happens. Counted is whole
//! rounds, from one poll of a table to a later one of the same. Kafka and the registry are those of the quick start, so
//! that no real broker is left with a thousand topics.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rowtide::embedded::{Brokers, SchemaRegistry};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::runtime::Runtime;

use crate::support::{Outcome, Running};
use crate::{GUARDS, Line};

const ROUNDS: usize = 3;
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// The longest time for loading and counting.
const PATIENCE: Duration = Duration::from_secs(900);
/// The role that rowtide reads as; the log says who ran a statement.
const READER: &str = "bench_reader";

pub(crate) fn measure(runtime: &Runtime, tables: usize) -> Outcome<Line> {
    println!("postgres, {tables} idle tables: starting a server");
    let server = Server::start()?;
    runtime.block_on(server.fill(tables))?;
    let mut statements = [0.0; 2];
    for (guard, statements) in GUARDS.iter().zip(&mut statements) {
        let round = runtime.block_on(count(&server, guard, tables))?;
        println!("commit.guard={guard}, statements in a round of {tables} tables:");
        for (statement, times) in &round {
            println!("{times:>10.1}  {statement}");
        }
        *statements = round.iter().map(|(_, times)| times).sum();
    }
    let [off, auto] = statements;
    Ok(Line {
        what: format!("postgres, {tables} idle tables, statements a round"),
        off: format!("{off:.1}"),
        auto: format!("{auto:.1}"),
        apart: format!("{:+.1}", auto - off),
        goal: "+1".to_owned(),
    })
}

/// The number of times each kind of statement is run in a round, most often first.
async fn count(server: &Server, guard: &str, tables: usize) -> Outcome<Vec<(String, f64)>> {
    let (brokers, registry) = (Brokers::start(1)?, SchemaRegistry::start().await?);
    // These brokers do not know how to make a topic for a client.
    brokers.create_topic("rowtide-offsets", 1)?;
    for table in 0..tables {
        brokers.create_topic(&format!("{guard}_{}", name(table)), 1)?;
    }
    let document = serde_json::json!({"name": format!("idle-{guard}"), "config": {
        "connection.url": format!("jdbc:postgresql://{}/postgres", server.address),
        "connection.user": READER,
        "mode": "timestamp+incrementing", "incrementing.column.name": "id", "timestamp.column.name": "ts",
        "topic.prefix": format!("{guard}_"), "tasks.max": "1", "commit.guard": guard,
        "poll.interval.ms": POLL_INTERVAL.as_millis().to_string(),
        // No poll is spared: the condition might look at the clock.
        "table.*.where": "id > 0",
        // What is looked at from time to time is not of a round.
        "table.poll.interval.ms": PATIENCE.as_millis().to_string(),
        "bootstrap.servers": brokers.bootstrap_servers(),
        "internal.topics.automatic.creation.enable": "false",
        "value.converter.schema.registry.url": registry.url(),
    }});
    let file = server.folder.path().join("connector.json");
    std::fs::write(&file, document.to_string())?;
    let before = server.log()?.len();
    let _running = Running(
        Command::new(env!("CARGO_BIN_EXE_rowtide"))
            .args(["--log-level", "warn", "run", "--listen", "off"])
            .arg(&file)
            .stdin(Stdio::null())
            .spawn()?,
    );
    let deadline = Instant::now() + PATIENCE;
    loop {
        tokio::time::sleep(POLL_INTERVAL).await;
        if let Some(round) = rounds(&entries(&server.log()?[before..]), tables) {
            return Ok(round);
        }
        if Instant::now() > deadline {
            return Err(format!("no {ROUNDS} rounds within {} s", PATIENCE.as_secs()).into());
        }
    }
}

fn name(table: usize) -> String {
    format!("idle_{table:04}")
}

/// The last whole rounds of a log, once there are enough behind the loading.
fn rounds(entries: &[String], tables: usize) -> Option<Vec<(String, f64)>> {
    // The table in the middle of each round; the last statement about it is one that every poll has.
    let mark = name(tables / 2);
    let marked = entries.iter().rfind(|entry| entry.contains(&mark))?;
    let is_mark = |entry: &String| entry.contains(&mark) && kind(entry) == kind(marked);
    let marks: Vec<usize> = (0..entries.len()).filter(|at| is_mark(&entries[*at])).collect();
    // The first are of the loading.
    let first = *marks.get(marks.len().checked_sub(ROUNDS + 1).filter(|before| *before >= 2)?)?;
    let counted = &entries[first..*marks.last()?];
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for entry in counted {
        *kinds.entry(kind(entry)).or_default() += 1;
    }
    let mut round: Vec<_> = kinds.into_iter().map(|(kind, times)| (kind, times as f64 / ROUNDS as f64)).collect();
    round.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    Some(round)
}

/// The statements of the reader, each with all its lines in one.
fn entries(log: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    let mut is_ours = false;
    for line in log.lines() {
        if let (true, Some(more)) = (line.starts_with('\t') && is_ours, entries.last_mut()) {
            more.push(' ');
            more.push_str(line.trim());
            continue;
        }
        let message = line.strip_prefix(READER).and_then(|rest| rest.strip_prefix("|LOG:  "));
        let statement = message.filter(|text| text.starts_with("statement: ") || text.starts_with("execute "));
        is_ours = statement.is_some();
        entries.extend(statement.and_then(|text| text.split_once(": ")).map(|(_, sql)| sql.to_owned()));
    }
    entries
}

/// A statement without what differs from table to table, as far as a line is wide.
fn kind(statement: &str) -> String {
    let shown = statement.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown = shown.chars().map(|letter| if letter.is_ascii_digit() { '#' } else { letter });
    shown.take(100).collect()
}

/// A PostgreSQL server of the bench's own, stopped and removed with its handle.
struct Server {
    folder: tempfile::TempDir,
    address: String,
}

impl Server {
    fn start() -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        // The server runs as another user, if the bench is run by root.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
        let mut server = Self { folder, address: String::new() };
        if !server.services("start").status()?.success() {
            return Err("scripts/services start postgres has failed".into());
        }
        let exports = String::from_utf8(server.services("env").output()?.stdout)?;
        let url = exports.lines().find_map(|line| line.strip_prefix("export ROWTIDE_TEST_POSTGRES_URL="));
        let url = url.ok_or("scripts/services env does not name the server")?;
        server.address = url.split(['@', '/']).nth(3).ok_or("a URL without a host")?.to_owned();
        Ok(server)
    }

    fn services(&self, command: &str) -> Command {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/services");
        let mut services = Command::new(script);
        services.arg(command).env("ROWTIDE_RUN", self.folder.path()).stdin(Stdio::null());
        if command != "env" {
            services.arg("postgres");
        }
        services
    }

    /// Tables with a row each, and from then on every statement in the log.
    async fn fill(&self, tables: usize) -> Outcome<()> {
        let mut session = PgConnection::connect(&format!("postgres://postgres@{}/postgres", self.address)).await?;
        let tables: Vec<String> = (0..tables).map(name).collect();
        // A transaction for many, but not of more locks than a server has.
        for tables in tables.chunks(100) {
            let create = |table: &String| {
                format!(
                    "create table {table} (id bigint generated always as identity primary key,
                       ts timestamptz not null default now());
                     create index on {table} (ts, id);
                     insert into {table} default values;"
                )
            };
            let sql: String = tables.iter().map(create).collect();
            session.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
        }
        session
            .execute(sqlx::raw_sql(AssertSqlSafe(format!(
                "create role {READER} login; grant select on all tables in schema public to {READER}; analyze"
            ))))
            .await?;
        for setting in ["log_statement = 'all'", "log_line_prefix = '%u|'", "log_parameter_max_length = 0"] {
            session.execute(sqlx::raw_sql(AssertSqlSafe(format!("alter system set {setting}")))).await?;
        }
        session.execute("select pg_reload_conf()").await?;
        Ok(())
    }

    fn log(&self) -> Outcome<String> {
        Ok(std::fs::read_to_string(self.folder.path().join("postgres/log"))?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.services("stop").stderr(Stdio::null()).status();
    }
}
