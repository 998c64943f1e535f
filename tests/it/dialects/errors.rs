//! What goes wrong, and what it is called.

use rowtide::error::ErrorKind;

use super::place::{Database, Place, connect, read, refused};

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
    if database.is_server() {
        let mut source = place.source.clone();
        source.url.hosts.insert(0, ("127.0.0.1".to_owned(), 1));
        connect(&source).await.unwrap();
        source.url.hosts.truncate(1);
        let error = refused(&source).await;
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
    }
}
