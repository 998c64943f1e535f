//! PostgreSQL: the grammar of its URLs and the meaning of its parameters, in the names of the JDBC driver
//! (`connector-config.md`, 12.1 and 12.2); libpq's names of the native URL are translated to them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Address, Meaning, Rules, decode, hosts, query_parameters};

const PORT: u16 = 5432;
const SSL_MODES: &[&str] = &["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// Parameters that stay for the dialect.
const HONOURED: &[&str] = &[
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslNegotiation",
    "channelBinding",
    "requireAuth",
    "currentSchema",
    "options",
    "ApplicationName",
    "tcpKeepAlive",
    "targetServerType",
    "hostRecheckSeconds",
    "loadBalanceHosts",
    "readOnly",
    "prepareThreshold",
    "preferQueryMode",
    "hideUnprivilegedObjects",
];

/// Parameters with a meaning of their own, below.
const SPECIAL: &[&str] = &["user", "password", "ssl", "sslfactory", "connectTimeout", "loginTimeout", "socketTimeout"];

/// Tuning of the Java driver.
const TUNING: &[&str] = &[
    "adaptiveFetch",
    "adaptiveFetchMaximum",
    "adaptiveFetchMinimum",
    "allowEncodingChanges",
    "assumeMinServerVersion",
    "autosave",
    "binaryTransfer",
    "binaryTransferDisable",
    "binaryTransferEnable",
    "cancelSignalTimeout",
    "cleanupSavepoints",
    "convertBooleanToNumeric",
    "databaseMetadataCacheFields",
    "databaseMetadataCacheFieldsMiB",
    "defaultRowFetchSize",
    "disableColumnSanitiser",
    "escapeSyntaxCallMode",
    "groupStartupParameters",
    "gssEncMode",
    "gssResponseTimeout",
    "localSocketAddress",
    "logServerErrorDetail",
    "logUnclosedConnections",
    "loggerFile",
    "loggerLevel",
    "maxResultBuffer",
    "maxSendBufferSize",
    "preparedStatementCacheQueries",
    "preparedStatementCacheSizeMiB",
    "protocolVersion",
    "quoteReturningIdentifiers",
    "reWriteBatchedInserts",
    "readOnlyMode",
    "receiveBufferSize",
    "replication",
    "sendBufferSize",
    "sslResponseTimeout",
    "stringtype",
    "tcpNoDelay",
    "unknownLength",
    "xmlFactoryFactory",
];

/// Parameters that need a JVM or GSS.
const REFUSED: &[&str] = &[
    "authenticationPluginClassName",
    "gsslib",
    "gssUseDefaultCreds",
    "jaasApplicationName",
    "jaasLogin",
    "kerberosServerName",
    "service",
    "socketFactory",
    "socketFactoryArg",
    "sslfactoryarg",
    "sslhostnameverifier",
    "sslpasswordcallback",
    "sspiServiceClass",
    "useSpnego",
];

/// libpq's names.
const TRANSLATED: &[(&str, &str)] = &[
    ("application_name", "ApplicationName"),
    ("connect_timeout", "connectTimeout"),
    ("keepalives", "tcpKeepAlive"),
    ("sslnegotiation", "sslNegotiation"),
    ("channel_binding", "channelBinding"),
    ("require_auth", "requireAuth"),
    ("target_session_attrs", "targetServerType"),
    ("load_balance_hosts", "loadBalanceHosts"),
];

/// Every name there is.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    [HONOURED, SPECIAL, TUNING, REFUSED].into_iter().flatten().copied()
}

/// `[//hosts/][database][?parameters]`, after `jdbc:postgresql:`.
pub(super) fn jdbc(rest: &str) -> Result<Address, String> {
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts_text, database) = match path.strip_prefix("//") {
        Some(after) => {
            after.split_once('/').ok_or("needs a `/` after the host: jdbc:postgresql://host:port/database")?
        }
        None => ("", path.strip_prefix('/').unwrap_or(path)),
    };
    if hosts_text.contains('@') {
        return Err("cannot hold a user before the host; use connection.user and connection.password".to_owned());
    }
    address(hosts_text, database, query_parameters(parameters, true)?)
}

/// `//[user[:password]@][hosts][/database][?parameters]`, after `postgres:`.
pub(super) fn native(rest: &str) -> Result<Address, String> {
    let rest = rest.strip_prefix("//").ok_or("needs `//`: postgres://host:port/database")?;
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = path.split_once('/').unwrap_or((path, ""));
    if database.contains('@') {
        return Err("has an `@` behind the host; a `/` in user or password is written %2F".to_owned());
    }
    let mut given = Vec::new();
    let hosts_text = match authority.rsplit_once('@') {
        Some((credentials, hosts_text)) => {
            let (user, password) = match credentials.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (credentials, None),
            };
            given.push(("user".to_owned(), decode(user)?));
            if let Some(password) = password {
                given.push(("password".to_owned(), decode(password)?));
            }
            hosts_text
        }
        None => authority,
    };
    given.extend(query_parameters(parameters, false)?);
    let mut address = address(hosts_text, database, given)?;
    // libpq lets the address stand among the parameters: the way to a Unix socket.
    let mut take = |name: &str| {
        let at = address.parameters.iter().position(|(known, _)| known == name)?;
        Some(address.parameters.remove(at).1)
    };
    let (host, port, database) = (take("host"), take("port"), take("dbname"));
    if let Some(host) = host {
        let port =
            port.as_deref().map_or(Ok(PORT), |port| port.parse().map_err(|_| "has a port that is not a number"))?;
        address.hosts = host.split(',').map(|host| (host.to_owned(), port)).collect();
    }
    address.database = database.or(address.database);
    Ok(address)
}

fn address(hosts_text: &str, database: &str, parameters: Vec<(String, String)>) -> Result<Address, String> {
    let database = decode(database)?;
    Ok(Address {
        dialect: "postgresql",
        rules: Rules::PostgreSql,
        hosts: hosts(hosts_text, PORT)?,
        database: Some(database).filter(|database| !database.is_empty()),
        parameters,
    })
}

/// The meaning of a parameter.
pub(super) fn meaning(name: &str, value: &str) -> Meaning {
    let jdbc = TRANSLATED.iter().find(|(libpq, _)| *libpq == name).map_or(name, |(_, jdbc)| *jdbc);
    match jdbc {
        "user" => Meaning::User(value.to_owned()),
        "password" => Meaning::Password(value.to_owned()),
        "connectTimeout" | "loginTimeout" => seconds(value, Meaning::ConnectTimeout),
        "socketTimeout" => seconds(value, Meaning::SocketTimeout),
        // Settled with sslmode once all are known.
        "ssl" => Meaning::Keep("ssl", value.to_owned()),
        "sslfactory" => match value.rsplit('.').next().unwrap_or(value) {
            "NonValidatingFactory" | "DefaultJavaSSLFactory" | "LibPQFactory" => {
                Meaning::Keep("sslfactory", value.to_owned())
            }
            _ => Meaning::Refuse(
                "a Java class cannot be loaded; there are NonValidatingFactory and DefaultJavaSSLFactory".to_owned(),
            ),
        },
        "sslmode" => {
            let lower = value.to_lowercase();
            if SSL_MODES.contains(&lower.as_str()) {
                Meaning::Keep("sslmode", lower)
            } else {
                Meaning::Refuse(format!("must be one of {}", SSL_MODES.join(", ")))
            }
        }
        "targetServerType" => target_server(value),
        "tcpKeepAlive" => boolean("tcpKeepAlive", value),
        "readOnly" => boolean("readOnly", value),
        "loadBalanceHosts" => boolean("loadBalanceHosts", value),
        "hideUnprivilegedObjects" => boolean("hideUnprivilegedObjects", value),
        _ => plain(jdbc, value),
    }
}

fn plain(name: &str, value: &str) -> Meaning {
    if let Some(known) = HONOURED.iter().find(|known| **known == name) {
        return Meaning::Keep(known, value.to_owned());
    }
    if REFUSED.contains(&name) {
        return Meaning::Refuse("needs a JVM plugin or GSS, which are not there; remove it".to_owned());
    }
    if TUNING.contains(&name) { Meaning::Ignore } else { Meaning::Unknown }
}

fn seconds(value: &str, make: fn(Duration) -> Meaning) -> Meaning {
    match value.trim().parse::<u32>() {
        // Zero is no limit for the driver; a day is as good and cannot hang for ever.
        Ok(0) => make(Duration::from_secs(86_400)),
        Ok(seconds) => make(Duration::from_secs(u64::from(seconds))),
        Err(_) => Meaning::Refuse("must be a number of seconds".to_owned()),
    }
}

fn boolean(name: &'static str, value: &str) -> Meaning {
    match value.to_lowercase().as_str() {
        "true" | "1" | "" | "random" => Meaning::Keep(name, "true".to_owned()),
        "false" | "0" | "disable" => Meaning::Keep(name, "false".to_owned()),
        _ => Meaning::Refuse("must be true or false".to_owned()),
    }
}

fn target_server(value: &str) -> Meaning {
    let known = match value {
        "any" => "any",
        "primary" | "master" | "read-write" => "primary",
        "secondary" | "slave" | "standby" | "read-only" => "secondary",
        "preferSecondary" | "preferSlave" | "prefer-standby" => "preferSecondary",
        "preferPrimary" => "preferPrimary",
        _ => {
            return Meaning::Refuse(
                "must be one of any, primary, secondary, preferSecondary, preferPrimary".to_owned(),
            );
        }
    };
    Meaning::Keep("targetServerType", known.to_owned())
}

/// `ssl` and `sslfactory` become `sslmode`: `ssl` alone is verify-full, the non-validating factory is
/// require, and Java's default factory means the roots of the system, which is what no `sslrootcert` means.
pub(super) fn settle_tls(parameters: &mut BTreeMap<String, String>) {
    let ssl = parameters.remove("ssl").is_some_and(|ssl| ssl.is_empty() || ssl.eq_ignore_ascii_case("true"));
    let factory = parameters.remove("sslfactory");
    if ssl && !parameters.contains_key("sslmode") {
        parameters.insert("sslmode".to_owned(), "verify-full".to_owned());
    }
    let verifies = parameters.get("sslmode").is_some_and(|mode| mode.starts_with("verify"));
    if verifies && factory.is_some_and(|factory| factory.ends_with("NonValidatingFactory")) {
        parameters.insert("sslmode".to_owned(), "require".to_owned());
    }
}
