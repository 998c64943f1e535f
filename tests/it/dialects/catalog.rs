//! What there is: tables, columns, keys.

use rowtide::config::spec::CatalogFilter;
use rowtide::error::ErrorKind;
use rowtide::model::{CursorKind, FieldType, Relation, Value};

use super::place::{Database, Place, text};

pub(super) async fn tables_are_listed_by_type_and_name(database: &'static dyn Database) {
    let place =
        Place::new(database, "create table b (a int); create table a (a int); create view v as select * from a;");
    let mut connection = place.connect().await;
    let Relation::Table(id) = place.table("a") else { unreachable!() };
    let mut list = async |types: &[&str]| {
        let types = types.iter().map(|name| (*name).to_owned()).collect();
        let filter = CatalogFilter { catalog: id.catalog.clone(), schema: id.schema.clone(), types };
        let tables = connection.list_tables(&filter).await.unwrap();
        assert!(tables.iter().all(|table| (&table.catalog, &table.schema) == (&id.catalog, &id.schema)));
        tables.into_iter().map(|id| id.name).collect::<Vec<_>>()
    };
    assert_eq!(list(&["TABLE"]).await, ["a", "b"]);
    assert_eq!(list(&["VIEW", "TABLE"]).await, ["a", "b", "v"]);
    let everything: &[&str] = if database.unknown_type_lists_everything() { &["a", "b", "v"] } else { &[] };
    assert_eq!(list(&["NO SUCH TYPE"]).await, everything);
    assert!(!connection.server().is_empty());
}

pub(super) async fn names_of_any_kind_can_be_read(database: &'static dyn Database) {
    let place = Place::new(database, "");
    let name = |name: &str| place.syntax().quote(name);
    place.sql(&format!(
        "create table {table} ({} int, {} varchar(9), {} varchar(9)); insert into {table} values (1, 'x', 'y');",
        name("Se lect"),
        name("a.b"),
        name("ü\"x"),
        table = name("Or\"der.s é")
    ));
    let (definition, read) = place.read_all(&place.table("Or\"der.s é")).await.unwrap();
    let names: Vec<_> = definition.columns.iter().map(|column| column.field.name.as_str()).collect();
    assert_eq!(names, ["Se lect", "a.b", "ü\"x"]);
    assert_eq!(read.rows, [[Value::Integer(1), text("x"), text("y")]]);
}

pub(super) async fn keys_and_constraints_are_described(database: &'static dyn Database) {
    let setup = format!(
        "create table t (id {}, name varchar(9) not null, note varchar(9));
         create table k (b int not null, a int not null, primary key (a, b));",
        database.auto_increment()
    );
    let place = Place::new(database, &setup);
    let mut connection = place.connect().await;
    let table = connection.describe(&place.table("t"), &[]).await.unwrap();
    assert_eq!(table.primary_key, ["id"]);
    assert!(table.columns[0].auto_increment && table.columns[0].not_null);
    assert_eq!(table.columns[0].field.field_type, FieldType::Int32);
    assert_eq!(table.columns[0].cursor, Some(CursorKind::Integer));
    assert_eq!(table.columns[0].field.optional, database.key_is_optional());
    assert!(!table.columns[1].field.optional && table.columns[2].field.optional);
    let key = connection.describe(&place.table("k"), &[]).await.unwrap();
    assert_eq!(key.primary_key, ["a", "b"]);
    assert_eq!(connection.describe(&place.table("t"), &[]).await.unwrap(), table);
}

pub(super) async fn a_missing_table_names_the_near_ones(database: &'static dyn Database) {
    let place = Place::new(database, "create table orders (a int);");
    let mut connection = place.connect().await;
    let error = connection.describe(&place.table("order"), &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SourceSchema, "{error:?}");
    assert!(error.advice().contains("orders"), "{}", error.advice());
    assert!(error.context("table").is_some());
    connection.describe(&place.table("orders"), &[]).await.unwrap();
}
