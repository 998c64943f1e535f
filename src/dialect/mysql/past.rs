//! TiDB as of a time. A time of the cluster is whole milliseconds and a counter; a read as of its first moment has all
//! that was committed until then. A row may still get an earlier time of commit than one that was read as of, if it is
//! written to a range of keys that nobody has read as of that time: ranges that were read stay, others may grow.

use std::time::Duration;

use chrono::DateTime;

use super::session::{Session, text};
use crate::error::{Error, Result};
use crate::model::{Micros, PastView, micros_of};

/// A commit in one phase, or with the second one in the background, is visible a moment after its time: a read as of
/// now may be ahead of it, in one observed case by some 10 ms. (So it is with unistore. Storage that keeps the time of
/// the last read of each range, as TiKV does, gives such a commit a later time.)
const SETTLED: Duration = Duration::from_millis(500);
/// The time before the end of history within which it is taken for forgotten: reading takes a moment.
const MARGIN: Micros = 10_000_000;

pub(super) async fn begin(session: &mut Session, as_of: Option<Micros>) -> Result<PastView> {
    session.notes.open_transaction |= session.notes.past.take().is_some();
    let clock = "begin; select (@@tidb_current_ts >> 18) * 1000, @@global.tidb_gc_life_time; commit";
    let rows = session.in_transaction(clock).await?;
    let row = rows.first().ok_or_else(unreadable)?;
    let now: Micros = text(row, 0)?.and_then(|micros| micros.parse().ok()).ok_or_else(unreadable)?;
    let kept = text(row, 1)?.and_then(duration).ok_or_else(unreadable)?;
    let as_of = as_of.unwrap_or(now - micros_of(SETTLED));
    let horizon = (now - kept + MARGIN).max(session.notes.forgotten);
    if as_of < horizon {
        return Ok(PastView { as_of, horizon, settled_after: SETTLED });
    }
    let time = DateTime::from_timestamp_micros(as_of).ok_or_else(unreadable)?;
    let sql = format!("start transaction read only as of timestamp '{}'", time.format("%Y-%m-%d %H:%M:%S%.3f"));
    // The time is read in the session's zone.
    session.set_zone(true).await?;
    session.notes.past = Some(as_of);
    match session.run(&sql).await.map_err(|error| session.noted(error)) {
        Err(_) if as_of < session.notes.forgotten => {
            session.notes.past = None;
            Ok(PastView { as_of, horizon: session.notes.forgotten, settled_after: SETTLED })
        }
        begun => begun.map(|()| PastView { as_of, horizon, settled_after: SETTLED }),
    }
}

pub(super) async fn end(session: &mut Session) -> Result<()> {
    if session.notes.past.take().is_some() {
        session.run("commit").await?;
    }
    Ok(())
}

/// Microseconds of a duration as Go writes it: `10m0s`, `72h0m0s`.
fn duration(text: &str) -> Option<Micros> {
    let mut total = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let unit_at = rest.find(|character: char| !character.is_ascii_digit())?;
        let (digits, behind) = rest.split_at(unit_at);
        let unit_end = behind.find(|character: char| character.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit_end);
        let seconds = match unit {
            "h" => 3_600,
            "m" => 60,
            "s" => 1,
            _ => return None,
        };
        total += digits.parse::<Micros>().ok()?.checked_mul(seconds * 1_000_000)?;
        rest = behind;
    }
    Some(total)
}

fn unreadable() -> Error {
    Error::internal("the time of the cluster is shown in another form than expected")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_the_server_writes_them() {
        assert_eq!(duration("10m0s"), Some(600_000_000));
        assert_eq!(duration("72h0m0s"), Some(259_200_000_000));
        assert_eq!(duration("1h30m5s"), Some(5_405_000_000));
        assert_eq!(duration("10"), None);
        assert_eq!(duration("1d"), None);
    }
}
