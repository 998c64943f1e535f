//! `record.timestamp=commit`: records carry the time at which the transaction of their row was committed.

use crate::support::any::Any;
use crate::support::config::Connector;
use crate::support::db::{Held, Postgres, Server, run_on_postgres};
use crate::support::kafka::{decode, read_topic};
use crate::support::private::Private;
use crate::support::process::{checked, once};

fn reading(jdbc_url: &str, mode: &str) -> Connector {
    Connector::new(jdbc_url)
        .set("mode", mode)
        .set("incrementing.column.name", "id")
        .set("timestamp.column.name", "ts")
        .set("table.whitelist", "t")
        .set("record.timestamp", "commit")
        .set("topic.creation.default.partitions", "1")
        .set("topic.creation.default.replication.factor", "1")
        .alone()
}

#[test]
fn records_carry_the_commit_of_their_row_also_one_that_commits_late_and_keep_their_columns() {
    let server = Private::start_with("postgres", "track_commit_timestamp = on");
    let url = server.address("ROWTIDE_TEST_POSTGRES_URL");
    run_on_postgres(
        &url,
        "create table t (id bigint primary key, ts timestamp not null default localtimestamp, v text)",
    );
    let (_, address) = url.rsplit_once('@').expect("a URL with a user");
    let connectors = ["bulk", "incrementing", "timestamp", "timestamp+incrementing"]
        .map(|mode| reading(&format!("jdbc:postgresql://{address}"), mode));
    let postgres = Server::Postgres(url.clone());
    let mut late = Held::on(Server::Postgres(url));
    late.run("begin");
    late.run("insert into t values (1, localtimestamp, 'late')");
    postgres.run("insert into t values (2, localtimestamp, 'two'); select pg_sleep(0.02)");
    late.run("commit");
    postgres.run("insert into t values (3, localtimestamp, 'three')");
    let sql =
        "select v || ' ' || floor(extract(epoch from pg_xact_commit_timestamp(xmin)) * 1000)::bigint from t order by 1";
    let expected = postgres.texts(sql);
    for connector in &connectors {
        checked(connector).expect_code(0);
        once(connector).expect_code(0);
        let raw = read_topic(&connector.topic("t"));
        let times = raw.iter().map(|record| record.at).collect::<Vec<_>>();
        let records = decode(raw);
        let both = records.iter().zip(times);
        let mut found: Vec<String> =
            both.map(|(record, at)| format!("{} {at}", record.field("v").as_str().expect("a text"))).collect();
        found.sort();
        assert_eq!(found, expected, "{}", connector.keys["mode"]);
        assert!(records.iter().all(|record| !record.value.contains("xmin")));
    }
}

#[test]
fn a_server_that_does_not_keep_commit_times_and_databases_that_tell_none_are_refused_with_the_reason() {
    let database = Postgres::new();
    database.run("create table t (id bigint primary key, ts timestamp)");
    let connector = reading(&database.jdbc_url(), "incrementing");
    let says =
        ["record.timestamp=commit: the server does not keep the times of commits", "track_commit_timestamp = on"];
    checked(&connector).expect_code(2).expect_says(&says);
    once(&connector).expect_code(2).expect_says(&says);
    for database in Any::all().into_iter().filter(|database| database.name() != "postgres") {
        let connector = database.by_id("t", 1).set("record.timestamp", "commit");
        let says = ["record.timestamp", "only PostgreSQL tells when a row was committed"];
        checked(&connector).expect_code(2).expect_says(&says);
    }
}
