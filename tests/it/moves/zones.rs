//! Offsets of TIMESTAMP columns where the zone of the server's session is not `db.timezone`: Kafka Connect reads the column
//! as wall clocks of the session and takes them for wall clocks of `db.timezone`. What it does is done here by the
//! databases themselves: the server compares, and PostgreSQL knows what a wall clock is in a zone.

use serde_json::{Value as Json, json};

use super::{CONFLUENT, connector, delivered, left, stored};
use crate::support::config::Connector;
use crate::support::db::{MySqlFamily, Postgres};
use crate::support::kafka::seed;
use crate::support::process::run;

const FAMILY: [&str; 3] = ["mysql", "mariadb", "tidb"];

/// A server whose session is in one zone, read by Kafka Connect with another as `db.timezone`.
struct Zones {
    database: MySqlFamily,
    judge: Postgres,
    session: &'static str,
    zone: &'static str,
}

impl Zones {
    fn new(kind: &str, session: &'static str, zone: &'static str) -> Self {
        let database = MySqlFamily::new(kind);
        database.run("create table t (id int not null primary key, ts timestamp(6) not null, key (ts, id))");
        Self { database, judge: Postgres::new(), session, zone }
    }

    /// Rows of these ids, so many minutes apart, the first of them at an instant.
    fn insert(&self, ids: std::ops::RangeInclusive<i64>, first: &str, minutes: i64) {
        let rows: Vec<String> = ids
            .map(|id| {
                format!("({id}, timestampadd(minute, {}, '{first}') + interval {id} microsecond)", (id - 1) * minutes)
            })
            .collect();
        self.database.run(&format!("set time_zone = '+00:00'; insert into t values {}", rows.join(", ")));
    }

    fn connector(&self, mode: &str) -> Connector {
        let session = if self.session == "+00:00" {
            String::new()
        } else {
            format!("?sessionVariables=time_zone='{}'", self.session)
        };
        connector(&format!("{}{session}", self.database.jdbc_url()), CONFLUENT, mode).set("db.timezone", self.zone)
    }

    /// A zone as PostgreSQL knows it.
    fn in_postgres(zone: &str) -> &str {
        if zone == "+00:00" { "UTC" } else { zone }
    }

    /// The offset that Kafka Connect stores with a row.
    fn offset_of(&self, id: i64, mode: &str) -> String {
        let wall = &self
            .database
            .texts(&format!("select concat(convert_tz(ts, '+00:00', '{}')) from t where id = {id}", self.session))[0];
        let sql = format!(
            "select ((extract(epoch from timestamp '{wall}' at time zone '{}') * 1000000)::bigint)::text",
            Self::in_postgres(self.zone)
        );
        let micros: i64 = self.judge.texts(&sql)[0].parse().expect("a number");
        let (millis, nanos) = (micros.div_euclid(1_000), micros.rem_euclid(1_000_000) * 1_000);
        match mode {
            "timestamp" => format!(r#"{{"timestamp_nanos":{nanos},"timestamp":{millis}}}"#),
            _ => format!(r#"{{"timestamp_nanos":{nanos},"incrementing":{id},"timestamp":{millis}}}"#),
        }
    }

    /// The rows that Kafka Connect reads after the offset that is stored.
    fn read_by_connect(&self, connector: &Connector) -> Vec<i64> {
        let offset: Json = serde_json::from_str(&left(connector)[0].1).expect("JSON");
        let number = |name: &str| offset[name].as_i64().unwrap_or_else(|| panic!("no {name}: {offset}"));
        let micros = number("timestamp").div_euclid(1_000) * 1_000_000 + number("timestamp_nanos") / 1_000;
        let wall = &self.judge.texts(&format!(
            "select to_char((timestamptz 'epoch' + interval '1 microsecond' * {micros}) at time zone '{}', 'YYYY-MM-DD HH24:MI:SS.US')",
            Self::in_postgres(self.zone)
        ))[0];
        // In the session's zone, as the server reads a literal.
        let begin = format!("convert_tz('{wall}', '{}', '+00:00')", self.session);
        let tie = offset["incrementing"].as_i64().map_or_else(|| "1 = 0".to_owned(), |id| format!("id > {id}"));
        let sql = format!("select concat(id) from t where (ts = {begin} and {tie}) or ts > {begin} order by ts, id");
        self.database.texts(&sql).iter().map(|id| id.parse().expect("an id")).collect()
    }

    fn partition(&self) -> String {
        json!({"protocol": "1", "table": format!("{}.t", self.database.name)}).to_string()
    }

    /// Kafka Connect stops after a row.
    fn stop_connect_at(&self, id: i64, mode: &str) -> Connector {
        stored(self.connector(mode), &[(&self.partition(), Some(&self.offset_of(id, mode)))])
    }
}

fn ids(ids: std::ops::RangeInclusive<i64>) -> Vec<i64> {
    ids.collect()
}

#[test]
fn a_time_of_another_zone_goes_there_and_back_without_a_row_lost_or_repeated() {
    for kind in FAMILY {
        for (session, zone) in [
            // Connect's offsets are five hours ahead, nine behind, five behind, and seven behind.
            ("+00:00", "America/New_York"),
            ("+00:00", "Asia/Tokyo"),
            ("America/New_York", "UTC"),
            ("Europe/Berlin", "Asia/Kolkata"),
        ] {
            for mode in ["timestamp", "timestamp+incrementing"] {
                let zones = Zones::new(kind, session, zone);
                zones.insert(1..=24, "2024-02-29 12:00:00", 60);
                let connector = zones.stop_connect_at(10, mode);
                let place = format!("{kind} {session} {zone} {mode}");
                assert_eq!(delivered(&connector), ids(11..=24), "{place}");
                // What Connect would say of the last row is what is there, and the rest is read by it.
                let offset: Json = serde_json::from_str(&left(&connector)[0].1).expect("JSON");
                let of_connect: Json = serde_json::from_str(&zones.offset_of(24, mode)).expect("JSON");
                assert_eq!(offset["timestamp"], of_connect["timestamp"], "{place}");
                zones.insert(25..=30, "2024-02-29 12:00:00", 60);
                assert_eq!(zones.read_by_connect(&connector), ids(25..=30), "{place}");
                let key = format!(r#"["{}",{}]"#, connector.name, zones.partition());
                seed(&connector.keys["offset.storage.topic"], &key, Some(&zones.offset_of(30, mode)));
                zones.insert(31..=33, "2024-02-29 12:00:00", 60);
                assert_eq!(delivered(&connector), [ids(11..=24), ids(31..=33)].concat(), "{place}");
            }
        }
    }
}

#[test]
fn a_position_that_is_set_by_a_time_is_that_time_in_any_zone() {
    for (session, zone) in [("+00:00", "Asia/Tokyo"), ("America/New_York", "UTC")] {
        let zones = Zones::new("mysql", session, zone);
        zones.insert(1..=24, "2024-02-29 12:00:00", 60);
        let connector = zones.connector("timestamp+incrementing").alone();
        let file = connector.file().display().to_string();
        let tenth = "2024-02-29T21:00:00.00001Z";
        let words = ["offsets", "set", &file, "--table", "t", "--timestamp", tenth, "--incrementing", "10", "--yes"];
        run(&words).expect_code(0);
        assert_eq!(delivered(&connector), ids(11..=24), "{session} {zone}");
    }
}

#[test]
fn in_the_hours_that_no_offset_can_tell_apart_rows_come_again_and_none_is_lost() {
    for kind in FAMILY {
        for (session, zone, night) in [
            // New York skips an hour of these wall clocks, and has another twice.
            ("+00:00", "America/New_York", "2024-03-10 00:00:00"),
            ("+00:00", "America/New_York", "2024-11-03 00:00:00"),
            ("America/New_York", "UTC", "2024-11-03 04:00:00"),
            ("America/New_York", "UTC", "2024-03-10 04:00:00"),
        ] {
            let mode = "timestamp+incrementing";
            let zones = Zones::new(kind, session, zone);
            let ahead = zones.connector(mode).alone();
            for (last, to) in [(0, 13), (13, 19), (19, 25)] {
                let place = format!("{kind} {session} {zone} {night}: {to}");
                zones.insert(last + 1..=to, night, 10);
                // rowtide itself tells every row apart, and Connect would go on from each.
                assert_eq!(delivered(&ahead), ids(1..=to), "{place}");
                assert_covers(&zones.read_by_connect(&ahead), to, to, &place);
            }
            zones.insert(26..=30, night, 10);
            for last in [9, 16, 22] {
                let place = format!("{kind} {session} {zone} {night}: from {last}");
                assert_covers(&delivered(&zones.stop_connect_at(last, mode)), last, 30, &place);
            }
        }
    }
}

/// All rows after one are there up to the last, and at most an hour of those before it.
#[track_caller]
fn assert_covers(found: &[i64], after: i64, last: i64, place: &str) {
    assert!((after + 1..=last).all(|id| found.contains(&id)), "{place}: lost of {found:?}");
    let again: Vec<&i64> = found.iter().filter(|id| **id <= after).collect();
    assert!(again.len() <= 6, "{place}: again {again:?}");
}
