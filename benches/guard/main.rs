//! The cost of the guard against late commits: the same work with `commit.guard=off`, which is the floor, and with
//! `commit.guard=auto`, in pairs whose order alternates, on rows of the W1 shape. The result is the difference of the
//! two of a pair, of which the median is shown; absolute figures are the machine's. A load is measured with nothing
//! open in the database; with one writer open all the time, while others commit; and the same with rows so young that
//! the open writer could still write between them, which is where the guard has to look back. In each the clock runs
//! from the first poll to the last commit. Beside it the floor nobody can get under: sqlx drains the same SELECT.
//!
//! `idle` counts what many tables without news cost the server.
//!
//! `cargo bench --bench guard` with the addresses of `scripts/services env`; `ROWTIDE_BENCH_DATABASES` (default
//! `postgres`; `postgres,mysql,mariadb,tidb`), `ROWTIDE_BENCH_ROWS` (default 2,000,000), `ROWTIDE_BENCH_RUNS`
//! (pairs, default 5) and `ROWTIDE_BENCH_TABLES` (default 1,000) change what is measured; 0 rows or tables: not at all.

#![allow(clippy::print_stdout, clippy::disallowed_methods)]

mod idle;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use support::database::{Age, Database, Session};
use support::{Outcome, Stack, median, number, rate, run_rowtide};

/// The two of a pair.
const GUARDS: [&str; 2] = ["off", "auto"];
/// The interval of commits beside the open writer.
const COMMIT_EVERY: Duration = Duration::from_millis(5);

/// The load on the database while rows are loaded.
struct Scenario {
    name: &'static str,
    age: Age,
    has_open_writer: bool,
    /// The greatest difference of the two, in percent.
    goal: f64,
}

const SCENARIOS: &[Scenario] = &[
    Scenario { name: "nothing open", age: Age::Years, has_open_writer: false, goal: 3.0 },
    Scenario { name: "a writer open", age: Age::Years, has_open_writer: true, goal: 20.0 },
    Scenario { name: "a writer open, rows of its time", age: Age::Minutes, has_open_writer: true, goal: 20.0 },
];

/// A line of the closing table.
struct Line {
    what: String,
    off: String,
    auto: String,
    apart: String,
    goal: String,
}

fn main() -> Outcome<()> {
    let rows = number("ROWTIDE_BENCH_ROWS", 2_000_000)?;
    let runs = number("ROWTIDE_BENCH_RUNS", 5)?;
    let tables = number("ROWTIDE_BENCH_TABLES", 1_000)?;
    let databases = std::env::var("ROWTIDE_BENCH_DATABASES").unwrap_or_else(|_| "postgres".to_owned());
    let runtime = Runtime::new()?;
    let mut lines = Vec::new();
    for database in databases.split(',').map(str::trim) {
        if rows > 0 {
            let stack = Stack::get()?;
            for scenario in SCENARIOS {
                lines.push(measure(&runtime, &stack, database, scenario, (rows, runs))?);
            }
        }
        if tables > 0 && database == "postgres" {
            lines.push(idle::measure(&runtime, tables)?);
        }
    }
    println!("\n{:<46}{:>12}{:>12}{:>10}{:>10}", "commit.guard", "off", "auto", "apart", "goal");
    for Line { what, off, auto, apart, goal } in lines {
        println!("{what:<46}{off:>12}{auto:>12}{apart:>10}{goal:>10}");
    }
    Ok(())
}

fn measure(
    runtime: &Runtime,
    stack: &Stack,
    database: &str,
    scenario: &Scenario,
    (rows, runs): (usize, usize),
) -> Outcome<Line> {
    let name = format!("bench_guard_{:08x}", fastrand::u32(..));
    println!("{database}, {}: preparing {rows} rows", scenario.name);
    let database = runtime.block_on(Database::prepare(database, &name, rows, scenario.age))?;
    let traffic = match scenario.has_open_writer {
        true => Some(runtime.block_on(Traffic::start(&database))?),
        false => None,
    };
    let user = runtime.block_on(seer(&database))?;
    let (mut drain, mut off, mut auto, mut apart) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for run in 0..runs {
        drain.push(rate(rows, runtime.block_on(database.drain_floor(rows))?));
        let mut pair = [0.0; 2];
        let order = if run % 2 == 0 { [0, 1] } else { [1, 0] };
        for which in order {
            let name = format!("{name}_{run}_{}", GUARDS[which]);
            let settings = [("commit.guard", GUARDS[which]), ("connection.user", user), ("connection.password", user)];
            let measured = run_rowtide(stack, &database, &name, &settings)?;
            pair[which] = rate(rows, measured.reading);
            runtime.block_on(delete_topic(stack, &format!("{name}_test_table")))?;
        }
        off.push(pair[0]);
        auto.push(pair[1]);
        apart.push((1.0 - pair[1] / pair[0]) * 100.0);
        let [off, auto] = pair.map(|rate| rate / 1e6);
        let drain = drain[run] / 1e6;
        println!(
            "run {}: drain {drain:.2} M/s, off {off:.3} M/s, auto {auto:.3} M/s, apart {:.1} %",
            run + 1,
            apart[run]
        );
    }
    if let Some(traffic) = traffic {
        runtime.block_on(traffic.stop())?;
    }
    let name = database.name;
    runtime.block_on(database.clean_up())?;
    println!("floor: sqlx drains the same SELECT: {:.2} M/s", median(drain) / 1e6);
    let shown = |rates| format!("{:.3} M/s", median(rates) / 1e6);
    Ok(Line {
        what: format!("{name}, {}", scenario.name),
        off: shown(off),
        auto: shown(auto),
        apart: format!("{:.1} %", median(apart)),
        goal: format!("{} %", scenario.goal),
    })
}

/// A user who sees the open transactions of the server, so that the exact method is measured; its password is its name.
async fn seer(database: &Database) -> Outcome<&'static str> {
    if database.name == "postgres" {
        return Ok("connectuser");
    }
    let mut session = database.session().await?;
    session.run("create user if not exists bench_guard identified by 'bench_guard'").await?;
    session.run("grant process, select on *.* to bench_guard").await?;
    Ok("bench_guard")
}

/// A transaction that has written and stays open, and others that commit all the time.
struct Traffic {
    open: Session,
    others: JoinHandle<()>,
}

impl Traffic {
    async fn start(database: &Database) -> Outcome<Self> {
        let (mut open, mut others) = (database.session().await?, database.session().await?);
        open.run("create table others (n integer)").await?;
        open.run("begin").await?;
        open.run("insert into others values (0)").await?;
        let others = tokio::spawn(async move {
            while let Ok(()) = others.run("insert into others values (1)").await.map_err(drop) {
                tokio::time::sleep(COMMIT_EVERY).await;
            }
        });
        Ok(Self { open, others })
    }

    async fn stop(mut self) -> Outcome<()> {
        // If it has ended by itself, what was measured is something else.
        if self.others.is_finished() {
            return Err("nobody committed any more beside the open writer".into());
        }
        self.others.abort();
        self.open.run("rollback").await
    }
}

async fn delete_topic(stack: &Stack, topic: &str) -> Outcome<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &stack.brokers).create()?;
    for deleted in admin.delete_topics(&[topic], &AdminOptions::new()).await? {
        deleted.map_err(|(topic, code)| format!("{topic}: {code}"))?;
    }
    Ok(())
}
