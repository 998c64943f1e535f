//! Zones: that of the server, that of the session and `db.timezone` change nothing but what they are for. The
//! database says what a wall clock is in each zone, at both edges of daylight saving time, before there were time
//! zones, and beyond the rules that are written down.

mod mysql;
mod postgres;
mod sqlite;

use super::matrix::Oracle;
use super::postgres::{PostgresOracle, quoted};

const ZONES: &[&str] = &["UTC", "America/New_York", "Europe/Berlin", "Asia/Tokyo", "Asia/Kolkata", "-03:30"];

/// Wall clocks: gaps and overlaps of New York and Berlin, what lies around them, local mean time, and the times
/// when daylight saving was ruled by other laws or only by the rule at the end of the tables.
pub const WALLS: &[&str] = &[
    "1970-01-01 00:00:00",
    "2024-03-10 01:59:59.999",
    "2024-03-10 02:30:00",
    "2024-03-10 03:00:00",
    "2024-11-03 00:59:59.999",
    "2024-11-03 01:30:00",
    "2024-11-03 02:00:00",
    "2024-03-31 02:30:00",
    "2024-10-27 02:30:00",
    "2024-10-27 03:00:00",
    "1883-11-18 12:00:00",
    "1855-06-01 12:00:00",
    "1600-01-01 00:00:00",
    "1916-05-01 00:00:00",
    "1945-05-24 02:30:00",
    "1969-12-31 19:00:00.001",
    "2037-07-01 12:00:00",
    "2050-07-01 12:00:00",
    "2150-07-01 12:00:00",
    "9999-07-01 12:00:00",
];

/// The name of a zone in the database where its zone data agree with those that were compiled in: PostgreSQL has no
/// fixed offsets of this sign by name.
pub fn in_postgres(zone: &str) -> String {
    match zone {
        "-03:30" => "interval '-03:30'".to_owned(),
        zone => quoted(zone),
    }
}

/// The milliseconds of a wall clock in a zone, as PostgreSQL has it.
fn instant_of(judge: &PostgresOracle, wall: &str, zone: &str) -> i64 {
    let zone = in_postgres(zone);
    let sql = format!("select (extract(epoch from timestamp '{wall}' at time zone {zone}) * 1000)::bigint");
    judge.ask(&sql).expect("an answer")[0].as_ref().expect("a number").parse().expect("a number")
}
