//! SQLite's times have no zone of their own: text without one is a wall clock in `db.timezone`, a number or text
//! with an offset is an instant, and a date is a day. What a wall clock is in a zone, PostgreSQL says.

use super::super::avro::{Got, Reader};
use super::super::matrix::{Oracle, none, read};
use super::super::postgres::PostgresOracle;
use super::super::sqlite::SqliteOracle;
use super::{WALLS, ZONES, instant_of};
use crate::support::kafka::read_topic;

#[test]
fn sqlite_text_is_a_wall_clock_in_db_timezone_and_a_number_an_instant() {
    let (judge, oracle) = (PostgresOracle::new(), SqliteOracle::new());
    oracle.run(
        "create table moments (id integer primary key autoincrement, wall datetime, zoned datetime, epoch timestamp, day date)",
    );
    for wall in WALLS {
        let utc = instant_of(&judge, wall, "UTC");
        oracle.run(&format!(
            "insert into moments (wall, zoned, epoch, day) values ('{wall}', '{wall}+00:00', {utc}, date('{wall}'))"
        ));
    }
    let connectors: Vec<_> = ZONES
        .iter()
        .map(|zone| {
            let connector = oracle.connector().set("mode", "incrementing").set("incrementing.column.name", "id");
            (zone, connector.set("table.whitelist", "moments").set("db.timezone", zone))
        })
        .collect();
    read(&connectors.iter().map(|(_, connector)| connector).collect::<Vec<_>>());
    let (mut failures, mut reader) = (Vec::new(), Reader::default());
    for (zone, connector) in &connectors {
        let records = read_topic(&connector.topic("moments"));
        assert_eq!(records.len(), WALLS.len());
        for record in records {
            let got: Vec<Got> =
                reader.record(&record.value.expect("a value")).into_iter().map(|(_, got)| got).collect();
            let Got::Integer(id) = got[0] else { panic!("{got:?}") };
            let wall = WALLS[id as usize - 1];
            let utc = instant_of(&judge, wall, "UTC");
            let expected = [instant_of(&judge, wall, zone), utc, utc, utc.div_euclid(86_400_000)].map(Got::Integer);
            if got[1..] != expected {
                failures.push(format!("{zone}: {wall}: got {:?}, expected {expected:?}", &got[1..]));
            }
        }
    }
    none(&failures);
}
