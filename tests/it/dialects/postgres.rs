//! PostgreSQL: a place is a schema.

use std::collections::BTreeMap;
use std::path::Path;

use rowtide::config::spec::SourceUrl;
use rowtide::model::TableId;

use super::place::Database;
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

impl Database for Postgres {
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
}
