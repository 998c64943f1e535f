//! A database of a test's own, dropped with the test.

use std::sync::OnceLock;

use sqlx::mysql::MySqlRow;
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, PgConnection, Row, SqliteConnection};
use tokio::runtime::Runtime;

use super::{Stack, unique};

/// The runtime of blocking test helpers.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("a runtime"))
}

/// A database as load and oracle ask it, of whichever kind.
pub trait Source {
    /// Its server.
    fn server(&self) -> Server;

    /// The name of one of its tables in offsets and the status.
    fn full_name(&self, table: &str) -> String;

    /// Id, microseconds since the epoch and text of each row of a table like that of W1, in an order.
    fn rows(&self, table: &str, order: &str) -> Vec<(i64, i64, String)>;
}

/// Takes `seq|micros|item` apart.
fn row(line: &str) -> (i64, i64, String) {
    let parts: Vec<&str> = line.splitn(3, '|').collect();
    (parts[0].parse().expect("seq"), parts[1].parse().expect("ts"), parts[2].to_owned())
}

/// The URL of a database.
#[derive(Clone)]
pub enum Server {
    Postgres(String),
    MySql(String),
    Sqlite(String),
}

impl Server {
    pub async fn connect(&self) -> sqlx::Result<Session> {
        Ok(match self {
            Self::Postgres(url) => Session::Postgres(PgConnection::connect(url).await?),
            Self::MySql(url) => Session::MySql(MySqlConnection::connect(url).await?),
            Self::Sqlite(url) => Session::Sqlite(SqliteConnection::connect(url).await?),
        })
    }

    /// Runs statements in a session of their own.
    pub fn run(&self, sql: &str) {
        let (server, sql) = (self.clone(), sql.to_owned());
        block(async move {
            let mut session = server.connect().await.expect("connect");
            session.run(&sql).await.expect("run");
            session.close().await.expect("close");
        });
    }

    /// The first two columns of what a server of the MySQL family shows.
    pub fn pairs(&self, sql: &str) -> Vec<(String, String)> {
        let (server, sql) = (self.clone(), sqlx::raw_sql(AssertSqlSafe(sql.to_owned())));
        block(async move {
            let Session::MySql(mut connection) = server.connect().await.expect("connect") else {
                panic!("another kind")
            };
            let rows = sql.fetch_all(&mut connection).await.expect("query");
            let text = |row: &MySqlRow, index: usize| row.get_unchecked::<String, _>(index);
            rows.iter().map(|row| (text(row, 0), text(row, 1))).collect()
        })
    }

    /// Runs a query of one text column.
    pub fn texts(&self, sql: &str) -> Vec<String> {
        let (server, sql) = (self.clone(), AssertSqlSafe(sql.to_owned()));
        block(async move {
            match server.connect().await.expect("connect") {
                Session::Postgres(mut connection) => sqlx::query_scalar(sql).fetch_all(&mut connection).await,
                Session::MySql(mut connection) => sqlx::query_scalar(sql).fetch_all(&mut connection).await,
                Session::Sqlite(mut connection) => sqlx::query_scalar(sql).fetch_all(&mut connection).await,
            }
            .expect("query")
        })
    }
}

/// A session that writes.
pub enum Session {
    Postgres(PgConnection),
    MySql(MySqlConnection),
    Sqlite(SqliteConnection),
}

impl Session {
    /// Runs statements.
    pub async fn run(&mut self, sql: &str) -> sqlx::Result<()> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self {
            Self::Postgres(connection) => connection.execute(sql).await.map(drop),
            Self::MySql(connection) => connection.execute(sql).await.map(drop),
            Self::Sqlite(connection) => connection.execute(sql).await.map(drop),
        }
    }

    async fn close(self) -> sqlx::Result<()> {
        match self {
            Self::Postgres(connection) => connection.close().await,
            Self::MySql(connection) => connection.close().await,
            Self::Sqlite(connection) => connection.close().await,
        }
    }
}

/// A PostgreSQL database.
pub struct Postgres {
    server: String,
    pub name: String,
}

impl Postgres {
    pub fn new() -> Self {
        let database = Self { server: Stack::get().postgres, name: unique("rt") };
        run_on_postgres(&database.server, &format!("create database {}", database.name));
        database
    }

    /// One of the encoding SQL_ASCII, which takes any bytes for text.
    pub fn of_any_bytes() -> Self {
        Self::of_encoding("SQL_ASCII")
    }

    pub fn of_encoding(encoding: &str) -> Self {
        let database = Self { server: Stack::get().postgres, name: unique("rt") };
        let how = format!("encoding '{encoding}' template template0 lc_collate 'C' lc_ctype 'C'");
        run_on_postgres(&database.server, &format!("create database {} {how}", database.name));
        database
    }

    /// The W1 table, exactly as `migrations/postgres` makes it for users.
    pub fn with_test_table() -> Self {
        let database = Self::new();
        database.run(include_str!("../../../migrations/postgres/0001_test_table.sql"));
        database
    }

    pub fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').expect("a URL with a database");
        format!("{server}/{}", self.name)
    }

    /// `jdbc:postgresql://host:port/database`.
    pub fn jdbc_url(&self) -> String {
        let url = self.url();
        let (_, address) = url.rsplit_once('@').expect("a URL with a user");
        format!("jdbc:postgresql://{address}")
    }

    /// A database of the same name takes its place; `None` for an empty one.
    pub fn replaced_by(&self, other: Option<&Postgres>) {
        let (name, gone) = (&self.name, unique("gone"));
        let on_server = |sql: &str| run_on_postgres(&self.server, sql);
        let Some(other) = other else {
            on_server(&format!("drop database {name} with (force)"));
            return on_server(&format!("create database {name}"));
        };
        // No moment without a database of that name.
        on_server(&format!("alter database {name} allow_connections false"));
        on_server(&format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"));
        on_server(&format!(
            "begin; alter database {name} rename to {gone}; alter database {} rename to {name}; commit",
            other.name
        ));
        on_server(&format!("drop database {gone}"));
    }

    /// Runs statements, each or all at once as given.
    pub fn run(&self, sql: &str) {
        run_on_postgres(&self.url(), sql);
    }

    /// Runs a query of one text column.
    pub fn texts(&self, sql: &str) -> Vec<String> {
        self.server().texts(sql)
    }

    /// One number.
    pub fn count(&self, table: &str) -> usize {
        self.texts(&format!("select count(*)::text from {table}"))[0].parse().expect("a number")
    }
}

impl Source for Postgres {
    fn server(&self) -> Server {
        Server::Postgres(self.url())
    }

    fn full_name(&self, table: &str) -> String {
        format!("public.{table}")
    }

    fn rows(&self, table: &str, order: &str) -> Vec<(i64, i64, String)> {
        let lines = self.texts(&format!(
            "select seq || '|' || (extract(epoch from ts) * 1000000)::bigint || '|' || coalesce(item, '') from {table} order by {order}"
        ));
        lines.iter().map(|line| row(line)).collect()
    }
}

/// A session that stays open, for locks and transactions that do not end by themselves.
pub struct Held(Option<Session>);

impl Held {
    pub fn new(database: &impl Source) -> Self {
        Self::on(database.server())
    }

    pub fn on(server: Server) -> Self {
        Self(Some(block(async move { server.connect().await.expect("connect") })))
    }

    pub fn run(&mut self, sql: &str) {
        let (mut session, sql) = (self.0.take().expect("a session"), sql.to_owned());
        self.0 = Some(block(async move {
            session.run(&sql).await.expect("run");
            session
        }));
    }

    /// True if the server takes a statement.
    pub fn tries(&mut self, sql: &str) -> bool {
        let (mut session, sql) = (self.0.take().expect("a session"), sql.to_owned());
        let (session, taken) = block(async move {
            let taken = session.run(&sql).await.is_ok();
            (session, taken)
        });
        self.0 = Some(session);
        taken
    }
}

/// A login role of a test's own. Declared before the database, so that it is dropped after it.
pub struct Role(pub String);

impl Role {
    pub fn new() -> Self {
        let role = Self(unique("role"));
        run_on_postgres(&Stack::get().postgres, &format!("create role {} login", role.0));
        role
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        run_on_postgres(&Stack::get().postgres, &format!("drop role {}", self.0));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let _ = std::thread::spawn(move || {
            runtime().block_on(async {
                if let Ok(mut connection) = PgConnection::connect(&server).await {
                    let _ =
                        connection.execute(AssertSqlSafe(format!("drop database if exists {name} with (force)"))).await;
                }
            });
        })
        .join();
    }
}

/// Runs statements on a PostgreSQL database.
pub fn run_on_postgres(url: &str, sql: &str) {
    Server::Postgres(url.to_owned()).run(sql);
}

/// Runs statements on a server of the MySQL family.
pub fn run_on_mysql(url: &str, sql: &str) {
    Server::MySql(url.to_owned()).run(sql);
}

/// Runs statements on a SQLite file, which is made if it is missing.
pub fn run_on_sqlite(path: &std::path::Path, sql: &str) {
    sqlite(path).run(sql);
}

fn sqlite(path: &std::path::Path) -> Server {
    Server::Sqlite(format!("sqlite://{}?mode=rwc", path.display()))
}

/// Runs a future to its end, also from within another runtime's thread.
pub fn block<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    std::thread::spawn(move || runtime().block_on(future)).join().expect("the helper thread")
}

/// A database on MySQL, MariaDB or TiDB.
pub struct MySqlFamily {
    server: String,
    scheme: &'static str,
    pub name: String,
}

impl MySqlFamily {
    /// `mysql`, `mariadb` or `tidb`.
    pub fn new(kind: &str) -> Self {
        let server = super::address(&format!("ROWTIDE_TEST_{}_URL", kind.to_uppercase()));
        let name = unique("rt");
        run_on_mysql(&server, &format!("create database {name}"));
        Self { server, name, scheme: if kind == "mariadb" { "mariadb" } else { "mysql" } }
    }

    fn url(&self) -> String {
        format!("{}/{}", self.server.trim_end_matches('/'), self.name)
    }

    /// `jdbc:mysql://host:port/database`; TiDB's users write it so, too.
    pub fn jdbc_url(&self) -> String {
        let url = self.url();
        let (_, address) = url.rsplit_once('@').expect("a URL with a user");
        format!("jdbc:{}://{address}", self.scheme)
    }

    /// Runs statements.
    pub fn run(&self, sql: &str) {
        run_on_mysql(&self.url(), sql);
    }

    /// Runs a query of one text column.
    pub fn texts(&self, sql: &str) -> Vec<String> {
        self.server().texts(sql)
    }
}

impl Source for MySqlFamily {
    fn server(&self) -> Server {
        Server::MySql(self.url())
    }

    fn full_name(&self, table: &str) -> String {
        format!("{}.{table}", self.name)
    }

    fn rows(&self, table: &str, order: &str) -> Vec<(i64, i64, String)> {
        let sql = format!(
            "select concat(seq, '|', timestampdiff(microsecond, '1970-01-01', ts), '|', coalesce(item, '')) from {table} order by {order}"
        );
        self.server().texts(&sql).iter().map(|line| row(line)).collect()
    }
}

impl Drop for MySqlFamily {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let _ = std::thread::spawn(move || run_on_mysql(&server, &format!("drop database if exists {name}"))).join();
    }
}

/// A user of one server of the family, who may do nothing until he is granted something.
pub struct MySqlUser {
    server: String,
    pub name: String,
}

impl MySqlUser {
    /// On `mysql`, `mariadb` or `tidb`.
    pub fn new(kind: &str) -> Self {
        let server = super::address(&format!("ROWTIDE_TEST_{}_URL", kind.to_uppercase()));
        let user = Self { server, name: unique("user") };
        run_on_mysql(&user.server, &format!("create user {}", user.name));
        user
    }
}

impl Drop for MySqlUser {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let _ = std::thread::spawn(move || run_on_mysql(&server, &format!("drop user {name}"))).join();
    }
}

impl Source for Sqlite {
    fn server(&self) -> Server {
        sqlite(&self.path())
    }

    fn full_name(&self, table: &str) -> String {
        table.to_owned()
    }

    fn rows(&self, table: &str, order: &str) -> Vec<(i64, i64, String)> {
        let sql = format!(
            "select seq || '|' || (unixepoch(ts) * 1000000 + cast(substr(ts, 21, 3) as integer) * 1000) || '|' || coalesce(item, '')
             from {table} order by {order}"
        );
        sqlite(&self.path()).texts(&sql).iter().map(|line| row(line)).collect()
    }
}

/// A SQLite file.
pub struct Sqlite {
    folder: tempfile::TempDir,
}

impl Sqlite {
    pub fn new() -> Self {
        let database = Self { folder: tempfile::tempdir().expect("a folder") };
        database.run("pragma journal_mode = wal");
        database
    }

    pub fn with_test_table() -> Self {
        let database = Self::new();
        database.run(include_str!("../../../migrations/sqlite/0001_test_table.sql"));
        database
    }

    pub fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("test.db")
    }

    pub fn jdbc_url(&self) -> String {
        format!("jdbc:sqlite:{}", self.path().display())
    }

    pub fn server(&self) -> Server {
        sqlite(&self.path())
    }

    pub fn run(&self, sql: &str) {
        run_on_sqlite(&self.path(), sql);
    }
}
