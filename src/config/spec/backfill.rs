//! The configuration of a table while it is read again beside its polls.

use super::topic::is_topic_name;
use super::{PlanGuard, TableSpec, Template};
use crate::error::{Error, Result};
use crate::model::Backfill;

impl TableSpec {
    /// The configuration for a backfill: rows must meet its condition too, and go to its topic, so many a second.
    ///
    /// # Errors
    /// `Config` if its topic is no name of a topic.
    pub fn for_backfill(mut self, request: &Backfill) -> Result<Self> {
        self.filter = both(self.filter, request.condition.clone());
        if let Some(topic) = &request.topic {
            if !is_topic_name(topic) {
                return Err(Error::config(format!("`{topic}` is not a valid topic name"))
                    .advise("Kafka allows letters, digits, `.`, `_` and `-`, at most 249 of them"));
            }
            self.naming.template = Some((Template::literal(topic), "topic".to_owned()));
        }
        if let Some(rate) = request.rate {
            self.polling.load_rate = usize::try_from(rate).unwrap_or(usize::MAX);
        }
        self.polling.plan_guard = PlanGuard::Off;
        Ok(self)
    }
}

/// The condition that rows meet both.
fn both(one: Option<String>, other: Option<String>) -> Option<String> {
    match (one, other) {
        // A line break ends a trailing comment in the user's text.
        (Some(one), Some(other)) => Some(format!("({one}\n) and ({other}\n)")),
        (one, other) => one.or(other),
    }
}
