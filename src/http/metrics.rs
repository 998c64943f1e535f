//! `GET /metrics`: OpenMetrics text.

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderName};

use super::HttpState;
use crate::telemetry;

/// The counters as they are, the states from the boards as of now.
pub(super) async fn metrics(State(state): State<HttpState>) -> ([(HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, telemetry::CONTENT_TYPE)], state.metrics.scrape(&state.boards.snapshot()))
}
