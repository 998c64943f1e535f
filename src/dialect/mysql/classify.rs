//! The errors of the MySQL family as [`ErrorKind`]s, by error number. Quoted parts of messages that may
//! hold row values are cut out.

use std::fmt;

use sqlx::mysql::MySqlDatabaseError;

use super::super::Doing;
use super::super::redact::without_quoted;
use super::super::rows::handshake_failure;
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

/// Whether TiDB no longer has what was asked for: its garbage collection keeps for `tidb_gc_life_time` what has been
/// overwritten.
pub(super) fn is_forgotten(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<ServerError>());
    cause.is_some_and(|cause| matches!(cause.number, 8055 | 9006))
}

/// Classifies an error of the driver.
pub(super) fn classify(error: sqlx::Error, doing: Doing) -> Error {
    match error {
        sqlx::Error::Database(error) => match error.try_downcast::<MySqlDatabaseError>() {
            Ok(error) => server_error(error.number(), error.message(), doing),
            Err(error) => server_error(0, error.message(), doing),
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
        // The server wants to go on about a password where there is none, or by a plugin the driver lacks.
        sqlx::Error::Protocol(message) if message.contains("during authentication") => {
            Error::new(ErrorKind::Auth, "the server refused the credentials")
                .caused_by(message)
                .advise("check connection.user and connection.password")
        }
        sqlx::Error::Protocol(message) if doing == Doing::Connect => {
            Error::new(ErrorKind::Unreachable, "the server does not answer as MySQL, MariaDB or TiDB does")
                .caused_by(message)
                .advise("check host and port of connection.url")
        }
        sqlx::Error::Protocol(message) => {
            Error::new(ErrorKind::Unreachable, "the connection is out of step").caused_by(message)
        }
        sqlx::Error::Configuration(error) => Error::config("the connection settings are not usable").caused_by(error),
        sqlx::Error::WorkerCrashed => Error::new(ErrorKind::Unreachable, "the connection to the database was lost"),
        // The rest are this module's mistakes; their text may hold values.
        _ => Error::internal("the driver refused a statement"),
    }
}

fn server_error(number: u16, message: &str, doing: Doing) -> Error {
    let kind = kind(number, doing);
    let what = match kind {
        ErrorKind::Auth => "the server refused the credentials",
        ErrorKind::Privilege => "the privilege is missing",
        ErrorKind::Unreachable => "the server closed or refused the connection",
        ErrorKind::SourceSchema => "the relation cannot be read as configured",
        ErrorKind::SchemaChanged => "the relation changed since it was described",
        ErrorKind::Value => "the database cannot compute a value",
        ErrorKind::Config => "the server does not accept the statement or a setting",
        _ => "the statement failed",
    };
    let message =
        if matches!(kind, ErrorKind::Value | ErrorKind::Query) { without_quoted(message) } else { message.to_owned() };
    let error = Error::new(kind, what).caused_by(ServerError { number, message });
    match number {
        _ if kind == ErrorKind::Auth => error.advise("check connection.user and connection.password"),
        1049 => error.advise("name an existing database in connection.url"),
        1064 | 1149 => error.advise("correct query or query.suffix; a query must be one SELECT without a semicolon"),
        1290 | 1792 | 1836 => error.advise("rowtide reads in read-only transactions; the query must not write"),
        1298 => error.advise(
            "the server knows no such time zone; load its time zone tables (mysql_tzinfo_to_sql), or use an \
             offset such as +02:00",
        ),
        1317 | 1907 | 1969 | 3024 => {
            error.advise("the statement was cancelled or ran into its time limit; look for a missing index")
        }
        1356 => error.advise(
            "the view names a table, a column or a function that is not there or that its definer may not use; \
             `show create view` shows it",
        ),
        1449 => error.advise(
            "a view runs as the user who defined it, and that user is gone; make the user again, or the view by another \
             (alter definer = ... view ...)",
        ),
        3159 => error.advise("the server demands TLS; set sslMode=REQUIRED in connection.url"),
        _ => error,
    }
}

fn kind(number: u16, doing: Doing) -> ErrorKind {
    let missing = if doing == Doing::Page { ErrorKind::SchemaChanged } else { ErrorKind::SourceSchema };
    match number {
        // Access denied; wrong or locked account; password expired; host not allowed; unknown plugin.
        1045 | 1130 | 1131 | 1396 | 1524 | 1698 | 1820 | 1862 | 2061 | 3118 | 3878 | 3879 | 3955 => ErrorKind::Auth,
        // No right to the database, command, table, column, routine or privilege.
        // 1345: the plan of a view, or what it is made of.
        1044 | 1142 | 1143 | 1227 | 1345 | 1370 => ErrorKind::Privilege,
        1046 | 1049 | 1064 | 1149 | 1193 | 1231 | 1232 | 1235 | 1273 | 1290 | 1295 | 1298 | 1621 | 1792 | 1836
        | 3159 => ErrorKind::Config,
        // Too many connections, shutdown, killed; nothing here is a reason to give up.
        1040 | 1053 | 1077 | 1129 | 1152 | 1158 | 1159 | 1160 | 1161 | 1184 | 1203 | 1226 | 1927 | 3032 | 4031
        | 9001 | 9002 | 9005 => ErrorKind::Unreachable,
        // No such table, column, view or index; a view that no longer holds.
        1051 | 1054 | 1109 | 1146 | 1176 => missing,
        // A view that describes well; to describe it again changes nothing.
        1356 | 1449 => ErrorKind::SourceSchema,
        // The table was altered between two steps.
        1412 | 1615 | 8022 | 8028 | 8113 => {
            if doing == Doing::Page {
                ErrorKind::SchemaChanged
            } else {
                ErrorKind::Query
            }
        }
        1052 | 1060 | 1222 | 1241 | 1248 | 1267 | 1271 | 1305 | 1349 => ErrorKind::SourceSchema,
        1264 | 1292 | 1365 | 1366 | 1367 | 1411 | 1525 | 1690 | 3140 | 3141 | 3156 => ErrorKind::Value,
        _ => ErrorKind::Query,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            (3024, Doing::Page, ErrorKind::Query),
            (1213, Doing::Page, ErrorKind::Query),
            (1053, Doing::Page, ErrorKind::Unreachable),
            (1365, Doing::Page, ErrorKind::Value),
            (1298, Doing::Connect, ErrorKind::Config),
        ] {
            assert_eq!(kind(number, doing), expected, "{number}");
        }
    }

    #[test]
    fn values_do_not_reach_the_message() {
        let error = server_error(1292, "Truncated incorrect DOUBLE value: '4711 secret'", Doing::Page);
        assert!(!error.report().contains("secret"), "{}", error.report());
        assert!(error.report().contains("1292"));
        let error = server_error(9006, "GC life time is shorter than transaction duration", Doing::Page);
        assert!(is_forgotten(&error) && error.kind() == ErrorKind::Query);
        let error = server_error(1054, "Unknown column 'seq' in 'field list'", Doing::Page);
        assert!(error.report().contains("'seq'") && !is_forgotten(&error));
    }
}
