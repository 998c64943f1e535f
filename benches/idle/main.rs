//! The cost of tables in which nothing happens, and of starting many: for each number of tables a database of its own,
//! the real binary on it, the time until every table is loaded and live, then the part of a core that it uses, its
//! memory, its connections, and the transactions that the server counts. With a writer beside, which commits all the
//! time to a table that is not polled, no poll can be spared: that is the other end of the scale.
//!
//! `cargo bench --bench idle`; it starts services of its own, because it makes thousands of topics.
//! `ROWTIDE_BENCH_DATABASES` (default `postgres,sqlite`), `ROWTIDE_BENCH_TABLES` (default `1,100,1000`),
//! `ROWTIDE_BENCH_INTERVAL` between polls in milliseconds (default 1000) and `ROWTIDE_BENCH_SECONDS` (default 30) change
//! what is measured.

#![allow(clippy::print_stdout, clippy::disallowed_methods)]

#[path = "../support/mod.rs"]
mod support;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use tokio::runtime::Runtime;

use support::services::Services;
use support::{Outcome, Running, number};

/// The longest time for loading all tables of one run.
const PATIENCE: Duration = Duration::from_secs(1_200);
/// Until the last load is over and tables have come to rest.
const SETTLE: Duration = Duration::from_secs(8);

struct Load {
    interval: usize,
    measured: Duration,
}

/// One run.
struct Line {
    database: &'static str,
    tables: usize,
    live: Duration,
    idle: Figures,
    beside_a_writer: Option<Figures>,
}

struct Figures {
    /// The part of a core.
    cpu: f64,
    mebibytes: f64,
    connections: i64,
    /// Transactions a second by the server's count.
    transactions: f64,
}

fn main() -> Outcome<()> {
    let load = Load {
        interval: number("ROWTIDE_BENCH_INTERVAL", 1_000)?,
        measured: Duration::from_secs(number("ROWTIDE_BENCH_SECONDS", 30)? as u64),
    };
    let list = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let (databases, counts) =
        (list("ROWTIDE_BENCH_DATABASES", "postgres,sqlite"), list("ROWTIDE_BENCH_TABLES", "1,100,1000"));
    let runtime = Runtime::new()?;
    let services = Services::start(&["postgres", "kafka", "registry"])?;
    let mut lines = Vec::new();
    for tables in counts.split(',') {
        for database in databases.split(',') {
            let database = match database {
                "postgres" => Database::postgres(&services, tables.parse()?)?,
                "sqlite" => Database::sqlite(tables.parse()?)?,
                other => return Err(format!("no database {other}; there are postgres and sqlite").into()),
            };
            lines.push(runtime.block_on(measure(&services, &load, &database))?);
        }
    }
    print(&load, &lines);
    Ok(())
}

fn print(load: &Load, lines: &[Line]) {
    println!("a poll every {} ms; CPU in percent of a core over {} s", load.interval, load.measured.as_secs());
    println!("| | tables | all live after | idle | memory | connections | transactions/s | beside a writer |");
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    for Line { database, tables, live, idle, beside_a_writer } in lines {
        let beside = beside_a_writer.as_ref().map_or("-".to_owned(), |it| format!("{:.1}", it.cpu * 100.0));
        println!(
            "| {database} | {tables} | {:.1} s | {:.1} | {:.0} MiB | {} | {:.1} | {beside} |",
            live.as_secs_f64(),
            idle.cpu * 100.0,
            idle.mebibytes,
            idle.connections,
            idle.transactions
        );
    }
}

/// A database with so many tables of one row.
enum Database {
    Postgres { server: String, tables: usize },
    Sqlite { folder: tempfile::TempDir, tables: usize },
}

fn name(table: usize) -> String {
    format!("idle_{table:05}")
}

impl Database {
    fn postgres(services: &Services, tables: usize) -> Outcome<Self> {
        let url = services.export("ROWTIDE_TEST_POSTGRES_URL")?;
        let (server, _) = url.rsplit_once('/').ok_or("a URL without a database")?;
        Ok(Self::Postgres { server: server.to_owned(), tables })
    }

    fn sqlite(tables: usize) -> Outcome<Self> {
        Ok(Self::Sqlite { folder: tempfile::tempdir()?, tables })
    }

    fn what(&self) -> (&'static str, usize) {
        match self {
            Self::Postgres { tables, .. } => ("postgres", *tables),
            Self::Sqlite { tables, .. } => ("sqlite", *tables),
        }
    }

    /// The table that is not polled.
    fn written(&self) -> &'static str {
        match self {
            Self::Postgres { .. } => "aside.written",
            Self::Sqlite { .. } => "written",
        }
    }

    fn own(&self) -> String {
        format!("idle_{}", self.what().1)
    }

    fn url(&self) -> String {
        match self {
            Self::Postgres { server, .. } => format!("{server}/{}", self.own()),
            Self::Sqlite { folder, .. } => format!("sqlite://{}?mode=rwc", file(folder.path()).display()),
        }
    }

    fn jdbc_url(&self) -> String {
        match self {
            Self::Postgres { server, .. } => {
                format!("jdbc:postgresql://{}/{}", server.rsplit('@').next().unwrap_or_default(), self.own())
            }
            Self::Sqlite { folder, .. } => format!("jdbc:sqlite:{}", file(folder.path()).display()),
        }
    }

    async fn fill(&self) -> Outcome<()> {
        let (database, tables) = self.what();
        let names: Vec<String> = (0..tables).map(name).collect();
        if let Self::Postgres { server, .. } = self {
            let mut session = PgConnection::connect(&format!("{server}/postgres")).await?;
            session.execute(AssertSqlSafe(format!("create database {}", self.own()))).await?;
            let mut session = PgConnection::connect(&self.url()).await?;
            session.execute("create schema aside").await?;
            session.execute("create table aside.written (n bigint)").await?;
            // A transaction for many, but not of more locks than a server has.
            for names in names.chunks(100) {
                session.execute(sqlx::raw_sql(AssertSqlSafe(create(database, names)))).await?;
            }
            return Ok(());
        }
        let mut session = SqliteConnection::connect(&self.url()).await?;
        session.execute("pragma journal_mode = wal").await?;
        let script = format!("begin; {} create table written (n bigint); commit", create(database, &names));
        session.execute(sqlx::raw_sql(AssertSqlSafe(script))).await?;
        Ok(())
    }

    /// Connections of others than this one, and transactions that have ended.
    async fn counted(&self) -> Outcome<(i64, i64)> {
        let Self::Postgres { server, .. } = self else { return Ok((1, 0)) };
        let mut session = PgConnection::connect(&format!("{server}/postgres")).await?;
        let counts = "select (select count(*) from pg_stat_activity where datname = $1),
            (select xact_commit + xact_rollback from pg_stat_database where datname = $1)";
        Ok(sqlx::query_as(counts).bind(self.own()).fetch_one(&mut session).await?)
    }

    /// A commit every 100 ms, for ever.
    async fn write(&self) -> Outcome<()> {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        macro_rules! write {
            ($connection:ty, $insert:literal) => {{
                let mut session = <$connection>::connect(&self.url()).await?;
                loop {
                    ticks.tick().await;
                    session.execute($insert).await?;
                }
            }};
        }
        match self {
            Self::Postgres { .. } => write!(PgConnection, "insert into aside.written values (1)"),
            Self::Sqlite { .. } => write!(SqliteConnection, "insert into written values (1)"),
        }
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("idle.db")
}

fn create(database: &str, names: &[String]) -> String {
    let (id, time) = match database {
        "postgres" => ("bigint generated always as identity primary key", "timestamptz not null default now()"),
        _ => ("integer primary key", "timestamp not null default (strftime('%Y-%m-%d %H:%M:%f', 'now'))"),
    };
    let create = |name: &String| {
        format!(
            "create table {name} (id {id}, ts {time}, item varchar(64));
             create index {name}_ts on {name} (ts, id);
             insert into {name} (item) values ('first');"
        )
    };
    names.iter().map(create).collect()
}

async fn measure(services: &Services, load: &Load, database: &Database) -> Outcome<Line> {
    let (what, tables) = database.what();
    println!("{what}, {tables} tables: filling");
    database.fill().await?;
    let folder = tempfile::tempdir()?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    println!("{what}, {tables} tables: loading");
    let started = Instant::now();
    let mut running = start(services, load, database, folder.path(), port)?;
    while !all_live(port, tables).await.unwrap_or(false) {
        if started.elapsed() > PATIENCE || running.0.try_wait()?.is_some() {
            let log = std::fs::read_to_string(folder.path().join("log"))?;
            return Err(format!("not live after {} s: {log}", started.elapsed().as_secs()).into());
        }
        tokio::time::sleep(Duration::from_millis(100 + tables as u64 / 2)).await;
    }
    let live = started.elapsed();
    tokio::time::sleep(SETTLE).await;
    let idle = figures(&running, load, database).await?;
    let beside_a_writer = tokio::select! {
        written = database.write() => written.and(Err("the writer has ended".into())),
        figures = async {
            tokio::time::sleep(SETTLE / 2).await;
            figures(&running, load, database).await
        } => figures,
    };
    Ok(Line { database: what, tables, live, idle, beside_a_writer: Some(beside_a_writer?) })
}

async fn figures(running: &Running, load: &Load, database: &Database) -> Outcome<Figures> {
    let stat = format!("/proc/{}/stat", running.0.id());
    let (before, (_, transactions), started) = (cpu(&stat)?, database.counted().await?, Instant::now());
    tokio::time::sleep(load.measured).await;
    let (after, (connections, later), took) = (cpu(&stat)?, database.counted().await?, started.elapsed().as_secs_f64());
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.0.id()))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no resident memory")?;
    let kib: f64 = resident.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(Figures {
        cpu: (after - before) / took,
        mebibytes: kib / 1024.0,
        connections,
        transactions: (later - transactions) as f64 / took,
    })
}

/// True if every table was read to its end.
async fn all_live(port: u16, tables: usize) -> Outcome<bool> {
    let text = reqwest::get(format!("http://127.0.0.1:{port}/status")).await?.text().await?;
    let status: serde_json::Value = serde_json::from_str(&text)?;
    let known = status["connectors"][0]["tables"].as_array().ok_or("no tables")?;
    let is_read = |table: &serde_json::Value| {
        matches!(table["state"].as_str(), Some("live" | "idle")) && !table["position"].is_null()
    };
    Ok(known.len() >= tables && known.iter().filter(|table| is_read(table)).count() >= tables)
}

fn start(services: &Services, load: &Load, database: &Database, folder: &Path, port: u16) -> Outcome<Running> {
    let run = format!("{}_{}", database.what().0, database.what().1);
    let mut document = serde_json::json!({"name": run, "config": {
        "connection.url": database.jdbc_url(),
        "mode": "timestamp+incrementing", "incrementing.column.name": "id", "timestamp.column.name": "ts",
        "table.blacklist": database.written(), "topic.prefix": format!("{run}_"), "tasks.max": "1",
        "poll.interval.ms": load.interval.to_string(),
        "bootstrap.servers": services.export("ROWTIDE_TEST_BOOTSTRAP")?,
        "offset.storage.topic": format!("{run}-offsets"),
        "offset.storage.replication.factor": "1", "offset.storage.partitions": "1",
        "value.converter": "io.confluent.connect.avro.AvroConverter",
        "value.converter.schema.registry.url": services.export("ROWTIDE_TEST_REGISTRY_URL")?,
    }});
    if matches!(database, Database::Postgres { .. }) {
        document["config"]["connection.user"] = "postgres".into();
    }
    let config = folder.join("connector.json");
    std::fs::write(&config, document.to_string())?;
    let child = Command::new(env!("CARGO_BIN_EXE_rowtide"))
        .args(["--log-level", "warn", "run", "--listen", &format!("127.0.0.1:{port}")])
        .arg(&config)
        .stdin(Stdio::null())
        .stderr(std::fs::File::create(folder.join("log"))?)
        .spawn()?;
    Ok(Running(child))
}

/// The CPU seconds of a process.
fn cpu(stat: &str) -> Outcome<f64> {
    /// `USER_HZ`, the same on all Linux systems.
    const TICKS_PER_SECOND: f64 = 100.0;
    let text = std::fs::read_to_string(stat)?;
    let (_, after) = text.rsplit_once(") ").ok_or("no name")?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).ok_or("no ticks");
    Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}
