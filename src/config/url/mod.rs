//! `connection.url`, JDBC or native, into a [`SourceUrl`] (`connector-config.md`, 12.1). Parameters of the
//! URL and of `connection.*` come together here (which of them win is the driver's custom) and are settled by
//! the dialect's own file: translated to one vocabulary, dropped with a note, or refused. Nothing in a message
//! is a secret.

mod mysql;
mod postgres;
mod sqlite;

use std::collections::BTreeMap;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::report::Problem;
use super::spec::{Secret, SourceUrl};
use crate::near::nearest;

/// The URLs there are, for messages.
pub(crate) const ACCEPTED: &str = "jdbc:postgresql://host:port/database, jdbc:mysql://host:port/database, \
    jdbc:mariadb://host:port/database, jdbc:sqlite:/path, or natively postgres://, mysql://, mariadb://, \
    tidb://, sqlite:/path";

/// A URL and what it says beside the address.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) url: SourceUrl,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
    /// True if user and password given as keys win over those of the URL, as parameters do.
    pub(crate) keys_win: bool,
    /// `connectTimeout` or `loginTimeout`.
    pub(crate) connect_timeout: Option<Duration>,
    /// `socketTimeout`.
    pub(crate) socket_timeout: Option<Duration>,
    /// Parameters accepted without effect.
    pub(crate) ignored: Vec<String>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
}

/// A parameter with the key it was given by.
#[derive(Clone)]
struct Parameter {
    name: String,
    value: String,
    key: String,
}

/// The parts of a URL before its parameters are settled.
struct Address {
    dialect: &'static str,
    rules: Rules,
    hosts: Vec<(String, u16)>,
    database: Option<String>,
    parameters: Vec<(String, String)>,
}

/// The driver whose parameters they are.
#[derive(Clone, Copy)]
enum Rules {
    PostgreSql,
    MySql(mysql::Driver),
    Sqlite,
}

impl Rules {
    fn names(self) -> Vec<&'static str> {
        match self {
            Rules::PostgreSql => postgres::names().collect(),
            Rules::MySql(_) => mysql::names().collect(),
            Rules::Sqlite => sqlite::names().collect(),
        }
    }

    fn meaning(self, name: &str, value: &str) -> Meaning {
        match self {
            Rules::PostgreSql => postgres::meaning(name, value),
            Rules::MySql(driver) => mysql::meaning(driver, name, value),
            Rules::Sqlite => sqlite::meaning(name, value),
        }
    }

    /// `connection.*` wins with Connector/J (and MariaDB Connector/J 2), the URL elsewhere
    /// (`connector-config.md`, 11.4).
    fn keys_win(self) -> bool {
        matches!(self, Rules::MySql(_))
    }

    fn settle(self, connection: &mut Connection, given: &[Parameter]) {
        match self {
            Rules::PostgreSql => postgres::settle_tls(&mut connection.url.parameters),
            Rules::MySql(driver) => mysql::settle(connection, given, driver),
            Rules::Sqlite => {}
        }
    }
}

/// The meaning of a parameter to a dialect.
enum Meaning {
    /// Kept, under this name and with this value.
    Keep(&'static str, String),
    /// Accepted without effect.
    Ignore,
    /// Accepted without effect, for this reason.
    Note(String),
    /// Refused, with the reason.
    Refuse(String),
    /// Unknown to everybody.
    Unknown,
    /// User, password or a time limit, which have a place of their own.
    User(String),
    Password(String),
    ConnectTimeout(Duration),
    SocketTimeout(Duration),
}

/// Takes a URL apart and settles its parameters together with `connection.*` (names without prefix).
///
/// # Errors
/// What is wrong with the address; problems with single parameters are in the result.
pub(crate) fn parse(text: &str, passed_on: &[(String, String)]) -> Result<Connection, String> {
    let address = address(text)?;
    let from_url = address.parameters.iter().map(|(name, value)| (name, value, "connection.url".to_owned()));
    let from_keys = passed_on.iter().map(|(name, value)| (name, value, format!("connection.{name}")));
    let rules = address.rules;
    let mut given = from_keys
        .chain(from_url)
        .map(|(name, value, key)| Parameter { name: name.clone(), value: value.clone(), key })
        .collect::<Vec<_>>();
    if rules.keys_win() {
        given.rotate_left(passed_on.len());
    }
    let mut connection = Connection {
        url: SourceUrl {
            dialect: address.dialect.to_owned(),
            hosts: address.hosts,
            database: address.database,
            parameters: BTreeMap::new(),
        },
        user: None,
        password: None,
        keys_win: rules.keys_win(),
        connect_timeout: None,
        socket_timeout: None,
        ignored: Vec::new(),
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    let names = rules.names();
    for parameter in &given {
        connection.take(parameter, rules.meaning(&parameter.name, &parameter.value), &names);
    }
    rules.settle(&mut connection, &given);
    Ok(connection)
}

impl Connection {
    fn take(&mut self, parameter: &Parameter, meaning: Meaning, names: &[&str]) {
        let Parameter { name, key, .. } = parameter;
        match meaning {
            Meaning::Keep(name, value) => {
                self.url.parameters.insert(name.to_owned(), value);
            }
            Meaning::Ignore => self.ignored.push(name.clone()),
            Meaning::Note(reason) => {
                self.warnings.push(Problem::new(key, format!("{name}={} has no effect: {reason}", parameter.value)));
            }
            Meaning::Refuse(reason) => self.problems.push(refused(parameter, &reason)),
            Meaning::Unknown if parameter.value.is_empty() => {
                // It may be the rest of a password that was not escaped: it is not named.
                let message = "has a parameter that is not known and has no value; `&` in a value is written %26";
                self.warnings.push(Problem::new(key, message));
            }
            Meaning::Unknown => {
                let message = format!("unknown parameter {name}; it has no effect");
                let meant = if key == "connection.url" {
                    nearest(name, names.iter().copied()).map(str::to_owned)
                } else {
                    let nearest = nearest(name, names.iter().copied().chain(["url", "user", "password"]));
                    nearest.map(|nearest| format!("connection.{nearest}"))
                };
                self.warnings.push(Problem::new(key, message).meant(meant));
            }
            Meaning::User(user) => self.user = Some(user),
            Meaning::Password(password) => self.password = Some(Secret::new(password)),
            Meaning::ConnectTimeout(limit) => self.connect_timeout = Some(limit),
            Meaning::SocketTimeout(limit) => self.socket_timeout = Some(limit),
        }
    }
}

fn refused(parameter: &Parameter, reason: &str) -> Problem {
    Problem::new(&parameter.key, format!("parameter {}: {reason}", parameter.name))
}

fn address(text: &str) -> Result<Address, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(format!("is missing; write {ACCEPTED}"));
    }
    let (scheme, rest) = text.split_once(':').ok_or_else(|| format!("is not a URL; write {ACCEPTED}"))?;
    let (is_jdbc, scheme, rest) = match (scheme, rest.split_once(':')) {
        ("jdbc", Some((subprotocol, name))) => (true, subprotocol.to_lowercase(), name),
        ("jdbc", None) => return Err(format!("must be jdbc:<subprotocol>:<name>; write {ACCEPTED}")),
        (scheme, _) => (false, scheme.to_lowercase(), rest),
    };
    match (scheme.as_str(), is_jdbc) {
        ("postgresql", true) => postgres::jdbc(rest),
        ("postgresql" | "postgres", false) => postgres::native(rest),
        ("sqlite", _) => sqlite::address(rest, is_jdbc),
        ("mysql" | "mariadb", true) => mysql::jdbc(&scheme, rest),
        ("mysql", false) => mysql::native("mysql", rest),
        ("mariadb", false) => mysql::native("mariadb", rest),
        ("tidb", false) => mysql::native("tidb", rest),
        ("tidb", true) => Err("cannot be jdbc:tidb; write jdbc:mysql://host:4000/database or tidb://host".to_owned()),
        ("mysqlx" | "mysqlx+srv", _) => {
            Err("is of the X protocol, which is not there; write mysql:// with the port of the classic one, 3306"
                .to_owned())
        }
        ("mysql+srv" | "mariadb+srv", _) => {
            Err("asks for service records, which are not looked up; name hosts and ports in mysql://".to_owned())
        }
        ("jdbc", false) => Err(format!("`jdbc:` must be in lower case; write {ACCEPTED}")),
        _ => Err(format!("there is no dialect for this kind of database; there are {ACCEPTED}")),
    }
}

/// `k=v&k=v`, percent-decoded; a name without `=` has the empty value. With `plus_is_space` as Java does.
fn query_parameters(text: &str, plus_is_space: bool) -> Result<Vec<(String, String)>, String> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = |part: &str| {
                if plus_is_space { decode(&part.replace('+', " ")) } else { decode(part) }
            };
            Ok((decoded(name)?, decoded(value)?))
        })
        .collect()
}

fn decode(text: &str) -> Result<String, String> {
    let wrong = text.match_indices('%').any(|(at, _)| {
        let digits = text.as_bytes().get(at + 1..at + 3);
        !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    let message = "has a `%` that is not followed by two hexadecimal digits of UTF-8 text; a plain one is written %25";
    if wrong {
        return Err(message.to_owned());
    }
    percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned).map_err(|_| message.to_owned())
}

/// `host`, `host:port`, `[v6]:port`, and more of them separated by commas.
fn hosts(text: &str, default_port: u16) -> Result<Vec<(String, u16)>, String> {
    text.split(',').map(|part| host(part, default_port)).collect()
}

fn host(text: &str, default_port: u16) -> Result<(String, u16), String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("has a `[` without a `]`")?;
            let port =
                if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or("needs `:` after `]`")?) };
            (host, port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        None | Some("") => default_port,
        Some(port) => port
            .parse::<u16>()
            .ok()
            .filter(|port| *port > 0)
            .ok_or("has a port that is not a number from 1 to 65535; an IPv6 address needs brackets")?,
    };
    let host = decode(host)?;
    if host.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("has a host with spaces in it".to_owned());
    }
    Ok((if host.is_empty() { "localhost".to_owned() } else { host }, port))
}

#[cfg(test)]
mod tests;
