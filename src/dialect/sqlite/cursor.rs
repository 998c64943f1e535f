//! Cursor columns: a stored value in, [`CursorValue`] out.

use std::borrow::Cow;

use super::super::problem::Problem;
use super::stored::Stored;
use crate::model::{CursorKind, CursorValue};

/// A cursor column's value.
pub(super) fn cursor<'r>(kind: CursorKind, stored: Stored<'r>) -> Result<CursorValue<'r>, Problem> {
    match (kind, stored) {
        (_, Stored::Null) => Ok(CursorValue::Null),
        (CursorKind::Integer | CursorKind::Epoch { .. }, Stored::Integer(value)) => Ok(CursorValue::Integer(value)),
        (CursorKind::JulianDay, Stored::Real(value)) => Ok(CursorValue::Real(value)),
        (CursorKind::JulianDay, Stored::Integer(value)) => Ok(CursorValue::Real(value as f64)),
        (CursorKind::Text | CursorKind::TextTimestamp(_), Stored::Text(text)) => {
            Ok(CursorValue::Text(Cow::Borrowed(text)))
        }
        _ => Err(Problem::new("the cursor column holds values of several storage classes")),
    }
}
