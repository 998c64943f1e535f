//! The zone of the session: the one that Kafka Connect's driver would see, and the one that rowtide sets for tables.

#![expect(clippy::disallowed_methods, reason = "the year decides which zones differ by now")]

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, FixedOffset, Offset, TimeZone, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use sqlx::mysql::MySqlConnection;

use super::super::statement::{Doing, statement};
use super::super::vigil::Vigil;
use super::session::{ZoneState, answered, one, text};
use super::wire::Kind;
use crate::error::Result;
use crate::zone::Zone;

/// Wall clocks to know a system's zone by: noon of each month's first day in these years.
const YEARS: &[i32] = &[1975, 1990, 2005, 2015, 2024, 2026];

impl ZoneState {
    pub(super) async fn of(connection: &mut MySqlConnection, vigil: &Vigil) -> Result<Self> {
        let name = one(connection, "select @@session.time_zone", vigil).await?.unwrap_or_default();
        let zone = match name.parse::<Zone>() {
            Ok(zone) => zone,
            Err(_) => system_zone(connection, vigil).await?,
        };
        let global = one(connection, "select @@global.time_zone", vigil).await?.unwrap_or_default();
        Ok(Self { is_utc: name == "+00:00", zone, name, global })
    }

    /// The zone in which Kafka Connect reads a column of this kind, where that is not `db.timezone`.
    pub(super) fn seen_in(&self, kind: Kind, database: &Zone) -> Option<Zone> {
        let same = self.zone == *database || (self.zone.is_utc() && database.is_utc());
        (kind == Kind::Timestamp && !same).then_some(self.zone)
    }
}

/// The zone of the server's operating system, which has no name that could be asked for: it is known by its offsets.
async fn system_zone(connection: &mut MySqlConnection, vigil: &Vigil) -> Result<Zone> {
    let coarse = months();
    let candidates = match offsets_at(connection, vigil, &coarse).await? {
        offsets if offsets.iter().all(|offset| *offset == 0) => return Ok(Zone::UTC),
        offsets => Candidates::at(&coarse, &offsets),
    };
    // Of zones that agree in all months some change their clocks on other days, or at other hours.
    let fine = candidates.differences(chrono::Utc::now().year());
    if fine.is_empty() {
        return Ok(candidates.zone());
    }
    let offsets = offsets_at(connection, vigil, &fine).await?;
    Ok(candidates.that_agree(&fine, &offsets).zone())
}

/// The offsets from UTC of the session's wall clocks at some instants, in seconds.
async fn offsets_at(connection: &mut MySqlConnection, vigil: &Vigil, instants: &[DateTime<Utc>]) -> Result<Vec<i32>> {
    let offset = |at: &DateTime<Utc>| {
        let at = at.format("%Y-%m-%d %H:%M:%S");
        format!("timestampdiff(second, '{at}', convert_tz('{at}', '+00:00', @@session.time_zone))")
    };
    let offsets: Vec<String> = instants.iter().map(offset).collect();
    let sql = format!("select concat_ws(',', {})", offsets.join(", "));
    let row = answered(vigil, Doing::Connect, sqlx::raw_sql(statement(&sql)).fetch_one(connection)).await?;
    Ok(text(&row, 0)?.unwrap_or_default().split(',').filter_map(|offset| offset.parse().ok()).collect())
}

/// Noon of the first day of each month in [`YEARS`].
fn months() -> Vec<DateTime<Utc>> {
    let of_year = |year: &i32| {
        let year = *year;
        (1..=12).filter_map(move |month| Utc.with_ymd_and_hms(year, month, 1, 12, 0, 0).single())
    };
    YEARS.iter().flat_map(of_year).collect()
}

/// Zones that a server may be in.
struct Candidates {
    zones: Vec<Tz>,
    /// The last offset that was seen, for a zone that nobody knows.
    last: i32,
}

impl Candidates {
    /// The zones that have these offsets.
    fn at(instants: &[DateTime<Utc>], offsets: &[i32]) -> Self {
        Self { zones: agreeing(&TZ_VARIANTS, instants, offsets), last: offsets.last().copied().unwrap_or(0) }
    }

    /// The candidates that have these offsets too; all if none has, for the server's tables may be older than ours.
    fn that_agree(self, instants: &[DateTime<Utc>], offsets: &[i32]) -> Self {
        let zones = agreeing(&self.zones, instants, offsets);
        if zones.is_empty() { self } else { Self { zones, ..self } }
    }

    /// Instants in a year and the two after it that tell the candidates apart, to the hour.
    fn differences(&self, year: i32) -> Vec<DateTime<Utc>> {
        let Some(begin) = Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).single() else { return Vec::new() };
        let mut told: Vec<DateTime<Utc>> = Vec::new();
        let mut groups: Vec<Vec<Tz>> = vec![self.zones.clone()];
        for day in (0..3 * 366).map(|day| begin + chrono::Duration::days(day)) {
            let next = day + chrono::Duration::days(1);
            let changes = |zone: &Tz| offset_of(*zone, &day) != offset_of(*zone, &next);
            if groups.iter().all(|group| group.len() < 2) || !self.zones.iter().any(changes) {
                continue;
            }
            for hour in (0..24).map(|hour| day + chrono::Duration::minutes(60 * hour + 30)) {
                let split: Vec<Vec<Tz>> = groups.iter().flat_map(|group| by_offset(group, &hour)).collect();
                if split.len() > groups.len() {
                    told.push(hour);
                    groups = split;
                }
            }
        }
        told
    }

    fn zone(&self) -> Zone {
        let named = self.zones.first().map(|zone| Zone::Named(*zone));
        named.or_else(|| FixedOffset::east_opt(self.last).map(Zone::Fixed)).unwrap_or(Zone::UTC)
    }
}

fn agreeing(zones: &[Tz], instants: &[DateTime<Utc>], offsets: &[i32]) -> Vec<Tz> {
    let agrees = |zone: &&Tz| instants.iter().zip(offsets).all(|(at, offset)| offset_of(**zone, at) == *offset);
    zones.iter().filter(agrees).copied().collect()
}

/// Zones in groups of the same offset.
fn by_offset(zones: &[Tz], at: &DateTime<Utc>) -> Vec<Vec<Tz>> {
    let mut groups: BTreeMap<i32, Vec<Tz>> = BTreeMap::new();
    for zone in zones {
        groups.entry(offset_of(*zone, at)).or_default().push(*zone);
    }
    groups.into_values().collect()
}

fn offset_of(zone: Tz, at: &DateTime<Utc>) -> i32 {
    zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The zone of a server in `zone`, as it is asked for.
    fn found(zone: Tz) -> Zone {
        let offsets = |instants: &[DateTime<Utc>]| instants.iter().map(|at| offset_of(zone, at)).collect::<Vec<_>>();
        let candidates = Candidates::at(&months(), &offsets(&months()));
        let fine = candidates.differences(2026);
        candidates.that_agree(&fine, &offsets(&fine)).zone()
    }

    #[test]
    fn a_system_s_zone_is_known_by_its_offsets_to_the_hour_of_its_changes() {
        for zone in [
            chrono_tz::America::New_York,
            chrono_tz::Europe::Berlin,
            chrono_tz::Asia::Tokyo,
            chrono_tz::Europe::Athens,
            chrono_tz::Asia::Beirut,
            chrono_tz::Australia::Lord_Howe,
            chrono_tz::America::Santiago,
        ] {
            let Zone::Named(found) = found(zone) else { panic!("{zone} was not found") };
            let begin = Utc.with_ymd_and_hms(2026, 1, 1, 0, 30, 0).unwrap();
            for hour in (0..3 * 8_784).map(|hour| begin + chrono::Duration::hours(hour)) {
                assert_eq!(offset_of(found, &hour), offset_of(zone, &hour), "{zone}, taken for {found}, at {hour}");
            }
        }
        let nowhere = Candidates::at(&months(), &[1_234; 72]);
        assert_eq!(nowhere.zone(), Zone::Fixed(FixedOffset::east_opt(1_234).unwrap()));
    }
}
