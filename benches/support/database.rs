//! The databases that are measured: each is filled with rows of the W1 shape, drained as the floor, and named
//! to rowtide by its JDBC URL.

use std::time::{Duration, Instant, SystemTime};

use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, PgConnection, SqliteConnection};

use super::{Outcome, address};

/// The server behind a database.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Postgres,
    MySql,
    Sqlite,
}

/// The databases that can be measured: name, kind, variable with its address, migration.
const KNOWN: &[(&str, Kind, &str, &str)] = &[
    (
        "postgres",
        Kind::Postgres,
        "ROWTIDE_TEST_POSTGRES_URL",
        include_str!("../../migrations/postgres/0001_test_table.sql"),
    ),
    ("mysql", Kind::MySql, "ROWTIDE_TEST_MYSQL_URL", include_str!("../../migrations/mysql/0001_test_table.sql")),
    ("mariadb", Kind::MySql, "ROWTIDE_TEST_MARIADB_URL", include_str!("../../migrations/mariadb/0001_test_table.sql")),
    ("tidb", Kind::MySql, "ROWTIDE_TEST_TIDB_URL", include_str!("../../migrations/tidb/0001_test_table.sql")),
    ("sqlite", Kind::Sqlite, "", include_str!("../../migrations/sqlite/0001_test_table.sql")),
];

/// The age of the rows.
#[derive(Clone, Copy)]
pub(crate) enum Age {
    /// A thousand rows a second, from 2020 on.
    Years,
    /// All of the last five minutes: nearer than `commit.guard.window.ms` reaches.
    Minutes,
}

impl Age {
    /// The time before the first row, in seconds since the epoch, and how long after it a row is.
    fn seconds(self, rows: usize) -> Outcome<(f64, f64)> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64();
        Ok(match self {
            Self::Years => (1_577_836_800.0, 0.001),
            Self::Minutes => (now.floor() - 300.0, 290.0 / rows as f64),
        })
    }
}

/// A database of the bench's own, with its rows.
pub(crate) struct Database {
    pub(crate) name: &'static str,
    kind: Kind,
    /// Of the server, up to the database.
    server: String,
    own: String,
    migration: &'static str,
    folder: tempfile::TempDir,
}

const SELECT: &str = "select * from test_table order by ts, seq";

impl Database {
    /// Makes and fills one.
    pub(crate) async fn prepare(name: &str, own: &str, rows: usize, age: Age) -> Outcome<Self> {
        let known = KNOWN.iter().find(|(known, ..)| *known == name);
        let Some((name, kind, variable, migration)) = known else {
            let names: Vec<_> = KNOWN.iter().map(|(name, ..)| *name).collect();
            return Err(format!("no database {name}; there are {}", names.join(", ")).into());
        };
        let server = match kind {
            Kind::Sqlite => String::new(),
            _ => address(variable)?.rsplit_once('/').map(|(server, _)| server.to_owned()).unwrap_or_default(),
        };
        let database = Self { name, kind: *kind, server, own: own.to_owned(), migration, folder: tempfile::tempdir()? };
        let times = age.seconds(rows)?;
        match kind {
            Kind::Postgres => database.prepare_postgres(rows, times).await?,
            Kind::MySql => database.prepare_mysql(rows, times).await?,
            Kind::Sqlite => database.prepare_sqlite(rows, times).await?,
        }
        Ok(database)
    }

    fn url(&self, database: &str) -> String {
        match self.kind {
            Kind::Postgres => format!("{}/{database}", self.server),
            // The driver knows the family by one name.
            Kind::MySql => {
                let (_, rest) = self.server.split_once(':').unwrap_or_default();
                format!("mysql:{rest}/{database}")
            }
            Kind::Sqlite => format!("sqlite://{}?mode=rwc", self.file()),
        }
    }

    fn file(&self) -> String {
        self.folder.path().join("bench.db").display().to_string()
    }

    /// `connection.url`, without user and password.
    pub(crate) fn jdbc_url(&self) -> String {
        let address = self.server.rsplit_once('@').map_or("", |(_, address)| address);
        match (self.kind, self.name) {
            (Kind::Postgres, _) => format!("jdbc:postgresql://{address}/{}", self.own),
            (Kind::MySql, "mariadb") => format!("jdbc:mariadb://{address}/{}", self.own),
            (Kind::MySql, _) => format!("jdbc:mysql://{address}/{}", self.own),
            (Kind::Sqlite, _) => format!("jdbc:sqlite:{}", self.file()),
        }
    }

    async fn prepare_postgres(&self, rows: usize, (first, step): (f64, f64)) -> Outcome<()> {
        let mut server = PgConnection::connect(&self.url("postgres")).await?;
        server.execute(AssertSqlSafe(format!("create database {}", self.own))).await?;
        let mut database = PgConnection::connect(&self.url(&self.own)).await?;
        database.execute(sqlx::raw_sql(self.migration)).await?;
        let fill = format!(
            "insert into test_table (ts, item, price, category)
             select timestamp 'epoch' + ({first} + n * {step}::float8) * interval '1 second', 'item ' || n % 1000, n % 5000, 'category ' || n % 10
             from generate_series(1, {rows}) as n"
        );
        database.execute(AssertSqlSafe(fill)).await?;
        database.execute("vacuum analyze test_table").await?;
        Ok(())
    }

    async fn prepare_mysql(&self, rows: usize, (first, step): (f64, f64)) -> Outcome<()> {
        const CHUNK: usize = 1_000;
        let mut server = MySqlConnection::connect(&self.url("")).await?;
        server.execute(AssertSqlSafe(format!("create database {}", self.own))).await?;
        let mut database = MySqlConnection::connect(&self.url(&self.own)).await?;
        database.execute(sqlx::raw_sql(self.migration)).await?;
        // A list of values: every server of the family takes it at about the same speed.
        for chunk in (1..=rows).step_by(CHUNK) {
            let values: Vec<String> = (chunk..=rows.min(chunk + CHUNK - 1))
                .map(|n| {
                    let at = format!("from_unixtime({:.3})", first + n as f64 * step);
                    format!("({n}, {at}, 'item {}', {}, 'category {}')", n % 1_000, n % 5_000, n % 10)
                })
                .collect();
            let sql = format!("insert into test_table (seq, ts, item, price, category) values {}", values.join(", "));
            database.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
        }
        database.execute(sqlx::raw_sql("analyze table test_table")).await?;
        Ok(())
    }

    async fn prepare_sqlite(&self, rows: usize, (first, step): (f64, f64)) -> Outcome<()> {
        let mut database = SqliteConnection::connect(&self.url("")).await?;
        database.execute("pragma journal_mode = wal").await?;
        database.execute(sqlx::raw_sql(self.migration)).await?;
        let fill = format!(
            "insert into test_table (ts, item, price, category)
             select strftime('%Y-%m-%d %H:%M:%f', {first} + n * {step}, 'unixepoch'), 'item ' || n % 1000, n % 5000,
               'category ' || n % 10
             from (with recursive s(n) as (select 1 union all select n + 1 from s where n < {rows}) select n from s)"
        );
        database.execute(AssertSqlSafe(fill)).await?;
        database.execute("analyze").await?;
        Ok(())
    }

    /// The time in which sqlx drains the ordered SELECT and discards it.
    pub(crate) async fn drain_floor(&self, rows: usize) -> Outcome<Duration> {
        macro_rules! drain {
            ($connection:ty) => {{
                let mut database = <$connection>::connect(&self.url(&self.own)).await?;
                let started = Instant::now();
                let mut drained = 0;
                let mut stream = sqlx::query(SELECT).fetch(&mut database);
                while stream.try_next().await?.is_some() {
                    drained += 1;
                }
                assert_eq!(drained, rows);
                started.elapsed()
            }};
        }
        Ok(match self.kind {
            Kind::Postgres => drain!(PgConnection),
            Kind::MySql => drain!(MySqlConnection),
            Kind::Sqlite => drain!(SqliteConnection),
        })
    }

    /// A session that may write.
    pub(crate) async fn session(&self) -> Outcome<Session> {
        Ok(match self.kind {
            Kind::Postgres => Session::Postgres(PgConnection::connect(&self.url(&self.own)).await?),
            Kind::MySql => Session::MySql(MySqlConnection::connect(&self.url(&self.own)).await?),
            Kind::Sqlite => return Err("a file of SQLite has one writer at a time".into()),
        })
    }

    /// Drops it.
    pub(crate) async fn clean_up(self) -> Outcome<()> {
        match self.kind {
            Kind::Postgres => {
                let mut server = PgConnection::connect(&self.url("postgres")).await?;
                server.execute(AssertSqlSafe(format!("drop database {} with (force)", self.own))).await?;
            }
            Kind::MySql => {
                let mut server = MySqlConnection::connect(&self.url("")).await?;
                server.execute(AssertSqlSafe(format!("drop database {}", self.own))).await?;
            }
            Kind::Sqlite => {}
        }
        Ok(())
    }
}

/// An open session.
pub(crate) enum Session {
    Postgres(PgConnection),
    MySql(MySqlConnection),
}

impl Session {
    pub(crate) async fn run(&mut self, sql: &'static str) -> Outcome<()> {
        match self {
            Self::Postgres(session) => session.execute(sqlx::raw_sql(sql)).await.map(drop)?,
            Self::MySql(session) => session.execute(sqlx::raw_sql(sql)).await.map(drop)?,
        }
        Ok(())
    }
}
