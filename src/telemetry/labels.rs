//! The labels of the metrics, one struct for each set of them in [`METRICS`](super::METRICS).

use prometheus_client::encoding::EncodeLabelSet;

use crate::status::{HeldBy, TableState};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ConnectorLabels {
    pub(super) connector: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TableLabels {
    pub(super) connector: String,
    pub(super) table: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StateLabels {
    pub(super) connector: String,
    pub(super) table: String,
    pub(super) state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReasonLabels {
    pub(super) connector: String,
    pub(super) table: String,
    pub(super) reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct HeldLabels {
    pub(super) connector: String,
    pub(super) table: String,
    pub(super) by: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct LevelLabels {
    pub(super) connector: String,
    pub(super) table: String,
    pub(super) level: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ResultLabels {
    pub(super) connector: String,
    pub(super) table: String,
    pub(super) result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OutcomeLabels {
    pub(super) connector: String,
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct KindLabels {
    pub(super) connector: String,
    pub(super) kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TaskLabels {
    pub(super) connector: String,
    pub(super) task: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BrokerLabels {
    pub(super) connector: String,
    pub(super) task: String,
    pub(super) broker: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ServerLabels {
    pub(super) server: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BuildLabels {
    pub(super) version: &'static str,
    pub(super) commit: &'static str,
}

impl TableLabels {
    pub(super) fn new(connector: &str, table: &str) -> Self {
        Self { connector: connector.to_owned(), table: table.to_owned() }
    }

    pub(super) fn state(&self, state: TableState) -> StateLabels {
        StateLabels { connector: self.connector.clone(), table: self.table.clone(), state: state.as_str() }
    }

    pub(super) fn held(&self, by: HeldBy) -> HeldLabels {
        HeldLabels { connector: self.connector.clone(), table: self.table.clone(), by: by.as_str() }
    }

    pub(super) fn level(&self, level: &'static str) -> LevelLabels {
        LevelLabels { connector: self.connector.clone(), table: self.table.clone(), level }
    }

    pub(super) fn result(&self, result: &'static str) -> ResultLabels {
        ResultLabels { connector: self.connector.clone(), table: self.table.clone(), result }
    }

    pub(super) fn reason(&self, reason: &'static str) -> ReasonLabels {
        ReasonLabels { connector: self.connector.clone(), table: self.table.clone(), reason }
    }
}
