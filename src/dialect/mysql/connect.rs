//! Opens a session: the drivers' parameters (`connector-config.md`, 12.3; settled by `config::url`) become
//! the driver's options, hosts are tried in order, and the server is asked what it is.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use tokio::net::TcpStream;

use super::super::rows::{no_answer, silence_after};
use super::super::tunnel::{Protocol, Tunnel};
use super::super::{Doing, STATEMENTS_KEPT};
use super::classify::classify;
use super::{GRACE, Notes, Quirks, Server, Session, Writers, ZoneState, answered, identity, statement, text};
use crate::config::spec::{Isolation, SourceSpec, ZeroDate};
use crate::error::{Error, ErrorKind, Result};
use crate::tls::{Certificates, Identity, Input, Loopback, Trust};

type Parameters = BTreeMap<String, String>;

fn parameter<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a str> {
    parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

fn is_set(parameters: &Parameters, name: &str, default: bool) -> bool {
    parameters.get(name).map_or(default, |value| value.is_empty() || value.eq_ignore_ascii_case("true"))
}

/// Opens a session on the first host that can be reached.
pub(super) async fn open(source: &SourceSpec) -> Result<Session> {
    let options = options(source);
    let (mode, trust) = (ssl_mode(&source.url.parameters)?, trust(&source.url.parameters)?);
    let silence = silence_after(source.statement_timeout, GRACE);
    let mut hosts = source.url.hosts.clone();
    if hosts.is_empty() {
        hosts.push(("localhost".to_owned(), 3_306));
    }
    let mut failure = Error::internal("no way to connect was tried");
    for (host, port) in &hosts {
        let socket = parameter(&source.url.parameters, "socket");
        let options = match socket {
            Some(path) => options.clone().socket(path),
            None => options.clone(),
        };
        let connecting = connect(options, (host, *port), mode, &trust);
        let connected = match tokio::time::timeout(source.connect_timeout, connecting).await {
            Ok(Ok(Ok(connection))) => greet(connection, source, silence).await,
            Ok(Err(error)) => Err(error),
            Ok(Ok(Err(error))) => Err(not_let_in(classify(error, Doing::Connect), source)),
            Err(_) if socket.is_none() => Err(silent(host, *port, source.connect_timeout).await),
            Err(_) => Err(no_answer(source.connect_timeout)),
        };
        match connected {
            Ok(session) => return Ok(session),
            // Only a server that cannot be reached is a reason to ask the next one.
            Err(error) if error.kind() == ErrorKind::Unreachable => {
                failure = error.with("host", format!("{host}:{port}"));
            }
            Err(error) => return Err(error.with("host", format!("{host}:{port}"))),
        }
    }
    Err(failure)
}

/// TiDB has no key to encrypt a password with, and compares what it is asked for one instead.
fn not_let_in(error: Error, source: &SourceSpec) -> Error {
    if error.kind() == ErrorKind::Auth && source.url.dialect == "tidb" {
        return error.advise(
            "check connection.user and connection.password; without TLS TiDB lets nobody in whose account has \
             caching_sha2_password (set sslMode=REQUIRED)",
        );
    }
    error
}

/// Why there was no connection in time. A server of the family speaks first, so one that takes the
/// connection and says nothing is another kind of server, or hangs.
async fn silent(host: &str, port: u16, limit: Duration) -> Error {
    let knock = tokio::time::timeout(GRACE, TcpStream::connect((host, port))).await;
    let error = Error::new(ErrorKind::Unreachable, format!("no connection within {} s", limit.as_secs()));
    match knock {
        Ok(Ok(_)) => error.advise(
            "something listens there but does not greet as MySQL, MariaDB or TiDB does; check the port, or whether \
             it is another kind of database",
        ),
        _ => error,
    }
}

fn options(source: &SourceSpec) -> MySqlConnectOptions {
    let parameters = &source.url.parameters;
    let mut options = MySqlConnectOptions::new()
        .charset("utf8mb4")
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None)
        .statement_cache_capacity(STATEMENTS_KEPT)
        .disable_statement_logging();
    if let Some(collation) = parameter(parameters, "connectionCollation") {
        options = options.collation(collation);
    }
    if let Some(user) = &source.user {
        options = options.username(user);
    }
    if let Some(password) = &source.password {
        options = options.password(password.reveal());
    }
    if let Some(database) = &source.url.database {
        options = options.database(database);
    }
    options
}

/// The files of TLS, PEM as `ssl-ca` of native clients or stores as those of the Java drivers.
fn trust(parameters: &Parameters) -> Result<Trust> {
    let input = |name: &'static str, password: &'static str| -> Result<Option<Input<'_>>> {
        let Some(path) = parameter(parameters, name) else { return Ok(None) };
        Ok(Some(Input::file(name, path)?.password(password, parameter(parameters, password))))
    };
    let store = input("trustStore", "trustStorePassword")?;
    let authorities = match store.map_or_else(|| input("sslCa", "trustStorePassword"), |store| Ok(Some(store)))? {
        Some(file) => Some(Certificates::read(&file)?),
        None => None,
    };
    let mut files: Vec<Input<'_>> = input("keyStore", "keyStorePassword")?.into_iter().collect();
    if files.is_empty() {
        for name in ["sslCert", "sslKey"] {
            files.extend(input(name, "keyStorePassword")?);
        }
    }
    let identity = if files.is_empty() { None } else { Some(Identity::read(&files)?) };
    Ok(Trust { authorities, name: true, identity })
}

/// Connects to one host, through a tunnel where its certificate is verified.
async fn connect(
    options: MySqlConnectOptions,
    (host, port): (&str, u16),
    mode: MySqlSslMode,
    trust: &Trust,
) -> Result<sqlx::Result<MySqlConnection>> {
    if !matches!(mode, MySqlSslMode::VerifyCa | MySqlSslMode::VerifyIdentity) || options.get_socket().is_some() {
        let mut options = options.host(host).port(port).ssl_mode(mode);
        if let Some(authorities) = &trust.authorities {
            options = options.ssl_ca_from_pem(authorities.pem().concat().into_bytes());
        }
        if let Some(identity) = &trust.identity {
            options = options.ssl_client_cert_from_pem(identity.chain_pem());
            options = options.ssl_client_key_from_pem(identity.key_pem());
        }
        return Ok(options.connect().await);
    }
    let trust = Trust { name: matches!(mode, MySqlSslMode::VerifyIdentity), ..trust.clone() };
    let tunnel = Tunnel::open(host, port, Protocol::MySql, trust).await?;
    let options = options
        .host(&Loopback::HOST.to_string())
        .port(tunnel.port)
        .ssl_mode(MySqlSslMode::VerifyIdentity)
        .ssl_ca_from_pem(tunnel.loopback.certificate_pem().to_vec())
        .ssl_client_cert_from_pem(tunnel.loopback.certificate_pem())
        .ssl_client_key_from_pem(tunnel.loopback.key_pem());
    tunnel.outcome(options.connect().await).await
}

fn ssl_mode(parameters: &Parameters) -> Result<MySqlSslMode> {
    match parameter(parameters, "sslMode").unwrap_or("PREFERRED") {
        "DISABLED" => Ok(MySqlSslMode::Disabled),
        "PREFERRED" => Ok(MySqlSslMode::Preferred),
        "REQUIRED" => Ok(MySqlSslMode::Required),
        "VERIFY_CA" => Ok(MySqlSslMode::VerifyCa),
        "VERIFY_IDENTITY" => Ok(MySqlSslMode::VerifyIdentity),
        other => Err(Error::config(format!("sslMode cannot be `{other}`"))
            .advise("use DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY")),
    }
}

/// Asks the server what it is and puts the session in order.
async fn greet(mut connection: MySqlConnection, source: &SourceSpec, silence: Duration) -> Result<Session> {
    let version = one(&mut connection, "select version()", silence).await?.unwrap_or_default();
    let (kind, shown) = recognise(&version)?;
    if source.url.dialect == "tidb" && kind != Server::TiDb {
        return Err(Error::config(format!("a tidb: URL, but the server is {} {shown}", kind.product()))
            .advise("write mysql: or mariadb: in connection.url, or name the TiDB server"));
    }
    for sql in session_settings(source, kind) {
        let call = sqlx::raw_sql(statement(&sql)).execute(&mut connection);
        answered(silence, Doing::Connect, call).await?;
    }
    let zone = ZoneState::of(&mut connection, silence).await?;
    let step = one(&mut connection, "select cast(@@session.auto_increment_increment as char)", silence).await;
    // A replica of TiDB reads for itself; the others lag behind their source.
    let read_only = one(&mut connection, "select cast(@@global.read_only as char)", silence).await;
    let parameters = &source.url.parameters;
    let for_mariadb = source.url.dialect == "mariadb";
    let mut types = source.types.clone();
    if types.all.zero_date.is_none() {
        types.all.zero_date = match parameter(parameters, "zeroDateTimeBehavior") {
            Some("EXCEPTION") => Some(ZeroDate::Fail),
            Some("ROUND") => Some(ZeroDate::Round),
            _ => None,
        };
    }
    Ok(Session {
        identity: identity::of(&mut connection, kind, silence).await?,
        connection,
        kind,
        server: format!("{} {shown}", kind.product()),
        database: source.url.database.clone(),
        types,
        quirks: Quirks {
            tiny_is_boolean: is_set(parameters, "transformedBitIsBoolean", false)
                && is_set(parameters, "tinyInt1isBit", true),
            year_is_date: is_set(parameters, "yearIsDateType", true),
            blobs_are_strings: is_set(parameters, "blobsAreStrings", false),
            bits_are_bytes: for_mariadb,
            vectors_are_text: kind == Server::TiDb,
        },
        current_database_only: is_set(parameters, "nullDatabaseMeansCurrent", for_mariadb),
        id_step: step.ok().flatten().and_then(|step| step.parse().ok()).unwrap_or(1),
        replica: kind != Server::TiDb && read_only.ok().flatten().is_some_and(|text| text == "1"),
        silence,
        zone,
        writers: Writers::default(),
        notes: Notes::default(),
    })
}

pub(super) async fn one(
    connection: &mut MySqlConnection,
    sql: &'static str,
    silence: Duration,
) -> Result<Option<String>> {
    let row = answered(silence, Doing::Connect, sqlx::raw_sql(sql).fetch_one(connection)).await?;
    Ok(text(&row, 0)?.map(str::to_owned))
}

/// Which server a version belongs to, and the version to show: `8.0.11-TiDB-v8.5.4`, `10.11.6-MariaDB-…`,
/// `9.7.0`.
///
/// # Errors
/// `Config` for a version older than what is tested.
fn recognise(version: &str) -> Result<(Server, String)> {
    let (server, shown, oldest) = match version.split_once("-TiDB-v") {
        Some((_, of_tidb)) => (Server::TiDb, of_tidb.split('-').next().unwrap_or(of_tidb), (7, 5)),
        None if version.contains("MariaDB") => (Server::MariaDb, version.split('-').next().unwrap_or(version), (10, 6)),
        None => (Server::MySql, version.split('-').next().unwrap_or(version), (8, 0)),
    };
    let mut numbers = shown.split('.').map(|number| number.parse::<u32>().unwrap_or_default());
    let found = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    if found < oldest {
        let message = format!("{} {shown} is too old", server.product());
        return Err(Error::config(message).advise(format!(
            "rowtide reads {} {}.{} and newer",
            server.product(),
            oldest.0,
            oldest.1
        )));
    }
    Ok((server, shown.to_owned()))
}

/// The statements that make the session what the configuration says. Nothing is written in it, and no
/// statement outlives its limit.
fn session_settings(source: &SourceSpec, kind: Server) -> Vec<String> {
    let mut settings = Vec::new();
    // TiDB knows read-only sessions only behind a switch.
    if kind != Server::TiDb {
        settings.push("set session transaction read only".to_owned());
    }
    if let Some(isolation) = source.isolation {
        let level = match isolation {
            Isolation::ReadUncommitted => "read uncommitted",
            Isolation::ReadCommitted => "read committed",
            Isolation::RepeatableRead => "repeatable read",
            Isolation::Serializable => "serializable",
        };
        settings.push(format!("set session transaction isolation level {level}"));
    }
    let limit = source.statement_timeout;
    settings.push(match kind {
        Server::MariaDb => format!("set session max_statement_time = {}.{:03}", limit.as_secs(), limit.subsec_millis()),
        Server::MySql | Server::TiDb => format!("set session max_execution_time = {}", limit.as_millis()),
    });
    // While a result waits for Kafka the server must not hang up on its reader.
    settings.push("set session net_write_timeout = 600".to_owned());
    let parameters = &source.url.parameters;
    for variable in parameter(parameters, "sessionVariables").map(split_variables).unwrap_or_default() {
        let scope = if variable.starts_with('@') { "" } else { "session " };
        settings.push(format!("set {scope}{variable}"));
    }
    if let Some(zone) = parameter(parameters, "sessionZone") {
        settings.push(format!("set session time_zone = '{}'", zone.replace('\'', "''")));
    }
    settings
}

/// `a=1,b='x,y'` at its commas (or semicolons), as Connector/J splits it.
fn split_variables(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quote = None;
    for character in text.chars() {
        match (quote, character) {
            (None, ',' | ';') => parts.push(String::new()),
            _ => {
                if matches!(character, '\'' | '"' | '`') {
                    quote = match quote {
                        None => Some(character),
                        Some(open) if open == character => None,
                        open => open,
                    };
                }
                parts.last_mut().into_iter().for_each(|part| part.push(character));
            }
        }
    }
    let scope = |part: &String| {
        let part = part.trim();
        ["session ", "SESSION "].iter().find_map(|scope| part.strip_prefix(scope)).unwrap_or(part).to_owned()
    };
    parts.iter().map(scope).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_tells_the_server() {
        let of = |version: &str| recognise(version).map_err(|error| error.to_string());
        assert_eq!(of("8.0.11-TiDB-v8.5.4"), Ok((Server::TiDb, "8.5.4".to_owned())));
        assert_eq!(of("10.11.6-MariaDB-0+deb12u1"), Ok((Server::MariaDb, "10.11.6".to_owned())));
        assert_eq!(of("9.7.0"), Ok((Server::MySql, "9.7.0".to_owned())));
        assert_eq!(of("8.0.36-28.1"), Ok((Server::MySql, "8.0.36".to_owned())));
        assert!(of("5.7.44-log").unwrap_err().contains("MySQL 5.7.44 is too old"));
        assert!(of("8.0.11-TiDB-v6.5.0").unwrap_err().contains("TiDB 6.5.0"));
    }

    #[test]
    fn session_variables_are_split_outside_of_quotes() {
        assert_eq!(split_variables("sql_mode='A,B', @x = 1;SESSION y=2"), ["sql_mode='A,B'", "@x = 1", "y=2"]);
        assert!(split_variables(" , ").is_empty());
    }
}
