//! Conversion between a position (exact, in the columns' own types) and a stored offset (Kafka Connect's terms: an id,
//! and an instant in milliseconds plus nanoseconds). The offset's own fields are written as Connect would; the exact
//! position is added only where they cannot say it (`offsets-topic.md`, 3 and 4).

use std::cmp::Ordering;

use super::identity::{is_beyond_numbers, not_a_number};
use super::{CursorRole, Planner, TupleColumn};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CursorKind, CursorValue, Instant, Mode, Position, SourceOffset, TableDefinition};
use crate::zone::{Overlap, Zone};

impl Planner {
    /// The position of a stored offset; none: the very beginning.
    ///
    /// # Errors
    /// `Offsets` if the exact position cannot be read, or the offset has a number for an id that is none.
    pub fn position_of(&self, offset: &SourceOffset, zone: &Zone) -> Result<Option<Position>> {
        if let Some(exact) = self.exact_position(offset, zone)? {
            return Ok(Some(exact));
        }
        let time = |instant: Instant| -> Result<CursorValue<'static>> {
            let kind = self.time_kind().ok_or_else(|| Error::internal("a mode with a timestamp plans one"))?;
            kind.from_instant(self.instant_by_connect_clock(instant, zone), zone)
        };
        Ok(match (&self.mode, offset.timestamp, offset.incrementing) {
            (Mode::Bulk, _, _) => None,
            (Mode::Incrementing { .. }, _, Some(id)) => Some(Position(vec![self.id_value(id)?])),
            (Mode::Incrementing { .. }, _, None) => None,
            (Mode::Timestamp { .. }, Some(instant), _) => Some(Position(vec![time(instant)?])),
            (Mode::TimestampIncrementing { .. }, Some(instant), Some(id)) => {
                Some(Position(vec![time(instant)?, self.id_value(id)?]))
            }
            // An offset of `timestamp` mode: Connect binds id -1 beside it, so rows of that time are read again.
            (Mode::TimestampIncrementing { .. }, Some(instant), None) => {
                self.initial_position(Some(time(instant)?), None)?
            }
            // Without a timestamp Connect starts over, whatever the id (`querying.md`, 3.9).
            (Mode::Timestamp { .. } | Mode::TimestampIncrementing { .. }, None, _) => None,
        })
    }

    /// The offset to store once every row up to `position` is committed. `settled` are the first values of the last rows
    /// all of whose like are among them, as many as Kafka Connect's fields tell ([`Planner::told_len`]), if the batch saw
    /// one; `before` the offset stored so far. Both matter only where the position lies within rows that share those
    /// values, because there Connect's fields must not run ahead (4.2).
    ///
    /// # Errors
    /// `Value` if the timestamp cannot be read as a time; `Cursor` if the id is NaN or infinite.
    pub fn offset_of(
        &self,
        position: &Position,
        settled: Option<&[CursorValue<'_>]>,
        before: Option<&SourceOffset>,
        zone: &Zone,
    ) -> Result<SourceOffset> {
        let instant = |value: &CursorValue<'_>| -> Result<Instant> {
            let kind = self.time_kind().ok_or_else(|| Error::internal("a mode with a timestamp plans one"))?;
            Ok(self.to_connect_clock(kind.to_instant(value, zone)?, zone))
        };
        if let (Mode::Incrementing { column }, Some(CursorValue::Text(id))) = (&self.mode, position.0.first())
            && self.text_id().is_none()
            && is_beyond_numbers(id)
        {
            return Err(not_a_number(column));
        }
        let told = if position.0.len() <= self.told_len() { Some(position.0.as_slice()) } else { settled };
        let mut offset = SourceOffset { has_nanos: true, ..SourceOffset::default() };
        match (&self.mode, told) {
            (Mode::Bulk, _) => return Err(Error::internal("bulk mode has no offset")),
            (Mode::Incrementing { .. }, Some([id, ..])) => offset.incrementing = self.id_of(id),
            (Mode::Timestamp { .. }, Some([time, ..])) => offset.timestamp = Some(instant(time)?),
            (Mode::TimestampIncrementing { .. }, Some([time, id, ..])) => {
                offset.timestamp = Some(instant(time)?);
                offset.incrementing = self.id_of(id);
            }
            (_, Some(_)) => return Err(Error::internal("a position is too short")),
            (_, None) => {
                offset.timestamp = before.and_then(|before| before.timestamp);
                offset.incrementing = before.and_then(|before| before.incrementing);
            }
        }
        offset.has_nanos = offset.timestamp.is_some();
        if self.position_of(&offset, zone)?.as_ref() != Some(position) {
            offset.exact = Some(position.to_text());
        }
        Ok(offset)
    }

    /// The first position of a relation without a stored offset: after a time, after an id; none: the beginning.
    ///
    /// # Errors
    /// `Offsets` if an id is given where ids are no numbers.
    pub fn initial_position(&self, time: Option<CursorValue<'static>>, id: Option<i64>) -> Result<Option<Position>> {
        Ok(match (&self.mode, time, id) {
            (Mode::Incrementing { .. }, _, Some(id)) => Some(Position(vec![self.id_value(id)?])),
            (Mode::Timestamp { .. }, Some(time), _) => Some(Position(vec![time])),
            // Connect binds id -1 beside the time, so rows of exactly that time are still read (2 and 3.8).
            (Mode::TimestampIncrementing { .. }, Some(time), None) if self.text_id().is_some() => {
                let least = self.id().map_or("", TupleColumn::least_text);
                Some(Position(vec![time, CursorValue::Text(least.into())]))
            }
            (Mode::TimestampIncrementing { .. }, Some(time), id) => {
                Some(Position(vec![time, self.id_value(id.unwrap_or(-1))?]))
            }
            _ => None,
        })
    }

    /// True if a position lies beyond the relation's greatest value ([`Planner::extreme_probe`]).
    pub fn is_beyond(&self, position: &Position, greatest: &CursorValue<'_>) -> bool {
        let (Some(column), Some(first)) = (self.tuple.first(), position.0.first()) else { return false };
        match (column.kind, number_of(first), number_of(greatest)) {
            (CursorKind::Integer | CursorKind::Unsigned | CursorKind::Text, Some(first), Some(greatest))
                if column.is_number() =>
            {
                first > greatest
            }
            // Text has the order of its collation, which is the database's.
            (CursorKind::Integer | CursorKind::Unsigned | CursorKind::Text, _, _) => false,
            _ => first.partial_cmp(greatest) == Some(Ordering::Greater),
        }
    }

    /// The first value of a position or of a row, fit to be shown.
    ///
    /// # Errors
    /// `Value` if a timestamp cannot be read as a time.
    pub fn shown(&self, value: &CursorValue<'_>, zone: &Zone) -> Result<String> {
        match (self.time_kind(), number_of(value)) {
            (Some(kind), _) => kind.to_instant(value, zone).map(Instant::to_rfc3339),
            (None, Some(number)) => Ok(number.to_string()),
            (None, None) => Ok("unknown".to_owned()),
        }
    }

    /// The column whose ids the database itself hands out, and the position's value of it.
    pub fn handed_out<'a>(&'a self, definition: &TableDefinition, position: &Position) -> Option<(&'a str, i64)> {
        self.tuple.iter().zip(&position.0).find_map(|(column, value)| {
            let [name] = column.names.as_slice() else { return None };
            let index = definition.column_index(name)?;
            let counts = definition.columns[index].auto_increment && column.role != CursorRole::Timestamp;
            self.id_of(value).filter(|_| counts).map(|id| (name.as_str(), id))
        })
    }

    /// The stored exact position, if it fits the cursor of today and does not contradict Connect's fields
    /// (somebody may have edited those).
    fn exact_position(&self, offset: &SourceOffset, zone: &Zone) -> Result<Option<Position>> {
        let Some(text) = &offset.exact else { return Ok(None) };
        let mut position = Position::from_text(text)?;
        if self.unique_by().is_some() && position.0.len() > self.tuple.len() {
            // The position is of a time when rows could share these values, which no two do now: all of them have been
            // read.
            position.0.truncate(self.tuple.len());
        }
        if !self.fits(&position) || !self.agrees(&position, offset, zone)? {
            return Ok(None);
        }
        Ok(Some(position))
    }

    /// True if a position can be one in the order of the tuple.
    pub(super) fn fits(&self, position: &Position) -> bool {
        position.0.len() <= self.tuple.len()
            && position.0.iter().zip(&self.tuple).all(|(value, column)| fits(value, column.kind))
    }

    /// True if an exact position does not contradict Connect's fields of its offset. Inside of rows that share their
    /// values those stand at the last that were read whole, so they may lie behind, never ahead.
    fn agrees(&self, position: &Position, offset: &SourceOffset, zone: &Zone) -> Result<bool> {
        let time = match (self.time_kind(), position.0.first()) {
            (Some(kind), Some(value)) => Some(self.to_connect_clock(kind.to_instant(value, zone)?, zone)),
            _ => None,
        };
        let goes_on_inside = position.0.len() > self.told_len();
        Ok(match (&self.mode, goes_on_inside) {
            (Mode::Bulk, _) => false,
            (Mode::Incrementing { .. }, false) => {
                position.0.first().and_then(|id| self.id_of(id)) == offset.incrementing
            }
            (Mode::Incrementing { .. }, true) => {
                position.0.first().and_then(number_of) >= offset.incrementing.map(i128::from)
            }
            (Mode::TimestampIncrementing { .. }, false) => {
                time == offset.timestamp && position.0.get(1).and_then(|id| self.id_of(id)) == offset.incrementing
            }
            (Mode::TimestampIncrementing { .. }, true) => {
                let id = position.0.get(1).and_then(number_of);
                time > offset.timestamp || time == offset.timestamp && id >= offset.incrementing.map(i128::from)
            }
            (Mode::Timestamp { .. }, _) => time >= offset.timestamp,
        })
    }

    /// An instant as Kafka Connect stores it.
    pub fn to_connect_clock(&self, instant: Instant, zone: &Zone) -> Instant {
        let session = self.tuple.first().and_then(|column| column.seen_in);
        session.map_or(instant, |session| moved(instant, |micros| shifted(micros, &session, zone)))
    }

    /// The instant that Kafka Connect means by a stored one.
    fn instant_by_connect_clock(&self, stored: Instant, zone: &Zone) -> Instant {
        let session = self.tuple.first().and_then(|column| column.seen_in);
        session.map_or(stored, |session| moved(stored, |micros| shifted_back(micros, &session, zone)))
    }

    /// The id of Connect's field as the column's own value.
    fn id_value(&self, id: i64) -> Result<CursorValue<'static>> {
        if let Some((column, database_type)) = self.text_id() {
            let message = format!("the position is the number {id}, but column `{column}` is of type {database_type}");
            return Err(Error::new(ErrorKind::Offsets, message).advise(
                "reset the table's offset with `rowtide offsets reset`, or name the column it was stored for",
            ));
        }
        Ok(match self.id().map(|column| column.kind) {
            Some(CursorKind::Text) => CursorValue::Text(id.to_string().into()),
            _ => CursorValue::Integer(id),
        })
    }

    /// An id as Connect's field can hold it: whole numbers of 63 bits. A text is no number, whatever it looks like
    /// (`0010` is not `10`).
    fn id_of(&self, value: &CursorValue<'_>) -> Option<i64> {
        match value {
            CursorValue::Integer(id) => Some(*id),
            CursorValue::Text(text) if self.text_id().is_none() => text.parse().ok(),
            CursorValue::Text(_)
            | CursorValue::Unsigned(_)
            | CursorValue::Timestamp(_)
            | CursorValue::Real(_)
            | CursorValue::Null => None,
        }
    }
}

/// An instant with other microseconds.
fn moved(instant: Instant, by: impl Fn(i64) -> i64) -> Instant {
    let moved = Instant::from_micros(by(instant.micros()));
    Instant { nanos: moved.nanos + instant.nanos % 1_000, ..moved }
}

/// The time that Kafka Connect stores of an instant: its wall clock in the session's zone, taken for one in `db.timezone`.
///
/// Connect goes on after the wall clock of the stored instant, which the server takes for the first of two where it
/// comes twice in the session's zone: rows come again. A wall clock that `db.timezone` skips would be stored as one
/// after the gap, and Connect would leave the rows between out: it is stored as one before it, and they come again.
fn shifted(instant: i64, session: &Zone, zone: &Zone) -> i64 {
    let wall = session.instant_to_wall(instant);
    let stored = zone.wall_to_instant(wall);
    stored.saturating_sub(zone.instant_to_wall(stored).saturating_sub(wall).max(0))
}

/// The instant that Kafka Connect has stored so. Where there are several it is the first of them, so that rows of an
/// hour come again and none is left out: those whose wall clock comes twice in the session's zone, and the two wall
/// clocks of which `db.timezone` has one, because it skips the other.
fn shifted_back(stored: i64, session: &Zone, zone: &Zone) -> i64 {
    const DAY: i64 = 86_400_000_000;
    let wall = zone.instant_to_wall(stored);
    let before = stored.saturating_sub(DAY);
    let skipped = zone.instant_to_wall(before).saturating_add(stored.saturating_sub(before));
    let is_skipped = skipped < wall && zone.wall_to_instant(skipped) == stored;
    let wall = if is_skipped { skipped } else { wall };
    session.wall_to_instant_by(wall, Overlap::Earlier).unwrap_or(wall)
}

fn number_of(value: &CursorValue<'_>) -> Option<i128> {
    match value {
        CursorValue::Integer(id) => Some(i128::from(*id)),
        CursorValue::Unsigned(id) => Some(i128::from(*id)),
        CursorValue::Text(text) => text.parse().ok(),
        CursorValue::Timestamp(_) | CursorValue::Real(_) | CursorValue::Null => None,
    }
}

fn fits(value: &CursorValue<'_>, kind: CursorKind) -> bool {
    matches!(
        (value, kind),
        (CursorValue::Integer(_), CursorKind::Integer | CursorKind::Unsigned | CursorKind::Epoch { .. })
            | (CursorValue::Unsigned(_), CursorKind::Unsigned)
            | (CursorValue::Timestamp(_), CursorKind::Timestamp { .. } | CursorKind::Date)
            | (CursorValue::Real(_), CursorKind::JulianDay)
            | (CursorValue::Text(_), CursorKind::Text | CursorKind::TextTimestamp(_))
    )
}
