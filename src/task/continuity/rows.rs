//! Questions to a table in doubt: by its key each row that was remembered, and whether there is one up to the position.
//! A few short statements; a row that cannot be decoded is there all the same.

use super::landmarks::Names;
use super::verdict::{Evidence, Found, Ids, Now};
use crate::dialect::{Flow, Row, RowSink, SourceConnection, StreamEnd, Undeliverable};
use crate::error::{Error, Result};
use crate::model::{CursorValue, Hash, Landmark, Sample};
use crate::task::older::is_configured;
use crate::task::polled::Polled;

/// Takes the rows of one key.
struct Rows<'a> {
    names: &'a Names,
    /// The time of the remembered row, where its key does without.
    time: Option<&'a CursorValue<'static>>,
    found: Vec<Now>,
}

impl RowSink for Rows<'_> {
    fn row(&mut self, row: Result<Row<'_>, Undeliverable<'_>>) -> Result<Flow> {
        let Ok(row) = row else {
            self.found.push(Now { is_unreadable: true, ..Now::default() });
            return Ok(Flow::Continue);
        };
        let values: Vec<u32> = row.values.iter().take(Sample::COLUMNS).map(Hash::of_value).collect();
        let is_later = match (self.time, row.cursor.first()) {
            (Some(before), Some(now)) => now.partial_cmp(before).is_some_and(std::cmp::Ordering::is_gt),
            _ => false,
        };
        self.found.push(Now { columns: self.names.columns(&values), is_later, is_unreadable: false });
        Ok(Flow::Continue)
    }
}

impl Polled {
    /// Gathers the evidence for the table that is there, and against it.
    pub(super) async fn evidence(&self, connection: &mut dyn SourceConnection) -> Result<Evidence> {
        let continuity = &self.continuity;
        let (Some(bound), Some(position)) = (&self.bound, &self.head.position) else {
            return Err(Error::internal("a table in doubt has a position"));
        };
        let planner = self.planner(bound);
        let mut evidence = Evidence {
            is_configured: is_configured(&self.spec.mode, planner, position, &self.spec.types.all.zone)?,
            ..Evidence::default()
        };
        if let (Some(known), Some(now)) = (&continuity.known, &continuity.found) {
            evidence.is_truncated = now.is_truncated_since(known);
            let reached = planner.handed_out(&bound.binding.definition, position).map(|(_, id)| id);
            let is_counted = planner.counted(&bound.binding.definition).is_some();
            evidence.ids = match (reached, now.last_id) {
                (Some(reached), Some(last)) if is_counted && last < reached && now.has_fewer_ids_than(known) => {
                    Ids::Restarted
                }
                _ if is_counted && now.counts_on_from(known) => Ids::GoOn,
                _ => Ids::Unknown,
            };
        }
        let names = Names::of(&bound.binding, planner);
        for landmark in continuity.landmarks.kept() {
            let now = self.find(connection, &names, landmark).await?;
            evidence.rows.push(Found { landmark: landmark.clone(), now });
        }
        evidence.has_rows_before = connection.probe(&planner.upto_probe(position)).await?.is_some();
        Ok(evidence)
    }

    /// The row that has the key of a remembered one; of several the one that is most like it.
    async fn find(
        &self,
        connection: &mut dyn SourceConnection,
        names: &Names,
        landmark: &Landmark,
    ) -> Result<Option<Now>> {
        let bound = self.bound()?;
        let planner = self.planner(&bound);
        if landmark.at.0.len() != planner.tuple_len() {
            // The cursor consists of other columns now.
            return Ok(None);
        }
        let query = planner.landmark(&landmark.at.0);
        let time = if planner.has_key_behind_time() { landmark.at.0.first() } else { None };
        let mut rows = Rows { names, time, found: Vec::new() };
        let mut stream = connection.fetch(&bound.binding.definition, &query).await?;
        while stream.next_rows(&mut rows).await? == StreamEnd::Paused {}
        let like = |now: &Now| landmark.columns.iter().filter(|column| now.columns.contains(column)).count();
        Ok(rows.found.into_iter().max_by_key(like))
    }
}
