//! The quick start's database: a SQLite file with the demo table, and the one connection that writes to
//! it, as an application would. rowtide itself reads the file through its dialect and never writes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Executor as _};

use crate::error::{Error, ErrorKind, Result};

/// The demo table with its index and the upkeep of `ts`; safe to apply again.
pub const MIGRATION: &str = include_str!("../../migrations/sqlite/0001_test_table.sql");

/// The demo database, open for writing. The file stays when this is dropped.
#[derive(Debug)]
pub struct DemoDatabase {
    connection: SqliteConnection,
    path: PathBuf,
}

impl DemoDatabase {
    /// Creates the file if it is not there, and the table in it.
    ///
    /// # Errors
    /// `Io` if the file cannot be written or is not a database.
    pub async fn create(path: &Path) -> Result<Self> {
        // A poll of the reader may be in the way for a moment; then the write waits.
        let options =
            SqliteConnectOptions::new().filename(path).create_if_missing(true).busy_timeout(Duration::from_secs(10));
        let opened = SqliteConnection::connect_with(&options).await;
        let mut connection = opened.map_err(|error| failed("cannot open the demo database", path, error))?;
        let applied = connection.execute(sqlx::raw_sql(MIGRATION)).await;
        applied.map_err(|error| failed("cannot create the demo table", path, error))?;
        Ok(Self { connection, path: path.to_owned() })
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The `connection.url` of the file.
    pub fn url(&self) -> String {
        format!("jdbc:sqlite:{}", self.path.display())
    }

    /// Runs statements of the demo in one transaction: how many rows were changed.
    ///
    /// # Errors
    /// `Query` if one is refused; then nothing is changed.
    pub async fn write(&mut self, statements: &[&'static str]) -> Result<u64> {
        let refused = |error| Error::new(ErrorKind::Query, "the demo database refused a statement").caused_by(error);
        let mut transaction = self.connection.begin().await.map_err(refused)?;
        let mut changed = 0;
        for statement in statements {
            changed += transaction.execute(*statement).await.map_err(refused)?.rows_affected();
        }
        transaction.commit().await.map_err(refused)?;
        Ok(changed)
    }

    /// Inserts a row: its `seq`.
    ///
    /// # Errors
    /// `Query` if it is refused.
    pub async fn insert(&mut self, item: &str, price: i64, category: &str) -> Result<i64> {
        let statement = sqlx::query("insert into test_table (item, price, category) values (?, ?, ?)");
        let inserted = statement.bind(item).bind(price).bind(category).execute(&mut self.connection).await;
        inserted.map(|done| done.last_insert_rowid()).map_err(|error| failed("cannot insert", &self.path, error))
    }

    /// Changes a row's item and price: whether there was one.
    ///
    /// # Errors
    /// `Query` if it is refused.
    pub async fn update(&mut self, seq: i64, item: &str, price: i64) -> Result<bool> {
        let statement = sqlx::query("update test_table set item = ?, price = ? where seq = ?");
        let updated = statement.bind(item).bind(price).bind(seq).execute(&mut self.connection).await;
        updated.map(|done| done.rows_affected() > 0).map_err(|error| failed("cannot update", &self.path, error))
    }
}

/// A statement that failed may be tried again; a file that cannot be used may not.
fn failed(message: &str, path: &Path, error: sqlx::Error) -> Error {
    let kind = match &error {
        sqlx::Error::Database(refused) if refused.code().is_some_and(|code| code == "5" || code == "6") => {
            ErrorKind::Query
        }
        _ => ErrorKind::Io,
    };
    Error::new(kind, message).with("file", path.display()).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn rows(database: &mut DemoDatabase) -> Vec<(i64, String, String, i64)> {
        let query = sqlx::query_as("select seq, ts, item, price from test_table order by seq");
        query.fetch_all(&mut database.connection).await.unwrap()
    }

    #[tokio::test]
    async fn every_write_moves_ts_and_a_second_create_keeps_the_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("demo.db");
        let mut database = DemoDatabase::create(&path).await.unwrap();
        assert_eq!(database.insert("apple", 400, "fruit").await.unwrap(), 1);
        assert_eq!(database.insert("banana", 160, "fruit").await.unwrap(), 2);
        let before = rows(&mut database).await;
        assert_eq!(before[0].1.len(), "2020-01-01 00:00:00.000".len());
        while !database.update(2, "orange", 100).await.unwrap() || rows(&mut database).await[1].1 == before[1].1 {}
        let after = rows(&mut database).await;
        assert_eq!(after[0], before[0]);
        assert!(after[1].1 > before[1].1);
        assert_eq!((after[1].2.as_str(), after[1].3), ("orange", 100));
        assert!(!database.update(9, "none", 1).await.unwrap());
        drop(database);
        let mut again = DemoDatabase::create(&path).await.unwrap();
        assert_eq!(rows(&mut again).await.len(), 2);
        assert!(again.url().ends_with("/demo.db"));
    }

    #[tokio::test]
    async fn a_group_of_statements_is_written_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = DemoDatabase::create(&folder.path().join("demo.db")).await.unwrap();
        let insert = "insert into test_table (item) values ('pork')";
        let error = database.write(&[insert, "insert into nowhere values (1)"]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Query);
        assert!(rows(&mut database).await.is_empty());
        assert_eq!(database.write(&[insert, "update test_table set price = 400"]).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_made_is_named() {
        let error = DemoDatabase::create(Path::new("/nowhere/demo.db")).await.unwrap_err();
        assert_eq!((error.kind(), error.context("file")), (ErrorKind::Io, Some("/nowhere/demo.db")));
    }
}
