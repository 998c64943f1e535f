//! Timestamps and times of day as record values: `timestamp.granularity`, `db.timezone` and
//! `date.calendar.system` in one place for all dialects (`querying.md`, 8). Takes microseconds, gives
//! a [`Value`]; bound once per column.

use std::borrow::Cow;

use super::calendar::{MICROS_PER_DAY, civil_from_days, hybrid_micros};
use super::problem::Problem;
use crate::config::spec::{Granularity, Overlap, TypeSpec};
use crate::model::{FieldType, Value};
use crate::zone::Zone;

/// pgjdbc's values of `infinity` and `-infinity`, in milliseconds.
const POSITIVE_INFINITY_MILLIS: i64 = 9_223_372_036_825_200_000;
const NEGATIVE_INFINITY_MILLIS: i64 = -9_223_372_036_832_400_000;

/// The first of January of the year 1.
const FIRST_YEAR: i64 = -62_135_596_800_000_000;

const COMES_TWICE: Problem =
    Problem::new("the time comes twice in db.timezone, when daylight saving time ends").unless("dst.overlap=later");
const BEYOND_NANOS: Problem = Problem::new(
    "a time before 1677 or after 2262 is beyond timestamp.granularity=nanos_long; nanos_string would deliver it",
);
const NO_ERA: Problem = Problem::new(
    "a year before 1 reads like one after it in the ISO text of timestamp.granularity; micros_string or nanos_string \
     would deliver it",
);

/// Renders the instants of one timestamp column.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimestampEncoder {
    granularity: Granularity,
    zone: Zone,
    /// True if `zone` changes nothing.
    utc: bool,
    overlap: Overlap,
    legacy_calendar: bool,
}

/// The field type of timestamp columns.
pub(super) fn timestamp_type(granularity: Granularity) -> FieldType {
    match granularity {
        Granularity::ConnectLogical => FieldType::Timestamp,
        Granularity::MicrosLong | Granularity::NanosLong => FieldType::Int64,
        Granularity::MicrosString | Granularity::MicrosIso | Granularity::NanosString | Granularity::NanosIso => {
            FieldType::String
        }
    }
}

impl TimestampEncoder {
    pub(super) fn new(types: &TypeSpec) -> Self {
        Self {
            granularity: types.granularity,
            zone: types.zone,
            utc: types.zone.is_utc(),
            // Written as a wall clock again, such a time is as clear as it was.
            overlap: if is_wall(types.granularity) { Overlap::Later } else { types.overlap },
            legacy_calendar: types.legacy_calendar,
        }
    }

    /// The value of a wall clock in `db.timezone`; `i64::MAX` and `MIN` are the infinities.
    /// `nanos` are the three digits below a microsecond.
    ///
    /// # Errors
    /// The wall clock comes twice, under `dst.overlap=fail`; or the granularity cannot carry it.
    pub(super) fn wall(&self, micros: i64, nanos: u32) -> Result<Value<'static>, Problem> {
        if is_infinite(micros) {
            return Ok(self.infinity(micros > 0));
        }
        let wall = if self.legacy_calendar { hybrid_micros(micros) } else { micros };
        let instant =
            if self.utc { wall } else { self.zone.wall_to_instant_by(wall, self.overlap).ok_or(COMES_TWICE)? };
        self.render(instant, nanos)
    }

    /// [`TimestampEncoder::wall`] as milliseconds, for the common case: Connect's Timestamp, in UTC, after
    /// the calendar reform.
    #[inline]
    pub(super) fn wall_millis(&self, micros: i64) -> Option<i64> {
        let is_plain = self.utc && self.granularity == Granularity::ConnectLogical;
        (is_plain && micros >= 0 && micros != i64::MAX).then_some(micros / 1_000)
    }

    /// The value of an instant; `i64::MAX` and `MIN` are the infinities.
    ///
    /// # Errors
    /// The granularity cannot carry it.
    pub(super) fn instant(&self, micros: i64, nanos: u32) -> Result<Value<'static>, Problem> {
        if is_infinite(micros) {
            return Ok(self.infinity(micros > 0));
        }
        self.render(if self.legacy_calendar { hybrid_micros(micros) } else { micros }, nanos)
    }

    fn render(&self, micros: i64, nanos: u32) -> Result<Value<'static>, Problem> {
        let exact = i128::from(micros) * 1_000 + i128::from(nanos);
        Ok(match self.granularity {
            Granularity::ConnectLogical => Value::Integer(micros.div_euclid(1_000)),
            Granularity::MicrosLong => Value::Integer(micros),
            Granularity::MicrosString => Value::Text(Cow::Owned(micros.to_string())),
            Granularity::NanosLong => Value::Integer(i64::try_from(exact).map_err(|_| BEYOND_NANOS)?),
            Granularity::NanosString => Value::Text(Cow::Owned(exact.to_string())),
            Granularity::MicrosIso | Granularity::NanosIso => Value::Text(Cow::Owned(self.iso(micros, nanos)?)),
        })
    }

    fn infinity(&self, positive: bool) -> Value<'static> {
        let millis = if positive { POSITIVE_INFINITY_MILLIS } else { NEGATIVE_INFINITY_MILLIS };
        match self.granularity {
            Granularity::ConnectLogical => Value::Integer(millis),
            Granularity::MicrosLong | Granularity::NanosLong => {
                Value::Integer(if positive { i64::MAX } else { i64::MIN })
            }
            Granularity::MicrosString => Value::Text(Cow::Owned((i128::from(millis) * 1_000).to_string())),
            Granularity::NanosString => Value::Text(Cow::Owned((i128::from(millis) * 1_000_000).to_string())),
            Granularity::MicrosIso => Value::Text(Cow::Owned(iso(millis.div_euclid(1_000), 0, 6))),
            Granularity::NanosIso => Value::Text(Cow::Owned(iso(millis.div_euclid(1_000), 0, 9))),
        }
    }

    fn iso(&self, micros: i64, nanos: u32) -> Result<String, Problem> {
        let wall = if self.utc { micros } else { self.zone.instant_to_wall(micros) };
        if wall < FIRST_YEAR {
            return Err(NO_ERA);
        }
        let fraction = wall.rem_euclid(1_000_000) as u32 * 1_000 + nanos;
        let digits = if self.granularity == Granularity::MicrosIso { 6 } else { 9 };
        Ok(iso(wall.div_euclid(1_000_000), fraction, digits))
    }
}

/// True if timestamps are written as wall clocks in `db.timezone`.
fn is_wall(granularity: Granularity) -> bool {
    matches!(granularity, Granularity::MicrosIso | Granularity::NanosIso)
}

fn is_infinite(micros: i64) -> bool {
    micros == i64::MAX || micros == i64::MIN
}

/// `yyyy-MM-dd'T'HH:mm:ss.f`, with Java's year of era.
fn iso(seconds: i64, nanos: u32, digits: usize) -> String {
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let year_of_era = if year > 0 { year } else { 1 - year };
    let sign = if year_of_era > 9_999 { "+" } else { "" };
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let mut text = format!("{sign}{year_of_era:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}");
    text.truncate(text.len() - 9 + digits);
    text
}

/// Milliseconds of the day in UTC of a wall clock time in `zone` on 1970-01-01, wrapped into the day
/// (Kafka Connect's own connector fails where it leaves it). `24:00` stays where no zone moves it.
pub(super) fn time_of_day(micros: i64, zone: &Zone) -> Value<'static> {
    if zone.is_utc() {
        return Value::Integer(micros.div_euclid(1_000));
    }
    Value::Integer(zone.wall_to_instant(micros).rem_euclid(MICROS_PER_DAY).div_euclid(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoder(granularity: Granularity, zone: &str) -> TimestampEncoder {
        TimestampEncoder::new(&TypeSpec { granularity, zone: zone.parse().unwrap(), ..TypeSpec::default() })
    }

    #[test]
    fn every_granularity_renders_the_golden_example() {
        // querying.md, 2.2: 2024-02-29 12:00:00.123456 UTC.
        let micros = 1_709_208_000_123_456;
        let text = |text: &str| Value::Text(Cow::Owned(text.to_owned()));
        for (granularity, expected) in [
            (Granularity::ConnectLogical, Value::Integer(1_709_208_000_123)),
            (Granularity::MicrosLong, Value::Integer(1_709_208_000_123_456)),
            (Granularity::MicrosString, text("1709208000123456")),
            (Granularity::MicrosIso, text("2024-02-29T12:00:00.123456")),
            (Granularity::NanosLong, Value::Integer(1_709_208_000_123_456_000)),
            (Granularity::NanosString, text("1709208000123456000")),
            (Granularity::NanosIso, text("2024-02-29T12:00:00.123456000")),
        ] {
            assert_eq!(encoder(granularity, "UTC").wall(micros, 0), Ok(expected));
        }
    }

    #[test]
    fn wall_clocks_are_read_in_the_zone_and_instants_are_not() {
        let logical = encoder(Granularity::ConnectLogical, "America/New_York");
        assert_eq!(logical.wall(1_579_082_400_000_000, 0), Ok(Value::Integer(1_579_100_400_000)));
        assert_eq!(logical.instant(1_579_082_400_000_000, 0), Ok(Value::Integer(1_579_082_400_000)));
        let iso = encoder(Granularity::MicrosIso, "America/New_York");
        assert_eq!(iso.instant(1_579_100_400_000_000, 0), Ok(Value::Text("2020-01-15T10:00:00.000000".into())));
    }

    #[test]
    fn a_time_that_comes_twice_is_what_the_setting_says() {
        // 2024-10-27 02:30 in Berlin.
        let wall = 1_729_996_200_000_000;
        let of = |granularity, overlap| {
            let zone = "Europe/Berlin".parse().unwrap();
            TimestampEncoder::new(&TypeSpec { granularity, zone, overlap, ..TypeSpec::default() }).wall(wall, 0)
        };
        let logical = Granularity::ConnectLogical;
        assert_eq!(of(logical, Overlap::Later), Ok(Value::Integer(1_729_992_600_000)));
        assert_eq!(of(logical, Overlap::Earlier), Ok(Value::Integer(1_729_989_000_000)));
        assert_eq!(of(logical, Overlap::Fail), Err(COMES_TWICE));
        let text = Value::Text("2024-10-27T02:30:00.000000".into());
        assert_eq!(of(Granularity::MicrosIso, Overlap::Fail), Ok(text));
    }

    #[test]
    fn infinities_are_those_of_pgjdbc() {
        let logical = encoder(Granularity::ConnectLogical, "Asia/Tokyo");
        assert_eq!(logical.wall(i64::MAX, 0), Ok(Value::Integer(9_223_372_036_825_200_000)));
        assert_eq!(logical.instant(i64::MIN, 0), Ok(Value::Integer(-9_223_372_036_832_400_000)));
        assert_eq!(encoder(Granularity::NanosLong, "UTC").wall(i64::MAX, 0), Ok(Value::Integer(i64::MAX)));
    }

    #[test]
    fn times_of_day_shift_by_the_zone_and_stay_in_the_day() {
        let evening = 20 * 3_600_000_000;
        let millis = |zone: &str| time_of_day(evening, &zone.parse().unwrap());
        assert_eq!(millis("UTC"), Value::Integer(72_000_000));
        assert_eq!(millis("America/New_York"), Value::Integer(90_000_000 - 86_400_000));
        assert_eq!(millis("Asia/Tokyo"), Value::Integer(39_600_000));
        assert_eq!(time_of_day(MICROS_PER_DAY, &Zone::UTC), Value::Integer(86_400_000));
    }
}
