//! Opens a session: pgjdbc's parameters (`connector-config.md`, 12.2) become the driver's options, hosts are tried in
//! order, and the server is asked for its version and role.

#![expect(clippy::disallowed_methods, reason = "libpq's place for the certificate is below HOME")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow, PgSslMode};
use sqlx::{ConnectOptions, Row};

use super::super::statement::{Doing, STATEMENTS_KEPT, statement};
use super::super::stranger::{Stranger, or_stranger};
use super::super::tunnel::Protocol;
use super::super::vigil::Vigil;
use super::super::vigil::farewell::Farewell;
use super::super::vigil::side_door::SideDoor;
use super::super::way::{Reach, Way};
use super::beside::{Backend, Beside};
use super::charset::Charset;
use super::classify::{classify, is_of_server};
use super::identity;
use super::session::{Notes, Session, answered};
use super::settings::{ENCODING, Settings};
use crate::config::spec::SourceSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::tls::{Certificates, Identity, Input, Trust};

/// Parameters that only a JVM can honour.
const REFUSED: &[&str] = &[
    "socketFactory",
    "socketFactoryArg",
    "authenticationPluginClassName",
    "service",
    "gsslib",
    "kerberosServerName",
    "jaasLogin",
    "jaasApplicationName",
    "requireAuth",
];

type Parameters = BTreeMap<String, String>;

fn parameter<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a str> {
    parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// `true` for pgjdbc: the word, or the bare name.
fn is_set(parameters: &Parameters, name: &str) -> bool {
    parameters.get(name).is_some_and(|value| value.is_empty() || value.eq_ignore_ascii_case("true"))
}

fn seconds(parameters: &Parameters, name: &str) -> Result<Option<Duration>> {
    let Some(text) = parameter(parameters, name) else { return Ok(None) };
    let seconds: u64 =
        text.parse().map_err(|_| Error::config(format!("{name} must be a whole number of seconds, not `{text}`")))?;
    Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
}

/// Opens a session on the first host that will do.
pub(super) async fn open(source: &SourceSpec) -> Result<Session> {
    let parameters = &source.url.parameters;
    if let Some(name) = REFUSED.iter().find(|name| parameter(parameters, name).is_some()) {
        return Err(Error::config(format!("the parameter {name} of connection.url needs a JVM")).advise("remove it"));
    }
    if parameter(parameters, "channelBinding") == Some("require") {
        return Err(Error::config("channelBinding=require is not supported").advise("use sslmode=verify-full"));
    }
    let per_host = seconds(parameters, "connectTimeout")?.unwrap_or(source.connect_timeout);
    let overall = seconds(parameters, "loginTimeout")?;
    let silence = source.statement_timeout;
    let silence = seconds(parameters, "socketTimeout")?.map_or(silence, |limit| limit.min(silence));
    let settings = Settings::of(source)?;
    let search = search(source, &settings, per_host, silence);
    match overall {
        None => search.await,
        Some(limit) => tokio::time::timeout(limit, search).await.unwrap_or_else(|_| Err(late(limit))),
    }
}

fn late(limit: Duration) -> Error {
    Error::new(ErrorKind::Unreachable, format!("no connection within {} s", limit.as_secs()))
}

async fn search(source: &SourceSpec, settings: &Settings, per_host: Duration, silence: Duration) -> Result<Session> {
    let parameters = &source.url.parameters;
    let wanted = Target::parse(parameter(parameters, "targetServerType").unwrap_or("any"))?;
    let mut hosts = source.url.hosts.clone();
    if hosts.is_empty() {
        hosts.push(("localhost".to_owned(), 5_432));
    }
    if is_set(parameters, "loadBalanceHosts") {
        fastrand::shuffle(&mut hosts);
    }
    let mut failure = Error::new(ErrorKind::Unreachable, format!("no server is {}", wanted.words()));
    let mut second_choice = None;
    for (host, port) in &hosts {
        let attempt = tokio::time::timeout(per_host, attempt(source, (host, *port), settings));
        let connected = match attempt.await.unwrap_or_else(|_| Err(late(per_host))) {
            Ok(opened) => greet(opened, source, settings, silence).await,
            Err(error) if error.kind() == ErrorKind::Unreachable && !is_of_server(&error) => {
                Err(or_stranger(error, (host, *port), Stranger::Postgres).await)
            }
            Err(error) => Err(error),
        };
        match connected {
            Ok(session) => match wanted.fits(session.standby) {
                Fit::Yes => return Ok(session),
                Fit::Rather if second_choice.is_none() => second_choice = Some(session),
                _ => {}
            },
            // Only an unreachable server is a reason to try the next one.
            Err(error) if error.kind() == ErrorKind::Unreachable => {
                failure = error.with("host", format!("{host}:{port}"));
            }
            Err(error) => return Err(error.with("host", format!("{host}:{port}"))),
        }
    }
    second_choice.ok_or(failure)
}

/// `targetServerType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Any,
    Primary,
    Secondary,
    PreferPrimary,
    PreferSecondary,
}

enum Fit {
    Yes,
    Rather,
    No,
}

impl Target {
    fn parse(text: &str) -> Result<Self> {
        match text.to_ascii_lowercase().as_str() {
            "any" => Ok(Target::Any),
            "primary" | "master" => Ok(Target::Primary),
            "secondary" | "slave" => Ok(Target::Secondary),
            "preferprimary" => Ok(Target::PreferPrimary),
            "prefersecondary" | "preferslave" => Ok(Target::PreferSecondary),
            _ => Err(Error::config(format!("targetServerType cannot be `{text}`"))
                .advise("use any, primary, secondary, preferPrimary or preferSecondary")),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Target::Primary => "a primary",
            Target::Secondary => "a standby",
            Target::Any | Target::PreferPrimary | Target::PreferSecondary => "reachable",
        }
    }

    fn fits(self, standby: bool) -> Fit {
        match (self, standby) {
            (Target::Any, _) | (Target::Primary | Target::PreferPrimary, false) => Fit::Yes,
            (Target::Secondary | Target::PreferSecondary, true) => Fit::Yes,
            (Target::PreferPrimary, true) | (Target::PreferSecondary, false) => Fit::Rather,
            _ => Fit::No,
        }
    }
}

/// A connection, how another one is opened to the same place, and whether a pooler answered.
struct Opened {
    connection: PgConnection,
    way: Way<PgSslMode>,
    options: PgConnectOptions,
    pooled: bool,
}

/// One host, over each way of encryption that `sslmode` allows.
async fn attempt(source: &SourceSpec, (host, port): (&str, u16), settings: &Settings) -> Result<Opened> {
    let parameters = &source.url.parameters;
    let mut pooled = parameter(parameters, "prepareThreshold") == Some("0")
        || parameter(parameters, "preferQueryMode").is_some_and(|mode| mode.starts_with("simple"));
    let (base, trust) = (base_options(source)?, trust(parameters)?);
    let mut failure = None;
    for mode in ssl_modes(parameters)? {
        let way = Way { host: host.to_owned(), port, mode, trust: trust.clone() };
        let mut result = way.connect(with_settings(base.clone(), settings, pooled)).await?;
        if !pooled && result.as_ref().err().is_some_and(may_refuse_options) {
            // Another cause shows again without the settings.
            pooled = true;
            result = way.connect(with_settings(base.clone(), settings, pooled)).await?;
        }
        match result {
            Ok(connection) => {
                // A pooler takes no settings, and looking at a session needs none.
                let options = base.extra_float_digits(None);
                return Ok(Opened { connection, way, options, pooled });
            }
            Err(error) => {
                let goes_on = matches!(error, sqlx::Error::Tls(_)) || code_of(&error) == Some("28000".to_owned());
                let error = classify(error, Doing::Connect);
                if !goes_on {
                    return Err(error);
                }
                failure.get_or_insert(error);
            }
        }
    }
    Err(failure.unwrap_or_else(|| Error::internal("no connection was tried")))
}

impl Reach for PgConnectOptions {
    type Mode = PgSslMode;
    const PROTOCOL: Protocol = Protocol::PostgreSql;
    const VERIFIED: PgSslMode = PgSslMode::VerifyFull;

    fn verifies_name(mode: PgSslMode) -> Option<bool> {
        match mode {
            PgSslMode::VerifyFull => Some(true),
            PgSslMode::VerifyCa => Some(false),
            _ => None,
        }
    }

    fn is_socket(&self, host: &str) -> bool {
        host.starts_with('/')
    }

    fn to(self, host: &str, port: u16, mode: PgSslMode) -> Self {
        self.host(host).port(port).ssl_mode(mode)
    }

    fn trusting(self, authorities: Vec<u8>) -> Self {
        self.ssl_root_cert_from_pem(authorities)
    }

    fn identified(self, certificates: &[u8], key: &[u8]) -> Self {
        self.ssl_client_cert_from_pem(certificates).ssl_client_key_from_pem(key)
    }
}

fn code_of(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned())
}

/// Poolers and proxies do not take the settings of a session at its start, each in its own words and with a code of its
/// own. A server that says no for another reason has its codes for that: credentials, the database, its state.
fn may_refuse_options(error: &sqlx::Error) -> bool {
    const OTHER_REASONS: &[&str] = &["28", "3D", "53", "57", "42501", "55000"];
    let is_other = |code: String| OTHER_REASONS.iter().any(|reason| code.starts_with(reason));
    error.as_database_error().is_some() && !code_of(error).is_some_and(is_other)
}

/// The ways to try in order (pgjdbc's meaning of `ssl`, `sslmode` and `sslfactory`).
fn ssl_modes(parameters: &Parameters) -> Result<Vec<PgSslMode>> {
    let factory = parameter(parameters, "sslfactory").unwrap_or_default();
    let default = if is_set(parameters, "ssl") { "verify-full" } else { "prefer" };
    let mode = parameter(parameters, "sslmode").unwrap_or(default);
    let modes = match mode {
        "disable" => vec![PgSslMode::Disable],
        "allow" => vec![PgSslMode::Disable, PgSslMode::Require],
        "prefer" => vec![PgSslMode::Prefer, PgSslMode::Disable],
        "require" => vec![PgSslMode::Require],
        "verify-ca" => vec![PgSslMode::VerifyCa],
        "verify-full" => vec![PgSslMode::VerifyFull],
        _ => {
            return Err(Error::config(format!("sslmode cannot be `{mode}`"))
                .advise("use disable, allow, prefer, require, verify-ca or verify-full"));
        }
    };
    if factory.is_empty() || factory.ends_with(".LibPQFactory") || factory.ends_with(".DefaultJavaSSLFactory") {
        return Ok(modes);
    }
    if factory.ends_with(".NonValidatingFactory") {
        return Ok(if mode.starts_with("verify") { vec![PgSslMode::Require] } else { modes });
    }
    Err(Error::config(format!("sslfactory {factory} needs a JVM")).advise("remove it and set sslmode and sslrootcert"))
}

fn base_options(source: &SourceSpec) -> Result<PgConnectOptions> {
    let parameters = &source.url.parameters;
    let mut options = PgConnectOptions::new_without_pgpass()
        .application_name(parameter(parameters, "ApplicationName").unwrap_or("rowtide"))
        .extra_float_digits(3)
        .statement_cache_capacity(STATEMENTS_KEPT)
        .disable_statement_logging();
    if let Some(user) = &source.user {
        options = options.username(user);
    }
    let user = options.get_username().to_owned();
    options = options.database(source.url.database.as_deref().unwrap_or(&user));
    if let Some(password) = &source.password {
        options = options.password(password.reveal());
    }
    Ok(options)
}

/// The files of TLS. As for pgjdbc, a key may bring its certificate (PKCS12), and the other way round.
fn trust(parameters: &Parameters) -> Result<Trust> {
    let home = default_root();
    let root = parameter(parameters, "sslrootcert").or(home.as_deref());
    let authorities = match root {
        // libpq's word for them.
        None | Some("system") => None,
        Some(path) => Some(Certificates::read(&Input::file("sslrootcert", path)?)?),
    };
    let mut files = Vec::new();
    for name in ["sslcert", "sslkey"] {
        if let Some(path) = parameter(parameters, name) {
            let password = parameter(parameters, "sslpassword");
            files.push(Input::file(name, path)?.password("sslpassword", password));
        }
    }
    let identity = if files.is_empty() { None } else { Some(Identity::read(&files)?) };
    Ok(Trust { authorities, name: true, identity })
}

/// `~/.postgresql/root.crt`, where pgjdbc and libpq look.
fn default_root() -> Option<String> {
    let path = std::path::Path::new(&std::env::var_os("HOME")?).join(".postgresql/root.crt");
    path.exists().then(|| path.display().to_string())
}

/// The settings of the session, sent at its start unless a pooler answers, which has them in each transaction.
fn with_settings(options: PgConnectOptions, settings: &Settings, pooled: bool) -> PgConnectOptions {
    // PgBouncer does not take this one either.
    if pooled { options.extra_float_digits(None) } else { options.options(settings.at_start()) }
}

/// Asks the server for its version, its role (primary or standby), its settings and its identity.
async fn greet(opened: Opened, source: &SourceSpec, settings: &Settings, silence: Duration) -> Result<Session> {
    let Opened { mut connection, way, options, mut pooled } = opened;
    let blind = &Vigil::blind(silence);
    let sql = format!(
        "select current_setting('server_version'), pg_is_in_recovery()::text; \
         select pg_backend_pid()::text, extract(epoch from now())::text; \
         select 'started', extract(epoch from pg_postmaster_start_time())::text; {}",
        Settings::present()
    );
    let call = sqlx::raw_sql(statement(&sql)).fetch_all(&mut connection);
    let rows = answered(blind, Doing::Connect, call).await?;
    let unreadable = || Error::internal("the server's greeting cannot be read");
    let pair = |row: &PgRow| Ok((row.try_get::<String, _>(0)?, row.try_get::<String, _>(1)?));
    let pairs: sqlx::Result<Vec<(String, String)>> = rows.iter().map(pair).collect();
    let mut pairs = pairs.map_err(|_| unreadable())?.into_iter();
    let (version, standby) = pairs.next().ok_or_else(unreadable)?;
    let (pid, now) = pairs.next().ok_or_else(unreadable)?;
    let (_, instance) = pairs.next().ok_or_else(unreadable)?;
    new_enough(&version)?;
    let present: BTreeMap<String, String> = pairs.collect();
    let charset = Charset::new(present.get(ENCODING).map_or("", String::as_str));
    let missed = settings.missed(&present);
    if !pooled && !missed.is_empty() {
        tracing::info!(
            settings = missed.join(", "),
            "something between drops settings; they are set in each transaction"
        );
        pooled = true;
    }
    let local = if pooled { settings.in_transaction(&present) } else { String::new() };
    let rest = settings.after_start(&present);
    if !pooled && !rest.is_empty() {
        let call = sqlx::raw_sql(statement(&rest)).execute(&mut connection);
        answered(blind, Doing::Connect, call).await?;
    }
    let identity = identity::of(&mut connection, blind).await?;
    let backend = Backend::parse(&pid, &now).filter(|_| !pooled);
    let beside = Arc::new(Beside::new((way, options), pooled, instance, backend));
    notice_lost_clients(&mut connection, blind, pooled).await;
    let door: Arc<dyn SideDoor> = beside.clone();
    let vigil = Vigil::beside(silence, door);
    Ok(Session {
        connection,
        identity,
        standby: standby == "true",
        server: format!("PostgreSQL {version}"),
        types: source.types.clone(),
        hide_unprivileged: is_set(&source.url.parameters, "hideUnprivilegedObjects"),
        beside,
        pooled,
        begin: settings.begin(),
        local,
        notes: Notes { charset: Arc::new(charset), ..Notes::default() },
        _farewell: Farewell(vigil.clone()),
        vigil,
    })
}

/// The server shall not go on for a process that is gone (14 and newer, where its system can tell).
async fn notice_lost_clients(connection: &mut PgConnection, vigil: &Vigil, pooled: bool) {
    if !pooled {
        let call = sqlx::raw_sql("set client_connection_check_interval = '10s'").execute(connection);
        let _ = answered(vigil, Doing::Connect, call).await;
    }
}

/// The oldest major version whose catalog is read.
const OLDEST: u32 = 12;

/// `15.8 (Debian 15.8-0+deb12u1)`, `17beta1`, `9.6.24`.
fn new_enough(version: &str) -> Result<()> {
    let end = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    match version[..end].parse::<u32>() {
        Ok(major) if major < OLDEST => Err(Error::config(format!("PostgreSQL {version} is too old"))
            .advise(format!("rowtide reads PostgreSQL {OLDEST} and newer"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_too_old_to_be_described_are_refused() {
        for version in ["12.0", "15.8 (Debian 15.8-0+deb12u1)", "17beta1"] {
            assert!(new_enough(version).is_ok(), "{version}");
        }
        for version in ["9.6.24", "11.22"] {
            assert!(new_enough(version).unwrap_err().advice().contains("12 and newer"), "{version}");
        }
    }

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn modes(pairs: &[(&str, &str)]) -> String {
        ssl_modes(&parameters(pairs)).map_or_else(|error| error.to_string(), |modes| format!("{modes:?}"))
    }

    #[test]
    fn encryption_means_what_pgjdbc_says() {
        assert_eq!(modes(&[]), "[Prefer, Disable]");
        assert_eq!(modes(&[("ssl", "true")]), "[VerifyFull]");
        assert_eq!(modes(&[("ssl", "")]), "[VerifyFull]");
        assert_eq!(modes(&[("ssl", "true"), ("sslmode", "require")]), "[Require]");
        assert_eq!(modes(&[("ssl", "true"), ("sslfactory", "org.postgresql.ssl.NonValidatingFactory")]), "[Require]");
        assert!(modes(&[("sslfactory", "com.example.Own")]).contains("needs a JVM"));
        assert!(modes(&[("sslmode", "on")]).contains("cannot be `on`"));
    }

    #[test]
    fn a_server_s_role_decides_whether_it_will_do() {
        assert!(matches!(Target::parse("master").unwrap().fits(true), Fit::No));
        assert!(matches!(Target::parse("preferSecondary").unwrap().fits(false), Fit::Rather));
        assert!(Target::parse("other").is_err());
    }
}
