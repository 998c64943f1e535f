//! The metrics: the handles that count, named in [`METRICS`](super::METRICS). Reads nothing, asks nobody:
//! states come from a [`ConnectorStatus`] when they are scraped, so that they cannot contradict it.

use std::collections::HashSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::names::*;
use crate::error::ErrorKind;
use crate::model::{NotPolled, OddCursor};
use crate::status::{ConnectorState, ConnectorStatus, GuardStatus, TableState};

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConnectorLabels {
    connector: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TableLabels {
    connector: String,
    table: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    connector: String,
    table: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    connector: String,
    table: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LevelLabels {
    connector: String,
    table: String,
    level: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    connector: String,
    table: String,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    connector: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    connector: String,
    kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
    commit: &'static str,
}

type FloatGauge = Gauge<f64, AtomicU64>;
type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// All metrics of the process. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Shared>,
}

struct Shared {
    registry: Registry,
    up: Family<ConnectorLabels, Gauge>,
    rows: Family<TableLabels, Counter>,
    bytes: Family<TableLabels, Counter>,
    rows_skipped: Family<TableLabels, Counter>,
    not_polled: Family<ReasonLabels, Gauge>,
    polls: Family<ResultLabels, Counter>,
    poll_seconds: Histograms<TableLabels>,
    lag: Family<TableLabels, FloatGauge>,
    last_poll: Family<TableLabels, FloatGauge>,
    late_rows: Family<TableLabels, Counter>,
    reread_rows: Family<TableLabels, Counter>,
    guard_level: Family<LevelLabels, Gauge>,
    guard_window: Family<TableLabels, FloatGauge>,
    guard_hidden: Family<TableLabels, FloatGauge>,
    oldest_transaction: Family<TableLabels, FloatGauge>,
    table_state: Family<StateLabels, Gauge>,
    transactions: Family<OutcomeLabels, Counter>,
    transaction_seconds: Histograms<ConnectorLabels>,
    errors: Family<KindLabels, Counter>,
    /// Tables whose states were shown at the last scrape.
    shown: Mutex<HashSet<(String, String)>>,
}

/// Registers under the table's name and help; the encoder appends `_total` and the full stop.
fn register<M: prometheus_client::registry::Metric + Clone>(registry: &mut Registry, metric: Metric, handle: M) -> M {
    debug_assert!(matches!(
        (metric.kind, EncodeMetric::metric_type(&handle).as_str()),
        (MetricKind::Counter, "counter") | (MetricKind::Gauge, "gauge") | (MetricKind::Histogram, "histogram")
    ));
    registry.register(metric.name.trim_end_matches("_total"), metric.help, handle.clone());
    handle
}

/// 1 ms to about 35 minutes.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.5, 16))
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Registers every metric.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let r = &mut registry;
        let build: Family<BuildLabels, Gauge> = register(r, BUILD_INFO, Family::default());
        let commit = option_env!("ROWTIDE_COMMIT").unwrap_or("unknown");
        build.get_or_create_owned(&BuildLabels { version: env!("CARGO_PKG_VERSION"), commit }).set(1);
        let shared = Shared {
            up: register(r, UP, Family::default()),
            rows: register(r, ROWS, Family::default()),
            bytes: register(r, BYTES, Family::default()),
            rows_skipped: register(r, ROWS_SKIPPED, Family::default()),
            not_polled: register(r, NOT_POLLED, Family::default()),
            polls: register(r, POLLS, Family::default()),
            poll_seconds: register(r, POLL_SECONDS, Family::new_with_constructor(histogram as fn() -> Histogram)),
            lag: register(r, LAG, Family::default()),
            last_poll: register(r, LAST_POLL, Family::default()),
            late_rows: register(r, LATE_ROWS, Family::default()),
            reread_rows: register(r, REREAD_ROWS, Family::default()),
            guard_level: register(r, GUARD_LEVEL, Family::default()),
            guard_window: register(r, GUARD_WINDOW, Family::default()),
            guard_hidden: register(r, GUARD_HIDDEN, Family::default()),
            oldest_transaction: register(r, OLDEST_TRANSACTION, Family::default()),
            table_state: register(r, TABLE_STATE, Family::default()),
            transactions: register(r, TRANSACTIONS, Family::default()),
            transaction_seconds: register(
                r,
                TRANSACTION_SECONDS,
                Family::new_with_constructor(histogram as fn() -> Histogram),
            ),
            errors: register(r, ERRORS, Family::default()),
            shown: Mutex::default(),
            registry,
        };
        Self { shared: Arc::new(shared) }
    }

    /// The handles of a connector.
    pub fn connector(&self, connector: &str) -> ConnectorMetrics {
        let labels = ConnectorLabels { connector: connector.to_owned() };
        let outcome = |outcome| OutcomeLabels { connector: connector.to_owned(), outcome };
        let transactions = &self.shared.transactions;
        ConnectorMetrics {
            connector: connector.into(),
            committed: transactions.get_or_create_owned(&outcome("committed")),
            aborted: transactions.get_or_create_owned(&outcome("aborted")),
            unknown: transactions.get_or_create_owned(&outcome("unknown")),
            transaction_seconds: self.shared.transaction_seconds.get_or_create_owned(&labels),
            shared: self.shared.clone(),
        }
    }

    /// Copies the states out of a status; for the scrape.
    pub fn observe(&self, statuses: &[ConnectorStatus]) {
        let mut shown = self.shared.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let mut present = HashSet::new();
        self.shared.up.clear();
        for status in statuses {
            let labels = ConnectorLabels { connector: status.name.clone() };
            self.shared.up.get_or_create_owned(&labels).set((status.state == ConnectorState::Running).into());
            for table in &status.tables {
                let labels = TableLabels { connector: status.name.clone(), table: table.table.clone() };
                if let Some(polled) = table.last_poll {
                    self.shared.last_poll.get_or_create_owned(&labels).set(polled as f64 / 1000.0);
                }
                if let Some(lag) = table.lag_seconds {
                    self.shared.lag.get_or_create_owned(&labels).set(lag);
                }
                self.shared.observe_guard(&labels, &table.guard);
                self.shared.observe_not_polled(&labels, &table.not_polled);
                for state in TableState::ALL {
                    let gauge = self.shared.table_state.get_or_create_owned(&state_labels(&labels, state));
                    gauge.set((table.state == state).into());
                }
                present.insert((labels.connector, labels.table));
            }
        }
        for (connector, table) in shown.difference(&present) {
            self.shared.forget(TableLabels { connector: connector.clone(), table: table.clone() });
        }
        *shown = present;
    }

    /// Everything as OpenMetrics text ([`CONTENT_TYPE`]).
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.shared.registry);
        text
    }
}

fn state_labels(table: &TableLabels, state: TableState) -> StateLabels {
    StateLabels { connector: table.connector.clone(), table: table.table.clone(), state: state.as_str() }
}

/// Every level of [`GuardStatus::level`].
const GUARD_LEVELS: [&str; 6] = ["exact", "partial", "hold", "rescan", "delay", "off"];

fn level_labels(table: &TableLabels, level: &'static str) -> LevelLabels {
    LevelLabels { connector: table.connector.clone(), table: table.table.clone(), level }
}

impl Shared {
    fn observe_guard(&self, labels: &TableLabels, guard: &GuardStatus) {
        for level in GUARD_LEVELS.into_iter().filter(|_| !guard.level.is_empty()) {
            self.guard_level.get_or_create_owned(&level_labels(labels, level)).set((guard.level == level).into());
        }
        let is_guarded = matches!(guard.level, "exact" | "partial" | "hold" | "rescan");
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

    fn observe_not_polled(&self, labels: &TableLabels, found: &[NotPolled]) {
        for reason in OddCursor::ALL {
            let (connector, table) = (labels.connector.clone(), labels.table.clone());
            let labels = ReasonLabels { connector, table, reason: reason.as_str() };
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

    /// The gauges of a table that is gone would stay as they were; its counters may.
    fn forget(&self, labels: TableLabels) {
        self.lag.remove(&labels);
        self.last_poll.remove(&labels);
        self.observe_guard(&labels, &GuardStatus::default());
        self.observe_not_polled(&labels, &[]);
        for level in GUARD_LEVELS {
            self.guard_level.remove(&level_labels(&labels, level));
        }
        for state in TableState::ALL {
            self.table_state.remove(&state_labels(&labels, state));
        }
    }
}

/// What a connector's commit stage counts. Cheap to clone.
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
    /// The handles of one of its tables.
    pub fn table(&self, table: &str) -> TableMetrics {
        let labels = TableLabels { connector: self.connector.to_string(), table: table.to_owned() };
        let polls = |result| {
            let labels = ResultLabels { connector: labels.connector.clone(), table: labels.table.clone(), result };
            self.shared.polls.get_or_create_owned(&labels)
        };
        TableMetrics {
            rows: self.shared.rows.get_or_create_owned(&labels),
            bytes: self.shared.bytes.get_or_create_owned(&labels),
            rows_skipped: self.shared.rows_skipped.get_or_create_owned(&labels),
            with_rows: polls("rows"),
            empty: polls("empty"),
            waiting: polls("waiting"),
            failed: polls("error"),
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

    /// An error came up.
    pub fn error(&self, kind: ErrorKind) {
        let labels = KindLabels { connector: self.connector.to_string(), kind: kind.snake_case() };
        self.shared.errors.get_or_create_owned(&labels).inc();
    }
}

/// What a table's stages count. Cheap to clone.
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

    /// Rows were left out of a committed batch.
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

    /// A poll was answered, but its rows are held back.
    pub fn waiting(&self, took: Duration) {
        self.waiting.inc();
        self.poll_seconds.observe(took.as_secs_f64());
    }

    /// Rows that committed late were caught, and rows read again in vain.
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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::status::StatusBoard;

    /// Metrics with a sample of everything.
    fn used() -> (Metrics, StatusBoard) {
        let metrics = Metrics::new();
        let connector = metrics.connector("demo");
        connector.committed(Duration::from_millis(3));
        connector.error(ErrorKind::OutcomeUnknown);
        let table = connector.table("t");
        table.committed(2, 64);
        table.polled(2, Duration::from_millis(1));
        table.lag(0.5);
        let board = StatusBoard::new("demo", Duration::from_secs(30));
        board.table("t").polled(true, true);
        board.table("t").guard(GuardStatus {
            level: "exact",
            window_seconds: Some(1.0),
            oldest_transaction_seconds: Some(2.0),
            ..GuardStatus::default()
        });
        let (example, text) = (Some("id=1".to_owned()), "1 row(s)".to_owned());
        board.table("t").not_polled(vec![NotPolled {
            reason: OddCursor::Null,
            rows: 1,
            or_more: false,
            example,
            text,
        }]);
        metrics.observe(&[board.snapshot()]);
        (metrics, board)
    }

    #[test]
    fn nothing_is_registered_outside_the_table_and_labels_are_as_documented() {
        let text = used().0.encode();
        let mut kinds = BTreeMap::new();
        let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in text.lines() {
            if let Some(line) = line.strip_prefix("# TYPE ") {
                let (name, kind) = line.split_once(' ').unwrap();
                let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
                kinds.insert(name, kind.to_owned());
            } else if let Some((name, rest)) = line.split_once('{') {
                let name = ["_bucket", "_sum", "_count"].iter().fold(name, |name, end| name.trim_end_matches(end));
                let names = rest.split("\",").filter_map(|pair| pair.split_once("=\"")).map(|(label, _)| label);
                labels.entry(name.to_owned()).or_default().extend(names.map(str::to_owned));
            }
        }
        let documented: BTreeMap<_, _> =
            METRICS.iter().map(|metric| (metric.name.to_owned(), metric.kind.as_str().to_owned())).collect();
        assert_eq!(kinds, documented);
        for metric in METRICS {
            let mut seen = labels.remove(metric.name).unwrap_or_else(|| panic!("{} has no sample", metric.name));
            seen.remove("le");
            assert_eq!(seen, metric.labels.iter().map(|label| (*label).to_owned()).collect(), "{}", metric.name);
        }
    }

    #[test]
    fn samples_have_the_documented_names() {
        let text = used().0.encode();
        for line in [
            r#"rowtide_rows_total{connector="demo",table="t"} 2"#,
            r#"rowtide_table_state{connector="demo",table="t",state="live"} 1"#,
            r#"rowtide_table_state{connector="demo",table="t",state="failed"} 0"#,
            r#"rowtide_errors_total{connector="demo",kind="outcome_unknown"} 1"#,
            r#"rowtide_up{connector="demo"} 0"#,
        ] {
            assert!(text.contains(line), "{line} not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_table_that_is_gone_shows_no_state_but_keeps_its_counters() {
        let (metrics, board) = used();
        board.remove_table("t");
        metrics.observe(&[board.snapshot()]);
        let text = metrics.encode();
        assert!(!text.contains("rowtide_table_state{") && !text.contains("rowtide_lag_seconds{"), "{text}");
        assert!(text.contains("rowtide_rows_total{"));
    }
}
