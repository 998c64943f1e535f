//! The quick start about late commits: a table of its own in somebody's PostgreSQL database, and the applications that
//! write to it. Their transactions take their timestamp when they begin and hold it while others pass; some use
//! savepoints, some are rolled back. Takes a server, gives the committed rows; knows nothing of the readers.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value as Json, json};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection, Row};
use tokio::time::Instant;

use crate::config::spec::SourceSpec;
use crate::dialect::postgres::{self, Postgres};
use crate::dialect::{Ability, Dialect, SourceConnection};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Relation, TableId};

/// The longest time for removing the table.
const PATIENCE: Duration = Duration::from_secs(10);

/// The name of a table that nobody has.
pub fn unused_name() -> String {
    format!("rowtide_late_commits_{:08x}", fastrand::u32(..))
}

/// The connector's configuration as Kafka Connect takes it; `connection` are its settings of the server.
pub fn connector_config(guard: &str, table: &str, connection: &[(&str, &str)]) -> Json {
    let mut config = json!({
        "connector.class": "io.confluent.connect.jdbc.JdbcSourceConnector",
        "mode": "timestamp+incrementing",
        "incrementing.column.name": "id",
        "timestamp.column.name": "ts",
        "table.whitelist": table,
        "topic.prefix": format!("guard_{guard}_"),
        "tasks.max": "1",
        "poll.interval.ms": "50",
        "commit.guard": guard,
    });
    for (key, value) in connection {
        config[*key] = Json::from(*value);
    }
    json!({"name": format!("guard-{guard}"), "config": config})
}

/// The rows that the applications have committed so far.
#[derive(Debug, Default)]
pub struct Committed {
    rows: AtomicU64,
    late: AtomicU64,
    /// The latest timestamp among them.
    newest: AtomicI64,
}

impl Committed {
    /// The number of rows.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// The number of rows that were committed when a row with a later timestamp had been.
    pub fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }
}

/// The table. It stays until [`Self::remove`].
pub struct LateTable {
    source: SourceSpec,
    name: String,
    /// A connection as rowtide reads.
    reader: Box<dyn SourceConnection>,
    committed: Arc<Committed>,
}

impl LateTable {
    /// Reaches the server; nothing is made yet.
    ///
    /// # Errors
    /// `Config` if it is no primary of PostgreSQL, those of the connection.
    pub async fn connect(source: &SourceSpec, name: &str) -> Result<Self> {
        if source.url.dialect != Postgres.name() {
            return Err(Error::config("rows that commit late are shown on PostgreSQL")
                .with("server", &source.url)
                .advise("give the URL of a PostgreSQL server: postgres://user:password@host:5432/database"));
        }
        let reader = Postgres.connect(source).await?;
        if reader.is_replica() {
            return Err(no_guard(
                "a standby does not show the transactions of its primary",
                "give the URL of the primary",
            ));
        }
        Ok(Self { source: source.clone(), name: name.to_owned(), reader, committed: Arc::default() })
    }

    /// Product and version of the server.
    pub fn server(&self) -> &str {
        self.reader.server()
    }

    /// The rows that the applications have committed.
    pub fn committed(&self) -> &Committed {
        &self.committed
    }

    /// Makes the table, and makes sure that the guard can work on it.
    ///
    /// # Errors
    /// `Privilege` if the role may not, `Config` if the guard cannot; then there is no table.
    pub async fn create(&mut self) -> Result<()> {
        let name = &self.name;
        let sql = format!(
            "create table {name} (id bigint generated always as identity primary key,
               ts timestamptz not null default now(), amount integer not null);
             create index on {name} (ts, id);
             comment on table {name} is 'made by rowtide quickstart --late-commits, which drops it at its end';
             select n.nspname::text from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
             where c.oid = '{name}'::regclass"
        );
        let mut connection = postgres::application(&self.source).await?;
        let rows = ask(&mut connection, sql).await?;
        let schema = text(&rows, 0)?;
        let judged = self.check_support(schema).await;
        if judged.is_err() {
            self.remove().await?;
        }
        judged
    }

    async fn check_support(&mut self, schema: String) -> Result<()> {
        let id = TableId { catalog: None, schema: Some(schema), name: self.name.clone() };
        match self.reader.late_support(&Relation::Table(id), None).await?.views {
            Ability::Yes { .. } => Ok(()),
            Ability::No { why, raise } => Err(no_guard(&why, &raise)),
        }
    }

    /// An application with a session of its own.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn application(&self) -> Result<Application> {
        let connection = postgres::application(&self.source).await?;
        Ok(Application {
            connection,
            table: self.name.clone(),
            committed: Arc::clone(&self.committed),
            began: 0,
            inserted: 0,
        })
    }

    /// The ids in the table.
    ///
    /// # Errors
    /// `Query`, those of the connection.
    pub async fn ids(&self) -> Result<BTreeSet<i64>> {
        let mut connection = postgres::application(&self.source).await?;
        let rows = ask(&mut connection, format!("select id::text from {}", self.name)).await?;
        (0..rows.len()).map(|row| number(&rows, row)).collect()
    }

    /// Drops the table.
    ///
    /// # Errors
    /// Why it is still there, and what to do about it.
    pub async fn remove(&self) -> Result<()> {
        let dropping = async {
            let mut connection = postgres::application(&self.source).await?;
            ask(&mut connection, format!("drop table {}", self.name)).await?;
            // Nothing depends on how the session ends.
            let _ = connection.close().await;
            Ok(())
        };
        let late = || Err(Error::new(ErrorKind::Query, "something holds it"));
        let outcome: Result<()> = tokio::time::timeout(PATIENCE, dropping).await.unwrap_or_else(|_| late());
        outcome.map_err(|error| {
            Error::new(error.kind(), "the table of the quick start could not be dropped")
                .with("table", &self.name)
                .advise(format!("run: drop table {}", self.name))
                .caused_by(error)
        })
    }
}

/// An application that writes to the table.
pub struct Application {
    connection: PgConnection,
    table: String,
    committed: Arc<Committed>,
    /// The begin of the open transaction, by the server's clock: the timestamp of its rows.
    began: i64,
    /// The number of rows it has written.
    inserted: u64,
}

impl Application {
    /// Begins a transaction, and with it takes the timestamp of its rows.
    ///
    /// # Errors
    /// `Query`, `Unreachable`.
    pub async fn begin(&mut self) -> Result<()> {
        let rows = self.run("begin; select (extract(epoch from now()) * 1000000)::bigint::text").await?;
        (self.began, self.inserted) = (number(&rows, 0)?, 0);
        Ok(())
    }

    /// Inserts a row, perhaps under a savepoint, which gives it a transaction id of another kind: its id.
    ///
    /// # Errors
    /// `Query`, `Unreachable`.
    pub async fn insert(&mut self, in_savepoint: bool) -> Result<i64> {
        let amount = fastrand::u16(1..1_000);
        let mut sql = format!("insert into {} (amount) values ({amount}) returning id::text", self.table);
        if in_savepoint {
            sql = format!("savepoint s; {sql}; release s");
        }
        let rows = self.run(&sql).await?;
        self.inserted += 1;
        number(&rows, 0)
    }

    /// Commits.
    ///
    /// # Errors
    /// `Query`, `Unreachable`.
    pub async fn commit(&mut self) -> Result<()> {
        let committed = Arc::clone(&self.committed);
        let is_late = committed.newest.load(Ordering::SeqCst) > self.began;
        self.run("commit").await?;
        committed.newest.fetch_max(self.began, Ordering::SeqCst);
        committed.rows.fetch_add(self.inserted, Ordering::Relaxed);
        if is_late {
            committed.late.fetch_add(self.inserted, Ordering::Relaxed);
        }
        Ok(())
    }

    /// One short transaction after the other, a long one now and then, until a time has come.
    ///
    /// # Errors
    /// `Query`, `Unreachable`.
    pub async fn work(mut self, until: Instant) -> Result<()> {
        while Instant::now() < until {
            self.begin().await?;
            for _ in 0..fastrand::u8(1..4) {
                self.insert(fastrand::u8(..6) == 0).await?;
                hold(0..60).await;
            }
            if fastrand::u8(..10) == 0 {
                hold(300..1_500).await;
            }
            if fastrand::u8(..10) == 0 {
                self.run("rollback").await?;
            } else {
                self.commit().await?;
            }
        }
        Ok(())
    }

    async fn run(&mut self, sql: &str) -> Result<Vec<PgRow>> {
        ask(&mut self.connection, sql.to_owned()).await
    }
}

/// A pause of an application between two statements.
async fn hold(millis: Range<u64>) {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(millis))).await;
}

/// Runs statements; all rows they answer.
async fn ask(connection: &mut PgConnection, sql: String) -> Result<Vec<PgRow>> {
    sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await.map_err(|error| {
        let sqlx::Error::Database(refused) = error else {
            return Error::new(ErrorKind::Unreachable, "the connection to the database was lost").caused_by(error);
        };
        let error = match refused.code().as_deref() {
            Some("42501" | "3F000") => Error::new(ErrorKind::Privilege, "the role may not create a table")
                .advise("grant create on schema NAME to the role; currentSchema=NAME in the URL chooses the schema"),
            _ => Error::new(ErrorKind::Query, "the server refused a statement of the quick start"),
        };
        error.caused_by(refused.message().to_owned())
    })
}

fn text(rows: &[PgRow], row: usize) -> Result<String> {
    let value = rows.get(row).and_then(|row| row.try_get(0).ok());
    value.ok_or_else(|| Error::internal("the server answered in another form than expected"))
}

fn number(rows: &[PgRow], row: usize) -> Result<i64> {
    text(rows, row)?.parse().map_err(|_| Error::internal("the server answered with something that is no number"))
}

fn no_guard(why: &str, raise: &str) -> Error {
    let error = Error::config(format!("the guard is not possible here: {why}"));
    if raise.is_empty() { error } else { error.advise(raise) }
}
