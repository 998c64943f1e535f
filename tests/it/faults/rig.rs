//! One connector over a long time: its database under load, its topics, and what they have delivered so far.
//! Its tasks run in this process, made of the real parts in wrappers; after each fault the one oracle looks.

use std::collections::HashMap;
use std::sync::Arc;

use rowtide::config::spec::ConnectorSpec;
use rowtide::config::{Surroundings, connector, read};
use rowtide::connector::assignment::Assignment;
use rowtide::connector::{RunOptions, catalog, distribution, parts};
use rowtide::dialect::sessions::Sessions;
use rowtide::error::Result;
use rowtide::model::Relation;
use rowtide::status::{StatusBoard, TableState, allowance};
use rowtide::task::control::Control;
use rowtide::task::memory::MemoryBudget;
use rowtide::task::samples::Samples;
use rowtide::task::{self, Fence};
use rowtide::telemetry::Metrics;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::script::{Effect, Fault, Script};
use super::wrapped::scripted;
use crate::support::PATIENCE;
use crate::support::config::Connector;
use crate::support::db::{MySqlFamily, Postgres, Server, Source, Sqlite, runtime};
use crate::support::load::{Writer, inserts_and_updates};
use crate::support::oracle::{Delivered, Findings};

pub const TABLES: [&str; 3] = ["a", "b", "c"];

/// A database with the tables, and what an update of them sets besides.
pub trait Loaded: Source + Sized {
    const TOUCH: &'static str;
    fn with_tables() -> Self;
    fn address(&self) -> String;
    fn execute(&self, sql: &str);
}

impl Loaded for Postgres {
    const TOUCH: &'static str = ", ts = clock_timestamp()";

    fn with_tables() -> Self {
        let database = Self::new();
        for table in TABLES {
            database.run(&format!(
                "create table {table} (seq bigserial primary key, ts timestamp not null default now(), item varchar(256));
                 create index on {table} (ts, seq)"
            ));
        }
        database
    }

    fn address(&self) -> String {
        self.jdbc_url()
    }

    fn execute(&self, sql: &str) {
        self.run(sql);
    }
}

/// A database of one kind of the family.
pub struct Family<const KIND: usize>(MySqlFamily);

const KINDS: [&str; 3] = ["mysql", "mariadb", "tidb"];
pub type MySql = Family<0>;
pub type MariaDb = Family<1>;
pub type TiDb = Family<2>;

impl<const KIND: usize> Source for Family<KIND> {
    fn server(&self) -> Server {
        self.0.server()
    }

    fn full_name(&self, table: &str) -> String {
        self.0.full_name(table)
    }

    fn rows(&self, table: &str, order: &str) -> Vec<(i64, i64, String)> {
        self.0.rows(table, order)
    }
}

impl<const KIND: usize> Loaded for Family<KIND> {
    const TOUCH: &'static str = ", ts = current_timestamp(6)";

    fn with_tables() -> Self {
        let database = MySqlFamily::new(KINDS[KIND]);
        for table in TABLES {
            database.run(&format!(
                "create table {table} (seq bigint auto_increment primary key, ts datetime(6) not null default current_timestamp(6),
                   item varchar(256), key (ts, seq))"
            ));
        }
        Self(database)
    }

    fn address(&self) -> String {
        self.0.jdbc_url()
    }

    fn execute(&self, sql: &str) {
        self.0.run(sql);
    }
}

impl Loaded for Sqlite {
    const TOUCH: &'static str = ", ts = strftime('%Y-%m-%d %H:%M:%f', 'now')";

    fn with_tables() -> Self {
        let database = Self::new();
        for table in TABLES {
            database.run(&format!(
                "create table {table} (seq integer primary key autoincrement,
                   ts timestamp not null default (strftime('%Y-%m-%d %H:%M:%f', 'now')), item varchar(256));
                 create index {table}_ts on {table} (ts, seq)"
            ));
        }
        database
    }

    fn address(&self) -> String {
        self.jdbc_url()
    }

    fn execute(&self, sql: &str) {
        self.run(sql);
    }
}

/// Statements of a load before it slows down.
const BUSY: usize = 100;

pub struct Rig<D> {
    pub database: D,
    pub connector: Connector,
    relations: Vec<Relation>,
    delivered: HashMap<&'static str, Delivered>,
}

impl<D: Loaded> Rig<D> {
    /// Three tables on two tasks, in pages of seven rows. `change` is the last word on the configuration.
    pub fn new(change: impl FnOnce(Connector) -> Connector) -> Self {
        let database = D::with_tables();
        let connector = Connector::of_test_table(&database.address())
            .alone()
            .without("table.whitelist")
            .set("tasks.max", "2")
            .set("batch.max.rows", "7")
            .set("poll.interval.ms", "5");
        let connector = change(connector);
        let spec = spec_of(&connector);
        let relations = runtime().block_on(async {
            let parts = parts::build(Arc::new(spec), &options(&connector.name)).expect("parts");
            parts.prepare_topics().await.expect("topics");
            let mut connection = parts.dialect.connect(&parts.spec.source).await.expect("connect");
            catalog::relations(&parts.spec, parts.dialect, &mut *connection).await.expect("tables")
        });
        assert_eq!(relations.len(), TABLES.len());
        Self { database, connector, relations, delivered: HashMap::new() }
    }

    /// Writes to all tables until it is stopped: much at first, then slower, for the oracle reads the whole tables after each
    /// fault, and some faults take long.
    pub fn load(&self, rng: fastrand::Rng) -> Writer {
        let writes = TABLES.map(|table| inserts_and_updates(table, D::TOUCH));
        let pace = |n| if n < BUSY { 1..20 } else { 20..300 };
        Writer::paced(&self.database, rng, pace, move |rng, n| writes[n % TABLES.len()](rng, n))
    }

    /// Every table gets a column more.
    pub fn change_columns(&self, number: usize) {
        for table in TABLES {
            self.database.execute(&format!("alter table {table} add column more{number} int"));
        }
    }

    /// A life of the connector in which a fault happens. After an error it has to come back by itself; after a
    /// panic or in a hang it ends as a process does that dies.
    pub fn live_through(&self, fault: Fault) {
        let life = self.start(Some(fault), false);
        runtime().block_on(async {
            if let Effect::Error(_) = fault.effect {
                life.script.is_over().await;
                life.stop.cancel();
                life.end().await.unwrap_or_else(|error| panic!("{fault}: {error:?}"));
                return;
            }
            life.script.has_hit().await;
            life.die().await;
        });
    }

    /// Reads what is left; nothing may be written meanwhile.
    pub fn catch_up(&self) {
        let life = self.start(None, true);
        let board = life.board.clone();
        runtime().block_on(life.end()).expect("a run to the end");
        // A task ends well although a table has failed.
        for table in board.snapshot().tables {
            assert!(table.state != TableState::Failed, "{} has failed: {:?}", table.table, table.reason);
        }
    }

    /// The oracle's findings about all tables.
    pub fn look(&mut self) -> Findings {
        let mut all = Findings::default();
        for table in TABLES {
            let delivered = self.delivered.entry(table).or_default();
            let found = delivered.compare(&self.database, &self.connector, table);
            let named = |texts: Vec<String>| texts.into_iter().map(move |text| format!("{table}: {text}"));
            all.lost.extend(named(found.lost));
            all.repeated.extend(named(found.repeated));
            all.wrong.extend(named(found.wrong));
        }
        all
    }

    pub fn records(&self) -> usize {
        self.delivered.values().map(Delivered::records).sum()
    }

    fn start(&self, fault: Option<Fault>, once: bool) -> Life {
        let _guard = runtime().enter();
        let (script, stop) = (Arc::new(Script::new(fault)), CancellationToken::new());
        let options = RunOptions { once, ..options(&self.connector.name) };
        let parts = parts::build(Arc::new(spec_of(&self.connector)), &options).expect("parts");
        let groups = distribution::split(&self.relations, parts.spec.tasks_max);
        let fences = Fence::among(groups.len());
        let mut selections = Vec::new();
        let start = |(index, (group, fence))| {
            let (selection, selected) = watch::channel(group);
            selections.push(selection);
            let parts = scripted(parts.for_task(index, fence).expect("parts"), &script, index);
            runtime().spawn(task::run(parts, selected, stop.clone()))
        };
        let tasks = groups.into_iter().zip(fences).enumerate().map(start).collect();
        Life { script, board: options.board, stop, tasks, _selections: selections }
    }
}

/// Running tasks.
struct Life {
    script: Arc<Script>,
    board: StatusBoard,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<Result<()>>>,
    _selections: Vec<watch::Sender<Vec<Relation>>>,
}

impl Life {
    /// Waits for the tasks to end by themselves.
    async fn end(self) -> Result<()> {
        for task in self.tasks {
            tokio::time::timeout(PATIENCE, task).await.expect("a task ends").expect("no panic")?;
        }
        Ok(())
    }

    /// All at once, wherever they are.
    async fn die(self) {
        for task in &self.tasks {
            task.abort();
        }
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

fn spec_of(connector_file: &Connector) -> ConnectorSpec {
    let file = connector_file.file();
    let document = read(file.to_str().expect("a path")).expect("the file");
    connector(document, Surroundings::default()).unwrap_or_else(|report| panic!("{report}")).spec
}

fn options(name: &str) -> RunOptions {
    RunOptions {
        once: false,
        timeout: PATIENCE,
        accept_server: false,
        board: StatusBoard::new(name, allowance(std::time::Duration::ZERO)),
        metrics: Metrics::new().connector(name),
        memory: MemoryBudget::default(),
        sessions: Sessions::default(),
        assignment: Assignment::default(),
        control: Control::default(),
        rest: None,
        samples: Samples::default(),
    }
}
