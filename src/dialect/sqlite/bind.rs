//! Parameters.

use sqlx::Arguments;
use sqlx::sqlite::SqliteArguments;

use crate::error::{Error, Result};
use crate::model::{Bind, CursorValue};

/// The arguments of a statement.
pub(super) fn arguments(binds: &[Bind]) -> Result<SqliteArguments> {
    let mut arguments = SqliteArguments::default();
    for bind in binds {
        let added = match &bind.value {
            CursorValue::Integer(value) => arguments.add(*value),
            CursorValue::Real(value) => arguments.add(*value),
            CursorValue::Text(text) => arguments.add(text.to_string()),
            CursorValue::Unsigned(_) | CursorValue::Timestamp(_) | CursorValue::Null => {
                return Err(Error::internal("a cursor value cannot be bound to a column of its kind"));
            }
        };
        added.map_err(|_| Error::internal("a cursor value cannot be encoded"))?;
    }
    Ok(arguments)
}
