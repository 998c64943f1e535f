//! Opens a session: the drivers' parameters (`connector-config.md`, 12.3; settled by `config::url`) become the driver's
//! options, hosts are tried in order, and the server is asked for its kind and version.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};

use super::super::statement::{Doing, STATEMENTS_KEPT};
use super::super::stranger::{Stranger, or_stranger};
use super::super::tunnel::Protocol;
use super::super::vigil::Vigil;
use super::super::vigil::farewell::Farewell;
use super::super::vigil::verdict::no_answer;
use super::super::way::{Reach, Way};
use super::beside::{Beside, INSTANCE};
use super::classify::{classify, number_of};
use super::server::{Quirks, Server};
use super::session::{Notes, Session, ZoneState, one};
use super::starts::Writers;
use super::{identity, roles, settings};
use crate::config::spec::{ColumnTypes, SourceSpec, ZeroDate};
use crate::error::{Error, ErrorKind, Result};
use crate::model::drivers::{DriverParameters, Maker};
use crate::tls::{Certificates, Identity, Input, Trust};

type Parameters = BTreeMap<String, String>;

fn parameter<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a str> {
    parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

fn is_set(parameters: &Parameters, name: &str, default: bool) -> bool {
    flag(parameters, name).unwrap_or(default)
}

/// A parameter that is true or false; none if it is not given.
fn flag(parameters: &Parameters, name: &str) -> Option<bool> {
    parameters.get(name).map(|value| value.is_empty() || value.eq_ignore_ascii_case("true"))
}

/// Opens a session on the first host that can be reached.
pub(super) async fn open(source: &SourceSpec) -> Result<Session> {
    let options = options(source);
    let (mode, trust) = (ssl_mode(&source.url.parameters)?, trust(&source.url.parameters)?);
    let mut hosts = source.url.hosts.clone();
    if hosts.is_empty() {
        hosts.push(("localhost".to_owned(), 3_306));
    }
    let mut failure = Error::internal("no connection was tried");
    for (host, port) in &hosts {
        let socket = parameter(&source.url.parameters, "socket");
        let options = match socket {
            Some(path) => options.clone().socket(path),
            None => options.clone(),
        };
        let way = Way { host: host.clone(), port: *port, mode, trust: trust.clone() };
        let connected = match tokio::time::timeout(source.connect_timeout, way.connect(options.clone())).await {
            Ok(Ok(Ok(connection))) => greet(connection, (way, options), source).await,
            Ok(Err(error)) => Err(error),
            Ok(Ok(Err(error))) => {
                let error = not_let_in(classify(error, Doing::Connect), source);
                Err(with_roles(error, source, &way).await)
            }
            Err(_) if socket.is_none() => Err(late(source.connect_timeout)),
            Err(_) => Err(no_answer(source.connect_timeout)),
        };
        let connected = match connected {
            Err(error) if error.kind() == ErrorKind::Unreachable && number_of(&error).is_none() && socket.is_none() => {
                Err(or_stranger(error, (host, *port), Stranger::MySqlFamily).await)
            }
            connected => connected,
        };
        match connected {
            Ok(session) => return Ok(session),
            // Only an unreachable server is a reason to try the next one.
            Err(error) if error.kind() == ErrorKind::Unreachable => {
                failure = error.with("host", format!("{host}:{port}"));
            }
            Err(error) => return Err(error.with("host", format!("{host}:{port}"))),
        }
    }
    Err(failure)
}

/// The error of a refused account. TiDB has no key to encrypt a password with, and compares the request for one
/// instead.
fn not_let_in(error: Error, source: &SourceSpec) -> Error {
    if error.kind() == ErrorKind::Auth && source.url.dialect == "tidb" {
        return error.advise(
            "check connection.user and connection.password; without TLS TiDB refuses accounts with \
             caching_sha2_password (set sslMode=REQUIRED)",
        );
    }
    error
}

/// The error of a denied database, with the roles that are not active: such an account is let in without a database.
async fn with_roles(error: Error, source: &SourceSpec, way: &Way<MySqlSslMode>) -> Error {
    if number_of(&error) != Some(1044) {
        return error;
    }
    let mut without = source.clone();
    without.url.database = None;
    let options = match parameter(&source.url.parameters, "socket") {
        Some(path) => options(&without).socket(path),
        None => options(&without),
    };
    let Ok(Ok(Ok(mut connection))) = tokio::time::timeout(source.connect_timeout, way.connect(options)).await else {
        return error;
    };
    match roles::inactive(&mut connection, &Vigil::blind(source.statement_timeout)).await {
        Some(advice) => error.advise(advice),
        None => error,
    }
}

fn late(limit: Duration) -> Error {
    Error::new(ErrorKind::Unreachable, format!("no connection within {} s", limit.as_secs()))
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

impl Reach for MySqlConnectOptions {
    type Mode = MySqlSslMode;
    const PROTOCOL: Protocol = Protocol::MySql;
    const VERIFIED: MySqlSslMode = MySqlSslMode::VerifyIdentity;

    fn verifies_name(mode: MySqlSslMode) -> Option<bool> {
        match mode {
            MySqlSslMode::VerifyIdentity => Some(true),
            MySqlSslMode::VerifyCa => Some(false),
            _ => None,
        }
    }

    fn is_socket(&self, _: &str) -> bool {
        self.get_socket().is_some()
    }

    fn to(self, host: &str, port: u16, mode: MySqlSslMode) -> Self {
        // As with the Java drivers, the password is sent in clear text only over an encrypted connection (PAM, LDAP,
        // IAM).
        let is_private = !matches!(mode, MySqlSslMode::Disabled | MySqlSslMode::Preferred);
        self.enable_cleartext_plugin(is_private).host(host).port(port).ssl_mode(mode)
    }

    fn trusting(self, authorities: Vec<u8>) -> Self {
        self.ssl_ca_from_pem(authorities)
    }

    fn identified(self, certificates: &[u8], key: &[u8]) -> Self {
        self.ssl_client_cert_from_pem(certificates).ssl_client_key_from_pem(key)
    }
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

/// Asks the server for its kind and version, and puts the session in order.
async fn greet(
    mut connection: MySqlConnection,
    (way, options): (Way<MySqlSslMode>, MySqlConnectOptions),
    source: &SourceSpec,
) -> Result<Session> {
    let vigil = &Vigil::blind(source.statement_timeout);
    settings::make_readable(&mut connection, vigil).await?;
    let version = one(&mut connection, "select version()", vigil).await?.unwrap_or_default();
    let (kind, shown) = recognise(&version)?;
    if source.url.dialect == "tidb" && kind != Server::TiDb {
        return Err(Error::config(format!("a tidb: URL, but the server is {} {shown}", kind.product()))
            .advise("write mysql: or mariadb: in connection.url, or name the TiDB server"));
    }
    settings::apply(&mut connection, source, kind, vigil).await?;
    let zone = ZoneState::of(&mut connection, vigil).await?;
    let step = one(&mut connection, "select cast(@@session.auto_increment_increment as char)", vigil).await;
    // A replica of TiDB reads for itself; the others lag behind their source.
    let read_only = one(&mut connection, "select cast(@@global.read_only as char)", vigil).await;
    let parameters = &source.url.parameters;
    let for_mariadb = source.url.dialect == "mariadb";
    let id = one(&mut connection, "select cast(connection_id() as char)", vigil).await?;
    let id = id.and_then(|id| id.parse().ok()).ok_or_else(|| Error::internal("the session has no number"))?;
    let instance = one(&mut connection, INSTANCE, vigil).await?.unwrap_or_default();
    let watched = Vigil::beside(source.statement_timeout, Arc::new(Beside { way, options, kind, id, instance }));
    Ok(Session {
        identity: identity::of(&mut connection, kind, vigil).await?,
        connection,
        kind,
        server: format!("{} {shown}", kind.product()),
        database: source.url.database.clone(),
        types: types_of(source),
        quirks: Quirks {
            maker: if for_mariadb { Maker::MariaDb } else { Maker::MySql },
            parameters: DriverParameters {
                tiny_is_bit: flag(parameters, "tinyInt1isBit"),
                bit_is_boolean: flag(parameters, "transformedBitIsBoolean"),
            },
            unsigned_decimals_are_wider: kind == Server::TiDb,
            year_is_date: is_set(parameters, "yearIsDateType", true),
            blobs_are_strings: is_set(parameters, "blobsAreStrings", false),
            vectors_are_text: kind == Server::TiDb,
        },
        current_database_only: is_set(parameters, "nullDatabaseMeansCurrent", for_mariadb),
        id_step: step.ok().flatten().and_then(|step| step.parse().ok()).unwrap_or(1),
        replica: kind != Server::TiDb && read_only.ok().flatten().is_some_and(|text| text == "1"),
        _farewell: Farewell(watched.clone()),
        vigil: watched,
        zone,
        writers: Writers::default(),
        notes: Notes::default(),
    })
}

/// The settings of types; `zero.date` is the driver's parameter where it is not set.
fn types_of(source: &SourceSpec) -> ColumnTypes {
    let mut types = source.types.clone();
    if types.all.zero_date.is_none() {
        types.all.zero_date = match parameter(&source.url.parameters, "zeroDateTimeBehavior") {
            Some("EXCEPTION") => Some(ZeroDate::Fail),
            Some("ROUND") => Some(ZeroDate::Round),
            Some("CONVERT_TO_NULL") => Some(ZeroDate::IfNullable),
            _ => None,
        };
    }
    types
}

/// The server of a version string, and the version to show: `8.0.11-TiDB-v8.5.4`, `10.11.6-MariaDB-…`, `9.7.0`.
///
/// # Errors `Config` for a version older than the oldest tested.
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
}
