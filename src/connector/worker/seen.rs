//! The questions about connectors that change nothing: states, tasks, stored offsets, the database behind settings.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Shared;
use super::hosted::Hosted;
use crate::config::spec::{ConnectorSpec, Selection};
use crate::config::{self, Document};
use crate::connector::offset_tools::{self, Stored};
use crate::dialect::dialect_of;
use crate::error::Result;
use crate::herder::{ConnectState, ConnectorInfo, HerderError, OffsetChange, Outcome};
use crate::kafka::admin;
use crate::model::Relation;
use crate::retry::within;

/// The longest wait for the cluster's id.
const SOON: Duration = Duration::from_secs(5);
/// Longer than a driver takes to give up.
const REACHED: Duration = Duration::from_secs(5);

impl Hosted {
    /// Its state and that of its tasks.
    pub(super) fn info(&self) -> ConnectorInfo {
        let Some(kind) = self.foreign else { return self.board.with(|status| ConnectorInfo::from(status)) };
        let trace = HerderError::Foreign(self.name.clone()).to_string();
        let (name, state, tasks) = (self.name.clone(), ConnectState::Unassigned, Vec::new());
        ConnectorInfo { name, kind, state, trace: Some(trace), tasks }
    }

    /// The settings of its tasks as Kafka Connect's connector makes them.
    pub(super) fn task_settings(&self) -> Vec<BTreeMap<String, String>> {
        let count = self.info().tasks.len();
        let (Ok(spec), groups) = (self.spec(), self.assignment.tasks()) else { return Vec::new() };
        let settings = self.settings();
        let all: BTreeMap<String, String> =
            settings.document.entries.iter().map(|(key, entry)| (key.clone(), entry.raw.clone())).collect();
        let is_aiven = all.get("connector.class").is_some_and(|class| class.contains("io.aiven."));
        let package = if is_aiven { "io.aiven" } else { "io.confluent" };
        let of_task = |tables: &Vec<Relation>| {
            let mut task = all.clone();
            task.insert("task.class".to_owned(), format!("{package}.connect.jdbc.source.JdbcSourceTask"));
            task.insert("tables".to_owned(), quoted(&spec, tables));
            task.insert("tables.fetched".to_owned(), "true".to_owned());
            task
        };
        groups.iter().take(count).map(of_task).collect()
    }
}

/// The names of tables, each part quoted as the database wants it; empty for a query.
fn quoted(spec: &ConnectorSpec, tables: &[Relation]) -> String {
    let Ok(dialect) = dialect_of(&spec.source) else { return String::new() };
    let name = |relation: &Relation| match relation {
        Relation::Table(table) => {
            Some(table.parts().map(|part| dialect.syntax().quote(part)).collect::<Vec<_>>().join("."))
        }
        Relation::Query(_) => None,
    };
    tables.iter().filter_map(name).collect::<Vec<_>>().join(",")
}

impl Shared {
    /// The id of the brokers' cluster, which never changes.
    pub(super) async fn cluster_id(&self) -> Option<String> {
        let of_connector = || self.hosted().values().find_map(|hosted| hosted.spec().ok()).map(|spec| spec.kafka);
        let kafka = self.options.kafka.clone().or_else(of_connector)?;
        let ask = async {
            let probe = admin::probe_brokers(&kafka, SOON).await.map_err(drop)?;
            probe.cluster_id.ok_or(())
        };
        self.cluster_id.get_or_try_init(|| ask).await.ok().cloned()
    }

    /// Connects to the database of settings; its tables.
    pub(super) async fn reach(&self, document: Document) -> Outcome<Vec<String>> {
        let loaded = config::connector(document, self.options.surroundings.clone());
        let spec = loaded.map_err(|report| HerderError::Invalid(Box::new(report)))?.spec;
        let patience = spec.source.connect_timeout + REACHED;
        let what = format!("database {}", spec.source.url);
        let listed = within(patience, &what, async {
            let mut connection = dialect_of(&spec.source)?.connect(&spec.source).await?;
            let listed = match &spec.selection {
                Selection::Tables(filter) => connection.list_tables(&filter.catalog).await?,
                Selection::Query { .. } => Vec::new(),
            };
            connection.close().await;
            Ok(listed)
        });
        Ok(listed.await?.into_iter().map(|table| table.name).collect())
    }

    pub(super) async fn stored(&self, hosted: &Hosted) -> Result<Stored> {
        let spec = hosted.spec()?;
        within(self.options.timeout, "the offsets topic", offset_tools::load(&spec)).await
    }

    pub(super) async fn write(&self, hosted: &Hosted, changes: &[OffsetChange]) -> Result<()> {
        let (spec, timeout) = (hosted.spec()?, self.options.timeout);
        let what = format!("brokers {}", spec.kafka.bootstrap_servers);
        within(timeout, &what, offset_tools::write(&spec, changes, false, timeout)).await
    }
}
