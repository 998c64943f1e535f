//! The database's clock, as the exclusive upper bound of a page.

use std::time::Duration;

use sqlx::sqlite::SqliteArguments;

use super::super::statement::Doing;
use super::session::{Session, column};
use crate::error::{Error, Result};
use crate::model::{CursorKind, CursorValue, Instant, micros_of};
use crate::zone::Zone;

pub(super) async fn upper_bound(
    session: &mut Session,
    kind: CursorKind,
    delay: Duration,
) -> Result<CursorValue<'static>> {
    let settled = now(session).await?.saturating_sub(micros_of(delay));
    let shown = if kind.is_wall() { session.types.all.zone.highest_wall_until(settled) } else { settled };
    kind.from_instant(Instant::from_micros(shown), &Zone::UTC)
}

/// The instant in microseconds.
pub(super) async fn now(session: &mut Session) -> Result<i64> {
    let sql = "select strftime('%Y-%m-%d %H:%M:%f', 'now')";
    let rows = session.rows(sql, SqliteArguments::default(), Doing::Page).await?;
    let text: String = match rows.first() {
        Some(row) => column(row, 0)?,
        None => return Err(Error::internal("the database has no clock")),
    };
    let now = chrono::NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f")
        .map_err(|error| Error::internal("the database's clock cannot be read").caused_by(error))?;
    Ok(now.and_utc().timestamp_micros())
}
