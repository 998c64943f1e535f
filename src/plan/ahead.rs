//! Rows with times above the clock that bounds polls: how many there are, and how that is told. They are not lost, they
//! are read when their time has come; mostly it is a column of wall clocks that is read in the wrong zone.

use std::fmt::Write as _;

use super::statement::Statement;
use super::{ALIAS, CursorRole, Planner};
use crate::model::{CursorColumn, CursorKind, CursorValue, Micros, PlannedQuery};
use crate::zone::Zone;

/// More rows are not counted.
const MOST_COUNTED: usize = 10_000;
/// A writer's clock may be ahead by so much without a word.
const AHEAD: Micros = 60_000_000;
/// No two zones are further apart, give or take a write.
const ZONES_APART: Micros = 26 * 3_600_000_000;

/// The rows that wait for their time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ahead {
    /// How far the last one is ahead, in microseconds.
    by: Micros,
    /// A zone whose wall clocks the times may be, and the setting that says so.
    explanation: Option<String>,
}

impl Planner {
    /// How many rows are at or above a time, up to a limit; none where the mode has no timestamp.
    pub fn ahead_probe(&self, upper: &CursorValue<'static>) -> Option<PlannedQuery> {
        let time = self.tuple.first().filter(|column| column.role == CursorRole::Timestamp)?;
        let mut counting = Statement::new(self);
        counting.sql = format!("select count(*) from (select 1 as n from {} as {ALIAS}", self.source);
        counting.compare(time, ">=", upper);
        let _ = write!(counting.sql, " limit {}) as counted", MOST_COUNTED + 1);
        let cursor = vec![CursorColumn { index: 0, kind: CursorKind::Integer }];
        Some(PlannedQuery { sql: counting.sql, binds: counting.binds, cursor, hidden: 1, limit: Some(1), recurs: true })
    }
}

impl Ahead {
    /// Whether the greatest time of a column is further ahead of the database's clock than clocks may differ.
    pub fn is_worth_a_word(greatest: Micros, clock: Micros) -> bool {
        greatest.saturating_sub(clock) >= AHEAD
    }

    /// Whether the greatest time of a column is ahead of the database's clock, both as the column holds them. `zones` are
    /// those that may explain it, by what has to be set for them; `now` is the instant.
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

    /// The message about a number of such rows.
    pub fn text(&self, rows: i64) -> String {
        let most = i64::try_from(MOST_COUNTED).unwrap_or(i64::MAX);
        let rows = if rows > most { format!("more than {most} rows") } else { format!("{rows} row(s)") };
        // Rounded up: what is read a moment after it was written is not less far ahead.
        let minutes = (self.by + 59_999_999) / 60_000_000;
        let (hours, minutes) = (minutes / 60, minutes % 60);
        let text = format!(
            "{rows} with times up to {hours} h {minutes} min ahead of the clock that bounds polls, to be read when their \
             time has come"
        );
        match &self.explanation {
            Some(setting) => format!("{text}; {setting}"),
            None => text,
        }
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
        let text = |greatest: Micros| Ahead::of(kind, greatest, now, now, &zones).map(|ahead| ahead.text(3));
        assert_eq!(text(now), None);
        assert_eq!(text(now + 50_000_000), None, "a clock may be ahead by a little");
        let berlin = text(now + 2 * HOUR).unwrap();
        assert!(berlin.contains("3 row(s) with times up to 2 h 0 min ahead"), "{berlin}");
        assert!(berlin.ends_with("set db.timezone=Europe/Berlin"), "{berlin}");
        assert!(text(now + 3 * HOUR).unwrap().ends_with("Asia/Tokyo"));
        assert!(text(now + 20 * HOUR).unwrap().ends_with("has come"), "no zone explains it");
        let zoned = CursorKind::Timestamp { zoned: true, digits: 6 };
        assert!(Ahead::of(zoned, now + HOUR, now, now, &zones).unwrap().text(1).ends_with("has come"));
    }
}
