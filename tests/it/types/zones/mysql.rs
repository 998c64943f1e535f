//! Zones of the MySQL family: a wall clock is what the column shows, a TIMESTAMP the instant that was stored,
//! whatever zone the session would show it in. What a wall clock is in a zone, PostgreSQL says.

use super::super::avro::{Got, Reader};
use super::super::matrix::{Oracle, none, read};
use super::super::mysql::{MySqlOracle, Server};
use super::super::postgres::PostgresOracle;
use super::{WALLS, in_postgres};
use crate::support::config::Connector;
use crate::support::kafka::read_topic;

/// The zone of the session, which is the server's if the URL says nothing, and `db.timezone`.
const ZONES: &[(&str, &str)] = &[
    ("", "America/New_York"),
    ("sessionVariables=time_zone='America/New_York'", "UTC"),
    ("sessionVariables=time_zone='Europe/Berlin'", "America/New_York"),
    ("connectionTimeZone=Asia/Kolkata&forceConnectionTimeZoneToSession=true", "Europe/Berlin"),
];

/// In UTC, around both edges in New York and Berlin, and at the ends of what the type holds.
const INSTANTS: &[&str] = &[
    "2024-03-10 06:59:59.999",
    "2024-03-10 07:00:00",
    "2024-11-03 05:30:00",
    "2024-11-03 06:30:00",
    "2024-03-31 01:00:00",
    "2024-10-27 00:30:00",
    "2024-10-27 01:30:00",
    "1970-01-01 00:00:01",
    "2038-01-19 03:14:07",
];

fn table(server: Server) -> MySqlOracle {
    let oracle = MySqlOracle::new(server);
    oracle.run(
        "create table moments (id bigint auto_increment primary key, wall datetime(3), instant timestamp(3) null,
           day date, clock time(3))",
    );
    for (n, wall) in WALLS.iter().enumerate() {
        let instant = INSTANTS[n % INSTANTS.len()];
        oracle.run(&format!(
            "insert into moments (wall, instant, day, clock) values ('{wall}', '{instant}', date('{wall}'), time('{wall}'))"
        ));
    }
    oracle
}

fn connector(oracle: &MySqlOracle, session: &str, zone: &str) -> Connector {
    let connector = oracle.connector();
    let mark = if connector.keys["connection.url"].contains('?') { '&' } else { '?' };
    let url = format!("{}{mark}{session}", connector.keys["connection.url"]);
    connector
        .set("connection.url", url.trim_end_matches(['?', '&']))
        .set("mode", "incrementing")
        .set("incrementing.column.name", "id")
        .set("table.whitelist", "moments")
        .set("db.timezone", zone)
}

/// The texts that `record` must have: wall clock and time of day by PostgreSQL, the rest by the database itself.
fn expected(oracle: &MySqlOracle, judge: &PostgresOracle, row: usize, zone: &str) -> Vec<String> {
    let (wall, zone) = (WALLS[row], in_postgres(zone));
    let by_judge = judge.ask(&format!(
        "select (extract(epoch from w at time zone {zone}) * 1000)::bigint,
           (extract(epoch from ((date '1970-01-01' + w::time) at time zone {zone} at time zone 'UTC')::time) * 1000)::bigint
         from (values (timestamp '{wall}')) as v (w)"
    ));
    let own = oracle.ask(&format!(
        "select cast(unix_timestamp(instant) * 1000 as signed), datediff(day, '1970-01-01') from moments where id = {}",
        row + 1
    ));
    let (by_judge, own) = (by_judge.expect("an answer"), own.expect("an answer"));
    [&by_judge[0], &own[0], &own[1], &by_judge[1]].map(|cell| cell.clone().expect("a number")).to_vec()
}

#[test]
fn zones_of_a_mysql_session_change_nothing_and_db_timezone_what_it_says() {
    let judge = PostgresOracle::new();
    let oracles = [Server::MySql, Server::MariaDb, Server::TiDb].map(|server| (server, table(server)));
    let mut connectors = Vec::new();
    for (n, (server, oracle)) in oracles.iter().enumerate() {
        for (at, (session, zone)) in ZONES.iter().enumerate() {
            // Every server with three of the four.
            if at != n + 1 {
                connectors.push((*server, oracle, *session, *zone, connector(oracle, session, zone)));
            }
        }
    }
    read(&connectors.iter().map(|(.., connector)| connector).collect::<Vec<_>>());
    let mut failures = Vec::new();
    let mut reader = Reader::default();
    for (server, oracle, session, zone, connector) in &connectors {
        let records = read_topic(&connector.topic("moments"));
        if records.len() != WALLS.len() {
            failures.push(format!("{server:?} {session} {zone}: {} records", records.len()));
        }
        for record in records {
            let fields = reader.record(&record.value.expect("a value"));
            let Got::Integer(id) = fields[0].1 else { panic!("{fields:?}") };
            let row = id as usize - 1;
            for ((field, got), expected) in fields[1..].iter().zip(expected(oracle, &judge, row, zone)) {
                if *got != Got::Integer(expected.parse().expect("a number")) {
                    let name = &field.name;
                    failures.push(format!(
                        "{server:?} {session} {zone}: {name} of {}: got {got:?}, expected {expected}",
                        WALLS[row]
                    ));
                }
            }
        }
    }
    none(&failures);
}
