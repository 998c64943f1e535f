//! PostgreSQL's zones: that of the role, that of the URL, and `db.timezone`.

use super::super::avro::{Got, Reader};
use super::super::matrix::{Oracle, none, read};
use super::super::postgres::{PostgresOracle, quoted};
use super::{WALLS, ZONES, in_postgres};
use crate::support::config::Connector;
use crate::support::db::Role;
use crate::support::kafka::read_topic;

/// The settings of a role, or a server, and the parameters of the URL.
const SESSIONS: &[(&str, &str)] = &[
    ("set timezone = 'UTC'", ""),
    ("set timezone = 'America/New_York'; alter role {role} set intervalstyle = 'sql_standard'", ""),
    (
        "set timezone = 'Asia/Kolkata'; alter role {role} set datestyle = 'SQL, DMY'",
        "?options=-c%20timezone=Europe/Berlin",
    ),
];

fn connectors(oracle: &PostgresOracle, roles: &[Role]) -> Vec<(&'static str, &'static str, Connector)> {
    let mut connectors = Vec::new();
    for (n, zone) in ZONES.iter().enumerate() {
        // Each zone with two of the sessions: every pair is met with two zones.
        for at in [n % SESSIONS.len(), (n + 1) % SESSIONS.len()] {
            let granularity = if n % 2 == at % 2 { "connect_logical" } else { "nanos_iso_datetime_string" };
            let url = format!("{}{}", oracle.database.jdbc_url(), SESSIONS[at].1);
            let connector = Connector::new(&url)
                .set("connection.user", &roles[at].0)
                .set("mode", "incrementing")
                .set("incrementing.column.name", "id")
                .set("table.whitelist", "moments")
                .set("timestamp.granularity", granularity)
                .set("db.timezone", zone);
            connectors.push((*zone, granularity, connector));
        }
    }
    for zone in ["America/New_York", "Europe/Berlin"] {
        let (_, _, connector) = connectors.iter().find(|(known, ..)| *known == zone).expect("a zone");
        let mut earlier = Connector::new(&connector.keys["connection.url"]);
        let own = ["topic.prefix", "timestamp.granularity"];
        let keys = connector.keys.iter().filter(|(key, _)| !own.contains(&key.as_str()));
        earlier = keys.fold(earlier, |earlier, (key, value)| earlier.set(key, value)).set("dst.overlap", "earlier");
        connectors.push((zone, "connect_logical", earlier));
    }
    connectors
}

/// A decoded field as SQL: Connect's types, or ISO text.
fn literal(got: &Got, sql_type: &str) -> String {
    match (got, sql_type) {
        (Got::Null, _) => "null".to_owned(),
        (Got::Integer(days), "date") => format!("date '1970-01-01' + {days}"),
        (Got::Integer(millis), "time") => format!("time '00:00' + {millis} * interval '1 ms'"),
        (Got::Integer(millis), _) => format!(
            "timestamp '1970-01-01' + {} * interval '1 day' + {} * interval '1 ms'",
            millis.div_euclid(86_400_000),
            millis.rem_euclid(86_400_000)
        ),
        (Got::Text(text), _) => format!("{}::{sql_type}", quoted(text)),
        other => panic!("{other:?}"),
    }
}

/// The text that a column must have, as SQL over the row, and its type.
fn expected(name: &str, zone: &str, iso: bool, earlier: bool) -> (&'static str, String) {
    let z = in_postgres(zone);
    match name {
        // Milliseconds are the instant, ISO text the wall clock that Java shows of it.
        "wall" if iso => ("timestamp", format!("wall at time zone {z} at time zone {z}")),
        // With the offset of the day before, if that shows the same wall clock.
        "wall" if earlier => (
            "timestamp",
            format!(
                "(select case when e at time zone {z} = wall then e else l end at time zone 'UTC' from
                   (select l, wall at time zone 'UTC' - (b at time zone {z} - b at time zone 'UTC') as e from
                     (select l, l - interval '1 day' as b from (values (wall at time zone {z})) as v (l)) as d
                   ) as o)"
            ),
        ),
        "wall" => ("timestamp", format!("wall at time zone {z} at time zone 'UTC'")),
        "instant" if iso => ("timestamp", format!("instant at time zone {z}")),
        "instant" => ("timestamp", "instant at time zone 'UTC'".to_owned()),
        "day" => ("date", "day".to_owned()),
        // Of 1970-01-01, as in Connect.
        "clock" => ("time", format!("((date '1970-01-01' + clock) at time zone {z} at time zone 'UTC')::time")),
        "clocked" => ("time", "(clocked at time zone 'UTC')::time".to_owned()),
        "spans" => ("tstzrange", "spans".to_owned()),
        "instants" => ("timestamptz[]", "instants".to_owned()),
        "span" => ("interval", "span".to_owned()),
        "days" => ("daterange", "days".to_owned()),
        other => panic!("the column {other}"),
    }
}

#[test]
fn zones_of_server_and_session_change_nothing_and_db_timezone_what_it_says() {
    // Dropped after the database, whose tables they may read.
    let roles: Vec<Role> = SESSIONS.iter().map(|_| Role::new()).collect();
    let oracle = PostgresOracle::new();
    for (Role(role), (settings, _)) in roles.iter().zip(SESSIONS) {
        oracle.run(&format!("alter role {role} {}", settings.replace("{role}", role)));
    }
    oracle.run(
        "create table moments (id serial primary key, wall timestamp, instant timestamptz, day date, clock time,
           clocked timetz, spans tstzrange, instants timestamptz[], span interval, days daterange)",
    );
    for wall in WALLS {
        let wall = quoted(wall);
        oracle.run(&format!(
            "insert into moments (wall, instant, day, clock, clocked, spans, instants, span, days)
             select w, w at time zone 'UTC', w::date, w::time, (w::time || '-05:30')::timetz,
               tstzrange(w at time zone 'UTC', null), array[w at time zone 'UTC', 'infinity'],
               '-1 mons +2 days -03:04:05', daterange(w::date, w::date + 1)
             from (values (timestamp {wall})) as v (w)"
        ));
    }
    roles.iter().for_each(|Role(role)| oracle.run(&format!("grant select on moments to {role}")));
    let connectors = connectors(&oracle, &roles);
    read(&connectors.iter().map(|(.., connector)| connector).collect::<Vec<_>>());
    let mut failures = Vec::new();
    let mut reader = Reader::default();
    for (zone, granularity, connector) in &connectors {
        let records = read_topic(&connector.topic("moments"));
        if records.len() != WALLS.len() {
            failures.push(format!("{zone}: {} records", records.len()));
        }
        for record in records {
            let fields = reader.record(&record.value.expect("a value"));
            let Got::Integer(id) = fields[0].1 else { panic!("{fields:?}") };
            let earlier = connector.keys.contains_key("dst.overlap");
            let told = fields[1..].iter().map(|(field, got)| {
                let (of_type, expected) = expected(&field.name, zone, *granularity != "connect_logical", earlier);
                format!("row({})::text, row({expected})::text", literal(got, of_type))
            });
            let sql = format!("select {} from moments where id = {id}", told.collect::<Vec<_>>().join(", "));
            let answer = oracle.ask(&sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
            for ((field, _), pair) in fields[1..].iter().zip(answer.chunks(2)).filter(|(_, pair)| pair[0] != pair[1]) {
                let user = &connector.keys["connection.user"];
                failures.push(format!("{zone}, {granularity}, {user}: {} of row {id}: {pair:?}", field.name));
            }
        }
    }
    none(&failures);
}
