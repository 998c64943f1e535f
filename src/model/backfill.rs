//! Backfills: a table is read again while it is polled.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// A request to read a table again while it is polled: all rows up to the position that polls have reached. Rows beyond it
/// are the polls' own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backfill {
    /// A condition on the rows, in the database's SQL, beside that of the table.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Another topic than that of the table, before transforms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The most rows a second; none: as many as there are.
    #[serde(rename = "rows_per_second", default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
}

impl Backfill {
    /// The text of [`SourceOffset::backfill`](super::SourceOffset::backfill).
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The request of such a text.
    ///
    /// # Errors
    /// `Offsets` if it is not one of this release.
    pub fn from_text(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            Error::new(ErrorKind::Offsets, "the stored request of a backfill cannot be read")
                .advise("use the rowtide that wrote it, or a newer one; `rowtide backfill --cancel` forgets it")
                .caused_by(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_goes_round_and_one_of_a_later_release_is_not_half_understood() {
        let most =
            Backfill { condition: Some("a = 'x\"'".to_owned()), topic: Some("again".to_owned()), rate: Some(100) };
        assert_eq!(most.to_text(), r#"{"where":"a = 'x\"'","topic":"again","rows_per_second":100}"#);
        for request in [Backfill::default(), most] {
            assert_eq!(Backfill::from_text(&request.to_text()).unwrap(), request);
        }
        for broken in [r#"{"until":1}"#, r#"{"topic":1}"#, "x"] {
            assert_eq!(Backfill::from_text(broken).unwrap_err().kind(), ErrorKind::Offsets, "{broken}");
        }
    }
}
