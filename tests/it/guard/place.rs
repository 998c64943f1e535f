//! A table that many write to, on any of the databases, and a user who may read it and has no other right.

use std::collections::BTreeMap;

use crate::support::config::Connector;
use crate::support::db::{Held, MySqlFamily, MySqlUser, Postgres, Role, Server, Source, Sqlite};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Postgres,
    MySql,
    MariaDb,
    TiDb,
    Sqlite,
}

impl Kind {
    /// The statement that makes the table. On SQLite the writers give ids and times themselves: one whose value the
    /// server gives, under its only lock, is never late.
    fn table(self) -> &'static str {
        match self {
            Self::Postgres => {
                "create sequence ids cache 50;
                 create table t (id bigint primary key default nextval('ids'), ts timestamptz not null default now(),
                   version bigint not null);
                 create index on t (ts, id)"
            }
            Self::MySql | Self::MariaDb | Self::TiDb => {
                "create table t (id bigint not null auto_increment primary key,
                   ts datetime(6) not null default current_timestamp(6) on update current_timestamp(6),
                   version bigint not null, key (ts, id))"
            }
            Self::Sqlite => {
                "create table t (id integer primary key not null, ts timestamp not null, version bigint not null);
                 create index t_ts_id on t (ts, id)"
            }
        }
    }

    /// The least that the best level needs.
    pub fn grants(self) -> &'static [&'static str] {
        match self {
            Self::Postgres | Self::TiDb => &["select on t"],
            Self::MySql => &[
                "select on t",
                "select on performance_schema.events_transactions_current",
                "select on performance_schema.threads",
                // It shows prepared transactions.
                "xa_recover_admin on *.*",
            ],
            Self::MariaDb => &["select on t", "process on *.*"],
            Self::Sqlite => &[],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::MySql => "mysql",
            Self::MariaDb => "mariadb",
            Self::TiDb => "tidb",
            Self::Sqlite => "sqlite",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Timestamp,
    TimestampIncrementing,
    Incrementing,
}

impl Mode {
    pub fn is_timed(self) -> bool {
        self != Self::Incrementing
    }

    fn name(self) -> &'static str {
        match self {
            Self::Timestamp => "timestamp",
            Self::TimestampIncrementing => "timestamp+incrementing",
            Self::Incrementing => "incrementing",
        }
    }
}

/// The role of a PostgreSQL server is dropped after its database: see the order of [`Place`]'s fields.
enum Reader {
    Postgres(Role),
    MySql(MySqlUser),
    Sqlite,
}

enum Database {
    Postgres(Postgres),
    MySql(MySqlFamily),
    Sqlite(Sqlite),
}

pub struct Place {
    pub kind: Kind,
    database: Database,
    reader: Reader,
}

impl Place {
    /// The table, and a user with the least that the best level needs.
    pub fn new(kind: Kind) -> Self {
        let place = Self::bare(kind);
        place.grant(kind.grants());
        place
    }

    /// The same, and the user has no right at all.
    pub fn bare(kind: Kind) -> Self {
        let (reader, database) = match kind {
            Kind::Postgres => (Reader::Postgres(Role::new()), Database::Postgres(Postgres::new())),
            Kind::Sqlite => (Reader::Sqlite, Database::Sqlite(Sqlite::new())),
            _ => (Reader::MySql(MySqlUser::new(kind.name())), Database::MySql(MySqlFamily::new(kind.name()))),
        };
        let place = Self { kind, database, reader };
        place.run(kind.table());
        place
    }

    pub fn grant(&self, grants: &[&str]) {
        for grant in grants {
            self.run(&format!("grant {grant} to {}", self.user()));
        }
    }

    pub fn user(&self) -> &str {
        match &self.reader {
            Reader::Postgres(role) => &role.0,
            Reader::MySql(user) => &user.name,
            Reader::Sqlite => "",
        }
    }

    pub fn server(&self) -> Server {
        match &self.database {
            Database::Postgres(database) => database.server(),
            Database::MySql(database) => database.server(),
            Database::Sqlite(database) => database.server(),
        }
    }

    /// The name of the database, which no other has.
    pub fn name(&self) -> &str {
        match &self.database {
            Database::Postgres(database) => &database.name,
            Database::MySql(database) => &database.name,
            Database::Sqlite(_) => "",
        }
    }

    /// The name of the table, or a view, in offsets and the status.
    pub fn full_name(&self, table: &str) -> String {
        match &self.database {
            Database::Postgres(database) => database.full_name(table),
            Database::MySql(database) => database.full_name(table),
            Database::Sqlite(_) => table.to_owned(),
        }
    }

    pub fn jdbc_url(&self) -> String {
        match &self.database {
            Database::Postgres(database) => database.jdbc_url(),
            Database::MySql(database) => database.jdbc_url(),
            Database::Sqlite(database) => database.jdbc_url(),
        }
    }

    pub fn run(&self, sql: &str) {
        self.server().run(sql);
    }

    pub fn session(&self) -> Held {
        Held::on(self.server())
    }

    /// The last version of each row, by id.
    pub fn rows(&self) -> BTreeMap<i64, i64> {
        let lines = self.server().texts(match &self.database {
            Database::MySql(_) => "select concat(id, ' ', version) from t",
            _ => "select id || ' ' || version from t",
        });
        let numbers = |line: &String| {
            let (id, version) = line.split_once(' ').expect("two numbers");
            (id.parse().expect("an id"), version.parse().expect("a version"))
        };
        lines.iter().map(numbers).collect()
    }

    /// Rows that are there before anybody reads.
    pub fn seed(&self, rows: i64) {
        let of_sqlite = self.kind == Kind::Sqlite;
        let columns = if of_sqlite { "(id, ts, version)" } else { "(version)" };
        let row =
            |n: i64| if of_sqlite { format!("({n}, '2026-01-01 00:00:00.000', -{n})") } else { format!("(-{n})") };
        let values: Vec<_> = (1..=rows).map(row).collect();
        self.run(&format!("insert into t {columns} values {}", values.join(", ")));
    }

    /// A connector of the user.
    pub fn connector(&self, mode: Mode) -> Connector {
        let connector = Connector::new(&self.jdbc_url())
            .set("mode", mode.name())
            .set("table.whitelist", "t")
            .set("poll.interval.ms", "20")
            .alone();
        let connector = if mode.is_timed() { connector.set("timestamp.column.name", "ts") } else { connector };
        let connector =
            if mode == Mode::Timestamp { connector } else { connector.set("incrementing.column.name", "id") };
        if self.kind == Kind::Sqlite { connector } else { connector.set("connection.user", self.user()) }
    }
}
