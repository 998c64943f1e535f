//! Cases that only SQLite has.

use std::time::Duration;

use rowtide::dialect::{Ability, SourceConnection};
use rowtide::error::ErrorKind;
use rowtide::model::{ChangeToken, CursorKind, CursorValue, FieldType, Relation, Value};

use super::place::{Place, read, refused};
use super::sqlite::Sqlite;
use crate::support::db::{Held, Server};

#[tokio::test]
async fn a_sqlite_integer_widens_when_a_value_needs_it() {
    let place = Place::new(
        &Sqlite,
        "create table t (a integer, b real, c); insert into t values (1, 0.5, 'x'), (3000000000, 2, 1.5);
        create table k (id integer primary key); insert into k values (3000000000);",
    );
    let mut connection = place.connect().await;
    let relation = place.table("t");
    let definition = connection.describe(&relation, &[]).await.unwrap();
    assert_eq!(definition.columns[0].field.field_type, FieldType::Int32);
    let query = place.select(&definition, "order by t.a");
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
    let place = Place::new(&Sqlite, "create table t (a datetime, b datetime, c timestamp, d datetime, e integer);
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
async fn a_sqlite_file_that_is_locked_says_so() {
    let mut place = Place::new(&Sqlite, "create table t (a int); insert into t values (1);");
    place.source.url.parameters.insert("busy_timeout".to_owned(), "100".to_owned());
    let mut connection = place.connect().await;
    let definition = connection.describe(&place.table("t"), &[]).await.unwrap();
    let path = place.folder.path().join(std::path::Path::new(place.source.url.database.as_deref().unwrap()));
    let mut writer = Held::on(Server::Sqlite(format!("sqlite://{}", path.display())));
    writer.run("pragma journal_mode = delete");
    writer.run("begin exclusive");
    let error = read(&mut *connection, &definition, &place.select(&definition, "")).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Query, "{error:?}");
    assert!(error.report().contains("waited for a lock") && error.advice().contains("busy_timeout"), "{error:?}");
    writer.run("rollback");
    assert_eq!(read(&mut *connection, &definition, &place.select(&definition, "")).await.unwrap().rows.len(), 1);
}

#[tokio::test]
async fn a_sqlite_file_in_wal_mode_is_read_while_it_is_written() {
    let place = Place::new(&Sqlite, "pragma journal_mode = wal; create table t (a int); insert into t values (1);");
    let (_, read) = place.read_all(&place.table("t")).await.unwrap();
    assert_eq!(read.rows.len(), 1);
    let mut broken = place.source.clone();
    let path = place.folder.path().join("text.db");
    std::fs::write(&path, "not a database, only text that is long enough to be looked at").unwrap();
    broken.url.database = Some(path.display().to_string());
    let error = refused(&broken).await;
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
}

#[tokio::test]
async fn a_file_shows_its_clock_and_no_writers() {
    let place = Place::new(&Sqlite, "create table t (id integer primary key);");
    let mut connection = place.connect().await;
    let support = connection.late_support(&place.table("t"), Some("id")).await.unwrap();
    assert_eq!(support.writers, Ability::no("a file does not show who is writing it", ""));
    let open = connection.open_transactions().await.unwrap();
    let CursorValue::Timestamp(now) =
        connection.upper_bound(CursorKind::Timestamp { zoned: true, digits: 6 }, Duration::ZERO).await.unwrap()
    else {
        panic!("no clock")
    };
    assert!((now - open.clock).abs() < 2_000_000 && open.sessions.is_empty() && !open.is_stale, "{open:?}");
}

#[tokio::test]
async fn a_file_tells_of_every_commit_of_others_and_of_nothing_else() {
    let place = Place::new(
        &Sqlite,
        "create table t (id integer primary key); create view v as select * from t;
         create virtual table f using fts5(body);",
    );
    for mode in ["delete", "wal"] {
        place.sql(&format!("pragma journal_mode = {mode}"));
        let mut connection = place.connect().await;
        let mut last = token(&mut *connection).await;
        assert!(last.is_some());
        for (sql, changes) in [
            ("select count(*) from t", false),
            ("insert into t default values", true),
            ("begin; insert into t default values; rollback", false),
            ("update t set id = id + 100", true),
            ("create table u (id int); drop table u", true),
        ] {
            place.sql(sql);
            assert_eq!(token(&mut *connection).await, token(&mut *connection).await);
            let now = token(&mut *connection).await;
            assert_eq!(now != last, changes, "{mode}: {sql}");
            last = now;
        }
    }
    let mut connection = place.connect().await;
    let tokens = connection.change_tokens().unwrap();
    for (relation, told) in [
        (place.table("t"), true),
        (place.table("v"), false),
        (place.table("f"), false),
        (Relation::Query("select * from t".to_owned()), false),
    ] {
        assert_eq!(tokens.changes_by_commits(&relation).await.unwrap(), told, "{relation}");
    }
    let path = place.source.url.database.clone().unwrap();
    std::fs::copy(&path, format!("{path}.new")).unwrap();
    std::fs::rename(format!("{path}.new"), &path).unwrap();
    assert_eq!(token(&mut *connection).await, None, "another file is there now");
}

async fn token(connection: &mut dyn SourceConnection) -> Option<ChangeToken> {
    connection.change_tokens().unwrap().change_token().await.unwrap()
}
