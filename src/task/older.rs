//! Whether the database is an older copy of the one that was read: a backup restored in place keeps its
//! identity, but its tables end before the stored position, and the rows written since would be passed over.
//! Looked at once a run, because rows may be deleted while it lasts.

use super::Parts;
use super::binding::Binding;
use super::relation::Polled;
use crate::config::spec::{ModeSpec, TimestampInitial};
use crate::dialect::SourceConnection;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CursorValue, Instant, Position, Relation, SourceOffset};
use crate::plan::Planner;
use crate::zone::Zone;

/// What a stored position says of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// Nothing speaks against it, or it was accepted before.
    Fine,
    /// It lies beyond the table, and the operator goes on all the same.
    Accepted,
}

impl Polled {
    /// Holds a stored position against the table.
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
        let is_query = matches!(self.relation, Relation::Query(_));
        if is_query || stored.accepted || connection.is_replica() || parts.server.is_compared(&self.partition) {
            return Ok(Age::Fine);
        }
        match self.doubt(parts, connection, binding, position).await? {
            None => {
                parts.server.compared(&self.partition);
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
        parts: &Parts,
        connection: &mut dyn SourceConnection,
        binding: &Binding,
        position: &Position,
    ) -> Result<Option<Error>> {
        let (planner, zone) = (&binding.planner, &parts.spec.source.types.all.zone);
        let Some(probe) = planner.extreme_probe(false) else { return Ok(None) };
        let Some(greatest) = connection.probe(&probe).await? else { return Ok(None) };
        if greatest == CursorValue::Null
            || !planner.is_beyond(position, &greatest)
            || is_configured(&parts.spec.mode, planner, position, zone)?
        {
            return Ok(None);
        }
        let handed_out = planner.handed_out(&binding.definition, position);
        let last_id = match handed_out {
            Some((column, _)) => connection.last_id(&self.relation, column).await?,
            None => None,
        };
        if let (Some((_, id)), Some(last)) = (handed_out, last_id)
            && last >= id
        {
            tracing::info!(table = %self.name, "the last rows that were read have been deleted");
            return Ok(None);
        }
        let first = position.0.first().unwrap_or(&CursorValue::Null);
        let error = Error::new(ErrorKind::ForeignServer, if last_id.is_some() { OLDER } else { DELETED_OR_OLDER })
            .with("table", &self.name)
            .with("position", planner.shown(first, zone)?)
            .with("maximum", planner.shown(&greatest, zone)?);
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

const OLDER: &str = "foreign server: the stored position lies beyond the table and beyond every id it has handed out: \
     this is an older copy";

const DELETED_OR_OLDER: &str = "foreign server: the stored position lies beyond the table: either rows were deleted, \
     or the server was restored from a backup";

const ADVICE: &str = "to go on at the stored position use `rowtide run CONNECTOR --accept-server`; \
     to deliver what was written since a backup move it back with `rowtide offsets set`";

/// A position that was configured, not read from a row, may lie beyond every row: `timestamp.initial` (of
/// "now" only the form is known), `incrementing.initial`.
fn is_configured(mode: &ModeSpec, planner: &Planner, position: &Position, zone: &Zone) -> Result<bool> {
    let time = match (planner.time_kind(), mode.timestamp_initial) {
        (Some(kind), Some(TimestampInitial::Millis(millis))) => {
            Some(kind.from_instant(Instant::from_millis(millis), zone)?)
        }
        (Some(_), Some(TimestampInitial::Now)) => position.0.first().cloned(),
        _ => None,
    };
    Ok(planner.initial_position(time, mode.incrementing_initial)?.as_ref() == Some(position))
}
