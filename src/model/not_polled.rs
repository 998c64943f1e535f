//! Rows of a table that no poll reads, by the oddity of their cursor values. Found by a task; shown by the status, the
//! metrics, `check` and `explain`.

use serde::Serialize;

/// The reason why rows are not polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum OddCursor {
    /// A cursor column is NULL.
    #[serde(rename = "null")]
    Null,
    /// The timestamp is MySQL's `0000-00-00`.
    #[serde(rename = "zero_date")]
    ZeroDate,
    /// The timestamp is before 1970.
    #[serde(rename = "before_1970")]
    Before1970,
    /// The timestamp is above the clock that bounds polls: the row is read when its time has come.
    #[serde(rename = "ahead")]
    Ahead,
}

impl OddCursor {
    /// All of them.
    pub const ALL: [OddCursor; 4] = [OddCursor::Null, OddCursor::ZeroDate, OddCursor::Before1970, OddCursor::Ahead];

    /// The word in JSON, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            OddCursor::Null => "null",
            OddCursor::ZeroDate => "zero_date",
            OddCursor::Before1970 => "before_1970",
            OddCursor::Ahead => "ahead",
        }
    }
}

/// The rows of a table that are not polled for one reason, as of the last look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotPolled {
    /// The reason.
    pub reason: OddCursor,
    /// The number of them.
    pub rows: u64,
    /// True if there are more, which were not counted.
    pub or_more: bool,
    /// The key of one of them, `id=17`; none if nothing names it.
    pub example: Option<String>,
    /// The number, the reason and the setting that changes it, in words.
    pub text: String,
}

impl NotPolled {
    /// The number of rows, in words.
    pub fn count(&self) -> String {
        if self.or_more { format!("more than {} rows", self.rows) } else { format!("{} row(s)", self.rows) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_one_word_everywhere() {
        for reason in OddCursor::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }
}
