//! Incarnations of tables: the file, its schema's version, and the ids it has handed out.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use sqlx::sqlite::SqliteArguments;

use super::super::connection::Counted;
use super::super::statement::Doing;
use super::session::{Session, column};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Incarnation;

/// Every change of a schema counts its version on, so that it is no more than a reason to look at the rows. Ids that are
/// counted are in a table that is only there if some table has AUTOINCREMENT.
const TABLES: &str = "select s.name, s.rootpage || ' ' || v.schema_version, null
    from sqlite_schema s, pragma_schema_version v where s.type = 'table' and s.rootpage > 0";
const COUNTERS: &str = "select name, seq from sqlite_sequence";

/// A file by its place in the file system and the time it was made: another one of the same name has others.
pub(super) async fn file(path: &Path) -> Option<String> {
    let metadata = tokio::fs::metadata(path).await.ok()?;
    let made = metadata.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
    Some(format!("{}:{}:{}", metadata.dev(), metadata.ino(), made.map_or(0, |made| made.as_millis())))
}

pub(super) async fn of(session: &mut Session, tables: &[Counted]) -> Result<Vec<Option<Incarnation>>> {
    let now = file(&session.path).await;
    if now.is_some() && now != session.file {
        let message = "the database file was replaced by another one";
        return Err(Error::new(ErrorKind::Unreachable, message).advise("rowtide opens the new one by itself"));
    }
    let rows = session.rows(TABLES, SqliteArguments::default(), Doing::Page).await?;
    let counts = match session.rows(COUNTERS, SqliteArguments::default(), Doing::Describe).await {
        // No table of the file has an AUTOINCREMENT.
        Err(error) if error.kind() == ErrorKind::SourceSchema => Vec::new(),
        answered => answered?,
    };
    let mut found = vec![None; tables.len()];
    for row in &rows {
        let name: String = column(row, 0)?;
        let storage = format!("{} {}", session.file.as_deref().unwrap_or_default(), column::<String>(row, 1)?);
        for ((id, counted), slot) in tables.iter().zip(&mut found) {
            if !id.name.eq_ignore_ascii_case(&name) {
                continue;
            }
            let mut last_id = counted.as_ref().map(|_| 0);
            for count in counts.iter().filter(|_| counted.is_some()) {
                if column::<String>(count, 0)?.eq_ignore_ascii_case(&name) {
                    last_id = column(count, 1)?;
                }
            }
            *slot = Some(Incarnation { storage: storage.clone(), made: None, counter: None, last_id });
        }
    }
    Ok(found)
}
