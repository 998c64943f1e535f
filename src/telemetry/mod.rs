//! Logs, metrics and traces. Logs go to stderr, as text or JSON lines; metrics are named in one table
//! ([`METRICS`]) from which the documentation comes. A component gets its handles once and counts per batch.

mod control;
mod handles;
mod labels;
mod logs;
mod metrics;
mod names;
pub mod otlp;
mod process;
mod series;
mod traces;

pub use control::{LogControl, LoggerLevel, ROOT, level_named};
pub use handles::{BrokerFigures, ConnectorMetrics, ProducerFigures, ProducerMetrics, SessionMetrics, TableMetrics};
pub use logs::{LogFormat, LogOptions, init};
pub use metrics::{CONTENT_TYPE, Metrics};
pub use names::{METRICS, Metric, MetricKind, metrics_markdown};
pub(crate) use traces::now_nanos;
pub use traces::{PollTrace, Span, Spans, TraceContext};
