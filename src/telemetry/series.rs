//! The series behind the metrics: one family for each of [`METRICS`](super::METRICS), and which connector has which.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::labels::*;
use super::names::*;
use super::process::Process;
use super::traces::Spans;
use crate::guard::Level;
use crate::model::{NotPolled, OddCursor};
use crate::status::{GuardStatus, HeldBy, TableState};

type FloatGauge = Gauge<f64, AtomicU64>;
type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

pub(super) struct Shared {
    pub(super) registry: Registry,
    pub(super) up: Family<ConnectorLabels, Gauge>,
    pub(super) rows: Family<TableLabels, Counter>,
    pub(super) bytes: Family<TableLabels, Counter>,
    pub(super) rows_skipped: Family<TableLabels, Counter>,
    pub(super) not_polled: Family<ReasonLabels, Gauge>,
    pub(super) polls: Family<ResultLabels, Counter>,
    pub(super) poll_seconds: Histograms<TableLabels>,
    pub(super) query_seconds: Histograms<TableLabels>,
    pub(super) encode_seconds: Histograms<ConnectorLabels>,
    pub(super) lag: Family<TableLabels, FloatGauge>,
    pub(super) last_poll: Family<TableLabels, FloatGauge>,
    pub(super) late_rows: Family<TableLabels, Counter>,
    pub(super) reread_rows: Family<TableLabels, Counter>,
    pub(super) guard_level: Family<LevelLabels, Gauge>,
    pub(super) guard_window: Family<TableLabels, FloatGauge>,
    pub(super) guard_hidden: Family<TableLabels, FloatGauge>,
    pub(super) oldest_transaction: Family<TableLabels, FloatGauge>,
    pub(super) table_state: Family<StateLabels, Gauge>,
    pub(super) held_back: Family<HeldLabels, Gauge>,
    pub(super) replica_lag: Family<ConnectorLabels, FloatGauge>,
    pub(super) transactions: Family<OutcomeLabels, Counter>,
    pub(super) transaction_seconds: Histograms<ConnectorLabels>,
    pub(super) commit_seconds: Histograms<ConnectorLabels>,
    pub(super) producer_queue: Family<TaskLabels, Gauge>,
    pub(super) producer_bytes: Family<TaskLabels, Gauge>,
    pub(super) producer_retries: Family<TaskLabels, Counter>,
    pub(super) producer_wait: Family<BrokerLabels, FloatGauge>,
    pub(super) producer_rtt: Family<BrokerLabels, FloatGauge>,
    pub(super) sessions: Family<ServerLabels, Gauge>,
    pub(super) sessions_waiting: Family<ServerLabels, Gauge>,
    pub(super) errors: Family<KindLabels, Counter>,
    pub(super) process: Process,
    /// Tables whose states were shown at the last scrape.
    pub(super) shown: Mutex<HashSet<(String, String)>>,
    /// The spans that wait to be sent, where somebody takes them.
    pub(super) spans: OnceLock<Arc<Spans>>,
    /// The series that count, by connector.
    pub(super) counted: Mutex<HashMap<String, Counted>>,
}

/// The tables, producers and kinds of errors of a connector that have series.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) tables: HashSet<String>,
    pub(super) producers: HashSet<TaskLabels>,
    pub(super) brokers: HashSet<BrokerLabels>,
    pub(super) kinds: HashSet<String>,
}

/// Every label `outcome` of transactions.
pub(super) const OUTCOMES: [&str; 3] = ["committed", "aborted", "unknown"];
/// Every label `result` of polls.
pub(super) const RESULTS: [&str; 4] = ["rows", "empty", "waiting", "error"];

/// A histogram from 1 ms to about 35 minutes.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.5, 16))
}

/// The same for each of some labels.
fn histograms<L: Clone + Eq + std::hash::Hash>() -> Histograms<L> {
    Family::new_with_constructor(histogram as fn() -> Histogram)
}

impl Shared {
    pub(super) fn new() -> Self {
        let mut registry = Registry::default();
        let r = &mut registry;
        let build: Family<BuildLabels, Gauge> = register(r, BUILD_INFO, Family::default());
        let commit = option_env!("ROWTIDE_COMMIT").unwrap_or("unknown");
        let process = Process::new(r);
        build.get_or_create_owned(&BuildLabels { version: env!("CARGO_PKG_VERSION"), commit }).set(1);
        Self {
            up: register(r, UP, Family::default()),
            rows: register(r, ROWS, Family::default()),
            bytes: register(r, BYTES, Family::default()),
            rows_skipped: register(r, ROWS_SKIPPED, Family::default()),
            not_polled: register(r, NOT_POLLED, Family::default()),
            polls: register(r, POLLS, Family::default()),
            poll_seconds: register(r, POLL_SECONDS, histograms()),
            query_seconds: register(r, QUERY_SECONDS, histograms()),
            encode_seconds: register(r, ENCODE_SECONDS, histograms()),
            lag: register(r, LAG, Family::default()),
            last_poll: register(r, LAST_POLL, Family::default()),
            late_rows: register(r, LATE_ROWS, Family::default()),
            reread_rows: register(r, REREAD_ROWS, Family::default()),
            guard_level: register(r, GUARD_LEVEL, Family::default()),
            guard_window: register(r, GUARD_WINDOW, Family::default()),
            guard_hidden: register(r, GUARD_HIDDEN, Family::default()),
            oldest_transaction: register(r, OLDEST_TRANSACTION, Family::default()),
            table_state: register(r, TABLE_STATE, Family::default()),
            held_back: register(r, HELD_BACK, Family::default()),
            replica_lag: register(r, REPLICA_LAG, Family::default()),
            transactions: register(r, TRANSACTIONS, Family::default()),
            transaction_seconds: register(r, TRANSACTION_SECONDS, histograms()),
            commit_seconds: register(r, COMMIT_SECONDS, histograms()),
            producer_queue: register(r, PRODUCER_QUEUE, Family::default()),
            producer_bytes: register(r, PRODUCER_BYTES, Family::default()),
            producer_retries: register(r, PRODUCER_RETRIES, Family::default()),
            producer_wait: register(r, PRODUCER_WAIT, Family::default()),
            producer_rtt: register(r, PRODUCER_RTT, Family::default()),
            sessions: register(r, SESSIONS, Family::default()),
            sessions_waiting: register(r, SESSIONS_WAITING, Family::default()),
            errors: register(r, ERRORS, Family::default()),
            process,
            shown: Mutex::default(),
            counted: Mutex::default(),
            spans: OnceLock::new(),
            registry,
        }
    }

    pub(super) fn observe_guard(&self, labels: &TableLabels, guard: &GuardStatus) {
        for level in Level::ALL.map(Level::as_str).into_iter().filter(|_| !guard.level.is_empty()) {
            self.guard_level.get_or_create_owned(&labels.level(level)).set((guard.level == level).into());
        }
        let is_guarded = Level::ALL.iter().any(|level| level.as_str() == guard.level && level.finds_rows());
        let hidden = is_guarded.then_some(guard.hidden_ids as f64);
        let gauges = [
            (&self.guard_window, guard.window_seconds),
            (&self.guard_hidden, hidden),
            (&self.oldest_transaction, guard.oldest_transaction_seconds),
        ];
        for (gauge, value) in gauges {
            match value {
                Some(value) => {
                    gauge.get_or_create_owned(labels).set(value);
                }
                None => {
                    gauge.remove(labels);
                }
            }
        }
    }

    pub(super) fn observe_not_polled(&self, labels: &TableLabels, found: &[NotPolled]) {
        for reason in OddCursor::ALL {
            let labels = labels.reason(reason.as_str());
            match found.iter().find(|rows| rows.reason == reason) {
                Some(rows) => {
                    self.not_polled.get_or_create_owned(&labels).set(i64::try_from(rows.rows).unwrap_or(i64::MAX));
                }
                None => {
                    self.not_polled.remove(&labels);
                }
            }
        }
    }

    pub(super) fn observe_held(&self, labels: &TableLabels, held: Option<HeldBy>) {
        for by in HeldBy::ALL {
            let labels = labels.held(by);
            if held == Some(by) {
                self.held_back.get_or_create_owned(&labels).set(1);
            } else {
                self.held_back.remove(&labels);
            }
        }
    }

    /// The gauges of a table that is gone would stay as they were; its counters may.
    pub(super) fn hide(&self, labels: &TableLabels) {
        self.lag.remove(labels);
        self.last_poll.remove(labels);
        self.observe_guard(labels, &GuardStatus::default());
        self.observe_not_polled(labels, &[]);
        self.observe_held(labels, None);
        for level in Level::ALL.map(Level::as_str) {
            self.guard_level.remove(&labels.level(level));
        }
        for state in TableState::ALL {
            self.table_state.remove(&labels.state(state));
        }
    }
}
