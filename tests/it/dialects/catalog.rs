//! The catalog: tables, columns, keys.

use std::fmt::Write as _;

use rowtide::config::spec::CatalogFilter;
use rowtide::error::ErrorKind;
use rowtide::model::{CursorKind, CursorValue, FieldType, Mode, Position, Relation, Value};

use super::place::{Database, Place, read_pages, text};

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

/// Names that must do nothing to a statement.
const HOSTILE: &[&str] = &[
    "a`b",
    "a\"b",
    "a'b",
    "a.b",
    ".c",
    "a b",
    "żółw",
    "表",
    "select",
    "Group",
    "100%",
    "a_b",
    "a\\b",
    "#c",
    "-- d",
    "/*e*/",
    "?",
    "$1",
    ":x",
    "%s",
    "a;b",
    "x as t",
    "y from `z",
    "t",
    "n\tm",
];

pub(super) async fn hostile_names_stay_names(database: &'static dyn Database) {
    let place = Place::new(database, "");
    let mut connection = place.connect().await;
    let mut setup = String::new();
    for name in HOSTILE {
        let quoted = place.syntax().quote(name);
        let _ = write!(
            setup,
            "create table {quoted} ({quoted} int not null primary key, other int);
             insert into {quoted} values (1, 5), (2, 6), (3, 7), (4, 8);"
        );
    }
    place.sql(&setup);
    let Relation::Table(id) = place.table("a") else { unreachable!() };
    let filter = CatalogFilter { catalog: id.catalog, schema: id.schema, types: vec!["TABLE".to_owned()] };
    let listed = connection.list_tables(&filter).await.unwrap();
    let mut listed: Vec<&str> = listed.iter().map(|id| id.name.as_str()).collect();
    let mut expected = HOSTILE.to_vec();
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    for name in HOSTILE {
        let (relation, columns) = (place.table(name), [(*name).to_owned()]);
        let definition = connection.describe(&relation, &[]).await.unwrap();
        assert_eq!(definition.primary_key, columns, "{name}");
        let planner = place.planner(&definition, &Mode::Incrementing { column: (*name).to_owned() }).unwrap();
        let rows = read_pages(&mut *connection, &definition, &planner, None, 3).await.unwrap();
        assert_eq!(rows.column(0), (1..=4).map(Value::Integer).collect::<Vec<_>>(), "{name}");
        let after = Position(vec![CursorValue::Integer(1)]);
        let report = connection.explain(&planner.page(Some(&after), None, 3)).await.unwrap();
        assert!(report.index_serves, "{name}: {:?}", report.lines);
        connection.cursor_facts(&relation, &columns).await.unwrap();
        connection.last_id(&relation, name).await.unwrap();
        connection.estimate_rows(&relation).await.unwrap();
    }
}

pub(super) async fn rows_are_estimated_without_counting(database: &'static dyn Database) {
    let rows: Vec<String> = (0..1000).map(|n| format!("({n})")).collect();
    let place = Place::new(database, &format!("create table t (a int); insert into t values {};", rows.join(", ")));
    place.sql(&database.analyze("t"));
    let mut connection = place.connect().await;
    let estimate = connection.estimate_rows(&place.table("t")).await.unwrap().unwrap();
    assert!((500..2000).contains(&estimate), "{estimate}");
    assert_eq!(connection.estimate_rows(&Relation::Query("select 1 as a".to_owned())).await.unwrap(), None);
}

pub(super) async fn a_server_is_known_again(database: &'static dyn Database) {
    let (place, has_identity) = (Place::new(database, ""), database.has_identity());
    let (one, other) = (place.connect().await, place.connect().await);
    assert_eq!(one.identity(), other.identity());
    assert_eq!(one.server(), other.server());
    assert_eq!(one.identity().is_some(), has_identity);
}
