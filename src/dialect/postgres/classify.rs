//! PostgreSQL's errors as [`ErrorKind`]s. Only SQLSTATE and primary message are kept: DETAIL holds row
//! values, and so do quoted parts of data errors, which are cut out.

use std::fmt;

use sqlx::postgres::PgDatabaseError;

use super::super::redact::without_quoted;
use super::super::statement::Doing;
use super::super::way::handshake_failure;
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

/// True if it is an error of PostgreSQL itself.
pub(super) fn is_of_server(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.is::<ServerError>())
}

/// True if the server could not convert a character between the database's encoding and UTF-8, or found one that is
/// none of its encoding.
pub(super) fn is_inconvertible(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<ServerError>());
    cause.is_some_and(|cause| matches!(cause.code.as_str(), "22P05" | "22021"))
}

/// Classifies an error of the driver.
pub(super) fn classify(error: sqlx::Error, doing: Doing) -> Error {
    match error {
        sqlx::Error::Database(error) => match error.try_downcast::<PgDatabaseError>() {
            Ok(error) => server_error(error.code(), error.routine(), error.message(), doing),
            Err(error) => server_error(&error.code().unwrap_or_default(), None, error.message(), doing),
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

/// The error of a session that could not be opened, by the driver's own words. It has passwords and SCRAM; other
/// methods do not come by waiting.
fn handshake(message: String) -> Error {
    let behind = |words: &'static str| message.split_once(words).map(|(_, rest): (_, &str)| rest);
    let number = behind("unknown authentication method: ").and_then(|rest| rest.split(' ').next());
    let method = match number {
        Some("2") => Some("Kerberos"),
        Some("6") => Some("SCM credentials"),
        Some("7" | "8") => Some("GSSAPI (Kerberos)"),
        Some("9") => Some("SSPI"),
        Some(_) => Some("of a kind unknown to it"),
        None => behind("unsupported SASL authentication mechanisms: "),
    };
    match method {
        Some(method) => {
            let method = method.split(" (").next().unwrap_or(method);
            wrong_method(if method.starts_with("of ") || method.is_empty() { "another one" } else { method })
        }
        None => Error::new(ErrorKind::Unreachable, "the server does not answer as PostgreSQL does").caused_by(message),
    }
}

/// The server's pg_hba.conf asks for a method that rowtide does not have.
fn wrong_method(method: &str) -> Error {
    Error::new(
        ErrorKind::Auth,
        format!("the server asks for an authentication method that rowtide does not have: {method}"),
    )
    .advise(
        "rowtide has scram-sha-256, md5, password, trust, and client certificates (cert); write one of them for its \
             role in pg_hba.conf",
    )
}

/// The function of the server that finds a prepared statement whose result has other columns now. Unlike the message it
/// has one language.
const REVALIDATION: &str = "RevalidateCachedQuery";

/// The server's routine that refuses SCRAM without channel binding.
const SCRAM: &str = "scram_init";

fn server_error(code: &str, routine: Option<&str>, message: &str, doing: Doing) -> Error {
    if doing == Doing::Connect && routine == Some(SCRAM) {
        return wrong_method("SCRAM-SHA-256-PLUS, without SCRAM-SHA-256");
    }
    let kind = kind(code, routine, doing);
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
    let cause = ServerError { code: code.to_owned(), message: without_values(code, message) };
    let error = Error::new(kind, what).caused_by(cause);
    match code {
        _ if kind == ErrorKind::Auth => error.advise("check connection.user and connection.password"),
        "3D000" => error.advise("name an existing database in connection.url"),
        "25006" => error.advise("rowtide reads in read-only transactions; the query must not write"),
        "53300" => error.advise(
            "the server, the database or the role has all the sessions it may have; raise max_connections or the \
             CONNECTION LIMIT, or end some; rowtide tries again by itself",
        ),
        "57014" => error.advise(
            "somebody cancelled the statement, or a statement_timeout that rowtide does not set (options of \
             connection.url, a pooler's) is too short; raise it, or look for a missing index",
        ),
        "55P03" => {
            error.advise("it waited for a lock for as long as lock_timeout allows; rowtide tries again by itself")
        }
        "42601" => error.advise("correct query or query.suffix; a query must be one SELECT without a semicolon"),
        "55000" if doing == Doing::Connect => error.advise(
            "the database takes no connections for now (ALTER DATABASE ... ALLOW_CONNECTIONS); rowtide tries again by itself",
        ),
        "55000" => error
            .advise("bring the object into the state the server asks for (a materialized view: REFRESH), then restart"),
        _ => error,
    }
}

/// Errors that may pass by themselves: the statement is tried again. Closed: every other error that has no kind of its
/// own ends the table with the server's words.
const PASSES: &[&[&str]] = &[
    // Rolled back: serialization failure, unknown completion, deadlock; a conflict with recovery.
    &["40001", "40003", "40P01"],
    // A lock that was not granted in time, an object in use; cancelled, or over a time limit.
    &["55P03", "55006", "57014", "57000"],
    // Out of disk, memory, or another configured resource.
    &["53000", "53100", "53200", "53400"],
    // The system below the server; a snapshot that has become too old.
    &["58000", "58030", "72000"],
    // Internal: a statement that met the drop or the change of a table it reads.
    &["XX000"],
    // A server behind a foreign table that does not answer.
    &["HV00N"],
];

fn kind(code: &str, routine: Option<&str>, doing: Doing) -> ErrorKind {
    let missing = if doing == Doing::Page { ErrorKind::SchemaChanged } else { ErrorKind::SourceSchema };
    match code {
        "42501" => ErrorKind::Privilege,
        "42601" | "25006" | "3D000" | "3F000" | "42704" | "55P02" => ErrorKind::Config,
        "0A000" if routine == Some(REVALIDATION) => ErrorKind::SchemaChanged,
        "42P01" | "42703" | "42804" | "42883" | "42846" => missing,
        // The session is another one than before, behind a pooler.
        "26000" | "42P05" | "34000" | "25P02" => ErrorKind::Unreachable,
        "57014" => ErrorKind::TimeLimit,
        "22023" if doing == Doing::Connect => ErrorKind::Config,
        "55000" if doing == Doing::Connect => ErrorKind::Unreachable,
        "25P03" | "25P04" | "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "53300" => ErrorKind::Unreachable,
        code if PASSES.iter().any(|group| group.contains(&code)) => ErrorKind::Query,
        _ => match code.get(..2).unwrap_or_default() {
            "08" => ErrorKind::Unreachable,
            "28" => ErrorKind::Auth,
            "0A" if doing == Doing::Connect => ErrorKind::Config,
            "22" => ErrorKind::Value,
            "42" | "0A" => ErrorKind::SourceSchema,
            _ => ErrorKind::SourceRefused,
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
    use crate::error::Directive;

    #[test]
    fn every_class_of_error_has_its_kind() {
        for (code, doing, expected) in [
            ("28P01", Doing::Connect, ErrorKind::Auth),
            ("28000", Doing::Connect, ErrorKind::Auth),
            ("3D000", Doing::Connect, ErrorKind::Config),
            ("57P03", Doing::Connect, ErrorKind::Unreachable),
            ("55000", Doing::Connect, ErrorKind::Unreachable),
            ("55000", Doing::Page, ErrorKind::SourceRefused),
            ("53300", Doing::Connect, ErrorKind::Unreachable),
            ("42501", Doing::Page, ErrorKind::Privilege),
            ("42P01", Doing::Describe, ErrorKind::SourceSchema),
            ("42703", Doing::Page, ErrorKind::SchemaChanged),
            ("42601", Doing::Describe, ErrorKind::Config),
            ("57014", Doing::Page, ErrorKind::TimeLimit),
            ("40P01", Doing::Page, ErrorKind::Query),
            ("40001", Doing::Page, ErrorKind::Query),
            ("55P03", Doing::Page, ErrorKind::Query),
            ("57P01", Doing::Page, ErrorKind::Unreachable),
            ("08006", Doing::Page, ErrorKind::Unreachable),
            ("22012", Doing::Page, ErrorKind::Value),
            ("XX000", Doing::Page, ErrorKind::Query),
        ] {
            assert_eq!(kind(code, None, doing), expected, "{code}");
        }
        assert_eq!(kind("0A000", Some(REVALIDATION), Doing::Page), ErrorKind::SchemaChanged);
    }

    #[test]
    fn the_language_of_the_server_does_not_matter() {
        let german = "gecachter Plan darf den Ergebnistyp nicht ändern";
        assert_eq!(server_error("0A000", Some(REVALIDATION), german, Doing::Page).kind(), ErrorKind::SchemaChanged);
        let value = server_error("22P02", None, "ungültige Eingabesyntax für Typ integer: »4711 geheim«", Doing::Page);
        assert!(!value.report().contains("geheim"), "{}", value.report());
    }

    #[test]
    fn what_does_not_pass_is_not_waited_for() {
        for code in ["21000", "2200F", "39P01", "54001", "54023", "P0001", "XX001", "F0000", "HV000", "99999"] {
            for doing in [Doing::Connect, Doing::Describe, Doing::Page] {
                let error = server_error(code, None, "no", doing);
                assert_ne!(error.kind().directive(), Directive::Retry, "{code} {doing:?}");
            }
        }
        for code in ["40001", "40P01", "55P03", "57014", "53100", "53200", "08006", "57P01", "57P03", "53300", "25P03"]
        {
            let error = server_error(code, None, "later", Doing::Page);
            assert_eq!(error.kind().directive(), Directive::Retry, "{code}");
        }
    }

    #[test]
    fn a_method_that_the_driver_lacks_is_named() {
        for (message, method) in [
            (
                "Postgres protocol error (reading Authentication): unknown authentication method: 7 (m:84) (m:139)",
                "GSSAPI",
            ),
            ("unknown authentication method: 9 (m:1)", "SSPI"),
            ("unknown authentication method: 2 (m:1)", "Kerberos"),
            (
                "unsupported SASL authentication mechanisms: OAUTHBEARER (sqlx_postgres::connection::sasl:44)",
                "OAUTHBEARER",
            ),
        ] {
            let error = classify(sqlx::Error::Protocol(message.to_owned()), Doing::Connect);
            assert_eq!(error.kind(), ErrorKind::Auth, "{message}");
            assert!(error.report().ends_with(method) || error.report().contains(method), "{}", error.report());
            assert!(error.advice().contains("scram-sha-256") && !error.report().contains("sqlx"), "{}", error.report());
        }
        let plus_only = server_error("08P01", Some(SCRAM), "client selected an invalid SASL mechanism", Doing::Connect);
        assert!(plus_only.report().contains("SCRAM-SHA-256-PLUS") && plus_only.kind() == ErrorKind::Auth);
    }

    #[test]
    fn values_do_not_reach_the_message() {
        let error = server_error("22P02", None, "invalid input syntax for type integer: \"4711 secret\"", Doing::Page);
        assert!(!error.report().contains("secret"), "{}", error.report());
        assert!(error.report().contains("22P02"));
        let error = server_error("42703", None, "column \"seq\" does not exist", Doing::Page);
        assert!(error.report().contains("\"seq\""));
    }
}
