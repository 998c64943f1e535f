//! The headers about the source of a record (`headers.include`), the same for all records of one poll.

use std::sync::Arc;

use super::Parts;
use super::polled::{Bound, Polled};
use crate::config::spec::SourceHeader;
use crate::model::{Header, Instant, Relation};
use crate::status::now_millis;

impl Polled {
    /// The headers of every record of one poll: those of the transforms, then those about the source.
    pub(super) fn poll_headers(&self, parts: &Parts, bound: &Bound) -> Arc<[Header]> {
        let of_transforms = bound.encoder.common_headers();
        if self.spec.source_headers.is_empty() {
            return of_transforms;
        }
        let table = match &self.spec.relation {
            Relation::Table(id) => Some(id),
            Relation::Query(_) => None,
        };
        let value = |header: &SourceHeader| match header {
            SourceHeader::Database => table.and_then(|id| id.catalog.clone()).or_else(|| self.spec.database.clone()),
            SourceHeader::Schema => table.and_then(|id| id.schema.clone()),
            SourceHeader::Table => table.map(|id| id.name.clone()),
            SourceHeader::Mode => Some(bound.binding.planner.mode().as_str().to_owned()),
            SourceHeader::Guard => Some(self.guard.level().to_owned()).filter(|level| !level.is_empty()),
            SourceHeader::Poll => Some(Instant::from_millis(now_millis()).to_rfc3339()),
            SourceHeader::Server => parts.server.met().map(|server| server.identity),
        };
        let named = |header: &SourceHeader| {
            let name = SourceHeader::ALL.iter().find(|(known, ..)| known == header).map(|(.., name)| *name);
            Some(Header::text(name?, value(header)?))
        };
        of_transforms.iter().cloned().chain(self.spec.source_headers.iter().filter_map(named)).collect()
    }
}
