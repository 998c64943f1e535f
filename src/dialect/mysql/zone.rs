//! The zone of the session: what Kafka Connect's driver would see, and what rowtide sets for tables.

use std::time::Duration;

use chrono::{DateTime, FixedOffset, LocalResult, TimeZone};
use chrono_tz::TZ_VARIANTS;
use sqlx::mysql::MySqlConnection;

use super::super::Doing;
use super::connect::one;
use super::types::Kind;
use super::{answered, text};
use crate::error::Result;
use crate::zone::Zone;

/// The session's zone.
pub(super) struct ZoneState {
    /// Its name before rowtide changed it.
    pub(super) name: String,
    /// The same as a zone; for `SYSTEM` one that the server's clock agrees with.
    pub(super) zone: Zone,
    /// It is `+00:00` now.
    pub(super) is_utc: bool,
}

/// Wall clocks to know a system's zone by: noon of each month's first day in these years.
const YEARS: &[i32] = &[1975, 1990, 2005, 2015, 2024, 2026];

impl ZoneState {
    pub(super) async fn of(connection: &mut MySqlConnection, silence: Duration) -> Result<Self> {
        let name = one(connection, "select @@session.time_zone", silence).await?.unwrap_or_default();
        let zone = match name.parse::<Zone>() {
            Ok(zone) => zone,
            Err(_) => system_zone(connection, silence).await?,
        };
        Ok(Self { is_utc: name == "+00:00", zone, name })
    }

    /// The zone in which Kafka Connect reads a column of this kind, where that is not `db.timezone`.
    pub(super) fn seen_in(&self, kind: Kind, database: &Zone) -> Option<Zone> {
        let same = self.zone == *database || (self.zone.is_utc() && database.is_utc());
        (kind == Kind::Timestamp && !same).then_some(self.zone)
    }
}

/// The zone of the server's operating system, which has no name that could be asked for.
async fn system_zone(connection: &mut MySqlConnection, silence: Duration) -> Result<Zone> {
    let walls: Vec<String> =
        YEARS.iter().flat_map(|year| (1..=12).map(move |month| format!("{year}-{month:02}-01 12:00:00"))).collect();
    let offsets: Vec<String> = walls
        .iter()
        .map(|wall| format!("timestampdiff(second, convert_tz('{wall}', @@session.time_zone, '+00:00'), '{wall}')"))
        .collect();
    let sql = format!("select concat_ws(',', {})", offsets.join(", "));
    let row = answered(silence, Doing::Connect, sqlx::raw_sql(super::statement(&sql)).fetch_one(connection)).await?;
    let offsets: Vec<i32> =
        text(&row, 0)?.unwrap_or_default().split(',').filter_map(|offset| offset.parse().ok()).collect();
    Ok(zone_with(&offsets))
}

/// The first zone that has these offsets at noon of the first day of each month in [`YEARS`]; if none has,
/// the last offset for good.
fn zone_with(offsets: &[i32]) -> Zone {
    if offsets.iter().all(|offset| *offset == 0) {
        return Zone::UTC;
    }
    let noons: Vec<_> = YEARS
        .iter()
        .flat_map(|year| (1..=12).filter_map(move |month| chrono::NaiveDate::from_ymd_opt(*year, month, 1)))
        .filter_map(|day| day.and_hms_opt(12, 0, 0))
        .collect();
    let agrees = |zone: &&chrono_tz::Tz| {
        noons.iter().zip(offsets).all(|(noon, offset)| match zone.from_local_datetime(noon) {
            LocalResult::Single(time) => seconds_of(&time) == *offset,
            _ => true,
        })
    };
    let named = TZ_VARIANTS.iter().find(agrees).map(|zone| Zone::Named(*zone));
    let fixed = || FixedOffset::east_opt(*offsets.last()?).map(Zone::Fixed);
    named.or_else(fixed).unwrap_or(Zone::UTC)
}

fn seconds_of(time: &DateTime<chrono_tz::Tz>) -> i32 {
    use chrono::Offset;
    time.offset().fix().local_minus_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets_of(zone: chrono_tz::Tz) -> Vec<i32> {
        let noon = |year: i32, month| zone.with_ymd_and_hms(year, month, 1, 12, 0, 0).unwrap();
        YEARS
            .iter()
            .flat_map(|year| (1..=12).map(move |month| (*year, month)))
            .map(|(y, m)| seconds_of(&noon(y, m)))
            .collect()
    }

    #[test]
    fn a_system_s_zone_is_known_by_its_offsets() {
        assert_eq!(zone_with(&offsets_of(chrono_tz::UTC)), Zone::UTC);
        for zone in [chrono_tz::America::New_York, chrono_tz::Europe::Berlin, chrono_tz::Asia::Tokyo] {
            let Zone::Named(found) = zone_with(&offsets_of(zone)) else { panic!("{zone} was not found") };
            assert_eq!(offsets_of(found), offsets_of(zone));
        }
        assert_eq!(zone_with(&[1_234; 72]), Zone::Fixed(FixedOffset::east_opt(1_234).unwrap()));
    }
}
