//! Facts about a cursor column beyond its type: how its database hands out ids, whether its values grow. Found by a
//! dialect or by looking at values; shown in the status, `explain` and `check`.

use std::fmt;

use serde::Serialize;

/// A fact about a column as cursor that follows from the database's own rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CursorFact {
    /// The column.
    pub column: String,
    /// Its weight for polling.
    pub weight: FactWeight,
    /// The database's rule and its consequence, in words.
    pub text: String,
}

/// The weight of a [`CursorFact`] for polling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FactWeight {
    /// A note that is good to know.
    Note,
    /// Rows may become visible behind the position.
    Warning,
    /// The column cannot serve: its values have no order that follows time.
    Refusal,
}

impl FactWeight {
    /// The word in JSON and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            FactWeight::Note => "note",
            FactWeight::Warning => "warning",
            FactWeight::Refusal => "refusal",
        }
    }
}

/// The fact for `explain`, `check` and logs.
impl fmt::Display for CursorFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: `{}`: {}", self.weight.as_str(), self.column, self.text)
    }
}
