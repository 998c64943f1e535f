//! MySQL, MariaDB and TiDB: a place is a database.

use std::collections::BTreeMap;
use std::path::Path;

use rowtide::config::spec::SourceUrl;
use rowtide::model::TableId;

use super::place::Database;
use super::postgres::parts;
use crate::support::address;
use crate::support::db::run_on_mysql;

/// A server of the family.
#[derive(PartialEq)]
pub(super) struct Server {
    dialect: &'static str,
    /// The middle of the names of its variables.
    variables: &'static str,
}

pub(super) const MYSQL: Server = Server { dialect: "mysql", variables: "MYSQL" };
pub(super) const MARIADB: Server = Server { dialect: "mariadb", variables: "MARIADB" };
pub(super) const TIDB: Server = Server { dialect: "tidb", variables: "TIDB" };

impl Server {
    /// A variable of its own: `ROWTIDE_TEST_MYSQL_TLS` is `TLS`.
    pub fn address(&self, what: &str) -> String {
        address(&format!("ROWTIDE_TEST_{}_{what}", self.variables))
    }
}

impl Database for Server {
    fn dialect(&self) -> &'static str {
        self.dialect
    }

    fn make(&self, name: &str, _: &Path) -> (SourceUrl, Option<String>) {
        run_on_mysql(&self.address("URL"), &format!("create database {name}"));
        let (user, host, _) = parts(&self.address("URL"));
        let url = SourceUrl {
            dialect: self.dialect.to_owned(),
            hosts: vec![host],
            database: Some(name.to_owned()),
            parameters: BTreeMap::new(),
        };
        (url, Some(user))
    }

    fn run(&self, name: &str, _: &Path, sql: &str) {
        run_on_mysql(&format!("{}{name}", self.address("URL")), sql);
    }

    fn drop(&self, name: &str) {
        run_on_mysql(&self.address("URL"), &format!("drop database {name}"));
    }

    fn table(&self, name: &str, table: &str) -> TableId {
        TableId { catalog: Some(name.to_owned()), schema: None, name: table.to_owned() }
    }

    fn time(&self, digits: u8) -> String {
        format!("datetime({digits})")
    }

    fn auto_increment(&self) -> &'static str {
        "int auto_increment primary key"
    }

    fn widen(&self, table: &str, column: &str) -> Option<String> {
        Some(format!("alter table {table} modify column {column} bigint"))
    }

    fn knows_outer_joins(&self) -> bool {
        true
    }
}
