//! Parameters: each in the type its column is compared in, so that an index serves the comparison.

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use sqlx::Arguments;
use sqlx::mysql::MySqlArguments;
use sqlx::query::Query;

use crate::error::{Error, Result};
use crate::model::{Bind, CursorKind, CursorValue};

/// The arguments of a statement.
pub(super) fn arguments(binds: &[Bind]) -> Result<MySqlArguments> {
    let mut arguments = MySqlArguments::default();
    for bind in binds {
        let added = match (&bind.value, bind.kind) {
            (CursorValue::Integer(value), _) => arguments.add(*value),
            (CursorValue::Unsigned(value), CursorKind::Unsigned) => arguments.add(*value),
            (CursorValue::Timestamp(micros), CursorKind::Date) => arguments.add(date_time(*micros).date()),
            (CursorValue::Timestamp(micros), CursorKind::Timestamp { .. }) => arguments.add(date_time(*micros)),
            (CursorValue::Text(text), CursorKind::Text) => arguments.add(text.as_ref()),
            _ => return Err(Error::internal("a cursor value cannot be bound to a column of its kind")),
        };
        added.map_err(|_| Error::internal("a cursor value cannot be encoded"))?;
    }
    Ok(arguments)
}

/// The nearest that the database can write: the years 0 to 9999.
fn date_time(micros: i64) -> NaiveDateTime {
    let lowest = NaiveDate::from_ymd_opt(0, 1, 1).unwrap_or_default().and_time(Default::default());
    let highest = NaiveDate::from_ymd_opt(10_000, 1, 1).unwrap_or_default().and_time(Default::default());
    let highest = highest - chrono::Duration::microseconds(1);
    match DateTime::from_timestamp_micros(micros) {
        Some(time) => time.naive_utc().clamp(lowest, highest),
        None if micros < 0 => lowest,
        None => highest,
    }
}

/// A statement with texts.
pub(super) fn texts<'q>(
    call: Query<'q, sqlx::MySql, MySqlArguments>,
    texts: &[impl AsRef<str>],
) -> Query<'q, sqlx::MySql, MySqlArguments> {
    texts.iter().fold(call, |call, text| call.bind(text.as_ref().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_value_is_bound_only_to_a_column_of_its_kind() {
        let bind = |value, kind| arguments(&[Bind { value, kind }]);
        assert!(bind(CursorValue::Timestamp(i64::MAX), CursorKind::Timestamp { zoned: false, digits: 6 }).is_ok());
        assert!(bind(CursorValue::Unsigned(u64::MAX), CursorKind::Unsigned).is_ok());
        let error = bind(CursorValue::Null, CursorKind::Integer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
    }

    #[test]
    fn times_beyond_the_calendar_become_its_ends() {
        assert_eq!(date_time(i64::MAX).to_string(), "9999-12-31 23:59:59.999999");
        assert_eq!(date_time(i64::MIN).to_string(), "0000-01-01 00:00:00");
        assert_eq!(date_time(0).to_string(), "1970-01-01 00:00:00");
    }
}
