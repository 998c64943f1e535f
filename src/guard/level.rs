//! Levels: promises about rows that commit late.

/// A promise about late rows, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Neither lost nor repeated.
    Exact,
    /// Neither lost nor repeated, but for rows of an id that was read before they came: those are lost, as in Kafka
    /// Connect.
    Partial,
    /// Neither lost nor repeated, but rows wait until the transactions that are open have ended.
    Hold,
    /// Not lost, within a fixed time; a restart may repeat some.
    Rescan,
    /// Not lost if they come within a fixed delay.
    Delay,
    /// Lost, as in Kafka Connect.
    Off,
}

impl Level {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Exact, Self::Partial, Self::Hold, Self::Rescan, Self::Delay, Self::Off];

    /// True if late rows are looked for.
    pub fn finds_rows(self) -> bool {
        !matches!(self, Level::Delay | Level::Off)
    }

    /// The word used in status, metrics and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Exact => "exact",
            Level::Partial => "partial",
            Level::Hold => "hold",
            Level::Rescan => "rescan",
            Level::Delay => "delay",
            Level::Off => "off",
        }
    }
}
