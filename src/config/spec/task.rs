//! The configuration of a task: what it needs of its connector's besides that of its tables.

use std::sync::Arc;
use std::time::Duration;

use super::{ConnectorSpec, PollSpec, SourceSpec, TableSpec};
use crate::model::Relation;

/// The configuration of a task. Of its tables each has its own ([`TaskSpec::for_table`]).
#[derive(Debug, Clone)]
pub struct TaskSpec(Arc<ConnectorSpec>);

impl TaskSpec {
    /// The part of a connector's configuration that its tasks see.
    pub fn new(connector: Arc<ConnectorSpec>) -> Self {
        Self(connector)
    }

    /// The specification of one of its tables, or of the query.
    pub fn for_table(&self, relation: &Relation) -> TableSpec {
        self.0.for_table(relation)
    }

    /// True if it is the very same configuration.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// True if a table has other settings in another configuration of the connector, of those that can be changed while it
    /// runs; its poll interval and windows are not among them.
    pub fn differs_for(&self, other: &Self, relation: &Relation) -> bool {
        let of_all = |spec: &ConnectorSpec| {
            let (polling, errors) = (&spec.polling, &spec.errors);
            (polling.batch_max_rows, polling.load_rate, polling.plan_guard, errors.logged, errors.values_logged)
        };
        of_all(&self.0) != of_all(&other.0) || !self.0.tables.are_same_for(&other.0.tables, relation)
    }

    /// The same with another poll interval; tables with one of their own keep that.
    #[must_use]
    pub fn with_interval(&self, interval: Duration) -> Self {
        let mut connector = ConnectorSpec::clone(&self.0);
        connector.polling.interval = interval;
        Self::new(Arc::new(connector))
    }

    /// The longest pause between two polls of a table.
    pub fn longest_interval(&self) -> Duration {
        self.0.longest_interval()
    }

    /// `name` of the connector.
    pub fn connector(&self) -> &str {
        &self.0.name
    }

    /// The database.
    pub fn source(&self) -> &SourceSpec {
        &self.0.source
    }

    /// The rhythm of its polls and tries.
    pub fn polling(&self) -> &PollSpec {
        &self.0.polling
    }

    /// The offsets topic.
    pub fn offsets_topic(&self) -> &str {
        &self.0.offsets.topic
    }

    /// `transaction.timeout.ms` of its producer, if that is configured.
    pub fn transaction_timeout(&self) -> Option<Duration> {
        let millis = self.0.kafka.producer.get("transaction.timeout.ms")?;
        millis.parse().ok().map(Duration::from_millis)
    }

    /// The class of `value.converter`.
    pub fn value_converter_class(&self) -> &'static str {
        self.0.value_converter.definition.class
    }
}
