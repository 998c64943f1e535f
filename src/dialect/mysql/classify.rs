//! The errors of the MySQL family as [`ErrorKind`]s, by error number. Quoted parts of messages that may
//! hold row values are cut out.

use std::fmt;

use sqlx::mysql::MySqlDatabaseError;

use super::super::redact::without_quoted;
use super::super::statement::Doing;
use super::super::way::handshake_failure;
use crate::error::{Error, ErrorKind};

/// The cause that is kept of a server's error.
#[derive(Debug)]
struct ServerError {
    number: u16,
    message: String,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (error {})", self.message, self.number)
    }
}

impl std::error::Error for ServerError {}

/// True if TiDB no longer has the version asked for: its garbage collection keeps for `tidb_gc_life_time` what has been
/// overwritten.
pub(super) fn is_forgotten(error: &Error) -> bool {
    matches!(number_of(error), Some(8055 | 9006))
}

/// Classifies an error of the driver.
pub(super) fn classify(error: sqlx::Error, doing: Doing) -> Error {
    match error {
        sqlx::Error::Database(error) => match error.try_downcast::<MySqlDatabaseError>() {
            Ok(error) => server_error((error.number(), error.code().unwrap_or_default()), error.message(), doing),
            Err(error) => server_error((0, ""), error.message(), doing),
        },
        sqlx::Error::Io(error) => {
            let what = if doing == Doing::Connect {
                "cannot connect to the database"
            } else {
                "the connection to the database was lost"
            };
            Error::new(ErrorKind::Unreachable, what).caused_by(error)
        }
        sqlx::Error::Tls(error) => Error::new(handshake_failure(&error.to_string()), "the TLS handshake failed")
            .caused_by(error)
            .advise("check sslMode, the CA file and the server's certificate"),
        sqlx::Error::Protocol(message) if message.starts_with("unknown column type") => {
            Error::new(ErrorKind::SourceSchema, "a column of the result has a type that the driver does not know")
                .caused_by(message)
                .advise("cast it in the query, for example to char")
        }
        sqlx::Error::Protocol(message) if doing == Doing::Connect => handshake(message),
        sqlx::Error::Protocol(message) => {
            Error::new(ErrorKind::Unreachable, "the connection is out of step").caused_by(message)
        }
        sqlx::Error::Configuration(error) => Error::config("the connection settings are not usable").caused_by(error),
        sqlx::Error::WorkerCrashed => Error::new(ErrorKind::Unreachable, "the connection to the database was lost"),
        // The rest are this module's mistakes; their text may hold values.
        _ => Error::internal("the driver refused a statement"),
    }
}

/// The error of a session that could not be opened, by the driver's own words.
fn handshake(message: String) -> Error {
    if let Some(plugin) = message.strip_prefix("unknown authentication plugin: ") {
        let plugin = plugin.split(" (").next().unwrap_or(plugin);
        return Error::new(
            ErrorKind::Auth,
            format!("the account has an authentication plugin that rowtide lacks: {plugin}"),
        )
        .advise(PLUGINS);
    }
    if message.starts_with("mysql_cleartext_plugin disabled") {
        return Error::new(
            ErrorKind::Auth,
            "the server asks for the password in clear text (mysql_clear_password: PAM, LDAP, IAM)",
        )
        .advise("rowtide sends it over TLS only: set sslMode=REQUIRED, or better VERIFY_IDENTITY, in connection.url");
    }
    // The server asks for a password where there is none, or by a method that the driver does not know.
    if message.contains("during authentication") || message.starts_with("expected 21 bytes") {
        return Error::new(ErrorKind::Auth, "the server refused the credentials")
            .caused_by(message)
            .advise("check connection.user and connection.password");
    }
    Error::new(ErrorKind::Unreachable, "the server does not answer as MySQL, MariaDB or TiDB does")
        .caused_by(message)
        .advise("check host and port of connection.url")
}

const PLUGINS: &str = "rowtide has caching_sha2_password, sha256_password, mysql_native_password and, over TLS, \
                       mysql_clear_password; give its account one of them (ALTER USER ... IDENTIFIED WITH ...; MariaDB: \
                       IDENTIFIED VIA mysql_native_password)";

/// The server's own number of an error.
pub(super) fn number_of(error: &Error) -> Option<u16> {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<ServerError>());
    cause.map(|cause| cause.number)
}

fn server_error((number, state): (u16, &str), message: &str, doing: Doing) -> Error {
    let kind = kind(number, state, doing);
    let what = match kind {
        ErrorKind::Auth => "the server refused the credentials",
        ErrorKind::Privilege => "the privilege is missing",
        ErrorKind::Unreachable => "the server closed or refused the connection",
        ErrorKind::SourceSchema => "the relation cannot be read as configured",
        ErrorKind::SchemaChanged => "the relation changed since it was described",
        ErrorKind::Value => "the database cannot compute a value",
        ErrorKind::Config => "the server does not accept the statement or a setting",
        ErrorKind::SourceRefused if doing == Doing::Connect => "the server refuses the session",
        ErrorKind::SourceRefused => "the server refuses the statement",
        _ => "the statement failed",
    };
    let message = if matches!(kind, ErrorKind::Value | ErrorKind::Query | ErrorKind::TimeLimit)
        || WITH_VALUES.contains(&number)
    {
        without_quoted(message)
    } else {
        message.to_owned()
    };
    let error = Error::new(kind, what).caused_by(ServerError { number, message });
    match number {
        _ if kind == ErrorKind::Auth => error.advise("check connection.user and connection.password"),
        1040 => error.advise(
            "the server has all the connections it may have; raise max_connections, or end some; rowtide tries again by \
             itself",
        ),
        1203 => error.advise(
            "the account has all the connections it may have; raise max_user_connections or its MAX_USER_CONNECTIONS, or \
             lower tasks.max; rowtide tries again by itself",
        ),
        1226 => error.advise(
            "the account has used up its limit for this hour, or of connections at a time; raise the limit that the \
             server names (ALTER USER ... WITH ...), or raise poll.interval.ms; rowtide tries again by itself",
        ),
        1129 => error.advise("the server has shut this host out after broken connections: mysqladmin flush-hosts"),
        1049 => error.advise("name an existing database in connection.url"),
        1064 | 1149 => error.advise("correct query or query.suffix; a query must be one SELECT without a semicolon"),
        1290 | 1792 | 1836 => error.advise("rowtide reads in read-only transactions; the query must not write"),
        1298 => error.advise(
            "the server knows no such time zone; load its time zone tables (mysql_tzinfo_to_sql), or use an \
             offset such as +02:00",
        ),
        1317 | 1907 | 1969 | 3024 => error.advise(
            "somebody cancelled the statement, or a time limit that rowtide does not set (sessionVariables of \
             connection.url, a proxy's) is too short; raise it, or look for a missing index",
        ),
        1356 => error.advise(
            "the view names a table, a column or a function that is not there or that its definer may not use; \
             `show create view` shows it",
        ),
        1449 => error.advise(
            "a view runs as the user who defined it, and that user no longer exists; create the user again, or give \
             the view another definer (alter definer = ... view ...)",
        ),
        3159 => error.advise("the server demands TLS; set sslMode=REQUIRED in connection.url"),
        _ => error,
    }
}

/// Messages that may hold a row's value although the error is not about a value.
const WITH_VALUES: &[u16] = &[1062, 1105, 1242, 1139, 3141, 3685, 3692];

/// Errors that may pass by themselves: the statement is tried again. Closed: every other error that has no kind of its
/// own ends the table with the server's words.
const PASSES: &[&[u16]] = &[
    // Deadlocks, conflicts, and locks that were not granted in time.
    &[1020, 1205, 1206, 1213, 1614, 1689, 3058, 3101, 3572],
    // Cancelled, or over a time limit.
    &[1028, 1317, 1907, 1969, 3024],
    // Out of disk, files, memory, threads.
    &[1004, 1021, 1026, 1037, 1038, 1041, 1114, 1135, 4082, 4083],
    // The table was altered between two steps.
    &[1412, 1615],
    // A server behind a table that does not answer.
    &[1297, 1429, 12701],
    // TiDB: write conflicts, schema changes under way, versions removed by garbage collection.
    &[8002, 8022, 8027, 8028, 8055, 8113, 9006, 9007, 9008],
    // TiDB: limits of memory and of resource groups; storage that is busy or full.
    &[8175, 8176, 8252, 8253, 9003, 9004, 9010, 9011, 9012, 9013],
];

fn kind(number: u16, state: &str, doing: Doing) -> ErrorKind {
    let missing = if doing == Doing::Page { ErrorKind::SchemaChanged } else { ErrorKind::SourceSchema };
    match number {
        // Access denied; wrong or locked account; password expired; host not allowed; unknown plugin.
        1045 | 1130 | 1131 | 1251 | 1275 | 1396 | 1524 | 1698 | 1820 | 1862 | 2061 | 3118 | 3878 | 3879 | 3955 => {
            ErrorKind::Auth
        }
        // No right to the database, command, table, column, routine or privilege. 1345: the plan of a view, or its
        // underlying tables.
        1044 | 1142 | 1143 | 1227 | 1345 | 1370 => ErrorKind::Privilege,
        1046 | 1049 | 1064 | 1149 | 1193 | 1231 | 1232 | 1235 | 1273 | 1290 | 1295 | 1298 | 1621 | 1792 | 1836
        | 3159 => ErrorKind::Config,
        // Too many connections, shutdown, killed; nothing here is a reason to give up. 2002 to 2013 are words of a
        // client, which a proxy passes on.
        1040 | 1053 | 1077 | 1129 | 1152 | 1158 | 1159 | 1160 | 1161 | 1184 | 1203 | 1226 | 1927 | 2002 | 2003
        | 2006 | 2013 | 3032 | 3168 | 3169 | 4031 | 9001 | 9002 | 9005 => ErrorKind::Unreachable,
        // No such table, column, view or index; a view that no longer holds.
        1051 | 1054 | 1109 | 1146 | 1176 => missing,
        // A view that can be described; describing it again changes nothing.
        1356 | 1449 => ErrorKind::SourceSchema,
        // The table was altered between two steps.
        1412 | 1615 | 8022 | 8028 | 8113 if doing == Doing::Page => ErrorKind::SchemaChanged,
        1052 | 1060 | 1222 | 1241 | 1248 | 1267 | 1271 | 1305 | 1349 => ErrorKind::SourceSchema,
        1317 | 1907 | 1969 | 3024 => ErrorKind::TimeLimit,
        1264 | 1292 | 1365 | 1366 | 1367 | 1411 | 1525 | 1690 | 3140 | 3141 | 3156 => ErrorKind::Value,
        number if PASSES.iter().any(|group| group.contains(&number)) => ErrorKind::Query,
        // By class: a connection that is broken (a node of a cluster that is not in sync), a transaction rolled back.
        _ if state.starts_with("08") => ErrorKind::Unreachable,
        _ if state == "40001" => ErrorKind::Query,
        _ => ErrorKind::SourceRefused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Directive;

    #[test]
    fn every_class_of_error_has_its_kind() {
        for (number, doing, expected) in [
            (1045, Doing::Connect, ErrorKind::Auth),
            (1044, Doing::Connect, ErrorKind::Privilege),
            (1049, Doing::Connect, ErrorKind::Config),
            (1040, Doing::Connect, ErrorKind::Unreachable),
            (1142, Doing::Page, ErrorKind::Privilege),
            (1146, Doing::Describe, ErrorKind::SourceSchema),
            (1146, Doing::Page, ErrorKind::SchemaChanged),
            (1054, Doing::Page, ErrorKind::SchemaChanged),
            (1064, Doing::Describe, ErrorKind::Config),
            (3024, Doing::Page, ErrorKind::TimeLimit),
            (1213, Doing::Page, ErrorKind::Query),
            (1053, Doing::Page, ErrorKind::Unreachable),
            (1365, Doing::Page, ErrorKind::Value),
            (1298, Doing::Connect, ErrorKind::Config),
        ] {
            assert_eq!(kind(number, "HY000", doing), expected, "{number}");
        }
    }

    #[test]
    fn what_does_not_pass_is_not_waited_for() {
        let never = [
            1030, 1055, 1066, 1105, 1111, 1115, 1139, 1140, 1194, 1221, 1234, 1242, 1253, 1401, 1449, 1747, 3037, 3143,
            3593, 3691, 4015, 4078, 4161, 8130, 65_000,
        ];
        for number in never {
            for doing in [Doing::Connect, Doing::Describe, Doing::Page] {
                let error = server_error((number, "HY000"), "no", doing);
                assert_ne!(error.kind().directive(), Directive::Retry, "{number} {doing:?}");
            }
        }
        for number in [1040, 1203, 1205, 1213, 1226, 1317, 1969, 3024, 1041, 1114, 1927, 2013, 4031, 8175, 9003, 9005] {
            let error = server_error((number, "HY000"), "later", Doing::Page);
            assert_eq!(error.kind().directive(), Directive::Retry, "{number}");
        }
        // A node of a Galera cluster that is not in sync.
        assert_eq!(kind(1047, "08S01", Doing::Page), ErrorKind::Unreachable);
    }

    #[test]
    fn a_plugin_that_the_driver_lacks_is_named() {
        let driver = |message: &str| classify(sqlx::Error::Protocol(message.to_owned()), Doing::Connect);
        let error = driver("unknown authentication plugin: client_ed25519 (sqlx_mysql::protocol::auth:37)");
        assert_eq!(error.kind(), ErrorKind::Auth);
        assert!(error.report().ends_with("client_ed25519") && error.advice().contains("caching_sha2_password"));
        assert!(driver("mysql_cleartext_plugin disabled (m:1)").advice().contains("sslMode=REQUIRED"));
        assert_eq!(driver("Packet empty (m:1)").kind(), ErrorKind::Unreachable);
    }

    #[test]
    fn values_do_not_reach_the_message() {
        let error = server_error((1292, "HY000"), "Truncated incorrect DOUBLE value: '4711 secret'", Doing::Page);
        assert!(!error.report().contains("secret"), "{}", error.report());
        assert!(error.report().contains("1292"));
        let error = server_error((9006, "HY000"), "GC life time is shorter than transaction duration", Doing::Page);
        assert!(is_forgotten(&error) && error.kind() == ErrorKind::Query);
        let error = server_error((1054, "HY000"), "Unknown column 'seq' in 'field list'", Doing::Page);
        assert!(error.report().contains("'seq'") && !is_forgotten(&error));
    }
}
