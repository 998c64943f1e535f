//! Opens a database file for reading. The file is never created, and nothing is written to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions};
use sqlx::{ConnectOptions, SqliteConnection};

use super::super::statement::Doing;
use super::super::vigil::Vigil;
use super::super::vigil::farewell::Farewell;
use super::beside::Beside;
use super::incarnation;
use super::session::{Notes, Session, answered, column};
use crate::config::spec::SourceSpec;
use crate::error::{Error, ErrorKind, Result};

/// The PRAGMAs that matter to a reader; others are accepted and have no effect.
const PRAGMAS: &[&str] = &["cache_size", "mmap_size", "temp_store", "read_uncommitted", "case_sensitive_like"];

/// The steps of its virtual machine between two looks at whether a statement is cancelled.
const STEPS: i32 = 10_000;

pub(super) async fn open(source: &SourceSpec) -> Result<Session> {
    let parameters = &source.url.parameters;
    let parameter = |name: &str| parameters.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let (path, query) = path_of(source.url.database.as_deref().unwrap_or_default())?;
    let uri = |name: &str| {
        let in_path = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
        in_path.map(|(_, value)| value.to_owned()).or_else(|| parameter(name).map(str::to_owned))
    };
    if uri("mode").as_deref() == Some("memory") {
        return Err(in_memory());
    }
    is_there(&path).await?;
    let busy: u64 = match parameter("busy_timeout") {
        Some(text) => text.parse().map_err(|_| Error::config("busy_timeout must be whole milliseconds"))?,
        None => 3_000,
    };
    let per_second = match parameter("date_precision").map(str::to_ascii_uppercase).as_deref() {
        None | Some("MILLISECONDS") => 1_000,
        Some("SECONDS") => 1,
        Some(_) => return Err(Error::config("date_precision must be MILLISECONDS or SECONDS")),
    };
    let mut options = SqliteConnectOptions::new()
        .filename(&path)
        .read_only(true)
        .create_if_missing(false)
        .shared_cache(uri("cache").as_deref() == Some("shared"))
        .immutable(matches!(uri("immutable").as_deref(), Some("1" | "true")))
        .busy_timeout(Duration::from_millis(busy.min(1_000_000)))
        // A cached statement would keep the columns of a table as they were.
        .statement_cache_capacity(0)
        .row_buffer_size(1_000)
        .disable_statement_logging();
    for name in PRAGMAS {
        if let Some(value) = parameter(name).filter(|value| is_word(value)) {
            options = options.pragma(*name, value.to_owned());
        }
    }
    // Before it is opened: if it is replaced meanwhile, the next look says so, and it is opened again.
    let file = incarnation::file(&path).await;
    let blind = Vigil::blind(source.connect_timeout);
    let mut connection = answered(&blind, Doing::Connect, options.connect()).await?;
    let beside = cancellable(&mut connection, &blind).await?;
    let vigil = Vigil::beside(source.statement_timeout, Arc::new(beside));
    let mut session = Session {
        connection,
        path,
        file,
        server: String::new(),
        types: source.types.clone(),
        per_second,
        notes: Notes::default(),
        _farewell: Farewell(vigil.clone()),
        vigil,
    };
    session.server = format!("SQLite {}", version(&mut session).await?);
    Ok(session)
}

/// The way to cancel a statement of a connection.
async fn cancellable(connection: &mut SqliteConnection, vigil: &Vigil) -> Result<Beside> {
    let beside = Beside::default();
    let cancelled = Arc::clone(&beside.cancelled);
    let mut handle = answered(vigil, Doing::Connect, connection.lock_handle()).await?;
    handle.set_progress_handler(STEPS, move || !cancelled.load(Ordering::Relaxed));
    Ok(beside)
}

/// # Errors
/// `Config` if there is no such file; `Io` if it cannot be looked at.
async fn is_there(path: &Path) -> Result<()> {
    match tokio::fs::metadata(path).await {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(_) => Err(Error::config(format!("{} is not a file", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Error::config(format!("there is no database file {}", path.display()))
                .advise("name an existing file in connection.url; rowtide never creates one"))
        }
        Err(error) => Err(Error::new(ErrorKind::Io, "the database file cannot be opened").caused_by(error)),
    }
}

/// SQLite's version, and whether the file is a database: its first page is read.
async fn version(session: &mut Session) -> Result<String> {
    let sql = "select sqlite_version() from (select count(*) from sqlite_schema)";
    let rows = session.rows(sql, SqliteArguments::default(), Doing::Connect).await?;
    rows.first().map_or_else(|| Ok(String::new()), |row| column(row, 0))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|character| character.is_ascii_alphanumeric() || character == '-')
}

fn in_memory() -> Error {
    Error::config("a database in memory belongs to one connection and would always be empty")
        .advise("name a file in connection.url")
}

/// The file of a path or `file:` URI, and the URI's own query.
fn path_of(database: &str) -> Result<(PathBuf, String)> {
    if database.is_empty() || database.starts_with(":memory:") {
        return Err(in_memory());
    }
    if database.starts_with(":resource:") {
        return Err(Error::config("a database within a JVM's resources cannot be opened"));
    }
    let Some(uri) = database.strip_prefix("file:") else { return Ok((PathBuf::from(database), String::new())) };
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    // file:///path and file://localhost/path name the same file as file:/path.
    let path = path.strip_prefix("//localhost").or_else(|| path.strip_prefix("//")).unwrap_or(path);
    let path = percent_decode_str(path)
        .decode_utf8()
        .map_err(|error| Error::config("the path in connection.url is not UTF-8").caused_by(error))?;
    if path.is_empty() || path.starts_with(":memory:") {
        return Err(in_memory());
    }
    Ok((PathBuf::from(path.as_ref()), query.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_uris_name_a_file() {
        let path = |text: &str| path_of(text).map(|(path, query)| (path.display().to_string(), query)).unwrap();
        assert_eq!(path("a b.db"), ("a b.db".to_owned(), String::new()));
        assert_eq!(path("file:///x/a%20b.db?mode=ro"), ("/x/a b.db".to_owned(), "mode=ro".to_owned()));
        assert_eq!(path("file:data.db").0, "data.db");
        for refused in ["", ":memory:", "file::memory:?cache=shared"] {
            assert_eq!(path_of(refused).unwrap_err().kind(), ErrorKind::Config, "{refused}");
        }
    }
}
