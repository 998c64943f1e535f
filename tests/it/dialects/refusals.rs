//! Errors of statements, made by real servers: what does not pass ends the table at once, what passes is tried again.

use std::time::Duration;

use rowtide::error::{Directive, Error, Result};
use rowtide::model::Relation;

use super::mysql::{Family, MARIADB, MYSQL, TIDB};
use super::place::{Place, read};
use super::postgres::{Postgres, url};
use crate::support::config::Connector;
use crate::support::db::{Held, Postgres as OwnDatabase, Server};
use crate::support::kafka::wait_for_records;
use crate::support::process::Running;

const TABLE: &str =
    "create table t (id int primary key, s varchar(9) character set utf8mb4); insert into t values (1, 'a'), (2, 'b');";

/// Describes and reads a query as a poll does.
async fn polled(place: &Place, sql: &str) -> Result<()> {
    let mut connection = place.connect().await;
    let definition = connection.describe(&Relation::Query(sql.to_owned()), &[]).await?;
    read(&mut *connection, &definition, &place.select(&definition, "")).await.map(drop)
}

async fn ends(place: &Place, sql: &str, code: &str) {
    let error = polled(place, sql).await.expect_err(sql);
    assert_ne!(error.kind().directive(), Directive::Retry, "{sql}: {error:?}");
    assert!(error.report().contains(code), "{sql}: {}", error.report());
}

#[tokio::test]
async fn a_query_that_the_family_refuses_is_not_tried_for_ever() {
    let both: [&'static Family; 2] = [&MYSQL, &MARIADB];
    for family in both {
        let place = Place::new(family, TABLE);
        for (sql, code) in [
            ("select t.id from t, t", "1066"),
            ("select id from t where count(*) > 1", "1111"),
            ("select convert(s using nosuch) as a from t", "1115"),
            ("select id from t order by id union select id from t", "1064"),
            ("select (select id from t) as a", "1242"),
            ("select s collate latin1_swedish_ci as a from t", "1253"),
            ("select id from t partition (p0)", "1747"),
            ("select s regexp '(' as a from t", if *family == MYSQL { "36" } else { "1139" }),
            ("select id from t where row_number() over () > 1", if *family == MYSQL { "3593" } else { "4015" }),
        ] {
            ends(&place, sql, &format!("error {code}")).await;
        }
    }
    let place = Place::new(&MYSQL, TABLE);
    for (sql, code) in [
        ("select id, count(*) as c from t group by s", "1055"),
        ("select id, count(*) as c from t", "1140"),
        ("select json_extract('{}', '$[') as a", "3143"),
    ] {
        ends(&place, sql, &format!("error {code}")).await;
    }
    let place = Place::new(&MARIADB, TABLE);
    for (sql, code) in [("select point(1, 1) + 1 as a", "4078"), ("select cast('a' as nosuch) as a", "4161")] {
        ends(&place, sql, &format!("error {code}")).await;
    }
    let place = Place::new(&TIDB, TABLE);
    for sql in [
        "select id from t where count(*) > 1",
        "select (select id from t) as a",
        "select t.id from t, t",
        "select id, count(*) as c from t group by s",
        "select s regexp '(' as a from t",
    ] {
        ends(&place, sql, "error ").await;
    }
}

#[tokio::test]
async fn a_query_that_postgresql_refuses_is_not_tried_for_ever() {
    let place = Place::new(
        &Postgres,
        "create table t (id int); insert into t values (1), (2);
         create materialized view empty as select * from t with no data;
         create function raises() returns int language plpgsql as $$ begin raise exception 'no'; end $$;",
    );
    let name = &place.name;
    for (sql, code) in [
        (format!("select (select id from {name}.t) as a"), "21000"),
        (format!("select * from {name}.empty"), "55000"),
        (format!("select {name}.raises() as a"), "P0001"),
        (format!("select id, count(*) as c from {name}.t"), "42803"),
        ("select 'a' ~ '(' as a".to_owned(), "2201B"),
        ("select 1 / (select 0) as a".to_owned(), "22012"),
    ] {
        ends(&place, &sql, code).await;
    }
}

fn passes(error: Error, code: &str) {
    assert_eq!(error.kind().directive(), Directive::Retry, "{error:?}");
    assert!(error.report().contains(code), "{}", error.report());
}

#[tokio::test]
async fn a_lock_that_is_not_to_be_had_in_time_is_waited_for() {
    let mut place = Place::new(&Postgres, "create table t (id int); insert into t values (1);");
    place.source.url.parameters.insert("options".to_owned(), "-c lock_timeout=100".to_owned());
    let mut connection = place.connect().await;
    let definition = connection.describe(&place.table("t"), &[]).await.unwrap();
    let mut holder = Held::on(Server::Postgres(url()));
    holder.run(&format!("begin; lock table {}.t in access exclusive mode", place.name));
    let query = place.select(&definition, "");
    passes(read(&mut *connection, &definition, &query).await.err().unwrap(), "55P03");
    holder.run("rollback");
    assert_eq!(read(&mut *connection, &definition, &query).await.unwrap().rows.len(), 1);
    let both: [&'static Family; 2] = [&MYSQL, &MARIADB];
    for family in both {
        let mut place = Place::new(family, TABLE);
        place.source.url.parameters.insert("sessionVariables".to_owned(), "lock_wait_timeout=1".to_owned());
        place.source.statement_timeout = Duration::from_secs(30);
        let mut connection = place.connect().await;
        let definition = connection.describe(&place.table("t"), &[]).await.unwrap();
        let mut holder = Held::on(Server::MySql(format!("{}{}", family.address("URL"), place.name)));
        holder.run("lock tables t write");
        let query = place.select(&definition, "");
        passes(read(&mut *connection, &definition, &query).await.err().unwrap(), "1205");
        holder.run("unlock tables");
        assert_eq!(read(&mut *connection, &definition, &query).await.unwrap().rows.len(), 2);
    }
}

#[tokio::test]
async fn a_view_whose_definer_is_gone_is_told_as_that() {
    let both: [&'static Family; 2] = [&MYSQL, &MARIADB];
    for family in both {
        let user = crate::support::unique("gone");
        let place = Place::new(family, TABLE);
        place.sql(&format!(
            "create user {user}; grant all on {}.* to {user};
             create definer = {user} sql security definer view v as select id from t;",
            place.name
        ));
        let mut connection = place.connect().await;
        let view = place.table("v");
        let definition = connection.describe(&view, &[]).await.unwrap();
        let query = place.select(&definition, "");
        assert_eq!(read(&mut *connection, &definition, &query).await.unwrap().rows.len(), 2);
        place.sql(&format!("drop user {user}"));
        // Whether it is found when it is described or when it is read.
        let error = match read(&mut *place.connect().await, &definition, &query).await {
            Err(error) => error,
            Ok(_) => panic!("a view without its definer was read"),
        };
        assert_eq!(error.kind().directive(), Directive::Fail, "{error:?}");
        assert!(error.report().contains("1449") && error.advice().contains("definer"), "{error:?}: {}", error.advice());
        if let Err(error) = place.connect().await.describe(&view, &[]).await {
            assert!(
                error.report().contains("1449") && error.advice().contains("definer"),
                "{error:?}: {}",
                error.advice()
            );
        }
    }
}

#[tokio::test]
async fn a_role_that_is_granted_but_not_active_is_named() {
    let families: [&'static Family; 3] = [&MYSQL, &MARIADB, &TIDB];
    for family in families {
        let place = Place::new(family, TABLE);
        let (user, role) = (crate::support::unique("user"), crate::support::unique("role"));
        place.sql(&format!(
            "create user {user}; create role {role}; grant select on {}.* to {role}; grant {role} to {user};",
            place.name
        ));
        let error = match super::place::connect(&place.source_as(&user)).await {
            Err(error) => error,
            Ok(mut connection) => connection.describe(&place.table("t"), &[]).await.err().unwrap(),
        };
        let advice = error.advice().replace(['`', '\''], "");
        let expected = if *family == MARIADB {
            format!("SET DEFAULT ROLE {role} FOR {user}@%")
        } else {
            format!("SET DEFAULT ROLE {role}@% TO {user}@%")
        };
        assert!(advice.contains(&expected), "{error:?}: {}", error.advice());
        place.sql(&format!("drop user {user}; drop role {role}"));
    }
}

#[tokio::test]
async fn columns_that_alone_are_granted_are_named_with_the_query_that_reads_them() {
    let families: [&'static Family; 3] = [&MYSQL, &MARIADB, &TIDB];
    for family in families {
        if *family == TIDB {
            // It has no privileges on columns.
            continue;
        }
        let place = Place::new(family, TABLE);
        let user = crate::support::unique("user");
        place.sql(&format!("create user {user}; grant select (id) on {}.t to {user}", place.name));
        let mut connection = super::place::connect(&place.source_as(&user)).await.unwrap();
        let definition = connection.describe(&place.table("t"), &[]).await;
        let error = match definition {
            Err(error) => error,
            Ok(definition) => panic!("{}: {definition:?}", family.address("URL")),
        };
        assert!(error.advice().contains("query=select `id` from"), "{error:?}: {}", error.advice());
        place.sql(&format!("drop user {user}"));
    }
    let place = Place::new(&Postgres, "create table t (id int, s text);");
    let user = super::place::User::new(&place);
    place.sql(&format!("grant select (id) on t to {}", user.name));
    let mut connection = super::place::connect(&place.source_as(&user.name)).await.unwrap();
    let error = connection.describe(&place.table("t"), &[]).await.err().unwrap();
    assert!(error.advice().contains("query=select \"id\" from"), "{error:?}: {}", error.advice());
}

/// The limit of an account or a role is reached: what it is, and no word of a network.
#[tokio::test]
async fn a_limit_of_connections_is_told_as_that_and_passes() {
    let user = crate::support::unique("limited");
    let both: [&'static Family; 2] = [&MYSQL, &MARIADB];
    for family in both {
        let place = Place::new(family, TABLE);
        place.sql(&format!(
            "create user {user} with max_user_connections 1; grant select on {}.* to {user}",
            place.name
        ));
        let first = super::place::connect(&place.source_as(&user)).await.unwrap();
        let error = super::place::refused(&place.source_as(&user)).await;
        assert_eq!(error.kind().directive(), Directive::Retry, "{error:?}");
        let advice = error.advice();
        assert!(error.report().contains("error 1226") && advice.contains("ALTER USER"), "{error:?}: {advice}");
        assert!(!advice.contains("firewall"), "{advice}");
        first.close().await;
        place.sql(&format!("drop user {user}"));
    }
    let place = Place::new(&Postgres, TABLE_OF_POSTGRES);
    place.sql(&format!("create role {user} login connection limit 1"));
    let first = super::place::connect(&place.source_as(&user)).await.unwrap();
    let error = super::place::refused(&place.source_as(&user)).await;
    assert_eq!(error.kind().directive(), Directive::Retry, "{error:?}");
    assert!(error.report().contains("53300") && error.advice().contains("CONNECTION LIMIT"), "{error:?}");
    first.close().await;
    place.sql(&format!("drop role {user}"));
}

const TABLE_OF_POSTGRES: &str = "create table t (id int primary key)";

#[test]
fn a_sole_table_that_fails_has_no_others_that_go_on() {
    let database = OwnDatabase::with_test_table();
    let connector = Connector::of_test_table(&database.jdbc_url()).alone();
    let mut running = Running::start(&connector.file(), &[]);
    database.run("insert into test_table (item) values ('a')");
    wait_for_records(&connector.topic("test_table"), 1);
    database.run("drop table test_table");
    assert_ne!(running.ended(), Some(0));
    let log = running.log();
    assert!(log.contains("the table has failed") && !log.contains("the others go on"), "{log}");
}
