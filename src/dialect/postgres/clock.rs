//! The database's clock, as the exclusive upper bound of a page.

use std::time::Duration;

use super::super::calendar::MICROS_PER_DAY;
use super::super::statement::Doing;
use super::cursor::cursor_of;
use super::session::{Session, answered};
use crate::error::{Error, Result};
use crate::model::{CursorKind, CursorValue, micros_of};
use crate::zone::Zone;

pub(super) async fn upper_bound(
    session: &mut Session,
    kind: CursorKind,
    delay: Duration,
) -> Result<CursorValue<'static>> {
    let settled = now(session).await?.saturating_sub(micros_of(delay));
    bound(kind, settled, &session.types.all.zone)
}

async fn now(session: &mut Session) -> Result<i64> {
    session.begin().await?;
    let call = sqlx::query("select clock_timestamp()").persistent(!session.pooled).fetch_one(&mut session.connection);
    let row = answered(&session.vigil, Doing::Page, call).await?;
    session.end().await?;
    match cursor_of(&row, CursorKind::Timestamp { zoned: true, digits: 6 })? {
        Some(CursorValue::Timestamp(micros)) => Ok(micros),
        _ => Err(Error::internal("the server has no clock")),
    }
}

/// An instant in microseconds as the exclusive bound of a column of this kind.
fn bound(kind: CursorKind, instant: i64, zone: &Zone) -> Result<CursorValue<'static>> {
    let cut = |micros: i64, unit: i64| micros.div_euclid(unit) * unit;
    match kind {
        CursorKind::Timestamp { zoned, digits } => {
            let micros = if zoned { instant } else { zone.highest_wall_until(instant) };
            Ok(CursorValue::Timestamp(cut(micros, 10_i64.pow(6 - u32::from(digits.min(6))))))
        }
        CursorKind::Date => {
            let wall = zone.highest_wall_until(instant);
            Ok(CursorValue::Timestamp(cut(wall, MICROS_PER_DAY)))
        }
        _ => Err(Error::internal("a cursor that is not a time has no upper bound")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn bounds_are_cut_down_to_what_the_column_holds() {
        let zone = "America/New_York".parse().unwrap();
        let now = 1_579_100_400_123_456;
        let micros = |zoned, digits| bound(CursorKind::Timestamp { zoned, digits }, now, &zone).unwrap();
        assert_eq!(micros(true, 6), CursorValue::Timestamp(1_579_100_400_123_456));
        assert_eq!(micros(true, 3), CursorValue::Timestamp(1_579_100_400_123_000));
        assert_eq!(micros(false, 0), CursorValue::Timestamp(1_579_082_400_000_000));
        assert_eq!(bound(CursorKind::Date, now, &zone).unwrap(), CursorValue::Timestamp(1_579_046_400_000_000));
        assert_eq!(bound(CursorKind::Integer, now, &zone).unwrap_err().kind(), ErrorKind::Internal);
    }
}
