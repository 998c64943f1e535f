//! The handles of the metrics, which a component gets once and counts with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

use super::labels::{BrokerLabels, ConnectorLabels, KindLabels, OutcomeLabels, ServerLabels, TableLabels, TaskLabels};
use super::series::{Counted, OUTCOMES, RESULTS, Shared};
use super::traces::PollTrace;
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
    commit_seconds: Histogram,
    encode_seconds: Histogram,
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
            commit_seconds: shared.commit_seconds.get_or_create_owned(&labels),
            encode_seconds: shared.encode_seconds.get_or_create_owned(&labels),
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
            query_seconds: self.shared.query_seconds.get_or_create_owned(&labels),
            encode_seconds: self.encode_seconds.clone(),
            shared: self.shared.clone(),
            labels: Arc::new(labels),
        }
    }

    /// The trace of a poll that begins, where polls are traced.
    pub fn begin_trace(&self, table: &Arc<str>) -> Option<PollTrace> {
        self.shared.spans.get()?.begin(&self.connector, table)
    }

    /// The handles of the producer of one of its tasks.
    pub fn producer(&self, task: usize) -> ProducerMetrics {
        let labels = TaskLabels { connector: self.connector.to_string(), task: task.to_string() };
        self.count(|counted| {
            counted.producers.insert(labels.clone());
        });
        ProducerMetrics { connector: self.clone(), labels, retries: AtomicU64::new(0) }
    }

    /// The request to commit a transaction was answered.
    pub fn commit_answered(&self, took: Duration) {
        self.commit_seconds.observe(took.as_secs_f64());
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
    query_seconds: Histogram,
    encode_seconds: Histogram,
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

    /// The statements of a poll were answered: the time of the database, and that of encoding its rows.
    pub fn read(&self, query: Duration, encoding: Duration, rows: u64) {
        self.query_seconds.observe(query.as_secs_f64());
        if rows > 0 {
            self.encode_seconds.observe(encoding.as_secs_f64());
        }
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

/// The figures of a producer, as its client tells them.
#[derive(Debug, Clone, Default)]
pub struct ProducerFigures {
    /// Messages in its queue.
    pub messages: i64,
    /// Their bytes.
    pub bytes: i64,
    /// Requests that were sent again since it was made.
    pub retries: u64,
    /// The brokers that it talks to.
    pub brokers: Vec<BrokerFigures>,
}

/// The figures of one broker.
#[derive(Debug, Clone)]
pub struct BrokerFigures {
    /// Its id.
    pub id: i32,
    /// The time that requests waited to be sent.
    pub wait: Duration,
    /// Their round trip.
    pub round_trip: Duration,
}

/// The metrics of one producer.
pub struct ProducerMetrics {
    connector: ConnectorMetrics,
    labels: TaskLabels,
    /// The retries that are counted already.
    retries: AtomicU64,
}

impl ProducerMetrics {
    /// Publishes its figures.
    pub fn observed(&self, figures: ProducerFigures) {
        let shared = &self.connector.shared;
        shared.producer_queue.get_or_create_owned(&self.labels).set(figures.messages);
        shared.producer_bytes.get_or_create_owned(&self.labels).set(figures.bytes);
        let known = self.retries.swap(figures.retries, Ordering::Relaxed);
        shared.producer_retries.get_or_create_owned(&self.labels).inc_by(figures.retries.saturating_sub(known));
        for broker in figures.brokers {
            let TaskLabels { connector, task } = self.labels.clone();
            let labels = BrokerLabels { connector, task, broker: broker.id.to_string() };
            shared.producer_wait.get_or_create_owned(&labels).set(broker.wait.as_secs_f64());
            shared.producer_rtt.get_or_create_owned(&labels).set(broker.round_trip.as_secs_f64());
            self.connector.count(|counted| {
                counted.brokers.insert(labels);
            });
        }
    }
}

/// The metrics of the sessions in databases. Cheap to clone.
#[derive(Clone)]
pub struct SessionMetrics {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for SessionMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionMetrics").finish_non_exhaustive()
    }
}

impl SessionMetrics {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared) }
    }

    /// Publishes the places that are taken at a server, and those who wait for one.
    pub fn told(&self, server: &str, taken: usize, waiting: usize) {
        let labels = ServerLabels { server: server.to_owned() };
        let gauges = [(&self.shared.sessions, taken), (&self.shared.sessions_waiting, waiting)];
        for (gauge, value) in gauges {
            gauge.get_or_create_owned(&labels).set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }
}
