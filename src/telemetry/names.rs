//! The names: every metric with its labels and help, in one table. The documentation is made from it, and
//! a test holds the registered metrics against it.

use std::fmt::Write as _;

use prometheus_client::encoding::EncodeMetric;
use prometheus_client::registry::Registry;

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// A figure that only grows.
    Counter,
    /// A figure that goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

impl MetricKind {
    /// The word Prometheus uses.
    pub fn as_str(self) -> &'static str {
        match self {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        }
    }
}

/// One line of the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name in a query.
    pub name: &'static str,
    /// Its kind.
    pub kind: MetricKind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// Its help text.
    pub help: &'static str,
}

/// Registers a metric under its name and help; the encoder appends `_total` and the full stop.
pub(super) fn register<M: prometheus_client::registry::Metric + Clone>(
    registry: &mut Registry,
    metric: Metric,
    handle: M,
) -> M {
    debug_assert!(matches!(
        (metric.kind, EncodeMetric::metric_type(&handle).as_str()),
        (MetricKind::Counter, "counter") | (MetricKind::Gauge, "gauge") | (MetricKind::Histogram, "histogram")
    ));
    registry.register(metric.name.trim_end_matches("_total"), metric.help, handle.clone());
    handle
}

/// Declares each metric as a constant and all of them as [`METRICS`].
macro_rules! metrics {
    ($($constant:ident $name:literal $kind:ident [$($label:literal),*] $help:literal;)*) => {
        $(pub(super) const $constant: Metric =
            Metric { name: $name, kind: MetricKind::$kind, labels: &[$($label),*], help: $help };)*
        /// Every metric there is.
        pub const METRICS: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    UP "rowtide_up" Gauge ["connector"]
        "1 while the connector is polling its tables, 0 while it starts, or after it stopped or failed";
    BUILD_INFO "rowtide_build_info" Gauge ["version", "commit"]
        "Always 1; the labels say which build is running";
    ROWS "rowtide_rows_total" Counter ["connector", "table"]
        "Rows committed to Kafka";
    BYTES "rowtide_bytes_total" Counter ["connector", "table"]
        "Bytes of keys and values committed to Kafka, before compression";
    ROWS_SKIPPED "rowtide_rows_skipped_total" Counter ["connector", "table"]
        "Rows that cannot be delivered and were left out, those in the dead letter topic included";
    NOT_POLLED "rowtide_rows_not_polled" Gauge ["connector", "table", "reason"]
        "Rows that no poll reads because of their cursor values, at the last look, up to 10,000: null, zero_date, before_1970, ahead";
    POLLS "rowtide_polls_total" Counter ["connector", "table", "result"]
        "Polls by result: rows, empty (also those spared because nothing was committed), waiting (rows are held back until an older transaction ends), error";
    POLL_SECONDS "rowtide_poll_seconds" Histogram ["connector", "table"]
        "Time from sending a poll's query to its last row";
    QUERY_SECONDS "rowtide_query_seconds" Histogram ["connector", "table"]
        "Time of a poll's statements from the first one to the last row, without the encoding of rows";
    ENCODE_SECONDS "rowtide_encode_seconds" Histogram ["connector"]
        "Time of encoding the rows of a poll, by every sixteenth of them; polls without rows are not counted";
    LAG "rowtide_lag_seconds" Gauge ["connector", "table"]
        "Age of the newest emitted row by the database's clock, at the last poll; grows while the table cannot be read";
    LATE_ROWS "rowtide_guard_late_rows_total" Counter ["connector", "table"]
        "Rows whose transaction committed after later rows were read, and which were caught";
    REREAD_ROWS "rowtide_guard_reread_rows_total" Counter ["connector", "table"]
        "Rows below the position that were read again to find late ones among them, and were none";
    GUARD_LEVEL "rowtide_guard_level" Gauge ["connector", "table", "level"]
        "1 for the level promised about rows that commit late, 0 for the others: exact, partial, hold, rescan, delay, \
         off";
    GUARD_WINDOW "rowtide_guard_window_seconds" Gauge ["connector", "table"]
        "Width of the window in which late rows are looked for, at the last poll; absent where there is none";
    GUARD_HIDDEN "rowtide_guard_hidden_ids" Gauge ["connector", "table"]
        "Ids, of transactions or of rows, that may still become visible below the position; absent where there is no guard";
    OLDEST_TRANSACTION "rowtide_guard_oldest_transaction_seconds" Gauge ["connector", "table"]
        "Age of the oldest open transaction of the database, at most; absent if there is none";
    LAST_POLL "rowtide_last_successful_poll_timestamp_seconds" Gauge ["connector", "table"]
        "Time of the table's last successful poll, in seconds since the epoch; absent before the first one";
    TABLE_STATE "rowtide_table_state" Gauge ["connector", "table", "state"]
        "1 for the state the table is in, 0 for the others: loading, live, idle, waiting, backing_off, failed, paused, stopped";
    HELD_BACK "rowtide_table_held_back" Gauge ["connector", "table", "by"]
        "1 while a table is not polled by a setting: poll.windows, replica.lag.max.ms; absent otherwise";
    REPLICA_LAG "rowtide_replica_lag_seconds" Gauge ["connector"]
        "Lag of the replica that is read behind its primary, where replica.lag.max.ms is set; absent on a primary and where it is not told";
    TRANSACTIONS "rowtide_transactions_total" Counter ["connector", "outcome"]
        "Kafka transactions by outcome: committed, aborted, unknown";
    TRANSACTION_SECONDS "rowtide_transaction_seconds" Histogram ["connector"]
        "Time from the begin of a Kafka transaction to the answer to its commit";
    COMMIT_SECONDS "rowtide_commit_seconds" Histogram ["connector"]
        "Time from the request to commit a Kafka transaction, with its offsets, to the answer";
    PRODUCER_QUEUE "rowtide_producer_queue_messages" Gauge ["connector", "task"]
        "Records and offsets in the producer's queue, every 15 s";
    PRODUCER_BYTES "rowtide_producer_queue_bytes" Gauge ["connector", "task"]
        "Bytes in the producer's queue, every 15 s";
    PRODUCER_RETRIES "rowtide_producer_retries_total" Counter ["connector", "task"]
        "Requests of the producer that were sent again";
    PRODUCER_WAIT "rowtide_producer_request_queue_seconds" Gauge ["connector", "task", "broker"]
        "Time that requests to a broker waited to be sent, 99th percentile of the last 15 s";
    PRODUCER_RTT "rowtide_producer_broker_rtt_seconds" Gauge ["connector", "task", "broker"]
        "Round trip of requests to a broker, 99th percentile of the last 15 s";
    SESSIONS "rowtide_sessions" Gauge ["server"]
        "Sessions in a database server that are open or being opened, at most connection.pool.size";
    SESSIONS_WAITING "rowtide_sessions_waiting" Gauge ["server"]
        "Tasks that wait for a session in a database server";
    ERRORS "rowtide_errors_total" Counter ["connector", "kind"]
        "Errors by kind, those that were overcome included";
    PROCESS_CPU "process_cpu_seconds_total" Counter []
        "User and system CPU time of the process in seconds";
    PROCESS_MEMORY "process_resident_memory_bytes" Gauge []
        "Resident memory of the process in bytes";
    PROCESS_FDS "process_open_fds" Gauge []
        "Open file descriptors of the process";
    PROCESS_START "process_start_time_seconds" Gauge []
        "Start time of the process in seconds since the epoch";
}

/// The page `docs metrics` prints.
pub fn metrics_markdown() -> String {
    let mut page = String::from(
        "# Metrics\n\n<!-- made by `rowtide docs metrics`; do not edit -->\n\n`GET /metrics` on `--listen` answers these as OpenMetrics text.\n\n\
         | metric | kind | labels | meaning |\n|---|---|---|---|\n",
    );
    for metric in METRICS {
        let labels = metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        // Writing to a String cannot fail.
        let _ = writeln!(page, "| `{}` | {} | {labels} | {} |", metric.name, metric.kind.as_str(), metric.help);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_row_per_metric() {
        let page = metrics_markdown();
        assert_eq!(page.lines().filter(|line| line.starts_with("| `")).count(), METRICS.len());
    }

    fn file(path: &str) -> String {
        std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).expect(path)
    }

    fn named(pattern: &str, text: &str) -> Vec<String> {
        let pattern = regex::Regex::new(pattern).unwrap();
        let mut names: Vec<String> = pattern.captures_iter(text).map(|found| found[1].to_owned()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The metric of a series, which for a histogram has an ending.
    fn metric_of(series: &str) -> Option<&'static Metric> {
        let is_it = |metric: &&Metric| match series.strip_prefix(metric.name) {
            Some("") => metric.kind != MetricKind::Histogram,
            Some("_bucket" | "_sum" | "_count") => metric.kind == MetricKind::Histogram,
            _ => false,
        };
        METRICS.iter().find(is_it)
    }

    #[test]
    fn dashboard_and_alerts_ask_for_metrics_and_labels_that_there_are() {
        let dashboard: serde_json::Value = serde_json::from_str(&file("deploy/grafana/rowtide.json")).unwrap();
        let panels = dashboard["panels"].as_array().unwrap();
        let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
        let mut queries: Vec<String> = targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
        let variables = dashboard["templating"]["list"].as_array().unwrap();
        queries.extend(variables.iter().filter_map(|variable| Some(variable["definition"].as_str()?.to_owned())));
        let alerts = file("deploy/prometheus/alerts.yml");
        queries.extend(named(r"(?m)^\s+expr: (.*)$", &alerts));
        assert!(queries.len() > 30, "{queries:?}");
        let series = regex::Regex::new(r"(rowtide_\w+)(?:\{([^}]*)\})?").unwrap();
        for query in &queries {
            for found in series.captures_iter(query) {
                let metric = metric_of(&found[1]).unwrap_or_else(|| panic!("there is no {} for {query}", &found[1]));
                for label in named(r"(\w+)\s*(?:=|!)", found.get(2).map_or("", |labels| labels.as_str())) {
                    assert!(metric.labels.contains(&label.as_str()), "{} has no label {label}: {query}", metric.name);
                }
            }
        }
    }

    #[test]
    fn every_alert_is_fired_by_a_test_and_has_a_line_in_operations() {
        let alerts = named(r"(?m)^      - alert: (\w+)$", &file("deploy/prometheus/alerts.yml"));
        let tests = file("deploy/prometheus/alerts_test.yml");
        assert!(alerts.len() > 8, "{alerts:?}");
        for alert in &alerts {
            let one = tests.split("  - name: ").find(|test| test.starts_with(&format!("{alert}\n")));
            assert!(one.is_some_and(|test| test.contains("exp_labels")), "no test fires {alert}");
        }
        assert_eq!(named(r"(?m)^\| `(Rowtide\w+)` \|", &file("docs/operations.md")), alerts);
    }
}
