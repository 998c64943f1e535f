//! Incarnations of tables: the file, its schema's version, and the ids it has handed out.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use sqlx::sqlite::{SqliteArguments, SqliteRow};

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
    // Names differ by more than the case of their letters.
    let by_name = |rows: &[SqliteRow]| -> Result<HashMap<String, usize>> {
        let named = rows.iter().enumerate();
        named.map(|(place, row)| Ok((column::<String>(row, 0)?.to_ascii_lowercase(), place))).collect()
    };
    let (places, counters) = (by_name(&rows)?, by_name(&counts)?);
    let incarnation = |(id, counted): &Counted| -> Result<Option<Incarnation>> {
        let name = id.name.to_ascii_lowercase();
        let Some(place) = places.get(&name) else { return Ok(None) };
        let file = session.file.as_deref().unwrap_or_default();
        let storage = format!("{file} {}", column::<String>(&rows[*place], 1)?);
        let last_id = match (counted, counters.get(&name)) {
            (None, _) => None,
            (Some(_), None) => Some(0),
            (Some(_), Some(place)) => column(&counts[*place], 1)?,
        };
        Ok(Some(Incarnation { storage, made: None, counter: None, last_id }))
    };
    tables.iter().map(incarnation).collect()
}
