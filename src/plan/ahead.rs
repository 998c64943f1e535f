//! Rows with times above the clock that bounds polls: how far they are ahead, and how that is told. They are not lost, they
//! are read when their time has come; mostly it is a column of wall clocks that is read in the wrong zone.

use crate::model::{CursorKind, Micros};
use crate::zone::Zone;

/// A writer's clock may be ahead by so much without a word.
const AHEAD: Micros = 60_000_000;
/// No two zones are further apart, give or take a write.
const ZONES_APART: Micros = 26 * 3_600_000_000;
const DAY: Micros = 24 * 3_600_000_000;
/// The distance from which a time is PostgreSQL's `infinity`, the end of all times.
const FOR_EVER: Micros = 200_000 * 365 * DAY;

/// The rows that wait for their time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ahead {
    /// The distance of the last one, in microseconds.
    by: Micros,
    /// A zone whose wall clocks the times may be, and the setting that says so.
    explanation: Option<String>,
}

impl Ahead {
    /// True if the greatest time of a column is further ahead of the database's clock than clocks may differ.
    pub fn is_worth_a_word(greatest: Micros, clock: Micros) -> bool {
        greatest.saturating_sub(clock) >= AHEAD
    }

    /// The rows ahead of the database's clock, if the greatest time of a column is; both as the column holds them.
    /// `zones` are those that may explain it, by the setting that names them; `now` is the instant.
    pub fn of(
        kind: CursorKind,
        greatest: Micros,
        clock: Micros,
        now: Micros,
        zones: &[(Zone, String)],
    ) -> Option<Self> {
        let by = greatest.saturating_sub(clock);
        if !Self::is_worth_a_word(greatest, clock) {
            return None;
        }
        let explains = |zone: &Zone| zone.highest_wall_until(now).saturating_add(AHEAD) >= greatest;
        let explanation = zones.iter().filter(|_| kind.is_wall() && by <= ZONES_APART).find(|(zone, _)| explains(zone));
        Some(Self { by, explanation: explanation.map(|(_, setting)| setting.clone()) })
    }

    /// The zone that explains it, and the setting that says so.
    pub fn explanation(&self) -> Option<&str> {
        self.explanation.as_deref()
    }

    /// The message about so many rows, in words.
    pub fn text(&self, rows: &str) -> String {
        let by = match self.by {
            FOR_EVER.. => "without end".to_owned(),
            by if by >= 2 * DAY => format!("up to {} days", by / DAY),
            // Rounded up: a row read a moment after it was written is no less far ahead.
            by => {
                let minutes = (by + 59_999_999) / 60_000_000;
                format!("up to {} h {} min", minutes / 60, minutes % 60)
            }
        };
        let text =
            format!("{rows} with times {by} ahead of the clock that bounds polls, to be read when their time has come");
        match &self.explanation {
            Some(setting) => format!("{text}; {setting}"),
            None => text,
        }
    }

    /// The greatest time of a column is further ahead of the database's clock than any confusion of zones.
    pub fn is_far(greatest: Micros, clock: Micros) -> bool {
        greatest.saturating_sub(clock) > DAY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Micros = 3_600_000_000;

    #[test]
    fn times_ahead_of_the_clock_are_explained_by_a_zone_that_shows_them() {
        let kind = CursorKind::Timestamp { zoned: false, digits: 6 };
        let zone = |name: &str| (name.parse::<Zone>().unwrap(), format!("set db.timezone={name}"));
        let zones = [zone("America/New_York"), zone("Europe/Berlin"), zone("Asia/Tokyo")];
        // Noon of 2026-07-01.
        let now = 1_782_907_200_000_000;
        let text = |greatest: Micros| Ahead::of(kind, greatest, now, now, &zones).map(|ahead| ahead.text("3 row(s)"));
        assert_eq!(text(now), None);
        assert_eq!(text(now + 50_000_000), None, "a clock may be ahead by a little");
        let berlin = text(now + 2 * HOUR).unwrap();
        assert!(berlin.contains("3 row(s) with times up to 2 h 0 min ahead"), "{berlin}");
        assert!(berlin.ends_with("set db.timezone=Europe/Berlin"), "{berlin}");
        assert!(text(now + 3 * HOUR).unwrap().ends_with("Asia/Tokyo"));
        assert!(text(now + 72 * HOUR).unwrap().contains("up to 3 days ahead"));
        assert!(text(Micros::MAX).unwrap().contains("without end ahead"));
        assert!(text(now + 20 * HOUR).unwrap().ends_with("has come"), "no zone explains it");
        let zoned = CursorKind::Timestamp { zoned: true, digits: 6 };
        assert!(Ahead::of(zoned, now + HOUR, now, now, &zones).unwrap().text("1 row(s)").ends_with("has come"));
    }
}
