//! Cursor values: the exact position of a row in cursor order, in the column's own type and precision.
//! They are read beside the record's values, because a record may round (milliseconds) where a cursor
//! must not. Converting to and from the instants of Kafka Connect's offsets needs `db.timezone`
//! for columns without a zone (`offsets-topic.md`, 3).

use std::borrow::Cow;

use chrono::{DateTime, NaiveDateTime};
use serde::{Deserialize, Serialize};

use super::Micros;
use crate::error::{Error, ErrorKind, Result};
use crate::zone::Zone;

/// The kind of a cursor column: how its values are compared, bound and stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CursorKind {
    /// Any integer type; [`CursorValue::Integer`].
    Integer,
    /// An unsigned 64-bit integer; [`CursorValue::Integer`] while it fits, else [`CursorValue::Unsigned`].
    Unsigned,
    /// A date-time type of the database; [`CursorValue::Timestamp`], microseconds since the epoch of
    /// the instant (`zoned`) or of the wall clock read as if it were UTC.
    Timestamp {
        /// True if the type carries an absolute instant.
        zoned: bool,
        /// Fraction digits the column can hold, 0 to 6. The upper bound is cut to them.
        digits: u8,
    },
    /// A date without time; [`CursorValue::Timestamp`] at midnight.
    Date,
    /// Date-time as text in one format (SQLite); [`CursorValue::Text`], compared as text.
    TextTimestamp(TextTimeFormat),
    /// Integer seconds (`per_second` 1) or milliseconds (1000) since the epoch (SQLite);
    /// [`CursorValue::Integer`].
    Epoch {
        /// Units in a second.
        per_second: u16,
    },
    /// Julian day as a float (SQLite); [`CursorValue::Real`].
    JulianDay,
    /// Anything else with an order of its own (uuid, text, numeric, ...), carried as the database's text
    /// form in a hidden column and cast back when bound; [`CursorValue::Text`].
    Text,
}

/// The one format of a SQLite column that holds date-times as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TextTimeFormat {
    /// True for a `T` between date and time instead of a space.
    pub t_separator: bool,
    /// Fraction digits, 0 to 9.
    pub digits: u8,
    /// True for a trailing `Z`; the text is then UTC whatever `db.timezone` says.
    pub z_suffix: bool,
}

/// One value of a cursor tuple.
#[derive(Debug, Clone, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum CursorValue<'a> {
    /// See [`CursorKind::Integer`] and [`CursorKind::Epoch`].
    #[serde(rename = "i")]
    Integer(i64),
    /// Beyond 2^63 - 1; see [`CursorKind::Unsigned`].
    #[serde(rename = "u")]
    Unsigned(u64),
    /// Microseconds; see [`CursorKind::Timestamp`].
    #[serde(rename = "us")]
    Timestamp(i64),
    /// See [`CursorKind::JulianDay`].
    #[serde(rename = "r")]
    Real(f64),
    /// See [`CursorKind::Text`] and [`CursorKind::TextTimestamp`].
    #[serde(rename = "s")]
    Text(Cow<'a, str>),
    /// The cursor column is NULL: no position.
    #[serde(skip)]
    Null,
}

impl CursorValue<'_> {
    /// The value of an unsigned integer.
    pub fn unsigned(value: u64) -> Self {
        i64::try_from(value).map_or(CursorValue::Unsigned(value), CursorValue::Integer)
    }

    /// A copy that borrows nothing.
    pub fn into_owned(self) -> CursorValue<'static> {
        match self {
            CursorValue::Integer(value) => CursorValue::Integer(value),
            CursorValue::Unsigned(value) => CursorValue::Unsigned(value),
            CursorValue::Timestamp(value) => CursorValue::Timestamp(value),
            CursorValue::Real(value) => CursorValue::Real(value),
            CursorValue::Text(text) => CursorValue::Text(Cow::Owned(text.into_owned())),
            CursorValue::Null => CursorValue::Null,
        }
    }
}

/// A cursor tuple: (timestamp, id), (id), or (timestamp, primary key...). Rows strictly after it, in
/// the order of the tuple, are still to be read. A tuple shorter than the cursor's columns lies after
/// every row that starts with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub Vec<CursorValue<'static>>);

/// A point in time at nanosecond precision; `nanos` is the whole sub-second part, also before 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    /// Seconds since the epoch, rounded down.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanos: u32,
}

impl Instant {
    /// The instant of microseconds since the epoch.
    pub fn from_micros(micros: i64) -> Self {
        Self { seconds: micros.div_euclid(1_000_000), nanos: micros.rem_euclid(1_000_000) as u32 * 1_000 }
    }

    /// The instant of milliseconds since the epoch.
    pub fn from_millis(millis: i64) -> Self {
        Self { seconds: millis.div_euclid(1_000), nanos: millis.rem_euclid(1_000) as u32 * 1_000_000 }
    }

    /// Microseconds since the epoch, rounded down; saturates at the range of i64.
    pub fn micros(self) -> i64 {
        self.seconds.saturating_mul(1_000_000).saturating_add(i64::from(self.nanos / 1_000))
    }

    /// Milliseconds since the epoch, rounded down; saturates at the range of i64.
    pub fn millis(self) -> i64 {
        self.seconds.saturating_mul(1_000).saturating_add(i64::from(self.nanos / 1_000_000))
    }

    /// `2024-02-29T12:00:00.123456Z`, with as many digits as needed.
    pub fn to_rfc3339(self) -> String {
        match DateTime::from_timestamp(self.seconds, self.nanos) {
            Some(time) => time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
            None => format!("{} s since the epoch", self.seconds),
        }
    }
}

impl CursorKind {
    /// The instant a cursor value stands for.
    ///
    /// # Errors
    /// `Value` if it is not a time of this kind (text in another format): described again, the column may
    /// turn out to have another kind.
    pub fn to_instant(self, value: &CursorValue<'_>, zone: &Zone) -> Result<Instant> {
        match (self, value) {
            (CursorKind::Timestamp { zoned: true, .. } | CursorKind::Date, CursorValue::Timestamp(micros)) => {
                Ok(Instant::from_micros(*micros))
            }
            (CursorKind::Timestamp { zoned: false, .. }, CursorValue::Timestamp(micros)) => {
                Ok(Instant::from_micros(zone.wall_to_instant(*micros)))
            }
            (CursorKind::Epoch { per_second }, CursorValue::Integer(units)) => {
                let per_second = i64::from(per_second);
                let nanos = units.rem_euclid(per_second) * (1_000_000_000 / per_second);
                Ok(Instant { seconds: units.div_euclid(per_second), nanos: nanos as u32 })
            }
            (CursorKind::JulianDay, CursorValue::Real(days)) => {
                Ok(Instant::from_micros(zone.wall_to_instant(julian_to_micros(*days))))
            }
            (CursorKind::TextTimestamp(format), CursorValue::Text(text)) => {
                let (seconds, nanos) = format.parse(text).ok_or_else(|| {
                    Error::new(ErrorKind::Value, "the timestamp column holds text in more than one format")
                        .advise("write all its values in one format, for example YYYY-MM-DD HH:MM:SS.SSS")
                })?;
                if format.z_suffix {
                    return Ok(Instant { seconds, nanos });
                }
                let micros = zone.wall_to_instant(seconds.saturating_mul(1_000_000));
                Ok(Instant { seconds: micros.div_euclid(1_000_000), nanos })
            }
            _ => Err(Error::internal("a cursor value does not match its column's kind")),
        }
    }

    /// The cursor value of an instant, cut to the digits of the column.
    ///
    /// # Errors
    /// `Offsets` if the kind is not one of time.
    pub fn from_instant(self, instant: Instant, zone: &Zone) -> Result<CursorValue<'static>> {
        let wall = || zone.instant_to_wall(instant.micros());
        match self {
            CursorKind::Timestamp { zoned: true, .. } => Ok(CursorValue::Timestamp(instant.micros())),
            CursorKind::Timestamp { zoned: false, .. } => Ok(CursorValue::Timestamp(wall())),
            CursorKind::Date => Ok(CursorValue::Timestamp(instant.micros())),
            CursorKind::Epoch { per_second: 1 } => Ok(CursorValue::Integer(instant.seconds)),
            CursorKind::Epoch { .. } => Ok(CursorValue::Integer(instant.millis())),
            CursorKind::JulianDay => Ok(CursorValue::Real(micros_to_julian(wall()))),
            CursorKind::TextTimestamp(format) => {
                let micros = if format.z_suffix { instant.micros() } else { wall() };
                Ok(CursorValue::Text(Cow::Owned(format.render(micros, instant.nanos % 1_000))))
            }
            CursorKind::Integer | CursorKind::Unsigned | CursorKind::Text => {
                Err(Error::new(ErrorKind::Offsets, "the stored offset has a timestamp where the cursor has none"))
            }
        }
    }

    /// The time a value holds: microseconds since the epoch, of the instant or of the wall clock as if it were UTC. In
    /// the order of the values.
    ///
    /// # Errors
    /// Those of [`CursorKind::to_instant`].
    pub fn column_time(self, value: &CursorValue<'_>) -> Result<Micros> {
        self.to_instant(value, &Zone::UTC).map(Instant::micros)
    }

    /// The value that holds a time: [`CursorKind::column_time`].
    ///
    /// # Errors
    /// Those of [`CursorKind::from_instant`].
    pub fn from_column_time(self, time: Micros) -> Result<CursorValue<'static>> {
        self.from_instant(Instant::from_micros(time), &Zone::UTC)
    }

    /// True if the kind holds wall clocks: a time of it is another instant in another zone.
    pub fn is_wall(self) -> bool {
        match self {
            CursorKind::Timestamp { zoned, .. } => !zoned,
            CursorKind::TextTimestamp(format) => !format.z_suffix,
            CursorKind::Date | CursorKind::JulianDay => true,
            CursorKind::Integer | CursorKind::Unsigned | CursorKind::Epoch { .. } | CursorKind::Text => false,
        }
    }

    /// True if the kind can serve as a timestamp column.
    pub fn is_time(self) -> bool {
        !matches!(self, CursorKind::Integer | CursorKind::Unsigned | CursorKind::Text)
    }
}

impl TextTimeFormat {
    /// Recognises the format of one text, or none if it is not `YYYY-MM-DD[ T]HH:MM:SS[.f][Z]`.
    pub fn detect(text: &str) -> Option<Self> {
        let z_suffix = text.ends_with('Z');
        let body = text.strip_suffix('Z').unwrap_or(text);
        let t_separator = body.as_bytes().get(10) == Some(&b'T');
        let digits = body.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let format = Self { t_separator, digits: u8::try_from(digits).ok().filter(|d| *d <= 9)?, z_suffix };
        format.parse(text).map(|_| format)
    }

    /// Seconds and nanoseconds of a text in this format (any number of fraction digits).
    fn parse(self, text: &str) -> Option<(i64, u32)> {
        let body = if self.z_suffix { text.strip_suffix('Z')? } else { text };
        let pattern = if self.t_separator { "%Y-%m-%dT%H:%M:%S%.f" } else { "%Y-%m-%d %H:%M:%S%.f" };
        let time = NaiveDateTime::parse_from_str(body, pattern).ok()?.and_utc();
        Some((time.timestamp(), time.timestamp_subsec_nanos()))
    }

    /// The text of a wall clock; `extra_nanos` are the three digits below a microsecond.
    fn render(self, wall_micros: i64, extra_nanos: u32) -> String {
        let at = Instant::from_micros(wall_micros);
        let time = DateTime::from_timestamp(at.seconds, at.nanos + extra_nanos).unwrap_or_default();
        let separator = if self.t_separator { 'T' } else { ' ' };
        let mut text = time.format("%Y-%m-%d").to_string();
        text.push(separator);
        text.push_str(&time.format("%H:%M:%S").to_string());
        if self.digits > 0 {
            let nanos = format!("{:09}", time.timestamp_subsec_nanos());
            text.push('.');
            text.push_str(&nanos[..usize::from(self.digits)]);
        }
        if self.z_suffix {
            text.push('Z');
        }
        text
    }
}

/// The Julian day of the epoch.
const EPOCH_JULIAN_DAY: f64 = 2_440_587.5;
const MICROS_PER_DAY: f64 = 86_400_000_000.0;

fn julian_to_micros(days: f64) -> i64 {
    // A Julian day as f64 is exact to about 40 microseconds; milliseconds are what SQLite itself keeps.
    (((days - EPOCH_JULIAN_DAY) * MICROS_PER_DAY / 1_000.0).round() as i64).saturating_mul(1_000)
}

fn micros_to_julian(micros: i64) -> f64 {
    micros as f64 / MICROS_PER_DAY + EPOCH_JULIAN_DAY
}

impl Position {
    /// The text form stored in [`SourceOffset::exact`](super::SourceOffset::exact).
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads [`Position::to_text`] back.
    ///
    /// # Errors
    /// `Offsets` if the text is not one.
    pub fn from_text(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            Error::new(ErrorKind::Offsets, "the stored exact position cannot be read").caused_by(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_before_1970_keep_their_whole_sub_second_part() {
        // offsets-topic.md, 3: 1969-12-31T23:59:59.9995Z is timestamp -1, timestamp_nanos 999500000.
        let instant = Instant::from_micros(-500);
        assert_eq!((instant.millis(), instant.nanos), (-1, 999_500_000));
        assert_eq!(instant.micros(), -500);
    }

    #[test]
    fn text_timestamps_go_to_instants_and_back_in_their_own_format() {
        for text in
            ["2024-02-29 12:00:00", "2024-02-29T12:00:00.123", "2024-02-29T12:00:00.123456Z", "1855-01-01 00:00:00.5"]
        {
            let format = TextTimeFormat::detect(text).unwrap();
            let kind = CursorKind::TextTimestamp(format);
            let instant = kind.to_instant(&CursorValue::Text(text.into()), &Zone::UTC).unwrap();
            assert_eq!(kind.from_instant(instant, &Zone::UTC).unwrap(), CursorValue::Text(text.into()));
        }
        assert_eq!(TextTimeFormat::detect("yesterday"), None);
        assert_eq!(TextTimeFormat::detect("2024-02-29"), None);
    }

    #[test]
    fn julian_days_keep_milliseconds() {
        let micros = 1_709_208_000_123_000;
        assert_eq!(julian_to_micros(micros_to_julian(micros)), micros);
    }

    #[test]
    fn positions_survive_their_text_form() {
        let position = Position(vec![
            CursorValue::Timestamp(-500),
            CursorValue::Integer(i64::MAX),
            CursorValue::Text("a\"b".into()),
        ]);
        assert_eq!(Position::from_text(&position.to_text()).unwrap(), position);
        assert_eq!(position.to_text(), r#"[{"us":-500},{"i":9223372036854775807},{"s":"a\"b"}]"#);
    }
}
