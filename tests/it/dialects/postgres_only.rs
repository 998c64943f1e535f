//! Cases that only PostgreSQL has.

use std::time::{Duration, Instant};

use rowtide::config::spec::{NumericMapping, Unsupported};
use rowtide::dialect::SourceConnection;
use rowtide::error::ErrorKind;
use rowtide::model::{
    Bind, ChangeToken, CursorColumn, CursorKind, CursorValue, FieldType, PlannedQuery, Relation, TableDefinition, Value,
};

use super::place::{Place, connect, plain, read};
use super::postgres::{Postgres, url};
use crate::support::db::{Held, Server};

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
        &Postgres,
        &format!(
            "create type mood as enum ('sad', 'ok'); create domain positive as int check (value > 0);
         create domain cents as numeric(6,2); create type pair as (a int, b text);
         create table t ({}); insert into t values ({}); insert into t default values;",
            columns.join(", "),
            values.join(", ")
        ),
    );
    let (definition, read) = place.read_all(&place.table("t")).await.unwrap();
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
        let from = format!("{}.t as t", place.name);
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
        let place = Place::new(&Postgres, &setup);
        let error = place.read_all(&place.table("t")).await.err().unwrap();
        assert_eq!((error.kind(), error.context("column")), (ErrorKind::Value, Some("a")), "{of_type}");
    }
    let place = Place::new(&Postgres, "create table t (a text); insert into t values ('secret');");
    let query = Relation::Query(format!("select a::int as a from {}.t", place.name));
    let error = place.read_all(&query).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Value);
    assert!(!error.report().contains("secret"), "{}", error.report());
}

#[tokio::test]
async fn postgresql_refuses_writes_limits_time_and_classifies() {
    let mut place = Place::new(
        &Postgres,
        "create table t (a int); create table s (a int); revoke all on s from public;
        do $$ begin create role rowtide_nobody login; exception when duplicate_object then null; end $$;",
    );
    place.source.statement_timeout = Duration::from_millis(200);
    let mut connection = place.connect().await;
    let slow = Relation::Query("select pg_sleep(3)::text as a".to_owned());
    let definition = connection.describe(&slow, &[]).await.unwrap();
    let error = read(&mut *connection, &definition, &place.select(&definition, "")).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::TimeLimit, "{error:?}");
    place.sql("create sequence q");
    let writes = Relation::Query(format!("select nextval('{}.q') as a", place.name));
    let definition = connection.describe(&writes, &[]).await.unwrap();
    let error = read(&mut *connection, &definition, &place.select(&definition, "")).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    place.sql(&format!("grant usage on schema {} to rowtide_nobody", place.name));
    place.source.user = Some("rowtide_nobody".to_owned());
    let mut nobody = place.connect().await;
    let (definition, _) = {
        let mut owner = connection;
        (owner.describe(&place.table("s"), &[]).await.unwrap(), ())
    };
    let query = place.select(&definition, "");
    let error = read(&mut *nobody, &definition, &query).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Privilege, "{error:?}");
}

/// The functions that a default calls are looked for without spelling it out, for which the server names all columns
/// each time.
#[tokio::test]
async fn the_description_of_a_table_grows_no_faster_than_its_columns() {
    let place = Place::new(&Postgres, "");
    let mut best = Vec::new();
    for columns in [300, 1200] {
        let list: Vec<String> = (0..columns).map(|n| format!("c{n} int default {n}")).collect();
        place.sql(&format!("create table t{columns} (id serial primary key, {})", list.join(", ")));
        let mut connection = place.connect().await;
        let mut times = Vec::new();
        for _ in 0..3 {
            let began = std::time::Instant::now();
            let definition = connection.describe(&place.table(&format!("t{columns}")), &[]).await.unwrap();
            times.push(began.elapsed());
            let counts: Vec<bool> = definition.columns.iter().map(|column| column.auto_increment).collect();
            assert_eq!((counts.len(), counts.iter().filter(|counts| **counts).count()), (columns + 1, 1));
        }
        best.push(times.into_iter().min().unwrap());
    }
    // Four times the columns; sixteen times and more where the work grew with their square.
    assert!(best[1] < best[0] * 12, "{best:?}");
}

#[tokio::test]
async fn a_pooler_is_given_no_named_statements_and_no_settings() {
    let mut place = Place::new(
        &Postgres,
        "create table t (a int primary key, b int[]); insert into t values (1, '{1}'), (2, null);",
    );
    place.source.url.parameters.insert("prepareThreshold".to_owned(), "0".to_owned());
    let mut connection = place.connect().await;
    for _ in 0..3 {
        let definition = connection.describe(&place.table("t"), &[]).await.unwrap();
        let mut query = place.select(&definition, "limit 5");
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

/// A round of polls of that many tables is that many statements, in the same order each time.
#[tokio::test]
async fn statements_of_hundreds_of_tables_are_kept_prepared_and_those_that_come_once_are_not() {
    let place = Place::new(&Postgres, "");
    let mut connection = place.connect().await;
    let number =
        |sql: String| PlannedQuery { cursor: vec![CursorColumn { index: 0, kind: CursorKind::Integer }], ..plain(sql) };
    for table in 0..300 {
        connection.probe(&number(format!("select {table}::bigint as kept"))).await.unwrap();
        let once = PlannedQuery { recurs: false, ..number(format!("select {table}::bigint as once")) };
        connection.probe(&once).await.unwrap();
    }
    for (what, count) in [("kept", 300), ("once", 0)] {
        let left = format!("select count(*) from pg_prepared_statements where statement like '%as {what}'");
        assert_eq!(connection.probe(&number(left)).await.unwrap(), Some(CursorValue::Integer(count)), "{what}");
    }
}

#[tokio::test]
async fn expressions_of_a_query_keep_their_precision() {
    let mut place = Place::new(&Postgres, "create table t (a numeric(8,3));");
    let query = Relation::Query(format!("select a, a::numeric(10,2) as b, a * 2 as c from {}.t", place.name));
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
        Place::new(&Postgres, "create table t (a int, b int[], c int); insert into t values (1, '{1}', 2);");
    place.source.types.all.unsupported = Unsupported::Skip;
    let (definition, read) = place.read_all(&place.table("t")).await.unwrap();
    assert_eq!(definition.skipped[0].name, "b");
    assert_eq!(read.rows, [[Value::Integer(1), Value::Integer(2)]]);
    place.source.types.all.unsupported = Unsupported::Fail;
    let error = place.connect().await.describe(&place.table("t"), &[]).await.unwrap_err();
    assert_eq!((error.kind(), error.context("column")), (ErrorKind::SourceSchema, Some("b")));
}

/// Others may commit in the same server at any moment, so equal tokens are waited for.
#[tokio::test]
async fn postgresql_tells_of_every_way_in_which_rows_become_visible() {
    let place = Place::new(
        &Postgres,
        "create table t (id bigint generated always as identity primary key); create view v as select * from t;
         create table p (id int, at int) partition by range (id); create table p1 partition of p for values from (0) to (9);
         create table r (id int); alter table r enable row level security; create materialized view m as select 1 as id;",
    );
    let mut connection = place.connect().await;
    let mut writer = Held::on(Server::Postgres(url()));
    writer.run(&format!("set search_path = {}", place.name));
    let mut told = token(&mut *connection).await;
    let started = Instant::now();
    while told != token(&mut *connection).await {
        assert!(started.elapsed() < Duration::from_secs(60), "no two tokens are equal");
        told = token(&mut *connection).await;
    }
    let (insert, gid) = ("insert into t default values", &place.name);
    for (open, visible) in [
        (String::new(), insert.to_owned()),
        (format!("begin; {insert}"), "commit".to_owned()),
        (format!("begin; savepoint s; {insert}; release s"), "commit".to_owned()),
        (format!("begin; savepoint s; {insert}; rollback to s; {insert}"), "commit".to_owned()),
        (format!("begin; {insert}; prepare transaction '{gid}'"), format!("commit prepared '{gid}'")),
        (String::new(), "do $$ begin insert into t default values; exception when others then null; end $$".to_owned()),
        (String::new(), "truncate t".to_owned()),
        (String::new(), "alter table t add column more int".to_owned()),
    ] {
        if !open.is_empty() {
            writer.run(&open);
        }
        let before = token(&mut *connection).await;
        writer.run(&visible);
        assert_ne!(token(&mut *connection).await, before, "{open}, {visible}");
    }
    let tokens = connection.change_tokens().unwrap();
    for (table, told) in [("t", true), ("p", true), ("v", false), ("r", false), ("m", false), ("nowhere", false)] {
        assert_eq!(tokens.changes_by_commits(&place.table(table)).await.unwrap(), told, "{table}");
    }
    assert!(!tokens.changes_by_commits(&Relation::Query("select * from t".to_owned())).await.unwrap());
    place.sql("create table p2 partition of p for values from (9) to (20); alter table p2 enable row level security;");
    assert!(!tokens.changes_by_commits(&place.table("p")).await.unwrap(), "one of its partitions has policies");
}

#[tokio::test]
async fn a_session_behind_a_pooler_has_no_tokens_for_the_next_statement_may_be_another_server_s() {
    let place = Place::new(&Postgres, "create table t (id int)");
    let mut source = place.source.clone();
    source.url.parameters.insert("prepareThreshold".to_owned(), "0".to_owned());
    let mut connection = connect(&source).await.unwrap();
    assert!(connection.change_tokens().is_none());
}

async fn token(connection: &mut dyn SourceConnection) -> ChangeToken {
    connection.change_tokens().unwrap().change_token().await.unwrap().unwrap()
}
