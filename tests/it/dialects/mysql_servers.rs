//! One family, several servers: which one answers, and what a URL meant for another one makes of it.

use rowtide::config::spec::CatalogFilter;
use rowtide::error::ErrorKind;
use rowtide::model::Relation;

use super::mysql::{Family, MARIADB, MYSQL, TIDB};
use super::place::{Database, Place, connect, refused, text};

#[tokio::test]
async fn the_server_says_which_of_the_family_it_is() {
    let families: [(&'static Family, &str); 3] = [(&MYSQL, "MySQL "), (&MARIADB, "MariaDB "), (&TIDB, "TiDB ")];
    for (family, product) in families {
        let place = Place::new(family, "create table t (a int); insert into t values (1);");
        for name in ["mysql", "mariadb", "tidb"] {
            let mut source = place.source.clone();
            source.url.dialect = name.to_owned();
            if name == "tidb" && family.dialect() != "tidb" {
                let error = refused(&source).await;
                assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
                assert!(error.report().contains(product.trim()), "{}", error.report());
                continue;
            }
            let connection = connect(&source).await.unwrap();
            assert!(connection.server().starts_with(product), "{name}: {}", connection.server());
        }
    }
}

pub(super) async fn settings_of_the_session_are_honoured(family: &'static Family) {
    let mut place = Place::new(family, "create table t (a varchar(9)); insert into t values ('x');");
    let parameters = &mut place.source.url.parameters;
    parameters
        .insert("sessionVariables".to_owned(), "sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES',@mine='a,b'".to_owned());
    let query = Relation::Query("select \"a\", @mine as mine from \"t\"".to_owned());
    let (_, read) = place.read_all(&query).await.unwrap();
    assert_eq!(read.rows, [[text("x"), text("a,b")]]);
    place.source.url.parameters.insert("sessionVariables".to_owned(), "no_such_variable=1".to_owned());
    let error = refused(&place.source).await;
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
}

pub(super) async fn only_the_database_of_the_url_is_listed_on_request(family: &'static Family) {
    let other = Place::new(family, "create table elsewhere (a int);");
    let mut place = Place::new(family, "create table here (a int);");
    let all = CatalogFilter::default();
    for current_only in ["true", "false"] {
        place.source.url.parameters.insert("nullDatabaseMeansCurrent".to_owned(), current_only.to_owned());
        let tables = place.connect().await.list_tables(&all).await.unwrap();
        let has = |place: &Place, table: &str| tables.contains(&place.database.table(&place.name, table));
        assert!(has(&place, "here"));
        assert_eq!(has(&other, "elsewhere"), current_only == "false");
        assert!(tables.iter().all(|table| table.catalog.as_deref() != Some("information_schema")));
    }
    let filter = CatalogFilter { types: vec!["SYSTEM VIEW".to_owned()], ..all };
    let views = place.connect().await.list_tables(&filter).await.unwrap();
    assert!(views.iter().any(|view| view.name.eq_ignore_ascii_case("columns")), "{views:?}");
}
