//! OTLP: metrics and traces as a collector of OpenTelemetry takes them, over HTTP in Protocol Buffers. Only encodes and
//! reads settings; [`http`](crate::http) sends. The metrics are those that are scraped, by the same names.

mod metrics;
mod settings;
mod spans;
mod wire;

pub use metrics::encode as encode_metrics;
pub use settings::{Endpoint, OtlpSpec};
pub use spans::encode as encode_spans;
