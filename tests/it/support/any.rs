//! A database of any kind, for what holds on all of them.

use super::config::Connector;
use super::db::{MySqlFamily, Postgres, Server, Source, Sqlite};

/// A database of any kind.
pub enum Any {
    Postgres(Postgres),
    MySql(&'static str, MySqlFamily),
    Sqlite(Sqlite),
}

impl Any {
    pub fn all() -> Vec<Self> {
        let family = ["mysql", "mariadb", "tidb"].map(|kind| Self::MySql(kind, MySqlFamily::new(kind)));
        [Self::Postgres(Postgres::new()), Self::Sqlite(Sqlite::new())].into_iter().chain(family).collect()
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::MySql(kind, _) => kind,
            Self::Sqlite(_) => "sqlite",
        }
    }

    pub fn run(&self, sql: &str) {
        match self {
            Self::Postgres(database) => database.run(sql),
            Self::MySql(_, database) => database.run(sql),
            Self::Sqlite(database) => database.run(sql),
        }
    }

    pub fn server(&self) -> Server {
        match self {
            Self::Postgres(database) => database.server(),
            Self::MySql(_, database) => database.server(),
            Self::Sqlite(database) => database.server(),
        }
    }

    pub fn connector(&self) -> Connector {
        let url = match self {
            Self::Postgres(database) => database.jdbc_url(),
            Self::MySql(_, database) => database.jdbc_url(),
            Self::Sqlite(database) => database.jdbc_url(),
        };
        Connector::new(&url)
    }

    /// A table polled by the column `id`.
    pub fn by_id(&self, table: &str, rows: usize) -> Connector {
        self.connector()
            .set("mode", "incrementing")
            .set("incrementing.column.name", "id")
            .set("table.whitelist", table)
            .set("batch.max.rows", &rows.to_string())
    }

    /// The table `t` polled by its columns `id` and `ts`, two rows a page.
    pub fn in_mode(&self, mode: &str) -> Connector {
        self.by_id("t", 2).set("mode", mode).set("timestamp.column.name", "ts").alone()
    }

    pub fn full_name(&self, table: &str) -> String {
        match self {
            Self::Postgres(database) => database.full_name(table),
            Self::MySql(_, database) => database.full_name(table),
            Self::Sqlite(_) => table.to_owned(),
        }
    }
}
