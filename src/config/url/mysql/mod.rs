//! MySQL, MariaDB and TiDB: the grammar of their URLs (`connector-config.md`, 12.1). Takes the URLs of
//! Connector/J, of MariaDB's driver and of native clients; gives the hosts in the order they are tried.
//! A list for replication is cut to its sources, because that is where the reference reads.

mod hosts;
mod parameters;
mod settle;

use super::{Address, Rules, decode, query_parameters};
use hosts::Style;
pub(super) use parameters::{meaning, names};
pub(super) use settle::settle;

const PORT: u16 = 3306;
const TIDB_PORT: u16 = 4000;

/// The driver whose URL it is: the drivers differ in escapes, in names, and in what `useSSL` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Driver {
    /// MySQL Connector/J.
    ConnectorJ,
    /// MariaDB Connector/J.
    MariaDb,
    /// `mysql://` and its like.
    Native,
}

/// The address after `jdbc:mysql:` or `jdbc:mariadb:`.
pub(super) fn jdbc(scheme: &str, rest: &str) -> Result<Address, String> {
    let (kind, rest) = rest
        .split_once("//")
        .ok_or_else(|| format!("needs `//` before the host: jdbc:{scheme}://host:port/database"))?;
    let sources_only = kind_of_list(scheme, kind)?;
    // MariaDB's driver answers to jdbc:mysql where it is told so, by a name that Connector/J does not know.
    let driver =
        if scheme == "mariadb" || rest.contains("permitMysqlScheme") { Driver::MariaDb } else { Driver::ConnectorJ };
    // Connector/J ignores a fragment; MariaDB's driver knows neither fragments nor escapes.
    let rest = if driver == Driver::ConnectorJ { rest.split_once('#').map_or(rest, |(rest, _)| rest) } else { rest };
    let style = Style { literal: driver == Driver::MariaDb, plus_is_space: true, default_port: PORT };
    let dialect = if driver == Driver::MariaDb { "mariadb" } else { "mysql" };
    let (authority, database, parameters) = split(rest);
    if driver == Driver::MariaDb && hosts::has_user(authority) {
        return Err("cannot hold a user before the host; use connection.user and connection.password".to_owned());
    }
    address((dialect, driver), (authority, database, parameters), &style, sources_only)
}

/// `//[user[:password]@][hosts][/database][?parameters]`, after `mysql:`, `mariadb:` or `tidb:`.
pub(super) fn native(dialect: &'static str, rest: &str) -> Result<Address, String> {
    let rest = rest.strip_prefix("//").ok_or_else(|| format!("needs `//`: {dialect}://host:port/database"))?;
    if rest.contains('#') {
        return Err("has a `#`, which would end it; in a user, password or parameter it is written %23".to_owned());
    }
    let default_port = if dialect == "tidb" { TIDB_PORT } else { PORT };
    let style = Style { literal: false, plus_is_space: false, default_port };
    address((dialect, Driver::Native), split(rest), &style, false)
}

/// True if only the sources of the list are read.
fn kind_of_list(scheme: &str, kind: &str) -> Result<bool, String> {
    match kind.to_lowercase().as_str() {
        "" | "loadbalance:" | "load-balance:" | "sequential:" | "failover:" => Ok(false),
        "replication:" => Ok(true),
        "aurora:" => Err(format!("cannot be of kind aurora; name the cluster's endpoint in jdbc:{scheme}://")),
        "aws:" => Err("is one of the AWS driver; write jdbc:mysql:// with the cluster's endpoint".to_owned()),
        _ => Err(format!(
            "has an unknown kind of host list; there are jdbc:{scheme}://, jdbc:{scheme}:loadbalance://, \
             jdbc:{scheme}:replication://, jdbc:{scheme}:sequential:// and jdbc:{scheme}:failover://"
        )),
    }
}

/// Authority, database and parameters. What is in parentheses may hold any character.
fn split(rest: &str) -> (&str, &str, &str) {
    let mut depth = 0_usize;
    let end = rest.find(|character| {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && matches!(character, '/' | '?')
    });
    let (authority, rest) = rest.split_at(end.unwrap_or(rest.len()));
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    (authority, path.strip_prefix('/').unwrap_or_default(), parameters)
}

fn address(
    (dialect, driver): (&'static str, Driver),
    (authority, database, parameters): (&str, &str, &str),
    style: &Style,
    sources_only: bool,
) -> Result<Address, String> {
    if driver != Driver::MariaDb && database.contains('@') {
        return Err("has an `@` behind the host; a `/` in user or password is written %2F".to_owned());
    }
    let database = style.decoded(database)?.trim().to_owned();
    if database.starts_with('/') {
        return Err("has a second `/` before the database".to_owned());
    }
    let found = hosts::parse(authority, style, sources_only)?;
    let mut given = found.given;
    if style.literal {
        let pairs = parameters.split('&').filter(|pair| !pair.is_empty());
        given.extend(pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.to_owned(), value.to_owned())
        }));
    } else {
        given.extend(query_parameters(parameters, style.plus_is_space)?);
    }
    Ok(Address {
        dialect,
        rules: Rules::MySql(driver),
        hosts: found.hosts,
        database: Some(database).filter(|database| !database.is_empty()),
        parameters: given,
    })
}

impl Style {
    fn decoded(&self, text: &str) -> Result<String, String> {
        match (self.literal, self.plus_is_space) {
            (true, _) => Ok(text.to_owned()),
            (false, true) => decode(&text.replace('+', " ")),
            (false, false) => decode(text),
        }
    }
}

#[cfg(test)]
mod tests;
