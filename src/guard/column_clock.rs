//! The clock of a timestamp column. The database's clock tells instants; a column with a zone holds them too, but one
//! without holds wall clocks, which come again when clocks are set back. The guard compares times as the column holds
//! them, so every instant it has observed is taken over here, to the side that loses nothing.

use super::watermark::LowWatermark;
use crate::model::{CursorKind, Micros};
use crate::zone::Zone;

/// The kind of times a timestamp column holds: instants, or the wall clocks of a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnClock {
    /// The zone of the wall clocks; none for instants.
    zone: Option<Zone>,
}

impl ColumnClock {
    /// The clock of a column that holds instants.
    pub fn instants() -> Self {
        Self { zone: None }
    }

    /// The clock of a column of a kind, which holds wall clocks of `zone` if it has no zone of its own.
    pub fn of(kind: CursorKind, zone: Zone) -> Self {
        Self { zone: kind.is_wall().then_some(zone) }
    }

    /// True if the column holds wall clocks.
    pub fn is_wall(&self) -> bool {
        self.zone.is_some()
    }

    /// True if a column's times are the same numbers as instants.
    pub fn is_instant(&self) -> bool {
        self.zone.is_none_or(|zone| zone.is_utc())
    }

    /// The time the column holds for an instant.
    pub fn at(&self, instant: Micros) -> Micros {
        self.zone.map_or(instant, |zone| zone.instant_to_wall(instant))
    }

    /// The lowest time that is written to the column at an instant or later.
    pub fn lowest_from(&self, instant: Micros) -> Micros {
        self.zone.map_or(instant, |zone| zone.lowest_wall_from(instant))
    }

    /// An observation in the column's times, where transactions take their time up to `slack` before they are seen.
    pub fn of_low(&self, low: &LowWatermark, slack: Micros) -> LowWatermark {
        let lowest = |instant: Micros| self.lowest_from(instant.saturating_sub(slack)).saturating_add(slack);
        LowWatermark { clock: self.lowest_from(low.clock), known: lowest(low.known), ..low.clone() }
    }

    /// True if this one shows earlier times than another did: the writers' zone has been changed to one further west.
    pub fn is_behind(&self, other: &Self, instant: Micros) -> bool {
        self.at(instant) < other.at(instant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slack_reaches_across_the_hour_that_does_not_come() {
        let zone = "Europe/Berlin".parse().unwrap();
        let clock = ColumnClock::of(CursorKind::Timestamp { zoned: false, digits: 6 }, zone);
        // 2024-03-31 01:00 UTC: 02:00 CET is 03:00 CEST.
        let spring = 1_711_846_800_000_000;
        let low = LowWatermark { number: 1, clock: spring, known: spring, has_unknown: false, oldest: None };
        let seen = clock.of_low(&low, 1_000_000);
        assert_eq!(seen.clock, spring + 7_200_000_000);
        assert_eq!(seen.known - 1_000_000, spring + 3_600_000_000 - 1_000_000, "01:59:59 may still be written");
        let zoned = ColumnClock::of(CursorKind::Timestamp { zoned: true, digits: 6 }, zone);
        assert_eq!(zoned.of_low(&low, 1_000_000), low);
    }
}
