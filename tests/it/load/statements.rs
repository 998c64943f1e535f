//! The load of a start on the database, counted by the server itself (`pg_stat_statements`).

use std::collections::BTreeMap;

use super::LISTEN;
use crate::support::config::Connector;
use crate::support::db::Server;
use crate::support::http::wait_for_state;
use crate::support::kafka::wait_for_records;
use crate::support::private::Private;
use crate::support::process::Running;

const TABLES: usize = 12;

/// A server that counts, and a database with tables on it.
fn counting() -> (Private, Server) {
    let settings = "shared_preload_libraries = 'pg_stat_statements'";
    let private = Private::start_with("postgres", settings);
    let server = Server::Postgres(private.address("ROWTIDE_TEST_POSTGRES_URL"));
    server.run("create extension pg_stat_statements");
    server.run(&format!(
        "do $$ begin for n in 1..{TABLES} loop execute format(
           'create table t%s (id serial primary key, ts timestamptz not null default now());
            create index on t%s (ts, id); insert into t%s default values', n, n, n); end loop; end $$"
    ));
    (private, server)
}

/// The number of calls by statement, since they were counted from 0.
fn calls(server: &Server) -> BTreeMap<String, usize> {
    let lines = server.texts(
        "select sum(calls) || ' ' || query from (select calls, regexp_replace(query, '\\s+', ' ', 'g') as query
           from pg_stat_statements where query !~ 'pg_stat_statements') as counted group by query",
    );
    let parts = lines.iter().map(|line| line.split_once(' ').expect("a statement"));
    parts.map(|(calls, query)| (query.to_owned(), calls.parse().expect("a number"))).collect()
}

/// Statements of each poll: its page, the time, what is open and whether anything was committed.
fn is_of_polls(query: &str) -> bool {
    let words = ["limit $4", "clock_timestamp", "pg_current_snapshot", "pg_locks", "begin isolation", "commit"];
    words.iter().any(|word| query.contains(word))
}

#[test]
fn a_start_asks_for_the_plan_of_each_table_once_and_for_nothing_else_more_than_twice() {
    let (private, server) = counting();
    let url = private.address("ROWTIDE_TEST_POSTGRES_URL");
    let (_, place) = url.rsplit_once('@').expect("a user");
    let connector = Connector::new(&format!("jdbc:postgresql://{place}"))
        .alone()
        .set("mode", "timestamp+incrementing")
        .set("timestamp.column.name", "ts")
        .set("incrementing.column.name", "id")
        .set("table.poll.interval.ms", "3600000");
    let names = || (1..=TABLES).map(|n| format!("t{n}"));
    for start in ["a first start", "one that goes on at a position"] {
        server.run("select pg_stat_statements_reset()");
        let mut running = Running::start(&connector.file(), LISTEN);
        let address = running.address();
        for name in names() {
            wait_for_records(&connector.topic(&name), 1);
            wait_for_state(&address, &format!("public.{name}"), "idle");
        }
        let calls = calls(&server);
        for name in names() {
            let is_plan = |query: &str| query.contains("explain") && query.contains(&format!("\"{name}\""));
            // For programs and for people.
            for form in ["explain (format json) select", "explain select"] {
                let plans = calls.iter().filter(|(query, _)| is_plan(query) && query.starts_with(form));
                assert_eq!(plans.map(|(_, count)| count).sum::<usize>(), 1, "{start}: {form} of {name}: {calls:#?}");
            }
        }
        let often = calls.iter().filter(|(query, count)| !is_of_polls(query) && **count > 2 * TABLES);
        assert_eq!(often.collect::<Vec<_>>(), [], "{start}");
        assert_eq!(running.terminate(), Some(0));
    }
}
