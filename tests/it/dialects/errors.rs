//! Errors and their kinds.

use std::time::Duration;

use rowtide::config::spec::Secret;
use rowtide::dialect::StreamEnd;
use rowtide::error::ErrorKind;
use rowtide::model::{CursorColumn, CursorValue, PlannedQuery, Relation};

use super::place::{Collected, Database, Place, User, connect, plain, read, refused};

pub(super) async fn a_changed_table_is_noticed_between_two_pages(database: &'static dyn Database) {
    let place = Place::new(database, "create table t (a int, b int); insert into t values (1, 2);");
    let relation = place.table("t");
    let mut connection = place.connect().await;
    let mut definition = connection.describe(&relation, &[]).await.unwrap();
    read(&mut *connection, &definition, &place.select(&definition, "")).await.unwrap();
    let mut changes = vec![
        "alter table t add column c text".to_owned(),
        "alter table t drop column b".to_owned(),
        "alter table t rename column a to z".to_owned(),
    ];
    changes.extend(database.widen("t", "z"));
    for change in changes {
        place.sql(&change);
        let query = place.select(&definition, "");
        let error = read(&mut *connection, &definition, &query).await.err().expect(&change);
        assert_eq!(error.kind(), ErrorKind::SchemaChanged, "{change}: {error:?}");
        let changed = connection.describe(&relation, &[]).await.unwrap();
        assert_ne!(changed, definition, "{change}");
        definition = changed;
        let query = place.select(&definition, "");
        assert_eq!(read(&mut *connection, &definition, &query).await.unwrap().rows.len(), 1, "{change}");
    }
    place.sql("drop table t");
    let query = place.select(&definition, "");
    let error = read(&mut *connection, &definition, &query).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::SchemaChanged);
    assert_eq!(connection.describe(&relation, &[]).await.unwrap_err().kind(), ErrorKind::SourceSchema);
}

pub(super) async fn unreachable_databases_are_told_apart(database: &'static dyn Database) {
    let place = Place::new(database, "create table t (a int);");
    let mut source = place.source.clone();
    source.url.database = Some("no_such_database".to_owned());
    let error = refused(&source).await;
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    if database.server().is_some() {
        let mut source = place.source.clone();
        source.url.hosts.insert(0, ("127.0.0.1".to_owned(), 1));
        connect(&source).await.unwrap();
        source.url.hosts.truncate(1);
        let error = refused(&source).await;
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
    }
}

pub(super) async fn a_table_that_is_made_anew_is_noticed(database: &'static dyn Database) {
    let place = Place::new(database, "create table t (a int, b int); insert into t values (1, 2);");
    let relation = place.table("t");
    let mut connection = place.connect().await;
    let definition = connection.describe(&relation, &[]).await.unwrap();
    let query = place.select(&definition, "");
    read(&mut *connection, &definition, &query).await.unwrap();
    place.sql("drop table t; create table t (a int, b int); insert into t values (3, 4), (5, 6);");
    let rows = match read(&mut *connection, &definition, &query).await {
        Err(error) if error.kind() == ErrorKind::SchemaChanged => {
            assert_eq!(connection.describe(&relation, &[]).await.unwrap(), definition);
            read(&mut *connection, &definition, &query).await.unwrap()
        }
        rows => rows.unwrap(),
    };
    assert_eq!(rows.rows.len(), 2);
    place.sql("drop table t; create table t (a varchar(9), b int); insert into t values ('3', 4);");
    let error = read(&mut *connection, &definition, &query).await.err().unwrap();
    // Where columns have no type of their own, a value tells.
    let expected = if database.widen("t", "a").is_some() { ErrorKind::SchemaChanged } else { ErrorKind::Value };
    assert_eq!(error.kind(), expected, "{error:?}");
    assert_ne!(connection.describe(&relation, &[]).await.unwrap(), definition);
}

pub(super) async fn rights_are_missed_by_name(database: &'static dyn Database) {
    if database.server().is_none() {
        return;
    }
    let place = Place::new(database, "create table t (a int); create table s (a int); insert into s values (1);");
    let user = User::new(&place);
    user.may_read(&place, "t", true);
    let definition = place.connect().await.describe(&place.table("s"), &[]).await.unwrap();
    let query = place.select(&definition, "");
    let mut connection = connect(&place.source_as(&user.name)).await.unwrap();
    let error = read(&mut *connection, &definition, &query).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Privilege, "{error:?}");
    user.may_read(&place, "s", true);
    assert_eq!(connection.describe(&place.table("s"), &[]).await.unwrap(), definition);
    assert_eq!(read(&mut *connection, &definition, &query).await.unwrap().rows.len(), 1);
    user.may_read(&place, "s", false);
    let error = read(&mut *connection, &definition, &query).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Privilege, "{error:?}");
    let described = connection.describe(&place.table("s"), &[]).await;
    if let Err(error) = described {
        assert_eq!(error.kind(), ErrorKind::Privilege, "{error:?}");
    }
}

pub(super) async fn a_wrong_password_is_told_as_such(database: &'static dyn Database) {
    let Some(server) = database.server() else { return };
    let place = Place::new(database, "");
    let (user, password) = server.user_with_password();
    let mut source = place.source_as(&user);
    source.password = Some(Secret::new(password));
    connect(&source).await.unwrap();
    for wrong in [Some(Secret::new("wrong")), None] {
        source.password = wrong;
        let error = refused(&source).await;
        assert_eq!(error.kind(), ErrorKind::Auth, "{error:?}");
        assert!(!error.report().contains("wrong"), "{}", error.report());
    }
    source.password = Some(Secret::new("wrong"));
    source.user = Some("no_such_user".to_owned());
    assert_eq!(refused(&source).await.kind(), ErrorKind::Auth);
}

pub(super) async fn a_session_that_is_ended_is_unreachable(database: &'static dyn Database) {
    let Some(server) = database.server() else { return };
    let place = Place::new(database, "create table t (a int, b text);");
    let filler = database.repeat("x", 60_000);
    let rows: Vec<String> = (0..400).map(|n| format!("({n}, {filler})")).collect();
    place.sql(&format!("insert into t values {};", rows.join(", ")));
    let mut connection = place.connect().await;
    let definition = connection.describe(&place.table("t"), &[]).await.unwrap();
    let (sql, kind) = server.session_number();
    let number = PlannedQuery { cursor: vec![CursorColumn { index: 0, kind }], ..plain(sql) };
    let Some(CursorValue::Integer(session)) = connection.probe(&number).await.unwrap() else { panic!("no number") };
    let query = place.select(&definition, "");
    {
        let mut sink = Collected { pause_after: Some(1), ..Collected::default() };
        let mut rows = connection.fetch(&definition, &query).await.unwrap();
        assert_eq!(rows.next_rows(&mut sink).await.unwrap(), StreamEnd::Paused);
        place.sql(&server.kill(session));
        let error = loop {
            match rows.next_rows(&mut sink).await {
                Ok(end) => assert_eq!(end, StreamEnd::Paused, "the whole result arrived"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
    }
    // While idle.
    let mut connection = place.connect().await;
    let Some(CursorValue::Integer(session)) = connection.probe(&number).await.unwrap() else { panic!("no number") };
    place.sql(&server.kill(session));
    let error = read(&mut *connection, &definition, &query).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
}

pub(super) async fn a_slow_statement_ends_at_its_limit(database: &'static dyn Database) {
    if database.server().is_none() {
        return;
    }
    let mut place = Place::new(database, "");
    let digits = "(select 0 as n union all select 1 union all select 2 union all select 3 union all select 4 \
                  union all select 5 union all select 6 union all select 7 union all select 8 union all select 9)";
    let joined: Vec<String> = (0..10).map(|n| format!("{digits} as d{n}")).collect();
    let slow = Relation::Query(format!("select sum(d0.n * d7.n) as a from {}", joined.join(" cross join ")));
    place.source.statement_timeout = Duration::from_millis(300);
    let mut connection = place.connect().await;
    let definition = connection.describe(&slow, &[]).await.unwrap();
    let error = read(&mut *connection, &definition, &place.select(&definition, "")).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::TimeLimit, "{error:?}");
    assert!(error.advice().contains("statement.timeout.ms"), "{error:?}");
    // The session lives on.
    let quick = connection.describe(&Relation::Query("select 1 as a".to_owned()), &[]).await.unwrap();
    assert_eq!(read(&mut *connection, &quick, &place.select(&quick, "")).await.unwrap().rows.len(), 1);
}
