//! A position that an operator gives for a table: can the table's mode go on from it? Pure.

use crate::config::spec::ModeName;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Backfill, CursorValue, Instant, Position, SourceOffset};

/// The years that databases and RFC 3339 know, in milliseconds.
const YEARS: std::ops::Range<i64> = -62_135_596_800_000..253_402_300_800_000;
/// The texts of [`timestamp`], in words.
pub const TIMESTAMP: &str = "RFC 3339, such as 2024-02-29T12:00:00Z, or milliseconds since the epoch";

/// The instant in a text; none if it is none.
pub fn timestamp(text: &str) -> Option<Instant> {
    if let Ok(millis) = text.parse::<i64>() {
        return of_millis(millis);
    }
    let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(Instant { seconds: time.timestamp(), nanos: time.timestamp_subsec_nanos() })
}

/// The same of milliseconds since the epoch, of which those of the years 1 to 9999 are instants.
pub fn of_millis(millis: i64) -> Option<Instant> {
    YEARS.contains(&millis).then(|| Instant::from_millis(millis))
}

/// Checks that a table of this mode, whose offset is `before`, looks at what is given. One that it never looks at would be
/// a trap.
///
/// # Errors
/// `Config` with what is wrong.
pub fn fits(mode: ModeName, before: Option<&SourceOffset>, timestamp: bool, incrementing: bool) -> Result<()> {
    if !timestamp && !incrementing {
        return Err(Error::config("nothing to set").advise("give a timestamp, an incrementing id, or both"));
    }
    let (reads_timestamp, reads_incrementing) = match mode {
        ModeName::Bulk => return Err(Error::config("mode=bulk has no offsets").advise("each pass reads everything")),
        ModeName::Incrementing => (false, true),
        ModeName::Timestamp => (true, false),
        ModeName::TimestampIncrementing => (true, true),
    };
    match (timestamp && !reads_timestamp, incrementing && !reads_incrementing) {
        (true, _) => return Err(Error::config("mode=incrementing has no timestamp").advise("leave the timestamp out")),
        (_, true) => return Err(Error::config("mode=timestamp has no id").advise("leave the id out")),
        _ => {}
    }
    if incrementing && before.is_some_and(|before| has_text_id(mode, before)) {
        let message = "the ids of this table are no numbers, so a number cannot name one";
        return Err(Error::config(message).advise("a reset of the offset reads the table from the beginning"));
    }
    if !timestamp && mode != ModeName::Incrementing && before.and_then(|before| before.timestamp).is_none() {
        let message = "the position is a timestamp first, and none is stored: an id alone would read everything";
        return Err(Error::config(message).advise("give --timestamp too, by REST `timestamp`"));
    }
    Ok(())
}

/// The progress of a backfill that begins at the offset of a table of this mode.
///
/// # Errors
/// `Config` for a mode that needs none; `Refused` without an offset.
pub fn backfilled(mode: ModeName, offset: Option<&SourceOffset>, request: &Backfill) -> Result<SourceOffset> {
    if mode == ModeName::Bulk {
        return Err(Error::config("mode=bulk reads every row at each pass").advise("no backfill is needed"));
    }
    let not_read = || {
        Error::new(ErrorKind::Refused, "the table is not read to any position yet")
            .advise("its first load reads all rows; ask for a backfill when it has ended")
    };
    Ok(offset.ok_or_else(not_read)?.backfilled(request))
}

/// The offset of a table that is moved; what is not given keeps its value.
///
/// # Errors
/// Those of [`fits`].
pub fn moved(
    mode: ModeName,
    before: Option<&SourceOffset>,
    timestamp: Option<Instant>,
    incrementing: Option<i64>,
) -> Result<SourceOffset> {
    fits(mode, before, timestamp.is_some(), incrementing.is_some())?;
    Ok(SourceOffset {
        incrementing: incrementing.or(before.and_then(|before| before.incrementing)),
        timestamp: timestamp.or(before.and_then(|before| before.timestamp)),
        has_nanos: true,
        ..SourceOffset::default()
    })
}

/// True if the stored position has an id that is no number. A number too great for Connect's field is one.
fn has_text_id(mode: ModeName, offset: &SourceOffset) -> bool {
    let place = usize::from(mode == ModeName::TimestampIncrementing);
    let exact = offset.exact.as_deref().and_then(|exact| Position::from_text(exact).ok());
    match exact.as_ref().and_then(|position| position.0.get(place)) {
        Some(CursorValue::Text(id)) => !id.bytes().all(|byte| byte.is_ascii_digit() || b"-.".contains(&byte)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_keeps_its_value_and_what_the_mode_never_reads_is_refused() {
        let time = Instant::from_millis(1_000);
        let before = SourceOffset { incrementing: Some(7), timestamp: Some(time), ..SourceOffset::default() };
        let of = |mode, before, timestamp, id| moved(mode, before, timestamp, id).map_err(|error| error.to_string());
        use ModeName::{Bulk, Incrementing, Timestamp, TimestampIncrementing};
        let after = of(TimestampIncrementing, Some(&before), None, Some(3)).unwrap();
        assert_eq!((after.incrementing, after.timestamp, after.has_nanos), (Some(3), Some(time), true));
        assert_eq!(of(Incrementing, None, None, Some(3)).unwrap().incrementing, Some(3));
        for (mode, timestamp, id, says) in [
            (Bulk, None, Some(1), "no offsets"),
            (Incrementing, Some(time), Some(1), "no timestamp"),
            (Timestamp, Some(time), Some(1), "no id"),
            (TimestampIncrementing, None, Some(1), "none is stored"),
            (Incrementing, None, None, "nothing to set"),
        ] {
            let error = of(mode, None, timestamp, id).unwrap_err();
            assert!(error.contains(says), "{mode:?}: {error}");
        }
    }
}
