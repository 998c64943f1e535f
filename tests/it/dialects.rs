//! The contract of a dialect, run over each one with the database as oracle; every test has a schema or a
//! file of its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rowtide::config::spec::{CatalogFilter, ColumnTypes, NumericMapping, SourceSpec, SourceUrl, Unsupported};
use rowtide::dialect::{Flow, RowSink, SourceConnection, SqlSyntax, StreamEnd, dialect_of};
use rowtide::error::{ErrorKind, Result};
use rowtide::model::{
    Bind, CursorColumn, CursorKind, CursorValue, FieldType, PlannedQuery, Relation, TableDefinition, TableId, Value,
};
use rowtide::zone::Zone;

use crate::support::Stack;
use crate::support::db::{run_on_postgres, run_on_sqlite};

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Postgres,
    Sqlite,
}

/// A place for tables: a PostgreSQL schema or a SQLite file.
struct Place {
    kind: Kind,
    schema: String,
    source: SourceSpec,
    folder: tempfile::TempDir,
}

static NEXT: AtomicUsize = AtomicUsize::new(0);

impl Place {
    fn new(kind: Kind, setup: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let schema = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let (url, user) = match kind {
            Kind::Sqlite => (
                SourceUrl {
                    dialect: "sqlite".to_owned(),
                    hosts: vec![],
                    database: Some(folder.path().join("a.db").display().to_string()),
                    parameters: BTreeMap::new(),
                },
                None,
            ),
            Kind::Postgres => {
                let url = Stack::get().postgres;
                let (_, rest) = url.split_once("://").unwrap();
                let (user, rest) = rest.split_once('@').unwrap();
                let (address, database) = rest.split_once('/').unwrap();
                let (host, port) = address.split_once(':').unwrap();
                let url = SourceUrl {
                    dialect: "postgresql".to_owned(),
                    hosts: vec![(host.to_owned(), port.parse().unwrap())],
                    database: Some(database.to_owned()),
                    parameters: BTreeMap::new(),
                };
                (url, Some(user.to_owned()))
            }
        };
        let types = ColumnTypes::default();
        let source = SourceSpec {
            url,
            user,
            password: None,
            types,
            quote_identifiers: true,
            isolation: None,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(20),
        };
        let place = Self { kind, schema, source, folder };
        if kind == Kind::Postgres {
            place.sql(&format!("create schema {}", place.schema));
        }
        place.sql(setup);
        place
    }

    /// Runs SQL as an application would.
    fn sql(&self, sql: &str) {
        match self.kind {
            Kind::Postgres => {
                run_on_postgres(&Stack::get().postgres, &format!("set search_path = {}; {sql}", self.schema))
            }
            Kind::Sqlite => run_on_sqlite(&self.folder.path().join("a.db"), sql),
        }
    }

    async fn connect(&self) -> Box<dyn SourceConnection> {
        dialect_of(&self.source).unwrap().connect(&self.source).await.unwrap()
    }

    fn syntax(&self) -> &'static dyn SqlSyntax {
        dialect_of(&self.source).unwrap().syntax()
    }

    fn table(&self, name: &str) -> Relation {
        let schema = (self.kind == Kind::Postgres).then(|| self.schema.clone());
        Relation::Table(TableId { catalog: None, schema, name: name.to_owned() })
    }

    /// `select ... from relation as t`, as planning does it.
    fn select(&self, definition: &TableDefinition, tail: &str) -> String {
        let syntax = self.syntax();
        let from = match &definition.relation {
            Relation::Table(id) => id.parts().map(|part| syntax.quote(part)).collect::<Vec<_>>().join("."),
            Relation::Query(sql) => format!("({sql})"),
        };
        let projections: Vec<Option<String>> = definition
            .columns
            .iter()
            .map(|column| syntax.project(&format!("t.{}", syntax.quote(&column.field.name)), column))
            .collect();
        let list = if definition.skipped.is_empty() && projections.iter().all(Option::is_none) {
            "t.*".to_owned()
        } else {
            let columns = definition.columns.iter().zip(projections);
            let columns = columns.map(|(column, projection)| {
                let name = syntax.quote(&column.field.name);
                projection.map_or(format!("t.{name}"), |projection| format!("{projection} as {name}"))
            });
            columns.collect::<Vec<_>>().join(", ")
        };
        format!("select {list} from {from} as t {tail}")
    }
}

#[derive(Default)]
struct Collected {
    rows: Vec<Vec<Value<'static>>>,
    cursor: Vec<Vec<CursorValue<'static>>>,
    pause_after: Option<usize>,
}

impl RowSink for Collected {
    fn row(&mut self, values: &[Value<'_>], cursor: &[CursorValue<'_>]) -> Result<Flow> {
        let owned = |value: &Value<'_>| match value {
            Value::Null => Value::Null,
            Value::Boolean(value) => Value::Boolean(*value),
            Value::Integer(value) => Value::Integer(*value),
            Value::Float32(value) => Value::Float32(*value),
            Value::Float64(value) => Value::Float64(*value),
            Value::Text(text) => Value::Text(text.clone().into_owned().into()),
            Value::Bytes(bytes) => Value::Bytes(bytes.clone().into_owned().into()),
            Value::Decimal(bytes) => Value::Decimal(bytes.clone().into_owned().into()),
        };
        self.rows.push(values.iter().map(owned).collect());
        self.cursor.push(cursor.iter().map(|value| value.clone().into_owned()).collect());
        let pauses = self.pause_after.is_some_and(|limit| self.rows.len().is_multiple_of(limit));
        Ok(if pauses { Flow::Pause } else { Flow::Continue })
    }
}

fn plain(sql: String) -> PlannedQuery {
    PlannedQuery { sql, binds: vec![], cursor: vec![], hidden: 0, limit: None }
}

async fn read(
    connection: &mut dyn SourceConnection,
    definition: &TableDefinition,
    query: &PlannedQuery,
) -> Result<Collected> {
    let mut collected = Collected::default();
    let mut rows = connection.fetch(definition, query).await?;
    while rows.next_rows(&mut collected).await? != StreamEnd::Exhausted {}
    Ok(collected)
}

/// Reads a whole relation in its own order.
async fn read_all(place: &Place, relation: &Relation) -> Result<(TableDefinition, Collected)> {
    let mut connection = place.connect().await;
    let definition = connection.describe(relation, &[]).await?;
    let query = plain(place.select(&definition, ""));
    let rows = read(&mut *connection, &definition, &query).await?;
    Ok((definition, rows))
}

macro_rules! dialect_suite {
    ($($test:ident),* $(,)?) => {
        mod postgres { $(#[tokio::test] async fn $test() { super::$test(super::Kind::Postgres).await })* }
        mod sqlite { $(#[tokio::test] async fn $test() { super::$test(super::Kind::Sqlite).await })* }
    };
}

dialect_suite!(
    tables_are_listed_by_type_and_name,
    names_of_any_kind_can_be_read,
    keys_and_constraints_are_described,
    pages_follow_the_cursor_and_an_index_serves_them,
    a_stream_can_pause_and_be_left,
    nulls_are_delivered,
    a_query_is_described_and_read,
    a_missing_table_names_the_near_ones,
    a_null_from_an_outer_join_makes_the_field_optional,
    a_changed_table_is_noticed_between_two_pages,
    the_upper_bound_is_the_database_s_clock,
    unreachable_databases_are_told_apart,
);

async fn tables_are_listed_by_type_and_name(kind: Kind) {
    let place = Place::new(kind, "create table b (a int); create table a (a int); create view v as select * from a;");
    let mut connection = place.connect().await;
    let schema = (kind == Kind::Postgres).then(|| place.schema.clone());
    let mut list = async |types: &[&str]| {
        let types = types.iter().map(|name| (*name).to_owned()).collect();
        let filter = CatalogFilter { catalog: None, schema: schema.clone(), types };
        let tables = connection.list_tables(&filter).await.unwrap();
        tables.into_iter().map(|id| id.name).collect::<Vec<_>>()
    };
    assert_eq!(list(&["TABLE"]).await, ["a", "b"]);
    assert_eq!(list(&["VIEW", "TABLE"]).await, ["a", "b", "v"]);
    let everything: &[&str] = if kind == Kind::Sqlite { &["a", "b", "v"] } else { &[] };
    assert_eq!(list(&["NO SUCH TYPE"]).await, everything);
    assert!(!connection.server().is_empty());
}

async fn names_of_any_kind_can_be_read(kind: Kind) {
    let setup = r#"create table "Or""der.s é" ("Se lect" int, "a.b" text, "ü""x" text);
        insert into "Or""der.s é" values (1, 'x', 'y');"#;
    let place = Place::new(kind, setup);
    let (definition, read) = read_all(&place, &place.table("Or\"der.s é")).await.unwrap();
    let names: Vec<_> = definition.columns.iter().map(|column| column.field.name.as_str()).collect();
    assert_eq!(names, ["Se lect", "a.b", "ü\"x"]);
    assert_eq!(read.rows, [[Value::Integer(1), Value::Text("x".into()), Value::Text("y".into())]]);
}

async fn keys_and_constraints_are_described(kind: Kind) {
    let auto = if kind == Kind::Postgres { "serial primary key" } else { "integer primary key" };
    let setup = format!(
        "create table t (id {auto}, name varchar(9) not null, note text);
         create table k (b int not null, a int not null, primary key (a, b));"
    );
    let place = Place::new(kind, &setup);
    let mut connection = place.connect().await;
    let table = connection.describe(&place.table("t"), &[]).await.unwrap();
    assert_eq!(table.primary_key, ["id"]);
    assert!(table.columns[0].auto_increment && table.columns[0].not_null);
    assert_eq!(table.columns[0].field.field_type, FieldType::Int32);
    assert_eq!(table.columns[0].cursor, Some(CursorKind::Integer));
    // SQLite's INTEGER PRIMARY KEY is optional in Kafka Connect.
    assert_eq!(table.columns[0].field.optional, kind == Kind::Sqlite);
    assert!(!table.columns[1].field.optional && table.columns[2].field.optional);
    let key = connection.describe(&place.table("k"), &[]).await.unwrap();
    assert_eq!(key.primary_key, ["a", "b"]);
    assert_eq!(connection.describe(&place.table("t"), &[]).await.unwrap(), table);
}

async fn pages_follow_the_cursor_and_an_index_serves_them(kind: Kind) {
    let (time, series) = match kind {
        Kind::Postgres => {
            ("timestamp", "timestamp '2024-01-01' + (n / 4) * interval '1 second', n from generate_series(1, 3000) n")
        }
        Kind::Sqlite => (
            "datetime",
            "strftime('%Y-%m-%d %H:%M:%S', 1704067200 + n / 4, 'unixepoch'), n from (with recursive s(n) as (select 1 union all select n + 1 from s where n < 3000) select n from s)",
        ),
    };
    let place = Place::new(
        kind,
        &format!(
            "create table t (ts {time}, seq integer); insert into t select {series};
         create index i on t (ts, seq); create table u (ts {time}, seq integer);"
        ),
    );
    let mut connection = place.connect().await;
    let definition = connection.describe(&place.table("t"), &["ts".to_owned()]).await.unwrap();
    let kinds = [definition.columns[0].cursor.unwrap(), definition.columns[1].cursor.unwrap()];
    let bound = connection.upper_bound(kinds[0], Duration::ZERO).await.unwrap();
    let hole =
        |n, column: usize| place.syntax().placeholder(n, kinds[column], &definition.columns[column].database_type);
    let tail = format!(
        "where (t.\"ts\", t.\"seq\") > ({}, {}) and t.\"ts\" < {} order by t.\"ts\", t.\"seq\" limit 700",
        hole(1, 0),
        hole(2, 1),
        hole(3, 0)
    );
    let start = match kind {
        Kind::Postgres => CursorValue::Timestamp(i64::MIN),
        Kind::Sqlite => CursorValue::Text("".into()),
    };
    let mut position = vec![start, CursorValue::Integer(-1)];
    let mut seen = Vec::new();
    let mut query = plain(place.select(&definition, &tail));
    query.cursor = vec![CursorColumn { index: 0, kind: kinds[0] }, CursorColumn { index: 1, kind: kinds[1] }];
    query.limit = Some(700);
    loop {
        query.binds = position.iter().cloned().zip(kinds).map(|(value, kind)| Bind { value, kind }).collect();
        query.binds.push(Bind { value: bound.clone(), kind: kinds[0] });
        let page = read(&mut *connection, &definition, &query).await.unwrap();
        let Some(last) = page.cursor.last() else { break };
        position = last.clone();
        seen.extend(page.rows.iter().map(|row| row[1].clone()));
    }
    assert_eq!(seen, (1..=3000).map(Value::Integer).collect::<Vec<_>>());
    let report = connection.explain(&query).await.unwrap();
    assert!(report.index_serves, "{:?}", report.lines);
    query.sql = query.sql.replace("\"t\" as t", "\"u\" as t");
    let report = connection.explain(&query).await.unwrap();
    assert!(!report.index_serves && !report.lines.is_empty(), "{:?}", report.lines);
    let table = place.select(&definition, "");
    let from = table.split(" from ").nth(1).unwrap();
    let probe = |sql: String| PlannedQuery { cursor: vec![CursorColumn { index: 0, kind: kinds[1] }], ..plain(sql) };
    let found = connection.probe(&probe(format!("select max(t.\"seq\") from {from}"))).await.unwrap();
    assert_eq!(found, Some(CursorValue::Integer(3000)));
    let found = connection.probe(&probe(format!("select t.\"seq\" from {from} where 1 = 0"))).await.unwrap();
    assert_eq!(found, None);
}

async fn a_stream_can_pause_and_be_left(kind: Kind) {
    let place = Place::new(kind, "create table t (a int); insert into t values (1), (2), (3), (4), (5);");
    let mut connection = place.connect().await;
    let definition = connection.describe(&place.table("t"), &[]).await.unwrap();
    let query = plain(place.select(&definition, "order by 1"));
    {
        let mut sink = Collected { pause_after: Some(2), ..Collected::default() };
        let mut rows = connection.fetch(&definition, &query).await.unwrap();
        assert_eq!(rows.next_rows(&mut sink).await.unwrap(), StreamEnd::Paused);
        assert_eq!(sink.rows.len(), 2);
        assert_eq!(rows.next_rows(&mut sink).await.unwrap(), StreamEnd::Paused);
        assert_eq!(sink.rows.len(), 4);
    }
    assert_eq!(read(&mut *connection, &definition, &query).await.unwrap().rows.len(), 5);
    connection.close().await;
}

async fn nulls_are_delivered(kind: Kind) {
    let place = Place::new(
        kind,
        "create table t (a int, b text, c numeric(9,2), d timestamp, e date, f double precision, g boolean);
         insert into t (a) values (null);",
    );
    let (_, read) = read_all(&place, &place.table("t")).await.unwrap();
    assert_eq!(read.rows, [vec![Value::Null; 7]]);
}

async fn a_query_is_described_and_read(kind: Kind) {
    let place = Place::new(kind, "create table t (a int not null, b text); insert into t values (1, 'x'), (2, null);");
    let from = place.select(
        &TableDefinition { relation: place.table("t"), columns: vec![], skipped: vec![], primary_key: vec![] },
        "",
    );
    let from = from.split(" from ").nth(1).unwrap().to_owned();
    let query = Relation::Query(format!("select a, b, a + 1 as next from {from} order by a -- comment\n"));
    let (definition, read) = read_all(&place, &query).await.unwrap();
    assert!(!definition.columns[0].field.optional && definition.columns[2].field.optional);
    assert!(definition.primary_key.is_empty());
    assert_eq!(read.rows.len(), 2);
    assert_eq!(read.rows[1][1], Value::Null);
    let mut connection = place.connect().await;
    let twice = Relation::Query(format!("select a, b as a from {from}"));
    let error = connection.describe(&twice, &[]).await.unwrap_err();
    // PostgreSQL delivers both, SQLite renames the second.
    assert_eq!(error.kind(), ErrorKind::SourceSchema);
    let error = connection.describe(&Relation::Query("selec 1".to_owned()), &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
}

async fn a_missing_table_names_the_near_ones(kind: Kind) {
    let place = Place::new(kind, "create table orders (a int);");
    let mut connection = place.connect().await;
    let error = connection.describe(&place.table("order"), &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SourceSchema);
    assert!(error.advice().contains("orders"), "{}", error.advice());
    assert!(error.context("table").is_some());
    connection.describe(&place.table("orders"), &[]).await.unwrap();
}

async fn a_null_from_an_outer_join_makes_the_field_optional(kind: Kind) {
    let place =
        Place::new(kind, "create table l (a int not null); create table r (b int not null); insert into l values (1);");
    let name = |table: &str| match kind {
        Kind::Postgres => format!("{}.{table}", place.schema),
        Kind::Sqlite => table.to_owned(),
    };
    let query = Relation::Query(format!("select a, b from {} left join {} on a = b", name("l"), name("r")));
    let mut connection = place.connect().await;
    let definition = connection.describe(&query, &[]).await.unwrap();
    assert!(!definition.columns[1].field.optional);
    let page = plain(place.select(&definition, ""));
    let error = read(&mut *connection, &definition, &page).await.err().unwrap();
    assert_eq!((error.kind(), error.context("column")), (ErrorKind::Value, Some("b")));
    let definition = connection.describe(&query, &[]).await.unwrap();
    assert!(definition.columns[1].field.optional && !definition.columns[0].field.optional);
    assert_eq!(read(&mut *connection, &definition, &page).await.unwrap().rows.len(), 1);
}

async fn a_changed_table_is_noticed_between_two_pages(kind: Kind) {
    let place = Place::new(kind, "create table t (a int, b int); insert into t values (1, 2);");
    let relation = place.table("t");
    let mut connection = place.connect().await;
    let mut definition = connection.describe(&relation, &[]).await.unwrap();
    read(&mut *connection, &definition, &plain(place.select(&definition, ""))).await.unwrap();
    let mut changes =
        vec!["alter table t add column c text", "alter table t drop column b", "alter table t rename a to z"];
    if kind == Kind::Postgres {
        changes.push("alter table t alter column z type bigint");
    }
    for change in changes {
        place.sql(change);
        let query = plain(place.select(&definition, ""));
        let error = read(&mut *connection, &definition, &query).await.err().expect(change);
        assert_eq!(error.kind(), ErrorKind::SchemaChanged, "{change}: {error:?}");
        let changed = connection.describe(&relation, &[]).await.unwrap();
        assert_ne!(changed, definition, "{change}");
        definition = changed;
        let query = plain(place.select(&definition, ""));
        assert_eq!(read(&mut *connection, &definition, &query).await.unwrap().rows.len(), 1, "{change}");
    }
    place.sql("drop table t");
    let query = plain(place.select(&definition, ""));
    let error = read(&mut *connection, &definition, &query).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::SchemaChanged);
    assert_eq!(connection.describe(&relation, &[]).await.unwrap_err().kind(), ErrorKind::SourceSchema);
}

async fn the_upper_bound_is_the_database_s_clock(kind: Kind) {
    let place = Place::new(kind, "create table t (ts timestamp);");
    let mut connection = place.connect().await;
    let definition = connection.describe(&place.table("t"), &["ts".to_owned()]).await.unwrap();
    let cursor = definition.columns[0].cursor.unwrap();
    let hour = Duration::from_secs(3600);
    let now = cursor.to_instant(&connection.upper_bound(cursor, Duration::ZERO).await.unwrap(), &Zone::UTC).unwrap();
    let then = cursor.to_instant(&connection.upper_bound(cursor, hour).await.unwrap(), &Zone::UTC).unwrap();
    let here = chrono::Utc::now().timestamp();
    assert!((here - now.seconds).abs() < 5, "{} {}", here, now.seconds);
    assert!((now.seconds - then.seconds - 3600).abs() < 5);
}

async fn unreachable_databases_are_told_apart(kind: Kind) {
    let place = Place::new(kind, "create table t (a int);");
    let mut source = place.source.clone();
    source.url.database = Some("no_such_database".to_owned());
    let error = dialect_of(&source).unwrap().connect(&source).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    if kind == Kind::Postgres {
        let mut source = place.source.clone();
        source.url.hosts.insert(0, ("127.0.0.1".to_owned(), 1));
        dialect_of(&source).unwrap().connect(&source).await.unwrap();
        source.url.hosts.truncate(1);
        let error = dialect_of(&source).unwrap().connect(&source).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
    }
}

/// PostgreSQL: literal, type, expected field and value.
#[tokio::test]
async fn every_postgresql_type_arrives() {
    use FieldType as F;
    let text = |text: &str| Value::Text(text.to_owned().into());
    let decimal = |precision, scale| F::Decimal { precision: Some(precision), scale };
    let bytes = |bytes: &[u8]| Value::Decimal(bytes.to_vec().into());
    let million_scale = {
        // 12.12 at scale 127 has 54 bytes; compare by length only below.
        Value::Null
    };
    let cases: Vec<(&str, &str, F, Value<'static>)> = vec![
        ("boolean", "true", F::Boolean, Value::Boolean(true)),
        ("smallint", "-32768", F::Int16, Value::Integer(-32768)),
        ("integer", "2147483647", F::Int32, Value::Integer(2_147_483_647)),
        ("bigint", "-9223372036854775808", F::Int64, Value::Integer(i64::MIN)),
        ("oid", "4294967295", F::Int64, Value::Integer(4_294_967_295)),
        ("real", "'Infinity'", F::Float32, Value::Float32(f32::INFINITY)),
        ("double precision", "1.7976931348623157e308", F::Float64, Value::Float64(f64::MAX)),
        ("numeric(10,2)", "-12345678.9", decimal(10, 2), bytes(&(-1_234_567_890_i32).to_be_bytes())),
        (
            "numeric(38,0)",
            "99999999999999999999999999999999999999",
            decimal(38, 0),
            bytes(&99_999_999_999_999_999_999_999_999_999_999_999_999_i128.to_be_bytes()),
        ),
        ("numeric(5,-2)", "12345", decimal(7, 0), bytes(&12_300_i16.to_be_bytes())),
        ("numeric", "12.12", decimal(0, 127), million_scale),
        ("money", "'-1,234.56'", F::Float64, Value::Float64(-1234.56)),
        ("char(4)", "'ab'", F::String, text("ab  ")),
        ("varchar(9)", "'żółw'", F::String, text("żółw")),
        ("text", "''", F::String, text("")),
        ("name", "'n'", F::String, text("n")),
        ("\"char\"", "'c'", F::String, text("c")),
        ("mood", "'sad'", F::String, text("sad")),
        ("positive", "7", F::Int32, Value::Integer(7)),
        ("cents", "7.5", decimal(6, 2), bytes(&750_i16.to_be_bytes())),
        ("bytea", "'\\xdeadbeef'", F::Bytes, Value::Bytes(vec![0xde, 0xad, 0xbe, 0xef].into())),
        ("bit(1)", "B'1'", F::Boolean, Value::Boolean(true)),
        ("bit(9)", "B'101010101'", F::String, text("101010101")),
        ("bit varying", "B'1000'", F::String, text("1000")),
        ("date", "'2024-02-29'", F::Date, Value::Integer(19_782)),
        ("date", "'1500-01-01'", F::Date, Value::Integer(-171_655)),
        ("time", "'24:00'", F::Time, Value::Integer(86_400_000)),
        ("timetz", "'01:00+02'", F::Time, Value::Integer(82_800_000)),
        ("timestamp", "'2024-02-29 12:00:00.123456'", F::Timestamp, Value::Integer(1_709_208_000_123)),
        ("timestamp(0)", "'0001-01-01'", F::Timestamp, Value::Integer(-62_135_769_600_000)),
        ("timestamptz", "'2024-02-29 12:00:00+02'", F::Timestamp, Value::Integer(1_709_200_800_000)),
        ("timestamptz", "'infinity'", F::Timestamp, Value::Integer(9_223_372_036_825_200_000)),
        ("timestamp", "'-infinity'", F::Timestamp, Value::Integer(-9_223_372_036_832_400_000)),
        ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", F::String, text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
        ("json", "'{\"a\":  1}'", F::String, text("{\"a\":  1}")),
        ("jsonb", "'{\"a\":  1}'", F::String, text("{\"a\": 1}")),
        ("xml", "'<a/>'", F::String, text("<a/>")),
        ("interval", "'1 day 2 hours'", F::String, text("1 day 02:00:00")),
        ("inet", "'10.0.0.1/8'", F::String, text("10.0.0.1/8")),
        ("macaddr", "'08:00:2b:01:02:03'", F::String, text("08:00:2b:01:02:03")),
        ("int[]", "'{1,null,3}'", F::String, text("{1,NULL,3}")),
        ("text[]", "'{a,\"b c\"}'", F::String, text("{a,\"b c\"}")),
        ("int4range", "'[1,5)'", F::String, text("[1,5)")),
        ("point", "'(1,2)'", F::String, text("(1,2)")),
        ("tsvector", "'a b'", F::String, text("'a' 'b'")),
        ("pair", "'(1,x)'", F::String, text("(1,x)")),
        ("pg_lsn", "'0/1'", F::String, text("0/1")),
    ];
    let columns: Vec<String> = cases.iter().enumerate().map(|(n, (of_type, ..))| format!("c{n} {of_type}")).collect();
    let values: Vec<&str> = cases.iter().map(|(_, literal, ..)| *literal).collect();
    let place = Place::new(
        Kind::Postgres,
        &format!(
            "create type mood as enum ('sad', 'ok'); create domain positive as int check (value > 0);
         create domain cents as numeric(6,2); create type pair as (a int, b text);
         create table t ({}); insert into t values ({}); insert into t default values;",
            columns.join(", "),
            values.join(", ")
        ),
    );
    let (definition, read) = read_all(&place, &place.table("t")).await.unwrap();
    for (n, (of_type, literal, field_type, value)) in cases.iter().enumerate() {
        assert_eq!(&definition.columns[n].field.field_type, field_type, "{of_type}");
        match &read.rows[0][n] {
            Value::Decimal(found) if *of_type == "numeric" => assert_eq!(found.len(), 54),
            found => assert_eq!(found, value, "{of_type} {literal}"),
        }
        assert_eq!(read.rows[1][n], Value::Null, "{of_type}");
    }
    // As cursors, text forms go out and come back in the column's own type.
    let mut connection = place.connect().await;
    for column in definition.columns.iter().filter(|column| column.cursor == Some(CursorKind::Text)) {
        let name = format!("t.{}", place.syntax().quote(&column.field.name));
        let hidden = place.syntax().as_text(&name, "text");
        let hole = place.syntax().placeholder(1, CursorKind::Text, &column.database_type);
        let from = format!("{}.t as t", place.schema);
        let cursor = vec![CursorColumn { index: 0, kind: CursorKind::Text }];
        let first = plain(format!("select {hidden} from {from} where {name} is not null"));
        let first = PlannedQuery { cursor: cursor.clone(), ..first };
        let value = connection.probe(&first).await.unwrap().unwrap();
        let binds = vec![Bind { value: value.clone(), kind: CursorKind::Text }];
        let same = plain(format!("select {hidden} from {from} where {name} = {hole}"));
        let same = PlannedQuery { cursor, binds, ..same };
        assert_eq!(connection.probe(&same).await.unwrap(), Some(value), "{}", column.database_type);
    }
}

#[tokio::test]
async fn values_that_fit_no_field_stop_the_table_without_showing_them() {
    for (of_type, literal) in [("numeric(5,2)", "'NaN'"), ("date not null", "'infinity'"), ("numeric", "'Infinity'")] {
        let setup = format!("create table t (a {of_type}); insert into t values ({literal});");
        let place = Place::new(Kind::Postgres, &setup);
        let error = read_all(&place, &place.table("t")).await.err().unwrap();
        assert_eq!((error.kind(), error.context("column")), (ErrorKind::Value, Some("a")), "{of_type}");
    }
    let place = Place::new(Kind::Postgres, "create table t (a text); insert into t values ('secret');");
    let query = Relation::Query(format!("select a::int as a from {}.t", place.schema));
    let error = read_all(&place, &query).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Value);
    assert!(!error.report().contains("secret"), "{}", error.report());
}

#[tokio::test]
async fn postgresql_refuses_writes_limits_time_and_classifies() {
    let mut place = Place::new(
        Kind::Postgres,
        "create table t (a int); create table s (a int); revoke all on s from public;
        do $$ begin create role rowtide_nobody login; exception when duplicate_object then null; end $$;",
    );
    place.source.statement_timeout = Duration::from_millis(200);
    let mut connection = place.connect().await;
    let slow = Relation::Query("select pg_sleep(3)::text as a".to_owned());
    let definition = connection.describe(&slow, &[]).await.unwrap();
    let error = read(&mut *connection, &definition, &plain(place.select(&definition, ""))).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Query, "{error:?}");
    place.sql("create sequence q");
    let writes = Relation::Query(format!("select nextval('{}.q') as a", place.schema));
    let definition = connection.describe(&writes, &[]).await.unwrap();
    let error = read(&mut *connection, &definition, &plain(place.select(&definition, ""))).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    place.sql(&format!("grant usage on schema {} to rowtide_nobody", place.schema));
    place.source.user = Some("rowtide_nobody".to_owned());
    let mut nobody = place.connect().await;
    let (definition, _) = {
        let mut owner = connection;
        (owner.describe(&place.table("s"), &[]).await.unwrap(), ())
    };
    let query = plain(place.select(&definition, ""));
    let error = read(&mut *nobody, &definition, &query).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Privilege, "{error:?}");
}

#[tokio::test]
async fn a_pooler_is_given_no_named_statements_and_no_settings() {
    let mut place = Place::new(
        Kind::Postgres,
        "create table t (a int primary key, b int[]); insert into t values (1, '{1}'), (2, null);",
    );
    place.source.url.parameters.insert("prepareThreshold".to_owned(), "0".to_owned());
    let mut connection = place.connect().await;
    for _ in 0..3 {
        let definition = connection.describe(&place.table("t"), &[]).await.unwrap();
        let mut query = plain(place.select(&definition, "limit 5"));
        assert_eq!(read(&mut *connection, &definition, &query).await.unwrap().rows.len(), 2);
        query.limit = Some(5);
        assert_eq!(read(&mut *connection, &definition, &query).await.unwrap().rows.len(), 2);
        connection.upper_bound(CursorKind::Date, Duration::ZERO).await.unwrap();
    }
    let left = PlannedQuery {
        cursor: vec![CursorColumn { index: 0, kind: CursorKind::Integer }],
        ..plain("select count(*) from pg_prepared_statements".to_owned())
    };
    assert_eq!(connection.probe(&left).await.unwrap(), Some(CursorValue::Integer(0)));
}

#[tokio::test]
async fn expressions_of_a_query_keep_their_precision() {
    let mut place = Place::new(Kind::Postgres, "create table t (a numeric(8,3));");
    let query = Relation::Query(format!("select a, a::numeric(10,2) as b, a * 2 as c from {}.t", place.schema));
    let mut connection = place.connect().await;
    let types = |definition: TableDefinition| {
        definition.columns.into_iter().map(|column| column.field.field_type).collect::<Vec<_>>()
    };
    let decimal = |precision, scale| FieldType::Decimal { precision: Some(precision), scale };
    let found = types(connection.describe(&query, &[]).await.unwrap());
    assert_eq!(found, [decimal(8, 3), decimal(10, 2), decimal(0, 127)]);
    place.source.types.all.numeric = NumericMapping::BestFit;
    let found = types(place.connect().await.describe(&query, &[]).await.unwrap());
    assert_eq!(found, [FieldType::Float64, FieldType::Float64, FieldType::Float64]);
}

#[tokio::test]
async fn unsupported_columns_are_skipped_or_refused_on_request() {
    let mut place =
        Place::new(Kind::Postgres, "create table t (a int, b int[], c int); insert into t values (1, '{1}', 2);");
    place.source.types.all.unsupported = Unsupported::Skip;
    let (definition, read) = read_all(&place, &place.table("t")).await.unwrap();
    assert_eq!(definition.skipped[0].name, "b");
    assert_eq!(read.rows, [[Value::Integer(1), Value::Integer(2)]]);
    place.source.types.all.unsupported = Unsupported::Fail;
    let error = place.connect().await.describe(&place.table("t"), &[]).await.unwrap_err();
    assert_eq!((error.kind(), error.context("column")), (ErrorKind::SourceSchema, Some("b")));
}

#[tokio::test]
async fn a_sqlite_integer_widens_when_a_value_needs_it() {
    let place = Place::new(
        Kind::Sqlite,
        "create table t (a integer, b real, c); insert into t values (1, 0.5, 'x'), (3000000000, 2, 1.5);
        create table k (id integer primary key); insert into k values (3000000000);",
    );
    let mut connection = place.connect().await;
    let relation = place.table("t");
    let definition = connection.describe(&relation, &[]).await.unwrap();
    assert_eq!(definition.columns[0].field.field_type, FieldType::Int32);
    let query = plain(place.select(&definition, "order by t.a"));
    let error = read(&mut *connection, &definition, &query).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Value);
    let definition = connection.describe(&relation, &[]).await.unwrap();
    assert_eq!(definition.columns[0].field.field_type, FieldType::Int64);
    let rows = read(&mut *connection, &definition, &query).await.unwrap().rows;
    assert_eq!(rows[1], [Value::Integer(3_000_000_000), Value::Float32(2.0), Value::Text("1.5".into())]);
    let key = connection.describe(&place.table("k"), &[]).await.unwrap();
    assert_eq!(key.columns[0].field.field_type, FieldType::Int64);
}

#[tokio::test]
async fn sqlite_times_are_recognised_by_their_values() {
    let place = Place::new(Kind::Sqlite, "create table t (a datetime, b datetime, c timestamp, d datetime, e integer);
        insert into t values ('2024-02-29 12:00:00', 1709208000123, 2460370.0, 'x', 5), ('2024-02-29 12:00:01', 1709208000124, 2460371.25, 7, 6);
        create table m (a datetime); insert into m values ('2024-02-29 12:00:00'), ('2024-02-29T12:00:00');");
    let mut connection = place.connect().await;
    let relation = place.table("t");
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let definition = connection.describe(&relation, &names(&["a", "b", "c", "e"])).await.unwrap();
    assert!(matches!(definition.columns[0].cursor, Some(CursorKind::TextTimestamp(format)) if format.digits == 0));
    assert_eq!(definition.columns[1].cursor, Some(CursorKind::Epoch { per_second: 1_000 }));
    assert_eq!(definition.columns[2].cursor, Some(CursorKind::JulianDay));
    assert_eq!(definition.columns[4].cursor, Some(CursorKind::Epoch { per_second: 1_000 }));
    let error = connection.describe(&relation, &names(&["d"])).await.unwrap_err();
    assert_eq!((error.kind(), error.context("column")), (ErrorKind::SourceSchema, Some("d")));
    let error = connection.describe(&place.table("m"), &names(&["a"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SourceSchema);
}

#[tokio::test]
async fn a_sqlite_file_in_wal_mode_is_read_while_it_is_written() {
    let place =
        Place::new(Kind::Sqlite, "pragma journal_mode = wal; create table t (a int); insert into t values (1);");
    let (_, read) = read_all(&place, &place.table("t")).await.unwrap();
    assert_eq!(read.rows.len(), 1);
    let mut broken = place.source.clone();
    let path = place.folder.path().join("text.db");
    std::fs::write(&path, "not a database, only text that is long enough to be looked at").unwrap();
    broken.url.database = Some(path.display().to_string());
    let error = dialect_of(&broken).unwrap().connect(&broken).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
}
