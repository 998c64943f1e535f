//! Encoders that have been bound already: a table that is described again with the same schema costs no call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::{Encoder, Role, Side};
use crate::lock::locked;
use crate::model::Schema;

/// The encoders of one converter, by topic.
#[derive(Default)]
pub(super) struct BoundEncoders(Mutex<HashMap<String, Vec<Bound>>>);

struct Bound {
    role: Role,
    schema: Schema,
    projection: Vec<usize>,
    encoder: Arc<dyn Encoder>,
}

impl BoundEncoders {
    /// The encoder of a side that is the same in topic, role, schema and places.
    pub(super) fn get(&self, side: Side<'_>) -> Option<Arc<dyn Encoder>> {
        let bound = locked(&self.0);
        let same = |entry: &&Bound| {
            entry.role == side.role && entry.projection == side.projection && entry.schema == *side.schema
        };
        bound.get(side.topic)?.iter().find(same).map(|entry| entry.encoder.clone())
    }

    /// Keeps the encoder of a side.
    pub(super) fn keep(&self, side: Side<'_>, encoder: &Arc<dyn Encoder>) {
        let entry = Bound {
            role: side.role,
            schema: side.schema.clone(),
            projection: side.projection.to_vec(),
            encoder: encoder.clone(),
        };
        locked(&self.0).entry(side.topic.to_owned()).or_default().push(entry);
    }
}
