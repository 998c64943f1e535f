//! A place for tables, and how a test reads it. What differs between databases is behind [`Database`].

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::Duration;

use rowtide::config::spec::{ColumnTypes, SourceSpec, SourceUrl};
use rowtide::dialect::{DIALECTS, Dialect, Flow, Row, RowSink, SourceConnection, SqlSyntax, StreamEnd, Undeliverable};
use rowtide::error::{Error, Result};
use rowtide::model::{
    CursorKind, CursorValue, Mode, PlannedQuery, Position, Relation, TableDefinition, TableId, Value,
};
use rowtide::plan::{Planner, SqlStyle};

use crate::support::unique;

/// A database that takes part in the contract.
pub(super) trait Database: Sync {
    /// The dialect's name.
    fn dialect(&self) -> &'static str;

    /// Makes an empty place of this name and says how to get there, and as whom. `folder` is the place's own.
    fn make(&self, name: &str, folder: &Path) -> (SourceUrl, Option<String>);

    /// Runs SQL in a place as an application would.
    fn run(&self, name: &str, folder: &Path, sql: &str);

    /// Removes a place.
    fn drop(&self, name: &str);

    /// The table's name as discovery reports it.
    fn table(&self, name: &str, table: &str) -> TableId;

    /// The type of a date and time with that many fraction digits.
    fn time(&self, digits: u8) -> String;

    /// The words behind the name of an integer column that fills itself.
    fn auto_increment(&self) -> &'static str;

    /// The statement that makes an integer column a BIGINT; none if that is not noticed.
    fn widen(&self, table: &str, column: &str) -> Option<String>;

    /// A text in quotes.
    fn literal(&self, text: &str) -> String {
        format!("'{}'", text.replace('\'', "''"))
    }

    /// A long text as one expression: `text` so many times.
    fn repeat(&self, text: &str, times: usize) -> String {
        format!("repeat('{text}', {times})")
    }

    /// The length of a text that is called long.
    fn longest_text(&self) -> usize {
        20 * 1024 * 1024
    }

    /// Brings the statistics of a table up to date.
    fn analyze(&self, table: &str) -> String {
        format!("analyze table {table}")
    }

    /// It says which server it is.
    fn has_identity(&self) -> bool {
        false
    }

    /// The server takes no password of its default kind without TLS.
    fn passwords_want_tls(&self) -> bool {
        false
    }

    /// The address of a server of another kind.
    fn strange_server(&self) -> (String, u16);

    /// Users and sessions; none for a file.
    fn server(&self) -> Option<&dyn Server>;

    /// Table types that it does not know list everything (`connector-config.md`, 6.2).
    fn unknown_type_lists_everything(&self) -> bool {
        false
    }

    /// The primary key of a table is optional in Kafka Connect.
    fn key_is_optional(&self) -> bool {
        false
    }

    /// An outer join's nullable column is known from the description of the query.
    fn knows_outer_joins(&self) -> bool {
        false
    }
}

/// The users, sessions and clock of a database that is a server.
pub(super) trait Server {
    /// Makes a user who can reach a place and read nothing in it.
    fn create_user(&self, place: &str, user: &str);

    /// Lets a user read one table, or no longer.
    fn grant(&self, place: &str, table: &str, user: &str, may: bool);

    /// Removes what `create_user` made.
    fn drop_user(&self, user: &str);

    /// A user with a password, who can reach every place.
    fn user_with_password(&self) -> (String, String);

    /// The query for a session's own number, and the kind of the answer.
    fn session_number(&self) -> (&'static str, CursorKind);

    /// The parameters of the URL for TLS.
    fn tls(&self) -> Tls;

    /// The query that tells whether a session is encrypted: for a number greater than zero.
    fn is_encrypted(&self) -> &'static str;

    /// Ends a session from outside.
    fn kill(&self, session: i64) -> String;
}

/// The parameters of TLS in a dialect's URL.
pub(super) struct Tls {
    /// The parameters of mode, authority, client certificate and client key.
    pub names: [&'static str; 4],
    /// The modes that encrypt nothing, encrypt, check the authority, and check the name as well.
    pub modes: [&'static str; 4],
    /// The parameter of the key's password.
    pub password: &'static str,
    /// The folder with the server's authority, `tls_user`'s certificate and its key.
    pub folder: String,
}

/// A user of a test's own.
pub(super) struct User {
    database: &'static dyn Database,
    pub name: String,
}

impl User {
    pub fn new(place: &Place) -> Self {
        let user = Self { database: place.database, name: unique("u") };
        user.server().create_user(&place.name, &user.name);
        user
    }

    fn server(&self) -> &dyn Server {
        self.database.server().unwrap()
    }

    pub fn may_read(&self, place: &Place, table: &str, may: bool) {
        self.server().grant(&place.name, table, &self.name, may);
    }
}

impl Drop for User {
    fn drop(&mut self) {
        tolerated(|| self.server().drop_user(&self.name));
    }
}

/// A place of a test's own.
pub(super) struct Place {
    pub database: &'static dyn Database,
    pub name: String,
    pub source: SourceSpec,
    pub folder: tempfile::TempDir,
}

impl Place {
    pub fn new(database: &'static dyn Database, setup: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = unique("t");
        let (url, user) = database.make(&name, folder.path());
        let source = SourceSpec {
            url,
            user,
            password: None,
            types: ColumnTypes::default(),
            quote_identifiers: true,
            isolation: None,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(20),
            pool_size: 10,
        };
        let place = Self { database, name, source, folder };
        if !setup.is_empty() {
            place.sql(setup);
        }
        place
    }

    /// Runs SQL as an application would.
    pub fn sql(&self, sql: &str) {
        self.database.run(&self.name, self.folder.path(), sql);
    }

    pub async fn connect(&self) -> Box<dyn SourceConnection> {
        connect(&self.source).await.unwrap()
    }

    pub fn syntax(&self) -> &'static dyn SqlSyntax {
        dialect(self.database).syntax()
    }

    pub fn table(&self, name: &str) -> Relation {
        Relation::Table(self.database.table(&self.name, name))
    }

    /// A table's name in SQL, in full.
    pub fn from(&self, table: &str) -> String {
        let id = self.database.table(&self.name, table);
        id.parts().map(|part| self.syntax().quote(part)).collect::<Vec<_>>().join(".")
    }

    /// The same place as another user.
    pub fn source_as(&self, user: &str) -> SourceSpec {
        SourceSpec { user: Some(user.to_owned()), ..self.source.clone() }
    }

    pub fn planner(&self, definition: &TableDefinition, mode: &Mode) -> Result<Planner> {
        let style = SqlStyle {
            syntax: self.syntax(),
            quote: true,
            unqualified: false,
            suffix: None,
            zone: rowtide::zone::Zone::UTC,
        };
        Planner::new(definition, mode, style)
    }

    /// Everything a relation has, in its own order, or as `tail` says.
    pub fn select(&self, definition: &TableDefinition, tail: &str) -> PlannedQuery {
        let keyless = TableDefinition { primary_key: Vec::new(), ..definition.clone() };
        let mut query = self.planner(&keyless, &Mode::Bulk).unwrap().page(None, None, usize::MAX);
        query.sql = format!("{} {tail}", query.sql);
        query
    }

    /// Describes a relation and reads all of it.
    pub async fn read_all(&self, relation: &Relation) -> Result<(TableDefinition, Collected)> {
        let mut connection = self.connect().await;
        let definition = connection.describe(relation, &[]).await?;
        let query = self.select(&definition, "");
        let rows = read(&mut *connection, &definition, &query).await?;
        Ok((definition, rows))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        tolerated(|| self.database.drop(&self.name));
    }
}

/// A test that fails because its server is gone should fail by itself.
fn tolerated(clean_up: impl FnOnce()) {
    let _ = std::panic::catch_unwind(AssertUnwindSafe(clean_up));
}

pub(super) fn dialect(database: &dyn Database) -> &'static dyn Dialect {
    DIALECTS.iter().copied().find(|dialect| dialect.name() == database.dialect()).unwrap()
}

pub(super) async fn connect(source: &SourceSpec) -> Result<Box<dyn SourceConnection>> {
    rowtide::dialect::dialect_of(source).unwrap().connect(source).await
}

/// The error of a connection that must not come about.
pub(super) async fn refused(source: &SourceSpec) -> Error {
    connect(source).await.err().expect("a connection that is refused")
}

/// The rows that a sink was given.
#[derive(Default)]
pub(super) struct Collected {
    pub rows: Vec<Vec<Value<'static>>>,
    pub cursor: Vec<Vec<CursorValue<'static>>>,
    pub pause_after: Option<usize>,
}

impl Collected {
    /// One column of all rows.
    pub fn column(&self, index: usize) -> Vec<Value<'static>> {
        self.rows.iter().map(|row| row[index].clone()).collect()
    }
}

impl RowSink for Collected {
    fn row(&mut self, row: Result<Row<'_>, Undeliverable<'_>>) -> Result<Flow> {
        let row = row?;
        self.rows.push(row.values.iter().map(owned).collect());
        self.cursor.push(row.cursor.iter().map(|value| value.clone().into_owned()).collect());
        let pauses = self.pause_after.is_some_and(|limit| self.rows.len().is_multiple_of(limit));
        Ok(if pauses { Flow::Pause } else { Flow::Continue })
    }
}

fn owned(value: &Value<'_>) -> Value<'static> {
    match value {
        Value::Null => Value::Null,
        Value::Boolean(value) => Value::Boolean(*value),
        Value::Integer(value) => Value::Integer(*value),
        Value::Float32(value) => Value::Float32(*value),
        Value::Float64(value) => Value::Float64(*value),
        Value::Text(text) => Value::Text(text.clone().into_owned().into()),
        Value::Bytes(bytes) => Value::Bytes(bytes.clone().into_owned().into()),
        Value::Decimal(bytes) => Value::Decimal(bytes.clone().into_owned().into()),
    }
}

pub(super) fn plain(sql: impl Into<String>) -> PlannedQuery {
    PlannedQuery { sql: sql.into(), binds: vec![], cursor: vec![], hidden: 0, limit: None, recurs: true }
}

pub(super) fn text(text: &str) -> Value<'static> {
    Value::Text(text.to_owned().into())
}

/// Reads a page to its end.
pub(super) async fn read(
    connection: &mut dyn SourceConnection,
    definition: &TableDefinition,
    query: &PlannedQuery,
) -> Result<Collected> {
    let mut collected = Collected::default();
    let mut rows = connection.fetch(definition, query).await?;
    while rows.next_rows(&mut collected).await? != StreamEnd::Exhausted {}
    Ok(collected)
}

/// Reads page after page until one is empty.
pub(super) async fn read_pages(
    connection: &mut dyn SourceConnection,
    definition: &TableDefinition,
    planner: &Planner,
    upper: Option<&CursorValue<'static>>,
    limit: usize,
) -> Result<Collected> {
    let mut all = Collected::default();
    let mut position: Option<Position> = None;
    loop {
        let page = read(connection, definition, &planner.page(position.as_ref(), upper, limit)).await?;
        let Some(last) = page.cursor.last() else { return Ok(all) };
        assert!(page.rows.len() <= limit);
        assert!(all.rows.len() < 10_000, "rows come again and again: {:?} {:?}", page.cursor, all.rows.last());
        position = Some(Position(last.clone()));
        all.rows.extend(page.rows);
        all.cursor.extend(page.cursor);
    }
}
