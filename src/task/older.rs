//! Detection of an older copy of the database that was read: a backup restored in place keeps its identity, but its
//! tables end before the stored position, and the rows written since would be passed over. Looked at once a run,
//! because rows may be deleted while it lasts; and again when a table was not there for a while, because what has its
//! name now may be another one, whose ids begin anew.

use super::Parts;
use super::binding::Binding;
use super::polled::Polled;
use crate::config::spec::{TableMode, TimestampInitial};
use crate::dialect::SourceConnection;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CursorValue, Instant, Position, Relation, SourceOffset};
use crate::plan::Planner;
use crate::zone::Zone;

/// The age of the table by its stored position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// A position with nothing against it, or one that was accepted before.
    Fine,
    /// A position beyond the table, with which the operator goes on all the same.
    Accepted,
}

impl Polled {
    /// Compares a stored position with the table.
    ///
    /// # Errors
    /// `ForeignServer` if the table ends before it; those of the connection.
    pub(super) async fn age_of(
        &self,
        parts: &Parts,
        connection: &mut dyn SourceConnection,
        binding: &Binding,
        stored: &SourceOffset,
        position: Option<&Position>,
    ) -> Result<Age> {
        let Some(position) = position else { return Ok(Age::Fine) };
        // The rows of a query come and go by its own conditions, and a standby that lags catches up.
        let is_query = matches!(self.spec.relation, Relation::Query(_));
        let vanished = parts.server.has_vanished(&self.spec.partition);
        let is_settled = stored.accepted || parts.server.is_compared(&self.spec.partition);
        if is_query || connection.is_replica() || (is_settled && !vanished) {
            return Ok(Age::Fine);
        }
        match self.doubt(connection, binding, position, vanished).await? {
            None => {
                parts.server.compared(&self.spec.partition);
                Ok(Age::Fine)
            }
            Some(doubt) if parts.server.accepts() => {
                tracing::warn!(table = %self.name, "{doubt}; accepted with --accept-server");
                Ok(Age::Accepted)
            }
            Some(doubt) => Err(match connection.identity() {
                Some(identity) => doubt.with("server", identity),
                None => doubt,
            }),
        }
    }

    async fn doubt(
        &self,
        connection: &mut dyn SourceConnection,
        binding: &Binding,
        position: &Position,
        vanished: bool,
    ) -> Result<Option<Error>> {
        let (planner, zone) = (&binding.planner, &self.spec.types.all.zone);
        let Some(probe) = planner.extreme_probe() else { return Ok(None) };
        let greatest = match connection.probe(&probe).await {
            // It is a date that is none, which tells nothing; a page comes to its row and says so.
            Err(error) if error.kind() == ErrorKind::Cursor => return Ok(None),
            greatest => greatest?.filter(|greatest| *greatest != CursorValue::Null),
        };
        if is_configured(&self.spec.mode, planner, position, zone)? {
            return Ok(None);
        }
        let is_beyond = match &greatest {
            Some(greatest) => planner.is_beyond(position, greatest),
            // All rows of a table may have been deleted, but a new table has never had any.
            None => vanished,
        };
        if !is_beyond {
            return Ok(None);
        }
        let handed_out = planner.handed_out(&binding.definition, position);
        let last_id = match handed_out {
            Some((column, _)) => connection.last_id(&self.spec.relation, column).await?,
            None => None,
        };
        if let (Some((_, id)), Some(last)) = (handed_out, last_id)
            && last >= id
        {
            tracing::info!(table = %self.name, "the last rows that were read have been deleted");
            return Ok(None);
        }
        let shown = |value: &CursorValue<'_>| planner.shown(value, zone);
        let position = shown(position.0.first().unwrap_or(&CursorValue::Null))?;
        let maximum = greatest.as_ref().map_or(Ok("none, it is empty".to_owned()), shown)?;
        let (kind, what) = match (vanished, last_id) {
            (true, _) => (ErrorKind::Cursor, ANEW),
            (false, Some(_)) => (ErrorKind::ForeignServer, OLDER),
            (false, None) => (ErrorKind::ForeignServer, DELETED_OR_OLDER),
        };
        let error =
            Error::new(kind, what).with("table", &self.name).with("position", position).with("maximum", maximum);
        if vanished {
            return Ok(Some(error.advise(ANEW_ADVICE)));
        }
        Ok(Some(match (last_id, handed_out) {
            (Some(last), _) => error.with("last id", last).advise(ADVICE),
            (None, Some((column, _))) => error.advise(format!(
                "{ADVICE}; rowtide tells the two apart by itself where it may see the last id of `{column}` \
                 (PostgreSQL: select on its sequence)"
            )),
            (None, None) => error.advise(ADVICE),
        }))
    }
}

const ANEW: &str = "the table was gone, and the one of its name now ends before the position that was read";

const ANEW_ADVICE: &str = "`rowtide offsets reset CONNECTOR --table TABLE` reads it from the beginning; \
     `rowtide run CONNECTOR --accept-server` goes on at the position";

const OLDER: &str = "foreign server: the stored position lies beyond the table and beyond every id it has handed out: \
     this is an older copy";

const DELETED_OR_OLDER: &str = "foreign server: the stored position lies beyond the table: either rows were deleted, \
     or the server was restored from a backup";

const ADVICE: &str = "to go on at the stored position use `rowtide run CONNECTOR --accept-server`; to deliver the rows \
                      written since a backup move it back with `rowtide offsets set`";

/// A position that was configured, not read from a row, may lie beyond every row: `timestamp.initial` (of
/// "now" only the form is known), `incrementing.initial`.
pub(super) fn is_configured(mode: &TableMode, planner: &Planner, position: &Position, zone: &Zone) -> Result<bool> {
    let time = match (planner.time_kind(), mode.timestamp_initial) {
        (Some(kind), Some(TimestampInitial::Millis(millis))) => {
            Some(kind.from_instant(Instant::from_millis(millis), zone)?)
        }
        (Some(_), Some(TimestampInitial::Now)) => position.0.first().cloned(),
        _ => None,
    };
    Ok(planner.initial_position(time, mode.incrementing_initial)?.as_ref() == Some(position))
}
