//! The tables of each task of a connector, for REST. The tasks themselves are told by the same channels.

use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::lock::locked;
use crate::model::Relation;

/// The tables of the tasks of one connector, as they are now. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Assignment(Arc<Mutex<Vec<watch::Receiver<Vec<Relation>>>>>);

impl Assignment {
    /// A new life of the connector has these tasks.
    pub(super) fn set(&self, tasks: Vec<watch::Receiver<Vec<Relation>>>) {
        *locked(&self.0) = tasks;
    }

    /// The tables of each task.
    pub fn tasks(&self) -> Vec<Vec<Relation>> {
        locked(&self.0).iter().map(|tables| tables.borrow().clone()).collect()
    }
}
