//! The server's clock, as the exclusive upper bound of a page.

use std::time::Duration;

use super::super::calendar::MICROS_PER_DAY;
use super::super::statement::Doing;
use super::classify::classify;
use super::cursor::CursorDecoder;
use super::session::{Session, answered, bytes, text};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CursorKind, CursorValue, micros_of};

pub(super) async fn upper_bound(
    session: &mut Session,
    kind: CursorKind,
    delay: Duration,
) -> Result<CursorValue<'static>> {
    let (instant, wall) = now(session).await?;
    let (zone, settled) = (&session.zone.zone, instant.saturating_sub(micros_of(delay)));
    // The server's word counts, where its zone is not known by a name.
    let is_known = zone.instant_to_wall(instant) == wall;
    let wall = if is_known { zone.highest_wall_until(settled) } else { wall - (instant - settled) };
    bound(kind, settled, wall)
}

/// The clock: the instant, and the wall clock of the session's own zone.
///
/// # Errors
/// `Unreachable` if the server's zone is another one than when it was connected to: the session has to be made anew.
async fn now(session: &mut Session) -> Result<(i64, i64)> {
    const CLOCK: &str = "select utc_timestamp(6), convert_tz(utc_timestamp(6), '+00:00', ?), @@global.time_zone";
    session.tidy().await?;
    let call = sqlx::query(CLOCK).bind(session.zone.name.clone()).fetch_one(&mut session.connection);
    let row = answered(&session.vigil, Doing::Page, call).await?;
    let micros = |index: usize| -> Result<Option<i64>> {
        let Some(bytes) = bytes(&row, index).map_err(|error| classify(error, Doing::Page))? else {
            return Ok(None);
        };
        match CursorDecoder::DateTime.decode(bytes) {
            Ok(CursorValue::Timestamp(micros)) => Ok(Some(micros)),
            _ => Err(Error::internal("the server's clock cannot be read")),
        }
    };
    if let Some(now) = text(&row, 2)?.filter(|now| *now != session.zone.global) {
        let message = format!("the server's time zone was changed from {} to {now}", session.zone.global);
        return Err(Error::new(ErrorKind::Unreachable, message).advise("rowtide connects again by itself"));
    }
    match (micros(0)?, micros(1)?) {
        (Some(instant), Some(wall)) => Ok((instant, wall)),
        _ => Err(Error::config(format!("the server cannot convert times to its own zone {}", session.zone.name))
            .advise("load its time zone tables (mysql_tzinfo_to_sql)")),
    }
}

/// The clock as the exclusive bound of a column of this kind. A column without a zone is bound by the wall
/// clock of the server, as with Kafka Connect: it is what `now()` has written into it.
fn bound(kind: CursorKind, instant: i64, wall: i64) -> Result<CursorValue<'static>> {
    let cut = |micros: i64, unit: i64| CursorValue::Timestamp(micros.div_euclid(unit) * unit);
    match kind {
        CursorKind::Timestamp { zoned, digits } => {
            Ok(cut(if zoned { instant } else { wall }, 10_i64.pow(6 - u32::from(digits.min(6)))))
        }
        CursorKind::Date => Ok(cut(wall, MICROS_PER_DAY)),
        _ => Err(Error::internal("a cursor that is not a time has no upper bound")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_cut_down_to_what_the_column_holds() {
        let (instant, wall) = (1_579_100_400_123_456, 1_579_082_400_123_456);
        let micros = |zoned, digits| bound(CursorKind::Timestamp { zoned, digits }, instant, wall).unwrap();
        assert_eq!(micros(true, 6), CursorValue::Timestamp(instant));
        assert_eq!(micros(false, 0), CursorValue::Timestamp(1_579_082_400_000_000));
        assert_eq!(bound(CursorKind::Date, instant, wall).unwrap(), CursorValue::Timestamp(1_579_046_400_000_000));
        assert_eq!(bound(CursorKind::Integer, 0, 0).unwrap_err().kind(), ErrorKind::Internal);
    }
}
