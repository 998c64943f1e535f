//! The handles of the metrics, which a component gets once and counts with.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

use super::labels::{ConnectorLabels, KindLabels, OutcomeLabels, TableLabels};
use super::series::{Counted, OUTCOMES, RESULTS, Shared};
use crate::error::ErrorKind;
use crate::lock::locked;

/// The metrics of a connector's commit stage. Cheap to clone.
#[derive(Clone)]
pub struct ConnectorMetrics {
    connector: Arc<str>,
    shared: Arc<Shared>,
    committed: Counter,
    aborted: Counter,
    unknown: Counter,
    transaction_seconds: Histogram,
}

impl ConnectorMetrics {
    pub(super) fn new(connector: &str, shared: &Arc<Shared>) -> Self {
        let labels = ConnectorLabels { connector: connector.to_owned() };
        let [committed, aborted, unknown] = OUTCOMES.map(|outcome| {
            shared.transactions.get_or_create_owned(&OutcomeLabels { connector: connector.to_owned(), outcome })
        });
        Self {
            connector: connector.into(),
            committed,
            aborted,
            unknown,
            transaction_seconds: shared.transaction_seconds.get_or_create_owned(&labels),
            shared: Arc::clone(shared),
        }
    }

    /// Remembers which series the connector has.
    fn count(&self, note: impl FnOnce(&mut Counted)) {
        note(locked(&self.shared.counted).entry(self.connector.to_string()).or_default());
    }

    /// The handles of one of its tables.
    pub fn table(&self, table: &str) -> TableMetrics {
        let labels = TableLabels::new(&self.connector, table);
        self.count(|counted| {
            counted.tables.insert(table.to_owned());
        });
        let [with_rows, empty, waiting, failed] =
            RESULTS.map(|result| self.shared.polls.get_or_create_owned(&labels.result(result)));
        TableMetrics {
            rows: self.shared.rows.get_or_create_owned(&labels),
            bytes: self.shared.bytes.get_or_create_owned(&labels),
            rows_skipped: self.shared.rows_skipped.get_or_create_owned(&labels),
            with_rows,
            empty,
            waiting,
            failed,
            late: self.shared.late_rows.get_or_create_owned(&labels),
            reread: self.shared.reread_rows.get_or_create_owned(&labels),
            poll_seconds: self.shared.poll_seconds.get_or_create_owned(&labels),
            shared: self.shared.clone(),
            labels: Arc::new(labels),
        }
    }

    /// A transaction was committed.
    pub fn committed(&self, took: Duration) {
        self.committed.inc();
        self.transaction_seconds.observe(took.as_secs_f64());
    }

    /// A transaction was aborted.
    pub fn aborted(&self) {
        self.aborted.inc();
    }

    /// The answer to a commit was lost.
    pub fn outcome_unknown(&self) {
        self.unknown.inc();
    }

    /// The lag of the replica that is read, if it is one and tells.
    pub fn replica_lag(&self, seconds: Option<f64>) {
        let labels = ConnectorLabels { connector: self.connector.to_string() };
        match seconds {
            Some(seconds) => {
                self.shared.replica_lag.get_or_create_owned(&labels).set(seconds);
            }
            None => {
                self.shared.replica_lag.remove(&labels);
            }
        }
    }

    /// An error came up.
    pub fn error(&self, kind: ErrorKind) {
        let labels = KindLabels { connector: self.connector.to_string(), kind: kind.snake_case() };
        self.count(|counted| {
            counted.kinds.insert(labels.kind.clone());
        });
        self.shared.errors.get_or_create_owned(&labels).inc();
    }
}

/// The metrics of a table's stages. Cheap to clone.
#[derive(Clone)]
pub struct TableMetrics {
    labels: Arc<TableLabels>,
    shared: Arc<Shared>,
    rows: Counter,
    bytes: Counter,
    rows_skipped: Counter,
    with_rows: Counter,
    empty: Counter,
    waiting: Counter,
    failed: Counter,
    late: Counter,
    reread: Counter,
    poll_seconds: Histogram,
}

impl TableMetrics {
    /// A batch was committed.
    pub fn committed(&self, rows: u64, bytes: u64) {
        self.rows.inc_by(rows);
        self.bytes.inc_by(bytes);
    }

    /// Counts rows that were left out of a committed batch.
    pub fn skipped(&self, rows: u64) {
        self.rows_skipped.inc_by(rows);
    }

    /// A poll was answered.
    pub fn polled(&self, rows: u64, took: Duration) {
        if rows == 0 {
            self.empty.inc()
        } else {
            self.with_rows.inc()
        };
        self.poll_seconds.observe(took.as_secs_f64());
    }

    /// A poll was spared, because the database told that there is nothing.
    pub fn spared(&self) {
        self.empty.inc();
    }

    /// A poll was answered, but its rows are held back.
    pub fn waiting(&self, took: Duration) {
        self.waiting.inc();
        self.poll_seconds.observe(took.as_secs_f64());
    }

    /// Counts rows that committed late and were caught, and rows read again in vain.
    pub fn late(&self, late: u64, reread: u64) {
        self.late.inc_by(late);
        self.reread.inc_by(reread);
    }

    /// A poll failed.
    pub fn poll_failed(&self) {
        self.failed.inc();
    }

    /// The age of the newest emitted row by the database's clock.
    pub fn lag(&self, seconds: f64) {
        self.shared.lag.get_or_create_owned(&self.labels).set(seconds);
    }
}
