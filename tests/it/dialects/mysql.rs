//! MySQL, MariaDB and TiDB: a place is a database.

use std::collections::BTreeMap;
use std::path::Path;

use rowtide::config::spec::SourceUrl;
use rowtide::model::{CursorKind, TableId};

use super::place::{Database, Server, Tls};
use super::postgres::{parts, with_password};
use crate::support::address;
use crate::support::db::run_on_mysql;

/// A server of the family.
#[derive(PartialEq)]
pub(super) struct Family {
    dialect: &'static str,
    /// The middle of the names of its variables.
    variables: &'static str,
}

pub(super) const MYSQL: Family = Family { dialect: "mysql", variables: "MYSQL" };
pub(super) const MARIADB: Family = Family { dialect: "mariadb", variables: "MARIADB" };
pub(super) const TIDB: Family = Family { dialect: "tidb", variables: "TIDB" };

impl Family {
    /// A variable of its own: `ROWTIDE_TEST_MYSQL_TLS` is `TLS`.
    pub fn address(&self, what: &str) -> String {
        address(&format!("ROWTIDE_TEST_{}_{what}", self.variables))
    }
}

impl Database for Family {
    fn dialect(&self) -> &'static str {
        self.dialect
    }

    fn make(&self, name: &str, _: &Path) -> (SourceUrl, Option<String>) {
        run_on_mysql(&self.address("URL"), &format!("create database {name} character set utf8mb4"));
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

    fn literal(&self, text: &str) -> String {
        format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    }

    fn longest_text(&self) -> usize {
        if *self == MARIADB {
            // The least that a server with such values must allow.
            run_on_mysql(&self.address("URL"), "set global max_allowed_packet = 67108864");
        }
        20 * 1024 * 1024
    }

    fn has_identity(&self) -> bool {
        if *self == TIDB {
            // TiDB notes the number of its cluster from version 9 on; this one is told it.
            let sql = "insert ignore into mysql.tidb values ('cluster_id', '7301', 'TiDB Cluster ID.')";
            run_on_mysql(&self.address("URL"), sql);
        }
        true
    }

    fn passwords_want_tls(&self) -> bool {
        *self == TIDB
    }

    fn strange_server(&self) -> (String, u16) {
        parts(&super::postgres::url()).1
    }

    fn server(&self) -> Option<&dyn Server> {
        Some(self)
    }
}

impl Server for Family {
    fn create_user(&self, place: &str, user: &str) {
        let sql = format!("create user {user}; grant show view on {place}.* to {user}");
        run_on_mysql(&self.address("URL"), &sql);
    }

    fn grant(&self, place: &str, table: &str, user: &str, may: bool) {
        let sql = if may {
            format!("grant select on {place}.{table} to {user}")
        } else {
            format!("revoke select on {place}.{table} from {user}")
        };
        run_on_mysql(&self.address("URL"), &sql);
    }

    fn drop_user(&self, user: &str) {
        run_on_mysql(&self.address("URL"), &format!("drop user {user}"));
    }

    fn user_with_password(&self) -> (String, String) {
        if *self != MARIADB {
            return with_password(&self.address("PASSWORD_URL"));
        }
        let sql = "create user if not exists password_user identified by 'mariadb-secret';
                   grant all on *.* to password_user";
        run_on_mysql(&self.address("URL"), sql);
        ("password_user".to_owned(), "mariadb-secret".to_owned())
    }

    fn session_number(&self) -> (&'static str, CursorKind) {
        ("select connection_id()", if *self == MARIADB { CursorKind::Integer } else { CursorKind::Unsigned })
    }

    fn tls(&self) -> Tls {
        Tls {
            names: ["sslMode", "sslCa", "sslCert", "sslKey"],
            modes: ["DISABLED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"],
            password: "keyStorePassword",
            folder: self.address("TLS"),
        }
    }

    fn is_encrypted(&self) -> &'static str {
        if *self == TIDB {
            // It shows the cipher of the global status only.
            return "select 1";
        }
        "select count(*) from performance_schema.session_status
         where variable_name = 'Ssl_cipher' and variable_value <> ''"
    }

    fn kill(&self, session: i64) -> String {
        format!("kill {session}")
    }
}
