//! Relations that are a query.

use rowtide::error::ErrorKind;
use rowtide::model::{Relation, Value};

use super::place::{Database, Place, read};

pub(super) async fn a_query_is_described_and_read(database: &'static dyn Database) {
    let place =
        Place::new(database, "create table t (a int not null, b text); insert into t values (1, 'x'), (2, null);");
    let from = place.from("t");
    let query = Relation::Query(format!("select a, b, a + 1 as next from {from} order by a -- comment\n"));
    let (definition, rows) = place.read_all(&query).await.unwrap();
    assert!(!definition.columns[0].field.optional && definition.columns[1].field.optional);
    assert!(definition.primary_key.is_empty());
    assert_eq!(rows.rows.len(), 2);
    assert_eq!(rows.rows[1][1], Value::Null);
    let mut connection = place.connect().await;
    let twice = Relation::Query(format!("select a, b as a from {from}"));
    let error = connection.describe(&twice, &[]).await.unwrap_err();
    // PostgreSQL delivers both, SQLite renames the second, MySQL refuses.
    assert_eq!(error.kind(), ErrorKind::SourceSchema, "{error:?}");
    let error = connection.describe(&Relation::Query("selec 1".to_owned()), &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
}

pub(super) async fn a_null_from_an_outer_join_makes_the_field_optional(database: &'static dyn Database) {
    let place = Place::new(
        database,
        "create table l (a int not null); create table r (b int not null); insert into l values (1);",
    );
    let sql = format!("select a, b from {} left join {} on a = b", place.from("l"), place.from("r"));
    let query = Relation::Query(sql);
    let mut connection = place.connect().await;
    let definition = connection.describe(&query, &[]).await.unwrap();
    let page = place.select(&definition, "");
    if !database.knows_outer_joins() {
        assert!(!definition.columns[1].field.optional);
        let error = read(&mut *connection, &definition, &page).await.err().unwrap();
        assert_eq!((error.kind(), error.context("column")), (ErrorKind::Value, Some("b")));
    }
    let definition = connection.describe(&query, &[]).await.unwrap();
    assert!(definition.columns[1].field.optional && !definition.columns[0].field.optional);
    assert_eq!(read(&mut *connection, &definition, &page).await.unwrap().rows.len(), 1);
}
