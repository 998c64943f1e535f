//! An open file: its parts, and the facts about columns kept between calls.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::path::PathBuf;

use sqlx::Row;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};

use super::super::statement::{Doing, statement};
use super::super::vigil::Vigil;
use super::super::vigil::farewell::Farewell;
use super::classify::classify;
use crate::config::spec::ColumnTypes;
use crate::error::{Error, Result};
use crate::model::Relation;

/// One open file.
pub(super) struct Session {
    pub(super) connection: SqliteConnection,
    pub(super) path: PathBuf,
    /// The file that is open, by its place and the time it was made.
    pub(super) file: Option<String>,
    pub(super) server: String,
    pub(super) types: ColumnTypes,
    pub(super) vigil: Vigil,
    /// `date_precision`: units a second of integer times.
    pub(super) per_second: u16,
    pub(super) notes: Notes,
    pub(super) _farewell: Farewell,
}

/// Facts about columns that values have shown, per relation.
#[derive(Default)]
pub(super) struct Notes {
    /// Columns that held a value beyond the usual field of their type.
    pub(super) wide: HashMap<Relation, HashSet<String>>,
    /// Columns described NOT NULL that gave a null (outer joins).
    pub(super) nullable: HashMap<Relation, HashSet<String>>,
}

/// Waits for an answer.
pub(super) async fn answered<T>(vigil: &Vigil, doing: Doing, call: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
    vigil.answer(call).await?.map_err(|error| classify(error, doing))
}

/// A value of the catalog.
pub(super) fn column<'r, T>(row: &'r SqliteRow, index: usize) -> Result<T>
where
    T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    row.try_get(index).map_err(|_| Error::internal("the catalog answers in another form than expected"))
}

impl Session {
    pub(super) async fn rows(&mut self, sql: &str, binds: SqliteArguments, doing: Doing) -> Result<Vec<SqliteRow>> {
        let call = sqlx::query_with(statement(sql), binds).persistent(false);
        answered(&self.vigil, doing, call.fetch_all(&mut self.connection)).await
    }

    /// Makes the driver's thread look at the schema: SQLite finds out only while running a statement that
    /// the schema changed, and the driver does not survive columns that appear between preparing and running.
    pub(super) async fn refresh(&mut self) -> Result<()> {
        self.rows("select count(*) from sqlite_schema where 0", SqliteArguments::default(), Doing::Page).await?;
        Ok(())
    }
}
