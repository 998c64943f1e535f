//! PostgreSQL's identity and the state of its sequences.

use rowtide::model::{Relation, TableId};

use super::place::Place;
use super::postgres::Postgres;
use crate::support::db::{Postgres as OwnDatabase, Role};

#[tokio::test]
async fn a_server_says_who_it_is_and_how_far_it_has_counted() {
    let mut place = Place::new(
        &Postgres,
        "create table \"T\" (\"Id\" serial primary key, other int generated always as identity, plain int);
         insert into \"T\" (plain) select 1 from generate_series(1, 7); delete from \"T\" where \"Id\" > 3;
         create table fresh (id serial primary key); create view v as select * from \"T\";",
    );
    let identity = place.connect().await.identity().unwrap().to_owned();
    assert!(identity.starts_with("postgresql database postgres (") && identity.contains("), system "), "{identity}");
    for threshold in ["5", "0"] {
        place.source.url.parameters.insert("prepareThreshold".to_owned(), threshold.to_owned());
        let mut connection = place.connect().await;
        assert_eq!(connection.identity(), Some(identity.as_str()));
        assert!(!connection.is_replica());
        for (table, column, expected) in [
            ("T", "Id", Some(7)),
            ("T", "other", Some(7)),
            ("T", "plain", None),
            ("fresh", "id", None),
            ("v", "Id", None),
        ] {
            let last = connection.last_id(&place.table(table), column).await.unwrap();
            assert_eq!(last, expected, "{table}.{column}");
        }
        assert_eq!(connection.last_id(&place.table("gone"), "id").await.unwrap(), None);
        assert!(connection.describe(&place.table("T"), &[]).await.is_ok(), "the session is in order");
    }
}

#[tokio::test]
async fn who_may_not_see_the_system_identifier_or_a_sequence_sees_less() {
    let (role, database) = (Role::new(), OwnDatabase::new());
    database.run(
        "revoke execute on function pg_control_system() from public;
         create table t (id serial primary key); insert into t default values; grant select on t to public",
    );
    let mut place = Place::new(&Postgres, "select 1");
    place.source.url.database = Some(database.name.clone());
    let known = place.connect().await.identity().unwrap().to_owned();
    place.source.user = Some(role.0.clone());
    let mut connection = place.connect().await;
    let less = connection.identity().unwrap();
    assert!(known.starts_with(&format!("{less}, system ")), "{known} and {less}");
    let id = TableId { catalog: None, schema: Some("public".to_owned()), name: "t".to_owned() };
    assert_eq!(connection.last_id(&Relation::Table(id), "id").await.unwrap(), None);
}
