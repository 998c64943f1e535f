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
