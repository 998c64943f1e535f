//! `db.timezone`: the zone in which date-times without a zone are read. Same answers as Java's lenient
//! calendar at the two edges of daylight saving time (`querying.md`, 8): a wall time that does not exist
//! moves forward by the gap, an ambiguous one is the later instant.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, FixedOffset, LocalResult, NaiveDate, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;

/// A named zone or a fixed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Zone {
    /// A zone of the IANA database.
    Named(Tz),
    /// A constant offset from UTC.
    Fixed(FixedOffset),
}

/// The instant of an ambiguous wall clock: one that comes twice when daylight saving time ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// The second time, in standard time, as Java reads it.
    Later,
    /// The first time.
    Earlier,
    /// Neither of the two.
    Fail,
}

/// Clocks have never been set back by more than a day.
const LONGEST_REPEAT: i64 = 86_400_000_000;

/// Java's short zone ids (`connector-config.md`, 2.4: "legacy short id").
const SHORT_IDS: &[(&str, &str)] = &[
    ("ACT", "Australia/Darwin"),
    ("AET", "Australia/Sydney"),
    ("AGT", "America/Argentina/Buenos_Aires"),
    ("ART", "Africa/Cairo"),
    ("AST", "America/Anchorage"),
    ("BET", "America/Sao_Paulo"),
    ("BST", "Asia/Dhaka"),
    ("CAT", "Africa/Harare"),
    ("CNT", "America/St_Johns"),
    ("CST", "America/Chicago"),
    ("CTT", "Asia/Shanghai"),
    ("EAT", "Africa/Addis_Ababa"),
    ("ECT", "Europe/Paris"),
    ("EST", "-05:00"),
    ("HST", "-10:00"),
    ("IET", "America/Indiana/Indianapolis"),
    ("IST", "Asia/Kolkata"),
    ("JST", "Asia/Tokyo"),
    ("MIT", "Pacific/Apia"),
    ("MST", "-07:00"),
    ("NET", "Asia/Yerevan"),
    ("NST", "Pacific/Auckland"),
    ("PLT", "Asia/Karachi"),
    ("PNT", "America/Phoenix"),
    ("PRT", "America/Puerto_Rico"),
    ("PST", "America/Los_Angeles"),
    ("SST", "Pacific/Guadalcanal"),
    ("VST", "Asia/Ho_Chi_Minh"),
];

impl Zone {
    /// UTC.
    pub const UTC: Zone = Zone::Named(Tz::UTC);

    /// True if wall clock and instant are the same number.
    pub fn is_utc(&self) -> bool {
        matches!(self, Zone::Named(Tz::UTC)) || matches!(self, Zone::Fixed(offset) if offset.local_minus_utc() == 0)
    }

    /// The instant of a wall clock; both in microseconds since the epoch. Values outside of what a
    /// calendar can hold (infinity) are returned as they are.
    pub fn wall_to_instant(&self, wall: i64) -> i64 {
        self.wall_to_instant_by(wall, Overlap::Later).unwrap_or(wall)
    }

    /// [`Zone::wall_to_instant`] with a choice where the wall clock comes twice; none where that is to fail.
    pub fn wall_to_instant_by(&self, wall: i64, overlap: Overlap) -> Option<i64> {
        if self.is_utc() {
            return Some(wall);
        }
        let ahead = beyond_the_tables(wall);
        let Some(time) = DateTime::from_timestamp_micros(wall - ahead).map(|time| time.naive_utc()) else {
            return Some(wall);
        };
        match self {
            Zone::Fixed(offset) => Some(wall - i64::from(offset.local_minus_utc()) * 1_000_000),
            Zone::Named(zone) => Some(named_wall_to_instant(*zone, time, overlap)? + ahead),
        }
    }

    /// The lowest wall clock that is shown at an instant or at any time after it; both in microseconds since the epoch. It
    /// is that of the instant, unless clocks are about to be set back below it.
    pub fn lowest_wall_from(&self, instant: i64) -> i64 {
        let wall = self.instant_to_wall(instant);
        match self.set_back(instant, instant.saturating_add(LONGEST_REPEAT)) {
            Some(at) => wall.min(self.instant_to_wall(at)),
            None => wall,
        }
    }

    /// The least wall clock that no time before an instant has shown; both in microseconds since the epoch. It is that of
    /// the instant, unless clocks have just been set back.
    pub fn highest_wall_until(&self, instant: i64) -> i64 {
        let wall = self.instant_to_wall(instant);
        match self.set_back(instant.saturating_sub(LONGEST_REPEAT), instant) {
            Some(at) => wall.max(self.instant_to_wall(at - 1).saturating_add(1)),
            None => wall,
        }
    }

    /// The instant after `from` and not after `to` at which clocks are set back, if there is one; the two are a day apart
    /// at most, in which no zone has ever changed twice.
    fn set_back(&self, mut from: i64, mut to: i64) -> Option<i64> {
        let Zone::Named(_) = self else { return None };
        let ahead = |instant: i64| self.instant_to_wall(instant).saturating_sub(instant);
        let before = ahead(from);
        if ahead(to) >= before {
            return None;
        }
        while to - from > 1 {
            let middle = from + (to - from) / 2;
            if ahead(middle) < before { to = middle } else { from = middle }
        }
        Some(to)
    }

    /// The wall clock of an instant; both in microseconds since the epoch.
    pub fn instant_to_wall(&self, instant: i64) -> i64 {
        if self.is_utc() {
            return instant;
        }
        match (self, DateTime::from_timestamp_micros(instant - beyond_the_tables(instant))) {
            (_, None) => instant,
            (Zone::Fixed(offset), _) => instant.saturating_add(i64::from(offset.local_minus_utc()) * 1_000_000),
            (Zone::Named(zone), Some(time)) => {
                let offset = zone.offset_from_utc_datetime(&time.naive_utc()).fix();
                instant.saturating_add(i64::from(offset.local_minus_utc()) * 1_000_000)
            }
        }
    }
}

/// The zone tables that are compiled in end with the year 2099, but the last rules hold on. How far to go back to a
/// year they know with the same calendar: one as long that begins on the same day of the week.
fn beyond_the_tables(micros: i64) -> i64 {
    const END: i64 = 4_102_444_800_000_000;
    const FOUR_CENTURIES: i64 = 146_097 * 86_400_000_000;
    if micros < END || micros == i64::MAX {
        return 0;
    }
    let centuries = (micros - END) / FOUR_CENTURIES * FOUR_CENTURIES;
    let new_year = |year| NaiveDate::from_ymd_opt(year, 1, 1);
    let Some(this) = DateTime::from_timestamp_micros(micros - centuries).and_then(|time| new_year(time.year())) else {
        return 0;
    };
    let is_alike = |known: &NaiveDate| known.weekday() == this.weekday() && known.leap_year() == this.leap_year();
    let Some(known) = (2060..2088).filter_map(new_year).find(is_alike) else { return 0 };
    centuries + (this - known).num_days() * 86_400_000_000
}

fn named_wall_to_instant(zone: Tz, wall: NaiveDateTime, overlap: Overlap) -> Option<i64> {
    Some(match (zone.from_local_datetime(&wall), overlap) {
        (LocalResult::Single(time), _) => time.timestamp_micros(),
        (LocalResult::Ambiguous(_, later), Overlap::Later) => later.timestamp_micros(),
        (LocalResult::Ambiguous(earlier, _), Overlap::Earlier) => earlier.timestamp_micros(),
        (LocalResult::Ambiguous(..), Overlap::Fail) => return None,
        (LocalResult::None, _) => {
            // In a gap the offset of a moment before it applies, which moves the time forward by the gap.
            let before = wall - chrono::Duration::hours(24);
            let offset = zone.offset_from_utc_datetime(&before).fix().local_minus_utc();
            wall.and_utc().timestamp_micros() - i64::from(offset) * 1_000_000
        }
    })
}

impl FromStr for Zone {
    type Err = String;

    /// IANA id, `Z`, `+02:00`, `UTC+2`, `GMT-03:30`, or one of Java's legacy short ids.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some((_, target)) = SHORT_IDS.iter().find(|(short, _)| *short == text) {
            return target.parse();
        }
        if let Some(offset) = parse_offset(text) {
            return Ok(Zone::Fixed(offset));
        }
        text.parse::<Tz>().map(Zone::Named).map_err(|_| {
            format!("`{text}` is not a time zone; write an IANA id such as Europe/Berlin, or an offset such as +02:00")
        })
    }
}

fn parse_offset(text: &str) -> Option<FixedOffset> {
    if text == "Z" {
        return FixedOffset::east_opt(0);
    }
    let body = ["UTC", "GMT", "UT"].iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
    let (sign, digits) = match body.as_bytes().first()? {
        b'+' => (1, &body[1..]),
        b'-' => (-1, &body[1..]),
        _ => return None,
    };
    let parts: Vec<&str> = if digits.contains(':') {
        digits.split(':').collect()
    } else if digits.len() > 2 && digits.is_ascii() {
        digits.as_bytes().chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok()).collect()
    } else {
        vec![digits]
    };
    let mut seconds = 0;
    for (part, (unit, limit)) in parts.iter().zip([(3600, 18), (60, 59), (1, 59)]) {
        let value: i32 = part.parse().ok().filter(|value| (0..=limit).contains(value))?;
        seconds += value * unit;
    }
    (parts.len() <= 3).then(|| FixedOffset::east_opt(sign * seconds)).flatten()
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Zone::Named(zone) => f.write_str(zone.name()),
            Zone::Fixed(offset) => offset.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> i64 {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap().and_utc().timestamp_micros()
    }

    #[test]
    fn daylight_saving_edges_answer_as_java_does() {
        let zone: Zone = "America/New_York".parse().unwrap();
        // A gap moves forward: 02:30 does not exist and is 03:30 EDT.
        assert_eq!(zone.wall_to_instant(micros("2024-03-10 02:30:00")), micros("2024-03-10 07:30:00"));
        // An ambiguous time is the later instant, in standard time.
        assert_eq!(zone.wall_to_instant(micros("2024-11-03 01:30:00")), micros("2024-11-03 06:30:00"));
        assert_eq!(zone.instant_to_wall(micros("2020-01-15 15:00:00")), micros("2020-01-15 10:00:00"));
    }

    #[test]
    fn only_a_wall_clock_that_comes_twice_leaves_a_choice() {
        let zone: Zone = "Europe/Berlin".parse().unwrap();
        let of = |text, overlap| zone.wall_to_instant_by(micros(text), overlap);
        assert_eq!(of("2024-10-27 02:30:00", Overlap::Later), Some(micros("2024-10-27 01:30:00")));
        assert_eq!(of("2024-10-27 02:30:00", Overlap::Earlier), Some(micros("2024-10-27 00:30:00")));
        assert_eq!(of("2024-10-27 02:30:00", Overlap::Fail), None);
        for text in ["2024-10-27 01:59:59", "2024-10-27 03:00:00", "2024-03-31 02:30:00", "2024-07-01 12:00:00"] {
            let of = |overlap| of(text, overlap);
            assert!(of(Overlap::Fail).is_some());
            assert_eq!((of(Overlap::Fail), of(Overlap::Earlier)), (of(Overlap::Later), of(Overlap::Later)), "{text}");
        }
    }

    #[test]
    fn the_hour_that_comes_twice_bounds_what_may_be_shown_from_its_first_minute_to_its_last() {
        let zone: Zone = "Europe/Berlin".parse().unwrap();
        // Clocks go from 03:00 CEST to 02:00 CET at 01:00 UTC.
        for (instant, lowest, highest) in [
            ("2024-10-26 23:59:59", "2024-10-27 01:59:59", "2024-10-27 01:59:59"),
            ("2024-10-27 00:00:00", "2024-10-27 02:00:00", "2024-10-27 02:00:00"),
            ("2024-10-27 00:30:00", "2024-10-27 02:00:00", "2024-10-27 02:30:00"),
            ("2024-10-27 00:59:59", "2024-10-27 02:00:00", "2024-10-27 02:59:59"),
            ("2024-10-27 01:00:00", "2024-10-27 02:00:00", "2024-10-27 03:00:00"),
            ("2024-10-27 01:30:00", "2024-10-27 02:30:00", "2024-10-27 03:00:00"),
            ("2024-10-27 02:00:01", "2024-10-27 03:00:01", "2024-10-27 03:00:01"),
            // In spring nothing comes twice.
            ("2024-03-31 00:59:59", "2024-03-31 01:59:59", "2024-03-31 01:59:59"),
            ("2024-03-31 01:00:00", "2024-03-31 03:00:00", "2024-03-31 03:00:00"),
        ] {
            assert_eq!(zone.lowest_wall_from(micros(instant)), micros(lowest), "from {instant}");
            assert_eq!(zone.highest_wall_until(micros(instant)), micros(highest), "until {instant}");
        }
        // Half an hour, at half an hour: Lord Howe goes from 02:00 to 01:30 at 15:00 UTC.
        let zone: Zone = "Australia/Lord_Howe".parse().unwrap();
        let noon = micros("2024-04-06 14:45:00");
        assert_eq!(zone.lowest_wall_from(noon), micros("2024-04-07 01:30:00"));
        assert_eq!(zone.highest_wall_until(noon + 900_000_000), micros("2024-04-07 02:00:00"));
        let fixed: Zone = "+05:45".parse().unwrap();
        for zone in [fixed, Zone::UTC] {
            assert_eq!((zone.lowest_wall_from(noon), zone.highest_wall_until(noon)), {
                let wall = zone.instant_to_wall(noon);
                (wall, wall)
            });
        }
        for extreme in [i64::MIN, i64::MAX] {
            let zone: Zone = "Europe/Berlin".parse().unwrap();
            let _ = (zone.lowest_wall_from(extreme), zone.highest_wall_until(extreme));
        }
    }

    #[test]
    fn the_last_rules_hold_on_for_ever() {
        let zone: Zone = "America/New_York".parse().unwrap();
        // The second Sunday of March and the first of November.
        assert_eq!(zone.wall_to_instant(micros("2100-03-14 03:00:00")), micros("2100-03-14 07:00:00"));
        assert_eq!(zone.wall_to_instant(micros("2150-07-01 12:00:00")), micros("2150-07-01 16:00:00"));
        assert_eq!(zone.instant_to_wall(micros("9999-11-07 06:00:00")), micros("9999-11-07 01:00:00"));
        assert_eq!(zone.instant_to_wall(micros("9999-12-31 12:00:00")), micros("9999-12-31 07:00:00"));
        let last = i64::MAX - 2 * 86_400_000_000;
        assert_eq!(zone.instant_to_wall(zone.wall_to_instant(last)), last);
        assert_eq!(zone.wall_to_instant(i64::MAX), i64::MAX);
    }

    #[test]
    fn every_spelling_of_a_zone_that_connect_takes_is_taken() {
        for (text, seconds) in
            [("+02:00", 7200), ("UTC+2", 7200), ("GMT-03:30", -12600), ("Z", 0), ("EST", -18000), ("-0530", -19800)]
        {
            let zone: Zone = text.parse().unwrap();
            assert_eq!(zone.instant_to_wall(0), seconds * 1_000_000, "{text}");
        }
        assert!("Mars/Olympus".parse::<Zone>().is_err());
        assert!("+99:00".parse::<Zone>().is_err());
    }
}
