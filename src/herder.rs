//! The interface of a worker to those who manage its connectors, in Kafka Connect's words (its `Herder`): the command
//! line, and REST. A worker implements it (`connector::worker`); a caller need not know how connectors are run. Every
//! name is that of a connector, and settings are as somebody has written them, placeholders unresolved.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value as Json;

use crate::config::{Document, Report};
use crate::error::{Error, ErrorKind};
use crate::model::{Backfill, OffsetMove, SourceOffset, SourcePartition};
use crate::status::{ConnectorState, ConnectorStatus, TableState};

/// The result of a request to a worker.
pub type Outcome<T> = Result<T, HerderError>;

/// The offset of a partition; none takes away the one that is stored.
pub type OffsetChange = (SourcePartition, Option<SourceOffset>);

/// Settings with their new values; none takes a setting away.
pub type SettingChanges = Vec<(String, Option<String>)>;

/// Changes of offsets that belong together.
pub type OffsetChanges = Vec<OffsetChange>;

/// A worker, as seen by the managers of its connectors. Requests about one connector are carried out one after another;
/// each returns when it has taken effect, and takes effect also if nobody waits for it any more.
pub trait Herder: Send + Sync {
    /// The names of the connectors, in order.
    fn connectors(&self) -> Vec<String>;

    /// True once the connectors that were kept are there. Before that no request is answered.
    fn has_started(&self) -> bool;

    /// The id of the cluster that holds offsets and records, if the brokers say it soon.
    fn cluster_id(&self) -> BoxFuture<'static, Option<String>>;

    /// The settings of a connector as they were given.
    ///
    /// # Errors
    /// `NotFound`.
    fn config(&self, name: &str) -> Outcome<Document>;

    /// The state of a connector and of its tasks.
    ///
    /// # Errors
    /// `NotFound`.
    fn status(&self, name: &str) -> Outcome<ConnectorInfo>;

    /// The settings of each task: those of the connector, its class, and its tables.
    ///
    /// # Errors
    /// `NotFound`.
    fn tasks(&self, name: &str) -> Outcome<Vec<BTreeMap<String, String>>>;

    /// The topics a connector has written to, as far as this process knows; none if there is no such connector.
    fn topics(&self, name: &str) -> BTreeSet<String>;

    /// Forgets the topics of a connector, until it writes to them again.
    fn reset_topics(&self, name: &str);

    /// The problems and warnings of settings, the same as [`Herder::put`] would have. No server is asked.
    fn validate(&self, settings: &Document) -> Report;

    /// Connects to the database of settings that have no problem; the tables there are.
    ///
    /// # Errors
    /// `Invalid`; `Failed` with why it cannot be reached.
    fn reach(&self, settings: Document) -> BoxFuture<'static, Outcome<Vec<String>>>;

    /// Makes a connector, or gives one other settings. One that runs commits its open transactions and starts again
    /// with them; one that is paused or stopped stays so.
    ///
    /// # Errors
    /// `Invalid`; `Exists` with [`Put::Create`] if the worker has one of this name.
    fn put(&self, settings: Document, put: Put) -> BoxFuture<'static, Outcome<Written>>;

    /// Gives a connector some other settings, and takes those away that have no value, as [`Herder::put`] would.
    ///
    /// # Errors
    /// `NotFound`, `Invalid`.
    fn patch(&self, name: &str, changes: SettingChanges) -> BoxFuture<'static, Outcome<()>>;

    /// Stops a connector and forgets it, its status and its metrics. Its offsets and topics stay.
    ///
    /// # Errors
    /// `NotFound`.
    fn delete(&self, name: &str) -> BoxFuture<'static, Outcome<()>>;

    /// Makes a connector commit its open transactions, close its sessions and poll no more, until it is resumed. One
    /// that has failed stays failed.
    ///
    /// # Errors
    /// `NotFound`.
    fn pause(&self, name: &str) -> BoxFuture<'static, Outcome<()>>;

    /// Starts a connector that is paused or stopped where it was. One that runs, or has failed, is left alone.
    ///
    /// # Errors
    /// `NotFound`.
    fn resume(&self, name: &str) -> BoxFuture<'static, Outcome<()>>;

    /// Like [`Herder::pause`], but the connector has no tasks any more, another process may run it, and its offsets may
    /// be changed.
    ///
    /// # Errors
    /// `NotFound`.
    fn stop(&self, name: &str) -> BoxFuture<'static, Outcome<()>>;

    /// Starts a connector anew, `only_failed`: if it has failed. One that is paused or stopped is left alone.
    ///
    /// # Errors
    /// `NotFound`.
    fn restart(&self, name: &str, only_failed: bool) -> BoxFuture<'static, Outcome<()>>;

    /// The settings of a table of a running connector, and its stored offset.
    ///
    /// # Errors
    /// `NotFound`, `NoTable`, `NotRunning`; `Failed` if the offset cannot be read.
    fn table(&self, name: &str, table: &str) -> BoxFuture<'static, Outcome<TableInfo>>;

    /// The reads and writes of a table, as `rowtide explain` tells them. The database is asked.
    ///
    /// # Errors
    /// `NotFound`, `NoTable`, `NotRunning`; `Failed` if the database or the offsets cannot be read.
    fn explain(&self, name: &str, table: &str) -> BoxFuture<'static, Outcome<Json>>;

    /// The last records of a table since its connector was started, decoded, the newest last.
    ///
    /// # Errors
    /// `NotFound`, `NoTable`; `Failed` if they cannot be decoded.
    fn samples(&self, name: &str, table: &str, limit: usize) -> BoxFuture<'static, Outcome<Vec<Json>>>;

    /// Makes a table of a running connector rest, go on, or start anew; the other tables do not notice. It lasts until
    /// the connector starts anew. Returns when it is noted: the table follows at the end of its present step.
    ///
    /// # Errors
    /// `NotFound`, `NoTable`, `NotRunning`.
    fn order(&self, name: &str, table: &str, order: TableOrder) -> BoxFuture<'static, Outcome<()>>;

    /// Changes the offset of a table while its connector runs, in a transaction of its own; the other tables do not
    /// notice. The offset that is committed; none is the beginning.
    ///
    /// # Errors
    /// `NotFound`, `NoTable`, `NotRunning`; `Wrong` if the table's mode has no such offset; `Busy` while another change of it
    /// is under way; `Failed` if it is not known whether it was committed.
    fn move_offset(
        &self,
        name: &str,
        table: &str,
        change: OffsetMove,
    ) -> BoxFuture<'static, Outcome<Option<SourceOffset>>>;

    /// Reads a table of a running connector again while it is polled, or ends that (none). The progress that is committed;
    /// none where it has ended.
    ///
    /// # Errors
    /// As [`Herder::move_offset`]; `Wrong` too while a backfill of the table is under way, for a condition that the database
    /// does not take, and for a topic that cannot be.
    fn backfill(
        &self,
        name: &str,
        table: &str,
        request: Option<Backfill>,
    ) -> BoxFuture<'static, Outcome<Option<SourceOffset>>>;

    /// Gives a running connector another poll interval, which is not kept. Tables that have one of their own keep that.
    ///
    /// # Errors
    /// `NotFound`, `NotRunning`.
    fn set_interval(&self, name: &str, interval: Duration) -> BoxFuture<'static, Outcome<()>>;

    /// The offsets of a connector as they are stored now, those of tables no longer selected included.
    ///
    /// # Errors
    /// `NotFound`; `Failed` if they cannot be read.
    fn offsets(&self, name: &str) -> BoxFuture<'static, Outcome<BTreeMap<SourcePartition, SourceOffset>>>;

    /// Changes stored offsets in one transaction; partitions that are not named keep theirs.
    ///
    /// # Errors
    /// `NotFound`, `NotStopped`; `Failed` if another process runs the connector, or the brokers do not take them.
    fn alter_offsets(&self, name: &str, changes: OffsetChanges) -> BoxFuture<'static, Outcome<()>>;

    /// Forgets every stored offset, and the server they were read from: the next start is like a first one.
    ///
    /// # Errors
    /// As [`Herder::alter_offsets`].
    fn reset_offsets(&self, name: &str) -> BoxFuture<'static, Outcome<()>>;
}

/// The state a connector is meant to be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetState {
    /// Polling.
    Running,
    /// Not polling, tasks kept.
    Paused,
    /// Not polling, without tasks.
    Stopped,
}

/// A wish about one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableOrder {
    /// No more polls.
    Pause,
    /// Polls again.
    Resume,
    /// Bound anew and tried at once, whatever it has met.
    Restart,
}

impl TableOrder {
    /// The word of it.
    pub fn as_str(self) -> &'static str {
        match self {
            TableOrder::Pause => "pause",
            TableOrder::Resume => "resume",
            TableOrder::Restart => "restart",
        }
    }
}

/// A table of a connector, beside its status.
#[derive(Debug, Clone, PartialEq)]
pub struct TableInfo {
    /// Its settings, by their keys, as they count for it.
    pub settings: serde_json::Map<String, Json>,
    /// The partition that its offset is stored under.
    pub partition: SourcePartition,
    /// The stored offset.
    pub offset: Option<SourceOffset>,
}

/// The treatment of a name by [`Herder::put`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// Makes a connector in this state, and refuses a name that is taken.
    Create(TargetState),
    /// Makes one that runs, or replaces the settings of the one there is.
    Replace,
}

/// The outcome of [`Herder::put`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The connector was created.
    Created,
    /// One has other settings.
    Replaced,
}

/// A request that a worker has refused or could not carry out.
#[derive(Debug)]
pub enum HerderError {
    /// No connector has this name.
    NotFound(String),
    /// A connector has this name already.
    Exists(String),
    /// The settings are wrong.
    Invalid(Box<Report>),
    /// The connector must be stopped first.
    NotStopped(String),
    /// The connector is of a class that rowtide does not run: another one's, in a topic of configurations that is shared.
    Foreign(String),
    /// The connector has no table of this name.
    NoTable {
        /// The connector.
        connector: String,
        /// The name.
        table: String,
    },
    /// The connector must be running: with this state it is not.
    NotRunning(String, ConnectState),
    /// Another request of the kind is under way: the table.
    Busy(String),
    /// An order that cannot be carried out, and why.
    Wrong(Error),
    /// The worker is ending.
    Closing,
    /// The attempt failed.
    Failed(Error),
}

impl From<Error> for HerderError {
    fn from(error: Error) -> Self {
        HerderError::Failed(error)
    }
}

impl HerderError {
    /// The same for people, with the advice.
    pub fn into_error(self) -> Error {
        let text = self.to_string();
        match self {
            HerderError::NotFound(_) => Error::config(text).advise("give the name of a connector of this worker"),
            HerderError::Exists(_) => Error::config(text).advise("give each its own name"),
            HerderError::Invalid(_) => Error::config(text),
            HerderError::NoTable { .. } => Error::config(text).advise("give the name of a table as /status shows it"),
            HerderError::NotRunning(..) => {
                Error::new(ErrorKind::Refused, text).advise("resume or restart the connector first")
            }
            HerderError::Busy(_) => Error::new(ErrorKind::Refused, text).advise("try again when it is done"),
            HerderError::NotStopped(_) | HerderError::Foreign(_) | HerderError::Closing => {
                Error::new(ErrorKind::Refused, text).advise("stop the connector first")
            }
            HerderError::Failed(error) | HerderError::Wrong(error) => error,
        }
    }
}

/// Kafka Connect's sentences, where it has one.
impl fmt::Display for HerderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HerderError::NotFound(name) => write!(f, "Connector {name} not found"),
            HerderError::Exists(name) => write!(f, "Connector {name} already exists"),
            HerderError::Invalid(report) => write!(f, "{report}"),
            HerderError::NotStopped(name) => write!(
                f,
                "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the \
                 specified connector by issuing a 'PUT' request to the '/connectors/{name}/stop' endpoint"
            ),
            HerderError::Foreign(name) => write!(
                f,
                "Connector {name} is of a class that rowtide does not run. It is left to the Kafka Connect workers that share \
                 config.storage.topic, and can be changed by them only"
            ),
            HerderError::NoTable { connector, table } => write!(f, "Connector {connector} has no table {table}"),
            HerderError::NotRunning(name, state) => write!(
                f,
                "Connector {name} is {}, and single tables can be managed only while it is RUNNING. PUT \
                 '/connectors/{name}/resume' or POST '/connectors/{name}/restart' starts it",
                state.as_str()
            ),
            HerderError::Busy(table) => write!(f, "A change of the offset of table {table} is under way"),
            HerderError::Closing => f.write_str("the worker is ending"),
            HerderError::Failed(error) | HerderError::Wrong(error) => f.write_str(&error.report()),
        }
    }
}

/// The states of Kafka Connect (`rest-api.md`, 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectState {
    /// Starting: connecting, fencing, reading offsets; also again after an error that passes.
    Unassigned,
    /// Polling.
    Running,
    /// Paused.
    Paused,
    /// Stopped, or ended because everything was read.
    Stopped,
    /// Given up.
    Failed,
    /// About to be started anew: said in the answer to that request, never afterwards.
    Restarting,
}

/// The kinds of connectors, by Kafka Connect's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectorKind {
    /// All that rowtide runs.
    Source,
    /// Of somebody else.
    Sink,
    /// Of somebody else.
    Unknown,
}

impl ConnectorKind {
    /// The word of Kafka Connect.
    pub fn as_str(self) -> &'static str {
        match self {
            ConnectorKind::Source => "source",
            ConnectorKind::Sink => "sink",
            ConnectorKind::Unknown => "unknown",
        }
    }
}

impl ConnectState {
    /// The word of Kafka Connect.
    pub fn as_str(self) -> &'static str {
        match self {
            ConnectState::Unassigned => "UNASSIGNED",
            ConnectState::Running => "RUNNING",
            ConnectState::Paused => "PAUSED",
            ConnectState::Stopped => "STOPPED",
            ConnectState::Failed => "FAILED",
            ConnectState::Restarting => "RESTARTING",
        }
    }
}

impl From<ConnectorState> for ConnectState {
    fn from(state: ConnectorState) -> Self {
        match state {
            ConnectorState::Starting => ConnectState::Unassigned,
            ConnectorState::Running => ConnectState::Running,
            ConnectorState::Paused => ConnectState::Paused,
            ConnectorState::Stopped => ConnectState::Stopped,
            ConnectorState::Failed => ConnectState::Failed,
        }
    }
}

/// A connector and its tasks, as Kafka Connect tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorInfo {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: ConnectorKind,
    /// The state of the connector.
    pub state: ConnectState,
    /// The reason why it has failed, or starts again, and the advice.
    pub trace: Option<String>,
    /// The states of its tasks, by their number; empty while it is not known how many there are, and when it is stopped.
    pub tasks: Vec<ConnectState>,
}

impl From<&ConnectorStatus> for ConnectorInfo {
    /// The tasks of a connector live and fail together. A table that has failed alone is told in the trace: the others go on.
    fn from(status: &ConnectorStatus) -> Self {
        let state = ConnectState::from(status.state);
        let told = |reason: &str, advice: &Option<String>, kind: Option<ErrorKind>| {
            let advice = advice.as_ref().map(|advice| format!("\nwhat to do: {advice}")).unwrap_or_default();
            let more = kind.map(|kind| format!("\nmore: {}", kind.reference())).unwrap_or_default();
            format!("{reason}{advice}{more}")
        };
        let failed = status.tables.iter().filter(|table| table.state == TableState::Failed);
        let tables: Vec<String> = failed
            .map(|table| {
                let reason = table.reason.as_deref().unwrap_or("failed");
                told(&format!("table {}: {reason}", table.table), &table.advice, table.kind)
            })
            .collect();
        let trace = status.error.as_ref().map(|error| told(error, &status.advice, status.kind));
        let trace = trace.or_else(|| (!tables.is_empty()).then(|| tables.join("\n")));
        let tasks = if state == ConnectState::Stopped { 0 } else { status.tasks };
        Self { name: status.name.clone(), kind: ConnectorKind::Source, state, trace, tasks: vec![state; tasks] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::StatusBoard;

    #[test]
    fn states_are_those_of_kafka_connect_and_a_failure_has_its_trace() {
        let board = StatusBoard::new("a", Duration::ZERO);
        let info = || board.with(|status| ConnectorInfo::from(status));
        assert_eq!((info().state.as_str(), info().tasks.len()), ("UNASSIGNED", 0));
        board.tasks(2);
        board.running();
        assert_eq!(info().tasks, [ConnectState::Running; 2]);
        board.table("t").failed(&Error::new(ErrorKind::Privilege, "denied").advise("grant it"));
        assert_eq!(
            (info().state, info().trace.as_deref()),
            (ConnectState::Running, Some("table t: denied\nwhat to do: grant it\nmore: rowtide docs errors privilege"))
        );
        board.remove_tables(["t"]);
        board.failed(&Error::new(ErrorKind::Fenced, "taken over").advise("look who"));
        assert_eq!(info().trace.as_deref(), Some("taken over\nwhat to do: look who\nmore: rowtide docs errors fenced"));
        assert_eq!((info().state.as_str(), info().tasks.len()), ("FAILED", 2));
        board.paused();
        assert_eq!((info().state.as_str(), info().trace), ("PAUSED", None));
        board.dismissed();
        assert_eq!((info().state.as_str(), info().tasks.len()), ("STOPPED", 0));
    }
}
