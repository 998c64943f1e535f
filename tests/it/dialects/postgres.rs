//! PostgreSQL: a place is a schema.

use std::collections::BTreeMap;
use std::path::Path;

use rowtide::config::spec::SourceUrl;
use rowtide::model::{CursorKind, TableId};

use super::place::{Database, Server, Tls};
use crate::support::address;
use crate::support::db::run_on_postgres;

pub(super) struct Postgres;

pub(super) fn url() -> String {
    address("ROWTIDE_TEST_POSTGRES_URL")
}

/// `scheme://user@host:port/database` in its parts.
pub(super) fn parts(url: &str) -> (String, (String, u16), String) {
    let (_, rest) = url.split_once("://").unwrap();
    let (user, rest) = rest.split_once('@').unwrap();
    let (address, database) = rest.split_once('/').unwrap();
    let (host, port) = address.split_once(':').unwrap();
    (user.to_owned(), (host.to_owned(), port.parse().unwrap()), database.to_owned())
}

/// User and password of a URL.
pub(super) fn with_password(url: &str) -> (String, String) {
    let (user, ..) = parts(url);
    let (user, password) = user.split_once(':').unwrap();
    (user.to_owned(), password.to_owned())
}

impl Database for Postgres {
    fn has_identity(&self) -> bool {
        true
    }

    fn dialect(&self) -> &'static str {
        "postgresql"
    }

    fn make(&self, name: &str, _: &Path) -> (SourceUrl, Option<String>) {
        run_on_postgres(&url(), &format!("create schema {name}"));
        let (user, host, database) = parts(&url());
        let url = SourceUrl {
            dialect: self.dialect().to_owned(),
            hosts: vec![host],
            database: Some(database),
            parameters: BTreeMap::new(),
        };
        (url, Some(user))
    }

    fn run(&self, name: &str, _: &Path, sql: &str) {
        run_on_postgres(&url(), &format!("set search_path = {name}; {sql}"));
    }

    fn drop(&self, name: &str) {
        run_on_postgres(&url(), &format!("drop schema {name} cascade"));
    }

    fn table(&self, name: &str, table: &str) -> TableId {
        TableId { catalog: None, schema: Some(name.to_owned()), name: table.to_owned() }
    }

    fn time(&self, digits: u8) -> String {
        format!("timestamp({digits})")
    }

    fn auto_increment(&self) -> &'static str {
        "serial primary key"
    }

    fn widen(&self, table: &str, column: &str) -> Option<String> {
        Some(format!("alter table {table} alter column {column} type bigint"))
    }

    fn analyze(&self, table: &str) -> String {
        format!("analyze {table}")
    }

    fn strange_server(&self) -> (String, u16) {
        parts(&address("ROWTIDE_TEST_MYSQL_URL")).1
    }

    fn server(&self) -> Option<&dyn Server> {
        Some(self)
    }
}

impl Server for Postgres {
    fn create_user(&self, place: &str, user: &str) {
        run_on_postgres(&url(), &format!("create role {user} login; grant usage on schema {place} to {user}"));
    }

    fn grant(&self, place: &str, table: &str, user: &str, may: bool) {
        let sql = if may {
            format!("grant select on {place}.{table} to {user}")
        } else {
            format!("revoke select on {place}.{table} from {user}")
        };
        run_on_postgres(&url(), &sql);
    }

    fn drop_user(&self, user: &str) {
        run_on_postgres(&url(), &format!("drop owned by {user}; drop role {user}"));
    }

    fn user_with_password(&self) -> (String, String) {
        with_password(&address("ROWTIDE_TEST_POSTGRES_SCRAM_URL"))
    }

    fn session_number(&self) -> (&'static str, CursorKind) {
        ("select pg_backend_pid()", CursorKind::Integer)
    }

    fn tls(&self) -> Tls {
        Tls {
            names: ["sslmode", "sslrootcert", "sslcert", "sslkey"],
            modes: ["disable", "require", "verify-ca", "verify-full"],
            password: "sslpassword",
            folder: address("ROWTIDE_TEST_POSTGRES_TLS"),
        }
    }

    fn is_encrypted(&self) -> &'static str {
        "select count(*)::int from pg_stat_ssl where pid = pg_backend_pid() and ssl"
    }

    fn kill(&self, session: i64) -> String {
        format!("select pg_terminate_backend({session})")
    }
}
