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

    /// The table of that name, dotted or bare; none if there is none, or several of that bare name.
    pub(super) fn find(&self, name: &str) -> Option<Relation> {
        let all = self.tasks().concat();
        if let Some(found) = all.iter().find(|relation| relation.to_string() == name) {
            return Some(found.clone());
        }
        let is_bare = |relation: &&Relation| matches!(relation, Relation::Table(id) if id.name == name);
        let mut found = all.iter().filter(is_bare);
        let first = found.next()?;
        found.next().is_none().then(|| first.clone())
    }

    /// The tables of each task.
    pub fn tasks(&self) -> Vec<Vec<Relation>> {
        locked(&self.0).iter().map(|tables| tables.borrow().clone()).collect()
    }
}
