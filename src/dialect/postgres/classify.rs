//! PostgreSQL's errors as [`ErrorKind`]s. Only SQLSTATE and primary message are kept: DETAIL holds row
//! values, and so do quoted parts of data errors, which are cut out.

use std::fmt;

use sqlx::postgres::PgDatabaseError;

use super::super::Doing;
use super::super::redact::without_quoted;
use super::super::rows::handshake_failure;
use crate::error::{Error, ErrorKind};

/// The cause that is kept of a server's error.
#[derive(Debug)]
struct ServerError {
    code: String,
    message: String,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code)
    }
}

impl std::error::Error for ServerError {}

/// Classifies an error of the driver.
pub(super) fn classify(error: sqlx::Error, doing: Doing) -> Error {
    match error {
        sqlx::Error::Database(error) => match error.try_downcast::<PgDatabaseError>() {
            Ok(error) => server_error(error.code(), error.message(), doing),
            Err(error) => server_error(&error.code().unwrap_or_default(), error.message(), doing),
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
            .advise("check sslmode, sslrootcert and the server's certificate"),
        sqlx::Error::Protocol(message) if doing == Doing::Connect => {
            Error::new(ErrorKind::Unreachable, "the server does not answer as PostgreSQL does").caused_by(message)
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

fn server_error(code: &str, message: &str, doing: Doing) -> Error {
    let kind = kind(code, message, doing);
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
    let cause = ServerError { code: code.to_owned(), message: without_values(code, message) };
    let error = Error::new(kind, what).caused_by(cause);
    match code {
        _ if kind == ErrorKind::Auth => error.advise("check connection.user and connection.password"),
        "3D000" => error.advise("name an existing database in connection.url"),
        "25006" => error.advise("rowtide reads in read-only transactions; the query must not write"),
        "57014" => error.advise("the statement was cancelled or ran into its time limit; look for a missing index"),
        "42601" => error.advise("correct query or query.suffix; a query must be one SELECT without a semicolon"),
        _ => error,
    }
}

fn kind(code: &str, message: &str, doing: Doing) -> ErrorKind {
    let missing = if doing == Doing::Page { ErrorKind::SchemaChanged } else { ErrorKind::SourceSchema };
    match code {
        "42501" => ErrorKind::Privilege,
        "42601" | "25006" | "3D000" | "3F000" | "42704" => ErrorKind::Config,
        "0A000" if message.contains("cached plan") => ErrorKind::SchemaChanged,
        "42P01" | "42703" | "42804" | "42883" | "42846" => missing,
        "26000" | "42P05" => ErrorKind::Unreachable,
        "22023" if doing == Doing::Connect => ErrorKind::Config,
        "25P03" | "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "53300" | "53400" => ErrorKind::Unreachable,
        _ => match code.get(..2).unwrap_or_default() {
            "08" => ErrorKind::Unreachable,
            "28" => ErrorKind::Auth,
            "22" => ErrorKind::Value,
            "42" | "0A" => ErrorKind::SourceSchema,
            _ => ErrorKind::Query,
        },
    }
}

/// The message, its quoted parts cut out unless they can only be names.
fn without_values(code: &str, message: &str) -> String {
    let names_only = ["42", "3D", "3F", "28", "57", "08", "0A", "25"].iter().any(|class| code.starts_with(class));
    if names_only {
        return message.to_owned();
    }
    without_quoted(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_of_error_has_its_kind() {
        for (code, doing, expected) in [
            ("28P01", Doing::Connect, ErrorKind::Auth),
            ("28000", Doing::Connect, ErrorKind::Auth),
            ("3D000", Doing::Connect, ErrorKind::Config),
            ("57P03", Doing::Connect, ErrorKind::Unreachable),
            ("53300", Doing::Connect, ErrorKind::Unreachable),
            ("42501", Doing::Page, ErrorKind::Privilege),
            ("42P01", Doing::Describe, ErrorKind::SourceSchema),
            ("42703", Doing::Page, ErrorKind::SchemaChanged),
            ("42601", Doing::Describe, ErrorKind::Config),
            ("57014", Doing::Page, ErrorKind::Query),
            ("40P01", Doing::Page, ErrorKind::Query),
            ("40001", Doing::Page, ErrorKind::Query),
            ("55P03", Doing::Page, ErrorKind::Query),
            ("57P01", Doing::Page, ErrorKind::Unreachable),
            ("08006", Doing::Page, ErrorKind::Unreachable),
            ("22012", Doing::Page, ErrorKind::Value),
            ("XX000", Doing::Page, ErrorKind::Query),
        ] {
            assert_eq!(kind(code, "", doing), expected, "{code}");
        }
        let message = "cached plan must not change result type";
        assert_eq!(kind("0A000", message, Doing::Page), ErrorKind::SchemaChanged);
    }

    #[test]
    fn values_do_not_reach_the_message() {
        let error = server_error("22P02", "invalid input syntax for type integer: \"4711 secret\"", Doing::Page);
        assert!(!error.report().contains("secret"), "{}", error.report());
        assert!(error.report().contains("22P02"));
        let error = server_error("42703", "column \"seq\" does not exist", Doing::Page);
        assert!(error.report().contains("\"seq\""));
    }
}
