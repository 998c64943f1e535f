//! The metrics: the handles that count, named in [`METRICS`](super::METRICS). Reads nothing, asks nobody:
//! states come from a [`ConnectorStatus`] when they are scraped, so that they cannot contradict it.

use std::collections::HashSet;
use std::sync::Arc;

use super::handles::{ConnectorMetrics, SessionMetrics};
use super::labels::{ConnectorLabels, KindLabels, OutcomeLabels, TableLabels};
use super::series::{OUTCOMES, RESULTS, Shared};
use super::traces::Spans;
use crate::lock::locked;
use crate::status::{ConnectorState, ConnectorStatus, TableState};

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of the process. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Shared>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Registers every metric.
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared::new()) }
    }

    /// The handles of a connector.
    pub fn connector(&self, connector: &str) -> ConnectorMetrics {
        ConnectorMetrics::new(connector, &self.shared)
    }

    /// The handles of the sessions in databases.
    pub fn sessions(&self) -> SessionMetrics {
        SessionMetrics::new(&self.shared)
    }

    /// Has polls traced from now on: this share of them, at most so many spans of which wait to be taken.
    pub fn trace(&self, ratio: f64, most: usize) -> Arc<Spans> {
        Arc::clone(self.shared.spans.get_or_init(|| Arc::new(Spans::new(ratio, most))))
    }

    /// Forgets every series of a connector that is deleted. Its handles must not be used any more.
    pub fn forget(&self, connector: &str) {
        let shared = &self.shared;
        let counted = locked(&shared.counted).remove(connector).unwrap_or_default();
        let labels = ConnectorLabels { connector: connector.to_owned() };
        shared.up.remove(&labels);
        shared.replica_lag.remove(&labels);
        for histogram in [&shared.transaction_seconds, &shared.commit_seconds, &shared.encode_seconds] {
            histogram.remove(&labels);
        }
        for labels in &counted.producers {
            shared.producer_queue.remove(labels);
            shared.producer_bytes.remove(labels);
            shared.producer_retries.remove(labels);
        }
        for labels in &counted.brokers {
            shared.producer_wait.remove(labels);
            shared.producer_rtt.remove(labels);
        }
        for outcome in OUTCOMES {
            shared.transactions.remove(&OutcomeLabels { connector: connector.to_owned(), outcome });
        }
        for kind in counted.kinds {
            shared.errors.remove(&KindLabels { connector: connector.to_owned(), kind });
        }
        for table in counted.tables {
            let labels = TableLabels::new(connector, &table);
            shared.hide(&labels);
            for counter in [&shared.rows, &shared.bytes, &shared.rows_skipped, &shared.late_rows, &shared.reread_rows] {
                counter.remove(&labels);
            }
            shared.poll_seconds.remove(&labels);
            shared.query_seconds.remove(&labels);
            for result in RESULTS {
                shared.polls.remove(&labels.result(result));
            }
        }
    }

    /// The metrics as OpenMetrics text ([`CONTENT_TYPE`]): the counters as they are, the states from a status. Scrapes
    /// and exports go one after the other, so that none has states that another one is about to renew.
    pub fn scrape(&self, statuses: &[ConnectorStatus]) -> String {
        let mut shown = locked(&self.shared.shown);
        self.observe(statuses, &mut shown);
        self.encode()
    }

    fn observe(&self, statuses: &[ConnectorStatus], shown: &mut HashSet<(String, String)>) {
        let mut present = HashSet::new();
        self.shared.up.clear();
        self.shared.process.observe();
        for status in statuses {
            let labels = ConnectorLabels { connector: status.name.clone() };
            self.shared.up.get_or_create_owned(&labels).set((status.state == ConnectorState::Running).into());
            for table in &status.tables {
                let labels = TableLabels::new(&status.name, &table.table);
                if let Some(polled) = table.last_poll {
                    self.shared.last_poll.get_or_create_owned(&labels).set(polled as f64 / 1000.0);
                }
                if let Some(lag) = table.lag_seconds {
                    self.shared.lag.get_or_create_owned(&labels).set(lag);
                }
                self.shared.observe_guard(&labels, &table.guard);
                self.shared.observe_not_polled(&labels, &table.not_polled);
                self.shared.observe_held(&labels, table.held_back.map(|held| held.by));
                for state in TableState::ALL {
                    let gauge = self.shared.table_state.get_or_create_owned(&labels.state(state));
                    gauge.set((table.state == state).into());
                }
                present.insert((labels.connector, labels.table));
            }
        }
        for (connector, table) in shown.difference(&present) {
            self.shared.hide(&TableLabels::new(connector, table));
        }
        *shown = present;
    }

    fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.shared.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use super::super::handles::{BrokerFigures, ProducerFigures};
    use super::super::names::METRICS;
    use super::*;
    use crate::error::ErrorKind;
    use crate::model::{NotPolled, OddCursor};
    use crate::status::{GuardStatus, HeldBack, HeldBy, StatusBoard};

    /// Metrics with a sample of everything.
    fn used() -> (Metrics, StatusBoard) {
        let metrics = Metrics::new();
        let connector = metrics.connector("demo");
        connector.committed(Duration::from_millis(3));
        connector.error(ErrorKind::OutcomeUnknown);
        connector.replica_lag(Some(0.5));
        connector.commit_answered(Duration::from_millis(2));
        let brokers = vec![BrokerFigures { id: 1, wait: Duration::ZERO, round_trip: Duration::from_millis(1) }];
        connector.producer(0).observed(ProducerFigures { messages: 3, bytes: 9, retries: 1, brokers });
        metrics.sessions().told("db:5432", 1, 0);
        let table = connector.table("t");
        table.committed(2, 64);
        table.polled(2, Duration::from_millis(1));
        table.read(Duration::from_millis(1), Duration::from_micros(9), 2);
        table.lag(0.5);
        let board = StatusBoard::new("demo", Duration::from_secs(30));
        board.table("t").polled(true, true);
        board.table("t").guard(GuardStatus {
            level: "exact",
            window_seconds: Some(1.0),
            oldest_transaction_seconds: Some(2.0),
            ..GuardStatus::default()
        });
        board.table("u").held_back(HeldBack { by: HeldBy::Windows, until: 1 }, "so".to_owned(), "wait");
        let (example, text) = (Some("id=1".to_owned()), "1 row(s)".to_owned());
        board.table("t").not_polled(vec![NotPolled {
            reason: OddCursor::Null,
            rows: 1,
            or_more: false,
            example,
            text,
        }]);
        metrics.scrape(&[board.snapshot()]);
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
            } else if let Some((name, rest)) = line.split_once(['{', ' ']).filter(|_| !line.starts_with('#')) {
                let name = ["_bucket", "_sum", "_count"].iter().fold(name, |name, end| name.trim_end_matches(end));
                let rest = if line.contains('{') { rest } else { "" };
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
    fn scrapes_side_by_side_miss_no_state() {
        let (metrics, board) = used();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    (0..500).for_each(|_| {
                        let text = metrics.scrape(&[board.snapshot()]);
                        assert!(text.contains("rowtide_up{connector=\"demo\"} 0"), "{text}");
                    });
                });
            }
        });
    }

    #[test]
    fn a_table_that_is_gone_shows_no_state_but_keeps_its_counters() {
        let (metrics, board) = used();
        board.remove_tables(["t", "u"]);
        let text = metrics.scrape(&[board.snapshot()]);
        assert!(!text.contains("rowtide_table_state{") && !text.contains("rowtide_lag_seconds{"), "{text}");
        assert!(text.contains("rowtide_rows_total{"));
    }

    #[test]
    fn a_connector_that_is_deleted_leaves_no_series_and_the_others_keep_theirs() {
        let (metrics, board) = used();
        let before = metrics.encode();
        let other = metrics.connector("other");
        other.committed(Duration::from_millis(1));
        other.table("t").committed(1, 1);
        metrics.scrape(&[board.snapshot(), StatusBoard::new("other", Duration::from_secs(30)).snapshot()]);
        metrics.forget("other");
        assert_eq!(sorted(&metrics.scrape(&[board.snapshot()])), sorted(&before));
        metrics.forget("demo");
        let text = metrics.scrape(&[]);
        assert!(!text.contains("connector="), "{text}");
        assert!(text.contains("rowtide_sessions{server=\"db:5432\"} 1"), "{text}");
    }

    /// The lines about connectors.
    fn sorted(text: &str) -> BTreeSet<&str> {
        text.lines().filter(|line| !line.starts_with("process_")).collect()
    }
}
